/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SipHash-c-d: c rounds for each word of 8 bytes, d at the end (Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF", section 2). The last word holds
 * what is left of the message and, in its top byte, the length modulo 256.
 */
#include "base/siphash.h"

#include <string.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static inline void sip_rounds(struct sip *s, int n)
{
	for (int i = 0; i < n; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
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

static inline uint64_t load_le64(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline uint64_t siphash(const struct siphash_key *key, const uint8_t *p, size_t len, int c_rounds, int d_rounds)
{
	struct sip s = sip_start(key);
	uint64_t last = (uint64_t)len << 56;
	for (; len >= 8; p += 8, len -= 8)
		sip_word(&s, load_le64(p, 8), c_rounds);
	sip_word(&s, last | load_le64(p, len), c_rounds);
	return sip_end(&s, d_rounds);
}

uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len)
{
	return siphash(key, data, len, 1, 3);
}

uint64_t siphash24(const struct siphash_key *key, const void *data, size_t len)
{
	return siphash(key, data, len, 2, 4);
}

uint64_t siphash13_16(const struct siphash_key *key, uint64_t m0, uint64_t m1)
{
	struct sip s = sip_start(key);
	sip_word(&s, m0, 1);
	sip_word(&s, m1, 1);
	sip_word(&s, UINT64_C(16) << 56, 1);
	return sip_end(&s, 3);
}
