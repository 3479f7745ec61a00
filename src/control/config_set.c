/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Named sets and maps of a table. Those for IPv6 are left out with a note, as
 * rules for IPv6 are. Sets and maps share their names, as in nft.
 */
#include <stdlib.h>
#include <string.h>

#include "control/config_priv.h"

static const struct {
	const char *word;
	enum rule_key key;
} set_types[] = {
	{ "ipv4_addr", KEY_IP_SADDR },    { "inet_service", KEY_TCP_DPORT }, { "inet_proto", KEY_IP_PROTOCOL },
	{ "ifname", KEY_META_IIFNAME },   { "mark", KEY_META_MARK },         { "icmp_type", KEY_ICMP_TYPE },
	{ "icmp_code", KEY_ICMP_CODE },   { "ct_state", KEY_CT_STATE },      { "dscp", KEY_IP_DSCP },
	{ "pkt_type", KEY_META_PKTTYPE },
};

struct set_place;
typedef bool set_part_fn(struct parser *p, struct set_place *at);

/* A block being read, of a set or a map. Tables do not move while it is. */
struct set_place {
	struct rule_table *t;
	size_t i;
	set_part_fn *type, *elements;
	bool skip; /* it is for IPv6 */
};

/* One type's key; *skip for IPv6. */
static bool set_key(struct parser *p, enum rule_key *key, bool *skip)
{
	const char *words[ARRAY_LEN(set_types)];
	struct token t = *config_peek(p), next;

	if (config_accept_word(p, "ipv6_addr")) {
		*skip = true;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(set_types); i++) {
		words[i] = set_types[i].word;
		if (token_is(&t, words[i]))
			*key = set_types[i].key;
	}
	if (*key == N_RULE_KEYS && (token_is(&t, "ether_addr") || token_is(&t, "ifindex"))) {
		config_err(p, &t.pos, "nft knows sets of type \"%.*s\", Yangguan does not yet", (int)t.len, t.text);
		return false;
	}
	if (*key == N_RULE_KEYS)
		return config_unknown(p, &t, "a type (ipv4_addr, inet_service, inet_proto, ifname, mark ...)", words,
				      ARRAY_LEN(words));
	config_next(p);
	next = *config_peek(p);
	if (next.kind != TOK_DOT)
		return true;
	config_err(p, &next.pos, "nft knows types joined by \".\", Yangguan does not yet");
	return false;
}

static bool set_type(struct parser *p, struct set_place *at)
{
	struct rule_set *set = &at->t->set[at->i];

	set->key = N_RULE_KEYS;
	if (!set_key(p, &set->key, &at->skip))
		return false;
	if (!at->skip)
		return config_end(p);
	config_note(p, &set->pos, "set \"%s\" is for IPv6 and is left out", set->name);
	return true;
}

static bool set_flags(struct parser *p)
{
	static const char *const words[] = { "interval", "constant" };

	do {
		struct token t = *config_peek(p);

		if (!config_accept_word(p, "interval") && !config_accept_word(p, "constant"))
			return config_unknown(p, &t, "\"interval\" or \"constant\"", words, ARRAY_LEN(words));
	} while (config_accept(p, TOK_COMMA));
	return config_end(p);
}

static bool set_elements(struct parser *p, struct set_place *at)
{
	struct rule_set *set = &at->t->set[at->i];
	struct rule_match m = { .key = set->key };
	bool ok;

	if (set->key == N_RULE_KEYS) {
		struct token t = *config_peek(p);

		config_err(p, &t.pos, "the set's type must come before its elements");
		return false;
	}
	ok = config_expect(p, TOK_ASSIGN) && (config_is(p, TOK_LBRACE) || config_expected(p, "\"{\"")) &&
	     config_elements(p, set->key, &m);
	free(set->range);
	free(set->ifname);
	set->range = m.range;
	set->n_ranges = m.n_ranges;
	set->ifname = m.name;
	set->n_names = m.n_names;
	return ok && config_end(p);
}

/* What sets and maps have in common and needs nothing of us. True when it was one of these. */
static bool set_option(struct parser *p, bool *ok)
{
	uint32_t n;

	if (config_accept_word(p, "comment"))
		*ok = config_quoted(p);
	else if (config_accept_word(p, "auto-merge")) /* ours are always merged */
		*ok = true;
	else if (config_accept_word(p, "size")) /* sets do not grow while we run */
		*ok = config_number(p, 1, UINT32_MAX, "a size", &n);
	else if (config_accept_word(p, "policy"))
		*ok = config_accept_word(p, "memory") || config_expect_word(p, "performance");
	else
		return false;
	*ok = *ok && config_end(p);
	return true;
}

static bool statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "type", "flags", "elements", "auto-merge", "policy", "comment", "size" };
	struct set_place *at = ctx;
	struct token t = *config_peek(p);
	bool ok;

	if (at->skip) {
		config_skip_statement(p);
		return config_end(p);
	}
	if (config_accept_word(p, "type"))
		return at->type(p, at);
	if (config_accept_word(p, "flags"))
		return set_flags(p);
	if (config_accept_word(p, "elements"))
		return at->elements(p, at);
	if (set_option(p, &ok))
		return ok;
	return config_unknown(p, &t, "type, flags, elements or comment", words, ARRAY_LEN(words));
}

static bool new_name(struct parser *p, const struct rule_table *t, char *out, const char *what)
{
	struct token name = *config_peek(p);
	const char *taken;

	if (!config_name(p, out, AST_NAME_MAX, what))
		return false;
	taken = rules_find_set(t, out) != UINT32_MAX ? "set" : rules_find_map(t, out) != UINT32_MAX ? "map" : NULL;
	if (taken == NULL)
		return true;
	config_err(p, &name.pos, "table \"%s\" has a %s called \"%s\" already", t->name, taken, out);
	return false;
}

bool config_set(struct parser *p, struct rule_table *t)
{
	struct token name = *config_peek(p);
	struct set_place at = { .t = t, .i = t->n_sets, .type = set_type, .elements = set_elements };
	char text[AST_NAME_MAX];
	struct rule_set *s;

	if (!new_name(p, t, text, "a set's name"))
		return false;
	s = config_grow(p, t->set, t->n_sets, sizeof(*s));
	if (s == NULL)
		return false;
	t->set = s;
	s = &t->set[t->n_sets++];
	*s = (struct rule_set){ .pos = name.pos, .key = N_RULE_KEYS };
	memcpy(s->name, text, sizeof(text));
	if (!config_block(p, statement, &at))
		return false;
	if (s->key == N_RULE_KEYS && !at.skip)
		config_err(p, &name.pos, "set \"%s\" has no type", text);
	if (s->key == N_RULE_KEYS) {
		rule_set_clear(s);
		t->n_sets--;
	}
	return config_index_names(p, t);
}

/* `KEY : ipv4_addr [. inet_service]` */
static bool map_type(struct parser *p, struct set_place *at)
{
	struct rule_map *m = &at->t->map[at->i];
	enum rule_key key = N_RULE_KEYS;
	struct token t;

	if (!set_key(p, &key, &at->skip) || !config_expect(p, TOK_COLON))
		return false;
	t = *config_peek(p);
	at->skip |= config_accept_word(p, "ipv6_addr");
	if (at->skip) {
		config_note(p, &m->pos, "map \"%s\" is for IPv6 and is left out", m->name);
		config_skip_statement(p);
		return config_end(p);
	}
	if (!config_accept_word(p, "ipv4_addr")) {
		if (t.kind != TOK_WORD)
			return config_expected(p, "ipv4_addr");
		config_err(p, &t.pos, "nft knows maps to \"%.*s\", Yangguan does not yet (only to ipv4_addr)",
			   (int)(t.len > 64 ? 64 : t.len), t.text);
		return false;
	}
	m->has_ports = config_accept(p, TOK_DOT);
	if (m->has_ports && !config_expect_word(p, "inet_service"))
		return false;
	m->key = key;
	return config_end(p);
}

static bool map_elements(struct parser *p, struct set_place *at)
{
	struct rule_map *m = &at->t->map[at->i];
	struct token t = *config_peek(p);

	if (m->key == N_RULE_KEYS) {
		config_err(p, &t.pos, "the map's type must come before its elements");
		return false;
	}
	free(m->entry);
	m->entry = NULL;
	m->n_entries = 0;
	return config_expect(p, TOK_ASSIGN) && config_map_entries(p, m, true) && config_end(p);
}

bool config_map(struct parser *p, struct rule_table *t)
{
	struct token name = *config_peek(p);
	struct set_place at = { .t = t, .i = t->n_maps, .type = map_type, .elements = map_elements };
	size_t before = config_n_errors(*p->errors);
	char text[AST_NAME_MAX];
	struct rule_map *m;

	if (!new_name(p, t, text, "a map's name"))
		return false;
	m = config_grow(p, t->map, t->n_maps, sizeof(*m));
	if (m == NULL)
		return false;
	t->map = m;
	m = &t->map[t->n_maps++];
	*m = (struct rule_map){ .pos = name.pos, .key = N_RULE_KEYS };
	memcpy(m->name, text, sizeof(text));
	if (!config_block(p, statement, &at))
		return false;
	if (m->key == N_RULE_KEYS && !at.skip && config_n_errors(*p->errors) == before)
		config_err(p, &name.pos, "map \"%s\" has no type", text);
	if (m->key == N_RULE_KEYS) {
		rule_map_clear(m);
		t->n_maps--;
	}
	return config_index_names(p, t);
}
