/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A bit for each number of a prefix, and a summary bit for each 64 of them, so that those that are set are found
 * without looking at all. Memory is address space until it is written to.
 */
#ifndef YG_ROUTING_BGP_BGP_BITS_H
#define YG_ROUTING_BGP_BGP_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define BGP_BITS_END UINT32_MAX

struct bgp_bits {
	uint64_t *word;    /* NULL: there are none */
	uint64_t *summary; /* a bit is set when the word may not be 0 */
	uint32_t n;        /* numbers are lower */
	uint32_t n_set;
};

/* All clear. False: no memory, and there are none. */
bool bgp_bits_init(struct bgp_bits *b, uint32_t n);
void bgp_bits_fini(struct bgp_bits *b);
/* Sets those that are set in the other one, which has as many numbers. */
void bgp_bits_add(struct bgp_bits *b, const struct bgp_bits *other);
/* Sets all below `end`. */
void bgp_bits_fill(struct bgp_bits *b, uint32_t end);
/* The first that is set from `from` on, or BGP_BITS_END. */
uint32_t bgp_bits_next(const struct bgp_bits *b, uint32_t from);

/* How many bits a number below `limit` has. */
static inline uint32_t bgp_bits_of(uint32_t limit)
{
	return limit > 1 ? 32 - (uint32_t)__builtin_clz(limit - 1) : 1;
}

static inline bool bgp_bits_has(const struct bgp_bits *b, uint32_t i)
{
	return (b->word[i / 64] >> i % 64 & 1) != 0;
}

static inline void bgp_bits_set(struct bgp_bits *b, uint32_t i)
{
	uint64_t *w = &b->word[i / 64], bit = UINT64_C(1) << i % 64;

	if ((*w & bit) != 0)
		return;
	if (*w == 0)
		b->summary[i / 4096] |= UINT64_C(1) << i / 64 % 64;
	*w |= bit;
	b->n_set++;
}

static inline void bgp_bits_clear(struct bgp_bits *b, uint32_t i)
{
	uint64_t *w = &b->word[i / 64], bit = UINT64_C(1) << i % 64;

	if ((*w & bit) == 0)
		return;
	*w &= ~bit;
	if (*w == 0)
		b->summary[i / 4096] &= ~(UINT64_C(1) << i / 64 % 64);
	b->n_set--;
}

#endif
