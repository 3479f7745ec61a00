/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Segments that arrive: RFC 9293 section 3.10.7, a function a step, and who they are for.
 *
 *   tcp_input         by the tuple: a connection, a half open one, a TIME_WAIT record, a listener;
 *                     what is for nobody is left to ip, which answers by a reset (local.c)
 *   tcp_conn_input    in SYN_SENT: syn_sent (section 3.10.7.3); else section 3.10.7.4:
 *       first    the sequence number and the timestamp    check_sequence
 *       second   RST                                      check_reset
 *       fourth   SYN                                      check_syn
 *       fifth    ACK                                      check_ack
 *       sixth    URG                                      tcp_urgent_input (tcp_urgent.c)
 *       seventh  the data                                 take_data
 *       eighth   FIN                                      take_fin
 *
 * Whatever a step answers is sent at the end of the batch (tcp_pend).
 *
 * Next: src/stack/transport/tcp_ack.c, src/stack/transport/tcp_receive.c, src/stack/transport/tcp_output.c
 */
#include <errno.h>

#include "stack/transport/tcp_input.h"
#include "stack/transport/tcp_priv.h"
#include "stack/transport/tcp_md5.h"
#include "stack/ip/local.h"
#include "stack/packet/gso.h"

#define ECN_MASK 0x03u
#define ECN_CE 0x03u
/* RFC 7323 section 5.5: a timestamp that is older than 24 days says nothing. */
#define TS_OLD_S (24u * 86400u)
/* Acknowledgements of what is out of the window: one in so long for a connection, as Linux has it. */
#define OOW_ACK_MS 500u

/* --- first: the sequence number --- */

/* True: it is older than what was seen (RFC 7323 section 5.2). */
static bool is_paws_old(const struct tcp *t, const struct tcp_conn *c, const struct tcp_options *o)
{
	return c->ts_ok && o->has_timestamp && seq_before(o->ts_val, c->ts_recent) &&
	       (uint32_t)(t->env->now / NS_PER_S) - c->ts_recent_s < TS_OLD_S;
}

bool tcp_in_window(uint32_t rcv_nxt, uint32_t right, uint32_t seq, uint32_t len)
{
	if (len == 0)
		return right == rcv_nxt ? seq == rcv_nxt : seq_between(rcv_nxt, seq, right);
	/* Of a closed window nothing is taken, but what comes with it is looked at if it begins where it should. */
	if (right == rcv_nxt)
		return seq == rcv_nxt;
	return seq_before(seq, right) && seq_after(seq + len, rcv_nxt);
}

static bool is_in_window(const struct tcp_conn *c, const struct packet *p)
{
	return tcp_in_window(c->rcv_nxt, seq_max(c->rcv_adv, c->rcv_nxt), p->l4.seq, tcp_length_of(p));
}

/* Not for what it would be answered by (an ACK for ever), nor faster than that. */
static void answer_out_of_window(struct tcp *t, struct tcp_conn *c, const struct packet *p)
{
	t->counts[TCP_COUNT_OUT_OF_WINDOW]++;
	if (p->l4.flags & TCP_RST) {
		t->resets_in[TCP_RESET_IN_OUT_OF_WINDOW]++;
		return;
	}
	uint32_t now_ms = tcp_now_ms(t);

	if (p->l4.payload_len == 0 && !(p->l4.flags & (TCP_SYN | TCP_FIN)) && c->oow_ms != 0 &&
	    now_ms - c->oow_ms < OOW_ACK_MS)
		return;
	c->oow_ms = now_ms;
	c->ack_now = true;
	tcp_pend(t, c);
}

/* Both have opened at once: the other end's SYN again, which acknowledges ours (section 3.5, figure 8). Its number is
 * behind the window, and it is what is waited for. */
static bool is_crossed_synack(const struct tcp_conn *c, const struct packet *p)
{
	return c->state == TCP_SYN_RECEIVED && (p->l4.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) &&
	       p->l4.seq == c->irs && p->l4.ack == c->snd_nxt && p->l4.payload_len == 0;
}

/* Behind a FIN that it was too quick for: Mac OS X gives a reset the FIN's number, and Linux believes it. */
static bool is_reset_of_fin(const struct tcp_conn *c, const struct packet *p)
{
	return (p->l4.flags & TCP_RST) && p->l4.seq == c->rcv_nxt - 1 &&
	       (c->state == TCP_CLOSE_WAIT || c->state == TCP_LAST_ACK || c->state == TCP_CLOSING);
}

/* All of it is old: it came twice, and the sender wants to know (RFC 2883). */
static void note_duplicate(struct tcp *t, struct tcp_conn *c, const struct packet *p)
{
	uint32_t end = p->l4.seq + p->l4.payload_len;

	if (!c->sack_ok || p->l4.payload_len == 0 || (p->l4.flags & (TCP_SYN | TCP_RST)) ||
	    seq_after(end, c->rcv_nxt) || c->dsack.left != c->dsack.right)
		return;
	c->dsack.left = p->l4.seq;
	c->dsack.right = end;
	t->counts[TCP_COUNT_DUPLICATE_BYTES] += p->l4.payload_len;
}

static bool check_sequence(struct tcp *t, struct tcp_conn *c, const struct packet *p, const struct tcp_options *o)
{
	if (is_paws_old(t, c, o) && !(p->l4.flags & TCP_RST)) {
		t->counts[TCP_COUNT_PAWS_DROPPED]++;
		note_duplicate(t, c, p);
		answer_out_of_window(t, c, p);
		return false;
	}
	if (!is_in_window(c, p) && !is_crossed_synack(c, p) && !is_reset_of_fin(c, p)) {
		note_duplicate(t, c, p);
		answer_out_of_window(t, c, p);
		return false;
	}
	if (c->ts_ok && !o->has_timestamp && !(p->l4.flags & TCP_RST))
		t->counts[TCP_COUNT_NO_TIMESTAMP]++;
	return true;
}

/* --- second: RST (RFC 5961 section 3) --- */

static void reset_by_peer(struct tcp *t, struct tcp_conn *c)
{
	bool is_refused = c->state == TCP_SYN_SENT || (c->state == TCP_SYN_RECEIVED && c->is_active);
	int err = is_refused ? ECONNREFUSED : c->state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;

	t->resets_in[is_refused ? TCP_RESET_IN_REFUSED : TCP_RESET_IN_TAKEN]++;
	/* What had been received stays to be read only if nothing went wrong. */
	tcp_conn_end(t, c, is_refused ? TCP_REASON_REFUSED : TCP_REASON_RESET, err);
}

static bool check_reset(struct tcp *t, struct tcp_conn *c, const struct packet *p)
{
	if (!(p->l4.flags & TCP_RST))
		return true;
	if (p->l4.seq == c->rcv_nxt || is_reset_of_fin(c, p)) {
		reset_by_peer(t, c);
	} else {
		t->resets_in[TCP_RESET_IN_CHALLENGED]++;
		tcp_send_challenge(t, c);
	}
	return false;
}

/* --- fourth: SYN (RFC 5961 section 4) --- */

static bool check_syn(struct tcp *t, struct tcp_conn *c, const struct packet *p)
{
	if (!(p->l4.flags & TCP_SYN))
		return true;
	if (is_crossed_synack(c, p))
		return true;
	tcp_send_challenge(t, c);
	return false;
}

/* --- fifth: ACK --- */

static void establish(struct tcp *t, struct tcp_conn *c)
{
	/* RFC 6928 section 2: a SYN that was lost more than once says that the path has no room for many. */
	uint32_t segments = c->n_rtx > 1 ? 1 : t->cfg.init_cwnd;

	c->state = TCP_ESTABLISHED;
	c->n_rtx = 0;
	c->heard_at = t->env->now;
	c->data_ms = tcp_now_ms(t);
	c->n_quick = c->told.no_quickack ? 0 : TCP_QUICK_ACKS;
	c->round_end = c->snd_nxt;
	c->cwnd = segments * c->mss;
	c->ssthresh = UINT32_MAX;
	cc_begin(t, c);
	if (c->told.keepalive)
		c->keep_at = t->env->now + (c->o->keepalive_time != 0 ? c->o->keepalive_time : t->cfg.keepalive_time);
	tcp_changed(t, c, TCP_CHANGED_STATE);
	tcp_pend(t, c);
}

static bool fin_is_acked(const struct tcp_conn *c)
{
	return c->fin_queued && c->snd_una == c->write_seq;
}

/* FIN_WAIT_2. False: nobody waits there. */
static bool wait_for_fin(struct tcp *t, struct tcp_conn *c)
{
	if (!tcp_is_orphan(c))
		return true;
	if (c->o->linger2 != TCP_LINGER2_NONE) {
		c->keep_at = t->env->now + (c->o->linger2 != 0 ? c->o->linger2 : t->cfg.fin_timeout);
		return true;
	}
	tcp_reset(t, c, TCP_REASON_ABORTED);
	tcp_conn_end(t, c, TCP_REASON_ABORTED, 0);
	return false;
}

/* What its FIN's acknowledgement means. False: there is no connection any more. */
static bool fin_acked(struct tcp *t, struct tcp_conn *c)
{
	switch ((enum tcp_state)c->state) {
	case TCP_FIN_WAIT_1:
		c->state = TCP_FIN_WAIT_2;
		if (!wait_for_fin(t, c))
			return false;
		tcp_changed(t, c, TCP_CHANGED_STATE);
		return true;
	case TCP_CLOSING:
		tcp_time_wait_begin(t, c);
		return false;
	case TCP_LAST_ACK:
		tcp_conn_end(t, c, TCP_REASON_CLOSED, 0);
		return false;
	default:
		return true;
	}
}

/* RFC 7323 section 4.3 (3): of a segment whose acknowledgement can be, or whoever guesses a number in the window would
 * make all that follows look old. */
static void take_timestamp(struct tcp *t, struct tcp_conn *c, const struct packet *p, const struct tcp_options *o)
{
	if (!c->ts_ok || !o->has_timestamp || seq_after(p->l4.seq, c->last_ack_sent) ||
	    seq_before(o->ts_val, c->ts_recent))
		return;
	c->ts_recent = o->ts_val;
	c->ts_recent_s = (uint32_t)(t->env->now / NS_PER_S);
}

static bool check_ack(struct tcp *t, struct tcp_conn *c, struct packet *p, const struct tcp_options *o)
{
	if (!(p->l4.flags & TCP_ACK))
		return false;
	c->heard_at = t->env->now;
	c->n_keepalive = 0;
	if (c->state == TCP_SYN_RECEIVED) {
		if (!seq_after(p->l4.ack, c->snd_una) || seq_after(p->l4.ack, c->snd_nxt)) {
			tcp_answer_reset(t, p, TCP_REASON_BAD_ACK, c->rare);
			return false;
		}
		tcp_acked_syn(t, c, p, o);
		establish(t, c);
	} else if (!tcp_ack_input(t, c, p, o)) {
		return false;
	}
	take_timestamp(t, c, p, o);
	return !fin_is_acked(c) || fin_acked(t, c);
}

/* --- seventh: data --- */

/* Linux's: an acknowledgement for every second segment, at once at first, and when the window has something to tell. */
static void schedule_ack(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	c->unacked += bytes;
	if (c->unacked >= 2u * max_u32(c->rcv_mss, 1))
		c->ack_now = true;
	else if (c->n_quick > 0)
		tcp_ack_soon(t, c);
	else if (!c->ack_now)
		tcp_delay_ack(t, c);
	tcp_pend(t, c);
}

static void note_ecn(struct tcp_conn *c, const struct packet *p)
{
	if (!c->ecn_ok)
		return;
	if (p->l4.flags & TCP_CWR)
		c->ece_pending = false;
	if ((p->ip.tos & ECN_MASK) == ECN_CE)
		c->ece_pending = true;
}

/* How large the other end's segments are; a merged one says how large each of it was. */
static void note_size(struct tcp_conn *c, const struct packet *p)
{
	uint32_t size = p->offload.gso_type != GSO_NONE ? p->offload.gso_size : p->l4.payload_len;

	if (size > c->rcv_mss || (p->l4.flags & TCP_PSH) == 0)
		c->rcv_mss = min_u32(size, c->mss_own);
}

/* Nobody can read it any more (RFC 9293 section 3.10.7.4, RFC 1122 section 4.2.2.13). False: it has ended. */
static bool refuse_data(struct tcp *t, struct tcp_conn *c, const struct packet *p)
{
	/* As Linux: behind a shutdown both ways too. */
	bool is_read = !tcp_is_orphan(c) && !(c->rcv_closed && c->fin_queued);

	if (is_read || !seq_after(p->l4.seq + p->l4.payload_len, c->rcv_nxt))
		return true;
	/* Its number is the one that the other end waits for, wherever we are: another one would only be challenged
	 * (RFC 5961 section 3). */
	tcp_answer_reset(t, p, TCP_REASON_DATA_AFTER_CLOSE, c->rare);
	tcp_conn_end(t, c, TCP_REASON_DATA_AFTER_CLOSE, ECONNRESET);
	return false;
}

/* False: there is no connection any more. */
static bool take_data(struct tcp *t, struct tcp_conn *c, struct packet *p)
{
	uint32_t seq = p->l4.seq, len = p->l4.payload_len, bytes = len;
	uint32_t right = seq_max(c->rcv_adv, c->rcv_nxt), before = c->rcv_nxt;

	if (len == 0 || c->fin_received || c->state < TCP_ESTABLISHED)
		return true;
	if (!refuse_data(t, c, p))
		return false;
	note_ecn(c, p);
	note_size(c, p);
	c->data_ms = tcp_now_ms(t);
	if (seq_before(seq, c->rcv_nxt)) {
		uint32_t old = seq_min(seq + len, c->rcv_nxt) - seq;

		if (c->sack_ok && c->dsack.left == c->dsack.right) {
			c->dsack.left = seq;
			c->dsack.right = seq + old;
		}
		t->counts[TCP_COUNT_DUPLICATE_BYTES] += old;
		c->ack_now = true;
		seq += old;
		len -= old;
	}
	if (seq_after(seq + len, right))
		len = seq_after(right, seq) ? right - seq : 0;
	tcp_receive_rtt(t, c);
	/* Also when it was shut down for reading alone: as Linux, what comes can be read all the same. */
	if (len > 0)
		tcp_receive_data(t, c, p, seq, len);
	c->bytes_received += c->rcv_nxt - before;
	schedule_ack(t, c, bytes);
	return true;
}

/* --- eighth: FIN --- */

static void fin_arrived(struct tcp *t, struct tcp_conn *c)
{
	if (!c->fin_queued)
		c->side = TCP_SIDE_REMOTE;
	c->rcv_nxt++;
	c->fin_received = true;
	c->fin_ahead = false;
	/* Nobody will ever read what is behind it. */
	tcp_receive_forget_ahead(t, c);
	tcp_ack_soon(t, c);
	tcp_pend(t, c);
	switch ((enum tcp_state)c->state) {
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
		c->state = TCP_CLOSE_WAIT;
		break;
	case TCP_FIN_WAIT_1:
		/* Ours is not acknowledged, or check_ack would have moved on. */
		c->state = TCP_CLOSING;
		c->side = TCP_SIDE_BOTH;
		break;
	case TCP_FIN_WAIT_2:
		tcp_changed(t, c, TCP_CHANGED_STATE);
		tcp_send_ack(t, c);
		tcp_time_wait_begin(t, c);
		return;
	default:
		break;
	}
	tcp_changed(t, c, TCP_CHANGED_STATE);
}

static void take_fin(struct tcp *t, struct tcp_conn *c, const struct packet *p, uint32_t fin_at)
{
	if (c->fin_received || c->state < TCP_SYN_RECEIVED)
		return;
	if ((p->l4.flags & TCP_FIN) && !seq_after(fin_at, seq_max(c->rcv_adv, c->rcv_nxt)) &&
	    !seq_before(fin_at, c->rcv_nxt)) {
		c->fin_ahead = true;
		c->fin_at = fin_at;
	}
	if (c->fin_ahead && c->fin_at == c->rcv_nxt)
		fin_arrived(t, c);
	else if (p->l4.flags & TCP_FIN)
		c->ack_now = true;
}

/* --- SYN_SENT (section 3.10.7.3) --- */

void tcp_take_syn(struct tcp *t, struct tcp_conn *c, uint32_t seq, const struct tcp_options *o)
{
	c->mss_peer = max_u32(o->has_mss ? o->mss : TCP_MSS_DEFAULT, TCP_MSS_MIN);
	/* Of what was offered. */
	c->ts_ok &= o->has_timestamp;
	c->sack_ok &= o->has_sack_ok;
	c->wscale_ok &= o->has_wscale;
	c->snd_scale = c->wscale_ok ? o->wscale : 0;
	if (!c->wscale_ok)
		c->rcv_scale = 0;
	if (c->ts_ok) {
		c->ts_recent = o->ts_val;
		c->ts_recent_s = (uint32_t)(t->env->now / NS_PER_S);
	}
	c->irs = seq;
	c->rcv_nxt = c->irs + 1;
	c->rcv_adv = seq_max(c->rcv_nxt, c->rcv_nxt + tcp_syn_window(c->rcvbuf, c->o->window_clamp));
	c->rcv_up = c->rcv_nxt;
	tcp_set_mss(t, c);
}

static void refuse_ack(struct tcp *t, const struct tcp_conn *c, const struct packet *p)
{
	if (p->l4.flags & TCP_RST)
		t->resets_in[TCP_RESET_IN_BAD_ACK]++;
	else
		tcp_answer_reset(t, p, TCP_REASON_BAD_ACK, c->rare);
}

static void syn_sent(struct tcp *t, struct tcp_conn *c, struct packet *p, const struct tcp_options *o)
{
	bool has_ack = (p->l4.flags & TCP_ACK) != 0;

	if (has_ack && p->l4.ack != c->snd_nxt) {
		refuse_ack(t, c, p);
		return;
	}
	/* RFC 7323: an answer to a timestamp that was not sent. */
	if (has_ack && c->ts_ok && o->has_timestamp && o->ts_ecr != 0 &&
	    (seq_after(o->ts_ecr, tcp_ts_now(t, c)) || seq_before(o->ts_ecr, tcp_ts_at(c, c->flight->syn_first_at)))) {
		refuse_ack(t, c, p);
		return;
	}
	if (p->l4.flags & TCP_RST) {
		if (has_ack)
			reset_by_peer(t, c);
		else
			t->resets_in[TCP_RESET_IN_BAD_ACK]++;
		return;
	}
	if (!(p->l4.flags & TCP_SYN))
		return;
	tcp_take_syn(t, c, p->l4.seq, o);
	c->ecn_ok = c->ecn_ok && (p->l4.flags & (TCP_ECE | TCP_CWR)) == TCP_ECE && has_ack;
	if (!has_ack) {
		/* Both have opened at once (section 3.5). */
		c->state = TCP_SYN_RECEIVED;
		c->snd_wnd = p->l4.window;
		c->snd_wl1 = p->l4.seq;
		tcp_send_syn(t, c);
		return;
	}
	tcp_acked_syn(t, c, p, o);
	establish(t, c);
	tcp_ack_soon(t, c);
	/* It may have brought data (section 3.10.7.3), or the end of it. */
	p->l4.seq++;
	if (take_data(t, c, p))
		take_fin(t, c, p, p->l4.seq + p->l4.payload_len);
}

/* --- all --- */

bool tcp_refuses(struct tcp *t, struct packet *p, const struct tcp_options *o, uint32_t rare, uint8_t min_ttl)
{
	if (YG_UNLIKELY(p->ip.ttl < min_ttl))
		packet_set_drop(p, DROP_TCP_MIN_TTL);
	else if (YG_UNLIKELY(!tcp_rare_hears(t, rare, p->in_ifindex)))
		packet_set_drop(p, DROP_SOCKET_DEVICE);
	else
		return (rare != POOL_NONE || o->md5 != NULL) && tcp_md5_refuses(p, o, tcp_md5_for(t, rare, p->ip.src));
	return true;
}

void tcp_conn_input(struct tcp *t, struct tcp_conn *c, struct packet *p, const struct tcp_options *o)
{
	uint32_t fin_at = p->l4.seq + p->l4.payload_len + ((p->l4.flags & TCP_SYN) != 0);

	if (tcp_refuses(t, p, o, c->rare, c->o->min_ttl))
		return;
	c->segs_in += gso_n_segments(p);
	if (c->state == TCP_SYN_SENT) {
		syn_sent(t, c, p, o);
		return;
	}
	if (!check_sequence(t, c, p, o) || !check_reset(t, c, p) || !check_syn(t, c, p))
		return;
	if (!check_ack(t, c, p, o))
		return;
	tcp_urgent_input(t, c, p);
	if (!take_data(t, c, p))
		return;
	take_fin(t, c, p, fin_at);
	/* Whatever it was, timers may stand elsewhere now. */
	tcp_pend(t, c);
}

/* A reset for p, whose sender's connection is not known (section 3.5.2); none for a reset. */
void tcp_answer_reset(struct tcp *t, const struct packet *p, enum tcp_reason why, uint32_t rare)
{
	struct tcp_node n = {
		.laddr = p->ip.dst, .raddr = p->ip.src, .lport = p->l4.dport, .rport = p->l4.sport, .zone = p->zone
	};
	struct tcp_bare s = { .wscale = -1, .flags = TCP_RST, .rare = rare };

	if (p->l4.flags & TCP_RST)
		return;
	if (p->l4.flags & TCP_ACK) {
		s.seq = p->l4.ack;
	} else {
		s.flags |= TCP_ACK;
		s.ack = p->l4.seq + tcp_length_of(p);
	}
	t->resets[why]++;
	captures_why(t->captures, tcp_reason_info[why].text);
	tcp_send_bare(t, &n, &s);
}

/* Somebody who has the address alone can answer (MUST-57). */
static bool is_to_many(const struct packet *p)
{
	return p->is_broadcast || ip4_is_multicast(p->ip.dst);
}

/* Shown to the slot; least: our sequence numbers begin there at the earliest, NULL: anywhere. */
static bool show_unknown(struct tcp *t, const struct packet *p, const struct tcp_options *o, const uint32_t *least)
{
	uint8_t flags = p->l4.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	struct tcp_syn syn = { .local = { ip_addr_v4(p->ip.dst), p->l4.dport },
			       .remote = { ip_addr_v4(p->ip.src), p->l4.sport },
			       .zone = p->zone,
			       .seq = p->l4.seq,
			       .iss_least = least != NULL ? *least : 0,
			       .has_least = least != NULL,
			       .flags = p->l4.flags,
			       .window = p->l4.window,
			       .o = *o };

	return t->unknown != NULL && t->unknown(t->unknown_ctx, p, flags == TCP_SYN ? &syn : NULL);
}

/* For a listener, or nobody. True: p has been dealt with. */
static bool unknown_input(struct tcp *t, struct tcp_node *n, struct packet *p, const struct tcp_options *o)
{
	struct tcp_listener *l = tcp_listener_for(t, n, p->in_ifindex);
	uint8_t flags = p->l4.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);

	if (l == NULL) {
		/* Nobody can say whether it is right: no reset, as Linux has it. */
		if (tcp_md5_refuses(p, o, NULL))
			return true;
		if (show_unknown(t, p, o, NULL))
			return true;
		/* By ip, as its row says. */
		if (flags & TCP_RST)
			t->resets_in[TCP_RESET_IN_NOBODY]++;
		else if (!is_to_many(p))
			t->resets[TCP_REASON_NO_LISTENER]++;
		return false;
	}
	if (tcp_refuses(t, p, o, l->rare, l->o->min_ttl))
		return true;
	/* Section 3.10.7.2: a reset is ignored, an acknowledgement is of nothing, unless it is that of a cookie. */
	if (flags & TCP_RST) {
		t->resets_in[TCP_RESET_IN_LISTENER]++;
		return true;
	}
	if (is_to_many(p))
		return true;
	if (flags & TCP_ACK) {
		if ((flags & TCP_SYN) || !tcp_listen_cookie(t, l, n, p, o))
			tcp_answer_reset(t, p, TCP_REASON_NOT_A_SYN, l->rare);
		return true;
	}
	/* Neither SYN nor anything; SYN and FIN at once nobody means well. */
	if (flags == TCP_SYN)
		tcp_listen_syn(t, l, n, p, o, tcp_isn(t, n));
	return true;
}

/* True: p has been dealt with; it may be held. */
static bool input_one(struct tcp *t, struct packet *p, struct tcp_node *n)
{
	uint32_t ref = tcp_find_hashed(t, n);
	struct tcp_options o;
	uint32_t iss;

	(void)tcp_options_parse(packet_l4(p), &p->l4, &o);
	t->counts[TCP_COUNT_IN_SEGMENTS] += gso_n_segments(p);
	if (ref == POOL_NONE)
		return unknown_input(t, n, p, &o);
	switch (tcp_ref_kind(ref)) {
	case TCP_KIND_CONN:
		tcp_conn_input(t, tcp_conn_at(t, tcp_ref_index(ref)), p, &o);
		return true;
	case TCP_KIND_HALF_OPEN:
		tcp_half_open_input(t, pool_at(&t->half_open, tcp_ref_index(ref)), p, &o);
		return true;
	default:
		break;
	}
	struct tcp_listener *l = tcp_listener_for(t, n, p->in_ifindex);

	bool may_begin = l != NULL || t->unknown != NULL;

	if (!tcp_time_wait_input(t, tcp_ref_index(ref), p, &o, may_begin ? &iss : NULL))
		return true;
	if (l == NULL)
		return show_unknown(t, p, &o, &iss);
	if (tcp_refuses(t, p, &o, l->rare, l->o->min_ttl))
		return true;
	tcp_listen_syn(t, l, n, p, &o, iss);
	return true;
}

void tcp_input(void *ctx, struct batch *b)
{
	struct tcp *t = ctx;
	struct tcp_node n[BATCH_MAX];

	for (uint32_t i = 0; i < b->n; i++) {
		const struct packet *p = b->p[i];

		n[i] = (struct tcp_node){ .laddr = p->ip.dst,
					  .raddr = p->ip.src,
					  .lport = p->l4.dport,
					  .rport = p->l4.sport,
					  .zone = p->zone };
		/* Of one connection many come in a row. */
		if (i > 0 && tcp_same_tuple(&n[i], &n[i - 1]))
			n[i].hash = n[i - 1].hash;
		else
			tcp_find_ahead(t, &n[i]);
	}
	for (uint32_t i = 0; i < b->n; i++)
		if (i == 0 || n[i].hash != n[i - 1].hash)
			tcp_find_near(t, &n[i]);
	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		bool is_captured = YG_UNLIKELY(captures_any(t->captures)) && tcp_capture_keep(t, p);
		bool is_taken = input_one(t, p, &n[i]);

		if (is_captured)
			tcp_capture_came(t);
		if (!is_taken)
			continue;
		if (p->verdict == VERDICT_STOLEN)
			b->p[i] = NULL;
		else if (p->verdict != VERDICT_DROP)
			p->verdict = VERDICT_DELIVERED;
	}
	tcp_send_pending(t);
}
