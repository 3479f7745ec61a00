/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program: a flat tree of nodes that name each other by number, and the sets, masks and texts that they name. What
 * the parser, the checks and the evaluator share.
 */
#ifndef YG_ROUTING_POLICY_POLICY_PRIV_H
#define YG_ROUTING_POLICY_POLICY_PRIV_H

#include "base/name_index.h"
#include "base/util.h"
#include "routing/policy/policy.h"
#include "routing/policy/policy_lex.h"
#include "routing/policy/policy_prefixes.h"

/* Of an expression. Those up to TYPE_ROA are a struct policy_value; a set, a mask and a text are its number in w[0]. */
enum policy_type {
	TYPE_NONE, /* a function that returns nothing */
	TYPE_BOOL,
	TYPE_INT,
	TYPE_IP,
	TYPE_NET,
	TYPE_PAIR,
	TYPE_EC,
	TYPE_LC,
	TYPE_ORIGIN,
	TYPE_SOURCE,
	TYPE_ROA,
	TYPE_STRING,
	TYPE_PREFIX_SET,
	TYPE_INT_SET,
	TYPE_IP_SET,
	TYPE_PAIR_SET,
	TYPE_EC_SET,
	TYPE_LC_SET,
	TYPE_ORIGIN_SET,
	TYPE_SOURCE_SET,
	TYPE_ROA_SET,
	TYPE_EMPTY_SET, /* [] */
	TYPE_MASK,
	TYPE_PATH, /* bgp_path */
	TYPE_LIST, /* of communities: which of them is in the node */
	N_POLICY_TYPES
};

/* c, a, b: what a node's members of that name are; "expr": the number of a node. next: the statement or the argument
 * behind it. */
enum policy_op {
	OP_CONST,   /* a, b, c: the value */
	OP_ARG,     /* a: which argument of the function */
	OP_NET,     /* the prefix */
	OP_NET_LEN, /* of expr a */
	OP_NET_IP,  /* of expr a */
	OP_NUMBER,  /* which: enum policy_number */
	OP_PATH,    /* bgp_path itself */
	OP_PATH_LEN,
	OP_PATH_FIRST,
	OP_PATH_LAST,
	OP_LIST, /* which: enum policy_list; itself */
	OP_LIST_LEN,
	OP_SOURCE,
	OP_PROTO,
	OP_ROA,  /* table a, of net expr b and AS expr c */
	OP_PAIR, /* of expr a and b */
	OP_LC,   /* of expr a, b and c */
	OP_CALL, /* function a with arguments from expr b on */
	OP_AND,  /* expr a and those behind it */
	OP_OR,
	OP_NOT,
	OP_EQUAL,
	OP_LESS,
	OP_ADD,
	OP_SUBTRACT,
	OP_MULTIPLY,
	OP_IN_TUPLES,   /* expr a in set expr b */
	OP_IN_PREFIXES, /* net, or (which 1) address expr a in set expr b */
	OP_IN_NET,      /* net, or (which 1) address expr a within net expr b */
	OP_STRING_EQUAL,
	OP_STRING_LIKE, /* expr a is like the pattern expr b */
	OP_PATH_MASK,   /* the path has mask expr a */
	OP_PATH_HAS,    /* ... AS expr a */
	OP_PATH_ANY,    /* ... one of set expr a */
	OP_LIST_HAS,    /* list which has expr a */
	OP_LIST_ANY,    /* ... one of set expr a */
	/* statements */
	OP_IF,          /* expr a: statements b, else c */
	OP_SET,         /* number which = expr a */
	OP_PREPEND,     /* expr a */
	OP_LIST_ADD,    /* expr a to list which */
	OP_LIST_DELETE, /* ... expr a */
	OP_LIST_KEEP,   /* of list which those in set expr a */
	OP_LIST_DROP,   /* ... those not in it */
	OP_LIST_EMPTY,
	OP_RETURN, /* expr a or POLICY_NONE */
	OP_ACCEPT, /* a: place; b: text or POLICY_NONE */
	OP_REJECT,
	N_POLICY_OPS
};

struct policy_node {
	uint8_t op;               /* enum policy_op */
	uint8_t type;             /* enum policy_type of an expression */
	uint8_t which;            /* by op */
	uint8_t depth : 7;        /* of what hangs below, itself included */
	uint8_t is_of_prefix : 1; /* an expression of the prefix and of what is known, and of nothing else */
	uint32_t steps;           /* that it takes at most, those behind it not counted */
	uint32_t a, b, c;
	uint32_t next;
};
_Static_assert(sizeof(struct policy_node) == 24, "a few to a line");

#define POLICY_DEPTH_MAX 120 /* of the tree, functions within: each level is a call of the evaluator */
#define POLICY_ARGS_MAX 8

/* A mask of a path, item by item. */
struct policy_mask_item {
	enum { MASK_ANY_NUMBER, MASK_ONE, MASK_RANGE, MASK_SET } kind; /* *, ?, a..b, [...] */
	uint32_t low, high;                                            /* set: low is its number */
};

#define POLICY_MASK_MAX 63 /* items */

struct policy_mask {
	uint32_t n;
	struct policy_mask_item item[POLICY_MASK_MAX];
};

/* A name: of a definition (of what type, and its value), a function or a filter. */
struct policy_name {
	char name[POLICY_NAME_MAX];
	enum policy_name_kind { NAME_DEFINE, NAME_FUNCTION, NAME_FILTER } kind;
	enum policy_type type; /* of the value; what a function returns */
	struct policy_value value;
	uint32_t number; /* of the function or the filter */
	bool is_ready;   /* else it is being read */
	struct text_pos pos;
};

struct policy_function {
	uint32_t name;
	uint32_t first; /* statement, or POLICY_NONE */
	uint32_t n_args;
	uint8_t arg_type[POLICY_ARGS_MAX];
	uint8_t depth;
	uint32_t steps;
	bool may_end; /* without a return */
};

struct policy_filter {
	uint32_t name;
	uint32_t first;
	struct text_pos end; /* its closing brace */
};

/* An array that grows. */
#define POLICY_ARRAY(type) \
	struct { \
		type *at; \
		uint32_t n, cap; \
	}

struct policy {
	POLICY_ARRAY(struct policy_node) node;
	POLICY_ARRAY(struct policy_name) name;
	struct name_index names;
	POLICY_ARRAY(struct policy_function) function;
	POLICY_ARRAY(struct policy_filter) filter;
	POLICY_ARRAY(struct policy_prefixes) prefixes;
	POLICY_ARRAY(struct policy_tuples) tuples;
	POLICY_ARRAY(struct policy_mask) mask;
	POLICY_ARRAY(char *) string;
	POLICY_ARRAY(char *) table; /* names of ROA tables */
	POLICY_ARRAY(struct text_pos) place;
};

/* policy.c: room for one more in one of these arrays, zeroed; NULL without memory. */
void *policy_grow(void **at, uint32_t *n, uint32_t *cap, size_t size);
#define POLICY_PUSH(array) policy_grow((void **)(void *)&(array).at, &(array).n, &(array).cap, sizeof(*(array).at))

/* The parser of one text. */
struct policy_parser {
	struct policy *p;
	struct policy_lexer lexer;
	struct policy_token t; /* the next one */
	struct policy_error *e;
	int err; /* 0, -EINVAL or -ENOMEM: once set, nothing goes on */
	uint32_t nesting;
	/* Of the function that is being read. */
	uint32_t function; /* POLICY_NONE: a filter */
	struct {
		char name[POLICY_NAME_MAX];
		enum policy_type type;
	} arg[POLICY_ARGS_MAX];
	uint32_t n_args;
	enum policy_type returns;
	bool has_return;
	const char *function_name;
};

/* Of an expression: a number of a node. POLICY_NONE after an error. */
typedef uint32_t policy_expr;

/* policy_parse.c: small steps. Those that say false or POLICY_NONE have reported why. */
void policy_fail(struct policy_parser *x, const struct text_pos *pos, const char *fmt, ...) YG_PRINTF(3, 4);
bool policy_expected(struct policy_parser *x, const char *what); /* false */
void policy_advance(struct policy_parser *x);
bool policy_is(const struct policy_parser *x, enum policy_token_kind kind);
bool policy_is_word(const struct policy_parser *x, const char *word);
bool policy_accept(struct policy_parser *x, enum policy_token_kind kind);
bool policy_accept_word(struct policy_parser *x, const char *word);
bool policy_expect(struct policy_parser *x, enum policy_token_kind kind);
/* A node with the depth and steps of what it names; POLICY_NONE without memory or when it is too deep. */
uint32_t policy_add_node(struct policy_parser *x, const struct policy_node *n);
bool policy_enter(struct policy_parser *x);
void policy_leave(struct policy_parser *x);
uint32_t policy_add_place(struct policy_parser *x, const struct text_pos *pos);
uint32_t policy_add_string(struct policy_parser *x, const char *text, size_t len);
const struct policy_name *policy_lookup(const struct policy *p, const char *name, size_t len);
/* Reports a word that BIRD has and we do not, by name; or one that nobody knows. */
void policy_refuse_word(struct policy_parser *x, const struct policy_token *t, const char *what);
/* policy_words.c: why a word of BIRD's is not there, or NULL. */
const char *policy_word_not_there(const char *word, size_t len);

/* policy_statement.c */
/* `{`, statements, `}`, which stands at *end. *may_end: what follows may be reached. */
bool policy_parse_block(struct policy_parser *x, uint32_t *first, bool *may_end, struct text_pos *end);
/* policy_expr.c */
policy_expr policy_parse_expr(struct policy_parser *x);
policy_expr policy_parse_bool(struct policy_parser *x); /* a condition */
bool policy_parse_constant(struct policy_parser *x, enum policy_type *type, struct policy_value *v);
enum policy_type policy_type_of(const struct policy_parser *x, policy_expr e);
const char *policy_type_name(enum policy_type type);
bool policy_is_constant(const struct policy_parser *x, policy_expr e);
policy_expr policy_constant(struct policy_parser *x, enum policy_type type, struct policy_value v);
/* policy_primary.c: what binds strongest */
policy_expr policy_parse_unary(struct policy_parser *x);
/* A function's call, behind its name. */
policy_expr policy_parse_call(struct policy_parser *x, const struct policy_name *f, const struct text_pos *pos);
/* policy_literal.c: behind "[", "[=" and "(" */
policy_expr policy_parse_set(struct policy_parser *x);
policy_expr policy_parse_mask(struct policy_parser *x);
policy_expr policy_parse_tuple(struct policy_parser *x);
bool policy_parse_patterns(struct policy_parser *x, enum policy_token_kind end, uint32_t *set);
bool policy_parse_net(struct policy_parser *x, struct ip4_prefix *out);

/* policy_match.c */
bool policy_mask_matches(const struct policy *p, const struct policy_mask *m, const struct policy_attrs *a);
bool policy_string_like(const char *text, const char *pattern);

#endif
