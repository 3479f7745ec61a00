/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PPTP through NAT: two clients that chose the same number for their calls, what the
 * server sees of it, and whose its packets are.
 */
#include <errno.h>

#include "gateway/nat/nat_fixture.h"

#include "stack/wire/bytes.h"
#include "stack/wire/pptp.h"

#define OTHER_CLIENT IP4(10, 0, 0, 3)

struct client {
	uint32_t addr;
	uint32_t seq, server_seq;
	struct packet_spec syn;
	uint16_t port; /* outside */
};

/* Calls outlive their flows for a while. */
static void nat_fixture_stop_calls(struct nat_fixture *nb)
{
	uint32_t cursor = 0, index;

	while (conntrack_next(nb->b.ct, &cursor, &index))
		conntrack_end(nb->b.ct, index, CT_END_FLUSHED);
	for (int i = 0; i < 8; i++) {
		fixture_pass(&nb->b, 10 * NS_PER_S);
		nat_expire(nb->nat);
		/* What was due is done. */
		assert_true(nat_next_deadline(nb->nat) > nb->b.env.now);
	}
	assert_int_equal(nb->nat->calls.pool.n_used, 0);
	assert_int_equal(nat_law_difference(nb->nat), 0);
	assert_int_equal(nat_next_deadline(nb->nat), TIME_NEVER);
	nat_fixture_stop(nb);
}

/* A message of RFC 2637 with these two numbers. */
static uint16_t message(uint8_t *p, enum pptp_type type, uint16_t first, uint16_t second)
{
	uint16_t len = type == PPTP_OUTGOING_CALL_REQUEST    ? 168
		       : type == PPTP_OUTGOING_CALL_REPLY    ? 32
		       : type == PPTP_CALL_DISCONNECT_NOTIFY ? 148
		       : type == PPTP_SET_LINK_INFO          ? 24
							     : 16;

	memset(p, 0, len);
	bytes_put16(p, len);
	bytes_put16(p + 2, 1);
	bytes_put32(p + 4, 0x1a2b3c4d);
	bytes_put16(p + 8, (uint16_t)type);
	bytes_put16(p + 12, first);
	bytes_put16(p + 14, second);
	if (type == PPTP_OUTGOING_CALL_REPLY)
		p[16] = 1;
	return len;
}

/* Sends a segment and returns a copy of its payload as it went on in `out`. */
static struct came control(struct nat_fixture *nb, struct client *c, bool from_client, const uint8_t *payload,
			   uint16_t len, uint8_t flags, uint8_t *out)
{
	struct packet_spec m = c->syn;
	struct came came = { .passed = false };

	m.flags = flags;
	m.seq = from_client ? c->seq : c->server_seq;
	m.ack = flags & TCP_ACK ? (from_client ? c->server_seq : c->seq) : 0;
	m.payload_len = len;
	m.payload = payload;
	if (!from_client) {
		m.in = WAN;
		m.out = LAN;
		m.src = SERVER;
		m.dst = WAN_ADDR;
		m.sport = PPTP_PORT;
		m.dport = c->port;
	}
	struct packet *p = nat_walk(nb, fixture_packet(&nb->b, &m), NULL, NULL);
	if (p == NULL)
		return came;
	came = (struct came){ .passed = true, .ip = p->ip, .l4 = p->l4 };
	if (out != NULL)
		memcpy(out, packet_l4(p) + p->l4.header_len, p->l4.payload_len);
	fixture_hand(&nb->b, p);
	*(from_client ? &c->seq : &c->server_seq) += len + ((flags & TCP_SYN) != 0);
	return came;
}

static void connect_control(struct nat_fixture *nb, struct client *c, uint32_t addr)
{
	*c = (struct client){ .addr = addr, .seq = 1000, .server_seq = 9000 };
	c->syn = out_make(IPPROTO_NR_TCP, 3000, PPTP_PORT);
	c->syn.src = addr;
	c->syn.window = 65535;
	c->port = control(nb, c, true, NULL, 0, TCP_SYN, NULL).l4.sport;
	assert_int_not_equal(c->port, 0);
	assert_true(control(nb, c, false, NULL, 0, TCP_SYN | TCP_ACK, NULL).passed);
	assert_true(control(nb, c, true, NULL, 0, TCP_ACK, NULL).passed);
}

/* The number of the call `inside` as the server gets to know it; it answers with its own, `remote`. */
static uint16_t call(struct nat_fixture *nb, struct client *c, uint16_t inside, uint16_t remote)
{
	uint8_t bytes[200], got[200];

	uint16_t len = message(bytes, PPTP_OUTGOING_CALL_REQUEST, inside, 0);
	assert_true(control(nb, c, true, bytes, len, TCP_ACK | TCP_PSH, got).passed);
	uint16_t outside = bytes_get16(got + 12);
	len = message(bytes, PPTP_OUTGOING_CALL_REPLY, remote, outside);
	struct came back = control(nb, c, false, bytes, len, TCP_ACK | TCP_PSH, got);
	assert_true(back.passed && back.ip.dst == c->addr);
	assert_int_equal(bytes_get16(got + 12), remote);
	assert_int_equal(bytes_get16(got + 14), inside);
	return outside;
}

static struct came gre(struct nat_fixture *nb, uint32_t client, bool from_client, uint16_t number)
{
	struct packet_spec m = udp_make(0, 0);

	m.proto = IPPROTO_NR_GRE;
	m.flags = 0x30;
	m.gre_version = 1;
	m.seq = 20u << 16 | number;
	m.src = client;
	if (!from_client) {
		m.in = WAN;
		m.out = LAN;
		m.src = SERVER;
		m.dst = WAN_ADDR;
	}
	return nat_send(nb, &m);
}

/* Would catch: two calls with one number, an answer that names another call than the client's, packets of one client's
 * call that go to the other, data of a call that no rule would know; a call that is shown as two, or of which rules are
 * told that other ends of it are translated than are. */
static void test_two_clients(void **state)
{
	struct nat_pool_info info;
	struct nat_fixture nb;
	struct client a, b;
	uint32_t cursor = 0, n_used = 0;

	(void)state;
	nat_fixture_start(&nb, 64);
	connect_control(&nb, &a, CLIENT);
	connect_control(&nb, &b, OTHER_CLIENT);
	uint16_t a_out = call(&nb, &a, 7, 100), b_out = call(&nb, &b, 7, 101);
	assert_int_equal(a_out, 7); /* free, so it stays */
	assert_int_not_equal(b_out, 7);
	while (nat_pool_next(nb.nat, &cursor, &info))
		n_used += info.n_used_other;
	assert_int_equal(n_used, 2);

	struct came c = gre(&nb, CLIENT, false, b_out);
	assert_true(c.passed && c.ip.dst == OTHER_CLIENT && c.l4.info == 7 && c.info == CT_INFO_RELATED);
	struct tuple flow = {
		.src = SERVER, .dst = WAN_ADDR, .dport = b_out, .proto = IPPROTO_NR_GRE, .id = L4_ID_CALL
	};
	/* It began with the server's answer. */
	const struct conn *of_flow = conntrack_conn(nb.b.ct, conn_index(conntrack_find(nb.b.ct, &flow)));
	assert_int_equal(of_flow->status & (CT_SNAT | CT_DNAT), CT_DNAT);
	/* Neither means anything without the calls. */
	struct ct_record r;
	assert_int_equal(conntrack_export(nb.b.ct, conn_index(conntrack_find(nb.b.ct, &flow)), &r), -ENOTSUP);
	assert_int_equal(conntrack_export(nb.b.ct, conn_index(fixture_ref_of(&nb.b, &a.syn)), &r), -ENOTSUP);
	c = gre(&nb, OTHER_CLIENT, true, 101);
	assert_true(c.passed && c.ip.src == WAN_ADDR && c.l4.info == 101 && c.info == CT_INFO_ESTABLISHED);
	c = gre(&nb, CLIENT, true, 100);
	assert_true(c.passed && c.l4.info == 100);
	c = gre(&nb, CLIENT, false, 7);
	assert_true(c.passed && c.ip.dst == CLIENT && c.l4.info == 7);
	assert_int_equal(nat_law_difference(nb.nat), 0);
	nat_fixture_stop_calls(&nb);
}

/* Would catch: a request sent again that is given another number; a call begun again with the same number that is not
 * let in; one that was taken down and still has its flow, or that the server can begin again by its number; a number
 * that never comes back. */
static void test_restart(void **state)
{
	struct nat_fixture nb;
	struct client a, b;
	uint8_t bytes[200], got[200];

	(void)state;
	nat_fixture_start(&nb, 64);
	connect_control(&nb, &a, CLIENT);
	connect_control(&nb, &b, OTHER_CLIENT);
	assert_int_equal(call(&nb, &a, 7, 100), 7);
	uint16_t b_out = call(&nb, &b, 7, 101);
	assert_int_equal(call(&nb, &b, 7, 102), b_out);
	assert_true(gre(&nb, OTHER_CLIENT, true, 102).passed);
	struct came c = gre(&nb, CLIENT, false, b_out);
	assert_true(c.passed && c.ip.dst == OTHER_CLIENT && c.l4.info == 7);
	/* The same once more, answer and all, is the same flow. */
	uint64_t n_ended = nb.b.n_events[EVENT_CONN_END];
	assert_int_equal(call(&nb, &b, 7, 102), b_out);
	assert_int_equal(nb.b.n_events[EVENT_CONN_END], n_ended);

	/* The server names the call to the client, and takes it down by its own number. */
	uint16_t len = message(bytes, PPTP_SET_LINK_INFO, b_out, 0);
	assert_true(control(&nb, &b, false, bytes, len, TCP_ACK, got).passed);
	assert_int_equal(bytes_get16(got + 12), 7);
	len = message(bytes, PPTP_CALL_CLEAR_REQUEST, 7, 0);
	assert_true(control(&nb, &b, true, bytes, len, TCP_ACK, got).passed);
	assert_int_equal(bytes_get16(got + 12), b_out);
	uint32_t before = conntrack_n_connections(nb.b.ct);
	len = message(bytes, PPTP_CALL_DISCONNECT_NOTIFY, 102, 0);
	assert_true(control(&nb, &b, false, bytes, len, TCP_ACK, got).passed);
	assert_int_equal(conntrack_n_connections(nb.b.ct), before - 1);
	for (int i = 0; i < 8; i++) {
		fixture_pass(&nb.b, 10 * NS_PER_S);
		nat_expire(nb.nat);
		(void)gre(&nb, CLIENT, true, 100);
		(void)gre(&nb, CLIENT, false, 7);
	}
	assert_int_equal(nb.nat->calls.pool.n_used, 1);
	before = conntrack_n_connections(nb.b.ct);
	len = message(bytes, PPTP_OUTGOING_CALL_REPLY, 103, b_out);
	assert_true(control(&nb, &b, false, bytes, len, TCP_ACK, got).passed);
	assert_int_equal(bytes_get16(got + 14), b_out);
	assert_int_equal(conntrack_n_connections(nb.b.ct), before);
	nat_fixture_stop_calls(&nb);
}

/* Calls of two clients, more than once, ended in another order than begun. Would catch: a call that is found although
 * it is over, or lost since another one was; a number that is two clients' at once. */
static void test_many_calls(void **state)
{
	enum { N = 100 };
	struct nat_fixture nb;
	struct client c[2];
	uint8_t bytes[200], got[200];
	static uint8_t taken[65536];

	(void)state;
	nat_fixture_start(&nb, 1024);
	connect_control(&nb, &c[0], CLIENT);
	connect_control(&nb, &c[1], OTHER_CLIENT);
	for (uint32_t round = 0; round < 2; round++) {
		memset(taken, 0, sizeof(taken));
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(taken[call(&nb, &c[i % 2], (uint16_t)(100 + i / 2), (uint16_t)(1000 + i))]++,
					 0);
		for (uint32_t i = 0; i < N; i++) {
			uint32_t k = i * 37 % N;
			uint16_t len = message(bytes, PPTP_CALL_DISCONNECT_NOTIFY, (uint16_t)(1000 + k), 0);

			assert_true(control(&nb, &c[k % 2], false, bytes, len, TCP_ACK, got).passed);
		}
		for (int i = 0; i < 8; i++) {
			fixture_pass(&nb.b, 10 * NS_PER_S);
			nat_expire(nb.nat);
		}
		assert_int_equal(nb.nat->calls.pool.n_used, 0);
	}
	nat_fixture_stop_calls(&nb);
}

/* Would catch: a message behind another one missed, a segment that is no message or half of one touched, a wrong
 * checksum (nat_walk counts it). */
static void test_segments(void **state)
{
	struct nat_fixture nb;
	struct client a, b;
	uint8_t bytes[400], got[400], half[400];

	(void)state;
	nat_fixture_start(&nb, 64);
	connect_control(&nb, &a, CLIENT);
	connect_control(&nb, &b, OTHER_CLIENT);
	assert_int_equal(call(&nb, &a, 7, 100), 7);
	uint16_t len = message(bytes, PPTP_SET_LINK_INFO, 55, 0);
	len = (uint16_t)(len + message(bytes + len, PPTP_OUTGOING_CALL_REQUEST, 7, 0));
	assert_true(control(&nb, &b, true, bytes, len, TCP_ACK, got).passed);
	assert_int_equal(bytes_get16(got + 12), 55);
	assert_int_not_equal(bytes_get16(got + 24 + 12), 7);
	len = message(half, PPTP_OUTGOING_CALL_REQUEST, 7, 0);
	assert_true(control(&nb, &b, true, half, 40, TCP_ACK, got).passed);
	assert_memory_equal(half, got, 40);
	half[4] ^= 1; /* the cookie */
	assert_true(control(&nb, &b, true, half, len, TCP_ACK, got).passed);
	assert_memory_equal(half, got, len);
	nat_fixture_stop_calls(&nb);
}

/* Many messages in one segment; returns whether it went on. */
static bool flood(struct nat_fixture *nb, struct client *c, bool from_client, enum pptp_type type, uint16_t first,
		  uint16_t second, uint32_t n)
{
	uint8_t bytes[1400], got[1400];
	uint16_t len = 0;

	for (uint32_t i = 0; i < n; i++)
		len = (uint16_t)(len + message(bytes + len, type, (uint16_t)(first + i), (uint16_t)(second + i)));
	return control(nb, c, from_client, bytes, len, TCP_ACK | TCP_PSH, got).passed;
}

/* Would catch: a host that names so many calls that nobody else has one; a message that ends a call and makes one. */
static void test_calls_of_one_host(void **state)
{
	struct nat_fixture nb;
	struct client a, b;

	(void)state;
	nat_fixture_start(&nb, 64);
	connect_control(&nb, &a, CLIENT);
	connect_control(&nb, &b, OTHER_CLIENT);
	assert_true(flood(&nb, &a, true, PPTP_CALL_CLEAR_REQUEST, 1, 0, 80));
	assert_int_equal(nb.nat->calls.pool.n_used, 0);
	for (uint32_t i = 0; i < 20; i++)
		(void)flood(&nb, &a, true, PPTP_INCOMING_CALL_REQUEST, (uint16_t)(1 + 80 * i), 0, 80);
	assert_int_equal(nb.nat->calls.pool.n_used, NAT_CALLS_PER_HOST);
	assert_int_not_equal(call(&nb, &b, 7, 101), 7);
	assert_int_equal(nat_law_difference(nb.nat), 0);
	nat_fixture_stop_calls(&nb);
}

/* Would catch: a server that begins calls which nobody inside has named; calls that are counted with no source, so that
 * a host with an accomplice outside has more connections than the limit, or begins more in a second. */
static void test_limits(void **state)
{
	(void)state;
	for (int by_rate = 0; by_rate < 2; by_rate++) {
		struct ct_config cfg = { .max_per_source = by_rate ? 0 : 5, .new_per_source_s = by_rate ? 5 : 0 };
		struct nat_fixture nb;
		struct client a;

		nat_fixture_start(&nb, 64);
		conntrack_configure(nb.b.ct, &cfg);
		connect_control(&nb, &a, CLIENT);
		assert_true(flood(&nb, &a, false, PPTP_OUTGOING_CALL_REPLY, 1000, 2000, 40));
		assert_int_equal(conntrack_n_connections(nb.b.ct), 1);
		for (uint16_t i = 0; i < 10; i++)
			(void)call(&nb, &a, (uint16_t)(7 + i), (uint16_t)(100 + i));
		assert_int_equal(conntrack_n_connections(nb.b.ct), 5);
		nat_fixture_stop_calls(&nb);
	}
}

/* Would catch: a call of a client that is not translated, which is kept from it or given another number. */
static void test_not_translated(void **state)
{
	uint8_t bytes[200], got[200];
	struct nat_fixture nb;
	struct client a = { .seq = 1000, .server_seq = 9000, .syn = out_make(IPPROTO_NR_TCP, 3000, PPTP_PORT) };

	(void)state;
	nat_fixture_start(&nb, 64);
	nb.snat.kind = NAT_ACTION_NONE;
	a.syn.window = 65535;
	assert_true(control(&nb, &a, true, NULL, 0, TCP_SYN, NULL).passed);
	struct packet_spec m = turned(a.syn);
	m.flags = TCP_SYN | TCP_ACK;
	m.seq = a.server_seq++;
	m.ack = a.seq;
	assert_true(nat_send(&nb, &m).passed);
	uint16_t len = message(bytes, PPTP_OUTGOING_CALL_REQUEST, 7, 0);
	assert_true(control(&nb, &a, true, bytes, len, TCP_ACK | TCP_PSH, got).passed);
	assert_memory_equal(bytes, got, len);
	assert_int_equal(nb.nat->calls.pool.n_used, 0);
	nat_fixture_stop_calls(&nb);
}

/* Would catch: calls that one segment ends by the hundred, whose places are taken by others while packets of the batch
 * still name them. */
static void test_many_ends(void **state)
{
	enum { N_CALLS = 300, SHORT_LEN = 16 };
	struct batch batch = { .n = 0 };
	struct nat_fixture nb;
	struct client a;
	uint8_t bytes[N_CALLS * SHORT_LEN];

	(void)state;
	nat_fixture_start(&nb, 1024);
	nb.snat.kind = NAT_ACTION_NONE;
	a = (struct client){
		.addr = CLIENT, .seq = 1000, .server_seq = 9000, .syn = out_make(IPPROTO_NR_TCP, 3000, PPTP_PORT)
	};
	a.syn.window = 65535;
	struct packet_spec m = a.syn;
	assert_true(nat_send(&nb, &m).passed);
	m = turned(m);
	m.flags = TCP_SYN | TCP_ACK;
	m.seq = 9000;
	m.ack = 1;
	assert_true(nat_send(&nb, &m).passed);
	m.flags = TCP_ACK | TCP_PSH;
	m.seq++;
	m.payload = bytes;
	for (uint32_t i = 0; i < N_CALLS; i += 20, m.seq += m.payload_len) {
		m.payload_len = 0;
		for (uint16_t k = 0; k < 20; k++)
			m.payload_len =
				(uint16_t)(m.payload_len + message(bytes + m.payload_len, PPTP_OUTGOING_CALL_REPLY,
								   (uint16_t)(1000 + i + k), (uint16_t)(2000 + i + k)));
		assert_true(nat_send(&nb, &m).passed);
	}
	assert_int_equal(conntrack_n_connections(nb.b.ct), N_CALLS + 1);

	m.payload_len = sizeof(bytes);
	memset(bytes, 0, sizeof(bytes));
	for (uint32_t i = 0; i < N_CALLS; i++) {
		uint8_t *at = bytes + i * SHORT_LEN;

		(void)message(at, PPTP_CALL_CLEAR_REQUEST, (uint16_t)(1000 + i), 0);
		bytes_put16(at + 8, PPTP_CALL_DISCONNECT_NOTIFY);
	}
	struct packet_spec data = udp_make(0, 0);
	data.proto = IPPROTO_NR_GRE;
	data.flags = 0x30;
	data.gre_version = 1;
	data.seq = 20u << 16 | 1000;
	batch_add(&batch, fixture_packet(&nb.b, &m));
	batch_add(&batch, fixture_packet(&nb.b, &data));
	fixture_in(&nb.b, HOOK_PREROUTING, &batch);
	nat_dst(nb.nat, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 2);
	const struct conn *of_data = conntrack_of(nb.b.ct, batch.p[1]);
	assert_non_null(of_data);
	nat_src(nb.nat, HOOK_POSTROUTING, &batch);
	assert_true(of_data->status & CT_DYING);
	assert_int_equal(of_data->half[CT_ORIGINAL].tuple.proto, IPPROTO_NR_GRE);
	assert_int_equal(conntrack_n_connections(nb.b.ct), N_CALLS + 1 - CT_DYING_MAX);
	while (batch.n > 0)
		fixture_hand(&nb.b, batch.p[--batch.n]);
	nat_fixture_stop_calls(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_clients),       cmocka_unit_test(test_restart),
		cmocka_unit_test(test_segments),          cmocka_unit_test(test_many_calls),
		cmocka_unit_test(test_calls_of_one_host), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_ends),         cmocka_unit_test(test_not_translated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
