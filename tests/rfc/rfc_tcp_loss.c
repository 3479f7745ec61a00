/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loss recovery and congestion control, RFC by RFC: 2018 and 2883 (SACK), 6298 (RTO), 8985
 * (RACK-TLP), 9937 (PRR), 5682 (F-RTO), 6582 (NewReno), 9438 (CUBIC), 9406 (HyStart++). Rows are
 * named after sections.
 *
 * The usual beginning: ten segments of 1,460 bytes are on their way, and the round trip is
 * known to be 100 ms.
 */
#include "host.h"
#include "host_script.h"

#define MSS 1460u

static void ten_out(struct script *s, const uint8_t *options, uint32_t len, const char *congestion)
{
	struct tcp_config cfg = tcp_default_config;

	cfg.congestion = congestion;
	begin_with(s, &cfg, options, len);
	/* The handshake took no time, which says nothing here. */
	tcp_rtt_init(s->c);
	user_writes(s, 100);
	script_wait(s, 100 * NS_PER_MS);
	peer_acks(s, 101);
	user_writes(s, 10 * MSS);
	script_forget(s);
	script_wait(s, 100 * NS_PER_MS);
}

/* Of the n-th of the ten segments, from 1: where it begins. */
static uint32_t at(uint32_t n)
{
	return 101 + (n - 1) * MSS;
}

static uint32_t n_out(const struct script *s)
{
	return s->n - s->read;
}

/* --- RFC 2018, as the receiver --- */

static void ahead(struct script *s, uint32_t seq, uint32_t len)
{
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = seq, .ack = 1, .len = len });
}

static void sack_is_agreed_on(struct script *s)
{
	script_start(s, NULL);
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = sack_options, .options_len = 8 });
	assert_true(expect(s, TCP_SYN | TCP_ACK)->options.has_sack_ok);
}

static void sack_is_not_agreed_on(struct script *s)
{
	begin(s, mss_options, 4);
	ahead(s, 1001, 100);
	assert_int_equal(expect_ack(s, 1)->options.n_sack, 0);
}

static void newest_block_first(struct script *s)
{
	begin(s, sack_options, 8);
	ahead(s, 1001, 100);
	const struct seen *o = expect_ack(s, 1);

	assert_int_equal(o->options.n_sack, 1);
	assert_int_equal(o->options.sack[0].left, 1001);
	assert_int_equal(o->options.sack[0].right, 1101);
	ahead(s, 3001, 100);
	o = expect_ack(s, 1);
	assert_int_equal(o->options.n_sack, 2);
	assert_int_equal(o->options.sack[0].left, 3001);
	assert_int_equal(o->options.sack[1].left, 1001);
	/* One that grows is the newest, and is told whole. */
	ahead(s, 1101, 100);
	o = expect_ack(s, 1);
	assert_int_equal(o->options.sack[0].left, 1001);
	assert_int_equal(o->options.sack[0].right, 1201);
	assert_int_equal(o->options.sack[1].left, 3001);
}

static void as_many_blocks_as_fit(struct script *s)
{
	begin(s, sack_options, 8);
	for (uint32_t i = 0; i < 6; i++)
		ahead(s, 1001 + 1000 * i, 100);
	assert_int_equal(s->seen[s->n - 1].options.n_sack, 4);
	tcp_abort(s->h.tcp, s->c);
	script_end(s);
	begin(s, ts_options, 20);
	for (uint32_t i = 0; i < 6; i++)
		ahead(s, 1001 + 1000 * i, 100);
	assert_int_equal(s->seen[s->n - 1].options.n_sack, 3);
}

static void what_was_sacked_is_not_sent(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	/* All but the first and the fifth. */
	uint8_t o[20] = { 1, 1, 5, 18 };
	uint32_t edge[4] = { at(2), at(5), at(6), at(11) };

	for (uint32_t i = 0; i < 16; i++)
		o[4 + i] = (uint8_t)((s->host_isn + edge[i / 4]) >> (24 - 8 * (i % 4)));
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = at(1), .options = o, .options_len = 20 });
	script_wait(s, 150 * NS_PER_MS);
	bool seen_first = false, seen_fifth = false;

	for (const struct seen *x; (x = script_out(s)) != NULL;) {
		assert_true(x->seq == at(1) || x->seq == at(5));
		seen_first |= x->seq == at(1);
		seen_fifth |= x->seq == at(5);
	}
	assert_true(seen_first && seen_fifth);
}

static void sacks_are_forgotten(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	/* The first too, which is not acknowledged: it has been thrown away. */
	peer_sacks(s, at(1), at(1), at(11));
	script_wait(s, 3 * NS_PER_S);
	bool seen_first = false;

	for (const struct seen *o; (o = script_out(s)) != NULL;)
		seen_first |= o->seq == at(1) && o->len > 0;
	assert_true(seen_first);
}

static void sack_beyond_what_was_sent(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	peer_sacks(s, at(1), at(11) + 1000, at(11) + 2000);
	peer_sacks(s, at(1), at(5), at(11) + 1);
	peer_sacks(s, at(1), at(5), at(3));
	assert_int_equal(s->c->flight->sacked, 0);
	expect_state(s, TCP_ESTABLISHED);
}

static const struct rfc_host_row rfc2018_rows[] = {
	{ "2", "SACK is used when both have said so", sack_is_agreed_on },
	{ "2", "... and else not", sack_is_not_agreed_on },
	{ "4", "The first block is the newest, and whole", newest_block_first },
	{ "4", "As many blocks as there is room for", as_many_blocks_as_fit },
	{ "5", "What was told of is not sent again", what_was_sacked_is_not_sent },
	{ "8", "... until a timeout, if the first is among it", sacks_are_forgotten },
	{ "5", "Blocks of what was never sent count for nothing", sack_beyond_what_was_sent },
};
const struct rfc_host_table rfc2018_table = { "RFC 2018", rfc2018_rows, ARRAY_LEN(rfc2018_rows) };

/* --- RFC 2883 --- */

static void dsack_of_old_data(struct script *s)
{
	begin(s, sack_options, 8);
	ahead(s, 1, 1000);
	script_forget(s);
	ahead(s, 1, 500);
	const struct seen *o = expect_ack(s, 1001);

	assert_int_equal(o->options.n_sack, 1);
	assert_int_equal(o->options.sack[0].left, 1);
	assert_int_equal(o->options.sack[0].right, 501);
	/* Once. */
	ahead(s, 1001, 100);
	assert_int_equal(expect_ack(s, 1101)->options.n_sack, 0);
}

static void dsack_of_a_part(struct script *s)
{
	begin(s, sack_options, 8);
	ahead(s, 1, 1000);
	script_forget(s);
	ahead(s, 501, 1000);
	const struct seen *o = expect_ack(s, 1501);

	assert_int_equal(o->options.sack[0].left, 501);
	assert_int_equal(o->options.sack[0].right, 1001);
}

static void dsack_ahead_of_a_gap(struct script *s)
{
	begin(s, sack_options, 8);
	ahead(s, 2001, 1000);
	script_forget(s);
	ahead(s, 2501, 500);
	const struct seen *o = expect_ack(s, 1);

	/* What came twice, and the block that has it. */
	assert_int_equal(o->options.n_sack, 2);
	assert_int_equal(o->options.sack[0].left, 2501);
	assert_int_equal(o->options.sack[0].right, 3001);
	assert_int_equal(o->options.sack[1].left, 2001);
	assert_int_equal(o->options.sack[1].right, 3001);
}

static const struct rfc_host_row rfc2883_rows[] = {
	{ "4", "What came twice is told, once, as the first block", dsack_of_old_data },
	{ "4.1", "... of a segment in part", dsack_of_a_part },
	{ "4.2", "... ahead of a gap with the block that has it", dsack_ahead_of_a_gap },
};
const struct rfc_host_table rfc2883_table = { "RFC 2883", rfc2883_rows, ARRAY_LEN(rfc2883_rows) };

/* --- RFC 6298 --- */

static void first_timeout(struct script *s)
{
	script_start(s, NULL);
	uint64_t from = s->now;

	script_connect(s);
	script_wait(s, 1100 * NS_PER_MS);
	assert_int_equal(s->n, 1);
	assert_true(s->seen[0].at - from >= 990 * NS_PER_MS && s->seen[0].at - from <= 1010 * NS_PER_MS);
}

static void first_sample(struct script *s)
{
	begin(s, mss_options, 4);
	tcp_rtt_init(s->c);
	user_writes(s, 100);
	script_wait(s, 100 * NS_PER_MS);
	peer_acks(s, 101);
	assert_int_equal(s->c->srtt, 100 * NS_PER_MS);
	assert_int_equal(s->c->rttvar, 50 * NS_PER_MS);
	/* The second one: an eighth and a quarter. */
	user_writes(s, 100);
	script_wait(s, 180 * NS_PER_MS);
	peer_acks(s, 201);
	assert_int_equal(s->c->srtt, 110 * NS_PER_MS);
	assert_int_equal(s->c->rttvar, (150 + 80) * NS_PER_MS / 4);
}

static void karn(struct script *s)
{
	begin(s, mss_options, 4);
	user_writes(s, 100);
	script_wait(s, 100 * NS_PER_MS);
	peer_acks(s, 101);
	uint64_t srtt = s->c->srtt;

	user_writes(s, 100);
	script_wait(s, 2 * NS_PER_S);
	assert_true(s->n >= 3);
	peer_acks(s, 201);
	assert_int_equal(s->c->srtt, srtt);
}

static void earliest_first(struct script *s)
{
	ten_out(s, mss_options, 4, "reno");
	script_wait(s, 2 * NS_PER_S);
	const struct seen *o = expect(s, TCP_ACK);

	assert_int_equal(o->seq, at(1));
	/* One alone. */
	assert_true(n_out(s) == 0 || script_out(s)->seq == at(1));
}

static void restarted_by_new_acks(struct script *s)
{
	ten_out(s, mss_options, 4, "reno");
	uint64_t rto = tcp_rto(s->h.tcp, s->c);

	/* Each before it would fire: it does not. */
	for (uint32_t i = 2; i <= 8; i++) {
		script_wait(s, rto / 2);
		peer_acks(s, at(i));
	}
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 0);
	peer_acks(s, at(11));
	script_forget(s);
	/* Nothing is on its way: it is off. */
	script_wait(s, 10 * NS_PER_S);
	expect_nothing(s);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 0);
}

static void after_a_lost_syn(struct script *s)
{
	script_start(s, NULL);
	script_connect(s);
	script_wait(s, 1500 * NS_PER_MS);
	script_in(s, &(struct in){ .flags = TCP_SYN | TCP_ACK, .ack = 1, .options = mss_options, .options_len = 4 });
	expect_state(s, TCP_ESTABLISHED);
	script_forget(s);
	user_writes(s, 100);
	uint64_t from = expect_data(s, 1, 100)->at;

	script_wait(s, 4 * NS_PER_S);
	assert_true(expect(s, TCP_ACK)->at - from >= 2900 * NS_PER_MS);
}

static const struct rfc_host_row rfc6298_rows[] = {
	{ "2.1", "The first timeout is a second", first_timeout },
	{ "2.2", "The first round trip, and the next", first_sample },
	{ "3", "Nothing is measured of what was sent twice (Karn)", karn },
	{ "5.3", "What is acknowledged anew starts it again; with all it is off", restarted_by_new_acks },
	{ "5.4", "The earliest segment is sent again", earliest_first },
	{ "5.5", "The timeout doubles", .why = "RFC 9293 MUST-19 has the row" },
	{ "5.7", "Behind a SYN that was lost it is three seconds", after_a_lost_syn },
};
const struct rfc_host_table rfc6298_table = { "RFC 6298", rfc6298_rows, ARRAY_LEN(rfc6298_rows) };

/* --- RFC 8985 --- */

static void rack_by_time(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	/* One SACK is no reason yet; a quarter of the round trip later it is. */
	peer_sacks(s, at(1), at(2), at(3));
	for (uint32_t i = s->read; i < s->n; i++)
		assert_true(s->seen[i].seq != at(1));
	script_wait(s, 60 * NS_PER_MS);
	bool sent = false;

	for (const struct seen *o; (o = script_out(s)) != NULL;)
		sent |= o->seq == at(1);
	assert_true(sent);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 0);
}

static void rack_by_three(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	peer_sacks(s, at(1), at(2), at(5));
	assert_int_equal(expect(s, TCP_ACK)->seq, at(1));
}

static void rack_lost_retransmission(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	peer_sacks(s, at(1), at(2), at(5));
	assert_int_equal(expect(s, TCP_ACK)->seq, at(1));
	script_wait(s, 100 * NS_PER_MS);
	/* Something that was sent behind the retransmission has come: it is lost too. */
	peer_sacks(s, at(1), at(2), at(11));
	uint32_t last = sent_to(s);

	user_writes(s, MSS);
	script_wait(s, 10 * NS_PER_MS);
	script_forget(s);
	script_wait(s, 90 * NS_PER_MS);
	if (sent_to(s) > last)
		peer_sacks(s, at(1), at(2), sent_to(s));
	script_wait(s, 50 * NS_PER_MS);
	bool again = false;

	for (const struct seen *o; (o = script_out(s)) != NULL;)
		again |= o->seq == at(1);
	assert_true(again);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 0);
}

static void tail_loss_probe(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	peer_acks(s, at(8));
	script_forget(s);
	/* The last three are lost: two round trips later the last one is sent, and its SACK shows the others. */
	script_wait(s, 250 * NS_PER_MS);
	const struct seen *o = expect(s, TCP_ACK);

	assert_int_equal(o->seq, at(10));
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_TLPS], 1);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 0);
	script_wait(s, 100 * NS_PER_MS);
	peer_sacks(s, at(8), at(10), at(11));
	script_wait(s, 60 * NS_PER_MS);
	assert_int_equal(expect(s, TCP_ACK)->seq, at(8));
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 0);
}

static void probe_with_new_data(struct script *s)
{
	struct tcp_config cfg = tcp_default_config;

	cfg.init_cwnd = 2;
	begin_with(s, &cfg, sack_options, 8);
	user_writes(s, 6 * MSS);
	assert_int_equal(bytes_out(s), 2 * MSS);
	script_wait(s, 1100 * NS_PER_MS);
	assert_int_equal(expect(s, TCP_ACK)->seq, 1 + 2 * MSS);
}

static void reordering_is_learnt(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	peer_sacks(s, at(1), at(2), at(3));
	assert_false(s->c->reordering_seen);
	/* It was only late. */
	peer_acks(s, at(3));
	assert_true(s->c->reordering_seen);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RETRANSMITTED], 0);
	/* From here on three are no reason. */
	peer_sacks(s, at(3), at(4), at(7));
	for (const struct seen *o; (o = script_out(s)) != NULL;)
		assert_true(o->seq != at(3));
}

static const struct rfc_host_row rfc8985_rows[] = {
	{ "6.2", "Lost is what something later has overtaken for a quarter of a round trip", rack_by_time },
	{ "6.2", "... or three segments, while no reordering is known", rack_by_three },
	{ "6.2", "A retransmission is lost like anything else", rack_lost_retransmission },
	{ "6.2", "Reordering is learnt", reordering_is_learnt },
	{ "7.3", "Nothing comes back: the last segment is sent again", tail_loss_probe },
	{ "7.3", "... or new data", probe_with_new_data },
};
const struct rfc_host_table rfc8985_table = { "RFC 8985", rfc8985_rows, ARRAY_LEN(rfc8985_rows) };

/* --- RFC 9937 --- */

static void prr_in_step(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	user_writes(s, 40 * MSS);
	script_forget(s);
	peer_sacks(s, at(1), at(2), at(5));
	/* The first retransmission leaves at once. */
	assert_int_equal(expect(s, TCP_ACK)->seq, at(1));
	uint32_t n = 1 + n_out(s);

	script_forget(s);
	/* What is delivered from here on lets about half of it out (ssthresh is half). */
	for (uint32_t i = 6; i <= 11; i++)
		peer_sacks(s, at(1), at(2), at(i));
	n += n_out(s);
	assert_true(n >= 3 && n <= 7);
	/* In the end the window is ssthresh. */
	peer_acks(s, s->c->flight->high_seq - s->host_isn);
	assert_int_equal(s->c->ca_state, TCP_CA_OPEN);
	assert_true(s->c->cwnd >= s->c->ssthresh && s->c->cwnd <= s->c->ssthresh + 2 * MSS);
}

static void prr_does_not_burst(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	user_writes(s, 40 * MSS);
	script_forget(s);
	/* Nearly all is lost: one acknowledgement is no reason for a burst. */
	peer_sacks(s, at(1), at(8), at(11));
	assert_true(n_out(s) >= 1 && n_out(s) <= 5);
}

static const struct rfc_host_row rfc9937_rows[] = {
	{ "6.2", "In recovery the window goes down in step with what is delivered", prr_in_step },
	{ "6.2", "... and does not burst when much is lost", prr_does_not_burst },
};
const struct rfc_host_table rfc9937_table = { "RFC 9937", rfc9937_rows, ARRAY_LEN(rfc9937_rows) };

/* --- RFC 5682 --- */

static void spurious_timeout(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	uint64_t cwnd = s->c->cwnd;

	user_writes(s, 20 * MSS);
	for (uint32_t i = 0; i < 100 && s->h.tcp->counts[TCP_COUNT_RTOS] == 0; i++)
		script_wait(s, 10 * NS_PER_MS);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 1);
	/* All of it comes after all, late. The first acknowledgement may be of either copy: two new segments are sent
	 * (step 2b), not the old ones again. */
	script_forget(s);
	peer_acks(s, at(2));
	assert_true(s->n == 2);
	assert_true(s->seen[0].seq >= at(11) && s->seen[1].seq > s->seen[0].seq);
	peer_acks(s, at(3));
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_UNDONE], 1);
	assert_true(s->c->cwnd >= cwnd);
	assert_int_equal(s->c->flight->lost, 0);
}

static void real_timeout(struct script *s)
{
	ten_out(s, sack_options, 8, "reno");
	for (uint32_t i = 0; i < 100 && s->h.tcp->counts[TCP_COUNT_RTOS] == 0; i++)
		script_wait(s, 10 * NS_PER_MS);
	user_writes(s, 20 * MSS);
	/* Only what was sent again is acknowledged, and then the new ones are told of, ahead of a gap. */
	peer_acks(s, at(2));
	peer_sacks(s, at(2), sent_to(s) - MSS, sent_to(s));
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_UNDONE], 0);
	assert_true(s->c->cwnd <= 4 * MSS);
	bool sent = false;

	for (const struct seen *o; (o = script_out(s)) != NULL;)
		sent |= o->seq == at(2);
	assert_true(sent);
}

static const struct rfc_host_row rfc5682_rows[] = {
	{ "3.1", "A timeout was for nothing: the windows come back, nothing more is sent again", spurious_timeout },
	{ "3.1", "... it was not: slow start", real_timeout },
};
const struct rfc_host_table rfc5682_table = { "RFC 5682", rfc5682_rows, ARRAY_LEN(rfc5682_rows) };

/* --- RFC 6582 --- */

static void three_duplicates(struct script *s)
{
	ten_out(s, mss_options, 4, "reno");
	peer_acks(s, at(1));
	peer_acks(s, at(1));
	for (uint32_t i = s->read; i < s->n; i++)
		assert_true(s->seen[i].seq != at(1));
	peer_acks(s, at(1));
	bool sent = false;

	for (const struct seen *o; (o = script_out(s)) != NULL;)
		sent |= o->seq == at(1);
	assert_true(sent);
	assert_true(s->c->ssthresh <= 6 * MSS);
}

static void partial_acknowledgement(struct script *s)
{
	ten_out(s, mss_options, 4, "reno");
	for (uint32_t i = 0; i < 5; i++)
		peer_acks(s, at(1));
	script_forget(s);
	peer_acks(s, at(4));
	bool sent = false;

	for (const struct seen *o; (o = script_out(s)) != NULL;)
		sent |= o->seq == at(4);
	assert_true(sent);
	assert_int_equal(s->c->ca_state, TCP_CA_RECOVERY);
	peer_acks(s, at(11));
	/* It is over for good when something beyond is acknowledged. */
	user_writes(s, MSS);
	peer_acks(s, sent_to(s));
	assert_int_equal(s->c->ca_state, TCP_CA_OPEN);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RTOS], 0);
	assert_true(s->c->cwnd >= 5 * MSS && s->c->cwnd <= 7 * MSS);
}

static const struct rfc_host_row rfc6582_rows[] = {
	{ "3.2", "Without SACK the third duplicate says that the first is lost", three_duplicates },
	{ "3.2", "... and a partial acknowledgement that the next is", partial_acknowledgement },
};
const struct rfc_host_table rfc6582_table = { "RFC 6582", rfc6582_rows, ARRAY_LEN(rfc6582_rows) };

/* --- RFC 9438, 9406 --- */

static void cubic_goes_down(struct script *s)
{
	ten_out(s, sack_options, 8, "cubic");
	uint64_t cwnd = s->c->cwnd;

	peer_sacks(s, at(1), at(2), at(5));
	assert_int_equal(s->c->ssthresh, cwnd * 7 / 10);
}

/* Rounds of 100 ms in which all that the window lets out is acknowledged; the window after each. */
static void rounds(struct script *s, uint32_t n, uint64_t *cwnd)
{
	for (uint32_t i = 0; i < n; i++) {
		user_writes(s, 600000);
		script_wait(s, 100 * NS_PER_MS);
		for (uint32_t una = s->c->snd_una - s->host_isn, end = sent_to(s); una < end;) {
			una = min_u32(una + 2 * MSS, end);
			script_in(s, &(struct in){ .flags = TCP_ACK, .seq = peer_seq(s), .ack = una, .window = 65535 });
			script_forget(s);
		}
		cwnd[i] = s->c->cwnd;
	}
}

static void cubic_grows_back(struct script *s)
{
	struct tcp_config cfg = tcp_default_config;
	uint64_t w[60];
	static const uint8_t o[12] = { 2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 1, 0 };

	cfg.sndbuf = 4 << 20;
	begin_with(s, &cfg, o, 12);
	rounds(s, 4, w);
	uint64_t top = s->c->cwnd;

	user_writes(s, 400000);
	uint32_t una = s->c->snd_una - s->host_isn;

	peer_sacks(s, una, una + MSS, una + 4 * MSS);
	script_forget(s);
	peer_acks(s, s->c->flight->high_seq - s->host_isn);
	script_forget(s);
	assert_true(s->c->cwnd < top * 3 / 4);
	rounds(s, 60, w);
	/* It comes back to where it was, flat there, and goes beyond. */
	assert_true(w[59] > top);
	uint64_t first = w[5] - w[0];
	bool flat = false;

	for (uint32_t i = 6; i < 55; i++)
		flat |= w[i + 4] - w[i] < first;
	assert_true(flat);
}

static void hystart_leaves_slow_start(struct script *s)
{
	struct tcp_config cfg = tcp_default_config;
	static const uint8_t o[12] = { 2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 1, 0 };

	cfg.sndbuf = 8 << 20;
	begin_with(s, &cfg, o, 12);
	/* The path's queue fills: each round takes longer. */
	for (uint32_t i = 0; i < 14; i++) {
		user_writes(s, 1 << 20);
		script_wait(s, (50 + 12 * i) * NS_PER_MS);
		for (uint32_t una = s->c->snd_una - s->host_isn, end = sent_to(s); una < end;) {
			una = min_u32(una + 2 * MSS, end);
			script_in(s, &(struct in){ .flags = TCP_ACK, .seq = peer_seq(s), .ack = una, .window = 65535 });
			script_forget(s);
		}
		script_forget(s);
	}
	assert_true(s->c->ssthresh < UINT32_MAX);
	assert_int_equal(s->h.tcp->counts[TCP_COUNT_RETRANSMITTED], 0);
}

static const struct rfc_host_row rfc9438_rows[] = {
	{ "4.6", "A loss takes the window to 0.7 of it", cubic_goes_down },
	{ "4.2", "It comes back fast, stays flat where the loss was, and goes on", cubic_grows_back },
};
const struct rfc_host_table rfc9438_table = { "RFC 9438", rfc9438_rows, ARRAY_LEN(rfc9438_rows) };
static const struct rfc_host_row rfc9406_rows[] = {
	{ "4.2", "Slow start ends when the round trip grows, before anything is lost", hystart_leaves_slow_start },
};
const struct rfc_host_table rfc9406_table = { "RFC 9406", rfc9406_rows, ARRAY_LEN(rfc9406_rows) };
