/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What few programs meet: a full queue of connections, ports that are still somebody's, times beside datagrams.
 */
#include "stack/socket/socket_fixture.h"
#include "stack/transport/tcp_info.h"

#define PORT 7

static int is_connected(struct host *h, int fd)
{
	struct yg_sockaddr_in in;
	uint32_t len = sizeof(in);

	return socket_peer(h->ss, fd, &in, &len) == 0;
}

/* Would catch: connections that were accepted for somebody else and that the backlog does not count, one too many or
 * too few, a queue that stays full. */
static void test_held(void **state)
{
	struct net n;
	int c[4];

	net_start(&n);
	int l = host_socket(&n.b, YG_SOCK_STREAM | YG_SOCK_NONBLOCK);

	assert_int_equal(socket_listen_hold(n.b.ss, l, 1), -EINVAL);
	assert_int_equal(socket_listen_hold(n.b.ss, 77, 1), -EBADF);
	assert_int_equal(host_bind(&n.b, l, 0, PORT), 0);
	assert_int_equal(socket_listen(n.b.ss, l, 1), 0);
	assert_int_equal(socket_listen_hold(n.b.ss, l, 1), 0);
	for (int i = 0; i < 2; i++) {
		c[i] = host_socket(&n.a, YG_SOCK_STREAM | YG_SOCK_NONBLOCK);
		assert_int_equal(host_connect(&n.a, c[i], B_ADDR, PORT), -EINPROGRESS);
		net_run(&n, 10 * NS_PER_MS);
		/* One waits with us, one may in the queue. */
		assert_int_equal(is_connected(&n.a, c[i]), i == 0);
	}
	struct yg_tcp_info info;
	uint32_t len = sizeof(info);

	assert_int_equal(socket_get_option(n.b.ss, l, YG_SOL_TCP, YG_TCP_INFO, &info, &len), 0);
	assert_int_equal(info.unacked, 2);
	assert_int_equal(info.sacked, 1);
	/* It is given: the next SYN is heard. */
	assert_int_equal(socket_listen_hold(n.b.ss, l, 0), 0);
	net_run(&n, 2 * NS_PER_S);
	assert_true(is_connected(&n.a, c[1]));
	net_end(&n);
}

/* A connection of b's listener that b closes first: its end is in TIME_WAIT. */
static void leave_time_wait(struct net *n, int before)
{
	int a, b, l = host_socket(&n->b, YG_SOCK_STREAM);

	assert_int_equal(host_set(&n->b, l, YG_SOL_SOCKET, YG_SO_REUSEADDR, before), 0);
	assert_int_equal(host_bind(&n->b, l, 0, PORT), 0);
	assert_int_equal(socket_listen(n->b.ss, l, 1), 0);
	net_connect(n, l, PORT, &a, &b);
	assert_int_equal(socket_close(n->b.ss, l), 0);
	assert_int_equal(socket_close(n->b.ss, b), 0);
	net_run(n, 10 * NS_PER_MS);
	assert_int_equal(socket_close(n->a.ss, a), 0);
	net_run(n, 10 * NS_PER_MS);
}

/* Would catch: a port of TIME_WAIT that is given though one of the two has not said SO_REUSEADDR, or refused though
 * both have. */
static void test_reuse(void **state)
{
	for (int before = 0; before <= 1; before++)
		for (int after = 0; after <= 1; after++) {
			struct net n;

			net_start(&n);
			leave_time_wait(&n, before);
			int s = host_socket(&n.b, YG_SOCK_STREAM);

			assert_int_equal(host_set(&n.b, s, YG_SOL_SOCKET, YG_SO_REUSEADDR, after), 0);
			assert_int_equal(host_bind(&n.b, s, 0, PORT), before && after ? 0 : -EADDRINUSE);
			net_run(&n, 61 * NS_PER_S);
			s = host_socket(&n.b, YG_SOCK_STREAM);
			assert_int_equal(host_bind(&n.b, s, 0, PORT), before && after ? -EADDRINUSE : 0);
			net_end(&n);
		}
}

/* Would catch: a port that is drawn though another socket has it, or none though one is a connection's alone. */
static void test_drawn(void **state)
{
	struct net n;
	int s;

	net_start(&n);
	leave_time_wait(&n, 1);
	n.b.ss->port_first = PORT - 2;
	n.b.ss->port_last = PORT;
	for (int i = 0; i < 3; i++) {
		struct yg_sockaddr_in in;
		uint32_t len = sizeof(in);

		s = host_socket(&n.b, YG_SOCK_STREAM);
		assert_int_equal(host_set(&n.b, s, YG_SOL_SOCKET, YG_SO_REUSEADDR, 1), 0);
		assert_int_equal(host_bind(&n.b, s, 0, 0), 0);
		assert_int_equal(socket_name(n.b.ss, s, &in, &len), 0);
		/* That of TIME_WAIT is the last choice. */
		assert_in_range(be16_get(in.port), i == 2 ? PORT : PORT - 2, i == 2 ? PORT : PORT - 1);
	}
	s = host_socket(&n.b, YG_SOCK_STREAM);
	assert_int_equal(host_set(&n.b, s, YG_SOL_SOCKET, YG_SO_REUSEADDR, 1), 0);
	assert_int_equal(host_bind(&n.b, s, 0, 0), -EADDRINUSE);
	net_end(&n);
}

/* Would catch: a time that is of another datagram, of the wrong clock or in the wrong unit. */
static void test_stamp(void **state)
{
	struct net n;
	struct yg_timespec t;
	char bytes[8];
	struct yg_sockaddr_in to = name_of(B_ADDR, PORT);
	int a, b;

	net_start(&n);
	n.b.env.wall_offset_ns = 1000 * NS_PER_S;
	int u = host_socket(&n.b, YG_SOCK_DGRAM | YG_SOCK_NONBLOCK), v = host_socket(&n.a, YG_SOCK_DGRAM);

	assert_int_equal(host_bind(&n.b, u, 0, PORT), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(socket_sendto(n.a.ss, v, "x", 1, 0, &to, sizeof(to)), 1);
		net_run(&n, NS_PER_S);
	}
	assert_int_equal(socket_ioctl(n.b.ss, u, YG_SIOCGSTAMP, &t), -ENOENT);
	uint64_t began = n.now - 2 * NS_PER_S + n.b.env.wall_offset_ns;

	for (uint64_t i = 0; i < 2; i++) {
		assert_int_equal(socket_recv(n.b.ss, u, bytes, sizeof(bytes), 0), 1);
		/* Of one that came a millisecond behind its second. */
		assert_int_equal(socket_ioctl(n.b.ss, u, YG_SIOCGSTAMPNS, &t), 0);
		uint64_t at = (uint64_t)t.s * NS_PER_S + (uint64_t)t.ns;

		assert_in_range(at, began + i * NS_PER_S, began + i * NS_PER_S + 10 * NS_PER_MS);
		assert_int_equal(socket_ioctl(n.b.ss, u, YG_SIOCGSTAMP_NEW, &t), 0);
		assert_int_equal((uint64_t)t.s * NS_PER_S + (uint64_t)t.ns * 1000, at / 1000 * 1000);
	}
	assert_int_equal(socket_close(n.b.ss, u), 0);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(socket_ioctl(n.b.ss, b, YG_SIOCGSTAMP, &t), -ENOENT);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_stamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
