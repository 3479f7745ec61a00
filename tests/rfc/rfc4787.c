/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 4787 (BCP 127): what is demanded of NAT for UDP. REQ-7 is about an outside
 * interface that gets its address by itself, REQ-10 about application gateways;
 * this gateway has neither.
 */
#include "rfc.h"

#define UDP IPPROTO_NR_UDP
#define EIF "filtering endpoint-independent;"

/* REQ-1. Would catch: a mapping that depends on the destination. */
static void same_mapping_for_every_destination(struct rfc *t)
{
	rfc_start(t, NULL);
	struct rfc_end first = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	rfc_same_end(first, rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 54), "towards another port");
	rfc_same_end(first, rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER2, 53), "towards another address");
	rfc_same_end(first, rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER2, 99), "towards another of both");
}

/* REQ-2. Would catch: flows of one host that appear under several addresses, and a pool of which one address is used.
 */
static void one_address_a_host(struct rfc *t)
{
	uint32_t seen = 0;

	rfc_start(t, &(struct rfc_setup){ .pool_options = "paired yes; ports 2000-2031;" });
	struct rfc_end first = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);
	for (uint16_t i = 1; i < 32; i++)
		assert_int_equal(rfc_out(t, UDP, RFC_HOST1, (uint16_t)(4000 + i), RFC_PEER1, 53).addr, first.addr);
	/* its address is full: refused, and not under another address */
	assert_int_equal(rfc_try_out(t, UDP, RFC_HOST1, 5000, RFC_PEER1, 53).addr, 0);
	for (uint32_t i = 0; i < 32; i++) {
		struct rfc_end e = rfc_try_out(t, UDP, IP4(10, 78, 1, 0) + i, 4000, RFC_PEER1, 53);

		seen |= e.addr == 0 ? 0 : 1u << (e.addr - RFC_POOL_FIRST);
	}
	assert_true((seen & (seen - 1)) != 0);
}

/* REQ-3. Would catch: an outside port that two hosts have at the same time. */
static void no_port_twice(struct rfc *t)
{
	struct rfc_setup s = { .addresses = "203.0.113.16", .pool_options = "ports 2000-2031;" };
	uint32_t taken = 0;

	rfc_start(t, &s);
	for (uint32_t i = 0; i < 32; i++) {
		struct rfc_end e = rfc_out(t, UDP, RFC_HOST1 + i % 4, (uint16_t)(4000 + i), RFC_PEER1 + i, 53);

		assert_true(e.port >= 2000 && e.port <= 2031);
		if (taken & 1u << (e.port - 2000))
			fail_msg("port %u is given to two hosts", e.port);
		taken |= 1u << (e.port - 2000);
	}
	/* all are taken: towards yet another destination nothing is shared */
	assert_int_equal(rfc_try_out(t, UDP, RFC_HOST1, 5000, RFC_PEER1 + 99, 99).addr, 0);
}

/* REQ-3a. Would catch: a client's port that becomes one of the system's, and the other way round. */
static void same_port_range(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = "ports 1-65535;" });
	for (uint16_t i = 0; i < 100; i++) {
		struct rfc_end low = rfc_out(t, UDP, RFC_HOST1, (uint16_t)(924 + i), RFC_PEER1, 53);
		struct rfc_end high = rfc_out(t, UDP, RFC_HOST2, (uint16_t)(1024 + i), RFC_PEER1, 53);

		if (low.port >= 1024 || high.port < 1024)
			fail_msg("port %u became %u, port %u became %u", 924 + i, low.port, 1024 + i, high.port);
	}
}

/* REQ-4. Would catch: an even port that becomes odd (RTP and RTCP). */
static void same_parity(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = "preserve parity;" });
	for (uint16_t port = 4000; port < 4064; port++) {
		struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, port, RFC_PEER1, 53);

		if ((e.port & 1) != (port & 1))
			fail_msg("port %u became %u", port, e.port);
	}
}

/* REQ-5: a mapping that nobody answered is the one that may go first. */
static void lives_s(struct rfc *t, const char *timeouts, uint32_t unanswered_s, uint32_t answered_s)
{
	rfc_start(t, &(struct rfc_setup){ .more = timeouts });
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	rfc_run_s(t, unanswered_s);
	if (!rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), RFC_HOST1, 4000))
		fail_msg("the unanswered mapping is gone after %u s", unanswered_s);
	rfc_run_s(t, answered_s);
	if (!rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), RFC_HOST1, 4000))
		fail_msg("the answered mapping is gone after %u s", answered_s);
}

static void lives_two_minutes(struct rfc *t)
{
	lives_s(t, NULL, 119, 119);
}

static void lives_five_minutes(struct rfc *t)
{
	lives_s(t, NULL, 299, 299);
}

/* REQ-5a, when it is asked for. */
static void well_known_ports_may_have_less(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .more = "conntrack { timeout udp well-known 30s }" });
	struct rfc_end dns = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);
	struct rfc_end other = rfc_out(t, UDP, RFC_HOST1, 4001, RFC_PEER1, 1024);

	rfc_run_s(t, 32);
	assert_int_equal(rfc_in(t, UDP, RFC_PEER1, 53, dns).addr, 0);
	rfc_run_s(t, 87);
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 1024, other), RFC_HOST1, 4001));
}

static void timer_is_an_option(struct rfc *t)
{
	lives_s(t, "conntrack { timeout udp new 400s; timeout udp stream 500s }", 399, 499);
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4001, RFC_PEER1, 53);

	rfc_run_s(t, 402);
	if (rfc_in(t, UDP, RFC_PEER1, 53, e).addr != 0)
		fail_msg("the mapping outlives what was configured");
}

/* REQ-6. Would catch: a mapping that ends although its host sends. */
static void outbound_refreshes(struct rfc *t)
{
	rfc_start(t, NULL);
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	for (int i = 0; i < 8; i++) {
		rfc_run_s(t, 110);
		rfc_same_end(rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53), e, "the mapping has changed");
	}
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), RFC_HOST1, 4000));
}

/* REQ-6a, which a NAT may have; ours has it. */
static void inbound_refreshes(struct rfc *t)
{
	rfc_start(t, NULL);
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	for (int i = 0; i < 8; i++) {
		rfc_run_s(t, 110);
		assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), RFC_HOST1, 4000));
	}
	rfc_same_end(rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53), e, "the mapping has changed");
}

/* REQ-8. Would catch: a filter that asks who it is. */
static void anybody_may_come_in(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = EIF });
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER2, 7000, e), RFC_HOST1, 4000));
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 7000, e), RFC_HOST1, 4000));
	/* the answer to a stranger comes from where the stranger sent */
	rfc_same_end(rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER2, 7000), e, "the answer");
	/* where nobody has sent from, nobody is let in */
	e.port ^= 1;
	assert_int_equal(rfc_in(t, UDP, RFC_PEER1, 53, e).addr, 0);
}

static void only_known_addresses(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = "filtering address-dependent;" });
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 7000, e), RFC_HOST1, 4000));
	assert_int_equal(rfc_in(t, UDP, RFC_PEER2, 53, e).addr, 0);
	rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER2, 99);
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER2, 53, e), RFC_HOST1, 4000));
}

/* REQ-8a, for both: the strictest filter holds, and with endpoint-independent mapping the others can be chosen. */
static void filtering_is_an_option(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = "filtering address-and-port-dependent;" });
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), RFC_HOST1, 4000));
	assert_int_equal(rfc_in(t, UDP, RFC_PEER1, 7000, e).addr, 0);
	rfc_reload(t, &(struct rfc_setup){ .pool_options = "filtering address-dependent;" });
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 7000, e), RFC_HOST1, 4000));
	assert_int_equal(rfc_in(t, UDP, RFC_PEER2, 7000, e).addr, 0);
	rfc_reload(t, &(struct rfc_setup){ .pool_options = EIF });
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER2, 7000, e), RFC_HOST1, 4000));
}

/* REQ-9. Would catch: a packet from inside to an outside end of ours that is lost, or goes to the wrong host.
 * With a mapping that belongs to one destination the outside end is a published port. */
static const struct rfc_setup hairpin_setup = {
	.prerouting = "ip daddr 203.0.113.16 udp dport 5000 dnat to 10.78.0.2:6000",
	.postrouting = "snat to pool public",
};

static struct rfc_end hairpin_target(struct rfc *t, uint16_t *inside_port)
{
	if (t->mode == RFC_APDM) {
		rfc_start(t, &hairpin_setup);
		*inside_port = 6000;
		return (struct rfc_end){ RFC_POOL_FIRST, 5000 };
	}
	rfc_start(t, &(struct rfc_setup){ .pool_options = EIF });
	*inside_port = 4000;
	return rfc_out(t, UDP, RFC_HOST2, 4000, RFC_PEER1, 53);
}

static void hairpin(struct rfc *t)
{
	uint16_t inside_port;
	struct rfc_end target = hairpin_target(t, &inside_port);
	struct packet *p = rfc_hairpin(t, UDP, RFC_HOST1, 7000, target);

	assert_non_null(p);
	assert_int_equal(p->ip.dst, RFC_HOST2);
	assert_int_equal(p->l4.dport, inside_port);
	/* and back */
	struct rfc_end from = { p->ip.src, p->l4.sport };
	p = rfc_hairpin(t, UDP, RFC_HOST2, inside_port, from);
	assert_non_null(p);
	assert_int_equal(p->ip.dst, RFC_HOST1);
	assert_int_equal(p->l4.dport, 7000);
	rfc_same_end((struct rfc_end){ p->ip.src, p->l4.sport }, target, "the answer comes from");
	assert_null(rfc_next(t, t->wan));
}

/* REQ-9a. Would catch: an inside address that the other host sees. */
static void hairpin_from_outside_address(struct rfc *t)
{
	uint16_t inside_port;
	struct rfc_end target = hairpin_target(t, &inside_port);
	struct rfc_end outside = rfc_out(t, UDP, RFC_HOST1, 7000, RFC_PEER1, 53);
	struct packet *p = rfc_hairpin(t, UDP, RFC_HOST1, 7000, target);

	assert_non_null(p);
	assert_int_equal(p->ip.src, outside.addr);
	assert_int_equal(p->ip.dst, RFC_HOST2);
	if (t->mode == RFC_EIM)
		assert_int_equal(p->l4.sport, outside.port);
	else
		assert_true(p->l4.sport >= 1024);
}

/* REQ-11. Would catch: a mapping or a filter that becomes another one when two hosts want the same port or the pool is
 * full. */
static void expect_behaviour(struct rfc *t, uint32_t host, uint16_t port)
{
	struct rfc_end e = rfc_out(t, UDP, host, port, RFC_PEER1, 53);

	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), host, port));
	struct rfc_end other = rfc_in(t, UDP, RFC_PEER2, 77, e);
	if (t->mode == RFC_EIM) {
		rfc_same_end(rfc_out(t, UDP, host, port, RFC_PEER2, 99), e, "towards another destination");
		assert_true(rfc_is_end(other, host, port));
	} else {
		assert_int_equal(other.addr, 0);
	}
}

static void always_the_same_way(struct rfc *t)
{
	struct rfc_setup s = { .addresses = "203.0.113.16", .pool_options = EIF "preserve port; ports 2000-2009;" };

	if (t->mode == RFC_APDM)
		s.pool_options = "preserve port; ports 2000-2009;";
	rfc_start(t, &s);
	for (uint32_t host = RFC_HOST1; host <= RFC_HOST3; host++)
		expect_behaviour(t, host, 2000); /* only the first can keep its port */
	for (uint16_t port = 2001; port < 2007; port++)
		expect_behaviour(t, RFC_HOST1, port);
	expect_behaviour(t, RFC_HOST2, 2001); /* the last one */
	assert_int_equal(rfc_try_out(t, UDP, RFC_HOST3, 2001, RFC_PEER1, 53).addr, 0);
	for (uint32_t host = RFC_HOST1; host <= RFC_HOST3; host++)
		expect_behaviour(t, host, 2000);
}

/* REQ-12. Would catch: an error that ends the mapping that it is about. */
static void errors_end_nothing(struct rfc *t)
{
	static const uint8_t errors[][2] = {
		{ ICMP_DEST_UNREACHABLE, ICMP_NET_UNREACHABLE },
		{ ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE },
		{ ICMP_DEST_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE },
		{ ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE },
		{ ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED },
		{ ICMP_DEST_UNREACHABLE, ICMP_ADMIN_PROHIBITED },
		{ ICMP_SOURCE_QUENCH, 0 },
		{ ICMP_REDIRECT, 0 },
		{ ICMP_TIME_EXCEEDED, ICMP_TTL_EXCEEDED },
		{ ICMP_PARAMETER_PROBLEM, 0 },
		{ ICMP_ROUTER_ADVERTISEMENT, 0 },
		{ ICMP_ECHO_REQUEST, 0 },
		{ ICMP_ECHO_REPLY, 0 },
		{ 99, 0 },
	};
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 4000, .dport = 53 };
	uint8_t quote[28];

	rfc_start(t, NULL);
	struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
	assert_non_null(p);
	struct rfc_end e = { p->ip.src, p->l4.sport };
	struct packet_spec err = rfc_error_about(p, RFC_PEER1, 0, 0, quote, sizeof(quote));
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		err.type = errors[i][0];
		err.code = errors[i][1];
		rfc_send(t, t->wan, &err);
	}
	station_clear(t->lan);
	station_clear(t->wan);
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), RFC_HOST1, 4000));
	rfc_same_end(rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53), e, "the mapping has changed");
	assert_int_equal(t->w.n_events[EVENT_CONN_END], 0);
}

/* REQ-12a and b. Would catch: an error that is dropped for who sent it; and one of the destination's own. */
static void errors_from_anywhere(struct rfc *t)
{
	static const uint32_t from[] = { RFC_WAN_ROUTER, RFC_PEER1, RFC_PEER2, IP4(192, 0, 2, 77), IP4(172, 16, 5, 5) };
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 4000, .dport = 53 };
	struct icmp_quote q;
	uint8_t quote[28];

	rfc_start(t, NULL);
	struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
	assert_non_null(p);
	struct packet_spec err = rfc_error_about(p, 0, ICMP_TIME_EXCEEDED, 0, quote, sizeof(quote));
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		err.src = from[i];
		rfc_send(t, t->wan, &err);
		p = rfc_error(t, t->lan, ICMP_TIME_EXCEEDED, 0, &q);
		assert_int_equal(p->ip.src, from[i]);
		assert_int_equal(p->ip.dst, RFC_HOST1);
	}
}

static void unreachable_reaches_the_host(struct rfc *t)
{
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 4000, .dport = 53 };
	struct icmp_quote q;
	uint8_t quote[28];

	rfc_start(t, NULL);
	struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);
	assert_non_null(p);
	struct packet_spec err = rfc_error_about(p, RFC_PEER1, ICMP_DEST_UNREACHABLE, 0, quote, sizeof(quote));
	for (err.code = 0; err.code <= 13; err.code++) {
		rfc_send(t, t->wan, &err);
		p = rfc_error(t, t->lan, ICMP_DEST_UNREACHABLE, err.code, &q);
		assert_int_equal(p->ip.dst, RFC_HOST1);
		assert_int_equal(q.l4.sport, 4000);
		assert_int_equal(q.l4.dport, 53);
	}
}

/* REQ-13. Would catch: a big packet that vanishes. */
static void too_big_is_told(struct rfc *t)
{
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 4000, .dport = 53 };
	struct icmp_quote q;

	rfc_start(t, &(struct rfc_setup){ .wan_mtu = 1400 });
	rq.df = true;
	rq.payload_len = 1472;
	rfc_send(t, t->lan, &rq);
	struct packet *p = rfc_error(t, t->lan, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, &q);
	assert_int_equal(p->ip.dst, RFC_HOST1);
	assert_int_equal(p->l4.info & 0xffff, 1400);
	assert_int_equal(q.ip.dst, RFC_PEER1);
	assert_int_equal(q.l4.sport, 4000);
	assert_null(rfc_next(t, t->wan));
	rq.payload_len = 1372;
	assert_non_null(rfc_carry(t, t->lan, &rq, t->wan));
}

/* REQ-13a. */
static void too_big_is_cut(struct rfc *t)
{
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 4000, .dport = 53 };

	rfc_start(t, &(struct rfc_setup){ .wan_mtu = 600 });
	rq.payload_len = 1472;
	rfc_send(t, t->lan, &rq);
	struct rfc_whole w = rfc_gather(t, t->wan);
	assert_int_equal(w.n_fragments, 3);
	assert_true(w.in_order);
	assert_int_equal(w.ip.dst, RFC_PEER1);
	assert_true(w.ip.src >= RFC_POOL_FIRST && w.ip.src <= RFC_POOL_LAST);
	assert_int_equal(w.l4.payload_len, 1472);
}

/* REQ-14. Would catch: fragments that are lost or leave untranslated because the one with the ports came later. */
static void pieces_in_any_order(struct rfc *t)
{
	static const uint8_t order[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
	};
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .sport = 4000, .dport = 53 };
	struct packet_spec rp = { .src = RFC_PEER1, .proto = UDP, .sport = 53 };

	rfc_start(t, NULL);
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);
	rq.payload_len = rp.payload_len = 1000;
	rp.dst = e.addr;
	rp.dport = e.port;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		rq.ip_id = rp.ip_id = (uint16_t)(100 + i);
		rfc_send_pieces(t, t->lan, &rq, order[i], 3);
		struct rfc_whole w = rfc_gather(t, t->wan);
		rfc_same_end((struct rfc_end){ w.ip.src, w.l4.sport }, e, "out");
		assert_int_equal(w.l4.payload_len, 1000);
		rfc_send_pieces(t, t->wan, &rp, order[i], 3);
		w = rfc_gather(t, t->lan);
		assert_int_equal(w.ip.dst, RFC_HOST1);
		assert_int_equal(w.l4.dport, 4000);
		assert_int_equal(w.l4.payload_len, 1000);
	}
}

/* REQ-14a. Would catch: a flood of fragments that never become whole and stops everybody else. */
static void flood_of_pieces(struct rfc *t)
{
	static const uint8_t in_order[] = { 0, 1, 2 };
	struct packet_spec fragment = { .dst = RFC_PEER1, .proto = UDP, .frag_off = 1480, .payload_len = 64 };
	struct packet_spec big = { .src = RFC_HOST2, .dst = RFC_PEER1, .proto = UDP, .sport = 4001, .dport = 53 };

	rfc_start(t, NULL);
	big.payload_len = 2000;
	for (uint32_t round = 0; round < 40; round++) {
		/* one source, and then everybody */
		for (uint32_t i = 0; i < 200; i++) {
			fragment.ip_id++;
			fragment.src = round < 20 ? RFC_HOST1 : IP4(10, 78, 0, 0) + (fragment.ip_id * 7919u & 0xffff);
			fragment.mf = i % 2 == 0;
			station_send(t->lan, &fragment);
		}
		fixture_run(&t->w, NS_PER_MS);
		station_clear(t->wan);
		rfc_out(t, UDP, RFC_HOST2, 4000, RFC_PEER1, 53);
		big.ip_id = (uint16_t)(60000 + round);
		rfc_send_pieces(t, t->lan, &big, in_order, 3);
		assert_int_equal(rfc_gather(t, t->wan).l4.payload_len, 2000);
	}
}

#define BY_MAPPING "the mapping belongs to one destination"
#define BY_FILTER "the mapping belongs to one destination, so nobody else has a way in"
#define SHARES "when no port is unused, one is shared towards another destination (RFC 7857 section 3)"

static const struct rfc_row rows[] = {
	{ "REQ-1", "a mapping is the same towards every destination", same_mapping_for_every_destination,
	  .why = { [RFC_APDM] = BY_MAPPING } },
	{ "REQ-2", "an inside host keeps one outside address (paired pooling)", one_address_a_host },
	{ "REQ-3", "no outside port serves two mappings at the same time", no_port_twice,
	  .why = { [RFC_APDM] = SHARES } },
	{ "REQ-3a", "a port below 1024 stays below, another one above", same_port_range },
	{ "REQ-4", "an even port stays even, an odd one odd", same_parity },
	{ "REQ-5", "a mapping lives at least two minutes", lives_two_minutes },
	{ "REQ-5a", "a shorter timer serves destination ports below 1024 only", well_known_ports_may_have_less },
	{ "REQ-5b", "the timer can be configured", timer_is_an_option },
	{ "REQ-5c", "by default it is five minutes or more", lives_five_minutes },
	{ "REQ-6", "packets from inside keep a mapping alive", outbound_refreshes },
	{ "REQ-6a", "packets from outside do so too (allowed; this gateway does it)", inbound_refreshes },
	{ "REQ-8", "endpoint-independent filtering: everybody may send to a mapping", anybody_may_come_in,
	  .why = { [RFC_APDM] = BY_FILTER } },
	{ "REQ-8", "address-dependent filtering: only addresses that the host has sent to", only_known_addresses,
	  .why = { [RFC_APDM] = BY_FILTER } },
	{ "REQ-8a", "the filtering can be configured", filtering_is_an_option, .why = { [RFC_APDM] = BY_FILTER } },
	{ "REQ-9", "inside hosts reach each other by their outside endpoints", hairpin },
	{ "REQ-9a", "... and see each other's outside address and port", hairpin_from_outside_address },
	{ "REQ-11", "mapping and filtering never change their ways", always_the_same_way },
	{ "REQ-12", "no ICMP message ends a mapping", errors_end_nothing },
	{ "REQ-12a", "ICMP errors pass whatever address they come from", errors_from_anywhere },
	{ "REQ-12b", "destination unreachable reaches the host that it is for", unreachable_reaches_the_host },
	{ "REQ-13", "a packet that is too big and must not be cut is answered with fragmentation needed",
	  too_big_is_told },
	{ "REQ-13a", "one that may be cut is, and its fragments leave in order", too_big_is_cut },
	{ "REQ-14", "fragments are translated in whatever order they come", pieces_in_any_order },
	{ "REQ-14a", "a flood of fragments does not stop other packets", flood_of_pieces },
};

const struct rfc_table rfc4787_table = { "RFC 4787", rows, ARRAY_LEN(rows) };
