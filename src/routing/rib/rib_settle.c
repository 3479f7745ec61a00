/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From the RIB into the FIBs: which routes stand there, prefix by prefix.
 *
 * Which routes stand in the FIB: of those that lead somewhere the first two, as
 * best and second best, whatever their links do just now: the FIB itself knows which
 * are up and takes the second while the first is not. Only when both are down does
 * a third one come in; then, and when an exit comes to lead somewhere or nowhere, all
 * prefixes are looked through, in slices (rib_work). When no route of a prefix is up
 * it leaves the FIB, and a shorter prefix has its packets, but where the interface
 * has the prefix itself: what is for our own hosts is refused while they are cut off
 * (DROP_TX_DOWN), and does not leave by a default route. Our addresses are ours with
 * and without a link.
 *
 * A prefix whose routes have changed is noted, and settled by rib_flush. What finds no
 * room in its FIB stays noted. One to which the feed alone has routes is settled when the
 * feed says so (rib_feed.c), and is noted only when it finds no room.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "routing/rib/rib_priv.h"

/* Looked at at once when a link changes: a fraction of a millisecond. */
#define WALK_AT_ONCE 1024u

/* --- noted prefixes --- */

bool rib_note_reserve(struct rib *r)
{
	size_t words = r->prefixes.n_fresh / 64 + 1;

	if (words > r->dirty_words) {
		size_t n = 2 * words + 64;
		uint64_t *bigger = realloc(r->is_dirty, n * sizeof(*bigger));

		if (bigger == NULL)
			return false;
		memset(bigger + r->dirty_words, 0, (n - r->dirty_words) * sizeof(*bigger));
		r->is_dirty = bigger;
		r->dirty_words = n;
	}
	if (r->n_dirty < r->dirty_cap)
		return true;
	size_t cap = 2 * r->dirty_cap + 64;
	uint32_t *bigger = realloc(r->dirty, cap * sizeof(*bigger));

	if (bigger == NULL)
		return false;
	r->dirty = bigger;
	r->dirty_cap = cap;
	return true;
}

bool rib_is_noted(const struct rib *r, uint32_t prefix)
{
	return prefix / 64 < r->dirty_words && (r->is_dirty[prefix / 64] >> prefix % 64 & 1) != 0;
}

void rib_note(struct rib *r, uint32_t prefix)
{
	if (!rib_is_noted(r, prefix))
		r->dirty[r->n_dirty++] = prefix;
	r->is_dirty[prefix / 64] |= UINT64_C(1) << prefix % 64;
	rib_prefix_moved(r, rib_prefix_at(r, prefix)->key);
}

/* --- what stands in the FIB --- */

struct choice {
	uint32_t best, second; /* exits; RIB_NONE: none */
	uint64_t from;         /* by the others */
};

static bool is_up(const struct rib *r, const struct rib_table *t, uint32_t exit)
{
	return fib_exit_is_up(t->fib, rib_exit_at(r, exit)->fib_exit);
}

/* The next exit that leads somewhere and is another one; RIB_NONE: none. */
static uint32_t next_exit(struct rib_seq *q, uint32_t but)
{
	const struct rib_record *x;
	uint32_t exit;

	while ((exit = rib_seq_next(q, &x)) != RIB_NONE)
		if (exit != but && rib_exit_at(q->r, exit)->n_ways > 0)
			return exit;
	return RIB_NONE;
}

/* A route that is in use though nothing is up; RIB_NONE: there is none. */
static uint32_t staying(const struct rib *r, uint32_t first)
{
	for (uint32_t i = first; i != RIB_NONE; i = rib_record_at(r, i)->next) {
		const struct rib_exit *e = rib_exit_at(r, rib_record_at(r, i)->exit);

		if (e->stays && e->n_ways > 0)
			return rib_record_at(r, i)->exit;
	}
	return RIB_NONE;
}

static void choose(const struct rib *r, const struct rib_table *t, uint32_t first, const struct rib_fed *fed,
		   struct choice *c)
{
	struct rib_seq q = rib_seq_of(r, first, fed);
	uint32_t exit;

	*c = (struct choice){ RIB_NONE, RIB_NONE, 0 };
	c->best = next_exit(&q, RIB_NONE);
	if (c->best == RIB_NONE)
		return;
	bool best_up = is_up(r, t, c->best), second_up = false;

	while ((exit = next_exit(&q, c->best)) != RIB_NONE) {
		if (c->second == RIB_NONE || (!best_up && !second_up && is_up(r, t, exit))) {
			c->second = exit;
			second_up = is_up(r, t, exit);
		}
		c->from |= rib_exit_at(r, exit)->interfaces;
	}
	if (best_up || second_up)
		return;
	exit = staying(r, first);
	c->from |= rib_exit_at(r, c->best)->interfaces;
	c->best = exit;
	c->second = RIB_NONE;
}

/* Nobody else has a route to it: as the feed says, whatever is up. It says something else when that changes. */
static void choose_fed(const struct rib_fed *fed, struct choice *c)
{
	*c = (struct choice){ RIB_NONE, RIB_NONE, 0 };
	if (fed->n > 0)
		c->best = fed->way[0];
	if (fed->n > 1 && fed->way[1] != fed->way[0])
		c->second = fed->way[1];
}

/* What the exit is in the FIB; of one that has found no memory yet RIB_NONE. */
static uint32_t fib_exit_of(const struct rib *r, uint32_t exit)
{
	return rib_exit_at(r, exit)->fib_exit;
}

static int put(struct rib *r, struct fib *fib, struct ip4_prefix p, const struct choice *c, bool *changed)
{
	uint32_t second = FIB_NO_EXIT, group, before = fib_group_of(fib, p);

	if (c->best == RIB_NONE) {
		*changed |= before != FIB_NO_ROUTE;
		(void)fib_remove(fib, p);
		return 0;
	}
	if (c->second != RIB_NONE)
		second = fib_exit_of(r, c->second);
	if (fib_exit_of(r, c->best) == RIB_NONE || (c->second != RIB_NONE && second == RIB_NONE))
		return -ENOMEM;
	group = fib_group_add(fib, fib_exit_of(r, c->best), second, c->from);
	if (group == FIB_NO_ROUTE)
		return -ENOMEM;
	if (group == before)
		return 0;
	int rc = fib_insert(fib, p, group);

	*changed |= rc == 0;
	return rc;
}

int rib_settle_prefix(struct rib *r, uint64_t key, uint32_t first, const struct rib_fed *fed, bool *changed)
{
	struct rib_table *t = rib_table_of(r, rib_key_zone(key));
	struct choice c;

	if (t->fib == NULL)
		return 0;
	if (first == RIB_NONE && fed != NULL) {
		choose_fed(fed, &c);
	} else {
		choose(r, t, first, fed, &c);
		/* What its own exits say of where it may be heard is theirs to say. */
		if (c.best != RIB_NONE)
			c.from &= ~rib_exit_at(r, c.best)->interfaces;
		if (c.second != RIB_NONE)
			c.from &= ~rib_exit_at(r, c.second)->interfaces;
	}
	int rc = put(r, t->fib, rib_key_prefix(key), &c, changed);

	if (rc != 0)
		r->shortage = rc;
	return rc;
}

/* 0, or -ENOMEM and the like, and the FIB is as it was. *changed is set when it is not. */
static int settle(struct rib *r, uint32_t prefix, bool *changed)
{
	uint64_t key = rib_prefix_at(r, prefix)->key;
	struct rib_fed fed;

	return rib_settle_prefix(r, key, rib_prefix_at(r, prefix)->first, rib_feed_look(r, key, &fed) ? &fed : NULL,
				 changed);
}

void rib_is_changed(struct rib *r)
{
	atomic_fetch_add_explicit(&r->version, 1, memory_order_release);
}

/* What found no room waits among those that are noted. False without memory even for that. */
static bool keep(struct rib *r, uint32_t prefix)
{
	if (rib_is_noted(r, prefix))
		return true;
	if (!rib_note_reserve(r))
		return false;
	r->dirty[r->n_dirty++] = prefix;
	r->is_dirty[prefix / 64] |= UINT64_C(1) << prefix % 64;
	return true;
}

void rib_keep_fed(struct rib *r, uint64_t key, int why)
{
	uint32_t prefix = rib_prefix_get(r, key);

	r->shortage = why;
	if (prefix != RIB_NONE && keep(r, prefix))
		return;
	if (prefix != RIB_NONE && rib_prefix_at(r, prefix)->first == RIB_NONE)
		rib_prefix_drop(r, prefix);
	r->feed_behind = true;
}

static bool walk(struct rib *r, uint32_t max, bool *any)
{
	while (r->walk_left > 0 && max-- > 0) {
		uint32_t prefix = r->walk_left - 1;

		/* One that was given back has no key. */
		if (rib_prefix_at(r, prefix)->key != UINT64_MAX && settle(r, prefix, any) != 0 && !keep(r, prefix))
			break;
		r->walk_left--;
	}
	return r->walk_left > 0;
}

bool rib_work(struct rib *r, uint32_t max_prefixes)
{
	bool any = false, more = walk(r, max_prefixes, &any);

	more = rib_feed_walk(r, max_prefixes, &any) || more;
	if (any)
		rib_is_changed(r);
	return more;
}

/* Whatever finds no room stays, and stands in nobody's way: another may give up what it needs. */
static int settle_noted(struct rib *r, bool *any)
{
	size_t n = r->n_dirty, kept = n;

	if (n == 0)
		return 0;
	for (size_t i = n; i-- > 0;) {
		uint32_t prefix = r->dirty[i];

		if (settle(r, prefix, any) != 0) {
			r->dirty[--kept] = prefix;
			continue;
		}
		r->is_dirty[prefix / 64] &= ~(UINT64_C(1) << prefix % 64);
		if (rib_prefix_at(r, prefix)->first == RIB_NONE)
			rib_prefix_drop(r, prefix);
	}
	r->n_dirty = n - kept;
	memmove(r->dirty, r->dirty + kept, r->n_dirty * sizeof(*r->dirty));
	return r->n_dirty == 0 ? 0 : -ENOMEM;
}

size_t rib_n_unsettled(const struct rib *r)
{
	return r->n_dirty + r->feed_behind + r->exits_short;
}

const char *rib_unsettled_why(const struct rib *r)
{
	return r->shortage == -ENOSPC ? "the forwarding table is full" : "there is no memory";
}

int rib_flush(struct rib *r)
{
	bool any = false;
	int rc = rib_exits_resolve(r, &any);

	if (rc == 0)
		rc = settle_noted(r, &any);
	(void)walk(r, WALK_AT_ONCE, &any);
	/* What was not noted is among all that the feed has. */
	if (rc == 0 && r->feed_behind && !r->feed_walks) {
		r->feed_behind = false;
		r->feed_walks = true;
		r->feed_at = 0;
	}
	(void)rib_feed_walk(r, WALK_AT_ONCE, &any);
	if (any)
		rib_is_changed(r);
	rib_feed_tell(r);
	return rc != 0 || !r->feed_behind ? rc : -ENOMEM;
}

/* --- links --- */

/* The FIBs have taken note: what is left is for prefixes that need a third way, and for those that have left. */
static bool follow(struct rib *r, bool any)
{
	r->walk_left = r->prefixes.n_fresh;
	(void)walk(r, WALK_AT_ONCE, &any);
	if (any)
		rib_is_changed(r);
	rib_feed_tell(r);
	return any;
}

bool rib_link_changed(struct rib *r, uint32_t ifindex, bool up)
{
	uint64_t bit = UINT64_C(1) << ifindex;
	bool any = false;

	if (((r->down & bit) == 0) == up)
		return false;
	r->down ^= bit;
	for (uint32_t i = 0; i < r->n_tables && r->use == RIB_FORWARDS; i++)
		any |= fib_link(r->table[i].fib, ifindex, up) > 0;
	return follow(r, any);
}

/* Its place among the lost ones; n_lost: it is none. */
static size_t place_of_lost(const struct rib *r, uint32_t ifindex, const struct ip_addr *addr)
{
	size_t i = 0;

	while (i < r->n_lost && (r->lost[i].ifindex != ifindex || !ip_addr_equal(&r->lost[i].addr, addr)))
		i++;
	return i;
}

bool rib_is_lost(const struct rib *r, uint32_t ifindex, const struct ip_addr *addr)
{
	return place_of_lost(r, ifindex, addr) < r->n_lost;
}

/* False when it was so already, or without memory or room to note it. */
static bool note_lost(struct rib *r, uint32_t ifindex, const struct ip_addr *addr, bool up)
{
	size_t i = place_of_lost(r, ifindex, addr);

	if ((i == r->n_lost) == up)
		return false;
	if (up) {
		r->lost[i] = r->lost[--r->n_lost];
		return true;
	}
	if (r->n_lost == RIB_LOST_MAX)
		return false;
	if (r->n_lost == r->lost_cap) {
		struct rib_lost *bigger = realloc(r->lost, (2 * r->lost_cap + 8) * sizeof(*bigger));

		if (bigger == NULL)
			return false;
		r->lost = bigger;
		r->lost_cap = 2 * r->lost_cap + 8;
	}
	r->lost[r->n_lost++] = (struct rib_lost){ ifindex, *addr };
	return true;
}

bool rib_neighbour_changed(struct rib *r, uint32_t ifindex, const struct ip_addr *addr, bool up)
{
	uint32_t n = r->use == RIB_FORWARDS ? r->n_tables : 0, n_ready = 0;
	bool any = false;

	if (!note_lost(r, ifindex, addr, up))
		return false;
	while (n_ready < n && fib_neighbour_prepare(r->table[n_ready].fib, ifindex, addr) == 0)
		n_ready++;
	if (n_ready < n) {
		while (n_ready-- > 0)
			fib_neighbour_abandon(r->table[n_ready].fib);
		(void)note_lost(r, ifindex, addr, !up);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		any |= fib_neighbour(r->table[i].fib, ifindex, addr, up) > 0;
	/* Behind the FIBs: whoever hears of it finds the other way. */
	if (any && !up)
		lost_hops_tell(&r->told, ifindex, addr->v4);
	return follow(r, any);
}
