/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ways of the RIB by which several paths of one prefix share what goes there (bgp_rib.c).
 */
#ifndef YG_ROUTING_BGP_BGP_SHARED_H
#define YG_ROUTING_BGP_BGP_SHARED_H

#include "routing/bgp/bgp_index.h"
#include "routing/rib/rib.h"

/* A next hop by a neighbour. */
struct bgp_member {
	uint32_t hop, addr;
	uint32_t owner; /* rib_path.owner */
};

#define BGP_SHARED_MAX 16384u /* ways at once */

struct bgp_shared_way {
	uint32_t way; /* RIB_NO_WAY: not in use */
	uint32_t hash;
	uint32_t next_free;
	uint32_t n;
	struct bgp_member member[FIB_PATHS_MAX]; /* by address, then owner */
};

struct bgp_shared {
	struct bgp_index index; /* values are one more than numbers */
	struct bgp_shared_way *way;
	uint32_t n, n_used, cap, first_free;
	uint32_t gather_at; /* as many as that: those that nobody uses are given back */
};

/* 0 or -ENOMEM. */
int bgp_shared_init(struct bgp_shared *s);
void bgp_shared_fini(struct bgp_shared *s, struct rib *r);
/* The way of these (2 to FIB_PATHS_MAX, of different addresses, in any order: they are put in order), RIB_NO_WAY: it is
 * not there. */
uint32_t bgp_shared_find(const struct bgp_shared *s, struct bgp_member *m, uint32_t n);
/* The same, made if need be, like `as` in all but the paths; RIB_NO_WAY without memory or room. */
uint32_t bgp_shared_get(struct bgp_shared *s, struct rib *r, const struct rib_route *as, struct bgp_member *m,
			uint32_t n);
/* No path has that next hop any more. */
void bgp_shared_forget(struct bgp_shared *s, struct rib *r, uint32_t hop);

#endif
