/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PPTP through NAT: two clients that chose the same number for their calls, what the
 * server sees of it, and whose its packets are.
 */
#include "nat/nat_bench.h"

#include "wire/bytes.h"
#include "wire/pptp.h"

#define OTHER_CLIENT IP4(10, 0, 0, 3)

struct client {
	uint32_t addr;
	uint32_t seq, server_seq;
	struct make syn;
	uint16_t port; /* outside */
};

/* Calls outlive their flows for a while. */
static void nat_bench_stop_calls(struct nat_bench *nb)
{
	uint32_t cursor = 0, index;

	while (conntrack_next(nb->b.ct, &cursor, &index))
		conntrack_end(nb->b.ct, index, CT_END_FLUSHED);
	for (int i = 0; i < 8; i++) {
		bench_pass(&nb->b, 10 * NS_PER_S);
		nat_expire(nb->nat);
	}
	assert_int_equal(nb->nat->calls.pool.n_used, 0);
	assert_int_equal(nat_law_difference(nb->nat), 0);
	assert_int_equal(nat_next_deadline(nb->nat), TIME_NEVER);
	nat_bench_stop(nb);
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
static struct came control(struct nat_bench *nb, struct client *c, bool from_client, const uint8_t *payload, uint16_t len,
			   uint8_t flags, uint8_t *out)
{
	struct make m = c->syn;
	struct came came = { .passed = false };

	m.flags = flags;
	m.seq = from_client ? c->seq : c->server_seq;
	m.ack = flags & TCP_ACK ? (from_client ? c->server_seq : c->seq) : 0;
	m.len = len;
	m.payload = payload;
	if (!from_client) {
		m.in = WAN;
		m.out = LAN;
		m.src = SERVER;
		m.dst = WAN_ADDR;
		m.sport = PPTP_PORT;
		m.dport = c->port;
	}
	struct packet *p = nat_walk(nb, bench_packet(&nb->b, &m), NULL, NULL);
	if (p == NULL)
		return came;
	came = (struct came){ .passed = true, .ip = p->ip, .l4 = p->l4 };
	if (out != NULL)
		memcpy(out, packet_l4(p) + p->l4.header_len, p->l4.payload_len);
	bench_hand(&nb->b, p);
	*(from_client ? &c->seq : &c->server_seq) += len + ((flags & TCP_SYN) != 0);
	return came;
}

static void connect_control(struct nat_bench *nb, struct client *c, uint32_t addr)
{
	*c = (struct client){ .addr = addr, .seq = 1000, .server_seq = 9000 };
	c->syn = out_make(IPPROTO_NR_TCP, 3000, PPTP_PORT);
	c->syn.src = addr;
	c->port = control(nb, c, true, NULL, 0, TCP_SYN, NULL).l4.sport;
	assert_int_not_equal(c->port, 0);
	assert_true(control(nb, c, false, NULL, 0, TCP_SYN | TCP_ACK, NULL).passed);
	assert_true(control(nb, c, true, NULL, 0, TCP_ACK, NULL).passed);
}

/* The number of the call `inside` as the server gets to know it; it answers with its own, `remote`. */
static uint16_t call(struct nat_bench *nb, struct client *c, uint16_t inside, uint16_t remote)
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

static struct came gre(struct nat_bench *nb, uint32_t client, bool from_client, uint16_t number)
{
	struct make m = udp_make(0, 0);

	m.proto = IPPROTO_NR_GRE;
	m.flags = 0x30;
	m.n_options = 1;
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
 * call that go to the other, data of a call that no rule would know. */
static void test_two_clients(void **state)
{
	struct nat_bench nb;
	struct client a, b;

	(void)state;
	nat_bench_start(&nb, 64);
	connect_control(&nb, &a, CLIENT);
	connect_control(&nb, &b, OTHER_CLIENT);
	uint16_t a_out = call(&nb, &a, 7, 100), b_out = call(&nb, &b, 7, 101);
	assert_int_equal(a_out, 7); /* free, so it stays */
	assert_int_not_equal(b_out, 7);

	struct came c = gre(&nb, CLIENT, false, b_out);
	assert_true(c.passed && c.ip.dst == OTHER_CLIENT && c.l4.info == 7 && c.info == CT_INFO_RELATED);
	c = gre(&nb, OTHER_CLIENT, true, 101);
	assert_true(c.passed && c.ip.src == WAN_ADDR && c.l4.info == 101 && c.info == CT_INFO_ESTABLISHED);
	c = gre(&nb, CLIENT, true, 100);
	assert_true(c.passed && c.l4.info == 100);
	c = gre(&nb, CLIENT, false, 7);
	assert_true(c.passed && c.ip.dst == CLIENT && c.l4.info == 7);
	assert_int_equal(nat_law_difference(nb.nat), 0);
	nat_bench_stop_calls(&nb);
}

/* Would catch: a request sent again that is given another number; a call begun anew with the same number that is not
 * let in; one that was taken down and still has its flow; a number that never comes back. */
static void test_restart(void **state)
{
	struct nat_bench nb;
	struct client a, b;
	uint8_t bytes[200], got[200];

	(void)state;
	nat_bench_start(&nb, 64);
	connect_control(&nb, &a, CLIENT);
	connect_control(&nb, &b, OTHER_CLIENT);
	assert_int_equal(call(&nb, &a, 7, 100), 7);
	uint16_t b_out = call(&nb, &b, 7, 101);
	assert_int_equal(call(&nb, &b, 7, 102), b_out);
	assert_true(gre(&nb, OTHER_CLIENT, true, 102).passed);
	struct came c = gre(&nb, CLIENT, false, b_out);
	assert_true(c.passed && c.ip.dst == OTHER_CLIENT && c.l4.info == 7);

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
		bench_pass(&nb.b, 10 * NS_PER_S);
		nat_expire(nb.nat);
		(void)gre(&nb, CLIENT, true, 100);
		(void)gre(&nb, CLIENT, false, 7);
	}
	assert_int_equal(nb.nat->calls.pool.n_used, 1);
	nat_bench_stop_calls(&nb);
}

/* Would catch: a message behind another one missed, a segment that is no message or half of one touched, a wrong
 * checksum (nat_walk counts it). */
static void test_segments(void **state)
{
	struct nat_bench nb;
	struct client a, b;
	uint8_t bytes[400], got[400], half[400];

	(void)state;
	nat_bench_start(&nb, 64);
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
	nat_bench_stop_calls(&nb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_clients),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
