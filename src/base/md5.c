/* SPDX-License-Identifier: BSD-2-Clause
 *
 * MD5, RFC 1321: blocks of 64 bytes, four rounds of 16 steps each (section 3.4).
 */
#include "base/md5.h"

#include <string.h>

#include "base/util.h"

/* T of section 3.4: the whole part of 2^32 * |sin(i + 1)|. */
static const uint32_t sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};
/* Of round i / 16, step i % 4. */
static const uint8_t shifts[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };

static uint32_t rotl(uint32_t v, uint32_t by)
{
	return v << by | v >> (32 - by);
}

static uint32_t word_at(const uint8_t *block, uint32_t i)
{
	const uint8_t *b = block + 4 * (i % 16);

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void take_block(uint32_t state[4], const uint8_t *block)
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];

	for (uint32_t i = 0; i < 64; i++) {
		uint32_t f, k;

		if (i < 16) {
			f = (b & c) | (~b & d);
			k = i;
		} else if (i < 32) {
			f = (b & d) | (c & ~d);
			k = 5 * i + 1;
		} else if (i < 48) {
			f = b ^ c ^ d;
			k = 3 * i + 5;
		} else {
			f = c ^ (b | ~d);
			k = 7 * i;
		}
		uint32_t next = b + rotl(a + f + word_at(block, k) + sines[i], shifts[i / 16][i % 4]);

		a = d;
		d = c;
		c = b;
		b = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

void md5_begin(struct md5 *m)
{
	static const uint32_t start[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };

	memcpy(m->state, start, sizeof(start));
	m->len = 0;
}

void md5_add(struct md5 *m, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		size_t have = m->len % sizeof(m->block);
		size_t take = len < sizeof(m->block) - have ? len : sizeof(m->block) - have;

		memcpy(m->block + have, at, take);
		m->len += take;
		at += take;
		len -= take;
		if (m->len % sizeof(m->block) == 0)
			take_block(m->state, m->block);
	}
}

/* A bit, zeros, and the length in bits, so that it all is whole blocks (sections 3.1, 3.2). */
void md5_end(struct md5 *m, uint8_t out[MD5_BYTES])
{
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = m->len * 8;
	uint8_t length[8];

	md5_add(m, padding, 1 + (sizeof(m->block) + 55 - m->len % sizeof(m->block)) % sizeof(m->block));
	for (uint32_t i = 0; i < sizeof(length); i++)
		length[i] = (uint8_t)(bits >> 8 * i);
	md5_add(m, length, sizeof(length));
	for (uint32_t i = 0; i < MD5_BYTES; i++)
		out[i] = (uint8_t)(m->state[i / 4] >> 8 * (i % 4));
}
