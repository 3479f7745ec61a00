/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Expressions, with their types: what does not fit together is an error where it stands, and nothing is left to find
 * out while a filter runs. From the weakest to the strongest: || and &&; comparisons, one at a time; + and -; *; !.
 *
 * To BIRD && and || are equally strong, from left to right; to C, and to most readers, && is the stronger. Where both
 * readings are one, as in a && b || c, no parentheses are needed; a || b && c is refused.
 *
 * Next: src/routing/policy/policy_primary.c
 */
#include "routing/policy/policy_priv.h"

/* clang-format off */
static const struct {
	const char *name;
	enum policy_type set; /* of such values; TYPE_NONE: there is none */
	bool is_ordered;      /* < and > */
} types[N_POLICY_TYPES] = {
	[TYPE_NONE] =       { "nothing",                         TYPE_NONE,       false },
	[TYPE_BOOL] =       { "a bool",                          TYPE_NONE,       false },
	[TYPE_INT] =        { "an int",                          TYPE_INT_SET,    true },
	[TYPE_IP] =         { "an address",                      TYPE_IP_SET,     true },
	[TYPE_NET] =        { "a prefix",                        TYPE_PREFIX_SET, false },
	[TYPE_PAIR] =       { "a community (a, b)",              TYPE_PAIR_SET,   true },
	[TYPE_EC] =         { "an extended community",           TYPE_EC_SET,     true },
	[TYPE_LC] =         { "a large community (a, b, c)",     TYPE_LC_SET,     true },
	[TYPE_ORIGIN] =     { "an origin",                       TYPE_ORIGIN_SET, false },
	[TYPE_SOURCE] =     { "a source",                        TYPE_SOURCE_SET, false },
	[TYPE_ROA] =        { "a result of roa_check",           TYPE_ROA_SET,    false },
	[TYPE_STRING] =     { "a text",                          TYPE_NONE,       false },
	[TYPE_PREFIX_SET] = { "a set of prefixes",               TYPE_NONE,       false },
	[TYPE_INT_SET] =    { "a set of ints",                   TYPE_NONE,       false },
	[TYPE_IP_SET] =     { "a set of addresses",              TYPE_NONE,       false },
	[TYPE_PAIR_SET] =   { "a set of communities",            TYPE_NONE,       false },
	[TYPE_EC_SET] =     { "a set of extended communities",   TYPE_NONE,       false },
	[TYPE_LC_SET] =     { "a set of large communities",      TYPE_NONE,       false },
	[TYPE_ORIGIN_SET] = { "a set of origins",                TYPE_NONE,       false },
	[TYPE_SOURCE_SET] = { "a set of sources",                TYPE_NONE,       false },
	[TYPE_ROA_SET] =    { "a set of results of roa_check",   TYPE_NONE,       false },
	[TYPE_EMPTY_SET] =  { "an empty set",                    TYPE_NONE,       false },
	[TYPE_MASK] =       { "a mask [= =]",                    TYPE_NONE,       false },
	[TYPE_PATH] =       { "a path",                          TYPE_NONE,       false },
	[TYPE_LIST] =       { "a list of communities",           TYPE_NONE,       false },
};
/* clang-format on */

static const enum policy_type element[N_POLICY_LISTS] = { TYPE_PAIR, TYPE_EC, TYPE_LC };

enum policy_type policy_type_of(const struct policy_parser *x, policy_expr e)
{
	return e != POLICY_NONE ? (enum policy_type)x->p->node.at[e].type : TYPE_NONE;
}

const char *policy_type_name(enum policy_type type)
{
	return types[type].name;
}

bool policy_is_constant(const struct policy_parser *x, policy_expr e)
{
	return e != POLICY_NONE && x->p->node.at[e].op == OP_CONST;
}

policy_expr policy_constant(struct policy_parser *x, enum policy_type type, struct policy_value v)
{
	return policy_add_node(
		x,
		&(struct policy_node){ .op = OP_CONST, .type = (uint8_t)type, .a = v.w[0], .b = v.w[1], .c = v.w[2] });
}

static policy_expr both(struct policy_parser *x, enum policy_op op, enum policy_type type, policy_expr a, policy_expr b)
{
	return policy_add_node(x, &(struct policy_node){ .op = (uint8_t)op, .type = (uint8_t)type, .a = a, .b = b });
}

static policy_expr not_of(struct policy_parser *x, policy_expr e)
{
	return both(x, OP_NOT, TYPE_BOOL, e, POLICY_NONE);
}

static policy_expr none(struct policy_parser *x, const struct text_pos *pos, const char *why)
{
	policy_fail(x, pos, "%s", why);
	return POLICY_NONE;
}

/* --- numbers --- */

static uint32_t compute(enum policy_op op, uint32_t a, uint32_t b)
{
	return op == OP_ADD ? a + b : op == OP_SUBTRACT ? a - b : a * b;
}

static policy_expr arithmetic(struct policy_parser *x, enum policy_op op, policy_expr a, policy_expr b,
			      const struct text_pos *pos)
{
	if (a == POLICY_NONE || b == POLICY_NONE)
		return POLICY_NONE;
	if (policy_type_of(x, a) != TYPE_INT || policy_type_of(x, b) != TYPE_INT)
		return none(x, pos, "only ints are added, subtracted and multiplied");
	if (policy_is_constant(x, a) && policy_is_constant(x, b))
		return policy_constant(
			x, TYPE_INT, (struct policy_value){ { compute(op, x->p->node.at[a].a, x->p->node.at[b].a) } });
	return both(x, op, TYPE_INT, a, b);
}

static policy_expr parse_product(struct policy_parser *x)
{
	policy_expr e = policy_parse_unary(x);

	for (struct text_pos pos = x->t.pos; e != POLICY_NONE && policy_accept(x, TOK_STAR); pos = x->t.pos)
		e = arithmetic(x, OP_MULTIPLY, e, policy_parse_unary(x), &pos);
	if (policy_is(x, TOK_SLASH))
		return none(x, &x->t.pos, "\"/\" is not there: nothing is divided");
	return e;
}

static policy_expr parse_sum(struct policy_parser *x)
{
	policy_expr e = parse_product(x);

	while (e != POLICY_NONE) {
		struct text_pos pos = x->t.pos;
		enum policy_op op = policy_is(x, TOK_PLUS) ? OP_ADD : OP_SUBTRACT;

		if (!policy_accept(x, TOK_PLUS) && !policy_accept(x, TOK_MINUS))
			break;
		e = arithmetic(x, op, e, parse_product(x), &pos);
	}
	return e;
}

/* --- comparisons --- */

static policy_expr mismatch(struct policy_parser *x, const struct text_pos *pos, const char *sign, policy_expr a,
			    policy_expr b)
{
	policy_fail(x, pos, "%s does not go between %s and %s", sign, policy_type_name(policy_type_of(x, a)),
		    policy_type_name(policy_type_of(x, b)));
	return POLICY_NONE;
}

static policy_expr equal(struct policy_parser *x, policy_expr a, policy_expr b, const struct text_pos *pos)
{
	enum policy_type type = policy_type_of(x, a);

	if (type != policy_type_of(x, b) || type > TYPE_STRING || type == TYPE_NONE) {
		if (type == TYPE_PATH && policy_type_of(x, b) == TYPE_MASK)
			return none(x, pos, "a path is held against a mask by ~");
		return mismatch(x, pos, "=", a, b);
	}
	return both(x, type == TYPE_STRING ? OP_STRING_EQUAL : OP_EQUAL, TYPE_BOOL, a, b);
}

static policy_expr less(struct policy_parser *x, policy_expr a, policy_expr b, const struct text_pos *pos)
{
	enum policy_type type = policy_type_of(x, a);

	if (type != policy_type_of(x, b) || !types[type].is_ordered)
		return mismatch(x, pos, "< and >", a, b);
	return both(x, OP_LESS, TYPE_BOOL, a, b);
}

static policy_expr in_path(struct policy_parser *x, policy_expr a, policy_expr b, const struct text_pos *pos)
{
	enum policy_type left = policy_type_of(x, a), right = policy_type_of(x, b);

	if (left == TYPE_PATH && right == TYPE_MASK)
		return both(x, OP_PATH_MASK, TYPE_BOOL, b, POLICY_NONE);
	if (left == TYPE_PATH && (right == TYPE_INT_SET || right == TYPE_EMPTY_SET))
		return both(x, OP_PATH_ANY, TYPE_BOOL, b, POLICY_NONE);
	if (left == TYPE_INT && right == TYPE_PATH)
		return both(x, OP_PATH_HAS, TYPE_BOOL, a, POLICY_NONE);
	if (left == TYPE_PATH && right == TYPE_INT)
		return none(x, pos,
			    "an AS stands before the path: 64500 ~ bgp_path; a set behind it: bgp_path ~ [64500]");
	return mismatch(x, pos, "~", a, b);
}

static policy_expr in_list(struct policy_parser *x, policy_expr a, policy_expr b, const struct text_pos *pos)
{
	enum policy_type left = policy_type_of(x, a), right = policy_type_of(x, b);
	struct policy_node n = { .type = TYPE_BOOL };

	if (left == TYPE_LIST) {
		n.op = OP_LIST_ANY;
		n.which = x->p->node.at[a].which;
		n.a = b;
		if (right == types[element[n.which]].set || right == TYPE_EMPTY_SET)
			return policy_add_node(x, &n);
	} else {
		n.op = OP_LIST_HAS;
		n.which = x->p->node.at[b].which;
		n.a = a;
		if (left == element[n.which])
			return policy_add_node(x, &n);
	}
	return mismatch(x, pos, "~", a, b);
}

static policy_expr in(struct policy_parser *x, policy_expr a, policy_expr b, const struct text_pos *pos)
{
	enum policy_type left = policy_type_of(x, a), right = policy_type_of(x, b);
	bool is_addr = left == TYPE_IP;

	if (left == TYPE_PATH || right == TYPE_PATH)
		return in_path(x, a, b, pos);
	if (left == TYPE_LIST || right == TYPE_LIST)
		return in_list(x, a, b, pos);
	if (left == TYPE_STRING && right == TYPE_STRING)
		return both(x, OP_STRING_LIKE, TYPE_BOOL, a, b);
	if ((left == TYPE_NET || is_addr) && (right == TYPE_PREFIX_SET || right == TYPE_NET))
		return policy_add_node(x, &(struct policy_node){ .op = right == TYPE_NET ? OP_IN_NET : OP_IN_PREFIXES,
								 .type = TYPE_BOOL,
								 .which = is_addr,
								 .a = a,
								 .b = b });
	if (types[left].set != TYPE_NONE && (right == types[left].set || right == TYPE_EMPTY_SET))
		return both(x, OP_IN_TUPLES, TYPE_BOOL, a, b);
	return mismatch(x, pos, "~", a, b);
}

static policy_expr parse_comparison(struct policy_parser *x)
{
	policy_expr a = parse_sum(x), b;
	struct policy_token t = x->t;

	if (a == POLICY_NONE || x->err != 0 || t.kind < TOK_EQUAL || t.kind > TOK_NOT_IN)
		return a;
	policy_advance(x);
	b = parse_sum(x);
	if (b == POLICY_NONE)
		return POLICY_NONE;
	switch (t.kind) {
	case TOK_EQUAL:
		return equal(x, a, b, &t.pos);
	case TOK_NOT_EQUAL:
		return not_of(x, equal(x, a, b, &t.pos));
	case TOK_LESS:
		return less(x, a, b, &t.pos);
	case TOK_MORE:
		return less(x, b, a, &t.pos);
	case TOK_LESS_EQUAL:
		return not_of(x, less(x, b, a, &t.pos));
	case TOK_MORE_EQUAL:
		return not_of(x, less(x, a, b, &t.pos));
	case TOK_IN:
		return in(x, a, b, &t.pos);
	default:
		return not_of(x, in(x, a, b, &t.pos));
	}
}

/* --- the weakest --- */

static bool is_bool(struct policy_parser *x, policy_expr e, const struct text_pos *pos)
{
	if (e == POLICY_NONE)
		return false;
	if (policy_type_of(x, e) == TYPE_BOOL)
		return true;
	policy_fail(x, pos, "expected a bool, this is %s", policy_type_name(policy_type_of(x, e)));
	return false;
}

/* All that is joined by one of the two signs hangs on one node. */
static policy_expr parse_chain(struct policy_parser *x, policy_expr first, enum policy_token_kind sign)
{
	policy_expr last = first;

	while (policy_accept(x, sign)) {
		struct text_pos pos = x->t.pos;
		policy_expr e = parse_comparison(x);

		if (!is_bool(x, e, &pos))
			return POLICY_NONE;
		x->p->node.at[last].next = e;
		last = e;
	}
	if (x->err != 0)
		return POLICY_NONE;
	return both(x, sign == TOK_AND ? OP_AND : OP_OR, TYPE_BOOL, first, POLICY_NONE);
}

static policy_expr parse_logic(struct policy_parser *x)
{
	struct text_pos pos = x->t.pos;
	policy_expr e = parse_comparison(x);

	if (!policy_is(x, TOK_AND) && !policy_is(x, TOK_OR))
		return e;
	if (!is_bool(x, e, &pos))
		return POLICY_NONE;
	if (policy_is(x, TOK_AND))
		e = parse_chain(x, e, TOK_AND);
	if (e != POLICY_NONE && policy_is(x, TOK_OR))
		e = parse_chain(x, e, TOK_OR);
	if (policy_is(x, TOK_AND))
		return none(x, &x->t.pos, "&& behind || is one thing to BIRD and another to C: it needs parentheses");
	return e;
}

policy_expr policy_parse_expr(struct policy_parser *x)
{
	if (!policy_enter(x))
		return POLICY_NONE;
	policy_expr e = parse_logic(x);

	policy_leave(x);
	return x->err == 0 ? e : POLICY_NONE;
}

policy_expr policy_parse_bool(struct policy_parser *x)
{
	struct text_pos pos = x->t.pos;
	policy_expr e = policy_parse_expr(x);

	return is_bool(x, e, &pos) ? e : POLICY_NONE;
}

bool policy_parse_constant(struct policy_parser *x, enum policy_type *type, struct policy_value *v)
{
	struct text_pos pos = x->t.pos;
	policy_expr e = policy_parse_expr(x);

	if (e == POLICY_NONE)
		return false;
	if (!policy_is_constant(x, e)) {
		policy_fail(x, &pos, "expected a value that is known now; this depends on the path");
		return false;
	}
	const struct policy_node *n = &x->p->node.at[e];

	*type = policy_type_of(x, e);
	*v = (struct policy_value){ { n->a, n->b, n->c } };
	return true;
}
