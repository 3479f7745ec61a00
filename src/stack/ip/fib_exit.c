/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Exits: the next hops of a way out, which of them are up, and who of several has
 * which flows.
 *
 * An exit is its maker's, who may lead it elsewhere; groups hold it too, and it goes
 * with the last of its holders. Whatever changes of it (its next hops, a link, a
 * neighbour) is settled here and then published for each group that has it
 * (fib_group.c). Readers see next hops in the groups' fib_route, and of several the
 * exit's own fib_paths, which never changes either: a new one takes its place, and
 * the old one waits for their grace.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/ip/fib_priv.h"

static struct fib_exit *exit_at(const struct fib_groups *g, uint32_t index)
{
	return pool_at(&g->exits, index);
}

static bool is_lost(const struct fib_groups *g, const struct fib_nexthop *nh)
{
	if (nh->kind != FIB_UNICAST)
		return false;
	if (g->down >> (nh->ifindex & 63) & 1)
		return true;
	for (uint32_t i = 0; i < g->n_lost; i++) {
		if (g->lost[i].ifindex == nh->ifindex && ip_addr_equal(&g->lost[i].addr, &nh->gateway))
			return true;
	}
	return false;
}

/* Who is up, who has which buckets, and what readers are to see of it; groups are told by the caller. False without
 * memory for that; then readers keep what they have. */
static bool exit_settle(struct fib_groups *g, struct fib_exit *e)
{
	struct fib_paths *paths = NULL;

	e->n_up = 0;
	for (uint32_t i = 0; i < e->n; i++) {
		e->member[i].is_up = !is_lost(g, &e->member[i].nexthop);
		e->n_up += e->member[i].is_up;
	}
	if (e->shares != NULL)
		fib_buckets_divide(e->shares, e->member, e->n);
	if (!fib_retire_reserve(g, 1))
		return false;
	if (e->n_up > 1) {
		paths = e->spare != NULL ? e->spare : calloc(1, sizeof(*paths));
		if (paths == NULL)
			return false;
		e->spare = NULL;
		paths->n = e->n;
		memcpy(paths->bucket, e->shares->owner, sizeof(paths->bucket));
		for (uint32_t i = 0; i < e->n; i++)
			paths->nexthop[i] = e->member[i].nexthop;
	}
	g->n_bytes += paths != NULL ? sizeof(*paths) : 0;
	g->n_bytes -= e->paths != NULL ? sizeof(*paths) : 0;
	fib_retire(g, e->paths);
	e->paths = paths;
	return true;
}

/* All groups follow or none does: one that stayed behind would have next hops that are given back. */
static uint32_t exit_changed(struct fib_groups *g, struct fib_exit *e)
{
	size_t n_places = 1;
	uint32_t n = 0;

	if (e->is_prepared)
		return exit_settle(g, e) ? fib_groups_publish(g, e) : 0;
	if (fib_groups_spare(g, e, 0, &n_places) && fib_retire_reserve(g, n_places) && exit_settle(g, e))
		n = fib_groups_publish(g, e);
	fib_groups_unspare(g, e);
	return n;
}

uint32_t fib_exit_make(struct fib_groups *g, enum fib_exit_kind kind)
{
	uint32_t index = pool_alloc(&g->exits);

	if (index == POOL_NONE)
		return FIB_NO_EXIT;
	*exit_at(g, index) = (struct fib_exit){ .groups = POOL_NONE, .n_holders = 1, .kind = (uint8_t)kind };
	return index;
}

static size_t exit_bytes(const struct fib_exit *e)
{
	return e->n * sizeof(*e->member) + (e->shares != NULL ? sizeof(*e->shares) : 0) +
	       (e->paths != NULL ? sizeof(*e->paths) : 0);
}

void fib_exit_drop(struct fib_groups *g, uint32_t index)
{
	struct fib_exit *e = exit_at(g, index);

	if (--e->n_holders > 0)
		return;
	if (e->is_shared)
		fib_exit_unshare(g, index);
	g->n_bytes -= exit_bytes(e);
	/* No group has it, so no reader comes to it any more; but one may still be there. */
	if (e->paths != NULL && fib_retire_reserve(g, 1))
		fib_retire(g, e->paths);
	free(e->member);
	free(e->shares);
	*e = (struct fib_exit){ .groups = POOL_NONE };
	pool_free(&g->exits, index);
}

/* Buckets of the next hops that were there before stay theirs. */
static struct fib_shares *shares_like(const struct fib_exit *old, const struct fib_member *m, uint32_t n)
{
	uint8_t now[FIB_PATHS_MAX];
	struct fib_shares *s = malloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	memset(now, FIB_NOBODY, sizeof(now));
	for (uint32_t i = 0; i < old->n; i++) {
		for (uint32_t k = 0; k < n; k++) {
			if (memcmp(&old->member[i].nexthop, &m[k].nexthop, sizeof(m[k].nexthop)) == 0)
				now[i] = (uint8_t)k;
		}
	}
	if (old->shares != NULL) {
		*s = *old->shares;
	} else {
		/* All of them were the only one's. */
		memset(s->owner, old->n == 1 ? 0 : FIB_NOBODY, sizeof(s->owner));
		memset(s->before, FIB_NOBODY, sizeof(s->before));
	}
	fib_buckets_renumber(s, now);
	return s;
}

int fib_exit_lead(struct fib_groups *g, struct fib_exit *e, const struct fib_exit_path *path, uint32_t n)
{
	struct fib_exit now = *e;
	size_t n_places = 1;

	now.n = n;
	now.shares = NULL;
	now.member = calloc(n + 1, sizeof(*now.member));
	if (now.member == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		now.member[i] = (struct fib_member){ .nexthop = path[i].nexthop, .weight = max_u32(path[i].weight, 1) };
	if (n > 1 && (now.shares = shares_like(e, now.member, n)) == NULL)
		goto free_all;
	g->n_bytes += exit_bytes(&now) - exit_bytes(e);
	if (!fib_groups_spare(g, e, n, &n_places) || !fib_retire_reserve(g, n_places) || !exit_settle(g, &now)) {
		g->n_bytes += exit_bytes(e) - exit_bytes(&now);
		goto unspare;
	}
	free(e->member);
	free(e->shares);
	*e = now;
	fib_groups_publish(g, e);
	fib_groups_unspare(g, e);
	return 0;

unspare:
	fib_groups_unspare(g, e);
free_all:
	free(now.member);
	free(now.shares);
	return -ENOMEM;
}

/* --- for whoever fills the table --- */

uint32_t fib_exit_new(struct fib *f, enum fib_exit_kind kind)
{
	return fib_exit_make(&f->groups, kind);
}

int fib_exit_set(struct fib *f, uint32_t exit, const struct fib_exit_path *path, uint32_t n)
{
	struct fib_groups *g = &f->groups;

	return fib_exit_lead(g, exit_at(g, exit), path, n);
}

void fib_exit_put(struct fib *f, uint32_t exit)
{
	fib_exit_drop(&f->groups, exit);
}

bool fib_exit_is_used(const struct fib *f, uint32_t exit)
{
	return exit_at(&f->groups, exit)->groups != POOL_NONE;
}

bool fib_exit_is_up(const struct fib *f, uint32_t exit)
{
	return exit_at(&f->groups, exit)->n_up > 0;
}

/* A next hop of it there is no longer as it was settled, or is that neighbour (NULL: none is). */
static bool is_concerned(const struct fib_groups *g, const struct fib_exit *e, uint32_t ifindex,
			 const struct ip_addr *neighbour)
{
	for (uint32_t k = 0; k < e->n; k++) {
		const struct fib_nexthop *nh = &e->member[k].nexthop;

		if (nh->ifindex == ifindex && (e->member[k].is_up == is_lost(g, nh) ||
					       (neighbour != NULL && ip_addr_equal(&nh->gateway, neighbour))))
			return true;
	}
	return false;
}

static uint32_t interface_changed(struct fib_groups *g, uint32_t ifindex)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->exits.n_fresh; i++) {
		struct fib_exit *e = exit_at(g, i);

		if (is_concerned(g, e, ifindex, NULL))
			n += exit_changed(g, e);
	}
	return n;
}

uint32_t fib_link(struct fib *f, uint32_t ifindex, bool up)
{
	struct fib_groups *g = &f->groups;
	uint64_t bit = UINT64_C(1) << (ifindex & 63);

	g->down = up ? g->down & ~bit : g->down | bit;
	return interface_changed(g, ifindex);
}

/* With room for one more. Of what is there already, or not: nothing. */
static void note_lost(struct fib_groups *g, uint32_t ifindex, const struct ip_addr *addr, bool up)
{
	uint32_t i = 0;

	while (i < g->n_lost && (g->lost[i].ifindex != ifindex || !ip_addr_equal(&g->lost[i].addr, addr)))
		i++;
	if ((i == g->n_lost) == up)
		return;
	if (up)
		g->lost[i] = g->lost[--g->n_lost];
	else
		g->lost[g->n_lost++] = (struct fib_lost){ ifindex, *addr };
}

static bool reserve_lost(struct fib_groups *g)
{
	if (g->n_lost < g->lost_cap)
		return true;
	struct fib_lost *bigger = realloc(g->lost, (2 * g->lost_cap + 8) * sizeof(*bigger));

	if (bigger == NULL)
		return false;
	g->lost = bigger;
	g->lost_cap = 2 * g->lost_cap + 8;
	return true;
}

void fib_neighbour_abandon(struct fib *f)
{
	struct fib_groups *g = &f->groups;

	for (uint32_t i = 0; i < g->exits.n_fresh; i++) {
		struct fib_exit *e = exit_at(g, i);

		if (!e->is_prepared)
			continue;
		fib_groups_unspare(g, e);
		free(e->spare);
		e->spare = NULL;
		e->is_prepared = false;
	}
	g->is_prepared = false;
}

int fib_neighbour_prepare(struct fib *f, uint32_t ifindex, const struct ip_addr *addr)
{
	struct fib_groups *g = &f->groups;
	bool enough = reserve_lost(g);
	size_t n = 0;

	for (uint32_t i = 0; i < g->exits.n_fresh && enough; i++) {
		struct fib_exit *e = exit_at(g, i);

		if (!is_concerned(g, e, ifindex, addr))
			continue;
		n++;
		e->is_prepared = true;
		if (e->n > 1)
			enough = (e->spare = calloc(1, sizeof(*e->paths))) != NULL;
		enough = enough && fib_groups_spare(g, e, 0, &n);
	}
	g->is_prepared = enough && fib_retire_reserve(g, n);
	if (g->is_prepared)
		return 0;
	fib_neighbour_abandon(f);
	return -ENOMEM;
}

int fib_neighbour(struct fib *f, uint32_t ifindex, const struct ip_addr *addr, bool up)
{
	struct fib_groups *g = &f->groups;

	if (!g->is_prepared && fib_neighbour_prepare(f, ifindex, addr) != 0)
		return -ENOMEM;
	note_lost(g, ifindex, addr, up);
	uint32_t n = interface_changed(g, ifindex);

	fib_neighbour_abandon(f);
	return (int)n;
}
