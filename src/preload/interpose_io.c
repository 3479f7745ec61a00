/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes. Of a connection they are the descriptor's own; what is added is what a pair of descriptors cannot say: why a
 * connection has ended, and that there is none yet. Where the descriptor gives an end (read) or EPIPE (write), the slot
 * is asked for an error, which the call returns instead, as TCP would. What is written goes by a ring when there is one
 * (interpose_ring.c), and what finds no room there by the descriptor.
 *
 * The forms that glibc has for programs built with _FORTIFY_SOURCE (__read_chk ...) check the room first, as theirs do.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include "preload/preload_beside.h"

#define REAL (*real_calls())

/* --- streams --- */

#define AN_END 1

/* Before reading: 0, -errno when there is no connection to read of, or AN_END when none came of connect. */
static int may_recv(struct preload_slot *s)
{
	uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);

	if (state != PRELOAD_UNCONNECTED && state != PRELOAD_LISTENING)
		return 0;
	int error = take_error(s);

	return error != 0 ? -error : atomic_load(&s->marks) & PRELOAD_SPENT ? AN_END : -ENOTCONN;
}

/* For what may_recv says. */
static int not_received(int rc)
{
	return rc == AN_END ? 0 : result(rc);
}

static ssize_t after_recv(struct preload_slot *s, ssize_t n, size_t wanted)
{
	if (n > 0 || (n == 0 && wanted == 0) || (n < 0 && errno != ECONNRESET))
		return n;
	int error = take_error(s);

	/* Nobody has said that it ends, but it does: the service was killed. */
	if (error == 0 && !(atomic_load(&s->marks) & PRELOAD_ENDED) && atomic_load(&s->state) != PRELOAD_DEAD)
		error = ECONNRESET;
	return result(-error);
}

static ssize_t broken_pipe(int flags)
{
	if (!(flags & MSG_NOSIGNAL))
		(void)raise(SIGPIPE);
	return result(-EPIPE);
}

/* Before writing: 0, or -1 and errno. */
static int may_send(struct preload_slot *s, int flags)
{
	int error = take_error(s);

	if (error != 0)
		return result(-error);
	uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);

	return state == PRELOAD_UNCONNECTED || state == PRELOAD_LISTENING ? (int)broken_pipe(flags) : 0;
}

static ssize_t after_send(struct preload_slot *s, ssize_t n)
{
	if (n >= 0 || (errno != EPIPE && errno != ECONNRESET))
		return n;
	int error = take_error(s);

	if (error != 0 || errno == ECONNRESET)
		errno = error != 0 ? error : EPIPE;
	return -1;
}

/* MSG_TRUNC of a stream: so many are dropped, and none is given; with MSG_PEEK they are only counted. */
static ssize_t stream_drop(int fd, size_t len, int flags)
{
	char bytes[16384];
	size_t sum = 0;
	int there = 0;

	if (flags & MSG_PEEK) {
		ssize_t n = REAL.recv(fd, bytes, len < 1 ? len : 1, flags & ~MSG_TRUNC);

		if (n <= 0 || REAL.ioctl(fd, FIONREAD, &there) != 0)
			return n;
		return (size_t)there < len ? there : (ssize_t)len;
	}
	for (;;) {
		size_t wanted = len - sum < sizeof(bytes) ? len - sum : sizeof(bytes);
		bool waits = sum == 0 || flags & MSG_WAITALL;
		ssize_t n = REAL.recv(fd, bytes, wanted, (flags & ~MSG_TRUNC) | (waits ? 0 : MSG_DONTWAIT));

		if (n <= 0)
			return sum > 0 ? (ssize_t)sum : n;
		sum += (size_t)n;
		if (sum == len || (size_t)n < wanted)
			return (ssize_t)sum;
	}
}

static ssize_t stream_recv(int fd, struct preload_slot *s, struct msghdr *m, int flags)
{
	int rc = may_recv(s);

	if (rc != 0)
		return not_received(rc);
	if (flags & MSG_ERRQUEUE)
		return result(-EAGAIN);
	/* They come in line: there are none beside it. */
	if (flags & MSG_OOB)
		return result(-EINVAL);
	struct msghdr in = { .msg_iov = m->msg_iov, .msg_iovlen = m->msg_iovlen };
	ssize_t n;

	if (flags & MSG_TRUNC)
		n = stream_drop(fd, bytes_of(m), flags);
	else if (m->msg_iovlen == 1) /* as in stream_send */
		n = REAL.recv(fd, m->msg_iov->iov_base, m->msg_iov->iov_len, flags);
	else
		n = REAL.recvmsg(fd, &in, flags);
	n = after_recv(s, n, bytes_of(m));
	/* A call that fails leaves them as they were. */
	if (n >= 0) {
		m->msg_namelen = 0;
		m->msg_controllen = 0;
		m->msg_flags = in.msg_flags;
	}
	return n;
}

/* The last byte is urgent. It goes with at most as many before it as fit into a request. */
static ssize_t stream_send_urgent(int fd, const struct msghdr *m)
{
	struct preload_request q = { .op = PRELOAD_URGENT };
	struct preload_reply r;

	for (size_t i = 0; i < m->msg_iovlen && q.len < sizeof(q.value); i++) {
		size_t n = m->msg_iov[i].iov_len, room = sizeof(q.value) - q.len;

		n = n < room ? n : room;
		if (n > 0)
			memcpy(q.value + q.len, m->msg_iov[i].iov_base, n);
		q.len += (uint32_t)n;
	}
	return result(ask(fd, &q, &r, NULL));
}

#define FEW 16

/* What found no room in the ring goes after it; errors of that are the next call's. */
static ssize_t send_rest(int fd, const struct iovec *v, size_t n_pieces, size_t at, int flags)
{
	struct iovec rest[FEW];
	struct msghdr m = { .msg_iov = rest };

	for (size_t i = 0; i < n_pieces; i++) {
		size_t skip = at < v[i].iov_len ? at : v[i].iov_len;

		at -= skip;
		if (v[i].iov_len > skip)
			rest[m.msg_iovlen++] = (struct iovec){ (char *)v[i].iov_base + skip, v[i].iov_len - skip };
	}
	return REAL.sendmsg(fd, &m, flags | MSG_NOSIGNAL);
}

static ssize_t stream_send(int fd, struct preload_slot *s, const struct msghdr *m, int flags)
{
	struct msghdr out = { .msg_iov = m->msg_iov, .msg_iovlen = m->msg_iovlen };

	if (may_send(s, flags) != 0)
		return -1;
	if (flags & MSG_OOB)
		return stream_send_urgent(fd, m);
	flags &= MSG_DONTWAIT | MSG_NOSIGNAL;
	size_t n = m->msg_iovlen <= FEW ? ring_put(fd, s, m->msg_iov, m->msg_iovlen) : 0;

	if (n > 0 && n < bytes_of(m)) {
		ssize_t more = send_rest(fd, m->msg_iov, m->msg_iovlen, n, flags);

		return (ssize_t)n + (more > 0 ? more : 0);
	}
	if (n > 0)
		return (ssize_t)n;
	/* What has forbidden itself system calls has not forbidden that. */
	if (flags == 0 && m->msg_iovlen == 1)
		return after_send(s, REAL.write(fd, m->msg_iov->iov_base, m->msg_iov->iov_len));
	/* The kernel looks longer at a message than at one piece. */
	if (m->msg_iovlen == 1)
		return after_send(s, REAL.send(fd, m->msg_iov->iov_base, m->msg_iov->iov_len, flags));
	return after_send(s, REAL.sendmsg(fd, &out, flags));
}

/* --- either --- */

/* What a message points to, as far as it costs nothing to see; has_name: its name is looked at at all. 0 or -errno. */
static int look_at(const struct msghdr *m, bool has_name)
{
	if ((int)m->msg_namelen < 0 && m->msg_name != NULL)
		return -EINVAL;
	if (m->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	return is_nowhere(m->msg_iov, m->msg_iovlen * sizeof(*m->msg_iov)) ||
			       (m->msg_control != NULL && is_nowhere(m->msg_control, m->msg_controllen)) ||
			       (has_name && m->msg_name != NULL && is_nowhere(m->msg_name, m->msg_namelen))
		       ? -EFAULT
		       : 0;
}

static ssize_t any_recv(int fd, struct preload_slot *s, struct msghdr *m, int flags)
{
	int rc = look_at(m, s->type != SOCK_STREAM);

	if (rc != 0)
		return result(rc);
	return s->type == SOCK_STREAM ? stream_recv(fd, s, m, flags) : datagram_recv(fd, s, m, flags);
}

static ssize_t any_send(int fd, struct preload_slot *s, const struct msghdr *m, int flags)
{
	int rc = look_at(m, true);

	if (rc != 0)
		return result(rc);
	return s->type == SOCK_STREAM ? stream_send(fd, s, m, flags) : datagram_send(fd, s, m, flags);
}

DOOR ssize_t read(int fd, void *bytes, size_t len)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.read(fd, bytes, len);
	if (s->type == SOCK_STREAM) {
		int rc = may_recv(s);

		return rc != 0 ? not_received(rc) : after_recv(s, REAL.read(fd, bytes, len), len);
	}
	struct iovec v = { bytes, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return datagram_recv(fd, s, &m, 0);
}

DOOR ssize_t write(int fd, const void *bytes, size_t len)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.write(fd, bytes, len);
	struct iovec v = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return any_send(fd, s, &m, 0);
}

DOOR ssize_t readv(int fd, const struct iovec *v, int n)
{
	struct preload_slot *s = slot_of(fd);
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = n < 0 ? SIZE_MAX : (size_t)n };

	if (s == NULL || n < 0 || n > 1024)
		return REAL.readv(fd, v, n);
	return any_recv(fd, s, &m, 0);
}

DOOR ssize_t writev(int fd, const struct iovec *v, int n)
{
	struct preload_slot *s = slot_of(fd);
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = n < 0 ? SIZE_MAX : (size_t)n };

	if (s == NULL || n < 0 || n > 1024)
		return REAL.writev(fd, v, n);
	return any_send(fd, s, &m, 0);
}

/* With flags, and a place that a socket must not have (-1). */
DOOR ssize_t preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	const struct preload_slot *s = slot_of(fd);

	return s != NULL && at == -1 && flags == 0 ? readv(fd, v, n) : REAL.preadv2(fd, v, n, at, flags);
}

DOOR ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	const struct preload_slot *s = slot_of(fd);

	return s != NULL && at == -1 && flags == 0 ? writev(fd, v, n) : REAL.pwritev2(fd, v, n, at, flags);
}

DOOR ssize_t recvfrom(int fd, void *restrict bytes, size_t len, int flags, struct sockaddr *restrict addr,
		      socklen_t *restrict addr_len)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.recvfrom(fd, bytes, len, flags, addr, addr_len);
	if (addr != NULL && is_nowhere(addr_len, sizeof(*addr_len)))
		return result(-EFAULT);
	struct iovec v = { bytes, len };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_name = addr, .msg_namelen = addr != NULL ? *addr_len : 0
	};
	ssize_t n = any_recv(fd, s, &m, flags);

	if (n >= 0 && addr != NULL)
		*addr_len = m.msg_namelen;
	return n;
}

DOOR ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
	return recvfrom(fd, bytes, len, flags, NULL, NULL);
}

/* Descriptors that come by a socket of the kernel's may be ours. */
static void adopt_passed(struct msghdr *m)
{
	int fd;

	for (size_t i = 0; (fd = preload_passed_at(m, i)) >= 0; i++)
		number_adopt(fd);
}

DOOR ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	struct preload_slot *s = slot_of(fd);

	if (s != NULL)
		return is_nowhere(m, sizeof(*m)) ? result(-EFAULT) : any_recv(fd, s, m, flags);
	ssize_t n = REAL.recvmsg(fd, m, flags);

	if (n >= 0 && interpose()->slots != NULL && m->msg_controllen > 0)
		adopt_passed(m);
	return n;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The time is looked at behind each message, as Linux does. */
DOOR int recvmmsg(int fd, struct mmsghdr *all, unsigned int n, int flags, struct timespec *limit)
{
	struct preload_slot *s = slot_of(fd);
	unsigned int i = 0;

	if (s == NULL)
		return REAL.recvmmsg(fd, all, n, flags, limit);
	struct timespec t = { 0, 0 };
	struct mmsghdr first;

	if ((limit != NULL && !user_get(&t, limit, sizeof(t))) || (n > 0 && !user_get(&first, all, sizeof(first))))
		return result(-EFAULT);
	if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec >= 1000000000)
		return result(-EINVAL);
	uint64_t end = limit != NULL ? now_ns() + (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec : UINT64_MAX;

	while (i < n) {
		ssize_t got = any_recv(fd, s, &all[i].msg_hdr, flags & ~MSG_WAITFORONE);

		if (got < 0)
			break;
		all[i++].msg_len = (unsigned int)got;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (limit != NULL && now_ns() >= end)
			break;
	}
	return i > 0 || n == 0 ? (int)i : -1;
}

DOOR ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *addr, socklen_t addr_len)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.sendto(fd, bytes, len, flags, addr, addr_len);
	struct iovec v = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_name = (void *)(uintptr_t)addr,
			    .msg_namelen = addr != NULL ? addr_len : 0 };

	return any_send(fd, s, &m, flags);
}

DOOR ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	return sendto(fd, bytes, len, flags, NULL, 0);
}

DOOR ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct preload_slot *s = slot_of(fd);

	if (s == NULL)
		return REAL.sendmsg(fd, m, flags);
	return is_nowhere(m, sizeof(*m)) ? result(-EFAULT) : any_send(fd, s, m, flags);
}

DOOR int sendmmsg(int fd, struct mmsghdr *all, unsigned int n, int flags)
{
	struct preload_slot *s = slot_of(fd);
	unsigned int i = 0;

	if (s == NULL)
		return REAL.sendmmsg(fd, all, n, flags);
	struct mmsghdr first;

	if (n > 0 && !user_get(&first, all, sizeof(first)))
		return result(-EFAULT);
	/* As Linux: more are left for another call. */
	n = n < IOV_MAX ? n : IOV_MAX;
	for (; i < n; i++) {
		ssize_t sent = any_send(fd, s, &all[i].msg_hdr, flags);

		if (sent < 0)
			break;
		all[i].msg_len = (unsigned int)sent;
	}
	return i > 0 || n == 0 ? (int)i : -1;
}

/* --- from descriptor to descriptor --- */

/* A datagram's bytes go by a buffer, which has its header. */
static ssize_t sendfile_datagram(int out, int in, off_t *at, size_t n)
{
	char bytes[16384];

	n = n < sizeof(bytes) ? n : sizeof(bytes);
	ssize_t got = at != NULL ? pread(in, bytes, n, *at) : read(in, bytes, n);

	if (got <= 0)
		return got;
	ssize_t sent = send(out, bytes, (size_t)got, 0);

	if (sent > 0 && at != NULL)
		*at += sent;
	return sent;
}

DOOR ssize_t sendfile64(int out, int in, off64_t *at, size_t n)
{
	struct preload_slot *s = slot_of(out);

	if (s == NULL)
		return REAL.sendfile64(out, in, at, n);
	if (s->type != SOCK_STREAM)
		return sendfile_datagram(out, in, at, n);
	return may_send(s, 0) != 0 ? -1 : after_send(s, REAL.sendfile64(out, in, at, n));
}

DOOR ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
	return sendfile64(out, in, at, n);
}

DOOR ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned int flags)
{
	struct preload_slot *from = slot_of(in), *to = slot_of(out);

	if ((from != NULL && from->type != SOCK_STREAM) || (to != NULL && to->type != SOCK_STREAM))
		return result(-EINVAL);
	int rc = from != NULL ? may_recv(from) : 0;

	if (rc != 0)
		return not_received(rc);
	if (to != NULL && may_send(to, 0) != 0)
		return -1;
	ssize_t moved = REAL.splice(in, in_at, out, out_at, n, flags);

	if (to != NULL)
		moved = after_send(to, moved);
	return from != NULL ? after_recv(from, moved, n) : moved;
}

/* --- what -D_FORTIFY_SOURCE calls instead; overflowing a buffer ends the program, as there --- */

/* The names are the C library's to give, and no others may begin so. */
DOOR ssize_t checked_read(int fd, void *bytes, size_t len, size_t room) __asm__("__read_chk");
DOOR ssize_t checked_recv(int fd, void *bytes, size_t len, size_t room, int flags) __asm__("__recv_chk");
DOOR ssize_t checked_recvfrom(int fd, void *restrict bytes, size_t len, size_t room, int flags,
			      struct sockaddr *restrict addr, socklen_t *restrict addr_len) __asm__("__recvfrom_chk");

ssize_t checked_read(int fd, void *bytes, size_t len, size_t room)
{
	if (len > room)
		abort();
	return read(fd, bytes, len);
}

ssize_t checked_recv(int fd, void *bytes, size_t len, size_t room, int flags)
{
	if (len > room)
		abort();
	return recv(fd, bytes, len, flags);
}

ssize_t checked_recvfrom(int fd, void *restrict bytes, size_t len, size_t room, int flags,
			 struct sockaddr *restrict addr, socklen_t *restrict addr_len)
{
	if (len > room)
		abort();
	return recvfrom(fd, bytes, len, flags, addr, addr_len);
}
