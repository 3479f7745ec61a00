/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is done about losses.
 *
 *   OPEN, DISORDER   nothing is lost; DISORDER: something came out of order
 *   CWR              a mark (ECN) or a loss that a probe has repaired: the window goes down, nothing
 *                    is sent again
 *   RECOVERY         RACK has found losses: they are sent again, and the window goes down to ssthresh
 *                    in step with what is delivered (RFC 9937, proportional rate reduction),
 *                    unless the congestion control has the window to itself
 *   LOSS             a timeout: everything is taken to be lost, and slow start begins again
 *
 * It is over when what had been sent when it began is acknowledged (high_seq).
 *
 * It is undone, windows and all, when it shows that nothing was lost: every segment
 * that was sent again has come twice (RFC 3708), an acknowledgement tells the
 * timestamp of a first copy (RFC 3522), or behind a timeout something is acknowledged
 * that was not sent again (RFC 5682).
 */
#include "stack/transport/tcp_priv.h"

static void tell(struct tcp *t, struct tcp_conn *c, enum cc_event e)
{
	if (tcp_cc(c)->event != NULL)
		tcp_cc(c)->event(t, c, e);
}

static void remember(struct tcp_conn *c)
{
	struct tcp_flight *f = c->flight;

	f->prior_cwnd = c->cwnd;
	f->prior_ssthresh = c->ssthresh;
	f->undo_marker = c->snd_una;
	/* What an earlier recovery has sent again and is not acknowledged yet counts, and its time is the one before
	 * which a first copy was sent: its acknowledgement would else be taken for that of a first copy. */
	f->undo_retrans = (int32_t)((f->retransmitted + c->mss - 1) / c->mss);
	if (f->retransmitted == 0)
		f->retrans_stamp = 0;
	f->undo_valid = true;
}

static void begin(struct tcp *t, struct tcp_conn *c, enum tcp_ca_state state)
{
	remember(c);
	c->ca_state = (uint8_t)state;
	c->flight->high_seq = c->snd_nxt;
	c->ssthresh = (uint32_t)min_u64(tcp_cc(c)->ssthresh(t, c), UINT32_MAX);
	c->flight->prr_delivered = c->flight->prr_out = 0;
	c->flight->prr_fs = max_u64(tcp_inflight(c) + c->flight->lost, 1);
	if (c->ecn_ok)
		c->cwr_pending = true;
}

static void enter_recovery(struct tcp *t, struct tcp_conn *c)
{
	t->counts[TCP_COUNT_RECOVERIES]++;
	if (c->ca_state == TCP_CA_CWR) {
		/* The window went down in this round already. */
		c->ca_state = TCP_CA_RECOVERY;
		c->flight->high_seq = c->snd_nxt;
		c->flight->undo_valid = false;
		return;
	}
	begin(t, c, TCP_CA_RECOVERY);
	if (c->reo_wnd_persist > 0 && --c->reo_wnd_persist == 0)
		c->reo_wnd_mult = 1;
}

void tcp_recovery_marked(struct tcp *t, struct tcp_conn *c, enum cc_event e)
{
	if (c->ca_state >= TCP_CA_CWR)
		return;
	tell(t, c, e);
	begin(t, c, TCP_CA_CWR);
	c->flight->undo_valid = false;
}

static void finish(struct tcp *t, struct tcp_conn *c)
{
	/* RFC 9937: it ends with the window at ssthresh. */
	if ((c->ca_state == TCP_CA_RECOVERY || c->ca_state == TCP_CA_CWR) && tcp_cc(c)->control == NULL)
		c->cwnd = max_u32(c->ssthresh, 2u * c->mss);
	c->ca_state = TCP_CA_OPEN;
	c->flight->frto = c->flight->frto_probes = false;
	c->flight->n_dupacks = 0;
	tell(t, c, CC_EVENT_RECOVERED);
}

/* --- it was nothing --- */

static void undo(struct tcp *t, struct tcp_conn *c)
{
	t->counts[TCP_COUNT_UNDONE]++;
	c->cwnd = max_u32(c->cwnd, c->flight->prior_cwnd);
	c->ssthresh = max_u32(c->ssthresh, c->flight->prior_ssthresh);
	c->flight->undo_valid = false;
	c->flight->frto = c->flight->frto_probes = false;
	c->n_rtx = 0;
	/* What is still marked is on its way. */
	for (uint32_t i = 0; i < c->flight->queue.n_sent && c->flight->lost > 0; i++) {
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if (!(s->flags & SEGMENT_LOST))
			continue;
		if (s->flags & SEGMENT_RETRANSMITTED)
			c->flight->retransmitted -= tcp_segment_size(s);
		bool is_listed = (s->flags & SEGMENT_RETRANSMITTED) != 0;

		s->flags &= (uint8_t) ~(SEGMENT_LOST | SEGMENT_RETRANSMITTED);
		c->flight->lost -= tcp_segment_size(s);
		if (!is_listed)
			tcp_flight_add(t, c, s, tcp_queue_number(c, i));
	}
	c->ca_state = TCP_CA_OPEN;
	tell(t, c, CC_EVENT_UNDONE);
}

static bool timestamp_says_first(const struct tcp_conn *c, const struct tcp_ack *a)
{
	return c->flight->retrans_stamp != 0 && a->acked_new > 0 &&
	       tcp_ack_echoes_before(c, a, c->flight->retrans_stamp);
}

/* True: it is over. */
static bool try_undo(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a)
{
	if (!c->flight->undo_valid)
		return false;
	bool is_all_twice = a->has_dsack && c->flight->undo_retrans == 0 && c->flight->retrans_stamp != 0;

	if (!is_all_twice && !timestamp_says_first(c, a))
		return false;
	undo(t, c);
	return true;
}

/* --- windows --- */

/* RFC 9937 section 6.2. */
static void reduce(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a)
{
	uint64_t delivered = (uint64_t)a->acked_new + a->sacked_new, inflight = tcp_inflight(c);
	int64_t send;

	if (tcp_cc(c)->control != NULL)
		return;
	c->flight->prr_delivered += delivered;
	if (inflight > c->ssthresh) {
		uint64_t all = (c->flight->prr_delivered * c->ssthresh + c->flight->prr_fs - 1) / c->flight->prr_fs;

		send = (int64_t)all - (int64_t)c->flight->prr_out;
	} else {
		bool is_safe = a->acked_new > 0 && a->lost_new == 0;

		send = (int64_t)max_u64(
			c->flight->prr_delivered - min_u64(c->flight->prr_out, c->flight->prr_delivered), delivered);
		if (is_safe)
			send += c->mss;
		if (send > (int64_t)(c->ssthresh - inflight))
			send = (int64_t)(c->ssthresh - inflight);
	}
	/* The first retransmission leaves at once. */
	if (c->flight->prr_out == 0 && send < (int64_t)c->mss)
		send = c->mss;
	c->cwnd = (uint32_t)(inflight + (uint64_t)(send > 0 ? send : 0));
}

/* All that is not acknowledged is taken to be lost. */
static void mark_all_lost(struct tcp *t, struct tcp_conn *c)
{
	for (uint32_t i = 0; i < c->flight->queue.n_sent; i++) {
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if (!(s->flags & SEGMENT_SACKED))
			tcp_mark_lost(t, c, s, tcp_queue_number(c, i));
	}
}

/* RFC 2018 section 8: at a timeout the other end may have thrown away what it has told of, if the first segment, which
 * it has asked for all the time, is among that. */
static void forget_sacks(struct tcp *t, struct tcp_conn *c)
{
	memset(c->flight->sack_seen, 0, sizeof(c->flight->sack_seen));
	if (c->flight->queue.n_sent == 0 || !(tcp_queue_at(t, c, 0)->flags & SEGMENT_SACKED))
		return;
	for (uint32_t i = 0; i < c->flight->queue.n_sent; i++)
		tcp_queue_at(t, c, i)->flags &= (uint8_t)~SEGMENT_SACKED;
	c->flight->sacked = 0;
}

void tcp_recovery_timeout(struct tcp *t, struct tcp_conn *c)
{
	bool is_first = c->ca_state < TCP_CA_LOSS && (c->ca_state != TCP_CA_RECOVERY || c->flight->retransmitted == 0);

	if (is_first || !c->flight->undo_valid || c->n_rtx <= 1) {
		if (c->ca_state != TCP_CA_LOSS) {
			remember(c);
			c->ssthresh = (uint32_t)min_u64(tcp_cc(c)->ssthresh(t, c), UINT32_MAX);
		}
	}
	if (!c->sack_ok)
		c->flight->sacked = 0;
	forget_sacks(t, c);
	mark_all_lost(t, c);
	c->flight->frto = is_first;
	c->flight->frto_probes = false;
	c->ca_state = TCP_CA_LOSS;
	c->flight->high_seq = c->snd_nxt;
	c->cwnd = c->mss;
	c->flight->tlp_out = false;
	c->flight->n_dupacks = 0;
	tell(t, c, CC_EVENT_RTO);
}

/* RFC 5682 section 3.1 with what SACK and marks say: something that was not sent again has come. */
static bool timeout_was_spurious(const struct tcp_conn *c, const struct tcp_ack *a)
{
	return c->flight->frto && c->flight->undo_valid && a->original_acked && (a->acked_new > 0 || a->sacked_new > 0);
}

/* Step 2b: the first acknowledgement behind the timeout may be of either copy. What has not been sent yet is, if there
 * is some; what the next one acknowledges tells. */
static bool frto_begins(const struct tcp *t, const struct tcp_conn *c, const struct tcp_ack *a)
{
	if (!c->flight->frto || c->flight->frto_probes || a->acked_new == 0 ||
	    c->flight->queue.n_sent == c->flight->queue.n || !seq_before(a->ack, c->flight->high_seq))
		return false;
	const struct tcp_segment *s = tcp_queue_at(t, c, c->flight->queue.n_sent);

	return seq_before(s->seq, c->snd_una + c->snd_wnd);
}

static void in_loss(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	bool begins = frto_begins(t, c, a);

	if (timeout_was_spurious(c, a)) {
		undo(t, c);
		return;
	}
	if (try_undo(t, c, a))
		return;
	/* Step 3a: it was no spurious one, or it would have shown. */
	if (!begins)
		c->flight->frto = false;
	c->flight->frto_probes = begins;
	if (!seq_before(a->ack, c->flight->high_seq))
		finish(t, c);
}

static void in_recovery(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	if (try_undo(t, c, a))
		return;
	if (!seq_before(a->ack, c->flight->high_seq) && (c->sack_ok || seq_after(a->ack, c->flight->high_seq))) {
		finish(t, c);
		return;
	}
	/* Without SACK a partial acknowledgement says that the next one is lost too (RFC 6582 section 3.2). */
	if (!c->sack_ok && a->acked_new > 0 && c->flight->queue.n_sent > 0 &&
	    !(tcp_queue_at(t, c, 0)->flags & SEGMENT_RETRANSMITTED))
		tcp_mark_first_lost(t, c);
	reduce(t, c, a);
}

/* Nothing is under way (any more). What was lost behind a recovery's end begins the next one with the same
 * acknowledgement: a congestion control that looks once for each never sees them apart, as in Linux. */
static void look(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a)
{
	if (c->flight->lost > 0 && !tcp_mtu_probe_lost(t, c)) {
		enter_recovery(t, c);
		reduce(t, c, a);
		return;
	}
	c->ca_state = c->flight->sacked > 0 || c->flight->n_dupacks > 0 ? TCP_CA_DISORDER : TCP_CA_OPEN;
}

static void in_cwr(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a)
{
	if (c->flight->lost > c->flight->retransmitted)
		enter_recovery(t, c);
	else if (!seq_before(a->ack, c->flight->high_seq))
		finish(t, c);
	if (c->ca_state >= TCP_CA_CWR)
		reduce(t, c, a);
}

void tcp_recovery_ack(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	if (YG_UNLIKELY(c->rare != POOL_NONE))
		tcp_mtu_ack(t, c);
	if (a->ece && c->ecn_ok)
		tcp_recovery_marked(t, c, CC_EVENT_MARKED);
	switch ((enum tcp_ca_state)c->ca_state) {
	case TCP_CA_LOSS:
		in_loss(t, c, a);
		break;
	case TCP_CA_RECOVERY:
		in_recovery(t, c, a);
		break;
	case TCP_CA_CWR:
		in_cwr(t, c, a);
		break;
	default:
		break;
	}
	if (c->ca_state < TCP_CA_CWR)
		look(t, c, a);
}
