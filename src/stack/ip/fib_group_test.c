/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Groups, exits and the buckets of several next hops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "stack/ip/fib_priv.h"

static struct fib_exit_path path(uint32_t ifindex, uint32_t gateway, uint32_t weight)
{
	return (struct fib_exit_path){ { .kind = FIB_UNICAST, .ifindex = ifindex, .gateway = ip_addr_v4(gateway) },
				       weight };
}

static uint32_t exit_of(struct fib *f, uint32_t ifindex, uint32_t gateway)
{
	struct fib_exit_path p = path(ifindex, gateway, 1);
	uint32_t e = fib_exit_new(f, FIB_EXIT_PLAIN);

	assert_int_not_equal(e, FIB_NO_EXIT);
	assert_int_equal(fib_exit_set(f, e, &p, 1), 0);
	return e;
}

static uint32_t gateway_to(const struct fib *f, uint32_t dst)
{
	return fib_nexthop(f, fib_lookup(f, dst))->gateway.v4;
}

#define N_PREFIXES 1000u

/* Would catch: a lost interface or neighbour that takes more than a write a group, leaves prefixes without their second
 * best, or does not give them back; a group that does not say by which interfaces its prefixes may be heard. */
static void test_second_best(void **state)
{
	struct fib *f = fib_create();
	uint32_t e[3] = { exit_of(f, 1, 11), exit_of(f, 2, 12), exit_of(f, 2, 13) };
	struct ip_addr twelve = ip_addr_v4(12);

	for (uint32_t i = 0; i < N_PREFIXES; i++) {
		struct ip4_prefix p = { IP4(10, i >> 8, i & 255, 0), 24 };

		assert_int_equal(fib_insert(f, p, fib_group_add(f, e[i % 3], e[(i + 1) % 3], 1u << 5)), 0);
	}
	assert_int_equal(fib_n_groups(f), 3);
	assert_int_equal(gateway_to(f, IP4(10, 0, 0, 1)), 11);
	assert_int_equal(fib_link(f, 1, false), 2);
	assert_int_equal(gateway_to(f, IP4(10, 0, 0, 1)), 12);
	assert_int_equal(fib_route(f, fib_lookup(f, IP4(10, 0, 0, 1)))->from, 1u << 1 | 1u << 2 | 1u << 5);
	assert_int_equal(gateway_to(f, IP4(10, 0, 2, 1)), 13);
	assert_int_equal(fib_neighbour(f, 2, &twelve, false), 2);
	assert_int_equal(fib_neighbour(f, 2, &twelve, false), 0);
	assert_int_equal(fib_nexthop(f, fib_lookup(f, IP4(10, 0, 0, 1)))->kind, FIB_NONE);
	assert_int_equal(gateway_to(f, IP4(10, 0, 1, 1)), 13);
	assert_false(fib_exit_is_up(f, e[1]));
	assert_int_equal(fib_link(f, 1, true), 2);
	assert_int_equal(fib_neighbour(f, 2, &twelve, true), 2);
	assert_int_equal(gateway_to(f, IP4(10, 0, 1, 1)), 12);
	for (uint32_t i = 0; i < 3; i++)
		fib_exit_put(f, e[i]);
	fib_reclaim(f, fib_grace_begin(f));
	assert_int_equal(gateway_to(f, IP4(10, 0, 0, 1)), 11);
	fib_destroy(f);
}

/* Would catch: our own hosts looked for elsewhere while their link is down, or somebody who has another way refused. */
static void test_stays(void **state)
{
	struct fib *f = fib_create();
	struct fib_exit_path ours = path(1, 0, 1);
	uint32_t e = fib_exit_new(f, FIB_EXIT_STAYS), other = exit_of(f, 2, 9);

	assert_int_equal(fib_exit_set(f, e, &ours, 1), 0);
	fib_insert(f, (struct ip4_prefix){ IP4(10, 0, 0, 0), 24 }, fib_group_add(f, e, FIB_NO_EXIT, 0));
	fib_insert(f, (struct ip4_prefix){ IP4(10, 0, 1, 0), 24 }, fib_group_add(f, e, other, 0));
	fib_link(f, 1, false);
	assert_int_equal(fib_nexthop(f, fib_lookup(f, IP4(10, 0, 0, 1)))->ifindex, 1);
	assert_int_equal(fib_nexthop(f, fib_lookup(f, IP4(10, 0, 1, 1)))->ifindex, 2);
	fib_link(f, 2, false);
	assert_int_equal(fib_nexthop(f, fib_lookup(f, IP4(10, 0, 1, 1)))->ifindex, 1);
	fib_destroy(f);
}

/* Would catch: a gateway that is resolved again and does not take all its prefixes along, and memory of what was there
 * before that is not given back. */
static void test_exit_changes(void **state)
{
	struct fib *f = fib_create();
	uint32_t e = exit_of(f, 1, 11);
	size_t bytes = 0;

	for (uint32_t i = 0; i < N_PREFIXES; i++)
		fib_insert(f, (struct ip4_prefix){ IP4(10, i >> 8, i & 255, 0), 24 },
			   fib_group_add(f, e, FIB_NO_EXIT, 0));
	for (uint32_t round = 0; round < 100; round++) {
		struct fib_exit_path p[2] = { path(1 + round % 3, 12 + round, 1), path(2, 5, 1) };

		assert_int_equal(fib_exit_set(f, e, p, 1 + round % 2), 0);
		if (round % 2 == 0)
			assert_int_equal(gateway_to(f, IP4(10, 3, 0, 1)), 12 + round);
		fib_reclaim(f, fib_grace_begin(f));
		if (round == 11)
			bytes = fib_bytes(f);
	}
	assert_int_equal(fib_bytes(f), bytes);
	assert_int_equal(fib_exit_set(f, e, NULL, 0), 0);
	assert_int_equal(fib_nexthop(f, fib_lookup(f, IP4(10, 3, 0, 1)))->kind, FIB_NONE);
	fib_exit_put(f, e);
	fib_destroy(f);
}

/* --- buckets --- */

struct buckets {
	uint32_t gateway[FIB_BUCKETS];
};

static struct buckets read_buckets(const struct fib *f, uint32_t dst)
{
	const struct fib_route *r = fib_route(f, fib_lookup(f, dst));
	struct buckets b;

	for (uint32_t i = 0; i < FIB_BUCKETS; i++)
		b.gateway[i] = r->paths != NULL ? fib_path(r, i)->gateway.v4 : r->nexthop.gateway.v4;
	return b;
}

static uint32_t n_of(const struct buckets *b, uint32_t gateway)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < FIB_BUCKETS; i++)
		n += b->gateway[i] == gateway;
	return n;
}

/* Buckets whose next hop changed, though it had this one before (0: any). */
static uint32_t n_moved(const struct buckets *a, const struct buckets *b, uint32_t except)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < FIB_BUCKETS; i++)
		n += a->gateway[i] != b->gateway[i] && a->gateway[i] != except;
	return n;
}

/* Would catch: flows that are not divided by weight; a next hop that goes and moves flows of the others, one that is
 * back and takes what was not its own, a second loss that moves those of the first again, and a new one that takes more
 * than its part. */
static void test_buckets(void **state)
{
	struct fib *f = fib_create();
	struct fib_exit_path p[4] = { path(1, 1, 1), path(2, 2, 1), path(3, 3, 2), path(4, 4, 4) };
	struct ip4_prefix all = { 0, 0 };
	uint32_t e = fib_exit_new(f, FIB_EXIT_PLAIN);

	fib_exit_set(f, e, p, 3);
	fib_insert(f, all, fib_group_add(f, e, FIB_NO_EXIT, 0));
	struct buckets whole = read_buckets(f, 1);

	assert_int_equal(n_of(&whole, 1), FIB_BUCKETS / 4);
	assert_int_equal(n_of(&whole, 3), FIB_BUCKETS / 2);
	fib_link(f, 1, false);
	struct buckets one = read_buckets(f, 1);

	assert_int_equal(n_of(&one, 1), 0);
	assert_int_equal(n_moved(&whole, &one, 1), 0);
	assert_in_range(n_of(&one, 3), FIB_BUCKETS * 2 / 3 - 1, FIB_BUCKETS * 2 / 3 + 1);
	fib_link(f, 3, false);
	struct buckets two = read_buckets(f, 1);

	assert_int_equal(n_of(&two, 2), FIB_BUCKETS);
	fib_link(f, 3, true);
	struct buckets again = read_buckets(f, 1);

	assert_int_equal(n_moved(&whole, &again, 1), 0);
	assert_in_range(n_of(&again, 3), FIB_BUCKETS * 2 / 3 - 1, FIB_BUCKETS * 2 / 3 + 1);
	fib_link(f, 1, true);
	again = read_buckets(f, 1);
	assert_memory_equal(&again, &whole, sizeof(whole));

	fib_exit_set(f, e, p, 4);
	struct buckets more = read_buckets(f, 1);

	assert_int_equal(n_of(&more, 4), FIB_BUCKETS / 2);
	assert_int_equal(n_moved(&whole, &more, 0), FIB_BUCKETS / 2);
	fib_exit_set(f, e, p + 1, 3); /* the first is withdrawn */
	struct buckets less = read_buckets(f, 1);

	assert_int_equal(n_of(&less, 1), 0);
	assert_int_equal(n_moved(&more, &less, 1), 0);
	fib_exit_put(f, e);
	fib_destroy(f);
}

#define N_FLOWS 10000u

/* Flows by the gateway that each goes by. */
static void read_flows(const struct fib *f, uint32_t gateway[N_FLOWS])
{
	const struct fib_route *r = fib_route(f, fib_lookup(f, 1));
	uint8_t seed[RNG_SEED_BYTES] = { 14 };
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t i = 0; i < N_FLOWS; i++)
		gateway[i] = fib_path(r, rng_u32(&rng))->gateway.v4;
}

static uint32_t n_flows_moved(const uint32_t before[N_FLOWS], const uint32_t now[N_FLOWS], uint32_t except)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_FLOWS; i++)
		n += before[i] != now[i] && before[i] != except;
	return n;
}

/* Four exits, 10,000 flows; one goes and comes back. Would catch: flows of others that move, more or less than a
 * quarter that does, and one that comes back to another exit than it had. */
static void test_flows(void **state)
{
	static uint32_t whole[N_FLOWS], less[N_FLOWS], again[N_FLOWS];
	struct fib *f = fib_create();
	struct fib_exit_path p[4] = { path(1, 1, 1), path(2, 2, 1), path(3, 3, 1), path(4, 4, 1) };
	uint32_t e = fib_exit_new(f, FIB_EXIT_PLAIN);

	fib_exit_set(f, e, p, 4);
	fib_insert(f, (struct ip4_prefix){ 0, 0 }, fib_group_add(f, e, FIB_NO_EXIT, 0));
	read_flows(f, whole);
	for (uint32_t k = 1; k <= 4; k++) {
		fib_link(f, k, false);
		read_flows(f, less);
		assert_int_equal(n_flows_moved(whole, less, k), 0);
		assert_in_range(n_flows_moved(whole, less, 0), N_FLOWS * 23 / 100, N_FLOWS * 27 / 100);
		fib_link(f, k, true);
		read_flows(f, again);
		assert_in_range(n_flows_moved(less, again, 0), N_FLOWS * 23 / 100, N_FLOWS * 27 / 100);
		assert_memory_equal(whole, again, sizeof(whole));
	}
	fib_exit_put(f, e);
	fib_destroy(f);
}

/* What readers may still look at is given back while more is taken out behind it. Would catch: memory that is given
 * back twice, before its time, or never. */
static void test_given_back_in_turns(void **state)
{
	enum { N = 200, BEHIND = 3 };
	struct fib *f = fib_create();
	struct fib_exit_path p[3] = { path(1, 1, 1), path(2, 2, 1), path(3, 3, 1) };
	uint32_t e = fib_exit_new(f, FIB_EXIT_PLAIN);
	uint64_t generation[N];

	(void)state;
	fib_exit_set(f, e, p, 2);
	fib_insert(f, (struct ip4_prefix){ 0, 0 }, fib_group_add(f, e, FIB_NO_EXIT, 0));
	for (uint32_t i = 0; i < N; i++) {
		fib_exit_set(f, e, p + i % 2, 2);
		assert_true(fib_waits(f));
		generation[i] = fib_grace_begin(f);
		if (i >= BEHIND)
			fib_reclaim(f, generation[i - BEHIND]);
	}
	assert_true(fib_waits(f));
	fib_reclaim(f, generation[N - 1]);
	assert_false(fib_waits(f));
	fib_exit_put(f, e);
	fib_destroy(f);
}

/* Would catch: an arbitrary history after which a bucket is with a next hop that is down, shares are not by weight, or
 * flows moved that need not have. */
static void test_any_history(void **state)
{
	struct fib *f = fib_create();
	uint8_t seed[RNG_SEED_BYTES] = { 8 };
	struct ip4_prefix all = { 0, 0 };
	uint32_t e = fib_exit_new(f, FIB_EXIT_PLAIN), up = 0xff;
	struct fib_exit_path p[8];
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t i = 0; i < 8; i++)
		p[i] = path(1 + i, 1 + i, 1 + i % 3);
	fib_exit_set(f, e, p, 8);
	fib_insert(f, all, fib_group_add(f, e, FIB_NO_EXIT, 0));
	for (uint32_t step = 0; step < 2000; step++) {
		struct buckets before = read_buckets(f, 1), after;
		uint32_t i = rng_below(&rng, 8), total = 0;

		if ((up ^ 1u << i) == 0)
			continue;
		up ^= 1u << i;
		fib_link(f, 1 + i, (up >> i & 1) != 0);
		fib_reclaim(f, fib_grace_begin(f));
		after = read_buckets(f, 1);
		for (uint32_t k = 0; k < 8; k++)
			total += (up >> k & 1) != 0 ? p[k].weight : 0;
		for (uint32_t k = 0; k < 8; k++) {
			uint32_t quota = (up >> k & 1) != 0 ? FIB_BUCKETS * p[k].weight / total : 0;

			assert_in_range(n_of(&after, 1 + k), quota, quota + ((up >> k & 1) != 0));
		}
		if ((up >> i & 1) == 0) {
			/* Rounding may shift one bucket of each. */
			assert_in_range(n_moved(&before, &after, 1 + i), 0, 8);
		} else {
			assert_in_range(n_moved(&before, &after, 0), 0, n_of(&after, 1 + i) + 8);
		}
	}
	fib_exit_put(f, e);
	fib_destroy(f);
}

static uint32_t by(const struct fib *f, uint32_t dst, uint32_t ifindex, uint32_t hash)
{
	const struct fib_nexthop *nh = fib_lookup_by(f, dst, ifindex, hash);

	return nh != NULL ? nh->gateway.v4 : 0;
}

static uint32_t exit_by(struct fib *f, const uint32_t *ifindex, uint32_t n, uint32_t gateway)
{
	struct fib_exit_path path[FIB_PATHS_MAX];
	uint32_t e = fib_exit_new(f, FIB_EXIT_PLAIN);

	for (uint32_t i = 0; i < n; i++)
		path[i] = (struct fib_exit_path){
			{ .kind = FIB_UNICAST, .ifindex = ifindex[i], .gateway = ip_addr_v4(gateway + i) }, 1
		};
	assert_int_equal(fib_exit_set(f, e, path, n), 0);
	return e;
}

/* Would catch: a look-up by an interface that stops at the longest prefix, or at the best route; that takes a next hop
 * which is down while another is up, or none while all are down; of several always the same, or one of another
 * interface; that goes past a route that refuses. */
static void test_by_interface(void **state)
{
	static const uint32_t one[] = { 1 }, two[] = { 2 }, both[] = { 1, 2, 2, 3 };
	struct fib *f = fib_create();
	uint32_t best = exit_by(f, one, 1, 100), second = exit_by(f, two, 1, 200), many = exit_by(f, both, 4, 300);
	struct fib_nexthop hole = { .kind = FIB_BLACKHOLE }, own = { .kind = FIB_LOCAL, .ifindex = 2 };
	bool seen[2] = { false };

	assert_int_equal(fib_insert(f, (struct ip4_prefix){ 0, 0 }, fib_group_add(f, best, second, 0)), 0);
	assert_int_equal(
		fib_insert(f, (struct ip4_prefix){ IP4(10, 0, 0, 0), 8 }, fib_group_add(f, many, FIB_NO_EXIT, 0)), 0);
	assert_int_equal(
		fib_insert(f, (struct ip4_prefix){ IP4(10, 1, 0, 0), 16 }, fib_group_add(f, best, FIB_NO_EXIT, 0)), 0);
	assert_int_equal(fib_insert(f, (struct ip4_prefix){ IP4(11, 0, 0, 0), 8 }, fib_nexthop_add(f, &hole)), 0);
	assert_int_equal(fib_insert(f, (struct ip4_prefix){ IP4(10, 1, 2, 3), 32 }, fib_nexthop_add(f, &own)), 0);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 1, 0), 100);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 2, 0), 200);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 3, 0), 0);
	assert_int_equal(by(f, IP4(10, 1, 1, 1), 1, 0), 100);
	assert_int_equal(by(f, IP4(10, 1, 1, 1), 3, 0), 303);
	assert_int_equal(fib_lookup_by(f, IP4(11, 1, 1, 1), 1, 0)->kind, FIB_BLACKHOLE);
	assert_int_equal(fib_lookup_by(f, IP4(10, 1, 2, 3), 2, 0)->kind, FIB_LOCAL);
	assert_int_equal(by(f, IP4(10, 1, 2, 3), 3, 0), 303);
	for (uint32_t hash = 0; hash < FIB_BUCKETS; hash++) {
		uint32_t got = by(f, IP4(10, 9, 9, 9), 2, hash);

		assert_in_range(got, 301, 302);
		seen[got - 301] = true;
	}
	assert_true(seen[0] && seen[1]);
	(void)fib_link(f, 1, false);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 1, 0), 100);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 2, 0), 200);
	(void)fib_link(f, 1, true);
	struct ip_addr lost = ip_addr_v4(301);

	(void)fib_neighbour(f, 2, &lost, false);
	for (uint32_t hash = 0; hash < FIB_BUCKETS; hash++)
		assert_int_equal(by(f, IP4(10, 9, 9, 9), 2, hash), 302);
	lost = ip_addr_v4(302);
	(void)fib_neighbour(f, 2, &lost, false);
	assert_int_equal(by(f, IP4(10, 9, 9, 9), 2, 0), 200);
	lost = ip_addr_v4(200);
	(void)fib_neighbour(f, 2, &lost, false);
	assert_in_range(by(f, IP4(10, 9, 9, 9), 2, 0), 301, 302);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 2, 0), 200);
	(void)fib_link(f, 1, false);
	assert_int_equal(fib_nexthop(f, fib_lookup(f, IP4(9, 9, 9, 9)))->kind, FIB_NONE);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 1, 0), 100);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 2, 0), 200);
	assert_int_equal(by(f, IP4(9, 9, 9, 9), 3, 0), 0);
	fib_exit_put(f, best);
	fib_exit_put(f, second);
	fib_exit_put(f, many);
	fib_destroy(f);
}

struct spoilt {
	struct prefix_set *set;
	struct ip4_prefix goes;
	uint32_t n_walks, last;
};

/* The first time, the prefix that is met goes meanwhile. */
static bool spoil(void *ctx, uint32_t value)
{
	struct spoilt *s = ctx;
	uint32_t old;

	s->last = value;
	if (value == 0)
		s->n_walks++;
	else if (s->n_walks == 1)
		assert_true(prefix_set_take(s->set, s->goes, &old));
	return value != 0;
}

/* Would catch: a walk that is done again without saying so, so that whoever asked keeps what the spoilt one met. */
static void test_walk_begins_again(void **state)
{
	struct prefix_set set;
	struct spoilt s = { .set = &set, .goes = { IP4(10, 0, 0, 0), 8 } };
	uint32_t old;

	(void)state;
	assert_int_equal(prefix_set_init(&set), 0);
	(void)prefix_set_put(&set, s.goes, 7, &old);
	prefix_set_walk(&set, IP4(10, 1, 1, 1), spoil, &s);
	assert_int_equal(s.n_walks, 2);
	assert_int_equal(s.last, 0);
	prefix_set_fini(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_best),
		cmocka_unit_test(test_stays),
		cmocka_unit_test(test_exit_changes),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_any_history),
		cmocka_unit_test(test_by_interface),
		cmocka_unit_test(test_given_back_in_turns),
		cmocka_unit_test(test_walk_begins_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
