/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A connection's bytes. What comes is read into a buffer of four messages and cut into them; what goes stands in
 * another, of which the front may be half a message that the stream has not taken all of: nothing is ever put behind
 * less than all of it. A neighbour that does not read so costs those two buffers, and its routes wait in the table.
 *
 * A unit of work is about what four bytes of an UPDATE cost: a prefix of one path, or a part of an attribute. Messages
 * with few prefixes cost more than their bytes, so each counts for eight more.
 */
#include "routing/bgp/bgp_speaker_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_BYTES 4u
#define MESSAGE_UNITS 8u

void bgp_link_init(struct bgp_link *l, struct bgp_peer *p)
{
	*l = (struct bgp_link){ .peer = p, .state = BGP_STATE_IDLE };
	l->retry_at = l->hold_at = l->keepalive_at = l->delay_at = l->send_hold_at = TIME_NEVER;
}

int bgp_link_buffers(struct bgp_link *l)
{
	l->rx = malloc(BGP_RX_LEN + BGP_TX_LEN);
	if (l->rx == NULL)
		return -ENOMEM;
	l->tx = l->rx + BGP_RX_LEN;
	return 0;
}

void bgp_link_close(struct bgp_link *l, enum bgp_close how)
{
	uint8_t state = l->state;

	if (l->s != NULL && how == BGP_CLOSE)
		l->s->carrier->close(l->s);
	else if (l->s != NULL)
		l->s->carrier->abort(l->s);
	free(l->rx);
	bgp_link_init(l, l->peer);
	l->state = state;
}

/* --- out --- */

static uint64_t send_hold_ns(const struct bgp_link *l)
{
	uint32_t s = l->peer->config.send_hold_s;

	if (s == 0)
		s = max_u32(BGP_SEND_HOLD_MIN_S, 2u * l->hold_s);
	return s * NS_PER_S;
}

bool bgp_link_is_stuck(const struct bgp_link *l)
{
	size_t n = l->s->carrier->unacked(l->s);

	return (n > 0 || l->tx_from < l->tx_to) && l->n_taken - n == l->n_acked;
}

/* The peer's TCP has taken more, or has nothing to take: the SendHoldTimer begins anew (RFC 9687 section 3.2; that TCP
 * has taken it from us is not enough). */
static void see_progress(struct bgp_link *l)
{
	size_t n = l->s->carrier->unacked(l->s);
	uint64_t n_acked = l->n_taken - n;

	if (n == 0 && l->tx_from == l->tx_to)
		l->send_hold_at = TIME_NEVER;
	else if (l->send_hold_at == TIME_NEVER || n_acked != l->n_acked)
		l->send_hold_at = l->peer->speaker->now + send_hold_ns(l);
	l->n_acked = n_acked;
}

/* The front has moved on by so many bytes: where in a message it is. */
static void pass(struct bgp_link *l, size_t n)
{
	while (n > 0) {
		if (l->tx_rest == 0)
			l->tx_rest = bgp_header_len(l->tx + l->tx_from);
		size_t step = n < l->tx_rest ? n : l->tx_rest;

		l->tx_from += step;
		l->tx_rest -= step;
		n -= step;
	}
}

void bgp_link_flush(struct bgp_link *l)
{
	if (l->s == NULL || !l->is_open)
		return;
	if (l->tx_from < l->tx_to && !l->is_blocked) {
		size_t len = l->tx_to - l->tx_from, n = l->s->carrier->write(l->s, l->tx + l->tx_from, len);

		l->n_taken += n;
		l->peer->count.bytes[BGP_OUT] += n;
		l->is_blocked = n < len;
		pass(l, n);
	}
	if (l->tx_from == l->tx_to)
		l->tx_from = l->tx_to = 0;
	see_progress(l);
}

static void count_out(struct bgp_link *l, const uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len; at += bgp_header_len(p + at))
		l->peer->count.messages[BGP_OUT][bgp_header_type(p + at)]++;
	l->last_out = l->peer->speaker->now;
}

bool bgp_link_send(struct bgp_link *l, const uint8_t *p, size_t len)
{
	if (l->s == NULL || !l->is_open || BGP_TX_LEN - l->tx_to < len)
		return false;
	memcpy(l->tx + l->tx_to, p, len);
	l->tx_to += len;
	count_out(l, p, len);
	bgp_link_flush(l);
	return true;
}

bool bgp_link_send_last(struct bgp_link *l, const uint8_t *p, size_t len)
{
	if (l->s == NULL || !l->is_open)
		return false;
	l->is_blocked = false;
	l->tx_to = l->tx_from + l->tx_rest;
	if (!bgp_link_send(l, p, len))
		return false;
	return l->tx_to == 0;
}

static void restart_keepalive(struct bgp_link *l)
{
	if (l->keepalive_s > 0)
		l->keepalive_at = l->peer->speaker->now + bgp_jitter(l->peer->speaker, l->keepalive_s * NS_PER_S);
}

/* RFC 7313 section 4.1. */
static void send_mark(struct bgp_link *l, enum bgp_refresh_kind kind)
{
	uint8_t p[BGP_REFRESH_LEN];
	const struct bgp_refresh r = { BGP_AFI_IPV4, (uint8_t)kind, BGP_SAFI_UNICAST };

	(void)bgp_link_send(l, p, bgp_refresh_emit(p, &r));
}

/* Behind the last route. */
static void finish_dump(struct bgp_link *l)
{
	struct bgp_peer *p = l->peer;
	const struct bgp_speaker_config *c = &p->speaker->config;
	uint8_t bytes[BGP_HEADER_LEN + 4];

	if ((!p->owes_eor && !p->owes_mark) || (p->has_member && !c->outbound->is_dumped(c->outbound_user, p->member)))
		return;
	if (p->owes_eor)
		(void)bgp_link_send(l, bytes, bgp_end_of_rib_emit(bytes));
	if (p->owes_mark)
		send_mark(l, BGP_REFRESH_ENDS);
	p->eor_out = true;
	p->owes_eor = p->owes_mark = false;
}

bool bgp_link_write(struct bgp_link *l, uint32_t n_max)
{
	struct bgp_peer *p = l->peer;
	const struct bgp_speaker_config *c = &p->speaker->config;

	bgp_link_flush(l);
	for (; n_max > 0 && p->is_to_send && l->tx_from == l->tx_to && !p->speaker->is_deferring; n_max--) {
		size_t n = p->has_member ? c->outbound->next(c->outbound_user, p->member, l->tx, BGP_TX_DATA) : 0;

		if (n == 0)
			p->is_to_send = false;
		if (n > 0) {
			l->tx_to = n;
			count_out(l, l->tx, n);
			restart_keepalive(l);
			bgp_link_flush(l);
		}
		finish_dump(l);
	}
	return p->is_to_send && l->tx_from == l->tx_to && !p->speaker->is_deferring;
}

/* --- in --- */

static void is_bad(struct bgp_link *l, const struct bgp_error *e)
{
	bgp_link_fails(l, BGP_EV_BAD_MESSAGE, e);
}

/* More bytes. False: there are none now. */
static bool fill(struct bgp_link *l)
{
	if (l->rx_from > 0) {
		memmove(l->rx, l->rx + l->rx_from, l->rx_to - l->rx_from);
		l->rx_to -= l->rx_from;
		l->rx_from = 0;
	}
	size_t n = l->s->carrier->read(l->s, l->rx + l->rx_to, BGP_RX_LEN - l->rx_to);

	l->rx_to += n;
	l->peer->count.bytes[BGP_IN] += n;
	l->is_readable = n > 0;
	return n > 0;
}

/* It is over, and all that came has been read. */
static void lost(struct bgp_link *l)
{
	l->cause = (struct bgp_down){ .side = BGP_SIDE_TRANSPORT, .error = l->over_error };
	bgp_link_event(l, l->is_accepted ? BGP_EV_TCP_LOST : BGP_EV_TCP_FAILS);
}

bool bgp_link_read(struct bgp_link *l, uint32_t budget)
{
	uint32_t n_spent = 0;

	while (l->s != NULL && n_spent < budget) {
		const struct stream *s = l->s;
		struct bgp_error e;
		size_t len;

		if (l->state == BGP_STATE_ESTABLISHED && bgp_keep_blocks(l->peer))
			return true;
		enum bgp_frame f = bgp_frame(l->rx + l->rx_from, l->rx_to - l->rx_from, &len, &e);
		if (f == BGP_FRAME_BAD) {
			is_bad(l, &e);
			return false;
		}
		if (f == BGP_FRAME_MORE && !fill(l)) {
			if (l->is_over)
				lost(l);
			return false;
		}
		if (f != BGP_FRAME_WHOLE)
			continue;
		l->rx_from += len;
		bgp_link_message(l, l->rx + l->rx_from - len, len);
		n_spent += MESSAGE_UNITS + (uint32_t)len / UNIT_BYTES;
		if (l->s != s)
			return false;
	}
	return l->s != NULL;
}

/* --- the stream's events --- */

static void on_open(void *user, struct stream *s, uint64_t now)
{
	struct bgp_link *l = user;

	l->peer->speaker->now = now;
	l->is_open = true;
	l->wire.local_addr = s->local.addr;
	bgp_link_event(l, l->peer->config.delay_open_s > 0 ? BGP_EV_TCP_OPEN_DELAYED : BGP_EV_TCP_OPEN);
	bgp_arm(l->peer);
}

static void on_readable(void *user, struct stream *s, uint64_t now)
{
	struct bgp_link *l = user;

	l->peer->speaker->now = now;
	l->is_readable = true;
	bgp_ready(l->peer);
}

static void on_writable(void *user, struct stream *s, uint64_t now)
{
	struct bgp_link *l = user;

	l->peer->speaker->now = now;
	l->is_blocked = false;
	bgp_ready(l->peer);
}

static void on_closed(void *user, struct stream *s, int error, uint64_t now)
{
	struct bgp_link *l = user;

	l->peer->speaker->now = now;
	l->is_over = true;
	l->over_error = error;
	l->is_readable = true;
	if (l->is_open)
		bgp_ready(l->peer);
	else
		lost(l);
	bgp_arm(l->peer);
}

const struct stream_events bgp_link_events = { on_open, on_readable, on_writable, on_closed };
