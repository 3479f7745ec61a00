/* SPDX-License-Identifier: BSD-2-Clause
 *
 * When what may be sent.
 *
 *   tcp_output      what is lost, then what is new, as far as both windows let it; then an
 *                   acknowledgement, if it is due and nothing has carried it
 *
 * It runs once for a connection at the end of a batch or of a call (tcp_pend): so
 * many segments that came together are answered together.
 *
 * A small segment waits while another one is on its way (Nagle's rule as Minshall
 * has it, RFC 896), unless TCP_NODELAY; while the user has said that more comes, it
 * waits for up to 200 ms. What the other end's window cuts into a small one waits
 * until the window opens or the persist timer fires (RFC 9293 section 3.8.6.2.1).
 *
 * Next: src/stack/transport/tcp_segment.c
 */
#include "stack/transport/tcp_priv.h"
#include "stack/transport/tcp_md5.h"
#include "stack/transport/tcp_rare.h"

#define QUANTUM_MAX 65536u

/* --- when the user's or the congestion control's rate allows it --- */

/* A tick early, and no later than that by the wheel: what leaves late would be lost to the rate. */
static bool pacing_allows(struct tcp *t, struct tcp_conn *c)
{
	if (tcp_pacing_rate(t, c) == 0 || c->flight->pace_at <= t->env->now + TCP_TICK_NS)
		return true;
	c->flight->pace_timer_at = c->flight->pace_at - TCP_TICK_NS;
	return false;
}

/* Whoever looks later than he wanted to makes up for it, up to half of the time that a piece takes; idle time is none
 * that was lost. */
static void pace(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	uint64_t rate = tcp_pacing_rate(t, c), now = t->env->now, at = c->flight->pace_at;

	if (rate == 0)
		return;
	uint64_t takes = (bytes * NS_PER_S + rate - 1) / rate, late = now > at ? now - at : 0;

	c->flight->pace_at = max_u64(at, now) + takes - min_u64(late, takes / 2);
}

/* --- how much of it --- */

/* How much leaves as one piece where segments are put together, or would: what the path takes in a millisecond, at
 * least two segments; and no more than half of what may be in flight, so that acknowledgements of one make room for the
 * other. In segments. */
static uint32_t send_quantum(const struct tcp *t, const struct tcp_conn *c)
{
	uint64_t bytes = QUANTUM_MAX, rate = tcp_pacing_rate(t, c);

	if (rate != 0)
		bytes = rate / 1000;
	else if (c->srtt != 0)
		bytes = 2 * c->cwnd * NS_PER_MS / c->srtt;
	bytes = min_u64(max_u64(min_u64(bytes, QUANTUM_MAX), (uint64_t)t->cfg.min_tso_segs * c->mss), c->cwnd / 2);
	return max_u32((uint32_t)bytes / c->mss, 1);
}

/* The urgent pointer of a large segment would be another one in each of its segments, and so would a signature. */
uint32_t tcp_piece(const struct tcp *t, const struct tcp_conn *c)
{
	bool is_urgent = c->flight->queue.n > 0 && c->flight->snd_up != c->snd_una;

	if (!c->gso || is_urgent || tcp_md5_for(t, c->rare, c->node.raddr) != NULL)
		return c->mss;
	/* Of an IPv4 packet, and of segments as there are no more of in one (offload_sane). */
	uint32_t most =
		(UINT16_MAX - IPV4_HEADER_LEN - TCP_HEADER_LEN - TCP_OPTIONS_MAX) / max_u32(c->mss, TCP_MSS_MIN);
	uint32_t n = min_u32(send_quantum(t, c), most);

	return n * c->mss < TCP_LARGE_LEAST ? c->mss : n * c->mss;
}

/* Less than a third of the window waits for more room as long as something comes back that makes it, or large segments
 * become smaller with each acknowledgement (as Linux's tcp_tso_should_defer). What is lost waits for nothing. */
static bool is_worth_it(const struct tcp_conn *c, uint32_t bytes)
{
	return tcp_inflight(c) == 0 || c->ca_state > TCP_CA_DISORDER || bytes >= min_u32(c->cwnd, c->snd_wnd) / 3;
}

/* Segment i, or what of a large one the window of the path lets through. */
static bool cwnd_allows(struct tcp *t, struct tcp_conn *c, uint32_t i)
{
	const struct tcp_segment *s = tcp_queue_at(t, c, i);
	uint32_t inflight = tcp_inflight(c), room = c->cwnd > inflight ? c->cwnd - inflight : 0;

	if (tcp_segment_size(s) <= room)
		return true;
	if (s->len <= c->mss)
		return inflight == 0;
	uint32_t bytes = min_u32((inflight == 0 ? max_u32(room, c->mss) : room) / c->mss * c->mss, s->len);

	return bytes > 0 && is_worth_it(c, bytes) && tcp_queue_split(t, c, i, bytes);
}

/* The other end's window lets all of it through, or enough for a part of it to be worth it. */
static bool window_allows(struct tcp *t, struct tcp_conn *c, uint32_t i)
{
	struct tcp_segment *s = tcp_queue_at(t, c, i);
	uint32_t right = c->snd_una + c->snd_wnd;

	if (!seq_after(s->seq + s->len, right))
		return true;
	uint32_t usable = seq_after(right, s->seq) ? right - s->seq : 0;

	if (usable == 0 || (usable < c->mss && usable < c->snd_wnd_max / 2))
		return false;
	if (usable > c->mss) {
		usable -= usable % c->mss;
		if (!is_worth_it(c, usable))
			return false;
	}
	return tcp_queue_split(t, c, i, usable);
}

/* Without memory for a large one its first segment goes alone. (For what is left there is a timer, tcp_rearm_rtx.) */
static bool send(struct tcp *t, struct tcp_conn *c, uint32_t i, uint8_t flags)
{
	if (tcp_transmit(t, c, i, flags))
		return true;
	return tcp_queue_at(t, c, i)->len > c->mss && tcp_queue_split(t, c, i, c->mss) && tcp_transmit(t, c, i, flags);
}

/* --- what is lost --- */

static void send_lost(struct tcp *t, struct tcp_conn *c)
{
	if (c->flight->lost <= c->flight->retransmitted)
		return;
	uint32_t piece = tcp_piece(t, c);

	for (uint32_t i = tcp_queue_find(t, c, c->flight->lost_from);
	     i < c->flight->queue.n_sent && c->flight->lost > c->flight->retransmitted; i++) {
		const struct tcp_segment *s = tcp_queue_at(t, c, i);

		if ((s->flags & (SEGMENT_LOST | SEGMENT_RETRANSMITTED)) != SEGMENT_LOST)
			continue;
		/* The path has become narrower since. */
		if (s->len > piece && !tcp_queue_split(t, c, i, piece))
			return;
		if (!cwnd_allows(t, c, i))
			return;
		if (!pacing_allows(t, c) || !send(t, c, i, 0))
			return;
		pace(t, c, s->len);
		c->flight->lost_from = s->seq + tcp_segment_size(s);
	}
}

/* --- what is new --- */

/* More may come behind s, and what of it is small would wait for that. */
static bool small_waits(const struct tcp_conn *c, const struct tcp_segment *s)
{
	if ((s->flags & SEGMENT_FIN) || c->flight->queue.n_sent + 1 < c->flight->queue.n)
		return false;
	return c->told.cork || c->more || tcp_nagle_holds(c);
}

/* Nagle, and what the user says. */
static bool waits_for_more(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
	if (s->len >= c->mss || !small_waits(c, s))
		return false;
	if (c->told.cork || c->more) {
		if (c->flight->cork_until == 0)
			c->flight->cork_until = t->env->now + tcp_rto_once(t, c);
		if (t->env->now < c->flight->cork_until) {
			c->flight->pace_timer_at = min_u64(c->flight->pace_timer_at, c->flight->cork_until);
			return true;
		}
		if (c->flight->cork_until != TCP_CORK_PASSED)
			s->flags |= SEGMENT_PUSH;
	}
	c->flight->cork_until = 0;
	return tcp_nagle_holds(c);
}

static void restart_after_idle(struct tcp *t, struct tcp_conn *c)
{
	if (c->snd_nxt != c->snd_una || c->last_sent == 0)
		return;
	if (tcp_cc(c)->control == NULL && t->env->now - c->last_sent < tcp_rto_once(t, c))
		return;
	if (tcp_cc(c)->event != NULL)
		tcp_cc(c)->event(t, c, CC_EVENT_RESTART);
	/* RFC 5681 section 4.1. */
	if (t->cfg.slow_start_after_idle && c->pacing_rate == 0)
		c->cwnd = min_u32(c->cwnd, t->cfg.init_cwnd * c->mss);
}

/* Nothing will leave right behind segment i, which is about to. */
static bool is_last_now(const struct tcp *t, const struct tcp_conn *c, uint32_t i)
{
	if (i + 1 == c->flight->queue.n)
		return true;
	const struct tcp_segment *s = tcp_queue_at(t, c, i), *next = tcp_queue_at(t, c, i + 1);
	uint32_t len = min_u32(next->len, c->mss);

	if (tcp_inflight(c) + tcp_segment_size(s) + len > c->cwnd ||
	    seq_after(next->seq + len, c->snd_una + c->snd_wnd))
		return true;
	return len < c->mss && !(next->flags & SEGMENT_FIN) && (c->told.cork || c->more || !c->told.nodelay);
}

/* Flags of segment i, the next one in a row of *n. Whoever puts segments together on the way, or there, hands over at a
 * PSH instead of waiting for more of them. One segment alone is not marked: what is received there one by one is
 * acknowledged later. */
static uint8_t quantum_flags(const struct tcp *t, const struct tcp_conn *c, uint32_t i, uint32_t quantum, uint32_t *n)
{
	/* A large one is a row by itself. */
	if (tcp_queue_at(t, c, i)->len > c->mss)
		return (uint8_t)(*n = 0);
	if (++*n < quantum && !is_last_now(t, c, i))
		return 0;
	uint8_t flags = *n > 1 ? TCP_PSH : 0;

	*n = 0;
	return flags;
}

/* Segment i is no larger than what leaves at once, and has nothing small at its end that would wait if it stood by
 * itself. False without memory. */
static bool cut_to_piece(struct tcp *t, struct tcp_conn *c, uint32_t i, uint32_t piece)
{
	const struct tcp_segment *s = tcp_queue_at(t, c, i);

	if (s->len > piece && !tcp_queue_split(t, c, i, piece))
		return false;
	uint32_t rest = s->len > c->mss ? s->len % c->mss : 0;

	return rest == 0 || !small_waits(c, s) || tcp_queue_split(t, c, i, s->len - rest);
}

/* True: the path's window keeps something back. */
static bool send_new(struct tcp *t, struct tcp_conn *c)
{
	uint32_t n = 0, piece = tcp_piece(t, c);

	restart_after_idle(t, c);
	uint32_t probe = YG_UNLIKELY(c->rare != POOL_NONE) ? tcp_mtu_probe(t, c) : 0;

	if (probe > 0)
		pace(t, c, probe);
	/* Of one alone nothing depends on it. */
	uint32_t quantum = c->flight->queue.n - c->flight->queue.n_sent > 1 ? send_quantum(t, c) : 1;

	while (c->flight->queue.n_sent < c->flight->queue.n) {
		uint32_t i = c->flight->queue.n_sent;
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if (!cut_to_piece(t, c, i, piece) || waits_for_more(t, c, s) || !window_allows(t, c, i))
			return false;
		/* A FIN alone is no load. */
		if (s->len > 0 && !cwnd_allows(t, c, i))
			return true;
		if (!pacing_allows(t, c) || !send(t, c, i, quantum_flags(t, c, i, quantum, &n)))
			return false;
		pace(t, c, tcp_segment_size(s));
	}
	tcp_rate_app_limited(t, c);
	return false;
}

static bool may_send_data(const struct tcp_conn *c)
{
	return c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT || c->state == TCP_FIN_WAIT_1 ||
	       c->state == TCP_CLOSING || c->state == TCP_LAST_ACK;
}

/* How much of its window it uses, a round trip at a time (RFC 7661 section 4.2). */
static void validate_window(struct tcp_conn *c, uint32_t nxt_before, bool is_kept_back)
{
	bool is_limited = is_kept_back || tcp_inflight(c) + c->mss > c->cwnd;
	uint32_t out = c->snd_nxt - c->snd_una;

	if (c->snd_nxt == nxt_before && !is_limited)
		return;
	if (seq_before(c->snd_una, c->flight->out_end) && !is_limited && (c->cwnd_limited || out <= c->flight->out_max))
		return;
	c->cwnd_limited = is_limited;
	c->flight->out_max = out;
	c->flight->out_end = c->snd_nxt;
}

static void stopwatch(uint64_t *since, uint32_t *total_ms, bool runs, uint64_t now)
{
	if (runs && *since == 0)
		*since = max_u64(now, 1);
	if (runs || *since == 0)
		return;
	*total_ms += (uint32_t)((now - *since + NS_PER_MS / 2) / NS_PER_MS);
	*since = 0;
}

/* For TCP_INFO. */
static void note_time(struct tcp *t, struct tcp_conn *c)
{
	bool is_limited = false;

	if (c->flight->queue.n_sent < c->flight->queue.n) {
		const struct tcp_segment *s = tcp_queue_at(t, c, c->flight->queue.n_sent);

		is_limited = seq_after(s->seq + min_u32(s->len, c->mss), c->snd_una + c->snd_wnd);
	}
	stopwatch(&c->flight->busy_since, &c->busy_ms, c->flight->queue.n > 0, t->env->now);
	stopwatch(&c->flight->limited_since, &c->limited_ms, is_limited, t->env->now);
}

void tcp_output(struct tcp *t, struct tcp_conn *c)
{
	uint32_t nxt = c->snd_nxt;
	bool is_kept_back = false;

	/* One that rests: nothing is on its way or waits to be. */
	if (c->flight == &tcp_no_flight) {
		if (c->ack_now && c->state >= TCP_SYN_RECEIVED)
			tcp_send_ack(t, c);
		tcp_rearm(t, c);
		return;
	}
	tcp_queue_drop_empty(t, c);
	if (c->flight->queue.n > 0 && may_send_data(c)) {
		if (!c->flight->frto_probes)
			send_lost(t, c);
		if (c->flight->lost <= c->flight->retransmitted || c->flight->frto_probes)
			is_kept_back = send_new(t, c);
		/* What waited for its turn to be sent waits no more. */
		if (tcp_notsent_lowat(t, c) != 0)
			tcp_tell_room(t, c);
		validate_window(c, nxt, is_kept_back);
	}
	if (c->ack_now && c->state >= TCP_SYN_RECEIVED)
		tcp_send_ack(t, c);
	note_time(t, c);
	tcp_rearm_rtx(t, c);
	tcp_rearm(t, c);
	tcp_flight_settle(t, c);
}

void tcp_ack_soon(struct tcp *t, struct tcp_conn *c)
{
	if (!t->cfg.acks_wait || t->n_turn == TCP_TURN_MAX) {
		c->ack_now = true;
		return;
	}
	if (c->ack_waits)
		return;
	c->ack_waits = true;
	t->n_acks_wait++;
	t->turn[t->n_turn++] = c->index;
}

void tcp_turn_end(struct tcp *t)
{
	for (uint32_t i = 0; i < t->n_turn; i++) {
		struct tcp_conn *c = tcp_conn_at(t, t->turn[i]);

		/* By now it may be another one: its own has waited long enough as well. */
		if (!c->ack_waits)
			continue;
		c->ack_now = true;
		tcp_pend(t, c);
	}
	t->n_turn = 0;
}

void tcp_pend(struct tcp *t, struct tcp_conn *c)
{
	if (c->listed)
		return;
	c->listed = true;
	c->next_pending = POOL_NONE;
	*(t->pending_last == POOL_NONE ? &t->pending_first : &tcp_conn_at(t, t->pending_last)->next_pending) = c->index;
	t->pending_last = c->index;
}

void tcp_send_pending(struct tcp *t)
{
	while (t->pending_first != POOL_NONE) {
		struct tcp_conn *c = tcp_conn_at(t, t->pending_first);

		t->pending_first = c->next_pending;
		if (t->pending_first == POOL_NONE)
			t->pending_last = POOL_NONE;
		c->listed = false;
		if (c->state != TCP_CLOSED)
			tcp_output(t, c);
		else if (tcp_is_orphan(c))
			tcp_conn_free(t, c);
	}
	tcp_flush(t);
}
