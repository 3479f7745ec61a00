/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sets: each once, counted, given back.
 */
#include "routing/bgp/bgp_sets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "stack/wire/bgp_fixture.h"
#include "stack/wire/bgp_update.h"

static const struct siphash_key key = { 1, 2 };
static struct bgp_sets sets;

static uint32_t take(const char *attrs, uint32_t next_hop)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	const struct bgp_wire w = bgp_fixture_wire();
	struct bgp_error e;
	size_t len = bgp_fixture_update(bytes, "", attrs, BGP_FIXTURE_PREFIX);

	assert_int_equal(bgp_update_parse(&w, bytes, len, &u, &e), BGP_ACCEPT);
	return bgp_sets_take(&sets, &u.attrs, next_hop);
}

#define USUAL BGP_FIXTURE_USUAL

/* Would catch: a set kept twice, two taken for one, one that goes while somebody has it, or stays when nobody has. */
static void test_counted(void **state)
{
	assert_int_equal(bgp_sets_init(&sets, &key, 1 << 20), 0);
	uint32_t a = take(USUAL, 7), b = take(USUAL "c0 08 04 00010002", 7), c = take(USUAL, 8);

	assert_true(a != BGP_SET_NONE && b != BGP_SET_NONE && c != BGP_SET_NONE && a != b && a != c && b != c);
	assert_int_equal(take(BGP_FIXTURE_HOP BGP_FIXTURE_PATH BGP_FIXTURE_ORIGIN, 7), a);
	assert_int_equal(sets.n, 3);
	bgp_sets_let_go(&sets, a, 1);
	assert_int_equal(take(USUAL, 7), a);
	bgp_sets_hold(&sets, a, 5);
	bgp_sets_let_go(&sets, a, 7);
	assert_int_equal(sets.n, 2);
	assert_int_equal(take(USUAL, 9), a); /* its room is used again */
	bgp_sets_let_go(&sets, a, 1);
	bgp_sets_let_go(&sets, b, 1);
	bgp_sets_let_go(&sets, c, 1);
	assert_true(sets.n == 0 && sets.n_bytes == 0 && sets.index.n == 0);
	bgp_sets_fini(&sets);
}

/* Would catch: a number that the decision reads from the wrong place. */
static void test_numbers(void **state)
{
	assert_int_equal(bgp_sets_init(&sets, &key, 1 << 20), 0);
	const struct bgp_set *s =
		bgp_sets_at(&sets, take("40010101 40020a 0202 0000fde9 00000005 4003040a09000b 80040400000006", 7));

	assert_true(s->origin == BGP_ORIGIN_EGP && s->n_hops == 2 && s->neighbor_as == 65001 && s->med == 6);
	assert_true(s->next_hop == 7 && s->local_pref == BGP_LOCAL_PREF_DEFAULT && s->n_clusters == 0);
	bgp_sets_fini(&sets);
}

/* Would catch: a set beyond its chunk, room that is given out twice, memory beyond what is allowed. */
static void test_full(void **state)
{
	static uint32_t all[4096];
	char attrs[200];
	uint32_t n = 0, largest;

	assert_int_equal(bgp_sets_init(&sets, &key, 2 << 16), 0);
	for (; n < ARRAY_LEN(all); n++) {
		(void)snprintf(attrs, sizeof(attrs), USUAL "d0 d3 %04x {ab}%u", 100 + n % 7 * 60, 100 + n % 7 * 60);
		all[n] = take(attrs, n + 1);
		if (all[n] == BGP_SET_NONE)
			break;
		memset(bgp_sets_at(&sets, all[n])->bytes, (int)(n & 0xff), bgp_sets_at(&sets, all[n])->len);
	}
	assert_true(n > 200 && n < ARRAY_LEN(all) && sets.n_bytes <= 2 << 16);
	for (uint32_t i = 0; i < n; i++) {
		const struct bgp_set *s = bgp_sets_at(&sets, all[i]);

		assert_int_equal(s->next_hop, i + 1);
		for (uint32_t k = 0; k < s->len; k++)
			assert_int_equal(s->bytes[k], i & 0xff);
	}
	for (uint32_t i = 0; i < n; i++)
		bgp_sets_let_go(&sets, all[i], 1);
	assert_true(sets.n == 0 && sets.n_bytes == 0);
	/* All of it can be had once more. */
	for (largest = 0; largest < n; largest++) {
		(void)snprintf(attrs, sizeof(attrs), USUAL "d0 d3 %04x {ab}%u", 100 + largest % 7 * 60,
			       100 + largest % 7 * 60);
		assert_true(take(attrs, largest + 1) != BGP_SET_NONE);
	}
	bgp_sets_fini(&sets);
}

/* A set of one size or another, known by its next hop; BGP_SET_NONE: no room. */
static uint32_t take_sized(uint32_t n_communities, uint32_t next_hop)
{
	char attrs[200];

	(void)snprintf(attrs, sizeof(attrs), USUAL "d0 08 %04x {00010002}%u", n_communities * 4, n_communities);
	return take(attrs, next_hop);
}

/* Would catch: room that only sets of the size that was there before can have, so that one neighbour uses up the store
 * for all; room between sets that are still there, not put together. */
static void test_other_sizes(void **state)
{
	static uint32_t all[20000];
	uint32_t n = 0;

	assert_int_equal(bgp_sets_init(&sets, &key, 1 << 20), 0);
	while (n < ARRAY_LEN(all) && (all[n] = take_sized(1, n + 1)) != BGP_SET_NONE)
		n++;
	assert_true(n > 5000 && n < ARRAY_LEN(all));
	/* Every hundredth stays; first the even ones go, then the odd ones. */
	for (uint32_t i = 0; i < 2 * n; i++)
		if (i % n % 100 != 0 && i % n % 2 == i / n)
			bgp_sets_let_go(&sets, all[i % n], 1);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(take_sized(3, i + 1) != BGP_SET_NONE);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(take_sized(500, i + 1) != BGP_SET_NONE);
	bgp_sets_fini(&sets);
}

/* Would catch: room given out twice or lost, whatever the order of sizes, comings and goings. */
static void test_churn(void **state)
{
	static struct {
		uint32_t set, mark, len;
	} held[160];
	const uint8_t seed[RNG_SEED_BYTES] = { 5 };
	uint32_t n_full = 0;
	struct rng r;

	memset(held, 0, sizeof(held));
	rng_init(&r, seed);
	assert_int_equal(bgp_sets_init(&sets, &key, 2 << 16), 0);
	for (uint32_t round = 1; round <= 20000; round++) {
		uint32_t i = rng_below(&r, ARRAY_LEN(held));

		if (held[i].set == BGP_SET_NONE) {
			held[i].set = take_sized(1 + rng_below(&r, 900), round);
			if (held[i].set == BGP_SET_NONE) {
				n_full++;
				continue;
			}
			struct bgp_set *made = bgp_sets_at(&sets, held[i].set);

			held[i].mark = round & 0xff;
			held[i].len = made->len;
			memset(made->bytes, (int)held[i].mark, made->len);
			continue;
		}
		const struct bgp_set *s = bgp_sets_at(&sets, held[i].set);

		assert_true(s->n_refs == 1 && s->len == held[i].len);
		assert_true(s->bytes[0] == held[i].mark && memcmp(s->bytes, s->bytes + 1, s->len - 1u) == 0);
		bgp_sets_let_go(&sets, held[i].set, 1);
		held[i].set = BGP_SET_NONE;
	}
	assert_true(n_full > 0);
	for (uint32_t i = 0; i < ARRAY_LEN(held); i++)
		if (held[i].set != BGP_SET_NONE)
			bgp_sets_let_go(&sets, held[i].set, 1);
	assert_true(sets.n == 0 && sets.n_bytes == 0);
	/* Both chunks are whole again: each holds sixteen of more than 4,000 bytes. */
	for (uint32_t i = 0; i < 32; i++)
		assert_true(take_sized(1000, i + 1) != BGP_SET_NONE);
	bgp_sets_fini(&sets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counted),     cmocka_unit_test(test_numbers), cmocka_unit_test(test_full),
		cmocka_unit_test(test_other_sizes), cmocka_unit_test(test_churn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
