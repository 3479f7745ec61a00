/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sessions on virtual time: both ends ours, and a hand at the other end that says what no speaker would.
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
static struct hand hand;
static const struct bgp_neighbor_config usual;

/* Router 0, and a hand that is a neighbour of it. */
static uint32_t start(const struct sim_config *c, const struct bgp_neighbor_config *tweak, bool listens)
{
	struct bgp_neighbor_config n = *tweak;
	struct sim_config config = *c;

	config.n_routers = 1;
	sim_start(&sim, &config);
	hand_init(&hand, &sim, HAND, listens);
	if (n.peer_as == 0)
		n.peer_as = HAND_AS;
	return sim_add_at(&sim, 0, HAND, &n);
}

static uint32_t start_usual(const struct bgp_neighbor_config *tweak)
{
	return start(&(struct sim_config){ 0 }, tweak, true);
}

static struct bgp_open its_open(void)
{
	return hand_open_of(HAND_AS, HAND);
}

/* Says what brings the session up. */
static void come_up(const struct bgp_open *o)
{
	sim_run(&sim, NS_PER_S);
	assert_non_null(hand.s);
	hand_say_open(&hand, o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 0));
}

/* Would catch: sessions that do not come up, or not by one connection; capabilities, times and numbers that are not
 * those of both OPENs; a KEEPALIVE that does not come. */
static void test_two(void **state)
{
	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	uint32_t a = sim_add(&sim, 0, 1, &usual);
	uint32_t b = sim_add(&sim, 1, 0, &(struct bgp_neighbor_config){ .hold_s = 30 });

	sim_run(&sim, 5 * NS_PER_S);
	struct bgp_neighbor_view v = sim_look(&sim, 0, a), w = sim_look(&sim, 1, b);
	assert_true(v.state == BGP_STATE_ESTABLISHED && w.state == BGP_STATE_ESTABLISHED);
	assert_true(v.is_accepted != w.is_accepted && v.local.port == w.remote.port);
	assert_true(v.hold_s == 30 && w.hold_s == 30 && v.keepalive_s == 10);
	assert_true(v.theirs.as == 65002 && v.theirs.id == sim_addr(1) && v.wire.as4 && v.wire.enhanced_refresh &&
		    v.theirs.can.restart.notification);
	assert_true(v.eor_in && v.eor_out && w.eor_in && w.eor_out);
	assert_true(sim.router[0].n_events[BGP_EVENT_UP] == 1 && sim.router[0].n_events[BGP_EVENT_SYNCED] == 1);
	sim_run(&sim, 600 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, a) && sim_is_up(&sim, 1, b));
	v = sim_look(&sim, 0, a);
	assert_true(v.count.messages[BGP_IN][BGP_KEEPALIVE] >= 60 && v.count.messages[BGP_IN][BGP_KEEPALIVE] <= 81);
	assert_int_equal(v.count.n_up, 1);
	assert_int_equal(stream_memory_n_open(sim.net), 1);
	sim_end(&sim);
}

/* What comes of a message, in hex, in a state. */
struct said {
	const char *what;
	enum bgp_state state;
	const char *bytes; /* a whole message */
	uint32_t want;     /* code and subcode; 0: the session stays */
	const char *data;  /* of the NOTIFICATION; NULL: any */
};

static void bring_to(enum bgp_state state)
{
	const struct bgp_open o = its_open();

	sim_run(&sim, NS_PER_S);
	assert_non_null(hand.s);
	if (state >= BGP_STATE_OPEN_CONFIRM)
		hand_say_open(&hand, &o);
	if (state >= BGP_STATE_ESTABLISHED)
		hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(sim_look(&sim, 0, 0).state, state);
}

#define UPDATE "{ff}16 0017 02 0000 0000"
#define OPEN_BODY "04 fdea 005a 0a000002 00"

/* Traps 13 and 14. Would catch: a message that has no place, or that does not exist, taken for another, ignored, or
 * answered with another code than the peer needs; a connection closed without a word. */
static void test_out_of_place(void **state)
{
	static const struct said rows[] = {
		{ "type 42", BGP_STATE_ESTABLISHED, "{ff}16 0013 2a", 0x0103, "2a" },
		{ "type 0", BGP_STATE_OPEN_SENT, "{ff}16 0013 00", 0x0103, "00" },
		{ "KEEPALIVE of 20 bytes", BGP_STATE_ESTABLISHED, "{ff}16 0014 04 00", 0x0102, "0014" },
		{ "marker", BGP_STATE_ESTABLISHED, "{ff}15 fe 0013 04", 0x0101, "" },
		{ "UPDATE", BGP_STATE_OPEN_SENT, UPDATE, 0x0501, "02" },
		{ "KEEPALIVE", BGP_STATE_OPEN_SENT, "{ff}16 0013 04", 0x0501, "04" },
		{ "UPDATE", BGP_STATE_OPEN_CONFIRM, UPDATE, 0x0502, "02" },
		{ "OPEN", BGP_STATE_OPEN_CONFIRM, "{ff}16 001d 01 " OPEN_BODY, 0x0502, "01" },
		{ "OPEN", BGP_STATE_ESTABLISHED, "{ff}16 001d 01 " OPEN_BODY, 0x0503, "01" },
		{ "ROUTE-REFRESH", BGP_STATE_OPEN_CONFIRM, "{ff}16 0017 05 0001 00 01", 0x0502, "05" },
		{ "UPDATE", BGP_STATE_ESTABLISHED, UPDATE, 0, NULL },
		{ "KEEPALIVE", BGP_STATE_ESTABLISHED, "{ff}16 0013 04", 0, NULL },
		{ "ROUTE-REFRESH", BGP_STATE_ESTABLISHED, "{ff}16 0017 05 0001 00 01", 0, NULL },
		{ "ROUTE-REFRESH of IPv6", BGP_STATE_ESTABLISHED, "{ff}16 0017 05 0002 00 01", 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct said *r = &rows[i];
		uint8_t p[BGP_FIXTURE_MAX], data[32];
		struct bgp_notification n = { 0 };

		start_usual(&usual);
		bring_to(r->state);
		hand_say_bytes(&hand, p, bgp_fixture_hex(p, sizeof(p), r->bytes));
		sim_run(&sim, 100 * NS_PER_MS);
		uint32_t got = hand_notified(&hand, &n);
		if (got != r->want)
			printf("%s in %s: %04x, not %04x\n", r->what, bgp_state_names[r->state], got, r->want);
		assert_int_equal(got, r->want);
		assert_int_equal(sim_look(&sim, 0, 0).state, r->want != 0 ? BGP_STATE_IDLE : r->state);
		assert_int_equal(hand.n_closed, r->want != 0);
		if (r->data != NULL) {
			size_t len = bgp_fixture_hex(data, sizeof(data), r->data);

			assert_int_equal(n.data_len, len);
			assert_memory_equal(n.data, data, len);
		}
		if (r->want != 0) {
			struct bgp_neighbor_view v = sim_look(&sim, 0, 0);

			assert_true(v.last.side == BGP_SIDE_LOCAL && v.last.code == r->want >> 8 &&
				    v.last.subcode == (r->want & 0xff) && v.last.why != NULL);
			assert_int_equal(sim.router[0].n_events[BGP_EVENT_DOWN], r->state == BGP_STATE_ESTABLISHED);
		}
		sim_end(&sim);
	}
}

struct open_row {
	const char *body;
	struct bgp_neighbor_config config;
	uint32_t want; /* 0: it comes up */
	uint16_t hold_s;
	bool as4;
};

/* Trap 17. Would catch: an OPEN that is refused for nothing, taken for all its errors, or refused with another code; a
 * hold time that is not the lesser one. */
static void test_opens(void **state)
{
	static const struct open_row rows[] = {
		{ "04 fdea 005a 0a000002 00", { .tag = 0 }, 0, 90, false },
		{ "04 fdea 0000 0a000002 00", { .tag = 0 }, 0, 0, false },
		{ "04 fdea 0003 0a000002 00", { .tag = 0 }, 0, 3, false },
		{ "04 fdea 0001 0a000002 00", { .tag = 0 }, 0x0206, 0, false },
		{ "04 fdea 0002 0a000002 00", { .tag = 0 }, 0x0206, 0, false },
		{ "03 fdea 005a 0a000002 00", { .tag = 0 }, 0x0201, 0, false },
		{ "04 fdeb 005a 0a000002 00", { .tag = 0 }, 0x0202, 0, false },
		{ "04 fdea 005a 00000000 00", { .tag = 0 }, 0x0203, 0, false },
		{ "04 fdea 005a 0a000001 00", { .tag = 0 }, 0, 90, false },             /* our identifier: RFC 6286 */
		{ "04 fde9 005a 0a000001 00", { .peer_as = 65001 }, 0x0203, 0, false }, /* ... in our AS */
		{ "04 fde9 005a 0a000002 00", { .peer_as = 65001 }, 0, 90, false },
		{ "04 fdea 005a 0a000002 04 01 02 00 00",
		  { .tag = 0 },
		  0x0204,
		  0,
		  false },                                                              /* authentication: no more */
		{ "04 fdea 005a 0a000002 04 02 02 c8 00", { .tag = 0 }, 0, 90, false }, /* unknown capability */
		{ "04 fdea 005a 0a000002 08 02 06 41 04 0000fdea", { .tag = 0 }, 0, 90, true },
		{ "04 fdea 005a 0a000002 08 02 06 41 04 0000fdeb", { .tag = 0 }, 0x0202, 0, false },
		{ "04 fdea 005a 0a000002 ff ff 0009 02 0006 41 04 0000fdea", { .tag = 0 }, 0, 90, true }, /* RFC 9072 */
		{ "04 fdea 005a 0a000002 00", { .hold_s = 30 }, 0, 30, false },
		{ "04 fdea 005a 0a000002 00", { .hold_s = BGP_HOLD_NONE }, 0, 0, false },
		{ "04 fdea 005a 0a000002 05 02 03 09 01 03",
		  { .has_role = true, .role = BGP_ROLE_PROVIDER },
		  0,
		  90,
		  false },
		{ "04 fdea 005a 0a000002 05 02 03 09 01 00",
		  { .has_role = true, .role = BGP_ROLE_PROVIDER },
		  0x020b,
		  0,
		  false },
		{ "04 fdea 005a 0a000002 00",
		  { .has_role = true, .role = BGP_ROLE_PEER, .strict_role = true },
		  0x020b,
		  0,
		  false },
		{ "04 fdea 005a 0a000002 00", { .has_role = true, .role = BGP_ROLE_PEER }, 0, 90, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct open_row *r = &rows[i];
		struct bgp_notification n = { 0 };

		start_usual(&r->config);
		bring_to(BGP_STATE_OPEN_SENT);
		hand_say(&hand, BGP_OPEN, r->body);
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, 100 * NS_PER_MS);
		struct bgp_neighbor_view v = sim_look(&sim, 0, 0);
		uint32_t got = hand_notified(&hand, &n);
		if (got != r->want)
			printf("%s: %04x, not %04x\n", r->body, got, r->want);
		assert_int_equal(got, r->want);
		assert_int_equal(v.state, r->want != 0 ? BGP_STATE_IDLE : BGP_STATE_ESTABLISHED);
		if (r->want == 0)
			assert_true(v.hold_s == r->hold_s && v.wire.as4 == r->as4 &&
				    (v.keepalive_at == TIME_NEVER) == (r->hold_s == 0));
		sim_end(&sim);
	}
}

/* Would catch: capabilities that are said again to a peer that does not know what they are, so that it never comes up
 * (RFC 5492 section 3). */
static void test_no_capabilities(void **state)
{
	struct bgp_open o = its_open();
	size_t len;
	uint8_t type;

	start_usual(&usual);
	bring_to(BGP_STATE_OPEN_SENT);
	hand_say(&hand, BGP_NOTIFICATION, "02 04");
	sim_run(&sim, 2 * NS_PER_S);
	assert_int_equal(hand.n_accepted, 2);
	const uint8_t *p = hand_next(&hand, &len, &type);
	assert_true(type == BGP_OPEN && len == BGP_HEADER_LEN + 10 && p[len - 1] == 0);
	o.can = (struct bgp_capabilities){ .role = BGP_ROLE_NONE };
	hand_say_open(&hand, &o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0) && !sim_look(&sim, 0, 0).wire.as4);
	sim_end(&sim);
}

/* Would catch: a silent peer that is kept, or not told why it is dropped; one that says something at the last moment,
 * of any kind, and is dropped; KEEPALIVEs that are more than a third of the hold time apart. */
static void test_hold(void **state)
{
	static const char *const kinds[] = { "{ff}16 0013 04", UPDATE, "{ff}16 0017 05 0001 00 01" };
	struct bgp_open o = its_open();
	struct bgp_notification n;
	uint8_t p[BGP_FIXTURE_MAX];

	start_usual(&(struct bgp_neighbor_config){ .hold_s = 9 });
	come_up(&o);
	for (size_t i = 0; i < 30; i++) {
		sim_run(&sim, 8900 * NS_PER_MS);
		hand_say_bytes(&hand, p, bgp_fixture_hex(p, sizeof(p), kinds[i % 3]));
		sim_run(&sim, 10 * NS_PER_MS);
		assert_true(sim_is_up(&sim, 0, 0));
		assert_true(sim.now - hand.at <= 3 * NS_PER_S);
	}
	sim_run(&sim, 8900 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 0));
	sim_run(&sim, 200 * NS_PER_MS);
	assert_false(sim_is_up(&sim, 0, 0));
	assert_int_equal(hand_notified(&hand, &n), 0x0400);
	sim_end(&sim);
	/* No OPEN at all: 4 minutes. */
	start_usual(&usual);
	bring_to(BGP_STATE_OPEN_SENT);
	sim_run(&sim, 238 * NS_PER_S);
	assert_int_equal(sim_look(&sim, 0, 0).state, BGP_STATE_OPEN_SENT);
	sim_run(&sim, NS_PER_S);
	assert_int_equal(hand_notified(&hand, &n), 0x0400);
	sim_end(&sim);
}

/* Would catch: a back-off that does not grow, has no bound, is not reset by a session that holds, or lets the peer in
 * meanwhile. */
static void test_back_off(void **state)
{
	struct bgp_open o = its_open();
	uint64_t ended = 0, least = 0;

	start_usual(&usual);
	for (uint32_t i = 0; i < 10; i++) {
		uint64_t want_s = min_u64(UINT64_C(1) << i, 60);

		while (hand.s == NULL && sim.now - ended < 100 * NS_PER_S)
			sim_run(&sim, 10 * NS_PER_MS);
		assert_non_null(hand.s);
		if (i > 0) {
			assert_in_range(sim.now - ended, least * 3 / 4 * NS_PER_S, (least + 1) * NS_PER_S);
		}
		least = want_s;
		hand_say_open(&hand, &o);
		hand_say(&hand, BGP_NOTIFICATION, "06 04");
		sim_run(&sim, 10 * NS_PER_MS);
		ended = sim.now;
		struct bgp_neighbor_view v = sim_look(&sim, 0, 0);
		assert_true(v.state == BGP_STATE_IDLE && v.idle == BGP_IDLE_BACK_OFF && v.last.side == BGP_SIDE_PEER);
	}
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	assert_true(hand.s == NULL && sim_look(&sim, 0, 0).count.n_refused == 1);
	/* The same reason each time. */
	assert_int_equal(sim.router[0].n_events[BGP_EVENT_FAILED], 1);
	sim_run(&sim, 60 * NS_PER_S);
	o.hold_s = 0;
	come_up(&o);
	sim_run(&sim, 301 * NS_PER_S);
	hand_say(&hand, BGP_NOTIFICATION, "06 04");
	sim_run(&sim, 1100 * NS_PER_MS);
	assert_non_null(hand.s);
	sim_end(&sim);
}

/* Would catch: a peer whose NOTIFICATION makes it look as if nothing were wrong, so that it may come and go as it
 * likes. */
static void test_odd_ends(void **state)
{
	static const struct {
		enum bgp_state in;
		const char *code;
	} rows[] = { { BGP_STATE_OPEN_SENT, "00 00" },
		     { BGP_STATE_OPEN_CONFIRM, "ff ff" },
		     { BGP_STATE_ESTABLISHED, "00 07" },
		     { BGP_STATE_ESTABLISHED, "06 07" } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		start_usual(&usual);
		bring_to(rows[i].in);
		hand_say(&hand, BGP_NOTIFICATION, rows[i].code);
		sim_run(&sim, 10 * NS_PER_MS);
		struct bgp_neighbor_view v = sim_look(&sim, 0, 0);
		assert_true(v.state == BGP_STATE_IDLE && v.idle == BGP_IDLE_BACK_OFF && v.last.side == BGP_SIDE_PEER);
		sim_end(&sim);
	}
}

/* Would catch: a host that is not there and is asked each second for ever, or beside its own connection; a pause that
 * is as long behind a session that was there. */
static void test_retry(void **state)
{
	const struct bgp_open o = its_open();

	start(&(struct sim_config){ 0 }, &usual, false);
	sim_run(&sim, 300 * NS_PER_S);
	assert_in_range(sim_look(&sim, 0, 0).count.n_connects, 9, 13); /* 1, 2, 4 ... 60, 60 s */
	assert_true(sim_look(&sim, 0, 0).state == BGP_STATE_ACTIVE && sim.router[0].n_events[BGP_EVENT_FAILED] == 1);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	uint32_t n = sim_look(&sim, 0, 0).count.n_connects;

	sim_run(&sim, 100 * NS_PER_S); /* it has connected: it need not be, as well */
	assert_int_equal(sim_look(&sim, 0, 0).count.n_connects, n);
	come_up(&o);
	hand.s->carrier->abort(hand.s);
	sim_run(&sim, 10 * NS_PER_S);
	assert_in_range(sim_look(&sim, 0, 0).count.n_connects, n + 3, n + 5);
	sim_end(&sim);
}

/* Would catch: a neighbour that is connected to though it must not be; connections of others, or to another address of
 * ours, that are taken. */
static void test_passive(void **state)
{
	struct bgp_open o = its_open();

	start(&(struct sim_config){ 0 }, &(struct bgp_neighbor_config){ .is_passive = true }, true);
	sim_run(&sim, 200 * NS_PER_S);
	assert_true(hand.n_accepted == 0 && sim_look(&sim, 0, 0).state == BGP_STATE_ACTIVE);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	hand_say_open(&hand, &o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0) && sim_look(&sim, 0, 0).is_accepted);
	sim_end(&sim);
	start(&(struct sim_config){ 0 }, &(struct bgp_neighbor_config){ .is_passive = true }, false);
	hand_init(&hand, &sim, IP4(10, 0, 0, 3), false);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	assert_true(hand.s == NULL && hand.error == ECONNRESET);
	sim_end(&sim);
	start(&(struct sim_config){ 0 },
	      &(struct bgp_neighbor_config){ .is_passive = true, .local_addr = IP4(10, 0, 0, 9) }, false);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	assert_true(hand.s == NULL && sim_look(&sim, 0, 0).count.n_refused == 1);
	sim_end(&sim);
}

/* Would catch: hosts out of the prefix or beyond its limit that come in; a number, or a place in the limit, that is
 * never free again; options that are not the prefix's. */
static void test_dynamic(void **state)
{
	struct bgp_neighbor_config range = { .peers = { IP4(10, 1, 0, 0), 16 }, .dynamic_max = 2, .hold_s = 30 };
	static struct hand hands[3];
	uint32_t number;

	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	assert_int_equal(bgp_speaker_add(sim.router[0].speaker, &range, sim.now, &number), 0);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 3; i++) {
			const struct bgp_open o = hand_open_of(65100 + i, IP4(10, 1, 0, 1) + i);

			hand_init(&hands[i], &sim, IP4(10, 1, 0, 1) + i, false);
			hand_connect(&hands[i], 0, &(struct stream_connect){ 0 });
			sim_run(&sim, NS_PER_S);
			hand_say_open(&hands[i], &o);
			hand_say(&hands[i], BGP_KEEPALIVE, "");
			sim_run(&sim, NS_PER_S);
		}
		assert_true(hands[0].s != NULL && hands[1].s != NULL && hands[2].s == NULL);
		struct bgp_neighbor_view v = sim_look(&sim, 0, number);
		assert_true(v.is_range && v.n_dynamic == 2 && v.count.n_refused >= 1);
		number = bgp_speaker_find(sim.router[0].speaker, (struct ip4_prefix){ IP4(10, 1, 0, 2), 32 });
		v = sim_look(&sim, 0, number);
		number = bgp_speaker_find(sim.router[0].speaker, range.peers);
		assert_true(v.state == BGP_STATE_ESTABLISHED && v.of == number && v.hold_s == 30 &&
			    v.wire.peer_as == 65101);
		if (round < 2) {
			hand_say(&hands[0], BGP_NOTIFICATION, "06 02");
			sim_run(&sim, NS_PER_S);
			hands[1].s->carrier->abort(hands[1].s);
			sim_run(&sim, 100 * NS_PER_MS);
			hand_init(&hands[1], &sim, IP4(10, 1, 0, 2), false);
			hand_connect(&hands[1], 0, &(struct stream_connect){ 0 });
			sim_run(&sim, 100 * NS_PER_MS);
			assert_null(hands[1].s); /* not at once */
		} else {
			bgp_speaker_remove(sim.router[0].speaker, number, sim.now);
		}
		sim_run(&sim, NS_PER_S);
		assert_int_equal(sim.router[0].n_events[BGP_EVENT_GONE], 2 * (round + 1) + (round == 2));
	}
	assert_int_equal(bgp_speaker_next(sim.router[0].speaker, 0), BGP_NEIGHBOR_NONE);
	/* Any AS, but not ours. */
	const struct bgp_open o = hand_open_of(65001, IP4(10, 1, 0, 1));
	struct bgp_notification n;

	assert_int_equal(bgp_speaker_add(sim.router[0].speaker, &range, sim.now, &number), 0);
	hand_init(&hands[0], &sim, IP4(10, 1, 0, 1), false);
	hand_connect(&hands[0], 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	hand_say_open(&hands[0], &o);
	sim_run(&sim, NS_PER_S);
	assert_int_equal(hand_notified(&hands[0], &n), 0x0202);
	sim_end(&sim);
}

/* Would catch: words that do not reach the peer, or not whole (RFC 9003); a shutdown that does not hold, also against
 * incoming connections. */
static void test_shutdown(void **state)
{
	static const char words[] = "back at noon";
	const struct bgp_command c = { .text = words, .text_len = sizeof(words) - 1 };

	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	uint32_t a = sim_add(&sim, 0, 1, &usual), b = sim_add(&sim, 1, 0, &usual);

	sim_run(&sim, 5 * NS_PER_S);
	bgp_speaker_shut(sim.router[0].speaker, a, &c, sim.now);
	sim_run(&sim, 300 * NS_PER_S);
	struct bgp_neighbor_view v = sim_look(&sim, 0, a), w = sim_look(&sim, 1, b);
	assert_true(v.state == BGP_STATE_IDLE && v.idle == BGP_IDLE_SHUT && v.last.side == BGP_SIDE_LOCAL);
	w = sim.router[1].last[BGP_EVENT_DOWN];
	assert_true(w.last.side == BGP_SIDE_PEER && w.last.code == BGP_CEASE && w.last.subcode == BGP_CEASE_SHUTDOWN &&
		    w.last.is_hard && w.last.text_len == sizeof(words) - 1);
	assert_memory_equal(w.last.text, words, sizeof(words) - 1);
	assert_true(sim.router[1].n_events[BGP_EVENT_UP] == 1 && v.count.n_refused > 0);
	bgp_speaker_enable(sim.router[0].speaker, a, sim.now);
	sim_run(&sim, 2 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, a) && sim_is_up(&sim, 1, b));
	bgp_speaker_reset(sim.router[0].speaker, a, &(struct bgp_command){ 0 }, sim.now);
	sim_run(&sim, 5 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, a) && sim.router[1].n_events[BGP_EVENT_UP] == 3);
	bgp_speaker_stop(sim.router[0].speaker, &c, sim.now);
	sim_run(&sim, NS_PER_S);
	assert_true(bgp_speaker_is_quiet(sim.router[0].speaker) && sim.router[1].n_events[BGP_EVENT_DOWN] == 3);
	sim_end(&sim);
}

/* Would catch: a session that ends for a change that does not concern it, or goes on through one that does. */
static void test_change(void **state)
{
	struct bgp_neighbor_config c = usual;

	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	uint32_t a = sim_add(&sim, 0, 1, &usual);

	(void)sim_add(&sim, 1, 0, &usual);
	sim_run(&sim, 5 * NS_PER_S);
	c = *sim_look(&sim, 0, a).config;
	c.tag = 7;
	c.max_prefixes = 100;
	c.keepalive_s = 5;
	memcpy(c.name, "renamed", 8);
	assert_null(bgp_neighbor_config_resets(sim_look(&sim, 0, a).config, &c));
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(bgp_speaker_change(sim.router[0].speaker, a, &c, sim.now), 0);
	sim_run(&sim, 5 * NS_PER_S);
	assert_int_equal(sim.router[0].n_events[BGP_EVENT_DOWN], 0);
	assert_int_equal(sim_look(&sim, 0, a).config->tag, 7);
	c.hold_s = 30;
	assert_non_null(bgp_neighbor_config_resets(sim_look(&sim, 0, a).config, &c));
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, a, &c, sim.now), 0);
	sim_run(&sim, 5 * NS_PER_S);
	assert_int_equal(sim.router[1].n_events[BGP_EVENT_DOWN], 1);
	assert_int_equal(sim.router[1].last[BGP_EVENT_DOWN].last.subcode, BGP_CEASE_CONFIG);
	assert_true(sim_is_up(&sim, 0, a) && sim_look(&sim, 0, a).hold_s == 30);
	c.peers.addr++;
	assert_int_equal(bgp_speaker_change(sim.router[0].speaker, a, &c, sim.now), -EINVAL);
	bgp_speaker_remove(sim.router[0].speaker, a, sim.now);
	sim_run(&sim, NS_PER_S);
	assert_int_equal(sim.router[1].last[BGP_EVENT_DOWN].last.subcode, BGP_CEASE_DECONFIGURED);
	assert_int_equal(bgp_speaker_next(sim.router[0].speaker, 0), BGP_NEIGHBOR_NONE);
	sim_end(&sim);
}

/* Would catch: an OPEN before its time, or none; one that comes first and is not answered (RFC 4271 event 20). */
static void test_delay_open(void **state)
{
	struct bgp_open o = its_open();
	size_t len;
	uint8_t type;

	start_usual(&(struct bgp_neighbor_config){ .delay_open_s = 20 });
	sim_run(&sim, 14 * NS_PER_S);
	assert_true(hand.n_accepted == 1 && hand.n_got == 0);
	sim_run(&sim, 7 * NS_PER_S);
	(void)hand_next(&hand, &len, &type);
	assert_int_equal(type, BGP_OPEN);
	sim_end(&sim);
	start_usual(&(struct bgp_neighbor_config){ .delay_open_s = 20 });
	sim_run(&sim, NS_PER_S);
	hand_say_open(&hand, &o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0));
	(void)hand_next(&hand, &len, &type);
	assert_int_equal(type, BGP_OPEN);
	sim_end(&sim);
}

static void say_prefixes(uint32_t first, uint32_t n)
{
	char nlri[32];

	for (uint32_t i = first; i < first + n; i++) {
		(void)snprintf(nlri, sizeof(nlri), "18 0b%02x%02x", i >> 8, i & 0xff);
		hand_say_update(&hand, "", i % 2 == 0 ? ATTRS : ATTRS "c0 08 04 fdea0001", nlri);
		if (i % 8 == 7)
			sim_run(&sim, 2 * NS_PER_MS);
	}
	sim_run(&sim, 100 * NS_PER_MS);
}

static void reject(void *user, struct ip4_prefix prefix, const struct bgp_set *set, struct bgp_verdict *v)
{
	*v = (struct bgp_verdict){ .is_accepted = false };
}

static void on_source(void *user, uint32_t source, const struct bgp_neighbor_config *config)
{
	assert_int_equal(config->tag, 9);
	bgp_table_set_import(sim.router[0].table, source, &(struct bgp_import){ .judge = reject });
}

static void refuse_all(struct sim_router *r, uint32_t i, struct bgp_speaker_config *c)
{
	c->source = on_source;
}

/* Trap 24. Would catch: a limit that counts what policy has left; import policy that comes behind the first route. */
static void test_limit_before_policy(void **state)
{
	struct bgp_open o = its_open();
	struct bgp_notification n;

	start(&(struct sim_config){ .prepare = refuse_all },
	      &(struct bgp_neighbor_config){ .max_prefixes = 10, .tag = 9 }, true);
	come_up(&o);
	say_prefixes(0, 10);
	struct bgp_table_stats s = bgp_table_stats(sim.router[0].table);
	assert_true(s.n_rejected == 10 && s.n_paths == 10 && sim_look(&sim, 0, 0).n_prefixes == 10);
	say_prefixes(10, 1);
	assert_int_equal(hand_notified(&hand, &n), 0x0601);
	sim_end(&sim);
}

/* Trap 24. Would catch: a warning that does not come, or each time; a limit that lets one more pass; a session that is
 * back before its time, by a connection of the peer's too; a command that does not lift it. */
static void test_limit(void **state)
{
	struct bgp_neighbor_config c = { .max_prefixes = 10, .max_restart_s = 100 };
	struct bgp_open o = its_open();
	struct bgp_notification n;

	start_usual(&c);
	come_up(&o);
	say_prefixes(0, 7);
	assert_int_equal(sim.router[0].n_events[BGP_EVENT_WARNING], 0);
	say_prefixes(7, 3);
	say_prefixes(0, 10); /* the same again */
	assert_int_equal(sim.router[0].n_events[BGP_EVENT_WARNING], 1);
	assert_true(sim_is_up(&sim, 0, 0) && sim_look(&sim, 0, 0).n_prefixes == 10);
	say_prefixes(10, 1);
	assert_int_equal(sim.router[0].n_events[BGP_EVENT_LIMIT], 1);
	assert_int_equal(hand_notified(&hand, &n), 0x0601);
	assert_int_equal(n.data_len, 7);
	assert_memory_equal(n.data, "\0\1\1\0\0\0\12", 7);
	assert_int_equal(bgp_table_stats(sim.router[0].table).n_paths, 0);
	for (uint32_t i = 0; i < 9; i++) {
		hand_connect(&hand, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 10 * NS_PER_S);
		assert_null(hand.s);
		assert_int_equal(sim_look(&sim, 0, 0).idle, BGP_IDLE_LIMIT);
	}
	assert_int_equal(hand.n_accepted, 1);
	sim_run(&sim, 11 * NS_PER_S);
	assert_int_equal(hand.n_accepted, 2);
	sim_end(&sim);
	/* Without a restart time: a command. A peer that would keep our routes must not (RFC 8538 section 4). */
	c.max_restart_s = 0;
	o.can.restart = (struct bgp_restart){ .is_there = true, .notification = true, .time_s = 100, .ipv4 = true };
	start_usual(&c);
	come_up(&o);
	say_prefixes(0, 11);
	assert_int_equal(hand_notified(&hand, &n), 0x0601);
	assert_true(n.is_hard && bgp_table_stats(sim.router[0].table).n_paths == 0);
	sim_run(&sim, 10000 * NS_PER_S);
	assert_int_equal(hand.n_accepted, 1);
	bgp_speaker_reset(sim.router[0].speaker, 0, &(struct bgp_command){ 0 }, sim.now);
	sim_run(&sim, NS_PER_S);
	assert_int_equal(hand.n_accepted, 2);
	sim_end(&sim);
	/* Only a warning. */
	c.max_action = BGP_LIMIT_WARNS;
	start_usual(&c);
	come_up(&o);
	say_prefixes(0, 20);
	assert_true(sim_is_up(&sim, 0, 0) && sim.router[0].n_events[BGP_EVENT_LIMIT] == 1);
	sim_end(&sim);
}

/* Would catch: a host out of a prefix that is over its limit and comes back at once as if it were another. */
static void test_dynamic_limit(void **state)
{
	const struct bgp_neighbor_config range = { .peers = { HAND, 31 }, .max_prefixes = 10, .max_restart_s = 100 };
	const struct bgp_open o = its_open();
	uint32_t number;

	sim_start(&sim, &(struct sim_config){ .n_routers = 1 });
	hand_init(&hand, &sim, HAND, false);
	assert_int_equal(bgp_speaker_add(sim.router[0].speaker, &range, sim.now, &number), 0);
	for (uint32_t i = 0; i < 3; i++) {
		hand_connect(&hand, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, NS_PER_S);
		assert_int_equal(hand.s != NULL, i != 1);
		hand_say_open(&hand, &o);
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, NS_PER_S);
		if (i == 0)
			say_prefixes(0, 11);
		sim_run(&sim, (i == 1 ? 90 : 10) * NS_PER_S);
	}
	assert_int_equal(sim_look(&sim, 0, number).n_dynamic, 1);
	bgp_speaker_reset(sim.router[0].speaker, 1, &(struct bgp_command){ 0 }, sim.now);
	sim_run(&sim, NS_PER_S);
	assert_int_equal(sim_look(&sim, 0, number).n_dynamic, 0);
	sim_end(&sim);
}

/* Would catch: routes of a neighbour that is gone that stay; messages that are counted wrong; ones that are not used.
 */
static void go_through_routes(uint32_t chunk)
{
	struct bgp_open o = its_open();

	start(&(struct sim_config){ .net = { .chunk = chunk } }, &usual, true);
	come_up(&o);
	say_prefixes(0, 600);
	struct bgp_neighbor_view v = sim_look(&sim, 0, 0);
	assert_true(v.n_prefixes == 600 && v.count.dispositions[BGP_ACCEPT] == 600 &&
		    v.count.messages[BGP_IN][BGP_UPDATE] == 600);
	struct bgp_path_view best = bgp_table_best(sim.router[0].table, (struct ip4_prefix){ IP4(11, 0, 5, 0), 24 });
	assert_int_equal(best.source, v.source);
	hand_say_update(&hand, "18 0b0005", "", "");
	hand_say_update(&hand, "", "40 01 01 07 40 02 06 0201 0000fdea 40 03 04 0a000002", "18 0b0006");
	sim_run(&sim, 100 * NS_PER_MS);
	v = sim_look(&sim, 0, 0);
	assert_true(v.n_prefixes == 598 && v.count.dispositions[BGP_WITHDRAW] == 1);
	hand.s->carrier->abort(hand.s);
	hand.s = NULL;
	sim_run(&sim, 100 * NS_PER_MS);
	assert_int_equal(bgp_table_stats(sim.router[0].table).n_paths, 0);
	v = sim.router[0].last[BGP_EVENT_DOWN];
	assert_true(v.last.side == BGP_SIDE_TRANSPORT && v.last.error == ECONNRESET && v.last.was_up);
	sim_end(&sim);
}

static void test_routes(void **state)
{
	static const uint32_t chunks[] = { 0, 1, 18, 19, 100 };

	for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
		go_through_routes(chunks[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two),           cmocka_unit_test(test_out_of_place),
		cmocka_unit_test(test_opens),         cmocka_unit_test(test_no_capabilities),
		cmocka_unit_test(test_hold),          cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_retry),         cmocka_unit_test(test_odd_ends),
		cmocka_unit_test(test_passive),       cmocka_unit_test(test_dynamic),
		cmocka_unit_test(test_shutdown),      cmocka_unit_test(test_change),
		cmocka_unit_test(test_delay_open),    cmocka_unit_test(test_limit),
		cmocka_unit_test(test_dynamic_limit), cmocka_unit_test(test_limit_before_policy),
		cmocka_unit_test(test_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
