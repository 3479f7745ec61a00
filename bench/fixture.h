/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A whole gateway in memory between two devices that are as thin as a device can
 * be: they give the frames of a ring and take them back. So what is measured is
 * the way of a packet from receive to send and nothing else.
 */
#ifndef YG_BENCH_FIXTURE_H
#define YG_BENCH_FIXTURE_H

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "base/util.h"

/* Frames that are made beforehand and then go through in one go: as many as the ring of a NIC. They lie densely, in a
 * cache line each with its neighbour line for headroom. */
#define FIXTURE_RING 2048u
#define FIXTURE_BATCHES (FIXTURE_RING / BATCH_MAX)
#define FIXTURE_SLOT_BYTES 128u
#define FIXTURE_HEADROOM 64u
/* Without the four bytes of the frame check sequence: a frame of 64 bytes. */
#define FIXTURE_FRAME_BYTES 60u

enum fixture_side { FIXTURE_LAN, FIXTURE_WAN, N_FIXTURE_SIDES };

/* What a flow's packets look like outside. */
struct fixture_outside {
	uint32_t addr;
	uint16_t port;
};

struct fixture;

struct fixture_port {
	struct device device;
	struct fixture *fixture;
	enum fixture_side side;
	uint32_t ifindex;
	uint64_t n_sent;
	uint32_t asked; /* address that an ARP request wants, 0: none */
};

struct fixture {
	struct gateway *gw;
	struct config *config;
	struct snapshot *snapshot;
	struct fixture_port port[N_FIXTURE_SIDES];
	uint8_t proto;
	uint64_t now, step_ns; /* the gateway's clock, and what a batch moves it by */
	uint8_t *ring;
	enum fixture_side batch_side[FIXTURE_BATCHES];
	uint32_t ring_batches; /* made */
	uint32_t max_flows;
	uint64_t n_flows;
	struct fixture_outside *outside;  /* by flow */
	uint32_t (*seq)[N_FIXTURE_SIDES]; /* TCP: the next sequence number of each side, by flow */
	uint64_t random;
	bool unsent; /* frames are made that the gateway does not get */
};

/* Room for capacity connections; the first max_flows can be talked on. udp_timeout_s: 0 is the default. Ends the
 * program when it cannot be made. */
struct fixture *fixture_start(uint8_t proto, uint32_t capacity, uint32_t max_flows, uint32_t udp_timeout_s);
/* Ends the program when a packet was lost on the way, or is not accounted for. */
void fixture_stop(struct fixture *r);

/* A flow's tuple as its packets from that side come in. */
struct tuple fixture_flow_tuple(const struct fixture *r, uint64_t flow, enum fixture_side from);
/* Uniform below n. */
uint32_t fixture_random(struct fixture *r, uint32_t n);
/* Puts a packet of the flow into the ring: to, from its client, or back. tcp_flags 0: plain data. */
void fixture_frame(struct fixture *r, uint32_t at, uint64_t flow, enum fixture_side from, uint8_t tcp_flags);
/* Fills the ring with packets of random flows, batches from both sides in turn. */
void fixture_fill_random(struct fixture *r);
/* The same for somebody else than the gateway: as far as the flows go, nothing was sent. */
void fixture_fill_unsent(struct fixture *r);
/* ... and with the first packets of flows that are not there yet. */
void fixture_fill_new(struct fixture *r);
static inline const uint8_t *fixture_frame_at(const struct fixture *r, uint32_t at)
{
	return r->ring + (size_t)at * FIXTURE_SLOT_BYTES + FIXTURE_HEADROOM;
}

/* What is measured: all batches of the ring through the gateway, with the timers that are due. */
void fixture_run(struct fixture *r);

/* n more flows, established: known in both directions, and each direction has gone its way once more. */
void fixture_establish(struct fixture *r, uint32_t n);

#endif
