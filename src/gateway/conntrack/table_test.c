/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of references beside a plain list, and the tuples that it is made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "gateway/conntrack/table.h"
#include "gateway/conntrack/tuple.h"

#define N 3000

static bool has(const struct ct_table *t, ct_place place, uint32_t ref)
{
	for (const struct ct_bucket *b = ct_table_bucket(t, place); b != NULL; b = ct_table_next(t, b))
		for (uint64_t m = ct_bucket_match(b, ct_place_tag(place)); m != 0; m &= m - 1)
			if (b->ref[ct_slot(m)] == ref)
				return true;
	return false;
}

/* No holes before the end of a chain, no empty overflow bucket. */
static void check_chains(const struct ct_table *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_buckets; i++) {
		const struct ct_bucket *home = &t->bucket[i];
		for (const struct ct_bucket *b = home; b != NULL; b = ct_table_next(t, b)) {
			uint32_t n_here = CT_BUCKET_SLOTS - (uint32_t)__builtin_popcountll(ct_bucket_match(b, 0));
			assert_true(b->next == 0 || n_here == CT_BUCKET_SLOTS);
			assert_true(b == home || n_here > 0);
			n += n_here;
		}
	}
	assert_int_equal(n, t->n_entries);
}

/* Would catch: a reference lost when its bucket overflows, or when a hole is filled; an overflow bucket that leaks. */
static void test_against_list(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 3 };
	static ct_place place[N];
	static bool there[N];
	struct ct_table t;
	struct rng rng;

	(void)state;
	rng_init(&rng, seed);
	for (int crowd = 0; crowd < 2; crowd++) {
		assert_int_equal(ct_table_init(&t, N), 0);
		for (uint32_t i = 0; i < N; i++) {
			/* The second time, everything falls into few buckets, many with equal tags. */
			uint64_t hash = rng_u64(&rng);

			if (crowd)
				hash = (hash & 0xf) | (hash >> 8 & 3) << 62;
			place[i] = ct_table_place(&t, hash);
			there[i] = false;
		}
		for (uint32_t step = 0; step < 40000; step++) {
			uint32_t i = rng_below(&rng, crowd ? 400 : N);
			if (there[i])
				assert_true(ct_table_remove(&t, ct_place_number(place[i]), i));
			else
				assert_true(ct_table_insert(&t, place[i], i));
			there[i] = !there[i];
			if (step % 5000 == 0)
				check_chains(&t);
		}
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(has(&t, place[i], i), there[i]);
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(ct_table_remove(&t, ct_place_number(place[i]), i), there[i]);
		check_chains(&t);
		assert_int_equal(t.n_entries, 0);
		assert_int_equal(t.overflow.n_used, 0);
		ct_table_fini(&t);
	}
}

/* Would catch: a table that cannot take as many references as it was made for. */
static void test_fill(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 4 };
	struct ct_table t;
	struct rng rng;

	(void)state;
	rng_init(&rng, seed);
	for (uint32_t n = 16; n <= 262144; n *= 4) {
		assert_int_equal(ct_table_init(&t, n), 0);
		for (uint32_t i = 0; i < n; i++)
			assert_true(ct_table_insert(&t, ct_table_place(&t, rng_u64(&rng)), i));
		ct_table_fini(&t);
	}
}

/* Would catch: an inverse that is not its own inverse; ICMP identifiers on the wrong side. */
static void test_invert(void **state)
{
	static const struct tuple rows[] = {
		{ 1, 2, 3, 4, IPPROTO_NR_TCP, 0, 5 },
		{ 1, 2, 77, ICMP_ECHO_REQUEST << 8, IPPROTO_NR_ICMP, 0, 0 },
		{ 1, 2, 77, ICMP_TIMESTAMP_REPLY << 8, IPPROTO_NR_ICMP, 0, 0 },
		{ 1, 2, 0, 0, 47, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tuple r = tuple_invert(&rows[i]), again = tuple_invert(&r);
		assert_int_equal(r.src, rows[i].dst);
		assert_true(tuple_equal(&again, &rows[i]));
	}
	struct tuple echo = tuple_invert(&rows[1]);
	assert_int_equal(echo.sport, 77);
	assert_int_equal(echo.dport, ICMP_ECHO_REPLY << 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_list),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_invert),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
