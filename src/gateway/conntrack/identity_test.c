/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows that are told apart by an identifier: a key of GRE, calls of PPTP, SPIs of ESP.
 */
#include "gateway/conntrack/ct_fixture.h"

enum { KEY_FLAG = 0x20 };

static struct packet_spec esp(uint32_t src, uint32_t dst, uint32_t spi)
{
	struct packet_spec m = udp_make(0, 0);

	m.proto = IPPROTO_NR_ESP;
	m.src = src;
	m.dst = dst;
	m.seq = spi;
	if (src == SERVER) {
		m.in = WAN;
		m.out = LAN;
	}
	return m;
}

static struct packet_spec gre(uint32_t src, uint32_t dst, uint8_t flags, uint8_t version, uint32_t key)
{
	struct packet_spec m = esp(src, dst, key);

	m.proto = IPPROTO_NR_GRE;
	m.flags = flags;
	m.gre_version = version;
	return m;
}

/* The connection that a packet belongs to, and what it is there. */
static uint32_t conn_of(struct ct_fixture *b, const struct packet_spec *m, uint8_t info)
{
	struct seen s = fixture_forward(b, m);

	assert_true(s.passed);
	assert_int_equal(s.info, info);
	return conn_index(s.conn_ref);
}

/* Would catch: an answer that is not known as one, two pairs of SPIs in one connection, an SPI learnt twice, a rekeyed
 * association that loses its host. */
static void test_spis(void **state)
{
	struct ct_fixture b;
	struct packet_spec out = esp(CLIENT, SERVER, 0x1001), in = esp(SERVER, CLIENT, 0x2001);
	struct packet_spec out2 = esp(CLIENT, SERVER, 0x1002), in2 = esp(SERVER, CLIENT, 0x2002),
			   in3 = esp(SERVER, CLIENT, 0x2003);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	uint32_t first = conn_of(&b, &out, CT_INFO_NEW);
	assert_int_equal(conn_of(&b, &out, CT_INFO_NEW), first);
	assert_int_equal(conn_of(&b, &in, CT_INFO_ESTABLISHED), first);
	assert_int_equal(conn_of(&b, &out, CT_INFO_ESTABLISHED), first);
	/* A new pair, the inside first. */
	uint32_t second = conn_of(&b, &out2, CT_INFO_NEW);
	assert_int_not_equal(second, first);
	assert_int_equal(conn_of(&b, &in, CT_INFO_ESTABLISHED), first);
	assert_int_equal(conn_of(&b, &in2, CT_INFO_ESTABLISHED), second);
	assert_int_equal(conn_of(&b, &in, CT_INFO_ESTABLISHED), first);
	/* The outside first: for the one host that there is. */
	assert_int_equal(conn_of(&b, &in3, CT_INFO_ESTABLISHED), second);
	assert_int_equal(conntrack_n_connections(b.ct), 2);
	fixture_stop(&b);
}

/* Would catch: one that nobody answers and that keeps others out for ever. */
static void test_unanswered(void **state)
{
	struct ct_fixture b;
	struct packet_spec out = esp(CLIENT, SERVER, 0x1001), in = esp(SERVER, CLIENT, 0x2001);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	conn_of(&b, &out, CT_INFO_NEW);
	fixture_pass(&b, 9 * NS_PER_S);
	conn_of(&b, &out, CT_INFO_NEW);
	fixture_pass(&b, 2 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	conn_of(&b, &out, CT_INFO_NEW);
	conn_of(&b, &in, CT_INFO_ESTABLISHED);
	fixture_pass(&b, 599 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_pass(&b, 3 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	fixture_stop(&b);
}

/* Would catch: keys mixed up, an answer with the same key not known as one, a tunnel without key that takes part. */
static void test_keys(void **state)
{
	struct ct_fixture b;
	struct packet_spec a = gre(CLIENT, SERVER, KEY_FLAG, 0, 0x70001), c = gre(CLIENT, SERVER, KEY_FLAG, 0, 1),
			   plain = gre(CLIENT, SERVER, 0, 0, 0);
	struct packet_spec a_back = gre(SERVER, CLIENT, KEY_FLAG, 0, 0x70001),
			   plain_back = gre(SERVER, CLIENT, 0, 0, 0x55);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	uint32_t first = conn_of(&b, &a, CT_INFO_NEW), second = conn_of(&b, &c, CT_INFO_NEW),
		 third = conn_of(&b, &plain, CT_INFO_NEW);
	assert_true(first != second && second != third && first != third);
	assert_int_equal(conn_of(&b, &a_back, CT_INFO_ESTABLISHED), first);
	assert_int_equal(conn_of(&b, &plain_back, CT_INFO_ESTABLISHED), third);
	fixture_stop(&b);
}

/* Would catch: calls of PPTP whose control connection nobody has seen in one another's way. */
static void test_calls(void **state)
{
	struct ct_fixture b;
	struct packet_spec a = gre(CLIENT, SERVER, KEY_FLAG | 0x10, 1, 0x140007),
			   back = gre(SERVER, CLIENT, 0x30, 1, 0x140009), c = gre(CLIENT, SERVER, KEY_FLAG, 1, 8),
			   key = gre(CLIENT, SERVER, KEY_FLAG, 0, 7);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	uint32_t first = conn_of(&b, &a, CT_INFO_NEW);
	assert_int_equal(conn_of(&b, &back, CT_INFO_ESTABLISHED), first);
	assert_int_not_equal(conn_of(&b, &c, CT_INFO_NEW), first);
	assert_int_not_equal(conn_of(&b, &key, CT_INFO_NEW), first);
	back.seq = 0x200009; /* the upper half is the payload's length */
	assert_int_equal(conn_of(&b, &back, CT_INFO_ESTABLISHED), first);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spis),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
