/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The RIB: an array of all routes, sorted when the FIBs are built, so that the
 * candidates of one prefix of a zone stand side by side with the best one first, and
 * repetitions beside each other: they are left out then. The order stays; which
 * candidate is active is asked anew when a link comes or goes.
 *
 * A gateway must be a neighbour (RFC 1812 section 5.2.4.3 keeps the next hop on a
 * connected network), so it is resolved over what lies on links: connected
 * prefixes and static routes to a device. The longest of them that holds it gives
 * interface and source address; with an interface named, only those of that
 * interface count, in whatever zone it is; else those of the route's own zone, then
 * those of zone 0. Or the route itself says that it is a neighbour (onlink): on a
 * link whose address is a /32, or that has none.
 *
 * A route whose interface has no link gives way to the next best of its prefix,
 * and where there is none, to a shorter prefix. A connected route stays where
 * nobody else has its prefix: what is for our own hosts is refused while they are
 * cut off (DROP_TX_DOWN), and does not leave by a default route. Our addresses
 * are ours with and without a link.
 *
 * Routes that lose still say by which interfaces their prefix may be heard
 * (fib_route.from): with two uplinks answers come by the worse one too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/ip/stack.h"
#include "routing/rib/rib.h"

const char *const rib_source_names[N_RIB_SOURCES] = {
	[RIB_LOCAL] = "local",
	[RIB_CONNECTED] = "connected",
	[RIB_STATIC] = "static",
	[RIB_TRANSLATED] = "nat",
};

struct rib {
	struct rib_route *route;
	size_t n, cap;
	struct table {
		uint16_t zone;
		struct fib *fib;
		size_t first, n; /* its routes */
	} * table;
	uint32_t n_tables;
	uint64_t down; /* a bit an interface */
};
_Static_assert(IP_INTERFACES_MAX <= 64, "a bit an interface");

struct rib *rib_create(void)
{
	return calloc(1, sizeof(struct rib));
}

void rib_destroy(struct rib *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->n_tables; i++)
		fib_destroy(r->table[i].fib);
	free(r->table);
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

/* Every address of its prefix is a neighbour. */
static bool is_of_link(const struct rib_route *route)
{
	return route->source == RIB_CONNECTED || (route->source == RIB_STATIC && route->nexthop.kind == FIB_UNICAST &&
						  route->nexthop.gateway.v4 == 0 && route->nexthop.ifindex != 0);
}

/* The routes to links, and what was lately found among them: most routes share a gateway with others. */
#define FOUND_SLOTS 1024u

struct neighbourhood {
	struct rib_route *connected;
	size_t n;
	struct found {
		uint32_t gateway, ifindex, zone;
		bool known;
		const struct rib_route *by; /* NULL: on no connected prefix */
	} found[FOUND_SLOTS];
};

/* ifindex 0: by any interface of the zone. */
static const struct rib_route *find_connected(const struct neighbourhood *nb, uint32_t gateway, uint32_t ifindex,
					      uint16_t zone)
{
	const struct rib_route *best = NULL;

	for (size_t i = 0; i < nb->n; i++) {
		const struct rib_route *c = &nb->connected[i];

		if (!ip4_in(gateway, c->prefix) || (ifindex != 0 ? ifindex != c->nexthop.ifindex : zone != c->zone))
			continue;
		if (best == NULL || c->prefix.len > best->prefix.len)
			best = c;
	}
	if (best == NULL && ifindex == 0 && zone != 0)
		return find_connected(nb, gateway, 0, 0);
	return best;
}

static void resolve(struct neighbourhood *nb, struct rib_route *route)
{
	struct fib_nexthop *nh = &route->nexthop;

	route->resolved = true;
	if (nh->kind != FIB_UNICAST || nh->gateway.v4 == 0 || route->onlink)
		return;
	struct found *f = &nb->found[(nh->gateway.v4 ^ nh->ifindex << 5 ^ (uint32_t)route->zone << 7) % FOUND_SLOTS];

	if (!f->known || f->gateway != nh->gateway.v4 || f->ifindex != nh->ifindex || f->zone != route->zone)
		*f = (struct found){ nh->gateway.v4, nh->ifindex, route->zone, true,
				     find_connected(nb, nh->gateway.v4, nh->ifindex, route->zone) };
	route->resolved = f->by != NULL;
	if (f->by == NULL)
		return;
	nh->ifindex = f->by->nexthop.ifindex;
	if (nh->source.v4 == 0)
		nh->source = f->by->nexthop.source;
}

static int route_compare(const void *a, const void *b)
{
	const struct rib_route *x = a, *y = b;

	if (x->zone != y->zone)
		return (int)x->zone - (int)y->zone;
	if (x->prefix.addr != y->prefix.addr)
		return x->prefix.addr < y->prefix.addr ? -1 : 1;
	if (x->prefix.len != y->prefix.len)
		return (int)x->prefix.len - (int)y->prefix.len;
	if (x->distance != y->distance)
		return (int)x->distance - (int)y->distance;
	if (x->source != y->source)
		return (int)x->source - (int)y->source;
	if (x->metric != y->metric)
		return x->metric < y->metric ? -1 : 1;
	if (x->nexthop.gateway.v4 != y->nexthop.gateway.v4)
		return x->nexthop.gateway.v4 < y->nexthop.gateway.v4 ? -1 : 1;
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
		n += is_of_link(&r->route[i]);
	if (nb != NULL)
		nb->connected = calloc(n + 1, sizeof(*nb->connected));
	if (nb == NULL || nb->connected == NULL) {
		free(nb);
		return false;
	}
	for (size_t i = 0; i < r->n; i++) {
		if (is_of_link(&r->route[i]))
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

static bool same_prefix(const struct rib_route *x, const struct rib_route *y)
{
	return x->zone == y->zone && x->prefix.addr == y->prefix.addr && x->prefix.len == y->prefix.len;
}

static bool is_down(const struct rib *r, const struct rib_route *route)
{
	return route->nexthop.kind == FIB_UNICAST && (r->down >> route->nexthop.ifindex & 1) != 0;
}

/* Which of the n candidates of a prefix shall stand in the FIB; NULL: none. */
static struct rib_route *choose(const struct rib *r, struct rib_route *candidate, size_t n)
{
	struct rib_route *of_link = NULL;

	for (size_t i = 0; i < n; i++) {
		struct rib_route *route = &candidate[i];

		route->link_down = is_down(r, route);
		if (route->resolved && !route->link_down)
			return route;
		if (route->source == RIB_CONNECTED && of_link == NULL)
			of_link = route;
	}
	return of_link;
}

/* Packets from the prefix may also come by the interfaces of the routes that lose. */
static uint64_t others_of(const struct rib_route *candidate, size_t n, const struct rib_route *winner)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < n; i++) {
		const struct fib_nexthop *nh = &candidate[i].nexthop;

		if (candidate[i].resolved && nh->kind == FIB_UNICAST && nh->ifindex != winner->nexthop.ifindex)
			bits |= UINT64_C(1) << nh->ifindex;
	}
	return bits;
}

/* The group of the winner alone; 0 without memory. */
static uint32_t group_of(struct fib *f, const struct rib_route *winner, uint64_t from)
{
	struct fib_exit_path path = { .nexthop = winner->nexthop, .weight = 1 };
	uint32_t group = FIB_NO_ROUTE, exit;

	if (winner->nexthop.kind != FIB_UNICAST || from == 0)
		return fib_nexthop_add(f, &winner->nexthop);
	exit = fib_exit_new(f, FIB_EXIT_PLAIN);
	if (exit == FIB_NO_EXIT)
		return FIB_NO_ROUTE;
	if (fib_exit_set(f, exit, &path, 1) == 0)
		group = fib_group_add(f, exit, FIB_NO_EXIT, from);
	fib_exit_put(f, exit);
	return group;
}

/* Puts the best candidate into f, in place of `before`, which may be NULL. *changed is set when f has changed. */
static int settle(const struct rib *r, struct fib *f, struct rib_route *candidate, size_t n, bool *changed)
{
	struct rib_route *before = NULL, *now = choose(r, candidate, n);

	for (size_t i = 0; i < n; i++) {
		candidate[i].link_down = is_down(r, &candidate[i]);
		if (candidate[i].active)
			before = &candidate[i];
	}
	if (now == before)
		return 0;
	*changed = true;
	if (now != NULL) {
		uint32_t group = group_of(f, now, others_of(candidate, n, now));

		if (group == FIB_NO_ROUTE || fib_insert(f, now->prefix, group) != 0)
			return -ENOMEM;
		now->active = true;
	} else {
		fib_remove(f, before->prefix);
	}
	if (before != NULL)
		before->active = false;
	return 0;
}

/* Candidates from i on, all of one prefix. */
static size_t n_candidates(const struct rib *r, size_t i)
{
	size_t end = i + 1;

	while (end < r->n && same_prefix(&r->route[i], &r->route[end]))
		end++;
	return end - i;
}

/* A table for each zone that has routes, and one for zone 0. */
static int make_tables(struct rib *r)
{
	size_t n = 1;

	for (size_t i = 0; i < r->n; i++)
		n += r->route[i].zone != (i > 0 ? r->route[i - 1].zone : 0);
	r->table = calloc(n, sizeof(*r->table));
	if (r->table == NULL)
		return -ENOMEM;
	r->n_tables = 1;
	for (size_t i = 0; i < r->n; i++) {
		struct table *last = &r->table[r->n_tables - 1];

		if (last->zone != r->route[i].zone) {
			last = &r->table[r->n_tables++];
			*last = (struct table){ .zone = r->route[i].zone, .first = i };
		}
		last->n++;
	}
	for (uint32_t i = 0; i < r->n_tables; i++) {
		r->table[i].fib = fib_create();
		if (r->table[i].fib == NULL)
			return -ENOMEM;
	}
	return 0;
}

int rib_build(struct rib *r)
{
	bool changed;
	size_t n;

	if (!resolve_all(r))
		return -ENOMEM;
	sort_and_unite(r);
	if (make_tables(r) != 0)
		return -ENOMEM;
	for (uint32_t t = 0; t < r->n_tables; t++) {
		const struct table *table = &r->table[t];

		for (size_t i = table->first; i < table->first + table->n; i += n) {
			n = n_candidates(r, i);
			if (settle(r, table->fib, &r->route[i], n, &changed) != 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static bool any_by(const struct rib_route *candidate, size_t n, uint32_t ifindex)
{
	for (size_t i = 0; i < n; i++) {
		if (candidate[i].nexthop.ifindex == ifindex)
			return true;
	}
	return false;
}

static bool settle_table(struct rib *r, const struct table *table, uint32_t ifindex)
{
	bool changed = false;
	size_t n;

	for (size_t i = table->first; i < table->first + table->n; i += n) {
		n = n_candidates(r, i);
		/* Without memory for a next hop the old one stays; packets by it are refused by name. */
		if (any_by(&r->route[i], n, ifindex))
			(void)settle(r, table->fib, &r->route[i], n, &changed);
	}
	if (changed)
		fib_reclaim(table->fib, fib_grace_begin(table->fib));
	return changed;
}

bool rib_link_changed(struct rib *r, uint32_t ifindex, bool up)
{
	uint64_t bit = UINT64_C(1) << ifindex;
	bool changed = false;

	if (((r->down & bit) == 0) == up)
		return false;
	r->down ^= bit;
	for (uint32_t t = 0; t < r->n_tables; t++)
		changed |= settle_table(r, &r->table[t], ifindex);
	return changed;
}

uint32_t rib_n_zones(const struct rib *r)
{
	return r->n_tables;
}

const struct fib *rib_fib_at(const struct rib *r, uint32_t i, uint16_t *zone)
{
	*zone = r->table[i].zone;
	return r->table[i].fib;
}

size_t rib_n_routes(const struct rib *r)
{
	return r->n;
}

const struct rib_route *rib_route_at(const struct rib *r, size_t i)
{
	return &r->route[i];
}
