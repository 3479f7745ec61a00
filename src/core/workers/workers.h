/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A worker group: the cores of several workers that act as one gateway. Every packet has
 * one owner, named by one pure function of the packet; a worker that received a
 * packet of somebody else hands it over through a ring. So each connection,
 * mapping and limit lives in one core, and no core ever locks.
 *
 * The owner of a packet (owner.h):
 *   to an address of NAT's   a byte for each block of 64 ports of it: the worker that has the block
 *   from an inside interface by a hash of the source, from an outside one of the destination,
 *                            so that all of an inside host is in one place
 *   ICMP errors              as the packet that they quote, turned round
 *   fragments                by source, destination, id and protocol, then where their flow is
 * A connection whose answers come in elsewhere by that function (destination NAT, routing between
 * two inside hosts) leaves a redirect there: tuple -> worker. Redirects travel through rings of
 * their own, which a worker reads before it judges a packet, and so ahead of the packet that makes
 * them necessary.
 *
 * Blocks of 64 ports move between workers; when none is free, the worker that still has a free
 * port makes the connection and the asker keeps a redirect. So every port can be used with any
 * number of workers. Endpoint-independent mappings keep to this too: all of an inside endpoint
 * follows its mapping, and in a hairpin the sender's mapping is leased to the worker of the receiver's.
 *
 * Which interfaces are outside is what the rules of source NAT name with oifname (core_config.outside).
 * All connections through a published port are at one worker, the one with the port's block.
 *
 * Limits: connections by source are exact for hosts inside; each worker sends its share of the rate
 * of ICMP errors; a `limit` in a rule counts in each worker by itself, so N of them let through up to
 * N times as much. A packet for which another worker is asked for a port passes the rules of both.
 *
 * The host (sockets, and what stands on them) is one more member, without devices (host.c): what is addressed
 * to us is handed to it behind INPUT, by the worker that has its connection, and what it sends goes to that worker.
 *
 * A worker group has no thread of its own: each worker's thread calls the functions below for its own
 * number, and only that thread touches that core. Rings have one producer and one consumer.
 * With one worker nothing of this is in the way: workers_input is gateway_input.
 */
#ifndef YG_CORE_WORKERS_WORKERS_H
#define YG_CORE_WORKERS_WORKERS_H

#include "core/gateway.h"

#define WORKERS_MAX 64

struct workers;

/* n cores with the same limits (tables are divided between them), seeds derived from seed. */
struct workers *workers_create(uint32_t n, const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES],
			       uint64_t now, event_fn *emit, void *const emit_ctx[]);
/* The host on a thread of its own (host.c): member workers_n(c), for the functions below that take a worker.
 * Before the threads start; without it each core is host for what it receives, and sockets are those of core 0, which
 * has none from here on. limits: of its packets and sockets. 0 or -ENOMEM. */
int workers_add_host(struct workers *c, const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES],
		     uint64_t now, event_fn *emit, void *emit_ctx);
void workers_destroy(struct workers *c);
uint32_t workers_n(const struct workers *c);
struct gateway *workers_gateway(struct workers *c, uint32_t worker);

/* All workers quiesced: before the threads start, or with each of them stopped between two batches.
 * 0, or -errno and no core has changed. */
int workers_configure(struct workers *c, const struct core_config *cfg, uint64_t now);
/* Likewise: sees what is on its way between workers to its end. No packet lies in memory of another worker then. */
void workers_drain(struct workers *c, uint64_t now);

/* Likewise: the host is shown what has been attached to the workers (NULL: nothing any more), or how it has changed. */
void workers_show_device(struct workers *c, uint32_t ifindex, const struct device *d, uint64_t now);

/* Likewise: what is on its way. Handed over (of all) + n_external = taken over (of all) + n_waiting. */
struct workers_between {
	uint64_t n_waiting;  /* in rings */
	uint64_t n_external; /* went by their address and are not back yet */
	/* Not packets. */
	uint64_t n_asked;          /* new connections for which another worker was asked for a port */
	uint64_t n_redirects_lost; /* redirects that found no room: what they would have led meets nobody */
};
void workers_between(struct workers *c, struct workers_between *out);

/* --- by the thread of `worker` --- */

/* Packets received on ifindex by this worker's device. */
void workers_input(struct workers *c, uint32_t worker, uint32_t ifindex, struct batch *b, uint64_t now);
/* What others have handed over: packets, redirects, blocks, buffers that come back. Returns how much there was. */
uint32_t workers_poll(struct workers *c, uint32_t worker, uint64_t now);
void workers_expire(struct workers *c, uint32_t worker, uint64_t now);
uint64_t workers_next_deadline(const struct workers *c, uint32_t worker);
/* After calling into the core directly: sends what waits, and wakes who was given something. */
void workers_flush(struct workers *c, uint32_t worker, uint64_t now);

/* Called by a producer when a ring that was empty no longer is: wakes that worker. */
typedef void workers_wake_fn(void *ctx, uint32_t worker);
void workers_set_wake(struct workers *c, workers_wake_fn *fn, void *ctx);

#endif
