/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Longest prefix match by a 16-8-8 trie, changed while others read it.
 *
 * The root has an entry for each value of the upper 16 bits; an entry is either
 * a leaf, which holds the answer and the length of the prefix that gave it, or
 * the number of a block of 256 entries for the next 8 bits. Answers are pushed
 * down to the leaves, so a look-up never goes back up. Of the Internet's routes
 * hardly any is longer than /24, so the root (256 KB) and one block are read.
 *
 * Insert writes its answer over every leaf below the prefix whose own prefix is
 * not longer. Remove writes the answer of the next shorter prefix over the
 * leaves that the prefix itself had given; which one that is, the set of all
 * prefixes tells (prefix_set.h). Each is a store of one entry, and each entry
 * goes from the old answer to the new one, so a reader meets no third.
 *
 * A block counts the prefixes that need it: those longer than where it begins.
 * With the last of them gone all its leaves are equal. It is filled before it is
 * published, and when it is not needed any more its entry becomes a leaf again,
 * while the block itself waits, unchanged, for the readers' grace. Next hops
 * wait likewise. Both queues are in the order of generations.
 *
 * Blocks and next hops come from pools (base/pool.h): they never move, and the
 * memory that is used is what was touched.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/util.h"
#include "stack/ip/fib.h"
#include "stack/ip/prefix_set.h"

#define ROOT_ENTRIES 65536u
#define BLOCK_ENTRIES 256u
#define BLOCKS_MAX (1u << 20) /* 1 GiB of addresses */

#define ENTRY_CHILD 0x80000000u
#define LEAF_LEN_SHIFT 25
#define LEAF_NEXTHOP_MASK ((1u << LEAF_LEN_SHIFT) - 1)
_Static_assert(FIB_NEXTHOPS_MAX <= 1u << LEAF_LEN_SHIFT && FIB_NEXTHOPS_MAX <= PREFIX_SET_VALUE_MAX + 1,
	       "an index fits into a leaf and into the set");

typedef _Atomic uint32_t entry_t;

/* What only the writer knows of a block. */
struct block_info {
	uint32_t n_prefixes;
	uint32_t queue_next;
	uint64_t generation; /* in the queue: when it was taken out */
};

struct nexthop {
	struct fib_nexthop value; /* unchanged while a reader may have the index */
	uint32_t n_prefixes;
	uint32_t hash_next;
	uint32_t queue_next;
	bool queued;
	uint64_t queued_in; /* generation in which it joined the queue */
	uint64_t unused_in; /* generation in which the last prefix left it */
};

struct queue {
	uint32_t first, last; /* POOL_NONE: empty */
};

struct fib {
	entry_t *root;
	struct pool blocks; /* of BLOCK_ENTRIES entries */
	struct pool nexthops;
	struct pool infos; /* struct block_info, by the numbers of blocks */
	struct prefix_set prefixes;
	uint32_t *nexthop_bucket; /* heads of chains through hash_next, POOL_NONE ends */
	uint32_t n_buckets;       /* a power of two */
	uint64_t generation;
	struct queue old_blocks, old_nexthops;
};

static uint32_t leaf_of(uint8_t len, uint32_t nexthop)
{
	return ((uint32_t)len << LEAF_LEN_SHIFT) | nexthop;
}

static uint8_t leaf_len(uint32_t leaf)
{
	return (uint8_t)(leaf >> LEAF_LEN_SHIFT);
}

/* The writer reads what it wrote itself. */
static uint32_t peek(entry_t *e)
{
	return atomic_load_explicit(e, memory_order_relaxed);
}

/* What the entry leads to was written before. */
static void publish(entry_t *e, uint32_t value)
{
	atomic_store_explicit(e, value, memory_order_release);
}

static entry_t *block_at(const struct fib *f, uint32_t index)
{
	return pool_at(&f->blocks, index);
}

static entry_t *child_of(const struct fib *f, uint32_t entry)
{
	return block_at(f, entry & ~ENTRY_CHILD);
}

static struct block_info *info_at(const struct fib *f, uint32_t block)
{
	return pool_at(&f->infos, block);
}

static struct nexthop *nexthop_at(const struct fib *f, uint32_t index)
{
	return pool_at(&f->nexthops, index);
}

#define BUCKETS_MIN 16u

static uint32_t *buckets_new(uint32_t n)
{
	uint32_t *b = malloc(n * sizeof(*b));

	if (b != NULL)
		memset(b, 0xff, n * sizeof(*b)); /* POOL_NONE */
	return b;
}

struct fib *fib_create(void)
{
	struct fib *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->root = calloc(ROOT_ENTRIES, sizeof(*f->root));
	f->n_buckets = BUCKETS_MIN;
	f->nexthop_bucket = buckets_new(f->n_buckets);
	f->old_blocks = f->old_nexthops = (struct queue){ POOL_NONE, POOL_NONE };
	if (f->root == NULL || f->nexthop_bucket == NULL || prefix_set_init(&f->prefixes) != 0 ||
	    pool_init(&f->blocks, BLOCKS_MAX, BLOCK_ENTRIES * sizeof(entry_t), 64) != 0 ||
	    pool_init(&f->infos, BLOCKS_MAX, sizeof(struct block_info), 8) != 0 ||
	    pool_init(&f->nexthops, FIB_NEXTHOPS_MAX, sizeof(struct nexthop), 8) != 0) {
		fib_destroy(f);
		return NULL;
	}
	pool_alloc(&f->nexthops); /* index 0: no route; it is never given back */
	return f;
}

void fib_destroy(struct fib *f)
{
	if (f == NULL)
		return;
	pool_fini(&f->nexthops);
	pool_fini(&f->infos);
	pool_fini(&f->blocks);
	prefix_set_fini(&f->prefixes);
	free(f->nexthop_bucket);
	free(f->root);
	free(f);
}

/* --- next hops --- */

static bool nexthop_equal(const struct fib_nexthop *a, const struct fib_nexthop *b)
{
	return a->kind == b->kind && a->ifindex == b->ifindex && a->gateway == b->gateway && a->source == b->source &&
	       a->also_from == b->also_from;
}

static uint32_t *bucket_of(const struct fib *f, const struct fib_nexthop *nh)
{
	uint64_t x = (uint64_t)nh->gateway << 32 | nh->source;

	x = (x ^ nh->also_from ^ (uint64_t)nh->ifindex << 8 ^ nh->kind) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return &f->nexthop_bucket[(uint32_t)(x >> 32) & (f->n_buckets - 1)];
}

static void bucket_put(struct fib *f, uint32_t index)
{
	uint32_t *head = bucket_of(f, &nexthop_at(f, index)->value);

	nexthop_at(f, index)->hash_next = *head;
	*head = index;
}

static void bucket_take(struct fib *f, uint32_t index)
{
	uint32_t *at = bucket_of(f, &nexthop_at(f, index)->value);

	while (*at != index)
		at = &nexthop_at(f, *at)->hash_next;
	*at = nexthop_at(f, index)->hash_next;
}

/* More buckets than next hops; without memory the chains get longer. */
static void buckets_grow(struct fib *f)
{
	uint32_t *old = f->nexthop_bucket;
	uint32_t n_old = f->n_buckets;
	uint32_t *bigger = f->nexthops.n_used < n_old ? NULL : buckets_new(2 * n_old);

	if (bigger == NULL)
		return;
	f->nexthop_bucket = bigger;
	f->n_buckets = 2 * n_old;
	for (uint32_t i = 0; i < n_old; i++) {
		for (uint32_t next, k = old[i]; k != POOL_NONE; k = next) {
			next = nexthop_at(f, k)->hash_next;
			bucket_put(f, k);
		}
	}
	free(old);
}

static void nexthop_enqueue(struct fib *f, uint32_t index)
{
	struct nexthop *n = nexthop_at(f, index);

	n->queued = true;
	n->queued_in = f->generation;
	n->queue_next = POOL_NONE;
	if (f->old_nexthops.first == POOL_NONE)
		f->old_nexthops.first = index;
	else
		nexthop_at(f, f->old_nexthops.last)->queue_next = index;
	f->old_nexthops.last = index;
}

/* No prefix uses it (any more). */
static void nexthop_unused(struct fib *f, uint32_t index)
{
	struct nexthop *n = nexthop_at(f, index);

	n->unused_in = f->generation;
	if (!n->queued && index != FIB_NO_ROUTE)
		nexthop_enqueue(f, index);
}

uint32_t fib_nexthop_add(struct fib *f, const struct fib_nexthop *nh)
{
	for (uint32_t i = *bucket_of(f, nh); i != POOL_NONE; i = nexthop_at(f, i)->hash_next) {
		if (nexthop_equal(&nexthop_at(f, i)->value, nh))
			return i;
	}
	buckets_grow(f);
	uint32_t index = pool_alloc(&f->nexthops);

	if (index == POOL_NONE)
		return 0;
	*nexthop_at(f, index) = (struct nexthop){ .value = *nh };
	bucket_put(f, index);
	nexthop_unused(f, index);
	return index;
}

static void nexthop_get(struct fib *f, uint32_t index)
{
	nexthop_at(f, index)->n_prefixes++;
}

static void nexthop_put(struct fib *f, uint32_t index)
{
	if (--nexthop_at(f, index)->n_prefixes == 0)
		nexthop_unused(f, index);
}

static void reclaim_nexthops(struct fib *f, uint64_t generation)
{
	struct queue *q = &f->old_nexthops;

	while (q->first != POOL_NONE && nexthop_at(f, q->first)->queued_in <= generation) {
		uint32_t index = q->first;
		struct nexthop *n = nexthop_at(f, index);

		q->first = n->queue_next;
		n->queued = false;
		if (n->n_prefixes > 0)
			continue;
		if (n->unused_in > generation) {
			/* It was used in between. */
			nexthop_enqueue(f, index);
		} else {
			bucket_take(f, index);
			pool_free(&f->nexthops, index);
		}
	}
}

/* --- blocks --- */

/* Where a prefix lies: n entries from e on, and the blocks on the way to them. */
struct place {
	entry_t *e;
	uint32_t n;
	uint32_t n_blocks;
	uint32_t block[2];
	entry_t *parent[2]; /* the entry that leads to the block */
};

/* Turns a leaf into a block of equal leaves. False without memory. */
static bool entry_open(struct fib *f, entry_t *e)
{
	uint32_t leaf = peek(e);

	if (leaf & ENTRY_CHILD)
		return true;
	uint32_t index = pool_alloc(&f->blocks);

	if (index == POOL_NONE)
		return false;
	entry_t *b = block_at(f, index);

	info_at(f, index)->n_prefixes = 0;
	for (uint32_t i = 0; i < BLOCK_ENTRIES; i++)
		atomic_store_explicit(&b[i], leaf, memory_order_relaxed);
	publish(e, ENTRY_CHILD | index);
	return true;
}

/* Blocks of the place that no prefix needs become leaves again, the inner one first. */
static void place_close(struct fib *f, const struct place *at)
{
	for (uint32_t i = at->n_blocks; i-- > 0;) {
		uint32_t index = at->block[i];
		struct block_info *info = info_at(f, index);

		if (info->n_prefixes > 0)
			return;
		publish(at->parent[i], peek(&block_at(f, index)[0]));
		info->generation = f->generation;
		info->queue_next = POOL_NONE;
		if (f->old_blocks.first == POOL_NONE)
			f->old_blocks.first = index;
		else
			info_at(f, f->old_blocks.last)->queue_next = index;
		f->old_blocks.last = index;
	}
}

/* Opens the blocks on the way. False, and nothing changed, when there is no room for them. */
static bool place_open(struct fib *f, struct ip4_prefix p, struct place *at)
{
	entry_t *e = &f->root[p.addr >> 16];
	uint8_t level_end = 16;

	*at = (struct place){ .n_blocks = 0 };
	while (p.len > level_end) {
		if (!entry_open(f, e)) {
			place_close(f, at);
			return false;
		}
		at->parent[at->n_blocks] = e;
		at->block[at->n_blocks++] = peek(e) & ~ENTRY_CHILD;
		level_end = (uint8_t)(level_end + 8);
		e = &child_of(f, peek(e))[(p.addr >> (32 - level_end)) & (BLOCK_ENTRIES - 1)];
	}
	at->e = e;
	at->n = 1u << (level_end - p.len);
	return true;
}

static void reclaim_blocks(struct fib *f, uint64_t generation)
{
	struct queue *q = &f->old_blocks;

	while (q->first != POOL_NONE && info_at(f, q->first)->generation <= generation) {
		uint32_t index = q->first;

		q->first = info_at(f, index)->queue_next;
		pool_free(&f->blocks, index);
	}
}

uint64_t fib_grace_begin(struct fib *f)
{
	return f->generation++;
}

void fib_reclaim(struct fib *f, uint64_t generation)
{
	reclaim_blocks(f, generation);
	reclaim_nexthops(f, generation);
}

/* --- prefixes --- */

enum paint { PAINT_INSERT, PAINT_REMOVE };

/* Writes leaf over the n entries at e that mode allows, and below them. */
static void paint(struct fib *f, entry_t *e, uint32_t n, uint8_t len, uint32_t leaf, enum paint mode)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t was = peek(&e[i]);

		if (was & ENTRY_CHILD)
			paint(f, child_of(f, was), BLOCK_ENTRIES, len, leaf, mode);
		else if (mode == PAINT_INSERT ? leaf_len(was) <= len : leaf_len(was) == len)
			publish(&e[i], leaf);
	}
}

int fib_insert(struct fib *f, struct ip4_prefix prefix, uint32_t nexthop)
{
	struct place at;
	uint32_t old;

	prefix.addr &= ip4_mask(prefix.len);
	if (prefix_set_reserve(&f->prefixes) != 0 || !place_open(f, prefix, &at))
		return -ENOMEM;
	bool replaces = prefix_set_put(&f->prefixes, prefix, nexthop, &old);

	nexthop_get(f, nexthop);
	paint(f, at.e, at.n, prefix.len, leaf_of(prefix.len, nexthop), PAINT_INSERT);
	if (replaces) {
		nexthop_put(f, old);
		return 0;
	}
	for (uint32_t i = 0; i < at.n_blocks; i++)
		info_at(f, at.block[i])->n_prefixes++;
	return 0;
}

int fib_remove(struct fib *f, struct ip4_prefix prefix)
{
	struct ip4_prefix up;
	struct place at;
	uint32_t old, nexthop;
	uint32_t leaf = leaf_of(0, FIB_NO_ROUTE);

	prefix.addr &= ip4_mask(prefix.len);
	if (!prefix_set_take(&f->prefixes, prefix, &old))
		return -ENOENT;
	if (prefix_set_above(&f->prefixes, prefix, &up, &nexthop))
		leaf = leaf_of(up.len, nexthop);
	/* The blocks on the way exist since the prefix was inserted. */
	place_open(f, prefix, &at);
	paint(f, at.e, at.n, prefix.len, leaf, PAINT_REMOVE);
	for (uint32_t i = 0; i < at.n_blocks; i++)
		info_at(f, at.block[i])->n_prefixes--;
	place_close(f, &at);
	nexthop_put(f, old);
	return 0;
}

/* --- look-ups: any thread --- */

static uint32_t follow(const entry_t *e)
{
	return atomic_load_explicit(e, memory_order_acquire);
}

uint32_t fib_lookup(const struct fib *f, uint32_t dst)
{
	uint32_t e = follow(&f->root[dst >> 16]);

	if (e & ENTRY_CHILD) {
		e = follow(&child_of(f, e)[(dst >> 8) & 0xff]);
		if (YG_UNLIKELY(e & ENTRY_CHILD))
			e = follow(&child_of(f, e)[dst & 0xff]);
	}
	return e & LEAF_NEXTHOP_MASK;
}

#define LOOKUPS_IN_FLIGHT 64u

void fib_lookup_batch(const struct fib *f, const uint32_t *dst, uint32_t *nexthop, uint32_t n)
{
	for (uint32_t done = 0; done < n; done += LOOKUPS_IN_FLIGHT) {
		uint32_t end = min_u32(n, done + LOOKUPS_IN_FLIGHT);

		for (uint32_t i = done; i < end; i++) {
			nexthop[i] = follow(&f->root[dst[i] >> 16]);
			if (nexthop[i] & ENTRY_CHILD)
				__builtin_prefetch(&child_of(f, nexthop[i])[(dst[i] >> 8) & 0xff]);
		}
		for (uint32_t i = done; i < end; i++) {
			if (nexthop[i] & ENTRY_CHILD)
				nexthop[i] = follow(&child_of(f, nexthop[i])[(dst[i] >> 8) & 0xff]);
			if (YG_UNLIKELY(nexthop[i] & ENTRY_CHILD))
				__builtin_prefetch(&child_of(f, nexthop[i])[dst[i] & 0xff]);
		}
		for (uint32_t i = done; i < end; i++) {
			if (YG_UNLIKELY(nexthop[i] & ENTRY_CHILD))
				nexthop[i] = follow(&child_of(f, nexthop[i])[dst[i] & 0xff]);
			nexthop[i] &= LEAF_NEXTHOP_MASK;
		}
	}
}

const struct fib_nexthop *fib_nexthop(const struct fib *f, uint32_t index)
{
	return &nexthop_at(f, index)->value;
}

/* --- for people --- */

size_t fib_n_prefixes(const struct fib *f)
{
	return f->prefixes.n;
}

size_t fib_lookup_bytes(const struct fib *f)
{
	return ROOT_ENTRIES * sizeof(*f->root) + f->blocks.n_fresh * f->blocks.stride;
}

size_t fib_bytes(const struct fib *f)
{
	return sizeof(*f) + fib_lookup_bytes(f) + f->blocks.n_fresh * f->infos.stride +
	       f->nexthops.n_fresh * f->nexthops.stride + f->n_buckets * sizeof(*f->nexthop_bucket) +
	       prefix_set_bytes(&f->prefixes);
}

void fib_walk(const struct fib *f, void (*fn)(void *ctx, struct ip4_prefix p, const struct fib_nexthop *nh), void *ctx)
{
	size_t n = f->prefixes.n;
	uint64_t *sorted = prefix_set_sorted(&f->prefixes);

	for (size_t i = 0; sorted != NULL && i < n; i++)
		fn(ctx, prefix_set_prefix(sorted[i]), fib_nexthop(f, prefix_set_value(sorted[i])));
	free(sorted);
}
