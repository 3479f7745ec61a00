/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the table says of routes, against RFC 6811's words and against a list that is gone through from end to end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/rng.h"
#include "routing/rpki/roa.h"

static const struct siphash_key key = { .k0 = 1, .k1 = 2 };

static int setup(void **state)
{
	*state = roa_table_create(1000, &key);
	return *state == NULL;
}

static int teardown(void **state)
{
	roa_table_destroy(*state);
	return 0;
}

static struct roa roa(uint32_t addr, uint8_t len, uint8_t max_len, uint32_t as)
{
	return (struct roa){ { addr, len }, max_len, as };
}

static enum roa_state check(struct roa_table *t, uint32_t addr, uint8_t len, uint32_t origin)
{
	return roa_check(t, (struct ip4_prefix){ addr, len }, origin);
}

static void add(struct roa_table *t, uint32_t cache, struct roa r)
{
	assert_int_equal(roa_add(t, cache, &r), 0);
}

/* Would catch: each word of RFC 6811 section 2 read the other way. */
static void test_words(void **state)
{
	struct roa_table *t = *state;

	add(t, 0, roa(IP4(10, 0, 0, 0), 16, 20, 64500));
	assert_int_equal(check(t, IP4(10, 1, 0, 0), 16, 64500), ROA_UNKNOWN);
	assert_int_equal(check(t, IP4(10, 0, 0, 0), 16, 64500), ROA_VALID);
	assert_int_equal(check(t, IP4(10, 0, 240, 0), 20, 64500), ROA_VALID);
	assert_int_equal(check(t, IP4(10, 0, 240, 0), 21, 64500), ROA_INVALID);
	assert_int_equal(check(t, IP4(10, 0, 240, 0), 20, 64501), ROA_INVALID);
	/* It is not covered by what is longer than it. */
	assert_int_equal(check(t, IP4(10, 0, 0, 0), 15, 64500), ROA_UNKNOWN);
	/* No origin, as of a path that ends in a set, is nobody's. */
	assert_int_equal(check(t, IP4(10, 0, 0, 0), 16, 0), ROA_INVALID);
	/* One of several is enough; AS 0 never is. */
	add(t, 0, roa(IP4(10, 0, 0, 0), 16, 16, 64501));
	add(t, 0, roa(IP4(10, 0, 0, 0), 8, 32, 64502));
	assert_int_equal(check(t, IP4(10, 0, 0, 0), 16, 64501), ROA_VALID);
	assert_int_equal(check(t, IP4(10, 0, 1, 0), 32, 64502), ROA_VALID);
	add(t, 0, roa(IP4(192, 0, 2, 0), 24, 24, 0));
	assert_int_equal(check(t, IP4(192, 0, 2, 0), 24, 0), ROA_INVALID);
	/* The shortest and the longest that there are. */
	add(t, 0, roa(0, 0, 0, 64503));
	assert_int_equal(check(t, IP4(198, 51, 100, 0), 24, 64504), ROA_INVALID);
	assert_int_equal(check(t, 0, 0, 64503), ROA_VALID);
	add(t, 0, roa(IP4(198, 51, 100, 7), 32, 32, 64504));
	assert_int_equal(check(t, IP4(198, 51, 100, 7), 32, 64504), ROA_VALID);
	assert_int_equal(check(t, IP4(198, 51, 100, 6), 32, 64504), ROA_INVALID);
}

/* Would catch: what one cache withdraws is gone for another; what was said twice, or was never there, and is not told;
 * what is staged counts before it is taken. */
static void test_caches(void **state)
{
	struct roa_table *t = *state;
	struct roa a = roa(IP4(10, 0, 0, 0), 16, 16, 64500), b = roa(IP4(10, 0, 0, 0), 16, 16, 64501);
	uint32_t at = 0;

	add(t, 0, a);
	add(t, 1, a);
	assert_int_equal(roa_add(t, 0, &a), -EEXIST);
	assert_int_equal(roa_remove(t, 0, &b), -ENOENT);
	assert_int_equal(roa_count(t), 1);
	assert_int_equal(roa_remove(t, 0, &a), 0);
	assert_int_equal(roa_remove(t, 0, &a), -ENOENT);
	assert_int_equal(check(t, a.prefix.addr, 16, 64500), ROA_VALID);
	uint64_t version = roa_version(t);

	assert_int_equal(roa_stage(t, 1, &b), 0);
	assert_int_equal(roa_stage(t, 1, &b), -EEXIST);
	assert_int_equal(check(t, a.prefix.addr, 16, 64501), ROA_INVALID);
	assert_int_equal(roa_count(t), 1);
	assert_int_equal(roa_version(t), version);
	while (roa_sweep(t, 1, ROA_TAKE_STAGED, &at, 1))
		;
	assert_int_equal(check(t, a.prefix.addr, 16, 64501), ROA_VALID);
	assert_int_equal(check(t, a.prefix.addr, 16, 64500), ROA_INVALID);
	assert_int_not_equal(roa_version(t), version);
	assert_int_equal(roa_stage(t, 1, &a), 0);
	at = 0;
	assert_false(roa_sweep(t, 1, ROA_DROP_STAGED, &at, 10));
	assert_int_equal(check(t, a.prefix.addr, 16, 64500), ROA_INVALID);
	assert_int_equal(roa_count_of(t, 1), 1);
	at = 0;
	assert_false(roa_sweep(t, 1, ROA_DROP_ALL, &at, 10));
	assert_int_equal(check(t, a.prefix.addr, 16, 64501), ROA_UNKNOWN);
	assert_int_equal(roa_count(t), 0);
}

/* Would catch: what finds no room is thought to be there, or is not counted. */
static void test_full(void **state)
{
	struct roa_table *t = *state;
	struct roa_view v[4];

	for (uint32_t i = 0; i < 1000; i++)
		add(t, 0, roa(IP4(10, 0, 0, 0) + (i << 8), 24, 24, i % 2));
	struct roa more = roa(IP4(11, 0, 0, 0), 24, 24, 1);

	assert_int_equal(roa_add(t, 0, &more), -ENOSPC);
	assert_int_equal(roa_stage(t, 0, &more), -ENOSPC);
	assert_int_equal(roa_n_no_room(t), 2);
	assert_int_equal(roa_covering(t, more.prefix, v, 4), 0);
	struct roa first = roa(IP4(10, 0, 0, 0), 24, 24, 0);

	assert_int_equal(roa_remove(t, 0, &first), 0);
	add(t, 0, more);
	assert_int_equal(roa_covering(t, more.prefix, v, 4), 1);
	assert_int_equal(v[0].roa.as, 1);
	assert_int_equal(v[0].caches, 1);
}

/* --- against a list --- */

#define N_ROAS 300u
#define N_STEPS 20000u

struct model {
	struct roa roa;
	uint8_t has, staged;
};

static enum roa_state model_check(const struct model *m, struct ip4_prefix p, uint32_t origin)
{
	enum roa_state state = ROA_UNKNOWN;

	for (uint32_t i = 0; i < N_ROAS; i++) {
		if (m[i].has == 0 || m[i].roa.prefix.len > p.len || !ip4_in(p.addr, m[i].roa.prefix))
			continue;
		if (m[i].roa.as == origin && origin != 0 && p.len <= m[i].roa.max_len)
			return ROA_VALID;
		state = ROA_INVALID;
	}
	return state;
}

static void model_sweep(struct model *m, uint32_t cache, enum roa_sweep how)
{
	uint8_t bit = (uint8_t)(1u << cache);

	for (uint32_t i = 0; i < N_ROAS; i++) {
		if (how != ROA_DROP_STAGED)
			m[i].has = (uint8_t)((m[i].has & ~bit) | (how == ROA_TAKE_STAGED ? m[i].staged & bit : 0));
		m[i].staged &= (uint8_t)~bit;
	}
}

static void step(struct roa_table *t, struct model *m, struct rng *rng)
{
	struct model *x = &m[rng_below(rng, N_ROAS)];
	uint32_t cache = rng_below(rng, 3), at = 0;
	uint8_t bit = (uint8_t)(1u << cache);
	enum roa_sweep how = rng_below(rng, 3);

	switch (rng_below(rng, 40) == 0 ? 3 : rng_below(rng, 3)) {
	case 0:
		assert_int_equal(roa_add(t, cache, &x->roa), x->has & bit ? -EEXIST : 0);
		x->has |= bit;
		break;
	case 1:
		assert_int_equal(roa_remove(t, cache, &x->roa), x->has & bit ? 0 : -ENOENT);
		x->has &= (uint8_t)~bit;
		break;
	case 2:
		assert_int_equal(roa_stage(t, cache, &x->roa), x->staged & bit ? -EEXIST : 0);
		x->staged |= bit;
		break;
	default:
		while (roa_sweep(t, cache, how, &at, 7))
			;
		model_sweep(m, cache, how);
	}
}

/* Would catch: chains of a prefix that lose a member when the first goes; lengths that are forgotten; an index that
 * grows and leaves something behind. */
static void test_against_a_list(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "payloads";
	static struct model m[N_ROAS];
	struct roa_table *t = *state;
	struct rng rng;
	uint32_t n_states[3] = { 0 };

	rng_init(&rng, seed);
	for (uint32_t i = 0; i < N_ROAS; i++) {
		struct roa *r = &m[i].roa;

		/* Few places, so that prefixes are nested and shared; all different in max_len or AS. */
		r->prefix.len = (uint8_t)rng_below(&rng, 33);
		r->prefix.addr = (IP4(10, 0, 0, 0) ^ rng_below(&rng, 4) << 24 ^ rng_below(&rng, 4) << 14) &
				 ip4_mask(r->prefix.len);
		r->max_len = (uint8_t)(r->prefix.len + rng_below(&rng, 33u - r->prefix.len));
		r->as = i / 30;
		for (uint32_t k = 0; k < i; k++)
			if (m[k].roa.prefix.addr == r->prefix.addr && m[k].roa.prefix.len == r->prefix.len &&
			    m[k].roa.max_len == r->max_len && m[k].roa.as == r->as)
				r->as = 1000 + i;
	}
	for (uint32_t i = 0; i < N_STEPS; i++) {
		uint8_t len = (uint8_t)rng_below(&rng, 33);
		struct ip4_prefix p = {
			(IP4(10, 0, 0, 0) ^ rng_below(&rng, 4) << 24 ^ rng_below(&rng, 4) << 14) & ip4_mask(len), len
		};
		uint32_t origin = rng_below(&rng, 10);
		enum roa_state want;

		step(t, m, &rng);
		want = model_check(m, p, origin);
		assert_int_equal(roa_check(t, p, origin), want);
		n_states[want]++;
	}
	for (uint32_t i = 0; i < 3; i++)
		assert_true(n_states[i] > 100);
}

/* Would catch: a prefix that a cache says with so many ASes that each of them, and each route in it, takes as many
 * steps. */
static void test_crowded_prefix(void **state)
{
	struct roa_table *t = roa_table_create(4000, &key);
	struct roa r = roa(IP4(10, 0, 0, 0), 16, 16, 0);

	for (r.as = 1; r.as <= ROA_OF_PREFIX_MAX; r.as++)
		assert_int_equal(r.as % 2 == 0 ? roa_add(t, 0, &r) : roa_stage(t, 0, &r), 0);
	assert_int_equal(roa_add(t, 0, &r), -ENOSPC);
	assert_int_equal(roa_stage(t, 1, &r), -ENOSPC);
	assert_int_equal(roa_n_no_room(t), 2);
	add(t, 0, roa(IP4(10, 0, 0, 0), 17, 17, 1));
	r.as = 2;
	assert_int_equal(roa_remove(t, 0, &r), 0);
	r.as = 5000;
	assert_int_equal(roa_add(t, 0, &r), 0);
	assert_int_equal(check(t, IP4(10, 0, 0, 0), 16, 5000), ROA_VALID);
	roa_table_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_caches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_against_a_list, setup, teardown),
		cmocka_unit_test(test_crowded_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
