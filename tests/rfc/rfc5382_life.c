/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 5382 (BCP 142), REQ-5 to REQ-10: how long connections live, whose ports
 * they have, hairpinning, and ICMP errors about them. REQ-6 is about application
 * gateways; this gateway has none. REQ-1 to REQ-4 are in rfc5382.c.
 */
#include "state.h"
#include "tcp_script.h"

#define TCP IPPROTO_NR_TCP

#define ESTABLISHED_S (2 * 3600 + 4 * 60)
#define TRANSITORY_S (4 * 60)

/* REQ-5. Would catch: an idle connection that is given up too early. */
static void established_lives(struct rfc *t)
{
	struct tcp_pair c = tcp_pair_open(t, NULL);

	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_talk(&c.server, &c.client);
	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_talk(&c.client, &c.server);
	rfc_run_s(t, ESTABLISHED_S + 60);
	assert_int_equal(rfc_connections(t, TCP), 0);
}

/* Established is what has not seen both FINs (section 5): also with one, and with data on their way. */
static void half_closed_lives(struct rfc *t)
{
	struct tcp_pair c = tcp_pair_open(t, NULL);

	tcp_pass(&c.client, &c.server, TCP_FIN | TCP_ACK, 0);
	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_pass(&c.server, &c.client, TCP_ACK | TCP_PSH, 500);
	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_finish(&c.server, &c.client);
}

static void unacknowledged_lives(struct rfc *t)
{
	struct tcp_pair c = tcp_pair_open(t, NULL);

	tcp_pass(&c.client, &c.server, TCP_ACK | TCP_PSH, 500);
	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	tcp_talk(&c.server, &c.client);
}

static void partly_open_lives(struct rfc *t)
{
	rfc_start(t, NULL);
	struct tcp_pair c = tcp_pair_at(t);

	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	rfc_run_s(t, TRANSITORY_S - 1);
	tcp_pass(&c.server, &c.client, TCP_SYN | TCP_ACK, 0);
	rfc_run_s(t, TRANSITORY_S - 1);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	tcp_talk(&c.client, &c.server);
}

static void closing_lives(struct rfc *t)
{
	struct tcp_pair c = tcp_pair_open(t, NULL);

	tcp_pass(&c.client, &c.server, TCP_FIN | TCP_ACK, 0);
	tcp_pass(&c.server, &c.client, TCP_FIN | TCP_ACK, 0);
	rfc_run_s(t, TRANSITORY_S - 1);
	/* the client's answer was lost, so the server asks once more */
	c.server.snd_nxt--;
	c.client.rcv_nxt--;
	tcp_pass(&c.server, &c.client, TCP_FIN | TCP_ACK, 0);
	rfc_run_s(t, TRANSITORY_S - 1);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	rfc_run_s(t, TRANSITORY_S + 10);
	assert_int_equal(rfc_connections(t, TCP), 0);
	assert_int_equal(rfc_ports_used(t, TCP), 0);
}

/* REQ-5a. */
static void timers_are_options(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){
			     .more = "conntrack { timeout tcp established 9000s; timeout tcp syn-sent 600s }" });
	struct tcp_pair c = tcp_pair_at(t);

	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	rfc_run_s(t, 590);
	tcp_pass(&c.server, &c.client, TCP_SYN | TCP_ACK, 0);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	rfc_run_s(t, 8990);
	tcp_talk(&c.server, &c.client);
	rfc_run_s(t, 9010);
	assert_int_equal(rfc_connections(t, TCP), 0);
}

/* REQ-7. Would catch: an outside end that two connections to one destination have at the same time. */
static void no_end_twice(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16", .pool_options = "ports 4000-4015;" });
	uint32_t taken = 0;

	for (uint32_t i = 0; i < 16; i++) {
		struct rfc_end e = rfc_out(t, TCP, RFC_HOST1 + i, 4000, RFC_PEER1, 80);

		assert_true(e.port >= 4000 && e.port <= 4015);
		if (taken & 1u << (e.port - 4000))
			fail_msg("port %u is given to two hosts", e.port);
		taken |= 1u << (e.port - 4000);
	}
	assert_int_equal(rfc_try_out(t, TCP, RFC_HOST1 + 16, 4000, RFC_PEER1, 80).addr, 0);
	assert_int_equal(fixture_dropped(&t->w, DROP_NAT_EXHAUSTED), 1);
}

static void preserved_port_is_not_taken_away(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .addresses = "203.0.113.16", .pool_options = "preserve port;" });
	struct tcp_pair c = tcp_pair_at(t);

	tcp_handshake(&c.client, &c.server);
	rfc_same_end(c.server.peer, (struct rfc_end){ RFC_POOL_FIRST, 4000 }, "the port is kept");
	struct tcp_speaker client2 = tcp_end_at(t, RFC_HOST2, 4000, c.client.peer), server2 = c.server;
	server2.peer.addr = 0;
	server2.heard = false;
	tcp_handshake(&client2, &server2);
	assert_int_not_equal(server2.peer.port, c.server.peer.port);
	tcp_talk(&c.client, &c.server);
	tcp_talk(&client2, &server2);
}

/* REQ-8 and 8a. Would catch: a connection to an outside end of ours that fails from inside, or that shows an inside
 * address. */
static void hairpin(struct rfc *t)
{
	struct rfc_end end = tcp_start_server(t, TCP, 80);
	struct rfc_end own = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 80);
	struct tcp_speaker client = tcp_end_at(t, RFC_HOST1, 4000, end);
	struct tcp_speaker server = tcp_end_at(t, RFC_HOST2, 80, (struct rfc_end){ 0, 0 });

	tcp_handshake(&client, &server);
	assert_int_equal(server.peer.addr, own.addr);
	if (t->mode == RFC_EIM)
		assert_int_equal(server.peer.port, own.port);
	else
		assert_true(server.peer.port >= 1024);
	tcp_talk(&client, &server);
	tcp_finish(&server, &client);
	tcp_finish(&client, &server);
	tcp_quiet(t);
}

/* REQ-9. */
static void unreachable_is_translated(struct rfc *t)
{
	struct rfc_end end = tcp_start_server(t, TCP, 80);
	struct packet_spec syn = {
		.src = RFC_HOST1, .dst = RFC_PEER1, .proto = TCP, .sport = 4000, .dport = 80, .flags = TCP_SYN
	};
	struct icmp_quote q;
	uint8_t quote[40];

	for (uint8_t code = 0; code <= 15; code++) {
		syn.sport = (uint16_t)(4000 + code);
		syn.seq = 77u + code;
		struct packet_spec err = rfc_error_about(rfc_carry(t, t->lan, &syn, t->wan), RFC_PEER2,
							 ICMP_DEST_UNREACHABLE, code, quote, sizeof(quote));
		rfc_send(t, t->wan, &err);
		const struct packet *p = rfc_error(t, t->lan, ICMP_DEST_UNREACHABLE, code, &q);
		assert_int_equal(p->ip.dst, RFC_HOST1);
		assert_int_equal(q.ip.dst, RFC_PEER1);
		assert_int_equal(q.l4.sport, syn.sport);
		assert_int_equal(q.l4.seq, syn.seq);
	}
	/* and from inside */
	struct packet_spec in = {
		.src = RFC_PEER2, .dst = end.addr, .proto = TCP, .sport = 7, .dport = end.port, .flags = TCP_SYN
	};
	struct packet_spec err = rfc_error_about(rfc_carry(t, t->wan, &in, t->lan), RFC_HOST2, ICMP_DEST_UNREACHABLE,
						 ICMP_PORT_UNREACHABLE, quote, sizeof(quote));
	rfc_send(t, t->lan, &err);
	const struct packet *p = rfc_error(t, t->wan, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, &q);
	assert_int_equal(p->ip.dst, RFC_PEER2);
	assert_int_equal(p->ip.src, end.addr);
	assert_int_equal(q.ip.dst, end.addr);
	assert_int_equal(q.l4.dport, end.port);
}

/* REQ-10. Would catch: an error, right or forged, that ends the connection that it is about. */
static void errors_end_nothing(struct rfc *t)
{
	struct tcp_pair c = tcp_pair_open(t, NULL);
	struct packet_spec data = { .src = RFC_HOST1,
				    .dst = RFC_PEER1,
				    .proto = TCP,
				    .sport = 4000,
				    .dport = 5000,
				    .seq = c.client.snd_nxt,
				    .ack = c.client.rcv_nxt,
				    .flags = TCP_ACK };
	uint8_t out[40], in[40];
	struct packet_spec from_wan =
		rfc_error_about(rfc_carry(t, t->lan, &data, t->wan), RFC_PEER1, 0, 0, out, sizeof(out));

	data = (struct packet_spec){ .src = RFC_PEER1,
				     .dst = c.server.peer.addr,
				     .proto = TCP,
				     .sport = 5000,
				     .dport = c.server.peer.port,
				     .seq = c.server.snd_nxt,
				     .ack = c.server.rcv_nxt,
				     .flags = TCP_ACK };
	struct packet_spec from_lan =
		rfc_error_about(rfc_carry(t, t->wan, &data, t->lan), RFC_HOST1, 0, 0, in, sizeof(in));
	for (uint32_t type = 0; type < 64; type++)
		for (int code = 0; code < (type == ICMP_DEST_UNREACHABLE ? 16 : 2); code++) {
			from_wan.type = from_lan.type = (uint8_t)type;
			from_wan.code = from_lan.code = (uint8_t)code;
			rfc_send(t, t->wan, &from_wan);
			rfc_send(t, t->lan, &from_lan);
			station_clear(t->lan);
			station_clear(t->wan);
		}
	for (uint32_t cursor = 0, index; conntrack_next(gateway_conntrack(t->w.gw), &cursor, &index);) {
		const struct conn *conn = conntrack_conn(gateway_conntrack(t->w.gw), index);

		if (conn->half[CT_ORIGINAL].tuple.proto == TCP)
			assert_int_equal(conn->tcp_state, CT_TCP_ESTABLISHED);
	}
	rfc_run_s(t, TRANSITORY_S * 2);
	tcp_talk(&c.client, &c.server);
	tcp_talk(&c.server, &c.client);
}

static const struct rfc_row rows[] = {
	{ "REQ-5", "An idle established connection lives 2 h 4 min", established_lives },
	{ "REQ-5", "... also when one side has closed", half_closed_lives },
	{ "REQ-5", "... also with data that are not acknowledged", unacknowledged_lives },
	{ "REQ-5", "A partly open connection lives 4 min", partly_open_lives },
	{ "REQ-5", "A closing connection lives 4 min, then its port is free", closing_lives },
	{ "REQ-5a", "The timers are options", timers_are_options },
	{ "REQ-7", "No two connections to one destination have one outside end", no_end_twice },
	{ "REQ-7", "A preserved port is not taken from who has it", preserved_port_is_not_taken_away },
	{ "REQ-8, 8a", "Hairpinning, with the outside address and port as source", hairpin },
	{ "REQ-9", "ICMP Destination Unreachable is translated", unreachable_is_translated },
	{ "REQ-10", "No ICMP message ends a mapping or a connection", errors_end_nothing },
};

const struct rfc_table rfc5382_life_table = { "RFC 5382", rows, ARRAY_LEN(rows) };
