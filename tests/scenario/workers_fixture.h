/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A worker group between two ends that are nothing but functions, driven in one thread:
 * every frame enters at a worker that a seed draws, and workers take turns in a
 * drawn order. So a run repeats exactly, and no packet can count on the worker
 * that it comes in by.
 */
#ifndef YG_TESTS_SCENARIO_WORKERS_FIXTURE_H
#define YG_TESTS_SCENARIO_WORKERS_FIXTURE_H

#include <stdatomic.h>

#include "core/workers/workers.h"
#include "daemon/config/snapshot.h"
#include "base/ip4.h"
#include "base/rng.h"
#include "stack/packet/packet_fixture.h"

enum fixture_side { FIXTURE_LAN, FIXTURE_WAN, FIXTURE_LAN1, N_FIXTURE_SIDES };

#define FIXTURE_FRAME_MAX 1600

struct fixture;

/* Every IPv4 packet that leaves, parsed; the fixture's own ARP is dealt with. */
typedef void fixture_seen_fn(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
			     const struct l4_view *l4);

struct fixture_end {
	struct device device;
	struct fixture *fixture;
	uint32_t worker;
	enum fixture_side side;
};

struct fixture_frame {
	uint8_t side;
	uint16_t len;
	uint8_t bytes[FIXTURE_FRAME_MAX];
};

struct fixture {
	struct workers *workers;
	uint32_t n, n_members; /* workers; and the host, if there is one */
	struct config *config;
	struct snapshot *snapshot;
	uint64_t now;
	struct rng rng;
	uint32_t ifindex[N_FIXTURE_SIDES];
	struct fixture_end (*end)[N_FIXTURE_SIDES];
	struct fixture_frame *queue; /* a ring */
	uint32_t queue_cap, queue_first, queue_n;
	fixture_seen_fn *seen;
	void *ctx;
	uint64_t n_left[N_FIXTURE_SIDES]; /* IPv4 packets that left */
	uint64_t n_arp_replies;
	atomic_uint n_events[N_EVENT_KINDS];
	bool host_sleeps; /* it is at something else, and looks at nothing */
	/* Frames all enter here; WORKERS_MAX: anywhere. */
	uint32_t entry;
};

/* lan0 10.77.0.1/16, wan0 203.0.113.1/24, the rest behind 203.0.113.254, and these rules. FIXTURE_LAN1 is there when
 * the rules begin with a block for lan1. */
struct fixture *fixture_start(uint32_t n_workers, const char *rules, uint32_t n_connections);
/* The same with a host of its own. */
struct fixture *fixture_start_with_host(uint32_t n_workers, const char *rules, uint32_t n_connections);
/* Fails the test if the law does not hold, then ends it. */
void fixture_stop(struct fixture *r);
/* 0, or what workers_configure says. */
int fixture_reload(struct fixture *r, const char *rules);

/* Into the queue. */
void fixture_put(struct fixture *r, enum fixture_side side, const struct packet_spec *p);
/* Until nothing moves any more. */
void fixture_run(struct fixture *r);
/* A few steps only. */
void fixture_step(struct fixture *r);
/* Lets time pass. */
void fixture_wait(struct fixture *r, uint64_t ns);

void fixture_check_law(struct fixture *r);
uint64_t fixture_dropped(const struct fixture *r, enum drop_reason reason);
uint64_t fixture_dropped_all(const struct fixture *r);
/* What was dropped so far, for a test that fails. */
void fixture_print_drops(const struct fixture *r);
uint64_t fixture_handed_over(const struct fixture *r);
uint32_t fixture_n_connections(const struct fixture *r);
struct nat_pool_info fixture_pools(const struct fixture *r);
/* The IPv4 packet, and its length. Of TCP all but ports and flags (0: SYN) is filled in; the identifier of an ICMP
 * query is its sport. */
uint32_t fixture_build(const struct packet_spec *p, uint8_t *l3);

#endif
