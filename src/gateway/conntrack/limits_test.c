/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Limits of connection tracking: of the table, and who gives way; of a source, and its rate.
 */
#include "gateway/conntrack/ct_fixture.h"

/* Would catch: an established connection that a flood of new ones pushes out; a flood that is not let in at all. */
static void test_eviction(void **state)
{
	struct ct_fixture b;
	struct packet_spec keep = udp_make(1, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	struct packet_spec back = turned(keep);
	fixture_forward(&b, &keep);
	fixture_pass(&b, 3 * NS_PER_S);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	fixture_pass(&b, 3 * NS_PER_S);
	assert_int_equal(fixture_forward(&b, &keep).info, CT_INFO_ESTABLISHED);
	for (uint16_t i = 0; i < 100; i++) {
		struct packet_spec m = udp_make((uint16_t)(2000 + i), 53);
		assert_true(fixture_forward(&b, &m).passed);
	}
	assert_int_equal(conntrack_n_connections(b.ct), 8);
	assert_int_not_equal(fixture_ref_of(&b, &keep), CONN_NONE);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_EVICTED], 93);
	/* The oldest went: the seven newest are there. */
	struct packet_spec old = udp_make(2092, 53), unassured = udp_make(2093, 53);
	assert_int_equal(fixture_ref_of(&b, &old), CONN_NONE);
	assert_int_not_equal(fixture_ref_of(&b, &unassured), CONN_NONE);
	fixture_stop(&b);
}

static uint32_t n_known(struct ct_fixture *b, struct packet_spec m, uint16_t first, uint32_t n)
{
	uint32_t known = 0;

	for (uint32_t i = 0; i < n; i++) {
		m.sport = (uint16_t)(first + i);
		known += fixture_ref_of(b, &m) != CONN_NONE;
	}
	return known;
}

static void flood(struct ct_fixture *b, struct packet_spec m, uint16_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		m.sport = (uint16_t)(first + i);
		assert_true(fixture_forward(b, &m).passed);
	}
}

/* Would catch: a flood from outside that pushes out what hosts inside have just begun; one from inside that leaves no
 * room at all for what comes from outside. */
static void test_origins(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .outside = UINT64_C(1) << WAN };
	struct packet_spec inside = udp_make(0, 53), outside = turned(inside);

	(void)state;
	outside.dport = 53;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 64 });
	conntrack_configure(b.ct, &cfg);
	flood(&b, inside, 1000, 30);
	flood(&b, outside, 2000, 1000);
	assert_int_equal(n_known(&b, inside, 1000, 30), 30);
	assert_int_equal(n_known(&b, outside, 2966, 34), 34);
	flood(&b, inside, 5000, 1000);
	assert_int_equal(n_known(&b, outside, 2992, 8), 8);
	assert_int_equal(n_known(&b, inside, 5944, 56), 56);
	assert_int_equal(conntrack_n_connections(b.ct), 64);
	fixture_stop(&b);
}

/* Would catch: packets that nobody here takes, and that push out what others have begun, or leave a connection. */
static void test_unclaimed(void **state)
{
	struct ct_fixture b;
	struct packet_spec unassured = udp_make(0, 53), stray = turned(unassured);

	(void)state;
	stray.out = 0;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	flood(&b, unassured, 1000, 16);
	for (uint32_t i = 0; i < 1000; i += BATCH_MAX) {
		struct batch batch = { .n = 0 };

		for (uint32_t k = 0; k < BATCH_MAX; k++) {
			stray.sport = (uint16_t)(2000 + i + k);
			batch_add(&batch, fixture_packet(&b, &stray));
			batch.p[k]->unclaimed = true;
		}
		fixture_in(&b, HOOK_PREROUTING, &batch);
		fixture_out(&b, HOOK_INPUT, &batch);
		assert_int_equal(batch.n, BATCH_MAX);
		for (uint32_t k = 0; k < BATCH_MAX; k++)
			fixture_hand(&b, batch.p[k]);
	}
	assert_int_equal(n_known(&b, unassured, 1000, 16), 16);
	assert_int_equal(conntrack_n_connections(b.ct), 16);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_EVICTED], 0);
	fixture_stop(&b);
}

/* Would catch: a packet that is given another connection's translation because its own was evicted in this batch. */
static void test_evicted_in_batch(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec old = udp_make(1, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 1 });
	fixture_forward(&b, &old);
	batch_add(&batch, fixture_packet(&b, &old));
	struct packet_spec new = udp_make(2, 53);
	batch_add(&batch, fixture_packet(&b, &new));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 2);
	assert_int_equal(conntrack_of(b.ct, batch.p[0])->half[CT_ORIGINAL].tuple.sport, 1);
	assert_int_equal(conntrack_of(b.ct, batch.p[1])->half[CT_ORIGINAL].tuple.sport, 2);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 2);
	fixture_hand(&b, batch.p[0]);
	fixture_hand(&b, batch.p[1]);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_stop(&b);
}

static void count_refused(void *ctx, const struct packet *p)
{
	assert_int_equal(p->reason, DROP_CT_TABLE_FULL);
	++*(uint32_t *)ctx;
}

/* Would catch: a table that overflows, or a full one that takes an assured connection's place. */
static void test_full(void **state)
{
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 2 });
	for (uint16_t i = 0; i < 2; i++) {
		struct packet_spec m = udp_make((uint16_t)(10 + i), 53), back = turned(m);
		fixture_forward(&b, &m);
		fixture_forward(&b, &back);
		fixture_pass(&b, 3 * NS_PER_S);
		fixture_forward(&b, &back);
	}
	assert_int_equal(conntrack_capacity(b.ct), 2);
	assert_int_equal(conntrack_n_numbers(b.ct), 2);
	struct packet_spec m = udp_make(12, 53);
	struct seen s = fixture_forward(&b, &m);
	assert_false(s.passed);
	assert_int_equal(s.reason, DROP_CT_TABLE_FULL);
	/* whoever wants to tell the sender learns of it; nobody is told of a packet of our own */
	uint32_t n_told = 0;
	conntrack_set_ip(b.ct, &(struct ct_ip_ops){ .refused = count_refused }, &n_told);
	fixture_forward(&b, &m);
	assert_int_equal(n_told, 1);
	m.in = 0;
	fixture_forward(&b, &m);
	assert_int_equal(n_told, 1);
	fixture_stop(&b);
}

static bool leads_back(void *ctx, const struct packet *p)
{
	return p->in_ifindex == *(uint32_t *)ctx;
}

/* Would catch: somebody who may have forged his source counted on the account of the host that has it; that host
 * counted with the forgers, or what we send ourselves. */
static void test_doubtful(void **state)
{
	static const struct {
		uint32_t in;
		bool is_crowded;
	} rows[] = { { LAN, false }, { WAN, true }, { 0, false } };
	struct ct_config cfg = { .max_per_source = 3 };
	uint32_t way_back = LAN;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet_spec m = udp_make(1000, 53);
		struct ct_fixture b;

		fixture_start(&b, &(struct ct_limits){ .n_connections = 10 });
		conntrack_configure(b.ct, &cfg);
		conntrack_set_ip(b.ct, &(struct ct_ip_ops){ .leads_back = leads_back }, &way_back);
		m.in = rows[i].in;
		assert_true(fixture_forward(&b, &m).passed);
		assert_int_equal(b.ct->sources.n_crowded, rows[i].is_crowded);
		fixture_stop(&b);
	}
}

/* Would catch: a limit that is off by one, or never gives back. */
static void test_per_source(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .max_per_source = 3 };

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_configure(b.ct, &cfg);
	for (int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < 5; i++) {
			struct packet_spec m = udp_make((uint16_t)(10 + i), 53), other = m;
			other.src = CLIENT + 1 + i;
			assert_int_equal(fixture_forward(&b, &m).passed, i < 3);
			assert_true(fixture_forward(&b, &other).passed);
		}
		assert_int_equal(b.env.ledger.n_dropped[DROP_CT_SOURCE_LIMIT], 2 * (round + 1));
		fixture_pass(&b, 302 * NS_PER_S);
		assert_int_equal(conntrack_n_connections(b.ct), 0);
	}
	assert_int_equal(b.ct->sources.pool.n_used, 0);
	fixture_stop(&b);
}

/* Would catch: connections that are counted with a crowd, and that nobody counts as such; any other that is. */
static void test_crowded(void **state)
{
	struct ct_config cfg = { .max_per_source = 3, .outside = 1u << WAN };
	uint32_t n_crowded = 0;
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 64 });
	conntrack_configure(b.ct, &cfg);
	for (uint32_t i = 0; i < 60; i++) {
		struct packet_spec m = turned(udp_make(10, 53));
		struct seen s;

		m.src = IP4(172, 16, 0, 1) + (i << 8);
		s = fixture_forward(&b, &m);
		if (s.passed)
			n_crowded += ct_source_is_crowded(b.ct->side[conn_index(s.conn_ref)].source);
	}
	assert_true(n_crowded > 0);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_SOURCE_CROWDED], n_crowded);
	fixture_stop(&b);
}

/* Would catch: a connection that never came to be (a rule dropped its packet) and counts for its source for ever, or is
 * taken off twice. */
static void test_per_source_discarded(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .max_per_source = 3 };
	struct packet_spec stays = udp_make(9, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_configure(b.ct, &cfg);
	assert_true(fixture_forward(&b, &stays).passed);
	for (uint16_t i = 0; i < 8; i++) {
		struct packet_spec m = udp_make((uint16_t)(10 + i), 53);
		struct batch batch = { .n = 0 };

		batch_add(&batch, fixture_packet(&b, &m));
		fixture_in(&b, HOOK_PREROUTING, &batch);
		assert_int_equal(batch.n, 1);
		packet_set_drop(batch.p[0], DROP_RULE_DROP);
		batch_settle(&batch, b.env.pool, &b.env.ledger);
		assert_int_equal(batch.n, 0);
	}
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	/* one is there, so two more */
	for (uint16_t i = 0; i < 4; i++) {
		struct packet_spec m = udp_make((uint16_t)(100 + i), 53);

		assert_int_equal(fixture_forward(&b, &m).passed, i < 2);
	}
	fixture_stop(&b);
}

/* Would catch: the same of a connection that found no room. */
static void test_per_source_no_room(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .max_per_source = 2 };
	uint32_t cursor = 0, index;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 2 });
	conntrack_configure(b.ct, &cfg);
	for (uint16_t i = 0; i < 2; i++) {
		struct packet_spec m = udp_make((uint16_t)(10 + i), 53), back;

		m.src = CLIENT + 1;
		back = turned(m);
		fixture_forward(&b, &m);
		fixture_forward(&b, &back);
		fixture_pass(&b, 3 * NS_PER_S);
		fixture_forward(&b, &back);
	}
	for (uint16_t i = 0; i < 5; i++) {
		struct packet_spec m = udp_make((uint16_t)(20 + i), 53);

		assert_false(fixture_forward(&b, &m).passed);
		assert_int_equal(b.env.ledger.n_dropped[DROP_CT_TABLE_FULL], i + 1);
	}
	while (conntrack_next(b.ct, &cursor, &index))
		conntrack_end(b.ct, index, CT_END_FLUSHED);
	for (uint16_t i = 0; i < 2; i++) {
		struct packet_spec m = udp_make((uint16_t)(30 + i), 53);

		assert_true(fixture_forward(&b, &m).passed);
	}
	fixture_stop(&b);
}

/* Would catch: a rate that refuses too early or never, and a source that never gets on again. */
static void test_rate_per_source(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .new_per_source_s = 4 };
	uint16_t port = 10;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_configure(b.ct, &cfg);
	for (int i = 0; i < 6; i++) {
		struct packet_spec m = udp_make(port++, 53);

		assert_int_equal(fixture_forward(&b, &m).passed, i < 4);
	}
	assert_int_equal(b.env.ledger.n_dropped[DROP_CT_SOURCE_RATE], 2);
	/* a quarter of a second is worth one connection, ten seconds no more than a burst */
	for (int i = 0; i < 3; i++) {
		struct packet_spec m = udp_make(port++, 53), again = udp_make(port++, 53);

		fixture_pass(&b, NS_PER_S / 4);
		assert_true(fixture_forward(&b, &m).passed);
		assert_false(fixture_forward(&b, &again).passed);
	}
	fixture_pass(&b, 10 * NS_PER_S);
	for (int i = 0; i < 6; i++) {
		struct packet_spec m = udp_make(port++, 53), old = udp_make(10, 53);

		assert_int_equal(fixture_forward(&b, &m).passed, i < 4);
		assert_true(fixture_forward(&b, &old).passed); /* what is there goes on */
	}
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_evicted_in_batch),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_unclaimed),
		cmocka_unit_test(test_per_source),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_per_source_discarded),
		cmocka_unit_test(test_per_source_no_room),
		cmocka_unit_test(test_rate_per_source),
		cmocka_unit_test(test_doubtful),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
