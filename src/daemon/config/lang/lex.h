/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words of the config language. A token points into the text that it was
 * read from; nothing is copied.
 */
#ifndef YG_DAEMON_CONFIG_LANG_LEX_H
#define YG_DAEMON_CONFIG_LANG_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text_pos.h"

enum token_kind {
	TOK_END, /* of the text */
	TOK_NEWLINE,
	TOK_WORD,        /* letters, digits and _ - . inside, perhaps a * at its end */
	TOK_NUMBER,      /* decimal, 0x, or octal behind a 0; value */
	TOK_QUANTITY,    /* a number with letters: 7440s, 1h30m; also a name that begins with a digit */
	TOK_ADDRESS,     /* dotted quad; value */
	TOK_ADDRESS6,    /* an IPv6 address, to be named in a message */
	TOK_STRING,      /* "..."; text is what stands between the quotes */
	TOK_BAD,         /* bytes that belong to no word */
	TOK_OPEN_STRING, /* a string that the line's end cut off */
	TOK_BIG_NUMBER,  /* more than 64 bits */
	TOK_SILENT,      /* in place of something that was reported already */
	TOK_LBRACE,
	TOK_RBRACE,
	TOK_LPAREN,
	TOK_RPAREN,
	TOK_COMMA,
	TOK_SEMICOLON,
	TOK_COLON,
	TOK_DOT,
	TOK_DASH,
	TOK_PLUS,
	TOK_SLASH,
	TOK_STAR,
	TOK_AT,
	TOK_DOLLAR,
	TOK_AND,
	TOK_OR,
	TOK_XOR,
	TOK_NOT,
	TOK_ASSIGN,
	TOK_EQ,
	TOK_NEQ,
	TOK_LT,
	TOK_GT,
	TOK_LE,
	TOK_GE,
	TOK_SHIFT_LEFT,
	TOK_SHIFT_RIGHT,
	N_TOKEN_KINDS
};

struct token {
	enum token_kind kind;
	struct text_pos pos;
	const char *text;
	uint32_t len;
	uint64_t value;
	/* Where it stands in the file: the same, or the `$name` that it came from. */
	const char *src;
	uint32_t src_len;
};

struct lexer {
	const char *text;
	size_t len, at;
	size_t line_start;
	uint32_t file, line;
};

/* How a message calls a token of this kind: "a number", "\"{\"". */
extern const char *const token_names[N_TOKEN_KINDS];

void lexer_init(struct lexer *lx, const char *text, size_t len, uint32_t file);
/* The next token; TOK_END again and again at the end. */
void lexer_next(struct lexer *lx, struct token *out);
bool token_is(const struct token *t, const char *word);

#endif
