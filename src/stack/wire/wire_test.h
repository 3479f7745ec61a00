/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the unit tests of this room share.
 */
#ifndef YG_STACK_WIRE_WIRE_TEST_H
#define YG_STACK_WIRE_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"

/* A copy with nothing behind it, so that AddressSanitizer sees a read past its
 * end. */
static inline uint8_t *exact_copy(const void *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

/* The checksum as RFC 1071 section 4.1 describes it, a byte at a time. */
static inline uint16_t naive_checksum(uint64_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint64_t)p[i] << (i % 2 == 0 ? 8 : 0);
	while (sum > 0xffff)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

static inline uint64_t naive_pseudo(uint32_t src, uint32_t dst, uint8_t proto, size_t len)
{
	return (uint64_t)(src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + proto + len;
}

static inline struct rng test_rng(uint8_t n)
{
	const uint8_t seed[RNG_SEED_BYTES] = { n };
	struct rng r;

	rng_init(&r, seed);
	return r;
}

static inline void random_bytes(struct rng *r, uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)rng_u32(r);
}

/* Words that the two zeros of one's complement depend on, more often than
 * chance brings them. */
static inline uint16_t corner16(struct rng *r)
{
	switch (rng_below(r, 4)) {
	case 0:
		return 0;
	case 1:
		return 0xffff;
	default:
		return (uint16_t)rng_u32(r);
	}
}

static inline uint32_t corner32(struct rng *r)
{
	uint32_t high = corner16(r);

	return high << 16 | corner16(r);
}

#endif
