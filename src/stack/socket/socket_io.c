/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes and messages of sockets, and what can be asked about them in between.
 *
 * All calls come down to one that sends and one that receives a message, as in Linux. A
 * stream's call goes on, if the socket is blocking, until all is written, or until there is
 * as much as was asked for (SO_RCVLOWAT, MSG_WAITALL).
 *
 * Not taken: MSG_MORE of raw sockets, MSG_FASTOPEN (EOPNOTSUPP).
 *
 * Next: src/stack/transport/tcp.c, udp_out.c, raw.c
 */
#include <errno.h>

#include "stack/socket/socket_priv.h"

#define SPANS_MAX 1024u /* Linux's UIO_MAXIOV */
#define SPANS_AT_ONCE 16

static bool is_of_data(const struct socket *s)
{
	return s->kind != SOCKET_EPOLL;
}

/* --- vectors --- */

static int total_len(const struct span *iov, size_t n, uint64_t *total)
{
	*total = 0;
	if (n > SPANS_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++) {
		if (iov[i].bytes == NULL && iov[i].len > 0)
			return -EFAULT;
		if (iov[i].len > INT64_MAX - *total)
			return -EINVAL;
		*total += iov[i].len;
	}
	return 0;
}

/* What stands behind the first skip bytes, in some pieces; how many. */
static int behind(const struct span *iov, size_t n, uint64_t skip, struct span out[SPANS_AT_ONCE])
{
	int k = 0;

	for (size_t i = 0; i < n && k < SPANS_AT_ONCE; i++) {
		if (skip >= iov[i].len) {
			skip -= iov[i].len;
			continue;
		}
		out[k++] = (struct span){ (uint8_t *)iov[i].bytes + skip, iov[i].len - skip };
		skip = 0;
	}
	return k;
}

/* --- streams --- */

/* A stream that found none: its own acknowledgements will make some, unless it has enough and others have the memory.
 */
static void wait_for_room(struct sockets *ss, struct socket *s)
{
	tcp_want_room(s->conn);
	if (tcp_poll(ss->tcp, s->conn) & TCP_POLL_OUT)
		socket_starve(ss, s);
}

static int64_t send_stream(struct sockets *ss, int n, const struct yg_msghdr *m, int flags)
{
	struct socket *s = socket_at(ss, n);
	uint64_t total, sent = 0, deadline = socket_deadline(ss, s->snd_timeout_ms);
	struct span at[SPANS_AT_ONCE];
	int rc = total_len(m->iov, m->n_iov, &total);

	if (flags & YG_MSG_FASTOPEN)
		return -EOPNOTSUPP;
	while (rc == 0) {
		int k = behind(m->iov, m->n_iov, sent, at);
		uint32_t how = (flags & YG_MSG_MORE ? TCP_SEND_MORE : 0) | (flags & YG_MSG_OOB ? TCP_SEND_URGENT : 0) |
			       (flags & YG_MSG_EOR ? TCP_SEND_EOR : 0);
		int64_t done = tcp_send(ss->tcp, s->conn, at, k, how);

		if (done >= 0)
			sent += (uint64_t)done;
		if (done < 0 && done != -EAGAIN)
			rc = (int)done;
		if (sent >= total || rc != 0)
			break;
		/* There may be more pieces than went at once. */
		if (done > 0 && tcp_poll(ss->tcp, s->conn) & TCP_POLL_OUT)
			continue;
		wait_for_room(ss, s);
		rc = socket_wait(ss, s, flags, deadline);
		s = socket_at(ss, n);
		if (s == NULL || s->kind != SOCKET_TCP)
			return -EBADF;
	}
	ip_flush(ss->ip);
	return sent > 0 ? (int64_t)sent : rc;
}

/* came: when the last byte did; 0: nobody asks. */
static void tell_stream(const struct sockets *ss, const struct socket *s, struct yg_msghdr *m, uint64_t came)
{
	struct socket_control c = { .at = m->control, .left = m->control_len };
	int unread = s->kind == SOCKET_TCP ? (int)tcp_readable(s->conn) : 0;

	/* As Linux: one that has only the end left to read is to go on reading. */
	if (unread == 0 && s->kind == SOCKET_TCP && (tcp_poll(ss->tcp, s->conn) & TCP_POLL_RDHUP))
		unread = 1;
	m->name_len = 0;
	m->flags = 0;
	if (came != 0)
		socket_put_time(ss, s, came, &c);
	if (s->tell_inq)
		socket_put_control(&c, YG_SOL_TCP, YG_TCP_CM_INQ, &unread, sizeof(unread));
	m->control_len = c.used;
	m->flags |= c.flags;
}

/* How many bytes there must be at least. */
static uint64_t least(struct sockets *ss, const struct socket *s, uint64_t total, int flags)
{
	uint64_t lowat = socket_tcp_option(ss, s, TCP_OPTION_RCV_LOWAT);

	if (flags & YG_MSG_WAITALL)
		return total;
	return min_u64(total, lowat > 0 ? lowat : 1);
}

/* An ICMP error, with what it quotes of what was sent. */
static int64_t recv_error(struct sockets *ss, struct socket *s, struct yg_msghdr *m, int flags)
{
	struct datagram_error e;
	struct socket_control c = { .at = m->control, .left = m->control_len };
	struct {
		struct yg_sock_extended_err e;
		struct yg_sockaddr_in offender;
	} told = { 0 };
	bool peek = (flags & YG_MSG_PEEK) != 0;
	int64_t got = s->kind == SOCKET_TCP
			      ? tcp_recv_error(ss->tcp, s->conn, m->iov, (int)m->n_iov, peek ? TCP_RECV_PEEK : 0, &e)
			      : datagram_recv_error(socket_datagram_stack(ss, s), socket_datagram(s), m->iov,
						    (int)m->n_iov, peek ? DATAGRAM_RECV_PEEK : 0, &e);

	if (got < 0)
		return got;
	struct tcp_end dst = { ip_addr_v4(e.dst), e.dport };

	socket_give_addr(m->name, &m->name_len, &dst);
	told.e = (struct yg_sock_extended_err){
		.err = e.err, .origin = e.origin, .type = e.type, .code = e.code, .info = e.info
	};
	if (e.offender != 0) {
		told.offender.family = YG_AF_INET;
		told.offender.addr = be32_of(e.offender);
	}
	socket_put_control(&c, YG_SOL_IP, YG_IP_RECVERR, &told, sizeof(told));
	m->control_len = c.used;
	m->flags = c.flags | YG_MSG_ERRQUEUE | (e.payload_len > (uint64_t)got ? YG_MSG_TRUNC : 0);
	return got;
}

/* The urgent byte by itself. */
static int64_t recv_urgent(struct sockets *ss, struct socket *s, struct yg_msghdr *m, int flags)
{
	int64_t got = tcp_recv(ss->tcp, s->conn, m->iov, (int)m->n_iov,
			       TCP_RECV_URGENT | (flags & YG_MSG_PEEK ? TCP_RECV_PEEK : 0));

	if (got < 0)
		return got;
	tell_stream(ss, s, m, 0);
	m->flags |= got > 0 ? YG_MSG_OOB : 0;
	return got;
}

/* Once, and if somebody wants to know, when the last byte of it came. */
static int64_t recv_some(struct sockets *ss, struct socket *s, const struct span *at, int n, uint32_t how,
			 uint64_t *came)
{
	if (s->tell_time) {
		int64_t there = tcp_recv(ss->tcp, s->conn, at, n, how | TCP_RECV_PEEK);

		if (there > 0)
			*came = tcp_arrival(s->conn, (uint32_t)there);
	}
	return tcp_recv(ss->tcp, s->conn, at, n, how);
}

static int64_t recv_stream(struct sockets *ss, int n, struct yg_msghdr *m, int flags)
{
	struct socket *s = socket_at(ss, n);
	uint64_t total, got = 0, deadline = socket_deadline(ss, s->rcv_timeout_ms);
	struct span at[SPANS_AT_ONCE];
	int rc = total_len(m->iov, m->n_iov, &total);
	uint64_t target = least(ss, s, total, flags);
	uint32_t how = (flags & YG_MSG_PEEK ? TCP_RECV_PEEK : 0) | (flags & YG_MSG_TRUNC ? TCP_RECV_TRUNC : 0);
	uint64_t came = 0;

	if (flags & YG_MSG_OOB)
		return recv_urgent(ss, s, m, flags);
	if (flags & YG_MSG_ERRQUEUE)
		return recv_error(ss, s, m, flags);
	while (rc == 0) {
		/* A look begins at the beginning each time. */
		if (flags & YG_MSG_PEEK)
			got = 0;
		int64_t done = recv_some(ss, s, at, behind(m->iov, m->n_iov, got, at), how, &came);

		if (done >= 0)
			got += (uint64_t)done;
		if (done < 0 && done != -EAGAIN)
			rc = (int)done;
		/* An urgent byte is where a read ends, however much was asked for. */
		if (got >= target || rc != 0 || done == 0 || (got > 0 && tcp_at_mark(s->conn)))
			break;
		if (done > 0 && !(flags & YG_MSG_PEEK))
			continue;
		rc = socket_wait(ss, s, flags, deadline);
		s = socket_at(ss, n);
		if (s == NULL || s->kind != SOCKET_TCP)
			return -EBADF;
	}
	/* More pieces than go at once. */
	while (got > 0 && got < total && rc == 0 && !(flags & YG_MSG_PEEK) && tcp_unread(s->conn) > 0 &&
	       !tcp_at_mark(s->conn)) {
		int64_t done = recv_some(ss, s, at, behind(m->iov, m->n_iov, got, at), how, &came);

		if (done <= 0)
			break;
		got += (uint64_t)done;
	}
	ip_flush(ss->ip);
	tell_stream(ss, s, m, came);
	return got > 0 || rc == 0 ? (int64_t)got : rc;
}

/* --- datagrams --- */

static int64_t send_datagram(struct sockets *ss, struct socket *s, const struct yg_msghdr *m, int flags)
{
	struct datagram_out out = datagram_out_default;
	uint64_t total;
	int rc = total_len(m->iov, m->n_iov, &total);

	if (rc == 0 && ((flags & YG_MSG_OOB) || ((flags & YG_MSG_MORE) && s->kind != SOCKET_UDP)))
		rc = -EOPNOTSUPP;
	out.more = (flags & YG_MSG_MORE) != 0;
	if (rc == 0 && m->name != NULL && m->name_len > 0) {
		struct tcp_end to;

		rc = socket_take_addr(m->name, m->name_len, &to);
		out.to = (struct datagram_end){ to.addr, to.port };
	}
	if (rc == 0)
		rc = socket_parse_control(m, &out);
	if (rc != 0)
		return rc;
	int64_t sent = s->kind == SOCKET_UDP ? udp_send(ss->udp, s->udp, &out, m->iov, (int)m->n_iov)
					     : raw_send(ss->raw, s->raw, &out, m->iov, (int)m->n_iov);

	/* As Linux has it when a device has taken what was sent: there is room again. */
	if (sent >= 0)
		socket_notify(ss, s, SOCKET_KEY_OUT);
	ip_flush(ss->ip);
	return sent;
}

static int64_t recv_datagram(struct sockets *ss, int n, struct yg_msghdr *m, int flags)
{
	struct socket *s = socket_at(ss, n);
	struct datagram_info info = { 0 };
	struct socket_control c = { .at = m->control, .left = m->control_len };
	uint64_t deadline = socket_deadline(ss, s->rcv_timeout_ms), total;
	uint32_t how = flags & YG_MSG_PEEK ? DATAGRAM_RECV_PEEK : 0;
	int64_t got;

	if (total_len(m->iov, m->n_iov, &total) != 0)
		return -EMSGSIZE;
	if (flags & YG_MSG_OOB)
		return -EOPNOTSUPP;
	if (flags & YG_MSG_ERRQUEUE)
		return recv_error(ss, s, m, flags);
	for (;;) {
		got = s->kind == SOCKET_UDP ? udp_recv(ss->udp, s->udp, m->iov, (int)m->n_iov, how, &info)
					    : raw_recv(ss->raw, s->raw, m->iov, (int)m->n_iov, how, &info);
		if (got != -EAGAIN)
			break;
		/* As Linux: what would wait sees the end, what would not does not. */
		if (socket_datagram(s)->shut_read && !s->nonblock && !(flags & YG_MSG_DONTWAIT))
			got = 0;
		if (got == 0)
			break;
		int rc = socket_wait(ss, s, flags, deadline);

		if (rc != 0)
			return rc;
		s = socket_at(ss, n);
		if (s == NULL || socket_datagram(s) == NULL)
			return -EBADF;
	}
	/* Family none: the end of a socket that was shut down. */
	if (got < 0 || ip_addr_is_none(&info.from.addr)) {
		m->name_len = 0;
		m->control_len = 0;
		m->flags = 0;
		return got;
	}
	struct tcp_end from = { info.from.addr, info.from.port };

	socket_give_addr(m->name, &m->name_len, &from);
	/* As Linux: either beside it or behind it. */
	if (!s->tell_time)
		socket_datagram(s)->last_read = info.received;
	socket_tell(ss, s, &info, &c);
	m->control_len = c.used;
	m->flags = c.flags | (info.len > (uint64_t)got ? YG_MSG_TRUNC : 0);
	return flags & YG_MSG_TRUNC ? (int64_t)info.len : got;
}

/* --- the calls --- */

int64_t socket_sendmsg(struct sockets *ss, int n, const struct yg_msghdr *m, int flags)
{
	struct socket *s = socket_at(ss, n);

	if (s == NULL)
		return -EBADF;
	if (!is_of_data(s))
		return -ENOTSOCK;
	if (s->kind == SOCKET_LISTENER)
		return -EPIPE;
	return s->kind == SOCKET_TCP ? send_stream(ss, n, m, flags) : send_datagram(ss, s, m, flags);
}

int64_t socket_recvmsg(struct sockets *ss, int n, struct yg_msghdr *m, int flags)
{
	struct socket *s = socket_at(ss, n);

	if (s == NULL)
		return -EBADF;
	if (!is_of_data(s))
		return -ENOTSOCK;
	if (s->kind == SOCKET_LISTENER)
		return -ENOTCONN;
	return s->kind == SOCKET_TCP ? recv_stream(ss, n, m, flags) : recv_datagram(ss, n, m, flags);
}

int64_t socket_sendto(struct sockets *ss, int n, const void *bytes, size_t len, int flags, const void *addr,
		      uint32_t addr_len)
{
	struct span iov = { (void *)(uintptr_t)bytes, len };
	struct yg_msghdr m = {
		.name = (void *)(uintptr_t)addr, .name_len = addr != NULL ? addr_len : 0, .iov = &iov, .n_iov = 1
	};

	return socket_sendmsg(ss, n, &m, flags);
}

int64_t socket_send(struct sockets *ss, int n, const void *bytes, size_t len, int flags)
{
	return socket_sendto(ss, n, bytes, len, flags, NULL, 0);
}

int64_t socket_recvfrom(struct sockets *ss, int n, void *bytes, size_t len, int flags, void *addr, uint32_t *addr_len)
{
	struct span iov = { bytes, len };
	struct yg_msghdr m = { .name = addr, .name_len = addr_len != NULL ? *addr_len : 0, .iov = &iov, .n_iov = 1 };
	int64_t got = socket_recvmsg(ss, n, &m, flags);

	if (got >= 0 && addr_len != NULL)
		*addr_len = m.name_len;
	return got;
}

int64_t socket_recv(struct sockets *ss, int n, void *bytes, size_t len, int flags)
{
	return socket_recvfrom(ss, n, bytes, len, flags, NULL, NULL);
}

int socket_sendmmsg(struct sockets *ss, int n, struct yg_mmsghdr *m, unsigned int n_messages, int flags)
{
	unsigned int i;
	int64_t rc = 0;

	for (i = 0; i < n_messages && i < SPANS_MAX; i++) {
		rc = socket_sendmsg(ss, n, &m[i].hdr, flags);
		if (rc < 0)
			break;
		m[i].len = (unsigned int)rc;
	}
	return i > 0 ? (int)i : (int)rc;
}

int socket_recvmmsg(struct sockets *ss, int n, struct yg_mmsghdr *m, unsigned int n_messages, int flags,
		    uint64_t timeout)
{
	uint64_t deadline = timeout == TIME_NEVER ? TIME_NEVER : ss->env->now + timeout;
	unsigned int i;
	int64_t rc = 0;

	for (i = 0; i < n_messages && i < SPANS_MAX; i++) {
		rc = socket_recvmsg(ss, n, &m[i].hdr, flags & ~YG_MSG_WAITFORONE);
		if (rc < 0)
			break;
		m[i].len = (unsigned int)rc;
		if (flags & YG_MSG_WAITFORONE)
			flags |= YG_MSG_DONTWAIT;
		if (ss->env->now >= deadline) {
			i++;
			break;
		}
	}
	return i > 0 ? (int)i : (int)rc;
}

/* --- without a copy --- */

static int stream_at(const struct sockets *ss, int n, struct socket **out)
{
	*out = socket_at(ss, n);
	if (*out == NULL)
		return -EBADF;
	if ((*out)->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	return (*out)->kind == SOCKET_TCP ? 0 : -EOPNOTSUPP;
}

int socket_reserve(struct sockets *ss, int n, struct span *out)
{
	struct socket *s;
	int rc = stream_at(ss, n, &s);

	if (rc == 0)
		rc = tcp_reserve(ss->tcp, s->conn, out);
	if (rc == -EAGAIN)
		wait_for_room(ss, s);
	return rc;
}

int socket_commit(struct sockets *ss, int n, size_t bytes, int flags)
{
	struct socket *s;
	struct span room;
	int rc = stream_at(ss, n, &s);

	/* The same room as before, if nothing was called in between. */
	if (rc == 0)
		rc = tcp_reserve(ss->tcp, s->conn, &room);
	if (rc == 0 && bytes > room.len)
		rc = -EINVAL;
	if (rc == 0 && bytes > 0)
		rc = tcp_commit(ss->tcp, s->conn, (uint32_t)bytes, flags & YG_MSG_MORE ? TCP_SEND_MORE : 0);
	ip_flush(ss->ip);
	return rc;
}

int socket_peek(struct sockets *ss, int n, struct span *out, int max)
{
	struct socket *s;
	char none;
	int rc = stream_at(ss, n, &s);

	if (rc != 0 || max <= 0)
		return rc != 0 ? rc : -EINVAL;
	if (tcp_unread(s->conn) > 0)
		return (int)tcp_peek(ss->tcp, s->conn, out, (uint32_t)max);
	return (int)tcp_recv(ss->tcp, s->conn, &(struct span){ &none, 1 }, 1, TCP_RECV_PEEK);
}

int socket_release(struct sockets *ss, int n, size_t bytes)
{
	struct socket *s;
	int rc = stream_at(ss, n, &s);

	if (rc != 0)
		return rc;
	if (bytes > tcp_unread(s->conn))
		return -EINVAL;
	tcp_release(ss->tcp, s->conn, (uint32_t)bytes);
	ip_flush(ss->ip);
	return 0;
}

/* --- questions --- */

static int count_unread(struct socket *s, int *out)
{
	if (s->kind == SOCKET_LISTENER)
		return -EINVAL;
	*out = s->kind == SOCKET_TCP
		       ? (int)tcp_readable(s->conn)
		       : (int)datagram_first_len(socket_datagram(s), s->kind == SOCKET_UDP ? UDP_HEADER_LEN : 0);
	return 0;
}

static int count_unsent(struct socket *s, bool not_sent_yet, int *out)
{
	if (s->kind == SOCKET_LISTENER || (not_sent_yet && s->kind != SOCKET_TCP))
		return -EINVAL;
	*out = s->kind != SOCKET_TCP ? 0 : not_sent_yet ? (int)tcp_unsent(s->conn) : (int)tcp_unacked(s->conn);
	return 0;
}

/* When the datagram had come that was read last without being told. A stream has none, as in Linux. */
static int tell_stamp(const struct sockets *ss, const struct socket *s, unsigned long request, void *arg)
{
	const struct datagram_socket *d = socket_datagram(s);

	if (d == NULL || d->last_read == 0)
		return -ENOENT;
	uint64_t at = d->last_read + ss->env->wall_offset_ns;
	struct yg_timespec t = { (int64_t)(at / NS_PER_S), (int64_t)(at % NS_PER_S) };

	if (request == YG_SIOCGSTAMP || request == YG_SIOCGSTAMP_NEW)
		t.ns /= 1000;
	memcpy(arg, &t, sizeof(t));
	return 0;
}

int socket_ioctl(struct sockets *ss, int n, unsigned long request, void *arg)
{
	struct socket *s = socket_at(ss, n);
	int value = 0, rc;

	if (s == NULL)
		return -EBADF;
	if (!is_of_data(s))
		return -ENOTTY;
	if (arg == NULL)
		return -EFAULT;
	switch (request) {
	case YG_FIONREAD:
		rc = count_unread(s, &value);
		break;
	case YG_SIOCOUTQ:
		rc = count_unsent(s, false, &value);
		break;
	case YG_SIOCOUTQNSD:
		rc = count_unsent(s, true, &value);
		break;
	case YG_SIOCATMARK:
		value = s->kind == SOCKET_TCP && tcp_at_mark(s->conn);
		rc = s->kind == SOCKET_TCP ? 0 : -ENOTTY;
		break;
	case YG_SIOCGSTAMP:
	case YG_SIOCGSTAMP_NEW:
	case YG_SIOCGSTAMPNS:
	case YG_SIOCGSTAMPNS_NEW:
		return tell_stamp(ss, s, request, arg);
	case YG_FIONBIO:
		memcpy(&value, arg, sizeof(value));
		s->nonblock = value != 0;
		return 0;
	default:
		return -ENOTTY;
	}
	if (rc == 0)
		memcpy(arg, &value, sizeof(value));
	return rc;
}

int socket_fcntl(struct sockets *ss, int n, int command, long arg)
{
	struct socket *s = socket_at(ss, n);

	if (s == NULL)
		return -EBADF;
	switch (command) {
	case YG_F_GETFL:
		return YG_O_RDWR | (s->nonblock ? YG_O_NONBLOCK : 0);
	case YG_F_SETFL:
		s->nonblock = (arg & YG_O_NONBLOCK) != 0;
		return 0;
	case YG_F_GETFD:
		return YG_FD_CLOEXEC;
	case YG_F_SETFD:
		return 0;
	default:
		return -EINVAL;
	}
}
