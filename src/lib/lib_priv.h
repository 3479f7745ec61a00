/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stack of the public headers, as the files here share it.
 */
#ifndef YG_LIB_LIB_PRIV_H
#define YG_LIB_LIB_PRIV_H

#include <yangguan/forward.h>
#include <yangguan/stack.h>

#include "lib/lib_link.h"
#include "stack/ip/fib.h"
#include "stack/ip/stack.h"
#include "stack/socket/socket.h"

#define LIB_IFINDEX 1u

struct yg_stack;

/* What a stack stands on. */
struct lib_stack_ops {
	/* Packets of one interface, their in_ifindex. b is empty afterwards. */
	void (*input)(struct yg_stack *s, struct batch *b);
	void (*expire)(struct yg_stack *s);
	uint64_t (*next_deadline)(const struct yg_stack *s);
};

/* What the public calls know: sockets, and how they are entered. */
struct yg_stack {
	const struct lib_stack_ops *ops;
	struct env *env;
	struct ip_stack *ip;
	struct sockets *ss;
	struct lib_link *link; /* NULL: it is the host of a gateway, which has the interfaces */
	yg_changed_fn *changed;
	void *ctx; /* of output too */
	yg_wait_fn *wait;
	void *wait_ctx;
	struct lib_completion *completion; /* NULL: nothing was submitted yet */
	yg_flow_fn *flow;
	void *flow_ctx;
	uint32_t depth; /* of calls into it */
	/* What came while somebody was in it. */
	struct lib_waiting waiting;
	struct lib_trace *traces;
	uint64_t told_deadline;
	int told_ready;
};

/* One on an interface of its own. */
struct lib_own {
	struct yg_stack stack;
	struct env env;
	struct ip_config cfg[2]; /* one is in use, the other is the next one */
	uint32_t cfg_in_use;
	struct fib *fib;
	struct lib_link link;
	yg_output_fn *output;
};

/* A public packet is one of the pool. */
static inline struct packet *lib_packet(const struct yg_packet *p)
{
	return (struct packet *)(uintptr_t)p;
}

/* Around whatever a call does: at the end what was made goes out, and what came meanwhile is taken in. */
void lib_enter(struct yg_stack *s);
void lib_leave(struct yg_stack *s);
void lib_set_time(struct yg_stack *s, uint64_t now);
/* What was lent to it, waits or is traced, before its sockets go. */
void lib_stack_end(struct yg_stack *s);

/* lib_socket.c: what waits for it is cancelled, what is traced of it ends. */
int lib_close(struct yg_stack *s, int fd);

/* lib_list.c */
struct sockaddr_storage lib_name_of(const struct tcp_end *e);
/* -EAFNOSUPPORT: it is none of IPv4. */
int lib_take_address(const struct sockaddr *from, uint32_t *addr);
/* fd is about to be closed, or all are (-1). */
void lib_trace_end(struct yg_stack *s, int fd);

/* lib_forward.c: tells the owner of what is held; true: it has done something meanwhile, maybe. */
bool lib_tell_flows(struct yg_stack *s);

/* lib_completion.c: something is done; what waits for a socket is cancelled. */
bool lib_completion_ready(const struct yg_stack *s);
void lib_completion_forget(struct yg_stack *s, int fd);
void lib_completion_destroy(struct yg_stack *s);

/* lib_device.c */
void lib_device_init(struct lib_own *s, const struct yg_stack_config *config);

#endif
