/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP over a path in virtual time: each flow is two stacks of libyangguan, a sender and a receiver with an ordinary
 * socket each, which know nothing of the path between them (path.h). Segments leave one by one, each is acknowledged
 * for itself (TCP_QUICKACK) unless the flow says otherwise. The same config and seed give the same run, packet by
 * packet.
 *
 * What is measured is measured on the path, not asked of the sender: rates are of IP packets, as the bottleneck's is,
 * and inflight is what is really between the ends, acknowledgements that come back counted as what they acknowledge.
 * Only `bw_bps`, `state` and the like are what a congestion control says of itself.
 *
 * Times are ns from the beginning of the run, sizes bytes of IP packets, rates bits a second.
 */
#ifndef YG_TOOLS_BBR_SIM_H
#define YG_TOOLS_BBR_SIM_H

#include <stddef.h>

#include "tools/bbr/path.h"

#define SIM_MTU 1500u
#define SIM_STEPS_MAX 4u

struct sim_flow_config {
	const char *congestion; /* as TCP_CONGESTION has it */
	uint64_t rtt_ns;        /* round trip without a queue */
	uint64_t start_ns;
	uint64_t app_bps; /* the program writes only so fast; 0: there is always more to send */
	bool delayed_ack; /* the receiver acknowledges every other segment, as it does without TCP_QUICKACK */
};

/* The state that a congestion control says it is in. SIM_STATE_NONE: it has none. The order of BBR's states is that of
 * their numbers in its fact "state". */
enum sim_state {
	SIM_STARTUP,
	SIM_DRAIN,
	SIM_DOWN,
	SIM_CRUISE,
	SIM_REFILL,
	SIM_UP,
	SIM_PROBE_RTT,
	SIM_NONE,
	N_SIM_STATES
};
extern const char *const sim_state_names[N_SIM_STATES];

/* One round trip of one flow: from when a segment left until its acknowledgement came. */
struct sim_round {
	uint32_t flow;
	uint64_t at;         /* when the acknowledgement came */
	uint64_t rtt_ns;     /* that long it took */
	uint64_t inflight;   /* when it came */
	uint64_t rate_bps;   /* at which the flow's segments arrived at the receiver meanwhile */
	uint64_t bw_bps;     /* what the sender believes of the path, in IP packets; 0: it says nothing */
	uint64_t max_bw_bps; /* ... before what losses make of it for now; bw_bps where it keeps no such thing */
	uint64_t cwnd;       /* bytes of payload */
	enum sim_state state;
};

/* Now and then. */
struct sim_tick {
	uint64_t at;
	uint64_t queue; /* waiting at the bottleneck */
	uint64_t path_rate_bps;
};

struct sim;

struct sim_config {
	struct path_config path;
	struct sim_step {
		uint64_t at_ns, rate_bps;
	} step[SIM_STEPS_MAX]; /* the rate changes; at_ns 0: no more of them */
	uint32_t n_flows;
	struct sim_flow_config flow[PATH_FLOWS_MAX];
	uint64_t seed;
	uint64_t loss_every; /* of each flow one segment with data in so many is lost, at even distances; 0: none */
	uint64_t tick_ns;    /* 0: no ticks */
	void (*round)(void *ctx, struct sim *s, const struct sim_round *r); /* NULL: nobody */
	void (*tick)(void *ctx, struct sim *s, const struct sim_tick *t);
	void *ctx;
};

/* NULL and a sentence in err: no memory, no congestion control of that name. */
struct sim *sim_create(const struct sim_config *config, char *err, size_t err_len);
void sim_destroy(struct sim *s);
/* Until so much time has passed since the beginning. False: a connection has ended in an error, *err says which. */
bool sim_run(struct sim *s, uint64_t until_ns, char *err, size_t err_len);

struct sim_count {
	uint64_t sent, sent_bytes;       /* segments with data, as they were put on the path */
	uint64_t arrived, arrived_bytes; /* at the receiver */
	uint64_t lost[N_PATH_LOSSES];
	uint64_t goodput_bytes; /* read by the receiving program, times 1500 / 1448: as IP packets that carry them */
};
struct sim_count sim_flow_count(const struct sim *s, uint32_t flow);

uint64_t sim_flow_inflight(const struct sim *s, uint32_t flow);

/* What a sender says now: as of a round, without rtt_ns and rate_bps. */
struct sim_round sim_flow_now(struct sim *s, uint32_t flow);
struct path *sim_path(struct sim *s);

#endif
