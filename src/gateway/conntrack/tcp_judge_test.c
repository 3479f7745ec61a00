/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The TCP tracker where it is asked for something else than a story: its table, what ICMP errors quote, what others
 * forwarded meanwhile, resets that are counted.
 */
#include "gateway/conntrack/flow.h"
#include "gateway/conntrack/tcp_priv.h"
#include "gateway/conntrack/tcp_rows.h"

static const struct row handshake[] = { OPEN };
/* In the middle of a connection. */
static const struct row picked_up = { 0, '>', A, 5000, 9000, 100, 10, CT_INFO_NEW, CT_TCP_ESTABLISHED };

static struct seen feed(struct ct_fixture *b, const struct row *r)
{
	uint8_t options[40];
	struct packet_spec m = segment(r, 1000, 5000, options);

	return fixture_forward(b, &m);
}

static enum ct_info info_of(struct ct_fixture *b, const struct row *r)
{
	return (enum ct_info)feed(b, r).info;
}

static void open_connection(struct ct_fixture *b)
{
	for (size_t i = 0; i < ARRAY_LEN(handshake); i++)
		assert_true(feed(b, &handshake[i]).passed);
}

/* What an ICMP error that quotes this packet is taken for. */
static enum ct_info info_of_quote(struct ct_fixture *b, const struct packet_spec *m)
{
	struct packet *quoted = fixture_packet(b, m);
	struct batch batch = { .n = 0 };

	batch_add(&batch, fixture_error(b, WAN, LAN, IP4(192, 0, 2, 9), CLIENT, 3, 1, quoted, 8));
	fixture_in(b, HOOK_PREROUTING, &batch);
	fixture_out(b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 1);
	enum ct_info info = (enum ct_info)batch.p[0]->ct_info;

	fixture_hand(b, batch.p[0]);
	fixture_hand(b, quoted);
	return info;
}

/* Would catch: a state or class added without its cells, a value that is none, a cell through which a stray segment
 * makes or kills a connection. */
static void test_table(void **state)
{
	(void)state;
	for (int d = 0; d < N_CT_DIRS; d++)
		for (int c = 0; c < N_TCP_CLASSES; c++)
			for (int s = 0; s < N_CT_TCP_STATES; s++) {
				uint8_t next = ct_tcp_next[d][c][s];
				assert_true(next < N_CT_TCP_STATES || next == TCP_TRACK_IGNORE ||
					    next == TCP_TRACK_REOPEN);
				/* Only a RST leads to CLOSE from elsewhere, and a RST to nothing else. */
				if (s != CT_TCP_CLOSE)
					assert_int_equal(next == CT_TCP_CLOSE, c == TCP_CLASS_RST && s != CT_TCP_NONE);
			}
	/* Nothing begins from the answering side. */
	for (int c = 0; c < N_TCP_CLASSES; c++)
		assert_int_equal(ct_tcp_next[CT_REPLY][c][CT_TCP_NONE], TCP_TRACK_INVALID);
	/* A SYN on a live connection is never invalid and never changes its state. */
	for (int d = 0; d < N_CT_DIRS; d++)
		for (int s = CT_TCP_SYN_RECV; s <= CT_TCP_LAST_ACK; s++)
			assert_int_equal(ct_tcp_next[d][TCP_CLASS_SYN][s], TCP_TRACK_IGNORE);
	/* Each state but NONE can be reached. */
	for (int want = 1; want < N_CT_TCP_STATES; want++) {
		bool reached = false;
		for (int d = 0; d < N_CT_DIRS; d++)
			for (int c = 0; c < N_TCP_CLASSES; c++)
				for (int s = 0; s < N_CT_TCP_STATES; s++)
					reached |= s != want && ct_tcp_next[d][c][s] == want;
		assert_true(reached);
	}
}

/* Would catch: an ICMP error accepted for a sequence number that is not on its way. */
static void test_quote(void **state)
{
	struct ct_fixture b;
	uint8_t options[40];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	open_connection(&b);
	static const struct {
		uint32_t seq;
		bool fits;
	} rows[] = { { 1001, true }, { 1500, true }, { 2001, true },  { 2002, false },
		     { 1000, true }, { 999, false }, { 70000, false } };
	struct row data = { 0, '>', A, 1, 1, 1000, 1000, VALID, CT_TCP_ESTABLISHED, NULL, 0 };
	struct packet_spec m = segment(&data, 1000, 5000, options);
	assert_true(fixture_forward(&b, &m).passed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		m.seq = rows[i].seq;
		assert_int_equal(info_of_quote(&b, &m), rows[i].fits ? CT_INFO_RELATED : CT_INFO_INVALID);
	}
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_ICMP_OUT_OF_WINDOW], 3);
	fixture_stop(&b);
}

/* Would catch: an error about a connection that was picked up, whose window nobody knows, that is refused. */
static void test_quote_of_picked_up(void **state)
{
	struct ct_config cfg = { .pick_up = 1 };
	struct ct_fixture b;
	uint8_t options[40];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	conntrack_configure(b.ct, &cfg);
	struct packet_spec m = segment(&picked_up, 1000, 5000, options);
	assert_true(fixture_forward(&b, &m).passed);
	m.seq += 500000;
	assert_int_equal(info_of_quote(&b, &m), CT_INFO_RELATED);
	fixture_stop(&b);
}

/* Would catch: marks that stand still because more than two gigabytes went by between two credits, which makes every
 * later segment invalid; a window that grows by what was credited to one direction before the other. */
static void test_credit_of_gigabytes(void **state)
{
	const int64_t gone = 2600000000;
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	open_connection(&b);
	uint32_t ref = ref_now(&b);
	struct ct_deferred sent = { .packets = 1000000,
				    .has_tcp = true,
				    .tcp_end = (uint32_t)(1000 + gone),
				    .tcp_ack = 5001,
				    .tcp_win = 1000,
				    .last_ns = b.env.now };
	struct ct_deferred acked = { .packets = 500000,
				     .has_tcp = true,
				     .tcp_end = 5001,
				     .tcp_ack = (uint32_t)(1000 + gone),
				     .tcp_win = 2000,
				     .last_ns = b.env.now };

	for (int round = 0; round < 3; round++) {
		conntrack_add_deferred(b.ct, ref, &sent);
		conntrack_add_deferred(b.ct, ref ^ 1, &acked);
		const struct conn *c = ct_conn(b.ct, conn_index(ref));
		assert_int_equal(c->half[CT_ORIGINAL].tcp.end, sent.tcp_end);
		assert_int_equal(c->half[CT_ORIGINAL].tcp.max_end, sent.tcp_end + 2000);
		assert_int_equal(c->half[CT_REPLY].tcp.max_win, 2000);
		sent.tcp_end += (uint32_t)gone;
		acked.tcp_ack += (uint32_t)gone;
	}
	assert_int_equal(info_of(&b, &(struct row){ 0, '>', A, 3 * gone, 1, 1000, 100 }), CT_INFO_ESTABLISHED);
	assert_int_equal(info_of(&b, &(struct row){ 0, '<', A, 1, 3 * gone + 100, 2000, 0 }), CT_INFO_ESTABLISHED);
	assert_int_equal(info_of(&b, &(struct row){ 0, '>', A, 3 * gone + 1000000, 1, 1000, 100 }), CT_INFO_INVALID);
	fixture_stop(&b);
}

/* Data and its acknowledgement, credited in either order. Would catch: data that counts as unacknowledged though all of
 * it is acknowledged, or as acknowledged though a byte is not. */
static void test_credits_that_meet(void **state)
{
	(void)state;
	for (uint32_t how = 0; how < 4; how++) {
		bool is_short = how & 1, ack_first = how & 2;
		struct ct_config cfg = { .timeout = { .tcp_established = 777 } };
		struct ct_fixture b;

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		conntrack_configure(b.ct, &cfg);
		open_connection(&b);
		uint32_t ref = ref_now(&b);

		assert_int_equal(conn_timeout_s(b.ct, conn_index(ref)), 777);
		struct ct_deferred data = { .packets = 1,
					    .has_tcp = true,
					    .tcp_end = 1500,
					    .tcp_ack = 5001,
					    .tcp_win = 1000,
					    .last_ns = b.env.now };
		struct ct_deferred ack = { .packets = 1,
					   .has_tcp = true,
					   .tcp_end = 5001,
					   .tcp_ack = 1500 - is_short,
					   .tcp_win = 2000,
					   .last_ns = b.env.now };

		if (ack_first)
			conntrack_add_deferred(b.ct, ref ^ 1, &ack);
		conntrack_add_deferred(b.ct, ref, &data);
		if (!ack_first)
			conntrack_add_deferred(b.ct, ref ^ 1, &ack);
		const struct conn *c = ct_conn(b.ct, conn_index(ref));

		assert_int_equal((c->half[CT_ORIGINAL].flags & TCP_TRACK_UNACKED) != 0, is_short);
		assert_int_equal(c->half[CT_REPLY].flags & TCP_TRACK_UNACKED, 0);
		fixture_stop(&b);
	}
}

/* Would catch: forged data that once hit the window and walk its marks away, until what the real ends send is outside.
 */
static void test_walk(void **state)
{
	int32_t seq = 1, sent = 1;
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	open_connection(&b);
	uint32_t ref = ref_now(&b);
	for (int round = 0; round < 50; round++) {
		for (int k = 1; k < 200; k++)
			(void)info_of(&b, &(struct row){ 0, '<', A, seq + k * 1000 - 500, sent, 1, 1000 });
		const struct ct_tcp_window *w = &ct_conn(b.ct, conn_index(ref))->half[CT_REPLY].tcp;

		assert_true((int32_t)(w->end - w->max_end) < 2 * 65536);
		assert_int_equal(info_of(&b, &(struct row){ 0, '<', A, seq, sent, 2000, 500 }), CT_INFO_ESTABLISHED);
		seq += 500;
		/* What the client sends with an acknowledgement that looks late counts as sent. */
		assert_int_equal(info_of(&b, &(struct row){ 0, '>', A, sent, seq, 60000, 10 }), CT_INFO_ESTABLISHED);
		sent += 10;
		assert_int_equal(info_of(&b, &(struct row){ 0, '<', A, seq, sent, 2000, 0 }), CT_INFO_ESTABLISHED);
	}
	fixture_stop(&b);
}

/* Would catch: a RST out of the window that nobody can see afterwards. */
static void test_rst_counted(void **state)
{
	static const struct {
		uint8_t flags;
		bool back;
		uint32_t seq, ack;
	} way[] = { { S, false, 1000, 0 }, { S | A, true, 5000, 1001 }, { A, false, 1001, 5001 } };
	struct packet_spec m = udp_make(40000, 80), reset;
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.proto = IPPROTO_NR_TCP;
	m.payload_len = 0;
	m.window = 1000;
	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		struct packet_spec next = way[i].back ? turned(m) : m;

		next.flags = way[i].flags;
		next.seq = way[i].seq;
		next.ack = way[i].ack;
		assert_true(fixture_forward(&b, &next).passed);
	}
	reset = turned(m);
	reset.flags = R;
	reset.seq = 5001 + 100000;
	assert_int_equal(b.ct->counts[CT_COUNT_RST_OUT_OF_WINDOW], 0);
	assert_int_equal(fixture_forward(&b, &reset).info, CT_INFO_INVALID);
	assert_int_equal(b.ct->counts[CT_COUNT_RST_OUT_OF_WINDOW], 1);
	assert_int_equal(state_now(&b), CT_TCP_ESTABLISHED);
	fixture_stop(&b);
}

static bool is_plain(struct ct_fixture *b, uint32_t ref, const struct row *r)
{
	uint8_t options[40];
	struct packet_spec m = segment(r, 1000, 5000, options);
	struct packet *p = fixture_packet(b, &m);
	bool plain = conntrack_tcp_plain(b->ct, ref, p->ip.total_len, &p->l4, packet_l4(p));

	fixture_hand(b, p);
	return plain;
}

/* The short way of others. Would catch: a segment that goes it before its connection is open, or behind its end; one
 * that is not counted. */
static void test_plain(void **state)
{
	static const struct row data = { 0, '>', A, 1, 1, 1000, 100, VALID, CT_TCP_ESTABLISHED };
	static const struct row way[] = { OPEN };
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		if (i > 0)
			assert_false(is_plain(&b, ref_now(&b), &data));
		(void)info_of(&b, &way[i]);
	}
	uint32_t ref = ref_now(&b), n = ct_conn(b.ct, conn_index(ref))->half[CT_ORIGINAL].packets;

	assert_true(is_plain(&b, ref, &data));
	assert_int_equal(ct_conn(b.ct, conn_index(ref))->half[CT_ORIGINAL].packets, n + 1);
	conntrack_end(b.ct, conn_index(ref), CT_END_FLUSHED);
	assert_false(is_plain(&b, ref, &data));
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_of_picked_up),
		cmocka_unit_test(test_credit_of_gigabytes),
		cmocka_unit_test(test_credits_that_meet),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_rst_counted),
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
