/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP options, honest and lying.
 */
#include "stack/wire/l4.h"
#include "stack/wire/rewrite.h"
#include "stack/wire/wire_test.h"

/* Parses n option bytes that stand at the very end of memory. */
static bool parse_exact(const uint8_t *options, uint8_t n, struct tcp_options *o)
{
	uint8_t bytes[TCP_HEADER_LEN + 40];
	struct l4_view v = { .kind = L4_TCP, .header_len = 60, .options_len = n };

	tcp_emit(bytes, 1, 2, 3, 4, TCP_SYN, 5);
	memcpy(bytes + TCP_HEADER_LEN, options, n);
	uint8_t *p = exact_copy(bytes, (size_t)TCP_HEADER_LEN + n);
	bool ok = tcp_options_parse(p, &v, o);
	free(p);
	return ok;
}

/* Would catch: an option read from the wrong place, one of a wrong length
 * believed, a lie that hides what stood before it or is not told, a scale over
 * 14. */
static void test_lists(void **state)
{
	static const struct {
		const char *what;
		uint8_t n;
		uint8_t bytes[40];
		bool ok;
		struct tcp_options want;
	} rows[] = {
		{ "none", 0, { 0 }, true, { 0 } },
		{ "a Linux SYN",
		  20,
		  { 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7 },
		  true,
		  { .has_mss = true,
		    .mss = 1460,
		    .has_sack_ok = true,
		    .has_timestamp = true,
		    .ts_val = 0x01020304,
		    .ts_ecr = 0x05060708,
		    .has_wscale = true,
		    .wscale = 7 } },
		{ "scale of 15", 4, { 3, 3, 15 }, true, { .has_wscale = true, .wscale = 14 } },
		{ "scale of 255", 4, { 3, 3, 255 }, true, { .has_wscale = true, .wscale = 14 } },
		{ "unknown ones", 12, { 254, 4, 9, 9, 30, 3, 9, 19, 2, 1, 1, 0 }, true, { 0 } },
		{ "unknown, then known", 8, { 254, 4, 9, 9, 2, 4, 1, 0 }, true, { .has_mss = true, .mss = 256 } },
		{ "behind the end", 8, { 0, 0, 0, 0, 2, 4, 1, 0 }, true, { 0 } },
		{ "wrong length of MSS", 8, { 2, 3, 9, 3, 3, 2 }, true, { .has_wscale = true, .wscale = 2 } },
		{ "wrong length of scale", 4, { 3, 4, 1, 1 }, true, { 0 } },
		{ "wrong length of SACK-permitted", 4, { 4, 4, 0, 0 }, true, { 0 } },
		{ "wrong length of timestamps", 12, { 8, 12 }, true, { 0 } },
		{ "wrong length of SACK", 12, { 5, 9 }, true, { 0 } },
		{ "empty SACK", 4, { 5, 2, 0 }, true, { 0 } },
		{ "one block",
		  12,
		  { 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2 },
		  true,
		  { .n_sack = 1, .sack = { { 1, 2 } } } },
		{ "four blocks",
		  36,
		  { 1, 1, 5, 34, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0,
		    0, 4, 0, 0,  0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8 },
		  true,
		  { .n_sack = 4, .sack = { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } } } },
		{ "length zero", 8, { 3, 3, 7, 2, 0, 0, 0, 0 }, false, { .has_wscale = true, .wscale = 7 } },
		{ "length one", 4, { 2, 1, 1, 1 }, false, { 0 } },
		{ "past the end", 8, { 3, 3, 7, 1, 2, 5, 1, 1 }, false, { .has_wscale = true, .wscale = 7 } },
		{ "no length byte", 4, { 1, 1, 1, 2 }, false, { 0 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tcp_options o;
		const struct tcp_options *want = &rows[i].want;

		if (parse_exact(rows[i].bytes, rows[i].n, &o) != rows[i].ok)
			fail_msg("%s: not %d", rows[i].what, rows[i].ok);
		if (o.has_mss != want->has_mss || o.mss != want->mss || o.has_wscale != want->has_wscale ||
		    o.wscale != want->wscale || o.has_sack_ok != want->has_sack_ok ||
		    o.has_timestamp != want->has_timestamp || o.ts_val != want->ts_val || o.ts_ecr != want->ts_ecr ||
		    o.n_sack != want->n_sack || memcmp(o.sack, want->sack, sizeof(o.sack)) != 0)
			fail_msg("%s", rows[i].what);
	}
}

/* Would catch: a first fragment that is cut inside the options read past its
 * end, through what its header claims. */
static void test_cut_first_fragment(void **state)
{
	const struct ipv4_view ip = { .proto = 6, .mf = true };
	uint8_t bytes[24];
	struct l4_view v;
	struct tcp_options o;

	tcp_emit(bytes, 1, 2, 3, 4, TCP_SYN, 5);
	bytes[12] = 10 << 4;
	memcpy(bytes + 20, (const uint8_t[]){ 2, 4, 5, 0xb4 }, 4);
	uint8_t *p = exact_copy(bytes, sizeof(bytes));
	assert_int_equal(l4_parse(&ip, p, sizeof(bytes), &v), L4_OK);
	assert_true(tcp_options_parse(p, &v, &o));
	assert_int_equal(o.mss, 1460);
	p[20] = 8;
	p[21] = 10;
	assert_false(tcp_options_parse(p, &v, &o));
	free(p);
}

/* Would catch: an MSS that is raised, a checksum that does not fit (also where the option stands at an odd
 * offset), one that is touched although it does not cover the options, and a list that lies. */
static void test_mss_clamp(void **state)
{
	static const struct {
		const char *what;
		uint8_t options[8];
		uint16_t clamp;
		int at; /* of the changed field within the options, -1: nothing changes */
	} rows[] = {
		{ "alone", { 2, 4, 5, 0xb4 }, 1360, 2 },
		{ "at an odd offset", { 1, 2, 4, 5, 0xb4 }, 1360, 3 },
		{ "small enough", { 2, 4, 5, 0x50 }, 1360, -1 },
		{ "smaller", { 2, 4, 2, 0 }, 1360, -1 },
		{ "not there", { 1, 1, 4, 2 }, 1360, -1 },
		{ "of a wrong length", { 2, 3, 9, 1, 1 }, 1, -1 },
		{ "cut off", { 1, 1, 1, 1, 1, 1, 2, 4 }, 1, -1 },
		{ "behind the end of the list", { 0, 0, 2, 4, 5, 0xb4 }, 1360, -1 },
		{ "twice", { 2, 4, 1, 0, 2, 4, 5, 0xb4 }, 1360, 6 },
	};
	const struct ipv4_view ip = { .src = 0x0a000001, .dst = 0xc0000201, .proto = 6 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t bytes[TCP_HEADER_LEN + 8], was[sizeof(bytes)];
		struct l4_view v;

		tcp_emit(bytes, 1, 2, 3, 4, TCP_SYN, 5);
		bytes[12] = 7 << 4;
		memcpy(bytes + TCP_HEADER_LEN, rows[i].options, 8);
		l4_checksum_set(&ip, bytes, sizeof(bytes));
		memcpy(was, bytes, sizeof(bytes));
		uint8_t *p = exact_copy(bytes, sizeof(bytes));
		assert_int_equal(l4_parse(&ip, p, sizeof(bytes), &v), L4_OK);
		if (tcp_mss_clamp(p, &v, rows[i].clamp, REWRITE_CHECK_FULL) != (rows[i].at >= 0))
			fail_msg("%s", rows[i].what);
		assert_true(l4_checksum_ok(&ip, p, sizeof(bytes)));
		assert_int_equal(v.check, p[16] << 8 | p[17]);
		if (rows[i].at >= 0) {
			uint8_t *field = was + TCP_HEADER_LEN + rows[i].at;

			field[0] = (uint8_t)(rows[i].clamp >> 8);
			field[1] = (uint8_t)rows[i].clamp;
		}
		memcpy(was + 16, p + 16, 2);
		assert_memory_equal(p, was, sizeof(was));
		free(p);
		p = exact_copy(bytes, sizeof(bytes));
		assert_int_equal(l4_parse(&ip, p, sizeof(bytes), &v), L4_OK);
		tcp_mss_clamp(p, &v, rows[i].clamp, REWRITE_CHECK_PARTIAL);
		assert_memory_equal(p + 16, bytes + 16, 2);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_cut_first_fragment),
		cmocka_unit_test(test_mss_clamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
