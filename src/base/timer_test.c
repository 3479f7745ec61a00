/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The timer wheel: single cases, and long random runs beside a reference that
 * keeps every timer's tick in a plain array.
 */
#include "base/timer.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"

#define TICK_NS UINT64_C(1000)
#define HORIZON_TICKS (UINT64_C(1) << 30)

/* A node in the middle of its object, as owners have it. */
struct object {
	uint32_t before;
	struct timer_node timer;
	uint32_t behind;
};

#define N_OBJECTS 512

struct fixture {
	struct timer_wheel w;
	struct object objects[N_OBJECTS];
	/* what fired in this call */
	uint32_t n_fired;
	uint32_t fired[N_OBJECTS];
	uint64_t now;
};

static void fixture_init(struct fixture *b, uint64_t now)
{
	memset(b, 0, sizeof(*b));
	timer_wheel_init(&b->w, &b->objects[0].timer, sizeof(struct object), TICK_NS, now);
	for (uint32_t i = 0; i < N_OBJECTS; i++)
		timer_node_init(&b->objects[i].timer);
	b->now = now;
}

static void note(void *ctx, uint32_t index, uint64_t now)
{
	struct fixture *b = ctx;
	assert_true(now == b->now);
	assert_false(timer_armed(&b->objects[index].timer));
	assert_true(b->n_fired < N_OBJECTS);
	b->fired[b->n_fired++] = index;
}

static uint32_t advance(struct fixture *b, uint64_t now, uint32_t budget)
{
	b->n_fired = 0;
	b->now = now;
	uint32_t n = timer_advance(&b->w, now, budget, note, b);
	assert_int_equal(n, b->n_fired);
	return n;
}

/* Catches a timer that is early, or more than a tick late, at each level's edge,
 * from a start that is aligned and from one that is not. */
static void fires_at_its_tick(void **state)
{
	static const uint64_t starts[] = {
		0, 1, 63, 64, 4095, 123456789, (UINT64_C(1) << 32) - 2, (UINT64_C(7) << 40) + 5
	};
	static const uint64_t distances[] = {
		1,
		2,
		63,
		64,
		65,
		4095,
		4096,
		4097,
		262143,
		262144,
		262145,
		16777215,
		16777216,
		16777217,
		HORIZON_TICKS - 1,
		HORIZON_TICKS,
		HORIZON_TICKS + 1,
		2 * HORIZON_TICKS - 1,
	};
	static struct fixture b;
	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		for (size_t d = 0; d < ARRAY_LEN(distances); d++) {
			fixture_init(&b, starts[s] * TICK_NS);
			uint64_t when = (starts[s] + distances[d]) * TICK_NS;
			timer_arm(&b.w, 3, when);
			assert_true(timer_due(&b.w, &b.objects[3].timer) == when);
			assert_int_equal(advance(&b, when - 1, 0), 0);
			assert_true(timer_due(&b.w, &b.objects[3].timer) == when);
			assert_true(timer_next(&b.w) <= when);
			assert_int_equal(advance(&b, when, 0), 1);
			assert_int_equal(b.fired[0], 3);
			assert_true(timer_next(&b.w) == TIME_NEVER);
		}
	}
}

/* Catches a time that is rounded down: it would fire early by part of a tick. */
static void rounds_up(void **state)
{
	static struct fixture b;
	fixture_init(&b, 10 * TICK_NS + 1);
	timer_arm(&b.w, 0, 12 * TICK_NS + 1);
	assert_true(timer_due(&b.w, &b.objects[0].timer) == 13 * TICK_NS);
	assert_int_equal(advance(&b, 12 * TICK_NS + 1, 0), 0);
	assert_int_equal(advance(&b, 13 * TICK_NS - 1, 0), 0);
	assert_int_equal(advance(&b, 13 * TICK_NS, 0), 1);
}

/* Catches a time in the past that is lost, or waits for a turn of the wheel. */
static void past_fires_at_the_next_tick(void **state)
{
	static struct fixture b;
	fixture_init(&b, 1000 * TICK_NS);
	timer_arm(&b.w, 0, 0);
	timer_arm(&b.w, 1, 1000 * TICK_NS);
	assert_true(timer_next(&b.w) == 1001 * TICK_NS);
	assert_int_equal(advance(&b, 1000 * TICK_NS, 0), 0);
	assert_int_equal(advance(&b, 1001 * TICK_NS, 0), 2);
}

/* Catches a re-arm that leaves the old place linked, a count that drifts, and
 * TIME_NEVER taken for a time. */
static void rearm_disarm_and_never(void **state)
{
	static struct fixture b;
	fixture_init(&b, 0);
	timer_arm(&b.w, 5, 10 * TICK_NS);
	timer_arm(&b.w, 5, 5000 * TICK_NS);
	assert_int_equal(b.w.n_armed, 1);
	assert_int_equal(advance(&b, 100 * TICK_NS, 0), 0);
	timer_arm(&b.w, 5, 101 * TICK_NS);
	assert_int_equal(advance(&b, 101 * TICK_NS, 0), 1);
	timer_arm(&b.w, 5, 200 * TICK_NS);
	timer_arm(&b.w, 5, TIME_NEVER);
	assert_false(timer_armed(&b.objects[5].timer));
	timer_disarm(&b.w, 5);
	assert_int_equal(b.w.n_armed, 0);
	assert_true(timer_next(&b.w) == TIME_NEVER);
	assert_int_equal(advance(&b, 10000 * TICK_NS, 0), 0);
}

/* Catches a time past what 32 bits can tell, which must not wrap to an early one. */
static void very_far_is_not_early(void **state)
{
	static struct fixture b;
	fixture_init(&b, 77 * TICK_NS);
	timer_arm(&b.w, 0, TIME_NEVER - 1);
	timer_arm(&b.w, 1, (77 + (UINT64_C(1) << 40)) * TICK_NS);
	assert_int_equal(advance(&b, (77 + (UINT64_C(1) << 31)) * TICK_NS, 0), 0);
	assert_int_equal(b.w.n_armed, 2);
}

/* Catches a clock that goes back and takes the wheel with it. */
static void backward_clock_changes_nothing(void **state)
{
	static struct fixture b;
	fixture_init(&b, 0);
	timer_arm(&b.w, 0, 90 * TICK_NS);
	assert_int_equal(advance(&b, 80 * TICK_NS, 0), 0);
	assert_int_equal(advance(&b, 10 * TICK_NS, 0), 0);
	timer_arm(&b.w, 1, 20 * TICK_NS);
	assert_int_equal(advance(&b, 81 * TICK_NS, 0), 1);
	assert_int_equal(advance(&b, 90 * TICK_NS, 0), 1);
}

/* Catches a walk tick by tick over an idle gap: 2^60 of them would never end. */
static void idle_gap_is_one_step(void **state)
{
	static struct fixture b;
	fixture_init(&b, 0);
	b.w.tick_ns = 1;
	timer_arm(&b.w, 0, 3);
	assert_int_equal(advance(&b, UINT64_C(1) << 60, 0), 1);
	timer_arm(&b.w, 1, (UINT64_C(1) << 60) + 2);
	assert_int_equal(advance(&b, (UINT64_C(1) << 60) + 2, 0), 1);
}

/* Catches timers lost, fired twice or fired out of order when a budget runs out
 * in a slot, and while a slot's list is being moved. */
static void budget_loses_nothing(void **state)
{
	static struct fixture b;
	fixture_init(&b, 0);
	for (uint32_t i = 0; i < N_OBJECTS; i++)
		timer_arm(&b.w, i, (5000 + i / 100) * TICK_NS);
	uint32_t n = 0;
	bool seen[N_OBJECTS] = { false };
	uint32_t last = 0;
	for (int calls = 0; n < N_OBJECTS; calls++) {
		assert_true(calls < N_OBJECTS);
		assert_true(timer_next(&b.w) <= 6000 * TICK_NS);
		uint32_t n_now = advance(&b, 6000 * TICK_NS, 3);
		assert_true(n_now <= 3);
		for (uint32_t i = 0; i < n_now; i++) {
			assert_false(seen[b.fired[i]]);
			seen[b.fired[i]] = true;
			assert_true(b.fired[i] / 100 >= last);
			last = b.fired[i] / 100;
		}
		n += n_now;
	}
	assert_int_equal(b.w.n_armed, 0);
	assert_true(timer_next(&b.w) == TIME_NEVER);
}

static void rearm_at_once(void *ctx, uint32_t index, uint64_t now)
{
	struct fixture *b = ctx;
	b->n_fired++;
	timer_arm(&b->w, index, now);
}

/* Catches a call that never ends when a timer arms itself for now. */
static void self_rearming_ends(void **state)
{
	static struct fixture b;
	fixture_init(&b, 0);
	timer_arm(&b.w, 0, 5 * TICK_NS);
	for (uint64_t t = 10; t < 20; t++)
		assert_int_equal(timer_advance(&b.w, t * TICK_NS, 0, rearm_at_once, &b), 1);
}

static void disarm_the_rest(void *ctx, uint32_t index, uint64_t now)
{
	struct fixture *b = ctx;
	b->n_fired++;
	for (uint32_t i = 0; i < 10; i++)
		timer_disarm(&b->w, i);
}

/* Catches a callback's disarm that comes too late for its neighbours in the slot. */
static void disarm_in_the_same_slot(void **state)
{
	static struct fixture b;
	fixture_init(&b, 0);
	for (uint32_t i = 0; i < 10; i++)
		timer_arm(&b.w, i, 500 * TICK_NS);
	assert_int_equal(timer_advance(&b.w, 600 * TICK_NS, 0, disarm_the_rest, &b), 1);
	assert_int_equal(b.w.n_armed, 0);
}

/* Of one slot the last that came goes first, over all its chains, also after the slot was moved. Catches chains that
 * are emptied in another order than they are filled, so that what ends together would end in an order of its own. */
static void last_of_a_slot_goes_first(void **state)
{
	enum { N = 5 * TIMER_CHAINS + 3 };
	static const uint64_t ticks[] = { 40, 500 };
	for (size_t k = 0; k < 2; k++) {
		static struct fixture b;
		fixture_init(&b, 0);
		for (uint32_t i = 0; i < N; i++)
			timer_arm(&b.w, i, ticks[k] * TICK_NS);
		assert_int_equal(advance(&b, ticks[k] * TICK_NS, N / 2), N / 2);
		for (uint32_t i = 0; i < N / 2; i++)
			assert_int_equal(b.fired[i], ticks[k] == 40 ? N - 1 - i : i);
		assert_int_equal(advance(&b, ticks[k] * TICK_NS, 0), N - N / 2);
		for (uint32_t i = N / 2; i < N; i++)
			assert_int_equal(b.fired[i - N / 2], ticks[k] == 40 ? N - 1 - i : i);
	}
}

/* The reference: the tick of each armed timer, and nothing clever. */
struct reference {
	struct fixture b;
	struct rng rng;
	bool armed[N_OBJECTS];
	uint64_t tick[N_OBJECTS];
	uint64_t now_tick;
	uint64_t n_operations;
	uint64_t n_fired;
	unsigned max_distance_bits;
};

static void reference_arm(struct reference *r)
{
	uint32_t i = rng_below(&r->rng, N_OBJECTS);
	/* All distances alike on a logarithmic scale, the past among them. */
	uint64_t distance = rng_u64(&r->rng) >> (64 - 1 - rng_below(&r->rng, r->max_distance_bits));
	uint64_t when = r->b.now + distance;
	if (rng_below(&r->rng, 16) == 0)
		when = r->b.now - min_u64(r->b.now, distance);
	timer_arm(&r->b.w, i, when);
	r->armed[i] = true;
	r->tick[i] = max_u64((when + TICK_NS - 1) / TICK_NS, r->now_tick + 1);
	r->n_operations++;
}

static void reference_disarm(struct reference *r)
{
	uint32_t i = rng_below(&r->rng, N_OBJECTS);
	timer_disarm(&r->b.w, i);
	r->armed[i] = false;
	r->n_operations++;
}

/* The first tick of an armed timer; UINT64_MAX if there is none. */
static uint64_t reference_first(const struct reference *r)
{
	uint64_t first = UINT64_MAX;
	for (uint32_t i = 0; i < N_OBJECTS; i++)
		if (r->armed[i])
			first = min_u64(first, r->tick[i]);
	return first;
}

static void reference_fire(void *ctx, uint32_t index, uint64_t now)
{
	struct reference *r = ctx;
	assert_true(r->armed[index]);
	assert_true(r->tick[index] <= r->now_tick);
	assert_true(r->tick[index] == reference_first(r));
	r->armed[index] = false;
	r->n_fired++;
	if (rng_below(&r->rng, 4) == 0)
		reference_arm(r);
	if (rng_below(&r->rng, 8) == 0)
		reference_disarm(r);
}

static void reference_check(const struct reference *r)
{
	uint32_t n_armed = 0;
	for (uint32_t i = 0; i < N_OBJECTS; i++) {
		assert_int_equal(timer_armed(&r->b.objects[i].timer), r->armed[i]);
		n_armed += r->armed[i];
	}
	assert_int_equal(r->b.w.n_armed, n_armed);
	uint64_t first = reference_first(r), next = timer_next(&r->b.w);
	if (first == UINT64_MAX)
		assert_true(next == TIME_NEVER);
	else
		assert_true(next <= first * TICK_NS);
}

static bool is_moving(const struct timer_wheel *w)
{
	bool any = false;
	for (uint32_t k = 0; k < TIMER_CHAINS; k++)
		any |= w->slot[TIMER_LEVELS * TIMER_SLOTS].first[k] != UINT32_MAX;
	return any;
}

static void reference_advance(struct reference *r)
{
	uint64_t next = timer_next(&r->b.w);
	uint32_t how = rng_below(&r->rng, 8);
	if (how < 3 && next != TIME_NEVER)
		r->b.now = max_u64(r->b.now, next);
	else
		r->b.now += rng_u64(&r->rng) >> (64 - 1 - rng_below(&r->rng, r->max_distance_bits - 2));
	r->now_tick = r->b.now / TICK_NS;
	uint32_t budget = rng_below(&r->rng, 2) == 0 ? 0 : 1 + rng_below(&r->rng, 8);
	uint32_t n = timer_advance(&r->b.w, r->b.now, budget, reference_fire, r);
	r->n_operations++;
	bool due = reference_first(r) <= r->now_tick;
	if (budget == 0)
		assert_false(due);
	else
		assert_true(n <= budget);
	if (due)
		assert_true(timer_next(&r->b.w) <= r->b.now);
	else if (n < budget && !is_moving(&r->b.w))
		assert_true(timer_next(&r->b.w) > r->b.now);
	reference_check(r);
}

static void random_run(uint8_t seed_byte, uint64_t start_ns, unsigned max_distance_bits, uint64_t n_operations)
{
	static struct reference r;
	uint8_t seed[RNG_SEED_BYTES] = { seed_byte };
	memset(&r, 0, sizeof(r));
	fixture_init(&r.b, start_ns);
	rng_init(&r.rng, seed);
	r.now_tick = start_ns / TICK_NS;
	r.max_distance_bits = max_distance_bits;
	while (r.n_operations < n_operations) {
		uint32_t what = rng_below(&r.rng, 16);
		if (what < 9)
			reference_arm(&r);
		else if (what < 12)
			reference_disarm(&r);
		else
			reference_advance(&r);
	}
	assert_true(r.n_fired > n_operations / 20);
	/* The wheel empties to the last timer. */
	while (reference_first(&r) != UINT64_MAX)
		reference_advance(&r);
}

/* Catches whatever the single cases do not: every level, parked timers,
 * callbacks that arm and disarm, budgets, gaps. 2^9 ticks is all within two
 * levels; 2^31 ticks parks timers past the horizon. */
static void random_near(void **state)
{
	random_run(1, 0, 19, 100000);
}

static void random_all_levels(void **state)
{
	random_run(2, 999999999, 36, 100000);
}

static void random_past_the_horizon(void **state)
{
	random_run(3, (UINT64_C(1) << 42) - 12345, 41, 100000);
}

static void count(void *ctx, uint32_t index, uint64_t now)
{
	uint8_t *n_times = ctx;
	n_times[index]++;
}

/* A slot with more timers than one call may move. Catches a long stall, and
 * timers lost or misplaced when arm and disarm come in between. */
static void crowded_slot_is_moved_in_parts(void **state)
{
	enum { N = 5000 };
	static struct timer_node nodes[N];
	static uint8_t n_times[N];
	struct timer_wheel w;
	memset(n_times, 0, sizeof(n_times));
	timer_wheel_init(&w, nodes, sizeof(nodes[0]), 1, 0);
	for (uint32_t i = 0; i < N; i++) {
		timer_node_init(&nodes[i]);
		timer_arm(&w, i, i < N / 2 ? 4096 + i % 32 : 4096 + 63);
	}
	/* The slot comes up at 4096: a call with a budget of 1 moves 272, the last
	 * ones first. So the first timers are among those still to be moved. */
	assert_int_equal(timer_advance(&w, 4096, 1, NULL, NULL), 0);
	const struct timer_slot *moving = &w.slot[TIMER_LEVELS * TIMER_SLOTS];
	uint32_t n_moving = 0;
	for (uint32_t k = 0; k < TIMER_CHAINS; k++)
		for (uint32_t i = moving->first[k]; i != UINT32_MAX; i = nodes[i].next)
			n_moving++;
	assert_int_equal(n_moving, N - 272);
	assert_true(timer_next(&w) <= 4096);
	assert_int_equal(w.n_armed, N);
	/* One that is still moving, and its chain's head. */
	uint32_t head = moving->first[0], second = nodes[head].next;
	timer_disarm(&w, second);
	timer_disarm(&w, head);
	timer_arm(&w, head, 4100);
	timer_arm(&w, second, 300000);
	assert_int_equal(w.n_armed, N);
	uint32_t n = 0;
	for (int calls = 0; calls < 10000 && n < N - 1; calls++)
		n += timer_advance(&w, 5000, 1000, count, n_times);
	assert_int_equal(n, N - 1);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(n_times[i], i == second ? 0 : 1);
	assert_int_equal(timer_advance(&w, 300000, 1, count, n_times), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_at_its_tick),
		cmocka_unit_test(rounds_up),
		cmocka_unit_test(past_fires_at_the_next_tick),
		cmocka_unit_test(rearm_disarm_and_never),
		cmocka_unit_test(very_far_is_not_early),
		cmocka_unit_test(backward_clock_changes_nothing),
		cmocka_unit_test(idle_gap_is_one_step),
		cmocka_unit_test(budget_loses_nothing),
		cmocka_unit_test(self_rearming_ends),
		cmocka_unit_test(disarm_in_the_same_slot),
		cmocka_unit_test(last_of_a_slot_goes_first),
		cmocka_unit_test(random_near),
		cmocka_unit_test(random_all_levels),
		cmocka_unit_test(random_past_the_horizon),
		cmocka_unit_test(crowded_slot_is_moved_in_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
