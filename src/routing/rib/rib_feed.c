/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The feed: a source that has its routes itself, as BGP has a million of them.
 *
 * A record of each in the RIB, with its prefix and their places in hash and lists, took 74
 * bytes a prefix and half a microsecond, for what the source has anyhow; of its second best
 * route 27 more. So a feed says of a prefix which two ways it goes, the RIB finds their
 * group and writes it into the FIB, and nothing stays here. What does stay are the ways,
 * exits like any (rib_exit.c), of which there are as many as next hops.
 *
 * Three times the RIB needs what it did not keep, and asks: when somebody else has a route to
 * the same prefix, when a gateway lies in it (look_all), and when a change found no room in
 * the FIB. Such a prefix is noted, without a record, until it is settled. When there is no
 * memory to note it, the feed's prefixes are all looked through, in slices.
 *
 * Ways that lead nowhere now: their groups have given way by one write each. The feed hears
 * of it (reach_changed), chooses again among all that it has, and says what is different.
 * So a third way comes from there, and no walk through the prefixes is needed here.
 *
 * Ways of one owner, a neighbour whom somebody watches, are taken out together
 * (rib_owner_changed) before anything is known of the prefixes.
 */
#include <errno.h>

#include "base/util.h"
#include "routing/rib/rib_priv.h"

int rib_feed_set(struct rib *r, const struct rib_feed *feed, void *ctx)
{
	if (feed != NULL && rib_fib_hold(r, feed->zone) == NULL && r->use == RIB_FORWARDS)
		return -ENOMEM;
	if (r->feed != NULL)
		rib_fib_release(r, r->feed->zone);
	r->feed = feed;
	r->feed_ctx = ctx;
	r->feed_behind = r->feed_walks = false;
	return 0;
}

/* --- what the feed says --- */

static bool is_for(const struct rib *r, uint64_t key)
{
	return r->feed != NULL && r->feed->zone == rib_key_zone(key);
}

bool rib_feed_look(const struct rib *r, uint64_t key, struct rib_fed *out)
{
	if (!is_for(r, key))
		return false;
	r->feed->look(r->feed_ctx, rib_key_prefix(key), out);
	return true;
}

bool rib_feed_look_all(const struct rib *r, uint64_t key, struct rib_fed *out)
{
	if (!is_for(r, key))
		return false;
	r->feed->look_all(r->feed_ctx, rib_key_prefix(key), out);
	return true;
}

bool rib_has_len(const struct rib *r, const struct rib_table *t, uint32_t len)
{
	return t->n_of_len[len] > 0 || (r->feed != NULL && r->feed->zone == t->zone);
}

/* --- among other routes --- */

struct rib_seq rib_seq_of(const struct rib *r, uint32_t first, const struct rib_fed *fed)
{
	return (struct rib_seq){ .r = r, .record = first, .fed = fed != NULL && fed->n > 0 ? fed : NULL };
}

uint32_t rib_seq_next(struct rib_seq *q, const struct rib_record **x)
{
	bool has_fed = q->fed != NULL && q->n_fed < q->fed->n;

	*x = q->record != RIB_NONE ? rib_record_at(q->r, q->record) : NULL;
	if (*x != NULL && (!has_fed || (*x)->distance <= q->fed->distance)) {
		q->record = (*x)->next;
		return (*x)->exit;
	}
	*x = NULL;
	return has_fed ? q->fed->way[q->n_fed++] : RIB_NONE;
}

/* --- ways --- */

uint32_t rib_way_get(struct rib *r, const struct rib_route *way)
{
	uint32_t exit = rib_exit_get(r, way);
	bool changed = false;

	if (exit == RIB_NONE)
		return RIB_NO_WAY;
	/* Without memory the next rib_flush tries again. */
	if (rib_exit_at(r, exit)->is_fresh)
		(void)rib_exit_resolve(r, rib_exit_at(r, exit), &changed);
	return exit;
}

void rib_way_put(struct rib *r, uint32_t way)
{
	rib_exit_put(r, way);
}

struct rib_reach rib_way_reach(const struct rib *r, uint32_t way)
{
	const struct rib_exit *e = rib_exit_at(r, way);
	const struct rib_table *t = rib_table_of(r, e->zone);
	bool is_up = e->n_ways > 0 && (t->fib == NULL || fib_exit_is_up(t->fib, e->fib_exit));

	return (struct rib_reach){ is_up, is_up ? e->cost : 0 };
}

bool rib_way_is_used(const struct rib *r, uint32_t way)
{
	const struct rib_exit *e = rib_exit_at(r, way);

	return e->fib_exit != RIB_NONE && fib_exit_is_used(rib_table_of(r, e->zone)->fib, e->fib_exit);
}

void rib_way_watch(struct rib *r, uint32_t way, uint32_t name)
{
	rib_exit_at(r, way)->is_watched = true;
	rib_exit_at(r, way)->name = name;
	rib_exit_at(r, way)->told = rib_way_reach(r, way);
}

void rib_way_unwatch(struct rib *r, uint32_t way)
{
	rib_exit_at(r, way)->is_watched = false;
}

void rib_feed_tell(struct rib *r)
{
	for (uint32_t i = 0; r->feed != NULL && i < r->exits.n_fresh; i++) {
		struct rib_exit *e = rib_exit_at(r, i);

		if (!e->is_watched)
			continue;
		struct rib_reach now = rib_way_reach(r, i);

		if (now.is_up == e->told.is_up && now.cost == e->told.cost)
			continue;
		e->told = now;
		r->feed->reach_changed(r->feed_ctx, e->name, now);
	}
}

/* --- changes --- */

static void fed_of(const struct rib_fed_change *c, struct rib_fed *out)
{
	out->distance = c->distance;
	out->n = 0;
	for (uint32_t i = 0; i < 2; i++)
		if (c->way[i] != RIB_NO_WAY)
			out->way[out->n++] = c->way[i];
}

static void apply(struct rib *r, const struct rib_fed_change *c, bool *changed)
{
	uint64_t key = rib_key(r->feed->zone, c->prefix.addr, c->prefix.len);
	uint32_t prefix = rib_prefix_find(r, key);
	struct rib_fed fed;

	fed_of(c, &fed);
	int rc = rib_settle_prefix(r, key, prefix != RIB_NONE ? rib_prefix_at(r, prefix)->first : RIB_NONE, &fed,
				   changed);

	if (rc != 0)
		rib_keep_fed(r, key, rc);
	rib_prefix_moved(r, key);
}

#define IN_FLIGHT 64u

void rib_feed_apply(struct rib *r, const struct rib_fed_change *change, uint32_t n)
{
	const struct fib *fib = rib_table_of(r, r->feed->zone)->fib;
	bool any = false;

	for (uint32_t done = 0, end; done < n; done = end) {
		end = min_u32(n, done + IN_FLIGHT);
		for (uint32_t i = done; i < end && fib != NULL; i++)
			fib_prefetch(fib, change[i].prefix);
		for (uint32_t i = done; i < end && fib != NULL; i++)
			fib_prefetch_block(fib, change[i].prefix);
		for (uint32_t i = done; i < end; i++)
			apply(r, &change[i], &any);
	}
	/* A gateway of somebody's may lie in one of them. Without memory rib_flush tries again. */
	(void)rib_exits_resolve(r, &any);
	if (any)
		rib_is_changed(r);
	rib_feed_tell(r);
}

bool rib_feed_moved(struct rib *r, struct ip4_prefix prefix)
{
	rib_prefix_moved(r, rib_key(r->feed->zone, prefix.addr, prefix.len));
	return r->n_moved > 0;
}

bool rib_feed_walk(struct rib *r, uint32_t max, bool *changed)
{
	struct ip4_prefix p;
	struct rib_fed fed;

	while (r->feed_walks && max-- > 0) {
		if (r->feed == NULL || !r->feed->next(r->feed_ctx, &r->feed_at, &p, &fed)) {
			r->feed_walks = false;
			break;
		}
		uint64_t key = rib_key(r->feed->zone, p.addr, p.len);
		uint32_t prefix = rib_prefix_find(r, key);
		int rc = rib_settle_prefix(r, key, prefix != RIB_NONE ? rib_prefix_at(r, prefix)->first : RIB_NONE,
					   &fed, changed);

		if (rc != 0)
			rib_keep_fed(r, key, rc);
	}
	return r->feed_walks;
}

/* --- owners --- */

static bool has_owner(const struct rib_exit *e, uint32_t owner)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (e->path[i].owner == owner)
			return true;
	return false;
}

static void tell_flows(struct rib *r, const struct rib_exit *e)
{
	for (uint32_t i = 0; i < e->n_ways; i++)
		if (e->way[i].nexthop.kind == FIB_UNICAST)
			lost_hops_tell(&r->told, e->way[i].nexthop.ifindex, e->way[i].nexthop.gateway.v4);
}

uint32_t rib_owner_changed(struct rib *r, uint32_t owner, bool up)
{
	uint64_t bit = UINT64_C(1) << owner % 64;
	bool any = false;
	uint32_t n = 0;

	if (rib_owner_is_down(r, owner) == !up)
		return 0;
	r->owner_down[owner / 64] ^= bit;
	for (uint32_t i = 0; i < r->exits.n_fresh; i++) {
		struct rib_exit *e = rib_exit_at(r, i);

		if (e->n_routes == 0 || !has_owner(e, owner))
			continue;
		struct rib_exit before = *e;
		struct fib_exit_path way[FIB_PATHS_MAX];

		for (uint32_t k = 0; k < e->n_ways; k++)
			way[k] = e->way[k];
		before.way = way;
		n++;
		/* Behind the FIB: whoever hears of it finds the other way. */
		if (rib_exit_resolve(r, e, &any) == 0 && !up)
			tell_flows(r, &before);
	}
	/* What was led on by one of them. */
	for (uint32_t i = 0; i < r->exits.n_fresh; i++)
		if (rib_exit_at(r, i)->is_deep && rib_exit_at(r, i)->n_routes > 0)
			(void)rib_exit_resolve(r, rib_exit_at(r, i), &any);
	if (any)
		rib_is_changed(r);
	rib_feed_tell(r);
	return n;
}
