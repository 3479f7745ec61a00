/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SYNs that nobody asked for, in number and in odd shapes (src/gateway/nat/unsolicited.c),
 * and hosts inside that try many doors (src/gateway/nat/pending_open.c). When they are
 * answered at all is RFC 5382 REQ-4, in tests/rfc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"

#define HOST1 IP4(10, 77, 0, 10)
#define PEER IP4(203, 0, 113, 254)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define POOL_ADDR IP4(203, 0, 113, 16)

static const char config[] = "interface lan0 { address 10.77.0.1/24; }\n"
			     "interface wan0 { address 203.0.113.1/24; }\n"
			     "pool public { 203.0.113.16; mapping endpoint-independent;\n"
			     " filtering address-dependent; }\n"
			     "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			     " oifname \"wan0\" udp dport 9 masquerade\n"
			     " oifname \"wan0\" tcp dport 9 masquerade\n"
			     " oifname \"wan0\" snat to pool public\n"
			     "} }\n";

struct net {
	struct fixture w;
	struct station *lan, *wan;
};

static void net_start(struct net *n)
{
	fixture_start(&n->w, config, NULL);
	n->lan = fixture_station(&n->w, "lan0", HOST1, NULL);
	n->wan = fixture_station(&n->w, "wan0", PEER, NULL);
	fixture_run(&n->w, 5 * NS_PER_S);
	station_clear(n->lan);
	station_clear(n->wan);
}

static struct packet *carry(struct net *n, struct station *from, const struct packet_spec *s, struct station *at)
{
	station_send(from, s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return station_next(at);
}

/* Would catch: a flood that grows a queue, that is answered by as many errors as it has SYNs, or after which nobody is
 * answered any more. */
static void test_flood(void **state)
{
	struct net n;
	struct packet_spec syn = { .dst = POOL_ADDR, .proto = IPPROTO_NR_TCP, .flags = TCP_SYN };
	uint32_t n_answers = 0;

	net_start(&n);
	for (uint32_t i = 0; i < 1000; i++) {
		syn.sport = (uint16_t)(1000 + i);
		syn.dport = (uint16_t)(2000 + i);
		station_send(n.wan, &syn);
		if (i % 64 == 63)
			fixture_run(&n.w, NS_PER_MS);
	}
	fixture_run(&n.w, 20 * NS_PER_S);
	while (station_next(n.wan) != NULL)
		n_answers++;
	assert_true(n_answers > 0 && n_answers <= 256);
	assert_int_equal(fixture_dropped(&n.w, DROP_NAT_UNSOLICITED), 1000);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	assert_null(carry(&n, n.wan, &syn, n.wan));
	fixture_run(&n.w, 6 * NS_PER_S);
	assert_non_null(station_next(n.wan));
	fixture_end(&n.w);
}

/* Would catch: an error that quotes what was not kept, of a SYN with data; a fragment, a SYN-ACK or a RST that is taken
 * for a SYN. */
static void test_shapes(void **state)
{
	static const struct packet_spec others[] = {
		{ .flags = TCP_SYN | TCP_ACK },
		{ .flags = TCP_SYN | TCP_RST },
		{ .flags = TCP_SYN | TCP_FIN },
		{ .flags = TCP_ACK },
		{ .flags = TCP_RST },
		{ .flags = 0 },
		{ .flags = TCP_SYN, .mf = true },
	};
	struct net n;
	struct packet_spec syn = { .dst = POOL_ADDR,
				   .proto = IPPROTO_NR_TCP,
				   .sport = 5000,
				   .dport = 6000,
				   .flags = TCP_SYN,
				   .payload_len = 1400 };
	struct icmp_quote q;

	net_start(&n);
	assert_null(carry(&n, n.wan, &syn, n.wan));
	fixture_run(&n.w, 6 * NS_PER_S);
	struct packet *p = station_next(n.wan);
	assert_non_null(p);
	assert_int_equal(p->ip.total_len, ICMP_ERROR_MAX);
	assert_true(icmp_quote_parse(packet_l4(p), packet_l4_len(p), &q));
	assert_int_equal(q.ip.total_len, 1440);
	const uint8_t *data = packet_l4(p) + q.l4_offset + TCP_HEADER_LEN;
	for (uint32_t i = 0; i < q.len - IPV4_HEADER_LEN - TCP_HEADER_LEN; i++)
		assert_int_equal(data[i], (uint8_t)(i + i / 256));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		syn.payload_len = 32;
		syn.flags = others[i].flags;
		syn.mf = others[i].mf;
		syn.sport++;
		station_send(n.wan, &syn);
		fixture_run(&n.w, 40 * NS_PER_S);
		assert_null(station_next(n.wan));
	}
	assert_int_equal(fixture_dropped(&n.w, DROP_NAT_UNSOLICITED), 1);
	fixture_end(&n.w);
}

/* Would catch: a gateway that no longer says at once that a port of its own is closed, to a SYN where no translation
 * has it or to anything else, or that leaves a connection behind for a SYN that it puts off. */
static void test_own_address(void **state)
{
	struct net n;
	struct packet_spec out = { .dst = PEER, .proto = IPPROTO_NR_TCP, .sport = 4000, .dport = 9, .flags = TCP_SYN };
	struct packet_spec syn = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_TCP, .sport = 5000, .dport = 6000, .flags = TCP_SYN
	};

	net_start(&n);
	struct packet *p = carry(&n, n.wan, &syn, n.wan); /* nothing is translated to this address yet */
	assert_non_null(p);
	assert_int_equal(p->l4.flags, TCP_RST | TCP_ACK);
	p = carry(&n, n.lan, &out, n.wan);
	assert_non_null(p);
	assert_int_equal(p->ip.src, WAN_ADDR);
	uint32_t n_connections = conntrack_n_connections(gateway_conntrack(n.w.gw));
	syn.sport++;
	syn.dport = 22; /* no translation has this port */
	p = carry(&n, n.wan, &syn, n.wan);
	assert_non_null(p);
	assert_int_equal(p->l4.flags, TCP_RST | TCP_ACK);
	for (uint16_t port = 1023; port <= 1024; port++) {
		syn.sport++;
		syn.dport = port;
		p = carry(&n, n.wan, &syn, n.wan);
		assert_int_equal(p == NULL, port == 1024); /* the first that has */
	}
	/* Only a SYN is put off. */
	struct packet_spec udp = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 5000, .dport = 6000, .payload_len = 9
	};
	p = carry(&n, n.wan, &udp, n.wan);
	assert_non_null(p);
	assert_int_equal(p->l4.type, ICMP_DEST_UNREACHABLE);
	syn.sport++;
	syn.dport = 6001;
	assert_null(carry(&n, n.wan, &syn, n.wan));
	/* Neither the refused one nor the one that is put off was ever one. */
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), n_connections);
	assert_int_equal(n.w.n_events[EVENT_CONN_END], 0);
	fixture_end(&n.w);
}

/* Would catch: a stray packet of any protocol to the gateway itself that leaves a connection, which then holds the
 * tuple of the answer that an inside host waits for. */
static void test_leaves_nothing(void **state)
{
	static const struct packet_spec strays[] = {
		{ .dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 5000, .dport = 41641, .payload_len = 9 },
		{ .dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 5000, .dport = 22, .payload_len = 9 },
		{ .dst = WAN_ADDR, .proto = IPPROTO_NR_TCP, .sport = 5000, .dport = 22, .flags = TCP_SYN },
		{ .dst = WAN_ADDR,
		  .proto = IPPROTO_NR_TCP,
		  .sport = 5001,
		  .dport = 22,
		  .flags = TCP_SYN,
		  .payload_len = 9 },
		{ .dst = WAN_ADDR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ADDRESS_MASK, .id = 9, .payload_len = 4 },
		{ .dst = WAN_ADDR, .proto = 132, .payload_len = 40 },
		{ .dst = WAN_ADDR, .proto = 47, .payload_len = 40 },
		{ .dst = WAN_ADDR, .proto = 253, .payload_len = 40 },
		{ .dst = IP4(203, 0, 113, 255),
		  .proto = IPPROTO_NR_UDP,
		  .sport = 5000,
		  .dport = 137,
		  .payload_len = 9,
		  .link_broadcast = true },
	};
	struct net n;
	struct packet_spec ping = { .dst = WAN_ADDR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7 };

	net_start(&n);
	for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
		(void)carry(&n, n.wan, &strays[i], n.wan);
		assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	}
	assert_int_equal(n.w.n_events[EVENT_CONN_NEW], 0);
	/* What is answered is a connection. */
	station_clear(n.wan);
	assert_non_null(carry(&n, n.wan, &ping, n.wan));
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 1);
	fixture_end(&n.w);
}

/* Would catch: attempts that hold mappings for ever, and a ring that runs over. */
static void test_many_attempts(void **state)
{
	struct net n;
	struct packet_spec out = { .dst = PEER, .proto = IPPROTO_NR_UDP, .dport = 53 };
	struct nat_pool_info info;
	uint16_t door = 0;

	net_start(&n);
	for (uint32_t i = 0; i < 300; i++) {
		out.src = HOST1 + 1;
		out.sport = (uint16_t)(4000 + i);
		struct packet *p = carry(&n, n.lan, &out, n.wan);
		assert_non_null(p);
		assert_int_equal(p->ip.src, POOL_ADDR);
		door = p->l4.sport;
		out.src = HOST1;
		assert_non_null(carry(&n, n.lan, &out, n.wan));
		/* the first host's port i knocks at the other's newest */
		struct packet_spec knock = out;
		knock.dst = POOL_ADDR;
		knock.dport = door;
		for (int again = 0; again < 3; again++)
			assert_null(carry(&n, n.lan, &knock, n.lan));
	}
	assert_int_equal(fixture_reload(&n.w, config), 0); /* forgets them */
	fixture_run(&n.w, 400 * NS_PER_S);
	uint32_t cursor = 0;
	assert_true(nat_pool_next(gateway_nat(n.w.gw), &cursor, &info));
	assert_int_equal(info.n_used_udp, 0);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood),         cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_own_address),   cmocka_unit_test(test_leaves_nothing),
		cmocka_unit_test(test_many_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
