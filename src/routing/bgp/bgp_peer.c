/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A neighbour: when a session with it is tried, and what comes of the end of one.
 *
 * It is idle, for a reason and a time, or a session is tried: link[0] connects, or waits in Active for the next
 * attempt, while link[1] is there for the neighbour's own connection. An attempt that no host has answered, a
 * connection that was lost before its OPEN, and one that lost to another are no faults: what else there is goes on, and
 * the neighbour may connect; so too where the neighbour is thought to restart (RFC 4724). Behind any other end both
 * links are idle for the back-off: 1 s, doubled to 60 s, 1 s again when a session has been up for 5 minutes; the
 * neighbour's own in each case (IdleHoldTimer and DampPeerOscillations of RFC 4271 section 8.1). A neighbour that came
 * out of a prefix goes when that time is over, and not before: it would be back at once.
 */
#include "routing/bgp/bgp_speaker_priv.h"

#include <errno.h>

uint32_t bgp_local_as(const struct bgp_peer *p)
{
	return p->config.local_as != 0 ? p->config.local_as : p->speaker->config.as;
}

static bool is_passive(const struct bgp_peer *p)
{
	return p->config.is_passive || p->of != BGP_NEIGHBOR_NONE;
}

int bgp_peer_listen_key(struct bgp_peer *p, bool is_on)
{
	struct stream_listener *l = p->speaker->listener;

	if (l == NULL || p->of != BGP_NEIGHBOR_NONE)
		return 0;
	return l->carrier->listen_key(l, p->config.peers, is_on && p->config.key.len > 0 ? &p->config.key : NULL);
}

/* --- its end --- */

static bool is_same_reason(const struct bgp_down *a, const struct bgp_down *b)
{
	return !a->was_up && !b->was_up && a->side == b->side && a->code == b->code && a->subcode == b->subcode &&
	       a->error == b->error && a->why == b->why;
}

static void tell(struct bgp_peer *p, struct bgp_down *d)
{
	bool is_old = p->last.at != 0 && is_same_reason(d, &p->last);

	d->at = p->speaker->now;
	p->last = *d;
	if (d->was_up)
		bgp_event(p, BGP_EVENT_DOWN);
	else if (!is_old)
		bgp_event(p, BGP_EVENT_FAILED);
}

void bgp_peer_idle(struct bgp_peer *p, enum bgp_idle why, uint64_t until)
{
	p->idle = (uint8_t)why;
	p->until = until;
	bgp_arm(p);
}

static void stop_quietly(struct bgp_peer *p)
{
	const struct bgp_error none = { 0 };
	const struct bgp_command no_words = { 0 };

	bgp_peer_stop(p, &none, &no_words);
}

void bgp_peer_gone(struct bgp_peer *p)
{
	bgp_keep_nothing(p);
	p->is_removed = true;
	bgp_peer_idle(p, BGP_IDLE_SWEEP, TIME_NEVER);
	bgp_ready(p);
}

void bgp_peer_resume(struct bgp_peer *p)
{
	struct bgp_link *l = &p->link[0];

	if (p->of != BGP_NEIGHBOR_NONE && p->source == BGP_SOURCE_NONE) {
		bgp_peer_gone(p);
		return;
	}
	if (l->state != BGP_STATE_IDLE)
		return;
	bgp_link_event(l, BGP_EV_START_PASSIVE);
	if (!is_passive(p))
		bgp_link_retry_later(l);
	bgp_arm(p);
}

static void grow_back_off(struct bgp_peer *p, bool was_steady)
{
	p->back_off_s = p->back_off_s > 0 && !was_steady ? min_u32(2 * p->back_off_s, BGP_BACK_OFF_MAX_S) : 1;
}

/* It is thought to restart: we wait as behind any end, and it need not. */
static void wait_for_it(struct bgp_peer *p, bool was_steady)
{
	stop_quietly(p);
	grow_back_off(p, was_steady);
	bgp_peer_resume(p);
	if (!is_passive(p))
		p->link[0].retry_at = p->speaker->now + bgp_jitter(p->speaker, p->back_off_s * NS_PER_S);
	bgp_arm(p);
}

static void back_off(struct bgp_peer *p, bool was_steady)
{
	stop_quietly(p);
	grow_back_off(p, was_steady);
	bgp_peer_idle(p, BGP_IDLE_BACK_OFF, p->speaker->now + bgp_jitter(p->speaker, p->back_off_s * NS_PER_S));
}

static void hold_back(struct bgp_peer *p)
{
	uint32_t s = p->config.max_restart_s;

	stop_quietly(p);
	bgp_peer_idle(p, BGP_IDLE_LIMIT, s > 0 ? p->speaker->now + s * NS_PER_S : TIME_NEVER);
}

static bool is_collision(const struct bgp_down *d)
{
	return d->code == BGP_CEASE && d->subcode == BGP_CEASE_COLLISION;
}

/* We have let it go, and nothing is wrong. */
static bool is_quiet(const struct bgp_down *d)
{
	return d->side == BGP_SIDE_LOCAL && d->code == BGP_NO_NOTIFICATION;
}

/* Nobody is at fault. */
static bool is_soft(const struct bgp_down *d)
{
	return !d->was_up && (d->side == BGP_SIDE_TRANSPORT || is_quiet(d) || is_collision(d));
}

/* A connection that waits beside a session is no way around what its end brings; but where the session's connection was
 * lost, it may be the one that took its place. */
static bool ends_both(const struct bgp_down *d)
{
	return d->was_up && d->code != BGP_NO_NOTIFICATION;
}

/* RFC 5492 section 3: the peer does not know of capabilities. */
static bool wants_plain(const struct bgp_peer *p, const struct bgp_down *d)
{
	return !p->is_plain && d->side == BGP_SIDE_PEER && d->code == BGP_OPEN_ERROR &&
	       d->subcode == BGP_BAD_PARAMETER && bgp_local_as(p) <= UINT16_MAX;
}

void bgp_peer_ended(struct bgp_peer *p, struct bgp_link *l)
{
	struct bgp_down d = l->cause;
	bool was_steady = d.was_up && p->speaker->now - p->since >= BGP_STEADY_NS;

	if (d.was_up)
		p->since = p->speaker->now;
	if (d.was_up || (!is_quiet(&d) && !is_collision(&d)))
		tell(p, &d);
	if (l->state != BGP_STATE_IDLE || p->is_stopping || (bgp_other(l)->is_open && !ends_both(&d)))
		return;
	p->is_plain = wants_plain(p, &d);
	if (is_soft(&d))
		bgp_peer_resume(p);
	else if (d.keeps && d.side == BGP_SIDE_TRANSPORT)
		wait_for_it(p, was_steady);
	else if (d.side == BGP_SIDE_LOCAL && d.code == BGP_CEASE && d.subcode == BGP_CEASE_MAX_PREFIX)
		hold_back(p);
	else
		back_off(p, was_steady);
}

void bgp_peer_stop(struct bgp_peer *p, const struct bgp_error *e, const struct bgp_command *c)
{
	bool was_stopping = p->is_stopping;

	p->is_stopping = true;
	for (uint32_t i = 0; i < ARRAY_LEN(p->link); i++)
		bgp_link_stop(&p->link[i], e, c);
	p->is_stopping = was_stopping;
}

/* --- its beginning --- */

void bgp_peer_start(struct bgp_peer *p)
{
	if (p->is_removed)
		return;
	if (p->is_shut || p->config.is_shut || p->speaker->is_stopped) {
		bgp_peer_idle(p, BGP_IDLE_SHUT, TIME_NEVER);
		return;
	}
	int err = bgp_peer_listen_key(p, true);

	if (err != 0) {
		struct bgp_down d = { .side = BGP_SIDE_TRANSPORT, .error = -err, .why = "the password cannot be set" };

		tell(p, &d);
		back_off(p, false);
		return;
	}
	bgp_peer_idle(p, BGP_IDLE_NOT, TIME_NEVER);
	if (p->is_range)
		return;
	bgp_link_event(&p->link[0], is_passive(p) ? BGP_EV_START_PASSIVE : BGP_EV_START);
}

void bgp_peer_start_again(struct bgp_peer *p)
{
	stop_quietly(p);
	bgp_peer_start(p);
}

struct bgp_link *bgp_peer_link_for(struct bgp_peer *p)
{
	const struct bgp_error none = { .why = "the peer has connected anew" };
	const struct bgp_command no_words = { 0 };

	if (p->idle != BGP_IDLE_NOT)
		return NULL;
	for (uint32_t i = 0; i < ARRAY_LEN(p->link); i++) {
		struct bgp_link *l = &p->link[i];

		if (!l->is_accepted || !l->is_open || l->state == BGP_STATE_ESTABLISHED)
			continue;
		p->is_stopping = true;
		bgp_link_stop(l, &none, &no_words);
		p->is_stopping = false;
		return l;
	}
	for (uint32_t i = ARRAY_LEN(p->link); i-- > 0;)
		if (p->link[i].state == BGP_STATE_IDLE)
			return &p->link[i];
	return NULL;
}

/* --- its timers --- */

static void stale_timer(struct bgp_peer *p)
{
	bool is_up = p->link[0].state == BGP_STATE_ESTABLISHED || p->link[1].state == BGP_STATE_ESTABLISHED;

	p->stale_at = TIME_NEVER;
	if (is_up) {
		bgp_keep_sweep(p);
		return;
	}
	bgp_keep_nothing(p);
	/* One that has to wait goes when it has. */
	if (p->of != BGP_NEIGHBOR_NONE && p->idle == BGP_IDLE_NOT && !p->link[0].is_open && !p->link[1].is_open) {
		stop_quietly(p);
		bgp_peer_gone(p);
	}
}

void bgp_peer_timers(struct bgp_peer *p)
{
	uint64_t now = p->speaker->now;

	for (uint32_t i = 0; i < ARRAY_LEN(p->link); i++)
		bgp_link_timers(&p->link[i]);
	if (p->stale_at <= now)
		stale_timer(p);
	if (p->until > now || (p->idle != BGP_IDLE_BACK_OFF && p->idle != BGP_IDLE_LIMIT))
		return;
	if (p->of != BGP_NEIGHBOR_NONE && p->source == BGP_SOURCE_NONE)
		bgp_peer_gone(p);
	else
		bgp_peer_start(p);
}

uint64_t bgp_peer_next(const struct bgp_peer *p)
{
	uint64_t at = min_u64(p->until, p->stale_at);

	for (uint32_t i = 0; i < ARRAY_LEN(p->link); i++) {
		const struct bgp_link *l = &p->link[i];

		at = min_u64(at, min_u64(min_u64(l->retry_at, l->hold_at), min_u64(l->keepalive_at, l->delay_at)));
		at = min_u64(at, l->send_hold_at);
	}
	return at;
}
