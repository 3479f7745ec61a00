/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How fast data is delivered (draft-cheng-iccrg-delivery-rate-estimation, now section
 * 4.1 of draft-ietf-ccwg-bbr). Each segment that is sent takes down how much had been
 * delivered until then, and when; when it is delivered itself, the difference of both
 * is a rate, over the longer of the time that sending and that acknowledging took.
 *
 * A sample is marked when the user had not enough to send at that time: it says
 * little of the path.
 */
#include "stack/transport/tcp_priv.h"

void tcp_rate_sent(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
	/* Nothing is on its way: time without work is not part of any sample. */
	if (c->snd_nxt == c->snd_una || tcp_inflight(c) == 0)
		c->flight->first_sent = c->flight->delivered_at = t->env->now;
	s->delivered = c->delivered;
	s->delivered_at = c->flight->delivered_at;
	s->first_sent = c->flight->first_sent;
	if (c->flight->app_limited != 0)
		s->flags |= SEGMENT_APP_LIMITED;
	else
		s->flags &= (uint8_t)~SEGMENT_APP_LIMITED;
}

void tcp_rate_delivered(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, struct tcp_ack *a)
{
	c->delivered += s->len;
	c->flight->delivered_at = t->env->now;
	/* Of those that it acknowledges, the one that was sent last. */
	if (a->has_newest &&
	    (s->sent < a->newest_sent || (s->sent == a->newest_sent && seq_before(s->seq + s->len, a->newest_end))))
		return;
	a->has_newest = true;
	a->newest_sent = s->sent;
	a->newest_end = s->seq + s->len;
	a->newest_delivered = s->delivered;
	a->newest_delivered_at = s->delivered_at;
	a->newest_first_sent = s->first_sent;
	a->newest_retransmitted = (s->flags & SEGMENT_EVER_RETRANSMITTED) != 0;
	a->newest_app_limited = (s->flags & SEGMENT_APP_LIMITED) != 0;
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
	s->delivered = c->delivered - a->newest_delivered;
	s->prior_delivered = a->newest_delivered;
	s->is_app_limited = a->newest_app_limited;
	/* Faster than the shortest round trip is a segment that was sent twice, and whose first one it was. */
	if (c->min_rtt != UINT32_MAX && s->interval < c->min_rtt && a->newest_retransmitted)
		s->interval = 0;
}

void tcp_rate_app_limited(struct tcp *t, struct tcp_conn *c)
{
	if (c->flight->queue.n == c->flight->queue.n_sent && tcp_inflight(c) < c->cwnd &&
	    c->flight->lost <= c->flight->retransmitted)
		c->flight->app_limited = max_u64(c->delivered + tcp_inflight(c), 1);
}
