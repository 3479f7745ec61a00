/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Graceful restart as helper and as the one that restarts (trap 26), and the marks of an enhanced refresh.
 */
#include "routing/bgp/bgp_sim_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HAND IP4(10, 0, 0, 2)
#define HAND_AS 65002
#define ATTRS "40 01 01 00 40 02 06 0201 0000fdea 40 03 04 0a000002 "
#define EOR "0000 0000"

static struct sim sim;
static struct hand hand;

/* What the hand says of restarting. */
enum its { SAYS_NOTHING, SAYS_RESTART, SAYS_N };

static struct bgp_open its_open(enum its its, bool kept)
{
	struct bgp_open o = hand_open_of(HAND_AS, HAND);

	if (its != SAYS_NOTHING)
		o.can.restart = (struct bgp_restart){
			.is_there = true, .notification = its == SAYS_N, .time_s = 20, .ipv4 = true, .ipv4_kept = kept
		};
	return o;
}

static void say_prefixes(uint32_t first, uint32_t n)
{
	char nlri[32];

	for (uint32_t i = first; i < first + n; i++) {
		(void)snprintf(nlri, sizeof(nlri), "18 0b%02x%02x", i >> 8, i & 0xff);
		hand_say_update(&hand, "", ATTRS, nlri);
	}
	sim_run(&sim, 50 * NS_PER_MS);
}

static void come_back(const struct bgp_open *o)
{
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	assert_non_null(hand.s);
	hand_say_open(&hand, o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 0));
}

static void start(const struct bgp_neighbor_config *tweak, const struct bgp_open *o)
{
	struct bgp_neighbor_config c = *tweak;

	c.peer_as = HAND_AS;
	c.is_passive = true;
	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	hand_init(&hand, &sim, HAND, false);
	(void)sim_add_at(&sim, 0, HAND, &c);
	come_back(o);
	say_prefixes(0, 10);
	hand_say(&hand, BGP_UPDATE, EOR);
	sim_run(&sim, 50 * NS_PER_MS);
	assert_true(sim_look(&sim, 0, 0).n_prefixes == 10 && sim_look(&sim, 0, 0).eor_in);
}

static void lose(void)
{
	hand.s->carrier->abort(hand.s);
	hand.s = NULL;
	sim_run(&sim, 1100 * NS_PER_MS);
}

static uint32_t n_paths(void)
{
	return bgp_table_stats(sim.router[0].table).n_paths;
}

static bool is_stale(uint32_t i)
{
	static struct bgp_prefix_view v;

	bgp_table_look(sim.router[0].table, (struct ip4_prefix){ IP4(11, 0, 0, 0) + (i << 8), 24 }, &v);
	return v.n == 1 && v.path[0].is_stale;
}

/* --- which ends --- */

enum how {
	BY_RESET,
	BY_CLOSE,
	BY_SILENCE,
	BY_CEASE,
	BY_HARD_RESET,
	BY_BAD_MESSAGE,
	BY_OUR_RESET,
	BY_OUR_HARD_RESET,
	BY_OUR_SHUTDOWN,
	BY_BFD,
	BY_BFD_APART,
	N_HOWS
};

static void end_by(enum how how)
{
	struct bgp_speaker *s = sim.router[0].speaker;

	switch (how) {
	case BY_RESET:
		hand.s->carrier->abort(hand.s);
		break;
	case BY_CLOSE:
		hand.s->carrier->close(hand.s);
		break;
	case BY_SILENCE:
		sim_run(&sim, 89 * NS_PER_S);
		return;
	case BY_CEASE:
		hand_say(&hand, BGP_NOTIFICATION, "06 04");
		return;
	case BY_HARD_RESET:
		hand_say(&hand, BGP_NOTIFICATION, "06 09 06 04");
		return;
	case BY_BAD_MESSAGE:
		hand_say(&hand, BGP_OPEN, "04 fdea 005a 0a000002 00");
		return;
	case BY_OUR_RESET:
		bgp_speaker_reset(s, 0, &(struct bgp_command){ 0 }, sim.now);
		return;
	case BY_OUR_HARD_RESET:
		bgp_speaker_reset(s, 0, &(struct bgp_command){ .is_hard = true }, sim.now);
		return;
	case BY_OUR_SHUTDOWN:
		bgp_speaker_shut(s, 0, &(struct bgp_command){ 0 }, sim.now);
		return;
	case BY_BFD:
	case BY_BFD_APART:
		bgp_speaker_path_down(s, 0, how == BY_BFD_APART, sim.now);
		return;
	case N_HOWS:
		break;
	}
	hand.s = NULL;
}

/* Would catch: routes that stay where the peer does not restart, or go where it does; a hard reset that is not one, or
 * that is sent to one that does not know it; a NOTIFICATION to a peer that would delete our routes for it. */
static void test_ends(void **state)
{
	static const struct {
		bool keeps[3];
		uint32_t told[3]; /* the NOTIFICATION; a hard reset: what is in it */
		bool is_hard;
	} rows[N_HOWS] = {
		[BY_RESET] = { { false, true, true }, { 0 }, false },
		[BY_CLOSE] = { { false, true, true }, { 0 }, false },
		[BY_SILENCE] = { { false, false, true }, { 0x0400, 0x0400, 0x0400 }, false },
		[BY_CEASE] = { { false, false, true }, { 0 }, false },
		[BY_HARD_RESET] = { { false, false, false }, { 0 }, false },
		[BY_BAD_MESSAGE] = { { false, false, true }, { 0x0503, 0x0503, 0x0503 }, false },
		[BY_OUR_RESET] = { { false, false, true }, { 0x0604, 0x0604, 0x0604 }, false },
		[BY_OUR_HARD_RESET] = { { false, false, false }, { 0x0604, 0x0604, 0x0604 }, true },
		[BY_OUR_SHUTDOWN] = { { false, false, false }, { 0x0602, 0x0602, 0x0602 }, true },
		[BY_BFD] = { { false, true, true }, { 0x060a, 0, 0x060a }, false },
		[BY_BFD_APART] = { { false, false, false }, { 0x060a, 0x060a, 0x060a }, true },
	};

	for (int how = 0; how < N_HOWS; how++)
		for (int its = SAYS_NOTHING; its <= SAYS_N; its++) {
			const struct bgp_open o = its_open((enum its)its, false);
			struct bgp_notification n = { 0 };

			start(&(struct bgp_neighbor_config){ .tag = 0 }, &o);
			end_by((enum how)how);
			sim_run(&sim, 1200 * NS_PER_MS);
			if (n_paths() != (rows[how].keeps[its] ? 10 : 0))
				printf("end %d, peer %d: %u paths\n", how, its, n_paths());
			assert_int_equal(n_paths(), rows[how].keeps[its] ? 10 : 0);
			assert_int_equal(is_stale(3), rows[how].keeps[its]);
			assert_int_equal(sim.router[0].last[BGP_EVENT_DOWN].last.keeps, rows[how].keeps[its]);
			assert_int_equal(hand_notified(&hand, &n), rows[how].told[its]);
			assert_int_equal(n.is_hard, rows[how].is_hard && its == SAYS_N);
			/* In any case not for longer than it has said. */
			sim_run(&sim, 20 * NS_PER_S);
			assert_int_equal(n_paths(), 0);
			sim_end(&sim);
		}
}

/* Would catch: a host out of a prefix whose routes go, though it restarts, when its back-off is over; or whose number
 * stays when they have gone. */
static void test_dynamic(void **state)
{
	const struct bgp_neighbor_config range = { .peers = { HAND, 31 } };
	const struct bgp_open o = its_open(SAYS_N, true);
	uint32_t number;

	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	hand_init(&hand, &sim, HAND, false);
	assert_int_equal(bgp_speaker_add(sim.router[0].speaker, &range, sim.now, &number), 0);
	for (uint32_t i = 0; i < 2; i++) {
		hand_connect(&hand, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 100 * NS_PER_MS);
		hand_say_open(&hand, &o);
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, 100 * NS_PER_MS);
		assert_int_equal(n_paths(), i == 0 ? 0 : 10);
		say_prefixes(0, 10);
		hand_say(&hand, BGP_NOTIFICATION, "06 04");
		sim_run(&sim, 5 * NS_PER_S);
		assert_int_equal(n_paths(), 10);
	}
	sim_run(&sim, 20 * NS_PER_S);
	assert_int_equal(n_paths(), 0);
	assert_int_equal(sim_look(&sim, 0, number).n_dynamic, 0);
	sim_end(&sim);
}

/* --- back again --- */

/* Would catch: what is announced again taken for stale, and what is not kept; End-of-RIB that ends nothing; stale
 * routes for ever of one that never says it; routes that stay when the peer has not kept forwarding. */
static void test_back(void **state)
{
	const struct bgp_open o = its_open(SAYS_RESTART, false), kept = its_open(SAYS_RESTART, true),
			      nothing = its_open(SAYS_NOTHING, false);

	start(&(struct bgp_neighbor_config){ .tag = 0 }, &o);
	for (uint32_t eor = 0; eor < 2; eor++) {
		lose();
		come_back(&kept);
		say_prefixes(0, 4);
		assert_true(n_paths() == 10 && !is_stale(3) && is_stale(4) && sim_look(&sim, 0, 0).is_stale);
		if (eor == 0)
			hand_say(&hand, BGP_UPDATE, EOR);
		for (uint32_t i = 0; i < (eor == 0 ? 1 : 12); i++) {
			assert_int_equal(n_paths(), eor == 0 || i < 12 ? 10 : 4);
			sim_run(&sim, (eor == 0 ? 1 : 30) * NS_PER_S);
			hand_say(&hand, BGP_KEEPALIVE, "");
			sim_run(&sim, 10 * NS_PER_MS);
		}
		assert_true(n_paths() == 4 && !sim_look(&sim, 0, 0).is_stale);
		say_prefixes(4, 6);
	}
	lose();
	assert_int_equal(n_paths(), 10);
	come_back(&o); /* without F */
	assert_int_equal(n_paths(), 0);
	say_prefixes(0, 10);
	lose();
	assert_int_equal(n_paths(), 10);
	come_back(&nothing);
	assert_int_equal(n_paths(), 0);
	sim_end(&sim);
}

/* Would catch: routes that outlive two restarts without being announced in between (RFC 4724 section 4.2). */
static void test_twice(void **state)
{
	const struct bgp_open kept = its_open(SAYS_N, true);

	start(&(struct bgp_neighbor_config){ .tag = 0 }, &kept);
	lose();
	come_back(&kept);
	say_prefixes(0, 4);
	lose();
	assert_true(n_paths() == 4 && is_stale(3));
	come_back(&kept);
	say_prefixes(3, 2);
	hand_say(&hand, BGP_UPDATE, EOR);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(n_paths() == 2 && !is_stale(3));
	sim_end(&sim);
}

/* A step of work at a time, each as if it took 2 ms. */
static void steps(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		sim.now += 2 * NS_PER_MS;
		sim_step(&sim, sim.now);
	}
}

/* Would catch: a neighbour that is lost again while its routes of before are still taken out, of which some stay for
 * ever, or a source; what it announces meanwhile taken before. */
static void test_gone_twice(void **state)
{
	const struct bgp_open o = its_open(SAYS_N, false);
	const uint32_t n_many = 40000;
	static uint8_t bytes[BGP_FIXTURE_MAX];
	char nlri[500 * 9 + 1];

	sim_start(&sim, &(struct sim_config){ .n_routers = 1,
					      .limits = { .prefixes = 50000, .paths = 50000, .set_bytes = 1 << 20 } });
	hand_init(&hand, &sim, HAND, false);
	(void)sim_add_at(&sim, 0, HAND, &(struct bgp_neighbor_config){ .peer_as = HAND_AS, .is_passive = true });
	for (uint32_t round = 0; round < 3; round++) {
		come_back(&o);
		for (uint32_t i = 0; i < n_many; i += 500) {
			for (uint32_t k = 0; k < 500; k++)
				(void)snprintf(nlri + k * (size_t)9, 10, "18 0b%02x%02x", (i + k) >> 8 & 0xff,
					       (i + k) & 0xff);
			hand_say_bytes(&hand, bytes, bgp_fixture_update(bytes, "", ATTRS, nlri));
			sim_run(&sim, 10 * NS_PER_MS);
		}
		assert_int_equal(n_paths(), n_many);
		for (uint32_t times = 0; times < 3; times++) {
			uint32_t before = n_paths();

			hand.s->carrier->abort(hand.s);
			hand_connect(&hand, 0, &(struct stream_connect){ 0 });
			steps(3);
			hand_say_open(&hand, &o);
			hand_say(&hand, BGP_KEEPALIVE, "");
			hand_say_update(&hand, "", ATTRS, "18 0c0000");
			steps(3);
			assert_true(sim_is_up(&sim, 0, 0) && n_paths() < before && n_paths() > 1);
			assert_int_equal(sim_look(&sim, 0, 0).n_prefixes, 0);
		}
		sim_run(&sim, 100 * NS_PER_MS);
		assert_int_equal(n_paths(), 1);
		assert_in_range(sim_look(&sim, 0, 0).source, 0, 1);
		hand_say(&hand, BGP_NOTIFICATION, "06 09 06 02");
		sim_run(&sim, 61 * NS_PER_S);
		assert_int_equal(n_paths(), 0);
	}
	/* ... or is shut down meanwhile. */
	come_back(&o);
	for (uint32_t i = 0; i < 5000; i += 100)
		say_prefixes(i, 100);
	hand.s->carrier->abort(hand.s);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	steps(3);
	hand_say_open(&hand, &o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	steps(2);
	assert_true(sim_is_up(&sim, 0, 0) && n_paths() > 1);
	bgp_speaker_shut(sim.router[0].speaker, 0, &(struct bgp_command){ 0 }, sim.now);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(n_paths(), 0);
	sim_end(&sim);
}

/* Would catch: a peer that has restarted and connects anew, whose old session stands in its way (RFC 4724 section 5).
 */
static void test_anew(void **state)
{
	static struct hand old;
	const struct bgp_open kept = its_open(SAYS_RESTART, true);

	start(&(struct bgp_neighbor_config){ .tag = 0 }, &kept);
	old = hand;
	stream_tell(old.s, &hand_events, &old);
	hand_init(&hand, &sim, HAND, false);
	come_back(&kept);
	assert_true(n_paths() == 10 && is_stale(3) && sim_look(&sim, 0, 0).count.n_up == 2);
	assert_true(old.s == NULL && sim_look(&sim, 0, 0).count.n_collisions == 0);
	sim_end(&sim);
}

/* Would catch: routes of before a refresh that stay though they were not announced again; ones that were, and go; marks
 * that are taken without having been agreed on. */
static void test_refresh(void **state)
{
	struct bgp_open o = its_open(SAYS_NOTHING, false);

	for (uint32_t agreed = 0; agreed < 2; agreed++) {
		o.can.enhanced_refresh = agreed == 1;
		start(&(struct bgp_neighbor_config){ .tag = 0 }, &o);
		assert_int_equal(bgp_speaker_refresh(sim.router[0].speaker, 0), 0);
		hand_say(&hand, BGP_ROUTE_REFRESH, "0001 01 01");
		say_prefixes(0, 3);
		hand_say(&hand, BGP_ROUTE_REFRESH, "0001 01 01"); /* begun anew */
		sim_run(&sim, 10 * NS_PER_MS);
		if (agreed == 1)
			assert_int_equal(n_paths(), 3);
		say_prefixes(2, 2);
		hand_say(&hand, BGP_ROUTE_REFRESH, "0001 02 01");
		sim_run(&sim, 100 * NS_PER_MS);
		assert_int_equal(n_paths(), agreed == 1 ? 2 : 10);
		sim_end(&sim);
	}
}

/* Would catch: marks of a refresh of a neighbour that has restarted and has not said End-of-RIB, which end what is kept
 * of it before it could be announced again (RFC 7313 section 4). */
static void test_early_marks(void **state)
{
	const struct bgp_open kept = its_open(SAYS_RESTART, true);

	start(&(struct bgp_neighbor_config){ .tag = 0 }, &kept);
	lose();
	come_back(&kept);
	hand_say(&hand, BGP_ROUTE_REFRESH, "0001 01 01");
	say_prefixes(0, 4);
	assert_int_equal(n_paths(), 10);
	hand_say(&hand, BGP_ROUTE_REFRESH, "0001 02 01");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(n_paths() == 10 && !is_stale(3) && is_stale(4));
	hand_say(&hand, BGP_UPDATE, EOR);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(n_paths(), 4);
	hand_say(&hand, BGP_ROUTE_REFRESH, "0001 01 01");
	say_prefixes(0, 3);
	hand_say(&hand, BGP_ROUTE_REFRESH, "0001 02 01");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(n_paths(), 3);
	sim_end(&sim);
}

/* --- we --- */

/* Hands out one route of ours. */
static bool is_told, is_out;

static int out_up(void *user, const struct bgp_outbound_peer *p, uint32_t *member)
{
	*member = 7;
	is_told = is_out = false;
	return 0;
}

static void out_down(void *user, uint32_t member)
{
	assert_int_equal(member, 7);
}

static void out_changed(void *user, uint32_t member, const struct bgp_neighbor_config *config)
{
}

static void out_refresh(void *user, uint32_t member)
{
	is_out = false;
}

static size_t out_next(void *user, uint32_t member, uint8_t *buf, size_t room)
{
	if (is_out)
		return 0;
	is_told = is_out = true;
	return bgp_fixture_update(buf, "", ATTRS, "18 cb0071");
}

static bool out_is_dumped(void *user, uint32_t member)
{
	return is_out;
}

static const struct bgp_outbound outbound = { out_up, out_down, out_changed, out_refresh, out_next, out_is_dumped };

static void start_restarted_beside(uint16_t restarted_s, const struct bgp_open *o)
{
	size_t len;
	uint8_t type;

	sim_start(&sim, &(struct sim_config){ .n_routers = 1, .restarted_s = restarted_s, .outbound = &outbound });
	hand_init(&hand, &sim, HAND, false);
	(void)sim_add_at(&sim, 0, HAND, &(struct bgp_neighbor_config){ .peer_as = HAND_AS, .is_passive = true });
	come_back(o);
	const struct bgp_wire w = bgp_fixture_wire();
	const uint8_t *p = hand_next(&hand, &len, &type);
	struct bgp_open said;
	struct bgp_error e;

	assert_int_equal(type, BGP_OPEN);
	assert_int_equal(
		bgp_open_parse(&(struct bgp_wire){ .local_as = HAND_AS, .role = BGP_ROLE_NONE }, p, len, &said, &e),
		BGP_ACCEPT);
	(void)w;
	assert_true(said.can.restart.is_there && said.can.restart.restarting == (restarted_s > 0) &&
		    said.can.restart.notification && said.can.restart.ipv4 && !said.can.restart.ipv4_kept);
}

static void start_restarted(uint16_t restarted_s)
{
	const struct bgp_open o = its_open(SAYS_N, true);

	start_restarted_beside(restarted_s, &o);
}

/* Would catch: routes that are told before those of others have come, or never; R that is said for ever; a peer that
 * never says End-of-RIB, or never comes, that blocks the others for longer than the restart time, or than 10 s. */
static void test_we_restart(void **state)
{
	start_restarted(0);
	assert_true(is_told && sim_look(&sim, 0, 0).eor_out);
	sim_end(&sim);
	start_restarted(60);
	sim_run(&sim, 50 * NS_PER_S);
	assert_true(!is_told && !sim_look(&sim, 0, 0).eor_out);
	hand_say(&hand, BGP_UPDATE, EOR);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(is_told && sim_look(&sim, 0, 0).eor_out);
	sim_end(&sim);
	start_restarted(60);
	sim_run(&sim, 61 * NS_PER_S);
	assert_true(is_told);
	sim_end(&sim);
	start_restarted(60);
	(void)sim_add_at(&sim, 0, IP4(10, 0, 0, 3),
			 &(struct bgp_neighbor_config){ .peer_as = 65003, .is_passive = true });
	hand_say(&hand, BGP_UPDATE, EOR);
	sim_run(&sim, 9 * NS_PER_S);
	assert_false(is_told);
	sim_run(&sim, NS_PER_S);
	assert_true(is_told);
	sim_end(&sim);
}

/* Would catch: two that restart at the same time and wait for each other's End-of-RIB (RFC 4724 section 4.1: one that
 * says R is not waited for). */
static void test_both_restart(void **state)
{
	struct bgp_open o = its_open(SAYS_N, false);

	o.can.restart.restarting = true;
	start_restarted_beside(60, &o);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(is_told && sim_look(&sim, 0, 0).eor_out);
	sim_end(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),     cmocka_unit_test(test_ends),
		cmocka_unit_test(test_back),        cmocka_unit_test(test_twice),
		cmocka_unit_test(test_anew),        cmocka_unit_test(test_gone_twice),
		cmocka_unit_test(test_refresh),     cmocka_unit_test(test_we_restart),
		cmocka_unit_test(test_early_marks), cmocka_unit_test(test_both_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
