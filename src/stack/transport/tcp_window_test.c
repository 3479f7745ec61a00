/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Windows told and used (RFC 9293 section 3.8.6): no silly ones, and none that is taken back. How often a closed one is
 * asked for, tcp_scenario_test.c says (D2, D12).
 */
#include "stack/transport/tcp_script.h"

static const uint8_t mss_option[] = { 2, 4, 5, 180 };

/* Would catch: a sender that fills each little window at once (section 3.8.6.2.1), or never, when none better comes. */
static void test_sender(void **state)
{
	static uint8_t bytes[3000];
	struct script s;
	const struct seen *o;

	script_start(&s, NULL);
	script_accept(&s, mss_option, sizeof(mss_option));
	assert_int_equal(host_send(&s.h, s.c, bytes, 1000), 1000);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1001, .window = 500 });
	script_forget(&s);
	assert_int_equal(host_send(&s.h, s.c, bytes, 3000), 3000);
	script_wait(&s, 150 * NS_PER_MS);
	assert_null(script_out(&s));
	/* The persist timer sends what there is room for: a probe with data. */
	script_wait(&s, 5 * NS_PER_S);
	o = script_out(&s);
	assert_non_null(o);
	assert_int_equal(o->seq, 1001);
	assert_int_equal(o->len, 500);
	/* One that is worth it is used at once. */
	script_forget(&s);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1501 });
	o = script_out(&s);
	assert_non_null(o);
	assert_true(o->len >= 960);
	tcp_abort(s.h.tcp, s.c);
	script_end(&s);
}

/* Would catch: a receiver that tells of each byte that was read (section 3.8.6.2.2), one that waits with a window that
 * is worth telling, one that takes back what it told. */
static void test_receiver(void **state)
{
	struct tcp_config cfg = tcp_default_config;
	struct script s;
	uint8_t got[1];
	uint32_t at = 1, edge, n_read = 0;

	cfg.rcvbuf = 16384;
	script_start(&s, &cfg);
	script_accept(&s, mss_option, sizeof(mss_option));
	while (s.c->rcv_adv - s.c->rcv_nxt >= 1000) {
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at, .ack = 1, .len = 1000 });
		at += 1000;
	}
	edge = s.c->rcv_adv;
	script_wait(&s, NS_PER_S);
	script_forget(&s);
	while (s.n == 0) {
		assert_int_equal(host_recv(&s.h, s.c, got, 1), 1);
		n_read++;
		assert_true(n_read < 4000);
		assert_false(seq_before(s.c->rcv_adv, edge));
	}
	/* At once, and by a segment at least. */
	assert_true(n_read > 1000);
	assert_true(s.c->rcv_adv - edge >= 1000);
	assert_int_equal(s.seen[0].flags, TCP_ACK);
	tcp_abort(s.h.tcp, s.c);
	script_end(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_sender), cmocka_unit_test(test_receiver) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
