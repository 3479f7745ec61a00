/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log records on their way to their reader (base/ring.h).
 *
 * When the ring is full the newest records are lost: those that wait are the older
 * ones, and a reader that comes back finds them whole. The first record that has room
 * again needs two places, since the one before it says how many are missing.
 *
 * What always holds: made = read + waiting + lost, counted in records that the core
 * made; each number is written by one side only.
 */
#include "daemon/run/log_ring.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/ring.h"

struct log_ring {
	struct ring ring;
	/* the worker's */
	uint64_t n_missing; /* lost, and not said yet */
	uint8_t worker;
	_Atomic uint64_t n_made, n_lost;
	/* the reader's */
	_Alignas(RING_LINE) _Atomic uint64_t n_read;
};

struct log_ring *log_ring_create(uint32_t n_records, uint8_t worker)
{
	struct log_ring *r = aligned_alloc(RING_LINE, sizeof(*r));
	uint32_t n_slots = 2;

	while (n_slots < (n_records != 0 ? n_records : LOG_RING_DEFAULT))
		n_slots *= 2;
	if (r == NULL)
		return NULL;
	*r = (struct log_ring){ .worker = worker };
	if (ring_init(&r->ring, n_slots, sizeof(struct log_record)) != 0) {
		free(r);
		return NULL;
	}
	return r;
}

void log_ring_destroy(struct log_ring *r)
{
	if (r == NULL)
		return;
	ring_fini(&r->ring);
	free(r);
}

static void add(_Atomic uint64_t *counter)
{
	/* One thread writes it. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_release);
}

static void put(struct log_ring *r, const struct log_record *record)
{
	struct log_record *slot = ring_put(&r->ring);

	*slot = *record;
	slot->worker = r->worker;
}

void log_ring_put(struct log_ring *r, const struct log_record *record)
{
	struct log_record lost = { .kind = LOG_LOST, .time_ns = record->time_ns, .count = r->n_missing };

	add(&r->n_made);
	if (!ring_has_room(&r->ring, r->n_missing > 0 ? 2 : 1)) {
		r->n_missing++;
		add(&r->n_lost);
		return;
	}
	if (r->n_missing > 0)
		put(r, &lost);
	r->n_missing = 0;
	put(r, record);
	(void)ring_publish(&r->ring);
}

const struct log_record *log_ring_first(struct log_ring *r)
{
	return ring_ready(&r->ring) > 0 ? ring_at(&r->ring, 0) : NULL;
}

void log_ring_take(struct log_ring *r)
{
	const struct log_record *first = ring_at(&r->ring, 0);

	if (first->kind != LOG_LOST)
		add(&r->n_read);
	ring_take(&r->ring, 1);
}

void log_ring_counts(const struct log_ring *r, struct log_ring_counts *out)
{
	/* In this order, so that nothing waits that was never made. */
	out->n_read = atomic_load_explicit(&r->n_read, memory_order_acquire);
	out->n_lost = atomic_load_explicit(&r->n_lost, memory_order_acquire);
	out->n_made = atomic_load_explicit(&r->n_made, memory_order_acquire);
	out->n_waiting = out->n_made - out->n_read - out->n_lost;
}
