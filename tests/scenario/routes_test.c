/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes that change while flows go on: who follows, who does not notice, and flows
 * over several next hops.
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

#define CLIENT IP4(10, 77, 0, 2)
#define ROUTER1 IP4(192, 0, 2, 254)
#define ROUTER2 IP4(198, 51, 100, 254)
#define N_FLOWS 64u

static const char config[] = "interface lan0 { address 10.77.0.1/24; }\n"
			     "interface wan1 { address 192.0.2.1/24; }\n"
			     "interface wan2 { address 198.51.100.1/24; }\n"
			     "route 0.0.0.0/0 via 192.0.2.254;\n"
			     "route 0.0.0.0/0 via 198.51.100.254 metric 10;\n";

struct net {
	struct fixture w;
	struct station *client, *router[2];
	struct rib *rib;
};

static void start(struct net *n, const char *text)
{
	fixture_start(&n->w, text, NULL);
	n->client = fixture_station(&n->w, "lan0", CLIENT, NULL);
	n->router[0] = fixture_station(&n->w, "wan1", ROUTER1, NULL);
	n->router[1] = fixture_station(&n->w, "wan2", ROUTER2, NULL);
	n->rib = n->w.snapshot->core.rib;
	fixture_run(&n->w, 5 * NS_PER_S);
}

static uint32_t server(uint32_t i)
{
	return IP4(44, i, 0, 9);
}

/* Time for all flows to be held against the routes. */
static void sweep(struct net *n)
{
	fixture_run(&n->w, 220 * NS_PER_MS);
}

static void clear(struct net *n)
{
	station_clear(n->client);
	station_clear(n->router[0]);
	station_clear(n->router[1]);
}

/* The router that flow i's packet reaches; 2: none. */
static uint32_t out(struct net *n, uint32_t i)
{
	struct packet_spec s = {
		.dst = server(i), .proto = IPPROTO_NR_UDP, .sport = (uint16_t)(1000 + i), .dport = 53
	};

	clear(n);
	station_send(n->client, &s);
	fixture_run(&n->w, 3 * NS_PER_MS);
	return station_next(n->router[0]) != NULL ? 0 : station_next(n->router[1]) != NULL ? 1 : 2;
}

static bool back(struct net *n, uint32_t i, uint32_t by)
{
	struct packet_spec s = {
		.src = server(i), .dst = CLIENT, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = (uint16_t)(1000 + i)
	};

	clear(n);
	station_send(n->router[by], &s);
	fixture_run(&n->w, 3 * NS_PER_MS);
	return station_next(n->client) != NULL;
}

static uint64_t count(const struct net *n, enum flowcache_count c)
{
	return flowcache_counts(gateway_flowcache(n->w.gw))[c];
}

/* Each flow has its flow cache entry both ways. */
static void establish(struct net *n, uint32_t n_flows)
{
	for (uint32_t i = 0; i < n_flows; i++) {
		uint32_t by = out(n, i);

		assert_int_not_equal(by, 2);
		assert_true(back(n, i, by));
		assert_int_equal(out(n, i), by);
		assert_true(back(n, i, by));
	}
	uint64_t taken = count(n, FLOWCACHE_TAKEN);

	for (uint32_t i = 0; i < n_flows; i++)
		(void)out(n, i);
	assert_int_equal(count(n, FLOWCACHE_TAKEN), taken + n_flows);
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
	sweep(n);
}

/* Would catch: a flow that goes on by its old way when a longer prefix leads it elsewhere, or when that is withdrawn;
 * and any other flow that loses its flow cache entry for it. */
static void test_a_route_changes(void **state)
{
	struct net n;

	start(&n, config);
	establish(&n, 8);
	uint64_t installed = count(&n, FLOWCACHE_INSTALLED), invalidated = count(&n, FLOWCACHE_INVALIDATED);

	set(&n, told(server(3), 16, ROUTER2));
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(out(&n, i), i == 3);
	/* Both directions: answers may not come by the first any more. */
	assert_int_equal(count(&n, FLOWCACHE_LED_ELSEWHERE), 2);
	assert_true(back(&n, 3, 1));
	assert_int_equal(out(&n, 3), 1); /* the one before waited for the router's address */
	assert_int_equal(count(&n, FLOWCACHE_INSTALLED), installed + 2);
	struct rib_route gone = told(server(3), 16, 0);
	assert_int_equal(rib_unset(n.rib, &gone), 0);
	assert_int_equal(rib_flush(n.rib), 0);
	sweep(&n);
	assert_int_equal(out(&n, 3), 0);
	assert_int_equal(count(&n, FLOWCACHE_INVALIDATED), invalidated);

	/* A thousand that concern nobody. */
	installed = count(&n, FLOWCACHE_INSTALLED);
	for (uint32_t i = 0; i < 1000; i++) {
		struct rib_route other = told(IP4(60 + i % 4, i >> 2, 0, 0), 24, i % 2 ? ROUTER1 : ROUTER2);

		assert_int_equal(rib_set(n.rib, &other), 0);
		assert_int_equal(rib_flush(n.rib), 0);
		if (i % 100 == 0)
			fixture_run(&n.w, 2 * NS_PER_MS);
	}
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(out(&n, i), 0);
	assert_int_equal(count(&n, FLOWCACHE_INSTALLED), installed);
	fixture_end(&n.w);
}

/* Would catch: an established flow whose source may not come in there any more, and goes on; one that a blackhole or
 * the loss of all routes does not end. */
static void test_reverse_path_and_no_way(void **state)
{
	struct net n;
	struct rib_route hole = told(server(1), 16, 0);

	start(&n, config);
	establish(&n, 4);
	/* The client's network is elsewhere now. */
	set(&n, told(CLIENT, 32, ROUTER2));
	assert_int_equal(out(&n, 0), 2);
	assert_int_equal(fixture_dropped(&n.w, DROP_RPF), 1);
	struct rib_route gone = told(CLIENT, 32, 0);
	assert_int_equal(rib_unset(n.rib, &gone), 0);
	hole.nexthop = (struct fib_nexthop){ .kind = FIB_BLACKHOLE };
	set(&n, hole);
	assert_int_equal(out(&n, 0), 0);
	assert_int_equal(out(&n, 1), 2);
	assert_int_equal(fixture_dropped(&n.w, DROP_ROUTE_BLACKHOLE), 1);
	fixture_end(&n.w);
}

/* Would catch: a reload of the same config that takes away what others have told, or touches the FIB; one that loses a
 * route of its own; and routes of a config that was refused. */
static void test_reload(void **state)
{
	struct net n;
	char text[512];

	start(&n, config);
	set(&n, told(server(3), 16, ROUTER2));
	uint64_t version = atomic_load(rib_version(n.rib));
	assert_int_equal(fixture_reload(&n.w, config), 0);
	assert_ptr_equal(n.w.snapshot->core.rib, n.rib);
	assert_int_equal(atomic_load(rib_version(n.rib)), version);
	assert_int_equal(out(&n, 3), 1);
	snprintf(text, sizeof(text), "%sroute 44.5.0.0/16 via 198.51.100.254;\n", config);
	assert_int_equal(fixture_reload(&n.w, text), 0);
	assert_int_equal(out(&n, 5), 1);
	assert_int_equal(out(&n, 3), 1);
	snprintf(text, sizeof(text), "%sroute 44.0.0.0/8 via 9.9.9.9;\n", config);
	assert_int_equal(fixture_reload(&n.w, text), -1);
	assert_int_equal(out(&n, 5), 1);
	assert_int_equal(fixture_reload(&n.w, config), 0);
	assert_int_equal(out(&n, 5), 0);
	fixture_end(&n.w);
}

/* Would catch: flows that are not divided, that change their way for no reason, by their flow cache entry or by the
 * slow path, and flows of the others that move when one next hop is lost or back. */
static void test_several_paths(void **state)
{
	struct rib_path path[2] = { { .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(ROUTER1) }, .weight = 1 },
				    { .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(ROUTER2) },
				      .weight = 1 } };
	struct rib_route many = told(IP4(44, 0, 0, 0), 8, 0);
	struct ip_addr lost = ip_addr_v4(ROUTER2);
	uint32_t by[N_FLOWS], n_second = 0;
	struct net n;

	start(&n, config);
	many.n_paths = 2;
	many.path = path;
	set(&n, many);
	establish(&n, N_FLOWS);
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		by[i] = out(&n, i);
		n_second += by[i] == 1;
	}
	assert_in_range(n_second, N_FLOWS / 4, 3 * N_FLOWS / 4);
	flowcache_invalidate_all(gateway_flowcache(n.w.gw));
	for (uint32_t i = 0; i < N_FLOWS; i++)
		assert_int_equal(out(&n, i), by[i]);

	uint64_t led = count(&n, FLOWCACHE_LED_ELSEWHERE);
	assert_true(rib_neighbour_changed(n.rib, n.router[1]->ifindex, &lost, false));
	sweep(&n);
	assert_int_equal(count(&n, FLOWCACHE_LED_ELSEWHERE), led + n_second);
	for (uint32_t i = 0; i < N_FLOWS; i++)
		assert_int_equal(out(&n, i), 0);
	assert_true(rib_neighbour_changed(n.rib, n.router[1]->ifindex, &lost, true));
	sweep(&n);
	for (uint32_t i = 0; i < N_FLOWS; i++)
		assert_int_equal(out(&n, i), by[i]);
	fixture_end(&n.w);
}

/* Would catch: weights and paths of a config's route that do not reach the FIB, a gateway that others lead to taken for
 * nobody, and a reload that leaves the paths of before. */
static void test_paths_of_config(void **state)
{
	uint32_t n_second = 0;
	struct net n;
	char text[1024];

	snprintf(text, sizeof(text),
		 "%sroute 44.0.0.0/8 via 192.0.2.254 via 198.51.100.254 weight 3;\n"
		 "route 45.0.0.0/8 via 44.1.1.1 recursive;\n",
		 config);
	start(&n, text);
	establish(&n, N_FLOWS);
	for (uint32_t i = 0; i < N_FLOWS; i++)
		n_second += out(&n, i) == 1;
	assert_in_range(n_second, N_FLOWS / 2 + 4, N_FLOWS - 4);
	const struct fib *f = n.w.snapshot->core.ip.fib;
	const struct fib_route *r = fib_route(f, fib_lookup(f, IP4(45, 1, 1, 1)));

	assert_non_null(r->paths);
	n_second = 0;
	for (uint32_t b = 0; b < FIB_BUCKETS; b++)
		n_second += fib_path(r, b)->gateway.v4 == ROUTER2;
	assert_int_equal(n_second, FIB_BUCKETS * 3 / 4);
	assert_int_equal(fixture_reload(&n.w, config), 0);
	for (uint32_t i = 0; i < N_FLOWS; i++)
		assert_int_equal(out(&n, i), 0);
	fixture_end(&n.w);
}

/* More connections than a slice of the sweep looks at, each of one packet. */
#define N_BEFORE 600u

static void crowd(struct net *n)
{
	for (uint32_t i = 0; i < N_BEFORE; i++) {
		struct packet_spec s = {
			.dst = server(200), .proto = IPPROTO_NR_UDP, .sport = (uint16_t)(5000 + i), .dport = 53
		};

		station_send(n->client, &s);
		if (i % 32 == 31) {
			fixture_run(&n->w, NS_PER_MS);
			clear(n);
		}
	}
}

/* The same as out, without any time for a sweep. */
static uint32_t out_at_once(struct net *n, uint32_t i)
{
	struct packet_spec s = {
		.dst = server(i), .proto = IPPROTO_NR_UDP, .sport = (uint16_t)(1000 + i), .dport = 53
	};

	clear(n);
	station_send(n->client, &s);
	fixture_run(&n->w, 0);
	return station_next(n->router[0]) != NULL ? 0 : station_next(n->router[1]) != NULL ? 1 : 2;
}

/* Would catch: established flows by a next hop that is lost, which wait for the sweep; and flows by others that lose
 * their entries. Also with a link that is set down, and one whose device goes. */
static void test_lost_at_once(void **state)
{
	struct ip_addr lost = ip_addr_v4(ROUTER1);
	struct net n;

	start(&n, config);
	crowd(&n);
	set(&n, told(server(6), 16, ROUTER2));
	set(&n, told(server(7), 16, ROUTER2));
	(void)out(&n, 6); /* asks for the second router */
	establish(&n, 8);
	uint64_t invalidated = count(&n, FLOWCACHE_INVALIDATED);
	struct device *dev = ip_stack_device(gateway_ip(n.w.gw), n.router[0]->ifindex);

	for (int how = 0; how < 3; how++) {
		uint64_t led = count(&n, FLOWCACHE_LED_ELSEWHERE), installed = count(&n, FLOWCACHE_INSTALLED);

		dev->up = how != 1;
		if (how == 0)
			assert_true(rib_neighbour_changed(n.rib, n.router[0]->ifindex, &lost, false));
		else if (how == 1)
			gateway_device_changed(n.w.gw, n.router[0]->ifindex, n.w.now);
		else
			gateway_attach(n.w.gw, n.router[0]->ifindex, NULL, n.w.now);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(out_at_once(&n, i), 1);
		assert_int_equal(count(&n, FLOWCACHE_LED_ELSEWHERE), led);
		/* Of the six that had to, each its own direction. */
		assert_int_equal(count(&n, FLOWCACHE_INSTALLED), installed + 6);

		dev->up = true;
		if (how == 0)
			assert_true(rib_neighbour_changed(n.rib, n.router[0]->ifindex, &lost, true));
		else if (how == 1)
			gateway_device_changed(n.w.gw, n.router[0]->ifindex, n.w.now);
		else
			gateway_attach(n.w.gw, n.router[0]->ifindex, dev, n.w.now);
		sweep(&n);
		(void)out(&n, 0); /* its neighbours are asked again */
		for (uint32_t i = 0; i < 8; i++) {
			assert_int_equal(out(&n, i), i >= 6);
			assert_true(back(&n, i, i >= 6));
		}
		installed = count(&n, FLOWCACHE_INSTALLED);
		for (uint32_t i = 6; i < 8; i++)
			assert_int_equal(out(&n, i), 1);
		assert_int_equal(count(&n, FLOWCACHE_INSTALLED), installed);
	}
	assert_int_equal(count(&n, FLOWCACHE_INVALIDATED), invalidated);
	fixture_end(&n.w);
}

/* Would catch: a ring of lost next hops that is read behind its end, by who looks seldom. */
static void test_more_lost_than_told(void **state)
{
	struct net n;

	start(&n, config);
	establish(&n, 4);
	for (uint32_t i = 0; i <= LOST_HOPS; i++) {
		struct rib_route r = told(IP4(60, i, 0, 0), 16, IP4(192, 0, 2, 10) + i);
		struct ip_addr hop = r.nexthop.gateway;

		assert_int_equal(rib_set(n.rib, &r), 0);
		assert_int_equal(rib_flush(n.rib), 0);
		assert_true(rib_neighbour_changed(n.rib, n.router[0]->ifindex, &hop, false));
	}
	uint64_t invalidated = count(&n, FLOWCACHE_INVALIDATED);
	struct ip_addr lost = ip_addr_v4(ROUTER1);

	(void)rib_neighbour_changed(n.rib, n.router[0]->ifindex, &lost, false);
	(void)out(&n, 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(out(&n, i), 1);
	assert_int_equal(count(&n, FLOWCACHE_INVALIDATED), invalidated + 1);
	fixture_end(&n.w);
}

/* Would catch: flows by a recursive route that stay where they were when what leads to its gateway is taken away, or
 * when the neighbour behind it is lost. */
static void test_resolver_goes(void **state)
{
	struct rib_route far = told(IP4(44, 0, 0, 0), 8, IP4(9, 9, 9, 9)),
			 to_gateway = told(IP4(9, 9, 9, 0), 24, ROUTER2);
	struct rib_route wider = told(IP4(9, 0, 0, 0), 8, ROUTER1);
	struct ip_addr lost = ip_addr_v4(ROUTER2);
	struct net n;

	start(&n, config);
	far.recursive = true;
	assert_int_equal(rib_set(n.rib, &wider), 0);
	assert_int_equal(rib_set(n.rib, &far), 0);
	set(&n, to_gateway);
	(void)out(&n, 0);
	establish(&n, 8);
	assert_int_equal(out(&n, 0), 1);
	/* The neighbour is lost: the route is, and the default route has its packets, at once. */
	assert_true(rib_neighbour_changed(n.rib, n.router[1]->ifindex, &lost, false));
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(out_at_once(&n, i), 0);
	assert_true(rib_neighbour_changed(n.rib, n.router[1]->ifindex, &lost, true));
	sweep(&n);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(out(&n, i), 1);
	/* The resolver goes: a wider one leads elsewhere. */
	assert_int_equal(rib_unset(n.rib, &to_gateway), 0);
	assert_int_equal(rib_flush(n.rib), 0);
	sweep(&n);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(out(&n, i), 0);
	fixture_end(&n.w);
}

/* Routes, next hops and links flap while flows are sent. Would catch: a flow that is left behind by some history, or a
 * packet that is lost though there was a way; and others' flows that lose their entries, but for the neighbour's
 * generation that comes round (once in 128 losses). */
static void test_flaps(void **state)
{
	struct rng rng;
	uint8_t seed[RNG_SEED_BYTES] = { 5 };
	bool up[2] = { true, true }, is_set[4] = { false };
	uint32_t n_lost = 0;
	struct net n;

	rng_init(&rng, seed);
	start(&n, config);
	crowd(&n);
	establish(&n, 8);
	for (uint32_t i = 0; i < 8; i++) { /* both routers are known */
		set(&n, told(server(i), 16, ROUTER2));
		(void)out(&n, i);
	}
	for (uint32_t i = 0; i < 8; i++) {
		struct rib_route gone = told(server(i), 16, ROUTER2);

		assert_int_equal(rib_unset(n.rib, &gone), 0);
	}
	assert_int_equal(rib_flush(n.rib), 0);
	sweep(&n);
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t r = rng_below(&rng, 2), i = rng_below(&rng, 4);
		struct ip_addr hop = ip_addr_v4(r == 0 ? ROUTER1 : ROUTER2);
		struct rib_route route = told(server(i), 16, ROUTER2);

		if (rng_below(&rng, 3) > 0) {
			assert_int_equal(is_set[i] ? rib_unset(n.rib, &route) : rib_set(n.rib, &route), 0);
			assert_int_equal(rib_flush(n.rib), 0);
			is_set[i] = !is_set[i];
		} else if (!up[r] || up[!r]) {
			up[r] = !up[r];
			n_lost += !up[r];
			assert_true(rib_neighbour_changed(n.rib, n.router[r]->ifindex, &hop, up[r]));
		}
		/* In the middle of it a flow goes some way; by a lost neighbour it does not. */
		uint32_t flow = rng_below(&rng, 8), by = out_at_once(&n, flow);

		assert_in_range(by, 0, 1);
		assert_true(up[by]);
		if (round % 50 != 49)
			continue;
		sweep(&n);
		for (uint32_t k = 0; k < 8; k++)
			assert_int_equal(out(&n, k), !up[0] || (up[1] && k < 4 && is_set[k]));
	}
	assert_in_range(count(&n, FLOWCACHE_INVALIDATED), 0, 3 + n_lost / IP_ADJACENCY_GENERATIONS);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_at_once),    cmocka_unit_test(test_more_lost_than_told),
		cmocka_unit_test(test_resolver_goes),   cmocka_unit_test(test_flaps),
		cmocka_unit_test(test_a_route_changes), cmocka_unit_test(test_reverse_path_and_no_way),
		cmocka_unit_test(test_reload),          cmocka_unit_test(test_several_paths),
		cmocka_unit_test(test_paths_of_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
