/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway's own pings.
 */
#include <errno.h>

#include "masquerade.h"

static struct packet *echo(struct net *n, int socket, const struct ping_request *rq)
{
	gateway_set_time(n->w.gw, n->w.now);
	assert_int_equal(ping_socket_send(gateway_ping_sockets(n->w.gw), socket, rq), 0);
	gateway_flush(n->w.gw, n->w.now);
	fixture_run(&n->w, 20 * MS);
	return station_next(n->server);
}

/* Would catch: a ping of the gateway's own that does not hear its answer, hears
 * another socket's, or takes a stranger's; an error about it that gets lost. */
static void test_raw_sockets(void **state)
{
	struct net n;
	struct ping_message m;
	struct ping_request rq = { .dst = SERVER, .seq = 3, .data_len = 56 };

	net_start(&n, masquerade);
	struct ping_sockets *raw = gateway_ping_sockets(n.w.gw);
	int one = ping_socket_open(raw), two = ping_socket_open(raw);
	struct packet *p = echo(&n, one, &rq);

	expect(p, IPPROTO_NR_ICMP, WAN_ADDR, SERVER);
	assert_int_equal(p->l4.type, ICMP_ECHO_REQUEST);
	assert_int_equal(p->ip.total_len, 84);
	struct packet_spec reply = { .dst = WAN_ADDR,
				     .proto = IPPROTO_NR_ICMP,
				     .type = ICMP_ECHO_REPLY,
				     .id = p->l4.id,
				     .icmp_seq = 3,
				     .payload_len = 56 };
	struct packet_spec stranger = reply;

	stranger.id ^= 0x101;
	station_send(n.server, &stranger);
	station_send(n.server, &reply);
	fixture_run(&n.w, 20 * MS);
	assert_false(ping_socket_receive(raw, two, &m));
	assert_true(ping_socket_receive(raw, one, &m));
	assert_int_equal(m.from, SERVER);
	assert_int_equal(m.seq, 3);
	assert_int_equal(m.ttl, 64);
	assert_false(ping_socket_receive(raw, one, &m));
	/* a router on the way says: no */
	rq.seq = 4;
	rq.ttl = 1;
	p = echo(&n, two, &rq);
	assert_non_null(p);
	assert_int_equal(p->ip.ttl, 1);
	struct packet_spec err = { .src = IP4(203, 0, 113, 254),
				   .dst = WAN_ADDR,
				   .proto = IPPROTO_NR_ICMP,
				   .type = ICMP_TIME_EXCEEDED,
				   .payload = packet_l3(p),
				   .payload_len = 28 };

	station_send(n.server, &err);
	fixture_run(&n.w, 20 * MS);
	assert_true(ping_socket_receive(raw, two, &m));
	assert_int_equal(m.type, ICMP_TIME_EXCEEDED);
	assert_int_equal(m.from, IP4(203, 0, 113, 254));
	assert_int_equal(m.seq, 4);
	/* what cannot be sent is said at once */
	rq = (struct ping_request){ .dst = SERVER, .data_len = 1473, .df = true };
	assert_int_equal(ping_socket_send(raw, one, &rq), -EMSGSIZE);
	assert_int_equal(fixture_reload(&n.w, "interface wan0 { address 203.0.113.1/24; }"), 0);
	rq = (struct ping_request){ .dst = IP4(8, 8, 8, 8) };
	assert_int_equal(ping_socket_send(raw, one, &rq), -ENETUNREACH);
	ping_socket_close(raw, one);
	ping_socket_close(raw, two);
	fixture_end(&n.w);
}

/* Would catch: a full queue of messages that loses the oldest, writes beside itself, or stays full. */
static void test_full_ping_socket(void **state)
{
	struct net n;
	struct ping_message m;
	struct ping_request rq = { .dst = SERVER, .seq = 0, .data_len = 8 };

	net_start(&n, masquerade);
	struct ping_sockets *raw = gateway_ping_sockets(n.w.gw);
	int one = ping_socket_open(raw);
	struct packet *p = echo(&n, one, &rq);
	struct packet_spec reply = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REPLY, .id = p->l4.id, .payload_len = 8
	};

	for (uint16_t i = 0; i < PING_SOCKET_QUEUE_MAX + 3; i++) {
		reply.icmp_seq = i;
		station_send(n.server, &reply);
		fixture_run(&n.w, 2 * MS);
	}
	assert_int_equal(ping_socket_n_overflowed(raw), 3);
	for (uint16_t i = 0; i < PING_SOCKET_QUEUE_MAX; i++) {
		assert_true(ping_socket_receive(raw, one, &m));
		assert_int_equal(m.seq, i);
	}
	assert_false(ping_socket_receive(raw, one, &m));
	reply.icmp_seq = 999;
	station_send(n.server, &reply);
	fixture_run(&n.w, 2 * MS);
	assert_true(ping_socket_receive(raw, one, &m));
	assert_int_equal(m.seq, 999);
	assert_int_equal(ping_socket_n_overflowed(raw), 3);
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_sockets),
		cmocka_unit_test(test_full_ping_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
