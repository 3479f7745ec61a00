/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "stack/packet/stage.h"

static uint64_t ticks; /* the test's clock */

static uint64_t read_ticks(void)
{
	return ticks;
}

/* Would catch: a stage that is charged for the time of a stage in it, and time
 * outside of all stages that is charged to one. */
static void test_own_time(void **state)
{
	struct stages s = { .clock = read_ticks };

	ticks = 1000;
	struct stage_stats *none = stage_enter(&s, STAGE_ETHER, 3);
	ticks += 10;
	struct stage_stats *ether = stage_enter(&s, STAGE_IP, 2);
	ticks += 100;
	struct stage_stats *ip = stage_enter(&s, STAGE_OUTPUT, 1);
	ticks += 1000;
	stage_leave(&s, ip);
	ticks += 200;
	stage_leave(&s, ether);
	ticks += 20;
	stage_leave(&s, none);
	ticks += 100000;
	stage_leave(&s, stage_enter(&s, STAGE_ETHER, 5));
	assert_int_equal(s.own[STAGE_ETHER].clocks, 30);
	assert_int_equal(s.own[STAGE_IP].clocks, 300);
	assert_int_equal(s.own[STAGE_OUTPUT].clocks, 1000);
	assert_int_equal(s.own[STAGE_ETHER].n_batches, 2);
	assert_int_equal(s.own[STAGE_ETHER].n_packets, 8);
	assert_null(s.at_work);
}

/* Would catch: entries of one list that are charged for each other, and a clock
 * that went back a little and became a time of centuries. */
static void test_one_behind_another(void **state)
{
	struct stages s = { .clock = read_ticks };
	struct stage_stats entry[2] = { { 0 } };

	ticks = 0;
	struct stage_stats *none = s.at_work;
	struct stage_stats *outer = stage_enter(&s, STAGE_ROUTE, 1);
	struct stage_stats *list = s.at_work;
	stage_next_at(&s, &entry[0], 4);
	ticks += 7;
	stage_next_at(&s, &entry[1], 3);
	ticks += 9;
	stage_leave(&s, list);
	ticks -= 5;
	stage_leave(&s, outer);
	assert_ptr_equal(s.at_work, none);
	assert_int_equal(entry[0].clocks, 7);
	assert_int_equal(entry[1].clocks, 9);
	assert_int_equal(entry[1].n_packets, 3);
	assert_int_equal(s.own[STAGE_ROUTE].clocks, 0);
}

/* Would catch: a core without a clock that counts or calls one. */
static void test_without_a_clock(void **state)
{
	struct stages s = { 0 };

	stage_leave(&s, stage_enter(&s, STAGE_SEND, 1));
	assert_int_equal(s.own[STAGE_SEND].n_batches, 0);
	assert_null(s.at_work);
}

/* Would catch: a stage without a name. */
static void test_names(void **state)
{
	for (enum stage i = 0; i < N_STAGES; i++)
		assert_non_null(stage_names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_time),
		cmocka_unit_test(test_one_behind_another),
		cmocka_unit_test(test_without_a_clock),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
