/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the commands work on: the rooms of a running core, and the slots that
 * src/daemon/run fills in for what lies above this room.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_TARGET_H
#define YG_DAEMON_CONTROL_COMMANDS_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/conntrack/conntrack.h"
#include "daemon/fastpath/offload.h"
#include "stack/ip/stack.h"
#include "gateway/nat/nat.h"
#include "stack/packet/env.h"
#include "routing/rib/rib.h"
#include "gateway/rules/rules.h"
#include "stack/socket/ping_socket.h"
#include "stack/socket/socket.h"

struct bgp_speaker;
struct bgp_table;
struct config_bgp;
struct core_socket_call;

typedef void control_fn(void *arg);

_Static_assert(N_EVENT_KINDS <= 32, "a set of kinds is 32 bits");

#define CONTROL_CORES_MAX 64
#define CONTROL_RUNTIME_ROUTES_MAX (2u << 20)
#define CONTROL_DEAD_HOPS_MAX 64u

/* The rooms of one worker. Read and changed only inside `call` to that worker, but for the config that ip_stack_config
 * returns: that is const, the same for all, and only the control thread swaps it. Rules and hooks are the same in all,
 * in the same order. A device in `ip` is this worker's own handle of it: its counters are summed over the workers. */
#define CONTROL_CORE \
	struct env *env; \
	struct ip_stack *ip; \
	struct conntrack *conntrack; \
	struct nat *nat; \
	struct rules *rules; \
	struct ping_sockets *raw; \
	struct sockets *sockets /* of the host; NULL: it has none */

struct control_core {
	CONTROL_CORE;
};

/* Packets between the workers of a group. With them the law holds across workers:
 *   handed over (of all) + n_external = taken over (of all) + n_waiting */
struct control_between {
	uint64_t n_waiting;  /* in rings: put there, not taken over yet */
	uint64_t n_external; /* of those that went by their address: not back yet, so still held where they came from */
	uint64_t n_asked, n_redirects_lost; /* as in struct workers_between */
};

struct control_bgp_rpki; /* bgp_rpki_view.h */
struct bgp_neighbor_view;
struct bgp_set;
struct policy_verdict;

/* BGP, which lives in the control thread. */
struct control_bgp {
	struct bgp_speaker *speaker;
	struct bgp_table *table;
	const struct config_bgp *config;
	const struct control_bgp_rpki *rpki;
	const char *transport; /* "kernel": whose TCP */
	bool is_listening;
	/* Prefixes that the neighbour with this number has been told; false: it is not up. */
	bool (*told)(void *ctx, uint32_t number, uint32_t *n);
	void (*wake)(void *ctx); /* something was asked of the speaker */
	/* What import makes of a path of that neighbour, as received: which rule or line, and why. */
	void (*explain)(void *ctx, const struct bgp_neighbor_view *v, struct ip4_prefix prefix,
			const struct bgp_set *received, struct policy_verdict *out);
	void *ctx;
};

/* Log records of all workers, since the start: made = read + waiting + lost. */
struct control_log_counts {
	uint64_t n_made, n_read, n_waiting, n_lost;
};

struct control_target {
	uint32_t n_cores; /* at least 1, the same for good */
	union {
		struct control_core core[CONTROL_CORES_MAX];
		struct {
			CONTROL_CORE; /* of core 0, which answers for all where all are the same */
		};
	};

	/* The host when it has a thread of its own: env, ip, raw and sockets, the rest is NULL. Else core 0 is the
	 * host. */
	bool has_host;
	struct control_core host;

	void *ctx;
	/* Runs fn in the worker of a core, with the core's clock set, between two batches, and waits for it. What fn
	 * does must be short: packets wait. Called from the control thread only. */
	void (*call)(void *ctx, uint32_t core, control_fn *fn, void *arg);
	/* Runs fn once, in whatever thread, while every worker is quiesced between two batches with its core's clock
	 * set: fn may read and change all cores. All packets wait, so it is for what must be of one moment. Called from
	 * the control thread only. NULL is allowed with one core and no host: then it is `call`. */
	void (*call_all)(void *ctx, control_fn *fn, void *arg);
	/* The same as `call` in the thread of the host, which may be at something that takes a second. NULL: that of
	 * core 0. */
	void (*call_host)(void *ctx, control_fn *fn, void *arg);
	/* Inside call_all: what is on its way between workers, and between them and the host. NULL with one core and no
	 * host. */
	void (*between)(void *ctx, struct control_between *out);
	/* Inside call_host, whose raw sockets these are: what changes it, so that a recording has it too. */
	int (*ping_socket_open)(void *ctx);
	void (*ping_socket_close)(void *ctx, int socket);
	int (*ping_socket_send)(void *ctx, int socket, const struct ping_request *rq);
	int64_t (*socket_call)(void *ctx, struct core_socket_call *call);
	/* In the host's thread: a command has something to do (`raw` of command.h). */
	void (*wake_control)(void *ctx);
	/* Inside `call` of that core; index is of its conntrack. */
	void (*end_connection)(void *ctx, uint32_t core, uint32_t index, enum ct_end_reason reason);
	/* Control thread. */
	const struct rib *(*rib)(void *ctx);
	/* Changes of routes of commands: source RIB_RUNTIME, interfaces by their numbers. In force with flush_routes,
	 * and without it before the control thread waits again. 0, -ENOENT (there is none to be unset), -ENOSPC
	 * (CONTROL_RUNTIME_ROUTES_MAX) or -ENOMEM. Control thread. */
	int (*set_route)(void *ctx, const struct rib_route *route);
	int (*unset_route)(void *ctx, const struct rib_route *route);
	int (*flush_routes)(void *ctx);
	/* Routes go by this neighbour no more, or again: at once. 0, -EALREADY or -ENOSPC (CONTROL_DEAD_HOPS_MAX).
	 * Control thread. */
	int (*change_next_hop)(void *ctx, uint32_t ifindex, uint32_t addr, bool up);
	/* The driver behind an interface as `run` chose it; "" when there is none. */
	const char *(*driver)(void *ctx, uint32_t ifindex);
	/* "native, copy" and the like, "" where a driver has but one; and one sentence: why this driver. May be NULL.
	 */
	const char *(*driver_mode)(void *ctx, uint32_t ifindex);
	const char *(*driver_note)(void *ctx, uint32_t ifindex);
	/* The kernel's fast path; NULL, and false when there is none. kernel_has and kernel_info inside `call` of that
	 * core: what the kernel has forwarded of a connection is credited first, and of all of the core's when that is
	 * quick. kernel_info tells of this core's connections; numbers of all cores are summed, so where cores share a
	 * capacity one of them has it and the others 0. */
	bool (*kernel_has)(void *ctx, uint32_t core, uint32_t conn);
	bool (*kernel_info)(void *ctx, uint32_t core, struct offload_map_info *out);
	/* Bytes that filled up short frames which the kernel forwarded, come and gone by this interface; NULL: none. */
	void (*kernel_padding)(void *ctx, uint32_t ifindex, uint64_t *in, uint64_t *out);
	/* Control thread; of the programs, so once for all cores. */
	bool (*kernel_counts)(void *ctx, struct fastpath_counts *out);
	/* NULL: no BGP. The neighbour's place in the config is the tag of its sessions. */
	const struct control_bgp *(*bgp)(void *ctx);
	/* Reads the config again. *report (freed by the caller, may be NULL) says what changed, or has the errors. */
	bool (*reload)(void *ctx, char **report);
	/* Reads it, and says what would change. */
	bool (*reload_foresee)(void *ctx, char **report);
	/* The config's generation when the gateway forwards, 0 before and after. */
	uint64_t (*ready)(void *ctx);
	/* What env->stages is measured by, and how many of that are a second. Control thread. NULL: by nothing. */
	const char *(*stage_clock)(void *ctx, uint64_t *hz);
	/* Kinds of events that somebody listens to (EVENT_BIT): connections cost nothing while nobody does. */
	void (*want_events)(void *ctx, uint32_t kinds);
	/* Log records; control thread. One reads at a time: log_open is false when somebody does, log_close lets the
	 * next one. log_next takes the oldest of those that wait in the workers' rings; false: none does. */
	bool (*log_open)(void *ctx);
	void (*log_close)(void *ctx);
	bool (*log_next)(void *ctx, struct log_record *out);
	void (*log_counts)(void *ctx, struct control_log_counts *out);
};

#endif
