/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the config language share: the parser's state, and its
 * grammar from the top down. A function that parses returns false after it has
 * reported what is wrong; whoever began the statement then skips to its end, so
 * that one mistake costs one message.
 */
#ifndef YG_DAEMON_CONFIG_CONFIG_PRIV_H
#define YG_DAEMON_CONFIG_CONFIG_PRIV_H

#include <stdarg.h>

#include "base/util.h"
#include "daemon/config/config.h"
#include "daemon/config/lang/lex.h"
#include "gateway/rules/key.h"

#define CONFIG_MESSAGE_MAX 240
#define CONFIG_INCLUDE_DEPTH_MAX 16
#define CONFIG_SOURCES_MAX 256
#define CONFIG_DEFINE_TOKENS_MAX 65536 /* in one definition */
#define CONFIG_EXPANDED_MAX (4u << 20) /* tokens that definitions put in, in all */
#define CONFIG_INPUTS_MAX 64
#define CONFIG_NESTING_MAX 16 /* sets in sets, parentheses */
#define CONFIG_LOOKAHEAD 4
#define CONFIG_WORDS_NONE UINT64_C(14695981039346656037)
#define NFPROTO_IPV4 2u /* value of meta nfproto */

struct config_source {
	char *name;
	char *text;
	size_t len;
	uint64_t dev, ino; /* 0: not a file */
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
	char name[AST_NAME_MAX];
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
	struct ast_pos use;  /* tokens: where they are used; line 0: they keep their own place */
	const char *use_src;
	uint32_t use_src_len;
};

/* What the statements of the rule being read say of its packets (config_context.c). */
struct config_context {
	bool has_proto;
	uint32_t proto;
	bool is_ipv4;
	bool no_echo;     /* ICMP of other types */
	bool nat_says_ip; /* `snat ip to` */
};

struct parser {
	struct config *c;
	struct config_errors **errors;
	struct config_input input[CONFIG_INPUTS_MAX];
	uint32_t n_inputs;
	struct token ahead[CONFIG_LOOKAHEAD];
	uint32_t n_ahead;
	struct token last;       /* consumed last */
	uint32_t brace_depth;    /* of what was consumed */
	uint32_t nesting;        /* of sets and parentheses */
	struct ast_pos interval; /* of the first value that was a prefix, a range or a name with "*"; line 0: none */
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
	struct ast_pos pool_pos[NAT_POOLS_MAX];
	size_t n_harmless; /* of all errors those that leave names and blocks whole, as one in a rule does */
	bool skip_ipv6;    /* the rule being read turned out to be for IPv6 */
	bool inet;         /* the family of the table being read */
	struct config_context context;
	uint64_t words;    /* a hash of what was consumed since it was set */
	uint32_t n_chains; /* that were made so far */
};

/* config_input.c: the stream of tokens */
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
/* config_file.c */
/* What follows the statement comes behind the file. */
void config_include(struct parser *p, const struct token *word, const struct token *name);
/* Adds a source; its number, 0 without memory. Takes text over. */
uint32_t config_add_source(struct config *c, const char *name, char *text, size_t len);
/* Reads a file as a source, the config itself when nothing is being read; 0 after a message at pos. */
uint32_t config_add_file(struct parser *p, const char *path, const struct ast_pos *pos);

/* config_parse.c: small steps over tokens */
void config_err(struct parser *p, const struct ast_pos *pos, const char *fmt, ...) YG_PRINTF(3, 4);
void config_note(struct parser *p, const struct ast_pos *pos, const char *fmt, ...) YG_PRINTF(3, 4);
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
struct ast_pos config_span(const struct parser *p, const struct token *from);
/* `{`, statements by fn, `}`. fn reports and returns false, or has consumed one statement. */
typedef bool config_statement_fn(struct parser *p, void *ctx);
bool config_block(struct parser *p, config_statement_fn *fn, void *ctx);
/* Copies a token's text; false and a message when it is too long. */
bool config_copy(struct parser *p, const struct token *t, char *out, size_t size, const char *what);
/* One more item for array *items, which holds n; NULL without memory (then p->no_memory). Zeroed. */
void *config_grow(struct parser *p, void *items, size_t n, size_t size);

/* config_value.c */
bool config_name(struct parser *p, char *out, size_t size, const char *what);
/* config_keyword.c: a name that nft would take for a table, chain, set, map or definition. */
bool config_nft_name(struct parser *p, char out[AST_NAME_MAX], const char *what);
bool config_number(struct parser *p, uint64_t min, uint64_t max, const char *what, uint32_t *out);
bool config_seconds(struct parser *p, uint32_t *out);
bool config_yes_no(struct parser *p, bool *out);
bool config_address(struct parser *p, uint32_t *out);
/* An address with an optional length; host bits stay (see config_prefix_strict). */
bool config_prefix(struct parser *p, uint32_t *addr, uint8_t *len);
/* Host bits are a mistake, and the message gives the right value. `default` is 0.0.0.0/0. */
bool config_prefix_strict(struct parser *p, struct ip4_prefix *out);
/* Address, prefix or range. */
bool config_address_range(struct parser *p, struct nat_address_range *out);
bool config_port(struct parser *p, uint16_t *out);
bool config_port_range(struct parser *p, struct nat_port_range *out);
/* A number, or the name of a service; false without a message when it is none. */
bool config_service(const struct token *t, uint32_t *port);

/* config_blocks.c: our own blocks; the first word is consumed. */
bool config_interface(struct parser *p);
bool config_route(struct parser *p);
bool config_icmp(struct parser *p);
bool config_workers(struct parser *p);
/* config_pool.c */
bool config_pool(struct parser *p);
/* config_limits.c */
bool config_conntrack(struct parser *p);
bool config_limits(struct parser *p);

/* config_nft.c: tables, chains */
/* define, redefine, undefine, include; *done says whether it was one of them. */
bool config_common(struct parser *p, bool *done);
bool config_table(struct parser *p);
bool config_add(struct parser *p, bool front);
bool config_delete(struct parser *p);
bool config_flush(struct parser *p);
bool config_quoted(struct parser *p);
/* After a new name: makes it quick to find. */
bool config_index_names(struct parser *p, struct rule_table *t);
/* config_set.c: a set or map of a table; the first word is consumed. */
bool config_set(struct parser *p, struct rule_table *t);
bool config_map(struct parser *p, struct rule_table *t);
/* config_map.c: what is looked up in a map; a note is made of entries that it never meets. */
bool config_is_map_number(struct parser *p);
bool config_map_number(struct parser *p, struct rule_number *n);
void config_map_notes(struct parser *p, const struct rule_number *n, const struct rule_map *m);
/* The entries of a map in their braces. has_type: it is known already whether addresses have ports. */
bool config_map_entries(struct parser *p, struct rule_map *m, bool has_type);
/* config_rule.c: one rule, to the end of its line; adds it to the chain. */
bool config_rule(struct parser *p, struct rule_chain *ch, bool front);
/* config_context.c: whether a statement fits to those of its rule before it. */
bool config_context(struct parser *p, const struct rule_stmt *s);
/* config_nat.c: snat, dnat, masquerade, redirect; the word is consumed. */
bool config_nat(struct parser *p, const struct token *word, struct rule_stmt *s);
/* config_bitwise.c: (key shifted by some bits to the left & mask) ^ xor; without a key xor is the value. */
struct bitwise {
	bool has_key, is_plain; /* is_plain: nothing but a key or a constant was written */
	enum rule_key key;
	int32_t shift; /* negative: to the right */
	uint32_t mask, xor;
};
/* The left side of a match: a key, perhaps with operators and in parentheses. */
bool config_bitwise(struct parser *p, struct bitwise *out);
/* The same, or a constant of the type of this key. */
bool config_bitwise_value(struct parser *p, enum rule_key type, struct bitwise *out);
/* A constant of the type of this key, perhaps with operators. */
bool config_constant(struct parser *p, enum rule_key type, uint32_t *out);
/* config_expr.c: a match, or a statement that begins like one. */
bool config_is_key(struct parser *p);
bool config_key(struct parser *p, enum rule_key *key);
bool config_expr(struct parser *p, struct rule_stmt *s);
/* config_expr_value.c: values of a key. A prefix, a range and a name with "*" are noted in p->interval. */
bool config_scalar(struct parser *p, enum rule_key key, uint32_t *out);
/* The next word is the name of such a value. */
bool config_is_symbol(struct parser *p, enum rule_key key);
bool config_key_value(struct parser *p, enum rule_key key, struct rule_range *out);
bool config_key_name(struct parser *p, struct rule_name *out);
/* What nft allows behind an element: a comment, nothing else that we know. */
bool config_element_options(struct parser *p);
/* One element or a set in braces, into ranges or names. */
bool config_elements(struct parser *p, enum rule_key key, struct rule_match *m);
/* A list of constants, with commas: all of their bits. */
bool config_bits(struct parser *p, enum rule_key key, uint32_t *out, bool *comma);

/* config_known.c: words of nft that are not supported, and the nearest word. */
bool config_refuse_known(struct parser *p, const struct token *t);
/* Reports an unknown word with the nearest of words, and what belongs here; returns false. */
bool config_unknown(struct parser *p, const struct token *t, const char *what, const char *const *words, size_t n);
const char *config_nearest(const char *text, size_t len, const char *const *words, size_t n);

/* config_check.c: what one statement alone cannot know. */
void config_check(struct parser *p);
/* config_check_reach.c: translations that lead nowhere. */
void config_check_reach(struct parser *p);
/* config_check_held.c: addresses that rules translate to elsewhere, and that nobody holds. */
void config_check_held(struct parser *p);

/* config_error.c */
void config_message(struct config_errors **errors, const struct config *c, const struct ast_pos *pos, bool is_note,
		    const char *fmt, va_list args) YG_PRINTF(5, 0);

#endif
