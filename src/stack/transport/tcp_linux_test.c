/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the RFCs leave it open, and peers and programs are used to what Linux does: what, and when.
 */
#include "stack/transport/tcp_script.h"

static const uint8_t syn_options[] = { 2, 4, 3, 232, 1, 1, 4, 2 }; /* MSS 1,000, SACK permitted */

static void start(struct script *s, const struct tcp_config *cfg)
{
	script_start(s, cfg);
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = syn_options, .options_len = sizeof(syn_options) });
	script_wait(s, 100 * NS_PER_MS);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
	s->c = tcp_accept(s->h.tcp, s->listener, 1);
	assert_non_null(s->c);
	script_forget(s);
}

static void end(struct script *s)
{
	tcp_abort(s->h.tcp, s->c);
	ip_flush(s->h.ip);
	script_end(s);
}

static void write_bytes(struct script *s, uint32_t len, uint32_t flags)
{
	static uint8_t bytes[65536];
	struct span span = { bytes, len };

	assert_int_equal(tcp_send(s->h.tcp, s->c, &span, 1, flags), len);
	ip_flush(s->h.ip);
}

static void expect(struct script *s, uint32_t seq, uint32_t len, bool push)
{
	const struct seen *o = script_out(s);

	assert_non_null(o);
	assert_int_equal(o->seq, seq);
	assert_int_equal(o->len, len);
	assert_int_equal(o->flags, push ? TCP_ACK | TCP_PSH : TCP_ACK);
}

/* Would catch: bursts that end without PSH, which keep whoever puts segments together waiting; and PSH on one segment
 * alone in the middle of a write. */
static void test_push(void **state)
{
	struct script s;

	start(&s, NULL);
	/* Two at a time: what 200 kB/s carry in a millisecond is less. */
	write_bytes(&s, 15500, 0);
	for (uint32_t i = 0; i < 10; i++)
		expect(&s, 1 + i * 1000, 1000, i % 2 == 1);
	assert_null(script_out(&s));
	/* Room for one is made after room for two. */
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1001 });
	expect(&s, 10001, 1000, false);
	expect(&s, 11001, 1000, true);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 12001 });
	expect(&s, 12001, 1000, false);
	expect(&s, 13001, 1000, true);
	expect(&s, 14001, 1000, false);
	expect(&s, 15001, 500, true);
	assert_null(script_out(&s));
	end(&s);
}

/* Likewise with more in a row, as min_tso_segs says, and never more than half of the window. */
static void test_push_more(void **state)
{
	struct tcp_config cfg = tcp_default_config;
	struct script s;

	cfg.min_tso_segs = 8;
	start(&s, &cfg);
	write_bytes(&s, 15500, 0);
	for (uint32_t i = 0; i < 10; i++)
		expect(&s, 1 + i * 1000, 1000, i % 5 == 4);
	end(&s);
}

/* Would catch: a segment that keeps the PSH of a write behind which another one has gone on. */
static void test_push_is_moved(void **state)
{
	struct script s;

	start(&s, NULL);
	write_bytes(&s, 100, 0);
	expect(&s, 1, 100, true);
	write_bytes(&s, 100, 0);
	write_bytes(&s, 100, TCP_SEND_MORE);
	assert_null(script_out(&s));
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 101 });
	script_wait(&s, NS_PER_S);
	expect(&s, 101, 200, true);
	end(&s);
}

/* Would catch: what is held back (TCP_CORK, MSG_MORE) that leaves later or sooner than a retransmission would. */
static void test_cork_ends(void **state)
{
	struct script s;

	start(&s, NULL);
	uint64_t began = s.now;

	write_bytes(&s, 40, TCP_SEND_MORE);
	assert_null(script_out(&s));
	script_wait(&s, 310 * NS_PER_MS);
	assert_int_equal(s.n, 1);
	/* Its first round trip took 100 ms: 100 + 4 * 50. */
	assert_in_range(s.seen[0].at - began, 295 * NS_PER_MS, 305 * NS_PER_MS);
	expect(&s, 1, 40, true);
	end(&s);
}

/* Would catch: a scale by which the window of a full buffer cannot be told. */
static void test_scale(void **state)
{
	static const struct {
		uint32_t max;
		uint8_t scale;
	} rows[] = { { 65535, 0 }, { 131072, 2 }, { 6 << 20, 7 }, { 15 << 20, 8 }, { 16 << 20, 9 }, { 1u << 30, 14 } };
	struct tcp_config cfg = tcp_default_config;
	struct script s;

	cfg.rcvbuf = 65535;
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
		cfg.rcvbuf_max = rows[i].max;
		script_start(&s, &cfg);
		struct tcp_end local = { .port = SERVICE }, remote = { ip_addr_v4(A_ADDR), PEER_PORT };

		s.c = tcp_open(s.h.tcp, 1);
		assert_int_equal(tcp_connect(s.h.tcp, s.c, 0, &local, &remote), -EINPROGRESS);
		ip_flush(s.h.ip);
		const struct seen *o = script_out(&s);

		assert_non_null(o);
		assert_int_equal(o->options.wscale, rows[i].scale);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push),          cmocka_unit_test(test_push_more),
		cmocka_unit_test(test_push_is_moved), cmocka_unit_test(test_cork_ends),
		cmocka_unit_test(test_scale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
