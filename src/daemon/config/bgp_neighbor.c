/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `neighbor NAME { ... }` within `bgp`: one neighbour, or whoever connects from a prefix.
 *
 * A password stands in quotes behind its own word and nowhere else (no `define`), so that
 * whatever quotes the config, a message or a recording, can leave it out without knowing
 * more of the language than that (lang/secret.c). What is wrong with one is told without a
 * letter of it.
 */
#include <string.h>

#include "daemon/config/bgp_priv.h"

/* 0 (RFC 7607), 23456 (RFC 6793), 65535 and 4294967295 (RFC 7300) are nobody's. */
bool config_bgp_as(struct parser *p, uint32_t *out)
{
	struct text_pos pos = config_peek(p)->pos;

	if (!config_number(p, 1, UINT32_MAX - 1, "the number of an AS", out))
		return false;
	if (*out != 23456 && *out != UINT16_MAX)
		return true;
	config_err(p, &pos, "AS %u is nobody's (%s)", *out, *out == UINT16_MAX ? "RFC 7300" : "RFC 6793");
	return true;
}

bool config_bgp_host(struct parser *p, uint32_t *out)
{
	struct text_pos pos = config_peek(p)->pos;

	if (!config_address(p, out))
		return false;
	if (!ip4_is_unicast(*out))
		config_err(p, &pos, "no host has this address");
	return true;
}

static bool read_address(struct parser *p, struct config_bgp_neighbor *n)
{
	n->has_address = true;
	n->session.peers.len = 32;
	return config_bgp_host(p, &n->session.peers.addr) && config_bgp_port(p, &n->session.port);
}

/* range PREFIX limit N */
static bool read_range(struct parser *p, struct config_bgp_neighbor *n)
{
	struct text_pos pos = config_peek(p)->pos;

	n->has_range = true;
	if (!config_prefix_strict(p, &n->session.peers))
		return false;
	if (n->session.peers.len == 32)
		config_err(p, &pos, "a range is more than one address: say `address` for that");
	return config_expect_word(p, "limit") &&
	       config_number(p, 1, BGP_NEIGHBORS_MAX, "a limit of neighbours", &n->session.dynamic_max);
}

static bool read_as(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_bgp_as(p, &n->session.peer_as);
}

static bool read_local(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_bgp_host(p, &n->session.local_addr);
}

static bool read_passive(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_yes_no(p, &n->session.is_passive);
}

/* A time within bounds, as a session has them. */
static bool read_seconds(struct parser *p, uint32_t min, const char *what, uint16_t *out)
{
	struct text_pos pos = config_peek(p)->pos;
	uint32_t s;

	if (!config_seconds(p, &s))
		return false;
	*out = (uint16_t)s;
	/* The greatest stands for none. */
	if (s < min || s >= UINT16_MAX)
		config_err(p, &pos, "%s must be %us to %us", what, min, UINT16_MAX - 1);
	return true;
}

/* `off`: none is asked for (RFC 4271 4.2). */
static bool read_hold(struct parser *p, struct config_bgp_neighbor *n)
{
	n->session.hold_s = BGP_HOLD_NONE;
	return config_accept_word(p, "off") || read_seconds(p, BGP_HOLD_MIN_S, "hold time", &n->session.hold_s);
}

static bool read_connect_retry(struct parser *p, struct config_bgp_neighbor *n)
{
	return read_seconds(p, 1, "connect retry", &n->session.connect_retry_s);
}

static bool no_hops_yet(struct parser *p, const struct config_bgp_neighbor *n)
{
	if (n->session.hops != 0)
		config_err(p, &p->last.pos, "multihop and ttl security exclude each other: say `ttl security hops N`");
	return n->session.hops == 0;
}

/* ttl security yes|no|hops N */
static bool read_ttl_security(struct parser *p, struct config_bgp_neighbor *n)
{
	static const char *const words[] = { "yes", "no", "hops" };
	struct token t = *config_peek(p);
	uint32_t hops = 1;

	if (config_accept_word(p, "no"))
		return true;
	if (!no_hops_yet(p, n))
		return false;
	if (!config_accept_word(p, "yes")) {
		if (!config_accept_word(p, "hops"))
			return config_unknown(p, &t, "yes, no or hops N", words, ARRAY_LEN(words));
		if (!config_number(p, 1, 254, "hops", &hops))
			return false;
	}
	n->session.ttl_security = true;
	n->session.hops = (uint8_t)hops;
	return true;
}

static bool read_multihop(struct parser *p, struct config_bgp_neighbor *n)
{
	uint32_t hops;

	if (!no_hops_yet(p, n))
		return false;
	if (!config_number(p, 1, 255, "multihop", &hops))
		return false;
	n->session.hops = (uint8_t)hops;
	return true;
}

/* What is wrong with the word that should be a password; NULL: nothing. */
static const char *password_is_bad(const struct token *t, const struct token *word)
{
	if (t->pos.line != word->pos.line || t->pos.file != word->pos.file)
		return "a password stands in quotes, on the line of its word";
	if (t->kind == TOK_OPEN_STRING)
		return "this password has no closing quote";
	if (t->kind != TOK_STRING)
		return "a password stands in quotes, as in password \"...\"";
	if (t->src != t->text - 1)
		return "a password is written where it is used: a definition would show it in messages";
	if (t->len == 0 || t->len > STREAM_KEY_MAX || memchr(t->text, '\0', t->len) != NULL)
		return "a password has 1 to 80 bytes, and no NUL byte";
	return NULL;
}

bool config_bgp_password(struct parser *p, struct stream_key *key)
{
	struct token word = p->last, t = *config_peek(p);
	const char *bad = password_is_bad(&t, &word);

	if (bad != NULL) {
		config_err(p, &word.pos, "%s", bad);
		return false;
	}
	config_next(p);
	memcpy(key->bytes, t.text, t.len);
	key->len = (uint8_t)t.len;
	if (!config_at_end(p))
		config_err(p, &word.pos, "behind a password the statement ends");
	return config_at_end(p);
}

static bool read_password(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_bgp_password(p, &n->session.key);
}

/* RFC 9234. */
static bool read_role(struct parser *p, struct config_bgp_neighbor *n)
{
	static const struct {
		const char *word;
		uint8_t role;
	} roles[] = {
		{ "provider", BGP_ROLE_PROVIDER }, { "rs", BGP_ROLE_RS },     { "rs-client", BGP_ROLE_RS_CLIENT },
		{ "customer", BGP_ROLE_CUSTOMER }, { "peer", BGP_ROLE_PEER },
	};
	static const char *const words[] = { "provider", "rs", "rs-client", "customer", "peer" };
	struct token t = *config_peek(p);

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		if (!config_accept_word(p, roles[i].word))
			continue;
		n->session.has_role = true;
		n->session.role = roles[i].role;
		/* strict: the peer has to say one too. */
		n->session.strict_role = config_accept_word(p, "strict");
		return true;
	}
	return config_unknown(p, &t, "provider, rs, rs-client, customer or peer: what we are to the neighbour", words,
			      ARRAY_LEN(words));
}

/* all, none, or the name of a filter. */
static bool read_policy(struct parser *p, struct config_bgp_policy *policy)
{
	policy->pos = config_peek(p)->pos;
	policy->kind = CONFIG_BGP_ALL;
	if (config_accept_word(p, "all"))
		return true;
	policy->kind = CONFIG_BGP_NONE;
	if (config_accept_word(p, "none"))
		return true;
	policy->kind = CONFIG_BGP_FILTER;
	return config_name(p, policy->filter, sizeof(policy->filter), "all, none or the name of a filter");
}

static bool read_import(struct parser *p, struct config_bgp_neighbor *n)
{
	return read_policy(p, &n->import);
}

static bool read_export(struct parser *p, struct config_bgp_neighbor *n)
{
	return read_policy(p, &n->export);
}

/* maximum-prefix N [restart S|warn] */
static bool read_max_prefix(struct parser *p, struct config_bgp_neighbor *n)
{
	if (!config_number(p, 1, UINT32_MAX, "maximum-prefix", &n->session.max_prefixes))
		return false;
	if (config_accept_word(p, "warn")) {
		n->session.max_action = BGP_LIMIT_WARNS;
		return true;
	}
	return !config_accept_word(p, "restart") || config_seconds(p, &n->session.max_restart_s);
}

static bool read_graceful(struct parser *p, struct config_bgp_neighbor *n)
{
	bool yes;

	if (!config_yes_no(p, &yes))
		return false;
	if (!yes)
		n->session.without |= BGP_WITHOUT_RESTART;
	return true;
}

/* next hop self [yes|no] */
static bool read_next_hop_self(struct parser *p, struct config_bgp_neighbor *n)
{
	n->next_hop_self = true;
	return config_at_end(p) || config_yes_no(p, &n->next_hop_self);
}

static bool read_description(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_name(p, n->description, sizeof(n->description), "a description");
}

/* What its rules are (routing/policy/policy_rules.h). */
static bool read_transit(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_yes_no(p, &n->transit);
}

static bool read_blackholes(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_yes_no(p, &n->takes_blackholes);
}

static bool read_shutdown(struct parser *p, struct config_bgp_neighbor *n)
{
	bool yes;

	if (!config_yes_no(p, &yes))
		return false;
	n->ignores_shutdown = !yes;
	return true;
}

static bool read_own_prefixes(struct parser *p, struct config_bgp_neighbor *n)
{
	return config_yes_no(p, &n->may_be_own);
}

static const struct config_row rows[] = {
	{ { "address" } },
	{ { "range" } },
	{ { "as" } },
	{ { "local", "address" } },
	{ { "passive" } },
	{ { "hold", "time" } },
	{ { "connect", "retry" } },
	{ { "ttl", "security" } },
	{ { "multihop" } },
	{ { "password" } },
	{ { "role" } },
	{ { "import" } },
	{ { "export" } },
	{ { "maximum-prefix" } },
	{ { "graceful", "restart" } },
	{ { "next", "hop", "self" } },
	{ { "description" } },
	{ { "transit" } },
	{ { "blackholes" } },
	{ { "graceful", "shutdown" } },
	{ { "own", "prefixes" } },
};

static bool (*const readers[])(struct parser *p, struct config_bgp_neighbor *n) = {
	read_address,       read_range,        read_as,           read_local,         read_passive,     read_hold,
	read_connect_retry, read_ttl_security, read_multihop,     read_password,      read_role,        read_import,
	read_export,        read_max_prefix,   read_graceful,     read_next_hop_self, read_description, read_transit,
	read_blackholes,    read_shutdown,     read_own_prefixes,
};
_Static_assert(ARRAY_LEN(readers) == ARRAY_LEN(rows), "a reader for each statement");

static bool neighbor_statement(struct parser *p, void *ctx)
{
	const struct config_row *r = config_find_row(
		p, rows, ARRAY_LEN(rows), "a setting of a neighbour, as in \"address 192.0.2.1\" or \"import all\"");

	if (r == NULL)
		return false;
	config_once_here(p, r, &p->last);
	return readers[r - rows](p, ctx) && config_end(p);
}

bool config_bgp_neighbor_block(struct parser *p, struct config_bgp *b)
{
	struct config_bgp_neighbor *bigger, n = { .pos = config_peek(p)->pos };

	config_once_begin(p);
	if (!config_name(p, n.session.name, sizeof(n.session.name), "a neighbour's name") ||
	    !config_block(p, neighbor_statement, &n))
		return false;
	if (b->n_neighbors == BGP_NEIGHBORS_MAX) {
		config_err(p, &n.pos, "BGP has %u neighbours at most", BGP_NEIGHBORS_MAX);
		return true;
	}
	bigger = config_grow(p, b->neighbor, b->n_neighbors, sizeof(n));
	if (bigger == NULL)
		return false;
	b->neighbor = bigger;
	bigger[b->n_neighbors++] = n;
	explicit_bzero(&n.session.key, sizeof(n.session.key));
	return true;
}
