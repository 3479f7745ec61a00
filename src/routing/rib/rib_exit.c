/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Exits: what routes name as their way, and what that is resolved to.
 *
 * A gateway must be a neighbour (RFC 1812 section 5.2.4.3 keeps the next hop on a
 * connected network), so it is resolved over what lies on links: connected
 * prefixes and routes to a device. The longest of them that holds it gives
 * interface and source address; with an interface named, only those of that
 * interface count, in whatever zone it is; else those of the route's own zone, then
 * those of zone 0. Or the route itself says that it is a neighbour (onlink): on a
 * link whose address is a /32, or that has none.
 *
 * A recursive route's gateway is looked for by all routes: the longest prefix that
 * holds it and leads somewhere gives the next hops. Not by a default route, unless
 * the route says so; at most RIB_DEPTH_MAX such steps; and never through itself: a
 * route whose gateway lies behind that very route leads nowhere, whatever shorter
 * prefix there is, since that would come and go for ever.
 *
 * Routes that name the same are one exit, and an exit is one in the FIB too. So a
 * gateway that is resolved again is one write there, whatever number of prefixes go
 * by it. Which link is up is nothing to this file: a gateway behind a link that is
 * down is resolved, and the FIB knows that it is lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "routing/rib/rib_priv.h"

/* --- by value --- */

static struct rib_path path_of(const struct rib_route *route, uint32_t i)
{
	if (route->n_paths > 0)
		return route->path[i];
	return (struct rib_path){ .nexthop = route->nexthop, .weight = 1, .onlink = route->onlink };
}

static uint32_t n_paths_of(const struct rib_route *route)
{
	return route->n_paths > 0 ? min_u32(route->n_paths, FIB_PATHS_MAX) : 1;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t hash_path(uint64_t h, const struct rib_path *p)
{
	uint64_t word[sizeof(p->nexthop) / sizeof(uint64_t)];

	memcpy(word, &p->nexthop, sizeof(word));
	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		h = mix(h, word[i]);
	return mix(h, (uint64_t)p->weight << 1 | p->onlink);
}

static bool path_equal(const struct rib_path *a, const struct rib_path *b)
{
	return memcmp(&a->nexthop, &b->nexthop, sizeof(a->nexthop)) == 0 && a->weight == b->weight &&
	       a->onlink == b->onlink;
}

static uint64_t hash_route(const struct rib_route *route)
{
	uint64_t h = mix(route->zone, (uint64_t)route->recursive << 1 | (route->source == RIB_CONNECTED));

	for (uint32_t i = 0; i < n_paths_of(route); i++) {
		struct rib_path p = path_of(route, i);

		h = hash_path(h, &p);
	}
	return h >> 16;
}

static uint64_t hash_exit(const struct rib_exit *e)
{
	uint64_t h = mix(e->zone, (uint64_t)e->recursive << 1 | e->stays);

	for (uint32_t i = 0; i < e->n; i++)
		h = hash_path(h, &e->path[i]);
	return h >> 16;
}

bool rib_exit_is_that(const struct rib *r, uint32_t exit, const struct rib_route *route)
{
	const struct rib_exit *e = rib_exit_at(r, exit);

	if (e->zone != route->zone || e->n != n_paths_of(route) || e->stays != (route->source == RIB_CONNECTED) ||
	    e->recursive != route->recursive || e->over_default != route->over_default)
		return false;
	for (uint32_t i = 0; i < e->n; i++) {
		struct rib_path p = path_of(route, i);

		if (!path_equal(&e->path[i], &p))
			return false;
	}
	return true;
}

static uint32_t *bucket_of(const struct rib *r, uint64_t hash)
{
	return &r->by_exit.bucket[hash & (r->by_exit.n_buckets - 1)];
}

/* More buckets than exits; without memory the chains get longer. */
static void grow(struct rib *r)
{
	struct rib_hash old = r->by_exit;
	uint32_t n = 2 * old.n_buckets, *bigger;

	if (r->exits.n_used < old.n_buckets || (bigger = malloc(n * sizeof(*bigger))) == NULL)
		return;
	memset(bigger, 0xff, n * sizeof(*bigger));
	r->by_exit = (struct rib_hash){ bigger, n };
	for (uint32_t i = 0; i < old.n_buckets; i++) {
		for (uint32_t next, k = old.bucket[i]; k != RIB_NONE; k = next) {
			uint32_t *head = bucket_of(r, hash_exit(rib_exit_at(r, k)));

			next = rib_exit_at(r, k)->hash_next;
			rib_exit_at(r, k)->hash_next = *head;
			*head = k;
		}
	}
	free(old.bucket);
}

/* --- where gateways lie --- */

static bool has_gateway(const struct rib_path *p)
{
	return p->nexthop.kind == FIB_UNICAST && p->nexthop.gateway.v4 != 0 && !p->onlink;
}

static void count_gateways(struct rib *r, const struct rib_exit *e, bool one_more)
{
	for (uint32_t i = 0; i < e->n; i++) {
		if (!has_gateway(&e->path[i]))
			continue;
		r->gateways[e->path[i].nexthop.gateway.v4 >> 16] += one_more ? 1u : -1u;
		r->n_gateways += one_more ? 1u : -1u;
	}
}

void rib_prefix_moved(struct rib *r, uint64_t key)
{
	struct ip4_prefix p = rib_key_prefix(key);

	/* Of the many that a routing protocol changes, hardly any has a gateway in it. */
	if (r->n_gateways == 0 || (p.len >= 16 && r->gateways[p.addr >> 16] == 0))
		return;
	if (r->n_moved < ARRAY_LEN(r->moved)) {
		r->moved[r->n_moved] = p;
		r->moved_zone[r->n_moved] = rib_key_zone(key);
	}
	if (r->n_moved <= ARRAY_LEN(r->moved))
		r->n_moved++;
}

static bool has_moved(const struct rib *r, const struct rib_exit *e)
{
	if (r->n_moved > ARRAY_LEN(r->moved))
		return true;
	for (uint32_t i = 0; i < e->n && r->n_moved > 0; i++) {
		if (!has_gateway(&e->path[i]))
			continue;
		/* What leads to one may itself have been led elsewhere. */
		if (e->recursive)
			return true;
		for (uint32_t k = 0; k < r->n_moved; k++) {
			if (ip4_in(e->path[i].nexthop.gateway.v4, r->moved[k]))
				return true;
		}
	}
	return false;
}

/* --- life --- */

uint32_t rib_exit_get(struct rib *r, const struct rib_route *route)
{
	uint32_t i = *bucket_of(r, hash_route(route));

	for (; i != RIB_NONE; i = rib_exit_at(r, i)->hash_next) {
		if (rib_exit_is_that(r, i, route)) {
			rib_exit_at(r, i)->n_routes++;
			return i;
		}
	}
	grow(r);
	uint32_t n = n_paths_of(route);
	struct rib_path *path = calloc(n, sizeof(*path));

	i = path != NULL ? pool_alloc(&r->exits) : RIB_NONE;
	if (i == RIB_NONE) {
		free(path);
		return RIB_NONE;
	}
	for (uint32_t k = 0; k < n; k++)
		path[k] = path_of(route, k);
	struct rib_exit *e = rib_exit_at(r, i);
	uint32_t *head;

	*e = (struct rib_exit){ .path = path,
				.n = n,
				.n_routes = 1,
				.fib_exit = RIB_NONE,
				.zone = route->zone,
				.stays = route->source == RIB_CONNECTED,
				.recursive = route->recursive,
				.over_default = route->over_default,
				.is_fresh = true };
	head = bucket_of(r, hash_exit(e));
	e->hash_next = *head;
	*head = i;
	r->exits_fresh = true;
	count_gateways(r, e, true);
	return i;
}

void rib_exit_put(struct rib *r, uint32_t exit)
{
	struct rib_exit *e = rib_exit_at(r, exit);

	if (--e->n_routes > 0)
		return;
	uint32_t *at = bucket_of(r, hash_exit(e));

	while (*at != exit)
		at = &rib_exit_at(r, *at)->hash_next;
	*at = e->hash_next;
	count_gateways(r, e, false);
	/* In the FIB it goes with the last group that has it. */
	if (e->fib_exit != RIB_NONE)
		fib_exit_put(rib_table_of(r, e->zone)->fib, e->fib_exit);
	free(e->path);
	free(e->way);
	*e = (struct rib_exit){ .fib_exit = RIB_NONE };
	pool_free(&r->exits, exit);
}

int rib_exit_compare(const struct rib_exit *a, const struct rib_exit *b)
{
	const struct fib_nexthop *x = &a->path[0].nexthop, *y = &b->path[0].nexthop;
	int order = ip_addr_compare(&x->gateway, &y->gateway);

	if (order != 0)
		return order;
	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

/* --- resolution --- */

struct ways {
	struct fib_exit_path way[FIB_PATHS_MAX];
	uint32_t n;
};

static void add_way(struct ways *w, const struct fib_nexthop *nh, uint32_t weight)
{
	for (uint32_t i = 0; i < w->n; i++) {
		if (memcmp(&w->way[i].nexthop, nh, sizeof(*nh)) == 0) {
			w->way[i].weight += weight;
			return;
		}
	}
	if (w->n < FIB_PATHS_MAX)
		w->way[w->n++] = (struct fib_exit_path){ *nh, weight };
}

/* The link route of a prefix by which an address is a neighbour; ifindex 0: whichever. */
static const struct fib_nexthop *link_of(const struct rib *r, uint32_t prefix, uint32_t ifindex)
{
	for (uint32_t i = rib_prefix_at(r, prefix)->first; i != RIB_NONE; i = rib_record_at(r, i)->next) {
		const struct rib_record *x = rib_record_at(r, i);
		const struct fib_nexthop *nh = &rib_exit_at(r, x->exit)->path[0].nexthop;

		if (rib_is_of_link(r, x) && (ifindex == 0 || nh->ifindex == ifindex))
			return nh;
	}
	return NULL;
}

/* The longest prefix of a table with a link that holds the gateway; *len is its length. */
static const struct fib_nexthop *link_in(const struct rib *r, const struct rib_table *t, uint32_t gateway,
					 uint32_t ifindex, uint32_t *len)
{
	for (*len = 33; (*len)-- > 0;) {
		uint32_t prefix =
			t->n_of_len[*len] == 0
				? RIB_NONE
				: rib_prefix_find(r, rib_key(t->zone, gateway & ip4_mask((uint8_t)*len), *len));
		const struct fib_nexthop *nh = prefix != RIB_NONE ? link_of(r, prefix, ifindex) : NULL;

		if (nh != NULL)
			return nh;
	}
	return NULL;
}

static const struct fib_nexthop *find_link(const struct rib *r, uint16_t zone, uint32_t gateway, uint32_t ifindex)
{
	const struct fib_nexthop *best = NULL, *nh;
	uint32_t len, best_len = 0;

	for (uint32_t i = 0; i < r->n_tables; i++) {
		const struct rib_table *t = &r->table[i];

		if (ifindex == 0 && t->zone != zone)
			continue;
		nh = link_in(r, t, gateway, ifindex, &len);
		if (nh != NULL && (best == NULL || len > best_len)) {
			best = nh;
			best_len = len;
		}
	}
	return best == NULL && ifindex == 0 && zone != 0 ? find_link(r, 0, gateway, 0) : best;
}

/* The look for one exit's gateways. */
struct search {
	const struct rib *r;
	struct rib_exit *stack[RIB_DEPTH_MAX + 1];
	uint32_t depth;
	uint32_t steps_left; /* several paths a step would be very many */
};

static void search_exit(struct search *s, struct rib_exit *e, struct ways *w);

static bool is_on_way(const struct search *s, const struct rib_exit *e)
{
	for (uint32_t i = 0; i < s->depth; i++) {
		if (s->stack[i] == e)
			return true;
	}
	return false;
}

/* What another exit leads to: of one that is not recursive that is known. */
static void ways_of(struct search *s, struct rib_exit *e, struct ways *w)
{
	w->n = 0;
	if (e->recursive) {
		if (s->depth <= RIB_DEPTH_MAX)
			search_exit(s, e, w);
		return;
	}
	w->n = e->n_ways;
	memcpy(w->way, e->way, e->n_ways * sizeof(*e->way));
}

static uint32_t weight_of(uint32_t a, uint32_t b)
{
	return (uint32_t)min_u64((uint64_t)a * b, UINT16_MAX);
}

/* By the routes of one prefix. True: it says where to, if anywhere. */
static bool follow_prefix(struct search *s, uint32_t prefix, const struct rib_path *p, struct ways *w)
{
	bool itself = false;

	for (uint32_t i = rib_prefix_at(s->r, prefix)->first; i != RIB_NONE; i = rib_record_at(s->r, i)->next) {
		struct rib_exit *e = rib_exit_at(s->r, rib_record_at(s->r, i)->exit);
		struct ways found;

		if (is_on_way(s, e)) {
			itself = true;
			continue;
		}
		ways_of(s, e, &found);
		for (uint32_t k = 0; k < found.n; k++) {
			struct fib_nexthop nh = found.way[k].nexthop;

			if (nh.kind != FIB_UNICAST)
				return true;
			/* Of a link: the gateway itself is the neighbour. */
			if (nh.gateway.v4 == 0)
				nh.gateway = p->nexthop.gateway;
			add_way(w, &nh, weight_of(found.way[k].weight, p->weight));
		}
		if (found.n > 0)
			return true;
	}
	return itself;
}

static bool follow_in(struct search *s, uint16_t zone, bool over_default, const struct rib_path *p, struct ways *w)
{
	const struct rib_table *t = rib_table_of(s->r, zone);
	uint32_t gateway = p->nexthop.gateway.v4;

	for (uint32_t len = 33; t != NULL && len-- > (over_default ? 0u : 1u);) {
		if (t->n_of_len[len] == 0)
			continue;
		uint32_t prefix = rib_prefix_find(s->r, rib_key(zone, gateway & ip4_mask((uint8_t)len), len));

		if (prefix != RIB_NONE && follow_prefix(s, prefix, p, w))
			return true;
	}
	return false;
}

static void by_link(const struct rib *r, const struct rib_exit *e, const struct rib_path *p, struct ways *w)
{
	struct fib_nexthop nh = p->nexthop;
	const struct fib_nexthop *by = find_link(r, e->zone, nh.gateway.v4, nh.ifindex);

	if (by == NULL)
		return;
	nh.ifindex = by->ifindex;
	if (nh.source.v4 == 0)
		nh.source = by->source;
	add_way(w, &nh, p->weight);
}

static void search_exit(struct search *s, struct rib_exit *e, struct ways *w)
{
	s->stack[s->depth++] = e;
	for (uint32_t i = 0; i < e->n && s->steps_left > 0; i++) {
		const struct rib_path *p = &e->path[i];

		s->steps_left--;
		if (!has_gateway(p))
			add_way(w, &p->nexthop, p->weight);
		else if (!e->recursive || p->nexthop.ifindex != 0)
			by_link(s->r, e, p, w);
		else if (!follow_in(s, e->zone, e->over_default, p, w) && e->zone != 0)
			(void)follow_in(s, 0, e->over_default, p, w);
	}
	s->depth--;
}

static bool same_ways(const struct rib_exit *e, const struct ways *w)
{
	if (e->n_ways != w->n)
		return false;
	for (uint32_t i = 0; i < w->n; i++) {
		if (memcmp(&e->way[i].nexthop, &w->way[i].nexthop, sizeof(w->way[i].nexthop)) != 0 ||
		    e->way[i].weight != w->way[i].weight)
			return false;
	}
	return true;
}

static uint64_t interfaces_of(const struct ways *w)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		if (w->way[i].nexthop.kind == FIB_UNICAST)
			bits |= UINT64_C(1) << (w->way[i].nexthop.ifindex & 63);
	}
	return bits;
}

static int take_ways(struct rib *r, struct rib_exit *e, const struct ways *w)
{
	struct rib_table *t = rib_table_of(r, e->zone);
	struct fib_exit_path *way = malloc((w->n + 1) * sizeof(*way));
	bool was_up = e->fib_exit != RIB_NONE && fib_exit_is_up(t->fib, e->fib_exit);

	if (way == NULL)
		return -ENOMEM;
	if (t->fib != NULL && e->fib_exit == RIB_NONE)
		e->fib_exit = fib_exit_new(t->fib, e->stays ? FIB_EXIT_STAYS : FIB_EXIT_PLAIN);
	if (t->fib != NULL && (e->fib_exit == RIB_NONE || fib_exit_set(t->fib, e->fib_exit, w->way, w->n) != 0)) {
		free(way);
		return -ENOMEM;
	}
	memcpy(way, w->way, w->n * sizeof(*way));
	free(e->way);
	/* Prefixes by it may have to choose again, or be heard by other interfaces. */
	if (!e->is_fresh && (e->interfaces != interfaces_of(w) || (e->n_ways == 0) != (w->n == 0) ||
			     (t->fib != NULL && was_up != fib_exit_is_up(t->fib, e->fib_exit))))
		r->walk_left = r->prefixes.n_fresh;
	e->way = way;
	e->n_ways = w->n;
	e->interfaces = interfaces_of(w);
	e->is_fresh = false;
	return 0;
}

#define STEPS_MAX 1024u

static int resolve(struct rib *r, struct rib_exit *e, bool *changed)
{
	struct search s = { .r = r, .steps_left = STEPS_MAX };
	struct ways w = { .n = 0 };

	search_exit(&s, e, &w);
	if (!e->is_fresh && same_ways(e, &w))
		return 0;
	*changed |= !e->is_fresh;
	return take_ways(r, e, &w);
}

int rib_exits_resolve(struct rib *r, bool *changed)
{
	if (!r->exits_fresh && r->n_moved == 0)
		return 0;
	/* First those whose gateways are neighbours: the others are led by them. */
	for (int recursive = 0; recursive < 2; recursive++) {
		for (uint32_t i = 0; i < r->exits.n_fresh; i++) {
			struct rib_exit *e = rib_exit_at(r, i);

			if (e->n_routes > 0 && e->recursive == (recursive != 0) && (e->is_fresh || has_moved(r, e)) &&
			    resolve(r, e, changed) != 0)
				return -ENOMEM;
		}
	}
	r->exits_fresh = false;
	r->n_moved = 0;
	return 0;
}
