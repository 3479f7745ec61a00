/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Transport headers: lengths that lie, fragments, quotes, checksums, and back.
 */
#include "stack/wire/l4.h"

#include "stack/wire/bytes.h"
#include "stack/wire/icmp.h"
#include "stack/wire/wire_test.h"

static enum l4_error parse_exact(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_view *v)
{
	uint8_t *copy = exact_copy(p, len);
	enum l4_error err = l4_parse(ip, copy, len, v);

	free(copy);
	return err;
}

enum part { WHOLE, FIRST, LATER };

struct length_row {
	const char *what;
	uint8_t proto;
	enum part part;
	size_t len;
	int lie; /* TCP: data offset in words; UDP: length; ICMP: type */
	enum l4_error want;
	enum l4_kind kind;
	uint16_t header_len, payload_len;
	uint8_t options_len;
};

static const struct length_row length_rows[] = {
	{ "tcp", 6, WHOLE, 30, 5, L4_OK, L4_TCP, 20, 10, 0 },
	{ "tcp, options only", 6, WHOLE, 60, 15, L4_OK, L4_TCP, 60, 0, 40 },
	{ "tcp, nothing", 6, WHOLE, 0, 5, L4_TCP_HEADER, 0, 0, 0, 0 },
	{ "tcp, 19 bytes", 6, WHOLE, 19, 5, L4_TCP_HEADER, 0, 0, 0, 0 },
	{ "tcp, offset 4", 6, WHOLE, 40, 4, L4_TCP_HEADER, 0, 0, 0, 0 },
	{ "tcp, offset 0", 6, WHOLE, 40, 0, L4_TCP_HEADER, 0, 0, 0, 0 },
	{ "tcp, offset past the end", 6, WHOLE, 59, 15, L4_TCP_HEADER, 0, 0, 0, 0 },
	{ "tcp, tiny first fragment", 6, FIRST, 16, 5, L4_TCP_HEADER, 0, 0, 0, 0 },
	{ "tcp, first fragment", 6, FIRST, 24, 5, L4_OK, L4_TCP, 20, 4, 0 },
	{ "tcp, first fragment cut in options", 6, FIRST, 24, 10, L4_OK, L4_TCP, 40, 0, 4 },
	{ "tcp, first fragment, offset 4", 6, FIRST, 24, 4, L4_TCP_HEADER, 0, 0, 0, 0 },
	{ "tcp, later fragment", 6, LATER, 1, 0, L4_OK, L4_NONE, 0, 1, 0 },
	{ "udp", 17, WHOLE, 20, 20, L4_OK, L4_UDP, 8, 12, 0 },
	{ "udp, empty", 17, WHOLE, 8, 8, L4_OK, L4_UDP, 8, 0, 0 },
	{ "udp, shorter than the packet", 17, WHOLE, 20, 11, L4_OK, L4_UDP, 8, 3, 0 },
	{ "udp, 7 bytes", 17, WHOLE, 7, 7, L4_UDP_HEADER, 0, 0, 0, 0 },
	{ "udp, length 7", 17, WHOLE, 20, 7, L4_UDP_HEADER, 0, 0, 0, 0 },
	{ "udp, length 0", 17, WHOLE, 20, 0, L4_UDP_HEADER, 0, 0, 0, 0 },
	{ "udp, length past the end", 17, WHOLE, 20, 21, L4_UDP_HEADER, 0, 0, 0, 0 },
	{ "udp, first fragment", 17, FIRST, 16, 3000, L4_OK, L4_UDP, 8, 8, 0 },
	{ "udp, first fragment of length 7", 17, FIRST, 16, 7, L4_UDP_HEADER, 0, 0, 0, 0 },
	{ "udp, tiny first fragment", 17, FIRST, 0, 8, L4_UDP_HEADER, 0, 0, 0, 0 },
	{ "udp, later fragment", 17, LATER, 3, 0, L4_OK, L4_NONE, 0, 3, 0 },
	{ "echo", 1, WHOLE, 64, 8, L4_OK, L4_ICMP_QUERY, 8, 56, 0 },
	{ "echo reply, empty", 1, WHOLE, 8, 0, L4_OK, L4_ICMP_QUERY, 8, 0, 0 },
	{ "echo, 7 bytes", 1, WHOLE, 7, 8, L4_ICMP_HEADER, 0, 0, 0, 0 },
	{ "timestamp", 1, WHOLE, 20, 13, L4_OK, L4_ICMP_QUERY, 8, 12, 0 },
	{ "timestamp, short", 1, WHOLE, 19, 14, L4_ICMP_HEADER, 0, 0, 0, 0 },
	{ "information", 1, WHOLE, 8, 15, L4_OK, L4_ICMP_QUERY, 8, 0, 0 },
	{ "mask", 1, WHOLE, 12, 17, L4_OK, L4_ICMP_QUERY, 8, 4, 0 },
	{ "mask, short", 1, WHOLE, 11, 18, L4_ICMP_HEADER, 0, 0, 0, 0 },
	{ "timestamp, first fragment", 1, FIRST, 8, 13, L4_OK, L4_ICMP_QUERY, 8, 0, 0 },
	{ "router solicitation", 1, WHOLE, 8, 10, L4_OK, L4_ICMP_OTHER, 8, 0, 0 },
	{ "unknown type", 1, WHOLE, 9, 200, L4_OK, L4_ICMP_OTHER, 8, 1, 0 },
	{ "unknown type, short", 1, WHOLE, 4, 200, L4_ICMP_HEADER, 0, 0, 0, 0 },
	{ "type 1 is unknown", 1, WHOLE, 8, 1, L4_OK, L4_ICMP_OTHER, 8, 0, 0 },
	{ "error with a quote of zeros", 1, WHOLE, 64, 3, L4_ICMP_HEADER, 0, 0, 0, 0 },
	{ "error, first fragment", 1, FIRST, 8, 11, L4_OK, L4_ICMP_ERROR, 8, 0, 0 },
	{ "icmp, later fragment", 1, LATER, 2, 3, L4_OK, L4_NONE, 0, 2, 0 },
	{ "another protocol", 4, WHOLE, 5, 0, L4_OK, L4_NONE, 0, 5, 0 },
	{ "another protocol, empty", 4, WHOLE, 0, 0, L4_OK, L4_NONE, 0, 0, 0 },
	{ "gre", 47, WHOLE, 5, 0, L4_OK, L4_GRE, 0, 5, 0 },
	{ "gre, empty", 47, WHOLE, 0, 0, L4_OK, L4_GRE, 0, 0, 0 },
	{ "esp without an SPI", 50, WHOLE, 40, 0, L4_OK, L4_NONE, 0, 40, 0 },
};

static struct ipv4_view length_packet(const struct length_row *r, uint8_t *p)
{
	if (r->proto == 6)
		p[12] = (uint8_t)(r->lie << 4);
	if (r->proto == 17) {
		p[4] = (uint8_t)(r->lie >> 8);
		p[5] = (uint8_t)r->lie;
	}
	if (r->proto == 1)
		p[0] = (uint8_t)r->lie;
	return (struct ipv4_view){
		.proto = r->proto,
		.mf = r->part != WHOLE,
		.frag_off = r->part == LATER ? 8 : 0,
	};
}

/* Would catch: a lie in data offset or UDP length believed, a short header
 * read, a first fragment judged as a whole packet or the other way round. */
static void test_lengths(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(length_rows); i++) {
		const struct length_row *r = &length_rows[i];
		uint8_t p[64] = { 0 };
		struct ipv4_view ip = length_packet(r, p);
		struct l4_view v;
		enum l4_error got = parse_exact(&ip, p, r->len, &v);

		if (got != r->want)
			fail_msg("%s: %d, not %d", r->what, got, r->want);
		if (got != L4_OK)
			continue;
		if (v.kind != r->kind || v.header_len != r->header_len || v.payload_len != r->payload_len ||
		    v.options_len != r->options_len)
			fail_msg("%s: kind %d, %u + %u, options %u", r->what, v.kind, v.header_len, v.payload_len,
				 v.options_len);
	}
}

/* Would catch: an error accepted without header or eight bytes of its quote, or
 * refused when the quoted packet had no more. */
static void test_error_quotes(void **state)
{
	static const struct {
		const char *what;
		uint8_t proto, first_byte;
		uint16_t quoted_total;
		size_t present; /* of the quote */
		enum l4_error want;
	} rows[] = {
		{ "udp, the least", 17, 0x45, 100, 28, L4_OK },
		{ "a byte missing", 17, 0x45, 100, 27, L4_ICMP_HEADER },
		{ "no quote", 17, 0x45, 100, 0, L4_ICMP_HEADER },
		{ "header only", 17, 0x45, 100, 20, L4_ICMP_HEADER },
		{ "options", 17, 0x4f, 100, 68, L4_OK },
		{ "options cut", 17, 0x4f, 100, 59, L4_ICMP_HEADER },
		{ "not IPv4", 17, 0x65, 100, 68, L4_ICMP_HEADER },
		{ "header length 16", 17, 0x44, 100, 68, L4_ICMP_HEADER },
		{ "total under header", 17, 0x45, 19, 68, L4_ICMP_HEADER },
		{ "a short packet, whole", 47, 0x45, 24, 24, L4_OK },
		{ "a short packet, cut", 47, 0x45, 24, 23, L4_ICMP_HEADER },
		{ "a bare header, whole", 47, 0x45, 20, 20, L4_OK },
	};
	const struct ipv4_view ip = { .proto = 1 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t p[8 + 68] = { ICMP_TIME_EXCEEDED };
		struct l4_view v;

		ipv4_emit(p + 8, &(struct ipv4_view){ .proto = rows[i].proto, .total_len = rows[i].quoted_total });
		p[8] = rows[i].first_byte;
		enum l4_error got = parse_exact(&ip, p, 8 + rows[i].present, &v);
		if (got != rows[i].want)
			fail_msg("%s: %d, not %d", rows[i].what, got, rows[i].want);
		if (got == L4_OK)
			assert_int_equal(v.kind, L4_ICMP_ERROR);
	}
}

/* Would catch: a field at the wrong place, or an emitter that disagrees with the
 * parser. */
static void test_emit_then_parse(void **state)
{
	struct rng r = test_rng(7);
	const struct ipv4_view tcp = { .proto = 6 }, udp = { .proto = 17 }, icmp = { .proto = 1 };

	for (int i = 0; i < 1000; i++) {
		uint8_t p[64] = { 0 };
		struct l4_view v;
		uint32_t a = rng_u32(&r), b = rng_u32(&r), c = rng_u32(&r);

		tcp_emit(p, (uint16_t)a, (uint16_t)(a >> 16), b, c, (uint8_t)i, (uint16_t)(b >> 8));
		assert_int_equal(l4_parse(&tcp, p, 24, &v), L4_OK);
		assert_true(v.sport == (uint16_t)a && v.dport == a >> 16 && v.seq == b && v.ack == c);
		assert_true(v.flags == (uint8_t)i && v.window == (uint16_t)(b >> 8) && v.check == 0);
		assert_true(v.header_len == 20 && v.payload_len == 4);

		udp_emit(p, (uint16_t)a, (uint16_t)(a >> 16), 30);
		assert_int_equal(l4_parse(&udp, p, 38, &v), L4_OK);
		assert_true(v.sport == (uint16_t)a && v.dport == a >> 16 && v.payload_len == 30 && v.check == 0);

		icmp_emit(p, ICMP_ECHO_REQUEST, (uint8_t)b, c);
		assert_int_equal(l4_parse(&icmp, p, 8, &v), L4_OK);
		assert_true(v.type == ICMP_ECHO_REQUEST && v.code == (uint8_t)b && v.info == c);
		assert_true(v.id == c >> 16 && v.icmp_seq == (uint16_t)c && v.check == 0);
	}
}

/* Would catch: a quote of seven bytes read, a sequence number lost. */
static void test_quoted(void **state)
{
	uint8_t p[TCP_HEADER_LEN];
	struct l4_view v;

	tcp_emit(p, 0x1234, 0x5678, 0x9abcdef0, 1, TCP_ACK, 2);
	for (uint8_t proto = 0; proto < 20; proto++) {
		bool wants = proto == 1 || proto == 6 || proto == 17;

		for (size_t len = 0; len <= 8; len++) {
			uint8_t *copy = exact_copy(p, len);

			assert_int_equal(l4_parse_quoted(&(struct ipv4_view){ .proto = proto }, copy, len, &v),
					 len == 8 || !wants);
			free(copy);
		}
	}
	assert_true(l4_parse_quoted(&(struct ipv4_view){ .proto = 6 }, p, 8, &v));
	assert_true(v.kind == L4_TCP && v.sport == 0x1234 && v.dport == 0x5678 && v.seq == 0x9abcdef0 && v.ack == 0);
	assert_true(l4_parse_quoted(&(struct ipv4_view){ .proto = 17 }, p, 8, &v));
	assert_true(v.kind == L4_UDP && v.sport == 0x1234 && v.dport == 0x5678 && v.seq == 0);
	icmp_emit(p, ICMP_ECHO_REQUEST, 0, 0x11112222);
	assert_true(l4_parse_quoted(&(struct ipv4_view){ .proto = 1 }, p, 8, &v));
	assert_true(v.kind == L4_ICMP_QUERY && v.type == 8 && v.id == 0x1111);
	assert_true(l4_parse_quoted(&(struct ipv4_view){ .proto = 6, .frag_off = 8 }, p, 0, &v));
	assert_int_equal(v.kind, L4_NONE);
}

/* Would catch: the pseudo header left out, or put into ICMP; bytes behind the
 * UDP length summed; a UDP checksum of zero sent or refused. */
static void test_checksums(void **state)
{
	static const struct {
		uint8_t proto;
		size_t min_len, check_at;
	} rows[] = { { 6, 20, 16 }, { 17, 8, 6 }, { 1, 8, 2 } };
	struct rng r = test_rng(8);

	for (int i = 0; i < 6000; i++) {
		uint8_t proto = rows[i % 3].proto;
		size_t check_at = rows[i % 3].check_at;
		size_t len = rows[i % 3].min_len + rng_below(&r, 100);
		struct ipv4_view ip = { .src = corner32(&r), .dst = corner32(&r), .proto = proto };
		uint8_t data[128];
		uint64_t sum = proto == 1 ? 0 : naive_pseudo(ip.src, ip.dst, proto, len);

		random_bytes(&r, data, len);
		if (proto == 17)
			bytes_put16(data + 4, (uint16_t)len);
		uint8_t *p = exact_copy(data, len);
		l4_checksum_set(&ip, p, len);
		bytes_put16(data + check_at, 0);
		uint16_t want = naive_checksum(sum, data, len);
		assert_int_equal(bytes_get16(p + check_at), want == 0 && proto == 17 ? 0xffff : want);
		assert_true(l4_checksum_ok(&ip, p, len));
		p[rng_below(&r, (uint32_t)len)] ^= 0x10;
		assert_false(l4_checksum_ok(&ip, p, len));
		free(p);
	}
}

/* Would catch: a result of 0 stored for UDP; a lying length summed past the end
 * or waved through. */
static void test_udp_checksum_corners(void **state)
{
	struct ipv4_view ip = { .src = 0xffffffff, .dst = 0, .proto = 17 };
	uint8_t p[12] = { 0, 0, 0, 0, 0, 10 };

	/* 17 + 10 + 10 + x = 0xffff */
	bytes_put16(p, 0xffff - 17 - 10 - 10);
	p[10] = p[11] = 0x77;
	l4_checksum_set(&ip, p, sizeof(p));
	assert_int_equal(bytes_get16(p + 6), 0xffff);
	assert_true(l4_checksum_ok(&ip, p, sizeof(p)));
	bytes_put16(p + 6, 0);
	bytes_put16(p, 1);
	assert_true(l4_checksum_ok(&ip, p, sizeof(p)));
	bytes_put16(p + 4, 13);
	assert_false(l4_checksum_ok(&ip, p, sizeof(p)));
	bytes_put16(p + 4, 7);
	assert_false(l4_checksum_ok(&ip, p, sizeof(p)));
	l4_checksum_set(&ip, p, sizeof(p));
	assert_int_equal(bytes_get16(p + 6), 0);
	assert_false(l4_checksum_ok(&ip, p, 7));
	ip.proto = 47;
	assert_true(l4_checksum_ok(&ip, p, sizeof(p)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),         cmocka_unit_test(test_error_quotes),
		cmocka_unit_test(test_emit_then_parse), cmocka_unit_test(test_quoted),
		cmocka_unit_test(test_checksums),       cmocka_unit_test(test_udp_checksum_corners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
