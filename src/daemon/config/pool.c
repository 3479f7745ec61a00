/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `pool NAME { ... }`: the addresses and ports that `snat to pool NAME` may
 * use, and how. A pool's number is its place in nat_config; snapshot.c keeps the
 * numbers of the config before.
 */
#include "daemon/config/config_priv.h"

#include <string.h>

#define POOL_PORT_FIRST 1024
#define POOL_PORT_LAST 65535
/* Each address has port maps of its own in memory. */
#define POOL_ADDRESSES_MAX 65536u

struct pool_option {
	const char *word;
	uint8_t value;
};

static const struct pool_option mappings[] = {
	{ "endpoint-independent", NAT_MAP_ENDPOINT_INDEPENDENT },
	{ "address-and-port-dependent", NAT_MAP_ADDRESS_PORT_DEPENDENT },
};

static const struct pool_option filterings[] = {
	{ "endpoint-independent", NAT_FILTER_ENDPOINT_INDEPENDENT },
	{ "address-dependent", NAT_FILTER_ADDRESS_DEPENDENT },
	{ "address-and-port-dependent", NAT_FILTER_ADDRESS_PORT_DEPENDENT },
};

static bool pool_option(struct parser *p, const struct pool_option *o, size_t n, const char *what, uint8_t *out)
{
	const char *words[8];
	struct token t = *config_peek(p);

	for (size_t i = 0; i < n; i++) {
		words[i] = o[i].word;
		if (token_is(&t, o[i].word)) {
			*out = o[i].value;
			config_next(p);
			return true;
		}
	}
	return config_unknown(p, &t, what, words, n);
}

static bool pool_addresses(struct parser *p, struct nat_pool_config *pool)
{
	do {
		struct nat_address_range r;
		struct token from;
		struct text_pos pos;

		config_skip_newlines(p);
		from = *config_peek(p);
		if (!config_address_range(p, &r.first, &r.last))
			return false;
		pos = config_span(p, &from);
		if (pool->n_ranges == NAT_POOL_RANGES_MAX) {
			config_err(p, &pos, "a pool can have %d ranges at most", NAT_POOL_RANGES_MAX);
			return false;
		}
		if (r.last - r.first >= POOL_ADDRESSES_MAX) {
			config_err(p, &pos, "a range of a pool can have %u addresses at most", POOL_ADDRESSES_MAX);
			return false;
		}
		if (!ip4_is_unicast(r.first) || !ip4_is_unicast(r.last)) {
			config_err(p, &pos, "these are no addresses that a host can have");
			return false;
		}
		pool->range[pool->n_ranges++] = r;
	} while (config_accept(p, TOK_COMMA));
	return true;
}

static bool pool_exclude(struct parser *p, struct nat_pool_config *pool)
{
	if (!config_expect_word(p, "ports"))
		return false;
	do {
		struct token from;

		config_skip_newlines(p);
		from = *config_peek(p);
		if (pool->n_excluded == ARRAY_LEN(pool->excluded)) {
			config_err(p, &from.pos, "a pool can leave out %zu ranges of ports at most",
				   ARRAY_LEN(pool->excluded));
			return false;
		}
		if (!config_port_range(p, &pool->excluded[pool->n_excluded].first,
				       &pool->excluded[pool->n_excluded].last))
			return false;
		pool->n_excluded++;
	} while (config_accept(p, TOK_COMMA));
	return true;
}

static bool pool_ports(struct parser *p, struct nat_pool_config *pool)
{
	struct token from = *config_peek(p);
	struct text_pos pos;

	if (!config_port_range(p, &pool->ports.first, &pool->ports.last))
		return false;
	if (pool->ports.first != 0)
		return true;
	pos = config_span(p, &from);
	config_err(p, &pos, "port 0 cannot be used; did you mean 1-%u?", pool->ports.last);
	return false;
}

static bool pool_preserve(struct parser *p, struct nat_pool_config *pool)
{
	static const char *const words[] = { "port", "parity" };

	do {
		struct token t = *config_peek(p);

		if (config_accept_word(p, "port"))
			pool->preserve_port = 1;
		else if (config_accept_word(p, "parity"))
			pool->preserve_parity = 1;
		else
			return config_unknown(p, &t, "port or parity", words, ARRAY_LEN(words));
	} while (config_accept(p, TOK_COMMA));
	return true;
}

/* A pool while its block is read. */
struct pool_block {
	struct nat_pool_config pool;
	struct token filtering, log; /* where that was said */
};

static bool pool_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "address", "ports",    "exclude",   "mapping", "filtering",
					     "paired",  "preserve", "hold-down", "log" };
	struct pool_block *block = ctx;
	struct nat_pool_config *pool = &block->pool;
	struct token t = *config_peek(p);
	bool ok, yes = false;

	if (t.kind == TOK_ADDRESS || t.kind == TOK_ADDRESS6 || config_accept_word(p, "address")) {
		ok = pool_addresses(p, pool);
	} else if (config_accept_word(p, "ports")) {
		config_once_here(p, &pool->ports, &t);
		ok = pool_ports(p, pool);
	} else if (config_accept_word(p, "exclude")) {
		ok = pool_exclude(p, pool);
	} else if (config_accept_word(p, "mapping")) {
		config_once_here(p, &pool->mapping, &t);
		ok = pool_option(p, mappings, ARRAY_LEN(mappings), "a way of mapping", &pool->mapping);
	} else if (config_accept_word(p, "filtering")) {
		config_once_here(p, &pool->filtering, &t);
		block->filtering = *config_peek(p);
		ok = pool_option(p, filterings, ARRAY_LEN(filterings), "a way of filtering", &pool->filtering);
	} else if (config_accept_word(p, "paired")) {
		config_once_here(p, "paired", &t);
		ok = config_yes_no(p, &yes);
		pool->paired = yes;
	} else if (config_accept_word(p, "preserve")) {
		ok = pool_preserve(p, pool);
	} else if (config_accept_word(p, "hold-down")) {
		config_once_here(p, &pool->hold_down_s, &t);
		ok = config_seconds(p, &pool->hold_down_s);
	} else if (config_accept_word(p, "log")) {
		config_once_here(p, &block->log, &t);
		block->log = *config_peek(p);
		ok = config_pool_log(p, pool);
	} else if (config_is_word(p, "rest")) {
		config_err(p, &t.pos, "`rest` is called hold-down now");
		return false;
	} else {
		return config_unknown(
			p, &t,
			"an address, ports, exclude ports, mapping, filtering, paired, preserve, hold-down or log",
			words, ARRAY_LEN(words));
	}
	return ok && config_end(p);
}

/* True when at least one port is left. */
static bool has_ports(const struct nat_pool_config *pool)
{
	for (uint32_t port = pool->ports.first; port <= pool->ports.last; port++) {
		bool out = false;

		for (uint32_t i = 0; i < pool->n_excluded && !out; i++)
			out = pool->excluded[i].first <= port && port <= pool->excluded[i].last;
		if (!out)
			return true;
	}
	return false;
}

bool config_pool(struct parser *p)
{
	struct pool_block block = { .pool = { .ports = { POOL_PORT_FIRST, POOL_PORT_LAST } } };
	struct nat_pool_config *pool = &block.pool;
	struct token name = *config_peek(p);
	struct nat_config *nat = &config_of(p)->nat;

	config_once_begin(p);
	if (!config_name(p, pool->name, sizeof(pool->name), "a pool's name") ||
	    !config_block(p, pool_statement, &block))
		return false;
	if (nat->n_pools == NAT_POOLS_MAX) {
		config_err(p, &name.pos, "there can be %d pools at most", NAT_POOLS_MAX);
		return true;
	}
	if (pool->n_ranges == 0 || !has_ports(pool))
		p->n_harmless++;
	if (pool->n_ranges == 0)
		config_err(p, &name.pos, "pool \"%s\" has no address", pool->name);
	else if (!has_ports(pool))
		config_err(p, &name.pos, "pool \"%s\" has no port left", pool->name);
	/* Each destination has a mapping of its own, by which nobody else could come in. */
	if (pool->filtering != NAT_FILTER_ADDRESS_PORT_DEPENDENT && pool->mapping != NAT_MAP_ENDPOINT_INDEPENDENT) {
		p->n_harmless++;
		config_err(p, &block.filtering.pos,
			   "this filtering needs `mapping endpoint-independent` in pool \"%s\"", pool->name);
	}
	if ((pool->log & NAT_LOG_MAPPINGS) && pool->mapping != NAT_MAP_ENDPOINT_INDEPENDENT) {
		p->n_harmless++;
		config_err(p, &block.log.pos,
			   "there are mappings to log with `mapping endpoint-independent` only; sessions are what pool "
			   "\"%s\" has",
			   pool->name);
	}
	config_parser_of(p)->pool_pos[nat->n_pools] = name.pos;
	nat->pool[nat->n_pools++] = *pool;
	return true;
}
