/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 text and prefixes.
 */
#include "base/ip4.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

/* Catches a reader that is lax (octal, too few parts, overflow), reads past its
 * length, or reports the wrong number of characters. */
static void parse_is_strict(void **state)
{
	static const struct {
		const char *text;
		size_t used;
		uint32_t addr;
	} rows[] = {
		{ "0.0.0.0", 7, 0 },
		{ "255.255.255.255", 15, UINT32_MAX },
		{ "10.0.0.1", 8, IP4(10, 0, 0, 1) },
		{ "10.0.0.1/24", 8, IP4(10, 0, 0, 1) },
		{ "192.168.100.9 ;", 13, IP4(192, 168, 100, 9) },
		{ "1.2.3.4.5", 7, IP4(1, 2, 3, 4) },
		{ "1.2.3.4-1.2.3.9", 7, IP4(1, 2, 3, 4) },
		{ "", 0, 0 },
		{ "1", 0, 0 },
		{ "1.2.3", 0, 0 },
		{ "1.2.3.", 0, 0 },
		{ ".1.2.3", 0, 0 },
		{ "1..2.3", 0, 0 },
		{ "256.1.1.1", 0, 0 },
		{ "1.1.1.256", 0, 0 },
		{ "1.1.1.1234", 0, 0 },
		{ "4294967297.1.1.1", 0, 0 },
		{ "01.2.3.4", 0, 0 },
		{ "1.2.3.04", 0, 0 },
		{ "00.2.3.4", 0, 0 },
		{ " 1.2.3.4", 0, 0 },
		{ "-1.2.3.4", 0, 0 },
		{ "1.2.+3.4", 0, 0 },
		{ "0x1.2.3.4", 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t addr = 0;
		assert_int_equal(ip4_parse(rows[i].text, strlen(rows[i].text), &addr), rows[i].used);
		if (rows[i].used > 0)
			assert_int_equal(addr, rows[i].addr);
	}
	/* The length rules, not what stands behind it. */
	uint32_t addr;
	assert_int_equal(ip4_parse("1.2.3.45", 7, &addr), 7);
	assert_int_equal(addr, IP4(1, 2, 3, 4));
	assert_int_equal(ip4_parse("1.2.3.4", 6, &addr), 0);
}

/* Catches a digit lost or added, and a buffer that is too small. */
static void format_and_parse_agree(void **state)
{
	char buf[IP4_TEXT_MAX];
	for (uint32_t part = 0; part < 256; part++) {
		uint32_t addr = IP4(part, 255 - part, part, 255), back;
		size_t len = strlen(ip4_format(addr, buf));
		assert_int_equal(ip4_parse(buf, len, &back), len);
		assert_int_equal(back, addr);
	}
	assert_string_equal(ip4_format(IP4(100, 10, 9, 0), buf), "100.10.9.0");
	struct ip4_prefix longest = { UINT32_MAX, 32 };
	assert_string_equal(ip4_prefix_format(longest, buf), "255.255.255.255/32");
	struct ip4_prefix all = { 0, 0 };
	assert_string_equal(ip4_prefix_format(all, buf), "0.0.0.0/0");
}

/* Catches the shift by 32 that length 0 invites, and a mask that is off by one. */
static void prefixes_hold_their_addresses(void **state)
{
	struct ip4_prefix all = { 0, 0 }, host = { IP4(10, 0, 0, 1), 32 }, net = { IP4(10, 0, 0, 0), 25 };
	assert_int_equal(ip4_mask(0), 0);
	assert_int_equal(ip4_mask(1), 0x80000000u);
	assert_int_equal(ip4_mask(32), UINT32_MAX);
	assert_true(ip4_in(UINT32_MAX, all));
	assert_true(ip4_in(IP4(10, 0, 0, 1), host));
	assert_false(ip4_in(IP4(10, 0, 0, 0), host));
	assert_true(ip4_in(IP4(10, 0, 0, 127), net));
	assert_false(ip4_in(IP4(10, 0, 0, 128), net));
}

/* Catches a class boundary that is off by one. */
static void classes_end_where_they_should(void **state)
{
	assert_true(ip4_is_multicast(IP4(224, 0, 0, 0)) && ip4_is_multicast(IP4(239, 255, 255, 255)));
	assert_false(ip4_is_multicast(IP4(223, 255, 255, 255)) || ip4_is_multicast(IP4(240, 0, 0, 0)));
	assert_true(ip4_is_unicast(IP4(240, 0, 0, 0)) && ip4_is_unicast(IP4(255, 255, 255, 254)));
	assert_false(ip4_is_unicast(UINT32_MAX) || ip4_is_unicast(0) || ip4_is_unicast(IP4(127, 0, 0, 1)));
	assert_false(ip4_is_unicast(IP4(224, 0, 0, 0)));
	assert_true(ip4_is_limited_broadcast(UINT32_MAX));
	assert_true(ip4_is_loopback(IP4(127, 0, 0, 0)) && ip4_is_loopback(IP4(127, 255, 255, 255)));
	assert_false(ip4_is_loopback(IP4(128, 0, 0, 0)));
	assert_true(ip4_is_unicast(IP4(0, 0, 0, 1)) && ip4_is_unicast(IP4(1, 0, 0, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_is_strict),
		cmocka_unit_test(format_and_parse_agree),
		cmocka_unit_test(prefixes_hold_their_addresses),
		cmocka_unit_test(classes_end_where_they_should),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
