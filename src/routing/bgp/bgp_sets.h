/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The attribute sets that are held: each once, counted, known by a number. A set is what bgp_set_write writes
 * (stack/wire/bgp_attr.h), with what the decision reads of it in front.
 */
#ifndef YG_ROUTING_BGP_BGP_SETS_H
#define YG_ROUTING_BGP_BGP_SETS_H

#include "base/siphash.h"
#include "routing/bgp/bgp_hops.h"
#include "stack/wire/bgp_attr.h"

#define BGP_SET_NONE 0

struct bgp_set {
	uint32_t n_refs; /* 0: none, but free room: see bgp_sets.c */
	uint32_t hash;
	uint32_t local_pref, med;
	uint32_t neighbor_as; /* 0: none */
	uint32_t next_hop;
	uint32_t hop;           /* its number: bgp_hops.h */
	uint32_t originator_id; /* 0: none */
	uint16_t n_hops;        /* of AS_PATH, as the decision counts */
	uint16_t n_clusters;    /* of CLUSTER_LIST */
	uint16_t len;           /* of bytes */
	uint8_t origin;
	uint8_t n_spare : 7; /* units behind it that are too few for another set */
	uint8_t is_after_free : 1;
	uint8_t bytes[];
};

#define BGP_SETS_UNIT 8u /* bytes */
#define BGP_SETS_CHUNK_UNITS 8192u
/* Of the longest set. */
#define BGP_SETS_UNITS_MAX ((sizeof(struct bgp_set) + BGP_SET_MAX + BGP_SETS_UNIT - 1) / BGP_SETS_UNIT)

struct bgp_sets {
	struct siphash_key key;
	struct bgp_index index;
	struct bgp_hops hops; /* that the sets have */
	uint8_t **chunk;
	uint32_t n_chunks, n_chunks_max;
	/* Free room by its size in units, the last list that of so many or more: the first piece, each names the next.
	 */
	uint32_t free[BGP_SETS_UNITS_MAX + 1];
	uint64_t has_free[BGP_SETS_UNITS_MAX / 64 + 1]; /* a bit for each list that is not empty */
	uint32_t n;                                     /* sets */
	uint64_t n_bytes;                               /* that they take */
	uint8_t scratch[BGP_SET_MAX];
};

/* bytes_max: for sets, rounded up to chunks of 64 KiB. 0 or -ENOMEM. */
int bgp_sets_init(struct bgp_sets *s, const struct siphash_key *key, uint64_t bytes_max);
void bgp_sets_fini(struct bgp_sets *s);

/* The set of these attributes with that next hop, held once more; BGP_SET_NONE when there is no room for it, or for one
 * next hop more. */
uint32_t bgp_sets_take(struct bgp_sets *s, const struct bgp_attrs *a, uint32_t next_hop);
/* The same of the set that stands in s->scratch, len bytes in the form of bgp_set_write. */
uint32_t bgp_sets_take_scratch(struct bgp_sets *s, size_t len);
/* Holds it n times more; lets it go n times. The last one that lets go ends it. */
void bgp_sets_hold(struct bgp_sets *s, uint32_t set, uint32_t n);
void bgp_sets_let_go(struct bgp_sets *s, uint32_t set, uint32_t n);

static inline struct bgp_set *bgp_sets_at(const struct bgp_sets *s, uint32_t set)
{
	return (struct bgp_set *)(void *)(s->chunk[set / BGP_SETS_CHUNK_UNITS] +
					  (size_t)(set % BGP_SETS_CHUNK_UNITS) * BGP_SETS_UNIT);
}

#endif
