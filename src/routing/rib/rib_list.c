/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All prefixes in order, for whoever lists them, in slices: with a full table at once it
 * would be a tenth of a second in which nobody else is served.
 *
 * First all are gathered, those of the pool and the feed's, then sorted by radix from the
 * lowest byte up, one pass a byte of the name (rib_key) in which they differ; a pass counts,
 * then moves from one array to the other, and can rest after any number of prefixes. What
 * comes or goes meanwhile may be missing or be there without a route; a prefix that is met
 * twice is listed once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "routing/rib/rib_priv.h"

#define BYTES 7u /* of a name that say something: zone, address, length */

enum stage { GATHER_POOL, GATHER_FEED, COUNT, MOVE, UNITE, DONE };

struct rib_listing {
	uint64_t *key, *other; /* other: what a pass writes */
	size_t n, cap;
	enum stage stage;
	uint32_t at;   /* while they are gathered: the next number */
	size_t i;      /* of the pass */
	uint32_t byte; /* of the pass, from the lowest */
	size_t n_kept; /* while equal ones become one */
	size_t place[256];
};

struct rib_listing *rib_list_begin(void)
{
	return calloc(1, sizeof(struct rib_listing));
}

void rib_list_end(struct rib_listing *l)
{
	if (l == NULL)
		return;
	free(l->key);
	free(l->other);
	free(l);
}

const uint64_t *rib_list_prefixes(const struct rib_listing *l, size_t *n)
{
	*n = l->n;
	return l->key;
}

static int add(struct rib_listing *l, uint64_t key)
{
	if (l->n == l->cap) {
		size_t cap = l->cap != 0 ? 2 * l->cap : 1024;
		uint64_t *bigger = realloc(l->key, cap * sizeof(*bigger));

		if (bigger == NULL)
			return -ENOMEM;
		l->key = bigger;
		l->cap = cap;
	}
	l->key[l->n++] = key;
	return 0;
}

/* --- a slice of each stage: 1, or -ENOMEM --- */

static int gather_pool(struct rib_listing *l, const struct rib *r, uint32_t max)
{
	for (; max > 0 && l->at < r->prefixes.n_fresh; max--, l->at++) {
		uint64_t key = rib_prefix_at(r, l->at)->key;

		if (key != UINT64_MAX && add(l, key) != 0)
			return -ENOMEM;
	}
	if (max > 0) {
		l->stage = GATHER_FEED;
		l->at = 0;
	}
	return 1;
}

static int sort_begin(struct rib_listing *l)
{
	l->other = malloc((l->n + 1) * sizeof(*l->other));
	l->stage = COUNT;
	return l->other != NULL ? 1 : -ENOMEM;
}

static int gather_feed(struct rib_listing *l, const struct rib *r, uint32_t max)
{
	struct ip4_prefix p;
	struct rib_fed fed;

	if (r->feed == NULL)
		return sort_begin(l);
	for (; max > 0; max--) {
		if (!r->feed->next(r->feed_ctx, &l->at, &p, &fed))
			return sort_begin(l);
		if (fed.n > 0 && add(l, rib_key(r->feed->zone, p.addr, p.len)) != 0)
			return -ENOMEM;
	}
	return 1;
}

static uint8_t byte_of(const struct rib_listing *l, uint64_t key)
{
	return (uint8_t)(key >> 8 * l->byte);
}

static void next_byte(struct rib_listing *l)
{
	memset(l->place, 0, sizeof(l->place));
	l->i = 0;
	l->stage = ++l->byte < BYTES ? COUNT : UNITE;
}

/* How many have each value; then where the first of each goes. All the same: no pass. */
static int count(struct rib_listing *l, uint32_t max)
{
	size_t before = 0;

	for (; max > 0 && l->i < l->n; max--)
		l->place[byte_of(l, l->key[l->i++])]++;
	if (l->i < l->n)
		return 1;
	for (uint32_t v = 0; v < 256; v++) {
		size_t n = l->place[v];

		if (n == l->n) {
			next_byte(l);
			return 1;
		}
		l->place[v] = before;
		before += n;
	}
	l->i = 0;
	l->stage = MOVE;
	return 1;
}

static int move(struct rib_listing *l, uint32_t max)
{
	for (; max > 0 && l->i < l->n; max--, l->i++)
		l->other[l->place[byte_of(l, l->key[l->i])]++] = l->key[l->i];
	if (l->i < l->n)
		return 1;
	uint64_t *sorted = l->other;

	l->other = l->key;
	l->key = sorted;
	next_byte(l);
	return 1;
}

static int unite(struct rib_listing *l, uint32_t max)
{
	for (; max > 0 && l->i < l->n; max--, l->i++)
		if (l->n_kept == 0 || l->key[l->n_kept - 1] != l->key[l->i])
			l->key[l->n_kept++] = l->key[l->i];
	if (l->i < l->n)
		return 1;
	l->n = l->n_kept;
	l->stage = DONE;
	return 1;
}

int rib_list_work(struct rib_listing *l, const struct rib *r, uint32_t max_prefixes)
{
	switch (l->stage) {
	case GATHER_POOL:
		return gather_pool(l, r, max_prefixes);
	case GATHER_FEED:
		return gather_feed(l, r, max_prefixes);
	case COUNT:
		return count(l, max_prefixes);
	case MOVE:
		return move(l, max_prefixes);
	case UNITE:
		return unite(l, max_prefixes);
	case DONE:
		break;
	}
	return 0;
}
