/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sockets of a stack: the calls of socket(7) with the stack first, Linux's types and constants,
 * and results of 0, a count or a number, or -errno. Numbers are the stack's own, from 3 on.
 *
 * A socket is blocking at first, as everywhere; it waits only if yg_set_wait was called (stack.h).
 */
#ifndef YANGGUAN_SOCKET_H
#define YANGGUAN_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <yangguan/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Number of no interface: what stays in the stack, as by Linux's lo, of memberships, IP_MULTICAST_IF and IP_PKTINFO.
 * What came so has 0 in IP_PKTINFO. */
#define YG_IFINDEX_LOOPBACK INT32_MAX

struct yg_stack;
struct timespec;
struct mmsghdr;

YG_API int yg_socket(struct yg_stack *stack, int domain, int type, int protocol);
/* Never waits; the number may be given again at once. */
YG_API int yg_close(struct yg_stack *stack, int fd);
YG_API int yg_bind(struct yg_stack *stack, int fd, const struct sockaddr *addr, socklen_t len);
YG_API int yg_listen(struct yg_stack *stack, int fd, int backlog);
/* For whoever accepts for others: so many connections that were accepted from fd wait still until one of those takes them.
 * The backlog counts them, 0 at first. -EINVAL: it does not listen. */
YG_API int yg_listen_hold(struct yg_stack *stack, int fd, unsigned int n);
YG_API int yg_accept(struct yg_stack *stack, int fd, struct sockaddr *addr, socklen_t *len);
YG_API int yg_accept4(struct yg_stack *stack, int fd, struct sockaddr *addr, socklen_t *len, int flags);
YG_API int yg_connect(struct yg_stack *stack, int fd, const struct sockaddr *addr, socklen_t len);
YG_API int yg_shutdown(struct yg_stack *stack, int fd, int how);
YG_API int yg_getsockname(struct yg_stack *stack, int fd, struct sockaddr *addr, socklen_t *len);
YG_API int yg_getpeername(struct yg_stack *stack, int fd, struct sockaddr *addr, socklen_t *len);

YG_API ssize_t yg_send(struct yg_stack *stack, int fd, const void *bytes, size_t len, int flags);
YG_API ssize_t yg_sendto(struct yg_stack *stack, int fd, const void *bytes, size_t len, int flags,
			 const struct sockaddr *addr, socklen_t addr_len);
YG_API ssize_t yg_sendmsg(struct yg_stack *stack, int fd, const struct msghdr *message, int flags);
YG_API int yg_sendmmsg(struct yg_stack *stack, int fd, struct mmsghdr *messages, unsigned int n, int flags);
YG_API ssize_t yg_recv(struct yg_stack *stack, int fd, void *bytes, size_t len, int flags);
YG_API ssize_t yg_recvfrom(struct yg_stack *stack, int fd, void *bytes, size_t len, int flags, struct sockaddr *addr,
			   socklen_t *addr_len);
YG_API ssize_t yg_recvmsg(struct yg_stack *stack, int fd, struct msghdr *message, int flags);
YG_API int yg_recvmmsg(struct yg_stack *stack, int fd, struct mmsghdr *messages, unsigned int n, int flags,
		       struct timespec *timeout);
YG_API ssize_t yg_readv(struct yg_stack *stack, int fd, const struct iovec *iov, int n);
YG_API ssize_t yg_writev(struct yg_stack *stack, int fd, const struct iovec *iov, int n);

YG_API int yg_setsockopt(struct yg_stack *stack, int fd, int level, int name, const void *value, socklen_t len);
YG_API int yg_getsockopt(struct yg_stack *stack, int fd, int level, int name, void *value, socklen_t *len);
/* Of an int; of a timeval or a timespec with SIOCGSTAMP and SIOCGSTAMPNS: when the datagram had come that was read last (ENOENT:
 * none was). */
YG_API int yg_ioctl(struct yg_stack *stack, int fd, unsigned long request, void *arg);
/* F_GETFL, F_SETFL; F_SETFD, which changes nothing, as F_GETFD is FD_CLOEXEC. */
YG_API int yg_fcntl(struct yg_stack *stack, int fd, int command, long arg);

#ifdef __cplusplus
}
#endif

#endif
