/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The calls that the fuzz target of sockets makes, each drawn from the input: lives of sockets, bytes and messages,
 * options.
 */
#ifndef YG_FUZZ_SOCKETS_CALLS_H
#define YG_FUZZ_SOCKETS_CALLS_H

#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>

#include "sockets_errors.h"
#include "sockets_world.h"

#define MESSAGES 3u

static uint8_t bytes[70000];

/* --- sockets of the program --- */

static struct slot *free_slot(struct end *e)
{
	for (uint32_t i = 0; i < N_SLOTS; i++)
		if (e->slot[i].kind == SLOT_NONE)
			return &e->slot[i];
	return NULL;
}

/* A number that a call has given; what there is no place for is closed. */
static void adopt(struct end *e, int64_t fd, enum slot_kind kind)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP };
	struct slot *s = free_slot(e);

	if (fd < 0)
		return;
	FUZZ_CHECK(fd >= 3 && fd != e->all);
	if (s == NULL) {
		FUZZ_CHECK(yg_close(e->s, (int)fd) == 0);
		return;
	}
	*s = (struct slot){ .fd = (int)fd, .kind = kind };
	ev.data.u64 = (uint64_t)(s - e->slot);
	if (kind != SLOT_EPOLL && told(CALL_EPOLL_CTL, yg_epoll_ctl(e->s, e->all, EPOLL_CTL_ADD, (int)fd, &ev)) == 0)
		s->is_watched = true;
}

/* It is closed. */
static void forget(struct end *e, int fd)
{
	e->is_traced[fd] = false;
	for (uint32_t i = 0; i < N_SLOTS; i++)
		if (e->slot[i].kind != SLOT_NONE && e->slot[i].fd == fd)
			e->slot[i].kind = SLOT_NONE;
}

static int take_fd(struct end *e, struct fuzz_input *in)
{
	uint32_t how = fuzz_take(in, 1);
	const struct slot *s = &e->slot[how % N_SLOTS];

	/* Any number but the one that the checks below need. */
	if (how >= 240)
		return (int)how - 241 == e->all ? -1 : (int)how - 241;
	return s->kind != SLOT_NONE ? s->fd : -1;
}

static struct sockaddr_in take_name(struct fuzz_input *in)
{
	static const uint32_t addresses[] = { 0x0a000002, 0x0a000001, 0x7f000001, 0,          0x0a0000ff,
					      0xc6336407, 0xe0000005, 0x0a000002, 0xffffffff, 0x0a000063 };
	static const uint16_t ports[] = { 7, 8, 9, 0 };
	uint32_t how = fuzz_take(in, 1);

	return (struct sockaddr_in){ .sin_family = how == 255 ? AF_UNSPEC : AF_INET,
				     .sin_port = htons(ports[how & 3]),
				     .sin_addr = { htonl(addresses[(how >> 2) % ARRAY_LEN(addresses)]) } };
}

static socklen_t take_name_len(struct fuzz_input *in)
{
	uint32_t how = fuzz_take(in, 1);

	return how < 240 ? sizeof(struct sockaddr_in) : how - 240;
}

/* --- calls of sockets' lives --- */

static void call_socket(struct end *e, struct fuzz_input *in)
{
	static const struct {
		int type, protocol;
		enum slot_kind kind;
	} kinds[] = { { SOCK_STREAM, 0, SLOT_STREAM },
		      { SOCK_STREAM, IPPROTO_TCP, SLOT_STREAM },
		      { SOCK_DGRAM, 0, SLOT_DATAGRAM },
		      { SOCK_DGRAM, IPPROTO_UDP, SLOT_DATAGRAM },
		      { SOCK_RAW, IPPROTO_ICMP, SLOT_RAW },
		      { SOCK_RAW, 89, SLOT_RAW },
		      { SOCK_RAW, IPPROTO_RAW, SLOT_RAW },
		      { SOCK_RAW, 0, SLOT_RAW },
		      { SOCK_SEQPACKET, 0, SLOT_STREAM },
		      { SOCK_STREAM, IPPROTO_UDP, SLOT_STREAM },
		      { SOCK_DGRAM, IPPROTO_ICMP, SLOT_DATAGRAM } };
	uint32_t how = fuzz_take(in, 1), k = how < 192 ? how % 6 : how % ARRAY_LEN(kinds);
	/* Most do not block: those that do wait for long. */
	int type = kinds[k].type | (how & 16 && how & 32 ? 0 : SOCK_NONBLOCK) | (how & 64 ? SOCK_CLOEXEC : 0);

	adopt(e, told(CALL_SOCKET, yg_socket(e->s, how == 255 ? AF_INET6 : AF_INET, type, kinds[k].protocol)),
	      kinds[k].kind);
}

static void call_close(struct end *e, struct fuzz_input *in)
{
	int fd = take_fd(e, in);

	if (told(CALL_CLOSE, yg_close(e->s, fd)) == 0)
		forget(e, fd);
}

static void call_bind(struct end *e, struct fuzz_input *in)
{
	struct sockaddr_in name = take_name(in);
	int fd = take_fd(e, in);

	(void)told(CALL_BIND, yg_bind(e->s, fd, (struct sockaddr *)&name, take_name_len(in)));
}

static void call_listen(struct end *e, struct fuzz_input *in)
{
	int fd = take_fd(e, in);

	if (told(CALL_LISTEN, yg_listen(e->s, fd, (int)fuzz_take(in, 1) - 2)) != 0)
		return;
	for (uint32_t i = 0; i < N_SLOTS; i++)
		if (e->slot[i].kind != SLOT_NONE && e->slot[i].fd == fd)
			e->slot[i].kind = SLOT_LISTENER;
	(void)told(CALL_LISTEN, yg_listen_hold(e->s, fd, fuzz_take(in, 1)));
}

static void call_accept(struct end *e, struct fuzz_input *in)
{
	struct sockaddr_in name;
	int fd = take_fd(e, in);
	uint32_t how = fuzz_take(in, 1);
	socklen_t len = how >> 4;

	adopt(e,
	      told(CALL_ACCEPT, yg_accept4(e->s, fd, how & 1 ? (struct sockaddr *)&name : NULL, how & 1 ? &len : NULL,
					   how & 2 ? 0 : SOCK_NONBLOCK)),
	      SLOT_STREAM);
}

static void call_connect(struct end *e, struct fuzz_input *in)
{
	struct sockaddr_in name = take_name(in);
	int fd = take_fd(e, in);

	(void)told(CALL_CONNECT, yg_connect(e->s, fd, (struct sockaddr *)&name, take_name_len(in)));
}

static void call_shutdown(struct end *e, struct fuzz_input *in)
{
	int fd = take_fd(e, in);

	(void)told(CALL_SHUTDOWN, yg_shutdown(e->s, fd, (int)fuzz_take(in, 1) % 4));
}

static void call_name(struct end *e, struct fuzz_input *in)
{
	struct sockaddr_in name;
	int fd = take_fd(e, in);
	uint32_t how = fuzz_take(in, 1);
	socklen_t len = how % (sizeof(name) + 1);

	if (how & 128)
		(void)told(CALL_NAME, yg_getsockname(e->s, fd, (struct sockaddr *)&name, &len));
	else
		(void)told(CALL_NAME, yg_getpeername(e->s, fd, (struct sockaddr *)&name, &len));
}

/* --- bytes --- */

static int take_flags(struct fuzz_input *in)
{
	static const int flags[] = { MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL,
				     MSG_OOB,      MSG_MORE, MSG_EOR,   MSG_ERRQUEUE };
	uint32_t how = fuzz_take(in, 1);
	int out = how & 1 ? 0 : MSG_DONTWAIT;

	/* One or two of them: more leave nothing to be seen. */
	if (how & 2)
		out |= flags[how >> 2 & 7];
	if (how & 2 && how & 128)
		out |= flags[how >> 5 & 3];
	return out;
}

/* Of what a program has, so much. */
static uint32_t take_len(struct fuzz_input *in)
{
	uint32_t how = fuzz_take(in, 1);

	return how < 128 ? how : how < 192 ? (how - 128) * 64 : how < 250 ? (how - 192) * 1024 : sizeof(bytes);
}

static size_t take_control(struct fuzz_input *in, uint8_t *control, size_t room)
{
	static const int types[][2] = { { IPPROTO_IP, IP_PKTINFO },
					{ IPPROTO_IP, IP_TTL },
					{ IPPROTO_IP, IP_TOS },
					{ SOL_UDP, UDP_SEGMENT },
					{ 77, 7 } };
	uint32_t how = fuzz_take(in, 1);
	struct cmsghdr *c = (struct cmsghdr *)(void *)control;
	size_t len = how & 64 ? sizeof(struct in_pktinfo) : how & 32 ? 2 : sizeof(int);

	if (how < 128)
		return 0;
	memset(control, 0, room);
	c->cmsg_level = types[how % ARRAY_LEN(types)][0];
	c->cmsg_type = types[how % ARRAY_LEN(types)][1];
	c->cmsg_len = CMSG_LEN(len) - (how == 255);
	control[CMSG_LEN(0)] = (uint8_t)fuzz_take(in, 1);
	control[CMSG_LEN(0) + 1] = (uint8_t)(how >> 5 & 3);
	return how == 254 ? 3 : CMSG_SPACE(len);
}

struct message {
	struct sockaddr_in name;
	struct iovec iov[3];
	_Alignas(struct cmsghdr) uint8_t control[128];
};

static void take_message(struct fuzz_input *in, struct message *m, struct msghdr *out, bool is_sent)
{
	uint32_t how = fuzz_take(in, 1);

	*out = (struct msghdr){ .msg_iov = m->iov, .msg_iovlen = how & 3 };
	for (uint32_t i = 0; i < (how & 3); i++)
		m->iov[i] = (struct iovec){ bytes, take_len(in) };
	if (how & 4) {
		m->name = take_name(in);
		out->msg_name = &m->name;
		out->msg_namelen = is_sent ? take_name_len(in) : sizeof(m->name);
	}
	out->msg_control = m->control;
	out->msg_controllen = is_sent ? take_control(in, m->control, sizeof(m->control)) : how >> 1;
}

static void call_messages(struct end *e, struct fuzz_input *in, bool is_sent)
{
	static struct message m[MESSAGES];
	struct mmsghdr all[MESSAGES];
	int fd = take_fd(e, in), flags = take_flags(in);
	uint32_t how = fuzz_take(in, 1), n = 1 + how % MESSAGES;
	struct timespec t = { 0, (long)(how >> 3) * 1000000 };

	memset(all, 0, sizeof(all));
	for (uint32_t i = 0; i < n; i++)
		take_message(in, &m[i], &all[i].msg_hdr, is_sent);
	if (is_sent && how & 4)
		(void)told(CALL_SEND, yg_sendmmsg(e->s, fd, all, n, flags));
	else if (is_sent)
		(void)told(CALL_SEND, yg_sendmsg(e->s, fd, &all[0].msg_hdr, flags));
	else if (how & 4)
		(void)told(CALL_RECV, yg_recvmmsg(e->s, fd, all, n, flags | MSG_WAITFORONE, how & 8 ? &t : NULL));
	else
		(void)told(CALL_RECV, yg_recvmsg(e->s, fd, &all[0].msg_hdr, flags));
}

static void call_send(struct end *e, struct fuzz_input *in)
{
	int fd = take_fd(e, in), flags = take_flags(in);
	uint32_t len = take_len(in);

	if (flags & MSG_PEEK) {
		struct sockaddr_in name = take_name(in);

		(void)told(CALL_SEND, yg_sendto(e->s, fd, bytes, len, flags & ~MSG_PEEK, (struct sockaddr *)&name,
						take_name_len(in)));
		return;
	}
	(void)told(CALL_SEND, yg_send(e->s, fd, bytes, len, flags));
}

static void call_recv(struct end *e, struct fuzz_input *in)
{
	int fd = take_fd(e, in), flags = take_flags(in);

	(void)told(CALL_RECV, yg_recv(e->s, fd, bytes, take_len(in), flags));
}

static void call_in_place(struct end *e, struct fuzz_input *in)
{
	int fd = take_fd(e, in);
	uint32_t how = fuzz_take(in, 1);
	struct iovec v[4];
	size_t all = 0;
	int64_t n;

	if (how & 1) {
		if (told(CALL_IN_PLACE, yg_send_reserve(e->s, fd, v)) != 0)
			return;
		FUZZ_CHECK(v[0].iov_len > 0);
		memset(v[0].iov_base, 7, v[0].iov_len);
		if (how & 2)
			(void)told(CALL_IN_PLACE,
				   yg_send_commit(e->s, fd, v[0].iov_len * (how >> 4) / 15, how & 4 ? MSG_MORE : 0));
		return;
	}
	n = told(CALL_IN_PLACE, yg_recv_peek(e->s, fd, v, 1 + (int)(how >> 1 & 3)));
	for (int64_t i = 0; i < n; i++) {
		FUZZ_CHECK(v[i].iov_len > 0);
		memcpy(bytes, v[i].iov_base, min_u64(v[i].iov_len, sizeof(bytes)));
		all += v[i].iov_len;
	}
	if (n > 0 && how & 8)
		FUZZ_CHECK(yg_recv_release(e->s, fd, all * (how >> 4) / 15) == 0);
}

/* --- options --- */

static const int options[][2] = {
	{ SOL_SOCKET, SO_REUSEADDR },
	{ SOL_SOCKET, SO_REUSEPORT },
	{ SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_LINGER },
	{ SOL_SOCKET, SO_SNDBUF },
	{ SOL_SOCKET, SO_RCVBUF },
	{ SOL_SOCKET, SO_RCVLOWAT },
	{ SOL_SOCKET, SO_RCVTIMEO },
	{ SOL_SOCKET, SO_SNDTIMEO },
	{ SOL_SOCKET, SO_ERROR },
	{ SOL_SOCKET, SO_TYPE },
	{ SOL_SOCKET, SO_BROADCAST },
	{ SOL_SOCKET, SO_OOBINLINE },
	{ SOL_SOCKET, SO_BINDTODEVICE },
	{ SOL_SOCKET, SO_MARK },
	{ SOL_SOCKET, SO_PRIORITY },
	{ SOL_SOCKET, SO_MEMINFO },
	{ SOL_SOCKET, SO_TIMESTAMPNS },
	{ SOL_SOCKET, SO_MAX_PACING_RATE },
	{ SOL_SOCKET, 9999 },
	{ IPPROTO_IP, IP_TOS },
	{ IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_MINTTL },
	{ IPPROTO_IP, IP_RECVERR },
	{ IPPROTO_IP, IP_PKTINFO },
	{ IPPROTO_IP, IP_MTU },
	{ IPPROTO_IP, IP_MTU_DISCOVER },
	{ IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IP, IP_TRANSPARENT },
	{ IPPROTO_IP, IP_MULTICAST_IF },
	{ IPPROTO_IP, IP_MULTICAST_TTL },
	{ IPPROTO_IP, IP_MULTICAST_LOOP },
	{ IPPROTO_IP, IP_ADD_MEMBERSHIP },
	{ IPPROTO_IP, IP_DROP_MEMBERSHIP },
	{ IPPROTO_IP, IP_HDRINCL },
	{ IPPROTO_IP, IP_RECVTTL },
	{ IPPROTO_IP, IP_RECVTOS },
	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_CORK },
	{ IPPROTO_TCP, TCP_QUICKACK },
	{ IPPROTO_TCP, TCP_MAXSEG },
	{ IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_TCP, TCP_SYNCNT },
	{ IPPROTO_TCP, TCP_LINGER2 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT },
	{ IPPROTO_TCP, TCP_CONGESTION },
	{ IPPROTO_TCP, TCP_INFO },
	{ IPPROTO_TCP, TCP_CC_INFO },
	{ IPPROTO_TCP, TCP_INQ },
	{ IPPROTO_TCP, TCP_TIMESTAMP },
	{ IPPROTO_TCP, TCP_MD5SIG },
	{ IPPROTO_TCP, TCP_SAVE_SYN },
	{ IPPROTO_TCP, TCP_SAVED_SYN },
	{ IPPROTO_TCP, TCP_FASTOPEN },
	{ IPPROTO_TCP, TCP_ULP },
	{ IPPROTO_TCP, TCP_REPAIR },
	{ SOL_UDP, UDP_SEGMENT },
	{ SOL_UDP, UDP_GRO },
	{ SOL_RAW, 1 },
	{ 77, 1 },
};

/* A value: an int most often, else bytes as the input has them, or a name. */
static socklen_t take_value(struct fuzz_input *in, uint8_t *value, size_t room)
{
	uint32_t how = fuzz_take(in, 1), len = how % 32;
	int v = (int)fuzz_take(in, how & 64 ? 4 : how & 32 ? 2 : 1) - (how & 16 ? 1 : 0);

	memset(value, 0, room);
	if (how < 160) {
		memcpy(value, &v, sizeof(v));
		return sizeof(v);
	}
	if (how < 168) {
		static const char names[4][8] = { "cubic", "reno", "yg0", "nobody" };

		memcpy(value, names[how & 3], sizeof(names[0]));
		return sizeof(names[0]);
	}
	/* A group, and the interface's address or number. */
	if (how < 184)
		memcpy(value, (uint8_t[12]){ 224, 0, 0, 5, 10, 0, 0, 1, (uint8_t)(how & 1) }, 12);
	else
		for (uint32_t i = 0; i < len; i++)
			value[i] = (uint8_t)fuzz_take(in, 1);
	/* struct tcp_md5sig. */
	return how < 184 ? 12 : how > 248 ? 216 : len;
}

static void call_option(struct end *e, struct fuzz_input *in)
{
	uint8_t *value = malloc(256);
	int fd = take_fd(e, in);
	uint32_t how = fuzz_take(in, 1);
	const int *o = options[how % ARRAY_LEN(options)];
	socklen_t len = take_value(in, value, 256);

	if (how & 128) {
		/* No room beyond what it is told of. */
		uint8_t *out = malloc(len > 0 ? len : 1);
		socklen_t room = len;

		if (told(CALL_GETSOCKOPT, yg_getsockopt(e->s, fd, o[0], o[1], out, &len)) == 0)
			FUZZ_CHECK(len <= room);
		free(out);
	} else {
		(void)told(CALL_SETSOCKOPT, yg_setsockopt(e->s, fd, o[0], o[1], value, len));
	}
	free(value);
}

static void call_ioctl(struct end *e, struct fuzz_input *in)
{
	static const unsigned long requests[] = { FIONREAD,
						  TIOCOUTQ,
						  0x894b /* SIOCOUTQNSD */,
						  0x8905 /* SIOCATMARK */,
						  FIONBIO,
						  0x1234,
						  0x8906 /* SIOCGSTAMP */ };
	int fd = take_fd(e, in);
	int64_t value[2] = { 0 };
	uint32_t how = fuzz_take(in, 1);

	if (how & 1)
		(void)told(CALL_IOCTL, yg_ioctl(e->s, fd, requests[(how >> 1) % ARRAY_LEN(requests)], value));
	else
		(void)told(CALL_IOCTL, yg_fcntl(e->s, fd,
						how & 2   ? F_GETFL
						: how & 4 ? F_SETFL
							  : 77,
						how & 8 ? O_NONBLOCK : 0));
}

#endif
