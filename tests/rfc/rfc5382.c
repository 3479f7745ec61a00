/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 5382 (BCP 142): what is demanded of NAT for TCP. REQ-6 is about
 * application gateways; this gateway has none.
 *
 * Where a connection comes from outside, endpoint-independent mapping lets it in
 * through a mapping that its host made towards somebody else; with the other
 * mapping it comes through a published port.
 */
#include "state.h"
#include "tcp_script.h"

#define TCP IPPROTO_NR_TCP
#define UDP IPPROTO_NR_UDP
#define EIF "filtering endpoint-independent;"

#define ESTABLISHED_S (2 * 3600 + 4 * 60)
#define TRANSITORY_S (4 * 60)

/* The outside end of HOST1's port 4000 is known before it is used. */
static const struct rfc_setup same_port = { .addresses = "203.0.113.16", .pool_options = "preserve port;" };
static const struct rfc_end outside_end = { RFC_POOL_FIRST, 4000 };

static const struct rfc_setup published = {
	.prerouting = "ip daddr 203.0.113.16 tcp dport 8080 dnat to 10.78.0.2:80",
	.postrouting = "snat to pool public",
};

/* HOST2's port 80 as it can be reached from outside; starts the scenario. */
static struct rfc_end start_server(struct rfc *t)
{
	if (t->mode == RFC_APDM) {
		rfc_start(t, &published);
		return (struct rfc_end){ RFC_POOL_FIRST, 8080 };
	}
	rfc_start(t, &(struct rfc_setup){ .pool_options = EIF });
	return rfc_out(t, TCP, RFC_HOST2, 80, RFC_PEER1, 9);
}

/* A client inside and a server outside, and their connection. */
struct pair {
	struct tcp_end client, server;
};

static struct pair pair_of(struct rfc *t)
{
	static const struct rfc_end server = { RFC_PEER1, 5000 };

	return (struct pair){
		.client = tcp_end_at(t, RFC_HOST1, 4000, server),
		.server = tcp_end_at(t, server.addr, server.port, (struct rfc_end){ 0, 0 }),
	};
}

static struct pair start_open(struct rfc *t)
{
	rfc_start(t, NULL);
	struct pair c = pair_of(t);

	tcp_open(&c.client, &c.server);
	return c;
}

/* REQ-1. Would catch: a mapping that depends on the destination. */
static void same_mapping_for_every_destination(struct rfc *t)
{
	rfc_start(t, NULL);
	struct rfc_end first = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 80);

	rfc_same_end(first, rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 81), "towards another port");
	rfc_same_end(first, rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER2, 80), "towards another address");
	rfc_same_end(first, rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER2, 99), "towards another of both");
}

/* REQ-2. Would catch: a step of an ordinary connection that the tracker does not know. */
static void three_way_from_inside(struct rfc *t)
{
	struct pair c = start_open(t);

	tcp_talk(&c.client, &c.server);
	tcp_finish(&c.client, &c.server);
	/* half closed: the other direction goes on */
	tcp_pass(&c.server, &c.client, TCP_ACK | TCP_PSH, 1000);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	tcp_finish(&c.server, &c.client);
	tcp_quiet(t);
}

static void three_way_from_outside(struct rfc *t)
{
	struct rfc_end end = start_server(t);
	struct tcp_end client = tcp_end_at(t, RFC_PEER2, 7000, end);
	struct tcp_end server = tcp_end_at(t, RFC_HOST2, 80, (struct rfc_end){ RFC_PEER2, 7000 });

	/* with the rule for every interface the client may appear under a pool address */
	server.peer.addr = t->mode == RFC_APDM ? 0 : server.peer.addr;
	tcp_open(&client, &server);
	tcp_talk(&client, &server);
	tcp_finish(&server, &client);
	tcp_pass(&client, &server, TCP_ACK | TCP_PSH, 1000);
	tcp_pass(&server, &client, TCP_ACK, 0);
	tcp_finish(&client, &server);
	tcp_quiet(t);
}

/* Would catch: what real stacks send besides: repeated segments, both FINs at once, keep-alive, a probe of a closed
 * window, data in a SYN, ECN, urgent data. */
static void uncommon_sequences(struct rfc *t)
{
	rfc_start(t, NULL);
	struct pair c = pair_of(t);
	uint32_t iss = c.client.snd_nxt;

	tcp_pass(&c.client, &c.server, TCP_SYN | TCP_ECE | TCP_CWR, 0);
	c.client.snd_nxt = iss; /* not heard: once more */
	c.server.heard = false;
	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	iss = c.server.snd_nxt;
	tcp_pass(&c.server, &c.client, TCP_SYN | TCP_ACK, 0);
	c.server.snd_nxt = iss;
	c.client.heard = false;
	tcp_pass(&c.server, &c.client, TCP_SYN | TCP_ACK, 0);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	/* keep-alive: one before the next number; answered by a plain ACK */
	c.client.snd_nxt--;
	c.server.rcv_nxt--;
	tcp_pass(&c.client, &c.server, TCP_ACK, 1);
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	tcp_pass(&c.client, &c.server, TCP_ACK | TCP_URG, 20);
	/* repeated as a whole, since the ACK was lost */
	c.client.snd_nxt -= 20;
	c.server.rcv_nxt -= 20;
	tcp_pass(&c.client, &c.server, TCP_ACK, 20);
	tcp_talk(&c.client, &c.server);
	/* both close at once, with the last data in the FIN */
	tcp_send(&c.client, TCP_FIN | TCP_ACK, 30);
	tcp_send(&c.server, TCP_FIN | TCP_ACK, 40);
	c.client.snd_nxt -= 31;
	tcp_take(&c.client, TCP_FIN | TCP_ACK, 40);
	c.client.snd_nxt += 31;
	c.server.snd_nxt -= 41;
	tcp_take(&c.server, TCP_FIN | TCP_ACK, 30);
	c.server.snd_nxt += 41;
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	tcp_quiet(t);
}

static void data_in_the_syn(struct rfc *t)
{
	rfc_start(t, NULL);
	struct pair c = pair_of(t);

	tcp_pass(&c.client, &c.server, TCP_SYN, 100); /* RFC 7413 */
	tcp_pass(&c.server, &c.client, TCP_SYN | TCP_ACK, 200);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	tcp_talk(&c.client, &c.server);
}

/* Would catch: a client that uses its port again at once, and is refused until the old state has gone. */
static void opened_again(struct rfc *t)
{
	struct pair c = start_open(t);

	tcp_finish(&c.server, &c.client);
	tcp_finish(&c.client, &c.server);
	c.client.snd_nxt += 100000;
	c.server.snd_nxt += 200000;
	c.client.heard = c.server.heard = false;
	if (t->mode == RFC_APDM)
		c.server.peer.addr = 0; /* a new connection, a new port */
	tcp_open(&c.client, &c.server);
	tcp_talk(&c.client, &c.server);
	/* and when the client has crashed and knows nothing of the old one: the challenge and the RST get through */
	c.client.snd_nxt += 500000;
	tcp_send(&c.client, TCP_SYN, 0);
	c.server.rcv_nxt += 500000;
	tcp_take(&c.server, TCP_SYN, 0);
	c.server.rcv_nxt -= 500001;
	c.client.snd_nxt -= 500001;
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	tcp_pass(&c.client, &c.server, TCP_RST, 0);
	c.client.snd_nxt += 500000;
	c.client.heard = c.server.heard = false;
	if (t->mode == RFC_APDM)
		c.server.peer.addr = 0;
	tcp_open(&c.client, &c.server);
	tcp_talk(&c.client, &c.server);
}

/* The SYN-ACK of a simultaneous open: the SYN once more, with an ACK. */
static void answer_syn(struct tcp_end *from, struct tcp_end *to)
{
	from->snd_nxt--;
	to->rcv_nxt--;
	tcp_pass(from, to, TCP_SYN | TCP_ACK, 0);
}

/* REQ-2a. Would catch: a SYN that crosses ours and is lost or ends the attempt. */
static void simultaneous_open(struct rfc *t)
{
	rfc_start(t, NULL);
	struct pair c = pair_of(t);

	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	tcp_pass(&c.server, &c.client, TCP_SYN, 0);
	answer_syn(&c.client, &c.server);
	answer_syn(&c.server, &c.client);
	tcp_talk(&c.client, &c.server);
	rfc_run_s(t, TRANSITORY_S + 60); /* established, not half open */
	tcp_talk(&c.server, &c.client);
	tcp_finish(&c.server, &c.client);
	tcp_finish(&c.client, &c.server);
	tcp_quiet(t);
}

/* REQ-2a through two mappings of ours: both hosts are inside, and know each other by the outside end only. */
static void simultaneous_open_inside(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = EIF });
	struct rfc_end end1 = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 9);
	struct rfc_end end2 = rfc_out(t, TCP, RFC_HOST2, 4000, RFC_PEER1, 9);
	struct tcp_end a = tcp_end_at(t, RFC_HOST1, 4000, end2), b = tcp_end_at(t, RFC_HOST2, 4000, end1);

	tcp_pass(&a, &b, TCP_SYN, 0);
	tcp_pass(&b, &a, TCP_SYN, 0);
	answer_syn(&a, &b);
	answer_syn(&b, &a);
	tcp_talk(&a, &b);
	rfc_run_s(t, TRANSITORY_S + 60);
	tcp_talk(&b, &a);
	tcp_quiet(t);
}

/* The same where filtering keeps out who was not spoken to: the SYN that comes first is refused, and opens its sender's
 * filter. */
static void filtered_open_inside(struct rfc *t, const char *pool_options)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = pool_options });
	struct rfc_end end1 = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 9);
	struct rfc_end end2 = rfc_out(t, TCP, RFC_HOST2, 4000, RFC_PEER1, 9);
	struct tcp_end a = tcp_end_at(t, RFC_HOST1, 4000, end2), b = tcp_end_at(t, RFC_HOST2, 4000, end1);

	tcp_lose(&a, &b, TCP_SYN, 0);
	tcp_pass(&b, &a, TCP_SYN, 0);
	tcp_pass(&a, &b, TCP_SYN, 0);
	answer_syn(&a, &b);
	answer_syn(&b, &a);
	tcp_talk(&a, &b);
	rfc_run_s(t, TRANSITORY_S + 60); /* nor does a late refusal come */
	tcp_quiet(t);
	tcp_talk(&b, &a);
	/* somebody else inside has not been spoken to */
	assert_null(rfc_hairpin(t, TCP, RFC_HOST3, 4000, end1));
	rfc_run_s(t, 2 * 3600 + 600);
	assert_int_equal(rfc_ports_used(t, TCP), 0);
}

static void address_filtered_open_inside(struct rfc *t)
{
	filtered_open_inside(t, "filtering address-dependent;");
}

static void strictly_filtered_open_inside(struct rfc *t)
{
	filtered_open_inside(t, "filtering address-and-port-dependent;");
}

/* REQ-3. */
static void everybody_or_nobody(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = EIF });
	struct rfc_end e = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 80);

	assert_true(rfc_is_end(rfc_in(t, TCP, RFC_PEER2, 7000, e), RFC_HOST1, 4000));
	assert_true(rfc_is_end(rfc_in(t, TCP, RFC_PEER1, 7000, e), RFC_HOST1, 4000));
	e.port ^= 1;
	assert_int_equal(rfc_in(t, TCP, RFC_PEER1, 80, e).addr, 0);
}

static void only_known_addresses(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = "filtering address-dependent;" });
	struct rfc_end e = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 80);

	assert_true(rfc_is_end(rfc_in(t, TCP, RFC_PEER1, 7000, e), RFC_HOST1, 4000));
	assert_int_equal(rfc_in(t, TCP, RFC_PEER2, 80, e).addr, 0);
	rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER2, 99);
	assert_true(rfc_is_end(rfc_in(t, TCP, RFC_PEER2, 80, e), RFC_HOST1, 4000));
}

/* REQ-3a. */
static void filtering_is_an_option(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = "filtering address-and-port-dependent;" });
	struct rfc_end e = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 80);

	assert_true(rfc_is_end(rfc_in(t, TCP, RFC_PEER1, 80, e), RFC_HOST1, 4000));
	assert_int_equal(rfc_in(t, TCP, RFC_PEER1, 7000, e).addr, 0);
	rfc_reload(t, &(struct rfc_setup){ .pool_options = "filtering address-dependent;" });
	assert_true(rfc_is_end(rfc_in(t, TCP, RFC_PEER1, 7000, e), RFC_HOST1, 4000));
	assert_int_equal(rfc_in(t, TCP, RFC_PEER2, 7000, e).addr, 0);
	rfc_reload(t, &(struct rfc_setup){ .pool_options = EIF });
	assert_true(rfc_is_end(rfc_in(t, TCP, RFC_PEER2, 7000, e), RFC_HOST1, 4000));
}

/* REQ-3b: a pool for each. */
static void filtering_by_protocol(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){
			     .addresses = "203.0.113.16",
			     .pool_options = "filtering address-and-port-dependent;",
			     .postrouting = "oifname \"wan0\" meta l4proto tcp snat to pool public\n"
					    "oifname \"wan0\" meta l4proto udp snat to pool open",
			     .more = "pool open { 203.0.113.17; mapping endpoint-independent; " EIF " }",
		     });
	struct rfc_end tcp = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 80);
	struct rfc_end udp = rfc_out(t, UDP, RFC_HOST1, 4000, RFC_PEER1, 80);

	assert_int_equal(rfc_in(t, TCP, RFC_PEER2, 7000, tcp).addr, 0);
	assert_true(rfc_is_end(rfc_in(t, UDP, RFC_PEER2, 7000, udp), RFC_HOST1, 4000));
}

/* REQ-4: nothing for six seconds, then an error about the SYN as it was sent. */
static void expect_late_refusal(struct rfc *t, struct tcp_end *from)
{
	struct icmp_quote q;
	uint64_t sent = t->w.now;

	tcp_send_at(from, from->snd_nxt, TCP_SYN, 0);
	world_run(&t->w, sent + 6 * NS_PER_S - 1 - t->w.now);
	tcp_quiet(t);
	world_run(&t->w, 100 * NS_PER_MS);
	rfc_error(t, t->wan, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, &q);
	assert_int_equal(q.ip.dst, from->peer.addr);
	assert_int_equal(q.ip.src, from->own.addr);
	assert_int_equal(q.l4.sport, from->own.port);
	assert_int_equal(q.l4.dport, from->peer.port);
	assert_int_equal(q.l4.seq, from->snd_nxt);
	tcp_quiet(t);
}

static void unsolicited_syn_is_refused_late(struct rfc *t)
{
	struct rfc_setup s = same_port;

	rfc_start(t, &s);
	struct tcp_end peer = tcp_end_at(t, RFC_PEER1, 5000, outside_end);
	expect_late_refusal(t, &peer);
	/* a mapping is there, and its filter refuses */
	rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER2, 9);
	if (t->mode == RFC_EIM) {
		s.pool_options = "preserve port; filtering address-and-port-dependent;";
		rfc_reload(t, &s);
	}
	expect_late_refusal(t, &peer);
	assert_int_equal(world_dropped(&t->w, DROP_NAT_UNSOLICITED), 2);
}

static void crossing_syn_ends_the_wait(struct rfc *t)
{
	struct rfc_setup s = same_port;

	if (t->mode == RFC_EIM)
		s.pool_options = "preserve port; filtering address-dependent;";
	rfc_start(t, &s);
	struct pair c = pair_of(t);
	c.server.peer = outside_end;
	tcp_lose(&c.server, &c.client, TCP_SYN, 0);
	rfc_run_s(t, 1);
	tcp_lose(&c.server, &c.client, TCP_SYN, 0);
	rfc_run_s(t, 4);
	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	/* now it is let in */
	tcp_pass(&c.server, &c.client, TCP_SYN, 0);
	answer_syn(&c.client, &c.server);
	answer_syn(&c.server, &c.client);
	tcp_talk(&c.client, &c.server);
	rfc_run_s(t, 20);
	tcp_quiet(t); /* both old ones are forgotten */
	tcp_talk(&c.server, &c.client);
}

/* The same where the outside address is the gateway's own, which would otherwise answer by an RST at once. */
static void crossing_syn_and_masquerade(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .postrouting = "oifname \"wan0\" ip protocol tcp masquerade to :4000-4001" });
	rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER2, 9); /* the host has asked somebody where the peer is */
	struct pair c = pair_of(t);

	for (uint16_t port = 4000; port <= 4001; port++) {
		c.server.peer = (struct rfc_end){ RFC_WAN_ADDR, port };
		tcp_lose(&c.server, &c.client, TCP_SYN, 0);
	}
	tcp_quiet(t);
	c.server.peer.addr = 0;
	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	tcp_pass(&c.server, &c.client, TCP_SYN, 0);
	answer_syn(&c.client, &c.server);
	answer_syn(&c.server, &c.client);
	tcp_talk(&c.client, &c.server);
	/* the SYN to the other port is refused in its time, and only that one */
	struct icmp_quote q;
	rfc_run_s(t, 7);
	rfc_error(t, t->wan, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, &q);
	assert_int_not_equal(q.l4.dport, c.server.peer.port);
	tcp_quiet(t);
}

/* REQ-4a. */
static void policy_keeps_silent(struct rfc *t)
{
	struct rfc_setup s = same_port;

	s.more = "table ip filter { chain output { type filter hook output priority filter; policy accept;\n"
		 " oifname \"wan0\" icmp type destination-unreachable drop\n} }";
	rfc_start(t, &s);
	struct tcp_end peer = tcp_end_at(t, RFC_PEER1, 5000, outside_end);
	tcp_send(&peer, TCP_SYN, 0);
	rfc_run_s(t, 20);
	tcp_quiet(t);
	assert_int_equal(world_dropped(&t->w, DROP_RULE_DROP), 1);
}

/* REQ-5. Would catch: an idle connection that is given up too early. */
static void established_lives(struct rfc *t)
{
	struct pair c = start_open(t);

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
	struct pair c = start_open(t);

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
	struct pair c = start_open(t);

	tcp_pass(&c.client, &c.server, TCP_ACK | TCP_PSH, 500);
	rfc_run_s(t, ESTABLISHED_S - 1);
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	tcp_talk(&c.server, &c.client);
}

static void partly_open_lives(struct rfc *t)
{
	rfc_start(t, NULL);
	struct pair c = pair_of(t);

	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	rfc_run_s(t, TRANSITORY_S - 1);
	tcp_pass(&c.server, &c.client, TCP_SYN | TCP_ACK, 0);
	rfc_run_s(t, TRANSITORY_S - 1);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	tcp_talk(&c.client, &c.server);
}

static void closing_lives(struct rfc *t)
{
	struct pair c = start_open(t);

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
	struct pair c = pair_of(t);

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
	assert_int_equal(world_dropped(&t->w, DROP_NAT_EXHAUSTED), 1);
}

static void preserved_port_is_not_taken_away(struct rfc *t)
{
	rfc_start(t, &same_port);
	struct pair c = pair_of(t);

	tcp_open(&c.client, &c.server);
	rfc_same_end(c.server.peer, outside_end, "the port is kept");
	struct tcp_end client2 = tcp_end_at(t, RFC_HOST2, 4000, c.client.peer), server2 = c.server;
	server2.peer.addr = 0;
	server2.heard = false;
	tcp_open(&client2, &server2);
	assert_int_not_equal(server2.peer.port, c.server.peer.port);
	tcp_talk(&c.client, &c.server);
	tcp_talk(&client2, &server2);
}

/* REQ-8 and 8a. Would catch: a connection to an outside end of ours that fails from inside, or that shows an inside
 * address. */
static void hairpin(struct rfc *t)
{
	struct rfc_end end = start_server(t);
	struct rfc_end own = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 80);
	struct tcp_end client = tcp_end_at(t, RFC_HOST1, 4000, end);
	struct tcp_end server = tcp_end_at(t, RFC_HOST2, 80, (struct rfc_end){ 0, 0 });

	tcp_open(&client, &server);
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
	struct rfc_end end = start_server(t);
	struct send syn = {
		.src = RFC_HOST1, .dst = RFC_PEER1, .proto = TCP, .sport = 4000, .dport = 80, .flags = TCP_SYN
	};
	struct icmp_quote q;
	uint8_t quote[40];

	for (uint8_t code = 0; code <= 15; code++) {
		syn.sport = (uint16_t)(4000 + code);
		syn.seq = 77u + code;
		struct send err = rfc_error_about(rfc_carry(t, t->lan, &syn, t->wan), RFC_PEER2, ICMP_DEST_UNREACHABLE,
						  code, quote, sizeof(quote));
		rfc_send(t, t->wan, &err);
		const struct packet *p = rfc_error(t, t->lan, ICMP_DEST_UNREACHABLE, code, &q);
		assert_int_equal(p->ip.dst, RFC_HOST1);
		assert_int_equal(q.ip.dst, RFC_PEER1);
		assert_int_equal(q.l4.sport, syn.sport);
		assert_int_equal(q.l4.seq, syn.seq);
	}
	/* and from inside */
	struct send in = {
		.src = RFC_PEER2, .dst = end.addr, .proto = TCP, .sport = 7, .dport = end.port, .flags = TCP_SYN
	};
	struct send err = rfc_error_about(rfc_carry(t, t->wan, &in, t->lan), RFC_HOST2, ICMP_DEST_UNREACHABLE,
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
	struct pair c = start_open(t);
	struct send data = { .src = RFC_HOST1,
			     .dst = RFC_PEER1,
			     .proto = TCP,
			     .sport = 4000,
			     .dport = 5000,
			     .seq = c.client.snd_nxt,
			     .ack = c.client.rcv_nxt,
			     .flags = TCP_ACK };
	uint8_t out[40], in[40];
	struct send from_wan = rfc_error_about(rfc_carry(t, t->lan, &data, t->wan), RFC_PEER1, 0, 0, out, sizeof(out));

	data = (struct send){ .src = RFC_PEER1,
			      .dst = c.server.peer.addr,
			      .proto = TCP,
			      .sport = 5000,
			      .dport = c.server.peer.port,
			      .seq = c.server.snd_nxt,
			      .ack = c.server.rcv_nxt,
			      .flags = TCP_ACK };
	struct send from_lan = rfc_error_about(rfc_carry(t, t->wan, &data, t->lan), RFC_HOST1, 0, 0, in, sizeof(in));
	for (uint32_t type = 0; type < 64; type++)
		for (uint8_t code = 0; code < (type == ICMP_DEST_UNREACHABLE ? 16 : 2); code++) {
			from_wan.type = from_lan.type = (uint8_t)type;
			from_wan.code = from_lan.code = code;
			rfc_send(t, t->wan, &from_wan);
			rfc_send(t, t->lan, &from_lan);
			station_clear(t->lan);
			station_clear(t->wan);
		}
	for (uint32_t cursor = 0, index; conntrack_next(gateway_conntrack(t->w.gw), &cursor, &index);) {
		const struct conn *conn = conntrack_conn(gateway_conntrack(t->w.gw), index);

		if (conn->tuple[CT_ORIGINAL].proto == TCP)
			assert_int_equal(conn->tcp_state, CT_TCP_ESTABLISHED);
	}
	rfc_run_s(t, TRANSITORY_S * 2);
	tcp_talk(&c.client, &c.server);
	tcp_talk(&c.server, &c.client);
}

#define NEEDS_EIM "the mapping belongs to one destination: it is kept out by nature"

static const struct rfc_row rows[] = {
	{ "REQ-1", "A mapping is independent of the destination", same_mapping_for_every_destination,
	  .why[RFC_APDM] = "the configured mapping is address-and-port-dependent" },
	{ "REQ-2", "A connection begun inside runs from the first SYN to the last ACK", three_way_from_inside },
	{ "REQ-2", "So does one begun outside that is let in", three_way_from_outside },
	{ "REQ-2", "Repeated, simultaneous and urgent segments, keep-alive and ECN pass", uncommon_sequences },
	{ "REQ-2", "Data in the SYN pass", data_in_the_syn },
	{ "REQ-2", "The same ends can connect again at once", opened_again },
	{ "REQ-2a", "A simultaneous open succeeds", simultaneous_open },
	{ "REQ-2a", "... also between two hosts inside, by their outside ends", simultaneous_open_inside,
	  .why[RFC_APDM] = NEEDS_EIM },
	{ "REQ-2a", "... also with address-dependent filtering", address_filtered_open_inside,
	  .why[RFC_APDM] = NEEDS_EIM },
	{ "REQ-2a", "... also with address-and-port-dependent filtering", strictly_filtered_open_inside,
	  .why[RFC_APDM] = NEEDS_EIM },
	{ "REQ-3", "Endpoint-independent filtering lets everybody in through a mapping", everybody_or_nobody,
	  .why[RFC_APDM] = NEEDS_EIM },
	{ "REQ-3", "Address-dependent filtering lets in who was asked", only_known_addresses,
	  .why[RFC_APDM] = NEEDS_EIM },
	{ "REQ-3a", "Filtering is an option", filtering_is_an_option, .why[RFC_APDM] = NEEDS_EIM },
	{ "REQ-3b", "Filtering of TCP and of UDP can differ", filtering_by_protocol, .why[RFC_APDM] = NEEDS_EIM },
	{ "REQ-4", "An unsolicited SYN is answered by ICMP 3/3, after 6 s at the earliest",
	  unsolicited_syn_is_refused_late },
	{ "REQ-4", "... and not at all when the connection is opened from inside by then", crossing_syn_ends_the_wait },
	{ "REQ-4", "... likewise at an address of the gateway itself", crossing_syn_and_masquerade,
	  .why[RFC_EIM] = "masquerade maps by destination" },
	{ "REQ-4a", "A policy can forbid the answer", policy_keeps_silent },
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

const struct rfc_table rfc5382_table = { "RFC 5382", rows, ARRAY_LEN(rows) };
