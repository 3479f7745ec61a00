/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Acknowledgements: what the other end has, and all that follows from it. The steps
 * of tcp_ack_input, in order:
 *
 *   is it one that can be                    RFC 9293 section 3.10.7.4, RFC 5961 section 5
 *   the window that comes with it            SND.WL1, SND.WL2
 *   what it acknowledges by number, by SACK  take_acked, tcp_sack.c
 *   the round trip, the rate                 tcp_rtt.c, tcp_rate.c
 *   what is lost                             tcp_rack.c
 *   what is done about that                  tcp_recovery.c
 *   how much may be on its way from here on  the congestion control
 */
#include "stack/transport/tcp_priv.h"

#define REORDERING_USUAL 3u /* segments: RFC 5681's threshold */

/* The first segment is acknowledged as a whole. */
static void first_acked(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	struct tcp_segment *s = tcp_queue_at(t, c, 0);

	if (s->flags & SEGMENT_SACKED)
		c->flight->sacked -= tcp_segment_size(s);
	else
		tcp_segment_delivered(t, c, s, tcp_queue_number(c, 0), a);
	a->rtx_acked |= (s->flags & SEGMENT_EVER_RETRANSMITTED) != 0;
	c->bytes_acked += s->len;
	tcp_queue_drop_first(t, c);
}

/* Some bytes of it. */
static void first_trimmed(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a, uint32_t bytes)
{
	const struct tcp_segment *s = tcp_queue_at(t, c, 0);

	if (s->flags & SEGMENT_SACKED)
		c->flight->sacked -= bytes;
	else
		tcp_part_delivered(t, c, s, bytes, a);
	if (s->flags & SEGMENT_LOST)
		c->flight->lost -= bytes;
	if (s->flags & SEGMENT_RETRANSMITTED)
		c->flight->retransmitted -= bytes;
	a->rtx_acked |= (s->flags & SEGMENT_EVER_RETRANSMITTED) != 0;
	c->bytes_acked += bytes;
	tcp_queue_trim_first(t, c, bytes);
}

static void take_acked(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	uint32_t told = c->sack_ok ? 0 : min_u32(c->flight->sacked, a->ack - c->snd_una);

	a->acked_new = a->ack - c->snd_una;
	c->flight->sacked -= told;
	while (c->flight->queue.n_sent > 0) {
		const struct tcp_segment *s = tcp_queue_at(t, c, 0);

		if (!seq_after(s->seq + tcp_segment_size(s), a->ack)) {
			first_acked(t, c, a);
			continue;
		}
		if (seq_after(a->ack, s->seq))
			first_trimmed(t, c, a, a->ack - s->seq);
		break;
	}
	/* What duplicates had told is nothing new. */
	a->sample.acked -= min_u64(a->sample.acked, told);
	c->snd_una = a->ack;
	if (seq_before(c->flight->snd_up, c->snd_una))
		c->flight->snd_up = c->snd_una;
	if (seq_before(c->flight->fack, c->snd_una))
		c->flight->fack = c->snd_una;
	if (seq_before(c->flight->lost_from, c->snd_una))
		c->flight->lost_from = c->snd_una;
	c->n_rtx = c->flight->n_probes = 0;
	c->soft_error = 0;
	c->flight->rtx_since = c->flight->queue.n_sent > 0 ? t->env->now : 0;
	c->flight->rtx_at = TIME_NEVER;
}

/* RFC 9293: a window is taken from what is newest. True: it is another one. */
static bool take_window(struct tcp_conn *c, const struct packet *p)
{
	uint32_t wnd = (uint32_t)p->l4.window << c->snd_scale;

	/* As Linux, beside RFC 9293: what acknowledges more is the latest word, also when it fills a gap and something
	 * of a higher number came before it. */
	if (!seq_after(p->l4.ack, c->snd_una) && !seq_before(c->snd_wl1, p->l4.seq) &&
	    !(c->snd_wl1 == p->l4.seq && !seq_after(c->snd_wl2, p->l4.ack)))
		return false;
	bool is_other = wnd != c->snd_wnd;

	c->snd_wnd = wnd;
	c->snd_wl1 = p->l4.seq;
	c->snd_wl2 = p->l4.ack;
	c->snd_wnd_max = max_u32(c->snd_wnd_max, wnd);
	return is_other;
}

static void take_rtt(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	if (a->has_rtt) {
		tcp_rtt_sample(t, c, a->rtt);
		a->sample.rtt = max_u64(a->rtt, 1);
		return;
	}
	/* Of something that was sent twice only the timestamp says which one it was (RFC 7323 section 4). */
	if (a->acked_new == 0 || !c->ts_ok || a->options == NULL || !a->options->has_timestamp ||
	    a->options->ts_ecr == 0)
		return;
	int32_t ms = (int32_t)(tcp_ts_now(t, c) - a->options->ts_ecr);

	if (ms >= 0 && ms < 3600 * 1000)
		tcp_rtt_sample_coarse(t, c, (uint64_t)ms * TCP_TS_NS);
}

/* RFC 5681's duplicate: nothing in it but the number, while something is on its way. */
static void count_duplicate(struct tcp_conn *c, struct tcp_ack *a)
{
	if (!a->is_duplicate)
		return;
	c->flight->n_dupacks += c->flight->n_dupacks < UINT8_MAX;
	/* It says that one more has left the path; the first is missing, however small. */
	if (!c->sack_ok && (uint64_t)c->flight->sacked + 2 * c->mss <= c->snd_nxt - c->snd_una)
		c->flight->sacked += c->mss;
	if (!c->sack_ok)
		a->sacked_new += c->mss;
}

/* What is on its way and as much again that waits for its turn. */
static void grow_sndbuf(struct tcp *t, struct tcp_conn *c)
{
	if (!c->told.sndbuf_set)
		c->sndbuf = max_u32(c->sndbuf, (uint32_t)min_u64(2ull * c->cwnd, t->cfg.sndbuf_max));
}

static void control(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	struct cc_sample *s = &a->sample;

	s->now = t->env->now;
	s->growth_limit = t->cfg.growth_limit != 0 ? (uint64_t)t->cfg.growth_limit * c->mss : UINT64_MAX;
	s->css_rounds = t->cfg.css_rounds;
	s->lost = a->lost_new;
	s->ece = a->ece;
	s->in_recovery = c->ca_state == TCP_CA_RECOVERY || c->ca_state == TCP_CA_CWR;
	/* In slow start also when more than half of it was in use (RFC 7661 section 4.3, as Linux). */
	s->cwnd_limited = c->cwnd_limited || (c->cwnd < c->ssthresh && c->cwnd < 2ull * c->flight->out_max);
	s->round_began = !seq_before(a->ack, c->round_end) && a->acked_new > 0;
	if (s->round_began)
		c->round_end = c->snd_nxt;
	if (tcp_cc(c)->control != NULL) {
		tcp_cc(c)->control(t, c, s);
		grow_sndbuf(t, c);
		return;
	}
	if (s->acked == 0 || s->in_recovery)
		return;
	/* What is told by SACK alone makes room for one more segment and no larger window (RFC 3042), unless so much is
	 * told that it is reordering, or it would be taken for lost by now. */
	if (a->acked_new == 0 && c->flight->sacked <= REORDERING_USUAL * c->mss)
		return;
	tcp_cc(c)->acked(t, c, s);
	c->cwnd = max_u64(c->cwnd, c->mss);
	grow_sndbuf(t, c);
}

static void judge(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	uint64_t lost = c->flight->lost_total;

	tcp_rack_update(t, c, a);
	uint64_t look_again = tcp_rack_detect(t, c);

	a->lost_new = (uint32_t)(c->flight->lost_total - lost);
	tcp_rack_probe_answered(t, c, a);
	tcp_rate_sample(t, c, a);
	tcp_recovery_ack(t, c, a);
	control(t, c, a);
	c->flight->reorder_at = look_again != 0 && c->flight->queue.n_sent > 0 ? look_again : TIME_NEVER;
}

/* RFC 5961 section 5; and nothing older was ever there to be acknowledged than the first byte, as Linux has it. */
static bool is_acceptable(struct tcp *t, struct tcp_conn *c, uint32_t ack)
{
	uint64_t acked = c->bytes_acked + (c->state == TCP_FIN_WAIT_2);
	uint32_t old = (uint32_t)min_u64(c->snd_wnd_max, acked);

	if (!seq_after(ack, c->snd_nxt) && !seq_before(ack, c->snd_una - old))
		return true;
	tcp_send_challenge(t, c);
	return false;
}

bool tcp_ack_input(struct tcp *t, struct tcp_conn *c, const struct packet *p, const struct tcp_options *o)
{
	bool has_something = c->snd_nxt != c->snd_una;

	/* As a rule at whoever receives: there is nothing that it could acknowledge. */
	if (!has_something && c->flight->queue.n == 0 && p->l4.ack == c->snd_una && !c->flight->tlp_out) {
		(void)take_window(c, p);
		c->more = false;
		tcp_pend(t, c);
		return true;
	}
	struct tcp_ack a = { .ack = p->l4.ack, .prior_una = c->snd_una, .prior_fack = c->flight->fack, .options = o };
	uint32_t room = c->wants_room ? tcp_queue_room(t, c) : 0;

	if (!is_acceptable(t, c, a.ack))
		return false;
	a.sample.inflight = tcp_inflight(c);
	a.has_data = p->l4.payload_len > 0;
	a.ece = (p->l4.flags & TCP_ECE) != 0;
	if (seq_before(a.ack, c->snd_una)) {
		/* Old: it may still tell by SACK. */
		a.ack = c->snd_una;
		a.prior_una = p->l4.ack;
	} else {
		a.window_changed = take_window(c, p);
		if (c->flight->queue.n > 0) {
			c->flight->n_unanswered = 0;
			if (c->snd_wnd > 0)
				c->flight->n_probes = 0;
		}
	}
	a.is_duplicate = p->l4.ack == c->snd_una && !a.has_data && !a.window_changed && has_something &&
			 !(p->l4.flags & (TCP_SYN | TCP_FIN));
	if (seq_after(a.ack, c->snd_una)) {
		c->flight->n_dupacks = 0;
		take_acked(t, c, &a);
	}
	if (has_something) {
		tcp_sack_input(t, c, &a);
		count_duplicate(c, &a);
		take_rtt(t, c, &a);
		judge(t, c, &a);
	} else if (c->flight->tlp_out) {
		/* Whether a loss probe came twice is told when all is acknowledged. */
		tcp_sack_input(t, c, &a);
		tcp_rack_probe_answered(t, c, &a);
	}
	if (c->wants_room && tcp_queue_room(t, c) > room)
		tcp_tell_room(t, c);
	/* As Linux: MSG_MORE holds back until something is heard; TCP_CORK does longer. */
	c->more = false;
	tcp_pend(t, c);
	return true;
}

void tcp_acked_syn(struct tcp *t, struct tcp_conn *c, const struct packet *p, const struct tcp_options *o)
{
	c->snd_una = p->l4.ack;
	c->snd_wl1 = p->l4.seq;
	c->snd_wl2 = p->l4.ack;
	/* The window of a SYN is not scaled. */
	c->snd_wnd = (uint32_t)p->l4.window << ((p->l4.flags & TCP_SYN) ? 0 : c->snd_scale);
	c->snd_wnd_max = c->snd_wnd;
	if (c->n_rtx == 0 && c->last_sent != 0)
		tcp_rtt_sample(t, c, t->env->now - c->last_sent);
	else if (c->ts_ok && o->has_timestamp && o->ts_ecr != 0)
		tcp_rtt_sample(t, c, (uint64_t)(tcp_ts_now(t, c) - o->ts_ecr) * TCP_TS_NS);
	else
		c->syn_lost = true;
	c->last_sent = 0;
	tcp_flight_begin(c);
}
