/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A pool of equal objects with 32-bit indexes, sized at start. Allocation and
 * release cost the same at every fill (a stack of free indexes); memory comes
 * from the kernel untouched and zeroed, so an unused pool costs address space
 * only. Objects are not cleared on release.
 */
#ifndef YG_BASE_POOL_H
#define YG_BASE_POOL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct pool {
	uint8_t *mem;
	uint32_t *free_stack;
	size_t stride; /* bytes from one object to the next */
	uint32_t cap;
	uint32_t n_used;
	uint32_t n_fresh; /* indexes from here on were never handed out */
	uint32_t n_free;  /* entries on free_stack */
};

/* align is a power of two, at most 4096. Returns 0 or -ENOMEM. */
int pool_init(struct pool *p, uint32_t cap, size_t size, size_t align);
void pool_fini(struct pool *p);

/* An index below cap, or POOL_NONE when all are in use. */
static inline uint32_t pool_alloc(struct pool *p)
{
	uint32_t index;

	if (p->n_free > 0)
		index = p->free_stack[--p->n_free];
	else if (p->n_fresh < p->cap)
		index = p->n_fresh++;
	else
		return POOL_NONE;
	p->n_used++;
	return index;
}

/* What pool_alloc would return after n more calls, for whoever wants it in the cache by then. */
static inline uint32_t pool_upcoming(const struct pool *p, uint32_t n)
{
	if (n < p->n_free)
		return p->free_stack[p->n_free - 1 - n];
	n -= p->n_free;
	return n < p->cap - p->n_fresh ? p->n_fresh + n : POOL_NONE;
}

static inline void pool_free(struct pool *p, uint32_t index)
{
	assert(index < p->n_fresh && p->n_used > 0);
	p->free_stack[p->n_free++] = index;
	p->n_used--;
}

static inline void *pool_at(const struct pool *p, uint32_t index)
{
	return p->mem + (size_t)index * p->stride;
}

#endif
