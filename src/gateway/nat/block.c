/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks as one worker sees them (blocks.h): its port maps hold the ports of its
 * own blocks and no others, so a pick is uniform among them and costs what it
 * always does.
 *
 * What always holds, of an address whose ports are shared: a block of the map in
 * which something is in use (a port, or a pin) is marked so for all workers, and
 * one in which nothing is may be taken by another at any time; nat_block_ready
 * makes sure of a block before the first use, nat_block_settle gives it up behind
 * the last. An address whose ports are not shared, and every address of a gateway
 * with one worker, passes through here without a step.
 */
#include "gateway/nat/nat_priv.h"

static struct portmap *shared_map(struct nat *n, uint32_t address, uint8_t ip_proto, uint32_t port,
				  enum port_proto *proto)
{
	const struct nat_address *a = nat_address_at(n, address);

	if (a->row == PORT_BLOCK_NONE || !port_proto_of_held(ip_proto, port, proto))
		return NULL;
	return nat_address_map(n, address, *proto);
}

void port_blocks_begin(struct nat *n, const struct nat_address *a, enum port_proto proto, struct portmap *m)
{
	portmap_init_shared(m);
	for (uint32_t block = 0; block < PORT_BLOCKS_PER_MAP; block++)
		if (port_blocks_is_idle_of(n->workers.blocks, a->row, proto, block, n->workers.worker))
			portmap_add_block(m, block);
}

static void add_block(struct nat *n, uint32_t address, enum port_proto proto, struct portmap *m, uint32_t block)
{
	/* One that went and comes back before anybody noticed. */
	if (m->own.word[block] != 0)
		return;
	portmap_add_block(m, block);
}

bool port_blocks_more(struct nat *n, uint32_t address, enum port_proto proto, const struct port_set *set)
{
	uint32_t block = port_blocks_take(n->workers.blocks, nat_address_at(n, address)->row, proto, set,
					  rng_below(&n->env->rng, PORT_BLOCKS_PER_MAP), n->workers.worker);

	if (block == PORT_BLOCK_NONE)
		return false;
	add_block(n, address, proto, nat_address_map(n, address, proto), block);
	return true;
}

void nat_block_want(struct nat *n, uint32_t address, enum port_proto proto, uint32_t port)
{
	const struct nat_address *a = nat_address_at(n, address);
	struct portmap *m = a->row == PORT_BLOCK_NONE ? NULL : nat_address_map(n, address, proto);
	uint32_t block = port / PORT_BLOCK_PORTS;

	if (m != NULL && !portmap_owns(m, port) &&
	    port_blocks_take_one(n->workers.blocks, a->row, proto, block, n->workers.worker))
		add_block(n, address, proto, m, block);
}

bool nat_block_make_ready(struct nat *n, uint32_t address, uint8_t ip_proto, uint32_t port)
{
	uint32_t block = port / PORT_BLOCK_PORTS;
	enum port_proto proto;
	struct portmap *m = shared_map(n, address, ip_proto, port, &proto);

	if (m == NULL || !portmap_block_idle(m, block))
		return true;
	if (port_blocks_use(n->workers.blocks, nat_address_at(n, address)->row, proto, block, n->workers.worker))
		return true;
	portmap_remove_block(m, block);
	return false;
}

void nat_block_give_up(struct nat *n, uint32_t address, uint8_t ip_proto, uint32_t port)
{
	uint32_t block = port / PORT_BLOCK_PORTS;
	enum port_proto proto;
	struct portmap *m = shared_map(n, address, ip_proto, port, &proto);

	if (m != NULL && portmap_block_idle(m, block))
		port_blocks_free(n->workers.blocks, nat_address_at(n, address)->row, proto, block, n->workers.worker);
}

bool nat_pin(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint16_t port)
{
	uint32_t address = nat_address_get(n, addr, zone), block = port / PORT_BLOCK_PORTS;
	enum port_proto proto;
	struct portmap *m = address == NAT_NONE ? NULL : shared_map(n, address, ip_proto, port, &proto);

	if (m == NULL)
		return false;
	/* It may have come back to us without the map's knowing. */
	if (!portmap_owns(m, port) &&
	    port_blocks_is_idle_of(n->workers.blocks, nat_address_at(n, address)->row, proto, block, n->workers.worker))
		add_block(n, address, proto, m, block);
	if (!portmap_owns(m, port) || !nat_block_ready(n, address, ip_proto, port))
		return false;
	m->pins[block]++;
	n->n_pins++;
	nat_address_at(n, address)->n_holders++;
	return true;
}

void nat_unpin(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint16_t port)
{
	uint32_t address = nat_address_find(n, addr, zone), block = port / PORT_BLOCK_PORTS;
	enum port_proto proto;

	shared_map(n, address, ip_proto, port, &proto)->pins[block]--;
	n->n_pins--;
	nat_address_at(n, address)->n_holders--;
	nat_block_settle(n, address, ip_proto, port);
}
