/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text to tokens. Comments are # to the line's end, and those of C. A minus between letters or digits belongs to a
 * name, as in from-transit, so one that counts down has a space before it.
 */
#include "routing/policy/policy_lex.h"

#include <string.h>

#include "base/ip4.h"
#include "base/util.h"

/* Of ASCII, whatever the program's locale is. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_hex_digit(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static const struct {
	const char *text;
	const char *name; /* in a message */
} tokens[N_POLICY_TOKENS] = {
	[TOK_END] = { NULL, "the end" },
	[TOK_WORD] = { NULL, "a name" },
	[TOK_NUMBER] = { NULL, "a number" },
	[TOK_ADDR] = { NULL, "an address" },
	[TOK_STRING] = { NULL, "a text in quotes" },
	[TOK_BAD] = { NULL, "something else" },
	[TOK_LBRACE] = { "{", "\"{\"" },
	[TOK_RBRACE] = { "}", "\"}\"" },
	[TOK_LPAREN] = { "(", "\"(\"" },
	[TOK_RPAREN] = { ")", "\")\"" },
	[TOK_LBRACKET] = { "[", "\"[\"" },
	[TOK_RBRACKET] = { "]", "\"]\"" },
	[TOK_MASK_OPEN] = { "[=", "\"[=\"" },
	[TOK_MASK_CLOSE] = { "=]", "\"=]\"" },
	[TOK_COMMA] = { ",", "\",\"" },
	[TOK_SEMICOLON] = { ";", "\";\"" },
	[TOK_DOT] = { ".", "\".\"" },
	[TOK_DOTS] = { "..", "\"..\"" },
	[TOK_PLUS] = { "+", "\"+\"" },
	[TOK_MINUS] = { "-", "\"-\"" },
	[TOK_STAR] = { "*", "\"*\"" },
	[TOK_SLASH] = { "/", "\"/\"" },
	[TOK_QUESTION] = { "?", "\"?\"" },
	[TOK_EQUAL] = { "=", "\"=\"" },
	[TOK_NOT_EQUAL] = { "!=", "\"!=\"" },
	[TOK_LESS] = { "<", "\"<\"" },
	[TOK_LESS_EQUAL] = { "<=", "\"<=\"" },
	[TOK_MORE] = { ">", "\">\"" },
	[TOK_MORE_EQUAL] = { ">=", "\">=\"" },
	[TOK_AND] = { "&&", "\"&&\"" },
	[TOK_OR] = { "||", "\"||\"" },
	[TOK_NOT] = { "!", "\"!\"" },
	[TOK_IN] = { "~", "\"~\"" },
	[TOK_NOT_IN] = { "!~", "\"!~\"" },
	[TOK_ARROW] = { "->", "\"->\"" },
};

const char *policy_token_name(enum policy_token_kind kind)
{
	return tokens[kind].name;
}

bool policy_token_is(const struct policy_token *t, const char *word)
{
	return t->kind == TOK_WORD && !t->is_quoted && t->len == strlen(word) && memcmp(t->text, word, t->len) == 0;
}

void policy_lex_start(struct policy_lexer *lx, const char *text, size_t len, const struct text_pos *pos)
{
	*lx = (struct policy_lexer){ text, text + len, *pos };
}

static void step(struct policy_lexer *lx, size_t n)
{
	for (; n > 0; n--, lx->at++) {
		if (*lx->at == '\n') {
			lx->pos.line++;
			lx->pos.column = 1;
		} else {
			lx->pos.column++;
		}
	}
}

static size_t left(const struct policy_lexer *lx)
{
	return (size_t)(lx->end - lx->at);
}

static bool begins(const struct policy_lexer *lx, const char *with)
{
	size_t n = strlen(with);

	return left(lx) >= n && memcmp(lx->at, with, n) == 0;
}

/* False: a comment that has no end, at which *lx stands. */
static bool skip_space(struct policy_lexer *lx)
{
	while (left(lx) > 0) {
		if (is_space(*lx->at)) {
			step(lx, 1);
		} else if (*lx->at == '#') {
			while (left(lx) > 0 && *lx->at != '\n')
				step(lx, 1);
		} else if (begins(lx, "/*")) {
			struct policy_lexer begin = *lx;

			step(lx, 2);
			while (left(lx) > 0 && !begins(lx, "*/"))
				step(lx, 1);
			if (left(lx) == 0) {
				*lx = begin;
				return false;
			}
			step(lx, 2);
		} else {
			return true;
		}
	}
	return true;
}

static bool is_word_byte(char c)
{
	return is_digit(c) || is_letter(c) || c == '_';
}

static size_t word_len(const struct policy_lexer *lx)
{
	size_t n = 0;

	while (n < left(lx) &&
	       (is_word_byte(lx->at[n]) || (lx->at[n] == '-' && n > 0 && n + 1 < left(lx) &&
					    is_word_byte(lx->at[n - 1]) && is_word_byte(lx->at[n + 1]))))
		n++;
	return n;
}

static void bad(struct policy_token *t, const char *fault, size_t len)
{
	t->kind = TOK_BAD;
	t->fault = fault;
	t->len = (uint32_t)len;
}

/* Decimal, or hexadecimal behind 0x. */
static void lex_number(const struct policy_lexer *lx, struct policy_token *t)
{
	bool is_hex = left(lx) > 2 && lx->at[0] == '0' && (lx->at[1] == 'x' || lx->at[1] == 'X');
	size_t n = is_hex ? 2 : 0;
	uint64_t value = 0;

	t->kind = TOK_NUMBER;
	for (; n < left(lx) && (is_hex ? is_hex_digit(lx->at[n]) : is_digit(lx->at[n])); n++) {
		char c = lower(lx->at[n]);

		value = value * (is_hex ? 16 : 10) + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		if (value > UINT32_MAX) {
			bad(t, "a number of more than 32 bits", n + 1);
			return;
		}
	}
	t->len = (uint32_t)n;
	t->value = (uint32_t)value;
	if (n < left(lx) && is_word_byte(lx->at[n]))
		bad(t, "letters in a number", n + 1);
	else if (n < left(lx) && lx->at[n] == ':')
		bad(t, "IPv6 and route distinguishers are not there", n + 1);
}

/* a.b.c.d: three points between digits. */
static bool lex_addr(const struct policy_lexer *lx, struct policy_token *t)
{
	uint32_t n_dots = 0;
	size_t n = 0;

	while (n < left(lx) && (is_digit(lx->at[n]) || (lx->at[n] == '.' && n + 1 < left(lx) &&
							is_digit(lx->at[n + 1]) && n > 0 && lx->at[n - 1] != '.'))) {
		n_dots += lx->at[n] == '.';
		n++;
	}
	if (n_dots == 0)
		return false;
	t->kind = TOK_ADDR;
	t->len = (uint32_t)n;
	if (ip4_parse(lx->at, n, &t->value) != n)
		bad(t, "an address has four parts from 0 to 255", n);
	return true;
}

static void lex_quoted(const struct policy_lexer *lx, struct policy_token *t, char quote)
{
	size_t n = 1;

	while (n < left(lx) && lx->at[n] != quote && lx->at[n] != '\n')
		n++;
	if (n == left(lx) || lx->at[n] == '\n') {
		bad(t, "the quotes are not closed in this line", n);
		return;
	}
	t->kind = quote == '"' ? TOK_STRING : TOK_WORD;
	t->is_quoted = true;
	t->text = lx->at + 1;
	t->len = (uint32_t)n - 1;
}

/* The longest that is there. */
static void lex_sign(const struct policy_lexer *lx, struct policy_token *t)
{
	size_t longest = 0;

	bad(t, "this has no meaning here", 1);
	for (uint32_t k = 0; k < N_POLICY_TOKENS; k++)
		if (tokens[k].text != NULL && begins(lx, tokens[k].text) && strlen(tokens[k].text) > longest) {
			longest = strlen(tokens[k].text);
			t->kind = (enum policy_token_kind)k;
			t->len = (uint32_t)longest;
		}
	if (t->kind == TOK_BAD && *lx->at == ':')
		t->fault = "IPv6 and route distinguishers are not there";
}

void policy_lex_next(struct policy_lexer *lx, struct policy_token *t)
{
	bool is_whole = skip_space(lx);

	*t = (struct policy_token){ .kind = TOK_END, .text = lx->at, .pos = lx->pos };
	if (!is_whole) {
		bad(t, "the comment is not closed", 2);
		step(lx, left(lx));
		return;
	}
	if (left(lx) == 0)
		return;
	char c = *lx->at;
	size_t quotes = c == '"' || c == '\'' ? 2 : 0;

	if (quotes != 0) {
		lex_quoted(lx, t, c);
	} else if (is_digit(c)) {
		if (!lex_addr(lx, t))
			lex_number(lx, t);
	} else if (is_word_byte(c)) {
		t->kind = TOK_WORD;
		t->len = (uint32_t)word_len(lx);
	} else {
		lex_sign(lx, t);
	}
	t->pos.length = t->len + (uint32_t)(t->kind == TOK_BAD ? 0 : quotes);
	step(lx, t->pos.length);
}
