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
 * When no port is unused, one is shared with connections to other destinations:
 * a few random probes of the REPLY tuple. A destination at which they all fail is
 * a busy one and gets a map of its own, from those made at start: which ports are
 * free towards it. The map is filled in slices, by whoever asks, from the
 * connection table; from then on a pick towards that destination is exact and
 * costs the same at every fill.
 *
 * Eight probes fail often only where more than half of the ports are taken. There
 * are more maps than such destinations can be with 64,512 ports and this many
 * connections, so a map hardly ever gives way to another while it is needed; with
 * few ports a map is quickly made again.
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
#define N_PORTS 65536u
#define SLICE_PORTS 1024u
#define FILL_CALLS (N_PORTS / SLICE_PORTS)
/* Busy destinations that have a map: one for so many connections, of 10 KB. */
#define CONNECTIONS_A_MAP 8192u
#define MAPS_MIN 64u
#define EVICT_LOOKS 8u

/* A busy destination. */
struct overload {
	uint32_t address; /* NAT_NONE: not in use */
	uint32_t remote;
	uint16_t remote_port;
	uint8_t proto;
	uint32_t chain;
	uint32_t n_looked; /* ports below this have been looked up */
	uint64_t used_at;
	struct port_bits unused; /* towards it */
};

struct nat_overloads {
	uint32_t n, n_used;
	uint32_t hand; /* where the search for one that gives way goes on */
	uint64_t turn;
	uint32_t *bucket; /* as many as maps */
	struct overload *overload;
};

struct nat_overloads *nat_overloads_create(uint32_t n_connections)
{
	struct nat_overloads *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->n = max_u32(n_connections / CONNECTIONS_A_MAP, MAPS_MIN);
	o->overload = calloc(o->n, sizeof(*o->overload));
	o->bucket = malloc(o->n * sizeof(*o->bucket));
	if (o->overload == NULL || o->bucket == NULL) {
		nat_overloads_destroy(o);
		return NULL;
	}
	memset(o->bucket, 0xff, o->n * sizeof(*o->bucket));
	return o;
}

void nat_overloads_destroy(struct nat_overloads *o)
{
	if (o == NULL)
		return;
	free(o->bucket);
	free(o->overload);
	free(o);
}

void nat_overloads_forget(struct nat *n)
{
	struct nat_overloads *o = n->overloads;

	o->n_used = o->hand = 0;
	memset(o->bucket, 0xff, o->n * sizeof(*o->bucket));
}

static uint16_t remote_port(const struct tuple *reply)
{
	return reply->proto == IPPROTO_NR_ICMP ? reply->dport : reply->sport;
}

static uint32_t *overload_bucket(const struct nat *n, uint32_t address, uint32_t remote, uint16_t port, uint8_t proto)
{
	uint64_t h = siphash13_16(&n->key, (uint64_t)remote << 32 | address, (uint64_t)port << 8 | proto);

	return &n->overloads->bucket[(uint32_t)((h >> 32) * n->overloads->n >> 32)];
}

static struct overload *overload_find(const struct nat *n, const struct tuple *reply, uint32_t address)
{
	const struct nat_overloads *os = n->overloads;

	if (os->n_used == 0)
		return NULL;
	for (uint32_t i = *overload_bucket(n, address, reply->src, remote_port(reply), reply->proto); i != NAT_NONE;
	     i = os->overload[i].chain) {
		struct overload *o = &os->overload[i];
		if (o->address == address && o->remote == reply->src && o->remote_port == remote_port(reply) &&
		    o->proto == reply->proto)
			return o;
	}
	return NULL;
}

/* A place for one more: an unused one, or of the next few the one that was used least lately. */
static uint32_t overload_place(struct nat *n)
{
	struct nat_overloads *os = n->overloads;
	uint32_t victim = os->hand;

	if (os->n_used < os->n)
		return os->n_used++;
	for (uint32_t i = 0; i < EVICT_LOOKS; i++) {
		if (os->overload[os->hand].used_at < os->overload[victim].used_at)
			victim = os->hand;
		os->hand = os->hand + 1 == os->n ? 0 : os->hand + 1;
	}
	const struct overload *v = &os->overload[victim];
	uint32_t *link = overload_bucket(n, v->address, v->remote, v->remote_port, v->proto);
	while (*link != victim)
		link = &os->overload[*link].chain;
	*link = v->chain;
	return victim;
}

static struct overload *overload_make(struct nat *n, const struct tuple *reply, uint32_t address)
{
	uint32_t place = overload_place(n);
	uint32_t *bucket = overload_bucket(n, address, reply->src, remote_port(reply), reply->proto);
	struct overload *o = &n->overloads->overload[place];

	memset(o, 0, sizeof(*o));
	o->address = address;
	o->remote = reply->src;
	o->remote_port = remote_port(reply);
	o->proto = reply->proto;
	o->chain = *bucket;
	*bucket = place;
	return o;
}

/* own: with several workers, the map that says which ports are ours. Ports that the wish does not allow cost no look-up
 * and stay used here: a rule's range beside a pool of the same address, towards the same busy destination, is served by
 * probes and by what is released. */
static void look_on(struct nat *n, struct overload *o, struct tuple reply, const struct port_set *set,
		    const struct portmap *own)
{
	uint32_t n_left = SLICE_PORTS, port = o->n_looked;

	for (uint32_t i = 0; i < set->n && n_left > 0; i++) {
		for (port = max_u32(port, set->range[i].first); port <= set->range[i].last && n_left > 0; port++) {
			if (own != NULL && !portmap_owns(own, port))
				continue;
			nat_set_outside_port(&reply, port);
			if (!conntrack_tuple_taken(n->ct, &reply, CONN_NONE))
				port_bits_give(&o->unused, port);
			n_left--;
		}
	}
	o->n_looked = n_left > 0 ? N_PORTS : port;
}

/* The destination's map follows what is taken towards it. */
void nat_overload_taken(struct nat *n, const struct tuple *reply, uint32_t address)
{
	struct overload *o = overload_find(n, reply, address);
	uint32_t port = nat_outside_port(reply);

	if (o != NULL && port_bits_unused(&o->unused, port))
		port_bits_take(&o->unused, port);
}

void nat_overload_released(struct nat *n, const struct tuple *reply, uint32_t address)
{
	struct overload *o = overload_find(n, reply, address);
	uint32_t port = nat_outside_port(reply);

	/* What was kept for a successor may be somebody else's by now; that is found out when it is picked. */
	if (o != NULL && port < o->n_looked && !port_bits_unused(&o->unused, port))
		port_bits_give(&o->unused, port);
}

void nat_overloads_block(struct nat *n, uint32_t address, enum nat_proto proto, uint32_t block, const struct portmap *m)
{
	struct nat_overloads *os = n->overloads;

	for (uint32_t i = 0; i < os->n_used; i++) {
		struct overload *o = &os->overload[i];
		enum nat_proto its;

		if (o->address != address || !nat_proto_of(o->proto, &its) || its != proto)
			continue;
		for (uint32_t port = block * NAT_BLOCK_PORTS; port < (block + 1) * NAT_BLOCK_PORTS; port++) {
			bool was = port_bits_unused(&o->unused, port), is = portmap_owns(m, port) && port != 0;
			/* A port whose tuple is taken all the same is found out when it is picked. */
			if (is && !was && port < o->n_looked)
				port_bits_give(&o->unused, port);
			else if (!is && was)
				port_bits_take(&o->unused, port);
		}
	}
}

static bool has_near(const struct nat_port_wish *wish)
{
	return wish->near != NULL && wish->near->n_ports != 0;
}

static uint32_t pick_port(struct nat *n, const struct port_bits *b, const struct nat_port_wish *wish)
{
	uint32_t port = has_near(wish) ? port_bits_pick(b, wish->near, &n->env->rng) : PORTMAP_NONE;

	return port != PORTMAP_NONE ? port : port_bits_pick(b, wish->set, &n->env->rng);
}

uint32_t nat_pick_unused(struct nat *n, uint32_t address, enum nat_proto proto, const struct nat_port_wish *wish)
{
	const struct portmap *m = nat_address_map(n, address, proto);
	uint32_t port;

	if (m == NULL)
		return PORTMAP_NONE;
	while ((port = pick_port(n, &m->bits, wish)) == PORTMAP_NONE ||
	       (has_near(wish) && !port_set_has(wish->near, port))) {
		/* Near ports of other workers come before far ones of ours. */
		if (nat_address_at(n, address)->row == NAT_BLOCK_NONE)
			return port;
		if (has_near(wish) && nat_blocks_more(n, address, proto, wish->near))
			continue;
		if (port == PORTMAP_NONE && nat_blocks_more(n, address, proto, wish->set))
			continue;
		return port;
	}
	return port;
}

bool nat_draw_port(struct nat *n, uint32_t addr, const struct tuple *reply, const struct nat_port_wish *wish,
		   struct nat_port_draw *draw)
{
	const struct port_set *set = has_near(wish) ? wish->near : wish->set;
	enum nat_proto proto;

	if (!nat_proto_of(reply->proto, &proto) || set->n_ports == 0 || wish->parity)
		return false;
	draw->maybe = port_set_at(set, rng_below(&n->port_rng, set->n_ports));
	draw->number = rng_u32(&n->port_rng);
	if (wish->port != 0 && port_set_has(wish->set, wish->port))
		draw->maybe = wish->port;
	uint32_t address = nat_address_find(n, addr, reply->zone);

	if (address != NAT_NONE && nat_address_at(n, address)->map[proto] != NAT_NONE)
		portmap_prefetch(nat_address_map(n, address, proto), draw->maybe);
	return true;
}

bool nat_hold_port(struct nat *n, uint32_t address, struct tuple *reply, const struct nat_port_wish *wish,
		   const struct nat_port_draw *draw)
{
	const struct port_set *set = has_near(wish) ? wish->near : wish->set;
	uint32_t port = draw->maybe;
	enum nat_proto proto;

	if (!nat_proto_of(reply->proto, &proto))
		return false;
	const struct portmap *m = nat_address_map(n, address, proto);

	if (m == NULL)
		return false;
	if (port == wish->port)
		nat_block_want(n, address, proto, port);
	if (!portmap_unused(m, port))
		port = port_bits_pick_by(&m->bits, set, draw->number);
	if (port == PORTMAP_NONE || !nat_block_ready(n, address, reply->proto, port))
		return false;
	nat_set_outside_port(reply, port);
	nat_address_hold(n, address, reply->proto, port);
	return true;
}

/* One attempt at one port, whose block is ours. */
static bool take(struct nat *n, uint32_t index, uint32_t address, struct tuple *reply, uint32_t port)
{
	nat_set_outside_port(reply, port);
	if (!conntrack_take_reply(n->ct, index, reply)) {
		nat_block_settle(n, address, reply->proto, port);
		return false;
	}
	nat_address_hold(n, address, reply->proto, port);
	nat_overload_taken(n, reply, address);
	return true;
}

static bool take_unused(struct nat *n, uint32_t index, uint32_t address, enum nat_proto proto, struct tuple *reply,
			const struct nat_port_wish *wish)
{
	uint16_t inside = nat_inside_port(&conntrack_conn(n->ct, index)->half[CT_ORIGINAL].tuple);
	const struct portmap *m = nat_address_map(n, address, proto);

	if (wish->port != 0 && port_set_has(wish->set, wish->port)) {
		nat_block_want(n, address, proto, wish->port);
		if (portmap_unused(m, wish->port) && nat_block_ready(n, address, reply->proto, wish->port) &&
		    take(n, index, address, reply, wish->port))
			return true;
	}
	for (int i = 0; wish->parity && i < PARITY_TRIES; i++) {
		uint32_t port = nat_pick_unused(n, address, proto, wish);
		if (port == PORTMAP_NONE)
			return false;
		if ((port & 1) == (inside & 1u) && nat_block_ready(n, address, reply->proto, port) &&
		    take(n, index, address, reply, port))
			return true;
	}
	for (int i = 0; i < UNUSED_TRIES;) {
		uint32_t port = nat_pick_unused(n, address, proto, wish);
		if (port == PORTMAP_NONE)
			return false;
		/* Else its block went to another worker, and this map has one less. */
		if (!nat_block_ready(n, address, reply->proto, port))
			continue;
		if (take(n, index, address, reply, port))
			return true;
		i++;
	}
	return false;
}

/* A port to share, by chance. */
static uint32_t probe(struct nat *n, uint32_t address, const struct portmap *m, const struct port_set *set)
{
	if (nat_address_at(n, address)->row != NAT_BLOCK_NONE)
		return port_bits_pick(&m->own, set, &n->env->rng);
	return port_set_at(set, rng_below(&n->env->rng, set->n_ports));
}

static bool share(struct nat *n, uint32_t index, uint32_t address, const struct portmap *m, struct tuple *reply,
		  uint32_t port)
{
	return portmap_can_share(m, port) && nat_block_ready(n, address, reply->proto, port) &&
	       take(n, index, address, reply, port);
}

static bool take_shared(struct nat *n, uint32_t index, uint32_t address, enum nat_proto proto, struct tuple *reply,
			const struct nat_port_wish *wish)
{
	struct overload *o = overload_find(n, reply, address);
	const struct portmap *m = nat_address_map(n, address, proto);
	const struct port_set *set = has_near(wish) ? wish->near : wish->set;

	for (int i = 0; o == NULL && i < SHARED_PROBES; i++) {
		uint32_t port = probe(n, address, m, set);
		if (port != PORTMAP_NONE && share(n, index, address, m, reply, port))
			return true;
	}
	if (o == NULL)
		o = overload_make(n, reply, address);
	o->used_at = ++n->overloads->turn;
	if (o->n_looked < N_PORTS)
		look_on(n, o, *reply, wish->set, nat_address_at(n, address)->row != NAT_BLOCK_NONE ? m : NULL);
	for (int i = 0; i < UNUSED_TRIES; i++) {
		uint32_t port = pick_port(n, &o->unused, wish);
		if (port == PORTMAP_NONE)
			return false;
		if (share(n, index, address, m, reply, port))
			return true;
		/* Somebody who holds no port of the map has the tuple. */
		if (port_bits_unused(&o->unused, port))
			port_bits_take(&o->unused, port);
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
	if (nat_address_map(n, address, proto) == NULL || wish->set->n_ports == 0)
		return false;
	return effort == NAT_PORT_UNUSED ? take_unused(n, index, address, proto, &reply, wish)
					 : take_shared(n, index, address, proto, &reply, wish);
}
