/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets that wait longer than their batch, and what becomes of their connections meanwhile.
 */
#include "gateway/conntrack/ct_fixture.h"

/* A packet that has been through PREROUTING and waits (fragments do). */
static struct packet *waiting(struct ct_fixture *b, const struct packet_spec *m)
{
	struct batch batch = { .n = 0 };

	batch_add(&batch, fixture_packet(b, m));
	fixture_in(b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 1);
	packet_get_conn(b->env.pool, batch.p[0]);
	return batch.p[0];
}

static void goes_on(struct ct_fixture *b, struct packet *p)
{
	struct batch batch = { .n = 0 };

	batch_add(&batch, p);
	fixture_out(b, HOOK_INPUT, &batch);
	assert_int_equal(batch.n, 1);
	fixture_hand(b, p);
}

/* The connection of ref ends, and as many others begin as there is room for: nobody gets its number. */
static void end_and_fill(struct ct_fixture *b, uint32_t ref, uint32_t n)
{
	uint32_t before = conntrack_n_connections(b->ct);

	conntrack_end(b->ct, conn_index(ref), CT_END_FLUSHED);
	for (uint32_t i = 0; i < n; i++) {
		struct packet_spec other = udp_make((uint16_t)(2000 + i), 53);
		struct seen s = fixture_forward(b, &other);
		assert_true(s.passed);
		assert_int_not_equal(conn_index(s.conn_ref), conn_index(ref));
	}
	assert_int_equal(conntrack_n_connections(b->ct), before - 1 + n);
}

/* Would catch: a connection's number that is given to another while a packet of it waits; then the packet's end
 * discards that other one, or it is counted down below zero. */
static void test_number_is_kept(void **state)
{
	struct packet_spec m = udp_make(1000, 53);
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	/* It waits since before the connection was confirmed by another packet, and a second one since after it. */
	struct packet *first = waiting(&b, &m);
	uint32_t ref = fixture_forward(&b, &m).conn_ref;
	assert_int_equal(first->conn_ref, ref);
	struct packet *second = waiting(&b, &m);
	assert_int_equal(second->conn_ref, ref);
	end_and_fill(&b, ref, 7);
	env_drop(&b.env, first, DROP_FRAGMENT_TIMEOUT);
	assert_int_equal(conntrack_n_connections(b.ct), 7);
	env_drop(&b.env, second, DROP_FRAGMENT_TIMEOUT);
	assert_int_equal(conntrack_n_connections(b.ct), 7);
	/* Now it is free. */
	struct packet_spec other = udp_make(3000, 53);
	assert_int_equal(conn_index(fixture_forward(&b, &other).conn_ref), conn_index(ref));
	fixture_stop(&b);
}

/* Would catch: a packet that goes on with a connection that has ended, or with another's. */
static void test_goes_on(void **state)
{
	struct packet_spec m = udp_make(1000, 53), n = udp_make(1001, 53);
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	/* Nobody has confirmed it: it does so itself. */
	struct packet *p = waiting(&b, &m);
	packet_revalidate_conn(b.env.pool, p);
	assert_true(p->conn_unconfirmed);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	goes_on(&b, p);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	/* It is confirmed and goes on. */
	p = waiting(&b, &m);
	uint32_t ref = p->conn_ref;
	packet_revalidate_conn(b.env.pool, p);
	assert_false(p->conn_unconfirmed);
	assert_int_equal(p->conn_ref, ref);
	goes_on(&b, p);
	/* It has ended. */
	p = waiting(&b, &m);
	end_and_fill(&b, ref, 3);
	packet_revalidate_conn(b.env.pool, p);
	assert_false(p->conn_unconfirmed);
	assert_int_equal(p->conn_ref, CONN_NONE);
	assert_int_equal(p->ct_info, CT_INFO_INVALID);
	goes_on(&b, p);
	/* Nobody ever confirms it. */
	p = waiting(&b, &n);
	env_drop(&b.env, p, DROP_FRAGMENT_TIMEOUT);
	assert_int_equal(b.ct->n_unconfirmed, 0);
	assert_int_equal(conntrack_n_connections(b.ct), 3);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_is_kept),
		cmocka_unit_test(test_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
