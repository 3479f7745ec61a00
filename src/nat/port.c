/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A port for a new connection on one address.
 *
 * First an unused one: each equally likely. It can fail to be free towards the
 * destination only when a connection that holds no port of the map has the tuple
 * (one of the gateway's own, or from outside); then another is picked.
 *
 * When no port is unused, one is shared with connections to other destinations:
 * a few random probes of the REPLY tuple. A destination at which they all fail is
 * a busy one and gets a map of its own, from a few made at start: which ports are
 * free towards it. The map is filled in slices, by whoever asks, from the
 * connection table; from then on a pick towards that destination is exact and
 * costs the same at every fill. The destination used least lately gives its map
 * up to a new one.
 *
 * Until its map has been filled, a new connection to a nearly full destination may
 * be refused while a port is free; that lasts for at most FILL_CALLS refusals.
 */
#include <stdlib.h>
#include <string.h>

#include "nat/nat_priv.h"

#define UNUSED_TRIES 8
#define SHARED_PROBES 8
#define PARITY_TRIES 16
#define SLICE_PORTS 4096
#define FILL_CALLS (65536 / SLICE_PORTS)

/* A busy destination: here `unused` in the map means free towards it. */
struct overload {
	uint32_t address; /* NAT_NONE: not in use */
	uint32_t remote;
	uint16_t remote_port;
	uint8_t proto;
	uint32_t n_looked; /* ports below this have been looked up */
	uint64_t used_at;
	struct portmap map;
};

struct nat_overloads {
	uint32_t n, n_used;
	uint64_t turn;
	struct overload *overload;
};

struct nat_overloads *nat_overloads_create(struct nat *n, uint32_t count)
{
	struct nat_overloads *o = calloc(1, sizeof(*o));

	(void)n;
	if (o == NULL)
		return NULL;
	o->n = count;
	o->overload = calloc(count, sizeof(*o->overload));
	if (o->overload == NULL) {
		free(o);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++)
		o->overload[i].address = NAT_NONE;
	return o;
}

void nat_overloads_destroy(struct nat_overloads *o)
{
	if (o == NULL)
		return;
	free(o->overload);
	free(o);
}

static uint16_t remote_port(const struct tuple *reply)
{
	return reply->proto == IPPROTO_NR_ICMP ? reply->dport : reply->sport;
}

static struct overload *overload_find(struct nat_overloads *os, const struct tuple *reply, uint32_t address)
{
	for (uint32_t i = 0; os->n_used > 0 && i < os->n; i++) {
		struct overload *o = &os->overload[i];
		if (o->address == address && o->remote == reply->src && o->remote_port == remote_port(reply) &&
		    o->proto == reply->proto)
			return o;
	}
	return NULL;
}

static struct overload *overload_make(struct nat_overloads *os, const struct tuple *reply, uint32_t address)
{
	struct overload *oldest = &os->overload[0];

	for (uint32_t i = 0; i < os->n && oldest->address != NAT_NONE; i++)
		if (os->overload[i].address == NAT_NONE || os->overload[i].used_at < oldest->used_at)
			oldest = &os->overload[i];
	os->n_used += oldest->address == NAT_NONE;
	memset(oldest, 0, sizeof(*oldest));
	oldest->address = address;
	oldest->remote = reply->src;
	oldest->remote_port = remote_port(reply);
	oldest->proto = reply->proto;
	return oldest;
}

static void look_on(struct nat *n, struct overload *o, struct tuple reply)
{
	uint32_t stop = min_u32(o->n_looked + SLICE_PORTS, 65536);

	for (uint32_t port = o->n_looked; port < stop; port++) {
		nat_set_outside_port(&reply, port);
		if (port != 0 && !conntrack_tuple_taken(n->ct, &reply, CONN_NONE))
			portmap_release(&o->map, port);
	}
	o->n_looked = stop;
}

/* The destination's map follows what is taken towards it. */
static void overload_taken(struct nat *n, const struct tuple *reply, uint32_t address)
{
	struct overload *o = overload_find(n->overloads, reply, address);
	uint32_t port = nat_outside_port(reply);

	if (o != NULL && portmap_unused(&o->map, port))
		portmap_use(&o->map, port);
}

void nat_overload_released(struct nat *n, const struct tuple *reply, uint32_t address)
{
	struct overload *o = overload_find(n->overloads, reply, address);
	uint32_t port = nat_outside_port(reply);

	if (o != NULL && port < o->n_looked && !portmap_unused(&o->map, port))
		portmap_release(&o->map, port);
}

static bool has_near(const struct nat_port_wish *wish)
{
	return wish->near != NULL && wish->near->n_ports != 0;
}

uint32_t nat_pick_port(struct nat *n, const struct portmap *m, const struct nat_port_wish *wish)
{
	uint32_t port = has_near(wish) ? portmap_pick(m, wish->near, &n->env->rng) : PORTMAP_NONE;

	return port != PORTMAP_NONE ? port : portmap_pick(m, wish->set, &n->env->rng);
}

/* One attempt at one port. */
static bool take(struct nat *n, uint32_t index, uint32_t address, struct tuple *reply, uint32_t port)
{
	nat_set_outside_port(reply, port);
	if (!conntrack_take_reply(n->ct, index, reply))
		return false;
	nat_address_hold(n, address, reply->proto, port);
	overload_taken(n, reply, address);
	return true;
}

static bool take_unused(struct nat *n, uint32_t index, uint32_t address, const struct portmap *m, struct tuple *reply,
			const struct nat_port_wish *wish)
{
	uint16_t inside = nat_inside_port(&conntrack_conn(n->ct, index)->tuple[CT_ORIGINAL]);

	if (wish->port != 0 && port_set_has(wish->set, wish->port) && portmap_unused(m, wish->port) &&
	    take(n, index, address, reply, wish->port))
		return true;
	for (int i = 0; wish->parity && i < PARITY_TRIES; i++) {
		uint32_t port = nat_pick_port(n, m, wish);
		if (port == PORTMAP_NONE)
			return false;
		if ((port & 1) == (inside & 1u) && take(n, index, address, reply, port))
			return true;
	}
	for (int i = 0; i < UNUSED_TRIES; i++) {
		uint32_t port = nat_pick_port(n, m, wish);
		if (port == PORTMAP_NONE)
			return false;
		if (take(n, index, address, reply, port))
			return true;
	}
	return false;
}

static bool take_shared(struct nat *n, uint32_t index, uint32_t address, const struct portmap *m, struct tuple *reply,
			const struct nat_port_wish *wish)
{
	struct overload *o = overload_find(n->overloads, reply, address);
	const struct port_set *set = has_near(wish) ? wish->near : wish->set;

	for (int i = 0; o == NULL && i < SHARED_PROBES; i++) {
		uint32_t port = port_set_at(set, rng_below(&n->env->rng, set->n_ports));
		if (portmap_can_share(m, port) && take(n, index, address, reply, port))
			return true;
	}
	if (o == NULL)
		o = overload_make(n->overloads, reply, address);
	o->used_at = ++n->overloads->turn;
	if (o->n_looked < 65536)
		look_on(n, o, *reply);
	for (int i = 0; i < UNUSED_TRIES; i++) {
		uint32_t port = nat_pick_port(n, &o->map, wish);
		if (port == PORTMAP_NONE)
			return false;
		if (portmap_can_share(m, port) && take(n, index, address, reply, port))
			return true;
		/* Somebody who holds no port of the map has the tuple. */
		if (portmap_unused(&o->map, port))
			portmap_use(&o->map, port);
	}
	return false;
}

bool nat_take_port(struct nat *n, uint32_t index, uint32_t address, struct tuple reply,
		   const struct nat_port_wish *wish, enum nat_port_effort effort)
{
	enum nat_proto proto;

	if (!nat_proto_of(reply.proto, &proto)) {
		if (!conntrack_take_reply(n->ct, index, &reply))
			return false;
		nat_address_hold(n, address, reply.proto, 0);
		return true;
	}
	const struct portmap *m = nat_address_map(n, address, proto);
	if (m == NULL || wish->set->n_ports == 0)
		return false;
	return effort == NAT_PORT_UNUSED ? take_unused(n, index, address, m, &reply, wish)
					 : take_shared(n, index, address, m, &reply, wish);
}
