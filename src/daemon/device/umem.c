/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The frames of AF_XDP, and who has each of them.
 *
 * A frame is free (on the stack), ours (a packet lies in it), or the kernel's
 * (in a ring of one queue, or on its way to the wire). Each queue registers the
 * whole area with the kernel for itself. Thus a device can be closed, deleted or
 * made again without the others noticing, and what its queue had is known by its
 * number: no frame is ever lost, whatever the kernel had done with it last.
 *
 * The stack gives out the frame that came back last, whose bytes are likely to
 * be in the cache still.
 *
 * Two threads: the worker receives and sends, while the control thread may open or
 * close another device of the same area. So stack and queues are behind a lock,
 * which is free but for such moments. A frame's owner is written by whoever has it.
 *
 * Always: n_free frames have owner FREE, and they are exactly stack[0 .. n_free).
 */
#include "daemon/device/umem.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OWNER_FREE 0
#define OWNER_US UINT16_MAX

/* Looked at by umem_queue_remove, too. */
#define OWNER(u, frame) __atomic_load_n(&(u)->owner[frame], __ATOMIC_RELAXED)
#define SET_OWNER(u, frame, who) __atomic_store_n(&(u)->owner[frame], (who), __ATOMIC_RELAXED)

struct umem {
	uint8_t *area;
	uint32_t lock; /* of n_free, stack, is_queue */
	uint32_t n_frames, n_free;
	uint32_t *stack;
	uint16_t *owner; /* OWNER_*, or the queue */
	bool is_queue[UMEM_QUEUES_MAX];
};

static void lock(struct umem *u)
{
	while (__atomic_exchange_n(&u->lock, 1, __ATOMIC_ACQUIRE) != 0)
		sched_yield();
}

static void unlock(struct umem *u)
{
	__atomic_store_n(&u->lock, 0, __ATOMIC_RELEASE);
}

int umem_create(uint32_t n_frames, struct umem **out, char *err, size_t err_len)
{
	struct umem *u = calloc(1, sizeof(*u));

	if (!u)
		goto no_memory;
	u->n_frames = n_frames ? n_frames : UMEM_FRAMES;
	u->stack = calloc(u->n_frames, sizeof(u->stack[0]));
	u->owner = calloc(u->n_frames, sizeof(u->owner[0]));
	u->area = mmap(NULL, umem_bytes(u), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (u->area == MAP_FAILED)
		u->area = NULL;
	if (!u->stack || !u->owner || !u->area)
		goto no_memory;
	/* The first frames lie on top. */
	while (u->n_free < u->n_frames) {
		u->stack[u->n_free] = u->n_frames - 1 - u->n_free;
		u->n_free++;
	}
	*out = u;
	return 0;
no_memory:
	snprintf(err, err_len, "no memory for the frames of AF_XDP (%u KB)",
		 (n_frames ? n_frames : UMEM_FRAMES) * (UMEM_FRAME_BYTES / 1024));
	if (u)
		umem_destroy(u);
	return -ENOMEM;
}

void umem_destroy(struct umem *u)
{
	if (!u)
		return;
	if (u->area)
		munmap(u->area, umem_bytes(u));
	free(u->owner);
	free(u->stack);
	free(u);
}

uint8_t *umem_area(const struct umem *u)
{
	return u->area;
}

uint64_t umem_bytes(const struct umem *u)
{
	return (uint64_t)u->n_frames * UMEM_FRAME_BYTES;
}

uint32_t umem_n_free(struct umem *u)
{
	lock(u);
	uint32_t n = u->n_free;
	unlock(u);
	return n;
}

uint16_t umem_queue_add(struct umem *u)
{
	uint16_t number = 0;

	lock(u);
	for (uint16_t i = 1; i < UMEM_QUEUES_MAX && number == 0; i++)
		if (!u->is_queue[i]) {
			u->is_queue[i] = true;
			number = i;
		}
	unlock(u);
	return number;
}

/* Under the lock. */
static void push(struct umem *u, uint32_t frame)
{
	SET_OWNER(u, frame, OWNER_FREE);
	u->stack[u->n_free++] = frame;
}

static void put(struct umem *u, uint32_t frame)
{
	lock(u);
	push(u, frame);
	unlock(u);
}

void umem_queue_remove(struct umem *u, uint16_t queue)
{
	lock(u);
	for (uint32_t i = 0; i < u->n_frames; i++)
		if (OWNER(u, i) == queue)
			push(u, i);
	u->is_queue[queue] = false;
	unlock(u);
}

uint32_t umem_give(struct umem *u, uint16_t queue, uint32_t n, uint32_t *frame)
{
	lock(u);
	n = n < u->n_free ? n : u->n_free;
	u->n_free -= n;
	for (uint32_t i = 0; i < n; i++)
		frame[i] = u->stack[u->n_free + n - 1 - i];
	unlock(u);
	for (uint32_t i = 0; i < n; i++)
		SET_OWNER(u, frame[i], queue);
	return n;
}

void umem_sent(struct umem *u, uint16_t queue, uint32_t frame)
{
	assert(frame < u->n_frames && OWNER(u, frame) == queue && "the kernel gives back what it has");
	put(u, frame);
}

static void release(void *ctx, uint64_t cookie)
{
	struct umem *u = ctx;

	assert(OWNER(u, cookie) == OWNER_US && "a frame is let go of once");
	put(u, (uint32_t)cookie);
}

struct packet *umem_set_external(struct umem *u, struct packet_pool *pool, uint16_t queue, uint32_t frame, uint32_t off,
				 uint32_t len)
{
	assert(frame < u->n_frames && OWNER(u, frame) == queue && "the kernel fills what it has");
	struct packet *p = packet_set_external(pool, u->area + (size_t)frame * UMEM_FRAME_BYTES, UMEM_FRAME_BYTES, off,
					       len, release, u, frame);
	if (p)
		SET_OWNER(u, frame, OWNER_US);
	else
		put(u, frame);
	return p;
}

uint64_t umem_take_over(struct umem *u, uint16_t queue, struct packet *p)
{
	if (p->buf_index != POOL_NONE || p->release != release || p->release_ctx != u)
		return UINT64_MAX;
	SET_OWNER(u, p->release_cookie, queue);
	p->release = NULL;
	return (uint64_t)(packet_frame(p) - u->area);
}
