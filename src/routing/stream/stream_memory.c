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
#include "routing/stream/stream_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define BUFFER_DEFAULT 16384u
#define AGAIN_NS NS_PER_S
#define TTL_USUAL 64
#define TTL_LISTENER 255 /* struct stream_carrier */

struct host;

enum end_state { END_OPENING, END_OPEN, END_OVER /* its user has been told */, END_GONE /* no user */ };

struct end {
	struct stream s;
	struct conn *c;
	uint8_t which;
	enum end_state state;
	struct stream_ttl ttl;
	uint8_t *ring;                         /* 2 * buffer bytes: written, and not yet read by the other */
	uint64_t written, sent, acked, window; /* of what it sends; window: how far it may send */
	uint64_t arrived, read;                /* of what it gets */
	bool wants_writable, is_told_readable;
	bool is_closing, fin_sent; /* a FIN follows what was written */
	uint64_t fin_at;           /* of the other's: behind so many bytes; UINT64_MAX: none has come */
};

/* Who connected is end 0. */
struct conn {
	struct conn *next, **link;
	struct stream_memory *m;
	struct host *host[2];
	struct end end[2];
	struct stream_key key;
	uint64_t deadline;
	uint32_t n_events;
	bool is_cut;  /* nothing gets through */
	bool is_lost; /* nothing more is written: both ends will hear of it */
};

enum event_kind { EV_SYN, EV_SYN_ACK, EV_DEADLINE, EV_DATA, EV_ACK, EV_WINDOW, EV_FIN, EV_RST, EV_READABLE, EV_AGAIN };

struct event {
	uint64_t at, order;
	struct conn *c;
	uint64_t value;
	uint8_t kind, to; /* to: the end at which it happens */
};

struct key_of {
	struct ip4_prefix from;
	struct stream_key key;
};

struct listener {
	struct stream_listener l;
	struct listener *next;
	struct host *host;
	struct stream_listen how;
	struct key_of *key;
	uint32_t n_keys;
};

struct host {
	struct stream_carrier carrier;
	struct stream_memory *m;
	struct host *next;
	uint32_t addr;
	uint16_t port; /* the last one that was taken for a connection */
	struct listener *listeners;
	struct bad_digests {
		uint32_t remote;
		uint64_t n;
	} bad; /* of the last one that sent any */
};

struct down {
	uint32_t a, b;
};

struct stream_memory {
	struct stream_memory_config config;
	uint64_t now, n_sent;
	struct event *heap;
	uint32_t n_events, cap;
	struct host *hosts;
	struct conn *conns;
	struct down *down;
	uint32_t n_down;
	uint64_t n_written, cut_at;
	enum stream_memory_cut cut_how;
};

/* --- events --- */

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

/* Without memory the event is lost, as on a network. */
static void push(struct conn *c, enum event_kind kind, uint32_t to, uint64_t value, uint64_t delay)
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

static void send_to(struct conn *c, uint32_t to, enum event_kind kind, uint64_t value)
{
	push(c, kind, to, value, c->m->config.delay_ns);
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

static void free_if_done(struct conn *c)
{
	if (c->n_events == 0 && c->end[0].state == END_GONE && c->end[1].state == END_GONE)
		free_conn(c);
}

static struct conn *conn_of(struct stream *s, uint32_t *which)
{
	const struct end *e = container_of(s, struct end, s);

	*which = e->which;
	return e->c;
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

/* Sends what the window allows, then the FIN. */
static void send_more(struct conn *c, uint32_t from)
{
	struct end *e = &c->end[from];
	uint64_t to = min_u64(e->written, e->window);

	if (to > e->sent) {
		e->sent = to;
		send_to(c, !from, EV_DATA, to);
	}
	if (e->is_closing && e->sent == e->written && !e->fin_sent) {
		e->fin_sent = true;
		send_to(c, !from, EV_FIN, e->written);
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

static struct listener *listener_for(const struct host *h, uint16_t port)
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
	struct listener *l = listener_for(c->host[1], c->end[0].s.remote.port);
	struct end *e = &c->end[1];

	if (c->end[0].state != END_OPENING)
		return;
	if (n_tried < 8)
		push(c, EV_SYN, 1, n_tried + 1, AGAIN_NS << n_tried);
	if (e->state != END_GONE || !gets_through(c, 0))
		return;
	if (l == NULL) {
		send_to(c, 0, EV_RST, ECONNREFUSED);
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
	send_to(c, 0, EV_SYN_ACK, 0);
	if (!l->how.accept(l->how.user, &l->l, &e->s, c->m->now)) {
		e->state = END_GONE;
		send_to(c, 0, EV_RST, ECONNRESET);
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
		push(c, EV_AGAIN, !at, 0, AGAIN_NS);
		return;
	}
	if (e->state == END_GONE) {
		send_to(c, !at, EV_RST, ECONNRESET);
		return;
	}
	e->arrived = max_u64(e->arrived, total);
	send_to(c, !at, EV_ACK, e->arrived);
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
		send_more(c, ev->to);
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
			send_to(c, !ev->to, EV_DATA, e->sent);
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
		free_if_done(e.c);
	}
	m->now = max_u64(m->now, now);
}

uint64_t stream_memory_next(const struct stream_memory *m)
{
	return m->n_events > 0 ? m->heap[0].at : TIME_NEVER;
}

/* --- the carrier's table --- */

static int carrier_listen(struct stream_carrier *carrier, const struct stream_listen *how, struct stream_listener **out)
{
	struct host *h = container_of(carrier, struct host, carrier);
	struct listener *l;

	if (listener_for(h, how->local.port) != NULL)
		return -EADDRINUSE;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->l.carrier = carrier;
	l->host = h;
	l->how = *how;
	l->next = h->listeners;
	h->listeners = l;
	*out = &l->l;
	return 0;
}

static void free_listener(struct listener *l)
{
	free(l->key);
	free(l);
}

static void carrier_unlisten(struct stream_listener *listener)
{
	struct listener *l = container_of(listener, struct listener, l), **at = &l->host->listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free_listener(l);
}

static int carrier_listen_key(struct stream_listener *listener, struct ip4_prefix from, const struct stream_key *key)
{
	struct listener *l = container_of(listener, struct listener, l);
	uint32_t i = 0;

	while (i < l->n_keys && (l->key[i].from.addr != from.addr || l->key[i].from.len != from.len))
		i++;
	if (key == NULL || key->len == 0) {
		if (i < l->n_keys)
			l->key[i] = l->key[--l->n_keys];
		return 0;
	}
	if (i == l->n_keys) {
		struct key_of *more = realloc(l->key, (i + 1) * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		l->key = more;
		l->n_keys++;
	}
	l->key[i] = (struct key_of){ from, *key };
	return 0;
}

static struct host *host_of(const struct stream_memory *m, uint32_t addr)
{
	struct host *h = m->hosts;

	while (h != NULL && h->addr != addr)
		h = h->next;
	return h;
}

static void begin_end(struct conn *c, uint32_t i, enum end_state state)
{
	c->end[i].c = c;
	c->end[i].which = (uint8_t)i;
	c->end[i].s.carrier = &c->host[i]->carrier;
	c->end[i].state = state;
	c->end[i].window = c->m->config.buffer;
	c->end[i].fin_at = UINT64_MAX;
}

static struct conn *new_conn(struct host *from, struct host *to)
{
	struct stream_memory *m = from->m;
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->m = m;
	c->host[0] = from;
	c->host[1] = to;
	for (uint32_t i = 0; i < 2; i++) {
		c->end[i].ring = malloc(2 * (size_t)m->config.buffer);
		if (c->end[i].ring == NULL)
			goto no_ring;
		begin_end(c, i, i == 0 ? END_OPENING : END_GONE);
	}
	c->next = m->conns;
	c->link = &m->conns;
	if (c->next != NULL)
		c->next->link = &c->next;
	m->conns = c;
	return c;
no_ring:
	free(c->end[0].ring);
	free(c);
	return NULL;
}

static int carrier_connect(struct stream_carrier *carrier, const struct stream_connect *how, struct stream **out)
{
	struct host *from = container_of(carrier, struct host, carrier), *to = host_of(from->m, how->remote.addr);
	struct conn *c;

	if (to == NULL)
		return -EHOSTUNREACH;
	if (how->local.addr != 0 && how->local.addr != from->addr)
		return -EADDRNOTAVAIL;
	c = new_conn(from, to);
	if (c == NULL)
		return -ENOMEM;
	c->end[0].s.remote = how->remote;
	from->port = from->port < 49152 || from->port == UINT16_MAX ? 49152 : from->port + 1;
	c->end[0].s.local = (struct stream_end){ from->addr, how->local.port != 0 ? how->local.port : from->port };
	c->end[0].ttl = how->ttl;
	stream_tell(&c->end[0].s, how->events, how->user);
	if (how->key != NULL)
		c->key = *how->key;
	send_to(c, 1, EV_SYN, 0);
	if (how->deadline != TIME_NEVER)
		push(c, EV_DEADLINE, 0, 0, how->deadline > from->m->now ? how->deadline - from->m->now : 0);
	*out = &c->end[0].s;
	return 0;
}

static int carrier_set_ttl(struct stream *s, struct stream_ttl ttl)
{
	container_of(s, struct end, s)->ttl = ttl;
	return 0;
}

static size_t carrier_read(struct stream *s, uint8_t *p, size_t cap)
{
	uint32_t at;
	struct conn *c = conn_of(s, &at);
	struct end *e = &c->end[at];
	size_t n = (size_t)min_u64(cap, e->arrived - e->read), size = 2 * (size_t)c->m->config.buffer;

	if (n > c->m->config.chunk && c->m->config.chunk > 0)
		n = c->m->config.chunk;
	for (size_t i = 0; i < n; i++)
		p[i] = c->end[!at].ring[(e->read + i) % size];
	e->read += n;
	if (n > 0)
		send_to(c, !at, EV_WINDOW, e->read + c->m->config.buffer);
	e->is_told_readable = n > 0;
	if (n == 0 && e->state == END_OPEN)
		push(c, EV_READABLE, at, 0, 0); /* the end, perhaps */
	return n;
}

/* How many of len bytes are written before the connection is lost. */
static size_t before_cut(struct conn *c, size_t len)
{
	struct stream_memory *m = c->m;

	if (m->cut_at == UINT64_MAX || m->cut_at >= len) {
		m->cut_at -= m->cut_at != UINT64_MAX ? len : 0;
		return len;
	}
	size_t n = (size_t)m->cut_at;

	m->cut_at = UINT64_MAX;
	c->is_lost = true;
	c->is_cut = m->cut_how == STREAM_MEMORY_SILENT;
	if (m->cut_how == STREAM_MEMORY_RESET)
		for (uint32_t i = 0; i < 2; i++)
			push(c, EV_RST, i, ENETRESET, m->config.delay_ns + 1);
	return n;
}

static size_t carrier_write(struct stream *s, const uint8_t *p, size_t len)
{
	uint32_t at;
	struct conn *c = conn_of(s, &at);
	struct end *e = &c->end[at];
	size_t room = (size_t)(c->m->config.buffer - (e->written - e->acked)), size = 2 * (size_t)c->m->config.buffer;

	if (e->state != END_OPEN || c->is_lost)
		return len; /* as with bytes that are on their way when a connection ends */
	e->wants_writable = len > room;
	len = len < room ? len : room;
	size_t goes = before_cut(c, len);

	for (size_t i = 0; i < goes; i++)
		e->ring[(e->written + i) % size] = p[i];
	e->written += goes;
	c->m->n_written += goes;
	send_more(c, at);
	return len;
}

static size_t carrier_unacked(struct stream *s)
{
	const struct end *e = container_of(s, struct end, s);

	return (size_t)(e->written - e->acked);
}

static void carrier_close(struct stream *s)
{
	uint32_t at;
	struct conn *c = conn_of(s, &at);
	struct end *e = &c->end[at];
	bool was_open = e->state == END_OPEN;

	e->state = END_GONE;
	if (was_open && e->arrived > e->read) {
		/* Unread bytes: what was written still goes, and the peer is reset behind it. */
		send_more(c, at);
		send_to(c, !at, EV_RST, ECONNRESET);
	} else if (was_open) {
		e->is_closing = true;
		send_more(c, at);
	}
	free_if_done(c);
}

static void carrier_abort(struct stream *s)
{
	uint32_t at;
	struct conn *c = conn_of(s, &at);
	bool was_open = c->end[at].state == END_OPEN;

	c->end[at].state = END_GONE;
	if (was_open)
		send_to(c, !at, EV_RST, ECONNRESET);
	free_if_done(c);
}

static struct stream_digests carrier_digests(struct stream_carrier *carrier, uint32_t remote)
{
	const struct host *h = container_of(carrier, struct host, carrier);

	return (struct stream_digests){ true, h->bad.remote == remote ? h->bad.n : 0 };
}

static const struct stream_carrier table = {
	.listen = carrier_listen,
	.unlisten = carrier_unlisten,
	.listen_key = carrier_listen_key,
	.connect = carrier_connect,
	.set_ttl = carrier_set_ttl,
	.read = carrier_read,
	.write = carrier_write,
	.unacked = carrier_unacked,
	.close = carrier_close,
	.abort = carrier_abort,
	.digests = carrier_digests,
};

/* --- the network --- */

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
			free_listener(l);
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
	struct host *h = host_of(m, addr);

	if (h != NULL)
		return &h->carrier;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->carrier = table;
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
	struct host *h = host_of(m, addr);

	if (h == NULL)
		return;
	for (struct listener *l; (l = h->listeners) != NULL;) {
		h->listeners = l->next;
		free_listener(l);
	}
	for (struct conn *c = m->conns, *next; c != NULL; c = next) {
		next = c->next;
		for (uint32_t i = 0; i < 2; i++)
			if (c->host[i] == h)
				c->end[i].state = END_GONE;
		free_if_done(c);
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
