/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Urgent data, as Linux and all others have it (RFC 6093 section 3): one byte of the
 * stream that a pointer marks, the one before it, which a reader gets by MSG_OOB and does
 * not meet in the stream, or meets there with SO_OOBINLINE. A read ends in front of it, so
 * that SIOCATMARK can say where it stood. A later mark takes the place of one that
 * nobody has reached; the byte of the old one is then one like all others.
 *
 * It stands in the stream until reading has passed it. One that a closed window keeps out is
 * kept aside (RFC 9293 MUST-66), and passed over when it comes again.
 *
 *   rcv_up        the number of the byte, with urgent_ready
 *   urgent_taken  somebody has had it by MSG_OOB
 *   snd_up        behind the last byte that was sent by MSG_OOB; it is told of until it is acknowledged
 */
#include <errno.h>

#include "stack/transport/tcp_rare.h"

static uint32_t next_to_read(const struct tcp_conn *c)
{
	return c->rcv_nxt - c->inbox.bytes - c->fin_received;
}

/* The byte has come. */
static bool is_here(const struct tcp_conn *c)
{
	return c->urgent_ready && seq_before(c->rcv_up, c->rcv_nxt - c->fin_received);
}

bool tcp_at_mark(const struct tcp_conn *c)
{
	return c->urgent_ready && next_to_read(c) == c->rcv_up;
}

/* The window lets it no further than here. */
static void keep_aside(struct tcp *t, struct tcp_conn *c, const struct packet *p)
{
	uint32_t off = c->rcv_up - p->l4.seq;
	bool is_kept_out = off < p->l4.payload_len && !seq_before(c->rcv_up, seq_max(c->rcv_adv, c->rcv_nxt));

	if (!is_kept_out && c->rare == POOL_NONE)
		return;
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);

	r->has_urgent = is_kept_out;
	if (is_kept_out)
		r->urgent = packet_l4_const(p)[p->l4.header_len + off];
}

void tcp_urgent_input(struct tcp *t, struct tcp_conn *c, const struct packet *p)
{
	const uint8_t *h = packet_l4_const(p);
	uint32_t pointer = (uint32_t)h[TCP_URGENT_AT] << 8 | h[TCP_URGENT_AT + 1];
	uint32_t at = p->l4.seq + (pointer > 0 ? pointer - 1 : 0);

	if (!(p->l4.flags & TCP_URG) || c->fin_received || seq_before(at, c->rcv_nxt) ||
	    (c->urgent_ready && !seq_after(at, c->rcv_up)))
		return;
	/* As Linux: an older one that reading stands at is passed over. */
	if (tcp_at_mark(c) && !c->told.oob_inline && c->inbox.bytes > 0)
		tcp_take(t, c, 1);
	c->rcv_up = at;
	c->urgent_ready = true;
	c->urgent_taken = false;
	keep_aside(t, c, p);
	tcp_changed(t, c, TCP_CHANGED_PRI);
}

bool tcp_urgent_waits(const struct tcp *t, const struct tcp_conn *c)
{
	return c->urgent_ready && !c->urgent_taken && (is_here(c) || tcp_rare_at(t, c->rare)->has_urgent);
}

uint32_t tcp_urgent_ahead(const struct tcp_conn *c, uint32_t *skip)
{
	uint32_t ahead = c->rcv_up - next_to_read(c);

	*skip = 0;
	if (!is_here(c) || (c->told.oob_inline && ahead == 0))
		return c->inbox.bytes;
	*skip = ahead == 0;
	return ahead == 0 ? c->inbox.bytes : ahead;
}

uint32_t tcp_readable(const struct tcp_conn *c)
{
	return is_here(c) && !c->told.oob_inline ? c->rcv_up - next_to_read(c) : c->inbox.bytes;
}

void tcp_urgent_passed(struct tcp_conn *c)
{
	if (seq_after(next_to_read(c), c->rcv_up))
		c->urgent_ready = false;
}

int64_t tcp_recv_urgent(struct tcp *t, struct tcp_conn *c, uint8_t *out, uint32_t room, bool peek)
{
	if (c->told.oob_inline || !c->urgent_ready || c->urgent_taken)
		return -EINVAL;
	if (!tcp_urgent_waits(t, c))
		return c->state == TCP_CLOSED || c->rcv_closed || c->fin_received ? 0 : -EAGAIN;
	if (room > 0)
		*out = is_here(c) ? tcp_byte_at(c, c->rcv_up - next_to_read(c)) : tcp_rare_at(t, c->rare)->urgent;
	if (!peek)
		c->urgent_taken = true;
	return room > 0;
}

void tcp_urgent_mark(const struct tcp_conn *c, uint32_t seq, struct tcp_bare *h)
{
	uint32_t ahead = c->flight->snd_up - seq;

	if (!seq_after(c->flight->snd_up, c->snd_una) || !seq_after(c->flight->snd_up, seq))
		return;
	h->flags |= TCP_URG;
	h->urgent = (uint16_t)min_u32(ahead, UINT16_MAX);
}
