/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ethernet headers and hardware addresses as text.
 */
#include "stack/wire/ether.h"

#include "stack/wire/wire_test.h"

/* Would catch: swapped addresses, a type in the wrong order, a read of a header
 * that is not all there. */
static void test_parse_and_emit(void **state)
{
	static const uint8_t bytes[ETHER_HEADER_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x06 };
	struct ether_view v;
	uint8_t out[ETHER_HEADER_LEN];

	for (size_t len = 0; len < ETHER_HEADER_LEN; len++) {
		uint8_t *cut = exact_copy(bytes, len);

		assert_false(ether_parse(cut, len, &v));
		free(cut);
	}
	assert_true(ether_parse(bytes, sizeof(bytes), &v));
	assert_int_equal(v.dst.b[0], 1);
	assert_int_equal(v.src.b[5], 12);
	assert_int_equal(v.type, ETHERTYPE_ARP);
	ether_emit(out, &v);
	assert_memory_equal(out, bytes, sizeof(out));
}

/* Would catch: a text that is almost an address taken as one. */
static void test_address_text(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"00:11:22:33:44",
		"00:11:22:33:44:5",
		"00:11:22:33:44:55:",
		"00:11:22:33:44:55:66",
		"00:11:22:33:44:55 ",
		" 00:11:22:33:44:55",
		"0:11:22:33:44:55",
		"000:11:22:33:44:55",
		"00-11-22-33-44-55",
		"00:11:22:33:44:5g",
		"0g:11:22:33:44:55",
		"00:11:22:33:44:+5",
		"001122334455",
	};
	struct ether_addr a = { { 9, 9, 9, 9, 9, 9 } }, before = a;
	char buf[ETHER_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char *text = (char *)exact_copy(bad[i], strlen(bad[i]) + 1);

		assert_false(ether_addr_parse(text, &a));
		assert_true(ether_equal(&a, &before));
		free(text);
	}
	assert_true(ether_addr_parse("0a:1B:c2:00:ff:9e", &a));
	assert_string_equal(ether_format(&a, buf), "0a:1b:c2:00:ff:9e");
}

/* Would catch: a test of the wrong bit or byte. */
static void test_kinds(void **state)
{
	const struct ether_addr zero = { { 0 } }, multicast = { { 1, 0, 0x5e, 0, 0, 5 } },
				one = { { 0, 0, 0, 0, 0, 1 } };

	assert_true(ether_is_zero(&zero));
	assert_false(ether_is_zero(&one));
	assert_true(ether_is_group(&multicast));
	assert_false(ether_is_group(&one));
	assert_true(ether_is_group(&ether_broadcast));
	assert_true(ether_is_broadcast(&ether_broadcast));
	assert_false(ether_is_broadcast(&multicast));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_emit),
		cmocka_unit_test(test_address_text),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
