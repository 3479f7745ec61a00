/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an expression is made of: words, calls, literals, and what stands behind a point.
 *
 * Next: src/routing/policy/policy_literal.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "routing/policy/policy_priv.h"

static policy_expr leaf(struct policy_parser *x, enum policy_op op, enum policy_type type, uint8_t which)
{
	return policy_add_node(x, &(struct policy_node){ .op = (uint8_t)op, .type = (uint8_t)type, .which = which });
}

/* --- words --- */

static const struct {
	const char *word;
	enum policy_type type;
	uint32_t value;
} constants[] = {
	{ "true", TYPE_BOOL, 1 },
	{ "false", TYPE_BOOL, 0 },
	{ "ORIGIN_IGP", TYPE_ORIGIN, BGP_ORIGIN_IGP },
	{ "ORIGIN_EGP", TYPE_ORIGIN, BGP_ORIGIN_EGP },
	{ "ORIGIN_INCOMPLETE", TYPE_ORIGIN, BGP_ORIGIN_INCOMPLETE },
	{ "RTS_STATIC", TYPE_SOURCE, POLICY_RTS_STATIC },
	{ "RTS_DEVICE", TYPE_SOURCE, POLICY_RTS_DEVICE },
	{ "RTS_OSPF", TYPE_SOURCE, POLICY_RTS_OSPF },
	{ "RTS_BGP", TYPE_SOURCE, POLICY_RTS_BGP },
	{ "ROA_UNKNOWN", TYPE_ROA, POLICY_ROA_UNKNOWN },
	{ "ROA_VALID", TYPE_ROA, POLICY_ROA_VALID },
	{ "ROA_INVALID", TYPE_ROA, POLICY_ROA_INVALID },
};

static const struct {
	const char *word;
	enum policy_op op;
	enum policy_type type;
	uint8_t which;
} leaves[] = {
	{ "net", OP_NET, TYPE_NET, 0 },
	{ "bgp_path", OP_PATH, TYPE_PATH, 0 },
	{ "bgp_community", OP_LIST, TYPE_LIST, POLICY_COMMUNITIES },
	{ "bgp_ext_community", OP_LIST, TYPE_LIST, POLICY_EXT_COMMUNITIES },
	{ "bgp_large_community", OP_LIST, TYPE_LIST, POLICY_LARGE_COMMUNITIES },
	{ "bgp_local_pref", OP_NUMBER, TYPE_INT, POLICY_LOCAL_PREF },
	{ "bgp_med", OP_NUMBER, TYPE_INT, POLICY_MED },
	{ "bgp_origin", OP_NUMBER, TYPE_ORIGIN, POLICY_ORIGIN },
	{ "bgp_next_hop", OP_NUMBER, TYPE_IP, POLICY_NEXT_HOP },
	{ "source", OP_SOURCE, TYPE_SOURCE, 0 },
	{ "proto", OP_PROTO, TYPE_STRING, 0 },
};

static uint32_t table_named(struct policy_parser *x, const struct policy_token *t)
{
	char **name;

	for (uint32_t i = 0; i < x->p->table.n; i++)
		if (strlen(x->p->table.at[i]) == t->len && memcmp(x->p->table.at[i], t->text, t->len) == 0)
			return i;
	name = POLICY_PUSH(x->p->table);
	if (name != NULL)
		*name = calloc(1, (size_t)t->len + 1);
	if (name == NULL || *name == NULL) {
		x->err = -ENOMEM;
		return 0;
	}
	memcpy(*name, t->text, t->len);
	return x->p->table.n - 1;
}

/* An expression of that type. */
static policy_expr of_type(struct policy_parser *x, enum policy_type type)
{
	struct text_pos pos = x->t.pos;
	policy_expr e = policy_parse_expr(x);
	bool takes_empty = type >= TYPE_INT_SET && type <= TYPE_ROA_SET;

	if (e == POLICY_NONE || policy_type_of(x, e) == type || (takes_empty && policy_type_of(x, e) == TYPE_EMPTY_SET))
		return e;
	policy_fail(x, &pos, "expected %s, this is %s", policy_type_name(type), policy_type_name(policy_type_of(x, e)));
	return POLICY_NONE;
}

/* roa_check(table) or roa_check(table, prefix, AS) */
static policy_expr parse_roa_check(struct policy_parser *x)
{
	struct policy_node n = { .op = OP_ROA, .type = TYPE_ROA };

	if (!policy_expect(x, TOK_LPAREN))
		return POLICY_NONE;
	if (!policy_is(x, TOK_WORD)) {
		policy_expected(x, "the name of a table");
		return POLICY_NONE;
	}
	n.a = table_named(x, &x->t);
	policy_advance(x);
	if (policy_accept(x, TOK_COMMA)) {
		n.b = of_type(x, TYPE_NET);
		if (n.b == POLICY_NONE || !policy_expect(x, TOK_COMMA))
			return POLICY_NONE;
		n.c = of_type(x, TYPE_INT);
		if (n.c == POLICY_NONE)
			return POLICY_NONE;
	} else {
		n.b = leaf(x, OP_NET, TYPE_NET, 0);
		n.c = leaf(x, OP_PATH_LAST, TYPE_INT, 0);
	}
	if (!policy_expect(x, TOK_RPAREN))
		return POLICY_NONE;
	return policy_add_node(x, &n);
}

policy_expr policy_parse_call(struct policy_parser *x, const struct policy_name *f, const struct text_pos *pos)
{
	struct policy_node n = { .op = OP_CALL, .type = (uint8_t)f->type, .a = f->number, .b = POLICY_NONE };
	uint32_t last = POLICY_NONE;

	if (!f->is_ready) {
		policy_fail(x, pos, "\"%s\" calls itself: there is no recursion", f->name);
		return POLICY_NONE;
	}
	const struct policy_function *callee = &x->p->function.at[f->number];

	if (!policy_expect(x, TOK_LPAREN))
		return POLICY_NONE;
	for (uint32_t i = 0; i < callee->n_args; i++) {
		if (i > 0 && !policy_expect(x, TOK_COMMA))
			return POLICY_NONE;
		policy_expr e = of_type(x, (enum policy_type)callee->arg_type[i]);

		if (e == POLICY_NONE)
			return POLICY_NONE;
		if (last == POLICY_NONE)
			n.b = e;
		else
			x->p->node.at[last].next = e;
		last = e;
	}
	if (!policy_expect(x, TOK_RPAREN))
		return POLICY_NONE;
	return policy_add_node(x, &n);
}

static policy_expr parse_name(struct policy_parser *x, const struct policy_token *t)
{
	const struct policy_name *n;

	for (uint32_t i = 0; i < x->n_args; i++)
		if (strlen(x->arg[i].name) == t->len && memcmp(x->arg[i].name, t->text, t->len) == 0)
			return policy_add_node(
				x, &(struct policy_node){ .op = OP_ARG, .type = (uint8_t)x->arg[i].type, .a = i });
	n = policy_lookup(x->p, t->text, t->len);
	if (n == NULL) {
		policy_refuse_word(x, t, "a value");
		return POLICY_NONE;
	}
	if (n->kind == NAME_FILTER) {
		policy_fail(x, &t->pos, "\"%s\" is a filter, and has no value", n->name);
		return POLICY_NONE;
	}
	if (n->kind == NAME_DEFINE) {
		if (!n->is_ready) {
			policy_fail(x, &t->pos, "\"%s\" is not known yet: it is being defined", n->name);
			return POLICY_NONE;
		}
		return policy_constant(x, n->type, n->value);
	}
	policy_expr e = policy_parse_call(x, n, &t->pos);

	n = policy_lookup(x->p, t->text, t->len);
	if (e == POLICY_NONE)
		return POLICY_NONE;
	if (n->type == TYPE_NONE || x->p->function.at[n->number].may_end) {
		policy_fail(x, &t->pos, "\"%s\" %s", n->name,
			    n->type == TYPE_NONE ? "returns nothing" : "may end without a return, so it has no value");
		return POLICY_NONE;
	}
	return e;
}

static policy_expr parse_word(struct policy_parser *x)
{
	struct policy_token t = x->t;

	policy_advance(x);
	if (t.is_quoted)
		return parse_name(x, &t);
	for (size_t i = 0; i < ARRAY_LEN(constants); i++)
		if (policy_token_is(&t, constants[i].word))
			return policy_constant(x, constants[i].type, (struct policy_value){ { constants[i].value } });
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++)
		if (policy_token_is(&t, leaves[i].word))
			return leaf(x, leaves[i].op, leaves[i].type, leaves[i].which);
	if (policy_token_is(&t, "roa_check"))
		return parse_roa_check(x);
	return parse_name(x, &t);
}

/* --- the strongest --- */

/* What stands behind a point. */
static policy_expr parse_member(struct policy_parser *x, policy_expr e)
{
	static const struct {
		enum policy_type of;
		const char *word;
		enum policy_op op;
		enum policy_type type;
	} members[] = {
		{ TYPE_NET, "len", OP_NET_LEN, TYPE_INT },     { TYPE_NET, "ip", OP_NET_IP, TYPE_IP },
		{ TYPE_PATH, "len", OP_PATH_LEN, TYPE_INT },   { TYPE_PATH, "first", OP_PATH_FIRST, TYPE_INT },
		{ TYPE_PATH, "last", OP_PATH_LAST, TYPE_INT }, { TYPE_LIST, "len", OP_LIST_LEN, TYPE_INT },
	};
	struct policy_token t = x->t;
	const struct policy_node n = x->p->node.at[e];

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (members[i].of == n.type && policy_accept_word(x, members[i].word))
			return policy_add_node(x, &(struct policy_node){ .op = (uint8_t)members[i].op,
									 .type = (uint8_t)members[i].type,
									 .which = n.which,
									 .a = e });
	if (n.type == TYPE_NET)
		policy_expected(x, "\"len\" or \"ip\"");
	else if (n.type == TYPE_PATH)
		policy_expected(x, "\"len\", \"first\" or \"last\"");
	else if (n.type == TYPE_LIST)
		policy_expected(x, "\"len\"");
	else
		policy_fail(x, &t.pos, "%s has no members", policy_type_name((enum policy_type)n.type));
	return POLICY_NONE;
}

static policy_expr parse_addr(struct policy_parser *x)
{
	struct ip4_prefix net;
	uint32_t addr = x->t.value;
	struct policy_lexer ahead = x->lexer;
	struct policy_token next;

	policy_lex_next(&ahead, &next);
	if (next.kind != TOK_SLASH) {
		policy_advance(x);
		return policy_constant(x, TYPE_IP, (struct policy_value){ { addr } });
	}
	if (!policy_parse_net(x, &net))
		return POLICY_NONE;
	return policy_constant(x, TYPE_NET, (struct policy_value){ { net.addr, net.len } });
}

static policy_expr parse_string(struct policy_parser *x)
{
	uint32_t s = policy_add_string(x, x->t.text, x->t.len);

	policy_advance(x);
	return policy_constant(x, TYPE_STRING, (struct policy_value){ { s } });
}

static policy_expr parse_primary(struct policy_parser *x)
{
	uint32_t value = x->t.value;

	if (policy_is(x, TOK_WORD))
		return parse_word(x);
	if (policy_is(x, TOK_ADDR))
		return parse_addr(x);
	if (policy_is(x, TOK_STRING))
		return parse_string(x);
	if (policy_accept(x, TOK_NUMBER))
		return policy_constant(x, TYPE_INT, (struct policy_value){ { value } });
	if (policy_accept(x, TOK_LBRACKET))
		return policy_parse_set(x);
	if (policy_accept(x, TOK_MASK_OPEN))
		return policy_parse_mask(x);
	if (policy_accept(x, TOK_LPAREN))
		return policy_parse_tuple(x);
	if (x->err == 0)
		policy_expected(x, "a value");
	return POLICY_NONE;
}

policy_expr policy_parse_unary(struct policy_parser *x)
{
	struct text_pos pos = x->t.pos;
	uint32_t n_not = 0;

	while (policy_accept(x, TOK_NOT))
		n_not++;
	policy_expr e = parse_primary(x);

	while (e != POLICY_NONE && policy_accept(x, TOK_DOT))
		e = parse_member(x, e);
	if (e == POLICY_NONE || n_not == 0)
		return e;
	if (policy_type_of(x, e) != TYPE_BOOL) {
		policy_fail(x, &pos, "! goes before a bool, and this is %s; it is stronger than ~ and =",
			    policy_type_name(policy_type_of(x, e)));
		return POLICY_NONE;
	}
	if (n_not % 2 == 0)
		return e;
	return policy_add_node(x, &(struct policy_node){ .op = OP_NOT, .type = TYPE_BOOL, .a = e });
}
