/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an interface takes, and whom it answers for: addresses that rules only
 * name, where a packet may have come from, odd addresses, next hops and frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "stack/ip/icmp.h"
#include "fixture.h"
#include "stack/ip/route.h"

#define HOST1 IP4(10, 77, 0, 2)
#define PEER IP4(203, 0, 113, 254)
#define WAN_ADDR IP4(203, 0, 113, 1)

#define LAN "interface lan0 { address 10.77.0.1/24; }\n"
#define WAN "interface wan0 { address 203.0.113.1/24; }\n"
#define DEFAULT_ROUTE "route 0.0.0.0/0 via 203.0.113.254;\n"
#define MASQUERADE \
	"table ip nat { chain post { type nat hook postrouting priority srcnat;\n" \
	"  oifname \"wan0\" masquerade\n} }\n"

struct net {
	struct fixture w;
	struct station *lan, *wan;
};

static void net_start(struct net *n, const char *config)
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
	station_clear(at);
	station_send(from, s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return station_next(at);
}

static bool answers_for(const struct net *n, uint32_t addr)
{
	const struct ip_config *ip = &n->w.snapshot->core.ip;

	for (uint32_t i = 0; i < ip->n_proxies; i++)
		if (ip->proxy[i].first <= addr && addr <= ip->proxy[i].last)
			return true;
	return false;
}

/* Would catch: a dnat or redirect for the address of some host that takes that address away from everybody: its other
 * services, the ARP answers of the host itself, its packets. */
static void test_dnat_for_a_foreign_address(void **state)
{
	struct net n;
	struct packet_spec dns = { .dst = PEER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 8 };
	struct packet_spec ping = {
		.dst = PEER, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .payload_len = 8
	};
	struct packet_spec web = {
		.dst = PEER, .proto = IPPROTO_NR_TCP, .sport = 4001, .dport = 443, .flags = TCP_SYN
	};
	struct packet_spec from_it = { .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };

	net_start(&n, LAN WAN DEFAULT_ROUTE "table ip t { chain pre { type nat hook prerouting priority dstnat;\n"
					    "  iifname \"lan0\" ip daddr 203.0.113.254 udp dport 53 dnat to 10.77.0.2\n"
					    "  ip daddr { 203.0.113.254, 203.0.113.9 } tcp dport 80 redirect to :8080\n"
					    "  tcp dport 81 dnat to ip daddr map { 203.0.113.254 : 10.77.0.2 }\n} }\n");
	assert_false(answers_for(&n, PEER));
	assert_false(answers_for(&n, IP4(203, 0, 113, 9)));
	assert_null(carry(&n, n.lan, &dns, n.wan));
	assert_non_null(carry(&n, n.lan, &ping, n.wan));
	assert_non_null(carry(&n, n.lan, &web, n.wan));
	assert_non_null(carry(&n, n.wan, &from_it, n.lan));
	assert_int_equal(fixture_dropped(&n.w, DROP_ARP_SPOOF), 0);
	assert_int_equal(fixture_dropped(&n.w, DROP_NAT_NO_MAPPING), 0);
	fixture_end(&n.w);
}

/* Would catch: an address that an interface answers for which is not announced, is forwarded when nothing is mapped, or
 * is not translated; and what a chain at input gives out taken for an address of ours. */
static void test_answer_for(void **state)
{
	const uint32_t ours = IP4(203, 0, 113, 66);
	struct net n;
	struct packet_spec web = {
		.dst = IP4(203, 0, 113, 66), .proto = IPPROTO_NR_TCP, .sport = 4001, .dport = 80, .flags = TCP_SYN
	};
	struct packet_spec other = { .dst = IP4(203, 0, 113, 66), .proto = IPPROTO_NR_UDP, .sport = 4001, .dport = 80 };

	net_start(&n,
		  LAN "interface wan0 { address 203.0.113.1/24; answer for 203.0.113.64/28, 203.0.113.80-203.0.113.82; "
		      "}\n" DEFAULT_ROUTE "table ip t { chain pre { type nat hook prerouting priority dstnat;\n"
		      "  ip daddr 203.0.113.66 tcp dport 80 dnat to 10.77.0.2\n}\n"
		      "chain in { type nat hook input priority srcnat; snat to 203.0.113.99\n} }\n");
	assert_true(answers_for(&n, ours));
	assert_true(answers_for(&n, IP4(203, 0, 113, 82)));
	assert_false(answers_for(&n, IP4(203, 0, 113, 83)));
	assert_false(answers_for(&n, IP4(203, 0, 113, 99)));
	assert_int_equal(n.w.snapshot->core.ip.n_proxies, 1);
	struct packet *p = carry(&n, n.wan, &web, n.lan);
	assert_non_null(p);
	assert_int_equal(p->ip.dst, HOST1);
	assert_null(carry(&n, n.wan, &other, n.lan));
	assert_int_equal(fixture_dropped(&n.w, DROP_NAT_NO_MAPPING), 1);
	fixture_end(&n.w);
}

/* Would catch: a source that cannot have come in where it did, and is believed: another link's host, one of ours, a
 * broadcast address; and a source that is refused though it can: any beyond the uplink, class E, 0/8, a lowest address.
 */
static void test_sources(void **state)
{
	static const struct {
		uint32_t src;
		enum drop_reason reason; /* N_DROP_REASONS: it goes through */
	} row[] = {
		{ PEER, N_DROP_REASONS },
		{ IP4(198, 51, 100, 7), N_DROP_REASONS },
		{ IP4(240, 0, 0, 1), N_DROP_REASONS },
		{ IP4(0, 1, 2, 3), N_DROP_REASONS },
		{ IP4(203, 0, 113, 0), N_DROP_REASONS },
		{ HOST1, DROP_RPF },
		{ IP4(10, 77, 0, 0), DROP_RPF },
		{ IP4(10, 77, 0, 255), DROP_IP_SOURCE_MARTIAN },
		{ IP4(203, 0, 113, 255), DROP_IP_SOURCE_MARTIAN },
		{ IP4(10, 77, 0, 1), DROP_IP_SOURCE_OURS },
		{ WAN_ADDR, DROP_IP_SOURCE_OURS },
		{ IP4(127, 0, 0, 1), DROP_IP_SOURCE_MARTIAN },
		{ IP4(224, 0, 0, 1), DROP_IP_SOURCE_MARTIAN },
		{ UINT32_MAX, DROP_IP_SOURCE_MARTIAN },
	};
	struct net n;

	net_start(&n, LAN WAN DEFAULT_ROUTE MASQUERADE);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct packet_spec s = {
			.src = row[i].src, .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9
		};
		bool passes = row[i].reason == N_DROP_REASONS;
		uint64_t before = passes ? 0 : fixture_dropped(&n.w, row[i].reason);

		if ((carry(&n, n.wan, &s, n.lan) != NULL) != passes)
			fail_msg("row %zu", i);
		if (!passes)
			assert_int_equal(fixture_dropped(&n.w, row[i].reason), before + 1);
	}
	fixture_end(&n.w);
}

/* Would catch: destinations in class E, 0/8 or at the low end of a subnet that are not forwarded. */
static void test_destinations(void **state)
{
	static const uint32_t dst[] = { IP4(240, 0, 0, 1), IP4(0, 1, 2, 3), IP4(203, 0, 113, 0) };
	struct net n;

	net_start(&n, LAN WAN DEFAULT_ROUTE MASQUERADE);
	n.wan->addr = IP4(203, 0, 113, 0); /* answers ARP for the lowest address, too */
	for (size_t i = 0; i < ARRAY_LEN(dst); i++) {
		struct packet_spec s = { .dst = dst[i], .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };

		n.wan->addr = dst[i] == IP4(203, 0, 113, 0) ? dst[i] : PEER;
		struct packet *p = carry(&n, n.lan, &s, n.wan);

		assert_non_null(p);
		assert_int_equal(p->ip.dst, dst[i]);
	}
	fixture_end(&n.w);
}

/* Would catch: rpf words that do not say what they say, and the second of two uplinks shut by the first. */
static void test_rpf_words(void **state)
{
	static const struct {
		const char *word;
		bool inside, nowhere; /* what passes at the uplink: an inside source; one to which no route leads */
	} row[] = { { "", false, false },
		    { "rpf strict;", false, false },
		    { "rpf loose;", true, false },
		    { "rpf off;", true, true } };

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct packet_spec inside = {
			.src = IP4(10, 77, 0, 9), .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9
		};
		struct packet_spec nowhere = inside;
		char text[512];
		struct net n;

		snprintf(text, sizeof(text),
			 LAN "interface wan0 { address 203.0.113.1/24; %s }\n"
			     "route 198.51.100.0/24 via 203.0.113.254;\n",
			 row[i].word);
		net_start(&n, text);
		nowhere.src = IP4(192, 0, 2, 1);
		assert_int_equal(carry(&n, n.wan, &inside, n.lan) != NULL, row[i].inside);
		assert_int_equal(carry(&n, n.wan, &nowhere, n.lan) != NULL, row[i].nowhere);
		fixture_end(&n.w);
	}

	struct net n;

	net_start(&n, LAN WAN "interface wan1 { address 192.0.2.1/24; }\n" DEFAULT_ROUTE
			      "route 0.0.0.0/0 via 192.0.2.254 metric 10;\n" MASQUERADE);
	struct station *second = fixture_station(&n.w, "wan1", IP4(192, 0, 2, 254), NULL);
	struct packet_spec far = {
		.src = IP4(198, 51, 100, 7), .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9
	};

	fixture_run(&n.w, 5 * NS_PER_S);
	assert_non_null(carry(&n, second, &far, n.lan));
	far.src = IP4(10, 77, 0, 9);
	assert_null(carry(&n, second, &far, n.lan));
	far.src = PEER; /* the first uplink's own host */
	assert_null(carry(&n, second, &far, n.lan));
	assert_int_equal(fixture_dropped(&n.w, DROP_RPF), 2);
	fixture_end(&n.w);
}

/* Would catch: a check that comes too late: an inside host whose allowance somebody outside spends in its name. */
static void test_spoofed_source_and_limits(void **state)
{
	struct net n;
	struct packet_spec spoofed = { .src = HOST1, .dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .dport = 9 };
	struct packet_spec ping = {
		.dst = PEER, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .payload_len = 8
	};

	net_start(&n, LAN WAN DEFAULT_ROUTE "conntrack { max per source 5; new per source 5; }\n" MASQUERADE);
	for (uint16_t i = 0; i < 50; i++) {
		spoofed.sport = (uint16_t)(1000 + i);
		station_send(n.wan, &spoofed);
	}
	fixture_run(&n.w, 20 * NS_PER_MS);
	assert_int_equal(fixture_dropped(&n.w, DROP_RPF), 50);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	assert_non_null(carry(&n, n.lan, &ping, n.wan));
	fixture_end(&n.w);
}

/* Would catch: a next hop outside every prefix that is not asked for by ARP, asks from an address that is not ours, or
 * is given no answer: behind a /32 with a device route, onlink, and on a link without an address. */
static void test_next_hops(void **state)
{
	static const struct {
		const char *config;
		uint32_t asked_for; /* the address that the next hop knows us by */
	} row[] = {
		{ "interface wan0 { address 198.51.100.7/32; }\nroute 172.31.1.1/32 dev wan0;\n"
		  "route 0.0.0.0/0 via 172.31.1.1;\n",
		  IP4(198, 51, 100, 7) },
		{ "interface wan0 { address 198.51.100.7/32; }\nroute 0.0.0.0/0 via 172.31.1.1 dev wan0 onlink;\n",
		  IP4(198, 51, 100, 7) },
		{ "interface wan0 { }\nroute 0.0.0.0/0 via 172.31.1.1 dev wan0 onlink;\n", IP4(10, 77, 0, 1) },
		{ "interface wan0 { address 172.31.1.0/31; }\nroute 0.0.0.0/0 via 172.31.1.1;\n", IP4(172, 31, 1, 0) },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct packet_spec out = { .dst = IP4(192, 0, 2, 1), .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };
		struct packet_spec ping = {
			.proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .payload_len = 8
		};
		char text[512];
		struct fixture w;

		snprintf(text, sizeof(text), LAN "%s", row[i].config);
		fixture_start(&w, text, NULL);
		struct station *lan = fixture_station(&w, "lan0", HOST1, NULL);
		struct station *wan = fixture_station(&w, "wan0", IP4(172, 31, 1, 1), NULL);

		fixture_run(&w, 5 * NS_PER_S);
		station_clear(wan);
		station_send(lan, &out);
		fixture_run(&w, 20 * NS_PER_MS);
		struct packet *p = station_next(wan);

		assert_non_null(p);
		assert_int_equal(p->ip.src, HOST1);
		ping.dst = row[i].asked_for;
		station_send(wan, &ping);
		fixture_run(&w, 20 * NS_PER_MS);
		p = station_next(wan);
		assert_non_null(p);
		assert_int_equal(p->ip.src, row[i].asked_for);
		fixture_end(&w);
	}
}

/* Would catch: a directed broadcast that is forwarded unasked, or not as a broadcast when asked for; or one that comes
 * by its own link and goes round. */
static void test_directed_broadcast(void **state)
{
	for (int on = 0; on < 2; on++) {
		struct net n;
		struct packet_spec s = { .dst = IP4(10, 77, 0, 255), .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };
		char text[512];

		snprintf(text, sizeof(text),
			 "interface lan0 { address 10.77.0.1/24; directed broadcast %s; }\n" WAN DEFAULT_ROUTE,
			 on ? "yes" : "no");
		net_start(&n, text);
		struct packet *p = carry(&n, n.wan, &s, n.lan);

		assert_int_equal(p != NULL, on);
		if (on) {
			struct ether_view eth;

			assert_true(ether_parse(packet_frame(p), p->len, &eth));
			assert_true(ether_is_broadcast(&eth.dst));
			assert_int_equal(p->ip.ttl, 63);
		}
		assert_int_equal(fixture_dropped(&n.w, DROP_FORWARD_BROADCAST), !on);
		s.link_broadcast = true;
		assert_null(carry(&n, n.lan, &s, n.lan));
		fixture_end(&n.w);
	}
}

/* Would catch: a redirect that is sent unasked, for what is translated, or to a sender that could not use it; and one
 * that we obey. */
static void test_redirects(void **state)
{
	static const struct {
		const char *words, *rules;
		uint32_t src;
		bool sent;
	} row[] = {
		{ "", "", 0, false },
		{ "redirects yes;", "", 0, true },
		{ "redirects yes;", "", IP4(10, 77, 1, 9), false }, /* not on the next hop's prefix */
		{ "redirects yes;",
		  "table ip t { chain post { type nat hook postrouting priority srcnat; masquerade } }\n", 0, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct net n;
		struct packet_spec out = {
			.src = row[i].src, .dst = IP4(192, 0, 2, 1), .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9
		};
		struct packet_spec obey = {
			.dst = IP4(10, 77, 0, 1), .proto = IPPROTO_NR_ICMP, .type = ICMP_REDIRECT, .code = 1
		};
		uint8_t quote[64];
		char text[512];

		snprintf(text, sizeof(text),
			 "interface lan0 { address 10.77.0.1/24; address 10.77.1.1/24; %s }\n" WAN
			 "route 0.0.0.0/0 via 10.77.0.3;\n%s",
			 row[i].words, row[i].rules);
		net_start(&n, text);
		struct packet *p = carry(&n, n.lan, &out, n.lan);

		/* The packet itself waits for 10.77.0.3, which is not there. */
		assert_int_equal(p != NULL, row[i].sent);
		if (row[i].sent) {
			assert_int_equal(p->l4.type, ICMP_REDIRECT);
			assert_int_equal(p->l4.code, ICMP_REDIRECT_HOST);
			assert_int_equal(p->l4.info, IP4(10, 77, 0, 3));
			assert_int_equal(p->ip.src, IP4(10, 77, 0, 1));
		}
		out.src = IP4(10, 77, 0, 1);
		out.dst = PEER;
		obey.payload = quote;
		obey.payload_len = (uint16_t)station_build(n.lan, &out, quote);
		obey.info = HOST1;
		station_send(n.lan, &obey);
		fixture_run(&n.w, 20 * NS_PER_MS);
		assert_int_equal(fixture_dropped(&n.w, DROP_ICMP_IGNORED), 1);
		assert_int_equal(ip_route(gateway_ip(n.w.gw), 0, PEER)->ifindex, n.wan->ifindex);
		fixture_end(&n.w);
	}
}

/* Would catch: the gateway's own answer lost when a chain at input gave the question another source: one that is
 * routed, one that no route leads to, one of ours. */
static void test_snat_at_input(void **state)
{
	static const char *const given[] = { "198.51.100.9", "192.0.2.9", "203.0.113.1", "10.77.0.99" };

	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		struct packet_spec ping = { .dst = IP4(10, 77, 0, 1),
					    .proto = IPPROTO_NR_ICMP,
					    .type = ICMP_ECHO_REQUEST,
					    .id = 7,
					    .payload_len = 8 };
		struct packet_spec closed = {
			.dst = IP4(10, 77, 0, 1), .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 9, .payload_len = 8
		};
		char text[512];
		struct net n;

		snprintf(text, sizeof(text),
			 LAN WAN "route 198.51.100.0/24 via 203.0.113.254;\n"
				 "table ip t { chain in { type nat hook input priority srcnat; ip saddr 10.77.0.2 snat "
				 "to %s\n} }\n",
			 given[i]);
		net_start(&n, text);
		struct packet *p = carry(&n, n.lan, &ping, n.lan);

		if (p == NULL)
			fail_msg("no answer with %s", given[i]);
		assert_int_equal(p->ip.src, IP4(10, 77, 0, 1));
		assert_int_equal(p->l4.type, ICMP_ECHO_REPLY);
		assert_int_equal(p->l4.id, 7);
		p = carry(&n, n.lan, &closed, n.lan);
		if (p == NULL)
			fail_msg("no error with %s", given[i]);
		assert_int_equal(p->l4.code, ICMP_PORT_UNREACHABLE);
		assert_int_equal(p->ip.src, IP4(10, 77, 0, 1));
		fixture_end(&n.w);
	}
}

/* Would catch: an ICMP error from inside whose quote shows an inside address outside, since the connection that it is
 * about begins in the same batch, is over, or never was; with rules that translate by protocol and port only. */
static void test_quotes_stay_inside(void **state)
{
	struct net n;
	struct packet_spec out = { .dst = PEER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 8 };
	struct packet_spec in = {
		.src = PEER, .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = 4000, .payload_len = 8
	};
	struct packet_spec error = { .dst = PEER, .proto = IPPROTO_NR_ICMP, .type = ICMP_DEST_UNREACHABLE, .code = 3 };
	uint8_t quote[64];

	net_start(&n, LAN WAN DEFAULT_ROUTE "table ip nat { chain post { type nat hook postrouting priority srcnat;\n"
					    "  oifname \"wan0\" udp dport 53 masquerade\n} }\n");
	error.payload = quote;
	error.payload_len = (uint16_t)station_build(n.wan, &in, quote);
	assert_null(carry(&n, n.lan, &error, n.wan));
	station_send(n.lan, &out);
	assert_non_null(carry(&n, n.lan, &error, n.wan)); /* the query: both came in one batch */
	assert_null(station_next(n.wan));
	assert_int_equal(fixture_dropped(&n.w, DROP_CT_INVALID), 2);
	/* Of a way that nobody translates it is as harmless as it was. */
	in.sport = 54;
	error.payload_len = (uint16_t)station_build(n.wan, &in, quote);
	assert_non_null(carry(&n, n.lan, &error, n.wan));
	fixture_end(&n.w);
}

/* Would catch: an ICMP error about our own reset, which its receiver does not answer ARP for, sent to whoever the reset
 * speaks for. */
static void test_reset_to_a_dead_host(void **state)
{
	struct net n;
	struct packet_spec syn = { .src = IP4(10, 77, 0, 99),
				   .dst = PEER,
				   .proto = IPPROTO_NR_TCP,
				   .sport = 1234,
				   .dport = 7,
				   .flags = TCP_SYN };

	net_start(&n, LAN WAN DEFAULT_ROUTE "table ip f { chain f { type filter hook forward priority filter;\n"
					    "  iifname \"lan0\" tcp dport 7 reject with tcp reset\n} }\n");
	station_send(n.lan, &syn);
	fixture_run(&n.w, 30 * NS_PER_S);
	assert_null(station_next(n.wan));
	assert_int_equal(fixture_dropped(&n.w, DROP_NEIGH_UNREACHABLE), 1);
	assert_int_equal(icmp_counts(gateway_ip(n.w.gw))[ICMP_SILENT_OURS], 1);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dnat_for_a_foreign_address),
		cmocka_unit_test(test_answer_for),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_rpf_words),
		cmocka_unit_test(test_spoofed_source_and_limits),
		cmocka_unit_test(test_next_hops),
		cmocka_unit_test(test_directed_broadcast),
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_snat_at_input),
		cmocka_unit_test(test_quotes_stay_inside),
		cmocka_unit_test(test_reset_to_a_dead_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
