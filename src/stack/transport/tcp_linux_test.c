/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the RFCs leave it open, and peers and programs are used to what Linux does: what, and when.
 */
#include "stack/transport/tcp_info.h"
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
	expect(&s, 101, 200, false);
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

/* Would catch: MSG_MORE that holds back for longer than until something is heard, and TCP_NODELAY that does not let go
 * what a cork holds. */
static void test_more_ends(void **state)
{
	struct script s;

	start(&s, NULL);
	tcp_set_option(s.h.tcp, s.c, TCP_OPTION_NODELAY, 1);
	write_bytes(&s, 1100, TCP_SEND_MORE);
	expect(&s, 1, 1000, false);
	assert_null(script_out(&s));
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1001 });
	expect(&s, 1001, 100, false);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1101 });
	tcp_set_option(s.h.tcp, s.c, TCP_OPTION_CORK, 1);
	write_bytes(&s, 100, 0);
	assert_null(script_out(&s));
	tcp_set_option(s.h.tcp, s.c, TCP_OPTION_NODELAY, 1);
	tcp_send_pending(s.h.tcp);
	ip_flush(s.h.ip);
	expect(&s, 1101, 100, true);
	/* Once: what is written behind it is held. */
	write_bytes(&s, 100, 0);
	assert_null(script_out(&s));
	end(&s);
}

/* Would catch: records (MSG_EOR) that share a segment. */
static void test_records(void **state)
{
	struct script s;

	start(&s, NULL);
	tcp_set_option(s.h.tcp, s.c, TCP_OPTION_NODELAY, 1);
	write_bytes(&s, 10000, 0);
	script_forget(&s);
	write_bytes(&s, 400, TCP_SEND_EOR);
	write_bytes(&s, 400, 0);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 10001 });
	expect(&s, 10001, 400, true);
	expect(&s, 10401, 400, true);
	assert_null(script_out(&s));
	end(&s);
}

/* Would catch: a window that grows though less than half of it is in use, or does not though all of it is. */
static void test_window_in_use(void **state)
{
	static const uint32_t sent[] = { 5, 6, 10 }, window[] = { 10, 12, 20 };
	struct script s;

	for (uint32_t i = 0; i < ARRAY_LEN(sent); i++) {
		start(&s, NULL);
		write_bytes(&s, sent[i] * 1000, 0);
		for (uint32_t k = 1; k <= sent[i]; k++)
			script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 + k * 1000 });
		assert_int_equal(s.c->cwnd / s.c->mss, window[i]);
		end(&s);
	}
}

/* Would catch: a window that grows by what is told by SACK alone, so that limited transmit sends two for one. */
static void test_limited_transmit(void **state)
{
	uint8_t options[12] = { 1, 1, 5, 10 };
	struct script s;

	start(&s, NULL);
	write_bytes(&s, 15000, 0);
	script_forget(&s);
	for (uint32_t k = 0; k < 2; k++) {
		uint32_t edge = s.host_isn + 1001 + k * 1000;

		options[4 + 4 * k] = (uint8_t)(edge >> 24);
		options[5 + 4 * k] = (uint8_t)(edge >> 16);
		options[6 + 4 * k] = (uint8_t)(edge >> 8);
		options[7 + 4 * k] = (uint8_t)edge;
	}
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .options = options, .options_len = 12 });
	expect(&s, 10001, 1000, false);
	assert_null(script_out(&s));
	end(&s);
}

/* Would catch: a window told anew with each read, and one that is not when the other end has used up half of it. */
static void test_window_updates(void **state)
{
	struct tcp_config cfg = tcp_default_config;
	uint8_t bytes[1000];
	struct span span = { bytes, sizeof(bytes) };
	struct script s;
	uint32_t n = 0;

	cfg.rcvbuf = 20000;
	cfg.rcvbuf_max = 20000;
	start(&s, &cfg);
	/* 10,000 of which 8,000 are used. */
	for (uint32_t i = 0; i < 8; i++)
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1 + i * 1000, .ack = 1, .len = 1000 });
	script_wait(&s, NS_PER_S);
	script_forget(&s);
	while (tcp_recv(s.h.tcp, s.c, &span, 1, 0) > 0) {
		ip_flush(s.h.ip);
		n++;
		if (n == 1)
			assert_int_equal(s.n, 0);
	}
	assert_int_equal(n, 8);
	assert_in_range(s.n, 1, 3);
	end(&s);
}

/* Would catch: the timestamp of a segment whose acknowledgement cannot be, by which all that follows looks old. */
static void test_timestamp_of_bad_ack(void **state)
{
	static const uint8_t options[] = { 2, 4, 3, 232, 4, 2, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0, 1, 1, 1, 0 };
	struct script s;

	script_start(&s, NULL);
	s.ts_val = 200;
	script_accept(&s, options, sizeof(options));
	s.ts_val = 200000;
	script_in(&s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 9999 });
	script_forget(&s);
	s.ts_val = 201;
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 1000 });
	const struct seen *o = script_out(&s);

	assert_non_null(o);
	assert_int_equal(o->ack, 1001);
	assert_int_equal(o->options.ts_ecr, 201);
	end(&s);
}

/* Would catch: the reset that answers data for a closed socket with another number than the other end waits for, which
 * would only challenge it (RFC 5961 section 3). */
static void test_data_after_close(void **state)
{
	struct script s;

	start(&s, NULL);
	tcp_close(s.h.tcp, s.c);
	ip_flush(s.h.ip);
	script_forget(&s);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 1 });
	const struct seen *o = script_out(&s);

	assert_non_null(o);
	assert_int_equal(o->flags, TCP_RST);
	assert_int_equal(o->seq, 1);
	assert_null(script_out(&s));
	script_end(&s);
}

static void note_change(void *ctx, uint64_t user, uint32_t why)
{
	*(uint32_t *)ctx |= why;
}

/* Would catch: TCP_NOTSENT_LOWAT of which neither send nor poll takes notice. */
static void test_lowat(void **state)
{
	static const struct tcp_user_ops ops = { .changed = note_change };
	static uint8_t bytes[60000];
	struct span span = { bytes, sizeof(bytes) };
	struct script s;
	uint32_t changes = 0;

	start(&s, NULL);
	tcp_set_user(s.h.tcp, &ops, &changes);
	tcp_set_option(s.h.tcp, s.c, TCP_OPTION_NOTSENT_LOWAT, 4000);
	/* Ten leave, and half of the other end's window of 32,768 waits. */
	assert_int_equal(tcp_send(s.h.tcp, s.c, &span, 1, 0), 26000);
	assert_int_equal(tcp_unsent(s.c), 16000);
	assert_false(tcp_poll(s.h.tcp, s.c) & TCP_POLL_OUT);
	for (uint32_t i = 1; tcp_unsent(s.c) >= 2000; i++) {
		assert_true(i < 20);
		assert_false(tcp_poll(s.h.tcp, s.c) & TCP_POLL_OUT);
		assert_false(changes & TCP_CHANGED_OUT);
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 + i * 2000 });
	}
	assert_true(tcp_poll(s.h.tcp, s.c) & TCP_POLL_OUT);
	assert_true(changes & TCP_CHANGED_OUT);
	tcp_set_user(s.h.tcp, NULL, NULL);
	end(&s);
}

/* Would catch: duplicates of a peer without SACK that count once as such, and once more as what they stood for. */
static void test_duplicates_count_once(void **state)
{
	static const uint8_t options[] = { 2, 4, 3, 232 };
	struct script s;

	script_start(&s, NULL);
	script_accept(&s, options, sizeof(options));
	write_bytes(&s, 15000, 0);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
	assert_int_equal(s.n, 12);
	/* Three, two of which were told. */
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 3001 });
	assert_int_equal(s.c->cwnd, 11000);
	assert_int_equal(s.n, 14);
	end(&s);
}

/* Would catch: a window that one acknowledgement opens by more, or less, than growth_limit says. */
static void test_growth_limit(void **state)
{
	struct tcp_config cfg = tcp_default_config;
	struct script s;

	for (uint32_t i = 0; i < 2; i++) {
		cfg.growth_limit = i == 0 ? 8 : 0;
		start(&s, &cfg);
		write_bytes(&s, 10000, 0);
		script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 10001 });
		assert_int_equal(s.c->cwnd, i == 0 ? 18000 : 20000);
		end(&s);
	}
}

/* Would catch: times of TCP_INFO that stand still, or go on when there is nothing to send. */
static void test_info_times(void **state)
{
	struct yg_tcp_info info;
	struct script s;

	start(&s, NULL);
	script_wait(&s, 100 * NS_PER_MS);
	tcp_info(s.h.tcp, s.c, &info);
	assert_int_equal(info.busy_time, 0);
	assert_in_range(info.last_data_recv, 99, 101);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .zero_window = true });
	write_bytes(&s, 1000, 0);
	script_wait(&s, 100 * NS_PER_MS);
	tcp_info(s.h.tcp, s.c, &info);
	assert_in_range(info.rwnd_limited, 99000, 101000);
	assert_int_equal(info.busy_time, info.rwnd_limited);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10 });
	script_wait(&s, 50 * NS_PER_MS);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 11, .ack = 1001 });
	script_wait(&s, 100 * NS_PER_MS);
	tcp_info(s.h.tcp, s.c, &info);
	assert_in_range(info.rwnd_limited, 99000, 101000);
	assert_in_range(info.busy_time, 149000, 151000);
	assert_in_range(info.last_data_recv, 149, 151);
	end(&s);
}

/* Would catch: a small segment and its duplicate that count for more than is on its way, without SACK, after which
 * nothing is sent for want of a window. */
static void test_small_duplicate(void **state)
{
	struct script s;

	script_start(&s, NULL);
	script_accept(&s, NULL, 0);
	tcp_set_option(s.h.tcp, s.c, TCP_OPTION_NODELAY, 1);
	write_bytes(&s, 82, 0);
	expect(&s, 1, 82, true);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
	write_bytes(&s, 82, 0);
	expect(&s, 83, 82, true);
	end(&s);
}

/* Would catch: a reset behind a FIN, with the FIN's number, that is challenged and never believed (Mac OS X sends it
 * when a program is interrupted). */
static void test_reset_of_fin(void **state)
{
	struct script s;

	start(&s, NULL);
	script_in(&s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1 });
	assert_int_equal(tcp_state(s.c), TCP_CLOSE_WAIT);
	script_in(&s, &(struct in){ .flags = TCP_RST, .seq = 1 });
	assert_int_equal(tcp_state(s.c), TCP_CLOSED);
	end(&s);
}

/* Would catch: bytes that are taken though what comes with them acknowledges something from before the first byte (RFC
 * 5961 section 5). */
static void test_ack_before_all(void **state)
{
	struct script s;

	start(&s, NULL);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 0, .len = 10 });
	assert_int_equal(tcp_readable(s.c), 0);
	/* FIN counts too. */
	assert_int_equal(tcp_shutdown(s.h.tcp, s.c, TCP_SHUT_WR), 0);
	ip_flush(s.h.ip);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2 });
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10 });
	assert_int_equal(tcp_readable(s.c), 10);
	end(&s);
}

/* Would catch: a window that is not believed since something behind a gap came before what fills it. */
static void test_window_with_news(void **state)
{
	struct script s;

	start(&s, NULL);
	write_bytes(&s, 100, 0);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 101, .ack = 1, .len = 100, .window = 5000 });
	assert_int_equal(s.c->snd_wnd, 5000);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 101, .len = 100, .window = 7000 });
	assert_int_equal(s.c->snd_wnd, 7000);
	end(&s);
}

/* Would catch: bytes behind the other end's FIN that are held, or told of, though nobody will ever read them. */
static void test_fin_before_news(void **state)
{
	struct script s;

	start(&s, NULL);
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 101, .ack = 1, .len = 100 });
	assert_int_equal(script_out(&s)->options.n_sack, 1);
	script_forget(&s);
	script_in(&s, &(struct in){ .flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 1, .len = 10 });
	script_wait(&s, 100 * NS_PER_MS);
	const struct seen *o = script_out(&s);

	assert_non_null(o);
	assert_int_equal(o->ack, 12);
	assert_int_equal(o->options.n_sack, 0);
	assert_int_equal(s.c->inbox.islands, POOL_NONE);
	assert_int_equal(tcp_readable(s.c), 10);
	end(&s);
}

static void ack_with_sack(struct script *s, uint32_t ack, uint32_t left, uint32_t right)
{
	uint8_t options[12] = { 1, 1, 5, 10 };

	for (int i = 0; i < 4; i++) {
		options[4 + i] = (uint8_t)((s->host_isn + left) >> (24 - 8 * i));
		options[8 + i] = (uint8_t)((s->host_isn + right) >> (24 - 8 * i));
	}
	script_in(s,
		  &(struct in){
			  .flags = TCP_ACK, .seq = 1, .ack = ack, .options = options, .options_len = sizeof(options) });
}

/* Would catch: a segment that is taken for lost since one that was sent again has arrived quickly, though another of
 * the same acknowledgement says that originals take longer. */
static void test_late_original(void **state)
{
	struct script s;

	start(&s, NULL);
	write_bytes(&s, 10000, 0);
	script_wait(&s, 100 * NS_PER_MS);
	ack_with_sack(&s, 1, 1001, 3001);
	script_forget(&s);
	ack_with_sack(&s, 1, 8001, 9001);
	expect(&s, 1, 1000, false);
	assert_int_equal(s.c->flight->lost, 6000);
	/* The third one was on its way for 220 ms, the first one, sent again, for 120. */
	script_wait(&s, 120 * NS_PER_MS);
	ack_with_sack(&s, 4001, 8001, 9001);
	assert_int_equal(s.c->flight->lost, 4000);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_fin_before_news),
		cmocka_unit_test(test_push_more),
		cmocka_unit_test(test_push_is_moved),
		cmocka_unit_test(test_cork_ends),
		cmocka_unit_test(test_more_ends),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_window_in_use),
		cmocka_unit_test(test_limited_transmit),
		cmocka_unit_test(test_window_updates),
		cmocka_unit_test(test_timestamp_of_bad_ack),
		cmocka_unit_test(test_data_after_close),
		cmocka_unit_test(test_lowat),
		cmocka_unit_test(test_duplicates_count_once),
		cmocka_unit_test(test_growth_limit),
		cmocka_unit_test(test_info_times),
		cmocka_unit_test(test_small_duplicate),
		cmocka_unit_test(test_reset_of_fin),
		cmocka_unit_test(test_ack_before_all),
		cmocka_unit_test(test_window_with_news),
		cmocka_unit_test(test_late_original),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
