/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The RIB changed route by route: recursion, several paths, differences of configs,
 * and that the order of changes is nothing to the result.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "routing/rib/rib.h"
#include "stack/ip/fib_priv.h"

static struct rib_route connected(uint32_t addr, uint8_t len, uint32_t ifindex)
{
	return (struct rib_route){ .prefix = ip_prefix_v4(addr, len),
				   .nexthop = { .kind = FIB_UNICAST, .ifindex = ifindex, .source = ip_addr_v4(addr) },
				   .instance = ifindex,
				   .source = RIB_CONNECTED };
}

static struct rib_route via(uint32_t addr, uint8_t len, uint32_t gateway)
{
	return (struct rib_route){ .prefix = ip_prefix_v4(addr, len),
				   .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(gateway) },
				   .source = RIB_BGP,
				   .distance = 20,
				   .recursive = true };
}

static const struct fib_nexthop *lookup(const struct fib *f, uint32_t dst)
{
	return fib_nexthop(f, fib_lookup(f, dst));
}

static void set_all(struct rib *r, const struct rib_route *route, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rib_set(r, &route[i]), 0);
	assert_int_equal(rib_flush(r), 0);
}

/* Would catch: a recursive gateway that is not followed to the neighbour, that goes by a default route unasked, by a
 * chain that is too long, or through itself; and one that stays where it was when what leads to it is led elsewhere. */
static void test_recursive(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);
	struct rib_route all[] = {
		connected(IP4(10, 0, 1, 1), 24, 1),
		connected(IP4(10, 0, 2, 1), 24, 2),
		via(IP4(192, 0, 2, 0), 24, IP4(10, 0, 1, 9)),
		via(IP4(172, 16, 0, 0), 12, IP4(192, 0, 2, 7)),    /* a step */
		via(IP4(198, 51, 100, 0), 24, IP4(8, 8, 8, 8)),    /* only the default route leads there */
		via(IP4(203, 0, 113, 0), 24, IP4(203, 0, 113, 1)), /* itself */
		via(0, 0, IP4(10, 0, 1, 254)),
		via(IP4(44, 0, 0, 0), 8, IP4(10, 0, 2, 5)),
	};

	set_all(r, all, ARRAY_LEN(all));
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->gateway.v4, IP4(10, 0, 1, 9));
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->ifindex, 1);
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->source.v4, IP4(10, 0, 1, 1));
	/* Neither is there, so the default route has their packets. */
	assert_int_equal(lookup(f, IP4(198, 51, 100, 1))->gateway.v4, IP4(10, 0, 1, 254));
	assert_int_equal(lookup(f, IP4(203, 0, 113, 9))->gateway.v4, IP4(10, 0, 1, 254));

	all[4].over_default = true;
	set_all(r, &all[4], 1);
	struct rib_info info;
	assert_true(rib_route_of(r, rib_prefix_name(&all[4]), 0, &info));
	assert_true(info.active);
	assert_int_equal(info.route.nexthop.gateway.v4, IP4(10, 0, 1, 254));

	/* Another way to the gateway's network: what goes by it follows. */
	all[2].nexthop.gateway = ip_addr_v4(IP4(10, 0, 2, 8));
	set_all(r, &all[2], 1);
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->gateway.v4, IP4(10, 0, 2, 8));
	struct rib_route longer = via(IP4(192, 0, 2, 7), 32, IP4(10, 0, 1, 3));
	set_all(r, &longer, 1);
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->gateway.v4, IP4(10, 0, 1, 3));
	assert_int_equal(rib_unset(r, &longer), 0);
	assert_int_equal(rib_unset(r, &longer), -2 /* ENOENT */);
	assert_int_equal(rib_flush(r), 0);
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->gateway.v4, IP4(10, 0, 2, 8));
	/* It is gone: so is what went by it. */
	assert_int_equal(rib_unset(r, &all[2]), 0);
	assert_int_equal(rib_flush(r), 0);
	assert_int_equal(lookup(f, IP4(172, 16, 0, 1))->gateway.v4, IP4(10, 0, 1, 254));
	rib_fib_release(r, 0);
	rib_release(r);
}

/* Would catch: a command's route that the config's hides, or that hides a better one; one that a new config takes away;
 * and a question about the config alone that a command answers. */
static void test_runtime(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);
	struct rib_route link = connected(IP4(10, 0, 0, 1), 24, 1), config = via(0, 0, IP4(10, 0, 0, 2)), command;
	struct rib_route all[] = { link, config };
	struct ip_prefix inside = ip_prefix_v4(IP4(44, 0, 0, 0), 8);

	all[1].source = RIB_STATIC;
	all[1].distance = 1;
	command = all[1];
	command.source = RIB_RUNTIME;
	command.nexthop.gateway = ip_addr_v4(IP4(10, 0, 0, 3));
	set_all(r, all, 2);
	assert_false(rib_has(r, &command));
	set_all(r, &command, 1);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, IP4(10, 0, 0, 3));
	assert_int_equal(rib_n_of(r, RIB_RUNTIME), 1);
	assert_true(rib_has(r, &command));
	assert_int_equal(rib_ask(r, 0, IP4(44, 0, 0, 1)).gateway.v4, IP4(10, 0, 0, 3));
	assert_int_equal(rib_ask_config(r, 0, &inside).gateway.v4, IP4(10, 0, 0, 2));

	struct rib_change *c = rib_change_to(r, all, 2);
	assert_int_equal(rib_change_size(c), 0);
	rib_change_free(c);

	/* The better metric wins, whoever says it. */
	command.metric = 7;
	set_all(r, &command, 1);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, IP4(10, 0, 0, 2));
	all[1].metric = 8;
	set_all(r, all, 2);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, IP4(10, 0, 0, 3));
	assert_int_equal(rib_unset(r, &command), 0);
	assert_int_equal(rib_n_of(r, RIB_RUNTIME), 0);
	assert_int_equal(rib_flush(r), 0);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, IP4(10, 0, 0, 2));
	rib_fib_release(r, 0);
	rib_release(r);
}

/* Would catch: a route that is set behind the loss of its next hop and goes by it, one of a zone that had no table yet,
 * one with several ways that goes with the first of them; a loss that is told though nothing went by it, or twice. */
static void test_lost(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);
	struct rib_route link = connected(IP4(10, 0, 0, 1), 24, 1), best = via(0, 0, IP4(10, 0, 0, 2)), second = best;
	struct rib_path path[2] = { { .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(IP4(10, 0, 0, 2)) } },
				    { .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(IP4(10, 0, 0, 3)) } } };
	struct ip_addr hop[2] = { ip_addr_v4(IP4(10, 0, 0, 2)), ip_addr_v4(IP4(10, 0, 0, 3)) }, addr;
	struct rib_info info;
	uint32_t ifindex;

	set_all(r, &link, 1);
	assert_false(rib_neighbour_changed(r, 1, &hop[0], false)); /* nothing goes by it yet */
	assert_false(rib_neighbour_changed(r, 1, &hop[0], false));
	assert_int_equal(lost_hops_count(rib_lost_hops(r)), 0);
	assert_true(rib_lost(r, 0, &ifindex, &addr));
	assert_true(ifindex == 1 && ip_addr_equal(&addr, &hop[0]));
	assert_false(rib_lost(r, 1, &ifindex, &addr));

	second.metric = second.instance = 5;
	second.nexthop.gateway = hop[1];
	set_all(r, &best, 1);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->kind, FIB_NONE);
	set_all(r, &second, 1);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, hop[1].v4);
	assert_true(rib_route_of(r, rib_prefix_name(&best), 0, &info));
	assert_true(info.dead && !info.active);
	assert_true(rib_route_of(r, rib_prefix_name(&best), 1, &info));
	assert_true(!info.dead && info.active);

	/* A zone of its own, whose gateways are neighbours of zone 0. */
	const struct fib *of_zone = rib_fib_hold(r, 7);
	struct rib_route zoned[] = { best, second };

	zoned[0].zone = zoned[1].zone = 7;
	set_all(r, zoned, 2);
	assert_int_equal(lookup(of_zone, IP4(8, 8, 8, 8))->gateway.v4, hop[1].v4);
	assert_true(rib_neighbour_changed(r, 1, &hop[1], false));
	assert_int_equal(lost_hops_count(rib_lost_hops(r)), 1); /* once for both */
	assert_int_equal(lookup(of_zone, IP4(8, 8, 8, 8))->kind, FIB_NONE);
	assert_true(rib_neighbour_changed(r, 1, &hop[0], true));
	assert_int_equal(lookup(of_zone, IP4(8, 8, 8, 8))->gateway.v4, hop[0].v4);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, hop[0].v4);

	/* Of two ways the one that is left. */
	best.n_paths = 2;
	best.path = path;
	best.nexthop = (struct fib_nexthop){ .kind = FIB_UNICAST };
	set_all(r, &best, 1);
	assert_null(fib_route(f, fib_lookup(f, IP4(8, 8, 8, 8)))->paths);
	assert_int_equal(lookup(f, IP4(8, 8, 8, 8))->gateway.v4, hop[0].v4);
	assert_true(rib_route_of(r, rib_prefix_name(&best), 0, &info));
	assert_false(info.dead);
	assert_true(rib_neighbour_changed(r, 1, &hop[1], true));
	assert_non_null(fib_route(f, fib_lookup(f, IP4(8, 8, 8, 8)))->paths);
	assert_false(rib_lost(r, 0, &ifindex, &addr));
	rib_fib_release(r, 7);
	rib_fib_release(r, 0);
	rib_release(r);
}

/* Would catch: a chain of nine steps followed, or one of eight not; and two that lead to each other for ever. */
static void test_depth(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);
	struct rib_route link = connected(IP4(10, 0, 0, 1), 24, 1);

	set_all(r, &link, 1);
	for (uint32_t i = 0; i < 12; i++) {
		struct rib_route route = via(IP4(20 + i, 0, 0, 0), 8, i == 0 ? IP4(10, 0, 0, 9) : IP4(19 + i, 0, 0, 1));

		set_all(r, &route, 1);
	}
	assert_int_equal(lookup(f, IP4(28, 0, 0, 1))->gateway.v4, IP4(10, 0, 0, 9));
	assert_int_equal(lookup(f, IP4(29, 0, 0, 1))->kind, FIB_NONE);
	struct rib_route circle[] = { via(IP4(50, 0, 0, 0), 8, IP4(51, 0, 0, 1)),
				      via(IP4(51, 0, 0, 0), 8, IP4(50, 0, 0, 1)) };

	set_all(r, circle, 2);
	assert_int_equal(lookup(f, IP4(50, 0, 0, 1))->kind, FIB_NONE);
	assert_int_equal(lookup(f, IP4(51, 0, 0, 1))->kind, FIB_NONE);
	rib_fib_release(r, 0);
	rib_release(r);
}

/* Would catch: paths that are lost, or not weighed, between a route and the FIB; a gateway behind several paths that is
 * led by one of them only. */
static void test_paths(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);
	struct rib_path path[2] = {
		{ .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(IP4(10, 0, 1, 9)) }, .weight = 1 },
		{ .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(IP4(10, 0, 2, 9)) }, .weight = 3 }
	};
	struct rib_route all[] = {
		connected(IP4(10, 0, 1, 1), 24, 1),
		connected(IP4(10, 0, 2, 1), 24, 2),
		{ .prefix = ip_prefix_v4(IP4(192, 0, 2, 0), 24),
		  .source = RIB_STATIC,
		  .distance = 1,
		  .n_paths = 2,
		  .path = path,
		  .nexthop = { .kind = FIB_UNICAST } },
		via(IP4(44, 0, 0, 0), 8, IP4(192, 0, 2, 1)),
	};
	const uint32_t dst[] = { IP4(192, 0, 2, 5), IP4(44, 1, 1, 1) };

	set_all(r, all, ARRAY_LEN(all));
	for (size_t i = 0; i < ARRAY_LEN(dst); i++) {
		const struct fib_route *route = fib_route(f, fib_lookup(f, dst[i]));
		uint32_t n = 0;

		assert_non_null(route->paths);
		for (uint32_t b = 0; b < FIB_BUCKETS; b++)
			n += fib_path(route, b)->ifindex == 2;
		assert_int_equal(n, FIB_BUCKETS * 3 / 4);
		assert_int_equal(route->from, 1u << 1 | 1u << 2);
	}
	assert_true(rib_link_changed(r, 2, false));
	assert_null(fib_route(f, fib_lookup(f, dst[1]))->paths);
	assert_int_equal(lookup(f, dst[1])->ifindex, 1);
	struct rib_info info;
	assert_true(rib_route_of(r, rib_prefix_name(&all[2]), 0, &info));
	assert_int_equal(info.n_ways, 2);
	assert_false(info.link_down);
	rib_fib_release(r, 0);
	rib_release(r);
}

/* Would catch: a config's routes that take away those of others, a reload of the same that writes anything, one that
 * leaves what is gone, and a change that is computed and thrown away but leaves a trace. */
static void test_changes_of_config(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);
	struct rib_route one[] = { connected(IP4(10, 0, 1, 1), 24, 1), connected(IP4(10, 0, 1, 1), 24, 1),
				   via(IP4(44, 0, 0, 0), 8, IP4(10, 0, 1, 9)) };
	struct rib_route two[] = { connected(IP4(10, 0, 1, 1), 24, 1), via(IP4(45, 0, 0, 0), 8, IP4(10, 0, 1, 9)) };
	struct rib_route learnt = via(IP4(99, 0, 0, 0), 8, IP4(10, 0, 1, 7));

	one[2].source = two[1].source = RIB_STATIC;
	struct rib_change *c = rib_change_to(r, one, ARRAY_LEN(one));
	assert_int_equal(rib_change_apply(r, c), 0);
	rib_change_free(c);
	assert_int_equal(rib_n_routes(r), 2);
	set_all(r, &learnt, 1);

	uint64_t version = atomic_load(rib_version(r));
	c = rib_change_to(r, one, ARRAY_LEN(one));
	assert_int_equal(rib_change_size(c), 0);
	assert_int_equal(rib_change_apply(r, c), 0);
	rib_change_free(c);
	assert_int_equal(atomic_load(rib_version(r)), version);

	rib_change_free(rib_change_to(r, NULL, 0));
	c = rib_change_to(r, two, ARRAY_LEN(two));
	assert_int_equal(rib_change_size(c), 2);
	assert_int_equal(lookup(f, IP4(44, 0, 0, 1))->ifindex, 1);
	assert_int_equal(rib_change_apply(r, c), 0);
	assert_int_equal(rib_change_apply(r, c), 0);
	rib_change_free(c);
	assert_int_equal(lookup(f, IP4(44, 0, 0, 1))->kind, FIB_NONE);
	assert_int_equal(lookup(f, IP4(45, 0, 0, 1))->ifindex, 1);
	assert_int_equal(lookup(f, IP4(99, 0, 0, 1))->gateway.v4, IP4(10, 0, 1, 7));
	assert_true(atomic_load(rib_version(r)) > version);
	rib_fib_release(r, 0);
	rib_release(r);
}

/* --- any order --- */

#define N_LINKS 4u
#define N_ROUTES 60u

struct history {
	struct rib_route route[N_ROUTES];
	struct rib_path path[N_ROUTES][3];
	bool is_there[N_ROUTES];
	bool is_down[N_LINKS + 1];
	struct rng rng;
};

static struct rib_route any_route(struct history *h, uint32_t i)
{
	/* Few networks, so that gateways lie in them, and routes compete. */
	uint32_t net = rng_below(&h->rng, 6), host = 1 + rng_below(&h->rng, 3);
	uint32_t gateway = rng_below(&h->rng, 2) == 0 ? IP4(10, 0, 1 + rng_below(&h->rng, N_LINKS), 9)
						      : IP4(20 + rng_below(&h->rng, 6), 0, 0, host);
	struct rib_route r = via(IP4(20 + net, 0, 0, 0), (uint8_t)(rng_below(&h->rng, 3) * 12 + 8), gateway);

	if (i < N_LINKS)
		return connected(IP4(10, 0, 1 + i, 1), 24, 1 + i);
	if (i == N_LINKS) /* a prefix of ours that others lead to, too */
		return connected(IP4(20, 0, 0, 1), 8, 1);
	if (rng_below(&h->rng, 8) == 0)
		r.prefix = ip_prefix_v4(0, 0);
	r.instance = i;
	r.distance = (uint8_t)(1 + rng_below(&h->rng, 3));
	r.over_default = rng_below(&h->rng, 4) == 0;
	if (rng_below(&h->rng, 10) == 0)
		r.nexthop = (struct fib_nexthop){ .kind = FIB_BLACKHOLE };
	if (rng_below(&h->rng, 5) == 0) {
		for (uint32_t k = 0; k < 3; k++)
			h->path[i][k] = (struct rib_path){ .nexthop = { .kind = FIB_UNICAST,
									.gateway = ip_addr_v4(IP4(10, 0, 1 + k, 9)) },
							   .weight = 1 + k };
		r.n_paths = 3;
		r.path = h->path[i];
		r.nexthop = (struct fib_nexthop){ .kind = FIB_UNICAST };
	}
	return r;
}

/* Next hops by the interfaces that are in use, as bits. */
static uint64_t in_use(const struct fib_route *r)
{
	uint64_t bits = 0;

	if (r->paths == NULL)
		return UINT64_C(1) << r->nexthop.ifindex;
	for (uint32_t b = 0; b < FIB_BUCKETS; b++)
		bits |= UINT64_C(1) << fib_path(r, b)->ifindex;
	return bits;
}

static void compare(const struct fib *a, const struct fib *b, struct rng *rng)
{
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t dst =
			i < 50 ? IP4(20 + rng_below(rng, 7), 0, rng_below(rng, 2), rng_below(rng, 5)) : rng_u32(rng);
		const struct fib_route *x = fib_route(a, fib_lookup(a, dst)), *y = fib_route(b, fib_lookup(b, dst));

		assert_int_equal(x->nexthop.kind, y->nexthop.kind);
		assert_int_equal(x->paths == NULL, y->paths == NULL);
		assert_int_equal(x->from, y->from);
		assert_int_equal(in_use(x), in_use(y));
		if (x->paths == NULL)
			assert_memory_equal(&x->nexthop, &y->nexthop, sizeof(x->nexthop));
	}
}

/* The same routes and links, from nothing, in another order. */
static void check_against_fresh(struct history *h, const struct fib *f)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *fresh = rib_fib_hold(r, 0);
	uint32_t first = rng_below(&h->rng, N_ROUTES);

	for (uint32_t i = 1; i <= N_LINKS; i++)
		if (h->is_down[i] && first % 2 == 0)
			rib_link_changed(r, i, false);
	for (uint32_t k = 0; k < N_ROUTES; k++) {
		uint32_t i = (first + k * 7) % N_ROUTES;

		if (h->is_there[i])
			assert_int_equal(rib_set(r, &h->route[i]), 0);
	}
	assert_int_equal(rib_flush(r), 0);
	for (uint32_t i = 1; i <= N_LINKS; i++)
		if (h->is_down[i] && first % 2 != 0)
			rib_link_changed(r, i, false);
	compare(f, fresh, &h->rng);
	rib_fib_release(r, 0);
	rib_release(r);
}

static void step(struct history *h, struct rib *r)
{
	uint32_t i = rng_below(&h->rng, N_ROUTES);

	if (rng_below(&h->rng, 6) == 0) {
		uint32_t link = 1 + rng_below(&h->rng, N_LINKS);

		h->is_down[link] = !h->is_down[link];
		(void)rib_link_changed(r, link, !h->is_down[link]);
	} else if (h->is_there[i] && rng_below(&h->rng, 2) == 0) {
		assert_int_equal(rib_unset(r, &h->route[i]), 0);
		h->is_there[i] = false;
	} else if (h->is_there[i] && i > N_LINKS && rng_below(&h->rng, 2) == 0) {
		/* The same prefix and source, by another way. */
		struct ip_prefix prefix = h->route[i].prefix;

		h->route[i] = any_route(h, i);
		h->route[i].prefix = prefix;
		assert_int_equal(rib_set(r, &h->route[i]), 0);
	} else if (!h->is_there[i]) {
		h->route[i] = any_route(h, i);
		assert_int_equal(rib_set(r, &h->route[i]), 0);
		h->is_there[i] = true;
	}
}

/* Would catch: a result that depends on the order in which routes and links came and went, with gateways that others
 * lead to, several paths, and memory given back in between. */
static void test_any_order(void **state)
{
	static struct history h;
	uint8_t seed[RNG_SEED_BYTES] = { 10 };
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);

	rng_init(&h.rng, seed);
	for (uint32_t k = 0; k < 6000; k++) {
		step(&h, r);
		if (rng_below(&h.rng, 3) != 0)
			continue;
		assert_int_equal(rib_flush(r), 0);
		while (rib_work(r, 8))
			;
		(void)rib_grace_begin(r);
		rib_grace_over(r);
		if (k % 4 == 0)
			check_against_fresh(&h, f);
	}
	for (uint32_t i = 0; i < N_ROUTES; i++)
		if (h.is_there[i])
			assert_int_equal(rib_unset(r, &h.route[i]), 0);
	assert_int_equal(rib_flush(r), 0);
	assert_int_equal(rib_n_routes(r), 0);
	assert_int_equal(fib_n_prefixes(f), 0);
	(void)rib_grace_begin(r);
	rib_grace_over(r);
	assert_int_equal(fib_n_groups(f), 0);
	rib_fib_release(r, 0);
	rib_release(r);
}

/* Would catch: a config's route that is taken for one of the next config's, after as many changes as there are numbers
 * to mark them with. */
static void test_changes_without_end(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);
	struct rib_route one = connected(IP4(10, 0, 1, 1), 24, 1);
	struct rib_change *c;

	(void)state;
	for (uint32_t i = 0; i < UINT16_MAX + 9u; i++) {
		bool is_there = i % 3 == 2;

		c = rib_change_to(r, &one, is_there);
		assert_non_null(c);
		assert_int_equal(rib_change_size(c), i > 0 && i % 3 != 1);
		assert_int_equal(rib_change_apply(r, c), 0);
		rib_change_free(c);
		assert_int_equal(lookup(f, IP4(10, 0, 1, 9))->kind, is_there ? FIB_UNICAST : FIB_NONE);
	}
	rib_fib_release(r, 0);
	rib_release(r);
}

/* Would catch: a prefix for which the table has no room, and which keeps others out that need none, is forgotten, makes
 * flows look for other routes though none has changed, or keeps the look at all prefixes from its end. */
static void test_full(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	struct fib *f = (struct fib *)(uintptr_t)rib_fib_hold(r, 0);
	struct rib_route link = connected(IP4(10, 0, 1, 1), 24, 1), other = connected(IP4(10, 9, 0, 1), 16, 2);
	/* Two blocks each, of which the table has five: the link's prefix needs one. */
	struct rib_route first = via(IP4(10, 1, 1, 1), 32, IP4(10, 0, 1, 9)), second = first, third = first;
	uint64_t version;

	(void)state;
	f->blocks.cap = 5;
	second.prefix = ip_prefix_v4(IP4(10, 2, 1, 1), 32);
	third.prefix = ip_prefix_v4(IP4(10, 3, 1, 1), 32);
	assert_int_equal(rib_set(r, &link), 0);
	assert_int_equal(rib_set(r, &other), 0);
	assert_int_equal(rib_set(r, &first), 0);
	assert_int_equal(rib_set(r, &second), 0);
	assert_int_equal(rib_flush(r), 0);
	assert_int_equal(rib_set(r, &third), 0);
	assert_int_equal(rib_flush(r), -ENOMEM);
	assert_int_equal(rib_n_unsettled(r), 1);
	assert_int_equal(lookup(f, IP4(10, 3, 1, 1))->kind, FIB_NONE);
	version = *rib_version(r);
	assert_int_equal(rib_flush(r), -ENOMEM);
	assert_int_equal(*rib_version(r), version);
	/* A change of a link that has all looked at, from the last prefix on. */
	rib_link_changed(r, 2, false);
	while (rib_work(r, 1))
		;
	assert_int_equal(rib_n_unsettled(r), 1);
	assert_int_equal(rib_unset(r, &third), 0);
	assert_int_equal(rib_flush(r), 0);
	/* Noted before the one without room: its turn is behind it. */
	assert_int_equal(rib_unset(r, &first), 0);
	assert_int_equal(rib_set(r, &third), 0);
	assert_int_equal(rib_flush(r), -ENOMEM);
	assert_int_equal(lookup(f, IP4(10, 1, 1, 1))->kind, FIB_NONE);
	/* What was given up can be used when the readers have let go of it. */
	assert_true(rib_grace_begin(r));
	rib_grace_over(r);
	assert_int_equal(rib_flush(r), 0);
	assert_int_equal(rib_n_unsettled(r), 0);
	assert_int_equal(lookup(f, IP4(10, 3, 1, 1))->kind, FIB_UNICAST);
	rib_fib_release(r, 0);
	rib_release(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runtime),   cmocka_unit_test(test_lost),
		cmocka_unit_test(test_recursive), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_paths),     cmocka_unit_test(test_changes_of_config),
		cmocka_unit_test(test_any_order), cmocka_unit_test(test_changes_without_end),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
