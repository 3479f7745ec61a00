/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sets of prefixes and of tuples against what they mean, item by item.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "routing/policy/policy_prefixes.h"
#include "routing/policy/policy_tuples.h"

#define N_MAX 60

static struct rng r;

/* Few addresses, so that patterns lie in each other, also at both ends of all addresses. */
static struct ip4_prefix some_prefix(void)
{
	static const uint32_t bases[] = { 0, IP4(10, 0, 0, 0), IP4(10, 255, 255, 0), IP4(255, 255, 255, 0) };
	uint8_t len = (uint8_t)rng_below(&r, 33);
	uint32_t addr = bases[rng_below(&r, 4)] + rng_below(&r, 4) + (rng_below(&r, 3) << 6) + (rng_below(&r, 2) << 22);

	return (struct ip4_prefix){ addr & ip4_mask(len), len };
}

static bool is_in(const struct policy_pattern *p, struct ip4_prefix x)
{
	uint8_t shorter = (uint8_t)min_u32(p->prefix.len, x.len);

	return x.len >= p->low && x.len <= p->high && ((p->prefix.addr ^ x.addr) & ip4_mask(shorter)) == 0;
}

/* Would catch: a pattern that has no effect, or more than it says; pieces cut in the wrong place, at the first and the
 * last address too. */
static void test_prefixes(void **state)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 5 };

	rng_init(&r, seed);
	for (uint32_t round = 0; round < 400; round++) {
		struct policy_pattern pattern[N_MAX];
		uint32_t n = rng_below(&r, N_MAX + 1);
		struct policy_prefixes s;

		for (uint32_t i = 0; i < n; i++) {
			pattern[i].prefix = some_prefix();
			pattern[i].low = (uint8_t)rng_below(&r, 33);
			pattern[i].high = (uint8_t)(pattern[i].low + rng_below(&r, 33u - pattern[i].low));
			if (rng_below(&r, 2) == 0)
				pattern[i].low = pattern[i].high = pattern[i].prefix.len;
		}
		assert_int_equal(policy_prefixes_init(&s, pattern, n), 0);
		for (uint32_t k = 0; k < 300; k++) {
			struct ip4_prefix x = some_prefix();
			bool want = false;

			for (uint32_t i = 0; i < n; i++)
				want |= is_in(&pattern[i], x);
			if (policy_prefixes_have(&s, x) != want)
				fail_msg("round %u: %08x/%u should%s be in it", round, x.addr, x.len,
					 want ? "" : " not");
		}
		policy_prefixes_fini(&s);
	}
}

/* Would catch: a set of many prefixes in which those of another part are found, or not. */
static void test_many_prefixes(void **state)
{
	static struct policy_pattern pattern[50000];
	struct policy_prefixes s;

	for (uint32_t i = 0; i < ARRAY_LEN(pattern); i++)
		pattern[i] = (struct policy_pattern){ { IP4(1, 0, 0, 0) + (i << 12), 24 }, 24, 24 };
	assert_int_equal(policy_prefixes_init(&s, pattern, ARRAY_LEN(pattern)), 0);
	for (uint32_t i = 0; i < ARRAY_LEN(pattern); i++) {
		assert_true(policy_prefixes_have(&s, pattern[i].prefix));
		assert_false(policy_prefixes_have(&s, (struct ip4_prefix){ pattern[i].prefix.addr + 0x100, 24 }));
		assert_false(policy_prefixes_have(&s, (struct ip4_prefix){ pattern[i].prefix.addr, 25 }));
	}
	policy_prefixes_fini(&s);
	assert_int_equal(policy_prefixes_init(&s, NULL, 0), 0);
	assert_false(policy_prefixes_have(&s, (struct ip4_prefix){ 0, 0 }));
	policy_prefixes_fini(&s);
}

static struct policy_value some_value(void)
{
	static const uint32_t words[] = { 0, 1, 2, 3, UINT32_MAX - 1, UINT32_MAX };

	return (struct policy_value){ { words[rng_below(&r, 6)], words[rng_below(&r, 6)], words[rng_below(&r, 6)] } };
}

static bool range_has(const struct policy_range *range, struct policy_value v)
{
	if (range->is_span)
		return policy_value_compare(range->low, v) <= 0 && policy_value_compare(v, range->high) <= 0;
	for (uint32_t i = 0; i < 3; i++)
		if (v.w[i] < range->low.w[i] || v.w[i] > range->high.w[i])
			return false;
	return true;
}

/* Would catch: spans joined that are apart, or not looked at; a box that is taken for a span. */
static void test_tuples(void **state)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 6 };

	rng_init(&r, seed);
	for (uint32_t round = 0; round < 2000; round++) {
		struct policy_range range[12];
		uint32_t n = rng_below(&r, 13);
		struct policy_tuples s;

		for (uint32_t i = 0; i < n; i++)
			range[i] = (struct policy_range){ some_value(), some_value(), rng_below(&r, 3) > 0 };
		assert_int_equal(policy_tuples_init(&s, range, n), 0);
		for (uint32_t k = 0; k < 60; k++) {
			struct policy_value v = some_value();
			bool want = false;

			for (uint32_t i = 0; i < n; i++)
				want |= range_has(&range[i], v);
			assert_int_equal(policy_tuples_have(&s, v), want);
		}
		policy_tuples_fini(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_many_prefixes),
		cmocka_unit_test(test_tuples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
