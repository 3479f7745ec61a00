/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log records between two threads: the order, what is lost, and that it is counted.
 */
#include "daemon/run/log_ring.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLOTS 64u

static void put(struct log_ring *r, uint64_t number)
{
	struct log_record record = { .kind = LOG_SESSION_BEGIN, .time_ns = number };

	log_ring_put(r, &record);
}

static void counts_are(const struct log_ring *r, uint64_t made, uint64_t read, uint64_t waiting, uint64_t lost)
{
	struct log_ring_counts c;

	log_ring_counts(r, &c);
	assert_int_equal(c.n_made, made);
	assert_int_equal(c.n_read, read);
	assert_int_equal(c.n_waiting, waiting);
	assert_int_equal(c.n_lost, lost);
}

static struct log_record take(struct log_ring *r)
{
	const struct log_record *first = log_ring_first(r);

	assert_non_null(first);
	struct log_record copy = *first;

	log_ring_take(r);
	return copy;
}

/* Would catch: a record that is lost and not counted, a newer one that pushes an older one out, a gap that nobody is
 * told of, is told of too early, or takes the room of the next record for ever. */
static void test_full(void **state)
{
	struct log_ring *r = log_ring_create(SLOTS, 3);

	(void)state;
	assert_non_null(r);
	assert_null(log_ring_first(r));
	for (uint64_t i = 0; i < SLOTS + 10; i++)
		put(r, i);
	counts_are(r, SLOTS + 10, 0, SLOTS, 10);
	assert_int_equal(take(r).time_ns, 0);
	/* One place is not enough to say what is missing and go on. */
	put(r, 100);
	counts_are(r, SLOTS + 11, 1, SLOTS - 1, 11);
	assert_int_equal(take(r).time_ns, 1);
	put(r, 101);
	counts_are(r, SLOTS + 12, 2, SLOTS - 1, 11);
	for (uint64_t i = 2; i < SLOTS; i++)
		assert_int_equal(take(r).time_ns, i);
	struct log_record lost = take(r), last = take(r);
	assert_int_equal(lost.kind, LOG_LOST);
	assert_int_equal(lost.count, 11);
	assert_int_equal(lost.worker, 3);
	assert_int_equal(last.kind, LOG_SESSION_BEGIN);
	assert_int_equal(last.time_ns, 101);
	assert_int_equal(last.worker, 3);
	assert_null(log_ring_first(r));
	/* A gap is told of once. */
	put(r, 102);
	assert_int_equal(take(r).time_ns, 102);
	counts_are(r, SLOTS + 13, SLOTS + 2, 0, 11);
	log_ring_destroy(r);
}

#define MANY 200000u

static void *produce(void *ring)
{
	for (uint64_t i = 1; i <= MANY; i++)
		put(ring, i);
	return NULL;
}

struct reading {
	uint64_t next, n_read, n_lost;
};

/* The next record, if there is one. */
static bool read_one(struct log_ring *r, struct reading *so_far)
{
	const struct log_record *first = log_ring_first(r);

	if (first == NULL)
		return false;
	if (first->kind == LOG_LOST) {
		so_far->n_lost += first->count;
		so_far->next += first->count;
	} else {
		assert_int_equal(first->time_ns, so_far->next);
		so_far->next++;
		so_far->n_read++;
	}
	log_ring_take(r);
	return true;
}

/* Would catch: a record read before it is whole, twice or out of order; a gap of another length than is told. */
static void test_two_threads(void **state)
{
	struct log_ring *r = log_ring_create(SLOTS, 0);
	struct reading so_far = { .next = 1 };
	struct log_ring_counts c;
	pthread_t thread;

	(void)state;
	assert_non_null(r);
	assert_int_equal(pthread_create(&thread, NULL, produce, r), 0);
	do {
		log_ring_counts(r, &c);
		assert_true(c.n_read + c.n_lost <= c.n_made);
	} while (read_one(r, &so_far) || c.n_made < MANY);
	pthread_join(thread, NULL);
	/* A record is counted before it is there. */
	while (read_one(r, &so_far))
		;
	log_ring_counts(r, &c);
	assert_int_equal(c.n_read, so_far.n_read);
	assert_int_equal(c.n_read + c.n_lost, MANY);
	/* What was lost last is not told yet. */
	assert_int_equal(c.n_lost - so_far.n_lost, MANY + 1 - so_far.next);
	log_ring_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
