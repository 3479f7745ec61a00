/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP errors through NAT: what they quote is translated too, and what quotes nothing of ours is not.
 */
#include "gateway/nat/nat_fixture.h"

/* One error and what must come of it. */
struct error_row {
	const char *name;
	uint8_t proto;
	bool inbound;   /* about a connection that came in through dnat */
	bool of_reply;  /* about a packet of the answering side */
	uint32_t from;  /* who sends it; 0: the gateway itself */
	uint32_t shown; /* as whom the receiver sees it */
	uint32_t quote_len;
};

static const struct error_row error_rows[] = {
	{ "a router outside", IPPROTO_NR_UDP, false, false, IP4(192, 0, 2, 9), IP4(192, 0, 2, 9), 1000 },
	{ "a router outside, 8 bytes", IPPROTO_NR_UDP, false, false, IP4(192, 0, 2, 9), IP4(192, 0, 2, 9), 8 },
	{ "the server", IPPROTO_NR_TCP, false, false, SERVER, SERVER, 1000 },
	{ "a router outside about a ping", IPPROTO_NR_ICMP, false, false, IP4(192, 0, 2, 9), IP4(192, 0, 2, 9), 1000 },
	{ "the client about an answer", IPPROTO_NR_UDP, false, true, CLIENT, WAN_ADDR, 1000 },
	{ "a router inside about an answer", IPPROTO_NR_UDP, false, true, IP4(10, 5, 5, 5), WAN_ADDR, 1000 },
	{ "the back end", IPPROTO_NR_UDP, true, false, CLIENT, WAN_ADDR, 1000 },
	{ "a router behind the gateway", IPPROTO_NR_TCP, true, false, IP4(10, 5, 5, 5), WAN_ADDR, 8 },
	{ "a router outside, about the back end's answer", IPPROTO_NR_UDP, true, true, IP4(192, 0, 2, 9),
	  IP4(192, 0, 2, 9), 1000 },
};

/* Would catch: an error that reaches the wrong one, quotes a packet that he has not sent, shows an inside address, or
 * has a wrong checksum at any depth. */
static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(error_rows); i++) {
		const struct error_row *r = &error_rows[i];
		struct nat_fixture nb;
		struct packet_spec m = out_make(r->proto, 4000, 53);
		struct icmp_quote q;

		nat_fixture_start(&nb, 100);
		if (r->inbound) {
			m.in = WAN;
			m.src = SERVER;
			m.dst = WAN_ADDR;
			m.dport = 8080;
		}
		/* sent: as its sender sent it; left: as it left the gateway. */
		struct packet_spec sent = m;
		struct packet *left = nat_walk(&nb, fixture_packet(&nb.b, &m), NULL, NULL);
		assert_non_null(left);
		if (r->of_reply) {
			struct came c = { .ip = left->ip, .l4 = left->l4, .out = left->out_ifindex };
			sent = answer_to(&c, &m);
			fixture_hand(&nb.b, left);
			left = nat_walk(&nb, fixture_packet(&nb.b, &sent), NULL, NULL);
			assert_non_null(left);
		}
		struct packet *e =
			fixture_error(&nb.b, left->out_ifindex, 0, r->from, left->ip.src, 3, 4, left, r->quote_len);
		e = nat_walk(&nb, e, NULL, NULL);
		if (e == NULL) {
			fail_msg("%s: lost", r->name);
			return;
		}
		assert_int_equal(e->ct_info, CT_INFO_RELATED);
		assert_int_equal(e->ip.dst, sent.src);
		assert_int_equal(e->ip.src, r->shown);
		assert_int_equal(e->out_ifindex, sent.in);
		assert_true(icmp_quote_parse(packet_l4(e), packet_l4_len(e), &q));
		assert_int_equal(q.ip.src, sent.src);
		assert_int_equal(q.ip.dst, sent.dst);
		if (r->proto == IPPROTO_NR_ICMP) {
			assert_int_equal(q.l4.id, sent.sport);
		} else {
			assert_int_equal(q.l4.sport, sent.sport);
			assert_int_equal(q.l4.dport, sent.dport);
		}
		fixture_hand(&nb.b, e);
		fixture_hand(&nb.b, left);
		nat_fixture_stop(&nb);
	}
}

/* RFC 5508 REQ-5c. Would catch: a router inside that a rule maps one to one, and that appears as the host whose packet
 * it tells of. */
static void test_router_of_prefix(void **state)
{
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	struct nat_fixture nb;

	(void)state;
	nat_fixture_start(&nb, 100);
	nb.snat = (struct nat_action){ .kind = NAT_ACTION_PREFIX,
				       .flags = NAT_FLAG_ADDRESS,
				       .range = { IP4(198, 51, 0, 0), IP4(198, 51, 255, 255) },
				       .prefix_len = 16 };
	struct came c = nat_send(&nb, &m);
	assert_true(c.passed && c.ip.src == IP4(198, 51, 0, 2));
	struct packet_spec back = answer_to(&c, &m);
	struct packet *answer = nat_walk(&nb, fixture_packet(&nb.b, &back), NULL, NULL);
	assert_non_null(answer);
	for (int by_host = 0; by_host < 2; by_host++) {
		struct packet *e = fixture_error(&nb.b, LAN, 0, by_host ? CLIENT : IP4(10, 0, 7, 9), answer->ip.src, 3,
						 1, answer, 1000);
		struct came seen = nat_send_packet(&nb, e);

		assert_true(seen.passed);
		assert_int_equal(seen.ip.src, by_host ? IP4(198, 51, 0, 2) : IP4(198, 51, 7, 9));
	}
	fixture_hand(&nb.b, answer);
	nat_fixture_stop(&nb);
}

/* Would catch: a redirect that leads a client round the translator, one that is dropped where nothing is translated. */
static void test_redirect(void **state)
{
	(void)state;
	for (int translated = 0; translated < 2; translated++) {
		struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
		struct nat_fixture nb;

		nat_fixture_start(&nb, 100);
		if (!translated)
			nb.snat.kind = NAT_ACTION_NONE;
		struct packet *left = nat_walk(&nb, fixture_packet(&nb.b, &m), NULL, NULL);
		assert_non_null(left);
		struct packet *e = fixture_error(&nb.b, WAN, 0, IP4(192, 0, 2, 9), left->ip.src, ICMP_REDIRECT,
						 ICMP_REDIRECT_HOST, left, 1000);

		assert_int_equal(nat_send_packet(&nb, e).passed, !translated);
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_ICMP_IGNORED], translated);
		fixture_hand(&nb.b, left);
		nat_fixture_stop(&nb);
	}
}

/* An error of the gateway itself, with the packet quoted as it stands in `about`. */
static void check_own_error(struct nat_fixture *nb, struct packet *about, const struct packet_spec *sent)
{
	struct batch batch = { .n = 0 };
	struct icmp_quote q;
	struct packet *e = fixture_error(&nb->b, 0, sent->in, LAN_ADDR, about->ip.src, 11, 0, about, 1000);

	e->conn_ref = about->conn_ref;
	batch_add(&batch, e);
	fixture_in(&nb->b, HOOK_OUTPUT, &batch);
	assert_int_equal(batch.n, 1);
	assert_int_equal(e->ct_info, CT_INFO_RELATED);
	nat_dst(nb->nat, HOOK_OUTPUT, &batch);
	nat_src(nb->nat, HOOK_POSTROUTING, &batch);
	fixture_out(&nb->b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 1);
	check_sums(e);
	assert_int_equal(e->ip.dst, sent->src);
	assert_int_equal(e->ip.src, LAN_ADDR);
	assert_true(icmp_quote_parse(packet_l4(e), packet_l4_len(e), &q));
	assert_int_equal(q.ip.src, sent->src);
	assert_int_equal(q.ip.dst, sent->dst);
	assert_int_equal(q.l4.sport, sent->sport);
	assert_int_equal(q.l4.dport, sent->dport);
	fixture_hand(&nb->b, e);
}

/* Would catch: an error of ours that quotes what the sender never sent, because we gave up half way through. */
static void test_own_errors(void **state)
{
	(void)state;
	for (int with_hint = 0; with_hint < 2; with_hint++)
		for (int both = 0; both <= with_hint; both++) {
			struct nat_fixture nb;
			struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
			struct batch batch = { .n = 0 };

			nat_fixture_start(&nb, 100);
			if (both) {
				m.in = WAN;
				m.src = IP4(10, 9, 9, 9);
				m.dst = WAN_ADDR;
				m.dport = 8080;
				nb.dnat.range = (struct nat_address_range){ SERVER, SERVER };
			}
			/* The first packet of a connection, behind PREROUTING. */
			struct packet *p = fixture_packet(&nb.b, &m);
			batch_add(&batch, p);
			fixture_in(&nb.b, HOOK_PREROUTING, &batch);
			nat_dst(nb.nat, HOOK_PREROUTING, &batch);
			uint32_t ref = p->conn_ref;
			if (!with_hint)
				p->conn_ref = CONN_NONE;
			check_own_error(&nb, p, &m);
			p->conn_ref = ref;
			/* Behind POSTROUTING. */
			p->out_ifindex = WAN;
			nat_src(nb.nat, HOOK_POSTROUTING, &batch);
			fixture_out(&nb.b, HOOK_POSTROUTING, &batch);
			if (!with_hint)
				p->conn_ref = CONN_NONE;
			check_own_error(&nb, p, &m);
			fixture_hand(&nb.b, p);
			/* The next one, of which the destination alone is translated so far. */
			p = fixture_packet(&nb.b, &m);
			batch.n = 0;
			batch_add(&batch, p);
			fixture_in(&nb.b, HOOK_PREROUTING, &batch);
			nat_dst(nb.nat, HOOK_PREROUTING, &batch);
			check_own_error(&nb, p, &m);
			fixture_hand(&nb.b, p);
			/* A hint that has nothing to do with it is not believed. */
			struct packet_spec other = out_make(IPPROTO_NR_UDP, 4001, 53);
			p = nat_walk(&nb, fixture_packet(&nb.b, &other), NULL, NULL);
			p->conn_ref = ref;
			check_own_error(&nb, p, &other);
			fixture_hand(&nb.b, p);
			nat_fixture_stop(&nb);
		}
}

/* Would catch: an INVALID packet that leaves with its inside address, one that reaches us although it is a client's,
 * or one that is dropped although nothing is translated. */
static void test_invalid(void **state)
{
	struct nat_fixture nb;
	struct packet_spec m = out_make(IPPROTO_NR_TCP, 4000, 80), stray = m;

	(void)state;
	nat_fixture_start(&nb, 100);
	stray.sport = 4001;
	stray.flags = TCP_ACK;
	assert_false(nat_send(&nb, &stray).passed);
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_CT_INVALID], 1);
	struct came c = nat_send(&nb, &m);
	struct packet_spec back = answer_to(&c, &m), off = back;
	off.flags = TCP_RST | TCP_ACK;
	off.ack = 77;
	assert_false(nat_send(&nb, &off).passed);
	assert_int_equal(nb.b.env.ledger.n_dropped[DROP_CT_INVALID], 2);
	assert_true(nat_send(&nb, &back).passed);
	nb.snat.kind = NAT_ACTION_NONE;
	struct came s = nat_send(&nb, &stray);
	assert_true(s.passed);
	assert_int_equal(s.info, CT_INFO_INVALID);
	nat_fixture_stop(&nb);
}

/* Would catch: a segment out of its window that leaves with its inside port, where the address is the same on both
 * sides; one that is dropped although nothing of it is translated. */
static void test_invalid_port_only(void **state)
{
	(void)state;
	for (int same = 0; same < 2; same++) {
		struct packet_spec m = out_make(IPPROTO_NR_TCP, 4000, 80), off = m;
		struct nat_fixture nb;

		nat_fixture_start(&nb, 100);
		nb.snat = (struct nat_action){ .kind = NAT_ACTION_RANGE,
					       .flags = NAT_FLAG_ADDRESS | NAT_FLAG_PORT,
					       .range = { m.src, m.src },
					       .ports = { 5000, 5000 } };
		if (same)
			nb.snat.kind = NAT_ACTION_NONE;
		struct came c = nat_send(&nb, &m);
		assert_true(c.passed && c.ip.src == m.src && c.l4.sport == (same ? 4000 : 5000));
		struct packet_spec back = answer_to(&c, &m);
		assert_true(nat_send(&nb, &back).passed);
		off.flags = TCP_ACK;
		off.seq = m.seq + 100000000;
		off.ack = 5001;
		struct came o = nat_send(&nb, &off);
		assert_int_equal(o.passed, same);
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_CT_INVALID], !same);
		if (same)
			assert_int_equal(o.info, CT_INFO_INVALID);
		nat_fixture_stop(&nb);
	}
}

/* Would catch: an error of ours that leaves half translated, since its connection has ended meanwhile; any other packet
 * dropped for it. */
static void test_error_behind_its_connection(void **state)
{
	static const struct {
		uint8_t proto;
		uint32_t in;
		bool translated, dropped;
	} rows[] = { { IPPROTO_NR_ICMP, 0, true, true },
		     { IPPROTO_NR_ICMP, 0, false, false },
		     { IPPROTO_NR_ICMP, WAN, true, false },
		     { IPPROTO_NR_UDP, 0, true, false } };
	struct packet_spec m = out_make(IPPROTO_NR_UDP, 4000, 53);
	struct nat_fixture nb;

	(void)state;
	nat_fixture_start(&nb, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet *quoted = fixture_packet(&nb.b, &m), *p = quoted;

		if (rows[i].proto == IPPROTO_NR_ICMP)
			p = fixture_error(&nb.b, 0, LAN, LAN_ADDR, CLIENT, 3, 1, quoted, 8);
		p->in_ifindex = rows[i].in;
		p->translated = rows[i].translated;
		nat_invalid_dst(nb.nat, p);
		assert_int_equal(p->verdict == VERDICT_DROP, rows[i].dropped);
		if (rows[i].dropped)
			assert_int_equal(p->reason, DROP_CT_INVALID);
		if (p != quoted)
			fixture_hand(&nb.b, p);
		fixture_hand(&nb.b, quoted);
	}
	nat_fixture_stop(&nb);
}

/* Echo requests that go out, and nothing else. */
static enum packet_verdict translates_requests(void *ctx, enum ip_hook hook, struct packet *p, struct nat_action *out)
{
	(void)ctx;
	out->kind = NAT_ACTION_NONE;
	if (hook == HOOK_POSTROUTING && p->out_ifindex == WAN && p->l4.kind == L4_ICMP_QUERY &&
	    p->l4.type == ICMP_ECHO_REQUEST)
		out->kind = NAT_ACTION_MASQUERADE;
	return VERDICT_CONTINUE;
}

/* An ICMP error of which nobody knows the connection, from inside: whether it quotes an inside address that the rules
 * would translate is asked of what would answer the quoted packet. Would catch: one that is asked by the quoted
 * packet's own type. */
static void test_unknown_error_by_type(void **state)
{
	(void)state;
	for (int quotes_reply = 0; quotes_reply < 2; quotes_reply++) {
		struct packet_spec m = { .in = WAN,
					 .out = LAN,
					 .src = SERVER,
					 .dst = CLIENT,
					 .proto = IPPROTO_NR_ICMP,
					 .sport = 77,
					 .dport = (quotes_reply ? ICMP_ECHO_REPLY : ICMP_ECHO_REQUEST) << 8,
					 .payload_len = 8 };
		struct nat_fixture nb;

		nat_fixture_start(&nb, 8);
		nat_set_rules(nb.nat, translates_requests, NULL);
		struct packet *quoted = fixture_packet(&nb.b, &m);
		struct packet *error = fixture_error(&nb.b, LAN, WAN, CLIENT, SERVER, ICMP_DEST_UNREACHABLE,
						     ICMP_HOST_UNREACHABLE, quoted, 16);

		assert_int_equal(nat_send_packet(&nb, error).passed, !quotes_reply);
		assert_int_equal(nb.b.env.ledger.n_dropped[DROP_CT_INVALID], quotes_reply);
		fixture_hand(&nb.b, quoted);
		nat_fixture_stop(&nb);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_router_of_prefix),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_own_errors),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_invalid_port_only),
		cmocka_unit_test(test_error_behind_its_connection),
		cmocka_unit_test(test_unknown_error_by_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
