/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A speaker: its neighbours, the connections that come in, and whose turn it is.
 *
 * What an event of a stream brings is not used within the event: the neighbour is put at the end of a queue, and each
 * call of bgp_speaker_work does the timers that are due and one neighbour's slice of work: paths to be swept out, then
 * messages to be read, then routes to be told, each within a budget that keeps the whole under 2 ms. Who is not done
 * goes to the end of the queue again, so a neighbour with a full table delays the others by a slice, and nobody's
 * KEEPALIVE by more.
 *
 * A neighbour's timers are one node of the wheel, armed for the earliest of them or before: a timer that moves away
 * leaves it where it is, and finds out when it fires.
 */
#include "routing/bgp/bgp_speaker_priv.h"

#include <errno.h>
#include <stdlib.h>

#define TICK_NS NS_PER_MS
#define READ_UNITS 2000u /* see bgp_link.c */
#define SWEEP_PREFIXES 2048u
#define WRITE_CALLS 4u
#define RESTART_WAIT_NS (10 * NS_PER_S) /* for neighbours that are not up yet, after a restart of ours */

const char *const bgp_event_names[N_BGP_EVENT_KINDS] = {
	[BGP_EVENT_UP] = "up",           [BGP_EVENT_DOWN] = "down",   [BGP_EVENT_FAILED] = "failed",
	[BGP_EVENT_WARNING] = "warning", [BGP_EVENT_LIMIT] = "limit", [BGP_EVENT_SYNCED] = "synced",
	[BGP_EVENT_GONE] = "gone",
};

/* --- whose turn it is --- */

void bgp_ready(struct bgp_peer *p)
{
	struct bgp_speaker *s = p->speaker;

	if (p->is_ready)
		return;
	p->is_ready = true;
	p->ready_next = NULL;
	if (s->ready_last != NULL)
		s->ready_last->ready_next = p;
	else
		s->ready_first = p;
	s->ready_last = p;
}

static struct bgp_peer *next_ready(struct bgp_speaker *s)
{
	struct bgp_peer *p = s->ready_first;

	s->ready_first = p->ready_next;
	if (s->ready_first == NULL)
		s->ready_last = NULL;
	p->is_ready = false;
	return p;
}

void bgp_arm(struct bgp_peer *p)
{
	uint64_t at = bgp_peer_next(p);

	if (at >= p->armed_at)
		return;
	p->armed_at = at;
	timer_arm(&p->speaker->wheel, p->number, at);
}

static void on_timer(void *ctx, uint32_t number, uint64_t now)
{
	struct bgp_speaker *s = ctx;
	struct bgp_peer *p = s->peer[number];

	p->armed_at = TIME_NEVER;
	bgp_peer_timers(p);
	bgp_arm(p);
}

uint64_t bgp_jitter(struct bgp_speaker *s, uint64_t t)
{
	return t - rng_u64(&s->rng) % (t / 4 + 1);
}

void bgp_event(struct bgp_peer *p, enum bgp_event_kind kind)
{
	struct bgp_speaker *s = p->speaker;
	struct bgp_neighbor_view v;

	if (s->config.event == NULL)
		return;
	(void)bgp_speaker_look(s, p->number, &v);
	s->config.event(s->config.event_user, kind, &v);
}

/* --- neighbours --- */

static void drop_one_of(struct bgp_peer *range)
{
	range->n_dynamic--;
	if (range->is_removed)
		bgp_ready(range);
}

static void free_peer(struct bgp_peer *p)
{
	struct bgp_speaker *s = p->speaker;

	bgp_event(p, BGP_EVENT_GONE);
	if (p->of != BGP_NEIGHBOR_NONE && s->peer[p->of] != NULL)
		drop_one_of(s->peer[p->of]);
	s->n_ranges -= p->is_range;
	timer_disarm(&s->wheel, p->number);
	s->peer[p->number] = NULL;
	free(p);
}

static struct bgp_peer *new_peer(struct bgp_speaker *s, const struct bgp_neighbor_config *c)
{
	uint32_t number = 0;
	struct bgp_peer *p;

	while (number < BGP_NEIGHBORS_MAX && s->peer[number] != NULL)
		number++;
	if (number == BGP_NEIGHBORS_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->speaker = s;
	p->number = number;
	p->of = BGP_NEIGHBOR_NONE;
	p->config = *c;
	p->is_range = c->peers.len < 32;
	p->source = p->gone = BGP_SOURCE_NONE;
	p->until = p->stale_at = p->armed_at = TIME_NEVER;
	p->since = s->now;
	for (uint32_t i = 0; i < ARRAY_LEN(p->link); i++)
		bgp_link_init(&p->link[i], p);
	timer_node_init(&s->node[number]);
	s->n_ranges += p->is_range;
	s->peer[number] = p;
	return p;
}

static struct bgp_peer *find(const struct bgp_speaker *s, struct ip4_prefix peers)
{
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		struct bgp_peer *p = s->peer[i];

		if (p != NULL && p->config.peers.len == peers.len && p->config.peers.addr == peers.addr)
			return p;
	}
	return NULL;
}

uint32_t bgp_speaker_find(const struct bgp_speaker *s, struct ip4_prefix peers)
{
	const struct bgp_peer *p = find(s, peers);

	return p != NULL ? p->number : BGP_NEIGHBOR_NONE;
}

int bgp_speaker_add(struct bgp_speaker *s, const struct bgp_neighbor_config *c, uint64_t now, uint32_t *number)
{
	struct bgp_peer *p;

	s->now = now;
	*number = BGP_NEIGHBOR_NONE;
	if (bgp_neighbor_config_fault(c, s->config.as) != NULL)
		return -EINVAL;
	if (find(s, c->peers) != NULL)
		return -EEXIST;
	p = new_peer(s, c);
	if (p == NULL)
		return -ENOSPC;
	*number = p->number;
	bgp_peer_start(p);
	return 0;
}

/* --- what comes in --- */

static struct bgp_peer *range_for(const struct bgp_speaker *s, uint32_t addr)
{
	struct bgp_peer *best = NULL;

	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX && s->n_ranges > 0; i++) {
		struct bgp_peer *p = s->peer[i];

		if (p != NULL && p->is_range && !p->is_removed && ip4_in(addr, p->config.peers) &&
		    (best == NULL || p->config.peers.len > best->config.peers.len))
			best = p;
	}
	return best;
}

static struct bgp_peer *dynamic_peer(struct bgp_peer *range, uint32_t addr)
{
	uint32_t max = range->config.dynamic_max != 0 ? range->config.dynamic_max : BGP_DYNAMIC_MAX;
	struct bgp_neighbor_config c = range->config;
	struct bgp_peer *p;

	if (range->idle != BGP_IDLE_NOT || range->n_dynamic >= max)
		return NULL;
	c.peers = (struct ip4_prefix){ addr, 32 };
	p = new_peer(range->speaker, &c);
	if (p == NULL) {
		range->count.n_no_memory++;
		return NULL;
	}
	p->of = range->number;
	range->n_dynamic++;
	bgp_peer_start(p);
	return p;
}

static bool on_accept(void *user, struct stream_listener *listener, struct stream *stream, uint64_t now)
{
	struct bgp_speaker *s = user;
	struct bgp_peer *p = find(s, (struct ip4_prefix){ stream->remote.addr, 32 }), *range = NULL;
	struct bgp_link *l = NULL;

	s->now = now;
	if (p == NULL) {
		range = range_for(s, stream->remote.addr);
		p = range != NULL && !s->is_stopped ? dynamic_peer(range, stream->remote.addr) : NULL;
	}
	if (p != NULL && (p->config.local_addr == 0 || p->config.local_addr == stream->local.addr))
		l = bgp_peer_link_for(p);
	if (l != NULL && bgp_link_accept(l, stream)) {
		bgp_arm(p);
		return true;
	}
	if (p != NULL)
		p->count.n_refused++;
	if (range != NULL)
		range->count.n_refused++;
	/* The one that it was to take the place of is gone. */
	if (p != NULL && p->idle == BGP_IDLE_NOT && !p->link[0].is_open && !p->link[1].is_open)
		bgp_peer_resume(p);
	return false;
}

int bgp_speaker_listen(struct bgp_speaker *s)
{
	struct stream_carrier *c = s->config.carrier;
	struct stream_listen how = { .local = s->config.listen, .accept = on_accept, .user = s };
	int err;

	if (how.local.port == 0)
		how.local.port = BGP_PORT;
	if (s->listener != NULL)
		return 0;
	err = c->listen(c, &how, &s->listener);
	if (err != 0) {
		s->listener = NULL;
		return err;
	}
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++)
		if (s->peer[i] != NULL && s->peer[i]->idle == BGP_IDLE_NOT &&
		    bgp_peer_listen_key(s->peer[i], true) != 0)
			bgp_peer_start_again(s->peer[i]);
	return 0;
}

/* --- life --- */

int bgp_speaker_create(struct bgp_speaker **out, const struct bgp_speaker_config *c, uint64_t now)
{
	struct bgp_speaker *s;

	*out = NULL;
	if (c->as == 0 || c->id == 0 || c->table == NULL || c->carrier == NULL)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->config = *c;
	s->now = s->created_at = now;
	s->is_deferring = c->restarted_s > 0;
	rng_init(&s->rng, c->seed);
	timer_wheel_init(&s->wheel, &s->node[0], sizeof(s->node[0]), TICK_NS, now);
	*out = s;
	return 0;
}

void bgp_speaker_destroy(struct bgp_speaker *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		struct bgp_peer *p = s->peer[i];

		if (p == NULL)
			continue;
		for (uint32_t k = 0; k < ARRAY_LEN(p->link); k++)
			bgp_link_close(&p->link[k], BGP_ABORT);
		if (p->has_member)
			s->config.outbound->down(s->config.outbound_user, p->member);
		free(p);
	}
	if (s->listener != NULL)
		s->listener->carrier->unlisten(s->listener);
	free(s);
}

/* --- work --- */

/* We have been restarted: who is up has said End-of-RIB, and who is not yet has had its time (RFC 4724 section 4.1). */
static bool is_restart_over(const struct bgp_speaker *s)
{
	uint64_t age = s->now - s->created_at;

	if (age >= s->config.restarted_s * NS_PER_S)
		return true;
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++) {
		const struct bgp_peer *p = s->peer[i];

		if (p == NULL || p->is_range || p->idle != BGP_IDLE_NOT)
			continue;
		const struct bgp_link *l = &p->link[p->link[1].state == BGP_STATE_ESTABLISHED];

		if (l->state != BGP_STATE_ESTABLISHED) {
			if (age < RESTART_WAIT_NS)
				return false;
		} else if (!p->eor_in && l->theirs.can.restart.is_there && !l->theirs.can.restart.restarting) {
			/* One that is restarting as well waits for us. */
			return false;
		}
	}
	return true;
}

static void end_restart(struct bgp_speaker *s)
{
	s->is_deferring = false;
	for (uint32_t i = 0; i < BGP_NEIGHBORS_MAX; i++)
		if (s->peer[i] != NULL && s->peer[i]->is_to_send)
			bgp_ready(s->peer[i]);
}

static void slice(struct bgp_peer *p)
{
	bool more = bgp_keep_work(p, SWEEP_PREFIXES);

	for (uint32_t i = 0; i < ARRAY_LEN(p->link) && !more; i++) {
		struct bgp_link *l = &p->link[i];

		if (l->is_open && (l->is_readable || l->rx_from < l->rx_to))
			more = bgp_link_read(l, READ_UNITS);
	}
	for (uint32_t i = 0; i < ARRAY_LEN(p->link); i++)
		if (p->link[i].is_open && p->link[i].state == BGP_STATE_ESTABLISHED)
			more |= bgp_link_write(&p->link[i], WRITE_CALLS);
		else if (p->link[i].is_open)
			bgp_link_flush(&p->link[i]);
	bgp_arm(p);
	if (more)
		bgp_ready(p);
	else if (p->is_removed && p->gone == BGP_SOURCE_NONE && !p->is_ready && p->n_dynamic == 0)
		free_peer(p);
}

bool bgp_speaker_work(struct bgp_speaker *s, uint64_t now)
{
	s->now = now;
	(void)timer_advance(&s->wheel, now, 0, on_timer, s);
	if (s->ready_first != NULL)
		slice(next_ready(s));
	if (s->is_deferring && is_restart_over(s))
		end_restart(s);
	return s->ready_first != NULL;
}

uint64_t bgp_speaker_next_deadline(const struct bgp_speaker *s)
{
	uint64_t at = timer_next(&s->wheel);

	if (s->ready_first != NULL)
		return 0;
	if (s->is_deferring) {
		uint64_t wait = s->created_at + RESTART_WAIT_NS;

		at = min_u64(at, s->created_at + s->config.restarted_s * NS_PER_S);
		at = min_u64(at, wait > s->now ? wait : TIME_NEVER);
	}
	return at;
}
