/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Expressions of bits: a key or mark, numbers, & ^ | << >>, parentheses. As in
 * nft, shifts bind closest, then &, then ^, then |; of equal ones the left comes
 * first; and what stands on the right of an operator is constant. Whatever is
 * written comes down to
 *
 *   (key shifted by N bits & mask) ^ xor
 *
 * since each operator with a constant takes such a value to another one. So the
 * packet path has one step for all of them.
 */
#include "daemon/config/nft/nft.h"

/* Of all values: their width does not matter to the operators. */
#define VALUE_BITS 32

enum operator{ OP_OR, OP_XOR, OP_AND, OP_LEFT, OP_RIGHT, N_OPERATORS };

static const struct {
	enum token_kind kind;
	const char *word;
	uint32_t level; /* the higher, the closer it binds */
} operators[N_OPERATORS] = {
	[OP_OR] = { TOK_OR, "or", 1 },
	[OP_XOR] = { TOK_XOR, "xor", 2 },
	[OP_AND] = { TOK_AND, "and", 3 },
	[OP_LEFT] = { TOK_SHIFT_LEFT, "lshift", 4 },
	[OP_RIGHT] = { TOK_SHIFT_RIGHT, "rshift", 4 },
};

/* What may stand in an expression. */
struct operands {
	enum rule_key type; /* of its numbers and names; N_RULE_KEYS: that of the first key */
	bool keys;          /* not only constants */
};

static bool climb(struct parser *p, struct operands *o, uint32_t level, struct bitwise *out);

/* True when an operator comes next. */
static bool next_operator(struct parser *p, enum operator* op)
{
	const struct token *t = config_peek(p);

	for (*op = 0; *op < N_OPERATORS; (*op)++)
		if (t->kind == operators[*op].kind || token_is(t, operators[*op].word))
			return true;
	return false;
}

static uint32_t shifted(uint32_t v, int32_t n)
{
	if (n <= -VALUE_BITS || n >= VALUE_BITS)
		return 0;
	return n < 0 ? v >> -n : v << n;
}

static void apply(enum operator op, struct bitwise *b, uint32_t c)
{
	int32_t n = (int32_t)min_u32(c, VALUE_BITS);

	switch (op) {
	case OP_AND:
		b->mask &= c;
		b->xor &= c;
		break;
	case OP_OR:
		b->mask &= ~c;
		b->xor |= c;
		break;
	case OP_XOR:
		b->xor ^= c;
		break;
	default:
		n = op == OP_LEFT ? n : -n;
		b->shift += n;
		b->mask = shifted(b->mask, n);
		b->xor = shifted(b->xor, n);
		break;
	}
}

static bool parentheses(struct parser *p, struct operands *o, struct bitwise *out)
{
	if (++p->nesting > CONFIG_NESTING_MAX) {
		config_err(p, &p->last.pos, "more than %d parentheses or braces within each other", CONFIG_NESTING_MAX);
		return false;
	}
	if (!climb(p, o, 0, out) || !config_expect(p, TOK_RPAREN))
		return false;
	p->nesting--;
	out->is_plain = false;
	return true;
}

static bool operand(struct parser *p, struct operands *o, struct bitwise *out)
{
	*out = (struct bitwise){ .is_plain = true };
	if (config_accept(p, TOK_LPAREN))
		return parentheses(p, o, out);
	/* `ip protocol tcp`: a name of the type, though keys begin so. */
	if (config_is_key(p) && (o->type == N_RULE_KEYS || !config_is_symbol(p, o->type))) {
		struct token t = *config_peek(p);

		if (!o->keys) {
			config_err(p, &t.pos, "what stands on the right of an operator is a constant, as in nft");
			return false;
		}
		out->has_key = true;
		out->mask = UINT32_MAX;
		if (!config_key(p, &out->key))
			return false;
		if (o->type == N_RULE_KEYS)
			o->type = out->key;
		return true;
	}
	if (o->type == N_RULE_KEYS)
		return config_expected(p, "a key such as \"meta mark\"");
	return config_scalar(p, o->type, &out->xor);
}

/* Precedence climbing: operators of this level and closer ones. */
static bool climb(struct parser *p, struct operands *o, uint32_t level, struct bitwise *out)
{
	enum operator op;

	if (!operand(p, o, out))
		return false;
	while (next_operator(p, &op) && operators[op].level >= level) {
		struct operands right = { .type = o->type };
		struct bitwise b;

		if (out->has_key && rule_key_info[out->key].bits == 0)
			return config_expected(p, "the name of an interface");
		config_next(p);
		if (!climb(p, &right, operators[op].level + 1, &b))
			return false;
		apply(op, out, b.xor);
		out->is_plain = false;
	}
	return true;
}

bool config_bitwise(struct parser *p, struct bitwise *out)
{
	struct operands o = { .type = N_RULE_KEYS, .keys = true };

	p->nesting = 0;
	return climb(p, &o, 0, out);
}

bool config_bitwise_value(struct parser *p, enum rule_key type, struct bitwise *out)
{
	struct operands o = { .type = type, .keys = true };

	p->nesting = 0;
	return climb(p, &o, 0, out);
}

bool config_constant(struct parser *p, enum rule_key type, uint32_t *out)
{
	struct operands o = { .type = type };
	struct token from = *config_peek(p);
	struct bitwise b;
	struct text_pos pos;

	if (!climb(p, &o, 0, &b))
		return false;
	*out = b.xor ;
	if (b.xor <= rule_key_max(type))
		return true;
	pos = config_span(p, &from);
	config_err(p, &pos, "%s is at most %u", rule_key_info[type].name, rule_key_max(type));
	return false;
}
