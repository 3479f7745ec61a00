/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Busy destinations: which ports of an address are free towards one of them.
 */
#ifndef YG_GATEWAY_NAT_OVERLOAD_H
#define YG_GATEWAY_NAT_OVERLOAD_H

#include "gateway/nat/nat_priv.h"

#define OVERLOAD_CLASSES 4
#define OVERLOAD_TINY 4u /* a set with no more ports has no map */
#define OVERLOAD_COMPLETE 65536u

/* A busy destination, for one set of ports. What is unused towards it stands behind the struct. */
struct overload {
	uint32_t address, remote;
	uint16_t remote_port;
	uint8_t proto;
	uint8_t class : 4, by_blocks : 1; /* by_blocks: its ports are several workers' */
	uint32_t id, chain;               /* chain: id + 1 */
	uint32_t set_id, n_ports;
	uint32_t first;    /* port of the first bit */
	uint32_t n_looked; /* so many, in their order, have been looked up; OVERLOAD_COMPLETE: all */
	uint32_t start;    /* of that order */
	uint32_t version;  /* of the port map whose blocks it knows */
	uint32_t hand;     /* the port at which a search for one that may go on goes on */
	struct nat_reclaim_queue before, finished; /* before it was busy, and since */
};
_Static_assert(sizeof(struct overload) % 8 == 0, "what stands behind it is aligned");

struct nat_overloads {
	uint32_t n_used;
	uint32_t n_counters, n_buckets; /* powers of two */
	struct pool counters;           /* used as an array */
	uint32_t *counter;              /* connections towards destinations with this hash */
	uint32_t *bucket;               /* id + 1 */
	struct pool maps[OVERLOAD_CLASSES];
};

struct nat_overloads *nat_overloads_create(uint32_t n_connections);
void nat_overloads_destroy(struct nat_overloads *o);
/* Of the destination that the REPLY tuple comes from, for this set; NULL if it has none. */
struct overload *nat_overload_of(const struct nat *n, const struct tuple *reply, uint32_t address,
				 const struct port_set *set);
/* Makes it, although the destination does not look busy; NULL without room. */
struct overload *nat_overload_make(struct nat *n, const struct tuple *reply, uint32_t address,
				   const struct port_set *set);
/* The REPLY tuple was taken by connection index, which holds its port, wished for out of the set; and let go. Its
 * number of a counter stands with it (conn_ext) in between. */
void nat_overload_taken(struct nat *n, uint32_t index, const struct tuple *reply, uint32_t address,
			const struct port_set *set);
/* The same in two steps, for several at a time: the first has the destination's counter fetched and returns a hash. The
 * protocol has ports. */
uint64_t nat_overload_reach(const struct nat *n, const struct tuple *reply, uint32_t address);
void nat_overload_taken_at(struct nat *n, uint32_t index, const struct tuple *reply, uint32_t address,
			   const struct port_set *set, uint64_t hash);
void nat_overload_released(struct nat *n, uint32_t index, const struct tuple *reply, uint32_t address);
/* The counter of this number is about to be changed. */
static inline void nat_overload_fetch(const struct nat *n, uint32_t number)
{
	prefetch_write(&n->overloads->counter[number]);
}
/* A port that is unused towards it, each equally likely; PORT_NONE when there is none. Somebody without a port may
 * have the tuple all the same: then it is marked as used. */
uint32_t nat_overload_pick(struct nat *n, struct overload *o, const struct port_request *request);
/* One that can be shared, too, if need be at the price of a look at every word. */
uint32_t nat_overload_pick_shareable(struct nat *n, struct overload *o, const struct portmap *m,
				     const struct port_set *set);
void nat_overload_mark(struct overload *o, uint32_t port);
void nat_overload_unmark(struct overload *o, uint32_t port);
/* The port is this worker's. */
bool nat_overload_owns(const struct nat *n, const struct overload *o, uint32_t port);
/* The used ports of the set in turns. */
uint32_t nat_overload_next_used(struct overload *o, const struct port_set *set);

#endif
