/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How fast data is delivered (draft-cheng-iccrg-delivery-rate-estimation, now section
 * 4.1 of draft-ietf-ccwg-bbr). Each segment that is sent takes down how much had been
 * delivered until then, and when; when it is delivered itself, the difference of both
 * is a rate, over the longer of the time that sending and that acknowledging took.
 *
 * A segment also takes down what had been found to be lost until then, and what was on
 * its way: for whoever judges how much of it was lost.
 *
 * A sample is marked when the user had not enough to send at that time: it says
 * little of the path.
 */
#include "stack/transport/tcp_priv.h"

/* A segment keeps times as so many ns before it was sent: within a minute. */
#define TCP_RATE_NS 16u

static uint32_t ago(uint64_t now, uint64_t at)
{
	return (uint32_t)min_u64((now - at) / TCP_RATE_NS, UINT32_MAX);
}

void tcp_rate_sent(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
	/* Nothing is on its way: time without work is not part of any sample. */
	if (c->snd_nxt == c->snd_una || tcp_inflight(c) == 0)
		c->flight->first_sent = c->flight->delivered_at = t->env->now;
	s->delivered = (uint32_t)c->delivered;
	s->lost = c->flight->lost_total;
	s->delivered_ago = ago(t->env->now, c->flight->delivered_at);
	s->first_sent_ago = ago(t->env->now, c->flight->first_sent);
	if (c->flight->app_limited != 0)
		s->flags |= SEGMENT_APP_LIMITED;
	else
		s->flags &= (uint8_t)~SEGMENT_APP_LIMITED;
}

void tcp_rate_delivered(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s, uint32_t bytes,
			struct tcp_ack *a)
{
	uint32_t end = s->seq + bytes;

	c->delivered += bytes;
	c->flight->delivered_at = t->env->now;
	/* Of those that it acknowledges, the one that was sent last. */
	if (a->has_newest &&
	    (s->sent < a->newest_sent || (s->sent == a->newest_sent && seq_before(end, a->newest_end))))
		return;
	a->has_newest = true;
	a->newest_sent = s->sent;
	a->newest_end = end;
	a->newest_delivered = s->delivered;
	a->newest_lost = s->lost;
	a->newest_in_flight = s->in_flight;
	a->newest_delivered_at = s->sent - (uint64_t)s->delivered_ago * TCP_RATE_NS;
	a->newest_first_sent = s->sent - (uint64_t)s->first_sent_ago * TCP_RATE_NS;
	a->newest_retransmitted = (s->flags & SEGMENT_EVER_RETRANSMITTED) != 0;
	a->newest_app_limited = (s->flags & SEGMENT_APP_LIMITED) != 0;
}

/* The timestamp says that it is a first copy that has arrived: what was taken down when the last one
 * left is not its. A path on which a segment takes longer than the first timeout would else seem several times as fast.
 */
static bool is_of_first_copy(const struct tcp_conn *c, const struct tcp_ack *a)
{
	return a->newest_retransmitted && a->acked_new > 0 && tcp_ack_echoes_before(c, a, tcp_ts_at(c, a->newest_sent));
}

void tcp_rate_sample(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	struct cc_sample *s = &a->sample;

	if (c->flight->app_limited != 0 && c->delivered > c->flight->app_limited)
		c->flight->app_limited = 0;
	if (!a->has_newest)
		return;
	uint64_t sending = a->newest_sent - a->newest_first_sent;
	uint64_t acking = c->flight->delivered_at - a->newest_delivered_at;

	c->flight->first_sent = a->newest_sent;
	s->interval = max_u64(sending, acking);
	s->delivered = (uint32_t)c->delivered - a->newest_delivered;
	s->prior_delivered = c->delivered - s->delivered;
	s->lost_since = c->flight->lost_total - a->newest_lost;
	s->tx_in_flight = a->newest_in_flight;
	s->has_delivered = true;
	s->is_app_limited = a->newest_app_limited;
	/* Faster than the shortest round trip is a segment that was sent twice, and whose first one it was. */
	if (a->newest_retransmitted &&
	    ((c->min_rtt != UINT32_MAX && s->interval < c->min_rtt) || is_of_first_copy(c, a)))
		s->interval = 0;
}

void tcp_rate_app_limited(struct tcp *t, struct tcp_conn *c)
{
	if (c->flight->queue.n == c->flight->queue.n_sent && tcp_inflight(c) < c->cwnd &&
	    c->flight->lost <= c->flight->retransmitted)
		c->flight->app_limited = max_u64(c->delivered + tcp_inflight(c), 1);
}
