/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BBR's states (draft-ietf-ccwg-bbr, "State Machine Operation").
 *
 *   STARTUP   twice the rate each round, until it grows no more or too much is lost
 *   DRAIN     the queue that this has made goes, in three rounds at the latest
 *   DOWN      slower than the path delivers, until nothing waits, and some room is left
 *   CRUISE    as fast as the path delivers, two to three seconds or some 60 rounds long
 *   REFILL    a round at full rate, and what losses said since the last probe is forgotten
 *   UP        faster, until the rate grows no more or too much is lost
 *   PROBE_RTT half of it on its way for 200 ms and a round, if no shorter or equal round trip was
 *             seen for five seconds
 *
 * A probe that went too high is careful the next time: it stops where the last one's
 * losses began, and if that was safe goes up again at once.
 */
#include "stack/transport/cc_bbr.h"

#define FULL_BW_GROWTH_PERCENT 125u
#define FULL_BW_ROUNDS 3u
#define STARTUP_FULL_LOSS_COUNT 6u
#define DRAIN_ROUNDS 3u
#define PROBE_WAIT (2 * NS_PER_S)
#define PROBE_WAIT_RANDOM ((uint32_t)NS_PER_S)
#define RENO_ROUNDS_MAX 63u
#define PROBE_UP_ROUNDS_MAX 30u
#define PROBE_RTT_DURATION (200 * NS_PER_MS)

/* "Summary of Control Behavior in the State Machine". */
const struct bbr_state_info bbr_state_info[N_BBR_STATES] = {
	[BBR_STARTUP] = { "startup", 277, 200 },
	[BBR_DRAIN] = { "drain", 50, 200 },
	[BBR_PROBE_BW_DOWN] = { "probe_bw_down", 90, 200 },
	[BBR_PROBE_BW_CRUISE] = { "probe_bw_cruise", 100, 200 },
	[BBR_PROBE_BW_REFILL] = { "probe_bw_refill", 100, 200 },
	[BBR_PROBE_BW_UP] = { "probe_bw_up", 125, 225 },
	[BBR_PROBE_RTT] = { "probe_rtt", 100, 50 },
};

/* --- STARTUP --- */

void bbr_enter_startup(struct bbr *b)
{
	b->state = BBR_STARTUP;
}

void bbr_check_full_bw_reached(struct bbr *b, const struct cc_sample *s)
{
	if (b->full_bw_now || !b->round_start || s->is_app_limited || b->delivery_rate == 0)
		return;
	if (b->delivery_rate >= b->full_bw * FULL_BW_GROWTH_PERCENT / 100) {
		bbr_reset_full_bw(b);
		b->full_bw = b->delivery_rate;
		return;
	}
	b->full_bw_count++;
	b->full_bw_now = b->full_bw_count >= FULL_BW_ROUNDS;
	b->full_bw_reached |= b->full_bw_now;
}

/* What was delivered in the last round is safe. */
static void leave_startup(const struct tcp *t, const struct tcp_conn *c, struct bbr *b)
{
	b->undo_state = BBR_STARTUP;
	b->full_bw_reached = b->full_bw_now = true;
	b->inflight_longterm = (uint32_t)min_u64(
		max_u64(bbr_bdp_multiple(t, c, b, b->bw, BBR_GAIN_ONE), b->inflight_latest), BBR_INFINITE - 1);
}

static void check_startup_high_loss(const struct tcp *t, const struct tcp_conn *c, struct bbr *b,
				    const struct cc_sample *s)
{
	bool is_recovery = c->ca_state == TCP_CA_RECOVERY && b->state == BBR_STARTUP && !b->full_bw_reached;
	bool is_high;

	if (c->sack_ok)
		is_high = b->loss_round_start && b->n_lost_ranges >= STARTUP_FULL_LOSS_COUNT &&
			  bbr_is_inflight_too_high(c, s->lost_since, s->tx_in_flight);
	else
		is_high = b->n_lost_ranges > 0;
	if (is_recovery && is_high)
		leave_startup(t, c, b);
	if (b->loss_round_start)
		b->n_lost_ranges = 0;
}

void bbr_check_startup_done(const struct tcp *t, const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	check_startup_high_loss(t, c, b, s);
	if (b->state != BBR_STARTUP || !b->full_bw_reached)
		return;
	b->state = BBR_DRAIN;
	b->drain_start_round = b->round_count;
}

/* --- PROBE_BW --- */

static void pick_probe_wait(struct tcp *t, struct bbr *b)
{
	b->rounds_since_probe_up = rng_below(&t->cc_rng, 2);
	b->bw_probe_wait = PROBE_WAIT + rng_below(&t->cc_rng, PROBE_WAIT_RANDOM + 1);
}

static void start_probe_bw_down(struct tcp *t, const struct tcp_conn *c, struct bbr *b)
{
	bbr_reset_congestion_signals(b);
	b->probe_up_acked_per_inc = BBR_INFINITE;
	pick_probe_wait(t, b);
	b->cycle_stamp = t->env->now;
	b->ack_phase = BBR_ACKS_PROBE_STOPPING;
	bbr_start_round(c, b);
	b->state = BBR_PROBE_BW_DOWN;
}

static void start_probe_bw_refill(const struct tcp_conn *c, struct bbr *b)
{
	bbr_reset_short_term_model(b);
	b->bw_probe_up_rounds = 0;
	b->bw_probe_up_acked = 0;
	b->prev_probe_precautionary = false;
	b->ack_phase = BBR_ACKS_REFILLING;
	bbr_start_round(c, b);
	b->state = BBR_PROBE_BW_REFILL;
}

/* By a segment in this round, two in the next, four, and so on. */
static void raise_inflight_longterm_slope(const struct tcp_conn *c, struct bbr *b)
{
	uint32_t growth = UINT32_C(1) << b->bw_probe_up_rounds;

	b->bw_probe_up_rounds += b->bw_probe_up_rounds < PROBE_UP_ROUNDS_MAX;
	b->probe_up_acked_per_inc = max_u32(c->cwnd / growth, c->mss);
}

static void start_probe_bw_up(const struct tcp_conn *c, struct bbr *b)
{
	b->ack_phase = BBR_ACKS_PROBE_STARTING;
	bbr_start_round(c, b);
	bbr_reset_full_bw(b);
	b->full_bw = b->delivery_rate;
	b->state = BBR_PROBE_BW_UP;
	raise_inflight_longterm_slope(c, b);
}

static void probe_inflight_longterm_upward(const struct tcp_conn *c, struct bbr *b)
{
	if (!c->cwnd_limited || c->cwnd < b->inflight_longterm)
		return;
	uint64_t acked = (uint64_t)b->bw_probe_up_acked + b->newly_acked, n = acked / b->probe_up_acked_per_inc;

	b->bw_probe_up_acked = (uint32_t)(acked - n * b->probe_up_acked_per_inc);
	b->inflight_longterm = (uint32_t)min_u64(b->inflight_longterm + n * c->mss, BBR_INFINITE - 1);
	if (b->round_start)
		raise_inflight_longterm_slope(c, b);
}

/* True: it has gone to another state. */
static bool adapt_long_term_model(const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	if (b->ack_phase == BBR_ACKS_PROBE_STARTING && b->round_start)
		b->ack_phase = BBR_ACKS_PROBE_FEEDBACK;
	if (b->ack_phase == BBR_ACKS_PROBE_STOPPING && b->round_start) {
		b->is_bw_probe_sample = false;
		b->ack_phase = BBR_ACKS_INIT;
		if (bbr_is_in_probe_bw(b) && !s->is_app_limited)
			bbr_advance_max_bw_filter(b);
		if (bbr_is_in_probe_bw(b) && b->prev_probe_precautionary && !b->prev_probe_too_high) {
			start_probe_bw_refill(c, b);
			return true;
		}
	}
	if (bbr_is_inflight_too_high(c, s->lost_since, s->tx_in_flight) || b->inflight_longterm == BBR_INFINITE)
		return false;
	b->inflight_longterm = max_u32(b->inflight_longterm, s->tx_in_flight);
	if (b->state == BBR_PROBE_BW_UP)
		probe_inflight_longterm_upward(c, b);
	return false;
}

static bool is_time_to_probe_bw(const struct tcp *t, const struct tcp_conn *c, struct bbr *b)
{
	uint64_t reno_rounds = bbr_target_inflight(t, c, b) / c->mss;

	if (t->env->now <= b->cycle_stamp + b->bw_probe_wait &&
	    b->rounds_since_probe_up < min_u64(reno_rounds, RENO_ROUNDS_MAX))
		return false;
	start_probe_bw_refill(c, b);
	return true;
}

static bool is_time_to_cruise(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b)
{
	uint32_t inflight = tcp_inflight(c);

	return inflight <= bbr_inflight_with_headroom(c, b) &&
	       inflight <= bbr_inflight(t, c, b, b->max_bw, BBR_GAIN_ONE);
}

static bool is_time_to_go_down(const struct tcp_conn *c, struct bbr *b)
{
	if (b->prev_probe_too_high && tcp_inflight(c) >= b->inflight_longterm) {
		b->prev_probe_precautionary = true;
		return true;
	}
	if (c->cwnd_limited && c->cwnd >= b->inflight_longterm) {
		/* That is what holds the rate back. */
		bbr_reset_full_bw(b);
		b->full_bw = b->delivery_rate;
		return false;
	}
	return b->full_bw_now;
}

void bbr_update_probe_bw_cycle_phase(struct tcp *t, const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	if (!b->full_bw_reached || adapt_long_term_model(c, b, s))
		return;
	switch ((enum bbr_state)b->state) {
	case BBR_PROBE_BW_DOWN:
		if (!is_time_to_probe_bw(t, c, b) && is_time_to_cruise(t, c, b))
			b->state = BBR_PROBE_BW_CRUISE;
		return;
	case BBR_PROBE_BW_CRUISE:
		(void)is_time_to_probe_bw(t, c, b);
		return;
	case BBR_PROBE_BW_REFILL:
		if (b->round_start) {
			b->is_bw_probe_sample = true;
			start_probe_bw_up(c, b);
		}
		return;
	case BBR_PROBE_BW_UP:
		if (is_time_to_go_down(c, b)) {
			b->prev_probe_too_high = false;
			start_probe_bw_down(t, c, b);
		}
		return;
	default:
		return;
	}
}

/* --- DRAIN --- */

void bbr_check_drain_done(struct tcp *t, const struct tcp_conn *c, struct bbr *b)
{
	if (b->state != BBR_DRAIN)
		return;
	if (tcp_inflight(c) <= bbr_inflight(t, c, b, b->bw, BBR_GAIN_ONE) ||
	    b->round_count > b->drain_start_round + DRAIN_ROUNDS)
		start_probe_bw_down(t, c, b);
}

/* --- PROBE_RTT --- */

static void exit_probe_rtt(struct tcp *t, const struct tcp_conn *c, struct bbr *b)
{
	bbr_reset_short_term_model(b);
	if (!b->full_bw_reached) {
		bbr_enter_startup(b);
		return;
	}
	/* Little is on its way already. */
	start_probe_bw_down(t, c, b);
	b->state = BBR_PROBE_BW_CRUISE;
}

void bbr_check_probe_rtt_done(struct tcp *t, struct tcp_conn *c, struct bbr *b)
{
	if (b->probe_rtt_done_stamp == 0 || t->env->now <= b->probe_rtt_done_stamp)
		return;
	b->probe_rtt_min_stamp = t->env->now;
	bbr_restore_cwnd(c, b);
	exit_probe_rtt(t, c, b);
}

void bbr_mark_app_limited(struct tcp_conn *c)
{
	c->flight->app_limited = max_u64(c->delivered + tcp_inflight(c), 1);
}

static void handle_probe_rtt(struct tcp *t, struct tcp_conn *c, struct bbr *b)
{
	/* Rates that are low by intention say nothing. */
	bbr_mark_app_limited(c);
	if (b->probe_rtt_done_stamp == 0) {
		if (tcp_inflight(c) > bbr_probe_rtt_cwnd(t, c, b))
			return;
		b->probe_rtt_done_stamp = t->env->now + PROBE_RTT_DURATION;
		b->probe_rtt_round_done = false;
		bbr_start_round(c, b);
		return;
	}
	b->probe_rtt_round_done |= b->round_start;
	if (b->probe_rtt_round_done)
		bbr_check_probe_rtt_done(t, c, b);
}

void bbr_check_probe_rtt(struct tcp *t, struct tcp_conn *c, struct bbr *b, const struct cc_sample *s)
{
	if (b->state != BBR_PROBE_RTT && b->probe_rtt_expired && !b->idle_restart) {
		bbr_save_cwnd(c, b);
		b->state = BBR_PROBE_RTT;
		b->probe_rtt_done_stamp = 0;
		b->ack_phase = BBR_ACKS_PROBE_STOPPING;
		bbr_start_round(c, b);
	}
	if (b->state == BBR_PROBE_RTT)
		handle_probe_rtt(t, c, b);
	if (s->delivered > 0)
		b->idle_restart = false;
}

/* --- losses --- */

struct lost_packet {
	uint64_t tx_in_flight, lost, size;
	bool is_app_limited;
};

/* Where in it the losses came to be too many: P may be many segments. */
static uint64_t inflight_at_loss(const struct lost_packet *p)
{
	int64_t inflight_prev = (int64_t)p->tx_in_flight - (int64_t)p->size;
	int64_t lost_prev = (int64_t)p->lost - (int64_t)p->size;
	int64_t lost_prefix =
		(BBR_LOSS_THRESH_PERCENT * inflight_prev - 100 * lost_prev) / (100 - BBR_LOSS_THRESH_PERCENT);

	return inflight_prev + lost_prefix > 0 ? (uint64_t)(inflight_prev + lost_prefix) : 0;
}

static void handle_inflight_too_high(struct tcp *t, const struct tcp_conn *c, struct bbr *b,
				     const struct lost_packet *p)
{
	b->prev_probe_too_high = true;
	b->is_bw_probe_sample = false;
	if (!p->is_app_limited)
		b->inflight_longterm = (uint32_t)min_u64(
			max_u64(p->tx_in_flight, bbr_target_inflight(t, c, b) * BBR_BETA_PERCENT / 100),
			BBR_INFINITE - 1);
	if (b->state == BBR_PROBE_BW_UP) {
		b->undo_state = BBR_PROBE_BW_UP;
		start_probe_bw_down(t, c, b);
	}
}

void bbr_lost(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
	struct bbr *b = bbr_of(t, c);
	struct lost_packet p = {
		.tx_in_flight = s->in_flight,
		.lost = (uint32_t)(c->flight->lost_total - s->lost),
		.size = s->len,
		.is_app_limited = (s->flags & SEGMENT_APP_LIMITED) != 0,
	};

	bbr_note_loss(c, b);
	if (b->n_lost_ranges == 0 || s->seq != b->lost_end)
		b->n_lost_ranges += b->n_lost_ranges < UINT8_MAX;
	b->lost_end = s->seq + tcp_segment_size(s);
	if (!b->is_bw_probe_sample || !bbr_is_inflight_too_high(c, p.lost, p.tx_in_flight))
		return;
	p.tx_in_flight = inflight_at_loss(&p);
	handle_inflight_too_high(t, c, b, &p);
}

void bbr_marked(struct tcp *t, struct tcp_conn *c, struct bbr *b)
{
	struct lost_packet p = { .tx_in_flight = tcp_inflight(c), .is_app_limited = c->flight->app_limited != 0 };

	bbr_note_loss(c, b);
	if (b->state == BBR_STARTUP && !b->full_bw_reached)
		leave_startup(t, c, b);
	else if (b->is_bw_probe_sample)
		handle_inflight_too_high(t, c, b, &p);
}

void bbr_handle_spurious_loss_detection(struct tcp *t, struct tcp_conn *c, struct bbr *b)
{
	uint8_t undo_state = b->undo_state;

	bbr_restore_cwnd(c, b);
	b->is_loss_in_round = false;
	bbr_reset_full_bw(b);
	b->bw_shortterm = max_u64(b->bw_shortterm, b->undo_bw_shortterm);
	b->inflight_shortterm = max_u32(b->inflight_shortterm, b->undo_inflight_shortterm);
	b->inflight_longterm = max_u32(b->inflight_longterm, b->undo_inflight_longterm);
	b->undo_state = BBR_NO_STATE;
	if (undo_state == BBR_STARTUP && b->state != BBR_STARTUP) {
		b->full_bw_reached = false;
		if (b->state != BBR_PROBE_RTT)
			bbr_enter_startup(b);
	} else if (undo_state == BBR_PROBE_BW_UP && b->state != BBR_PROBE_BW_UP && b->state != BBR_PROBE_RTT) {
		start_probe_bw_refill(c, b);
	}
}
