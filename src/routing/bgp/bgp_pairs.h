/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The prefixes of a table by the set of their best path, for a full dump: pairs of set and number, sorted, made in
 * slices while the table changes. What has changed since is noted beside them, and is not to be told by them.
 */
#ifndef YG_ROUTING_BGP_BGP_PAIRS_H
#define YG_ROUTING_BGP_BGP_PAIRS_H

#include "routing/bgp/bgp_bits.h"
#include "routing/bgp/bgp_table.h"

/* A set in the high half, a number in the low one. */
typedef uint64_t bgp_pair;

static inline bgp_pair bgp_pair_of(uint32_t set, uint32_t number)
{
	return (uint64_t)set << 32 | number;
}

static inline uint32_t bgp_pair_set(bgp_pair p)
{
	return (uint32_t)(p >> 32);
}

static inline uint32_t bgp_pair_number(bgp_pair p)
{
	return (uint32_t)p;
}

#define BGP_BATCH_MAX 8192u

/* Sorts by the lowest so many bits of the set, leaving those in order that have the same; at most BGP_BATCH_MAX pairs.
 * spare has room for as many. */
void bgp_pairs_sort_batch(bgp_pair *p, uint32_t n, uint32_t bits, bgp_pair *spare);

#define BGP_PAIRS_BUCKETS 2048u

enum bgp_pairs_phase { BGP_PAIRS_COLLECT, BGP_PAIRS_SPREAD, BGP_PAIRS_SORT, BGP_PAIRS_READY };

struct bgp_pairs {
	struct bgp_pairs *next; /* the user's */
	uint32_t n_users;       /* the user's */
	enum bgp_pairs_phase phase;
	bgp_pair *pair; /* n of them */
	uint32_t n, cap;
	struct bgp_bits changed;         /* numbers, since it was begun: the user sets them */
	uint32_t at;                     /* of the phase: number, bucket, bucket */
	uint32_t shift;                  /* of a set: its bucket */
	uint32_t end[BGP_PAIRS_BUCKETS]; /* collecting: how many; then where each ends */
	uint32_t head[BGP_PAIRS_BUCKETS];
	bgp_pair spare[BGP_BATCH_MAX];
};

/* NULL without memory: 8 bytes for each number of the table. */
struct bgp_pairs *bgp_pairs_begin(const struct bgp_table *t);
void bgp_pairs_free(struct bgp_pairs *p);
/* A slice of well under a millisecond. True when they are ready. */
bool bgp_pairs_work(struct bgp_pairs *p, const struct bgp_table *t);

#endif
