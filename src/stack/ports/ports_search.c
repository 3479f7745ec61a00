/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A port picked among those that are unused, as often as it takes.
 *
 * Whoever wants it says whether it will do. It may not, although it is unused, when
 * something that holds no port is in its way there (a connection of the gateway's
 * own, or one from outside); then another is picked, each of the unused equally
 * likely.
 *
 * With several workers a pick is among the ports of this worker's own blocks; when
 * there is none, it asks for another block (port_lease.c).
 *
 * Next: src/gateway/nat/port.c, with the port
 */
#include "stack/ports/ports_priv.h"

#define UNUSED_TRIES 8
#define PARITY_TRIES 16

static bool is_idle(const struct ports_place *at, uint32_t port)
{
	return portmap_block_idle(at->m, port / PORT_BLOCK_PORTS);
}

static void tell_block(const struct ports_place *at, uint32_t port, enum ports_block_event what)
{
	struct ports *p = at->p;
	uint32_t address = (uint32_t)(((const uint8_t *)at->a - p->pool.mem) / p->pool.stride);

	if (YG_UNLIKELY(p->block_told != NULL))
		p->block_told(p->block_told_ctx, address, at->proto, port / PORT_BLOCK_PORTS, what);
}

bool ports_use_lease(struct ports_place at, uint32_t port)
{
	struct port_lease l = ports_lease_of(&at);
	bool begins = is_idle(&at, port);

	if (!port_lease_use(&l, port))
		return false;
	if (begins)
		tell_block(&at, port, PORTS_BLOCK_BEGINS);
	return true;
}

void ports_settle_lease(struct ports_place at, uint32_t port)
{
	struct port_lease l = ports_lease_of(&at);

	port_lease_settle(&l, port);
	if (is_idle(&at, port))
		tell_block(&at, port, PORTS_BLOCK_ENDS);
}

/* One more block with ports of the set. False: no worker has a free one. */
static bool lease_block(const struct ports_place *at, const struct port_set *set)
{
	struct port_lease l = ports_lease_of(at);

	return port_lease_more(&l, set, at->p->rng);
}

/* A port of this worker's that is as good as free. */
static inline bool claim_one(const struct ports_place *at, uint32_t port, enum ports_holder who, port_claim_fn *claim,
			     void *ctx)
{
	if (!ports_keep_sockets_off(at, port, who)) {
		ports_settle_block(at, port);
		return false;
	}
	if (claim != NULL && !claim(ctx, port)) {
		ports_let_sockets_in(at, port);
		ports_settle_block(at, port);
		return false;
	}
	ports_hold(at, port);
	return true;
}

/* One that others may have. */
static inline bool share(const struct ports_place *at, uint32_t port, enum ports_holder who, port_claim_fn *claim,
			 void *ctx)
{
	return portmap_can_share(at->m, port) && ports_secure_block(at, port) && claim_one(at, port, who, claim, ctx);
}

static uint32_t pick_of_mine(const struct ports_place *at, const struct port_request *request)
{
	uint32_t port = ports_has_near(request) ? port_bits_pick(&at->m->bits, request->near, at->p->rng) : PORT_NONE;

	return port != PORT_NONE ? port : port_bits_pick(&at->m->bits, request->set, at->p->rng);
}

/* An unused port: a near one, else one of the set; PORT_NONE when no worker has one that is free to take. */
static uint32_t pick(const struct ports_place *at, const struct port_request *request)
{
	for (;;) {
		uint32_t port = pick_of_mine(at, request);

		if (port != PORT_NONE && (!ports_has_near(request) || port_set_has(request->near, port)))
			return port;
		if (!ports_is_shared(at))
			return port;
		/* Near ports of other workers come before far ones of ours. */
		if (ports_has_near(request) && lease_block(at, request->near))
			continue;
		if (port == PORT_NONE && lease_block(at, request->set))
			continue;
		return port;
	}
}

static bool has_parity(uint32_t port, uint8_t parity)
{
	return (port & 1) == (parity == PORT_PARITY_ODD);
}

uint32_t ports_take(struct ports *p, uint32_t address, enum port_proto proto, const struct port_request *request,
		    port_claim_fn *claim, void *ctx)
{
	const struct ports_place at = ports_place_of(p, address, proto);
	/* Without a claim nothing tells two holders apart. */
	enum ports_holder who = claim == NULL ? PORTS_HOLDER_ALONE : PORTS_HOLDER_ONE_OF_MANY;
	uint32_t port = ports_wanted(request);

	if (at.m == NULL || request->set->n_ports == 0)
		return PORT_NONE;
	if (port != 0 && ports_make_mine(&at, port) && (claim != NULL || portmap_unused(at.m, port)) &&
	    share(&at, port, who, claim, ctx))
		return port;
	for (int i = 0; request->parity != PORT_PARITY_ANY && i < PARITY_TRIES; i++) {
		port = pick(&at, request);
		if (port == PORT_NONE)
			return PORT_NONE;
		if (has_parity(port, request->parity) && ports_secure_block(&at, port) &&
		    claim_one(&at, port, who, claim, ctx))
			return port;
	}
	for (int i = 0; i < UNUSED_TRIES;) {
		port = pick(&at, request);
		if (port == PORT_NONE)
			return PORT_NONE;
		/* Else its block went to another worker, and this map has one less. */
		if (!ports_secure_block(&at, port))
			continue;
		if (claim_one(&at, port, who, claim, ctx))
			return port;
		i++;
	}
	return PORT_NONE;
}

bool ports_take_this(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port, port_claim_fn *claim,
		     void *ctx)
{
	if (proto == PORT_PROTO_NONE) {
		if (claim != NULL && !claim(ctx, port))
			return false;
		ports_at(p, address)->n_holders++;
		return true;
	}
	const struct ports_place at = ports_place_of(p, address, proto);

	return at.m != NULL && ports_place_is_mine(&at, port) && share(&at, port, PORTS_HOLDER_ONE_OF_MANY, claim, ctx);
}

/* Mine? */

bool ports_is_mine(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	const struct ports_place at = ports_place_of(p, address, proto);

	return at.m != NULL && ports_place_is_mine(&at, port);
}

bool ports_are_mine(const struct ports *p, uint32_t address)
{
	return ports_at(p, address)->row == PORT_BLOCK_NONE;
}

uint32_t ports_n_mine(struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set)
{
	return ports_are_mine(p, address) ? set->n_ports : portmap_count_own(ports_map_of(p, address, proto), set);
}

uint32_t ports_any_of_mine(struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set)
{
	if (!ports_are_mine(p, address))
		return port_bits_pick(&ports_map_of(p, address, proto)->own, set, p->rng);
	return set->n_ports == 0 ? PORT_NONE : port_set_at(set, rng_below(p->rng, set->n_ports));
}

bool ports_pin(struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto, uint32_t port)
{
	uint32_t address = ports_address(p, addr, zone);

	if (address == PORTS_NONE || ports_are_mine(p, address))
		return false;
	const struct ports_place at = ports_place_of(p, address, proto);
	struct port_lease l = ports_lease_of(&at);

	bool begins = at.m != NULL && is_idle(&at, port);

	if (at.m == NULL || !port_lease_pin(&l, port))
		return false;
	if (begins)
		tell_block(&at, port, PORTS_BLOCK_BEGINS);
	p->n_pins++;
	at.a->n_holders++;
	return true;
}

void ports_unpin(struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto, uint32_t port)
{
	const struct ports_place at = ports_place_of(p, ports_find(p, addr, zone), proto);
	struct port_lease l = ports_lease_of(&at);

	p->n_pins--;
	at.a->n_holders--;
	port_lease_unpin(&l, port);
	if (is_idle(&at, port))
		tell_block(&at, port, PORTS_BLOCK_ENDS);
}

/* Held down. */

bool ports_can_share(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	const struct ports_place at = ports_place_of(p, address, proto);
	const struct own_ports_row *own = ports_sockets_of(&at);

	return at.m != NULL && portmap_can_share(at.m, port) && (own == NULL || !own_port_has_socket(own, proto, port));
}

bool ports_hold_down(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	return portmap_hold_down(ports_map_of(p, address, proto), port);
}

void ports_hold_down_end(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	portmap_hold_down_end(ports_map_of(p, address, proto), port);
	ports_give_back(p, address, proto, port);
}
