/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The routes of a snapshot. What is known by them alone stands in snapshot_asked.c.
 *
 * The routes are what follows from the interfaces (our addresses, their
 * broadcast addresses, connected prefixes), the static routes, and the
 * addresses that only NAT uses: those of pools, those that a `snat to` gives out
 * (a pool without a name), and those that an interface answers for. A packet to
 * one of them that no mapping wants must not be forwarded. Where such an address
 * lies on a connected prefix, nobody else will answer ARP for it, so we do
 * (ip_config.proxy). What a rule only matches is nobody's for that: a dnat for the
 * address of some other host translates what it matches, and takes nothing away.
 */
#include "daemon/config/snapshot_routes.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/config/snapshot_asked.h"

/* The paths of a route that has several. */
struct path_list {
	struct path_list *next;
	struct rib_path path[FIB_PATHS_MAX];
};

struct build {
	const struct config *cfg;
	struct path_list *paths;
	struct rib_route *route; /* all that follow from the config */
	size_t n_routes, cap_routes;
	const struct snapshot *prev;
	struct snapshot *snap;
	struct config_errors **errors;
};

static const struct text_pos nowhere;

static uint32_t interface_by_name(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (strcmp(s->core.ip.interface[i].name, name) == 0)
			return i;
	}
	return 0;
}

/* True when an interface of the zone has a prefix that holds addr. */
static bool is_connected_in(const struct build *b, uint16_t zone, uint32_t addr)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const struct ip_interface_config *c = &b->snap->core.ip.interface[i];

		for (uint32_t k = 0; c->zone == zone && k < c->n_addresses; k++)
			if (((c->address[k].addr ^ addr) & ip4_mask(c->address[k].prefix_len)) == 0)
				return true;
	}
	return false;
}

static bool list_route(struct build *b, const struct rib_route *r)
{
	if (b->n_routes == b->cap_routes) {
		size_t cap = b->cap_routes ? 2 * b->cap_routes : 16;
		struct rib_route *bigger = realloc(b->route, cap * sizeof(*bigger));

		if (bigger == NULL)
			return false;
		b->route = bigger;
		b->cap_routes = cap;
	}
	b->route[b->n_routes++] = *r;
	return true;
}

/* What is ours in zone 0, or NAT's, is so for the other zones too, also for one with a default route of its own; but
 * where a zone has a network with such an address, that is a host there. */
static bool add_to_zones(struct build *b, struct rib_route r)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		uint16_t zone = b->snap->core.ip.interface[i].zone;
		bool hidden = r.source == RIB_LOCAL && is_connected_in(b, zone, r.prefix.addr.v4);

		r.zone = zone;
		if (zone != 0 && !hidden && !list_route(b, &r))
			return false;
	}
	return true;
}

/* Adds a route, in the zone of its interface; a repetition is no error here. */
static bool add_route(struct build *b, enum rib_source source, uint32_t addr, uint8_t len, struct fib_nexthop nh)
{
	struct rib_route r = {
		.prefix = ip_prefix_v4(addr, len),
		.nexthop = nh,
		.source = (uint8_t)source,
		.instance = nh.ifindex << 1 | (nh.kind == FIB_BROADCAST),
		.distance = source == RIB_TRANSLATED ? 5 : 0,
	};

	if (nh.ifindex != 0)
		r.zone = b->snap->core.ip.interface[nh.ifindex].zone;
	if (!list_route(b, &r))
		return false;
	return r.zone != 0 || (nh.kind != FIB_LOCAL && nh.kind != FIB_TRANSLATED) || add_to_zones(b, r);
}

static bool build_connected(struct build *b)
{
	bool ok = add_route(b, RIB_LOCAL, UINT32_MAX, 32, (struct fib_nexthop){ .kind = FIB_BROADCAST });

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const struct ip_interface_config *c = &b->snap->core.ip.interface[i];

		for (uint32_t k = 0; k < c->n_addresses; k++) {
			uint32_t addr = c->address[k].addr;
			uint8_t len = c->address[k].prefix_len;
			struct fib_nexthop local = { .kind = FIB_LOCAL, .ifindex = i, .source = ip_addr_v4(addr) };
			struct fib_nexthop link = { .kind = FIB_UNICAST, .ifindex = i, .source = ip_addr_v4(addr) };
			struct fib_nexthop broadcast = { .kind = FIB_BROADCAST,
							 .ifindex = i,
							 .source = ip_addr_v4(addr) };

			ok = ok && add_route(b, RIB_LOCAL, addr, 32, local);
			if (len < 32)
				ok = ok && add_route(b, RIB_CONNECTED, addr, len, link);
			if (len < 31) /* RFC 3021: a /31 has no broadcast address */
				ok = ok && add_route(b, RIB_LOCAL, addr | ~ip4_mask(len), 32, broadcast);
		}
	}
	return ok;
}

/* The next hop of a route, or of one of its paths, with the interface that it names. */
static bool resolve_device(struct build *b, const struct config_route *c, struct fib_nexthop *nh)
{
	*nh = c->route.nexthop;
	if (c->device[0] == 0)
		return true;
	nh->ifindex = interface_by_name(b->snap, c->device);
	if (nh->ifindex == 0) {
		config_error_add(b->errors, b->cfg, &c->pos, "no interface is called \"%s\"", c->device);
		return false;
	}
	const struct ip_interface_config *i = &b->snap->core.ip.interface[nh->ifindex];

	if (nh->gateway.v4 == 0 && i->n_addresses > 0)
		nh->source = ip_addr_v4(i->address[0].addr);
	return true;
}

/* Several paths stand one behind the other in the config. *n: how many; they are kept in b->path. */
static bool build_paths(struct build *b, size_t first, size_t *n)
{
	for (*n = 1; first + *n < b->cfg->n_routes && b->cfg->route[first + *n].goes_on;)
		++*n;
	if (*n == 1)
		return true;
	struct path_list *list = malloc(sizeof(*list));

	if (list == NULL)
		return false;
	*list = (struct path_list){ .next = b->paths };
	b->paths = list;
	for (size_t i = 0; i < *n; i++) {
		const struct config_route *c = &b->cfg->route[first + i];

		list->path[i] = (struct rib_path){ .weight = c->weight, .onlink = c->route.onlink };
		if (!resolve_device(b, c, &list->path[i].nexthop))
			return false;
	}
	return true;
}

static bool build_static(struct build *b)
{
	size_t n;

	for (size_t k = 0; k < b->cfg->n_routes; k += n) {
		struct rib_route r = b->cfg->route[k].route;

		if (!build_paths(b, k, &n) || !resolve_device(b, &b->cfg->route[k], &r.nexthop))
			return false;
		if (n > 1) {
			r.n_paths = (uint8_t)n;
			r.path = b->paths->path;
			r.nexthop = (struct fib_nexthop){ .kind = FIB_UNICAST };
			r.onlink = false;
		}
		if (!list_route(b, &r))
			return false;
	}
	return true;
}

/* A range of addresses that only NAT uses is routed to nowhere. */
static bool add_translated_routes(struct build *b, uint32_t first, uint32_t last)
{
	uint64_t at = first;

	while (at <= last) {
		uint8_t len = 32;

		/* the largest block that begins here and does not run past the end */
		while (len > 1 && at % (UINT64_C(2) << (32 - len)) == 0 && at + (UINT64_C(2) << (32 - len)) - 1 <= last)
			len--;
		if (!add_route(b, RIB_TRANSLATED, (uint32_t)at, len, (struct fib_nexthop){ .kind = FIB_TRANSLATED }))
			return false;
		at += UINT64_C(1) << (32 - len);
	}
	return true;
}

/* Ranges that meet are one. */
static bool unite_proxy(struct ip_proxy *x, uint32_t ifindex, uint32_t first, uint32_t last)
{
	if (x->ifindex != ifindex || first > (uint64_t)x->last + 1 || x->first > (uint64_t)last + 1)
		return false;
	x->first = min_u32(x->first, first);
	x->last = max_u32(x->last, last);
	return true;
}

static bool add_proxy(struct build *b, uint32_t ifindex, uint32_t first, uint32_t last)
{
	struct ip_config *ip = &b->snap->core.ip;

	for (uint32_t i = 0; i < ip->n_proxies; i++)
		if (unite_proxy(&ip->proxy[i], ifindex, first, last))
			return true;
	if (ip->n_proxies == IP_PROXIES_MAX) {
		config_error_add(
			b->errors, b->cfg, &nowhere,
			"pools, snat rules and `answer for` make more than %u ranges of addresses to answer ARP for",
			IP_PROXIES_MAX);
		return false;
	}
	ip->proxy[ip->n_proxies++] = (struct ip_proxy){ .ifindex = ifindex, .first = first, .last = last };
	return true;
}

/* The same, and answered by ARP where it lies on a connected prefix. */
static bool add_translated(struct build *b, uint32_t first, uint32_t last)
{
	const struct ip_config *ip = &b->snap->core.ip;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		for (uint32_t k = 0; k < ip->interface[i].n_addresses; k++) {
			uint32_t mask = ip4_mask(ip->interface[i].address[k].prefix_len);
			uint32_t net = ip->interface[i].address[k].addr & mask;
			uint32_t lo = max_u32(first, net), hi = min_u32(last, net | ~mask);

			if (lo <= hi && !add_proxy(b, i, lo, hi))
				return false;
		}
	}
	return add_translated_routes(b, first, last);
}

/* What interface blocks answer for. */
static bool build_answers(struct build *b)
{
	for (size_t k = 0; k < b->cfg->n_interfaces; k++) {
		const struct config_interface *c = &b->cfg->interface[k];
		uint32_t i = interface_by_name(b->snap, c->ip.name);

		for (uint32_t n = 0; n < c->n_answers; n++) {
			if (!add_proxy(b, i, c->answer[n].first, c->answer[n].last) ||
			    !add_translated_routes(b, c->answer[n].first, c->answer[n].last))
				return false;
		}
	}
	return true;
}

/* By a map a source goes to what its entries hold. */
static bool add_map_addresses(struct build *b, const struct rule_table *t, const struct rule_stmt *s)
{
	const struct rule_map *m = rules_map_of(t, s->map);

	for (size_t i = 0; m != NULL && i < m->n_entries; i++)
		if (!add_translated(b, m->entry[i].addr, m->entry[i].addr))
			return false;
	return true;
}

static bool add_rule_addresses(struct build *b, const struct rule_table *t, const struct rule *r)
{
	for (size_t i = 0; i < r->n_stmts; i++) {
		const struct rule_stmt *s = &r->stmt[i];

		if (s->kind != STMT_NAT || !s->nat_is_source)
			continue;
		if (s->map != NULL)
			return add_map_addresses(b, t, s);
		if (s->nat.kind == NAT_ACTION_RANGE && (s->nat.flags & NAT_FLAG_ADDRESS))
			return add_translated(b, s->nat.range.first, s->nat.range.last);
	}
	return true;
}

static bool build_translated(struct build *b)
{
	for (uint32_t i = 0; i < b->snap->core.nat.n_pools; i++) {
		const struct nat_pool_config *p = &b->snap->core.nat.pool[i];

		for (uint32_t k = 0; p->name[0] != 0 && k < p->n_ranges; k++) {
			if (!add_translated(b, p->range[k].first, p->range[k].last))
				return false;
		}
	}
	for (size_t t = 0; t < b->cfg->rules.n_tables; t++) {
		const struct rule_table *table = &b->cfg->rules.table[t];

		for (size_t c = 0; c < table->n_chains; c++) {
			/* What a chain at input gives out is seen here only, and nobody sends to it. */
			if (table->chain[c].type == CHAIN_NAT && table->chain[c].hook == HOOK_INPUT)
				continue;
			for (size_t r = 0; r < table->chain[c].n_rules; r++) {
				if (!add_rule_addresses(b, table, &table->chain[c].rule[r]))
					return false;
			}
		}
	}
	return true;
}

/* Zones that have routes, in order. No more than there are interfaces: the config's check refuses routes of a zone
 * without one. */
static bool hold_zone(struct build *b, uint16_t zone)
{
	struct ip_config *ip = &b->snap->core.ip;
	uint32_t i = 0;

	while (i < ip->n_zones && ip->zone[i].number < zone)
		i++;
	if (zone == 0 || (i < ip->n_zones && ip->zone[i].number == zone) || ip->n_zones == IP_INTERFACES_MAX)
		return true;
	const struct fib *fib = rib_fib_hold(b->snap->core.rib, zone);

	if (fib == NULL)
		return false;
	memmove(&ip->zone[i + 1], &ip->zone[i], (ip->n_zones - i) * sizeof(ip->zone[0]));
	ip->zone[i] = (struct ip_zone){ .number = zone, .fib = fib };
	ip->n_zones++;
	return true;
}

static bool hold_tables(struct build *b)
{
	struct core_config *core = &b->snap->core;

	core->rib = b->prev != NULL ? rib_hold(b->prev->core.rib) : rib_create(RIB_FORWARDS);
	if (core->rib == NULL || (core->ip.fib = rib_fib_hold(core->rib, 0)) == NULL)
		return false;
	for (size_t i = 0; i < b->n_routes; i++) {
		if (!hold_zone(b, b->route[i].zone))
			return false;
	}
	return true;
}

static void free_paths(struct build *b)
{
	while (b->paths != NULL) {
		struct path_list *next = b->paths->next;

		free(b->paths);
		b->paths = next;
	}
}

static bool build(struct build *b)
{
	struct snapshot *snap = b->snap;

	if (!build_connected(b) || !build_static(b) || !build_answers(b) || !build_translated(b))
		return false;
	if (!hold_tables(b) || !snapshot_ask_routes(snap, b->route, b->n_routes))
		return false;
	snap->core.routes = rib_change_to(snap->core.rib, b->route, b->n_routes);
	return snap->core.routes != NULL;
}

bool snapshot_build_routes(struct snapshot *s, const struct config *cfg, const struct snapshot *prev,
			   struct config_errors **errors)
{
	struct build b = { .cfg = cfg, .prev = prev, .snap = s, .errors = errors };
	bool ok = build(&b);

	free(b.route);
	free_paths(&b);
	return ok;
}
