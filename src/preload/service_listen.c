/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Listeners: each connection of the stack's is accepted at once, and its descriptor waits in the listener's own until a
 * program takes it, so that poll and epoll of all that have the listener say what they say of one.
 *
 * There is one queue all the same, as long as the backlog says: how many wait in the descriptor the stack is told,
 * which counts them as its own (yg_listen_hold). A program takes one without a word to us but the mark in its slot, and
 * takes the oldest first; so before frames come in, and before a program connects, those at the head that are marked
 * are counted off. A mark that lies makes a queue longer or shorter than it is, and is the family's own.
 *
 * Next: src/preload/service_stream.c
 */
#include <errno.h>
#include <sys/socket.h>

#include "preload/preload_beside.h"
#include "preload/service_priv.h"

#define ACCEPTS_AT_ONCE 64
/* What the kernel counts for one message of a listener's descriptor, and how many wait there at most. */
#define ACCEPTED_BYTES 1024
#define BACKLOG_MAX 4096

static bool is_taken(const struct service *v, uint32_t i)
{
	return atomic_load(&v->slots[i].marks) & PRELOAD_TAKEN;
}

/* One more may wait than the backlog says, and two are for the kernel's own counting. */
void listener_set_backlog(struct end *e, int backlog)
{
	int n = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : backlog, bytes = (n + 3) * ACCEPTED_BYTES / 2;

	(void)setsockopt(e->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static void tell_waiting(struct service *v, const struct end *e)
{
	(void)yg_listen_hold(v->stack, e->sock, e->offered.n + (e->held != SERVICE_NONE ? 1 : 0));
}

static void offer(struct service *v, struct end *listener, struct end *e)
{
	e->is_offered = true;
	waits_append(v, &listener->offered, e);
	if (listener->is_offering)
		return;
	listener->is_offering = true;
	listener->next_offering = v->first_offering;
	v->first_offering = end_index(v, listener);
}

void listeners_count(struct service *v)
{
	for (uint32_t *at = &v->first_offering; *at != SERVICE_NONE;) {
		struct end *l = &v->ends[*at];

		for (uint32_t i; (i = l->offered.first) != SERVICE_NONE && is_taken(v, i);)
			wait_leave(v, &v->ends[i]);
		if (l->state == PRELOAD_LISTENING)
			tell_waiting(v, l);
		if (l->offered.n > 0) {
			at = &l->next_offering;
			continue;
		}
		l->is_offering = false;
		*at = l->next_offering;
	}
}

void listener_forget(struct service *v, struct end *e)
{
	while (e->offered.first != SERVICE_NONE)
		wait_leave(v, &v->ends[e->offered.first]);
	for (uint32_t *at = &v->first_offering; e->is_offering; at = &v->ends[*at].next_offering)
		if (*at == end_index(v, e)) {
			*at = e->next_offering;
			e->is_offering = false;
		}
}

/* The connection's descriptor goes to whoever accepts next. 0 or -errno. */
static int hand_over(struct service *v, struct end *listener, struct end *e)
{
	struct preload_beside room;
	struct preload_accepted a = { .slot = end_index(v, e),
				      .generation = e->generation,
				      .remote = end_slot(v, e)->remote };
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	preload_pass(&m, &room, e->app_fd);
	if (sendmsg(listener->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	offer(v, listener, e);
	end_forget_app(e);
	stream_move(v, e);
	return 0;
}

/* NULL: none, or no descriptor for it. */
static struct end *take_connection(struct service *v, struct end *listener)
{
	int sock;

	do {
		sock = yg_accept4(v->stack, listener->sock, NULL, NULL, SOCK_NONBLOCK);
	} while ((sock == -EMFILE || sock == -ENOBUFS) && ended_give(v));
	if (sock < 0) {
		listener->stack_readable = sock == -ECONNABORTED;
		/* It stays there, and no event comes for it again. */
		if (sock == -EMFILE || sock == -ENFILE || sock == -ENOBUFS || sock == -ENOMEM)
			starved_wait(v, listener);
		return NULL;
	}
	struct end *e = end_new(v, sock, SOCK_STREAM, IPPROTO_TCP);

	if (e == NULL)
		return NULL;
	e->app_readable = e->stack_readable = true;
	end_take_names(v, e);
	end_set_state(v, e, PRELOAD_CONNECTED);
	return e;
}

static void abort_held(struct service *v, struct end *e)
{
	if (e->held != SERVICE_NONE)
		stream_abort(v, &v->ends[e->held]);
	e->held = SERVICE_NONE;
}

void listener_shut(struct service *v, struct end *e)
{
	abort_held(v, e);
	listener_forget(v, e);
	end_set_spent(v, e, true);
	end_set_state(v, e, PRELOAD_UNCONNECTED);
	end_hang_up(e);
}

void listener_move(struct service *v, struct end *e)
{
	if (e->app_gone) {
		abort_held(v, e);
		end_retire(v, e);
		return;
	}
	for (int i = 0; (e->stack_readable || e->held != SERVICE_NONE) && !e->app_full; i++) {
		if (i == ACCEPTS_AT_ONCE) {
			end_go_on(v, e);
			return;
		}
		struct end *c = e->held != SERVICE_NONE ? &v->ends[e->held] : take_connection(v, e);

		e->held = SERVICE_NONE;
		if (c == NULL)
			continue;
		int rc = hand_over(v, e, c);

		if (rc == -EAGAIN) {
			e->held = end_index(v, c);
			end_await_room(v, e);
		} else if (rc != 0) {
			stream_abort(v, c);
		}
		tell_waiting(v, e);
	}
}
