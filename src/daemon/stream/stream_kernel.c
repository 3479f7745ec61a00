/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections over the kernel's TCP: sockets that never block, in a loop of libevent's.
 *
 * A stream is told of by callbacks of the loop alone, never from within a call of its user's. What a call finds
 * out, an end or an error, is told by a timer of no time. Events of the loop are one shot:
 * a user that was told that there is something to read is told again when a read has found nothing, and what it does
 * not read stays in the kernel, whose window then closes.
 *
 * A stream that the user closes with bytes still on their way is not the user's any more, but stays here until
 * the peer has closed as well, at most LEAVE_MS: a socket that is closed with something unread
 * sends a reset, and the peer may lose what was sent last, which in BGP is the reason.
 */
#include "daemon/stream/stream_kernel_priv.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEAVE_MS 3000
/* Thrown away in one go of what a peer still sends. */
#define LEAVE_BYTES 65536

/* --- life --- */

static void destroy(struct kernel_stream *ks)
{
	*ks->prev = ks->next;
	if (ks->next != NULL)
		ks->next->prev = ks->prev;
	event_free(ks->in);
	event_free(ks->out);
	event_free(ks->timer);
	close(ks->fd);
	free(ks);
}

/* Behind an event: the user may have closed it, and it is gone then. */
static void event_ends(struct kernel_stream *ks)
{
	const struct stream_kernel *k = ks->k;

	ks->in_event = false;
	if (ks->is_gone)
		destroy(ks);
	kernel_told(k);
}

static void after(struct kernel_stream *ks, uint64_t ns)
{
	struct timeval tv = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_usec = (suseconds_t)(ns % NS_PER_S / 1000) };

	event_add(ks->timer, &tv);
}

/* It is over, and the user will hear of it. */
static void is_over(struct kernel_stream *ks, int error)
{
	if (ks->state == KERNEL_OVER)
		return;
	ks->state = KERNEL_OVER;
	ks->error = error;
	event_del(ks->in);
	event_del(ks->out);
	after(ks, 0);
}

/* --- told by the loop --- */

static void opened(struct kernel_stream *ks)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(ks->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	event_del(ks->timer);
	if (error != 0) {
		is_over(ks, error);
		return;
	}
	ks->state = KERNEL_OPEN;
	kernel_stream_ends(ks);
	kernel_stream_listen_in(ks);
	ks->s.events->open(ks->s.user, &ks->s, kernel_now(ks->k));
}

/* Throws away what comes; true at the end. */
static bool drain(const struct kernel_stream *ks)
{
	char sink[4096];
	ssize_t n = 0;

	for (size_t sum = 0; sum < LEAVE_BYTES; sum += (size_t)n) {
		n = recv(ks->fd, sink, sizeof(sink), MSG_DONTWAIT);
		if (n <= 0)
			return n == 0 || (errno != EAGAIN && errno != EINTR);
	}
	return false;
}

static void on_in(evutil_socket_t fd, short what, void *ctx)
{
	struct kernel_stream *ks = ctx;

	if (ks->state == KERNEL_LEAVING) {
		if (drain(ks))
			destroy(ks);
		else
			event_add(ks->in, NULL);
		return;
	}
	ks->in_event = true;
	if (ks->state == KERNEL_OPEN)
		ks->s.events->readable(ks->s.user, &ks->s, kernel_now(ks->k));
	event_ends(ks);
}

static void on_out(evutil_socket_t fd, short what, void *ctx)
{
	struct kernel_stream *ks = ctx;

	ks->in_event = true;
	if (ks->state == KERNEL_CONNECTING) {
		opened(ks);
	} else if (ks->state == KERNEL_OPEN && ks->wants_room) {
		ks->wants_room = false;
		ks->s.events->writable(ks->s.user, &ks->s, kernel_now(ks->k));
	}
	event_ends(ks);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kernel_stream *ks = ctx;

	if (ks->state == KERNEL_LEAVING) {
		destroy(ks);
		return;
	}
	if (ks->state == KERNEL_CONNECTING) {
		event_del(ks->out);
		ks->state = KERNEL_OVER;
		ks->error = ETIMEDOUT;
	}
	if (ks->state != KERNEL_OVER)
		return;
	ks->in_event = true;
	ks->s.events->closed(ks->s.user, &ks->s, ks->error, kernel_now(ks->k));
	event_ends(ks);
}

struct kernel_stream *kernel_stream_new(struct stream_kernel *k, int fd, enum kernel_stream_state state)
{
	struct kernel_stream *ks = calloc(1, sizeof(*ks));

	if (ks == NULL)
		return NULL;
	ks->s.carrier = &k->carrier;
	ks->k = k;
	ks->state = state;
	ks->in = event_new(k->base, fd, EV_READ, on_in, ks);
	ks->out = event_new(k->base, fd, EV_WRITE, on_out, ks);
	ks->timer = evtimer_new(k->base, on_timer, ks);
	if (ks->in == NULL || ks->out == NULL || ks->timer == NULL) {
		if (ks->in != NULL)
			event_free(ks->in);
		if (ks->out != NULL)
			event_free(ks->out);
		if (ks->timer != NULL)
			event_free(ks->timer);
		free(ks);
		return NULL;
	}
	ks->fd = fd;
	ks->next = k->streams;
	ks->prev = &k->streams;
	if (ks->next != NULL)
		ks->next->prev = &ks->next;
	k->streams = ks;
	return ks;
}

void kernel_stream_listen_in(struct kernel_stream *ks)
{
	event_add(ks->in, NULL);
}

/* --- the carrier's table --- */

/* 0, or -errno: what a socket is asked for before it connects. */
static int prepare(int fd, const struct stream_connect *how)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(how->local.port),
				 .sin_addr.s_addr = htonl(how->local.addr) };
	int one = 1, rc = kernel_option_common(fd);

	if (rc == 0)
		rc = kernel_option_ttl(fd, how->ttl);
	if (rc == 0 && how->key != NULL && how->key->len > 0 &&
	    kernel_option_key(fd, (struct ip4_prefix){ how->remote.addr, 32 }, how->key) != 0)
		rc = -EKEYREJECTED;
	if (rc != 0 || (how->local.addr == 0 && how->local.port == 0))
		return rc;
	/* A port of the kernel's choice is chosen when the other end is known, so that one may be used towards each. */
	if (setsockopt(fd, how->local.port == 0 ? IPPROTO_IP : SOL_SOCKET,
		       how->local.port == 0 ? IP_BIND_ADDRESS_NO_PORT : SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		return -errno;
	return 0;
}

static int begin(int fd, const struct stream_connect *how)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(how->remote.port),
				 .sin_addr.s_addr = htonl(how->remote.addr) };
	int rc = prepare(fd, how);

	if (rc == 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 && errno != EINPROGRESS)
		rc = -errno;
	return rc;
}

static int kernel_connect(struct stream_carrier *c, const struct stream_connect *how, struct stream **out)
{
	struct stream_kernel *k = container_of(c, struct stream_kernel, carrier);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	kernel_digests_key(&k->digests, (struct ip4_prefix){ how->remote.addr, 32 }, how->key);
	int rc = begin(fd, how);
	struct kernel_stream *ks = rc == 0 ? kernel_stream_new(k, fd, KERNEL_CONNECTING) : NULL;

	if (ks == NULL) {
		close(fd);
		return rc != 0 ? rc : -ENOMEM;
	}
	stream_tell(&ks->s, how->events, how->user);
	ks->s.remote = how->remote;
	event_add(ks->out, NULL);
	if (how->deadline != TIME_NEVER) {
		uint64_t now = kernel_now(k);

		after(ks, how->deadline > now ? how->deadline - now : 0);
	}
	*out = &ks->s;
	return 0;
}

static struct kernel_stream *of(struct stream *s)
{
	return container_of(s, struct kernel_stream, s);
}

static int kernel_set_ttl(struct stream *s, struct stream_ttl ttl)
{
	return kernel_option_ttl(of(s)->fd, ttl);
}

static size_t kernel_read(struct stream *s, uint8_t *p, size_t cap)
{
	struct kernel_stream *ks = of(s);
	ssize_t n = cap > 0 && ks->state != KERNEL_CONNECTING ? recv(ks->fd, p, cap, MSG_DONTWAIT) : -1;

	if (n > 0)
		return (size_t)n;
	if (ks->state != KERNEL_OPEN || cap == 0)
		return 0;
	if (n == 0)
		is_over(ks, 0);
	else if (errno == EAGAIN || errno == EINTR)
		event_add(ks->in, NULL);
	else
		is_over(ks, errno);
	return 0;
}

static size_t kernel_write(struct stream *s, const uint8_t *p, size_t len)
{
	struct kernel_stream *ks = of(s);
	ssize_t n = ks->state == KERNEL_OPEN && len > 0 ? send(ks->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (ks->state != KERNEL_OPEN)
		return 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM) {
		is_over(ks, errno);
		return 0;
	}
	if (n < 0)
		n = 0;
	if ((size_t)n < len) {
		ks->wants_room = true;
		event_add(ks->out, NULL);
	}
	return (size_t)n;
}

static size_t kernel_unacked(struct stream *s)
{
	int n = 0;

	return ioctl(of(s)->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static void kernel_close(struct stream *s)
{
	struct kernel_stream *ks = of(s);

	event_del(ks->out);
	event_del(ks->timer);
	if (ks->state != KERNEL_OPEN || shutdown(ks->fd, SHUT_WR) != 0 || drain(ks)) {
		ks->is_gone = true;
		if (!ks->in_event)
			destroy(ks);
		return;
	}
	ks->state = KERNEL_LEAVING;
	event_add(ks->in, NULL);
	after(ks, LEAVE_MS * NS_PER_MS);
}

void kernel_stream_abort(struct kernel_stream *ks)
{
	struct linger now = { .l_onoff = 1 };

	(void)setsockopt(ks->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	event_del(ks->in);
	event_del(ks->out);
	event_del(ks->timer);
	ks->is_gone = true;
	if (!ks->in_event)
		destroy(ks);
}

static void kernel_abort(struct stream *s)
{
	kernel_stream_abort(of(s));
}

/* --- all of it --- */

struct stream_kernel *stream_kernel_create(struct event_base *base, const struct stream_kernel_user *user)
{
	struct stream_kernel *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->base = base;
	k->user = *user;
	k->carrier = (struct stream_carrier){
		.listen = kernel_listen,
		.unlisten = kernel_unlisten,
		.listen_key = kernel_listen_key,
		.connect = kernel_connect,
		.set_ttl = kernel_set_ttl,
		.read = kernel_read,
		.write = kernel_write,
		.unacked = kernel_unacked,
		.close = kernel_close,
		.abort = kernel_abort,
		.digests = kernel_digests,
	};
	kernel_digests_begin(k);
	return k;
}

struct stream_carrier *stream_kernel_carrier(struct stream_kernel *k)
{
	return &k->carrier;
}

void stream_kernel_destroy(struct stream_kernel *k)
{
	if (k == NULL)
		return;
	while (k->streams != NULL)
		destroy(k->streams);
	while (k->listeners != NULL)
		kernel_unlisten(&k->listeners->l);
	kernel_digests_end(k);
	free(k);
}
