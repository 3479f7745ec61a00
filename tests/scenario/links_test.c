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
#include "world.h"

#define HOST1 IP4(10, 77, 0, 2)
#define PEER IP4(203, 0, 113, 254)
#define WAN_ADDR IP4(203, 0, 113, 1)

#define LAN "interface lan0 { address 10.77.0.1/24; }\n"
#define WAN "interface wan0 { address 203.0.113.1/24; }\n"
#define DEFAULT_ROUTE "route 0.0.0.0/0 via 203.0.113.254;\n"
#define MASQUERADE                                                                     \
	"table ip nat { chain post { type nat hook postrouting priority srcnat;\n"      \
	"  oifname \"wan0\" masquerade\n} }\n"

struct net {
	struct world w;
	struct station *lan, *wan;
};

static void net_start(struct net *n, const char *config)
{
	world_start(&n->w, config, NULL);
	n->lan = world_station(&n->w, "lan0", HOST1, NULL);
	n->wan = world_station(&n->w, "wan0", PEER, NULL);
	world_run(&n->w, 5 * NS_PER_S);
	station_clear(n->lan);
	station_clear(n->wan);
}

static struct packet *carry(struct net *n, struct station *from, const struct send *s, struct station *at)
{
	station_clear(at);
	station_send(from, s);
	world_run(&n->w, 20 * NS_PER_MS);
	return station_next(at);
}

static bool answers_for(const struct net *n, uint32_t addr)
{
	const struct ip_config *ip = &n->w.snapshot->ip;

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
	struct send dns = { .dst = PEER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 8 };
	struct send ping = { .dst = PEER, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .payload_len = 8 };
	struct send web = { .dst = PEER, .proto = IPPROTO_NR_TCP, .sport = 4001, .dport = 443, .flags = TCP_SYN };
	struct send from_it = { .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };

	net_start(&n, LAN WAN DEFAULT_ROUTE
		  "table ip t { chain pre { type nat hook prerouting priority dstnat;\n"
		  "  iifname \"lan0\" ip daddr 203.0.113.254 udp dport 53 dnat to 10.77.0.2\n"
		  "  ip daddr { 203.0.113.254, 203.0.113.9 } tcp dport 80 redirect to :8080\n"
		  "  tcp dport 81 dnat to ip daddr map { 203.0.113.254 : 10.77.0.2 }\n} }\n");
	assert_false(answers_for(&n, PEER));
	assert_false(answers_for(&n, IP4(203, 0, 113, 9)));
	assert_null(carry(&n, n.lan, &dns, n.wan));
	assert_non_null(carry(&n, n.lan, &ping, n.wan));
	assert_non_null(carry(&n, n.lan, &web, n.wan));
	assert_non_null(carry(&n, n.wan, &from_it, n.lan));
	assert_int_equal(world_dropped(&n.w, DROP_ARP_SPOOF), 0);
	assert_int_equal(world_dropped(&n.w, DROP_NAT_NO_MAPPING), 0);
	world_end(&n.w);
}

/* Would catch: an address that an interface answers for which is not announced, is forwarded when nothing is mapped, or
 * is not translated; and what a chain at input gives out taken for an address of ours. */
static void test_answer_for(void **state)
{
	const uint32_t ours = IP4(203, 0, 113, 66);
	struct net n;
	struct send web = { .dst = IP4(203, 0, 113, 66), .proto = IPPROTO_NR_TCP, .sport = 4001, .dport = 80, .flags = TCP_SYN };
	struct send other = { .dst = IP4(203, 0, 113, 66), .proto = IPPROTO_NR_UDP, .sport = 4001, .dport = 80 };

	net_start(&n, LAN "interface wan0 { address 203.0.113.1/24; answer for 203.0.113.64/28, 203.0.113.80-203.0.113.82; }\n"
			  DEFAULT_ROUTE
		  "table ip t { chain pre { type nat hook prerouting priority dstnat;\n"
		  "  ip daddr 203.0.113.66 tcp dport 80 dnat to 10.77.0.2\n}\n"
		  "chain in { type nat hook input priority srcnat; snat to 203.0.113.99\n} }\n");
	assert_true(answers_for(&n, ours));
	assert_true(answers_for(&n, IP4(203, 0, 113, 82)));
	assert_false(answers_for(&n, IP4(203, 0, 113, 83)));
	assert_false(answers_for(&n, IP4(203, 0, 113, 99)));
	assert_int_equal(n.w.snapshot->ip.n_proxies, 1);
	struct packet *p = carry(&n, n.wan, &web, n.lan);
	assert_non_null(p);
	assert_int_equal(p->ip.dst, HOST1);
	assert_null(carry(&n, n.wan, &other, n.lan));
	assert_int_equal(world_dropped(&n.w, DROP_NAT_NO_MAPPING), 1);
	world_end(&n.w);
}

/* Would catch: a source that cannot have come in where it did, and is believed: another link's host, one of ours, a
 * broadcast address; and a source that is refused though it can: any beyond the uplink, class E, 0/8, a lowest address. */
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
		struct send s = { .src = row[i].src, .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };
		bool passes = row[i].reason == N_DROP_REASONS;
		uint64_t before = passes ? 0 : world_dropped(&n.w, row[i].reason);

		if ((carry(&n, n.wan, &s, n.lan) != NULL) != passes)
			fail_msg("row %zu", i);
		if (!passes)
			assert_int_equal(world_dropped(&n.w, row[i].reason), before + 1);
	}
	world_end(&n.w);
}

/* Would catch: destinations in class E, 0/8 or at the low end of a subnet that are not forwarded. */
static void test_destinations(void **state)
{
	static const uint32_t dst[] = { IP4(240, 0, 0, 1), IP4(0, 1, 2, 3), IP4(203, 0, 113, 0) };
	struct net n;

	net_start(&n, LAN WAN DEFAULT_ROUTE MASQUERADE);
	n.wan->addr = IP4(203, 0, 113, 0); /* answers ARP for the lowest address, too */
	for (size_t i = 0; i < ARRAY_LEN(dst); i++) {
		struct send s = { .dst = dst[i], .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };

		n.wan->addr = dst[i] == IP4(203, 0, 113, 0) ? dst[i] : PEER;
		struct packet *p = carry(&n, n.lan, &s, n.wan);

		assert_non_null(p);
		assert_int_equal(p->ip.dst, dst[i]);
	}
	world_end(&n.w);
}

/* Would catch: rpf words that do not say what they say, and the second of two uplinks shut by the first. */
static void test_rpf_words(void **state)
{
	static const struct {
		const char *word;
		bool inside, nowhere; /* what passes at the uplink: an inside source; one to which no route leads */
	} row[] = { { "", false, false }, { "rpf strict;", false, false }, { "rpf loose;", true, false }, { "rpf off;", true, true } };

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct send inside = { .src = IP4(10, 77, 0, 9), .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };
		struct send nowhere = inside;
		char text[512];
		struct net n;

		snprintf(text, sizeof(text), LAN "interface wan0 { address 203.0.113.1/24; %s }\n"
			 "route 198.51.100.0/24 via 203.0.113.254;\n", row[i].word);
		net_start(&n, text);
		nowhere.src = IP4(192, 0, 2, 1);
		assert_int_equal(carry(&n, n.wan, &inside, n.lan) != NULL, row[i].inside);
		assert_int_equal(carry(&n, n.wan, &nowhere, n.lan) != NULL, row[i].nowhere);
		world_end(&n.w);
	}

	struct net n;

	net_start(&n, LAN WAN "interface wan1 { address 192.0.2.1/24; }\n" DEFAULT_ROUTE
				"route 0.0.0.0/0 via 192.0.2.254 metric 10;\n" MASQUERADE);
	struct station *second = world_station(&n.w, "wan1", IP4(192, 0, 2, 254), NULL);
	struct send far = { .src = IP4(198, 51, 100, 7), .dst = HOST1, .proto = IPPROTO_NR_UDP, .sport = 9, .dport = 9 };

	world_run(&n.w, 5 * NS_PER_S);
	assert_non_null(carry(&n, second, &far, n.lan));
	far.src = IP4(10, 77, 0, 9);
	assert_null(carry(&n, second, &far, n.lan));
	far.src = PEER; /* the first uplink's own host */
	assert_null(carry(&n, second, &far, n.lan));
	assert_int_equal(world_dropped(&n.w, DROP_RPF), 2);
	world_end(&n.w);
}

/* Would catch: a check that comes too late: an inside host whose allowance somebody outside spends in its name. */
static void test_spoofed_source_and_limits(void **state)
{
	struct net n;
	struct send spoofed = { .src = HOST1, .dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .dport = 9 };
	struct send ping = { .dst = PEER, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .payload_len = 8 };

	net_start(&n, LAN WAN DEFAULT_ROUTE "conntrack { max per source 5; new per source 5; }\n" MASQUERADE);
	for (uint16_t i = 0; i < 50; i++) {
		spoofed.sport = (uint16_t)(1000 + i);
		station_send(n.wan, &spoofed);
	}
	world_run(&n.w, 20 * NS_PER_MS);
	assert_int_equal(world_dropped(&n.w, DROP_RPF), 50);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	assert_non_null(carry(&n, n.lan, &ping, n.wan));
	world_end(&n.w);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
