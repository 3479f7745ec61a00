/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pools of objects.
 */
#include "base/pool.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Catches an index given out twice, a pool that is short by one, memory that is
 * not zeroed, and a pool that does not recover from being empty. */
static void fills_empties_and_fills_again(void **state)
{
	enum { CAP = 1000, SIZE = 24 };
	struct pool p;
	assert_int_equal(pool_init(&p, CAP, SIZE, 8), 0);
	for (int round = 0; round < 3; round++) {
		static uint8_t seen[CAP];
		memset(seen, 0, sizeof(seen));
		for (uint32_t i = 0; i < CAP; i++) {
			uint32_t index = pool_alloc(&p);
			assert_true(index < CAP);
			assert_int_equal(seen[index]++, 0);
			static const uint8_t zero[SIZE];
			if (round == 0)
				assert_memory_equal(pool_at(&p, index), zero, SIZE);
			memset(pool_at(&p, index), 0xff, SIZE);
		}
		assert_int_equal(pool_alloc(&p), POOL_NONE);
		assert_int_equal(p.n_used, CAP);
		for (uint32_t i = 0; i < CAP; i++)
			pool_free(&p, (i * 7 + 3) % CAP);
		assert_int_equal(p.n_used, 0);
	}
	pool_fini(&p);
}

/* Catches a warm object left for a cold one: the last one back goes out first. */
static void last_back_is_first_out(void **state)
{
	struct pool p;
	assert_int_equal(pool_init(&p, 10, 8, 8), 0);
	uint32_t a = pool_alloc(&p), b = pool_alloc(&p);
	pool_free(&p, b);
	pool_free(&p, a);
	assert_int_equal(pool_alloc(&p), a);
	assert_int_equal(pool_alloc(&p), b);
	assert_int_equal(p.n_fresh, 2);
	pool_fini(&p);
}

/* Catches objects that overlap or stand where their alignment forbids. */
static void objects_are_aligned(void **state)
{
	static const size_t aligns[] = { 1, 8, 64, 4096 };
	for (size_t i = 0; i < 4; i++) {
		struct pool p;
		assert_int_equal(pool_init(&p, 5, 65, aligns[i]), 0);
		assert_true(p.stride >= 65);
		for (uint32_t index = 0; index < 5; index++)
			assert_int_equal((uintptr_t)pool_at(&p, index) % aligns[i], 0);
		pool_fini(&p);
	}
}

/* Catches a product that wraps to a small mapping, and a crash on no objects. */
static void impossible_and_empty_sizes(void **state)
{
	struct pool p;
	assert_int_equal(pool_init(&p, POOL_NONE - 1, SIZE_MAX / 4, 8), -ENOMEM);
	assert_int_equal(pool_init(&p, 2, SIZE_MAX, 8), -ENOMEM);
	assert_int_equal(pool_init(&p, 0, 8, 8), 0);
	assert_int_equal(pool_alloc(&p), POOL_NONE);
	pool_fini(&p);
	pool_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_empties_and_fills_again),
		cmocka_unit_test(last_back_is_first_out),
		cmocka_unit_test(objects_are_aligned),
		cmocka_unit_test(impossible_and_empty_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
