/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The whole core between two clients and a server: what a person would try
 * first, and the corners that a gateway is trusted for. Every packet that a
 * station receives has its checksums verified, and every test ends with the law
 * of conservation.
 *
 *   client1 10.77.0.10 --+                      +-- server 203.0.113.2
 *   client2 10.77.0.20 --+-- lan0  gateway  wan0 --- router 203.0.113.254
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "pair.h"

#define CLIENT1 PAIR_CLIENT
#define CLIENT2 IP4(10, 77, 0, 20)
#define SERVER PAIR_SERVER
#define LAN_ADDR IP4(10, 77, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)

#define MS (NS_PER_MS)

static const char masquerade[] = "interface lan0 { address 10.77.0.1/24; }\n"
				 "interface wan0 { address 203.0.113.1/24; mtu 1400; }\n"
				 "route 0.0.0.0/0 via 203.0.113.254;\n"
				 "table ip nat {\n"
				 "  chain prerouting { type nat hook prerouting priority dstnat; policy accept;\n"
				 "    iifname \"wan0\" tcp dport 8080 dnat to 10.77.0.10:80\n"
				 "    iifname \"wan0\" udp dport 5000 dnat to 10.77.0.20\n"
				 "  }\n"
				 "  chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n"
				 "    oifname \"wan0\" ip saddr 10.77.0.0/24 masquerade\n"
				 "  }\n"
				 "}\n"
				 "table ip filter {\n"
				 "  chain forward { type filter hook forward priority filter; policy drop;\n"
				 "    ct state established,related accept\n"
				 "    ct state invalid drop\n"
				 "    iifname \"lan0\" udp dport 9 reject\n"
				 "    iifname \"lan0\" tcp dport 9 reject with tcp reset\n"
				 "    iifname \"lan0\" accept\n"
				 "    ct status dnat accept\n"
				 "  }\n"
				 "}\n";

static void expect(const struct packet *p, uint8_t proto, uint32_t src, uint32_t dst)
{
	assert_non_null(p);
	assert_int_equal(p->ip.proto, proto);
	assert_int_equal(p->ip.src, src);
	assert_int_equal(p->ip.dst, dst);
}

/* An ICMP error with the quoted packet's addresses as its receiver knows them. */
static struct icmp_quote expect_error(struct packet *p, uint32_t from, uint8_t type, uint8_t code)
{
	struct icmp_quote q;

	assert_non_null(p);
	assert_int_equal(p->ip.src, from);
	assert_int_equal(p->l4.kind, L4_ICMP_ERROR);
	assert_int_equal(p->l4.type, type);
	assert_int_equal(p->l4.code, code);
	assert_true(icmp_quote_parse(packet_l4(p), packet_l4_len(p), &q));
	assert_int_equal(q.ip.src, p->ip.dst);
	return q;
}

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
			struct packet_spec piece = {
				.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .ip_id = 77
			};

			piece.frag_off = (uint16_t)(order[k][i] * 800);
			piece.mf = order[k][i] < 2;
			piece.payload_len = piece.frag_off == 0 ? 792 : 800;
			station_send(n.client, &piece);
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

/* Would catch: a reload that loses a connection which the new config allows, a
 * change that does not take, and a bad file that changes something. */
static void test_reload(void **state)
{
	struct net n;
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };

	net_start(&n, masquerade);
	uint16_t port = carry(&n, n.client, &rq, n.server)->l4.sport;

	assert_int_equal(fixture_reload(&n.w, "interface lan0 {"), -1);
	assert_int_equal(fixture_reload(&n.w, masquerade), 0);
	assert_int_equal(carry(&n, n.client, &rq, n.server)->l4.sport, port);
	struct packet_spec rp = { .dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = port };

	expect(carry(&n, n.server, &rp, n.client), IPPROTO_NR_UDP, SERVER, CLIENT1);
	/* now the flow is forbidden */
	assert_int_equal(fixture_reload(&n.w, "interface lan0 { address 10.77.0.1/24; }\n"
					      "interface wan0 { address 203.0.113.1/24; }\n"
					      "table ip filter { chain forward { type filter hook forward priority 0;\n"
					      " policy accept; udp dport 53 drop; } }\n"),
			 0);
	assert_null(carry(&n, n.client, &rq, n.server));
	assert_int_equal(fixture_dropped(&n.w, DROP_RULE_DROP), 1);
	fixture_end(&n.w);
}

#define SOURCE_CONFIG(what) \
	"interface lan0 { address 10.77.0.1/24; }\ninterface wan0 { address 203.0.113.1/24; }\n" \
	"table ip nat {\n" \
	" map to { type ipv4_addr : ipv4_addr; elements = { 10.77.0.10 : 203.0.113.99 } }\n" \
	" map from { type ipv4_addr : ipv4_addr; elements = { 10.77.0.10 : 203.0.113.98 } }\n" \
	" chain post { type nat hook postrouting priority srcnat; policy accept;\n" \
	"  oifname \"wan0\" " what "\n} }\n"

/* The address that a rule gives as a source, in each way that rules can say it. Would catch: a reload after which it is
 * another, and the connections from before keep it though nobody answers for it; or end though it is still there. */
static void test_source_address_left(void **state)
{
	static const struct {
		const char *before, *after;
		bool ends;
	} rows[] = {
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("snat to 203.0.113.98"), true },
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("snat to 203.0.113.90-203.0.113.99"), false },
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("snat to ip saddr map @to"), false },
		{ SOURCE_CONFIG("snat to ip saddr map @to"), SOURCE_CONFIG("snat to ip saddr map @from"), true },
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("masquerade"), true },
		{ SOURCE_CONFIG("snat prefix to 203.0.113.64/26"), SOURCE_CONFIG("snat prefix to 203.0.113.128/26"),
		  true },
		{ SOURCE_CONFIG("snat prefix to 203.0.113.64/26"), SOURCE_CONFIG("snat prefix to 203.0.113.64/26"),
		  false },
	};
	struct net n;
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		net_start(&n, rows[i].before);
		assert_non_null(carry(&n, n.client, &rq, n.server));
		assert_int_equal(fixture_reload(&n.w, rows[i].after), 0);
		fixture_run(&n.w, NS_PER_S);
		if (n.w.n_events[EVENT_CONN_END] != rows[i].ends)
			fail_msg("row %zu: %u connections have ended", i, n.w.n_events[EVENT_CONN_END]);
		if (rows[i].ends)
			assert_int_equal(n.w.last_event[EVENT_CONN_END].reason, CT_END_CONFIG);
		assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), !rows[i].ends);
		fixture_end(&n.w);
	}
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

/* Would catch: counters of a hook's entries that begin anew with each reload, or that go to another entry. */
static void test_hook_counters_over_a_reload(void **state)
{
	struct net n;

	net_start(&n, masquerade);
	struct hook_list *before = ip_stack_hooks(gateway_ip(n.w.gw), HOOK_POSTROUTING);
	uint32_t n_entries = before->n;

	assert_true(n_entries >= 2);
	for (uint32_t i = 0; i < n_entries; i++)
		before->entry[i].stats =
			(struct stage_stats){ .n_batches = 1 + i, .n_packets = 10 + i, .clocks = 100 + i };
	assert_int_equal(fixture_reload(&n.w, masquerade), 0);
	const struct hook_list *after = ip_stack_hooks(gateway_ip(n.w.gw), HOOK_POSTROUTING);

	assert_int_equal(after->n, n_entries);
	for (uint32_t i = 0; i < n_entries; i++) {
		assert_int_equal(after->entry[i].stats.n_batches, 1 + i);
		assert_int_equal(after->entry[i].stats.n_packets, 10 + i);
		assert_int_equal(after->entry[i].stats.clocks, 100 + i);
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

static struct packet *echo(struct net *n, int socket, const struct ping_request *rq)
{
	gateway_set_time(n->w.gw, n->w.now);
	assert_int_equal(ping_socket_send(gateway_ping_sockets(n->w.gw), socket, rq), 0);
	gateway_flush(n->w.gw, n->w.now);
	fixture_run(&n->w, 20 * MS);
	return station_next(n->server);
}

/* Would catch: a ping of the gateway's own that does not hear its answer, hears
 * another socket's, or takes a stranger's; an error about it that gets lost. */
static void test_raw_sockets(void **state)
{
	struct net n;
	struct ping_message m;
	struct ping_request rq = { .dst = SERVER, .seq = 3, .data_len = 56 };

	net_start(&n, masquerade);
	struct ping_sockets *raw = gateway_ping_sockets(n.w.gw);
	int one = ping_socket_open(raw), two = ping_socket_open(raw);
	struct packet *p = echo(&n, one, &rq);

	expect(p, IPPROTO_NR_ICMP, WAN_ADDR, SERVER);
	assert_int_equal(p->l4.type, ICMP_ECHO_REQUEST);
	assert_int_equal(p->ip.total_len, 84);
	struct packet_spec reply = { .dst = WAN_ADDR,
				     .proto = IPPROTO_NR_ICMP,
				     .type = ICMP_ECHO_REPLY,
				     .id = p->l4.id,
				     .icmp_seq = 3,
				     .payload_len = 56 };
	struct packet_spec stranger = reply;

	stranger.id ^= 0x101;
	station_send(n.server, &stranger);
	station_send(n.server, &reply);
	fixture_run(&n.w, 20 * MS);
	assert_false(ping_socket_receive(raw, two, &m));
	assert_true(ping_socket_receive(raw, one, &m));
	assert_int_equal(m.from, SERVER);
	assert_int_equal(m.seq, 3);
	assert_int_equal(m.ttl, 64);
	assert_false(ping_socket_receive(raw, one, &m));
	/* a router on the way says: no */
	rq.seq = 4;
	rq.ttl = 1;
	p = echo(&n, two, &rq);
	assert_non_null(p);
	assert_int_equal(p->ip.ttl, 1);
	struct packet_spec err = { .src = IP4(203, 0, 113, 254),
				   .dst = WAN_ADDR,
				   .proto = IPPROTO_NR_ICMP,
				   .type = ICMP_TIME_EXCEEDED,
				   .payload = packet_l3(p),
				   .payload_len = 28 };

	station_send(n.server, &err);
	fixture_run(&n.w, 20 * MS);
	assert_true(ping_socket_receive(raw, two, &m));
	assert_int_equal(m.type, ICMP_TIME_EXCEEDED);
	assert_int_equal(m.from, IP4(203, 0, 113, 254));
	assert_int_equal(m.seq, 4);
	/* what cannot be sent is said at once */
	rq = (struct ping_request){ .dst = SERVER, .data_len = 1473, .df = true };
	assert_int_equal(ping_socket_send(raw, one, &rq), -EMSGSIZE);
	assert_int_equal(fixture_reload(&n.w, "interface wan0 { address 203.0.113.1/24; }"), 0);
	rq = (struct ping_request){ .dst = IP4(8, 8, 8, 8) };
	assert_int_equal(ping_socket_send(raw, one, &rq), -ENETUNREACH);
	ping_socket_close(raw, one);
	ping_socket_close(raw, two);
	fixture_end(&n.w);
}

/* Would catch: a full queue of messages that loses the oldest, writes beside itself, or stays full. */
static void test_full_ping_socket(void **state)
{
	struct net n;
	struct ping_message m;
	struct ping_request rq = { .dst = SERVER, .seq = 0, .data_len = 8 };

	net_start(&n, masquerade);
	struct ping_sockets *raw = gateway_ping_sockets(n.w.gw);
	int one = ping_socket_open(raw);
	struct packet *p = echo(&n, one, &rq);
	struct packet_spec reply = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REPLY, .id = p->l4.id, .payload_len = 8
	};

	for (uint16_t i = 0; i < PING_SOCKET_QUEUE_MAX + 3; i++) {
		reply.icmp_seq = i;
		station_send(n.server, &reply);
		fixture_run(&n.w, 2 * MS);
	}
	assert_int_equal(ping_socket_n_overflowed(raw), 3);
	for (uint16_t i = 0; i < PING_SOCKET_QUEUE_MAX; i++) {
		assert_true(ping_socket_receive(raw, one, &m));
		assert_int_equal(m.seq, i);
	}
	assert_false(ping_socket_receive(raw, one, &m));
	reply.icmp_seq = 999;
	station_send(n.server, &reply);
	fixture_run(&n.w, 2 * MS);
	assert_true(ping_socket_receive(raw, one, &m));
	assert_int_equal(m.seq, 999);
	assert_int_equal(ping_socket_n_overflowed(raw), 3);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_masquerade),
		cmocka_unit_test(test_burst_of_a_new_flow),
		cmocka_unit_test(test_ping_of_two_clients),
		cmocka_unit_test(test_traceroute),
		cmocka_unit_test(test_error_from_outside),
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_port_forward),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_let_in),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_full_pool),
		cmocka_unit_test(test_silent_neighbour),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_source_address_left),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_raw_sockets),
		cmocka_unit_test(test_hook_counters_over_a_reload),
		cmocka_unit_test(test_full_ping_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
