/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "base/addr.h"
#include "base/util.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { .family = IP_FAMILY_V6 };
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return ip_addr_v4(ntohl(v4.s_addr));
	if (inet_pton(AF_INET6, text, a.v6) != 1)
		fail_msg("%s", text);
	return a;
}

/* Would catch: a form of RFC 5952 that is written otherwise, and a text that does not come back as the same value. */
static void test_text(void **state)
{
	static const struct {
		const char *text, *canonical;
	} row[] = {
		{ "10.1.2.3", "10.1.2.3" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" }, /* one group is no run */
		{ "2001:0db8::0001:0", "2001:db8::1:0" },
		{ "1:0:0:2:0:0:0:3", "1:0:0:2::3" },
		{ "::ffff:192.0.2.33", "::ffff:192.0.2.33" },
		{ "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char buf[IP_TEXT_MAX];
		struct ip_addr a = addr(row[i].text);

		assert_string_equal(ip_addr_format(&a, buf), row[i].canonical);
		struct ip_addr again = addr(row[i].canonical);
		assert_true(ip_addr_equal(&a, &again));
	}
	char buf[IP_TEXT_MAX];
	struct ip_prefix p = { addr("2001:db8::"), 32 };
	struct ip_addr none = { 0 };

	assert_string_equal(ip_prefix_format(&p, buf), "2001:db8::/32");
	assert_string_equal(ip_addr_format(&none, buf), "-");
	p = ip_prefix_v4(IP4(10, 1, 2, 3), 8);
	assert_string_equal(ip_prefix_format(&p, buf), "10.0.0.0/8");
}

/* Would catch: an order that is not that of numbers, or in which the families mix. */
static void test_order(void **state)
{
	struct ip_addr a = addr("2001:db8::"), c = addr("::");
	struct ip_prefix all6 = { c, 0 }, ten = ip_prefix_v4(IP4(10, 0, 0, 0), 8),
			 longer = ip_prefix_v4(IP4(10, 0, 0, 0), 16), eleven = ip_prefix_v4(IP4(11, 0, 0, 0), 8);

	assert_true(ip_prefix_compare(&ten, &longer) < 0);
	assert_true(ip_prefix_compare(&eleven, &longer) > 0);
	assert_true(ip_prefix_compare(&eleven, &all6) < 0);
	assert_int_equal(ip_prefix_compare(&ten, &ten), 0);
	assert_int_equal(ip_family_bits(a.family), 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
