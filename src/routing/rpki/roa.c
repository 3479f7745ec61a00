/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Payloads are records of 20 bytes; those of one prefix are a chain, which an index finds by the prefix's hash. A route
 * is covered by prefixes of 33 lengths at most, of which a table has few at any place: for each /16 a word says which
 * lengths there are among the prefixes that lie in it or hold it, so that a question looks for three or four of them. A
 * length is not taken out of the word before the table is empty: that costs a look-up in vain and nothing else.
 */
#include "routing/rpki/roa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "routing/bgp/bgp_index.h"

#define N_PLACES 65536u
#define MAX_DEFAULT 1048576u

struct payload {
	uint32_t addr, as;
	uint8_t len, max_len;
	uint8_t has, staged; /* caches, a bit each; both 0: free */
	uint32_t hash, next; /* next of the same prefix; POOL_NONE */
};

struct roa_table {
	struct pool pool;
	struct bgp_index index; /* by prefix: number + 1 of the first of a chain */
	struct siphash_key key;
	uint32_t n, n_of[ROA_CACHES_MAX];
	uint64_t n_no_room, version;
	bool has_default;           /* a prefix of length 0 */
	uint32_t lengths[N_PLACES]; /* bit len - 1 */
};

const char *const roa_state_names[] = { "unknown", "valid", "invalid" };

struct roa_table *roa_table_create(uint32_t max, const struct siphash_key *key)
{
	struct roa_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->key = *key;
	if (bgp_index_init(&t->index) != 0) {
		free(t);
		return NULL;
	}
	if (pool_init(&t->pool, max == 0 ? MAX_DEFAULT : max, sizeof(struct payload), _Alignof(struct payload)) != 0) {
		bgp_index_fini(&t->index);
		free(t);
		return NULL;
	}
	return t;
}

void roa_table_destroy(struct roa_table *t)
{
	if (t == NULL)
		return;
	pool_fini(&t->pool);
	bgp_index_fini(&t->index);
	free(t);
}

static struct payload *payload_at(const struct roa_table *t, uint32_t number)
{
	return pool_at(&t->pool, number);
}

static uint32_t hash_of(const struct roa_table *t, uint32_t addr, uint8_t len)
{
	return (uint32_t)siphash13_16(&t->key, addr, len);
}

/* The first of the prefix's chain, or POOL_NONE. */
static uint32_t chain_of(const struct roa_table *t, uint32_t hash, uint32_t addr, uint8_t len)
{
	uint64_t at = 0;

	for (uint32_t value; (value = bgp_index_next(&t->index, hash, &at)) != 0;) {
		const struct payload *p = payload_at(t, value - 1);

		if (p->addr == addr && p->len == len)
			return value - 1;
	}
	return POOL_NONE;
}

static void note_length(struct roa_table *t, uint32_t addr, uint8_t len)
{
	if (len == 0) {
		t->has_default = true;
		return;
	}
	uint32_t n = len < 16 ? 1u << (16 - len) : 1;

	for (uint32_t i = 0; i < n; i++)
		t->lengths[(addr >> 16) + i] |= 1u << (len - 1);
}

uint32_t roa_limit(const struct roa_table *t)
{
	return t->pool.cap;
}

static struct payload *find(const struct roa_table *t, const struct roa *roa)
{
	uint32_t hash = hash_of(t, roa->prefix.addr, roa->prefix.len), n;

	for (n = chain_of(t, hash, roa->prefix.addr, roa->prefix.len); n != POOL_NONE; n = payload_at(t, n)->next)
		if (payload_at(t, n)->as == roa->as && payload_at(t, n)->max_len == roa->max_len)
			return payload_at(t, n);
	return NULL;
}

/* A cache that says the same prefix with a million ASes would make each look at it as long. */
static bool is_crowded(const struct roa_table *t, uint32_t first)
{
	uint32_t n = 0;

	for (uint32_t at = first; at != POOL_NONE && n < ROA_OF_PREFIX_MAX; at = payload_at(t, at)->next)
		n++;
	return n == ROA_OF_PREFIX_MAX;
}

/* Behind the first of its chain, so that the index is not touched but for the first. */
static struct payload *make(struct roa_table *t, const struct roa *roa)
{
	uint32_t hash = hash_of(t, roa->prefix.addr, roa->prefix.len);
	uint32_t first = chain_of(t, hash, roa->prefix.addr, roa->prefix.len);
	uint32_t number = is_crowded(t, first) ? POOL_NONE : pool_alloc(&t->pool);

	if (number != POOL_NONE && first == POOL_NONE && !bgp_index_add(&t->index, hash, number + 1)) {
		pool_free(&t->pool, number);
		number = POOL_NONE;
	}
	if (number == POOL_NONE) {
		t->n_no_room++;
		return NULL;
	}
	struct payload *p = payload_at(t, number);

	*p = (struct payload){ .addr = roa->prefix.addr,
			       .as = roa->as,
			       .len = roa->prefix.len,
			       .max_len = roa->max_len,
			       .hash = hash,
			       .next = POOL_NONE };
	if (first != POOL_NONE) {
		p->next = payload_at(t, first)->next;
		payload_at(t, first)->next = number;
	}
	note_length(t, p->addr, p->len);
	return p;
}

static void end(struct roa_table *t, uint32_t number)
{
	struct payload *p = payload_at(t, number);
	uint32_t first = chain_of(t, p->hash, p->addr, p->len), n = first;

	if (first == number) {
		bgp_index_remove(&t->index, p->hash, number + 1);
		/* There is room: one has just gone. */
		if (p->next != POOL_NONE)
			(void)bgp_index_add(&t->index, p->hash, p->next + 1);
	} else {
		while (payload_at(t, n)->next != number)
			n = payload_at(t, n)->next;
		payload_at(t, n)->next = p->next;
	}
	pool_free(&t->pool, number);
	if (t->pool.n_used == 0) {
		memset(t->lengths, 0, sizeof(t->lengths));
		t->has_default = false;
	}
}

static uint32_t number_of(const struct roa_table *t, const struct payload *p)
{
	return (uint32_t)(((const uint8_t *)p - t->pool.mem) / t->pool.stride);
}

/* Makes what the caches have this. */
static void set_has(struct roa_table *t, struct payload *p, uint32_t cache, bool has)
{
	uint8_t bit = (uint8_t)(1u << cache), before = p->has;

	p->has = has ? p->has | bit : p->has & (uint8_t)~bit;
	if (p->has == before)
		return;
	t->n_of[cache] += has ? 1 : UINT32_MAX;
	if ((before == 0) == (p->has == 0))
		return;
	t->n += p->has != 0 ? 1 : UINT32_MAX;
	t->version++;
}

int roa_add(struct roa_table *t, uint32_t cache, const struct roa *roa)
{
	struct payload *p = find(t, roa);

	if (p != NULL && (p->has & 1u << cache) != 0)
		return -EEXIST;
	if (p == NULL && (p = make(t, roa)) == NULL)
		return -ENOSPC;
	set_has(t, p, cache, true);
	return 0;
}

int roa_remove(struct roa_table *t, uint32_t cache, const struct roa *roa)
{
	struct payload *p = find(t, roa);

	if (p == NULL || (p->has & 1u << cache) == 0)
		return -ENOENT;
	set_has(t, p, cache, false);
	if (p->has == 0 && p->staged == 0)
		end(t, number_of(t, p));
	return 0;
}

bool roa_has(const struct roa_table *t, uint32_t cache, const struct roa *roa)
{
	const struct payload *p = find(t, roa);

	return p != NULL && (p->has & 1u << cache) != 0;
}

int roa_stage(struct roa_table *t, uint32_t cache, const struct roa *roa)
{
	struct payload *p = find(t, roa);

	if (p != NULL && (p->staged & 1u << cache) != 0)
		return -EEXIST;
	if (p == NULL && (p = make(t, roa)) == NULL)
		return -ENOSPC;
	p->staged |= (uint8_t)(1u << cache);
	return 0;
}

bool roa_sweep(struct roa_table *t, uint32_t cache, enum roa_sweep how, uint32_t *at, uint32_t budget)
{
	uint8_t bit = (uint8_t)(1u << cache);

	for (; *at < t->pool.n_fresh && budget > 0; ++*at, budget--) {
		struct payload *p = payload_at(t, *at);

		if (((p->has | p->staged) & bit) == 0)
			continue;
		if (how != ROA_DROP_STAGED)
			set_has(t, p, cache, how == ROA_TAKE_STAGED && (p->staged & bit) != 0);
		p->staged &= (uint8_t)~bit;
		if (p->has == 0 && p->staged == 0)
			end(t, *at);
	}
	return *at < t->pool.n_fresh;
}

/* --- what it says of a route --- */

/* Goes through the payloads that cover a route, the shortest prefix first. */
struct walk {
	const struct roa_table *t;
	struct ip4_prefix route;
	uint64_t lengths; /* of prefixes that may, still to be looked for: a bit each */
	uint32_t number;  /* the next, or POOL_NONE */
};

static struct walk walk_of(const struct roa_table *t, struct ip4_prefix route)
{
	uint64_t lengths = (uint64_t)t->lengths[route.addr >> 16] << 1 | t->has_default;

	return (struct walk){ t, route, lengths & (UINT64_MAX >> (63 - route.len)), POOL_NONE };
}

static const struct payload *walk_next(struct walk *w)
{
	for (;;) {
		while (w->number == POOL_NONE) {
			if (w->lengths == 0)
				return NULL;
			uint8_t len = (uint8_t)__builtin_ctzll(w->lengths);
			uint32_t addr = w->route.addr & ip4_mask(len);

			w->lengths &= w->lengths - 1;
			w->number = chain_of(w->t, hash_of(w->t, addr, len), addr, len);
		}
		const struct payload *p = payload_at(w->t, w->number);

		w->number = p->next;
		if (p->has != 0)
			return p;
	}
}

enum roa_state roa_check(const struct roa_table *t, struct ip4_prefix route, uint32_t origin)
{
	struct walk w = walk_of(t, route);
	enum roa_state state = ROA_UNKNOWN;

	for (const struct payload *p; (p = walk_next(&w)) != NULL; state = ROA_INVALID)
		if (p->as == origin && origin != 0 && route.len <= p->max_len)
			return ROA_VALID;
	return state;
}

static struct roa_view view_of(const struct payload *p)
{
	return (struct roa_view){ { { p->addr, p->len }, p->max_len, p->as }, p->has };
}

uint32_t roa_covering(const struct roa_table *t, struct ip4_prefix route, struct roa_view *out, uint32_t max)
{
	struct walk w = walk_of(t, route);
	uint32_t n = 0;

	for (const struct payload *p; (p = walk_next(&w)) != NULL; n++)
		if (n < max)
			out[n] = view_of(p);
	return n;
}

bool roa_next(const struct roa_table *t, uint32_t *at, struct roa_view *out)
{
	while (*at < t->pool.n_fresh) {
		const struct payload *p = payload_at(t, (*at)++);

		if (p->has == 0)
			continue;
		*out = view_of(p);
		return true;
	}
	return false;
}

uint32_t roa_count(const struct roa_table *t)
{
	return t->n;
}

uint32_t roa_count_of(const struct roa_table *t, uint32_t cache)
{
	return t->n_of[cache];
}

uint64_t roa_n_no_room(const struct roa_table *t)
{
	return t->n_no_room;
}

uint64_t roa_version(const struct roa_table *t)
{
	return t->version;
}
