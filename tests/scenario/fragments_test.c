/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets that come as IP fragments, through rules, the TCP tracker and NAT: what
 * holds for the first fragment holds for the whole.
 *
 *   client 10.77.0.10 -- lan0  gateway  wan0 -- server 203.0.113.2
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "pair.h"

#define CLIENT PAIR_CLIENT
#define SERVER PAIR_SERVER
#define WAN_ADDR IP4(203, 0, 113, 1)
#define MS NS_PER_MS

#define INTERFACES "interface lan0 { address 10.77.0.1/24; }\ninterface wan0 { address 203.0.113.1/24; }\n"
#define MASQUERADE \
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n" \
	" oifname \"wan0\" masquerade\n} }\n"

/* --- TCP --- */

#define FIRST_BYTES 1460 /* of data, in the first fragment; with the header a multiple of 8 */
#define ALL_BYTES 1928

/* One connection as the test's two ends know it. */
struct tcp {
	struct net *n;
	uint16_t outside_port;
	uint32_t seq, peer_seq; /* what each sends next */
	uint16_t ip_id;
};

static struct packet *from_client(struct tcp *t, uint8_t flags, uint16_t len)
{
	const struct packet_spec s = { .dst = SERVER,
				       .proto = IPPROTO_NR_TCP,
				       .sport = 4000,
				       .dport = 80,
				       .seq = t->seq,
				       .ack = t->peer_seq,
				       .flags = flags,
				       .window = 60000,
				       .payload_len = len };

	return carry(t->n, t->n->client, &s, t->n->server);
}

static struct packet *from_server(struct tcp *t, uint8_t flags, uint32_t ack)
{
	const struct packet_spec s = { .dst = WAN_ADDR,
				       .proto = IPPROTO_NR_TCP,
				       .sport = 80,
				       .dport = t->outside_port,
				       .seq = t->peer_seq,
				       .ack = ack,
				       .flags = flags,
				       .window = 60000 };

	return carry(t->n, t->n->server, &s, t->n->client);
}

static void open_tcp(struct tcp *t, struct net *n)
{
	*t = (struct tcp){ .n = n, .seq = 1000, .peer_seq = 0, .ip_id = 100 };
	struct packet *p = from_client(t, TCP_SYN, 0);

	assert_non_null(p);
	t->outside_port = p->l4.sport;
	t->seq++;
	t->peer_seq = 9000;
	assert_non_null(from_server(t, TCP_SYN | TCP_ACK, t->seq));
	t->peer_seq++;
	assert_non_null(from_client(t, TCP_ACK, 0));
}

/* A segment of ALL_BYTES from the client in two fragments; both must come out, the first one first. */
static void send_in_fragments(struct tcp *t, uint8_t flags, bool backwards)
{
	const struct packet_spec first = { .dst = SERVER,
					   .proto = IPPROTO_NR_TCP,
					   .sport = 4000,
					   .dport = 80,
					   .seq = t->seq,
					   .ack = t->peer_seq,
					   .flags = flags,
					   .window = 60000,
					   .payload_len = FIRST_BYTES,
					   .ip_id = t->ip_id,
					   .mf = true };
	const struct packet_spec second = { .dst = SERVER,
					    .proto = IPPROTO_NR_TCP,
					    .ip_id = t->ip_id,
					    .frag_off = TCP_HEADER_LEN + FIRST_BYTES,
					    .payload_len = ALL_BYTES - FIRST_BYTES };

	station_send(t->n->client, backwards ? &second : &first);
	fixture_run(&t->n->w, 20 * MS);
	assert_int_equal(t->n->server->n_inbox, !backwards);
	station_send(t->n->client, backwards ? &first : &second);
	fixture_run(&t->n->w, 20 * MS);
	assert_int_equal(t->n->server->n_inbox, 2);
	assert_int_equal(station_next(t->n->server)->ip.frag_off, 0);
	assert_int_equal(station_next(t->n->server)->ip.frag_off, TCP_HEADER_LEN + FIRST_BYTES);
	t->ip_id++;
	t->seq += ALL_BYTES + !!(flags & TCP_FIN);
}

static const char masquerade_config[] = INTERFACES MASQUERADE
	"table ip filter { chain forward { type filter hook forward priority filter; policy drop;\n"
	" ct state established accept\n ct state invalid drop\n iifname \"lan0\" accept\n} }\n";

/* Would catch: the acknowledgement of a segment that came in fragments taken for one of data never sent, in either
 * order of the fragments, and a FIN at the end of the last one looked for at the end of the first. */
static void test_tcp(void **state)
{
	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		struct net n;
		struct tcp t;

		net_start(&n, masquerade_config);
		open_tcp(&t, &n);
		for (int i = 0; i < 3; i++) {
			send_in_fragments(&t, TCP_ACK, backwards);
			assert_non_null(from_server(&t, TCP_ACK, t.seq));
			/* One byte more was never sent. */
			assert_null(from_server(&t, TCP_ACK, t.seq + 1));
		}
		send_in_fragments(&t, TCP_ACK | TCP_FIN, backwards);
		assert_null(from_server(&t, TCP_ACK, t.seq + 1));
		assert_non_null(from_server(&t, TCP_ACK, t.seq));
		assert_non_null(from_server(&t, TCP_ACK | TCP_FIN, t.seq));
		t.peer_seq++;
		assert_non_null(from_client(&t, TCP_ACK, 0));
		assert_int_equal(n.w.last_event[EVENT_CONN_UPDATE].state, CT_TCP_TIME_WAIT);
		fixture_end(&n.w);
	}
}

/* Would catch: fragments of an old or forged segment that move the marks of the connection, though the segment does
 * not.
 */
static void test_tcp_ignored(void **state)
{
	struct net n;
	struct tcp t;

	(void)state;
	net_start(&n, masquerade_config);
	open_tcp(&t, &n);
	for (int i = 0; i < 2; i++)
		send_in_fragments(&t, TCP_ACK, false);
	uint32_t seq = t.seq;

	t.seq = 1001; /* all of it once more */
	send_in_fragments(&t, TCP_ACK, false);
	assert_null(from_server(&t, TCP_ACK, seq + 1));
	assert_non_null(from_server(&t, TCP_ACK, seq));
	fixture_end(&n.w);
}

/* --- rules --- */

#define PIECES 3
#define PIECE_BYTES 1000 /* behind the IP header */

/* A datagram of three fragments to the client's or the server's port dport, the first one sent as number `first_at`. */
static void send_datagram(struct net *n, struct station *from, uint32_t dst, uint16_t dport, uint32_t first_at)
{
	static uint16_t ip_id = 500;

	ip_id++;
	for (uint32_t i = 0, next = 1; i < PIECES; i++) {
		uint32_t fragment = i == first_at ? 0 : next++;
		const struct packet_spec s = { .dst = dst,
					       .proto = IPPROTO_NR_UDP,
					       .sport = 500,
					       .dport = dport,
					       .ip_id = ip_id,
					       .mf = fragment + 1 < PIECES,
					       .frag_off = (uint16_t)(fragment * PIECE_BYTES),
					       .payload_len =
						       (uint16_t)(PIECE_BYTES - (fragment == 0 ? UDP_HEADER_LEN : 0)) };

		station_send(from, &s);
	}
	fixture_run(&n->w, 20 * MS);
}

static const char port_config[] =
	INTERFACES "table ip filter { chain forward { type filter hook forward priority filter; policy drop;\n"
		   " ct state established accept\n udp dport 500 counter accept\n udp dport 9 counter drop\n"
		   " udp dport 10 reject\n ip daddr 10.77.0.10 accept\n} }\n";

/* Would catch: a policy of drop that lets the first fragment through by its port and drops the others, which have none;
 * a counter that does not show the bytes of all of them, as of the whole packet in Linux. */
static void test_accept_by_port(void **state)
{
	(void)state;
	for (uint32_t first_at = 0; first_at < PIECES; first_at++) {
		struct net n;

		net_start(&n, port_config);
		send_datagram(&n, n.server, CLIENT, 500, first_at);
		assert_int_equal(n.client->n_inbox, PIECES);
		station_clear(n.client);
		assert_int_equal(fixture_rules_counted(&n.w), 1);
		struct rules_line line;
		uint64_t bytes = 0;
		for (uint32_t cursor = 0; rules_next(gateway_rules(n.w.gw), &cursor, &line);)
			bytes += line.has_counter ? line.bytes : 0;
		assert_int_equal(bytes, IPV4_HEADER_LEN + PIECES * PIECE_BYTES);
		fixture_end(&n.w);
	}
}

/* Would catch: later fragments that pass by a rule without ports although their first one was dropped, and leave a
 * connection that it did not begin; in one batch or one by one. */
static void test_drop_holds(void **state)
{
	static const struct {
		uint16_t port;
		enum drop_reason reason;
	} rows[] = { { 9, DROP_RULE_DROP }, { 10, DROP_RULE_REJECT } };
	struct net n;

	(void)state;
	net_start(&n, port_config);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (uint32_t first_at = 0; first_at < PIECES; first_at++) {
			uint64_t before = fixture_dropped(&n.w, rows[i].reason);
			uint64_t orphans = fixture_dropped(&n.w, DROP_FRAGMENT_ORPHAN);

			send_datagram(&n, n.server, CLIENT, rows[i].port, first_at);
			assert_int_equal(n.client->n_inbox, 0);
			assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
			/* What comes behind the first one's batch has no connection any more. */
			assert_int_equal(fixture_dropped(&n.w, rows[i].reason) - before +
						 fixture_dropped(&n.w, DROP_FRAGMENT_ORPHAN) - orphans,
					 PIECES);
			station_clear(n.server);
		}
	}
	/* And the link is none the worse for it. */
	send_datagram(&n, n.server, CLIENT, 500, 0);
	assert_int_equal(n.client->n_inbox, PIECES);
	fixture_end(&n.w);
}

/* Would catch: raw rules, before connections are known, that judge later fragments by themselves. */
static void test_raw(void **state)
{
	struct net n;

	(void)state;
	net_start(&n, INTERFACES "table ip raw { chain pre { type filter hook prerouting priority raw; policy drop;\n"
				 " udp dport 500 notrack accept\n} }\n");
	for (uint32_t first_at = 0; first_at < PIECES; first_at++) {
		send_datagram(&n, n.server, CLIENT, 500, first_at);
		assert_int_equal(n.client->n_inbox, PIECES);
		station_clear(n.client);
		send_datagram(&n, n.server, CLIENT, 501, first_at);
		assert_int_equal(n.client->n_inbox, 0);
	}
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), 0);
	fixture_end(&n.w);
}

/* A segment of no connection in two fragments, the first with this TTL. */
static void send_invalid(struct net *n, uint8_t ttl)
{
	static uint16_t ip_id = 900;
	const struct packet_spec first = { .dst = SERVER,
					   .proto = IPPROTO_NR_TCP,
					   .sport = 4000,
					   .dport = 80,
					   .seq = 1,
					   .ack = 1,
					   .flags = TCP_SYN | TCP_FIN,
					   .window = 60000,
					   .payload_len = FIRST_BYTES,
					   .ip_id = ++ip_id,
					   .mf = true,
					   .ttl = ttl };
	const struct packet_spec second = { .dst = SERVER,
					    .proto = IPPROTO_NR_TCP,
					    .ip_id = ip_id,
					    .frag_off = TCP_HEADER_LEN + FIRST_BYTES,
					    .payload_len = 400 };

	station_send(n->client, &first);
	station_send(n->client, &second);
	fixture_run(&n->w, 20 * MS);
}

/* Would catch: later fragments that leave with their inside address, or past a chain that would have dropped them,
 * because their first one ended before it came there: nobody had asked. */
static void test_first_ends_early(void **state)
{
	static const char *const configs[] = {
		INTERFACES MASQUERADE,
		INTERFACES
		"table ip filter { chain forward { type filter hook forward priority filter; policy accept;\n"
		" ct state invalid drop\n} }\n",
		/* NAT asks for nothing of this one. */
		INTERFACES
		"table ip raw { chain pre { type filter hook prerouting priority raw; policy accept; notrack\n} }\n"
		"table ip filter { chain forward { type filter hook forward priority filter; policy drop; } }\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
		struct net n;

		net_start(&n, configs[i]);
		send_invalid(&n, 64);
		assert_int_equal(n.server->n_inbox, 0);
		send_invalid(&n, 1);
		assert_int_equal(n.server->n_inbox, 0);
		assert_int_equal(fixture_dropped(&n.w, DROP_FRAGMENT_ORPHAN), 1);
		fixture_end(&n.w);
	}
	/* Where nobody would have dropped or translated it, it goes as it comes. */
	struct net n;

	net_start(&n, INTERFACES);
	send_invalid(&n, 64);
	assert_int_equal(n.server->n_inbox, 2);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_ignored),
		cmocka_unit_test(test_accept_by_port),
		cmocka_unit_test(test_drop_holds),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_first_ends_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
