/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A source of ordinary traffic through a translating gateway, the same for the
 * same seed: TCP connections that open, talk and end, UDP both ways, pings; now
 * and then what is not plain (fragments, options, large segments, checksums left
 * to the device, retransmissions, segments out of window).
 */
#ifndef YG_TESTS_FLOWS_H
#define YG_TESTS_FLOWS_H

#include "base/rng.h"
#include "stack/packet/packet.h"

#define FLOWS_MAX 64
#define FLOWS_FRAME_MAX 30000

enum { FLOWS_IN, FLOWS_OUT, N_FLOWS_SIDES }; /* the sides: hosts inside, servers outside */

struct flow {
	uint8_t proto, phase;
	uint32_t inside, outside, mapped; /* mapped: as which the outside sees the inside, 0: not known yet */
	uint16_t inside_port, outside_port, mapped_port;
	uint32_t seq[N_FLOWS_SIDES];
	uint32_t n_sent, n_until_end;
};

struct flows {
	struct rng rng;
	struct ether_addr gateway_mac[N_FLOWS_SIDES];
	struct ether_addr mac[N_FLOWS_SIDES][16]; /* of the hosts, by the low bits of their addresses */
	uint32_t inside_net, outside_net;
	/* The server behind the addresses outside_net + 0x100 and on, but for pings: the gateway translates them.
	 * 0: each is a server itself. */
	uint32_t server;
	uint32_t n_flows;
	uint16_t next_port;
	struct flow flow[FLOWS_MAX];
};

struct flows_frame {
	uint32_t len;
	struct offload offload;
	uint8_t bytes[FLOWS_FRAME_MAX];
};

void flows_init(struct flows *f, const uint8_t seed[RNG_SEED_BYTES], uint32_t n_flows);
/* What the gateway sent to a side. */
void flows_see(struct flows *f, int side, const uint8_t *frame, size_t len);
/* Frames to come in from a side, at most max (at least 2); returns how many. */
uint32_t flows_next(struct flows *f, int side, struct flows_frame *out, uint32_t max);
/* A host of the side says which address it has; changed: a new one. */
enum flows_arp { FLOWS_ARP_SAME, FLOWS_ARP_CHANGED };
void flows_arp(struct flows *f, int side, uint32_t target, enum flows_arp how, struct flows_frame *out);

#endif
