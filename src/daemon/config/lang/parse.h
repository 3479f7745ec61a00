/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The language, without a word about what is said in it: a stream of tokens out of
 * files, includes and definitions (input.c, file.c), the small steps that a grammar
 * is made of (parse.c), values (value.c), words that nobody knows (known.c). A
 * function that parses returns false after it has reported what is wrong; whoever
 * began the statement then skips to its end, so that one mistake costs one message.
 *
 * Whoever reads something puts struct parser into a struct of its own, and finds
 * that by container_of (nft/nft.h, config_priv.h).
 */
#ifndef YG_DAEMON_CONFIG_LANG_PARSE_H
#define YG_DAEMON_CONFIG_LANG_PARSE_H

#include "base/ip4.h"
#include "base/name_index.h"
#include "base/util.h"
#include "daemon/config/lang/error.h"
#include "daemon/config/lang/lex.h"

#define CONFIG_NAME_MAX 64
#define CONFIG_INCLUDE_DEPTH_MAX 16
#define CONFIG_SOURCES_MAX 256
#define CONFIG_DEFINE_TOKENS_MAX 65536 /* in one definition */
#define CONFIG_EXPANDED_MAX (4u << 20) /* tokens that definitions put in, in all */
#define CONFIG_INPUTS_MAX 64
#define CONFIG_NESTING_MAX 16 /* sets in sets, parentheses */
#define CONFIG_LOOKAHEAD 4
#define CONFIG_ONCE_MAX 96 /* statements of one kind of block that may stand once */
#define CONFIG_WORDS_NONE UINT64_C(14695981039346656037)

/* Words of another language that have no meaning here, each to be named, and those that it takes as no name. */
struct config_words {
	const char *whose; /* "nft" */
	const char *const *foreign;
	size_t n_foreign;
	const char *const *reserved; /* in order */
	size_t n_reserved;
};

/* What a name stands for inside the braces in which it was said. Lives as long as the parser, since a use of it may
 * still be on the stack of inputs. */
struct config_meaning {
	struct token *token;
	size_t n;
	uint32_t depth;               /* of braces */
	struct config_meaning *outer; /* what the name stands for outside of them; NULL: nothing */
	struct config_meaning *older; /* all that were ever made */
};

struct config_define {
	char name[CONFIG_NAME_MAX];
	struct config_meaning *now; /* NULL: nothing */
};

/* A meaning that ends with its block; the innermost stand last. */
struct config_scoped {
	uint32_t define, depth;
};

/* Where tokens come from: the file on top of the stack, or what a `$name` stands for. */
struct config_input {
	bool is_file;
	struct lexer lx;
	uint32_t source;      /* file: index */
	uint32_t brace_depth; /* file: when it was opened */
	size_t copied;        /* file: bytes already in parser.flat */
	const struct token *token;
	size_t n, at;
	struct token *owned; /* to free, or NULL */
	struct text_pos use; /* tokens: where they are used; line 0: they keep their own place */
	const char *use_src;
	uint32_t use_src_len;
};

/* What has been said of that which may be said once only, in one block or in all of a text; `what` is the address of
 * whatever the statement sets. */
struct config_once {
	uint32_t n;
	struct {
		const void *what;
		struct text_pos pos;
	} at[CONFIG_ONCE_MAX];
};

struct parser {
	struct config_sources *sources;
	const struct config_words *words_of; /* NULL: none is foreign or reserved */
	struct config_errors **errors;
	struct config_input input[CONFIG_INPUTS_MAX];
	uint32_t n_inputs;
	struct token ahead[CONFIG_LOOKAHEAD];
	uint32_t n_ahead;
	struct token last;    /* consumed last */
	uint32_t brace_depth; /* of what was consumed */
	uint32_t nesting;     /* of sets and parentheses */
	struct config_define *define;
	size_t n_defines;
	struct name_index define_names;
	struct config_meaning *meanings; /* all of them */
	struct config_scoped *scoped;
	size_t n_scoped;
	uint32_t n_expanded;
	bool may_include;
	bool no_memory;
	char *flat; /* the text with includes in their places */
	size_t flat_len, flat_cap;
	size_t n_harmless; /* of all errors those that leave names and blocks whole, as one in a rule does */
	uint64_t words;    /* a hash of what was consumed since it was set */
};

/* input.c: the stream of tokens */
const struct token *config_peek(struct parser *p);
const struct token *config_peek_at(struct parser *p, uint32_t i); /* i < CONFIG_LOOKAHEAD */
struct token config_next(struct parser *p);
void config_push_file(struct parser *p, uint32_t source);
/* Tokens already looked at go under what is pushed next. */
void config_unread(struct parser *p);
/* These tokens, which are taken over, come next. */
void config_push_tokens(struct parser *p, struct token *token, size_t n);
void config_flat_add(struct parser *p, const char *text, size_t len);
/* `define NAME = ...`, behind the word itself. */
bool config_define(struct parser *p, bool again);
bool config_undefine(struct parser *p);
void config_input_free(struct parser *p);
/* file.c */
/* What follows the statement comes behind the file. */
void config_include(struct parser *p, const struct token *word, const struct token *name);
/* Adds a source; its number, 0 without memory. Takes text over. */
uint32_t config_add_source(struct config_sources *s, const char *name, char *text, size_t len);
/* Reads a file as a source, the config itself when nothing is being read; 0 after a message at pos. */
uint32_t config_add_file(struct parser *p, const char *path, const struct text_pos *pos);

/* parse.c: small steps over tokens */
void config_err(struct parser *p, const struct text_pos *pos, const char *fmt, ...) YG_PRINTF(3, 4);
void config_note(struct parser *p, const struct text_pos *pos, const char *fmt, ...) YG_PRINTF(3, 4);
/* "expected WHAT, found ..." at the next token; returns false. */
bool config_expected(struct parser *p, const char *what);
bool config_is(struct parser *p, enum token_kind kind);
bool config_is_word(struct parser *p, const char *word);
bool config_accept(struct parser *p, enum token_kind kind);
bool config_accept_word(struct parser *p, const char *word);
bool config_expect(struct parser *p, enum token_kind kind);
bool config_expect_word(struct parser *p, const char *word);
void config_skip_newlines(struct parser *p);
/* True at a line's end, ";", "}" or the end of the file. */
bool config_at_end(struct parser *p);
/* The end of a statement: consumes ";" or the line's end, leaves "}". */
bool config_end(struct parser *p);
/* After a mistake: goes on behind the statement that began at this depth of braces. */
void config_recover(struct parser *p, uint32_t depth);
/* Skips a statement that is left out on purpose, its blocks included. */
void config_skip_statement(struct parser *p);
/* From one token to the one consumed last. */
struct text_pos config_span(const struct parser *p, const struct token *from);
/* `{`, statements by fn, `}`. fn reports and returns false, or has consumed one statement. */
typedef bool config_statement_fn(struct parser *p, void *ctx);
bool config_block(struct parser *p, config_statement_fn *fn, void *ctx);
/* foreign.c: `{`, what another language has to say, `}`. len_of: how much of a text stands before the "}" that closes
 * it, SIZE_MAX: none does. The text is the file's own; pos is where it begins. */
typedef size_t config_foreign_fn(const char *text, size_t len);
bool config_foreign_block(struct parser *p, config_foreign_fn *len_of, const char **text, size_t *len,
			  struct text_pos *pos);
/* A statement at `pos` that may stand once: an error when it has stood before. Nothing to recover from: it is read on.
 */
void config_once(struct parser *p, struct config_once *said, const void *what, const struct text_pos *pos);
/* Copies a token's text; false and a message when it is too long. */
bool config_copy(struct parser *p, const struct token *t, char *out, size_t size, const char *what);
/* One more item for array *items, which holds n; NULL without memory (then p->no_memory). Zeroed. */
void *config_grow(struct parser *p, void *items, size_t n, size_t size);

/* value.c */
bool config_name(struct parser *p, char *out, size_t size, const char *what);
bool config_number(struct parser *p, uint64_t min, uint64_t max, const char *what, uint32_t *out);
bool config_seconds(struct parser *p, uint32_t *out);
bool config_yes_no(struct parser *p, bool *out);
bool config_address(struct parser *p, uint32_t *out);
/* An address with an optional length; host bits stay (see config_prefix_strict). */
bool config_prefix(struct parser *p, uint32_t *addr, uint8_t *len);
/* Host bits are a mistake, and the message gives the right value. `default` is 0.0.0.0/0. */
bool config_prefix_strict(struct parser *p, struct ip4_prefix *out);
/* Address, prefix or range. */
bool config_address_range(struct parser *p, uint32_t *first, uint32_t *last);
bool config_port_range(struct parser *p, uint16_t *first, uint16_t *last);
/* A number, or the name of a service; false without a message when it is none. */
bool config_service(const struct token *t, uint32_t *port);

/* known.c: words that have no meaning here. True after a message when it is a foreign one. */
bool config_refuse_known(struct parser *p, const struct token *t);
/* Reports an unknown word with the nearest of words, and what belongs here; returns false. */
bool config_unknown(struct parser *p, const struct token *t, const char *what, const char *const *words, size_t n);
const char *config_nearest(const char *text, size_t len, const char *const *words, size_t n);
/* A name for something of the text's own: a plain word, and none that is reserved. */
bool config_own_name(struct parser *p, char out[CONFIG_NAME_MAX], const char *what);

/* secret.c: passwords become stars, byte by byte: of a text that could be read, and of a line of one that perhaps could
 * not. */
void config_hide_in_text(char *text, size_t len);
void config_hide_in_line(char *line, size_t len);

#endif
