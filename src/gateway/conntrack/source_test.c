/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Limits per source when there are more sources than places.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/ip4.h"
#include "base/util.h"
#include "gateway/conntrack/source.h"

#define PLACES 1000
#define MAX 10
#define INSIDE_HOST IP4(10, 77, 0, 51)

static const struct siphash_key key = { 1, 2 };
static const struct ct_source_limit limit = { .max = MAX };

static bool enter(struct ct_sources *s, const struct ct_source_id *id, uint32_t *index)
{
	return ct_source_enter(s, &key, id, &limit, 0, index) == CT_SOURCE_OK;
}

/* So many connections as it gets, 1,000 at most. */
static uint32_t fill(struct ct_sources *s, const struct ct_source_id *id)
{
	uint32_t n = 0, index;

	while (n < 1000 && enter(s, id, &index))
		n++;
	return n;
}

/* Would catch: a table that is full, and whoever is not in it without a limit; hosts inside that lose their places to a
 * crowd outside. */
static void test_crowd(void **state)
{
	struct ct_sources s;
	uint32_t index, n_crowded = 0;

	(void)state;
	assert_int_equal(ct_sources_init(&s, PLACES), 0);
	for (uint32_t i = 0; i < 70 * PLACES; i++) {
		struct ct_source_id id = { .addr = IP4(172, 16, 0, 0) + i, .ifindex = 2, .outside = true };

		if (enter(&s, &id, &index))
			n_crowded += ct_source_is_crowded(index);
	}
	/* A /24 is counted as one host. */
	assert_in_range(n_crowded, 200 * MAX, 70 * PLACES / 256 * MAX + MAX);
	assert_int_equal(s.n_outside, PLACES / 2);
	/* One more outside, and as many hosts inside as the rest has places. */
	assert_true(fill(&s, &(struct ct_source_id){ .addr = IP4(192, 0, 2, 1), .outside = true }) <= MAX);
	for (uint32_t i = 0; i < PLACES / 2; i++)
		assert_int_equal(fill(&s, &(struct ct_source_id){ .addr = INSIDE_HOST + i }), MAX);
	/* Now it is full: two hosts of one prefix share what one may have. */
	uint32_t one = fill(&s, &(struct ct_source_id){ .addr = IP4(10, 99, 0, 1) });
	uint32_t two = fill(&s, &(struct ct_source_id){ .addr = IP4(10, 99, 0, 2) });
	assert_true(one + two <= MAX);
	ct_sources_fini(&s);
}

/* Would catch: a forged source that spends the allowance of the host whose address it is. */
static void test_doubtful(void **state)
{
	struct ct_source_id forged = { .addr = INSIDE_HOST, .ifindex = 2, .outside = true, .doubtful = true };
	struct ct_source_id host = { .addr = INSIDE_HOST, .ifindex = 1 };
	struct ct_sources s;

	(void)state;
	assert_int_equal(ct_sources_init(&s, PLACES), 0);
	assert_int_equal(fill(&s, &forged), MAX);
	assert_int_equal(fill(&s, &host), MAX);
	ct_sources_fini(&s);
}

/* Would catch: a prefix that has both, a shared counter and entries of its own; one that never leaves the crowd; counts
 * that do not come back. */
static void test_back_from_the_crowd(void **state)
{
	struct ct_source_id a = { .addr = IP4(10, 99, 0, 1) }, b = { .addr = IP4(10, 99, 0, 2) };
	uint32_t entry[PLACES], shared, index;
	struct ct_sources s;

	(void)state;
	assert_int_equal(ct_sources_init(&s, PLACES), 0);
	for (uint32_t i = 0; i < PLACES; i++)
		assert_true(enter(&s, &(struct ct_source_id){ .addr = IP4(10, 0, 0, 0) + i }, &entry[i]));
	assert_true(enter(&s, &a, &shared));
	assert_true(ct_source_is_crowded(shared));
	for (uint32_t i = 0; i < PLACES; i++)
		ct_source_leave(&s, entry[i]);
	assert_true(enter(&s, &b, &index));
	assert_true(ct_source_is_crowded(index));
	ct_source_leave(&s, index);
	ct_source_leave(&s, shared);
	assert_true(enter(&s, &b, &index));
	assert_false(ct_source_is_crowded(index));
	ct_source_leave(&s, index);
	assert_int_equal(s.pool.n_used, 0);
	assert_int_equal(s.n_crowded, 0);
	/* Those outside have given back their half. */
	assert_true(enter(&s, &(struct ct_source_id){ .addr = IP4(192, 0, 2, 1), .outside = true }, &index));
	assert_int_equal(s.n_outside, 1);
	ct_source_leave(&s, index);
	assert_int_equal(s.n_outside, 0);
	/* Nothing is counted there any more. */
	for (uint32_t i = 0; i < PLACES; i++)
		assert_true(enter(&s, &(struct ct_source_id){ .addr = IP4(10, 0, 0, 0) + i }, &entry[i]));
	assert_int_equal(fill(&s, &a), MAX);
	ct_sources_fini(&s);
}

/* Would catch: a rate that does not hold in a shared counter. */
static void test_rate(void **state)
{
	const struct ct_source_limit rate = { .new_per_s = 50 };
	struct ct_source_id id = { .addr = INSIDE_HOST, .ifindex = 2, .doubtful = true };
	uint32_t n = 0, index;
	struct ct_sources s;

	(void)state;
	assert_int_equal(ct_sources_init(&s, PLACES), 0);
	for (uint64_t now = 0; now < 2 * NS_PER_S; now += NS_PER_MS)
		n += ct_source_enter(&s, &key, &id, &rate, NS_PER_S + now, &index) == CT_SOURCE_OK;
	assert_in_range(n, 140, 152);
	ct_sources_fini(&s);
}

/* A connection that another one brings along is counted where that is. Would catch: one that is counted elsewhere,
 * refused while there is room, or taken beyond it; in an entry and in a shared counter. */
static void test_join(void **state)
{
	(void)state;
	for (int doubtful = 0; doubtful < 2; doubtful++) {
		struct ct_source_id id = { .addr = INSIDE_HOST, .ifindex = 2, .doubtful = doubtful };
		struct ct_sources s;
		uint32_t index;

		assert_int_equal(ct_sources_init(&s, PLACES), 0);
		assert_true(enter(&s, &id, &index));
		for (uint32_t i = 1; i < MAX; i++)
			assert_int_equal(ct_source_join(&s, index, &limit, 0), CT_SOURCE_OK);
		assert_int_equal(ct_source_join(&s, index, &limit, 0), CT_SOURCE_TOO_MANY);
		for (uint32_t i = 0; i < MAX; i++)
			ct_source_leave(&s, index);
		assert_int_equal(s.pool.n_used, 0);
		assert_int_equal(s.n_crowded, 0);
		assert_int_equal(ct_source_join(&s, CT_SOURCE_NONE, &limit, 0), CT_SOURCE_OK);
		ct_sources_fini(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_doubtful),
		cmocka_unit_test(test_back_from_the_crowd),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
