/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A connection has two ends, and each a buffer of what it has written and the other has not read. What goes from one to
 * the other is an event in a heap, by time and then by the order in which it was sent: a SYN and its answer, "written
 * so far", "arrived so far" (an acknowledgment), "read so far" (a window), FIN, RST. Numbers count all bytes of a
 * direction, so an event that is late or lost needs no bookkeeping: what is lost is sent again after a second.
 *
 *   read <= arrived <= sent <= written,  sent <= read as the sender knows it + buffer,  written - acked <= buffer
 *
 * An end that its user has closed answers what comes with RST, as does a host that has forgotten it. A connection is
 * freed when both users are through with it and no event names it.
 */
#include "routing/stream/stream_memory_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_DEFAULT 16384u
#define AGAIN_NS NS_PER_S
#define TTL_USUAL 64
#define TTL_LISTENER 255 /* struct stream_carrier */

/* --- events --- */

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void memory_push(struct conn *c, enum event_kind kind, uint32_t to, uint64_t value, uint64_t delay)
{
	struct stream_memory *m = c->m;

	if (m->n_events == m->cap) {
		uint32_t cap = m->cap > 0 ? 2 * m->cap : 64;
		struct event *heap = realloc(m->heap, cap * sizeof(*heap));

		if (heap == NULL)
			return;
		m->heap = heap;
		m->cap = cap;
	}
	struct event e = { m->now + delay, m->n_sent++, c, value, (uint8_t)kind, (uint8_t)to };
	uint32_t i = m->n_events++;

	for (; i > 0 && is_before(&e, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
		m->heap[i] = m->heap[(i - 1) / 2];
	m->heap[i] = e;
	c->n_events++;
}

static struct event pop(struct stream_memory *m)
{
	struct event first = m->heap[0], e = m->heap[--m->n_events];
	uint32_t i = 0;

	for (uint32_t k; (k = 2 * i + 1) < m->n_events; i = k) {
		if (k + 1 < m->n_events && is_before(&m->heap[k + 1], &m->heap[k]))
			k++;
		if (!is_before(&m->heap[k], &e))
			break;
		m->heap[i] = m->heap[k];
	}
	if (m->n_events > 0)
		m->heap[i] = e;
	return first;
}

static bool is_down(const struct stream_memory *m, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < m->n_down; i++)
		if ((m->down[i].a == a && m->down[i].b == b) || (m->down[i].a == b && m->down[i].b == a))
			return true;
	return false;
}

/* A segment of the one end gets to the other. */
static bool gets_through(const struct conn *c, uint32_t from)
{
	const struct stream_ttl *a = &c->end[from].ttl, *b = &c->end[!from].ttl;
	uint8_t ttl = a->send != 0 ? a->send : TTL_USUAL, n = c->m->config.n_routers;

	return !c->is_cut && !is_down(c->m, c->host[0]->addr, c->host[1]->addr) && ttl > n &&
	       (uint8_t)(ttl - n) >= b->least;
}

void memory_send(struct conn *c, uint32_t to, enum event_kind kind, uint64_t value)
{
	memory_push(c, kind, to, value, c->m->config.delay_ns);
}

/* --- connections --- */

static void free_memory(struct conn *c)
{
	free(c->end[0].ring);
	free(c->end[1].ring);
	free(c);
}

static void free_conn(struct conn *c)
{
	if (c->next != NULL)
		c->next->link = c->link;
	*c->link = c->next;
	free_memory(c);
}

void memory_free_if_done(struct conn *c)
{
	if (c->n_events == 0 && c->end[0].state == END_GONE && c->end[1].state == END_GONE)
		free_conn(c);
}

static void over(struct conn *c, uint32_t at, int error)
{
	struct end *e = &c->end[at];

	if (e->state == END_OVER || e->state == END_GONE)
		return;
	e->state = END_OVER;
	if (e->s.events != NULL)
		e->s.events->closed(e->s.user, &e->s, error, c->m->now);
}

void memory_send_more(struct conn *c, uint32_t from)
{
	struct end *e = &c->end[from];
	uint64_t to = min_u64(e->written, e->window);

	if (to > e->sent) {
		e->sent = to;
		memory_send(c, !from, EV_DATA, to);
	}
	if (e->is_closing && e->sent == e->written && !e->fin_sent) {
		e->fin_sent = true;
		memory_send(c, !from, EV_FIN, e->written);
	}
}

static void tell_readable(struct conn *c, uint32_t at)
{
	struct end *e = &c->end[at];

	if (e->state != END_OPEN)
		return;
	if (e->arrived > e->read) {
		if (!e->is_told_readable) {
			e->is_told_readable = true;
			e->s.events->readable(e->s.user, &e->s, c->m->now);
		}
	} else if (e->fin_at == e->read) {
		over(c, at, 0);
	}
}

/* --- what happens at an end --- */

static const struct stream_key *key_for(const struct listener *l, uint32_t remote)
{
	const struct key_of *best = NULL;

	for (uint32_t i = 0; i < l->n_keys; i++)
		if (ip4_in(remote, l->key[i].from) && (best == NULL || l->key[i].from.len > best->from.len))
			best = &l->key[i];
	return best != NULL ? &best->key : NULL;
}

static bool is_same_key(const struct stream_key *a, const struct stream_key *b)
{
	uint8_t len = a != NULL ? a->len : 0;

	return len == (b != NULL ? b->len : 0) && (len == 0 || memcmp(a->bytes, b->bytes, len) == 0);
}

struct listener *memory_listener(const struct host *h, uint16_t port)
{
	struct listener *l = h->listeners;

	while (l != NULL && l->how.local.port != port)
		l = l->next;
	return l;
}

static void count_bad(struct host *h, uint32_t remote)
{
	if (h->bad.remote != remote)
		h->bad = (struct bad_digests){ .remote = remote };
	h->bad.n++;
}

static void at_syn(struct conn *c, uint64_t n_tried)
{
	struct listener *l = memory_listener(c->host[1], c->end[0].s.remote.port);
	struct end *e = &c->end[1];

	if (c->end[0].state != END_OPENING)
		return;
	if (n_tried < 8)
		memory_push(c, EV_SYN, 1, n_tried + 1, AGAIN_NS << n_tried);
	if (e->state != END_GONE || !gets_through(c, 0))
		return;
	if (l == NULL) {
		memory_send(c, 0, EV_RST, ECONNREFUSED);
		return;
	}
	if (!is_same_key(key_for(l, c->host[0]->addr), &c->key)) {
		count_bad(c->host[1], c->host[0]->addr);
		return;
	}
	e->ttl = (struct stream_ttl){ .send = TTL_LISTENER };
	if (!gets_through(c, 1))
		return;
	e->state = END_OPEN;
	e->s.local = (struct stream_end){ c->host[1]->addr, l->how.local.port };
	e->s.remote = (struct stream_end){ c->host[0]->addr, c->end[0].s.local.port };
	memory_send(c, 0, EV_SYN_ACK, 0);
	if (!l->how.accept(l->how.user, &l->l, &e->s, c->m->now)) {
		e->state = END_GONE;
		memory_send(c, 0, EV_RST, ECONNRESET);
	}
}

static void at_syn_ack(struct conn *c)
{
	struct end *e = &c->end[0];

	if (e->state != END_OPENING)
		return;
	e->state = END_OPEN;
	e->s.events->open(e->s.user, &e->s, c->m->now);
	tell_readable(c, 0);
}

static void at_data(struct conn *c, uint32_t at, uint64_t total)
{
	struct end *e = &c->end[at];

	if (!gets_through(c, !at)) {
		memory_push(c, EV_AGAIN, !at, 0, AGAIN_NS);
		return;
	}
	if (e->state == END_GONE) {
		memory_send(c, !at, EV_RST, ECONNRESET);
		return;
	}
	e->arrived = max_u64(e->arrived, total);
	memory_send(c, !at, EV_ACK, e->arrived);
	tell_readable(c, at);
}

static void at_ack(struct conn *c, uint32_t at, uint64_t total)
{
	struct end *e = &c->end[at];

	if (!gets_through(c, !at))
		return;
	e->acked = max_u64(e->acked, total);
	if (e->state == END_OPEN && e->wants_writable && e->written - e->acked < c->m->config.buffer) {
		e->wants_writable = false;
		e->s.events->writable(e->s.user, &e->s, c->m->now);
	}
}

static void happen(const struct event *ev)
{
	struct conn *c = ev->c;
	struct end *e = &c->end[ev->to];

	switch ((enum event_kind)ev->kind) {
	case EV_SYN:
		at_syn(c, ev->value);
		break;
	case EV_SYN_ACK:
		at_syn_ack(c);
		break;
	case EV_DEADLINE:
		if (e->state == END_OPENING)
			over(c, ev->to, ETIMEDOUT);
		break;
	case EV_DATA:
		at_data(c, ev->to, ev->value);
		break;
	case EV_ACK:
		at_ack(c, ev->to, ev->value);
		break;
	case EV_WINDOW:
		e->window = max_u64(e->window, ev->value);
		memory_send_more(c, ev->to);
		break;
	case EV_FIN:
		if (gets_through(c, !ev->to) && e->state != END_GONE) {
			e->fin_at = ev->value;
			tell_readable(c, ev->to);
		}
		break;
	case EV_RST:
		if (gets_through(c, !ev->to) || ev->value == ENETRESET)
			over(c, ev->to, ev->value == ENETRESET ? ECONNRESET : (int)ev->value);
		break;
	case EV_READABLE:
		tell_readable(c, ev->to);
		break;
	case EV_AGAIN:
		if (e->acked < e->sent && (e->state != END_GONE || c->end[!ev->to].state != END_GONE))
			memory_send(c, !ev->to, EV_DATA, e->sent);
		break;
	}
}

void stream_memory_advance(struct stream_memory *m, uint64_t now)
{
	while (m->n_events > 0 && m->heap[0].at <= now) {
		struct event e = pop(m);

		m->now = max_u64(m->now, e.at);
		happen(&e);
		e.c->n_events--;
		memory_free_if_done(e.c);
	}
	m->now = max_u64(m->now, now);
}

uint64_t stream_memory_next(const struct stream_memory *m)
{
	return m->n_events > 0 ? m->heap[0].at : TIME_NEVER;
}

/* --- the network --- */

struct host *memory_host(const struct stream_memory *m, uint32_t addr)
{
	struct host *h = m->hosts;

	while (h != NULL && h->addr != addr)
		h = h->next;
	return h;
}

void memory_free_listener(struct listener *l)
{
	free(l->key);
	free(l);
}

struct stream_memory *stream_memory_create(const struct stream_memory_config *c)
{
	struct stream_memory *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->config = *c;
	if (m->config.buffer == 0)
		m->config.buffer = BUFFER_DEFAULT;
	m->cut_at = UINT64_MAX;
	return m;
}

void stream_memory_destroy(struct stream_memory *m)
{
	if (m == NULL)
		return;
	for (struct conn *c = m->conns, *next; c != NULL; c = next) {
		next = c->next;
		free_memory(c);
	}
	for (struct host *h; (h = m->hosts) != NULL;) {
		for (struct listener *l; (l = h->listeners) != NULL;) {
			h->listeners = l->next;
			memory_free_listener(l);
		}
		m->hosts = h->next;
		free(h);
	}
	free(m->heap);
	free(m->down);
	free(m);
}

struct stream_carrier *stream_memory_host(struct stream_memory *m, uint32_t addr)
{
	struct host *h = memory_host(m, addr);

	if (h != NULL)
		return &h->carrier;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->carrier = memory_carrier;
	h->m = m;
	h->addr = addr;
	h->next = m->hosts;
	m->hosts = h;
	return &h->carrier;
}

void stream_memory_link(struct stream_memory *m, uint32_t a, uint32_t b, bool is_up)
{
	uint32_t i = 0;

	if (is_up) {
		while (i < m->n_down)
			if ((m->down[i].a == a && m->down[i].b == b) || (m->down[i].a == b && m->down[i].b == a))
				m->down[i] = m->down[--m->n_down];
			else
				i++;
		return;
	}
	struct down *more = realloc(m->down, (m->n_down + 1) * sizeof(*more));

	if (more == NULL)
		return;
	m->down = more;
	m->down[m->n_down++] = (struct down){ a, b };
}

void stream_memory_crash(struct stream_memory *m, uint32_t addr)
{
	struct host *h = memory_host(m, addr);

	if (h == NULL)
		return;
	for (struct listener *l; (l = h->listeners) != NULL;) {
		h->listeners = l->next;
		memory_free_listener(l);
	}
	for (struct conn *c = m->conns, *next; c != NULL; c = next) {
		next = c->next;
		for (uint32_t i = 0; i < 2; i++)
			if (c->host[i] == h)
				c->end[i].state = END_GONE;
		memory_free_if_done(c);
	}
}

void stream_memory_cut(struct stream_memory *m, uint64_t at, enum stream_memory_cut how)
{
	m->cut_at = at;
	m->cut_how = how;
}

uint64_t stream_memory_written(const struct stream_memory *m)
{
	return m->n_written;
}

uint32_t stream_memory_n_open(const struct stream_memory *m)
{
	uint32_t n = 0;

	for (const struct conn *c = m->conns; c != NULL; c = c->next)
		n += c->end[0].state != END_GONE || c->end[1].state != END_GONE;
	return n;
}
