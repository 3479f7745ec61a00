/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fragments of packets in transit: every order, overlaps, bounds, and what
 * becomes of the later fragments when the first is dropped.
 */
#include "gateway/conntrack/ct_fixture.h"

#define N_PIECES 4
#define PIECE 256
#define PAYLOAD (N_PIECES * PIECE - 8 - 100)

static struct packet_spec fragment(struct packet_spec m, uint32_t i)
{
	m.payload_len = PAYLOAD;
	m.ip_id = 4711;
	m.frag_off = (uint16_t)(i * PIECE);
	m.mf = i < N_PIECES - 1;
	m.cut = m.mf ? PIECE : PAYLOAD + 8 - m.frag_off;
	return m;
}

/* Sends one fragment through; counts what comes out on one connection. */
static uint32_t send_fragment(struct ct_fixture *b, const struct packet_spec *m, uint32_t *ref)
{
	struct batch batch = { .n = 0 };

	batch_add(&batch, fixture_packet(b, m));
	fixture_in(b, HOOK_PREROUTING, &batch);
	fixture_out(b, HOOK_POSTROUTING, &batch);
	for (uint32_t i = 0; i < batch.n; i++) {
		assert_int_not_equal(batch.p[i]->ct_info, CT_INFO_INVALID);
		if (*ref != CONN_NONE)
			assert_int_equal(batch.p[i]->conn_ref, *ref);
		*ref = batch.p[i]->conn_ref;
		assert_false(batch.p[i]->conn_unconfirmed);
		fixture_hand(b, batch.p[i]);
	}
	return batch.n;
}

/* Would catch: an order in which a fragment is lost, is let through before the first, or finds another connection. */
static void test_every_order(void **state)
{
	(void)state;
	for (uint32_t order = 0; order < 24; order++) {
		uint32_t left[N_PIECES] = { 0, 1, 2, 3 }, n_left = N_PIECES, rest = order, n_out = 0;
		uint32_t ref = CONN_NONE;
		bool first_seen = false;
		struct ct_fixture b;

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		while (n_left > 0) {
			uint32_t at = rest % n_left, i = left[at];
			rest /= n_left;
			left[at] = left[--n_left];
			struct packet_spec m = fragment(udp_make(1000, 53), i);
			n_out += send_fragment(&b, &m, &ref);
			first_seen |= i == 0;
			assert_int_equal(n_out == 0, !first_seen);
		}
		assert_int_equal(n_out, N_PIECES);
		assert_int_equal(ct_fragments_n_held(b.ct->fragments), 0);
		assert_int_equal(conntrack_n_connections(b.ct), 1);
		fixture_stop(&b);
	}
}

/* Would catch: the same in one batch, where the later fragments are judged before the connection is confirmed. */
static void test_one_batch(void **state)
{
	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		struct ct_fixture b;
		struct batch batch = { .n = 0 };

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		for (uint32_t i = 0; i < N_PIECES; i++) {
			struct packet_spec m = fragment(udp_make(1000, 53), backwards ? N_PIECES - 1 - i : i);
			batch_add(&batch, fixture_packet(&b, &m));
		}
		fixture_in(&b, HOOK_PREROUTING, &batch);
		assert_int_equal(batch.n, N_PIECES);
		assert_int_equal(batch.p[0]->ip.frag_off, 0);
		fixture_out(&b, HOOK_POSTROUTING, &batch);
		for (uint32_t i = 0; i < N_PIECES; i++)
			fixture_hand(&b, batch.p[i]);
		assert_int_equal(conntrack_n_connections(b.ct), 1);
		fixture_stop(&b);
	}
}

/* Would catch: an overlap that passes, in any way it can lie; a repeated fragment that is taken for one. */
static void test_overlap(void **state)
{
	static const struct {
		uint16_t off, len;
		bool mf, overlaps;
	} rows[] = {
		{ 0, 256, true, false },   /* the first again */
		{ 256, 256, true, false }, /* the second again */
		{ 512, 64, false, false }, /* the end */
		{ 8, 256, true, true },    { 248, 16, true, true },   { 256, 264, true, true }, { 256, 8, true, true },
		{ 0, 512, true, true },    { 256, 128, false, true }, { 504, 8, true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ct_fixture b;
		uint32_t ref = CONN_NONE;
		struct packet_spec m = fragment(udp_make(1000, 53), 0);

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		send_fragment(&b, &m, &ref);
		m = fragment(m, 1);
		send_fragment(&b, &m, &ref);
		m.frag_off = rows[i].off;
		m.cut = rows[i].len;
		m.mf = rows[i].mf;
		assert_int_equal(send_fragment(&b, &m, &ref), !rows[i].overlaps);
		m = fragment(m, 3);
		/* After an overlap nothing of the packet passes any more. */
		if (rows[i].overlaps) {
			assert_int_equal(send_fragment(&b, &m, &ref), 0);
			assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_OVERLAP], 2);
		}
		fixture_stop(&b);
	}
}

/* Would catch: a fragment behind the end, or an end before a fragment, that is let through. */
static void test_end(void **state)
{
	(void)state;
	for (int end_first = 0; end_first < 2; end_first++) {
		struct ct_fixture b;
		uint32_t ref = CONN_NONE;
		struct packet_spec m0 = fragment(udp_make(1000, 53), 0), end = fragment(m0, 2),
				   behind = fragment(m0, 3);

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		/* One fragment is missing throughout: behind a complete packet another may begin. */
		end.mf = false;
		send_fragment(&b, &m0, &ref);
		assert_int_equal(send_fragment(&b, end_first ? &end : &behind, &ref), 1);
		assert_int_equal(send_fragment(&b, end_first ? &behind : &end, &ref), 0);
		assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_OVERLAP], 1);
		fixture_stop(&b);
	}
}

/* Would catch: an end with a gap before something that has come already, which is no part of the packet then. */
static void test_end_before_a_gap(void **state)
{
	struct ct_fixture b;
	uint32_t ref = CONN_NONE;
	struct packet_spec m0 = fragment(udp_make(1000, 53), 0), end = fragment(m0, 1), behind = fragment(m0, 3);

	(void)state;
	behind.mf = true;
	behind.cut = 64;
	end.cut = 64;
	end.mf = false;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	send_fragment(&b, &m0, &ref);
	assert_int_equal(send_fragment(&b, &behind, &ref), 1);
	assert_int_equal(send_fragment(&b, &end, &ref), 0);
	assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_OVERLAP], 1);
	fixture_stop(&b);
}

/* Would catch: fragments of one packet that leave with two identifications, since one of them has asked before; a
 * packet that was whole and is given one. */
static void test_identification(void **state)
{
	struct packet_spec m0 = fragment(udp_make(1000, 53), 0), m1 = fragment(m0, 1), whole = udp_make(1000, 53);
	struct batch batch = { .n = 0 };
	uint16_t first = 77, second = 88, third = 99;
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	batch_add(&batch, fixture_packet(&b, &m0));
	batch_add(&batch, fixture_packet(&b, &m1));
	batch_add(&batch, fixture_packet(&b, &whole));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 3);
	assert_true(conntrack_fragment_id(b.ct, batch.p[0], &first));
	assert_true(conntrack_fragment_id(b.ct, batch.p[1], &second));
	assert_int_equal(first, 77);
	assert_int_equal(second, 77);
	assert_false(conntrack_fragment_id(b.ct, batch.p[2], &third));
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	for (uint32_t i = 0; i < batch.n; i++)
		fixture_hand(&b, batch.p[i]);
	fixture_stop(&b);
}

/* Would catch: fragments without a first one that are kept for ever, or more of them than allowed. */
static void test_bounds(void **state)
{
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8, .n_fragments = 40 });
	for (uint16_t i = 0; i < 60; i++) {
		struct packet_spec m = fragment(udp_make(1000, 53), 1);
		struct batch batch = { .n = 0 };
		m.ip_id = i;
		batch_add(&batch, fixture_packet(&b, &m));
		fixture_in(&b, HOOK_PREROUTING, &batch);
		assert_int_equal(batch.n, 0);
	}
	/* A quarter for one source. */
	assert_int_equal(ct_fragments_n_held(b.ct->fragments), 10);
	for (uint32_t i = 0; i < 60; i++) {
		struct packet_spec m = fragment(udp_make(1000, 53), 1);
		struct batch batch = { .n = 0 };
		m.src = CLIENT + 1 + i;
		batch_add(&batch, fixture_packet(&b, &m));
		fixture_in(&b, HOOK_PREROUTING, &batch);
	}
	assert_true(ct_fragments_n_held(b.ct->fragments) <= 40);
	assert_true(b.env.ledger.n_dropped[DROP_FRAGMENT_LIMIT] > 0);
	fixture_check_law(&b);
	assert_true(conntrack_next_deadline(b.ct) <= b.env.now + 30 * NS_PER_S);
	fixture_pass(&b, 31 * NS_PER_S);
	assert_int_equal(ct_fragments_n_held(b.ct->fragments), 0);
	assert_true(b.env.ledger.n_dropped[DROP_FRAGMENT_TIMEOUT] > 0);
	assert_int_equal(conntrack_next_deadline(b.ct), TIME_NEVER);
	fixture_stop(&b);
}

/* Would catch: later fragments that pass although the rules dropped the first. */
static void test_first_dropped(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec m = fragment(udp_make(1000, 53), 0);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	packet_set_drop(batch.p[0], DROP_RULE_DROP);
	batch_settle(&batch, b.env.pool, &b.env.ledger);
	m = fragment(m, 1);
	batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 0);
	assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_ORPHAN], 1);
	fixture_stop(&b);
}

static void take_back(void *ctx, struct batch *batch)
{
	struct ct_fixture *b = ctx;

	fixture_in(b, HOOK_PREROUTING, batch);
	fixture_out(b, HOOK_POSTROUTING, batch);
	for (uint32_t i = 0; i < batch->n; i++)
		fixture_hand(b, batch->p[i]);
	batch->n = 0;
}

/* Would catch: held fragments that are forgotten when their first one comes in a full batch. */
static void test_full_batch(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	uint32_t ref = CONN_NONE;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_set_ip(b.ct, &(struct ct_ip_ops){ .resume = take_back }, &b);
	for (uint32_t i = 1; i < N_PIECES; i++) {
		struct packet_spec m = fragment(udp_make(1000, 53), i);
		assert_int_equal(send_fragment(&b, &m, &ref), 0);
	}
	for (uint16_t i = 0; i < BATCH_MAX - 2; i++) {
		struct packet_spec m = udp_make((uint16_t)(2000 + i), 53);
		batch_add(&batch, fixture_packet(&b, &m));
	}
	struct packet_spec first = fragment(udp_make(1000, 53), 0);
	batch_add(&batch, fixture_packet(&b, &first));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, BATCH_MAX);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	for (uint32_t i = 0; i < batch.n; i++)
		fixture_hand(&b, batch.p[i]);
	assert_int_equal(conntrack_next_deadline(b.ct), b.env.now);
	assert_int_equal(packet_pool_used(b.env.pool), 2);
	fixture_pass(&b, 0);
	assert_int_equal(packet_pool_used(b.env.pool), 0);
	assert_int_equal(b.env.ledger.n_handed, BATCH_MAX + 2);
	fixture_stop(&b);
}

/* So many that some share a bucket. Would catch: one that is finished and takes another one out of its chain. */
static void test_many(void **state)
{
	enum { N = 200 };
	struct ct_fixture b;
	uint32_t ref = CONN_NONE;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8, .n_fragments = 256 });
	for (uint32_t i = 0; i < N_PIECES; i++) {
		for (uint32_t k = 0; k < N; k++) {
			/* Finished in another order than begun. */
			uint32_t id = i == 0 ? k : k * 77 % N;
			struct packet_spec m = fragment(udp_make(1000, 53), i);

			m.ip_id = (uint16_t)id;
			assert_int_equal(send_fragment(&b, &m, &ref), 1);
		}
	}
	assert_int_equal(packet_pool_used(b.env.pool), 0);
	fixture_stop(&b);
}

/* Would catch: the later fragments of an ICMP error that belong to no connection, to one of their own, or to that of
 * another datagram with the same identification. */
static void test_icmp_error(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.payload_len = 600;
	struct packet *quoted = fixture_packet(&b, &m);
	struct seen s = fixture_forward(&b, &m);
	for (int turn = 0; turn < 2; turn++) {
		struct packet_spec e = { .in = WAN,
					 .out = LAN,
					 .src = SERVER + 1,
					 .dst = CLIENT,
					 .proto = IPPROTO_NR_ICMP,
					 .dport = ICMP_DEST_UNREACHABLE << 8 | ICMP_HOST_UNREACHABLE,
					 .ip_id = 5,
					 .payload = packet_l3(quoted),
					 .payload_len = 500,
					 .cut = 256 };

		for (int i = 0; i < 2; i++) {
			/* The later one first, then the first one. */
			int k = turn == 0 ? i : 1 - i;
			struct batch batch = { .n = 0 };

			e.frag_off = (uint16_t)(256 * k);
			e.mf = k == 0;
			batch_add(&batch, fixture_packet(&b, &e));
			fixture_in(&b, HOOK_PREROUTING, &batch);
			fixture_out(&b, HOOK_POSTROUTING, &batch);
			assert_int_equal(batch.n, turn == 0 ? 1 : 2 * i);
			for (uint32_t n = 0; n < batch.n; n++) {
				struct seen error = seen_of(batch.p[n]);

				assert_true(error.icmp_error && error.info == CT_INFO_RELATED);
				assert_int_equal(conn_index(error.conn_ref), conn_index(s.conn_ref));
				fixture_hand(&b, batch.p[n]);
			}
		}
	}
	fixture_hand(&b, quoted);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_stop(&b);
}

/* A TCP segment in two fragments that begins behind its receiver's window, and ends far behind. Would catch: one that
 * is judged by its first fragment alone although the end of it has come before. */
static void test_whole_is_judged(void **state)
{
	enum { FIRST = 1024, LEN = 4500 };

	(void)state;
	for (int end_first = 0; end_first < 2; end_first++) {
		struct packet_spec m = udp_make(4000, 80), part[2];
		struct ct_fixture b;

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		m.proto = IPPROTO_NR_TCP;
		m.flags = TCP_SYN;
		m.seq = 1000;
		m.window = 2000;
		m.payload_len = 0;
		assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
		struct packet_spec back = turned(m);
		back.flags = TCP_SYN | TCP_ACK;
		back.seq = 5000;
		back.ack = 1001;
		assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
		m.flags = TCP_ACK;
		m.seq = 1001 + 2001;
		m.ack = 5001;
		m.payload_len = LEN;
		m.ip_id = 4711;
		part[0] = part[1] = m;
		part[0].mf = true;
		part[0].cut = FIRST;
		part[1].frag_off = FIRST;
		part[1].cut = LEN + 20 - FIRST;
		for (int i = 0; i < 2; i++) {
			struct batch batch = { .n = 0 };

			batch_add(&batch, fixture_packet(&b, &part[i ^ end_first]));
			fixture_in(&b, HOOK_PREROUTING, &batch);
			for (uint32_t k = 0; k < batch.n; k++) {
				assert_int_equal(batch.p[k]->ct_info,
						 end_first ? CT_INFO_INVALID : CT_INFO_ESTABLISHED);
				fixture_hand(&b, batch.p[k]);
			}
			assert_int_equal(batch.n, end_first ? 2 * i : 1);
		}
		fixture_stop(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_one_batch),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_end_before_a_gap),
		cmocka_unit_test(test_identification),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_first_dropped),
		cmocka_unit_test(test_full_batch),
		cmocka_unit_test(test_icmp_error),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_whole_is_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
