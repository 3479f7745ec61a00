/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an exit leads to.
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
 * prefix there is, since that would come and go for ever. Of a feed's routes all count
 * for the same reason, also those that it does not use because their gateway leads
 * nowhere.
 *
 * What it costs is the sum of the steps' metrics, as BGP's decision wants it (RFC 4271
 * section 9.1.2.2 e).
 */
#include <string.h>

#include "base/util.h"
#include "routing/rib/rib_priv.h"

static void add_way(struct rib_ways *w, const struct fib_nexthop *nh, uint32_t weight)
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
	const struct rib_path *path[RIB_DEPTH_MAX + 1]; /* of each, the one that is followed */
	uint32_t depth;
	uint32_t steps_left; /* several paths a step would be very many */
	bool is_deep;
};

static void search_exit(struct search *s, struct rib_exit *e, struct rib_ways *w);

/* It is being looked for already: the exit, or its gateway as one of another exit's, whoever's that is. */
static bool is_on_way(const struct search *s, const struct rib_exit *e)
{
	bool is_one = e->recursive && e->n == 1 && rib_has_gateway(&e->path[0]);

	for (uint32_t i = 0; i < s->depth; i++) {
		const struct rib_exit *x = s->stack[i];

		if (x == e || (is_one && x->recursive && x->zone == e->zone &&
			       ip_addr_equal(&s->path[i]->nexthop.gateway, &e->path[0].nexthop.gateway)))
			return true;
	}
	return false;
}

/* What another exit leads to: of one that is not recursive that is known. */
static void ways_of(struct search *s, struct rib_exit *e, struct rib_ways *w)
{
	w->n = w->cost = 0;
	if (e->recursive) {
		s->is_deep = true;
		if (s->depth <= RIB_DEPTH_MAX)
			search_exit(s, e, w);
		return;
	}
	for (w->n = 0; w->n < e->n_ways; w->n++)
		w->way[w->n] = e->way[w->n];
}

static uint32_t weight_of(uint32_t a, uint32_t b)
{
	return (uint32_t)min_u64((uint64_t)a * b, UINT16_MAX);
}

static void note_cost(struct rib_ways *w, uint32_t metric, uint32_t cost)
{
	w->cost = max_u32(w->cost, (uint32_t)min_u64((uint64_t)metric + cost, UINT32_MAX));
}

/* By the routes of one prefix. True: it says where to, if anywhere. */
static bool follow_prefix(struct search *s, uint64_t key, uint32_t prefix, const struct rib_path *p, struct rib_ways *w)
{
	uint32_t first = prefix != RIB_NONE ? rib_prefix_at(s->r, prefix)->first : RIB_NONE;
	const struct rib_record *x;
	struct rib_fed fed;
	struct rib_seq q = rib_seq_of(s->r, first, rib_feed_look_all(s->r, key, &fed) ? &fed : NULL);
	bool itself = false;

	for (uint32_t i; (i = rib_seq_next(&q, &x)) != RIB_NONE;) {
		struct rib_exit *e = rib_exit_at(s->r, i);
		struct rib_ways found;

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
		if (found.n > 0) {
			note_cost(w, x != NULL ? x->metric : 0, found.cost);
			return true;
		}
	}
	return itself;
}

static bool follow_in(struct search *s, uint16_t zone, bool over_default, const struct rib_path *p, struct rib_ways *w)
{
	const struct rib_table *t = rib_table_of(s->r, zone);
	uint32_t gateway = p->nexthop.gateway.v4;

	for (uint32_t len = 33; t != NULL && len-- > (over_default ? 0u : 1u);) {
		if (!rib_has_len(s->r, t, len))
			continue;
		uint64_t key = rib_key(zone, gateway & ip4_mask((uint8_t)len), len);

		if (follow_prefix(s, key, rib_prefix_find(s->r, key), p, w))
			return true;
	}
	return false;
}

static void by_link(const struct rib *r, const struct rib_exit *e, const struct rib_path *p, struct rib_ways *w)
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

static void search_exit(struct search *s, struct rib_exit *e, struct rib_ways *w)
{
	uint32_t level = s->depth++;

	s->stack[level] = e;
	for (uint32_t i = 0; i < e->n && s->steps_left > 0; i++) {
		const struct rib_path *p = &e->path[i];

		s->path[level] = p;
		s->steps_left--;
		if (rib_owner_is_down(s->r, p->owner))
			continue;
		if (!rib_has_gateway(p))
			add_way(w, &p->nexthop, p->weight);
		else if (!e->recursive || p->nexthop.ifindex != 0)
			by_link(s->r, e, p, w);
		else if (!follow_in(s, e->zone, e->over_default, p, w) && e->zone != 0)
			(void)follow_in(s, 0, e->over_default, p, w);
	}
	s->depth--;
}

#define STEPS_MAX 1024u

void rib_search(const struct rib *r, struct rib_exit *e, struct rib_ways *w)
{
	struct search s = { .r = r, .steps_left = STEPS_MAX };

	w->n = w->cost = 0;
	search_exit(&s, e, w);
	w->is_deep = s.is_deep;
}
