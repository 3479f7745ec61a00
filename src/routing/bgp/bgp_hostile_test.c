/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Neighbours that are slow, broken or ill-meaning, beside one that is not; and what a neighbour is told, when.
 */
#include "routing/bgp/bgp_sim_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HAND IP4(10, 0, 0, 99)
#define HAND_AS 65099
#define ATTRS "40 01 01 00 40 02 06 0201 0000fe4b 40 03 04 0a000063 "

static struct sim sim;
static struct hand hand;
static const struct bgp_neighbor_config usual;

/* --- what is told: so many UPDATEs, of which the table has made more meanwhile --- */

static struct teller {
	uint32_t n_dump, n_more; /* of the dump; to be said besides, as changes */
	bool is_many;            /* several at once */
	uint32_t n_said, n_up, n_refreshed;
	bool is_dumped;
} teller;

static int tell_up(void *user, const struct bgp_outbound_peer *p, uint32_t *member)
{
	struct teller *t = user;

	assert_true(p->wire.as4 && p->local_addr == sim_addr(0));
	t->n_up++;
	t->n_said = 0;
	t->is_dumped = t->n_dump == 0;
	*member = 5;
	return 0;
}

static void tell_down(void *user, uint32_t member)
{
	((struct teller *)user)->n_up--;
}

static void tell_changed(void *user, uint32_t member, const struct bgp_neighbor_config *config)
{
}

static void tell_refresh(void *user, uint32_t member)
{
	struct teller *t = user;

	t->n_refreshed++;
	t->n_said = 0;
	t->is_dumped = t->n_dump == 0;
}

static size_t tell_next(void *user, uint32_t member, uint8_t *buf, size_t room)
{
	struct teller *t = user;
	char nlri[32];

	assert_true(member == 5 && room >= BGP_MESSAGE_MAX);
	size_t len = 0;

	for (uint32_t i = 0; i < (t->is_many ? 4 : 1) && t->n_said < t->n_dump + t->n_more; i++) {
		(void)snprintf(nlri, sizeof(nlri), "18 0c%02x%02x", t->n_said >> 8 & 0xff, t->n_said & 0xff);
		t->n_said++;
		len += bgp_fixture_update(buf + len, "", ATTRS, nlri);
	}
	t->is_dumped = t->n_said >= t->n_dump;
	return len;
}

static bool tell_is_dumped(void *user, uint32_t member)
{
	return ((struct teller *)user)->is_dumped;
}

static const struct bgp_outbound outbound = {
	tell_up, tell_down, tell_changed, tell_refresh, tell_next, tell_is_dumped
};

static struct bgp_open its_open(void)
{
	return hand_open_of(HAND_AS, HAND);
}

static void come_up(const struct bgp_open *o)
{
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	assert_non_null(hand.s);
	hand_say_open(&hand, o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 0));
}

static void start_told(uint32_t n_dump, uint32_t n_more, const struct bgp_neighbor_config *tweak, uint32_t buffer)
{
	struct bgp_neighbor_config c = *tweak;

	c.peer_as = HAND_AS;
	c.is_passive = true;
	teller = (struct teller){ .n_dump = n_dump, .n_more = n_more };
	sim_start(&sim, &(struct sim_config){ .n_routers = 1,
					      .net = { .buffer = buffer },
					      .outbound = &outbound,
					      .outbound_user = &teller });
	hand_init(&hand, &sim, HAND, false);
	(void)sim_add_at(&sim, 0, HAND, &c);
}

/* What has come to the hand: UPDATEs with routes, before and behind End-of-RIB. */
struct heard {
	uint32_t n_before, n_after, n_eor, n_begins, n_ends;
};

static struct heard hear(void)
{
	struct heard h = { 0 };
	size_t len;
	uint8_t type;

	for (const uint8_t *p; (p = hand_next(&hand, &len, &type)) != NULL;) {
		if (type == BGP_ROUTE_REFRESH) {
			h.n_begins += p[21] == BGP_REFRESH_BEGINS;
			h.n_ends += p[21] == BGP_REFRESH_ENDS;
		}
		if (type != BGP_UPDATE)
			continue;
		if (len == BGP_HEADER_LEN + 4)
			h.n_eor++;
		else if (h.n_eor == 0 && h.n_ends == 0)
			h.n_before++;
		else
			h.n_after++;
	}
	return h;
}

/* Trap 23. Would catch: End-of-RIB before the last route of the dump, twice, never, or not where there is no route; one
 * that waits for changes that have come meanwhile and go on; marks of a refresh in the wrong place. */
static void test_end_of_rib(void **state)
{
	static const struct {
		uint32_t n_dump, n_more;
	} rows[] = { { 0, 0 }, { 1, 0 }, { 500, 0 }, { 300, 100 }, { 0, 50 } };
	struct bgp_open o = its_open();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		start_told(rows[i].n_dump, rows[i].n_more, &usual, 0);
		come_up(&o);
		sim_run(&sim, 5 * NS_PER_S);
		struct heard h = hear();
		assert_true(h.n_eor == 1 && h.n_begins == 0 && h.n_ends == 0);
		assert_int_equal(h.n_before + h.n_after, rows[i].n_dump + rows[i].n_more);
		assert_in_range(h.n_before, rows[i].n_dump, rows[i].n_dump + 1);
		/* Once more, with marks. */
		hand_say(&hand, BGP_ROUTE_REFRESH, "0001 00 01");
		sim_run(&sim, 5 * NS_PER_S);
		h = hear();
		assert_true(h.n_eor == 0 && h.n_begins == 1 && h.n_ends == 1 && teller.n_refreshed == 1);
		assert_in_range(h.n_before, rows[i].n_dump, rows[i].n_dump + 1);
		assert_int_equal(h.n_before + h.n_after, rows[i].n_dump + rows[i].n_more);
		/* A change. */
		teller.n_more++;
		bgp_speaker_wake(sim.router[0].speaker, 0);
		sim_run(&sim, NS_PER_S);
		assert_int_equal(hear().n_before, 1);
		hand.s->carrier->abort(hand.s);
		sim_run(&sim, NS_PER_S);
		assert_int_equal(teller.n_up, 0);
		sim_end(&sim);
	}
}

/* Would catch: marks of a refresh that is asked for before End-of-RIB: they would be in front of it (RFC 7313 section
 * 4), and what is stale at the peer would go too early. */
static void test_early_refresh(void **state)
{
	const struct bgp_open o = its_open();

	start_told(500, 0, &usual, 1000);
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, 100 * NS_PER_MS);
	hand_say_open(&hand, &o);
	hand_say(&hand, BGP_KEEPALIVE, "");
	hand.is_deaf = true;
	sim_run(&sim, 100 * NS_PER_MS);
	hand_say(&hand, BGP_ROUTE_REFRESH, "0001 00 01");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 0) && teller.n_refreshed == 1);
	hand.is_deaf = false;
	hand_read(&hand, hand.s, sim.now);
	sim_run(&sim, 10 * NS_PER_S);
	struct heard h = hear();
	assert_true(h.n_eor == 1 && h.n_begins == 0 && h.n_ends == 0 && h.n_before >= 500 && h.n_after == 0);
	sim_end(&sim);
}

/* --- trap 22 --- */

/* Would catch: a peer that reads nothing and is kept, or one that reads slowly and is not; a NOTIFICATION, or anything,
 * behind half a message; routes of it that stay. */
static void test_send_hold(void **state)
{
	struct bgp_open o = its_open();
	struct bgp_error e;
	size_t len;
	uint8_t type;

	o.can.restart = (struct bgp_restart){ .is_there = true, .notification = true, .time_s = 100, .ipv4 = true };
	start_told(100000, 0, &usual, 1000);
	come_up(&o);
	hand_say_update(&hand, "", ATTRS, "18 0b0000");
	hand.is_deaf = true;
	for (uint32_t s = 0; s < 478; s += 2) {
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, 2 * NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0));
	}
	assert_true(sim_look(&sim, 0, 0).unacked > 0 && sim_look(&sim, 0, 0).n_prefixes == 1);
	sim_run(&sim, 3 * NS_PER_S);
	struct bgp_neighbor_view v = sim.router[0].last[BGP_EVENT_DOWN];
	assert_true(v.last.code == BGP_SEND_HOLD_EXPIRED && v.last.side == BGP_SIDE_LOCAL && !v.last.keeps);
	assert_int_equal(bgp_table_stats(sim.router[0].table).n_paths, 0);
	assert_int_equal(hand.n_closed, 1); /* it was reset: the rest of a message is not waited for */
	sim_end(&sim);
	/* A message now and then. */
	start_told(100000, 0, &usual, 1000);
	come_up(&o);
	hand.is_deaf = true;
	for (uint32_t s = 0; s < 3000; s += 20) {
		hand_say(&hand, BGP_KEEPALIVE, "");
		if (s % 400 == 0)
			hand.n_got += hand.s->carrier->read(hand.s, hand.got + hand.n_got, 700);
		sim_run(&sim, 20 * NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0));
	}
	while (hand_next(&hand, &len, &type) != NULL)
		;
	assert_int_equal(bgp_frame(hand.got + hand.n_read, hand.n_got - hand.n_read, &len, &e), BGP_FRAME_MORE);
	sim_end(&sim);
}

/* Would catch: a NOTIFICATION that goes out behind half an UPDATE, or not though there is room for both. */
static void test_half_message(void **state)
{
	struct bgp_open o = its_open();
	struct bgp_notification n;
	struct bgp_error e;
	size_t len;
	uint32_t n_notified = 0, n_cut = 0;

	for (uint32_t n_dump = 0; n_dump < 24; n_dump++) {
		start_told(n_dump, 0, &usual, 300);
		hand_connect(&hand, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 100 * NS_PER_MS);
		hand.is_deaf = true;
		hand_say_open(&hand, &o);
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, 100 * NS_PER_MS);
		assert_true(sim_is_up(&sim, 0, 0));
		bgp_speaker_reset(sim.router[0].speaker, 0, &(struct bgp_command){ 0 }, sim.now);
		hand.is_deaf = false;
		hand_read(&hand, hand.s, sim.now);
		sim_run(&sim, 100 * NS_PER_MS);
		uint32_t got = hand_notified(&hand, &n);
		assert_true(got == 0x0604 || got == 0);
		n_notified += got != 0;
		n_cut += got == 0;
		assert_int_equal(hand.n_closed, 1);
		assert_int_equal(bgp_frame(hand.got + hand.n_read, hand.n_got - hand.n_read, &len, &e), BGP_FRAME_MORE);
		sim_end(&sim);
	}
	assert_true(n_notified > 3 && n_cut > 3);
	/* There is room for the rest of a message and the NOTIFICATION, not for what stands between them. */
	n_notified = n_cut = 0;
	for (uint32_t room = 5; room < 80; room += 5) {
		start_told(1000, 0, &usual, 300);
		teller.is_many = true;
		hand_connect(&hand, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 100 * NS_PER_MS);
		hand.is_deaf = true;
		hand_say_open(&hand, &o);
		hand_say(&hand, BGP_KEEPALIVE, "");
		sim_run(&sim, 100 * NS_PER_MS);
		hand.n_got += hand.s->carrier->read(hand.s, hand.got + hand.n_got, room);
		stream_memory_advance(sim.net, sim.now += 10 * NS_PER_MS);
		bgp_speaker_reset(sim.router[0].speaker, 0, &(struct bgp_command){ 0 }, sim.now);
		hand.is_deaf = false;
		hand_read(&hand, hand.s, sim.now);
		sim_run(&sim, 100 * NS_PER_MS);
		uint32_t got = hand_notified(&hand, &n);
		n_notified += got == 0x0604;
		n_cut += got == 0;
		assert_int_equal(bgp_frame(hand.got + hand.n_read, hand.n_got - hand.n_read, &len, &e), BGP_FRAME_MORE);
		sim_end(&sim);
	}
	assert_true(n_notified > 3 && n_cut > 0);
}

/* --- trap 21 --- */

#define SLICE_NS (10 * NS_PER_MS) /* five times what one may take */

static uint8_t full[BGP_FIXTURE_MAX];

/* One more message of 500 prefixes. */
static size_t many_prefixes(uint32_t which)
{
	static const char attrs[] = ATTRS;
	char nlri[500 * 9 + 1];

	for (uint32_t i = 0; i < 500; i++) {
		uint32_t number = which * 500 + i;

		(void)snprintf(nlri + i * (size_t)9, 10, "18 %02x%02x%02x", (20 + (number >> 16)) & 0xff,
			       number >> 8 & 0xff, number & 0xff);
	}
	return bgp_fixture_update(full, "", attrs, nlri);
}

/* Would catch: a neighbour with a hold time of 3 s that hears nothing for 1.2 s while a table is loaded and swept out,
 * if each slice of work takes 10 ms; slices that are longer than what is promised for that. */
static void test_silence(void **state)
{
	static struct hand quick;
	struct bgp_open o = its_open(), q = hand_open_of(65098, IP4(10, 0, 0, 98));
	uint64_t worst = 0;
	uint32_t n_said = 0, before = 0, most = 0;

	q.hold_s = 3;
	sim_start(&sim,
		  &(struct sim_config){ .n_routers = 1,
					.net = { .buffer = 1 << 17 },
					.limits = { .prefixes = 400000, .paths = 400000, .set_bytes = 1 << 20 } });
	hand_init(&hand, &sim, HAND, false);
	hand_init(&quick, &sim, IP4(10, 0, 0, 98), true);
	(void)sim_add_at(&sim, 0, HAND, &(struct bgp_neighbor_config){ .peer_as = HAND_AS, .is_passive = true });
	(void)sim_add_at(&sim, 0, IP4(10, 0, 0, 98), &(struct bgp_neighbor_config){ .peer_as = 65098 });
	come_up(&o);
	hand_say_open(&quick, &q);
	hand_say(&quick, BGP_KEEPALIVE, "");
	sim_run(&sim, 100 * NS_PER_MS);
	assert_true(sim_is_up(&sim, 0, 1));
	uint64_t heard = sim.now, said = sim.now;
	for (bool is_over = false; !is_over;) {
		while (n_said < 600 && hand.s->carrier->unacked(hand.s) < 100000) {
			hand_say_bytes(&hand, full, many_prefixes(n_said));
			n_said++;
		}
		if (n_said == 600 && sim_look(&sim, 0, 0).n_prefixes == 300000) {
			hand_say(&hand, BGP_NOTIFICATION, "06 02");
			n_said++;
		}
		if (sim.now - said > NS_PER_S) {
			hand_say(&quick, BGP_KEEPALIVE, "");
			said = sim.now;
		}
		sim.now += SLICE_NS; /* what the last one took */
		sim_step(&sim, sim.now);
		uint32_t n = bgp_table_stats(sim.router[0].table).n_paths;
		uint32_t step = n > before ? n - before : before - n;

		most = max_u32(most, step);
		before = n;
		if (quick.at > heard) {
			worst = max_u64(worst, quick.at - heard);
			heard = quick.at;
		}
		is_over = n_said == 601 && n == 0;
	}
	assert_true(sim_is_up(&sim, 0, 1) && sim.n_steps > 200);
	assert_in_range(worst, 1, 1200 * NS_PER_MS);
	assert_in_range(most, 1000, 4096);
	sim_end(&sim);
}

/* --- trap 27 --- */

static struct stream_carrier real, broken;
static bool breaks_listen, breaks_connect;

static int broken_listen_key(struct stream_listener *l, struct ip4_prefix from, const struct stream_key *key)
{
	return breaks_listen && key != NULL && key->len > 0 ? -ENOMEM : real.listen_key(l, from, key);
}

static int broken_connect(struct stream_carrier *c, const struct stream_connect *how, struct stream **out)
{
	return breaks_connect && how->key != NULL ? -EKEYREJECTED : real.connect(c, how, out);
}

/* Would catch: a session without the password that it must have; a failure that is called something else. Also one that
 * is wrong at one end: what is counted is shown, with TCP MD5 as the reason. */
static void test_password(void **state)
{
	const struct bgp_neighbor_config with = { .key = { 3, "abc" } }, other = { .key = { 3, "abd" } };

	for (uint32_t which = 0; which < 3; which++) {
		breaks_listen = which == 1;
		breaks_connect = which == 2;
		sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
		struct stream_carrier *c = stream_memory_host(sim.net, sim_addr(0));

		real = broken = *c;
		c->listen_key = broken_listen_key;
		c->connect = broken_connect;
		(void)sim_add(&sim, 0, 1, &with);
		if (which == 2)
			(void)sim_add(&sim, 1, 0, &(struct bgp_neighbor_config){ .key = with.key, .is_passive = true });
		else
			(void)sim_add(&sim, 1, 0, &with);
		sim_run(&sim, 5 * NS_PER_S);
		assert_int_equal(sim_is_up(&sim, 0, 0), which == 0);
		if (which > 0) {
			struct bgp_neighbor_view v = sim_look(&sim, 0, 0);

			assert_true(v.last.side == BGP_SIDE_TRANSPORT && v.last.error != 0);
			assert_string_equal(v.last.why, "the password cannot be set");
			assert_int_equal(sim.router[0].n_events[BGP_EVENT_FAILED], 1);
		}
		breaks_listen = breaks_connect = false;
		sim_run(&sim, 60 * NS_PER_S);
		assert_true(sim_is_up(&sim, 0, 0));
		sim_end(&sim);
	}
	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	(void)sim_add(&sim, 0, 1, &with);
	(void)sim_add(&sim, 1, 0, &other);
	sim_run(&sim, 5 * NS_PER_S);
	assert_true(!sim_is_up(&sim, 0, 0) && sim_look(&sim, 0, 0).digests.n_wrong > 0);
	assert_int_equal(bgp_speaker_change(sim.router[1].speaker, 0,
					    &(struct bgp_neighbor_config){ .peers = { sim_addr(0), 32 },
									   .peer_as = sim_as(&sim, 0),
									   .key = with.key },
					    sim.now),
			 0);
	sim_run(&sim, 10 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0));
	/* Taken out, and there again without. */
	for (uint32_t i = 0; i < 2; i++)
		bgp_speaker_remove(sim.router[i].speaker, 0, sim.now);
	sim_run(&sim, NS_PER_S);
	for (uint32_t i = 0; i < 2; i++)
		(void)sim_add(&sim, i, !i, &(struct bgp_neighbor_config){ .is_passive = i == 0 });
	sim_run(&sim, 5 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0));
	sim_end(&sim);
}

/* --- lost at any byte --- */

static void two_with_routes(void)
{
	teller = (struct teller){ .n_dump = 3 };
	sim_start(&sim, &(struct sim_config){ .n_routers = 2, .outbound = &outbound, .outbound_user = &teller });
	(void)sim_add(&sim, 0, 1, &(struct bgp_neighbor_config){ .hold_s = 9, .without = BGP_WITHOUT_RESTART });
	(void)sim_add(
		&sim, 1, 0,
		&(struct bgp_neighbor_config){ .hold_s = 9, .any_first_as = true, .without = BGP_WITHOUT_RESTART });
}

/* Would catch: an end that does not find out, does not come back, or keeps routes of a session that is lost; bytes of
 * one connection that are read on with another's; whatever stays behind. */
static void test_every_byte(void **state)
{
	two_with_routes();
	sim_run(&sim, 4 * NS_PER_S);
	uint64_t n_bytes = stream_memory_written(sim.net);

	assert_true(n_bytes > 300 && sim_look(&sim, 1, 0).n_prefixes == 3);
	sim_end(&sim);
	for (int how = STREAM_MEMORY_RESET; how <= STREAM_MEMORY_SILENT; how++)
		for (uint64_t at = 0; at < n_bytes; at += how == STREAM_MEMORY_SILENT ? 7 : 1) {
			two_with_routes();
			stream_memory_cut(sim.net, at, (enum stream_memory_cut)how);
			sim_run(&sim, (how == STREAM_MEMORY_SILENT ? 300 : 8) * NS_PER_S);
			assert_true(sim_is_up(&sim, 0, 0) && sim_is_up(&sim, 1, 0));
			assert_int_equal(sim_look(&sim, 1, 0).n_prefixes, 3);
			assert_int_equal(bgp_table_stats(sim.router[1].table).n_paths, 3);
			assert_int_equal(teller.n_up, 1);
			/* A silent one may still be open at an end that waits for an OPEN, or so it looks. */
			assert_in_range(stream_memory_n_open(sim.net), 1, how == STREAM_MEMORY_SILENT ? 2 : 1);
			sim_end(&sim);
		}
}

/* --- ill-meaning --- */

/* A good neighbour beside: its session must not notice. */
static void start_beside(void)
{
	sim_start(&sim, &(struct sim_config){ .n_routers = 2 });
	hand_init(&hand, &sim, HAND, false);
	(void)sim_add_at(&sim, 0, HAND, &(struct bgp_neighbor_config){ .peer_as = HAND_AS, .is_passive = true });
	(void)sim_add(&sim, 0, 1, &(struct bgp_neighbor_config){ .hold_s = 9 });
	(void)sim_add(&sim, 1, 0, &usual);
	sim_run(&sim, 5 * NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 1));
}

static void end_beside(void)
{
	assert_true(sim_is_up(&sim, 0, 1) && sim_look(&sim, 0, 1).count.n_up == 1);
	assert_true(sim.n_steps < 100000);
	sim_end(&sim);
}

/* Would catch: an OPEN, or a session, that comes a byte a second and is waited for for ever, or refused though it is in
 * time. */
static void test_byte_a_second(void **state)
{
	uint8_t p[BGP_FIXTURE_MAX];
	struct bgp_open o = its_open();
	struct bgp_notification n;
	size_t len = bgp_open_emit(p, &o);

	start_beside();
	hand_connect(&hand, 0, &(struct stream_connect){ 0 });
	sim_run(&sim, NS_PER_S);
	for (size_t i = 0; i < len; i++) {
		hand_say_bytes(&hand, p + i, 1);
		sim_run(&sim, NS_PER_S);
	}
	hand_say(&hand, BGP_KEEPALIVE, "");
	sim_run(&sim, NS_PER_S);
	assert_true(sim_is_up(&sim, 0, 0));
	len = bgp_fixture_update(p, "", ATTRS "d0 d3 0bb8 {ab}3000", "18 0b0000");
	for (size_t i = 0; i < len && hand.s != NULL; i++) {
		hand_say_bytes(&hand, p + i, 1);
		sim_run(&sim, NS_PER_S);
		assert_true(i < 91);
	}
	assert_int_equal(hand_notified(&hand, &n), 0x0400);
	end_beside();
}

/* Would catch: a neighbour that comes up and goes a thousand times an hour and costs others their session, or memory
 * that grows; a back-off that it gets around. */
static void test_flaps(void **state)
{
	struct bgp_open o = its_open();
	uint32_t n_up = 0;

	start_beside();
	for (uint32_t i = 0; i < 1000; i++) {
		if (hand.s == NULL)
			hand_connect(&hand, 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 100 * NS_PER_MS);
		if (hand.s != NULL) {
			hand_say_open(&hand, &o);
			hand_say(&hand, BGP_KEEPALIVE, "");
			sim_run(&sim, 100 * NS_PER_MS);
			hand_say_update(&hand, "", ATTRS, "18 0b0000 18 0b0001");
			sim_run(&sim, 100 * NS_PER_MS);
		}
		if (hand.s != NULL) {
			hand.s->carrier->abort(hand.s);
			hand.s = NULL;
		}
		sim_run(&sim, 3300 * NS_PER_MS);
	}
	n_up = sim_look(&sim, 0, 0).count.n_up;
	assert_in_range(n_up, 50, 100); /* once a minute, in the end */
	assert_int_equal(bgp_table_stats(sim.router[0].table).n_paths, 0);
	assert_int_equal(stream_memory_n_open(sim.net), 1);
	end_beside();
}

/* Would catch: a stranger, or many connections of one neighbour, that cost more than a look. */
static void test_many_connections(void **state)
{
	static struct hand hands[50];

	start_beside();
	for (uint32_t i = 0; i < ARRAY_LEN(hands); i++) {
		hand_init(&hands[i], &sim, i % 2 == 0 ? HAND : IP4(10, 7, 7, 7), false);
		hand_connect(&hands[i], 0, &(struct stream_connect){ 0 });
		sim_run(&sim, 10 * NS_PER_MS);
	}
	for (uint32_t i = 0; i < ARRAY_LEN(hands); i++)
		assert_int_equal(hands[i].s != NULL, i == 48);
	assert_int_equal(stream_memory_n_open(sim.net), 2);
	end_beside();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_of_rib), cmocka_unit_test(test_early_refresh),
		cmocka_unit_test(test_send_hold),  cmocka_unit_test(test_half_message),
		cmocka_unit_test(test_silence),    cmocka_unit_test(test_password),
		cmocka_unit_test(test_every_byte), cmocka_unit_test(test_byte_a_second),
		cmocka_unit_test(test_flaps),      cmocka_unit_test(test_many_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
