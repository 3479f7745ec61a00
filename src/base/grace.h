/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A grace: when has every reader let go of what was taken out? Readers follow
 * pointers without a lock; between two batches each says that it holds nothing. The
 * writer takes something out, begins a grace, and when that is over gives the memory
 * back. Nobody waits: whether it is over is asked now and then.
 *
 *   reader: grace_enter; { look things up; grace_pass; } ...; grace_leave; sleep
 *   writer: unlink; grace_begin; ... grace_is_over -> free
 */
#ifndef YG_BASE_GRACE_H
#define YG_BASE_GRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GRACE_READERS_MAX 128u

/* A line each, so that readers write to nobody else's. */
struct grace_reader {
	_Alignas(64) _Atomic(uint64_t) round; /* odd: inside */
	uint64_t since;                       /* the writer's: as it was when the grace began */
};

struct grace {
	_Atomic(uint64_t) n_begun;
	struct grace_reader reader[GRACE_READERS_MAX];
};

/* Readers are outside at first: all zeros. From here on it may hold something. By its own thread. */
static inline void grace_enter(struct grace_reader *r)
{
	/* By an exchange: what it reads afterwards is not read before the writer sees it inside. */
	(void)atomic_fetch_add(&r->round, 1);
}

/* It holds nothing at this moment, and goes on. */
static inline void grace_pass(struct grace_reader *r)
{
	(void)atomic_fetch_add(&r->round, 2);
}

/* It holds nothing, until it enters again. */
static inline void grace_leave(struct grace_reader *r)
{
	(void)atomic_fetch_add(&r->round, 1);
}

/* What was taken out before is waited for. One grace at a time. */
void grace_begin(struct grace *g);
/* Every reader was outside, or has passed, since it began. */
bool grace_is_over(const struct grace *g);

#endif
