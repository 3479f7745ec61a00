/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 options: what is refused and where, what is filled in, what is copied.
 */
#include "stack/wire/checksum.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/wire_test.h"

#define OUR_ADDR 0x0a4d0001
#define TIME_MS 0x01020304

/* Makes a header around the options; n is a multiple of 4. */
static uint8_t *header_make(const uint8_t *options, uint8_t n, struct ipv4_view *v)
{
	uint8_t bytes[IPV4_HEADER_MAX];

	*v = (struct ipv4_view){ .src = 1, .dst = 2, .total_len = (uint16_t)(20 + n), .ttl = 64, .proto = 1 };
	ipv4_emit(bytes, v);
	memcpy(bytes + 20, options, n);
	bytes[0] = (uint8_t)(0x40 | (20 + n) / 4);
	ipv4_set_fragment(bytes, v->total_len, 0, false, false);
	uint8_t *p = exact_copy(bytes, (size_t)20 + n);
	assert_int_equal(ipv4_parse(p, (size_t)20 + n, v), IPV4_OK);
	return p;
}

#define BAD(at) \
	{ \
		.bad = true, .bad_offset = (at) \
	}

/* Would catch: an option that would be filled in out of bounds, a pointer that
 * names the wrong byte, a good option refused. */
static void test_check(void **state)
{
	static const struct {
		const char *what;
		uint8_t n;
		uint8_t options[40];
		struct ipv4_options want;
	} rows[] = {
		{ "padding", 4, { 1, 1, 1, 0 }, { 0 } },
		{ "rubbish behind the end", 4, { 0, 7, 0, 9 }, { 0 } },
		{ "unknown, passed over", 8, { 30, 3, 9, 0x9e, 4, 1, 1 }, { 0 } },
		{ "router alert", 4, { 148, 4, 0, 0 }, { .router_alert = true } },
		{ "router alert, reserved value", 4, { 148, 4, 0, 1 }, { 0 } },
		{ "router alert too short", 4, { 148, 3, 0 }, BAD(21) },
		{ "record route", 8, { 1, 7, 7, 4 }, { .record_route = 21 } },
		{ "record route, full", 8, { 7, 7, 8, 1, 1, 1, 1 }, { .record_route = 20 } },
		{ "record route, full and past", 8, { 7, 7, 255, 1, 1, 1, 1 }, { .record_route = 20 } },
		{ "record route, empty", 4, { 7, 3, 4 }, { .record_route = 20 } },
		{ "record route without pointer", 4, { 7, 2, 0 }, BAD(21) },
		{ "record route, pointer low", 8, { 7, 7, 3, 0 }, BAD(22) },
		{ "record route, half a slot", 8, { 7, 7, 5, 0 }, BAD(22) },
		{ "two record routes", 8, { 7, 3, 4, 7, 3, 4 }, BAD(23) },
		{ "timestamps", 12, { 68, 12, 5, 0 }, { .timestamp = 20 } },
		{ "timestamps with addresses", 12, { 68, 12, 5, 1 }, { .timestamp = 20 } },
		{ "timestamps, half a slot", 12, { 68, 11, 5, 1 }, BAD(22) },
		{ "timestamps, pointer low", 12, { 68, 12, 4, 0 }, BAD(22) },
		{ "timestamps, unknown flag", 12, { 68, 12, 5, 2 }, BAD(23) },
		{ "timestamps, full", 8, { 68, 8, 9, 0 }, { .timestamp = 20 } },
		{ "timestamps, overflow full", 8, { 68, 8, 9, 0xf0 }, BAD(23) },
		{ "prespecified, all served", 12, { 68, 12, 13, 0xf3 }, { .timestamp = 20 } },
		{ "timestamps too short", 4, { 68, 3, 5 }, BAD(21) },
		{ "two timestamps", 8, { 68, 4, 5, 0, 68, 4, 5, 0 }, BAD(24) },
		{ "both kinds", 8, { 7, 3, 4, 68, 4, 5, 0 }, { .record_route = 20, .timestamp = 23 } },
		{ "loose source route", 8, { 131, 7, 4, 9, 9, 9, 9 }, { .source_route = true } },
		{ "strict source route", 8, { 137, 7, 8, 9, 9, 9, 9 }, { .source_route = true } },
		{ "two source routes",
		  8,
		  { 137, 3, 4, 131, 3, 4 },
		  { .source_route = true, .bad = true, .bad_offset = 23 } },
		{ "length zero", 4, { 30, 0, 0, 0 }, BAD(21) },
		{ "length one", 4, { 1, 30, 1, 0 }, BAD(22) },
		{ "length past the header", 4, { 30, 5, 0, 0 }, BAD(21) },
		{ "no length byte", 4, { 1, 1, 1, 30 }, BAD(23) },
		{ "lie behind a good one",
		  8,
		  { 148, 4, 0, 0, 1, 30, 4, 0 },
		  { .router_alert = true, .bad = true, .bad_offset = 26 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipv4_view v;
		struct ipv4_options o;
		uint8_t *p = header_make(rows[i].options, rows[i].n, &v);

		ipv4_options_check(p, &v, &o);
		if (o.bad != rows[i].want.bad || o.bad_offset != rows[i].want.bad_offset)
			fail_msg("%s: bad %d at %u", rows[i].what, o.bad, o.bad_offset);
		assert_int_equal(o.source_route, rows[i].want.source_route);
		if (!o.bad) {
			assert_int_equal(o.router_alert, rows[i].want.router_alert);
			assert_int_equal(o.record_route, rows[i].want.record_route);
			assert_int_equal(o.timestamp, rows[i].want.timestamp);
		}
		free(p);
	}
}

/* Would catch: a slot filled at the wrong place or in a full list, a pointer or
 * overflow count not moved, a checksum not mended (options at odd offsets too). */
static void test_forward(void **state)
{
	static const struct {
		const char *what;
		uint8_t n;
		uint8_t before[24], after[24];
	} rows[] = {
		{ "record route", 12, { 7, 11, 4 }, { 7, 11, 8, 10, 77, 0, 1 } },
		{ "record route at an odd place",
		  12,
		  { 1, 7, 11, 8, 5, 5, 5, 5 },
		  { 1, 7, 11, 12, 5, 5, 5, 5, 10, 77, 0, 1 } },
		{ "record route, full", 8, { 7, 7, 8, 5, 5, 5, 5 }, { 7, 7, 8, 5, 5, 5, 5 } },
		{ "record route, pointer 255", 8, { 7, 7, 255, 5, 5, 5, 5 }, { 7, 7, 255, 5, 5, 5, 5 } },
		{ "times", 12, { 68, 12, 5, 0 }, { 68, 12, 9, 0, 1, 2, 3, 4 } },
		{ "times, full", 8, { 68, 8, 9, 0x20, 5, 5, 5, 5 }, { 68, 8, 9, 0x30, 5, 5, 5, 5 } },
		{ "times and addresses", 12, { 68, 12, 5, 1 }, { 68, 12, 13, 1, 10, 77, 0, 1, 1, 2, 3, 4 } },
		{ "prespecified, us", 12, { 68, 12, 5, 3, 10, 77, 0, 1 }, { 68, 12, 13, 3, 10, 77, 0, 1, 1, 2, 3, 4 } },
		{ "prespecified, another", 12, { 68, 12, 5, 3, 10, 77, 0, 9 }, { 68, 12, 5, 3, 10, 77, 0, 9 } },
		{ "prespecified, served", 12, { 68, 12, 13, 3, 10, 77, 0, 1 }, { 68, 12, 13, 3, 10, 77, 0, 1 } },
		{ "both",
		  16,
		  { 7, 7, 4, 0, 0, 0, 0, 68, 8, 5, 0 },
		  { 7, 7, 8, 10, 77, 0, 1, 68, 8, 9, 0, 1, 2, 3, 4 } },
		{ "neither", 4, { 148, 4, 0, 0 }, { 148, 4, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipv4_view v, again;
		struct ipv4_options o;
		uint8_t *p = header_make(rows[i].before, rows[i].n, &v);

		ipv4_options_check(p, &v, &o);
		assert_false(o.bad);
		ipv4_options_forward(p, &v, &o, OUR_ADDR, TIME_MS);
		if (memcmp(p + 20, rows[i].after, rows[i].n) != 0)
			fail_msg("%s", rows[i].what);
		assert_int_equal(ipv4_parse(p, v.header_len, &again), IPV4_OK);
		p[10] ^= 1;
		ipv4_options_forward(p, &v, &o, OUR_ADDR, TIME_MS);
		assert_int_equal(ipv4_parse(p, v.header_len, &again), IPV4_CHECKSUM);
		free(p);
	}
}

/* Would catch: an option without the copied flag in a later fragment, one with
 * it left out, padding that is not there. */
static void test_copied(void **state)
{
	static const struct {
		uint8_t n;
		uint8_t options[16];
		uint8_t n_out;
		uint8_t out[16];
	} rows[] = {
		{ 4, { 1, 1, 1, 1 }, 0, { 0 } },
		{ 8, { 7, 7, 4 }, 0, { 0 } },
		{ 4, { 148, 4, 0, 0 }, 4, { 148, 4, 0, 0 } },
		{ 12, { 1, 7, 3, 4, 131, 7, 4, 9, 9, 9, 9 }, 8, { 131, 7, 4, 9, 9, 9, 9, 0 } },
		{ 12, { 0x9e, 3, 9, 68, 4, 5, 0, 148, 4 }, 8, { 0x9e, 3, 9, 148, 4, 0, 0, 0 } },
		{ 8, { 148, 4, 0, 0, 0x9e, 9, 0, 0 }, 4, { 148, 4, 0, 0 } },
		{ 8, { 0, 148, 4, 0, 0, 0, 0, 0 }, 0, { 0 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipv4_view v;
		uint8_t out[40];
		uint8_t *p = header_make(rows[i].options, rows[i].n, &v);

		memset(out, 0xee, sizeof(out));
		assert_int_equal(ipv4_options_copied(p, &v, out), rows[i].n_out);
		assert_memory_equal(out, rows[i].out, rows[i].n_out);
		free(p);
	}
}

/* Would catch: any list, however it lies, that leads outside the header or to a
 * second round that does not end. */
static void test_random_lists(void **state)
{
	static const uint8_t kinds[] = { 0, 1, 7, 68, 131, 137, 148, 30 };
	struct rng r = test_rng(6);

	for (int i = 0; i < 20000; i++) {
		uint8_t options[40], out[40];
		uint8_t n = (uint8_t)(4 + rng_below(&r, 10) * 4);
		struct ipv4_view v, again;
		struct ipv4_options o;

		for (uint8_t k = 0; k < n; k++)
			options[k] = rng_below(&r, 3) == 0 ? kinds[rng_below(&r, sizeof(kinds))]
							   : (uint8_t)rng_below(&r, 14);
		uint8_t *p = header_make(options, n, &v);
		ipv4_options_check(p, &v, &o);
		assert_true(!o.bad || (o.bad_offset >= 20 && o.bad_offset < 20 + n));
		ipv4_options_forward(p, &v, &o, OUR_ADDR, TIME_MS);
		assert_int_equal(ipv4_parse(p, v.header_len, &again), IPV4_OK);
		uint8_t n_out = ipv4_options_copied(p, &v, out);
		assert_true(n_out <= n && n_out % 4 == 0);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_copied),
		cmocka_unit_test(test_random_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
