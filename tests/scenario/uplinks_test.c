/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Links that come and go under routes and connections: two uplinks, of which the
 * better one fails, and a LAN that is cut off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"

#define HOST IP4(10, 77, 0, 10)
#define GATE1 IP4(203, 0, 113, 254)
#define GATE2 IP4(198, 51, 100, 254)
#define WAN0 IP4(203, 0, 113, 1)
#define WAN1 IP4(198, 51, 100, 1)
#define FAR IP4(192, 0, 2, 100)

static const char config[] = "interface lan0 { address 10.77.0.1/24; }\n"
			     "interface wan0 { address 203.0.113.1/24; }\n"
			     "interface wan1 { address 198.51.100.1/24; }\n"
			     "route 0.0.0.0/0 via 203.0.113.254 metric 10;\n"
			     "route 0.0.0.0/0 via 198.51.100.254 metric 20;\n"
			     "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			     " oifname { \"wan0\", \"wan1\" } masquerade\n"
			     "} }\n";

struct net {
	struct fixture w;
	struct station *lan, *wan0, *wan1;
};

static void net_start(struct net *n)
{
	fixture_start(&n->w, config, NULL);
	n->lan = fixture_station(&n->w, "lan0", HOST, NULL);
	n->wan0 = fixture_station(&n->w, "wan0", GATE1, NULL);
	n->wan1 = fixture_station(&n->w, "wan1", GATE2, NULL);
	fixture_run(&n->w, 5 * NS_PER_S);
	station_clear(n->lan);
	station_clear(n->wan0);
	station_clear(n->wan1);
}

static void link_set(struct net *n, const struct station *s, bool up)
{
	ip_stack_device(gateway_ip(n->w.gw), s->ifindex)->up = up;
	gateway_device_changed(n->w.gw, s->ifindex, n->w.now);
}

static struct packet *carry(struct net *n, struct station *from, const struct packet_spec *s, struct station *at)
{
	station_send(from, s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return station_next(at);
}

static void answered(struct net *n, struct station *wan, const struct packet *q)
{
	const struct packet_spec back = { .src = FAR,
					  .dst = q->ip.src,
					  .proto = IPPROTO_NR_UDP,
					  .sport = q->l4.dport,
					  .dport = q->l4.sport,
					  .payload_len = 9 };
	struct packet *p = carry(n, wan, &back, n->lan);

	assert_non_null(p);
	assert_int_equal(p->ip.dst, HOST);
}

static const struct packet_spec ask = {
	.dst = FAR, .proto = IPPROTO_NR_UDP, .sport = 5060, .dport = 5060, .payload_len = 8
};

/* Would catch: a default route that stays while its link is down or does not come back, a running flow that stays on
 * the dead uplink, and one that leaves by an uplink with the other one's address: also the second packet of the batch
 * in which that is found. */
static void test_uplinks(void **state)
{
	struct net n;

	net_start(&n);
	for (int round = 0; round < 2; round++) {
		struct packet *p = carry(&n, n.lan, &ask, n.wan0);

		/* The first packet after a change of routes may be what ends the old connection. */
		if (round > 0) {
			assert_null(p);
			p = carry(&n, n.lan, &ask, n.wan0);
		}
		assert_non_null(p);
		assert_int_equal(p->ip.src, WAN0);
		answered(&n, n.wan0, p);
		link_set(&n, n.wan0, false);
		for (int i = 0; i < 3; i++)
			station_send(n.lan, &ask);
		fixture_run(&n.w, 20 * NS_PER_MS);
		assert_null(station_next(n.wan1)); /* one batch: all of it was of the connection that ended */
		p = carry(&n, n.lan, &ask, n.wan1);
		assert_non_null(p);
		assert_int_equal(p->ip.src, WAN1);
		answered(&n, n.wan1, p);
		link_set(&n, n.wan0, true);
	}
	assert_int_equal(fixture_dropped(&n.w, DROP_NAT_ROUTE_CHANGED), 7);
	assert_int_equal(n.w.last_event[EVENT_CONN_END].reason, CT_END_ROUTE);
	fixture_end(&n.w);
}

/* Would catch: a reload that forgets which links are down. */
static void test_reload(void **state)
{
	struct net n;

	net_start(&n);
	link_set(&n, n.wan0, false);
	assert_int_equal(fixture_reload(&n.w, config), 0);
	assert_non_null(carry(&n, n.lan, &ask, n.wan1));
	link_set(&n, n.wan0, true);
	(void)carry(&n, n.lan, &ask, n.wan0);
	assert_non_null(carry(&n, n.lan, &ask, n.wan0));
	/* A device that is taken away is no link either. */
	gateway_attach(n.w.gw, n.wan0->ifindex, NULL, n.w.now);
	(void)carry(&n, n.lan, &ask, n.wan1);
	assert_non_null(carry(&n, n.lan, &ask, n.wan1));
	fixture_end(&n.w);
}

/* Would catch: what is for our own hosts going to the Internet while their link is down, or refused without a word to
 * its sender. */
static void test_cut_off(void **state)
{
	struct net n;
	struct packet *p;

	net_start(&n);
	link_set(&n, n.wan1, false);
	const struct packet_spec to_dead = {
		.dst = IP4(198, 51, 100, 77), .proto = IPPROTO_NR_UDP, .sport = 7, .dport = 7
	};

	p = carry(&n, n.lan, &to_dead, n.lan);
	assert_non_null(p);
	assert_int_equal(p->ip.proto, IPPROTO_NR_ICMP);
	assert_int_equal(p->l4.type, ICMP_DEST_UNREACHABLE);
	assert_int_equal(p->l4.code, ICMP_HOST_UNREACHABLE);
	assert_int_equal(fixture_dropped(&n.w, DROP_TX_DOWN), 1);
	assert_null(station_next(n.wan0));
	link_set(&n, n.wan0, false);
	p = carry(&n, n.lan, &ask, n.lan);
	assert_non_null(p);
	assert_int_equal(p->l4.type, ICMP_DEST_UNREACHABLE);
	assert_int_equal(p->l4.code, ICMP_NET_UNREACHABLE); /* no way at all */
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uplinks),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
