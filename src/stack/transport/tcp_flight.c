/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A connection's flight: what there is of it only while something waits to be sent or
 * to be acknowledged. Most connections of a server rest; a flight that one of them has
 * given back is still in the cache when the next one needs it.
 *
 * It begins with the first byte that is written, or the SYN, and ends when everything
 * is acknowledged and nothing that the other end may still say would be missed: no
 * recovery is under way, no loss probe waits to be told of. The windows, the round
 * trip and what the congestion control knows stay with the connection.
 *
 * There are as many as connections, so whoever has one gets the other.
 */
#include "stack/transport/tcp_priv.h"

const struct tcp_flight tcp_no_flight = {
	.index = POOL_NONE,
	.oldest = POOL_NONE,
	.newest = POOL_NONE,
	.rtx_at = TIME_NEVER,
	.reorder_at = TIME_NEVER,
	.pace_timer_at = TIME_NEVER,
};

bool tcp_flight_get(struct tcp *t, struct tcp_conn *c)
{
	if (c->flight != &tcp_no_flight)
		return true;
	uint32_t index = pool_alloc(&t->flights);

	if (index == POOL_NONE)
		return false;
	struct tcp_flight *f = pool_at(&t->flights, index);

	*f = tcp_no_flight;
	f->index = index;
	if (c->was_app_limited)
		f->app_limited = max_u64(c->delivered, 1);
	c->was_app_limited = false;
	c->flight = f;
	tcp_flight_begin(c);
	return true;
}

void tcp_flight_begin(struct tcp_conn *c)
{
	struct tcp_flight *f = c->flight;

	if (f == &tcp_no_flight)
		return;
	f->fack = f->lost_from = f->snd_small = f->snd_up = f->rack_end = f->out_end = c->snd_una;
	f->dsack_round = c->snd_nxt;
	f->rtx_kind = TCP_RTX_NONE;
	f->rtx_at = TIME_NEVER;
	f->rtx_since = 0;
}

void tcp_flight_free(struct tcp *t, struct tcp_conn *c)
{
	if (c->flight == &tcp_no_flight)
		return;
	pool_free(&t->flights, c->flight->index);
	tcp_flight_none(c);
}

void tcp_flight_settle(struct tcp *t, struct tcp_conn *c)
{
	const struct tcp_flight *f = c->flight;

	if (f->queue.n > 0 || f->index == POOL_NONE || c->state < TCP_ESTABLISHED || c->ca_state > TCP_CA_DISORDER ||
	    f->tlp_out || f->pace_at > t->env->now)
		return;
	c->was_app_limited = f->app_limited != 0;
	c->ca_state = TCP_CA_OPEN;
	tcp_flight_free(t, c);
}

/* In the order of `sent`: nearly always behind all others. */
void tcp_flight_add(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index)
{
	uint32_t before = c->flight->newest;

	while (before != POOL_NONE && tcp_segment_at(t, before)->sent > s->sent)
		before = tcp_segment_at(t, before)->older;
	s->older = before;
	s->newer = before == POOL_NONE ? c->flight->oldest : tcp_segment_at(t, before)->newer;
	*(before == POOL_NONE ? &c->flight->oldest : &tcp_segment_at(t, before)->newer) = index;
	*(s->newer == POOL_NONE ? &c->flight->newest : &tcp_segment_at(t, s->newer)->older) = index;
}

void tcp_flight_remove(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index)
{
	if (s->older == POOL_NONE && s->newer == POOL_NONE && c->flight->oldest != index)
		return;
	*(s->older == POOL_NONE ? &c->flight->oldest : &tcp_segment_at(t, s->older)->newer) = s->newer;
	*(s->newer == POOL_NONE ? &c->flight->newest : &tcp_segment_at(t, s->newer)->older) = s->older;
	s->older = s->newer = POOL_NONE;
}
