/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Errors through a gateway and from it: to whom they go, and what they quote.
 */
#include "masquerade.h"

/* Would catch: a gateway that is no hop, and an error that quotes what its
 * receiver never sent. */
static void test_traceroute(void **state)
{
	struct net n;
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 33434, .ttl = 1 };

	net_start(&n, masquerade);
	struct packet *p = carry(&n, n.client, &rq, n.client);
	struct icmp_quote q = expect_error(p, LAN_ADDR, ICMP_TIME_EXCEEDED, ICMP_TTL_EXCEEDED);

	assert_int_equal(q.l4.sport, 4000);
	assert_int_equal(q.ip.dst, SERVER);
	assert_int_equal(fixture_dropped(&n.w, DROP_TTL_EXPIRED), 1);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	fixture_end(&n.w);
}

/* Would catch: an error from a router on the way that does not reach the client
 * that caused it, or that tells it about the gateway's address and port. */
static void test_error_from_outside(void **state)
{
	struct net n;
	struct packet_spec rq = {
		.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 40
	};

	net_start(&n, masquerade);
	struct packet *p = carry(&n, n.client, &rq, n.server);
	uint8_t quote[60];

	assert_non_null(p);
	memcpy(quote, packet_l3(p), sizeof(quote));
	struct packet_spec err = { .src = IP4(203, 0, 113, 254),
				   .dst = WAN_ADDR,
				   .proto = IPPROTO_NR_ICMP,
				   .type = ICMP_DEST_UNREACHABLE,
				   .code = ICMP_HOST_UNREACHABLE,
				   .payload = quote,
				   .payload_len = sizeof(quote) };
	struct icmp_quote q = expect_error(carry(&n, n.server, &err, n.client), IP4(203, 0, 113, 254),
					   ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE);

	assert_int_equal(q.ip.src, CLIENT1);
	assert_int_equal(q.l4.sport, 4000);
	/* an error about a packet that was never sent goes nowhere */
	quote[IPV4_HEADER_LEN + 1] ^= 0x55;
	assert_null(carry(&n, n.server, &err, n.client));
	fixture_end(&n.w);
}

/* Would catch: a big packet that vanishes: with DF the sender learns the MTU,
 * without it the packet arrives in pieces. */
static void test_path_mtu(void **state)
{
	struct net n;
	struct packet_spec rq = {
		.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 1472, .df = true
	};

	net_start(&n, masquerade);
	struct packet *p = carry(&n, n.client, &rq, n.client);

	expect_error(p, LAN_ADDR, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED);
	assert_int_equal(p->l4.info & 0xffff, 1400);
	assert_true(p->ip.total_len <= ICMP_ERROR_MAX);
	assert_true(p->ip.total_len > 500); /* as much as 576 bytes allow */
	rq.df = false;
	p = carry(&n, n.client, &rq, n.server);
	expect(p, IPPROTO_NR_UDP, WAN_ADDR, SERVER);
	assert_int_equal(p->ip.total_len, 1396);
	assert_true(p->ip.mf);
	p = station_next(n.server);
	expect(p, IPPROTO_NR_UDP, WAN_ADDR, SERVER);
	assert_int_equal(p->ip.frag_off, 1376);
	assert_false(p->ip.mf);
	fixture_end(&n.w);
}

/* Would catch: a refusal that goes to the wrong client or is lost: a RST and an
 * ICMP error come back through the translation; our own rules refuse by both. */
static void test_refused(void **state)
{
	struct net n;
	struct packet_spec syn = {
		.dst = SERVER, .proto = IPPROTO_NR_TCP, .sport = 4000, .dport = 81, .seq = 7, .flags = TCP_SYN
	};

	net_start(&n, masquerade);
	struct packet *p = carry(&n, n.client, &syn, n.server);

	expect(p, IPPROTO_NR_TCP, WAN_ADDR, SERVER);
	struct packet_spec rst = { .dst = WAN_ADDR,
				   .proto = IPPROTO_NR_TCP,
				   .sport = 81,
				   .dport = p->l4.sport,
				   .ack = 8,
				   .flags = TCP_RST | TCP_ACK };

	p = carry(&n, n.server, &rst, n.client);
	expect(p, IPPROTO_NR_TCP, SERVER, CLIENT1);
	assert_int_equal(p->l4.flags, TCP_RST | TCP_ACK);
	assert_int_equal(p->l4.dport, 4000);

	struct packet_spec udp = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 9 };

	expect_error(carry(&n, n.client, &udp, n.client), LAN_ADDR, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE);
	syn.dport = 9;
	p = carry(&n, n.client, &syn, n.client);
	expect(p, IPPROTO_NR_TCP, SERVER, CLIENT1);
	assert_int_equal(p->l4.flags, TCP_RST | TCP_ACK);
	assert_int_equal(p->l4.ack, 8);
	assert_int_equal(fixture_dropped(&n.w, DROP_RULE_REJECT), 2);
	fixture_end(&n.w);
}

/* Would catch: a neighbour that does not answer and nobody is told; packets that
 * wait for it for ever. */
static void test_silent_neighbour(void **state)
{
	struct net n;
	struct packet_spec rq = { .dst = IP4(203, 0, 113, 77), .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };

	net_start(&n, masquerade);
	station_send(n.client, &rq);
	fixture_run(&n.w, 10000 * MS);
	struct icmp_quote q =
		expect_error(station_next(n.client), LAN_ADDR, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE);

	assert_int_equal(q.ip.src, CLIENT1);
	assert_int_equal(q.l4.sport, 4000);
	assert_int_equal(fixture_dropped(&n.w, DROP_NEIGH_UNREACHABLE), 1);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traceroute),       cmocka_unit_test(test_error_from_outside),
		cmocka_unit_test(test_path_mtu),         cmocka_unit_test(test_refused),
		cmocka_unit_test(test_silent_neighbour),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
