/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ends of sessions, and what they leave to the next: reasons that stick, a second connection that waits behind the
 * first, who has to wait and who must not.
 */
#include "routing/bgp/bgp_sim_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HAND IP4(10, 0, 0, 2)
#define HAND_AS 65002
#define ATTRS "40 01 01 00 40 02 06 0201 0000fdea 40 03 04 0a000002 "

static struct sim sim;
static struct hand hand, second;

static struct bgp_open its_open(void)
{
	struct bgp_open o = hand_open_of(HAND_AS, HAND);

	o.can.restart = (struct bgp_restart){ .is_there = true, .notification = true, .time_s = 20, .ipv4 = true };
	return o;
}

static void start(const struct bgp_neighbor_config *tweak)
{
	struct bgp_neighbor_config c = *tweak;

	c.peer_as = HAND_AS;
	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	hand_init(&hand, &sim, HAND, false);
	hand_init(&second, &sim, HAND, false);
	(void)sim_add_at(&sim, 0, HAND, &c);
}

static void come_up(struct hand *h, const struct bgp_open *o)
{
	if (h->s == NULL) {
		hand_connect(h, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 100 * NS_PER_MS);
	}
	if (h->s == NULL)
		return;
	hand_say_open(h, o);
	hand_say(h, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
}

/* Would catch: a hard reset (RFC 8538) that an operator's shutdown leaves behind, so that the next session's end is
 * one, whatever it comes from, and routes that the peer should keep go. */
static void test_hard_does_not_stick(void **state)
{
	const struct bgp_open o = its_open();
	struct bgp_notification n = { 0 };

	for (uint32_t was_up = 0; was_up < 2; was_up++) {
		start(&(struct bgp_neighbor_config){ .is_passive = true, .hold_s = 9 });
		if (was_up == 1) {
			come_up(&hand, &o);
			assert_true(sim_is_up(&sim, 0, 0));
		}
		bgp_speaker_shut(sim.router[0].speaker, 0, &(struct bgp_command){ 0 }, sim.now);
		sim_run(&sim, NS_PER_S);
		bgp_speaker_enable(sim.router[0].speaker, 0, sim.now);
		/* One on each of the two places of a neighbour. */
		for (uint32_t i = 0; i < 2; i++) {
			hand.s = NULL;
			come_up(&hand, &o);
			assert_true(sim_is_up(&sim, 0, 0));
			sim_run(&sim, 10 * NS_PER_S);
			assert_int_equal(hand_notified(&hand, &n), 0x0400);
			assert_false(n.is_hard);
			assert_true(sim.router[0].last[BGP_EVENT_DOWN].last.keeps);
			sim_run(&sim, 3 * NS_PER_S);
		}
		sim_end(&sim);
	}
}

/* Would catch: a neighbour that is over its limit, or that has sent what cannot be, and goes on at once by a second
 * connection that it had open beside: neither the limit's rest nor the back-off would hold (trap 24). */
static void test_second_waits_too(void **state)
{
	const struct bgp_open o = its_open();

	for (uint32_t what = 0; what < 2; what++) {
		start(&(struct bgp_neighbor_config){ .is_passive = true, .max_prefixes = 2 });
		come_up(&hand, &o);
		hand_connect(&second, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 100 * NS_PER_MS);
		assert_true(second.s != NULL && sim_is_up(&sim, 0, 0));
		if (what == 0)
			hand_say_update(&hand, "", ATTRS, "18 0b0000 18 0b0001 18 0b0002");
		else
			hand_say(&hand, BGP_OPEN, "04 fdea 005a 0a000002 00");
		sim_run(&sim, 100 * NS_PER_MS);
		come_up(&second, &o);
		assert_false(sim_is_up(&sim, 0, 0));
		assert_int_equal(sim_look(&sim, 0, 0).idle, what == 0 ? BGP_IDLE_LIMIT : BGP_IDLE_BACK_OFF);
		assert_null(second.s);
		sim_end(&sim);
	}
}

/* Would catch: a neighbour that ends its sessions with Cease/7, which is nobody's fault in a collision, and so flaps as
 * often as it likes. */
static void test_collision_as_an_excuse(void **state)
{
	struct bgp_open o = its_open();

	o.can.restart.is_there = false;
	start(&(struct bgp_neighbor_config){ .is_passive = true, .hold_s = 9 });
	for (uint32_t i = 0; i < 1000; i++) {
		come_up(&hand, &o);
		hand_say(&hand, BGP_NOTIFICATION, "06 07");
		sim_run(&sim, 3400 * NS_PER_MS);
	}
	assert_in_range(sim_look(&sim, 0, 0).count.n_up, 50, 100);
	sim_end(&sim);
}

/* Would catch: a neighbour out of a prefix that says it restarts in no time, and so need not wait for its back-off. */
static void test_no_time_as_an_excuse(void **state)
{
	const struct bgp_neighbor_config range = { .peers = { IP4(10, 0, 0, 0), 16 } };
	struct bgp_open o = its_open();
	uint32_t number;

	o.can.restart.time_s = 0;
	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	hand_init(&hand, &sim, HAND, false);
	assert_int_equal(bgp_speaker_add(sim.router[0].speaker, &range, sim.now, &number), 0);
	for (uint32_t i = 0; i < 50; i++) {
		come_up(&hand, &o);
		hand_say_update(&hand, "", ATTRS, "18 0b0000");
		hand_say(&hand, BGP_NOTIFICATION, "06 04");
		sim_run(&sim, 200 * NS_PER_MS);
	}
	assert_in_range(sim.router[0].n_events[BGP_EVENT_UP], 5, 30); /* in 20 s */
	assert_int_equal(bgp_table_stats(sim.router[0].table).n_paths, 0);
	sim_end(&sim);
}

static struct stream_carrier real;
static uint32_t n_broken;

static int broken_set_ttl(struct stream *s, struct stream_ttl ttl)
{
	if (n_broken == 0)
		return real.set_ttl(s, ttl);
	n_broken--;
	return -ENOMEM;
}

/* Would catch: a neighbour with which nothing is tried any more, since its connection could not be taken after the one
 * before it had been let go. */
static void test_place_is_kept(void **state)
{
	const struct bgp_open o = its_open();

	start(&(struct bgp_neighbor_config){ .hold_s = 9 });
	struct stream_carrier *c = stream_memory_host(sim.net, sim_addr(0));

	real = *c;
	c->set_ttl = broken_set_ttl;
	/* The first on one place; the second waits for its OPEN on the other, and is the one that stays. */
	come_up(&hand, &o);
	hand_connect(&second, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	hand.s->carrier->abort(hand.s);
	hand.s = NULL;
	sim_run(&sim, 100 * NS_PER_MS);
	n_broken = 1;
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(hand.s == NULL && n_broken == 0);
	uint32_t n = sim_look(&sim, 0, 0).count.n_connects;

	sim_run(&sim, 60 * NS_PER_S);
	assert_in_range(sim_look(&sim, 0, 0).count.n_connects, n + 3, n + 10);
	sim_end(&sim);
}

/* Would catch: a limit that is set to end the session when it is exceeded already, and does not; a warning that does
 * not come again when it is another. */
static void test_limit_changes(void **state)
{
	const struct bgp_open o = its_open();
	struct bgp_neighbor_config c;

	start(&(struct bgp_neighbor_config){ .is_passive = true, .max_prefixes = 2, .max_action = BGP_LIMIT_WARNS });
	come_up(&hand, &o);
	hand_say_update(&hand, "", ATTRS, "18 0b0000 18 0b0001 18 0b0002");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 0) && sim.router[0].n_events[BGP_EVENT_LIMIT] == 1);
	c = *sim_look(&sim, 0, 0).config;
	c.tag = 1;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, 0, &c, sim.now), 0);
	assert_int_equal(sim.router[0].n_events[BGP_EVENT_LIMIT], 1);
	c.max_action = BGP_LIMIT_ENDS;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, 0, &c, sim.now), 0);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_false(sim_is_up(&sim, 0, 0));
	sim_end(&sim);
}

static uint32_t n_changed, tag_seen;

static int out_up(void *user, const struct bgp_outbound_peer *p, uint32_t *member)
{
	*member = 3;
	return 0;
}

static void out_down(void *user, uint32_t member)
{
}

static void out_changed(void *user, uint32_t member, const struct bgp_neighbor_config *config)
{
	assert_int_equal(member, 3);
	n_changed++;
	tag_seen = config->tag;
}

static size_t out_next(void *user, uint32_t member, uint8_t *buf, size_t room)
{
	return 0;
}

static bool out_is_dumped(void *user, uint32_t member)
{
	return true;
}

static const struct bgp_outbound outbound = { out_up, out_down, out_changed, out_down, out_next, out_is_dumped };

/* Would catch: neighbours out of a prefix that are told by its old policy, and counted by its old limit, when its
 * config changes. */
static void test_change_of_a_range(void **state)
{
	struct bgp_neighbor_config range = { .peers = { IP4(10, 1, 0, 0), 16 }, .tag = 1 };
	const struct bgp_open o = hand_open_of(HAND_AS, HAND);
	uint32_t number;

	sim_start(&sim, &(struct sim_config){ .n_routers = 1, .outbound = &outbound });
	assert_int_equal(bgp_speaker_add(sim.router[0].speaker, &range, sim.now, &number), 0);
	hand_init(&hand, &sim, IP4(10, 1, 0, 1), false);
	come_up(&hand, &o);
	hand_say_update(&hand, "", ATTRS, "18 0b0000 18 0b0001 18 0b0002");
	sim_run(&sim, 100 * NS_PER_MS);
	uint32_t one = bgp_speaker_find(sim.router[0].speaker, (struct ip4_prefix){ IP4(10, 1, 0, 1), 32 });

	assert_true(sim_is_up(&sim, 0, one) && n_changed == 0);
	range.tag = 2;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, number, &range, sim.now), 0);
	assert_true(n_changed == 1 && tag_seen == 2 && sim_is_up(&sim, 0, one));
	range.max_prefixes = 2;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, number, &range, sim.now), 0);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_false(sim_is_up(&sim, 0, one));
	sim_end(&sim);
}

/* Would catch: a neighbour that is connected to though it must not be any more, or not though it must; a session that
 * ends for it. */
static void test_passive_changes(void **state)
{
	const struct bgp_open o = its_open();
	struct bgp_neighbor_config c;
	uint32_t n;

	start(&(struct bgp_neighbor_config){ .hold_s = 90 });
	sim_run(&sim, 10 * NS_PER_S);
	assert_in_range(n = sim_look(&sim, 0, 0).count.n_connects, 2, 10);
	c = *sim_look(&sim, 0, 0).config;
	c.is_passive = true;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, 0, &c, sim.now), 0);
	sim_run(&sim, 200 * NS_PER_S);
	assert_int_equal(sim_look(&sim, 0, 0).count.n_connects, n);
	c.is_passive = false;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, 0, &c, sim.now), 0);
	sim_run(&sim, 10 * NS_PER_S);
	assert_in_range(sim_look(&sim, 0, 0).count.n_connects, n + 1, n + 10);
	come_up(&hand, &o);
	c.is_passive = true;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, 0, &c, sim.now), 0);
	sim_run(&sim, NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0));
	sim_end(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hard_does_not_stick),    cmocka_unit_test(test_second_waits_too),
		cmocka_unit_test(test_collision_as_an_excuse), cmocka_unit_test(test_place_is_kept),
		cmocka_unit_test(test_no_time_as_an_excuse),   cmocka_unit_test(test_limit_changes),
		cmocka_unit_test(test_change_of_a_range),      cmocka_unit_test(test_passive_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
