/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The neighbour table's memory: entries from a pool, a hash by interface and
 * address, a list of the entries that may give way, and the packets that wait.
 *
 * Life of an entry: neigh_make, changes of state by neigh.c, neigh_remove. An
 * entry is on the list from oldest to newest exactly while it is STALE or FAILED
 * (and in use), so a full table finds the one to give up in one step, and never
 * one that packets wait for.
 *
 * The number of an entry is also that of its adjacency; src/ip/adjacency.c keeps what
 * stands there in step.
 *
 * Always: n_held of all entries adds up to n_held_all, and only INCOMPLETE
 * entries hold packets.
 */
#include <stdlib.h>
#include <string.h>

#include "ip/neigh.h"

#define WHEEL_TICK_NS (10 * NS_PER_MS)

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

struct neigh_table *neigh_table_create(struct env *env, const struct ip_limits *limits)
{
	struct neigh_table *t = calloc(1, sizeof(*t));
	uint32_t n = min_u32(or_default(limits->n_neighbours, IP_NEIGHBOURS_DEFAULT), IP_ADJACENCIES_MAX);

	if (t == NULL)
		return NULL;
	t->env = env;
	t->hash_key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	t->oldest = t->newest = t->last = POOL_NONE;
	t->max_held = or_default(limits->n_neigh_held, 16);
	t->max_held_all = or_default(limits->n_neigh_held_all, 1024);
	for (t->n_buckets = 16; t->n_buckets < n; t->n_buckets *= 2)
		;
	t->bucket = malloc(t->n_buckets * sizeof(*t->bucket));
	t->adjacency = calloc(n, sizeof(*t->adjacency));
	if (t->bucket == NULL || t->adjacency == NULL || pool_init(&t->pool, n, sizeof(struct neigh), 64) != 0) {
		free(t->adjacency);
		free(t->bucket);
		free(t);
		return NULL;
	}
	memset(t->bucket, 0xff, t->n_buckets * sizeof(*t->bucket));
	timer_wheel_init(&t->wheel, &neigh_at(t, 0)->timer, t->pool.stride, WHEEL_TICK_NS, env->now);
	return t;
}

void neigh_table_destroy(struct neigh_table *t)
{
	if (t == NULL)
		return;
	for (uint32_t i = 0; i < t->pool.n_fresh; i++) {
		struct neigh *n = neigh_at(t, i);

		if (!n->in_use)
			continue;
		for (struct packet *p = neigh_take_held(t, n), *next; p != NULL; p = next) {
			next = p->next;
			packet_free(t->env->pool, p);
		}
	}
	pool_fini(&t->pool);
	free(t->adjacency);
	free(t->bucket);
	free(t);
}

uint32_t neigh_index(const struct neigh_table *t, const struct neigh *n)
{
	return (uint32_t)(((const uint8_t *)n - t->pool.mem) / t->pool.stride);
}

static uint32_t *bucket_of(struct neigh_table *t, uint32_t ifindex, uint32_t addr)
{
	return &t->bucket[siphash13_16(&t->hash_key, ifindex, addr) & (t->n_buckets - 1)];
}

struct neigh *neigh_find(struct neigh_table *t, uint32_t ifindex, uint32_t addr)
{
	/* Most packets of a batch go to the neighbour of the one before. */
	if (t->last != POOL_NONE) {
		struct neigh *n = neigh_at(t, t->last);

		if (n->in_use && n->ifindex == ifindex && n->addr == addr)
			return n;
	}
	for (uint32_t i = *bucket_of(t, ifindex, addr); i != POOL_NONE; i = neigh_at(t, i)->hash_next) {
		struct neigh *n = neigh_at(t, i);

		if (n->ifindex == ifindex && n->addr == addr) {
			t->last = i;
			return n;
		}
	}
	return NULL;
}

static void unqueue(struct neigh_table *t, struct neigh *n)
{
	if (!n->queued)
		return;
	*(n->older == POOL_NONE ? &t->oldest : &neigh_at(t, n->older)->newer) = n->newer;
	*(n->newer == POOL_NONE ? &t->newest : &neigh_at(t, n->newer)->older) = n->older;
	n->queued = false;
}

static void queue_newest(struct neigh_table *t, struct neigh *n)
{
	uint32_t index = neigh_index(t, n);

	n->older = t->newest;
	n->newer = POOL_NONE;
	*(t->newest == POOL_NONE ? &t->oldest : &neigh_at(t, t->newest)->newer) = index;
	t->newest = index;
	n->queued = true;
}

void neigh_set_state(struct neigh_table *t, struct neigh *n, enum neigh_state state)
{
	unqueue(t, n);
	n->state = (uint8_t)state;
	n->n_probes = 0;
	n->link_was_down = false;
	if (state == NEIGH_STALE || state == NEIGH_FAILED)
		queue_newest(t, n);
}

/* Of the shortcuts, those that hold this number are void, and no others. */
static void give_away(struct neigh_table *t, uint32_t index)
{
	struct ip_adjacency *a = &t->adjacency[index];

	a->learnt = false;
	a->generation = (uint8_t)((a->generation + 1u) % IP_ADJACENCY_GENERATIONS);
	neigh_tell_changed(t, index, IP_ADJACENCY_GONE);
}

struct neigh *neigh_make(struct neigh_table *t, uint32_t ifindex, uint32_t addr)
{
	uint32_t *head = bucket_of(t, ifindex, addr);
	uint32_t index = pool_alloc(&t->pool);

	if (index == POOL_NONE && t->oldest != POOL_NONE) {
		neigh_remove(t, neigh_at(t, t->oldest));
		index = pool_alloc(&t->pool);
	}
	if (index == POOL_NONE)
		return NULL;
	struct neigh *n = neigh_at(t, index);

	if (t->adjacency[index].learnt)
		give_away(t, index);
	*n = (struct neigh){ .ifindex = ifindex, .addr = addr, .in_use = true, .hash_next = *head };
	timer_node_init(&n->timer);
	*head = index;
	neigh_set_state(t, n, NEIGH_INCOMPLETE);
	return n;
}

void neigh_remove(struct neigh_table *t, struct neigh *n)
{
	uint32_t index = neigh_index(t, n);
	uint32_t *link = bucket_of(t, n->ifindex, n->addr);

	timer_disarm(&t->wheel, index);
	unqueue(t, n);
	while (*link != index)
		link = &neigh_at(t, *link)->hash_next;
	*link = n->hash_next;
	n->in_use = false;
	t->adjacency[index] = (struct ip_adjacency){ .learnt = t->adjacency[index].learnt,
						     .generation = t->adjacency[index].generation };
	neigh_tell_changed(t, index, IP_ADJACENCY_CHANGED);
	pool_free(&t->pool, index);
}

static struct packet *take_first(struct neigh_table *t, struct neigh *n)
{
	struct packet *p = n->held_first;

	n->held_first = p->next;
	if (p->next == NULL)
		n->held_last = NULL;
	p->next = NULL;
	n->n_held--;
	t->n_held_all--;
	return p;
}

void neigh_hold(struct neigh_table *t, struct neigh *n, struct packet *p)
{
	if (!packet_own(t->env->pool, p)) {
		env_drop(t->env, p, DROP_NO_BUFFER);
		return;
	}
	/* The latest is kept (RFC 1122 section 2.3.2.2), the oldest gives way. */
	if (n->n_held >= t->max_held || (t->n_held_all >= t->max_held_all && n->n_held > 0))
		env_drop(t->env, take_first(t, n), DROP_NEIGH_QUEUE);
	if (t->n_held_all >= t->max_held_all) {
		env_drop(t->env, p, DROP_NEIGH_QUEUE);
		return;
	}
	/* By the time it leaves, that number may be another connection's. */
	if (!p->conn_unconfirmed) {
		p->conn_ref = CONN_NONE;
		p->ct_info = CT_INFO_NONE;
	}
	p->held_since = t->env->now;
	p->next = NULL;
	*(n->held_last == NULL ? &n->held_first : &n->held_last->next) = p;
	n->held_last = p;
	n->n_held++;
	t->n_held_all++;
}

struct packet *neigh_take_held(struct neigh_table *t, struct neigh *n)
{
	struct packet *list = n->held_first;

	t->n_held_all -= n->n_held;
	n->n_held = 0;
	n->held_first = n->held_last = NULL;
	return list;
}
