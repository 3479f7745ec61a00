/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Partial checksums and large segments. What comes out is read back with the
 * parsers of src/stack/wire and checked against what went in.
 */
#include "stack/packet/gso.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ip4.h"
#include "base/util.h"
#include "stack/wire/checksum.h"

#define SRC IP4(10, 0, 0, 1)
#define DST IP4(203, 0, 113, 9)
#define SEQ 0xfffffa00u /* wraps on the way */
#define ID 65530        /* likewise */

struct fixture {
	struct packet_pool *pool;
	struct ledger ledger;
	struct batch out;
};

static void fixture_init(struct fixture *b, uint32_t n_small, uint32_t n_large)
{
	struct packet_pool_config cfg = { .n_packets = n_small + n_large, .n_small = n_small, .n_large = n_large };
	memset(b, 0, sizeof(*b));
	b->pool = packet_pool_create(&cfg);
	assert_non_null(b->pool);
}

static void free_out(struct fixture *b)
{
	b->ledger.n_consumed += b->out.n;
	while (b->out.n > 0)
		packet_free(b->pool, b->out.p[--b->out.n]);
}

static void fixture_fini(struct fixture *b)
{
	free_out(b);
	assert_int_equal(packet_pool_used(b->pool), 0);
	assert_int_equal(ledger_expected_held(&b->ledger), 0);
	packet_pool_destroy(b->pool);
}

/* What a packet is made of. */
struct make {
	uint8_t proto;
	uint8_t ip_options, tcp_options; /* bytes */
	uint8_t flags;
	uint32_t n_payload;
	uint16_t gso_size; /* 0: none */
	uint8_t gso_type;
};

static uint8_t payload_at(uint32_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

/* Fills the views from the bytes, as input does. */
static void parse_views(struct packet *p)
{
	p->l3_off = ETHER_HEADER_LEN;
	assert_int_equal(ipv4_parse(packet_l3(p), p->len - p->l3_off, &p->ip), IPV4_OK);
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4), L4_OK);
}

static void emit_transport(uint8_t *l4, const struct make *m)
{
	if (m->proto == IPPROTO_NR_UDP) {
		udp_emit(l4, 1000, 53, (uint16_t)m->n_payload);
		return;
	}
	tcp_emit(l4, 1000, 80, SEQ, 77, m->flags, 500);
	l4[12] = (uint8_t)((TCP_HEADER_LEN + m->tcp_options) / 4 << 4);
	memset(l4 + TCP_HEADER_LEN, 1, m->tcp_options);
}

/* A frame whose checksum is partial, as a kernel neighbour sends it. */
static struct packet *make_packet(struct fixture *b, const struct make *m)
{
	uint32_t l4_header = m->proto == IPPROTO_NR_UDP ? UDP_HEADER_LEN : (uint32_t)TCP_HEADER_LEN + m->tcp_options;
	uint32_t ip_header = (uint32_t)IPV4_HEADER_LEN + m->ip_options;
	uint32_t total = ip_header + l4_header + m->n_payload;
	struct packet *p = packet_alloc(b->pool, ETHER_HEADER_LEN + total);
	assert_non_null(p);
	b->ledger.n_received++;
	uint8_t *frame = packet_frame(p), *l3 = frame + ETHER_HEADER_LEN, *l4 = l3 + ip_header;
	struct ether_view ether = { .type = ETHERTYPE_IPV4 };
	ether_emit(frame, &ether);
	struct ipv4_view ip = { .src = SRC,
				.dst = DST,
				.total_len = (uint16_t)total,
				.id = ID,
				.header_len = IPV4_HEADER_LEN,
				.tos = 2,
				.ttl = 61,
				.proto = m->proto,
				.df = true };
	ipv4_emit(l3, &ip);
	l3[0] = (uint8_t)(0x40 | ip_header / 4);
	memset(l3 + IPV4_HEADER_LEN, IPV4_OPT_NOP, m->ip_options);
	ipv4_set_fragment(l3, ip.total_len, 0, true, false);
	emit_transport(l4, m);
	for (uint32_t i = 0; i < m->n_payload; i++)
		l4[l4_header + i] = payload_at(i);
	p->offload.csum_partial = true;
	p->offload.csum_start = (uint16_t)(ETHER_HEADER_LEN + ip_header);
	p->offload.csum_offset = m->proto == IPPROTO_NR_UDP ? 6 : 16;
	p->offload.gso_type = m->gso_type;
	p->offload.gso_size = m->gso_size;
	p->offload.gso_hdr_len = 9999; /* a hint that is not to be believed */
	uint16_t sum = checksum_fold(checksum_pseudo(SRC, DST, m->proto, total - ip_header));
	memcpy(frame + p->offload.csum_start + p->offload.csum_offset, &(be16){ { (uint8_t)(sum >> 8), (uint8_t)sum } },
	       2);
	parse_views(p);
	p->mark = 5;
	return p;
}

static const struct make makes[] = {
	{ .proto = IPPROTO_NR_TCP, .flags = TCP_ACK, .n_payload = 0 },
	{ .proto = IPPROTO_NR_TCP, .flags = TCP_ACK | TCP_PSH, .n_payload = 1447, .tcp_options = 12 },
	{ .proto = IPPROTO_NR_TCP, .flags = TCP_SYN, .tcp_options = 20, .ip_options = 8 },
	{ .proto = IPPROTO_NR_UDP, .n_payload = 0 },
	{ .proto = IPPROTO_NR_UDP, .n_payload = 999, .ip_options = 4 },
};

/* Catches a wrong sum, a field or view that keeps the partial one, and padding
 * behind the packet taken into the sum. */
static void finishes_partial_checksums(void **state)
{
	struct fixture b;
	fixture_init(&b, 4, 2);
	for (size_t i = 0; i < ARRAY_LEN(makes); i++) {
		for (int padded = 0; padded < 2; padded++) {
			struct packet *p = make_packet(&b, &makes[i]);
			if (padded) {
				memset(packet_frame(p) + p->len, 0xee, 7);
				p->len += 7;
			}
			assert_true(offload_sane(p));
			assert_false(l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p)));
			assert_true(offload_finish_checksum(p));
			assert_true(l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p)));
			assert_true(!p->offload.csum_partial && p->offload.csum_valid);
			struct l4_view again;
			assert_int_equal(l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &again), L4_OK);
			assert_int_equal(p->l4.check, again.check);
			assert_false(offload_finish_checksum(p));
			b.out.n = 0;
			batch_add(&b.out, p);
			free_out(&b);
		}
	}
	fixture_fini(&b);
}

/* Catches a UDP checksum of zero, which would say that there is none (RFC 768). */
static void udp_checksum_is_never_zero(void **state)
{
	struct fixture b;
	fixture_init(&b, 4, 2);
	struct make m = { .proto = IPPROTO_NR_UDP, .n_payload = 2 };
	struct packet *p = make_packet(&b, &m);
	/* Two bytes that make the sum of all others 0xffff. */
	uint8_t *l4 = packet_l4(p);
	memset(l4 + 8, 0, 2);
	uint16_t rest = checksum_finish(checksum_add(0, l4, 10));
	l4[8] = (uint8_t)(rest >> 8);
	l4[9] = (uint8_t)rest;
	assert_true(offload_finish_checksum(p));
	assert_int_equal(p->l4.check, 0xffff);
	assert_true(l4_checksum_ok(&p->ip, l4, 10));
	batch_add(&b.out, p);
	fixture_fini(&b);
}

/* Catches a write outside the frame when a sender lies about the place, and a
 * packet without views (a driver may finish before input). */
static void finish_looks_at_the_frame_only(void **state)
{
	static const struct {
		uint16_t start, offset;
		bool done;
	} rows[] = {
		{ 34, 6, true },   { 0, 40, true },         { 42, 98, true },    { 42, 99, false },
		{ 142, 0, false }, { 65535, 65535, false }, { 0, 65535, false },
	};
	struct fixture b;
	fixture_init(&b, 4, 2);
	struct make m = { .proto = IPPROTO_NR_UDP, .n_payload = 100 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet *made = make_packet(&b, &m);
		/* Exactly its bytes, external: the sanitizer sees every step beyond. */
		uint8_t *bytes = malloc(made->len);
		assert_non_null(bytes);
		memcpy(bytes, packet_frame(made), made->len);
		struct packet *p = packet_set_external(b.pool, bytes, made->len, 0, made->len, NULL, NULL, 0);
		p->offload = made->offload;
		p->offload.csum_start = rows[i].start;
		p->offload.csum_offset = rows[i].offset;
		assert_int_equal(offload_finish_checksum(p), rows[i].done);
		assert_int_equal(p->offload.csum_partial, !rows[i].done);
		packet_free(b.pool, p);
		free(bytes);
		batch_add(&b.out, made);
		free_out(&b);
	}
	fixture_fini(&b);
}

/* A change to a sane packet, by number. */
static void spoil(struct packet *p, int how)
{
	switch (how) {
	case 0:
		p->offload.csum_start++;
		break;
	case 1:
		p->offload.csum_offset = 6;
		break;
	case 2:
		p->offload.csum_partial = false;
		break;
	case 3:
		p->offload.gso_size = 0;
		break;
	case 4:
		p->offload.gso_type = GSO_UDP4;
		break;
	case 5:
		p->offload.gso_type = 200;
		break;
	case 6:
		p->ip.mf = true;
		break;
	case 7:
		p->ip.frag_off = 8;
		break;
	case 8:
		p->ip.proto = 47;
		break;
	case 9:
		p->l4.kind = L4_NONE;
		break;
	case 10:
		p->len--;
		break;
	case 11:
		p->l4.flags |= TCP_SYN;
		break;
	default:
		p->l4.payload_len = 0;
		break;
	}
}

/* Catches a sender's lie that would be passed on, and honest frames refused. */
static void lies_are_seen(void **state)
{
	struct fixture b;
	fixture_init(&b, 4, 2);
	struct make tcp = { IPPROTO_NR_TCP, .flags = TCP_ACK, .n_payload = 5000, .gso_size = 1000,
			    .gso_type = GSO_TCP4 };
	struct make udp = { IPPROTO_NR_UDP, .n_payload = 5000, .gso_size = 1000, .gso_type = GSO_UDP4 };
	struct packet *p = make_packet(&b, &tcp), *u = make_packet(&b, &udp);
	assert_true(offload_sane(p) && offload_sane(u));
	for (int how = 0; how <= 12; how++) {
		struct packet saved = *p;
		spoil(p, how);
		assert_false(offload_sane(p));
		*p = saved;
	}
	/* A datagram that ends before its packet does. */
	u->l4.payload_len--;
	assert_false(offload_sane(u));
	u->offload = (struct offload){ 0 };
	assert_true(offload_sane(u));
	batch_add(&b.out, p);
	batch_add(&b.out, u);
	fixture_fini(&b);
}

/* Checks segment number n of what m made, and returns its payload's length. */
static uint32_t check_segment(struct packet *segment, const struct make *m, uint32_t n, uint32_t n_before, bool last)
{
	struct ipv4_view ip = segment->ip;
	struct l4_view l4 = segment->l4;
	assert_true(!segment->offload.csum_partial && segment->offload.gso_type == GSO_NONE);
	parse_views(segment);
	assert_memory_equal(&ip, &segment->ip, sizeof(ip));
	assert_true(l4.seq == segment->l4.seq && l4.flags == segment->l4.flags && l4.check == segment->l4.check &&
		    l4.payload_len == segment->l4.payload_len);
	assert_int_equal(segment->len, ETHER_HEADER_LEN + ip.total_len);
	assert_true(l4_checksum_ok(&ip, packet_l4(segment), packet_l4_len(segment)));
	assert_int_equal(ip.id, (uint16_t)(ID + n));
	assert_true(ip.df && ip.ttl == 61 && ip.tos == 2 && ip.header_len == 20 + m->ip_options);
	assert_int_equal(segment->mark, 5);
	if (m->proto == IPPROTO_NR_TCP) {
		assert_true(l4.seq == SEQ + n_before);
		assert_int_equal(l4.header_len, TCP_HEADER_LEN + m->tcp_options);
		uint8_t expected = m->flags;
		if (n > 0)
			expected &= (uint8_t)~TCP_CWR;
		if (!last)
			expected &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		assert_int_equal(l4.flags, expected);
	}
	uint32_t n_payload = packet_l4_len(segment) - l4.header_len;
	const uint8_t *payload = packet_l4(segment) + l4.header_len;
	for (uint32_t i = 0; i < n_payload; i++)
		assert_int_equal(payload[i], payload_at(n_before + i));
	return n_payload;
}

static const struct make large_makes[] = {
	{ IPPROTO_NR_TCP, 0, 12, TCP_ACK | TCP_PSH | TCP_FIN, 65000, 1448, GSO_TCP4 },
	{ IPPROTO_NR_TCP, 0, 12, TCP_ACK | TCP_PSH | TCP_CWR | TCP_ECE, 2896, 1448, GSO_TCP4_ECN },
	{ IPPROTO_NR_TCP, 8, 0, TCP_ACK | TCP_URG, 2897, 1448, GSO_TCP4 },
	{ IPPROTO_NR_TCP, 0, 40, TCP_ACK, 100, 1408, GSO_TCP4 },
	{ IPPROTO_NR_TCP, 40, 40, TCP_ACK | TCP_FIN, 65400, 9001, GSO_TCP4 },
	{ IPPROTO_NR_UDP, 0, 0, 0, 65000, 1472, GSO_UDP4 },
	{ IPPROTO_NR_UDP, 4, 0, 0, 11, 5, GSO_UDP4 },
	{ IPPROTO_NR_TCP, 0, 12, TCP_ACK | TCP_PSH | TCP_CWR, 65000, 536, GSO_TCP4_ECN },
	{ IPPROTO_NR_TCP, 0, 0, TCP_ACK | TCP_PSH, 3072, 48, GSO_TCP4 },
	{ IPPROTO_NR_UDP, 0, 0, 0, 6500, 101, GSO_UDP4 },
};

/* Catches wrong headers, flags, checksums or payload in any segment, segments that
 * are lost or one too many, and a count that breaks the law of conservation; also
 * for segments of more segments than a batch holds. */
static void right_segments(void **state)
{
	struct fixture b;
	fixture_init(&b, 70, 12);
	for (size_t row = 0; row < ARRAY_LEN(large_makes); row++) {
		const struct make *m = &large_makes[row];
		struct packet *p = make_packet(&b, m);
		uint32_t n_segments = (m->n_payload + m->gso_size - 1) / m->gso_size;
		assert_true(offload_sane(p));
		assert_int_equal(gso_n_segments(p), n_segments);
		assert_int_equal(offload_segment_len(p),
				 p->ip.header_len + p->l4.header_len + min_u32(m->gso_size, m->n_payload));
		uint32_t n_seen = 0, n_before = 0;
		while (p != NULL) {
			assert_true(offload_sane(p));
			assert_int_equal(gso_n_segments(p), n_segments - n_seen);
			assert_true(gso_segment_some(b.pool, &b.ledger, &p, &b.out) > 0);
			for (uint32_t i = 0; i < b.out.n; i++, n_seen++)
				n_before += check_segment(b.out.p[i], m, n_seen, n_before, n_seen + 1 == n_segments);
			assert_int_equal(ledger_expected_held(&b.ledger), packet_pool_used(b.pool));
			free_out(&b);
		}
		assert_int_equal(n_seen, n_segments);
		assert_int_equal(n_before, m->n_payload);
	}
	fixture_fini(&b);
}

/* Catches what is left of a segment that is not itself right: a device that cuts
 * must be able to take it. */
static void rest_is_a_large_segment(void **state)
{
	struct fixture b;
	fixture_init(&b, 70, 12);
	const struct make *m = &large_makes[7];
	struct packet *p = make_packet(&b, m);
	assert_int_equal(gso_segment_some(b.pool, &b.ledger, &p, &b.out), BATCH_MAX);
	free_out(&b);
	struct ipv4_view ip = p->ip;
	struct l4_view l4 = p->l4;
	parse_views(p);
	assert_memory_equal(&ip, &p->ip, sizeof(ip));
	assert_true(l4.seq == p->l4.seq && l4.flags == p->l4.flags && l4.check == p->l4.check);
	assert_int_equal(p->offload.gso_type, GSO_TCP4);
	assert_int_equal(p->l4.flags, TCP_ACK | TCP_PSH);
	/* The partial sum is right: finished over all of it, the packet is. */
	p->offload.gso_type = GSO_NONE;
	assert_true(offload_finish_checksum(p));
	assert_true(l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p)));
	batch_add(&b.out, p);
	fixture_fini(&b);
}

/* Catches a segment half cut when there is no room or no buffer for all of it. */
static void all_or_nothing(void **state)
{
	struct fixture b;
	fixture_init(&b, 10, 2);
	struct make m = { IPPROTO_NR_TCP, .flags = TCP_ACK, .n_payload = 12000, .gso_size = 1000,
			  .gso_type = GSO_TCP4 };
	struct packet *p = make_packet(&b, &m), before = *p;
	/* 10 small buffers and one large for 12 segments. */
	assert_int_equal(gso_segment_some(b.pool, &b.ledger, &p, &b.out), 0);
	assert_int_equal(b.out.n, 0);
	assert_memory_equal(p, &before, sizeof(before));
	assert_int_equal(packet_pool_used(b.pool), 1);
	b.out.n = BATCH_MAX;
	assert_int_equal(gso_segment_some(b.pool, &b.ledger, &p, &b.out), 0);
	assert_non_null(p);
	assert_int_equal(b.ledger.n_pieces_made, 0);
	b.out.n = 0;
	packet_free(b.pool, p);
	b.ledger.n_consumed++;

	m.n_payload = 10000;
	p = make_packet(&b, &m);
	assert_int_equal(gso_segment_some(b.pool, &b.ledger, &p, &b.out), 10);
	assert_int_equal(b.ledger.n_pieces_made, 9);
	fixture_fini(&b);
}

/* Would catch: a note that has one frame cut into thousands; and one refused that Linux writes for the smallest MSS. */
static void test_odd_segments(void **state)
{
	static const struct {
		struct make make;
		bool sane;
	} row[] = {
#define TCP_OF(options, bytes, size) \
	{ IPPROTO_NR_TCP,       .flags = TCP_ACK,   .tcp_options = (options), \
	  .n_payload = (bytes), .gso_size = (size), .gso_type = GSO_TCP4 }
#define UDP_OF(bytes, size) \
	{ \
		IPPROTO_NR_UDP, .n_payload = (bytes), .gso_size = (size), .gso_type = GSO_UDP4 \
	}
		{ TCP_OF(0, 60000, 1), false },  { TCP_OF(0, 100, 47), false },    { TCP_OF(0, 65000, 48), true },
		{ TCP_OF(12, 4000, 36), true },  { TCP_OF(12, 4000, 35), false },  { TCP_OF(40, 8000, 8), true },
		{ TCP_OF(40, 60000, 8), false }, { TCP_OF(0, 60000, 1448), true }, { UDP_OF(1000, 1), false },
		{ UDP_OF(128, 1), true },        { UDP_OF(60000, 1400), true },    { UDP_OF(60000, 400), false },
	};
	struct fixture b;

	(void)state;
	fixture_init(&b, 64, 4);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct packet *p = make_packet(&b, &row[i].make);

		parse_views(p);
		if (offload_sane(p) != row[i].sane)
			fail_msg("row %zu", i);
		packet_drop(b.pool, &b.ledger, p, DROP_OFFLOAD_BAD);
	}
	fixture_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finishes_partial_checksums),
		cmocka_unit_test(udp_checksum_is_never_zero),
		cmocka_unit_test(finish_looks_at_the_frame_only),
		cmocka_unit_test(lies_are_seen),
		cmocka_unit_test(right_segments),
		cmocka_unit_test(rest_is_a_large_segment),
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(test_odd_segments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
