/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/ring.h"

#define N_SLOTS 8u

/* Would catch: a ring that takes one too many or one too few, shows what was not published, or loses order. */
static void test_one_thread(void **state)
{
	struct ring r;

	assert_int_equal(ring_init(&r, N_SLOTS, sizeof(uint32_t)), 0);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < N_SLOTS; i++)
			*(uint32_t *)ring_put(&r) = round * 100 + i;
		assert_null(ring_put(&r));
		assert_int_equal(ring_ready(&r), 0);
		assert_true(ring_publish(&r));
		assert_false(ring_publish(&r));
		assert_int_equal(ring_ready(&r), N_SLOTS);
		for (uint32_t i = 0; i < N_SLOTS; i++)
			assert_int_equal(*(uint32_t *)ring_at(&r, i), round * 100 + i);
		ring_take(&r, 3);
		assert_int_equal(ring_ready(&r), N_SLOTS - 3);
		assert_int_equal(*(uint32_t *)ring_at(&r, 0), round * 100 + 3);
		/* What has been read and is not done with hides nothing. */
		assert_int_equal(ring_ready_behind(&r, N_SLOTS - 3), 0);
		*(uint32_t *)ring_put(&r) = 7;
		assert_int_equal(ring_ready_behind(&r, N_SLOTS - 3), 0);
		assert_true(ring_publish(&r));
		assert_int_equal(ring_ready_behind(&r, N_SLOTS - 3), 1);
		ring_take(&r, N_SLOTS - 2);
		assert_int_equal(ring_ready_now(&r), 0);
	}
	ring_fini(&r);
}

/* Would catch: positions that are compared as numbers and not by their distance. */
static void test_wrap(void **state)
{
	struct ring r;

	assert_int_equal(ring_init(&r, N_SLOTS, sizeof(uint32_t)), 0);
	r.next = r.seen_tail = r.first = r.seen_head = UINT32_MAX - 2;
	atomic_store(&r.head, r.next);
	atomic_store(&r.tail, r.next);
	for (uint32_t i = 0; i < N_SLOTS; i++)
		*(uint32_t *)ring_put(&r) = i;
	assert_null(ring_put(&r));
	ring_publish(&r);
	assert_int_equal(ring_ready(&r), N_SLOTS);
	for (uint32_t i = 0; i < N_SLOTS; i++)
		assert_int_equal(*(uint32_t *)ring_at(&r, i), i);
	ring_take(&r, N_SLOTS);
	assert_non_null(ring_put(&r));
	ring_fini(&r);
}

#define N_NUMBERS 200000u

struct wide {
	uint64_t number, again[6];
};

static void *produce(void *arg)
{
	struct ring *r = arg;

	for (uint64_t n = 0; n < N_NUMBERS;) {
		for (uint32_t i = 0; i < 5 && n < N_NUMBERS; i++) {
			struct wide *w = ring_put(r);
			if (w == NULL) {
				ring_publish(r);
				sched_yield();
				break;
			}
			w->number = n;
			for (uint32_t k = 0; k < 6; k++)
				w->again[k] = n;
			n++;
		}
		ring_publish(r);
	}
	return NULL;
}

/* Would catch: a slot read before it is written or overwritten before it is read; under ThreadSanitizer also every
 * order that only x86 gives. */
static void test_two_threads(void **state)
{
	struct ring r;
	pthread_t thread;
	uint64_t expected = 0;

	assert_int_equal(ring_init(&r, 64, sizeof(struct wide)), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, &r), 0);
	while (expected < N_NUMBERS) {
		uint32_t n = ring_ready(&r);
		if (n == 0)
			sched_yield();
		for (uint32_t i = 0; i < n; i++, expected++) {
			const struct wide *w = ring_at(&r, i);
			if (w->number != expected || w->again[5] != expected)
				fail_msg("number %llu where %llu was due", (unsigned long long)w->number,
					 (unsigned long long)expected);
		}
		ring_take(&r, n);
	}
	pthread_join(thread, NULL);
	ring_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
