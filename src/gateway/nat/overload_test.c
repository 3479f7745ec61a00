/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports that are shared: busy destinations and their maps, for sets of every size,
 * and ports that are wished for.
 */
#include "gateway/nat/nat_fixture.h"
#include "gateway/nat/overload.h"
#include "stack/ports/port_blocks.h"

static struct nat_fixture nb;

static void start(uint32_t first, uint32_t last, uint32_t n_connections)
{
	nat_fixture_start(&nb, n_connections);
	nb.snat = (struct nat_action){ .kind = NAT_ACTION_MASQUERADE,
				       .flags = NAT_FLAG_PORT,
				       .ports = { (uint16_t)first, (uint16_t)last } };
}

static uint32_t n_sent;

/* One more connection towards a destination, from this port; its port, 0 when it was refused. */
static uint16_t one_from(uint32_t dst, uint16_t sport)
{
	struct packet_spec m = out_make(IPPROTO_NR_UDP, sport, 4000);
	m.src = CLIENT + n_sent++;
	m.dst = dst;
	m.payload_len = 4;
	struct came c = nat_send(&nb, &m);

	assert_true(!c.passed || c.l4.sport != 0);
	return c.passed ? c.l4.sport : 0;
}

static uint16_t one_more(uint32_t dst)
{
	return one_from(dst, (uint16_t)(1024 + n_sent % 60000));
}

/* The connection that has this port towards that destination ends. */
static bool end_if_there(uint32_t dst, uint16_t port)
{
	struct tuple t = { .src = dst, .dst = WAN_ADDR, .sport = 4000, .dport = port, .proto = IPPROTO_NR_UDP };
	uint32_t ref = conntrack_find(nb.b.ct, &t);

	if (ref == CONN_NONE)
		return false;
	conntrack_end(nb.b.ct, conn_index(ref), CT_END_FLUSHED);
	fixture_pass(&nb.b, 0);
	return true;
}

static void end(uint32_t dst, uint16_t port)
{
	assert_true(end_if_there(dst, port));
}

/* Sets of every class, filled towards several destinations at once, in which ports come and go at the edge. Would
 * catch: one refusal while a port is free, at any moment, also of a set as large as its map; a port that is given
 * twice; a map that is not exact while or after it is filled, or for another set of the same destination. */
static void test_exact(void **state)
{
	static const struct {
		uint32_t n_ports, n_destinations;
	} rows[] = { { 1, 50 },   { 4, 50 },  { 5, 50 },   { 9, 50 },   { 17, 30 }, { 64, 30 },
		     { 128, 10 }, { 500, 5 }, { 1024, 5 }, { 4096, 2 }, { 8192, 2 } };

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		uint32_t n = rows[r].n_ports, n_dst = rows[r].n_destinations;
		static uint8_t has[65536];

		start(3072, 3072 + n - 1, n * n_dst + 1000);
		assert_int_equal(nb.nat->overloads->n_used, 0);
		for (uint32_t d = 0; d < n_dst; d++) {
			memset(has, 0, sizeof(has));
			for (uint32_t i = 0; i < n; i++) {
				uint16_t port = one_more(SERVER + d);

				if (port == 0 || has[port]++ != 0)
					fail_msg("%u ports, destination %u: connection %u got %u", n, d, i, port);
			}
			assert_int_equal(one_more(SERVER + d), 0);
			if (d == 0)
				assert_string_equal(nb.b.last.text, "wan0");
			/* A few ports are all looked at, without a map. */
			assert_int_equal(nb.nat->overloads->n_used > 0, n > OVERLOAD_TINY);
		}
		for (uint32_t i = 0; i < 300; i++) {
			uint32_t d = rng_below(&nb.b.env.rng, n_dst), port = 3072 + rng_below(&nb.b.env.rng, n);

			end(SERVER + d, (uint16_t)port);
			assert_int_equal(one_more(SERVER + d), port);
			assert_int_equal(one_more(SERVER + d), 0);
		}
		/* A set within the other, which is full towards all and then has one place. */
		if (n >= 64) {
			nb.snat.ports = (struct port_range){ 3082, 3111 };
			assert_int_equal(one_more(SERVER), 0);
			end(SERVER, 3092);
			end(SERVER, 3122);
			assert_int_equal(one_more(SERVER), 3092);
			assert_int_equal(one_more(SERVER), 0);
			nb.snat.ports = (struct port_range){ 3072, (uint16_t)(3072 + n - 1) };
			assert_int_equal(one_more(SERVER), 3122);
		}
		nat_fixture_stop(&nb);
	}
}

/* Connections from outside to the gateway itself have the tuples, and hold no port. Would catch: a free port that is
 * missed since somebody else had it when its map was made. */
static void test_others_tuples(void **state)
{
	(void)state;
	for (uint32_t n = 4; n <= 64; n += 60) {
		start(3000, 3000 + n - 1, 1000);
		for (uint32_t port = 3000; port < 3000 + n; port++) {
			struct packet_spec m = { .in = WAN,
						 .src = SERVER,
						 .dst = WAN_ADDR,
						 .proto = IPPROTO_NR_UDP,
						 .sport = 4000,
						 .dport = (uint16_t)port,
						 .payload_len = 20 };
			assert_true(nat_send(&nb, &m).passed);
		}
		assert_int_equal(one_more(SERVER), 0);
		end(SERVER, 3003);
		uint16_t port = 0;
		/* Found again by those who would be refused, some ports a time. */
		for (uint32_t i = 0; i < n / 4 + 1 && port == 0; i++)
			port = one_more(SERVER);
		assert_int_equal(port, 3003);
		assert_int_equal(nb.nat->overloads->n_used, n > OVERLOAD_TINY);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: maps that stay when their destinations are not busy any more, and so run out; one that goes too early,
 * so that the next connection makes it again. */
static void test_maps_go(void **state)
{
	(void)state;
	start(3000, 3099, 20000);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t d = 0; d < 100; d++)
			for (uint32_t i = 0; i < 100; i++)
				assert_int_not_equal(one_more(SERVER + d), 0);
		assert_int_equal(nb.nat->overloads->n_used, 100);
		for (uint32_t d = 0; d < 100; d++) {
			for (uint16_t port = 3000; port < 3070; port++)
				end(SERVER + d, port);
			assert_true(nb.nat->overloads->n_used >= 100 - d);
			for (uint16_t port = 3070; port < 3100; port++)
				end(SERVER + d, port);
		}
		/* One that was busy, and never full. */
		for (uint32_t i = 0; i < 60; i++)
			assert_int_not_equal(one_more(SERVER + 200), 0);
		for (uint16_t port = 3000; port < 3100; port++)
			end_if_there(SERVER + 200, port);
		/* Two may share a counter. */
		assert_true(nb.nat->overloads->n_used <= 2);
	}
	nat_fixture_stop(&nb);
}

/* At the edge. Would catch: a map that goes while its destination has a quarter of the ports, or while most of them
 * are taken by others; one that stays below. */
static void test_maps_go_at(void **state)
{
	(void)state;
	start(3000, 3099, 1000);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_not_equal(one_more(SERVER), 0);
	for (uint16_t port = 3000; port < 3075; port++)
		end(SERVER, port);
	assert_int_equal(nb.nat->overloads->n_used, 1);
	end(SERVER, 3075);
	assert_int_equal(nb.nat->overloads->n_used, 0);
	nat_fixture_stop(&nb);

	start(3000, 3063, 1000);
	for (uint16_t port = 3000; port < 3030; port++) {
		struct packet_spec m = { .in = WAN,
					 .src = SERVER,
					 .dst = WAN_ADDR,
					 .proto = IPPROTO_NR_UDP,
					 .sport = 4000,
					 .dport = port,
					 .payload_len = 20 };
		assert_true(nat_send(&nb, &m).passed);
	}
	for (uint32_t i = 0; i < 34; i++)
		assert_in_range(one_more(SERVER), 3030, 3063);
	assert_int_equal(one_more(SERVER), 0);
	assert_int_equal(nb.nat->overloads->n_used, 1);
	for (uint16_t port = 3030; port < 3050; port++)
		end(SERVER, port);
	assert_int_equal(nb.nat->overloads->n_used, 1);
	nat_fixture_stop(&nb);
}

/* Most of what is free towards a destination is held down. Would catch: a refusal while one port may still be shared,
 * one that is shared although it is held down. */
static void test_held_down(void **state)
{
	static struct nat_config cfg;
	struct nat_pool_config *pool = nat_fixture_start_pool(&nb, 4000, &cfg);

	(void)state;
	pool->ports = (struct port_range){ 2048, 3071 };
	pool->mapping = NAT_MAP_ADDRESS_PORT_DEPENDENT;
	pool->hold_down_s = 120;
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 0; i < 1024; i++)
		assert_int_not_equal(one_more(SERVER), 0);
	assert_int_equal(one_more(SERVER), 0);
	/* Those that somebody else has too are not held down when they end here. */
	uint16_t shared[3];
	for (uint32_t i = 0; i < ARRAY_LEN(shared); i++)
		assert_int_not_equal(shared[i] = one_more(SERVER + 1), 0);
	uint32_t n_left = 1024;
	struct tuple t = { .src = SERVER, .dst = POOL_ADDR, .sport = 4000, .proto = IPPROTO_NR_UDP };
	for (uint32_t port = 2048; port < 3072 && n_left > 300; port++) {
		bool is_shared = port == shared[0] || port == shared[1] || port == shared[2];

		t.dport = (uint16_t)port;
		if (is_shared)
			continue;
		conntrack_end(nb.b.ct, conn_index(conntrack_find(nb.b.ct, &t)), CT_END_FLUSHED);
		n_left--;
	}
	for (uint32_t i = 0; i < ARRAY_LEN(shared); i++) {
		t.dport = shared[i];
		conntrack_end(nb.b.ct, conn_index(conntrack_find(nb.b.ct, &t)), CT_END_FLUSHED);
	}
	fixture_pass(&nb.b, 0);
	for (uint32_t i = 0; i < ARRAY_LEN(shared); i++) {
		uint16_t port = one_more(SERVER);

		assert_true(port == shared[0] || port == shared[1] || port == shared[2]);
	}
	assert_int_equal(one_more(SERVER), 0);
	fixture_pass(&nb.b, 121 * NS_PER_S);
	nat_expire(nb.nat);
	assert_int_not_equal(one_more(SERVER), 0);
	uint32_t cursor = 0, index;
	while (conntrack_next(nb.b.ct, &cursor, &index))
		conntrack_end(nb.b.ct, index, CT_END_FLUSHED);
	fixture_pass(&nb.b, 121 * NS_PER_S);
	nat_expire(nb.nat);
	nat_fixture_stop(&nb);
}

/* Would catch: a host whose port changes towards the second destination although it is free there, alone or with others
 * in its batch; one that keeps it although another host has it there; a port outside the set. */
static void test_preserve(void **state)
{
	static const uint8_t protos[] = { IPPROTO_NR_UDP, IPPROTO_NR_TCP, IPPROTO_NR_ICMP };
	static struct nat_config cfg;

	(void)state;
	for (uint32_t i = 0; i < 2 * ARRAY_LEN(protos); i++) {
		struct packet_spec m = out_make(protos[i / 2], 41641, 443);

		nat_fixture_start(&nb, 1000);
		struct nat_pool_config *pool = nat_fixture_pool(&cfg);

		pool->ports = (struct port_range){ 2000, 65000 };
		pool->preserve_port = 1;
		nat_configure(nb.nat, &cfg);
		nb.snat = i % 2 == 0 ? (struct nat_action){ .kind = NAT_ACTION_MASQUERADE, .flags = NAT_FLAG_PRESERVE }
				     : (struct nat_action){ .kind = NAT_ACTION_POOL };
		if (protos[i / 2] == IPPROTO_NR_ICMP)
			m.dport = ICMP_ECHO_REQUEST << 8;
		for (uint32_t k = 0; k < 10; k++) {
			m.dst = SERVER + k;
			struct came c = nat_send(&nb, &m);
			struct packet_spec back = answer_to(&c, &m);

			assert_true(c.passed);
			assert_int_equal(protos[i / 2] == IPPROTO_NR_ICMP ? c.l4.id : c.l4.sport, 41641);
			assert_int_equal(nat_send(&nb, &back).ip.dst, CLIENT);
		}
		/* Another host with this port: to where it is taken, and to where it is not. */
		m.src = CLIENT + 1;
		for (uint32_t k = 0; k < 20; k++) {
			m.dst = SERVER + k;
			struct came c = nat_send(&nb, &m);
			uint16_t port = protos[i / 2] == IPPROTO_NR_ICMP ? c.l4.id : c.l4.sport;

			assert_true(c.passed);
			if (k < 10)
				assert_int_not_equal(port, 41641);
			else
				assert_int_equal(port, 41641);
		}
		nat_fixture_stop(&nb);
	}
}

/* A system port goes first to a client that has one itself, another port to any other. Would catch: a client that is
 * given one of the other kind while one of its own is free, be it unused or with another destination; one that is
 * refused since there is none of its own. */
static void test_near(void **state)
{
	(void)state;
	start(1000, 1100, 1000);
	for (uint32_t i = 0; i < 12; i++)
		assert_in_range(one_from(SERVER, 1023), 1000, 1023);
	for (uint32_t i = 0; i < 12; i++)
		assert_in_range(one_from(SERVER, 1024), 1024, 1100);
	for (uint32_t i = 24; i < 101; i++)
		assert_int_not_equal(one_more(SERVER), 0);
	for (uint32_t i = 0; i < 101; i++)
		assert_int_not_equal(one_more(SERVER + 1), 0);
	for (uint16_t i = 0; i < 12; i++) {
		uint16_t sport = i % 2 == 0 ? 1023 : 1024, low = (uint16_t)(1000 + i), high = (uint16_t)(1030 + i);

		end(SERVER, low);
		end(SERVER, high);
		assert_int_equal(one_from(SERVER, sport), i % 2 == 0 ? low : high);
		assert_int_equal(one_from(SERVER, sport), i % 2 == 0 ? high : low);
	}
	nat_fixture_stop(&nb);

	/* Four are looked at one by one. */
	start(1022, 1025, 1000);
	for (uint32_t d = 0; d < 20; d++) {
		uint32_t first = d % 2 == 0 ? 1022 : 1024;

		assert_in_range(one_from(SERVER + d, d % 2 == 0 ? 1000 : 2000), first, first + 1);
		for (uint32_t i = 1; i < 4; i++)
			assert_int_not_equal(one_more(SERVER + d), 0);
		assert_int_equal(one_more(SERVER + d), 0);
	}
	nat_fixture_stop(&nb);
}

/* Two workers share the address; this one has every second block of 64 ports. Blocks come when somebody else needs them
 * and go when nobody does, and the busy destination's map is complete by then, or is still being filled. Would catch: a
 * refusal while a port of a block that came is free towards it, a port of one that went; one that is pinned and is
 * another's. */
static void test_blocks(void **state)
{
	enum { FIRST = 4096, N_OWN = 128, N_ALL = 256 };

	(void)state;
	for (uint32_t n_before = 70; n_before <= N_OWN; n_before += N_OWN - 70) {
		struct port_blocks *blocks = port_blocks_create(2, 4);
		struct ip_addr addr = ip_addr_v4(WAN_ADDR);
		struct port_set set = port_set_of((struct port_range){ FIRST, FIRST + 127 }, NULL, 0);
		struct port_request of_other = { .set = &set };

		assert_true(port_blocks_add(blocks, WAN_ADDR, 0));
		start(FIRST, FIRST + N_ALL - 1, 2000);
		nat_set_workers(nb.nat, &(struct nat_workers){ .blocks = blocks });
		for (uint32_t i = 0; i < n_before; i++)
			assert_int_not_equal(one_more(SERVER), 0);
		assert_int_equal(nb.nat->overloads->n_used, 1);
		for (uint32_t i = n_before; i < N_ALL; i++)
			assert_int_not_equal(one_more(SERVER + 1), 0);
		/* All ports are in use, and most are free towards the first. */
		for (uint32_t i = n_before; i < N_ALL; i++)
			assert_int_not_equal(one_more(SERVER), 0);
		assert_int_equal(one_more(SERVER), 0);
		/* A block that came goes, and the other worker has it. */
		for (uint32_t port = FIRST + 64; port < FIRST + 128; port++) {
			end(SERVER, (uint16_t)port);
			(void)end_if_there(SERVER + 1, (uint16_t)port);
		}
		struct ports *other = ports_create(4, &nb.b.env.rng);
		assert_non_null(other);
		ports_share(other, blocks, 1);
		uint32_t address = ports_address(other, &addr, 0);
		uint32_t taken = ports_take(other, address, PORT_PROTO_UDP, &of_other, NULL, NULL);
		assert_in_range(taken, FIRST + 64, FIRST + 127);
		end(SERVER, FIRST + 200);
		assert_int_equal(one_more(SERVER), FIRST + 200);
		assert_int_equal(one_more(SERVER), 0);
		assert_false(nat_pin(nb.nat, WAN_ADDR, 0, IPPROTO_NR_UDP, (uint16_t)taken));
		assert_true(nat_pin(nb.nat, WAN_ADDR, 0, IPPROTO_NR_UDP, FIRST));
		nat_unpin(nb.nat, WAN_ADDR, 0, IPPROTO_NR_UDP, FIRST);
		ports_destroy(other);
		nat_fixture_stop(&nb);
		port_blocks_destroy(blocks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),     cmocka_unit_test(test_others_tuples),
		cmocka_unit_test(test_maps_go),   cmocka_unit_test(test_maps_go_at),
		cmocka_unit_test(test_held_down), cmocka_unit_test(test_preserve),
		cmocka_unit_test(test_near),      cmocka_unit_test(test_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
