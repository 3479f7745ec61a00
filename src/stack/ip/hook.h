/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The five hook points, each a short list sorted by priority, with Linux's
 * names and numbers (include/uapi/linux/netfilter_ipv4.h).
 */
#ifndef YG_STACK_IP_HOOK_H
#define YG_STACK_IP_HOOK_H

#include <stdint.h>

#include "stack/packet/packet.h"
#include "stack/packet/stage.h"

enum ip_hook { HOOK_PREROUTING, HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT, HOOK_POSTROUTING, N_HOOKS };

enum hook_priority {
	HOOK_PRI_FIRST = -2147483647,
	HOOK_PRI_DEFRAG = -400,
	HOOK_PRI_RAW = -300,
	HOOK_PRI_CONNTRACK = -200,
	HOOK_PRI_MANGLE = -150,
	HOOK_PRI_DSTNAT = -100,
	HOOK_PRI_FILTER = 0,
	HOOK_PRI_SECURITY = 50,
	HOOK_PRI_SRCNAT = 100,
	HOOK_PRI_CONFIRM = 2147483647,
};

/* Looks at every packet of b and leaves its verdict in the packet: nothing to
 * do for VERDICT_CONTINUE, packet_set_drop, or VERDICT_STOLEN after taking it.
 * b itself stays as it is; the runner settles it. A hook that may free what it
 * took before it returns sets its place in b to NULL instead. */
typedef void hook_fn(void *ctx, enum ip_hook hook, struct batch *b);

#define HOOK_LIST_MAX 32

struct hook_entry {
	int32_t priority;
	const char *name; /* for people; lives as long as the entry */
	hook_fn *fn;
	void *ctx;
	struct stage_stats stats;
};

struct hook_list {
	uint32_t n;
	struct hook_entry entry[HOOK_LIST_MAX];
};

extern const char *const hook_names[N_HOOKS]; /* "prerouting" ... */

/* Inserts behind entries of the same priority. 0 or -ENOSPC. */
int hook_list_add(struct hook_list *list, const struct hook_entry *e);

/* Gives entries of list the numbers that the same ones (by function, priority and name) have in old. */
void hook_list_keep_stats(struct hook_list *list, const struct hook_list *old);

struct env;
/* Runs the list over b; what was dropped or stolen is gone from b afterwards. */
void hook_run(struct env *env, struct hook_list *list, enum ip_hook hook, struct batch *b);

#endif
