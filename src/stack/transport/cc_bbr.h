/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What BBR keeps of a connection, version 3 (cc_bbr.c, cc_bbr_model.c, cc_bbr_state.c) and version 1 (cc_bbr1.c), and
 * what both of them need.
 *
 * Names are those of draft-ietf-ccwg-bbr. Rates are bytes a second, volumes bytes, times ns, gains in hundredths.
 */
#ifndef YG_STACK_TRANSPORT_CC_BBR_H
#define YG_STACK_TRANSPORT_CC_BBR_H

#include "stack/transport/cc_priv.h"

#define BBR_GAIN_ONE 100u
#define BBR_LOSS_THRESH_PERCENT 2
#define BBR_BETA_PERCENT 70u
#define BBR_INFINITE UINT32_MAX /* a volume */
#define BBR_RATE_INFINITE UINT64_MAX
/* 147 Gbit/s; a rate times a second of ns still fits. */
#define BBR_RATE_MAX (UINT64_MAX / NS_PER_S)
#define BBR_NO_RTT UINT64_MAX
#define BBR_MIN_PIPE_SEGMENTS 4u
#define BBR_CWND_MAX (UINT32_C(1) << 30) /* of any window (RFC 7323 section 2.3) */

/* The largest of what was seen in a window of so many steps of some clock, by three values (K. Nichols). */
struct windowed_max {
	struct {
		uint64_t value;
		uint32_t at;
	} best[3]; /* the largest; the largest behind it; and behind that */
};

void windowed_max_reset(struct windowed_max *w, uint32_t at, uint64_t value);
/* What is older than `window` by now is forgotten. Returns the largest. */
uint64_t windowed_max_update(struct windowed_max *w, uint32_t window, uint32_t at, uint64_t value);

/* Bytes in so many ns; the rate no larger than BBR_RATE_MAX. */
static inline uint64_t bbr_volume(uint64_t rate, uint64_t ns)
{
	return rate * (ns / NS_PER_S) + rate * (ns % NS_PER_S) / NS_PER_S;
}

/* RS.delivery_rate; 0: the sample says nothing. */
static inline uint64_t bbr_sample_rate(const struct cc_sample *s)
{
	return s->interval == 0 ? 0 : min_u64(s->delivered * NS_PER_S / s->interval, BBR_RATE_MAX);
}

/* C.send_quantum, of a rate: a millisecond of it where the device takes so much at once. Elsewhere segments leave one
 * by one, and two are the least that the draft reckons with. */
static inline uint32_t bbr_send_quantum(const struct tcp_conn *c, uint64_t rate)
{
	uint32_t least = 2u * c->mss;

	return c->gso ? max_u32((uint32_t)min_u64(rate / 1000, 65536), least) : least;
}

/* The window is not what the control has said, but recovery's or a timeout's. */
static inline bool bbr_in_recovery(const struct tcp_conn *c)
{
	return c->ca_state == TCP_CA_RECOVERY || c->ca_state == TCP_CA_LOSS;
}

static inline uint64_t bbr_initial_window(const struct tcp *t, const struct tcp_conn *c)
{
	return (uint64_t)t->cfg.init_cwnd * c->mss;
}

/* What has come since some time, as long as it is more than the bandwidth explains. */
struct ack_aggregation {
	uint64_t extra_acked_delivered, extra_acked_interval_start;
};

/* With nothing known of the path: the initial window in a round trip. */
uint64_t bbr_initial_rate(const struct tcp *t, const struct tcp_conn *c, uint32_t gain);
/* A mark for the delivery rate: what is on its way says little of the path. */
void bbr_mark_app_limited(struct tcp_conn *c);
/* The rate from now on, but until is_full (the path has been seen full) only a higher one. */
void bbr_set_pacing_rate(struct tcp_conn *c, uint64_t bw, uint32_t gain, bool is_full);
/* BDPMultiple(gain); min_rtt BBR_NO_RTT: the initial window. */
uint64_t bbr_bdp_of(const struct tcp *t, const struct tcp_conn *c, uint64_t min_rtt, uint64_t bw, uint32_t gain);
/* So many bytes have been acknowledged: how many more they are by now than the bandwidth explains. */
uint64_t bbr_extra_acked(const struct tcp *t, const struct tcp_conn *c, struct ack_aggregation *a, uint64_t bw,
			 uint64_t acked);
void bbr_info_of(uint64_t bw, uint64_t min_rtt, uint32_t pacing_gain, uint32_t cwnd_gain, struct cc_bbr_info *out);

/* --- version 3 --- */

enum bbr_state {
	BBR_STARTUP,
	BBR_DRAIN,
	BBR_PROBE_BW_DOWN,
	BBR_PROBE_BW_CRUISE,
	BBR_PROBE_BW_REFILL,
	BBR_PROBE_BW_UP,
	BBR_PROBE_RTT,
	N_BBR_STATES,
	BBR_NO_STATE = N_BBR_STATES
};

/* What acknowledgements are about, as to probing for bandwidth. */
enum bbr_ack_phase {
	BBR_ACKS_INIT,
	BBR_ACKS_REFILLING,
	BBR_ACKS_PROBE_STARTING,
	BBR_ACKS_PROBE_FEEDBACK,
	BBR_ACKS_PROBE_STOPPING,
};

struct bbr {
	uint8_t state;      /* enum bbr_state */
	uint8_t ack_phase;  /* enum bbr_ack_phase */
	uint8_t undo_state; /* enum bbr_state; BBR_NO_STATE: no transition is to be taken back */
	uint8_t full_bw_count;
	uint8_t bw_probe_up_rounds;
	uint8_t n_lost_ranges; /* discontiguous, in this loss round; counts no further than UINT8_MAX */
	bool round_start : 1, loss_round_start : 1, is_loss_in_round : 1, is_bw_probe_sample : 1;
	bool full_bw_now : 1, full_bw_reached : 1;
	bool prev_probe_too_high : 1, prev_probe_precautionary : 1;
	bool probe_rtt_expired : 1, probe_rtt_round_done : 1, idle_restart : 1;
	bool is_saved : 1; /* what an undo needs: of the recovery that is under way or about to begin */
	bool has_rtt : 1;  /* the rate at first was made of a round trip */

	/* The sample that is dealt with. */
	uint64_t delivery_rate;
	uint32_t newly_acked;
	uint32_t lost_end; /* where the range that was lost last ends */
	uint64_t delivered_seen;

	/* Rates. */
	uint64_t bw, max_bw, bw_shortterm, bw_latest, full_bw;
	uint64_t max_bw_of[2]; /* in this cycle of probing; in the one before */

	/* Volumes. */
	uint32_t inflight_longterm, inflight_shortterm, inflight_latest;
	uint32_t bw_probe_up_acked, probe_up_acked_per_inc;
	uint32_t extra_acked;
	struct ack_aggregation aggregation;
	struct windowed_max extra_acked_filter;

	/* Rounds. */
	uint64_t next_round_delivered, loss_round_delivered;
	uint32_t round_count, drain_start_round, rounds_since_probe_up;

	/* Times. */
	uint64_t min_rtt, min_rtt_stamp;
	uint64_t probe_rtt_min_delay, probe_rtt_min_stamp, probe_rtt_done_stamp;
	uint64_t cycle_stamp, bw_probe_wait;

	uint32_t prior_cwnd;
	uint32_t undo_inflight_shortterm, undo_inflight_longterm;
	uint64_t undo_bw_shortterm;
};

/* --- version 1 --- */

enum bbr1_state { BBR1_STARTUP, BBR1_DRAIN, BBR1_PROBE_BW, BBR1_PROBE_RTT, N_BBR1_STATES };

struct bbr1 {
	uint8_t state; /* enum bbr1_state */
	uint8_t cycle_index, full_bw_count, ca_state;
	bool round_start : 1, filled_pipe : 1, packet_conservation : 1;
	bool probe_rtt_round_done : 1, idle_restart : 1, has_rtt : 1;
	uint32_t round_count, prior_cwnd;
	uint32_t extra_acked; /* the largest in a window of rounds */
	uint64_t full_bw, delivered_seen, next_round_delivered;
	uint64_t min_rtt, min_rtt_stamp, probe_rtt_done_stamp, cycle_stamp;
	struct ack_aggregation aggregation;
	struct windowed_max bw_filter, extra_acked_filter;
};

union cc_record {
	struct bbr bbr;
	struct bbr1 bbr1;
};

static inline struct bbr *bbr_of(const struct tcp *t, const struct tcp_conn *c)
{
	return &((union cc_record *)pool_at(&t->cc_records, c->cc_state.record))->bbr;
}

static inline struct bbr1 *bbr1_of(const struct tcp *t, const struct tcp_conn *c)
{
	return &((union cc_record *)pool_at(&t->cc_records, c->cc_state.record))->bbr1;
}

static inline uint32_t bbr_min_pipe(const struct tcp_conn *c)
{
	return BBR_MIN_PIPE_SEGMENTS * c->mss;
}

static inline bool bbr_is_in_probe_bw(const struct bbr *b)
{
	return b->state >= BBR_PROBE_BW_DOWN && b->state <= BBR_PROBE_BW_UP;
}

/* What the state machine asks of a state. */
struct bbr_state_info {
	const char *name;
	uint16_t pacing_gain, cwnd_gain;
};
extern const struct bbr_state_info bbr_state_info[N_BBR_STATES];

/* cc_bbr_model.c: what is known of the path. In the order of an acknowledgement. */

void bbr_model_init(struct tcp *t, struct tcp_conn *c, struct bbr *b);
void bbr_update_latest_delivery_signals(const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s);
void bbr_update_congestion_signals(const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s);
void bbr_update_ack_aggregation(const struct tcp *t, const struct tcp_conn *c, struct bbr *b);
void bbr_update_min_rtt(const struct tcp *t, struct bbr *b, const struct cc_sample *s);
void bbr_advance_latest_delivery_signals(struct bbr *b, const struct cc_sample *s);

void bbr_start_round(const struct tcp_conn *c, struct bbr *b);
void bbr_advance_max_bw_filter(struct bbr *b);
void bbr_reset_full_bw(struct bbr *b);
void bbr_reset_congestion_signals(struct bbr *b);
void bbr_reset_short_term_model(struct bbr *b);
void bbr_bound_bw(struct bbr *b);

uint64_t bbr_bdp_multiple(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b, uint64_t bw,
			  uint32_t gain);
/* Inflight(bw, gain): with the budgets of offload and of small paths. */
uint64_t bbr_inflight(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b, uint64_t bw, uint32_t gain);
uint64_t bbr_quantization_budget(const struct tcp_conn *c, const struct bbr *b, uint64_t volume);
uint32_t bbr_inflight_with_headroom(const struct tcp_conn *c, const struct bbr *b);
uint64_t bbr_target_inflight(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b);
uint64_t bbr_probe_rtt_cwnd(const struct tcp *t, const struct tcp_conn *c, const struct bbr *b);
/* So much was lost of what was on its way when something was sent. */
bool bbr_is_inflight_too_high(const struct tcp_conn *c, uint64_t lost, uint64_t tx_in_flight);

void bbr_save_cwnd(const struct tcp_conn *c, struct bbr *b);
void bbr_restore_cwnd(struct tcp_conn *c, const struct bbr *b);
void bbr_note_loss(const struct tcp_conn *c, struct bbr *b);
void bbr_save_state_upon_loss(const struct tcp_conn *c, struct bbr *b);

/* cc_bbr_state.c: what is done about it. */

void bbr_enter_startup(struct bbr *b);
void bbr_check_full_bw_reached(struct bbr *b, const struct cc_sample *s);
void bbr_check_startup_done(const struct tcp *t, const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s);
void bbr_check_drain_done(struct tcp *t, const struct tcp_conn *c, struct bbr *b);
void bbr_update_probe_bw_cycle_phase(struct tcp *t, const struct tcp_conn *c, struct bbr *b, const struct cc_sample *s);
void bbr_check_probe_rtt(struct tcp *t, struct tcp_conn *c, struct bbr *b, const struct cc_sample *s);
void bbr_check_probe_rtt_done(struct tcp *t, struct tcp_conn *c, struct bbr *b);
/* HandleLostPacket, of the loss of s. */
void bbr_lost(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s);
/* The path says so by other means than a loss: a mark. */
void bbr_marked(struct tcp *t, struct tcp_conn *c, struct bbr *b);
void bbr_handle_spurious_loss_detection(struct tcp *t, struct tcp_conn *c, struct bbr *b);

#endif
