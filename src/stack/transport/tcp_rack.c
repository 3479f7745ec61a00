/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RACK-TLP (RFC 8985). A segment is lost when one that was sent later has been
 * delivered, and longer ago than reordering explains; so a lost retransmission is
 * found like any other loss. When nothing comes back to judge by, a probe is sent
 * after two round trips: the end of what is on its way is found lost without a
 * timeout.
 *
 * Without SACK three duplicate acknowledgements say that the first segment is lost
 * (RFC 6582).
 */
#include "stack/transport/tcp_priv.h"

#define DUP_THRESH 3u
/* RFC 8985 section 7.2: how long an acknowledgement may be held back. */
#define MAX_ACK_DELAY (200 * NS_PER_MS)
#define PROBE_FIRST NS_PER_S
/* So many recoveries without a D-SACK make the window small again. */
#define REO_WND_PERSIST 16u
/* Time may stand still, and a clock's step is no reordering. */
#define REO_WND_LEAST TCP_TICK_NS

void tcp_rack_update(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a)
{
	/* Section 6.2 step 4: reordering that went beyond the window shows by a D-SACK, once a round. */
	if (c->flight->dsack_in_round && !seq_before(a->ack, c->flight->dsack_round)) {
		c->reo_wnd_mult = (uint8_t)min_u32(c->reo_wnd_mult + 1u, 16);
		c->reo_wnd_persist = REO_WND_PERSIST;
		c->flight->dsack_round = c->snd_nxt;
	}
	c->flight->dsack_in_round = false;
}

static uint64_t reo_wnd(const struct tcp_conn *c)
{
	if (!c->reordering_seen) {
		if (c->ca_state >= TCP_CA_RECOVERY || c->flight->sacked >= DUP_THRESH * c->mss)
			return 0;
	}
	if (c->min_rtt == UINT32_MAX)
		return REO_WND_LEAST;
	return max_u64(min_u64(c->reo_wnd_mult * (c->min_rtt / 4), c->srtt), REO_WND_LEAST);
}

static bool sent_after(uint64_t sent_a, uint32_t end_a, uint64_t sent_b, uint32_t end_b)
{
	return sent_a > sent_b || (sent_a == sent_b && seq_after(end_a, end_b));
}

/* Without SACK. */
static void detect_by_number(struct tcp *t, struct tcp_conn *c)
{
	if (c->flight->n_dupacks < DUP_THRESH || c->flight->queue.n_sent == 0)
		return;
	if ((tcp_queue_at(t, c, 0)->flags & (SEGMENT_LOST | SEGMENT_RETRANSMITTED)) == 0)
		tcp_mark_first_lost(t, c);
}

uint64_t tcp_rack_detect(struct tcp *t, struct tcp_conn *c)
{
	uint64_t now = t->env->now, wnd = reo_wnd(c), wait = 0;

	if (!c->sack_ok) {
		detect_by_number(t, c);
		return 0;
	}
	if (c->flight->rack_sent == 0)
		return 0;
	for (uint32_t i = c->flight->oldest; i != POOL_NONE;) {
		struct tcp_segment *s = tcp_segment_at(t, i);
		uint32_t index = i;

		if (!sent_after(c->flight->rack_sent, c->flight->rack_end, s->sent, s->seq + tcp_segment_size(s)))
			break;
		i = s->newer;
		uint64_t until = s->sent + c->flight->rack_rtt + wnd;

		if (until <= now)
			tcp_mark_lost(t, c, s, index);
		else
			wait = max_u64(wait, until);
	}
	return wait;
}

/* --- the loss probe --- */

uint64_t tcp_rack_probe_timeout(const struct tcp *t, const struct tcp_conn *c)
{
	uint64_t pto = PROBE_FIRST;

	if (c->rtt_valid) {
		pto = 2 * c->srtt;
		if (c->flight->queue.n_sent == 1 && tcp_queue_at(t, c, 0)->len <= c->mss)
			pto += MAX_ACK_DELAY;
		else
			pto += 2 * NS_PER_MS;
	}
	return min_u64(pto, tcp_rto(t, c));
}

/* New data if there is some and the other end has room, else the last segment once more (section 7.3). */
void tcp_rack_probe(struct tcp *t, struct tcp_conn *c)
{
	uint32_t next = c->flight->queue.n_sent;

	t->counts[TCP_COUNT_TLPS]++;
	c->flight->tlp_retransmitted = true;
	if (next < c->flight->queue.n) {
		const struct tcp_segment *s = tcp_queue_at(t, c, next);

		if ((s->len <= c->mss || tcp_queue_split(t, c, next, c->mss)) &&
		    !seq_after(s->seq + s->len, c->snd_una + c->snd_wnd) && tcp_transmit(t, c, next, 0))
			c->flight->tlp_retransmitted = false;
	}
	if (c->flight->tlp_retransmitted) {
		struct tcp_segment *last = tcp_queue_at(t, c, c->flight->queue.n_sent - 1);

		/* Of a large one its last segment is enough. */
		if (last->len > c->mss) {
			uint32_t rest = last->len % c->mss == 0 ? c->mss : last->len % c->mss;

			(void)tcp_queue_split(t, c, c->flight->queue.n_sent - 1, last->len - rest);
		}
		if (!tcp_transmit(t, c, c->flight->queue.n_sent - 1, 0))
			return;
	}
	c->flight->tlp_out = true;
	c->flight->tlp_end = c->snd_nxt;
}

/* Section 7.4.2: a probe that was a retransmission and is acknowledged without being told to have come twice has
 * repaired a loss, which nothing else has shown. */
void tcp_rack_probe_answered(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a)
{
	if (!c->flight->tlp_out)
		return;
	if (!c->flight->tlp_retransmitted) {
		if (!seq_before(a->ack, c->flight->tlp_end))
			c->flight->tlp_out = false;
		return;
	}
	if (a->has_dsack && !seq_before(a->ack, c->flight->tlp_end)) {
		c->flight->tlp_out = false;
	} else if (seq_after(a->ack, c->flight->tlp_end)) {
		c->flight->tlp_out = false;
		tcp_recovery_marked(t, c, CC_EVENT_REPAIRED);
	} else if (a->ack == c->flight->tlp_end && a->acked_new == 0 && a->sacked_new == 0 && a->is_duplicate) {
		/* Both copies came. */
		c->flight->tlp_out = false;
	}
}
