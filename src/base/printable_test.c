/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What reaches a terminal. Would catch an escape sequence in any disguise: as
 * bytes, as UTF-8 of C1, in a long form, cut in two by the end of a piece.
 */
#include "base/printable.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

static void makes_fit(void **state)
{
	static const struct {
		const char *from, *to;
		enum printable_form form;
	} row[] = {
		{ "wan0", "wan0", PRINTABLE_WORD },
		{ "a b~", "a b~", PRINTABLE_WORD },
		{ "\x1b[31mred", "?[31mred", PRINTABLE_TEXT },
		{ "a\tb\nc\r", "a?b?c?", PRINTABLE_WORD },
		{ "a\tb\nc\r", "a\tb?c?", PRINTABLE_LINE },
		{ "a\tb\nc\r", "a\tb\nc?", PRINTABLE_TEXT },
		{ "\x7f\x01\x1f", "???", PRINTABLE_TEXT },
		{ "\xe9\x98\xb3\xe5\x85\xb3", "\xe9\x98\xb3\xe5\x85\xb3", PRINTABLE_WORD }, /* the project's name */
		{ "\xf0\x9f\x90\xab", "\xf0\x9f\x90\xab", PRINTABLE_WORD },
		{ "\xc2\x9b"
		  "31m",
		  "??31m", PRINTABLE_TEXT }, /* C1's introducer */
		{ "\x9b"
		  "31m",
		  "?31m", PRINTABLE_TEXT }, /* the same in Latin-1 */
		{ "\xc0\x9b"
		  "31m",
		  "??31m", PRINTABLE_TEXT }, /* ESC in a long form */
		{ "\xe0\x80\x9b"
		  "31m",
		  "???31m", PRINTABLE_TEXT },
		{ "\xed\xa0\x80", "???", PRINTABLE_TEXT },      /* a surrogate */
		{ "\xf4\x90\x80\x80", "????", PRINTABLE_TEXT }, /* behind the last character */
		{ "\xff\xfe", "??", PRINTABLE_TEXT },
		/* NOLINTNEXTLINE(misc-misleading-bidirectional) */
		{ "a\xe2\x80\xae"
		  "b",
		  "a???b", PRINTABLE_TEXT },            /* right to left from here on */
		{ "\xc3(", "?(", PRINTABLE_TEXT },      /* the second byte is a character of its own */
		{ "x\xe9\x98", "x??", PRINTABLE_TEXT }, /* cut */
		{ "", "", PRINTABLE_WORD },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char buf[32];
		snprintf(buf, sizeof(buf), "%s", row[i].from);
		assert_string_equal(printable_string(buf, row[i].form), row[i].to);
	}
}

/* Any text, cut anywhere, comes out as it does whole. */
static void cut_anywhere(void **state)
{
	static const char text[] = "a\xe9\x98\xb3\x1b[2J\xf0\x9f\x90\xab\xc2\x9b\xe2\x80\xae\xff\nz";
	const size_t len = sizeof(text) - 1;
	char whole[sizeof(text)];

	memcpy(whole, text, sizeof(text));
	printable(whole, len, PRINTABLE_TEXT);
	for (size_t cut = 0; cut <= len; cut++) {
		char pieces[sizeof(text)];
		memcpy(pieces, text, sizeof(text));
		size_t rest = printable_piece(pieces, cut, PRINTABLE_TEXT);
		assert_true(rest <= 3 && rest <= cut);
		printable(pieces + cut - rest, len - cut + rest, PRINTABLE_TEXT);
		assert_string_equal(pieces, whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_fit),
		cmocka_unit_test(cut_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
