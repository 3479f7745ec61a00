/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The config's reader, kept from one text to the next: it is large, a route is small.
 */
#include "daemon/config/route_text.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_priv.h"

struct route_text {
	struct config_parser parser;
	struct config config;
	struct config_source source;
	struct config_errors *errors;
};

struct route_text *route_text_create(const char *name)
{
	struct route_text *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->source.name = strdup(name);
	if (t->source.name == NULL) {
		free(t);
		return NULL;
	}
	t->config.sources = (struct config_sources){ .n = 1, .at = &t->source };
	t->parser.c = &t->config;
	t->parser.nft.rules = &t->config.rules;
	t->parser.nft.p.sources = &t->config.sources;
	t->parser.nft.p.words_of = &nft_words;
	t->parser.nft.p.errors = &t->errors;
	return t;
}

void route_text_destroy(struct route_text *t)
{
	if (t == NULL)
		return;
	config_errors_free(t->errors);
	free(t->config.route);
	free(t->parser.nft.p.flat);
	free(t->source.name);
	free(t);
}

static struct parser *begin(struct route_text *t, const char *text, uint32_t line)
{
	struct parser *p = &t->parser.nft.p;

	config_errors_free(t->errors);
	t->errors = NULL;
	t->config.n_routes = 0;
	/* Read, not written to, and no longer than the call. */
	t->source.text = (char *)(uintptr_t)text;
	t->source.len = strlen(text);
	t->source.n_before = line - 1;
	p->n_ahead = p->brace_depth = p->nesting = 0;
	p->no_memory = false;
	p->flat_len = 0;
	config_push_file(p, 1);
	return p;
}

static bool end(struct route_text *t, bool good)
{
	static const struct text_pos nowhere;
	struct parser *p = &t->parser.nft.p;

	if (good && !config_is(p, TOK_END))
		good = config_expected(p, "nothing more: a route at a time");
	config_input_free(p);
	p->define = NULL;
	p->scoped = NULL;
	if (p->no_memory)
		config_err(p, &nowhere, "no memory to read the route");
	t->source.text = NULL;
	return good && !p->no_memory && config_n_errors(t->errors) == 0;
}

const struct config_route *route_text_read(struct route_text *t, const char *text, uint32_t line, size_t *n)
{
	bool good = config_route(begin(t, text, line));

	*n = t->config.n_routes;
	return end(t, good) ? t->config.route : NULL;
}

bool route_text_name(struct route_text *t, const char *text, uint32_t line, struct rib_route *out)
{
	bool good = config_route_name(begin(t, text, line), out);

	return end(t, good);
}

const struct config_errors *route_text_errors(const struct route_text *t)
{
	return t->errors;
}
