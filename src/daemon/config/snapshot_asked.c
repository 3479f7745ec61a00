/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is asked of a config's routes when it is read: which addresses are ours or
 * NAT's, where outside is, and by which interfaces of other zones a zone's answers come
 * in. It follows from the config alone, whatever else knows routes by then, so the
 * running RIB cannot be asked; a small one of their own can.
 */
#include "daemon/config/snapshot_asked.h"

#include <stdlib.h>
#include <string.h>

/* An address that is nobody's: what leads to it leads to all. */
#define OUTSIDE IP4(0, 0, 0, 1)

struct asking {
	struct snapshot *snap;
	const struct rib_route *route;
	size_t n_routes;
	struct rib *rib; /* what is needed of them */
};

/* A route of one zone that leads out of an interface of another. */
static void note_shared(struct asking *b, const struct rib_info *r, const struct fib_nexthop *nh)
{
	struct ip_config *ip = &b->snap->core.ip;
	struct ip_interface_config *out = &ip->interface[nh->ifindex % IP_INTERFACES_MAX];

	if (!r->resolved || nh->kind != FIB_UNICAST || out->zone == r->route.zone)
		return;
	for (uint32_t k = 0; k < ip->n_zones; k++)
		out->used_by |= (uint64_t)(ip->zone[k].number == r->route.zone) << k;
}

static void find_shared(struct asking *b)
{
	struct rib_info r;

	for (size_t i = 0; i < b->n_routes; i++) {
		if (b->route[i].zone == 0)
			continue;
		for (uint32_t k = 0; rib_route_of(b->rib, rib_prefix_name(&b->route[i]), k, &r); k++) {
			note_shared(b, &r, &r.route.nexthop);
			for (uint32_t w = 0; w < r.n_ways; w++)
				note_shared(b, &r, &r.way[w].nexthop);
		}
	}
}

/* What connection tracking takes for outside: what the rules of source NAT name, else where default routes lead. */
static void tell_outside(struct asking *b)
{
	struct core_config *core = &b->snap->core;

	core->ct.outside = core->outside;
	for (uint32_t i = 0; core->outside == 0 && i <= core->ip.n_zones; i++) {
		struct fib_nexthop nh = rib_ask(b->rib, i == 0 ? 0 : core->ip.zone[i - 1].number, OUTSIDE);

		if (nh.kind == FIB_UNICAST)
			core->ct.outside |= UINT64_C(1) << nh.ifindex;
	}
}

/* The first route to its prefix that leads somewhere is of the same kind. */
static bool is_in_force(const struct asking *b, const struct rib_route *route)
{
	struct rib_info r;

	for (uint32_t k = 0; rib_route_of(b->rib, rib_prefix_name(route), k, &r); k++) {
		if (r.resolved)
			return r.route.nexthop.kind == route->nexthop.kind;
	}
	return false;
}

static bool is_address(const struct rib_route *r)
{
	return r->nexthop.kind == FIB_LOCAL || r->nexthop.kind == FIB_TRANSLATED;
}

/* Addresses that are ours or that only NAT uses. */
static bool list_addresses(struct asking *b)
{
	struct core_config *core = &b->snap->core;
	size_t n = 0;

	for (size_t i = 0; i < b->n_routes; i++)
		n += is_address(&b->route[i]);
	core->address = calloc(n + 1, sizeof(*core->address));
	for (size_t i = 0; i < b->n_routes && core->address != NULL; i++) {
		const struct rib_route *r = &b->route[i];

		if (is_address(r) && is_in_force(b, r))
			core->address[core->n_addresses++] =
				(struct core_address){ .prefix = ip_prefix_to_v4(&r->prefix),
						       .zone = r->zone,
						       .is_ours = r->nexthop.kind == FIB_LOCAL,
						       .ifindex = (uint8_t)r->nexthop.ifindex };
	}
	return core->address != NULL;
}

static bool is_any_recursive(const struct asking *b)
{
	bool any = false;

	for (size_t i = 0; i < b->n_routes; i++)
		any |= b->route[i].recursive;
	return any;
}

static bool same_way(const struct rib_route *a, const struct rib_route *b)
{
	return a->zone == b->zone && a->onlink == b->onlink && a->n_paths == 0 && b->n_paths == 0 &&
	       memcmp(&a->nexthop, &b->nexthop, sizeof(a->nexthop)) == 0;
}

/* Of static routes those that an answer may depend on: by which others may be led, which lead to no outside, which
 * stand in the place of an address of ours, or out of a zone by a way that the one before (last) does not have. */
static bool is_to_be_asked(const struct asking *b, const struct rib_route *r, const struct rib_route *last)
{
	struct ip4_prefix prefix = ip_prefix_to_v4(&r->prefix);
	struct rib_info info;

	if (r->nexthop.kind == FIB_UNICAST && r->n_paths == 0 && r->nexthop.gateway.v4 == 0)
		return true;
	return ip4_in(OUTSIDE, prefix) || rib_route_of(b->rib, rib_prefix_name(r), 0, &info) ||
	       (r->zone != 0 && (last == NULL || !same_way(r, last)));
}

/* What is asked is little, and a config may have a million routes: only recursive ones may need them all. Of
 * repetitions the first counts; static routes have none (check.c). */
static bool build_rib(struct asking *b)
{
	const struct rib_route *last = NULL;
	bool all = is_any_recursive(b);
	size_t n_left_out = 0;

	b->rib = rib_create(RIB_ASKED);
	for (size_t i = b->n_routes; i-- > 0 && b->rib != NULL;) {
		if (b->route[i].source != RIB_STATIC && rib_set(b->rib, &b->route[i]) != 0)
			return false;
	}
	for (size_t i = b->n_routes; i-- > 0 && b->rib != NULL;) {
		const struct rib_route *r = &b->route[i];

		if (r->source != RIB_STATIC)
			continue;
		if (!all && !is_to_be_asked(b, r, last)) {
			n_left_out++;
			continue;
		}
		if (rib_set(b->rib, r) != 0)
			return false;
		last = r->zone != 0 ? r : last;
	}
	if (b->rib == NULL || rib_flush(b->rib) != 0)
		return false;
	b->snap->n_routes = rib_n_of(b->rib, RIB_CONNECTED) + rib_n_of(b->rib, RIB_STATIC) + n_left_out;
	return true;
}

bool snapshot_ask_routes(struct snapshot *s, const struct rib_route *route, size_t n)
{
	struct asking b = { .snap = s, .route = route, .n_routes = n };
	bool ok = build_rib(&b) && list_addresses(&b);

	if (ok) {
		find_shared(&b);
		tell_outside(&b);
	}
	rib_release(b.rib);
	return ok;
}
