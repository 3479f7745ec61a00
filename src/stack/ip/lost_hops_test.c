/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Lost next hops, told by one thread while another looks.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "stack/ip/lost_hops.h"

#define N_TOLD 200000u

static uint32_t interface_of(uint64_t i)
{
	return 1 + (uint32_t)(i % 63);
}

static uint32_t address_of(uint64_t i)
{
	return (uint32_t)i * 2654435761u;
}

static void test_ring(void **state)
{
	struct lost_hops l;
	uint32_t ifindex, addr;

	memset(&l, 0, sizeof(l));
	for (uint64_t i = 0; i < 2 * LOST_HOPS; i++) {
		assert_int_equal(lost_hops_count(&l), i);
		lost_hops_tell(&l, interface_of(i), address_of(i));
		assert_true(lost_hops_get(&l, i, &ifindex, &addr));
		assert_int_equal(ifindex, interface_of(i));
		assert_int_equal(addr, address_of(i));
	}
	assert_true(lost_hops_get(&l, LOST_HOPS + 1, &ifindex, &addr));
	assert_int_equal(addr, address_of(LOST_HOPS + 1));
	assert_false(lost_hops_get(&l, LOST_HOPS, &ifindex, &addr)); /* the next one goes there */
	assert_false(lost_hops_get(&l, 3, &ifindex, &addr));
}

static void *tell_all(void *arg)
{
	for (uint64_t i = 0; i < N_TOLD; i++) {
		lost_hops_tell(arg, interface_of(i), address_of(i));
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* Would catch: a place that is read while it is written over, and taken for what stood there; and under
 * ThreadSanitizer a race. */
static void test_race(void **state)
{
	struct lost_hops l;
	uint64_t seen = 0, n_missed = 0;
	pthread_t writer;

	memset(&l, 0, sizeof(l));
	assert_int_equal(pthread_create(&writer, NULL, tell_all, &l), 0);
	while (seen < N_TOLD) {
		uint64_t n = lost_hops_count(&l);
		uint32_t ifindex, addr;

		for (; seen < n; seen++) {
			if (!lost_hops_get(&l, seen, &ifindex, &addr)) {
				n_missed++;
				continue;
			}
			assert_int_equal(ifindex, interface_of(seen));
			assert_int_equal(addr, address_of(seen));
		}
	}
	pthread_join(writer, NULL);
	assert_in_range(n_missed, 0, N_TOLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
