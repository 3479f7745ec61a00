/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The carrier's table: what the user of streams calls.
 */
#include "daemon/stream/stream_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/timer.h"
#include "daemon/stream/stream_host_priv.h"
#include "stack/socket/abi.h"

/* How long what was written before a close may take, and the peer to end it too. */
#define LEAVE_NS (3 * NS_PER_S)
#define BACKLOG 128

static struct host_stream *stream_of(struct stream *s)
{
	return container_of(s, struct host_stream, s);
}

struct host_stream *host_stream_new(struct stream_host *h, int socket, enum host_stream_state state)
{
	struct host_stream *hs = calloc(1, sizeof(*hs));

	if (hs == NULL)
		return NULL;
	*hs = (struct host_stream){ .s = { .carrier = &h->carrier },
				    .h = h,
				    .next = h->streams,
				    .socket = socket,
				    .state = state,
				    .deadline = TIME_NEVER };
	h->streams = hs;
	return hs;
}

/* --- a socket that is set up in one visit --- */

struct opening {
	struct stream_host *h;
	const struct stream_connect *connect; /* one of these */
	const struct stream_listen *listen;
	int socket;
	int rc;
};

static int64_t named(struct opening *o, enum core_socket_op op, struct stream_end e)
{
	struct core_socket_call c = { .op = op, .socket = o->socket, .end = { ip_addr_v4(e.addr), e.port } };

	return host_call_inside(o->h, &c);
}

static int begin_to_connect(struct opening *o)
{
	const struct stream_connect *c = o->connect;
	struct core_socket_call nodelay = { .op = CORE_SOCKET_SET,
					    .socket = o->socket,
					    .arg = { YG_SOL_TCP, YG_TCP_NODELAY, 1 } };
	int rc = host_set_ttl(o->h, o->socket, c->ttl);

	if (rc == 0 && c->key != NULL && c->key->len != 0 &&
	    host_set_key(o->h, o->socket, (struct ip4_prefix){ c->remote.addr, 32 }, c->key) != 0)
		rc = -EKEYREJECTED;
	if (rc == 0)
		rc = (int)host_call_inside(o->h, &nodelay);
	if (rc == 0 && (c->local.addr != 0 || c->local.port != 0))
		rc = (int)named(o, CORE_SOCKET_BIND, c->local);
	if (rc == 0)
		rc = (int)named(o, CORE_SOCKET_CONNECT, c->remote);
	return rc == -EINPROGRESS ? 0 : rc;
}

static int begin_to_listen(struct opening *o)
{
	struct core_socket_call listen = { .op = CORE_SOCKET_LISTEN, .socket = o->socket, .arg = { BACKLOG } };
	int rc = host_set_ttl(o->h, o->socket, (struct stream_ttl){ .send = 255 });

	if (rc == 0)
		rc = (int)named(o, CORE_SOCKET_BIND, o->listen->local);
	return rc != 0 ? rc : (int)host_call_inside(o->h, &listen);
}

static void do_open(void *arg)
{
	struct opening *o = arg;
	struct core_socket_call open = { .op = CORE_SOCKET_OPEN, .arg = { YG_SOCK_STREAM, 0 } };

	o->socket = (int)host_call_inside(o->h, &open);
	if (o->socket < 0) {
		o->rc = o->socket;
		return;
	}
	o->rc = o->connect != NULL ? begin_to_connect(o) : begin_to_listen(o);
	if (o->rc != 0)
		host_socket_abort(o->h, &o->socket);
}

/* --- listeners --- */

static int host_listen(struct stream_carrier *c, const struct stream_listen *how, struct stream_listener **out)
{
	struct stream_host *h = container_of(c, struct stream_host, carrier);
	struct host_listener *l = calloc(1, sizeof(*l));
	struct opening o = { .h = h, .listen = how };

	if (l == NULL)
		return -ENOMEM;
	h->calls.run(h->calls.ctx, do_open, &o);
	if (o.rc != 0) {
		free(l);
		return o.rc;
	}
	*l = (struct host_listener){ .l = { .carrier = c },
				     .h = h,
				     .next = h->listeners,
				     .socket = o.socket,
				     .accept = how->accept,
				     .user = how->user };
	h->listeners = l;
	*out = &l->l;
	return 0;
}

static void host_unlisten(struct stream_listener *listener)
{
	struct host_listener *l = container_of(listener, struct host_listener, l);
	struct core_socket_call c = { .op = CORE_SOCKET_CLOSE, .socket = l->socket };

	(void)host_call(l->h, &c);
	l->socket = -1;
	/* What came by it and was not told is nobody's. */
	for (struct host_stream *hs = l->h->streams; hs != NULL; hs = hs->next) {
		if (hs->by != l)
			continue;
		hs->by = NULL;
		hs->state = HOST_ABORTING;
		l->h->wants_turn = true;
	}
	host_sweep(l->h);
}

struct key_setting {
	struct host_listener *l;
	struct ip4_prefix from;
	const struct stream_key *key;
	int rc;
};

static void do_set_key(void *arg)
{
	struct key_setting *k = arg;

	k->rc = host_set_key(k->l->h, k->l->socket, k->from, k->key);
}

static int host_listen_key(struct stream_listener *listener, struct ip4_prefix from, const struct stream_key *key)
{
	struct key_setting k = { container_of(listener, struct host_listener, l), from, key, 0 };
	struct stream_host *h = k.l->h;

	h->calls.run(h->calls.ctx, do_set_key, &k);
	stream_refuse(&k.l->refused, from, k.rc != 0);
	return k.rc;
}

/* --- streams --- */

static int host_connect(struct stream_carrier *c, const struct stream_connect *how, struct stream **out)
{
	struct stream_host *h = container_of(c, struct stream_host, carrier);
	struct opening o = { .h = h, .connect = how };
	struct host_stream *hs;

	h->calls.run(h->calls.ctx, do_open, &o);
	if (o.rc != 0)
		return o.rc;
	hs = host_stream_new(h, o.socket, HOST_CONNECTING);
	if (hs == NULL) {
		struct core_socket_call end = { .op = CORE_SOCKET_CLOSE, .socket = o.socket };

		(void)host_call(h, &end);
		return -ENOMEM;
	}
	hs->s.remote = how->remote;
	hs->deadline = how->deadline;
	stream_tell(&hs->s, how->events, how->user);
	h->wants_turn = true;
	*out = &hs->s;
	return 0;
}

struct ttl_setting {
	struct host_stream *hs;
	struct stream_ttl ttl;
	int rc;
};

static void do_set_ttl(void *arg)
{
	struct ttl_setting *t = arg;

	t->rc = host_set_ttl(t->hs->h, t->hs->socket, t->ttl);
}

static int host_stream_set_ttl(struct stream *s, struct stream_ttl ttl)
{
	struct ttl_setting t = { stream_of(s), ttl, 0 };

	t.hs->h->calls.run(t.hs->h->calls.ctx, do_set_ttl, &t);
	return t.rc;
}

static size_t host_read(struct stream *s, uint8_t *p, size_t cap)
{
	struct host_stream *hs = stream_of(s);
	struct host_bytes *b = &hs->in;
	uint32_t n = (uint32_t)min_u64(cap, b->n);

	if (n == 0) {
		/* The next turn that brings something is told. */
		hs->is_in_told = false;
		return 0;
	}
	memcpy(p, b->p + b->first, n);
	b->first += n;
	b->n -= n;
	/* More may stand in the socket, or the end. */
	if (b->n == 0)
		hs->h->wants_turn = true;
	return n;
}

static size_t host_write(struct stream *s, const uint8_t *p, size_t len)
{
	struct host_stream *hs = stream_of(s);
	struct host_bytes *b = &hs->out;
	uint32_t n;

	if (b->p == NULL)
		b->p = malloc(HOST_BYTES_MAX);
	n = b->p == NULL || hs->has_ended ? 0 : (uint32_t)min_u64(len, HOST_BYTES_MAX - b->n);
	if (n > 0) {
		if (b->first + b->n + n > HOST_BYTES_MAX) {
			memmove(b->p, b->p + b->first, b->n);
			b->first = 0;
		}
		memcpy(b->p + b->first + b->n, p, n);
		b->n += n;
	}
	hs->wants_room |= n < len;
	hs->h->wants_turn = true;
	return n;
}

static size_t host_stream_unacked(struct stream *s)
{
	return host_unacked(stream_of(s));
}

static void leave_as(struct stream *s, enum host_stream_state state)
{
	struct host_stream *hs = stream_of(s);

	hs->state = state;
	hs->h->wants_turn = true;
}

static void host_abort(struct stream *s)
{
	leave_as(s, HOST_ABORTING);
}

static void host_close(struct stream *s)
{
	struct host_stream *hs = stream_of(s);

	/* One that never stood has nothing to say. */
	leave_as(s, hs->state == HOST_CONNECTING ? HOST_ABORTING : HOST_LEAVING);
	hs->deadline = 0; /* counts from the next work on */
}

static struct stream_digests host_digests(struct stream_carrier *c, uint32_t remote)
{
	return (struct stream_digests){ .is_known = false };
}

/* --- the whole --- */

struct stream_host *stream_host_create(const struct stream_host_calls *calls)
{
	struct stream_host *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	*h = (struct stream_host){
		.carrier = { .listen = host_listen,
			     .unlisten = host_unlisten,
			     .listen_key = host_listen_key,
			     .connect = host_connect,
			     .set_ttl = host_stream_set_ttl,
			     .read = host_read,
			     .write = host_write,
			     .unacked = host_stream_unacked,
			     .close = host_close,
			     .abort = host_abort,
			     .digests = host_digests },
		.calls = *calls,
	};
	return h;
}

struct stream_carrier *stream_host_carrier(struct stream_host *h)
{
	return &h->carrier;
}

void stream_host_destroy(struct stream_host *h)
{
	if (h == NULL)
		return;
	for (struct host_stream *hs = h->streams; hs != NULL; hs = hs->next)
		if (hs->state != HOST_GONE)
			hs->state = HOST_ABORTING;
	host_turn(h);
	host_sweep(h);
	free(h);
}

void stream_host_told(struct stream_host *h)
{
	h->wants_turn = true;
}

/* Those that have been closed since the last call have so long from here on. */
static void begin_to_leave(struct stream_host *h, uint64_t now)
{
	for (struct host_stream *hs = h->streams; hs != NULL; hs = hs->next)
		if (hs->state == HOST_LEAVING && hs->deadline == 0)
			hs->deadline = now + LEAVE_NS;
}

void stream_host_work(struct stream_host *h, uint64_t now)
{
	if (h->wants_turn)
		host_turn(h);
	begin_to_leave(h, now);
	host_tell(h, now);
}

uint64_t stream_host_next_deadline(const struct stream_host *h)
{
	uint64_t next = TIME_NEVER;

	if (h->wants_turn)
		return 0;
	for (const struct host_stream *hs = h->streams; hs != NULL; hs = hs->next)
		if (hs->state == HOST_CONNECTING || hs->state == HOST_LEAVING)
			next = min_u64(next, hs->deadline);
	return next;
}
