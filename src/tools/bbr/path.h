/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A path in virtual time: one bottleneck that several flows share, and a round trip of its own for each flow.
 *
 *   sender --> policer --> random loss --> FIFO buffer --> rate --> half a round trip --> receiver
 *          <-- half a round trip <-- acknowledgements (all at once now and then, if so asked) <--
 *
 * The path looks at no packet: whoever puts one in says how long it is, and gets it back where it ends, or is told that
 * it was lost. All that is random comes from the seed, one number a packet, so a run repeats exactly. Sizes are bytes
 * of IP packets, times ns.
 */
#ifndef YG_TOOLS_BBR_PATH_H
#define YG_TOOLS_BBR_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

#define PATH_FLOWS_MAX 16u

struct path_config {
	uint64_t rate_bps;            /* bits a second; not 0 */
	uint64_t buffer_bytes;        /* of what waits, besides the packet that is being sent */
	uint32_t loss_ppm;            /* millionths of the packets, each for itself, before the buffer */
	uint64_t policer_bps;         /* token bucket before all that: bits a second; 0: none */
	uint64_t policer_burst_bytes; /* what the bucket holds; it is full at first */
	uint64_t ack_batch_ns; /* acknowledgements leave the receiver's side only at multiples of this; 0: at once */
};

enum path_end { PATH_TO_RECEIVER, PATH_TO_SENDER };
enum path_loss { PATH_LOST_RANDOM, PATH_LOST_BUFFER, PATH_LOST_POLICER, N_PATH_LOSSES };

struct path_packet {
	void *packet;
	uint64_t at; /* the path's own: when it arrives */
	uint32_t len;
	uint32_t payload; /* the caller's own */
	uint16_t flow;
	uint8_t flags; /* the caller's own */
	bool spared;   /* random loss passes it by */
};

struct path;

/* rtt_ns: n_flows of them, each flow's round trip without a queue and without the time that sending takes. NULL: no
 * memory.
 */
struct path *path_create(const struct path_config *config, const uint64_t *rtt_ns, uint32_t n_flows,
			 const uint8_t seed[RNG_SEED_BYTES]);
/* What is still on the way is handed to lose first. */
void path_destroy(struct path *p, void (*lose)(void *ctx, const struct path_packet *k, enum path_end end), void *ctx);

/* True: it is on its way. False: it was lost, by *why, and is still the caller's. */
bool path_send(struct path *p, const struct path_packet *k, uint64_t now, enum path_loss *why);
/* Towards the sender: nothing is lost there, nothing waits. */
void path_send_back(struct path *p, const struct path_packet *k, uint64_t now);

/* When something happens next; TIME_NEVER. */
uint64_t path_next(const struct path *p);
/* Takes one packet that has arrived by now; false: none has. Packets that arrive at the same time come in one order,
 * always the same. */
bool path_receive(struct path *p, uint64_t now, struct path_packet *k, enum path_end *end);

/* The rate changes: for the packets that begin to be sent from now on. */
void path_set_rate(struct path *p, uint64_t rate_bps, uint64_t now);
uint64_t path_rate(const struct path *p);
/* Bytes that wait, without the packet that is being sent. */
uint64_t path_queue(const struct path *p);

#endif
