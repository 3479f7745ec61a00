/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Captured packets on their way from the host's thread to the control thread, in memory of a
 * size that is fixed when the capture begins. What finds no room is lost, by count.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_CAPTURE_RING_H
#define YG_DAEMON_CONTROL_COMMANDS_CAPTURE_RING_H

#include "stack/transport/capture.h"

struct capture_ring;

struct captured {
	uint64_t at;        /* ns of the core's clock */
	uint64_t n_missing; /* lost just before it */
	uint32_t len;
	bool is_out;
	char comment[CAPTURE_COMMENT_MAX]; /* "": none */
};

/* NULL without memory. */
struct capture_ring *capture_ring_create(void);
void capture_ring_destroy(struct capture_ring *r);

/* The host's thread: a copy of it. */
void capture_ring_put(struct capture_ring *r, const struct capture_packet *p);
/* The control thread: the oldest, and it is taken; false: there is none. */
bool capture_ring_take(struct capture_ring *r, struct captured *out, uint8_t bytes[CAPTURE_BYTES_MAX]);
/* Any thread: how many were lost so far. */
uint64_t capture_ring_lost(const struct capture_ring *r);

#endif
