/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Work that a sender left to the device, done in software: for a device, a
 * socket or an ICMP quote that needs a finished packet.
 */
#ifndef YG_STACK_PACKET_GSO_H
#define YG_STACK_PACKET_GSO_H

#include "stack/packet/packet.h"

/* Completes a partial checksum in place (not for large segments); csum_valid is
 * set then. Works without views too, and for the inner packet of a tunnel. False,
 * and nothing done, when there is none or its place is outside the frame. */
bool offload_finish_checksum(struct packet *p);

/* True when the frame's offload fields agree with its headers and length: a
 * frame whose sender lies about them is not passed on to a driver. Wants the
 * views of ip_input. A partial checksum that is not the packet's own TCP's or
 * UDP's (csum_start other than l4_off: a tunnel's inner packet) is not sane; it is
 * right after offload_finish_checksum. */
bool offload_sane(const struct packet *p);

/* IPv4 bytes of the largest segment that p becomes on the wire: total_len for an
 * ordinary packet, headers + gso_size for a large segment. */
uint32_t offload_segment_len(const struct packet *p);

/* Cuts one large segment into ordinary frames with finished checksums, appended to out as far as it has room;
 * segments are counted: n_pieces_made grows by segments - 1. *large is NULL when it was used up (freed); else it keeps
 * the rest, still a large segment, for the next call with a batch that has room (an MSS under 1,024 makes more of 64 KB
 * than a batch takes). Returns the number appended; 0 and *large untouched when out is full or a buffer is missing.
 * TCP: sequence numbers, IP id + 1 a segment, FIN and PSH on the last only, CWR on the first only. The packet is sane;
 * its bytes may be external. */
uint32_t gso_segment_some(struct packet_pool *pool, struct ledger *ledger, struct packet **large, struct batch *out);

/* Segments that it would make with room for all. */
uint32_t gso_n_segments(const struct packet *p);

#endif
