/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of addresses: the table of addresses, and the map of each protocol.
 *
 * An address appears when a port of it is asked for first, a map with the first of
 * its protocol. An address of which nobody has a port stays, with its maps, until
 * another one needs its place.
 *
 * The object stands below sockets and NAT, and knows neither: a connection that is
 * translated to an address of the gateway's own and a socket that is bound there
 * take from the same map. What only those above know they give it through slots: a
 * claim says whether a port will do towards the other end, and ports_zone_fn which
 * addresses are one and the same in all zones (a pool's are).
 *
 * What always holds: n_holders is the number of ports in use, each as often as it
 * has holders, over all protocols, and of pins, and of holders that have no port.
 *
 * Next: src/stack/ports/ports_take.c
 */
#include <stdlib.h>

#include "stack/ports/ports_priv.h"

struct ports *ports_create(uint32_t n_addresses, struct rng *rng)
{
	struct ports *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->rng = rng;
	p->n_buckets = n_addresses;
	p->own = own_ports_create();
	if (p->own == NULL)
		goto free_p;
	p->bucket = malloc(n_addresses * sizeof(*p->bucket));
	if (p->bucket == NULL)
		goto put_own;
	if (pool_init(&p->pool, n_addresses, sizeof(struct ports_address), _Alignof(struct ports_address)) != 0)
		goto free_bucket;
	if (pool_init(&p->maps, n_addresses * N_PORT_PROTOS, sizeof(struct portmap), 64) != 0)
		goto fini_pool;
	if (pool_init(&p->sharers, n_addresses * N_PORT_PROTOS, PORTMAP_SHARERS * sizeof(uint16_t), 64) != 0)
		goto fini_maps;
	for (uint32_t i = 0; i < n_addresses; i++)
		p->bucket[i] = PORTS_NONE;
	return p;

fini_maps:
	pool_fini(&p->maps);
fini_pool:
	pool_fini(&p->pool);
free_bucket:
	free(p->bucket);
put_own:
	own_ports_put(p->own);
free_p:
	free(p);
	return NULL;
}

void ports_destroy(struct ports *p)
{
	if (p == NULL)
		return;
	pool_fini(&p->sharers);
	pool_fini(&p->maps);
	pool_fini(&p->pool);
	free(p->bucket);
	own_ports_put(p->own);
	free(p);
}

void ports_share(struct ports *p, struct port_blocks *blocks, uint32_t worker)
{
	p->blocks = blocks;
	p->worker = worker;
}

void ports_set_zone(struct ports *p, ports_zone_fn *fn, const void *ctx)
{
	p->zone = fn;
	p->zone_ctx = ctx;
}

void ports_set_block_told(struct ports *p, ports_block_fn *fn, void *ctx)
{
	p->block_told = fn;
	p->block_told_ctx = ctx;
}

/* Sockets. */

void ports_share_sockets(struct ports *p, struct ports *first)
{
	own_ports_put(p->own);
	p->own = own_ports_share(first->own);
}

/* It was NAT's alone, maybe: what is in use of it sockets are told. */
static void become_own(struct ports *p, struct ports_address *a, struct own_ports_row *own)
{
	a->own = own;
	for (uint32_t proto = 0; proto < OWN_PORT_PROTOS; proto++) {
		struct portmap *m = a->map[proto] != PORTS_NONE ? pool_at(&p->maps, a->map[proto]) : NULL;

		for (uint32_t port = 0; m != NULL && port < OWN_PORTS; port++)
			if (!portmap_unused(m, port) && (a->row == PORT_BLOCK_NONE || portmap_owns(m, port)))
				atomic_fetch_add(own_port_word_of(own, (enum port_proto)proto, port), 1);
	}
}

int ports_add_own(struct ports *p, uint32_t addr)
{
	int rc = own_ports_add(p->own, addr);

	for (uint32_t i = 0; rc == 0 && i < p->pool.n_fresh; i++) {
		struct ports_address *a = ports_at(p, i);

		if (a->own == NULL && a->addr.family == IP_FAMILY_V4 && a->addr.v4 == addr)
			become_own(p, a, own_ports_find(p->own, addr));
	}
	return rc;
}

bool ports_socket_take(struct ports *p, uint32_t addr, enum port_proto proto, uint16_t port, enum ports_socket how)
{
	return own_ports_take(p->own, addr, proto, port, how);
}

void ports_socket_give_back(struct ports *p, uint32_t addr, enum port_proto proto, uint16_t port)
{
	own_ports_give_back(p->own, addr, proto, port);
}

/* Addresses. */

/* The row of its blocks, PORT_BLOCK_NONE when its ports are not shared. Only IPv4 addresses have blocks. */
static uint32_t row_of(const struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	return p->blocks != NULL && addr->family == IP_FAMILY_V4 ? port_blocks_find(p->blocks, addr->v4, zone)
								 : PORT_BLOCK_NONE;
}

uint64_t ports_key_v6(const struct ip_addr *addr, uint16_t zone)
{
	uint64_t half[2];

	memcpy(half, addr->v6, sizeof(half));
	return ((uint64_t)zone << 32 ^ half[0] * UINT64_C(0xd6e8feb86659fd93) ^ half[1]) | UINT64_C(1) << 63;
}

uint16_t ports_zone_of_other(const struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	if (p->blocks != NULL)
		return addr->family == IP_FAMILY_V4 && port_blocks_same(p->blocks, addr->v4, zone, 0) ? 0 : zone;
	return p->zone != NULL ? p->zone(p->zone_ctx, addr, zone) : zone;
}

uint32_t ports_find(const struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	return ports_look(p, addr, zone);
}

/* Takes the place of one that nobody uses any more. */
static bool make_room(struct ports *p)
{
	for (uint32_t i = 0; i < p->pool.n_fresh; i++) {
		struct ports_address *a = ports_at(p, i);
		if (a->n_holders != 0)
			continue;
		uint32_t *link = ports_bucket(p, a->key);
		while (*link != i)
			link = &ports_at(p, *link)->chain;
		*link = a->chain;
		for (int proto = 0; proto < N_PORT_PROTOS; proto++)
			if (a->map[proto] != PORTS_NONE)
				pool_free(&p->maps, a->map[proto]);
		pool_free(&p->pool, i);
		p->n_gone++;
		return true;
	}
	return false;
}

static YG_SELDOM uint32_t make_address(struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	/* Who has which of its ports nobody could say. */
	if (p->blocks != NULL && addr->family != IP_FAMILY_V4)
		return PORTS_NONE;
	uint32_t i = pool_alloc(&p->pool);

	if (i == POOL_NONE && make_room(p))
		i = pool_alloc(&p->pool);
	if (i == POOL_NONE)
		return PORTS_NONE;
	zone = ports_zone_of(p, addr, zone);
	uint64_t key = ports_key(addr, zone);
	uint32_t *bucket = ports_bucket(p, key);
	struct ports_address *a = ports_at(p, i);

	*a = (struct ports_address){
		.key = key, .addr = *addr, .zone = zone, .row = row_of(p, addr, zone), .chain = *bucket
	};
	if (addr->family == IP_FAMILY_V4)
		a->own = own_ports_find(p->own, addr->v4);
	for (int proto = 0; proto < N_PORT_PROTOS; proto++)
		a->map[proto] = PORTS_NONE;
	*bucket = i;
	return i;
}

uint32_t ports_address(struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	uint32_t i = ports_look(p, addr, zone);

	return YG_LIKELY(i != PORTS_NONE) ? i : make_address(p, addr, zone);
}

const struct ip_addr *ports_addr(const struct ports *p, uint32_t address)
{
	return &ports_at(p, address)->addr;
}

uint16_t ports_zone(const struct ports *p, uint32_t address)
{
	return ports_at(p, address)->zone;
}

uint32_t ports_n_addresses_max(const struct ports *p)
{
	return p->pool.cap;
}

bool ports_next(const struct ports *p, uint32_t *cursor, uint32_t *address)
{
	*address = *cursor;
	return (*cursor)++ < p->pool.n_fresh;
}

bool ports_was_used(const struct ports *p, const struct ip_addr *addr, uint16_t zone)
{
	uint32_t row = row_of(p, addr, zone);

	return row != PORT_BLOCK_NONE ? port_blocks_was_used(p->blocks, row) : ports_find(p, addr, zone) != PORTS_NONE;
}

/* Maps. */

struct portmap *ports_map_make(struct ports *p, struct ports_address *a, enum port_proto proto)
{
	uint32_t i = pool_alloc(&p->maps);

	if (i == POOL_NONE)
		return NULL;
	struct portmap *m = pool_at(&p->maps, i);

	m->sharers = pool_at(&p->sharers, i);
	if (a->row == PORT_BLOCK_NONE) {
		portmap_init(m);
	} else {
		struct port_lease l = ports_lease(p, a, proto, m);

		port_lease_begin(&l);
	}
	a->map[proto] = i;
	return m;
}

const struct portmap *ports_map(struct ports *p, uint32_t address, enum port_proto proto)
{
	return ports_map_of(p, address, proto);
}

/* Counts. */

uint32_t ports_n_used(const struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set)
{
	const struct ports_address *a = ports_at(p, address);

	if (a->map[proto] == PORTS_NONE)
		return 0;
	const struct portmap *m = pool_at(&p->maps, a->map[proto]);
	uint32_t n_mine = a->row == PORT_BLOCK_NONE ? set->n_ports : portmap_count_own(m, set);

	return n_mine - portmap_count(m, set);
}

uint64_t ports_n_holders(const struct ports *p)
{
	uint64_t n = 0;

	/* An address without a holder is none. */
	for (uint32_t i = 0; i < p->pool.n_fresh; i++)
		n += ports_at(p, i)->n_holders;
	return n;
}

uint32_t ports_n_pins(const struct ports *p)
{
	return p->n_pins;
}
