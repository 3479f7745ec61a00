/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pools: full ones, shared ports, options, ports held down, and what a new
 * config leaves.
 */
#include "gateway/nat/nat_fixture.h"
#include "gateway/nat/source.h"

static struct nat_config cfg;

static struct nat_pool_config *pool_start(struct nat_fixture *nb, uint32_t n_connections)
{
	return nat_fixture_start_pool(nb, n_connections, &cfg);
}

/* Would catch: a port that cannot be had, one that is given twice towards one destination, a refusal too early, too
 * late, without a word or of another address; other destinations that suffer from it. */
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
			struct packet_spec m = out_flow(i, SERVER + dst, 53);
			struct came c = nat_send(&nb, &m);
			assert_true(c.passed);
			assert_int_equal(c.ip.src, POOL_ADDR);
			assert_int_equal(given[dst][c.l4.sport]++, 0);
		}
		for (uint32_t i = 0; i < 3; i++) {
			struct packet_spec m = out_flow(64512 + i, SERVER + dst, 53);
			assert_false(nat_send(&nb, &m).passed);
		}
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_EXHAUSTED], 3 * (dst + 1));
		assert_int_equal(nb.n_refusals, 3 * (dst + 1));
		/* One event a second. */
		assert_int_equal(nb.b.n_events[EVENT_NAT_EXHAUSTED], dst + 1);
		assert_int_equal(nb.b.last.kind, EVENT_NAT_EXHAUSTED);
		assert_string_equal(nb.b.last.text, "public");
		assert_int_equal(nb.b.last.addr.v4, POOL_ADDR);
		fixture_pass(&nb.b, 2 * NS_PER_S);
	}
	/* One goes, and exactly its place is there again. */
	struct packet_spec gone = out_flow(777, SERVER + 1, 53), next = out_flow(64599, SERVER + 1, 53);
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
		struct packet_spec m = out_flow(i, SERVER + 9, 53);
		assert_true(nat_send(&nb, &m).passed);
	}
	for (uint32_t i = 0; i < 1030; i++) {
		struct packet_spec m = out_flow(i, SERVER, 53);
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
		struct packet_spec m = out_flow(2000 + (uint32_t)round, SERVER, 53);
		assert_int_equal(nat_send(&nb, &m).passed, ours);
	}
	nat_fixture_stop(&nb);
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
	struct packet_spec m = out_flow(4999, SERVER, 53);
	assert_int_equal(nat_send(&nb, &m).l4.sport, 5000);
	/* Never a port outside the pool's. */
	m = out_flow(99, SERVER, 53);
	assert_true(nat_send(&nb, &m).l4.sport >= 1024);

	pool->preserve_port = 0;
	pool->preserve_parity = 1;
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 200; i < 240; i++) {
		m = out_flow(i, SERVER, 53);
		assert_int_equal(nat_send(&nb, &m).l4.sport & 1, m.sport & 1);
	}
	/* One client, one address, as long as it has room. */
	uint32_t addr = 0, n_addresses = 0;
	for (uint32_t i = 300; i < 340; i++) {
		m = out_flow(i, SERVER + i, 53);
		struct came c = nat_send(&nb, &m);
		assert_true(addr == 0 || c.ip.src == addr);
		addr = c.ip.src;
	}
	for (uint32_t i = 0; i < 40; i++) {
		m = out_flow(1, SERVER, 53);
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
			struct packet_spec m = out_flow(i, SERVER, 53);
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
		struct packet_spec m = out_flow(i, SERVER, 53);
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
		struct packet_spec m = out_flow(1, SERVER, 53);
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
	struct packet_spec m = out_flow(500, SERVER, 53);
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
		struct packet_spec m = out_flow(1, SERVER, 53), port_only = out_flow(2, SERVER, 53);

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
			struct packet_spec m = out_flow(i, SERVER, 53);
			assert_true(nat_send(&nb, &m).passed);
		}
		fixture_pass(&nb.b, 310 * NS_PER_S);
		assert_int_equal(conntrack_n_connections(nb.b.ct), 0);
		/* One port was never used; the other three are held down, towards any destination. */
		nat_expire(nb.nat);
		uint64_t until = nat_next_deadline(nb.nat);
		for (uint32_t i = 0; i < 4; i++) {
			struct packet_spec m = out_flow(10 + i, SERVER + i, 53);
			/* Ports are shared between destinations where mappings depend on them. */
			assert_int_equal(nat_send(&nb, &m).passed, i == 0 || mapping == NAT_MAP_ADDRESS_PORT_DEPENDENT);
		}
		assert_true(until > nb.b.env.now && until <= nb.b.env.now + 120 * NS_PER_S);
		fixture_pass(&nb.b, until - nb.b.env.now);
		nat_expire(nb.nat);
		for (uint32_t i = 0; i < 3; i++) {
			struct packet_spec m = out_flow(20 + i, SERVER + 9, 53);
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
		struct packet_spec m = out_flow(i, SERVER, 53);
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

/* Would catch: an address behind the end of a range instead of the first of the next, one that is left out or twice. */
static void test_ranges(void **state)
{
	static const struct nat_pool_config pool = {
		.n_ranges = 3,
		.range = { { POOL_ADDR, POOL_ADDR + 1 },
			   { POOL_ADDR + 8, POOL_ADDR + 8 },
			   { POOL_ADDR + 4, POOL_ADDR + 5 } },
	};
	static const uint32_t want[] = { POOL_ADDR, POOL_ADDR + 1, POOL_ADDR + 8, POOL_ADDR + 4, POOL_ADDR + 5, 0 };

	(void)state;
	for (uint32_t k = 0; k < ARRAY_LEN(want); k++)
		assert_int_equal(nat_pool_address(&pool, k), want[k]);
	for (uint32_t addr = POOL_ADDR - 1; addr < POOL_ADDR + 10; addr++) {
		bool is_in = false;

		for (uint32_t k = 0; k < 5; k++)
			is_in |= want[k] == addr;
		assert_int_equal(nat_pool_has(&pool, addr), is_in);
	}
}

/* Mappings for those that are other workers' inside. Would catch: one with a port that the pool does not have, or ICMP
 * kept to its ports. */
static void test_leases(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 20);

	(void)state;
	pool->mapping = NAT_MAP_ENDPOINT_INDEPENDENT;
	pool->ports = (struct port_range){ 2000, 2003 };
	nat_configure(nb.nat, &cfg);
	for (uint32_t i = 0; i < 12; i++) {
		struct tuple inside = { .src = CLIENT + i,
					.sport = 7,
					.proto = i < 6 ? IPPROTO_NR_ICMP : IPPROTO_NR_UDP };
		struct nat_lease lease = { .pool = 0, .out_ifindex = WAN };

		assert_int_equal(nat_lease_grant(nb.nat, &inside, &lease), i < 10);
		if (i < 10)
			assert_int_equal(lease.addr, POOL_ADDR);
		if (i >= 6 && i < 10)
			assert_in_range(lease.port, 2000, 2003);
	}
	for (uint32_t i = 0; i < 10; i++) {
		struct tuple inside = { .src = CLIENT + i,
					.sport = 7,
					.proto = i < 6 ? IPPROTO_NR_ICMP : IPPROTO_NR_UDP };

		nat_lease_grant_end(nb.nat, &inside, 0);
	}
	nat_fixture_stop(&nb);
}

/* Would catch: a pool without ports in the config that has none, or system ports. */
static void test_usual_ports(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_config *pool = pool_start(&nb, 10);

	(void)state;
	pool->ports = (struct port_range){ 0, 0 };
	nat_configure(nb.nat, &cfg);
	assert_int_equal(nb.nat->pool[0].ports.n_ports, 65535 - 1024 + 1);
	pool->ports = (struct port_range){ 0, 9 };
	nat_configure(nb.nat, &cfg);
	assert_int_equal(nb.nat->pool[0].ports.n_ports, 9); /* 0 is no port */
	nat_fixture_stop(&nb);
}

/* Would catch: an interface that masquerades without being listed, or with another of its addresses than the one in
 * use. */
static void test_interface_listed(void **state)
{
	struct packet_spec m = out_flow(1, SERVER, 53);
	struct nat_pool_info info;
	struct nat_fixture nb;
	uint32_t cursor = 0, n_listed = 0;

	(void)state;
	nat_fixture_start(&nb, 10);
	nb.ip.interface[WAN].n_addresses = 3;
	nb.ip.interface[WAN].address[0].addr = WAN_ADDR + 1;
	nb.ip.interface[WAN].address[1].addr = WAN_ADDR + 2;
	nb.ip.interface[WAN].address[2].addr = WAN_ADDR;
	assert_int_equal(nat_send(&nb, &m).ip.src, WAN_ADDR);
	while (nat_pool_next(nb.nat, &cursor, &info)) {
		n_listed++;
		assert_string_equal(info.name, "wan0");
		assert_int_equal(info.interface_addresses, 1 << 2);
		assert_int_equal(info.n_used_udp, 1);
	}
	assert_int_equal(n_listed, 1);
	nat_fixture_stop(&nb);
}

/* The ports of a pool's address are the same in all zones, those of any other are its zone's own. */
static void test_zones(void **state)
{
	const struct ip_addr pool = ip_addr_v4(POOL_ADDR), other = ip_addr_v4(WAN_ADDR);
	struct nat_fixture nb;

	(void)state;
	(void)pool_start(&nb, 10);
	nat_configure(nb.nat, &cfg);
	assert_int_equal(ports_address(nb.ports, &pool, 5), ports_address(nb.ports, &pool, 0));
	assert_int_not_equal(ports_address(nb.ports, &other, 5), ports_address(nb.ports, &other, 0));
	nat_fixture_stop(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),           cmocka_unit_test(test_round),
		cmocka_unit_test(test_exhaustion),       cmocka_unit_test(test_busy_destination),
		cmocka_unit_test(test_options),          cmocka_unit_test(test_spill),
		cmocka_unit_test(test_prefix),           cmocka_unit_test(test_rule_ports),
		cmocka_unit_test(test_reload),           cmocka_unit_test(test_rule_address_left),
		cmocka_unit_test(test_hold_down),        cmocka_unit_test(test_used_by_protocol),
		cmocka_unit_test(test_full_hold_down),   cmocka_unit_test(test_zones),
		cmocka_unit_test(test_leases),           cmocka_unit_test(test_usual_ports),
		cmocka_unit_test(test_interface_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
