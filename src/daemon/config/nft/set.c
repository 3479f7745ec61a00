/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Named sets and maps of a table. Those for IPv6 are left out with a note, as
 * rules for IPv6 are. Sets and maps share their names, as in nft. One that is
 * declared again grows by the elements that stand there.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/config/nft/nft.h"

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
	const char *what; /* "set" or "map" */
	struct text_pos name_pos;
	set_part_fn *type, *elements;
	enum rule_key *key; /* N_RULE_KEYS until the type is known */
	bool skip;          /* it is for IPv6 */
	bool is_interval, auto_merge;
	uint32_t size;
	struct text_pos interval; /* of the first element that needs `flags interval` */
	struct token *early;      /* elements before the type: read when it is known */
	size_t n_early;
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

static bool set_flags(struct parser *p, struct set_place *at)
{
	static const char *const words[] = { "interval", "constant" };

	do {
		struct token t = *config_peek(p);

		if (config_accept_word(p, "interval"))
			at->is_interval = true;
		else if (!config_accept_word(p, "constant"))
			return config_unknown(p, &t, "\"interval\" or \"constant\"", words, ARRAY_LEN(words));
	} while (config_accept(p, TOK_COMMA));
	return config_end(p);
}

static bool set_elements(struct parser *p, struct set_place *at)
{
	struct rule_set *set = &at->t->set[at->i];
	struct rule_match m = { .key = set->key };
	bool ok;

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

static bool keep_token(struct parser *p, struct set_place *at, const struct token *t)
{
	struct token *bigger = config_grow(p, at->early, at->n_early, sizeof(*t));

	if (bigger == NULL)
		return false;
	at->early = bigger;
	bigger[at->n_early++] = *t;
	return true;
}

/* `elements = { ... }` with `word` before the type: put aside to its end. */
static bool elements_early(struct parser *p, struct set_place *at, const struct token *word)
{
	static const struct token end = { .kind = TOK_SEMICOLON, .text = ";", .len = 1, .src = ";", .src_len = 1 };
	uint32_t depth = p->brace_depth;

	at->n_early = 0; /* the last of several counts, as it does behind the type */
	free(at->early);
	at->early = NULL;
	if (!keep_token(p, at, word))
		return false;
	while (p->brace_depth > depth || !config_at_end(p)) {
		struct token t = *config_peek(p);

		if (t.kind == TOK_END || t.kind == TOK_SILENT)
			return t.kind == TOK_END && config_expected(p, "\"}\"");
		if (at->n_early == CONFIG_EXPANDED_MAX) {
			config_err(p, &t.pos, "so many elements must stand behind the type");
			return false;
		}
		config_next(p);
		if (t.kind != TOK_NEWLINE && !keep_token(p, at, &t))
			return false;
	}
	return keep_token(p, at, &end) && config_end(p);
}

/* The type is known: what was put aside comes next. */
static void elements_again(struct parser *p, struct set_place *at)
{
	struct token *early = at->early;

	at->early = NULL;
	if (early != NULL)
		config_push_tokens(p, early, at->n_early);
}

static bool elements(struct parser *p, struct set_place *at)
{
	struct token word = *config_peek(p);
	bool ok;

	config_next(p);
	if (*at->key == N_RULE_KEYS)
		return elements_early(p, at, &word);
	nft_of(p)->interval = (struct text_pos){ 0 };
	ok = at->elements(p, at);
	at->interval = nft_of(p)->interval;
	return ok;
}

/* What sets and maps have in common. True when it was one of these. */
static bool set_option(struct parser *p, struct set_place *at, bool *ok)
{
	if (config_accept_word(p, "comment")) {
		*ok = config_quoted(p);
	} else if (config_accept_word(p, "auto-merge")) {
		at->auto_merge = true;
		*ok = true;
	} else if (config_accept_word(p, "size")) {
		*ok = config_number(p, 0, UINT32_MAX, "a size", &at->size);
	} else if (config_accept_word(p, "policy")) {
		*ok = config_accept_word(p, "memory") || config_expect_word(p, "performance");
	} else {
		return false;
	}
	*ok = *ok && config_end(p);
	return true;
}

static bool statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "type", "flags", "elements", "auto-merge", "policy", "comment", "size" };
	struct set_place *at = ctx;
	struct token t = *config_peek(p);
	bool ok, done;

	if (at->skip) {
		config_skip_statement(p);
		return config_end(p);
	}
	ok = config_common(p, &done);
	if (done)
		return ok;
	if (config_accept_word(p, "type")) {
		ok = at->type(p, at);
		if (ok && !at->skip)
			elements_again(p, at);
		return ok;
	}
	if (config_accept_word(p, "flags"))
		return set_flags(p, at);
	if (config_is_word(p, "elements"))
		return elements(p, at);
	if (set_option(p, at, &ok))
		return ok;
	return config_unknown(p, &t, "type, flags, elements or comment", words, ARRAY_LEN(words));
}

/* The block behind the name. False when nothing of it can be used. */
static bool block(struct parser *p, struct set_place *at, const char *name)
{
	size_t before = config_n_errors(*p->errors);
	bool ok = config_block(p, statement, at);

	free(at->early);
	if (ok && *at->key == N_RULE_KEYS && !at->skip && config_n_errors(*p->errors) == before)
		config_err(p, &at->name_pos, "%s \"%s\" has no type", at->what, name);
	p->n_harmless += ok && at->interval.line != 0 && !at->is_interval;
	if (ok && at->interval.line != 0 && !at->is_interval)
		config_err(p, &at->interval, "prefixes, ranges and names with \"*\" need \"flags interval\" in the %s",
			   at->what);
	p->n_harmless += ok && at->auto_merge && !at->is_interval && !at->skip;
	if (ok && at->auto_merge && !at->is_interval && !at->skip)
		config_err(p, &at->name_pos, "auto-merge is for a %s with \"flags interval\"", at->what);
	return ok && *at->key != N_RULE_KEYS;
}

/* A set that is there already grows when it is declared alike, as in nft. */
static bool alike(struct parser *p, const struct set_place *at, bool same, const char *name, uint32_t line)
{
	p->n_harmless += !same;
	if (!same)
		config_err(p, &at->name_pos, "%s \"%s\" is declared otherwise in line %u", at->what, name, line);
	return same;
}

static bool new_name(struct parser *p, const struct rule_table *t, char *out, bool is_map)
{
	struct token name = *config_peek(p);
	uint32_t other;

	if (!config_own_name(p, out, is_map ? "a map's name" : "a set's name"))
		return false;
	other = is_map ? rules_find_set(t, out) : rules_find_map(t, out);
	if (other == UINT32_MAX)
		return true;
	config_err(p, &name.pos, "table \"%s\" has a %s called \"%s\" already", t->name, is_map ? "set" : "map", out);
	return false;
}

static bool set_grow(struct parser *p, struct rule_set *old, const struct rule_set *more)
{
	for (size_t i = 0; i < more->n_ranges; i++) {
		struct rule_range *bigger = config_grow(p, old->range, old->n_ranges, sizeof(*bigger));

		if (bigger == NULL)
			return false;
		old->range = bigger;
		bigger[old->n_ranges++] = more->range[i];
	}
	for (size_t i = 0; i < more->n_names; i++) {
		struct rule_name *bigger = config_grow(p, old->ifname, old->n_names, sizeof(*bigger));

		if (bigger == NULL)
			return false;
		old->ifname = bigger;
		bigger[old->n_names++] = more->ifname[i];
	}
	return true;
}

bool config_set(struct parser *p, struct rule_table *t)
{
	struct set_place at = { .t = t,
				.i = t->n_sets,
				.what = "set",
				.name_pos = config_peek(p)->pos,
				.type = set_type,
				.elements = set_elements };
	char text[AST_NAME_MAX];
	struct rule_set *s;
	uint32_t old;
	bool ok;

	if (!new_name(p, t, text, false))
		return false;
	old = rules_find_set(t, text);
	s = config_grow(p, t->set, t->n_sets, sizeof(*s));
	if (s == NULL)
		return false;
	t->set = s;
	s = &t->set[t->n_sets++];
	*s = (struct rule_set){ .pos = at.name_pos, .key = N_RULE_KEYS };
	memcpy(s->name, text, sizeof(text));
	at.key = &s->key;
	ok = block(p, &at, text);
	s->is_interval = at.is_interval;
	s->auto_merge = at.auto_merge;
	s->max_items = at.size;
	if (ok && old != UINT32_MAX &&
	    alike(p, &at, t->set[old].key == s->key && t->set[old].is_interval == s->is_interval, text,
		  t->set[old].pos.line)) {
		ok = set_grow(p, &t->set[old], s);
		t->set[old].auto_merge |= s->auto_merge;
	}
	if (!ok || old != UINT32_MAX) {
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

	free(m->entry);
	m->entry = NULL;
	m->n_entries = 0;
	return config_expect(p, TOK_ASSIGN) && config_map_entries(p, m, true) && config_end(p);
}

static bool map_grow(struct parser *p, struct rule_map *old, const struct rule_map *more)
{
	for (size_t i = 0; i < more->n_entries; i++) {
		struct rule_map_entry *bigger = config_grow(p, old->entry, old->n_entries, sizeof(*bigger));

		if (bigger == NULL)
			return false;
		old->entry = bigger;
		bigger[old->n_entries++] = more->entry[i];
	}
	return true;
}

bool config_map(struct parser *p, struct rule_table *t)
{
	struct set_place at = { .t = t,
				.i = t->n_maps,
				.what = "map",
				.name_pos = config_peek(p)->pos,
				.type = map_type,
				.elements = map_elements };
	char text[AST_NAME_MAX];
	struct rule_map *m;
	uint32_t old;
	bool ok;

	if (!new_name(p, t, text, true))
		return false;
	old = rules_find_map(t, text);
	m = config_grow(p, t->map, t->n_maps, sizeof(*m));
	if (m == NULL)
		return false;
	t->map = m;
	m = &t->map[t->n_maps++];
	*m = (struct rule_map){ .pos = at.name_pos, .key = N_RULE_KEYS };
	memcpy(m->name, text, sizeof(text));
	at.key = &m->key;
	ok = block(p, &at, text);
	m->is_interval = at.is_interval;
	m->max_items = at.size;
	if (ok && old != UINT32_MAX &&
	    alike(p, &at,
		  t->map[old].key == m->key && t->map[old].has_ports == m->has_ports &&
			  t->map[old].is_interval == m->is_interval,
		  text, t->map[old].pos.line))
		ok = map_grow(p, &t->map[old], m);
	if (!ok || old != UINT32_MAX) {
		rule_map_clear(m);
		t->n_maps--;
	}
	return config_index_names(p, t);
}
