/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `bgp { ... }`: who we are to BGP's neighbours, where connections come in, what is ours
 * to be told. A neighbour's block is in bgp_neighbor.c, that of an RPKI table in bgp_rpki.c, what one statement alone
 * cannot know in bgp_check.c.
 *
 * The block may stand several times, as others may: what is said adds up. Its values have
 * places in memory of their own (config_bgp.h), since a gateway that speaks no BGP, and each of its
 * snapshots, need none of them.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/config/bgp_priv.h"

static bool read_as(struct parser *p, struct config_bgp *b)
{
	return config_bgp_as(p, &b->as);
}

static bool read_router_id(struct parser *p, struct config_bgp *b)
{
	struct text_pos pos = config_peek(p)->pos;

	if (!config_address(p, &b->router_id))
		return false;
	if (b->router_id == 0)
		config_err(p, &pos, "a router-id is any number but 0.0.0.0 (RFC 6286)");
	return true;
}

static bool read_transport(struct parser *p, struct config_bgp *b)
{
	static const char *const words[] = { "own", "kernel" };
	struct token t = *config_peek(p);

	b->transport = config_accept_word(p, "kernel") ? CONFIG_BGP_TRANSPORT_KERNEL : CONFIG_BGP_TRANSPORT_OWN;
	if (b->transport == CONFIG_BGP_TRANSPORT_KERNEL || config_accept_word(p, "own"))
		return true;
	return config_unknown(p, &t, "own or kernel", words, ARRAY_LEN(words));
}

bool config_bgp_port(struct parser *p, uint16_t *out)
{
	uint32_t n;

	if (!config_accept_word(p, "port"))
		return true;
	if (!config_number(p, 1, UINT16_MAX, "a port", &n))
		return false;
	*out = (uint16_t)n;
	return true;
}

/* listen no; listen A|any [port N]; */
static bool read_listen(struct parser *p, struct config_bgp *b)
{
	b->no_listen = config_accept_word(p, "no");
	if (b->no_listen)
		return true;
	if (!config_accept_word(p, "any") && !config_address(p, &b->listen.addr))
		return false;
	return config_bgp_port(p, &b->listen.port);
}

static bool read_network(struct parser *p, struct config_bgp *b)
{
	do {
		struct token from;
		struct config_bgp_network n, *bigger;

		config_skip_newlines(p);
		from = *config_peek(p);
		if (!config_prefix_strict(p, &n.prefix))
			return false;
		n.pos = config_span(p, &from);
		bigger = config_grow(p, b->network, b->n_networks, sizeof(n));
		if (bigger == NULL)
			return false;
		b->network = bigger;
		bigger[b->n_networks++] = n;
	} while (config_accept(p, TOK_COMMA));
	return true;
}

/* compare med same-as|always; */
static bool read_compare_med(struct parser *p, struct config_bgp *b)
{
	static const char *const words[] = { "same-as", "always" };
	struct token t = *config_peek(p);

	b->med_always = config_accept_word(p, "always");
	if (b->med_always || config_accept_word(p, "same-as"))
		return true;
	return config_unknown(p, &t, "same-as or always", words, ARRAY_LEN(words));
}

static const struct bgp_word {
	const char *word, *second;
	bool (*read)(struct parser *p, struct config_bgp *b);
	bool may_repeat;
} bgp_words[] = {
	{ "as", NULL, read_as, false },
	{ "router-id", NULL, read_router_id, false },
	{ "transport", NULL, read_transport, false },
	{ "listen", NULL, read_listen, false },
	{ "network", NULL, read_network, true },
	{ "compare", "med", read_compare_med, false },
};

static bool bgp_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "as",      "router-id", "transport", "listen",
					     "network", "compare",   "neighbor",  "rpki" };
	struct token t = *config_peek(p);

	if (config_accept_word(p, "neighbor"))
		return config_bgp_neighbor_block(p, ctx);
	if (config_accept_word(p, "rpki"))
		return config_bgp_rpki_block(p, ctx);
	for (size_t i = 0; i < ARRAY_LEN(bgp_words); i++) {
		const struct bgp_word *w = &bgp_words[i];

		if (!config_accept_word(p, w->word))
			continue;
		if (w->second != NULL && !config_expect_word(p, w->second))
			return false;
		if (!w->may_repeat)
			config_once_at_all(p, w, &t);
		return w->read(p, ctx) && config_end(p);
	}
	return config_unknown(p, &t, "as, router-id, transport, listen, network, compare med, neighbor or rpki", words,
			      ARRAY_LEN(words));
}

bool config_bgp_block(struct parser *p)
{
	struct config *c = config_of(p);

	if (c->bgp == NULL) {
		c->bgp = calloc(1, sizeof(*c->bgp));
		if (c->bgp == NULL) {
			p->no_memory = true;
			return false;
		}
		c->bgp->pos = p->last.pos;
		c->bgp->listen.port = BGP_PORT;
	}
	return config_block(p, bgp_statement, c->bgp);
}

/* --- its life --- */

static void *copy_of(const void *from, size_t n, size_t size)
{
	void *to = malloc(n * size + 1);

	if (to != NULL && n > 0)
		memcpy(to, from, n * size);
	return to;
}

struct config_bgp *config_bgp_copy(const struct config_bgp *b)
{
	struct config_bgp *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *b;
	copy->neighbor = copy_of(b->neighbor, b->n_neighbors, sizeof(*b->neighbor));
	copy->network = copy_of(b->network, b->n_networks, sizeof(*b->network));
	bool good = copy->neighbor != NULL && copy->network != NULL;

	for (size_t i = 0; i < b->n_rpkis; i++) {
		copy->rpki[i].roa = copy_of(b->rpki[i].roa, b->rpki[i].n_roas, sizeof(*b->rpki[i].roa));
		good &= copy->rpki[i].roa != NULL;
	}
	if (good)
		return copy;
	config_bgp_free(copy);
	return NULL;
}

void config_bgp_free(struct config_bgp *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; b->neighbor != NULL && i < b->n_neighbors; i++)
		explicit_bzero(&b->neighbor[i].session.key, sizeof(b->neighbor[i].session.key));
	for (size_t i = 0; i < b->n_rpkis; i++) {
		explicit_bzero(b->rpki[i].cache, sizeof(b->rpki[i].cache));
		free(b->rpki[i].roa);
	}
	free(b->neighbor);
	free(b->network);
	free(b);
}

const struct config_bgp_neighbor *config_bgp_find(const struct config_bgp *b, const char *name)
{
	for (size_t i = 0; b != NULL && i < b->n_neighbors; i++)
		if (strcmp(b->neighbor[i].session.name, name) == 0)
			return &b->neighbor[i];
	return NULL;
}

static bool same_filter(const struct config_bgp_policy *x, const struct config_bgp_policy *y)
{
	return x->kind == y->kind && strcmp(x->filter, y->filter) == 0;
}

bool config_bgp_same_policy(const struct config_bgp_neighbor *x, const struct config_bgp_neighbor *y)
{
	return same_filter(&x->import, &y->import) && same_filter(&x->export, &y->export) &&
	       x->next_hop_self == y->next_hop_self && x->transit == y->transit &&
	       x->takes_blackholes == y->takes_blackholes && x->ignores_shutdown == y->ignores_shutdown &&
	       x->may_be_own == y->may_be_own;
}
