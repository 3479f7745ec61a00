/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections counted by source address, for a limit per source.
 *
 * An address has an entry while it has a connection that was counted; the entry
 * stands in a chain of its bucket and knows its bucket, so that leaving needs no
 * hash. Connections that began while no limit was configured are not counted.
 *
 * The rate is a generic cell rate algorithm: `due` is when the next connection
 * would come at the steady rate, and it may come up to a second before that. An
 * address without a connection is forgotten, and with it how fast it was.
 */
#include "conntrack/source.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

struct source {
	uint32_t addr;
	uint32_t count;
	uint32_t next; /* index + 1 */
	uint32_t bucket;
	uint16_t zone;
	uint64_t due; /* ns */
};

int ct_sources_init(struct ct_sources *s, uint32_t n)
{
	*s = (struct ct_sources){ .n_buckets = n };
	s->bucket = calloc(n, sizeof(*s->bucket));
	if (s->bucket == NULL)
		return -ENOMEM;
	if (pool_init(&s->pool, n, sizeof(struct source), _Alignof(struct source)) != 0) {
		free(s->bucket);
		return -ENOMEM;
	}
	return 0;
}

void ct_sources_fini(struct ct_sources *s)
{
	pool_fini(&s->pool);
	free(s->bucket);
}

static enum ct_source_verdict allow(struct source *e, const struct ct_source_limit *limit, uint64_t now)
{
	uint64_t due = max_u64(e->due, now);

	if (limit->max != 0 && e->count >= limit->max)
		return CT_SOURCE_TOO_MANY;
	if (limit->new_per_s != 0) {
		due += NS_PER_S / limit->new_per_s;
		if (due > now + NS_PER_S)
			return CT_SOURCE_TOO_FAST;
		e->due = due;
	}
	return CT_SOURCE_OK;
}

enum ct_source_verdict ct_source_enter(struct ct_sources *s, const struct siphash_key *key, uint32_t addr,
				       uint16_t zone, const struct ct_source_limit *limit, uint64_t now,
				       uint32_t *index)
{
	uint64_t hash = siphash13_16(key, addr, zone);
	uint32_t b = (uint32_t)((hash >> 32) * s->n_buckets >> 32);
	struct source *e;

	*index = CT_SOURCE_NONE;
	for (uint32_t i = s->bucket[b]; i != 0; i = e->next) {
		e = pool_at(&s->pool, i - 1);
		if (e->addr != addr || e->zone != zone)
			continue;
		enum ct_source_verdict verdict = allow(e, limit, now);
		if (verdict == CT_SOURCE_OK) {
			e->count++;
			*index = i - 1;
		}
		return verdict;
	}
	uint32_t fresh = pool_alloc(&s->pool);
	if (fresh == POOL_NONE)
		return CT_SOURCE_OK;
	e = pool_at(&s->pool, fresh);
	*e = (struct source){ .addr = addr, .zone = zone, .next = s->bucket[b], .bucket = b };
	(void)allow(e, limit, now); /* the first one always may */
	e->count = 1;
	s->bucket[b] = fresh + 1;
	*index = fresh;
	return CT_SOURCE_OK;
}

void ct_source_leave(struct ct_sources *s, uint32_t index)
{
	if (index == CT_SOURCE_NONE)
		return;
	struct source *e = pool_at(&s->pool, index);
	assert(e->count > 0);
	if (--e->count > 0)
		return;
	uint32_t *link = &s->bucket[e->bucket];
	while (*link != index + 1)
		link = &((struct source *)pool_at(&s->pool, *link - 1))->next;
	*link = e->next;
	pool_free(&s->pool, index);
}
