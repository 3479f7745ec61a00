/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pools: full ones, shared ports, endpoint-independent mappings and their
 * filters, hairpins, options, and what a new config leaves.
 */
#include "gateway/nat/nat_fixture.h"
#include "gateway/nat/source.h"

static struct nat_config cfg;

static struct nat_pool_config *pool_start(struct nat_fixture *nb, uint32_t n_connections)
{
	nat_fixture_start(nb, n_connections);
	memset(&cfg, 0, sizeof(cfg));
	cfg.n_pools = 1;
	strcpy(cfg.pool[0].name, "public");
	cfg.pool[0].n_ranges = 1;
	cfg.pool[0].range[0] = (struct nat_address_range){ POOL_ADDR, POOL_ADDR };
	cfg.pool[0].ports = (struct port_range){ 1024, 65535 };
	nb->snat = (struct nat_action){ .kind = NAT_ACTION_POOL, .pool = 0 };
	return &cfg.pool[0];
}

static struct packet_spec flow(uint32_t i, uint32_t dst, uint16_t dport)
{
	struct packet_spec m = out_make(IPPROTO_NR_UDP, (uint16_t)(1 + i % 60000), dport);

	m.src = CLIENT + i / 60000;
	m.dst = dst;
	m.payload_len = 4;
	return m;
}

/* Would catch: a port that cannot be had, one that is given twice towards one destination, a refusal too early, too
 * late or without a word; other destinations that suffer from it. */
static void test_exhaustion(void **state)
{
	struct nat_fixture nb;
	static uint8_t given[2][65536];
	struct nat_pool_info info;
	uint32_t cursor = 0;

	(void)state;
	memset(given, 0, sizeof(given));
	pool_start(&nb, 140000);
	nat_configure(nb.nat, &cfg);
	for (uint32_t dst = 0; dst < 2; dst++) {
		for (uint32_t i = 0; i < 64512; i++) {
			struct packet_spec m = flow(i, SERVER + dst, 53);
			struct came c = nat_send(&nb, &m);
			assert_true(c.passed);
			assert_int_equal(c.ip.src, POOL_ADDR);
			assert_int_equal(given[dst][c.l4.sport]++, 0);
		}
		for (uint32_t i = 0; i < 3; i++) {
			struct packet_spec m = flow(64512 + i, SERVER + dst, 53);
			assert_false(nat_send(&nb, &m).passed);
		}
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_EXHAUSTED], 3 * (dst + 1));
		assert_int_equal(nb.n_refusals, 3 * (dst + 1));
		/* One event a second. */
		assert_int_equal(nb.b.n_events[EVENT_NAT_EXHAUSTED], dst + 1);
		fixture_pass(&nb.b, 2 * NS_PER_S);
	}
	/* One goes, and exactly its place is there again. */
	struct packet_spec gone = flow(777, SERVER + 1, 53), next = flow(64599, SERVER + 1, 53);
	struct tuple t = {
		.src = gone.src, .dst = gone.dst, .sport = gone.sport, .dport = 53, .proto = IPPROTO_NR_UDP
	};
	uint32_t index = conn_index(conntrack_find(nb.b.ct, &t));
	uint16_t port = conntrack_conn(nb.b.ct, index)->half[CT_REPLY].tuple.dport;
	conntrack_end(nb.b.ct, index, CT_END_FLUSHED);
	fixture_pass(&nb.b, 0);
	struct came c = nat_send(&nb, &next);
	assert_true(c.passed);
	assert_int_equal(c.l4.sport, port);
	/* The other protocols have all of theirs. */
	struct packet_spec tcp = out_make(IPPROTO_NR_TCP, 1, 80);
	assert_true(nat_send(&nb, &tcp).passed);
	assert_true(nat_pool_next(nb.nat, &cursor, &info));
	assert_string_equal(info.name, "public");
	assert_int_equal(info.n_ports, 64512);
	assert_int_equal(info.n_used_udp, 64512);
	assert_int_equal(info.n_used_tcp, 1);
	assert_int_equal(info.n_refused, 6);
	nat_fixture_stop(&nb);
}

/* Would catch: a full destination that refuses while ports are free, once its map is filled: ports come and go. */
static void test_busy_destination(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 4000);
	uint32_t n_passed = 0;

	(void)state;
	pool->ports = (struct port_range){ 2000, 2999 };
	nat_configure(nb.nat, &cfg);
	/* 500 towards another destination hold the first ports; then this one fills up. */
	for (uint32_t i = 0; i < 500; i++) {
		struct packet_spec m = flow(i, SERVER + 9, 53);
		assert_true(nat_send(&nb, &m).passed);
	}
	for (uint32_t i = 0; i < 1030; i++) {
		struct packet_spec m = flow(i, SERVER, 53);
		n_passed += nat_send(&nb, &m).passed;
	}
	assert_int_equal(n_passed, 1000);
	for (int round = 0; round < 300; round++) {
		uint32_t cursor = rng_below(&nb.b.env.rng, 1400), index;
		if (!conntrack_next(nb.b.ct, &cursor, &index))
			continue;
		bool ours = conntrack_conn(nb.b.ct, index)->half[CT_ORIGINAL].tuple.dst == SERVER;
		conntrack_end(nb.b.ct, index, CT_END_FLUSHED);
		fixture_pass(&nb.b, 0);
		struct packet_spec m = flow(2000 + (uint32_t)round, SERVER, 53);
		assert_int_equal(nat_send(&nb, &m).passed, ours);
	}
	nat_fixture_stop(&nb);
}

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
		struct nat_pool_config *pool = pool_start(&nb, 100);
		pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
		pool->filtering = rows[i].filtering;
		nat_configure(nb.nat, &cfg);
		struct packet_spec m = flow(10, SERVER, 53), other = flow(10, SERVER + 1, 99),
				   third = flow(11, SERVER, 53);
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
	struct nat_pool_config *pool = pool_start(&nb, 100);

	(void)state;
	pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	pool->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	struct packet_spec a = flow(10, SERVER, 53), b = flow(20, SERVER, 53);
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
		struct nat_pool_config *pool = pool_start(&nb, 300);

		pool->ports = (struct port_range){ 2000, 2149 };
		pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
		pool->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
		nat_configure(nb.nat, &cfg);
		for (uint32_t i = 0; i < 50; i++) {
			struct packet_spec out = flow(i, SERVER, 53), b = flow(i, SERVER, 53);
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

/* Would catch: an option that is not heeded. */
static void test_options(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 1000);

	(void)state;
	pool->range[0].last = POOL_ADDR + 3;
	pool->preserve_port = 1;
	nat_configure(nb.nat, &cfg);
	struct packet_spec m = flow(4999, SERVER, 53);
	assert_int_equal(nat_send(&nb, &m).l4.sport, 5000);
	/* Never a port outside the pool's. */
	m = flow(99, SERVER, 53);
	assert_true(nat_send(&nb, &m).l4.sport >= 1024);

	pool->preserve_port = 0;
	pool->preserve_parity = 1;
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 200; i < 240; i++) {
		m = flow(i, SERVER, 53);
		assert_int_equal(nat_send(&nb, &m).l4.sport & 1, m.sport & 1);
	}
	/* One client, one address, as long as it has room. */
	uint32_t addr = 0, n_addresses = 0;
	for (uint32_t i = 300; i < 340; i++) {
		m = flow(i, SERVER + i, 53);
		struct came c = nat_send(&nb, &m);
		assert_true(addr == 0 || c.ip.src == addr);
		addr = c.ip.src;
	}
	for (uint32_t i = 0; i < 40; i++) {
		m = flow(1, SERVER, 53);
		m.src = CLIENT + 100 + i;
		n_addresses |= 1u << (nat_send(&nb, &m).ip.src - POOL_ADDR);
	}
	assert_int_equal(n_addresses, 0xf);
	nat_fixture_stop(&nb);
}

/* Would catch: a full address that is the end although the pool has another; a pair that is torn apart. */
static void test_spill(void **state)
{
	(void)state;
	for (uint8_t paired = 0; paired < 2; paired++) {
		struct nat_fixture nb;
		struct nat_pool_config *pool = pool_start(&nb, 1000);
		uint32_t n_passed = 0;

		pool->range[0].last = POOL_ADDR + 2;
		pool->ports = (struct port_range){ 2000, 2009 };
		pool->paired = paired;
		nat_configure(nb.nat, &cfg);
		for (uint32_t i = 0; i < 40; i++) {
			struct packet_spec m = flow(i, SERVER, 53);
			n_passed += nat_send(&nb, &m).passed;
		}
		assert_int_equal(n_passed, paired ? 10 : 30);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: a prefix of which more or less than its bits is replaced, a port that changes without need. */
static void test_prefix(void **state)
{
	struct nat_fixture nb;

	(void)state;
	nat_fixture_start(&nb, 100);
	nb.snat = (struct nat_action){ .kind = NAT_ACTION_PREFIX,
				       .prefix_len = 24,
				       .range = { IP4(192, 0, 2, 0), IP4(192, 0, 2, 0) } };
	struct packet_spec m = out_make(IPPROTO_NR_TCP, 4000, 80);
	m.src = IP4(10, 0, 0, 77);
	struct came c = nat_send(&nb, &m);
	assert_int_equal(c.ip.src, IP4(192, 0, 2, 77));
	assert_int_equal(c.l4.sport, 4000);
	/* Another client on the same outside tuple is given another port. */
	m.src = IP4(10, 0, 1, 77);
	c = nat_send(&nb, &m);
	assert_int_equal(c.ip.src, IP4(192, 0, 2, 77));
	assert_int_not_equal(c.l4.sport, 4000);
	/* A protocol without ports. */
	m = out_make(99, 0, 0);
	c = nat_send(&nb, &m);
	assert_int_equal(c.ip.src, IP4(192, 0, 2, 2));
	nat_fixture_stop(&nb);
}

/* Would catch: explicit ports that are not kept to. */
static void test_rule_ports(void **state)
{
	struct nat_fixture nb;
	uint32_t n_passed = 0;

	(void)state;
	nat_fixture_start(&nb, 100);
	nb.snat = (struct nat_action){ .kind = NAT_ACTION_RANGE,
				       .flags = NAT_FLAG_ADDRESS | NAT_FLAG_PORT,
				       .range = { POOL_ADDR, POOL_ADDR },
				       .ports = { 500, 504 } };
	for (uint32_t i = 0; i < 10; i++) {
		struct packet_spec m = flow(i, SERVER, 53);
		struct came c = nat_send(&nb, &m);
		n_passed += c.passed;
		if (c.passed)
			assert_in_range(c.l4.sport, 500, 504);
	}
	assert_int_equal(n_passed, 5);
	/* dnat to a range of ports stays within it. */
	nb.dnat.ports = (struct port_range){ 81, 83 };
	uint32_t seen = 0;
	for (uint16_t i = 0; i < 40; i++) {
		struct packet_spec m = { .in = WAN,
					 .src = SERVER,
					 .dst = WAN_ADDR,
					 .proto = IPPROTO_NR_UDP,
					 .sport = (uint16_t)(100 + i),
					 .dport = 8080,
					 .payload_len = 5 };
		struct came c = nat_send(&nb, &m);
		assert_in_range(c.l4.dport, 81, 83);
		seen |= 1u << (c.l4.dport - 81);
	}
	assert_int_equal(seen, 7);
	nat_fixture_stop(&nb);
}

/* Would catch: a connection that keeps a translation which the config no longer has, or loses one that it still has. */
static void test_reload(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 1000);

	(void)state;
	pool->range[0].last = POOL_ADDR + 1;
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 0; i < 100; i++) {
		struct packet_spec m = flow(1, SERVER, 53);
		m.src = CLIENT + i;
		assert_true(nat_send(&nb, &m).passed);
	}
	nat_configure(nb.nat, &cfg);
	nat_expire(nb.nat);
	assert_int_equal(conntrack_n_connections(nb.b.ct), 100);
	pool->range[0].last = POOL_ADDR;
	nat_configure(nb.nat, &cfg);
	assert_int_equal(nat_next_deadline(nb.nat), nb.b.env.now);
	nat_expire(nb.nat);
	assert_int_equal(nat_next_deadline(nb.nat), TIME_NEVER);
	uint32_t n = conntrack_n_connections(nb.b.ct), cursor = 0, index;
	assert_true(n > 20 && n < 80);
	while (conntrack_next(nb.b.ct, &cursor, &index))
		assert_int_equal(conntrack_conn(nb.b.ct, index)->half[CT_REPLY].tuple.dst, POOL_ADDR);
	assert_int_equal(nb.b.n_events[EVENT_CONN_END], 100 - n);
	assert_int_equal(nb.b.last.reason, CT_END_CONFIG);
	/* Masquerade goes with its interface's address. */
	nb.snat.kind = NAT_ACTION_MASQUERADE;
	struct packet_spec m = flow(500, SERVER, 53);
	assert_true(nat_send(&nb, &m).passed);
	nb.ip.interface[WAN].address[0].addr = WAN_ADDR + 1;
	nat_configure(nb.nat, &cfg);
	nat_expire(nb.nat);
	assert_int_equal(conntrack_n_connections(nb.b.ct), n);
	nat_fixture_stop(&nb);
}

/* `snat to A` becomes `snat to B`: nobody answers for A any more, so its connections end; where A is a pool's or an
 * interface's, or another rule gives it, they stay. Would catch: connections left on an address whose answers no longer
 * find us; ones that end although it is still ours; a prefix that is forgotten, since it holds no port. */
static void test_rule_address_left(void **state)
{
	static const uint32_t a = IP4(203, 0, 113, 99);
	const struct nat_address_range rest[] = { { a + 1, a + 5 }, { a + 10, a + 10 } }, both[] = { { a - 3, a + 5 } };
	static const struct {
		uint8_t kind;
		enum { GONE, OTHER_RULE, POOL, INTERFACE } still;
	} rows[] = {
		{ NAT_ACTION_RANGE, GONE },      { NAT_ACTION_RANGE, OTHER_RULE }, { NAT_ACTION_RANGE, POOL },
		{ NAT_ACTION_RANGE, INTERFACE }, { NAT_ACTION_PREFIX, GONE },      { NAT_ACTION_PREFIX, OTHER_RULE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nat_fixture nb;
		struct nat_pool_config *pool = pool_start(&nb, 100);
		struct packet_spec m = flow(1, SERVER, 53), port_only = flow(2, SERVER, 53);

		nb.snat = (struct nat_action){
			.kind = rows[i].kind, .flags = NAT_FLAG_ADDRESS, .prefix_len = 32, .range = { a, a }
		};
		cfg.source = both;
		cfg.n_sources = 1;
		nat_configure(nb.nat, &cfg);
		assert_int_equal(nat_send(&nb, &m).ip.src, a);
		/* `snat to :2000` leaves the address as it is. */
		nb.snat = (struct nat_action){ .kind = NAT_ACTION_RANGE,
					       .flags = NAT_FLAG_PORT,
					       .ports = { 2000, 2000 } };
		assert_int_equal(nat_send(&nb, &port_only).l4.sport, 2000);
		nat_configure(nb.nat, &cfg);
		nat_expire(nb.nat);
		assert_int_equal(conntrack_n_connections(nb.b.ct), 2);

		cfg.source = rows[i].still == OTHER_RULE ? both : rest;
		cfg.n_sources = rows[i].still == OTHER_RULE ? ARRAY_LEN(both) : ARRAY_LEN(rest);
		if (rows[i].still == POOL)
			pool->range[0] = (struct nat_address_range){ a, a };
		if (rows[i].still == INTERFACE)
			nb.ip.interface[WAN].address[0].addr = a;
		nat_configure(nb.nat, &cfg);
		nat_expire(nb.nat);
		assert_int_equal(conntrack_n_connections(nb.b.ct), rows[i].still == GONE ? 1 : 2);
		assert_int_equal(nb.b.n_events[EVENT_CONN_END], rows[i].still == GONE);
		if (rows[i].still == GONE)
			assert_int_equal(nb.b.last.reason, CT_END_CONFIG);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: ports of one protocol that are shown as another's, or not at all. */
static void test_used_by_protocol(void **state)
{
	static const uint8_t protos[] = { IPPROTO_NR_TCP,  IPPROTO_NR_UDP,  IPPROTO_NR_UDP,
					  IPPROTO_NR_ICMP, IPPROTO_NR_ICMP, IPPROTO_NR_ICMP };
	struct nat_pool_info info;
	struct nat_fixture nb;
	uint32_t cursor = 0;

	(void)state;
	pool_start(&nb, 100);
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct packet_spec m = out_make(protos[i], (uint16_t)(4000 + i), 80);

		if (protos[i] == IPPROTO_NR_ICMP)
			m.dport = ICMP_ECHO_REQUEST << 8;
		assert_true(nat_send(&nb, &m).passed);
	}
	assert_true(nat_pool_next(nb.nat, &cursor, &info));
	assert_int_equal(info.n_used_tcp, 1);
	assert_int_equal(info.n_used_udp, 2);
	assert_int_equal(info.n_used_icmp, 3);
	assert_int_equal(info.n_used_other, 0);
	nat_fixture_stop(&nb);
}

/* Many endpoint-independent mappings that end in another order than they began. Would catch: one that is lost out of
 * its buckets when another ends, or still found when it has ended. */
static void test_mappings_come_and_go(void **state)
{
	enum { N = 300 };
	struct nat_fixture nb;
	static uint16_t port[N];

	(void)state;
	pool_start(&nb, 2 * N)->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 0; i < N; i++) {
		struct packet_spec m = flow(i, SERVER, 53);

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
		if (i + 1 == N)
			break;
		/* One that is there still has its port towards anybody, and the way in by it. */
		struct packet_spec m = flow(last, SERVER + 1, 99);
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

/* Would catch: a held-down port that is given out, alone or shared; one that is held down for ever; a hold that is
 * never given back. */
static void test_hold_down(void **state)
{
	struct nat_fixture nb;

	(void)state;
	for (int mapping = 0; mapping < 2; mapping++) {
		struct nat_pool_config *pool = pool_start(&nb, 100);
		pool->ports = (struct port_range){ 2000, 2003 };
		pool->hold_down_s = 120;
		pool->mapping = (uint8_t)mapping;
		nat_configure(nb.nat, &cfg);
		for (uint32_t i = 0; i < 3; i++) {
			struct packet_spec m = flow(i, SERVER, 53);
			assert_true(nat_send(&nb, &m).passed);
		}
		fixture_pass(&nb.b, 310 * NS_PER_S);
		assert_int_equal(conntrack_n_connections(nb.b.ct), 0);
		/* One port was never used; the other three are held down, towards any destination. */
		nat_expire(nb.nat);
		uint64_t until = nat_next_deadline(nb.nat);
		for (uint32_t i = 0; i < 4; i++) {
			struct packet_spec m = flow(10 + i, SERVER + i, 53);
			/* Ports are shared between destinations where mappings depend on them. */
			assert_int_equal(nat_send(&nb, &m).passed, i == 0 || mapping == NAT_MAP_ADDRESS_PORT_DEPENDENT);
		}
		assert_true(until > nb.b.env.now && until <= nb.b.env.now + 120 * NS_PER_S);
		fixture_pass(&nb.b, until - nb.b.env.now);
		nat_expire(nb.nat);
		for (uint32_t i = 0; i < 3; i++) {
			struct packet_spec m = flow(20 + i, SERVER + 9, 53);
			assert_true(nat_send(&nb, &m).passed);
		}
		uint32_t cursor = 0, index;
		while (conntrack_next(nb.b.ct, &cursor, &index))
			conntrack_end(nb.b.ct, index, CT_END_FLUSHED);
		nb.b.env.now += 121 * NS_PER_S;
		nat_expire(nb.nat);
		assert_int_equal(nat_next_deadline(nb.nat), TIME_NEVER);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: a full queue of ports held down that runs over, holds back ports without a bound, or lets another than
 * its head go. */
static void test_full_hold_down(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 8);
	uint32_t cap = nb.nat->hold_downs.cap, first = 0, second = 0;

	(void)state;
	assert_in_range(cap, 2, 60000);
	pool->ports = (struct port_range){ 2000, (uint16_t)(2000 + cap) };
	pool->hold_down_s = 120;
	pool->mapping = NAT_MAP_ADDRESS_PORT_DEPENDENT;
	nat_configure(nb.nat, &cfg);
	/* One port more than the queue holds, and each is used once; then what went first goes first. */
	for (uint32_t i = 0; i < cap + 3; i++) {
		struct packet_spec m = flow(i, SERVER, 53);
		struct came c = nat_send(&nb, &m);
		uint32_t cursor = 0, index;

		assert_true(c.passed);
		first = i == 0 ? c.l4.sport : first;
		second = i == 1 ? c.l4.sport : second;
		if (i == cap + 1)
			assert_int_equal(c.l4.sport, first);
		if (i == cap + 2)
			assert_int_equal(c.l4.sport, second);
		while (conntrack_next(nb.b.ct, &cursor, &index))
			conntrack_end(nb.b.ct, index, CT_END_FLUSHED);
		assert_int_equal(nb.nat->hold_downs.n, min_u32(i + 1, cap));
	}
	nb.b.env.now += 121 * NS_PER_S;
	nat_expire(nb.nat);
	nat_fixture_stop(&nb);
}

/* Would catch: a way round the addresses of a pool that leaves one out, or goes on behind the last. */
static void test_round(void **state)
{
	(void)state;
	for (uint64_t n = 1; n < 5; n++) {
		for (uint64_t start = 0; start < n; start++) {
			uint64_t seen = 0;

			for (uint64_t i = 0; i < n; i++) {
				assert_in_range(nat_later_address(start, i, n), 0, n - 1);
				seen |= UINT64_C(1) << nat_later_address(start, i, n);
			}
			assert_int_equal(seen, (UINT64_C(1) << n) - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_busy_destination),
		cmocka_unit_test(test_endpoint_independent),
		cmocka_unit_test(test_hairpin),
		cmocka_unit_test(test_entered_and_translated),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_spill),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_rule_ports),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_rule_address_left),
		cmocka_unit_test(test_hold_down),
		cmocka_unit_test(test_used_by_protocol),
		cmocka_unit_test(test_mappings_come_and_go),
		cmocka_unit_test(test_full_hold_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
