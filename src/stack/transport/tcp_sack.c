/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The scoreboard: which segments the other end has, by SACK (RFC 2018), and which it
 * got twice (RFC 2883).
 *
 * Blocks are remembered as they were: what stood in one already is not walked again,
 * so as a rule an acknowledgement touches what it brings and nothing else. Whoever
 * sends blocks that jump about is heard up to SACK_STEPS segments an acknowledgement.
 */
#include "stack/transport/tcp_priv.h"

#define SACK_STEPS 2048u

/* It is not, or not any more, one of those that wait to be sent again or were. */
static void settle(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index)
{
	uint32_t size = tcp_segment_size(s);

	if (s->flags & SEGMENT_LOST)
		c->flight->lost -= size;
	if (s->flags & SEGMENT_RETRANSMITTED)
		c->flight->retransmitted -= size;
	s->flags &= (uint8_t) ~(SEGMENT_LOST | SEGMENT_RETRANSMITTED);
	tcp_flight_remove(t, c, s, index);
}

void tcp_mark_lost(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index)
{
	bool is_first = c->flight->lost <= c->flight->retransmitted;
	/* Sent again, and lost again: that is a loss too. */
	bool is_new = (s->flags & (SEGMENT_LOST | SEGMENT_RETRANSMITTED)) != SEGMENT_LOST;

	if (s->flags & SEGMENT_RETRANSMITTED) {
		c->flight->retransmitted -= tcp_segment_size(s);
		s->flags &= (uint8_t)~SEGMENT_RETRANSMITTED;
	}
	if (!(s->flags & SEGMENT_LOST)) {
		s->flags |= SEGMENT_LOST;
		c->flight->lost += tcp_segment_size(s);
	}
	tcp_flight_remove(t, c, s, index);
	if (is_new) {
		c->flight->lost_total += s->len;
		if (tcp_cc(c)->lost != NULL)
			tcp_cc(c)->lost(t, c, s);
	}
	c->flight->lost_from = is_first ? s->seq : seq_min(c->flight->lost_from, s->seq);
}

void tcp_mark_first_lost(struct tcp *t, struct tcp_conn *c)
{
	if (tcp_queue_at(t, c, 0)->len > c->mss)
		(void)tcp_queue_split(t, c, 0, c->mss);
	tcp_mark_lost(t, c, tcp_queue_at(t, c, 0), tcp_queue_number(c, 0));
}

/* RFC 8985 section 6.2 step 3: one that was never sent again, and that something behind it overtook. */
static void note_reordering(struct tcp_conn *c, const struct tcp_segment *s, uint32_t end, struct tcp_ack *a)
{
	if (seq_after(end, c->flight->fack)) {
		c->flight->fack = end;
	} else if (!(s->flags & SEGMENT_EVER_RETRANSMITTED) && seq_before(end, c->flight->fack)) {
		c->reordering_seen = true;
		c->reordering = max_u32(c->reordering, c->flight->fack - s->seq);
		a->reordered = true;
	}
}

/* Steps 1 and 2: the newest by the time of sending. An acknowledgement of the first of two copies is not the second
 * one's, which it cannot be when it came sooner than the path allows, or, of what is acknowledged by number, echoes a
 * timestamp from before it. (Ahead of a gap the timestamp before the gap is echoed, RFC 7323 section 4.3.) How long it
 * took is taken from the last that an acknowledgement tells of, by number, as Linux has it (the RFC: by the time of
 * sending): one that was taken for lost and was only late says that others may be late as well. */
static void note_rack(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s, uint32_t end,
		      const struct tcp_ack *a)
{
	uint64_t rtt = t->env->now - s->sent;

	if (s->flags & SEGMENT_EVER_RETRANSMITTED) {
		if (rtt < c->min_rtt && c->min_rtt != UINT32_MAX)
			return;
		if (!seq_after(end, a->ack) && tcp_ack_echoes_before(c, a, tcp_ts_at(c, s->sent)))
			return;
	}
	c->flight->rack_rtt = rtt;
	if (s->sent > c->flight->rack_sent ||
	    (s->sent == c->flight->rack_sent && seq_after(end, c->flight->rack_end))) {
		c->flight->rack_sent = s->sent;
		c->flight->rack_end = end;
	}
}

/* bytes of it, which end at end. */
static void delivered(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s, uint32_t bytes, uint32_t end,
		      struct tcp_ack *a)
{
	note_reordering(c, s, end, a);
	note_rack(t, c, s, end, a);
	tcp_rate_delivered(t, c, s, bytes, a);
	if (!(s->flags & SEGMENT_EVER_RETRANSMITTED)) {
		uint64_t rtt = t->env->now - s->sent;

		if (!a->has_rtt || rtt < a->rtt)
			a->rtt = rtt;
		a->has_rtt = true;
		a->original_acked |= (s->flags & SEGMENT_LOST) != 0;
	}
	a->sample.acked += bytes;
}

void tcp_segment_delivered(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index, struct tcp_ack *a)
{
	delivered(t, c, s, s->len, s->seq + tcp_segment_size(s), a);
	settle(t, c, s, index);
}

void tcp_part_delivered(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s, uint32_t bytes,
			struct tcp_ack *a)
{
	delivered(t, c, s, bytes, s->seq + bytes, a);
}

/* --- blocks --- */

static bool covered(const struct tcp_conn *c, uint32_t left, uint32_t right)
{
	for (uint32_t i = 0; i < ARRAY_LEN(c->flight->sack_seen); i++)
		if (c->flight->sack_seen[i].left != c->flight->sack_seen[i].right &&
		    !seq_before(left, c->flight->sack_seen[i].left) && !seq_after(right, c->flight->sack_seen[i].right))
			return true;
	return false;
}

/* The part of it that no remembered block has, at one of its ends. */
static void cut_seen(const struct tcp_conn *c, uint32_t *left, uint32_t *right)
{
	for (uint32_t i = 0; i < ARRAY_LEN(c->flight->sack_seen); i++) {
		uint32_t l = c->flight->sack_seen[i].left, r = c->flight->sack_seen[i].right;

		if (l == r)
			continue;
		if (!seq_after(l, *left) && seq_after(r, *left) && seq_before(r, *right))
			*left = r;
		else if (!seq_before(r, *right) && seq_before(l, *right) && seq_after(l, *left))
			*right = l;
	}
}

/* A segment that a block covers in part is cut there if it is a large one, where the next of its segments begins that
 * the block has, or behind the last, and left alone otherwise. */
static bool cut_to_block(struct tcp *t, struct tcp_conn *c, uint32_t i, uint32_t left, uint32_t right)
{
	const struct tcp_segment *s = tcp_queue_at(t, c, i);
	uint32_t at, mss = c->mss;

	if (seq_before(s->seq, left))
		at = (left - s->seq + mss - 1) / mss * mss;
	else if (seq_after(s->seq + tcp_segment_size(s), right))
		at = (right - s->seq) / mss * mss;
	else
		return true;
	return at > 0 && at < s->len && tcp_queue_split(t, c, i, at);
}

static void walk_block(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a, uint32_t left, uint32_t right,
		       uint32_t *steps)
{
	for (uint32_t i = tcp_queue_find(t, c, left); i<c->flight->queue.n_sent && * steps> 0; i++, (*steps)--) {
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if (!seq_before(s->seq, right))
			return;
		if (s->flags & SEGMENT_SACKED)
			continue;
		if (seq_before(s->seq, left)) {
			/* Its first part stays, the next round looks at the other. */
			(void)cut_to_block(t, c, i, left, right);
			continue;
		}
		if (!cut_to_block(t, c, i, left, right))
			continue;
		s = tcp_queue_at(t, c, i);
		uint32_t index = tcp_queue_number(c, i);

		tcp_segment_delivered(t, c, s, index, a);
		s->flags |= SEGMENT_SACKED;
		c->flight->sacked += tcp_segment_size(s);
		a->sacked_new += tcp_segment_size(s);
	}
}

/* RFC 2883 section 4: the first block is below the acknowledgement, or within the second. */
static bool is_dsack(const struct tcp_ack *a, const struct tcp_options *o)
{
	if (seq_before(o->sack[0].left, a->ack))
		return true;
	return o->n_sack > 1 && !seq_before(o->sack[0].left, o->sack[1].left) &&
	       !seq_after(o->sack[0].right, o->sack[1].right);
}

static void dsack_input(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a, uint32_t left, uint32_t right)
{
	/* Something that we cannot have sent again says nothing. */
	if (!seq_before(left, right) || seq_after(right, c->snd_nxt) || right - left > c->snd_wnd_max + c->mss)
		return;
	a->has_dsack = true;
	t->counts[TCP_COUNT_DSACKS_IN]++;
	if (c->flight->undo_valid && !seq_before(left, c->flight->undo_marker) && c->flight->undo_retrans > 0)
		c->flight->undo_retrans -= (int32_t)((right - left + c->mss - 1) / c->mss);
	if (c->flight->undo_retrans < 0)
		c->flight->undo_retrans = 0;
	c->flight->dsack_in_round = true;
}

void tcp_sack_input(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a)
{
	const struct tcp_options *o = a->options;
	uint32_t steps = SACK_STEPS, first = 0;

	if (o == NULL || o->n_sack == 0 || !c->sack_ok)
		return;
	if (is_dsack(a, o)) {
		dsack_input(t, c, a, o->sack[0].left, o->sack[0].right);
		first = 1;
	}
	for (uint32_t i = first; i < o->n_sack; i++) {
		uint32_t left = seq_max(o->sack[i].left, c->snd_una), right = o->sack[i].right;

		if (!seq_before(left, right) || seq_after(right, c->snd_nxt) ||
		    seq_before(o->sack[i].left, a->prior_una)) {
			t->counts[TCP_COUNT_SACK_DISCARDED]++;
			continue;
		}
		if (covered(c, left, right))
			continue;
		cut_seen(c, &left, &right);
		walk_block(t, c, a, left, right, &steps);
		if (steps == 0)
			t->counts[TCP_COUNT_SACK_DISCARDED]++;
	}
	for (uint32_t i = 0; i < ARRAY_LEN(c->flight->sack_seen) && steps > 0; i++) {
		bool is_there = first + i < o->n_sack;

		c->flight->sack_seen[i].left = is_there ? o->sack[first + i].left : 0;
		c->flight->sack_seen[i].right = is_there ? o->sack[first + i].right : 0;
	}
}
