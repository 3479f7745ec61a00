/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the fuzz targets of src/stack/wire share: a check that ends the run, input
 * taken piece by piece, and memory that ends where the bytes do.
 */
#ifndef YG_FUZZ_WIRE_FUZZ_H
#define YG_FUZZ_WIRE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/be.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/rewrite.h"

#define FUZZ_CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
	const uint8_t *p;
	size_t n_left;
};

/* The next number; zero when the input is used up. */
static inline uint32_t fuzz_take(struct fuzz_input *in, size_t n_bytes)
{
	uint32_t v = 0;

	for (; n_bytes > 0 && in->n_left > 0; n_bytes--, in->n_left--)
		v = v << 8 | *in->p++;
	return v;
}

static inline uint8_t *fuzz_copy(const void *data, size_t len)
{
	uint8_t *copy = calloc(1, len > 0 ? len : 1);

	FUZZ_CHECK(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

static inline uint16_t fuzz_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void fuzz_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Sums a byte at a time, for comparison. */
static inline uint16_t fuzz_naive_sum(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (uint64_t)p[i] << (i % 2 == 0 ? 8 : 0);
	while (sum > 0xffff)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/* Gives an IPv4 header a right checksum if it is all there, so that the fuzzer
 * need not guess it. */
static inline void fuzz_mend_header(uint8_t *p, size_t len)
{
	if (len < IPV4_HEADER_LEN)
		return;
	size_t header_len = (size_t)(p[0] & 0xf) * 4;
	if (header_len < IPV4_HEADER_LEN || header_len > len)
		return;
	fuzz_put16(p + 10, 0);
	fuzz_put16(p + 10, (uint16_t)~fuzz_naive_sum(p, header_len));
}

#endif
