/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hierarchical timer wheel over objects of one pool (Varghese and Lauck,
 * SOSP 1987, scheme 7). Nodes are linked by index, 12 bytes each; the owner
 * says where the node of object i stands. Timers of one slot stand in several
 * chains, whose nodes are fetched from memory at once. Arm, disarm and expiry cost the same
 * with one timer and with ten million. A timer fires on the first advance at or
 * after its time, never before, and at most one tick late.
 *
 * A time up to 2^31 ticks away is kept exactly. One that is further away may
 * fire when 2^31 ticks or more have passed: an owner with such times looks at
 * its own clock in the callback and arms again.
 */
#ifndef YG_BASE_TIMER_H
#define YG_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_LEVELS 5
#define TIMER_SLOTS 64
#define TIMER_CHAINS 8

struct timer_node {
	uint32_t next;
	uint32_t prev; /* index, or the chain's number with the high bit set */
	uint32_t tick; /* when, in ticks; meaningless while not armed */
};

/* The first of each chain; the next timer goes to the chain `turn`, the last one went to that before it. */
struct timer_slot {
	uint32_t first[TIMER_CHAINS];
	uint32_t turn;
};

typedef void timer_fn(void *ctx, uint32_t index, uint64_t now);

struct timer_wheel {
	uint8_t *nodes; /* node of object 0 */
	size_t stride;  /* bytes from one object's node to the next */
	uint64_t tick_ns;
	uint64_t now_tick;  /* of the last advance; nothing is armed for it or before */
	uint64_t base_tick; /* every timer before it has fired; behind now_tick when a budget ran out */
	uint32_t n_armed;
	uint64_t occupied[TIMER_LEVELS]; /* a bit a slot */
	/* The last one has what is on its way from another to lower levels. */
	struct timer_slot slot[TIMER_LEVELS * TIMER_SLOTS + 1];
};

/* now is the time of the owner's clock at start. Every node must be
 * initialised with timer_node_init before use. */
void timer_wheel_init(struct timer_wheel *w, void *first_node, size_t stride, uint64_t tick_ns, uint64_t now);
void timer_node_init(struct timer_node *n);
bool timer_armed(const struct timer_node *n);

/* Arms object index (below 2^31) for time `when` (ns), moving it if it was
 * armed. A time that has passed fires at the next tick; TIME_NEVER disarms. */
void timer_arm(struct timer_wheel *w, uint32_t index, uint64_t when);
void timer_disarm(struct timer_wheel *w, uint32_t index);
/* When n, which is armed, fires at the earliest: the time it was armed for, rounded up to a tick. */
uint64_t timer_due(const struct timer_wheel *w, const struct timer_node *n);

/* Calls fn for each timer that is due at `now`, disarmed before the call; fn
 * may arm and disarm any timer. Fires at most `budget` timers (0: no limit) and
 * moves at most 16 * budget + 256 from level to level, so that no call is long;
 * returns the number fired. What was left over fires at the next calls:
 * timer_next is then in the past. Timers fire in the order of their ticks. */
uint32_t timer_advance(struct timer_wheel *w, uint64_t now, uint32_t budget, timer_fn *fn, void *ctx);

/* A time at which timer_advance should be called: never later than the first
 * timer's own, TIME_NEVER when none is armed. */
uint64_t timer_next(const struct timer_wheel *w);

#endif
