/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For segments_netns_test.c: a step, what is seen behind it, and which differences between ours and Linux are
 * explained.
 */
#ifndef YG_TESTS_TRANSPORT_SEGMENTS_H
#define YG_TESTS_TRANSPORT_SEGMENTS_H

#include "stack/transport/tcp_script.h"

#define FAR_BEYOND 100000 /* bytes: beyond any edge */

enum step_kind { STEP_SEGMENT, STEP_SEND, STEP_READ, STEP_SHUTDOWN };

struct step {
	enum step_kind kind;
	uint8_t flags;
	bool of_edge;      /* seq counts from the right edge, which is each one's own */
	uint32_t seq, ack; /* from the initial ones */
	uint32_t len;      /* of a call too */
	uint16_t window;
	uint32_t n_sack;
	struct {
		uint32_t left, right;
	} sack[2];
	bool has_ts;
	uint32_t ts_val;
};

/* What is seen of one behind a step. */
struct seen_of {
	uint32_t state;  /* as TCP_INFO has it */
	uint32_t window; /* of the other end, as it takes it */
	int unread;
	int64_t result; /* of a call */
	bool has_reset;
	/* The answer to the question. */
	bool has_answer, is_closed_window;
	uint32_t ack, seq;
	/* Blocks of all that it said: left and right, in order of left. */
	uint32_t n_sack;
	uint32_t sacked[32];
};

struct difference {
	struct step t;
	struct seen_of before, ours, kernel;
	uint32_t acked, ts_val; /* the peer's, before */
};

static inline bool is_same(const struct seen_of *a, const struct seen_of *b)
{
	return a->state == b->state && a->window == b->window && a->unread == b->unread && a->result == b->result &&
	       a->has_reset == b->has_reset && a->has_answer == b->has_answer && a->ack == b->ack && a->seq == b->seq &&
	       a->is_closed_window == b->is_closed_window && a->n_sack == b->n_sack &&
	       memcmp(a->sacked, b->sacked, sizeof(a->sacked)) == 0;
}

static inline bool is_of_state(const struct difference *d, uint32_t state)
{
	return d->before.state == state;
}

/* TCP_INFO's numbers. */
enum { ESTABLISHED = 1, FIN_WAIT_1 = 4, FIN_WAIT_2, CLOSED = 7, CLOSE_WAIT, LAST_ACK, CLOSING = 11 };

static inline bool is_fin_ahead(const struct difference *d)
{
	return d->t.kind == STEP_SEGMENT && (d->t.flags & TCP_FIN) && d->ours.ack == d->kernel.ack &&
	       d->ours.state == d->kernel.state && d->ours.unread == d->kernel.unread;
}

static inline bool is_across_edge(const struct difference *d)
{
	return d->t.kind == STEP_SEGMENT && d->t.of_edge && (int32_t)d->t.seq < FAR_BEYOND;
}

static inline bool is_old_ack(const struct difference *d)
{
	return d->t.kind == STEP_SEGMENT && d->t.flags & TCP_ACK && seq_before(d->t.ack, d->acked) &&
	       d->ours.state == d->kernel.state && d->ours.seq == d->kernel.seq && d->ours.ack == d->before.ack;
}

static inline bool is_touching(const struct difference *d)
{
	uint32_t len = d->t.len + ((d->t.flags & TCP_FIN) != 0);

	return d->t.kind == STEP_SEGMENT && len > 0 && d->t.seq + len == d->before.ack &&
	       d->ours.ack == d->kernel.ack && d->ours.unread == d->kernel.unread;
}

static inline bool is_old_time(const struct difference *d)
{
	return d->t.has_ts && seq_before(d->t.ts_val, d->ts_val) && d->ours.ack == d->kernel.ack &&
	       d->ours.state == d->kernel.state && d->ours.unread == d->kernel.unread &&
	       d->kernel.n_sack > d->ours.n_sack;
}

static inline bool is_without_ack(const struct difference *d)
{
	return d->t.kind == STEP_SEGMENT && !(d->t.flags & TCP_ACK) && d->ours.ack == d->kernel.ack &&
	       d->ours.state == d->kernel.state && d->ours.unread == d->kernel.unread;
}

static inline bool is_behind_fin(const struct difference *d)
{
	return (is_of_state(d, CLOSE_WAIT) || is_of_state(d, LAST_ACK) || is_of_state(d, CLOSING)) && d->t.len > 0 &&
	       d->kernel.has_reset && d->kernel.state == CLOSED && d->ours.state == d->before.state;
}

/* The segment's number is that of the one from which the window was taken last. */
static inline bool is_smaller_window(const struct difference *d)
{
	return d->t.kind == STEP_SEGMENT && d->ours.window < d->before.window && d->kernel.window == d->before.window &&
	       d->ours.ack == d->kernel.ack && d->ours.seq == d->kernel.seq && d->ours.state == d->kernel.state;
}

static inline bool is_behind_gap(const struct difference *d)
{
	return d->t.kind == STEP_SEGMENT && d->ours.window == d->before.window &&
	       d->kernel.window != d->before.window && d->ours.ack == d->kernel.ack && d->ours.state == d->kernel.state;
}

static inline bool is_shrunk(const struct difference *d)
{
	return seq_before(d->kernel.seq, d->ours.seq) && d->ours.window == d->kernel.window &&
	       d->ours.window < d->ours.seq && d->ours.ack == d->kernel.ack && d->ours.state == d->kernel.state;
}

static inline bool is_fin_before_data(const struct difference *d)
{
	return d->t.kind == STEP_SEGMENT && d->t.flags & TCP_FIN && d->t.seq + d->t.len + 1 == d->kernel.ack &&
	       (seq_after(d->ours.ack, d->kernel.ack) || d->ours.unread > d->kernel.unread);
}

static struct {
	bool (*is)(const struct difference *d);
	const char *reason;
	uint32_t n;
} explained[] = {
	{ is_fin_ahead,
	  "a FIN ahead of a gap: Linux counts it among the bytes of its SACK blocks, ours has bytes alone there; of "
	  "bytes "
	  "behind one Linux says for the last time in FIN_WAIT_1 that it had them",
	  0 },
	{ is_across_edge,
	  "about the window's right edge: ours takes what is within (RFC 9293 section 3.10.7.4), Linux 6.18 all that "
	  "ends before the edge that it has for itself, or nothing",
	  0 },
	{ is_old_ack,
	  "an acknowledgement from before all that is known: RFC 5961 section 5 drops the segment, Linux's fast path "
	  "does not look",
	  0 },
	{ is_touching,
	  "bytes that end where the window begins: Linux takes the segment to be in the window, and what it "
	  "acknowledges and its window too",
	  0 },
	{ is_old_time,
	  "a segment that its timestamp tells to be old, and that reaches beyond what is expected: Linux says that its "
	  "beginning came twice",
	  0 },
	{ is_without_ack,
	  "a segment without ACK: Linux drops it before its number is looked at, ours says that it came twice", 0 },
	{ is_behind_fin, "bytes behind the other end's FIN: Linux resets, RFC 9293 has them ignored", 0 },
	{ is_smaller_window,
	  "two segments of the same number, the later one with a smaller window: Linux goes by the larger, RFC 9293 by "
	  "the later",
	  0 },
	{ is_behind_gap,
	  "a window in what is behind a segment of a higher number: ours goes by the highest (RFC 9293's WL1), Linux's "
	  "fast path by what came last in order",
	  0 },
	{ is_shrunk,
	  "the other end has shrunk its window: Linux's acknowledgements bear the number of the new edge, ours the "
	  "next one",
	  0 },
	{ is_fin_before_data,
	  "a FIN before bytes that are there already: ours takes it for none, Linux forgets the bytes", 0 },
};

#endif
