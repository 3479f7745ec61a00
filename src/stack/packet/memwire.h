/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The in-memory wire: two devices joined back to back on a virtual clock, each
 * direction with a rate, a delay, a queue, loss, duplication and reordering. All
 * of it is drawn from a seed, so a run repeats exactly; each direction draws from
 * a stream of its own, the same three numbers a frame whatever the config is, so
 * that a changed rate or delay does not change which frames are lost.
 *
 * A frame sent at t leaves the queue when the frames before it have been
 * clocked out at `rate`, and arrives `delay` later; a reordered one arrives
 * `reorder_delay` later still, so that others overtake it. A duplicate arrives
 * right behind its original.
 */
#ifndef YG_STACK_PACKET_MEMWIRE_H
#define YG_STACK_PACKET_MEMWIRE_H

#include "base/rng.h"
#include "stack/packet/device.h"

struct memwire_config {
	uint64_t rate_bps; /* of frame bytes; 0: no limit */
	uint64_t delay_ns;
	uint32_t queue_packets; /* at most so many not yet received; 0: 1024 */
	uint32_t loss_ppm;      /* millionths */
	uint32_t duplicate_ppm;
	uint32_t reorder_ppm;
	uint64_t reorder_delay_ns;
	uint32_t mtu;  /* 0: 1500 */
	uint32_t caps; /* DEVICE_CAP_* that the ends claim */
};

struct memwire;

/* ab: from end 0 to end 1, ba: back. NULL without memory. */
struct memwire *memwire_create(const struct memwire_config *ab, const struct memwire_config *ba,
			       const uint8_t seed[RNG_SEED_BYTES]);
void memwire_destroy(struct memwire *w);
/* The device at end 0 or 1. The two may use different packet pools: a frame is
 * copied from the sender's into the receiver's when it is received. The owner
 * sets pool and ledger, and may set name, mac and up; closing an end takes it down.
 * Frames that arrive at an end that is down are lost, and counted so. */
struct device *memwire_end(struct memwire *w, uint32_t end);
/* The clock of both ends. Time never goes back. */
void memwire_set_time(struct memwire *w, uint64_t now);
/* When the next frame arrives at either end (in the past: it waits for rx); TIME_NEVER if none is on the way. */
uint64_t memwire_next(const struct memwire *w);
/* Frames on the way in both directions. They were `handed` at the sender, so no ledger counts
 * them until they are received; loss and queue drops appear here. */
uint32_t memwire_in_flight(const struct memwire *w);
uint64_t memwire_lost(const struct memwire *w);
uint64_t memwire_overflowed(const struct memwire *w);
/* Frames that came into being on the way. So, in frames: handed by both ends +
 * duplicated = received by both + lost + overflowed + in flight. */
uint64_t memwire_duplicated(const struct memwire *w);

#endif
