/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames whose TCP or UDP checksum was left to a device, told by their bytes
 * alone: for drivers that pass frames on without that note.
 */
#ifndef YG_STACK_WIRE_PARTIAL_H
#define YG_STACK_WIRE_PARTIAL_H

#include <stdbool.h>
#include <stdint.h>

/* True when the transport checksum of this Ethernet frame is the bare sum of
 * the pseudo header (folded, not complemented) and is not right as it stands.
 * *start: of the transport header from the frame's start; *offset: of the field
 * from there. Any bytes may be given. */
bool partial_find(const uint8_t *frame, uint32_t len, uint16_t *start, uint16_t *offset);

#endif
