/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random numbers: the key stream of RFC 8439, and the bounds.
 */
#include "base/rng.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

/* RFC 8439 section 2.3.2. Catches any slip in the block function. */
static void block_function_of_the_rfc(void **state)
{
	static const uint32_t expected[16] = {
		0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
		0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
	};
	uint8_t key[RNG_SEED_BYTES];
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	struct rng r;
	rng_init(&r, key);
	/* The vector's counter and nonce: ours begin at zero. */
	r.state[12] = 1;
	r.state[13] = 0x09000000;
	r.state[14] = 0x4a000000;
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(rng_u32(&r), expected[i]);
}

/* RFC 8439 appendix A.1, vectors 1 and 2: blocks 0 and 1 of the zero key.
 * Catches a counter that starts or steps wrongly, and words out of order. */
static void stream_of_the_zero_seed(void **state)
{
	static const uint32_t expected[32] = {
		0xade0b876, 0x903df1a0, 0xe56a5d40, 0x28bd8653, 0xb819d2bd, 0x1aed8da0, 0xccef36a8, 0xc70d778b,
		0x7c5941da, 0x8d485751, 0x3fe02477, 0x374ad8b8, 0xf4b8436a, 0x1ca11815, 0x69b687c3, 0x8665eeb2,
		0xbee7079f, 0x7a385155, 0x7c97ba98, 0x0d082d73, 0xa0290fcb, 0x6965e348, 0x3e53c612, 0xed7aee32,
		0x7621b729, 0x434ee69c, 0xb03371d5, 0xd539d874, 0x281fed31, 0x45fb0a51, 0x1f0ae1ac, 0x6f4d794b,
	};
	static const uint8_t seed[RNG_SEED_BYTES];
	struct rng r;
	rng_init(&r, seed);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(rng_u32(&r), expected[i]);
	rng_init(&r, seed);
	assert_true(rng_u64(&r) == UINT64_C(0xade0b876903df1a0));
}

/* Catches a stream that comes round after 2^32 blocks. */
static void counter_carries(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES];
	struct rng r;
	rng_init(&r, seed);
	r.state[12] = UINT32_MAX;
	rng_u32(&r);
	assert_int_equal(r.state[12], 0);
	assert_int_equal(r.state[13], 1);
}

/* Catches a number at or past the bound, and one that never comes. */
static void below_stays_below_and_reaches_all(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 1 };
	struct rng r;
	rng_init(&r, seed);
	for (uint32_t bound = 1; bound <= 40; bound++) {
		uint64_t seen = 0;
		for (int i = 0; i < 2000; i++) {
			uint32_t v = rng_below(&r, bound);
			assert_true(v < bound);
			seen |= UINT64_C(1) << v;
		}
		assert_true(seen == (UINT64_C(1) << bound) - 1);
	}
	for (int i = 0; i < 1000; i++)
		assert_true(rng_below(&r, UINT32_MAX) < UINT32_MAX);
}

/* Catches the bias of a plain modulo or multiply: with 3 * 2^30 numbers and no
 * rejection, a third of them would come twice as often as the others. */
static void below_has_no_bias(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 2 };
	enum { N = 300000 };
	struct rng r;
	rng_init(&r, seed);
	uint32_t n[3] = { 0 };
	for (int i = 0; i < N; i++)
		n[rng_below(&r, UINT32_C(3) << 30) % 3]++;
	for (int k = 0; k < 3; k++)
		assert_in_range(n[k], N / 3 - 1500, N / 3 + 1500);
}

/* Would catch: a second number that follows from the first, or of which those behind a refused first one come unevenly:
 * refused is what lies in the lower half, every second one, or all but a few. */
static void spread_is_even_behind_what_is_refused(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 5 };
	enum { BOUND = 64512, BINS = 64, N = BINS * 2000 };
	struct rng r;

	(void)state;
	rng_init(&r, seed);
	for (int kind = 0; kind < 3; kind++) {
		uint32_t n[BINS] = { 0 }, spread, n_refused = 0;
		double chi = 0;

		while (n_refused < N) {
			uint32_t v = rng_below_spread(&r, BOUND, &spread);
			bool refused = kind == 0 ? v < BOUND / 2 : kind == 1 ? v % 2 == 0 : v % 100 != 0;

			if (!refused)
				continue;
			n[(uint64_t)spread * BINS >> 32]++;
			n_refused++;
		}
		for (int i = 0; i < BINS; i++) {
			const double expected = (double)N / BINS;

			chi += (n[i] - expected) * (n[i] - expected) / expected;
		}
		/* 63 degrees of freedom: above 120 once in 100,000. */
		assert_true(chi < 120);
	}
}

/* Would catch: a fork that repeats the stream or another fork, or that moves it on. */
static void test_fork(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "a seed";
	struct rng r, same, one, two;

	(void)state;
	rng_init(&r, seed);
	rng_init(&same, seed);
	(void)rng_u32(&r);
	(void)rng_u32(&same);
	rng_fork(&r, 1, &one);
	rng_fork(&r, 2, &two);
	for (uint32_t i = 0; i < 100; i++) {
		uint64_t a = rng_u64(&r), b = rng_u64(&one), c = rng_u64(&two);

		assert_true(a == rng_u64(&same));
		assert_true(a != b && a != c && b != c);
	}
	rng_fork(&r, 1, &two);
	rng_fork(&same, 1, &one);
	assert_true(rng_u64(&one) == rng_u64(&two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork),
		cmocka_unit_test(block_function_of_the_rfc),
		cmocka_unit_test(stream_of_the_zero_seed),
		cmocka_unit_test(counter_carries),
		cmocka_unit_test(below_stays_below_and_reaches_all),
		cmocka_unit_test(below_has_no_bias),
		cmocka_unit_test(spread_is_even_behind_what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
