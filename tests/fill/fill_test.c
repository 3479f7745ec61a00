/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Port fill: every port of an address can be used, and nothing more is promised.
 *
 *   one destination    64,512 of 64,512 flows from one client to one server, through
 *                      a pool of one address, through masquerade, over TCP and over
 *                      UDP; the next one is refused: a named drop, ICMP 3/13 to the
 *                      client, one event
 *   many destinations  17 times as many through the same address: over a million
 *   published port     over a million inbound connections to one port, which take
 *                      nothing from the address
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"
#include "stack/wire/icmp.h"

#define N_DESTINATIONS 17u
#define N_INBOUND (1u << 20)
#define CLIENT IP4(10, 77, 0, 2)
#define SERVER IP4(198, 51, 100, 1)
#define POOL_ADDRESS IP4(203, 0, 113, 16)
#define WAN_ADDRESS IP4(203, 0, 113, 1)

#define POSTROUTING "chain post { type nat hook postrouting priority srcnat; policy accept; oifname \"wan0\" "

static const char pool_rules[] = "pool one { 203.0.113.16; ports 1024-65535; }\n"
				 "table ip nat { " POSTROUTING "snat to pool one\n } }\n";
static const char masquerade_rules[] = "table ip nat { " POSTROUTING "masquerade\n } }\n";
static const char published_rules[] =
	"table ip nat {\n"
	"  chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
	"    iifname \"wan0\" ip daddr 203.0.113.1 tcp dport 8080 dnat to 10.77.0.10:80\n  }\n"
	"  " POSTROUTING "masquerade\n }\n}\n";

/* What came out towards each destination. */
struct census {
	uint32_t address; /* the only source that may appear */
	uint32_t n_destinations;
	uint64_t n[N_DESTINATIONS];
	uint64_t port[N_DESTINATIONS][65536 / 64];
	uint32_t replied_to; /* the last packet towards the inside or out of the published port */
	uint16_t replied_sport;
};

static void count_port(struct fixture *b, enum side side, const struct ipv4_view *ip, const struct l4_view *l4)
{
	struct census *c = b->ctx;
	uint32_t d = ip->dst - SERVER;

	if (side != WAN)
		return;
	assert_true(d < c->n_destinations);
	assert_int_equal(ip->src, c->address);
	assert_true(l4->sport >= PORTS_FIRST);
	if (c->port[d][l4->sport / 64] >> (l4->sport % 64) & 1)
		fail_msg("port %u serves two flows to destination %u", l4->sport, d);
	c->port[d][l4->sport / 64] |= UINT64_C(1) << (l4->sport % 64);
	c->n[d]++;
}

/* The k-th flow to a destination: every source port of the client is used once. */
static struct flow outward(uint8_t proto, uint32_t d, uint32_t k)
{
	return (struct flow){ .src = CLIENT + k / N_PORTS,
			      .dst = SERVER + d,
			      .sport = (uint16_t)(PORTS_FIRST + k % N_PORTS),
			      .dport = 443,
			      .proto = proto };
}

/* All ports towards one destination, and then one flow too many. */
static void fill_one(struct fixture *b, struct census *c, uint8_t proto, uint32_t d)
{
	uint64_t dropped = fixture_dropped(b, DROP_NAT_EXHAUSTED);

	for (uint32_t k = 0; k < N_PORTS; k++) {
		struct flow f = outward(proto, d, k);
		fixture_put(b, LAN, &f, 0);
	}
	fixture_settle(b);
	assert_int_equal(c->n[d], N_PORTS);
	assert_int_equal(fixture_dropped(b, DROP_NAT_EXHAUSTED), dropped);
}

static void refuse_one(struct fixture *b, struct census *c, uint8_t proto, uint32_t d)
{
	uint64_t dropped = fixture_dropped(b, DROP_NAT_EXHAUSTED);
	struct flow f = outward(proto, d, N_PORTS);

	fixture_put(b, LAN, &f, 0);
	fixture_settle(b);
	assert_int_equal(c->n[d], N_PORTS);
	assert_int_equal(fixture_dropped(b, DROP_NAT_EXHAUSTED), dropped + 1);
}

static void fill_and_refuse(const char *rules, uint32_t address, uint8_t proto, const char *name)
{
	struct fixture *b = fixture_start(rules, 70000);
	struct census *c = calloc(1, sizeof(*c));
	struct nat_pool_info pools;

	assert_non_null(c);
	c->address = address;
	c->n_destinations = 1;
	b->ctx = c;
	b->seen = count_port;
	fill_one(b, c, proto, 0);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(b->gw)), N_PORTS);
	pools = fixture_pools(b);
	assert_int_equal(proto == IPPROTO_NR_TCP ? pools.n_used_tcp : pools.n_used_udp, N_PORTS);
	assert_int_equal(pools.n_ports, N_PORTS);
	assert_int_equal(pools.n_refused, 0);
	assert_int_equal(b->n_exhausted_events, 0);
	assert_int_equal(b->end[LAN].n_sent[0], 0);

	refuse_one(b, c, proto, 0);
	assert_int_equal(b->end[LAN].n_sent[1], 1);
	assert_int_equal(b->error_type, ICMP_DEST_UNREACHABLE);
	assert_int_equal(b->error_code, ICMP_ADMIN_PROHIBITED);
	assert_int_equal(b->error_to, CLIENT + 1);
	assert_int_equal(b->n_exhausted_events, 1);
	assert_string_equal(b->last_exhausted.text, name);
	assert_int_equal(b->last_exhausted.addr.v4, address);
	/* Every further one is refused and counted; the event is not repeated within the second. */
	for (uint32_t i = 0; i < 100; i++)
		refuse_one(b, c, proto, 0);
	assert_int_equal(b->n_exhausted_events, 1);
	assert_int_equal(fixture_pools(b).n_refused, 101);
	/* The refused ones left no trace. */
	assert_int_equal(conntrack_n_connections(gateway_conntrack(b->gw)), N_PORTS);
	fixture_stop(b);
	free(c);
}

/* Would catch: a port that the pick cannot reach, a flow refused while a port is
 * free (VPP's ten tries), a port given out twice, a refusal that nobody hears of,
 * one that leaves its connection behind. */
static void test_pool_tcp(void **state)
{
	fill_and_refuse(pool_rules, POOL_ADDRESS, IPPROTO_NR_TCP, "one");
}

static void test_pool_udp(void **state)
{
	fill_and_refuse(pool_rules, POOL_ADDRESS, IPPROTO_NR_UDP, "one");
}

static void test_masquerade_tcp(void **state)
{
	fill_and_refuse(masquerade_rules, WAN_ADDRESS, IPPROTO_NR_TCP, "wan0");
}

static void test_masquerade_udp(void **state)
{
	fill_and_refuse(masquerade_rules, WAN_ADDRESS, IPPROTO_NR_UDP, "wan0");
}

/* Would catch: a port that is spent once and for all instead of once a
 * destination, one given out twice towards the same destination, a destination
 * that is refused while it has a port left. */
static void test_many_destinations(void **state)
{
	uint32_t n = N_DESTINATIONS;
	struct fixture *b = fixture_start(pool_rules, n * N_PORTS + 1000);
	struct census *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->address = POOL_ADDRESS;
	c->n_destinations = n;
	b->ctx = c;
	b->seen = count_port;
	for (uint32_t d = 0; d < n; d++)
		fill_one(b, c, IPPROTO_NR_TCP, d);
	for (uint32_t d = 0; d < n; d++)
		refuse_one(b, c, IPPROTO_NR_TCP, d);
	print_message("%u flows through one address\n", conntrack_n_connections(gateway_conntrack(b->gw)));
	assert_int_equal(conntrack_n_connections(gateway_conntrack(b->gw)), n * N_PORTS);
	assert_int_equal(fixture_pools(b).n_used_tcp, N_PORTS);
	fixture_stop(b);
	free(c);
}

static void count_inward(struct fixture *b, enum side side, const struct ipv4_view *ip, const struct l4_view *l4)
{
	struct census *c = b->ctx;

	if (side == LAN) {
		assert_int_equal(ip->dst, IP4(10, 77, 0, 10));
		assert_int_equal(l4->dport, 80);
		c->n[0]++;
	} else {
		c->replied_to = ip->dst;
		c->replied_sport = l4->sport;
		assert_int_equal(ip->src, WAN_ADDRESS);
	}
}

/* Would catch: an inbound connection that takes a port of the address, so that
 * the gateway's own clients starve; a limit of 64K connections to one published
 * port; a reply that does not come from the published port. */
static void test_published_port(void **state)
{
	uint32_t n = N_INBOUND;
	struct fixture *b = fixture_start(published_rules, n + N_PORTS + 1000);
	struct census *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	b->ctx = c;
	b->seen = count_inward;
	for (uint32_t k = 0; k < n; k++) {
		struct flow f = { .src = IP4(192, 0, 2, 0) + k / 32768,
				  .dst = WAN_ADDRESS,
				  .sport = (uint16_t)(32768 + k % 32768),
				  .dport = 8080,
				  .proto = IPPROTO_NR_TCP };
		fixture_put(b, WAN, &f, 0);
	}
	fixture_settle(b);
	print_message("%u connections to one published port\n", conntrack_n_connections(gateway_conntrack(b->gw)));
	assert_int_equal(c->n[0], n);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(b->gw)), n);
	assert_int_equal(fixture_pools(b).n_used_tcp, 0);
	fixture_check_law(b);
	for (uint32_t k = 0; k < n; k += n / 100) {
		struct flow f = { .src = IP4(10, 77, 0, 10),
				  .dst = IP4(192, 0, 2, 0) + k / 32768,
				  .sport = 80,
				  .dport = (uint16_t)(32768 + k % 32768),
				  .proto = IPPROTO_NR_TCP };
		fixture_put(b, LAN, &f, TCP_SYN | TCP_ACK);
		fixture_settle(b);
		assert_int_equal(c->replied_to, f.dst);
		assert_int_equal(c->replied_sport, 8080);
	}
	/* The address still has every port for whoever goes out. */
	memset(c, 0, sizeof(*c));
	c->address = WAN_ADDRESS;
	c->n_destinations = 1;
	b->seen = count_port;
	fill_one(b, c, IPPROTO_NR_TCP, 0);
	refuse_one(b, c, IPPROTO_NR_TCP, 0);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(b->gw)), n + N_PORTS);
	fixture_stop(b);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_tcp),          cmocka_unit_test(test_pool_udp),
		cmocka_unit_test(test_masquerade_tcp),    cmocka_unit_test(test_masquerade_udp),
		cmocka_unit_test(test_many_destinations), cmocka_unit_test(test_published_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
