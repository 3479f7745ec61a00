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
 * while the block itself waits, unchanged, for the readers' grace, in a queue in
 * the order of generations.
 *
 * Blocks come from a pool (base/pool.h): they never move, and the memory that is
 * used is what was touched. What a leaf's number stands for is fib_group.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/ip/fib_priv.h"

#define ROOT_ENTRIES 65536u
#define BLOCK_ENTRIES 256u
#define BLOCKS_MAX (1u << 20) /* 1 GiB of addresses */

#define ENTRY_CHILD 0x80000000u
#define LEAF_LEN_SHIFT 25
#define LEAF_GROUP_MASK ((1u << LEAF_LEN_SHIFT) - 1)
_Static_assert(FIB_GROUPS_MAX <= 1u << LEAF_LEN_SHIFT && FIB_GROUPS_MAX <= PREFIX_SET_VALUE_MAX + 1,
	       "an index fits into a leaf and into the set");

/* What only the writer knows of a block. */
struct block_info {
	uint32_t n_prefixes;
	uint32_t queue_next;
	uint64_t generation; /* in the queue: when it was taken out */
};

static uint32_t leaf_of(uint8_t len, uint32_t group)
{
	return ((uint32_t)len << LEAF_LEN_SHIFT) | group;
}

static uint8_t leaf_len(uint32_t leaf)
{
	return (uint8_t)(leaf >> LEAF_LEN_SHIFT);
}

/* The writer reads what it wrote itself. */
static uint32_t peek(fib_entry *e)
{
	return atomic_load_explicit(e, memory_order_relaxed);
}

/* What the entry leads to was written before. */
static void publish(fib_entry *e, uint32_t value)
{
	atomic_store_explicit(e, value, memory_order_release);
}

static fib_entry *block_at(const struct fib *f, uint32_t index)
{
	return f->block + (size_t)index * BLOCK_ENTRIES;
}

static fib_entry *child_of(const struct fib *f, uint32_t entry)
{
	return block_at(f, entry & ~ENTRY_CHILD);
}

static struct block_info *info_at(const struct fib *f, uint32_t block)
{
	return pool_at(&f->infos, block);
}

struct fib *fib_create(void)
{
	struct fib *f = aligned_alloc(64, sizeof(*f));

	if (f == NULL)
		return NULL;
	memset(f, 0, sizeof(*f));
	f->root = calloc(ROOT_ENTRIES, sizeof(*f->root));
	f->first_old = f->last_old = POOL_NONE;
	if (f->root == NULL || fib_groups_init(&f->groups) != 0 || prefix_set_init(&f->prefixes) != 0 ||
	    pool_init(&f->blocks, BLOCKS_MAX, BLOCK_ENTRIES * sizeof(fib_entry), 64) != 0 ||
	    pool_init(&f->infos, BLOCKS_MAX, sizeof(struct block_info), 8) != 0) {
		fib_destroy(f);
		return NULL;
	}
	f->block = (fib_entry *)(void *)f->blocks.mem;
	f->published = (fib_published *)(void *)f->groups.published.mem;
	return f;
}

void fib_destroy(struct fib *f)
{
	if (f == NULL)
		return;
	pool_fini(&f->infos);
	pool_fini(&f->blocks);
	prefix_set_fini(&f->prefixes);
	fib_groups_fini(&f->groups);
	free(f->root);
	free(f);
}

/* --- blocks --- */

/* Where a prefix lies: n entries from e on, and the blocks on the way to them. */
struct place {
	fib_entry *e;
	uint32_t n;
	uint32_t n_blocks;
	uint32_t block[2];
	fib_entry *parent[2]; /* the entry that leads to the block */
};

/* Turns a leaf into a block of equal leaves. False without memory. */
static bool entry_open(struct fib *f, fib_entry *e)
{
	uint32_t leaf = peek(e);

	if (leaf & ENTRY_CHILD)
		return true;
	uint32_t index = pool_alloc(&f->blocks);

	if (index == POOL_NONE)
		return false;
	fib_entry *b = block_at(f, index);

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
		info->generation = f->groups.generation;
		info->queue_next = POOL_NONE;
		if (f->first_old == POOL_NONE)
			f->first_old = index;
		else
			info_at(f, f->last_old)->queue_next = index;
		f->last_old = index;
	}
}

/* Opens the blocks on the way. False, and nothing changed, when there is no room for them. */
static bool place_open(struct fib *f, struct ip4_prefix p, struct place *at)
{
	fib_entry *e = &f->root[p.addr >> 16];
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
	while (f->first_old != POOL_NONE && info_at(f, f->first_old)->generation <= generation) {
		uint32_t index = f->first_old;

		f->first_old = info_at(f, index)->queue_next;
		pool_free(&f->blocks, index);
	}
}

uint64_t fib_grace_begin(struct fib *f)
{
	return f->groups.generation++;
}

void fib_reclaim(struct fib *f, uint64_t generation)
{
	reclaim_blocks(f, generation);
	fib_groups_reclaim(&f->groups, generation);
}

/* --- prefixes --- */

enum paint { PAINT_INSERT, PAINT_REMOVE };

/* Writes leaf over the n entries at e that mode allows, and below them. */
static void paint(struct fib *f, fib_entry *e, uint32_t n, uint8_t len, uint32_t leaf, enum paint mode)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t was = peek(&e[i]);

		if (was & ENTRY_CHILD)
			paint(f, child_of(f, was), BLOCK_ENTRIES, len, leaf, mode);
		else if (mode == PAINT_INSERT ? leaf_len(was) <= len : leaf_len(was) == len)
			publish(&e[i], leaf);
	}
}

int fib_insert(struct fib *f, struct ip4_prefix prefix, uint32_t group)
{
	struct place at;
	void *outgrown;
	uint32_t old;

	prefix.addr &= ip4_mask(prefix.len);
	if (!fib_retire_reserve(&f->groups, 1) || prefix_set_reserve(&f->prefixes, &outgrown) != 0)
		return -ENOMEM;
	fib_retire(&f->groups, outgrown);
	if (!place_open(f, prefix, &at))
		return -ENOSPC;
	bool replaces = prefix_set_put(&f->prefixes, prefix, group, &old);

	fib_group_get(&f->groups, group);
	paint(f, at.e, at.n, prefix.len, leaf_of(prefix.len, group), PAINT_INSERT);
	if (replaces) {
		fib_group_put(&f->groups, old);
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
	uint32_t old, group;
	uint32_t leaf = leaf_of(0, FIB_NO_ROUTE);

	prefix.addr &= ip4_mask(prefix.len);
	if (!prefix_set_take(&f->prefixes, prefix, &old))
		return -ENOENT;
	if (prefix_set_above(&f->prefixes, prefix, &up, &group))
		leaf = leaf_of(up.len, group);
	/* The blocks on the way exist since the prefix was inserted. */
	place_open(f, prefix, &at);
	paint(f, at.e, at.n, prefix.len, leaf, PAINT_REMOVE);
	for (uint32_t i = 0; i < at.n_blocks; i++)
		info_at(f, at.block[i])->n_prefixes--;
	place_close(f, &at);
	fib_group_put(&f->groups, old);
	return 0;
}

uint32_t fib_group_of(const struct fib *f, struct ip4_prefix prefix)
{
	return prefix_set_get(&f->prefixes, prefix);
}

void fib_prefetch(const struct fib *f, struct ip4_prefix prefix)
{
	prefix_set_prefetch(&f->prefixes, (struct ip4_prefix){ prefix.addr & ip4_mask(prefix.len), prefix.len });
	prefetch_write(&f->root[prefix.addr >> 16]);
}

void fib_prefetch_block(const struct fib *f, struct ip4_prefix prefix)
{
	uint32_t e = peek(&f->root[prefix.addr >> 16]);

	if ((e & ENTRY_CHILD) == 0)
		return;
	prefetch_write(&child_of(f, e)[(prefix.addr >> 8) & (BLOCK_ENTRIES - 1)]);
	prefetch_write(info_at(f, e & ~ENTRY_CHILD));
}

/* --- look-ups: any thread --- */

static uint32_t follow(const fib_entry *e)
{
	return atomic_load_explicit(e, memory_order_acquire);
}

static inline uint32_t leaf_for(const struct fib *f, uint32_t dst)
{
	uint32_t e = follow(&f->root[dst >> 16]);

	if (e & ENTRY_CHILD) {
		e = follow(&child_of(f, e)[(dst >> 8) & 0xff]);
		if (YG_UNLIKELY(e & ENTRY_CHILD))
			e = follow(&child_of(f, e)[dst & 0xff]);
	}
	return e;
}

uint32_t fib_lookup(const struct fib *f, uint32_t dst)
{
	return leaf_for(f, dst) & LEAF_GROUP_MASK;
}

uint32_t fib_lookup_prefix(const struct fib *f, uint32_t dst, struct ip4_prefix *prefix)
{
	uint32_t leaf = leaf_for(f, dst);

	*prefix = (struct ip4_prefix){ dst & ip4_mask(leaf_len(leaf)), leaf_len(leaf) };
	return leaf & LEAF_GROUP_MASK;
}

#define LOOKUPS_IN_FLIGHT 64u

void fib_lookup_batch(const struct fib *f, const uint32_t *dst, uint32_t *group, uint32_t n)
{
	for (uint32_t done = 0; done < n; done += LOOKUPS_IN_FLIGHT) {
		uint32_t end = min_u32(n, done + LOOKUPS_IN_FLIGHT);

		for (uint32_t i = done; i < end; i++) {
			group[i] = follow(&f->root[dst[i] >> 16]);
			if (group[i] & ENTRY_CHILD)
				prefetch_read(&child_of(f, group[i])[(dst[i] >> 8) & 0xff]);
		}
		for (uint32_t i = done; i < end; i++) {
			if (group[i] & ENTRY_CHILD)
				group[i] = follow(&child_of(f, group[i])[(dst[i] >> 8) & 0xff]);
			if (YG_UNLIKELY(group[i] & ENTRY_CHILD))
				prefetch_read(&child_of(f, group[i])[dst[i] & 0xff]);
		}
		for (uint32_t i = done; i < end; i++) {
			if (YG_UNLIKELY(group[i] & ENTRY_CHILD))
				group[i] = follow(&child_of(f, group[i])[dst[i] & 0xff]);
			group[i] &= LEAF_GROUP_MASK;
		}
	}
}

struct look_by {
	const struct fib *f;
	uint32_t ifindex, hash;
	const struct fib_nexthop *found, *down; /* down: of the longest prefix that has one, none of which is up */
};

static bool leads_by(void *ctx, uint32_t group)
{
	struct look_by *l = ctx;

	if (group == FIB_NO_ROUTE) {
		/* A walk begins: what one met that was spoilt does not count. */
		l->found = l->down = NULL;
		return false;
	}
	const struct fib_route *route = fib_route(l->f, group);

	l->found = fib_route_by(route, l->ifindex, l->hash);
	if (l->found == NULL && l->down == NULL)
		l->down = fib_route_down_by(route, l->ifindex, l->hash);
	return l->found != NULL;
}

const struct fib_nexthop *fib_lookup_by(const struct fib *f, uint32_t dst, uint32_t ifindex, uint32_t hash)
{
	struct look_by l = { .f = f, .ifindex = ifindex, .hash = hash };

	prefix_set_walk(&f->prefixes, dst, leads_by, &l);
	return l.found != NULL ? l.found : l.down;
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
	return sizeof(*f) + fib_lookup_bytes(f) + f->blocks.n_fresh * f->infos.stride + fib_groups_bytes(&f->groups) +
	       prefix_set_bytes(&f->prefixes);
}
