/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The DCCP tracker, a packet a row: direction, type; and what comes of it.
 */
#include "gateway/conntrack/ct_fixture.h"

#include "stack/wire/dccp.h"

struct step {
	enum ct_dir dir;
	enum dccp_type type;
	bool passes;
	enum ct_dccp_state state; /* after it, N_CT_DCCP_STATES: no connection */
};

#define NO_CONN N_CT_DCCP_STATES
#define A CT_ORIGINAL
#define B CT_REPLY

#define SET_UP \
	{ A, DCCP_REQUEST, true, CT_DCCP_REQUEST }, { B, DCCP_RESPONSE, true, CT_DCCP_RESPOND }, \
		{ A, DCCP_ACK, true, CT_DCCP_PARTOPEN }, \
	{ \
		B, DCCP_DATAACK, true, CT_DCCP_OPEN \
	}

static const struct step client_closes[] = {
	SET_UP,
	{ A, DCCP_DATA, true, CT_DCCP_OPEN },
	{ B, DCCP_ACK, true, CT_DCCP_OPEN },
	{ A, DCCP_CLOSEREQ, false, CT_DCCP_OPEN }, /* only a server asks for it */
	{ A, DCCP_CLOSE, true, CT_DCCP_CLOSING },
	{ B, DCCP_RESET, true, CT_DCCP_TIMEWAIT },
	{ A, DCCP_DATA, false, CT_DCCP_TIMEWAIT },
	{ A, DCCP_REQUEST, true, CT_DCCP_REQUEST },
	{ B, DCCP_RESPONSE, true, CT_DCCP_RESPOND },
};

static const struct step server_closes[] = {
	SET_UP,
	{ B, DCCP_CLOSEREQ, true, CT_DCCP_CLOSEREQ },
	{ A, DCCP_CLOSE, true, CT_DCCP_CLOSING },
	{ B, DCCP_RESET, true, CT_DCCP_TIMEWAIT },
};

static const struct step wrong_order[] = {
	{ A, DCCP_DATA, false, NO_CONN },
	{ A, DCCP_RESPONSE, false, NO_CONN },
	{ A, DCCP_RESET, false, NO_CONN },
	{ A, DCCP_REQUEST, true, CT_DCCP_REQUEST },
	{ A, DCCP_ACK, false, CT_DCCP_REQUEST },
	{ B, DCCP_DATA, false, CT_DCCP_REQUEST },
	{ B, DCCP_REQUEST, false, CT_DCCP_REQUEST },
	{ B, DCCP_RESPONSE, true, CT_DCCP_RESPOND },
	{ B, DCCP_DATA, false, CT_DCCP_RESPOND },
	{ A, DCCP_REQUEST, true, CT_DCCP_RESPOND }, /* a repetition that was late */
	{ B, DCCP_RESET, true, CT_DCCP_TIMEWAIT },
};

/* RFC 5596: the server behind the gateway makes way for its client. */
static const struct step listen_first[] = {
	{ A, DCCP_LISTEN, true, CT_DCCP_REQUEST },
	{ B, DCCP_REQUEST, true, CT_DCCP_REQUEST },
	{ A, DCCP_RESPONSE, true, CT_DCCP_RESPOND },
	{ B, DCCP_ACK, true, CT_DCCP_PARTOPEN },
	{ A, DCCP_DATA, true, CT_DCCP_OPEN },
	{ B, DCCP_CLOSE, true, CT_DCCP_CLOSING },
	{ A, DCCP_RESET, true, CT_DCCP_TIMEWAIT },
	{ A, DCCP_REQUEST, true, CT_DCCP_REQUEST }, /* now it is the client */
	{ B, DCCP_RESPONSE, true, CT_DCCP_RESPOND },
};

static struct packet_spec packet_of(const struct step *s)
{
	struct packet_spec m = udp_make(4000, 5001);

	m.proto = IPPROTO_NR_DCCP;
	m.flags = (uint8_t)s->type;
	return s->dir == CT_REPLY ? turned(m) : m;
}

static uint32_t ref_now(struct ct_fixture *b)
{
	struct tuple t = { .src = CLIENT, .dst = SERVER, .sport = 4000, .dport = 5001, .proto = IPPROTO_NR_DCCP };

	return conntrack_find(b->ct, &t);
}

/* reborn: behind each step all connections are begun again from their records. */
static void play(const char *what, const struct step *steps, size_t n, bool reborn)
{
	struct ct_fixture b;

	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (size_t i = 0; i < n; i++) {
		struct packet_spec m = packet_of(&steps[i]);
		struct seen s = fixture_forward(&b, &m);
		bool passes = s.passed && s.info != CT_INFO_INVALID;
		uint32_t ref = ref_now(&b);
		uint8_t state = ref == CONN_NONE ? NO_CONN : conntrack_conn(b.ct, conn_index(ref))->tcp_state;

		if (passes != steps[i].passes || state != steps[i].state)
			fail_msg("%s, step %zu: %d, state %u", what, i, passes, state);
		if (reborn)
			fixture_reborn(&b);
	}
	fixture_stop(&b);
}

#define PLAY(steps) \
	(play(#steps, steps, sizeof(steps) / sizeof((steps)[0]), false), \
	 play(#steps ", from records", steps, sizeof(steps) / sizeof((steps)[0]), true))

/* Would catch: a packet of the wrong side or out of order taken, a connection that never opens or cannot be opened
 * again on the same ports, roles that are not turned round behind a DCCP-Listen; a record without them. */
static void test_connections(void **state)
{
	(void)state;
	PLAY(client_closes);
	PLAY(server_closes);
	PLAY(wrong_order);
	PLAY(listen_first);
}

/* Would catch: a timeout of the wrong state, one that the config does not reach; a damaged packet that ends a
 * connection. */
static void test_times(void **state)
{
	static const struct step steps[] = { SET_UP, { A, DCCP_CLOSE, true, 0 } };
	static const uint32_t want[] = { 240, 480, 480, 999, 240 };
	struct ct_config cfg = { .timeout = { .dccp_open = 999 } };
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	for (size_t i = 0; i < 5; i++) {
		struct packet_spec m = packet_of(&steps[i]);

		assert_true(fixture_forward(&b, &m).passed);
		assert_int_equal(conn_timeout_s(b.ct, conn_index(ref_now(&b))), want[i]);
		/* From where it is open on it makes no room for others. */
		assert_int_equal((conntrack_conn(b.ct, conn_index(ref_now(&b)))->status & CT_ASSURED) != 0, i >= 3);
	}
	/* Each but the first has changed its state, and that was told. */
	assert_int_equal(b.n_events[EVENT_CONN_UPDATE], 4);
	struct packet_spec reset = packet_of(&(struct step){ B, DCCP_RESET, true, 0 });
	reset.bad_check = true;
	assert_int_equal(fixture_forward(&b, &reset).reason, DROP_L4_CHECKSUM);
	assert_int_equal(conntrack_conn(b.ct, conn_index(ref_now(&b)))->tcp_state, CT_DCCP_CLOSING);
	assert_string_equal(ct_state_name(IPPROTO_NR_DCCP, CT_DCCP_PARTOPEN), "PARTOPEN");
	fixture_stop(&b);
}

/* RFC 4340 section 8.3: TIMEWAIT lasts its time from its beginning. Would catch: late packets that prolong it. */
static void test_timewait(void **state)
{
	static const struct step steps[] = { SET_UP, { A, DCCP_CLOSE, true, 0 }, { B, DCCP_RESET, true, 0 } };
	struct packet_spec late = packet_of(&(struct step){ B, DCCP_RESET, true, 0 });
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct packet_spec m = packet_of(&steps[i]);

		assert_true(fixture_forward(&b, &m).passed);
	}
	uint32_t index = conn_index(ref_now(&b)), lives_s = conn_timeout_s(b.ct, index);

	assert_int_equal(conntrack_conn(b.ct, index)->tcp_state, CT_DCCP_TIMEWAIT);
	fixture_pass(&b, (lives_s - 10) * NS_PER_S);
	(void)fixture_forward(&b, &late);
	assert_int_not_equal(ref_now(&b), CONN_NONE);
	fixture_pass(&b, 11 * NS_PER_S);
	assert_int_equal(ref_now(&b), CONN_NONE);
	assert_int_equal(b.last.reason, CT_END_CLOSED);
	/* One that never came so far has not been closed, nor answered. */
	struct packet_spec request = packet_of(&steps[0]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fixture_forward(&b, &request).info, CT_INFO_NEW);
	fixture_pass(&b, 241 * NS_PER_S);
	assert_int_equal(ref_now(&b), CONN_NONE);
	assert_int_equal(b.last.reason, CT_END_TIMEOUT);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_connections), cmocka_unit_test(test_times),
					    cmocka_unit_test(test_timewait) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
