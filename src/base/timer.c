/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The timer wheel.
 *
 * Time is cut into ticks. Read a tick as digits of 6 bits: a timer stands on the
 * level of the highest digit in which its tick differs from base_tick, in the
 * slot that this digit names. So on level 0 a slot is one tick; on level n it is
 * 64^n ticks, and all its timers lie ahead of base_tick but not in its own slot.
 * The last level takes everything else as well: a slot there holds every tick
 * with this digit, whatever stands above it.
 *
 * Life of a timer: timer_arm places it; when base_tick comes to the beginning of
 * its slot, the slot's chains become the moving ones and each of their timers is placed
 * again, further down (or, in the last level, where it was, for another turn);
 * on level 0 it fires. The lowest level that is occupied has the next slot to
 * come up, and a bitmap names it: an idle gap of any length is one step.
 *
 * A slot's timers are dealt out to some chains in turn, and taken from them in the
 * opposite order: the last that came goes first, unless some were disarmed. One chain
 * of nodes that are in no cache would cost a wait for memory at each; of several, the
 * next node of each is fetched while those before it are worked on.
 *
 * What always holds:
 *  - base_tick <= now_tick < the tick of a timer newly armed; so the slot that is
 *    firing never grows, and a timer that arms itself from its own callback
 *    cannot keep timer_advance busy for ever.
 *  - base_tick <= the tick of every armed timer < base_tick + 2^32; so 32 bits of
 *    it are enough.
 *  - while something is moving, base_tick stands still.
 *  - an occupied bit is set exactly when one of its slot's chains is not empty.
 *
 * A chain's first node has in `prev` the number of the chain with the high bit set.
 */
#include "base/timer.h"

#include <assert.h>
#include <string.h>

#include "base/util.h"

#define NIL UINT32_MAX
#define CHAIN_BIT 0x80000000u
#define UNARMED UINT32_MAX

#define DIGIT_BITS 6
#define TOP_LEVEL (TIMER_LEVELS - 1)
#define MOVING_SLOT (TIMER_LEVELS * TIMER_SLOTS)

/* What a budget of fired timers allows to be moved. */
#define MOVES_PER_FIRE 16
#define MOVES_AT_LEAST 256

_Static_assert(TIMER_SLOTS == 1 << DIGIT_BITS, "a slot is named by one digit");
_Static_assert(TIMER_SLOTS == 64, "occupied has a bit a slot");
_Static_assert(sizeof(struct timer_node) == 12, "as timer.h says");

static struct timer_node *node_at(const struct timer_wheel *w, uint32_t index)
{
	return (struct timer_node *)(void *)(w->nodes + (size_t)index * w->stride);
}

static uint32_t digit(uint64_t tick, unsigned level)
{
	return (uint32_t)(tick >> (level * DIGIT_BITS)) & (TIMER_SLOTS - 1);
}

/* The tick of an armed node: the only one with these low 32 bits in reach. */
static uint64_t node_tick(const struct timer_wheel *w, const struct timer_node *n)
{
	return w->base_tick + (uint32_t)(n->tick - (uint32_t)w->base_tick);
}

/* Which chain of all. */
static uint32_t chain_number(uint32_t slot, uint32_t k)
{
	return slot * TIMER_CHAINS + k;
}

static bool is_empty(const struct timer_slot *s)
{
	uint32_t all = NIL;

	for (uint32_t k = 0; k < TIMER_CHAINS; k++)
		all &= s->first[k];
	return all == NIL;
}

static void place(struct timer_wheel *w, uint32_t index, uint64_t tick)
{
	uint64_t differs = tick ^ w->base_tick;
	unsigned level = differs == 0 ? 0 : (63 - (unsigned)__builtin_clzll(differs)) / DIGIT_BITS;
	if (level > TOP_LEVEL)
		level = TOP_LEVEL;
	uint32_t d = digit(tick, level), slot = level * TIMER_SLOTS + d;
	struct timer_slot *s = &w->slot[slot];
	uint32_t k = s->turn++ % TIMER_CHAINS, *first = &s->first[k];
	struct timer_node *n = node_at(w, index);
	n->tick = (uint32_t)tick;
	n->prev = CHAIN_BIT | chain_number(slot, k);
	n->next = *first;
	if (*first != NIL)
		node_at(w, *first)->prev = index;
	*first = index;
	w->occupied[level] |= UINT64_C(1) << d;
}

static void unlink_node(struct timer_wheel *w, struct timer_node *n)
{
	if (n->next != NIL)
		node_at(w, n->next)->prev = n->prev;
	if (n->prev & CHAIN_BIT) {
		uint32_t chain = n->prev & ~CHAIN_BIT, slot = chain / TIMER_CHAINS;
		w->slot[slot].first[chain % TIMER_CHAINS] = n->next;
		if (n->next == NIL && slot != MOVING_SLOT && is_empty(&w->slot[slot]))
			w->occupied[slot / TIMER_SLOTS] &= ~(UINT64_C(1) << slot % TIMER_SLOTS);
	} else {
		node_at(w, n->prev)->next = n->next;
	}
	n->prev = UNARMED;
}

/* What stands behind the first of each chain, which was fetched in the same way. */
static void fetch_seconds(const struct timer_wheel *w, const struct timer_slot *s)
{
	for (uint32_t k = 0; k < TIMER_CHAINS; k++) {
		uint32_t second = s->first[k] == NIL ? NIL : node_at(w, s->first[k])->next;

		if (second != NIL)
			prefetch_write(node_at(w, second));
	}
}

/* The timer of the slot that goes next; there is one. It stays where it is. */
static uint32_t next_of(const struct timer_wheel *w, struct timer_slot *s)
{
	uint32_t k;

	do {
		k = --s->turn % TIMER_CHAINS;
		if (k == 0)
			fetch_seconds(w, s);
	} while (s->first[k] == NIL);
	return s->first[k];
}

void timer_wheel_init(struct timer_wheel *w, void *first_node, size_t stride, uint64_t tick_ns, uint64_t now)
{
	assert(tick_ns > 0);
	memset(w, 0, sizeof(*w));
	w->nodes = first_node;
	w->stride = stride;
	w->tick_ns = tick_ns;
	w->now_tick = now / tick_ns;
	w->base_tick = w->now_tick;
	for (uint32_t slot = 0; slot <= MOVING_SLOT; slot++)
		for (uint32_t k = 0; k < TIMER_CHAINS; k++)
			w->slot[slot].first[k] = NIL;
}

void timer_node_init(struct timer_node *n)
{
	*n = (struct timer_node){ .next = NIL, .prev = UNARMED };
}

bool timer_armed(const struct timer_node *n)
{
	return n->prev != UNARMED;
}

void timer_disarm(struct timer_wheel *w, uint32_t index)
{
	struct timer_node *n = node_at(w, index);
	if (!timer_armed(n))
		return;
	unlink_node(w, n);
	w->n_armed--;
}

void timer_arm(struct timer_wheel *w, uint32_t index, uint64_t when)
{
	assert(index < CHAIN_BIT);
	timer_disarm(w, index);
	if (when == TIME_NEVER)
		return;
	/* Rounded up: never before its time. */
	uint64_t tick = when / w->tick_ns + (when % w->tick_ns != 0);
	tick = max_u64(tick, w->now_tick + 1);
	tick = min_u64(tick, w->base_tick + UINT32_MAX);
	place(w, index, tick);
	w->n_armed++;
}

/* The slot that comes up next. */
struct upcoming {
	uint64_t tick; /* its first */
	unsigned level;
	uint32_t d;
};

static bool find_upcoming(const struct timer_wheel *w, struct upcoming *u)
{
	for (unsigned level = 0; level < TOP_LEVEL; level++) {
		if (w->occupied[level] == 0)
			continue;
		/* All lie ahead, so the lowest bit is the first. */
		uint64_t turn = UINT64_C(1) << ((level + 1) * DIGIT_BITS);
		u->level = level;
		u->d = (uint32_t)__builtin_ctzll(w->occupied[level]);
		u->tick = (w->base_tick & ~(turn - 1)) | (uint64_t)u->d << (level * DIGIT_BITS);
		return true;
	}
	uint64_t top = w->occupied[TOP_LEVEL];
	if (top == 0)
		return false;
	/* The last level goes round: from the slot behind the present one on to
	 * the present one, which comes up a whole turn later. */
	uint32_t first = (digit(w->base_tick, TOP_LEVEL) + 1) % TIMER_SLOTS;
	uint64_t turned = first == 0 ? top : top >> first | top << (TIMER_SLOTS - first);
	uint32_t n_ahead = (uint32_t)__builtin_ctzll(turned) + 1;
	u->level = TOP_LEVEL;
	u->d = (first + n_ahead - 1) % TIMER_SLOTS;
	u->tick = ((w->base_tick >> (TOP_LEVEL * DIGIT_BITS)) + n_ahead) << (TOP_LEVEL * DIGIT_BITS);
	return true;
}

/* Makes the slot's chains the moving ones. */
static void start_moving(struct timer_wheel *w, const struct upcoming *u)
{
	struct timer_slot *from = &w->slot[u->level * TIMER_SLOTS + u->d], *moving = &w->slot[MOVING_SLOT];

	*moving = *from;
	for (uint32_t k = 0; k < TIMER_CHAINS; k++) {
		from->first[k] = NIL;
		if (moving->first[k] != NIL)
			node_at(w, moving->first[k])->prev = CHAIN_BIT | chain_number(MOVING_SLOT, k);
	}
	w->occupied[u->level] &= ~(UINT64_C(1) << u->d);
}

/* Places the moving timers again. False when max_moves did not suffice. */
static bool move_on(struct timer_wheel *w, uint64_t *max_moves)
{
	struct timer_slot *moving = &w->slot[MOVING_SLOT];

	while (!is_empty(moving)) {
		if (*max_moves == 0)
			return false;
		--*max_moves;
		uint32_t index = next_of(w, moving);
		struct timer_node *n = node_at(w, index);
		unlink_node(w, n);
		place(w, index, node_tick(w, n));
	}
	return true;
}

uint32_t timer_advance(struct timer_wheel *w, uint64_t now, uint32_t budget, timer_fn *fn, void *ctx)
{
	uint64_t max_moves = budget == 0 ? UINT64_MAX : (uint64_t)budget * MOVES_PER_FIRE + MOVES_AT_LEAST;
	uint32_t n_fired = 0;
	w->now_tick = max_u64(w->now_tick, now / w->tick_ns);
	for (;;) {
		if (!move_on(w, &max_moves))
			return n_fired;
		struct upcoming u;
		if (!find_upcoming(w, &u) || u.tick > w->now_tick)
			break;
		w->base_tick = u.tick;
		if (u.level > 0) {
			start_moving(w, &u);
			continue;
		}
		/* fn may disarm any of the slot's timers: look at its chains again. */
		while (w->occupied[0] & UINT64_C(1) << u.d) {
			if (budget != 0 && n_fired == budget)
				return n_fired;
			uint32_t index = next_of(w, &w->slot[u.d]);
			timer_disarm(w, index);
			n_fired++;
			fn(ctx, index, now);
		}
	}
	w->base_tick = w->now_tick;
	return n_fired;
}

uint64_t timer_due(const struct timer_wheel *w, const struct timer_node *n)
{
	/* Of the 2^32 ticks from base_tick on it is the one that ends in these bits. */
	return (w->base_tick + (uint32_t)(n->tick - (uint32_t)w->base_tick)) * w->tick_ns;
}

uint64_t timer_next(const struct timer_wheel *w)
{
	struct upcoming u = { .tick = w->base_tick };
	if (is_empty(&w->slot[MOVING_SLOT]) && !find_upcoming(w, &u))
		return TIME_NEVER;
	uint64_t when;
	if (__builtin_mul_overflow(u.tick, w->tick_ns, &when))
		return TIME_NEVER - 1;
	return when;
}
