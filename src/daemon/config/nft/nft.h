/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nft's part of the language: tables, chains, sets, maps and rules, from the top
 * down, into a rule_ast. Its state stands around the parser's.
 */
#ifndef YG_DAEMON_CONFIG_NFT_NFT_H
#define YG_DAEMON_CONFIG_NFT_NFT_H

#include "daemon/config/lang/parse.h"
#include "gateway/rules/ast.h"
#include "gateway/rules/key.h"

#define NFPROTO_IPV4 2u /* value of meta nfproto */

_Static_assert(CONFIG_NAME_MAX == AST_NAME_MAX, "names of nft's things are the text's own");

/* What the statements of the rule being read say of its packets (context.c). */
struct config_context {
	bool has_proto;
	uint32_t proto;
	bool is_ipv4;
	bool no_echo;     /* ICMP of other types */
	bool nat_says_ip; /* `snat ip to` */
};

struct nft_parser {
	struct parser p;
	struct rule_ast *rules;   /* where it goes */
	struct text_pos interval; /* of the first value that was a prefix, a range or a name with "*"; line 0: none */
	bool skip_ipv6;           /* the rule being read turned out to be for IPv6 */
	bool inet;                /* the family of the table being read */
	struct config_context context;
	uint32_t n_chains; /* that were made so far */
};

static inline struct nft_parser *nft_of(struct parser *p)
{
	return container_of(p, struct nft_parser, p);
}

/* words.c: what nft knows and we do not, and what it takes as no name. */
extern const struct config_words nft_words;

/* table.c: tables, chains */
/* define, redefine, undefine, include; *done says whether it was one of them. */
bool config_common(struct parser *p, bool *done);
bool config_table(struct parser *p);
bool config_add(struct parser *p, bool front);
bool config_delete(struct parser *p);
bool config_flush(struct parser *p);
bool config_quoted(struct parser *p);
/* After a new name: makes it quick to find. */
bool config_index_names(struct parser *p, struct rule_table *t);
/* set.c: a set or map of a table; the first word is consumed. */
bool config_set(struct parser *p, struct rule_table *t);
bool config_map(struct parser *p, struct rule_table *t);
/* map.c: what is looked up in a map; a note is made of entries that it never meets. */
bool config_is_map_number(struct parser *p);
bool config_map_number(struct parser *p, struct rule_number *n);
void config_map_notes(struct parser *p, const struct rule_number *n, const struct rule_map *m);
/* The entries of a map in their braces. has_type: it is known already whether addresses have ports. */
bool config_map_entries(struct parser *p, struct rule_map *m, bool has_type);
/* rule.c: one rule, to the end of its line; adds it to the chain. */
bool config_rule(struct parser *p, struct rule_chain *ch, bool front);
/* context.c: whether a statement fits to those of its rule before it. */
bool config_context(struct parser *p, const struct rule_stmt *s);
/* nat.c: snat, dnat, masquerade, redirect; the word is consumed. */
bool config_nat(struct parser *p, const struct token *word, struct rule_stmt *s);
/* bitwise.c: (key shifted by some bits to the left & mask) ^ xor; without a key xor is the value. */
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
/* expr.c: a match, or a statement that begins like one. */
bool config_is_key(struct parser *p);
bool config_key(struct parser *p, enum rule_key *key);
bool config_expr(struct parser *p, struct rule_stmt *s);
/* expr_value.c: values of a key. A prefix, a range and a name with "*" are noted in nft_parser.interval. */
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

#endif
