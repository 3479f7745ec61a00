/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The FIB read by other threads while it changes. Worth most in a build with
 * ThreadSanitizer (meson setup build-tsan, see the top meson.build).
 *
 * Prefixes of a family lie in each other; those of an odd place come and go,
 * the others stand. So for each probe the answers that it may ever have are
 * known: the longest standing prefix, and those longer ones that come and go. The same is asked
 * by one interface alone (fib_lookup_by), where every other prefix leads.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "stack/ip/fib.h"

#define N_READERS 2
#define N_CHANGES 4000
#define CHANGES_PER_GRACE 16

enum coming { STANDS, COMES };

static const struct {
	struct ip4_prefix p;
	enum coming coming;
} family[] = {
	{ { 0, 0 }, STANDS },
	{ { IP4(10, 0, 0, 0), 8 }, COMES },
	{ { IP4(10, 16, 0, 0), 12 }, STANDS },
	{ { IP4(10, 16, 0, 0), 16 }, COMES },
	{ { IP4(10, 16, 64, 0), 18 }, COMES },
	{ { IP4(10, 16, 64, 0), 20 }, STANDS },
	{ { IP4(10, 16, 64, 0), 24 }, COMES },
	{ { IP4(10, 16, 64, 128), 25 }, COMES },
	{ { IP4(10, 16, 64, 192), 28 }, COMES },
	{ { IP4(10, 16, 64, 200), 32 }, COMES },
	/* Alone in their blocks, which open and close with them. */
	{ { IP4(10, 17, 3, 0), 24 }, COMES },
	{ { IP4(10, 18, 3, 4), 32 }, COMES },
	{ { IP4(172, 16, 0, 0), 13 }, COMES },
	{ { IP4(192, 168, 3, 0), 24 }, COMES },
	{ { IP4(198, 18, 3, 4), 32 }, COMES },
};

static const uint32_t probe[] = {
	IP4(9, 0, 0, 1),    IP4(10, 1, 0, 1),     IP4(10, 16, 0, 1),    IP4(10, 16, 127, 1),    IP4(10, 16, 65, 1),
	IP4(10, 16, 64, 1), IP4(10, 16, 64, 129), IP4(10, 16, 64, 193), IP4(10, 16, 64, 200),   IP4(10, 17, 3, 1),
	IP4(10, 17, 4, 1),  IP4(10, 18, 3, 4),    IP4(10, 18, 3, 5),    IP4(172, 17, 255, 255),
};

struct race {
	struct fib *f;
	atomic_bool stop;
	atomic_uint n_wrong;
	_Atomic uint64_t rounds[N_READERS]; /* each ends at rest */
};

struct reader {
	struct race *race;
	uint32_t number;
};

/* By which interface a prefix leads. The whole world is even. */
static uint32_t interface_of(size_t i)
{
	return 1 + (uint32_t)i % 2;
}

/* A next hop's gateway says whose it is: place in the family, then any number. by: of those that lead there alone. */
static bool may_answer(uint32_t gateway, uint32_t dst, uint32_t by)
{
	uint32_t got = gateway >> 16;
	size_t standing = 0;

	for (size_t i = 0; i < ARRAY_LEN(family); i++) {
		if (ip4_in(dst, family[i].p) && family[i].coming == STANDS &&
		    family[i].p.len >= family[standing].p.len && (by == 0 || interface_of(i) == by))
			standing = i;
	}
	if (by != 0 && got < ARRAY_LEN(family) && interface_of(got) != by)
		return false;
	return got < ARRAY_LEN(family) && ip4_in(dst, family[got].p) && family[got].p.len >= family[standing].p.len;
}

static void *read_on(void *arg)
{
	struct reader *me = arg;
	struct race *r = me->race;
	uint32_t nh[ARRAY_LEN(probe)];

	while (!atomic_load(&r->stop)) {
		fib_lookup_batch(r->f, probe, nh, ARRAY_LEN(probe));
		for (size_t i = 0; i < ARRAY_LEN(probe); i++) {
			uint32_t one = fib_lookup(r->f, probe[i]);

			const struct fib_nexthop *by = fib_lookup_by(r->f, probe[i], 1, 0);

			if (!may_answer(fib_nexthop(r->f, nh[i])->gateway.v4, probe[i], 0) ||
			    !may_answer(fib_nexthop(r->f, one)->gateway.v4, probe[i], 0) || by == NULL ||
			    !may_answer(by->gateway.v4, probe[i], 1))
				atomic_fetch_add(&r->n_wrong, 1);
		}
		/* With fewer processors than threads the writer would wait for a time slice each time. */
		if (atomic_fetch_add(&r->rounds[me->number], 1) % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void put(struct fib *f, size_t i, uint32_t version)
{
	struct fib_nexthop nh = { .kind = FIB_UNICAST,
				  .ifindex = interface_of(i),
				  .gateway = ip_addr_v4((uint32_t)i << 16 | (version & 0xffff)) };
	uint32_t index = fib_nexthop_add(f, &nh);

	assert_int_not_equal(index, 0);
	assert_int_equal(fib_insert(f, family[i].p, index), 0);
}

/* Every reader ends the round that it was in when generation g ended. */
static void wait_for_grace(struct race *r, uint64_t g)
{

	for (uint32_t i = 0; i < N_READERS; i++) {
		uint64_t was = atomic_load(&r->rounds[i]);

		while (atomic_load(&r->rounds[i]) == was)
			sched_yield();
	}
	fib_reclaim(r->f, g);
}

static void change(struct race *r, struct rng *rng, uint32_t version, bool there[])
{
	size_t i = rng_below(rng, ARRAY_LEN(family));

	if (there[i] && family[i].coming == COMES && rng_below(rng, 2) == 0) {
		assert_int_equal(fib_remove(r->f, family[i].p), 0);
		there[i] = false;
	} else {
		put(r->f, i, version);
		there[i] = true;
	}
}

/* Would catch: a leaf that for a moment holds another prefix's answer, a block
 * that is seen before it is filled, and a block or a next hop that is used again
 * while a reader is in it; a prefix that a walk of the set does not meet while another is taken out, or the set
 * grows. */
static void test_readers_meet_old_or_new(void **state)
{
	struct race r = { .f = fib_create() };
	bool there[ARRAY_LEN(family)] = { false };
	uint8_t seed[RNG_SEED_BYTES] = { 7 };
	struct reader reader[N_READERS];
	pthread_t thread[N_READERS];
	struct rng rng;

	assert_non_null(r.f);
	rng_init(&rng, seed);
	for (size_t i = 0; i < ARRAY_LEN(family); i++) {
		if (family[i].coming == STANDS) {
			put(r.f, i, 0);
			there[i] = true;
		}
	}
	for (uint32_t i = 0; i < N_READERS; i++) {
		reader[i] = (struct reader){ &r, i };
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, &reader[i]), 0);
	}
	size_t bytes = 0;
	for (uint32_t k = 0; k < N_CHANGES; k++) {
		change(&r, &rng, k, there);
		if (k % CHANGES_PER_GRACE == 0) {
			uint64_t g = fib_grace_begin(r.f);

			change(&r, &rng, k, there);
			wait_for_grace(&r, g);
		}
		if (k == N_CHANGES / 10)
			bytes = fib_bytes(r.f);
	}
	/* What is taken out is used again: no change for the worse after the first tenth. */
	assert_in_range(fib_bytes(r.f), 1, bytes + 8 * 1024);
	atomic_store(&r.stop, true);
	for (uint32_t i = 0; i < N_READERS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(atomic_load(&r.n_wrong), 0);
	fib_destroy(r.f);
}

/* --- links --- */

#define N_LINKS 3u
#define N_FLAPS 3000

/* A next hop's gateway says by which interface it is. */
static bool is_whole(const struct fib_nexthop *nh)
{
	return nh->kind == FIB_NONE || (nh->kind == FIB_UNICAST && nh->ifindex >= 1 && nh->ifindex <= N_LINKS &&
					nh->gateway.v4 == nh->ifindex * 100);
}

static void *read_groups(void *arg)
{
	struct reader *me = arg;
	struct race *r = me->race;
	uint32_t hash = 0;

	while (!atomic_load(&r->stop)) {
		for (uint32_t i = 0; i < 64; i++) {
			const struct fib_route *route = fib_route(r->f, fib_lookup(r->f, IP4(10, i % 4, 0, 1)));

			if (!is_whole(&route->nexthop) || (route->paths != NULL && !is_whole(fib_path(route, hash++))))
				atomic_fetch_add(&r->n_wrong, 1);
		}
		if (atomic_fetch_add(&r->rounds[me->number], 1) % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* Would catch: a next hop or a table of buckets that is seen before it is written, or given back while a reader has it,
 * when links and neighbours come and go and exits lead elsewhere. */
static void test_links_come_and_go(void **state)
{
	struct race r = { .f = fib_create() };
	uint8_t seed[RNG_SEED_BYTES] = { 9 };
	struct fib_exit_path path[N_LINKS];
	struct reader reader[N_READERS];
	pthread_t thread[N_READERS];
	uint32_t exit[2];
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t i = 0; i < N_LINKS; i++)
		path[i] = (struct fib_exit_path){
			{ .kind = FIB_UNICAST, .ifindex = 1 + i, .gateway = ip_addr_v4(100 * (1 + i)) }, 1 + i
		};
	for (uint32_t i = 0; i < 2; i++) {
		exit[i] = fib_exit_new(r.f, FIB_EXIT_PLAIN);
		fib_exit_set(r.f, exit[i], path, N_LINKS - i);
	}
	for (uint32_t i = 0; i < 4; i++)
		fib_insert(r.f, (struct ip4_prefix){ IP4(10, i, 0, 0), 16 },
			   fib_group_add(r.f, exit[i & 1], i & 2 ? exit[!(i & 1)] : FIB_NO_EXIT, 0));
	for (uint32_t i = 0; i < N_READERS; i++) {
		reader[i] = (struct reader){ &r, i };
		assert_int_equal(pthread_create(&thread[i], NULL, read_groups, &reader[i]), 0);
	}
	for (uint32_t k = 0; k < N_FLAPS; k++) {
		uint32_t i = rng_below(&rng, N_LINKS);

		if (rng_below(&rng, 4) == 0)
			fib_exit_set(r.f, exit[i & 1], path, 1 + rng_below(&rng, N_LINKS));
		else if (rng_below(&rng, 2) == 0)
			fib_neighbour(r.f, 1 + i, &path[i].nexthop.gateway, rng_below(&rng, 2) == 0);
		else
			fib_link(r.f, 1 + i, rng_below(&rng, 2) == 0);
		if (k % CHANGES_PER_GRACE == 0)
			wait_for_grace(&r, fib_grace_begin(r.f));
	}
	atomic_store(&r.stop, true);
	for (uint32_t i = 0; i < N_READERS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(atomic_load(&r.n_wrong), 0);
	fib_destroy(r.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_meet_old_or_new),
		cmocka_unit_test(test_links_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
