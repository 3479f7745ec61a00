/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Datagrams of UDP and raw sockets, between a SOCK_SEQPACKET pair and a socket of the stack, each with its header
 * (struct preload_datagram).
 *
 * The program has sent one when it stands in the pair; what the stack then says of it (no route, say) is the socket's
 * error, which the next call is told. What comes from the stack and finds no room in the pair waits: one here, the rest
 * in the stack's own receive buffer, which drops by name what is too much.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "preload/service_priv.h"

#define MOVES_AT_ONCE 64
#define NS_PER_S 1000000000u

static bool down_send(struct service *v, struct end *e, const struct preload_datagram *h, const void *bytes, size_t len)
{
	struct iovec iov[] = { { (void *)(uintptr_t)h, sizeof(*h) }, { (void *)(uintptr_t)bytes, len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	if (sendmsg(e->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != EAGAIN)
		return true;
	e->stash = malloc(sizeof(*e->stash) + sizeof(*h) + len);
	if (e->stash != NULL) {
		*e->stash = (struct stash){ .len = len };
		memcpy(e->stash->bytes, h, sizeof(*h));
		memcpy(e->stash->bytes + sizeof(*h), bytes, len);
	}
	end_await_room(v, e);
	return false;
}

static bool down_stash(struct service *v, struct end *e)
{
	struct stash *s = e->stash;
	struct preload_datagram h;

	if (s == NULL)
		return true;
	e->stash = NULL;
	memcpy(&h, s->bytes, sizeof(h));
	bool is_sent = down_send(v, e, &h, s->bytes + sizeof(h), s->len);

	free(s);
	return is_sent;
}

static uint64_t when_read(struct service *v, const struct end *e)
{
	struct timespec t;

	return yg_ioctl(v->stack, e->sock, SIOCGSTAMPNS, &t) == 0 ? (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec
								  : 0;
}

static bool down_once(struct service *v, struct end *e)
{
	struct preload_datagram h = { .control_len = 0 };
	struct iovec iov = { v->bytes, sizeof(v->bytes) };
	struct msghdr m = { .msg_name = &h.addr,
			    .msg_namelen = sizeof(h.addr),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = h.control,
			    .msg_controllen = sizeof(h.control) };
	ssize_t n = yg_recvmsg(v->stack, e->sock, &m, MSG_DONTWAIT);

	if (n == -EAGAIN) {
		e->stack_readable = false;
		return false;
	}
	h.control_len = n < 0 ? 0 : (uint32_t)m.msg_controllen;
	devices_of_control(v, h.control, h.control_len, DEVICES_TO_PROGRAM);
	h.error = n < 0 ? (int32_t)-n : 0;
	h.came = n < 0 ? 0 : when_read(v, e);
	return down_send(v, e, &h, v->bytes, n < 0 ? 0 : (size_t)n);
}

static bool up_once(struct service *v, struct end *e)
{
	struct preload_datagram h;
	struct iovec iov[] = { { &h, sizeof(h) }, { v->bytes, sizeof(v->bytes) } };
	struct msghdr in = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = recvmsg(e->fd, &in, MSG_DONTWAIT);

	if (n < 0) {
		/* It was closed with datagrams that nobody has read: that is told once, and the end stands behind it.
		 */
		if (errno == ECONNRESET || errno == EINTR)
			return true;
		e->app_readable = false;
		return false;
	}
	if (n == 0) {
		e->up_ended = true;
		return false;
	}
	if ((size_t)n < sizeof(h) || h.control_len > sizeof(h.control))
		return true;
	struct iovec out = { v->bytes, (size_t)n - sizeof(h) };
	struct msghdr m = { .msg_iov = &out, .msg_iovlen = 1 };

	if (h.addr.sin_family != 0) {
		m.msg_name = &h.addr;
		m.msg_namelen = sizeof(h.addr);
	}
	if (h.control_len > 0) {
		m.msg_control = h.control;
		m.msg_controllen = h.control_len;
		devices_of_control(v, h.control, h.control_len, DEVICES_TO_STACK);
	}
	/* MSG_MORE: with what comes next it is one. */
	ssize_t rc = yg_sendmsg(v->stack, e->sock, &m, MSG_DONTWAIT | (h.error & MSG_MORE));

	/* A device that is full loses it, as on Linux. */
	if (rc < 0 && rc != -ENOBUFS && rc != -EAGAIN)
		atomic_store(&end_slot(v, e)->error, (int32_t)-rc);
	return true;
}

void datagram_up(struct service *v, struct end *e)
{
	bool had_port = end_slot(v, e)->local.sin_port != 0;

	for (int i = 0; e->app_readable && !e->up_ended; i++) {
		if (i == MOVES_AT_ONCE) {
			end_go_on(v, e);
			break;
		}
		if (!up_once(v, e))
			break;
	}
	if (!had_port)
		end_take_names(v, e);
}

void datagram_move(struct service *v, struct end *e)
{
	datagram_up(v, e);
	for (int i = 0; (e->stack_readable || e->stash != NULL) && !e->app_full; i++) {
		if (i == MOVES_AT_ONCE) {
			end_go_on(v, e);
			break;
		}
		if (!down_stash(v, e) || !e->stack_readable || !down_once(v, e))
			break;
	}
	if (e->up_ended || (e->app_gone && !e->app_readable))
		end_retire(v, e);
}
