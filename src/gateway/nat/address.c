/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Translation addresses and their port maps.
 *
 * An address appears when the first connection is given a port of it; a port map
 * appears with the first connection of its protocol. An address on which nobody
 * is left stays, with its maps, until another one needs its place.
 *
 * What always holds: n_holders is the number of ports in use, sharers included,
 * over all protocols, plus the connections of protocols that have no ports.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/nat/nat_priv.h"

int nat_addresses_init(struct nat_addresses *a, uint32_t n)
{
	*a = (struct nat_addresses){ .n_buckets = n };
	a->bucket = malloc(n * sizeof(*a->bucket));
	if (a->bucket == NULL)
		return -ENOMEM;
	if (pool_init(&a->pool, n, sizeof(struct nat_address), _Alignof(struct nat_address)) != 0)
		goto free_bucket;
	if (pool_init(&a->maps, n * N_PORT_PROTOS, sizeof(struct portmap), 64) != 0)
		goto fini_pool;
	for (uint32_t i = 0; i < n; i++)
		a->bucket[i] = NAT_NONE;
	return 0;

fini_pool:
	pool_fini(&a->pool);
free_bucket:
	free(a->bucket);
	return -ENOMEM;
}

void nat_addresses_fini(struct nat_addresses *a)
{
	pool_fini(&a->maps);
	pool_fini(&a->pool);
	free(a->bucket);
}

static uint32_t *bucket_of(const struct nat *n, uint32_t addr, uint16_t zone)
{
	/* The addresses are our own: nobody outside can choose them to meet in one bucket. */
	uint64_t mixed = ((uint64_t)zone << 32 | addr) * UINT64_C(0x9e3779b97f4a7c15);

	return &n->addresses.bucket[(mixed >> 32) * n->addresses.n_buckets >> 32];
}

static YG_SELDOM uint16_t ports_zone_of(const struct nat *n, uint32_t addr, uint16_t zone)
{
	if (n->workers.blocks != NULL)
		return port_blocks_same(n->workers.blocks, addr, zone, 0) ? 0 : zone;
	for (uint32_t i = 0; i < n->cfg.n_pools; i++) {
		if (n->pool[i].n_addresses != 0 && nat_pool_has(&n->cfg.pool[i], addr))
			return 0;
	}
	return zone;
}

/* Ports of a pool's address are the same in all zones, wherever a packet with it leaves. */
static uint16_t ports_zone(const struct nat *n, uint32_t addr, uint16_t zone)
{
	return YG_LIKELY(zone == 0) ? 0 : ports_zone_of(n, addr, zone);
}

uint32_t nat_address_find(const struct nat *n, uint32_t addr, uint16_t zone)
{
	zone = ports_zone(n, addr, zone);
	for (uint32_t i = *bucket_of(n, addr, zone); i != NAT_NONE; i = nat_address_at(n, i)->chain)
		if (nat_address_at(n, i)->addr == addr && nat_address_at(n, i)->zone == zone)
			return i;
	return NAT_NONE;
}

/* Takes the place of one that nobody uses any more. */
static bool make_room(struct nat *n)
{
	struct nat_addresses *a = &n->addresses;

	for (uint32_t i = 0; i < a->pool.n_fresh; i++) {
		struct nat_address *x = nat_address_at(n, i);
		if (x->n_holders != 0)
			continue;
		uint32_t *link = bucket_of(n, x->addr, x->zone);
		while (*link != i)
			link = &nat_address_at(n, *link)->chain;
		*link = x->chain;
		for (int p = 0; p < N_PORT_PROTOS; p++)
			if (x->map[p] != NAT_NONE)
				pool_free(&a->maps, x->map[p]);
		pool_free(&a->pool, i);
		return true;
	}
	return false;
}

static YG_SELDOM uint32_t make_address(struct nat *n, uint32_t addr, uint16_t zone)
{
	uint32_t i = pool_alloc(&n->addresses.pool);

	if (i == POOL_NONE && make_room(n))
		i = pool_alloc(&n->addresses.pool);
	if (i == POOL_NONE)
		return NAT_NONE;
	zone = ports_zone(n, addr, zone);
	uint32_t *bucket = bucket_of(n, addr, zone);
	*nat_address_at(n, i) =
		(struct nat_address){ .addr = addr,
				      .zone = zone,
				      .row = n->workers.blocks != NULL ? port_blocks_find(n->workers.blocks, addr, zone)
								       : PORT_BLOCK_NONE,
				      .chain = *bucket };
	for (int p = 0; p < N_PORT_PROTOS; p++)
		nat_address_at(n, i)->map[p] = NAT_NONE;
	*bucket = i;
	return i;
}

uint32_t nat_address_get(struct nat *n, uint32_t addr, uint16_t zone)
{
	uint32_t i = nat_address_find(n, addr, zone);

	return YG_LIKELY(i != NAT_NONE) ? i : make_address(n, addr, zone);
}

struct portmap *nat_address_map_make(struct nat *n, struct nat_address *a, enum port_proto proto)
{
	uint32_t i = pool_alloc(&n->addresses.maps);

	if (i == POOL_NONE)
		return NULL;
	if (a->row == PORT_BLOCK_NONE)
		portmap_init(pool_at(&n->addresses.maps, i));
	else
		port_blocks_begin(n, a, proto, pool_at(&n->addresses.maps, i));
	a->map[proto] = i;
	return pool_at(&n->addresses.maps, i);
}

void nat_address_hold(struct nat *n, uint32_t address, uint8_t ip_proto, uint32_t port)
{
	enum port_proto proto;

	nat_address_at(n, address)->n_holders++;
	if (port_proto_of_held(ip_proto, port, &proto))
		portmap_use(nat_address_map(n, address, proto), port);
}

void nat_address_release(struct nat *n, uint32_t address, uint8_t ip_proto, uint32_t port)
{
	enum port_proto proto;

	nat_address_at(n, address)->n_holders--;
	if (port_proto_of_held(ip_proto, port, &proto))
		portmap_release(nat_address_map(n, address, proto), port);
	nat_block_settle(n, address, ip_proto, port);
}
