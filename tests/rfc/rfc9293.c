/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 9293: what is demanded of TCP. Here the header, options, how connections begin and end,
 * and the user's calls. Data, windows, timers and the IP layer are in rfc9293_data.c.
 */
#include "host.h"
#include "host_script.h"

/* --- section 3.1, 3.2 --- */

/* Would catch: a window of which the highest bit is taken for a sign. */
static void window_is_unsigned(struct script *s)
{
	struct tcp_config cfg = tcp_default_config;

	cfg.init_cwnd = 100;
	begin_with(s, &cfg, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .window = 65535 });
	user_writes(s, 80000);
	uint32_t n = bytes_out(s);

	assert_true(n > 64000 && n <= 65535);
}

/* The script verifies each segment that comes back. */
static void checksum_is_made(struct script *s)
{
	begin(s, ts_options, 20);
	user_writes(s, 5000);
	assert_int_equal(bytes_out(s), 5000);
	user_shuts(s);
	expect(s, TCP_FIN | TCP_ACK);
}

static void checksum_is_looked_at(struct script *s)
{
	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 100, .damaged = true });
	expect_nothing(s);
	assert_int_equal(tcp_unread(s->c), 0);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 1, .damaged = true });
	expect_state(s, TCP_ESTABLISHED);
	peer_sends(s, TCP_ACK, 100);
	assert_int_equal(tcp_unread(s->c), 100);
}

static void mss_of(struct script *s, const uint8_t *options, uint32_t len, uint32_t mss)
{
	begin(s, options, len);
	user_writes(s, 3000);
	assert_int_equal(expect(s, TCP_ACK)->len, mss);
}

static void end_and_nop(struct script *s)
{
	/* An MSS of 700, and behind the end of the list one that does not count. */
	static const uint8_t o[12] = { 1, 1, 2, 4, 2, 188, 0, 2, 4, 1, 0, 0 };

	mss_of(s, o, 12, 700);
}

static void option_not_on_a_word(struct script *s)
{
	static const uint8_t o[8] = { 1, 2, 4, 2, 188, 1, 1, 1 };

	mss_of(s, o, 8, 700);
}

static void unknown_option(struct script *s)
{
	static const uint8_t o[12] = { 77, 6, 1, 2, 3, 4, 2, 4, 2, 188, 0, 0 };

	mss_of(s, o, 12, 700);
}

static void option_in_any_segment(struct script *s)
{
	static const uint8_t o[8] = { 2, 4, 1, 0, 77, 4, 1, 1 };

	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10, .options = o, .options_len = 8 });
	assert_int_equal(tcp_unread(s->c), 10);
	/* That MSS came too late. */
	user_writes(s, 1460);
	expect_ack(s, 11);
	assert_int_equal(expect(s, TCP_ACK)->len, 1460);
	script_in(s,
		  &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 11, .ack = 1461, .options = o, .options_len = 8 });
	expect_state(s, TCP_CLOSE_WAIT);
}

static void illegal_length(struct script *s)
{
	static const uint8_t zero[4] = { 77, 0, 1, 1 }, beyond[4] = { 77, 40, 1, 1 }, one[4] = { 8, 1, 1, 1 };
	const uint8_t *all[3] = { zero, beyond, one };

	begin(s, mss_options, 4);
	for (uint32_t i = 0; i < 3; i++) {
		script_in(s, &(struct in){ .flags = TCP_ACK,
					   .seq = 1 + 10 * i,
					   .ack = 1,
					   .len = 10,
					   .options = all[i],
					   .options_len = 4 });
		assert_int_equal(tcp_unread(s->c), 10 * (i + 1));
	}
	expect_state(s, TCP_ESTABLISHED);
}

/* --- section 3.4.1, RFC 6528 --- */

static void connects(struct script *s)
{
	struct tcp_end local = { .port = SERVICE }, remote = { ip_addr_v4(A_ADDR), PEER_PORT };

	s->c = tcp_open(s->h.tcp, 1);
	assert_int_equal(tcp_connect(s->h.tcp, s->c, 0, &local, &remote), -EINPROGRESS);
	ip_flush(s->h.ip);
}

static void isn_by_clock(struct script *s)
{
	script_start(s, NULL);
	connects(s);
	assert_int_equal(expect(s, TCP_SYN)->seq, 0);
	user_closes(s);
	script_wait(s, NS_PER_S);
	connects(s);
	/* One in four microseconds. */
	assert_int_equal(expect(s, TCP_SYN)->seq, 250000);
}

static void isn_not_to_be_guessed(struct script *s)
{
	uint32_t last = 0, n_near = 0, bits = 0;

	script_start(s, NULL);
	for (uint16_t i = 0; i < 64; i++) {
		struct tcp_node n = {
			.laddr = B_ADDR, .raddr = A_ADDR, .lport = SERVICE, .rport = (uint16_t)(1000 + i)
		};
		uint32_t isn = tcp_isn(s->h.tcp, &n);

		n_near += i > 0 && isn - last + 1000000 < 2000000;
		bits |= (isn ^ last) * (i > 0);
		last = isn;
	}
	assert_true(n_near <= 1);
	assert_int_equal(bits, UINT32_MAX);
}

/* --- section 3.5 --- */

static void simultaneous_open(struct script *s)
{
	script_start(s, NULL);
	script_connect(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = mss_options, .options_len = 4 });
	expect_state(s, TCP_SYN_RECEIVED);
	assert_int_equal(expect(s, TCP_SYN | TCP_ACK)->ack, 1);
	script_in(s, &(struct in){ .flags = TCP_SYN | TCP_ACK, .ack = 1, .options = mss_options, .options_len = 4 });
	expect_state(s, TCP_ESTABLISHED);
	script_forget(s);
	peer_sends(s, TCP_ACK, 10);
	assert_int_equal(tcp_unread(s->c), 10);
	user_writes(s, 10);
	expect_ack(s, 11);
}

static void how_it_was_opened(struct script *s)
{
	/* By the peer: a reset leads back to LISTEN, and nobody hears of it. */
	script_start(s, NULL);
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN });
	expect(s, TCP_SYN | TCP_ACK);
	assert_int_equal(s->h.tcp->half_open.n_used, 1);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 1 });
	assert_int_equal(s->h.tcp->half_open.n_used, 0);
	assert_int_equal(s->h.n_acceptable, 0);
	/* By us: the user is refused. */
	tcp_unlisten(s->h.tcp, s->listener);
	s->listener = NULL;
	s->has_isn = false;
	connects(s);
	expect(s, TCP_SYN);
	script_in(s, &(struct in){ .flags = TCP_SYN });
	expect_state(s, TCP_SYN_RECEIVED);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 1 });
	expect_state(s, TCP_CLOSED);
	assert_int_equal(tcp_take_error(s->c), ECONNREFUSED);
}

/* --- section 3.6 --- */

static void closed_or_aborted(struct script *s)
{
	begin(s, mss_options, 4);
	peer_sends(s, TCP_FIN | TCP_ACK, 0);
	assert_int_equal(user_reads(s, 100), 0);
	assert_int_equal(tcp_take_error(s->c), 0);
	tcp_abort(s->h.tcp, s->c);
	script_end(s);
	begin(s, mss_options, 4);
	script_in(s, &(struct in){ .flags = TCP_RST, .seq = 1 });
	assert_int_equal(user_reads(s, 100), -ECONNRESET);
	assert_int_equal(tcp_state(s->c), TCP_CLOSED);
}

static void close_with_unread_data(struct script *s)
{
	begin(s, mss_options, 4);
	peer_sends(s, TCP_ACK, 10);
	expect_ack(s, 11);
	user_closes(s);
	expect(s, TCP_RST | TCP_ACK);
	assert_int_equal(s->h.tcp->conns.n_used, 0);
}

static void data_behind_close(struct script *s)
{
	begin(s, mss_options, 4);
	user_closes(s);
	expect(s, TCP_FIN | TCP_ACK);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2, .len = 10 });
	/* With the number that the other end takes at once (RFC 5961): that of its acknowledgement. */
	const struct seen *o = expect(s, TCP_RST);

	assert_int_equal(o->seq, 2);
	assert_int_equal(s->h.tcp->conns.n_used, 0);
}

static void half_close(struct script *s)
{
	begin(s, mss_options, 4);
	user_shuts(s);
	expect(s, TCP_FIN | TCP_ACK);
	peer_acks(s, 2);
	expect_state(s, TCP_FIN_WAIT_2);
	peer_sends(s, TCP_ACK, 1000);
	assert_int_equal(user_reads(s, 2000), 1000);
	peer_sends(s, TCP_FIN | TCP_ACK, 0);
	assert_int_equal(user_reads(s, 2000), 0);
}

static void time_wait_lasts(struct script *s)
{
	to_time_wait(s, mss_options, 4);
	script_wait(s, 59 * NS_PER_S);
	assert_int_equal(s->h.tcp->time_wait.n_used, 1);
	/* The FIN again: its acknowledgement was lost. It is answered, and the wait begins anew. */
	script_in(s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 2 });
	expect_ack(s, 2);
	script_wait(s, 59 * NS_PER_S);
	assert_int_equal(s->h.tcp->time_wait.n_used, 1);
	script_wait(s, 2 * NS_PER_S);
	assert_int_equal(s->h.tcp->time_wait.n_used, 0);
}

static void time_wait_is_shortened(struct script *s)
{
	static const uint8_t newer[20] = { 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 3, 240, 0, 0, 0, 0, 1, 1, 1, 0 };

	to_time_wait(s, ts_options, 20);
	/* From a number that stands before what was received: only the timestamp says that it is new. */
	script_in(s, &(struct in){ .flags = TCP_SYN, .seq = 0u - 5000, .options = newer, .options_len = 20 });
	expect(s, TCP_SYN | TCP_ACK);
	assert_int_equal(s->h.tcp->time_wait.n_used, 0);
}

/* --- section 3.7.1 --- */

static void mss_both_ways(struct script *s)
{
	script_start(s, NULL);
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = mss_options, .options_len = 4 });
	const struct seen *o = expect(s, TCP_SYN | TCP_ACK);

	assert_true(o->options.has_mss);
	/* What an Ethernet frame has room for. */
	assert_int_equal(o->options.mss, 1460);
	tcp_unlisten(s->h.tcp, s->listener);
	s->listener = NULL;
	s->has_isn = false;
	connects(s);
	o = expect(s, TCP_SYN);
	assert_true(o->options.has_mss);
	assert_int_equal(o->options.mss, 1460);
}

static void mss_is_not_said(struct script *s)
{
	mss_of(s, NULL, 0, 536);
}

static void mss_of_a_jumbo_peer(struct script *s)
{
	static const uint8_t o[4] = { 2, 4, 35, 0 };

	mss_of(s, o, 4, 1460);
}

static void options_are_taken_off(struct script *s)
{
	mss_of(s, ts_options, 20, 1448);
}

static void mss_only_in_a_syn(struct script *s)
{
	begin(s, ts_options, 20);
	user_writes(s, 20000);
	peer_sends(s, TCP_ACK, 10);
	user_shuts(s);
	script_wait(s, 10 * NS_PER_S);
	for (const struct seen *o; (o = script_out(s)) != NULL;)
		assert_false(o->options.has_mss);
}

static void mss_of_a_small_link(struct script *s)
{
	script_start(s, NULL);
	s->dev.mtu = 576;
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = mss_options, .options_len = 4 });
	assert_int_equal(expect(s, TCP_SYN | TCP_ACK)->options.mss, 536);
}

/* --- section 3.9.1 --- */

static void listening_changes_nothing(struct script *s)
{
	struct tcp_end local = { .port = SERVICE };
	struct tcp_listen_options o = { .backlog = 4 };
	struct tcp_listener *l;

	begin(s, mss_options, 4);
	assert_int_equal(tcp_listen(s->h.tcp, 0, &local, &o, 1, &l), -EADDRINUSE);
	local.port = SERVICE + 1;
	assert_int_equal(tcp_listen(s->h.tcp, 0, &local, &o, 1, &l), 0);
	peer_sends(s, TCP_ACK, 10);
	assert_int_equal(tcp_unread(s->c), 10);
	tcp_unlisten(s->h.tcp, l);
}

static void listening_beside_an_open(struct script *s)
{
	script_start(s, NULL);
	script_connect(s);
	script_listen(s);
	/* Another peer's SYN goes to the listener, our own peer's answer to the connection. */
	script_in(s, &(struct in){ .flags = TCP_SYN, .sport = 6000 });
	expect(s, TCP_SYN | TCP_ACK);
	script_in(s, &(struct in){ .flags = TCP_SYN | TCP_ACK, .ack = 1 });
	expect_state(s, TCP_ESTABLISHED);
}

static void address_is_chosen(struct script *s)
{
	struct tcp_end local = { .addr = ip_addr_v4(B_ADDR), .port = 99 }, remote = { ip_addr_v4(A_ADDR), PEER_PORT };
	struct tcp_end l, r;

	script_start(s, NULL);
	/* Not said: IP is asked. */
	connects(s);
	tcp_ends(s->c, &l, &r);
	assert_int_equal(l.addr.v4, B_ADDR);
	user_closes(s);
	/* Said. */
	s->c = tcp_open(s->h.tcp, 1);
	assert_int_equal(tcp_connect(s->h.tcp, s->c, 0, &local, &remote), -EINPROGRESS);
	tcp_ends(s->c, &l, &r);
	assert_int_equal(l.addr.v4, B_ADDR);
	assert_int_equal(l.port, 99);
}

static void nonsense_is_not_connected_to(struct script *s)
{
	static const uint32_t bad[2] = { IP4(224, 0, 0, 1), IP4(255, 255, 255, 255) };
	struct tcp_end local = { .port = SERVICE };

	script_start(s, NULL);
	for (uint32_t i = 0; i < 2; i++) {
		struct tcp_end remote = { ip_addr_v4(bad[i]), PEER_PORT };

		s->c = tcp_open(s->h.tcp, 1);
		assert_true(tcp_connect(s->h.tcp, s->c, 0, &local, &remote) < 0);
		expect_state(s, TCP_CLOSED);
		user_closes(s);
	}
	expect_nothing(s);
}

static void tos_and_ttl(struct script *s)
{
	begin(s, mss_options, 4);
	tcp_set_option(s->h.tcp, s->c, TCP_OPTION_TOS, 0x88);
	tcp_set_option(s->h.tcp, s->c, TCP_OPTION_TTL, 17);
	user_writes(s, 100);
	const struct seen *o = expect(s, TCP_ACK);

	assert_int_equal(o->tos, 0x88);
	assert_int_equal(o->ttl, 17);
	/* In the middle of the connection too. */
	peer_acks(s, 101);
	tcp_set_option(s->h.tcp, s->c, TCP_OPTION_TOS, 0x20);
	user_writes(s, 100);
	assert_int_equal(expect(s, TCP_ACK)->tos, 0x20);
}

/* --- section 3.10.7.2 --- */

static void syn_to_everybody(struct script *s)
{
	script_start(s, NULL);
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .dst = IP4(10, 0, 0, 255) });
	script_in(s, &(struct in){ .flags = TCP_SYN, .dst = IP4(255, 255, 255, 255) });
	script_in(s, &(struct in){ .flags = TCP_SYN, .dst = IP4(224, 0, 0, 1) });
	expect_nothing(s);
	assert_int_equal(s->n_others, 0);
	assert_int_equal(s->h.tcp->half_open.n_used, 0);
}

static void syn_from_nobody(struct script *s)
{
	static const uint32_t bad[5] = { IP4(224, 0, 0, 1), IP4(255, 255, 255, 255), IP4(127, 0, 0, 1),
					 IP4(0, 0, 0, 0) + 1, B_ADDR };

	script_start(s, NULL);
	script_listen(s);
	for (uint32_t i = 0; i < 5; i++)
		script_in(s, &(struct in){ .flags = TCP_SYN, .src = bad[i] });
	expect_nothing(s);
	assert_int_equal(s->h.tcp->half_open.n_used, 0);
}

#define NO_SOURCE_ROUTE "no packet with a source route is taken or made (RFC 7126 section 4.3)"

static const struct rfc_host_row rows[] = {
	{ "MUST-1", "The window is an unsigned number", window_is_unsigned },
	{ "MUST-2", "Whoever sends makes the checksum", checksum_is_made },
	{ "MUST-3", "Whoever receives looks at it", checksum_is_looked_at },
	{ "MUST-4", "The end of the list, NOP and MSS are known", end_and_nop },
	{ "MUST-5", "An option may stand in any segment", option_in_any_segment },
	{ "MUST-6", "An option that nobody knows is skipped", unknown_option },
	{ "MUST-7", "An illegal length ends the list and nothing else", illegal_length },
	{ "MUST-8", "The initial number goes with a clock of 4 microseconds", isn_by_clock },
	{ "MUST-9", "Nobody outside can compute it", isn_not_to_be_guessed },
	{ "MUST-10", "Both ends may open at once", simultaneous_open },
	{ "MUST-11", "SYN-RECEIVED knows whether we have opened", how_it_was_opened },
	{ "MUST-12", "The user learns whether the peer has closed or aborted", closed_or_aborted },
	{ "MUST-13", "TIME-WAIT lasts for 2 MSL", time_wait_lasts },
	{ "MUST-14", "The MSS option is sent and heard", mss_both_ways },
	{ "MUST-15", "Without it segments are of 536 bytes", mss_is_not_said },
	{ "MUST-16", "No segment is longer than the peer and the link take", mss_of_a_jumbo_peer },
	{ "MUST-16", "... with its options", options_are_taken_off },
	{ "MUST-41", "A passive open leaves what is there alone", listening_changes_nothing },
	{ "MUST-42", "A port can be listened at from which somebody connects", listening_beside_an_open },
	{ "MUST-43", "The local address can be said", address_is_chosen },
	{ "MUST-44", "... or is asked of IP, before the SYN", address_is_chosen },
	{ "MUST-46", "No connection to a broadcast or multicast address", nonsense_is_not_connected_to },
	{ "MUST-48", "The user says the Diffserv field", tos_and_ttl },
	{ "MUST-49", "... and the TTL", tos_and_ttl },
	{ "MUST-51", "The user can say a source route", .why = NO_SOURCE_ROUTE },
	{ "MUST-52", "... which goes before the one that came", .why = NO_SOURCE_ROUTE },
	{ "MUST-53", "A source route that came is used back", .why = NO_SOURCE_ROUTE },
	{ "MUST-57", "A SYN to a broadcast or multicast address is not answered", syn_to_everybody },
	{ "MUST-63", "A SYN from an address that cannot be is ignored", syn_from_nobody },
	{ "MUST-64", "An option need not begin on a word", option_not_on_a_word },
	{ "MUST-65", "MSS stands in SYNs alone", mss_only_in_a_syn },
	{ "MUST-67", "It is no larger than what can be received", mss_both_ways },
	{ "MUST-68", "Options have lengths", unknown_option },
	{ "MUST-69", "Behind the end of the list stand zeros",
	  .why = "our lists are filled up with NOPs and have no end" },
	{ "SHLD-1", "The initial number is the clock and a keyed function of the ends", isn_not_to_be_guessed },
	{ "SHLD-3", "Closing with unread data sends a reset", close_with_unread_data },
	{ "SHLD-3", "... and so do data behind a close", data_behind_close },
	{ "MAY-1", "Closed one way, the other goes on", half_close },
	{ "SHLD-4", "Timestamps shorten TIME-WAIT", time_wait_is_shortened },
	{ "SHLD-5", "The MSS option stands in each SYN", mss_both_ways },
	{ "SHLD-6", "... for the smallest MTU of the interface", mss_of_a_small_link },
	{ "SHLD-21", "The Diffserv field can change while it is open", tos_and_ttl },
	{ "SHLD-22", "... and reaches IP unchanged", tos_and_ttl },
	{ "SHLD-23", "An application should leave it as it is", .why = "the application's business" },
	{ "SHLD-24", "A later source route counts", .why = NO_SOURCE_ROUTE },
};

const struct rfc_host_table rfc9293_table = { "RFC 9293", rows, ARRAY_LEN(rows) };
