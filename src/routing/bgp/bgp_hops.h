/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The next hops of the sets that are held: each once, counted, known by a number, with what it costs to get there. Who
 * knows that (the RIB: bgp_rib.h) is asked when a next hop comes, and says when it changes.
 */
#ifndef YG_ROUTING_BGP_BGP_HOPS_H
#define YG_ROUTING_BGP_BGP_HOPS_H

#include "routing/bgp/bgp_index.h"

#define BGP_HOP_NONE UINT32_MAX
#define BGP_COST_NONE UINT32_MAX /* nothing leads there: a path by it cannot be chosen */
/* Of all neighbours; what comes with still another one finds no room. */
#define BGP_HOPS_MAX 32768u

struct bgp_resolver {
	/* No set had this next hop before. Returns its cost. May change nothing in the table. */
	uint32_t (*came)(void *user, uint32_t hop, uint32_t addr);
	/* No set has it any more; its number may be another's from now on. */
	void (*went)(void *user, uint32_t hop, uint32_t addr);
	/* A neighbour is lost, all of whose paths go (bgp_table_drop), or one is up. */
	void (*source_changed)(void *user, uint32_t source, bool up);
	void *user;
};

struct bgp_hop {
	uint32_t addr;
	uint32_t n_sets; /* 0: not in use; then `cost` is the next number that is free */
	uint32_t cost;
	uint32_t changed; /* bgp_hops.now when its cost last changed */
};

struct bgp_hops {
	struct bgp_index index; /* by address; values are one more than numbers */
	struct bgp_hop *hop;
	uint32_t n, cap;     /* numbers that were ever given out; room for */
	uint32_t first_free; /* BGP_HOP_NONE: none */
	uint32_t now;        /* how often a cost has changed */
	struct bgp_resolver resolver;
};

/* 0 or -ENOMEM. */
int bgp_hops_init(struct bgp_hops *h);
void bgp_hops_fini(struct bgp_hops *h);
/* Without one every next hop costs 0. Those that are there are asked for anew. NULL: none. */
void bgp_hops_ask(struct bgp_hops *h, const struct bgp_resolver *r);

/* One set more has it; BGP_HOP_NONE without memory or with BGP_HOPS_MAX of them. */
uint32_t bgp_hops_take(struct bgp_hops *h, uint32_t addr);
void bgp_hops_let_go(struct bgp_hops *h, uint32_t hop);
/* True when that is another one than before. */
bool bgp_hops_set_cost(struct bgp_hops *h, uint32_t hop, uint32_t cost);

static inline uint32_t bgp_hops_cost(const struct bgp_hops *h, uint32_t hop)
{
	return h->hop[hop].cost;
}

#endif
