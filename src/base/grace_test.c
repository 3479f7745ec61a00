/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Worth most in a build with ThreadSanitizer or AddressSanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/grace.h"

/* Would catch: a grace that is over while a reader that was inside has not passed, and one that waits for a reader that
 * is outside or came later. */
static void test_when_it_is_over(void **state)
{
	static struct grace g;
	struct grace_reader *a = &g.reader[0], *b = &g.reader[1];

	grace_begin(&g);
	assert_true(grace_is_over(&g));
	grace_enter(a);
	grace_begin(&g);
	assert_false(grace_is_over(&g));
	grace_enter(b); /* behind it */
	assert_false(grace_is_over(&g));
	grace_pass(a);
	assert_true(grace_is_over(&g));
	grace_begin(&g);
	grace_leave(a);
	assert_false(grace_is_over(&g));
	grace_leave(b);
	grace_enter(b);
	assert_true(grace_is_over(&g));
}

#define N_READERS 2
#define N_CHANGES 3000

struct box {
	uint32_t a, b; /* equal, and never 0, while it may be read */
};

struct race {
	struct grace g;
	_Atomic(struct box *) now;
	atomic_bool stop;
	atomic_uint n_wrong;
};

struct reader {
	struct race *race;
	uint32_t number;
};

static void *read_on(void *arg)
{
	struct reader *me = arg;
	struct race *r = me->race;
	struct grace_reader *mine = &r->g.reader[me->number];

	grace_enter(mine);
	for (uint32_t n = 0; !atomic_load(&r->stop); n++) {
		const struct box *x = atomic_load_explicit(&r->now, memory_order_acquire);

		if (x->a != x->b || x->a == 0)
			atomic_fetch_add(&r->n_wrong, 1);
		if (n % 7 == 0) {
			grace_leave(mine);
			sched_yield();
			grace_enter(mine);
		} else {
			grace_pass(mine);
		}
	}
	grace_leave(mine);
	return NULL;
}

static struct box *new_box(uint32_t value)
{
	struct box *x = malloc(sizeof(*x));

	*x = (struct box){ value, value };
	return x;
}

/* Would catch: memory given back while a reader that goes to sleep and comes back now and then has it. */
static void test_readers_hold_nothing_that_is_gone(void **state)
{
	static struct race r;
	struct reader reader[N_READERS];
	pthread_t thread[N_READERS];

	atomic_store(&r.now, new_box(1));
	for (uint32_t i = 0; i < N_READERS; i++) {
		reader[i] = (struct reader){ &r, i };
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, &reader[i]), 0);
	}
	for (uint32_t k = 2; k < N_CHANGES; k++) {
		struct box *old = atomic_exchange_explicit(&r.now, new_box(k), memory_order_acq_rel);

		grace_begin(&r.g);
		while (!grace_is_over(&r.g))
			sched_yield();
		old->a = 0;
		free(old);
	}
	atomic_store(&r.stop, true);
	for (uint32_t i = 0; i < N_READERS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(atomic_load(&r.n_wrong), 0);
	free(atomic_load(&r.now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_it_is_over),
		cmocka_unit_test(test_readers_hold_nothing_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
