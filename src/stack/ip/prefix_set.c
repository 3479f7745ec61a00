/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hash of prefixes: open addressing, linear probing, at most three quarters
 * full. Where one is taken out, those behind it that may stand nearer to their
 * own place move up, so there are no graves and the table does not age.
 */
#include "stack/ip/prefix_set.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64u

static uint64_t key_of(struct ip4_prefix p)
{
	return (uint64_t)p.addr << 32 | (uint64_t)(p.len + 1) << PREFIX_SET_VALUE_BITS;
}

static size_t home_of(const struct prefix_set *s, uint64_t slot)
{
	uint64_t x = (slot >> PREFIX_SET_VALUE_BITS) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(x >> 32) & (s->n_slots - 1);
}

int prefix_set_init(struct prefix_set *s)
{
	*s = (struct prefix_set){ .n_slots = SLOTS_MIN };
	s->slot = calloc(s->n_slots, sizeof(*s->slot));
	return s->slot != NULL ? 0 : -ENOMEM;
}

void prefix_set_fini(struct prefix_set *s)
{
	free(s->slot);
	s->slot = NULL;
}

/* Where key stands, or the free place where it would. */
static size_t find(const struct prefix_set *s, uint64_t key)
{
	size_t i = home_of(s, key);

	while (s->slot[i] != 0 && (s->slot[i] ^ key) >> PREFIX_SET_VALUE_BITS != 0)
		i = (i + 1) & (s->n_slots - 1);
	return i;
}

int prefix_set_reserve(struct prefix_set *s)
{
	uint64_t *old = s->slot;
	size_t n_old = s->n_slots;

	if ((s->n + 1) * 4 <= n_old * 3)
		return 0;
	uint64_t *bigger = calloc(2 * n_old, sizeof(*bigger));

	if (bigger == NULL)
		return -ENOMEM;
	s->slot = bigger;
	s->n_slots = 2 * n_old;
	for (size_t i = 0; i < n_old; i++) {
		if (old[i] != 0)
			s->slot[find(s, old[i])] = old[i];
	}
	free(old);
	return 0;
}

bool prefix_set_put(struct prefix_set *s, struct ip4_prefix p, uint32_t value, uint32_t *old)
{
	uint64_t key = key_of(p);
	size_t i = find(s, key);
	bool there = s->slot[i] != 0;

	*old = prefix_set_value(s->slot[i]);
	s->slot[i] = key | value;
	if (!there) {
		s->n++;
		s->n_of_len[p.len]++;
	}
	return there;
}

bool prefix_set_take(struct prefix_set *s, struct ip4_prefix p, uint32_t *old)
{
	size_t mask = s->n_slots - 1;
	size_t hole = find(s, key_of(p));

	if (s->slot[hole] == 0)
		return false;
	*old = prefix_set_value(s->slot[hole]);
	s->n--;
	s->n_of_len[p.len]--;
	for (size_t i = (hole + 1) & mask; s->slot[i] != 0; i = (i + 1) & mask) {
		/* It may move up when its own place is not between the hole and itself. */
		if (((i - home_of(s, s->slot[i])) & mask) >= ((i - hole) & mask)) {
			s->slot[hole] = s->slot[i];
			hole = i;
		}
	}
	s->slot[hole] = 0;
	return true;
}

uint32_t prefix_set_get(const struct prefix_set *s, struct ip4_prefix p)
{
	return prefix_set_value(s->slot[find(s, key_of(p))]);
}

bool prefix_set_above(const struct prefix_set *s, struct ip4_prefix p, struct ip4_prefix *up, uint32_t *value)
{
	for (uint8_t len = p.len; len-- > 0;) {
		if (s->n_of_len[len] == 0)
			continue;
		*up = (struct ip4_prefix){ p.addr & ip4_mask(len), len };
		uint64_t slot = s->slot[find(s, key_of(*up))];

		if (slot != 0) {
			*value = prefix_set_value(slot);
			return true;
		}
	}
	return false;
}

size_t prefix_set_bytes(const struct prefix_set *s)
{
	return s->n_slots * sizeof(*s->slot);
}
