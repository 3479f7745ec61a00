/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's best paths in the RIB and the FIB: distances, next hops and what leads to them, a neighbour that dies, and what
 * finds no room.
 */
#include "routing/bgp/bgp_rib_test.h"

#include <stdlib.h>

#include "stack/ip/fib_priv.h"

static const struct ip4_prefix some = { IP4(44, 1, 0, 0), 16 };
#define IN_SOME IP4(44, 1, 2, 3)

/* Would catch: a second best that is not there when the best's neighbour is lost, before anybody has looked at
 * prefixes; a write for each prefix; a neighbour that is up again and stays out. */
static void test_neighbour_dies(void **state)
{
	struct bgp_rib_bed d;
	uint64_t version;

	bed_begin(&d, 3, 0);
	for (uint32_t i = 0; i < 500; i++)
		for (uint32_t s = 0; s < 3; s++)
			bed_say(&d, s, (struct ip4_prefix){ IP4(44, 0, 0, 0) + (i << 8), 24 }, IP4(10, 0, s + 1, 9),
				1 + s, 0);
	assert_true(bgp_rib_flush(d.b));
	assert_false(bgp_rib_flush(d.b));
	assert_int_equal(fib_n_prefixes(d.fib), 500 + TEST_LINKS);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 1, 9));
	/* A link each, and best and second best of all prefixes; groups of the load's beginning are gone by a grace. */
	(void)rib_grace_begin(d.rib);
	rib_grace_over(d.rib);
	assert_int_equal(fib_n_groups(d.fib), TEST_LINKS + 1);

	version = *rib_version(d.rib);
	assert_int_equal(bgp_rib_source_changed(d.b, 0, false), 1);
	assert_int_equal(*rib_version(d.rib), version + 1);
	assert_int_equal(lost_hops_count(rib_lost_hops(d.rib)), 1);
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(bed_gateway(&d, IP4(44, 0, 0, 1) + (i << 8)), IP4(10, 0, 2, 9));
	assert_int_equal(bgp_rib_source_changed(d.b, 0, false), 0);
	assert_int_equal(bgp_rib_source_changed(d.b, 0, true), 1);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 1, 9));

	/* The table says so itself, with the first slice. */
	assert_false(bgp_table_drop(d.table, 0, 1));
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 9));
	while (!bgp_table_drop(d.table, 0, 100))
		;
	bed_work(&d);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 9));
	assert_false(bgp_table_drop(d.table, 1, 1));
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 3, 9));
	assert_int_equal(bgp_table_add_source(d.table, &(struct bgp_source){ BGP_EXTERNAL, 100, IP4(10, 0, 1, 9) }), 0);
	bed_say(&d, 0, (struct ip4_prefix){ IP4(44, 1, 2, 0), 24 }, IP4(10, 0, 1, 9), 1, 0);
	bed_work(&d);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 1, 9));
	bed_end(&d);
}

/* Would catch: a distance that is not BGP's; a static route that a path displaces, or that takes it out for good. */
static void test_distances(void **state)
{
	struct bgp_rib_bed d;
	struct rib_route better = bed_via(some.addr, 16, IP4(10, 0, 3, 7), 0);
	struct rib_info info;

	bed_begin(&d, 1, 1);
	bed_say(&d, 0, some, IP4(10, 0, 1, 9), 3, 0);
	bed_work(&d);
	assert_true(rib_route_of(d.rib, rib_prefix_name(&better), 0, &info));
	assert_int_equal(info.route.source, RIB_BGP);
	assert_int_equal(info.route.distance, 20);
	assert_true(info.active && info.resolved);
	assert_int_equal(info.route.nexthop.gateway.v4, IP4(10, 0, 1, 9));
	/* OSPF's is behind an external path, and before an internal one. */
	bed_set(&d, better);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 1, 9));
	bed_say(&d, 1, some, IP4(10, 0, 2, 9), 1, 200);
	bed_work(&d);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 3, 7));
	assert_true(rib_route_of(d.rib, rib_prefix_name(&better), 1, &info));
	assert_int_equal(info.route.distance, 200);
	assert_int_equal(info.route.nexthop.gateway.v4, IP4(10, 0, 2, 9));
	assert_false(info.active);
	assert_true(rib_route_of(d.rib, rib_prefix_name(&better), 2, &info));
	assert_false(rib_route_of(d.rib, rib_prefix_name(&better), 3, &info));
	/* Its link is down: the second best route is BGP's best. */
	assert_true(rib_link_changed(d.rib, 3, false));
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 9));
	assert_true(rib_link_changed(d.rib, 3, true));
	bed_unset(&d, better);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 9));
	bed_set(&d, better);
	bed_say(&d, 1, some, 0, 0, 0);
	bed_say(&d, 0, some, 0, 0, 0);
	bed_work(&d);
	bed_unset(&d, better);
	assert_int_equal(bed_gateway(&d, IN_SOME), 0);
	assert_int_equal(fib_n_prefixes(d.fib), TEST_LINKS);
	assert_int_equal(rib_n_unsettled(d.rib), 0);
	bed_end(&d);
}

/* Trap 25. Would catch: a next hop that is reached by a default route though nobody said so, or by the very route that
 * it serves; a route that comes and goes for ever because of that. */
static void test_next_hop_by_itself(void **state)
{
	struct bgp_rib_bed d;
	const struct ip4_prefix own = { IP4(172, 16, 0, 0), 12 };
	struct rib_route def = bed_via(0, 0, IP4(10, 0, 4, 9), 0),
			 around = bed_via(IP4(172, 0, 0, 0), 8, IP4(10, 0, 4, 9), 0);
	struct bgp_rib_stats stats;
	uint64_t n;

	bed_begin(&d, 2, 0);
	bed_set(&d, def);
	bed_say(&d, 0, some, IP4(172, 16, 0, 1), 1, 0);
	bed_work(&d);
	assert_int_equal(bgp_table_best(d.table, some).set, BGP_SET_NONE);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 4, 9));
	assert_int_equal(fib_n_prefixes(d.fib), TEST_LINKS + 1);

	/* Its next hop lies in it: whatever leads there otherwise, it is not taken. */
	bed_set(&d, around);
	bed_work(&d);
	assert_int_not_equal(bgp_table_best(d.table, some).set, BGP_SET_NONE);
	bed_say(&d, 0, own, IP4(172, 16, 0, 1), 1, 0);
	bed_work(&d);
	assert_int_equal(bgp_table_best(d.table, own).set, BGP_SET_NONE);
	assert_int_equal(bgp_table_best(d.table, some).set, BGP_SET_NONE);
	n = bgp_rib_stats(d.b).n_changes;
	for (uint32_t i = 0; i < 20; i++)
		bed_work(&d);
	stats = bgp_rib_stats(d.b);
	assert_int_equal(stats.n_changes, n);
	/* Another path to that prefix leads there. */
	bed_say(&d, 1, own, IP4(10, 0, 2, 9), 5, 0);
	bed_work(&d);
	assert_int_equal(bed_gateway(&d, IP4(172, 16, 9, 9)), IP4(10, 0, 2, 9));
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 9));
	bed_say(&d, 0, own, 0, 0, 0);
	bed_say(&d, 1, own, 0, 0, 0);
	bed_work(&d);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 4, 9));
	assert_int_not_equal(bgp_table_best(d.table, some).set, BGP_SET_NONE);
	bed_end(&d);
}

/* Would catch: chains of next hops that are followed too far, or not far enough, or in a circle. */
static void test_depth(void **state)
{
	struct bgp_rib_bed d;

	bed_begin(&d, 1, 0);
	for (uint32_t i = 0; i < 12; i++)
		bed_say(&d, 0, (struct ip4_prefix){ IP4(60 + i, 0, 0, 0), 8 },
			i == 0 ? IP4(10, 0, 1, 9) : IP4(59 + i, 0, 0, 1), 1, 0);
	bed_work(&d);
	/* Its own next hop is a step, and so is each that leads there. */
	assert_int_equal(bed_gateway(&d, IP4(68, 0, 0, 1)), IP4(10, 0, 1, 9));
	assert_int_equal(bed_gateway(&d, IP4(69, 0, 0, 1)), 0);
	bed_say(&d, 0, (struct ip4_prefix){ IP4(60, 0, 0, 0), 8 }, IP4(61, 0, 0, 1), 1, 0);
	bed_work(&d);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(bed_gateway(&d, IP4(60 + i, 0, 0, 1)), 0);
	bed_end(&d);
}

/* Would catch: a decision that does not hear of what a next hop costs, or hears of it when something else changes; a
 * change of the way to a next hop that is a write for each prefix, or a change of the table. */
static void test_cost(void **state)
{
	struct bgp_rib_bed d;
	struct rib_route one = bed_via(IP4(10, 255, 0, 1), 32, IP4(10, 0, 3, 9), 10);
	struct rib_route two = bed_via(IP4(10, 255, 0, 2), 32, IP4(10, 0, 4, 9), 20);
	struct bgp_prefix_view v;
	uint64_t n;

	bed_begin(&d, 0, 2);
	bed_set(&d, one);
	bed_set(&d, two);
	bed_say(&d, 0, some, IP4(10, 255, 0, 1), 1, 100);
	bed_say(&d, 1, some, IP4(10, 255, 0, 2), 1, 100);
	bed_work(&d);
	bgp_table_look(d.table, some, &v);
	assert_int_equal(v.step, BGP_STEP_IGP);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 3, 9));

	/* By another neighbour, at the same cost: the FIB alone. */
	n = bgp_rib_stats(d.b).n_changes;
	d.n_woken = 0;
	one.nexthop.gateway = ip_addr_v4(IP4(10, 0, 2, 7));
	bed_set(&d, one);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 7));
	assert_int_equal(d.n_woken, 0);
	one.metric = 30;
	bed_set(&d, one);
	assert_int_equal(d.n_woken, 1);
	assert_int_equal(bgp_rib_stats(d.b).n_changes, n);
	bed_work(&d);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 4, 9));

	/* Nothing leads there, then over a link that is down: both are out. */
	bed_unset(&d, two);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 7));
	bed_work(&d);
	bgp_table_look(d.table, some, &v);
	assert_int_equal(v.step, BGP_STEP_ONLY);
	(void)rib_link_changed(d.rib, 2, false);
	bed_work(&d);
	assert_int_equal(bgp_table_best(d.table, some).set, BGP_SET_NONE);
	assert_int_equal(fib_n_prefixes(d.fib), TEST_LINKS);
	(void)rib_link_changed(d.rib, 2, true);
	bed_work(&d);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 7));
	bed_end(&d);
}

/* Would catch: a table that is full and says nothing, or why; a prefix that is not tried again; others that it keeps
 * out; a record that stays. */
static void test_full(void **state)
{
	struct bgp_rib_bed d;
	struct fib *f;
	uint64_t n;

	bed_begin(&d, 1, 0);
	f = (struct fib *)(uintptr_t)d.fib;
	/* 10.0/16 has one; a host's route takes two. */
	f->blocks.cap = 3;
	for (uint32_t i = 0; i < 3; i++)
		bed_say(&d, 0, (struct ip4_prefix){ IP4(44, i, 0, 1), 32 }, IP4(10, 0, 1, 9), 1, 0);
	bed_say(&d, 0, (struct ip4_prefix){ IP4(45, 0, 0, 0), 16 }, IP4(10, 0, 1, 9), 1, 0);
	(void)bgp_rib_flush(d.b);
	assert_int_equal(rib_n_unsettled(d.rib), 2);
	assert_string_equal(rib_unsettled_why(d.rib), "the forwarding table is full");
	assert_int_equal(bed_gateway(&d, IP4(44, 0, 0, 1)), IP4(10, 0, 1, 9));
	assert_int_equal(bed_gateway(&d, IP4(44, 1, 0, 1)), 0);
	assert_int_equal(bed_gateway(&d, IP4(45, 0, 0, 1)), IP4(10, 0, 1, 9));
	bed_say(&d, 0, (struct ip4_prefix){ IP4(44, 0, 0, 1), 32 }, 0, 0, 0);
	bed_say(&d, 0, (struct ip4_prefix){ IP4(44, 2, 0, 1), 32 }, 0, 0, 0);
	bed_work(&d);
	(void)rib_grace_begin(d.rib);
	rib_grace_over(d.rib);
	assert_int_equal(rib_flush(d.rib), 0);
	assert_int_equal(rib_n_unsettled(d.rib), 0);
	assert_int_equal(bed_gateway(&d, IP4(44, 1, 0, 1)), IP4(10, 0, 1, 9));
	free(rib_prefixes(d.rib, &n));
	assert_int_equal(n, TEST_LINKS);
	bed_end(&d);
}

/* Would catch: routes that stand in the RIB when BGP has left, or what stood in the table before it came that is not
 * there. */
static void test_comes_and_leaves(void **state)
{
	struct bgp_rib_bed d;
	struct bgp_rib_config config = { .zone = 0 };
	struct rib_info info;

	bed_begin(&d, 2, 0);
	for (uint32_t i = 0; i < 100; i++)
		bed_say(&d, i % 2, (struct ip4_prefix){ IP4(44, i, 0, 0), 16 }, IP4(10, 0, 1 + i % 2, 9), 1, 0);
	bed_work(&d);
	assert_int_equal(fib_n_prefixes(d.fib), TEST_LINKS + 100);
	assert_false(bgp_rib_leave(d.b, 30));
	while (!bgp_rib_leave(d.b, 30))
		;
	assert_int_equal(fib_n_prefixes(d.fib), TEST_LINKS);
	assert_false(rib_route_of(d.rib, rib_prefix_name(&(struct rib_route){ .prefix = ip_prefix_v4(some.addr, 16) }),
				  0, &info));
	bgp_rib_destroy(d.b);
	assert_int_equal(bgp_rib_create(&d.b, d.table, d.rib, &config), 0);
	assert_int_equal(fib_n_prefixes(d.fib), TEST_LINKS);
	bed_work(&d);
	assert_int_equal(fib_n_prefixes(d.fib), TEST_LINKS + 100);
	assert_int_equal(bed_gateway(&d, IN_SOME), IP4(10, 0, 2, 9));
	bed_end(&d);
}

/* Would catch: a list that is not in order, lacks what the feed has, has something twice, or is made at one go. */
static void test_listing(void **state)
{
	struct bgp_rib_bed d;
	struct rib_listing *l = rib_list_begin();
	const uint64_t *key;
	size_t n, n_slices = 0;

	assert_non_null(l);
	bed_begin(&d, 1, 0);
	for (uint32_t i = 0; i < 200; i++)
		bed_say(&d, 0, (struct ip4_prefix){ IP4(45, 0, 0, 0) + (i * 37 % 200 << 8), 24 }, IP4(10, 0, 1, 9), 1,
			0);
	bed_set(&d, bed_via(IP4(45, 0, 3, 0), 24, IP4(10, 0, 2, 9), 0));
	bed_set(&d, bed_via(IP4(45, 0, 0, 0), 23, IP4(10, 0, 2, 9), 0));
	bed_work(&d);
	for (int rc; (rc = rib_list_work(l, d.rib, 16)) != 0; n_slices++)
		assert_int_equal(rc, 1);
	assert_true(n_slices > 30);
	key = rib_list_prefixes(l, &n);
	assert_int_equal(n, TEST_LINKS + 201);
	for (size_t i = 1; i < n; i++)
		assert_true(key[i - 1] < key[i]);
	assert_int_equal(key[TEST_LINKS],
			 rib_prefix_name(&(struct rib_route){ .prefix = ip_prefix_v4(IP4(45, 0, 0, 0), 23) }));
	rib_list_end(l);
	bed_end(&d);
}

/* By how many buckets each neighbour has what goes to an address. */
static void count_buckets(const struct bgp_rib_bed *d, uint32_t addr, uint32_t n[TEST_LINKS + 1])
{
	const struct fib_route *r = fib_route(d->fib, fib_lookup(d->fib, addr));

	memset(n, 0, (TEST_LINKS + 1) * sizeof(*n));
	for (uint32_t i = 0; i < FIB_BUCKETS; i++)
		n[(r->paths != NULL ? fib_path(r, i) : &r->nexthop)->ifindex]++;
}

/* Would catch: paths that are as good and have no part, worse ones that have one; a prefix that does not hear of a
 * third; a neighbour that is lost and keeps its part, or is looked for prefix by prefix; ways of several that stay. */
static void test_shared(void **state)
{
	struct bgp_rib_bed d;
	uint32_t n[TEST_LINKS + 1];

	bed_begin_shared(&d, 4, 0, 16);
	for (uint32_t s = 0; s < 4; s++)
		bed_say(&d, s, some, IP4(10, 0, s + 1, 9), s == 3 ? 2 : 1, 0);
	bed_work(&d);
	count_buckets(&d, IN_SOME, n);
	assert_in_range(n[1], FIB_BUCKETS / 3, FIB_BUCKETS / 3 + 1);
	assert_in_range(n[2], FIB_BUCKETS / 3, FIB_BUCKETS / 3 + 1);
	assert_int_equal(n[4], 0);
	assert_int_equal(bgp_rib_source_changed(d.b, 1, false) > 0, true);
	count_buckets(&d, IN_SOME, n);
	assert_int_equal(n[1], FIB_BUCKETS / 2);
	assert_int_equal(n[2], 0);
	assert_int_equal(n[3], FIB_BUCKETS / 2);
	/* All of them: the best of the others. */
	(void)bgp_rib_source_changed(d.b, 0, false);
	(void)bgp_rib_source_changed(d.b, 2, false);
	count_buckets(&d, IN_SOME, n);
	assert_int_equal(n[4], FIB_BUCKETS);
	for (uint32_t s = 0; s < 3; s++)
		(void)bgp_rib_source_changed(d.b, s, true);
	count_buckets(&d, IN_SOME, n);
	assert_in_range(n[2], FIB_BUCKETS / 3, FIB_BUCKETS / 3 + 1);
	/* Many sets of members, most of them gone. */
	for (uint32_t i = 0; i < 600; i++) {
		for (uint32_t s = 0; s < 4; s++)
			bed_say(&d, s, some, IP4(10, 0, s + 1, 9 + (i >> 2 * s & 3)), 1, 0);
		bed_work(&d);
		(void)rib_grace_begin(d.rib);
		rib_grace_over(d.rib);
	}
	count_buckets(&d, IN_SOME, n);
	assert_int_equal(n[4], FIB_BUCKETS / 4);
	assert_true(bgp_rib_stats(d.b).n_shared < 150);
	bed_end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbour_dies),
		cmocka_unit_test(test_distances),
		cmocka_unit_test(test_next_hop_by_itself),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_comes_and_leaves),
		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
