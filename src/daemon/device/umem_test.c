/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The frames of AF_XDP while one thread sends and receives by one device and
 * another opens and closes a second device of the same area.
 */
#include "daemon/device/umem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define N_FRAMES 256u
#define N_ROUNDS 200000u
#define N_AT_ONCE 24u

struct user {
	struct umem *u;
	uint8_t *taken; /* a byte a frame, of both threads */
	uint32_t n_faults;
};

/* Every frame that is given is nobody else's. */
static void take(struct user *t, uint16_t queue, uint32_t *frame, uint32_t *n)
{
	*n = umem_give(t->u, queue, N_AT_ONCE, frame);
	for (uint32_t i = 0; i < *n; i++)
		t->n_faults += __atomic_exchange_n(&t->taken[frame[i]], 1, __ATOMIC_RELAXED) != 0;
}

static void leave(struct user *t, const uint32_t *frame, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		__atomic_store_n(&t->taken[frame[i]], 0, __ATOMIC_RELAXED);
}

/* The worker: frames go to the kernel and come back. */
static void *send_and_receive(void *arg)
{
	struct user *t = arg;
	uint16_t queue = umem_queue_add(t->u);
	uint32_t frame[N_AT_ONCE], n;

	for (uint32_t round = 0; round < N_ROUNDS; round++) {
		take(t, queue, frame, &n);
		leave(t, frame, n);
		for (uint32_t i = 0; i < n; i++)
			umem_sent(t->u, queue, frame[i]);
	}
	umem_queue_remove(t->u, queue);
	return NULL;
}

/* The control thread: a device comes and goes, and what it had is free. */
static void *open_and_close(void *arg)
{
	struct user *t = arg;
	uint32_t frame[N_AT_ONCE], n;

	for (uint32_t round = 0; round < N_ROUNDS / 4; round++) {
		uint16_t queue = umem_queue_add(t->u);
		take(t, queue, frame, &n);
		leave(t, frame, n);
		umem_queue_remove(t->u, queue);
	}
	return NULL;
}

/* Would catch: a frame that two have, and one that nobody has any more. */
static void test_two_threads(void **state)
{
	uint8_t taken[N_FRAMES] = { 0 };
	struct umem *u;
	char err[128];
	pthread_t worker, control;

	(void)state;
	assert_int_equal(umem_create(N_FRAMES, &u, err, sizeof(err)), 0);
	struct user a = { .u = u, .taken = taken }, b = a;
	assert_int_equal(pthread_create(&worker, NULL, send_and_receive, &a), 0);
	assert_int_equal(pthread_create(&control, NULL, open_and_close, &b), 0);
	pthread_join(worker, NULL);
	pthread_join(control, NULL);
	assert_int_equal(a.n_faults + b.n_faults, 0);
	assert_int_equal(umem_n_free(u), N_FRAMES);
	umem_destroy(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_two_threads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
