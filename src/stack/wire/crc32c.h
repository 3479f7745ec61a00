/* SPDX-License-Identifier: BSD-2-Clause
 *
 * CRC32c (Castagnoli), the checksum of SCTP (RFC 9260 section 6.8, appendix A),
 * and its change under a change of the first bytes.
 */
#ifndef YG_STACK_WIRE_CRC32C_H
#define YG_STACK_WIRE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The state begins as CRC32C_START, takes pieces one behind the other, and is complemented at the end. */
#define CRC32C_START UINT32_MAX
uint32_t crc32c_add(uint32_t state, const void *data, size_t len);

/* What a CRC changes by (exclusive or) when the first four bytes of a message change by `delta` (exclusive or, as they
 * stand in memory order: the first byte is the highest of delta) and n_behind bytes follow them. */
uint32_t crc32c_delta(uint32_t delta, size_t n_behind);

#endif
