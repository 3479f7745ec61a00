/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections counted by source address, for a limit per source.
 *
 * An address has an entry while it has a connection that was counted; the entry
 * stands in a chain of its bucket and knows its bucket, so that leaving needs no
 * hash. Connections that began while no limit was configured are not counted.
 *
 * Somebody outside may have, or forge, more addresses than there are entries. So
 * those that come in from outside get half of the entries at most, and who finds
 * none is counted with its neighbours: all of a /24 that have no entry share the
 * allowance of one address. So nobody is unlimited, and hosts inside are counted
 * one by one whatever comes from outside. These shared counters are a keyed hash
 * of fixed size; prefixes that fall together share one. A prefix stays there until
 * the last connection that was counted there has ended, so that nobody has both.
 *
 * A source to which the route leads by another interface than the one it came in
 * by may be forged: it is counted in a shared counter of that interface from the
 * start, never on the account of the address.
 *
 * The rate is a generic cell rate algorithm: `due` is when the next connection
 * would come at the steady rate, and it may come up to a second before that. An
 * address without a connection is forgotten, and with it how fast it was.
 */
#include "gateway/conntrack/source.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

#define CROWD_BIT UINT32_C(0x80000000) /* of an index */
#define N_CROWD 16384u                 /* shared counters of a class */
#define CROWD_PREFIX_MASK UINT32_C(0xffffff00)
#define OUTSIDE_SHARE 2 /* of the entries */

/* Shared counters of their own, so that no crowd of one class gets in the way of another. */
enum { CROWD_INSIDE, CROWD_OUTSIDE, CROWD_DOUBTFUL, N_CROWD_CLASSES };

/* What is asked of one counter. */
struct account {
	uint32_t count;
	uint64_t due; /* ns */
};

struct source {
	uint32_t addr;
	uint32_t next; /* index + 1 */
	uint32_t bucket;
	uint16_t zone;
	bool outside;
	struct account account;
};

struct ct_source_crowd {
	struct account account;
};

int ct_sources_init(struct ct_sources *s, uint32_t n)
{
	*s = (struct ct_sources){ .n_buckets = n };
	s->bucket = calloc(n, sizeof(*s->bucket));
	s->crowd = calloc((size_t)N_CROWD * N_CROWD_CLASSES, sizeof(*s->crowd));
	if (s->bucket == NULL || s->crowd == NULL ||
	    pool_init(&s->pool, n, sizeof(struct source), _Alignof(struct source)) != 0) {
		free(s->crowd);
		free(s->bucket);
		return -ENOMEM;
	}
	return 0;
}

void ct_sources_fini(struct ct_sources *s)
{
	pool_fini(&s->pool);
	free(s->crowd);
	free(s->bucket);
}

/* One more on this account, if it may. */
static enum ct_source_verdict take(struct account *a, const struct ct_source_limit *limit, uint64_t now)
{
	uint64_t due = max_u64(a->due, now);

	if (limit->max != 0 && a->count >= limit->max)
		return CT_SOURCE_TOO_MANY;
	if (limit->new_per_s != 0) {
		due += NS_PER_S / limit->new_per_s;
		if (due > now + NS_PER_S)
			return CT_SOURCE_TOO_FAST;
		a->due = due;
	}
	a->count++;
	return CT_SOURCE_OK;
}

static struct source *find(const struct ct_sources *s, const struct ct_source_id *id, uint32_t bucket, uint32_t *index)
{
	for (uint32_t i = s->bucket[bucket]; i != 0;) {
		struct source *e = pool_at(&s->pool, i - 1);

		if (e->addr == id->addr && e->zone == id->zone) {
			*index = i - 1;
			return e;
		}
		i = e->next;
	}
	return NULL;
}

static uint32_t crowd_of(const struct siphash_key *key, const struct ct_source_id *id)
{
	uint32_t class = id->doubtful ? CROWD_DOUBTFUL : id->outside ? CROWD_OUTSIDE : CROWD_INSIDE;
	uint64_t where = (id->doubtful ? (uint64_t)id->ifindex << 16 : 0) | id->zone;

	return class * N_CROWD + (uint32_t)siphash13_16(key, id->addr & CROWD_PREFIX_MASK, where) % N_CROWD;
}

static enum ct_source_verdict enter_crowd(struct ct_sources *s, uint32_t crowd, const struct ct_source_limit *limit,
					  uint64_t now, uint32_t *index)
{
	enum ct_source_verdict verdict = take(&s->crowd[crowd].account, limit, now);

	if (verdict == CT_SOURCE_OK) {
		s->n_crowded++;
		*index = CROWD_BIT | crowd;
	}
	return verdict;
}

/* An entry of its own; NULL when it is to be counted with others. */
static struct source *enter_own(struct ct_sources *s, const struct siphash_key *key, const struct ct_source_id *id,
				uint32_t bucket, uint32_t *index)
{
	if (s->n_crowded > 0 && s->crowd[crowd_of(key, id)].account.count > 0)
		return NULL;
	if (id->outside && s->n_outside >= s->pool.cap / OUTSIDE_SHARE)
		return NULL;
	*index = pool_alloc(&s->pool);
	if (*index == POOL_NONE)
		return NULL;
	struct source *e = pool_at(&s->pool, *index);

	*e = (struct source){
		.addr = id->addr, .zone = id->zone, .outside = id->outside, .next = s->bucket[bucket], .bucket = bucket
	};
	s->bucket[bucket] = *index + 1;
	s->n_outside += id->outside;
	return e;
}

enum ct_source_verdict ct_source_enter(struct ct_sources *s, const struct siphash_key *key,
				       const struct ct_source_id *id, const struct ct_source_limit *limit, uint64_t now,
				       uint32_t *index)
{
	uint32_t b = (uint32_t)((siphash13_16(key, id->addr, id->zone) >> 32) * s->n_buckets >> 32);
	enum ct_source_verdict verdict;
	struct source *e = NULL;

	*index = CT_SOURCE_NONE;
	if (!id->doubtful) {
		e = find(s, id, b, index);
		if (e == NULL)
			e = enter_own(s, key, id, b, index);
	}
	if (e == NULL) {
		*index = CT_SOURCE_NONE;
		return enter_crowd(s, crowd_of(key, id), limit, now, index);
	}
	/* The first one always may. */
	verdict = take(&e->account, limit, now);
	if (verdict != CT_SOURCE_OK)
		*index = CT_SOURCE_NONE;
	return verdict;
}

enum ct_source_verdict ct_source_join(struct ct_sources *s, uint32_t index, const struct ct_source_limit *limit,
				      uint64_t now)
{
	if (index == CT_SOURCE_NONE)
		return CT_SOURCE_OK;
	if (!ct_source_is_crowded(index))
		return take(&((struct source *)pool_at(&s->pool, index))->account, limit, now);
	return enter_crowd(s, index & ~CROWD_BIT, limit, now, &index);
}

bool ct_source_is_crowded(uint32_t index)
{
	return index != CT_SOURCE_NONE && (index & CROWD_BIT) != 0;
}

void ct_source_leave(struct ct_sources *s, uint32_t index)
{
	if (index == CT_SOURCE_NONE)
		return;
	if (index & CROWD_BIT) {
		struct account *a = &s->crowd[index & ~CROWD_BIT].account;

		assert(a->count > 0 && s->n_crowded > 0);
		a->count--;
		s->n_crowded--;
		return;
	}
	struct source *e = pool_at(&s->pool, index);
	assert(e->account.count > 0);
	if (--e->account.count > 0)
		return;
	uint32_t *link = &s->bucket[e->bucket];
	while (*link != index + 1)
		link = &((struct source *)pool_at(&s->pool, *link - 1))->next;
	*link = e->next;
	s->n_outside -= e->outside;
	pool_free(&s->pool, index);
}
