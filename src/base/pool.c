/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A pool of equal objects, addressed by index.
 *
 * An index is in one of three places: in use, on the stack of free indexes, or
 * at n_fresh and above, never handed out. So the stack need not be filled at
 * start, and the pages of objects that nobody asked for are never touched. The
 * last object released is the next one given out: it is the likeliest to be in
 * the cache.
 *
 * Always: n_used + n_free == n_fresh <= cap.
 */
#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* From this size on memory is asked for in large pages. */
#define LARGE_BYTES ((size_t)4 << 20)

/* Zeroed memory that costs nothing until it is touched; NULL when refused. */
static void *map_bytes(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	/* Random look-ups in many pages wait for the page table too. A kernel that has no large ones may say no. */
	if (len >= LARGE_BYTES)
		(void)madvise(mem, len, MADV_HUGEPAGE);
	return mem;
}

int pool_init(struct pool *p, uint32_t cap, size_t size, size_t align)
{
	assert(align > 0 && align <= 4096 && (align & (align - 1)) == 0);
	memset(p, 0, sizeof(*p));
	size_t stride, n_bytes;
	if (cap == POOL_NONE || __builtin_add_overflow(size, align - 1, &stride))
		return -ENOMEM;
	stride &= ~(align - 1);
	if (__builtin_mul_overflow(stride, (size_t)cap, &n_bytes))
		return -ENOMEM;
	p->stride = stride;
	if (n_bytes == 0)
		return 0;
	p->mem = map_bytes(n_bytes);
	if (p->mem == NULL)
		return -ENOMEM;
	p->free_stack = map_bytes((size_t)cap * sizeof(*p->free_stack));
	if (p->free_stack == NULL)
		goto unmap_mem;
	p->cap = cap;
	return 0;

unmap_mem:
	munmap(p->mem, n_bytes);
	p->mem = NULL;
	return -ENOMEM;
}

void pool_fini(struct pool *p)
{
	if (p->mem != NULL)
		munmap(p->mem, p->stride * p->cap);
	if (p->free_stack != NULL)
		munmap(p->free_stack, (size_t)p->cap * sizeof(*p->free_stack));
	memset(p, 0, sizeof(*p));
}
