/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is done in the host's thread, while the user's waits: so it may touch all that is the user's. Nothing is told
 * from here; what a turn finds is left in the streams for host_tell.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/stream/stream_host_priv.h"
#include "stack/socket/socket.h"

#define BACKLOG_ROUNDS 64u /* connections that one turn accepts from a listener */

int64_t host_call_inside(struct stream_host *h, struct core_socket_call *c)
{
	return h->calls.call(h->calls.ctx, c);
}

static int64_t call_of(struct host_stream *hs, enum core_socket_op op, void *bytes, size_t len)
{
	struct core_socket_call c = { .op = op, .socket = hs->socket, .bytes = bytes, .into = bytes, .len = len };

	return host_call_inside(hs->h, &c);
}

/* --- options --- */

static int set_int(struct stream_host *h, int socket, int level, int name, int value)
{
	struct core_socket_call c = { .op = CORE_SOCKET_SET, .socket = socket, .arg = { level, name, value } };

	return (int)host_call_inside(h, &c);
}

static int set_bytes(struct stream_host *h, int socket, int level, int name, const void *value, size_t len)
{
	struct core_socket_call c = {
		.op = CORE_SOCKET_OPTION, .socket = socket, .arg = { level, name }, .bytes = value, .len = len
	};

	return (int)host_call_inside(h, &c);
}

int host_set_ttl(struct stream_host *h, int socket, struct stream_ttl ttl)
{
	int rc = ttl.send != 0 ? set_int(h, socket, YG_SOL_IP, YG_IP_TTL, ttl.send) : 0;

	return rc != 0 ? rc : set_int(h, socket, YG_SOL_IP, YG_IP_MINTTL, ttl.least);
}

int host_set_key(struct stream_host *h, int socket, struct ip4_prefix host, const struct stream_key *key)
{
	struct yg_tcp_md5sig sig = {
		.addr = { .family = YG_AF_INET, .addr = be32_of(host.addr) },
		.flags = YG_TCP_MD5SIG_FLAG_PREFIX,
		.prefix_len = host.len,
		.key_len = key != NULL ? key->len : 0,
	};

	if (sig.key_len > sizeof(sig.key))
		return -EINVAL;
	if (sig.key_len != 0)
		memcpy(sig.key, key->bytes, sig.key_len);
	int rc = set_bytes(h, socket, YG_SOL_TCP, YG_TCP_MD5SIG_EXT, &sig, sizeof(sig));

	/* There was none: as it is asked for. */
	return rc == -ENOENT && sig.key_len == 0 ? 0 : rc;
}

void host_socket_abort(struct stream_host *h, int *socket)
{
	struct yg_linger at_once = { .on = 1 };
	struct core_socket_call c = { .op = CORE_SOCKET_CLOSE, .socket = *socket };

	if (*socket < 0)
		return;
	(void)set_bytes(h, *socket, YG_SOL_SOCKET, YG_SO_LINGER, &at_once, sizeof(at_once));
	(void)host_call_inside(h, &c);
	*socket = -1;
}

/* --- one stream --- */

static struct stream_end end_of(const struct yg_sockaddr_in *in)
{
	return (struct stream_end){ be32_get(in->addr), be16_get(in->port) };
}

static void note_names(struct host_stream *hs)
{
	struct yg_sockaddr_in in;
	uint32_t len = sizeof(in);

	if (socket_name(hs->h->calls.sockets, hs->socket, &in, &len) == 0)
		hs->s.local = end_of(&in);
	len = sizeof(in);
	if (socket_peer(hs->h->calls.sockets, hs->socket, &in, &len) == 0)
		hs->s.remote = end_of(&in);
}

static void ended(struct host_stream *hs, int64_t rc)
{
	hs->has_ended = true;
	hs->error = rc < 0 ? (int)-rc : 0;
}

static void look_whether_connected(struct host_stream *hs, uint32_t ready)
{
	if ((ready & (YG_POLLOUT | YG_POLLERR | YG_POLLHUP)) == 0)
		return;
	int64_t error = call_of(hs, CORE_SOCKET_ERROR, NULL, 0);

	if (error != 0) {
		ended(hs, error > 0 ? -error : error);
		return;
	}
	hs->is_up = true;
	note_names(hs);
}

/* False: nothing can be sent any more. What was received before can still be read, and says why. */
static bool send_some(struct host_stream *hs)
{
	struct host_bytes *b = &hs->out;
	bool good = true;

	while (good && b->n > 0) {
		int64_t n = call_of(hs, CORE_SOCKET_SEND, b->p + b->first, b->n);

		if (n == -EAGAIN || n == -ENOBUFS)
			return true;
		good = n >= 0;
		b->first += good ? (uint32_t)n : 0;
		b->n -= good ? (uint32_t)n : b->n;
	}
	free(b->p);
	*b = (struct host_bytes){ 0 };
	return good;
}

/* The user has read all of what was there. */
static void receive_some(struct host_stream *hs)
{
	struct host_bytes *b = &hs->in;

	if (b->n > 0 || hs->has_ended)
		return;
	if (b->p == NULL && (b->p = malloc(HOST_BYTES_MAX)) == NULL) {
		/* It stays where it is. */
		hs->h->wants_turn = true;
		return;
	}
	b->first = 0;
	while (b->n < HOST_BYTES_MAX) {
		int64_t n = call_of(hs, CORE_SOCKET_RECV, b->p + b->n, HOST_BYTES_MAX - b->n);

		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			ended(hs, n);
			break;
		}
		b->n += (uint32_t)n;
	}
	if (b->n > 0)
		return;
	free(b->p);
	*b = (struct host_bytes){ 0 };
}

/* What comes now is nobody's; left unread it would make TCP say RST (RFC 2525, 2.17), and the peer might never read
 * what was written last. True: the peer has ended it too. */
static bool has_left(struct host_stream *hs)
{
	uint8_t nobody_s[4096];
	int64_t n;

	(void)send_some(hs);
	if (hs->out.n > 0)
		return false;
	if (!hs->has_shut) {
		struct core_socket_call c = { .op = CORE_SOCKET_SHUTDOWN, .socket = hs->socket, .arg = { YG_SHUT_WR } };

		(void)host_call_inside(hs->h, &c);
		hs->has_shut = true;
	}
	do
		n = call_of(hs, CORE_SOCKET_RECV, nobody_s, sizeof(nobody_s));
	while (n > 0);
	return n != -EAGAIN;
}

static void leave(struct host_stream *hs)
{
	if (hs->state == HOST_LEAVING && !has_left(hs))
		return;
	if (hs->state == HOST_LEAVING) {
		(void)call_of(hs, CORE_SOCKET_CLOSE, NULL, 0);
		hs->socket = -1;
	}
	host_socket_abort(hs->h, &hs->socket);
	hs->state = HOST_GONE;
}

static void turn_stream(struct host_stream *hs)
{
	uint32_t ready;

	switch (hs->state) {
	case HOST_LEAVING:
	case HOST_ABORTING:
		leave(hs);
		break;
	case HOST_CONNECTING:
	case HOST_OPEN:
		ready = socket_ready(hs->h->calls.sockets, hs->socket);
		if (hs->state == HOST_CONNECTING && !hs->is_up)
			look_whether_connected(hs, ready);
		if (hs->state == HOST_CONNECTING && !hs->is_up)
			break;
		if (!send_some(hs) || (ready & (YG_POLLIN | YG_POLLERR | YG_POLLHUP | YG_POLLRDHUP)) != 0)
			receive_some(hs);
		break;
	default:
		break;
	}
}

/* --- listeners --- */

static void turn_listener(struct host_listener *l)
{
	struct stream_host *h = l->h;

	for (uint32_t i = 0; i < BACKLOG_ROUNDS; i++) {
		struct core_socket_call c = { .op = CORE_SOCKET_ACCEPT, .socket = l->socket };
		int64_t n = host_call_inside(h, &c);

		if (n < 0)
			return;
		int socket = (int)n;
		struct host_stream *hs =
			stream_is_refused(&l->refused, c.end.addr.v4) ? NULL : host_stream_new(h, socket, HOST_OPEN);

		if (hs == NULL) {
			host_socket_abort(h, &socket);
			continue;
		}
		hs->by = l;
		(void)set_int(h, socket, YG_SOL_TCP, YG_TCP_NODELAY, 1);
		note_names(hs);
	}
	h->wants_turn = true;
}

static void do_turn(void *arg)
{
	struct stream_host *h = arg;

	for (struct host_listener *l = h->listeners; l != NULL; l = l->next)
		if (l->socket >= 0)
			turn_listener(l);
	for (struct host_stream *hs = h->streams; hs != NULL; hs = hs->next)
		turn_stream(hs);
}

void host_turn(struct stream_host *h)
{
	h->wants_turn = false;
	h->calls.run(h->calls.ctx, do_turn, h);
}

/* --- one call --- */

struct one_call {
	struct stream_host *h;
	struct core_socket_call *c;
	int64_t rc;
};

static void do_one_call(void *arg)
{
	struct one_call *one = arg;

	one->rc = host_call_inside(one->h, one->c);
}

int64_t host_call(struct stream_host *h, struct core_socket_call *c)
{
	struct one_call one = { .h = h, .c = c };

	h->calls.run(h->calls.ctx, do_one_call, &one);
	return one.rc;
}

struct unacked_call {
	struct host_stream *hs;
	int n;
};

static void do_unacked(void *arg)
{
	struct unacked_call *u = arg;

	if (socket_ioctl(u->hs->h->calls.sockets, u->hs->socket, YG_SIOCOUTQ, &u->n) != 0)
		u->n = 0;
}

size_t host_unacked(struct host_stream *hs)
{
	struct unacked_call u = { .hs = hs };

	if (hs->socket >= 0)
		hs->h->calls.run(hs->h->calls.ctx, do_unacked, &u);
	return hs->out.n + (size_t)u.n;
}
