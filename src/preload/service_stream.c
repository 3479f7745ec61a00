/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes of connections, between a pair of descriptors and a socket of the stack. Up they are read in large pieces, of
 * which the stack makes large segments; down they are written from where they came in.
 *
 * What each end of a pair says, and what it means to the stack:
 *
 *   program            our end reads         stack
 *   shutdown(WR)       end, EPOLLRDHUP       a FIN
 *   close, exit        end, EPOLLHUP         close
 *   close, with bytes
 *   that it has not
 *   read               ECONNRESET            close with a reset, as TCP does (RFC 2525 section 2.17)
 *
 *   the peer's FIN                           shutdown(WR) of our end: the program reads an end
 *   a reset, a timeout                       the slot's error: the program's next call is told. What it still writes is
 *                                            dropped, and when it has what came before, our end is closed
 *
 * When both directions have ended, our end is closed too: that is all that a connection is to a descriptor then.
 *
 * Linux's close leaves what is to be sent with the stack, which gives it up after a while. Here it may still be in the
 * pair, and a peer whose window is closed would keep it there: so we give it up, after as long. When the close is to be
 * a reset (SO_LINGER of 0 seconds, or unread bytes), it waits for no window.
 *
 * While a connection is being made, the program's end must not be writable. So its send buffer is made small and filled
 * (the plug) by the library; when the connection is there, or has failed, the plug is taken out, and poll, epoll and
 * select of the program see a descriptor that has become writable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <yangguan/zerocopy.h>

#include "preload/service_priv.h"

#define MOVES_AT_ONCE 4
#define PIECES 32

/* --- up: from the program to the stack --- */

void stream_abort(struct service *v, struct end *e)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	(void)yg_setsockopt(v->stack, e->sock, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	end_retire(v, e);
}

/* Nobody has accepted it: if it ends now, its listener has. */
static bool was_left(const struct service *v, const struct end *e)
{
	return e->is_offered && !(atomic_load(&end_slot(v, e)->marks) & PRELOAD_TAKEN);
}

static void up_end(struct service *v, struct end *e)
{
	e->up_ended = true;
	ring_leave(e);
	if (!e->app_gone)
		(void)yg_shutdown(v->stack, e->sock, SHUT_WR);
}

/* What the stack's send buffer has no room for waits here; it is read from the pair already. */
static bool keep_rest(struct end *e, const unsigned char *bytes, size_t len)
{
	e->stash = malloc(sizeof(*e->stash) + len);
	if (e->stash == NULL)
		return false;
	*e->stash = (struct stash){ .len = len };
	memcpy(e->stash->bytes, bytes, len);
	return true;
}

/* An error may be none that ends it (IP_RECVERR); only the stack's state says that it is over. */
static void look_at_state(struct service *v, struct end *e, int error)
{
	struct pollfd p = { .fd = e->sock };
	socklen_t len = sizeof(error);

	e->stack_told = false;
	if (error == 0)
		(void)yg_getsockopt(v->stack, e->sock, SOL_SOCKET, SO_ERROR, &error, &len);
	/* A reset behind the peer's end is EPIPE, which the pair says by itself when it is closed: a reader is to find
	 * the end. */
	if (error != 0 && error != EPIPE)
		atomic_store(&end_slot(v, e)->error, error);
	e->stack_over |= yg_poll(v->stack, &p, 1, 0) > 0 && (p.revents & POLLHUP);
	e->stack_readable |= e->stack_over;
}

/* How many were taken. Those of a connection that is over are dropped. */
static size_t up_send(struct service *v, struct end *e, const unsigned char *bytes, size_t len, int flags)
{
	if (e->stack_over)
		return len;
	ssize_t n = yg_send(v->stack, e->sock, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL | flags);

	if (n > 0)
		wait_leave(v, e);
	if (n < 0 && n != -EAGAIN) {
		/* It was taken from the stack by this, and nobody else can learn of it. EPIPE says only that it is
		 * over. */
		look_at_state(v, e, n == -EPIPE ? 0 : (int)-n);
		if (e->stack_over)
			return len;
	}
	if (n < 0 || (size_t)n < len)
		e->stack_writable = false;
	return n < 0 ? 0 : (size_t)n;
}

static bool up_rest(struct service *v, struct end *e)
{
	struct stash *s = e->stash;

	if (s == NULL)
		return true;
	size_t end = s->len - s->n_urgent;

	if (s->at < end)
		s->at += up_send(v, e, s->bytes + s->at, end - s->at, 0);
	if (s->at < end)
		return false;
	if (s->at < s->len)
		s->at += up_send(v, e, s->bytes + s->at, s->len - s->at, MSG_OOB);
	if (s->at < s->len)
		return false;
	free(s);
	e->stash = NULL;
	return true;
}

/* Of one that has a ring: what is in the pair before it is looked at. It is whatever comes behind an end. */
static size_t room_for_pair(struct end *e)
{
	int n = 0;

	if (!e->app_readable || e->app_ending || e->arena == NULL)
		return SERVICE_BYTES;
	e->app_readable = ioctl(e->fd, FIONREAD, &n) == 0 && n > 0;
	return (size_t)n < SERVICE_BYTES ? (size_t)n : SERVICE_BYTES;
}

static bool up_ring(struct service *v, struct end *e, const unsigned char *bytes, size_t len)
{
	size_t sent = up_send(v, e, bytes, len, 0);

	ring_take(e, sent);
	return sent == len;
}

/* False: no more at the moment. */
static bool up_once(struct service *v, struct end *e)
{
	if (!up_rest(v, e))
		return false;
	const unsigned char *bytes;
	size_t room = room_for_pair(e), len = ring_peek(e, &bytes);

	if (len > 0)
		return up_ring(v, e, bytes, len);
	if (!e->app_readable || e->app_reset)
		return false;
	ssize_t n = recv(e->fd, v->bytes, room, MSG_DONTWAIT);

	if (n > 0) {
		size_t sent = up_send(v, e, v->bytes, (size_t)n, 0);

		/* That was all, and the kernel says when there is more. */
		if ((size_t)n < sizeof(v->bytes) && !e->app_ending)
			e->app_readable = false;
		if (sent == (size_t)n)
			return true;
		e->app_reset |= !keep_rest(e, v->bytes + sent, (size_t)n - sent);
		return false;
	}
	e->app_readable = false;
	if (n < 0 ? errno == ECONNRESET : was_left(v, e))
		e->app_reset = true;
	else if (n == 0)
		up_end(v, e);
	return false;
}

void stream_up(struct service *v, struct end *e)
{
	for (int i = 0; (e->ring_readable || e->app_readable || e->stash != NULL) &&
			(e->stack_writable || e->stack_over) && !e->up_ended && !e->app_reset;
	     i++) {
		if (i == MOVES_AT_ONCE) {
			end_go_on(v, e);
			return;
		}
		if (!up_once(v, e))
			return;
	}
}

/* All that was written and the stack has not, so much of it in the pair, and room for len bytes more. */
static struct stash *gather(struct end *e, size_t in_pair, size_t len)
{
	size_t left = e->stash != NULL ? e->stash->len - e->stash->at : 0,
	       room = left + (e->arena != NULL ? PRELOAD_RING_BYTES : 0) + in_pair;
	struct stash *all = malloc(sizeof(*all) + room + len);
	const unsigned char *bytes;

	if (all == NULL)
		return NULL;
	*all = (struct stash){ .len = left };
	if (left > 0)
		memcpy(all->bytes, e->stash->bytes + e->stash->at, left);
	for (size_t n; (n = ring_peek(e, &bytes)) > 0 && n <= room - in_pair - all->len; all->len += n) {
		memcpy(all->bytes + all->len, bytes, n);
		ring_take(e, n);
	}
	for (size_t end = all->len + in_pair; all->len < end;) {
		ssize_t n = recv(e->fd, all->bytes + all->len, end - all->len, MSG_DONTWAIT);

		if (n <= 0)
			break;
		all->len += (size_t)n;
	}
	free(e->stash);
	e->stash = all;
	return all;
}

int stream_urgent(struct service *v, struct end *e, const unsigned char *bytes, size_t len)
{
	bool is_connected = e->state == PRELOAD_CONNECTED;
	const unsigned char *in_ring;
	int in_pair = 0;

	(void)ioctl(e->fd, FIONREAD, &in_pair);
	if (!is_connected || e->stack_over || (e->stash == NULL && in_pair <= 0 && ring_peek(e, &in_ring) == 0)) {
		ssize_t n = yg_send(v->stack, e->sock, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_OOB);

		if (!is_connected || n != -EAGAIN)
			return (int)n;
	}
	if (e->stash != NULL && e->stash->n_urgent > 0)
		return -EAGAIN;
	struct stash *all = gather(e, (size_t)in_pair, len);

	if (all == NULL)
		return -ENOBUFS;
	memcpy(all->bytes + all->len, bytes, len);
	all->len += len;
	all->n_urgent = len;
	return (int)len;
}

/* --- down: from the stack to the program --- */

static void down_end(struct service *v, struct end *e, int error)
{
	e->down_ended = true;
	if (error == 0 && !e->stack_over) {
		atomic_fetch_or(&end_slot(v, e)->marks, PRELOAD_ENDED);
		(void)shutdown(e->fd, SHUT_WR);
		return;
	}
	if (error != 0)
		atomic_store(&end_slot(v, e)->error, error);
	end_bury(v, e);
}

static bool down_once(struct service *v, struct end *e)
{
	struct iovec pieces[PIECES];
	struct msghdr m = { .msg_iov = pieces };
	int n = yg_recv_peek(v->stack, e->sock, pieces, PIECES);

	if (n <= 0) {
		e->stack_readable = false;
		if (n != -EAGAIN)
			down_end(v, e, -n);
		return false;
	}
	m.msg_iovlen = (size_t)n;
	ssize_t sent = 0;

	if (!e->discards)
		sent = n == 1 ? send(e->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
			      : sendmsg(e->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno == EAGAIN) {
			end_await_room(v, e);
			return false;
		}
		/* It told us so, and will not again. */
		e->app_reset |= errno == ECONNRESET;
		e->discards = true;
	}
	if (e->discards) {
		sent = 0;
		for (int i = 0; i < n; i++)
			sent += (ssize_t)pieces[i].iov_len;
	}
	return yg_recv_release(v->stack, e->sock, (size_t)sent) == 0;
}

static void stream_down(struct service *v, struct end *e)
{
	for (int i = 0; e->fd >= 0 && e->stack_readable && !e->app_full && !e->down_ended && !e->app_reset; i++) {
		if (i == MOVES_AT_ONCE) {
			end_go_on(v, e);
			return;
		}
		if (!down_once(v, e))
			return;
	}
}

/* Nobody has the program's end any more. Bytes are left that the stack does not take yet. */
static void orphan_move(struct service *v, struct end *e)
{
	struct linger l = { .l_onoff = 0 };
	int error = 0;
	socklen_t len = sizeof(l);

	(void)yg_getsockopt(v->stack, e->sock, SOL_SOCKET, SO_LINGER, &l, &len);
	len = sizeof(error);
	/* Read, it would come behind the bytes. */
	(void)getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if ((l.l_onoff && l.l_linger == 0) || error == ECONNRESET)
		stream_abort(v, e);
	else
		orphan_wait(v, e);
}

void stream_move(struct service *v, struct end *e)
{
	/* Never connected: all that can come is its end. */
	if (e->state != PRELOAD_CONNECTED) {
		if (e->app_gone)
			end_retire(v, e);
		return;
	}
	if (e->stack_told)
		look_at_state(v, e, 0);
	stream_up(v, e);
	stream_down(v, e);
	if (e->fd < 0)
		return;
	if (e->app_reset || (e->app_gone && was_left(v, e)))
		stream_abort(v, e);
	else if ((e->app_gone && e->up_ended) || (e->stack_over && (e->app_gone || e->down_ended)))
		end_bury(v, e);
	else if (e->app_gone && !e->stack_writable)
		orphan_move(v, e);
}

/* --- connections in the making --- */

void stream_unplug(struct end *e)
{
	char bytes[4096];
	int value = 0;
	socklen_t len = sizeof(value);

	while (e->plug > 0) {
		ssize_t n = recv(e->fd, bytes, e->plug < sizeof(bytes) ? e->plug : sizeof(bytes), MSG_DONTWAIT);

		if (n <= 0)
			break;
		e->plug -= (uint32_t)n;
	}
	e->plug = 0;
	if (e->app_fd < 0)
		return;
	/* As large as ours was made; the kernel doubles what it is told. */
	if (getsockopt(e->fd, SOL_SOCKET, SO_SNDBUF, &value, &len) == 0) {
		value /= 2;
		(void)setsockopt(e->app_fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value));
	}
	end_forget_app(e);
}

void stream_give_up(struct service *v, struct end *e, int error)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	/* As on Linux, it may be tried again. */
	atomic_store(&end_slot(v, e)->error, error);
	(void)yg_connect(v->stack, e->sock, &nobody, sizeof(nobody));
	end_set_spent(v, e, true);
	end_set_state(v, e, PRELOAD_UNCONNECTED);
	/* In this order: who waits until it can write is to find the end as well. */
	end_hang_up(e);
	stream_unplug(e);
}

void stream_settle(struct service *v, struct end *e)
{
	struct pollfd p = { .fd = e->sock, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (yg_poll(v->stack, &p, 1, 0) <= 0)
		return;
	(void)yg_getsockopt(v->stack, e->sock, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		stream_give_up(v, e, error);
		return;
	}
	end_take_names(v, e);
	end_set_state(v, e, PRELOAD_CONNECTED);
	stream_unplug(e);
	e->app_readable = e->stack_readable = e->stack_writable = true;
	stream_move(v, e);
}

/* --- what ends one without a close --- */

void stream_disconnected(struct service *v, struct end *e)
{
	enum preload_state state = e->state;

	if (state == PRELOAD_UNCONNECTED)
		return;
	if (state != PRELOAD_LISTENING)
		atomic_store(&end_slot(v, e)->error, ECONNRESET);
	wait_leave(v, e);
	ring_leave(e);
	free(e->stash);
	e->stash = NULL;
	e->plug = 0;
	e->up_ended = e->down_ended = e->discards = e->app_reset = false;
	e->stack_told = e->stack_over = e->stack_readable = false;
	e->stack_writable = true;
	/* With nothing left that a listener has, it is what is left of a connection, too. */
	listener_shut(v, e);
}
