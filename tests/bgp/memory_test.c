/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All memory refused once, at each allocation in turn, while two speakers come up, exchange routes, lose each other,
 * and one neighbour comes out of a prefix. Requests come by refused_memory.h.
 *
 * Would catch: an allocation that is taken for granted; one whose refusal ends a session that needs none, is not
 * counted, leaves something behind, or is not gone over once there is memory again.
 */
#include "routing/bgp/bgp_sim_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "../refused_memory.h"

static struct sim sim;
static struct hand hand;

static bool try_add(uint32_t i, const struct bgp_neighbor_config *c)
{
	uint32_t number;
	int err = bgp_speaker_add(sim.router[i].speaker, c, sim.now, &number);

	assert_true(err == 0 || err == -ENOSPC);
	return err == 0;
}

static const struct bgp_neighbor_config to_1 = { .peers = { IP4(10, 0, 0, 2), 32 },
						 .peer_as = 65002,
						 .hold_s = 9,
						 .key = { 1, "k" } },
					to_0 = { .peers = { IP4(10, 0, 0, 1), 32 },
						 .peer_as = 65001,
						 .key = { 1, "k" } },
					range = { .peers = { IP4(10, 9, 0, 0), 16 }, .dynamic_max = 1 };

static void hand_comes(void)
{
	const struct bgp_open o = hand_open_of(65099, IP4(10, 9, 0, 1));

	if (hand.s != NULL)
		hand.s->carrier->abort(hand.s);
	sim_run(&sim, 2 * NS_PER_S);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	hand_say_open(&hand, &o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	hand_say_update(&hand, "", "40 01 01 00 40 02 06 0201 0000fe4b 40 03 04 0a090001", "18 0b0000 18 0b0001");
	sim_run(&sim, 50 * NS_PER_MS);
}

/* Returns false when there was nothing left to refuse. The hand's own allocations are not refused. */
static bool go_through(uint32_t refused)
{
	bool added[3];

	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	hand_init(&hand, &sim, IP4(10, 9, 0, 1), false);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	n_asked = 0;
	fails_at = refused + 1;
	added[0] = try_add(0, &to_1);
	added[1] = try_add(1, &to_0);
	added[2] = try_add(0, &range);
	sim_run(&sim, 3 * NS_PER_S);
	if (!added[0])
		assert_true(try_add(0, &to_1));
	if (!added[1])
		assert_true(try_add(1, &to_0));
	if (!added[2])
		assert_true(try_add(0, &range));
	stream_memory_link(sim.net, sim_addr(0), sim_addr(1), false);
	sim_run(&sim, 15 * NS_PER_S);
	stream_memory_link(sim.net, sim_addr(0), sim_addr(1), true);
	sim_run(&sim, 70 * NS_PER_S);
	bool was_refused = n_asked >= fails_at;

	fails_at = 0;
	hand_comes();
	sim_run(&sim, 60 * NS_PER_S);
	uint32_t a = bgp_speaker_find(sim.router[0].speaker, to_1.peers),
		 b = bgp_speaker_find(sim.router[1].speaker, to_0.peers);
	struct bgp_neighbor_view v = sim_look(&sim, 0, a);

	if (!sim_is_up(&sim, 0, a) || !sim_is_up(&sim, 1, b))
		printf("allocation %u: %s, %s\n", refused, bgp_state_names[v.state],
		       v.last.why != NULL ? v.last.why : "");
	assert_true(sim_is_up(&sim, 0, a) && sim_is_up(&sim, 1, b));
	uint32_t dynamic = bgp_speaker_find(sim.router[0].speaker, (struct ip4_prefix){ IP4(10, 9, 0, 1), 32 });
	assert_true(dynamic != BGP_NEIGHBOR_NONE && sim_is_up(&sim, 0, dynamic));
	assert_int_equal(bgp_table_stats(sim.router[0].table).n_paths, 2);
	sim_end(&sim);
	return was_refused;
}

static void test_refused(void **state)
{
	uint32_t n = 0;

	while (go_through(n))
		n++;
	assert_in_range(n, 15, 1000);
	printf("%u allocations\n", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
