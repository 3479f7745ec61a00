/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What happens to a connection: a message, the peer's coming, a timer; each becomes an event of the state machine, with
 * its reason. Any message that the state lets pass restarts the HoldTimer, also a ROUTE-REFRESH.
 *
 * Collisions (RFC 4271 section 6.8): two connections are compared when both have the peer's OPEN, and not before: of
 * one that has none nobody knows whether anybody is at its other end. A connection that comes beside an established one
 * ends with Cease/7 as soon as its OPEN is there, unless the peer restarts gracefully: then it is the older one that is
 * lost (RFC 4724 section 5). When it comes, a KEEPALIVE goes out on the older one, so that a host that has forgotten it
 * says so.
 */
#include "routing/bgp/bgp_speaker_priv.h"

#include <string.h>

#define HOLD_UNREAD_NS (100 * NS_PER_MS)

/* --- messages --- */

static enum bgp_phase phase_of(const struct bgp_link *l)
{
	if (l->state == BGP_STATE_ESTABLISHED)
		return BGP_ESTABLISHED;
	return l->state == BGP_STATE_OPEN_CONFIRM ? BGP_OPEN_CONFIRM : BGP_OPEN_SENT;
}

static void got_notification(struct bgp_link *l, const struct bgp_notification *n)
{
	l->cause = (struct bgp_down){ .side = BGP_SIDE_PEER,
				      .is_hard = n->is_hard,
				      .code = n->code,
				      .subcode = n->subcode,
				      .text_len = n->text_len };
	if (n->text_len > 0)
		memcpy(l->cause.text, n->text, n->text_len);
	l->notify = (struct bgp_error){ 0 };
	bgp_link_event(l, BGP_EV_NOTIFICATION);
}

/* RFC 4724 section 5: it has lost the older one. */
static bool takes_the_place_of(const struct bgp_link *l, struct bgp_link *older)
{
	if (!older->theirs.can.restart.is_there || !older->ours.can.restart.is_there || !l->theirs.can.restart.is_there)
		return false;
	older->cause = (struct bgp_down){ .side = BGP_SIDE_TRANSPORT, .why = "the peer has connected anew" };
	older->notify = (struct bgp_error){ 0 };
	bgp_link_event(older, older->is_accepted ? BGP_EV_TCP_LOST : BGP_EV_TCP_FAILS);
	return true;
}

/* False: l was the one that had to go. */
static bool settle_collision(struct bgp_link *l)
{
	struct bgp_link *other = bgp_other(l), *goes = NULL;

	if (other->state == BGP_STATE_ESTABLISHED && !takes_the_place_of(l, other))
		goes = l;
	if (other->state == BGP_STATE_OPEN_CONFIRM) {
		bool ours = bgp_collision_ours_stays(l->wire.local_id, l->wire.local_as, l->theirs.id, l->theirs.as);

		goes = l->is_accepted == ours ? l : other;
	}
	if (goes != NULL)
		bgp_link_collides(goes);
	return goes != l;
}

static void got_open(struct bgp_link *l, const struct bgp_open *o)
{
	l->theirs = *o;
	if (l->peer->config.peer_as == 0 && o->as == l->wire.local_as)
		bgp_link_fails(l, BGP_EV_BAD_MESSAGE,
			       &(struct bgp_error){ BGP_OPEN_ERROR, BGP_BAD_PEER_AS, .why = "our own AS" });
	else if (settle_collision(l))
		bgp_link_event(l, BGP_EV_OPEN);
}

void bgp_link_message(struct bgp_link *l, const uint8_t *p, size_t len)
{
	struct bgp_speaker *s = l->peer->speaker;
	struct bgp_message *m = &s->message;
	enum bgp_disposition d = bgp_message_parse(&l->wire, phase_of(l), p, len, m);

	l->last_in = s->now;
	l->peer->count.messages[BGP_IN][m->type]++;
	if (m->type == BGP_UPDATE && l->state == BGP_STATE_ESTABLISHED)
		l->peer->count.dispositions[d]++;
	if (m->type == BGP_NOTIFICATION) {
		got_notification(l, &m->notification);
		return;
	}
	if (d == BGP_RESET) {
		bgp_link_fails(l, BGP_EV_BAD_MESSAGE, &m->error);
		return;
	}
	s->disposition = (uint8_t)d;
	if (m->type == BGP_OPEN)
		got_open(l, &m->open);
	else
		bgp_link_event(l, m->type == BGP_KEEPALIVE ? BGP_EV_KEEPALIVE : BGP_EV_UPDATE);
}

bool bgp_link_accept(struct bgp_link *l, struct stream *s)
{
	struct bgp_peer *p = l->peer;
	struct bgp_link *other = bgp_other(l);

	if (bgp_link_buffers(l) != 0) {
		p->count.n_no_memory++;
		return false;
	}
	if (s->carrier->set_ttl(s, bgp_peer_ttl(p)) != 0) {
		bgp_link_close(l, BGP_CLOSE);
		return false;
	}
	l->s = s;
	l->is_accepted = l->is_open = true;
	stream_tell(s, &bgp_link_events, l);
	bgp_link_begin(l);
	p->count.n_accepts++;
	if (other->state == BGP_STATE_ESTABLISHED)
		bgp_link_keepalive(other);
	bgp_link_event(l, BGP_EV_START_PASSIVE);
	bgp_link_event(l, p->config.delay_open_s > 0 ? BGP_EV_TCP_OPEN_DELAYED : BGP_EV_TCP_OPEN);
	return true;
}

/* --- timers --- */

static bool is_due(const struct bgp_link *l, uint64_t *at)
{
	if (*at > l->peer->speaker->now)
		return false;
	*at = TIME_NEVER;
	return true;
}

/* What has come and is not used yet may be what it waits for. */
static bool has_unused(const struct bgp_link *l)
{
	struct bgp_error e;
	size_t len;

	return l->is_readable || bgp_frame(l->rx + l->rx_from, l->rx_to - l->rx_from, &len, &e) == BGP_FRAME_WHOLE;
}

static void hold_timer(struct bgp_link *l)
{
	if (has_unused(l) && !l->is_over)
		l->hold_at = l->peer->speaker->now + HOLD_UNREAD_NS;
	else
		bgp_link_fails(
			l, BGP_EV_HOLD,
			&(struct bgp_error){ BGP_HOLD_TIMER_EXPIRED, .why = "nothing has come for the hold time" });
}

static void retry_timer(struct bgp_link *l)
{
	if (bgp_other(l)->is_open && l->state == BGP_STATE_ACTIVE)
		bgp_link_retry_later(l);
	else
		bgp_link_event(l, BGP_EV_CONNECT_RETRY);
}

static void send_hold_timer(struct bgp_link *l)
{
	if (bgp_link_is_stuck(l))
		bgp_link_fails(l, BGP_EV_SEND_HOLD,
			       &(struct bgp_error){ BGP_SEND_HOLD_EXPIRED,
						    .why = "it has read nothing for the send hold time" });
	else
		bgp_link_flush(l);
}

void bgp_link_timers(struct bgp_link *l)
{
	if (is_due(l, &l->hold_at))
		hold_timer(l);
	if (is_due(l, &l->send_hold_at))
		send_hold_timer(l);
	if (is_due(l, &l->keepalive_at))
		bgp_link_event(l, BGP_EV_KEEPALIVE_TIMER);
	if (is_due(l, &l->delay_at))
		bgp_link_event(l, BGP_EV_DELAY_OPEN);
	if (is_due(l, &l->retry_at))
		retry_timer(l);
}
