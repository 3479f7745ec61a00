/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A ring of equal slots between two threads: one puts in, the other takes out,
 * nobody locks. What was put becomes visible when it is published, so a batch
 * costs one write that the other side sees.
 *
 * Producer: ring_put as often as wanted, then ring_publish.
 * Consumer: ring_ready, ring_at for each, then ring_take.
 */
#ifndef YG_BASE_RING_H
#define YG_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_LINE 64

struct ring {
	/* neither side writes these */
	_Alignas(RING_LINE) uint8_t *mem;
	size_t slot_bytes;
	uint32_t mask;
	/* the producer's */
	_Alignas(RING_LINE) uint32_t next; /* first slot not put yet */
	uint32_t seen_tail;                /* the consumer was at least here */
	/* from the producer to the consumer, and back */
	_Alignas(RING_LINE) _Atomic uint32_t head;
	_Alignas(RING_LINE) _Atomic uint32_t tail;
	/* the consumer's */
	_Alignas(RING_LINE) uint32_t first; /* first slot not taken yet */
	uint32_t seen_head;
};

/* n_slots is a power of two. 0 or -ENOMEM. */
int ring_init(struct ring *r, uint32_t n_slots, size_t slot_bytes);
void ring_fini(struct ring *r);

/* The next slot to fill; NULL when the ring is full. Not cleared. */
static inline void *ring_put(struct ring *r)
{
	if (r->next - r->seen_tail > r->mask) {
		r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (r->next - r->seen_tail > r->mask)
			return NULL;
	}
	return r->mem + (size_t)(r->next++ & r->mask) * r->slot_bytes;
}

/* Whether the next n puts will find a slot each. */
static inline bool ring_has_room(struct ring *r, uint32_t n)
{
	if (r->next + n - r->seen_tail > r->mask + 1)
		r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return r->next + n - r->seen_tail <= r->mask + 1;
}

/* What ring_put would return behind k more, to have it in the cache by then. */
static inline void *ring_ahead(const struct ring *r, uint32_t k)
{
	return r->mem + (size_t)((r->next + k) & r->mask) * r->slot_bytes;
}

/* True when there was something to publish. */
static inline int ring_publish(struct ring *r)
{
	if (atomic_load_explicit(&r->head, memory_order_relaxed) == r->next)
		return 0;
	atomic_store_explicit(&r->head, r->next, memory_order_release);
	return 1;
}

/* Slots that can be read. */
static inline uint32_t ring_ready(struct ring *r)
{
	if (r->seen_head == r->first)
		r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
	return r->seen_head - r->first;
}

/* Those behind the first n, which have been read and are not done with. */
static inline uint32_t ring_ready_behind(struct ring *r, uint32_t n)
{
	if (r->seen_head - r->first == n)
		r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
	return r->seen_head - r->first - n;
}

/* The same as ring_ready, as of now: whatever was published before something that the caller has seen. */
static inline uint32_t ring_ready_now(struct ring *r)
{
	r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
	return r->seen_head - r->first;
}

/* The i-th of them. */
static inline void *ring_at(const struct ring *r, uint32_t i)
{
	return r->mem + (size_t)((r->first + i) & r->mask) * r->slot_bytes;
}

/* The first n are done with. */
static inline void ring_take(struct ring *r, uint32_t n)
{
	r->first += n;
	atomic_store_explicit(&r->tail, r->first, memory_order_release);
}

#endif
