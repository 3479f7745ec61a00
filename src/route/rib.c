/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The RIB: an array of all routes, sorted when the FIB is built, so that the
 * candidates of one prefix stand side by side with the best one first.
 *
 * A gateway is resolved over connected routes only: it must be a neighbour
 * (RFC 1812 section 5.2.4.3 keeps the next hop on a connected network). The
 * longest connected prefix that holds it gives interface and source address;
 * with an interface named, only prefixes of that interface count.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "route/rib.h"

const char *const rib_source_names[N_RIB_SOURCES] = {
	[RIB_LOCAL] = "local",
	[RIB_CONNECTED] = "connected",
	[RIB_STATIC] = "static",
	[RIB_TRANSLATED] = "nat",
};

struct rib {
	struct rib_route *route;
	size_t n, cap;
};

struct rib *rib_create(void)
{
	return calloc(1, sizeof(struct rib));
}

void rib_destroy(struct rib *r)
{
	if (r == NULL)
		return;
	free(r->route);
	free(r);
}

static bool route_same(const struct rib_route *a, const struct rib_route *b)
{
	return a->prefix.addr == b->prefix.addr && a->prefix.len == b->prefix.len && a->source == b->source &&
	       a->metric == b->metric && a->nexthop.kind == b->nexthop.kind &&
	       a->nexthop.gateway == b->nexthop.gateway && a->nexthop.ifindex == b->nexthop.ifindex;
}

int rib_add(struct rib *r, const struct rib_route *route)
{
	for (size_t i = 0; i < r->n; i++) {
		if (route_same(&r->route[i], route))
			return -EEXIST;
	}
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		struct rib_route *bigger = realloc(r->route, cap * sizeof(*bigger));

		if (bigger == NULL)
			return -ENOMEM;
		r->route = bigger;
		r->cap = cap;
	}
	r->route[r->n] = *route;
	r->route[r->n].prefix.addr &= ip4_mask(route->prefix.len);
	r->n++;
	return 0;
}

static void resolve(const struct rib *r, struct rib_route *route)
{
	const struct rib_route *best = NULL;

	route->resolved = true;
	if (route->nexthop.kind != FIB_UNICAST || route->nexthop.gateway == 0)
		return;
	for (size_t i = 0; i < r->n; i++) {
		const struct rib_route *c = &r->route[i];

		if (c->source != RIB_CONNECTED || !ip4_in(route->nexthop.gateway, c->prefix))
			continue;
		if (route->nexthop.ifindex != 0 && route->nexthop.ifindex != c->nexthop.ifindex)
			continue;
		if (best == NULL || c->prefix.len > best->prefix.len)
			best = c;
	}
	route->resolved = best != NULL;
	if (best == NULL)
		return;
	route->nexthop.ifindex = best->nexthop.ifindex;
	if (route->nexthop.source == 0)
		route->nexthop.source = best->nexthop.source;
}

static int route_compare(const void *a, const void *b)
{
	const struct rib_route *x = a, *y = b;

	if (x->prefix.addr != y->prefix.addr)
		return x->prefix.addr < y->prefix.addr ? -1 : 1;
	if (x->prefix.len != y->prefix.len)
		return (int)x->prefix.len - (int)y->prefix.len;
	if (x->resolved != y->resolved)
		return x->resolved ? -1 : 1;
	if (x->distance != y->distance)
		return (int)x->distance - (int)y->distance;
	if (x->source != y->source)
		return (int)x->source - (int)y->source;
	if (x->metric != y->metric)
		return x->metric < y->metric ? -1 : 1;
	if (x->nexthop.gateway != y->nexthop.gateway)
		return x->nexthop.gateway < y->nexthop.gateway ? -1 : 1;
	return x->nexthop.ifindex < y->nexthop.ifindex ? -1 : x->nexthop.ifindex > y->nexthop.ifindex;
}

struct fib *rib_build(struct rib *r)
{
	struct fib *f = fib_create();

	if (f == NULL)
		return NULL;
	for (size_t i = 0; i < r->n; i++)
		resolve(r, &r->route[i]);
	if (r->n > 1)
		qsort(r->route, r->n, sizeof(*r->route), route_compare);
	for (size_t i = 0; i < r->n; i++) {
		struct rib_route *route = &r->route[i];
		const struct rib_route *before = i > 0 ? &r->route[i - 1] : NULL;

		route->active = route->resolved && (before == NULL || before->prefix.addr != route->prefix.addr ||
						    before->prefix.len != route->prefix.len);
		if (!route->active)
			continue;
		uint32_t nh = fib_nexthop_add(f, &route->nexthop);

		if (nh == 0 || fib_insert(f, route->prefix, nh) != 0) {
			fib_destroy(f);
			return NULL;
		}
	}
	return f;
}

size_t rib_n_routes(const struct rib *r)
{
	return r->n;
}

const struct rib_route *rib_route_at(const struct rib *r, size_t i)
{
	return &r->route[i];
}
