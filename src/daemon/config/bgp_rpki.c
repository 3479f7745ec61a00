/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `rpki NAME { ... }` within `bgp`: a table of who may originate which prefix, that filters ask by its name: from
 * caches (RFC 8210), and what the config itself says beside them.
 */
#include <string.h>

#include "daemon/config/bgp_priv.h"

/* cache A [port N] [local address A] [password "..."] */
static bool read_cache(struct parser *p, struct config_bgp_rpki *r)
{
	struct config_bgp_cache *c = &r->cache[r->n_caches];
	struct text_pos pos = config_peek(p)->pos;

	if (r->n_caches == CONFIG_BGP_CACHES_MAX) {
		config_err(p, &pos, "a table has %u caches at most", CONFIG_BGP_CACHES_MAX);
		return false;
	}
	*c = (struct config_bgp_cache){ .pos = pos, .remote.port = RTR_PORT };
	if (!config_bgp_host(p, &c->remote.addr) || !config_bgp_port(p, &c->remote.port))
		return false;
	if (config_accept_word(p, "local") &&
	    (!config_expect_word(p, "address") || !config_bgp_host(p, &c->local.addr)))
		return false;
	for (size_t i = 0; i < r->n_caches; i++)
		if (r->cache[i].remote.addr == c->remote.addr && r->cache[i].remote.port == c->remote.port)
			config_err(p, &pos, "this cache stands here twice");
	r->n_caches++;
	return !config_accept_word(p, "password") || config_bgp_password(p, &c->key);
}

static bool read_time(struct parser *p, uint32_t least, uint32_t most, const char *what, uint32_t *out)
{
	struct text_pos pos = config_peek(p)->pos;

	if (!config_seconds(p, out))
		return false;
	if (*out < least || *out > most)
		config_err(p, &pos, "%s must be %us to %us (RFC 8210)", what, least, most);
	return true;
}

static bool read_refresh(struct parser *p, struct config_bgp_rpki *r)
{
	return read_time(p, 1, RTR_REFRESH_S_MAX, "refresh", &r->refresh_s);
}

static bool read_retry(struct parser *p, struct config_bgp_rpki *r)
{
	return read_time(p, 1, RTR_RETRY_S_MAX, "retry", &r->retry_s);
}

static bool read_expire(struct parser *p, struct config_bgp_rpki *r)
{
	return read_time(p, RTR_EXPIRE_S_MIN, RTR_EXPIRE_S_MAX, "expire", &r->expire_s);
}

static bool same_roa(const struct roa *a, const struct roa *b)
{
	return a->prefix.addr == b->prefix.addr && a->prefix.len == b->prefix.len && a->max_len == b->max_len &&
	       a->as == b->as;
}

/* roa PREFIX [max LEN] as N: AS 0 is nobody (RFC 6483). */
static bool read_roa(struct parser *p, struct config_bgp_rpki *r)
{
	struct text_pos pos = config_peek(p)->pos;
	uint32_t max_len;
	struct roa x, *bigger;

	if (!config_prefix_strict(p, &x.prefix))
		return false;
	max_len = x.prefix.len;
	if (config_accept_word(p, "max") &&
	    !config_number(p, x.prefix.len, 32, "the longest prefix that it allows", &max_len))
		return false;
	x.max_len = (uint8_t)max_len;
	if (!config_expect_word(p, "as") || !config_number(p, 0, UINT32_MAX, "the number of an AS", &x.as))
		return false;
	for (size_t i = 0; i < r->n_roas; i++)
		if (same_roa(&r->roa[i], &x))
			config_err(p, &pos, "this stands here twice");
	if (r->n_roas == CONFIG_BGP_ROAS_MAX) {
		config_err(p, &pos, "a table has %u of these at most: more belongs into a cache", CONFIG_BGP_ROAS_MAX);
		return false;
	}
	bigger = config_grow(p, r->roa, r->n_roas, sizeof(x));
	if (bigger == NULL)
		return false;
	r->roa = bigger;
	bigger[r->n_roas++] = x;
	return true;
}

static const struct config_row rows[] = {
	{ { "cache" } }, { { "roa" } }, { { "refresh" } }, { { "retry" } }, { { "expire" } },
};

static bool (*const readers[])(struct parser *p, struct config_bgp_rpki *r) = {
	read_cache, read_roa, read_refresh, read_retry, read_expire,
};
_Static_assert(ARRAY_LEN(readers) == ARRAY_LEN(rows), "a reader for each statement");

static bool may_repeat(const struct config_row *r)
{
	return r == &rows[0] || r == &rows[1];
}

static bool rpki_statement(struct parser *p, void *ctx)
{
	const struct config_row *r =
		config_find_row(p, rows, ARRAY_LEN(rows), "a setting of an RPKI table, as in \"cache 192.0.2.1\"");

	if (r == NULL)
		return false;
	if (!may_repeat(r))
		config_once_here(p, r, &p->last);
	return readers[r - rows](p, ctx) && config_end(p);
}

bool config_bgp_rpki_block(struct parser *p, struct config_bgp *b)
{
	struct config_bgp_rpki *r = &b->rpki[b->n_rpkis];
	struct text_pos pos = config_peek(p)->pos;
	size_t n_errors = config_n_errors(*p->errors);

	if (b->n_rpkis == CONFIG_BGP_RPKI_MAX) {
		config_err(p, &pos, "there are %u RPKI tables at most", CONFIG_BGP_RPKI_MAX);
		return false;
	}
	*r = (struct config_bgp_rpki){ .pos = pos };
	b->n_rpkis++;
	config_once_begin(p);
	if (!config_name(p, r->name, sizeof(r->name), "a table's name") || !config_block(p, rpki_statement, r))
		return false;
	for (size_t i = 0; i + 1 < b->n_rpkis; i++)
		if (strcmp(b->rpki[i].name, r->name) == 0)
			config_err(p, &pos, "there is an RPKI table \"%s\" already", r->name);
	/* A statement that could not be read may have been one. */
	if (r->n_caches == 0 && r->n_roas == 0 && config_n_errors(*p->errors) == n_errors)
		config_err(p, &pos, "table \"%s\" has neither a cache nor a roa", r->name);
	return true;
}
