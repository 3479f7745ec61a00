/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The interface of drill.h: libyangguan's calls, in the manner of the system's. Before each the
 * sysctls are looked at, behind each whoever waits looks whether it is over.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <yangguan/event.h>
#include <yangguan/packet.h>
#include <yangguan/socket.h>

#include "base/util.h"
#include "lib/lib_priv.h"
#include "drill.h"

/* 2001, well away from every number's wrap. */
#define FIRST_NOW (1000000000ull * NS_PER_S)
/* A packet that did not come by then will not. */
#define PATIENCE (1000 * NS_PER_S)

static struct drill *enter(void *user)
{
	struct drill *d = user;

	pthread_mutex_lock(&d->lock);
	drill_follow_sysctls(d->tcp);
	return d;
}

static ssize_t leave(struct drill *d, ssize_t rc)
{
	if (pthread_equal(pthread_self(), d->main))
		drill_settle(d);
	pthread_mutex_unlock(&d->lock);
	if (rc >= 0)
		return rc;
	errno = (int)-rc;
	return -1;
}

static int leave_with_number(struct drill *d, int rc)
{
	return (int)leave(d, rc >= 0 ? rc + DRILL_FD : rc);
}

static int call_socket(void *user, int domain, int type, int protocol)
{
	struct drill *d = enter(user);

	return leave_with_number(d, yg_socket(d->stack, domain, type, protocol));
}

static int call_bind(void *user, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_bind(d->stack, fd - DRILL_FD, addr, len));
}

static int call_listen(void *user, int fd, int backlog)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_listen(d->stack, fd - DRILL_FD, backlog));
}

static int call_accept(void *user, int fd, struct sockaddr *addr, socklen_t *len)
{
	struct drill *d = enter(user);

	return leave_with_number(d, yg_accept(d->stack, fd - DRILL_FD, addr, len));
}

static int call_connect(void *user, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_connect(d->stack, fd - DRILL_FD, addr, len));
}

static ssize_t call_recvfrom(void *user, int fd, void *bytes, size_t len, int flags, struct sockaddr *addr,
			     socklen_t *addr_len)
{
	struct drill *d = enter(user);

	return leave(d, yg_recvfrom(d->stack, fd - DRILL_FD, bytes, len, flags, addr, addr_len));
}

static ssize_t call_recv(void *user, int fd, void *bytes, size_t len, int flags)
{
	return call_recvfrom(user, fd, bytes, len, flags, NULL, NULL);
}

static ssize_t call_read(void *user, int fd, void *bytes, size_t len)
{
	return call_recvfrom(user, fd, bytes, len, 0, NULL, NULL);
}

static ssize_t call_readv(void *user, int fd, const struct iovec *iov, int n)
{
	struct drill *d = enter(user);

	return leave(d, yg_readv(d->stack, fd - DRILL_FD, iov, n));
}

static ssize_t call_recvmsg(void *user, int fd, struct msghdr *m, int flags)
{
	struct drill *d = enter(user);

	return leave(d, yg_recvmsg(d->stack, fd - DRILL_FD, m, flags));
}

static ssize_t call_sendto(void *user, int fd, const void *bytes, size_t len, int flags, const struct sockaddr *addr,
			   socklen_t addr_len)
{
	struct drill *d = enter(user);

	return leave(d, yg_sendto(d->stack, fd - DRILL_FD, bytes, len, flags, addr, addr_len));
}

static ssize_t call_send(void *user, int fd, const void *bytes, size_t len, int flags)
{
	return call_sendto(user, fd, bytes, len, flags, NULL, 0);
}

static ssize_t call_write(void *user, int fd, const void *bytes, size_t len)
{
	return call_sendto(user, fd, bytes, len, 0, NULL, 0);
}

static ssize_t call_writev(void *user, int fd, const struct iovec *iov, int n)
{
	struct drill *d = enter(user);

	return leave(d, yg_writev(d->stack, fd - DRILL_FD, iov, n));
}

static ssize_t call_sendmsg(void *user, int fd, const struct msghdr *m, int flags)
{
	struct drill *d = enter(user);

	return leave(d, yg_sendmsg(d->stack, fd - DRILL_FD, m, flags));
}

static int call_fcntl(void *user, int fd, int command, ...)
{
	struct drill *d = enter(user);
	va_list args;

	va_start(args, command);
	long arg = va_arg(args, long);

	va_end(args);
	return (int)leave(d, yg_fcntl(d->stack, fd - DRILL_FD, command, arg));
}

static int call_ioctl(void *user, int fd, unsigned long request, ...)
{
	struct drill *d = enter(user);
	va_list args;

	va_start(args, request);
	void *arg = va_arg(args, void *);

	va_end(args);
	return (int)leave(d, yg_ioctl(d->stack, fd - DRILL_FD, request, arg));
}

int drill_close(void *user, int fd)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_close(d->stack, fd - DRILL_FD));
}

static int call_shutdown(void *user, int fd, int how)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_shutdown(d->stack, fd - DRILL_FD, how));
}

int drill_getsockopt(void *user, int fd, int level, int name, void *value, socklen_t *len)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_getsockopt(d->stack, fd - DRILL_FD, level, name, value, len));
}

static int call_setsockopt(void *user, int fd, int level, int name, const void *value, socklen_t len)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_setsockopt(d->stack, fd - DRILL_FD, level, name, value, len));
}

static int call_poll(void *user, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct drill *d = enter(user);

	for (nfds_t i = 0; i < n; i++)
		fds[i].fd -= fds[i].fd >= DRILL_FD ? DRILL_FD : 0;
	int rc = yg_poll(d->stack, fds, n, timeout_ms);

	for (nfds_t i = 0; i < n; i++)
		fds[i].fd += fds[i].fd >= 0 ? DRILL_FD : 0;
	return (int)leave(d, rc);
}

static int call_epoll_create(void *user, int size)
{
	struct drill *d = enter(user);

	return leave_with_number(d, size > 0 ? yg_epoll_create(d->stack) : -EINVAL);
}

static int call_epoll_ctl(void *user, int epoll, int op, int fd, struct epoll_event *event)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_epoll_ctl(d->stack, epoll - DRILL_FD, op, fd - DRILL_FD, event));
}

static int call_epoll_wait(void *user, int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_epoll_wait(d->stack, epoll - DRILL_FD, events, max, timeout_ms));
}

static int call_pipe(void *user, int fds[2])
{
	errno = ENOSYS;
	return -1;
}

static int call_splice(void *user, int in, loff_t *in_off, int out, loff_t *out_off, size_t len, unsigned int flags)
{
	errno = ENOSYS;
	return -1;
}

/* --- packets and time --- */

static int call_netdev_send(void *user, const void *bytes, size_t len)
{
	struct drill *d = enter(user);

	return (int)leave(d, yg_input_bytes(d->stack, bytes, len, d->now));
}

static int call_netdev_receive(void *user, void *bytes, size_t *len, long long *usecs)
{
	struct drill *d = enter(user);
	uint64_t end = d->now + PATIENCE;

	while (d->first == NULL && drill_next(d) <= end)
		drill_advance(d, drill_next(d));
	struct drill_packet *p = d->first;

	if (p == NULL) {
		fprintf(stderr, "yangguan: sends nothing any more\n");
		*len = 0;
		return (int)leave(d, 0);
	}
	d->first = p->next;
	*len = p->len < *len ? p->len : *len;
	memcpy(bytes, p->bytes, *len);
	*usecs = p->usecs;
	free(p);
	return (int)leave(d, 0);
}

static int call_usleep(void *user, useconds_t usecs)
{
	struct drill *d = enter(user);

	drill_advance(d, d->now + usecs * NS_PER_US);
	return (int)leave(d, 0);
}

static int call_gettimeofday(void *user, struct timeval *tv, struct timezone *tz)
{
	struct drill *d = user;

	pthread_mutex_lock(&d->lock);
	if (d->is_within && !pthread_equal(pthread_self(), d->main)) {
		d->is_within = false;
		pthread_cond_broadcast(&d->settled);
	} else {
		drill_advance(d, d->now + NS_PER_US);
	}
	tv->tv_sec = (time_t)(d->now / NS_PER_S);
	tv->tv_usec = (suseconds_t)(d->now % NS_PER_S / NS_PER_US);
	return (int)leave(d, 0);
}

/* --- life --- */

static void call_free(void *user)
{
	struct drill *d = user;

	drill_only = NULL;
	yg_stack_destroy(d->stack);
	for (struct drill_packet *p; (p = d->first) != NULL; free(p))
		d->first = p->next;
	pthread_cond_destroy(&d->woken);
	pthread_cond_destroy(&d->settled);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static struct drill *create(const char *flags)
{
	char address[64] = "192.168.0.1/16", gateway[64] = "192.168.255.254";
	unsigned int mtu = 1500;
	struct drill *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	if (flags != NULL)
		sscanf(flags, "%63[^,],%63[^,],%u", address, gateway, &mtu);
	/* The tool holds all memory of its process in place, and ours is mostly room that nobody touches. */
	munlockall();
	d->now = FIRST_NOW;
	d->main = pthread_self();
	d->wait_until = DRILL_NEVER;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->woken, NULL);
	pthread_cond_init(&d->settled, NULL);
	d->stack = yg_stack_create(&(struct yg_stack_config){ .size = sizeof(struct yg_stack_config),
							      .output = drill_output,
							      .ctx = d,
							      .seed = "no secret: a tool reads them",
							      .now = d->now,
							      .mtu = mtu,
							      .address = address,
							      .gateway = gateway,
							      .n_sockets = 256,
							      .n_packets = 8192 });
	if (d->stack == NULL) {
		free(d);
		return NULL;
	}
	yg_set_wait(d->stack, drill_wait, d);
	d->tcp = tcp_config(sockets_tcp(d->stack->ss));
	return d;
}

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *out)
{
	struct drill *d = create(flags);

	if (d == NULL) {
		fprintf(stderr, "yangguan: no stack of '%s'\n", flags != NULL ? flags : "");
		exit(1);
	}
	drill_only = d;
	*out = (struct packetdrill_interface){
		.userdata = d,
		.free = call_free,
		.socket = call_socket,
		.bind = call_bind,
		.listen = call_listen,
		.accept = call_accept,
		.connect = call_connect,
		.read = call_read,
		.readv = call_readv,
		.recv = call_recv,
		.recvfrom = call_recvfrom,
		.recvmsg = call_recvmsg,
		.write = call_write,
		.writev = call_writev,
		.send = call_send,
		.sendto = call_sendto,
		.sendmsg = call_sendmsg,
		.fcntl = call_fcntl,
		.ioctl = call_ioctl,
		.close = drill_close,
		.shutdown = call_shutdown,
		.getsockopt = drill_getsockopt,
		.setsockopt = call_setsockopt,
		.poll = call_poll,
		.netdev_send = call_netdev_send,
		.netdev_receive = call_netdev_receive,
		.usleep = call_usleep,
		.gettimeofday = call_gettimeofday,
		.epoll_create = call_epoll_create,
		.epoll_ctl = call_epoll_ctl,
		.epoll_wait = call_epoll_wait,
		.pipe = call_pipe,
		.splice = call_splice,
	};
}
