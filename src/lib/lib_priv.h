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
#define LIB_FIRST_SOCKET 3u

struct yg_stack {
	struct env env;
	struct ip_config cfg[2]; /* one is in use, the other is the next one */
	uint32_t cfg_in_use;
	struct fib *fib;
	struct ip_stack *ip;
	struct sockets *ss;
	struct lib_link link;
	yg_output_fn *output;
	yg_changed_fn *changed;
	void *ctx;
	yg_wait_fn *wait;
	void *wait_ctx;
	struct lib_completion *completion; /* NULL: nothing was submitted yet */
	uint32_t n_sockets;
	yg_flow_fn *flow;
	void *flow_ctx;
	uint32_t depth; /* of calls into it */
	/* What came while somebody was in it. */
	struct lib_waiting waiting;
	struct lib_trace *traces;
	uint64_t told_deadline;
	int told_ready;
};

/* A public packet is one of the pool. */
static inline struct packet *lib_packet(const struct yg_packet *p)
{
	return (struct packet *)(uintptr_t)p;
}

/* Around whatever a call does: at the end what was made goes out, and what came meanwhile is taken in. */
void lib_enter(struct yg_stack *s);
void lib_leave(struct yg_stack *s);

/* lib_list.c */
struct sockaddr_storage lib_name_of(const struct tcp_end *e);
/* fd is about to be closed, or all are (-1). */
void lib_trace_end(struct yg_stack *s, int fd);

/* lib_forward.c: tells the owner of what is held; true: it has done something meanwhile, maybe. */
bool lib_tell_flows(struct yg_stack *s);

/* lib_completion.c: something is done; what waits for a socket is cancelled. */
bool lib_completion_ready(const struct yg_stack *s);
void lib_completion_forget(struct yg_stack *s, int fd);
void lib_completion_destroy(struct yg_stack *s);

/* lib_device.c */
void lib_device_init(struct yg_stack *s, const struct yg_stack_config *config);

#endif
