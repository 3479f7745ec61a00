/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The RIB for people, and for whoever asks where something would go: a list of all
 * prefixes in order, made once for a listing, and the routes of each as they are by
 * the time that they are asked for.
 */
#include <stdlib.h>

#include "base/util.h"
#include "routing/rib/rib_priv.h"

size_t rib_n_routes(const struct rib *r)
{
	return r->records.n_used;
}

size_t rib_n_of(const struct rib *r, enum rib_source source)
{
	return r->n_of[source];
}

bool rib_has(const struct rib *r, const struct rib_route *route)
{
	return rib_record_of(r, route) != NULL;
}

uint64_t rib_prefix_name(const struct rib_route *route)
{
	return rib_key_of(route);
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t *rib_prefixes(const struct rib *r, size_t *n)
{
	uint64_t *all = malloc((r->prefixes.n_used + 1) * sizeof(*all));

	*n = 0;
	if (all == NULL)
		return NULL;
	for (uint32_t i = 0; i < r->prefixes.n_fresh; i++) {
		if (rib_prefix_at(r, i)->key != UINT64_MAX)
			all[(*n)++] = rib_prefix_at(r, i)->key;
	}
	qsort(all, *n, sizeof(*all), by_key);
	return all;
}

/* The exit by which packets of a prefix go now; FIB_NO_EXIT: none. */
static uint32_t exit_in_use(const struct rib *r, uint64_t key)
{
	const struct rib_table *t = rib_table_of(r, rib_key_zone(key));

	return t->fib == NULL ? FIB_NO_EXIT : fib_group_exit(t->fib, fib_group_of(t->fib, rib_key_prefix(key)));
}

size_t rib_n_lost(const struct rib *r)
{
	return r->n_lost;
}

bool rib_lost(const struct rib *r, size_t i, uint32_t *ifindex, struct ip_addr *addr)
{
	if (i >= r->n_lost)
		return false;
	*ifindex = r->lost[i].ifindex;
	*addr = r->lost[i].addr;
	return true;
}

static void fill_ways(const struct rib *r, const struct rib_exit *e, struct rib_info *out)
{
	out->resolved = e->n_ways > 0;
	out->route.nexthop = e->n_ways > 0 ? e->way[0].nexthop : e->path[0].nexthop;
	out->route.onlink = e->path[0].onlink;
	out->route.recursive = e->recursive;
	out->route.over_default = e->over_default;
	out->n_ways = e->n_ways > 1 ? e->n_ways : 0;
	for (uint32_t i = 0; i < out->n_ways; i++)
		out->way[i] = (struct rib_path){ .nexthop = e->way[i].nexthop, .weight = e->way[i].weight };
	for (uint32_t i = 0; i < e->n; i++)
		out->named |= UINT64_C(1) << (e->path[i].nexthop.ifindex & 63);
	out->named &= ~UINT64_C(1);
	uint64_t interfaces = e->n_ways > 0 ? e->interfaces : UINT64_C(1) << (e->path[0].nexthop.ifindex & 63);

	out->dead = e->n_ways > 0 && out->route.nexthop.kind == FIB_UNICAST;
	for (uint32_t i = 0; i < e->n_ways; i++)
		out->dead = out->dead && rib_is_lost(r, e->way[i].nexthop.ifindex, &e->way[i].nexthop.gateway);
	out->link_down = out->route.nexthop.kind == FIB_UNICAST && (interfaces & ~r->down) == 0;
}

/* What a feed knows of its route is its to show. */
static void describe(const struct rib *r, uint64_t prefix, const struct rib_record *x, const struct rib_fed *fed,
		     struct rib_route *out)
{
	struct ip4_prefix v4 = rib_key_prefix(prefix);

	*out = (struct rib_route){ .prefix = ip_prefix_v4(v4.addr, v4.len), .zone = rib_key_zone(prefix) };
	if (x == NULL) {
		out->source = r->feed->source;
		out->distance = fed->distance;
		return;
	}
	out->source = x->source;
	out->distance = x->distance;
	out->metric = x->metric;
	out->instance = x->instance;
}

bool rib_route_of(const struct rib *r, uint64_t prefix, uint32_t i, struct rib_info *out)
{
	uint32_t p = rib_prefix_find(r, prefix);
	struct rib_fed fed = { .n = 0 };
	bool has_feed = rib_feed_look(r, prefix, &fed);
	struct rib_seq q = rib_seq_of(r, p != RIB_NONE ? rib_prefix_at(r, p)->first : RIB_NONE, has_feed ? &fed : NULL);
	uint32_t in_use, exit;
	const struct rib_record *x;
	bool found = false; /* one before has that exit */

	if (q.record == RIB_NONE && q.fed == NULL)
		return false;
	in_use = exit_in_use(r, prefix);
	while ((exit = rib_seq_next(&q, &x)) != RIB_NONE && i > 0) {
		found |= in_use != FIB_NO_EXIT && rib_exit_at(r, exit)->fib_exit == in_use;
		i--;
	}
	if (exit == RIB_NONE)
		return false;
	const struct rib_exit *e = rib_exit_at(r, exit);

	*out = (struct rib_info){ .resolved = false };
	describe(r, prefix, x, &fed, &out->route);
	fill_ways(r, e, out);
	out->active = !found && in_use != FIB_NO_EXIT && e->fib_exit == in_use;
	return true;
}

/* The first route of a prefix that leads somewhere, of sources below this one. */
static const struct rib_exit *first_exit(const struct rib *r, uint64_t key, enum rib_source end)
{
	uint32_t prefix = rib_prefix_find(r, key), exit;
	struct rib_fed fed;
	bool has_feed = rib_feed_look(r, key, &fed);
	struct rib_seq q =
		rib_seq_of(r, prefix != RIB_NONE ? rib_prefix_at(r, prefix)->first : RIB_NONE, has_feed ? &fed : NULL);
	const struct rib_record *x;

	while ((exit = rib_seq_next(&q, &x)) != RIB_NONE) {
		const struct rib_exit *e = rib_exit_at(r, exit);

		if (e->n_ways > 0 && (x != NULL ? x->source : r->feed->source) < (uint8_t)end)
			return e;
	}
	return NULL;
}

static struct fib_nexthop ask(const struct rib *r, uint16_t zone, uint32_t addr, uint32_t max_len, enum rib_source end)
{
	const struct rib_table *t = rib_table_of(r, zone);

	for (uint32_t len = max_len + 1; t != NULL && len-- > 0;) {
		const struct rib_exit *e = NULL;

		if (rib_has_len(r, t, len))
			e = first_exit(r, rib_key(zone, addr & ip4_mask((uint8_t)len), len), end);
		if (e != NULL)
			return e->way[0].nexthop;
	}
	return (struct fib_nexthop){ .kind = FIB_NONE };
}

struct fib_nexthop rib_ask(const struct rib *r, uint16_t zone, uint32_t addr)
{
	return ask(r, zone, addr, 32, N_RIB_SOURCES);
}

struct fib_nexthop rib_ask_config(const struct rib *r, uint16_t zone, const struct ip_prefix *prefix)
{
	return ask(r, zone, prefix->addr.v4, prefix->len, RIB_OF_CONFIG);
}
