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
#include "stack/ip/fib.h"

static uint32_t via(struct fib *f, uint32_t gateway)
{
	struct fib_nexthop nh = { .kind = FIB_UNICAST, .ifindex = 1, .gateway = ip_addr_v4(gateway) };
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
			assert_int_equal(fib_nexthop(f, fib_lookup(f, want[i].dst))->gateway.v4, want[i].gw);
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

struct model {
	size_t n;
	struct {
		struct ip4_prefix p;
		uint32_t gw;
	} route[N_MODEL];
};

/* *found: the prefix, 0.0.0.0/0 when there is none. */
static uint32_t full_search(const struct model *m, uint32_t dst, struct ip4_prefix *found)
{
	uint32_t gw = 0;
	int best = -1;

	*found = (struct ip4_prefix){ 0, 0 };
	for (size_t k = 0; k < m->n; k++) {
		if (ip4_in(dst, m->route[k].p) && m->route[k].p.len > best) {
			best = m->route[k].p.len;
			gw = m->route[k].gw;
			*found = m->route[k].p;
		}
	}
	return gw;
}

static void check_probes(const struct fib *f, const struct model *m, struct rng *rng)
{
	uint32_t dst[70], nh[70];
	struct ip4_prefix wanted, by;

	for (size_t i = 0; i < ARRAY_LEN(dst); i++)
		dst[i] = IP4(10, 0, 0, 0) | (rng_u32(rng) & 0x0001070f);
	fib_lookup_batch(f, dst, nh, ARRAY_LEN(dst));
	for (size_t i = 0; i < ARRAY_LEN(dst); i++) {
		assert_int_equal(fib_lookup(f, dst[i]), nh[i]);
		assert_int_equal(fib_lookup_prefix(f, dst[i], &by), nh[i]);
		if (i >= 8)
			continue;
		assert_int_equal(fib_nexthop(f, nh[i])->gateway.v4, full_search(m, dst[i], &wanted));
		assert_int_equal(by.addr, wanted.addr);
		assert_int_equal(by.len, wanted.len);
	}
}

/* Would catch: any wrong answer after an arbitrary history of inserts, changes
 * and removals of nested prefixes, with blocks and next hops used again at
 * arbitrary times; a batch that answers other than one by one; a prefix that is not the one that gives the answer. */
static void test_against_full_search(void **state)
{
	struct model m = { .n = 0 };
	uint8_t seed[RNG_SEED_BYTES] = { 1 };
	struct rng rng;
	struct fib *f = fib_create();

	rng_init(&rng, seed);
	for (int step = 0; step < 4000; step++) {
		/* few distinct addresses, so that prefixes nest and repeat */
		struct ip4_prefix p = { .len = (uint8_t)rng_below(&rng, 33) };
		size_t i = 0;

		p.addr = (IP4(10, 0, 0, 0) | (rng_u32(&rng) & 0x00010307)) & ip4_mask(p.len);
		while (i < m.n && (m.route[i].p.addr != p.addr || m.route[i].p.len != p.len))
			i++;
		if (rng_below(&rng, step < 2000 ? 3 : 2) == 0) {
			assert_int_equal(fib_remove(f, p), i < m.n ? 0 : -2);
			if (i < m.n)
				m.route[i] = m.route[--m.n];
		} else if (i < m.n || m.n < N_MODEL) {
			uint32_t gw = 1 + rng_below(&rng, 50);

			assert_int_equal(fib_insert(f, p, via(f, gw)), 0);
			m.route[i].p = p;
			m.route[i].gw = gw;
			m.n += i == m.n;
		}
		if (rng_below(&rng, 4) == 0)
			fib_reclaim(f, fib_grace_begin(f));
		assert_int_equal(fib_n_prefixes(f), m.n);
		check_probes(f, &m, &rng);
	}
	/* All of them withdrawn: what they used is there for others. */
	while (m.n > 0)
		assert_int_equal(fib_remove(f, m.route[--m.n].p), 0);
	check_probes(f, &m, &rng);
	fib_destroy(f);
}

/* Would catch: blocks and next hops that stay taken when their prefixes are gone,
 * one that is given out again before the grace, and one that was used again in
 * between and is taken away nevertheless. */
static void test_what_is_gone_is_used_again(void **state)
{
	struct fib *f = fib_create();
	size_t bytes = 0;

	for (uint32_t round = 0; round < 1000; round++) {
		struct ip4_prefix p = { IP4(10, round % 100, round % 7, round), 32 };
		uint32_t nh = via(f, 1 + round);

		assert_int_equal(fib_insert(f, p, nh), 0);
		assert_int_equal(fib_nexthop(f, fib_lookup(f, p.addr))->gateway.v4, 1 + round);
		assert_int_equal(fib_remove(f, p), 0);
		uint64_t g = fib_grace_begin(f);
		/* A reader from before may still have the number. */
		assert_int_equal(fib_nexthop(f, nh)->gateway.v4, 1 + round);
		fib_reclaim(f, g);
		if (round == 10)
			bytes = fib_bytes(f);
	}
	assert_int_equal(fib_bytes(f), bytes);

	struct ip4_prefix p = { IP4(10, 0, 0, 0), 8 };
	uint32_t nh = via(f, 7);

	fib_insert(f, p, nh);
	fib_remove(f, p);
	uint64_t g = fib_grace_begin(f);

	fib_insert(f, p, nh);
	fib_reclaim(f, g);
	assert_int_equal(fib_nexthop(f, fib_lookup(f, IP4(10, 1, 1, 1)))->gateway.v4, 7);
	assert_int_equal(via(f, 7), nh);
	/* Taken out again behind g: another grace is needed. */
	fib_remove(f, p);
	fib_reclaim(f, g);
	assert_int_equal(via(f, 7), nh);
	fib_destroy(f);
}

/* Would catch: a block that is given out again while readers may be in it, by a
 * reclaim of an earlier generation or by none. */
static void test_blocks_wait_for_the_grace(void **state)
{
	struct fib *f = fib_create();
	struct ip4_prefix p = { IP4(10, 0, 0, 0), 24 };
	size_t bytes = 0;
	uint64_t g = fib_grace_begin(f);

	for (uint32_t i = 0; i < 4; i++) {
		p.addr += 1u << 16;
		fib_insert(f, p, via(f, 1));
		fib_remove(f, p);
		if (i > 1)
			fib_reclaim(f, g);
		assert_true(fib_bytes(f) > bytes);
		bytes = fib_bytes(f);
	}
	assert_true(fib_waits(f));
	fib_reclaim(f, fib_grace_begin(f));
	assert_false(fib_waits(f));
	for (uint32_t i = 0; i < 4; i++) {
		p.addr += 1u << 16;
		fib_insert(f, p, via(f, 1));
	}
	assert_int_equal(fib_bytes(f), bytes);
	fib_destroy(f);
}

/* Would catch: a small table that takes a large one's memory. */
static void test_small_stays_small(void **state)
{
	struct fib *f = fib_create();

	for (uint32_t i = 0; i < 10; i++)
		fib_insert(f, (struct ip4_prefix){ IP4(10, i, 0, 0), 24 }, via(f, i));
	assert_in_range(fib_bytes(f), 1, 300 * 1024);
	fib_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_wins),
		cmocka_unit_test(test_empty_and_remove),
		cmocka_unit_test(test_against_full_search),
		cmocka_unit_test(test_what_is_gone_is_used_again),
		cmocka_unit_test(test_blocks_wait_for_the_grace),
		cmocka_unit_test(test_small_stays_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
