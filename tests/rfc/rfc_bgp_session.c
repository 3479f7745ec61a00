/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What sessions must do: RFC 4271 sections 6.5 to 6.8, 8 and 10, 4724, 8538, 5492, 6286, 6608, 7313, 9003, 9234, 9687,
 * 5082. One speaker, AS 65001 at 10.0.0.1, on a network in memory and on virtual time; the peer, AS 65002 at 10.0.0.2,
 * is the scenario's hand (src/routing/bgp/bgp_sim_fixture.h).
 */
#include "bgp.h"

#include "base/util.h"
#include "check/cmocka.h"
#include "routing/bgp/bgp_sim_fixture.h"

#define HAND IP4(10, 0, 0, 2)
#define HAND_AS 65002
#define ATTRS "40 01 01 00 40 02 06 0201 0000fdea 40 03 04 0a000002 "
#define EOR "0000 0000"
#define KEEPALIVE_MSG "{ff}16 0013 04"
#define UPDATE_MSG "{ff}16 0017 02 " EOR
#define OPEN_MSG "{ff}16 001d 01 04 fdea 005a 0a000002 00"

static struct sim sim;
static struct hand hand, second; /* the connection that we have begun, or the only one; one more of the peer's */

static void begin_with(const struct sim_config *s, const struct bgp_neighbor_config *tweak)
{
	struct bgp_neighbor_config c = *tweak;
	struct sim_config config = *s;

	config.n_routers = 1;
	c.peer_as = HAND_AS;
	sim_start(&sim, &config);
	hand_init(&hand, &sim, HAND, true);
	(void)sim_add_at(&sim, 0, HAND, &c);
	sim_run(&sim, NS_PER_S);
}

static void begin(const struct bgp_neighbor_config *tweak)
{
	begin_with(&(struct sim_config){ 0 }, tweak);
}

static const struct bgp_neighbor_config usual;

static void say_hex(struct hand *h, const char *hex)
{
	uint8_t p[BGP_FIXTURE_MAX];

	hand_say_bytes(h, p, bgp_fixture_hex(p, sizeof(p), hex));
	sim_run(&sim, 100 * NS_PER_MS);
}

static struct bgp_open its_open(void)
{
	struct bgp_open o = hand_open_of(HAND_AS, HAND);

	o.can.restart = (struct bgp_restart){ .is_there = true, .time_s = 20, .ipv4 = true, .ipv4_kept = true };
	return o;
}

static void up_with(struct hand *h, const struct bgp_open *o)
{
	hand_say_open(h, o);
	say_hex(h, KEEPALIVE_MSG);
	assert_true(sim_is_up(&sim, 0, 0));
}

static void up(void)
{
	const struct bgp_open o = its_open();

	begin(&usual);
	up_with(&hand, &o);
}

static uint32_t notified(struct hand *h, struct bgp_notification *n)
{
	*n = (struct bgp_notification){ 0 };
	return hand_notified(h, n);
}

/* In a state, what is said, what comes of it. */
static void expect(enum bgp_state state, const char *hex, uint32_t want)
{
	struct bgp_notification n;
	struct bgp_open o = hand_open_of(HAND_AS, HAND);

	begin(&usual);
	if (state >= BGP_STATE_OPEN_CONFIRM)
		hand_say_open(&hand, &o);
	if (state == BGP_STATE_ESTABLISHED)
		say_hex(&hand, KEEPALIVE_MSG);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(sim_look(&sim, 0, 0).state, state);
	say_hex(&hand, hex);
	assert_int_equal(notified(&hand, &n), want);
	if (want != 0)
		assert_int_equal(sim_look(&sim, 0, 0).state, BGP_STATE_IDLE);
	sim_end(&sim);
}

#define EXPECT(name, state, hex, want) \
	static void name(void) \
	{ \
		expect(BGP_STATE_##state, hex, want); \
	}

/* --- RFC 4271 --- */

EXPECT(update_in_open_sent, OPEN_SENT, UPDATE_MSG, 0x0501)
EXPECT(keepalive_in_open_sent, OPEN_SENT, KEEPALIVE_MSG, 0x0501)
EXPECT(update_in_open_confirm, OPEN_CONFIRM, UPDATE_MSG, 0x0502)
EXPECT(open_in_open_confirm, OPEN_CONFIRM, OPEN_MSG, 0x0502)
EXPECT(open_in_established, ESTABLISHED, OPEN_MSG, 0x0503)
EXPECT(unknown_type, ESTABLISHED, "{ff}16 0013 2a", 0x0103)
EXPECT(bad_open, OPEN_SENT, "{ff}16 001d 01 04 fdeb 005a 0a000002 00", 0x0202)
EXPECT(good_update, ESTABLISHED, UPDATE_MSG, 0)

static void starts_by_connecting(void)
{
	begin(&usual);
	assert_true(hand.n_accepted == 1 && sim_look(&sim, 0, 0).state == BGP_STATE_OPEN_SENT);
	sim_end(&sim);
}

static void starts_passively(void)
{
	begin(&(struct bgp_neighbor_config){ .is_passive = true });
	sim_run(&sim, 300 * NS_PER_S);
	assert_true(hand.n_accepted == 0 && sim_look(&sim, 0, 0).state == BGP_STATE_ACTIVE);
	sim_end(&sim);
}

static void delays_open(void)
{
	begin(&(struct bgp_neighbor_config){ .delay_open_s = 8 });
	assert_true(hand.n_accepted == 1 && hand.n_got == 0);
	sim_run(&sim, 8 * NS_PER_S);
	assert_true(hand.n_got > 0 && sim_look(&sim, 0, 0).state == BGP_STATE_OPEN_SENT);
	sim_end(&sim);
}

static void delayed_open_is_answered(void)
{
	const struct bgp_open o = its_open();

	begin(&(struct bgp_neighbor_config){ .delay_open_s = 8 });
	up_with(&hand, &o);
	sim_end(&sim);
}

static void idle_refuses(void)
{
	up();
	say_hex(&hand, "{ff}16 0015 03 06 04");
	assert_int_equal(sim_look(&sim, 0, 0).state, BGP_STATE_IDLE);
	hand_init(&second, &sim, HAND, false);
	hand_connect(&second, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(second.s == NULL);
	sim_end(&sim);
}

static void idle_hold_grows(void)
{
	uint64_t waits[3];

	begin(&usual);
	for (uint32_t i = 0; i < 3; i++) {
		say_hex(&hand, "{ff}16 0015 03 06 04");
		uint64_t then = sim.now;

		while (hand.s == NULL)
			sim_run(&sim, 10 * NS_PER_MS);
		waits[i] = sim.now - then;
	}
	assert_true(waits[1] > waits[0] && waits[2] > waits[1]);
	sim_end(&sim);
}

static void silent_peer(uint64_t after, uint64_t by, bool has_open)
{
	struct bgp_notification n;
	const struct bgp_open o = hand_open_of(HAND_AS, HAND);

	begin(&usual);
	if (has_open)
		up_with(&hand, &o);
	sim_run(&sim, after);
	assert_true(hand.s != NULL);
	sim_run(&sim, by);
	assert_int_equal(notified(&hand, &n), 0x0400);
	sim_end(&sim);
}

static void hold_timer(void)
{
	silent_peer(89 * NS_PER_S, NS_PER_S, true);
}

static void hold_timer_large(void)
{
	silent_peer(238 * NS_PER_S, 1100 * NS_PER_MS, false);
}

static void hold_of_three(const char *hex)
{
	struct bgp_open o = its_open();

	o.hold_s = 3;
	begin(&usual);
	up_with(&hand, &o);
	for (uint32_t i = 0; i < 10; i++) {
		sim_run(&sim, 2800 * NS_PER_MS);
		say_hex(&hand, hex);
		assert_true(sim_is_up(&sim, 0, 0));
	}
	sim_end(&sim);
}

static void keepalive_restarts(void)
{
	hold_of_three(KEEPALIVE_MSG);
}

static void update_restarts(void)
{
	hold_of_three(UPDATE_MSG);
}

static void hold_is_the_lesser(void)
{
	struct bgp_open o = its_open();

	o.hold_s = 12;
	begin(&usual);
	up_with(&hand, &o);
	assert_true(sim_look(&sim, 0, 0).hold_s == 12 && sim_look(&sim, 0, 0).keepalive_s == 4);
	sim_end(&sim);
}

static void hold_of_zero(void)
{
	struct bgp_open o = its_open();

	o.hold_s = 0;
	begin(&usual);
	up_with(&hand, &o);
	size_t n = hand.n_got;

	sim_run(&sim, 10000 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0) && hand.n_got == n);
	sim_end(&sim);
}

static void keepalive_confirms(void)
{
	const struct bgp_open o = its_open();
	size_t len;
	uint8_t type;

	begin(&usual);
	(void)hand_next(&hand, &len, &type);
	assert_int_equal(type, BGP_OPEN);
	hand_say_open(&hand, &o);
	sim_run(&sim, 100 * NS_PER_MS);
	(void)hand_next(&hand, &len, &type);
	assert_int_equal(type, BGP_KEEPALIVE);
	assert_int_equal(sim_look(&sim, 0, 0).state, BGP_STATE_OPEN_CONFIRM);
	say_hex(&hand, KEEPALIVE_MSG);
	assert_true(sim_is_up(&sim, 0, 0));
	sim_end(&sim);
}

static void keepalives_are_apart(void)
{
	struct bgp_open o = its_open();

	o.hold_s = 9;
	begin(&usual);
	up_with(&hand, &o);
	uint64_t last = hand.at, least = TIME_NEVER, most = 0;

	for (uint32_t i = 0; i < 3000; i++) {
		if (i % 50 == 0)
			hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, 10 * NS_PER_MS);
		if (hand.at > last && i > 400) {
			least = min_u64(least, hand.at - last);
			most = max_u64(most, hand.at - last);
		}
		last = hand.at;
	}
	assert_true(most <= 3002 * NS_PER_MS && least >= 2200 * NS_PER_MS && least < most);
	sim_end(&sim);
}

static void notification_is_not_answered(void)
{
	struct bgp_notification n;

	up();
	say_hex(&hand, "{ff}16 0015 03 06 04");
	assert_true(notified(&hand, &n) == 0 && hand.n_closed == 1);
	sim_end(&sim);
}

static uint32_t n_paths(void)
{
	return bgp_table_stats(sim.router[0].table).n_paths;
}

static void say_routes(void)
{
	hand_say_update(&hand, "", ATTRS, "18 0b0000 18 0b0001");
	sim_run(&sim, 100 * NS_PER_MS);
}

static void routes_go(void)
{
	const struct bgp_open o = hand_open_of(HAND_AS, HAND);

	begin(&usual);
	up_with(&hand, &o);
	say_routes();
	assert_int_equal(n_paths(), 2);
	hand.s->carrier->abort(hand.s);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(n_paths(), 0);
	sim_end(&sim);
}

/* --- 6.8 --- */

/* Both connections stand; the peer says OPEN on ours, then on its own, with that identifier. Which of them is left. */
static bool ours_is_left(uint32_t id)
{
	const struct bgp_open o = hand_open_of(HAND_AS, id);
	struct bgp_notification n;

	begin(&usual);
	hand_init(&second, &sim, HAND, false);
	hand_connect(&second, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(hand.s != NULL && second.s != NULL);
	hand_say_open(&hand, &o);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(hand.s != NULL && second.s != NULL);
	hand_say_open(&second, &o);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true((hand.s != NULL) != (second.s != NULL));
	bool ours = hand.s != NULL;

	assert_int_equal(notified(ours ? &second : &hand, &n), 0x0607);
	sim_end(&sim);
	return ours;
}

static void higher_stays(void)
{
	assert_true(!ours_is_left(IP4(10, 0, 0, 2)) && ours_is_left(IP4(9, 255, 255, 255)));
}

static void compared_as_numbers(void)
{
	assert_false(ours_is_left(IP4(200, 0, 0, 1)));
}

static void equal_identifiers(void)
{
	assert_false(ours_is_left(IP4(10, 0, 0, 1))); /* its AS is the greater one */
}

static void established_stays(void)
{
	const struct bgp_open o = hand_open_of(HAND_AS, HAND);
	struct bgp_notification n;

	begin(&usual);
	up_with(&hand, &o);
	hand_init(&second, &sim, HAND, false);
	hand_connect(&second, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	hand_say_open(&second, &o);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(notified(&second, &n), 0x0607);
	assert_true(sim_is_up(&sim, 0, 0) && hand.s != NULL);
	sim_end(&sim);
}

/* --- RFC 4724, 8538 --- */

static void restart_is_said(void)
{
	size_t len;
	uint8_t type;
	struct bgp_error e;
	struct bgp_open o;

	begin_with(&(struct sim_config){ .restarted_s = 100 }, &usual);
	const uint8_t *p = hand_next(&hand, &len, &type);

	assert_int_equal(
		bgp_open_parse(&(struct bgp_wire){ .local_as = HAND_AS, .role = BGP_ROLE_NONE }, p, len, &o, &e),
		BGP_ACCEPT);
	assert_true(o.can.restart.restarting && !o.can.restart.ipv4_kept && o.can.restart.ipv4);
	sim_end(&sim);
}

static void end_of_rib_is_said(void)
{
	bool seen = false;
	size_t len;
	uint8_t type;

	up();
	while (hand_next(&hand, &len, &type) != NULL)
		seen |= type == BGP_UPDATE && len == BGP_HEADER_LEN + 4;
	assert_true(seen);
	sim_end(&sim);
}

static void waits_for_end_of_rib(void)
{
	const struct bgp_open o = its_open();

	begin_with(&(struct sim_config){ .restarted_s = 100 }, &usual);
	up_with(&hand, &o);
	sim_run(&sim, 50 * NS_PER_S);
	assert_false(sim_look(&sim, 0, 0).eor_out);
	say_hex(&hand, UPDATE_MSG);
	assert_true(sim_look(&sim, 0, 0).eor_out);
	sim_end(&sim);
}

static void lose_with(const struct bgp_open *o)
{
	begin(&usual);
	up_with(&hand, o);
	say_routes();
	hand.s->carrier->abort(hand.s);
	hand.s = NULL;
	sim_run(&sim, 100 * NS_PER_MS);
}

static void back_with(const struct bgp_open *o)
{
	sim_run(&sim, 2 * NS_PER_S);
	assert_true(hand.s != NULL);
	up_with(&hand, o);
}

static void routes_are_kept(void)
{
	const struct bgp_open o = its_open();

	lose_with(&o);
	assert_int_equal(n_paths(), 2);
	back_with(&o);
	assert_int_equal(n_paths(), 2);
	sim_end(&sim);
}

static void not_without_capability(void)
{
	const struct bgp_open o = hand_open_of(HAND_AS, HAND);

	lose_with(&o);
	assert_int_equal(n_paths(), 0);
	sim_end(&sim);
}

static void restart_time(void)
{
	const struct bgp_open o = its_open();

	lose_with(&o);
	assert_int_equal(hand.carrier->listen != NULL, true);
	stream_memory_link(sim.net, HAND, sim_addr(0), false);
	sim_run(&sim, 19 * NS_PER_S);
	assert_int_equal(n_paths(), 2);
	sim_run(&sim, NS_PER_S);
	assert_int_equal(n_paths(), 0);
	sim_end(&sim);
}

static void forwarding_lost(void)
{
	struct bgp_open o = its_open();

	lose_with(&o);
	o.can.restart.ipv4_kept = false;
	back_with(&o);
	assert_int_equal(n_paths(), 0);
	sim_end(&sim);
}

static void end_of_rib_sweeps(void)
{
	const struct bgp_open o = its_open();

	lose_with(&o);
	back_with(&o);
	hand_say_update(&hand, "", ATTRS, "18 0b0001");
	say_hex(&hand, UPDATE_MSG);
	assert_int_equal(n_paths(), 1);
	sim_end(&sim);
}

static void second_restart(void)
{
	const struct bgp_open o = its_open();

	lose_with(&o);
	back_with(&o);
	hand_say_update(&hand, "", ATTRS, "18 0b0001");
	sim_run(&sim, 100 * NS_PER_MS);
	hand.s->carrier->abort(hand.s);
	hand.s = NULL;
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(n_paths(), 1);
	sim_end(&sim);
}

static void new_connection_is_a_restart(void)
{
	const struct bgp_open o = its_open();

	up();
	say_routes();
	hand_init(&second, &sim, HAND, false);
	hand_connect(&second, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	up_with(&second, &o);
	assert_true(hand.s == NULL && second.s != NULL && n_paths() == 2);
	sim_end(&sim);
}

static void told_with(bool n_bit, const char *hex, uint32_t want_paths)
{
	struct bgp_open o = its_open();

	o.can.restart.notification = n_bit;
	begin(&usual);
	up_with(&hand, &o);
	say_routes();
	say_hex(&hand, hex);
	assert_int_equal(n_paths(), want_paths);
	sim_end(&sim);
}

static void notification_ends_it(void)
{
	told_with(false, "{ff}16 0015 03 06 04", 0);
}

static void notification_keeps(void)
{
	told_with(true, "{ff}16 0015 03 06 04", 2);
}

static void hard_reset_ends_it(void)
{
	told_with(true, "{ff}16 0017 03 06 09 06 04", 0);
}

static void hard_reset_is_sent(void)
{
	struct bgp_notification n;
	struct bgp_open o = its_open();

	for (int n_bit = 0; n_bit < 2; n_bit++) {
		o.can.restart.notification = n_bit == 1;
		begin(&usual);
		up_with(&hand, &o);
		bgp_speaker_remove(sim.router[0].speaker, 0, sim.now);
		sim_run(&sim, 100 * NS_PER_MS);
		assert_int_equal(notified(&hand, &n), 0x0603);
		assert_int_equal(n.is_hard, n_bit);
		sim_end(&sim);
	}
}

/* --- the others --- */

static void without_capabilities(void)
{
	size_t len;
	uint8_t type;

	begin(&usual);
	say_hex(&hand, "{ff}16 0015 03 02 04");
	sim_run(&sim, 2 * NS_PER_S);
	assert_int_equal(hand.n_accepted, 2);
	const uint8_t *p = hand_next(&hand, &len, &type);

	assert_true(type == BGP_OPEN && p[len - 1] == 0);
	sim_end(&sim);
}

static void capability_later(void)
{
	begin(&usual);
	say_hex(&hand, "{ff}16 0025 01 04 fdea 005a 0a000002 08 02 02 c8 00 02 02 02 00");
	say_hex(&hand, KEEPALIVE_MSG);
	assert_true(sim_is_up(&sim, 0, 0) && sim_look(&sim, 0, 0).theirs.can.refresh);
	sim_end(&sim);
}

static void with_role(uint8_t ours, const char *theirs, bool is_strict, uint32_t want)
{
	struct bgp_notification n;

	begin(&(struct bgp_neighbor_config){ .has_role = true, .role = ours, .strict_role = is_strict });
	hand_say(&hand, BGP_OPEN, theirs);
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(notified(&hand, &n), want);
	assert_int_equal(sim_is_up(&sim, 0, 0), want == 0);
	sim_end(&sim);
}

#define ROLE(n) "04 fdea 005a 0a000002 05 02 03 09 01 " n
#define NO_ROLE "04 fdea 005a 0a000002 00"

static void roles_match(void)
{
	with_role(BGP_ROLE_PROVIDER, ROLE("03"), false, 0);
	with_role(BGP_ROLE_CUSTOMER, ROLE("00"), false, 0);
	with_role(BGP_ROLE_RS, ROLE("02"), false, 0);
	with_role(BGP_ROLE_RS_CLIENT, ROLE("01"), false, 0);
	with_role(BGP_ROLE_PEER, ROLE("04"), false, 0);
}

static void roles_mismatch(void)
{
	with_role(BGP_ROLE_PROVIDER, ROLE("00"), false, 0x020b);
	with_role(BGP_ROLE_PEER, ROLE("03"), false, 0x020b);
	with_role(BGP_ROLE_PEER, ROLE("09"), false, 0x020b);
}

static void role_missing(void)
{
	with_role(BGP_ROLE_PEER, NO_ROLE, false, 0);
}

static void role_strict(void)
{
	with_role(BGP_ROLE_PEER, NO_ROLE, true, 0x020b);
}

static void roles_differ(void)
{
	with_role(BGP_ROLE_PEER, "04 fdea 005a 0a000002 0a 02 03 09 01 04 02 03 09 01 03", false, 0x020b);
}

static void role_not_within(void)
{
	const struct bgp_neighbor_config c = {
		.peers = { HAND, 32 }, .peer_as = 65001, .has_role = true, .role = BGP_ROLE_PEER
	};

	assert_non_null(bgp_neighbor_config_fault(&c, 65001));
}

static void send_hold(uint16_t hold_s, uint64_t just_before)
{
	struct bgp_open o = its_open();
	struct bgp_neighbor_view v;

	o.hold_s = hold_s;
	begin_with(&(struct sim_config){ .net = { .buffer = 256 } },
		   &(struct bgp_neighbor_config){ .hold_s = hold_s, .keepalive_s = 1 });
	up_with(&hand, &o);
	hand.is_deaf = true;
	/* KEEPALIVEs, a second apart, fill what is between us. */
	while (sim_look(&sim, 0, 0).unacked == 0) {
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, NS_PER_S);
	}
	for (uint64_t t = 0; t < just_before; t += NS_PER_S) {
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, NS_PER_S);
	}
	assert_true(sim_is_up(&sim, 0, 0));
	sim_run(&sim, 6 * NS_PER_S);
	v = sim.router[0].last[BGP_EVENT_DOWN];
	assert_true(v.last.code == BGP_SEND_HOLD_EXPIRED && v.last.side == BGP_SIDE_LOCAL && !v.last.keeps);
	sim_end(&sim);
}

static void send_hold_eight_minutes(void)
{
	send_hold(90, 475 * NS_PER_S);
}

static void send_hold_twice_hold(void)
{
	send_hold(600, 1195 * NS_PER_S);
}

static void shutdown_text(void)
{
	struct bgp_notification n;

	up();
	bgp_speaker_shut(sim.router[0].speaker, 0, &(struct bgp_command){ .text = "bye", .text_len = 3 }, sim.now);
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(notified(&hand, &n), 0x0602);
	assert_true(n.text_len == 3 && memcmp(n.text, "bye", 3) == 0);
	sim_end(&sim);
}

static void shutdown_text_is_seen(void)
{
	up();
	say_hex(&hand, "{ff}16 0019 03 06 02 03 627965");
	struct bgp_down d = sim.router[0].last[BGP_EVENT_DOWN].last;

	assert_true(d.text_len == 3 && memcmp(d.text, "bye", 3) == 0);
	sim_end(&sim);
}

static void refresh_marks(void)
{
	uint32_t n_marks = 0;
	size_t len;
	uint8_t type;

	up();
	while (hand_next(&hand, &len, &type) != NULL)
		;
	say_hex(&hand, "{ff}16 0017 05 0001 00 01");
	for (const uint8_t *p; (p = hand_next(&hand, &len, &type)) != NULL;)
		if (type == BGP_ROUTE_REFRESH) {
			n_marks++;
			assert_int_equal(p[BGP_HEADER_LEN + 2], n_marks); /* begins, ends */
		}
	assert_int_equal(n_marks, 2);
	sim_end(&sim);
}

static void early_marks_are_ignored(void)
{
	up();
	say_routes();
	say_hex(&hand, "{ff}16 0017 05 0001 01 01");
	say_hex(&hand, "{ff}16 0017 05 0001 02 01");
	assert_int_equal(n_paths(), 2);
	sim_end(&sim);
}

static void refresh_sweeps(void)
{
	up();
	say_routes();
	say_hex(&hand, "{ff}16 0017 02 0000 0000");
	say_hex(&hand, "{ff}16 0017 05 0001 01 01");
	hand_say_update(&hand, "", ATTRS, "18 0b0001");
	say_hex(&hand, "{ff}16 0017 05 0001 02 01");
	assert_int_equal(n_paths(), 1);
	sim_end(&sim);
}

static void ttl_security(void)
{
	for (uint8_t ttl = 254; ttl >= 253; ttl--) {
		begin(&(struct bgp_neighbor_config){ .is_passive = true, .ttl_security = true, .hops = 2 });
		hand_connect(&hand, 0, &(struct stream_connect){ .ttl = { ttl, 255 } });
		sim_run(&sim, NS_PER_S);
		const struct bgp_open o = its_open();

		hand_say_open(&hand, &o);
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, NS_PER_S);
		assert_int_equal(sim_is_up(&sim, 0, 0), ttl == 254);
		sim_end(&sim);
	}
}

#define ROW(section, words, function) \
	{ \
		section, words, .run = function \
	}

static const struct rfc_bgp_row rows4271[] = {
	ROW("8.2.2 Idle", "A session that is wanted begins with a connection of ours", starts_by_connecting),
	ROW("8.2.2 Idle", "... or waits for the peer's, in Active", starts_passively),
	ROW("8.2.2 Idle", "Connections are refused", idle_refuses),
	ROW("8.1.1", "Sessions that end are tried again later and later", idle_hold_grows),
	ROW("8.2.2 Connect", "OPEN waits for the DelayOpenTimer", delays_open),
	ROW("8.2.2 Connect", "... but not when the peer's comes first (event 20)", delayed_open_is_answered),
	ROW("8.2.2 OpenSent", "No OPEN for 4 minutes ends it: 4/0", hold_timer_large),
	ROW("8.2.2 OpenSent", "A bad OPEN ends it with its error", bad_open),
	ROW("8.2.2 OpenSent", "An UPDATE ends it: 5/1 (RFC 6608)", update_in_open_sent),
	ROW("8.2.2 OpenSent", "... and so does a KEEPALIVE", keepalive_in_open_sent),
	ROW("8.2.2 OpenConfirm", "OPEN is answered by KEEPALIVE, KEEPALIVE establishes", keepalive_confirms),
	ROW("8.2.2 OpenConfirm", "An UPDATE ends it: 5/2 (RFC 6608)", update_in_open_confirm),
	ROW("8.2.2 OpenConfirm", "A second OPEN ends it", open_in_open_confirm),
	ROW("8.2.2 Established", "An OPEN ends it: 5/3 (RFC 6608)", open_in_established),
	ROW("8.2.2 Established", "An UPDATE does not", good_update),
	ROW("8.2.2 Established", "A KEEPALIVE restarts the HoldTimer", keepalive_restarts),
	ROW("8.2.2 Established", "... and so does an UPDATE", update_restarts),
	ROW("8.2.2 Established", "Routes go with the session", routes_go),
	ROW("6.1", "A type that there is not ends it: 1/3", unknown_type),
	ROW("6.4", "A NOTIFICATION is not answered", notification_is_not_answered),
	ROW("6.5", "Silence for the hold time ends it: 4/0", hold_timer),
	ROW("4.2", "The lesser hold time of both counts", hold_is_the_lesser),
	ROW("4.4", "KEEPALIVEs are a third of it apart, with jitter (section 10)", keepalives_are_apart),
	ROW("4.4", "With a hold time of 0 there are none", hold_of_zero),
	ROW("6.8", "Of two connections that of the higher identifier stays", higher_stays),
	ROW("6.8", "... compared as unsigned numbers in host order", compared_as_numbers),
	ROW("6.8", "An established one stays beside a new one: 6/7", established_stays),
};

static const struct rfc_bgp_row rows4724[] = {
	ROW("4.1", "Who restarts says R, and F only if forwarding went on", restart_is_said),
	ROW("4.1", "... and tells nobody anything before End-of-RIB has come", waits_for_end_of_rib),
	ROW("2", "End-of-RIB is said also when there is no route", end_of_rib_is_said),
	ROW("4.2", "Routes stay when the connection is lost", routes_are_kept),
	ROW("4.2", "... but not without the capability", not_without_capability),
	ROW("4.2", "... nor behind a NOTIFICATION", notification_ends_it),
	ROW("4.2", "... nor longer than the restart time", restart_time),
	ROW("4.2", "... nor when the peer comes back without F", forwarding_lost),
	ROW("4.2", "What was not announced again goes at End-of-RIB", end_of_rib_sweeps),
	ROW("4.2", "A second restart ends what is stale from the first", second_restart),
	ROW("5", "A new connection of the peer's is a restart", new_connection_is_a_restart),
};

static const struct rfc_bgp_row rows8538[] = {
	ROW("4", "With N of both a NOTIFICATION keeps routes", notification_keeps),
	ROW("3.1", "... but not a hard reset", hard_reset_ends_it),
	ROW("3.1", "... which is sent where they must not stay, and only with N", hard_reset_is_sent),
};

static const struct rfc_bgp_row rows9687[] = {
	ROW("3", "Nothing taken for 8 minutes ends the session: 8/0", send_hold_eight_minutes),
	ROW("3", "... or for twice the hold time, if that is longer", send_hold_twice_hold),
};

static const struct rfc_bgp_row rows9234[] = {
	ROW("4.2", "Roles that belong together are taken", roles_match),
	ROW("4.2", "Others end it: 2/11", roles_mismatch),
	ROW("4.2", "... and so do two that differ", roles_differ),
	ROW("4.2", "A peer that says none is taken", role_missing),
	ROW("4.2", "... but not in strict mode", role_strict),
	ROW("4", "There are no roles within an AS", role_not_within),
};

static const struct rfc_bgp_row rows5492[] = {
	ROW("3", "A peer that refuses parameters gets an OPEN without", without_capabilities),
	ROW("4", "Unknown capabilities are passed over, in several parameters too", capability_later),
};

static const struct rfc_bgp_row rows6286[] = {
	ROW("2.3", "Equal identifiers in a collision: that of the greater AS stays", equal_identifiers),
};

static const struct rfc_bgp_row rows7313[] = {
	ROW("4", "A refresh goes between its marks", refresh_marks),
	ROW("4", "What is not between them goes", refresh_sweeps),
	ROW("4", "Before End-of-RIB of a peer that can restart they are ignored", early_marks_are_ignored),
};

static const struct rfc_bgp_row rows9003[] = {
	ROW("2", "A shutdown has the operator's words", shutdown_text),
	ROW("3", "Those of the peer's are shown", shutdown_text_is_seen),
};

static const struct rfc_bgp_row rows5082[] = {
	ROW("3", "What has come too far is not taken", ttl_security),
};

#define TABLE(n) \
	{ \
		"RFC " #n, rows##n, ARRAY_LEN(rows##n) \
	}

const struct rfc_bgp_table rfc_bgp_session_tables[RFC_BGP_SESSION_TABLES] = {
	TABLE(4271), TABLE(4724), TABLE(5082), TABLE(5492), TABLE(6286),
	TABLE(7313), TABLE(8538), TABLE(9003), TABLE(9234), TABLE(9687),
};
