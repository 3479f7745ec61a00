/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SipHash (Aumasson and Bernstein, INDOCRYPT 2012). 1-3 for hash tables that
 * an attacker can feed, 2-4 where the output itself must not be guessed.
 */
#ifndef YG_BASE_SIPHASH_H
#define YG_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len);
uint64_t siphash24(const struct siphash_key *key, const void *data, size_t len);
/* The steps, here so that they are inlined. */
struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t sip_rotate(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static inline void sip_rounds(struct sip *s, int n)
{
	for (int i = 0; i < n; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = sip_rotate(s->v1, 13) ^ s->v0;
		s->v3 = sip_rotate(s->v3, 16) ^ s->v2;
		s->v0 = sip_rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = sip_rotate(s->v1, 17) ^ s->v2;
		s->v3 = sip_rotate(s->v3, 21) ^ s->v0;
		s->v2 = sip_rotate(s->v2, 32);
	}
}

static inline struct sip sip_start(const struct siphash_key *key)
{
	/* "somepseudorandomlygeneratedbytes" */
	return (struct sip){
		.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->k1 ^ UINT64_C(0x7465646279746573),
	};
}

static inline void sip_word(struct sip *s, uint64_t m, int c_rounds)
{
	s->v3 ^= m;
	sip_rounds(s, c_rounds);
	s->v0 ^= m;
}

static inline uint64_t sip_end(struct sip *s, int d_rounds)
{
	s->v2 ^= 0xff;
	sip_rounds(s, d_rounds);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t sip_16(const struct siphash_key *key, uint64_t m0, uint64_t m1, int c_rounds, int d_rounds)
{
	struct sip s = sip_start(key);
	sip_word(&s, m0, c_rounds);
	sip_word(&s, m1, c_rounds);
	sip_word(&s, UINT64_C(16) << 56, c_rounds);
	return sip_end(&s, d_rounds);
}

/* Exactly 16 bytes given as two words (little-endian loads). */
static inline uint64_t siphash13_16(const struct siphash_key *key, uint64_t m0, uint64_t m1)
{
	return sip_16(key, m0, m1, 1, 3);
}

static inline uint64_t siphash24_16(const struct siphash_key *key, uint64_t m0, uint64_t m1)
{
	return sip_16(key, m0, m1, 2, 4);
}

#endif
