/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A connection's timers. Each is a time that is written down; one node of the wheel
 * stands for all of them. A time that moves away only is not told to the wheel: the
 * node fires when it was to, and is armed again for what is due then. So an
 * acknowledgement, which moves the retransmission timeout each time, costs a store.
 *
 *   rtx_at       what rtx_kind says: retransmission timeout, loss probe, persist
 *   reorder_at   RACK looks again
 *   delack_at    an acknowledgement that was held back
 *   keep_at      keepalive; FIN_WAIT_2 of a connection that nobody has
 *   pace_timer_at  data that waits for its turn, or for more (cork)
 */
#include <errno.h>

#include "stack/transport/tcp_priv.h"

#define DELACK_NS (40 * NS_PER_MS)
#define PERSIST_MAX (60 * NS_PER_S)
/* What could be sent but for memory is tried again (Linux: half a second). */
#define RETRY_NS (100 * NS_PER_MS)

void tcp_rearm(struct tcp *t, struct tcp_conn *c)
{
	const struct tcp_flight *f = c->flight;
	uint64_t next = min_u64(min_u64(f->rtx_at, f->reorder_at),
				min_u64(min_u64(c->delack_at, c->keep_at), f->pace_timer_at));

	/* It fires no later than a node armed for `next` would. */
	bool is_armed = timer_armed(&c->timer) && timer_due(&t->wheel, &c->timer) - TCP_TICK_NS < next;

	if (next != TIME_NEVER && !is_armed)
		timer_arm(&t->wheel, c->index, next);
}

void tcp_delay_ack(struct tcp *t, struct tcp_conn *c)
{
	if (c->delack_at == TIME_NEVER)
		c->delack_at = t->env->now + min_u64(DELACK_NS, max_u64(tcp_rto_once(t, c) / 2, NS_PER_MS));
}

/* Data waits that the other end's window keeps back, and nothing on its way will bring an acknowledgement. */
static bool needs_persist(const struct tcp *t, const struct tcp_conn *c)
{
	if (c->flight->queue.n == 0 || c->flight->queue.n_sent > 0)
		return false;
	const struct tcp_segment *s = tcp_queue_at(t, c, 0);

	return seq_after(s->seq + s->len, c->snd_una + c->snd_wnd);
}

static bool wants_probe(const struct tcp_conn *c)
{
	return c->sack_ok && c->ca_state == TCP_CA_OPEN && c->flight->sacked == 0 && c->flight->lost == 0 &&
	       !c->flight->tlp_out && c->n_rtx == 0 && c->flight->reorder_at == TIME_NEVER;
}

static uint64_t persist_timeout(const struct tcp *t, const struct tcp_conn *c)
{
	uint64_t after = max_u64(tcp_rto_once(t, c), t->cfg.rto_min);

	for (uint32_t i = 0; i < c->flight->n_probes && after < PERSIST_MAX; i++)
		after *= 2;
	return min_u64(after, PERSIST_MAX);
}

void tcp_rearm_rtx(struct tcp *t, struct tcp_conn *c)
{
	uint64_t now = t->env->now;

	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED || c->state == TCP_CLOSED)
		return;
	if (c->flight->queue.n_sent > 0) {
		if (c->flight->rtx_kind == TCP_RTX_PERSIST)
			c->flight->rtx_at = TIME_NEVER;
		/* Acknowledged, or sent again: it begins to count again. */
		if (c->flight->rtx_at != TIME_NEVER && c->flight->rtx_sent == c->last_sent)
			return;
		if (c->flight->rtx_at != TIME_NEVER && c->flight->rtx_kind == TCP_RTX_RTO && c->n_rtx > 0)
			return;
		bool is_probe = wants_probe(c);

		c->flight->rtx_kind = is_probe ? TCP_RTX_PROBE : TCP_RTX_RTO;
		c->flight->rtx_at = now + (is_probe ? tcp_rack_probe_timeout(t, c) : tcp_rto(t, c));
		c->flight->rtx_sent = c->last_sent;
		return;
	}
	if (!needs_persist(t, c)) {
		if (c->flight->rtx_kind != TCP_RTX_NONE) {
			c->flight->rtx_kind = TCP_RTX_NONE;
			c->flight->rtx_at = TIME_NEVER;
		}
		/* Neither the window nor a rate nor the user keeps it back: nothing else would ever come. */
		if (c->flight->queue.n > 0 && c->flight->pace_timer_at == TIME_NEVER)
			c->flight->pace_timer_at = now + RETRY_NS;
		return;
	}
	/* Only the other end's window is waited for, neither Nagle nor pacing. */
	if (c->flight->rtx_kind != TCP_RTX_PERSIST || c->flight->rtx_at == TIME_NEVER) {
		c->flight->rtx_kind = TCP_RTX_PERSIST;
		c->flight->rtx_at = now + persist_timeout(t, c);
	}
}

/* --- what is due --- */

static void time_out(struct tcp *t, struct tcp_conn *c, enum tcp_reason why)
{
	tcp_conn_end(t, c, why, c->soft_error != 0 ? c->soft_error : ETIMEDOUT);
}

/* From now on, but no later than the user's own timeout (RFC 5482), which would else be found out about a timer later.
 */
static uint64_t until_timeout(const struct tcp *t, const struct tcp_conn *c, uint64_t after, uint64_t since)
{
	uint64_t at = t->env->now + after, end = since + c->o->user_timeout;

	return c->o->user_timeout == 0 || since == 0 ? at : min_u64(at, max_u64(end, t->env->now + NS_PER_MS));
}

/* RFC 1122 section 4.2.3.5 (R2), RFC 5482. True: it has ended. */
static bool gives_up(struct tcp *t, struct tcp_conn *c)
{
	uint32_t limit = tcp_is_orphan(c) ? t->cfg.orphan_retries : t->cfg.retries2;
	bool is_over = c->n_rtx >= limit;

	if (c->o->user_timeout != 0 && c->flight->rtx_since != 0)
		is_over = t->env->now - c->flight->rtx_since >= c->o->user_timeout;
	if (is_over)
		time_out(t, c, TCP_REASON_TIMED_OUT);
	return is_over;
}

static void syn_timeout(struct tcp *t, struct tcp_conn *c)
{
	uint32_t limit = c->o->syn_retries != 0 ? c->o->syn_retries : t->cfg.syn_retries;

	if (c->n_rtx >= limit ||
	    (c->o->user_timeout != 0 && t->env->now - c->flight->syn_first_at >= c->o->user_timeout)) {
		time_out(t, c, TCP_REASON_TIMED_OUT);
		return;
	}
	c->n_rtx++;
	t->counts[TCP_COUNT_RETRANSMITTED]++;
	tcp_send_syn(t, c);
	c->flight->rtx_at = until_timeout(t, c, tcp_rto(t, c), c->flight->syn_first_at);
}

static void retransmission_timeout(struct tcp *t, struct tcp_conn *c)
{
	if (gives_up(t, c))
		return;
	t->counts[TCP_COUNT_RTOS]++;
	c->n_rtx += c->n_rtx < UINT8_MAX;
	tcp_mtu_timeout(t, c);
	tcp_recovery_timeout(t, c);
	c->flight->rtx_kind = TCP_RTX_RTO;
	c->flight->rtx_at = t->env->now + tcp_rto(t, c);
	tcp_output(t, c);
	c->flight->rtx_sent = c->last_sent;
	c->flight->rtx_kind = TCP_RTX_RTO;
	c->flight->rtx_at = until_timeout(t, c, tcp_rto(t, c), c->flight->rtx_since);
}

/* As long as probes are answered it stays open, whatever the window (RFC 1122 section 4.2.2.17). */
static void persist(struct tcp *t, struct tcp_conn *c)
{
	const struct tcp_segment *s = tcp_queue_at(t, c, 0);
	uint32_t usable = c->snd_una + c->snd_wnd - s->seq;

	if (c->flight->n_unanswered >= t->cfg.retries2 || (c->o->user_timeout != 0 && c->flight->n_unanswered > 0 &&
							   t->env->now - c->heard_at >= c->o->user_timeout)) {
		time_out(t, c, TCP_REASON_TIMED_OUT);
		return;
	}
	t->counts[TCP_COUNT_ZERO_WINDOW_PROBES]++;
	c->flight->n_unanswered++;
	c->flight->n_probes += c->flight->n_probes < 31;
	c->flight->rtx_at = TIME_NEVER;
	/* A window too small to be worth it: now it is. */
	uint32_t bytes = min_u32(min_u32(usable, c->mss), s->len);

	if (usable > 0 && (s->len == bytes || tcp_queue_split(t, c, 0, bytes)))
		(void)tcp_transmit(t, c, 0, 0);
	else
		tcp_send_probe(t, c);
	tcp_rearm_rtx(t, c);
}

static void rtx_due(struct tcp *t, struct tcp_conn *c)
{
	c->flight->rtx_at = TIME_NEVER;
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
		syn_timeout(t, c);
		return;
	}
	switch ((enum tcp_rtx_kind)c->flight->rtx_kind) {
	case TCP_RTX_RTO:
		if (c->flight->queue.n_sent > 0)
			retransmission_timeout(t, c);
		return;
	case TCP_RTX_PROBE:
		if (c->flight->queue.n_sent == 0)
			return;
		tcp_rack_probe(t, c);
		c->flight->rtx_kind = TCP_RTX_RTO;
		c->flight->rtx_at = t->env->now + tcp_rto(t, c);
		c->flight->rtx_sent = c->last_sent;
		return;
	case TCP_RTX_PERSIST:
		if (needs_persist(t, c))
			persist(t, c);
		return;
	default:
		return;
	}
}

static void reorder_due(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_ack nothing = { .ack = c->snd_una };
	uint64_t lost = c->flight->lost_total;

	c->flight->reorder_at = TIME_NEVER;
	uint64_t again = tcp_rack_detect(t, c);

	if (again != 0)
		c->flight->reorder_at = again;
	nothing.lost_new = (uint32_t)(c->flight->lost_total - lost);
	if (c->flight->lost > c->flight->retransmitted)
		tcp_recovery_ack(t, c, &nothing);
	tcp_output(t, c);
}

static void keepalive(struct tcp *t, struct tcp_conn *c)
{
	uint64_t time = c->o->keepalive_time != 0 ? c->o->keepalive_time : t->cfg.keepalive_time;
	uint64_t interval = c->o->keepalive_interval != 0 ? c->o->keepalive_interval : t->cfg.keepalive_interval;
	uint32_t probes = c->o->keepalive_probes != 0 ? c->o->keepalive_probes : t->cfg.keepalive_probes;
	uint64_t now = t->env->now, quiet = now - c->heard_at;

	c->keep_at = TIME_NEVER;
	if (!c->told.keepalive || c->state < TCP_ESTABLISHED)
		return;
	/* What is on its way asks for an answer by itself. */
	if (c->flight->queue.n_sent > 0 || quiet < time) {
		c->keep_at = max_u64(c->heard_at + time, now + (c->flight->queue.n_sent > 0 ? time : 1));
		return;
	}
	bool is_over =
		c->o->user_timeout != 0 ? quiet >= c->o->user_timeout && c->n_keepalive > 0 : c->n_keepalive >= probes;

	if (is_over) {
		tcp_reset(t, c, TCP_REASON_KEEPALIVE);
		time_out(t, c, TCP_REASON_KEEPALIVE);
		return;
	}
	c->n_keepalive++;
	t->counts[TCP_COUNT_KEEPALIVES]++;
	tcp_send_probe(t, c);
	c->keep_at = now + interval;
}

static void keep_due(struct tcp *t, struct tcp_conn *c)
{
	c->keep_at = TIME_NEVER;
	if (c->state == TCP_FIN_WAIT_2 && tcp_is_orphan(c))
		tcp_conn_end(t, c, TCP_REASON_TIMED_OUT, 0);
	else
		keepalive(t, c);
}

void tcp_timer_fired(void *ctx, uint32_t index, uint64_t now)
{
	struct tcp *t = ctx;
	struct tcp_conn *c = tcp_conn_at(t, index);

	if (c->delack_at <= now && c->state >= TCP_ESTABLISHED)
		tcp_send_ack(t, c);
	if (c->flight->pace_timer_at <= now) {
		c->flight->pace_timer_at = TIME_NEVER;
		tcp_pend(t, c);
	}
	if (c->flight->reorder_at <= now && c->state >= TCP_ESTABLISHED)
		reorder_due(t, c);
	if (c->flight->rtx_at <= now)
		rtx_due(t, c);
	if (c->keep_at <= now && c->state != TCP_CLOSED)
		keep_due(t, c);
	if (c->state != TCP_CLOSED)
		tcp_rearm(t, c);
}
