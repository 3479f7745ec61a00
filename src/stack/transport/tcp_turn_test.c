/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Acknowledgements that wait for the user's turn (tcp_config.acks_wait). A step of the wire is a
 * batch; the user's turn is between two steps.
 */
#include "stack/transport/tcp_fixture.h"

struct pair {
	struct net n;
	struct tcp_listener *l;
	struct tcp_conn *a, *b;
};

static uint64_t n_sent(const struct pair *x)
{
	return x->n.a.tcp->counts[TCP_COUNT_OUT_SEGMENTS] + x->n.b.tcp->counts[TCP_COUNT_OUT_SEGMENTS];
}

/* To the next thing that happens, and no further. */
static void step(struct pair *x)
{
	net_at(&x->n, net_next(&x->n));
}

static void begin(struct pair *x, bool acks_wait)
{
	static const struct memwire_config wire = { .delay_ns = 10 * NS_PER_MS, .queue_packets = 4096 };
	struct tcp_config cfg = tcp_default_config;

	memset(x, 0, sizeof(*x));
	cfg.acks_wait = acks_wait;
	net_start_with(&x->n, &wire, &cfg, &cfg);
	x->l = host_listen(&x->n.b, SERVICE);
	/* Both know each other's Ethernet addresses from here on. */
	struct tcp_conn *first = host_connect(&x->n.a, B_ADDR, SERVICE);

	net_run(&x->n, NS_PER_S);
	tcp_close(x->n.a.tcp, first);
	net_run(&x->n, NS_PER_S);
	tcp_close(x->n.b.tcp, tcp_accept(x->n.b.tcp, x->l, 3));
	net_run(&x->n, NS_PER_S);
}

static void end(struct pair *x)
{
	net_run(&x->n, 100 * NS_PER_S);
	assert_int_equal(x->n.a.tcp->conns.n_used + x->n.b.tcp->conns.n_used, 0);
	assert_int_equal(x->n.a.tcp->n_acks_wait + x->n.b.tcp->n_acks_wait, 0);
	tcp_unlisten(x->n.b.tcp, x->l);
	net_end(&x->n);
}

/* Open to the first message, which is b's to read. */
static void first_message(struct pair *x)
{
	uint8_t got[64];

	x->a = host_connect(&x->n.a, B_ADDR, SERVICE);
	while (tcp_state(x->a) != TCP_ESTABLISHED)
		step(x);
	assert_int_equal(host_send(&x->n.a, x->a, "hello", 5), 5);
	do
		step(x);
	while ((x->b = x->b != NULL ? x->b : tcp_accept(x->n.b.tcp, x->l, 3)) == NULL || tcp_unread(x->b) < 5);
	assert_int_equal(host_recv(&x->n.b, x->b, got, sizeof(got)), 5);
}

/* A message each way, and both close: how many segments it takes. */
static uint64_t exchange(struct pair *x)
{
	uint64_t before = n_sent(x);
	uint8_t got[64];

	first_message(x);
	assert_int_equal(host_send(&x->n.b, x->b, "good day", 8), 8);
	while (tcp_unread(x->a) < 8)
		step(x);
	assert_int_equal(host_recv(&x->n.a, x->a, got, sizeof(got)), 8);
	tcp_close(x->n.a.tcp, x->a);
	ip_flush(x->n.a.ip);
	while (tcp_state(x->b) != TCP_CLOSE_WAIT)
		step(x);
	tcp_close(x->n.b.tcp, x->b);
	net_run(&x->n, NS_PER_S);
	assert_int_equal(x->n.a.tcp->time_wait.n_used, 2);
	return n_sent(x) - before;
}

/* Would catch: an acknowledgement that leaves although the user's answer would have carried it. SYN, SYN+ACK, a message
 * each way, FIN each way and the last ACK. */
static void test_answers_carry_them(void **state)
{
	struct pair x;

	begin(&x, true);
	assert_int_equal(exchange(&x), 7);
	end(&x);
}

/* Would catch: one that waits where nobody asked for it: four more, as with Linux at first. */
static void test_not_unless_told(void **state)
{
	struct pair x;

	begin(&x, false);
	assert_int_equal(exchange(&x), 11);
	end(&x);
}

/* Would catch: one that waits longer than the turn, or of which the deadline says nothing. */
static void test_without_an_answer(void **state)
{
	struct pair x;

	begin(&x, true);
	first_message(&x);
	uint64_t before = n_sent(&x), now = x.n.now;

	assert_int_equal(x.n.b.tcp->n_acks_wait, 1);
	assert_int_equal(tcp_next_deadline(x.n.b.tcp), now);
	host_expire(&x.n.b);
	assert_int_equal(n_sent(&x), before + 1);
	assert_int_equal(x.n.b.tcp->n_acks_wait, 0);
	assert_true(tcp_next_deadline(x.n.b.tcp) > now);
	/* The FIN's likewise, which no answer carries. */
	tcp_close(x.n.a.tcp, x.a);
	ip_flush(x.n.a.ip);
	while (tcp_state(x.b) != TCP_CLOSE_WAIT)
		step(&x);
	before = n_sent(&x);
	assert_int_equal(tcp_next_deadline(x.n.b.tcp), x.n.now);
	host_expire(&x.n.b);
	assert_int_equal(n_sent(&x), before + 1);
	tcp_close(x.n.b.tcp, x.b);
	end(&x);
}

/* Would catch: a connection that ends while its acknowledgement waits, and is counted for ever, or sends one. */
static void test_ends_meanwhile(void **state)
{
	struct pair x;

	begin(&x, true);
	first_message(&x);
	assert_int_equal(x.n.b.tcp->n_acks_wait, 1);
	tcp_abort(x.n.b.tcp, x.b);
	ip_flush(x.n.b.ip);
	assert_int_equal(x.n.b.tcp->n_acks_wait, 0);
	assert_int_equal(x.n.b.tcp->conns.n_used, 0);
	uint64_t before = n_sent(&x);

	host_expire(&x.n.b);
	assert_int_equal(n_sent(&x), before);
	net_run(&x.n, NS_PER_S);
	assert_int_equal(tcp_take_error(x.a), ECONNRESET);
	tcp_close(x.n.a.tcp, x.a);
	end(&x);
}

/* Would catch: what says how much has arrived, or that something is missing, waiting for anybody. */
static void test_two_segments_do_not_wait(void **state)
{
	static uint8_t bytes[4 * 1448];
	struct pair x;

	begin(&x, true);
	first_message(&x);
	host_expire(&x.n.b);
	net_run(&x.n, 50 * NS_PER_MS);
	uint64_t before = x.n.b.tcp->counts[TCP_COUNT_OUT_SEGMENTS];

	assert_int_equal(host_send(&x.n.a, x.a, bytes, sizeof(bytes)), sizeof(bytes));
	while (tcp_unread(x.b) < sizeof(bytes))
		step(&x);
	assert_true(x.n.b.tcp->counts[TCP_COUNT_OUT_SEGMENTS] > before);
	assert_int_equal(x.n.b.tcp->n_acks_wait, 0);
	tcp_abort(x.n.b.tcp, x.b);
	net_run(&x.n, NS_PER_S);
	(void)tcp_take_error(x.a);
	tcp_close(x.n.a.tcp, x.a);
	end(&x);
}

static bool fill_turn(struct host *h, struct packet *p)
{
	h->tcp->n_turn = TCP_TURN_MAX;
	return true;
}

/* Would catch: one that is written behind the end of the list, or forgotten. */
static void test_more_than_can_wait(void **state)
{
	struct pair x;

	begin(&x, true);
	x.n.b.filter = fill_turn;
	first_message(&x);
	assert_int_equal(x.n.b.tcp->n_acks_wait, 0);
	assert_int_equal(x.n.b.tcp->n_turn, TCP_TURN_MAX);
	x.n.b.filter = NULL;
	tcp_close(x.n.b.tcp, x.b);
	net_run(&x.n, NS_PER_S);
	tcp_close(x.n.a.tcp, x.a);
	end(&x);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_carry_them),       cmocka_unit_test(test_not_unless_told),
		cmocka_unit_test(test_without_an_answer),        cmocka_unit_test(test_ends_meanwhile),
		cmocka_unit_test(test_two_segments_do_not_wait), cmocka_unit_test(test_more_than_can_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
