/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The connection table's memory: buckets of one cache line, eight tags of 16
 * bits and eight references each.
 *
 * A look-up reads one line in nearly all cases: it is sized for five entries a
 * bucket when full, and then 7% of the buckets have overflow buckets chained to
 * them. The pool of those is twice what the Poisson distribution asks for; since
 * the hash is keyed (SipHash), nobody outside can do worse than chance. The size
 * is fixed at start: nothing is ever rehashed.
 *
 * What always holds: a home bucket with a free slot has no overflow bucket; an
 * overflow bucket with a free slot is the last of its chain; none is empty. So a
 * removal fills its hole from the end of the chain.
 */
#include "gateway/conntrack/table.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

#define ENTRIES_PER_BUCKET 5
#define OVERFLOW_SPARE 64 /* small tables are further from the mean */

int ct_table_init(struct ct_table *t, uint32_t n_entries)
{
	*t = (struct ct_table){ .n_buckets = n_entries / ENTRIES_PER_BUCKET + 1 };
	if (pool_init(&t->home, t->n_buckets, sizeof(struct ct_bucket), sizeof(struct ct_bucket)) != 0)
		return -ENOMEM;
	t->bucket = pool_at(&t->home, 0);
	if (pool_init(&t->overflow, t->n_buckets / 7 + OVERFLOW_SPARE, sizeof(struct ct_bucket),
		      sizeof(struct ct_bucket)) != 0) {
		pool_fini(&t->home);
		return -ENOMEM;
	}
	return 0;
}

void ct_table_fini(struct ct_table *t)
{
	pool_fini(&t->overflow);
	pool_fini(&t->home);
}

static struct ct_bucket *next_of(const struct ct_table *t, const struct ct_bucket *b)
{
	return b->next == 0 ? NULL : pool_at(&t->overflow, b->next - 1);
}

bool ct_table_insert(struct ct_table *t, ct_place place, uint32_t ref)
{
	struct ct_bucket *b = ct_table_bucket(t, place);

	while (b->next != 0)
		b = next_of(t, b);
	uint64_t hole = ct_bucket_match(b, 0);
	if (hole == 0) {
		uint32_t more = pool_alloc(&t->overflow);
		if (more == POOL_NONE)
			return false;
		b->next = more + 1;
		b = pool_at(&t->overflow, more);
		memset(b, 0, sizeof(*b));
		hole = CT_ALL_SLOTS;
	}
	uint32_t slot = ct_slot(hole);
	b->tag[slot] = ct_place_tag(place);
	b->ref[slot] = ref;
	t->n_entries++;
	return true;
}

/* Fills a hole in `b`, a bucket of home's chain, with an entry from the chain's end, and gives the last bucket back
 * when that was its only one. */
static void fill_hole(struct ct_table *t, struct ct_bucket *home, struct ct_bucket *b, uint32_t slot)
{
	struct ct_bucket *before = NULL, *last = home;

	while (last->next != 0) {
		before = last;
		last = next_of(t, last);
	}
	uint64_t used = ct_bucket_match(last, 0) ^ CT_ALL_SLOTS;
	if (last != b) {
		uint32_t from = ct_slot(used);
		b->tag[slot] = last->tag[from];
		b->ref[slot] = last->ref[from];
		last->tag[from] = 0;
		used &= used - 1;
	}
	if (used == 0 && before != NULL) {
		pool_free(&t->overflow, before->next - 1);
		before->next = 0;
	}
}

/* Four references in a vector register. */
typedef uint32_t refs __attribute__((vector_size(16)));

/* The slots of a bucket with this reference, or with what an empty slot has left of it, a bit each. */
static inline uint32_t match_ref(const struct ct_bucket *b, uint32_t ref)
{
	static const refs bit[2] = { { 1, 2, 4, 8 }, { 16, 32, 64, 128 } };
	refs low, high;
	uint64_t half[2];

	memcpy(&low, b->ref, sizeof(low));
	memcpy(&high, b->ref + 4, sizeof(high));
	low = ((refs)(low == ref) & bit[0]) | ((refs)(high == ref) & bit[1]);
	memcpy(half, &low, sizeof(half));
	half[0] |= half[1];
	return (uint32_t)(half[0] | half[0] >> 32);
}

bool ct_table_remove(struct ct_table *t, uint32_t number, uint32_t ref)
{
	struct ct_bucket *home = &t->bucket[number];

	for (struct ct_bucket *b = home; b != NULL; b = next_of(t, b)) {
		for (uint32_t m = match_ref(b, ref); m != 0; m &= m - 1) {
			uint32_t slot = (uint32_t)__builtin_ctz(m);
			if (b->tag[slot] == 0)
				continue;
			b->tag[slot] = 0;
			t->n_entries--;
			/* As a rule the bucket stands alone, and a hole may be anywhere in it. */
			if (YG_UNLIKELY(home->next != 0))
				fill_hole(t, home, b, slot);
			return true;
		}
	}
	return false;
}
