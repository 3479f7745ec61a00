/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BBR, version 3 (draft-ietf-ccwg-bbr-06 of 2026-07-06, with the editor's copy of
 * 2026-08-03): a model of the path, its bandwidth and its shortest round trip, says how
 * fast to send and how much may be on its way; loss alone does not.
 *
 *   cc_bbr.c         an acknowledgement's steps in their order; rate and window
 *   cc_bbr_model.c   the model: rounds, max_bw, min_rtt, aggregation, what losses say
 *   cc_bbr_state.c   the states, which probe the path to keep the model true
 *
 *     STARTUP -> DRAIN -> DOWN -> CRUISE -> REFILL -> UP -+     and from any of them to
 *                         ^-------------------------------+     PROBE_RTT and back
 *
 * Functions have the pseudocode's names. Where it leaves a choice, or we leave it:
 *
 *   - It saves what an undo needs at the first loss of a round, and once more when fast
 *     recovery is entered. But a loss that ends UP ends the round's signals too, so that the
 *     next one of the same burst would save what the first has changed, and the undo would
 *     find nothing to take back. It is saved once for a recovery, at its first loss or
 *     before a timeout.
 *   - A sample without a rate (sooner than the path allows) is no round without growth.
 *   - A switch of the congestion control on a live connection begins a round at once.
 *   - The first acknowledgement with a round trip sets the rate at first once more, if
 *     the handshake had none ("after the first non-zero RTT sample").
 *   - The appendix wants full_bw_now set too when losses end STARTUP; the text does not say.
 *   - Behind an idle time min_rtt is what it was before, and the first sample behind it
 *     counts as any (the draft's issue 109 is open).
 *   - ECN: the draft leaves it open, but a mark must count as congestion. It is one loss
 *     in the round, and while probing it says that too much was on its way.
 *   - A loss that only the answer to a loss probe shows is noted as any other.
 *   - The send quantum is a millisecond's data only where the device cuts large segments;
 *     elsewhere nothing leaves at once, and it is the least there is, two segments.
 *   - Retransmissions are paced as all else is.
 */
#include "stack/transport/cc_bbr.h"
#include "stack/transport/tcp_rare.h"

#define PACING_MARGIN_PERCENT 1u

uint64_t bbr_initial_rate(const struct tcp *t, const struct tcp_conn *c, uint32_t gain)
{
	uint64_t rate = bbr_initial_window(t, c) * NS_PER_S / (c->srtt != 0 ? c->srtt : NS_PER_MS);

	return max_u64(min_u64(rate, BBR_RATE_MAX) * gain / BBR_GAIN_ONE, 1);
}

void bbr_set_pacing_rate(struct tcp_conn *c, uint64_t bw, uint32_t gain, bool is_full)
{
	uint64_t rate = min_u64(bw, BBR_RATE_MAX) * gain / BBR_GAIN_ONE * (100 - PACING_MARGIN_PERCENT) / 100;

	/* 0 would be: not at all. */
	if (rate != 0 && (is_full || rate > c->pacing_rate))
		c->pacing_rate = rate;
}

uint64_t bbr_bdp_of(const struct tcp *t, const struct tcp_conn *c, uint64_t min_rtt, uint64_t bw, uint32_t gain)
{
	if (min_rtt == BBR_NO_RTT)
		return bbr_initial_window(t, c);
	return min_u64(bbr_volume(min_u64(bw, BBR_RATE_MAX), min_rtt), UINT32_MAX) * gain / BBR_GAIN_ONE;
}

uint64_t bbr_extra_acked(const struct tcp *t, const struct tcp_conn *c, struct ack_aggregation *a, uint64_t bw,
			 uint64_t acked)
{
	uint64_t expected = bbr_volume(min_u64(bw, BBR_RATE_MAX), t->env->now - a->extra_acked_interval_start);

	if (a->extra_acked_delivered <= expected) {
		a->extra_acked_delivered = 0;
		a->extra_acked_interval_start = t->env->now;
		expected = 0;
	}
	a->extra_acked_delivered += acked;
	return min_u64(a->extra_acked_delivered - expected, c->cwnd);
}

static void init_pacing_rate(const struct tcp *t, struct tcp_conn *c, struct bbr *b)
{
	c->pacing_rate = bbr_initial_rate(t, c, bbr_state_info[BBR_STARTUP].pacing_gain);
	b->has_rtt = c->srtt != 0;
}

static void init(struct tcp *t, struct tcp_conn *c)
{
	struct bbr *b = bbr_of(t, c);

	c->ssthresh = UINT32_MAX;
	bbr_model_init(t, c, b);
	init_pacing_rate(t, c, b);
	bbr_enter_startup(b);
}

static uint64_t bound_cwnd_for_model(const struct tcp_conn *c, const struct bbr *b, uint64_t cwnd)
{
	uint32_t cap = BBR_INFINITE;

	if (b->state == BBR_PROBE_RTT || b->state == BBR_PROBE_BW_CRUISE)
		cap = bbr_inflight_with_headroom(c, b);
	else if (bbr_is_in_probe_bw(b))
		cap = b->inflight_longterm;
	cap = max_u32(min_u32(cap, b->inflight_shortterm), bbr_min_pipe(c));
	return min_u64(cwnd, cap);
}

static void set_cwnd(const struct tcp *t, struct tcp_conn *c, const struct bbr *b)
{
	uint64_t cwnd = c->cwnd;
	uint64_t max_inflight = bbr_quantization_budget(
		c, b, bbr_bdp_multiple(t, c, b, b->bw, bbr_state_info[b->state].cwnd_gain) + b->extra_acked);

	if (b->full_bw_reached)
		cwnd = min_u64(cwnd + b->newly_acked, max_inflight);
	else if (cwnd < max_inflight || c->delivered < bbr_initial_window(t, c))
		cwnd += b->newly_acked;
	cwnd = max_u64(cwnd, bbr_min_pipe(c));
	if (b->state == BBR_PROBE_RTT)
		cwnd = min_u64(cwnd, bbr_probe_rtt_cwnd(t, c, b));
	c->cwnd = (uint32_t)min_u64(bound_cwnd_for_model(c, b, cwnd), BBR_CWND_MAX);
}

/* UpdateOnACK. */
static void control(struct tcp *t, struct tcp_conn *c, const struct cc_sample *s)
{
	struct bbr *b = bbr_of(t, c);

	if (!s->has_delivered)
		return;
	b->delivery_rate = bbr_sample_rate(s);
	b->newly_acked = (uint32_t)min_u64(c->delivered - b->delivered_seen, UINT32_MAX);
	b->delivered_seen = c->delivered;
	if (!b->has_rtt && c->srtt != 0)
		init_pacing_rate(t, c, b);

	bbr_update_latest_delivery_signals(c, b, s);
	bbr_update_congestion_signals(c, b, s);
	bbr_update_ack_aggregation(t, c, b);
	bbr_check_full_bw_reached(b, s);
	bbr_check_startup_done(t, c, b, s);
	bbr_check_drain_done(t, c, b);
	bbr_update_probe_bw_cycle_phase(t, c, b, s);
	bbr_update_min_rtt(t, b, s);
	bbr_check_probe_rtt(t, c, b, s);
	bbr_advance_latest_delivery_signals(b, s);
	bbr_bound_bw(b);

	bbr_set_pacing_rate(c, b->bw, bbr_state_info[b->state].pacing_gain, b->full_bw_reached);
	set_cwnd(t, c, b);
}

/* HandleRestartFromIdle. */
static void restart(struct tcp *t, struct tcp_conn *c, struct bbr *b)
{
	if (c->flight->app_limited == 0)
		return;
	b->idle_restart = true;
	b->aggregation.extra_acked_interval_start = t->env->now;
	if (bbr_is_in_probe_bw(b))
		bbr_set_pacing_rate(c, b->bw, BBR_GAIN_ONE, b->full_bw_reached);
	else if (b->state == BBR_PROBE_RTT)
		bbr_check_probe_rtt_done(t, c, b);
}

static void event(struct tcp *t, struct tcp_conn *c, enum cc_event e)
{
	struct bbr *b = bbr_of(t, c);

	switch (e) {
	case CC_EVENT_RESTART:
		restart(t, c, b);
		return;
	case CC_EVENT_RECOVERED:
		b->is_saved = false;
		bbr_restore_cwnd(c, b);
		return;
	case CC_EVENT_UNDONE:
		b->is_saved = false;
		bbr_handle_spurious_loss_detection(t, c, b);
		return;
	case CC_EVENT_REPAIRED:
		bbr_note_loss(c, b);
		return;
	case CC_EVENT_MARKED:
		bbr_marked(t, c, b);
		return;
	default:
		return;
	}
}

/* The threshold is nobody's; but whoever asks for it is about to lower the window. */
static uint64_t ssthresh(struct tcp *t, struct tcp_conn *c)
{
	struct bbr *b = bbr_of(t, c);

	/* OnEnterFastRecovery, OnEnterRTO. */
	bbr_save_cwnd(c, b);
	bbr_save_state_upon_loss(c, b);
	return c->ssthresh;
}

static uint32_t facts(const struct tcp *t, const struct tcp_conn *c, struct cc_fact *out)
{
	const struct bbr *b = bbr_of(t, c);
	const struct bbr_state_info *i = &bbr_state_info[b->state];
	uint32_t n = 0;

	out[n++] = (struct cc_fact){ .name = "state", .value = b->state, .text = i->name };
	out[n++] = (struct cc_fact){ "bw_bps", b->bw * 8, NULL };
	out[n++] = (struct cc_fact){ "max_bw_bps", b->max_bw * 8, NULL };
	if (b->min_rtt != BBR_NO_RTT)
		out[n++] = (struct cc_fact){ "mrtt_us", b->min_rtt / NS_PER_US, NULL };
	out[n++] = (struct cc_fact){ "pacing_gain_percent", i->pacing_gain, NULL };
	out[n++] = (struct cc_fact){ "cwnd_gain_percent", i->cwnd_gain, NULL };
	if (b->inflight_longterm != BBR_INFINITE)
		out[n++] = (struct cc_fact){ "inflight_longterm", b->inflight_longterm, NULL };
	if (b->inflight_shortterm != BBR_INFINITE)
		out[n++] = (struct cc_fact){ "inflight_shortterm", b->inflight_shortterm, NULL };
	out[n++] = (struct cc_fact){ "extra_acked", b->extra_acked, NULL };
	return n;
}

void bbr_info_of(uint64_t bw, uint64_t min_rtt, uint32_t pacing_gain, uint32_t cwnd_gain, struct cc_bbr_info *out)
{
	*out = (struct cc_bbr_info){
		.bw_lo = (uint32_t)bw,
		.bw_hi = (uint32_t)(bw >> 32),
		.min_rtt = (uint32_t)min_u64(min_rtt / NS_PER_US, UINT32_MAX),
		.pacing_gain = pacing_gain * 256 / BBR_GAIN_ONE,
		.cwnd_gain = cwnd_gain * 256 / BBR_GAIN_ONE,
	};
}

static void info(const struct tcp *t, const struct tcp_conn *c, struct cc_bbr_info *out)
{
	const struct bbr *b = bbr_of(t, c);
	const struct bbr_state_info *i = &bbr_state_info[b->state];

	bbr_info_of(b->bw, b->min_rtt, i->pacing_gain, i->cwnd_gain, out);
}

const struct cc_ops cc_bbr = {
	.name = "bbr",
	.has_record = true,
	.init = init,
	.control = control,
	.lost = bbr_lost,
	.ssthresh = ssthresh,
	.event = event,
	.facts = facts,
	.info = info,
};
