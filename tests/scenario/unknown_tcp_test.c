/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP segments of connections that the gateway does not know, or not any more
 * (`unknown tcp`): who hears of it, and what.
 *
 *   client 10.77.0.10 -- lan0  gateway  wan0 -- server 203.0.113.2
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "pair.h"

#define CLIENT PAIR_CLIENT
#define SERVER PAIR_SERVER
#define WAN_ADDR IP4(203, 0, 113, 1)
#define MS NS_PER_MS

#define INTERFACES "interface lan0 { address 10.77.0.1/24; }\ninterface wan0 { address 203.0.113.1/24; }\n"
#define NAT(rule) \
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n " rule "\n} }\n"
#define MASQUERADE NAT("oifname \"wan0\" masquerade")

static struct packet_spec to_server(uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct packet_spec){ .dst = SERVER,
				     .proto = IPPROTO_NR_TCP,
				     .sport = 4000,
				     .dport = 80,
				     .seq = seq,
				     .ack = ack,
				     .flags = flags,
				     .payload_len = flags == (TCP_ACK | TCP_PSH) ? 10 : 0 };
}

/* The client's segment is answered by a RST that stands where the client expects the next one, and goes no further. */
static void expect_reset(struct net *n, uint8_t flags)
{
	struct packet_spec s = to_server(flags, 777, 123456);
	struct packet *p = carry(n, n->client, &s, n->client);

	assert_non_null(p);
	assert_int_equal(p->ip.src, SERVER);
	assert_int_equal(p->ip.dst, CLIENT);
	assert_int_equal(p->l4.sport, 80);
	assert_int_equal(p->l4.dport, 4000);
	assert_int_equal(p->l4.flags, TCP_RST);
	assert_int_equal(p->l4.seq, 123456);
	assert_null(station_next(n->client));
	assert_null(station_next(n->server));
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n->w.gw)), 0);
}

static void expect_silence(struct net *n, const struct packet_spec *s)
{
	assert_null(carry(n, n->client, s, n->client));
	assert_null(station_next(n->server));
}

/* Would catch: a client that goes on after its connection timed out, and hears nothing for minutes; a reset that the
 * client does not believe; one that the gateway's own rules call invalid. */
static void test_timed_out(void **state)
{
	struct net n;
	struct packet_spec syn = to_server(TCP_SYN, 776, 0);

	(void)state;
	net_start(&n, INTERFACES MASQUERADE
		  "conntrack { timeout tcp established 10s; }\n"
		  "table ip filter { chain out { type filter hook output priority filter; policy accept;\n"
		  " ct state invalid drop\n} }\n");
	struct packet *p = carry(&n, n.client, &syn, n.server);
	assert_non_null(p);
	struct packet_spec synack = { .dst = WAN_ADDR,
				      .proto = IPPROTO_NR_TCP,
				      .sport = 80,
				      .dport = p->l4.sport,
				      .seq = 123455,
				      .ack = 777,
				      .flags = TCP_SYN | TCP_ACK };
	assert_non_null(carry(&n, n.server, &synack, n.client));
	struct packet_spec ack = to_server(TCP_ACK, 777, 123456);
	assert_non_null(carry(&n, n.client, &ack, n.server));
	fixture_run(&n.w, 20000 * MS);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	expect_reset(&n, TCP_ACK | TCP_PSH);
	expect_reset(&n, TCP_ACK | TCP_FIN);
	expect_reset(&n, TCP_ACK);
	assert_int_equal(fixture_dropped(&n.w, DROP_CT_UNKNOWN_TCP), 3);
	fixture_end(&n.w);
}

/* Would catch: resets against resets, against what no TCP sends, and against what rules drop; a reset to the outside,
 * where somebody else may have the connection. */
static void test_not_told(void **state)
{
	static const uint8_t flags[] = { TCP_RST,           TCP_RST | TCP_ACK,          TCP_FIN, 0, TCP_SYN | TCP_ACK,
					 TCP_SYN | TCP_FIN, TCP_FIN | TCP_PSH | TCP_URG };
	static const char *const silent[] = {
		INTERFACES MASQUERADE "conntrack { unknown tcp drop; }\n",
		INTERFACES MASQUERADE "table ip filter { chain f { type filter hook forward priority filter;\n"
				      " ct state invalid drop\n} }\n",
		/* Nobody says which side is outside. */
		INTERFACES NAT("masquerade"),
	};
	struct net n;

	(void)state;
	net_start(&n, INTERFACES MASQUERADE);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		struct packet_spec s = to_server(flags[i], 777, 123456);
		expect_silence(&n, &s);
	}
	struct packet_spec fragment = to_server(TCP_ACK, 777, 123456);
	fragment.mf = true;
	fragment.payload_len = 500 + 4;
	expect_silence(&n, &fragment);
	/* To an inside host, past NAT. */
	struct packet_spec s = {
		.dst = CLIENT, .proto = IPPROTO_NR_TCP, .sport = 80, .dport = 4000, .seq = 1, .ack = 2, .flags = TCP_ACK
	};
	station_send(n.server, &s);
	fixture_run(&n.w, 20 * MS);
	assert_null(station_next(n.server));
	fixture_end(&n.w);
	for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
		struct packet_spec ack = to_server(TCP_ACK, 777, 123456);

		net_start(&n, silent[i]);
		expect_silence(&n, &ack);
		assert_int_equal(fixture_dropped(&n.w, DROP_CT_UNKNOWN_TCP), 0);
		fixture_end(&n.w);
	}
}

/* Would catch: a choice that does not do what it says; one that is lost when the config names no outside but the
 * default route does. */
static void test_choices(void **state)
{
	struct packet_spec ack = to_server(TCP_ACK | TCP_PSH, 777, 123456);
	struct net n;

	(void)state;
	net_start(&n, INTERFACES MASQUERADE "conntrack { unknown tcp pick up; }\n");
	struct packet *p = carry(&n, n.client, &ack, n.server);
	assert_non_null(p);
	assert_int_equal(p->ip.src, WAN_ADDR);
	fixture_end(&n.w);
	net_start(&n, INTERFACES NAT("masquerade") "route 0.0.0.0/0 via 203.0.113.2;\n");
	expect_reset(&n, TCP_ACK);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timed_out),
		cmocka_unit_test(test_not_told),
		cmocka_unit_test(test_choices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
