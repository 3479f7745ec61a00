/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/socket/socket_fixture.h"

#define PORT 7

/* Would catch: a number that is no socket's and is taken, one that stays taken, 0 to 2 given out. */
static void test_numbers(void **state)
{
	struct net n;
	char byte;
	struct sockets_limits limits = { .n_sockets = 4, .tcp = { .n_connections = 3, .n_half_open = 1 } };

	net_start_with(&n, &limits);
	struct sockets *ss = n.a.ss;
	int t[4];

	assert_int_equal(socket_open(ss, 10, YG_SOCK_STREAM, 0), -EAFNOSUPPORT);
	assert_int_equal(socket_open(ss, YG_AF_INET, 5, 0), -ESOCKTNOSUPPORT);
	assert_int_equal(socket_open(ss, YG_AF_INET, YG_SOCK_STREAM, 17), -EPROTONOSUPPORT);
	assert_int_equal(socket_open(ss, YG_AF_INET, YG_SOCK_DGRAM, 6), -EPROTONOSUPPORT);
	assert_int_equal(socket_open(ss, YG_AF_INET, YG_SOCK_RAW, 0), -EPROTONOSUPPORT);
	assert_int_equal(socket_open(ss, YG_AF_INET, YG_SOCK_STREAM | 0x100000, 0), -EINVAL);
	for (int i = 0; i < 3; i++) {
		t[i] = socket_open(ss, YG_AF_INET, YG_SOCK_STREAM, 0);
		assert_int_equal(t[i], 3 + i);
	}
	assert_int_equal(socket_open(ss, YG_AF_INET, YG_SOCK_STREAM, 0), -ENOBUFS);
	t[3] = socket_open(ss, YG_AF_INET, YG_SOCK_DGRAM, 0);
	assert_int_equal(socket_open(ss, YG_AF_INET, YG_SOCK_DGRAM, 0), -EMFILE);
	assert_int_equal(socket_close(ss, t[1]), 0);
	assert_int_equal(socket_close(ss, t[1]), -EBADF);
	for (int bad = -1; bad <= 2; bad++)
		assert_int_equal(socket_recv(ss, bad, &byte, 1, 0), -EBADF);
	assert_int_equal(socket_send(ss, 1000000, &byte, 1, 0), -EBADF);
	assert_int_equal(socket_open(ss, YG_AF_INET, YG_SOCK_STREAM, 0), t[1]);
	net_end(&n);
}

/* Would catch: a stream's way from one end to the other that breaks anywhere, names that are not the ends', a close
 * that leaves something. */
static void test_stream(void **state)
{
	struct net n;
	char bytes[64];
	struct yg_sockaddr_in in;
	uint32_t len = sizeof(in);
	int a, b, value;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	assert_int_equal(host_option(&n.b, l, YG_SOL_SOCKET, YG_SO_ACCEPTCONN), 1);
	assert_int_equal(socket_fcntl(n.b.ss, l, YG_F_SETFL, YG_O_NONBLOCK), 0);
	assert_int_equal(socket_accept(n.b.ss, l, NULL, NULL, 0), -EAGAIN);
	assert_int_equal(socket_fcntl(n.b.ss, l, YG_F_SETFL, 0), 0);
	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(socket_peer(n.a.ss, a, &in, &len), 0);
	assert_int_equal(len, 16);
	assert_int_equal(be16_get(in.port), PORT);
	assert_int_equal(be32_get(in.addr), B_ADDR);
	assert_int_equal(socket_name(n.a.ss, a, &in, &len), 0);
	uint16_t port = be16_get(in.port);

	assert_int_equal(be32_get(in.addr), A_ADDR);
	len = 4;
	memset(&in, 0x55, sizeof(in));
	assert_int_equal(socket_peer(n.b.ss, b, &in, &len), 0);
	assert_int_equal(len, 16);
	assert_int_equal(be16_get(in.port), port);
	assert_int_equal(in.addr.b[0], 0x55);
	assert_int_equal(host_connect(&n.a, a, B_ADDR, PORT), -EISCONN);

	assert_int_equal(socket_send(n.a.ss, a, "hello", 5, 0), 5);
	assert_int_equal(socket_recv(n.b.ss, b, bytes, sizeof(bytes), YG_MSG_PEEK), 5);
	assert_int_equal(socket_ioctl(n.b.ss, b, YG_FIONREAD, &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(socket_recv(n.b.ss, b, bytes, 2, 0), 2);
	assert_int_equal(socket_recv(n.b.ss, b, bytes, sizeof(bytes), 0), 3);
	assert_memory_equal(bytes, "llo", 3);
	assert_int_equal(socket_recv(n.b.ss, b, bytes, sizeof(bytes), YG_MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(socket_shutdown(n.a.ss, a, YG_SHUT_WR), 0);
	assert_int_equal(socket_send(n.a.ss, a, "x", 1, YG_MSG_NOSIGNAL), -EPIPE);
	assert_int_equal(socket_recv(n.b.ss, b, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(socket_send(n.b.ss, b, "there", 5, 0), 5);
	assert_int_equal(socket_recv(n.a.ss, a, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(socket_close(n.b.ss, b), 0);
	assert_int_equal(socket_recv(n.a.ss, a, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(socket_close(n.a.ss, a), 0);
	assert_int_equal(socket_close(n.b.ss, l), 0);
	net_run(&n, 200 * NS_PER_S);
	assert_int_equal(n.a.ss->sockets.n_used, SOCKET_FIRST_NUMBER);
	assert_int_equal(n.b.ss->sockets.n_used, SOCKET_FIRST_NUMBER);
	assert_int_equal(packet_pool_used(n.a.env.pool), 0);
	net_end(&n);
}

/* Would catch: connect's answers in the wrong order. */
static void test_connect(void **state)
{
	struct net n;
	char byte;
	struct yg_sockaddr_in in = name_of(B_ADDR, PORT);

	net_start(&n);
	int s = host_socket(&n.a, YG_SOCK_STREAM | YG_SOCK_NONBLOCK);

	assert_int_equal(socket_send(n.a.ss, s, "x", 1, 0), -EPIPE);
	assert_int_equal(socket_recv(n.a.ss, s, &byte, 1, 0), -ENOTCONN);
	assert_int_equal(socket_connect(n.a.ss, s, &in, 8), -EINVAL);
	in.family = 10;
	assert_int_equal(socket_connect(n.a.ss, s, &in, sizeof(in)), -EAFNOSUPPORT);
	/* Nobody there. */
	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -EINPROGRESS);
	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -EALREADY);
	assert_int_equal(socket_send(n.a.ss, s, "x", 1, 0), -EAGAIN);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(host_option(&n.a, s, YG_SOL_SOCKET, YG_SO_ERROR), ECONNREFUSED);
	assert_int_equal(host_option(&n.a, s, YG_SOL_SOCKET, YG_SO_ERROR), 0);
	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -ECONNABORTED);
	/* And then somebody. */
	int l = host_listener(&n.b, PORT);

	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -EINPROGRESS);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), 0);
	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -EISCONN);
	/* Blocking. */
	assert_int_equal(socket_close(n.b.ss, l), 0);
	int t = host_socket(&n.a, YG_SOCK_STREAM);

	assert_int_equal(host_connect(&n.a, t, B_ADDR, PORT), -ECONNREFUSED);
	struct yg_timeval tv = { 1, 0 };

	assert_int_equal(socket_set_option(n.a.ss, t, YG_SOL_SOCKET, YG_SO_SNDTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(host_connect(&n.a, t, IP4(10, 0, 0, 77), PORT), -EINPROGRESS);
	assert_int_equal(host_connect(&n.a, host_socket(&n.a, YG_SOCK_STREAM), IP4(99, 0, 0, 1), PORT), -ENETUNREACH);
	net_end(&n);
}

/* Would catch: a port that two have, or that is refused though its rules allow it. */
static void test_bind(void **state)
{
	struct yg_sockaddr_in in;
	uint32_t len = sizeof(in);
	struct net n;
	int a, b;

	net_start(&n);
	struct host *h = &n.b;
	int s = host_socket(h, YG_SOCK_STREAM), t = host_socket(h, YG_SOCK_STREAM);

	assert_int_equal(host_bind(h, s, A_ADDR, PORT), -EADDRNOTAVAIL);
	assert_int_equal(host_bind(h, s, 0, PORT), 0);
	assert_int_equal(host_bind(h, s, 0, PORT + 1), -EINVAL);
	assert_int_equal(host_bind(h, t, 0, PORT), -EADDRINUSE);
	assert_int_equal(host_set(h, t, YG_SOL_SOCKET, YG_SO_REUSEADDR, 1), 0);
	assert_int_equal(host_bind(h, t, 0, PORT), -EADDRINUSE);
	assert_int_equal(host_set(h, s, YG_SOL_SOCKET, YG_SO_REUSEADDR, 1), 0);
	assert_int_equal(host_bind(h, t, 0, PORT), 0);
	assert_int_equal(socket_listen(h->ss, s, 5), 0);
	assert_int_equal(socket_listen(h->ss, s, 6), 0);
	assert_int_equal(socket_listen(h->ss, t, 5), -EADDRINUSE);
	int u = host_socket(h, YG_SOCK_STREAM);

	assert_int_equal(host_set(h, u, YG_SOL_SOCKET, YG_SO_REUSEADDR, 1), 0);
	assert_int_equal(host_bind(h, u, B_ADDR, PORT), -EADDRINUSE);
	assert_int_equal(socket_close(h->ss, t), 0);
	net_connect(&n, s, PORT, &a, &b);
	assert_int_equal(socket_close(h->ss, s), 0);
	/* A connection has it still. */
	t = host_socket(h, YG_SOCK_STREAM);
	assert_int_equal(host_bind(h, t, 0, PORT), -EADDRINUSE);
	assert_int_equal(host_bind(h, u, 0, PORT), 0);
	assert_int_equal(socket_listen(h->ss, u, 5), 0);
	/* TIME_WAIT too. */
	assert_int_equal(socket_close(h->ss, u), 0);
	assert_int_equal(socket_close(h->ss, b), 0);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(socket_close(n.a.ss, a), 0);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(host_bind(h, t, 0, PORT), -EADDRINUSE);
	/* And what is drawn can be bound again. */
	h->ss->port_first = PORT;
	h->ss->port_last = PORT + 1;
	u = host_socket(h, YG_SOCK_STREAM);
	assert_int_equal(host_bind(h, u, 0, 0), 0);
	assert_int_equal(socket_name(h->ss, u, &in, &len), 0);
	assert_int_equal(be16_get(in.port), PORT + 1);
	assert_int_equal(host_bind(h, t, 0, 0), -EADDRINUSE);
	net_run(&n, 61 * NS_PER_S);
	assert_int_equal(host_bind(h, t, 0, PORT), 0);
	net_end(&n);
}

/* Would catch: SO_REUSEPORT listeners of which one gets all, a drawn port out of its range or somebody's. */
static void test_shared_and_drawn(void **state)
{
	struct net n;
	int l[2], n_of[2] = { 0 };
	struct yg_sockaddr_in in;
	uint32_t len = sizeof(in);

	net_start(&n);
	for (int i = 0; i < 2; i++) {
		l[i] = host_socket(&n.b, YG_SOCK_STREAM | YG_SOCK_NONBLOCK);
		assert_int_equal(host_set(&n.b, l[i], YG_SOL_SOCKET, YG_SO_REUSEPORT, 1), 0);
		assert_int_equal(host_bind(&n.b, l[i], 0, PORT), 0);
		assert_int_equal(socket_listen(n.b.ss, l[i], 100), 0);
	}
	for (int i = 0; i < 60; i++)
		assert_int_equal(host_connect(&n.a, host_socket(&n.a, YG_SOCK_STREAM), B_ADDR, PORT), 0);
	net_run(&n, 10 * NS_PER_MS);
	for (int i = 0; i < 2; i++)
		while (socket_accept(n.b.ss, l[i], NULL, NULL, 0) >= 0)
			n_of[i]++;
	assert_int_equal(n_of[0] + n_of[1], 60);
	assert_in_range(n_of[0], 15, 45);
	n.a.ss->port_first = 40000;
	n.a.ss->port_last = 40003;
	for (int i = 0; i < 4; i++) {
		int s = host_socket(&n.a, YG_SOCK_STREAM);

		assert_int_equal(host_bind(&n.a, s, 0, 0), 0);
		assert_int_equal(socket_name(n.a.ss, s, &in, &len), 0);
		assert_in_range(be16_get(in.port), 40000, 40003);
	}
	assert_int_equal(host_bind(&n.a, host_socket(&n.a, YG_SOCK_STREAM), 0, 0), -EADDRINUSE);
	/* listen without bind draws one too. */
	n.a.ss->port_last = 40004;
	int s = host_socket(&n.a, YG_SOCK_STREAM);

	assert_int_equal(socket_listen(n.a.ss, s, 1), 0);
	assert_int_equal(socket_name(n.a.ss, s, &in, &len), 0);
	assert_int_equal(be16_get(in.port), 40004);
	net_end(&n);
}

/* Would catch: blocking calls that come back too early or never, MSG_WAITALL, SO_RCVLOWAT and SO_RCVTIMEO that do
 * nothing. */
static struct {
	int s;
	const char *bytes;
	size_t len;
} later;

static void send_later(struct net *n)
{
	assert_int_equal(socket_send(n->b.ss, later.s, later.bytes, later.len, 0), later.len);
	if (later.s != 0 && later.bytes[0] == '1') {
		later.bytes = "2345";
		later.len = 4;
		n->meanwhile = send_later;
	}
}

static void test_blocking(void **state)
{
	struct net n;
	char bytes[64];
	struct yg_timeval tv = { 0, 250000 }, got;
	uint32_t len = sizeof(got);
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	later.s = b;
	later.bytes = "1";
	later.len = 1;
	n.meanwhile = send_later;
	assert_int_equal(socket_recv(n.a.ss, a, bytes, 5, YG_MSG_WAITALL), 5);
	assert_memory_equal(bytes, "12345", 5);
	assert_int_equal(host_set(&n.a, a, YG_SOL_SOCKET, YG_SO_RCVLOWAT, 3), 0);
	later.bytes = "1";
	later.len = 1;
	n.meanwhile = send_later;
	assert_int_equal(socket_recv(n.a.ss, a, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(socket_set_option(n.a.ss, a, YG_SOL_SOCKET, YG_SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(socket_get_option(n.a.ss, a, YG_SOL_SOCKET, YG_SO_RCVTIMEO, &got, &len), 0);
	assert_memory_equal(&got, &tv, sizeof(tv));
	uint64_t before = n.now;

	assert_int_equal(socket_recv(n.a.ss, a, bytes, sizeof(bytes), 0), -EAGAIN);
	assert_int_equal(n.now - before, 250 * NS_PER_MS);
	/* Bytes that time ran out on. */
	later.bytes = "xy";
	later.len = 2;
	n.meanwhile = send_later;
	assert_int_equal(socket_recv(n.a.ss, a, bytes, 5, YG_MSG_WAITALL), 2);
	/* More than the buffers hold: goes on while somebody reads. */
	static char much[1 << 20];

	assert_int_equal(socket_fcntl(n.a.ss, a, YG_F_SETFL, YG_O_NONBLOCK), 0);
	int64_t sent = socket_send(n.a.ss, a, much, sizeof(much), 0);

	assert_in_range(sent, 10000, sizeof(much) - 1);
	net_run(&n, NS_PER_S);
	assert_int_equal(socket_recv(n.b.ss, b, much, 1000, YG_MSG_WAITALL), 1000);
	net_end(&n);
}

/* Would catch: pieces of a message that are left out or come twice, where there are more than go at once. */
static void test_pieces(void **state)
{
	struct net n;
	struct span iov[100];
	uint8_t bytes[100], got[100];
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	for (uint32_t i = 0; i < 100; i++) {
		bytes[i] = (uint8_t)i;
		iov[i] = (struct span){ &bytes[i], i % 7 != 0 };
	}
	struct yg_msghdr m = { .iov = iov, .n_iov = 100 };

	assert_int_equal(socket_sendmsg(n.a.ss, a, &m, 0), 85);
	net_run(&n, 10 * NS_PER_MS);
	for (uint32_t i = 0; i < 100; i++)
		iov[i] = (struct span){ &got[i], 1 };
	assert_int_equal(socket_recvmsg(n.b.ss, b, &m, 0), 85);
	for (uint32_t i = 0, k = 0; i < 100; i++)
		if (i % 7 != 0)
			assert_int_equal(got[k++], i);
	m.n_iov = 1025;
	assert_int_equal(socket_sendmsg(n.a.ss, a, &m, 0), -EMSGSIZE);
	net_end(&n);
}

/* Would catch: bytes in place that are lost, moved or come twice; room that was not used and hinders what follows. */
static void test_in_place(void **state)
{
	struct net n;
	struct span v[8];
	uint8_t got[16];
	uint32_t sent = 0, seen = 0;
	int a, b, k;

	net_start(&n);
	int l = host_listener(&n.b, PORT), u = host_socket(&n.a, YG_SOCK_DGRAM);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(socket_reserve(n.a.ss, u, v), -EOPNOTSUPP);
	assert_int_equal(socket_peek(n.a.ss, 77, v, 8), -EBADF);
	assert_int_equal(socket_peek(n.b.ss, b, v, 8), -EAGAIN);
	/* Not used: neither sent nor in the way. */
	assert_int_equal(socket_reserve(n.a.ss, a, v), 0);
	net_run(&n, NS_PER_S);
	assert_int_equal(socket_commit(n.a.ss, a, 0, 0), 0);
	net_run(&n, NS_PER_S);
	for (uint32_t i = 0; seen < 100000; i++) {
		assert_true(i < 100000);
		if (sent < 100000 && socket_reserve(n.a.ss, a, v) == 0) {
			uint32_t len = min_u32((uint32_t)v[0].len, min_u32(100000 - sent, 1 + i % 3000));

			for (uint32_t j = 0; j < len; j++)
				((uint8_t *)v[0].bytes)[j] = (uint8_t)((sent + j) * 7);
			assert_int_equal(socket_commit(n.a.ss, a, v[0].len + 1, 0), -EINVAL);
			assert_int_equal(socket_commit(n.a.ss, a, len, 0), 0);
			sent += len;
		}
		net_run(&n, 10 * NS_PER_MS);
		k = socket_peek(n.b.ss, b, v, 8);
		for (int j = 0; j < k; j++)
			for (size_t x = 0; x < v[j].len; x++)
				assert_int_equal(((uint8_t *)v[j].bytes)[x], (uint8_t)(seen++ * 7));
		size_t total = 0;

		for (int j = 0; j < k; j++)
			total += v[j].len;
		if (k <= 0)
			continue;
		assert_int_equal(socket_release(n.b.ss, b, 1u << 30), -EINVAL);
		assert_int_equal(socket_release(n.b.ss, b, total), 0);
	}
	assert_int_equal(socket_reserve(n.a.ss, a, v), 0);
	assert_int_equal(socket_send(n.a.ss, a, "behind", 6, 0), 6);
	net_run(&n, NS_PER_S);
	assert_int_equal(socket_recv(n.b.ss, b, got, sizeof(got), 0), 6);
	assert_int_equal(socket_reserve(n.a.ss, a, v), 0);
	assert_int_equal(socket_shutdown(n.a.ss, a, YG_SHUT_WR), 0);
	net_run(&n, NS_PER_S);
	assert_int_equal(socket_peek(n.b.ss, b, v, 8), 0);
	net_end(&n);
}

/* Would catch: control messages that are wrong, cut without saying so, or not asked for; a truncated datagram that is
 * not told of. */
static void test_messages(void **state)
{
	struct net n;
	uint8_t bytes[16];
	union {
		uint8_t bytes[256];
		size_t align;
	} control;
	struct yg_sockaddr_in from = { 0 };
	struct span iov = { bytes, sizeof(bytes) };
	struct yg_msghdr m = { .name = &from,
			       .name_len = sizeof(from),
			       .iov = &iov,
			       .n_iov = 1,
			       .control = control.bytes,
			       .control_len = sizeof(control) };

	net_start(&n);
	int b = host_socket(&n.b, YG_SOCK_DGRAM), a = host_socket(&n.a, YG_SOCK_DGRAM);

	assert_int_equal(host_bind(&n.b, b, 0, PORT), 0);
	assert_int_equal(host_set(&n.b, b, YG_SOL_IP, YG_IP_PKTINFO, 1), 0);
	assert_int_equal(host_set(&n.b, b, YG_SOL_IP, YG_IP_RECVTTL, 1), 0);
	struct yg_sockaddr_in to = name_of(B_ADDR, PORT);

	assert_int_equal(socket_sendto(n.a.ss, a, "a long datagram of some bytes", 29, 0, &to, sizeof(to)), 29);
	assert_int_equal(socket_recvmsg(n.b.ss, b, &m, YG_MSG_TRUNC), 29);
	assert_int_equal(m.flags, YG_MSG_TRUNC);
	assert_int_equal(be32_get(from.addr), A_ADDR);
	assert_int_equal(m.control_len, 32 + 24);
	struct yg_cmsghdr h;
	struct yg_in_pktinfo info;

	memcpy(&h, control.bytes, sizeof(h));
	memcpy(&info, control.bytes + 16, sizeof(info));
	assert_int_equal(h.type, YG_IP_PKTINFO);
	assert_int_equal(h.len, 16 + 12);
	assert_int_equal(info.ifindex, 1);
	assert_int_equal(be32_get(info.addr), B_ADDR);
	memcpy(&h, control.bytes + 32, sizeof(h));
	assert_int_equal(h.type, YG_IP_TTL);
	assert_int_equal(control.bytes[32 + 16], 64);
	/* Answered from where and how a control message says. */
	uint8_t ttl[24] = { [0] = 20, [12] = YG_IP_TTL, [16] = 9 };
	struct yg_msghdr answer = { .name = &from,
				    .name_len = sizeof(from),
				    .iov = &iov,
				    .n_iov = 1,
				    .control = ttl,
				    .control_len = sizeof(ttl) };

	assert_int_equal(host_set(&n.a, a, YG_SOL_IP, YG_IP_RECVTTL, 1), 0);
	assert_int_equal(socket_sendmsg(n.b.ss, b, &answer, 0), 16);
	m.control_len = 17;
	assert_int_equal(socket_recvmsg(n.a.ss, a, &m, 0), 16);
	assert_int_equal(m.flags, YG_MSG_CTRUNC);
	assert_int_equal(control.bytes[16], 9);
	ttl[12] = 99;
	assert_int_equal(socket_sendmsg(n.b.ss, b, &answer, 0), -EINVAL);
	ttl[12] = YG_IP_TTL;
	ttl[0] = 200;
	assert_int_equal(socket_sendmsg(n.b.ss, b, &answer, 0), -EINVAL);
	net_end(&n);
}

/* Would catch: an error queue that recvmsg does not give, or gives with other bytes than Linux's. */
static void test_error_queue(void **state)
{
	struct net n;
	uint8_t bytes[16];
	union {
		uint8_t bytes[256];
		size_t align;
	} control;
	struct yg_sockaddr_in was_to = { 0 };
	struct span iov = { bytes, sizeof(bytes) };
	struct yg_msghdr m = { .name = &was_to,
			       .name_len = sizeof(was_to),
			       .iov = &iov,
			       .n_iov = 1,
			       .control = control.bytes,
			       .control_len = sizeof(control) };
	struct yg_sock_extended_err e;
	struct yg_sockaddr_in offender;

	net_start(&n);
	int a = host_socket(&n.a, YG_SOCK_DGRAM);

	assert_int_equal(host_set(&n.a, a, YG_SOL_IP, YG_IP_RECVERR, 1), 0);
	struct yg_sockaddr_in to = name_of(B_ADDR, 99);

	assert_int_equal(socket_recvmsg(n.a.ss, a, &m, YG_MSG_ERRQUEUE), -EAGAIN);
	assert_int_equal(socket_sendto(n.a.ss, a, "lost", 4, 0, &to, sizeof(to)), 4);
	net_run(&n, 10 * NS_PER_MS);
	assert_true(socket_ready(n.a.ss, a) & YG_POLLERR);
	assert_int_equal(socket_recvmsg(n.a.ss, a, &m, YG_MSG_ERRQUEUE), 4);
	assert_memory_equal(bytes, "lost", 4);
	assert_int_equal(m.flags, YG_MSG_ERRQUEUE);
	assert_int_equal(be16_get(was_to.port), 99);
	memcpy(&e, control.bytes + 16, sizeof(e));
	memcpy(&offender, control.bytes + 16 + sizeof(e), sizeof(offender));
	assert_int_equal(e.err, ECONNREFUSED);
	assert_int_equal(e.origin, 2);
	assert_int_equal(e.type, 3);
	assert_int_equal(e.code, 3);
	assert_int_equal(be32_get(offender.addr), B_ADDR);
	assert_false(socket_ready(n.a.ss, a) & YG_POLLERR);
	net_end(&n);
}

/* Would catch: 127.0.0.0/8 that leaves the stack, or that does not work. */
static void test_loopback(void **state)
{
	struct net n;
	char bytes[8];
	struct yg_sockaddr_in in;
	uint32_t len = sizeof(in);

	net_start(&n);
	int l = host_socket(&n.a, YG_SOCK_STREAM), s = host_socket(&n.a, YG_SOCK_STREAM);

	assert_int_equal(host_bind(&n.a, l, LOOPBACK, PORT), 0);
	assert_int_equal(socket_listen(n.a.ss, l, 1), 0);
	uint64_t handed = n.a.env.ledger.n_handed;

	assert_int_equal(host_connect(&n.a, s, LOOPBACK, PORT), 0);
	int c = socket_accept(n.a.ss, l, &in, &len, 0);

	assert_int_equal(be32_get(in.addr), LOOPBACK);
	assert_int_equal(socket_send(n.a.ss, s, "hello", 5, 0), 5);
	assert_int_equal(socket_recv(n.a.ss, c, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(host_connect(&n.a, host_socket(&n.a, YG_SOCK_STREAM), LOOPBACK, PORT + 1), -ECONNREFUSED);
	assert_int_equal(n.a.env.ledger.n_handed, handed);
	net_end(&n);
}

/* Would catch: a listener that goes on when it was shut down, or whose port is lost then. */
static void test_shutdown(void **state)
{
	struct net n;
	char byte;

	net_start(&n);
	int l = host_listener(&n.b, PORT), u = host_socket(&n.b, YG_SOCK_DGRAM);

	assert_int_equal(socket_shutdown(n.b.ss, l, 3), -EINVAL);
	assert_int_equal(socket_shutdown(n.b.ss, l, YG_SHUT_RD), 0);
	assert_int_equal(socket_accept(n.b.ss, l, NULL, NULL, 0), -EINVAL);
	assert_int_equal(host_connect(&n.a, host_socket(&n.a, YG_SOCK_STREAM), B_ADDR, PORT), -ECONNREFUSED);
	assert_int_equal(socket_listen(n.b.ss, l, 1), 0);
	assert_int_equal(host_connect(&n.a, host_socket(&n.a, YG_SOCK_STREAM), B_ADDR, PORT), 0);
	assert_int_equal(socket_shutdown(n.b.ss, host_socket(&n.b, YG_SOCK_STREAM), YG_SHUT_RDWR), -ENOTCONN);
	assert_int_equal(socket_shutdown(n.b.ss, u, YG_SHUT_RD), -ENOTCONN);
	assert_int_equal(socket_recv(n.b.ss, u, &byte, 1, 0), 0);
	net_end(&n);
}

/* Would catch: a raw socket that is not reached by its protocol's packets. */
static void test_raw(void **state)
{
	struct net n;
	uint8_t bytes[64], echo[16] = { 8, 0, 0xf7, 0xfe, 0, 1, 0, 0 };
	uint32_t filter = ~1u;
	struct yg_sockaddr_in to = name_of(B_ADDR, 0);

	net_start(&n);
	int s = socket_open(n.a.ss, YG_AF_INET, YG_SOCK_RAW, IPPROTO_NR_ICMP);

	assert_int_equal(socket_set_option(n.a.ss, s, YG_SOL_RAW, YG_ICMP_FILTER, &filter, sizeof(filter)), 0);
	assert_int_equal(socket_sendto(n.a.ss, s, echo, sizeof(echo), 0, &to, sizeof(to)), 16);
	assert_int_equal(socket_recv(n.a.ss, s, bytes, sizeof(bytes), 0), 36);
	assert_int_equal(bytes[20], 0);
	assert_int_equal(host_option(&n.a, s, YG_SOL_SOCKET, YG_SO_PROTOCOL), IPPROTO_NR_ICMP);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_shared_and_drawn),
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_error_queue),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_raw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
