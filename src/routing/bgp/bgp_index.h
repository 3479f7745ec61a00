/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From a hash to the numbers that have it: open addressing, grown in slices, so that no insertion has to wait for all.
 * Who asks compares what the numbers stand for; the index itself never looks at it.
 */
#ifndef YG_ROUTING_BGP_BGP_INDEX_H
#define YG_ROUTING_BGP_BGP_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct bgp_slot {
	uint32_t hash, value; /* value 0: free */
};

struct bgp_slots {
	struct bgp_slot *slot; /* NULL: none */
	uint32_t mask;
};

struct bgp_index {
	struct bgp_slots now, old; /* old: what is not moved yet */
	struct bgp_slots next;     /* twice as large, empty: for when it is needed */
	uint32_t touched;          /* slots of next of which the memory is there, from 0 on */
	uint32_t n;
	uint32_t moved; /* slots of old that are empty already, from 0 on */
};

/* 0 or -ENOMEM. */
int bgp_index_init(struct bgp_index *ix);
void bgp_index_fini(struct bgp_index *ix);
/* value is not 0, and not there yet. False when there is no memory: then nothing has changed. */
bool bgp_index_add(struct bgp_index *ix, uint32_t hash, uint32_t value);
/* value is there. */
void bgp_index_remove(struct bgp_index *ix, uint32_t hash, uint32_t value);

static inline void bgp_index_prefetch(const struct bgp_index *ix, uint32_t hash)
{
	prefetch_read(&ix->now.slot[hash & ix->now.mask]);
}

/* Goes through the values that have a hash: *at is 0 at first. Returns 0 behind the last. */
static inline uint32_t bgp_index_next(const struct bgp_index *ix, uint32_t hash, uint64_t *at)
{
	const uint64_t in_old = UINT64_C(1) << 32;

	for (; (*at & in_old) == 0; ++*at) {
		const struct bgp_slot *s = &ix->now.slot[(hash + (uint32_t)*at) & ix->now.mask];

		if (s->value == 0) {
			*at = in_old;
			break;
		}
		if (s->hash == hash) {
			++*at;
			return s->value;
		}
	}
	for (; ix->old.slot != NULL; ++*at) {
		const struct bgp_slot *s = &ix->old.slot[(hash + (uint32_t)*at) & ix->old.mask];

		if (s->value == 0)
			break;
		if (s->hash == hash) {
			++*at;
			return s->value;
		}
	}
	return 0;
}

#endif
