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
 * src/stack/ip/forward.c behind FORWARD, src/stack/ip/output.c behind OUTPUT and POSTROUTING
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

/* What the entry has left: packets that it took and may have freed are NULL by now. */
static void tell_done(struct env *env, struct trace_step *step, const struct batch *b)
{
	step->kind = TRACE_HOOK_DONE;
	for (uint32_t i = 0; i < b->n; i++) {
		step->p = b->p[i];
		if (step->p == NULL)
			continue;
		step->hook.verdict = step->p->verdict;
		env_trace(env, step);
	}
}

/* The same as running it, told before and behind. */
static void run_traced(struct env *env, struct hook_list *list, uint32_t i, enum ip_hook hook, struct batch *b)
{
	struct hook_entry *e = &list->entry[i];
	struct trace_step step = { .kind = TRACE_HOOK,
				   .hook = { .hook = (uint8_t)hook, .entry = i, .priority = e->priority } };

	trace_batch(&env->trace, &step, b);
	e->fn(e->ctx, hook, b);
	tell_done(env, &step, b);
}

void hook_run(struct env *env, struct hook_list *list, enum ip_hook hook, struct batch *b)
{
	struct stage_stats *outer = env->stages.at_work;

	if (list->n == 0 || b->n == 0)
		return;
	for (uint32_t i = 0; i < list->n && b->n > 0; i++) {
		stage_next_at(&env->stages, &list->entry[i].stats, b->n);
		if (env_traced(env))
			run_traced(env, list, i, hook, b);
		else
			list->entry[i].fn(list->entry[i].ctx, hook, b);
		batch_settle(b, env->pool, &env->ledger);
	}
	stage_leave(&env->stages, outer);
}
