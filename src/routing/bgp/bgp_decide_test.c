/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The decision, step by step, and against the RFC's own words.
 */
#include "routing/bgp/bgp_decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rng.h"

/* Would catch: a step that is missing, out of order, or the wrong way round. */
static void test_steps(void **state)
{
	static const struct bgp_source low = { BGP_EXTERNAL, 1, 1 }, high = { BGP_EXTERNAL, 2, 2 },
				       inside = { BGP_INTERNAL, 1, 1 }, same_id = { BGP_EXTERNAL, 1, 2 };
	const struct {
		enum bgp_step step;
		const struct bgp_set *better, *worse;
		const struct bgp_source *better_from, *worse_from;
		uint32_t better_cost, worse_cost;
	} rows[] = {
		/* What decides stands against all later steps. */
		{ BGP_STEP_LOCAL_PREF, &(struct bgp_set){ .local_pref = 2, .n_hops = 9 },
		  &(struct bgp_set){ .local_pref = 1 }, &high, &low, 0, 0 },
		{ BGP_STEP_PATH_LENGTH, &(struct bgp_set){ .n_hops = 1, .origin = 2 }, &(struct bgp_set){ .n_hops = 2 },
		  &high, &low, 0, 0 },
		{ BGP_STEP_ORIGIN, &(struct bgp_set){ .origin = 1, .med = 9 }, &(struct bgp_set){ .origin = 2 }, &high,
		  &low, 0, 0 },
		{ BGP_STEP_MED, &(struct bgp_set){ .med = 1 }, &(struct bgp_set){ .med = 2 }, &high, &low, 9, 0 },
		{ BGP_STEP_IDENTIFIER, &(struct bgp_set){ .med = 2, .neighbor_as = 5 },
		  &(struct bgp_set){ .med = 1, .neighbor_as = 6 }, &low, &high, 0, 0 },
		{ BGP_STEP_EXTERNAL, &(struct bgp_set){ .n_hops = 1 }, &(struct bgp_set){ .n_hops = 1 }, &high, &inside,
		  9, 0 },
		{ BGP_STEP_IGP, &(struct bgp_set){ .n_hops = 1 }, &(struct bgp_set){ .n_hops = 1 }, &high, &low, 1, 2 },
		{ BGP_STEP_IDENTIFIER, &(struct bgp_set){ .n_clusters = 5 }, &(struct bgp_set){ .n_clusters = 1 }, &low,
		  &high, 0, 0 },
		{ BGP_STEP_IDENTIFIER, &(struct bgp_set){ .originator_id = 1 }, &(struct bgp_set){ .originator_id = 2 },
		  &high, &low, 0, 0 },
		{ BGP_STEP_CLUSTER_LIST, &(struct bgp_set){ .n_clusters = 1 }, &(struct bgp_set){ .n_clusters = 2 },
		  &same_id, &low, 0, 0 },
		{ BGP_STEP_ADDRESS, &(struct bgp_set){ .n_clusters = 1 }, &(struct bgp_set){ .n_clusters = 1 }, &low,
		  &same_id, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct bgp_candidate better = { rows[i].better, rows[i].better_from, rows[i].better_cost },
					   worse = { rows[i].worse, rows[i].worse_from, rows[i].worse_cost };
		const struct bgp_candidate one[] = { better, worse }, other[] = { worse, better };
		struct bgp_choice c = bgp_decide(BGP_MED_SAME_AS, one, 2), d = bgp_decide(BGP_MED_SAME_AS, other, 2);

		if (c.best != 0 || c.second != 1 || d.best != 1 || d.second != 0 || c.step != rows[i].step ||
		    d.step != rows[i].step)
			fail_msg("row %zu: %s", i, bgp_step_name((enum bgp_step)c.step));
	}
	assert_int_equal(bgp_decide(BGP_MED_SAME_AS, NULL, 0).best, BGP_NOBODY);
	const struct bgp_candidate alone = { rows[0].better, &low, 0 };
	struct bgp_choice c = bgp_decide(BGP_MED_SAME_AS, &alone, 1);
	assert_true(c.best == 0 && c.second == BGP_NOBODY && c.step == BGP_STEP_ONLY);
}

/* Would catch: MEDs of two ASes compared, or those of one not; the switch without effect. */
static void test_med(void **state)
{
	static const struct bgp_source from[] = { { BGP_EXTERNAL, 3, 3 },
						  { BGP_EXTERNAL, 2, 2 },
						  { BGP_EXTERNAL, 1, 1 } };
	/* The well-known circle: the second beats the first by identifier, the third the second, the first the third by
	 * MED. */
	static const struct bgp_set set[] = { { .neighbor_as = 1, .med = 0 },
					      { .neighbor_as = 2, .med = 5 },
					      { .neighbor_as = 1, .med = 9 } };
	struct bgp_candidate c[3];

	for (uint32_t i = 0; i < 3; i++)
		c[i] = (struct bgp_candidate){ &set[i], &from[i], 0 };
	struct bgp_choice choice = bgp_decide(BGP_MED_SAME_AS, c, 3);
	assert_true(choice.best == 1 && choice.second == 0 && choice.step == BGP_STEP_IDENTIFIER);
	choice = bgp_decide(BGP_MED_ALWAYS, c, 3);
	assert_true(choice.best == 0 && choice.second == 1 && choice.step == BGP_STEP_MED);
}

/* Would catch: the step at which a third one went, told as that between the best and the second. */
static void test_step(void **state)
{
	static const struct bgp_source from[] = { { BGP_EXTERNAL, 1, 1 },
						  { BGP_EXTERNAL, 3, 3 },
						  { BGP_EXTERNAL, 4, 4 } };
	/* The first goes by MED, and would have been second without that: it is, when the best is not there. */
	static const struct bgp_set set[] = { { .neighbor_as = 1, .med = 10 },
					      { .neighbor_as = 1, .med = 5 },
					      { .neighbor_as = 2 } };
	struct bgp_candidate c[3];

	for (uint32_t i = 0; i < 3; i++)
		c[i] = (struct bgp_candidate){ &set[i], &from[i], 0 };
	struct bgp_choice choice = bgp_decide(BGP_MED_SAME_AS, c, 3);
	assert_true(choice.best == 1 && choice.second == 0 && choice.step == BGP_STEP_MED);
}

/* As RFC 4271 section 9.1.2.2 says it: who is removed from consideration, pair by pair, step by step. */
static uint32_t slow(const struct bgp_candidate *c, uint32_t n, uint32_t without)
{
	bool gone[8] = { false }, goes[8];

	for (uint32_t step = 0; step < 9; step++) {
		for (uint32_t i = 0; i < n; i++) {
			goes[i] = false;
			for (uint32_t k = 0; k < n; k++) {
				const struct bgp_set *a = c[i].set, *b = c[k].set;
				uint32_t id_a = a->originator_id ? a->originator_id : c[i].from->id;
				uint32_t id_b = b->originator_id ? b->originator_id : c[k].from->id;

				if (gone[k] || k == without || gone[i])
					continue;
				goes[i] |= step == 0   ? b->local_pref > a->local_pref
					   : step == 1 ? b->n_hops < a->n_hops
					   : step == 2 ? b->origin < a->origin
					   : step == 3 ? b->neighbor_as == a->neighbor_as && b->med < a->med
					   : step == 4
						   ? c[k].from->kind == BGP_EXTERNAL && c[i].from->kind == BGP_INTERNAL
					   : step == 5 ? c[k].igp_cost < c[i].igp_cost
					   : step == 6 ? id_b < id_a
					   : step == 7 ? b->n_clusters < a->n_clusters
						       : c[k].from->addr < c[i].from->addr;
			}
		}
		for (uint32_t i = 0; i < n; i++)
			gone[i] |= goes[i];
	}
	for (uint32_t i = 0; i < n; i++)
		if (!gone[i] && i != without)
			return i;
	return BGP_NOBODY;
}

/* Would catch: an answer that is not the RFC's, or depends on the order. */
static void test_against_the_rfc(void **state)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 9 };
	struct rng r;

	rng_init(&r, seed);
	for (uint32_t round = 0; round < 50000; round++) {
		struct bgp_set set[6];
		struct bgp_source from[6];
		struct bgp_candidate c[6];
		uint32_t n = 1 + rng_below(&r, 6);

		for (uint32_t i = 0; i < n; i++) {
			set[i] = (struct bgp_set){ .local_pref = 100 + (rng_below(&r, 8) == 0),
						   .n_hops = (uint16_t)(1 + (rng_below(&r, 5) == 0)),
						   .origin = rng_below(&r, 6) == 0,
						   .med = rng_below(&r, 3),
						   .neighbor_as = 1 + rng_below(&r, 3),
						   .originator_id = rng_below(&r, 4) == 0 ? 1 + rng_below(&r, 3) : 0,
						   .n_clusters = (uint16_t)rng_below(&r, 2) };
			from[i] = (struct bgp_source){ (uint8_t)rng_below(&r, 2), 1 + rng_below(&r, 3), 1 + i };
			c[i] = (struct bgp_candidate){ &set[i], &from[i], rng_below(&r, 2) };
		}
		struct bgp_choice choice = bgp_decide(BGP_MED_SAME_AS, c, n);
		uint32_t best = slow(c, n, BGP_NOBODY);

		assert_int_equal(choice.best, best);
		assert_int_equal(choice.second, n > 1 ? slow(c, n, best) : BGP_NOBODY);
		if (n > 1) {
			const struct bgp_candidate pair[] = { c[choice.second], c[best] };
			struct bgp_choice of_two = bgp_decide(BGP_MED_SAME_AS, pair, 2);

			assert_true(of_two.best == 1 && of_two.step == choice.step);
		}
		/* Turned and turned round. */
		struct bgp_candidate other[6];
		uint32_t by = rng_below(&r, n);
		for (uint32_t i = 0; i < n; i++)
			other[i] = c[(n - 1 - i + by) % n];
		assert_ptr_equal(other[bgp_decide(BGP_MED_SAME_AS, other, n).best].set, c[best].set);
	}
}

/* Would catch: a path that is worse at a step before the identifier among those that share; one outdone by the MED of a
 * third; one of another AS that was not asked for, or that was and is left out; a best one that is not the first. */
static void test_equal(void **state)
{
	struct bgp_set set[5];
	struct bgp_source from[5];
	struct bgp_candidate c[5];
	uint8_t who[5];

	for (uint32_t i = 0; i < 5; i++) {
		set[i] = (struct bgp_set){ .local_pref = 100, .n_hops = 2, .neighbor_as = 1 + i / 2, .med = i == 3 };
		from[i] = (struct bgp_source){ BGP_EXTERNAL, 10 - i, 1 + i };
		c[i] = (struct bgp_candidate){ &set[i], &from[i], 5 };
	}
	/* 0 and 1 are of AS 1, 2 and 3 of 2, and 3 has a higher MED; 4 of 3. The lowest identifier is 4's. */
	assert_int_equal(bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_RELAX, c, 5, who, 5), 4);
	assert_memory_equal(who, "\4\0\1\2", 4);
	assert_int_equal(bgp_decide(BGP_MED_SAME_AS, c, 5).best, 4);
	assert_int_equal(bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_RELAX, c, 5, who, 2), 2);
	assert_memory_equal(who, "\4\0", 2);
	assert_int_equal(bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_SAME_AS, c, 5, who, 5), 1);
	assert_int_equal(bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_SAME_AS, c, 2, who, 5), 2);
	assert_memory_equal(who, "\1\0", 2);
	c[4].igp_cost = 6;
	assert_int_equal(bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_RELAX, c, 5, who, 5), 3);
	assert_memory_equal(who, "\2\0\1", 3);
	set[1].n_hops = 3;
	from[0].kind = BGP_INTERNAL;
	assert_int_equal(bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_RELAX, c, 5, who, 5), 1);
	assert_int_equal(bgp_decide_equal(BGP_MED_SAME_AS, BGP_MULTIPATH_RELAX, c, 0, who, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),           cmocka_unit_test(test_med),   cmocka_unit_test(test_step),
		cmocka_unit_test(test_against_the_rfc), cmocka_unit_test(test_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
