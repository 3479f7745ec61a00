/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What options do inside TCP: each on one connection whose other end is the test's hand.
 * That they are taken and given back as by Linux, tests/sockets/options_test.c says.
 */
#include "stack/transport/tcp_flow.h"
#include "stack/transport/tcp_rare.h"
#include "stack/transport/tcp_script.h"

static void open_one(struct script *s, const struct tcp_config *cfg)
{
	static const uint8_t mss[] = { 2, 4, 5, 180 };

	script_start(s, cfg);
	script_accept(s, mss, sizeof(mss));
}

static void end_one(struct script *s)
{
	tcp_abort(s->h.tcp, s->c);
	script_end(s);
}

static void set(struct script *s, enum tcp_option o, uint64_t value)
{
	tcp_set_option(s->h.tcp, s->c, o, value);
	ip_flush(s->h.ip);
}

/* Would catch: IP_MINTTL that lets a segment from further away do anything (RFC 5082), or that keeps out what is near.
 */
static void test_min_ttl(void **state)
{
	struct script s;
	const struct in data = { .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10, .ttl = 254 };

	open_one(&s, NULL);
	set(&s, TCP_OPTION_MIN_TTL, 255);
	script_in(&s, &data);
	script_in(&s, &(struct in){ .flags = TCP_RST, .seq = 1, .ttl = 254 });
	assert_int_equal(tcp_unread(s.c), 0);
	assert_int_equal(tcp_state(s.c), TCP_ESTABLISHED);
	assert_null(script_out(&s));
	assert_int_equal(s.h.env.ledger.n_dropped[DROP_TCP_MIN_TTL], 2);
	struct in near = data;

	near.ttl = 255;
	script_in(&s, &near);
	assert_int_equal(tcp_unread(s.c), 10);
	/* A listener's SYN, and the handshake's end. */
	tcp_listener_set_option(s.h.tcp, s.listener, TCP_OPTION_MIN_TTL, 255);
	script_forget(&s);
	script_in(&s, &(struct in){ .flags = TCP_SYN, .sport = 6000, .ttl = 254 });
	assert_null(script_out(&s));
	s.has_isn = false;
	script_in(&s, &(struct in){ .flags = TCP_SYN, .sport = 6000, .ttl = 255 });
	assert_int_equal(script_out(&s)->flags, TCP_SYN | TCP_ACK);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .sport = 6000, .ttl = 254 });
	assert_false(tcp_acceptable(s.listener));
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .sport = 6000, .ttl = 255 });
	assert_true(tcp_acceptable(s.listener));
	end_one(&s);
}

/* Would catch: a sender that keeps more than TCP_NOTSENT_LOWAT unsent, or is never told that it may go on. */
static void test_notsent_lowat(void **state)
{
	static uint8_t bytes[65536];
	struct script s;

	open_one(&s, NULL);
	set(&s, TCP_OPTION_NOTSENT_LOWAT, 4000);
	/* Ten segments go, and of the rest no more waits than leaves as one: half of the window. */
	int64_t sent = host_send(&s.h, s.c, bytes, sizeof(bytes));

	assert_int_equal(sent, 10 * 1460 + 11 * 1460);
	assert_int_equal(tcp_unsent(s.c), 11 * 1460);
	assert_false(tcp_poll(s.h.tcp, s.c) & TCP_POLL_OUT);
	assert_int_equal(tcp_queue_room(s.h.tcp, s.c), 0);
	while (host_send(&s.h, s.c, bytes, sizeof(bytes)) > 0)
		;
	assert_in_range(tcp_unsent(s.c), 4000, 11 * 1460);
	assert_int_equal(host_send(&s.h, s.c, bytes, 1), -EAGAIN);
	uint32_t told = s.h.n_changed;

	/* What is acknowledged lets all that waits go. */
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 + 10 * 1460 });
	assert_int_equal(tcp_unsent(s.c), 0);
	assert_true(s.h.n_changed > told);
	assert_true(tcp_poll(s.h.tcp, s.c) & TCP_POLL_OUT);
	assert_true(host_send(&s.h, s.c, bytes, 1) == 1);
	end_one(&s);
}

static bool saw_reset(struct script *s)
{
	for (const struct seen *o; (o = script_out(s)) != NULL;)
		if (o->flags & TCP_RST)
			return true;
	return false;
}

/* A closed connection in FIN_WAIT_2, by whichever way it comes there. */
static void close_one(struct script *s, bool acked_before)
{
	if (acked_before) {
		assert_int_equal(tcp_shutdown(s->h.tcp, s->c, TCP_SHUT_WR), 0);
		ip_flush(s->h.ip);
		script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2 });
		assert_int_equal(tcp_state(s->c), TCP_FIN_WAIT_2);
		tcp_close(s->h.tcp, s->c);
		ip_flush(s->h.ip);
	} else {
		tcp_close(s->h.tcp, s->c);
		ip_flush(s->h.ip);
		script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2 });
	}
}

/* Would catch: FIN_WAIT_2 of a closed connection that lasts longer or less long than TCP_LINGER2, or at all when it is
 * negative. */
static void test_linger2(void **state)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct script s;

		open_one(&s, NULL);
		set(&s, TCP_OPTION_LINGER2, 5 * NS_PER_S);
		close_one(&s, i != 0);
		script_wait(&s, 4900 * NS_PER_MS);
		assert_int_equal(s.h.tcp->conns.n_used, 1);
		script_wait(&s, 200 * NS_PER_MS);
		assert_int_equal(s.h.tcp->conns.n_used, 0);
		assert_false(saw_reset(&s));
		script_end(&s);

		open_one(&s, NULL);
		set(&s, TCP_OPTION_LINGER2, TCP_LINGER2_NONE);
		close_one(&s, i != 0);
		assert_true(saw_reset(&s));
		assert_int_equal(s.h.tcp->conns.n_used, 0);
		script_end(&s);
	}
}

/* Would catch: TCP_QUICKACK that changes nothing. */
static void test_quickack(void **state)
{
	struct script s;

	open_one(&s, NULL);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 100 });
	assert_non_null(script_out(&s));
	set(&s, TCP_OPTION_QUICKACK, 0);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 101, .ack = 1, .len = 50 });
	assert_null(script_out(&s));
	/* What is held back leaves. */
	set(&s, TCP_OPTION_QUICKACK, 1);
	assert_int_equal(script_out(&s)->ack, 151);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 151, .ack = 1, .len = 50 });
	assert_int_equal(script_out(&s)->ack, 201);
	set(&s, TCP_OPTION_QUICKACK, 0);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 201, .ack = 1, .len = 50 });
	script_wait(&s, 39 * NS_PER_MS);
	assert_null(script_out(&s));
	script_wait(&s, 2 * NS_PER_MS);
	assert_int_equal(script_out(&s)->ack, 251);
	end_one(&s);
}

/* Would catch: a window larger than TCP_WINDOW_CLAMP, also in the handshake; one that shrinks when it is set later. */
static void test_window_clamp(void **state)
{
	struct script s;
	uint8_t got[8192];

	script_start(&s, NULL);
	script_listen(&s);
	tcp_listener_set_option(s.h.tcp, s.listener, TCP_OPTION_WINDOW_CLAMP, 4000);
	script_in(&s, &(struct in){ .flags = TCP_SYN });
	assert_int_equal(script_out(&s)->window, 4000);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
	s.c = tcp_accept(s.h.tcp, s.listener, 1);
	for (uint32_t at = 1; at < 20000; at += 1000) {
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at, .ack = 1, .len = 1000 });
		(void)host_recv(&s.h, s.c, got, sizeof(got));
		for (const struct seen *o; (o = script_out(&s)) != NULL;)
			assert_true(o->window <= 4000);
		s.n = s.read = 0;
	}
	end_one(&s);
	open_one(&s, NULL);
	uint32_t edge = s.c->rcv_adv;

	set(&s, TCP_OPTION_WINDOW_CLAMP, 2000);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 1000 });
	assert_int_equal(s.c->rcv_adv, edge);
	assert_int_equal(script_out(&s)->window, edge - s.c->rcv_nxt);
	end_one(&s);
}

/* Would catch: a user timeout (RFC 5482) that comes a retransmission too late, too early, or not while the window is
 * closed. */
static void test_user_timeout(void **state)
{
	for (uint32_t closed = 0; closed < 2; closed++) {
		struct script s;

		open_one(&s, NULL);
		set(&s, TCP_OPTION_USER_TIMEOUT, 5 * NS_PER_S);
		if (closed)
			script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .zero_window = true });
		uint64_t since = s.now;

		assert_int_equal(host_send(&s.h, s.c, "x", 1), 1);
		script_wait(&s, 4990 * NS_PER_MS);
		assert_int_equal(tcp_state(s.c), TCP_ESTABLISHED);
		/* A probe has been sent by then, and its answer is waited for. */
		script_wait(&s, closed ? 3 * NS_PER_S : 20 * NS_PER_MS);
		assert_int_equal(tcp_state(s.c), TCP_CLOSED);
		assert_int_equal(tcp_take_error(s.c), ETIMEDOUT);
		assert_true(s.now - since < 9 * NS_PER_S);
		end_one(&s);
	}
}

/* Would catch: readiness below SO_RCVLOWAT; one that never comes, since the window closes before. */
static void test_rcv_lowat(void **state)
{
	struct script s;
	static uint8_t got[200000];
	uint32_t at = 1;

	open_one(&s, NULL);
	set(&s, TCP_OPTION_RCV_LOWAT, 3000);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at, .ack = 1, .len = 1460 });
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at + 1460, .ack = 1, .len = 1460 });
	assert_false(tcp_poll(s.h.tcp, s.c) & TCP_POLL_IN);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at + 2920, .ack = 1, .len = 80 });
	assert_true(tcp_poll(s.h.tcp, s.c) & TCP_POLL_IN);
	at += 3000;
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 3000);
	/* More than the buffer was: it grows; or if it was set, that is all there will be. */
	for (uint32_t i = 0; i < 2; i++) {
		if (i == 1)
			set(&s, TCP_OPTION_RCVBUF, 65536);
		set(&s, TCP_OPTION_RCV_LOWAT, 150000);
		for (uint32_t k = 0; k < 400 && !(tcp_poll(s.h.tcp, s.c) & TCP_POLL_IN); k++) {
			uint32_t len = min_u32(1460, s.c->rcv_adv - s.c->rcv_nxt);

			s.n = s.read = 0;
			script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at, .ack = 1, .len = len });
			at += len;
		}
		assert_true(tcp_poll(s.h.tcp, s.c) & TCP_POLL_IN);
		assert_true(tcp_unread(s.c) >= (i == 0 ? 147000 : 29000));
		assert_true(host_recv(&s.h, s.c, got, sizeof(got)) > 0);
		s.n = s.read = 0;
	}
	end_one(&s);
}

/* Would catch: a rate above SO_MAX_PACING_RATE, or far below. */
static void test_pacing_rate(void **state)
{
	struct net n;
	struct tcp_conn *a, *b;

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);

	net_connect(&n, l, &a, &b);
	tcp_set_option(n.a.tcp, a, TCP_OPTION_MAX_PACING_RATE, 1000000);
	struct flow f = { .from = &n.a, .to = &n.b, .out = a, .in = b, .total = 500000 };
	uint64_t took = carry(&n, &f, 10 * NS_PER_S);

	/* Half a second, and a round trip at either end. */
	assert_in_range(took, 490 * NS_PER_MS, 600 * NS_PER_MS);
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, 200 * NS_PER_S);
	assert_int_equal(n.a.tcp->rares.n_used, 0);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

/* Would catch: a segment of a marked socket without the mark: of the handshake, with data, of the end. */
static void test_mark(void **state)
{
	struct script s;

	script_start(&s, NULL);
	script_listen(&s);
	tcp_listener_set_option(s.h.tcp, s.listener, TCP_OPTION_MARK, 77);
	script_in(&s, &(struct in){ .flags = TCP_SYN });
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10 });
	s.c = tcp_accept(s.h.tcp, s.listener, 1);
	assert_int_equal(tcp_option(s.h.tcp, s.c, TCP_OPTION_MARK), 77);
	(void)host_send(&s.h, s.c, "hello", 5);
	end_one(&s);
	assert_true(s.n >= 3);
	for (uint32_t i = 0; i < s.n; i++)
		assert_int_equal(s.seen[i].mark, 77);
}

/* Would catch: segments that may not be cut where Linux lets them be, also the answer to a SYN; a path MTU that is
 * taken where it is not wanted, or is not where it is. */
static void test_pmtu(void **state)
{
	static const struct {
		bool df, takes;
	} rows[N_DATAGRAM_PMTU] = {
		[DATAGRAM_PMTU_DONT] = { false, false },      [DATAGRAM_PMTU_WANT] = { true, true },
		[DATAGRAM_PMTU_DO] = { true, true },          [DATAGRAM_PMTU_PROBE] = { false, true },
		[DATAGRAM_PMTU_INTERFACE] = { false, false }, [DATAGRAM_PMTU_OMIT] = { false, false },
	};
	static const uint8_t mss[] = { 2, 4, 5, 180 };
	uint8_t bytes[3000] = { 0 };

	for (uint32_t pmtu = 0; pmtu < N_DATAGRAM_PMTU; pmtu++) {
		struct script s;

		script_start(&s, NULL);
		script_listen(&s);
		tcp_listener_set_option(s.h.tcp, s.listener, TCP_OPTION_PMTU, pmtu);
		script_in(&s, &(struct in){ .flags = TCP_SYN, .options = mss, .options_len = sizeof(mss) });
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
		s.c = tcp_accept(s.h.tcp, s.listener, 1);
		assert_int_equal(tcp_option(s.h.tcp, s.c, TCP_OPTION_PMTU), pmtu);
		(void)host_send(&s.h, s.c, bytes, sizeof(bytes));
		assert_true(s.n >= 3);
		script_icmp(&s, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 1, 1000);
		assert_int_equal(s.c->mss, rows[pmtu].takes ? 960 : 1460);
		for (uint32_t i = 0; i < s.n; i++)
			assert_int_equal(s.seen[i].df, rows[pmtu].df);
		end_one(&s);
	}
}

/* Would catch: a socket that hears by another interface than its own (SO_BINDTODEVICE), or sends by another. */
static void test_device(void **state)
{
	struct script s;
	struct tcp_end local = { 0 }, remote = { ip_addr_v4(A_ADDR), PEER_PORT };

	open_one(&s, NULL);
	set(&s, TCP_OPTION_DEVICE, 2);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10 });
	assert_int_equal(tcp_unread(s.c), 0);
	assert_int_equal(s.h.env.ledger.n_dropped[DROP_SOCKET_DEVICE], 1);
	set(&s, TCP_OPTION_DEVICE, 1);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10 });
	assert_int_equal(tcp_unread(s.c), 10);
	tcp_listener_set_option(s.h.tcp, s.listener, TCP_OPTION_DEVICE, 2);
	script_forget(&s);
	script_in(&s, &(struct in){ .flags = TCP_SYN, .sport = 6000 });
	assert_int_equal(script_out(&s)->flags, TCP_RST | TCP_ACK);
	struct tcp_conn *c = tcp_open(s.h.tcp, 1);

	/* There is none, so nothing is on its link. */
	tcp_set_option(s.h.tcp, c, TCP_OPTION_DEVICE, 2);
	assert_int_equal(tcp_connect(s.h.tcp, c, 0, &local, &remote), -ENETUNREACH);
	tcp_set_option(s.h.tcp, c, TCP_OPTION_DEVICE, 1);
	assert_int_equal(tcp_connect(s.h.tcp, c, 0, &local, &remote), -EINPROGRESS);
	tcp_abort(s.h.tcp, c);
	end_one(&s);
}

/* Would catch: TCP_DEFER_ACCEPT that accepts before data came, or never a peer that sends none. */
static void test_defer_accept(void **state)
{
	struct script s;

	for (uint32_t silent = 0; silent < 2; silent++) {
		script_start(&s, NULL);
		script_listen(&s);
		tcp_listener_set_defer(s.listener, 7);
		script_in(&s, &(struct in){ .flags = TCP_SYN });
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
		assert_false(tcp_acceptable(s.listener));
		script_forget(&s);
		if (silent) {
			script_wait(&s, 6 * NS_PER_S);
			assert_null(script_out(&s));
			/* Asked once more. */
			script_wait(&s, 10 * NS_PER_S);
			assert_int_equal(script_out(&s)->flags, TCP_SYN | TCP_ACK);
		}
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = silent ? 0 : 5 });
		s.c = tcp_accept(s.h.tcp, s.listener, 1);
		assert_non_null(s.c);
		assert_int_equal(tcp_unread(s.c), silent ? 0 : 5);
		end_one(&s);
	}
}

/* Would catch: TCP_SAVE_SYN that keeps another packet, or none, or keeps it twice; one that nobody asks for left
 * behind. */
static void test_saved_syn(void **state)
{
	static const uint8_t mss[] = { 2, 4, 5, 180 };
	uint8_t out[200];
	struct script s;

	for (uint32_t how = 0; how <= 2; how++) {
		uint32_t len = 10, whole = how == 0 ? 0 : how == 1 ? 44 : 58;

		script_start(&s, NULL);
		script_listen(&s);
		tcp_listener_set_option(s.h.tcp, s.listener, TCP_OPTION_SAVE_SYN, how);
		script_in(&s, &(struct in){ .flags = TCP_SYN, .options = mss, .options_len = sizeof(mss) });
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
		script_in(&s, &(struct in){ .flags = TCP_SYN, .sport = 6000 });
		s.c = tcp_accept(s.h.tcp, s.listener, 1);
		assert_int_equal(tcp_saved_syn(s.h.tcp, s.c, out, &len), how == 0 ? 0 : -EINVAL);
		assert_int_equal(len, whole);
		len = sizeof(out);
		assert_int_equal(tcp_saved_syn(s.h.tcp, s.c, out, &len), 0);
		assert_int_equal(len, whole);
		if (how > 0) {
			const uint8_t *tcp = out + whole - 24;

			assert_int_equal(out[whole - 44], 0x45);
			assert_int_equal(tcp[13], TCP_SYN);
			assert_memory_equal(tcp + 20, mss, sizeof(mss));
		}
		len = sizeof(out);
		assert_int_equal(tcp_saved_syn(s.h.tcp, s.c, out, &len), 0);
		assert_int_equal(len, 0);
		tcp_abort(s.h.tcp, s.c);
		tcp_unlisten(s.h.tcp, s.listener);
		s.listener = NULL;
		assert_int_equal(s.h.tcp->saved_syns.n_used, 0);
		script_end(&s);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_min_ttl),      cmocka_unit_test(test_notsent_lowat),
		cmocka_unit_test(test_linger2),      cmocka_unit_test(test_quickack),
		cmocka_unit_test(test_window_clamp), cmocka_unit_test(test_user_timeout),
		cmocka_unit_test(test_rcv_lowat),    cmocka_unit_test(test_pacing_rate),
		cmocka_unit_test(test_mark),         cmocka_unit_test(test_device),
		cmocka_unit_test(test_defer_accept), cmocka_unit_test(test_saved_syn),
		cmocka_unit_test(test_pmtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
