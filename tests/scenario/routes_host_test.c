/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes that change while flows of the gateway's own host go on.
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
#include "stack/ip/local.h"

#define HOST IP4(192, 0, 2, 1) /* the gateway's own */
#define ROUTER1 IP4(192, 0, 2, 254)
#define ROUTER2 IP4(198, 51, 100, 254)

static const char config[] = "interface wan1 { address 192.0.2.1/24; }\n"
			     "interface wan2 { address 198.51.100.1/24; }\n"
			     "route 0.0.0.0/0 via 192.0.2.254;\n"
			     "route 0.0.0.0/0 via 198.51.100.254 metric 10;\n";

struct net {
	struct fixture w;
	struct station *router[2];
	struct rib *rib;
};

static void start(struct net *n, const char *text)
{
	fixture_start(&n->w, text, NULL);
	n->router[0] = fixture_station(&n->w, "wan1", ROUTER1, NULL);
	n->router[1] = fixture_station(&n->w, "wan2", ROUTER2, NULL);
	n->rib = n->w.snapshot->core.rib;
	fixture_run(&n->w, 5 * NS_PER_S);
}

static uint32_t server(uint32_t i)
{
	return IP4(44, i, 0, 9);
}

static void clear(struct net *n)
{
	station_clear(n->router[0]);
	station_clear(n->router[1]);
}

static uint64_t count(const struct net *n, enum flowcache_count c)
{
	return flowcache_counts(gateway_flowcache(n->w.gw))[c];
}

static struct rib_route told(uint32_t addr, uint8_t len, uint32_t gateway)
{
	return (struct rib_route){ .prefix = ip_prefix_v4(addr, len),
				   .source = RIB_BGP,
				   .distance = 20,
				   .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(gateway) } };
}

static void set(struct net *n, struct rib_route route)
{
	assert_int_equal(rib_set(n->rib, &route), 0);
	assert_int_equal(rib_flush(n->rib), 0);
	fixture_run(&n->w, 10 * NS_PER_MS);
}

static void deliver(void *ctx, struct batch *b)
{
	uint32_t *n_came = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		++*n_came;
		b->p[i]->verdict = VERDICT_DELIVERED;
	}
}

/* The router that the host's datagram to server i reaches; 2: none. */
static uint32_t host_out(struct net *n, uint32_t i)
{
	struct ip_stack *s = gateway_ip(n->w.gw);
	struct packet *p = ip_packet_new(s, HOST, server(i), IPPROTO_NR_UDP, UDP_HEADER_LEN);

	clear(n);
	assert_non_null(p);
	udp_emit(packet_l4(p), (uint16_t)(5000 + i), 53, 0);
	l4_checksum_set(&p->ip, packet_l4(p), UDP_HEADER_LEN);
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), UDP_HEADER_LEN, &p->l4), L4_OK);
	gateway_set_time(n->w.gw, n->w.now);
	ip_local_out_one(s, p);
	gateway_flush(n->w.gw, n->w.now);
	fixture_run(&n->w, 3 * NS_PER_MS);
	return station_next(n->router[0]) != NULL ? 0 : station_next(n->router[1]) != NULL ? 1 : 2;
}

static void host_back(struct net *n, uint32_t i, uint32_t by)
{
	struct packet_spec s = {
		.src = server(i), .dst = HOST, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = (uint16_t)(5000 + i)
	};

	station_send(n->router[by], &s);
	fixture_run(&n->w, 3 * NS_PER_MS);
}

/* Would catch: a flow of the host that goes on by its old way when a route leads it elsewhere, takes what may not come
 * in there any more, or loses its entries for a route that does not concern it. */
static void test_of_the_host(void **state)
{
	uint32_t n_came = 0;
	struct ip_protocol row = { .ctx = &n_came, .input = deliver, .unreachable = IP_UNREACHABLE_PORT };
	struct net n;

	start(&n, config);
	ip_stack_set_protocol(gateway_ip(n.w.gw), IPPROTO_NR_UDP, &row);
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 4; i++) {
			assert_int_equal(host_out(&n, i), 0);
			host_back(&n, i, 0);
		}
	uint64_t taken = count(&n, FLOWCACHE_TAKEN), installed = count(&n, FLOWCACHE_INSTALLED);

	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(host_out(&n, i), 0);
		host_back(&n, i, 0);
	}
	assert_int_equal(n_came, 12);
	assert_int_equal(count(&n, FLOWCACHE_TAKEN), taken + 8);

	set(&n, told(server(3), 16, ROUTER2));
	assert_int_equal(count(&n, FLOWCACHE_LED_ELSEWHERE), 2);
	host_back(&n, 3, 0);
	assert_int_equal(n_came, 12);
	assert_int_equal(fixture_dropped(&n.w, DROP_RPF), 1);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(host_out(&n, i), i == 3);
	host_back(&n, 3, 1);
	host_back(&n, 2, 0);
	assert_int_equal(n_came, 14);
	(void)host_out(&n, 3); /* the one before waited for the router's address */
	assert_int_equal(count(&n, FLOWCACHE_INSTALLED), installed + 2);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
