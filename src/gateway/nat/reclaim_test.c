/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of connections that nobody needs any more: who makes room for a new one,
 * who never does, and in which order.
 */
#include "gateway/nat/nat_fixture.h"
#include "gateway/nat/overload.h"

static struct nat_config cfg;

static struct nat_pool_config *pool_start(struct nat_fixture *nb, uint32_t n_ports, uint32_t n_connections)
{
	struct nat_pool_config *pool = nat_fixture_start_pool(nb, n_connections, &cfg);

	pool->ports = (struct port_range){ 2000, (uint16_t)(2000 + n_ports - 1) };
	nat_configure(nb->nat, &cfg);
	return pool;
}

static uint64_t n_reused(const struct nat_fixture *nb)
{
	struct nat_pool_info info;
	uint32_t cursor = 0;

	assert_true(nat_pool_next(nb->nat, &cursor, &info));
	return info.n_reused;
}

static struct packet_spec query(uint32_t i)
{
	return out_make(IPPROTO_NR_UDP, (uint16_t)(5000 + i), 53);
}

#define MANY 2048u
static struct came came[MANY];

/* n queries, each answered at once. */
static void ask(struct nat_fixture *nb, uint32_t n, uint64_t between_ns)
{
	for (uint32_t i = 0; i < n; i++) {
		struct packet_spec m = query(i);

		came[i] = nat_send(nb, &m);
		assert_true(came[i].passed);
		struct packet_spec a = answer_to(&came[i], &m);

		assert_true(nat_send(nb, &a).passed);
		fixture_pass(&nb->b, between_ns);
	}
}

/* Whose port it was. */
static uint32_t asked_with(uint16_t port, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (came[i].l4.sport == port)
			return i;
	fail_msg("port %u was nobody's", port);
	return 0;
}

/* For sets of each size that is dealt with in its own way. Would catch: a refusal while answered queries hold ports;
 * the newest that goes instead of the oldest; one that became a stream, or was answered just now, that goes; a port
 * that is lost or won; an end that is not told. */
static void test_answered_queries(void **state)
{
	static const struct {
		uint32_t n_ports;
		uint64_t between_ns;
	} rows[] = {
		{ 4, 300 * NS_PER_MS }, { 12, 300 * NS_PER_MS }, { 64, 100 * NS_PER_MS }, { 1024, 10 * NS_PER_MS }
	};

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		uint32_t n = rows[r].n_ports, stream = n / 2;
		struct nat_fixture nb;

		pool_start(&nb, n, 4000);
		ask(&nb, n, rows[r].between_ns);
		/* One goes on, and is a stream from its third second on. */
		fixture_pass(&nb.b, 3 * NS_PER_S);
		struct packet_spec on = query(stream);
		assert_true(nat_send(&nb, &on).passed);
		fixture_pass(&nb.b, 5 * NS_PER_S);
		for (uint32_t i = 0; i < n; i++) {
			if (i == stream)
				continue;
			struct packet_spec more = query(n + i);
			struct came c = nat_send(&nb, &more);
			assert_true(c.passed);
			/* Those from before there was a map come first, in any order. */
			uint32_t who = asked_with(c.l4.sport, n), sorted = n <= OVERLOAD_TINY ? 0 : n / 2 + 1;

			if (i < sorted ? who >= sorted : who != i)
				fail_msg("%u ports: instead of query %u's the port of %u", n, i, who);
			assert_int_equal(nat_law_difference(nb.nat), 0);
		}
		assert_int_equal(n_reused(&nb), n - 1);
		assert_int_equal(conntrack_counts(nb.b.ct)[CT_COUNT_RECLAIMED], n - 1);
		assert_int_equal(nb.b.n_events[EVENT_CONN_END], n - 1);
		/* What is left is fresh, or a stream. */
		for (uint32_t i = 0; i < 20; i++) {
			struct packet_spec more = query(2 * n + i);
			assert_false(nat_send(&nb, &more).passed);
		}
		/* Nobody answers the others, and nothing is heard of them for two minutes. */
		fixture_pass(&nb.b, 121 * NS_PER_S);
		assert_true(nat_send(&nb, &on).passed);
		for (uint32_t i = 0; i < min_u32(n - 1, 20); i++) {
			struct came c = { 0 };

			/* The hand comes to some ports a time. */
			for (uint32_t k = 0; k <= n / 4 + 1 && !c.passed; k++) {
				struct packet_spec more = query(3 * n + i);
				c = nat_send(&nb, &more);
			}
			assert_true(c.passed);
			assert_int_not_equal(c.l4.sport, came[stream].l4.sport);
		}
		nat_fixture_stop(&nb);
	}
}

/* Would catch: an established connection that loses its port; one that was reset, or is over, that keeps it. */
static void test_tcp(void **state)
{
	struct nat_fixture nb;

	(void)state;
	pool_start(&nb, 64, 1000);
	for (uint32_t i = 0; i < 64; i++) {
		struct packet_spec m = out_make(IPPROTO_NR_TCP, (uint16_t)(5000 + i), 80);

		came[i] = nat_send(&nb, &m);
		assert_true(came[i].passed);
	}
	for (uint32_t i = 0; i < 64; i++) {
		struct packet_spec m = out_make(IPPROTO_NR_TCP, (uint16_t)(5000 + i), 80), a = answer_to(&came[i], &m);

		/* Every other one is refused by its server. */
		if (i % 2 == 1) {
			a.flags = TCP_RST | TCP_ACK;
			a.seq = 0;
			a.window = 0;
		}
		assert_true(nat_send(&nb, &a).passed);
		if (i % 2 == 1)
			continue;
		m.flags = TCP_ACK;
		m.seq++;
		m.ack = a.seq + 1;
		assert_true(nat_send(&nb, &m).passed);
	}
	fixture_pass(&nb.b, 200 * NS_PER_S);
	for (uint32_t i = 0; i < 40; i++) {
		struct packet_spec m = out_make(IPPROTO_NR_TCP, (uint16_t)(6000 + i), 80);
		struct came c = nat_send(&nb, &m);

		assert_int_equal(c.passed, i < 32);
		if (c.passed)
			assert_int_equal(c.l4.sport, came[2 * i + 1].l4.sport);
	}
	assert_int_equal(n_reused(&nb), 32);
	nat_fixture_stop(&nb);
}

/* Would catch: a query that ends right behind its answer, whose second question or repeated answer finds nobody then.
 */
static void test_answered_just_now(void **state)
{
	struct nat_fixture nb;

	(void)state;
	pool_start(&nb, 64, 1000);
	ask(&nb, 64, 0);
	struct packet_spec more = query(100);
	assert_false(nat_send(&nb, &more).passed);
	fixture_pass(&nb.b, 4 * NS_PER_S);
	assert_false(nat_send(&nb, &more).passed);
	assert_int_equal(n_reused(&nb), 0);
	fixture_pass(&nb.b, 2 * NS_PER_S);
	assert_true(nat_send(&nb, &more).passed);
	assert_int_equal(n_reused(&nb), 1);
	nat_fixture_stop(&nb);
}

/* Finished before their destination was busy. Would catch: a map that is made without a look at who is finished. */
static void test_finished_before(void **state)
{
	struct nat_fixture nb;
	uint32_t n_passed = 0;

	(void)state;
	pool_start(&nb, 64, 1000);
	for (uint32_t i = 0; i < 20; i++) {
		struct packet_spec m = query(i);
		struct came c = nat_send(&nb, &m);
		struct packet_spec a = answer_to(&c, &m);

		assert_true(nat_send(&nb, &a).passed);
	}
	fixture_pass(&nb.b, 10 * NS_PER_S);
	for (uint32_t i = 20; i < 100; i++) {
		struct packet_spec m = query(i);

		n_passed += nat_send(&nb, &m).passed;
	}
	assert_int_equal(n_passed, 64);
	assert_int_equal(n_reused(&nb), 20);
	nat_fixture_stop(&nb);
}

/* Would catch: an endpoint-independent mapping that is kept for an answered query, or taken from under a connection
 * that shares it. */
static void test_mappings(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 10, 1000);

	(void)state;
	pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	ask(&nb, 10, 100 * NS_PER_MS);
	/* The first one talks to somebody else too. */
	struct packet_spec other = query(0);
	other.dst = SERVER + 1;
	assert_int_equal(nat_send(&nb, &other).l4.sport, came[0].l4.sport);
	fixture_pass(&nb.b, 6 * NS_PER_S);
	for (uint32_t i = 0; i < 12; i++) {
		struct packet_spec m = query(100 + i);
		struct came c = nat_send(&nb, &m);

		assert_int_equal(c.passed, i < 9);
		if (c.passed)
			assert_int_equal(c.l4.sport, came[i + 1].l4.sport);
		assert_int_equal(nat_law_difference(nb.nat), 0);
	}
	assert_int_equal(n_reused(&nb), 9);
	nat_fixture_stop(&nb);
}

/* Would catch: mappings that cannot make room and stand before those that can, so that everybody is refused. */
static void test_mappings_in_the_way(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 60, 1000);
	uint32_t n_passed = 0;

	(void)state;
	pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	ask(&nb, 60, 10 * NS_PER_MS);
	for (uint32_t i = 0; i < 40; i++) {
		struct packet_spec other = query(i);

		other.dst = SERVER + 1;
		assert_true(nat_send(&nb, &other).passed);
	}
	fixture_pass(&nb.b, 6 * NS_PER_S);
	for (uint32_t i = 0; i < 30; i++) {
		struct packet_spec m = query(100 + i);

		n_passed += nat_send(&nb, &m).passed;
		assert_int_equal(nat_law_difference(nb.nat), 0);
	}
	assert_int_equal(n_passed, 20);
	assert_int_equal(n_reused(&nb), 20);
	nat_fixture_stop(&nb);
}

/* Would catch: connections that end for nothing, since their ports are held down. */
static void test_rest(void **state)
{
	(void)state;
	for (int independent = 0; independent < 2; independent++) {
		struct nat_fixture nb;
		struct nat_pool_config *pool = pool_start(&nb, 64, 1000);

		pool->hold_down_s = 120;
		pool->mapping = independent ? NAT_MAP_ENDPOINT_INDEPENDENT : NAT_MAP_ADDRESS_PORT_DEPENDENT;
		nat_configure(nb.nat, &cfg);
		ask(&nb, 64, 10 * NS_PER_MS);
		fixture_pass(&nb.b, 6 * NS_PER_S);
		struct packet_spec m = query(100);
		assert_false(nat_send(&nb, &m).passed);
		assert_int_equal(conntrack_n_connections(nb.b.ct), 64);
		/* The ports are held down behind their connections. */
		fixture_pass(&nb.b, 300 * NS_PER_S);
		fixture_pass(&nb.b, 121 * NS_PER_S);
		nat_expire(nb.nat);
		nat_fixture_stop(&nb);
	}
}

/* `timeout udp answered 3s`. Would catch: a query that lives on after its answer; one that is not a query any more, or
 * not answered, and ends with it; a second question that is not waited for. */
static void test_answered_timeout(void **state)
{
	struct nat_fixture nb;
	struct ct_config ct = { .timeout = { .udp_answered = 3 } };

	(void)state;
	pool_start(&nb, 1000, 1000);
	conntrack_configure(nb.b.ct, &ct);
	ask(&nb, 4, 0);
	struct packet_spec silent = query(10), far = out_make(IPPROTO_NR_UDP, 6000, 5353);
	assert_true(nat_send(&nb, &silent).passed);
	struct came c = nat_send(&nb, &far);
	struct packet_spec back = answer_to(&c, &far);
	assert_true(nat_send(&nb, &back).passed);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 6);
	/* One asks again, one becomes a stream. */
	fixture_pass(&nb.b, NS_PER_S);
	struct packet_spec again = query(0), on = query(1);
	assert_true(nat_send(&nb, &again).passed);
	fixture_pass(&nb.b, 1500 * NS_PER_MS);
	assert_true(nat_send(&nb, &on).passed);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 6);
	fixture_pass(&nb.b, NS_PER_S);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 4);
	fixture_pass(&nb.b, NS_PER_S);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 3);
	fixture_pass(&nb.b, 250 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 3);
	nat_fixture_stop(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answered_queries),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_finished_before),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_mappings_in_the_way),
		cmocka_unit_test(test_answered_just_now),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_answered_timeout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
