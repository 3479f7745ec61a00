/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of struct ports share.
 */
#ifndef YG_STACK_PORTS_PORTS_PRIV_H
#define YG_STACK_PORTS_PORTS_PRIV_H

#include "base/pool.h"
#include "base/util.h"
#include "stack/ports/port_lease.h"
#include "stack/ports/ports.h"

struct ports_address {
	uint64_t key; /* of addr and zone */
	struct ip_addr addr;
	uint16_t zone;
	uint32_t row; /* of its blocks, PORT_BLOCK_NONE: its ports are all ours */
	uint32_t chain;
	uint32_t n_holders;
	struct own_ports_row *own;   /* what sockets have of it; NULL: it is none of ours */
	uint32_t map[N_PORT_PROTOS]; /* of maps, PORTS_NONE while not needed */
};

struct ports {
	struct rng *rng;
	struct own_ports *own; /* of all workers and the host */
	struct pool pool;      /* of addresses */
	struct pool maps;
	struct pool sharers; /* of the maps, by their numbers; used as an array */
	uint32_t *bucket;
	uint32_t n_buckets;
	uint32_t n_pins;
	uint32_t n_gone;            /* addresses that have made room for others */
	struct port_blocks *blocks; /* NULL: one worker */
	uint32_t worker;
	ports_zone_fn *zone;
	const void *zone_ctx;
	ports_block_fn *block_told;
	void *block_told_ctx;
};

static inline struct ports_address *ports_at(const struct ports *p, uint32_t address)
{
	return pool_at(&p->pool, address);
}

/* What an address is found by. Of IPv4 it says all, of IPv6 as much as a hash does. */
uint64_t ports_key_v6(const struct ip_addr *addr, uint16_t zone);
static inline uint64_t ports_key(const struct ip_addr *addr, uint16_t zone)
{
	if (YG_UNLIKELY(addr->family == IP_FAMILY_V6))
		return ports_key_v6(addr, zone);
	return (uint64_t)zone << 32 | addr->v4;
}

/* The addresses are our own: nobody outside can choose them to meet in one bucket. */
static inline uint32_t *ports_bucket(const struct ports *p, uint64_t key)
{
	return &p->bucket[(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) * p->n_buckets >> 32];
}

/* The zone in which its ports are counted. */
YG_SELDOM uint16_t ports_zone_of_other(const struct ports *p, const struct ip_addr *addr, uint16_t zone);
static inline uint16_t ports_zone_of(const struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	return YG_LIKELY(zone == 0) ? 0 : ports_zone_of_other(p, addr, zone);
}

/* ports_find, in the place of its call. */
static inline uint32_t ports_look(const struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	uint64_t key = ports_key(addr, ports_zone_of(p, addr, zone));

	for (uint32_t i = *ports_bucket(p, key); i != PORTS_NONE; i = ports_at(p, i)->chain)
		if (ports_at(p, i)->key == key &&
		    (addr->family != IP_FAMILY_V6 || ip_addr_equal(&ports_at(p, i)->addr, addr)))
			return i;
	return PORTS_NONE;
}

struct portmap *ports_map_make(struct ports *p, struct ports_address *a, enum port_proto proto);

static inline struct portmap *ports_map_of(struct ports *p, uint32_t address, enum port_proto proto)
{
	struct ports_address *a = ports_at(p, address);

	if (YG_UNLIKELY(a->map[proto] == PORTS_NONE))
		return ports_map_make(p, a, proto);
	return pool_at(&p->maps, a->map[proto]);
}

static inline struct port_lease ports_lease(const struct ports *p, const struct ports_address *a, enum port_proto proto,
					    struct portmap *m)
{
	return (struct port_lease){ p->blocks, m, a->row, p->worker, proto };
}

/* Where a port is taken. */
struct ports_place {
	struct ports *p;
	struct ports_address *a;
	struct portmap *m;
	enum port_proto proto;
};

static inline struct ports_place ports_place_of(struct ports *p, uint32_t address, enum port_proto proto)
{
	return (struct ports_place){ p, ports_at(p, address), ports_map_of(p, address, proto), proto };
}

/* Some of its ports are other workers'. */
static inline bool ports_is_shared(const struct ports_place *at)
{
	return at->a->row != PORT_BLOCK_NONE;
}

static inline struct port_lease ports_lease_of(const struct ports_place *at)
{
	return ports_lease(at->p, at->a, at->proto, at->m);
}

/* ports_search.c; by value, so that who asks need not have the place in memory. */
YG_SELDOM bool ports_use_lease(struct ports_place at, uint32_t port);
YG_SELDOM void ports_settle_lease(struct ports_place at, uint32_t port);

/* The port's block is this worker's and in use from here on. False: it went to another worker meanwhile. */
static inline bool ports_secure_block(const struct ports_place *at, uint32_t port)
{
	return !ports_is_shared(at) || ports_use_lease(*at, port);
}

/* Behind the last use of a block, and behind ports_secure_block when nothing came of it. */
static inline void ports_settle_block(const struct ports_place *at, uint32_t port)
{
	if (ports_is_shared(at))
		ports_settle_lease(*at, port);
}

static inline bool ports_place_is_mine(const struct ports_place *at, uint32_t port)
{
	return !ports_is_shared(at) || portmap_owns(at->m, port);
}

/* True when the port is this worker's; it tries to make it so. */
static inline bool ports_make_mine(const struct ports_place *at, uint32_t port)
{
	if (ports_is_shared(at)) {
		struct port_lease l = ports_lease_of(at);

		port_lease_want(&l, port);
	}
	return ports_place_is_mine(at, port);
}

/* What sockets have of the address; NULL: nothing, and they never will. */
static inline const struct own_ports_row *ports_sockets_of(const struct ports_place *at)
{
	return at->proto < OWN_PORT_PROTOS ? at->a->own : NULL;
}

/* Before ports_hold: no socket has the port, nor will one draw it. exclusive: nor be bound to it. False: one has it. */
enum ports_holder { PORTS_HOLDER_ONE_OF_MANY, PORTS_HOLDER_ALONE };
static inline bool ports_keep_sockets_off(const struct ports_place *at, uint32_t port, enum ports_holder who)
{
	const struct own_ports_row *own = ports_sockets_of(at);

	if (own == NULL)
		return true;
	return portmap_unused(at->m, port)
		       ? own_port_use(own, at->proto, port, who == PORTS_HOLDER_ALONE ? OWN_PORT_ALONE : 0)
		       : !own_port_has_socket(own, at->proto, port);
}

/* Behind the last holder, and behind ports_keep_sockets_off when nothing came of it. */
static inline void ports_let_sockets_in(const struct ports_place *at, uint32_t port)
{
	const struct own_ports_row *own = ports_sockets_of(at);

	if (own != NULL && portmap_unused(at->m, port))
		own_port_unuse(own, at->proto, port);
}

static inline void ports_hold(const struct ports_place *at, uint32_t port)
{
	at->a->n_holders++;
	portmap_use(at->m, port);
}

static inline bool ports_has_near(const struct port_request *request)
{
	return request->near != NULL && request->near->n_ports != 0;
}

/* The port that is wanted, 0 when none is. */
static inline uint32_t ports_wanted(const struct port_request *request)
{
	return request->port != 0 && port_set_has(request->set, request->port) ? request->port : 0;
}

#endif
