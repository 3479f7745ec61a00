/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A run and what is measured in it.
 *
 * The queue and what is in flight are looked at every forty-eighth of a round trip, so means and percentiles are over
 * time, not over packets. A flow's rate is what its program has read, counted as IP packets.
 */
#include "tools/bbr/bbr_run.h"

#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "daemon/control/commands/command.h"

#define TICKS_PER_RTT 48u
#define TICK_LEAST (50 * NS_PER_US)
#define TICK_MOST (10 * NS_PER_MS)
#define FRAME_NS (50 * NS_PER_MS)

/* What round trips are measured against. Nothing less than a packet is on the way, so the time that one takes is the
 * least there is: without that a round trip of 0 would have no BDP. */
static double least_rtt(uint64_t rate_bps, uint64_t rtt_ns)
{
	double packet_ns = SIM_MTU * 8.0 * NS_PER_S / (double)rate_bps;

	return (double)rtt_ns > packet_ns ? (double)rtt_ns : packet_ns;
}

double bbr_bdp(uint64_t rate_bps, uint64_t rtt_ns)
{
	/* Nothing comes through: no packet is ever there (a policer that is none). */
	if (rate_bps == 0)
		return 0;
	return (double)rate_bps / 8 * (least_rtt(rate_bps, rtt_ns) / NS_PER_S);
}

static bool is_measured(const struct bbr_run *run, uint64_t at)
{
	return at > run->ask->from_ns && at <= run->ask->until_ns;
}

static void on_round(void *ctx, struct sim *s, const struct sim_round *r)
{
	struct bbr_run *run = ctx;
	const struct sim_flow_config *f = &run->ask->sim.flow[r->flow];
	uint64_t rate = path_rate(sim_path(s));

	if (is_measured(run, r->at))
		run->n_rounds[r->flow][r->state]++;
	if (run->ask->json && run->ask->rounds)
		bbr_json_round(run, r, stdout);
	if (run->plane != NULL)
		plane_point(run->plane, (double)r->inflight / bbr_bdp(rate, f->rtt_ns),
			    (double)r->rate_bps / (double)rate, (double)r->rtt_ns / least_rtt(rate, f->rtt_ns),
			    r->state, r->flow);
}

static void keep_queue(struct bbr_run *run, double bdp)
{
	if (run->n_queue == run->room) {
		run->room = run->room != 0 ? 2 * run->room : 4096;
		run->queue = realloc(run->queue, run->room * sizeof(run->queue[0]));
		if (run->queue == NULL)
			abort();
	}
	run->queue[run->n_queue++] = (float)bdp;
	run->queue_sum += bdp;
}

static void on_tick(void *ctx, struct sim *s, const struct sim_tick *t)
{
	struct bbr_run *run = ctx;
	const struct bbr_ask *ask = run->ask;

	if (ask->json && ask->trace_ns != 0 && t->at >= run->trace_next && t->at <= ask->trace_until_ns) {
		bbr_json_trace(run, t, stdout);
		run->trace_next += ask->trace_ns;
	}
	if (!is_measured(run, t->at))
		return;
	double wait_ns = (double)t->queue * 8 * NS_PER_S / (double)t->path_rate_bps;

	keep_queue(run, wait_ns / least_rtt(t->path_rate_bps, ask->sim.flow[0].rtt_ns));
	run->path_bits += (double)t->path_rate_bps;
	for (uint32_t i = 0; i < ask->sim.n_flows; i++) {
		uint64_t rtt = ask->sim.flow[i].rtt_ns;

		run->inflight_sum[i] += (double)sim_flow_inflight(s, i) / bbr_bdp(t->path_rate_bps, rtt);
		run->rtt_sum[i] += 1 + wait_ns / least_rtt(t->path_rate_bps, rtt);
	}
}

static int by_size(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double quantile(const struct bbr_run *run, double q)
{
	return run->n_queue == 0 ? 0 : (double)run->queue[(size_t)(q * (double)(run->n_queue - 1))];
}

static struct bbr_result result_of(struct bbr_run *run)
{
	const struct bbr_ask *ask = run->ask;
	struct bbr_result r = { .queue_mean = 0 };
	double n = run->n_queue > 0 ? (double)run->n_queue : 1;
	double seconds = (double)(ask->until_ns - ask->from_ns) / NS_PER_S;

	qsort(run->queue, run->n_queue, sizeof(run->queue[0]), by_size);
	r.queue_mean = run->queue_sum / n;
	r.queue_median = quantile(run, 0.5);
	r.queue_95 = quantile(run, 0.95);
	r.queue_max = quantile(run, 1);
	r.path_bps = run->path_bits / n;
	for (uint32_t i = 0; i < ask->sim.n_flows; i++) {
		struct sim_count c = sim_flow_count(run->sim, i);
		const struct sim_count *b = &run->before[i];
		struct bbr_flow_result *f = &r.flow[i];
		uint64_t lost = 0;

		for (uint32_t why = 0; why < N_PATH_LOSSES; why++) {
			lost += c.lost[why] - b->lost[why];
			r.lost[why] += c.lost[why] - b->lost[why];
		}
		f->sent = c.sent - b->sent;
		f->lost = f->sent > 0 ? (double)lost / (double)f->sent : 0;
		f->rate_bps = (double)(c.goodput_bytes - b->goodput_bytes) * 8 / seconds;
		f->share = r.path_bps > 0 ? f->rate_bps / r.path_bps : 0;
		f->inflight = run->inflight_sum[i] / n;
		f->rtt_ratio = run->rtt_sum[i] / n;
		f->power = f->rtt_ratio > 0 ? f->share / f->rtt_ratio : 0;
		for (uint32_t st = 0; st < N_SIM_STATES; st++)
			r.n_rounds[i][st] = run->n_rounds[i][st];
	}
	return r;
}

/* --- the run, live or not --- */

static uint64_t clock_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void draw(struct bbr_run *run, uint64_t at)
{
	char line[160];
	struct sim_round r = sim_flow_now(run->sim, 0);
	const struct path *p = sim_path(run->sim);
	double bdp = bbr_bdp(path_rate(p), run->ask->sim.flow[0].rtt_ns);
	int n = snprintf(line, sizeof(line), "%7.2f s  %-9s inflight %5.2f BDP  queue %5.2f BDP", (double)at / NS_PER_S,
			 sim_state_names[r.state], (double)r.inflight / bdp, (double)path_queue(p) / bdp);

	if (r.bw_bps != 0 && n > 0 && (size_t)n < sizeof(line))
		(void)snprintf(line + n, sizeof(line) - (size_t)n, "  believes %.1f Mbit/s", (double)r.bw_bps / 1e6);
	plane_draw(run->plane, line, stdout);
}

/* The picture goes on at ask->speed, a frame at a time; the simulation is faster than that, and waits. */
static bool go_on(struct bbr_run *run, uint64_t from, uint64_t until, char *err, size_t err_len)
{
	if (run->plane == NULL)
		return sim_run(run->sim, until, err, err_len);
	uint64_t step = max_u64((uint64_t)((double)FRAME_NS * run->ask->speed), 1), due = clock_ns();

	for (uint64_t at = from; at < until;) {
		at = min_u64(at + step, until);
		if (!sim_run(run->sim, at, err, err_len))
			return false;
		draw(run, at);
		due += FRAME_NS;
		uint64_t now = clock_ns();

		if (now < due) {
			struct timespec t = { 0, (long)(due - now) };

			(void)nanosleep(&t, NULL);
		} else {
			due = now;
		}
	}
	return true;
}

static int finish(struct bbr_run *run)
{
	struct bbr_result r = result_of(run);

	if (run->ask->json)
		bbr_json_end(run, &r, stdout);
	else
		bbr_show_text(run->ask, &r, stdout);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_OK;
	perror("yangguan bbr: standard output");
	return EXIT_FAILED;
}

int bbr_run(const struct bbr_ask *asked, bool is_live)
{
	struct bbr_ask ask = *asked;
	struct bbr_run run = { .ask = &ask, .trace_next = asked->trace_from_ns };
	uint64_t tick = ask.sim.flow[0].rtt_ns / TICKS_PER_RTT;
	char err[160];
	bool good;

	ask.sim.tick_ns = min_u64(max_u64(tick, TICK_LEAST), TICK_MOST);
	if (ask.trace_ns != 0)
		ask.sim.tick_ns = min_u64(ask.sim.tick_ns, ask.trace_ns);
	ask.sim.round = on_round;
	ask.sim.tick = on_tick;
	ask.sim.ctx = &run;
	run.sim = sim_create(&ask.sim, err, sizeof(err));
	run.plane = is_live ? plane_create(&ask) : NULL;
	good = run.sim != NULL;
	if (good && ask.json)
		bbr_json_begin(&ask, stdout);
	good = good && go_on(&run, 0, ask.from_ns, err, sizeof(err));
	for (uint32_t i = 0; good && i < ask.sim.n_flows; i++)
		run.before[i] = sim_flow_count(run.sim, i);
	good = good && go_on(&run, ask.from_ns, ask.until_ns, err, sizeof(err));
	int status = good ? finish(&run) : EXIT_FAILED;

	if (!good)
		fprintf(stderr, "yangguan bbr: %s\n", err);
	if (run.sim != NULL)
		sim_destroy(run.sim);
	if (run.plane != NULL)
		plane_destroy(run.plane);
	free(run.queue);
	return status;
}
