/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/socket/socket_why.h"

#include <stdio.h>

#include "stack/socket/socket_fixture.h"

#define PORT 7

static const struct socket_way good_way = { .route = FIB_UNICAST, .tracked = SOCKET_TRACKED_REPLIED };

/* The answers about the one socket of h in that state. */
struct asked {
	uint32_t n;
	struct socket_answer answer[SOCKET_ANSWERS_MAX];
};

static struct asked ask(const struct host *h, enum socket_kind kind, enum tcp_state state, const struct socket_way *way)
{
	struct socket_cursor c = { 0 };
	struct socket_entry e[64], *found = NULL;
	struct asked a;
	uint32_t n = 0;

	while (!sockets_at_end(&c))
		n += sockets_list(h->ss, &c, &e[n], 64 - n);
	for (uint32_t i = 0; i < n; i++) {
		if (e[i].kind != kind || e[i].t.state != state)
			continue;
		assert_null(found);
		found = &e[i];
	}
	assert_non_null(found);
	a.n = socket_why(found, way, a.answer);
	assert_in_range(a.n, 1, SOCKET_ANSWERS_MAX);
	return a;
}

/* Those answers and no others, in order; the first one's detail has the words. */
static void check(const struct asked *a, const char *names, const char *words)
{
	char got[512] = "";

	for (uint32_t i = 0; i < a->n; i++) {
		strcat(got, i > 0 ? " " : "");
		strcat(got, socket_why_info[a->answer[i].why].name);
	}
	assert_string_equal(got, names);
	if (words != NULL && strstr(a->answer[0].detail, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, a->answer[0].detail);
}

static void check_tcp(const struct host *h, enum tcp_state state, const struct socket_way *way, const char *names,
		      const char *words)
{
	struct asked a = ask(h, SOCKET_TCP, state, way);

	check(&a, names, words);
}

/* Would catch: a connection that does not come up for which another cause is named than the one there is. */
static void test_opening(void **state)
{
	static const struct {
		struct socket_way way;
		const char *names;
	} rows[] = {
		{ { .route = FIB_NONE }, "no-route" },
		{ { .route = FIB_BLACKHOLE }, "route-refuses" },
		{ { .route = FIB_UNICAST, .is_unresolved = true }, "neighbour-unresolved" },
		{ { .route = FIB_UNICAST, .tracked = SOCKET_TRACKED_NOT }, "dropped-on-output" },
		{ { .route = FIB_UNICAST, .tracked = SOCKET_TRACKED_UNREPLIED }, "no-answer" },
		{ { .route = FIB_UNICAST, .tracked = SOCKET_TRACKED_REPLIED }, "dropped-on-input" },
	};
	struct net n;

	net_start(&n);
	int s = socket_open(n.a.ss, YG_AF_INET, YG_SOCK_STREAM | YG_SOCK_NONBLOCK, 0);

	check_tcp(&n.a, TCP_CLOSED, &good_way, "not-connected", NULL);
	/* Nobody has the address. */
	assert_int_equal(host_connect(&n.a, s, IP4(10, 0, 0, 9), PORT), -EINPROGRESS);
	check_tcp(&n.a, TCP_SYN_SENT, &good_way, "syn-unanswered", "0 in a row, next in 1.0 s");
	net_run(&n, 4 * NS_PER_S);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char names[80];

		/* The stack itself has said by ICMP that the neighbour is not there. */
		snprintf(names, sizeof(names), "icmp-error syn-unanswered %s", rows[i].names);
		check_tcp(&n.a, TCP_SYN_SENT, &rows[i].way, names, "No route to host: told if it times out");
	}
	check_tcp(&n.a, TCP_SYN_SENT, &(struct socket_way){ .route = FIB_UNICAST }, "icmp-error syn-unanswered", NULL);
	net_run(&n, 200 * NS_PER_S);
	check_tcp(&n.a, TCP_CLOSED, &good_way, "ended error icmp-error", "timed-out, by network");
	net_end(&n);
}

/* Would catch: an end whose reason is not told, or is another one. */
static void test_ends(void **state)
{
	struct net n;
	int a, b;

	net_start(&n);
	int s = socket_open(n.a.ss, YG_AF_INET, YG_SOCK_STREAM | YG_SOCK_NONBLOCK, 0);

	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -EINPROGRESS);
	net_run(&n, NS_PER_S);
	check_tcp(&n.a, TCP_CLOSED, &good_way, "ended error", "refused, by remote: the other end answered our SYN");
	assert_int_equal(socket_close(n.a.ss, s), 0);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(socket_close(n.b.ss, b), 0);
	net_run(&n, NS_PER_S);
	check_tcp(&n.a, TCP_CLOSE_WAIT, &good_way, "not-closed-here", NULL);
	check_tcp(&n.b, TCP_FIN_WAIT_2, &good_way, "not-closed-there", NULL);
	assert_int_equal(socket_close(n.a.ss, a), 0);
	net_run(&n, NS_PER_S);
	check_tcp(&n.b, TCP_TIME_WAIT, &good_way, "time-wait", "closed by local");
	net_end(&n);
}

/* Would catch: something else said to keep a connection from sending than what does. */
static void test_sending(void **state)
{
	static uint8_t much[4 << 20];
	struct net n;
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(host_set(&n.a, a, YG_SOL_TCP, YG_TCP_NODELAY, 0), 0);
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "nothing-to-send", "last heard");
	assert_int_equal(socket_send(n.a.ss, a, "x", 1, 0), 1);
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "awaits-ack", NULL);
	assert_int_equal(socket_send(n.a.ss, a, "y", 1, 0), 1);
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "nagle", "1 bytes wait, 1 are on their way");
	net_run(&n, NS_PER_S);
	assert_int_equal(socket_send(n.a.ss, a, "z", 1, YG_MSG_MORE), 1);
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "corked", "1 bytes wait, 0 are on their way");
	net_run(&n, NS_PER_S);
	assert_int_equal(host_set(&n.a, a, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE, 20000), 0);
	assert_int_equal(socket_send(n.a.ss, a, much, 10000, YG_MSG_DONTWAIT), 10000);
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "pacing", NULL);
	assert_int_equal(host_set(&n.a, a, YG_SOL_SOCKET, YG_SO_MAX_PACING_RATE, -1), 0);
	net_run(&n, 5 * NS_PER_S);
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "nothing-to-send", NULL);
	/* Nobody reads: first the path's window, at last the other end's. */
	int64_t sent = socket_send(n.a.ss, a, much, sizeof(much), YG_MSG_DONTWAIT);

	assert_true(sent > 0);
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "cwnd-limited send-buffer-full", NULL);
	for (int i = 0; i < 50; i++) {
		(void)socket_send(n.a.ss, a, much, sizeof(much), YG_MSG_DONTWAIT);
		net_run(&n, NS_PER_S);
	}
	check_tcp(&n.a, TCP_ESTABLISHED, &good_way, "window-zero send-buffer-full", "probes: ");
	check_tcp(&n.b, TCP_ESTABLISHED, &good_way, "receive-buffer-full nothing-to-send", "bytes unread");
	net_end(&n);
}

/* Would catch: a connection whose way is gone that is said to wait for something else. */
static void test_outage(void **state)
{
	static const struct socket_way dropped = { .route = FIB_UNICAST, .tracked = SOCKET_TRACKED_UNREPLIED };
	struct net n;
	int a, b;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	assert_int_equal(host_set(&n.b, b, YG_SOL_SOCKET, YG_SO_KEEPALIVE, 1), 0);
	assert_int_equal(host_set(&n.b, b, YG_SOL_TCP, YG_TCP_KEEPIDLE, 1), 0);
	assert_int_equal(host_set(&n.b, b, YG_SOL_TCP, YG_TCP_KEEPINTVL, 2), 0);
	n.b.dev->up = n.a.dev->up = false;
	assert_int_equal(socket_send(n.a.ss, a, "x", 1, 0), 1);
	net_run(&n, 3 * NS_PER_S);
	struct asked at_a = ask(&n.a, SOCKET_TCP, TCP_ESTABLISHED, &dropped);

	check(&at_a, "retransmitting no-answer", "in a row");
	check_tcp(&n.b, TCP_ESTABLISHED, &dropped, "keepalive-unanswered no-answer nothing-to-send", "in a row");
	net_end(&n);
}

/* Would catch: a full queue of a listener that is not told, and one that is not full. */
static void test_listener(void **state)
{
	struct net n;
	struct socket_way way = good_way;
	struct asked got;

	net_start(&n);
	int l = host_socket(&n.b, YG_SOCK_STREAM);

	assert_int_equal(host_bind(&n.b, l, 0, PORT), 0);
	assert_int_equal(socket_listen(n.b.ss, l, 1), 0);
	got = ask(&n.b, SOCKET_LISTENER, TCP_LISTEN, &way);
	check(&got, "listens", "0 wait, 0 half open, backlog 1");
	assert_null(strstr(got.answer[0].detail, "not taken"));
	way.n_overflowed = 5;
	got = ask(&n.b, SOCKET_LISTENER, TCP_LISTEN, &way);
	check(&got, "listens", "not taken so far, of all listeners: 5 and 0");
	for (int i = 0; i < 3; i++) {
		int s = socket_open(n.a.ss, YG_AF_INET, YG_SOCK_STREAM | YG_SOCK_NONBLOCK, 0);

		assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -EINPROGRESS);
		net_run(&n, 100 * NS_PER_MS);
	}
	got = ask(&n.b, SOCKET_LISTENER, TCP_LISTEN, &way);
	check(&got, "accept-queue-full", "2 wait, backlog 1");
	net_end(&n);
}

/* Would catch: a datagram socket whose losses or errors are not told. */
static void test_datagrams(void **state)
{
	struct net n;
	struct yg_sockaddr_in to = name_of(B_ADDR, PORT);
	struct asked got;

	net_start(&n);
	int s = host_socket(&n.a, YG_SOCK_DGRAM), d = host_socket(&n.b, YG_SOCK_DGRAM);

	got = ask(&n.a, SOCKET_UDP, TCP_CLOSED, &good_way);
	check(&got, "not-connected", NULL);
	assert_int_equal(host_bind(&n.b, d, 0, PORT), 0);
	assert_int_equal(host_set(&n.b, d, YG_SOL_SOCKET, YG_SO_RCVBUF, 1), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(socket_sendto(n.a.ss, s, "x", 1, 0, &to, sizeof(to)), 1);
	net_run(&n, NS_PER_S);
	got = ask(&n.b, SOCKET_UDP, TCP_CLOSED, &good_way);
	check(&got, "receive-queue-full", "dropped, ");
	/* Refused. */
	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT + 1), 0);
	assert_int_equal(socket_send(n.a.ss, s, "x", 1, 0), 1);
	net_run(&n, NS_PER_S);
	got = ask(&n.a, SOCKET_UDP, TCP_ESTABLISHED, &good_way);
	check(&got, "error", "Connection refused");
	net_end(&n);
}

/* Would catch: a SYN+ACK that was answered and is told as if it were not, or the other way round. */
static void test_half_open(void **state)
{
	struct net n;

	net_start(&n);
	int l = host_listener(&n.b, PORT);
	int s = socket_open(n.a.ss, YG_AF_INET, YG_SOCK_STREAM | YG_SOCK_NONBLOCK, 0);

	assert_int_equal(host_set(&n.b, l, YG_SOL_TCP, YG_TCP_DEFER_ACCEPT, 60), 0);
	assert_int_equal(host_connect(&n.a, s, B_ADDR, PORT), -EINPROGRESS);
	/* b must ask for a's station first. */
	for (int i = 0; i < 100 && tcp_counts(sockets_tcp(n.b.ss))[TCP_COUNT_IN_SEGMENTS] == 0; i++)
		net_run(&n, NS_PER_MS);
	check_tcp(&n.b, TCP_SYN_RECEIVED, &good_way, "syn-ack-unanswered", "0 in a row");
	net_run(&n, 100 * NS_PER_MS);
	check_tcp(&n.b, TCP_SYN_RECEIVED, &good_way, "data-awaited", NULL);
	net_end(&n);
}

/* Would catch: a path that swallows large segments and is not named, before the segments become smaller and afterwards;
 * a loss that is no more than one, or of a segment that any path takes, and is taken for that. */
static void test_path_mtu(void **state)
{
	static const struct {
		uint16_t n, first_len, mss, mss_low;
		enum fib_kind route;
		const char *names;
	} rows[] = {
		{ 1, 1448, 1448, 0, FIB_UNICAST, "retransmitting" },
		{ 3, 1448, 1448, 0, FIB_UNICAST, "retransmitting path-mtu-suspected" },
		{ 3, 100, 1448, 0, FIB_UNICAST, "retransmitting" },
		{ 3, 536, 536, 0, FIB_UNICAST, "retransmitting" },
		{ 3, 1448, 1448, 0, FIB_NONE, "retransmitting no-route" },
		{ 0, 0, 1012, 1024, FIB_UNICAST, "path-mtu-black-hole nothing-to-send" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct socket_entry e = { .kind = SOCKET_TCP };
		struct socket_way way = { .route = rows[i].route, .tracked = SOCKET_TRACKED_REPLIED };
		struct asked a;

		e.t.state = TCP_ESTABLISHED;
		e.t.info.retransmits = (uint8_t)rows[i].n;
		e.t.info.snd_mss = rows[i].mss;
		e.t.first_len = rows[i].first_len;
		e.t.mss_low = rows[i].mss_low;
		a.n = socket_why(&e, &way, a.answer);
		check(&a, rows[i].names, NULL);
	}
}

/* Would catch: a port that somebody listens at by one protocol taken for one of both or of none; a rule's drop of what
 * goes out of ends without a socket that is not told. */
static void test_no_socket(void **state)
{
	static const struct {
		struct socket_ends ends;
		struct socket_ruled out;
		const char *names, *words;
	} rows[] = {
		{ { .is_ours = true, .has_port = true }, { 0 }, "no-listener", NULL },
		{ { .is_ours = true }, { 0 }, "no-socket", NULL },
		{ { .is_ours = true, .has_port = true, .tcp_listens = true },
		  { 0 },
		  "no-socket",
		  "listens for TCP, nobody for UDP" },
		{ { .is_ours = true, .has_port = true, .udp_listens = true },
		  { 0 },
		  "no-socket",
		  "listens for UDP, nobody for TCP" },
		{ { .is_ours = true, .has_port = true, .tcp_listens = true, .udp_listens = true },
		  { 0 },
		  "no-socket",
		  NULL },
		{ { .is_ours = true, .has_port = true },
		  { .is_there = true, .rule = "filter output: drop" },
		  "no-listener dropped-on-output",
		  NULL },
		{ { .is_ours = true, .has_port = true },
		  { .is_there = true, .is_untracked = true },
		  "no-listener untracked",
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct socket_way way = { .out = rows[i].out };
		struct asked a;

		a.n = socket_why_none(&rows[i].ends, &way, a.answer);
		check(&a, rows[i].names, rows[i].words);
		if (rows[i].words == NULL)
			assert_string_equal(a.answer[0].detail, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opening),   cmocka_unit_test(test_ends),     cmocka_unit_test(test_sending),
		cmocka_unit_test(test_outage),    cmocka_unit_test(test_listener), cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_half_open), cmocka_unit_test(test_path_mtu), cmocka_unit_test(test_no_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
