/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Datagrams: the header (struct preload_datagram) before the bytes of each, taken off and put on.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REAL (*real_calls())
#define FEW 16
#define UDP_BYTES_MAX 65507u

/* The program's pieces behind the header; v has room for FEW and the header, or more is allocated. NULL: no memory. */
static struct iovec *with_header(struct iovec *v, struct preload_datagram *h, const struct msghdr *m)
{
	if (m->msg_iovlen > FEW)
		v = malloc((m->msg_iovlen + 1) * sizeof(*v));
	if (v == NULL)
		return NULL;
	v[0] = (struct iovec){ h, sizeof(*h) };
	if (m->msg_iovlen > 0)
		memcpy(&v[1], m->msg_iov, m->msg_iovlen * sizeof(*v));
	return v;
}

static void give_control(struct msghdr *m, const struct preload_datagram *h)
{
	size_t len = h->control_len < sizeof(h->control) ? h->control_len : sizeof(h->control), used = 0;
	size_t room = m->msg_control != NULL ? m->msg_controllen : 0;
	struct msghdr all = { .msg_control = (void *)(uintptr_t)h->control, .msg_controllen = len };

	/* Whole ones; the last needs no room for what it is filled up with. */
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&all); c != NULL; c = CMSG_NXTHDR(&all, c)) {
		size_t filled = CMSG_ALIGN(c->cmsg_len);

		if (c->cmsg_len > room - used) {
			m->msg_flags |= MSG_CTRUNC;
			break;
		}
		memcpy((char *)m->msg_control + used, c, c->cmsg_len);
		used += filled < room - used ? filled : room - used;
	}
	m->msg_controllen = used;
}

static bool has_time(struct preload_datagram *h)
{
	struct msghdr all = { .msg_control = h->control, .msg_controllen = h->control_len };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&all); c != NULL; c = CMSG_NXTHDR(&all, c))
		if (c->cmsg_level == SOL_SOCKET && (c->cmsg_type == SO_TIMESTAMP || c->cmsg_type == SO_TIMESTAMPNS))
			return true;
	return false;
}

/* The first of them, as Linux has it. */
static void put_time(struct preload_datagram *h, int name)
{
	uint64_t of_second = h->came % 1000000000u;
	struct timespec t = { (time_t)(h->came / 1000000000u),
			      (long)(name == SO_TIMESTAMP ? of_second / 1000 : of_second) };
	struct cmsghdr c = { .cmsg_len = CMSG_LEN(sizeof(t)), .cmsg_level = SOL_SOCKET, .cmsg_type = name };

	if (h->control_len > sizeof(h->control) - CMSG_SPACE(sizeof(t)))
		return;
	memmove(h->control + CMSG_SPACE(sizeof(t)), h->control, h->control_len);
	memcpy(h->control, &c, sizeof(c));
	memcpy(h->control + CMSG_LEN(0), &t, sizeof(t));
	h->control_len += (uint32_t)CMSG_SPACE(sizeof(t));
}

/* When it had come, which is told beside it or asked for behind it. The stack has it beside one if SO_TIMESTAMP was set
 * when it came, and Linux if it is set when it is read. */
static void take_time(int fd, struct preload_datagram *h)
{
	int name = time_told(fd);

	if (h->control_len > sizeof(h->control) || has_time(h))
		return;
	if (name != 0)
		put_time(h, name);
	else
		stamp_set(fd, h->came);
}

ssize_t datagram_recv(int fd, struct preload_slot *s, struct msghdr *m, int flags)
{
	struct preload_datagram h;
	struct iovec few[FEW + 1], *v;
	int error = take_error(s);

	if (error != 0)
		return result(-error);
	/* Nothing stands there: of such errors the stack's queue is empty. */
	if (flags & MSG_ERRQUEUE)
		return result(-EAGAIN);
	v = with_header(few, &h, m);
	if (v == NULL)
		return result(-ENOMEM);
	struct msghdr in = { .msg_iov = v, .msg_iovlen = m->msg_iovlen + 1 };
	ssize_t n = REAL.recvmsg(fd, &in, flags);

	if (v != few)
		free(v);
	if (n < 0)
		return n;
	m->msg_flags = in.msg_flags & ~MSG_EOR;
	/* An end that nobody has asked for: the service was killed. */
	if (n < (ssize_t)sizeof(h) && !(atomic_load(&s->marks) & PRELOAD_ENDED))
		return result(-ENETDOWN);
	/* An end: it was shut down. On Linux only who waits is told. */
	if (n < (ssize_t)sizeof(h) && (flags & MSG_DONTWAIT || REAL.fcntl64(fd, F_GETFL) & O_NONBLOCK))
		return result(-EAGAIN);
	if (n < (ssize_t)sizeof(h)) {
		m->msg_namelen = 0;
		m->msg_controllen = 0;
		return 0;
	}
	if (h.error != 0)
		return result(-h.error);
	take_time(fd, &h);
	if (m->msg_name != NULL) {
		memcpy(m->msg_name, &h.addr, m->msg_namelen < sizeof(h.addr) ? m->msg_namelen : sizeof(h.addr));
		m->msg_namelen = sizeof(h.addr);
	}
	give_control(m, &h);
	return n - (ssize_t)sizeof(h);
}

ssize_t datagram_next(int fd)
{
	char byte;
	ssize_t n = REAL.recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	return n < (ssize_t)sizeof(struct preload_datagram) ? -1 : n - (ssize_t)sizeof(struct preload_datagram);
}

static int check_send(const struct preload_slot *s, const struct msghdr *m, const struct preload_datagram *h)
{
	if (bytes_of(m) > (s->type == SOCK_DGRAM ? UDP_BYTES_MAX : PRELOAD_DATAGRAM_MAX))
		return -EMSGSIZE;
	if (h->addr.sin_family == 0)
		return atomic_load(&s->state) == PRELOAD_CONNECTED ? 0 : -EDESTADDRREQ;
	if (h->addr.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	return s->type == SOCK_DGRAM && h->addr.sin_port == 0 ? -EINVAL : 0;
}

ssize_t datagram_send(int fd, struct preload_slot *s, const struct msghdr *m, int flags)
{
	struct preload_datagram h = { .error = flags & MSG_MORE };
	struct iovec few[FEW + 1], *v;
	int error = take_error(s);

	if (error != 0)
		return result(-error);
	if (flags & MSG_OOB)
		return result(-EOPNOTSUPP);
	if (atomic_load(&s->marks) & PRELOAD_MUTE)
		return result(-EPIPE);
	if (m->msg_name != NULL && m->msg_namelen < sizeof(h.addr))
		return result(-EINVAL);
	if (m->msg_name != NULL)
		memcpy(&h.addr, m->msg_name, sizeof(h.addr));
	if (m->msg_name != NULL && h.addr.sin_family == AF_UNSPEC)
		h.addr.sin_family = AF_INET;
	if (m->msg_control != NULL && m->msg_controllen > sizeof(h.control))
		return result(-EINVAL);
	if (m->msg_control != NULL) {
		h.control_len = (uint32_t)m->msg_controllen;
		memcpy(h.control, m->msg_control, m->msg_controllen);
	}
	int rc = check_send(s, m, &h);

	if (rc != 0)
		return result(rc);
	if (h.addr.sin_family == AF_INET && s->local.sin_port == 0 &&
	    hand_to_kernel(fd, s, (const struct sockaddr *)&h.addr, sizeof(h.addr)))
		return REAL.sendmsg(fd, m, flags);
	v = with_header(few, &h, m);
	if (v == NULL)
		return result(-ENOMEM);
	struct msghdr out = { .msg_iov = v, .msg_iovlen = m->msg_iovlen + 1 };
	ssize_t n = REAL.sendmsg(fd, &out, flags & (MSG_DONTWAIT | MSG_NOSIGNAL));

	if (v != few)
		free(v);
	return n < (ssize_t)sizeof(h) ? n : n - (ssize_t)sizeof(h);
}
