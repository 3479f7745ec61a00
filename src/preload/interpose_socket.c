/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls of socket(7) that make, name and ask a socket. IPv4's are ours, all others the kernel's; IPv6 is refused, since
 * a program that has it would otherwise speak past the stack.
 *
 * With 127.0.0.0/8 being the kernel's, a socket is exchanged for one of the kernel's when it is bound or connected
 * there: until then nobody knows where it will go. What an epoll had of it is lost then.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "preload/preload_beside.h"

#define REAL (*real_calls())
#define PLUG_PIECE 4096

DOOR int socket(int domain, int type, int protocol)
{
	struct preload_request q = { .op = PRELOAD_SOCKET,
				     .arg = { domain, type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), protocol } };
	struct preload_reply r;
	int fd;

	if (interpose()->slots == NULL || (domain != AF_INET && domain != AF_INET6)) {
		fd = REAL.socket(domain, type, protocol);
		number_set(fd, 0);
		return fd;
	}
	if (domain == AF_INET6)
		return result(-EAFNOSUPPORT);
	int rc = ask(-1, &q, &r, &fd);

	if (rc < 0 || fd < 0)
		return result(rc < 0 ? rc : -ENETDOWN);
	if (r.slot >= PRELOAD_SLOTS) {
		(void)REAL.close(fd);
		return result(-ENETDOWN);
	}
	/* It comes with close-on-exec, and does not block. */
	if (!(type & SOCK_CLOEXEC))
		(void)REAL.fcntl64(fd, F_SETFD, 0);
	if (!(type & SOCK_NONBLOCK))
		(void)REAL.fcntl64(fd, F_SETFL, O_RDWR);
	number_set(fd, number_entry(r.slot, r.generation));
	return fd;
}

/* --- 127.0.0.0/8 of the kernel --- */

static void take_option_along(int fd, int other, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, name, &value, &len) == 0)
		(void)REAL.setsockopt(other, level, name, &value, len);
}

bool hand_to_kernel(int fd, struct preload_slot *s, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_in in;

	if (!interpose()->loopback_is_kernel || len < sizeof(in) || addr == NULL)
		return false;
	memcpy(&in, addr, sizeof(in));
	if (in.sin_family != AF_INET || ntohl(in.sin_addr.s_addr) >> 24 != 127 ||
	    atomic_load(&s->state) != PRELOAD_UNCONNECTED)
		return false;
	int flags = REAL.fcntl64(fd, F_GETFL), at_exec = REAL.fcntl64(fd, F_GETFD);
	int other = REAL.socket(AF_INET, s->type | SOCK_CLOEXEC | (flags & O_NONBLOCK), s->protocol);

	if (other < 0)
		return false;
	take_option_along(fd, other, SOL_SOCKET, SO_REUSEADDR);
	take_option_along(fd, other, SOL_SOCKET, SO_REUSEPORT);
	take_option_along(fd, other, SOL_SOCKET, SO_KEEPALIVE);
	take_option_along(fd, other, SOL_SOCKET, SO_BROADCAST);
	if (s->type == SOCK_STREAM)
		take_option_along(fd, other, IPPROTO_TCP, TCP_NODELAY);
	bool is_done = REAL.dup3(other, fd, at_exec & FD_CLOEXEC ? O_CLOEXEC : 0) == fd;

	(void)REAL.close(other);
	if (is_done)
		number_set(fd, 0);
	return is_done;
}

/* --- names --- */

static int ask_with_address(int fd, enum preload_op op, const struct sockaddr_storage *addr, socklen_t len, int plug)
{
	struct preload_request q = { .op = op, .arg = { plug }, .len = len };
	struct preload_reply r;

	memcpy(q.value, addr, len);
	return ask(fd, &q, &r, NULL);
}

/* An address that the program gives. 0 or -errno. */
static int take_name(struct sockaddr_storage *out, const struct sockaddr *addr, socklen_t len)
{
	memset(out, 0, sizeof(*out));
	if (len > sizeof(*out))
		return -EINVAL;
	return user_get(out, addr, len) ? 0 : -EFAULT;
}

DOOR int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.bind(fd, addr, len);
	struct sockaddr_storage name;
	int rc = take_name(&name, addr, len);

	if (rc != 0)
		return result(rc);
	if (hand_to_kernel(fd, s, (const struct sockaddr *)&name, len))
		return REAL.bind(fd, addr, len);
	return result(ask_with_address(fd, PRELOAD_BIND, &name, len, 0));
}

static int give_name(const struct sockaddr_in *name, struct sockaddr *addr, socklen_t *len)
{
	const socklen_t all = sizeof(*name);
	socklen_t room;

	if (!user_get(&room, len, sizeof(room)))
		return result(-EFAULT);
	if ((int)room < 0)
		return result(-EINVAL);
	if (!user_put(addr, name, room < all ? room : all) || !user_put(len, &all, sizeof(all)))
		return result(-EFAULT);
	return 0;
}

DOOR int getsockname(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	const struct preload_slot *s = slot_of(fd);
	struct preload_request q = { .op = PRELOAD_GETOPT, .arg = { SOL_SOCKET, SO_TYPE, sizeof(int) } };
	struct preload_reply r;

	if (s == NULL)
		return REAL.getsockname(fd, addr, len);
	/* The first datagram gives it a port. Before any request the service takes what was written. */
	if (s->type == SOCK_DGRAM && s->local.sin_port == 0)
		(void)ask(fd, &q, &r, NULL);
	return give_name(&s->local, addr, len);
}

DOOR int getpeername(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.getpeername(fd, addr, len);
	/* A datagram socket may be connected to port 0, and then has no peer. */
	if (atomic_load(&s->state) != PRELOAD_CONNECTED || s->remote.sin_port == 0)
		return result(-ENOTCONN);
	return give_name(&s->remote, addr, len);
}

/* --- connect --- */

/* Makes the descriptor unwritable until the service has taken these bytes out. How many. */
static int plug(int fd)
{
	static const char nothing[PLUG_PIECE];
	int least = 0, sum = 0;

	(void)REAL.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	for (ssize_t n; (n = REAL.send(fd, nothing, sizeof(nothing), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;)
		sum += (int)n;
	return sum;
}

/* A connect has failed, and the pair has hung up: the number gets another. 0 or -errno. */
static int renew(int fd, const struct preload_slot *s)
{
	struct preload_request q = { .op = PRELOAD_RENEW };
	struct preload_reply r;
	int other;

	if (!(atomic_load(&s->marks) & PRELOAD_SPENT))
		return 0;
	int flags = REAL.fcntl64(fd, F_GETFL), at_exec = REAL.fcntl64(fd, F_GETFD), rc = ask(fd, &q, &r, &other);

	if (rc != 0 || other < 0)
		return rc != 0 ? rc : -ENETDOWN;
	(void)REAL.fcntl64(other, F_SETFL, flags);
	if (REAL.dup3(other, fd, at_exec & FD_CLOEXEC ? O_CLOEXEC : 0) != fd)
		rc = -errno;
	(void)REAL.close(other);
	return rc;
}

static bool is_blocking(int fd)
{
	return !(REAL.fcntl64(fd, F_GETFL) & O_NONBLOCK);
}

/* Behind a signal: connect without a timeout goes on on Linux if its handler said SA_RESTART. Which signal it was
 * nobody says, so all handlers must agree. */
static bool goes_on(int ms)
{
	bool any = false;

	for (int i = 1; i < NSIG; i++) {
		struct sigaction a;

		if (sigaction(i, NULL, &a) != 0 ||
		    (!(a.sa_flags & SA_SIGINFO) && (a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN)))
			continue;
		if (!(a.sa_flags & SA_RESTART))
			return false;
		any = true;
	}
	return any && ms < 0;
}

/* As long as SO_SNDTIMEO says, as on Linux. */
static int wait_connected(int fd, struct preload_slot *s)
{
	struct timeval limit = { 0, 0 };
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(limit);

	(void)REAL.getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	int ms = limit.tv_sec == 0 && limit.tv_usec == 0 ? -1
							 : (int)(limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000);
	int n;

	do {
		n = poll(&p, 1, ms);
	} while (n < 0 && errno == EINTR && goes_on(ms));
	if (n <= 0)
		return n == 0 ? -EINPROGRESS : -errno;
	int error = take_error(s);

	atomic_fetch_and(&s->marks, (uint16_t)~PRELOAD_UNTOLD);
	/* The descriptor hangs up without a word: the service was killed. */
	if (error == 0 && atomic_load(&s->state) == PRELOAD_CONNECTING)
		return -ENETDOWN;
	return -error;
}

/* What has become of a connect without waiting. Its error may have been told already, by SO_ERROR say. */
static int connect_outcome(struct preload_slot *s, uint32_t state)
{
	int error = take_error(s);

	return error != 0 ? -error : state == PRELOAD_CONNECTED ? 0 : -ECONNABORTED;
}

static bool is_nobody(const struct sockaddr_storage *addr, socklen_t len)
{
	return len >= sizeof(addr->ss_family) && addr->ss_family == AF_UNSPEC;
}

/* The connection is reset, and the descriptor has a pair of its own again. */
static int disconnect_stream(int fd, struct preload_slot *s, const struct sockaddr_storage *addr, socklen_t len)
{
	ring_close(fd);
	int rc = ask_with_address(fd, PRELOAD_CONNECT, addr, len, 0);

	if (rc != 0)
		return rc;
	atomic_fetch_and(&s->marks, (uint16_t) ~(PRELOAD_UNTOLD | PRELOAD_ENDED));
	return renew(fd, s);
}

static int connect_stream(int fd, struct preload_slot *s, const struct sockaddr_storage *addr, socklen_t len)
{
	uint32_t state = atomic_load(&s->state);
	int rc;

	if (is_nobody(addr, len))
		return disconnect_stream(fd, s, addr, len);
	if (state == PRELOAD_CONNECTING && is_blocking(fd))
		return wait_connected(fd, s);
	if (state == PRELOAD_CONNECTING)
		return -EALREADY;
	if (atomic_fetch_and(&s->marks, (uint16_t)~PRELOAD_UNTOLD) & PRELOAD_UNTOLD)
		return connect_outcome(s, state);
	if (state == PRELOAD_CONNECTED)
		return -EISCONN;
	if (len < sizeof(addr->ss_family))
		return -EINVAL;
	(void)take_error(s);
	rc = renew(fd, s);
	if (rc != 0)
		return rc;
	rc = ask_with_address(fd, PRELOAD_CONNECT, addr, len,
			      addr->ss_family == AF_INET && state == PRELOAD_UNCONNECTED ? plug(fd) : 0);
	return rc == -EINPROGRESS && is_blocking(fd) ? wait_connected(fd, s) : rc;
}

DOOR int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.connect(fd, addr, len);
	struct sockaddr_storage name;
	int rc = take_name(&name, addr, len);

	if (rc != 0)
		return result(rc);
	if (hand_to_kernel(fd, s, (const struct sockaddr *)&name, len))
		return REAL.connect(fd, addr, len);
	return result(s->type == SOCK_STREAM ? connect_stream(fd, s, &name, len)
					     : ask_with_address(fd, PRELOAD_CONNECT, &name, len, 0));
}

/* --- listen and accept --- */

DOOR int listen(int fd, int backlog)
{
	struct preload_request q = { .op = PRELOAD_LISTEN, .arg = { backlog } };
	struct preload_reply r;
	const struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.listen(fd, backlog);
	int rc = renew(fd, s);

	return result(rc != 0 ? rc : ask(fd, &q, &r, NULL));
}

/* As Linux asks before it waits: a message whose descriptor finds no place loses it. */
static bool has_number_left(int fd)
{
	int other = REAL.dup(fd);

	if (other >= 0)
		(void)REAL.close(other);
	return other >= 0 || (errno != EMFILE && errno != ENFILE);
}

static int take_accepted(int fd, struct preload_accepted *a, int flags)
{
	struct preload_beside room;
	struct iovec v = { a, sizeof(*a) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room) };
	ssize_t n = REAL.recvmsg(fd, &m, flags & SOCK_CLOEXEC ? MSG_CMSG_CLOEXEC : 0);

	if (n < 0)
		return -1;
	if (n != sizeof(*a)) {
		const struct preload_slot *s = slot_of(fd);

		/* It was shut down, or the service was killed. */
		return result(s != NULL && atomic_load(&s->state) == PRELOAD_LISTENING ? -ENETDOWN : -EINVAL);
	}
	int new = preload_passed(&m);

	/* Another thread may have taken the last number: the connection is lost. */
	if (new < 0)
		return result(-EMFILE);
	/* Not of the service: whoever else has the listener's other end. */
	if (a->slot >= PRELOAD_SLOTS) {
		(void)REAL.close(new);
		return result(-ECONNABORTED);
	}
	return new;
}

DOOR int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
	struct preload_slot *s = slot_of(fd);
	struct preload_accepted a;

	if (s == NULL) {
		int other = REAL.accept4(fd, addr, len, flags);

		number_set(other, 0);
		return other;
	}
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return result(-EINVAL);
	if (s->type != SOCK_STREAM || atomic_load(&s->state) != PRELOAD_LISTENING)
		return result(s->type != SOCK_STREAM ? -EOPNOTSUPP : -EINVAL);
	int new = has_number_left(fd) ? take_accepted(fd, &a, flags) : -1;

	if (new < 0)
		return -1;
	if (!(flags & SOCK_NONBLOCK))
		(void)REAL.fcntl64(new, F_SETFL, O_RDWR);
	number_set(new, number_entry(a.slot, a.generation));
	atomic_fetch_or(&interpose()->slots[a.slot].marks, PRELOAD_TAKEN);
	if (addr != NULL && give_name(&a.remote, addr, len) != 0) {
		int error = errno;

		/* As Linux: it is lost. */
		(void)close(new);
		return result(-error);
	}
	return new;
}

DOOR int accept(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	return accept4(fd, addr, len, 0);
}

/* Those that wait in a listener's descriptor are nobody's: the service resets them. */
static void leave_accepted(int fd)
{
	struct preload_accepted a;
	int flags = REAL.fcntl64(fd, F_GETFL), new;

	(void)REAL.fcntl64(fd, F_SETFL, flags | O_NONBLOCK);
	while ((new = take_accepted(fd, &a, SOCK_CLOEXEC)) >= 0)
		(void)REAL.close(new);
	(void)REAL.fcntl64(fd, F_SETFL, flags);
}

DOOR int shutdown(int fd, int how)
{
	struct preload_request q = { .op = PRELOAD_SHUTDOWN, .arg = { how } };
	struct preload_reply r;
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.shutdown(fd, how);
	if (how < SHUT_RD || how > SHUT_RDWR)
		return result(-EINVAL);
	uint32_t state = atomic_load(&s->state);

	if (how != SHUT_WR && state != PRELOAD_CONNECTING)
		atomic_fetch_or(&s->marks, PRELOAD_ENDED);
	if (how != SHUT_RD)
		ring_close(fd);
	/* Behind the bytes that were written before. */
	if (s->type == SOCK_STREAM && state == PRELOAD_CONNECTED)
		return REAL.shutdown(fd, how);
	if (s->type == SOCK_STREAM && state == PRELOAD_DEAD)
		return result(-ENOTCONN);
	bool is_listener = state == PRELOAD_LISTENING;

	int rc = ask(fd, &q, &r, NULL);

	/* It was given up, and what became of it was asked for. */
	if (s->type == SOCK_STREAM && state == PRELOAD_CONNECTING)
		atomic_fetch_and(&s->marks, (uint16_t)~PRELOAD_UNTOLD);
	/* Now nobody comes any more; before, more could come behind the last one's back. */
	if (is_listener && how != SHUT_WR)
		leave_accepted(fd);
	if (rc == 0 && how != SHUT_RD && s->type == SOCK_DGRAM)
		atomic_fetch_or(&s->marks, PRELOAD_MUTE);
	/* Whoever waits there is woken. A datagram socket that sends no more still receives. */
	if (rc == 0 && how != SHUT_WR && !is_listener)
		(void)REAL.shutdown(fd, how == SHUT_RDWR && s->type != SOCK_STREAM ? SHUT_RD : how);
	return result(rc);
}
