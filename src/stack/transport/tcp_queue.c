/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the user has written and the other end has not acknowledged: segments in
 * order of their numbers.
 *
 * Bytes are copied once, when they are written, into packet buffers with room for
 * every header in front, and summed in the same pass, unless the device does that. A
 * packet that is sent is made around the buffer (packet_share), so the same bytes are
 * sent again without a copy, and a checksum costs the header's bytes only.
 *
 * As a rule a segment here is one on the wire. Where the device cuts large ones
 * (tcp_piece) it holds as much as leaves at once, and is cut here only where the other
 * end has some of it, a window ends in it, or some of it is sent again. What is cut
 * shares the buffer, and is copied when it is sent: its headers would stand where the
 * bytes before it are.
 *
 * A segment is a number in the pool of segments; the queue is a ring of numbers, so
 * that the segment with a byte is found by bisection, whatever the window. The ring
 * of more than eight stands in a packet buffer: a small one has room for 512, a large
 * one for 16,384.
 *
 * Those that were sent stand before those that were not. The last one is filled up
 * by later writes as long as it has not been sent (RFC 9293 section 3.7.4).
 *
 * In flight they are also in a list by when they were sent last (tcp_flight.c).
 */
#include <errno.h>

#include "stack/transport/tcp_priv.h"
#include "stack/wire/checksum.h"

/* --- the ring --- */

/* Eight stand in the queue itself, then a small buffer, then a large one. */
static bool ring_grow(struct tcp *t, struct tcp_queue *q)
{
	struct packet_buffer b;
	uint32_t bytes = q->cap <= TCP_QUEUE_FEW ? PACKET_SMALL_BYTES : PACKET_LARGE_BYTES, cap = 1;

	if (q->cap == 0) {
		q->at = q->few;
		q->cap = TCP_QUEUE_FEW;
		q->head = 0;
		return true;
	}
	if (q->cap > TCP_QUEUE_FEW && q->memory.large)
		return false;
	if (!packet_buffer_alloc(t->env->pool, bytes, &b))
		return false;
	while (cap * 2 * sizeof(uint32_t) <= b.len)
		cap *= 2;
	uint32_t *at = (uint32_t *)(void *)b.bytes;

	for (uint32_t i = 0; i < q->n; i++)
		at[i] = q->at[(q->head + i) & (q->cap - 1)];
	if (q->cap > TCP_QUEUE_FEW)
		packet_buffer_put(t->env->pool, &q->memory);
	q->memory = b;
	q->at = at;
	q->cap = cap;
	q->head = 0;
	return true;
}

static void ring_release(struct tcp *t, struct tcp_queue *q)
{
	if (q->cap > TCP_QUEUE_FEW)
		packet_buffer_put(t->env->pool, &q->memory);
	q->at = NULL;
	q->cap = q->head = q->n = q->n_sent = 0;
}

static bool ring_insert(struct tcp *t, struct tcp_queue *q, uint32_t i, uint32_t number)
{
	if (q->n == q->cap && !ring_grow(t, q))
		return false;
	for (uint32_t k = q->n; k > i; k--)
		q->at[(q->head + k) & (q->cap - 1)] = q->at[(q->head + k - 1) & (q->cap - 1)];
	q->at[(q->head + i) & (q->cap - 1)] = number;
	q->n++;
	return true;
}

/* --- segments --- */

static struct tcp_segment *segment_new(struct tcp *t, uint32_t *index)
{
	*index = pool_alloc(&t->segments);
	if (*index == POOL_NONE) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		return NULL;
	}
	struct tcp_segment *s = tcp_segment_at(t, *index);

	*s = (struct tcp_segment){ .buffer = POOL_NONE, .older = POOL_NONE, .newer = POOL_NONE };
	return s;
}

static void segment_free(struct tcp *t, uint32_t index)
{
	struct tcp_segment *s = tcp_segment_at(t, index);

	if (s->buffer != POOL_NONE) {
		struct packet_buffer b = packet_buffer_at(t->env->pool, s->buffer, s->large);

		packet_buffer_put(t->env->pool, &b);
	}
	pool_free(&t->segments, index);
}

#define SEGMENTS_KEPT 32u /* one in so many */

/* A buffer of its own for so many bytes; those that it has had are not looked at. False without memory. */
static bool take_buffer(struct tcp *t, struct tcp_segment *s, uint32_t payload)
{
	struct packet_buffer b;

	if (!packet_buffer_alloc(t->env->pool, TCP_PAYLOAD_OFF + payload, &b))
		return false;
	s->buffer = b.index;
	s->large = b.large;
	s->off = TCP_PAYLOAD_OFF;
	return true;
}

/* Behind all others; it has no bytes yet. NULL without memory. */
static struct tcp_segment *append(struct tcp *t, struct tcp_conn *c, uint32_t payload)
{
	uint32_t index;

	if (!tcp_flight_get(t, c))
		return NULL;
	/* Some are kept for cutting what is there: without them it could not even be sent again. */
	if (t->segments.n_used + t->segments.cap / SEGMENTS_KEPT >= t->segments.cap && payload > 0) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		return NULL;
	}
	struct tcp_segment *s = segment_new(t, &index);

	if (s == NULL)
		return NULL;
	s->seq = c->write_seq;
	s->has_no_sum = c->no_sum;
	if (payload > 0 && !take_buffer(t, s, payload)) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		pool_free(&t->segments, index);
		return NULL;
	}
	if (!ring_insert(t, &c->flight->queue, c->flight->queue.n, index)) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		segment_free(t, index);
		return NULL;
	}
	return s;
}

/* Payload that s may have, where so much leaves at once. */
static uint32_t capacity(const struct tcp_conn *c, const struct tcp_segment *s, uint32_t piece)
{
	return s->large ? piece : c->mss;
}

/* The last one, if more bytes may be put into it. It has not been sent, so nobody has what is behind it in its buffer.
 */
static struct tcp_segment *open_end(struct tcp *t, struct tcp_conn *c, uint32_t piece)
{
	if (c->flight->queue.n == c->flight->queue.n_sent)
		return NULL;
	struct tcp_segment *s = tcp_queue_at(t, c, c->flight->queue.n - 1);

	if ((s->flags & SEGMENT_FIN) || s->ends_record || s->buffer == POOL_NONE || s->len >= capacity(c, s, piece))
		return NULL;
	return s->off + s->len < packet_buffer_at(t->env->pool, s->buffer, s->large).len ? s : NULL;
}

static uint8_t *end_of(const struct tcp *t, const struct tcp_segment *s)
{
	return packet_buffer_at(t->env->pool, s->buffer, s->large).bytes + s->off + s->len;
}

/* Some bytes more, whose sum is that. A sum over bytes that begin at an odd place counts them swapped. */
static void grow(struct tcp_conn *c, struct tcp_segment *s, uint32_t bytes, uint32_t sum)
{
	uint16_t more = checksum_fold(sum);

	if (s->len % 2 != 0)
		more = (uint16_t)(more << 8 | more >> 8);
	s->sum = checksum_fold(s->sum) + (uint32_t)more;
	s->len += bytes;
	c->write_seq += bytes;
}

/* Its next bytes, copied and summed in one pass. */
static void put(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, const uint8_t *from, uint32_t bytes)
{
	uint32_t sum = 0;

	if (s->has_no_sum)
		memcpy(end_of(t, s), from, bytes);
	else
		sum = checksum_copy(0, end_of(t, s), from, bytes);
	grow(c, s, bytes, sum);
}

/* --- writing --- */

static uint32_t buffer_room(const struct tcp_conn *c)
{
	uint32_t waiting = c->write_seq - c->snd_una;

	return waiting >= c->sndbuf ? 0 : c->sndbuf - waiting;
}

uint32_t tcp_notsent_lowat(const struct tcp *t, const struct tcp_conn *c)
{
	return c->o->notsent_lowat != 0 ? c->o->notsent_lowat : t->cfg.notsent_lowat;
}

uint32_t tcp_queue_room(const struct tcp *t, const struct tcp_conn *c)
{
	uint32_t unsent = c->write_seq - c->snd_nxt, room = buffer_room(c), lowat = tcp_notsent_lowat(t, c);

	if (lowat == 0 || lowat >= c->sndbuf)
		return room;
	/* As Linux: what may leave as one piece is filled, half of the other end's window. */
	uint32_t piece = max_u32(min_u32(c->snd_wnd_max / 2, UINT16_MAX) / max_u32(c->mss, 1), 1) * c->mss;
	uint32_t limit = (lowat + piece - 1) / max_u32(piece, 1) * piece;

	return unsent >= limit ? 0 : min_u32(room, limit - unsent);
}

bool tcp_is_writable(const struct tcp *t, const struct tcp_conn *c)
{
	/* As Linux: half of what may wait unsent. */
	uint32_t lowat = tcp_notsent_lowat(t, c);

	if (lowat != 0 && (uint64_t)2 * (c->write_seq - c->snd_nxt) >= lowat)
		return false;
	return buffer_room(c) >= c->sndbuf / 3;
}

void tcp_tell_room(struct tcp *t, struct tcp_conn *c)
{
	if (!c->wants_room || !tcp_is_writable(t, c))
		return;
	c->wants_room = false;
	tcp_changed(t, c, TCP_CHANGED_OUT);
}

/* Records (MSG_EOR) have a segment each: most are small. */
static bool ends_record(const struct tcp *t, const struct tcp_conn *c)
{
	const struct tcp_queue *q = &c->flight->queue;

	return q->n > 0 && tcp_queue_at(t, c, q->n - 1)->ends_record;
}

/* The place for the next bytes, of which there are so many at least; NULL without memory. *room: of how many. */
static struct tcp_segment *place(struct tcp *t, struct tcp_conn *c, size_t bytes, uint32_t *room)
{
	uint32_t piece = tcp_piece(t, c);
	struct tcp_segment *s = open_end(t, c, piece);
	/* Themselves, or with those that wait before them. */
	bool is_much = bytes >= TCP_LARGE_LEAST || c->write_seq - c->snd_nxt >= TCP_LARGE_LEAST;

	if (s == NULL && c->gso && is_much && !ends_record(t, c) && packet_buffer_large_abound(t->env->pool))
		s = append(t, c, piece);
	if (s == NULL)
		s = append(t, c, c->mss);
	if (s == NULL)
		return NULL;
	uint32_t len = packet_buffer_at(t->env->pool, s->buffer, s->large).len;

	*room = min_u32(capacity(c, s, piece) - s->len, len - s->off - s->len);
	return s;
}

/* What was the end of a call is so no more when one has gone on behind it. */
static void note_push(struct tcp_segment *s, bool push)
{
	s->flags = push ? s->flags | SEGMENT_PUSH : s->flags & (uint8_t)~SEGMENT_PUSH;
}

int64_t tcp_queue_write(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, bool push)
{
	uint32_t room = tcp_queue_room(t, c), here;
	int64_t total = 0;

	for (int i = 0; i < n; i++) {
		const uint8_t *from = span[i].bytes;
		size_t left = span[i].len;

		while (left > 0) {
			struct tcp_segment *s = room > 0 ? place(t, c, left, &here) : NULL;

			if (s == NULL)
				return total > 0 ? total : -EAGAIN;
			uint32_t bytes =
				min_u32(min_u32(here, room), (uint32_t)(left < UINT32_MAX ? left : UINT32_MAX));

			put(t, c, s, from, bytes);
			from += bytes;
			left -= bytes;
			room -= bytes;
			total += bytes;
		}
	}
	if (c->flight->queue.n > c->flight->queue.n_sent)
		note_push(tcp_queue_at(t, c, c->flight->queue.n - 1), push);
	return total;
}

int tcp_queue_reserve(struct tcp *t, struct tcp_conn *c, struct span *out)
{
	uint32_t room = tcp_queue_room(t, c), here;
	struct tcp_segment *s = room > 0 ? place(t, c, 0, &here) : NULL;

	if (s == NULL)
		return -EAGAIN;
	*out = (struct span){ .bytes = end_of(t, s), .len = min_u32(here, room) };
	return 0;
}

void tcp_queue_commit(struct tcp *t, struct tcp_conn *c, uint32_t bytes, bool push)
{
	struct tcp_segment *s = tcp_queue_at(t, c, c->flight->queue.n - 1);

	grow(c, s, bytes, s->has_no_sum ? 0 : checksum_add(0, end_of(t, s), bytes));
	note_push(s, push);
}

bool tcp_queue_fin(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_segment *s = c->flight->queue.n > c->flight->queue.n_sent
					? tcp_queue_at(t, c, c->flight->queue.n - 1)
					: append(t, c, 0);

	if (s == NULL)
		return false;
	s->flags |= SEGMENT_FIN;
	c->write_seq++;
	c->fin_queued = true;
	return true;
}

/* --- and away --- */

void tcp_queue_drop_empty(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_queue *q = &c->flight->queue;

	if (q->n == q->n_sent)
		return;
	uint32_t index = tcp_queue_number(c, q->n - 1);
	const struct tcp_segment *s = tcp_segment_at(t, index);

	if (s->len > 0 || (s->flags & SEGMENT_FIN))
		return;
	segment_free(t, index);
	q->n--;
	if (q->n == 0)
		ring_release(t, q);
}

void tcp_queue_drop_first(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_queue *q = &c->flight->queue;
	uint32_t index = q->at[q->head];

	tcp_flight_remove(t, c, tcp_segment_at(t, index), index);
	segment_free(t, index);
	q->head = (q->head + 1) & (q->cap - 1);
	q->n--;
	q->n_sent -= q->n_sent > 0;
	if (q->n == 0)
		ring_release(t, q);
}

static void sum_again(struct tcp *t, struct tcp_segment *s)
{
	s->sum = 0;
	if (s->has_no_sum || s->len == 0)
		return;
	const uint8_t *bytes = packet_buffer_at(t->env->pool, s->buffer, s->large).bytes + s->off;

	s->sum = checksum_add(0, bytes, s->len);
}

void tcp_queue_trim_first(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	struct tcp_segment *s = tcp_queue_at(t, c, 0);

	s->seq += bytes;
	s->off += bytes;
	s->len -= bytes;
	sum_again(t, s);
}

/* The bytes of s from len on are rest's. A few are copied, so that the next ones can be put behind them; more are
 * where they are. False without memory. */
static bool take_rest(struct tcp *t, const struct tcp_conn *c, const struct tcp_segment *s, struct tcp_segment *rest,
		      uint32_t len)
{
	struct packet_buffer old = packet_buffer_at(t->env->pool, s->buffer, s->large);
	uint32_t left = s->len - len;

	if (left > c->mss) {
		rest->off = s->off + len;
		return packet_buffer_get(t->env->pool, &old);
	}
	if (!take_buffer(t, rest, left))
		return false;
	memcpy(packet_buffer_at(t->env->pool, rest->buffer, rest->large).bytes + rest->off, old.bytes + s->off + len,
	       left);
	return true;
}

bool tcp_queue_split(struct tcp *t, struct tcp_conn *c, uint32_t i, uint32_t len)
{
	uint32_t index;
	struct tcp_segment *s = tcp_queue_at(t, c, i), *rest = segment_new(t, &index);

	if (rest == NULL)
		return false;
	uint32_t left = s->len - len;

	*rest = *s;
	rest->older = rest->newer = POOL_NONE;
	if (left == 0) {
		rest->buffer = POOL_NONE;
	} else if (!take_rest(t, c, s, rest, len)) {
		pool_free(&t->segments, index);
		return false;
	}
	if (!ring_insert(t, &c->flight->queue, i + 1, index)) {
		segment_free(t, index);
		return false;
	}
	rest->seq = s->seq + len;
	rest->len = left;
	sum_again(t, rest);
	s->len = len;
	s->flags &= (uint8_t) ~(SEGMENT_FIN | SEGMENT_PUSH);
	s->ends_record = false;
	sum_again(t, s);
	if (rest->flags & SEGMENT_SENT) {
		c->flight->queue.n_sent++;
		if (s->older != POOL_NONE || s->newer != POOL_NONE || c->flight->oldest == tcp_queue_number(c, i)) {
			/* Right behind the one that it was part of. */
			uint32_t first = tcp_queue_number(c, i);

			rest->older = first;
			rest->newer = s->newer;
			*(s->newer == POOL_NONE ? &c->flight->newest : &tcp_segment_at(t, s->newer)->older) = index;
			s->newer = index;
		}
	}
	return true;
}

uint32_t tcp_queue_find(const struct tcp *t, const struct tcp_conn *c, uint32_t seq)
{
	uint32_t lo = 0, hi = c->flight->queue.n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		const struct tcp_segment *s = tcp_queue_at(t, c, mid);
		uint32_t end = s->seq + tcp_segment_size(s);

		if (seq_after(end, seq))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

void tcp_queue_free(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_queue *q = &c->flight->queue;

	for (uint32_t i = 0; i < q->n; i++)
		segment_free(t, q->at[(q->head + i) & (q->cap - 1)]);
	if (q->n > 0)
		ring_release(t, q);
}
