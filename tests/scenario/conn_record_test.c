/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections that go on in another core. Two gateways with the same config:
 *
 *   (10.1.0.2) -- lan (10.0.0.2) -- lan0 [gateway] wan0 -- wan (203.0.113.254)
 *
 * Flows begin at the first. Each of its connections is exported and imported into
 * the second, which has seen none of their packets and has another history of random
 * choices. From then on both are given the same packets, and must send the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "core/conn_record.h"
#include "fixture.h"
#include "gateway/nat/nat_priv.h"
#include "gateway/nat/overload.h"

#define HOST IP4(10, 0, 0, 2)
#define OTHER_HOST IP4(10, 1, 0, 2)
#define PEER IP4(203, 0, 113, 254)
#define FAR IP4(198, 51, 100, 9)
#define CONNS_MAX 32

#define INTERFACES \
	"interface lan0 { address 10.0.0.1/24; }\n" \
	"interface wan0 { address 203.0.113.1/24; }\n" \
	"route 0.0.0.0/0 via 203.0.113.254;\n" \
	"route 10.1.0.0/16 via 10.0.0.2;\n"
#define POST "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
/* Hosts of the net itself have one mapping a port, whoever they talk to; those behind its router the interface's
 * address. */
#define CONFIG(filtering) \
	INTERFACES "pool public { 203.0.113.16; mapping endpoint-independent; filtering " filtering "; }\n" POST \
		   "  oifname \"wan0\" ip saddr 10.0.0.0/24 snat to pool public\n" \
		   "  oifname \"wan0\" masquerade\n} }\n"

static const char config[] = CONFIG("endpoint-independent");
static const char filtering[] = CONFIG("address-dependent");
static const char holding_down[] =
	INTERFACES "pool public { 203.0.113.16; mapping endpoint-independent; hold-down 120s; }\n" POST
		   "  oifname \"wan0\" snat to pool public\n} }\n";
static const char without_pool[] = INTERFACES POST "  oifname \"wan0\" masquerade\n} }\n";

enum { FIRST, SECOND, N_CORES };
struct net {
	struct fixture w;
	struct station *lan, *wan;
};

static void net_start(struct net *n, const char *text)
{
	fixture_start(&n->w, text, NULL);
	n->lan = fixture_station(&n->w, "lan0", HOST, NULL);
	n->wan = fixture_station(&n->w, "wan0", PEER, NULL);
	fixture_run(&n->w, 5 * NS_PER_S);
	station_clear(n->lan);
	station_clear(n->wan);
}

/* What station `at` receives when `from` sends this; NULL: nothing. */
static struct packet *carry(struct net *n, struct station *from, const struct packet_spec *s, struct station *at)
{
	station_clear(at);
	station_send(from, s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return station_next(at);
}

/* A packet of a flow, from inside or to what its first packet looked like outside. */
static struct packet_spec of_flow(uint8_t proto, uint32_t inside, uint16_t port)
{
	return (struct packet_spec){ .src = inside,
				     .dst = PEER,
				     .proto = proto,
				     .df = true,
				     .payload_len = 100,
				     .sport = port,
				     .dport = proto == IPPROTO_NR_UDP ? 5353 : 443,
				     .window = 1000 };
}

static struct packet_spec answer_to(const struct packet *out)
{
	struct packet_spec s = { .src = out->ip.dst,
				 .dst = out->ip.src,
				 .proto = out->ip.proto,
				 .df = true,
				 .payload_len = 60,
				 .sport = out->l4.dport,
				 .dport = out->l4.sport,
				 .window = 1000 };

	if (s.proto == IPPROTO_NR_ICMP)
		s.id = out->l4.id;
	return s;
}

/* The flows that are known to both. `out`: a packet from inside, `in`: one from outside, as they go on. */
struct flow {
	struct packet_spec out, in;
};

enum { TCP_MASQUERADE, TCP_MAPPED, UDP_MASQUERADE, UDP_MAPPED, ECHO_MASQUERADE, ECHO_MAPPED, TCP_THAT_ENDS, N_FLOWS };

static void begin_tcp(struct net *n, struct flow *f, uint32_t inside, uint16_t port, bool close)
{
	struct packet_spec s = of_flow(IPPROTO_NR_TCP, inside, port);
	struct packet *p;

	s.payload_len = 0;
	s.seq = 1000;
	s.flags = TCP_SYN;
	p = carry(n, n->lan, &s, n->wan);
	assert_non_null(p);
	struct packet_spec a = answer_to(p);
	a.payload_len = 0;
	a.seq = 5000;
	a.ack = 1001;
	a.flags = TCP_SYN | TCP_ACK;
	assert_non_null(carry(n, n->wan, &a, n->lan));
	s.seq = 1001;
	s.ack = 5001;
	s.flags = TCP_ACK;
	assert_non_null(carry(n, n->lan, &s, n->wan));
	s.flags = close ? TCP_FIN | TCP_ACK : TCP_ACK;
	s.payload_len = close ? 0 : 100;
	assert_non_null(carry(n, n->lan, &s, n->wan));
	f->out = s;
	f->out.seq = close ? 1002 : 1101;
	f->out.flags = TCP_ACK;
	f->in = a;
	f->in.seq = 5001;
	f->in.ack = close ? 1002 : 1101;
	f->in.flags = TCP_ACK;
	f->in.payload_len = 60;
}

static void begin_udp(struct net *n, struct flow *f, uint32_t inside, uint16_t port)
{
	f->out = of_flow(IPPROTO_NR_UDP, inside, port);
	struct packet *p = carry(n, n->lan, &f->out, n->wan);

	assert_non_null(p);
	f->in = answer_to(p);
	assert_non_null(carry(n, n->wan, &f->in, n->lan));
}

static void begin_echo(struct net *n, struct flow *f, uint32_t inside, uint16_t id)
{
	f->out = of_flow(IPPROTO_NR_ICMP, inside, 0);
	f->out.type = ICMP_ECHO_REQUEST;
	f->out.id = id;
	struct packet *p = carry(n, n->lan, &f->out, n->wan);

	assert_non_null(p);
	f->in = answer_to(p);
	f->in.type = ICMP_ECHO_REPLY;
	assert_non_null(carry(n, n->wan, &f->in, n->lan));
}

static void begin_flows(struct net *n, struct flow flow[N_FLOWS])
{
	begin_tcp(n, &flow[TCP_MASQUERADE], OTHER_HOST, 40001, false);
	begin_tcp(n, &flow[TCP_MAPPED], HOST, 40002, false);
	begin_udp(n, &flow[UDP_MASQUERADE], OTHER_HOST, 40003);
	begin_udp(n, &flow[UDP_MAPPED], HOST, 40004);
	begin_echo(n, &flow[ECHO_MASQUERADE], OTHER_HOST, 7);
	begin_echo(n, &flow[ECHO_MAPPED], HOST, 8);
	begin_tcp(n, &flow[TCP_THAT_ENDS], OTHER_HOST, 40005, true);
}

static uint32_t export_all(struct net *n, struct conn_record *out)
{
	uint32_t cursor = 0, index, count = 0;

	while (conntrack_next(gateway_conntrack(n->w.gw), &cursor, &index)) {
		assert_true(count < CONNS_MAX);
		assert_int_equal(conn_export(n->w.gw, index, &out[count++], n->w.now), 0);
	}
	return count;
}

/* Both have the same connections as values. */
static void same_records(struct net net[N_CORES])
{
	static struct conn_record a[CONNS_MAX], b[CONNS_MAX];
	uint32_t n = export_all(&net[FIRST], a);

	assert_int_equal(export_all(&net[SECOND], b), n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = 0;

		while (k < n && memcmp(&a[i].ct.half, &b[k].ct.half, sizeof(a[i].ct.half)) != 0)
			k++;
		assert_true(k < n);
		assert_memory_equal(&a[i].ct, &b[k].ct, sizeof(a[i].ct));
		assert_memory_equal(&a[i].nat, &b[k].nat, sizeof(a[i].nat));
	}
}

enum way { OUTWARD, INWARD, HAIRPIN };

/* Sends it at both, and what comes out at the other side must be the same bytes, or nothing at both. */
static bool same(struct net net[N_CORES], enum way way, const struct packet_spec *s)
{
	static uint8_t bytes[N_CORES][2048];
	uint32_t len[N_CORES] = { 0 };

	for (int i = 0; i < N_CORES; i++) {
		struct station *from = way == INWARD ? net[i].wan : net[i].lan;
		struct station *at = way == OUTWARD ? net[i].wan : net[i].lan;
		struct packet *p = carry(&net[i], from, s, at);

		if (p == NULL)
			continue;
		len[i] = p->ip.total_len;
		assert_true(len[i] <= sizeof(bytes[i]));
		memcpy(bytes[i], packet_l3(p), len[i]);
	}
	assert_int_equal(len[FIRST], len[SECOND]);
	assert_memory_equal(bytes[FIRST], bytes[SECOND], len[FIRST]);
	return len[FIRST] != 0;
}

static struct conn_record record[CONNS_MAX];

/* Both cores with the flows, of which the second has got them as records; n: how many those are. */
static uint32_t hand_over(struct net net[N_CORES], const char *text, struct flow flow[N_FLOWS])
{
	static const struct packet_spec noise = { .src = OTHER_HOST,
						  .dst = FAR,
						  .proto = IPPROTO_NR_UDP,
						  .df = true,
						  .sport = 999,
						  .dport = 999,
						  .payload_len = 1 };

	net_start(&net[FIRST], text);
	net_start(&net[SECOND], text);
	/* Its random choices are others from here on. */
	assert_non_null(carry(&net[SECOND], net[SECOND].lan, &noise, net[SECOND].wan));
	uint32_t cursor = 0, index;
	assert_true(conntrack_next(gateway_conntrack(net[SECOND].w.gw), &cursor, &index));
	conntrack_end(gateway_conntrack(net[SECOND].w.gw), index, CT_END_FLUSHED);

	begin_flows(&net[FIRST], flow);
	cursor = 0;
	assert_true(conntrack_next(gateway_conntrack(net[FIRST].w.gw), &cursor, &index));
	conntrack_ext(gateway_conntrack(net[FIRST].w.gw), index)->mark = 0xabcd;
	fixture_run(&net[SECOND].w, net[FIRST].w.now - net[SECOND].w.now);
	uint32_t n = export_all(&net[FIRST], record);
	assert_int_equal(n, N_FLOWS);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(conn_import(net[SECOND].w.gw, &record[i], net[SECOND].w.now), 0);
	return n;
}

/* The one connection that the first core has and the second has not. */
static void hand_over_last(struct net net[N_CORES])
{
	uint32_t n, n_new = 0;

	fixture_run(&net[SECOND].w, net[FIRST].w.now - net[SECOND].w.now);
	n = export_all(&net[FIRST], record);
	for (uint32_t i = 0; i < n; i++) {
		int r = conn_import(net[SECOND].w.gw, &record[i], net[SECOND].w.now);

		assert_true(r == 0 || r == -EEXIST);
		n_new += r == 0;
	}
	assert_int_equal(n_new, 1);
}

/* Would catch: a tuple, window, state, time, mark or counter that is not in a record or not read from it; a port or
 * mapping that the second core does not hold, holds for somebody else, or does not give back (the laws, at the end). */
static void test_go_on(void **state)
{
	static struct net net[N_CORES];
	struct flow flow[N_FLOWS];

	(void)state;
	hand_over(net, config, flow);
	same_records(net);
	fixture_check_law(&net[SECOND].w);
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < N_FLOWS; i++) {
			assert_true(same(net, INWARD, &flow[i].in));
			assert_true(same(net, OUTWARD, &flow[i].out));
			flow[i].in.seq += flow[i].in.payload_len;
			flow[i].out.ack = flow[i].in.seq;
			flow[i].out.seq += flow[i].out.payload_len;
			flow[i].in.ack = flow[i].out.seq;
			flow[i].in.icmp_seq++;
			flow[i].out.icmp_seq++;
		}
	same_records(net);
	/* A reset far outside of the window, which the other end would not believe; and one that closes. */
	struct packet_spec reset = flow[TCP_MASQUERADE].in;
	reset.flags = TCP_RST;
	reset.payload_len = 0;
	reset.seq += UINT32_C(1) << 30;
	assert_false(same(net, INWARD, &reset));
	reset.seq = flow[TCP_MASQUERADE].in.seq;
	assert_true(same(net, INWARD, &reset));
	same_records(net);
	/* Each ends in its time, and both hold nothing any more. */
	for (int i = 0; i < N_CORES; i++) {
		fixture_run(&net[i].w, 3 * 3600 * NS_PER_S);
		assert_int_equal(conntrack_n_connections(gateway_conntrack(net[i].w.gw)), 0);
		const struct nat_overloads *o = gateway_nat(net[i].w.gw)->overloads;
		for (uint32_t k = 0; k < o->n_counters; k++)
			assert_int_equal(o->counter[k], 0);
		fixture_end(&net[i].w);
	}
}

/* Would catch: a mapping whose outside is there but lets nobody new in, or whose inside gets another port for its next
 * destination: what endpoint-independent means. */
static void test_mapping(void **state)
{
	static struct net net[N_CORES];
	struct flow flow[N_FLOWS];

	(void)state;
	hand_over(net, config, flow);
	struct flow mine;
	struct packet_spec stranger = flow[UDP_MAPPED].in;
	stranger.src = FAR;
	stranger.sport = 4444;
	assert_true(same(net, INWARD, &stranger));
	struct packet_spec elsewhere = flow[UDP_MAPPED].out;
	elsewhere.dst = FAR;
	elsewhere.dport = 7777;
	assert_true(same(net, OUTWARD, &elsewhere));
	/* Of another host inside, which has a mapping of its own for its source. */
	struct packet_spec hairpin = of_flow(IPPROTO_NR_UDP, HOST, 40077);
	hairpin.dst = stranger.dst;
	hairpin.dport = stranger.dport;
	begin_udp(&net[FIRST], &mine, HOST, 40077);
	hand_over_last(net);
	assert_true(same(net, HAIRPIN, &hairpin));
	same_records(net);
	/* And those that came in by it go over as well. */
	static struct net third;
	net_start(&third, config);
	uint32_t n = export_all(&net[SECOND], record);
	assert_int_equal(n, N_FLOWS + 4);
	for (uint32_t i = n; i > 0; i--)
		assert_int_equal(conn_import(third.w.gw, &record[i - 1], third.w.now), 0);
	station_send(third.wan, &stranger);
	fixture_run(&third.w, 20 * NS_PER_MS);
	assert_non_null(station_next(third.lan));
	for (int i = 0; i < N_CORES; i++)
		fixture_end(&net[i].w);
	fixture_end(&third.w);
}

/* Would catch: a mapping that has forgotten whom its inside talks with. */
static void test_filtering(void **state)
{
	static struct net net[N_CORES];
	struct flow flow[N_FLOWS];

	(void)state;
	hand_over(net, filtering, flow);
	struct packet_spec in = flow[UDP_MAPPED].in;
	in.sport++;
	assert_true(same(net, INWARD, &in));
	in.src = FAR;
	assert_false(same(net, INWARD, &in));
	for (int i = 0; i < N_CORES; i++)
		fixture_end(&net[i].w);
}

/* The first number that is no state of the protocol's. */
static uint8_t no_state_of(uint8_t proto)
{
	uint8_t state = 1;

	while (ct_state_name(proto, state) != NULL)
		state++;
	return state;
}

/* Would catch: a record that is taken although its tuple, port, pool or room is not there, and whatever such an attempt
 * leaves behind (the laws, at the end). */
static void test_refused(void **state)
{
	static struct net net[N_CORES], other;
	struct flow flow[N_FLOWS];

	(void)state;
	uint32_t n = hand_over(net, config, flow);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(conn_import(net[SECOND].w.gw, &record[i], net[SECOND].w.now), -EEXIST);
	net_start(&other, without_pool);
	for (uint32_t i = 0; i < n; i++) {
		struct conn_record r = record[i];
		bool pool = r.nat.hold[0].origin == NAT_RECORD_OF_POOL;
		struct gateway *gw = other.w.gw;

		r.ct.half[CT_REPLY].tuple.dst = (struct ip_addr){ 0 };
		assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		r = record[i];
		r.ct.state = 200;
		assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		r.ct.state = no_state_of(r.ct.half[CT_ORIGINAL].tuple.proto);
		assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		/* What NAT does not know: a hold of another kind, or of another origin. */
		r = record[i];
		r.nat.hold[0].kind = NAT_RECORD_MAPPING_IN + 1;
		assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		r = record[i];
		r.nat.hold[0].origin = NAT_RECORD_OF_INTERFACE + 1;
		if (r.nat.hold[0].kind != NAT_RECORD_NONE)
			assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		r = record[i];
		/* Of TCP there is none without a state. */
		r.ct.state = 0;
		if (record[i].ct.state != 0)
			assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		/* For ever, and since before there was time. */
		r = record[i];
		r.ct.left_ms = UINT64_C(366) * 24 * 3600 * 1000;
		assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		r = record[i];
		r.ct.age_ms = UINT64_MAX / 1000;
		assert_int_equal(conn_import(gw, &r, other.w.now), -EINVAL);
		assert_int_equal(conn_import(gw, &record[i], other.w.now), pool ? -ENOENT : 0);
		r = record[i];
		r.ct.half[CT_ORIGINAL].tuple.zone++;
		if (!pool)
			assert_int_equal(conn_import(gw, &r, other.w.now), -EEXIST);
		/* An address that the interface does not have. */
		r.ct.half[CT_ORIGINAL].tuple.sport++;
		r.ct.half[CT_REPLY].tuple.dst.v4++;
		if (!pool)
			assert_int_equal(conn_import(gw, &r, other.w.now), -EADDRNOTAVAIL);
	}
	/* Somebody else has the mapping's port outside. */
	for (uint32_t i = 0; i < n; i++) {
		struct conn_record r = record[i];

		if (r.nat.hold[0].kind != NAT_RECORD_MAPPING)
			continue;
		r.ct.half[CT_ORIGINAL].tuple.src.v4++;
		r.ct.half[CT_ORIGINAL].tuple.dst.v4++;
		r.ct.half[CT_REPLY].tuple.src.v4++;
		r.nat.hold[0].inside.v4++;
		assert_int_equal(conn_import(net[SECOND].w.gw, &r, net[SECOND].w.now), -EADDRINUSE);
		r.nat.hold[0].outside_port++;
		assert_int_equal(conn_import(net[SECOND].w.gw, &r, net[SECOND].w.now), -EINVAL);
	}
	for (int i = 0; i < N_CORES; i++)
		fixture_end(&net[i].w);
	fixture_end(&other.w);
}

/* Would catch: a record whose tuples no packet of its protocol can have, so that they are found by nobody, or by what
 * waits for the answer of another. */
static void test_identifiers(void **state)
{
	enum { KEY = L4_ID_KEY, SPI = L4_ID_SPI, CALL = L4_ID_CALL, NONE = L4_ID_NONE, UNKNOWN = TUPLE_ID_UNKNOWN };
	static const struct {
		uint8_t proto, orig, reply;
		int result;
	} rows[] = {
		{ IPPROTO_NR_ESP, SPI, SPI, 0 },
		{ IPPROTO_NR_ESP, SPI, UNKNOWN, 0 },
		{ IPPROTO_NR_ESP, UNKNOWN, UNKNOWN, -EINVAL },
		{ IPPROTO_NR_ESP, UNKNOWN, SPI, -EINVAL },
		{ IPPROTO_NR_ESP, SPI, NONE, -EINVAL },
		{ IPPROTO_NR_ESP, KEY, KEY, -EINVAL },
		{ IPPROTO_NR_GRE, NONE, NONE, 0 },
		{ IPPROTO_NR_GRE, KEY, KEY, 0 },
		{ IPPROTO_NR_GRE, KEY, UNKNOWN, -EINVAL },
		{ IPPROTO_NR_GRE, KEY, CALL, -EINVAL },
		{ IPPROTO_NR_GRE, CALL, CALL, -EINVAL },
		{ IPPROTO_NR_GRE, SPI, SPI, -EINVAL },
		{ IPPROTO_NR_GRE, 200, 200, -EINVAL },
		{ IPPROTO_NR_UDP, KEY, KEY, -EINVAL },
	};
	static struct net net;

	(void)state;
	net_start(&net, without_pool);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conn_record r = { .ct = { .left_ms = 1000 } };
		struct ct_record_tuple *o = &r.ct.half[CT_ORIGINAL].tuple, *p = &r.ct.half[CT_REPLY].tuple;

		*o = (struct ct_record_tuple){ .src = ip_addr_v4(HOST),
					       .dst = ip_addr_v4(FAR + (uint32_t)i),
					       .sport = rows[i].orig == NONE ? 0 : 7,
					       .dport = rows[i].orig == NONE ? 0 : 9,
					       .proto = rows[i].proto,
					       .id = rows[i].orig };
		*p = *o;
		p->src = o->dst;
		p->dst = o->src;
		p->id = rows[i].reply;
		if (rows[i].reply == UNKNOWN)
			p->sport = p->dport = 0;
		assert_int_equal(conn_import(net.w.gw, &r, net.w.now), rows[i].result);
	}
	fixture_end(&net.w);
}

/* Would catch: a port that is held down for a connection that was refused, and so never used it. */
static void test_refused_holds_nothing(void **state)
{
	static struct net net[N_CORES];
	struct flow flow;
	struct conn_record r;

	(void)state;
	for (int i = 0; i < N_CORES; i++)
		net_start(&net[i], holding_down);
	begin_udp(&net[FIRST], &flow, HOST, 40004);
	assert_int_equal(export_all(&net[FIRST], record), 1);
	r = record[0];
	assert_int_equal(r.nat.hold[0].kind, NAT_RECORD_MAPPING);
	/* The pool has the address, but no such port. */
	r.nat.hold[0].outside_port = 80;
	r.ct.half[CT_REPLY].tuple.dport = 80;
	struct nat *n = gateway_nat(net[SECOND].w.gw);
	struct nat_law law;

	assert_int_equal(conn_import(net[SECOND].w.gw, &r, net[SECOND].w.now), -EADDRNOTAVAIL);
	nat_law_of(n, &law);
	assert_int_equal(nat_law_in_use(&law), 0);
	assert_int_equal(conn_import(net[SECOND].w.gw, &record[0], net[SECOND].w.now), 0);
	fixture_run(&net[SECOND].w, 301 * NS_PER_S);
	nat_law_of(n, &law);
	assert_int_equal(law.n[NAT_LAW_HELD_DOWN], 1);
	for (int i = 0; i < N_CORES; i++)
		fixture_end(&net[i].w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_go_on),
		cmocka_unit_test(test_mapping),
		cmocka_unit_test(test_filtering),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_holds_nothing),
		cmocka_unit_test(test_identifiers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
