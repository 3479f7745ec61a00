/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The SCTP tracker, a packet a row: direction, tag, chunks; and what comes of it.
 */
#include "gateway/conntrack/ct_fixture.h"

#include "stack/wire/sctp.h"

struct step {
	enum ct_dir dir;
	uint32_t tag;
	uint8_t chunk, flags;
	uint32_t init_tag; /* of INIT and INIT ACK */
	bool passes;
	enum ct_sctp_state state; /* after it, N_CT_SCTP_STATES: no connection */
};

#define NO_CONN N_CT_SCTP_STATES
#define A CT_ORIGINAL
#define B CT_REPLY
/* Tags that the two sides ask for. */
#define TA 0xa0a0a0a0
#define TB 0xb0b0b0b0
#define TA2 0xa2a2a2a2
#define TB2 0xb2b2b2b2

#define SET_UP \
	{ A, 0, SCTP_INIT, 0, TA, true, CT_SCTP_COOKIE_WAIT }, \
		{ B, TA, SCTP_INIT_ACK, 0, TB, true, CT_SCTP_COOKIE_WAIT }, \
		{ A, TB, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_COOKIE_ECHOED }, \
	{ \
		B, TA, SCTP_COOKIE_ACK, 0, 0, true, CT_SCTP_ESTABLISHED \
	}

static const struct step set_up_and_down[] = {
	SET_UP,
	{ A, TB, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_SACK, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_HEARTBEAT, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ A, TB, SCTP_SHUTDOWN, 0, 0, true, CT_SCTP_SHUTDOWN_SENT },
	{ B, TA, SCTP_DATA, 0, 0, true, CT_SCTP_SHUTDOWN_SENT },
	{ B, TA, SCTP_SHUTDOWN_ACK, 0, 0, true, CT_SCTP_SHUTDOWN_ACK_SENT },
	{ A, TB, SCTP_SHUTDOWN_COMPLETE, 0, 0, true, CT_SCTP_CLOSED },
	/* And once more on the same ports, with tags that have nothing to do with the old ones. */
	{ A, 0, SCTP_INIT, 0, TA2, true, CT_SCTP_COOKIE_WAIT },
	{ A, TB, SCTP_DATA, 0, 0, false, CT_SCTP_COOKIE_WAIT },
	{ B, TA2, SCTP_INIT_ACK, 0, TB2, true, CT_SCTP_COOKIE_WAIT },
	{ A, TB2, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_COOKIE_ECHOED },
	{ B, TA2, SCTP_COOKIE_ACK, 0, 0, true, CT_SCTP_ESTABLISHED },
};

static const struct step server_closes[] = {
	SET_UP,
	{ B, TA, SCTP_SHUTDOWN, 0, 0, true, CT_SCTP_SHUTDOWN_RECD },
	{ A, TB, SCTP_SHUTDOWN_ACK, 0, 0, true, CT_SCTP_SHUTDOWN_ACK_SENT },
	{ B, TB, SCTP_SHUTDOWN_COMPLETE, 1, 0, true, CT_SCTP_CLOSED }, /* T bit: the tag of the other side */
};

/* Who echoes the cookie may close before it is acknowledged. */
static const struct step closes_before_cookie_ack[] = {
	{ A, 0, SCTP_INIT, 0, TA, true, CT_SCTP_COOKIE_WAIT },
	{ B, TA, SCTP_INIT_ACK, 0, TB, true, CT_SCTP_COOKIE_WAIT },
	{ A, TB, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_COOKIE_ECHOED },
	{ A, TB, SCTP_SHUTDOWN, 0, 0, true, CT_SCTP_SHUTDOWN_SENT },
	{ B, TA, SCTP_SHUTDOWN_ACK, 0, 0, true, CT_SCTP_SHUTDOWN_ACK_SENT },
	{ A, TB, SCTP_SHUTDOWN_COMPLETE, 0, 0, true, CT_SCTP_CLOSED },
};

/* Section 5.2.2: one side has lost everything and begins again. */
static const struct step restart[] = {
	SET_UP,
	{ A, 0, SCTP_INIT, 0, TA2, true, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED }, /* the old one stands until the cookie */
	{ B, TA2, SCTP_DATA, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ B, TA2, SCTP_INIT_ACK, 0, TB2, true, CT_SCTP_ESTABLISHED },
	{ A, TB2, SCTP_DATA, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ A, TB2, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA2, SCTP_COOKIE_ACK, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA2, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_DATA, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ A, TB, SCTP_ABORT, 0, 0, false, CT_SCTP_ESTABLISHED },
};

/* The other side restarts, through the same mapping. */
static const struct step server_restarts[] = {
	SET_UP,
	{ B, 0, SCTP_INIT, 0, TB2, true, CT_SCTP_ESTABLISHED },
	{ A, TB2, SCTP_INIT_ACK, 0, TA2, true, CT_SCTP_ESTABLISHED },
	{ B, TA2, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ A, TB2, SCTP_COOKIE_ACK, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ A, TB, SCTP_DATA, 0, 0, false, CT_SCTP_ESTABLISHED },
};

/* Whoever does not know the tags changes nothing. */
static const struct step forged[] = {
	SET_UP,
	{ B, 0x1111, SCTP_ABORT, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ B, 0x1111, SCTP_ABORT, 1, 0, false, CT_SCTP_ESTABLISHED },
	{ B, 0, SCTP_ABORT, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ B, 0x1111, SCTP_SHUTDOWN, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_INIT, 0, 0x2222, false, CT_SCTP_ESTABLISHED }, /* an INIT has tag 0 */
	{ B, 0, SCTP_INIT, 0, 0x2222, true, CT_SCTP_ESTABLISHED },
	{ B, 0x3333, SCTP_COOKIE_ECHO, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ A, TB, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_ABORT, 0, 0, true, CT_SCTP_CLOSED },
};

/* Nor does he by announcing a tag himself, and ending with it; and a restart that is refused ends the restart. */
static const struct step forged_by_own_tag[] = {
	SET_UP,
	{ B, 0, SCTP_INIT, 0, 0x2222, true, CT_SCTP_ESTABLISHED },
	{ B, 0x2222, SCTP_ABORT, 1, 0, true, CT_SCTP_ESTABLISHED },
	{ B, 0x2222, SCTP_SHUTDOWN_COMPLETE, 1, 0, true, CT_SCTP_ESTABLISHED },
	{ A, 0x2222, SCTP_ABORT, 0, 0, true, CT_SCTP_ESTABLISHED }, /* our host does not want it */
	{ A, TB, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ A, TB, SCTP_SHUTDOWN, 0, 0, true, CT_SCTP_SHUTDOWN_SENT },
	{ B, 0x2222, SCTP_ABORT, 1, 0, true, CT_SCTP_SHUTDOWN_SENT },
	{ B, TB, SCTP_ABORT, 1, 0, true, CT_SCTP_CLOSED },
};

static const struct step refused[] = {
	{ A, 0, SCTP_INIT, 0, TA, true, CT_SCTP_COOKIE_WAIT },
	{ B, 0x9999, SCTP_ABORT, 0, 0, false, CT_SCTP_COOKIE_WAIT },
	{ B, 0x9999, SCTP_INIT_ACK, 0, TB, false, CT_SCTP_COOKIE_WAIT },
	{ B, TA, SCTP_ABORT, 0, 0, true, CT_SCTP_CLOSED },
};

static const struct step stale_cookie[] = {
	{ A, 0, SCTP_INIT, 0, TA, true, CT_SCTP_COOKIE_WAIT },
	{ B, TA, SCTP_INIT_ACK, 0, TB, true, CT_SCTP_COOKIE_WAIT },
	{ A, TB, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_COOKIE_ECHOED },
	{ B, TA, SCTP_ERROR, 0, 0, true, CT_SCTP_COOKIE_ECHOED },
	{ A, 0, SCTP_INIT, 0, TA2, true, CT_SCTP_COOKIE_ECHOED },
	{ B, TA2, SCTP_INIT_ACK, 0, TB2, true, CT_SCTP_COOKIE_ECHOED },
	{ A, TB2, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_COOKIE_ECHOED },
	{ B, TA2, SCTP_COOKIE_ACK, 0, 0, true, CT_SCTP_ESTABLISHED },
};

/* A cookie of the old set-up while a new one is announced: it begins nothing. */
static const struct step old_cookie[] = {
	SET_UP,
	{ A, TB, SCTP_SHUTDOWN, 0, 0, true, CT_SCTP_SHUTDOWN_SENT },
	{ B, 0, SCTP_INIT, 0, TB2, true, CT_SCTP_SHUTDOWN_SENT },
	{ A, TB, SCTP_COOKIE_ECHO, 0, 0, true, CT_SCTP_SHUTDOWN_SENT },
	{ B, TA, SCTP_DATA, 0, 0, true, CT_SCTP_SHUTDOWN_SENT },
};

/* A second path of an association: nobody saw its set-up here. */
static const struct step second_path[] = {
	{ A, TB, SCTP_HEARTBEAT, 0, 0, true, CT_SCTP_HEARTBEAT_SENT },
	{ A, TB2, SCTP_HEARTBEAT, 0, 0, false, CT_SCTP_HEARTBEAT_SENT },
	{ B, TA, SCTP_HEARTBEAT_ACK, 0, 0, true, CT_SCTP_ESTABLISHED },
	{ B, TA2, SCTP_DATA, 0, 0, false, CT_SCTP_ESTABLISHED },
	{ B, TA, SCTP_DATA, 0, 0, true, CT_SCTP_ESTABLISHED },
};

/* What no association begins with. */
static const struct step strays[] = {
	{ A, TB, SCTP_DATA, 0, 0, false, NO_CONN },         { A, TB, SCTP_ABORT, 0, 0, false, NO_CONN },
	{ A, TB, SCTP_SHUTDOWN_ACK, 0, 0, false, NO_CONN }, { A, TB, SCTP_COOKIE_ECHO, 0, 0, false, NO_CONN },
	{ A, TB, SCTP_INIT, 0, TA, false, NO_CONN },        { A, TA, SCTP_INIT_ACK, 0, TB, false, NO_CONN },
	{ A, 0, SCTP_HEARTBEAT, 0, 0, false, NO_CONN },
};

static struct packet_spec packet_of(const struct step *s, uint8_t *chunk)
{
	bool init = s->chunk == SCTP_INIT || s->chunk == SCTP_INIT_ACK;
	struct packet_spec m = udp_make(4000, 3868);

	m.proto = IPPROTO_NR_SCTP;
	if (s->dir == CT_REPLY)
		m = turned(m);
	memset(chunk, 0, 20);
	chunk[0] = s->chunk;
	chunk[1] = s->flags;
	chunk[3] = init ? 20 : 16;
	bytes_put32(chunk + 4, init ? s->init_tag : 0);
	m.seq = s->tag;
	m.payload_len = chunk[3];
	m.payload = chunk;
	return m;
}

static uint8_t state_now(struct ct_fixture *b)
{
	struct tuple t = { .src = CLIENT, .dst = SERVER, .sport = 4000, .dport = 3868, .proto = IPPROTO_NR_SCTP };
	uint32_t ref = conntrack_find(b->ct, &t);

	return ref == CONN_NONE ? NO_CONN : conntrack_conn(b->ct, conn_index(ref))->tcp_state;
}

/* reborn: behind each step all connections are begun again from their records. */
static void play(const char *what, const struct step *steps, size_t n, bool reborn)
{
	struct ct_fixture b;

	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (size_t i = 0; i < n; i++) {
		uint8_t chunk[20];
		struct packet_spec m = packet_of(&steps[i], chunk);
		struct seen s = fixture_forward(&b, &m);
		bool passes = s.passed && s.info != CT_INFO_INVALID;

		if (passes != steps[i].passes || state_now(&b) != steps[i].state)
			fail_msg("%s, step %zu: %d, state %u", what, i, passes, state_now(&b));
		if (reborn)
			fixture_reborn(&b);
	}
	fixture_stop(&b);
}

#define PLAY(steps) \
	(play(#steps, steps, sizeof(steps) / sizeof((steps)[0]), false), \
	 play(#steps ", from records", steps, sizeof(steps) / sizeof((steps)[0]), true))

/* Would catch: a state that is entered by the wrong side or not at all; a tag that is not asked for, or asked for where
 * it may be another; an association that cannot be set up again in place; a restart that is refused, or that the first
 * packet of a forger brings about; a record (record.h) without something that the next packet is judged by. */
static void test_associations(void **state)
{
	(void)state;
	PLAY(set_up_and_down);
	PLAY(server_closes);
	PLAY(closes_before_cookie_ack);
	PLAY(restart);
	PLAY(server_restarts);
	PLAY(forged);
	PLAY(forged_by_own_tag);
	PLAY(refused);
	PLAY(stale_cookie);
	PLAY(old_cookie);
	PLAY(second_path);
	PLAY(strays);
}

/* With pick-up (conntrack.h) an association may be met in its middle, by what it is then about. Would catch: one that
 * is picked up although the config does not say so, by a chunk that ends something, or not at all. */
static void test_pick_up(void **state)
{
	static const struct {
		uint8_t chunk;
		bool begins;
	} rows[] = { { SCTP_DATA, true }, { SCTP_SACK, true }, { SCTP_SHUTDOWN, false }, { SCTP_ABORT, false } };

	(void)state;
	for (int picks_up = 0; picks_up < 2; picks_up++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct ct_config cfg = { .pick_up = (uint8_t)picks_up };
			bool begins = picks_up && rows[i].begins;
			struct ct_fixture b;
			uint8_t chunk[20];
			struct packet_spec m = packet_of(&(struct step){ A, TB, rows[i].chunk, 0, 0, true, 0 }, chunk);

			fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
			conntrack_configure(b.ct, &cfg);
			assert_int_equal(fixture_forward(&b, &m).info, begins ? CT_INFO_NEW : CT_INFO_INVALID);
			assert_int_equal(state_now(&b) != NO_CONN, begins);
			fixture_stop(&b);
		}
}

/* Would catch: an association that begins with a chunk which is longer than its packet. */
static void test_malformed(void **state)
{
	struct ct_fixture b;
	uint8_t chunk[20];
	struct packet_spec m = packet_of(&(struct step){ A, 0, SCTP_INIT, 0, TA, true, 0 }, chunk);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	chunk[3] = 24;
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_INVALID);
	assert_int_equal(state_now(&b), NO_CONN);
	fixture_stop(&b);
}

/* Would catch: a damaged packet that begins an association or ends one. */
static void test_checksum(void **state)
{
	static const struct step steps[] = { SET_UP };
	struct ct_fixture b;
	uint8_t chunk[20];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (size_t i = 0; i < 4; i++) {
		struct packet_spec m = packet_of(&steps[i], chunk);

		m.bad_check = true;
		struct seen s = fixture_forward(&b, &m);
		assert_false(s.passed);
		assert_int_equal(s.reason, DROP_L4_CHECKSUM);
		m.bad_check = false;
		assert_true(fixture_forward(&b, &m).passed);
	}
	struct packet_spec abort = packet_of(&(struct step){ B, TA, SCTP_ABORT, 0, 0, true, 0 }, chunk);
	abort.bad_check = true;
	assert_false(fixture_forward(&b, &abort).passed);
	assert_int_equal(state_now(&b), CT_SCTP_ESTABLISHED);
	fixture_stop(&b);
}

/* Would catch: a repeated INIT that counts as answered. */
static void test_init_again(void **state)
{
	static const struct step steps[] = { SET_UP };
	struct ct_fixture b;
	uint8_t chunk[20];
	struct packet_spec m = packet_of(&steps[0], chunk);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (int i = 0; i < 3; i++)
		assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	m = packet_of(&steps[1], chunk);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_ESTABLISHED);
	fixture_stop(&b);
}

/* Would catch: a timeout of the wrong state, one that the config does not reach, an assured association under pressure.
 */
static void test_times(void **state)
{
	static const struct step steps[] = { SET_UP, { A, TB, SCTP_SHUTDOWN, 0, 0, true, 0 } };
	static const uint32_t want[] = { 10, 10, 10, 777, 30 };
	struct ct_config cfg = { .timeout = { .sctp_established = 777 } };
	struct tuple t = { .src = CLIENT, .dst = SERVER, .sport = 4000, .dport = 3868, .proto = IPPROTO_NR_SCTP };
	struct ct_fixture b;
	uint8_t chunk[20];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	for (size_t i = 0; i < 5; i++) {
		struct packet_spec m = packet_of(&steps[i], chunk);

		assert_true(fixture_forward(&b, &m).passed);
		uint32_t index = conn_index(conntrack_find(b.ct, &t));
		assert_int_equal(conn_timeout_s(b.ct, index), want[i]);
		assert_int_equal((conntrack_conn(b.ct, index)->status & CT_ASSURED) != 0, i >= 3);
	}
	/* It has come into three states, and each was told. */
	assert_int_equal(b.n_events[EVENT_CONN_UPDATE], 3);
	fixture_pass(&b, 31 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	assert_int_equal(b.last.reason, CT_END_TIMEOUT);
	assert_string_equal(ct_state_name(IPPROTO_NR_SCTP, CT_SCTP_SHUTDOWN_ACK_SENT), "SHUTDOWN_ACK_SENT");
	assert_null(ct_state_name(IPPROTO_NR_UDP, 1));
	fixture_stop(&b);
}

/* Would catch: an association that was shut down, of which is told that nobody closed it; one that what comes behind
 * its end keeps alive. */
static void test_closed(void **state)
{
	enum { N_STEPS = 11 };
	struct ct_fixture b;
	uint8_t chunk[20];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (size_t i = 0; i < N_STEPS; i++) {
		struct packet_spec m = packet_of(&set_up_and_down[i], chunk);

		assert_true(fixture_forward(&b, &m).passed);
	}
	uint32_t cursor = 0, index;

	assert_true(conntrack_next(b.ct, &cursor, &index));
	assert_int_equal(conntrack_conn(b.ct, index)->tcp_state, CT_SCTP_CLOSED);
	uint32_t lives_s = conn_timeout_s(b.ct, index);
	fixture_pass(&b, (lives_s - 5) * NS_PER_S);
	struct packet_spec late = packet_of(&set_up_and_down[N_STEPS - 1], chunk);
	(void)fixture_forward(&b, &late);
	late = packet_of(&(struct step){ B, TA, SCTP_SACK, 0, 0, true, CT_SCTP_CLOSED }, chunk);
	(void)fixture_forward(&b, &late);
	assert_int_equal(conntrack_conn(b.ct, index)->tcp_state, CT_SCTP_CLOSED);
	fixture_pass(&b, 6 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	assert_int_equal(b.last.reason, CT_END_CLOSED);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_associations), cmocka_unit_test(test_pick_up),
		cmocka_unit_test(test_malformed),    cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_init_again),   cmocka_unit_test(test_times),
		cmocka_unit_test(test_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
