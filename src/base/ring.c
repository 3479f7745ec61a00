/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory of a ring; its functions stand in the header, they are a few
 * instructions each.
 *
 * What always holds: tail <= first's last published value <= head <= next, and
 * next - tail <= number of slots. Positions only grow and wrap at 32 bits. A slot
 * is written by the producer before the release of head that shows it, and read
 * by the consumer before the release of tail that gives it back. What each side
 * writes stands in cache lines of its own; seen_tail and seen_head keep a side
 * from reading the other's line before it must.
 */
#include "base/ring.h"

#include <errno.h>
#include <sys/mman.h>

int ring_init(struct ring *r, uint32_t n_slots, size_t slot_bytes)
{
	*r = (struct ring){ .mask = n_slots - 1, .slot_bytes = slot_bytes };
	/* Untouched slots cost address space only. */
	void *mem = mmap(NULL, n_slots * slot_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	r->mem = mem;
	return 0;
}

void ring_fini(struct ring *r)
{
	if (r->mem != NULL)
		munmap(r->mem, (r->mask + (size_t)1) * r->slot_bytes);
	r->mem = NULL;
}
