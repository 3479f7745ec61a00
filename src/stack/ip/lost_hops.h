/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Next hops that were lost, told by the one thread that knows to all who keep
 * adjacencies: a ring of the last ones, and how many there have been. Whoever has missed
 * more of them than the ring holds takes every next hop for lost.
 *
 * The routes have given way before it is told; what is told is that flows which go by
 * that neighbour must ask them again, at once.
 */
#ifndef YG_STACK_IP_LOST_HOPS_H
#define YG_STACK_IP_LOST_HOPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOST_HOPS 64u

struct lost_hops {
	_Atomic(uint64_t) n;
	_Atomic(uint64_t) hop[LOST_HOPS]; /* interface, address */
};

/* The writer: IPv4, as everything that leaves here. */
static inline void lost_hops_tell(struct lost_hops *l, uint32_t ifindex, uint32_t addr)
{
	uint64_t n = atomic_load_explicit(&l->n, memory_order_relaxed);

	/* Whoever sees a place written over sees that there are more than the ring holds. */
	atomic_store_explicit(&l->hop[n % LOST_HOPS], (uint64_t)ifindex << 32 | addr, memory_order_release);
	atomic_store_explicit(&l->n, n + 1, memory_order_release);
}

static inline uint64_t lost_hops_count(const struct lost_hops *l)
{
	return atomic_load_explicit(&l->n, memory_order_acquire);
}

/* Number i, from 0. False: it has been written over. */
static inline bool lost_hops_get(const struct lost_hops *l, uint64_t i, uint32_t *ifindex, uint32_t *addr)
{
	uint64_t hop = atomic_load_explicit(&l->hop[i % LOST_HOPS], memory_order_acquire);

	*ifindex = (uint32_t)(hop >> 32);
	*addr = (uint32_t)hop;
	return lost_hops_count(l) < i + LOST_HOPS;
}

#endif
