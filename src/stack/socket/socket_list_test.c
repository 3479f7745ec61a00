/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/socket/socket_list.h"
#include "stack/socket/socket_fixture.h"

#define PORT 7
#define ENTRIES_MAX 64u

struct listing {
	uint32_t n;
	struct socket_entry e[ENTRIES_MAX];
};

static struct listing list(const struct host *h, uint32_t slice)
{
	struct listing l = { .n = 0 };
	struct socket_cursor c = { 0 };

	while (!sockets_at_end(&c)) {
		assert_true(l.n + slice <= ENTRIES_MAX);
		l.n += sockets_list(h->ss, &c, &l.e[l.n], slice);
	}
	return l;
}

static const struct socket_entry *find(const struct listing *l, enum socket_kind kind, enum tcp_state state)
{
	const struct socket_entry *found = NULL;

	for (uint32_t i = 0; i < l->n; i++) {
		if (l->e[i].kind != kind || l->e[i].t.state != state)
			continue;
		assert_null(found);
		found = &l->e[i];
	}
	return found;
}

/* Member by member: what stands between them may be anything. */
static void assert_same(const struct socket_entry *a, const struct socket_entry *b)
{
	const struct tcp_entry *s = &a->t, *t = &b->t;

	assert_true(a->kind == b->kind && a->protocol == b->protocol && a->number == b->number && a->mark == b->mark &&
		    a->id == b->id && a->ifindex == b->ifindex && a->n_waiting == b->n_waiting &&
		    a->n_dropped == b->n_dropped);
	assert_true(s->kind == t->kind && s->state == t->state && s->index == t->index && s->zone == t->zone &&
		    s->ifindex == t->ifindex && s->has_user == t->has_user && s->is_orphan == t->is_orphan &&
		    s->user == t->user);
	assert_true(s->local.addr.v4 == t->local.addr.v4 && s->local.port == t->local.port &&
		    s->remote.addr.v4 == t->remote.addr.v4 && s->remote.port == t->remote.port);
	assert_true(s->recv_q == t->recv_q && s->send_q == t->send_q && s->n_half_open == t->n_half_open &&
		    s->snd_nxt == t->snd_nxt && s->rcv_nxt == t->rcv_nxt && s->n_timers == t->n_timers &&
		    s->rcvbuf == t->rcvbuf && s->sndbuf == t->sndbuf && s->tos == t->tos && s->hold == t->hold);
	assert_true(s->side == t->side && s->reason == t->reason && s->error == t->error &&
		    s->soft_error == t->soft_error && s->has_info == t->has_info && s->n_facts == t->n_facts &&
		    s->congestion == t->congestion);
	assert_memory_equal(&s->info, &t->info, s->has_info ? sizeof(s->info) : 0);
}

/* Would catch: a listing that leaves sockets out or says something else of them. */
static void test_kinds(void **state)
{
	struct net n;
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);
	struct yg_sockaddr_in to = name_of(B_ADDR, 9);

	net_connect(&n, l, PORT, &a, &b);
	int u = host_socket(&n.b, YG_SOCK_DGRAM);
	int r = socket_open(n.b.ss, YG_AF_INET, YG_SOCK_RAW, IPPROTO_NR_ICMP);
	int ep = socket_epoll_create(n.b.ss);

	assert_int_equal(host_bind(&n.b, u, 0, 9), 0);
	assert_int_equal(socket_send(n.a.ss, a, "hello", 5, 0), 5);
	int other = host_socket(&n.a, YG_SOCK_DGRAM);

	assert_int_equal(socket_sendto(n.a.ss, other, "x", 1, 0, &to, sizeof(to)), 1);
	net_run(&n, 10 * NS_PER_MS);
	struct listing all = list(&n.b, 2);

	assert_int_equal(all.n, 5);
	for (uint32_t i = 0; i < all.n; i++) {
		struct socket_entry same;
		bool is_epoll = all.e[i].kind == SOCKET_EPOLL;

		assert_int_equal(sockets_entry(n.b.ss, all.e[i].id, &same), !is_epoll);
		if (!is_epoll)
			assert_same(&same, &all.e[i]);
		/* The next place, another kind, another protocol. */
		assert_false(sockets_entry(n.b.ss, all.e[i].id + 1, &same));
		assert_false(sockets_entry(n.b.ss, all.e[i].id + (UINT64_C(2) << 32), &same));
		assert_false(sockets_entry(n.b.ss, all.e[i].id ^ (UINT64_C(0x80) << 40), &same));
	}
	const struct socket_entry *e = find(&all, SOCKET_TCP, TCP_ESTABLISHED);

	assert_int_equal(e->number, b);
	assert_int_equal(e->protocol, IPPROTO_NR_TCP);
	assert_int_equal(e->t.local.port, PORT);
	assert_int_equal(e->t.local.addr.v4, B_ADDR);
	assert_int_equal(e->t.remote.addr.v4, A_ADDR);
	assert_int_equal(e->t.recv_q, 5);
	assert_true(e->t.has_info);
	assert_int_equal(e->t.info.bytes_received, 5);
	assert_string_equal(e->t.congestion, "cubic");
	assert_true(e->t.n_facts > 0);
	e = find(&all, SOCKET_LISTENER, TCP_LISTEN);
	assert_int_equal(e->number, l);
	assert_int_equal(e->t.recv_q, 0);
	assert_int_equal(e->t.send_q, 16);
	e = find(&all, SOCKET_UDP, TCP_CLOSED);
	assert_int_equal(e->number, u);
	assert_int_equal(e->t.local.port, 9);
	assert_int_equal(e->n_waiting, 1);
	assert_true(e->t.recv_q > 0);
	e = find(&all, SOCKET_RAW, TCP_CLOSED);
	assert_int_equal(e->number, r);
	assert_int_equal(e->protocol, IPPROTO_NR_ICMP);
	assert_int_equal(find(&all, SOCKET_EPOLL, TCP_CLOSED)->number, ep);
	net_end(&n);
}

/* Would catch: connections that nobody has accepted, the SYN queue, TIME_WAIT and what a close has left behind not
 * being there, or timers and names that are not theirs. */
static void test_without_user(void **state)
{
	struct net n;
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(socket_close(n.b.ss, b), 0);
	net_run(&n, 10 * NS_PER_MS);
	struct listing at_b = list(&n.b, 8), at_a = list(&n.a, 8);
	const struct socket_entry *e = find(&at_b, SOCKET_TCP, TCP_FIN_WAIT_2);

	assert_int_equal(e->number, -1);
	assert_int_equal(e->t.side, TCP_SIDE_LOCAL);
	assert_int_equal(e->t.timer[0].kind, TCP_TIMER_KEEPALIVE);
	assert_in_range(e->t.timer[0].left, 59 * NS_PER_S, 60 * NS_PER_S);
	assert_int_equal(find(&at_a, SOCKET_TCP, TCP_CLOSE_WAIT)->t.side, TCP_SIDE_REMOTE);
	assert_int_equal(socket_close(n.a.ss, a), 0);
	net_run(&n, 10 * NS_PER_MS);
	at_b = list(&n.b, 8);
	e = find(&at_b, SOCKET_TCP, TCP_TIME_WAIT);
	assert_int_equal(e->t.side, TCP_SIDE_LOCAL);
	assert_int_equal(e->t.reason, TCP_REASON_CLOSED);
	assert_int_equal(e->t.timer[0].kind, TCP_TIMER_TIME_WAIT);
	assert_in_range(e->t.timer[0].left, 59 * NS_PER_S, 60 * NS_PER_S);

	/* One in the accept queue, and one whose SYN+ACK is on its way. */
	a = host_socket(&n.a, YG_SOCK_STREAM);
	assert_int_equal(host_connect(&n.a, a, B_ADDR, PORT), 0);
	net_run(&n, 10 * NS_PER_MS);
	int c = socket_open(n.a.ss, YG_AF_INET, YG_SOCK_STREAM | YG_SOCK_NONBLOCK, 0);

	assert_int_equal(host_connect(&n.a, c, B_ADDR, PORT), -EINPROGRESS);
	net_run(&n, NS_PER_MS + NS_PER_MS / 2);
	at_b = list(&n.b, 8);
	e = find(&at_b, SOCKET_TCP, TCP_ESTABLISHED);
	assert_int_equal(e->number, -1);
	e = find(&at_b, SOCKET_LISTENER, TCP_LISTEN);
	assert_int_equal(e->t.recv_q, 1);
	assert_int_equal(e->t.n_half_open, 1);
	e = find(&at_b, SOCKET_TCP, TCP_SYN_RECEIVED);
	assert_int_equal(e->t.kind, TCP_ENTRY_HALF_OPEN);
	assert_int_equal(e->t.timer[0].kind, TCP_TIMER_ON);
	assert_int_equal(e->t.timer[0].left, NS_PER_S - NS_PER_MS / 2);
	net_end(&n);
}

/* Would catch: a slice that looks at more than it may, one that ends the listing early, or ids that two have at once.
 */
static void test_slices(void **state)
{
	static const struct sockets_limits limits = { .n_sockets = 20000, .udp = { .n_sockets = 20000 } };
	struct socket_cursor c = { 0 };
	struct socket_entry e[4];
	uint32_t n_calls = 0, n_found = 0;
	struct net n;
	int first = 0, last = 0;

	net_start_with(&n, &limits);
	for (uint32_t i = 0; i < 10000; i++) {
		last = host_socket(&n.a, YG_SOCK_DGRAM);
		if (i == 0)
			first = last;
	}
	for (int s = first + 1; s < last; s++)
		assert_int_equal(socket_close(n.a.ss, s), 0);
	while (!sockets_at_end(&c)) {
		uint32_t here = sockets_list(n.a.ss, &c, e, 4);

		for (uint32_t i = 0; i < here; i++)
			assert_int_equal(e[i].number, n_found++ == 0 ? first : last);
		n_calls++;
	}
	assert_int_equal(n_found, 2);
	/* 10,000 places of UDP's and as many numbers, 4,096 at once. */
	assert_in_range(n_calls, 5, 8);
	net_end(&n);
}

static struct tcp_ended last_end(const struct host *h)
{
	struct tcp_ended e;

	assert_true(tcp_ended(h->ss->tcp, 0, &e));
	return e;
}

#define ASSERT_END(host, why, who) \
	do { \
		struct tcp_ended end = last_end(host); \
		assert_string_equal(tcp_reason_info[end.reason].name, why); \
		assert_string_equal(tcp_side_names[end.side], who); \
	} while (0)

/* Would catch: a connection's end by another name than its own, or laid to the wrong end; resets that nobody counts. */
static void test_ends(void **state)
{
	struct net n;
	struct tcp_ended e;
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);
	struct tcp *ta = n.a.ss->tcp, *tb = n.b.ss->tcp;

	assert_false(tcp_ended(ta, 0, &e));
	/* In order: b first. */
	net_connect(&n, l, PORT, &a, &b);
	(void)socket_close(n.b.ss, b);
	net_run(&n, 10 * NS_PER_MS);
	(void)socket_close(n.a.ss, a);
	net_run(&n, 10 * NS_PER_MS);
	ASSERT_END(&n.a, "closed", "remote");
	ASSERT_END(&n.b, "closed", "local");
	/* Both at once. */
	net_connect(&n, l, PORT, &a, &b);
	(void)socket_close(n.b.ss, b);
	(void)socket_close(n.a.ss, a);
	net_run(&n, 10 * NS_PER_MS);
	ASSERT_END(&n.a, "closed", "both");
	ASSERT_END(&n.b, "closed", "both");
	/* With data that nobody has read. */
	net_connect(&n, l, PORT, &a, &b);
	(void)socket_send(n.a.ss, a, "x", 1, 0);
	net_run(&n, 10 * NS_PER_MS);
	(void)socket_close(n.b.ss, b);
	net_run(&n, 10 * NS_PER_MS);
	ASSERT_END(&n.b, "unread-data", "local");
	ASSERT_END(&n.a, "reset", "remote");
	assert_int_equal(last_end(&n.a).error, ECONNRESET);
	assert_int_equal(tcp_resets(tb)[TCP_REASON_UNREAD], 1);
	assert_int_equal(tcp_resets_in(ta)[TCP_RESET_IN_TAKEN], 1);
	/* Its user has it, and what it ended by is shown with it. */
	struct listing all = list(&n.a, 8);
	const struct socket_entry *s = find(&all, SOCKET_TCP, TCP_CLOSED);

	assert_int_equal(s->number, a);
	assert_int_equal(s->t.reason, TCP_REASON_RESET);
	(void)socket_close(n.a.ss, a);
	/* Nobody listens. */
	a = host_socket(&n.a, YG_SOCK_STREAM);
	assert_int_equal(host_connect(&n.a, a, B_ADDR, PORT + 1), -ECONNREFUSED);
	ASSERT_END(&n.a, "refused", "remote");
	assert_int_equal(tcp_resets(tb)[TCP_REASON_NO_LISTENER], 1);
	assert_int_equal(tcp_resets_in(ta)[TCP_RESET_IN_REFUSED], 1);
	(void)socket_close(n.a.ss, a);
	/* Nobody answers. */
	a = host_socket(&n.a, YG_SOCK_STREAM);
	assert_int_equal(host_connect(&n.a, a, IP4(10, 0, 0, 9), PORT), -EHOSTUNREACH);
	ASSERT_END(&n.a, "timed-out", "network");
	(void)socket_close(n.a.ss, a);
	/* A reset of nothing. */
	net_connect(&n, l, PORT, &a, &b);
	(void)host_set(&n.b, b, YG_SOL_SOCKET, YG_SO_KEEPALIVE, 1);
	(void)socket_close(n.b.ss, l);
	all = list(&n.b, 8);
	assert_int_equal(find(&all, SOCKET_TCP, TCP_ESTABLISHED)->t.timer[0].kind, TCP_TIMER_KEEPALIVE);
	assert_int_equal(tcp_ends_by_reason(ta)[TCP_REASON_CLOSED], 2);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_without_user),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
