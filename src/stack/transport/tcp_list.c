/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What TCP has, one after the other. A listing may stop anywhere and go on later: the
 * cursor is a place in a pool, so what is there all the time is shown once, and what
 * comes or goes meanwhile may be shown or not.
 */
#include "stack/transport/tcp_list.h"

#include "stack/transport/tcp_priv.h"
#include "stack/transport/tcp_rare.h"

/* Segments of a queue that cost as much to look at as a place. */
#define SEGMENTS_A_PLACE 32u

const char *const tcp_timer_names[N_TCP_TIMER_KINDS] = {
	[TCP_TIMER_NONE] = "off",           [TCP_TIMER_ON] = "on",
	[TCP_TIMER_PERSIST] = "persist",    [TCP_TIMER_KEEPALIVE] = "keepalive",
	[TCP_TIMER_TIME_WAIT] = "timewait", [TCP_TIMER_DELACK] = "delack",
	[TCP_TIMER_PACING] = "pacing",
};

static void add_timer(const struct tcp *t, struct tcp_entry *e, enum tcp_timer_kind kind, uint64_t at, uint32_t n)
{
	if (at == TIME_NEVER || e->n_timers == TCP_TIMERS_MAX)
		return;
	e->timer[e->n_timers++] = (struct tcp_timer){ .kind = (uint8_t)kind,
						      .n = (uint8_t)n,
						      .left = at > t->env->now ? at - t->env->now : 0 };
}

static void set_ends(struct tcp_entry *e, const struct tcp_node *n)
{
	e->local = (struct tcp_end){ ip_addr_v4(n->laddr), n->lport };
	e->remote = (struct tcp_end){ ip_addr_v4(n->raddr), n->rport };
	e->zone = n->zone;
}

static void list_listener(const struct tcp *t, uint32_t index, struct tcp_entry *e)
{
	const struct tcp_listener *l = pool_at(&t->listeners, index);

	e->state = TCP_LISTEN;
	e->local = (struct tcp_end){ ip_addr_v4(l->addr), l->port };
	e->remote = (struct tcp_end){ ip_addr_v4(0), 0 };
	e->zone = l->zone;
	e->has_user = true;
	e->user = l->user;
	e->recv_q = tcp_accept_waiting(l);
	e->send_q = l->backlog;
	e->n_half_open = l->n_half_open;
	e->rcvbuf = l->rcvbuf;
	e->sndbuf = l->sndbuf;
	e->tos = l->told.tos;
	e->has_info = true;
	tcp_listener_info(l, &e->info);
	e->congestion = tcp_listener_congestion(l);
}

static void list_timers(const struct tcp *t, const struct tcp_conn *c, struct tcp_entry *e)
{
	bool is_persist = c->flight->rtx_kind == TCP_RTX_PERSIST;
	uint64_t rtx_at = min_u64(is_persist ? TIME_NEVER : c->flight->rtx_at, c->flight->reorder_at);

	add_timer(t, e, TCP_TIMER_ON, rtx_at, c->n_rtx);
	add_timer(t, e, TCP_TIMER_PERSIST, is_persist ? c->flight->rtx_at : TIME_NEVER, c->flight->n_probes);
	add_timer(t, e, TCP_TIMER_KEEPALIVE, c->keep_at, c->n_keepalive);
	add_timer(t, e, TCP_TIMER_DELACK, c->delack_at, 0);
	add_timer(t, e, TCP_TIMER_PACING, c->flight->pace_timer_at, 0);
}

/* As tcp_output.c decides, without what it does. */
static enum tcp_hold hold_of(const struct tcp *t, const struct tcp_conn *c)
{
	const struct tcp_flight *f = c->flight;

	if (f->queue.n_sent == f->queue.n)
		return TCP_HOLD_NONE;
	if (c->state < TCP_ESTABLISHED)
		return TCP_HOLD_OPENING;
	const struct tcp_segment *s = tcp_queue_at(t, c, f->queue.n_sent);
	uint32_t right = c->snd_una + c->snd_wnd, usable = seq_after(right, s->seq) ? right - s->seq : 0;
	uint32_t inflight = tcp_inflight(c), len = min_u32(s->len, c->mss);

	if (f->lost > f->retransmitted)
		return TCP_HOLD_LOST;
	if (len < c->mss && !(s->flags & SEGMENT_FIN) && f->queue.n_sent + 1 == f->queue.n) {
		if (c->told.cork || c->more)
			return TCP_HOLD_MORE;
		if (tcp_nagle_holds(c))
			return TCP_HOLD_NAGLE;
	}
	if (usable < len)
		return TCP_HOLD_WINDOW;
	if (inflight > 0 && inflight + len > c->cwnd)
		return TCP_HOLD_CWND;
	return tcp_pacing_rate(t, c) != 0 && f->pace_at > t->env->now ? TCP_HOLD_PACING : TCP_HOLD_MEMORY;
}

static void list_conn(const struct tcp *t, uint32_t index, struct tcp_entry *e)
{
	const struct tcp_conn *c = tcp_conn_at(t, index);

	e->state = tcp_state(c);
	set_ends(e, &c->node);
	e->has_user = c->has_user;
	e->is_orphan = tcp_is_orphan(c);
	e->user = c->has_user ? c->user : 0;
	e->recv_q = tcp_unread(c);
	/* As Linux, which counts the SYN. */
	e->send_q = tcp_unacked(c) + (e->state == TCP_SYN_SENT || e->state == TCP_SYN_RECEIVED);
	e->snd_nxt = c->snd_nxt;
	e->rcv_nxt = c->rcv_nxt;
	list_timers(t, c, e);
	e->rcvbuf = (uint32_t)tcp_option(t, c, TCP_OPTION_RCVBUF);
	e->rcv_memory = c->inbox.memory;
	e->sndbuf = (uint32_t)tcp_option(t, c, TCP_OPTION_SNDBUF);
	e->tos = (uint8_t)tcp_option(t, c, TCP_OPTION_TOS);
	e->hold = hold_of(t, c);
	e->ifindex = tcp_rare_at(t, c->rare)->ifindex;
	e->wants_room = c->wants_room;
	e->mss_low = tcp_rare_at(t, c->rare)->mss_low;
	e->first_len = (uint16_t)(c->flight->queue.n_sent > 0 ? min_u32(tcp_queue_at(t, c, 0)->len, UINT16_MAX) : 0);
	e->side = (enum tcp_side)c->side;
	e->reason = (enum tcp_reason)c->reason;
	e->error = c->error;
	e->soft_error = c->soft_error;
	e->has_info = true;
	tcp_info(t, c, &e->info);
	e->congestion = tcp_congestion(c);
	if (tcp_cc(c)->facts != NULL && e->state >= TCP_ESTABLISHED)
		e->n_facts = tcp_cc(c)->facts(t, c, e->fact);
}

static void list_half_open(const struct tcp *t, uint32_t index, struct tcp_entry *e)
{
	const struct tcp_half_open *h = pool_at(&t->half_open, index);

	e->state = TCP_SYN_RECEIVED;
	set_ends(e, &h->node);
	e->snd_nxt = h->iss + 1;
	e->rcv_nxt = h->irs + 1;
	e->is_deferred = h->acked;
	add_timer(t, e, TCP_TIMER_ON, timer_due(&t->half_open_wheel, &h->timer), h->n_sent - 1u);
}

static void list_time_wait(const struct tcp *t, uint32_t index, struct tcp_entry *e)
{
	const struct tcp_time_wait *w = pool_at(&t->time_wait, index);

	e->state = TCP_TIME_WAIT;
	set_ends(e, &w->node);
	e->snd_nxt = w->snd_nxt;
	e->rcv_nxt = w->rcv_nxt;
	e->side = (enum tcp_side)w->side;
	e->reason = TCP_REASON_CLOSED;
	add_timer(t, e, TCP_TIMER_TIME_WAIT, w->expires, 0);
}

/* --- where they are --- */

static const struct pool *pool_of(const struct tcp *t, enum tcp_entry_kind kind)
{
	switch (kind) {
	case TCP_ENTRY_LISTENER:
		return &t->listeners;
	case TCP_ENTRY_CONN:
		return &t->conns;
	case TCP_ENTRY_HALF_OPEN:
		return &t->half_open;
	default:
		return &t->time_wait;
	}
}

static bool is_there(const struct tcp *t, enum tcp_entry_kind kind, uint32_t index)
{
	switch (kind) {
	case TCP_ENTRY_LISTENER:
		return ((const struct tcp_listener *)pool_at(&t->listeners, index))->open;
	case TCP_ENTRY_CONN:
		return tcp_conn_at(t, index)->is_used;
	case TCP_ENTRY_HALF_OPEN:
		return ((const struct tcp_half_open *)pool_at(&t->half_open, index))->node.is_in;
	default:
		return ((const struct tcp_time_wait *)pool_at(&t->time_wait, index))->node.is_in;
	}
}

static uint32_t cost_of(const struct tcp *t, enum tcp_entry_kind kind, uint32_t index)
{
	return 1 + (kind == TCP_ENTRY_CONN ? tcp_conn_at(t, index)->flight->queue.n_sent / SEGMENTS_A_PLACE : 0);
}

bool tcp_next(const struct tcp *t, struct tcp_cursor *cursor, uint32_t *budget, struct tcp_entry *out)
{
	static void (*const list[N_TCP_ENTRY_KINDS])(const struct tcp *t, uint32_t index, struct tcp_entry *e) = {
		[TCP_ENTRY_LISTENER] = list_listener,
		[TCP_ENTRY_CONN] = list_conn,
		[TCP_ENTRY_HALF_OPEN] = list_half_open,
		[TCP_ENTRY_TIME_WAIT] = list_time_wait,
	};

	while (!tcp_at_end(cursor) && *budget > 0) {
		uint32_t index = cursor->index;
		enum tcp_entry_kind kind = cursor->kind;

		if (index >= pool_of(t, kind)->n_fresh) {
			*cursor = (struct tcp_cursor){ .kind = kind + 1 };
			continue;
		}
		cursor->index++;
		if (!is_there(t, kind, index)) {
			--*budget;
			continue;
		}
		*budget -= min_u32(*budget, cost_of(t, kind, index));
		*out = (struct tcp_entry){ .kind = kind, .index = index };
		list[kind](t, index, out);
		return true;
	}
	return false;
}
