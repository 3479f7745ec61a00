/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Matches: a key, perhaps a mask and an operator, and values; and the few
 * statements that begin with a key (vmap, meta mark set, ct mark set).
 *
 * What nft means by them, in short. Without an operator a key of bits (tcp
 * flags, ct state) matches when any of the bits is set; `==` and `!=`, and the
 * elements of a set, compare the whole value. `tcp flags syn / syn,ack` is
 * `tcp flags & (syn|ack) == syn`. A list with commas behind `!=` is refused: nft
 * compares the whole value there too, which is never what was meant.
 */
#include "daemon/config/nft/nft.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BYTES 16
#define ORIGINAL "ct original "

struct key_words {
	char first[WORD_BYTES];
	const char *second; /* NULL: there is but one word */
	enum rule_key key;
	bool original; /* behind `ct original`, and `ip` if it stands there */
};

/* Other words for keys than those of the key table (gateway/rules/key.c). */
static const struct key_words aliases[] = {
	{ "iif", NULL, KEY_META_IIFNAME, false },       { "oif", NULL, KEY_META_OIFNAME, false },
	{ "mark", NULL, KEY_META_MARK, false },         { "pkttype", NULL, KEY_META_PKTTYPE, false },
	{ "meta", "iifname", KEY_META_IIFNAME, false }, { "meta", "oifname", KEY_META_OIFNAME, false },
	{ "meta", "iif", KEY_META_IIFNAME, false },     { "meta", "oif", KEY_META_OIFNAME, false },
};
#define N_KEY_WORDS (ARRAY_LEN(aliases) + N_RULE_KEYS)

static struct key_words key_words(size_t i)
{
	if (i < ARRAY_LEN(aliases))
		return aliases[i];
	const char *name = rule_key_info[i - ARRAY_LEN(aliases)].name, *space = strrchr(name, ' ');
	struct key_words w = {
		.second = space == NULL ? NULL : space + 1,
		.key = (enum rule_key)(i - ARRAY_LEN(aliases)),
		.original = strncmp(name, ORIGINAL, strlen(ORIGINAL)) == 0,
	};

	snprintf(w.first, sizeof(w.first), "%.*s", (int)strcspn(name, " "), name);
	return w;
}

bool config_is_key(struct parser *p)
{
	if (config_is_word(p, "ip6") || config_is_word(p, "icmpv6"))
		return true;
	for (size_t i = 0; i < N_KEY_WORDS; i++) {
		struct key_words w = key_words(i);

		if (config_is_word(p, w.first))
			return true;
	}
	return false;
}

static bool second_word(struct parser *p, const char *first, bool original, enum rule_key *key)
{
	const char *words[N_KEY_WORDS];
	struct token t = *config_peek(p);
	char what[AST_NAME_MAX];
	size_t n_words = 0;

	for (size_t i = 0; i < N_KEY_WORDS; i++) {
		struct key_words w = key_words(i);

		if (w.second == NULL || w.original != original || strcmp(w.first, first) != 0)
			continue;
		if (config_accept_word(p, w.second)) {
			*key = w.key;
			return true;
		}
		words[n_words++] = w.second;
	}
	snprintf(what, sizeof(what), "what of \"%s\" to look at", original ? "original" : first);
	return config_unknown(p, &t, what, words, n_words);
}

bool config_key(struct parser *p, enum rule_key *key)
{
	struct token t = config_next(p);

	if (token_is(&t, "ip6") || token_is(&t, "icmpv6")) {
		nft_of(p)->skip_ipv6 = true;
		return false;
	}
	if (token_is(&t, "ct") && config_accept_word(p, "original")) {
		if (config_is_word(p, "ip6")) {
			nft_of(p)->skip_ipv6 = true;
			return false;
		}
		config_accept_word(p, "ip");
		return second_word(p, "ct", true, key);
	}
	for (size_t i = 0; i < N_KEY_WORDS; i++) {
		struct key_words w = key_words(i);

		if (!token_is(&t, w.first))
			continue;
		*key = w.key;
		return w.second == NULL || second_word(p, w.first, false, key);
	}
	return false;
}

static bool accept_op(struct parser *p, enum rule_op *op)
{
	static const struct {
		enum token_kind kind;
		const char *word;
		enum rule_op op;
	} ops[] = {
		{ TOK_EQ, "eq", RULE_OP_EQ }, { TOK_NEQ, "ne", RULE_OP_NEQ }, { TOK_LT, "lt", RULE_OP_LT },
		{ TOK_GT, "gt", RULE_OP_GT }, { TOK_LE, "le", RULE_OP_LE },   { TOK_GE, "ge", RULE_OP_GE },
	};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (config_accept(p, ops[i].kind) || config_accept_word(p, ops[i].word)) {
			*op = ops[i].op;
			return true;
		}
	}
	return false;
}

static bool one_range(struct parser *p, struct rule_match *m, struct rule_range r)
{
	m->range = config_grow(p, NULL, 0, sizeof(r));
	if (m->range == NULL)
		return false;
	m->range[0] = r;
	m->n_ranges = 1;
	return true;
}

static bool set_name(struct parser *p, struct rule_stmt *s)
{
	s->name_pos = config_peek(p)->pos;
	return config_name(p, s->match.set_name, sizeof(s->match.set_name), "a set's name");
}

/* A value of `(key & mask) ^ xor` is one of `key & mask`. False for more than one value in a row. */
static bool fold(struct rule_range *r, uint32_t xor)
{
	if (r->lo != r->hi)
		return xor == 0;
	r->lo = r->hi = r->lo ^ xor;
	return true;
}

static bool fold_values(struct parser *p, struct rule_match *m, const struct bitwise *left, const struct text_pos *pos)
{
	bool ok = left->xor == 0 || (m->set_name[0] == '\0' && (m->op == RULE_OP_EQ || m->op == RULE_OP_NEQ));

	for (size_t i = 0; ok && i < m->n_ranges; i++)
		ok = fold(&m->range[i], left->xor);
	if (!ok)
		config_err(p, pos, "behind \"|\" and \"^\" only single values can be compared here");
	return ok;
}

/* Without an operator the values are compared as a whole. */
static bool masked_values(struct parser *p, struct rule_stmt *s)
{
	struct rule_match *m = &s->match;
	const struct rule_key_info *info = &rule_key_info[m->key];
	uint32_t bits;
	bool comma;

	if (config_accept(p, TOK_AT))
		return set_name(p, s);
	if (info->is_bits && !config_is(p, TOK_LBRACE))
		return config_bits(p, m->key, &bits, &comma) && one_range(p, m, (struct rule_range){ bits, bits });
	if (info->type == RULE_TYPE_ADDRESS && config_is(p, TOK_NUMBER))
		return config_constant(p, m->key, &bits) && one_range(p, m, (struct rule_range){ bits, bits });
	return config_elements(p, m->key, m);
}

static bool check_order(struct parser *p, const struct rule_match *m, const struct token *from)
{
	struct text_pos pos = config_span(p, from);

	if (m->op == RULE_OP_EQ || m->op == RULE_OP_NEQ)
		return true;
	if (m->n_names == 0 && m->n_ranges == 1 && m->range[0].lo == m->range[0].hi)
		return true;
	config_err(p, &pos, "an order such as \"<\" needs one number");
	return false;
}

static bool has_order(struct parser *p, const struct rule_match *m)
{
	const struct rule_key_info *info = &rule_key_info[m->key];

	if (m->op == RULE_OP_EQ || m->op == RULE_OP_NEQ || (info->bits != 0 && !info->is_bits))
		return true;
	config_err(p, &p->last.pos, "values of %s have no order", info->name);
	return false;
}

/* False after a message for what the packet path does not do. */
static bool mask_of(struct parser *p, struct rule_match *m, const struct bitwise *left, const struct text_pos *pos)
{
	m->has_mask = !left->is_plain;
	m->mask = left->mask;
	if (left->shift == 0)
		return true;
	config_err(p, pos, "nft knows shifts in a match, Yangguan does not yet");
	return false;
}

static bool parse_masked(struct parser *p, struct rule_stmt *s, const struct bitwise *left)
{
	struct rule_match *m = &s->match;
	struct token from;
	struct text_pos pos;

	if (accept_op(p, &m->op) && !has_order(p, m))
		return false;
	from = *config_peek(p);
	if (!masked_values(p, s))
		return false;
	pos = config_span(p, &from);
	return check_order(p, m, &from) && fold_values(p, m, left, &pos);
}

/* Keys of bits: any bit in common without an operator, the whole value with one. */
static bool parse_bits(struct parser *p, struct rule_stmt *s, bool has_op)
{
	struct rule_match *m = &s->match;
	struct token from = *config_peek(p);
	struct text_pos pos;
	uint32_t bits, mask;
	bool comma;

	if (config_is(p, TOK_LBRACE)) {
		m->has_mask = true;
		m->mask = rule_key_max(m->key);
		return config_elements(p, m->key, m);
	}
	if (!config_bits(p, m->key, &bits, &comma))
		return false;
	pos = config_span(p, &from);
	if (has_op && m->op == RULE_OP_NEQ && comma && !config_is(p, TOK_SLASH)) {
		config_err(p, &pos,
			   "\"!=\" with a list compares the whole value, as in nft; write != { ... } for \"none of "
			   "these\"");
		return false;
	}
	m->has_mask = has_op;
	m->mask = rule_key_max(m->key);
	if ((!has_op || m->op == RULE_OP_EQ || m->op == RULE_OP_NEQ) && config_accept(p, TOK_SLASH)) {
		if (!config_bits(p, m->key, &mask, &comma))
			return false;
		m->has_mask = true;
		m->mask = mask;
	}
	return one_range(p, m, (struct rule_range){ bits, bits });
}

static bool parse_match(struct parser *p, struct rule_stmt *s, const struct bitwise *left)
{
	struct rule_match *m = &s->match;
	const struct rule_key_info *info = &rule_key_info[m->key];
	struct token from;
	bool has_op;
	uint32_t bits;

	s->kind = STMT_MATCH;
	if (!left->is_plain)
		return parse_masked(p, s, left);
	if (info->is_bits && config_accept(p, TOK_NOT)) {
		m->op = RULE_OP_NEQ;
		return config_bits(p, m->key, &bits, &has_op) && one_range(p, m, (struct rule_range){ bits, bits });
	}
	has_op = accept_op(p, &m->op);
	if (has_op && !has_order(p, m))
		return false;
	from = *config_peek(p);
	if (config_accept(p, TOK_AT)) {
		m->has_mask = info->is_bits;
		m->mask = rule_key_max(m->key);
		return (m->op == RULE_OP_EQ || m->op == RULE_OP_NEQ || check_order(p, m, &from)) && set_name(p, s);
	}
	if (info->is_bits)
		return parse_bits(p, s, has_op);
	if (!config_elements(p, m->key, m) || !check_order(p, m, &from))
		return false;
	/* `meta nfproto ipv6`: whatever follows is not for us. */
	if (m->key == KEY_META_NFPROTO && m->op == RULE_OP_EQ && m->n_ranges == 1 && m->range[0].lo > NFPROTO_IPV4) {
		nft_of(p)->skip_ipv6 = true;
		return false;
	}
	return true;
}

static const struct {
	const char *word;
	enum rule_stmt_kind kind;
} verdicts[] = {
	{ "accept", STMT_ACCEPT },     { "drop", STMT_DROP }, { "return", STMT_RETURN },
	{ "continue", STMT_CONTINUE }, { "jump", STMT_JUMP }, { "goto", STMT_GOTO },
};

static bool vmap_verdict(struct parser *p, struct rule_stmt *s, struct rule_vmap_entry *e)
{
	const char *words[ARRAY_LEN(verdicts)];
	struct token t = *config_peek(p);

	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		words[i] = verdicts[i].word;
		if (!config_accept_word(p, words[i]))
			continue;
		e->verdict = verdicts[i].kind;
		if (e->verdict != STMT_JUMP && e->verdict != STMT_GOTO)
			return true;
		s->name_pos = config_peek(p)->pos;
		return config_name(p, e->chain, sizeof(e->chain), "a chain's name");
	}
	return config_unknown(p, &t, "a verdict", words, ARRAY_LEN(words));
}

static bool vmap_value(struct parser *p, enum rule_key key, const struct bitwise *left, struct rule_vmap_entry *e)
{
	struct token from = *config_peek(p);
	struct text_pos pos;

	e->is_rest = config_accept(p, TOK_STAR);
	if (e->is_rest)
		return true;
	if (rule_key_info[key].type == RULE_TYPE_IFNAME)
		return config_key_name(p, &e->name);
	if (!config_key_value(p, key, &e->range))
		return false;
	if (fold(&e->range, left->xor))
		return true;
	pos = config_span(p, &from);
	config_err(p, &pos, "behind \"|\" and \"^\" only single values can be compared here");
	return false;
}

static bool vmap_entry(struct parser *p, struct rule_stmt *s, const struct bitwise *left)
{
	struct token from = *config_peek(p);
	struct rule_vmap_entry e = { 0 }, *bigger;

	if (!vmap_value(p, s->match.key, left, &e) || !config_element_options(p))
		return false;
	e.pos = config_span(p, &from);
	if (!config_expect(p, TOK_COLON) || !vmap_verdict(p, s, &e))
		return false;
	bigger = config_grow(p, s->vmap, s->n_vmap, sizeof(e));
	if (bigger == NULL)
		return false;
	s->vmap = bigger;
	bigger[s->n_vmap++] = e;
	return true;
}

static bool parse_vmap(struct parser *p, struct rule_stmt *s, const struct bitwise *left)
{
	struct token t = *config_peek(p);

	s->kind = STMT_VMAP;
	if (t.kind == TOK_AT) {
		config_err(p, &t.pos, "nft knows named maps, Yangguan does not yet");
		return false;
	}
	if (!config_expect(p, TOK_LBRACE))
		return false;
	do {
		config_skip_newlines(p);
		if (config_is(p, TOK_RBRACE))
			break;
		if (!vmap_entry(p, s, left))
			return false;
		config_skip_newlines(p);
	} while (config_accept(p, TOK_COMMA));
	if (s->n_vmap == 0)
		return config_expected(p, "a value");
	return config_accept(p, TOK_RBRACE) || config_expected(p, "\",\" or \"}\"");
}

/* Behind `meta mark set` and `ct mark set`. */
static bool parse_set(struct parser *p, struct rule_stmt *s)
{
	struct token from = *config_peek(p);
	struct bitwise v;
	struct text_pos pos;

	if (s->match.key != KEY_META_MARK && s->match.key != KEY_CT_MARK) {
		config_err(p, &p->last.pos, "nft knows \"%s set\", Yangguan does not yet",
			   rule_key_info[s->match.key].name);
		return false;
	}
	s->kind = s->match.key == KEY_META_MARK ? STMT_SET_MARK : STMT_SET_CT_MARK;
	if (!config_bitwise_value(p, KEY_META_MARK, &v))
		return false;
	if (v.has_key && v.key != KEY_META_MARK && v.key != KEY_CT_MARK) {
		pos = config_span(p, &from);
		config_err(p, &pos,
			   "nft knows a mark of \"%s\", Yangguan only of a number, meta mark and ct mark as yet",
			   rule_key_info[v.key].name);
		return false;
	}
	s->value_source = !v.has_key               ? RULE_VALUE_CONSTANT
			  : v.key == KEY_META_MARK ? RULE_VALUE_META_MARK
						   : RULE_VALUE_CT_MARK;
	s->value_shift = v.mask == 0 ? 0 : v.shift; /* no bit is left behind 32 */
	s->value_mask = v.mask;
	s->value = v.xor ;
	return true;
}

/* `tcp option maxseg size set rt mtu` or a number. */
static bool parse_mss(struct parser *p, struct rule_stmt *s)
{
	struct token t;

	s->kind = STMT_SET_MSS;
	config_next(p);
	config_next(p);
	t = *config_peek(p);
	if (!config_accept_word(p, "maxseg") || !config_accept_word(p, "size") || !config_accept_word(p, "set")) {
		config_err(p, &t.pos,
			   "nft knows other options here, Yangguan only \"tcp option maxseg size set\" as yet");
		return false;
	}
	if (config_accept_word(p, "rt"))
		return config_expect_word(p, "mtu");
	return config_number(p, 1, UINT16_MAX, "a segment's size", &s->value);
}

bool config_expr(struct parser *p, struct rule_stmt *s)
{
	struct token from = *config_peek(p), t;
	struct bitwise left;
	struct text_pos pos;

	if (config_is_word(p, "tcp") && token_is(config_peek_at(p, 1), "option"))
		return parse_mss(p, s);
	if (!config_bitwise(p, &left))
		return false;
	pos = config_span(p, &from);
	s->match.key = left.key;
	t = *config_peek(p);
	if (left.is_plain && config_accept_word(p, "set"))
		return parse_set(p, s);
	if (t.kind == TOK_DOT) {
		config_err(p, &t.pos, "nft knows keys joined by \".\", Yangguan does not yet");
		return false;
	}
	if (token_is(&t, "map")) {
		config_refuse_known(p, &t);
		return false;
	}
	if (!mask_of(p, &s->match, &left, &pos))
		return false;
	if (config_accept_word(p, "vmap"))
		return parse_vmap(p, s, &left);
	return parse_match(p, s, &left);
}
