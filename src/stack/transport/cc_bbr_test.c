/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BBR's constants and functions by themselves, its record, and what sockets see of it.
 */
#include "stack/transport/cc_bbr_fixture.h"

static const struct bbr_path usual = { .rate_bps = 100000000, .rtt_ns = 40 * NS_PER_MS, .buffer_bytes = 500000 };

/* "Summary of Control Behavior in the State Machine". */
static void test_gains(void **state)
{
	static const uint16_t want[N_BBR_STATES][2] = {
		[BBR_STARTUP] = { 277, 200 },         [BBR_DRAIN] = { 50, 200 },
		[BBR_PROBE_BW_DOWN] = { 90, 200 },    [BBR_PROBE_BW_CRUISE] = { 100, 200 },
		[BBR_PROBE_BW_REFILL] = { 100, 200 }, [BBR_PROBE_BW_UP] = { 125, 225 },
		[BBR_PROBE_RTT] = { 100, 50 },
	};

	for (uint32_t i = 0; i < N_BBR_STATES; i++) {
		assert_int_equal(bbr_state_info[i].pacing_gain, want[i][0]);
		assert_int_equal(bbr_state_info[i].cwnd_gain, want[i][1]);
	}
}

/* The largest of the last so many steps, whatever the order: against a look at all of them. */
static void test_windowed_max(void **state)
{
	struct windowed_max w;
	struct rng rng;
	uint8_t seed[RNG_SEED_BYTES] = "a window";
	uint64_t seen[2000];

	rng_init(&rng, seed);
	windowed_max_reset(&w, 0, 0);
	for (uint32_t i = 0; i < ARRAY_LEN(seen); i++) {
		uint64_t all = 0, got;

		seen[i] = rng_below(&rng, 1000) + (i < 1000 ? 1000 - i : 0);
		got = windowed_max_update(&w, 10, i, seen[i]);
		for (uint32_t k = i < 10 ? 0 : i - 10; k <= i; k++)
			all = max_u64(all, seen[k]);
		/* Three values remember no less than the newest and no more than the largest. */
		assert_in_range(got, seen[i], all);
		if (seen[i] == all)
			assert_int_equal(got, all);
	}
	/* A largest one stays for the window, and not longer. */
	windowed_max_reset(&w, 0, 0);
	(void)windowed_max_update(&w, 10, 100, 77);
	for (uint32_t i = 1; i <= 10; i++)
		assert_int_equal(windowed_max_update(&w, 10, 100 + i, 5), 77);
	assert_int_equal(windowed_max_update(&w, 10, 111, 5), 5);
}

/* No product goes over at the ends: 147 Gbit/s, and hours. */
static void test_volumes(void **state)
{
	assert_int_equal(bbr_volume(1250, 2 * NS_PER_S), 2500);
	assert_int_equal(bbr_volume(12500000000u, 2 * NS_PER_S), 25000000000u);
	assert_int_equal(bbr_volume(BBR_RATE_MAX, 3600 * NS_PER_S), BBR_RATE_MAX * 3600);
	assert_int_equal(bbr_volume(12500000000u, 1), 12);
	struct cc_sample s = { .delivered = UINT32_MAX, .interval = 1 };

	assert_int_equal(bbr_sample_rate(&s), BBR_RATE_MAX);
	s.interval = 0;
	assert_int_equal(bbr_sample_rate(&s), 0);
}

static void test_send_quantum(void **state)
{
	struct tcp_conn c = { .mss = 1448, .gso = true };

	assert_int_equal(bbr_send_quantum(&c, 1250), 2 * 1448);
	assert_int_equal(bbr_send_quantum(&c, 12500000), 12500);
	assert_int_equal(bbr_send_quantum(&c, 12500000000u), 65536);
	c.gso = false;
	assert_int_equal(bbr_send_quantum(&c, 12500000000u), 2 * 1448);
	/* What is lost beyond 2%, or without SACK at all. */
	c.sack_ok = true;
	assert_false(bbr_is_inflight_too_high(&c, 2000, 100000));
	assert_true(bbr_is_inflight_too_high(&c, 2001, 100000));
	c.sack_ok = false;
	assert_true(bbr_is_inflight_too_high(&c, 1, 100000));
	assert_false(bbr_is_inflight_too_high(&c, 0, 100000));
}

/* The rate at first: 2.77 times the initial window in a round trip, of 1 ms when nothing is known of it. */
static void test_first_rate(void **state)
{
	struct bbr_net n;

	bbr_net_start(&n, &usual, 1500, NULL);
	/* The SYN's round trip, which found the neighbour as well. */
	assert_int_equal(n.c->pacing_rate, (uint64_t)14480 * NS_PER_S / n.c->srtt * 277 / 100);
	n.c->srtt = 0;
	assert_int_equal(bbr_initial_rate(n.a.tcp, n.c, 277), 14480000u * 277 / 100);
	bbr_net_end(&n);
}

/* Linux's struct: the bandwidth in two halves, gains in 1/256. */
static void test_info(void **state)
{
	struct bbr_net n;
	struct cc_bbr_info i;

	bbr_net_start(&n, &usual, 1500, NULL);
	bbr_net_run(&n, 2 * NS_PER_S);
	assert_true(tcp_cc_info(n.a.tcp, n.c, &i));
	uint64_t bw = (uint64_t)i.bw_hi << 32 | i.bw_lo;

	assert_in_range(bw * 8, 94000000, 97000000);
	assert_in_range(i.min_rtt, 40000, 40300);
	assert_int_equal(i.pacing_gain, 256);
	assert_int_equal(i.cwnd_gain, 512);
	bbr_info_of(UINT64_C(0x123456789a), 7 * NS_PER_MS, 277, 200, &i);
	assert_int_equal(i.bw_hi, 0x12);
	assert_int_equal(i.bw_lo, 0x3456789a);
	assert_int_equal(i.pacing_gain, 709);
	/* The others have none. */
	assert_int_equal(tcp_set_congestion(n.a.tcp, n.c, "cubic"), 0);
	assert_false(tcp_cc_info(n.a.tcp, n.c, &i));
	bbr_net_end(&n);
}

/* From each to each on a connection that sends: the window stays, what one had paced the next does not, and records
 * come and go. */
static void test_switch(void **state)
{
	static const char *const name[] = { "bbr", "cubic", "bbr1", "bbr", "bbr1", "reno", "bbr", "cubic" };
	struct bbr_net n;

	bbr_net_start(&n, &usual, 1500, NULL);
	for (uint32_t i = 0; i < ARRAY_LEN(name); i++) {
		uint64_t received = n.received;
		uint32_t cwnd = n.c->cwnd;
		bool is_bbr = name[i][0] == 'b';

		assert_int_equal(tcp_set_congestion(n.a.tcp, n.c, name[i]), 0);
		assert_string_equal(tcp_congestion(n.c), name[i]);
		assert_int_equal(n.c->cwnd, cwnd);
		assert_int_equal(n.c->pacing_rate != 0, is_bbr);
		assert_int_equal(n.a.tcp->cc_records.n_used, is_bbr);
		bbr_net_run(&n, NS_PER_S);
		/* At least half of what the path holds. */
		assert_true(n.received - received > 100000000 / 8 / 2);
	}
	assert_int_equal(tcp_set_congestion(n.a.tcp, n.c, "nobody"), -ENOENT);
	bbr_net_end(&n);
}

/* The pool is full: the choice is refused, and what was stays; one that would begin so begins with the default. */
static void test_pool_full(void **state)
{
	static const struct packet_pool_config pool = { .n_packets = 1024 };
	static const struct tcp_limits limits = { .n_connections = 16, .n_cc_records = 1 };
	struct bbr_net n;

	memset(&n, 0, sizeof(n));
	n.dev[0] = (struct device){ .ops = &path_ops, .mtu = 1500, .name = "a" };
	host_start_pool(&n.a, &n.dev[0], A_ADDR, 1000 * NS_PER_S, &pool, &limits, NULL);
	struct tcp *t = n.a.tcp;
	struct tcp_conn *one = tcp_open(t, 1), *two = tcp_open(t, 2);

	assert_int_equal(tcp_set_congestion(t, one, "bbr"), 0);
	assert_int_equal(tcp_set_congestion(t, two, "bbr"), -ENOBUFS);
	assert_string_equal(tcp_congestion(two), "cubic");
	two->state = TCP_ESTABLISHED;
	two->mss = 1448;
	two->cwnd = 14480;
	cc_begin(t, two);
	two->cc_state.cubic.w_max = 12345;
	assert_int_equal(tcp_set_congestion(t, two, "bbr1"), -ENOBUFS);
	assert_int_equal(two->cc_state.cubic.w_max, 12345);
	assert_int_equal(t->counts[TCP_COUNT_CONGESTION_DEFAULT], 0);
	/* From a listener or the config it comes without a call that could fail. */
	two->cc = (uint8_t)cc_find("bbr");
	two->cc_state.record = POOL_NONE;
	cc_begin(t, two);
	assert_string_equal(tcp_congestion(two), "cubic");
	assert_int_equal(t->counts[TCP_COUNT_CONGESTION_DEFAULT], 1);
	two->state = TCP_CLOSED;
	/* A record that is given back is the next one's. */
	tcp_close(t, one);
	assert_int_equal(tcp_set_congestion(t, two, "bbr"), 0);
	tcp_close(t, two);
	assert_int_equal(t->cc_records.n_used, 0);
	host_end(&n.a);
	path_drop_all(&n.waiting);
}

static uint8_t wanted;

static bool is_in_wanted(const struct bbr_net *n)
{
	return n->b3->state == wanted;
}

/* A connection that ends in any of the states leaves nothing behind. */
static void test_ends_in_every_state(void **state)
{
	for (unsigned int state_no = 0; state_no < N_BBR_STATES; state_no++) {
		wanted = (uint8_t)state_no;
		struct bbr_net n;

		bbr_net_start(&n, &usual, 1500, NULL);
		assert_true(bbr_net_until(&n, is_in_wanted, 8 * NS_PER_S));
		assert_int_equal(n.a.tcp->cc_records.n_used, 1);
		tcp_abort(n.a.tcp, n.c);
		n.c = NULL;
		assert_int_equal(n.a.tcp->cc_records.n_used, 0);
		bbr_net_run(&n, NS_PER_S);
		assert_int_equal(n.b.tcp->cc_records.n_used, 0);
		bbr_net_end(&n);
	}
}

/* Controls have a stream of their own: what they draw changes no number of the core's. */
static void test_draws_of_its_own(void **state)
{
	struct bbr_net n;
	struct rng core, mine;
	uint32_t last;

	bbr_net_start(&n, &usual, 1500, NULL);
	core = n.a.env.rng;
	mine = n.a.tcp->cc_rng;
	last = rng_u32(&mine);
	n.b3->rounds_since_probe_up = 9;
	n.b3->full_bw_reached = true;
	n.b3->state = BBR_DRAIN;
	bbr_check_drain_done(n.a.tcp, n.c, n.b3);
	assert_int_equal(n.b3->state, BBR_PROBE_BW_DOWN);
	assert_in_range(n.b3->rounds_since_probe_up, 0, 1);
	assert_in_range(n.b3->bw_probe_wait, 2 * NS_PER_S, 3 * NS_PER_S);
	assert_memory_equal(&core, &n.a.env.rng, sizeof(core));
	assert_int_not_equal(last, rng_u32(&n.a.tcp->cc_rng));
	bbr_net_end(&n);
}

/* SO_MAX_PACING_RATE is a limit of BBR's rate too. */
static void test_max_pacing_rate(void **state)
{
	struct bbr_net n;

	bbr_net_start(&n, &usual, 1500, NULL);
	tcp_set_option(n.a.tcp, n.c, TCP_OPTION_MAX_PACING_RATE, 2500000);
	bbr_net_run(&n, 3 * NS_PER_S);
	uint64_t received = n.received;

	bbr_net_run(&n, 2 * NS_PER_S);
	assert_in_range(n.received - received, 2500000 * 2 * 97 / 100, 2500000 * 2 * 101 / 100);
	bbr_net_end(&n);
}

/* The ends of what there is: a round trip of nothing and of two seconds, 10 kbit/s and 100 Gbit/s. Where a round trip
 * is two seconds and more PROBE_RTT keeps STARTUP from ending (docs/bbr.md), and STARTUP lowers neither rate nor
 * window: here the question for the neighbour doubles the first round trip, so the window is beyond the buffer and
 * stays there. (Without that, as in `yangguan bbr`, the first three rows reach 100, 100 and 81 percent.)
 *
 * A segment that takes longer than the first timeout, as at 10 kbit/s, is sent twice, and the acknowledgement of its
 * first copy is no rate of the second: the path would seem several times as fast. */
static void test_ends_of_rate_and_rtt(void **state)
{
	static const struct {
		uint64_t rate_bps, rtt_ns, buffer_bytes;
		uint64_t ns;
		uint32_t mtu, percent;
	} row[] = {
		{ 10000, 0, 30000, 400 * NS_PER_S, 1500, 80 },
		{ 10000, 2 * NS_PER_S, 30000, 400 * NS_PER_S, 1500, 65 },
		{ 1000000, 2 * NS_PER_S, 500000, 200 * NS_PER_S, 1500, 33 },
		{ 100000000000u, 0, 10000000, 50 * NS_PER_MS, 60000, 95 },
		{ 100000000000u, 100 * NS_PER_US, 10000000, 50 * NS_PER_MS, 60000, 95 },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(row); i++) {
		struct bbr_path p = { .rate_bps = row[i].rate_bps,
				      .rtt_ns = row[i].rtt_ns,
				      .buffer_bytes = row[i].buffer_bytes };
		struct bbr_net n;

		bbr_net_start(&n, &p, row[i].mtu, NULL);
		bbr_net_run(&n, row[i].ns);
		uint64_t received = n.received, whole = bbr_volume(row[i].rate_bps / 8, row[i].ns);

		bbr_net_run(&n, row[i].ns);
		assert_in_range((n.received - received) * 100 / whole, row[i].percent, 100);
		assert_true(n.b3->max_bw <= row[i].rate_bps / 8 * 2);
		bbr_net_end(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gains),
		cmocka_unit_test(test_windowed_max),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_send_quantum),
		cmocka_unit_test(test_first_rate),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_pool_full),
		cmocka_unit_test(test_ends_in_every_state),
		cmocka_unit_test(test_draws_of_its_own),
		cmocka_unit_test(test_max_pacing_rate),
		cmocka_unit_test(test_ends_of_rate_and_rtt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
