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
/* Exactly 16 bytes given as two words (little-endian loads), inlined rounds. */
uint64_t siphash13_16(const struct siphash_key *key, uint64_t m0, uint64_t m1);

#endif
