/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 5508 (BCP 148): what is demanded of NAT for ICMP. REQ-9 allows a policy that
 * keeps errors back; here none is set. What the gateway's own errors and answers
 * must be like (REQ-10) stands in rfc5508_own.c.
 */
#include "rfc.h"

#define ICMP IPPROTO_NR_ICMP
#define UDP IPPROTO_NR_UDP
#define TCP IPPROTO_NR_TCP

static struct packet_spec query(uint8_t type, uint32_t src, uint32_t dst, uint16_t id)
{
	return (struct packet_spec){
		.src = src, .dst = dst, .proto = ICMP, .type = type, .id = id, .icmp_seq = 5, .payload_len = 40
	};
}

/* REQ-1. Would catch: a sort of query that does not pass, an answer that reaches nobody or the wrong host. */
static void queries_pass(struct rfc *t)
{
	static const uint8_t types[] = { ICMP_ECHO_REQUEST, ICMP_TIMESTAMP, ICMP_ADDRESS_MASK };
	uint16_t id[2];

	rfc_start(t, NULL);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		for (uint32_t h = 0; h < 2; h++) {
			struct packet_spec rq = query(types[i], RFC_HOST1 + h, RFC_PEER1, 7);
			struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
			assert_non_null(p);
			assert_true(p->ip.src >= RFC_POOL_FIRST && p->ip.src <= RFC_POOL_LAST);
			assert_int_equal(p->l4.type, types[i]);
			assert_int_equal(p->l4.icmp_seq, 5);
			id[h] = p->l4.id;
			struct packet_spec rp = query(icmp_opposite(types[i]), RFC_PEER1, p->ip.src, id[h]);
			p = rfc_carry(t, t->wan, &rp, t->lan);
			assert_non_null(p);
			assert_int_equal(p->ip.dst, RFC_HOST1 + h);
			assert_int_equal(p->l4.type, icmp_opposite(types[i]));
			assert_int_equal(p->l4.id, 7);
		}
		assert_int_not_equal(id[0], id[1]);
	}
}

/* REQ-1a. */
static void identifier_for_every_destination(struct rfc *t)
{
	rfc_start(t, NULL);
	struct rfc_end e = rfc_out(t, ICMP, RFC_HOST1, 7, RFC_PEER1, 0);

	rfc_same_end(e, rfc_out(t, ICMP, RFC_HOST1, 7, RFC_PEER2, 0), "towards another address");
	assert_true(rfc_is_end(rfc_in(t, ICMP, RFC_PEER1, 0, e), RFC_HOST1, 7));
	assert_true(rfc_is_end(rfc_in(t, ICMP, RFC_PEER2, 0, e), RFC_HOST1, 7));
}

/* REQ-2. */
static void query_lives_a_minute(struct rfc *t)
{
	rfc_start(t, NULL);
	struct rfc_end e = rfc_out(t, ICMP, RFC_HOST1, 7, RFC_PEER1, 0);

	rfc_run_s(t, 59);
	assert_true(rfc_is_end(rfc_in(t, ICMP, RFC_PEER1, 0, e), RFC_HOST1, 7));
}

/* REQ-2a. */
static void query_timer_is_an_option(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .more = "conntrack { timeout icmp 90s }" });
	struct rfc_end e = rfc_out(t, ICMP, RFC_HOST1, 7, RFC_PEER1, 0);

	rfc_run_s(t, 88);
	assert_true(rfc_is_end(rfc_in(t, ICMP, RFC_PEER1, 0, e), RFC_HOST1, 7));
	rfc_run_s(t, 92);
	assert_int_equal(rfc_in(t, ICMP, RFC_PEER1, 0, e).addr, 0);
}

/* Errors. */

/* A UDP packet from inside, as it came out; its bytes are in *quote. */
#define QUOTE_MAX 256

static struct packet_spec error_about_udp(struct rfc *t, uint8_t *quote, uint16_t payload_len)
{
	struct packet_spec rq = {
		.src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 4000, .dport = 53, .payload_len = payload_len
	};

	rfc_start(t, NULL);
	struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
	assert_non_null(p);
	assert_true(p->ip.total_len <= QUOTE_MAX);
	return rfc_error_about(p, RFC_WAN_ROUTER, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, quote, p->ip.total_len);
}

/* The error arrives, in the words of the host that it is for. */
static void expect_error(struct rfc *t, const struct packet_spec *err)
{
	struct icmp_quote q;

	rfc_send(t, t->wan, err);
	struct packet *p = rfc_error(t, t->lan, err->type, err->code, &q);
	assert_int_equal(p->ip.src, err->src);
	assert_int_equal(p->ip.dst, RFC_HOST1);
	assert_int_equal(q.ip.dst, RFC_PEER1);
	assert_int_equal(q.l4.sport, 4000);
	assert_int_equal(q.l4.dport, 53);
}

static void expect_silence(struct rfc *t)
{
	if (rfc_next(t, t->lan) != NULL || rfc_next(t, t->wan) != NULL)
		fail_msg("something came where nothing should");
}

static uint16_t sum_of(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* REQ-3. */
static void damaged_error_is_dropped(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX], bytes[1500];
	struct packet_spec err = error_about_udp(t, quote, 30);
	uint32_t len = station_build(t->wan, &err, bytes);

	bytes[IPV4_HEADER_LEN + 2] ^= 0x40;
	rfc_send_ip(t, t->wan, bytes, len);
	expect_silence(t);
	expect_error(t, &err);
}

/* REQ-3a. */
static void damaged_quote_is_dropped(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX];
	struct packet_spec err = error_about_udp(t, quote, 30);

	quote[10] ^= 0x40;
	rfc_send(t, t->wan, &err);
	expect_silence(t);
	quote[10] ^= 0x40;
	expect_error(t, &err);
}

/* REQ-3b. Would catch: ports that are looked for behind twenty bytes. */
static void quote_with_options(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX + 8];
	struct packet_spec err = error_about_udp(t, quote, 30);

	memmove(quote + 28, quote + 20, err.payload_len - 20u);
	memset(quote + 20, 1, 8); /* no operation */
	quote[0] = 0x47;
	err.payload_len += 8;
	put16(quote + 2, err.payload_len);
	put16(quote + 10, 0);
	put16(quote + 10, sum_of(quote, 28));
	expect_error(t, &err);
}

/* REQ-3c. */
static void quoted_transport_checksum(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX];
	struct packet_spec err = error_about_udp(t, quote, 30);
	struct icmp_quote q;

	quote[26] ^= 0x40;
	struct packet *p = rfc_carry(t, t->wan, &err, t->lan);
	assert_non_null(p);
	assert_true(icmp_quote_parse(packet_l4(p), packet_l4_len(p), &q));
	assert_int_equal(q.ip.src, RFC_HOST1);
	assert_int_equal(q.l4.sport, 4000);
}

/* REQ-3d. Would catch: padding and extensions (RFC 4884) that are taken for the quoted packet, or are lost. */
static void quote_with_extensions(struct rfc *t)
{
	static const uint8_t extension[] = { 0x20, 0, 0, 0, 0, 8, 1, 1, 0x12, 0x34, 0x51, 0xff };
	uint8_t quote[QUOTE_MAX], *behind = quote + 128;
	struct packet_spec err = error_about_udp(t, quote, 33);
	uint16_t len = err.payload_len;

	memset(quote + len, 0, 128u - len);
	memcpy(behind, extension, sizeof(extension));
	put16(behind + 2, sum_of(extension, sizeof(extension)));
	err.payload_len = 128 + sizeof(extension);
	err.info = 128 / 4 << 16;
	expect_error(t, &err);
	struct packet *p = rfc_carry(t, t->wan, &err, t->lan);
	assert_non_null(p);
	assert_int_equal(packet_l4_len(p), ICMP_HEADER_LEN + err.payload_len);
	assert_int_equal(memcmp(packet_l4(p) + ICMP_HEADER_LEN + len, quote + len, err.payload_len - (size_t)len), 0);
}

/* REQ-4. */
static void unknown_error_from_outside(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX];
	struct packet_spec err = error_about_udp(t, quote, 30);

	quote[IPV4_HEADER_LEN + 1] ^= 1; /* another outside port */
	rfc_send(t, t->wan, &err);
	expect_silence(t);
	quote[IPV4_HEADER_LEN + 1] ^= 1;
	expect_error(t, &err);
}

static void error_from_outside(struct rfc *t)
{
	static const uint8_t protos[] = { UDP, TCP, ICMP }, types[] = { 3, 4, 11, 12 };

	rfc_start(t, NULL);
	for (size_t i = 0; i < ARRAY_LEN(protos) * ARRAY_LEN(types) * 2; i++) {
		uint8_t proto = protos[i % 3], quote[QUOTE_MAX];
		struct packet_spec rq = query(ICMP_ECHO_REQUEST, RFC_HOST1, RFC_PEER1, 77);
		struct icmp_quote q;

		rq.proto = proto;
		rq.sport = 4000;
		rq.dport = 53;
		rq.flags = TCP_SYN;
		rq.seq = 1000;
		struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
		assert_non_null(p);
		struct packet_spec err = rfc_error_about(p, RFC_WAN_ROUTER, types[i / 3 % 4], i % 2, quote,
							 i / 12 == 0 ? p->ip.total_len : 28);
		rfc_send(t, t->wan, &err);
		p = rfc_error(t, t->lan, err.type, err.code, &q);
		assert_int_equal(p->ip.src, RFC_WAN_ROUTER);
		assert_int_equal(p->ip.dst, RFC_HOST1);
		assert_int_equal(q.ip.src, RFC_HOST1);
		assert_int_equal(q.ip.dst, RFC_PEER1);
		assert_int_equal(proto == ICMP ? q.l4.id : q.l4.sport, proto == ICMP ? 77 : 4000);
		assert_true(proto == ICMP || q.l4.dport == 53);
	}
}

/* REQ-5: an answer from outside that the host, or a router in front of it, refuses. */
static struct packet_spec error_from_inside(struct rfc *t, const struct rfc_setup *s, uint8_t *quote, struct rfc_end *e)
{
	struct packet_spec rp = { .src = RFC_PEER1, .proto = UDP, .sport = 53, .payload_len = 40 };

	rfc_start(t, s);
	*e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);
	rp.dst = e->addr;
	rp.dport = e->port;
	struct packet *p = rfc_carry(t, t->wan, &rp, t->lan);
	assert_non_null(p);
	return rfc_error_about(p, RFC_HOST1, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, quote, p->ip.total_len);
}

static void unknown_error_from_inside(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX];
	struct rfc_end e;
	struct packet_spec err = error_from_inside(t, NULL, quote, &e);

	quote[IPV4_HEADER_LEN + 3] ^= 1; /* about another port of the host */
	rfc_send(t, t->lan, &err);
	expect_silence(t);
	quote[IPV4_HEADER_LEN + 3] ^= 1;
	assert_non_null(rfc_carry(t, t->lan, &err, t->wan));
}

static void expect_error_outside(struct rfc *t, const struct packet_spec *err, struct rfc_end e, uint32_t from)
{
	struct icmp_quote q;

	rfc_send(t, t->lan, err);
	struct packet *p = rfc_error(t, t->wan, err->type, err->code, &q);
	assert_int_equal(p->ip.src, from);
	assert_int_equal(p->ip.dst, RFC_PEER1);
	assert_int_equal(q.ip.src, RFC_PEER1);
	assert_int_equal(q.l4.sport, 53);
	rfc_same_end((struct rfc_end){ q.ip.dst, q.l4.dport }, e, "the quoted destination");
}

static void errors_from_inside(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX];
	struct rfc_end e;
	struct packet_spec err = error_from_inside(t, NULL, quote, &e);

	for (err.code = 0; err.code <= 13; err.code++)
		expect_error_outside(t, &err, e, e.addr);
	err.type = ICMP_TIME_EXCEEDED;
	err.code = 1;
	expect_error_outside(t, &err, e, e.addr);
}

/* REQ-5c. Would catch: a router's inside address that is seen outside. */
static void error_of_inside_router(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX];
	struct rfc_end e;
	struct packet_spec err = error_from_inside(t, NULL, quote, &e);

	err.src = RFC_LAN_ROUTER;
	err.code = ICMP_HOST_UNREACHABLE;
	expect_error_outside(t, &err, e, e.addr);
	err.src = IP4(10, 78, 9, 9);
	expect_error_outside(t, &err, e, e.addr);
}

/* One address for one: what the RFC calls Basic NAT. */
static const struct rfc_setup basic_nat = {
	.prerouting = "ip daddr 203.0.113.32/28 dnat ip prefix to 10.78.0.0/28",
	.postrouting = "ip saddr 10.78.0.0/28 snat ip prefix to 203.0.113.32/28",
};

static void error_of_mapped_router(struct rfc *t)
{
	uint8_t quote[QUOTE_MAX];
	struct rfc_end e;
	struct packet_spec err = error_from_inside(t, &basic_nat, quote, &e);

	assert_int_equal(e.addr, IP4(203, 0, 113, 33));
	err.src = RFC_HOST2;
	err.code = ICMP_HOST_UNREACHABLE;
	expect_error_outside(t, &err, e, IP4(203, 0, 113, 34));
}

/* REQ-6. Would catch: an error about a query that ends its session, or lets it live longer. */
static void error_leaves_the_session(struct rfc *t)
{
	struct packet_spec rq[2] = { query(ICMP_ECHO_REQUEST, RFC_HOST1, RFC_PEER1, 7),
				     query(ICMP_ECHO_REQUEST, RFC_HOST1, RFC_PEER1, 8) };
	struct packet_spec err[2];
	struct rfc_end e[2];
	uint8_t quote[2][QUOTE_MAX];
	struct icmp_quote q;

	rfc_start(t, NULL);
	for (int i = 0; i < 2; i++) {
		struct packet *p = rfc_carry(t, t->lan, &rq[i], t->wan);
		assert_non_null(p);
		e[i] = (struct rfc_end){ p->ip.src, p->l4.id };
		err[i] = rfc_error_about(p, RFC_WAN_ROUTER, ICMP_TIME_EXCEEDED, 0, quote[i], p->ip.total_len);
	}
	rfc_run_s(t, 50);
	for (int i = 0; i < 2; i++) {
		rfc_send(t, t->wan, &err[i]);
		rfc_error(t, t->lan, ICMP_TIME_EXCEEDED, 0, &q);
	}
	assert_true(rfc_is_end(rfc_in(t, ICMP, RFC_PEER1, 0, e[0]), RFC_HOST1, 7));
	rfc_run_s(t, 15);
	if (rfc_in(t, ICMP, RFC_PEER1, 0, e[1]).addr != 0)
		fail_msg("the error has put the end of the session off");
}

/* REQ-7, Basic NAT: a ping from inside to another's outside address. */
static void hairpinned_query(struct rfc *t)
{
	struct packet_spec rq = query(ICMP_ECHO_REQUEST, RFC_HOST1, IP4(203, 0, 113, 34), 7);

	rfc_start(t, &basic_nat);
	struct packet *p = rfc_carry(t, t->lan, &rq, t->lan);
	assert_non_null(p);
	assert_int_equal(p->ip.src, IP4(203, 0, 113, 33));
	assert_int_equal(p->ip.dst, RFC_HOST2);
	struct packet_spec rp = query(ICMP_ECHO_REPLY, RFC_HOST2, p->ip.src, p->l4.id);
	p = rfc_carry(t, t->lan, &rp, t->lan);
	assert_non_null(p);
	assert_int_equal(p->ip.src, IP4(203, 0, 113, 34));
	assert_int_equal(p->ip.dst, RFC_HOST1);
	assert_int_equal(p->l4.id, 7);
}

/* REQ-7 and 7a: host 2 refuses what came from host 1 by the outside. */
static void hairpinned_error(struct rfc *t)
{
	struct rfc_end target = { RFC_POOL_FIRST, 5000 };
	uint8_t quote[QUOTE_MAX];
	struct icmp_quote q;

	if (t->mode == RFC_APDM) { /* only a published port can be reached */
		rfc_start(t, &(struct rfc_setup){ .prerouting = "ip daddr 203.0.113.16 udp dport 5000 dnat to "
								"10.78.0.2:6000",
						  .postrouting = "snat to pool public" });
	} else {
		rfc_start(t, &(struct rfc_setup){ .pool_options = "filtering endpoint-independent;" });
		target = rfc_out(t, UDP, RFC_HOST2, 6000, RFC_PEER1, 53);
	}
	struct packet *p = rfc_hairpin(t, UDP, RFC_HOST1, 7000, target);
	assert_non_null(p);
	assert_int_equal(p->ip.dst, RFC_HOST2);
	struct packet_spec err =
		rfc_error_about(p, RFC_HOST2, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, quote, p->ip.total_len);
	rfc_send(t, t->lan, &err);
	p = rfc_error(t, t->lan, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, &q);
	assert_int_equal(p->ip.dst, RFC_HOST1);
	assert_int_equal(p->ip.src, target.addr);
	assert_int_equal(q.ip.src, RFC_HOST1);
	assert_int_equal(q.l4.sport, 7000);
	rfc_same_end((struct rfc_end){ q.ip.dst, q.l4.dport }, target, "the quoted destination");
	assert_null(rfc_next(t, t->wan));
}

/* REQ-8. Would catch: a new flow that is dropped, and nobody is told. */
static void expect_refusal(struct rfc *t, struct packet_spec *rq)
{
	struct icmp_quote q;

	rfc_send(t, t->lan, rq);
	struct packet *p = rfc_error(t, t->lan, ICMP_DEST_UNREACHABLE, ICMP_ADMIN_PROHIBITED, &q);
	assert_int_equal(p->ip.dst, rq->src);
	assert_int_equal(q.ip.dst, rq->dst);
	if (rq->proto == ICMP)
		assert_int_equal(q.l4.id, rq->id);
	else
		assert_int_equal(q.l4.sport, rq->sport);
	assert_null(rfc_next(t, t->wan));
}

static void no_port_is_left(struct rfc *t)
{
	static const uint8_t protos[] = { UDP, TCP };

	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16", .pool_options = "ports 2000-2003;" });
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct packet_spec rq = {
			.src = RFC_HOST2, .dst = RFC_PEER1, .proto = protos[i], .sport = 9, .dport = 53
		};

		rq.flags = TCP_SYN;
		for (uint16_t k = 0; k < 4; k++)
			rfc_out(t, protos[i], RFC_HOST1, (uint16_t)(4000 + k), RFC_PEER1, 53);
		expect_refusal(t, &rq);
	}
}

static void source_has_too_many(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .more = "conntrack { max per source 4 }" });
	for (uint16_t k = 0; k < 4; k++)
		rfc_out(t, UDP, RFC_HOST1, (uint16_t)(4000 + k), RFC_PEER1, 53);
	struct packet_spec rq = query(ICMP_ECHO_REQUEST, RFC_HOST1, RFC_PEER1, 7);
	expect_refusal(t, &rq);
	rq = (struct packet_spec){ .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 5000, .dport = 53 };
	expect_refusal(t, &rq);
}

static void table_is_full(struct rfc *t)
{
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 9, .dport = 53 };

	/* Those that were answered and still talk after two seconds are not thrown out for a new one. */
	rfc_start(t, &(struct rfc_setup){ .n_connections = 16 });
	rfc_run_s(t, 700); /* what the start left behind is gone */
	struct rfc_end e[16];
	for (uint16_t k = 0; k < 16; k++) {
		e[k] = rfc_out(t, UDP, RFC_HOST1, (uint16_t)(4000 + k), RFC_PEER1, 53);
		rfc_in(t, UDP, RFC_PEER1, 53, e[k]);
	}
	rfc_run_s(t, 3);
	for (uint16_t k = 0; k < 16; k++)
		rfc_in(t, UDP, RFC_PEER1, 53, e[k]);
	expect_refusal(t, &rq);
}

/* REQ-11. Would catch: a message of a sort that nobody knows, which leaves with an inside address or comes in. */
static void other_messages(struct rfc *t)
{
	static const uint8_t types[] = { ICMP_ROUTER_ADVERTISEMENT, ICMP_ROUTER_SOLICITATION, 19, 30, 40, 99, 253 };

	rfc_start(t, NULL);
	struct rfc_end e = rfc_out(t, ICMP, RFC_HOST1, 7, RFC_PEER1, 0);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct packet_spec m = query(types[i], RFC_HOST1, RFC_PEER1, 7);
		struct packet *p = rfc_carry(t, t->lan, &m, t->wan);
		if (p != NULL && (p->ip.src < RFC_POOL_FIRST || p->ip.src > RFC_POOL_LAST))
			fail_msg("type %u leaves with an inside address", types[i]);
		m = query(types[i], RFC_PEER1, e.addr, e.port);
		p = rfc_carry(t, t->wan, &m, t->lan);
		if (p != NULL && p->ip.dst != RFC_HOST1)
			fail_msg("type %u reaches somebody", types[i]);
	}
	assert_true(rfc_is_end(rfc_in(t, ICMP, RFC_PEER1, 0, e), RFC_HOST1, 7));
}

#define BY_MAPPING "the mapping belongs to one destination"

static const struct rfc_row rows[] = {
	{ "REQ-1", "queries pass from inside to outside, and their answers back", queries_pass },
	{ "REQ-1a", "an identifier's mapping is the same towards every host", identifier_for_every_destination,
	  .why = { [RFC_APDM] = BY_MAPPING } },
	{ "REQ-2", "a query's mapping lives at least 60 seconds", query_lives_a_minute },
	{ "REQ-2a", "the timer can be configured", query_timer_is_an_option },
	{ "REQ-3", "an error with a wrong checksum is dropped without a word", damaged_error_is_dropped },
	{ "REQ-3a", "... and one whose quoted IP header has a wrong checksum", damaged_quote_is_dropped },
	{ "REQ-3b", "the quoted ports are found behind IP options", quote_with_options },
	{ "REQ-3c", "the quoted transport checksum is not asked for", quoted_transport_checksum },
	{ "REQ-3d", "padding and extensions behind the quote are no part of it", quote_with_extensions },
	{ "REQ-4", "an error from outside without a mapping is dropped without a word", unknown_error_from_outside },
	{ "REQ-4a-c", "one with a mapping is put into the host's words, type and code unchanged", error_from_outside },
	{ "REQ-5", "an error from inside without a mapping is dropped without a word", unknown_error_from_inside },
	{ "REQ-5a-b", "one with a mapping is put into the outside's words, type and code unchanged",
	  errors_from_inside },
	{ "REQ-5c", "an inside router appears under the outside address", error_of_inside_router },
	{ "REQ-5c", "... with one address for one: under its own", error_of_mapped_router },
	{ "REQ-6", "an error about a query neither refreshes nor ends its mapping", error_leaves_the_session },
	{ "REQ-7", "with one address for one, queries hairpin", hairpinned_query },
	{ "REQ-7a", "errors about hairpinned packets reach who sent them", hairpinned_error },
	{ "REQ-8", "a flow that finds no port is refused with 3/13", no_port_is_left },
	{ "REQ-8", "... and one whose source has too many connections", source_has_too_many },
	{ "REQ-8", "... and one that finds the table full", table_is_full },
	{ "REQ-11", "other ICMP messages are dropped, or leave no inside address", other_messages },
};

const struct rfc_table rfc5508_table = { "RFC 5508", rows, ARRAY_LEN(rows) };
