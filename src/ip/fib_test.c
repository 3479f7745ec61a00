/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The FIB against a list that is searched in full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "ip/fib.h"

static uint32_t via(struct fib *f, uint32_t gateway)
{
	struct fib_nexthop nh = { .kind = FIB_UNICAST, .ifindex = 1, .gateway = gateway };
	uint32_t i = fib_nexthop_add(f, &nh);

	assert_int_not_equal(i, 0);
	return i;
}

/* Would catch: an answer that comes from a shorter prefix than the longest, at
 * each of the trie's three levels, and a default route that hides holes. */
static void test_longest_wins(void **state)
{
	static const struct {
		struct ip4_prefix p;
		uint32_t gw;
	} route[] = {
		{ { 0, 0 }, 1 },
		{ { IP4(10, 0, 0, 0), 8 }, 2 },
		{ { IP4(10, 1, 0, 0), 16 }, 3 },
		{ { IP4(10, 1, 2, 0), 23 }, 4 },
		{ { IP4(10, 1, 2, 0), 24 }, 5 },
		{ { IP4(10, 1, 2, 128), 25 }, 6 },
		{ { IP4(10, 1, 2, 200), 32 }, 7 },
	};
	static const struct {
		uint32_t dst, gw;
	} want[] = {
		{ IP4(9, 9, 9, 9), 1 },    { IP4(10, 2, 0, 1), 2 },        { IP4(10, 1, 0, 1), 3 },
		{ IP4(10, 1, 3, 1), 4 },   { IP4(10, 1, 2, 1), 5 },        { IP4(10, 1, 2, 129), 6 },
		{ IP4(10, 1, 2, 200), 7 }, { IP4(255, 255, 255, 255), 1 },
	};
	/* Both orders of insertion give the same table. */
	for (int order = 0; order < 2; order++) {
		struct fib *f = fib_create();

		for (size_t k = 0; k < ARRAY_LEN(route); k++) {
			size_t i = order ? ARRAY_LEN(route) - 1 - k : k;

			assert_int_equal(fib_insert(f, route[i].p, via(f, route[i].gw)), 0);
		}
		for (size_t i = 0; i < ARRAY_LEN(want); i++)
			assert_int_equal(fib_nexthop(f, fib_lookup(f, want[i].dst))->gateway, want[i].gw);
		fib_destroy(f);
	}
}

/* Would catch: an empty table that answers, and a removal that leaves a trace. */
static void test_empty_and_remove(void **state)
{
	struct fib *f = fib_create();
	struct ip4_prefix p = { IP4(192, 0, 2, 0), 27 };

	assert_int_equal(fib_lookup(f, IP4(192, 0, 2, 1)), FIB_NO_ROUTE);
	assert_int_equal(fib_nexthop(f, FIB_NO_ROUTE)->kind, FIB_NONE);
	assert_int_equal(fib_remove(f, p), -2 /* ENOENT */);
	fib_insert(f, p, via(f, 9));
	assert_int_equal(fib_n_prefixes(f), 1);
	assert_int_equal(fib_remove(f, p), 0);
	assert_int_equal(fib_lookup(f, IP4(192, 0, 2, 1)), FIB_NO_ROUTE);
	assert_int_equal(fib_n_prefixes(f), 0);
	fib_destroy(f);
}

#define N_MODEL 400

/* Would catch: any wrong answer after an arbitrary history of inserts, changes
 * and removals of nested prefixes. */
static void test_against_full_search(void **state)
{
	struct {
		struct ip4_prefix p;
		uint32_t gw;
	} model[N_MODEL];
	size_t n = 0;
	uint8_t seed[RNG_SEED_BYTES] = { 1 };
	struct rng rng;
	struct fib *f = fib_create();

	rng_init(&rng, seed);
	for (int step = 0; step < 4000; step++) {
		struct ip4_prefix p = { .len = (uint8_t)rng_below(&rng, 33) };
		size_t i = 0;

		/* few distinct addresses, so that prefixes nest and repeat */
		p.addr = (IP4(10, 0, 0, 0) | (rng_u32(&rng) & 0x00010307)) & ip4_mask(p.len);
		while (i < n && (model[i].p.addr != p.addr || model[i].p.len != p.len))
			i++;
		if (rng_below(&rng, 3) == 0) {
			assert_int_equal(fib_remove(f, p), i < n ? 0 : -2);
			if (i < n)
				model[i] = model[--n];
		} else if (i < n || n < N_MODEL) {
			uint32_t gw = 1 + rng_below(&rng, 50);

			assert_int_equal(fib_insert(f, p, via(f, gw)), 0);
			model[i].p = p;
			model[i].gw = gw;
			n += i == n;
		}
		assert_int_equal(fib_n_prefixes(f), n);
		for (int probe = 0; probe < 8; probe++) {
			uint32_t dst = IP4(10, 0, 0, 0) | (rng_u32(&rng) & 0x0001070f), gw = 0;
			int best = -1;

			for (size_t k = 0; k < n; k++) {
				if (ip4_in(dst, model[k].p) && model[k].p.len > best) {
					best = model[k].p.len;
					gw = model[k].gw;
				}
			}
			assert_int_equal(fib_nexthop(f, fib_lookup(f, dst))->gateway, gw);
		}
	}
	fib_destroy(f);
}

static void count_sorted(void *ctx, struct ip4_prefix p, const struct fib_nexthop *nh)
{
	struct ip4_prefix *last = ctx;

	assert_true(p.addr > last->addr || (p.addr == last->addr && p.len > last->len));
	*last = p;
}

/* Would catch: a listing out of order. */
static void test_walk(void **state)
{
	struct fib *f = fib_create();
	struct ip4_prefix last = { 0, 0 };

	for (uint32_t i = 0; i < 300; i++)
		fib_insert(f, (struct ip4_prefix){ IP4(10, i * 7 % 256, i, 0), (uint8_t)(24 + i % 3) },
			   via(f, 1 + i % 5));
	fib_walk(f, count_sorted, &last);
	fib_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_wins),
		cmocka_unit_test(test_empty_and_remove),
		cmocka_unit_test(test_against_full_search),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
