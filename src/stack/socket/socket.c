/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of sockets of one stack.
 *
 * A number is a place in a pool. What a socket is by its protocol (a connection, a
 * listener, a UDP or raw socket, an epoll) is another room's or file's; here is what all
 * have in common, in a line of the cache. A TCP socket has a connection in CLOSED from the
 * start, which keeps what it is told; listen changes it for a listener.
 *
 * Transports tell of changes in the middle of their work. All that is done then is to
 * put those who watch the socket into their epolls' lists (epoll.c); what is ready is
 * asked when somebody wants to know.
 *
 * Waiting is somebody else's business (sockets_set_wait): a call that may block tries,
 * has the world go on, and tries again.
 *
 * Next: src/stack/socket/socket_name.c, socket_io.c, epoll.c
 */
#include <errno.h>
#include <stdlib.h>

#include "stack/socket/socket_forward.h"
#include "stack/socket/socket_priv.h"

/* How long until somebody who was refused for want of memory is told to try again. */
#define STARVED_NS (10 * NS_PER_MS)

/* --- what transports tell --- */

static struct socket *of_user(struct sockets *ss, uint64_t user)
{
	return pool_at(&ss->sockets, (uint32_t)user);
}

static void tcp_told(void *ctx, uint64_t user, uint32_t why)
{
	uint32_t key = 0;

	if (!(why & TCP_CHANGED_STATE)) {
		key |= why & (TCP_CHANGED_IN | TCP_CHANGED_PRI) ? SOCKET_KEY_IN : 0;
		key |= why & TCP_CHANGED_OUT ? SOCKET_KEY_OUT : 0;
	}
	socket_notify(ctx, of_user(ctx, user), key);
}

static void tcp_acceptable_told(void *ctx, uint64_t user)
{
	socket_notify(ctx, of_user(ctx, user), SOCKET_KEY_IN);
}

static void datagram_told(void *ctx, uint64_t user, uint32_t why)
{
	socket_notify(ctx, of_user(ctx, user), why & DATAGRAM_CHANGED_ERROR ? YG_POLLERR : SOCKET_KEY_IN);
}

/* --- life of the table --- */

static uint32_t or_default(uint32_t v, uint32_t def)
{
	return v != 0 ? v : def;
}

void sockets_configure(struct sockets *ss, const struct tcp_config *config)
{
	*tcp_config(ss->tcp) = *config;
	ss->port_first = config->port_first;
	ss->port_last = config->port_last;
	udp_set_ports(ss->udp, ss->port_first, ss->port_last);
}

struct sockets *sockets_create(struct env *env, struct ip_stack *ip, const struct sockets_limits *limits,
			       const struct tcp_config *config)
{
	static const struct tcp_user_ops tcp_ops = { .changed = tcp_told, .acceptable = tcp_acceptable_told };
	struct sockets *ss = calloc(1, sizeof(*ss));
	uint32_t n = or_default(limits->n_sockets, 16384) + SOCKET_FIRST_NUMBER;

	if (ss == NULL)
		return NULL;
	ss->env = env;
	ss->ip = ip;
	memset(ss->bound_of, 0xff, sizeof(ss->bound_of));
	ss->starved = POOL_NONE;
	ss->starved_until = TIME_NEVER;
	if (epoll_init_pools(ss, or_default(limits->n_epolls, 1024), or_default(limits->n_watches, 2 * n)) != 0 ||
	    pool_init(&ss->sockets, n, sizeof(struct socket), 16) != 0)
		goto fail;
	for (uint32_t i = 0; i < SOCKET_FIRST_NUMBER; i++)
		*(struct socket *)pool_at(&ss->sockets, pool_alloc(&ss->sockets)) = (struct socket){ .kind = 0 };
	ss->tcp = tcp_create(env, ip, &limits->tcp, config);
	ss->udp = udp_create(env, ip, &limits->udp);
	ss->raw = raw_create(env, ip, &limits->raw);
	if (ss->tcp == NULL || ss->udp == NULL || ss->raw == NULL)
		goto fail;
	sockets_configure(ss, config != NULL ? config : &tcp_default_config);
	ss->captures.env = env;
	tcp_set_captures(ss->tcp, &ss->captures);
	udp_set_captures(ss->udp, &ss->captures);
	raw_set_captures(ss->raw, &ss->captures);
	tcp_set_user(ss->tcp, &tcp_ops, ss);
	udp_set_user(ss->udp, datagram_told, ss);
	raw_set_user(ss->raw, datagram_told, ss);
	return ss;
fail:
	sockets_destroy(ss);
	return NULL;
}

uint32_t sockets_numbers(const struct sockets *ss)
{
	return ss->sockets.cap;
}

void sockets_destroy(struct sockets *ss)
{
	if (ss == NULL)
		return;
	sockets_forward_end(ss);
	raw_destroy(ss->raw);
	udp_destroy(ss->udp);
	tcp_destroy(ss->tcp);
	free(ss->captures.bytes);
	pool_fini(&ss->watches);
	pool_fini(&ss->epolls);
	pool_fini(&ss->sockets);
	free(ss);
}

void socket_starve(struct sockets *ss, struct socket *s)
{
	if (s->is_starved)
		return;
	s->is_starved = true;
	s->next_starved = ss->starved;
	ss->starved = (uint32_t)socket_number(ss, s);
	ss->starved_until = min_u64(ss->starved_until, ss->env->now + STARVED_NS);
}

static void forget_starved(struct sockets *ss, struct socket *s)
{
	uint32_t *at = &ss->starved;

	if (!s->is_starved)
		return;
	while (*at != (uint32_t)socket_number(ss, s))
		at = &((struct socket *)pool_at(&ss->sockets, *at))->next_starved;
	*at = s->next_starved;
	s->is_starved = false;
}

/* Whoever finds none again is starved again. */
static void tell_starved(struct sockets *ss)
{
	ss->starved_until = TIME_NEVER;
	while (ss->starved != POOL_NONE) {
		struct socket *s = pool_at(&ss->sockets, ss->starved);

		ss->starved = s->next_starved;
		s->is_starved = false;
		socket_notify(ss, s, SOCKET_KEY_OUT);
	}
}

void sockets_expire(struct sockets *ss)
{
	tcp_expire(ss->tcp);
	socket_forward_expire(ss);
	if (ss->env->now >= ss->starved_until)
		tell_starved(ss);
}

uint64_t sockets_next_deadline(const struct sockets *ss)
{
	return min_u64(min_u64(tcp_next_deadline(ss->tcp), ss->starved_until), socket_forward_deadline(ss));
}

struct tcp *sockets_tcp(struct sockets *ss)
{
	return ss->tcp;
}

struct captures *sockets_captures(struct sockets *ss)
{
	return &ss->captures;
}

void sockets_set_wait(struct sockets *ss, sockets_wait_fn *fn, void *ctx)
{
	ss->wait = fn;
	ss->wait_ctx = ctx;
}

void sockets_set_told(struct sockets *ss, void (*fn)(void *ctx), void *ctx)
{
	ss->told = fn;
	ss->told_ctx = ctx;
}

uint64_t socket_deadline(const struct sockets *ss, uint32_t timeout_ms)
{
	return timeout_ms == 0 ? TIME_NEVER : ss->env->now + timeout_ms * NS_PER_MS;
}

int socket_wait(struct sockets *ss, const struct socket *s, int flags, uint64_t deadline)
{
	if (ss->wait == NULL || s->nonblock || (flags & YG_MSG_DONTWAIT) || ss->env->now >= deadline)
		return -EAGAIN;
	ip_flush(ss->ip);
	return ss->wait(ss->wait_ctx, deadline);
}

/* --- numbers --- */

struct socket *socket_at(const struct sockets *ss, int n)
{
	if (n < (int)SOCKET_FIRST_NUMBER || (uint32_t)n >= ss->sockets.n_fresh)
		return NULL;
	struct socket *s = pool_at(&ss->sockets, (uint32_t)n);

	return s->kind != SOCKET_NONE ? s : NULL;
}

int socket_new(struct sockets *ss, enum socket_kind kind, struct socket **out)
{
	uint32_t index = pool_alloc(&ss->sockets);

	if (index == POOL_NONE)
		return -EMFILE;
	struct socket *s = pool_at(&ss->sockets, index);

	*s = (struct socket){
		.kind = (uint8_t)kind, .watches = POOL_NONE, .next_bound = POOL_NONE, .prev_bound = POOL_NONE
	};
	*out = s;
	return (int)index;
}

static void give_number_back(struct sockets *ss, struct socket *s)
{
	s->kind = SOCKET_NONE;
	pool_free(&ss->sockets, (uint32_t)socket_number(ss, s));
}

static int open_transport(struct sockets *ss, struct socket *s, int protocol)
{
	uint64_t user = (uint64_t)socket_number(ss, s);

	switch ((enum socket_kind)s->kind) {
	case SOCKET_TCP:
		s->conn = tcp_open(ss->tcp, user);
		return s->conn != NULL ? 0 : -ENOBUFS;
	case SOCKET_UDP:
		s->udp = udp_open(ss->udp, user);
		return s->udp != NULL ? 0 : -ENOBUFS;
	case SOCKET_RAW:
		return raw_open(ss->raw, (uint8_t)protocol, user, &s->raw);
	default:
		return -EINVAL;
	}
}

/* The kind for a type and protocol, or -errno. */
static int kind_for(int type, int protocol)
{
	switch (type & YG_SOCK_TYPE_MASK) {
	case YG_SOCK_STREAM:
		return protocol == 0 || protocol == IPPROTO_NR_TCP ? SOCKET_TCP : -EPROTONOSUPPORT;
	case YG_SOCK_DGRAM:
		return protocol == 0 || protocol == IPPROTO_NR_UDP ? SOCKET_UDP : -EPROTONOSUPPORT;
	case YG_SOCK_RAW:
		return protocol > 0 && protocol <= IPPROTO_NR_RAW ? SOCKET_RAW : -EPROTONOSUPPORT;
	default:
		return -ESOCKTNOSUPPORT;
	}
}

int socket_open(struct sockets *ss, int domain, int type, int protocol)
{
	struct socket *s;

	if (type & ~(YG_SOCK_TYPE_MASK | YG_SOCK_NONBLOCK | YG_SOCK_CLOEXEC))
		return -EINVAL;
	if (domain != YG_AF_INET)
		return -EAFNOSUPPORT;
	int kind = kind_for(type, protocol);
	int n = kind < 0 ? kind : socket_new(ss, (enum socket_kind)kind, &s);

	if (n < 0)
		return n;
	int rc = open_transport(ss, s, protocol);

	if (rc != 0) {
		give_number_back(ss, s);
		return rc;
	}
	s->nonblock = (type & YG_SOCK_NONBLOCK) != 0;
	return n;
}

int socket_close(struct sockets *ss, int n)
{
	struct socket *s = socket_at(ss, n);

	if (s == NULL)
		return -EBADF;
	epoll_forget(ss, s);
	forget_starved(ss, s);
	socket_unbind(ss, s);
	switch ((enum socket_kind)s->kind) {
	case SOCKET_TCP:
		tcp_close(ss->tcp, s->conn);
		break;
	case SOCKET_LISTENER:
		tcp_unlisten(ss->tcp, s->listener);
		break;
	case SOCKET_UDP:
		udp_close(ss->udp, s->udp);
		break;
	case SOCKET_RAW:
		raw_close(ss->raw, s->raw);
		break;
	case SOCKET_EPOLL:
		epoll_end(ss, s);
		break;
	default:
		break;
	}
	give_number_back(ss, s);
	return 0;
}

struct datagram_socket *socket_datagram(const struct socket *s)
{
	return s->kind == SOCKET_UDP ? &s->udp->d : s->kind == SOCKET_RAW ? &s->raw->d : NULL;
}

const struct datagram_stack *socket_datagram_stack(const struct sockets *ss, const struct socket *s)
{
	return s->kind == SOCKET_UDP ? udp_stack(ss->udp) : raw_stack(ss->raw);
}

/* --- what is ready --- */

static uint32_t tcp_mask(struct sockets *ss, struct socket *s)
{
	uint32_t bits = tcp_poll(ss->tcp, s->conn), mask = 0;

	/* It has room, and others have the memory: until that is looked at again, nobody is to try in vain. */
	if (s->is_starved && !(bits & (TCP_POLL_ERROR | TCP_POLL_HUP)))
		bits &= ~(uint32_t)TCP_POLL_OUT;
	mask |= bits & TCP_POLL_IN ? YG_POLLIN | YG_POLLRDNORM : 0;
	mask |= bits & TCP_POLL_OUT ? YG_POLLOUT | YG_POLLWRNORM : 0;
	mask |= bits & TCP_POLL_PRI ? YG_POLLPRI : 0;
	mask |= bits & TCP_POLL_ERROR ? YG_POLLERR : 0;
	mask |= bits & TCP_POLL_HUP ? YG_POLLHUP : 0;
	mask |= bits & TCP_POLL_RDHUP ? YG_POLLRDHUP : 0;
	/* As Linux: whoever has looked and found none is told when there is room. */
	if (!(bits & TCP_POLL_OUT))
		tcp_want_room(s->conn);
	return mask;
}

static uint32_t datagram_mask(const struct datagram_socket *d)
{
	uint32_t mask = YG_POLLOUT | YG_POLLWRNORM | YG_POLLWRBAND;

	if (d->error != 0 || d->errors.first != NULL)
		mask |= YG_POLLERR;
	if (d->first != NULL || d->shut_read)
		mask |= YG_POLLIN | YG_POLLRDNORM;
	if (d->shut_read)
		mask |= YG_POLLRDHUP;
	if (d->shut_read && d->shut_write)
		mask |= YG_POLLHUP;
	return mask;
}

uint32_t socket_mask(struct sockets *ss, struct socket *s)
{
	switch ((enum socket_kind)s->kind) {
	case SOCKET_TCP:
		return tcp_mask(ss, s);
	case SOCKET_LISTENER:
		return tcp_acceptable(s->listener) ? YG_POLLIN | YG_POLLRDNORM : 0;
	case SOCKET_UDP:
	case SOCKET_RAW:
		return datagram_mask(socket_datagram(s));
	case SOCKET_EPOLL:
		return epoll_mask(ss, s);
	default:
		return 0;
	}
}

uint32_t socket_ready(struct sockets *ss, int n)
{
	struct socket *s = socket_at(ss, n);

	return s != NULL ? socket_mask(ss, s) : YG_POLLNVAL;
}

static int poll_once(struct sockets *ss, struct yg_pollfd *fds, uint32_t n_fds)
{
	int n_ready = 0;

	for (uint32_t i = 0; i < n_fds; i++) {
		uint32_t wanted = (uint16_t)fds[i].events | YG_POLLERR | YG_POLLHUP | YG_POLLNVAL;

		fds[i].revents = fds[i].fd < 0 ? 0 : (int16_t)(socket_ready(ss, fds[i].fd) & wanted);
		n_ready += fds[i].revents != 0;
	}
	return n_ready;
}

int socket_poll(struct sockets *ss, struct yg_pollfd *fds, uint32_t n_fds, uint64_t timeout)
{
	const struct socket blocking = { .nonblock = false };
	uint64_t deadline = timeout == TIME_NEVER ? TIME_NEVER : ss->env->now + timeout;

	for (;;) {
		int n = poll_once(ss, fds, n_fds);

		if (n != 0)
			return n;
		int rc = socket_wait(ss, &blocking, 0, deadline);

		if (rc != 0)
			return rc == -EAGAIN ? 0 : rc;
	}
}
