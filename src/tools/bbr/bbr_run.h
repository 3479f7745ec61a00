/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One run of `yangguan bbr`: what it was asked for, what came of it, and how that is shown.
 */
#ifndef YG_TOOLS_BBR_BBR_RUN_H
#define YG_TOOLS_BBR_BBR_RUN_H

#include <stdio.h>

#include "tools/bbr/sim.h"

/* What was asked for. */
struct bbr_ask {
	struct sim_config sim;
	double buffer_bdp;          /* of the first flow's round trip at the first rate */
	uint64_t from_ns, until_ns; /* what is measured; the run ends there */
	bool json, rounds;
	uint64_t trace_ns, trace_from_ns,
		trace_until_ns; /* with json: the time lines, a point each trace_ns; 0: none */
	double speed;           /* of the live picture: virtual seconds a second */
};

/* Sizes of these are in BDPs of the flow's own round trip at the rate of that moment. */
struct bbr_flow_result {
	double rate_bps, share; /* of the path's mean rate meanwhile */
	double inflight;        /* mean */
	double rtt_ratio;       /* mean round trip / the one without a queue */
	double lost;            /* of the segments that it sent */
	double power;           /* share / rtt_ratio: 1 is Kleinrock's optimum */
	uint64_t sent;
};
struct bbr_result {
	double queue_mean, queue_median, queue_95, queue_max; /* BDP of the first flow */
	double path_bps;
	struct bbr_flow_result flow[PATH_FLOWS_MAX];
	uint64_t lost[N_PATH_LOSSES];
	uint64_t n_rounds[PATH_FLOWS_MAX][N_SIM_STATES];
};

/* What is kept while it runs. */
struct bbr_run {
	const struct bbr_ask *ask;
	struct sim *sim;
	float *queue; /* of each tick that is measured, in BDP */
	size_t n_queue, room;
	double path_bits, queue_sum;             /* over these ticks */
	double inflight_sum[PATH_FLOWS_MAX];     /* BDP */
	double rtt_sum[PATH_FLOWS_MAX];          /* ratio */
	struct sim_count before[PATH_FLOWS_MAX]; /* of what came before what is measured */
	uint64_t n_rounds[PATH_FLOWS_MAX][N_SIM_STATES];
	uint64_t trace_next;
	struct plane *plane;       /* NULL: nothing is drawn */
	bool has_round, has_trace; /* of JSON: a comma comes first */
};

/* The whole run. Errors go to stderr; the exit status. */
int bbr_run(const struct bbr_ask *ask, bool is_live);
/* bbr_show.c */
void bbr_show_text(const struct bbr_ask *ask, const struct bbr_result *r, FILE *to);
void bbr_json_begin(const struct bbr_ask *ask, FILE *to);
void bbr_json_round(struct bbr_run *run, const struct sim_round *r, FILE *to);
void bbr_json_trace(struct bbr_run *run, const struct sim_tick *t, FILE *to);
void bbr_json_end(const struct bbr_run *run, const struct bbr_result *r, FILE *to);
/* What is measured against: what is on its way in a round trip without a queue, in bytes. Nothing less than a
 * packet is, so the time that one takes is the least there is: without that a round trip of 0 would have no BDP. */
double bbr_bdp(uint64_t rate_bps, uint64_t rtt_ns);

/* --- the plane in a terminal (bbr_plane.c) --- */

struct plane;
/* NULL: no memory. The terminal's size is asked of fd 1. */
struct plane *plane_create(const struct bbr_ask *ask);
void plane_destroy(struct plane *p);
/* x: inflight in BDP; share of the path's rate; round trip in times of the one without a queue. */
void plane_point(struct plane *p, double inflight, double share, double rtt_ratio, enum sim_state state, uint32_t flow);
/* Draws it where it was drawn before, with one line of text below. */
void plane_draw(struct plane *p, const char *line, FILE *to);

#endif
