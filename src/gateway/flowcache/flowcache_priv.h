/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the flow cache share.
 */
#ifndef YG_GATEWAY_FLOWCACHE_FLOWCACHE_PRIV_H
#define YG_GATEWAY_FLOWCACHE_FLOWCACHE_PRIV_H

#include "gateway/conntrack/flow.h"
#include "gateway/flowcache/flowcache.h"
#include "stack/wire/plain.h"

struct flowcache {
	struct env *env;
	struct ip_stack *ip;
	struct conntrack *ct;
	struct nat *nat; /* NULL: nothing is translated */
	const struct rules *rules;
	struct ct_flows flows;
	const struct ip_adjacency *adjacency;    /* by number */
	struct rules_counter_path *path;         /* likewise */
	uint16_t generation;                     /* never 0 */
	uint16_t counter_paths_since;            /* the generation in which the present counter paths began */
	uint8_t mode;                            /* enum flowcache_mode */
	uint16_t to_us;                          /* the adjacency that stands for us */
	uint32_t one_way_ifindex;                /* while a one-way flow is offered: where it comes in */
	const struct flowcache_offload *offload; /* NULL: nobody */
	/* The packets of offloaded connections that came up and are not flushed yet. */
	uint32_t n_came_up;
	struct {
		uint32_t ref;
		struct up_stamp stamp;
		bool taken;
	} came_up[BATCH_MAX];
	uint64_t count[N_FLOWCACHE_COUNTS];

	/* local.c: conntrack's moment, of that time and generation */
	struct ct_moment moment;
	uint64_t moment_at;
	uint16_t moment_generation;

	/* sweep.c */
	const _Atomic(uint64_t) *routes_version;
	uint64_t routes_seen; /* flows have been, or are being, held against the routes of then */
	const struct lost_hops *lost;
	uint64_t n_lost_seen; /* flows by these take the slow path */
	bool sweeping;
	uint32_t sweep_at; /* the connection that is next */
	uint64_t next_slice_ns, next_sweep_ns;
};

/* In an entry, for the interface that a packet of the host's comes in by: this, and the one that its socket is bound
 * to. 0 is a one-way flow's. */
#define FLOWCACHE_MADE_HERE 128u

static inline uint8_t flowcache_made(const struct packet *p)
{
	return (uint8_t)(FLOWCACHE_MADE_HERE | p->bound_ifindex);
}

static inline bool flowcache_is_made(const struct ct_flowcache *e)
{
	return e->in_ifindex >= FLOWCACHE_MADE_HERE;
}

static inline struct ct_flowcache *flowcache_entry(const struct flowcache *s, uint32_t ref)
{
	return &ct_flow_half(&s->flows, ref)->flowcache;
}

/* The kernel may have its connection; but its adjacency may be another neighbour's by now. */
static inline bool flowcache_present(const struct flowcache *s, uint32_t ref)
{
	return flowcache_entry(s, ref)->generation == s->generation;
}

static inline bool flowcache_valid(const struct flowcache *s, uint32_t ref)
{
	const struct ct_flowcache *e = flowcache_entry(s, ref);

	return flowcache_present(s, ref) && e->adjacency_generation == s->adjacency[e->adjacency].generation;
}

/* It is valid, and neither end of its direction is the host here. */
static inline bool flowcache_forwards(const struct flowcache *s, uint32_t ref)
{
	const struct ct_flowcache *e = flowcache_entry(s, ref);

	return flowcache_valid(s, ref) && e->adjacency != s->to_us && !flowcache_is_made(e);
}

/* Its counter path is a present one, also when it is invalid. */
static inline bool flowcache_path_holds(const struct flowcache *s, const struct ct_flowcache *e)
{
	return e->generation != 0 &&
	       (uint16_t)(s->generation - e->generation) <= (uint16_t)(s->generation - s->counter_paths_since);
}

/* The kernel had the connection of ref when the flow cache entry was good, and may owe something for it. */
static inline bool flowcache_has_deferred(const struct flowcache *s, uint32_t ref)
{
	return flowcache_entry(s, ref)->offloaded;
}

/* The kernel has the connection of ref. */
static inline bool flowcache_offloaded(const struct flowcache *s, uint32_t ref)
{
	return flowcache_present(s, ref) && flowcache_has_deferred(s, ref);
}

/* sweep.c */
/* Neighbours have been lost: flows by them take the slow path from here on. */
void flowcache_leave_lost(struct flowcache *s);

static inline bool flowcache_has_lost(const struct flowcache *s)
{
	return s->lost != NULL && lost_hops_count(s->lost) != s->n_lost_seen;
}

/* flowcache.c: such that every later one of its flow is judged the same way. */
bool flowcache_is_plain(const struct packet *p);

/* local.c */
/* Slot of ip: packets made here. */
void flowcache_output(void *s, struct batch *b);
/* A plain frame of ref's direction, which came in there and ends here by a valid entry. False: it is left. Else it is
 * in to_us, for ip_local_cached. */
bool flowcache_take_to_us(struct flowcache *s, uint32_t ifindex, struct packet *p, const struct plain *v, uint32_t ref,
			  struct batch *to_us);

/* offload.c */
/* Takes it back from whoever forwards in our stead, if somebody does; what was forwarded is credited. */
void flowcache_take_back(struct flowcache *s, uint32_t conn);
/* All deferred counters are credited. */
void flowcache_read_back_all(struct flowcache *s);
/* Offers the connection when the time has come. */
void flowcache_offer(struct flowcache *s, uint32_t conn);
/* The same for one that nobody has answered, whose packets come in there. */
void flowcache_offer_one_way(struct flowcache *s, uint32_t conn, uint32_t in_ifindex);
/* A packet came up: what the kernel has forwarded before it is credited. */
void flowcache_punts(struct flowcache *s, uint32_t ref);
/* It went by the flow cache entry, or was left: noted for flowcache_flushed. */
void flowcache_punted(struct flowcache *s, uint32_t ref, const struct up_stamp *stamp, bool taken);

/* input.c: slot of ip, the frames just received on ifindex. Sends those that have a flow cache entry; the rest stays in
 * b, in order. */
void flowcache_input(void *s, uint32_t ifindex, struct batch *b);
/* offload.c: slot of conntrack, its time is up. True when it has been used since conntrack last knew, which has been
 * credited. */
bool flowcache_alive(void *s, uint32_t conn);

#endif
