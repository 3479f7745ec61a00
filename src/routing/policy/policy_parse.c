/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A text to a program: by hand, by descent, one token ahead. The first error ends it.
 *
 * What a node may name is there before it, so what a node costs, in steps and in depth, is known when it is made;
 * nothing can call itself. So the longest way through a filter is a number, and a filter whose number is too high does
 * not compile. Nothing needs to be counted while it runs.
 *
 * Next: src/routing/policy/policy_statement.c
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "routing/policy/policy_priv.h"

#define NESTING_MAX 64

/* --- small steps --- */

void policy_fail(struct policy_parser *x, const struct text_pos *pos, const char *fmt, ...)
{
	va_list args;

	if (x->err != 0)
		return;
	x->err = -EINVAL;
	x->e->pos = *pos;
	va_start(args, fmt);
	(void)vsnprintf(x->e->why, sizeof(x->e->why), fmt, args);
	va_end(args);
	printable(x->e->why, strlen(x->e->why), PRINTABLE_WORD);
}

static void out_of_memory(struct policy_parser *x)
{
	if (x->err == 0)
		x->err = -ENOMEM;
}

bool policy_expected(struct policy_parser *x, const char *what)
{
	const struct policy_token *t = &x->t;

	if (t->kind == TOK_BAD)
		policy_fail(x, &t->pos, "%s", t->fault);
	else if (t->kind == TOK_END)
		policy_fail(x, &t->pos, "expected %s, found the end", what);
	else
		policy_fail(x, &t->pos, "expected %s, found \"%.*s\"", what, (int)min_u32(t->len, 40), t->text);
	return false;
}

void policy_advance(struct policy_parser *x)
{
	policy_lex_next(&x->lexer, &x->t);
}

bool policy_is(const struct policy_parser *x, enum policy_token_kind kind)
{
	return x->err == 0 && x->t.kind == kind;
}

bool policy_is_word(const struct policy_parser *x, const char *word)
{
	return x->err == 0 && policy_token_is(&x->t, word);
}

bool policy_accept(struct policy_parser *x, enum policy_token_kind kind)
{
	if (!policy_is(x, kind))
		return false;
	policy_advance(x);
	return true;
}

bool policy_accept_word(struct policy_parser *x, const char *word)
{
	if (!policy_is_word(x, word))
		return false;
	policy_advance(x);
	return true;
}

bool policy_expect(struct policy_parser *x, enum policy_token_kind kind)
{
	return policy_accept(x, kind) || (x->err == 0 && policy_expected(x, policy_token_name(kind)));
}

bool policy_enter(struct policy_parser *x)
{
	if (++x->nesting > NESTING_MAX)
		policy_fail(x, &x->t.pos, "nested more than %d deep", NESTING_MAX);
	return x->err == 0;
}

void policy_leave(struct policy_parser *x)
{
	x->nesting--;
}

void policy_refuse_word(struct policy_parser *x, const struct policy_token *t, const char *what)
{
	const char *why = t->is_quoted ? NULL : policy_word_not_there(t->text, t->len);
	int len = (int)min_u32(t->len, 40);

	if (why != NULL)
		policy_fail(x, &t->pos, "\"%.*s\" is not there: %s", len, t->text, why);
	else if (memchr(t->text, '-', t->len) != NULL)
		policy_fail(x, &t->pos, "nothing is called \"%.*s\" (a minus has spaces around it)", len, t->text);
	else
		policy_fail(x, &t->pos, "expected %s; nothing is called \"%.*s\"", what, len, t->text);
}

/* --- nodes --- */

static uint32_t add_steps(uint32_t a, uint32_t b)
{
	return a + b < a ? UINT32_MAX : a + b;
}

/* What hangs below: a chain of nodes, each asked once. */
static void count_chain(const struct policy *p, uint32_t first, uint32_t *depth, uint32_t *steps)
{
	for (uint32_t i = first; i != POLICY_NONE; i = p->node.at[i].next) {
		*depth = max_u32(*depth, p->node.at[i].depth);
		*steps = add_steps(*steps, p->node.at[i].steps);
	}
}

/* An else that is another if is no deeper: the evaluator goes on with it (policy_run.c). */
static void count_if(const struct policy *p, const struct policy_node *n, uint32_t *depth, uint32_t *steps)
{
	uint32_t then_steps = 0, else_steps = 0, else_depth = 0;

	count_chain(p, n->a, depth, steps);
	count_chain(p, n->b, depth, &then_steps);
	count_chain(p, n->c, &else_depth, &else_steps);
	if (n->c != POLICY_NONE && p->node.at[n->c].op == OP_IF && p->node.at[n->c].next == POLICY_NONE)
		else_depth--;
	*depth = max_u32(*depth, else_depth);
	*steps = add_steps(*steps, max_u32(then_steps, else_steps));
}

/* How many of a, b and c are nodes. */
static uint32_t count_operands(uint8_t op)
{
	switch (op) {
	case OP_NET_LEN:
	case OP_NET_IP:
	case OP_NOT:
	case OP_PATH_MASK:
	case OP_PATH_HAS:
	case OP_PATH_ANY:
	case OP_LIST_HAS:
	case OP_LIST_ANY:
	case OP_SET:
	case OP_PREPEND:
	case OP_LIST_ADD:
	case OP_LIST_DELETE:
	case OP_LIST_KEEP:
	case OP_LIST_DROP:
	case OP_RETURN:
	case OP_AND:
	case OP_OR:
		return 1;
	case OP_PAIR:
	case OP_EQUAL:
	case OP_LESS:
	case OP_ADD:
	case OP_SUBTRACT:
	case OP_MULTIPLY:
	case OP_IN_TUPLES:
	case OP_IN_PREFIXES:
	case OP_IN_NET:
	case OP_STRING_EQUAL:
	case OP_STRING_LIKE:
		return 2;
	case OP_LC:
		return 3;
	default:
		return 0;
	}
}

static void count_node(const struct policy *p, const struct policy_node *n, uint32_t *depth, uint32_t *steps)
{
	const uint32_t operand[] = { n->a, n->b, n->c };

	if (n->op == OP_IF) {
		count_if(p, n, depth, steps);
	} else if (n->op == OP_CALL) {
		count_chain(p, n->b, depth, steps);
		*depth = max_u32(*depth, p->function.at[n->a].depth);
		*steps = add_steps(*steps, p->function.at[n->a].steps);
	} else if (n->op == OP_ROA) {
		count_chain(p, n->b, depth, steps);
		count_chain(p, n->c, depth, steps);
	} else {
		for (uint32_t i = 0; i < count_operands(n->op); i++)
			count_chain(p, operand[i], depth, steps);
	}
}

/* A chain of such, each of the prefix or known; *is_of_prefix: one is of the prefix. */
static bool is_of_prefix_chain(const struct policy *p, uint32_t first, bool *is_of_prefix)
{
	for (uint32_t i = first; i != POLICY_NONE; i = p->node.at[i].next) {
		if (p->node.at[i].op != OP_CONST && !p->node.at[i].is_of_prefix)
			return false;
		*is_of_prefix |= p->node.at[i].is_of_prefix;
	}
	return true;
}

static bool is_of_prefix(const struct policy *p, const struct policy_node *n)
{
	bool is_so = n->op == OP_NET, is_pure;

	switch (n->op) {
	case OP_NET:
	case OP_NET_LEN:
	case OP_NET_IP:
	case OP_NOT:
	case OP_AND:
	case OP_OR:
	case OP_EQUAL:
	case OP_LESS:
	case OP_ADD:
	case OP_SUBTRACT:
	case OP_MULTIPLY:
	case OP_IN_TUPLES:
	case OP_IN_PREFIXES:
	case OP_IN_NET:
		break;
	default:
		return false;
	}
	is_pure = count_operands(n->op) < 1 || is_of_prefix_chain(p, n->a, &is_so);
	is_pure = is_pure && (count_operands(n->op) < 2 || is_of_prefix_chain(p, n->b, &is_so));
	return is_pure && is_so;
}

uint32_t policy_add_node(struct policy_parser *x, const struct policy_node *n)
{
	uint32_t depth = 0, steps = 0;

	if (x->err != 0)
		return POLICY_NONE;
	count_node(x->p, n, &depth, &steps);
	if (depth >= POLICY_DEPTH_MAX) {
		policy_fail(x, &x->t.pos, "nested more than %d deep, functions within", POLICY_DEPTH_MAX);
		return POLICY_NONE;
	}
	struct policy_node *made = POLICY_PUSH(x->p->node);

	if (made == NULL) {
		out_of_memory(x);
		return POLICY_NONE;
	}
	*made = *n;
	made->depth = (uint8_t)(depth + 1) & 0x7f;
	made->is_of_prefix = is_of_prefix(x->p, n);
	made->steps = add_steps(steps, 1);
	made->next = POLICY_NONE;
	return x->p->node.n - 1;
}

uint32_t policy_add_string(struct policy_parser *x, const char *text, size_t len)
{
	char **s = x->err == 0 ? POLICY_PUSH(x->p->string) : NULL;

	if (s != NULL)
		*s = calloc(1, len + 1);
	if (s == NULL || *s == NULL) {
		out_of_memory(x);
		return POLICY_NONE;
	}
	memcpy(*s, text, len);
	printable(*s, len, PRINTABLE_WORD);
	return x->p->string.n - 1;
}

uint32_t policy_add_place(struct policy_parser *x, const struct text_pos *pos)
{
	struct text_pos *place = x->err == 0 ? POLICY_PUSH(x->p->place) : NULL;

	if (place == NULL) {
		out_of_memory(x);
		return POLICY_NONE;
	}
	*place = *pos;
	return x->p->place.n - 1;
}

/* --- what stands in a text --- */

/* A new name; NULL after an error. */
static struct policy_name *new_name(struct policy_parser *x, enum policy_name_kind kind, const char *what)
{
	const struct policy_name *before;
	struct policy_token t = x->t;

	if (!policy_is(x, TOK_WORD) || t.len == 0) {
		if (x->err == 0)
			policy_expected(x, what);
		return NULL;
	}
	if (t.len >= POLICY_NAME_MAX) {
		policy_fail(x, &t.pos, "a name has at most %d bytes", POLICY_NAME_MAX - 1);
		return NULL;
	}
	before = policy_lookup(x->p, t.text, t.len);
	if (before != NULL) {
		policy_fail(x, &t.pos, "\"%.*s\" is the name of something in line %u already", (int)t.len, t.text,
			    before->pos.line);
		return NULL;
	}
	policy_advance(x);
	struct policy_name *n = POLICY_PUSH(x->p->name);

	if (n == NULL) {
		out_of_memory(x);
		return NULL;
	}
	memcpy(n->name, t.text, t.len);
	n->kind = kind;
	n->pos = t.pos;
	return n;
}

/* Its name can be used from here on. */
static void name_is_known(struct policy_parser *x)
{
	const struct name_list l = { x->p->name.at[0].name, sizeof(struct policy_name), x->p->name.n };

	x->p->name.at[x->p->name.n - 1].is_ready = true;
	if (!name_index_add(&x->p->names, &l))
		out_of_memory(x);
}

static bool parse_define(struct policy_parser *x)
{
	struct policy_name *n = new_name(x, NAME_DEFINE, "the name of a definition");
	enum policy_type type;
	struct policy_value value;

	if (n == NULL || !policy_expect(x, TOK_EQUAL) || !policy_parse_constant(x, &type, &value) ||
	    !policy_expect(x, TOK_SEMICOLON))
		return false;
	n = &x->p->name.at[x->p->name.n - 1];
	n->type = type;
	n->value = value;
	name_is_known(x);
	return true;
}

static bool parse_prefix_list(struct policy_parser *x)
{
	struct policy_name *n = new_name(x, NAME_DEFINE, "the name of a prefix list");
	uint32_t set;

	if (n == NULL || !policy_expect(x, TOK_LBRACE) || !policy_parse_patterns(x, TOK_RBRACE, &set))
		return false;
	n = &x->p->name.at[x->p->name.n - 1];
	n->type = TYPE_PREFIX_SET;
	n->value = (struct policy_value){ { set } };
	name_is_known(x);
	return true;
}

static bool parse_type(struct policy_parser *x, enum policy_type *type)
{
	static const struct {
		const char *word;
		enum policy_type type, set;
	} types[] = {
		{ "bool", TYPE_BOOL, TYPE_NONE },     { "int", TYPE_INT, TYPE_INT_SET },
		{ "ip", TYPE_IP, TYPE_IP_SET },       { "prefix", TYPE_NET, TYPE_PREFIX_SET },
		{ "pair", TYPE_PAIR, TYPE_PAIR_SET }, { "ec", TYPE_EC, TYPE_EC_SET },
		{ "lc", TYPE_LC, TYPE_LC_SET },       { "string", TYPE_STRING, TYPE_NONE },
	};
	struct policy_token t = x->t;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (!policy_accept_word(x, types[i].word))
			continue;
		*type = types[i].type;
		if (types[i].set != TYPE_NONE && policy_accept_word(x, "set"))
			*type = types[i].set;
		return true;
	}
	if (policy_is(x, TOK_WORD))
		policy_refuse_word(x, &t, "a type: bool, int, ip, prefix, pair, ec, lc or string");
	return x->err == 0 && policy_expected(x, "a type: bool, int, ip, prefix, pair, ec, lc or string");
}

/* (int a; bool b) */
static bool parse_args(struct policy_parser *x)
{
	x->n_args = 0;
	if (!policy_expect(x, TOK_LPAREN))
		return false;
	while (!policy_accept(x, TOK_RPAREN)) {
		enum policy_type type;

		if (x->n_args > 0 && !policy_accept(x, TOK_SEMICOLON) && !policy_expect(x, TOK_COMMA))
			return false;
		if (!parse_type(x, &type))
			return false;
		if (!policy_is(x, TOK_WORD) || x->t.len == 0 || x->t.len >= POLICY_NAME_MAX)
			return policy_expected(x, "the name of an argument");
		if (x->n_args == POLICY_ARGS_MAX) {
			policy_fail(x, &x->t.pos, "a function has at most %d arguments", POLICY_ARGS_MAX);
			return false;
		}
		memset(x->arg[x->n_args].name, 0, POLICY_NAME_MAX);
		memcpy(x->arg[x->n_args].name, x->t.text, x->t.len);
		x->arg[x->n_args++].type = type;
		policy_advance(x);
	}
	return true;
}

static bool parse_function(struct policy_parser *x)
{
	struct policy_name *n = new_name(x, NAME_FUNCTION, "the name of a function");
	uint32_t name = x->p->name.n - 1, depth = 0, steps = 0;
	struct policy_function made = { .name = name };
	struct text_pos end;

	if (n == NULL || !parse_args(x))
		return false;
	x->function = x->p->function.n;
	x->has_return = false;
	x->returns = TYPE_NONE;
	if (policy_accept(x, TOK_ARROW)) {
		if (!parse_type(x, &x->returns))
			return false;
		x->has_return = true;
	}
	if (!policy_is(x, TOK_LBRACE)) {
		if (policy_is(x, TOK_WORD))
			policy_fail(x, &x->t.pos, "there are no variables but a function's arguments");
		return policy_expect(x, TOK_LBRACE);
	}
	if (!policy_parse_block(x, &made.first, &made.may_end, &end))
		return false;
	count_chain(x->p, made.first, &depth, &steps);
	made.depth = (uint8_t)depth;
	made.steps = steps;
	made.n_args = x->n_args;
	for (uint32_t i = 0; i < x->n_args; i++)
		made.arg_type[i] = (uint8_t)x->arg[i].type;
	struct policy_function *f = POLICY_PUSH(x->p->function);

	if (f == NULL) {
		out_of_memory(x);
		return false;
	}
	*f = made;
	x->p->name.at[name].type = x->returns;
	x->p->name.at[name].number = x->p->function.n - 1;
	name_is_known(x);
	x->n_args = 0;
	return true;
}

static bool parse_filter(struct policy_parser *x)
{
	struct policy_name *n = new_name(x, NAME_FILTER, "the name of a filter");
	uint32_t name = x->p->name.n - 1, depth = 0, steps = 0;
	struct policy_filter made = { .name = name };
	bool may_end;

	x->function = POLICY_NONE;
	x->n_args = 0;
	if (n == NULL)
		return false;
	struct text_pos pos = n->pos;

	if (!policy_is(x, TOK_LBRACE))
		return policy_expect(x, TOK_LBRACE);
	if (!policy_parse_block(x, &made.first, &may_end, &made.end))
		return false;
	count_chain(x->p, made.first, &depth, &steps);
	if (steps > POLICY_STEPS_MAX) {
		policy_fail(x, &pos, "the filter may take more than %d steps for one path", POLICY_STEPS_MAX);
		return false;
	}
	struct policy_filter *f = POLICY_PUSH(x->p->filter);

	if (f == NULL) {
		out_of_memory(x);
		return false;
	}
	*f = made;
	x->p->name.at[name].number = x->p->filter.n - 1;
	name_is_known(x);
	return true;
}

static bool parse_item(struct policy_parser *x)
{
	struct policy_token t = x->t;

	if (policy_accept_word(x, "define"))
		return parse_define(x);
	if (policy_accept_word(x, "prefix-list"))
		return parse_prefix_list(x);
	if (policy_accept_word(x, "function"))
		return parse_function(x);
	if (policy_accept_word(x, "filter"))
		return parse_filter(x);
	if (policy_is(x, TOK_WORD) && !t.is_quoted && policy_word_not_there(t.text, t.len) != NULL) {
		policy_refuse_word(x, &t, "");
		return false;
	}
	return policy_expected(x, "define, prefix-list, function or filter");
}

int policy_add(struct policy *p, const struct policy_text *t, struct policy_error *e)
{
	struct policy_parser x = { .p = p, .e = e, .function = POLICY_NONE };

	*e = (struct policy_error){ .pos = t->pos };
	policy_lex_start(&x.lexer, t->p, t->len, &t->pos);
	policy_advance(&x);
	while (x.err == 0 && x.t.kind != TOK_END)
		if (!parse_item(&x))
			break;
	return x.err;
}

size_t policy_text_len(const char *text, size_t len)
{
	const struct text_pos begin = { .line = 1, .column = 1 };
	struct policy_lexer lx;
	struct policy_token t;
	uint32_t depth = 0;

	policy_lex_start(&lx, text, len, &begin);
	for (policy_lex_next(&lx, &t); t.kind != TOK_END; policy_lex_next(&lx, &t)) {
		if (t.kind == TOK_LBRACE)
			depth++;
		else if (t.kind == TOK_RBRACE && depth-- == 0)
			return (size_t)(t.text - text);
	}
	return SIZE_MAX;
}
