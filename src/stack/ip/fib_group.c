/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a leaf's number stands for: a group, made of two exits (fib_exit.c) by value,
 * so equal ones are one.
 *
 * What readers have of a group is one pointer to a fib_route, which never changes
 * once it is published: when an exit leads elsewhere, or an interface or a neighbour
 * of it is lost or back, each group that has it gets a new one by one store. The old
 * one waits for the readers' grace, and so does a group that no prefix uses any
 * more; both queues are in the order of generations.
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
/* One less than may be, so that the stacks of free numbers are too small for large pages (base/pool.c): the first one
 * that is given back would wait for 2 MB to be zeroed, some milliseconds. */
#define NUMBERS_MAX (FIB_GROUPS_MAX - 1)

static const struct fib_full_route no_route = { .route = { .nexthop = { .kind = FIB_NONE } } };

/* Room for what any group has. */
union widest_route {
	struct fib_full_route full;
	uint8_t bytes[sizeof(struct fib_full_route) + 2 * FIB_PATHS_MAX * sizeof(struct fib_nexthop)];
};

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

void fib_exit_unshare(struct fib_groups *g, uint32_t exit)
{
	hash_take(g, &g->shared_exits, exit);
}

/* --- what readers may still look at --- */

bool fib_retire_reserve(struct fib_groups *g, size_t n)
{
	if (g->retired_first + g->n_retired + n <= g->retired_cap)
		return true;
	if (g->retired_first > 0) {
		memmove(g->retired, g->retired + g->retired_first, g->n_retired * sizeof(*g->retired));
		g->retired_first = 0;
		if (g->n_retired + n <= g->retired_cap / 2)
			return true;
	}
	size_t cap = max_u64(64 + n, 2 * g->retired_cap + n);
	struct fib_retired *bigger = realloc(g->retired, cap * sizeof(*bigger));

	if (bigger == NULL)
		return g->n_retired + n <= g->retired_cap;
	g->retired = bigger;
	g->retired_cap = cap;
	return true;
}

void fib_retire(struct fib_groups *g, const void *memory)
{
	if (memory == NULL || memory == &no_route.route)
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

static size_t full_bytes(const struct fib_full_route *r)
{
	return sizeof(*r) + (r->n_others + r->n_down) * sizeof(r->other[0]);
}

static const struct fib_full_route *full_of(const struct fib_route *r)
{
	return (const struct fib_full_route *)(const void *)r;
}

/* The members of an exit that are up, or down, behind the others. How many. */
static uint32_t add_others(union widest_route *w, const struct fib_exit *e, bool up)
{
	uint32_t n = 0, end = w->full.n_others + w->full.n_down;

	for (uint32_t i = 0; i < e->n; i++)
		if (e->member[i].is_up == up)
			w->full.other[end + n++] = e->member[i].nexthop;
	return n;
}

static void route_of(const struct fib_groups *g, const struct fib_group *x, union widest_route *w)
{
	const struct fib_exit *e = exit_in_use(g, x), *second = NULL;
	struct fib_route *r = &w->full.route;
	uint32_t first = 0;

	memset(w, 0, sizeof(*w));
	r->from = x->from;
	for (int i = 0; i < 2; i++)
		r->from |= x->exit[i] == FIB_NO_EXIT ? 0 : interfaces_of(exit_at(g, x->exit[i]));
	if (e != NULL) {
		while (e->n_up > 0 && !e->member[first].is_up)
			first++;
		r->nexthop = e->member[first].nexthop;
		r->paths = e->n_up > 1 ? e->paths : NULL;
	}
	if (x->exit[1] != FIB_NO_EXIT)
		second = exit_at(g, x->exit[1]);
	if (second != NULL && second != e)
		w->full.n_others = add_others(w, second, true);
	for (int i = 0; i < 2; i++)
		if (x->exit[i] != FIB_NO_EXIT)
			w->full.n_down += add_others(w, exit_at(g, x->exit[i]), false);
}

static void *route_alloc(size_t bytes)
{
	return aligned_alloc(64, (bytes + 63) & ~(size_t)63);
}

/* In *spare, if there is one, is room for it. False without memory; then the group is as it was. */
static bool publish(struct fib_groups *g, uint32_t index, void **spare)
{
	const struct fib_route *before = route_now(g, index);
	struct fib_full_route *copy;
	union widest_route now;

	route_of(g, group_at(g, index), &now);
	size_t bytes = full_bytes(&now.full), n_before = before != NULL ? full_bytes(full_of(before)) : 0;

	if (n_before == bytes && memcmp(before, &now, bytes) == 0)
		return true;
	if (!fib_retire_reserve(g, 1) || (copy = *spare != NULL ? *spare : route_alloc(bytes)) == NULL)
		return false;
	*spare = NULL;
	memcpy(copy, &now, bytes);
	/* Whoever follows it finds it written. */
	atomic_store_explicit(published_at(g, index), &copy->route, memory_order_release);
	fib_retire(g, before);
	g->n_bytes += bytes - n_before;
	return true;
}

/* All groups of an exit. How many there are. */
uint32_t fib_groups_publish(struct fib_groups *g, const struct fib_exit *e)
{
	uint32_t n = 0;

	for (uint32_t link = e->groups; link != POOL_NONE; link = group_at(g, link >> 1)->next[link & 1]) {
		(void)publish(g, link >> 1, &group_at(g, link >> 1)->spare[link & 1]);
		n++;
	}
	return n;
}

bool fib_groups_spare(struct fib_groups *g, const struct fib_exit *e, uint32_t more, size_t *n)
{
	for (uint32_t link = e->groups; link != POOL_NONE; link = group_at(g, link >> 1)->next[link & 1]) {
		struct fib_group *x = group_at(g, link >> 1);
		struct fib_full_route most = { .n_others = more };

		for (int i = 0; i < 2; i++)
			most.n_others += x->exit[i] != FIB_NO_EXIT ? exit_at(g, x->exit[i])->n : 0;
		x->spare[link & 1] = route_alloc(full_bytes(&most));
		if (x->spare[link & 1] == NULL)
			return false;
		++*n;
	}
	return true;
}

void fib_groups_unspare(struct fib_groups *g, const struct fib_exit *e)
{
	for (uint32_t link = e->groups; link != POOL_NONE; link = group_at(g, link >> 1)->next[link & 1]) {
		struct fib_group *x = group_at(g, link >> 1);

		free(x->spare[link & 1]);
		x->spare[link & 1] = NULL;
	}
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
	fib_exit_drop(g, x->exit[place]);
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
	void *none = NULL;

	if (index == POOL_NONE)
		return FIB_NO_ROUTE;
	*group_at(g, index) = (struct fib_group){ .exit = { best, second }, .from = from };
	atomic_store_explicit(published_at(g, index), NULL, memory_order_relaxed);
	if (!publish(g, index, &none)) {
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
	g->n_bytes -= full_bytes(full_of(route_now(g, index)));
	free((void *)(uintptr_t)route_now(g, index));
	atomic_store_explicit(published_at(g, index), NULL, memory_order_relaxed);
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
	g->generation = 1; /* so that nothing is of the one before */
	if (hash_init(&g->shared_exits, BUCKETS_MIN) != 0 || hash_init(&g->by_value, BUCKETS_MIN) != 0 ||
	    pool_init(&g->exits, NUMBERS_MAX, sizeof(struct fib_exit), 8) != 0 ||
	    pool_init(&g->groups, NUMBERS_MAX, sizeof(struct fib_group), 8) != 0 ||
	    pool_init(&g->published, NUMBERS_MAX, sizeof(fib_published), 8) != 0)
		return -ENOMEM;
	pool_alloc(&g->groups); /* FIB_NO_ROUTE: it is never given back */
	*group_at(g, FIB_NO_ROUTE) = (struct fib_group){ .exit = { FIB_NO_EXIT, FIB_NO_EXIT } };
	atomic_store_explicit(published_at(g, FIB_NO_ROUTE), &no_route.route, memory_order_relaxed);
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

uint32_t fib_group_exit(const struct fib *f, uint32_t group)
{
	const struct fib_group *x = group_at(&f->groups, group);
	const struct fib_exit *e = exit_in_use(&f->groups, x);

	if (e == NULL)
		return FIB_NO_EXIT;
	return x->exit[0] != FIB_NO_EXIT && e == exit_at(&f->groups, x->exit[0]) ? x->exit[0] : x->exit[1];
}

bool fib_waits(const struct fib *f)
{
	return f->groups.n_retired > 0 || f->groups.first_old != POOL_NONE || f->first_old != POOL_NONE;
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
	exit = fib_exit_make(g, FIB_EXIT_PLAIN);
	if (exit == FIB_NO_EXIT)
		return FIB_NO_ROUTE;
	uint32_t group = FIB_NO_ROUTE;

	if (fib_exit_lead(g, exit_at(g, exit), &path, 1) == 0) {
		exit_at(g, exit)->is_shared = true;
		hash_put(g, &g->shared_exits, exit);
		group = group_add(g, exit, FIB_NO_EXIT, 0);
	}
	/* The group holds it. */
	fib_exit_drop(g, exit);
	return group;
}

uint32_t fib_n_groups(const struct fib *f)
{
	return f->groups.groups.n_used - 1;
}

/* --- look-ups: any thread --- */

/* The hash-th of those that leave by that interface; NULL: none does. */
static const struct fib_nexthop *pick_by(const struct fib_nexthop *nh, uint32_t n, uint32_t ifindex, uint32_t hash)
{
	uint32_t n_fit = 0;

	for (uint32_t i = 0; i < n; i++)
		n_fit += nh[i].kind == FIB_UNICAST && nh[i].ifindex == ifindex;
	if (n_fit == 0)
		return NULL;
	uint32_t left = hash % n_fit;

	while (nh->kind != FIB_UNICAST || nh->ifindex != ifindex || left-- > 0)
		nh++;
	return nh;
}

/* The same of those that have buckets: they are up. */
static const struct fib_nexthop *path_by(const struct fib_paths *paths, uint32_t ifindex, uint32_t hash)
{
	for (uint32_t i = 0; i < FIB_BUCKETS; i++) {
		const struct fib_nexthop *nh = &paths->nexthop[paths->bucket[(hash + i) % FIB_BUCKETS]];

		if (nh->ifindex == ifindex)
			return nh;
	}
	return NULL;
}

const struct fib_nexthop *fib_route_by(const struct fib_route *route, uint32_t ifindex, uint32_t hash)
{
	const struct fib_full_route *full = full_of(route);
	const struct fib_nexthop *nh = &route->nexthop;

	switch ((enum fib_kind)nh->kind) {
	case FIB_NONE:
		return NULL;
	case FIB_LOCAL:
	case FIB_BROADCAST:
		return nh->ifindex == ifindex ? nh : NULL;
	case FIB_UNICAST:
		break;
	default:
		return nh;
	}
	nh = route->paths != NULL ? path_by(route->paths, ifindex, hash) : pick_by(nh, 1, ifindex, hash);
	return nh != NULL ? nh : pick_by(full->other, full->n_others, ifindex, hash);
}

const struct fib_nexthop *fib_route_down_by(const struct fib_route *route, uint32_t ifindex, uint32_t hash)
{
	const struct fib_full_route *full = full_of(route);

	return pick_by(full->other + full->n_others, full->n_down, ifindex, hash);
}

const struct fib_route *fib_route(const struct fib *f, uint32_t group)
{
	return atomic_load_explicit(f->published + group, memory_order_acquire);
}
