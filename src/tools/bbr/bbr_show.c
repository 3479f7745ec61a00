/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What came of a run, as a table and as JSON. Rounds and time lines can be many, so they are written as they come, each
 * an array whose columns are named before.
 */
#include "tools/bbr/bbr_run.h"

#include <inttypes.h>

#include "base/util.h"

static double seconds(uint64_t ns)
{
	return (double)ns / NS_PER_S;
}

static const char *rate_text(double bps, char *buf, size_t len)
{
	if (bps >= 1e9)
		(void)snprintf(buf, len, "%.3g Gbit/s", bps / 1e9);
	else if (bps >= 1e6)
		(void)snprintf(buf, len, "%.4g Mbit/s", bps / 1e6);
	else
		(void)snprintf(buf, len, "%.4g kbit/s", bps / 1e3);
	return buf;
}

void bbr_show_text(const struct bbr_ask *ask, const struct bbr_result *r, FILE *to)
{
	char rate[32];

	fprintf(to, "path    %s, %.4g ms, buffer %.4g BDP",
		rate_text((double)ask->sim.path.rate_bps, rate, sizeof(rate)), seconds(ask->sim.flow[0].rtt_ns) * 1000,
		ask->buffer_bdp);
	if (ask->sim.path.loss_ppm > 0)
		fprintf(to, ", random loss %.4g%%", ask->sim.path.loss_ppm / 1e4);
	fprintf(to, "; %.4g to %.4g s, seed %" PRIu64 "\n", seconds(ask->from_ns), seconds(ask->until_ns),
		ask->sim.seed);
	fprintf(to, "queue   mean %.3f, median %.3f, 95%% %.3f, most %.3f BDP\n\n", r->queue_mean, r->queue_median,
		r->queue_95, r->queue_max);
	fprintf(to, "%-8s %9s %14s %7s %9s %8s %8s %6s\n", "flow", "RTT", "rate", "share", "inflight", "RTT/min",
		"lost", "power");
	for (uint32_t i = 0; i < ask->sim.n_flows; i++) {
		const struct bbr_flow_result *f = &r->flow[i];

		fprintf(to, "%-8s %6.4g ms %14s %6.1f%% %5.2f BDP %8.2f %7.3f%% %6.2f\n", ask->sim.flow[i].congestion,
			seconds(ask->sim.flow[i].rtt_ns) * 1000, rate_text(f->rate_bps, rate, sizeof(rate)),
			f->share * 100, f->inflight, f->rtt_ratio, f->lost * 100, f->power);
	}
	for (uint32_t i = 0; i < ask->sim.n_flows; i++) {
		uint64_t n = 0, none = r->n_rounds[i][SIM_NONE];

		for (uint32_t s = 0; s < N_SIM_STATES; s++)
			n += r->n_rounds[i][s];
		if (n == none)
			continue;
		fprintf(to, "%s%-8s round trips:", i == 0 ? "\n" : "", ask->sim.flow[i].congestion);
		for (uint32_t s = 0; s < SIM_NONE; s++)
			if (r->n_rounds[i][s] > 0)
				fprintf(to, " %s %" PRIu64, sim_state_names[s], r->n_rounds[i][s]);
		fprintf(to, "\n");
	}
}

/* --- JSON --- */

void bbr_json_begin(const struct bbr_ask *ask, FILE *to)
{
	fprintf(to,
		"{\"rate_bps\":%" PRIu64 ",\"buffer_bdp\":%g,\"loss\":%g,\"seed\":%" PRIu64
		",\"from_s\":%g,\"until_s\":%g",
		ask->sim.path.rate_bps, ask->buffer_bdp, ask->sim.path.loss_ppm / 1e6, ask->sim.seed,
		seconds(ask->from_ns), seconds(ask->until_ns));
	if (ask->rounds)
		fprintf(to,
			",\"round_columns\":[\"flow\",\"at_s\",\"rtt_ms\",\"inflight_bytes\",\"rate_bps\",\"bw_bps\","
			"\"max_bw_bps\",\"cwnd_bytes\",\"state\"],\"rounds\":[");
}

void bbr_json_round(struct bbr_run *run, const struct sim_round *r, FILE *to)
{
	fprintf(to, "%s\n[%u,%.4f,%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",\"%s\"]",
		run->has_round ? "," : "", r->flow, seconds(r->at), seconds(r->rtt_ns) * 1000, r->inflight, r->rate_bps,
		r->bw_bps, r->max_bw_bps, r->cwnd, sim_state_names[r->state]);
	run->has_round = true;
}

/* Rounds and time lines are two arrays that fill at once: of a run, one or the other. */
void bbr_json_trace(struct bbr_run *run, const struct sim_tick *t, FILE *to)
{
	struct sim_round r = sim_flow_now(run->sim, 0);

	if (!run->has_trace)
		fprintf(to, ",\"trace_columns\":[\"at_s\",\"path_bps\",\"queue_bytes\",\"inflight_bytes\",\"bw_bps\","
			    "\"cwnd_bytes\",\"state\"],\"trace\":[");
	fprintf(to, "%s\n[%.4f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",\"%s\"]",
		run->has_trace ? "," : "", seconds(t->at), t->path_rate_bps, t->queue, r.inflight, r.bw_bps, r.cwnd,
		sim_state_names[r.state]);
	run->has_trace = true;
}

void bbr_json_end(const struct bbr_run *run, const struct bbr_result *r, FILE *to)
{
	const struct bbr_ask *ask = run->ask;

	if (ask->rounds || run->has_trace)
		fprintf(to, "]");
	fprintf(to, ",\"path_bps\":%.0f,\"queue_mean\":%.5f,\"queue_median\":%.5f,\"queue_95\":%.5f,\"queue_max\":%.5f",
		r->path_bps, r->queue_mean, r->queue_median, r->queue_95, r->queue_max);
	fprintf(to, ",\"lost_random\":%" PRIu64 ",\"lost_buffer\":%" PRIu64 ",\"lost_policer\":%" PRIu64 ",\"flows\":[",
		r->lost[PATH_LOST_RANDOM], r->lost[PATH_LOST_BUFFER], r->lost[PATH_LOST_POLICER]);
	for (uint32_t i = 0; i < ask->sim.n_flows; i++) {
		const struct bbr_flow_result *f = &r->flow[i];

		fprintf(to,
			"%s{\"cc\":\"%s\",\"rtt_ms\":%g,\"rate_bps\":%.0f,\"share\":%.5f,\"inflight\":%.4f,"
			"\"rtt_ratio\":%.4f,\"sent\":%" PRIu64 ",\"lost\":%.6f,\"power\":%.4f}",
			i > 0 ? "," : "", ask->sim.flow[i].congestion, seconds(ask->sim.flow[i].rtt_ns) * 1000,
			f->rate_bps, f->share, f->inflight, f->rtt_ratio, f->sent, f->lost, f->power);
	}
	fprintf(to, "]}\n");
}
