/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections in batches, their limits and ends, UDP, ICMP and errors.
 */
#include "gateway/conntrack/ct_fixture.h"
#include "gateway/conntrack/flow.h"

static uint32_t ref_of(const struct ct_fixture *b, const struct packet_spec *m)
{
	struct tuple t = { .src = m->src, .dst = m->dst, .sport = m->sport, .dport = m->dport, .proto = m->proto };

	return conntrack_find(b->ct, &t);
}

/* Would catch: two packets of a new flow in one batch that become two connections, or of which one is lost. */
static void test_two_in_a_batch(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec m = udp_make(1000, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (int i = 0; i < 3; i++)
		batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 3);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(batch.p[i]->conn_unconfirmed);
		assert_int_equal(batch.p[i]->conn_ref, batch.p[0]->conn_ref);
		assert_int_equal(batch.p[i]->ct_info, CT_INFO_NEW);
	}
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 3);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	assert_int_equal(b.n_events[EVENT_CONN_NEW], 1);
	struct conn_counters c;
	conn_counters(b.ct, conn_index(batch.p[0]->conn_ref), &c);
	assert_int_equal(c.packets[CT_ORIGINAL], 3);
	assert_int_equal(c.bytes[CT_ORIGINAL], 3 * 48);
	for (int i = 0; i < 3; i++) {
		assert_false(batch.p[i]->conn_unconfirmed);
		fixture_hand(&b, batch.p[i]);
	}
	fixture_stop(&b);
}

/* Would catch: a trace of a connection whose packets were all dropped; one lost although a packet of it went on. */
static void test_dropped(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec m = udp_make(1000, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	batch_add(&batch, fixture_packet(&b, &m));
	batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	packet_set_drop(batch.p[0], DROP_RULE_DROP);
	batch_settle(&batch, b.env.pool, &b.env.ledger);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_hand(&b, batch.p[0]);

	m.sport = 1001;
	batch.n = 0;
	batch_add(&batch, fixture_packet(&b, &m));
	batch_add(&batch, fixture_packet(&b, &m));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	packet_set_drop(batch.p[0], DROP_RULE_DROP);
	packet_set_drop(batch.p[1], DROP_RULE_DROP);
	batch_settle(&batch, b.env.pool, &b.env.ledger);
	assert_int_equal(ref_of(&b, &m), CONN_NONE);
	assert_int_equal(b.ct->n_unconfirmed, 0);
	assert_int_equal(b.ct->table.n_entries, 2);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_DISCARDED], 1);
	fixture_stop(&b);
}

/* Would catch: two connections with one REPLY tuple, or a mapping that somebody else gets before it is confirmed. */
static void test_take_reply(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec m1 = udp_make(1000, 53), m2 = udp_make(1001, 53);
	struct tuple reply;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	batch_add(&batch, fixture_packet(&b, &m1));
	batch_add(&batch, fixture_packet(&b, &m2));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	uint32_t i1 = conn_index(batch.p[0]->conn_ref), i2 = conn_index(batch.p[1]->conn_ref);
	reply = ct_conn(b.ct, i1)->half[CT_REPLY].tuple;
	reply.dst = IP4(192, 0, 2, 1);
	assert_true(conntrack_reserve_reply(b.ct, i1, &reply));
	assert_false(conntrack_reserve_reply(b.ct, i2, &reply));
	assert_int_equal(conn_index(conntrack_find(b.ct, &reply)), i1);
	reply.dport++;
	assert_true(conntrack_reserve_reply(b.ct, i1, &reply));
	reply.dport--;
	assert_true(conntrack_reserve_reply(b.ct, i2, &reply));
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 2);
	assert_int_equal(b.ct->table.n_entries, 4);
	fixture_hand(&b, batch.p[0]);
	fixture_hand(&b, batch.p[1]);
	fixture_stop(&b);
}

/* Would catch: an established connection that a flood of new ones pushes out; a flood that is not let in at all. */
static void test_eviction(void **state)
{
	struct ct_fixture b;
	struct packet_spec keep = udp_make(1, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	struct packet_spec back = turned(keep);
	fixture_forward(&b, &keep);
	fixture_pass(&b, 3 * NS_PER_S);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	fixture_pass(&b, 3 * NS_PER_S);
	assert_int_equal(fixture_forward(&b, &keep).info, CT_INFO_ESTABLISHED);
	for (uint16_t i = 0; i < 100; i++) {
		struct packet_spec m = udp_make((uint16_t)(2000 + i), 53);
		assert_true(fixture_forward(&b, &m).passed);
	}
	assert_int_equal(conntrack_n_connections(b.ct), 8);
	assert_int_not_equal(ref_of(&b, &keep), CONN_NONE);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_EVICTED], 93);
	/* The oldest went: the seven newest are there. */
	struct packet_spec old = udp_make(2092, 53), unassured = udp_make(2093, 53);
	assert_int_equal(ref_of(&b, &old), CONN_NONE);
	assert_int_not_equal(ref_of(&b, &unassured), CONN_NONE);
	fixture_stop(&b);
}

static uint32_t n_known(struct ct_fixture *b, struct packet_spec m, uint16_t first, uint32_t n)
{
	uint32_t known = 0;

	for (uint32_t i = 0; i < n; i++) {
		m.sport = (uint16_t)(first + i);
		known += ref_of(b, &m) != CONN_NONE;
	}
	return known;
}

static void flood(struct ct_fixture *b, struct packet_spec m, uint16_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		m.sport = (uint16_t)(first + i);
		assert_true(fixture_forward(b, &m).passed);
	}
}

/* Would catch: a flood from outside that pushes out what hosts inside have just begun; one from inside that leaves no
 * room at all for what comes from outside. */
static void test_origins(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .outside = UINT64_C(1) << WAN };
	struct packet_spec inside = udp_make(0, 53), outside = turned(inside);

	(void)state;
	outside.dport = 53;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 64 });
	conntrack_configure(b.ct, &cfg);
	flood(&b, inside, 1000, 30);
	flood(&b, outside, 2000, 1000);
	assert_int_equal(n_known(&b, inside, 1000, 30), 30);
	assert_int_equal(n_known(&b, outside, 2966, 34), 34);
	flood(&b, inside, 5000, 1000);
	assert_int_equal(n_known(&b, outside, 2992, 8), 8);
	assert_int_equal(n_known(&b, inside, 5944, 56), 56);
	assert_int_equal(conntrack_n_connections(b.ct), 64);
	fixture_stop(&b);
}

/* Would catch: packets that nobody here takes, and that push out what others have begun, or leave a connection. */
static void test_unclaimed(void **state)
{
	struct ct_fixture b;
	struct packet_spec unassured = udp_make(0, 53), stray = turned(unassured);

	(void)state;
	stray.out = 0;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	flood(&b, unassured, 1000, 16);
	for (uint32_t i = 0; i < 1000; i += BATCH_MAX) {
		struct batch batch = { .n = 0 };

		for (uint32_t k = 0; k < BATCH_MAX; k++) {
			stray.sport = (uint16_t)(2000 + i + k);
			batch_add(&batch, fixture_packet(&b, &stray));
			batch.p[k]->unclaimed = true;
		}
		fixture_in(&b, HOOK_PREROUTING, &batch);
		fixture_out(&b, HOOK_INPUT, &batch);
		assert_int_equal(batch.n, BATCH_MAX);
		for (uint32_t k = 0; k < BATCH_MAX; k++)
			fixture_hand(&b, batch.p[k]);
	}
	assert_int_equal(n_known(&b, unassured, 1000, 16), 16);
	assert_int_equal(conntrack_n_connections(b.ct), 16);
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_EVICTED], 0);
	fixture_stop(&b);
}

/* Would catch: a packet that is given another connection's translation because its own was evicted in this batch. */
static void test_evicted_in_batch(void **state)
{
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	struct packet_spec old = udp_make(1, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 1 });
	fixture_forward(&b, &old);
	batch_add(&batch, fixture_packet(&b, &old));
	struct packet_spec new = udp_make(2, 53);
	batch_add(&batch, fixture_packet(&b, &new));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	assert_int_equal(batch.n, 2);
	assert_int_equal(conntrack_of(b.ct, batch.p[0])->half[CT_ORIGINAL].tuple.sport, 1);
	assert_int_equal(conntrack_of(b.ct, batch.p[1])->half[CT_ORIGINAL].tuple.sport, 2);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 2);
	fixture_hand(&b, batch.p[0]);
	fixture_hand(&b, batch.p[1]);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_stop(&b);
}

static void count_refused(void *ctx, const struct packet *p)
{
	assert_int_equal(p->reason, DROP_CT_TABLE_FULL);
	++*(uint32_t *)ctx;
}

/* Would catch: a table that overflows, or a full one that takes an assured connection's place. */
static void test_full(void **state)
{
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 2 });
	for (uint16_t i = 0; i < 2; i++) {
		struct packet_spec m = udp_make((uint16_t)(10 + i), 53), back = turned(m);
		fixture_forward(&b, &m);
		fixture_forward(&b, &back);
		fixture_pass(&b, 3 * NS_PER_S);
		fixture_forward(&b, &back);
	}
	struct packet_spec m = udp_make(12, 53);
	struct seen s = fixture_forward(&b, &m);
	assert_false(s.passed);
	assert_int_equal(s.reason, DROP_CT_TABLE_FULL);
	/* whoever wants to tell the sender learns of it; nobody is told of a packet of our own */
	uint32_t n_told = 0;
	conntrack_set_ip(b.ct, &(struct ct_ip_ops){ .refused = count_refused }, &n_told);
	fixture_forward(&b, &m);
	assert_int_equal(n_told, 1);
	m.in = 0;
	fixture_forward(&b, &m);
	assert_int_equal(n_told, 1);
	fixture_stop(&b);
}

/* Would catch: a limit that is off by one, or never gives back. */
static void test_per_source(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .max_per_source = 3 };

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_configure(b.ct, &cfg);
	for (int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < 5; i++) {
			struct packet_spec m = udp_make((uint16_t)(10 + i), 53), other = m;
			other.src = CLIENT + 1 + i;
			assert_int_equal(fixture_forward(&b, &m).passed, i < 3);
			assert_true(fixture_forward(&b, &other).passed);
		}
		assert_int_equal(b.env.ledger.n_dropped[DROP_CT_SOURCE_LIMIT], 2 * (round + 1));
		fixture_pass(&b, 302 * NS_PER_S);
		assert_int_equal(conntrack_n_connections(b.ct), 0);
	}
	assert_int_equal(b.ct->sources.pool.n_used, 0);
	fixture_stop(&b);
}

/* Would catch: a connection that never came to be (a rule dropped its packet) and counts for its source for ever, or is
 * taken off twice. */
static void test_per_source_discarded(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .max_per_source = 3 };
	struct packet_spec stays = udp_make(9, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_configure(b.ct, &cfg);
	assert_true(fixture_forward(&b, &stays).passed);
	for (uint16_t i = 0; i < 8; i++) {
		struct packet_spec m = udp_make((uint16_t)(10 + i), 53);
		struct batch batch = { .n = 0 };

		batch_add(&batch, fixture_packet(&b, &m));
		fixture_in(&b, HOOK_PREROUTING, &batch);
		assert_int_equal(batch.n, 1);
		packet_set_drop(batch.p[0], DROP_RULE_DROP);
		batch_settle(&batch, b.env.pool, &b.env.ledger);
		assert_int_equal(batch.n, 0);
	}
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	/* one is there, so two more */
	for (uint16_t i = 0; i < 4; i++) {
		struct packet_spec m = udp_make((uint16_t)(100 + i), 53);

		assert_int_equal(fixture_forward(&b, &m).passed, i < 2);
	}
	fixture_stop(&b);
}

/* Would catch: the same of a connection that found no room. */
static void test_per_source_no_room(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .max_per_source = 2 };
	uint32_t cursor = 0, index;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 2 });
	conntrack_configure(b.ct, &cfg);
	for (uint16_t i = 0; i < 2; i++) {
		struct packet_spec m = udp_make((uint16_t)(10 + i), 53), back;

		m.src = CLIENT + 1;
		back = turned(m);
		fixture_forward(&b, &m);
		fixture_forward(&b, &back);
		fixture_pass(&b, 3 * NS_PER_S);
		fixture_forward(&b, &back);
	}
	for (uint16_t i = 0; i < 5; i++) {
		struct packet_spec m = udp_make((uint16_t)(20 + i), 53);

		assert_false(fixture_forward(&b, &m).passed);
		assert_int_equal(b.env.ledger.n_dropped[DROP_CT_TABLE_FULL], i + 1);
	}
	while (conntrack_next(b.ct, &cursor, &index))
		conntrack_end(b.ct, index, CT_END_FLUSHED);
	for (uint16_t i = 0; i < 2; i++) {
		struct packet_spec m = udp_make((uint16_t)(30 + i), 53);

		assert_true(fixture_forward(&b, &m).passed);
	}
	fixture_stop(&b);
}

/* Would catch: a rate that refuses too early or never, and a source that never gets on again. */
static void test_rate_per_source(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .new_per_source_s = 4 };
	uint16_t port = 10;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_configure(b.ct, &cfg);
	for (int i = 0; i < 6; i++) {
		struct packet_spec m = udp_make(port++, 53);

		assert_int_equal(fixture_forward(&b, &m).passed, i < 4);
	}
	assert_int_equal(b.env.ledger.n_dropped[DROP_CT_SOURCE_RATE], 2);
	/* a quarter of a second is worth one connection, ten seconds no more than a burst */
	for (int i = 0; i < 3; i++) {
		struct packet_spec m = udp_make(port++, 53), again = udp_make(port++, 53);

		fixture_pass(&b, NS_PER_S / 4);
		assert_true(fixture_forward(&b, &m).passed);
		assert_false(fixture_forward(&b, &again).passed);
	}
	fixture_pass(&b, 10 * NS_PER_S);
	for (int i = 0; i < 6; i++) {
		struct packet_spec m = udp_make(port++, 53), old = udp_make(10, 53);

		assert_int_equal(fixture_forward(&b, &m).passed, i < 4);
		assert_true(fixture_forward(&b, &old).passed); /* what is there goes on */
	}
	fixture_stop(&b);
}

/* Would catch: a well-known port that lives as long as any, or all that live as short. */
static void test_udp_well_known(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .timeout = { .udp_well_known = 20 } };
	struct packet_spec dns = udp_make(1000, 53), other = udp_make(1000, 5353);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	fixture_forward(&b, &dns);
	fixture_forward(&b, &other);
	assert_int_equal(conn_timeout_s(b.ct, conn_index(ref_of(&b, &dns))), 20);
	assert_int_equal(conn_timeout_s(b.ct, conn_index(ref_of(&b, &other))), 300);
	fixture_stop(&b);
}

/* Would catch: a wrong timeout, a refresh that does not count, a timer that fires although it was put off. */
static void test_udp_times(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 53), back = turned(m);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	fixture_forward(&b, &m);
	assert_int_equal(conn_timeout_s(b.ct, conn_index(ref_of(&b, &m))), 300);
	fixture_pass(&b, 119 * NS_PER_S);
	fixture_forward(&b, &m);
	fixture_pass(&b, 119 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_forward(&b, &back);
	fixture_pass(&b, 299 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	assert_true(conntrack_next_deadline(b.ct) <= b.env.now + 2 * NS_PER_S);
	fixture_pass(&b, 2 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	assert_int_equal(b.n_events[EVENT_CONN_END], 1);
	assert_int_equal(b.last.reason, CT_END_TIMEOUT);
	assert_int_equal(b.last.orig.src.v4, CLIENT);
	assert_int_equal(b.last.reply.dport, 1000);
	assert_int_equal(b.ct->table.n_entries, 0);
	assert_int_equal(b.ct->conns.n_used, 0);
	fixture_stop(&b);
}

/* Would catch: a later datagram that writes the other direction's line or needs it, one that is not counted or does not
 * keep its connection alive, one that passes over the connection's becoming a stream, a shorter timeout in a new config
 * that does not count. */
static void test_datagram_line(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 5353), back = turned(m);
	struct ct_config shorter = { .timeout = { .udp_stream = 150 } };
	struct ct_moment now;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	fixture_forward(&b, &m);
	fixture_forward(&b, &back);
	uint32_t index = conn_index(ref_of(&b, &m));
	struct ct_half *h = conntrack_conn(b.ct, index)->half, other = h[CT_ORIGINAL], before;
	const struct ct_datagram_half *d = &h[CT_REPLY].datagram;

	assert_true(d->src == h[CT_ORIGINAL].tuple.dst && d->dst == h[CT_ORIGINAL].tuple.src);
	assert_true(d->sport == h[CT_ORIGINAL].tuple.dport && d->dport == h[CT_ORIGINAL].tuple.sport);
	fixture_pass(&b, NS_PER_S);
	conntrack_batch_begin(b.ct, &now);
	assert_true(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	assert_memory_equal(&h[CT_ORIGINAL], &other, sizeof(other));
	assert_true(h[CT_REPLY].packets == 2 && h[CT_REPLY].bytes == 2 * 48);
	assert_int_equal(conn_timeout_s(b.ct, index), 300);
	/* It still talks: a stream now, which is not for a line alone to say. */
	fixture_pass(&b, 2 * NS_PER_S);
	conntrack_batch_begin(b.ct, &now);
	before = h[CT_REPLY];
	assert_false(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	assert_memory_equal(&h[CT_REPLY], &before, sizeof(before));
	fixture_forward(&b, &m);
	assert_true(conntrack_conn(b.ct, index)->status & CT_ASSURED);
	assert_true(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	fixture_pass(&b, 298 * NS_PER_S);
	conntrack_batch_begin(b.ct, &now);
	assert_true(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	fixture_pass(&b, 10 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	conntrack_configure(b.ct, &shorter);
	conntrack_batch_begin(b.ct, &now);
	assert_false(conntrack_datagram_plain(&h[CT_REPLY], 48, &now));
	fixture_forward(&b, &back);
	assert_int_equal(conn_timeout_s(b.ct, index), 150);
	fixture_stop(&b);
}

/* Would catch: a damaged packet that opens a connection or changes its state, or a plain one that is dropped for it. */
static void test_checksums(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 53), back = turned(m);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.bad_check = true;
	assert_int_equal(fixture_forward(&b, &m).reason, DROP_L4_CHECKSUM);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	m.bad_check = false;
	assert_true(fixture_forward(&b, &m).passed);
	back.bad_check = true;
	assert_int_equal(fixture_forward(&b, &back).reason, DROP_L4_CHECKSUM);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	back.bad_check = false;
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	back.bad_check = true;
	assert_true(fixture_forward(&b, &back).passed);
	fixture_stop(&b);
}

/* Would catch: queries mixed up by identifier or type, a reply that opens a connection. */
static void test_icmp_query(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(77, ICMP_ECHO_REQUEST << 8);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.proto = IPPROTO_NR_ICMP;
	struct packet_spec back = turned(m), stray = back;
	stray.sport = 78;
	assert_int_equal(fixture_forward(&b, &stray).info, CT_INFO_INVALID);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	assert_int_equal(fixture_forward(&b, &stray).info, CT_INFO_INVALID);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_pass(&b, 62 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(b.ct), 0);
	fixture_stop(&b);
}

/* Would catch: an error that finds no connection, one that is taken for another's, one about nothing that is let in. */
static void test_icmp_errors(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(1000, 53), other = udp_make(1001, 53);

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	fixture_forward(&b, &m);
	const struct {
		const struct packet_spec *quoted;
		uint32_t dst;
		bool related;
	} rows[] = { { &m, CLIENT, true }, { &other, CLIENT, false }, { &m, CLIENT + 1, false } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct batch batch = { .n = 0 };
		struct packet *q = fixture_packet(&b, rows[i].quoted);
		batch_add(&batch, fixture_error(&b, WAN, LAN, IP4(192, 0, 2, 9), rows[i].dst, 3, 3, q, 8));
		fixture_in(&b, HOOK_PREROUTING, &batch);
		struct seen s = seen_of(batch.p[0]);
		assert_int_equal(s.info, rows[i].related ? CT_INFO_RELATED : CT_INFO_INVALID);
		if (rows[i].related) {
			assert_true(s.icmp_error);
			assert_int_equal(conn_dir(s.conn_ref), CT_REPLY);
		}
		fixture_hand(&b, batch.p[0]);
		fixture_hand(&b, q);
	}
	/* The header that it quotes is damaged. */
	struct batch damaged = { .n = 0 };
	struct packet *q = fixture_packet(&b, &m);
	packet_l3(q)[10] ^= 0x55;
	batch_add(&damaged, fixture_error(&b, WAN, LAN, IP4(192, 0, 2, 9), CLIENT, 3, 3, q, 8));
	fixture_in(&b, HOOK_PREROUTING, &damaged);
	assert_int_equal(damaged.n, 0);
	assert_int_equal(b.env.ledger.n_dropped[DROP_ICMP_QUOTE_CHECKSUM], 1);
	fixture_hand(&b, q);
	/* One of ours about a packet whose connection is not confirmed yet: a traceroute's first probe. */
	struct batch first = { .n = 0 }, ours = { .n = 0 };
	batch_add(&first, fixture_packet(&b, &other));
	fixture_in(&b, HOOK_PREROUTING, &first);
	batch_add(&ours, fixture_error(&b, 0, LAN, IP4(10, 0, 0, 1), CLIENT, 11, 0, first.p[0], 20));
	fixture_in(&b, HOOK_OUTPUT, &ours);
	assert_int_equal(ours.p[0]->ct_info, CT_INFO_RELATED);
	assert_int_equal(ours.p[0]->conn_ref, first.p[0]->conn_ref ^ 1);
	fixture_out(&b, HOOK_POSTROUTING, &ours);
	fixture_hand(&b, ours.p[0]);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	env_drop(&b.env, first.p[0], DROP_TTL_EXPIRED);
	assert_int_equal(b.ct->n_unconfirmed, 0);
	fixture_stop(&b);
}

/* Would catch: two private networks with the same addresses that share connections. */
static void test_zones(void **state)
{
	struct ct_fixture b;
	struct ct_config cfg = { .zone = { [LAN] = 5, [3] = 6 } };
	struct packet_spec m = udp_make(1000, 53), m3 = udp_make(1000, 53);

	(void)state;
	m3.in = 3;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	struct seen s = fixture_forward(&b, &m);
	const struct conn *c = ct_conn(b.ct, conn_index(s.conn_ref));
	assert_int_equal(c->half[CT_ORIGINAL].tuple.zone, 5);
	assert_int_equal(c->half[CT_REPLY].tuple.zone, 0);
	/* Without NAT the same REPLY tuple would be needed twice. */
	s = fixture_forward(&b, &m3);
	assert_false(s.passed);
	assert_int_equal(s.reason, DROP_CT_CLASH);
	struct packet_spec back = turned(m);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	fixture_stop(&b);
}

/* Would catch: a protocol without ports that is not tracked, or notrack that is not heeded. */
static void test_others(void **state)
{
	struct ct_fixture b;
	struct packet_spec m = udp_make(0, 0);
	struct batch batch = { .n = 0 };

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.proto = 99;
	struct packet_spec back = turned(m);
	assert_int_equal(fixture_forward(&b, &m).info, CT_INFO_NEW);
	assert_int_equal(fixture_forward(&b, &back).info, CT_INFO_ESTABLISHED);
	m = udp_make(4, 5);
	batch_add(&batch, fixture_packet(&b, &m));
	batch.p[0]->ct_info = CT_INFO_UNTRACKED;
	fixture_in(&b, HOOK_PREROUTING, &batch);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.p[0]->ct_info, CT_INFO_UNTRACKED);
	assert_int_equal(batch.p[0]->conn_ref, CONN_NONE);
	fixture_hand(&b, batch.p[0]);
	assert_int_equal(conntrack_n_connections(b.ct), 1);
	fixture_stop(&b);
}

static void count_release(void *ctx, struct conn *c, uint32_t index)
{
	(void)c;
	(void)index;
	++*(uint32_t *)ctx;
}

/* Would catch: a mapping that is given back twice or never, a listing that misses or repeats. */
static void test_end_and_list(void **state)
{
	struct ct_fixture b;
	uint32_t n_released = 0, cursor = 0, index, n = 0;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 100 });
	conntrack_set_nat(b.ct, &(struct ct_nat_ops){ .release = count_release }, &n_released);
	for (uint16_t i = 0; i < 50; i++) {
		struct packet_spec m = udp_make((uint16_t)(100 + i), 53);
		struct seen s = fixture_forward(&b, &m);
		conntrack_set_mapped(b.ct, conn_index(s.conn_ref));
	}
	while (conntrack_next(b.ct, &cursor, &index)) {
		n++;
		conntrack_end(b.ct, index, CT_END_FLUSHED);
		conntrack_end(b.ct, index, CT_END_FLUSHED);
	}
	assert_int_equal(n, 50);
	assert_int_equal(n_released, 50);
	assert_int_equal(conntrack_n_mapped(b.ct), 0);
	assert_int_equal(b.n_events[EVENT_CONN_END], 50);
	fixture_pass(&b, 0);
	assert_int_equal(b.ct->conns.n_used, 0);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_in_a_batch),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_take_reply),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_evicted_in_batch),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_unclaimed),
		cmocka_unit_test(test_per_source),
		cmocka_unit_test(test_per_source_discarded),
		cmocka_unit_test(test_per_source_no_room),
		cmocka_unit_test(test_rate_per_source),
		cmocka_unit_test(test_udp_well_known),
		cmocka_unit_test(test_udp_times),
		cmocka_unit_test(test_datagram_line),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_icmp_query),
		cmocka_unit_test(test_icmp_errors),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_end_and_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
