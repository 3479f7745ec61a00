/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A port for a new connection on one address.
 *
 * First an unused one (stack/ports/ports.h). Whether it will do shows when the REPLY
 * tuple is reserved, which it then is: it can fail to be free towards the
 * destination only when a connection that holds no port has the tuple (one of the
 * gateway's own, or from outside).
 *
 * A port that is asked for (`preserve`) is taken while it is free towards the
 * destination, whoever has it towards others: so a host keeps one outside port
 * towards all, as with Linux.
 *
 * When no port is unused, one is shared with connections to other destinations.
 * A busy destination has a map of what is free towards it (overload.c): then the
 * pick is exact and costs the same at every fill. Any other has at most half of the
 * ports, and a few random probes of the REPLY tuple find one.
 *
 * Next: src/stack/ports/ports_search.c; src/gateway/nat/reclaim.c, when there is none.
 */
#include "gateway/nat/overload.h"
#include "gateway/nat/source.h"

#define SHARED_TRIES 16
#define SHARED_PROBES 8

static bool has_near(const struct port_request *request)
{
	return request->near != NULL && request->near->n_ports != 0;
}

/* Who wants a port: a connection, with the REPLY tuple that it has but for the port. */
struct taker {
	struct nat *n;
	uint32_t index, address;
	enum port_proto proto;
	struct tuple *reply;
	const struct port_request *request;
};

/* The port will do if the REPLY tuple with it is nobody's; it is the connection's from here on. */
static bool claim_reply(void *ctx, uint32_t port)
{
	const struct taker *t = ctx;

	nat_set_outside_port(t->reply, port);
	return conntrack_reserve_reply(t->n->ct, t->index, t->reply);
}

static bool take_unused(struct taker *t)
{
	if (ports_take(t->n->ports, t->address, t->proto, t->request, claim_reply, t) == PORT_NONE)
		return false;
	nat_overload_taken(t->n, t->index, t->reply, t->address, t->request->set);
	return true;
}

/* A port that others may have, towards other destinations. */
static bool share(struct taker *t, uint32_t port)
{
	if (!ports_take_this(t->n->ports, t->address, t->proto, port, claim_reply, t))
		return false;
	nat_overload_taken(t->n, t->index, t->reply, t->address, t->request->set);
	return true;
}

/* Each port of a small set, from a random one on. */
static bool share_one_of_few(struct taker *t, const struct port_set *set)
{
	uint32_t start = rng_below(&t->n->env->rng, set->n_ports);

	for (uint32_t i = 0; i < set->n_ports; i++)
		if (share(t, port_set_at(set, (start + i) % set->n_ports)))
			return true;
	return false;
}

/* Some ports by chance. */
static bool share_by_chance(struct taker *t, const struct port_set *set)
{
	for (int i = 0; i < SHARED_PROBES; i++) {
		uint32_t port = ports_any_of_mine(t->n->ports, t->address, t->proto, set);

		if (port == PORT_NONE)
			return false;
		if (share(t, port))
			return true;
	}
	return false;
}

/* Of those that the destination's map says are free. */
static bool share_by_map(struct taker *t, struct overload *o)
{
	const struct portmap *m = ports_map(t->n->ports, t->address, t->proto);

	for (int i = 0; i < SHARED_TRIES; i++) {
		/* Where most of what is free is held down, the last tries are for one that is not. */
		uint32_t port = i < SHARED_TRIES / 2 ? nat_overload_pick(t->n, o, t->request)
						     : nat_overload_pick_shareable(t->n, o, m, t->request->set);

		if (port == PORT_NONE)
			return false;
		if (share(t, port))
			return true;
		/* Somebody who holds no port of the map has the tuple. */
		if (ports_can_share(t->n->ports, t->address, t->proto, port))
			nat_overload_mark(o, port);
	}
	return false;
}

static bool take_shared(struct taker *t)
{
	const struct port_set *set = t->request->set, *first = has_near(t->request) ? t->request->near : set;

	if (set->n_ports <= OVERLOAD_TINY)
		return (has_near(t->request) && share_one_of_few(t, first)) || share_one_of_few(t, set);
	struct overload *o = nat_overload_of(t->n, t->reply, t->address, set);

	/* While the map knows but some of what is free, chance spreads better. */
	if ((o == NULL || o->n_looked != OVERLOAD_COMPLETE) && share_by_chance(t, first))
		return true;
	/* A worker without a port of its own has nothing to share. */
	if (ports_n_mine(t->n->ports, t->address, t->proto, set) == 0)
		return false;
	if (o == NULL)
		o = nat_overload_make(t->n, t->reply, t->address, set);
	return o != NULL && share_by_map(t, o);
}

bool nat_take_port(struct nat *n, uint32_t index, uint32_t address, struct tuple reply,
		   const struct port_request *request, enum nat_port_effort effort)
{
	struct taker t = { n, index, address, port_proto_of(reply.proto), &reply, request };

	if (t.proto == PORT_PROTO_NONE) /* the tuple without a port, and a holder of the address */
		return conntrack_reserve_reply(n->ct, index, &reply) &&
		       ports_take_this(n->ports, address, t.proto, 0, NULL, NULL);
	if (request->set->n_ports == 0)
		return false;
	return effort == NAT_PORT_UNUSED ? take_unused(&t) : take_shared(&t);
}
