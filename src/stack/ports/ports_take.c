/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A port taken, and given back.
 *
 * Most are taken in two steps, several at a time: a port of the set is drawn first,
 * which is free to take unless it is used, and only then one by rank among the unused
 * (portmap.c): that reads three lines, one after the other. Each unused port is as
 * likely either way (RFC 6056 section 3.3.1).
 *
 * A port that a socket of the host has on an address of ours is nobody else's (own_ports.c).
 *
 * Aside: a port for which the caller's claim has to be asked, one of another worker's
 * (ports_search.c). An address whose ports are not shared, and every address of a
 * gateway with one worker, passes through ports_secure_block and ports_settle_block
 * without a step.
 *
 * Next: back in src/gateway/nat/choose.c with the port; then src/gateway/nat/translate.c
 */
#include "stack/ports/ports_priv.h"

/* What is known of a port. */
static inline void fetch(const struct ports *p, const struct ports_address *a, enum port_proto proto, uint32_t port)
{
	if (a->map[proto] != PORTS_NONE)
		portmap_prefetch(pool_at(&p->maps, a->map[proto]), port);
	if (a->own != NULL && proto < OWN_PORT_PROTOS)
		prefetch_write(own_port_word_of(a->own, proto, port));
}

bool ports_draw(const struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto,
		const struct port_request *request, struct rng *rng, struct port_draw *draw)
{
	const struct port_set *set = ports_has_near(request) ? request->near : request->set;

	if (proto == PORT_PROTO_NONE || set->n_ports == 0 || request->parity != PORT_PARITY_ANY)
		return false;
	draw->proto = proto;
	draw->maybe = port_set_at(set, rng_below_spread(rng, set->n_ports, &draw->number));
	if (ports_wanted(request) != 0)
		draw->maybe = request->port;
	draw->address = ports_look(p, addr, zone);
	draw->n_gone = p->n_gone;
	draw->is_sockets = false;
	if (draw->address == PORTS_NONE)
		return true;
	const struct ports_address *a = ports_at(p, draw->address);

	fetch(p, a, proto, draw->maybe);
	return true;
}

/* Its number may be another's by now. */
static inline bool is_known(const struct ports *p, const struct port_draw *draw)
{
	return draw->address != PORTS_NONE && draw->n_gone == p->n_gone;
}

uint32_t ports_take_drawn(struct ports *p, const struct ip_addr *addr, uint16_t zone,
			  const struct port_request *request, struct port_draw *draw)
{
	const struct port_set *set = ports_has_near(request) ? request->near : request->set;
	uint32_t port = draw->maybe;

	if (!is_known(p, draw))
		draw->address = ports_address(p, addr, zone);
	if (draw->address == PORTS_NONE)
		return PORT_NONE;
	const struct ports_place at = ports_place_of(p, draw->address, draw->proto);

	if (at.m == NULL)
		return PORT_NONE;
	/* One that is wanted may be others' towards other destinations. */
	bool can_have = port == request->port && ports_make_mine(&at, port) && portmap_can_share(at.m, port);

	if (!can_have && !portmap_unused(at.m, port))
		port = port_bits_pick_by(&at.m->bits, set, draw->number);
	if (port == PORT_NONE || !ports_secure_block(&at, port))
		return PORT_NONE;
	if (!ports_keep_sockets_off(&at, port, PORTS_HOLDER_ONE_OF_MANY)) {
		ports_settle_block(&at, port);
		draw->is_sockets = true;
		return PORT_NONE;
	}
	ports_hold(&at, port);
	return port;
}

void ports_reach(const struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	if (proto != PORT_PROTO_NONE)
		fetch(p, ports_at(p, address), proto, port);
}

void ports_give_back(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port)
{
	ports_at(p, address)->n_holders--;
	if (proto == PORT_PROTO_NONE)
		return;
	const struct ports_place at = ports_place_of(p, address, proto);

	portmap_release(at.m, port);
	ports_let_sockets_in(&at, port);
	ports_settle_block(&at, port);
}
