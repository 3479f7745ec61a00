/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A port for a new connection on one address.
 *
 * First an unused one: each equally likely. It can fail to be free towards the
 * destination only when a connection that holds no port of the map has the tuple
 * (one of the gateway's own, or from outside); then another is picked.
 * A port of the set is drawn first, which is free to take unless it is used, and
 * only then one by rank among the unused: that reads three lines, one after the
 * other. Each unused port is as likely either way. These draws have a generator of
 * their own and are two a connection, whatever becomes of them.
 *
 * A port that is wished for (`preserve`) is taken while it is free towards the
 * destination, whoever has it towards others: so a host keeps one outside port
 * towards all, as with Linux.
 *
 * When no port is unused, one is shared with connections to other destinations.
 * A busy destination has a map of what is free towards it (overload.c): then the
 * pick is exact and costs the same at every fill. Any other has at most half of the
 * ports, and a few random probes of the REPLY tuple find one.
 *
 * Next: src/gateway/nat/reclaim.c, when there is none.
 */
#include "gateway/nat/nat_priv.h"

#define UNUSED_TRIES 8
#define SHARED_PROBES 8
#define PARITY_TRIES 16

static bool has_near(const struct nat_port_request *request)
{
	return request->near != NULL && request->near->n_ports != 0;
}

static uint32_t pick_port(struct nat *n, const struct port_bits *b, const struct nat_port_request *request)
{
	uint32_t port = has_near(request) ? port_bits_pick(b, request->near, &n->env->rng) : PORT_NONE;

	return port != PORT_NONE ? port : port_bits_pick(b, request->set, &n->env->rng);
}

uint32_t nat_pick_unused(struct nat *n, uint32_t address, enum port_proto proto, const struct nat_port_request *request)
{
	const struct portmap *m = nat_address_map(n, address, proto);
	uint32_t port;

	if (m == NULL)
		return PORT_NONE;
	while ((port = pick_port(n, &m->bits, request)) == PORT_NONE ||
	       (has_near(request) && !port_set_has(request->near, port))) {
		/* Near ports of other workers come before far ones of ours. */
		if (nat_address_at(n, address)->row == PORT_BLOCK_NONE)
			return port;
		if (has_near(request) && port_blocks_more(n, address, proto, request->near))
			continue;
		if (port == PORT_NONE && port_blocks_more(n, address, proto, request->set))
			continue;
		return port;
	}
	return port;
}

bool nat_draw_port(struct nat *n, uint32_t addr, const struct tuple *reply, const struct nat_port_request *request,
		   struct nat_port_draw *draw)
{
	const struct port_set *set = has_near(request) ? request->near : request->set;
	enum port_proto proto;

	if (!port_proto_of(reply->proto, &proto) || set->n_ports == 0 || request->parity)
		return false;
	draw->maybe = port_set_at(set, rng_below(&n->port_rng, set->n_ports));
	draw->number = rng_u32(&n->port_rng);
	if (request->port != 0 && port_set_has(request->set, request->port))
		draw->maybe = request->port;
	uint32_t address = nat_address_find(n, addr, reply->zone);

	if (address != NAT_NONE && nat_address_at(n, address)->map[proto] != NAT_NONE)
		portmap_prefetch(nat_address_map(n, address, proto), draw->maybe);
	return true;
}

bool nat_hold_port(struct nat *n, uint32_t address, struct tuple *reply, const struct nat_port_request *request,
		   const struct nat_port_draw *draw)
{
	const struct port_set *set = has_near(request) ? request->near : request->set;
	uint32_t port = draw->maybe;
	enum port_proto proto;

	if (!port_proto_of(reply->proto, &proto))
		return false;
	const struct portmap *m = nat_address_map(n, address, proto);

	if (m == NULL)
		return false;
	if (port == request->port)
		nat_block_want(n, address, proto, port);
	/* One that is wished for may be others' towards other destinations. */
	bool requested = port == request->port && portmap_can_share(m, port) &&
			 (nat_address_at(n, address)->row == PORT_BLOCK_NONE || portmap_owns(m, port));

	if (!portmap_unused(m, port) && !requested)
		port = port_bits_pick_by(&m->bits, set, draw->number);
	if (port == PORT_NONE || !nat_block_ready(n, address, reply->proto, port))
		return false;
	nat_set_outside_port(reply, port);
	nat_address_hold(n, address, reply->proto, port);
	return true;
}

/* One attempt at one port, whose block is ours. */
static bool take(struct nat *n, uint32_t index, uint32_t address, struct tuple *reply, uint32_t port,
		 const struct port_set *set)
{
	nat_set_outside_port(reply, port);
	if (!conntrack_reserve_reply(n->ct, index, reply)) {
		nat_block_settle(n, address, reply->proto, port);
		return false;
	}
	nat_address_hold(n, address, reply->proto, port);
	nat_overload_taken(n, reply, address, set);
	return true;
}

/* The same for a port that others may have, towards other destinations. */
static bool share(struct nat *n, uint32_t index, uint32_t address, const struct portmap *m, struct tuple *reply,
		  uint32_t port, const struct port_set *set)
{
	return portmap_can_share(m, port) && nat_block_ready(n, address, reply->proto, port) &&
	       take(n, index, address, reply, port, set);
}

/* A port that is wished for is ours to give. */
static bool can_have_requested(struct nat *n, uint32_t address, enum port_proto proto, const struct portmap *m,
			       uint32_t port)
{
	nat_block_want(n, address, proto, port);
	return nat_address_at(n, address)->row == PORT_BLOCK_NONE || portmap_owns(m, port);
}

static bool take_unused(struct nat *n, uint32_t index, uint32_t address, enum port_proto proto, struct tuple *reply,
			const struct nat_port_request *request)
{
	uint16_t inside = nat_inside_port(&conntrack_conn(n->ct, index)->half[CT_ORIGINAL].tuple);
	const struct portmap *m = nat_address_map(n, address, proto);

	if (request->port != 0 && port_set_has(request->set, request->port)) {
		if (can_have_requested(n, address, proto, m, request->port) &&
		    share(n, index, address, m, reply, request->port, request->set))
			return true;
	}
	for (int i = 0; request->parity && i < PARITY_TRIES; i++) {
		uint32_t port = nat_pick_unused(n, address, proto, request);
		if (port == PORT_NONE)
			return false;
		if ((port & 1) == (inside & 1u) && nat_block_ready(n, address, reply->proto, port) &&
		    take(n, index, address, reply, port, request->set))
			return true;
	}
	for (int i = 0; i < UNUSED_TRIES;) {
		uint32_t port = nat_pick_unused(n, address, proto, request);
		if (port == PORT_NONE)
			return false;
		/* Else its block went to another worker, and this map has one less. */
		if (!nat_block_ready(n, address, reply->proto, port))
			continue;
		if (take(n, index, address, reply, port, request->set))
			return true;
		i++;
	}
	return false;
}

/* A port to share, by chance. */
static uint32_t probe(struct nat *n, uint32_t address, const struct portmap *m, const struct port_set *set)
{
	if (nat_address_at(n, address)->row != PORT_BLOCK_NONE)
		return port_bits_pick(&m->own, set, &n->env->rng);
	return port_set_at(set, rng_below(&n->env->rng, set->n_ports));
}

/* Each port of a small set, from a random one on. */
static bool take_one_of_few(struct nat *n, uint32_t index, uint32_t address, const struct portmap *m,
			    struct tuple *reply, const struct port_set *set)
{
	uint32_t start = rng_below(&n->env->rng, set->n_ports);
	bool all_ours = nat_address_at(n, address)->row == PORT_BLOCK_NONE;

	for (uint32_t i = 0; i < set->n_ports; i++) {
		uint32_t port = port_set_at(set, (start + i) % set->n_ports);

		if ((all_ours || portmap_owns(m, port)) && share(n, index, address, m, reply, port, set))
			return true;
	}
	return false;
}

/* Of those that the destination's map says are free. */
static bool take_from_map(struct nat *n, uint32_t index, uint32_t address, struct overload *o, const struct portmap *m,
			  struct tuple *reply, const struct nat_port_request *request)
{
	for (int i = 0; i < 2 * UNUSED_TRIES; i++) {
		/* Where most of what is free rests, the last tries are for one that does not. */
		uint32_t port = i < UNUSED_TRIES ? nat_overload_pick(n, o, request)
						 : nat_overload_pick_shareable(n, o, m, request->set);

		if (port == PORT_NONE)
			return false;
		if (share(n, index, address, m, reply, port, request->set))
			return true;
		/* Somebody who holds no port of the map has the tuple. */
		if (portmap_can_share(m, port))
			nat_overload_mark(o, port);
	}
	return false;
}

static bool take_shared(struct nat *n, uint32_t index, uint32_t address, enum port_proto proto, struct tuple *reply,
			const struct nat_port_request *request)
{
	const struct portmap *m = nat_address_map(n, address, proto);
	const struct port_set *set = has_near(request) ? request->near : request->set;

	if (request->set->n_ports <= OVERLOAD_TINY)
		return (has_near(request) && take_one_of_few(n, index, address, m, reply, request->near)) ||
		       take_one_of_few(n, index, address, m, reply, request->set);
	struct overload *o = nat_overload_of(n, reply, address, request->set);

	/* While the map knows but some of what is free, chance spreads better. */
	for (int i = 0; (o == NULL || o->n_looked != OVERLOAD_COMPLETE) && i < SHARED_PROBES; i++) {
		uint32_t port = probe(n, address, m, set);
		if (port == PORT_NONE)
			break;
		if (share(n, index, address, m, reply, port, request->set))
			return true;
	}
	/* A worker without a port of its own has nothing to share. */
	if (nat_address_at(n, address)->row != PORT_BLOCK_NONE && portmap_count_own(m, request->set) == 0)
		return false;
	if (o == NULL)
		o = nat_overload_make(n, reply, address, request->set);
	return o != NULL && take_from_map(n, index, address, o, m, reply, request);
}

bool nat_take_port(struct nat *n, uint32_t index, uint32_t address, struct tuple reply,
		   const struct nat_port_request *request, enum nat_port_effort effort)
{
	enum port_proto proto;

	if (!port_proto_of(reply.proto, &proto)) {
		if (!conntrack_reserve_reply(n->ct, index, &reply))
			return false;
		nat_address_hold(n, address, reply.proto, 0);
		return true;
	}
	if (nat_address_map(n, address, proto) == NULL || request->set->n_ports == 0)
		return false;
	return effort == NAT_PORT_UNUSED ? take_unused(n, index, address, proto, &reply, request)
					 : take_shared(n, index, address, proto, &reply, request);
}
