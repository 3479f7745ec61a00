/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cores from which modules are left out: a router, a firewall, and every other
 * choice.
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

#define CLIENT IP4(10, 77, 0, 2)
#define INSIDE IP4(10, 77, 0, 1)
#define SERVER IP4(203, 0, 113, 254)
#define OUTSIDE IP4(203, 0, 113, 1)

#define INTERFACES \
	"interface lan0 { address 10.77.0.1/24; }\n" \
	"interface wan0 { address 203.0.113.1/24; }\n"
#define FILTER \
	"table ip filter { chain forward { type filter hook forward priority filter; policy drop;\n" \
	"  ct state established accept\n  iifname \"lan0\" counter accept\n} }\n"
#define MASQUERADE \
	"table ip nat { chain post { type nat hook postrouting priority srcnat;\n" \
	"  oifname \"wan0\" masquerade\n} }\n"

struct net {
	struct fixture w;
	struct station *lan, *wan;
};

static void net_start(struct net *n, uint32_t modules, const char *config)
{
	fixture_start_of(&n->w, modules, config, NULL);
	n->lan = fixture_station(&n->w, "lan0", CLIENT, NULL);
	n->wan = fixture_station(&n->w, "wan0", SERVER, NULL);
	fixture_run(&n->w, 5 * NS_PER_S);
	station_clear(n->lan);
	station_clear(n->wan);
}

/* What comes of it at the other end. */
static struct packet *carry(struct net *n, struct station *from, const struct packet_spec *s)
{
	station_clear(n->lan);
	station_clear(n->wan);
	station_send(from, s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return station_next(from == n->lan ? n->wan : n->lan);
}

static const struct packet_spec query = {
	.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53, .payload_len = 8
};
static const struct packet_spec answer = {
	.dst = CLIENT, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = 4000, .payload_len = 8
};
static const struct packet_spec unasked = {
	.dst = CLIENT, .proto = IPPROTO_NR_UDP, .sport = 54, .dport = 4001, .payload_len = 8
};

/* Would catch: a core without connections that tracks, translates or filters all the same, does not forward both ways,
 * is no host, or misses a link that goes. */
static void test_router(void **state)
{
	struct packet_spec ping = {
		.dst = OUTSIDE, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .payload_len = 8
	};
	struct packet_spec last_hop = query;
	struct net n;

	net_start(&n, GATEWAY_ROUTER, INTERFACES FILTER MASQUERADE);
	assert_null(gateway_conntrack(n.w.gw));
	assert_null(gateway_nat(n.w.gw));
	assert_null(gateway_rules(n.w.gw));
	assert_null(gateway_flowcache(n.w.gw));

	const struct packet *p = carry(&n, n.wan, &unasked);

	assert_non_null(p);
	assert_int_equal(p->ip.ttl, 63);
	p = carry(&n, n.lan, &query);
	assert_non_null(p);
	assert_int_equal(p->ip.src, CLIENT);
	assert_int_equal(p->l4.sport, 4000);
	last_hop.ttl = 1;
	assert_null(carry(&n, n.lan, &last_hop));
	p = station_next(n.lan);
	assert_non_null(p);
	assert_int_equal(p->l4.type, ICMP_TIME_EXCEEDED);
	assert_int_equal(p->ip.src, INSIDE);
	(void)carry(&n, n.lan, &ping);
	p = station_next(n.lan);
	assert_non_null(p);
	assert_int_equal(p->l4.type, ICMP_ECHO_REPLY);
	ip_stack_device(gateway_ip(n.w.gw), n.wan->ifindex)->up = false;
	gateway_device_changed(n.w.gw, n.wan->ifindex, n.w.now);
	assert_null(carry(&n, n.lan, &query));
	p = station_next(n.lan);
	assert_non_null(p);
	assert_int_equal(p->l4.type, ICMP_DEST_UNREACHABLE);
	fixture_end(&n.w);
}

/* Would catch: rules, connections or the flow cache that only work with NAT beside them. */
static void test_firewall(void **state)
{
	struct net n;

	net_start(&n, GATEWAY_FIREWALL, INTERFACES FILTER);
	assert_non_null(gateway_conntrack(n.w.gw));
	assert_null(gateway_nat(n.w.gw));
	assert_null(carry(&n, n.wan, &unasked));
	assert_int_equal(fixture_dropped(&n.w, DROP_POLICY_DROP), 1);
	for (uint32_t i = 0; i < 5; i++) {
		const struct packet *p = carry(&n, n.lan, &query);

		assert_non_null(p);
		assert_int_equal(p->ip.src, CLIENT);
		assert_non_null(carry(&n, n.wan, &answer));
	}
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 1);
	assert_true(flowcache_counts(gateway_flowcache(n.w.gw))[FLOWCACHE_TAKEN] >= 6);
	assert_int_equal(fixture_rules_counted(&n.w), 1);
	fixture_end(&n.w);
}

/* Would catch: a module that is made without what it needs, or is not there though it was asked for. */
static void test_needs(void **state)
{
	static const struct gateway_limits small = { .packets = { .n_packets = 64, .n_small = 64, .n_large = 1 },
						     .conntrack = { .n_connections = 64 } };
	static const uint8_t seed[RNG_SEED_BYTES];
	struct gateway *g = gateway_create_of(1u << GATEWAY_NAT, &small, seed, 0, NULL, NULL);

	assert_non_null(g);
	assert_non_null(gateway_nat(g));
	assert_non_null(gateway_conntrack(g));
	assert_non_null(gateway_ip(g));
	assert_null(gateway_rules(g));
	assert_null(gateway_flowcache(g));
	assert_null(gateway_ping_sockets(g));
	gateway_destroy(g);
}

/* Would catch: any choice of modules that cannot be made, told, driven, changed or ended, or that loses a packet. */
static void test_every_choice(void **state)
{
	struct packet_spec ping = {
		.dst = INSIDE, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 7, .payload_len = 8
	};
	struct packet_spec fragment = {
		.dst = INSIDE, .proto = IPPROTO_NR_UDP, .sport = 3, .dport = 4, .mf = true, .payload_len = 16
	};
	struct packet_spec unknown = { .dst = IP4(203, 0, 113, 77), .proto = IPPROTO_NR_UDP, .sport = 1, .dport = 2 };

	for (uint32_t modules = 0; modules < 1u << N_GATEWAY_MODULES; modules++) {
		struct net n;

		net_start(&n, modules, INTERFACES FILTER MASQUERADE);
		(void)carry(&n, n.lan, &query);
		(void)carry(&n, n.wan, &unasked);
		(void)carry(&n, n.lan, &ping);
		assert_int_equal(fixture_reload(&n.w, INTERFACES FILTER), 0);
		(void)carry(&n, n.lan, &query);
		ip_stack_device(gateway_ip(n.w.gw), n.wan->ifindex)->up = false;
		gateway_device_changed(n.w.gw, n.wan->ifindex, n.w.now);
		(void)carry(&n, n.lan, &query);
		ip_stack_device(gateway_ip(n.w.gw), n.wan->ifindex)->up = true;
		gateway_device_changed(n.w.gw, n.wan->ifindex, n.w.now);
		/* Ended while one packet waits for a neighbour, and another, of a connection that is not confirmed
		 * yet, for its second fragment. */
		station_send(n.lan, &unknown);
		station_send(n.lan, &fragment);
		fixture_run(&n.w, NS_PER_MS);
		fixture_end(&n.w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_router),
		cmocka_unit_test(test_firewall),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_every_choice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
