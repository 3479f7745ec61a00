/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Endpoint-independent mappings: their filters, hairpins, connections that hold two,
 * and mappings that come and go.
 */
#include "gateway/nat/nat_fixture.h"

static struct nat_config cfg;

/* Would catch: a mapping that depends on the destination, a filter that lets in too much or too little. */
static void test_endpoint_independent(void **state)
{
	static const struct {
		uint8_t filtering;
		bool same_host, other_host;
	} rows[] = {
		{ NAT_FILTER_ENDPOINT_INDEPENDENT, true, true },
		{ NAT_FILTER_ADDRESS_DEPENDENT, true, false },
		{ NAT_FILTER_ADDRESS_PORT_DEPENDENT, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nat_fixture nb;
		struct nat_pool_config *pool = nat_fixture_start_pool(&nb, 100, &cfg);
		pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
		pool->filtering = rows[i].filtering;
		nat_configure(nb.nat, &cfg);
		struct packet_spec m = out_flow(10, SERVER, 53), other = out_flow(10, SERVER + 1, 99),
				   third = out_flow(11, SERVER, 53);
		struct came c = nat_send(&nb, &m), c2 = nat_send(&nb, &other), c3 = nat_send(&nb, &third);
		assert_int_equal(c.l4.sport, c2.l4.sport);
		assert_int_not_equal(c.l4.sport, c3.l4.sport);
		assert_int_equal(nb.nat->mappings.pool.n_used, 2);
		/* From the same host, another port; and from a host that nobody has spoken to. */
		for (uint32_t k = 0; k < 2; k++) {
			struct packet_spec in = answer_to(&c, &m);
			in.sport = 5555;
			in.src = k == 0 ? SERVER : SERVER + 77;
			struct came r = nat_send(&nb, &in);
			bool let_in = r.passed && r.out == LAN;
			assert_int_equal(let_in, k == 0 ? rows[i].same_host : rows[i].other_host);
			if (!let_in)
				continue;
			assert_int_equal(r.ip.dst, CLIENT);
			assert_int_equal(r.l4.dport, 11);
			struct packet_spec back = answer_to(&r, &in);
			struct came o = nat_send(&nb, &back);
			assert_int_equal(o.ip.src, POOL_ADDR);
			assert_int_equal(o.l4.sport, c.l4.sport);
		}
		nat_fixture_stop(&nb);
	}
}

/* Would catch: two clients behind us that cannot reach each other by their outside addresses, or see an inside one. */
static void test_hairpin(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = nat_fixture_start_pool(&nb, 100, &cfg);

	(void)state;
	pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	pool->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	struct packet_spec a = out_flow(10, SERVER, 53), b = out_flow(20, SERVER, 53);
	b.src = CLIENT + 1;
	struct came ca = nat_send(&nb, &a), cb = nat_send(&nb, &b);
	struct packet_spec to_b = a;
	to_b.dst = cb.ip.src;
	to_b.dport = cb.l4.sport;
	struct came r = nat_send(&nb, &to_b);
	assert_true(r.passed);
	assert_int_equal(r.out, LAN);
	assert_int_equal(r.ip.dst, CLIENT + 1);
	assert_int_equal(r.l4.dport, 21);
	assert_int_equal(r.ip.src, ca.ip.src);
	assert_int_equal(r.l4.sport, ca.l4.sport);
	struct packet_spec back = answer_to(&r, &to_b);
	struct came o = nat_send(&nb, &back);
	assert_int_equal(o.ip.src, cb.ip.src);
	assert_int_equal(o.l4.sport, cb.l4.sport);
	assert_int_equal(o.ip.dst, CLIENT);
	assert_int_equal(o.l4.dport, 11);
	nat_fixture_stop(&nb);
}

/* A connection that comes in by a mapping and whose source is translated as well, in each way that a source can be: by
 * masquerade towards the inside, or as a hairpin from a pool that has changed its kind since. It holds two things then.
 * Would catch: one of them overwritten by the other: a mapping that never ends, a port that never comes back. */
static void test_entered_and_translated(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		struct nat_fixture nb;
		struct nat_pool_config *pool = nat_fixture_start_pool(&nb, 300, &cfg);

		pool->ports = (struct port_range){ 2000, 2149 };
		pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
		pool->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
		nat_configure(nb.nat, &cfg);
		for (uint32_t i = 0; i < 50; i++) {
			struct packet_spec out = out_flow(i, SERVER, 53), b = out_flow(i, SERVER, 53);
			struct came c = nat_send(&nb, &out);
			struct packet_spec in = answer_to(&c, &out);

			assert_true(c.passed);
			if (way == 0) {
				nb.snat_in = (struct nat_action){ .kind = NAT_ACTION_MASQUERADE };
				in.src = SERVER + 77;
				in.sport = 777;
			} else {
				/* From another host inside, which has a mapping of its own before. */
				b.src = CLIENT + 1;
				assert_true(nat_send(&nb, &b).passed);
				pool->mapping =
					way == 1 ? NAT_MAP_ENDPOINT_INDEPENDENT : NAT_MAP_ADDRESS_PORT_DEPENDENT;
				nat_configure(nb.nat, &cfg);
				in = b;
				in.dst = c.ip.src;
				in.dport = c.l4.sport;
			}
			struct came r = nat_send(&nb, &in);
			assert_true(r.passed);
			assert_int_equal(r.out, LAN);
			assert_int_equal(r.ip.dst, CLIENT);
			assert_int_equal(r.ip.src, way == 0 ? LAN_ADDR : POOL_ADDR);
			struct packet_spec back = answer_to(&r, &in);
			assert_int_equal(nat_send(&nb, &back).ip.src, POOL_ADDR);
			assert_int_equal(nat_law_difference(nb.nat), 0);
			pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
			nat_configure(nb.nat, &cfg);
		}
		assert_int_equal(nb.nat->mappings.pairs.n_used, 50);
		nat_fixture_stop(&nb);
	}
}

static void count_mapping(void *ctx, const struct tuple *inside)
{
	assert_int_equal(inside->proto, IPPROTO_NR_UDP);
	(*(uint32_t *)ctx)++;
}

/* Many endpoint-independent mappings that end in another order than they began. Would catch: one that is lost out of
 * its buckets when another ends, or still found or listed when it has ended. */
static void test_mappings_come_and_go(void **state)
{
	enum { N = 300 };
	struct nat_fixture nb;
	static uint16_t port[N];

	(void)state;
	nat_fixture_start_pool(&nb, 2 * N, &cfg)->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 0; i < N; i++) {
		struct packet_spec m = out_flow(i, SERVER, 53);

		port[i] = nat_send(&nb, &m).l4.sport;
		assert_int_not_equal(port[i], 0);
	}
	for (uint32_t i = 0; i < N; i++) {
		uint32_t k = i * 77 % N, last = (i + 1) * 77 % N;
		struct tuple t = {
			.src = SERVER, .dst = POOL_ADDR, .sport = 53, .dport = port[k], .proto = IPPROTO_NR_UDP
		};

		conntrack_end(nb.b.ct, conn_index(conntrack_find(nb.b.ct, &t)), CT_END_FLUSHED);
		fixture_pass(&nb.b, 0);
		assert_int_equal(nb.nat->mappings.pool.n_used, N - 1 - i);
		uint32_t n_listed = 0;
		nat_each_mapping(nb.nat, count_mapping, &n_listed);
		assert_int_equal(n_listed, N - 1 - i);
		if (i + 1 == N)
			break;
		/* One that is there still has its port towards anybody, and the way in by it. */
		struct packet_spec m = out_flow(last, SERVER + 1, 99);
		struct came c = nat_send(&nb, &m);
		assert_int_equal(c.l4.sport, port[last]);
		struct packet_spec back = answer_to(&c, &m);
		assert_true(nat_send(&nb, &back).passed);
		t = (struct tuple){
			.src = SERVER + 1, .dst = POOL_ADDR, .sport = 99, .dport = port[last], .proto = IPPROTO_NR_UDP
		};
		conntrack_end(nb.b.ct, conn_index(conntrack_find(nb.b.ct, &t)), CT_END_FLUSHED);
		fixture_pass(&nb.b, 0);
	}
	nat_fixture_stop(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoint_independent),
		cmocka_unit_test(test_hairpin),
		cmocka_unit_test(test_entered_and_translated),
		cmocka_unit_test(test_mappings_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
