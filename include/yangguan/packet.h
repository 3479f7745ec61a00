/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets of a stack: given to it by yg_input, given by it to the output slot. Whoever
 * has one gives it on or frees it, once.
 */
#ifndef YANGGUAN_PACKET_H
#define YANGGUAN_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include <yangguan/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_stack;
struct yg_packet;

/* Bytes that must stand before a packet's own in what is given to yg_packet_wrap. */
#define YG_HEADROOM 16

/* Room for len bytes, at most 65,535 behind an Ethernet header, which are not cleared. NULL: no memory, which counts as a
 * packet that came and was dropped (no-buffer). */
YG_API struct yg_packet *yg_packet_alloc(struct yg_stack *stack, size_t len);
/* A packet around bytes of the caller's: len of them at offset (YG_HEADROOM at least) in a buffer of size bytes, all of
 * which may be written. release is called once, when nobody needs them any more, also when the packet is dropped. NULL, and
 * the bytes are the caller's still: of another length than may be, or no memory, which counts as with yg_packet_alloc. */
YG_API struct yg_packet *yg_packet_wrap(struct yg_stack *stack, void *buffer, size_t size, size_t offset, size_t len,
					void (*release)(void *ctx, uint64_t cookie), void *ctx, uint64_t cookie);
YG_API void yg_packet_free(struct yg_stack *stack, struct yg_packet *packet);

/* The packet's bytes: from its IP header on, or of a stack with Ethernet from that. What the output slot is given is not
 * to be written: it may be sent again. */
YG_API uint8_t *yg_packet_data(struct yg_packet *packet, const struct yg_stack *stack);
YG_API size_t yg_packet_len(const struct yg_packet *packet, const struct yg_stack *stack);

/* Work that a stack left to its device, or a device to the stack (as virtio_net_hdr has it). Offsets are from
 * yg_packet_data. */
struct yg_offload {
	uint8_t checksum_partial; /* the sum of the pseudo header stands at checksum_start + checksum_offset */
	uint8_t checksum_valid;   /* it was checked */
	uint8_t is_large;         /* 1: TCP, to be cut into segments of segment_size; 2: UDP, likewise */
	uint16_t checksum_start, checksum_offset;
	uint16_t segment_size;
};
YG_API void yg_packet_offload(const struct yg_packet *packet, const struct yg_stack *stack, struct yg_offload *out);
YG_API void yg_packet_set_offload(struct yg_packet *packet, const struct yg_stack *stack,
				  const struct yg_offload *offload);

#ifdef __cplusplus
}
#endif

#endif
