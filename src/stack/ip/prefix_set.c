/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hash of prefixes: open addressing, linear probing, at most three quarters
 * full. Where one is taken out, those behind it that may stand nearer to their
 * own place move up, so there are no graves and the table does not age.
 *
 * Readers: a change makes the version odd before its first store and even behind
 * its last, and a walk that met another version than it began with is done
 * again. Stores are releases and loads acquire, so whoever saw anything of a change sees
 * that there is one. A table that was outgrown stays as it was until the
 * readers' grace is over.
 */
#include "stack/ip/prefix_set.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

#define SLOTS_MIN 64u
/* Walks of one reader until it takes what it has: whoever changes the set was interrupted in between. */
#define WALKS_MAX 64u

static uint64_t key_of(struct ip4_prefix p)
{
	return (uint64_t)p.addr << 32 | (uint64_t)(p.len + 1) << PREFIX_SET_VALUE_BITS;
}

static size_t home_of(const struct prefix_slots *t, uint64_t slot)
{
	uint64_t x = (slot >> PREFIX_SET_VALUE_BITS) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(x >> 32) & (t->n - 1);
}

static struct prefix_slots *slots_of(const struct prefix_set *s)
{
	return atomic_load_explicit(&s->slots, memory_order_acquire);
}

static uint64_t slot_at(const struct prefix_slots *t, size_t i)
{
	return atomic_load_explicit(&t->slot[i], memory_order_acquire);
}

static void slot_store(struct prefix_slots *t, size_t i, uint64_t value)
{
	atomic_store_explicit(&t->slot[i], value, memory_order_release);
}

static struct prefix_slots *slots_new(size_t n)
{
	struct prefix_slots *t = calloc(1, sizeof(*t) + n * sizeof(t->slot[0]));

	if (t != NULL)
		t->n = n;
	return t;
}

int prefix_set_init(struct prefix_set *s)
{
	struct prefix_slots *t = slots_new(SLOTS_MIN);

	s->n = 0;
	for (int i = 0; i < 33; i++)
		s->n_of_len[i] = 0;
	atomic_init(&s->lens, 0);
	atomic_init(&s->version, 0);
	atomic_init(&s->slots, t);
	return t != NULL ? 0 : -ENOMEM;
}

void prefix_set_fini(struct prefix_set *s)
{
	free(slots_of(s));
	atomic_init(&s->slots, NULL);
}

/* --- by whoever changes it --- */

static void change_begin(struct prefix_set *s)
{
	uint32_t version = atomic_load_explicit(&s->version, memory_order_relaxed);

	atomic_store_explicit(&s->version, version + 1, memory_order_relaxed);
}

static void change_end(struct prefix_set *s)
{
	uint32_t version = atomic_load_explicit(&s->version, memory_order_relaxed);

	atomic_store_explicit(&s->version, version + 1, memory_order_release);
}

static void count_len(struct prefix_set *s, uint8_t len, int more)
{
	uint64_t lens = atomic_load_explicit(&s->lens, memory_order_relaxed), bit = UINT64_C(1) << len;

	s->n_of_len[len] += (uint32_t)more;
	atomic_store_explicit(&s->lens, s->n_of_len[len] > 0 ? lens | bit : lens & ~bit, memory_order_release);
}

/* Where key stands, or the free place where it would. */
static size_t find(const struct prefix_slots *t, uint64_t key)
{
	size_t i = home_of(t, key);
	uint64_t slot;

	while ((slot = slot_at(t, i)) != 0 && (slot ^ key) >> PREFIX_SET_VALUE_BITS != 0)
		i = (i + 1) & (t->n - 1);
	return i;
}

int prefix_set_reserve(struct prefix_set *s, void **outgrown)
{
	struct prefix_slots *old = slots_of(s);

	*outgrown = NULL;
	if ((s->n + 1) * 4 <= old->n * 3)
		return 0;
	struct prefix_slots *bigger = slots_new(2 * old->n);

	if (bigger == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < old->n; i++) {
		uint64_t slot = slot_at(old, i);

		if (slot != 0)
			slot_store(bigger, find(bigger, slot), slot);
	}
	/* The same prefixes: whoever looks has the one or the other. */
	atomic_store_explicit(&s->slots, bigger, memory_order_release);
	*outgrown = old;
	return 0;
}

bool prefix_set_put(struct prefix_set *s, struct ip4_prefix p, uint32_t value, uint32_t *old)
{
	struct prefix_slots *t = slots_of(s);
	uint64_t key = key_of(p);
	size_t i = find(t, key);
	bool there = slot_at(t, i) != 0;

	*old = prefix_set_value(slot_at(t, i));
	change_begin(s);
	slot_store(t, i, key | value);
	if (!there) {
		s->n++;
		count_len(s, p.len, 1);
	}
	change_end(s);
	return there;
}

/* Those behind the hole that may stand nearer to their own place move up. */
static void close_hole(struct prefix_slots *t, size_t hole)
{
	size_t mask = t->n - 1;
	uint64_t slot;

	for (size_t i = (hole + 1) & mask; (slot = slot_at(t, i)) != 0; i = (i + 1) & mask) {
		/* It may move up when its own place is not between the hole and itself. */
		if (((i - home_of(t, slot)) & mask) >= ((i - hole) & mask)) {
			slot_store(t, hole, slot);
			hole = i;
		}
	}
	slot_store(t, hole, 0);
}

bool prefix_set_take(struct prefix_set *s, struct ip4_prefix p, uint32_t *old)
{
	struct prefix_slots *t = slots_of(s);
	size_t hole = find(t, key_of(p));

	if (slot_at(t, hole) == 0)
		return false;
	*old = prefix_set_value(slot_at(t, hole));
	change_begin(s);
	s->n--;
	count_len(s, p.len, -1);
	close_hole(t, hole);
	change_end(s);
	return true;
}

uint32_t prefix_set_get(const struct prefix_set *s, struct ip4_prefix p)
{
	const struct prefix_slots *t = slots_of(s);

	return prefix_set_value(slot_at(t, find(t, key_of(p))));
}

void prefix_set_prefetch(const struct prefix_set *s, struct ip4_prefix p)
{
	const struct prefix_slots *t = slots_of(s);

	prefetch_write(&t->slot[home_of(t, key_of(p))]);
}

bool prefix_set_above(const struct prefix_set *s, struct ip4_prefix p, struct ip4_prefix *up, uint32_t *value)
{
	const struct prefix_slots *t = slots_of(s);

	for (uint8_t len = p.len; len-- > 0;) {
		if (s->n_of_len[len] == 0)
			continue;
		*up = (struct ip4_prefix){ p.addr & ip4_mask(len), len };
		uint64_t slot = slot_at(t, find(t, key_of(*up)));

		if (slot != 0) {
			*value = prefix_set_value(slot);
			return true;
		}
	}
	return false;
}

/* --- any thread --- */

static void walk_once(const struct prefix_set *s, uint32_t addr, bool (*fn)(void *ctx, uint32_t value), void *ctx)
{
	uint64_t lens = atomic_load_explicit(&s->lens, memory_order_acquire);

	(void)fn(ctx, 0);
	while (lens != 0) {
		uint8_t len = (uint8_t)(63 - __builtin_clzll(lens));
		uint32_t value = prefix_set_get(s, (struct ip4_prefix){ addr & ip4_mask(len), len });

		lens &= ~(UINT64_C(1) << len);
		if (value != 0 && fn(ctx, value))
			return;
	}
}

void prefix_set_walk(const struct prefix_set *s, uint32_t addr, bool (*fn)(void *ctx, uint32_t value), void *ctx)
{
	for (uint32_t i = 0; i < WALKS_MAX; i++) {
		uint32_t version = atomic_load_explicit(&s->version, memory_order_acquire);

		walk_once(s, addr, fn, ctx);
		if ((version & 1) == 0 && atomic_load_explicit(&s->version, memory_order_relaxed) == version)
			return;
	}
}

size_t prefix_set_bytes(const struct prefix_set *s)
{
	const struct prefix_slots *t = slots_of(s);

	return sizeof(*t) + t->n * sizeof(t->slot[0]);
}
