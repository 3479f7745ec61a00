/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words of the policy language. A token points into the text.
 */
#ifndef YG_ROUTING_POLICY_POLICY_LEX_H
#define YG_ROUTING_POLICY_POLICY_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text_pos.h"

enum policy_token_kind {
	TOK_END,
	TOK_WORD,   /* letters, digits, _ and - between them; or 'in quotes' */
	TOK_NUMBER, /* decimal or 0x; value */
	TOK_ADDR,   /* a.b.c.d; value */
	TOK_STRING, /* "..."; text is what stands between */
	TOK_LBRACE,
	TOK_RBRACE,
	TOK_LPAREN,
	TOK_RPAREN,
	TOK_LBRACKET,
	TOK_RBRACKET,
	TOK_MASK_OPEN,  /* [= */
	TOK_MASK_CLOSE, /* =] */
	TOK_COMMA,
	TOK_SEMICOLON,
	TOK_DOT,
	TOK_DOTS, /* .. */
	TOK_PLUS,
	TOK_MINUS,
	TOK_STAR,
	TOK_SLASH,
	TOK_QUESTION,
	TOK_AND,
	TOK_OR,
	TOK_NOT,
	/* comparisons */
	TOK_EQUAL,
	TOK_NOT_EQUAL,
	TOK_LESS,
	TOK_LESS_EQUAL,
	TOK_MORE,
	TOK_MORE_EQUAL,
	TOK_IN,     /* ~ */
	TOK_NOT_IN, /* !~ */
	TOK_ARROW,  /* -> */
	TOK_BAD,    /* a byte that belongs nowhere; why in text */
	N_POLICY_TOKENS
};

struct policy_token {
	enum policy_token_kind kind;
	bool is_quoted; /* a word in quotes is a name and never another word */
	const char *text;
	uint32_t len;
	uint32_t value;
	struct text_pos pos;
	const char *fault; /* of TOK_BAD: what is wrong, constant */
};

struct policy_lexer {
	const char *at, *end;
	struct text_pos pos; /* of `at` */
};

void policy_lex_start(struct policy_lexer *lx, const char *text, size_t len, const struct text_pos *pos);
/* The next token; TOK_END again and again at the end. */
void policy_lex_next(struct policy_lexer *lx, struct policy_token *t);
/* Whether it is that word, not in quotes. */
bool policy_token_is(const struct policy_token *t, const char *word);
/* How a message calls one: "a number", "\";\"". Constant. */
const char *policy_token_name(enum policy_token_kind kind);

#endif
