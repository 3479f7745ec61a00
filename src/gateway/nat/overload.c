/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Busy destinations: which ports of an address are free towards one of them.
 *
 * While a port of an address is unused, or a destination has few of its ports, a
 * port is found without any of this. But when all are in use, and one destination
 * has most of them, only a map of that destination tells which are left. It must be
 * exact and there at once, for any number of destinations; so
 *
 *   counters  say how many ports each destination has, by a hash of address,
 *             protocol, remote address and port, from its first connection on. Two
 *             destinations may share one: then both look busier than they are, and a
 *             map is made early.
 *   a map     is made for a destination when it has half of the ports of a set. It
 *             is filled from the connection table, LOOKS ports with each connection
 *             towards it, so all are looked up when the destination is full; from
 *             then on it follows what is taken and released. Whoever finds nothing
 *             before goes on looking himself, so no free port is missed. It goes when
 *             the destination has less than a quarter.
 *
 * A map is as large as the span of its set needs: 128, 512, 4,096 or all ports. What it
 * costs is less than the connections without which it would not be, so there is
 * room for all that there can be, and none has to give way.
 *
 * Sets that are tiny (OVERLOAD_TINY) have no map: whoever wants a port looks at
 * each.
 *
 * A connection that holds no port can have a tuple too (one of the gateway's own, or
 * one from outside). That is found out when the port is picked; when it has gone
 * again, by the looks of whoever would be refused (reclaim.c).
 *
 * With several workers a map has the ports of this worker's blocks. Blocks come and
 * go without a look at any map: each is brought up to date when it is used.
 */
#include <stdlib.h>

#include "gateway/nat/overload.h"

#define LOOKS 2u
#define HAND_STEPS 8u
#define CLASS_SHIFT 28u

/* By the words of 64 ports: how many connections there are for each map of the class, at least. */
static const struct class
{
	uint32_t n_words, n_groups, n_connections;
} classes[OVERLOAD_CLASSES] = {
	{ 2, 4, OVERLOAD_TINY / 2 }, /* 4: so that what follows stands at a multiple of 8 */
	{ 8, 4, 64 },
	{ 64, 4, 256 },
	{ PORTMAP_WORDS, PORTMAP_GROUPS, 2048 },
};
#define MAPS_MIN 64u

static size_t size_of(const struct class *c)
{
	return sizeof(struct overload) + c->n_groups * sizeof(uint16_t) + c->n_words * (1 + sizeof(uint64_t));
}

static struct overload *at(const struct nat_overloads *os, uint32_t id)
{
	return pool_at(&os->maps[id >> CLASS_SHIFT], id & ((1u << CLASS_SHIFT) - 1));
}

static struct port_span span_of(struct overload *o)
{
	const struct class *c = &classes[o->class];
	uint16_t *group = (uint16_t *)(o + 1);
	uint64_t *unused = (uint64_t *)(group + c->n_groups);

	return (struct port_span){ group, (uint8_t *)(unused + c->n_words), unused, o->first, c->n_words * 64 };
}

/* Ports are looked up in an order that visits every part at once, from a random one on: what is known early is spread
 * over all, and a pick among it says little. The k-th of 2^m numbers is k * ORDER + start, mod 2^m. */
#define ORDER 0x9e3779b1u
#define ORDER_INVERSE 0x0e8b2f51u
_Static_assert((uint32_t)(ORDER *ORDER_INVERSE) == 1, "undoes it");

static uint32_t port_in_order(const struct overload *o, uint32_t n, uint32_t k)
{
	return o->first + ((k * ORDER + o->start) & (n - 1));
}

static bool is_looked(const struct overload *o, uint32_t n, uint32_t port)
{
	return ((port - o->first - o->start) * ORDER_INVERSE & (n - 1)) < o->n_looked;
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1024;

	while (p < n)
		p *= 2;
	return p;
}

struct nat_overloads *nat_overloads_create(uint32_t n_connections)
{
	struct nat_overloads *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->n_counters = power_of_two(n_connections / 4);
	if (pool_init(&o->counters, o->n_counters, sizeof(*o->counter), _Alignof(uint32_t)) != 0)
		goto fail;
	o->counter = pool_at(&o->counters, 0);
	o->n_buckets = power_of_two(n_connections / 16);
	o->bucket = calloc(o->n_buckets, sizeof(*o->bucket));
	if (o->bucket == NULL)
		goto fail;
	for (uint32_t i = 0; i < OVERLOAD_CLASSES; i++) {
		uint32_t n = n_connections / classes[i].n_connections + MAPS_MIN;

		if (pool_init(&o->maps[i], n, size_of(&classes[i]), _Alignof(uint64_t)) != 0)
			goto fail;
	}
	return o;

fail:
	nat_overloads_destroy(o);
	return NULL;
}

void nat_overloads_destroy(struct nat_overloads *o)
{
	if (o == NULL)
		return;
	for (uint32_t i = 0; i < OVERLOAD_CLASSES; i++)
		pool_fini(&o->maps[i]);
	pool_fini(&o->counters);
	free(o->bucket);
	free(o);
}

static uint16_t remote_port(const struct tuple *reply)
{
	return reply->proto == IPPROTO_NR_ICMP ? reply->dport : reply->sport;
}

/* Keyed, and cheap, since each connection asks for it: whoever finds two destinations that meet gains a map that is
 * made early. */
static uint64_t hash_of(const struct nat *n, const struct tuple *reply, uint32_t address)
{
	uint64_t h = ((uint64_t)reply->src << 32 | address) ^ n->key.k0;

	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	h = (h ^ h >> 32 ^ n->key.k1 ^ ((uint64_t)remote_port(reply) << 8 | reply->proto)) *
	    UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static uint32_t counter_number(const struct nat_overloads *os, uint64_t hash)
{
	return (uint32_t)hash & (os->n_counters - 1);
}

static uint32_t *bucket_of(const struct nat_overloads *os, uint64_t hash)
{
	return &os->bucket[hash >> 32 & (os->n_buckets - 1)];
}

static bool is_towards(const struct overload *o, const struct tuple *reply, uint32_t address)
{
	return o->address == address && o->remote == reply->src && o->remote_port == remote_port(reply) &&
	       o->proto == reply->proto;
}

/* Of the ports of its address. */
static const struct portmap *map_of(const struct nat *n, const struct overload *o)
{
	return ports_map(n->ports, o->address, port_proto_of(o->proto));
}

/* Blocks that came and went since it was used last. Towards this destination nothing is taken in a block that came. */
static void bring_up_to_date(const struct nat *n, struct overload *o)
{
	if (!o->by_blocks)
		return;
	const struct portmap *m = map_of(n, o);

	if (m->version == o->version)
		return;
	struct port_span b = span_of(o);

	bool complete = o->n_looked == OVERLOAD_COMPLETE;

	/* One that is being filled begins again. */
	if (!complete)
		o->n_looked = 0;
	for (uint32_t port = b.first; port < b.first + b.n; port += 64)
		if (!complete || (int32_t)(m->changed[port >> 6] - o->version) > 0)
			port_span_set(&b, port, complete ? m->own.unused[port >> 6] : 0);
	o->version = m->version;
}

/* A connection towards it that may have been finished before it was busy. */
static void seen(struct nat *n, struct overload *o, uint32_t index)
{
	uint32_t ref;

	if (conntrack_may_be_finished(n->ct, index) && nat_source_hold_of(n, index, &ref) &&
	    nat_ref_kind(ref) == NAT_HOLD_PORT)
		nat_reclaim_queue_append(n, &o->before, index);
}

/* Looks n more ports up. Ports that the set does not have, and those of other workers' blocks, stay used. */
static void look_on(struct nat *n, struct overload *o, const struct port_set *set, uint32_t n_left)
{
	struct tuple reply = { .src = o->remote,
			       .dst = ports_addr(n->ports, o->address)->v4,
			       .sport = o->remote_port,
			       .dport = o->remote_port,
			       .proto = o->proto,
			       .zone = ports_zone(n->ports, o->address) };
	struct port_span b = span_of(o);
	uint32_t k = o->n_looked;
	const struct portmap *own = o->by_blocks ? map_of(n, o) : NULL;

	for (; k < b.n && n_left > 0; k++) {
		uint32_t port = port_in_order(o, b.n, k);

		if (!port_set_has(set, port) || (own != NULL && !portmap_owns(own, port)))
			continue;
		nat_set_outside_port(&reply, port);
		uint32_t ref = conntrack_find(n->ct, &reply);
		n_left--;
		if (ref == CONN_NONE)
			port_span_give(&b, port);
		else
			seen(n, o, conn_index(ref));
	}
	o->n_looked = k == b.n ? OVERLOAD_COMPLETE : k;
}

static struct overload *make(struct nat *n, const struct tuple *reply, uint32_t address, const struct port_set *set,
			     uint64_t hash)
{
	struct nat_overloads *os = n->overloads;
	uint32_t first = set->range[0].first & ~63u, last = set->range[set->n - 1].last, class = 0;
	uint32_t *bucket = bucket_of(os, hash);

	while (class + 1 < OVERLOAD_CLASSES && last - first >= classes[class].n_words * 64)
		class ++;
	uint32_t place = pool_alloc(&os->maps[class]);
	if (place == POOL_NONE)
		return NULL;
	struct overload *o = pool_at(&os->maps[class], place);

	memset(o, 0, size_of(&classes[class]));
	o->class = class & 0xf;
	o->first = min_u32(first, 65536 - classes[class].n_words * 64);
	o->address = address;
	o->remote = reply->src;
	o->remote_port = remote_port(reply);
	o->proto = reply->proto;
	o->set_id = set->id;
	o->n_ports = set->n_ports;
	o->hand = first;
	o->start = rng_u32(&n->env->rng);
	nat_reclaim_queue_begin(&n->reclaim, &o->before);
	nat_reclaim_queue_begin(&n->reclaim, &o->finished);
	o->id = class << CLASS_SHIFT | place;
	o->by_blocks = !ports_are_mine(n->ports, address);
	if (o->by_blocks)
		o->version = map_of(n, o)->version;
	o->chain = *bucket;
	*bucket = o->id + 1;
	os->n_used++;
	return o;
}

static void unmake(struct nat *n, struct overload *o, uint64_t hash)
{
	struct nat_overloads *os = n->overloads;
	uint32_t *link = bucket_of(os, hash);

	while (*link != o->id + 1)
		link = &at(os, *link - 1)->chain;
	*link = o->chain;
	nat_reclaim_queue_end(&o->before);
	nat_reclaim_queue_end(&o->finished);
	pool_free(&os->maps[o->class], o->id & ((1u << CLASS_SHIFT) - 1));
	os->n_used--;
}

struct overload *nat_overload_of(const struct nat *n, const struct tuple *reply, uint32_t address,
				 const struct port_set *set)
{
	const struct nat_overloads *os = n->overloads;

	if (os->n_used == 0)
		return NULL;
	for (uint32_t i = *bucket_of(os, hash_of(n, reply, address)); i != 0; i = at(os, i - 1)->chain) {
		struct overload *o = at(os, i - 1);

		if (is_towards(o, reply, address) && (set == NULL || o->set_id == set->id)) {
			bring_up_to_date(n, o);
			return o;
		}
	}
	return NULL;
}

bool nat_overload_owns(const struct nat *n, const struct overload *o, uint32_t port)
{
	return ports_is_mine(n->ports, o->address, port_proto_of(o->proto), port);
}

struct overload *nat_overload_make(struct nat *n, const struct tuple *reply, uint32_t address,
				   const struct port_set *set)
{
	return make(n, reply, address, set, hash_of(n, reply, address));
}

/* With less than so many a destination has no map, however few ports of the set are ours. */
static uint32_t share_of_block(const struct port_set *set)
{
	return min_u32(set->n_ports, PORT_BLOCK_PORTS) / 2;
}

/* There are maps, or the destination may need one: it has n_ports of the set. */
static YG_SELDOM void taken_of_many(struct nat *n, const struct tuple *reply, uint32_t address,
				    const struct port_set *set, uint64_t hash, uint32_t n_ports)
{
	struct nat_overloads *os = n->overloads;
	uint32_t port = nat_outside_port(reply);
	bool has_map = set->n_ports <= OVERLOAD_TINY;

	for (uint32_t i = os->n_used == 0 ? 0 : *bucket_of(os, hash); i != 0; i = at(os, i - 1)->chain) {
		struct overload *o = at(os, i - 1);

		if (!is_towards(o, reply, address))
			continue;
		bring_up_to_date(n, o);
		nat_overload_mark(o, port);
		if (o->set_id != set->id)
			continue;
		has_map = true;
		if (o->n_looked != OVERLOAD_COMPLETE)
			look_on(n, o, set, LOOKS);
	}
	if (has_map || n_ports < share_of_block(set) ||
	    n_ports < ports_n_mine(n->ports, address, port_proto_of(reply->proto), set) / 2)
		return;
	struct overload *o = make(n, reply, address, set, hash);

	if (o != NULL)
		look_on(n, o, set, LOOKS);
}

uint64_t nat_overload_reach(const struct nat *n, const struct tuple *reply, uint32_t address)
{
	uint64_t hash = hash_of(n, reply, address);

	nat_overload_fetch(n, counter_number(n->overloads, hash));
	return hash;
}

void nat_overload_taken_at(struct nat *n, uint32_t index, const struct tuple *reply, uint32_t address,
			   const struct port_set *set, uint64_t hash)
{
	struct nat_overloads *os = n->overloads;
	uint32_t number = counter_number(os, hash), n_ports = ++os->counter[number];

	conntrack_ext(n->ct, index)->nat_destination = number;

	if (YG_UNLIKELY(os->n_used != 0 || n_ports >= share_of_block(set)))
		taken_of_many(n, reply, address, set, hash, n_ports);
}

void nat_overload_taken(struct nat *n, uint32_t index, const struct tuple *reply, uint32_t address,
			const struct port_set *set)
{
	if (port_proto_of(reply->proto) != PORT_PROTO_NONE)
		nat_overload_taken_at(n, index, reply, address, set, hash_of(n, reply, address));
}

/* Of the ports that it could have most are free, as far as is known. */
static bool is_idle(const struct nat *n, struct overload *o)
{
	const struct port_span b = span_of(o);
	uint32_t n_free = 0, n_all = o->n_ports;

	for (uint32_t g = 0; g < (b.n + 4095) / 4096; g++)
		n_free += b.group[g];
	if (o->by_blocks) {
		struct port_set all = { .n = 1, .range = { { (uint16_t)b.first, (uint16_t)(b.first + b.n - 1) } } };

		n_all = portmap_count_own(map_of(n, o), &all);
	}
	return n_free > n_all / 4 * 3;
}

/* There are maps, perhaps of the destination, which has n_left ports. */
static YG_SELDOM void released_of_many(struct nat *n, const struct tuple *reply, uint32_t address, uint32_t n_left)
{
	struct nat_overloads *os = n->overloads;
	uint64_t hash = hash_of(n, reply, address);
	uint32_t port = nat_outside_port(reply), next;

	for (uint32_t i = *bucket_of(os, hash); i != 0; i = next) {
		struct overload *o = at(os, i - 1);

		next = o->chain;
		if (!is_towards(o, reply, address))
			continue;
		bring_up_to_date(n, o);
		/* What was kept for a successor may be somebody else's by now; that is found out when it is picked. */
		nat_overload_unmark(o, port);
		if (n_left < o->n_ports / 4 && (o->n_looked != OVERLOAD_COMPLETE || is_idle(n, o)))
			unmake(n, o, hash);
	}
}

void nat_overload_released(struct nat *n, uint32_t index, const struct tuple *reply, uint32_t address)
{
	struct nat_overloads *os = n->overloads;

	if (port_proto_of(reply->proto) == PORT_PROTO_NONE)
		return;
	uint32_t n_left = --os->counter[conntrack_ext(n->ct, index)->nat_destination];

	if (YG_UNLIKELY(os->n_used != 0))
		released_of_many(n, reply, address, n_left);
}

void nat_overload_mark(struct overload *o, uint32_t port)
{
	struct port_span b = span_of(o);

	if (port_span_has(&b, port) && port_span_unused(&b, port))
		port_span_take(&b, port);
}

void nat_overload_unmark(struct overload *o, uint32_t port)
{
	struct port_span b = span_of(o);

	if (port_span_has(&b, port) && is_looked(o, b.n, port) && !port_span_unused(&b, port))
		port_span_give(&b, port);
}

static bool is_near(const struct port_request *request)
{
	return request->near != NULL && request->near->n_ports != 0;
}

uint32_t nat_overload_pick(struct nat *n, struct overload *o, const struct port_request *request)
{
	struct port_span b = span_of(o);

	for (;;) {
		uint32_t port = is_near(request) ? port_span_pick(&b, request->near, &n->env->rng) : PORT_NONE;

		if (port == PORT_NONE)
			port = port_span_pick(&b, request->set, &n->env->rng);
		if (port != PORT_NONE || o->n_looked == OVERLOAD_COMPLETE)
			return port;
		/* Only where a destination was full before it could be seen coming. */
		look_on(n, o, request->set, LOOKS);
	}
}

uint32_t nat_overload_pick_shareable(struct nat *n, struct overload *o, const struct portmap *m,
				     const struct port_set *set)
{
	struct port_span b = span_of(o);
	uint32_t n_words = b.n / 64, start = rng_below(&n->env->rng, n_words);

	for (uint32_t i = 0; i < n_words; i++) {
		uint32_t w = start + i < n_words ? start + i : start + i - n_words, first = b.first + w * 64;
		uint64_t bits = b.unused[w] & ~m->unshareable[first >> 6];

		for (; bits != 0; bits &= bits - 1) {
			uint32_t port = first + (uint32_t)__builtin_ctzll(bits);

			if (port_set_has(set, port))
				return port;
		}
	}
	return PORT_NONE;
}

uint32_t nat_overload_next_used(struct overload *o, const struct port_set *set)
{
	struct port_span b = span_of(o);

	for (uint32_t i = 0; i < HAND_STEPS; i++) {
		/* The next port of the set at the hand or behind it. */
		uint32_t port = PORT_NONE;

		for (uint32_t k = 0; k < set->n && port == PORT_NONE; k++)
			if (o->hand <= set->range[k].last)
				port = max_u32(o->hand, set->range[k].first);
		if (port == PORT_NONE) {
			o->hand = set->range[0].first;
			continue;
		}
		o->hand = port + 1;
		if (!port_span_unused(&b, port))
			return port;
	}
	return PORT_NONE;
}
