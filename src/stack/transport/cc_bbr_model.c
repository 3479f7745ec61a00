/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BBR's model of the path (draft-ietf-ccwg-bbr, "Updating Network Path Model
 * Parameters").
 *
 *   rounds          from the sending of something to the acknowledgement of what was sent behind it
 *   max_bw          the largest delivery rate of this cycle of probing and the one before
 *   min_rtt         the shortest round trip of ten seconds
 *   extra_acked     how much more comes at once than the bandwidth explains
 *   *_longterm      what the path took without loss to speak of, when it was probed
 *   *_shortterm     what it takes now, by the losses of the last rounds; forgotten with the next probe
 */
#include "stack/transport/cc_bbr.h"
#include "stack/transport/tcp_rare.h"

#define HEADROOM_PERCENT 15u
#define MIN_RTT_FILTER_LEN (10 * NS_PER_S)
#define PROBE_RTT_INTERVAL (5 * NS_PER_S)
#define EXTRA_ACKED_FILTER_LEN 10u
#define OFFLOAD_QUANTA 3u

/* --- the largest of a window --- */

static void windowed_max_put(struct windowed_max *w, uint32_t from, uint32_t at, uint64_t value)
{
	for (uint32_t i = from; i < ARRAY_LEN(w->best); i++) {
		w->best[i].value = value;
		w->best[i].at = at;
	}
}

void windowed_max_reset(struct windowed_max *w, uint32_t at, uint64_t value)
{
	windowed_max_put(w, 0, at, value);
}

uint64_t windowed_max_update(struct windowed_max *w, uint32_t window, uint32_t at, uint64_t value)
{
	if (value >= w->best[0].value || at - w->best[2].at > window) {
		windowed_max_reset(w, at, value);
		return value;
	}
	if (value >= w->best[1].value)
		windowed_max_put(w, 1, at, value);
	else if (value >= w->best[2].value)
		windowed_max_put(w, 2, at, value);
	/* The largest has gone out of the window: the next takes its place. */
	for (uint32_t i = 0; i < 2 && at - w->best[0].at > window; i++) {
		w->best[0] = w->best[1];
		w->best[1] = w->best[2];
		windowed_max_put(w, 2, at, value);
	}
	/* A second and a third that are no older than the largest would go with it. */
	uint32_t age = at - w->best[0].at;

	if (w->best[1].at == w->best[0].at && age > window / 4)
		windowed_max_put(w, 1, at, value);
	else if (w->best[2].at == w->best[1].at && age > window / 2)
		windowed_max_put(w, 2, at, value);
	return w->best[0].value;
}

/* --- at first --- */

void bbr_model_init(struct tcp *t, struct tcp_conn *c, struct bbr *b)
{
	uint64_t now = t->env->now;

	*b = (struct bbr){
		.state = BBR_STARTUP,
		.ack_phase = BBR_ACKS_INIT,
		.undo_state = BBR_NO_STATE,
		.delivered_seen = c->delivered,
		.next_round_delivered = c->delivered,
		.loss_round_delivered = c->delivered,
		.min_rtt = c->srtt != 0 ? c->srtt : BBR_NO_RTT,
		.min_rtt_stamp = now,
		.probe_rtt_min_stamp = now,
		.aggregation.extra_acked_interval_start = now,
		.inflight_longterm = BBR_INFINITE,
		.probe_up_acked_per_inc = BBR_INFINITE,
	};
	b->probe_rtt_min_delay = b->min_rtt;
	bbr_reset_congestion_signals(b);
	bbr_reset_short_term_model(b);
	bbr_reset_full_bw(b);
}

void bbr_reset_full_bw(struct bbr *b)
{
	b->full_bw = 0;
	b->full_bw_count = 0;
	b->full_bw_now = false;
}

void bbr_reset_congestion_signals(struct bbr *b)
{
	b->is_loss_in_round = false;
	b->bw_latest = 0;
	b->inflight_latest = 0;
}

void bbr_reset_short_term_model(struct bbr *b)
{
	b->bw_shortterm = BBR_RATE_INFINITE;
	b->inflight_shortterm = BBR_INFINITE;
}

void bbr_bound_bw(struct bbr *b)
{
	b->bw = min_u64(b->max_bw, b->bw_shortterm);
}

/* --- rounds and the bandwidth --- */

void bbr_start_round(const struct tcp_conn *c, struct bbr *b)
{
	b->next_round_delivered = c->delivered;
}

static void update_round(const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	b->round_start = s->prior_delivered >= b->next_round_delivered;
	if (!b->round_start)
		return;
	bbr_start_round(c, b);
	b->round_count++;
	b->rounds_since_probe_up++;
}

/* A cycle in which nothing was measured forgets nothing. */
void bbr_advance_max_bw_filter(struct bbr *b)
{
	if (b->max_bw_of[0] == 0)
		return;
	b->max_bw_of[1] = b->max_bw_of[0];
	b->max_bw_of[0] = 0;
}

static void update_max_bw(const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	update_round(c, b, s);
	if (b->delivery_rate == 0 || (b->delivery_rate < b->max_bw && s->is_app_limited))
		return;
	b->max_bw_of[0] = max_u64(b->max_bw_of[0], b->delivery_rate);
	b->max_bw = max_u64(b->max_bw_of[0], b->max_bw_of[1]);
}

void bbr_update_latest_delivery_signals(const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	b->loss_round_start = s->prior_delivered >= b->loss_round_delivered;
	b->bw_latest = max_u64(b->bw_latest, b->delivery_rate);
	b->inflight_latest = max_u32(b->inflight_latest, (uint32_t)s->delivered);
	if (b->loss_round_start)
		b->loss_round_delivered = c->delivered;
}

void bbr_advance_latest_delivery_signals(struct bbr *b, const struct cc_sample *s)
{
	if (!b->loss_round_start)
		return;
	b->bw_latest = b->delivery_rate;
	b->inflight_latest = (uint32_t)s->delivered;
}

/* --- what a round with losses says, outside of probing --- */

static bool is_probing_bw(const struct bbr *b)
{
	return b->state == BBR_STARTUP || b->state == BBR_PROBE_BW_REFILL || b->state == BBR_PROBE_BW_UP;
}

static uint64_t beta_of(uint64_t v)
{
	return v * BBR_BETA_PERCENT / 100;
}

static void adapt_lower_bounds_from_congestion(const struct tcp_conn *c, struct bbr *b)
{
	if (is_probing_bw(b) || !b->is_loss_in_round)
		return;
	if (b->bw_shortterm == BBR_RATE_INFINITE)
		b->bw_shortterm = b->max_bw;
	if (b->inflight_shortterm == BBR_INFINITE)
		b->inflight_shortterm = c->cwnd;
	b->bw_shortterm = max_u64(b->bw_latest, beta_of(b->bw_shortterm));
	b->inflight_shortterm = max_u32(b->inflight_latest, (uint32_t)beta_of(b->inflight_shortterm));
}

void bbr_update_congestion_signals(const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	update_max_bw(c, b, s);
	if (!b->loss_round_start)
		return;
	adapt_lower_bounds_from_congestion(c, b);
	b->is_loss_in_round = false;
}

bool bbr_is_inflight_too_high(const struct tcp_conn *c, uint64_t lost, uint64_t tx_in_flight)
{
	return lost * 100 > tx_in_flight * BBR_LOSS_THRESH_PERCENT || (lost > 0 && !c->sack_ok);
}

/* --- aggregation --- */

void bbr_update_ack_aggregation(const struct tcp *t, const struct tcp_conn *c, struct bbr *b)
{
	uint64_t extra = bbr_extra_acked(t, c, &b->aggregation, b->bw, b->newly_acked);

	b->extra_acked = (uint32_t)windowed_max_update(
		&b->extra_acked_filter, b->full_bw_reached ? EXTRA_ACKED_FILTER_LEN : 1, b->round_count, extra);
}

/* --- the shortest round trip --- */

void bbr_update_min_rtt(const struct tcp *t, struct bbr *b, const struct cc_sample *s)
{
	uint64_t now = t->env->now;

	b->probe_rtt_expired = now > b->probe_rtt_min_stamp + PROBE_RTT_INTERVAL;
	if (s->rtt != 0 && (s->rtt < b->probe_rtt_min_delay || b->probe_rtt_expired)) {
		b->probe_rtt_min_delay = s->rtt;
		b->probe_rtt_min_stamp = now;
	}
	if (b->probe_rtt_min_delay < b->min_rtt || now > b->min_rtt_stamp + MIN_RTT_FILTER_LEN) {
		b->min_rtt = b->probe_rtt_min_delay;
		b->min_rtt_stamp = b->probe_rtt_min_stamp;
	}
}

/* --- volumes --- */

uint64_t bbr_bdp_multiple(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b, uint64_t bw,
			  uint32_t gain)
{
	return bbr_bdp_of(t, c, b->min_rtt, bw, gain);
}

uint64_t bbr_quantization_budget(const struct tcp_conn *c, const struct bbr *b, uint64_t volume)
{
	volume = max_u64(volume, (uint64_t)OFFLOAD_QUANTA * bbr_send_quantum(c, c->pacing_rate));
	volume = max_u64(volume, bbr_min_pipe(c));
	return b->state == BBR_PROBE_BW_UP ? volume + 2ull * c->mss : volume;
}

uint64_t bbr_inflight(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b, uint64_t bw, uint32_t gain)
{
	return bbr_quantization_budget(c, b, bbr_bdp_multiple(t, c, b, bw, gain));
}

uint64_t bbr_target_inflight(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b)
{
	return min_u64(bbr_bdp_multiple(t, c, b, b->bw, BBR_GAIN_ONE), c->cwnd);
}

uint32_t bbr_inflight_with_headroom(const struct tcp_conn *c, const struct bbr *b)
{
	if (b->inflight_longterm == BBR_INFINITE)
		return BBR_INFINITE;
	uint32_t headroom = max_u32(c->mss, (uint32_t)((uint64_t)b->inflight_longterm * HEADROOM_PERCENT / 100));

	return max_u32(b->inflight_longterm - min_u32(headroom, b->inflight_longterm), bbr_min_pipe(c));
}

uint64_t bbr_probe_rtt_cwnd(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b)
{
	return max_u64(bbr_bdp_multiple(t, c, b, b->bw, bbr_state_info[BBR_PROBE_RTT].cwnd_gain), bbr_min_pipe(c));
}

/* --- to be taken back --- */

/* The last window that neither recovery nor PROBE_RTT has made. */
void bbr_save_cwnd(const struct tcp_conn *c, struct bbr *b)
{
	if (!bbr_in_recovery(c) && b->state != BBR_PROBE_RTT)
		b->prior_cwnd = c->cwnd;
	else
		b->prior_cwnd = max_u32(b->prior_cwnd, c->cwnd);
}

void bbr_restore_cwnd(struct tcp_conn *c, const struct bbr *b)
{
	c->cwnd = max_u32(c->cwnd, b->prior_cwnd);
}

/* Once a recovery: what the next losses find is what the first one has made of it. */
void bbr_save_state_upon_loss(const struct tcp_conn *c, struct bbr *b)
{
	if (b->is_saved)
		return;
	b->is_saved = true;
	bbr_save_cwnd(c, b);
	b->undo_state = BBR_NO_STATE;
	b->undo_bw_shortterm = b->bw_shortterm;
	b->undo_inflight_shortterm = b->inflight_shortterm;
	b->undo_inflight_longterm = b->inflight_longterm;
}

void bbr_note_loss(const struct tcp_conn *c, struct bbr *b)
{
	if (!b->is_loss_in_round) {
		b->loss_round_delivered = c->delivered;
		bbr_save_state_upon_loss(c, b);
	}
	b->is_loss_in_round = true;
}
