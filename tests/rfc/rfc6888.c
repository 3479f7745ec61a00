/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 6888 (BCP 127): what is demanded of carrier-grade NAT beyond the others.
 */
#include "rfc.h"

#define ICMP IPPROTO_NR_ICMP
#define UDP IPPROTO_NR_UDP
#define TCP IPPROTO_NR_TCP

static const uint8_t protos[] = { UDP, TCP, ICMP };

/* REQ-1. Each transport's own demands are the other tables; here, that each of them passes both ways. */
static void every_transport_passes(struct rfc *t)
{
	rfc_start(t, NULL);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct rfc_end e = rfc_out(t, protos[i], RFC_HOST1, 4000, RFC_PEER1, 53);
		struct packet_spec rp = {
			.src = RFC_PEER1, .dst = e.addr, .proto = protos[i], .sport = 53, .dport = e.port
		};

		rp.id = e.port;
		rp.type = ICMP_ECHO_REPLY;
		rp.flags = TCP_SYN | TCP_ACK;
		rp.seq = 9000;
		rp.ack = 1001;
		struct packet *p = rfc_carry(t, t->wan, &rp, t->lan);
		assert_non_null(p);
		assert_int_equal(p->ip.dst, RFC_HOST1);
		assert_int_equal(protos[i] == ICMP ? p->l4.id : p->l4.dport, 4000);
	}
}

/* REQ-2. Would catch: a host whose flows of one protocol have another address, without any option. */
static void paired_by_default(struct rfc *t)
{
	rfc_start(t, NULL);
	for (uint32_t host = RFC_HOST1; host <= RFC_HOST3; host++) {
		uint32_t addr = rfc_out(t, UDP, host, 4000, RFC_PEER1, 53).addr;

		for (uint16_t i = 0; i < 48; i++)
			assert_int_equal(rfc_out(t, protos[i % 3], host, (uint16_t)(5000 + i), RFC_PEER1 + i, 53).addr,
					 addr);
	}
}

/* REQ-3. */
static void scattered_pool(struct rfc *t)
{
	static const uint32_t addresses[] = { IP4(203, 0, 113, 16),  IP4(203, 0, 113, 17), IP4(203, 0, 113, 18),
					      IP4(203, 0, 113, 19),  IP4(203, 0, 113, 40), IP4(203, 0, 113, 41),
					      IP4(203, 0, 113, 42),  IP4(203, 0, 113, 99), IP4(198, 18, 5, 5),
					      IP4(192, 88, 99, 200), IP4(192, 88, 99, 201) };
	uint32_t seen = 0;

	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16/30, 203.0.113.40-203.0.113.42, 203.0.113.99, "
						       "198.18.5.5, 192.88.99.200/31" });
	for (uint32_t i = 0; i < 300; i++) {
		struct rfc_end e = rfc_out(t, UDP, IP4(10, 78, 4, 0) + i, 4000, RFC_PEER1, 53);
		size_t k = 0;

		while (k < ARRAY_LEN(addresses) && addresses[k] != e.addr)
			k++;
		assert_true(k < ARRAY_LEN(addresses));
		seen |= 1u << k;
		if (k >= 8) /* not on a connected prefix: it comes back all the same */
			assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e), IP4(10, 78, 4, 0) + i, 4000));
	}
	assert_int_equal(seen, (1u << ARRAY_LEN(addresses)) - 1);
}

/* REQ-4C. */
static void rate_of_new_flows(struct rfc *t)
{
	struct packet_spec rq = { .src = RFC_HOST1, .dst = RFC_PEER1, .proto = UDP, .dport = 53 };
	uint32_t n = 0;

	rfc_start(t, &(struct rfc_setup){ .more = "conntrack { new per source 10 }" });
	for (rq.sport = 4000; rq.sport < 4100; rq.sport++)
		station_send(t->lan, &rq);
	fixture_run(&t->w, 20 * NS_PER_MS);
	for (; rfc_next(t, t->wan) != NULL; n++)
		;
	if (n < 10 || n > 11)
		fail_msg("%u of 100 new flows in an instant came out", n);
	station_clear(t->lan);
	rfc_out(t, UDP, RFC_HOST2, 4000, RFC_PEER1, 53);
	rfc_run_s(t, 2);
	rfc_out(t, UDP, RFC_HOST1, 7000, RFC_PEER1, 53);
}

/* REQ-5. */
static void sessions_of_a_host(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .more = "conntrack { max per source 8 }" });
	for (uint16_t i = 0; i < 8; i++)
		rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, (uint16_t)(53 + i));
	assert_int_equal(rfc_try_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 99).addr, 0);
	rfc_out(t, UDP, RFC_HOST2, 4000, RFC_PEER1, 99);
	rfc_run_s(t, 310); /* the eight are over */
	rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 99);
}

/* REQ-6. */
static void no_translation_for_some(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .postrouting = "ip daddr 198.51.100.1 udp dport 53 accept\n"
							 "ip daddr 198.51.100.128/25 accept\n"
							 "oifname \"wan0\" snat to pool public" });
	assert_true(rfc_is_end(rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53), RFC_HOST1, 4000));
	assert_true(rfc_is_end(rfc_out(t, TCP, RFC_HOST1, 4000, IP4(198, 51, 100, 200), 80), RFC_HOST1, 4000));
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, (struct rfc_end){ RFC_HOST1, 4000 }), RFC_HOST1, 4000));
	assert_int_not_equal(rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 54).addr, RFC_HOST1);
	assert_int_not_equal(rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 53).addr, RFC_HOST1);
	assert_int_not_equal(rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER2, 53).addr, RFC_HOST1);
}

/* REQ-7. */
static void everybody_is_let_in(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = "filtering endpoint-independent;" });
	for (size_t i = 0; i < 2; i++) {
		struct rfc_end e = rfc_out(t, protos[i], RFC_HOST1, 4000, RFC_PEER1, 53);

		assert_true(rfc_is_end(rfc_in(t, protos[i], RFC_PEER2, 7000, e), RFC_HOST1, 4000));
	}
}

/* REQ-8. Would catch: a packet still under way to its last user that meets the next one. */
static void held_down(struct rfc *t, const char *options, uint32_t seconds)
{
	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16", .pool_options = options });
	for (uint16_t i = 0; i < 4; i++)
		rfc_out(t, UDP, RFC_HOST1, (uint16_t)(4000 + i), RFC_PEER1, 53);
	rfc_run_s(t, 301);
	assert_int_equal(t->w.n_events[EVENT_CONN_END], 4);
	rfc_note(t, "the flows have ended");
	rfc_run_s(t, seconds - 3);
	if (rfc_try_out(t, UDP, RFC_HOST2, 4000, RFC_PEER2, 99).addr != 0)
		fail_msg("a port is given out again within %u s", seconds);
	rfc_run_s(t, 5);
	rfc_out(t, UDP, RFC_HOST2, 4000, RFC_PEER2, 99);
}

static void ports_held_down(struct rfc *t)
{
	held_down(t, "ports 2000-2003; hold-down 120s;", 120);
}

static void hold_down_is_an_option(struct rfc *t)
{
	held_down(t, "ports 2000-2003; hold-down 300s;", 300);
}

/* REQ-11A. */
static const struct rfc_setup four_ports = { .addresses = "203.0.113.16", .pool_options = "ports 2000-2003;" };

static void fill_four(struct rfc *t, uint8_t proto, struct rfc_end *e)
{
	for (uint16_t i = 0; i < 4; i++)
		e[i] = rfc_out(t, proto, RFC_HOST1, (uint16_t)(4000 + i), RFC_PEER1, 53);
}

static void refused_is_dropped(struct rfc *t)
{
	struct packet_spec rq = { .src = RFC_HOST2, .dst = RFC_PEER1, .sport = 9, .dport = 53, .flags = TCP_SYN };
	struct rfc_end e[4];

	rfc_start(t, &four_ports);
	for (size_t i = 0; i < 2; i++) {
		fill_four(t, protos[i], e);
		rq.proto = protos[i];
		assert_null(rfc_carry(t, t->lan, &rq, t->wan));
		assert_int_equal(fixture_dropped(&t->w, DROP_NAT_EXHAUSTED), i + 1);
	}
}

/* REQ-11C. */
static void operator_is_told(struct rfc *t)
{
	struct rfc_end e[4];

	rfc_start(t, &four_ports);
	fill_four(t, UDP, e);
	for (uint16_t i = 0; i < 40; i++)
		rfc_try_out(t, UDP, RFC_HOST2, (uint16_t)(4000 + i), RFC_PEER1, 53);
	assert_int_equal(t->w.n_events[EVENT_NAT_EXHAUSTED], 1); /* within a second */
	assert_int_equal(strcmp(t->w.last_event[EVENT_NAT_EXHAUSTED].text, "public"), 0);
	rfc_run_s(t, 1);
	rfc_try_out(t, UDP, RFC_HOST2, 5000, RFC_PEER1, 53);
	assert_int_equal(t->w.n_events[EVENT_NAT_EXHAUSTED], 2);
	assert_int_equal(t->w.last_event[EVENT_NAT_EXHAUSTED].count, 41);
}

/* REQ-11D. */
static void no_mapping_makes_room(struct rfc *t)
{
	struct rfc_end e[4];

	rfc_start(t, &four_ports);
	fill_four(t, UDP, e);
	for (uint16_t i = 0; i < 40; i++)
		assert_int_equal(rfc_try_out(t, UDP, RFC_HOST2, (uint16_t)(4000 + i), RFC_PEER1, 53).addr, 0);
	for (uint16_t i = 0; i < 4; i++)
		assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER1, 53, e[i]), RFC_HOST1, (uint16_t)(4000 + i)));
	assert_int_equal(t->w.n_events[EVENT_CONN_END], 0);
}

/* REQ-13. Would catch: a port of the pool that is never given out. */
static void every_port_is_used(struct rfc *t)
{
	uint64_t seen[2] = { 0, 0 };

	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16/31",
					  .pool_options = "ports 2000-2065; exclude ports 2010-2011;" });
	for (uint32_t i = 0; i < 128; i++) {
		struct rfc_end e = rfc_out(t, UDP, RFC_HOST1 + i % 3, (uint16_t)(4000 + i), RFC_PEER1, 53);
		uint32_t bit = e.port < 2010 ? e.port - 2000u : e.port - 2002u;

		assert_true(e.port >= 2000 && e.port <= 2065 && e.port != 2010 && e.port != 2011);
		assert_false(seen[e.addr & 1] >> bit & 1);
		seen[e.addr & 1] |= 1ull << bit;
	}
	assert_true(seen[0] == UINT64_MAX && seen[1] == UINT64_MAX);
	assert_int_equal(rfc_try_out(t, UDP, RFC_HOST1, 9000, RFC_PEER1, 53).addr, 0);
}

static bool names(const struct log_record *r, uint32_t addr)
{
	return r->orig.src.v4 == addr || r->orig.dst.v4 == addr || r->reply.src.v4 == addr || r->reply.dst.v4 == addr;
}

/* REQ-12. Would catch: a log that nobody has asked for, a destination in one of mappings, or of sessions without
 * destinations; a subscriber whose port nobody can find in it. */
static void no_destinations(struct rfc *t)
{
	const char *log = t->mode == RFC_EIM ? "log { mappings yes; }" : "log { sessions yes; destinations no; }";

	rfc_start(t, NULL);
	rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 53);
	assert_int_equal(t->w.n_logged, 0);
	rfc_reload(t, &(struct rfc_setup){ .more = log });
	struct rfc_end e = rfc_out(t, UDP, RFC_HOST2, 4001, RFC_PEER1, 53);
	rfc_out(t, UDP, RFC_HOST2, 4001, RFC_PEER2, 54);
	assert_int_equal(t->w.n_logged, t->mode == RFC_EIM ? 1 : 2);
	rfc_run_s(t, 3600);
	assert_true(t->w.n_logged >= 2 && t->w.n_logged <= FIXTURE_LOGGED_MAX);
	for (uint32_t i = 0; i < t->w.n_logged; i++) {
		const struct log_record *r = &t->w.logged[i];

		assert_false(names(r, RFC_PEER1) || names(r, RFC_PEER2));
		assert_int_not_equal(r->orig.dport, 53);
		assert_int_not_equal(r->reply.sport, 53);
	}
	assert_int_equal(t->w.logged[0].orig.src.v4, RFC_HOST2);
	assert_int_equal(t->w.logged[0].orig.sport, 4001);
	assert_true(rfc_is_end(e, t->w.logged[0].reply.dst.v4, t->w.logged[0].reply.dport));
}

/* REQ-15. Would catch: ports in a row, the client's own ones, a part of the range that is never used. */
static void ports_are_hard_to_guess(struct rfc *t)
{
	uint32_t bucket[16] = { 0 }, n_rising = 0, n_near = 0, last = 0;

	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16" });
	for (uint16_t i = 0; i < 512; i++) {
		uint16_t port = rfc_out(t, UDP, RFC_HOST1, (uint16_t)(20000 + i), RFC_PEER1, 53).port;

		bucket[(port - 1024) * 16 / 64512]++;
		n_rising += port > last;
		n_near += port - last + 64 <= 128 || port == 20000 + i;
		last = port;
	}
	for (int b = 0; b < 16; b++)
		if (bucket[b] < 12 || bucket[b] > 60)
			fail_msg("%u of 512 ports in part %d of 16", bucket[b], b + 1);
	if (n_rising < 206 || n_rising > 306 || n_near > 8)
		fail_msg("%u ports rise, %u are near the one before", n_rising, n_near);
}

#define PCP "it asks for a protocol of management (PCP), which is not part of this gateway"
#define MIB "it asks for a protocol of management (SNMP, NETCONF), which is not part of this gateway"
#define CODE_1 "it asks for 3/1 where RFC 5508 REQ-8 asks for 3/13; 3/13 is sent"
#define BY_FILTER "the mapping belongs to one destination, so nobody else has a way in"

static const struct rfc_row rows[] = {
	{ "REQ-1", "every transport passes, and is held to its own demands", every_transport_passes },
	{ "REQ-2", "without any option a host keeps one outside address, for all protocols", paired_by_default },
	{ "REQ-3", "a pool may be scattered ranges of any size", scattered_pool },
	{ "REQ-4", "the outside ports of a subscriber can be limited", .later = "port limits per subscriber" },
	{ "REQ-4C", "the rate of new flows of a subscriber can be limited", rate_of_new_flows },
	{ "REQ-5", "the sessions of a subscriber can be limited", sessions_of_a_host },
	{ "REQ-6", "translation can be turned off for destination addresses and ports", no_translation_for_some },
	{ "REQ-7", "endpoint-independent filtering can be had, for UDP and TCP", everybody_is_let_in,
	  .why = { [RFC_APDM] = BY_FILTER } },
	{ "REQ-8", "a port is held down for 120 seconds before it is given out again (when asked for)",
	  ports_held_down },
	{ "REQ-8D", "the time for which can be configured", hold_down_is_an_option },
	{ "REQ-8D", "the number of them can be bounded by config", .later = "an option for the number" },
	{ "REQ-9", "subscribers control mappings by a protocol", .why = { PCP, PCP } },
	{ "REQ-10", "the gateway is managed by standard means", .why = { MIB, MIB } },
	{ "REQ-11A", "a packet whose flow finds no port is dropped, by name", refused_is_dropped },
	{ "REQ-11B", "its sender is told by ICMP", .why = { CODE_1, CODE_1 } },
	{ "REQ-11C", "the operator is told, at a limited rate", operator_is_told },
	{ "REQ-11D", "no mapping is ended to make room in a full pool", no_mapping_makes_room },
	{ "REQ-12", "destinations are not logged", no_destinations },
	{ "REQ-13", "every port of a pool is used", every_port_is_used },
	{ "REQ-14", "the log is small", .later = "blocks of ports of a subscriber" },
	{ "REQ-15", "ports are hard to guess", ports_are_hard_to_guess },
};

const struct rfc_table rfc6888_table = { "RFC 6888", rows, ARRAY_LEN(rows) };
