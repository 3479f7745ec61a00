/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 * Sums are 32-bit partial sums of big-endian 16-bit words, not complemented;
 * only checksum_finish folds and complements.
 */
#ifndef YG_STACK_WIRE_CHECKSUM_H
#define YG_STACK_WIRE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Adds len bytes to a partial sum; an odd last byte counts as its high half,
 * so only the last piece of a message may have an odd length. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);
/* The same, and the bytes are copied to `to` on the way: one pass over them. They do not overlap. */
uint32_t checksum_copy(uint32_t sum, void *to, const void *data, size_t len);
/* The sum over an IPv4 header without options, 20 bytes that are not all zero, in the machine's own order (a sum is as
 * right swapped, RFC 1071 section 2 B), folded; 0 for 0xffff. */
static inline uint16_t checksum_plain_header(const uint8_t *header)
{
	uint64_t a, b;
	uint32_t last;

	memcpy(&a, header, sizeof(a));
	memcpy(&b, header + 8, sizeof(b));
	memcpy(&last, header + 16, sizeof(last));
	/* Folding is the remainder by 65,535; a compiler makes a multiplication of it. */
	return (uint16_t)(((a >> 32) + (a & UINT32_MAX) + (b >> 32) + (b & UINT32_MAX) + last) % 0xffff);
}
static inline bool checksum_plain_header_ok(const uint8_t *header)
{
	return checksum_plain_header(header) == 0;
}
/* The pseudo header of TCP and UDP: addresses, protocol, length in bytes. */
uint32_t checksum_pseudo(uint32_t src, uint32_t dst, uint8_t proto, uint32_t l4_len);
/* Folded to 16 bits, not complemented. */
uint16_t checksum_fold(uint32_t sum);
/* Folded and complemented: what stands in a header. */
uint16_t checksum_finish(uint32_t sum);

/* A checksum field (host order) after 16- or 32-bit words under it changed
 * (RFC 1624 equation 3). */
uint16_t checksum_update16(uint16_t check, uint16_t from, uint16_t to);
uint16_t checksum_update32(uint16_t check, uint32_t from, uint32_t to);

#endif
