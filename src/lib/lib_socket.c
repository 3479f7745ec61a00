/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The socket calls of the public headers: those of src/stack/socket, in the system's
 * types. That these are laid out as ours is asserted in abi_test.c.
 */
#include <yangguan/event.h>
#include <yangguan/socket.h>
#include <yangguan/zerocopy.h>

#include "lib/lib_priv.h"

/* A call between entering and leaving. */
#define WITHIN(type, call) \
	lib_enter(s); \
	type rc = (call); \
	lib_leave(s); \
	return rc

int yg_socket(struct yg_stack *s, int domain, int type, int protocol)
{
	WITHIN(int, socket_open(s->ss, domain, type, protocol));
}

int lib_close(struct yg_stack *s, int fd)
{
	if (fd >= 0) {
		lib_completion_forget(s, fd);
		lib_trace_end(s, fd);
	}
	return socket_close(s->ss, fd);
}

int yg_close(struct yg_stack *s, int fd)
{
	WITHIN(int, lib_close(s, fd));
}

int yg_bind(struct yg_stack *s, int fd, const struct sockaddr *addr, socklen_t len)
{
	WITHIN(int, socket_bind(s->ss, fd, addr, len));
}

int yg_listen(struct yg_stack *s, int fd, int backlog)
{
	WITHIN(int, socket_listen(s->ss, fd, backlog));
}

int yg_listen_hold(struct yg_stack *s, int fd, unsigned int n)
{
	WITHIN(int, socket_listen_hold(s->ss, fd, n));
}

int yg_accept(struct yg_stack *s, int fd, struct sockaddr *addr, socklen_t *len)
{
	return yg_accept4(s, fd, addr, len, 0);
}

int yg_accept4(struct yg_stack *s, int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	WITHIN(int, socket_accept(s->ss, fd, addr, len, flags));
}

int yg_connect(struct yg_stack *s, int fd, const struct sockaddr *addr, socklen_t len)
{
	WITHIN(int, socket_connect(s->ss, fd, addr, len));
}

int yg_shutdown(struct yg_stack *s, int fd, int how)
{
	WITHIN(int, socket_shutdown(s->ss, fd, how));
}

int yg_getsockname(struct yg_stack *s, int fd, struct sockaddr *addr, socklen_t *len)
{
	return socket_name(s->ss, fd, addr, len);
}

int yg_getpeername(struct yg_stack *s, int fd, struct sockaddr *addr, socklen_t *len)
{
	return socket_peer(s->ss, fd, addr, len);
}

/* --- bytes --- */

ssize_t yg_send(struct yg_stack *s, int fd, const void *bytes, size_t len, int flags)
{
	WITHIN(ssize_t, socket_send(s->ss, fd, bytes, len, flags));
}

ssize_t yg_sendto(struct yg_stack *s, int fd, const void *bytes, size_t len, int flags, const struct sockaddr *addr,
		  socklen_t addr_len)
{
	WITHIN(ssize_t, socket_sendto(s->ss, fd, bytes, len, flags, addr, addr_len));
}

ssize_t yg_sendmsg(struct yg_stack *s, int fd, const struct msghdr *message, int flags)
{
	WITHIN(ssize_t, socket_sendmsg(s->ss, fd, (const struct yg_msghdr *)(const void *)message, flags));
}

int yg_sendmmsg(struct yg_stack *s, int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
	WITHIN(int, socket_sendmmsg(s->ss, fd, (struct yg_mmsghdr *)(void *)messages, n, flags));
}

ssize_t yg_recv(struct yg_stack *s, int fd, void *bytes, size_t len, int flags)
{
	WITHIN(ssize_t, socket_recv(s->ss, fd, bytes, len, flags));
}

ssize_t yg_recvfrom(struct yg_stack *s, int fd, void *bytes, size_t len, int flags, struct sockaddr *addr,
		    socklen_t *addr_len)
{
	WITHIN(ssize_t, socket_recvfrom(s->ss, fd, bytes, len, flags, addr, addr_len));
}

ssize_t yg_recvmsg(struct yg_stack *s, int fd, struct msghdr *message, int flags)
{
	WITHIN(ssize_t, socket_recvmsg(s->ss, fd, (struct yg_msghdr *)(void *)message, flags));
}

int yg_recvmmsg(struct yg_stack *s, int fd, struct mmsghdr *messages, unsigned int n, int flags,
		struct timespec *timeout)
{
	struct yg_timespec t = { 0, 0 };

	if (timeout != NULL)
		memcpy(&t, timeout, sizeof(t));
	uint64_t ns = timeout == NULL ? TIME_NEVER : (uint64_t)t.s * NS_PER_S + (uint64_t)t.ns;

	WITHIN(int, socket_recvmmsg(s->ss, fd, (struct yg_mmsghdr *)(void *)messages, n, flags, ns));
}

ssize_t yg_readv(struct yg_stack *s, int fd, const struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n < 0 ? SIZE_MAX : (size_t)n };

	return yg_recvmsg(s, fd, &m, 0);
}

ssize_t yg_writev(struct yg_stack *s, int fd, const struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n < 0 ? SIZE_MAX : (size_t)n };

	return yg_sendmsg(s, fd, &m, 0);
}

int yg_send_reserve(struct yg_stack *s, int fd, struct iovec *room)
{
	WITHIN(int, socket_reserve(s->ss, fd, (struct span *)(void *)room));
}

int yg_send_commit(struct yg_stack *s, int fd, size_t len, int flags)
{
	WITHIN(int, socket_commit(s->ss, fd, len, flags));
}

int yg_recv_peek(struct yg_stack *s, int fd, struct iovec *pieces, int n)
{
	return socket_peek(s->ss, fd, (struct span *)(void *)pieces, n);
}

int yg_recv_release(struct yg_stack *s, int fd, size_t len)
{
	WITHIN(int, socket_release(s->ss, fd, len));
}

/* --- options --- */

int yg_setsockopt(struct yg_stack *s, int fd, int level, int name, const void *value, socklen_t len)
{
	WITHIN(int, socket_set_option(s->ss, fd, level, name, value, len));
}

int yg_getsockopt(struct yg_stack *s, int fd, int level, int name, void *value, socklen_t *len)
{
	return socket_get_option(s->ss, fd, level, name, value, len);
}

int yg_ioctl(struct yg_stack *s, int fd, unsigned long request, void *arg)
{
	return socket_ioctl(s->ss, fd, request, arg);
}

int yg_fcntl(struct yg_stack *s, int fd, int command, long arg)
{
	return socket_fcntl(s->ss, fd, command, arg);
}

/* --- events --- */

static uint64_t ns_of(int timeout_ms)
{
	return timeout_ms < 0 ? TIME_NEVER : (uint64_t)timeout_ms * NS_PER_MS;
}

int yg_poll(struct yg_stack *s, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	WITHIN(int, socket_poll(s->ss, (struct yg_pollfd *)(void *)fds, (uint32_t)n, ns_of(timeout_ms)));
}

int yg_epoll_create(struct yg_stack *s)
{
	return socket_epoll_create(s->ss);
}

int yg_epoll_ctl(struct yg_stack *s, int epoll, int op, int fd, const struct epoll_event *event)
{
	WITHIN(int, socket_epoll_ctl(s->ss, epoll, op, fd, (const struct yg_epoll_event *)(const void *)event));
}

int yg_epoll_wait(struct yg_stack *s, int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	WITHIN(int, socket_epoll_wait(s->ss, epoll, (struct yg_epoll_event *)(void *)events, max, ns_of(timeout_ms)));
}
