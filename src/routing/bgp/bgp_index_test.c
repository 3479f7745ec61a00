/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The index against a list, over a few hashes, so that nearly all stand in each other's way.
 */
#include "routing/bgp/bgp_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rng.h"

#define N_VALUES 2500u

static uint32_t hash_of(uint32_t value)
{
	/* Runs that go over the table's end too. */
	return value % 7 == 0 ? UINT32_MAX - value % 5 : value % 300 * 3;
}

static uint32_t times_found(const struct bgp_index *ix, uint32_t value)
{
	uint64_t at = 0;
	uint32_t n = 0;

	for (uint32_t found; (found = bgp_index_next(ix, hash_of(value), &at)) != 0;) {
		assert_int_equal(hash_of(found), hash_of(value));
		n += found == value;
	}
	return n;
}

/* Would catch: a value lost or found twice while the table grows, or when one before it is removed. */
static void test_against_list(void **state)
{
	static bool is_there[N_VALUES + 1];
	const uint8_t seed[RNG_SEED_BYTES] = { 7 };
	struct bgp_index ix;
	struct rng r;
	uint32_t n = 0;

	rng_init(&r, seed);
	assert_int_equal(bgp_index_init(&ix), 0);
	for (uint32_t step = 0; step < 12000; step++) {
		uint32_t value = 1 + rng_below(&r, N_VALUES);

		/* Grows at first, then shrinks. */
		if (!is_there[value] && rng_below(&r, 12000) > step / 2) {
			assert_true(bgp_index_add(&ix, hash_of(value), value));
			is_there[value] = true;
			n++;
		} else if (is_there[value] && rng_below(&r, 3) == 0) {
			bgp_index_remove(&ix, hash_of(value), value);
			is_there[value] = false;
			n--;
		}
		assert_int_equal(times_found(&ix, value), is_there[value]);
		assert_int_equal(ix.n, n);
		if (step % 3000 == 0)
			for (uint32_t v = 1; v <= N_VALUES; v++)
				assert_int_equal(times_found(&ix, v), is_there[v]);
	}
	bgp_index_fini(&ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_list) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
