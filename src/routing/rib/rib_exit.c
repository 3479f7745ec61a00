/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Exits: what routes name as their way. What that is resolved to says rib_resolve.c.
 *
 * Routes that name the same are one exit, and an exit is one in the FIB too. So a
 * gateway that is resolved again is one write there, whatever number of prefixes go
 * by it. Which link is up is nothing to this file: a gateway behind a link that is
 * down is resolved, and the FIB knows that it is lost.
 *
 * A path of an exit may have an owner (rib_feed.c), without whom it leads nowhere.
 *
 * An exit is resolved again when routes have changed to a prefix that its gateway lies
 * in. A recursive one that other recursive ones have led on depends on more prefixes than
 * that: it is with any such change.
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
	return mix(h, (uint64_t)p->owner << 33 | (uint64_t)p->weight << 1 | p->onlink);
}

static bool path_equal(const struct rib_path *a, const struct rib_path *b)
{
	return memcmp(&a->nexthop, &b->nexthop, sizeof(a->nexthop)) == 0 && a->weight == b->weight &&
	       a->onlink == b->onlink && a->owner == b->owner;
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

bool rib_has_gateway(const struct rib_path *p)
{
	return p->nexthop.kind == FIB_UNICAST && p->nexthop.gateway.v4 != 0 && !p->onlink;
}

static void count_gateways(struct rib *r, const struct rib_exit *e, bool one_more)
{
	for (uint32_t i = 0; i < e->n; i++) {
		if (!rib_has_gateway(&e->path[i]))
			continue;
		r->gateways[e->path[i].nexthop.gateway.v4 >> 16] += one_more ? 1u : -1u;
		r->n_gateways += one_more ? 1u : -1u;
	}
}

/* At most 256 counts are looked at. */
static bool may_hold_gateway(const struct rib *r, struct ip4_prefix p)
{
	uint32_t first = p.addr >> 16, n = p.len >= 16 ? 1 : 1u << (16 - p.len);

	if (p.len < 8)
		return true;
	while (n > 0 && r->gateways[first + n - 1] == 0)
		n--;
	return n > 0;
}

void rib_prefix_moved(struct rib *r, uint64_t key)
{
	struct ip4_prefix p = rib_key_prefix(key);

	/* Of the many that a routing protocol changes, hardly any has a gateway in it. */
	if (r->n_gateways == 0 || !may_hold_gateway(r, p))
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
	/* What leads to it may itself have been led elsewhere. */
	if (e->recursive && r->n_moved > 0 && (e->is_deep || r->links_moved))
		return true;
	for (uint32_t i = 0; i < e->n && r->n_moved > 0; i++) {
		if (!rib_has_gateway(&e->path[i]))
			continue;
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

static bool same_ways(const struct rib_exit *e, const struct rib_ways *w)
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

static uint64_t interfaces_of(const struct rib_ways *w)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		if (w->way[i].nexthop.kind == FIB_UNICAST)
			bits |= UINT64_C(1) << (w->way[i].nexthop.ifindex & 63);
	}
	return bits;
}

static int take_ways(struct rib *r, struct rib_exit *e, const struct rib_ways *w)
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

int rib_exit_resolve(struct rib *r, struct rib_exit *e, bool *changed)
{
	struct rib_ways w;
	bool was_fresh = e->is_fresh;

	rib_search(r, e, &w);
	e->is_deep = w.is_deep;
	e->cost = w.cost;
	if (was_fresh || !same_ways(e, &w)) {
		e->is_stale = true;
		r->exits_fresh = true;
		if (take_ways(r, e, &w) != 0) {
			r->exits_short = true;
			r->shortage = -ENOMEM;
			return -ENOMEM;
		}
		*changed |= !was_fresh;
		r->links_moved |= !was_fresh && !e->recursive;
	}
	e->is_stale = false;
	return 0;
}

static bool is_due(const struct rib *r, const struct rib_exit *e)
{
	return e->is_fresh || e->is_stale || has_moved(r, e);
}

int rib_exits_resolve(struct rib *r, bool *changed)
{
	int rc = 0;

	if (!r->exits_fresh && r->n_moved == 0)
		return 0;
	/* First those whose gateways are neighbours: the others are led by them. */
	for (int recursive = 0; recursive < 2; recursive++) {
		for (uint32_t i = 0; i < r->exits.n_fresh; i++) {
			struct rib_exit *e = rib_exit_at(r, i);

			if (e->n_routes > 0 && e->recursive == (recursive != 0) && is_due(r, e) &&
			    rib_exit_resolve(r, e, changed) != 0)
				rc = -ENOMEM;
		}
	}
	/* What found no memory is tried again, and all that it may lead. */
	if (rc != 0)
		return rc;
	r->exits_fresh = r->exits_short = r->links_moved = false;
	r->n_moved = 0;
	return 0;
}
