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

enum rig_side { RIG_LAN, RIG_WAN, RIG_LAN1, N_RIG_SIDES };

#define RIG_FRAME_MAX 1600

struct rig;

/* Every IPv4 packet that leaves, parsed; the rig's own ARP is dealt with. */
typedef void rig_seen_fn(struct rig *r, enum rig_side side, struct packet *p, const struct ipv4_view *ip,
			 const struct l4_view *l4);

struct rig_end {
	struct device device;
	struct rig *rig;
	uint32_t worker;
	enum rig_side side;
};

struct rig_frame {
	uint8_t side;
	uint16_t len;
	uint8_t bytes[RIG_FRAME_MAX];
};

struct rig {
	struct workers *workers;
	uint32_t n, n_members; /* workers; and the host, if there is one */
	struct config *config;
	struct snapshot *snapshot;
	uint64_t now;
	struct rng rng;
	uint32_t ifindex[N_RIG_SIDES];
	struct rig_end (*end)[N_RIG_SIDES];
	struct rig_frame *queue; /* a ring */
	uint32_t queue_cap, queue_first, queue_n;
	rig_seen_fn *seen;
	void *ctx;
	uint64_t n_left[N_RIG_SIDES]; /* IPv4 packets that left */
	uint64_t n_arp_replies;
	atomic_uint n_events[N_EVENT_KINDS];
	bool host_sleeps; /* it is at something else, and looks at nothing */
	/* Frames all enter here; WORKERS_MAX: anywhere. */
	uint32_t entry;
};

/* lan0 10.77.0.1/16, wan0 203.0.113.1/24, the rest behind 203.0.113.254, and these rules. RIG_LAN1 is there when the
 * rules begin with a block for lan1. */
struct rig *rig_start(uint32_t n_workers, const char *rules, uint32_t n_connections);
/* The same with a host of its own. */
struct rig *rig_start_with_host(uint32_t n_workers, const char *rules, uint32_t n_connections);
/* Fails the test if the law does not hold, then ends it. */
void rig_stop(struct rig *r);
/* 0, or what workers_configure says. */
int rig_reload(struct rig *r, const char *rules);

/* Into the queue. */
void rig_put(struct rig *r, enum rig_side side, const struct packet_spec *p);
/* Until nothing moves any more. */
void rig_run(struct rig *r);
/* A few steps only. */
void rig_step(struct rig *r);
/* Lets time pass. */
void rig_wait(struct rig *r, uint64_t ns);

void rig_check_law(struct rig *r);
uint64_t rig_dropped(const struct rig *r, enum drop_reason reason);
uint64_t rig_dropped_all(const struct rig *r);
/* What was dropped so far, for a test that fails. */
void rig_print_drops(const struct rig *r);
uint64_t rig_handed_over(const struct rig *r);
uint32_t rig_n_connections(const struct rig *r);
struct nat_pool_info rig_pools(const struct rig *r);
/* The IPv4 packet, and its length. Of TCP all but ports and flags (0: SYN) is filled in; the identifier of an ICMP
 * query is its sport. */
uint32_t rig_build(const struct packet_spec *p, uint8_t *l3);

#endif
