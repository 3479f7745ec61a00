/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What came: bytes in order, that the user takes, and islands of bytes ahead of a gap.
 *
 * Bytes stay in the packets that they came in; what lies in a driver's buffer is copied into a
 * buffer of the pool first, and small segments are put behind one another, so that
 * many little ones do not hold a buffer each (the attack called SegmentSmack).
 * Where bytes come twice the first copy stays, and the sender is told (RFC 2883). At
 * most TCP_ISLANDS_MAX islands are kept; what would make another is dropped and
 * comes again.
 *
 * The window is what is left of the buffer. Its right edge never moves to the left
 * (RFC 9293 section 3.8.6), and to the right only by a step that is worth telling:
 * a segment, or half the buffer.
 */
#include "stack/transport/tcp_priv.h"
#include <errno.h>

#include "stack/ip/local.h"
#include "stack/wire/ether.h"

/* Payload of a packet that is kept: p->l4.seq, p->l4.payload_len, and bytes. */
static uint8_t *payload_of(struct packet *p)
{
	return packet_l4(p) + p->l4.header_len;
}

static void trim_left(struct packet *p, uint32_t bytes)
{
	p->l4.seq += bytes;
	p->l4.header_len = (uint16_t)(p->l4.header_len + bytes);
	p->l4.payload_len = (uint16_t)(p->l4.payload_len - bytes);
}

static uint32_t end_of(const struct packet *p)
{
	return p->l4.seq + p->l4.payload_len;
}

/* The user has had it, or nobody will. */
static void done(struct tcp *t, struct tcp_conn *c, struct packet *p)
{
	c->inbox.memory -= p->buf_len;
	t->env->ledger.n_delivered++;
	packet_free(t->env->pool, p);
}

/* --- the window --- */

static uint32_t space(const struct tcp_conn *c)
{
	uint32_t all = c->rcvbuf / 2; /* the other half is for what buffers cost besides their bytes */

	if (c->o->window_clamp != 0)
		all = min_u32(all, c->o->window_clamp);
	return all > c->inbox.bytes ? all - c->inbox.bytes : 0;
}

/* Rounded down to what the field can say. */
static uint32_t sayable(const struct tcp_conn *c, uint32_t bytes)
{
	return min_u32(bytes >> c->rcv_scale, UINT16_MAX) << c->rcv_scale;
}

uint32_t tcp_receive_window(const struct tcp *t, const struct tcp_conn *c)
{
	uint32_t told = seq_after(c->rcv_adv, c->rcv_nxt) ? c->rcv_adv - c->rcv_nxt : 0;
	uint32_t free = sayable(c, space(c));
	uint32_t step = min_u32(c->rcv_mss != 0 ? c->rcv_mss : c->mss, c->rcvbuf / 4);

	/* An edge that was told stays, even if the field can only say it rounded up. */
	if (free < told + step)
		return c->rcv_scale == 0 ? told : (told + (1u << c->rcv_scale) - 1) >> c->rcv_scale << c->rcv_scale;
	return free;
}

bool tcp_window_update_due(const struct tcp *t, const struct tcp_conn *c)
{
	uint32_t told = seq_after(c->rcv_adv, c->rcv_nxt) ? c->rcv_adv - c->rcv_nxt : 0;
	uint32_t free = sayable(c, space(c));
	uint32_t step = min_u32(c->mss, c->rcvbuf / 4);

	/* As Linux: not for what the next acknowledgement says in time. It is due when the other end has used up half.
	 */
	return c->state >= TCP_ESTABLISHED && !c->fin_received && free >= told + step &&
	       (told < step || free >= 2 * told);
}

/* --- in order --- */

static bool append_bytes(struct packet *last, const struct packet *p)
{
	uint32_t end = last->off + last->l4_off + last->l4.header_len + last->l4.payload_len;

	if (last->buf_index == POOL_NONE || last->buf_shared || p->l4.payload_len > last->buf_len - end ||
	    p->l4.payload_len > UINT16_MAX - last->l4.payload_len)
		return false;
	memcpy(last->buf + end, packet_l4_const(p) + p->l4.header_len, p->l4.payload_len);
	last->l4.payload_len = (uint16_t)(last->l4.payload_len + p->l4.payload_len);
	return true;
}

/* Less of it than this is not worth a buffer of its own. */
#define SMALL_PAYLOAD 512u

enum kept { KEPT, COPIED, NO_ROOM };

/* Puts p behind *last, in whose list it then is, or its bytes into *last. */
static enum kept keep(struct tcp *t, struct tcp_conn *c, struct packet **first, struct packet **last, struct packet *p)
{
	uint64_t at = ip_received_at(t->ip, p);

	if (p->l4.payload_len <= SMALL_PAYLOAD && *last != NULL && append_bytes(*last, p)) {
		(*last)->held_since = at;
		return COPIED;
	}
	if (!packet_copy_on_hold(t->env->pool, p))
		return NO_ROOM;
	c->inbox.memory += p->buf_len;
	p->verdict = VERDICT_STOLEN;
	p->held_since = at;
	p->next = NULL;
	*(*last == NULL ? first : &(*last)->next) = p;
	*last = p;
	return KEPT;
}

/* --- islands --- */

static struct tcp_islands *islands_of(const struct tcp *t, const struct tcp_conn *c)
{
	return c->inbox.islands == POOL_NONE ? NULL : pool_at(&t->islands, c->inbox.islands);
}

static struct tcp_islands *islands_get(struct tcp *t, struct tcp_conn *c)
{
	if (c->inbox.islands == POOL_NONE) {
		c->inbox.islands = pool_alloc(&t->islands);
		if (c->inbox.islands == POOL_NONE)
			return NULL;
		islands_of(t, c)->n = 0;
		memset(islands_of(t, c)->recent, 0, sizeof(islands_of(t, c)->recent));
	}
	return islands_of(t, c);
}

static void islands_release(struct tcp *t, struct tcp_conn *c)
{
	pool_free(&t->islands, c->inbox.islands);
	c->inbox.islands = POOL_NONE;
}

static void island_remove(struct tcp_islands *is, uint32_t i)
{
	is->n--;
	memmove(&is->island[i], &is->island[i + 1], (is->n - i) * sizeof(is->island[0]));
	if (is->newest > i || is->newest == is->n)
		is->newest -= is->newest > 0;
}

static void note_newest(struct tcp_islands *is, uint32_t i)
{
	uint32_t left = is->island[i].left;

	if (is->n > 1 && is->newest < is->n && is->island[is->newest].left != left) {
		is->recent[2] = is->recent[1];
		is->recent[1] = is->recent[0];
		is->recent[0] = is->island[is->newest].left;
	}
	is->newest = i;
}

/* Island i reaches the next one. */
static void join_next(struct tcp_islands *is, uint32_t i)
{
	if (i + 1 >= is->n || is->island[i].right != is->island[i + 1].left)
		return;
	is->island[i].last->next = is->island[i + 1].first;
	is->island[i].last = is->island[i + 1].last;
	is->island[i].right = is->island[i + 1].right;
	if (is->newest == i + 1)
		is->newest = i;
	island_remove(is, i + 1);
}

/* A stretch that no island has, before island i (or behind all). False: no room. */
static bool island_put(struct tcp *t, struct tcp_conn *c, struct tcp_islands *is, uint32_t i, struct packet *p)
{
	uint32_t before = i;

	if (i > 0 && is->island[i - 1].right == p->l4.seq) {
		before = i - 1;
		struct tcp_island *to = &is->island[before];
		uint32_t end = end_of(p);

		if (keep(t, c, &to->first, &to->last, p) == NO_ROOM)
			return false;
		to->right = end;
	} else if (i < is->n && is->island[i].left == end_of(p)) {
		struct tcp_island *to = &is->island[i];
		struct packet *none = NULL, *last = NULL;
		uint32_t left = p->l4.seq;

		if (keep(t, c, &none, &last, p) == NO_ROOM)
			return false;
		p->next = to->first;
		to->first = p;
		to->left = left;
		note_newest(is, i);
		return true;
	} else {
		struct tcp_island made = { .left = p->l4.seq, .right = end_of(p) };

		if (is->n == TCP_ISLANDS_MAX || keep(t, c, &made.first, &made.last, p) == NO_ROOM)
			return false;
		memmove(&is->island[i + 1], &is->island[i], (is->n - i) * sizeof(is->island[0]));
		is->island[i] = made;
		if (is->n > 0 && is->newest >= i)
			is->newest++;
		is->n++;
	}
	note_newest(is, before);
	join_next(is, before);
	return true;
}

static void tell_dsack(struct tcp_conn *c, uint32_t left, uint32_t right)
{
	if (c->sack_ok && c->dsack.left == c->dsack.right)
		c->dsack.left = left, c->dsack.right = right;
}

/* The first stretch of [seq, end) that nobody has: *seq to *until, before island *at. False: none. */
static bool next_fresh(struct tcp *t, struct tcp_conn *c, const struct tcp_islands *is, uint32_t *seq, uint32_t end,
		       uint32_t *until, uint32_t *at)
{
	/* What came in order has taken islands in, and may have gone past. */
	if (seq_before(*seq, c->rcv_nxt)) {
		uint32_t both = seq_min(end, c->rcv_nxt);

		tell_dsack(c, *seq, both);
		t->counts[TCP_COUNT_DUPLICATE_BYTES] += both - *seq;
		*seq = both;
	}
	for (*at = 0; *at < is->n && seq_before(*seq, end); (*at)++) {
		const struct tcp_island *o = &is->island[*at];

		if (!seq_after(o->right, *seq))
			continue;
		if (seq_before(*seq, o->left)) {
			*until = seq_min(end, o->left);
			return true;
		}
		uint32_t both = seq_min(end, o->right);

		tell_dsack(c, *seq, both);
		t->counts[TCP_COUNT_DUPLICATE_BYTES] += both - *seq;
		*seq = both;
		if (!seq_before(*seq, end))
			return false;
	}
	*until = end;
	return seq_before(*seq, end);
}

/* A packet with that part of p's payload. NULL without memory. */
static struct packet *part_of(struct tcp *t, const struct packet *p, uint32_t seq, uint32_t until)
{
	struct packet *part = packet_copy(t->env->pool, p);

	if (part == NULL)
		return NULL;
	t->env->ledger.n_pieces_made++;
	trim_left(part, seq - part->l4.seq);
	part->l4.payload_len = (uint16_t)(until - seq);
	return part;
}

/* An island that rcv_nxt has reached becomes part of what is in order. */
static void take_islands(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_islands *is = islands_of(t, c);

	while (is != NULL && is->n > 0 && is->island[0].left == c->rcv_nxt) {
		struct tcp_island o = is->island[0];

		island_remove(is, 0);
		*(c->inbox.last == NULL ? &c->inbox.first : &c->inbox.last->next) = o.first;
		c->inbox.last = o.last;
		c->inbox.bytes += o.right - o.left;
		c->rcv_nxt = o.right;
	}
}

/* The pool is empty: what is furthest ahead makes room for what is in order, and comes again (RFC 2018 section 8). */
static bool drop_last_island(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_islands *is = islands_of(t, c);

	if (is == NULL || is->n == 0)
		return false;
	struct packet *p = is->island[is->n - 1].first;

	island_remove(is, is->n - 1);
	while (p != NULL) {
		struct packet *next = p->next;

		done(t, c, p);
		p = next;
	}
	return true;
}

/* One stretch that nobody has yet, from seq on: in order, or before island at. False: no room. */
static bool put(struct tcp *t, struct tcp_conn *c, struct tcp_islands *is, uint32_t at, struct packet *p)
{
	uint32_t bytes = p->l4.payload_len;

	if (p->l4.seq != c->rcv_nxt)
		return island_put(t, c, is, at, p);
	if (keep(t, c, &c->inbox.first, &c->inbox.last, p) == NO_ROOM &&
	    !(drop_last_island(t, c) && keep(t, c, &c->inbox.first, &c->inbox.last, p) != NO_ROOM))
		return false;
	c->inbox.bytes += bytes;
	c->rcv_nxt += bytes;
	take_islands(t, c);
	return true;
}

/* There are islands, or p makes one: stretch by stretch, so that whatever is here already stays. */
static void receive_stretches(struct tcp *t, struct tcp_conn *c, struct packet *p)
{
	struct tcp_islands *is = islands_get(t, c);
	uint32_t seq = p->l4.seq, until, at;
	const uint32_t end = end_of(p);

	while (is != NULL && next_fresh(t, c, is, &seq, end, &until, &at)) {
		bool is_last = until == end;
		struct packet *part = is_last ? p : part_of(t, p, seq, until);

		if (part == NULL)
			break;
		if (is_last)
			trim_left(p, seq - p->l4.seq);
		if (!put(t, c, is, at, part))
			t->counts[TCP_COUNT_OUT_OF_ORDER_FULL]++;
		if (part != p && part->verdict != VERDICT_STOLEN)
			env_drop(t->env, part, DROP_SOCKET_QUEUE);
		if (is_last)
			break;
		seq = until;
	}
	if (is != NULL && is->n == 0)
		islands_release(t, c);
}

void tcp_receive_data(struct tcp *t, struct tcp_conn *c, struct packet *p, uint32_t seq, uint32_t len)
{
	trim_left(p, seq - p->l4.seq);
	p->l4.payload_len = (uint16_t)len;
	/* What is in order is bounded by the window. Ahead of a gap buffers may hold little and cost much (bytes that
	 * come from behind, one by one, have a buffer each); they never keep out what fills the gap. */
	if (seq != c->rcv_nxt && c->inbox.memory + p->buf_len > 2 * c->rcvbuf) {
		t->counts[TCP_COUNT_RCV_PRUNED]++;
		c->ack_now = true;
		return;
	}
	uint32_t before = c->rcv_nxt;

	/* RFC 5681 section 4.2: what leaves a gap, and what fills one, is acknowledged at once. */
	if (seq != c->rcv_nxt || c->inbox.islands != POOL_NONE) {
		t->counts[TCP_COUNT_OUT_OF_ORDER] += seq != c->rcv_nxt;
		c->ack_now = true;
		receive_stretches(t, c, p);
	} else if (!put(t, c, NULL, 0, p)) {
		t->counts[TCP_COUNT_RCV_PRUNED]++;
	}
	if (c->rcv_nxt != before)
		tcp_changed(t, c, TCP_CHANGED_IN);
}

uint32_t tcp_receive_sacks(const struct tcp *t, const struct tcp_conn *c, uint32_t max, uint32_t (*block)[2])
{
	const struct tcp_islands *is = islands_of(t, c);
	uint32_t n = 0;

	if (c->dsack.left != c->dsack.right && max > 0) {
		block[n][0] = c->dsack.left;
		block[n++][1] = c->dsack.right;
	}
	if (is == NULL)
		return n;
	for (uint32_t k = 0; k < 4 && n < max; k++) {
		for (uint32_t i = 0; i < is->n; i++) {
			const struct tcp_island *o = &is->island[i];
			bool is_it = k == 0 ? i == is->newest : i != is->newest && o->left == is->recent[k - 1];

			if (!is_it)
				continue;
			block[n][0] = o->left;
			block[n++][1] = o->right;
			break;
		}
	}
	return n;
}

/* --- how large the buffer should be --- */

/* The receiver's view of a round trip: from a window that was told to its last byte. What the sender was slow with
 * makes it longer, so the shortest of late counts. */
void tcp_receive_rtt(struct tcp *t, struct tcp_conn *c)
{
	uint64_t now = t->env->now;

	if (c->rtt_probe_at != 0 && seq_before(c->rcv_nxt, c->rtt_probe_seq))
		return;
	if (c->rtt_probe_at != 0) {
		uint64_t rtt = max_u64(now - c->rtt_probe_at, 1);

		rtt = c->rcv_rtt == 0 || rtt < c->rcv_rtt ? rtt : (7 * UINT64_C(1) * c->rcv_rtt + rtt) / 8;
		c->rcv_rtt = (uint32_t)min_u64(rtt, UINT32_MAX);
	}
	c->rtt_probe_seq = c->rcv_nxt + max_u32(tcp_receive_window(t, c), 1);
	c->rtt_probe_at = now;
}

/* What the user took in a round trip is what the path and he can do: twice of it is room for it to double in the next
 * one, and half of the buffer is for what buffers cost (as Linux's tcp_rcv_space_adjust). */
static void grow_buffer(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	uint64_t now = t->env->now;

	c->copied += bytes;
	if (c->rcv_rtt == 0 || now - c->copied_since < c->rcv_rtt)
		return;
	if (c->copied > c->copied_round) {
		c->copied_round = c->copied;
		if (!c->told.rcvbuf_set)
			c->rcvbuf = max_u32(c->rcvbuf, (uint32_t)min_u64(UINT64_C(4) * c->copied, t->cfg.rcvbuf_max));
	}
	c->copied = 0;
	c->copied_since = now;
}

/* --- the user --- */

static void take_first(struct tcp *t, struct tcp_conn *c)
{
	struct packet *p = c->inbox.first;

	c->inbox.first = p->next;
	if (c->inbox.first == NULL)
		c->inbox.last = NULL;
	c->inbox.skip = 0;
	done(t, c, p);
}

void tcp_take(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	c->inbox.bytes -= bytes;
	grow_buffer(t, c, bytes);
	while (bytes > 0) {
		uint32_t here = c->inbox.first->l4.payload_len - c->inbox.skip;

		if (bytes < here) {
			c->inbox.skip += bytes;
			break;
		}
		bytes -= here;
		take_first(t, c);
	}
	if (c->urgent_ready)
		tcp_urgent_passed(c);
	if (tcp_window_update_due(t, c)) {
		c->ack_now = true;
		tcp_pend(t, c);
	}
}

void tcp_release(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	tcp_take(t, c, bytes);
	tcp_send_pending(t);
}

uint32_t tcp_peek(struct tcp *t, struct tcp_conn *c, struct span *out, uint32_t n)
{
	uint32_t k = 0, skip = c->inbox.skip;

	for (struct packet *p = c->inbox.first; p != NULL && k < n; p = p->next, skip = 0)
		out[k++] = (struct span){ .bytes = payload_of(p) + skip, .len = p->l4.payload_len - skip };
	return k;
}

uint8_t tcp_byte_at(const struct tcp_conn *c, uint32_t off)
{
	const struct packet *p = c->inbox.first;

	for (off += c->inbox.skip; off >= p->l4.payload_len; p = p->next)
		off -= p->l4.payload_len;
	return packet_l4_const(p)[p->l4.header_len + off];
}

uint64_t tcp_arrival(const struct tcp_conn *c, uint32_t bytes)
{
	const struct packet *p = c->inbox.first;

	for (bytes += c->inbox.skip; p->next != NULL && bytes > p->l4.payload_len; p = p->next)
		bytes -= p->l4.payload_len;
	return p->held_since;
}

/* Behind the first skip bytes, no further than to the limit. */
static int64_t copy_out(const struct tcp_conn *c, const struct span *span, int n, uint32_t flags, uint32_t skip,
			uint32_t limit)
{
	const struct packet *p = c->inbox.first;
	uint32_t room = limit - skip;
	int64_t total = 0;

	for (skip += c->inbox.skip; p != NULL && skip >= p->l4.payload_len; p = p->next)
		skip -= p->l4.payload_len;

	for (int i = 0; i < n; i++) {
		uint8_t *to = span[i].bytes;
		size_t left = span[i].len;

		while (left > 0 && room > 0 && p != NULL) {
			uint32_t here = min_u32(p->l4.payload_len - skip, room);
			uint32_t bytes = left < here ? (uint32_t)left : here;

			if (!(flags & TCP_RECV_TRUNC)) {
				memcpy(to, packet_l4_const(p) + p->l4.header_len + skip, bytes);
				to += bytes;
			}
			left -= bytes;
			total += bytes;
			skip += bytes;
			room -= bytes;
			if (skip == p->l4.payload_len)
				p = p->next, skip = 0;
		}
	}
	return total;
}

int64_t tcp_recv(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, uint32_t flags)
{
	uint32_t skip = 0, limit = c->inbox.bytes;

	if (flags & TCP_RECV_URGENT)
		return tcp_recv_urgent(t, c, n > 0 ? span[0].bytes : NULL, n > 0 ? (uint32_t)span[0].len : 0,
				       flags & TCP_RECV_PEEK);
	if (YG_UNLIKELY(c->urgent_ready))
		limit = tcp_urgent_ahead(c, &skip);
	if (limit == skip) {
		if (skip > 0 && !(flags & TCP_RECV_PEEK))
			tcp_release(t, c, skip);
		/* As Linux: the end that was told goes before what became of the connection then. */
		if (c->fin_received)
			return 0;
		if (c->error != 0)
			return -tcp_take_error(c);
		if (c->state == TCP_CLOSED && !c->fin_received && c->reason == TCP_REASON_NONE)
			return -ENOTCONN;
		if (c->rcv_closed || c->state == TCP_CLOSED)
			return 0;
		return c->state < TCP_ESTABLISHED && c->state != TCP_SYN_SENT && c->state != TCP_SYN_RECEIVED
			       ? -ENOTCONN
			       : -EAGAIN;
	}
	int64_t total = copy_out(c, span, n, flags, skip, limit);

	if (!(flags & TCP_RECV_PEEK))
		tcp_release(t, c, skip + (uint32_t)total);
	return total;
}

void tcp_receive_forget_ahead(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_islands *is = islands_of(t, c);

	for (uint32_t i = 0; is != NULL && i < is->n; i++)
		while (is->island[i].first != NULL) {
			struct packet *p = is->island[i].first;

			is->island[i].first = p->next;
			done(t, c, p);
		}
	if (is != NULL)
		islands_release(t, c);
}

void tcp_receive_free(struct tcp *t, struct tcp_conn *c)
{
	while (c->inbox.first != NULL)
		take_first(t, c);
	tcp_receive_forget_ahead(t, c);
	c->inbox.bytes = 0;
}
