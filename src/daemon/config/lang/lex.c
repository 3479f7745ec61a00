/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes to tokens. Blanks, comments (# to the end of the line) and a backslash
 * before a line's end separate and are gone; the end of a line is a token, since
 * it ends a statement. Any byte is allowed to come: what fits nowhere becomes
 * TOK_BAD, a run of it one token, and the parser says so.
 *
 * A word may have - and . inside but not at its end, so that `echo-request` and
 * `eth0.100` are words and `a - b` is none. Numbers never swallow a dash: 1-5 is
 * a range. A run of hex digits and colons that reads as an IPv6 address is one.
 * A number that begins with 0 is octal, as in nft; 08 is none.
 */
#include "daemon/config/lang/lex.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/ip4.h"
#include "base/util.h"

/* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255" */
#define IP6_TEXT_MAX 46

const char *const token_names[N_TOKEN_KINDS] = {
	[TOK_END] = "the end of the file",
	[TOK_NEWLINE] = "the end of the line",
	[TOK_WORD] = "a word",
	[TOK_NUMBER] = "a number",
	[TOK_QUANTITY] = "a number with a unit",
	[TOK_ADDRESS] = "an IPv4 address",
	[TOK_ADDRESS6] = "an IPv6 address",
	[TOK_STRING] = "a quoted text",
	[TOK_BAD] = "bytes that belong to no word",
	[TOK_OPEN_STRING] = "a text without its closing quote",
	[TOK_BIG_NUMBER] = "a number of more than 64 bits",
	[TOK_SILENT] = "nothing",
	[TOK_LBRACE] = "\"{\"",
	[TOK_RBRACE] = "\"}\"",
	[TOK_LPAREN] = "\"(\"",
	[TOK_RPAREN] = "\")\"",
	[TOK_COMMA] = "\",\"",
	[TOK_SEMICOLON] = "\";\"",
	[TOK_COLON] = "\":\"",
	[TOK_DOT] = "\".\"",
	[TOK_DASH] = "\"-\"",
	[TOK_PLUS] = "\"+\"",
	[TOK_SLASH] = "\"/\"",
	[TOK_STAR] = "\"*\"",
	[TOK_AT] = "\"@\"",
	[TOK_DOLLAR] = "\"$\"",
	[TOK_AND] = "\"&\"",
	[TOK_OR] = "\"|\"",
	[TOK_XOR] = "\"^\"",
	[TOK_NOT] = "\"!\"",
	[TOK_ASSIGN] = "\"=\"",
	[TOK_EQ] = "\"==\"",
	[TOK_NEQ] = "\"!=\"",
	[TOK_LT] = "\"<\"",
	[TOK_GT] = "\">\"",
	[TOK_LE] = "\"<=\"",
	[TOK_GE] = "\">=\"",
	[TOK_SHIFT_LEFT] = "\"<<\"",
	[TOK_SHIFT_RIGHT] = "\">>\"",
};

void lexer_init(struct lexer *lx, const char *text, size_t len, uint32_t file)
{
	*lx = (struct lexer){ .text = text, .len = len, .file = file, .line = 1 };
}

bool token_is(const struct token *t, const char *word)
{
	return t->kind == TOK_WORD && strlen(word) == t->len && memcmp(t->text, word, t->len) == 0;
}

/* ASCII only: what the C library thinks of other bytes depends on the locale. */
static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_word(int c)
{
	return is_letter(c) || is_digit(c);
}

static int at(const struct lexer *lx, size_t ahead)
{
	return ahead < lx->len - lx->at ? (unsigned char)lx->text[lx->at + ahead] : -1;
}

static void newline(struct lexer *lx)
{
	lx->line++;
	lx->line_start = lx->at;
}

/* Blanks, comments, and line ends behind a backslash. */
static void skip_blank(struct lexer *lx)
{
	for (;;) {
		int c = at(lx, 0);
		size_t n = at(lx, 1) == '\r' ? 3 : 2;

		if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
			lx->at++;
		} else if (c == '#') {
			while (at(lx, 0) != '\n' && at(lx, 0) != -1)
				lx->at++;
		} else if (c == '\\' && at(lx, n - 1) == '\n') {
			lx->at += n;
			newline(lx);
		} else {
			return;
		}
	}
}

static size_t scan_word(const struct lexer *lx)
{
	size_t n = 1;

	for (;;) {
		if (is_word(at(lx, n)))
			n++;
		else if ((at(lx, n) == '-' || at(lx, n) == '.') && is_word(at(lx, n + 1)))
			n += 2;
		else
			return at(lx, n) == '*' ? n + 1 : n;
	}
}

/* Length of an IPv6 address here, 0 if there is none. */
static size_t scan_ip6(const struct lexer *lx)
{
	char text[IP6_TEXT_MAX];
	struct in6_addr a;
	size_t n = 0, colons = 0;

	while (n < sizeof(text) - 1 && (is_hex(at(lx, n)) || at(lx, n) == ':' || at(lx, n) == '.')) {
		colons += at(lx, n) == ':';
		n++;
	}
	if (colons < 2)
		return 0;
	memcpy(text, lx->text + lx->at, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &a) == 1 ? n : 0;
}

static enum token_kind number_value(const char *text, size_t len, uint64_t *value)
{
	uint64_t base = 10, digit;
	size_t i = 0;

	*value = 0;
	if (len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		i = 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	for (; i < len; i++) {
		if (!is_hex(text[i]))
			return TOK_QUANTITY;
		digit = is_digit(text[i]) ? (uint64_t)(text[i] - '0') : (uint64_t)((text[i] | 0x20) - 'a' + 10);
		if (digit >= base)
			return TOK_QUANTITY;
		if (*value > (UINT64_MAX - digit) / base)
			return TOK_BIG_NUMBER;
		*value = *value * base + digit;
	}
	return TOK_NUMBER;
}

static size_t scan_number(const struct lexer *lx, struct token *t)
{
	uint32_t addr;
	size_t n = ip4_parse(lx->text + lx->at, lx->len - lx->at, &addr);

	if (n > 0 && !is_word(at(lx, n)) && !(at(lx, n) == '.' && is_digit(at(lx, n + 1)))) {
		t->kind = TOK_ADDRESS;
		t->value = addr;
		return n;
	}
	n = 1;
	while (is_word(at(lx, n)) || (at(lx, n) == '.' && is_word(at(lx, n + 1))))
		n++;
	t->kind = number_value(lx->text + lx->at, n, &t->value);
	return n;
}

static size_t scan_string(const struct lexer *lx, struct token *t)
{
	size_t n = 1;

	while (at(lx, n) != '"' && at(lx, n) != '\n' && at(lx, n) != -1)
		n++;
	t->kind = at(lx, n) == '"' ? TOK_STRING : TOK_OPEN_STRING;
	t->text = lx->text + lx->at + 1;
	t->len = (uint32_t)(n - 1);
	return t->kind == TOK_STRING ? n + 1 : n;
}

struct mark {
	char text[3];
	uint8_t kind;
};

/* Longer ones first. */
static const struct mark marks[] = {
	{ "==", TOK_EQ },         { "!=", TOK_NEQ },         { "<=", TOK_LE },    { ">=", TOK_GE },
	{ "<<", TOK_SHIFT_LEFT }, { ">>", TOK_SHIFT_RIGHT }, { "{", TOK_LBRACE }, { "}", TOK_RBRACE },
	{ "(", TOK_LPAREN },      { ")", TOK_RPAREN },       { ",", TOK_COMMA },  { ";", TOK_SEMICOLON },
	{ ":", TOK_COLON },       { ".", TOK_DOT },          { "-", TOK_DASH },   { "+", TOK_PLUS },
	{ "/", TOK_SLASH },       { "*", TOK_STAR },         { "@", TOK_AT },     { "$", TOK_DOLLAR },
	{ "&", TOK_AND },         { "|", TOK_OR },           { "^", TOK_XOR },    { "!", TOK_NOT },
	{ "=", TOK_ASSIGN },      { "<", TOK_LT },           { ">", TOK_GT },
};

static size_t scan_mark(const struct lexer *lx, struct token *t)
{
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (at(lx, 0) != marks[i].text[0] || (marks[i].text[1] != '\0' && at(lx, 1) != marks[i].text[1]))
			continue;
		t->kind = marks[i].kind;
		return strlen(marks[i].text);
	}
	return 0;
}

/* One byte that begins a token, or separates. */
static bool is_known(int c)
{
	if (c == -1 || is_word(c) || c == '"' || c == '#' || c == ' ' || (c >= '\t' && c <= '\r'))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (c == marks[i].text[0])
			return true;
	return false;
}

static size_t scan(const struct lexer *lx, struct token *t)
{
	int c = at(lx, 0);
	size_t n = is_hex(c) || c == ':' ? scan_ip6(lx) : 0;

	if (n > 0) {
		t->kind = TOK_ADDRESS6;
		return n;
	}
	if (is_letter(c)) {
		t->kind = TOK_WORD;
		return scan_word(lx);
	}
	if (is_digit(c))
		return scan_number(lx, t);
	if (c == '"')
		return scan_string(lx, t);
	n = scan_mark(lx, t);
	if (n > 0)
		return n;
	t->kind = TOK_BAD;
	for (n = 1; !is_known(at(lx, n));)
		n++;
	return n;
}

void lexer_next(struct lexer *lx, struct token *out)
{
	size_t n;

	skip_blank(lx);
	*out = (struct token){ .kind = TOK_END, .text = lx->text + lx->at };
	out->pos = (struct text_pos){
		.file = lx->file, .line = lx->line, .column = (uint32_t)(lx->at - lx->line_start + 1), .length = 1
	};
	out->src = out->text;
	if (lx->at >= lx->len)
		return;
	if (at(lx, 0) == '\n') {
		out->kind = TOK_NEWLINE;
		lx->at++;
		newline(lx);
		return;
	}
	n = scan(lx, out);
	if (out->kind != TOK_STRING && out->kind != TOK_OPEN_STRING)
		out->len = (uint32_t)n;
	out->pos.length = (uint32_t)n;
	out->src_len = (uint32_t)n;
	lx->at += n;
}
