/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections that cross (trap 20), and many speakers at once.
 */
#include "routing/bgp/bgp_sim_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define HAND IP4(10, 0, 0, 2)
#define HAND_AS 65002

static struct sim sim;
static struct hand ours, theirs; /* the connection that the router has begun; the hand's own */
static const struct bgp_neighbor_config usual;

/* Would catch: both connections of a collision closed, or both kept; two ends that keep different ones; speakers that
 * miss each other for more than 10 s, wherever the one begins while the other's messages are on their way. */
static void test_cross(void **state)
{
	uint32_t n_collisions = 0;

	for (uint32_t off_us = 0; off_us < 8000; off_us += 250) {
		sim_start(&sim, &(struct sim_config){ .n_routers = 2, .net = { .delay_ns = 2 * NS_PER_MS } });
		uint32_t a = sim_add(&sim, 0, 1, &usual);

		sim_run(&sim, off_us * NS_PER_US);
		uint32_t b = sim_add(&sim, 1, 0, &usual);

		sim_run(&sim, 10 * NS_PER_S);
		struct bgp_neighbor_view v = sim_look(&sim, 0, a), w = sim_look(&sim, 1, b);
		assert_true(v.state == BGP_STATE_ESTABLISHED && w.state == BGP_STATE_ESTABLISHED);
		assert_true(v.local.port == w.remote.port && v.is_accepted != w.is_accepted);
		assert_int_equal(stream_memory_n_open(sim.net), 1);
		if (v.count.n_collisions + w.count.n_collisions > 0) {
			n_collisions++;
			assert_true(v.count.n_up == 1 && w.count.n_up == 1);
			assert_false(w.is_accepted); /* router 1 has the higher identifier */
		}
		sim_end(&sim);
	}
	assert_true(n_collisions > 3);
}

/* Router 0 is 10.0.0.1; both connections stand, neither has an OPEN of the hand's. */
static void start_two(uint32_t hand_id, struct bgp_open *o)
{
	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	hand_init(&ours, &sim, HAND, true);
	(void)sim_add_at(&sim, 0, HAND, &(struct bgp_neighbor_config){ .peer_as = HAND_AS });
	sim_run(&sim, NS_PER_S);
	hand_init(&theirs, &sim, HAND, false);
	hand_connect(&theirs, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(ours.s != NULL && theirs.s != NULL && ours.n_got > 0 && theirs.n_got > 0);
	*o = hand_open_of(HAND_AS, hand_id);
}

/* Would catch: a comparison before the OPEN is there, or the wrong way round, or as signed numbers; a loser that is not
 * told why. */
static void test_compare(void **state)
{
	static const uint32_t ids[] = { IP4(9, 0, 0, 1), IP4(10, 0, 0, 0), IP4(10, 0, 0, 2), IP4(200, 0, 0, 1) };
	struct bgp_notification n;
	struct bgp_open o;

	for (uint32_t first = 0; first < 2; first++)
		for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
			bool ours_stays = ids[i] < IP4(10, 0, 0, 1);

			start_two(ids[i], &o);
			hand_say_open(first == 0 ? &ours : &theirs, &o);
			sim_run(&sim, 100 * NS_PER_MS);
			assert_true(ours.s != NULL && theirs.s != NULL);
			hand_say_open(first == 0 ? &theirs : &ours, &o);
			sim_run(&sim, 100 * NS_PER_MS);
			assert_true((ours.s != NULL) == ours_stays && (theirs.s != NULL) == !ours_stays);
			assert_int_equal(hand_notified(ours_stays ? &theirs : &ours, &n), 0x0607);
			hand_say(ours_stays ? &ours : &theirs, BGP_KEEPALIVE, "");
			sim_run(&sim, 100 * NS_PER_MS);
			assert_true(sim_is_up(&sim, 0, 0));
			assert_int_equal(sim.router[0].n_events[BGP_EVENT_FAILED], 0);
			sim_end(&sim);
		}
	assert_true(bgp_collision_ours_stays(1, 7, 1, 6) && !bgp_collision_ours_stays(1, 6, 1, 7)); /* RFC 6286 */
}

/* Would catch: the connection on which the peer speaks closed in favour of one of ours that would win, and at whose
 * other end there is nobody. */
static void test_far_end_gone(void **state)
{
	struct bgp_notification n;
	struct bgp_open o;

	start_two(IP4(9, 0, 0, 1), &o);
	hand_say_open(&theirs, &o);
	hand_say(&theirs, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 0) && theirs.s != NULL && ours.s == NULL);
	assert_int_equal(hand_notified(&ours, &n), 0x0607);
	sim_end(&sim);
}

/* Would catch: an established session that a new connection ends, or one that is kept though the peer has forgotten it:
 * then the KEEPALIVE that goes out on it finds out at once, not the hold timer. */
static void test_established(void **state)
{
	struct bgp_notification n;
	struct bgp_open o;

	for (uint32_t forgotten = 0; forgotten < 2; forgotten++) {
		start_two(IP4(10, 0, 0, 2), &o);
		hand_say_open(&theirs, &o);
		hand_say(&theirs, BGP_KEEPALIVE, "");
		sim_run(&sim, 5 * NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0));
		if (forgotten == 1) {
			stream_memory_crash(sim.net, HAND);
			theirs.s = NULL;
		}
		hand_init(&ours, &sim, HAND, false);
		hand_connect(&ours, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 100 * NS_PER_MS);
		assert_int_equal(sim_is_up(&sim, 0, 0), forgotten == 0);
		hand_say_open(&ours, &o);
		hand_say(&ours, BGP_KEEPALIVE, "");
		sim_run(&sim, 2 * NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0));
		assert_int_equal(hand_notified(&ours, &n), forgotten == 0 ? 0x0607 : 0);
		assert_int_equal(sim_look(&sim, 0, 0).count.n_up, 1 + forgotten);
		sim_end(&sim);
	}
}

/* Would catch: Cease/7 that does not reach the peer, since it goes with a TTL that TTL security does not take; sessions
 * that do not come up with it. */
static void test_ttl_security(void **state)
{
	const struct bgp_neighbor_config near_by = { .ttl_security = true };
	struct bgp_notification n;
	struct bgp_open o = hand_open_of(HAND_AS, HAND);

	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	(void)sim_add(&sim, 0, 1, &near_by);
	(void)sim_add(&sim, 1, 0, &near_by);
	sim_run(&sim, 10 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0) && sim_is_up(&sim, 1, 0));
	sim_end(&sim);
	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	(void)sim_add_at(&sim, 0, HAND, &(struct bgp_neighbor_config){ .peer_as = HAND_AS, .ttl_security = true });
	hand_init(&ours, &sim, HAND, false);
	hand_init(&theirs, &sim, HAND, false);
	for (uint32_t i = 0; i < 2; i++) {
		struct hand *h = i == 0 ? &ours : &theirs;

		hand_connect(h, 0, &(struct stream_connect){ .ttl = { 255, 255 } });
		sim_run(&sim, NS_PER_S);
		hand_say_open(h, &o);
		hand_say(h, BGP_KEEPALIVE, "");
		sim_run(&sim, NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0));
	}
	assert_int_equal(hand_notified(&theirs, &n), 0x0607);
	sim_end(&sim);
	/* From further away it is not heard. */
	sim_start(&sim, &(struct sim_config){ .n_routers = 2, .net = { .n_routers = 1 } });
	(void)sim_add(&sim, 0, 1, &near_by);
	(void)sim_add(&sim, 1, 0, &(struct bgp_neighbor_config){ .hops = 255 });
	sim_run(&sim, 300 * NS_PER_S);
	assert_true(!sim_is_up(&sim, 0, 0) && !sim_is_up(&sim, 1, 0));
	sim_end(&sim);
}

/* Would catch: two that are restarted in step and refuse each other for longer than 10 s. */
static void test_in_step(void **state)
{
	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	for (uint32_t round = 0; round < 8; round++) {
		if (round > 0)
			for (uint32_t i = 0; i < 2; i++) {
				sim_crash(&sim, i);
				stream_memory_crash(sim.net, sim_addr(i));
				sim_boot(&sim, i);
			}
		(void)sim_add(&sim, 0, 1, &usual);
		(void)sim_add(&sim, 1, 0, &usual);
		sim_run(&sim, 10 * NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0) && sim_is_up(&sim, 1, 0));
	}
	/* ... and one of them, the other of which does not know. */
	for (uint32_t round = 0; round < 4; round++) {
		sim_crash(&sim, 0);
		stream_memory_crash(sim.net, sim_addr(0));
		sim_run(&sim, round * 300 * NS_PER_MS);
		sim_boot(&sim, 0);
		(void)sim_add(&sim, 0, 1, &usual);
		sim_run(&sim, 10 * NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0) && sim_is_up(&sim, 1, 0));
	}
	sim_end(&sim);
}

#define N_ROUTERS 100u
#define N_LINKS 450u

static struct {
	uint32_t a, b, at_a, at_b;
} links[N_LINKS];

static bool is_linked(uint32_t n, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < n; i++)
		if ((links[i].a == a && links[i].b == b) || (links[i].a == b && links[i].b == a))
			return true;
	return false;
}

static uint32_t n_up_of_links(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_LINKS; i++)
		n += sim_is_up(&sim, links[i].a, links[i].at_a) && sim_is_up(&sim, links[i].b, links[i].at_b);
	return n;
}

/* Would catch: speakers that do well two by two and starve or refuse each other when a hundred come up at once, with
 * nine neighbours each; connections and memory that are left behind. */
static void test_hundred(void **state)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 5 };
	struct rng r;

	rng_init(&r, seed);
	sim_start(&sim, &(struct sim_config){ .n_routers = N_ROUTERS, .net = { .buffer = 1024 } });
	for (uint32_t i = 0; i < N_LINKS; i++) {
		uint32_t a = i % N_ROUTERS, b = (a + 1) % N_ROUTERS;

		while (a == b || is_linked(i, a, b)) {
			a = rng_below(&r, N_ROUTERS);
			b = rng_below(&r, N_ROUTERS);
		}
		links[i].a = a;
		links[i].b = b;
		links[i].at_a = sim_add(&sim, a, b, &usual);
		links[i].at_b = sim_add(&sim, b, a, &usual);
	}
	sim_run(&sim, 10 * NS_PER_S);
	assert_int_equal(n_up_of_links(), N_LINKS);
	sim_run(&sim, 200 * NS_PER_S);
	assert_int_equal(n_up_of_links(), N_LINKS);
	assert_int_equal(stream_memory_n_open(sim.net), N_LINKS);
	for (uint32_t i = 0; i < N_ROUTERS; i++)
		assert_int_equal(sim.router[i].n_events[BGP_EVENT_DOWN], 0);
	sim_end(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cross),        cmocka_unit_test(test_compare),
		cmocka_unit_test(test_far_end_gone), cmocka_unit_test(test_established),
		cmocka_unit_test(test_ttl_security), cmocka_unit_test(test_in_step),
		cmocka_unit_test(test_hundred),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
