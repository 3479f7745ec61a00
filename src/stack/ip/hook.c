/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The hook lists: sorted when an entry comes in, so that running one is a walk.
 *
 * Always: entry[i].priority <= entry[i + 1].priority, and equal ones stand in
 * the order in which they were added, as in Linux.
 *
 * A batch is settled behind every entry, so no hook sees a packet that an
 * earlier one dropped or took.
 *
 * Next: src/stack/ip/input.c behind PREROUTING, src/stack/ip/local.c behind INPUT,
 * src/stack/ip/output.c behind FORWARD, OUTPUT and POSTROUTING
 */
#include "stack/ip/hook.h"

#include <errno.h>
#include <string.h>

#include "stack/packet/env.h"

const char *const hook_names[N_HOOKS] = {
	[HOOK_PREROUTING] = "prerouting",   [HOOK_INPUT] = "input",
	[HOOK_FORWARD] = "forward",         [HOOK_OUTPUT] = "output",
	[HOOK_POSTROUTING] = "postrouting",
};

int hook_list_add(struct hook_list *list, const struct hook_entry *e)
{
	uint32_t at = list->n;

	if (list->n == HOOK_LIST_MAX)
		return -ENOSPC;
	while (at > 0 && list->entry[at - 1].priority > e->priority)
		at--;
	memmove(&list->entry[at + 1], &list->entry[at], (list->n - at) * sizeof(list->entry[0]));
	list->entry[at] = *e;
	list->n++;
	return 0;
}

void hook_list_keep_stats(struct hook_list *list, const struct hook_list *old)
{
	for (uint32_t i = 0; i < list->n; i++) {
		struct hook_entry *e = &list->entry[i];

		for (uint32_t k = 0; k < old->n; k++) {
			const struct hook_entry *was = &old->entry[k];

			if (was->fn == e->fn && was->priority == e->priority && strcmp(was->name, e->name) == 0)
				e->stats = was->stats;
		}
	}
}

void hook_run(struct env *env, struct hook_list *list, enum ip_hook hook, struct batch *b)
{
	struct stage_stats *outer = env->stages.at_work;

	if (list->n == 0 || b->n == 0)
		return;
	for (uint32_t i = 0; i < list->n && b->n > 0; i++) {
		stage_next_at(&env->stages, &list->entry[i].stats, b->n);
		list->entry[i].fn(list->entry[i].ctx, hook, b);
		batch_settle(b, env->pool, &env->ledger);
	}
	stage_leave(&env->stages, outer);
}
