/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections in batches, from their first packet to their end; checksums, zones, and what is not tracked.
 */
#include "gateway/conntrack/ct_fixture.h"

/* Would catch: two packets of a new flow in one batch that become two connections, or of which one is lost. */
static void test_two_in_a_batch(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec m = udp_make(1000, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (int i = 0; i < 3; i++)
		batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 3);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(batch.p[i]->conn_unconfirmed);
		assert_int_equal(batch.p[i]->conn_ref, batch.p[0]->conn_ref);
		assert_int_equal(batch.p[i]->ct_info, CT_INFO_NEW);
	}
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 3);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	assert_int_equal(b.n_events[EVENT_CONN_NEW], 1);
	struct conn_counters c;
	conn_counters(b.ct, conn_index(batch.p[0]->conn_ref), &c);
	assert_int_equal(c.packets[CT_ORIGINAL], 3);
	assert_int_equal(c.bytes[CT_ORIGINAL], 3 * 48);
	for (int i = 0; i < 3; i++) {
		assert_false(batch.p[i]->conn_unconfirmed);
		fixture_hand(&b, batch.p[i]);
	}
	fixture_stop(&b);
}

/* Would catch: a trace of a connection whose packets were all dropped; one lost although a packet of it went on. */
static void test_dropped(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec m = udp_make(1000, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	batch_add(&batch, fixture_packet(&b, &m));
	batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	packet_set_drop(batch.p[0], DROP_RULE_DROP);
	batch_settle(&batch, b.env.pool, &b.env.ledger);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_hand(&b, batch.p[0]);

	m.sport = 1001;
	batch.n = 0;
	batch_add(&batch, fixture_packet(&b, &m));
	batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	packet_set_drop(batch.p[0], DROP_RULE_DROP);
	packet_set_drop(batch.p[1], DROP_RULE_DROP);
	batch_settle(&batch, b.env.pool, &b.env.ledger);
	assert_int_equal(fixture_ref_of(&b, &m), CONN_NONE);
	assert_int_equal(b.ct->n_unconfirmed, 0);
	assert_int_equal(b.ct->table.n_entries, 2);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_CREATED], 2);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_DISCARDED], 1);
	fixture_stop(&b);
}

/* Would catch: two connections with one REPLY tuple, or a mapping that somebody else gets before it is confirmed; one
 * that is refused what it has. */
static void test_take_reply(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec m1 = udp_make(1000, 53), m2 = udp_make(1001, 53);
	struct tuple reply;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	batch_add(&batch, fixture_packet(&b, &m1));
	batch_add(&batch, fixture_packet(&b, &m2));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	uint32_t i1 = conn_index(batch.p[0]->conn_ref), i2 = conn_index(batch.p[1]->conn_ref);
	reply = ct_conn(b.ct, i1)->half[CT_REPLY].tuple;
	reply.dst = IP4(192, 0, 2, 1);
	for (int again = 0; again < 2; again++)
		assert_true(conntrack_reserve_reply(b.ct, i1, &reply));
	assert_false(conntrack_reserve_reply(b.ct, i2, &reply));
	assert_int_equal(conn_index(conntrack_find(b.ct, &reply)), i1);
	reply.dport++;
	assert_true(conntrack_reserve_reply(b.ct, i1, &reply));
	reply.dport--;
	assert_true(conntrack_reserve_reply(b.ct, i2, &reply));
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 2);
	assert_int_equal(b.ct->table.n_entries, 4);
	fixture_hand(&b, batch.p[0]);
	fixture_hand(&b, batch.p[1]);
	fixture_stop(&b);
}

/* Would catch: a damaged packet that opens a connection or changes its state, or a plain one that is dropped for it. */
static void test_checksums(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 53), back = turned(m);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.bad_check = true;
	assert_int_equal(fixture_forward(&b, &m).reason, DROP_L4_CHECKSUM);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	m.bad_check = false;
	assert_true(fixture_forward(&b, &m).passed);
	back.bad_check = true;
	assert_int_equal(fixture_forward(&b, &back).reason, DROP_L4_CHECKSUM);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	back.bad_check = false;
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	back.bad_check = true;
	assert_true(fixture_forward(&b, &back).passed);
	fixture_stop(&b);
}

/* Would catch: two private networks with the same addresses that share connections. */
static void test_zones(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .zone = { [LAN] = 5, [3] = 6 } };
	struct packet_spec m = udp_make(1000, 53), m3 = udp_make(1000, 53);

	(void)state;
	m3.in = 3;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	struct seen s = fixture_forward(&b, &m);
	const struct conn *c = ct_conn(b.ct, conn_index(s.conn_ref));
	assert_int_equal(c->half[CT_ORIGINAL].tuple.zone, 5);
	assert_int_equal(c->half[CT_REPLY].tuple.zone, 0);
	/* Without NAT the same REPLY tuple would be needed twice. */
	s = fixture_forward(&b, &m3);
	assert_false(s.passed);
	assert_int_equal(s.reason, DROP_CT_CLASH);
	struct packet_spec back = turned(m);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	fixture_stop(&b);
}

/* Would catch: a protocol without ports that is not tracked, or notrack that is not heeded. */
static void test_others(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(0, 0);
	struct batch batch = { .n = 0 };

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.proto = 99;
	struct packet_spec back = turned(m);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	m = udp_make(4, 5);
	batch_add(&batch, fixture_packet(&b, &m));
	batch.p[0]->ct_info = CT_INFO_UNTRACKED;
	fixture_in(&b, HOOK_PREROUTING, &batch);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.p[0]->ct_info, CT_INFO_UNTRACKED);
	assert_int_equal(batch.p[0]->conn_ref, CONN_NONE);
	fixture_hand(&b, batch.p[0]);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_stop(&b);
}

static void count_release(void *ctx, struct conn *c, uint32_t index)
{
	(void)c;
	(void)index;
	++*(uint32_t *)ctx;
}

/* Would catch: a mapping that is given back twice or never, a listing that misses or repeats. */
static void test_end_and_list(void **state)
{
	struct ct_fixture b;
	uint32_t n_released = 0, cursor = 0, index, n = 0;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_set_nat(b.ct, &(struct ct_nat_ops){ .release = count_release }, &n_released);
	for (uint16_t i = 0; i < 50; i++) {
		struct packet_spec m = udp_make((uint16_t)(100 + i), 53);
		struct seen s = fixture_forward(&b, &m);
		conntrack_set_mapped(b.ct, conn_index(s.conn_ref));
	}
	while (conntrack_next(b.ct, &cursor, &index)) {
		n++;
		conntrack_end(b.ct, index, CT_END_FLUSHED);
		conntrack_end(b.ct, index, CT_END_FLUSHED);
	}
	assert_int_equal(n, 50);
	assert_int_equal(n_released, 50);
	assert_int_equal(conntrack_n_mapped(b.ct), 0);
	assert_int_equal(b.n_events[EVENT_CONN_END], 50);
	fixture_pass(&b, 0);
	assert_int_equal(b.ct->conns.n_used, 0);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_in_a_batch), cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_take_reply),     cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_zones),          cmocka_unit_test(test_others),
		cmocka_unit_test(test_end_and_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
