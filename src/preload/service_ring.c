/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rings (preload_wire.h): what programs write, read where they put it.
 *
 * While it is awake the service looks at what is pending in the arenas of those that have written lately (they are
 * hot), and before it sleeps it says so to each and looks once more. So one that writes wakes it once, however much it
 * writes until then, and one that does not write costs nothing.
 *
 * An arena is memory that its process can write at any time. What is read of it is a position, once, which is believed
 * as far as the ring is long, and bytes. It cannot be made shorter. It lives as long as its channel, or longer, until
 * what was put into it has been taken.
 *
 * A pair may have bytes as well. They were written behind those in the ring: stream_up takes them when the ring is
 * empty, and no more of them than were there before it looked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/service_priv.h"

#define RING_MASK (PRELOAD_RING_BYTES - 1)
_Static_assert((PRELOAD_RING_BYTES & RING_MASK) == 0, "positions wrap");

struct arena {
	struct preload_arena *memory;
	struct arena *next_hot;
	bool is_hot, has_channel;
	uint32_t n_ends;
	uint32_t ends[PRELOAD_RINGS]; /* whose ring it is; SERVICE_NONE */
};

struct arena *arena_new(int *memory)
{
	struct arena *a = malloc(sizeof(*a));
	int fd = memfd_create("yangguan-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (a == NULL || fd < 0 || ftruncate(fd, (off_t)sizeof(struct preload_arena)) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		goto failed;
	*a = (struct arena){ .has_channel = true };
	a->memory = mmap(NULL, sizeof(struct preload_arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (a->memory == MAP_FAILED)
		goto failed;
	for (uint32_t i = 0; i < PRELOAD_RINGS; i++)
		a->ends[i] = SERVICE_NONE;
	atomic_store(&a->memory->is_asleep, 1);
	*memory = fd;
	return a;
failed:
	if (fd >= 0)
		close(fd);
	free(a);
	return NULL;
}

static void free_if_unused(struct arena *a)
{
	if (a->has_channel || a->n_ends > 0)
		return;
	(void)munmap(a->memory, sizeof(*a->memory));
	free(a);
}

static void cool(struct service *v, struct arena *a)
{
	for (struct arena **at = &v->hot; *at != NULL; at = &(*at)->next_hot)
		if (*at == a) {
			*at = a->next_hot;
			break;
		}
	a->is_hot = false;
}

void arena_leave(struct service *v, struct arena *a)
{
	a->has_channel = false;
	cool(v, a);
	for (uint32_t i = 0; i < PRELOAD_RINGS; i++)
		if (a->ends[i] != SERVICE_NONE) {
			v->ends[a->ends[i]].ring_readable = true;
			end_go_on(v, &v->ends[a->ends[i]]);
		}
	free_if_unused(a);
}

void arena_wake(struct service *v, struct arena *a)
{
	if (a->is_hot)
		return;
	a->is_hot = true;
	a->next_hot = v->hot;
	v->hot = a;
}

/* --- a connection's --- */

int ring_give(struct service *v, struct end *e, struct arena *a, int32_t which)
{
	if (a == NULL || which < 0 || which >= (int32_t)PRELOAD_RINGS)
		return -EINVAL;
	if (a->ends[which] != SERVICE_NONE || e->arena != NULL)
		return e->arena != NULL ? -EEXIST : -EBUSY;
	struct preload_ring *r = &a->memory->ring[which];

	e->arena = a;
	e->ring = (uint32_t)which;
	e->ring_head = 0;
	a->ends[which] = end_index(v, e);
	a->n_ends++;
	/* Not written to: who asks has it locked. */
	atomic_store(&r->tail, 0);
	atomic_store(&r->start, 0);
	atomic_store(&r->head, 0);
	atomic_store(&r->is_closed, 0);
	return 0;
}

void ring_leave(struct end *e)
{
	struct arena *a = e->arena;

	if (a == NULL)
		return;
	atomic_store(&a->memory->ring[e->ring].is_closed, 1);
	a->ends[e->ring] = SERVICE_NONE;
	a->n_ends--;
	e->arena = NULL;
	free_if_unused(a);
}

size_t ring_peek(struct end *e, const unsigned char **bytes)
{
	struct arena *a = e->arena;

	e->ring_readable = false;
	if (a == NULL)
		return 0;
	struct preload_ring *r = &a->memory->ring[e->ring];
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire),
		 start = atomic_load_explicit(&r->start, memory_order_relaxed);

	/* It is being begun anew, and the tail of that is to come. */
	if ((int32_t)(start - tail) > 0)
		start = tail;
	if ((int32_t)(start - e->ring_head) > 0)
		e->ring_head = start;
	uint32_t n = tail - e->ring_head, to_end = PRELOAD_RING_BYTES - (e->ring_head & RING_MASK);

	if (n > PRELOAD_RING_BYTES) {
		e->app_reset = true;
		return 0;
	}
	if (n == 0) {
		if (!a->has_channel)
			ring_leave(e);
		return 0;
	}
	*bytes = a->memory->bytes[e->ring] + (e->ring_head & RING_MASK);
	e->ring_readable = true;
	return n < to_end ? n : to_end;
}

void ring_take(struct end *e, size_t n)
{
	e->ring_head += (uint32_t)n;
	atomic_store_explicit(&e->arena->memory->ring[e->ring].head, e->ring_head, memory_order_release);
}

/* --- all of them --- */

static bool has_pending(const struct arena *a)
{
	for (uint32_t w = 0; w < PRELOAD_RINGS / 64; w++)
		if (atomic_load(&a->memory->pending[w]) != 0)
			return true;
	return false;
}

bool rings_may_sleep(struct service *v)
{
	while (v->hot != NULL) {
		struct arena *a = v->hot;

		atomic_store(&a->memory->is_asleep, 1);
		if (has_pending(a)) {
			atomic_store(&a->memory->is_asleep, 0);
			return false;
		}
		v->hot = a->next_hot;
		a->is_hot = false;
	}
	return true;
}

void rings_move(struct service *v)
{
	/* An arena cannot become hot, or leave, in between: that is for the channels. */
	for (struct arena *a = v->hot; a != NULL; a = a->next_hot)
		for (uint32_t w = 0; w < PRELOAD_RINGS / 64; w++) {
			uint64_t set = atomic_load_explicit(&a->memory->pending[w], memory_order_relaxed);

			if (set != 0)
				set = atomic_exchange(&a->memory->pending[w], 0);
			for (; set != 0; set &= set - 1) {
				uint32_t i = a->ends[w * 64 + (uint32_t)__builtin_ctzll(set)];

				if (i == SERVICE_NONE)
					continue;
				v->ends[i].ring_readable = true;
				end_move(v, &v->ends[i]);
			}
		}
}
