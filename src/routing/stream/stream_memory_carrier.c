/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of a carrier over the network in memory. Nothing here calls a user: what comes of a call happens when time
 * goes on (stream_memory_advance).
 */
#include "routing/stream/stream_memory_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct conn *conn_of(struct stream *s, uint32_t *which)
{
	const struct end *e = container_of(s, struct end, s);

	*which = e->which;
	return e->c;
}

static int carrier_listen(struct stream_carrier *carrier, const struct stream_listen *how, struct stream_listener **out)
{
	struct host *h = container_of(carrier, struct host, carrier);
	struct listener *l;

	if (memory_listener(h, how->local.port) != NULL)
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

static void carrier_unlisten(struct stream_listener *listener)
{
	struct listener *l = container_of(listener, struct listener, l), **at = &l->host->listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	memory_free_listener(l);
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
	struct host *from = container_of(carrier, struct host, carrier), *to = memory_host(from->m, how->remote.addr);
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
	memory_send(c, 1, EV_SYN, 0);
	if (how->deadline != TIME_NEVER)
		memory_push(c, EV_DEADLINE, 0, 0, how->deadline > from->m->now ? how->deadline - from->m->now : 0);
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
		memory_send(c, !at, EV_WINDOW, e->read + c->m->config.buffer);
	e->is_told_readable = n > 0;
	if (n == 0 && e->state == END_OPEN)
		memory_push(c, EV_READABLE, at, 0, 0); /* the end, perhaps */
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
			memory_push(c, EV_RST, i, ENETRESET, m->config.delay_ns + 1);
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
	memory_send_more(c, at);
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
		memory_send_more(c, at);
		memory_send(c, !at, EV_RST, ECONNRESET);
	} else if (was_open) {
		e->is_closing = true;
		memory_send_more(c, at);
	}
	memory_free_if_done(c);
}

static void carrier_abort(struct stream *s)
{
	uint32_t at;
	struct conn *c = conn_of(s, &at);
	bool was_open = c->end[at].state == END_OPEN;

	c->end[at].state = END_GONE;
	if (was_open)
		memory_send(c, !at, EV_RST, ECONNRESET);
	memory_free_if_done(c);
}

static struct stream_digests carrier_digests(struct stream_carrier *carrier, uint32_t remote)
{
	const struct host *h = container_of(carrier, struct host, carrier);

	return (struct stream_digests){ true, h->bad.remote == remote ? h->bad.n : 0 };
}

const struct stream_carrier memory_carrier = {
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
