/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The values that a key is compared with: by the key's type a number, a name
 * from its list, an address or prefix, a port or service, or an interface; each
 * alone, as a range, or in a set with braces. Sets in sets are laid out flat, as
 * a definition that holds a set brings them.
 */
#include "daemon/config/nft/nft.h"

#include <string.h>

/* The value of a word of this type; false when it has none. */
static bool symbol(enum rule_type type, const struct token *t, uint32_t *out)
{
	size_t n;
	const struct rule_symbol *s = rule_symbols(type, &n);

	for (size_t i = 0; i < n; i++) {
		if (token_is(t, s[i].name)) {
			*out = s[i].value;
			return true;
		}
	}
	return type == RULE_TYPE_PORT && t->kind == TOK_WORD && config_service(t, out);
}

bool config_is_symbol(struct parser *p, enum rule_key key)
{
	uint32_t unused;

	return symbol(rule_key_info[key].type, config_peek(p), &unused);
}

static bool unknown_symbol(struct parser *p, enum rule_key key, const struct token *t)
{
	const char *words[64];
	char what[96];
	size_t n;
	const struct rule_symbol *s = rule_symbols(rule_key_info[key].type, &n);

	n = n < ARRAY_LEN(words) ? n : ARRAY_LEN(words);
	for (size_t i = 0; i < n; i++)
		words[i] = s[i].name;
	snprintf(what, sizeof(what), "a value of %s", rule_key_info[key].name);
	return config_unknown(p, t, what, words, n);
}

bool config_scalar(struct parser *p, enum rule_key key, uint32_t *out)
{
	struct token t = *config_peek(p);

	if (rule_key_info[key].type == RULE_TYPE_ADDRESS && t.kind != TOK_NUMBER)
		return config_address(p, out);
	if (t.kind == TOK_BIG_NUMBER || (t.kind == TOK_NUMBER && t.value > rule_key_max(key))) {
		config_err(p, &t.pos, "%s is at most %u", rule_key_info[key].name, rule_key_max(key));
		return false;
	}
	if (t.kind == TOK_NUMBER) {
		*out = (uint32_t)t.value;
	} else if (t.kind == TOK_STRING && rule_key_info[key].type == RULE_TYPE_MARK) {
		return config_expected(p, "a number");
	} else if (t.kind != TOK_WORD || !symbol(rule_key_info[key].type, &t, out)) {
		return unknown_symbol(p, key, &t);
	}
	config_next(p);
	return true;
}

static void saw_interval(struct parser *p, const struct token *from)
{
	if (nft_of(p)->interval.line == 0)
		nft_of(p)->interval = config_span(p, from);
}

static bool address_value(struct parser *p, struct rule_range *out)
{
	struct token from = *config_peek(p);
	struct nat_address_range r;

	if (!config_address_range(p, &r.first, &r.last))
		return false;
	*out = (struct rule_range){ r.first, r.last };
	if (p->last.kind != TOK_ADDRESS || r.first != r.last)
		saw_interval(p, &from);
	return true;
}

bool config_key_value(struct parser *p, enum rule_key key, struct rule_range *out)
{
	struct token from = *config_peek(p);
	struct text_pos pos;

	if (rule_key_info[key].type == RULE_TYPE_ADDRESS)
		return address_value(p, out);
	if (!config_constant(p, key, &out->lo))
		return false;
	out->hi = out->lo;
	if (!config_accept(p, TOK_DASH))
		return true;
	if (!config_constant(p, key, &out->hi))
		return false;
	saw_interval(p, &from);
	if (out->lo <= out->hi)
		return true;
	pos = config_span(p, &from);
	config_err(p, &pos, "the range ends before it begins");
	return false;
}

bool config_key_name(struct parser *p, struct rule_name *out)
{
	struct token t = *config_peek(p);
	size_t len;

	if (t.kind == TOK_NUMBER) {
		config_err(p, &t.pos, "expected the name of an interface: the kernel's numbers mean nothing here");
		return false;
	}
	if (!config_name(p, out->name, sizeof(out->name), "the name of an interface"))
		return false;
	len = strlen(out->name);
	out->wildcard = out->name[len - 1] == '*';
	if (!out->wildcard)
		return true;
	if (len == 1) {
		config_err(p, &t.pos, "a \"*\" alone stands for every interface: leave the match out");
		return false;
	}
	out->name[len - 1] = '\0';
	saw_interval(p, &t);
	return true;
}

bool config_bits(struct parser *p, enum rule_key key, uint32_t *out, bool *comma)
{
	uint32_t bits;

	*out = 0;
	*comma = false;
	for (;;) {
		if (!config_constant(p, key, &bits))
			return false;
		*out |= bits;
		if (!config_accept(p, TOK_COMMA))
			return true;
		*comma = true;
	}
}

static bool element(struct parser *p, enum rule_key key, struct rule_match *m)
{
	struct rule_name name = { 0 }, *names;
	struct rule_range range = { 0, rule_key_max(key) }, *ranges;
	bool all = p->nesting > 0 && config_accept(p, TOK_STAR); /* in a set "*" is every value */

	if (rule_key_info[key].type == RULE_TYPE_IFNAME) {
		name.wildcard = all;
		if (!all && !config_key_name(p, &name))
			return false;
		names = config_grow(p, m->name, m->n_names, sizeof(name));
		if (names == NULL)
			return false;
		m->name = names;
		names[m->n_names++] = name;
		return true;
	}
	if (!all && !config_key_value(p, key, &range))
		return false;
	ranges = config_grow(p, m->range, m->n_ranges, sizeof(range));
	if (ranges == NULL)
		return false;
	m->range = ranges;
	ranges[m->n_ranges++] = range;
	return true;
}

bool config_element_options(struct parser *p)
{
	static const char *const refused[] = { "timeout", "expires", "counter", "limit", "quota", "last" };
	struct token t = *config_peek(p);

	if (config_accept_word(p, "comment"))
		return config_expect(p, TOK_STRING);
	if (t.kind == TOK_DOT) {
		config_err(p, &t.pos, "nft knows values joined by \".\", Yangguan does not yet");
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (token_is(&t, refused[i])) {
			config_err(p, &t.pos, "nft knows \"%s\" of an element, Yangguan does not yet", refused[i]);
			return false;
		}
	}
	return true;
}

/* Behind the opening brace, to the closing one. */
static bool set_body(struct parser *p, enum rule_key key, struct rule_match *m)
{
	if (++p->nesting > CONFIG_NESTING_MAX) {
		config_err(p, &p->last.pos, "more than %d parentheses or braces within each other", CONFIG_NESTING_MAX);
		return false;
	}
	do {
		config_skip_newlines(p);
		if (config_is(p, TOK_RBRACE))
			break;
		if (config_accept(p, TOK_LBRACE)) {
			if (!set_body(p, key, m))
				return false;
		} else if (!element(p, key, m) || !config_element_options(p)) {
			return false;
		}
		config_skip_newlines(p);
	} while (config_accept(p, TOK_COMMA));
	p->nesting--;
	return config_accept(p, TOK_RBRACE) || config_expected(p, "\",\" or \"}\"");
}

bool config_elements(struct parser *p, enum rule_key key, struct rule_match *m)
{
	struct token open = *config_peek(p);

	if (!config_accept(p, TOK_LBRACE))
		return element(p, key, m);
	p->nesting = 0;
	if (!set_body(p, key, m))
		return false;
	if (m->n_ranges > 0 || m->n_names > 0)
		return true;
	config_err(p, &open.pos, "an empty set");
	return false;
}
