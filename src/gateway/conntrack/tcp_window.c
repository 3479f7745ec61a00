/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sequence windows in both directions, as one between the ends can know them
 * (van Rooij, "Real Stateful TCP Packet Filtering in IP Filter", 2001; Linux
 * tracks the same values).
 *
 * For each direction, of the sender in it:
 *   end       one past the highest sequence number it has sent
 *   max_end   one past the highest that its receiver has allowed
 *   max_win   the largest window it has ever offered, scaled
 *   max_ack   the highest acknowledgement it has sent
 *
 * A segment fits when
 *   I    it begins not behind what its receiver allows:  seq <= sender.max_end
 *   II   it ends not before what the receiver may still want to see:
 *        end >= sender.end - receiver.max_win, once the receiver has offered a window
 *   III  it acknowledges nothing that was not sent:      ack <= receiver.end
 *   IV   ... and nothing that was acknowledged long ago: ack >= receiver.end - a window,
 *        66,000 at least, for segments can overtake one another.
 * With SACK the highest block counts as acknowledged in III and IV.
 *
 * As in Linux, what is wrong in one of these ways only, and does no harm, passes
 * and changes nothing, for the receiver knows best what it is:
 *   II, IV  a late copy, or an acknowledgement that was overtaken: its receiver
 *           answers with an ACK (RFC 9293 section 3.10.7.4, RFC 5961 section 5);
 *   I       what reaches beyond the edge by no more than one window: not every
 *           sender keeps to it.
 * Only `end` takes note of them, else the acknowledgement of new bytes in them would
 * be refused by III. (Linux does so for I alone; there, forged data that move the
 * marks far ahead make all acknowledgements of the other side late, and what it
 * sends with them unknown.)
 * `end` is never further than a window beyond max_end, and max_end moves only by
 * what the receiver says: who forges data cannot walk the marks away.
 *
 * A segment that came as IP fragments moves the marks fragment by fragment: what is
 * acknowledged has passed here, whichever fragment was the last.
 *
 * A connection that was seen from the middle on has unknown scale factors:
 * nothing of it is refused.
 *
 * Next: src/gateway/conntrack/hooks.c
 */
#include "gateway/conntrack/flow.h"
#include "gateway/conntrack/tcp_priv.h"

#define MAX_ACK_WINDOW 66000
#define MAX_WINDOW (UINT32_C(1) << 30) /* RFC 7323 section 2.3 */
/* The smallest list of options that has a SACK block (RFC 2018 section 3), padded. */
#define SACK_OPTIONS_MIN 12

void ct_tcp_take_options(struct conn *c, enum ct_dir dir, const struct packet *p)
{
	struct tcp_options o;

	c->half[dir].flags &= (uint8_t) ~(TCP_TRACK_WSCALE | TCP_TRACK_SACK);
	c->half[dir].scale = 0;
	if (p->l4.options_len == 0)
		return;
	/* A list that lies is cut at the lie; what stood before counts. */
	(void)tcp_options_parse(p->buf + p->off + p->l4_off, &p->l4, &o);
	if (o.has_wscale) {
		c->half[dir].flags |= TCP_TRACK_WSCALE;
		c->half[dir].scale = o.wscale;
	}
	if (o.has_sack_ok)
		c->half[dir].flags |= TCP_TRACK_SACK;
}

bool conntrack_tcp_liberal(const struct conn *c)
{
	return ((c->half[CT_ORIGINAL].flags | c->half[CT_REPLY].flags) & TCP_TRACK_LIBERAL) != 0;
}

void ct_tcp_window_clear(struct conn *c)
{
	for (int d = 0; d < N_CT_DIRS; d++) {
		c->half[d].tcp = (struct ct_tcp_window){ 0 };
		c->half[d].flags = c->half[d].scale = 0;
	}
}

void ct_tcp_window_begin(struct conn *c, const struct packet *p)
{
	struct ct_tcp_window *w = &c->half[CT_ORIGINAL].tcp;

	ct_tcp_window_clear(c);
	w->end = tcp_segment_end(&p->l4);
	w->max_win = max_u32(p->l4.window, 1);
	w->max_end = w->end;
	if (p->l4.flags & TCP_SYN) {
		ct_tcp_take_options(c, CT_ORIGINAL, p);
		return;
	}
	w->max_end += w->max_win;
	w->max_ack = p->l4.ack;
	c->half[CT_ORIGINAL].flags = TCP_TRACK_LIBERAL | TCP_TRACK_SACK | TCP_TRACK_ACKED;
	c->half[CT_REPLY].flags = TCP_TRACK_LIBERAL | TCP_TRACK_SACK;
}

/* The highest number that the segment acknowledges, SACK blocks included. */
static uint32_t highest_ack(const struct l4_view *v, const uint8_t *header, uint32_t ack)
{
	struct tcp_options o;
	uint32_t highest = ack;

	if (v->options_len < SACK_OPTIONS_MIN || tcp_options_only_timestamp(header, v))
		return ack;
	(void)tcp_options_parse(header, v, &o);
	for (uint32_t i = 0; i < o.n_sack; i++)
		if (seq_after(o.sack[i].right, highest))
			highest = o.sack[i].right;
	return highest;
}

/* The first segment that is seen of a direction. */
static void first_of_direction(struct conn *c, enum ct_dir dir, const struct packet *p, uint32_t ack)
{
	struct ct_tcp_window *sender = &c->half[dir].tcp, *receiver = &c->half[!dir].tcp;

	sender->end = tcp_segment_end(&p->l4);
	sender->max_win = max_u32(p->l4.window, 1);
	sender->max_end = sender->end;
	if (p->l4.flags & TCP_SYN) {
		/* With TCP Fast Open data may follow at once (RFC 7413). */
		sender->max_end += receiver->max_win;
		ct_tcp_take_options(c, dir, p);
		/* Scaling needs both (RFC 7323 section 2.2). */
		if (!(c->half[dir].flags & c->half[!dir].flags & TCP_TRACK_WSCALE) && receiver->max_win != 0)
			c->half[dir].scale = c->half[!dir].scale = 0;
		return;
	}
	sender->max_end += sender->max_win;
	/* What the other side has sent is known by what is acknowledged. */
	if (receiver->max_win == 0)
		receiver->end = receiver->max_end = ack;
}

static enum tcp_window_verdict judge(const struct conn *c, enum ct_dir dir, uint32_t seq, uint32_t end, uint32_t sack)
{
	const struct ct_tcp_window *sender = &c->half[dir].tcp, *receiver = &c->half[!dir].tcp;
	uint32_t ack_window = max_u32(sender->max_win, MAX_ACK_WINDOW);

	/* II only when the receiver's window is known: a SYN with data may be repeated without (RFC 7413
	 * section 4.1.3). */
	bool seq_recent = receiver->max_win == 0 || seq_after(end, sender->end - receiver->max_win - 1);
	bool ack_recent = seq_after(sack, receiver->end - ack_window - 1);

	if (YG_UNLIKELY(!seq_before(sack, receiver->end + 1)))
		return TCP_WINDOW_OUTSIDE;
	if (YG_LIKELY(seq_before(seq, sender->max_end + 1)))
		return YG_LIKELY(seq_recent && ack_recent) ? TCP_WINDOW_FITS : TCP_WINDOW_LATE;
	return seq_recent && ack_recent && end - sender->max_end < receiver->max_win ? TCP_WINDOW_AHEAD
										     : TCP_WINDOW_OUTSIDE;
}

bool ct_tcp_window_fits(const struct conn *c, enum ct_dir dir, const struct packet *p)
{
	return judge(c, dir, p->l4.seq, tcp_segment_end(&p->l4), p->l4.ack) == TCP_WINDOW_FITS;
}

static void widen(struct ct_tcp_window *w, uint32_t bytes)
{
	w->max_win = max_u32(w->max_win, min_u32(w->max_win + bytes, MAX_WINDOW));
}

static void move(struct conn *c, enum ct_dir dir, const struct l4_view *v, uint32_t ack, uint32_t sack)
{
	struct ct_tcp_window *sender = &c->half[dir].tcp, *receiver = &c->half[!dir].tcp;
	uint32_t end = tcp_segment_end(v);
	uint32_t win = v->window;

	if (!(v->flags & TCP_SYN))
		win <<= c->half[dir].scale;
	/* The window counts from ack; beyond a hole it reaches as far. */
	sender->max_win = max_u32(sender->max_win, win + (sack - ack));
	if (seq_after(end, sender->end)) {
		/* It began inside and ends beyond: the receiver has more room than it said. */
		if (YG_UNLIKELY(receiver->max_win != 0 && seq_after(end, sender->max_end)))
			widen(receiver,
			      end - (seq_after(sender->end, sender->max_end) ? sender->end : sender->max_end));
		sender->end = end;
		c->half[dir].flags |= TCP_TRACK_UNACKED;
	}
	if (v->flags & TCP_ACK) {
		if (!(c->half[dir].flags & TCP_TRACK_ACKED) || seq_after(ack, sender->max_ack))
			sender->max_ack = ack;
		c->half[dir].flags |= TCP_TRACK_ACKED;
	}
	if (seq_after(sack + win, receiver->max_end - 1)) {
		receiver->max_end = sack + win;
		/* A window probe may carry one byte (RFC 9293 section 3.8.6.1). */
		if (win == 0)
			receiver->max_end++;
	}
	if (ack == receiver->end)
		c->half[!dir].flags &= (uint8_t)~TCP_TRACK_UNACKED;
}

/* Moves the windows by a segment that fits; nothing changes when it does not. Both sides are known. */
static enum tcp_window_verdict take(struct conn *c, enum ct_dir dir, const struct l4_view *v, const uint8_t *header)
{
	uint32_t ack = v->flags & TCP_ACK ? v->ack : c->half[!dir].tcp.end;
	bool may_sack = (v->flags & TCP_ACK) && (c->half[!dir].flags & TCP_TRACK_SACK);
	uint32_t sack = may_sack ? highest_ack(v, header, ack) : ack;
	enum tcp_window_verdict verdict = judge(c, dir, v->seq, tcp_segment_end(v), sack);

	if (verdict != TCP_WINDOW_FITS && !(c->half[dir].flags & TCP_TRACK_LIBERAL))
		return verdict;
	move(c, dir, v, ack, sack);
	return TCP_WINDOW_FITS;
}

/* What a segment that does not fit must leave as it was. */
struct before {
	struct ct_tcp_window tcp[N_CT_DIRS];
	uint8_t flags[N_CT_DIRS], scale[N_CT_DIRS];
};

static void save(const struct conn *c, struct before *b)
{
	for (int d = 0; d < N_CT_DIRS; d++) {
		b->tcp[d] = c->half[d].tcp;
		b->flags[d] = c->half[d].flags;
		b->scale[d] = c->half[d].scale;
	}
}

static void restore(struct conn *c, const struct before *b)
{
	for (int d = 0; d < N_CT_DIRS; d++) {
		c->half[d].tcp = b->tcp[d];
		c->half[d].flags = b->flags[d];
		c->half[d].scale = b->scale[d];
	}
}

enum tcp_window_verdict ct_tcp_window_check(struct conn *c, enum ct_dir dir, const struct packet *p)
{
	struct ct_tcp_window *sender = &c->half[dir].tcp;
	struct before before;
	bool has_ack = p->l4.flags & TCP_ACK;
	uint32_t end = tcp_segment_end(&p->l4);

	save(c, &before);
	if (sender->max_win == 0) {
		first_of_direction(c, dir, p, p->l4.ack);
		/* The second SYN of a simultaneous open says nothing about the first. */
		if (!has_ack)
			return TCP_WINDOW_FITS;
	} else if ((p->l4.flags & TCP_SYN) && seq_after(end, sender->end) &&
		   ((c->tcp_state == CT_TCP_SYN_SENT && dir == CT_ORIGINAL) ||
		    (c->tcp_state == CT_TCP_SYN_RECV && dir == CT_REPLY) || c->tcp_state == CT_TCP_SYN_SENT2)) {
		/* Not a retransmission: the sender began again with other numbers. */
		sender->end = sender->max_end = end;
		sender->max_win = max_u32(p->l4.window, 1);
		ct_tcp_take_options(c, dir, p);
	}
	enum tcp_window_verdict verdict = take(c, dir, &p->l4, p->buf + p->off + p->l4_off);

	if (verdict != TCP_WINDOW_FITS)
		restore(c, &before);
	if (verdict != TCP_WINDOW_FITS && verdict != TCP_WINDOW_OUTSIDE && seq_after(end, sender->end)) {
		sender->end = end;
		c->half[dir].flags |= TCP_TRACK_UNACKED;
	}
	return verdict;
}

bool ct_tcp_window_plain(struct conn *c, enum ct_dir dir, const struct l4_view *v, const uint8_t *header)
{
	return c->half[dir].tcp.max_win != 0 && take(c, dir, v, header) == TCP_WINDOW_FITS;
}

void ct_tcp_first_fragment(const struct conn *c, enum ct_dir dir, const struct packet *p,
			   struct ct_fragment_first *first)
{
	if (p->l4.kind != L4_TCP)
		return;
	/* One that was passed on but ignored moves nothing, nor does the rest of it. */
	if (c->half[dir].tcp.max_win == 0 || seq_before(c->half[dir].tcp.end, tcp_segment_end(&p->l4)))
		return;
	first->has_seq = true;
	first->has_fin = (p->l4.flags & TCP_FIN) != 0;
	first->seq_zero = p->l4.seq + p->l4.payload_len + !!(p->l4.flags & TCP_SYN) - packet_l4_len(p);
}

void ct_tcp_later_fragment(struct conn *c, enum ct_dir dir, const struct ipv4_view *ip,
			   const struct ct_fragment_first *first)
{
	struct ct_tcp_window *sender = &c->half[dir].tcp;

	if (!first->has_seq)
		return;
	uint32_t end = first->seq_zero + ip->frag_off + ip->total_len - ip->header_len + (first->has_fin && !ip->mf);

	/* It may come so late that the numbers have gone round. */
	if (!seq_after(end, sender->end) || end - sender->end > UINT16_MAX)
		return;
	sender->end = end;
	c->half[dir].flags |= TCP_TRACK_UNACKED;
}

/* How far a mark may have moved between two credits; what looks further is behind what came this way meanwhile. Two
 * gigabytes, where numbers are compared otherwise, pass in less than a second. */
#define CREDIT_FORWARD_MAX (UINT32_C(3) << 30)

static bool is_forward(uint32_t from, uint32_t to)
{
	return to != from && to - from <= CREDIT_FORWARD_MAX;
}

/* The marks of one direction are taken as they are: who set them has judged each packet. The two directions are
 * credited one after the other, so the data of one may be ahead of the acknowledgements of the other; that is no sign
 * of a larger window, as it would be in a packet. */
void ct_tcp_window_add_deferred(struct conn *c, enum ct_dir dir, const struct ct_deferred *credit)
{
	struct ct_tcp_window *sender = &c->half[dir].tcp, *receiver = &c->half[!dir].tcp;
	uint32_t win = min_u32(credit->tcp_win, UINT16_MAX) << c->half[dir].scale;

	if (sender->max_win == 0)
		return;
	sender->max_win = max_u32(sender->max_win, win);
	if (is_forward(sender->end, credit->tcp_end)) {
		sender->end = credit->tcp_end;
		c->half[dir].flags |= TCP_TRACK_UNACKED;
		if (!is_forward(sender->end, sender->max_end))
			sender->max_end = sender->end;
	}
	if (!(c->half[dir].flags & TCP_TRACK_ACKED) || is_forward(sender->max_ack, credit->tcp_ack))
		sender->max_ack = credit->tcp_ack;
	c->half[dir].flags |= TCP_TRACK_ACKED;
	if (receiver->max_win != 0 && is_forward(receiver->max_end, sender->max_ack + win))
		receiver->max_end = sender->max_ack + win;
	if (sender->max_ack == receiver->end)
		c->half[!dir].flags &= (uint8_t)~TCP_TRACK_UNACKED;
	/* Its own data may have been acknowledged by what was credited to the other direction before. */
	if ((c->half[!dir].flags & TCP_TRACK_ACKED) && receiver->max_ack == sender->end)
		c->half[dir].flags &= (uint8_t)~TCP_TRACK_UNACKED;
}

enum tcp_rst_verdict ct_tcp_judge_rst(const struct conn *c, enum ct_dir dir, const struct l4_view *v)
{
	const struct ct_tcp_window *sender = &c->half[dir].tcp, *receiver = &c->half[!dir].tcp;

	/* Nothing was seen of the sender yet: it answers a SYN, and must acknowledge it. */
	if (sender->max_win == 0) {
		if (c->half[!dir].flags & TCP_TRACK_LIBERAL)
			return TCP_RST_CLOSES;
		return (v->flags & TCP_ACK) && v->ack == receiver->end ? TCP_RST_CLOSES : TCP_RST_OUTSIDE;
	}
	/* The next number that the receiver expects, as far as we know: what it acknowledged last, or the end of what
	 * was sent to it. */
	bool edge_known = c->half[!dir].flags & TCP_TRACK_ACKED;
	if (v->seq == sender->end || (edge_known && v->seq == receiver->max_ack))
		return TCP_RST_CLOSES;
	uint32_t low = edge_known ? receiver->max_ack : sender->end - MAX_ACK_WINDOW;
	if (seq_before(v->seq, low) || seq_after(v->seq, sender->max_end))
		return c->half[dir].flags & TCP_TRACK_LIBERAL ? TCP_RST_CHALLENGED : TCP_RST_OUTSIDE;
	return TCP_RST_CHALLENGED;
}

bool ct_tcp_quote_fits(const struct conn *c, enum ct_dir dir, const struct l4_view *quoted)
{
	const struct ct_tcp_window *sender = &c->half[dir].tcp, *receiver = &c->half[!dir].tcp;

	if ((c->half[dir].flags & TCP_TRACK_LIBERAL) || sender->max_win == 0)
		return true;
	/* A keepalive stands one before what is acknowledged. */
	uint32_t low = c->half[!dir].flags & TCP_TRACK_ACKED ? receiver->max_ack - 1 : sender->end - MAX_ACK_WINDOW;
	return !seq_before(quoted->seq, low) && !seq_after(quoted->seq, sender->end);
}
