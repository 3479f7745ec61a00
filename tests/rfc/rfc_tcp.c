/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What later RFCs demand of TCP beside its loss recovery (rfc_tcp_loss.c): window scaling and
 * timestamps (7323), blind attacks (5961), ports (6056), numbers (6528), TIME-WAIT (6191), ICMP
 * (5927). Rows are named after sections.
 */
#include "host.h"
#include "host_script.h"

/* --- RFC 7323 --- */

static void scale_both_ways(struct script *s)
{
	begin(s, all_options, 20);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .window = 1000 });
	assert_int_equal(s->c->snd_wnd, 1000u << 7);
	assert_true(s->c->rcv_scale > 0);
}

static void scale_of_a_syn(struct script *s)
{
	script_start(s, NULL);
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = all_options, .options_len = 20, .window = 1000 });
	const struct seen *o = expect(s, TCP_SYN | TCP_ACK);

	assert_true(o->options.has_wscale);
	/* What we say there is not scaled. */
	assert_int_equal(o->window, 65535);
	tcp_unlisten(s->h.tcp, s->listener);
	s->listener = NULL;
	s->has_isn = false;
	script_connect(s);
	script_in(s, &(struct in){ .flags = TCP_SYN | TCP_ACK,
				   .ack = 1,
				   .options = all_options,
				   .options_len = 20,
				   .window = 1000 });
	/* Nor what the peer says there. */
	assert_int_equal(s->c->snd_wnd, 1000);
}

static void scale_is_not_asked_for(struct script *s)
{
	script_start(s, NULL);
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = ts_options, .options_len = 20 });
	assert_false(expect(s, TCP_SYN | TCP_ACK)->options.has_wscale);
}

static void scale_beyond_14(struct script *s)
{
	static const uint8_t o[8] = { 2, 4, 5, 180, 3, 3, 77, 0 };

	begin(s, o, 8);
	assert_int_equal(s->c->snd_scale, 14);
}

static void timestamps_in_all(struct script *s)
{
	begin(s, ts_options, 20);
	user_writes(s, 3000);
	peer_sends(s, TCP_ACK, 100);
	user_shuts(s);
	assert_true(s->n >= 4);
	for (const struct seen *o; (o = script_out(s)) != NULL;)
		assert_true(o->options.has_timestamp);
}

static void timestamps_are_not_asked_for(struct script *s)
{
	begin(s, mss_options, 4);
	user_writes(s, 100);
	assert_false(expect(s, TCP_ACK)->options.has_timestamp);
}

static void echo_of_the_last_in_order(struct script *s)
{
	begin(s, ts_options, 20);
	s->ts_val = 1005;
	peer_sends(s, TCP_ACK, 100);
	assert_int_equal(expect(s, TCP_ACK)->options.ts_ecr, 1005);
	/* Ahead of a gap: the one before it is told on, or the round trip would seem short. */
	s->ts_val = 1010;
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 201, .ack = 1, .len = 100 });
	assert_int_equal(expect(s, TCP_ACK)->options.ts_ecr, 1005);
	/* What fills it counts. */
	s->ts_val = 1011;
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 101, .ack = 1, .len = 100 });
	assert_int_equal(expect(s, TCP_ACK)->options.ts_ecr, 1011);
}

static void paws(struct script *s)
{
	begin(s, ts_options, 20);
	s->ts_val = 2000;
	peer_sends(s, TCP_ACK, 100);
	expect(s, TCP_ACK);
	s->ts_val = 1999;
	peer_sends(s, TCP_ACK, 100);
	/* Thrown away, and answered. */
	expect_ack(s, 101);
	assert_int_equal(tcp_unread(s->c), 100);
	/* A reset is no matter of timestamps. */
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 101 });
	expect_state(s, TCP_CLOSED);
}

static void paws_after_24_days(struct script *s)
{
	begin(s, ts_options, 20);
	s->ts_val = 2000;
	peer_sends(s, TCP_ACK, 100);
	script_wait(s, 25 * 86400 * NS_PER_S);
	s->ts_val = 1000;
	peer_sends(s, TCP_ACK, 100);
	assert_int_equal(tcp_unread(s->c), 200);
}

/* The RFC would have them dropped; Linux takes them, and such peers exist. Counted. */
static void timestamp_is_missing(struct script *s)
{
	begin(s, ts_options, 20);
	s->timestamps = false;
	peer_sends(s, TCP_ACK, 100);
	assert_int_equal(tcp_unread(s->c), 100);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_NO_TIMESTAMP], 1);
}

static void timestamp_of_the_future(struct script *s)
{
	script_start(s, NULL);
	script_connect(s);
	uint8_t o[20];

	memcpy(o, ts_options, 20);
	/* An answer to a timestamp that was never sent. */
	memset(o + 12, 0x11, 4);
	script_in(s, &(struct in){ .flags = TCP_SYN | TCP_ACK, .ack = 1, .options = o, .options_len = 20 });
	expect_state(s, TCP_SYN_SENT);
}

static void ticks(struct script *s)
{
	begin(s, ts_options, 20);
	user_writes(s, 10);
	uint32_t first = expect(s, TCP_ACK)->options.ts_val;

	peer_acks(s, 11);
	script_wait(s, 10 * NS_PER_S);
	user_writes(s, 10);
	uint32_t n = expect(s, TCP_ACK)->options.ts_val - first;

	/* Between 1 ms and 1 s a tick. */
	assert_true(n >= 10 && n <= 10000);
}

static void rtt_by_timestamp(struct script *s)
{
	begin(s, ts_options, 20);
	user_writes(s, 100);
	script_wait(s, 300 * NS_PER_MS);
	assert_true(s->n >= 2);
	uint32_t first = s->seen[0].options.ts_val;

	/* The first copy was on its way for all of that time. */
	s->ts_ecr = first;
	peer_acks(s, 101);
	/* The handshake took no time: an eighth of it counts. */
	assert_true(s->c->srtt >= 290 * NS_PER_MS / 8);
}

static const struct rfc_host_row rfc7323_rows[] = {
	{ "2.2", "The window is scaled when both have said so", scale_both_ways },
	{ "2.2", "... never that of a SYN", scale_of_a_syn },
	{ "2.2", "... and not when the peer has not asked", scale_is_not_asked_for },
	{ "2.3", "A shift beyond 14 counts as 14", scale_beyond_14 },
	{ "3.2", "Timestamps agreed on stand in each segment", timestamps_in_all },
	{ "3.2", "... else in none", timestamps_are_not_asked_for },
	{ "3.2", "A segment without one is taken all the same (as Linux does)", timestamp_is_missing },
	{ "4.1", "A round trip is measured also of what was sent twice", rtt_by_timestamp },
	{ "4.3", "The timestamp of what comes in order is echoed", echo_of_the_last_in_order },
	{ "5.3", "An older timestamp is a segment's end (PAWS)", paws },
	{ "5.4", "The clock ticks between 1 ms and 1 s", ticks },
	{ "5.5", "After 24 days timestamps say nothing", paws_after_24_days },
	{ "7", "An answer to a timestamp that was not sent is none", timestamp_of_the_future },
};
const struct rfc_host_table rfc7323_table = { "RFC 7323", rfc7323_rows, ARRAY_LEN(rfc7323_rows) };

/* --- RFC 5961 --- */

static void reset_exact(struct script *s)
{
	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 1 });
	expect_state(s, TCP_CLOSED);
}

static void reset_in_window(struct script *s)
{
	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 2 });
	expect_ack(s, 1);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 60000 });
	expect_ack(s, 1);
	expect_state(s, TCP_ESTABLISHED);
}

static void reset_out_of_window(struct script *s)
{
	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 0 });
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 70000 });
	expect_nothing(s);
	expect_state(s, TCP_ESTABLISHED);
}

static void syn_is_challenged(struct script *s)
{
	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_SYN, .seq = 100 });
	expect_ack(s, 1);
	script_in(s, &(struct in){ .flags = TCP_SYN, .seq = 0u - 100000 });
	expect_ack(s, 1);
	expect_state(s, TCP_ESTABLISHED);
}

static void ack_too_old_or_new(struct script *s)
{
	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2, .len = 10 });
	expect_ack(s, 1);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1u - 100000, .len = 10 });
	expect_ack(s, 1);
	assert_int_equal(tcp_unread(s->c), 0);
	/* Not as old as the window is wide, and of bytes that were there: taken. */
	assert_int_equal(host_send(&s->h, s->c, "ten bytes", 10), 10);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 11 });
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 0, .len = 10 });
	assert_int_equal(tcp_unread(s->c), 0);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10 });
	assert_int_equal(tcp_unread(s->c), 10);
}

static void challenges_are_limited(struct script *s)
{
	begin(s, mss_options, 4);
	for (uint32_t i = 0; i < 50; i++)
		script_in(s, &(struct in){ .flags = TCP_RST, .seq = 2 + i });
	assert_true(s->n >= 1 && s->n <= 10);
	script_wait(s, 2 * NS_PER_S);
	script_forget(s);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 2 });
	expect_ack(s, 1);
}

static const struct rfc_host_row rfc5961_rows[] = {
	{ "3.2", "A reset with the number that is expected ends it", reset_exact },
	{ "3.2", "... elsewhere in the window it is challenged", reset_in_window },
	{ "3.2", "... outside it is ignored", reset_out_of_window },
	{ "4.2", "A SYN is challenged wherever it stands", syn_is_challenged },
	{ "5.2", "An acknowledgement of what was not sent, or long ago, is challenged", ack_too_old_or_new },
	{ "7", "Challenges are limited", challenges_are_limited },
};
const struct rfc_host_table rfc5961_table = { "RFC 5961", rfc5961_rows, ARRAY_LEN(rfc5961_rows) };

/* --- RFC 6056, 6528 --- */

static void ports_are_drawn(struct script *s)
{
	struct tcp_end local = { .port = 0 }, l, r;
	uint16_t last = 0;
	uint32_t n_next = 0, n_high = 0;

	script_start(s, NULL);
	for (uint16_t i = 0; i < 64; i++) {
		struct tcp_end remote = { ip_addr_v4(A_ADDR), (uint16_t)(7000 + i) };

		s->c = tcp_open(s->h.tcp, 1);
		assert_int_equal(tcp_connect(s->h.tcp, s->c, 0, &local, &remote), -EINPROGRESS);
		tcp_ends(s->c, &l, &r);
		assert_true(l.port >= s->h.tcp->cfg.port_first && l.port <= s->h.tcp->cfg.port_last);
		n_next += (uint16_t)(l.port - last) <= 2;
		n_high += l.port >= 46000;
		last = l.port;
		user_closes(s);
	}
	assert_true(n_next < 4);
	assert_true(n_high > 10 && n_high < 54);
}

static void ports_are_not_used_twice(struct script *s)
{
	struct tcp_config cfg = tcp_default_config;
	struct tcp_end local = { .port = 0 }, remote = { ip_addr_v4(A_ADDR), 7000 };
	struct tcp_conn *c[9];

	cfg.port_first = 40000;
	cfg.port_last = 40007;
	script_start(s, &cfg);
	for (uint32_t i = 0; i < 9; i++) {
		c[i] = tcp_open(s->h.tcp, 1);
		assert_int_equal(tcp_connect(s->h.tcp, c[i], 0, &local, &remote),
				 i < 8 ? -EINPROGRESS : -EADDRNOTAVAIL);
	}
	for (uint32_t i = 0; i < 9; i++)
		tcp_close(s->h.tcp, c[i]);
}

static const struct rfc_host_row rfc6056_rows[] = {
	{ "3.2", "Ports are drawn from the whole range, and no neighbour follows", ports_are_drawn },
	{ "3.3.4", "A port that the same two ends use is not drawn again", ports_are_not_used_twice },
};
const struct rfc_host_table rfc6056_table = { "RFC 6056", rfc6056_rows, ARRAY_LEN(rfc6056_rows) };

/* Chi-square of each byte of ISN minus clock, over many tuples: a byte that is not uniform stands far out. */
static void isn_is_uniform(struct script *s)
{
	enum { N = 1 << 18 };
	static uint32_t n[4][256];

	script_start(s, NULL);
	for (uint32_t i = 0; i < N; i++) {
		struct tcp_node node = {
			.laddr = B_ADDR, .raddr = A_ADDR + (i >> 16), .lport = SERVICE, .rport = (uint16_t)i
		};
		uint32_t x = tcp_isn(s->h.tcp, &node);

		for (uint32_t k = 0; k < 4; k++)
			n[k][x >> 8 * k & 255]++;
	}
	for (uint32_t k = 0; k < 4; k++) {
		double chi = 0;

		for (uint32_t v = 0; v < 256; v++)
			chi += (n[k][v] - N / 256.0) * (n[k][v] - N / 256.0) / (N / 256.0);
		/* 255 degrees of freedom: 255 +- 22.6; five of those. */
		assert_true(chi > 142 && chi < 368);
		memset(n[k], 0, sizeof(n[k]));
	}
}

static void isn_of_one_tuple(struct script *s)
{
	struct tcp_node node = { .laddr = B_ADDR, .raddr = A_ADDR, .lport = SERVICE, .rport = 99 };

	script_start(s, NULL);
	uint32_t first = tcp_isn(s->h.tcp, &node);

	script_wait(s, 60 * NS_PER_S);
	assert_int_equal(tcp_isn(s->h.tcp, &node) - first, 60 * 250000);
}

static const struct rfc_host_row rfc6528_rows[] = {
	{ "3", "Of one pair of ends the numbers go with the clock", isn_of_one_tuple },
	{ "3", "Of different ones every byte is uniform", isn_is_uniform },
};
const struct rfc_host_table rfc6528_table = { "RFC 6528", rfc6528_rows, ARRAY_LEN(rfc6528_rows) };

/* --- RFC 6191 --- */

static void syn_again(struct script *s, uint32_t seq, uint32_t ts, bool is_taken)
{
	uint8_t o[20];

	memcpy(o, ts_options, 20);
	o[10] = (uint8_t)(ts >> 8);
	o[11] = (uint8_t)ts;
	script_in(s, &(struct in){ .flags = TCP_SYN, .seq = seq, .options = o, .options_len = ts != 0 ? 20 : 4 });
	expect(s, is_taken ? TCP_SYN | TCP_ACK : TCP_ACK);
	assert_int_equal(s->h.tcp->time_wait.n_used, !is_taken);
}

static void newer_timestamp(struct script *s)
{
	to_time_wait(s, ts_options, 20);
	syn_again(s, 0u - 70000, 1001, true);
}

static void same_timestamp_higher_number(struct script *s)
{
	to_time_wait(s, ts_options, 20);
	syn_again(s, 100000, 1000, true);
}

static void same_timestamp_lower_number(struct script *s)
{
	to_time_wait(s, ts_options, 20);
	syn_again(s, 0u - 70000, 1000, false);
}

static void older_timestamp(struct script *s)
{
	to_time_wait(s, ts_options, 20);
	syn_again(s, 100000, 900, false);
}

static void no_timestamps(struct script *s)
{
	to_time_wait(s, mss_options, 4);
	syn_again(s, 100000, 0, true);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 100001 });
	tcp_unlisten(s->h.tcp, s->listener);
	s->listener = NULL;
	script_end(s);
	to_time_wait(s, mss_options, 4);
	syn_again(s, 0u - 70000, 0, false);
}

static const struct rfc_host_row rfc6191_rows[] = {
	{ "2", "A SYN with a newer timestamp begins anew", newer_timestamp },
	{ "2", "... with the same one if its number is higher", same_timestamp_higher_number },
	{ "2", "... and else not", same_timestamp_lower_number },
	{ "2", "... nor with an older one", older_timestamp },
	{ "2", "Without timestamps the number decides", no_timestamps },
};
const struct rfc_host_table rfc6191_table = { "RFC 6191", rfc6191_rows, ARRAY_LEN(rfc6191_rows) };

/* --- RFC 5927 --- */

static void error_of_another_number(struct script *s)
{
	script_start(s, NULL);
	script_connect(s);
	script_icmp(s, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 5000, 0);
	expect_state(s, TCP_SYN_SENT);
}

static void hard_error_when_open(struct script *s)
{
	begin(s, mss_options, 4);
	user_writes(s, 1000);
	script_icmp(s, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 1, 0);
	script_icmp(s, ICMP_DEST_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE, 1, 0);
	expect_state(s, TCP_ESTABLISHED);
}

static void path_mtu(struct script *s)
{
	begin(s, mss_options, 4);
	user_writes(s, 5000);
	script_forget(s);
	script_icmp(s, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 1, 1000);
	/* What was too large is sent again, smaller. */
	assert_true(expect(s, TCP_ACK)->len <= 960);
}

static void path_mtu_of_another_number(struct script *s)
{
	begin(s, mss_options, 4);
	user_writes(s, 5000);
	script_forget(s);
	script_icmp(s, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 100000, 1000);
	expect_nothing(s);
	assert_int_equal(s->c->mss, 1460);
}

static void path_mtu_has_a_floor(struct script *s)
{
	begin(s, mss_options, 4);
	user_writes(s, 5000);
	script_icmp(s, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 1, 68);
	assert_true(s->c->mss >= 500);
	/* Nor does one make it larger. */
	script_icmp(s, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 1, 9000);
	assert_true(s->c->mss <= 552);
}

static const struct rfc_host_row rfc5927_rows[] = {
	{ "4.1", "An error about what is not on its way is ignored", error_of_another_number },
	{ "4.1", "... also about the path's MTU", path_mtu_of_another_number },
	{ "5.2", "No error ends what is open", hard_error_when_open },
	{ "6.1", "Source quench is ignored", .why = "RFC 9293 MUST-55 has the row" },
	{ "7.2", "The path's MTU is heard", path_mtu },
	{ "7.2", "... down to a floor, and never up", path_mtu_has_a_floor },
};
const struct rfc_host_table rfc5927_table = { "RFC 5927", rfc5927_rows, ARRAY_LEN(rfc5927_rows) };
