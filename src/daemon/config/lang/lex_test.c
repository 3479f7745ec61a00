/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text to tokens. A row is a text and the kinds that must come out; the places
 * are checked apart.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/ip4.h"
#include "base/util.h"
#include "daemon/config/lang/lex.h"

#define KINDS_MAX 12

struct row {
	const char *text;
	enum token_kind kind[KINDS_MAX]; /* up to TOK_END */
};

static const struct row rows[] = {
	{ "", { TOK_END } },
	{ "a", { TOK_WORD } },
	{ "echo-request", { TOK_WORD } },
	{ "eth0.100", { TOK_WORD } },
	{ "a - b", { TOK_WORD, TOK_DASH, TOK_WORD } },
	{ "a-", { TOK_WORD, TOK_DASH } },
	{ "wan*", { TOK_WORD } },
	{ "* a*b", { TOK_STAR, TOK_WORD, TOK_WORD } },
	{ "1-5", { TOK_NUMBER, TOK_DASH, TOK_NUMBER } },
	{ "0x1f 010", { TOK_NUMBER, TOK_NUMBER } },
	{ "0x", { TOK_QUANTITY } },
	{ "1h30m 7440s", { TOK_QUANTITY, TOK_QUANTITY } },
	{ "18446744073709551615", { TOK_NUMBER } },
	{ "18446744073709551616", { TOK_BIG_NUMBER } },
	{ "10.0.0.1/24", { TOK_ADDRESS, TOK_SLASH, TOK_NUMBER } },
	{ "10.0.0.1-10.0.0.9", { TOK_ADDRESS, TOK_DASH, TOK_ADDRESS } },
	{ "10.0.0.1:80", { TOK_ADDRESS, TOK_COLON, TOK_NUMBER } },
	{ "10.0.0.1 . 80", { TOK_ADDRESS, TOK_DOT, TOK_NUMBER } },
	{ "10.0.0", { TOK_QUANTITY } },
	{ "10.0.0.256", { TOK_QUANTITY } },
	{ "10.0.0.1.5", { TOK_QUANTITY } },
	{ "fe80::1 ::1 2001:db8::/32", { TOK_ADDRESS6, TOK_ADDRESS6, TOK_ADDRESS6, TOK_SLASH, TOK_NUMBER } },
	{ "::ffff:1.2.3.4", { TOK_ADDRESS6 } },
	{ "22:accept", { TOK_NUMBER, TOK_COLON, TOK_WORD } },
	{ "accept,drop;", { TOK_WORD, TOK_COMMA, TOK_WORD, TOK_SEMICOLON } },
	{ "{}()@$=", { TOK_LBRACE, TOK_RBRACE, TOK_LPAREN, TOK_RPAREN, TOK_AT, TOK_DOLLAR, TOK_ASSIGN } },
	{ "== != <= >= << >> < > ! & | ^",
	  { TOK_EQ, TOK_NEQ, TOK_LE, TOK_GE, TOK_SHIFT_LEFT, TOK_SHIFT_RIGHT, TOK_LT, TOK_GT, TOK_NOT, TOK_AND, TOK_OR,
	    TOK_XOR } },
	{ "\"a b\"c", { TOK_STRING, TOK_WORD } },
	{ "\"a b\nc", { TOK_OPEN_STRING, TOK_NEWLINE, TOK_WORD } },
	{ "a # b { \" \nc", { TOK_WORD, TOK_NEWLINE, TOK_WORD } },
	{ "a \\\n b \\\r\n c", { TOK_WORD, TOK_WORD, TOK_WORD } },
	{ "a \\ b", { TOK_WORD, TOK_BAD, TOK_WORD } },
	{ "\x80\xff\x01 ok ~[", { TOK_BAD, TOK_WORD, TOK_BAD } },
};

static void test_kinds(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lexer lx;
		struct token t;

		lexer_init(&lx, rows[i].text, strlen(rows[i].text), 1);
		for (size_t k = 0; k <= KINDS_MAX; k++) {
			enum token_kind want = k < KINDS_MAX ? rows[i].kind[k] : TOK_END;

			lexer_next(&lx, &t);
			if (t.kind != want)
				fail_msg("\"%s\", token %zu: %s, not %s", rows[i].text, k, token_names[t.kind],
					 token_names[want]);
			if (t.kind == TOK_END)
				break;
		}
	}
}

static void test_places(void **state)
{
	static const char text[] = "ab\n\t\"c d\" 0x10\\\n 1.2.3.4";
	struct lexer lx;
	struct token t;

	lexer_init(&lx, text, strlen(text), 7);
	lexer_next(&lx, &t);
	assert_int_equal(t.pos.file, 7);
	assert_int_equal(t.pos.line, 1);
	assert_int_equal(t.pos.column, 1);
	assert_int_equal(t.pos.length, 2);
	lexer_next(&lx, &t);
	lexer_next(&lx, &t);
	assert_int_equal(t.pos.line, 2);
	assert_int_equal(t.pos.column, 2);
	assert_int_equal(t.pos.length, 5);
	assert_int_equal(t.len, 3);
	assert_memory_equal(t.text, "c d", 3);
	lexer_next(&lx, &t);
	assert_int_equal(t.value, 16);
	lexer_next(&lx, &t);
	assert_int_equal(t.value, IP4(1, 2, 3, 4));
	assert_int_equal(t.pos.line, 3);
	assert_int_equal(t.pos.column, 2);
}

/* A text need not end with NUL: nothing behind its length is read (AddressSanitizer would say so). */
static void test_no_byte_too_far(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t len = 0; len <= strlen(rows[i].text); len++) {
			char *exact = malloc(len > 0 ? len : 1);
			struct lexer lx;
			struct token t;

			memcpy(exact, rows[i].text, len);
			lexer_init(&lx, exact, len, 1);
			do
				lexer_next(&lx, &t);
			while (t.kind != TOK_END);
			free(exact);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_no_byte_too_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
