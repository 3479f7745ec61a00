/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers in a packet where no wire struct stands: options, and fields that are changed in place. Any alignment.
 */
#ifndef YG_STACK_WIRE_BYTES_H
#define YG_STACK_WIRE_BYTES_H

#include <string.h>

#include "base/be.h"

static inline uint16_t bytes_get16(const uint8_t *at)
{
	be16 v;

	memcpy(&v, at, sizeof(v));
	return be16_get(v);
}

static inline void bytes_put16(uint8_t *at, uint16_t value)
{
	be16 v = be16_of(value);

	memcpy(at, &v, sizeof(v));
}

static inline uint32_t bytes_get32(const uint8_t *at)
{
	be32 v;

	memcpy(&v, at, sizeof(v));
	return be32_get(v);
}

static inline void bytes_put32(uint8_t *at, uint32_t value)
{
	be32 v = be32_of(value);

	memcpy(at, &v, sizeof(v));
}

/* The same, and where what follows goes. */
static inline uint8_t *bytes_add16(uint8_t *at, uint16_t value)
{
	bytes_put16(at, value);
	return at + sizeof(value);
}

static inline uint8_t *bytes_add32(uint8_t *at, uint32_t value)
{
	bytes_put32(at, value);
	return at + sizeof(value);
}

#endif
