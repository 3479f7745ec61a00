/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: connection tracking on a virtual clock, without an IP layer.
 * Packets are made from values (packet_fixture.h), parsed as ip_input does, and walked through the
 * hooks in batches; what comes out is counted as handed to a driver, so the law
 * of conservation can be checked at the end of every test.
 */
#ifndef YG_GATEWAY_CONNTRACK_CT_FIXTURE_H
#define YG_GATEWAY_CONNTRACK_CT_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "gateway/conntrack/conntrack_priv.h"
#include "gateway/conntrack/record.h"
#include "stack/packet/packet_fixture.h"
#include "stack/wire/bytes.h"

#define LAN 1u
#define WAN 2u
#define CLIENT IP4(10, 0, 0, 2)
#define SERVER IP4(198, 51, 100, 7)

struct ct_fixture {
	struct env env;
	struct conntrack *ct;
	uint64_t n_events[N_EVENT_KINDS];
	struct yg_event last;
};

static inline void fixture_note(void *ctx, const struct yg_event *e)
{
	struct ct_fixture *b = ctx;

	b->n_events[e->kind]++;
	b->last = *e;
}

static inline void fixture_start(struct ct_fixture *b, const struct ct_limits *limits)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 7 };
	const struct packet_pool_config pool = { .n_packets = 512, .n_small = 512, .n_large = 4 };

	memset(b, 0, sizeof(*b));
	b->env.pool = packet_pool_create(&pool);
	assert_non_null(b->env.pool);
	rng_init(&b->env.rng, seed);
	b->env.emit = fixture_note;
	b->env.emit_ctx = b;
	b->env.now = 1000 * NS_PER_S;
	b->ct = conntrack_create(&b->env, limits);
	assert_non_null(b->ct);
	packet_pool_set_conn_slots(b->env.pool,
				   &(struct packet_conn_slots){ .ctx = b->ct,
								.put = conntrack_packet_put,
								.get = conntrack_packet_get,
								.revalidate = conntrack_packet_revalidate });
}

static inline void fixture_check_law(struct ct_fixture *b)
{
	assert_int_equal(ledger_expected_held(&b->env.ledger), (int64_t)packet_pool_used(b->env.pool));
}

static inline void fixture_stop(struct ct_fixture *b)
{
	fixture_check_law(b);
	conntrack_destroy(b->ct);
	fixture_check_law(b);
	assert_int_equal(packet_pool_used(b->env.pool), 0);
	packet_pool_destroy(b->env.pool);
}

/* A packet as the IP layer has parsed it. Here ICMP is described as in a tuple: sport is the identifier, dport the type
 * and the code. */
static inline struct packet *fixture_packet(struct ct_fixture *b, const struct packet_spec *m)
{
	struct packet_spec s = *m;

	if (s.proto == IPPROTO_NR_ICMP) {
		s.type = (uint8_t)(m->dport >> 8);
		s.code = (uint8_t)m->dport;
		s.id = m->sport;
		s.icmp_seq = (uint16_t)m->seq;
	}
	struct packet *p = packet_of_spec(b->env.pool, &s, NULL, NULL);
	assert_non_null(p);
	b->env.ledger.n_received++;
	assert_true(packet_parse(p));
	p->forwarded = m->in != 0 && m->out != 0;
	p->to_us = m->out == 0;
	return p;
}

/* An ICMP error that quotes `quoted` with `n` bytes behind its IP header. */
static inline struct packet *fixture_error(struct ct_fixture *b, uint32_t in, uint32_t out, uint32_t src, uint32_t dst,
					   uint8_t type, uint8_t code, struct packet *quoted, uint32_t n)
{
	uint32_t len = min_u32(n, packet_l4_len(quoted)) + 20;
	struct packet_spec m = { .in = in,
				 .out = out,
				 .src = src,
				 .dst = dst,
				 .proto = IPPROTO_NR_ICMP,
				 .dport = (uint16_t)(type << 8 | code),
				 .payload_len = (uint16_t)len,
				 .payload = packet_l3(quoted) };
	return fixture_packet(b, &m);
}

/* What became of a packet. */
struct seen {
	bool passed;
	enum drop_reason reason;
	uint8_t info;
	uint32_t conn_ref;
	bool icmp_error;
};

static inline void fixture_hand(struct ct_fixture *b, struct packet *p)
{
	b->env.ledger.n_handed++;
	packet_free(b->env.pool, p);
}

/* Up to -200. */
static inline void fixture_in(struct ct_fixture *b, enum ip_hook hook, struct batch *batch)
{
	conntrack_defrag(b->ct, hook, batch);
	batch_settle(batch, b->env.pool, &b->env.ledger);
	conntrack_in(b->ct, hook, batch);
	batch_settle(batch, b->env.pool, &b->env.ledger);
}

static inline void fixture_out(struct ct_fixture *b, enum ip_hook hook, struct batch *batch)
{
	conntrack_confirm(b->ct, hook, batch);
	batch_settle(batch, b->env.pool, &b->env.ledger);
}

static inline struct seen seen_of(const struct packet *p)
{
	return (struct seen){
		.passed = true, .info = p->ct_info, .conn_ref = p->conn_ref, .icmp_error = p->ct_icmp_error
	};
}

/* Forwards one packet through all hooks. */
static inline struct seen fixture_forward(struct ct_fixture *b, const struct packet_spec *m)
{
	struct batch batch = { .n = 0 };
	uint64_t before[N_DROP_REASONS];
	struct seen s = { .passed = false, .conn_ref = CONN_NONE };

	memcpy(before, b->env.ledger.n_dropped, sizeof(before));
	batch_add(&batch, fixture_packet(b, m));
	fixture_in(b, HOOK_PREROUTING, &batch);
	fixture_out(b, HOOK_POSTROUTING, &batch);
	if (batch.n == 1) {
		s = seen_of(batch.p[0]);
		fixture_hand(b, batch.p[0]);
	}
	for (uint32_t i = 0; i < N_DROP_REASONS; i++)
		if (b->env.ledger.n_dropped[i] != before[i])
			s.reason = (enum drop_reason)i;
	return s;
}

static inline struct packet_spec udp_make(uint16_t sport, uint16_t dport)
{
	return (struct packet_spec){ .in = LAN,
				     .out = WAN,
				     .src = CLIENT,
				     .dst = SERVER,
				     .proto = IPPROTO_NR_UDP,
				     .sport = sport,
				     .dport = dport,
				     .payload_len = 20 };
}

static inline struct packet_spec turned(struct packet_spec m)
{
	struct packet_spec r = m;

	r.in = m.out;
	r.out = m.in;
	r.src = m.dst;
	r.dst = m.src;
	if (m.proto != IPPROTO_NR_ICMP) {
		r.sport = m.dport;
		r.dport = m.sport;
	} else {
		r.dport = (uint16_t)(icmp_opposite((uint8_t)(m.dport >> 8)) << 8);
	}
	return r;
}

/* The connection of such a packet, and which of its sides: CONN_NONE if there is none. */
static inline uint32_t fixture_ref_of(const struct ct_fixture *b, const struct packet_spec *m)
{
	struct tuple t = { .src = m->src, .dst = m->dst, .sport = m->sport, .dport = m->dport, .proto = m->proto };

	return conntrack_find(b->ct, &t);
}

static inline void fixture_pass(struct ct_fixture *b, uint64_t ns)
{
	b->env.now += ns;
	conntrack_expire(b->ct);
}

/* Each connection is written as a value, ended, and begun again from that: then nothing of it may be another. */
static inline void fixture_reborn(struct ct_fixture *b)
{
	static struct ct_record before, after;
	uint32_t cursor = 0, n = 0, index[32], again;

	while (n < 32 && conntrack_next(b->ct, &cursor, &index[n]))
		n++;
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(conntrack_export(b->ct, index[i], &before), 0);
		conntrack_end(b->ct, index[i], CT_END_FLUSHED);
		ct_flush_dying(b->ct);
		assert_int_equal(conntrack_import(b->ct, &before, &again), 0);
		conntrack_import_confirm(b->ct, again);
		assert_int_equal(conntrack_export(b->ct, again, &after), 0);
		assert_memory_equal(&before, &after, sizeof(before));
	}
}

#endif
