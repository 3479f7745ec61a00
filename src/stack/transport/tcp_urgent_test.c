/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Urgent data as Linux receives and sends it.
 */
#include "stack/transport/tcp_script.h"

static void open_one(struct script *s)
{
	static const uint8_t mss[] = { 2, 4, 5, 180 };

	script_start(s, NULL);
	script_accept(s, mss, sizeof(mss));
}

static void end_one(struct script *s)
{
	tcp_abort(s->h.tcp, s->c);
	script_end(s);
}

/* Ten bytes from seq on, of which that one is urgent, counted from 1: the pointer stands behind it. */
static void ten(struct script *s, uint32_t seq, uint16_t urgent)
{
	script_in(s, &(struct in){ .flags = (uint8_t)(TCP_ACK | (urgent > 0 ? TCP_URG : 0)),
				   .seq = seq,
				   .ack = 1,
				   .len = 10,
				   .urgent = urgent });
}

static int64_t recv_oob(struct script *s, uint8_t *byte, uint32_t flags)
{
	struct span v = { byte, 1 };

	return tcp_recv(s->h.tcp, s->c, &v, 1, TCP_RECV_URGENT | flags);
}

static void check_bytes(const uint8_t *got, uint32_t seq, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(got[i], script_byte(seq + i));
}

/* Would catch: the urgent byte in the stream, or another one left out; a read that goes past the mark; MSG_OOB that
 * gives it twice, or not. */
static void test_aside(void **state)
{
	struct script s;
	uint8_t got[64], byte = 0;

	open_one(&s);
	assert_int_equal(recv_oob(&s, &byte, 0), -EINVAL);
	ten(&s, 1, 4);
	assert_true(tcp_poll(s.h.tcp, s.c) & TCP_POLL_PRI);
	assert_int_equal(tcp_readable(s.c), 3);
	assert_false(tcp_at_mark(s.c));
	assert_int_equal(recv_oob(&s, &byte, TCP_RECV_PEEK), 1);
	assert_int_equal(byte, script_byte(4));
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 3);
	check_bytes(got, 1, 3);
	assert_true(tcp_at_mark(s.c));
	assert_int_equal(tcp_readable(s.c), 0);
	byte = 0;
	assert_int_equal(recv_oob(&s, &byte, 0), 1);
	assert_int_equal(byte, script_byte(4));
	assert_int_equal(recv_oob(&s, &byte, 0), -EINVAL);
	assert_false(tcp_poll(s.h.tcp, s.c) & TCP_POLL_PRI);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 6);
	check_bytes(got, 5, 6);
	assert_false(tcp_at_mark(s.c));
	assert_int_equal(s.c->inbox.bytes, 0);
	/* It alone is nothing to read. */
	script_in(&s, &(struct in){ .flags = TCP_ACK | TCP_URG, .seq = 11, .ack = 1, .len = 1, .urgent = 1 });
	assert_int_equal(tcp_poll(s.h.tcp, s.c) & (TCP_POLL_IN | TCP_POLL_PRI), TCP_POLL_PRI);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), -EAGAIN);
	end_one(&s);
}

/* Would catch: a pointer that is told ahead of its byte and is lost, or believed too early; one of what is past. */
static void test_ahead(void **state)
{
	struct script s;
	uint8_t got[64], byte;

	open_one(&s);
	ten(&s, 1, 15);
	assert_false(tcp_poll(s.h.tcp, s.c) & TCP_POLL_PRI);
	assert_int_equal(recv_oob(&s, &byte, 0), -EAGAIN);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 10);
	ten(&s, 11, 0);
	assert_true(tcp_poll(s.h.tcp, s.c) & TCP_POLL_PRI);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 4);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 5);
	check_bytes(got, 16, 5);
	assert_int_equal(recv_oob(&s, &byte, 0), -EINVAL);
	/* A retransmission's pointer is of what came before. */
	script_in(&s, &(struct in){ .flags = TCP_ACK | TCP_URG, .seq = 20, .ack = 1, .len = 2, .urgent = 1 });
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 1);
	end_one(&s);
}

/* Would catch: a later mark that does not take an earlier one's place, or the earlier one's byte lost from the stream.
 */
static void test_two_marks(void **state)
{
	struct script s;
	uint8_t got[64], byte;

	open_one(&s);
	ten(&s, 1, 4);
	ten(&s, 11, 2);
	assert_int_equal(recv_oob(&s, &byte, 0), 1);
	assert_int_equal(byte, script_byte(12));
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 11);
	check_bytes(got, 1, 11);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 8);
	check_bytes(got, 13, 8);
	end_one(&s);
}

/* Would catch: SO_OOBINLINE that leaves the byte out, or does not stop in front of it. */
static void test_inline(void **state)
{
	struct script s;
	uint8_t got[64], byte;

	open_one(&s);
	tcp_set_option(s.h.tcp, s.c, TCP_OPTION_OOB_INLINE, 1);
	ten(&s, 1, 4);
	assert_int_equal(recv_oob(&s, &byte, 0), -EINVAL);
	assert_int_equal(tcp_readable(s.c), 10);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 3);
	assert_true(tcp_at_mark(s.c));
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 7);
	check_bytes(got, 4, 7);
	end_one(&s);
}

/* Would catch: MSG_OOB whose pointer is not sent, is sent for ever, or waits for Nagle; 64 KB ahead of it. */
static void test_sent(void **state)
{
	struct script s;
	struct span v = { (void *)(uintptr_t) "abc", 3 };
	const struct seen *o;

	open_one(&s);
	assert_int_equal(host_send(&s.h, s.c, "x", 1), 1);
	assert_false(script_out(&s)->flags & TCP_URG);
	assert_int_equal(tcp_send(s.h.tcp, s.c, &v, 1, TCP_SEND_URGENT), 3);
	ip_flush(s.h.ip);
	o = script_out(&s);
	assert_non_null(o);
	assert_int_equal(o->flags, TCP_ACK | TCP_URG | TCP_PSH);
	assert_int_equal(o->len, 3);
	assert_int_equal(o->urgent, 3);
	/* Until it is acknowledged. */
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 4 });
	script_wait(&s, 300 * NS_PER_MS);
	o = script_out(&s);
	assert_non_null(o);
	assert_int_equal(o->flags & TCP_URG, TCP_URG);
	assert_int_equal(o->seq + o->urgent, 5);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 5 });
	script_forget(&s);
	assert_int_equal(host_send(&s.h, s.c, "y", 1), 1);
	assert_false(script_out(&s)->flags & TCP_URG);
	end_one(&s);
}

/* Would catch: one that a closed window keeps out and nobody hears of (RFC 9293 MUST-66), or that comes twice. */
static void test_closed_window(void **state)
{
	struct tcp_config cfg = tcp_default_config;
	struct script s;
	static uint8_t got[16384];
	uint8_t byte;
	uint32_t at = 1;

	cfg.rcvbuf = 8192;
	script_start(&s, &cfg);
	script_accept(&s, NULL, 0);
	for (uint32_t len; (len = min_u32(500, s.c->rcv_adv - s.c->rcv_nxt)) > 0; at += len)
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at, .ack = 1, .len = len });
	script_in(&s, &(struct in){ .flags = TCP_ACK | TCP_URG, .seq = at, .ack = 1, .len = 1, .urgent = 1 });
	assert_true(tcp_poll(s.h.tcp, s.c) & TCP_POLL_PRI);
	assert_int_equal(recv_oob(&s, &byte, 0), 1);
	assert_int_equal(byte, script_byte(at));
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), at - 1);
	script_in(&s, &(struct in){ .flags = TCP_ACK | TCP_URG, .seq = at, .ack = 1, .len = 1, .urgent = 1 });
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = at + 1, .ack = 1, .len = 3 });
	assert_int_equal(recv_oob(&s, &byte, 0), -EINVAL);
	assert_int_equal(host_recv(&s.h, s.c, got, sizeof(got)), 3);
	check_bytes(got, at + 1, 3);
	end_one(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aside),  cmocka_unit_test(test_ahead), cmocka_unit_test(test_two_marks),
		cmocka_unit_test(test_inline), cmocka_unit_test(test_sent),  cmocka_unit_test(test_closed_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
