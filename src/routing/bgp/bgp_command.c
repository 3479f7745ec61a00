/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an owner asks of a speaker: changes of a neighbour's config, commands, the end. Each ends a session with its own
 * Cease, and says by its place whether another is tried, and when.
 *
 * A Cease after which the peer must not keep our routes goes as a hard reset to one that would keep them (RFC 8538
 * section 4): a neighbour that is taken out or shut down. A reset, or a change of config, is one that a restart looks
 * like.
 */
#include "routing/bgp/bgp_speaker_priv.h"

#include <errno.h>
#include <string.h>

#define CEASE(sub, words) (&(struct bgp_error){ BGP_CEASE, (sub), .why = (words) })

static const struct bgp_command plain, hard = { .is_hard = true };

static struct bgp_peer *enter(struct bgp_speaker *s, uint32_t number, uint64_t now)
{
	s->now = now;
	return number < BGP_NEIGHBORS_MAX ? s->peer[number] : NULL;
}

/* Of a prefix: those that came out of it. */
static void stop_all_of(struct bgp_peer *range, const struct bgp_error *e, const struct bgp_command *c)
{
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		struct bgp_peer *p = range->speaker->peer[i];

		if (p == NULL || p->of != range->number || p->is_removed)
			continue;
		bgp_peer_stop(p, e, c);
		bgp_peer_gone(p);
	}
}

static void try_soon(struct bgp_peer *p)
{
	p->back_off_s = 0;
	p->retry_s = 0;
	if (p->is_range)
		bgp_peer_start(p);
	else
		bgp_peer_idle(p, BGP_IDLE_BACK_OFF, p->speaker->now + bgp_jitter(p->speaker, NS_PER_S));
}

/* A session that goes on is told by it, and counted by it, from here on. */
static void take_config(struct bgp_peer *p, const struct bgp_neighbor_config *c)
{
	const struct bgp_speaker_config *s = &p->speaker->config;
	struct ip4_prefix peers = p->config.peers;

	if (c->max_prefixes != p->config.max_prefixes || c->max_warn_percent != p->config.max_warn_percent ||
	    c->max_action != p->config.max_action)
		p->is_over_warning = p->is_over_limit = false;
	p->config = *c;
	p->config.peers = peers;
	if (p->has_member)
		s->outbound->changed(s->outbound_user, p->member, &p->config);
	bgp_peer_check_limit(p);
}

/* Of a prefix: those too that came out of it. */
static void use_config(struct bgp_peer *p, const struct bgp_neighbor_config *c)
{
	bool has_other_key =
		p->config.key.len != c->key.len || memcmp(p->config.key.bytes, c->key.bytes, c->key.len) != 0;

	take_config(p, c);
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		struct bgp_peer *other = p->speaker->peer[i];

		if (other != NULL && other->of == p->number)
			take_config(other, c);
	}
	if (has_other_key)
		(void)bgp_peer_listen_key(p, true);
}

static struct bgp_link *up_link(struct bgp_peer *p)
{
	struct bgp_link *l = &p->link[p->link[1].state == BGP_STATE_ESTABLISHED];

	return l->state == BGP_STATE_ESTABLISHED ? l : NULL;
}

int bgp_speaker_change(struct bgp_speaker *s, uint32_t number, const struct bgp_neighbor_config *c, uint64_t now)
{
	struct bgp_peer *p = enter(s, number, now);

	if (p == NULL || p->is_removed || bgp_neighbor_config_fault(c, s->config.as) != NULL ||
	    c->peers.len != p->config.peers.len || c->peers.addr != p->config.peers.addr)
		return -EINVAL;
	const char *why = bgp_neighbor_config_resets(&p->config, c);
	const struct bgp_command words = { true, c->shut_text, strlen(c->shut_text) };
	bool begins_otherwise = c->is_passive != p->config.is_passive;

	p->is_shut = false;
	if (c->is_shut && !p->config.is_shut) {
		stop_all_of(p, CEASE(BGP_CEASE_SHUTDOWN, "shut down by the config"), &words);
		bgp_peer_stop(p, CEASE(BGP_CEASE_SHUTDOWN, "shut down by the config"), &words);
		bgp_keep_nothing(p);
	} else if (why != NULL) {
		stop_all_of(p, CEASE(BGP_CEASE_CONFIG, why), &plain);
		bgp_peer_stop(p, CEASE(BGP_CEASE_CONFIG, why), &plain);
	}
	use_config(p, c);
	if (c->is_shut)
		bgp_peer_idle(p, BGP_IDLE_SHUT, TIME_NEVER);
	else if (why != NULL || p->idle == BGP_IDLE_SHUT)
		try_soon(p);
	else if (begins_otherwise && p->idle == BGP_IDLE_NOT && up_link(p) == NULL)
		bgp_peer_start_again(p);
	return 0;
}

void bgp_speaker_remove(struct bgp_speaker *s, uint32_t number, uint64_t now)
{
	struct bgp_peer *p = enter(s, number, now);

	if (p == NULL || p->is_removed)
		return;
	stop_all_of(p, CEASE(BGP_CEASE_DECONFIGURED, "no longer configured"), &hard);
	bgp_peer_stop(p, CEASE(BGP_CEASE_DECONFIGURED, "no longer configured"), &hard);
	(void)bgp_peer_listen_key(p, false);
	bgp_peer_gone(p);
}

void bgp_speaker_reset(struct bgp_speaker *s, uint32_t number, const struct bgp_command *c, uint64_t now)
{
	struct bgp_peer *p = enter(s, number, now);

	if (p == NULL || p->is_removed)
		return;
	stop_all_of(p, CEASE(BGP_CEASE_RESET, "reset by a command"), c);
	bgp_peer_stop(p, CEASE(BGP_CEASE_RESET, "reset by a command"), c);
	if (p->of != BGP_NEIGHBOR_NONE)
		bgp_peer_gone(p);
	else if (p->idle == BGP_IDLE_LIMIT)
		bgp_peer_start(p);
	else if (p->idle != BGP_IDLE_SHUT)
		try_soon(p);
}

static void shut(struct bgp_peer *p, const struct bgp_command *c)
{
	struct bgp_command words = *c;

	words.is_hard = true;
	bgp_peer_stop(p, CEASE(BGP_CEASE_SHUTDOWN, "shut down by a command"), &words);
	bgp_keep_nothing(p);
	bgp_peer_idle(p, BGP_IDLE_SHUT, TIME_NEVER);
}

void bgp_speaker_shut(struct bgp_speaker *s, uint32_t number, const struct bgp_command *c, uint64_t now)
{
	struct bgp_peer *p = enter(s, number, now);

	if (p == NULL || p->is_removed)
		return;
	p->is_shut = true;
	stop_all_of(p, CEASE(BGP_CEASE_SHUTDOWN, "shut down by a command"), c);
	shut(p, c);
}

void bgp_speaker_enable(struct bgp_speaker *s, uint32_t number, uint64_t now)
{
	struct bgp_peer *p = enter(s, number, now);

	if (p == NULL || p->is_removed)
		return;
	p->is_shut = false;
	if (p->idle != BGP_IDLE_NOT)
		bgp_peer_start(p);
}

int bgp_speaker_refresh(struct bgp_speaker *s, uint32_t number)
{
	struct bgp_peer *p = enter(s, number, s->now);
	struct bgp_link *l = p != NULL ? up_link(p) : NULL;
	const struct bgp_refresh r = { BGP_AFI_IPV4, BGP_REFRESH_ASKED, BGP_SAFI_UNICAST };
	uint8_t bytes[BGP_REFRESH_LEN];

	if (l == NULL)
		return -ENOTCONN;
	if (!l->theirs.can.refresh)
		return -EOPNOTSUPP;
	return bgp_link_send(l, bytes, bgp_refresh_emit(bytes, &r)) ? 0 : -ENOBUFS;
}

void bgp_speaker_path_down(struct bgp_speaker *s, uint32_t number, bool is_apart, uint64_t now)
{
	struct bgp_peer *p = enter(s, number, now);
	struct bgp_link *l = p != NULL ? up_link(p) : NULL;

	if (l == NULL)
		return;
	l->notify = *CEASE(BGP_CEASE_BFD_DOWN, "BFD down");
	l->notify_hard = is_apart;
	l->cause = (struct bgp_down){
		.side = BGP_SIDE_LOCAL, .code = BGP_CEASE, .subcode = BGP_CEASE_BFD_DOWN, .why = "BFD down"
	};
	/* One that keeps routes, but not through a NOTIFICATION, must not get one. */
	if (!is_apart && l->theirs.can.restart.is_there && !l->theirs.can.restart.notification) {
		l->notify = (struct bgp_error){ 0 };
		l->cause = (struct bgp_down){ .side = BGP_SIDE_TRANSPORT, .why = "BFD down" };
	}
	bgp_link_event(l, BGP_EV_STOP);
}

void bgp_speaker_stop(struct bgp_speaker *s, const struct bgp_command *c, uint64_t now)
{
	s->now = now;
	s->is_stopped = true;
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++)
		if (s->peer[i] != NULL && !s->peer[i]->is_removed)
			shut(s->peer[i], c);
	if (s->listener != NULL)
		s->listener->carrier->unlisten(s->listener);
	s->listener = NULL;
}

bool bgp_speaker_is_quiet(const struct bgp_speaker *s)
{
	return s->is_stopped && s->ready_first == NULL;
}

void bgp_speaker_wake(struct bgp_speaker *s, uint32_t number)
{
	struct bgp_peer *p = number < BGP_NEIGHBORS_MAX ? s->peer[number] : NULL;

	if (p == NULL || !p->has_member)
		return;
	p->is_to_send = true;
	bgp_ready(p);
}
