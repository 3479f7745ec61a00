/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What programs ask for. A request about a socket comes by another way than the socket's bytes, so those that were
 * written before are taken to the stack first; an option then holds for what is written after it.
 *
 * The broker is inherited by children that have become other users, and by programs that know nothing of it, so it
 * gives nobody a right: it takes new channels alone. Of a socket may ask who has its descriptor, which comes with each
 * request and is known by the kernel's cookie. Low ports and raw sockets are for root and the user who started the
 * service; who asks is what the kernel says of each message, so a process that gives up its user gives up that too.
 * What cannot be true is refused, as it may come of a program that writes over its own memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "preload/preload_beside.h"
#include "preload/service_loop.h"
#include "preload/service_priv.h"

#define REQUESTS_AT_ONCE 16

/* --- messages --- */

/* What comes beside a request. */
struct beside {
	int passed;  /* a descriptor, -1 */
	bool is_cut; /* we could have no more descriptors */
	struct channel *from;
	uid_t uid;
};

static ssize_t receive(struct service *v, struct channel *c, struct preload_request *r, struct beside *b)
{
	char room[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))]
		__attribute__((aligned(sizeof(struct cmsghdr))));
	struct ucred who;
	struct iovec iov = { r, sizeof(*r) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*b = (struct beside){ .passed = -1, .uid = (uid_t)-1, .from = c };
	if (n <= 0)
		return n;
	b->is_cut = (m.msg_flags & MSG_CTRUNC) != 0;
	b->passed = preload_passed_at(&m, 0);
	/* Room for one has room for two (CMSG_ALIGN). */
	for (size_t i = 1; preload_passed_at(&m, i) >= 0; i++)
		service_close(v, preload_passed_at(&m, i));
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&who, CMSG_DATA(h), sizeof(who));
			b->uid = who.uid;
		}
	return n;
}

/* False: it cannot be told, and somebody waits. */
static bool answer(int fd, const struct preload_reply *r, int passed)
{
	struct preload_beside room;
	struct iovec v = { (void *)(uintptr_t)r, offsetof(struct preload_reply, value) + r->len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (passed >= 0)
		preload_pass(&m, &room, passed);
	/* Each has one request under way: if there is no room, it does not wait for this one. */
	if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN)
		return true;
	/* Too many descriptors are under way (ETOOMANYREFS), say. Who waits for a reply waits for ever without. */
	const struct preload_reply refusal = { .rc = -errno };

	return passed >= 0 &&
	       send(fd, &refusal, offsetof(struct preload_reply, value), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* --- rights --- */

uint64_t socket_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

/* Of what on Linux is a capability's. */
static bool has_rights(const struct beside *b)
{
	return b->uid == 0 || b->uid == geteuid();
}

/* 0, or -errno. */
static int may_ask(const struct end *e, const struct beside *b)
{
	if (b->passed < 0)
		return b->is_cut ? -ENFILE : -EPERM;
	return e->cookie != 0 && socket_cookie(b->passed) == e->cookie ? 0 : -EPERM;
}

static bool is_low_port(const struct preload_request *q)
{
	struct sockaddr_in in;

	if (q->len < sizeof(in))
		return false;
	memcpy(&in, q->value, sizeof(in));
	return in.sin_port != 0 && ntohs(in.sin_port) < IPPORT_RESERVED;
}

/* --- what is asked --- */

static int do_socket(struct service *v, const struct preload_request *q, struct preload_reply *r,
		     const struct beside *b, int *give)
{
	int domain = q->arg[0], type = q->arg[1], protocol = q->arg[2];

	if (type == SOCK_RAW && !has_rights(b))
		return -EPERM;
	int sock;

	do {
		sock = yg_socket(v->stack, domain, type | SOCK_NONBLOCK, protocol);
	} while ((sock == -EMFILE || sock == -ENOBUFS) && ended_give(v));
	if (sock < 0)
		return sock;
	struct end *e = end_new(v, sock, type, protocol);

	if (e == NULL)
		return -errno;
	r->slot = end_index(v, e);
	r->generation = e->generation;
	*give = e->app_fd;
	return 0;
}

static int do_bind(struct service *v, struct end *e, const struct preload_request *q, const struct beside *b)
{
	if (e->type != SOCK_RAW && is_low_port(q) && !has_rights(b))
		return -EACCES;
	int rc = yg_bind(v->stack, e->sock, (const struct sockaddr *)(const void *)q->value, q->len);

	if (rc == 0)
		end_take_names(v, e);
	e->is_bound |= rc == 0;
	return rc;
}

static int do_listen(struct service *v, struct end *e, const struct preload_request *q)
{
	int rc = yg_listen(v->stack, e->sock, q->arg[0]);

	if (rc != 0)
		return rc;
	end_take_names(v, e);
	end_set_state(v, e, PRELOAD_LISTENING);
	listener_set_backlog(e, q->arg[0]);
	listener_move(v, e);
	return 0;
}

static int do_connect(struct service *v, struct end *e, const struct preload_request *q, struct beside *b)
{
	struct preload_slot *s = end_slot(v, e);
	sa_family_t family = AF_UNSPEC;

	if (q->len >= sizeof(family))
		memcpy(&family, q->value, sizeof(family));
	int rc = yg_connect(v->stack, e->sock, (const struct sockaddr *)(const void *)q->value, q->len);

	/* Nothing has changed. */
	if (rc == -EALREADY || rc == -EISCONN)
		return rc;
	if (rc == 0 || rc == -EINPROGRESS)
		end_take_names(v, e);
	/* It has no peer any more. */
	if (rc == 0 && family == AF_UNSPEC) {
		s->remote = (struct sockaddr_in){ .sin_family = AF_INET };
		if (e->type == SOCK_STREAM)
			stream_disconnected(v, e);
		else
			end_set_state(v, e, PRELOAD_UNCONNECTED);
		return 0;
	}
	if (q->arg[0] > 0 && e->type == SOCK_STREAM) {
		end_forget_app(e);
		e->app_fd = b->passed;
		b->passed = -1;
		e->plug += (uint32_t)q->arg[0];
	}
	if (e->type != SOCK_STREAM) {
		if (rc == 0)
			end_set_state(v, e,
				      s->remote.sin_port != 0 || s->remote.sin_addr.s_addr != 0 ? PRELOAD_CONNECTED
												: PRELOAD_UNCONNECTED);
		return rc;
	}
	if (rc == -EINPROGRESS) {
		atomic_fetch_or(&s->marks, PRELOAD_UNTOLD);
		end_set_state(v, e, PRELOAD_CONNECTING);
	} else
		stream_unplug(e);
	if (rc == 0) {
		end_set_state(v, e, PRELOAD_CONNECTED);
		end_go_on(v, e);
	}
	return rc;
}

/* A stream's own end says by itself that nothing more is to be sent; here is what the stack must be told. */
static int do_shutdown(struct service *v, struct end *e, const struct preload_request *q)
{
	/* As Linux: it is given up. */
	if (e->type == SOCK_STREAM && e->state == PRELOAD_CONNECTING) {
		stream_give_up(v, e, ECONNRESET);
		return 0;
	}
	int rc = yg_shutdown(v->stack, e->sock, q->arg[0]);

	if (rc == 0 && e->state == PRELOAD_LISTENING && q->arg[0] != SHUT_WR)
		listener_shut(v, e);
	return rc;
}

static int do_getopt(struct service *v, struct end *e, const struct preload_request *q, struct preload_reply *r)
{
	socklen_t len = q->arg[2] < 0                        ? 0
			: q->arg[2] > (int)PRELOAD_VALUE_MAX ? PRELOAD_VALUE_MAX
							     : (socklen_t)q->arg[2];
	int rc = yg_getsockopt(v->stack, e->sock, q->arg[0], q->arg[1], r->value, &len);

	if (rc == 0)
		r->len = len;
	return rc;
}

static bool is_for_administrators(int level, int name)
{
	if (level == IPPROTO_IP)
		return name == IP_TRANSPARENT;
	return level == SOL_SOCKET && (name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE || name == SO_MARK);
}

static int do_setopt(struct service *v, struct end *e, const struct preload_request *q, const struct beside *b)
{
	int level = q->arg[0], name = q->arg[1];

	if (is_for_administrators(level, name) && !has_rights(b))
		return -EPERM;
	unsigned char value[PRELOAD_VALUE_MAX];

	memcpy(value, q->value, q->len);
	devices_of_option(v, level, name, value, q->len);
	return yg_setsockopt(v->stack, e->sock, level, name, value, q->len);
}

static int do_ioctl(struct service *v, struct end *e, const struct preload_request *q, struct preload_reply *r)
{
	uint64_t request;
	int value = 0;

	memcpy(&request, q->value, sizeof(request));
	int rc = yg_ioctl(v->stack, e->sock, (unsigned long)request, &value);

	if (rc == 0) {
		memcpy(r->value, &value, sizeof(value));
		r->len = sizeof(value);
	}
	return rc;
}

static int do_identify(const struct service *v, const struct preload_request *q, struct preload_reply *r)
{
	uint64_t inode;

	memcpy(&inode, q->value, sizeof(inode));
	for (uint32_t i = 0; i < v->n_fresh; i++)
		if (v->ends[i].fd >= 0 && v->ends[i].inode == inode) {
			r->slot = i;
			r->generation = v->ends[i].generation;
			return 0;
		}
	return -ENOENT;
}

static int do_join(const struct service *v, const struct preload_request *q, struct preload_reply *r)
{
	size_t len = strlen(v->config->text);

	if (q->len == len && memcmp(q->value, v->config->text, len) == 0)
		return 0;
	memcpy(r->value, v->config->text, len);
	r->len = (uint32_t)len;
	return -EEXIST;
}

static int do_hello(const struct service *v, struct preload_reply *r, int *give)
{
	struct preload_hello h = { .version = PRELOAD_VERSION,
				   .loopback_is_kernel = (uint32_t)v->config->loopback_is_kernel };

	memcpy(r->value, &h, sizeof(h));
	r->len = sizeof(h);
	*give = v->memory;
	return 0;
}

static int do_arena(struct channel *c, int *give)
{
	if (c->arena != NULL)
		return -EEXIST;
	c->arena = arena_new(give);
	return c->arena != NULL ? 0 : -ENOMEM;
}

/* Of a connection that has ended: its options alone. */
static int do_of_ended(struct service *v, struct end *e, const struct preload_request *q, struct preload_reply *r,
		       const struct beside *b)
{
	switch (q->op) {
	case PRELOAD_GETOPT:
		return do_getopt(v, e, q, r);
	case PRELOAD_SETOPT:
		return do_setopt(v, e, q, b);
	default:
		return -ENOTCONN;
	}
}

/* What is asked of one socket. */
static int do_of_end(struct service *v, const struct preload_request *q, struct preload_reply *r, struct beside *b,
		     int *give)
{
	struct end *e = q->slot < v->n_fresh ? &v->ends[q->slot] : NULL;

	if (q->op == PRELOAD_BIND || q->op == PRELOAD_LISTEN || q->op == PRELOAD_CONNECT)
		service_settle(v);
	if (q->op == PRELOAD_CONNECT)
		listeners_count(v);
	if (e == NULL || e->sock < 0 || e->generation != q->generation)
		return -ENOTCONN;
	int rc = may_ask(e, b);

	if (rc != 0)
		return rc;
	if (e->fd < 0)
		return do_of_ended(v, e, q, r, b);
	/* Of several requests in one turn, the events of what was written between them are not seen yet. */
	e->app_readable = e->ring_readable = true;
	if (e->state == PRELOAD_CONNECTED || e->type != SOCK_STREAM)
		(e->type == SOCK_STREAM ? stream_up : datagram_up)(v, e);
	if (e->fd < 0)
		return -ENOTCONN;
	if (e->app_reset)
		end_go_on(v, e);
	switch (q->op) {
	case PRELOAD_BIND:
		return do_bind(v, e, q, b);
	case PRELOAD_LISTEN:
		return e->type == SOCK_STREAM ? do_listen(v, e, q) : -EOPNOTSUPP;
	case PRELOAD_CONNECT:
		return do_connect(v, e, q, b);
	case PRELOAD_SHUTDOWN:
		return do_shutdown(v, e, q);
	case PRELOAD_GETOPT:
		return do_getopt(v, e, q, r);
	case PRELOAD_SETOPT:
		return do_setopt(v, e, q, b);
	case PRELOAD_RENEW:
		rc = end_renew(v, e);
		*give = rc == 0 ? e->app_fd : -1;
		return rc;
	case PRELOAD_IOCTL:
		return q->len == sizeof(uint64_t) ? do_ioctl(v, e, q, r) : -EINVAL;
	case PRELOAD_URGENT:
		if (e->type != SOCK_STREAM)
			return -EOPNOTSUPP;
		return q->len <= sizeof(q->value) ? stream_urgent(v, e, q->value, q->len) : -EINVAL;
	case PRELOAD_RING:
		return e->state == PRELOAD_CONNECTED && e->type == SOCK_STREAM
			       ? ring_give(v, e, b->from->arena, q->arg[0])
			       : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int serve(struct service *v, const struct preload_request *q, struct preload_reply *r, struct beside *b,
		 int *give)
{
	switch (q->op) {
	case PRELOAD_HELLO:
		return do_hello(v, r, give);
	case PRELOAD_SOCKET:
		return do_socket(v, q, r, b, give);
	case PRELOAD_IDENTIFY:
		return q->len == sizeof(uint64_t) ? do_identify(v, q, r) : -EINVAL;
	case PRELOAD_JOIN:
		return do_join(v, q, r);
	case PRELOAD_ARENA:
		return do_arena(b->from, give);
	default:
		return do_of_end(v, q, r, b, give);
	}
}

/* --- channels --- */

int channel_add(struct service *v, int fd, bool is_broker)
{
	struct channel *c = calloc(1, sizeof(*c));
	int on = 1;

	if (c == NULL || service_watch(v, fd, SERVICE_WATCH_CHANNEL) != 0) {
		free(c);
		service_close(v, fd);
		return -ENOMEM;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	c->fd = fd;
	c->is_broker = is_broker;
	c->next = v->channels;
	c->at = &v->channels;
	if (c->next != NULL)
		c->next->at = &c->next;
	v->channels = c;
	v->n_channels++;
	return 0;
}

static void channel_end(struct service *v, struct channel *c)
{
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	service_close(v, c->fd);
	if (c->arena != NULL)
		arena_leave(v, c->arena);
	free(c);
	v->n_channels--;
}

/* False: there is none. */
static bool channel_serve(struct service *v, struct channel *c)
{
	struct preload_request q = { .op = N_PRELOAD_OPS };
	struct preload_reply r = { .rc = 0 };
	struct beside b;
	int give = -1;
	ssize_t n = receive(v, c, &q, &b);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		channel_end(v, c);
		return false;
	}
	bool is_whole = (size_t)n >= offsetof(struct preload_request, value) &&
			(size_t)n == offsetof(struct preload_request, value) + q.len;

	if (is_whole && c->is_broker && q.op == PRELOAD_CHANNEL && b.passed >= 0) {
		(void)channel_add(v, b.passed, false);
		return true;
	}
	if (is_whole && q.op == PRELOAD_WAKE) {
		/* Or of an arena that a channel before this one had. */
		if (c->arena != NULL)
			arena_wake(v, c->arena);
		if (b.passed >= 0)
			service_close(v, b.passed);
		return true;
	}
	r.rc = !is_whole ? -EINVAL : c->is_broker != (q.op == PRELOAD_JOIN) ? -EPERM : serve(v, &q, &r, &b, &give);
	bool is_told = answer(c->fd, &r, give);

	if (q.op == PRELOAD_ARENA && give >= 0)
		close(give);
	/* From here on the program's end is the program's alone. */
	if (r.rc == 0 && (q.op == PRELOAD_SOCKET || q.op == PRELOAD_RENEW))
		end_forget_app(&v->ends[q.op == PRELOAD_SOCKET ? r.slot : q.slot]);
	if (b.passed >= 0)
		service_close(v, b.passed);
	if (!is_told)
		channel_end(v, c);
	return is_told;
}

void channel_event(struct service *v, struct channel *c)
{
	for (int i = 0; i < REQUESTS_AT_ONCE && channel_serve(v, c); i++)
		;
}
