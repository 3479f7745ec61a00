/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets that wait longer than their batch, and what becomes of their connections meanwhile.
 */
#include <errno.h>

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
	/* The second still waits: who comes now gets another number. */
	struct packet_spec next = udp_make(2999, 53);
	uint32_t next_ref = fixture_forward(&b, &next).conn_ref;
	assert_int_not_equal(conn_index(next_ref), conn_index(ref));
	conntrack_end(b.ct, conn_index(next_ref), CT_END_FLUSHED);
	ct_flush_dying(b.ct);
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

/* Would catch: two packets of one new flow in a batch, of which the second confirms once more, or is not counted. */
static void test_two_of_one_batch(void **state)
{
	struct packet_spec m = udp_make(1000, 53);
	struct batch batch = { .n = 0 };
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (int i = 0; i < 3; i++)
		batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 3);
	for (uint32_t i = 0; i < batch.n; i++)
		fixture_hand(&b, batch.p[i]);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	assert_int_equal(b.n_events[EVENT_CONN_NEW], 1);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_CLASH_RESOLVED], 2);
	fixture_stop(&b);
}

/* Would catch: connections that were imported and count for no source. */
static void test_imported_count(void **state)
{
	(void)state;
	for (int rate = 0; rate < 2; rate++) {
		struct ct_config cfg = { .max_per_source = 2, .new_per_source_s = rate ? 1000 : 0 };
		struct packet_spec m[3] = { udp_make(1000, 53), udp_make(1001, 53), udp_make(1002, 53) };
		struct ct_fixture b;

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		conntrack_configure(b.ct, &cfg);
		for (int i = 0; i < 2; i++)
			assert_true(fixture_forward(&b, &m[i]).passed);
		fixture_reborn(&b);
		assert_int_equal(fixture_forward(&b, &m[2]).reason, DROP_CT_SOURCE_LIMIT);
		fixture_stop(&b);
	}
}

/* Would catch: an imported connection that is counted with those from outside, who have half of the counters, though it
 * was not when it began; one that is not, though it was. */
static void test_imported_source(void **state)
{
	static const struct {
		uint64_t outside;
		bool comes_in;
		uint32_t n_outside;
	} rows[] = { { 0, false, 0 }, { 0, true, 0 }, { 1 << WAN, false, 0 }, { 1 << WAN, true, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ct_config cfg = { .max_per_source = 2, .outside = rows[i].outside };
		struct packet_spec m = udp_make(1000, 53);
		struct ct_fixture b;

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		conntrack_configure(b.ct, &cfg);
		if (rows[i].comes_in)
			m = turned(m);
		assert_true(fixture_forward(&b, &m).passed);
		assert_int_equal(b.ct->sources.n_outside, rows[i].n_outside);
		fixture_reborn(&b);
		assert_int_equal(b.ct->sources.n_outside, rows[i].n_outside);
		fixture_stop(&b);
	}
}

/* Would catch: imported connections that do not keep their source's account open while only its rate is limited, so
 * that who opens too fast is forgotten as soon as what he opened has ended. */
static void test_imported_keep_the_rate(void **state)
{
	struct ct_config cfg = { .new_per_source_s = 1 };
	struct packet_spec m[3] = { udp_make(1000, 53), udp_make(1001, 53), udp_make(1002, 53) };
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	assert_true(fixture_forward(&b, &m[0]).passed);
	fixture_reborn(&b);
	uint32_t second = fixture_forward(&b, &m[1]).conn_ref;

	assert_int_equal(fixture_forward(&b, &m[2]).reason, DROP_CT_SOURCE_RATE);
	conntrack_end(b.ct, conn_index(second), CT_END_FLUSHED);
	assert_int_equal(fixture_forward(&b, &m[2]).reason, DROP_CT_SOURCE_RATE);
	fixture_pass(&b, 2 * NS_PER_S);
	assert_true(fixture_forward(&b, &m[2]).passed);
	fixture_stop(&b);
}

/* Would catch: a flow that is begun from its record and counts as young, so that it is no stream for a while. */
static void test_imported_is_as_old(void **state)
{
	struct packet_spec m = udp_make(1000, 5000), back = turned(m);
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	assert_true(fixture_forward(&b, &m).passed);
	assert_true(fixture_forward(&b, &back).passed);
	b.env.now += 10 * NS_PER_S;
	fixture_reborn(&b);
	uint32_t ref = fixture_forward(&b, &m).conn_ref;

	assert_true(ct_conn(b.ct, conn_index(ref))->status & CT_ASSURED);
	fixture_stop(&b);
}

/* Would catch: a record that pushes out a connection which is there. */
static void test_import_into_a_full_table(void **state)
{
	struct ct_fixture b;
	struct ct_record r;
	uint32_t again;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (uint16_t i = 0; i < 9; i++) {
		struct packet_spec m = udp_make((uint16_t)(1000 + i), 53);
		uint32_t index = conn_index(fixture_forward(&b, &m).conn_ref);

		if (i > 0)
			continue;
		assert_int_equal(conntrack_export(b.ct, index, &r), 0);
		conntrack_end(b.ct, index, CT_END_FLUSHED);
	}
	assert_int_equal(conntrack_n_connections(b.ct), 8);
	assert_int_equal(conntrack_import(b.ct, &r, &again), -ENOSPC);
	assert_int_equal(conntrack_n_connections(b.ct), 8);
	assert_int_equal(b.n_events[EVENT_CONN_END], 1);
	fixture_stop(&b);
}

static bool nobody_hears(void *ctx, uint32_t index, const struct packet *p)
{
	(void)ctx;
	(void)index;
	(void)p;
	return true;
}

/* Would catch: a record that is taken in where other workers would have to know of the connection, one that is made
 * of a connection that has ended, or that has a scale which no window can have. */
static void test_records_refused(void **state)
{
	const struct ct_workers workers = { .confirmed = nobody_hears };
	struct packet_spec m = udp_make(1000, 53);
	struct ct_record r;
	struct ct_fixture b;
	uint32_t again;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	uint32_t index = conn_index(fixture_forward(&b, &m).conn_ref);

	assert_int_equal(conntrack_export(b.ct, index, &r), 0);
	conntrack_end(b.ct, index, CT_END_FLUSHED);
	assert_int_equal(conntrack_export(b.ct, index, &r), -ENOENT);
	assert_int_equal(conntrack_export(b.ct, conntrack_n_numbers(b.ct), &r), -ENOENT);
	ct_flush_dying(b.ct);
	conntrack_set_workers(b.ct, &workers);
	assert_int_equal(conntrack_import(b.ct, &r, &again), -ENOTSUP);
	assert_int_equal(b.ct->n_unconfirmed, 0);
	conntrack_set_workers(b.ct, &(struct ct_workers){ 0 });
	r.half[CT_REPLY].scale = 15; /* RFC 7323 section 2.3 */
	assert_int_equal(conntrack_import(b.ct, &r, &again), -EINVAL);
	r.half[CT_REPLY].scale = 14;
	assert_int_equal(conntrack_import(b.ct, &r, &again), 0);
	conntrack_import_confirm(b.ct, again);
	assert_int_equal(conntrack_import(b.ct, &r, &again), -EEXIST);
	fixture_stop(&b);
}

/* Would catch: a connection from an address and port to itself, whose two tuples are one, that is refused as a clash
 * with itself, stands in the table twice, or leaves something there. */
static void test_to_itself(void **state)
{
	struct packet_spec m = udp_make(500, 500);
	struct ct_fixture b;

	(void)state;
	m.dst = m.src;
	m.out = LAN;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	struct seen first = fixture_forward(&b, &m), again = fixture_forward(&b, &m);

	assert_true(first.passed && again.passed);
	assert_int_equal(first.conn_ref, again.conn_ref);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	assert_int_equal(b.ct->table.n_entries, 1);
	conntrack_end(b.ct, conn_index(first.conn_ref), CT_END_FLUSHED);
	assert_int_equal(b.ct->table.n_entries, 0);
	fixture_stop(&b);
}

/* Each protocol of datagrams by itself: a connection is there half a second before its time, and gone half a second
 * behind it. Would catch: another protocol's timeout, one that is a second off, and answers that do not count. */
static void test_datagram_timeouts(void **state)
{
	static const struct {
		uint8_t proto, flags;
	} rows[] = { { IPPROTO_NR_UDP, 0 },    { IPPROTO_NR_UDPLITE, 0 }, { IPPROTO_NR_ICMP, 0 },
		     { IPPROTO_NR_GRE, 0x20 }, { IPPROTO_NR_ESP, 0 },     { 99, 0 } };
	struct ct_config cfg = { .timeout = { .udp_new = 20,
					      .udp_stream = 40,
					      .udplite_new = 21,
					      .udplite_stream = 41,
					      .icmp = 22,
					      .gre_new = 23,
					      .gre_stream = 43,
					      .esp_new = 24,
					      .esp_stream = 44,
					      .other = 25 } };
	static const uint32_t fresh_s[] = { 20, 21, 22, 23, 24, 25 }, answered_s[] = { 40, 41, 22, 43, 44, 25 };

	enum { ONE_PACKET, TWO_PACKETS, ANSWERED, N_HOWS };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int how = 0; how < N_HOWS; how++) {
			struct packet_spec m = udp_make(2000, 3000);
			struct ct_fixture b;

			fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
			conntrack_configure(b.ct, &cfg);
			m.proto = rows[i].proto;
			m.flags = rows[i].flags;
			m.seq = 77;
			if (m.proto == IPPROTO_NR_ICMP)
				m.dport = ICMP_ECHO_REQUEST << 8;
			assert_true(fixture_forward(&b, &m).passed);
			if (how == TWO_PACKETS)
				assert_true(fixture_forward(&b, &m).passed);
			if (how == ANSWERED) {
				struct packet_spec back = turned(m);

				assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
				assert_true(fixture_forward(&b, &m).passed);
			}
			uint64_t s = how == ANSWERED ? answered_s[i] : fresh_s[i];

			fixture_pass(&b, s * NS_PER_S - NS_PER_S / 2);
			assert_int_equal(conntrack_n_connections(b.ct), 1);
			fixture_pass(&b, NS_PER_S);
			assert_int_equal(conntrack_n_connections(b.ct), 0);
			fixture_stop(&b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_is_kept),     cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_two_of_one_batch),   cmocka_unit_test(test_imported_count),
		cmocka_unit_test(test_datagram_timeouts),  cmocka_unit_test(test_imported_keep_the_rate),
		cmocka_unit_test(test_imported_is_as_old), cmocka_unit_test(test_import_into_a_full_table),
		cmocka_unit_test(test_records_refused),    cmocka_unit_test(test_to_itself),
		cmocka_unit_test(test_imported_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
