/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A source of hostile traffic, the same for the same seed: conversations that
 * make sense (so that tables fill and states move), and every sort of damage
 * done to them.
 */
#ifndef YG_TESTS_HOSTILE_H
#define YG_TESTS_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "stack/wire/ether.h"

#define HOSTILE_FRAME_MAX 4096
#define HOSTILE_MEMORY 64

struct hostile_side {
	struct ether_addr gateway_mac; /* where frames of this side go */
	uint32_t net;                  /* addresses net + 1 ... net + n_hosts */
	uint32_t n_hosts;
	uint32_t gateway; /* the gateway's own address here */
};

struct hostile {
	struct rng rng;
	struct hostile_side side[2];
	/* The last frames that the gateway sent to each side: what a peer would answer. */
	struct {
		uint32_t len;
		uint8_t frame[HOSTILE_FRAME_MAX];
	} seen[2][HOSTILE_MEMORY];
	uint32_t n_seen[2];
	uint64_t n_mutated;
};

void hostile_init(struct hostile *h, const uint8_t seed[RNG_SEED_BYTES]);
/* Tells it what the gateway sent to a side. */
void hostile_see(struct hostile *h, int side, const uint8_t *frame, size_t len);
/* The next frame to come in from a side; returns its length. */
size_t hostile_next(struct hostile *h, int side, uint8_t out[HOSTILE_FRAME_MAX]);

#endif
