/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The calls of socket.h and event.h in the shapes that BSD gave them, for code that is to be ported: without a stack, and
 * with -1 and errno. The stack is the thread's own, yg_bsd_stack, which has to be set before the first of these calls
 * and may be set to another one at any time. The library itself has no such variable: one file of the program says
 *
 *   YG_BSD_STACK;
 *
 * With YG_BSD_NAMES defined before this header is included, behind those of the system, the plain names (socket, bind,
 * read ...) are macros for these calls from there on. Numbers are the stack's own, and mean something else to the
 * kernel: a file that includes this with YG_BSD_NAMES has no files and pipes.
 *
 * errno: as Linux has it for the call, and as it was when the call succeeds. EAGAIN also from a call that would have to
 * wait where nobody has said how (yg_set_wait; yg_host_wait of linux.h); connect gives EINPROGRESS then. EPIPE comes
 * without a signal.
 */
#ifndef YANGGUAN_BSD_H
#define YANGGUAN_BSD_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include <yangguan/event.h>
#include <yangguan/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#define YG_BSD_STACK __thread struct yg_stack *yg_bsd_stack
extern YG_BSD_STACK;

static inline ssize_t yg_bsd_count(ssize_t rc)
{
	if (rc >= 0)
		return rc;
	errno = (int)-rc;
	return -1;
}

static inline int yg_bsd_result(int rc)
{
	return (int)yg_bsd_count(rc);
}

static inline int yg_bsd_socket(int domain, int type, int protocol)
{
	return yg_bsd_result(yg_socket(yg_bsd_stack, domain, type, protocol));
}

static inline int yg_bsd_close(int fd)
{
	return yg_bsd_result(yg_close(yg_bsd_stack, fd));
}

static inline int yg_bsd_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return yg_bsd_result(yg_bind(yg_bsd_stack, fd, addr, len));
}

static inline int yg_bsd_listen(int fd, int backlog)
{
	return yg_bsd_result(yg_listen(yg_bsd_stack, fd, backlog));
}

static inline int yg_bsd_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return yg_bsd_result(yg_accept(yg_bsd_stack, fd, addr, len));
}

static inline int yg_bsd_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return yg_bsd_result(yg_accept4(yg_bsd_stack, fd, addr, len, flags));
}

static inline int yg_bsd_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return yg_bsd_result(yg_connect(yg_bsd_stack, fd, addr, len));
}

static inline int yg_bsd_shutdown(int fd, int how)
{
	return yg_bsd_result(yg_shutdown(yg_bsd_stack, fd, how));
}

static inline int yg_bsd_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return yg_bsd_result(yg_getsockname(yg_bsd_stack, fd, addr, len));
}

static inline int yg_bsd_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return yg_bsd_result(yg_getpeername(yg_bsd_stack, fd, addr, len));
}

/* --- bytes --- */

static inline ssize_t yg_bsd_send(int fd, const void *bytes, size_t len, int flags)
{
	return yg_bsd_count(yg_send(yg_bsd_stack, fd, bytes, len, flags));
}

static inline ssize_t yg_bsd_sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *addr,
				    socklen_t addr_len)
{
	return yg_bsd_count(yg_sendto(yg_bsd_stack, fd, bytes, len, flags, addr, addr_len));
}

static inline ssize_t yg_bsd_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return yg_bsd_count(yg_sendmsg(yg_bsd_stack, fd, message, flags));
}

static inline int yg_bsd_sendmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
	return yg_bsd_result(yg_sendmmsg(yg_bsd_stack, fd, messages, n, flags));
}

static inline ssize_t yg_bsd_recv(int fd, void *bytes, size_t len, int flags)
{
	return yg_bsd_count(yg_recv(yg_bsd_stack, fd, bytes, len, flags));
}

static inline ssize_t yg_bsd_recvfrom(int fd, void *bytes, size_t len, int flags, struct sockaddr *addr,
				      socklen_t *addr_len)
{
	return yg_bsd_count(yg_recvfrom(yg_bsd_stack, fd, bytes, len, flags, addr, addr_len));
}

static inline ssize_t yg_bsd_recvmsg(int fd, struct msghdr *message, int flags)
{
	return yg_bsd_count(yg_recvmsg(yg_bsd_stack, fd, message, flags));
}

static inline int yg_bsd_recvmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags, struct timespec *timeout)
{
	return yg_bsd_result(yg_recvmmsg(yg_bsd_stack, fd, messages, n, flags, timeout));
}

static inline ssize_t yg_bsd_read(int fd, void *bytes, size_t len)
{
	return yg_bsd_recv(fd, bytes, len, 0);
}

static inline ssize_t yg_bsd_write(int fd, const void *bytes, size_t len)
{
	return yg_bsd_send(fd, bytes, len, 0);
}

static inline ssize_t yg_bsd_readv(int fd, const struct iovec *iov, int n)
{
	return yg_bsd_count(yg_readv(yg_bsd_stack, fd, iov, n));
}

static inline ssize_t yg_bsd_writev(int fd, const struct iovec *iov, int n)
{
	return yg_bsd_count(yg_writev(yg_bsd_stack, fd, iov, n));
}

/* --- options --- */

static inline int yg_bsd_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return yg_bsd_result(yg_setsockopt(yg_bsd_stack, fd, level, name, value, len));
}

static inline int yg_bsd_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return yg_bsd_result(yg_getsockopt(yg_bsd_stack, fd, level, name, value, len));
}

static inline int yg_bsd_ioctl(int fd, unsigned long request, void *arg)
{
	return yg_bsd_result(yg_ioctl(yg_bsd_stack, fd, request, arg));
}

/* F_GETFL, F_GETFD; F_SETFL and F_SETFD with an int. */
static inline int yg_bsd_fcntl(int fd, int command, ...)
{
	va_list args;

	va_start(args, command);
	long arg = command == F_SETFL ? va_arg(args, int) : 0;
	va_end(args);
	return yg_bsd_result(yg_fcntl(yg_bsd_stack, fd, command, arg));
}

/* --- events --- */

static inline int yg_bsd_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return yg_bsd_result(yg_poll(yg_bsd_stack, fds, n, timeout_ms));
}

/* flags: EPOLL_CLOEXEC, which is of no account. */
static inline int yg_bsd_epoll_create1(int flags)
{
	return yg_bsd_result((flags & ~EPOLL_CLOEXEC) != 0 ? -EINVAL : yg_epoll_create(yg_bsd_stack));
}

static inline int yg_bsd_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	return yg_bsd_result(yg_epoll_ctl(yg_bsd_stack, epoll, op, fd, event));
}

static inline int yg_bsd_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	return yg_bsd_result(yg_epoll_wait(yg_bsd_stack, epoll, events, max, timeout_ms));
}

#ifdef __cplusplus
}
#endif

#ifdef YG_BSD_NAMES
#define socket yg_bsd_socket
#define close yg_bsd_close
#define bind yg_bsd_bind
#define listen yg_bsd_listen
#define accept yg_bsd_accept
#define accept4 yg_bsd_accept4
#define connect yg_bsd_connect
#define shutdown yg_bsd_shutdown
#define getsockname yg_bsd_getsockname
#define getpeername yg_bsd_getpeername
#define send yg_bsd_send
#define sendto yg_bsd_sendto
#define sendmsg yg_bsd_sendmsg
#define sendmmsg yg_bsd_sendmmsg
#define recv yg_bsd_recv
#define recvfrom yg_bsd_recvfrom
#define recvmsg yg_bsd_recvmsg
#define recvmmsg yg_bsd_recvmmsg
#define read yg_bsd_read
#define write yg_bsd_write
#define readv yg_bsd_readv
#define writev yg_bsd_writev
#define setsockopt yg_bsd_setsockopt
#define getsockopt yg_bsd_getsockopt
#define ioctl yg_bsd_ioctl
#define fcntl yg_bsd_fcntl
#define poll yg_bsd_poll
#define epoll_create1 yg_bsd_epoll_create1
#define epoll_ctl yg_bsd_epoll_ctl
#define epoll_wait yg_bsd_epoll_wait
#endif

#endif
