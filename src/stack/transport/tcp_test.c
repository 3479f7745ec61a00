/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/transport/tcp_flow.h"
#include "stack/transport/tcp_script.h"

/* Would catch: a handshake, a byte, an end of either way or TIME_WAIT that goes wrong on a good path. */
static void test_open_send_close(void **state)
{
	struct net n;
	struct tcp_conn *a, *b;

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);
	uint8_t got[64];

	net_connect(&n, l, &a, &b);
	assert_int_equal(host_send(&n.a, a, "hello", 5), 5);
	net_run(&n, 100 * NS_PER_MS);
	assert_int_equal(host_recv(&n.b, b, got, sizeof(got)), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(host_recv(&n.b, b, got, sizeof(got)), -EAGAIN);
	assert_int_equal(host_send(&n.b, b, "good day", 8), 8);
	net_run(&n, 100 * NS_PER_MS);
	assert_int_equal(host_recv(&n.a, a, got, sizeof(got)), 8);
	tcp_close(n.a.tcp, a);
	ip_flush(n.a.ip);
	net_run(&n, 100 * NS_PER_MS);
	assert_int_equal(host_recv(&n.b, b, got, sizeof(got)), 0);
	assert_int_equal(tcp_state(b), TCP_CLOSE_WAIT);
	tcp_close(n.b.tcp, b);
	ip_flush(n.b.ip);
	net_run(&n, 100 * NS_PER_MS);
	assert_int_equal(n.b.tcp->conns.n_used, 0);
	assert_int_equal(n.a.tcp->conns.n_used, 0);
	assert_int_equal(n.a.tcp->time_wait.n_used, 1);
	assert_int_equal(n.b.tcp->time_wait.n_used, 0);
	net_run(&n, 61 * NS_PER_S);
	assert_int_equal(n.a.tcp->time_wait.n_used, 0);
	assert_int_equal(n.a.tcp->segments.n_used + n.b.tcp->segments.n_used, 0);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

/* Would catch: bytes that come before anybody has accepted and are refused. */
static void test_before_accept(void **state)
{
	struct net n;
	uint8_t got[64];

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);
	struct tcp_conn *a = host_connect(&n.a, B_ADDR, SERVICE);

	net_run(&n, 100 * NS_PER_MS);
	assert_int_equal(host_send(&n.a, a, "hello", 5), 5);
	net_run(&n, 100 * NS_PER_MS);
	struct tcp_conn *b = tcp_accept(n.b.tcp, l, 3);

	assert_non_null(b);
	assert_int_equal(tcp_unread(b), 5);
	assert_int_equal(host_recv(&n.b, b, got, sizeof(got)), 5);
	assert_int_equal(tcp_unacked(a), 0);
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, 100 * NS_PER_MS);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

static uint64_t told(enum tcp_option o)
{
	switch (o) {
	case TCP_OPTION_MAXSEG:
		return 900;
	case TCP_OPTION_SNDBUF:
	case TCP_OPTION_RCVBUF:
		return 65536;
	case TCP_OPTION_KEEPALIVE_TIME:
	case TCP_OPTION_KEEPALIVE_INTERVAL:
		return 100 * NS_PER_MS;
	case TCP_OPTION_MAX_PACING_RATE:
		return 1000000000;
	case TCP_OPTION_USER_TIMEOUT:
		return 100 * NS_PER_S;
	default:
		return 1;
	}
}

/* Would catch: an option that is not given back, or that a listener's connections do not begin with. */
static void test_options(void **state)
{
	struct net n;
	struct tcp_conn *a, *b;

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);

	for (enum tcp_option o = 0; o < N_TCP_OPTIONS; o++)
		tcp_listener_set_option(n.b.tcp, l, o, told(o));
	assert_int_equal(tcp_listener_set_congestion(l, "newreno"), -ENOENT);
	assert_int_equal(tcp_listener_set_congestion(l, "reno"), 0);
	net_connect(&n, l, &a, &b);
	for (enum tcp_option o = 0; o < N_TCP_OPTIONS; o++) {
		assert_int_equal(tcp_option(n.b.tcp, b, o), tcp_listener_option(n.b.tcp, l, o));
		assert_int_equal(tcp_option(n.b.tcp, b, o), told(o));
	}
	assert_string_equal(tcp_congestion(b), "reno");
	assert_string_equal(tcp_congestion(a), "cubic");
	assert_int_equal(tcp_option(n.a.tcp, a, TCP_OPTION_KEEPALIVE_TIME), 7200 * NS_PER_S);
	net_run(&n, NS_PER_S);
	assert_true(n.b.tcp->counts[TCP_COUNT_KEEPALIVES] > 0);
	tcp_set_option(n.b.tcp, b, TCP_OPTION_KEEPALIVE, 0);
	net_run(&n, NS_PER_S);
	tcp_set_option(n.a.tcp, a, TCP_OPTION_KEEPALIVE, 1);
	tcp_set_option(n.a.tcp, a, TCP_OPTION_KEEPALIVE_TIME, 10 * NS_PER_S);
	net_run(&n, 12 * NS_PER_S);
	assert_int_equal(n.a.tcp->counts[TCP_COUNT_KEEPALIVES], 1);
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, 200 * NS_PER_MS);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

/* Would catch: a connect to nobody that hangs. */
static void test_refused(void **state)
{
	struct net n;

	net_start(&n);
	struct tcp_conn *a = host_connect(&n.a, B_ADDR, SERVICE);

	net_run(&n, NS_PER_S);
	assert_int_equal(tcp_state(a), TCP_CLOSED);
	assert_int_equal(tcp_take_error(a), ECONNREFUSED);
	tcp_close(n.a.tcp, a);
	assert_int_equal(n.a.tcp->conns.n_used, 0);
	net_end(&n);
}

static uint64_t bulk(const struct memwire_config *wire, uint64_t bytes, uint64_t limit, uint64_t *retransmitted)
{
	struct net n;
	struct tcp_config cfg = tcp_default_config;
	struct tcp_conn *a, *b;

	cfg.sndbuf = cfg.rcvbuf = 4 << 20;
	net_start_with(&n, wire, &cfg, &cfg);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);

	net_connect(&n, l, &a, &b);
	struct flow f = { .from = &n.a, .to = &n.b, .out = a, .in = b, .total = bytes };
	uint64_t took = carry(&n, &f, limit);

	if (retransmitted != NULL)
		*retransmitted = n.a.tcp->counts[TCP_COUNT_RETRANSMITTED];
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, 200 * NS_PER_S);
	assert_int_equal(n.a.tcp->conns.n_used + n.b.tcp->conns.n_used, 0);
	assert_int_equal(n.a.tcp->segments.n_used + n.b.tcp->segments.n_used, 0);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
	return took;
}

/* Would catch: a window or an acknowledgement that holds a good path back. */
static void test_bulk(void **state)
{
	struct memwire_config wire = { .rate_bps = 100000000, .delay_ns = 10 * NS_PER_MS, .queue_packets = 200 };
	uint64_t took = bulk(&wire, 8 << 20, 60 * NS_PER_S, NULL);

	/* 8 MB at 100 Mbit/s: 0.67 s, and headers. */
	assert_true(took < 1200 * NS_PER_MS);
}

/* Would catch: a loss that is not found, or found by a timeout each time. */
static void test_loss(void **state)
{
	struct memwire_config wire = {
		.rate_bps = 100000000, .delay_ns = 10 * NS_PER_MS, .queue_packets = 400, .loss_ppm = 10000
	};
	uint64_t retransmitted, took = bulk(&wire, 2 << 20, 120 * NS_PER_S, &retransmitted);

	assert_true(took < 5 * NS_PER_S);
	/* What was lost and little more: 1% of 1,450 segments. */
	assert_true(retransmitted < 60);
}

/* Would catch: data that is damaged or a flow that stops where everything goes wrong at once. */
static void test_trouble(void **state)
{
	struct memwire_config wire = { .rate_bps = 20000000,
				       .delay_ns = 20 * NS_PER_MS,
				       .queue_packets = 400,
				       .loss_ppm = 30000,
				       .duplicate_ppm = 20000,
				       .reorder_ppm = 50000,
				       .reorder_delay_ns = 7 * NS_PER_MS };
	assert_true(bulk(&wire, 1 << 20, 600 * NS_PER_S, NULL) < 10 * NS_PER_S);
}

/* Would catch: buffers that stay as they are on a path that could do more, or grow though somebody has set them. */
static void test_buffers_grow(void **state)
{
	struct memwire_config wire = { .rate_bps = 100000000, .delay_ns = 50 * NS_PER_MS, .queue_packets = 2000 };
	struct net n;
	struct tcp_conn *a, *b;
	uint64_t took[2];

	for (uint32_t is_set = 0; is_set < 2; is_set++) {
		net_start_with(&n, &wire, NULL, NULL);
		struct tcp_listener *l = host_listen(&n.b, SERVICE);

		net_connect(&n, l, &a, &b);
		b->told.rcvbuf_set = is_set != 0;
		struct flow f = { .from = &n.a, .to = &n.b, .out = a, .in = b, .total = 10 << 20 };

		took[is_set] = carry(&n, &f, 300 * NS_PER_S);
		assert_int_equal(b->rcvbuf > 2000000, !is_set);
		tcp_close(n.a.tcp, a);
		tcp_close(n.b.tcp, b);
		net_run(&n, 200 * NS_PER_S);
		tcp_unlisten(n.b.tcp, l);
		net_end(&n);
	}
	/* 10 MB at 100 Mbit/s take 0.9 s; by a window of 64 KB and 100 ms 16. */
	assert_true(took[0] < 3 * NS_PER_S);
	assert_true(took[1] > 14 * NS_PER_S);
}

/* Would catch: room that was asked for and not used, which is sent as a segment of nothing, and sent again until the
 * connection is given up. */
static void test_reserved_and_not_committed(void **state)
{
	struct net n;
	struct tcp_conn *a, *b;
	struct span room;
	uint8_t got[4];

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);

	net_connect(&n, l, &a, &b);
	assert_int_equal(tcp_reserve(n.a.tcp, a, &room), 0);
	assert_int_equal(host_send(&n.b, b, "x", 1), 1);
	net_run(&n, 3600 * NS_PER_S);
	assert_int_equal(tcp_state(a), TCP_ESTABLISHED);
	assert_int_equal(n.a.tcp->counts[TCP_COUNT_RETRANSMITTED] + n.a.tcp->segments.n_used, 0);
	assert_int_equal(tcp_reserve(n.a.tcp, a, &room), 0);
	((uint8_t *)(uintptr_t)room.bytes)[0] = 'y';
	assert_int_equal(tcp_commit(n.a.tcp, a, 1, 0), 0);
	net_run(&n, NS_PER_S);
	assert_int_equal(host_recv(&n.b, b, got, sizeof(got)), 1);
	assert_int_equal(got[0], 'y');
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, 100 * NS_PER_S);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

/* The other end takes the data and not the FIN behind it. Would catch: a FIN that is sent again with the sum of the
 * data (script_tx looks at each sum). */
static void test_fin_alone_is_sent_again(void **state)
{
	struct span data = { .bytes = (uint8_t *)(uintptr_t) "0123456789", .len = 10 };
	struct script s;

	script_start(&s, NULL);
	script_accept(&s, NULL, 0);
	assert_int_equal(tcp_send(s.h.tcp, s.c, &data, 1, TCP_SEND_MORE), 10);
	assert_int_equal(tcp_shutdown(s.h.tcp, s.c, TCP_SHUT_WR), 0);
	ip_flush(s.h.ip);
	const struct seen *o = script_out(&s);

	assert_non_null(o);
	assert_int_equal(o->len, 10);
	assert_true(o->flags & TCP_FIN);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 11 });
	script_wait(&s, 3 * NS_PER_S);
	o = script_out(&s);
	assert_non_null(o);
	assert_int_equal(o->len, 0);
	assert_int_equal(o->seq, 11);
	assert_true(o->flags & TCP_FIN);
	tcp_abort(s.h.tcp, s.c);
	script_end(&s);
}

/* The config is another one by the time the answer comes. Would catch: two ends of which one believes in what the other
 * does not. */
static void test_offered_is_offered(void **state)
{
	struct net n;
	struct tcp_conn *b;

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);
	struct tcp_conn *a = host_connect(&n.a, B_ADDR, SERVICE);

	n.a.tcp->cfg.window_scaling = n.a.tcp->cfg.timestamps = n.a.tcp->cfg.sack = false;
	net_run(&n, NS_PER_S);
	b = tcp_accept(n.b.tcp, l, 3);
	assert_non_null(b);
	assert_true(a->wscale_ok && a->ts_ok && a->sack_ok);
	assert_true(b->wscale_ok && b->ts_ok && b->sack_ok);
	assert_int_equal(a->snd_scale, b->rcv_scale);
	assert_int_equal(b->snd_scale, a->rcv_scale);
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, 100 * NS_PER_S);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_send_close),
		cmocka_unit_test(test_before_accept),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_buffers_grow),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_reserved_and_not_committed),
		cmocka_unit_test(test_fin_alone_is_sent_again),
		cmocka_unit_test(test_offered_is_offered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
