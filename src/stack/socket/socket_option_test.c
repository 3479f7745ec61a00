/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What options of sockets do, where it is more than TCP's own business
 * (src/stack/transport/tcp_option_test.c).
 */
#include "stack/socket/socket_fixture.h"

#define PORT 7

/* Would catch: a socket that connect to AF_UNSPEC leaves half connected, or without what it was told; a peer that is
 * not told. */
static void test_disconnect(void **state)
{
	struct net n;
	struct yg_sockaddr_in none = { .family = YG_AF_UNSPEC }, in;
	uint32_t len = sizeof(in);
	char byte;
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(host_set(&n.a, a, YG_SOL_TCP, YG_TCP_KEEPIDLE, 33), 0);
	assert_int_equal(host_set(&n.a, a, YG_SOL_SOCKET, YG_SO_MARK, 44), 0);
	assert_int_equal(socket_connect(n.a.ss, a, &none, 1), -EINVAL);
	assert_int_equal(socket_connect(n.a.ss, a, &none, 2), 0);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(socket_recv(n.b.ss, b, &byte, 1, 0), -ECONNRESET);
	assert_int_equal(socket_peer(n.a.ss, a, &in, &len), -ENOTCONN);
	assert_int_equal(host_option(&n.a, a, YG_SOL_SOCKET, YG_SO_ERROR), ECONNRESET);
	assert_int_equal(host_option(&n.a, a, YG_SOL_TCP, YG_TCP_KEEPIDLE), 33);
	assert_int_equal(host_option(&n.a, a, YG_SOL_SOCKET, YG_SO_MARK), 44);
	/* Again, in the middle of a connect, and as a listener. */
	assert_int_equal(host_connect(&n.a, a, B_ADDR, PORT), 0);
	assert_int_equal(socket_connect(n.a.ss, a, &none, sizeof(none)), 0);
	assert_int_equal(socket_fcntl(n.a.ss, a, YG_F_SETFL, YG_O_NONBLOCK), 0);
	assert_int_equal(host_connect(&n.a, a, IP4(10, 0, 0, 77), PORT), -EINPROGRESS);
	assert_int_equal(socket_connect(n.a.ss, a, &none, sizeof(none)), 0);
	assert_int_equal(host_connect(&n.a, a, B_ADDR, PORT), -EINPROGRESS);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(host_connect(&n.a, a, B_ADDR, PORT), 0);
	assert_int_equal(socket_connect(n.b.ss, l, &none, sizeof(none)), 0);
	assert_int_equal(host_option(&n.b, l, YG_SOL_SOCKET, YG_SO_ACCEPTCONN), 0);
	assert_int_equal(socket_listen(n.b.ss, l, 1), 0);
	assert_int_equal(socket_close(n.a.ss, a), 0);
	net_run(&n, 100 * NS_PER_S);
	assert_int_equal(host_option(&n.a, 3, YG_SOL_SOCKET, YG_SO_TYPE), -EBADF);
	net_end(&n);
}

/* Would catch: IP_TRANSPARENT or IP_FREEBIND that do not let a socket have an address of nobody's, or another source
 * than that in what it sends. */
static void test_any_address(void **state)
{
	static const int names[] = { YG_IP_FREEBIND, YG_IP_TRANSPARENT };
	struct net n;
	struct yg_sockaddr_in from, to = name_of(B_ADDR, PORT);
	uint32_t len = sizeof(from);
	char byte;

	net_start(&n);
	int sink = host_socket(&n.b, YG_SOCK_DGRAM);

	assert_int_equal(host_bind(&n.b, sink, 0, PORT), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int s = host_socket(&n.a, YG_SOCK_STREAM), u = host_socket(&n.a, YG_SOCK_DGRAM);

		assert_int_equal(host_bind(&n.a, s, IP4(10, 0, 0, 99), 4000), -EADDRNOTAVAIL);
		assert_int_equal(host_bind(&n.a, u, IP4(10, 0, 0, 99), 4000), -EADDRNOTAVAIL);
		assert_int_equal(host_set(&n.a, s, YG_SOL_IP, names[i], 1), 0);
		assert_int_equal(host_set(&n.a, u, YG_SOL_IP, names[i], 1), 0);
		assert_int_equal(host_bind(&n.a, s, IP4(10, 0, 0, 99), 4000 + (uint16_t)i), 0);
		assert_int_equal(host_bind(&n.a, u, IP4(10, 0, 0, 99), 4000 + (uint16_t)i), 0);
		assert_int_equal(socket_sendto(n.a.ss, u, "x", 1, 0, &to, sizeof(to)), 1);
		assert_int_equal(socket_recvfrom(n.b.ss, sink, &byte, 1, 0, &from, &len), 1);
		assert_int_equal(be32_get(from.addr), IP4(10, 0, 0, 99));
	}
	net_end(&n);
}

/* Would catch: two listeners of a port, each on its own interface, of which one is refused, or one that hears by both.
 */
static void test_device(void **state)
{
	struct net n;
	char name[16];
	uint32_t len = sizeof(name);

	net_start(&n);
	memcpy(n.b.cfg.interface[2].name, "eth1", 5);
	int l = host_socket(&n.b, YG_SOCK_STREAM), o = host_socket(&n.b, YG_SOCK_STREAM);

	assert_int_equal(socket_set_option(n.b.ss, l, YG_SOL_SOCKET, YG_SO_BINDTODEVICE, "eth7", 5), -ENODEV);
	assert_int_equal(socket_set_option(n.b.ss, l, YG_SOL_SOCKET, YG_SO_BINDTODEVICE, "eth1", 5), 0);
	assert_int_equal(socket_set_option(n.b.ss, o, YG_SOL_SOCKET, YG_SO_BINDTODEVICE, "eth0", 4), 0);
	assert_int_equal(socket_get_option(n.b.ss, o, YG_SOL_SOCKET, YG_SO_BINDTODEVICE, name, &len), 0);
	assert_string_equal(name, "eth0");
	assert_int_equal(host_bind(&n.b, l, 0, PORT), 0);
	assert_int_equal(socket_listen(n.b.ss, l, 5), 0);
	assert_int_equal(host_connect(&n.a, host_socket(&n.a, YG_SOCK_STREAM), B_ADDR, PORT), -ECONNREFUSED);
	assert_int_equal(host_bind(&n.b, o, 0, PORT), 0);
	assert_int_equal(socket_listen(n.b.ss, o, 5), 0);
	assert_int_equal(host_connect(&n.a, host_socket(&n.a, YG_SOCK_STREAM), B_ADDR, PORT), 0);
	assert_true(socket_accept(n.b.ss, o, NULL, NULL, 0) > 0);
	net_end(&n);
}

/* Would catch: a rate of 4 bytes and one of 8 that are not the same. */
static void test_pacing_rate(void **state)
{
	static const int types[] = { YG_SOCK_STREAM, YG_SOCK_DGRAM };
	struct net n;
	struct yg_sockaddr_in to = name_of(B_ADDR, PORT);
	char got[8];

	net_start(&n);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		uint64_t rate = UINT64_C(5000000000);
		uint32_t len = sizeof(rate);
		int s = host_socket(&n.a, types[i]);

		assert_int_equal(host_option(&n.a, s, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE), -1);
		assert_int_equal(
			socket_set_option(n.a.ss, s, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
		assert_int_equal(host_option(&n.a, s, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE), -1);
		rate = 0;
		assert_int_equal(socket_get_option(n.a.ss, s, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE, &rate, &len), 0);
		assert_int_equal(rate, UINT64_C(5000000000));
		assert_int_equal(host_set(&n.a, s, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE, -1), 0);
		assert_int_equal(socket_get_option(n.a.ss, s, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE, &rate, &len), 0);
		assert_int_equal(rate, UINT64_MAX);
	}
	/* Of datagrams it is kept, and they leave at once. */
	int s = host_socket(&n.a, YG_SOCK_DGRAM), d = host_socket(&n.b, YG_SOCK_DGRAM);

	assert_int_equal(host_bind(&n.b, d, 0, PORT), 0);
	assert_int_equal(host_set(&n.a, s, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE, 1), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(socket_sendto(n.a.ss, s, "x", 1, 0, &to, sizeof(to)), 1);
	net_run(&n, 10 * NS_PER_MS);
	for (int i = 0; i < 10; i++)
		assert_int_equal(socket_recv(n.b.ss, d, got, sizeof(got), YG_MSG_DONTWAIT), 1);
	net_end(&n);
}

/* Would catch: MSG_OOB, SIOCATMARK, FIONREAD or MSG_WAITALL that do not stop at an urgent byte. */
static void test_urgent(void **state)
{
	struct net n;
	char got[16];
	struct span iov = { got, sizeof(got) };
	struct yg_msghdr m = { .iov = &iov, .n_iov = 1 };
	int a, b, value;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(socket_send(n.a.ss, a, "abc", 3, 0), 3);
	assert_int_equal(socket_send(n.a.ss, a, "d", 1, YG_MSG_OOB), 1);
	assert_int_equal(socket_send(n.a.ss, a, "ef", 2, 0), 2);
	net_run(&n, 100 * NS_PER_MS);
	assert_true(socket_ready(n.b.ss, b) & YG_POLLPRI);
	assert_int_equal(socket_ioctl(n.b.ss, b, YG_FIONREAD, &value), 0);
	assert_int_equal(value, 3);
	assert_int_equal(socket_ioctl(n.b.ss, b, YG_SIOCATMARK, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(socket_recv(n.b.ss, b, got, 5, YG_MSG_WAITALL), 3);
	assert_int_equal(socket_ioctl(n.b.ss, b, YG_SIOCATMARK, &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(socket_recvmsg(n.b.ss, b, &m, YG_MSG_OOB), 1);
	assert_int_equal(m.flags, YG_MSG_OOB);
	assert_int_equal(got[0], 'd');
	assert_int_equal(socket_recvmsg(n.b.ss, b, &m, YG_MSG_OOB), -EINVAL);
	assert_int_equal(socket_recv(n.b.ss, b, got, sizeof(got), 0), 2);
	assert_memory_equal(got, "ef", 2);
	net_end(&n);
}

/* Would catch: a TCP socket with IP_RECVERR that goes on trying, or whose error says something else. */
static void test_tcp_error_queue(void **state)
{
	struct net n;
	union {
		uint8_t bytes[256];
		size_t align;
	} control;
	uint8_t quoted[64];
	struct yg_sockaddr_in was_to = { 0 };
	struct span iov = { quoted, sizeof(quoted) };
	struct yg_msghdr m = { .name = &was_to,
			       .name_len = sizeof(was_to),
			       .iov = &iov,
			       .n_iov = 1,
			       .control = control.bytes,
			       .control_len = sizeof(control) };
	struct yg_sock_extended_err e;

	net_start(&n);
	/* By way of b, which sends what has a TTL of 1 no further. */
	host_route(&n.a, IP4(99, 0, 0, 0), 8,
		   (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 1, .gateway = ip_addr_v4(B_ADDR) });
	host_route(&n.b, IP4(99, 0, 0, 0), 8,
		   (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 1, .gateway = ip_addr_v4(IP4(10, 0, 0, 3)) });
	int s = host_socket(&n.a, YG_SOCK_STREAM);

	assert_int_equal(host_set(&n.a, s, YG_SOL_IP, YG_IP_TTL, 1), 0);
	assert_int_equal(host_set(&n.a, s, YG_SOL_IP, YG_IP_RECVERR, 1), 0);
	assert_int_equal(socket_recvmsg(n.a.ss, s, &m, YG_MSG_ERRQUEUE), -EAGAIN);
	assert_int_equal(host_connect(&n.a, s, IP4(99, 0, 0, 1), 80), -EHOSTUNREACH);
	assert_true(socket_ready(n.a.ss, s) & YG_POLLERR);
	m.name_len = sizeof(was_to);
	m.control_len = sizeof(control);
	assert_true(socket_recvmsg(n.a.ss, s, &m, YG_MSG_ERRQUEUE) >= 8);
	assert_int_equal(m.flags & YG_MSG_ERRQUEUE, YG_MSG_ERRQUEUE);
	assert_int_equal(be16_get(was_to.port), 80);
	assert_int_equal(quoted[2] << 8 | quoted[3], 80);
	memcpy(&e, control.bytes + 16, sizeof(e));
	assert_int_equal(e.err, EHOSTUNREACH);
	assert_int_equal(e.type, 11);
	assert_int_equal(socket_recvmsg(n.a.ss, s, &m, YG_MSG_ERRQUEUE), -EAGAIN);
	/* One behind another, each where it belongs, and the next one's error is the socket's. */
	for (uint16_t port = 81; port <= 83; port++)
		assert_int_equal(host_connect(&n.a, s, IP4(99, 0, 0, 1), port), -EHOSTUNREACH);
	for (uint16_t port = 81; port <= 83; port++) {
		m.name_len = sizeof(was_to);
		m.control_len = sizeof(control);
		assert_true(socket_recvmsg(n.a.ss, s, &m, YG_MSG_ERRQUEUE) >= 8);
		assert_int_equal(be16_get(was_to.port), port);
		assert_int_equal(host_option(&n.a, s, YG_SOL_SOCKET, YG_SO_ERROR), port == 83 ? 0 : EHOSTUNREACH);
	}
	assert_int_equal(socket_recvmsg(n.a.ss, s, &m, YG_MSG_ERRQUEUE), -EAGAIN);
	/* In what the receive buffer has room for. */
	assert_int_equal(host_set(&n.a, s, YG_SOL_SOCKET, YG_SO_RCVBUF, PACKET_SMALL_BYTES), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(host_connect(&n.a, s, IP4(99, 0, 0, 1), 80), -EHOSTUNREACH);
	for (int i = 0; i < 3; i++)
		assert_true(socket_recvmsg(n.a.ss, s, &m, YG_MSG_ERRQUEUE) >= 8);
	assert_int_equal(socket_recvmsg(n.a.ss, s, &m, YG_MSG_ERRQUEUE), -EAGAIN);
	/* What nobody has read goes with the socket. */
	assert_int_equal(host_connect(&n.a, s, IP4(99, 0, 0, 1), 80), -EHOSTUNREACH);
	net_end(&n);
}

/* Would catch: SO_TIMESTAMPNS of a stream that is not told, or tells of another byte's arrival. */
static void test_stream_time(void **state)
{
	struct net n;
	union {
		uint8_t bytes[64];
		size_t align;
	} control;
	char got[16];
	struct span iov = { got, sizeof(got) };
	struct yg_msghdr m = { .iov = &iov, .n_iov = 1, .control = control.bytes, .control_len = sizeof(control) };
	struct yg_timespec t;
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(host_set(&n.b, b, YG_SOL_SOCKET, YG_SO_TIMESTAMPNS, 1), 0);
	assert_int_equal(socket_send(n.a.ss, a, "abc", 3, 0), 3);
	uint64_t sent = n.now;

	net_run(&n, NS_PER_S);
	assert_int_equal(socket_recvmsg(n.b.ss, b, &m, 0), 3);
	assert_int_equal(m.control_len, 32);
	memcpy(&t, control.bytes + 16, sizeof(t));
	assert_int_equal((uint64_t)t.s * NS_PER_S + (uint64_t)t.ns, sent + NS_PER_MS);
	net_end(&n);
}

/* Would catch: MSG_MORE of UDP that sends pieces, loses some, or goes on behind an end. */
static void test_corked_datagram(void **state)
{
	static uint8_t much[30000], got[65536];
	struct net n;
	struct yg_sockaddr_in to = name_of(B_ADDR, PORT);

	net_start(&n);
	int s = host_socket(&n.a, YG_SOCK_DGRAM), d = host_socket(&n.b, YG_SOCK_DGRAM);

	for (uint32_t i = 0; i < sizeof(much); i++)
		much[i] = (uint8_t)(i * 7 + (i >> 8));
	assert_int_equal(host_bind(&n.b, d, 0, PORT), 0);
	assert_int_equal(socket_sendto(n.a.ss, s, "ab", 2, YG_MSG_MORE, &to, sizeof(to)), 2);
	assert_int_equal(socket_sendto(n.a.ss, s, much, sizeof(much), YG_MSG_MORE, &to, sizeof(to)), sizeof(much));
	net_run(&n, NS_PER_S);
	assert_int_equal(socket_recv(n.b.ss, d, got, sizeof(got), YG_MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(socket_send(n.a.ss, s, "c", 1, 0), 1);
	assert_int_equal(socket_recv(n.b.ss, d, got, sizeof(got), 0), 2 + sizeof(much) + 1);
	assert_memory_equal(got, "ab", 2);
	assert_memory_equal(got + 2, much, sizeof(much));
	assert_int_equal(got[2 + sizeof(much)], 'c');
	/* Too much of it: all is thrown away. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(socket_sendto(n.a.ss, s, much, sizeof(much), YG_MSG_MORE, &to, sizeof(to)),
				 sizeof(much));
	assert_int_equal(socket_sendto(n.a.ss, s, much, sizeof(much), 0, &to, sizeof(to)), -EMSGSIZE);
	assert_int_equal(socket_sendto(n.a.ss, s, "d", 1, 0, &to, sizeof(to)), 1);
	assert_int_equal(socket_recv(n.b.ss, d, got, sizeof(got), 0), 1);
	/* What was never ended goes with the socket. */
	assert_int_equal(socket_sendto(n.a.ss, s, "ab", 2, YG_MSG_MORE, &to, sizeof(to)), 2);
	assert_int_equal(socket_close(n.a.ss, s), 0);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disconnect),  cmocka_unit_test(test_any_address),
		cmocka_unit_test(test_device),      cmocka_unit_test(test_pacing_rate),
		cmocka_unit_test(test_urgent),      cmocka_unit_test(test_tcp_error_queue),
		cmocka_unit_test(test_stream_time), cmocka_unit_test(test_corked_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
