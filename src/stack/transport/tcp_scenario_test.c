/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What users of other stacks have reported, as tests: each is named after the report.
 */
#include "stack/transport/tcp_flow.h"
#include "stack/transport/tcp_script.h"

static void pair(struct net *n, const struct memwire_config *wire, uint32_t buffer, struct tcp_listener **l,
		 struct flow *f)
{
	struct tcp_config cfg = tcp_default_config;

	cfg.sndbuf = buffer;
	cfg.rcvbuf = 2 * buffer;
	net_start_with(n, wire, &cfg, &cfg);
	*l = host_listen(&n->b, SERVICE);
	memset(f, 0, sizeof(*f));
	f->from = &n->a;
	f->to = &n->b;
	net_connect(n, *l, &f->out, &f->in);
}

static void part(struct net *n, struct tcp_listener *l, struct flow *f)
{
	tcp_close(n->a.tcp, f->out);
	tcp_close(n->b.tcp, f->in);
	net_run(n, 300 * NS_PER_S);
	assert_int_equal(n->a.tcp->conns.n_used + n->b.tcp->conns.n_used, 0);
	assert_int_equal(n->a.tcp->segments.n_used + n->b.tcp->segments.n_used, 0);
	tcp_unlisten(n->b.tcp, l);
	net_end(n);
}

/* --- D1: smoltcp#62 --- */

static bool lose_one(struct host *h, struct packet *p)
{
	uint32_t *left = h->filter_ctx;

	return p->len < 100 || --*left != 0;
}

/* Would catch: a retransmission timer that acknowledgements of nothing new put off. */
static void test_small_writes_one_loss(void **state)
{
	struct memwire_config wire = { .rate_bps = 50000000, .delay_ns = 10 * NS_PER_MS, .queue_packets = 2000 };
	struct net n;
	struct flow f;
	struct tcp_listener *l;
	uint32_t left = 500;

	pair(&n, &wire, 262144, &l, &f);
	n.b.filter = lose_one;
	n.b.filter_ctx = &left;
	f.total = 4 << 20;
	f.write_size = 64;
	carry(&n, &f, 60 * NS_PER_S);
	assert_int_equal(n.b.n_filtered, 1);
	assert_true(f.longest_pause < 400 * NS_PER_MS);
	part(&n, l, &f);
}

/* --- D2: smoltcp#199, libvma#459, picotcp#126 --- */

static bool lose_updates(struct host *h, struct packet *p)
{
	uint32_t *left = h->filter_ctx;

	return p->len > 100 || *left == 0 || --*left == UINT32_MAX;
}

/* Would catch: a window that opens unheard, and a sender that waits for it. */
static void test_lost_window_update(void **state)
{
	struct memwire_config wire = { .delay_ns = 5 * NS_PER_MS, .queue_packets = 2000 };
	struct net n;
	struct flow f;
	struct tcp_listener *l;
	uint32_t left = 0;

	pair(&n, &wire, 32768, &l, &f);
	f.total = 200000;
	f.paused = true;
	for (uint32_t i = 0; i < 500 && f.out->snd_wnd >= f.out->mss; i++)
		flow_step(&n, &f);
	net_run(&n, NS_PER_S);
	assert_true(f.out->snd_wnd < f.out->mss);
	/* It reads all, and what it says of that is lost. */
	n.a.filter = lose_updates;
	n.a.filter_ctx = &left;
	left = 3;
	f.paused = false;
	drain(&f, n.now);
	ip_flush(n.b.ip);
	uint64_t took = carry(&n, &f, 120 * NS_PER_S);

	assert_true(n.a.n_filtered > 0);
	assert_true(took < 70 * NS_PER_S);
	part(&n, l, &f);
}

/* A peer whose window stays closed is asked for as long as it answers, no more often than once a minute in the end. */
static void test_closed_for_an_hour(void **state)
{
	struct memwire_config wire = { .delay_ns = 5 * NS_PER_MS, .queue_packets = 2000 };
	struct net n;
	struct flow f;
	struct tcp_listener *l;

	pair(&n, &wire, 32768, &l, &f);
	f.total = 200000;
	f.paused = true;
	for (uint32_t i = 0; i < 500 && f.out->snd_wnd >= f.out->mss; i++)
		flow_step(&n, &f);
	net_run(&n, 600 * NS_PER_S);
	uint64_t probes = n.a.tcp->counts[TCP_COUNT_ZERO_WINDOW_PROBES];

	net_run(&n, 3600 * NS_PER_S);
	assert_in_range(n.a.tcp->counts[TCP_COUNT_ZERO_WINDOW_PROBES] - probes, 50, 65);
	assert_int_equal(tcp_state(f.out), TCP_ESTABLISHED);
	f.paused = false;
	carry(&n, &f, 120 * NS_PER_S);
	part(&n, l, &f);
}

/* --- D3: smoltcp PR#935 --- */

/* Would catch: a window update that waits for the delayed acknowledgement's timer. */
static void test_reader_takes_all(void **state)
{
	struct memwire_config wire = { .rate_bps = 1000000000, .delay_ns = 50 * NS_PER_US, .queue_packets = 4000 };
	struct net n;
	struct flow f;
	struct tcp_listener *l;

	pair(&n, &wire, 65536, &l, &f);
	f.total = 16 << 20;
	uint64_t took = carry(&n, &f, 60 * NS_PER_S);

	/* 16 MB at a gigabit: 134 ms, and headers. */
	assert_true(took < 200 * NS_PER_MS);
	assert_true(f.longest_pause < 10 * NS_PER_MS);
	part(&n, l, &f);
}

/* --- D4: gvisor#6113 --- */

/* Would catch: a division by, or a window of, a round trip of 0. */
static void test_no_round_trip(void **state)
{
	for (uint64_t delay = 0; delay <= 50000; delay += 25000) {
		struct memwire_config wire = { .delay_ns = delay, .queue_packets = 4000, .loss_ppm = 10000 };
		struct net n;
		struct flow f;
		struct tcp_listener *l;

		pair(&n, &wire, 262144, &l, &f);
		f.total = 4 << 20;
		carry(&n, &f, 60 * NS_PER_S);
		part(&n, l, &f);
	}
}

/* --- D5: gvisor#7406, tailscale#20893 --- */

static uint64_t bulk_time(const struct memwire_config *wire, uint64_t bytes, struct tcp_listener **l, struct net *n,
			  struct flow *f)
{
	pair(n, wire, 2 << 20, l, f);
	f->total = bytes;
	return carry(n, f, 300 * NS_PER_S);
}

/* Would catch: reordering taken for loss again and again. */
static void test_reordering(void **state)
{
	struct memwire_config plain = { .rate_bps = 100000000, .delay_ns = 33 * NS_PER_MS, .queue_packets = 8000 };
	struct memwire_config reordered = plain;
	struct net n;
	struct flow f;
	struct tcp_listener *l;

	reordered.reorder_ppm = 20000;
	reordered.reorder_delay_ns = 22 * NS_PER_MS;
	uint64_t without = bulk_time(&plain, 20 << 20, &l, &n, &f);

	part(&n, l, &f);
	uint64_t with = bulk_time(&reordered, 20 << 20, &l, &n, &f);

	assert_true(n.a.tcp->counts[TCP_COUNT_RTOS] <= 1);
	assert_true(f.out->reordering_seen);
	part(&n, l, &f);
	if (with * 9 > without * 10)
		fail_msg("%llu ms with reordering, %llu without", (unsigned long long)(with / NS_PER_MS),
			 (unsigned long long)(without / NS_PER_MS));
}

/* --- D6: gvisor#10243 --- */

/* Would catch: a stall for ever, a window that shrinks. */
static void test_reader_pauses(void **state)
{
	struct memwire_config wire = {
		.rate_bps = 2000000, .delay_ns = 20 * NS_PER_MS, .queue_packets = 500, .loss_ppm = 1000
	};
	struct net n;
	struct flow f;
	struct tcp_listener *l;
	struct rng rng;
	static const uint8_t seed[RNG_SEED_BYTES] = "pauses";

	rng_init(&rng, seed);
	pair(&n, &wire, 32768, &l, &f);
	f.total = UINT64_C(1) << 40;
	f.last_progress = n.now;
	uint64_t end = n.now + 200 * NS_PER_S, switch_at = n.now;
	uint32_t edge = f.in->rcv_adv;

	while (n.now < end) {
		if (n.now >= switch_at) {
			f.paused = !f.paused;
			switch_at = n.now + rng_below(&rng, 3000) * NS_PER_MS;
		}
		assert_true(flow_step(&n, &f));
		assert_false(seq_before(f.in->rcv_adv, edge));
		edge = f.in->rcv_adv;
		assert_true(n.now - f.last_progress < 20 * NS_PER_S);
	}
	f.total = f.sent;
	f.paused = false;
	carry(&n, &f, 60 * NS_PER_S);
	part(&n, l, &f);
}

/* --- D7: gvisor#11536 --- */

static const uint8_t ts_options[] = { 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 7 };

/* Would catch: a peer that agreed on timestamps and leaves them out, and is not heard. */
static void test_timestamps_missing(void **state)
{
	struct script s;
	uint8_t got[200];

	script_start(&s, NULL);
	script_listen(&s);
	script_in(&s, &(struct in){ .flags = TCP_SYN, .options = ts_options, .options_len = sizeof(ts_options) });
	assert_true(script_out(&s)->options.has_timestamp);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
	s.c = tcp_accept(s.h.tcp, s.listener, 1);
	assert_non_null(s.c);
	script_in(&s, &(struct in){ .flags = TCP_ACK | TCP_PSH, .seq = 1, .ack = 1, .len = 100 });
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 100);
	assert_int_equal(s.h.tcp->counts[TCP_COUNT_NO_TIMESTAMP], 2);
	/* Its reset is judged by the number alone. */
	script_in(&s, &(struct in){ .flags = TCP_RST, .seq = 101 });
	assert_int_equal(tcp_state(s.c), TCP_CLOSED);
	tcp_close(s.h.tcp, s.c);
	script_end(&s);
}

/* --- D9: slirp4netns#350, mtcp#102, nuttx#12391 --- */

/* The peer is gone, in each state; all it may do is say again what it said. */
static void test_peer_dies(void **state)
{
	for (uint32_t how = 0; how < 5; how++) {
		struct script s;
		uint8_t bytes[100] = { 0 };

		script_start(&s, NULL);
		script_accept(&s, NULL, 0);
		switch (how) {
		case 0: /* ESTABLISHED, with data that nobody acknowledges */
			assert_int_equal(host_send(&s.h, s.c, bytes, sizeof(bytes)), sizeof(bytes));
			break;
		case 1: /* FIN_WAIT_1 */
			tcp_close(s.h.tcp, s.c);
			break;
		case 2: /* FIN_WAIT_2 that nobody has */
			tcp_close(s.h.tcp, s.c);
			ip_flush(s.h.ip);
			script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2 });
			break;
		case 3: /* LAST_ACK */
			script_in(&s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1 });
			tcp_close(s.h.tcp, s.c);
			break;
		default: /* CLOSING */
			tcp_close(s.h.tcp, s.c);
			ip_flush(s.h.ip);
			script_in(&s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1 });
			break;
		}
		for (uint32_t i = 0; i < 2000 && s.h.tcp->conns.n_used > 0 && (how != 0 || tcp_state(s.c) != 0); i++) {
			s.n = s.read = 0;
			s.is_dead = true;
			script_wait(&s, NS_PER_S);
			/* Its old segments come again: they hold nothing up. */
			if (how != 0)
				script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 0, .ack = 1 });
		}
		if (how == 0) {
			assert_int_equal(tcp_state(s.c), TCP_CLOSED);
			/* The dead do not answer ARP either: that is known by then, and told. */
			assert_int_equal(tcp_take_error(s.c), EHOSTUNREACH);
			tcp_close(s.h.tcp, s.c);
		}
		assert_int_equal(s.h.tcp->conns.n_used, 0);
		assert_int_equal(s.h.tcp->segments.n_used, 0);
		script_end(&s);
	}
}

/* --- D10: slirp4netns PR#170, smolvm#944 and others --- */

/* Would catch: a half close that ends the other way. */
static void test_half_close(void **state)
{
	struct memwire_config wire = { .rate_bps = 100000000, .delay_ns = 5 * NS_PER_MS, .queue_packets = 2000 };
	struct net n;
	struct flow f;
	struct tcp_listener *l;
	uint8_t byte;

	for (uint32_t mirrored = 0; mirrored < 2; mirrored++) {
		pair(&n, &wire, 262144, &l, &f);
		if (mirrored) {
			struct tcp_conn *out = f.in;

			f.from = &n.b;
			f.to = &n.a;
			f.in = f.out;
			f.out = out;
		}
		assert_int_equal(tcp_shutdown(f.to->tcp, f.in, TCP_SHUT_WR), 0);
		ip_flush(f.to->ip);
		net_run(&n, 100 * NS_PER_MS);
		assert_int_equal(host_recv(f.from, f.out, &byte, 1), 0);
		assert_true(tcp_poll(f.from->tcp, f.out) & TCP_POLL_RDHUP);
		f.total = 8 << 20;
		carry(&n, &f, 60 * NS_PER_S);
		if (mirrored) {
			struct tcp_conn *out = f.in;

			f.in = f.out;
			f.out = out;
		}
		part(&n, l, &f);
	}
}

/* --- D11: mirage-tcpip#489, 86Box#3199 --- */

/* Would catch: both close at once and one stays. */
static void test_simultaneous_close(void **state)
{
	struct net n;
	struct tcp_conn *a, *b;

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);

	net_connect(&n, l, &a, &b);
	net_run(&n, NS_PER_S);
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, NS_PER_S);
	assert_int_equal(n.a.tcp->conns.n_used + n.b.tcp->conns.n_used, 0);
	assert_int_equal(n.a.tcp->time_wait.n_used + n.b.tcp->time_wait.n_used, 2);
	net_run(&n, 60 * NS_PER_S);
	assert_int_equal(n.a.tcp->time_wait.n_used + n.b.tcp->time_wait.n_used, 0);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

/* A reset in CLOSING that is in the window but not exact is challenged; the exact one ends it. */
static void test_reset_in_closing(void **state)
{
	struct script s;

	script_start(&s, NULL);
	script_accept(&s, NULL, 0);
	assert_int_equal(tcp_shutdown(s.h.tcp, s.c, TCP_SHUT_WR), 0);
	ip_flush(s.h.ip);
	script_in(&s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1 });
	assert_int_equal(tcp_state(s.c), TCP_CLOSING);
	script_forget(&s);
	script_in(&s, &(struct in){ .flags = TCP_RST, .seq = 1000 });
	assert_int_equal(tcp_state(s.c), TCP_CLOSING);
	const struct seen *o = script_out(&s);

	assert_non_null(o);
	assert_int_equal(o->ack, 2);
	script_in(&s, &(struct in){ .flags = TCP_RST, .seq = o->ack });
	assert_int_equal(tcp_state(s.c), TCP_CLOSED);
	tcp_close(s.h.tcp, s.c);
	script_end(&s);
}

/* The FIN comes with the last bytes that the window has room for, and stands right behind it. */
static void test_fin_when_window_is_full(void **state)
{
	struct script s;
	struct tcp_config cfg = tcp_default_config;
	uint8_t got[16384];
	uint32_t at = 1;

	cfg.rcvbuf = 2 * 8192;
	script_start(&s, &cfg);
	script_accept(&s, NULL, 0);
	while (s.c->rcv_adv - s.c->rcv_nxt > 1000) {
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at, .ack = 1, .len = 1000 });
		at += 1000;
	}
	uint32_t rest = s.c->rcv_adv - s.c->rcv_nxt;

	script_in(&s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = at, .ack = 1, .len = rest });
	assert_int_equal(tcp_state(s.c), TCP_CLOSE_WAIT);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), at - 1 + rest);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 0);
	tcp_close(s.h.tcp, s.c);
	ip_flush(s.h.ip);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at + rest + 1, .ack = 2 });
	assert_int_equal(s.h.tcp->conns.n_used, 0);
	s.c = NULL;
	script_end(&s);
}

/* --- D12: esp-idf#2425 --- */

/* Both have closed windows and unread data. Would catch: acknowledgements that answer each other for ever. */
static void test_both_windows_closed(void **state)
{
	struct memwire_config wire = { .delay_ns = 5 * NS_PER_MS, .queue_packets = 2000 };
	struct net n;
	struct flow f, g;
	struct tcp_listener *l;

	pair(&n, &wire, 32768, &l, &f);
	g = (struct flow){ .from = &n.b, .to = &n.a, .out = f.in, .in = f.out, .total = 100000, .paused = true };
	f.total = 100000;
	f.paused = true;
	for (uint32_t i = 0; i < 200; i++) {
		feed(&f);
		feed(&g);
		net_run(&n, 50 * NS_PER_MS);
	}
	net_run(&n, 300 * NS_PER_S);
	uint64_t before = n.a.tcp->counts[TCP_COUNT_OUT_SEGMENTS] + n.b.tcp->counts[TCP_COUNT_OUT_SEGMENTS];

	net_run(&n, 600 * NS_PER_S);
	uint64_t sent = n.a.tcp->counts[TCP_COUNT_OUT_SEGMENTS] + n.b.tcp->counts[TCP_COUNT_OUT_SEGMENTS] - before;

	assert_true(sent <= 200);
	assert_true(sent >= 20);
	f.paused = g.paused = false;
	while (!f.ended || !g.ended) {
		drain(&g, n.now);
		feed(&g);
		assert_true(flow_step(&n, &f));
	}
	assert_int_equal(f.received, f.total);
	assert_int_equal(g.received, g.total);
	part(&n, l, &f);
}

/* --- D13: zephyr#47240, inetstack#145 --- */

/* Segments of any size from anywhere ahead, twice and across each other; what an overlap says differently the second
 * time is not taken. Would catch: bytes from the wrong copy, lost or doubled ones, a FIN that is taken too early. */
static void test_overlaps(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "overlaps";
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t round = 0; round < 60; round++) {
		struct script s;
		static uint8_t got[20000];
		const uint32_t total = 1 + rng_below(&rng, 12000);
		uint32_t n_got = 0;

		script_start(&s, NULL);
		script_accept(&s, ts_options, 4); /* the MSS alone */
		for (uint32_t i = 0; i < 4000 && !s.c->fin_received; i++) {
			uint32_t at = rng_below(&rng, total + 1), len = 1 + rng_below(&rng, 1460);

			/* Now and then what is missing. */
			if (rng_below(&rng, 3) == 0)
				at = min_u32(total, s.c->rcv_nxt - PEER_ISN - 1 -
							    min_u32(rng_below(&rng, 20), s.c->rcv_nxt - PEER_ISN - 1));
			len = min_u32(len, total - at);
			bool has_fin = at + len == total;

			s.n = s.read = 0;
			script_in(&s, &(struct in){ .flags = (uint8_t)(TCP_ACK | (has_fin ? TCP_FIN : 0)),
						    .seq = 1 + at,
						    .ack = 1,
						    .len = len });
			int64_t r = host_recv(&s.h, s.c, got + n_got, sizeof(got) - n_got);

			n_got += r > 0 ? (uint32_t)r : 0;
		}
		assert_true(s.c->fin_received);
		assert_int_equal(n_got, total);
		/* Each byte once, however often and in whatever order it came. */
		assert_int_equal(s.c->bytes_received, total);
		for (uint32_t i = 0; i < total; i++)
			assert_int_equal(got[i], script_byte(1 + i));
		assert_int_equal(s.c->inbox.islands, POOL_NONE);
		tcp_abort(s.h.tcp, s.c);
		script_end(&s);
	}
}

/* --- D14: f-stack#725, #702 --- */

/* Would catch: connections, timers or records that are left behind, and a tuple in TIME_WAIT that is not reused though
 * timestamps make it safe. */
static void test_connection_churn(void **state)
{
	struct memwire_config wire = { .delay_ns = 100 * NS_PER_US, .queue_packets = 4000 };
	struct tcp_config cfg = tcp_default_config;
	struct net n;

	cfg.port_first = 40000;
	cfg.port_last = 40099;
	net_start_with(&n, &wire, &cfg, &cfg);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);

	for (uint32_t i = 0; i < 2000; i++) {
		struct tcp_conn *a, *b;

		net_connect(&n, l, &a, &b);
		tcp_close(n.a.tcp, a);
		ip_flush(n.a.ip);
		net_run(&n, NS_PER_MS);
		tcp_close(n.b.tcp, b);
		ip_flush(n.b.ip);
		/* A hundred ports, 60 s of TIME_WAIT: each is reused after a second or two. */
		net_run(&n, 20 * NS_PER_MS);
	}
	assert_true(n.a.tcp->counts[TCP_COUNT_TIME_WAIT_REUSED] > 1500);
	net_run(&n, 61 * NS_PER_S);
	assert_int_equal(n.a.tcp->conns.n_used + n.b.tcp->conns.n_used, 0);
	assert_int_equal(n.a.tcp->time_wait.n_used + n.b.tcp->time_wait.n_used, 0);
	assert_int_equal(n.a.tcp->table.n + n.b.tcp->table.n, 0);
	/* Given up at once, before any answer. */
	for (uint32_t i = 0; i < 5000; i++)
		tcp_close(n.a.tcp, host_connect(&n.a, B_ADDR, SERVICE));
	net_run(&n, 100 * NS_PER_S);
	assert_int_equal(n.a.tcp->conns.n_used + n.b.tcp->half_open.n_used, 0);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_writes_one_loss),
		cmocka_unit_test(test_lost_window_update),
		cmocka_unit_test(test_closed_for_an_hour),
		cmocka_unit_test(test_reader_takes_all),
		cmocka_unit_test(test_no_round_trip),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_reader_pauses),
		cmocka_unit_test(test_timestamps_missing),
		cmocka_unit_test(test_peer_dies),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_simultaneous_close),
		cmocka_unit_test(test_reset_in_closing),
		cmocka_unit_test(test_fin_when_window_is_full),
		cmocka_unit_test(test_both_windows_closed),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_connection_churn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
