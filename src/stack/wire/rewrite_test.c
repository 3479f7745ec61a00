/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Translation of random packets and of quotes: whatever changes, checksums that
 * were right are what a sum from scratch gives, and nothing else has moved.
 */
#include "stack/wire/rewrite.h"

#include "stack/wire/bytes.h"
#include "stack/wire/wire_test.h"

#define PACKET_MAX 400

/* A packet under test: bytes, and how much of its datagram they are. */
struct sample {
	uint8_t bytes[PACKET_MAX];
	uint8_t proto;
	uint8_t header_len;  /* IP */
	size_t l4_len;       /* of the whole datagram */
	size_t fragment_len; /* of it in this packet: less in a first fragment */
	size_t check_at;     /* transport checksum, from the IP header; 0 if none */
	bool later;          /* a later fragment */
	bool no_check;       /* UDP without a checksum */
};

static size_t sample_len(const struct sample *s)
{
	return s->header_len + s->fragment_len;
}

/* The transport checksum field as it must be, from scratch. The datagram's
 * bytes behind the fragment are still there. */
static uint16_t transport_want(const struct sample *s, enum rewrite_check check)
{
	uint8_t copy[PACKET_MAX];
	const uint8_t *h = s->bytes;
	uint32_t src = (uint32_t)bytes_get16(h + 12) << 16 | bytes_get16(h + 14),
		 dst = (uint32_t)bytes_get16(h + 16) << 16 | bytes_get16(h + 18);
	uint64_t pseudo = s->proto == IPPROTO_NR_ICMP ? 0 : naive_pseudo(src, dst, s->proto, s->l4_len);

	if (s->no_check)
		return 0;
	if (check == REWRITE_CHECK_PARTIAL)
		return (uint16_t)~naive_checksum(pseudo, NULL, 0);
	memcpy(copy, s->bytes, sizeof(copy));
	bytes_put16(copy + s->check_at, 0);
	uint16_t sum = naive_checksum(pseudo, copy + s->header_len, s->l4_len);
	return sum == 0 && s->proto == IPPROTO_NR_UDP ? 0xffff : sum;
}

static void checks_make(struct sample *s, enum rewrite_check check)
{
	bytes_put16(s->bytes + 10, 0);
	bytes_put16(s->bytes + 10, naive_checksum(0, s->bytes, s->header_len));
	if (s->check_at != 0)
		bytes_put16(s->bytes + s->check_at, transport_want(s, check));
}

static void checks_verify(const struct sample *s, enum rewrite_check check)
{
	uint8_t header[IPV4_HEADER_MAX];

	memcpy(header, s->bytes, s->header_len);
	bytes_put16(header + 10, 0);
	assert_int_equal(bytes_get16(s->bytes + 10), naive_checksum(0, header, s->header_len));
	if (s->check_at != 0)
		assert_int_equal(bytes_get16(s->bytes + s->check_at), transport_want(s, check));
}

static void l4_fill(struct rng *r, struct sample *s, enum rewrite_check check)
{
	static const uint8_t queries[] = { 0, 8, 13, 14, 15, 16, 17, 18 };
	uint8_t *p = s->bytes + s->header_len;

	switch (s->proto) {
	case IPPROTO_NR_TCP:
		s->l4_len = 60 + rng_below(r, 100);
		tcp_emit(p, corner16(r), corner16(r), rng_u32(r), rng_u32(r), (uint8_t)rng_u32(r), corner16(r));
		p[12] = (uint8_t)((5 + rng_below(r, 11)) << 4);
		s->check_at = s->header_len + 16u;
		break;
	case IPPROTO_NR_UDP:
		s->l4_len = 8 + rng_below(r, 100);
		udp_emit(p, corner16(r), corner16(r), (uint16_t)(s->l4_len - 8));
		s->no_check = check == REWRITE_CHECK_FULL && rng_below(r, 4) == 0;
		s->check_at = s->header_len + 6u;
		break;
	case IPPROTO_NR_ICMP:
		s->l4_len = 20 + rng_below(r, 40);
		/* Nothing but zeros, often: the message whose checksum is 0xffff. */
		if (rng_below(r, 4) == 0)
			memset(p + 8, 0, s->l4_len - 8);
		icmp_emit(p, rng_below(r, 2) == 0 ? 0 : queries[rng_below(r, sizeof(queries))], 0, corner32(r));
		s->check_at = s->header_len + 2u;
		break;
	default:
		s->l4_len = rng_below(r, 60);
		break;
	}
}

static void sample_make(struct rng *r, struct sample *s, enum rewrite_check check)
{
	static const uint8_t protos[] = { 6, 17, 1, 47 };
	struct ipv4_view v = { .src = corner32(r), .dst = corner32(r), .ttl = 64, .id = corner16(r) };

	*s = (struct sample){ .proto = protos[rng_below(r, sizeof(protos))] };
	s->header_len = (uint8_t)(20 + (rng_below(r, 3) == 0 ? rng_below(r, 11) * 4 : 0));
	random_bytes(r, s->bytes, sizeof(s->bytes));
	l4_fill(r, s, check);
	s->fragment_len = s->l4_len;
	if (check == REWRITE_CHECK_NONE) {
		s->later = true;
		s->check_at = 0;
		v.frag_off = (uint16_t)(8 * (1 + rng_below(r, 100)));
	} else if (check == REWRITE_CHECK_FULL && s->l4_len > 24 && rng_below(r, 4) == 0) {
		s->fragment_len = 24;
		v.mf = true;
	}
	v.proto = s->proto;
	v.total_len = (uint16_t)sample_len(s);
	ipv4_emit(s->bytes, &v);
	s->bytes[0] = (uint8_t)(0x40 | s->header_len / 4);
	if (check == REWRITE_CHECK_NONE && s->fragment_len == 0) {
		s->fragment_len = s->l4_len = 8;
		bytes_put16(s->bytes + 2, (uint16_t)sample_len(s));
	}
	checks_make(s, check);
}

static struct rewrite random_target(struct rng *r, const struct rewrite *now)
{
	struct rewrite to = *now;

	if (rng_below(r, 2) == 0)
		to.src = corner32(r);
	if (rng_below(r, 2) == 0)
		to.dst = corner32(r);
	if (rng_below(r, 2) == 0)
		to.sport = corner16(r);
	if (rng_below(r, 2) == 0)
		to.dport = corner16(r);
	return to;
}

static struct rewrite rewrite_now(const struct ipv4_view *ip, const struct l4_view *l4)
{
	return (struct rewrite){
		.src = ip->src,
		.dst = ip->dst,
		.sport = l4->kind == L4_ICMP_QUERY ? l4->id : l4->sport,
		.dport = l4->dport,
	};
}

/* Rewrites in memory with nothing behind the packet's last byte. */
static void rewrite_exact(struct sample *s, struct ipv4_view *ip, struct l4_view *l4, const struct rewrite *to,
			  enum rewrite_check check)
{
	uint8_t *p = exact_copy(s->bytes, sample_len(s));

	rewrite_packet(p, ip, l4, to, check);
	memcpy(s->bytes, p, sample_len(s));
	free(p);
}

static void one_packet(struct rng *r, enum rewrite_check check)
{
	struct sample s, before;
	struct ipv4_view ip, ip_again;
	struct l4_view l4, l4_again;

	sample_make(r, &s, check);
	before = s;
	assert_int_equal(ipv4_parse(s.bytes, sample_len(&s), &ip), IPV4_OK);
	assert_int_equal(l4_parse(&ip, s.bytes + s.header_len, s.fragment_len, &l4), L4_OK);
	struct rewrite from = rewrite_now(&ip, &l4);
	struct rewrite to = random_target(r, &from);

	rewrite_exact(&s, &ip, &l4, &to, check);
	checks_verify(&s, check);
	assert_int_equal(ipv4_parse(s.bytes, sample_len(&s), &ip_again), IPV4_OK);
	assert_int_equal(l4_parse(&ip_again, s.bytes + s.header_len, s.fragment_len, &l4_again), L4_OK);
	assert_true(ip_again.src == to.src && ip_again.dst == to.dst);
	assert_true(ip_again.src == ip.src && ip_again.dst == ip.dst);
	assert_true(l4_again.sport == l4.sport && l4_again.dport == l4.dport && l4_again.id == l4.id);
	assert_int_equal(l4_again.check, l4.check);
	assert_int_equal(l4_again.info >> 16, l4.kind == L4_ICMP_QUERY ? l4.id : l4_again.info >> 16);
	if (l4.kind == L4_TCP || l4.kind == L4_UDP)
		assert_true(l4.sport == to.sport && l4.dport == to.dport);
	if (l4.kind == L4_ICMP_QUERY)
		assert_int_equal(l4.id, to.sport);

	rewrite_exact(&s, &ip, &l4, &from, check);
	assert_memory_equal(s.bytes, before.bytes, sample_len(&s));
}

/* Would catch: a field or checksum wrong for any kind of packet, offload or
 * fragment, a view that no longer says what the bytes say, a byte touched that
 * is not ours (the way back would not restore it). */
static void test_packets(void **state)
{
	struct rng r = test_rng(9);

	for (int i = 0; i < 30000; i++)
		one_packet(&r, i % 4 == 0   ? REWRITE_CHECK_PARTIAL
			       : i % 4 == 1 ? REWRITE_CHECK_NONE
					    : REWRITE_CHECK_FULL);
}

/* Would catch: a damaged packet that leaves with a good checksum. */
static void test_wrong_stays_wrong(void **state)
{
	struct rng r = test_rng(10);

	for (int i = 0; i < 5000; i++) {
		struct sample s;
		struct ipv4_view ip;
		struct l4_view l4;

		do
			sample_make(&r, &s, REWRITE_CHECK_FULL);
		while (s.check_at == 0 || s.no_check);
		s.bytes[s.check_at] ^= 0x20;
		assert_int_equal(ipv4_parse(s.bytes, sample_len(&s), &ip), IPV4_OK);
		assert_int_equal(l4_parse(&ip, s.bytes + s.header_len, s.fragment_len, &l4), L4_OK);
		struct rewrite from = rewrite_now(&ip, &l4);
		struct rewrite to = random_target(&r, &from);
		rewrite_exact(&s, &ip, &l4, &to, REWRITE_CHECK_FULL);
		uint16_t have = bytes_get16(s.bytes + s.check_at), want = transport_want(&s, REWRITE_CHECK_FULL);
		assert_true(have % 0xffff != want % 0xffff);
	}
}

/* Would catch: an identifier written into an error or an unknown message, ports
 * written into another protocol. */
static void test_only_what_has_ports(void **state)
{
	static const struct {
		uint8_t proto, first_byte;
	} rows[] = { { 47, 0 }, { 1, ICMP_ROUTER_SOLICITATION }, { 1, 200 } };
	const struct rewrite to = { .src = 9, .dst = 8, .sport = 7, .dport = 6 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t p[40] = { 0 }, l4_before[20];
		struct ipv4_view ip = { .src = 1, .dst = 2, .ttl = 3, .proto = rows[i].proto, .total_len = sizeof(p) };
		struct l4_view l4;

		ipv4_emit(p, &ip);
		p[20] = rows[i].first_byte;
		memcpy(l4_before, p + 20, sizeof(l4_before));
		assert_int_equal(ipv4_parse(p, sizeof(p), &ip), IPV4_OK);
		assert_int_equal(l4_parse(&ip, p + 20, sizeof(p) - 20, &l4), L4_OK);
		rewrite_packet(p, &ip, &l4, &to, REWRITE_CHECK_FULL);
		assert_memory_equal(p + 20, l4_before, sizeof(l4_before));
		assert_int_equal(ipv4_parse(p, sizeof(p), &ip), IPV4_OK);
		assert_true(ip.src == 9 && ip.dst == 8);
	}
}

/* An ICMP error around a sample; returns its length. */
static size_t quote_make(struct rng *r, const struct sample *s, uint8_t *icmp)
{
	static const uint8_t types[] = { 3, 4, 5, 11, 12 };
	size_t least = s->header_len + (s->fragment_len < 8 ? s->fragment_len : 8);
	size_t quoted = least + rng_below(r, (uint32_t)(sample_len(s) - least + 1));

	icmp_emit(icmp, types[rng_below(r, sizeof(types))], 1, rng_u32(r) & 0xff00ffff);
	memcpy(icmp + 8, s->bytes, quoted);
	if (rng_below(r, 4) == 0) {
		/* Padding behind the quoted packet is part of the message. */
		memset(icmp + 8 + quoted, 0x5a, 7);
		if (quoted == sample_len(s))
			quoted += 7;
	}
	bytes_put16(icmp + 2, naive_checksum(0, icmp, 8 + quoted));
	return 8 + quoted;
}

/* Writes a quote back into a sample to look at its checksums there. */
static void quote_verify(struct sample *s, const uint8_t *icmp, size_t len, const struct icmp_quote *q)
{
	uint8_t copy[PACKET_MAX + 16];

	memcpy(copy, icmp, len);
	bytes_put16(copy + 2, 0);
	assert_int_equal(bytes_get16(icmp + 2), naive_checksum(0, copy, len));
	memcpy(s->bytes, icmp + 8, q->len);
	/* Without the field in the quote its old value stands behind the cut. */
	if (s->check_at != 0 && s->check_at + 2 > q->len)
		bytes_put16(s->bytes + s->check_at, transport_want(s, REWRITE_CHECK_FULL));
	checks_verify(s, REWRITE_CHECK_FULL);
}

/* Would catch: an outer checksum that misses one of the changes inside, an inner
 * one not mended or mended beyond the quote's end, padding touched. */
static void test_quotes(void **state)
{
	struct rng r = test_rng(11);

	for (int i = 0; i < 30000; i++) {
		struct sample s;
		struct icmp_quote q, again;
		uint8_t icmp[PACKET_MAX + 16];

		sample_make(&r, &s, REWRITE_CHECK_FULL);
		size_t len = quote_make(&r, &s, icmp);
		uint8_t *p = exact_copy(icmp, len);
		assert_true(icmp_quote_parse(p, len, &q));
		struct rewrite from = rewrite_now(&q.ip, &q.l4);
		struct rewrite to = random_target(&r, &from);
		rewrite_quote(p, len, &q, &to);

		/* An echo reply of zeros whose end is not quoted: nobody can know
		 * which zero its checksum is, and either may stand there. */
		bool unknowable = s.proto == IPPROTO_NR_ICMP && q.len < s.header_len + s.l4_len;
		if (!unknowable)
			quote_verify(&s, p, len, &q);
		assert_true(icmp_quote_parse(p, len, &again));
		assert_true(again.ip.src == to.src && again.ip.dst == to.dst);
		assert_true(q.ip.src == to.src && q.ip.dst == to.dst);
		assert_true(again.l4.sport == q.l4.sport && again.l4.dport == q.l4.dport && again.l4.id == q.l4.id);
		if (q.l4.kind == L4_TCP || q.l4.kind == L4_UDP)
			assert_true(q.l4.sport == to.sport && q.l4.dport == to.dport);
		if (q.l4.kind == L4_ICMP_QUERY)
			assert_int_equal(q.l4.id, to.sport);

		rewrite_quote(p, len, &q, &from);
		if (!unknowable)
			assert_memory_equal(p, icmp, len);
		free(p);
	}
}

/* Would catch: padding behind a short quoted packet taken for the checksum field
 * that stands there in a longer one. */
static void test_quote_padding(void **state)
{
	const struct rewrite to = { .src = 9, .dst = 8, .sport = 7, .dport = 6 };
	uint8_t icmp[8 + 60] = { 0 }, padding[32];
	struct icmp_quote q;

	icmp_emit(icmp, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0);
	ipv4_emit(icmp + 8, &(struct ipv4_view){ .src = 1, .dst = 2, .proto = 6, .total_len = 28 });
	memset(icmp + 36, 0x5a, sizeof(padding));
	memset(padding, 0x5a, sizeof(padding));
	bytes_put16(icmp + 2, naive_checksum(0, icmp, sizeof(icmp)));
	assert_true(icmp_quote_parse(icmp, sizeof(icmp), &q));
	rewrite_quote(icmp, sizeof(icmp), &q, &to);
	assert_memory_equal(icmp + 36, padding, sizeof(padding));
	assert_int_equal(naive_checksum(0, icmp, sizeof(icmp)), 0);
}

/* Would catch: a checksum of 0 (in UDP: "none") where the sum happens to be 0,
 * and a UDP packet without checksum given one. */
static void test_udp_zeros(void **state)
{
	uint8_t p[28];
	struct ipv4_view ip = { .src = 1, .dst = 2, .ttl = 3, .proto = 17, .total_len = sizeof(p) };
	struct l4_view l4;
	struct rewrite to = { .src = 1, .dst = 2, .sport = 0, .dport = 5 };

	ipv4_emit(p, &ip);
	udp_emit(p + 20, 4, 5, 0);
	/* 1 + 2 + 17 + 8 + 8 + 5 + sport = 0xffff */
	to.sport = 0xffff - 41;
	l4_checksum_set(&ip, p + 20, 8);
	assert_int_equal(l4_parse(&ip, p + 20, 8, &l4), L4_OK);
	ip.header_len = 20;
	rewrite_packet(p, &ip, &l4, &to, REWRITE_CHECK_FULL);
	assert_int_equal(bytes_get16(p + 26), 0xffff);
	assert_int_equal(l4.check, 0xffff);
	bytes_put16(p + 26, 0);
	to.sport = 77;
	rewrite_packet(p, &ip, &l4, &to, REWRITE_CHECK_FULL);
	assert_int_equal(bytes_get16(p + 26), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_wrong_stays_wrong),
		cmocka_unit_test(test_only_what_has_ports),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_quote_padding),
		cmocka_unit_test(test_udp_zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
