/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snat, dnat, masquerade and redirect. `snat to pool NAME` and the flag
 * `preserve` (keep the port when it is free) are ours; all else is nft's.
 * Whether a chain may hold such a statement is asked in src/gateway/rules/check.c.
 */
#include "daemon/config/nft/nft.h"

#include <stdlib.h>

static const struct {
	const char *word;
	uint8_t flag;
} flags[] = {
	{ "random", NAT_FLAG_RANDOM },
	{ "fully-random", NAT_FLAG_RANDOM },
	{ "persistent", NAT_FLAG_PERSISTENT },
	{ "preserve", NAT_FLAG_PRESERVE },
};

static bool flag(struct parser *p, uint8_t *out)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (config_accept_word(p, flags[i].word)) {
			*out |= flags[i].flag;
			return true;
		}
	}
	return false;
}

/* "random,persistent", or nothing. */
static bool nat_flags(struct parser *p, struct nat_action *a)
{
	const char *words[ARRAY_LEN(flags)];
	struct token t;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		words[i] = flags[i].word;
	if (!flag(p, &a->flags))
		return true;
	while (config_accept(p, TOK_COMMA)) {
		t = *config_peek(p);
		if (!flag(p, &a->flags))
			return config_unknown(p, &t, "a flag (random, fully-random, persistent, preserve)", words,
					      ARRAY_LEN(words));
	}
	return true;
}

/* Behind the colon. */
static bool nat_ports(struct parser *p, struct nat_action *a)
{
	struct token from = *config_peek(p);

	if (config_is_map_number(p)) {
		config_err(p, &from.pos, "nft knows maps of ports alone, Yangguan does not yet");
		return false;
	}
	if (!config_port_range(p, &a->ports.first, &a->ports.last))
		return false;
	if (a->ports.first == 0) {
		config_err(p, &from.pos, "port 0 cannot be used");
		return false;
	}
	a->flags |= NAT_FLAG_PORT;
	return true;
}

static bool nat_pool(struct parser *p, struct rule_stmt *s)
{
	s->nat.kind = NAT_ACTION_POOL;
	s->name_pos = config_peek(p)->pos;
	if (!s->nat_is_source) {
		config_err(p, &s->name_pos, "dnat goes to addresses; pools are for snat");
		return false;
	}
	return config_name(p, s->pool, sizeof(s->pool), "a pool's name") && nat_flags(p, &s->nat);
}

static bool is_host(uint32_t addr)
{
	return addr != 0 && !ip4_is_multicast(addr) && !ip4_is_limited_broadcast(addr);
}

/* A, A-B, A/N, each with an optional :P or :P-Q; or :P alone. */
static bool nat_target(struct parser *p, struct rule_stmt *s, bool prefix)
{
	struct nat_action *a = &s->nat;
	struct token from = *config_peek(p);
	struct text_pos pos;
	struct ip4_prefix net;

	if (prefix) {
		if (!config_prefix_strict(p, &net))
			return false;
		a->kind = NAT_ACTION_PREFIX;
		a->range = (struct nat_address_range){ net.addr, net.addr | ~ip4_mask(net.len) };
		a->prefix_len = net.len;
		a->flags |= NAT_FLAG_ADDRESS;
		return nat_flags(p, a);
	}
	a->kind = NAT_ACTION_RANGE;
	if (!config_is(p, TOK_COLON) || nft_of(p)->context.nat_says_ip) {
		if (!config_address_range(p, &a->range.first, &a->range.last))
			return false;
		a->flags |= NAT_FLAG_ADDRESS;
		pos = config_span(p, &from);
		if (!is_host(a->range.first) || !is_host(a->range.last)) {
			config_err(p, &pos, "these are no addresses that a host can have");
			return false;
		}
	}
	if (config_accept(p, TOK_COLON) && !nat_ports(p, a))
		return false;
	return nat_flags(p, a);
}

/* `NUMBER map { ... }` or `NUMBER map @NAME`, each with an optional :P or :P-Q. */
static bool nat_map(struct parser *p, struct rule_stmt *s)
{
	struct rule_nat_map *m = calloc(1, sizeof(*m));
	struct token t;

	s->map = m;
	if (m == NULL) {
		p->no_memory = true;
		return false;
	}
	s->nat.kind = NAT_ACTION_RANGE;
	s->nat.flags = NAT_FLAG_ADDRESS;
	m->own.pos = config_peek(p)->pos;
	if (!config_map_number(p, &m->number) || !config_expect_word(p, "map"))
		return false;
	m->own.key = m->number.kind == RULE_NUMBER_KEY ? m->number.key[0] : N_RULE_KEYS;
	t = *config_peek(p);
	if (!config_accept(p, TOK_AT)) {
		if (!config_map_entries(p, &m->own, false))
			return false;
		config_map_notes(p, &m->number, &m->own);
	} else if (m->number.kind != RULE_NUMBER_KEY) {
		config_err(p, &t.pos, "numgen and jhash need their map here, in braces");
		return false;
	} else {
		s->name_pos = config_peek(p)->pos;
		if (!config_name(p, m->name, sizeof(m->name), "a map's name"))
			return false;
	}
	if (config_accept(p, TOK_COLON) && !nat_ports(p, &s->nat))
		return false;
	return nat_flags(p, &s->nat);
}

static bool nat_to_address(struct parser *p, struct rule_stmt *s)
{
	struct token t = *config_peek(p);
	bool prefix, addr_port = false;

	if (token_is(&t, "ip6")) {
		nft_of(p)->skip_ipv6 = true;
		return false;
	}
	nft_of(p)->context.nat_says_ip = config_accept_word(p, "ip");
	if (nft_of(p)->context.nat_says_ip && config_accept_word(p, "addr")) {
		addr_port = true;
		if (!config_expect(p, TOK_DOT) || !config_expect_word(p, "port"))
			return false;
	}
	prefix = config_accept_word(p, "prefix");
	if (!config_expect_word(p, "to"))
		return false;
	t = *config_peek(p);
	if (t.kind == TOK_ADDRESS6) {
		nft_of(p)->skip_ipv6 = true;
		return false;
	}
	if (config_accept_word(p, "pool"))
		return nat_pool(p, s);
	if (config_is_map_number(p) && !prefix)
		return nat_map(p, s);
	if (config_is_map_number(p)) {
		config_err(p, &t.pos, "nft knows maps of prefixes, Yangguan does not yet");
		return false;
	}
	if (addr_port)
		return config_expected(p, "a map of addresses and ports");
	return nat_target(p, s, prefix);
}

bool config_nat(struct parser *p, const struct token *word, struct rule_stmt *s)
{
	struct nat_action *a = &s->nat;

	s->nat_is_source = token_is(word, "snat") || token_is(word, "masquerade");
	if (token_is(word, "snat") || token_is(word, "dnat"))
		return nat_to_address(p, s);
	a->kind = s->nat_is_source ? NAT_ACTION_MASQUERADE : NAT_ACTION_REDIRECT;
	if (config_accept_word(p, "to") && (!config_expect(p, TOK_COLON) || !nat_ports(p, a)))
		return false;
	return nat_flags(p, a);
}
