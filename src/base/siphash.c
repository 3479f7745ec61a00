/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SipHash-c-d: c rounds for each word of 8 bytes, d at the end (Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF", section 2). The last word holds
 * what is left of the message and, in its top byte, the length modulo 256.
 */
#include "base/siphash.h"

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
