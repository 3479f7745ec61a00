/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What rules keep when another ruleset takes over: a rule of the same table and
 * chain with the same words goes on counting, its limits have the tokens that
 * they had, and its numgen goes on where it was. Of several such rules in one
 * chain the first keeps what the first had, and so on.
 *
 * A rule is known by a hash of where it stands and of its words. Both rulesets
 * have their rules sorted by it, so one pass finds who is whose; that is done
 * when the new one is prepared, and the change over copies arrays of numbers.
 *
 * Whoever forwards in our stead counts by counter paths (counter_path.c). Their numbers stay,
 * and what comes in late goes to the counters of those rules of a counter path that
 * are still there.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/rules/rules_priv.h"

static int by_id(const void *a, const void *b)
{
	const struct rule_state *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

void rule_states_sort(struct ruleset *rs)
{
	if (rs->n_states > 1)
		qsort(rs->state, rs->n_states, sizeof(*rs->state), by_id);
}

static uint32_t *no_places(uint32_t n)
{
	uint32_t *place = malloc((n + 1) * sizeof(*place));

	for (uint32_t i = 0; place != NULL && i < n; i++)
		place[i] = RULES_NO_PLACE;
	return place;
}

static void pair(struct rules_plan *plan, const struct rule_state *was, const struct rule_state *is)
{
	for (uint32_t i = 0; i < min_u32(was->n_counters, is->n_counters); i++) {
		plan->counter_from[is->counter + i] = was->counter + i;
		plan->counter_to[was->counter + i] = is->counter + i;
	}
	for (uint32_t i = 0; i < min_u32(was->n_limits, is->n_limits); i++)
		plan->limit_from[is->limit + i] = was->limit + i;
	for (uint32_t i = 0; i < min_u32(was->n_nat_maps, is->n_nat_maps); i++)
		plan->turn_from[is->nat_map + i] = was->nat_map + i;
}

bool rules_plan_make(struct rules_plan *plan, const struct ruleset *old, const struct ruleset *new)
{
	static const struct ruleset none;
	uint32_t i = 0, k = 0;

	old = old == NULL ? &none : old;
	new = new == NULL ? &none : new;
	*plan = (struct rules_plan){ .counter_from = no_places(new->n_counters),
				     .counter_to = no_places(old->n_counters),
				     .limit_from = no_places(new->n_limits),
				     .turn_from = no_places(new->n_nat_maps) };
	if (plan->counter_from == NULL || plan->counter_to == NULL || plan->limit_from == NULL ||
	    plan->turn_from == NULL)
		return false;
	while (i < old->n_states && k < new->n_states) {
		if (old->state[i].id < new->state[k].id)
			i++;
		else if (old->state[i].id > new->state[k].id)
			k++;
		else
			pair(plan, &old->state[i++], &new->state[k++]);
	}
	return true;
}

void rules_plan_clear(struct rules_plan *plan)
{
	free(plan->counter_from);
	free(plan->counter_to);
	free(plan->limit_from);
	free(plan->turn_from);
	*plan = (struct rules_plan){ 0 };
}

void rules_plan_carry(const struct rules_plan *plan, const struct rules *old, struct rules *new)
{
	const struct ruleset *rs = new->rs;

	for (uint32_t i = 0; rs != NULL && i < rs->n_counters; i++)
		if (plan->counter_from[i] != RULES_NO_PLACE)
			new->counter[i] = old->counter[plan->counter_from[i]];
	for (uint32_t i = 0; rs != NULL && i < rs->n_limits; i++)
		if (plan->limit_from[i] != RULES_NO_PLACE)
			new->limit[i] = old->limit[plan->limit_from[i]];
	for (uint32_t i = 0; rs != NULL && i < rs->n_nat_maps; i++)
		if (plan->turn_from[i] != RULES_NO_PLACE)
			new->turn[i] = old->turn[plan->turn_from[i]];
}
