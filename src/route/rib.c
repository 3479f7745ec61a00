/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The RIB: an array of all routes, sorted when the FIB is built, so that the
 * candidates of one prefix stand side by side with the best one first, and
 * repetitions beside each other: they are left out then.
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

int rib_add(struct rib *r, const struct rib_route *route)
{
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

/* The connected routes, and what was lately found among them: most routes share a gateway with others. */
#define FOUND_SLOTS 1024u

struct neighbourhood {
	struct rib_route *connected;
	size_t n;
	struct found {
		uint32_t gateway, ifindex;
		bool known;
		const struct rib_route *by; /* NULL: on no connected prefix */
	} found[FOUND_SLOTS];
};

static const struct rib_route *find_connected(const struct neighbourhood *nb, uint32_t gateway, uint32_t ifindex)
{
	const struct rib_route *best = NULL;

	for (size_t i = 0; i < nb->n; i++) {
		const struct rib_route *c = &nb->connected[i];

		if (!ip4_in(gateway, c->prefix) || (ifindex != 0 && ifindex != c->nexthop.ifindex))
			continue;
		if (best == NULL || c->prefix.len > best->prefix.len)
			best = c;
	}
	return best;
}

static void resolve(struct neighbourhood *nb, struct rib_route *route)
{
	struct fib_nexthop *nh = &route->nexthop;

	route->resolved = true;
	if (nh->kind != FIB_UNICAST || nh->gateway == 0)
		return;
	struct found *f = &nb->found[(nh->gateway ^ nh->ifindex << 5) % FOUND_SLOTS];

	if (!f->known || f->gateway != nh->gateway || f->ifindex != nh->ifindex)
		*f = (struct found){ nh->gateway, nh->ifindex, true, find_connected(nb, nh->gateway, nh->ifindex) };
	route->resolved = f->by != NULL;
	if (f->by == NULL)
		return;
	nh->ifindex = f->by->nexthop.ifindex;
	if (nh->source == 0)
		nh->source = f->by->nexthop.source;
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
	if (x->nexthop.ifindex != y->nexthop.ifindex)
		return x->nexthop.ifindex < y->nexthop.ifindex ? -1 : 1;
	return (int)x->nexthop.kind - (int)y->nexthop.kind;
}

/* Resolves every gateway. False without memory. */
static bool resolve_all(struct rib *r)
{
	struct neighbourhood *nb = calloc(1, sizeof(*nb));
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->route[i].source == RIB_CONNECTED;
	if (nb != NULL)
		nb->connected = calloc(n + 1, sizeof(*nb->connected));
	if (nb == NULL || nb->connected == NULL) {
		free(nb);
		return false;
	}
	for (size_t i = 0; i < r->n; i++) {
		if (r->route[i].source == RIB_CONNECTED)
			nb->connected[nb->n++] = r->route[i];
	}
	for (size_t i = 0; i < r->n; i++)
		resolve(nb, &r->route[i]);
	free(nb->connected);
	free(nb);
	return true;
}

static void sort_and_unite(struct rib *r)
{
	size_t n = 0;

	if (r->n > 1)
		qsort(r->route, r->n, sizeof(*r->route), route_compare);
	for (size_t i = 0; i < r->n; i++) {
		if (n == 0 || route_compare(&r->route[n - 1], &r->route[i]) != 0)
			r->route[n++] = r->route[i];
	}
	r->n = n;
}

struct fib *rib_build(struct rib *r)
{
	struct fib *f = fib_create();

	if (f == NULL || !resolve_all(r))
		goto fail;
	sort_and_unite(r);
	for (size_t i = 0; i < r->n; i++) {
		struct rib_route *route = &r->route[i];
		const struct rib_route *before = i > 0 ? &r->route[i - 1] : NULL;

		route->active = route->resolved && (before == NULL || before->prefix.addr != route->prefix.addr ||
						    before->prefix.len != route->prefix.len);
		if (!route->active)
			continue;
		uint32_t nh = fib_nexthop_add(f, &route->nexthop);

		if (nh == 0 || fib_insert(f, route->prefix, nh) != 0)
			goto fail;
	}
	return f;

fail:
	fib_destroy(f);
	return NULL;
}

size_t rib_n_routes(const struct rib *r)
{
	return r->n;
}

const struct rib_route *rib_route_at(const struct rib *r, size_t i)
{
	return &r->route[i];
}
