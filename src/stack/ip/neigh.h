/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Neighbours: which Ethernet address an IPv4 address on a link has (RFC 826, RFC
 * 1122 section 2.3.2), with the states and times of RFC 4861 section 7.3, named
 * as Linux names them.
 */
#ifndef YG_STACK_IP_NEIGH_H
#define YG_STACK_IP_NEIGH_H

#include "base/pool.h"
#include "base/siphash.h"
#include "base/timer.h"
#include "stack/ip/stack.h"

/* RFC 4861 section 10, with a second between probes. */
#define NEIGH_REACHABLE_NS (30 * NS_PER_S) /* times 0.5 to 1.5 */
#define NEIGH_DELAY_NS (5 * NS_PER_S)
#define NEIGH_PROBE_NS NS_PER_S
#define NEIGH_UNICAST_PROBES 3
#define NEIGH_BROADCAST_PROBES 3
/* A stale entry that nobody uses goes after this. */
#define NEIGH_STALE_NS (600 * NS_PER_S)
/* How long a failure is remembered: packets are refused at once meanwhile. */
#define NEIGH_FAILED_NS (5 * NS_PER_S)

enum neigh_state {
	NEIGH_INCOMPLETE, /* asked, no answer yet; packets are held */
	NEIGH_REACHABLE,  /* confirmed a short while ago */
	NEIGH_STALE,      /* known, not confirmed lately, not used since */
	NEIGH_DELAY,      /* used while stale; somebody may confirm it yet */
	NEIGH_PROBE,      /* asking it directly */
	NEIGH_FAILED,     /* did not answer */
	N_NEIGH_STATES
};

struct neigh {
	uint32_t ifindex;
	uint32_t addr;
	struct ether_addr mac; /* valid but in INCOMPLETE and FAILED */
	uint8_t state;         /* enum neigh_state */
	uint8_t n_probes;      /* sent in this state */
	bool in_use;
	bool queued;        /* on a list of those that may give way */
	bool link_was_down; /* STALE since then: another station may have the address */
	uint16_t asker;     /* on whose behalf it is asked: a number of neigh_table.asker */
	struct timer_node timer;
	uint32_t hash_next;
	uint32_t older, newer; /* that list */
	uint32_t n_held;
	struct packet *held_first, *held_last; /* through packet.next */
	uint64_t confirmed_ns;
	uint64_t probed_ns; /* last request */
};

/* What a link, or a sender, has of the table. */
struct neigh_load {
	uint32_t n_asked; /* entries that are INCOMPLETE */
	uint32_t n_held;  /* packets */
};

/* Entries that may give way, by the time they became so. */
struct neigh_list {
	uint32_t oldest, newest;
};

#define NEIGH_ASKERS 1024u /* senders that meet in a number share it */

struct neigh_table {
	struct env *env;
	struct pool pool;
	struct neigh_load link[IP_INTERFACES_MAX], asker[NEIGH_ASKERS];
	struct neigh_load max_link, max_asker;
	uint32_t n_unknown, max_unknown; /* INCOMPLETE and FAILED */
	uint32_t *bucket;
	uint32_t n_buckets; /* a power of two */
	struct siphash_key hash_key;
	struct timer_wheel wheel;
	struct neigh_list stale, failed;
	uint32_t last; /* found last, or POOL_NONE */
	uint32_t n_held_all;
	uint32_t max_held, max_held_all;
	struct ip_adjacency *adjacency; /* by the entry's index */
	ip_adjacency_fn *changed;
	void *changed_ctx;
};

/* neigh_table.c: memory and order; NULL without memory. */
struct neigh_table *neigh_table_create(struct env *env, const struct ip_limits *limits);
void neigh_table_destroy(struct neigh_table *t);
static inline struct neigh *neigh_at(const struct neigh_table *t, uint32_t index)
{
	return pool_at(&t->pool, index);
}
uint32_t neigh_index(const struct neigh_table *t, const struct neigh *n);
/* NULL when there is none. */
struct neigh *neigh_find(struct neigh_table *t, uint32_t ifindex, uint32_t addr);
/* A new entry, INCOMPLETE; in a full table the oldest that may give way does: a FAILED one before any that is STALE.
 * NULL when none may. */
struct neigh *neigh_make(struct neigh_table *t, uint32_t ifindex, uint32_t addr);
/* The same for p, whose neighbour nobody knows: within what its sender, its link and all that is unknown may have of
 * the table. NULL, and *why. */
struct neigh *neigh_make_for(struct neigh_table *t, const struct packet *p, enum drop_reason *why);
/* Of the flow cache entries, those that hold this number are void, and no others. */
void neigh_void(struct neigh_table *t, uint32_t index);
/* The entry holds no packets any more. */
void neigh_remove(struct neigh_table *t, struct neigh *n);
/* Changes the state and keeps the list of those that may give way. */
void neigh_set_state(struct neigh_table *t, struct neigh *n, enum neigh_state state);
/* At the tail of its queue; drops by name what finds no room. */
void neigh_hold(struct neigh_table *t, struct neigh *n, struct packet *p);
/* Takes the whole queue out, as a list through packet.next. */
struct packet *neigh_take_held(struct neigh_table *t, struct neigh *n);

static inline void neigh_tell_changed(const struct neigh_table *t, uint32_t index, enum ip_adjacency_change change)
{
	if (t->changed != NULL)
		t->changed(t->changed_ctx, index, change);
}

/* neigh.c: the life of an entry. */

/* Something is sent to a STALE neighbour. */
void neigh_use_stale(struct ip_stack *s, struct neigh *n);

/* Sends p to p->next_hop on p->out_ifindex, holds it, or drops it by name. */
void neigh_output(struct ip_stack *s, struct packet *p);

enum neigh_proof {
	NEIGH_PROOF_HEARSAY, /* it said so of its own accord */
	NEIGH_PROOF_ANSWER,  /* it answered a question of ours */
};
enum neigh_create {
	NEIGH_CREATE_NO, /* only if we know it already (RFC 826's merge) */
	NEIGH_CREATE_YES,
};
/* addr on ifindex says that it has mac. */
void neigh_learn(struct ip_stack *s, uint32_t ifindex, uint32_t addr, const struct ether_addr *mac,
		 enum neigh_proof proof, enum neigh_create create);
void neigh_expire(struct ip_stack *s);
uint64_t neigh_next_deadline(const struct ip_stack *s);
/* The interface is gone: so are its neighbours, and what they held. */
void neigh_drop_interface(struct ip_stack *s, uint32_t ifindex);
/* The device came up: nothing known is sure, and what was asked is asked again. */
void neigh_refresh_interface(struct ip_stack *s, uint32_t ifindex);

#endif
