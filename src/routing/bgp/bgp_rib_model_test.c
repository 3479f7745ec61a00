/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes, links, neighbours and paths come and go at random; when all has settled, every address is forwarded as a slow
 * model of the rules says, which knows nothing but what is there at that moment. Without an argument the seed is drawn
 * and printed; with one it is that.
 */
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "routing/bgp/bgp_rib_test.h"

#define N_EXTERNAL 3u
#define N_SOURCES 5u
#define N_PREFIXES 26u
#define N_HOPS 12u
#define N_ROUTES 14u /* OSPF's and static ones */
#define N_STEPS 4000u

/* Of BGP and of others, with next hops in some of them. */
static const struct ip4_prefix prefixes[N_PREFIXES] = {
	{ IP4(44, 0, 0, 0), 8 },    { IP4(44, 1, 0, 0), 16 },    { IP4(44, 1, 2, 0), 24 },
	{ IP4(44, 1, 2, 3), 32 },   { IP4(45, 0, 0, 0), 8 },     { IP4(45, 0, 0, 0), 16 },
	{ IP4(45, 0, 0, 0), 24 },   { IP4(10, 255, 0, 0), 24 },  { IP4(10, 255, 0, 0), 16 },
	{ IP4(10, 255, 0, 1), 32 }, { IP4(10, 255, 0, 2), 32 },  { IP4(10, 0, 1, 0), 24 },
	{ IP4(10, 0, 1, 9), 32 },   { IP4(10, 0, 0, 0), 8 },     { IP4(46, 0, 0, 0), 8 },
	{ IP4(46, 1, 0, 0), 16 },   { IP4(47, 0, 0, 0), 8 },     { IP4(47, 7, 0, 0), 20 },
	{ IP4(47, 7, 8, 0), 22 },   { IP4(48, 0, 0, 0), 12 },    { 0, 0 },
	{ IP4(10, 254, 0, 0), 16 }, { IP4(10, 254, 1, 0), 24 },  { IP4(10, 254, 1, 1), 32 },
	{ IP4(192, 0, 2, 0), 25 },  { IP4(192, 0, 2, 128), 25 },
};
static const uint32_t hops[N_HOPS] = {
	IP4(10, 0, 1, 9),   IP4(10, 0, 2, 9),   IP4(10, 0, 3, 9),   IP4(10, 0, 4, 9),
	IP4(10, 255, 0, 1), IP4(10, 255, 0, 2), IP4(10, 255, 0, 3), IP4(44, 1, 2, 3),
	IP4(45, 0, 0, 5),   IP4(10, 254, 1, 1), IP4(46, 1, 1, 1),   IP4(99, 9, 9, 9),
};

struct said {
	uint32_t hop; /* its number and 1; 0: nothing */
	uint32_t n_hops, local_pref;
};

static struct world {
	struct bgp_rib_bed d;
	struct rng rng;
	struct said said[N_SOURCES][N_PREFIXES];
	bool is_dropping[N_SOURCES];
	struct rib_route route[N_ROUTES];
	uint32_t of_prefix[N_ROUTES];
	bool has_route[N_ROUTES];
	bool is_down[TEST_LINKS + 1]; /* links */
	bool is_lost[N_HOPS];         /* of the first four, on their links */
	bool shares;                  /* all that are as good as the best one */
} w;

/* --- the model --- */

struct next {
	uint32_t ifindex, gateway; /* ifindex 0: none */
	uint32_t cost;
};

/* What a path is, for the decision. */
static struct bgp_set set_of(const struct said *s, uint32_t source)
{
	return (struct bgp_set){ .local_pref = source < N_EXTERNAL ? 100 : s->local_pref,
				 .n_hops = (uint16_t)s->n_hops,
				 .neighbor_as = 70001 + source };
}

/* Sources of a prefix, the best first. cost NULL: all next hops alike; else BGP_COST_NONE is out. How many. */
static uint32_t order_of(uint32_t prefix, const uint32_t *cost, uint32_t out[N_SOURCES])
{
	struct bgp_set set[N_SOURCES];
	struct bgp_candidate c[N_SOURCES];
	uint32_t who[N_SOURCES], n = 0, n_out = 0;

	for (uint32_t i = 0; i < N_SOURCES; i++) {
		const struct said *s = &w.said[i][prefix];

		if (s->hop == 0 || (cost != NULL && cost[s->hop - 1] == BGP_COST_NONE))
			continue;
		set[i] = set_of(s, i);
		c[n] = (struct bgp_candidate){ &set[i], bgp_table_source(w.d.table, i),
					       cost != NULL ? cost[s->hop - 1] : 0 };
		who[n++] = i;
	}
	while (n > 0) {
		uint8_t best = bgp_decide(BGP_MED_SAME_AS, c, n).best;

		out[n_out++] = who[best];
		c[best] = c[--n];
		who[best] = who[n];
	}
	return n_out;
}

/* The next hop by which the first of several that share goes: that with the lowest address. */
static uint32_t first_hop(uint32_t prefix, const uint32_t *cost, uint32_t best)
{
	struct bgp_set set[N_SOURCES];
	struct bgp_candidate c[N_SOURCES];
	uint32_t who[N_SOURCES], n = 0, hop = w.said[best][prefix].hop - 1;
	uint8_t equal[N_SOURCES];

	for (uint32_t i = 0; i < N_SOURCES; i++) {
		const struct said *s = &w.said[i][prefix];

		if (s->hop == 0 || cost[s->hop - 1] == BGP_COST_NONE)
			continue;
		set[i] = set_of(s, i);
		c[n] = (struct bgp_candidate){ &set[i], bgp_table_source(w.d.table, i), cost[s->hop - 1] };
		who[n++] = i;
	}
	n = bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_RELAX, c, n, equal, N_SOURCES);
	for (uint32_t i = 0; i < n && w.shares; i++)
		if (hops[w.said[who[equal[i]]][prefix].hop - 1] < hops[hop])
			hop = w.said[who[equal[i]]][prefix].hop - 1;
	return hop;
}

static uint8_t distance_of(uint32_t source)
{
	return source < N_EXTERNAL ? 20 : 200;
}

/* The link that an address lies on; 0: none. */
static uint32_t link_of(uint32_t addr)
{
	for (uint32_t i = 1; i <= TEST_LINKS; i++)
		if (addr >> 8 == IP4(10, 0, i, 0) >> 8)
			return i;
	return 0;
}

/* Of a route that is not BGP's, by its own rule: the gateway is a neighbour. */
static struct next next_of_route(uint32_t i)
{
	uint32_t gateway = w.route[i].nexthop.gateway.v4;

	return (struct next){ link_of(gateway), gateway, w.route[i].metric };
}

/* All routes to a prefix but BGP's in order, then numbers from N_ROUTES on are links. */
static uint32_t others_of(uint32_t prefix, uint32_t out[N_ROUTES + TEST_LINKS])
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= TEST_LINKS; i++)
		if (prefixes[prefix].len == 24 && prefixes[prefix].addr == IP4(10, 0, i, 0))
			out[n++] = N_ROUTES + i;
	/* Static ones first; metrics are as the numbers. */
	for (uint32_t k = 0; k < 2 * N_ROUTES; k++) {
		uint32_t i = k % N_ROUTES;

		if (w.has_route[i] && w.of_prefix[i] == prefix && (w.route[i].distance == 1) == (k < N_ROUTES))
			out[n++] = i;
	}
	return n;
}

static struct next resolve(uint32_t hop, uint32_t *stack, uint32_t depth);

/* Through one prefix; true: it says where to, if anywhere. */
static bool resolve_by(uint32_t prefix, uint32_t hop, uint32_t *stack, uint32_t depth, struct next *out)
{
	uint32_t other[N_ROUTES + TEST_LINKS], fed[N_SOURCES];
	uint32_t n_others = others_of(prefix, other), n_fed = order_of(prefix, NULL, fed), o = 0, f = 0;
	bool itself = false;

	*out = (struct next){ .ifindex = 0 };
	while (o < n_others || f < n_fed) {
		bool is_fed = o == n_others ||
			      (f < n_fed && other[o] < N_ROUTES && w.route[other[o]].distance > distance_of(fed[0]));

		if (!is_fed && other[o] > N_ROUTES) {
			*out = (struct next){ other[o] - N_ROUTES, hops[hop], 0 };
		} else if (!is_fed) {
			*out = next_of_route(other[o]);
		} else {
			uint32_t by = w.said[fed[f]][prefix].hop - 1;
			bool is_on_way = false;

			for (uint32_t i = 0; i < depth; i++)
				is_on_way |= stack[i] == by;
			itself |= is_on_way;
			*out = is_on_way || depth > 8 ? (struct next){ .ifindex = 0 } : resolve(by, stack, depth);
		}
		if (out->ifindex != 0)
			return true;
		is_fed ? f++ : o++;
	}
	return itself;
}

static struct next resolve(uint32_t hop, uint32_t *stack, uint32_t depth)
{
	struct next out = { .ifindex = 0 };

	stack[depth++] = hop;
	for (uint8_t len = 32; len > 0; len--) {
		for (uint32_t p = 0; p < N_PREFIXES; p++)
			if (prefixes[p].len == len && ip4_in(hops[hop], prefixes[p]) &&
			    resolve_by(p, hop, stack, depth, &out))
				return out;
		/* Links whose prefix is not in the list. */
		if (len == 24 && link_of(hops[hop]) > 1)
			return (struct next){ link_of(hops[hop]), hops[hop], 0 };
	}
	return (struct next){ .ifindex = 0 };
}

static bool is_up(struct next n)
{
	for (uint32_t i = 0; i < 4; i++)
		if (w.is_lost[i] && n.gateway == hops[i])
			return false;
	return n.ifindex != 0 && !w.is_down[n.ifindex];
}

/* How packets to a prefix go; false: not by it. */
static bool forward_by(uint32_t prefix, uint32_t addr, const struct next *hop, const uint32_t *cost, uint32_t *gateway)
{
	uint32_t other[N_ROUTES + TEST_LINKS], fed[N_SOURCES];
	uint32_t n_others = others_of(prefix, other), n_fed = min_u32(2, order_of(prefix, cost, fed)), o = 0, f = 0;

	while (o < n_others || f < n_fed) {
		bool is_fed = o == n_others ||
			      (f < n_fed && other[o] < N_ROUTES && w.route[other[o]].distance > distance_of(fed[0]));
		struct next n = { .ifindex = 0 };

		if (is_fed)
			n = hop[f == 0 ? first_hop(prefix, cost, fed[0]) : w.said[fed[f]][prefix].hop - 1];
		else if (other[o] > N_ROUTES)
			n = (struct next){ other[o] - N_ROUTES, 0, 0 };
		else
			n = next_of_route(other[o]);
		if (is_up(n)) {
			*gateway = n.gateway;
			return true;
		}
		is_fed ? f++ : o++;
	}
	/* Our own hosts are not looked for elsewhere. */
	*gateway = 0;
	return n_others > 0 && other[0] > N_ROUTES;
}

static uint32_t gateway_of(uint32_t addr, const struct next *hop, const uint32_t *cost)
{
	uint32_t gateway;

	for (int len = 32; len >= 0; len--) {
		for (uint32_t p = 0; p < N_PREFIXES; p++)
			if (prefixes[p].len == (uint8_t)len && ip4_in(addr, prefixes[p]) &&
			    forward_by(p, addr, hop, cost, &gateway))
				return gateway;
		if (len == 24 && link_of(addr) > 1)
			return 0;
	}
	return 0;
}

static void check(void)
{
	struct next hop[N_HOPS];
	uint32_t cost[N_HOPS], stack[N_HOPS + 1];

	for (uint32_t i = 0; i < N_HOPS; i++) {
		hop[i] = resolve(i, stack, 0);
		cost[i] = is_up(hop[i]) ? hop[i].cost : BGP_COST_NONE;
	}
	for (uint32_t i = 0; i < 60; i++) {
		struct ip4_prefix p = prefixes[rng_below(&w.rng, N_PREFIXES)];
		uint32_t addr = p.addr | (rng_u32(&w.rng) & ~ip4_mask(p.len));

		assert_int_equal(bed_gateway(&w.d, addr), gateway_of(addr, hop, cost));
	}
	assert_int_equal(rib_n_unsettled(w.d.rib), 0);
}

/* --- what happens --- */

static void say(void)
{
	uint32_t source = rng_below(&w.rng, N_SOURCES), p = rng_below(&w.rng, N_PREFIXES);
	struct said *s = &w.said[source][p];

	if (w.is_dropping[source])
		return;
	*s = (struct said){ .hop = rng_below(&w.rng, 4) == 0 ? 0 : 1 + rng_below(&w.rng, N_HOPS),
			    .n_hops = 1 + rng_below(&w.rng, 2),
			    .local_pref = 100 + rng_below(&w.rng, 2) };
	bed_say(&w.d, source, prefixes[p], s->hop != 0 ? hops[s->hop - 1] : 0, s->n_hops, s->local_pref);
}

static void change_route(void)
{
	uint32_t i = rng_below(&w.rng, N_ROUTES);

	if (w.has_route[i]) {
		assert_int_equal(rib_unset(w.d.rib, &w.route[i]), 0);
	} else {
		struct ip4_prefix p = prefixes[w.of_prefix[i] = rng_below(&w.rng, N_PREFIXES)];

		w.route[i] = bed_via(p.addr, p.len, hops[rng_below(&w.rng, 4)], i);
		w.route[i].instance = i;
		if (i % 3 == 0) {
			w.route[i].source = RIB_STATIC;
			w.route[i].distance = 1;
		}
		assert_int_equal(rib_set(w.d.rib, &w.route[i]), 0);
	}
	w.has_route[i] = !w.has_route[i];
	if (rng_below(&w.rng, 2) == 0)
		assert_int_equal(rib_flush(w.d.rib), 0);
}

static void change_link(void)
{
	uint32_t i = rng_below(&w.rng, TEST_LINKS);
	struct ip_addr hop = ip_addr_v4(hops[i]);

	if (rng_below(&w.rng, 2) == 0) {
		w.is_down[i + 1] = !w.is_down[i + 1];
		(void)rib_link_changed(w.d.rib, i + 1, !w.is_down[i + 1]);
	} else {
		w.is_lost[i] = !w.is_lost[i];
		(void)rib_neighbour_changed(w.d.rib, i + 1, &hop, !w.is_lost[i]);
	}
}

static void go_on_dropping(uint32_t source, uint32_t budget)
{
	if (!bgp_table_drop(w.d.table, source, budget))
		return;
	const struct bgp_source s = { source < N_EXTERNAL ? BGP_EXTERNAL : BGP_INTERNAL, 100 + source,
				      IP4(10, 0, source + 1, 9) };

	w.is_dropping[source] = false;
	assert_int_equal(bgp_table_add_source(w.d.table, &s), source);
}

static void kill_source(void)
{
	uint32_t source = rng_below(&w.rng, N_SOURCES);

	/* Their numbers are the lowest that are free: one at a time. */
	for (uint32_t i = 0; i < N_SOURCES; i++)
		if (w.is_dropping[i])
			return;
	memset(w.said[source], 0, sizeof(w.said[source]));
	w.is_dropping[source] = true;
	go_on_dropping(source, 3);
}

static void step(void)
{
	uint32_t what = rng_below(&w.rng, 40);

	if (what < 26)
		say();
	else if (what < 32)
		change_route();
	else if (what < 36)
		change_link();
	else if (what < 37)
		kill_source();
	else
		(void)bgp_rib_work(w.d.b, 5);
	for (uint32_t i = 0; i < N_SOURCES; i++)
		if (w.is_dropping[i])
			go_on_dropping(i, 5);
}

static void settle(void)
{
	for (uint32_t i = 0; i < N_SOURCES; i++)
		while (w.is_dropping[i])
			go_on_dropping(i, 100);
	(void)bgp_rib_flush(w.d.b);
	assert_int_equal(rib_flush(w.d.rib), 0);
	bed_work(&w.d);
	/* It has come to rest. */
	uint64_t n = bgp_rib_stats(w.d.b).n_changes;

	assert_int_equal(rib_flush(w.d.rib), 0);
	bed_work(&w.d);
	assert_int_equal(bgp_rib_stats(w.d.b).n_changes, n);
	if (rng_below(&w.rng, 3) == 0) {
		(void)rib_grace_begin(w.d.rib);
		rib_grace_over(w.d.rib);
	}
}

static uint64_t seed;

/* Would catch: an answer that depends on what came before what; a way, a cost or a group that is not followed by all
 * that goes by it; what comes and goes without end; memory of what is gone. */
static void test_against_model(void **state)
{
	uint8_t bytes[RNG_SEED_BYTES] = { 0 };

	memcpy(bytes, &seed, sizeof(seed));
	memset(&w, 0, sizeof(w));
	rng_init(&w.rng, bytes);
	w.shares = *state != NULL;
	bed_begin_shared(&w.d, N_EXTERNAL, N_SOURCES - N_EXTERNAL, w.shares ? 16 : 1);
	for (uint32_t i = 0; i < N_STEPS; i++) {
		step();
		if (rng_below(&w.rng, 6) != 0)
			continue;
		settle();
		check();
	}
	for (uint32_t i = 0; i < N_SOURCES; i++) {
		w.is_dropping[i] = true;
		memset(w.said[i], 0, sizeof(w.said[i]));
	}
	for (uint32_t i = N_SOURCES; i-- > 0;)
		while (!bgp_table_drop(w.d.table, i, 100))
			;
	(void)bgp_rib_flush(w.d.b);
	assert_int_equal(bgp_rib_stats(w.d.b).n_hops, 0);
	assert_int_equal(bgp_rib_stats(w.d.b).n_ways, 0);
	assert_int_equal(bgp_rib_stats(w.d.b).n_shared, 0);
	bed_end(&w.d);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { { "test_one_path", test_against_model, NULL, NULL, NULL },
					    { "test_shared", test_against_model, NULL, NULL, &seed } };

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
