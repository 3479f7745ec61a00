/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From BGP's table into the RIB: the best and the second best path of each prefix are two ways there, and what leads to
 * their next hops comes back as a cost for the decision. It is the RIB's feed (rib.h) and the table's resolver
 * (bgp_hops.h), and belongs to the thread that has both.
 */
#ifndef YG_ROUTING_BGP_BGP_RIB_H
#define YG_ROUTING_BGP_BGP_RIB_H

#include "routing/bgp/bgp_table.h"
#include "routing/rib/rib.h"

#define BGP_DISTANCE_EXTERNAL 20
#define BGP_DISTANCE_INTERNAL 200

struct bgp_rib_config {
	uint16_t zone;
	uint8_t distance_external, distance_internal; /* 0: those above */
	bool over_default;                            /* a default route may lead to next hops */
	uint8_t max_paths;            /* that share what goes to a prefix; 0: 1; at most FIB_PATHS_MAX */
	enum bgp_multipath multipath; /* ... which ones */
	/* There is work (bgp_rib_work), though nothing was said to the table: a route has changed. May be NULL. */
	void (*wake)(void *user);
	void *user;
};

struct bgp_rib;

/* From here on the table asks about next hops; what stands in it already goes into the RIB by bgp_rib_work. 0 or
 * -ENOMEM. */
int bgp_rib_create(struct bgp_rib **out, struct bgp_table *t, struct rib *r, const struct bgp_rib_config *c);
/* Its routes go; looks at `budget` prefixes at most. True: none is there. Behind the first call the table may change,
 * and that comes nowhere. */
bool bgp_rib_leave(struct bgp_rib *b, uint32_t budget);
/* Its routes go, if they have not. Before the table's end and the RIB's. NULL is allowed. */
void bgp_rib_destroy(struct bgp_rib *b);

/* What the table has said is in force: to be called behind each turn of updates. True when something has changed since
 * the last call. Some dozens of changes go by themselves before. */
bool bgp_rib_flush(struct bgp_rib *b);
/* Goes on with prefixes whose next hops cost something else now, and with what stood in the table at first; looks at
 * `budget` prefixes at most, and flushes. True: there is more. */
bool bgp_rib_work(struct bgp_rib *b, uint32_t budget);

/* The neighbour is lost, or up again: what goes by it goes by the second best at once, one write for each group,
 * before the table has let go of its paths (bgp_table_drop), or when they are to stay a while without it. Returns how
 * many ways it had. */
uint32_t bgp_rib_source_changed(struct bgp_rib *b, uint32_t source, bool up);

struct bgp_rib_stats {
	uint32_t n_hops, n_ways; /* next hops; ways: of a next hop and a neighbour */
	uint32_t n_shared;       /* ways of several */
	uint64_t n_changes;      /* of prefixes, that were given to the RIB */
	uint64_t n_no_way;       /* ... of which one had no way, for want of memory: it is tried again */
};
struct bgp_rib_stats bgp_rib_stats(const struct bgp_rib *b);

#endif
