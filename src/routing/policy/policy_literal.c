/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is written out: prefixes and their patterns, sets, masks of paths, communities.
 *
 * Next: src/routing/policy/policy_run.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "routing/policy/policy_priv.h"

typedef POLICY_ARRAY(struct policy_range) ranges;
typedef POLICY_ARRAY(struct policy_pattern) patterns;

static policy_expr no_memory(struct policy_parser *x)
{
	if (x->err == 0)
		x->err = -ENOMEM;
	return POLICY_NONE;
}

/* --- numbers and prefixes --- */

/* A number that is known now: one, a name for one. */
static bool parse_number(struct policy_parser *x, uint32_t *out)
{
	struct policy_token t = x->t;

	if (policy_accept(x, TOK_NUMBER)) {
		*out = t.value;
		return true;
	}
	if (!policy_is(x, TOK_WORD))
		return x->err == 0 && policy_expected(x, "a number");
	const struct policy_name *n = policy_lookup(x->p, t.text, t.len);

	if (n == NULL || !n->is_ready || n->kind != NAME_DEFINE) {
		if (n != NULL)
			policy_fail(x, &t.pos, "expected a number, and \"%s\" is none that is known now", n->name);
		else
			policy_refuse_word(x, &t, "a number");
		return false;
	}
	if (n->type != TYPE_INT) {
		policy_fail(x, &t.pos, "expected a number, and \"%s\" is %s", n->name, policy_type_name(n->type));
		return false;
	}
	policy_advance(x);
	*out = n->value.w[0];
	return true;
}

static bool parse_len(struct policy_parser *x, uint32_t *len)
{
	struct text_pos pos = x->t.pos;

	if (!parse_number(x, len))
		return false;
	if (*len > 32) {
		policy_fail(x, &pos, "expected a length from 0 to 32");
		return false;
	}
	return true;
}

bool policy_parse_net(struct policy_parser *x, struct ip4_prefix *out)
{
	struct policy_token t = x->t;
	char right[IP4_TEXT_MAX];
	uint32_t len;

	if (!policy_is(x, TOK_ADDR))
		return x->err == 0 && policy_expected(x, "a prefix");
	policy_advance(x);
	if (!policy_expect(x, TOK_SLASH) || !parse_len(x, &len))
		return false;
	*out = (struct ip4_prefix){ t.value & ip4_mask((uint8_t)len), (uint8_t)len };
	if (out->addr == t.value)
		return true;
	policy_fail(x, &t.pos, "the prefix has bits behind its length; it would be %s", ip4_prefix_format(*out, right));
	return false;
}

/* Behind a prefix: +, -, {low,high} or nothing. */
static bool parse_pattern(struct policy_parser *x, struct ip4_prefix net, struct policy_pattern *out)
{
	struct text_pos pos = x->t.pos;
	uint32_t low, high;

	*out = (struct policy_pattern){ net, net.len, net.len };
	if (policy_accept(x, TOK_PLUS)) {
		out->high = 32;
	} else if (policy_accept(x, TOK_MINUS)) {
		out->low = 0;
	} else if (policy_accept(x, TOK_LBRACE)) {
		if (!parse_len(x, &low) || !policy_expect(x, TOK_COMMA) || !parse_len(x, &high) ||
		    !policy_expect(x, TOK_RBRACE))
			return false;
		if (low > high) {
			policy_fail(x, &pos, "expected the shorter length first: {%u,%u}", high, low);
			return false;
		}
		out->low = (uint8_t)low;
		out->high = (uint8_t)high;
	}
	return x->err == 0;
}

static bool add_pattern(struct policy_parser *x, patterns *all)
{
	struct ip4_prefix net;
	struct policy_pattern pattern, *p;

	if (!policy_parse_net(x, &net) || !parse_pattern(x, net, &pattern))
		return false;
	p = POLICY_PUSH(*all);
	if (p == NULL)
		return no_memory(x) != POLICY_NONE;
	*p = pattern;
	return true;
}

static bool make_prefixes(struct policy_parser *x, const patterns *all, uint32_t *set)
{
	struct policy_prefixes *s = x->err == 0 ? POLICY_PUSH(x->p->prefixes) : NULL;

	if (s == NULL || policy_prefixes_init(s, all->at, all->n) != 0)
		return no_memory(x) != POLICY_NONE;
	*set = x->p->prefixes.n - 1;
	return true;
}

/* In a prefix list commas and semicolons part, and the last one may stand or not; in a set commas do. */
bool policy_parse_patterns(struct policy_parser *x, enum policy_token_kind end, uint32_t *set)
{
	patterns all = { 0 };
	bool is_well = true;

	while (is_well && !policy_accept(x, end)) {
		is_well = add_pattern(x, &all);
		if (!is_well || policy_accept(x, end))
			break;
		if (end == TOK_RBRACE && policy_accept(x, TOK_SEMICOLON))
			continue;
		is_well = policy_is(x, TOK_COMMA) ||
			  policy_expected(x, end == TOK_RBRACE ? "\",\", \";\" or \"}\"" : "\",\" or \"]\"");
		(void)policy_accept(x, TOK_COMMA);
		if (end != TOK_RBRACE && policy_is(x, end))
			is_well = policy_expected(x, "a prefix");
	}
	is_well = is_well && make_prefixes(x, &all, set);
	free(all.at);
	return is_well;
}

/* --- communities --- */

enum ec_kind { EC_RT = 2, EC_RO = 3, EC_GENERIC };

static bool is_ec_kind(const struct policy_token *t, enum ec_kind *kind)
{
	static const struct {
		const char *word;
		enum ec_kind kind;
	} kinds[] = { { "rt", EC_RT }, { "ro", EC_RO }, { "generic", EC_GENERIC } };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (policy_token_is(t, kinds[i].word)) {
			*kind = kinds[i].kind;
			return true;
		}
	return false;
}

/* RFC 4360 section 3, RFC 5668: a key of two octets leaves four for the value, one of four octets or an address two. */
static bool ec_value(struct policy_parser *x, enum ec_kind kind, bool is_addr, uint32_t key, uint32_t value,
		     const struct text_pos *pos, struct policy_value *out)
{
	if (kind == EC_GENERIC) {
		*out = (struct policy_value){ { key, value } };
		return true;
	}
	if (!is_addr && key <= UINT16_MAX) {
		*out = (struct policy_value){ { (uint32_t)kind << 16 | key, value } };
		return true;
	}
	if (value > UINT16_MAX) {
		policy_fail(x, pos, "behind such a key the value is at most 65535");
		return false;
	}
	*out = (struct policy_value){ { (is_addr ? UINT32_C(0x01000000) : UINT32_C(0x02000000)) | (uint32_t)kind << 16 |
						key >> 16,
					key << 16 | value } };
	return true;
}

/* Behind "(rt": the key, and a value or (range) values. */
static bool parse_ec(struct policy_parser *x, enum ec_kind kind, bool takes_range, struct policy_range *r)
{
	uint32_t key = x->t.value, low, high;
	bool is_addr = kind != EC_GENERIC && policy_is(x, TOK_ADDR);
	bool is_narrow;

	if (is_addr)
		policy_advance(x);
	else if (!parse_number(x, &key))
		return false;
	if (!policy_expect(x, TOK_COMMA))
		return false;
	struct text_pos pos = x->t.pos;

	is_narrow = kind != EC_GENERIC && (is_addr || key > UINT16_MAX);
	if (takes_range && policy_accept(x, TOK_STAR)) {
		low = 0;
		high = is_narrow ? UINT16_MAX : UINT32_MAX;
	} else {
		if (!parse_number(x, &low))
			return false;
		high = low;
		if (takes_range && policy_accept(x, TOK_DOTS) && !parse_number(x, &high))
			return false;
	}
	r->is_span = true;
	return policy_expect(x, TOK_RPAREN) && ec_value(x, kind, is_addr, key, low, &pos, &r->low) &&
	       ec_value(x, kind, is_addr, key, high, &pos, &r->high);
}

/* A part of a pair may not pass 65535; one that is known now is told at once. */
static bool fits_pair(struct policy_parser *x, policy_expr e, const struct text_pos *pos)
{
	if (!policy_is_constant(x, e) || x->p->node.at[e].a <= UINT16_MAX)
		return true;
	policy_fail(x, pos, "a part of a community is at most 65535; a large one has three parts");
	return false;
}

static policy_expr parse_parts(struct policy_parser *x, policy_expr first, const struct text_pos *pos)
{
	struct policy_node n = { .op = OP_PAIR, .type = TYPE_PAIR, .a = first, .b = POLICY_NONE, .c = POLICY_NONE };
	policy_expr part[3] = { first, POLICY_NONE, POLICY_NONE };
	struct text_pos at[3] = { *pos };
	uint32_t n_parts = 1;
	bool is_known = true;

	while (n_parts < 3 && policy_accept(x, TOK_COMMA)) {
		at[n_parts] = x->t.pos;
		part[n_parts] = policy_parse_expr(x);
		if (part[n_parts++] == POLICY_NONE)
			return POLICY_NONE;
	}
	if (!policy_expect(x, TOK_RPAREN))
		return POLICY_NONE;
	for (uint32_t i = 0; i < n_parts; i++) {
		if (policy_type_of(x, part[i]) != TYPE_INT) {
			policy_fail(x, &at[i], "expected an int, this is %s",
				    policy_type_name(policy_type_of(x, part[i])));
			return POLICY_NONE;
		}
		if (n_parts == 2 && !fits_pair(x, part[i], &at[i]))
			return POLICY_NONE;
		is_known = is_known && policy_is_constant(x, part[i]);
	}
	n.b = part[1];
	n.c = part[2];
	if (n_parts == 3) {
		n.op = OP_LC;
		n.type = TYPE_LC;
	}
	if (!is_known && n_parts == 2)
		n.c = policy_add_place(x, pos); /* where to say that a part is too large */
	if (!is_known)
		return policy_add_node(x, &n);
	struct policy_value v = { { x->p->node.at[part[0]].a, x->p->node.at[part[1]].a,
				    n_parts == 3 ? x->p->node.at[part[2]].a : 0 } };
	return policy_constant(x, (enum policy_type)n.type, v);
}

/* Behind "(": an expression in parentheses, a pair, a large or an extended community. */
policy_expr policy_parse_tuple(struct policy_parser *x)
{
	struct policy_token t = x->t;
	struct policy_range r = { 0 };
	enum ec_kind kind;

	if (x->err == 0 && is_ec_kind(&t, &kind) && policy_lookup(x->p, t.text, t.len) == NULL) {
		policy_advance(x);
		if (!policy_expect(x, TOK_COMMA) || !parse_ec(x, kind, false, &r))
			return POLICY_NONE;
		return policy_constant(x, TYPE_EC, r.low);
	}
	policy_expr e = policy_parse_expr(x);

	if (e == POLICY_NONE)
		return POLICY_NONE;
	if (policy_is(x, TOK_COMMA))
		return parse_parts(x, e, &t.pos);
	return policy_expect(x, TOK_RPAREN) ? e : POLICY_NONE;
}

/* --- sets --- */

/* *, a or a..b */
static bool parse_part(struct policy_parser *x, uint32_t *low, uint32_t *high)
{
	*low = 0;
	*high = UINT32_MAX;
	if (policy_accept(x, TOK_STAR))
		return true;
	if (!parse_number(x, low))
		return false;
	*high = *low;
	return !policy_accept(x, TOK_DOTS) || parse_number(x, high);
}

/* Counted one after the other when all behind the first part that varies is everything. */
static bool is_span(const uint32_t *low, const uint32_t *high, uint32_t n, uint32_t most)
{
	uint32_t i = 0;

	while (i < n && low[i] == high[i])
		i++;
	for (i++; i < n; i++)
		if (low[i] != 0 || high[i] != most)
			return false;
	return true;
}

static bool parse_tuple_parts(struct policy_parser *x, struct policy_range *r, uint32_t *n_parts)
{
	uint32_t low[3] = { 0 }, high[3] = { 0 };
	struct text_pos pos = x->t.pos;

	*n_parts = 0;
	do {
		if (*n_parts == 3)
			return policy_expected(x, "\")\"");
		if (!parse_part(x, &low[*n_parts], &high[*n_parts]))
			return false;
		++*n_parts;
	} while (policy_accept(x, TOK_COMMA));
	if (*n_parts == 1)
		return policy_expected(x, "\",\" and the second part of a community");
	uint32_t most = *n_parts == 2 ? UINT16_MAX : UINT32_MAX;

	for (uint32_t i = 0; i < *n_parts; i++) {
		if (high[i] == UINT32_MAX && low[i] == 0)
			high[i] = most;
		if (low[i] > most || high[i] > most) {
			policy_fail(x, &pos, "a part of a community is at most 65535; a large one has three parts");
			return false;
		}
	}
	memcpy(r->low.w, low, sizeof(low));
	memcpy(r->high.w, high, sizeof(high));
	r->is_span = is_span(low, high, *n_parts, most);
	return policy_expect(x, TOK_RPAREN);
}

/* Behind "(": (a, b), (a, *), (a, b..c), (a, b) .. (c, d), with three parts too; or an extended one. */
static bool parse_tuple_range(struct policy_parser *x, struct policy_range *r, enum policy_type *type)
{
	struct policy_token t = x->t;
	struct policy_range to = { 0 };
	uint32_t n_parts, n_to;
	enum ec_kind kind;

	if (is_ec_kind(&t, &kind)) {
		policy_advance(x);
		*type = TYPE_EC;
		return policy_expect(x, TOK_COMMA) && parse_ec(x, kind, true, r);
	}
	if (!parse_tuple_parts(x, r, &n_parts))
		return false;
	*type = n_parts == 2 ? TYPE_PAIR : TYPE_LC;
	if (!policy_accept(x, TOK_DOTS))
		return true;
	t = x->t;
	if (!policy_expect(x, TOK_LPAREN) || !parse_tuple_parts(x, &to, &n_to))
		return false;
	if (n_to != n_parts || policy_value_compare(r->low, r->high) != 0 ||
	    policy_value_compare(to.low, to.high) != 0) {
		policy_fail(x, &t.pos, "a range goes from one community to another of the same kind");
		return false;
	}
	r->high = to.low;
	r->is_span = true;
	return true;
}

static bool parse_addr_range(struct policy_parser *x, struct policy_range *r)
{
	r->low.w[0] = r->high.w[0] = x->t.value;
	r->is_span = true;
	policy_advance(x);
	if (!policy_accept(x, TOK_DOTS))
		return true;
	r->high.w[0] = x->t.value;
	return policy_expect(x, TOK_ADDR);
}

/* Names of values, in a set of such. */
static bool parse_named(struct policy_parser *x, struct policy_range *r, enum policy_type *type)
{
	struct text_pos pos = x->t.pos;
	struct policy_value v;

	if (!policy_parse_constant(x, type, &v))
		return false;
	if (*type == TYPE_NET || *type >= TYPE_STRING) {
		policy_fail(x, &pos, "expected what a set can hold, this is %s", policy_type_name(*type));
		return false;
	}
	*r = (struct policy_range){ v, v, true };
	if (*type != TYPE_INT || !policy_accept(x, TOK_DOTS))
		return true;
	return parse_number(x, &r->high.w[0]);
}

static bool parse_range(struct policy_parser *x, struct policy_range *r, enum policy_type *type)
{
	*r = (struct policy_range){ .is_span = true };
	if (policy_accept(x, TOK_LPAREN))
		return parse_tuple_range(x, r, type);
	if (policy_is(x, TOK_ADDR)) {
		*type = TYPE_IP;
		return parse_addr_range(x, r);
	}
	if (policy_is(x, TOK_NUMBER)) {
		*type = TYPE_INT;
		return parse_number(x, &r->low.w[0]) &&
		       (policy_accept(x, TOK_DOTS) ? parse_number(x, &r->high.w[0])
						   : (r->high.w[0] = r->low.w[0], true));
	}
	if (policy_is(x, TOK_WORD))
		return parse_named(x, r, type);
	return x->err == 0 && policy_expected(x, "something in the set");
}

static enum policy_type set_of(enum policy_type type)
{
	static const enum policy_type sets[N_POLICY_TYPES] = {
		[TYPE_INT] = TYPE_INT_SET, [TYPE_IP] = TYPE_IP_SET,         [TYPE_PAIR] = TYPE_PAIR_SET,
		[TYPE_EC] = TYPE_EC_SET,   [TYPE_LC] = TYPE_LC_SET,         [TYPE_ORIGIN] = TYPE_ORIGIN_SET,
		[TYPE_ROA] = TYPE_ROA_SET, [TYPE_SOURCE] = TYPE_SOURCE_SET,
	};

	return sets[type];
}

static bool add_range(struct policy_parser *x, ranges *all, enum policy_type *type)
{
	struct text_pos pos = x->t.pos;
	struct policy_range range, *r;
	enum policy_type this;

	if (!parse_range(x, &range, &this))
		return false;
	if (set_of(this) == TYPE_NONE || (*type != TYPE_NONE && this != *type)) {
		policy_fail(x, &pos, "%s in a set of others", policy_type_name(this));
		return false;
	}
	*type = this;
	r = POLICY_PUSH(*all);
	if (r == NULL)
		return no_memory(x) != POLICY_NONE;
	*r = range;
	return true;
}

static bool make_tuples(struct policy_parser *x, const ranges *all, uint32_t *set)
{
	struct policy_tuples *s = x->err == 0 ? POLICY_PUSH(x->p->tuples) : NULL;

	if (s == NULL || policy_tuples_init(s, all->at, all->n) != 0)
		return no_memory(x) != POLICY_NONE;
	*set = x->p->tuples.n - 1;
	return true;
}

/* Behind "[", all but prefixes. */
static bool parse_ranges(struct policy_parser *x, enum policy_type *type, uint32_t *set)
{
	ranges all = { 0 };
	bool is_well = true;

	*type = TYPE_NONE;
	if (!policy_accept(x, TOK_RBRACKET)) {
		do
			is_well = add_range(x, &all, type);
		while (is_well && policy_accept(x, TOK_COMMA));
		is_well = is_well && (policy_accept(x, TOK_RBRACKET) || policy_expected(x, "\",\" or \"]\""));
	}
	is_well = is_well && make_tuples(x, &all, set);
	free(all.at);
	return is_well;
}

policy_expr policy_parse_set(struct policy_parser *x)
{
	struct policy_lexer ahead = x->lexer;
	struct policy_token next;
	enum policy_type type;
	uint32_t set;

	policy_lex_next(&ahead, &next);
	if (policy_is(x, TOK_ADDR) && next.kind == TOK_SLASH) {
		if (!policy_parse_patterns(x, TOK_RBRACKET, &set))
			return POLICY_NONE;
		return policy_constant(x, TYPE_PREFIX_SET, (struct policy_value){ { set } });
	}
	if (!parse_ranges(x, &type, &set))
		return POLICY_NONE;
	return policy_constant(x, type == TYPE_NONE ? TYPE_EMPTY_SET : set_of(type), (struct policy_value){ { set } });
}

/* --- masks --- */

static bool parse_mask_item(struct policy_parser *x, struct policy_mask_item *item)
{
	enum policy_type type;
	struct text_pos pos = x->t.pos;

	*item = (struct policy_mask_item){ .kind = MASK_RANGE };
	if (policy_accept(x, TOK_STAR)) {
		item->kind = MASK_ANY_NUMBER;
	} else if (policy_accept(x, TOK_QUESTION)) {
		item->kind = MASK_ONE;
	} else if (policy_accept(x, TOK_LBRACKET)) {
		item->kind = MASK_SET;
		if (!parse_ranges(x, &type, &item->low))
			return false;
		if (type != TYPE_INT && type != TYPE_NONE) {
			policy_fail(x, &pos, "expected a set of AS numbers");
			return false;
		}
	} else if (policy_is(x, TOK_NUMBER) || policy_is(x, TOK_WORD)) {
		if (!parse_number(x, &item->low))
			return false;
		item->high = item->low;
		if (policy_accept(x, TOK_DOTS) && !parse_number(x, &item->high))
			return false;
	} else if (policy_is(x, TOK_PLUS)) {
		policy_fail(x, &pos, "\"+\" in a mask is not there: write the item, and behind it *");
	} else if (policy_is(x, TOK_LPAREN)) {
		policy_fail(x, &pos, "an expression in a mask is not there: a number, or a name for one");
	} else if (x->err == 0) {
		policy_expected(x, "an AS number, \"*\", \"?\", \"[\" or \"=]\"");
	}
	return x->err == 0;
}

/* Behind "[=". */
policy_expr policy_parse_mask(struct policy_parser *x)
{
	struct policy_mask *made, m = { .n = 0 };

	while (!policy_accept(x, TOK_MASK_CLOSE)) {
		if (m.n == POLICY_MASK_MAX) {
			policy_fail(x, &x->t.pos, "a mask has at most %d items", POLICY_MASK_MAX);
			return POLICY_NONE;
		}
		if (!parse_mask_item(x, &m.item[m.n++]))
			return POLICY_NONE;
	}
	made = x->err == 0 ? POLICY_PUSH(x->p->mask) : NULL;
	if (made == NULL)
		return no_memory(x);
	*made = m;
	return policy_constant(x, TYPE_MASK, (struct policy_value){ { x->p->mask.n - 1 } });
}
