/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ports of one address and protocol of which one worker has some blocks
 * (port_blocks.h): its map holds the ports of its own blocks and no others, so a
 * pick is uniform among them and costs what it always does.
 */
#ifndef YG_STACK_PORTS_PORT_LEASE_H
#define YG_STACK_PORTS_PORT_LEASE_H

#include "base/rng.h"
#include "stack/ports/port_blocks.h"
#include "stack/ports/portmap.h"

/* Whose view it is, of what. */
struct port_lease {
	struct port_blocks *blocks;
	struct portmap *map;
	uint32_t row, worker;
	enum port_proto proto;
};

/* The map as it begins: blocks of the worker's own, as far as nobody else has them. */
void port_lease_begin(const struct port_lease *l);
/* One more block with ports of the set. False: no worker has a free one. */
bool port_lease_more(const struct port_lease *l, const struct port_set *set, struct rng *rng);
/* Tries to make this port's block the worker's. */
void port_lease_want(const struct port_lease *l, uint32_t port);
/* Before a port of the map is used: its block is the worker's and in use from here on. False, and the block is out of
 * the map, when another took it meanwhile. */
bool port_lease_use(const struct port_lease *l, uint32_t port);
/* Behind a port's last use, and behind port_lease_use when nothing came of it. */
void port_lease_settle(const struct port_lease *l, uint32_t port);
/* The port's block is the worker's, whether a port of it is in use or not, until port_lease_unpin. False: it is
 * another's. */
bool port_lease_pin(const struct port_lease *l, uint32_t port);
void port_lease_unpin(const struct port_lease *l, uint32_t port);

#endif
