/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Longest prefix match by a 16-8-8 trie.
 *
 * The root has an entry for each value of the upper 16 bits; an entry is either
 * a leaf, which holds the answer and the length of the prefix that gave it, or
 * the number of a block of 256 entries for the next 8 bits. Answers are pushed
 * down to the leaves, so a look-up never goes back up.
 *
 * Insert writes its answer over every leaf below the prefix whose own prefix is
 * not longer. Remove writes the answer of the next shorter prefix over the
 * leaves that the prefix itself had given; which one that is, a hash of all
 * prefixes tells. A block stays once it is made: the table is built anew when
 * the config changes, and routes that come and go use the same blocks again.
 *
 * Blocks come from a pool (base/pool.h): they never move, and the memory that is
 * used is what was touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/util.h"
#include "ip/fib.h"

#define ROOT_ENTRIES 65536u
#define BLOCK_ENTRIES 256u
#define BLOCKS_MAX (1u << 20) /* 1 GiB of addresses */

#define ENTRY_CHILD 0x80000000u
#define LEAF_LEN_SHIFT 25
#define LEAF_NEXTHOP_MAX ((1u << LEAF_LEN_SHIFT) - 1)

struct prefix_slot {
	uint32_t addr;
	uint32_t nexthop;
	uint8_t len;
	uint8_t used; /* 0 never, 1 now, 2 was */
};

struct fib {
	uint32_t *root;
	struct pool blocks; /* of BLOCK_ENTRIES entries */
	struct fib_nexthop *nexthop;
	uint32_t n_nexthops, cap_nexthops;
	struct prefix_slot *slot;
	size_t n_prefixes, n_slots_dirty, n_slots; /* n_slots: a power of two */
};

static uint32_t leaf_of(uint8_t len, uint32_t nexthop)
{
	return ((uint32_t)len << LEAF_LEN_SHIFT) | nexthop;
}

static uint8_t leaf_len(uint32_t leaf)
{
	return (uint8_t)(leaf >> LEAF_LEN_SHIFT);
}

struct fib *fib_create(void)
{
	struct fib *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->root = calloc(ROOT_ENTRIES, sizeof(*f->root));
	f->cap_nexthops = 16;
	f->nexthop = calloc(f->cap_nexthops, sizeof(*f->nexthop));
	f->n_slots = 64;
	f->slot = calloc(f->n_slots, sizeof(*f->slot));
	if (f->root == NULL || f->nexthop == NULL || f->slot == NULL ||
	    pool_init(&f->blocks, BLOCKS_MAX, BLOCK_ENTRIES * sizeof(uint32_t), 64) != 0) {
		fib_destroy(f);
		return NULL;
	}
	f->n_nexthops = 1; /* index 0: no route */
	return f;
}

void fib_destroy(struct fib *f)
{
	if (f == NULL)
		return;
	pool_fini(&f->blocks);
	free(f->root);
	free(f->nexthop);
	free(f->slot);
	free(f);
}

static uint32_t *block_of(const struct fib *f, uint32_t entry)
{
	return pool_at(&f->blocks, entry & ~ENTRY_CHILD);
}

static int nexthop_equal(const struct fib_nexthop *a, const struct fib_nexthop *b)
{
	return a->kind == b->kind && a->ifindex == b->ifindex && a->gateway == b->gateway && a->source == b->source;
}

uint32_t fib_nexthop_add(struct fib *f, const struct fib_nexthop *nh)
{
	for (uint32_t i = 1; i < f->n_nexthops; i++) {
		if (nexthop_equal(&f->nexthop[i], nh))
			return i;
	}
	if (f->n_nexthops > LEAF_NEXTHOP_MAX)
		return 0;
	if (f->n_nexthops == f->cap_nexthops) {
		struct fib_nexthop *bigger = realloc(f->nexthop, 2 * (size_t)f->cap_nexthops * sizeof(*bigger));

		if (bigger == NULL)
			return 0;
		f->nexthop = bigger;
		f->cap_nexthops *= 2;
	}
	f->nexthop[f->n_nexthops] = *nh;
	return f->n_nexthops++;
}

/* The set of prefixes: open addressing, linear probing. */

static size_t slot_start(const struct fib *f, struct ip4_prefix p)
{
	uint64_t x = ((uint64_t)p.addr << 6 | p.len) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(x >> 32) & (f->n_slots - 1);
}

static struct prefix_slot *slot_find(const struct fib *f, struct ip4_prefix p)
{
	for (size_t i = slot_start(f, p); f->slot[i].used != 0; i = (i + 1) & (f->n_slots - 1)) {
		if (f->slot[i].used == 1 && f->slot[i].addr == p.addr && f->slot[i].len == p.len)
			return &f->slot[i];
	}
	return NULL;
}

static void slot_put(struct fib *f, struct ip4_prefix p, uint32_t nexthop)
{
	size_t i = slot_start(f, p);

	while (f->slot[i].used == 1)
		i = (i + 1) & (f->n_slots - 1);
	if (f->slot[i].used == 0)
		f->n_slots_dirty++;
	f->slot[i] = (struct prefix_slot){ .addr = p.addr, .len = p.len, .nexthop = nexthop, .used = 1 };
	f->n_prefixes++;
}

static int slots_reserve(struct fib *f)
{
	struct prefix_slot *old = f->slot;
	size_t n_old = f->n_slots;

	if ((f->n_slots_dirty + 1) * 4 <= f->n_slots * 3)
		return 0;
	size_t n = f->n_prefixes * 2 >= n_old ? n_old * 2 : n_old;
	struct prefix_slot *fresh = calloc(n, sizeof(*fresh));

	if (fresh == NULL)
		return -ENOMEM;
	f->slot = fresh;
	f->n_slots = n;
	f->n_prefixes = 0;
	f->n_slots_dirty = 0;
	for (size_t i = 0; i < n_old; i++) {
		if (old[i].used == 1)
			slot_put(f, (struct ip4_prefix){ old[i].addr, old[i].len }, old[i].nexthop);
	}
	free(old);
	return 0;
}

/* Turns a leaf into a block of equal leaves. Returns the block, NULL when full. */
static uint32_t *entry_open(struct fib *f, uint32_t *entry)
{
	if ((*entry & ENTRY_CHILD) == 0) {
		uint32_t leaf = *entry;
		uint32_t index = pool_alloc(&f->blocks);

		if (index == POOL_NONE)
			return NULL;
		*entry = ENTRY_CHILD | index;
		for (uint32_t i = 0; i < BLOCK_ENTRIES; i++)
			block_of(f, *entry)[i] = leaf;
	}
	return block_of(f, *entry);
}

enum paint { PAINT_INSERT, PAINT_REMOVE };

/* Writes leaf over the n entries at e that mode allows, and below them. */
static void paint(struct fib *f, uint32_t *e, uint32_t n, uint8_t len, uint32_t leaf, enum paint mode)
{
	for (uint32_t i = 0; i < n; i++) {
		if (e[i] & ENTRY_CHILD)
			paint(f, block_of(f, e[i]), BLOCK_ENTRIES, len, leaf, mode);
		else if (mode == PAINT_INSERT ? leaf_len(e[i]) <= len : leaf_len(e[i]) == len)
			e[i] = leaf;
	}
}

/* The first entry and the number of entries that a prefix covers on its level,
 * the blocks on the way opened. NULL when there is no room for them. */
static uint32_t *covered(struct fib *f, struct ip4_prefix p, uint32_t *n)
{
	uint32_t *e = &f->root[p.addr >> 16];
	uint8_t level_end = 16;

	while (p.len > level_end) {
		uint32_t *b = entry_open(f, e);

		if (b == NULL)
			return NULL;
		level_end = (uint8_t)(level_end + 8);
		e = &b[(p.addr >> (32 - level_end)) & (BLOCK_ENTRIES - 1)];
	}
	*n = 1u << (level_end - p.len);
	return e;
}

int fib_insert(struct fib *f, struct ip4_prefix prefix, uint32_t nexthop)
{
	uint32_t n;

	prefix.addr &= ip4_mask(prefix.len);
	if (slots_reserve(f) != 0)
		return -ENOMEM;
	uint32_t *e = covered(f, prefix, &n);

	if (e == NULL)
		return -ENOMEM;
	struct prefix_slot *s = slot_find(f, prefix);

	if (s != NULL)
		s->nexthop = nexthop;
	else
		slot_put(f, prefix, nexthop);
	paint(f, e, n, prefix.len, leaf_of(prefix.len, nexthop), PAINT_INSERT);
	return 0;
}

int fib_remove(struct fib *f, struct ip4_prefix prefix)
{
	uint32_t leaf = leaf_of(0, FIB_NO_ROUTE);
	uint32_t n;

	prefix.addr &= ip4_mask(prefix.len);
	struct prefix_slot *s = slot_find(f, prefix);

	if (s == NULL)
		return -ENOENT;
	s->used = 2;
	f->n_prefixes--;
	for (uint8_t len = prefix.len; len-- > 0;) {
		struct prefix_slot *up = slot_find(f, (struct ip4_prefix){ prefix.addr & ip4_mask(len), len });

		if (up != NULL) {
			leaf = leaf_of(len, up->nexthop);
			break;
		}
	}
	/* The blocks on the way exist since the prefix was inserted. */
	uint32_t *e = covered(f, prefix, &n);

	paint(f, e, n, prefix.len, leaf, PAINT_REMOVE);
	return 0;
}

uint32_t fib_lookup(const struct fib *f, uint32_t dst)
{
	uint32_t e = f->root[dst >> 16];

	if (e & ENTRY_CHILD) {
		e = block_of(f, e)[(dst >> 8) & 0xff];
		if (e & ENTRY_CHILD)
			e = block_of(f, e)[dst & 0xff];
	}
	return e & LEAF_NEXTHOP_MAX;
}

const struct fib_nexthop *fib_nexthop(const struct fib *f, uint32_t index)
{
	return &f->nexthop[index];
}

size_t fib_n_prefixes(const struct fib *f)
{
	return f->n_prefixes;
}

size_t fib_bytes(const struct fib *f)
{
	return sizeof(*f) + ROOT_ENTRIES * sizeof(*f->root) + (size_t)f->blocks.n_used * f->blocks.stride +
	       f->cap_nexthops * sizeof(*f->nexthop) + f->n_slots * sizeof(*f->slot);
}

static int slot_compare(const void *a, const void *b)
{
	const struct prefix_slot *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (int)x->len - (int)y->len;
}

void fib_walk(const struct fib *f, void (*fn)(void *ctx, struct ip4_prefix p, const struct fib_nexthop *nh), void *ctx)
{
	struct prefix_slot *sorted = calloc(f->n_prefixes + 1, sizeof(*sorted));
	size_t n = 0;

	if (sorted == NULL)
		return;
	for (size_t i = 0; i < f->n_slots; i++) {
		if (f->slot[i].used == 1)
			sorted[n++] = f->slot[i];
	}
	qsort(sorted, n, sizeof(*sorted), slot_compare);
	for (size_t i = 0; i < n; i++)
		fn(ctx, (struct ip4_prefix){ sorted[i].addr, sorted[i].len }, &f->nexthop[sorted[i].nexthop]);
	free(sorted);
}
