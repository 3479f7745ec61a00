/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A table of paths written as MRT records (TABLE_DUMP_V2, RFC 6396 section 4.3), in slices: what each neighbour has
 * announced, as received, also what import policy rejects. And records of others taken into a table.
 */
#ifndef YG_ROUTING_BGP_BGP_MRT_H
#define YG_ROUTING_BGP_BGP_MRT_H

#include "routing/bgp/bgp_table.h"
#include "stack/wire/mrt.h"

struct bgp_mrt_dump {
	const struct bgp_table *table;
	uint32_t time_s;                /* of the records, UTC */
	int64_t clock_s;                /* what to add to the table's clock for UTC */
	uint32_t at, seq;               /* next number of a prefix; of a record */
	uint32_t n_prefixes, n_paths;   /* written */
	uint16_t peer[BGP_SOURCES_MAX]; /* its place in the index table; UINT16_MAX: not there */
};

/* What is said of a source. False: it is left out, and its paths are. */
typedef bool bgp_mrt_peer_fn(void *user, uint32_t source, struct mrt_peer *out);

/* Begins a dump, and writes the peers' record. How many bytes; 0: there is no room. */
size_t bgp_mrt_begin(struct bgp_mrt_dump *d, const struct bgp_table *table, uint32_t collector, const char *view,
		     uint64_t time_s, uint64_t now_s, bgp_mrt_peer_fn *peer, void *user, uint8_t *p, size_t cap);
/* So many whole records of the next prefixes as there is room for, looking at `budget` at most. cap: at least
 * BGP_MRT_ROOM_MIN, which the longest has. How many bytes; more: whether there are more prefixes. A prefix that changes
 * meanwhile is there once, as it was or as it is. */
#define BGP_MRT_ROOM_MIN (MRT_HEADER_LEN + 11u + BGP_PATHS_MAX * (8u + BGP_SET_MAX))
size_t bgp_mrt_next(struct bgp_mrt_dump *d, uint8_t *p, size_t cap, uint32_t budget, bool *more);

/* The UPDATE that an entry of a table stands for, as p, at most BGP_MESSAGE_MAX bytes: it can be read by
 * bgp_update_parse, in a session with four-octet AS numbers. How many bytes; 0: it does not fit into a message. */
size_t bgp_mrt_update(uint8_t *p, struct ip4_prefix prefix, const struct mrt_entry *e);

#endif
