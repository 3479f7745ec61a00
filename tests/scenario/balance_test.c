/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several servers behind one address: who gets a connection, that it stays
 * there, and what comes back. Each server has a link of its own.
 *
 *   server 10.77.0.10 -- lan0 --+
 *   server 10.77.1.10 -- lan1 --+-- gateway 203.0.113.1 -- wan0 -- client 203.0.113.2
 *   server 10.77.2.10 -- lan2 --+
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"

#define N_SERVERS 3
#define SERVER(i) IP4(10, 77, (i), 10)
#define CLIENT IP4(203, 0, 113, 2)
#define PUBLIC IP4(203, 0, 113, 1)
#define N_CONNECTIONS 60
#define FIRST_PORT 20000

#define ALL_SERVERS "{ 0 : 10.77.0.10, 1 : 10.77.1.10, 2 : 10.77.2.10 }"

struct net {
	struct fixture w;
	struct station *server[N_SERVERS], *client;
};

/* The gateway's config with these rules before and after routing. */
static const char *config(const char *dnat, const char *snat)
{
	static char text[2048];

	snprintf(text, sizeof(text),
		 "interface lan0 { address 10.77.0.1/24; }\n"
		 "interface lan1 { address 10.77.1.1/24; }\n"
		 "interface lan2 { address 10.77.2.1/24; }\n"
		 "interface wan0 { address 203.0.113.1/24; answer for 203.0.113.60-203.0.113.61; }\n"
		 "table ip nat {\n"
		 "  map hosts { type ipv4_addr : ipv4_addr; flags interval; elements = { 10.77.1.10 : 203.0.113.51,\n"
		 "    10.77.2.0/24 : 203.0.113.52 } }\n"
		 "  chain prerouting { type nat hook prerouting priority dstnat;\n%s\n  }\n"
		 "  chain postrouting { type nat hook postrouting priority srcnat;\n%s\n  }\n"
		 "}\n",
		 dnat, snat);
	return text;
}

static void net_start(struct net *n, const char *text)
{
	char name[] = "lan0";

	fixture_start(&n->w, text, NULL);
	for (int i = 0; i < N_SERVERS; i++) {
		name[3] = (char)('0' + i);
		n->server[i] = fixture_station(&n->w, name, SERVER(i), NULL);
	}
	n->client = fixture_station(&n->w, "wan0", CLIENT, NULL);
	fixture_run(&n->w, 5 * NS_PER_S); /* announcements are over */
	for (int i = 0; i < N_SERVERS; i++)
		station_clear(n->server[i]);
	station_clear(n->client);
}

/* Which server has one packet from this client's port; -1 for none. Fails when two have one. */
static int who_has(struct net *n, uint16_t sport, uint8_t flags)
{
	int who = -1;

	for (int i = 0; i < N_SERVERS; i++) {
		struct packet *p = station_next(n->server[i]);

		if (p == NULL)
			continue;
		assert_int_equal(who, -1);
		who = i;
		assert_int_equal(p->ip.src, CLIENT);
		assert_int_equal(p->ip.dst, SERVER(i));
		assert_int_equal(p->l4.sport, sport);
		assert_int_equal(p->l4.dport, 80);
		assert_int_equal(p->l4.flags, flags);
		assert_null(station_next(n->server[i]));
	}
	return who;
}

static int send_to_public(struct net *n, uint16_t sport, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct packet_spec s = { .dst = PUBLIC,
				 .proto = IPPROTO_NR_TCP,
				 .sport = sport,
				 .dport = 80,
				 .flags = flags,
				 .seq = seq,
				 .ack = ack,
				 .window = 1000 };

	station_send(n->client, &s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return who_has(n, sport, flags);
}

/* SYN, SYN-ACK, ACK. The server that has it. */
static int connect_from(struct net *n, uint16_t sport)
{
	int who = send_to_public(n, sport, TCP_SYN, 1000, 0);
	struct packet_spec s = { .dst = CLIENT,
				 .proto = IPPROTO_NR_TCP,
				 .sport = 80,
				 .dport = sport,
				 .flags = TCP_SYN | TCP_ACK,
				 .seq = 5000,
				 .ack = 1001,
				 .window = 1000 };
	struct packet *p;

	assert_in_range(who, 0, N_SERVERS - 1);
	station_send(n->server[who], &s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	p = station_next(n->client);
	assert_non_null(p);
	assert_int_equal(p->ip.src, PUBLIC);
	assert_int_equal(p->l4.sport, 80);
	assert_int_equal(p->l4.dport, sport);
	assert_int_equal(send_to_public(n, sport, TCP_ACK, 1001, 5001), who);
	return who;
}

struct row {
	const char *rule;
	uint32_t least; /* connections of each server, of N_CONNECTIONS */
};

static const struct row rows[] = {
	{ "tcp dport 80 dnat to numgen inc mod 3 map " ALL_SERVERS, N_CONNECTIONS / 3 },
	{ "tcp dport 80 dnat to numgen random mod 3 map " ALL_SERVERS, 8 },
	{ "tcp dport 80 dnat to jhash ip saddr . tcp sport mod 3 map " ALL_SERVERS, 8 },
	{ "tcp dport 80 dnat to jhash ip saddr . tcp sport mod 3 seed 7 map " ALL_SERVERS ":80", 8 },
};

/* Would catch: connections that all go to one server, replies that are not from the public address, and
 * a connection that moves to another server, be it with its next packet or when a reload changes the
 * map, its order, or the way of choosing. */
static void test_spread_and_stay(void **state)
{
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		int who[N_CONNECTIONS];
		uint32_t count[N_SERVERS] = { 0 };
		struct net n;

		net_start(&n, config(rows[r].rule, ""));
		for (uint16_t i = 0; i < N_CONNECTIONS; i++) {
			who[i] = connect_from(&n, FIRST_PORT + i);
			count[who[i]]++;
		}
		for (int i = 0; i < N_SERVERS; i++)
			assert_in_range(count[i], rows[r].least, N_CONNECTIONS);
		assert_int_equal(fixture_reload(&n.w, config(rows[r].rule, "")), 0);
		for (uint16_t i = 0; i < N_CONNECTIONS; i++)
			assert_int_equal(send_to_public(&n, FIRST_PORT + i, TCP_ACK, 1001, 5001), who[i]);
		assert_int_equal(fixture_reload(&n.w, config("tcp dport 80 dnat to numgen inc mod 2 "
							     "map { 0 : 10.77.1.10, 1 : 10.77.0.10 }",
							     "")),
				 0);
		for (uint16_t i = 0; i < N_CONNECTIONS; i++)
			assert_int_equal(send_to_public(&n, FIRST_PORT + i, TCP_ACK, 1001, 5001), who[i]);
		/* new ones go by the new map */
		assert_int_equal(connect_from(&n, 40000), 1);
		assert_int_equal(connect_from(&n, 40001), 0);
		assert_int_equal(connect_from(&n, 40002), 1);
		assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), N_CONNECTIONS + 3);
		fixture_end(&n.w);
	}
}

/* Would catch: packets of one new flow, in one batch, that go to different servers. */
static void test_burst_of_a_new_flow(void **state)
{
	struct net n;
	struct packet_spec s = { .dst = PUBLIC, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };
	uint32_t with_all = 0;

	net_start(&n, config("udp dport 53 dnat to numgen inc mod 3 map " ALL_SERVERS, ""));
	for (s.payload_len = 1; s.payload_len <= 30; s.payload_len++)
		station_send(n.client, &s);
	fixture_run(&n.w, 50 * NS_PER_MS);
	for (int i = 0; i < N_SERVERS; i++) {
		uint32_t got = 0;

		while (station_next(n.server[i]) != NULL)
			got++;
		assert_true(got == 0 || with_all == 0);
		with_all += got;
	}
	assert_in_range(with_all, 1, 30); /* as many as wait for ARP */
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 1);
	fixture_end(&n.w);
}

/* Would catch: a hole that drops, ends the chain, or stands for some server. */
static void test_hole(void **state)
{
	struct net n;

	net_start(&n, config("tcp dport 80 dnat to numgen inc mod 3 map { 1 : 10.77.1.10 }\n"
			     "tcp dport 80 dnat to 10.77.2.10",
			     ""));
	assert_int_equal(connect_from(&n, 5000), 2);
	assert_int_equal(connect_from(&n, 5001), 1);
	assert_int_equal(connect_from(&n, 5002), 2);
	assert_int_equal(connect_from(&n, 5003), 2);
	assert_int_equal(connect_from(&n, 5004), 1);
	fixture_end(&n.w);
}

static bool answers_for(const struct net *n, uint32_t addr)
{
	const struct ip_config *ip = &n->w.snapshot->core.ip;

	for (uint32_t i = 0; i < ip->n_proxies; i++)
		if (ip->proxy[i].first <= addr && addr <= ip->proxy[i].last)
			return true;
	return false;
}

/* 1:1 by a named map, both ways: would catch a source that is not looked up, one that is not in the map and
 * is translated all the same, and addresses that nobody answers ARP for. */
static void test_one_to_one(void **state)
{
	static const uint32_t want[N_SERVERS] = { SERVER(0), IP4(203, 0, 113, 51), IP4(203, 0, 113, 52) };
	struct net n;

	net_start(&n, config("dnat to ip daddr map { 203.0.113.60 : 10.77.0.10, 203.0.113.61 : 10.77.1.10 }",
			     "snat to ip saddr map @hosts"));
	for (int i = 0; i < N_SERVERS; i++) {
		struct packet_spec out = { .dst = CLIENT, .proto = IPPROTO_NR_UDP, .sport = 99, .dport = 53 }, in;
		struct packet *p;

		station_send(n.server[i], &out);
		fixture_run(&n.w, 20 * NS_PER_MS);
		p = station_next(n.client);
		assert_non_null(p);
		assert_int_equal(p->ip.src, want[i]);
		in = (struct packet_spec){ .dst = want[i], .proto = IPPROTO_NR_UDP, .sport = 53, .dport = p->l4.sport };
		station_send(n.client, &in);
		fixture_run(&n.w, 20 * NS_PER_MS);
		p = station_next(n.server[i]);
		assert_non_null(p);
		assert_int_equal(p->ip.dst, SERVER(i));
		assert_int_equal(p->l4.dport, 99);
	}
	for (int i = 0; i < 2; i++) {
		struct packet_spec in = {
			.dst = IP4(203, 0, 113, 60) + i, .proto = IPPROTO_NR_UDP, .sport = 77, .dport = 7
		};
		struct packet *p;

		station_send(n.client, &in);
		fixture_run(&n.w, 20 * NS_PER_MS);
		p = station_next(n.server[i]);
		assert_non_null(p);
		assert_int_equal(p->ip.dst, SERVER(i));
		assert_true(answers_for(&n, in.dst));
	}
	assert_true(answers_for(&n, want[1]));
	assert_true(answers_for(&n, want[2]));
	assert_false(answers_for(&n, IP4(203, 0, 113, 62)));
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread_and_stay),
		cmocka_unit_test(test_burst_of_a_new_flow),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_one_to_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
