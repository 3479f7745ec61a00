/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections of UDP: their times, and what one line alone can say of them.
 */
#include "gateway/conntrack/ct_fixture.h"
#include "gateway/conntrack/flow.h"

/* Would catch: a well-known port that lives as long as any, or all that live as short. */
static void test_udp_well_known(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .timeout = { .udp_well_known = 20 } };
	struct packet_spec dns = udp_make(1000, 53), other = udp_make(1000, 5353);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	fixture_forward(&b, &dns);
	fixture_forward(&b, &other);
	assert_int_equal(conn_timeout_s(b.ct, conn_index(fixture_ref_of(&b, &dns))), 20);
	assert_int_equal(conn_timeout_s(b.ct, conn_index(fixture_ref_of(&b, &other))), 300);
	fixture_stop(&b);
}

/* Would catch: a time for answered queries that counts before there is an answer, one that does not count behind it, a
 * query without an answer that has another time than the config gives. */
static void test_query_times(void **state)
{
	struct ct_config cfg = { .timeout = { .udp_new = 40, .udp_answered = 10 } };
	struct packet_spec m = udp_make(1000, 53), n = udp_make(1001, 53), back = turned(m);
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	fixture_forward(&b, &m);
	uint32_t index = conn_index(fixture_ref_of(&b, &m));
	assert_int_equal(conn_timeout_s(b.ct, index), 40);
	fixture_forward(&b, &back);
	assert_int_equal(conn_timeout_s(b.ct, index), 10);
	cfg.timeout.udp_well_known = 20;
	conntrack_configure(b.ct, &cfg);
	fixture_forward(&b, &n);
	assert_int_equal(conn_timeout_s(b.ct, conn_index(fixture_ref_of(&b, &n))), 20);
	fixture_stop(&b);
}

/* Would catch: an answered query of a well-known service that does not count as finished, any other flow that does: one
 * without an answer, of a higher port, or with more packets than a query has. */
static void test_answered_query(void **state)
{
	static const struct {
		uint16_t port;
		uint32_t n_out, n_back;
		bool finished;
	} rows[] = { { 53, 1, 0, false }, { 53, 1, 1, true },   { 53, 4, 1, true },
		     { 53, 5, 1, false }, { 1023, 1, 1, true }, { 1024, 1, 1, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet_spec m = udp_make(1000, rows[i].port), back = turned(m);
		struct ct_fixture b;

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		for (uint32_t n = 0; n < rows[i].n_out; n++)
			fixture_forward(&b, &m);
		for (uint32_t n = 0; n < rows[i].n_back; n++)
			fixture_forward(&b, &back);
		assert_int_equal(conntrack_may_be_finished(b.ct, conn_index(fixture_ref_of(&b, &m))), rows[i].finished);
		fixture_stop(&b);
	}
}

/* Would catch: a wrong timeout, a refresh that does not count, a timer that fires although it was put off. */
static void test_udp_times(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 53), back = turned(m);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	fixture_forward(&b, &m);
	assert_int_equal(conn_timeout_s(b.ct, conn_index(fixture_ref_of(&b, &m))), 300);
	fixture_pass(&b, 119 * NS_PER_S);
	fixture_forward(&b, &m);
	fixture_pass(&b, 119 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_forward(&b, &back);
	fixture_pass(&b, 299 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	assert_true(conntrack_next_deadline(b.ct) <= b.env.now + 2 * NS_PER_S);
	fixture_pass(&b, 2 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	assert_int_equal(b.n_events[EVENT_CONN_END], 1);
	assert_int_equal(b.last.reason, CT_END_TIMEOUT);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_ENDED], 1);
	assert_int_equal(b.last.orig.src.v4, CLIENT);
	assert_int_equal(b.last.reply.dport, 1000);
	assert_int_equal(b.ct->table.n_entries, 0);
	assert_int_equal(b.ct->conns.n_used, 0);
	fixture_stop(&b);
}

/* Would catch: a later datagram that writes the other direction's line or needs it, one that is not counted or does not
 * keep its connection alive, one that passes over the connection's becoming a stream, a shorter timeout in a new config
 * that does not count. */
static void test_datagram_line(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 5353), back = turned(m);
	struct ct_config shorter = { .timeout = { .udp_stream = 150 } };
	struct ct_moment now;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	fixture_forward(&b, &m);
	fixture_forward(&b, &back);
	uint32_t index = conn_index(fixture_ref_of(&b, &m));
	struct ct_half *h = conntrack_conn(b.ct, index)->half, other = h[CT_ORIGINAL], before;
	const struct ct_datagram_half *d = &h[CT_REPLY].datagram;

	assert_true(d->src == h[CT_ORIGINAL].tuple.dst && d->dst == h[CT_ORIGINAL].tuple.src);
	assert_true(d->sport == h[CT_ORIGINAL].tuple.dport && d->dport == h[CT_ORIGINAL].tuple.sport);
	fixture_pass(&b, NS_PER_S);
	conntrack_batch_begin(b.ct, &now);
	assert_true(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	assert_memory_equal(&h[CT_ORIGINAL], &other, sizeof(other));
	assert_true(h[CT_REPLY].packets == 2 && h[CT_REPLY].bytes == 2 * 48);
	assert_int_equal(conn_timeout_s(b.ct, index), 300);
	/* It still talks: a stream now, which is not for a line alone to say. */
	fixture_pass(&b, 2 * NS_PER_S);
	conntrack_batch_begin(b.ct, &now);
	before = h[CT_REPLY];
	assert_false(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	assert_memory_equal(&h[CT_REPLY], &before, sizeof(before));
	fixture_forward(&b, &m);
	assert_true(conntrack_conn(b.ct, index)->status & CT_ASSURED);
	assert_true(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	fixture_pass(&b, 298 * NS_PER_S);
	conntrack_batch_begin(b.ct, &now);
	assert_true(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	fixture_pass(&b, 10 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	conntrack_configure(b.ct, &shorter);
	conntrack_batch_begin(b.ct, &now);
	assert_false(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	fixture_forward(&b, &back);
	assert_int_equal(conn_timeout_s(b.ct, index), 150);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_well_known), cmocka_unit_test(test_query_times),
		cmocka_unit_test(test_answered_query), cmocka_unit_test(test_udp_times),
		cmocka_unit_test(test_datagram_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
