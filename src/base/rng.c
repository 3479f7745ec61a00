/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ChaCha20 key stream as random numbers (RFC 8439 section 2.3 and 2.4).
 *
 * state is the block function's input: constants, the seed as key, a counter,
 * and zeros. Each block of key stream gives 16 words, handed out in order. The
 * counter carries into the next word, so the stream does not come round.
 */
#include "base/rng.h"

#include <string.h>

static uint32_t load_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t rotate(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

/* RFC 8439 section 2.1 */
static void quarter_round(uint32_t s[16], int a, int b, int c, int d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

static void next_block(struct rng *r)
{
	uint32_t *s = r->block;
	memcpy(s, r->state, sizeof(r->block));
	for (int i = 0; i < 10; i++) {
		quarter_round(s, 0, 4, 8, 12);
		quarter_round(s, 1, 5, 9, 13);
		quarter_round(s, 2, 6, 10, 14);
		quarter_round(s, 3, 7, 11, 15);
		quarter_round(s, 0, 5, 10, 15);
		quarter_round(s, 1, 6, 11, 12);
		quarter_round(s, 2, 7, 8, 13);
		quarter_round(s, 3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		s[i] += r->state[i];
	if (++r->state[12] == 0)
		r->state[13]++;
	r->n_left = 16;
}

void rng_init(struct rng *r, const uint8_t seed[RNG_SEED_BYTES])
{
	memset(r, 0, sizeof(*r));
	/* "expand 32-byte k" */
	r->state[0] = 0x61707865;
	r->state[1] = 0x3320646e;
	r->state[2] = 0x79622d32;
	r->state[3] = 0x6b206574;
	for (int i = 0; i < 8; i++)
		r->state[4 + i] = load_le32(seed + 4 * i);
}

uint32_t rng_u32(struct rng *r)
{
	if (r->n_left == 0)
		next_block(r);
	return r->block[16 - r->n_left--];
}

uint64_t rng_u64(struct rng *r)
{
	uint64_t high = rng_u32(r);
	return high << 32 | rng_u32(r);
}

uint32_t rng_below(struct rng *r, uint32_t bound)
{
	/* The high half of word * bound is the number. bound does not divide
	 * 2^32, so 2^32 % bound words too many map to some numbers: they are
	 * those with the smallest low halves, and are drawn again. */
	uint64_t product = (uint64_t)rng_u32(r) * bound;
	if ((uint32_t)product < bound) {
		uint32_t n_excess = -bound % bound;
		while ((uint32_t)product < n_excess)
			product = (uint64_t)rng_u32(r) * bound;
	}
	return (uint32_t)(product >> 32);
}
