/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the shortcut share.
 */
#ifndef YG_GATEWAY_FLOWCACHE_SHORTCUT_PRIV_H
#define YG_GATEWAY_FLOWCACHE_SHORTCUT_PRIV_H

#include "gateway/conntrack/flow.h"
#include "gateway/flowcache/shortcut.h"

struct shortcuts {
	struct env *env;
	struct ip_stack *ip;
	struct conntrack *ct;
	struct nat *nat;
	struct ct_flows flows;
	const struct ip_adjacency *adjacency;    /* by number */
	struct rules_trail *trail;               /* likewise */
	uint16_t generation;                     /* never 0 */
	uint16_t trails_since;                   /* the generation in which the present trails began */
	uint8_t mode;                            /* enum shortcuts_mode */
	uint32_t one_way_ifindex;                /* while a one-way flow is offered: where it comes in */
	const struct shortcuts_offload *offload; /* NULL: nobody */
	/* The packets of offloaded connections that came up and are not flushed yet. */
	uint32_t n_came_up;
	struct {
		uint32_t ref;
		struct up_stamp stamp;
		bool taken;
	} came_up[BATCH_MAX];
	uint64_t count[N_SHORTCUT_COUNTS];
};

static inline struct ct_shortcut *shortcut_entry(const struct shortcuts *s, uint32_t ref)
{
	return &ct_flow_half(&s->flows, ref)->shortcut;
}

/* The kernel may have its connection; but its adjacency may be another neighbour's by now. */
static inline bool shortcut_present(const struct shortcuts *s, uint32_t ref)
{
	return shortcut_entry(s, ref)->generation == s->generation;
}

static inline bool shortcut_valid(const struct shortcuts *s, uint32_t ref)
{
	const struct ct_shortcut *e = shortcut_entry(s, ref);

	return shortcut_present(s, ref) && e->adjacency_generation == s->adjacency[e->adjacency].generation;
}

/* Its trail is a present one, also when it is void. */
static inline bool shortcut_trail_holds(const struct shortcuts *s, const struct ct_shortcut *e)
{
	return e->generation != 0 &&
	       (uint16_t)(s->generation - e->generation) <= (uint16_t)(s->generation - s->trails_since);
}

/* The kernel had the connection of ref when the shortcut was good, and may owe something for it. */
static inline bool shortcut_owed(const struct shortcuts *s, uint32_t ref)
{
	return shortcut_entry(s, ref)->offloaded;
}

/* The kernel has the connection of ref. */
static inline bool shortcut_offloaded(const struct shortcuts *s, uint32_t ref)
{
	return shortcut_present(s, ref) && shortcut_owed(s, ref);
}

/* offload.c */
/* Takes it back from whoever forwards in our stead, if somebody does; what was forwarded is credited. */
void shortcut_take_back(struct shortcuts *s, uint32_t conn);
/* All that is owed is credited. */
void shortcut_read_back_all(struct shortcuts *s);
/* Offers the connection when the time has come. */
void shortcut_offer(struct shortcuts *s, uint32_t conn);
/* The same for one that nobody has answered, whose packets come in there. */
void shortcut_offer_one_way(struct shortcuts *s, uint32_t conn, uint32_t in_ifindex);
/* A packet came up: what the kernel has forwarded before it is credited. */
void shortcut_comes_up(struct shortcuts *s, uint32_t ref);
/* It went by the shortcut, or was left: noted for shortcuts_flushed. */
void shortcut_came_up(struct shortcuts *s, uint32_t ref, const struct up_stamp *stamp, bool taken);

#endif
