/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hundred routers, each an AS of its own with six neighbours, that come up at once and tell each other of a prefix
 * each; then links that fail and come back, and routers that are switched off. What each knows in the end is held
 * against shortest paths through the graph, found the slow way.
 */
#include "routing/bgp/bgp_groups.h"
#include "routing/bgp/bgp_sim_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define N_ROUTERS 100u
#define N_LINKS 300u
#define FAR 255

static struct sim sim;
static struct bgp_groups *groups[N_ROUTERS];
static bool is_off[N_ROUTERS];
static struct {
	uint32_t a, b, at_a, at_b;
	bool is_down;
} links[N_LINKS];
static struct rng rng;

/* --- a router, and the network --- */

static void terms_of(void *user, const struct bgp_outbound_peer *peer, struct bgp_group_terms *terms)
{
	terms->export = bgp_export_all;
}

static void wake(void *user, uint32_t neighbor)
{
	bgp_speaker_wake(((struct sim_router *)user)->speaker, neighbor);
}

/* What it is itself the origin of comes as from a source without a session. */
static void originate(uint32_t i)
{
	static const struct bgp_source self = { BGP_INTERNAL, 1, 1 };
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	const struct bgp_wire w = {
		.local_as = sim_as(&sim, i), .peer_as = sim_as(&sim, i), .local_id = 9, .as4 = true
	};
	struct bgp_table *t = sim.router[i].table;
	struct bgp_error e;
	char nlri[16];

	(void)snprintf(nlri, sizeof(nlri), "18 0b00%02x", i);
	size_t len = bgp_fixture_update(bytes, "", "40 01 01 00 40 02 00 40 03 04 7f000001 40 05 04 00000064", nlri);

	(void)bgp_update_parse(&w, bytes, len, &u, &e);
	bgp_table_update(t, bgp_table_add_source(t, &self), &u, BGP_ACCEPT, 1);
}

static void prepare(struct sim_router *r, uint32_t i, struct bgp_speaker_config *c)
{
	const struct bgp_groups_config g = { .table = r->table, .terms = terms_of, .wake = wake, .user = r };

	assert_int_equal(bgp_groups_create(&groups[i], &g), 0);
	c->outbound = &bgp_groups_slot;
	c->outbound_user = groups[i];
}

static void boot(uint32_t i)
{
	sim_boot(&sim, i);
	originate(i);
	is_off[i] = false;
}

static void switch_off(uint32_t i)
{
	bgp_speaker_destroy(sim.router[i].speaker);
	bgp_groups_destroy(groups[i]);
	bgp_table_destroy(sim.router[i].table);
	sim.router[i].speaker = NULL;
	sim.router[i].table = NULL;
	stream_memory_crash(sim.net, sim_addr(i));
	is_off[i] = true;
}

static void add(uint32_t link, bool at_b)
{
	static const struct bgp_neighbor_config c = { .hold_s = 24,
						      .connect_retry_s = 20,
						      .without = BGP_WITHOUT_RESTART };
	uint32_t a = links[link].a, b = links[link].b;

	if (at_b)
		links[link].at_b = sim_add(&sim, b, a, &c);
	else
		links[link].at_a = sim_add(&sim, a, b, &c);
}

static bool is_linked(uint32_t n, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < n; i++)
		if ((links[i].a == a && links[i].b == b) || (links[i].a == b && links[i].b == a))
			return true;
	return false;
}

static void start(void)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 7 };

	rng_init(&rng, seed);
	memset(links, 0, sizeof(links));
	sim_start(&sim, &(struct sim_config){ .n_routers = 0,
					      .limits = { .prefixes = 200, .paths = 4000, .set_bytes = 1 << 20 },
					      .net = { .buffer = 2048 },
					      .prepare = prepare });
	sim.n = N_ROUTERS;
	for (uint32_t i = 0; i < N_ROUTERS; i++)
		boot(i);
	for (uint32_t i = 0; i < N_LINKS; i++) {
		uint32_t a = i % N_ROUTERS, b = (a + 1) % N_ROUTERS;

		while (a == b || is_linked(i, a, b)) {
			a = rng_below(&rng, N_ROUTERS);
			b = rng_below(&rng, N_ROUTERS);
		}
		links[i].a = a;
		links[i].b = b;
		add(i, false);
		add(i, true);
	}
}

static void run(uint64_t for_ns)
{
	uint64_t until = sim.now + for_ns;

	for (uint64_t at; (at = sim_next(&sim)) <= until;) {
		sim_step(&sim, at);
		for (uint32_t i = 0; i < N_ROUTERS; i++)
			while (!is_off[i] && bgp_groups_has_work(groups[i]))
				(void)bgp_groups_work(groups[i]);
	}
	sim.now = until;
}

/* --- what each should know --- */

static void distances(uint32_t from, uint8_t d[N_ROUTERS])
{
	bool changed = true;

	memset(d, FAR, N_ROUTERS);
	if (is_off[from])
		return;
	d[from] = 0;
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < N_LINKS; i++) {
			uint32_t a = links[i].a, b = links[i].b;

			if (links[i].is_down || is_off[a] || is_off[b])
				continue;
			if (d[a] != FAR && d[b] > d[a] + 1) {
				d[b] = (uint8_t)(d[a] + 1);
				changed = true;
			}
			if (d[b] != FAR && d[a] > d[b] + 1) {
				d[a] = (uint8_t)(d[b] + 1);
				changed = true;
			}
		}
	}
}

static void check(void)
{
	uint8_t d[N_ROUTERS];

	for (uint32_t to = 0; to < N_ROUTERS; to++) {
		distances(to, d);
		for (uint32_t i = 0; i < N_ROUTERS; i++) {
			if (is_off[i])
				continue;
			const struct bgp_table *t = sim.router[i].table;
			struct bgp_path_view best =
				bgp_table_best(t, (struct ip4_prefix){ IP4(11, 0, 0, 0) + (to << 8), 24 });

			if (d[i] == FAR) {
				assert_int_equal(best.set, BGP_SET_NONE);
				continue;
			}
			assert_int_not_equal(best.set, BGP_SET_NONE);
			assert_int_equal(bgp_table_set(t, best.set)->n_hops, d[i]);
			assert_int_equal(bgp_table_stats(t).n_no_room, 0);
		}
	}
}

/* Would catch: a router that does not learn of another, or by a longer way than there is; one that goes on knowing of
 * what is gone; sessions that do not come back; messages to one neighbour that are another's; loops that are chosen. */
static void test_network(void **state)
{
	start();
	run(15 * NS_PER_S);
	check();
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t k = 0; k < 40; k++) {
			uint32_t i = rng_below(&rng, N_LINKS);

			links[i].is_down = !links[i].is_down;
			stream_memory_link(sim.net, sim_addr(links[i].a), sim_addr(links[i].b), !links[i].is_down);
		}
		for (uint32_t k = 0; k < 3; k++) {
			uint32_t i = rng_below(&rng, N_ROUTERS);

			if (!is_off[i])
				switch_off(i);
		}
		run(2 * NS_PER_S);
		for (uint32_t i = 0; i < N_ROUTERS && round == 1; i++) {
			if (!is_off[i])
				continue;
			boot(i);
			for (uint32_t k = 0; k < N_LINKS; k++)
				if (links[k].a == i || links[k].b == i)
					add(k, links[k].b == i);
		}
		run(110 * NS_PER_S);
		check();
	}
	for (uint32_t i = 0; i < N_ROUTERS; i++)
		if (!is_off[i])
			switch_off(i);
	stream_memory_destroy(sim.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_network) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
