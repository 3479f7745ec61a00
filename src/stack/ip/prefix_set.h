/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A set of IPv4 prefixes with a small value each, 8 bytes a place: what the FIB
 * was told, beside the trie that it became. One thread changes it. Others may look
 * meanwhile (prefix_set_walk), who see it as it was before a change or behind it.
 */
#ifndef YG_STACK_IP_PREFIX_SET_H
#define YG_STACK_IP_PREFIX_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"

#define PREFIX_SET_VALUE_BITS 26
#define PREFIX_SET_VALUE_MAX ((1u << PREFIX_SET_VALUE_BITS) - 1)

struct prefix_slots {
	size_t n;                 /* a power of two */
	_Atomic(uint64_t) slot[]; /* address, length + 1, value from the top; 0: free */
};

struct prefix_set {
	_Atomic(struct prefix_slots *) slots;
	_Atomic(uint64_t) lens;    /* bits: there are prefixes of that length */
	_Atomic(uint32_t) version; /* odd: a change is on its way */
	size_t n;
	uint32_t n_of_len[33];
};

/* 0 or -ENOMEM. */
int prefix_set_init(struct prefix_set *s);
void prefix_set_fini(struct prefix_set *s);
/* Room for one more. 0 or -ENOMEM. *outgrown: memory that readers may still look at, to be freed behind their grace;
 * NULL: none. */
int prefix_set_reserve(struct prefix_set *s, void **outgrown);
/* Adds or replaces, behind prefix_set_reserve; p.addr has no bits below p.len. True when it was there, with *old. */
bool prefix_set_put(struct prefix_set *s, struct ip4_prefix p, uint32_t value, uint32_t *old);
/* Takes it out. False when it is not there. */
bool prefix_set_take(struct prefix_set *s, struct ip4_prefix p, uint32_t *old);
/* Its value; 0 when it is not there. */
uint32_t prefix_set_get(const struct prefix_set *s, struct ip4_prefix p);
/* Its place is asked for into the cache. */
void prefix_set_prefetch(const struct prefix_set *s, struct ip4_prefix p);
/* The longest prefix that is shorter than p and covers it. */
bool prefix_set_above(const struct prefix_set *s, struct ip4_prefix p, struct ip4_prefix *up, uint32_t *value);
/* Any thread: the values of the prefixes that cover addr, the longest first, until fn says true. Before them fn has a
 * 0, whatever it says: a walk begins. When the set has changed meanwhile another one does, and what fn was told before
 * does not count. */
void prefix_set_walk(const struct prefix_set *s, uint32_t addr, bool (*fn)(void *ctx, uint32_t value), void *ctx);
size_t prefix_set_bytes(const struct prefix_set *s);

static inline uint32_t prefix_set_value(uint64_t slot)
{
	return (uint32_t)slot & PREFIX_SET_VALUE_MAX;
}

#endif
