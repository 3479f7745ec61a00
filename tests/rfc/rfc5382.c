/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 5382 (BCP 142): what is demanded of NAT for TCP. Here REQ-1 to REQ-4: how
 * connections begin, and who is let in. The others are in rfc5382_life.c.
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

#define TRANSITORY_S (4 * 60)

/* The outside end of HOST1's port 4000 is known before it is used. */
static const struct rfc_setup same_port = { .addresses = "203.0.113.16", .pool_options = "preserve port;" };
static const struct rfc_end outside_end = { RFC_POOL_FIRST, 4000 };

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
	struct tcp_pair c = tcp_pair_open(t, NULL);

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
	struct rfc_end end = tcp_start_server(t, TCP, 80);
	struct tcp_speaker client = tcp_end_at(t, RFC_PEER2, 7000, end);
	struct tcp_speaker server = tcp_end_at(t, RFC_HOST2, 80, (struct rfc_end){ RFC_PEER2, 7000 });

	/* with the rule for every interface the client may appear under a pool address */
	server.peer.addr = t->mode == RFC_APDM ? 0 : server.peer.addr;
	tcp_handshake(&client, &server);
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
	struct tcp_pair c = tcp_pair_at(t);
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
	tcp_put(&c.client, TCP_FIN | TCP_ACK, 30);
	tcp_put(&c.server, TCP_FIN | TCP_ACK, 40);
	c.client.snd_nxt -= 31;
	tcp_hear(&c.client, TCP_FIN | TCP_ACK, 40);
	c.client.snd_nxt += 31;
	c.server.snd_nxt -= 41;
	tcp_hear(&c.server, TCP_FIN | TCP_ACK, 30);
	c.server.snd_nxt += 41;
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	tcp_quiet(t);
}

static void data_in_the_syn(struct rfc *t)
{
	rfc_start(t, NULL);
	struct tcp_pair c = tcp_pair_at(t);

	tcp_pass(&c.client, &c.server, TCP_SYN, 100); /* RFC 7413 */
	tcp_pass(&c.server, &c.client, TCP_SYN | TCP_ACK, 200);
	tcp_pass(&c.client, &c.server, TCP_ACK, 0);
	tcp_talk(&c.client, &c.server);
}

/* Would catch: a client that uses its port again at once, and is refused until the old state has gone. */
static void opened_again(struct rfc *t)
{
	struct tcp_pair c = tcp_pair_open(t, NULL);

	tcp_finish(&c.server, &c.client);
	tcp_finish(&c.client, &c.server);
	c.client.snd_nxt += 100000;
	c.server.snd_nxt += 200000;
	c.client.heard = c.server.heard = false;
	if (t->mode == RFC_APDM)
		c.server.peer.addr = 0; /* a new connection, a new port */
	tcp_handshake(&c.client, &c.server);
	tcp_talk(&c.client, &c.server);
	/* and when the client has crashed and knows nothing of the old one: the challenge and the RST get through */
	c.client.snd_nxt += 500000;
	tcp_put(&c.client, TCP_SYN, 0);
	c.server.rcv_nxt += 500000;
	tcp_hear(&c.server, TCP_SYN, 0);
	c.server.rcv_nxt -= 500001;
	c.client.snd_nxt -= 500001;
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	tcp_pass(&c.client, &c.server, TCP_RST, 0);
	c.client.snd_nxt += 500000;
	c.client.heard = c.server.heard = false;
	if (t->mode == RFC_APDM)
		c.server.peer.addr = 0;
	tcp_handshake(&c.client, &c.server);
	tcp_talk(&c.client, &c.server);
}

/* The SYN-ACK of a simultaneous open: the SYN once more, with an ACK. */
static void answer_syn(struct tcp_speaker *from, struct tcp_speaker *to)
{
	from->snd_nxt--;
	to->rcv_nxt--;
	tcp_pass(from, to, TCP_SYN | TCP_ACK, 0);
}

/* REQ-2a. Would catch: a SYN that crosses ours and is lost or ends the attempt. */
static void simultaneous_open(struct rfc *t)
{
	rfc_start(t, NULL);
	struct tcp_pair c = tcp_pair_at(t);

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

/* REQ-2a and 5. Would catch: a connection that both ends hold for open, and that ends here after four minutes since
 * the outside SYN-ACK was lost and its end has answered with an ACK. */
static void simultaneous_open_with_loss(struct rfc *t)
{
	rfc_start(t, NULL);
	struct tcp_pair c = tcp_pair_at(t);

	tcp_pass(&c.client, &c.server, TCP_SYN, 0);
	tcp_pass(&c.server, &c.client, TCP_SYN, 0);
	answer_syn(&c.client, &c.server);
	answer_syn(&c.client, &c.server);
	tcp_pass(&c.server, &c.client, TCP_ACK, 0);
	rfc_run_s(t, TRANSITORY_S + 60);
	tcp_talk(&c.server, &c.client);
}

/* REQ-2a through two mappings of ours: both hosts are inside, and know each other by the outside end only. */
static void simultaneous_open_inside(struct rfc *t)
{
	rfc_start(t, &(struct rfc_setup){ .pool_options = EIF });
	struct rfc_end end1 = rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER1, 9);
	struct rfc_end end2 = rfc_out(t, TCP, RFC_HOST2, 4000, RFC_PEER1, 9);
	struct tcp_speaker a = tcp_end_at(t, RFC_HOST1, 4000, end2), b = tcp_end_at(t, RFC_HOST2, 4000, end1);

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
	struct tcp_speaker a = tcp_end_at(t, RFC_HOST1, 4000, end2), b = tcp_end_at(t, RFC_HOST2, 4000, end1);

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
static void expect_late_refusal(struct rfc *t, struct tcp_speaker *from)
{
	struct icmp_quote q;
	uint64_t sent = t->w.now;

	tcp_send_at(from, from->snd_nxt, TCP_SYN, 0);
	fixture_run(&t->w, sent + 6 * NS_PER_S - 1 - t->w.now);
	tcp_quiet(t);
	fixture_run(&t->w, 100 * NS_PER_MS);
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
	struct tcp_speaker peer = tcp_end_at(t, RFC_PEER1, 5000, outside_end);
	expect_late_refusal(t, &peer);
	/* a mapping is there, and its filter refuses */
	rfc_out(t, TCP, RFC_HOST1, 4000, RFC_PEER2, 9);
	if (t->mode == RFC_EIM) {
		s.pool_options = "preserve port; filtering address-and-port-dependent;";
		rfc_reload(t, &s);
	}
	expect_late_refusal(t, &peer);
	assert_int_equal(fixture_dropped(&t->w, DROP_NAT_UNSOLICITED), 2);
}

static void crossing_syn_ends_the_wait(struct rfc *t)
{
	struct rfc_setup s = same_port;

	if (t->mode == RFC_EIM)
		s.pool_options = "preserve port; filtering address-dependent;";
	rfc_start(t, &s);
	struct tcp_pair c = tcp_pair_at(t);
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
	struct tcp_pair c = tcp_pair_at(t);

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
	struct tcp_speaker peer = tcp_end_at(t, RFC_PEER1, 5000, outside_end);
	tcp_put(&peer, TCP_SYN, 0);
	rfc_run_s(t, 20);
	tcp_quiet(t);
	assert_int_equal(fixture_dropped(&t->w, DROP_RULE_DROP), 1);
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
	{ "REQ-2a", "... also when a SYN-ACK is lost, and stays established", simultaneous_open_with_loss },
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
};

const struct rfc_table rfc5382_table = { "RFC 5382", rows, ARRAY_LEN(rows) };
