/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 5508 REQ-10: which ICMP messages the gateway itself sends and passes on
 * (sections 7.1 and 7.2; RFC 1812 sections 4.3.2 and 4.3.3).
 */
#include "rfc.h"

#define ICMP IPPROTO_NR_ICMP
#define UDP IPPROTO_NR_UDP

static struct packet_spec udp_to(uint32_t dst)
{
	return (struct packet_spec){
		.src = RFC_HOST1, .dst = dst, .proto = UDP, .sport = 4000, .dport = 53, .payload_len = 20
	};
}

static void expect_own_error(struct rfc *t, uint8_t type, uint8_t code, uint32_t quoted_dst)
{
	struct icmp_quote q;
	struct packet *p = rfc_error(t, t->lan, type, code, &q);

	assert_int_equal(p->ip.src, RFC_LAN_ADDR);
	assert_int_equal(p->ip.dst, RFC_HOST1);
	assert_int_equal(q.ip.dst, quoted_dst);
	assert_int_equal(q.l4.sport, 4000);
	assert_null(rfc_next(t, t->wan));
}

/* REQ-10a 1. */
static void unreachable(struct rfc *t)
{
	struct packet_spec rq = udp_to(IP4(203, 0, 113, 99));

	rfc_start(t, &(struct rfc_setup){ .wan_mtu = 1000 });
	rfc_send(t, t->lan, &rq); /* nobody answers ARP there */
	rfc_run_s(t, 10);
	expect_own_error(t, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, rq.dst);
	rq = udp_to(RFC_PEER1);
	rq.df = true;
	rq.payload_len = 1100;
	rfc_send(t, t->lan, &rq);
	expect_own_error(t, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, rq.dst);
	rq = udp_to(RFC_LAN_ADDR); /* nobody listens */
	rfc_send(t, t->lan, &rq);
	expect_own_error(t, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, rq.dst);
}

/* REQ-10a 2. Would catch: a gateway that traceroute does not see, from either side. */
static void time_exceeded(struct rfc *t)
{
	struct packet_spec rq = udp_to(RFC_PEER1);
	struct icmp_quote q;

	rfc_start(t, NULL);
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);
	rq.ttl = 1;
	rfc_send(t, t->lan, &rq);
	expect_own_error(t, ICMP_TIME_EXCEEDED, ICMP_TTL_EXCEEDED, RFC_PEER1);
	struct packet_spec rp = {
		.src = RFC_PEER1, .dst = e.addr, .proto = UDP, .sport = 53, .dport = e.port, .ttl = 1
	};
	rfc_send(t, t->wan, &rp);
	struct packet *p = rfc_error(t, t->wan, ICMP_TIME_EXCEEDED, ICMP_TTL_EXCEEDED, &q);
	assert_int_equal(p->ip.dst, RFC_PEER1);
	/* in the words of the outside */
	rfc_same_end((struct rfc_end){ q.ip.dst, q.l4.dport }, e, "the quoted destination");
	assert_null(rfc_next(t, t->lan));
}

/* REQ-10a 3. */
static void answers_echo(struct rfc *t)
{
	struct packet_spec rq = {
		.src = RFC_HOST1, .dst = RFC_LAN_ADDR, .proto = ICMP, .type = ICMP_ECHO_REQUEST, .id = 9
	};

	rfc_start(t, NULL);
	rq.payload_len = 56;
	struct packet *p = rfc_carry(t, t->lan, &rq, t->lan);
	assert_non_null(p);
	assert_int_equal(p->l4.type, ICMP_ECHO_REPLY);
	assert_int_equal(p->l4.id, 9);
	assert_int_equal(p->l4.payload_len, 56);
	rq.src = RFC_PEER1;
	rq.dst = RFC_WAN_ADDR;
	p = rfc_carry(t, t->wan, &rq, t->wan);
	assert_non_null(p);
	assert_int_equal(p->ip.src, RFC_WAN_ADDR);
	assert_int_equal(p->l4.type, ICMP_ECHO_REPLY);
}

/* REQ-10b. Parameter problem passes translated; a redirect from outside must not reroute anything. */
static void parameter_problem(struct rfc *t)
{
	struct packet_spec rq = udp_to(RFC_PEER1);
	struct icmp_quote q;
	uint8_t quote[28];

	rfc_start(t, NULL);
	struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
	assert_non_null(p);
	struct packet_spec err = rfc_error_about(p, RFC_PEER1, ICMP_PARAMETER_PROBLEM, 0, quote, sizeof(quote));
	err.info = 20u << 24;
	rfc_send(t, t->wan, &err);
	p = rfc_error(t, t->lan, ICMP_PARAMETER_PROBLEM, 0, &q);
	assert_int_equal(p->ip.dst, RFC_HOST1);
	assert_int_equal(p->l4.info, 20u << 24);
}

static void timestamp_is_answered(struct rfc *t)
{
	struct packet_spec rq = {
		.src = RFC_HOST1, .dst = RFC_LAN_ADDR, .proto = ICMP, .type = ICMP_TIMESTAMP, .id = 9
	};

	rfc_start(t, NULL);
	rq.payload_len = 12;
	struct packet *p = rfc_carry(t, t->lan, &rq, t->lan);
	assert_non_null(p);
	assert_int_equal(p->l4.type, ICMP_TIMESTAMP_REPLY);
}

/* REQ-10c. Would catch: a source quench when packets are dropped, an answer to an information request. */
static void obsolete_messages(struct rfc *t)
{
	struct packet_spec rq = {
		.src = RFC_HOST1, .dst = RFC_LAN_ADDR, .proto = ICMP, .type = ICMP_INFORMATION, .id = 9
	};
	struct packet *p;

	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16", .pool_options = "ports 2000-2003;" });
	assert_null(rfc_carry(t, t->lan, &rq, t->lan));
	rq = udp_to(IP4(203, 0, 113, 99));
	for (int i = 0; i < 200; i++) /* more than wait for ARP, than there are ports, and than errors are sent */
		rfc_send(t, t->lan, &rq);
	rq.dst = RFC_PEER1;
	for (rq.sport = 5000; rq.sport < 5100; rq.sport++)
		rfc_send(t, t->lan, &rq);
	rfc_run_s(t, 10);
	uint32_t n = 0;
	for (; (p = rfc_next(t, t->lan)) != NULL; n++)
		assert_int_not_equal(p->l4.type, ICMP_SOURCE_QUENCH);
	assert_true(n > 0); /* something was dropped and told */
}

/* REQ-10 d to f: RFC 1812 sections 4.3.2.5, 4.3.2.7 and 4.3.2.8. */
static void when_no_error_is_sent(struct rfc *t)
{
	struct icmp_quote q;
	uint8_t quote[28];

	rfc_start(t, NULL);
	struct packet_spec rq = udp_to(RFC_PEER1);
	struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
	assert_non_null(p);
	/* about an error */
	struct packet_spec err = rfc_error_about(p, RFC_PEER1, ICMP_DEST_UNREACHABLE, 1, quote, sizeof(quote));
	err.ttl = 1;
	rfc_send(t, t->wan, &err);
	assert_null(rfc_next(t, t->wan));
	/* about a packet for everybody */
	rq.ttl = 1;
	rq.dst = IP4(224, 0, 1, 1);
	rfc_send(t, t->lan, &rq);
	rq.dst = IP4(255, 255, 255, 255);
	rfc_send(t, t->lan, &rq);
	/* about one that the link brought to everybody */
	rq.dst = RFC_PEER1;
	rq.link_broadcast = true;
	rfc_send(t, t->lan, &rq);
	rq.link_broadcast = false;
	/* about a later fragment */
	rq.frag_off = 80;
	rfc_send(t, t->lan, &rq);
	rq.frag_off = 0;
	/* about one whose source is not one host */
	rq.src = IP4(127, 0, 0, 1);
	rfc_send(t, t->lan, &rq);
	rq.src = IP4(224, 0, 0, 1);
	rfc_send(t, t->lan, &rq);
	assert_null(rfc_next(t, t->lan));
	/* and about a plain one */
	rq.src = RFC_HOST1;
	rfc_send(t, t->lan, &rq);
	rfc_error(t, t->lan, ICMP_TIME_EXCEEDED, 0, &q);
}

static void errors_are_limited(struct rfc *t)
{
	struct packet_spec rq = udp_to(RFC_PEER1);
	uint32_t n = 0;

	rfc_start(t, NULL);
	rq.ttl = 1;
	for (int i = 0; i < 1000; i++)
		station_send(t->lan, &rq);
	fixture_run(&t->w, 20 * NS_PER_MS);
	while (station_next(t->lan) != NULL)
		n++;
	rfc_note(t, "1000 packets with ttl 1 in an instant, %u errors", n);
	assert_true(n > 0 && n < 200);
}

/* RFC 1812 section 4.3.2.5: an error has the DS field of what caused it, or an internetwork control value. */
static void error_keeps_precedence(struct rfc *t)
{
	struct packet_spec rq = udp_to(RFC_PEER1);
	struct icmp_quote q;
	uint8_t bytes[100];

	rfc_start(t, NULL);
	rq.ttl = 1;
	uint32_t len = station_build(t->lan, &rq, bytes);
	struct ipv4_view ip;
	assert_int_equal(ipv4_parse(bytes, len, &ip), IPV4_OK);
	ip.tos = 0x20;
	ipv4_emit(bytes, &ip);
	rfc_send_ip(t, t->lan, bytes, len);
	struct packet *p = rfc_error(t, t->lan, ICMP_TIME_EXCEEDED, 0, &q);
	if (p->ip.tos >> 5 != 1 && p->ip.tos >> 5 != 6 && p->ip.tos >> 5 != 7)
		fail_msg("precedence 1 is answered with precedence %u", p->ip.tos >> 5);
}

static const struct rfc_row rows[] = {
	{ "REQ-10a1", "destination unreachable is sent where it is due", unreachable },
	{ "REQ-10a2", "time exceeded is sent, to either side in its own words", time_exceeded },
	{ "REQ-10a3", "echo requests to the gateway are answered", answers_echo },
	{ "REQ-10b", "parameter problem is passed on (allowed)", parameter_problem },
	{ "REQ-10b", "timestamp requests to the gateway are answered (allowed)", timestamp_is_answered },
	{ "REQ-10c", "no source quench is sent, no information request answered", obsolete_messages },
	{ "REQ-10d", "an error has the precedence of its cause, or that of network control", error_keeps_precedence },
	{ "REQ-10e", "no error about what must not cause one", when_no_error_is_sent },
	{ "REQ-10f", "errors are sent at a limited rate", errors_are_limited },
};

const struct rfc_table rfc5508_own_table = { "RFC 5508", rows, ARRAY_LEN(rows) };
