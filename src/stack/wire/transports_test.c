/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UDP-Lite, DCCP and SCTP: headers that lie, checksums over a part of a packet or
 * by CRC, and translation, which must leave what a sum from scratch gives. The
 * sums here are counted a bit or a byte at a time, by code of their own.
 */
#include "stack/wire/bytes.h"
#include "stack/wire/dccp.h"
#include "stack/wire/icmp.h"
#include "stack/wire/rewrite.h"
#include "stack/wire/wire_test.h"

enum { PACKET_MAX_BYTES = 300, L4_AT = IPV4_HEADER_LEN };

static uint32_t naive_crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (((crc ^ p[i] >> bit) & 1) != 0 ? 0x82f63b78 : 0);
	return ~crc;
}

/* Bytes that a checksum covers, by the words of the RFCs. */
static size_t covered(uint8_t proto, const uint8_t *p, size_t len)
{
	if (proto == IPPROTO_NR_UDPLITE)
		return bytes_get16(p + 4) == 0 ? len : bytes_get16(p + 4);
	return (p[5] & 15) == 0 ? len : (size_t)p[4] * 4 + ((p[5] & 15) - 1u) * 4;
}

/* Writes the checksum. */
static void seal(uint8_t proto, uint32_t src, uint32_t dst, uint8_t *p, size_t len)
{
	if (proto == IPPROTO_NR_SCTP) {
		memset(p + 8, 0, 4);
		uint32_t crc = naive_crc32c(p, len);
		for (int i = 0; i < 4; i++)
			p[8 + i] = (uint8_t)(crc >> 8 * i);
		return;
	}
	bytes_put16(p + 6, 0);
	uint16_t check = naive_checksum(naive_pseudo(src, dst, proto, len), p, covered(proto, p, len));
	bytes_put16(p + 6, check == 0 && proto == IPPROTO_NR_UDPLITE ? 0xffff : check);
}

static void make(struct rng *r, uint8_t proto, uint8_t *packet, size_t len)
{
	uint8_t *p = packet + L4_AT;
	uint32_t src = corner32(r), dst = corner32(r);

	random_bytes(r, p, len);
	if (proto == IPPROTO_NR_UDPLITE)
		bytes_put16(p + 4, rng_below(r, 3) == 0 ? 0 : (uint16_t)(8 + rng_below(r, (uint32_t)len - 7)));
	if (proto == IPPROTO_NR_DCCP) {
		p[4] = 7; /* words */
		p[5] = (uint8_t)(rng_u32(r) & 0xf0) |
		       (uint8_t)(rng_below(r, (uint32_t)min_u64(15, (len - 28) / 4 + 1)));
		p[8] = (uint8_t)(rng_below(r, N_DCCP_TYPES) << 1 | 1);
	}
	ipv4_emit(packet,
		  &(struct ipv4_view){
			  .src = src, .dst = dst, .proto = proto, .ttl = 9, .total_len = (uint16_t)(L4_AT + len) });
	seal(proto, src, dst, p, len);
}

static const uint8_t protos[] = { IPPROTO_NR_UDPLITE, IPPROTO_NR_DCCP, IPPROTO_NR_SCTP };
static const enum l4_kind kinds[] = { L4_UDPLITE, L4_DCCP, L4_SCTP };

/* Would catch: ports, addresses or coverage left out of a checksum or counted twice; a CRC that is mended for another
 * length, or in the wrong order of bytes; a damaged packet that leaves with a good checksum; a view that says something
 * else than the bytes. */
static void test_translation(void **state)
{
	struct rng r = test_rng(31);

	(void)state;
	for (int i = 0; i < 6000; i++) {
		uint8_t packet[PACKET_MAX_BYTES], proto = protos[i % 3];
		size_t len = 28 + rng_below(&r, 200);
		struct ipv4_view ip;
		struct l4_view l4, again;

		make(&r, proto, packet, len);
		uint8_t *p = exact_copy(packet, L4_AT + len);
		assert_int_equal(ipv4_parse(p, L4_AT + len, &ip), IPV4_OK);
		assert_int_equal(l4_parse(&ip, p + L4_AT, len, &l4), L4_OK);
		assert_int_equal(l4.kind, kinds[i % 3]);
		assert_true(l4.sport == bytes_get16(packet + 20) && l4.dport == bytes_get16(packet + 22));
		assert_true(l4_checksum_ok(&ip, p + L4_AT, len));
		bool damaged = i % 5 == 0;
		if (damaged)
			p[L4_AT + (proto == IPPROTO_NR_SCTP ? 9 : 7)] ^= 1;

		struct rewrite to = { corner32(&r), corner32(&r), corner16(&r), corner16(&r) };
		rewrite_packet(p, &ip, &l4, &to, REWRITE_CHECK_FULL);
		assert_int_equal(l4_parse(&ip, p + L4_AT, len, &again), L4_OK);
		assert_true(again.sport == to.sport && again.dport == to.dport);
		assert_true(l4.sport == to.sport && l4.dport == to.dport && l4.check == again.check);
		assert_int_equal(l4_checksum_ok(&ip, p + L4_AT, len), !damaged);
		memcpy(packet, p, L4_AT + len);
		seal(proto, to.src, to.dst, packet + L4_AT, len);
		if (!damaged)
			assert_memory_equal(packet + L4_AT, p + L4_AT, len);
		l4_checksum_set(&ip, p + L4_AT, len);
		assert_memory_equal(packet + L4_AT, p + L4_AT, len);
		free(p);
	}
}

/* Would catch: bits that no checksum covers taken for damage, and others not. */
static void test_coverage(void **state)
{
	struct rng r = test_rng(32);

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint8_t packet[PACKET_MAX_BYTES], proto = protos[i % 2], *p = packet + L4_AT;
		size_t len = 28 + rng_below(&r, 60);
		struct ipv4_view ip;

		make(&r, proto, packet, len);
		assert_int_equal(ipv4_parse(packet, L4_AT + len, &ip), IPV4_OK);
		size_t n = covered(proto, p, len), at = 9 + rng_below(&r, (uint32_t)len - 9);
		p[at] ^= 4;
		assert_int_equal(l4_checksum_ok(&ip, p, len), at >= n);
	}
}

/* Would catch: an all-zero UDP-Lite checksum that passes (RFC 3828 section 3.1 forbids it). */
static void test_udplite_zero(void **state)
{
	uint8_t p[12] = { 0, 1, 0, 2 };
	struct ipv4_view ip = { .src = 1, .dst = 2, .proto = IPPROTO_NR_UDPLITE };

	(void)state;
	assert_false(l4_checksum_ok(&ip, p, sizeof(p)));
	l4_checksum_set(&ip, p, sizeof(p));
	assert_true(l4_checksum_ok(&ip, p, sizeof(p)));
}

/* Would catch: a coverage, an offset or a type that lies believed; a first fragment judged as a whole packet. */
static void test_lies(void **state)
{
	static const struct {
		const char *what;
		uint8_t proto;
		bool first;
		size_t len;
		uint8_t at4, at5, at8;
		enum l4_error want;
	} rows[] = {
		{ "udplite", 136, false, 20, 0, 20, 0, L4_OK },
		{ "udplite, all", 136, false, 20, 0, 0, 0, L4_OK },
		{ "udplite, header only", 136, false, 20, 0, 8, 0, L4_OK },
		{ "udplite, coverage 7", 136, false, 20, 0, 7, 0, L4_UDPLITE_HEADER },
		{ "udplite, coverage past the end", 136, false, 20, 0, 21, 0, L4_UDPLITE_HEADER },
		{ "udplite, short", 136, false, 7, 0, 0, 0, L4_UDPLITE_HEADER },
		{ "udplite, first fragment", 136, true, 16, 2, 0, 0, L4_OK },
		{ "dccp data, short numbers", 33, false, 12, 3, 0, 2 << 1, L4_OK },
		{ "dccp request", 33, false, 20, 5, 0, 0 << 1 | 1, L4_OK },
		{ "dccp request, no service code", 33, false, 20, 4, 0, 0 << 1 | 1, L4_DCCP_HEADER },
		{ "dccp request, short numbers", 33, false, 20, 5, 0, 0 << 1, L4_DCCP_HEADER },
		{ "dccp reset", 33, false, 28, 7, 0, 7 << 1 | 1, L4_OK },
		{ "dccp reset, cut", 33, false, 28, 6, 0, 7 << 1 | 1, L4_DCCP_HEADER },
		{ "dccp listen", 33, false, 20, 5, 0, 10 << 1 | 1, L4_OK },
		{ "dccp, reserved type", 33, false, 40, 10, 0, 11 << 1 | 1, L4_DCCP_HEADER },
		{ "dccp, offset past the end", 33, false, 20, 6, 0, 2 << 1 | 1, L4_DCCP_HEADER },
		{ "dccp, offset 2", 33, false, 20, 2, 0, 2 << 1, L4_DCCP_HEADER },
		{ "dccp, coverage past the end", 33, false, 20, 3, 4, 2 << 1, L4_DCCP_HEADER },
		{ "dccp, coverage to the end", 33, false, 20, 3, 3, 2 << 1, L4_OK },
		{ "dccp, short", 33, false, 11, 3, 0, 2 << 1, L4_DCCP_HEADER },
		{ "sctp", 132, false, 12, 0, 0, 0, L4_OK },
		{ "sctp, short", 132, false, 11, 0, 0, 0, L4_SCTP_HEADER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t bytes[40] = { [4] = rows[i].at4, [5] = rows[i].at5, [8] = rows[i].at8 };
		uint8_t *p = exact_copy(bytes, rows[i].len);
		struct ipv4_view ip = { .proto = rows[i].proto, .mf = rows[i].first };
		struct l4_view v;
		enum l4_error got = l4_parse(&ip, p, rows[i].len, &v);

		if (got != rows[i].want)
			fail_msg("%s: %d, not %d", rows[i].what, got, rows[i].want);
		free(p);
	}
}

/* Would catch: the ports or the tag of a quoted packet lost, an ICMP error whose quote is not translated, or with a
 * checksum of its own that is wrong behind it. */
static void test_quotes(void **state)
{
	struct rng r = test_rng(33);

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint8_t packet[PACKET_MAX_BYTES], icmp[PACKET_MAX_BYTES + 8], proto = protos[i % 3];
		size_t len = 28 + rng_below(&r, 100), quoted = L4_AT + 8 + rng_below(&r, (uint32_t)len - 7);
		struct icmp_quote q;

		make(&r, proto, packet, len);
		icmp_emit(icmp, ICMP_DEST_UNREACHABLE, 3, 0);
		memcpy(icmp + 8, packet, quoted);
		bytes_put16(icmp + 2, naive_checksum(0, icmp, 8 + quoted));
		uint8_t *p = exact_copy(icmp, 8 + quoted);
		assert_true(icmp_quote_parse(p, 8 + quoted, &q));
		assert_int_equal(q.l4.kind, kinds[i % 3]);
		assert_true(q.l4.sport == bytes_get16(packet + 20) && q.l4.dport == bytes_get16(packet + 22));
		if (proto == IPPROTO_NR_SCTP)
			assert_int_equal(q.l4.info,
					 (uint32_t)bytes_get16(packet + 24) << 16 | bytes_get16(packet + 26));
		struct rewrite to = { corner32(&r), corner32(&r), corner16(&r), corner16(&r) };
		rewrite_quote(p, 8 + quoted, &q, &to);
		assert_int_equal(naive_checksum(0, p, 8 + quoted), 0);
		/* The quoted packet is what a translator would have sent. */
		bytes_put16(packet + 20, to.sport);
		bytes_put16(packet + 22, to.dport);
		seal(proto, to.src, to.dst, packet + L4_AT, len);
		if (proto != IPPROTO_NR_SCTP || quoted >= L4_AT + 12)
			assert_memory_equal(p + 8 + L4_AT, packet + L4_AT, quoted - L4_AT);
		free(p);
	}
}

/* Would catch: a key read at the wrong place, or past the end; a call taken for a key; a version that nobody knows. */
static void test_identifiers(void **state)
{
	static const struct {
		const char *what;
		uint8_t proto, bytes[16];
		size_t len;
		enum l4_id want;
		uint32_t id;
	} rows[] = {
		{ "gre", 47, { 0, 0, 8, 0, 1, 2, 3, 4 }, 8, L4_ID_NONE, 0 },
		{ "gre key", 47, { 0x20, 0, 8, 0, 1, 2, 3, 4 }, 8, L4_ID_KEY, 0x01020304 },
		{ "gre key, cut", 47, { 0x20, 0, 8, 0, 1, 2, 3 }, 7, L4_ID_NONE, 0 },
		{ "gre checksum and key", 47, { 0xa0, 0, 8, 0, 9, 9, 0, 0, 1, 2, 3, 4 }, 12, L4_ID_KEY, 0x01020304 },
		{ "gre checksum and key, cut", 47, { 0xa0, 0, 8, 0, 9, 9, 0, 0, 1, 2, 3 }, 11, L4_ID_NONE, 0 },
		{ "pptp", 47, { 0x30, 1, 0x88, 0x0b, 0, 5, 0x12, 0x34 }, 8, L4_ID_CALL, 0x1234 },
		{ "pptp, another payload", 47, { 0x30, 1, 8, 0, 0, 5, 0x12, 0x34 }, 8, L4_ID_NONE, 0 },
		{ "gre version 2", 47, { 0x20, 2, 8, 0, 1, 2, 3, 4 }, 8, L4_ID_NONE, 0 },
		{ "gre, three bytes", 47, { 0x20, 0, 8 }, 3, L4_ID_NONE, 0 },
		{ "esp", 50, { 1, 2, 3, 4, 0, 0, 0, 1 }, 8, L4_ID_SPI, 0x01020304 },
		{ "esp, cut", 50, { 1, 2, 3, 4, 0, 0, 0 }, 7, L4_ID_NONE, 0 },
		{ "esp, SPI 0", 50, { 0, 0, 0, 0, 0, 0, 0, 1 }, 8, L4_ID_NONE, 0 },
		{ "another", 99, { 1, 2, 3, 4, 0, 0, 0, 1 }, 8, L4_ID_NONE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t *p = exact_copy(rows[i].bytes, rows[i].len);
		uint32_t id;
		enum l4_id got = l4_id_of(rows[i].proto, p, rows[i].len, &id);

		if (got != rows[i].want || id != rows[i].id)
			fail_msg("%s: %d, %x", rows[i].what, got, id);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translation),  cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_udplite_zero), cmocka_unit_test(test_lies),
		cmocka_unit_test(test_quotes),       cmocka_unit_test(test_identifiers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
