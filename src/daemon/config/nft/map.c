/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Maps from values to addresses, and what is looked up in them: a key of the
 * packet, or a number that numgen or jhash draws. Entries that a number never
 * meets, and numbers without an entry, are good for nft and get a note here.
 */
#include "daemon/config/nft/nft.h"

#include <string.h>

#include "base/ip4.h"

bool config_is_map_number(struct parser *p)
{
	return config_is_word(p, "numgen") || config_is_word(p, "jhash") || config_is_word(p, "symhash") ||
	       config_is_key(p);
}

static bool modulus(struct parser *p, struct rule_number *n)
{
	return config_expect_word(p, "mod") && config_number(p, 1, UINT32_MAX, "the modulus", &n->mod);
}

static bool offset(struct parser *p, struct rule_number *n)
{
	struct token t;

	if (!config_accept_word(p, "offset"))
		return true;
	t = *config_peek(p);
	if (!config_number(p, 0, UINT32_MAX, "the offset", &n->offset))
		return false;
	if (n->offset <= UINT32_MAX - (n->mod - 1))
		return true;
	config_err(p, &t.pos, "with this offset the numbers go beyond 32 bits");
	return false;
}

static bool numgen(struct parser *p, struct rule_number *n)
{
	static const char *const words[] = { "random", "inc" };
	struct token t = *config_peek(p);

	if (!token_is(&t, "random") && !token_is(&t, "inc"))
		return config_unknown(p, &t, "\"random\" or \"inc\"", words, ARRAY_LEN(words));
	config_next(p);
	n->kind = token_is(&t, "random") ? RULE_NUMBER_RANDOM : RULE_NUMBER_INC;
	return modulus(p, n) && offset(p, n);
}

static bool jhash(struct parser *p, struct rule_number *n)
{
	struct token t;

	n->kind = RULE_NUMBER_HASH;
	do {
		t = *config_peek(p);
		if (n->n_keys == RULE_HASH_KEYS_MAX) {
			config_err(p, &t.pos, "jhash takes %d keys at most", RULE_HASH_KEYS_MAX);
			return false;
		}
		if (!config_is_key(p))
			return config_expected(p, "a key such as \"ip saddr\"");
		if (!config_key(p, &n->key[n->n_keys]))
			return false;
		if (rule_key_info[n->key[n->n_keys]].bits == 0) {
			config_err(p, &t.pos, "jhash cannot take the name of an interface");
			return false;
		}
		n->n_keys++;
	} while (config_accept(p, TOK_DOT));
	if (!modulus(p, n))
		return false;
	n->has_seed = config_accept_word(p, "seed");
	if (n->has_seed && !config_number(p, 0, UINT32_MAX, "the seed", &n->seed))
		return false;
	return offset(p, n);
}

bool config_map_number(struct parser *p, struct rule_number *n)
{
	struct token t = *config_peek(p);

	if (config_accept_word(p, "numgen"))
		return numgen(p, n);
	if (config_accept_word(p, "jhash"))
		return jhash(p, n);
	if (token_is(&t, "symhash")) {
		config_refuse_known(p, &t);
		return false;
	}
	n->kind = RULE_NUMBER_KEY;
	n->n_keys = 1;
	if (!config_key(p, &n->key[0]))
		return false;
	t = *config_peek(p);
	if (t.kind == TOK_DOT)
		config_err(p, &t.pos, "nft knows keys joined by \".\", Yangguan does not yet");
	else if (t.kind == TOK_AND || token_is(&t, "and"))
		config_err(p, &t.pos, "nft knows a mask here, Yangguan does not yet");
	return t.kind != TOK_DOT && t.kind != TOK_AND && !token_is(&t, "and");
}

static bool number_range(struct parser *p, struct rule_range *out)
{
	struct token from = *config_peek(p);
	struct text_pos pos;

	if (!config_number(p, 0, UINT32_MAX, "a number", &out->lo))
		return false;
	out->hi = out->lo;
	if (config_accept(p, TOK_DASH) && !config_number(p, 0, UINT32_MAX, "a number", &out->hi))
		return false;
	if (out->lo <= out->hi)
		return true;
	pos = config_span(p, &from);
	config_err(p, &pos, "the range ends before it begins");
	return false;
}

static bool map_value(struct parser *p, struct rule_map_entry *e, bool *has_ports)
{
	struct token t = *config_peek(p);

	if (!config_address(p, &e->addr))
		return false;
	if (e->addr == 0 || ip4_is_multicast(e->addr) || ip4_is_limited_broadcast(e->addr)) {
		config_err(p, &t.pos, "this is no address that a host can have");
		return false;
	}
	t = *config_peek(p);
	if (t.kind == TOK_DASH || t.kind == TOK_SLASH) {
		config_err(p, &t.pos, "an entry of a map has one address");
		return false;
	}
	if (t.kind == TOK_COLON) {
		config_err(p, &t.pos, "in a map the port stands behind a dot, as in \"10.0.0.1 . 80\"");
		return false;
	}
	*has_ports = config_accept(p, TOK_DOT);
	t = *config_peek(p);
	if (!*has_ports || !config_port_range(p, &e->ports.first, &e->ports.last))
		return !*has_ports;
	if (e->ports.first > 0)
		return true;
	config_err(p, &t.pos, "port 0 cannot be used");
	return false;
}

static bool map_key(struct parser *p, const struct rule_map *m, struct rule_map_entry *e)
{
	e->is_rest = config_accept(p, TOK_STAR);
	if (e->is_rest)
		return true;
	if (m->key == N_RULE_KEYS)
		return number_range(p, &e->range);
	if (rule_key_info[m->key].type == RULE_TYPE_IFNAME)
		return config_key_name(p, &e->name);
	return config_key_value(p, m->key, &e->range);
}

static bool map_entry(struct parser *p, struct rule_map *m, bool has_type)
{
	struct token from = *config_peek(p);
	struct rule_map_entry e = { 0 }, *bigger;
	bool has_ports = false;

	if (!map_key(p, m, &e) || !config_element_options(p))
		return false;
	e.pos = config_span(p, &from);
	if (!config_expect(p, TOK_COLON) || !map_value(p, &e, &has_ports))
		return false;
	if (m->n_entries == 0 && !has_type)
		m->has_ports = has_ports;
	if (m->has_ports != has_ports) {
		config_err(p, &e.pos,
			   has_type ? "this entry does not fit the map's type: %s"
				    : "this entry is unlike the first of the map: %s",
			   has_ports ? "it has a port" : "it has no port");
		return false;
	}
	bigger = config_grow(p, m->entry, m->n_entries, sizeof(e));
	if (bigger == NULL)
		return false;
	m->entry = bigger;
	bigger[m->n_entries++] = e;
	return true;
}

bool config_map_entries(struct parser *p, struct rule_map *m, bool has_type)
{
	struct token open = *config_peek(p);

	if (!config_expect(p, TOK_LBRACE))
		return false;
	do {
		config_skip_newlines(p);
		if (config_is(p, TOK_RBRACE))
			break;
		if (!map_entry(p, m, has_type))
			return false;
		config_skip_newlines(p);
	} while (config_accept(p, TOK_COMMA));
	if (!config_accept(p, TOK_RBRACE))
		return config_expected(p, "\",\" or \"}\"");
	if (m->n_entries > 0)
		return true;
	config_err(p, &open.pos, "an empty map");
	return false;
}

void config_map_notes(struct parser *p, const struct rule_number *n, const struct rule_map *m)
{
	uint32_t first = n->offset, last = n->offset + (n->mod - 1);
	uint64_t n_met = 0;

	if (n->kind == RULE_NUMBER_KEY)
		return;
	for (size_t i = 0; i < m->n_entries; i++) {
		const struct rule_map_entry *e = &m->entry[i];
		uint32_t lo = max_u32(e->range.lo, first), hi = min_u32(e->range.hi, last);

		if (e->is_rest) {
			n_met = n->mod;
			continue;
		}
		if (e->range.lo < first || e->range.hi > last)
			config_note(p, &e->pos, "the numbers go from %u to %u: %s", first, last,
				    lo > hi ? "this entry is never met" : "the rest of this entry is never met");
		n_met += lo > hi ? 0 : (uint64_t)hi - lo + 1;
	}
	if (n_met < n->mod)
		config_note(p, &m->pos, "%llu of %u numbers have no entry: this rule leaves such connections alone",
			    (unsigned long long)(n->mod - n_met), n->mod);
}
