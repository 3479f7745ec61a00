/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BBR, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00), for comparison with
 * version 3 and with the kernel's, which is of this version.
 *
 *   STARTUP    2.89 times the rate, until it grows no more in three rounds
 *   DRAIN      the inverse, until no more is on its way than the path holds
 *   PROBE_BW   eight phases of a round trip each: 1.25, 0.75 and six times 1 the rate, twice the
 *              path's volume on its way; it begins at any of them but the second
 *   PROBE_RTT  four segments on their way for 200 ms and a round, if no shorter or equal round
 *              trip was seen for ten seconds
 *
 * The bandwidth is the largest delivery rate of ten rounds. Losses change neither it nor
 * the rate: behind one the window is what is delivered for a round, and then what it was.
 * Beyond the draft, as Linux: what comes at once more than the bandwidth explains is added
 * to the window, up to 100 ms of it. Not here: the estimate of a policer's rate by two
 * lossy intervals, which Linux has and the draft leaves out.
 */
#include "stack/transport/cc_bbr.h"
#include "stack/transport/tcp_rare.h"

#define HIGH_GAIN 289u
#define DRAIN_GAIN 35u
#define CWND_GAIN 200u
#define FULL_BW_GROWTH_PERCENT 125u
#define FULL_BW_ROUNDS 3u
#define BW_FILTER_ROUNDS 10u
#define EXTRA_ACKED_ROUNDS 10u
#define EXTRA_ACKED_MAX (100 * NS_PER_MS)
#define MIN_RTT_FILTER_LEN (10 * NS_PER_S)
#define PROBE_RTT_DURATION (200 * NS_PER_MS)
#define QUANTA 3u

static const uint16_t cycle_gain[] = { 125, 75, 100, 100, 100, 100, 100, 100 };
#define CYCLE_LEN ARRAY_LEN(cycle_gain)

static const char *const state_names[N_BBR1_STATES] = {
	[BBR1_STARTUP] = "startup",
	[BBR1_DRAIN] = "drain",
	[BBR1_PROBE_BW] = "probe_bw",
	[BBR1_PROBE_RTT] = "probe_rtt",
};

static uint64_t bw_of(const struct bbr1 *b)
{
	return b->bw_filter.best[0].value;
}

static uint32_t pacing_gain(const struct bbr1 *b)
{
	switch ((enum bbr1_state)b->state) {
	case BBR1_STARTUP:
		return HIGH_GAIN;
	case BBR1_DRAIN:
		return DRAIN_GAIN;
	case BBR1_PROBE_RTT:
		return BBR_GAIN_ONE;
	default:
		return cycle_gain[b->cycle_index];
	}
}

static uint32_t cwnd_gain(const struct bbr1 *b)
{
	static const uint16_t gain[N_BBR1_STATES] = { [BBR1_STARTUP] = HIGH_GAIN,
						      [BBR1_DRAIN] = HIGH_GAIN,
						      [BBR1_PROBE_BW] = CWND_GAIN,
						      [BBR1_PROBE_RTT] = BBR_GAIN_ONE };

	return gain[b->state];
}

static void init_pacing_rate(const struct tcp *t, struct tcp_conn *c, struct bbr1 *b)
{
	c->pacing_rate = bbr_initial_rate(t, c, HIGH_GAIN);
	b->has_rtt = c->srtt != 0;
}

static void init(struct tcp *t, struct tcp_conn *c)
{
	struct bbr1 *b = bbr1_of(t, c);

	*b = (struct bbr1){
		.state = BBR1_STARTUP,
		.delivered_seen = c->delivered,
		.next_round_delivered = c->delivered,
		.min_rtt = c->srtt != 0 ? c->srtt : BBR_NO_RTT,
		.min_rtt_stamp = t->env->now,
		.aggregation.extra_acked_interval_start = t->env->now,
		.ca_state = TCP_CA_OPEN,
	};
	c->ssthresh = UINT32_MAX;
	init_pacing_rate(t, c, b);
}

/* --- the model --- */

static void update_round(const struct tcp_conn *c, struct bbr1 *b, const struct cc_sample *s)
{
	b->round_start = s->prior_delivered >= b->next_round_delivered;
	if (!b->round_start)
		return;
	b->next_round_delivered = c->delivered;
	b->round_count++;
	b->packet_conservation = false;
}

static void update_bw(struct bbr1 *b, const struct cc_sample *s)
{
	uint64_t rate = bbr_sample_rate(s);

	if (rate != 0 && (rate >= bw_of(b) || !s->is_app_limited))
		(void)windowed_max_update(&b->bw_filter, BW_FILTER_ROUNDS, b->round_count, rate);
}

static void update_extra_acked(const struct tcp *t, const struct tcp_conn *c, struct bbr1 *b, uint64_t acked)
{
	uint64_t extra = bbr_extra_acked(t, c, &b->aggregation, bw_of(b), acked);

	b->extra_acked =
		(uint32_t)windowed_max_update(&b->extra_acked_filter, EXTRA_ACKED_ROUNDS, b->round_count, extra);
}

static void check_full_pipe(struct bbr1 *b, const struct cc_sample *s)
{
	if (b->filled_pipe || !b->round_start || s->is_app_limited)
		return;
	if (bw_of(b) >= b->full_bw * FULL_BW_GROWTH_PERCENT / 100) {
		b->full_bw = bw_of(b);
		b->full_bw_count = 0;
		return;
	}
	b->filled_pipe = ++b->full_bw_count >= FULL_BW_ROUNDS;
}

/* --- how much may be on its way --- */

static uint64_t inflight(const struct tcp *t, const struct tcp_conn *c, const struct bbr1 *b, uint32_t gain)
{
	uint64_t volume =
		bbr_bdp_of(t, c, b->min_rtt, bw_of(b), gain) + (uint64_t)QUANTA * bbr_send_quantum(c, c->pacing_rate);

	/* In the phase that probes two more, so that it can on the smallest path. */
	return b->state == BBR1_PROBE_BW && b->cycle_index == 0 ? volume + 2ull * c->mss : volume;
}

/* --- states --- */

static void start_cycle_phase(const struct tcp *t, struct bbr1 *b, uint32_t index)
{
	b->cycle_index = (uint8_t)(index % CYCLE_LEN);
	b->cycle_stamp = t->env->now;
}

/* Flows of one path begin at different phases, none at the one that drains. */
static void enter_probe_bw(struct tcp *t, struct bbr1 *b)
{
	b->state = BBR1_PROBE_BW;
	start_cycle_phase(t, b, CYCLE_LEN - rng_below(&t->cc_rng, CYCLE_LEN - 1));
}

static void leave_for_bw(struct tcp *t, struct bbr1 *b)
{
	if (b->filled_pipe)
		enter_probe_bw(t, b);
	else
		b->state = BBR1_STARTUP;
}

static bool is_next_phase(const struct tcp *t, const struct tcp_conn *c, const struct bbr1 *b,
			  const struct cc_sample *s)
{
	bool is_full_length = t->env->now - b->cycle_stamp > b->min_rtt;
	uint32_t gain = cycle_gain[b->cycle_index];

	if (gain > BBR_GAIN_ONE)
		return is_full_length && (s->lost > 0 || s->inflight >= inflight(t, c, b, gain));
	if (gain < BBR_GAIN_ONE)
		return is_full_length || s->inflight <= inflight(t, c, b, BBR_GAIN_ONE);
	return is_full_length;
}

static void update_state(struct tcp *t, const struct tcp_conn *c, struct bbr1 *b, const struct cc_sample *s)
{
	check_full_pipe(b, s);
	if (b->state == BBR1_STARTUP && b->filled_pipe)
		b->state = BBR1_DRAIN;
	if (b->state == BBR1_DRAIN && tcp_inflight(c) <= inflight(t, c, b, BBR_GAIN_ONE))
		enter_probe_bw(t, b);
	else if (b->state == BBR1_PROBE_BW && is_next_phase(t, c, b, s))
		start_cycle_phase(t, b, b->cycle_index + 1u);
}

/* --- windows that come back --- */

static void save_cwnd(const struct tcp_conn *c, struct bbr1 *b)
{
	if (b->ca_state < TCP_CA_RECOVERY && b->state != BBR1_PROBE_RTT)
		b->prior_cwnd = c->cwnd;
	else
		b->prior_cwnd = max_u32(b->prior_cwnd, c->cwnd);
}

static void check_probe_rtt_done(struct tcp *t, struct tcp_conn *c, struct bbr1 *b)
{
	if (b->probe_rtt_done_stamp == 0 || t->env->now <= b->probe_rtt_done_stamp)
		return;
	b->min_rtt_stamp = t->env->now;
	c->cwnd = max_u32(c->cwnd, b->prior_cwnd);
	leave_for_bw(t, b);
}

static void probe_rtt(struct tcp *t, struct tcp_conn *c, struct bbr1 *b)
{
	bbr_mark_app_limited(c);
	if (b->probe_rtt_done_stamp == 0) {
		if (tcp_inflight(c) > bbr_min_pipe(c))
			return;
		b->probe_rtt_done_stamp = t->env->now + PROBE_RTT_DURATION;
		b->probe_rtt_round_done = false;
		b->next_round_delivered = c->delivered;
		return;
	}
	b->probe_rtt_round_done |= b->round_start;
	if (b->probe_rtt_round_done)
		check_probe_rtt_done(t, c, b);
}

static void update_min_rtt(struct tcp *t, struct tcp_conn *c, struct bbr1 *b, const struct cc_sample *s)
{
	bool is_expired = t->env->now > b->min_rtt_stamp + MIN_RTT_FILTER_LEN;

	if (s->rtt != 0 && (s->rtt <= b->min_rtt || is_expired)) {
		b->min_rtt = s->rtt;
		b->min_rtt_stamp = t->env->now;
	}
	if (is_expired && !b->idle_restart && b->state != BBR1_PROBE_RTT) {
		save_cwnd(c, b);
		b->state = BBR1_PROBE_RTT;
		b->probe_rtt_done_stamp = 0;
	}
	if (b->state == BBR1_PROBE_RTT)
		probe_rtt(t, c, b);
	if (s->delivered > 0)
		b->idle_restart = false;
}

/* --- rate and window --- */

/* In recovery and out of it again; true: the window is what is delivered. */
static bool modulate_for_recovery(const struct tcp_conn *c, struct bbr1 *b, uint64_t acked, uint64_t lost,
				  uint64_t *cwnd)
{
	bool was_in = b->ca_state >= TCP_CA_RECOVERY, is_in = c->ca_state >= TCP_CA_RECOVERY;

	if (lost > 0)
		*cwnd = max_u64(*cwnd - min_u64(lost, *cwnd), c->mss);
	if (c->ca_state == TCP_CA_RECOVERY && b->ca_state != TCP_CA_RECOVERY) {
		b->packet_conservation = true;
		b->next_round_delivered = c->delivered;
		*cwnd = tcp_inflight(c) + acked;
	} else if (was_in && !is_in) {
		*cwnd = max_u64(*cwnd, b->prior_cwnd);
		b->packet_conservation = false;
	}
	b->ca_state = c->ca_state;
	if (b->packet_conservation)
		*cwnd = max_u64(*cwnd, tcp_inflight(c) + acked);
	return b->packet_conservation;
}

static void set_cwnd(const struct tcp *t, struct tcp_conn *c, struct bbr1 *b, uint64_t acked, uint64_t lost)
{
	uint64_t cwnd = c->cwnd;

	if (!modulate_for_recovery(c, b, acked, lost, &cwnd)) {
		uint64_t target = inflight(t, c, b, cwnd_gain(b));

		if (b->filled_pipe)
			cwnd = min_u64(cwnd + acked,
				       target + min_u64(b->extra_acked, bbr_volume(bw_of(b), EXTRA_ACKED_MAX)));
		else if (cwnd < target || c->delivered < bbr_initial_window(t, c))
			cwnd += acked;
		cwnd = max_u64(cwnd, bbr_min_pipe(c));
	}
	if (b->state == BBR1_PROBE_RTT)
		cwnd = min_u64(cwnd, bbr_min_pipe(c));
	c->cwnd = (uint32_t)min_u64(cwnd, BBR_CWND_MAX);
}

static void control(struct tcp *t, struct tcp_conn *c, const struct cc_sample *s)
{
	struct bbr1 *b = bbr1_of(t, c);

	if (!s->has_delivered)
		return;
	uint64_t acked = c->delivered - b->delivered_seen;

	b->delivered_seen = c->delivered;
	if (!b->has_rtt && c->srtt != 0)
		init_pacing_rate(t, c, b);
	update_round(c, b, s);
	update_bw(b, s);
	update_extra_acked(t, c, b, acked);
	update_state(t, c, b, s);
	update_min_rtt(t, c, b, s);
	bbr_set_pacing_rate(c, bw_of(b), pacing_gain(b), b->filled_pipe);
	set_cwnd(t, c, b, acked, s->lost);
}

static void event(struct tcp *t, struct tcp_conn *c, enum cc_event e)
{
	struct bbr1 *b = bbr1_of(t, c);

	switch (e) {
	case CC_EVENT_RESTART:
		if (c->flight->app_limited == 0)
			return;
		b->idle_restart = true;
		b->aggregation = (struct ack_aggregation){ .extra_acked_interval_start = t->env->now };
		if (b->state == BBR1_PROBE_BW)
			bbr_set_pacing_rate(c, bw_of(b), BBR_GAIN_ONE, b->filled_pipe);
		else if (b->state == BBR1_PROBE_RTT)
			check_probe_rtt_done(t, c, b);
		return;
	case CC_EVENT_RTO:
		b->ca_state = TCP_CA_LOSS;
		b->full_bw = 0;
		b->packet_conservation = false;
		return;
	case CC_EVENT_UNDONE:
		b->full_bw = 0;
		b->full_bw_count = 0;
		return;
	default:
		return;
	}
}

static uint64_t ssthresh(struct tcp *t, struct tcp_conn *c)
{
	save_cwnd(c, bbr1_of(t, c));
	return c->ssthresh;
}

/* As one of version 3. */
static enum bbr_state state_of(const struct bbr1 *b)
{
	switch ((enum bbr1_state)b->state) {
	case BBR1_STARTUP:
		return BBR_STARTUP;
	case BBR1_DRAIN:
		return BBR_DRAIN;
	case BBR1_PROBE_RTT:
		return BBR_PROBE_RTT;
	default:
		return pacing_gain(b) > BBR_GAIN_ONE   ? BBR_PROBE_BW_UP
		       : pacing_gain(b) < BBR_GAIN_ONE ? BBR_PROBE_BW_DOWN
						       : BBR_PROBE_BW_CRUISE;
	}
}

static uint32_t facts(const struct tcp *t, const struct tcp_conn *c, struct cc_fact *out)
{
	const struct bbr1 *b = bbr1_of(t, c);
	uint32_t n = 0;

	out[n++] = (struct cc_fact){ .name = "state", .value = state_of(b), .text = state_names[b->state] };
	out[n++] = (struct cc_fact){ "bw_bps", bw_of(b) * 8, NULL };
	if (b->min_rtt != BBR_NO_RTT)
		out[n++] = (struct cc_fact){ "mrtt_us", b->min_rtt / NS_PER_US, NULL };
	out[n++] = (struct cc_fact){ "pacing_gain_percent", pacing_gain(b), NULL };
	out[n++] = (struct cc_fact){ "cwnd_gain_percent", cwnd_gain(b), NULL };
	out[n++] = (struct cc_fact){ "extra_acked", b->extra_acked, NULL };
	return n;
}

static void info(const struct tcp *t, const struct tcp_conn *c, struct cc_bbr_info *out)
{
	const struct bbr1 *b = bbr1_of(t, c);

	bbr_info_of(bw_of(b), b->min_rtt, pacing_gain(b), cwnd_gain(b), out);
}

const struct cc_ops cc_bbr1 = {
	.name = "bbr1",
	.has_record = true,
	.init = init,
	.control = control,
	.ssthresh = ssthresh,
	.event = event,
	.facts = facts,
	.info = info,
};
