/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Stamps: how a program in the kernel tells us which of a flow's packets it sent
 * up, so that we know which of them have come, and which are lost.
 *
 * No road up has room beside the frame that all drivers keep. But a frame of a
 * flow is one to our own Ethernet address, which we know; so the program writes
 * over it:
 *
 *   bytes 0, 1   a mark: random, drawn by each process, and no station's address (the group bit is set); a frame
 *                that comes with it is dropped by the program
 *   bytes 2, 3   version of the flow
 *   bytes 4, 5   number of the packet
 *
 * all as they stand in the host's memory. The device's rx takes it off; between
 * workers it travels in the frame once more.
 */
#ifndef YG_STACK_PACKET_STAMP_H
#define YG_STACK_PACKET_STAMP_H

#include <string.h>

#include "stack/packet/device.h"
#include "stack/packet/packet.h"

/* Of a frame of at least an Ethernet header that was just received by d. */
static inline void stamp_take(const struct device *d, struct packet *p)
{
	uint8_t *frame = packet_frame(p);
	uint16_t word[3];

	memcpy(word, frame, sizeof(word));
	if (word[0] != d->stamp_mark || d->stamp_mark == 0)
		return;
	p->stamp = (struct up_stamp){ .version = word[1], .number = word[2], .present = true };
	memcpy(frame, d->mac.b, sizeof(d->mac.b));
}

/* The other way round, over the frame's copy. */
static inline void stamp_put(const struct device *d, const struct up_stamp *stamp, uint8_t *frame)
{
	const uint16_t word[3] = { d->stamp_mark, stamp->version, stamp->number };

	memcpy(frame, word, sizeof(word));
}

#endif
