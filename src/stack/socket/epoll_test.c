/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an epoll refuses, and its life.
 */
#include "stack/socket/socket_fixture.h"

#define PORT 7

static int ctl(struct host *h, int ep, int op, int s, uint32_t events)
{
	struct yg_epoll_event e = { .events = events, .data = (uint64_t)s };

	return socket_epoll_ctl(h->ss, ep, op, s, &e);
}

static int wait_now(struct host *h, int ep, struct yg_epoll_event *e)
{
	return socket_epoll_wait(h->ss, ep, e, 8, 0);
}

static void datagram(struct net *n, int a)
{
	struct yg_sockaddr_in to = name_of(B_ADDR, PORT);

	assert_int_equal(socket_sendto(n->a.ss, a, "x", 1, 0, &to, sizeof(to)), 1);
	net_run(n, 10 * NS_PER_MS);
}

/* Would catch: a call that is taken though Linux refuses it. */
static void test_refused(void **state)
{
	struct net n;
	struct yg_epoll_event e[8];

	net_start(&n);
	struct host *h = &n.b;
	int ep = socket_epoll_create(h->ss), s = host_socket(h, YG_SOCK_DGRAM);

	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_ADD, ep, YG_POLLIN), -EINVAL);
	assert_int_equal(ctl(h, s, YG_EPOLL_CTL_ADD, ep, YG_POLLIN), -EINVAL);
	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_ADD, 77, YG_POLLIN), -EBADF);
	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_MOD, s, YG_POLLIN), -ENOENT);
	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_DEL, s, YG_POLLIN), -ENOENT);
	assert_int_equal(socket_epoll_ctl(h->ss, ep, YG_EPOLL_CTL_ADD, s, NULL), -EFAULT);
	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_ADD, s, YG_POLLIN | YG_EPOLLEXCLUSIVE | YG_EPOLLONESHOT), -EINVAL);
	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_ADD, s, YG_POLLIN | YG_EPOLLEXCLUSIVE), 0);
	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_ADD, s, YG_POLLIN), -EEXIST);
	assert_int_equal(ctl(h, ep, YG_EPOLL_CTL_MOD, s, YG_POLLIN), -EINVAL);
	assert_int_equal(ctl(h, ep, 4, s, YG_POLLIN), -EINVAL);
	assert_int_equal(socket_epoll_wait(h->ss, ep, e, 0, 0), -EINVAL);
	assert_int_equal(socket_epoll_wait(h->ss, s, e, 8, 0), -EINVAL);
	assert_int_equal(socket_epoll_wait(h->ss, 77, e, 8, 0), -EBADF);
	assert_int_equal(host_bind(h, ep, 0, 1), -ENOTSOCK);
	net_end(&n);
}

/* Would catch: a socket or an epoll that is gone and still tells. */
static void test_close(void **state)
{
	struct net n;
	struct yg_epoll_event e[8];

	net_start(&n);
	int ep = socket_epoll_create(n.b.ss), second = socket_epoll_create(n.b.ss),
	    s = host_socket(&n.b, YG_SOCK_DGRAM), a = host_socket(&n.a, YG_SOCK_DGRAM);

	assert_int_equal(host_bind(&n.b, s, 0, PORT), 0);
	assert_int_equal(ctl(&n.b, ep, YG_EPOLL_CTL_ADD, s, YG_POLLIN), 0);
	assert_int_equal(ctl(&n.b, second, YG_EPOLL_CTL_ADD, s, YG_POLLIN), 0);
	assert_false(sockets_any_ready(n.b.ss));
	datagram(&n, a);
	assert_true(sockets_any_ready(n.b.ss));
	assert_int_equal(wait_now(&n.b, ep, e), 1);
	assert_int_equal(socket_close(n.b.ss, second), 0);
	assert_int_equal(wait_now(&n.b, ep, e), 1);
	assert_int_equal(e[0].data, s);
	assert_int_equal(socket_close(n.b.ss, s), 0);
	assert_int_equal(wait_now(&n.b, ep, e), 0);
	assert_false(sockets_any_ready(n.b.ss));
	assert_int_equal(n.b.ss->watches.n_used, 0);
	net_end(&n);
}

/* Would catch: an epoll in an epoll that is not told, or one that would be told of itself. */
static void test_nested(void **state)
{
	struct net n;
	struct yg_epoll_event e[8];
	int ep[7];

	net_start(&n);
	struct host *h = &n.b;
	int s = host_socket(h, YG_SOCK_DGRAM), a = host_socket(&n.a, YG_SOCK_DGRAM);

	assert_int_equal(host_bind(h, s, 0, PORT), 0);
	for (int i = 0; i < 7; i++)
		ep[i] = socket_epoll_create(h->ss);
	assert_int_equal(ctl(h, ep[0], YG_EPOLL_CTL_ADD, s, YG_POLLIN), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ctl(h, ep[i + 1], YG_EPOLL_CTL_ADD, ep[i], YG_POLLIN), 0);
	assert_int_equal(ctl(h, ep[5], YG_EPOLL_CTL_ADD, ep[4], YG_POLLIN), -ELOOP);
	assert_int_equal(ctl(h, ep[0], YG_EPOLL_CTL_ADD, ep[4], YG_POLLIN), -ELOOP);
	assert_int_equal(wait_now(h, ep[4], e), 0);
	datagram(&n, a);
	assert_int_equal(wait_now(h, ep[4], e), 1);
	assert_int_equal(e[0].data, ep[3]);
	assert_int_equal(socket_recv(h->ss, s, e, 8, 0), 1);
	assert_int_equal(wait_now(h, ep[4], e), 0);
	net_end(&n);
}

static int late_from;
static void send_late(struct net *n)
{
	datagram(n, late_from);
}

/* Would catch: a wait that misses what comes meanwhile, or that does not end. */
static void test_waits(void **state)
{
	struct net n;
	struct yg_epoll_event e[8];
	struct yg_pollfd p[2];

	net_start(&n);
	int ep = socket_epoll_create(n.b.ss), s = host_socket(&n.b, YG_SOCK_DGRAM);

	late_from = host_socket(&n.a, YG_SOCK_DGRAM);
	assert_int_equal(host_bind(&n.b, s, 0, PORT), 0);
	assert_int_equal(ctl(&n.b, ep, YG_EPOLL_CTL_ADD, s, YG_POLLIN), 0);
	uint64_t before = n.now;

	assert_int_equal(socket_epoll_wait(n.b.ss, ep, e, 8, 50 * NS_PER_MS), 0);
	assert_int_equal(n.now - before, 50 * NS_PER_MS);
	n.meanwhile = send_late;
	assert_int_equal(socket_epoll_wait(n.b.ss, ep, e, 8, NS_PER_S), 1);
	p[0] = (struct yg_pollfd){ .fd = s, .events = YG_POLLIN };
	p[1] = (struct yg_pollfd){ .fd = 77, .events = YG_POLLIN };
	assert_int_equal(socket_poll(n.b.ss, p, 1, 0), 1);
	assert_int_equal(p[0].revents, YG_POLLIN);
	assert_int_equal(socket_recv(n.b.ss, s, e, 8, 0), 1);
	assert_int_equal(socket_poll(n.b.ss, p, 1, 10 * NS_PER_MS), 0);
	n.meanwhile = send_late;
	assert_int_equal(socket_poll(n.b.ss, p, 1, TIME_NEVER), 1);
	assert_int_equal(socket_poll(n.b.ss, p, 2, 0), 2);
	assert_int_equal(p[1].revents, YG_POLLNVAL);
	net_end(&n);
}

/* Would catch: an edge-triggered sender that was refused because others had the memory, and never hears again. */
static void test_starved(void **state)
{
	struct net n;
	struct yg_epoll_event e[8];
	static char bytes[20000];
	struct sockets_limits limits = { .n_sockets = 64,
					 .tcp = { .n_connections = 16, .n_half_open = 4, .n_segments = 8 } };
	int one[2], two[2];

	net_start_with(&n, &limits);
	int l = host_listener(&n.b, PORT), ep = socket_epoll_create(n.a.ss);

	net_connect(&n, l, PORT, &one[0], &one[1]);
	net_connect(&n, l, PORT, &two[0], &two[1]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(socket_fcntl(n.a.ss, i == 0 ? one[0] : two[0], YG_F_SETFL, YG_O_NONBLOCK), 0);
	assert_int_equal(ctl(&n.a, ep, YG_EPOLL_CTL_ADD, two[0], YG_POLLOUT | YG_EPOLLET), 0);
	assert_int_equal(wait_now(&n.a, ep, e), 1);
	assert_true(socket_send(n.a.ss, one[0], bytes, sizeof(bytes), 0) > 0);
	assert_int_equal(socket_send(n.a.ss, two[0], bytes, 1, 0), -EAGAIN);
	assert_int_equal(wait_now(&n.a, ep, e), 0);
	/* Nor is whoever asks told to try in vain. */
	assert_int_equal(socket_ready(n.a.ss, two[0]) & YG_POLLOUT, 0);
	assert_true(sockets_next_deadline(n.a.ss) <= n.now + 10 * NS_PER_MS);
	assert_int_equal(n.a.ss->starved_until, n.now + 10 * NS_PER_MS);
	net_run(&n, NS_PER_S);
	assert_int_equal(n.a.ss->starved_until, TIME_NEVER);
	assert_int_equal(wait_now(&n.a, ep, e), 1);
	assert_int_equal(e[0].data, two[0]);
	assert_int_equal(socket_send(n.a.ss, two[0], bytes, 1, 0), 1);
	/* Gone while it waits. */
	assert_true(socket_send(n.a.ss, one[0], bytes, sizeof(bytes), 0) > 0);
	assert_int_equal(socket_send(n.a.ss, two[0], bytes, sizeof(bytes), 0), -EAGAIN);
	assert_int_equal(socket_close(n.a.ss, two[0]), 0);
	net_run(&n, NS_PER_S);
	assert_int_equal(n.a.ss->starved, POOL_NONE);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_close),   cmocka_unit_test(test_nested),
		cmocka_unit_test(test_waits),   cmocka_unit_test(test_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
