/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Statements of filters and functions.
 *
 * Next: src/routing/policy/policy_expr.c
 */
#include <errno.h>
#include <stdlib.h>

#include "routing/policy/policy_priv.h"

/* A chain of statements. */
struct chain {
	uint32_t first, last;
	bool may_end; /* what comes behind may be reached */
};

static bool parse_statement(struct policy_parser *x, struct chain *c);

static void append(struct policy_parser *x, struct chain *c, uint32_t node)
{
	if (node == POLICY_NONE)
		return;
	if (c->first == POLICY_NONE)
		c->first = node;
	else
		x->p->node.at[c->last].next = node;
	c->last = node;
}

static bool parse_statements(struct policy_parser *x, struct chain *c, struct text_pos *end)
{
	if (!policy_expect(x, TOK_LBRACE))
		return false;
	while (!policy_is(x, TOK_RBRACE)) {
		if (policy_is(x, TOK_END))
			return policy_expected(x, "a statement or \"}\"");
		if (!parse_statement(x, c))
			return false;
	}
	*end = x->t.pos;
	policy_advance(x);
	return true;
}

bool policy_parse_block(struct policy_parser *x, uint32_t *first, bool *may_end, struct text_pos *end)
{
	struct chain c = { POLICY_NONE, POLICY_NONE, true };

	if (!parse_statements(x, &c, end))
		return false;
	*first = c.first;
	*may_end = c.may_end;
	return true;
}

/* What hangs on an if: a block, or one statement. */
static bool parse_branch(struct policy_parser *x, struct chain *c)
{
	struct text_pos end;

	*c = (struct chain){ POLICY_NONE, POLICY_NONE, true };
	return policy_is(x, TOK_LBRACE) ? parse_statements(x, c, &end) : parse_statement(x, c);
}

/* A condition and what hangs on it. */
struct arm {
	uint32_t cond;
	struct chain then;
};
typedef POLICY_ARRAY(struct arm) arms;

/* Behind an "if". */
static bool parse_arm(struct policy_parser *x, arms *all)
{
	struct arm *a = POLICY_PUSH(*all);

	if (a == NULL) {
		x->err = -ENOMEM;
		return false;
	}
	a->cond = policy_parse_bool(x);
	if (a->cond == POLICY_NONE)
		return false;
	if (!policy_accept_word(x, "then"))
		return policy_expected(x, "\"then\"");
	if (!policy_enter(x) || !parse_branch(x, &a->then))
		return false;
	policy_leave(x);
	return true;
}

static bool parse_arms(struct policy_parser *x, arms *all, struct chain *otherwise)
{
	do {
		if (!parse_arm(x, all))
			return false;
		if (!policy_accept_word(x, "else"))
			return true;
	} while (policy_accept_word(x, "if"));
	if (!policy_enter(x) || !parse_branch(x, otherwise))
		return false;
	policy_leave(x);
	return true;
}

/* if ... then ... else if ... then ... else ...: the last is made first, since a node names what is there before it. */
static bool parse_if(struct policy_parser *x, struct chain *c)
{
	struct chain otherwise = { POLICY_NONE, POLICY_NONE, true };
	arms all = { 0 };
	bool is_well = parse_arms(x, &all, &otherwise);

	while (is_well && all.n > 0) {
		const struct arm *a = &all.at[--all.n];

		otherwise.first = policy_add_node(
			x,
			&(struct policy_node){ .op = OP_IF, .a = a->cond, .b = a->then.first, .c = otherwise.first });
		otherwise.may_end = otherwise.may_end || a->then.may_end;
		is_well = x->err == 0;
	}
	free(all.at);
	if (!is_well)
		return false;
	append(x, c, otherwise.first);
	c->may_end = c->may_end && otherwise.may_end;
	return true;
}

/* --- verdicts --- */

static bool parse_verdict(struct policy_parser *x, struct chain *c, enum policy_op op, const struct text_pos *pos)
{
	uint32_t text = POLICY_NONE, place = policy_add_place(x, pos);

	if (policy_is(x, TOK_STRING)) {
		text = policy_add_string(x, x->t.text, x->t.len);
		policy_advance(x);
	}
	append(x, c, policy_add_node(x, &(struct policy_node){ .op = (uint8_t)op, .a = place, .b = text }));
	c->may_end = false;
	return policy_expect(x, TOK_SEMICOLON);
}

static bool parse_return(struct policy_parser *x, struct chain *c, const struct text_pos *pos)
{
	policy_expr e = POLICY_NONE;

	if (x->function == POLICY_NONE) {
		policy_fail(x, pos, "return belongs into a function; a filter ends with accept or reject");
		return false;
	}
	if (!policy_is(x, TOK_SEMICOLON)) {
		struct text_pos at = x->t.pos;

		e = policy_parse_expr(x);
		if (e == POLICY_NONE)
			return false;
		enum policy_type type = policy_type_of(x, e);

		if (type != TYPE_BOOL && type != TYPE_INT && !x->has_return) {
			policy_fail(x, &at, "a function returns a bool or an int, and this is %s",
				    policy_type_name(type));
			return false;
		}
		if (x->has_return && type != x->returns) {
			policy_fail(x, &at, "expected %s, as the function returns elsewhere; this is %s",
				    policy_type_name(x->returns), policy_type_name(type));
			return false;
		}
		x->returns = type;
	} else if (x->has_return && x->returns != TYPE_NONE) {
		return policy_expected(x, policy_type_name(x->returns));
	}
	x->has_return = true;
	append(x, c, policy_add_node(x, &(struct policy_node){ .op = OP_RETURN, .a = e }));
	c->may_end = false;
	return policy_expect(x, TOK_SEMICOLON);
}

/* --- attributes --- */

enum attr_kind { ATTR_NUMBER, ATTR_LIST, ATTR_PATH };

static const struct attr_word {
	const char *word;
	enum attr_kind kind;
	uint8_t which;
	enum policy_type type; /* of a number; of a list's elements */
	enum policy_type set;  /* of a list's elements */
} attr_words[] = {
	{ "bgp_local_pref", ATTR_NUMBER, POLICY_LOCAL_PREF, TYPE_INT, TYPE_NONE },
	{ "bgp_med", ATTR_NUMBER, POLICY_MED, TYPE_INT, TYPE_NONE },
	{ "bgp_origin", ATTR_NUMBER, POLICY_ORIGIN, TYPE_ORIGIN, TYPE_NONE },
	{ "bgp_next_hop", ATTR_NUMBER, POLICY_NEXT_HOP, TYPE_IP, TYPE_NONE },
	{ "bgp_community", ATTR_LIST, POLICY_COMMUNITIES, TYPE_PAIR, TYPE_PAIR_SET },
	{ "bgp_ext_community", ATTR_LIST, POLICY_EXT_COMMUNITIES, TYPE_EC, TYPE_EC_SET },
	{ "bgp_large_community", ATTR_LIST, POLICY_LARGE_COMMUNITIES, TYPE_LC, TYPE_LC_SET },
	{ "bgp_path", ATTR_PATH, 0, TYPE_INT, TYPE_NONE },
};

static bool expect_type(struct policy_parser *x, policy_expr e, enum policy_type type, const struct text_pos *pos)
{
	if (e == POLICY_NONE)
		return false;
	if (policy_type_of(x, e) == type)
		return true;
	policy_fail(x, pos, "expected %s, this is %s", policy_type_name(type), policy_type_name(policy_type_of(x, e)));
	return false;
}

static bool parse_assignment(struct policy_parser *x, struct chain *c, const struct attr_word *w)
{
	struct text_pos pos = x->t.pos;

	if (w->kind != ATTR_NUMBER) {
		policy_fail(
			x, &pos,
			w->kind == ATTR_PATH
				? "expected \".prepend\": a path is not assigned"
				: "expected \".add\", \".delete\", \".filter\" or \".empty\": a list is not assigned");
		return false;
	}
	policy_advance(x);
	pos = x->t.pos;
	policy_expr e = policy_parse_expr(x);

	if (!expect_type(x, e, w->type, &pos))
		return false;
	append(x, c, policy_add_node(x, &(struct policy_node){ .op = OP_SET, .which = w->which, .a = e }));
	return policy_expect(x, TOK_SEMICOLON);
}

/* .prepend(AS) */
static bool parse_path_method(struct policy_parser *x, struct chain *c)
{
	struct policy_token t = x->t;

	if (!policy_accept_word(x, "prepend")) {
		if (policy_is_word(x, "delete") || policy_is_word(x, "filter") || policy_is_word(x, "empty")) {
			policy_fail(x, &t.pos, "\"bgp_path.%.*s\" is not there: AS numbers are not taken out of a path",
				    (int)t.len, t.text);
			return false;
		}
		return policy_expected(x, "\"prepend\"");
	}
	if (!policy_expect(x, TOK_LPAREN))
		return false;
	struct text_pos pos = x->t.pos;
	policy_expr e = policy_parse_expr(x);

	if (!expect_type(x, e, TYPE_INT, &pos))
		return false;
	append(x, c, policy_add_node(x, &(struct policy_node){ .op = OP_PREPEND, .a = e }));
	return policy_expect(x, TOK_RPAREN) && policy_expect(x, TOK_SEMICOLON);
}

static bool parse_list_argument(struct policy_parser *x, const struct attr_word *w, bool takes_one, bool takes_set,
				policy_expr *e)
{
	if (!policy_expect(x, TOK_LPAREN))
		return false;
	struct text_pos pos = x->t.pos;

	*e = policy_parse_expr(x);
	if (*e == POLICY_NONE)
		return false;
	enum policy_type type = policy_type_of(x, *e);
	bool is_set = type == w->set || type == TYPE_EMPTY_SET;

	if ((takes_one && type == w->type) || (takes_set && is_set))
		return policy_expect(x, TOK_RPAREN);
	policy_fail(x, &pos, "expected %s%s%s, this is %s", takes_one ? policy_type_name(w->type) : "",
		    takes_one && takes_set ? " or " : "", takes_set ? policy_type_name(w->set) : "",
		    policy_type_name(type));
	return false;
}

/* .add(x), .delete(x or set), .filter(set), .empty */
static bool parse_list_method(struct policy_parser *x, struct chain *c, const struct attr_word *w)
{
	struct policy_node n = { .which = w->which };

	if (policy_accept_word(x, "empty")) {
		n.op = OP_LIST_EMPTY;
	} else if (policy_accept_word(x, "add")) {
		n.op = OP_LIST_ADD;
		if (!parse_list_argument(x, w, true, false, &n.a))
			return false;
	} else if (policy_accept_word(x, "delete")) {
		if (!parse_list_argument(x, w, true, true, &n.a))
			return false;
		n.op = policy_type_of(x, n.a) == w->type ? OP_LIST_DELETE : OP_LIST_DROP;
	} else if (policy_accept_word(x, "filter")) {
		n.op = OP_LIST_KEEP;
		if (!parse_list_argument(x, w, false, true, &n.a))
			return false;
	} else {
		return policy_expected(x, "\"add\", \"delete\", \"filter\" or \"empty\"");
	}
	append(x, c, policy_add_node(x, &n));
	return policy_expect(x, TOK_SEMICOLON);
}

static bool parse_attr(struct policy_parser *x, struct chain *c, const struct attr_word *w)
{
	if (policy_is(x, TOK_EQUAL))
		return parse_assignment(x, c, w);
	if (w->kind == ATTR_NUMBER)
		return policy_expect(x, TOK_EQUAL);
	if (!policy_expect(x, TOK_DOT))
		return false;
	return w->kind == ATTR_PATH ? parse_path_method(x, c) : parse_list_method(x, c, w);
}

/* --- the rest --- */

static bool parse_call_statement(struct policy_parser *x, struct chain *c, const struct policy_token *t)
{
	const struct policy_name *f = policy_lookup(x->p, t->text, t->len);

	if (f == NULL || f->kind != NAME_FUNCTION) {
		if (f != NULL)
			policy_fail(x, &t->pos, "expected a statement; \"%s\" is no function", f->name);
		else
			policy_refuse_word(x, t, "a statement");
		return false;
	}
	append(x, c, policy_parse_call(x, f, &t->pos));
	return policy_expect(x, TOK_SEMICOLON);
}

static bool parse_statement(struct policy_parser *x, struct chain *c)
{
	static const char what[] = "a statement: if, accept, reject, an attribute, a function";
	struct policy_token t = x->t;

	if (x->err != 0)
		return false;
	if (policy_accept(x, TOK_SEMICOLON))
		return true;
	if (!policy_is(x, TOK_WORD))
		return policy_expected(x, what);
	policy_advance(x);
	if (!t.is_quoted) {
		if (policy_token_is(&t, "if"))
			return parse_if(x, c);
		if (policy_token_is(&t, "accept"))
			return parse_verdict(x, c, OP_ACCEPT, &t.pos);
		if (policy_token_is(&t, "reject"))
			return parse_verdict(x, c, OP_REJECT, &t.pos);
		if (policy_token_is(&t, "return"))
			return parse_return(x, c, &t.pos);
		for (size_t i = 0; i < ARRAY_LEN(attr_words); i++)
			if (policy_token_is(&t, attr_words[i].word))
				return parse_attr(x, c, &attr_words[i]);
	}
	return parse_call_statement(x, c, &t);
}
