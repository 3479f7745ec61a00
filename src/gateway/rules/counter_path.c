/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counter paths: sequences of counters, each by one number. They form a tree: a counter path is
 * its parent and one counter more, found by a hash of both.
 *
 * Life: made as packets walk. When another ruleset comes they keep their numbers,
 * for flows that somebody else forwards still count by them; deferred counts go to
 * those rules of a counter path that the new ruleset has as well. When half of the
 * numbers are taken by then, all begin again instead (rules_counter_paths_crowded).
 * What somebody added to a counter path is deferred, for all counters on it, until
 * counter_paths_flush; whoever reads a counter has that done first.
 *
 * What always holds: a counter path's parent has a smaller number, so every way up ends
 * at 0.
 */
#include "gateway/rules/rules_priv.h"

#include <string.h>

void counter_paths_clear(struct paths *t)
{
	memset(t->count, 0, sizeof(t->count));
	memset(t->slot, 0, sizeof(t->slot));
	t->n = 1;
}

static uint32_t slot_of(uint16_t from, uint32_t counter)
{
	uint32_t h = (counter * RULES_COUNTER_PATHS_MAX + from) * UINT32_C(2654435761);

	return (h >> 16) % COUNTER_PATH_SLOTS;
}

uint16_t counter_path_step(struct paths *t, uint16_t from, uint32_t counter)
{
	uint32_t i = slot_of(from, counter);

	if (from == RULES_COUNTER_PATH_NONE)
		return RULES_COUNTER_PATH_NONE;
	/* Half of the slots stay free, so this ends. */
	for (; t->slot[i] != 0; i = (i + 1) % COUNTER_PATH_SLOTS) {
		const struct counter_path_node *n = &t->node[t->slot[i]];

		if (n->counter == counter && n->parent == from)
			return t->slot[i];
	}
	if (t->n == RULES_COUNTER_PATHS_MAX)
		return RULES_COUNTER_PATH_NONE;
	t->node[t->n] = (struct counter_path_node){ .counter = counter, .parent = from };
	t->slot[i] = (uint16_t)t->n;
	return (uint16_t)t->n++;
}

void counter_paths_flush(struct paths *t, struct counter *counter)
{
	for (uint32_t i = 1; i < t->n; i++) {
		struct rules_counter_path *deferred = &t->count[i];

		if (deferred->packets == 0)
			continue;
		for (uint32_t k = i; k != 0; k = t->node[k].parent) {
			if (t->node[k].counter == RULES_NO_PLACE)
				continue;
			counter[t->node[k].counter].packets += deferred->packets;
			counter[t->node[k].counter].bytes += deferred->bytes;
		}
		*deferred = (struct rules_counter_path){ 0 };
	}
}

void counter_paths_renumber(struct paths *t, const uint32_t *to)
{
	memset(t->slot, 0, sizeof(t->slot));
	for (uint32_t i = 1; i < t->n; i++) {
		struct counter_path_node *n = &t->node[i];
		uint32_t at;

		if (n->counter != RULES_NO_PLACE)
			n->counter = to[n->counter];
		if (n->counter == RULES_NO_PLACE) /* no walk comes by any more */
			continue;
		for (at = slot_of(n->parent, n->counter); t->slot[at] != 0; at = (at + 1) % COUNTER_PATH_SLOTS)
			;
		t->slot[at] = (uint16_t)i;
	}
}
