/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A path's way in the RIB is its next hop together with the neighbour who announced it. So ways that are lost with a
 * neighbour go with it, though others have the same next hop, and the groups of the FIB, a best way and a second best,
 * are as few as pairs of them. Each next hop has one way of its own beside, nobody's, which is watched: it says what
 * the next hop costs.
 *
 * Life of a change: the table tells of a prefix's new best or second best; the two ways are looked up and wait, until
 * there are BATCH of them or somebody says bgp_rib_flush, since the RIB writes many at once more quickly. Before a way
 * is given back all that waits is written.
 *
 * When several paths may share (max_paths), those that are as good as the best one are one way in its place, a next hop
 * each (bgp_shared.c), and the second is the best of the others. A member that is lost moves its own flows alone.
 *
 * Whatever of this finds no memory has a prefix without the way that it should have. The number of such prefixes is
 * not known, so all are gone through again, like those of a table that was full before it was led here.
 *
 * What leads to a next hop must not depend on which paths are chosen, since that depends on it: look_all gives the
 * paths in an order in which every next hop is reachable and costs nothing (trap: a route that is there as long as it
 * is not).
 *
 * Next: src/routing/rib/rib_feed.c
 */
#include "routing/bgp/bgp_rib.h"

#include "routing/bgp/bgp_shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64u
#define NONE UINT32_MAX

#define BLACKHOLE BGP_HOPS_MAX /* the next hop of what is to be dropped */

/* Of a next hop and a neighbour. */
struct way {
	uint32_t hop, source;
	uint32_t way;  /* the RIB's */
	uint32_t next; /* of the same hop; or of those that are free */
};

struct hop {
	uint32_t addr;  /* 0: what we announce ourselves */
	uint32_t way;   /* watched; RIB_NO_WAY: there was no memory, or we are it */
	uint32_t first; /* of `way`; NONE: none */
	bool is_used;
};

struct bgp_rib {
	struct bgp_table *table;
	struct rib *rib;
	struct bgp_rib_config config;
	struct rib_feed feed;
	struct hop *hop; /* by the table's numbers */
	uint32_t hops_cap;
	struct way *way;
	uint32_t n_ways, ways_cap, first_free; /* n_ways: numbers that were ever given out */
	uint32_t first_blackhole;
	struct bgp_shared shared;
	struct bgp_index ways; /* by neighbour and next hop; values are one more than numbers */
	struct rib_fed_change batch[BATCH];
	uint32_t n_batch;
	uint32_t at;     /* prefixes' numbers below it are looked through */
	bool is_walking; /* the others are being */
	bool is_behind;  /* something had no memory: all are to be looked through */
	bool has_moved;  /* a gateway lies in a prefix whose paths have changed */
	bool is_changed; /* since the last flush */
	bool is_leaving;
	struct bgp_rib_stats stats;
};

/* --- next hops --- */

static struct rib_route way_to(const struct bgp_rib *b, const struct rib_path *path)
{
	return (struct rib_route){ .zone = b->config.zone,
				   .source = RIB_BGP,
				   .recursive = true,
				   .over_default = b->config.over_default,
				   .n_paths = 1,
				   .path = path };
}

/* owner: 0, or one more than the neighbour's number. */
static uint32_t get_way(struct bgp_rib *b, enum fib_kind kind, uint32_t addr, uint32_t owner)
{
	const struct rib_path path = { .nexthop = { .kind = (uint8_t)kind, .gateway = ip_addr_v4(addr) },
				       .weight = 1,
				       .owner = (uint16_t)owner };
	const struct rib_route way = way_to(b, &path);

	return rib_way_get(b->rib, &way);
}

static uint32_t cost_of(struct rib_reach reach)
{
	return reach.is_up ? min_u32(reach.cost, BGP_COST_NONE - 1) : BGP_COST_NONE;
}

static bool hops_reserve(struct bgp_rib *b, uint32_t hop)
{
	uint32_t cap = b->hops_cap;

	if (hop < cap)
		return true;
	while (cap <= hop)
		cap = cap != 0 ? 2 * cap : 16;
	struct hop *bigger = realloc(b->hop, cap * sizeof(*bigger));

	if (bigger == NULL)
		return false;
	memset(bigger + b->hops_cap, 0, (cap - b->hops_cap) * sizeof(*bigger));
	b->hop = bigger;
	b->hops_cap = cap;
	return true;
}

/* Also of one that is known already. Without memory it leads nowhere, until all are asked for again. */
static uint32_t hop_came(void *user, uint32_t hop, uint32_t addr)
{
	struct bgp_rib *b = user;

	if (!hops_reserve(b, hop)) {
		b->is_behind = true;
		return BGP_COST_NONE;
	}
	struct hop *h = &b->hop[hop];

	b->stats.n_hops += !h->is_used;
	if (!h->is_used)
		*h = (struct hop){ .addr = addr, .way = RIB_NO_WAY, .first = NONE, .is_used = true };
	if (addr == 0)
		return 0;
	if (h->way == RIB_NO_WAY && (h->way = get_way(b, FIB_UNICAST, addr, 0)) != RIB_NO_WAY)
		rib_way_watch(b->rib, h->way, hop);
	b->is_behind |= h->way == RIB_NO_WAY;
	return h->way != RIB_NO_WAY ? cost_of(rib_way_reach(b->rib, h->way)) : BGP_COST_NONE;
}

static uint32_t hash_of(uint32_t source, uint32_t hop)
{
	return (source * UINT32_C(0x85ebca6b) ^ hop) * UINT32_C(0x9e3779b1);
}

static void apply(struct bgp_rib *b)
{
	if (b->n_batch == 0 && !b->has_moved)
		return;
	rib_feed_apply(b->rib, b->batch, b->n_batch);
	b->n_batch = 0;
	b->has_moved = false;
	b->is_changed = true;
}

static void drop_way(struct bgp_rib *b, uint32_t i)
{
	struct way *w = &b->way[i];

	bgp_index_remove(&b->ways, hash_of(w->source, w->hop), i + 1);
	rib_way_put(b->rib, w->way);
	w->next = b->first_free;
	b->first_free = i;
	b->stats.n_ways--;
}

static void drop_ways(struct bgp_rib *b, uint32_t first)
{
	for (uint32_t i = first, next; i != NONE; i = next) {
		next = b->way[i].next;
		drop_way(b, i);
	}
}

static void drop_hop(struct bgp_rib *b, uint32_t hop)
{
	struct hop *h = &b->hop[hop];

	drop_ways(b, h->first);
	if (h->way != RIB_NO_WAY) {
		rib_way_unwatch(b->rib, h->way);
		rib_way_put(b->rib, h->way);
	}
	h->is_used = false;
	b->stats.n_hops--;
}

static void hop_went(void *user, uint32_t hop, uint32_t addr)
{
	struct bgp_rib *b = user;

	if (hop >= b->hops_cap || !b->hop[hop].is_used)
		return;
	/* What waits may name it. */
	apply(b);
	bgp_shared_forget(&b->shared, b->rib, hop);
	drop_hop(b, hop);
}

static void source_changed(void *user, uint32_t source, bool up)
{
	(void)bgp_rib_source_changed(user, source, up);
}

static void reach_changed(void *ctx, uint32_t name, struct rib_reach now)
{
	struct bgp_rib *b = ctx;

	if (bgp_table_hop_cost(b->table, name, cost_of(now)) && b->config.wake != NULL)
		b->config.wake(b->config.user);
}

/* --- ways --- */

static uint32_t find_way(const struct bgp_rib *b, uint32_t source, uint32_t hop)
{
	uint64_t at = 0;

	for (uint32_t i; (i = bgp_index_next(&b->ways, hash_of(source, hop), &at)) != 0;)
		if (b->way[i - 1].source == source && b->way[i - 1].hop == hop)
			return i - 1;
	return NONE;
}

static bool ways_reserve(struct bgp_rib *b)
{
	if (b->first_free != NONE || b->n_ways < b->ways_cap)
		return true;
	uint32_t cap = b->ways_cap != 0 ? 2 * b->ways_cap : 16;
	struct way *bigger = realloc(b->way, cap * sizeof(*bigger));

	if (bigger == NULL)
		return false;
	b->way = bigger;
	b->ways_cap = cap;
	return true;
}

/* NONE without memory. */
static uint32_t make_way(struct bgp_rib *b, uint32_t source, uint32_t hop)
{
	uint32_t i, way;

	if (!ways_reserve(b))
		return NONE;
	i = b->first_free != NONE ? b->first_free : b->n_ways;
	way = hop == BLACKHOLE ? get_way(b, FIB_BLACKHOLE, 0, source + 1)
			       : get_way(b, FIB_UNICAST, b->hop[hop].addr, source + 1);
	if (way == RIB_NO_WAY)
		return NONE;
	if (!bgp_index_add(&b->ways, hash_of(source, hop), i + 1)) {
		rib_way_put(b->rib, way);
		return NONE;
	}
	if (i == b->n_ways)
		b->n_ways++;
	else
		b->first_free = b->way[i].next;
	uint32_t *first = hop == BLACKHOLE ? &b->first_blackhole : &b->hop[hop].first;

	b->way[i] = (struct way){ .hop = hop, .source = source, .way = way, .next = *first };
	*first = i;
	b->stats.n_ways++;
	return i;
}

static const struct bgp_set *set_of(const struct bgp_rib *b, const struct bgp_chosen *c)
{
	return bgp_table_set(b->table, c->set);
}

static bool has_hop(const struct bgp_rib *b, uint32_t hop)
{
	return hop == BLACKHOLE || (hop < b->hops_cap && b->hop[hop].is_used);
}

static uint32_t hop_of(const struct bgp_rib *b, const struct bgp_chosen *c)
{
	return c->is_blackhole ? BLACKHOLE : set_of(b, c)->hop;
}

/* What we announce ourselves is no way. */
static bool is_ours(const struct bgp_rib *b, const struct bgp_chosen *c)
{
	return c->set == BGP_SET_NONE || set_of(b, c)->next_hop == 0;
}

/* The RIB's way of what was chosen, made if need be. */
static uint32_t way_for(struct bgp_rib *b, const struct bgp_chosen *c)
{
	uint32_t hop, i;

	if (is_ours(b, c))
		return RIB_NO_WAY;
	hop = hop_of(b, c);
	i = has_hop(b, hop) ? find_way(b, c->source, hop) : NONE;
	if (i == NONE && has_hop(b, hop))
		i = make_way(b, c->source, hop);
	if (i != NONE)
		return b->way[i].way;
	b->is_behind = true;
	b->stats.n_no_way++;
	return RIB_NO_WAY;
}

static uint8_t distance_of(const struct bgp_rib *b, const struct bgp_chosen *c)
{
	return c->set != BGP_SET_NONE && bgp_table_source(b->table, c->source)->kind == BGP_EXTERNAL
		       ? b->config.distance_external
		       : b->config.distance_internal;
}

/* --- several that share --- */

static bool has_addr(const struct bgp_member *m, uint32_t n, uint32_t addr)
{
	for (uint32_t i = 0; i < n; i++)
		if (m[i].addr == addr)
			return true;
	return false;
}

/* Next hops that share a prefix whose best path is that: how many, at most one without sharing. *behind: the best path
 * of the others. */
static uint32_t members(const struct bgp_rib *b, struct ip4_prefix prefix, const struct bgp_chosen *best,
			struct bgp_member m[FIB_PATHS_MAX], struct bgp_chosen *behind)
{
	struct bgp_chosen equal[FIB_PATHS_MAX];
	uint32_t n_equal, n = 0;

	if (b->config.max_paths <= 1 || is_ours(b, best) || best->is_blackhole)
		return 0;
	n_equal = bgp_table_equal(b->table, prefix, b->config.multipath, equal, b->config.max_paths, behind);
	for (uint32_t i = 0; i < n_equal; i++) {
		const struct bgp_set *set = set_of(b, &equal[i]);

		if (!equal[i].is_blackhole && set->next_hop != 0 && has_hop(b, set->hop) &&
		    !has_addr(m, n, set->next_hop))
			m[n++] = (struct bgp_member){ set->hop, set->next_hop, equal[i].source + 1 };
	}
	return n;
}

/* RIB_NO_WAY without memory or room: then the best one has all. */
static uint32_t way_of_several(struct bgp_rib *b, struct bgp_member *m, uint32_t n)
{
	const struct rib_route as = way_to(b, NULL);
	uint32_t way = bgp_shared_find(&b->shared, m, n);

	if (way != RIB_NO_WAY)
		return way;
	/* What waits may name one that is given back to make room. */
	apply(b);
	return bgp_shared_get(&b->shared, b->rib, &as, m, n);
}

/* --- changes --- */

static void put(struct bgp_rib *b, struct ip4_prefix prefix, const struct bgp_chosen *best,
		const struct bgp_chosen *second)
{
	struct rib_fed_change c = { .prefix = prefix,
				    .way = { RIB_NO_WAY, RIB_NO_WAY },
				    .distance = distance_of(b, best) };
	struct bgp_member m[FIB_PATHS_MAX];
	struct bgp_chosen behind;
	uint32_t n = members(b, prefix, best, m, &behind);

	if (n > 1)
		c.way[0] = way_of_several(b, m, n);
	if (c.way[0] != RIB_NO_WAY)
		second = &behind;
	else
		c.way[0] = way_for(b, best);
	if (!is_ours(b, best))
		c.way[1] = way_for(b, second);
	b->batch[b->n_batch] = c;
	b->stats.n_changes++;
	if (++b->n_batch == BATCH)
		apply(b);
}

static bool is_same(const struct bgp_chosen *x, const struct bgp_chosen *y)
{
	return x->set == y->set && x->source == y->source && x->is_blackhole == y->is_blackhole;
}

static void changed(void *user, const struct bgp_change *c)
{
	struct bgp_rib *b = user;

	if (b->is_leaving)
		return;
	if (b->config.max_paths <= 1 && is_same(&c->best, &c->best_before) && is_same(&c->second, &c->second_before))
		b->has_moved |= rib_feed_moved(b->rib, c->prefix);
	else
		put(b, c->prefix, &c->best, &c->second);
}

bool bgp_rib_flush(struct bgp_rib *b)
{
	apply(b);
	bool changed = b->is_changed;

	b->is_changed = false;
	return changed;
}

uint32_t bgp_rib_source_changed(struct bgp_rib *b, uint32_t source, bool up)
{
	apply(b);
	uint32_t n = rib_owner_changed(b->rib, source + 1, up);

	b->is_changed |= n > 0;
	return n;
}

/* --- what the RIB asks --- */

static void fed_add(struct rib_fed *out, uint32_t way)
{
	if (way != RIB_NO_WAY && out->n < RIB_FED_MAX)
		out->way[out->n++] = way;
}

static uint32_t way_that_is(const struct bgp_rib *b, const struct bgp_chosen *c)
{
	uint32_t i;

	if (is_ours(b, c) || !has_hop(b, hop_of(b, c)))
		return RIB_NO_WAY;
	i = find_way(b, c->source, hop_of(b, c));
	return i != NONE ? b->way[i].way : RIB_NO_WAY;
}

/* A way of several may have been given back when it lost to another route: then it is made once more. */
static void fed_of(struct bgp_rib *b, const struct bgp_numbered *p, struct rib_fed *out)
{
	out->n = 0;
	out->distance = distance_of(b, &p->best);
	if (b->is_leaving || is_ours(b, &p->best))
		return;
	struct bgp_member m[FIB_PATHS_MAX];
	struct bgp_chosen behind;
	uint32_t n = members(b, p->prefix, &p->best, m, &behind);
	const struct rib_route as = way_to(b, NULL);
	uint32_t way = n > 1 ? bgp_shared_get(&b->shared, b->rib, &as, m, n) : RIB_NO_WAY;

	fed_add(out, way != RIB_NO_WAY ? way : way_that_is(b, &p->best));
	fed_add(out, way_that_is(b, way != RIB_NO_WAY ? &behind : &p->second));
}

static void look(void *ctx, struct ip4_prefix prefix, struct rib_fed *out)
{
	struct bgp_rib *b = ctx;
	struct bgp_numbered p;

	out->n = 0;
	if (bgp_table_find(b->table, prefix, &p))
		fed_of(b, &p, out);
}

static bool next(void *ctx, uint32_t *at, struct ip4_prefix *prefix, struct rib_fed *out)
{
	struct bgp_rib *b = ctx;
	struct bgp_numbered p;

	out->n = 0;
	if (*at >= bgp_table_n_numbers(b->table))
		return false;
	if (bgp_table_at(b->table, (*at)++, &p)) {
		*prefix = p.prefix;
		fed_of(b, &p, out);
	} else {
		*prefix = (struct ip4_prefix){ 0, 32 }; /* nobody's */
	}
	return true;
}

/* Those that may be chosen, the best first, if all next hops were as near as any. */
static void look_all(void *ctx, struct ip4_prefix prefix, struct rib_fed *out)
{
	const struct bgp_rib *b = ctx;
	struct bgp_prefix_view v;
	struct bgp_candidate c[BGP_PATHS_MAX];
	uint32_t n = 0;

	out->n = 0;
	bgp_table_look(b->table, prefix, &v);
	if (v.n == 0 || b->is_leaving)
		return;
	for (uint32_t i = 0; i < v.n; i++)
		if (!v.path[i].is_loop && !v.path[i].is_rejected)
			c[n++] = (struct bgp_candidate){ bgp_table_set(b->table, v.path[i].set),
							 bgp_table_source(b->table, v.path[i].source), 0 };
	while (n > 0 && out->n < RIB_FED_MAX) {
		uint8_t best = bgp_decide(bgp_table_rule(b->table), c, n).best;
		const struct bgp_set *set = c[best].set;

		if (out->n == 0)
			out->distance = c[best].from->kind == BGP_EXTERNAL ? b->config.distance_external
									   : b->config.distance_internal;
		if (set->next_hop != 0 && has_hop(b, set->hop))
			fed_add(out, b->hop[set->hop].way);
		c[best] = c[--n];
	}
}

/* --- slices --- */

static void look_through(struct bgp_rib *b, uint32_t budget)
{
	struct bgp_numbered p;
	uint32_t end = bgp_table_n_numbers(b->table);

	for (; b->at < end && budget > 0; budget--, b->at++)
		if (bgp_table_at(b->table, b->at, &p))
			put(b, p.prefix, &p.best, &p.second);
	b->is_walking = b->at < end;
}

static void ask_all(struct bgp_rib *b)
{
	bgp_table_set_resolver(b->table, &(struct bgp_resolver){ hop_came, hop_went, source_changed, b });
}

/* Next hops of which there was no memory are asked for once more; then all prefixes may lack a way. */
static void try_again(struct bgp_rib *b)
{
	b->is_behind = false;
	ask_all(b);
	b->is_walking = !b->is_behind;
	b->at = 0;
}

bool bgp_rib_work(struct bgp_rib *b, uint32_t budget)
{
	if (b->is_leaving)
		return false;
	bool more = bgp_table_redecide(b->table, budget);

	if (!more && !b->is_walking && b->is_behind)
		try_again(b);
	else if (!more && b->is_walking)
		look_through(b, budget);
	apply(b);
	return more || b->is_walking;
}

bool bgp_rib_leave(struct bgp_rib *b, uint32_t budget)
{
	static const struct bgp_chosen none = { .set = BGP_SET_NONE, .source = BGP_SOURCE_NONE };
	struct bgp_numbered p;
	uint32_t end = bgp_table_n_numbers(b->table);

	if (!b->is_leaving) {
		b->is_leaving = true;
		b->at = 0;
	}
	for (; b->at < end && budget > 0; budget--, b->at++)
		if (bgp_table_at(b->table, b->at, &p))
			put(b, p.prefix, &none, &none);
	apply(b);
	return b->at >= end;
}

/* --- life --- */

int bgp_rib_create(struct bgp_rib **out, struct bgp_table *t, struct rib *r, const struct bgp_rib_config *c)
{
	struct bgp_rib *b = calloc(1, sizeof(*b));

	*out = NULL;
	if (b == NULL)
		return -ENOMEM;
	b->table = t;
	b->rib = r;
	b->config = *c;
	b->first_free = b->first_blackhole = NONE;
	if (c->distance_external == 0)
		b->config.distance_external = BGP_DISTANCE_EXTERNAL;
	if (c->distance_internal == 0)
		b->config.distance_internal = BGP_DISTANCE_INTERNAL;
	b->feed = (struct rib_feed){ c->zone, RIB_BGP, look, look_all, next, reach_changed };
	b->config.max_paths = (uint8_t)min_u32(c->max_paths, FIB_PATHS_MAX);
	if (bgp_index_init(&b->ways) != 0)
		goto no_index;
	if (bgp_shared_init(&b->shared) != 0)
		goto no_shared;
	if (rib_feed_set(r, &b->feed, b) != 0)
		goto no_feed;
	if (!bgp_table_add_reader(t, &(struct bgp_reader){ BGP_READS_ALL, changed, NULL, b }))
		goto no_reader;
	ask_all(b);
	b->is_walking = bgp_table_n_numbers(t) > 0;
	*out = b;
	return 0;

no_reader:
	(void)rib_feed_set(r, NULL, NULL);
no_feed:
	bgp_shared_fini(&b->shared, r);
no_shared:
	bgp_index_fini(&b->ways);
no_index:
	free(b);
	return -ENOMEM;
}

void bgp_rib_destroy(struct bgp_rib *b)
{
	if (b == NULL)
		return;
	(void)bgp_rib_leave(b, UINT32_MAX);
	bgp_table_remove_reader(b->table, b);
	bgp_table_set_resolver(b->table, NULL);
	bgp_shared_fini(&b->shared, b->rib);
	for (uint32_t i = 0; i < b->hops_cap; i++)
		if (b->hop[i].is_used)
			drop_hop(b, i);
	drop_ways(b, b->first_blackhole);
	for (uint32_t i = 1; i <= BGP_SOURCES_MAX; i++)
		(void)rib_owner_changed(b->rib, i, true);
	(void)rib_feed_set(b->rib, NULL, NULL);
	bgp_index_fini(&b->ways);
	free(b->hop);
	free(b->way);
	free(b);
}

struct bgp_rib_stats bgp_rib_stats(const struct bgp_rib *b)
{
	struct bgp_rib_stats stats = b->stats;

	stats.n_shared = b->shared.n_used;
	return stats;
}
