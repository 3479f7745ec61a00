/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Digits both ways. Would catch: halves of a byte the wrong way round, a text that is too long, too short or none of
 * digits and is taken.
 */
#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

static void both_ways(void **state)
{
	static const uint8_t bytes[] = { 0x01, 0x9a, 0xf0, 0xff };
	uint8_t again[sizeof(bytes)];
	char text[2 * sizeof(bytes) + 1];

	hex_write(bytes, sizeof(bytes), text);
	assert_string_equal(text, "019af0ff");
	assert_true(hex_read(text, again, sizeof(again)));
	assert_memory_equal(again, bytes, sizeof(bytes));
	assert_true(hex_read("019AF0fF", again, sizeof(again)));
	assert_memory_equal(again, bytes, sizeof(bytes));
	hex_write(bytes, 0, text);
	assert_string_equal(text, "");
	assert_true(hex_read("", again, 0));
}

static void refused(void **state)
{
	static const char *const texts[] = { "",     "0",    "012",  "01234", "012345", "0x12",
					     "+1-1", " 1 2", "g000", "000`",  "00:0",   "00/0" };
	uint8_t out[2];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (hex_read(texts[i], out, sizeof(out)))
			fail_msg("\"%s\" is taken for two bytes", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
