/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The example test cases of draft-ietf-ccwg-bbr ("BBR Example Test Cases"), each a test of its name, over paths of 1,
 * 40 and 300 ms and 1, 100 and 10,000 Mbit/s where that makes sense: where a phase exists only with some packets on the
 * way small paths are left out, and 10 Gbit/s is there with 1 and 40 ms, since at 300 ms 375 MB are on the way. Where
 * much is, segments are large: all sizes of BBR are bytes.
 */
#include "stack/transport/cc_bbr_fixture.h"

struct cell {
	uint64_t rate_bps, rtt_ns;
};
#define MBIT UINT64_C(1000000)
/* At least some twenty packets on the way. */
static const struct cell wide_cells[] = {
	{ MBIT, 300 * NS_PER_MS },
	{ 100 * MBIT, 40 * NS_PER_MS },
	{ 100 * MBIT, 300 * NS_PER_MS },
	{ 10000 * MBIT, NS_PER_MS },
};
/* 50 MB: once, since to copy them is most of what these tests cost. */
static const struct cell far_cell = { 10000 * MBIT, 40 * NS_PER_MS };

static const struct cell fast_cells[] = { { 100 * MBIT, 40 * NS_PER_MS }, { 100 * MBIT, 300 * NS_PER_MS } };

static uint64_t bdp_of(const struct cell *c)
{
	return bbr_volume(c->rate_bps / 8, c->rtt_ns);
}

static void start(struct bbr_net *n, const struct cell *c, uint64_t buffer_percent)
{
	struct bbr_path p = { .rate_bps = c->rate_bps,
			      .rtt_ns = c->rtt_ns,
			      .buffer_bytes = max_u64(bdp_of(c) * buffer_percent / 100, 60000) };

	bbr_net_start(n, &p, c->rate_bps > 1000 * MBIT ? 60000 : bdp_of(c) > 1000000 ? 9000 : 1500, NULL);
}

static uint64_t round_trip(const struct bbr_net *n)
{
	return n->path.rtt_ns + 20 * 1500 * 8 * NS_PER_S / n->path.rate_bps;
}

static uint8_t wanted;

/* PROBE_RTT comes every five seconds from wherever: but where it is looked for it waits. */
static bool is_wanted(const struct bbr_net *n)
{
	if (wanted != BBR_PROBE_RTT)
		n->b3->probe_rtt_min_stamp = n->now;
	return n->b3->state == wanted;
}

static bool is_not_wanted(const struct bbr_net *n)
{
	return !is_wanted(n);
}

/* Until it is in that state; sixty seconds and two hundred round trips are enough for each. */
static void go_to(struct bbr_net *n, enum bbr_state state)
{
	wanted = (uint8_t)state;
	assert_true(bbr_net_until(n, is_wanted, 60 * NS_PER_S + 200 * round_trip(n)));
}

/* ... and out of it: where it has gone to. */
static enum bbr_state leave(struct bbr_net *n, uint64_t ns)
{
	wanted = n->b3->state;
	assert_true(bbr_net_until(n, is_not_wanted, ns));
	return (enum bbr_state)n->b3->state;
}

/* The path's rate as its payload, in percent of what BBR believes. */
static uint64_t payload_rate(const struct bbr_net *n)
{
	return n->path.rate_bps / 8 * n->c->mss / (n->c->mss + 52u);
}

static void assert_near(uint64_t got, uint64_t want, uint64_t percent)
{
	assert_in_range(got, want * (100 - percent) / 100, want * (100 + percent) / 100);
}

/* From now on the application writes only so much. */
static void limit(struct bbr_net *n, uint64_t bps)
{
	n->app_bps = bps;
	n->app_at = n->now;
}

/* ... from the beginning: behind some round trips in which what was written already leaves. */
static void limit_startup(struct bbr_net *n, uint64_t bps, uint32_t rounds)
{
	n->is_paused = true;
	bbr_net_run(n, rounds * round_trip(n));
	n->is_paused = false;
	limit(n, bps);
}

#define FOR_CELLS(cell, cells) for (const struct cell *cell = (cells); cell < (cells) + ARRAY_LEN(cells); cell++)

static void exit_startup_on_plateau(const struct cell *cell)
{
	struct bbr_net n;

	start(&n, cell, 400);
	assert_int_equal(n.b3->state, BBR_STARTUP);
	assert_false(n.b3->full_bw_reached);
	assert_int_equal(leave(&n, 60 * round_trip(&n) + NS_PER_S), BBR_DRAIN);
	assert_near(n.b3->max_bw, payload_rate(&n), 2);
	assert_int_equal(n.b3->full_bw_count, 3);
	assert_true(n.b3->full_bw_now);
	assert_true(n.b3->full_bw_reached);
	assert_int_equal(n.n_lost, 0);
	bbr_net_end(&n);
}

static void exiting_startup_on_bandwidth_plateau(void **state)
{
	FOR_CELLS(cell, wide_cells)
	{
		exit_startup_on_plateau(cell);
	}
	exit_startup_on_plateau(&far_cell);
}

static void exiting_startup_on_loss_when_application_limited(void **state)
{
	FOR_CELLS(cell, fast_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		limit_startup(&n, 40 * MBIT, 2);
		bbr_net_run(&n, 8 * round_trip(&n));
		assert_int_equal(n.b3->state, BBR_STARTUP);
		n.path.lose_n = 60;
		n.path.lose_every = 8;
		/* So little is on its way that DRAIN is over with the same acknowledgement. */
		assert_in_range(leave(&n, 20 * round_trip(&n)), BBR_DRAIN, BBR_PROBE_BW_CRUISE);
		assert_int_equal(n.b3->drain_start_round, n.b3->round_count);
		assert_true(n.b3->full_bw_now);
		assert_true(n.b3->full_bw_reached);
		assert_int_not_equal(n.b3->full_bw_count, 3);
		assert_true(n.b3->inflight_longterm != BBR_INFINITE);
		assert_int_equal(n.b3->undo_state, BBR_STARTUP);
		bbr_net_end(&n);
	}
}

static void exiting_drain_based_on_inflight(void **state)
{
	FOR_CELLS(cell, wide_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_DRAIN);
		assert_int_equal(bbr_state_info[n.b3->state].pacing_gain, 50);
		uint32_t round = n.b3->round_count, before = tcp_inflight(n.c);

		assert_true(before > bbr_inflight(n.a.tcp, n.c, n.b3, n.b3->bw, 100));
		assert_in_range(leave(&n, 10 * round_trip(&n)), BBR_PROBE_BW_DOWN, BBR_PROBE_BW_CRUISE);
		assert_true(n.b3->round_count <= round + 3);
		assert_true(tcp_inflight(n.c) <= bbr_inflight(n.a.tcp, n.c, n.b3, n.b3->bw, 100) + 2u * n.c->mss);
		bbr_net_end(&n);
	}
}

/* The draft takes a tenth of the rate away. STARTUP leaves one BDP of queue and DRAIN paces at half: with nine tenths
 * 0.4 BDP of it go in a path's round trip, all of it before the three rounds are over, and it is inflight that ends it
 * (the first half of this). Only where the path takes less than DRAIN sends does the queue stay. */
static void exiting_drain_based_on_time(void **state)
{
	static const struct cell cells[] = { { MBIT, 300 * NS_PER_MS }, { 100 * MBIT, 40 * NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		for (uint32_t percent = 90; percent >= 45; percent -= 45) {
			struct bbr_net n;

			start(&n, cell, 1000);
			go_to(&n, BBR_DRAIN);
			n.path.rate_bps = n.path.rate_bps * percent / 100;
			uint32_t round = n.b3->drain_start_round;

			assert_int_equal(round, n.b3->round_count);
			assert_in_range(leave(&n, 60 * round_trip(&n)), BBR_PROBE_BW_DOWN, BBR_PROBE_BW_CRUISE);
			bool is_drained = tcp_inflight(n.c) <= bbr_inflight(n.a.tcp, n.c, n.b3, n.b3->bw, 100);

			assert_int_equal(is_drained, percent == 90);
			assert_in_range(n.b3->round_count - round, percent == 90 ? 1 : 4, percent == 90 ? 3 : 4);
			bbr_net_end(&n);
		}
	}
}

static void exiting_probe_up_on_bandwidth_plateau(void **state)
{
	FOR_CELLS(cell, wide_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_UP);
		uint32_t round = n.b3->round_count;

		assert_int_equal(leave(&n, 20 * round_trip(&n)), BBR_PROBE_BW_DOWN);
		assert_true(n.b3->full_bw_now);
		assert_int_equal(n.b3->full_bw_count, 3);
		assert_true(n.b3->round_count >= round + 3);
		assert_false(n.b3->prev_probe_too_high);
		bbr_net_end(&n);
	}
}

static void exiting_probe_up_on_loss_when_application_limited(void **state)
{
	FOR_CELLS(cell, fast_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		tcp_set_option(n.a.tcp, n.c, TCP_OPTION_SNDBUF, 6u * n.c->mss);
		limit(&n, n.path.rate_bps / 2);
		go_to(&n, BBR_PROBE_BW_UP);
		uint32_t longterm = n.b3->inflight_longterm;

		n.path.lose_n = 200;
		n.path.lose_every = 8;
		/* So little is on its way that DOWN is over with the same acknowledgement. */
		assert_in_range(leave(&n, 20 * round_trip(&n)), BBR_PROBE_BW_DOWN, BBR_PROBE_BW_CRUISE);
		assert_int_equal(n.b3->ack_phase, BBR_ACKS_PROBE_STOPPING);
		assert_false(n.b3->full_bw_now);
		assert_true(n.b3->prev_probe_too_high);
		assert_int_equal(n.b3->undo_state, BBR_PROBE_BW_UP);
		/* What was lost was little of what the path takes: it says nothing of that (HandleInflightTooHigh). */
		assert_int_equal(n.b3->inflight_longterm, longterm);
		bbr_net_end(&n);
	}
}

static void never_exiting_probe_up_when_application_limited_without_loss(void **state)
{
	static const struct cell cells[] = { { 100 * MBIT, 40 * NS_PER_MS }, { 100 * MBIT, NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		/* STARTUP: a twentieth of the rate, and long enough for a hundred rounds. */
		start(&n, cell, 400);
		limit_startup(&n, 5 * MBIT, 3);
		bbr_net_run(&n, 4 * NS_PER_S);
		assert_int_equal(n.b3->state, BBR_STARTUP);
		assert_true(n.b3->round_count > 50);
		bbr_net_end(&n);

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		limit(&n, 5 * MBIT);
		go_to(&n, BBR_PROBE_BW_UP);
		uint32_t round = n.b3->round_count;

		bbr_net_run(&n, min_u64(20 * round_trip(&n), NS_PER_S));
		assert_int_equal(n.b3->state, BBR_PROBE_BW_UP);
		assert_true(n.b3->round_count > round + 5);
		bbr_net_end(&n);
	}
}

static void exiting_probe_down_on_inflight(void **state)
{
	/* On a longer path it takes longer than the wait for the next probe. */
	static const struct cell cells[] = { { 100 * MBIT, 40 * NS_PER_MS }, { 10000 * MBIT, NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		start(&n, cell, 100);
		go_to(&n, BBR_PROBE_BW_UP);
		go_to(&n, BBR_PROBE_BW_DOWN);
		assert_int_equal(bbr_state_info[n.b3->state].pacing_gain, 90);
		assert_int_equal(leave(&n, 20 * round_trip(&n)), BBR_PROBE_BW_CRUISE);
		assert_true(tcp_inflight(n.c) <= bbr_inflight_with_headroom(n.c, n.b3));
		assert_true(tcp_inflight(n.c) <= bbr_inflight(n.a.tcp, n.c, n.b3, n.b3->max_bw, 100) + n.c->mss);
		bbr_net_end(&n);
	}
}

static void exiting_probe_down_after_max_time(void **state)
{
	static const struct cell cells[] = { { 100 * MBIT, 300 * NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_UP);
		go_to(&n, BBR_PROBE_BW_DOWN);
		n.path.rate_bps = n.path.rate_bps * 90 / 100;
		uint64_t at = n.now, wait = n.b3->bw_probe_wait;

		assert_int_equal(leave(&n, 4 * NS_PER_S), BBR_PROBE_BW_REFILL);
		assert_in_range(n.now - at, wait, wait + cell->rtt_ns);
		bbr_net_end(&n);
	}
}

static void entering_and_exiting_probe_rtt(void **state)
{
	static const struct cell cells[] = { { MBIT, NS_PER_MS },
					     { MBIT, 40 * NS_PER_MS },
					     { MBIT, 300 * NS_PER_MS },
					     { 100 * MBIT, 300 * NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		/* The smallest path holds less than a round's wait, and never cruises. */
		go_to(&n, BBR_PROBE_BW_DOWN);
		go_to(&n, BBR_PROBE_RTT);
		uint64_t at = n.now, min_delay = n.b3->probe_rtt_min_delay;

		assert_int_equal(bbr_state_info[n.b3->state].cwnd_gain, 50);
		assert_true(min_delay > 0);
		assert_int_equal(leave(&n, NS_PER_S + 20 * round_trip(&n)), BBR_PROBE_BW_CRUISE);
		assert_true(n.now - at >= 200 * NS_PER_MS);
		uint64_t received = n.received;

		bbr_net_run(&n, 10 * round_trip(&n));
		assert_true(n.received > received);
		bbr_net_end(&n);
	}
}

static void skipping_probe_rtt_due_to_application_limited_sending(void **state)
{
	static const struct cell cells[] = { { MBIT, 300 * NS_PER_MS }, { 100 * MBIT, 40 * NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		n.is_paused = true;
		bbr_net_run(&n, 6 * NS_PER_S);
		assert_int_equal(tcp_inflight(n.c), 0);
		assert_false(n.b3->idle_restart);
		n.is_paused = false;
		bbr_net_write(&n);
		assert_true(n.b3->idle_restart);
		wanted = BBR_PROBE_RTT;
		assert_false(bbr_net_until(&n, is_wanted, NS_PER_S));
		bbr_net_end(&n);
	}
}

/* All that came within 20 ms is acknowledged at once. */
static const struct cell batched_cells[] = { { 100 * MBIT, 40 * NS_PER_MS }, { 100 * MBIT, 10 * NS_PER_MS } };

static void achieving_expected_startup_bandwidth_with_aggregation(void **state)
{
	FOR_CELLS(cell, batched_cells)
	{
		struct bbr_net n;

		start(&n, cell, 1000);
		n.path.ack_batch_ns = 20 * NS_PER_MS;
		go_to(&n, BBR_DRAIN);
		assert_true(n.b3->extra_acked > bdp_of(cell) / 10);
		assert_true(n.c->cwnd > 2 * bdp_of(cell));
		assert_near(n.b3->max_bw, payload_rate(&n), 25);
		bbr_net_end(&n);
	}
}

static void achieving_expected_cruise_bandwidth_with_aggregation(void **state)
{
	FOR_CELLS(cell, batched_cells)
	{
		struct bbr_net n;

		start(&n, cell, 1000);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		n.path.ack_batch_ns = 20 * NS_PER_MS;
		bbr_net_run(&n, NS_PER_S);
		/* What comes in 20 ms at once, but for what was expected. */
		assert_true(n.b3->extra_acked > 100000);
		assert_true(n.c->cwnd > bbr_bdp_multiple(n.a.tcp, n.c, n.b3, n.b3->bw, 200));
		uint64_t received = n.received;

		bbr_net_run(&n, NS_PER_S);
		assert_true(n.received - received > payload_rate(&n) * 85 / 100);
		bbr_net_end(&n);
	}
}

static void correctly_managing_sub_packet_bdps(void **state)
{
	static const struct cell cells[] = { { MBIT, NS_PER_MS }, { 64000, 40 * NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		assert_true(bdp_of(cell) < 1500);
		bbr_net_run(&n, 60 * NS_PER_S);
		uint64_t received = n.received;

		for (uint32_t i = 0; i < 100; i++) {
			bbr_net_run(&n, NS_PER_S);
			assert_true(n.c->cwnd >= 4u * n.c->mss);
		}
		assert_true(n.b3->full_bw_reached);
		assert_true(n.received - received > 100 * payload_rate(&n) * 85 / 100);
		bbr_net_end(&n);
	}
}

static uint64_t awaited_bw;
static bool has_awaited_bw(const struct bbr_net *n)
{
	/* No PROBE_RTT in between: where round trips are long it would come every few of them. */
	n->b3->probe_rtt_min_stamp = n->now;
	return n->b3->max_bw >= awaited_bw;
}

static void increasing_bandwidth_10x(void **state)
{
	static const struct cell cells[] = { { 10 * MBIT, 40 * NS_PER_MS }, { MBIT, 300 * NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		start(&n, cell, 100);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		n.path.rate_bps *= 10;
		n.path.buffer_bytes *= 10;
		go_to(&n, BBR_PROBE_BW_UP);
		uint32_t round = n.b3->round_count;

		awaited_bw = payload_rate(&n) * 95 / 100;
		assert_true(bbr_net_until(&n, has_awaited_bw, 30 * NS_PER_S));
		assert_in_range(n.b3->round_count - round, 1, 25);
		bbr_net_end(&n);
	}
}

static bool has_lower_bw(const struct bbr_net *n)
{
	return n->b3->max_bw <= awaited_bw;
}

static bool has_shortterm(const struct bbr_net *n)
{
	return n->b3->bw_shortterm != BBR_RATE_INFINITE;
}

static void decreasing_bandwidth_10x(void **state)
{
	static const struct cell cells[] = { { 100 * MBIT, 40 * NS_PER_MS }, { 10 * MBIT, 40 * NS_PER_MS } };

	FOR_CELLS(cell, cells)
	{
		struct bbr_net n;

		start(&n, cell, 100);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		n.path.rate_bps /= 10;
		n.path.buffer_bytes /= 10;
		assert_true(bbr_net_until(&n, has_shortterm, NS_PER_S));
		bbr_net_run(&n, 2 * NS_PER_S);
		assert_true(n.b3->bw <= payload_rate(&n) * 2);
		awaited_bw = payload_rate(&n) * 110 / 100;
		assert_true(bbr_net_until(&n, has_lower_bw, 15 * NS_PER_S));
		assert_near(n.b3->max_bw, payload_rate(&n), 10);
		bbr_net_end(&n);
	}
}

static struct {
	uint64_t n_sent, n_lost, sent_before, lost_before;
} calm;

/* What is sent, and of that lost, ten rounds and more behind the last probe. */
static bool count_calm(const struct bbr_net *n)
{
	if (n->b3->state == BBR_PROBE_BW_CRUISE && n->b3->rounds_since_probe_up > 10) {
		calm.n_sent += n->n_sent - calm.sent_before;
		calm.n_lost += n->n_lost - calm.lost_before;
	}
	calm.sent_before = n->n_sent;
	calm.lost_before = n->n_lost;
	return false;
}

/* "Without excessive continuous loss". What the bucket lets through at once, at the full rate of the path, is a rate
 * that was delivered, and so max_bw; a probe sends a round or two by it, and then each round's loss takes 0.7 of what
 * is sent until the policer's rate is reached, some five rounds later. From then to the next probe next to nothing is
 * lost.
 *
 * At 1 ms the policer's rate has less than two packets on the way, and T_reno, the time between probes, is as many
 * rounds: there it is one probe after the other, and a fifth of all is lost. */
static void handling_token_bucket_policers(void **state)
{
	static const struct {
		struct cell cell;
		uint32_t seconds, lost_percent, calm_per_thousand, received_percent;
	} row[] = { { { 100 * MBIT, 40 * NS_PER_MS }, 12, 3, 1, 85 }, { { 100 * MBIT, NS_PER_MS }, 3, 30, 1000, 70 } };

	for (uint32_t i = 0; i < ARRAY_LEN(row); i++) {
		struct bbr_net n;

		start(&n, &row[i].cell, 400);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		n.path.policer_bps = 20 * MBIT;
		n.path.policer_burst = n.tokens = 200000;
		n.tokens_at = n.now;
		assert_true(bbr_net_until(&n, has_shortterm, 2 * NS_PER_S));
		assert_true(n.b3->inflight_shortterm != BBR_INFINITE);
		bbr_net_run(&n, 8 * NS_PER_S);
		memset(&calm, 0, sizeof(calm));
		uint64_t sent = calm.sent_before = n.n_sent, lost = calm.lost_before = n.n_lost, received = n.received;
		uint64_t whole = row[i].seconds * 20 * MBIT / 8;

		(void)bbr_net_until(&n, count_calm, row[i].seconds * NS_PER_S);
		assert_in_range((n.received - received) * 100 / whole, row[i].received_percent, 100);
		assert_true((n.n_lost - lost) * 100 <= (n.n_sent - sent) * row[i].lost_percent);
		assert_true(calm.n_lost * 1000 <= calm.n_sent * row[i].calm_per_thousand);
		bbr_net_end(&n);
	}
}

static bool is_undone(const struct bbr_net *n)
{
	return n->a.tcp->counts[TCP_COUNT_UNDONE] > 0;
}

static bool is_saved(const struct bbr_net *n)
{
	return n->b3->is_loss_in_round || n->c->ca_state >= TCP_CA_RECOVERY;
}

static void handling_spurious_fast_recovery(void **state)
{
	FOR_CELLS(cell, fast_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_UP);
		/* Thirty segments are overtaken by half a round trip's. */
		n.path.hold_n = 30;
		n.path.hold_ns = cell->rtt_ns / 2;
		assert_true(bbr_net_until(&n, is_saved, 10 * round_trip(&n)));
		uint64_t bw_shortterm = n.b3->undo_bw_shortterm;
		uint32_t shortterm = n.b3->undo_inflight_shortterm, longterm = n.b3->undo_inflight_longterm;
		uint32_t cwnd = n.b3->prior_cwnd;

		assert_true(bbr_net_until(&n, is_undone, 10 * round_trip(&n)));
		assert_true(n.a.tcp->counts[TCP_COUNT_RECOVERIES] > 0);
		assert_int_equal(n.a.tcp->counts[TCP_COUNT_RTOS], 0);
		assert_true(n.b3->bw_shortterm >= bw_shortterm);
		assert_true(n.b3->inflight_shortterm >= shortterm);
		assert_true(n.b3->inflight_longterm >= longterm);
		/* What it was, but for the gain of UP. */
		assert_in_range(n.c->cwnd * 100ull / cwnd, 80, 1000);
		assert_in_range(n.b3->state, BBR_PROBE_BW_REFILL, BBR_PROBE_BW_UP);
		assert_int_equal(n.b3->undo_state, BBR_NO_STATE);
		bbr_net_end(&n);
	}
}

static void handling_spurious_rto_recovery(void **state)
{
	FOR_CELLS(cell, fast_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_UP);
		uint32_t cwnd = n.c->cwnd, longterm = n.b3->inflight_longterm;

		/* All that is on its way is late. */
		n.path.hold_n = 1000000;
		n.path.hold_ns = 2 * NS_PER_S;
		assert_true(bbr_net_until(&n, is_undone, 20 * NS_PER_S));
		n.path.hold_n = 0;
		assert_true(n.a.tcp->counts[TCP_COUNT_RTOS] > 0);
		assert_in_range(n.c->cwnd * 100ull / cwnd, 50, 1000);
		assert_true(n.b3->inflight_longterm >= min_u32(longterm, BBR_INFINITE));
		assert_true(n.b3->state != BBR_DRAIN && n.b3->state != BBR_STARTUP);
		assert_int_equal(n.b3->undo_state, BBR_NO_STATE);
		bbr_net_end(&n);
	}
}

static void entering_and_exiting_probe_rtt_during_startup(void **state)
{
	FOR_CELLS(cell, fast_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		limit_startup(&n, 5 * MBIT, 3);
		/* The round trip becomes longer, so none is as short as it was. */
		n.path.rtt_ns = n.path.rtt_ns * 3 / 2;
		go_to(&n, BBR_PROBE_RTT);
		assert_false(n.b3->full_bw_reached);
		assert_int_equal(leave(&n, NS_PER_S + 20 * round_trip(&n)), BBR_STARTUP);
		assert_false(n.b3->full_bw_reached);
		n.app_bps = 0;
		go_to(&n, BBR_DRAIN);
		assert_near(n.b3->max_bw, payload_rate(&n), 5);
		bbr_net_end(&n);
	}
}

static void handling_loss_during_probe_up_after_inflight_longterm_is_set(void **state)
{
	FOR_CELLS(cell, fast_cells)
	{
		struct bbr_net n;

		/* A buffer that STARTUP overflows. */
		start(&n, cell, 20);
		go_to(&n, BBR_PROBE_BW_CRUISE);
		assert_true(n.b3->inflight_longterm != BBR_INFINITE);
		n.path.buffer_bytes = 4 * bdp_of(cell);
		go_to(&n, BBR_PROBE_BW_UP);
		n.b3->prev_probe_too_high = false;
		uint32_t longterm = n.b3->inflight_longterm;
		uint64_t target = bbr_target_inflight(n.a.tcp, n.c, n.b3);

		n.path.lose_n = 400;
		n.path.lose_every = 6;
		assert_int_equal(leave(&n, 5 * round_trip(&n)), BBR_PROBE_BW_DOWN);
		assert_true(n.b3->prev_probe_too_high);
		assert_false(n.b3->full_bw_now);
		assert_true(n.b3->inflight_longterm <= longterm);
		assert_true(n.b3->inflight_longterm >= target * 60 / 100);
		bbr_net_end(&n);
	}
}

static void handling_application_limited_sending_during_probe_refill(void **state)
{
	FOR_CELLS(cell, wide_cells)
	{
		struct bbr_net n;

		start(&n, cell, 400);
		go_to(&n, BBR_PROBE_BW_REFILL);
		uint64_t max_bw = n.b3->max_bw;

		limit(&n, n.path.rate_bps / 10);
		n.c->sndbuf = 1;
		assert_int_equal(leave(&n, 40 * round_trip(&n)), BBR_PROBE_BW_UP);
		assert_int_equal(n.b3->max_bw, max_bw);
		n.c->sndbuf = 64u << 20;
		n.app_bps = 0;
		bbr_net_write(&n);
		wanted = BBR_PROBE_BW_DOWN;
		assert_true(bbr_net_until(&n, is_wanted, 20 * NS_PER_S));
		assert_near(n.b3->max_bw, payload_rate(&n), 5);
		bbr_net_end(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exiting_startup_on_bandwidth_plateau),
		cmocka_unit_test(exiting_startup_on_loss_when_application_limited),
		cmocka_unit_test(exiting_drain_based_on_inflight),
		cmocka_unit_test(exiting_drain_based_on_time),
		cmocka_unit_test(exiting_probe_up_on_bandwidth_plateau),
		cmocka_unit_test(exiting_probe_up_on_loss_when_application_limited),
		cmocka_unit_test(never_exiting_probe_up_when_application_limited_without_loss),
		cmocka_unit_test(exiting_probe_down_on_inflight),
		cmocka_unit_test(exiting_probe_down_after_max_time),
		cmocka_unit_test(entering_and_exiting_probe_rtt),
		cmocka_unit_test(skipping_probe_rtt_due_to_application_limited_sending),
		cmocka_unit_test(achieving_expected_startup_bandwidth_with_aggregation),
		cmocka_unit_test(achieving_expected_cruise_bandwidth_with_aggregation),
		cmocka_unit_test(correctly_managing_sub_packet_bdps),
		cmocka_unit_test(increasing_bandwidth_10x),
		cmocka_unit_test(decreasing_bandwidth_10x),
		cmocka_unit_test(handling_token_bucket_policers),
		cmocka_unit_test(handling_spurious_fast_recovery),
		cmocka_unit_test(handling_spurious_rto_recovery),
		cmocka_unit_test(entering_and_exiting_probe_rtt_during_startup),
		cmocka_unit_test(handling_loss_during_probe_up_after_inflight_longterm_is_set),
		cmocka_unit_test(handling_application_limited_sending_during_probe_refill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
