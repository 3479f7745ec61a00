/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UDP-Lite, DCCP and SCTP through NAT: ports of their own, checksums right at both
 * ends (nat_fixture.h counts them from scratch), several clients of one server; GRE
 * and ESP: by key and by SPI.
 */
#include "gateway/nat/nat_fixture.h"

#include "stack/wire/rewrite.h"

static const uint8_t protos[] = { IPPROTO_NR_UDPLITE, IPPROTO_NR_DCCP, IPPROTO_NR_SCTP };
static const uint8_t init_chunk[20] = { 1, 0, 0, 20, 0, 0, 0x12, 0x34, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 7 };
static const uint8_t init_ack_chunk[20] = { 2, 0, 0, 20, 0, 0, 0x56, 0x78, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9 };

#define OTHER_CLIENT IP4(10, 0, 0, 3)

static struct packet_spec first_packet(uint8_t proto, uint32_t client)
{
	struct packet_spec m = udp_make(4000, 3868);

	m.src = client;
	m.proto = proto;
	m.payload_len = sizeof(init_chunk);
	m.payload = init_chunk;
	return m;
}

static struct packet_spec first_answer(const struct came *c, const struct packet_spec *sent)
{
	struct packet_spec m = answer_to(c, sent);

	if (m.proto == IPPROTO_NR_SCTP) {
		m.seq = 0x1234;
		m.payload = init_ack_chunk;
	}
	if (m.proto == IPPROTO_NR_DCCP)
		m.flags = 1; /* Response */
	return m;
}

/* Would catch: a second client refused, given the first one's port, or sent its answers; a checksum that is wrong. */
static void test_two_clients(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(protos); i++) {
		static const uint32_t client[2] = { CLIENT, OTHER_CLIENT };
		struct nat_fixture nb;
		struct came out[2];
		struct packet_spec sent[2];

		nat_fixture_start(&nb, 64);
		for (int k = 0; k < 2; k++) {
			sent[k] = first_packet(protos[i], client[k]);
			out[k] = nat_send(&nb, &sent[k]);
			assert_true(out[k].passed);
			assert_int_equal(out[k].ip.src, WAN_ADDR);
			assert_int_equal(out[k].l4.dport, 3868);
		}
		assert_int_not_equal(out[0].l4.sport, out[1].l4.sport);
		for (int k = 1; k >= 0; k--) {
			struct packet_spec answer = first_answer(&out[k], &sent[k]);
			struct came back = nat_send(&nb, &answer);

			assert_true(back.passed);
			assert_int_equal(back.ip.dst, client[k]);
			assert_int_equal(back.l4.dport, 4000);
			assert_int_equal(back.info, CT_INFO_ESTABLISHED);
		}
		nat_fixture_stop(&nb);
	}
}

/* Would catch: an ICMP error about one of these that finds nobody, or whose quote still has the outside port. */
static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(protos); i++) {
		struct nat_fixture nb;
		struct packet_spec sent = first_packet(protos[i], CLIENT);
		struct icmp_quote q;

		nat_fixture_start(&nb, 64);
		struct packet *p = nat_walk(&nb, fixture_packet(&nb.b, &sent), NULL, NULL);
		assert_non_null(p);
		struct packet *e = fixture_error(&nb.b, WAN, LAN, IP4(198, 51, 100, 99), WAN_ADDR,
						 ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, p, 100);
		fixture_hand(&nb.b, p);
		e = nat_walk(&nb, e, NULL, NULL);
		assert_non_null(e);
		assert_int_equal(e->ip.dst, CLIENT);
		assert_true(icmp_quote_parse(packet_l4(e), packet_l4_len(e), &q));
		assert_true(q.ip.src == CLIENT && q.l4.sport == 4000 && q.l4.dport == 3868);
		fixture_hand(&nb.b, e);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: a published port that goes in unchanged. */
static void test_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(protos); i++) {
		struct nat_fixture nb;
		struct packet_spec m = first_packet(protos[i], SERVER);

		nat_fixture_start(&nb, 64);
		m.in = WAN;
		m.dst = WAN_ADDR;
		m.dport = 8080;
		struct came in = nat_send(&nb, &m);
		assert_true(in.passed);
		assert_true(in.ip.dst == CLIENT && in.l4.dport == 80);
		struct packet_spec answer = first_answer(&in, &m);
		struct came back = nat_send(&nb, &answer);
		assert_true(back.passed);
		assert_true(back.ip.src == WAN_ADDR && back.l4.sport == 8080 && back.ip.dst == SERVER);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: ports of one of these taken from another's: each has all of them to itself. */
static void test_ports_of_their_own(void **state)
{
	struct nat_fixture nb;
	struct nat_pool_info info;
	uint32_t cursor = 0;

	(void)state;
	nat_fixture_start(&nb, 64);
	nb.snat = (struct nat_action){ .kind = NAT_ACTION_RANGE,
				       .flags = NAT_FLAG_ADDRESS | NAT_FLAG_PORT,
				       .range = { WAN_ADDR, WAN_ADDR },
				       .ports = { 2000, 2000 } };
	for (size_t i = 0; i < sizeof(protos); i++) {
		struct packet_spec m = first_packet(protos[i], CLIENT), other = first_packet(protos[i], OTHER_CLIENT);

		struct came c = nat_send(&nb, &m);
		assert_true(c.passed && c.l4.sport == 2000);
		assert_false(nat_send(&nb, &other).passed);
	}
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_EXHAUSTED], 3);
	while (nat_pool_next(nb.nat, &cursor, &info))
		assert_int_equal(info.n_used_other, 3);
	nat_fixture_stop(&nb);
}

static void make_first_fragment(struct packet_spec *m)
{
	static const uint8_t cookie[100] = { 10, 0, 0, 100 };

	m->seq = 0x5678;
	m->payload = cookie;
	m->payload_len = sizeof(cookie);
	m->mf = true;
	m->cut = 40;
	m->ip_id = 77;
}

/* Would catch: a first fragment of an SCTP packet that leaves with a checksum that nobody can have counted; one that is
 * dropped although its checksum stays as it is. */
static void test_sctp_fragments(void **state)
{
	struct nat_fixture nb;
	struct packet_spec m = first_packet(IPPROTO_NR_SCTP, CLIENT);

	(void)state;
	nat_fixture_start(&nb, 64);
	struct came c = nat_send(&nb, &m);
	assert_true(c.passed);
	struct packet_spec answer = first_answer(&c, &m);
	assert_true(nat_send(&nb, &answer).passed);
	make_first_fragment(&m);
	assert_false(nat_send(&nb, &m).passed);
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_SCTP_FRAGMENT], 1);
	nat_fixture_stop(&nb);

	/* Only the destination's port changes, and then none does. */
	for (int same = 0; same < 2; same++) {
		struct packet_spec in = first_packet(IPPROTO_NR_SCTP, SERVER);

		nat_fixture_start(&nb, 64);
		in.in = WAN;
		in.dst = WAN_ADDR;
		in.dport = 8080;
		nb.dnat.ports.first = nb.dnat.ports.last = same ? 8080 : 80;
		c = nat_send(&nb, &in);
		assert_true(c.passed && c.ip.dst == CLIENT);
		answer = first_answer(&c, &in);
		assert_true(nat_send(&nb, &answer).passed);
		make_first_fragment(&in);
		assert_int_equal(nat_send(&nb, &in).passed, same);
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_SCTP_FRAGMENT], !same);
		nat_fixture_stop(&nb);
	}
}

static struct packet_spec esp_make(uint32_t client, uint32_t spi)
{
	struct packet_spec m = udp_make(0, 0);

	m.proto = IPPROTO_NR_ESP;
	m.src = client;
	m.seq = spi;
	return m;
}

static struct packet_spec from_server(struct packet_spec m, uint32_t id)
{
	m.in = WAN;
	m.out = LAN;
	m.src = SERVER;
	m.dst = WAN_ADDR;
	m.seq = id;
	return m;
}

static void goes_to(struct nat_fixture *nb, const struct packet_spec *m, uint32_t client)
{
	struct came c = nat_send(nb, m);

	assert_true(c.passed);
	assert_int_equal(c.ip.dst, client);
}

/* Would catch: a second client let in while the first one waits for its answer, whose packets it would take; one that
 * never gets its turn; an answer to the wrong one; a client that makes its association again and is not known. */
static void test_esp(void **state)
{
	struct nat_fixture nb;
	struct packet_spec a = esp_make(CLIENT, 0x100a), b = esp_make(OTHER_CLIENT, 0x100b),
			   a2 = esp_make(CLIENT, 0x200a);
	struct packet_spec to_a = from_server(a, 0xa001), to_b = from_server(a, 0xb001), to_a2 = from_server(a, 0xa002),
			   stray = from_server(a, 0xffff);

	(void)state;
	nat_fixture_start(&nb, 64);
	struct came out = nat_send(&nb, &a);
	assert_true(out.passed && out.ip.src == WAN_ADDR && out.l4.info == 0x100a);
	assert_false(nat_send(&nb, &b).passed);
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_ID_AWAITED], 1);
	goes_to(&nb, &to_a, CLIENT);
	assert_true(nat_send(&nb, &b).passed);
	goes_to(&nb, &to_a, CLIENT);
	goes_to(&nb, &to_b, OTHER_CLIENT);
	goes_to(&nb, &to_a, CLIENT);
	/* A restart: a new pair. Now what nobody waits for could be for either. */
	assert_true(nat_send(&nb, &a2).passed);
	goes_to(&nb, &to_b, OTHER_CLIENT);
	goes_to(&nb, &to_a2, CLIENT);
	struct came lost = nat_send(&nb, &stray);
	assert_true(!lost.passed || lost.ip.dst == WAN_ADDR);
	nat_fixture_stop(&nb);
}

/* Where an ICMP error goes that quotes what left for a server. */
static uint32_t error_goes_to(struct nat_fixture *nb, uint32_t server, uint32_t spi)
{
	struct packet_spec m = esp_make(WAN_ADDR, spi);

	m.dst = server;
	struct packet *quoted = fixture_packet(&nb->b, &m);
	struct packet *e = fixture_error(&nb->b, WAN, LAN, IP4(198, 51, 100, 99), WAN_ADDR, ICMP_DEST_UNREACHABLE,
					 ICMP_FRAGMENTATION_NEEDED, quoted, 100);
	struct came c = nat_send_packet(nb, e);

	fixture_hand(&nb->b, quoted);
	return c.ip.dst;
}

/* Would catch: an ICMP error about an association that finds nobody, one that goes to another host than the one whose
 * packet it quotes, or about one that nobody has. */
static void test_esp_error(void **state)
{
	struct nat_fixture nb;
	struct packet_spec a = esp_make(CLIENT, 0x100a), to_a = from_server(a, 0xa001),
			   b = esp_make(OTHER_CLIENT, 0x100b), to_b = from_server(b, 0xb001);

	(void)state;
	nat_fixture_start(&nb, 64);
	assert_true(nat_send(&nb, &a).passed);
	goes_to(&nb, &to_a, CLIENT);
	assert_int_equal(error_goes_to(&nb, SERVER, 0x100a), CLIENT);
	assert_int_equal(error_goes_to(&nb, SERVER + 1, 0x100a), WAN_ADDR);
	/* Only one host has any, so what it had before is its own. */
	assert_int_equal(error_goes_to(&nb, SERVER, 0x2), CLIENT);
	assert_true(nat_send(&nb, &b).passed);
	goes_to(&nb, &to_b, OTHER_CLIENT);
	assert_int_equal(error_goes_to(&nb, SERVER, 0x100b), OTHER_CLIENT);
	assert_int_equal(error_goes_to(&nb, SERVER, 0x100a), WAN_ADDR);
	nat_fixture_stop(&nb);
}

static struct packet_spec gre_make(uint32_t client, uint32_t key)
{
	struct packet_spec m = esp_make(client, key);

	m.proto = IPPROTO_NR_GRE;
	m.flags = 0x20;
	return m;
}

/* Would catch: two tunnels to one server taken for one, or a second one with the same key that takes the first one's
 * answers. */
static void test_gre_keys(void **state)
{
	struct nat_fixture nb;
	struct packet_spec a = gre_make(CLIENT, 0x10001), b = gre_make(OTHER_CLIENT, 1),
			   same = gre_make(OTHER_CLIENT, 0x10001);
	struct packet_spec to_a = from_server(a, 0x10001), to_b = from_server(a, 1);

	(void)state;
	nat_fixture_start(&nb, 64);
	struct came out = nat_send(&nb, &a);
	assert_true(out.passed && out.l4.info == 0x10001);
	assert_true(nat_send(&nb, &b).passed);
	assert_false(nat_send(&nb, &same).passed);
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_EXHAUSTED], 1);
	goes_to(&nb, &to_b, OTHER_CLIENT);
	goes_to(&nb, &to_a, CLIENT);
	nat_fixture_stop(&nb);
}

/* Would catch: a call that the server begins again, before the only host that has calls with it does, given the number
 * of the call before; where no control connection said what it is. Another host that is let in, or refused for good,
 * before the first has its answer. */
static void test_next_call(void **state)
{
	struct packet_spec a = gre_make(CLIENT, 20u << 16 | 100);
	struct nat_fixture nb;

	(void)state;
	nat_fixture_start(&nb, 64);
	a.flags = 0x30;
	a.gre_version = 1;
	assert_true(nat_send(&nb, &a).passed);
	/* Whose the answer is nobody could say. */
	struct packet_spec b = a;
	b.src = OTHER_CLIENT;
	assert_false(nat_send(&nb, &b).passed);
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_NAT_ID_AWAITED], 1);
	for (uint32_t call = 7; call < 9; call++) {
		struct packet_spec to_a = from_server(a, 20u << 16 | call);
		struct came c = nat_send(&nb, &to_a);

		assert_true(c.passed && c.ip.dst == CLIENT);
		assert_int_equal(c.l4.info, call);
	}
	nat_fixture_stop(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_clients),    cmocka_unit_test(test_errors),
		cmocka_unit_test(test_published),      cmocka_unit_test(test_ports_of_their_own),
		cmocka_unit_test(test_sctp_fragments), cmocka_unit_test(test_esp),
		cmocka_unit_test(test_esp_error),      cmocka_unit_test(test_gre_keys),
		cmocka_unit_test(test_next_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
