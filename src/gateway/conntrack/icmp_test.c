/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Queries of ICMP, and its errors.
 */
#include "gateway/conntrack/ct_fixture.h"

/* Would catch: queries mixed up by identifier or type, a reply that opens a connection. */
static void test_icmp_query(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(77, ICMP_ECHO_REQUEST << 8);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.proto = IPPROTO_NR_ICMP;
	struct packet_spec back = turned(m), stray = back;
	stray.sport = 78;
	assert_int_equal(fixture_forward(&b, &stray).info, CT_INFO_INVALID);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	assert_int_equal(fixture_forward(&b, &stray).info, CT_INFO_INVALID);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_pass(&b, 62 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	fixture_stop(&b);
}

/* Would catch: an error that finds no connection, one that is taken for another's, one about nothing that is let in. */
static void test_icmp_errors(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 53), other = udp_make(1001, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	fixture_forward(&b, &m);
	const struct {
		const struct packet_spec *quoted;
		uint32_t dst;
		bool related;
	} rows[] = { { &m, CLIENT, true }, { &other, CLIENT, false }, { &m, CLIENT + 1, false } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct batch batch = { .n = 0 };
		struct packet *q = fixture_packet(&b, rows[i].quoted);
		batch_add(&batch, fixture_error(&b, WAN, LAN, IP4(192, 0, 2, 9), rows[i].dst, 3, 3, q, 8));
		fixture_in(&b, HOOK_PREROUTING, &batch);
		struct seen s = seen_of(batch.p[0]);
		assert_int_equal(s.info, rows[i].related ? CT_INFO_RELATED : CT_INFO_INVALID);
		if (rows[i].related) {
			assert_true(s.icmp_error);
			assert_int_equal(conn_dir(s.conn_ref), CT_REPLY);
		}
		fixture_hand(&b, batch.p[0]);
		fixture_hand(&b, q);
	}
	/* The header that it quotes is damaged. */
	struct batch damaged = { .n = 0 };
	struct packet *q = fixture_packet(&b, &m);
	packet_l3(q)[10] ^= 0x55;
	batch_add(&damaged, fixture_error(&b, WAN, LAN, IP4(192, 0, 2, 9), CLIENT, 3, 3, q, 8));
	fixture_in(&b, HOOK_PREROUTING, &damaged);
	assert_int_equal(damaged.n, 0);
	assert_int_equal(b.env.ledger.n_dropped[DROP_ICMP_QUOTE_CHECKSUM], 1);
	fixture_hand(&b, q);
	/* One of ours about a packet whose connection is not confirmed yet: a traceroute's first probe. */
	struct batch first = { .n = 0 }, ours = { .n = 0 };
	batch_add(&first, fixture_packet(&b, &other));
	fixture_in(&b, HOOK_PREROUTING, &first);
	batch_add(&ours, fixture_error(&b, 0, LAN, IP4(10, 0, 0, 1), CLIENT, 11, 0, first.p[0], 20));
	fixture_in(&b, HOOK_OUTPUT, &ours);
	assert_int_equal(ours.p[0]->ct_info, CT_INFO_RELATED);
	assert_int_equal(ours.p[0]->conn_ref, first.p[0]->conn_ref ^ 1);
	fixture_out(&b, HOOK_POSTROUTING, &ours);
	fixture_hand(&b, ours.p[0]);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	env_drop(&b.env, first.p[0], DROP_TTL_EXPIRED);
	assert_int_equal(b.ct->n_unconfirmed, 0);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_icmp_query),
		cmocka_unit_test(test_icmp_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
