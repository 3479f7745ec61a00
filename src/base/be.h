/* SPDX-License-Identifier: BSD-2-Clause
 *
 * be16, be32: numbers as they stand in a packet (network byte order).
 *
 * They are structs over bytes, so that the compiler refuses to add, compare or
 * assign them as numbers. Only the getters and makers below convert. Rule of
 * the house: big-endian types occur in wire structs only; everything behind the
 * parser (views, tuples, routes, rules) is a plain integer in host order, also
 * an IPv4 address (10.0.0.1 is 0x0a000001).
 */
#ifndef YG_BASE_BE_H
#define YG_BASE_BE_H

#include <stdint.h>
#include <string.h>

typedef struct {
	uint8_t b[2];
} be16;

typedef struct {
	uint8_t b[4];
} be32;

/* Swapped as a number and written at once: of single bytes GCC puts a header together by shifts, three times as many
 * instructions. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BE16(v) __builtin_bswap16(v)
#define BE32(v) __builtin_bswap32(v)
#else
#define BE16(v) (v)
#define BE32(v) (v)
#endif

_Static_assert(sizeof(be16) == 2 && _Alignof(be16) == 1, "be16 is two bytes, anywhere");
_Static_assert(sizeof(be32) == 4 && _Alignof(be32) == 1, "be32 is four bytes, anywhere");

static inline uint16_t be16_get(be16 v)
{
	return (uint16_t)((v.b[0] << 8) | v.b[1]);
}

static inline be16 be16_of(uint16_t v)
{
	uint16_t n = BE16(v);
	be16 be;

	memcpy(&be, &n, sizeof(be));
	return be;
}

static inline uint32_t be32_get(be32 v)
{
	return ((uint32_t)v.b[0] << 24) | ((uint32_t)v.b[1] << 16) | ((uint32_t)v.b[2] << 8) | v.b[3];
}

static inline be32 be32_of(uint32_t v)
{
	uint32_t n = BE32(v);
	be32 be;

	memcpy(&be, &n, sizeof(be));
	return be;
}

#endif
