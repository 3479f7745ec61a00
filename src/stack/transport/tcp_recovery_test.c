/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where one recovery ends and the next begins, and what the congestion control is told of it, over a path with losses.
 *
 * Would be caught: a recovery that takes the acknowledgement of an earlier one's retransmission for that of a first
 * copy and undoes itself; an acknowledgement between two recoveries that is of none, which BBRv1 takes for the
 * beginning of another (at a loss of 10% a third of its rounds); a mark or a repaired loss that is told twice in a
 * round trip, not at all, or of a loss that was none.
 */
#include "stack/transport/cc_bbr_fixture.h"

#define MBIT UINT64_C(1000000)

static void start(struct bbr_net *n, const char *congestion, uint32_t loss_ppm)
{
	struct bbr_path p = {
		.rate_bps = 10 * MBIT, .rtt_ns = 40 * NS_PER_MS, .buffer_bytes = 100000, .loss_ppm = loss_ppm
	};
	struct tcp_config cfg = bbr_net_config();

	cfg.congestion = congestion;
	bbr_net_start(n, &p, 1500, &cfg);
}

static bool is_between(const struct bbr_net *n)
{
	return n->c->ca_state < TCP_CA_CWR && n->c->flight->lost > 0;
}

/* Nothing overtakes anything on this path, so nothing was ever sent again for nothing. */
static void test_none_is_undone(void **state)
{
	struct bbr_net n;

	start(&n, "bbr1", 20000);
	assert_false(bbr_net_until(&n, is_between, 20 * NS_PER_S));
	const uint64_t *counts = n.a.tcp->counts;

	assert_true(counts[TCP_COUNT_RECOVERIES] > 100);
	assert_int_equal(counts[TCP_COUNT_UNDONE], 0);
	assert_int_equal(counts[TCP_COUNT_DSACKS_IN], 0);
	bbr_net_end(&n);
}

static uint32_t n_conservations;
static bool was_conserving;

static bool count_conservations(const struct bbr_net *n)
{
	bool is = bbr1_of(n->a.tcp, n->c)->packet_conservation;

	n_conservations += is && !was_conserving;
	was_conserving = is;
	return is_between(n);
}

/* With one segment in ten lost there is hardly a time between two recoveries: to a control that looks once for each
 * acknowledgement most of them are one. */
static void test_next_begins_at_once(void **state)
{
	struct bbr_net n;

	n_conservations = 0;
	was_conserving = false;
	start(&n, "bbr1", 100000);
	assert_false(bbr_net_until(&n, count_conservations, 20 * NS_PER_S));
	uint64_t recoveries = n.a.tcp->counts[TCP_COUNT_RECOVERIES];

	assert_true(recoveries > 100);
	assert_in_range(n_conservations, 1, recoveries / 3);
	bbr_net_end(&n);
}

/* --- what is told --- */

static void mark(struct bbr_net *n, uint32_t ack)
{
	struct tcp_ack a = { .ack = ack, .ece = true };

	n->b3->is_loss_in_round = false;
	tcp_recovery_ack(n->a.tcp, n->c, &a);
}

/* The first mark of a window, and no other until what was on its way then is acknowledged. */
static void test_marked_once_a_round(void **state)
{
	struct bbr_net n;

	start(&n, "bbr", 0);
	bbr_net_run(&n, NS_PER_S);
	mark(&n, n.c->snd_una);
	assert_false(n.b3->is_loss_in_round); /* ECN was not agreed on */
	n.c->ecn_ok = true;
	mark(&n, n.c->snd_una);
	assert_true(n.b3->is_loss_in_round);
	assert_int_equal(n.c->ca_state, TCP_CA_CWR);
	assert_true(n.c->cwr_pending);
	mark(&n, n.c->snd_una);
	assert_false(n.b3->is_loss_in_round);
	/* All of it is acknowledged, and that one has no mark: it is over. */
	struct tcp_ack last = { .ack = n.c->flight->high_seq };

	tcp_recovery_ack(n.a.tcp, n.c, &last);
	assert_true(n.c->ca_state < TCP_CA_CWR);
	mark(&n, n.c->snd_una);
	assert_true(n.b3->is_loss_in_round);
	/* A loss has lowered the window already. */
	n.c->ca_state = TCP_CA_RECOVERY;
	mark(&n, n.c->snd_una);
	assert_false(n.b3->is_loss_in_round);
	n.c->ecn_ok = false;
	bbr_net_end(&n);
}

static bool has_probed(const struct bbr_net *n)
{
	return n->a.tcp->counts[TCP_COUNT_TLPS] > 0;
}

static bool is_told(const struct bbr_net *n)
{
	return n->b3->is_loss_in_round || n->c->ca_state >= TCP_CA_CWR;
}

static void send_some(struct bbr_net *n)
{
	uint8_t bytes[1000] = { 0 };

	assert_int_equal(host_send(&n->a, n->c, bytes, sizeof(bytes)), sizeof(bytes));
}

/* The end of what there is to send is lost, or late by hold_ns: a probe goes out, and then there is more. */
static void lose_the_last(struct bbr_net *n, uint64_t hold_ns)
{
	start(n, "bbr", 0);
	n->is_paused = true;
	bbr_net_run(n, NS_PER_S);
	assert_int_equal(tcp_inflight(n->c), 0);
	if (hold_ns == 0)
		n->path.lose_n = 1;
	n->path.hold_n = hold_ns != 0;
	n->path.hold_ns = hold_ns;
	n->b3->is_loss_in_round = false;
	send_some(n);
	assert_true(bbr_net_until(n, has_probed, NS_PER_S));
	bbr_net_run(n, 4 * n->path.rtt_ns);
	assert_false(is_told(n));
	send_some(n);
}

static void test_repaired(void **state)
{
	struct bbr_net n;

	lose_the_last(&n, 0);
	assert_true(bbr_net_until(&n, is_told, 10 * n.path.rtt_ns));
	assert_true(n.b3->is_loss_in_round);
	assert_int_equal(n.a.tcp->counts[TCP_COUNT_RECOVERIES], 0);
	assert_int_equal(n.a.tcp->counts[TCP_COUNT_RTOS], 0);
	bbr_net_end(&n);

	/* It was only late: both copies come, and nothing is told. */
	lose_the_last(&n, 350 * NS_PER_MS);
	assert_false(bbr_net_until(&n, is_told, 2 * NS_PER_S));
	assert_int_equal(n.a.tcp->counts[TCP_COUNT_DSACKS_IN], 1);
	bbr_net_end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none_is_undone),
		cmocka_unit_test(test_next_begins_at_once),
		cmocka_unit_test(test_marked_once_a_round),
		cmocka_unit_test(test_repaired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
