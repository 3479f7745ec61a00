/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The neighbour table's memory: entries from a pool, a hash by interface and
 * address, lists of the entries that may give way, and the packets that wait.
 *
 * Life of an entry: neigh_make, changes of state by neigh.c, neigh_remove. An
 * entry is on a list from oldest to newest exactly while it is STALE or FAILED
 * (and in use), so a full table finds the one to give up in one step, FAILED ones
 * first, and never one that packets wait for.
 *
 * Shares. Somebody who sends to each address of a large prefix makes an entry with
 * each packet. So that he shuts out nobody but himself, a sender may have some
 * questions open at a time, a link some more, and all that is unknown half of the
 * table: what is known is never pushed out by what is not, while it fits into the
 * other half. Packets that wait are shared out likewise. A sender is told by the
 * Ethernet and the IP address that the packet has: behind NAT many have one of the
 * latter, behind a router one of the former. Small tables are not shared out.
 *
 * The number of an entry is also that of its adjacency; src/stack/ip/adjacency.c keeps what
 * stands there in step.
 *
 * Always: n_held of all entries adds up to n_held_all, that of all links too, and
 * only INCOMPLETE entries hold packets.
 */
#include <stdlib.h>
#include <string.h>

#include "stack/ip/neigh.h"

#define WHEEL_TICK_NS (10 * NS_PER_MS)
#define HELD_DEFAULT 100u /* as Linux's unres_qlen_bytes comes to */
#define HELD_ALL_DEFAULT 2048u
#define SHARED_FROM 256u /* entries */

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

static void share_out(struct neigh_table *t, uint32_t n)
{
	uint32_t enough = min_u32(t->max_held_all, 4 * t->max_held);

	t->max_unknown = n < SHARED_FROM ? UINT32_MAX : n / 2;
	t->max_link = (struct neigh_load){ .n_asked = n < SHARED_FROM ? UINT32_MAX : n / 4,
					   .n_held = max_u32(t->max_held_all / 2, enough) };
	t->max_asker = (struct neigh_load){ .n_asked = n < SHARED_FROM ? UINT32_MAX : n / 16,
					    .n_held = max_u32(t->max_held_all / 8, enough) };
}

struct neigh_table *neigh_table_create(struct env *env, const struct ip_limits *limits)
{
	struct neigh_table *t = calloc(1, sizeof(*t));
	uint32_t n = min_u32(or_default(limits->n_neighbours, IP_NEIGHBOURS_DEFAULT), IP_ADJACENCIES_MAX);

	if (t == NULL)
		return NULL;
	t->env = env;
	t->hash_key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	t->stale = t->failed = (struct neigh_list){ POOL_NONE, POOL_NONE };
	t->last = POOL_NONE;
	t->max_held = or_default(limits->n_neigh_held, HELD_DEFAULT);
	t->max_held_all = or_default(limits->n_neigh_held_all, HELD_ALL_DEFAULT);
	share_out(t, n);
	for (t->n_buckets = 16; t->n_buckets < n; t->n_buckets *= 2)
		;
	t->bucket = malloc(t->n_buckets * sizeof(*t->bucket));
	t->adjacency = calloc(n + 1, sizeof(*t->adjacency)); /* the last one stands for us */
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

static struct neigh_list *list_of(struct neigh_table *t, const struct neigh *n)
{
	return n->state == NEIGH_FAILED ? &t->failed : &t->stale;
}

static void unqueue(struct neigh_table *t, struct neigh *n)
{
	struct neigh_list *list = list_of(t, n);

	if (!n->queued)
		return;
	*(n->older == POOL_NONE ? &list->oldest : &neigh_at(t, n->older)->newer) = n->newer;
	*(n->newer == POOL_NONE ? &list->newest : &neigh_at(t, n->newer)->older) = n->older;
	n->queued = false;
}

static void queue_newest(struct neigh_table *t, struct neigh *n)
{
	struct neigh_list *list = list_of(t, n);
	uint32_t index = neigh_index(t, n);

	n->older = list->newest;
	n->newer = POOL_NONE;
	*(list->newest == POOL_NONE ? &list->oldest : &neigh_at(t, list->newest)->newer) = index;
	list->newest = index;
	n->queued = true;
}

/* by: 1 when it enters its state, -1 when it leaves it. */
static void count(struct neigh_table *t, const struct neigh *n, int32_t by)
{
	if (n->state == NEIGH_INCOMPLETE) {
		t->link[n->ifindex].n_asked += (uint32_t)by;
		t->asker[n->asker].n_asked += (uint32_t)by;
	}
	if (n->state == NEIGH_INCOMPLETE || n->state == NEIGH_FAILED)
		t->n_unknown += (uint32_t)by;
}

void neigh_set_state(struct neigh_table *t, struct neigh *n, enum neigh_state state)
{
	unqueue(t, n);
	count(t, n, -1);
	n->state = (uint8_t)state;
	count(t, n, 1);
	n->n_probes = 0;
	n->link_was_down = false;
	if (state == NEIGH_STALE || state == NEIGH_FAILED)
		queue_newest(t, n);
}

void neigh_void(struct neigh_table *t, uint32_t index)
{
	struct ip_adjacency *a = &t->adjacency[index];

	if (!a->installed)
		return;
	a->installed = false;
	a->generation = (uint8_t)((a->generation + 1u) % IP_ADJACENCY_GENERATIONS);
	neigh_tell_changed(t, index, IP_ADJACENCY_GONE);
}

static struct neigh *make(struct neigh_table *t, uint32_t ifindex, uint32_t addr, uint16_t asker)
{
	uint32_t index = pool_alloc(&t->pool);
	uint32_t oldest = t->failed.oldest != POOL_NONE ? t->failed.oldest : t->stale.oldest;

	if (index == POOL_NONE && oldest != POOL_NONE) {
		neigh_remove(t, neigh_at(t, oldest));
		index = pool_alloc(&t->pool);
	}
	if (index == POOL_NONE)
		return NULL;
	struct neigh *n = neigh_at(t, index);
	uint32_t *head = bucket_of(t, ifindex, addr);

	neigh_void(t, index);
	*n = (struct neigh){ .ifindex = ifindex,
			     .addr = addr,
			     .in_use = true,
			     .asker = asker,
			     .hash_next = *head,
			     .state = NEIGH_INCOMPLETE };
	timer_node_init(&n->timer);
	*head = index;
	count(t, n, 1);
	return n;
}

struct neigh *neigh_make(struct neigh_table *t, uint32_t ifindex, uint32_t addr)
{
	return make(t, ifindex, addr, 0);
}

/* Of the station that sent the frame, and the host that sent the packet. */
static uint16_t asker_of(const struct neigh_table *t, const struct packet *p)
{
	struct ether_view eth = { .type = 0 };
	uint64_t m = p->in_ifindex;

	(void)ether_parse(p->buf + p->off, p->len, &eth);
	for (size_t i = 0; i < sizeof(eth.src.b); i++)
		m = m << 8 | eth.src.b[i];
	return (uint16_t)(siphash13_16(&t->hash_key, m, p->ip.src) & (NEIGH_ASKERS - 1));
}

struct neigh *neigh_make_for(struct neigh_table *t, const struct packet *p, enum drop_reason *why)
{
	uint16_t asker = asker_of(t, p);

	*why = DROP_NEIGH_SOURCE;
	if (t->asker[asker].n_asked >= t->max_asker.n_asked)
		return NULL;
	*why = DROP_NEIGH_TABLE;
	if (t->link[p->out_ifindex].n_asked >= t->max_link.n_asked)
		return NULL;
	if (t->n_unknown >= t->max_unknown) {
		if (t->failed.oldest == POOL_NONE)
			return NULL;
		neigh_remove(t, neigh_at(t, t->failed.oldest));
	}
	return make(t, p->out_ifindex, p->next_hop, asker);
}

void neigh_remove(struct neigh_table *t, struct neigh *n)
{
	uint32_t index = neigh_index(t, n);
	uint32_t *link = bucket_of(t, n->ifindex, n->addr);

	timer_disarm(&t->wheel, index);
	unqueue(t, n);
	count(t, n, -1);
	while (*link != index)
		link = &neigh_at(t, *link)->hash_next;
	*link = n->hash_next;
	n->in_use = false;
	t->adjacency[index] = (struct ip_adjacency){ .installed = t->adjacency[index].installed,
						     .generation = t->adjacency[index].generation };
	neigh_tell_changed(t, index, IP_ADJACENCY_CHANGED);
	pool_free(&t->pool, index);
}

/* by: 1 when p begins to wait, -1 when it is over. */
static void count_held(struct neigh_table *t, struct neigh *n, const struct packet *p, int32_t by)
{
	n->n_held += (uint32_t)by;
	t->n_held_all += (uint32_t)by;
	t->link[n->ifindex].n_held += (uint32_t)by;
	t->asker[asker_of(t, p)].n_held += (uint32_t)by;
}

static struct packet *take_first(struct neigh_table *t, struct neigh *n)
{
	struct packet *p = n->held_first;

	n->held_first = p->next;
	if (p->next == NULL)
		n->held_last = NULL;
	p->next = NULL;
	count_held(t, n, p, -1);
	return p;
}

static bool is_full(const struct neigh_table *t, const struct neigh *n, const struct packet *p)
{
	return t->n_held_all >= t->max_held_all || t->link[n->ifindex].n_held >= t->max_link.n_held ||
	       t->asker[asker_of(t, p)].n_held >= t->max_asker.n_held;
}

void neigh_hold(struct neigh_table *t, struct neigh *n, struct packet *p)
{
	if (!packet_copy_on_hold(t->env->pool, p)) {
		env_drop(t->env, p, DROP_NO_BUFFER);
		return;
	}
	/* The latest is kept (RFC 1122 section 2.3.2.2), the oldest gives way. */
	if (n->n_held >= t->max_held || (n->n_held > 0 && is_full(t, n, p)))
		env_drop(t->env, take_first(t, n), DROP_NEIGH_QUEUE);
	if (is_full(t, n, p)) {
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
	count_held(t, n, p, 1);
}

struct packet *neigh_take_held(struct neigh_table *t, struct neigh *n)
{
	struct packet *list = n->held_first;

	for (const struct packet *p = list; p != NULL; p = p->next)
		count_held(t, n, p, -1);
	n->held_first = n->held_last = NULL;
	return list;
}
