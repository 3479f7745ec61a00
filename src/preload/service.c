/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stack service's loop, and the ends that it has.
 *
 * Readiness comes from two epolls, both edge-triggered: the kernel's (the device, channels, our ends of the pairs) and
 * the stack's. An event sets marks in its end, and the end is moved: bytes go from either side to the other until one
 * of them has no more or takes no more. Whoever has had its share goes on in the next turn, so that no connection holds
 * the others up. EPOLLOUT is asked for only while there is something that found no room, as a reader would otherwise
 * wake us with each of its reads.
 *
 * What programs put into rings comes without an event (service_ring.c).
 *
 * A program that ends, however it ends, closes its descriptors, and by that we learn of it. When the last channel and
 * broker are gone, what is in the pairs still goes out, connections are closed as ever, and then the service ends.
 *
 * Next: src/preload/service_stream.c
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <yangguan/info.h>

#include "preload/service_loop.h"
#include "preload/service_priv.h"

#define EVENTS_AT_ONCE 128
/* How often it is looked whether connections of programs that have ended are closed, and for how long at most. */
#define LAST_LOOK_MS 100
#define LINGER_NS 60000000000u
/* Programs often follow upon one another (a shell's): the stack stays for the next. */
#define STAY_NS 200000000u

static uint64_t tag(enum service_watch_kind kind, uint32_t index)
{
	return (uint64_t)index << 8 | kind;
}

/* --- ends --- */

uint32_t end_index(const struct service *v, const struct end *e)
{
	return (uint32_t)(e - v->ends);
}

struct preload_slot *end_slot(const struct service *v, const struct end *e)
{
	return &v->slots[end_index(v, e)];
}

void end_set_state(struct service *v, struct end *e, enum preload_state state)
{
	e->state = state;
	atomic_store(&end_slot(v, e)->state, state);
}

void end_set_spent(struct service *v, struct end *e, bool is_spent)
{
	struct preload_slot *s = end_slot(v, e);

	e->is_spent = is_spent;
	if (is_spent)
		atomic_fetch_or(&s->marks, PRELOAD_SPENT);
	else
		atomic_fetch_and(&s->marks, (uint16_t)~PRELOAD_SPENT);
}

static uint32_t take_index(struct service *v)
{
	uint32_t i = v->first_free;

	if (v->n_fresh < PRELOAD_SLOTS)
		return v->n_fresh++;
	if (i == SERVICE_NONE)
		return i;
	v->first_free = v->ends[i].next_free;
	if (v->first_free == SERVICE_NONE)
		v->last_free = SERVICE_NONE;
	return i;
}

static void give_index(struct service *v, uint32_t i)
{
	v->ends[i].next_free = SERVICE_NONE;
	if (v->last_free == SERVICE_NONE)
		v->first_free = i;
	else
		v->ends[v->last_free].next_free = i;
	v->last_free = i;
}

static int make_pair(int type, int pair[2])
{
	int kind = type == SOCK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;

	return socketpair(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

/* Who has that descriptor may ask, and is known by it after exec. */
static void know_app(struct end *e)
{
	struct stat st;

	e->cookie = socket_cookie(e->app_fd);
	e->inode = fstat(e->app_fd, &st) == 0 ? st.st_ino : 0;
}

/* With a slot and a pair; not watched yet. NULL: errno says why. */
static struct end *take_end(struct service *v, int sock, int type, int protocol)
{
	int pair[2];
	uint32_t i = take_index(v);

	if (i == SERVICE_NONE) {
		errno = ENFILE;
		return NULL;
	}
	if (make_pair(type, pair) != 0) {
		v->ends[i].fd = v->ends[i].sock = -1;
		give_index(v, i);
		return NULL;
	}
	struct preload_slot *s = &v->slots[i];

	v->ends[i] = (struct end){ .fd = pair[0],
				   .app_fd = pair[1],
				   .sock = sock,
				   .held = SERVICE_NONE,
				   .offered = { .first = SERVICE_NONE, .last = SERVICE_NONE },
				   .next_free = SERVICE_NONE,
				   .next_more = SERVICE_NONE,
				   .next_wait = SERVICE_NONE,
				   .prev_wait = SERVICE_NONE,
				   .generation = v->ends[i].generation + 1,
				   .type = (uint8_t)type,
				   .stack_writable = true };
	atomic_store(&s->generation, v->ends[i].generation);
	atomic_store(&s->error, 0);
	atomic_store(&s->marks, 0);
	s->type = (uint8_t)type;
	s->protocol = (uint8_t)protocol;
	know_app(&v->ends[i]);
	s->local = s->remote = (struct sockaddr_in){ .sin_family = AF_INET };
	end_set_state(v, &v->ends[i], PRELOAD_UNCONNECTED);
	v->n_ends++;
	return &v->ends[i];
}

static int watch_app(struct service *v, struct end *e, int op)
{
	struct epoll_event k = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET | (e->app_full ? EPOLLOUT : 0u),
				 .data = { .u64 = tag(SERVICE_WATCH_END, end_index(v, e)) } };

	return epoll_ctl(v->events, op, e->fd, &k) != 0 ? -errno : 0;
}

static int watch_stack(struct service *v, struct end *e)
{
	struct epoll_event y = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				 .data = { .u64 = end_index(v, e) } };

	return yg_epoll_ctl(v->stack, v->stack_events, EPOLL_CTL_ADD, e->sock, &y);
}

struct end *end_new(struct service *v, int sock, int type, int protocol)
{
	struct end *e = take_end(v, sock, type, protocol);
	int on = 1;

	if (e == NULL) {
		int error = errno;

		(void)yg_close(v->stack, sock);
		errno = error;
		return NULL;
	}
	/* The pair has no way of its own for urgent bytes. */
	if (type == SOCK_STREAM)
		(void)yg_setsockopt(v->stack, sock, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	int rc = watch_app(v, e, EPOLL_CTL_ADD);

	if (rc == 0)
		rc = watch_stack(v, e);
	if (rc == 0)
		return e;
	end_retire(v, e);
	errno = -rc;
	return NULL;
}

void end_hang_up(struct end *e)
{
	(void)send(e->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(e->fd, SHUT_RDWR);
}

int end_renew(struct service *v, struct end *e)
{
	int pair[2];

	if (!e->is_spent)
		return -EINVAL;
	if (make_pair(e->type, pair) != 0)
		return -errno;
	close(e->fd);
	end_forget_app(e);
	e->fd = pair[0];
	e->app_fd = pair[1];
	e->app_readable = e->app_ending = e->app_full = e->app_gone = false;
	know_app(e);
	end_set_spent(v, e, false);
	return watch_app(v, e, EPOLL_CTL_ADD);
}

static void ask_for_room(struct service *v, struct end *e, bool is_asked)
{
	e->app_full = is_asked;
	(void)watch_app(v, e, EPOLL_CTL_MOD);
}

void end_await_room(struct service *v, struct end *e)
{
	ask_for_room(v, e, true);
}

void end_forget_app(struct end *e)
{
	if (e->app_fd >= 0)
		close(e->app_fd);
	e->app_fd = -1;
}

/* All but sock. */
static void end_part(struct service *v, struct end *e)
{
	listener_forget(v, e);
	if (e->held != SERVICE_NONE) {
		struct end *held = &v->ends[e->held];

		e->held = SERVICE_NONE;
		end_retire(v, held);
	}
	end_set_state(v, e, PRELOAD_DEAD);
	wait_leave(v, e);
	ring_leave(e);
	end_forget_app(e);
	free(e->stash);
	e->stash = NULL;
	close(e->fd);
	e->fd = -1;
	v->n_ends--;
}

void end_forget(struct service *v, struct end *e)
{
	wait_leave(v, e);
	if (e->sock >= 0)
		(void)yg_close(v->stack, e->sock);
	e->sock = -1;
	give_index(v, end_index(v, e));
	starved_go_on(v);
}

void end_retire(struct service *v, struct end *e)
{
	if (e->fd < 0)
		return;
	end_part(v, e);
	end_forget(v, e);
}

void end_bury(struct service *v, struct end *e)
{
	if (e->app_gone || e->is_bound || v->starved.n > 0) {
		end_retire(v, e);
		return;
	}
	end_part(v, e);
	(void)yg_epoll_ctl(v->stack, v->stack_events, EPOLL_CTL_DEL, e->sock, NULL);
	ended_keep(v, e);
}

void end_go_on(struct service *v, struct end *e)
{
	if (e->has_more)
		return;
	e->has_more = true;
	e->next_more = v->first_more;
	v->first_more = end_index(v, e);
}

void end_take_names(struct service *v, struct end *e)
{
	struct preload_slot *s = end_slot(v, e);
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	if (yg_getsockname(v->stack, e->sock, (struct sockaddr *)&in, &len) == 0)
		s->local = in;
	len = sizeof(in);
	if (yg_getpeername(v->stack, e->sock, (struct sockaddr *)&in, &len) == 0)
		s->remote = in;
}

/* --- events --- */

void end_move(struct service *v, struct end *e)
{
	if (e->type != SOCK_STREAM)
		datagram_move(v, e);
	else if (e->state == PRELOAD_LISTENING)
		listener_move(v, e);
	else if (e->state == PRELOAD_CONNECTING)
		stream_settle(v, e);
	else
		stream_move(v, e);
}

static void end_event(struct service *v, struct end *e, uint32_t events)
{
	if (e->fd < 0)
		return;
	/* We have hung up ourselves: see end_hang_up. */
	if (e->is_spent)
		events = events & EPOLLERR ? EPOLLHUP : 0;
	e->app_readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	e->app_ending |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	e->app_gone |= (events & EPOLLHUP) != 0;
	if ((events & (EPOLLOUT | EPOLLHUP)) && e->app_full)
		ask_for_room(v, e, false);
	end_move(v, e);
}

static void take_stack_events(struct service *v)
{
	struct epoll_event ev[EVENTS_AT_ONCE];
	int n;

	do {
		n = yg_epoll_wait(v->stack, v->stack_events, ev, EVENTS_AT_ONCE, 0);
		for (int i = 0; i < n; i++) {
			struct end *e = &v->ends[ev[i].data.u64];

			if (e->fd < 0)
				continue;
			e->stack_readable |= (ev[i].events & ~(uint32_t)EPOLLOUT) != 0;
			e->stack_writable |= (ev[i].events & ~(uint32_t)(EPOLLIN | EPOLLRDNORM)) != 0;
			e->stack_told |= (ev[i].events & (EPOLLERR | EPOLLHUP)) != 0;
			end_move(v, e);
		}
	} while (n == EVENTS_AT_ONCE);
}

/* Those that had their share in the turn before. One that was retired since is in the list, but has no descriptor. */
static void go_on(struct service *v)
{
	uint32_t i = v->first_more;

	v->first_more = SERVICE_NONE;
	while (i != SERVICE_NONE) {
		struct end *e = &v->ends[i];

		i = e->next_more;
		e->has_more = false;
		if (e->fd >= 0)
			end_move(v, e);
	}
}

static void take_end_events(struct service *v, const struct epoll_event *ev, int n)
{
	for (int i = 0; i < n; i++)
		if ((ev[i].data.u64 & 0xff) == SERVICE_WATCH_END)
			end_event(v, &v->ends[ev[i].data.u64 >> 8], ev[i].events);
}

void service_settle(struct service *v)
{
	struct epoll_event ev[EVENTS_AT_ONCE];
	/* The others' events are level-triggered: they stay, behind those that were not looked at yet. */
	uint32_t n_rounds = (v->n_ends + v->n_channels) / EVENTS_AT_ONCE + 1;

	for (int n = EVENTS_AT_ONCE; n == EVENTS_AT_ONCE && n_rounds > 0; n_rounds--) {
		n = epoll_wait(v->events, ev, EVENTS_AT_ONCE, 0);
		take_end_events(v, ev, n);
	}
}

static void take_kernel_events(struct service *v, int timeout_ms)
{
	struct epoll_event ev[EVENTS_AT_ONCE];
	int n = epoll_wait(v->events, ev, EVENTS_AT_ONCE, timeout_ms);

	listeners_count(v);
	/* Takes frames in, and tells the stack what time it is. */
	if (v->host != NULL)
		yg_host_run(v->host);
	/* Ends first: what a program closed before it asked for something is closed by then. */
	take_end_events(v, ev, n);
	for (int i = 0; i < n; i++) {
		uint32_t index = (uint32_t)(ev[i].data.u64 >> 8);

		switch ((enum service_watch_kind)(ev[i].data.u64 & 0xff)) {
		case SERVICE_WATCH_DOOR:
			service_admit(v);
			break;
		case SERVICE_WATCH_CHANNEL:
			for (struct channel *c = v->channels; c != NULL; c = c->next)
				if ((uint32_t)c->fd == index) {
					channel_event(v, c);
					break;
				}
			break;
		case SERVICE_WATCH_END:
		case SERVICE_WATCH_HOST:
			break;
		}
	}
}

int service_watch(struct service *v, int fd, enum service_watch_kind kind)
{
	struct epoll_event k = { .events = EPOLLIN, .data = { .u64 = tag(kind, (uint32_t)fd) } };

	return epoll_ctl(v->events, EPOLL_CTL_ADD, fd, &k) != 0 ? -errno : 0;
}

/* --- the end --- */

static void count_closing(void *ctx, const struct yg_socket_info *info)
{
	uint32_t *n = ctx;

	if (info->type == SOCK_STREAM && strcmp(info->state, "TIME-WAIT") != 0 &&
	    strcmp(info->state, "FIN-WAIT-2") != 0 && strcmp(info->state, "LISTEN") != 0)
		(*n)++;
}

static bool has_something_to_send(const struct service *v)
{
	uint32_t n = 0;

	yg_sockets(v->stack, count_closing, &n);
	return n > 0;
}

/* Descriptors that only we have. */
static void forget_makings(struct service *v)
{
	for (uint32_t i = 0; i < v->n_fresh; i++)
		if (v->ends[i].fd >= 0)
			end_forget_app(&v->ends[i]);
}

void service_turn(struct service *v, int most_ms)
{
	bool is_pressed = v->first_more != SERVICE_NONE || !rings_may_sleep(v);

	take_kernel_events(v, is_pressed ? 0 : waits_timeout_ms(v, most_ms));
	waits_look(v);
	go_on(v);
	rings_move(v);
	take_stack_events(v);
}

void service_loop(struct service *v)
{
	uint64_t alone_since = YG_NEVER;

	for (;;) {
		service_turn(v, v->n_channels == 0 ? LAST_LOOK_MS : -1);
		if (v->n_channels > 0) {
			alone_since = YG_NEVER;
			continue;
		}
		uint64_t now = yg_now(v->stack);

		if (alone_since == YG_NEVER)
			alone_since = now;
		forget_makings(v);
		while (ended_give(v))
			;
		if (now - alone_since < STAY_NS)
			continue;
		if ((v->n_ends == 0 && !has_something_to_send(v)) || now - alone_since > LINGER_NS)
			return;
	}
}
