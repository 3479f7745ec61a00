/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The Internet checksum, computed whole (RFC 1071) and mended (RFC 1624).
 *
 * The sum of big-endian words may be taken in the machine's own order and
 * swapped once at the end (RFC 1071 section 2 B), and in words of any width as
 * long as carries come back in at the bottom (section 2 C). So checksum_add
 * takes headers eight bytes at a time, in two sums that do not wait for each
 * other, and long pieces in vectors.
 *
 * What always holds: a partial sum is zero only when every byte summed so far
 * was zero. Folding keeps that, so the two zeros of one's complement are never
 * mixed up here: checksum_finish gives 0xffff for all-zero data only, and
 * equation 3 of RFC 1624 gives what a sum from scratch would give, except when
 * the change leaves nothing but zeros (see rewrite.c).
 */
#include "stack/wire/checksum.h"

#include <string.h>

static inline uint64_t add_carry(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* A sum in the machine's order, folded to one big-endian word. */
static inline uint16_t fold64(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16((uint16_t)sum);
#else
	return (uint16_t)sum;
#endif
}

/* Four words of eight bytes: a vector register, or two where they are smaller. */
typedef uint64_t lanes __attribute__((vector_size(32)));

#define LONG_MIN_BYTES 128

/* The halves of 32 bits are summed apart, so a lane has no carry to lose for
 * 2^32 rounds. len: a multiple of sizeof(lanes). to: where a copy goes, NULL. */
static inline __attribute__((always_inline)) uint64_t sum_lanes(const uint8_t *p, uint8_t *to, size_t len)
{
	lanes low = { 0 }, high = { 0 };

	for (size_t i = 0; i < len; i += sizeof(lanes)) {
		lanes v;

		memcpy(&v, p + i, sizeof(v));
		if (to != NULL)
			memcpy(to + i, &v, sizeof(v));
		low += v & UINT32_MAX;
		high += v >> 32;
	}
	uint64_t sum = 0;
	for (int i = 0; i < 4; i++)
		sum = add_carry(add_carry(sum, low[i]), high[i]);
	return sum;
}

#if defined(__x86_64__)
/* Not every machine that this is built for has them, so each call asks: a load and a branch. */
#define HAS_WIDE_LANES() __builtin_cpu_supports("avx2")

__attribute__((target("avx2"))) static uint64_t add_wide(const uint8_t *p, size_t len)
{
	return sum_lanes(p, NULL, len);
}

__attribute__((target("avx2"))) static uint64_t copy_wide(const uint8_t *p, uint8_t *to, size_t len)
{
	return sum_lanes(p, to, len);
}
#else
#define HAS_WIDE_LANES() false
#define add_wide(p, len) sum_lanes(p, NULL, len)
#define copy_wide(p, to, len) sum_lanes(p, to, len)
#endif

static uint64_t add_long(const uint8_t *p, size_t len)
{
	return HAS_WIDE_LANES() ? add_wide(p, len) : sum_lanes(p, NULL, len);
}

static uint64_t copy_long(const uint8_t *p, uint8_t *to, size_t len)
{
	return HAS_WIDE_LANES() ? copy_wide(p, to, len) : sum_lanes(p, to, len);
}

/* What is short, or left of something long. */
static uint64_t add_short(const uint8_t *p, size_t len)
{
	uint64_t a = 0, b = 0;

	for (; len >= 16; p += 16, len -= 16) {
		a = add_carry(a, load64(p));
		b = add_carry(b, load64(p + 8));
	}
	if (len & 8) {
		a = add_carry(a, load64(p));
		p += 8;
	}
	if (len & 4) {
		b = add_carry(b, load32(p));
		p += 4;
	}
	if (len & 2) {
		b = add_carry(b, load16(p));
		p += 2;
	}
	if (len & 1) {
		const uint8_t last[2] = { p[0], 0 };

		b = add_carry(b, load16(last));
	}
	return add_carry(a, b);
}

static uint32_t add_folded(uint32_t sum, uint64_t more)
{
	uint64_t all = (uint64_t)sum + fold64(more);

	return (uint32_t)(all + (all >> 32));
}

uint32_t checksum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t first = 0;

	if (len >= LONG_MIN_BYTES) {
		size_t n = len / sizeof(lanes) * sizeof(lanes);

		first = add_long(p, n);
		p += n;
		len -= n;
	}
	return add_folded(sum, add_carry(first, add_short(p, len)));
}

uint32_t checksum_copy(uint32_t sum, void *to, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t *q = to;
	uint64_t first = 0;

	if (len >= LONG_MIN_BYTES) {
		size_t n = len / sizeof(lanes) * sizeof(lanes);

		first = copy_long(p, q, n);
		p += n;
		q += n;
		len -= n;
	}
	memcpy(q, p, len);
	return add_folded(sum, add_carry(first, add_short(p, len)));
}

uint32_t checksum_pseudo(uint32_t src, uint32_t dst, uint8_t proto, uint32_t l4_len)
{
	uint64_t sum = (uint64_t)src + dst + proto + l4_len;

	return (uint32_t)(sum >> 16) + (uint32_t)(sum & 0xffff);
}

uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

uint16_t checksum_finish(uint32_t sum)
{
	return (uint16_t)~checksum_fold(sum);
}

/* ~from + to, for 32 bits at once: at most 4 * 0xffff. */
static inline uint32_t delta32(uint32_t from, uint32_t to)
{
	return (~from >> 16) + (~from & 0xffff) + (to >> 16) + (to & 0xffff);
}

uint16_t checksum_update16(uint16_t check, uint16_t from, uint16_t to)
{
	return checksum_finish((uint32_t)(uint16_t)~check + (uint16_t)~from + to);
}

uint16_t checksum_update32(uint16_t check, uint32_t from, uint32_t to)
{
	return checksum_finish((uint32_t)(uint16_t)~check + delta32(from, to));
}
