/* SPDX-License-Identifier: BSD-2-Clause
 *
 * epoll, as Linux has it (fs/eventpoll.c is the reference; tests/transport compares the two
 * event by event).
 *
 * An epoll has watches, one for each socket that it watches, and a list of those that may be ready. A
 * change of a socket puts its watches that asked for it at the end of their epolls' lists;
 * that is all that happens then. When somebody asks an epoll, each in the list is
 * looked at: what is ready is told, what is not falls out. A level-triggered one goes to the
 * end of the list again, an edge-triggered one leaves it until something changes, a
 * one-shot one is not told again until it is changed.
 *
 * An epoll can be watched too: it is ready when its list is not empty.
 */
#include <errno.h>

#include "stack/socket/socket_priv.h"

#define DEPTH_MAX 5u
/* What is told whatever was asked for. */
#define ALWAYS (YG_POLLERR | YG_POLLHUP)
#define PRIVATE (YG_EPOLLEXCLUSIVE | YG_EPOLLWAKEUP | YG_EPOLLONESHOT | YG_EPOLLET)
#define WITH_EXCLUSIVE (YG_POLLIN | YG_POLLOUT | ALWAYS | YG_EPOLLWAKEUP | YG_EPOLLET | YG_EPOLLEXCLUSIVE)

struct epoll {
	uint32_t number;      /* socket */
	uint32_t watches;     /* its first one */
	uint32_t first, last; /* of those that may be ready */
	uint32_t n_waiting;   /* calls that wait for it */
	uint32_t index, n_watches;
};

struct watch {
	uint32_t socket, epoll;
	uint32_t next_of_socket;
	uint32_t next_of_epoll, prev_of_epoll;
	uint32_t next_ready, prev_ready;
	uint32_t events;
	uint64_t data;
	bool is_listed;
};
_Static_assert(sizeof(struct watch) <= 48, "what it costs to be watched");

int epoll_init_pools(struct sockets *ss, uint32_t n_epolls, uint32_t n_watches)
{
	int rc = pool_init(&ss->epolls, n_epolls, sizeof(struct epoll), 8);

	return rc != 0 ? rc : pool_init(&ss->watches, n_watches, sizeof(struct watch), 16);
}

static struct watch *watch_at(const struct sockets *ss, uint32_t i)
{
	return pool_at(&ss->watches, i);
}

static uint32_t watch_index(const struct sockets *ss, const struct watch *w)
{
	return (uint32_t)(((const uint8_t *)w - ss->watches.mem) / (ptrdiff_t)ss->watches.stride);
}

static struct epoll *epoll_of(const struct sockets *ss, const struct watch *w)
{
	return ((struct socket *)pool_at(&ss->sockets, w->epoll))->epoll;
}

static struct socket *socket_of(const struct sockets *ss, const struct watch *w)
{
	return pool_at(&ss->sockets, w->socket);
}

/* --- the list --- */

static void list_append(struct sockets *ss, struct epoll *e, struct watch *w)
{
	uint32_t index = watch_index(ss, w);

	if (w->is_listed)
		return;
	ss->n_ready_epolls += e->first == POOL_NONE;
	w->is_listed = true;
	w->next_ready = POOL_NONE;
	w->prev_ready = e->last;
	*(e->last == POOL_NONE ? &e->first : &watch_at(ss, e->last)->next_ready) = index;
	e->last = index;
}

static void list_remove(struct sockets *ss, struct epoll *e, struct watch *w)
{
	if (!w->is_listed)
		return;
	w->is_listed = false;
	*(w->prev_ready == POOL_NONE ? &e->first : &watch_at(ss, w->prev_ready)->next_ready) = w->next_ready;
	*(w->next_ready == POOL_NONE ? &e->last : &watch_at(ss, w->next_ready)->prev_ready) = w->prev_ready;
	ss->n_ready_epolls -= e->first == POOL_NONE;
}

static bool is_disabled(const struct watch *w)
{
	return (w->events & ~PRIVATE) == 0;
}

void socket_notify(struct sockets *ss, struct socket *s, uint32_t key)
{
	bool is_taken = false;

	if (ss->told != NULL)
		ss->told(ss->told_ctx);
	for (uint32_t i = s->watches; i != POOL_NONE; i = watch_at(ss, i)->next_of_socket) {
		struct watch *w = watch_at(ss, i);
		struct epoll *e = epoll_of(ss, w);

		if (is_disabled(w) || (key != 0 && (key & w->events) == 0))
			continue;
		/* Of several that want it for themselves, one that waits is enough. */
		if ((w->events & YG_EPOLLEXCLUSIVE) && is_taken)
			continue;
		is_taken |= (w->events & YG_EPOLLEXCLUSIVE) && e->n_waiting > 0;
		if (w->is_listed)
			continue;
		list_append(ss, e, w);
		socket_notify(ss, pool_at(&ss->sockets, w->epoll), SOCKET_KEY_IN);
	}
}

bool sockets_any_ready(const struct sockets *ss)
{
	return ss->n_ready_epolls > 0;
}

/* --- watches --- */

static struct watch *find_watch(const struct sockets *ss, const struct socket *s, int epoll)
{
	for (uint32_t i = s->watches; i != POOL_NONE; i = watch_at(ss, i)->next_of_socket)
		if (watch_at(ss, i)->epoll == (uint32_t)epoll)
			return watch_at(ss, i);
	return NULL;
}

static void unwatch(struct sockets *ss, struct watch *w)
{
	struct epoll *e = epoll_of(ss, w);
	uint32_t index = watch_index(ss, w), *at = &socket_of(ss, w)->watches;

	list_remove(ss, e, w);
	while (*at != index)
		at = &watch_at(ss, *at)->next_of_socket;
	*at = w->next_of_socket;
	*(w->prev_of_epoll == POOL_NONE ? &e->watches : &watch_at(ss, w->prev_of_epoll)->next_of_epoll) =
		w->next_of_epoll;
	if (w->next_of_epoll != POOL_NONE)
		watch_at(ss, w->next_of_epoll)->prev_of_epoll = w->prev_of_epoll;
	e->n_watches--;
	pool_free(&ss->watches, index);
}

void epoll_forget(struct sockets *ss, struct socket *s)
{
	while (s->watches != POOL_NONE)
		unwatch(ss, watch_at(ss, s->watches));
}

void epoll_end(struct sockets *ss, struct socket *s)
{
	while (s->epoll->watches != POOL_NONE)
		unwatch(ss, watch_at(ss, s->epoll->watches));
	pool_free(&ss->epolls, s->epoll->index);
}

int socket_epoll_create(struct sockets *ss)
{
	uint32_t index = pool_alloc(&ss->epolls);
	struct socket *s;

	if (index == POOL_NONE)
		return -EMFILE;
	int n = socket_new(ss, SOCKET_EPOLL, &s);

	if (n < 0) {
		pool_free(&ss->epolls, index);
		return n;
	}
	s->epoll = pool_at(&ss->epolls, index);
	*s->epoll = (struct epoll){
		.number = (uint32_t)n, .watches = POOL_NONE, .first = POOL_NONE, .last = POOL_NONE, .index = index
	};
	return n;
}

/* How many epolls stand on one another below s; more than DEPTH_MAX when it would be told of itself. */
static uint32_t depth_of(const struct sockets *ss, const struct socket *s, const struct socket *top, uint32_t depth)
{
	uint32_t most = 1;

	if (s == top || depth > DEPTH_MAX)
		return DEPTH_MAX + 1;
	for (uint32_t i = s->epoll->watches; i != POOL_NONE; i = watch_at(ss, i)->next_of_epoll) {
		const struct socket *w = socket_of(ss, watch_at(ss, i));

		if (w->kind == SOCKET_EPOLL)
			most = max_u32(most, 1 + depth_of(ss, w, top, depth + 1));
	}
	return most;
}

/* ... and above. */
static uint32_t height_of(const struct sockets *ss, const struct socket *s)
{
	uint32_t most = 1;

	for (uint32_t i = s->watches; i != POOL_NONE; i = watch_at(ss, i)->next_of_socket)
		most = max_u32(most, 1 + height_of(ss, pool_at(&ss->sockets, watch_at(ss, i)->epoll)));
	return most;
}

static void list_if_ready(struct sockets *ss, struct watch *w)
{
	if (!(socket_mask(ss, socket_of(ss, w)) & w->events))
		return;
	if (w->is_listed)
		return;
	list_append(ss, epoll_of(ss, w), w);
	socket_notify(ss, pool_at(&ss->sockets, w->epoll), SOCKET_KEY_IN);
}

static int add(struct sockets *ss, struct socket *e, struct socket *s, const struct yg_epoll_event *event)
{
	if (s->kind == SOCKET_EPOLL && depth_of(ss, s, e, 1) + height_of(ss, e) > DEPTH_MAX)
		return -ELOOP;
	uint32_t index = pool_alloc(&ss->watches);

	if (index == POOL_NONE)
		return -ENOSPC;
	struct watch *w = watch_at(ss, index);

	*w = (struct watch){ .socket = (uint32_t)socket_number(ss, s),
			     .epoll = e->epoll->number,
			     .next_of_socket = s->watches,
			     .next_of_epoll = e->epoll->watches,
			     .prev_of_epoll = POOL_NONE,
			     .next_ready = POOL_NONE,
			     .prev_ready = POOL_NONE,
			     .events = event->events | ALWAYS,
			     .data = event->data };
	if (w->next_of_epoll != POOL_NONE)
		watch_at(ss, w->next_of_epoll)->prev_of_epoll = index;
	s->watches = e->epoll->watches = index;
	e->epoll->n_watches++;
	list_if_ready(ss, w);
	return 0;
}

int socket_epoll_ctl(struct sockets *ss, int epoll, int op, int n, const struct yg_epoll_event *event)
{
	struct socket *e = socket_at(ss, epoll), *s = socket_at(ss, n);

	if (e == NULL || s == NULL)
		return -EBADF;
	if (e == s || e->kind != SOCKET_EPOLL)
		return -EINVAL;
	if (op != YG_EPOLL_CTL_DEL && event == NULL)
		return -EFAULT;
	if (op != YG_EPOLL_CTL_DEL && (event->events & YG_EPOLLEXCLUSIVE) &&
	    (op == YG_EPOLL_CTL_MOD || s->kind == SOCKET_EPOLL || (event->events & ~WITH_EXCLUSIVE)))
		return -EINVAL;
	struct watch *w = find_watch(ss, s, epoll);

	switch (op) {
	case YG_EPOLL_CTL_ADD:
		return w != NULL ? -EEXIST : add(ss, e, s, event);
	case YG_EPOLL_CTL_DEL:
		if (w == NULL)
			return -ENOENT;
		unwatch(ss, w);
		return 0;
	case YG_EPOLL_CTL_MOD:
		if (w == NULL)
			return -ENOENT;
		if (w->events & YG_EPOLLEXCLUSIVE)
			return -EINVAL;
		w->events = event->events | ALWAYS;
		w->data = event->data;
		list_if_ready(ss, w);
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- events --- */

uint32_t epoll_mask(struct sockets *ss, struct socket *s)
{
	for (uint32_t i = s->epoll->first; i != POOL_NONE;) {
		struct watch *w = watch_at(ss, i);

		i = w->next_ready;
		if (!is_disabled(w) && (socket_mask(ss, socket_of(ss, w)) & w->events))
			return YG_POLLIN | YG_POLLRDNORM;
		/* It was, and is not any more. */
		list_remove(ss, s->epoll, w);
	}
	return 0;
}

/* Each that was in the list is looked at once. */
static int take_events(struct sockets *ss, struct epoll *e, struct yg_epoll_event *events, int max)
{
	uint32_t end = e->last, i = e->first;
	int n = 0;

	while (i != POOL_NONE && n < max) {
		struct watch *w = watch_at(ss, i);
		uint32_t next = i == end ? POOL_NONE : w->next_ready;
		uint32_t ready = is_disabled(w) ? 0 : socket_mask(ss, socket_of(ss, w)) & w->events;

		list_remove(ss, e, w);
		i = next;
		if (ready == 0)
			continue;
		events[n].events = ready;
		events[n++].data = w->data;
		if (w->events & YG_EPOLLONESHOT)
			w->events &= PRIVATE;
		else if (!(w->events & YG_EPOLLET))
			list_append(ss, e, w);
	}
	return n;
}

int socket_epoll_wait(struct sockets *ss, int epoll, struct yg_epoll_event *events, int max, uint64_t timeout)
{
	const struct socket blocking = { .nonblock = false };
	uint64_t deadline = timeout == TIME_NEVER ? TIME_NEVER : ss->env->now + timeout;
	struct socket *s = socket_at(ss, epoll);

	if (max <= 0)
		return -EINVAL;
	if (s == NULL)
		return -EBADF;
	if (s->kind != SOCKET_EPOLL)
		return -EINVAL;
	for (;;) {
		int n = take_events(ss, s->epoll, events, max);

		if (n != 0)
			return n;
		s->epoll->n_waiting++;
		int rc = socket_wait(ss, &blocking, 0, deadline);

		s = socket_at(ss, epoll);
		if (s == NULL || s->kind != SOCKET_EPOLL)
			return -EBADF;
		s->epoll->n_waiting--;
		if (rc != 0)
			return rc == -EAGAIN ? 0 : rc;
	}
}
