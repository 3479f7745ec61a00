/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 headers: every lie has its name, and what is written can be read.
 */
#include "stack/wire/ipv4.h"

#include "stack/wire/checksum.h"
#include "stack/wire/wire_test.h"

/* A header with words of no-operation as options, and the packet's bytes. */
static size_t packet_make(uint8_t *p, uint8_t header_len, uint16_t payload, uint16_t frag)
{
	uint16_t total = (uint16_t)(header_len + payload);

	memset(p, IPV4_OPT_NOP, header_len);
	memset(p + header_len, 0xab, payload);
	ipv4_emit(p, &(struct ipv4_view){
			     .src = 0x0a000001, .dst = 0x08080808, .total_len = total, .ttl = 64, .proto = 17 });
	p[0] = (uint8_t)(0x40 | header_len / 4);
	p[6] = (uint8_t)(frag >> 8);
	p[7] = (uint8_t)frag;
	p[10] = p[11] = 0;
	uint16_t check = naive_checksum(0, p, header_len);
	p[10] = (uint8_t)(check >> 8);
	p[11] = (uint8_t)check;
	return total;
}

static enum ipv4_error parse_exact(const uint8_t *p, size_t len, struct ipv4_view *v)
{
	uint8_t *copy = exact_copy(p, len);
	enum ipv4_error err = ipv4_parse(copy, len, v);

	free(copy);
	return err;
}

/* Would catch: a field read from the wrong place or in the wrong unit. */
static void test_emit_then_parse(void **state)
{
	struct rng r = test_rng(4);

	for (int i = 0; i < 5000; i++) {
		struct ipv4_view v = {
			.src = corner32(&r),
			.dst = corner32(&r),
			.total_len = (uint16_t)(20 + rng_below(&r, 64) * 8),
			.id = corner16(&r),
			.header_len = IPV4_HEADER_LEN,
			.tos = (uint8_t)rng_u32(&r),
			.ttl = (uint8_t)rng_u32(&r),
			.proto = (uint8_t)rng_u32(&r),
			.df = rng_below(&r, 2) != 0,
		};
		struct ipv4_view back;
		uint8_t bytes[IPV4_HEADER_LEN + 64 * 8] = { 0 };

		if (v.total_len > 20) {
			v.mf = rng_below(&r, 2) != 0;
			v.frag_off = (uint16_t)(rng_below(&r, 8000) * 8);
		}
		ipv4_emit(bytes, &v);
		assert_int_equal(naive_checksum(0, bytes, IPV4_HEADER_LEN), 0);
		assert_int_equal(ipv4_parse(bytes, sizeof(bytes), &back), IPV4_OK);
		assert_int_equal(back.src, v.src);
		assert_int_equal(back.dst, v.dst);
		assert_int_equal(back.total_len, v.total_len);
		assert_int_equal(back.id, v.id);
		assert_int_equal(back.frag_off, v.frag_off);
		assert_int_equal(back.header_len, v.header_len);
		assert_int_equal(back.tos, v.tos);
		assert_int_equal(back.ttl, v.ttl);
		assert_int_equal(back.proto, v.proto);
		assert_int_equal(back.df, v.df);
		assert_int_equal(back.mf, v.mf);
	}
}

/* Would catch: a check left out, or made in an order that hides the name. The
 * checksum is right in every row but the one about it. */
static void test_named_errors(void **state)
{
	static const struct {
		const char *what;
		uint8_t header_len;
		uint16_t payload, frag;
		uint8_t first_byte; /* 0: as made */
		int total_len;      /* -1: as made */
		int n_present;      /* -1: all */
		enum ipv4_error want;
	} rows[] = {
		{ "plain", 20, 100, 0, 0, -1, -1, IPV4_OK },
		{ "no payload", 20, 0, 0, 0, -1, -1, IPV4_OK },
		{ "most options", 60, 8, 0, 0, -1, -1, IPV4_OK },
		{ "reserved flag", 20, 8, 0x8000, 0, -1, -1, IPV4_OK },
		{ "nothing", 20, 100, 0, 0, -1, 0, IPV4_SHORT },
		{ "one byte less than a header", 20, 100, 0, 0, -1, 19, IPV4_SHORT },
		{ "version 6", 20, 100, 0, 0x65, -1, -1, IPV4_VERSION },
		{ "version 0", 20, 100, 0, 0x05, -1, -1, IPV4_VERSION },
		{ "header of 16", 20, 100, 0, 0x44, -1, -1, IPV4_HEADER_LENGTH },
		{ "header of 0", 20, 100, 0, 0x40, -1, -1, IPV4_HEADER_LENGTH },
		{ "options not there", 60, 0, 0, 0, -1, 59, IPV4_HEADER_LENGTH },
		{ "total under header", 24, 100, 0, 0, 23, -1, IPV4_TOTAL_LENGTH },
		{ "total zero", 20, 100, 0, 0, 0, -1, IPV4_TOTAL_LENGTH },
		{ "total past the bytes", 20, 100, 0, 0, 121, -1, IPV4_TOTAL_LENGTH },
		{ "one byte cut", 20, 100, 0, 0, -1, 119, IPV4_TOTAL_LENGTH },
		{ "padding behind", 20, 100, 0, 0, 50, -1, IPV4_OK },
		{ "first fragment", 20, 104, 0x2000, 0, -1, -1, IPV4_OK },
		{ "first fragment of 100", 20, 100, 0x2000, 0, -1, -1, IPV4_FRAGMENT },
		{ "last fragment of 100", 20, 100, 0x0010, 0, -1, -1, IPV4_OK },
		{ "empty first fragment", 20, 0, 0x2000, 0, -1, -1, IPV4_FRAGMENT },
		{ "empty last fragment", 20, 0, 0x0010, 0, -1, -1, IPV4_FRAGMENT },
		{ "don't fragment, and a fragment", 20, 104, 0x6000, 0, -1, -1, IPV4_OK },
		{ "ends at 65,535", 20, 3, 0x1fff, 0, -1, -1, IPV4_FRAGMENT },
		{ "last that fits", 20, 11, 0x1ffc, 0, -1, -1, IPV4_OK },
		{ "one byte more", 20, 12, 0x1ffc, 0, -1, -1, IPV4_FRAGMENT },
		{ "header counts too", 24, 11, 0x1ffc, 0, -1, -1, IPV4_FRAGMENT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t p[256];
		struct ipv4_view v;
		size_t len = packet_make(p, rows[i].header_len, rows[i].payload, rows[i].frag);

		if (rows[i].first_byte != 0)
			p[0] = rows[i].first_byte;
		if (rows[i].total_len >= 0)
			p[3] = (uint8_t)rows[i].total_len;
		uint8_t header_len = (uint8_t)((p[0] & 0xf) * 4);
		p[10] = p[11] = 0;
		uint16_t check = naive_checksum(0, p, header_len);
		p[10] = (uint8_t)(check >> 8);
		p[11] = (uint8_t)check;
		if (rows[i].n_present >= 0)
			len = (size_t)rows[i].n_present;
		enum ipv4_error got = parse_exact(p, len, &v);
		if (got != rows[i].want)
			fail_msg("%s: %d, not %d", rows[i].what, got, rows[i].want);
	}
}

/* Would catch: a checksum that covers the fixed header only, or not all of it. */
static void test_every_flipped_bit_is_seen(void **state)
{
	uint8_t p[256];
	struct ipv4_view v;
	size_t len = packet_make(p, 40, 16, 0);

	for (size_t bit = 0; bit < 40 * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		enum ipv4_error got = parse_exact(p, len, &v);
		assert_int_not_equal(got, IPV4_OK);
		if (bit / 8 > 3)
			assert_int_equal(got, IPV4_CHECKSUM);
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(parse_exact(p, len, &v), IPV4_OK);
}

/* Would catch: a quote refused for its cut end or its old checksum, or let
 * through without its header. */
static void test_quoted(void **state)
{
	uint8_t p[256];
	struct ipv4_view v;

	packet_make(p, 24, 100, 0);
	p[8] = 1;
	for (size_t len = 0; len < 64; len++) {
		uint8_t *copy = exact_copy(p, len);
		enum ipv4_error want = len < 20 ? IPV4_SHORT : len < 24 ? IPV4_HEADER_LENGTH : IPV4_OK;

		assert_int_equal(ipv4_parse_quoted(copy, len, &v), want);
		free(copy);
	}
	assert_int_equal(v.total_len, 124);
	p[3] = 23;
	assert_int_equal(ipv4_parse_quoted(p, 64, &v), IPV4_TOTAL_LENGTH);
	p[0] = 0x66;
	assert_int_equal(ipv4_parse_quoted(p, 64, &v), IPV4_VERSION);
}

/* Would catch: a setter that forgets the checksum, blesses a wrong one, or
 * touches another field. */
static void test_setters(void **state)
{
	struct rng r = test_rng(5);

	for (int i = 0; i < 20000; i++) {
		uint8_t p[256];
		struct ipv4_view before, v;
		size_t len = packet_make(p, (uint8_t)(20 + rng_below(&r, 11) * 4), 16, 0);
		uint32_t value = corner32(&r);

		assert_int_equal(ipv4_parse(p, len, &before), IPV4_OK);
		v = before;
		switch (i % 5) {
		case 0:
			ipv4_set_ttl(p, v.ttl = (uint8_t)value);
			break;
		case 1:
			ipv4_set_src(p, v.src = value);
			break;
		case 2:
			ipv4_set_dst(p, v.dst = value);
			break;
		case 3:
			ipv4_set_id(p, v.id = (uint16_t)value);
			break;
		default:
			ipv4_set_tos(p, v.tos = (uint8_t)value);
			break;
		}
		struct ipv4_view got;
		assert_int_equal(ipv4_parse(p, len, &got), IPV4_OK);
		assert_int_equal(got.src, v.src);
		assert_int_equal(got.dst, v.dst);
		assert_int_equal(got.ttl, v.ttl);
		assert_int_equal(got.id, v.id);
		assert_int_equal(got.tos, v.tos);
		assert_int_equal(got.proto, v.proto);
		uint16_t stored = (uint16_t)(p[10] << 8 | p[11]);
		p[10] = p[11] = 0;
		assert_int_equal(stored, naive_checksum(0, p, v.header_len));
	}
	uint8_t wrong[256];
	struct ipv4_view v;
	size_t len = packet_make(wrong, 20, 16, 0);
	wrong[10] ^= 0x40;
	ipv4_set_ttl(wrong, 9);
	ipv4_set_src(wrong, 7);
	assert_int_equal(ipv4_parse(wrong, len, &v), IPV4_CHECKSUM);
}

/* Would catch: an offset in the wrong unit, a flag that stays, a checksum over
 * the old length. */
static void test_set_fragment(void **state)
{
	uint8_t p[256];
	struct ipv4_view v;

	packet_make(p, 28, 100, 0xc000);
	ipv4_set_fragment(p, 28 + 64, 1480, false, true);
	assert_int_equal(ipv4_parse(p, 28 + 64, &v), IPV4_OK);
	assert_int_equal(v.total_len, 92);
	assert_int_equal(v.frag_off, 1480);
	assert_true(v.mf && !v.df);
	ipv4_set_fragment(p, 28 + 3, 65496, true, false);
	assert_int_equal(ipv4_parse(p, 28 + 64, &v), IPV4_OK);
	assert_int_equal(v.frag_off, 65496);
	assert_true(!v.mf && v.df);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_emit_then_parse),
		cmocka_unit_test(test_named_errors),
		cmocka_unit_test(test_every_flipped_bit_is_seen),
		cmocka_unit_test(test_quoted),
		cmocka_unit_test(test_setters),
		cmocka_unit_test(test_set_fragment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
