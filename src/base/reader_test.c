/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The checked cursor.
 */
#include "base/reader.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

/* Catches a getter that reads past the end, a wrong byte order, and a reader
 * that forgets its failure when a smaller getter would still fit. */
static void fails_once_and_stays_failed(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct reader r = reader_of(bytes, sizeof(bytes));
	assert_int_equal(reader_u8(&r), 1);
	assert_int_equal(reader_be16(&r), 0x0203);
	assert_int_equal(reader_be32(&r), 0x04050607);
	assert_int_equal(r.n_left, 2);
	assert_int_equal(reader_be32(&r), 0);
	assert_true(r.failed);
	assert_int_equal(reader_u8(&r), 0);
	assert_null(reader_bytes(&r, 0));
	assert_true(r.failed);
}

/* Catches a last byte that is refused, and an empty input that is read. */
static void reads_to_the_very_end(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff };
	struct reader r = reader_of(bytes, 4);
	assert_int_equal(reader_be32(&r), UINT32_MAX);
	assert_false(r.failed);
	assert_int_equal(r.n_left, 0);
	struct reader empty = reader_of(NULL, 0);
	assert_int_equal(reader_u8(&empty), 0);
	assert_true(empty.failed);
}

/* Catches an option list that is walked wrongly: no-ops, padding behind the
 * end, a length of 0 or 1 (an endless walk), a length past the end, a kind with
 * its length byte missing. */
static void option_lists(void **state)
{
	static const struct {
		uint8_t bytes[12];
		uint8_t len;
		uint8_t n_options;
		bool lies;
	} rows[] = {
		{ { 0 }, 0, 0, false },
		{ { 0, 9, 9, 9 }, 4, 0, false },
		{ { 1, 1, 1, 1 }, 4, 0, false },
		{ { 1, 2, 4, 5, 0xb4 }, 5, 1, false },
		{ { 2, 4, 5, 0xb4, 1, 3, 3, 7 }, 8, 2, false },
		{ { 4, 2, 1, 0 }, 4, 1, false },
		{ { 4, 0 }, 2, 0, true },
		{ { 4, 1, 1, 1 }, 4, 0, true },
		{ { 4 }, 1, 0, true },
		{ { 4, 5, 1, 1 }, 4, 0, true },
		{ { 3, 3, 7, 2, 4, 5 }, 6, 1, true },
		{ { 3, 255, 7 }, 3, 0, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		/* A copy of exactly this length, so that the sanitizer sees every step beyond. */
		uint8_t *bytes = malloc(rows[i].len + (rows[i].len == 0));
		assert_non_null(bytes);
		memcpy(bytes, rows[i].bytes, rows[i].len);
		struct reader r = reader_of(bytes, rows[i].len);
		struct reader_option opt;
		unsigned n = 0;
		while (reader_next_option(&r, rows[i].len, &opt)) {
			n++;
			assert_int_equal(opt.kind, bytes[opt.offset]);
			assert_int_equal(opt.body_len + 2, bytes[opt.offset + 1]);
			assert_ptr_equal(opt.body, bytes + opt.offset + 2);
		}
		assert_int_equal(n, rows[i].n_options);
		assert_int_equal(r.failed, rows[i].lies);
		assert_false(reader_next_option(&r, rows[i].len, &opt));
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fails_once_and_stays_failed),
		cmocka_unit_test(reads_to_the_very_end),
		cmocka_unit_test(option_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
