/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: connection tracking on a virtual clock, without an IP layer.
 * Packets are made from values, parsed as ip_input does, and walked through the
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
#include "stack/wire/bytes.h"

#define LAN 1u
#define WAN 2u
#define CLIENT IP4(10, 0, 0, 2)
#define SERVER IP4(198, 51, 100, 7)
#define L3 14u

struct bench {
	struct env env;
	struct conntrack *ct;
	uint64_t n_events[N_EVENT_KINDS];
	struct yg_event last;
};

static inline void bench_note(void *ctx, const struct yg_event *e)
{
	struct bench *b = ctx;

	b->n_events[e->kind]++;
	b->last = *e;
}

static inline void bench_start(struct bench *b, const struct ct_limits *limits)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 7 };
	const struct packet_pool_config pool = { .n_packets = 512, .n_small = 512, .n_large = 4 };

	memset(b, 0, sizeof(*b));
	b->env.pool = packet_pool_create(&pool);
	assert_non_null(b->env.pool);
	rng_init(&b->env.rng, seed);
	b->env.emit = bench_note;
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

static inline void bench_check_law(struct bench *b)
{
	assert_int_equal(ledger_expected_held(&b->env.ledger), (int64_t)packet_pool_used(b->env.pool));
}

static inline void bench_stop(struct bench *b)
{
	bench_check_law(b);
	conntrack_destroy(b->ct);
	bench_check_law(b);
	assert_int_equal(packet_pool_used(b->env.pool), 0);
	packet_pool_destroy(b->env.pool);
}

/* A packet of these header values. */
struct make {
	uint32_t in, out; /* interfaces; 0: made here, or to us */
	uint32_t src, dst;
	uint8_t proto;
	uint16_t sport, dport; /* ICMP: identifier; type << 8 | code */
	uint32_t seq, ack;
	uint16_t win;
	uint8_t flags;
	uint16_t len; /* payload bytes */
	uint8_t n_options;
	const uint8_t *options;
	uint16_t id;
	uint16_t frag_off;
	uint16_t cut; /* not 0: only so many bytes behind the IP header, from frag_off on */
	bool df, mf;
	bool bad_check;
	const uint8_t *payload; /* instead of a pattern */
};

/* Ports; UDP-Lite: coverage of the header; DCCP: flags is the type, with long sequence numbers; SCTP: seq is the
 * verification tag. ESP and GRE: seq is the SPI or the key, GRE: flags its first byte, n_options the version. */
static inline void make_ports(uint8_t *p, const struct make *m)
{
	bytes_put16(p, m->sport);
	bytes_put16(p + 2, m->dport);
	if (m->proto == IPPROTO_NR_UDPLITE)
		bytes_put16(p + 4, UDP_HEADER_LEN);
	if (m->proto == IPPROTO_NR_SCTP)
		bytes_put32(p + 4, m->seq);
	if (m->proto == IPPROTO_NR_DCCP) {
		p[4] = 28 / 4;
		p[8] = (uint8_t)(m->flags << 1 | 1);
	}
}

static inline uint32_t make_l4(uint8_t *p, const struct make *m)
{
	uint32_t header = m->proto == IPPROTO_NR_TCP    ? TCP_HEADER_LEN + m->n_options
			  : m->proto == IPPROTO_NR_SCTP ? SCTP_HEADER_LEN
			  : m->proto == IPPROTO_NR_DCCP ? 28
			  : m->proto == 99              ? 0
							: 8;

	memset(p, 0, header);
	for (uint32_t i = 0; i < m->len; i++)
		p[header + i] = m->payload != NULL ? m->payload[i] : (uint8_t)(i * 7);
	switch (m->proto) {
	case IPPROTO_NR_TCP:
		tcp_emit(p, m->sport, m->dport, m->seq, m->ack, m->flags, m->win);
		if (m->n_options != 0)
			memcpy(p + TCP_HEADER_LEN, m->options, m->n_options);
		p[12] = (uint8_t)(header / 4 << 4);
		break;
	case IPPROTO_NR_UDP:
		udp_emit(p, m->sport, m->dport, m->len);
		break;
	case IPPROTO_NR_ICMP:
		icmp_emit(p, (uint8_t)(m->dport >> 8), (uint8_t)m->dport, (uint32_t)m->sport << 16 | m->seq);
		break;
	case IPPROTO_NR_ESP:
		bytes_put32(p, m->seq);
		break;
	case IPPROTO_NR_GRE:
		p[0] = m->flags;
		p[1] = m->n_options; /* the version */
		bytes_put16(p + 2, m->n_options == 1 ? 0x880b : 0x0800);
		bytes_put32(p + 4, m->seq);
		break;
	case IPPROTO_NR_UDPLITE:
	case IPPROTO_NR_DCCP:
	case IPPROTO_NR_SCTP:
		make_ports(p, m);
		break;
	default:
		break;
	}
	return header + m->len;
}

static inline struct packet *bench_packet(struct bench *b, const struct make *m)
{
	static uint8_t l4[65536];
	struct ipv4_view ip = {
		.src = m->src, .dst = m->dst, .proto = m->proto, .ttl = 64, .id = m->id, .header_len = 20, .df = m->df
	};
	uint32_t whole = make_l4(l4, m);

	ip.total_len = (uint16_t)(20 + whole);
	if (m->proto != 99)
		l4_checksum_set(&ip, l4, whole);
	if (m->bad_check)
		l4[whole - 1] ^= 0x55;
	uint32_t n = m->cut != 0 ? m->cut : whole - m->frag_off;
	struct packet *p = packet_alloc(b->env.pool, L3 + 20 + n);
	assert_non_null(p);
	b->env.ledger.n_received++;
	memset(packet_frame(p), 0, L3);
	p->l3_off = L3;
	p->l4_off = L3 + 20;
	ip.total_len = (uint16_t)(20 + n);
	ip.frag_off = m->frag_off;
	ip.mf = m->mf;
	ipv4_emit(packet_l3(p), &ip);
	memcpy(packet_l4(p), l4 + m->frag_off, n);
	assert_int_equal(ipv4_parse(packet_l3(p), p->len - L3, &p->ip), IPV4_OK);
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), n, &p->l4), L4_OK);
	p->in_ifindex = m->in;
	p->out_ifindex = m->out;
	p->forwarded = m->in != 0 && m->out != 0;
	p->to_us = m->out == 0;
	return p;
}

/* An ICMP error that quotes `quoted` with `n` bytes behind its IP header. */
static inline struct packet *bench_error(struct bench *b, uint32_t in, uint32_t out, uint32_t src, uint32_t dst,
					 uint8_t type, uint8_t code, struct packet *quoted, uint32_t n)
{
	uint32_t len = min_u32(n, packet_l4_len(quoted)) + 20;
	struct make m = { .in = in,
			  .out = out,
			  .src = src,
			  .dst = dst,
			  .proto = IPPROTO_NR_ICMP,
			  .dport = (uint16_t)(type << 8 | code),
			  .len = (uint16_t)len,
			  .payload = packet_l3(quoted) };
	return bench_packet(b, &m);
}

/* What became of a packet. */
struct seen {
	bool passed;
	enum drop_reason reason;
	uint8_t info;
	uint32_t conn_ref;
	bool icmp_error;
};

static inline void bench_hand(struct bench *b, struct packet *p)
{
	b->env.ledger.n_handed++;
	packet_free(b->env.pool, p);
}

/* Up to -200. */
static inline void bench_in(struct bench *b, enum ip_hook hook, struct batch *batch)
{
	conntrack_defrag(b->ct, hook, batch);
	batch_settle(batch, b->env.pool, &b->env.ledger);
	conntrack_in(b->ct, hook, batch);
	batch_settle(batch, b->env.pool, &b->env.ledger);
}

static inline void bench_out(struct bench *b, enum ip_hook hook, struct batch *batch)
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
static inline struct seen bench_forward(struct bench *b, const struct make *m)
{
	struct batch batch = { .n = 0 };
	uint64_t before[N_DROP_REASONS];
	struct seen s = { .passed = false, .conn_ref = CONN_NONE };

	memcpy(before, b->env.ledger.n_dropped, sizeof(before));
	batch_add(&batch, bench_packet(b, m));
	bench_in(b, HOOK_PREROUTING, &batch);
	bench_out(b, HOOK_POSTROUTING, &batch);
	if (batch.n == 1) {
		s = seen_of(batch.p[0]);
		bench_hand(b, batch.p[0]);
	}
	for (uint32_t i = 0; i < N_DROP_REASONS; i++)
		if (b->env.ledger.n_dropped[i] != before[i])
			s.reason = (enum drop_reason)i;
	return s;
}

static inline struct make udp_make(uint16_t sport, uint16_t dport)
{
	return (struct make){ .in = LAN,
			      .out = WAN,
			      .src = CLIENT,
			      .dst = SERVER,
			      .proto = IPPROTO_NR_UDP,
			      .sport = sport,
			      .dport = dport,
			      .len = 20 };
}

static inline struct make turned(struct make m)
{
	struct make r = m;

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

static inline void bench_pass(struct bench *b, uint64_t ns)
{
	b->env.now += ns;
	conntrack_expire(b->ct);
}

/* Each connection is written as a value, ended, and begun again from that: then nothing of it may be another. */
static inline void bench_reborn(struct bench *b)
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
