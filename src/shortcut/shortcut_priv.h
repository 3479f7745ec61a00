/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the shortcut share.
 */
#ifndef YG_SHORTCUT_PRIV_H
#define YG_SHORTCUT_PRIV_H

#include "conntrack/flow.h"
#include "shortcut/shortcut.h"

struct shortcuts {
	struct env *env;
	struct ip_stack *ip;
	struct conntrack *ct;
	struct nat *nat;
	struct ct_flows flows;
	const struct ip_adjacency *adjacency;    /* by number */
	struct rules_trail *trail;               /* likewise */
	struct pool entries;                     /* used as an array */
	struct shortcut_entry *entry;            /* by reference: connection << 1 | direction */
	uint16_t generation;                     /* never 0 */
	uint8_t mode;                            /* enum shortcuts_mode */
	const struct shortcuts_offload *offload; /* NULL: nobody */
	/* The packets of offloaded connections that came up and are not flushed yet. */
	uint32_t n_came_up;
	struct {
		uint32_t ref;
		bool taken;
	} came_up[BATCH_MAX];
	uint64_t count[N_SHORTCUT_COUNTS];
};

static inline bool shortcut_valid(const struct shortcuts *s, uint32_t ref)
{
	return s->entry[ref].generation == s->generation;
}

/* The kernel has the connection of ref. */
static inline bool shortcut_offloaded(const struct shortcuts *s, uint32_t ref)
{
	return shortcut_valid(s, ref) && (s->entry[ref].flags & SHORTCUT_OFFLOADED) != 0;
}

/* offload.c */
/* Takes it back from whoever forwards in our stead, if somebody does. */
void shortcut_take_back(struct shortcuts *s, uint32_t conn);
/* Offers the connection when the time has come. */
void shortcut_offer(struct shortcuts *s, uint32_t conn);
/* A packet came up: what the kernel has forwarded before it is credited. */
void shortcut_comes_up(struct shortcuts *s, uint32_t ref);
/* It went by the shortcut, or was left: noted for shortcuts_flushed. */
void shortcut_came_up(struct shortcuts *s, uint32_t ref, bool taken);

#endif
