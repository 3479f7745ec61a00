/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the state machine (bgp_fsm.h) says is done here, action by action. An event is given with its reason: l->cause,
 * of which people are told, and l->notify, of which the peer is. Behind an event a link may be idle and its stream
 * gone: who goes on with it looks.
 */
#include "routing/bgp/bgp_speaker_priv.h"

#include <errno.h>
#include <string.h>

#define HOLD_LARGE_NS (240 * NS_PER_S) /* RFC 4271 section 8.2.2 */

/* --- OPEN --- */

static uint16_t our_hold_s(const struct bgp_neighbor_config *c)
{
	if (c->hold_s == BGP_HOLD_NONE)
		return 0;
	return c->hold_s != 0 ? c->hold_s : BGP_HOLD_S;
}

static struct bgp_open our_open(const struct bgp_peer *p)
{
	const struct bgp_neighbor_config *c = &p->config;
	bool refresh = (c->without & BGP_WITHOUT_REFRESH) == 0, restart = (c->without & BGP_WITHOUT_RESTART) == 0;
	struct bgp_open o = { .as = bgp_local_as(p), .id = p->speaker->config.id, .hold_s = our_hold_s(c) };

	o.can.role = BGP_ROLE_NONE;
	if (p->is_plain)
		return o;
	o.can.ipv4 = o.can.any_mp = (c->without & BGP_WITHOUT_MP) == 0;
	o.can.refresh = refresh;
	o.can.enhanced_refresh = refresh && (c->without & BGP_WITHOUT_ENHANCED_REFRESH) == 0;
	o.can.role = c->has_role ? c->role : BGP_ROLE_NONE;
	o.can.as4 = (c->without & BGP_WITHOUT_AS4) == 0 ? o.as : 0;
	if (restart)
		o.can.restart =
			(struct bgp_restart){ .is_there = true,
					      .restarting = p->speaker->is_deferring,
					      .notification = true,
					      .time_s = c->restart_s != 0 ? c->restart_s : (uint16_t)BGP_RESTART_S,
					      .ipv4 = true };
	return o;
}

void bgp_link_begin(struct bgp_link *l)
{
	const struct bgp_peer *p = l->peer;
	const struct bgp_neighbor_config *c = &p->config;

	l->wire = (struct bgp_wire){ .local_as = bgp_local_as(p),
				     .peer_as = c->peer_as,
				     .local_id = p->speaker->config.id,
				     .cluster_id = c->cluster_id,
				     .local_addr = l->s->local.addr,
				     .any_first_as = c->any_first_as,
				     .takes_as_sets = c->takes_as_sets,
				     .strict_role = c->strict_role,
				     .role = c->has_role ? c->role : (uint8_t)BGP_ROLE_NONE };
}

/* --- actions --- */

static void stop_retry(struct bgp_link *l)
{
	l->retry_at = TIME_NEVER;
}

static void stop_delay(struct bgp_link *l)
{
	l->delay_at = TIME_NEVER;
}

struct stream_ttl bgp_peer_ttl(const struct bgp_peer *p)
{
	const struct bgp_neighbor_config *c = &p->config;
	uint8_t hops = c->hops != 0 ? c->hops : 1;

	if (c->ttl_security)
		return (struct stream_ttl){ 255, (uint8_t)(256 - hops) };
	return (struct stream_ttl){ c->hops == 0 && c->peer_as == bgp_local_as(p) ? 0 : hops, 0 };
}

static uint64_t connect_retry_ns(const struct bgp_peer *p)
{
	uint32_t s = p->config.connect_retry_s;

	return (s != 0 ? s : BGP_CONNECT_RETRY_S) * NS_PER_S;
}

static void connect_now(struct bgp_link *l)
{
	struct bgp_peer *p = l->peer;
	struct bgp_speaker *s = p->speaker;
	const struct bgp_neighbor_config *c = &p->config;
	int err = bgp_link_buffers(l);

	l->retry_at = s->now + bgp_jitter(s, connect_retry_ns(p));
	l->is_accepted = false;
	p->count.n_connects++;
	p->count.n_no_memory += err != 0;
	if (err == 0)
		err = s->config.carrier->connect(
			s->config.carrier,
			&(struct stream_connect){ .local = { .addr = c->local_addr },
						  .remote = { c->peers.addr, c->port != 0 ? c->port : BGP_PORT },
						  .ttl = bgp_peer_ttl(p),
						  .key = c->key.len > 0 ? &c->key : NULL,
						  .deadline = l->retry_at,
						  .events = &bgp_link_events,
						  .user = l },
			&l->s);
	if (err != 0) {
		l->s = NULL;
		l->cause = (struct bgp_down){ .side = BGP_SIDE_TRANSPORT,
					      .error = -err,
					      .why = err == -EKEYREJECTED ? "the password cannot be set" : NULL };
		bgp_link_event(l, BGP_EV_TCP_FAILS);
		return;
	}
	bgp_link_begin(l);
}

static void drop(struct bgp_link *l)
{
	struct bgp_down cause = l->cause;

	bgp_link_close(l, BGP_ABORT);
	l->cause = cause;
	bgp_peer_ended(l->peer, l);
}

void bgp_link_retry_later(struct bgp_link *l)
{
	struct bgp_peer *p = l->peer;

	p->retry_s = p->retry_s > 0 ? min_u32(2 * p->retry_s, 60) : 1;
	l->retry_at = p->speaker->now + bgp_jitter(p->speaker, min_u64(p->retry_s * NS_PER_S, connect_retry_ns(p)));
}

static void start_delay(struct bgp_link *l)
{
	l->delay_at = l->peer->speaker->now + bgp_jitter(l->peer->speaker, l->peer->config.delay_open_s * NS_PER_S);
}

static void send_open(struct bgp_link *l)
{
	uint8_t p[BGP_OPEN_LEN_MAX];

	l->ours = our_open(l->peer);
	(void)bgp_link_send(l, p, bgp_open_emit(p, &l->ours));
}

static void hold_large(struct bgp_link *l)
{
	l->hold_at = l->peer->speaker->now + HOLD_LARGE_NS;
}

static void agree(struct bgp_link *l)
{
	uint16_t keepalive = l->peer->config.keepalive_s;

	l->peer->retry_s = 0;
	bgp_open_agree(&l->ours, &l->theirs, &l->wire);
	l->wire.peer_as = l->theirs.as;
	l->hold_s = l->ours.hold_s < l->theirs.hold_s ? l->ours.hold_s : l->theirs.hold_s;
	l->keepalive_s = l->hold_s / 3;
	if (keepalive > 0 && keepalive < l->keepalive_s)
		l->keepalive_s = keepalive;
}

/* What is still to go says as much. */
void bgp_link_keepalive(struct bgp_link *l)
{
	uint8_t p[BGP_HEADER_LEN];

	if (l->state != BGP_STATE_ESTABLISHED || l->tx_from == l->tx_to)
		(void)bgp_link_send(l, p, bgp_keepalive_emit(p));
	else
		bgp_link_flush(l);
	l->keepalive_at = TIME_NEVER;
	if (l->keepalive_s > 0)
		l->keepalive_at = l->peer->speaker->now + bgp_jitter(l->peer->speaker, l->keepalive_s * NS_PER_S);
}

static void restart_hold(struct bgp_link *l)
{
	l->hold_at = l->hold_s > 0 ? l->peer->speaker->now + l->hold_s * NS_PER_S : TIME_NEVER;
}

static void fails_with_cease(struct bgp_link *l, uint8_t subcode, const char *why)
{
	bgp_link_fails(l, BGP_EV_BAD_MESSAGE, &(struct bgp_error){ BGP_CEASE, subcode, .why = why });
}

void bgp_link_collides(struct bgp_link *l)
{
	l->peer->count.n_collisions++;
	bgp_link_fails(l, BGP_EV_COLLISION,
		       &(struct bgp_error){ BGP_CEASE, BGP_CEASE_COLLISION, .why = "another connection stays" });
}

static void tell_outbound(struct bgp_link *l)
{
	struct bgp_peer *p = l->peer;
	const struct bgp_speaker_config *c = &p->speaker->config;
	const struct bgp_outbound_peer to = { .neighbor = p->number,
					      .config = &p->config,
					      .wire = l->wire,
					      .source = p->source,
					      .peer_id = l->theirs.id,
					      .peer_addr = l->s->remote.addr,
					      .local_addr = l->wire.local_addr };

	p->is_to_send = p->owes_eor = true;
	if (c->outbound == NULL)
		return;
	if (c->outbound->up(c->outbound_user, &to, &p->member) != 0) {
		p->count.n_no_memory++;
		fails_with_cease(l, BGP_CEASE_RESOURCES, "no room for what it is to be told");
		return;
	}
	p->has_member = true;
}

static void up(struct bgp_link *l)
{
	struct bgp_peer *p = l->peer;
	struct bgp_link *other = bgp_other(l);

	if (other->state >= BGP_STATE_OPEN_SENT)
		bgp_link_collides(other);
	else if (other->state != BGP_STATE_IDLE)
		bgp_link_fails(other, BGP_EV_STOP, &(struct bgp_error){ .why = "another connection stays" });
	p->since = p->speaker->now;
	p->count.n_up++;
	p->eor_in = p->eor_out = p->is_over_warning = p->is_over_limit = false;
	if (!bgp_keep_up(p, l)) {
		p->count.n_no_memory++;
		fails_with_cease(l, BGP_CEASE_RESOURCES, "the table has room for no more neighbours");
		return;
	}
	tell_outbound(l);
	if (l->state != BGP_STATE_ESTABLISHED)
		return;
	bgp_event(p, BGP_EVENT_UP);
	bgp_ready(p);
}

void bgp_peer_check_limit(struct bgp_peer *p)
{
	const struct bgp_neighbor_config *c = &p->config;
	struct bgp_link *l = &p->link[p->link[1].state == BGP_STATE_ESTABLISHED];
	uint32_t percent = c->max_warn_percent != 0 ? c->max_warn_percent : BGP_WARN_PERCENT;
	uint64_t n = p->source != BGP_SOURCE_NONE ? bgp_table_n_of(p->speaker->config.table, p->source) : 0;
	uint8_t data[BGP_LIMIT_DATA_LEN];

	if (c->max_prefixes == 0 || l->state != BGP_STATE_ESTABLISHED)
		return;
	if (!p->is_over_warning && n * 100 >= (uint64_t)c->max_prefixes * percent) {
		p->is_over_warning = true;
		bgp_event(p, BGP_EVENT_WARNING);
	}
	if (n <= c->max_prefixes || p->is_over_limit)
		return;
	p->is_over_limit = true;
	bgp_event(p, BGP_EVENT_LIMIT);
	if (c->max_action == BGP_LIMIT_WARNS)
		return;
	p->count.n_limit++;
	l->notify_hard = true;
	bgp_limit_data(data, c->max_prefixes);
	bgp_link_fails(l, BGP_EV_BAD_MESSAGE,
		       &(struct bgp_error){ BGP_CEASE, BGP_CEASE_MAX_PREFIX, .data = data, .data_len = sizeof(data),
					    .why = "more prefixes than it may announce" });
}

static void use_refresh(struct bgp_link *l, const struct bgp_refresh *r)
{
	struct bgp_peer *p = l->peer;
	const struct bgp_speaker_config *c = &p->speaker->config;
	uint8_t bytes[BGP_REFRESH_LEN];

	/* Before its End-of-RIB, of one that will send it, marks must not count (RFC 7313 section 4): what is stale
	 * then is so since it was lost. */
	bool is_early = l->theirs.can.restart.is_there && !p->eor_in;

	if (r->afi != BGP_AFI_IPV4 || r->safi != BGP_SAFI_UNICAST || (r->kind != BGP_REFRESH_ASKED && is_early))
		return;
	if (r->kind == BGP_REFRESH_BEGINS) {
		bgp_keep_mark(p);
	} else if (r->kind == BGP_REFRESH_ENDS) {
		bgp_keep_sweep(p);
	} else if (r->kind == BGP_REFRESH_ASKED && l->ours.can.refresh) {
		if (p->has_member)
			c->outbound->refresh(c->outbound_user, p->member);
		if (l->wire.enhanced_refresh && !p->owes_eor) {
			const struct bgp_refresh mark = { BGP_AFI_IPV4, BGP_REFRESH_BEGINS, BGP_SAFI_UNICAST };

			(void)bgp_link_send(l, bytes, bgp_refresh_emit(bytes, &mark));
			p->owes_mark = true;
		}
		p->is_to_send = true;
		bgp_ready(p);
	}
}

static void use_update(struct bgp_link *l, const struct bgp_message *m)
{
	struct bgp_peer *p = l->peer;
	struct bgp_speaker *s = p->speaker;

	if (m->update.is_end_of_rib) {
		bgp_keep_sweep(p);
		if (!p->eor_in) {
			p->eor_in = true;
			bgp_event(p, BGP_EVENT_SYNCED);
		}
		return;
	}
	bgp_table_update(s->config.table, p->source, &m->update, (enum bgp_disposition)s->disposition,
			 (uint32_t)(s->now / NS_PER_S));
	bgp_peer_check_limit(p);
}

static void use(struct bgp_link *l)
{
	const struct bgp_message *m = &l->peer->speaker->message;

	if (m->type == BGP_ROUTE_REFRESH)
		use_refresh(l, &m->refresh);
	else
		use_update(l, m);
}

/* With N agreed a NOTIFICATION does not end what is kept, unless it is within a hard reset (RFC 8538 section 3). */
static bool are_notifications_soft(const struct bgp_link *l)
{
	return l->ours.can.restart.notification && l->theirs.can.restart.is_there && l->theirs.can.restart.notification;
}

static void notify(struct bgp_link *l)
{
	uint8_t p[BGP_MESSAGE_MAX];
	const struct bgp_down *d = &l->cause;
	bool is_hard = l->notify_hard && are_notifications_soft(l);
	size_t len;

	if (l->notify.code == BGP_NO_NOTIFICATION)
		return;
	if (d->text_len > 0)
		len = bgp_cease_emit(p, &(struct bgp_cease){ (enum bgp_cease_subcode)l->notify.subcode, is_hard,
							     (const char *)d->text, d->text_len });
	else if (is_hard)
		len = bgp_hard_reset_emit(p, &l->notify);
	else
		len = bgp_notification_emit(p, &l->notify);
	l->cause.is_hard = is_hard;
	l->is_told = bgp_link_send_last(l, p, len);
}

static void end(struct bgp_link *l)
{
	struct bgp_peer *p = l->peer;
	const struct bgp_speaker_config *c = &p->speaker->config;
	bool was_up = l->cause.was_up;

	l->cause.keeps = was_up && bgp_keep_allowed(l);
	if (was_up) {
		if (p->has_member)
			c->outbound->down(c->outbound_user, p->member);
		p->has_member = p->is_to_send = p->owes_eor = p->owes_mark = false;
		bgp_keep_down(p, l, l->cause.keeps);
	}
	struct bgp_down cause = l->cause;

	bgp_link_close(l, l->is_told || l->notify.code == BGP_NO_NOTIFICATION ? BGP_CLOSE : BGP_ABORT);
	l->cause = cause;
	bgp_peer_ended(p, l);
}

static const struct {
	enum bgp_fsm_action action;
	void (*run)(struct bgp_link *l);
} actions[] = {
	{ BGP_ACT_STOP_RETRY, stop_retry },
	{ BGP_ACT_STOP_DELAY, stop_delay },
	{ BGP_ACT_CONNECT, connect_now },
	{ BGP_ACT_DROP, drop },
	{ BGP_ACT_RETRY_LATER, bgp_link_retry_later },
	{ BGP_ACT_START_DELAY, start_delay },
	{ BGP_ACT_SEND_OPEN, send_open },
	{ BGP_ACT_HOLD_LARGE, hold_large },
	{ BGP_ACT_AGREE, agree },
	{ BGP_ACT_SEND_KEEPALIVE, bgp_link_keepalive },
	{ BGP_ACT_HOLD, restart_hold },
	{ BGP_ACT_UP, up },
	{ BGP_ACT_USE, use },
	{ BGP_ACT_NOTIFY, notify },
	{ BGP_ACT_END, end },
};

void bgp_link_event(struct bgp_link *l, enum bgp_fsm_event event)
{
	struct bgp_fsm_step step = bgp_fsm((enum bgp_state)l->state, event);

	if (!step.is_valid)
		return;
	l->cause.was_up = l->state == BGP_STATE_ESTABLISHED;
	l->state = step.next;
	for (size_t i = 0; i < ARRAY_LEN(actions) && l->state == step.next; i++)
		if ((step.actions & actions[i].action) != 0)
			actions[i].run(l);
	bgp_arm(l->peer);
}

void bgp_link_fails(struct bgp_link *l, enum bgp_fsm_event event, const struct bgp_error *e)
{
	l->notify = *e;
	l->cause = (struct bgp_down){ .side = BGP_SIDE_LOCAL, .code = e->code, .subcode = e->subcode, .why = e->why };
	bgp_link_event(l, event);
}

void bgp_link_stop(struct bgp_link *l, const struct bgp_error *e, const struct bgp_command *c)
{
	size_t len = c->text != NULL ? c->text_len : 0;

	/* Nothing of it may stay for the next connection. */
	if (l->state == BGP_STATE_IDLE)
		return;
	l->notify = *e;
	l->notify_hard = c->is_hard;
	l->cause = (struct bgp_down){ .side = BGP_SIDE_LOCAL, .code = e->code, .subcode = e->subcode, .why = e->why };
	l->cause.text_len = (uint8_t)(len < BGP_SHUTDOWN_TEXT_MAX ? len : BGP_SHUTDOWN_TEXT_MAX);
	memcpy(l->cause.text, len > 0 ? c->text : "", l->cause.text_len);
	bgp_link_event(l, BGP_EV_STOP);
}
