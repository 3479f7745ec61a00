/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks of ports as one worker sees them.
 *
 * What always holds: a block of the map in which something is in use (a port, or
 * a pin) is marked so for all workers, and one in which nothing is may be taken by
 * another at any time; port_lease_use makes sure of a block before the first use,
 * port_lease_settle gives it up behind the last.
 */
#include "stack/ports/port_lease.h"

static uint32_t block_of(uint32_t port)
{
	return port / PORT_BLOCK_PORTS;
}

static void add_block(const struct port_lease *l, uint32_t block)
{
	/* One that went and comes back before anybody noticed. */
	if (l->map->own.word[block] == 0)
		portmap_add_block(l->map, block);
}

void port_lease_begin(const struct port_lease *l)
{
	portmap_init_shared(l->map);
	for (uint32_t block = 0; block < PORT_BLOCKS_PER_MAP; block++)
		if (port_blocks_is_idle_of(l->blocks, l->row, l->proto, block, l->worker))
			portmap_add_block(l->map, block);
}

bool port_lease_more(const struct port_lease *l, const struct port_set *set, struct rng *rng)
{
	uint32_t block =
		port_blocks_take(l->blocks, l->row, l->proto, set, rng_below(rng, PORT_BLOCKS_PER_MAP), l->worker);

	if (block == PORT_BLOCK_NONE)
		return false;
	add_block(l, block);
	return true;
}

void port_lease_want(const struct port_lease *l, uint32_t port)
{
	if (!portmap_owns(l->map, port) && port_blocks_take_one(l->blocks, l->row, l->proto, block_of(port), l->worker))
		add_block(l, block_of(port));
}

bool port_lease_use(const struct port_lease *l, uint32_t port)
{
	uint32_t block = block_of(port);

	if (!portmap_block_idle(l->map, block) || port_blocks_use(l->blocks, l->row, l->proto, block, l->worker))
		return true;
	portmap_remove_block(l->map, block);
	return false;
}

void port_lease_settle(const struct port_lease *l, uint32_t port)
{
	uint32_t block = block_of(port);

	if (portmap_block_idle(l->map, block))
		port_blocks_free(l->blocks, l->row, l->proto, block, l->worker);
}

bool port_lease_pin(const struct port_lease *l, uint32_t port)
{
	uint32_t block = block_of(port);

	/* It may have come back to us without the map's knowing. */
	if (!portmap_owns(l->map, port) && port_blocks_is_idle_of(l->blocks, l->row, l->proto, block, l->worker))
		add_block(l, block);
	if (!portmap_owns(l->map, port) || !port_lease_use(l, port))
		return false;
	l->map->pins[block]++;
	return true;
}

void port_lease_unpin(const struct port_lease *l, uint32_t port)
{
	l->map->pins[block_of(port)]--;
	port_lease_settle(l, port);
}
