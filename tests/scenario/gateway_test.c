/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The whole core between two clients and a server: what a person would try
 * first, and the corners that a gateway is trusted for. Every packet that a
 * station receives has its checksums verified, and every test ends with the law
 * of conservation.
 */
#include "masquerade.h"

/* Would catch: a request that is not translated, a reply that does not find its
 * connection, and a port that is the client's own (ours are random). */
static void test_udp_masquerade(void **state)
{
	struct net n;
	struct packet_spec rq = {
		.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 30
	};

	net_start(&n, masquerade);
	struct packet *p = carry(&n, n.client, &rq, n.server);

	expect(p, IPPROTO_NR_UDP, WAN_ADDR, SERVER);
	assert_int_equal(p->ip.ttl, 63);
	assert_int_equal(p->l4.dport, 53);
	assert_true(p->l4.sport >= 1024);

	struct packet_spec rp = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = p->l4.sport, .payload_len = 80
	};

	p = carry(&n, n.server, &rp, n.client);
	expect(p, IPPROTO_NR_UDP, SERVER, CLIENT1);
	assert_int_equal(p->l4.sport, 53);
	assert_int_equal(p->l4.dport, 4000);
	/* the same flow goes on by the same port, another gets another entry */
	uint16_t port = rp.dport;

	p = carry(&n, n.client, &rq, n.server);
	assert_int_equal(p->l4.sport, port);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 1);
	rq.sport = 4001;
	p = carry(&n, n.client, &rq, n.server);
	assert_int_not_equal(p->l4.sport, port);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 2);
	assert_int_equal(n.w.n_events[EVENT_CONN_NEW], 2);
	fixture_end(&n.w);
}

/* Would catch: several packets of a flow that begins, in one batch, that become
 * several connections, change their order, or lose one of them. */
static void test_burst_of_a_new_flow(void **state)
{
	struct net n;
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };
	uint16_t port = 0;

	net_start(&n, masquerade);
	carry(&n, n.client, &rq, n.server); /* the server's address is known now: nothing waits for ARP */
	rq.sport = 4001;
	for (rq.payload_len = 1; rq.payload_len <= 40; rq.payload_len++)
		station_send(n.client, &rq);
	fixture_run(&n.w, 50 * MS);
	for (uint16_t len = 1; len <= 40; len++) {
		struct packet *p = station_next(n.server);

		expect(p, IPPROTO_NR_UDP, WAN_ADDR, SERVER);
		assert_int_equal(p->l4.payload_len, len);
		assert_true(port == 0 || port == p->l4.sport);
		port = p->l4.sport;
	}
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 2);
	fixture_end(&n.w);
}

/* Would catch: a ping that does not come back, or comes back to the wrong client. */
static void test_ping_of_two_clients(void **state)
{
	struct net n;
	struct station *client2;
	struct packet_spec rq = {
		.dst = SERVER, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .icmp_seq = 1
	};
	uint16_t id[2];

	net_start(&n, masquerade);
	for (int i = 0; i < 2; i++) {
		rq.src = i == 0 ? 0 : CLIENT2;
		struct packet *p = carry(&n, n.client, &rq, n.server);

		expect(p, IPPROTO_NR_ICMP, WAN_ADDR, SERVER);
		id[i] = p->l4.id;
	}
	assert_int_not_equal(id[0], id[1]);
	client2 = n.client;
	client2->addr = CLIENT2; /* the same wire answers ARP for both in turn */
	struct packet_spec rp = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REPLY, .id = id[1], .icmp_seq = 1
	};

	struct packet *p = carry(&n, n.server, &rp, client2);

	expect(p, IPPROTO_NR_ICMP, SERVER, CLIENT2);
	assert_int_equal(p->l4.id, 7);
	fixture_end(&n.w);
}

/* Would catch: a published port that does not reach its host, or answers with
 * the wrong address. */
static void test_port_forward(void **state)
{
	struct net n;
	struct packet_spec syn = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_TCP, .sport = 5555, .dport = 8080, .seq = 100, .flags = TCP_SYN
	};
	struct packet_spec back = { .dst = SERVER,
				    .proto = IPPROTO_NR_TCP,
				    .sport = 80,
				    .dport = 5555,
				    .seq = 900,
				    .ack = 101,
				    .flags = TCP_SYN | TCP_ACK };

	net_start(&n, masquerade);
	struct packet *p = carry(&n, n.server, &syn, n.client);

	expect(p, IPPROTO_NR_TCP, SERVER, CLIENT1);
	assert_int_equal(p->l4.dport, 80);
	p = carry(&n, n.client, &back, n.server);
	expect(p, IPPROTO_NR_TCP, WAN_ADDR, SERVER);
	assert_int_equal(p->l4.sport, 8080);
	fixture_end(&n.w);
}

/* Would catch: something from outside that gets in because nobody forbade it. */
static void test_not_let_in(void **state)
{
	struct net n;
	struct packet_spec rq = { .dst = CLIENT1, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = 4000 };

	net_start(&n, masquerade);
	assert_null(carry(&n, n.server, &rq, n.client));
	assert_int_equal(fixture_dropped(&n.w, DROP_POLICY_DROP), 1);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	rq.dst = WAN_ADDR; /* to the gateway itself: nobody listens */
	expect_error(carry(&n, n.server, &rq, n.server), WAN_ADDR, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE);
	rq = (struct packet_spec){
		.dst = WAN_ADDR, .proto = IPPROTO_NR_TCP, .sport = 53, .dport = 22, .seq = 5, .flags = TCP_SYN
	};
	struct packet *p = carry(&n, n.server, &rq, n.server);

	expect(p, IPPROTO_NR_TCP, WAN_ADDR, SERVER);
	assert_int_equal(p->l4.flags, TCP_RST | TCP_ACK);
	rq = (struct packet_spec){
		.dst = WAN_ADDR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 1, .payload_len = 56
	};
	p = carry(&n, n.server, &rq, n.server);
	expect(p, IPPROTO_NR_ICMP, WAN_ADDR, SERVER);
	assert_int_equal(p->l4.type, ICMP_ECHO_REPLY);
	fixture_end(&n.w);
}

/* Would catch: fragments that leave untranslated, or are lost because the first
 * one came last. */
static void test_fragments(void **state)
{
	static const uint8_t order[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 }, { 1, 2, 0 } };

	for (size_t k = 0; k < ARRAY_LEN(order); k++) {
		struct net n;
		uint32_t bytes = 0;

		net_start(&n, masquerade);
		for (int i = 0; i < 3; i++) {
			struct packet_spec fragment = {
				.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .ip_id = 77
			};

			fragment.frag_off = (uint16_t)(order[k][i] * 800);
			fragment.mf = order[k][i] < 2;
			fragment.payload_len = fragment.frag_off == 0 ? 792 : 800;
			station_send(n.client, &fragment);
		}
		fixture_run(&n.w, 50 * MS);
		uint16_t id = 0;

		for (int i = 0; i < 3; i++) {
			struct packet *p = station_next(n.server);

			expect(p, IPPROTO_NR_UDP, WAN_ADDR, SERVER);
			assert_true(i == 0 || id == p->ip.id);
			id = p->ip.id;
			bytes += packet_l4_len(p);
		}
		assert_int_equal(bytes, 2400);
		assert_null(station_next(n.server));
		fixture_end(&n.w);
	}
}

/* Would catch: a full pool that crashes or never recovers. */
static void test_full_pool(void **state)
{
	static const struct gateway_limits tiny = { .packets = { .n_packets = 24, .n_small = 24, .n_large = 1 },
						    .ip = { .n_neigh_held = 64 } };
	struct net n = { .client = NULL };
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };

	fixture_start(&n.w, masquerade, &tiny);
	n.client = fixture_station(&n.w, "lan0", CLIENT1, NULL);
	n.server = fixture_station(&n.w, "wan0", SERVER, NULL);
	fixture_run(&n.w, 5000 * MS);
	n.server->silent = true; /* the gateway holds what it cannot send */
	for (int i = 0; i < 60; i++) {
		rq.sport++;
		station_send(n.client, &rq);
		fixture_run(&n.w, MS);
	}
	assert_true(fixture_dropped(&n.w, DROP_NO_BUFFER) > 0);
	fixture_check_law(&n.w);
	n.server->silent = false;
	fixture_run(&n.w, 10000 * MS);
	station_clear(n.server);
	station_clear(n.client);
	expect(carry(&n, n.client, &rq, n.server), IPPROTO_NR_UDP, WAN_ADDR, SERVER);
	fixture_end(&n.w);
}

/* Would catch: a pool address that nobody answers ARP for, and a packet to one
 * without a mapping that is forwarded. */
static void test_pool(void **state)
{
	static const char config[] =
		"interface lan0 { address 10.77.0.1/24; }\n"
		"interface wan0 { address 203.0.113.1/24; }\n"
		"pool public { 203.0.113.16/30; }\n"
		"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		" oifname \"wan0\" snat to pool public\n"
		"} }\n";
	struct net n;
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };

	net_start(&n, config);
	struct packet *p = carry(&n, n.client, &rq, n.server);

	assert_non_null(p);
	assert_true(p->ip.src >= IP4(203, 0, 113, 16) && p->ip.src <= IP4(203, 0, 113, 19));
	struct packet_spec stray = { .dst = IP4(203, 0, 113, 17), .proto = IPPROTO_NR_UDP, .sport = 53, .dport = 1 };

	assert_null(carry(&n, n.server, &stray, n.client));
	assert_int_equal(fixture_dropped(&n.w, DROP_NAT_NO_MAPPING), 1);
	for (uint32_t i = 0; i < 6; i++) {
		uint32_t n_replies = n.server->n_arp_replies, a = IP4(203, 0, 113, 15) + i;
		bool ours = i >= 1 && i <= 4;

		station_ask(n.server, a);
		fixture_run(&n.w, 20 * MS);
		assert_int_equal(n.server->n_arp_replies, n_replies + ours);
		assert_true(!ours || n.server->arp_reply.spa == a);
		assert_true(!ours || ether_equal(&n.server->arp_reply.sha, &n.server->gateway_mac));
	}
	fixture_end(&n.w);
}

/* Would catch: a connection that never ends, or ends too soon; an end that does not tell what passed each way, or for
 * how long. */
static void test_timeout(void **state)
{
	struct net n;
	struct packet_spec rq = {
		.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 30
	};
	const struct yg_event *end = &n.w.last_event[EVENT_CONN_END];

	net_start(&n, masquerade);
	uint64_t begun = n.w.now;
	struct packet *p = carry(&n, n.client, &rq, n.server);
	struct packet_spec answer = {
		.dst = p->ip.src, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = p->l4.sport, .payload_len = 100
	};
	assert_non_null(carry(&n, n.server, &answer, n.client));
	assert_non_null(carry(&n, n.client, &rq, n.server));
	fixture_run(&n.w, 110 * NS_PER_S); /* RFC 4787 REQ-5: not under two minutes */
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 1);
	fixture_run(&n.w, 400 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	assert_int_equal(n.w.n_events[EVENT_CONN_END], 1);
	assert_int_equal(end->reason, CT_END_TIMEOUT);
	assert_int_equal(end->packets[CT_ORIGINAL], 2);
	assert_int_equal(end->bytes[CT_ORIGINAL], 2 * (28 + 30));
	assert_int_equal(end->packets[CT_REPLY], 1);
	assert_int_equal(end->bytes[CT_REPLY], 28 + 100);
	assert_true(end->duration_ns >= 300 * NS_PER_S);
	assert_in_range(end->time_ns - end->duration_ns, begun, begun + NS_PER_MS);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_masquerade),
		cmocka_unit_test(test_burst_of_a_new_flow),
		cmocka_unit_test(test_ping_of_two_clients),
		cmocka_unit_test(test_port_forward),
		cmocka_unit_test(test_not_let_in),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_full_pool),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_timeout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
