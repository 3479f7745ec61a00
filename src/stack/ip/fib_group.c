/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a leaf's number stands for: a group, its two exits, and which next hops of
 * them are up.
 *
 * An exit is its maker's: what it leads to may change (a gateway that is resolved
 * anew), and it keeps a list of the groups that have it. A group is made of two
 * exits by value, so equal ones are one. What readers have of a group is one
 * pointer to a fib_route, which never changes once it is published: when an exit
 * changes, or an interface or a neighbour of it is lost or back, each group of its
 * list gets a new one by one store. The old one waits for the readers' grace, and
 * so does a group that no prefix uses any more; both queues are in the order of
 * generations.
 *
 * Which exit a group's packets take: the best, if a next hop of it is up; else the
 * second best, if one of that is; else the first that stays (FIB_EXIT_STAYS); else
 * there is no route.
 *
 * Without memory for a new fib_route the old one stays. Whoever follows it may find
 * its interface down; then packets are refused by name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/ip/fib_priv.h"

#define BUCKETS_MIN 16u

static const struct fib_route no_route = { .nexthop = { .kind = FIB_NONE } };

static struct fib_exit *exit_at(const struct fib_groups *g, uint32_t index)
{
	return pool_at(&g->exits, index);
}

static struct fib_group *group_at(const struct fib_groups *g, uint32_t index)
{
	return pool_at(&g->groups, index);
}

static fib_published *published_at(const struct fib_groups *g, uint32_t index)
{
	return pool_at(&g->published, index);
}

/* The writer reads what it wrote itself. */
static const struct fib_route *route_now(const struct fib_groups *g, uint32_t index)
{
	return atomic_load_explicit(published_at(g, index), memory_order_relaxed);
}

/* --- chains of numbers --- */

static int hash_init(struct fib_hash *h, uint32_t n_buckets)
{
	*h = (struct fib_hash){ .n_buckets = n_buckets };
	h->bucket = malloc(n_buckets * sizeof(*h->bucket));
	if (h->bucket == NULL)
		return -ENOMEM;
	memset(h->bucket, 0xff, n_buckets * sizeof(*h->bucket)); /* POOL_NONE */
	return 0;
}

static uint64_t mix(uint64_t x, uint64_t y)
{
	x = (x ^ y) * UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static uint64_t hash_nexthop(const struct fib_nexthop *nh)
{
	uint64_t word[sizeof(*nh) / sizeof(uint64_t)], h = 1;

	memcpy(word, nh, sizeof(word));
	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		h = mix(h, word[i]);
	return h >> 16;
}

static uint64_t hash_group(uint32_t best, uint32_t second, uint64_t from)
{
	return mix(mix(best, second), from) >> 16;
}

/* The link from a number to the next, and the hash of what it stands for. */
static uint32_t *hash_link(struct fib_groups *g, const struct fib_hash *h, uint32_t index)
{
	return h == &g->by_value ? &group_at(g, index)->hash_next : &exit_at(g, index)->hash_next;
}

static uint64_t hash_of(const struct fib_groups *g, const struct fib_hash *h, uint32_t index)
{
	const struct fib_group *x = group_at(g, index);

	return h == &g->by_value ? hash_group(x->exit[0], x->exit[1], x->from)
				 : hash_nexthop(&exit_at(g, index)->member[0].nexthop);
}

static uint32_t *hash_head(const struct fib_hash *h, uint64_t hash)
{
	return &h->bucket[hash & (h->n_buckets - 1)];
}

static void hash_link_in(struct fib_groups *g, struct fib_hash *h, uint32_t index)
{
	uint32_t *head = hash_head(h, hash_of(g, h, index));

	*hash_link(g, h, index) = *head;
	*head = index;
}

/* More buckets than entries; without memory the chains get longer. */
static void hash_put(struct fib_groups *g, struct fib_hash *h, uint32_t index)
{
	struct fib_hash old = *h;

	if (h->n >= h->n_buckets && hash_init(h, 2 * old.n_buckets) == 0) {
		for (uint32_t i = 0; i < old.n_buckets; i++) {
			for (uint32_t next, k = old.bucket[i]; k != POOL_NONE; k = next) {
				next = *hash_link(g, h, k);
				hash_link_in(g, h, k);
			}
		}
		free(old.bucket);
		h->n = old.n;
	} else {
		*h = old;
	}
	hash_link_in(g, h, index);
	h->n++;
}

static void hash_take(struct fib_groups *g, struct fib_hash *h, uint32_t index)
{
	uint32_t *at = hash_head(h, hash_of(g, h, index));

	while (*at != index)
		at = hash_link(g, h, *at);
	*at = *hash_link(g, h, index);
	h->n--;
}

/* --- what readers may still look at --- */

/* Room for one more in the queue. */
static bool retire_reserve(struct fib_groups *g)
{
	if (g->retired_first + g->n_retired < g->retired_cap)
		return true;
	if (g->retired_first > 0) {
		memmove(g->retired, g->retired + g->retired_first, g->n_retired * sizeof(*g->retired));
		g->retired_first = 0;
		if (g->n_retired < g->retired_cap / 2)
			return true;
	}
	size_t cap = max_u64(64, 2 * g->retired_cap);
	struct fib_retired *bigger = realloc(g->retired, cap * sizeof(*bigger));

	if (bigger == NULL)
		return g->n_retired < g->retired_cap;
	g->retired = bigger;
	g->retired_cap = cap;
	return true;
}

static void retire(struct fib_groups *g, const void *memory)
{
	if (memory == NULL || memory == &no_route)
		return;
	g->retired[g->retired_first + g->n_retired++] =
		(struct fib_retired){ (void *)(uintptr_t)memory, g->generation };
}

static void reclaim_retired(struct fib_groups *g, uint64_t generation)
{
	while (g->n_retired > 0 && g->retired[g->retired_first].generation <= generation) {
		free(g->retired[g->retired_first++].memory);
		g->n_retired--;
	}
	if (g->n_retired == 0)
		g->retired_first = 0;
}

/* --- what a group stands for --- */

static uint64_t interfaces_of(const struct fib_exit *e)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < e->n; i++) {
		if (e->member[i].nexthop.kind == FIB_UNICAST)
			bits |= UINT64_C(1) << (e->member[i].nexthop.ifindex & 63);
	}
	return bits;
}

/* The exit in use; NULL: none. */
static const struct fib_exit *exit_in_use(const struct fib_groups *g, const struct fib_group *x)
{
	const struct fib_exit *stays = NULL;

	for (int i = 0; i < 2; i++) {
		const struct fib_exit *e = x->exit[i] == FIB_NO_EXIT ? NULL : exit_at(g, x->exit[i]);

		if (e != NULL && e->n_up > 0)
			return e;
		if (e != NULL && e->n > 0 && e->kind == FIB_EXIT_STAYS && stays == NULL)
			stays = e;
	}
	return stays;
}

static struct fib_route route_of(const struct fib_groups *g, const struct fib_group *x)
{
	const struct fib_exit *e = exit_in_use(g, x);
	struct fib_route r = { .from = x->from };
	uint32_t first = 0;

	for (int i = 0; i < 2; i++)
		r.from |= x->exit[i] == FIB_NO_EXIT ? 0 : interfaces_of(exit_at(g, x->exit[i]));
	if (e == NULL)
		return r;
	while (e->n_up > 0 && !e->member[first].is_up)
		first++;
	r.nexthop = e->member[first].nexthop;
	r.paths = e->n_up > 1 ? e->paths : NULL;
	return r;
}

/* False without memory; then the group is as it was. */
static bool publish(struct fib_groups *g, uint32_t index)
{
	struct fib_route now = route_of(g, group_at(g, index)), *copy;
	const struct fib_route *before = route_now(g, index);

	if (before != NULL && memcmp(before, &now, sizeof(now)) == 0)
		return true;
	if (!retire_reserve(g) || (copy = aligned_alloc(64, sizeof(*copy))) == NULL)
		return false;
	*copy = now;
	/* Whoever follows it finds it written. */
	atomic_store_explicit(published_at(g, index), copy, memory_order_release);
	retire(g, before);
	g->n_bytes += before == NULL ? sizeof(*copy) : 0;
	return true;
}

/* All groups of an exit. How many there are. */
static uint32_t publish_groups(struct fib_groups *g, const struct fib_exit *e)
{
	uint32_t n = 0;

	for (uint32_t link = e->groups; link != POOL_NONE; link = group_at(g, link >> 1)->next[link & 1]) {
		(void)publish(g, link >> 1);
		n++;
	}
	return n;
}

/* --- exits --- */

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
	if (!retire_reserve(g))
		return false;
	if (e->n_up > 1) {
		paths = calloc(1, sizeof(*paths));
		if (paths == NULL)
			return false;
		paths->n = e->n;
		memcpy(paths->bucket, e->shares->owner, sizeof(paths->bucket));
		for (uint32_t i = 0; i < e->n; i++)
			paths->nexthop[i] = e->member[i].nexthop;
	}
	g->n_bytes += paths != NULL ? sizeof(*paths) : 0;
	g->n_bytes -= e->paths != NULL ? sizeof(*paths) : 0;
	retire(g, e->paths);
	e->paths = paths;
	return true;
}

static uint32_t exit_changed(struct fib_groups *g, struct fib_exit *e)
{
	return exit_settle(g, e) ? publish_groups(g, e) : 0;
}

static uint32_t exit_new(struct fib_groups *g, enum fib_exit_kind kind)
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

static void exit_put(struct fib_groups *g, uint32_t index)
{
	struct fib_exit *e = exit_at(g, index);

	if (--e->n_holders > 0)
		return;
	if (e->is_shared)
		hash_take(g, &g->shared_exits, index);
	g->n_bytes -= exit_bytes(e);
	/* No group has it, so no reader comes to it any more; but one may still be there. */
	if (e->paths != NULL && retire_reserve(g))
		retire(g, e->paths);
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

static int exit_set(struct fib_groups *g, struct fib_exit *e, const struct fib_exit_path *path, uint32_t n)
{
	struct fib_exit now = *e;

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
	if (!exit_settle(g, &now)) {
		g->n_bytes += exit_bytes(e) - exit_bytes(&now);
		goto free_all;
	}
	free(e->member);
	free(e->shares);
	*e = now;
	publish_groups(g, e);
	return 0;

free_all:
	free(now.member);
	free(now.shares);
	return -ENOMEM;
}

/* --- groups --- */

static void list_join(struct fib_groups *g, uint32_t index, int place)
{
	struct fib_group *x = group_at(g, index);

	x->previous[place] = x->next[place] = POOL_NONE;
	if (x->exit[place] == FIB_NO_EXIT)
		return;
	struct fib_exit *e = exit_at(g, x->exit[place]);

	x->next[place] = e->groups;
	if (e->groups != POOL_NONE)
		group_at(g, e->groups >> 1)->previous[e->groups & 1] = index << 1 | (uint32_t)place;
	e->groups = index << 1 | (uint32_t)place;
	e->n_holders++;
}

static void list_leave(struct fib_groups *g, uint32_t index, int place)
{
	struct fib_group *x = group_at(g, index);
	uint32_t next = x->next[place], previous = x->previous[place];

	if (x->exit[place] == FIB_NO_EXIT)
		return;
	if (next != POOL_NONE)
		group_at(g, next >> 1)->previous[next & 1] = previous;
	if (previous != POOL_NONE)
		group_at(g, previous >> 1)->next[previous & 1] = next;
	else
		exit_at(g, x->exit[place])->groups = next;
	exit_put(g, x->exit[place]);
}

static void enqueue(struct fib_groups *g, uint32_t index)
{
	struct fib_group *x = group_at(g, index);

	x->queued = true;
	x->queued_in = g->generation;
	x->queue_next = POOL_NONE;
	if (g->first_old == POOL_NONE)
		g->first_old = index;
	else
		group_at(g, g->last_old)->queue_next = index;
	g->last_old = index;
}

static void unused(struct fib_groups *g, uint32_t index)
{
	struct fib_group *x = group_at(g, index);

	x->unused_in = g->generation;
	if (!x->queued && index != FIB_NO_ROUTE)
		enqueue(g, index);
}

static uint32_t group_make(struct fib_groups *g, uint32_t best, uint32_t second, uint64_t from)
{
	uint32_t index = pool_alloc(&g->groups);

	if (index == POOL_NONE)
		return FIB_NO_ROUTE;
	*group_at(g, index) = (struct fib_group){ .exit = { best, second }, .from = from };
	atomic_store_explicit(published_at(g, index), NULL, memory_order_relaxed);
	if (!publish(g, index)) {
		pool_free(&g->groups, index);
		return FIB_NO_ROUTE;
	}
	list_join(g, index, 0);
	list_join(g, index, 1);
	hash_put(g, &g->by_value, index);
	unused(g, index);
	return index;
}

static uint32_t group_add(struct fib_groups *g, uint32_t best, uint32_t second, uint64_t from)
{
	uint32_t i = *hash_head(&g->by_value, hash_group(best, second, from));

	for (; i != POOL_NONE; i = group_at(g, i)->hash_next) {
		const struct fib_group *x = group_at(g, i);

		if (x->exit[0] == best && x->exit[1] == second && x->from == from)
			return i;
	}
	return group_make(g, best, second, from);
}

/* No prefix has used it since before the grace. */
static void group_free(struct fib_groups *g, uint32_t index)
{
	hash_take(g, &g->by_value, index);
	list_leave(g, index, 0);
	list_leave(g, index, 1);
	free((void *)(uintptr_t)route_now(g, index));
	atomic_store_explicit(published_at(g, index), NULL, memory_order_relaxed);
	g->n_bytes -= sizeof(struct fib_route);
	pool_free(&g->groups, index);
}

void fib_group_get(struct fib_groups *g, uint32_t group)
{
	group_at(g, group)->n_prefixes++;
}

void fib_group_put(struct fib_groups *g, uint32_t group)
{
	if (--group_at(g, group)->n_prefixes == 0)
		unused(g, group);
}

void fib_groups_reclaim(struct fib_groups *g, uint64_t generation)
{
	reclaim_retired(g, generation);
	while (g->first_old != POOL_NONE && group_at(g, g->first_old)->queued_in <= generation) {
		uint32_t index = g->first_old;
		struct fib_group *x = group_at(g, index);

		g->first_old = x->queue_next;
		x->queued = false;
		if (x->n_prefixes > 0)
			continue;
		if (x->unused_in > generation)
			enqueue(g, index); /* it was used in between */
		else
			group_free(g, index);
	}
}

/* --- life --- */

int fib_groups_init(struct fib_groups *g)
{
	g->first_old = g->last_old = POOL_NONE;
	if (hash_init(&g->shared_exits, BUCKETS_MIN) != 0 || hash_init(&g->by_value, BUCKETS_MIN) != 0 ||
	    pool_init(&g->exits, FIB_GROUPS_MAX, sizeof(struct fib_exit), 8) != 0 ||
	    pool_init(&g->groups, FIB_GROUPS_MAX, sizeof(struct fib_group), 8) != 0 ||
	    pool_init(&g->published, FIB_GROUPS_MAX, sizeof(fib_published), 8) != 0)
		return -ENOMEM;
	pool_alloc(&g->groups); /* FIB_NO_ROUTE: it is never given back */
	*group_at(g, FIB_NO_ROUTE) = (struct fib_group){ .exit = { FIB_NO_EXIT, FIB_NO_EXIT } };
	atomic_store_explicit(published_at(g, FIB_NO_ROUTE), &no_route, memory_order_relaxed);
	return 0;
}

void fib_groups_fini(struct fib_groups *g)
{
	for (uint32_t i = FIB_NO_ROUTE + 1; i < g->groups.n_fresh; i++) {
		/* NULL of one that was given back. */
		free((void *)(uintptr_t)route_now(g, i));
	}
	for (uint32_t i = 0; i < g->exits.n_fresh; i++) {
		free(exit_at(g, i)->member);
		free(exit_at(g, i)->shares);
		free(exit_at(g, i)->paths);
	}
	reclaim_retired(g, UINT64_MAX);
	free(g->retired);
	free(g->lost);
	free(g->shared_exits.bucket);
	free(g->by_value.bucket);
	pool_fini(&g->published);
	pool_fini(&g->groups);
	pool_fini(&g->exits);
}

size_t fib_groups_bytes(const struct fib_groups *g)
{
	return g->n_bytes + g->exits.n_fresh * g->exits.stride +
	       g->groups.n_fresh * (g->groups.stride + g->published.stride) + g->retired_cap * sizeof(*g->retired) +
	       (g->shared_exits.n_buckets + g->by_value.n_buckets) * sizeof(uint32_t);
}

/* --- for whoever fills the table --- */

uint32_t fib_exit_new(struct fib *f, enum fib_exit_kind kind)
{
	return exit_new(&f->groups, kind);
}

int fib_exit_set(struct fib *f, uint32_t exit, const struct fib_exit_path *path, uint32_t n)
{
	struct fib_groups *g = &f->groups;

	return exit_set(g, exit_at(g, exit), path, n);
}

void fib_exit_put(struct fib *f, uint32_t exit)
{
	exit_put(&f->groups, exit);
}

bool fib_exit_is_up(const struct fib *f, uint32_t exit)
{
	return exit_at(&f->groups, exit)->n_up > 0;
}

uint32_t fib_group_add(struct fib *f, uint32_t best, uint32_t second, uint64_t from)
{
	return group_add(&f->groups, best, second, from);
}

uint32_t fib_nexthop_add(struct fib *f, const struct fib_nexthop *nh)
{
	struct fib_groups *g = &f->groups;
	struct fib_exit_path path = { *nh, 1 };
	uint32_t exit = *hash_head(&g->shared_exits, hash_nexthop(nh));

	for (; exit != POOL_NONE; exit = exit_at(g, exit)->hash_next) {
		if (memcmp(&exit_at(g, exit)->member[0].nexthop, nh, sizeof(*nh)) == 0)
			return group_add(g, exit, FIB_NO_EXIT, 0);
	}
	exit = exit_new(g, FIB_EXIT_PLAIN);
	if (exit == FIB_NO_EXIT)
		return FIB_NO_ROUTE;
	uint32_t group = FIB_NO_ROUTE;

	if (exit_set(g, exit_at(g, exit), &path, 1) == 0) {
		exit_at(g, exit)->is_shared = true;
		hash_put(g, &g->shared_exits, exit);
		group = group_add(g, exit, FIB_NO_EXIT, 0);
	}
	/* The group holds it. */
	exit_put(g, exit);
	return group;
}

static uint32_t interface_changed(struct fib_groups *g, uint32_t ifindex)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->exits.n_fresh; i++) {
		struct fib_exit *e = exit_at(g, i);
		bool concerned = false;

		for (uint32_t k = 0; k < e->n; k++) {
			const struct fib_member *m = &e->member[k];

			concerned |= m->nexthop.ifindex == ifindex && m->is_up == is_lost(g, &m->nexthop);
		}
		if (concerned)
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

uint32_t fib_neighbour(struct fib *f, uint32_t ifindex, const struct ip_addr *addr, bool up)
{
	struct fib_groups *g = &f->groups;
	uint32_t i = 0;

	while (i < g->n_lost && (g->lost[i].ifindex != ifindex || !ip_addr_equal(&g->lost[i].addr, addr)))
		i++;
	if ((i == g->n_lost) == up)
		return 0;
	if (up) {
		g->lost[i] = g->lost[--g->n_lost];
		return interface_changed(g, ifindex);
	}
	if (g->n_lost == g->lost_cap) {
		struct fib_lost *bigger = realloc(g->lost, (2 * g->lost_cap + 8) * sizeof(*bigger));

		if (bigger == NULL)
			return 0;
		g->lost = bigger;
		g->lost_cap = 2 * g->lost_cap + 8;
	}
	g->lost[g->n_lost++] = (struct fib_lost){ ifindex, *addr };
	return interface_changed(g, ifindex);
}

uint32_t fib_n_groups(const struct fib *f)
{
	return f->groups.groups.n_used - 1;
}

/* --- look-ups: any thread --- */

const struct fib_route *fib_route(const struct fib *f, uint32_t group)
{
	return atomic_load_explicit(f->published + group, memory_order_acquire);
}
