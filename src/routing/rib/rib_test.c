/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/util.h"
#include "routing/rib/rib.h"

static struct rib_route connected(uint32_t addr, uint8_t len, uint32_t ifindex)
{
	return (struct rib_route){ .prefix = ip_prefix_v4(addr, len),
				   .nexthop = { .kind = FIB_UNICAST, .ifindex = ifindex, .source = ip_addr_v4(addr) },
				   .instance = ifindex,
				   .source = RIB_CONNECTED };
}

static struct rib_route fixed(uint32_t addr, uint8_t len, uint32_t gateway, uint32_t ifindex, uint32_t metric)
{
	return (struct rib_route){
		.prefix = ip_prefix_v4(addr, len),
		.nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(gateway), .ifindex = ifindex },
		.source = RIB_STATIC,
		.distance = 1,
		.instance = metric,
		.metric = metric
	};
}

static const struct fib_nexthop *lookup(const struct fib *f, uint32_t dst)
{
	return fib_nexthop(f, fib_lookup(f, dst));
}

static uint64_t from(const struct fib *f, uint32_t dst)
{
	return fib_route(f, fib_lookup(f, dst))->from;
}

static struct rib_info route_at(const struct rib *r, const struct rib_route *route, uint32_t i)
{
	struct rib_info info;

	assert_true(rib_route_of(r, rib_prefix_name(route), i, &info));
	return info;
}

/* That of interface 1. */
static void check_links_down(const struct rib *r)
{
	struct rib_info x;
	size_t n;
	uint64_t *prefix = rib_prefixes(r, &n);

	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; rib_route_of(r, prefix[i], k, &x); k++)
			assert_int_equal(x.link_down,
					 x.route.nexthop.kind == FIB_UNICAST && x.route.nexthop.ifindex == 1);
	}
	free(prefix);
}

static const struct fib *built(struct rib *r)
{
	assert_int_equal(rib_flush(r), 0);
	return rib_fib_hold(r, 0);
}

/* Would catch: a gateway resolved over the wrong interface or the shorter of two
 * connected prefixes, and a source address that is not the interface's. */
static void test_resolution(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	struct rib_route all[] = {
		connected(IP4(10, 0, 0, 1), 8, 1),
		connected(IP4(10, 1, 0, 1), 16, 2),
		fixed(0, 0, IP4(10, 1, 0, 254), 0, 0),
		fixed(IP4(172, 16, 0, 0), 12, IP4(10, 1, 0, 254), 1, 0),
		fixed(IP4(192, 0, 2, 0), 24, IP4(198, 51, 100, 1), 0, 0),
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_int_equal(rib_set(r, &all[i]), 0);
	assert_int_equal(rib_set(r, &all[2]), 0);
	const struct fib *f = built(r);

	assert_int_equal(rib_n_routes(r), ARRAY_LEN(all)); /* the repetition is gone */

	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->ifindex, 2);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->source.v4, IP4(10, 1, 0, 1));
	assert_int_equal(lookup(f, IP4(172, 16, 1, 1))->ifindex, 1);
	/* its gateway is nobody's neighbour: the default route answers */
	assert_int_equal(lookup(f, IP4(192, 0, 2, 1))->gateway.v4, IP4(10, 1, 0, 254));
	assert_false(route_at(r, &all[4], 0).active);
	assert_false(route_at(r, &all[4], 0).resolved);
	assert_true(route_at(r, &all[3], 0).active);
	rib_release(r);
}

/* Would catch: the wrong winner among routes to one prefix: an unresolved one
 * before a resolved, a static before a connected, the higher metric. */
static void test_choice(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	struct rib_route blackhole = { .prefix = ip_prefix_v4(IP4(10, 5, 0, 0), 16),
				       .nexthop = { .kind = FIB_BLACKHOLE },
				       .source = RIB_STATIC,
				       .distance = 1,
				       .instance = 50,
				       .metric = 50 };
	struct rib_route all[] = {
		connected(IP4(10, 0, 0, 1), 24, 1),
		fixed(IP4(10, 0, 0, 0), 24, IP4(10, 0, 0, 7), 0, 0),
		fixed(IP4(10, 4, 0, 0), 16, IP4(10, 0, 0, 9), 0, 20),
		fixed(IP4(10, 4, 0, 0), 16, IP4(10, 0, 0, 8), 0, 10),
		/* the other way round: neither who came last nor the lower gateway wins */
		fixed(IP4(10, 6, 0, 0), 16, IP4(10, 0, 0, 9), 0, 10),
		fixed(IP4(10, 6, 0, 0), 16, IP4(10, 0, 0, 8), 0, 20),
		fixed(IP4(10, 5, 0, 0), 16, IP4(203, 0, 113, 1), 0, 10),
		blackhole,
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_int_equal(rib_set(r, &all[i]), 0);
	const struct fib *f = built(r);

	assert_int_equal(lookup(f, IP4(10, 0, 0, 5))->gateway.v4, 0);
	assert_int_equal(lookup(f, IP4(10, 4, 0, 1))->gateway.v4, IP4(10, 0, 0, 8));
	assert_int_equal(lookup(f, IP4(10, 6, 0, 1))->gateway.v4, IP4(10, 0, 0, 9));
	assert_int_equal(lookup(f, IP4(10, 5, 0, 1))->kind, FIB_BLACKHOLE);
	assert_int_equal(lookup(f, IP4(11, 0, 0, 1))->kind, FIB_NONE);
	rib_release(r);
}

/* Would catch: a route that stays while its link is down, or does not come back; a static route whose shorter
 * substitute is not used; our own hosts' prefix leaving by the default route while their link is down; an address of
 * ours lost with its link; a table that one link's change leaves different from one built from scratch. */
static void test_links(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	struct rib_route ours = { .prefix = ip_prefix_v4(IP4(10, 1, 0, 1), 32),
				  .nexthop = {
					  .kind = FIB_LOCAL, .ifindex = 1, .source = ip_addr_v4(IP4(10, 1, 0, 1)) } };
	struct rib_route all[] = {
		connected(IP4(10, 1, 0, 1), 24, 1),
		ours,
		connected(IP4(10, 2, 0, 1), 24, 2),
		fixed(0, 0, IP4(10, 1, 0, 254), 0, 10),
		fixed(0, 0, IP4(10, 2, 0, 254), 0, 20),
		fixed(IP4(172, 16, 0, 0), 12, IP4(10, 1, 0, 253), 0, 0),
		fixed(IP4(10, 2, 0, 0), 24, IP4(10, 1, 0, 253), 0, 0),
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_int_equal(rib_set(r, &all[i]), 0);
	const struct fib *f = built(r);

	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->ifindex, 1);
	assert_true(rib_link_changed(r, 1, false));
	assert_false(rib_link_changed(r, 1, false));
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, IP4(10, 2, 0, 254));
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->gateway.v4, IP4(10, 2, 0, 254));
	assert_int_equal(lookup(f, IP4(10, 1, 0, 7))->ifindex, 1); /* refused there, not sent to the Internet */
	assert_int_equal(lookup(f, IP4(10, 1, 0, 1))->kind, FIB_LOCAL);
	check_links_down(r);
	assert_true(rib_link_changed(r, 2, false));
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->kind, FIB_NONE);
	assert_true(rib_link_changed(r, 1, true));
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, IP4(10, 1, 0, 254));
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->gateway.v4, IP4(10, 1, 0, 253));
	assert_int_equal(lookup(f, IP4(10, 2, 0, 7))->gateway.v4, IP4(10, 1, 0, 253)); /* somebody else has the way */
	assert_true(rib_link_changed(r, 2, true));
	assert_int_equal(lookup(f, IP4(10, 2, 0, 7))->gateway.v4, 0);
	rib_release(r);
}

/* Would catch: zones that see each other's routes, a gateway resolved over another tenant's prefix, and one of the
 * shared zone that a tenant's route cannot name. */
static void test_zones(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	struct rib_route all[] = {
		connected(IP4(203, 0, 113, 1), 24, 1),
		fixed(0, 0, IP4(203, 0, 113, 254), 0, 0),
		connected(IP4(10, 0, 0, 1), 24, 2),
		connected(IP4(10, 0, 0, 1), 24, 3),
		fixed(IP4(10, 9, 0, 0), 16, IP4(10, 0, 0, 9), 0, 0),
		fixed(IP4(10, 9, 0, 0), 16, IP4(10, 0, 0, 8), 0, 0),
		fixed(0, 0, IP4(203, 0, 113, 253), 0, 0),
	};
	const uint16_t zone[] = { 0, 0, 1, 7, 1, 7, 7 };
	const struct fib *f[3];
	const uint16_t number[3] = { 0, 1, 7 };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		all[i].zone = zone[i];
		assert_int_equal(rib_set(r, &all[i]), 0);
	}
	assert_int_equal(rib_flush(r), 0);
	for (uint32_t i = 0; i < 3; i++)
		f[i] = rib_fib_hold(r, number[i]);
	assert_int_equal(lookup(f[0], IP4(10, 0, 0, 5))->gateway.v4, IP4(203, 0, 113, 254));
	assert_int_equal(lookup(f[1], IP4(10, 0, 0, 5))->ifindex, 2);
	assert_int_equal(lookup(f[2], IP4(10, 0, 0, 5))->ifindex, 3);
	assert_int_equal(lookup(f[1], IP4(10, 9, 1, 1))->ifindex, 2);
	assert_int_equal(lookup(f[2], IP4(10, 9, 1, 1))->ifindex, 3);
	assert_int_equal(lookup(f[1], IP4(8, 8, 8, 8))->kind, FIB_NONE);
	assert_int_equal(lookup(f[2], IP4(8, 8, 8, 8))->ifindex, 1);
	rib_release(r);
}

/* Would catch: the worse of two uplinks taken for a place where nothing may come from, and a route that cannot be used
 * taken for one. */
static void test_from(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	struct rib_route all[] = {
		connected(IP4(10, 0, 1, 1), 24, 1),     connected(IP4(10, 0, 2, 1), 24, 2),
		connected(IP4(10, 0, 3, 1), 24, 3),     fixed(0, 0, IP4(10, 0, 1, 254), 0, 0),
		fixed(0, 0, IP4(10, 0, 2, 254), 0, 10), fixed(0, 0, IP4(10, 0, 2, 253), 0, 20),
		fixed(0, 0, IP4(192, 0, 2, 1), 0, 30), /* nobody's neighbour */
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_int_equal(rib_set(r, &all[i]), 0);
	const struct fib *f = built(r);

	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->ifindex, 1);
	assert_int_equal(from(f, IP4(8, 8, 8, 8)), 1u << 1 | 1u << 2);
	assert_int_equal(from(f, IP4(10, 0, 1, 9)), 1u << 1);
	assert_int_equal(from(f, IP4(10, 0, 2, 9)), 1u << 2);
	assert_true(rib_link_changed(r, 1, false));
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->ifindex, 2);
	assert_int_equal(from(f, IP4(8, 8, 8, 8)), 1u << 1 | 1u << 2);
	rib_release(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolution), cmocka_unit_test(test_choice), cmocka_unit_test(test_links),
		cmocka_unit_test(test_zones),      cmocka_unit_test(test_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
