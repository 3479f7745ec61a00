/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The top of the config language, and the life of a config: text to tokens
 * (lang), tokens to values (one file a kind of block), values
 * checked against each other (check.c). The result owns all that it
 * points to; with one error there is no result, but every error that could be
 * found is reported.
 *
 * The grammar is in docs/config.md.
 */
#include "daemon/config/config_bgp.h"
#include "daemon/config/config_policy.h"
#include "daemon/config/config_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct top_word {
	const char *word;
	bool (*parse)(struct parser *p);
};

static bool parse_add(struct parser *p)
{
	return config_add(p, false);
}

static bool parse_insert(struct parser *p)
{
	return config_add(p, true);
}

static const struct top_word top_words[] = {
	{ "interface", config_interface }, { "route", config_route },     { "pool", config_pool },
	{ "conntrack", config_conntrack }, { "limits", config_limits },   { "icmp", config_icmp },
	{ "table", config_table },         { "add", parse_add },          { "create", parse_add },
	{ "insert", parse_insert },        { "delete", config_delete },   { "destroy", config_delete },
	{ "flush", config_flush },         { "workers", config_workers }, { "log", config_log },
	{ "host", config_host },           { "kernel", config_kernel },   { "bgp", config_bgp_block },
	{ "policy", config_policy_block },
};

static bool top_statement(struct parser *p)
{
	static const char *const common[] = { "define", "include" };
	const char *words[ARRAY_LEN(top_words) + ARRAY_LEN(common)];
	struct token t = *config_peek(p);
	bool done, ok;

	ok = config_common(p, &done);
	if (done)
		return ok;
	for (size_t i = 0; i < ARRAY_LEN(top_words); i++) {
		words[i] = top_words[i].word;
		if (config_accept_word(p, words[i]))
			return top_words[i].parse(p);
	}
	memcpy(&words[ARRAY_LEN(top_words)], common, sizeof(common));
	return config_unknown(p, &t,
			      "interface, route, kernel table, bgp, policy, pool, conntrack, limits, host, icmp, log, "
			      "workers or table",
			      words, ARRAY_LEN(words));
}

static void parse_all(struct parser *p)
{
	while (!p->no_memory) {
		struct token t = *config_peek(p);

		if (t.kind == TOK_END)
			return;
		if (t.kind == TOK_NEWLINE || t.kind == TOK_SEMICOLON) {
			config_next(p);
		} else if (t.kind == TOK_RBRACE) {
			config_err(p, &t.pos, "this \"}\" closes nothing");
			config_next(p);
		} else if (!top_statement(p)) {
			config_recover(p, 0);
		}
	}
}

/* Parses source 1; the config lives on if there is no error. */
static struct config *finish(struct parser *p)
{
	static const struct text_pos nowhere;
	struct config *c = config_of(p);

	config_push_file(p, 1);
	parse_all(p);
	if (!p->no_memory && config_n_errors(*p->errors) == p->n_harmless)
		config_check(p);
	config_input_free(p);
	if (p->no_memory)
		config_err(p, &nowhere, "no memory to read the config");
	c->text = p->flat;
	c->text_len = p->flat_len;
	if (c->text != NULL)
		config_hide_in_text(c->text, c->text_len);
	if (!p->no_memory && config_n_errors(*p->errors) == 0)
		return c;
	config_free(c);
	return NULL;
}

void config_error_add(struct config_errors **errors, const struct config *c, const struct text_pos *pos,
		      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	config_message(errors, c != NULL ? &c->sources : NULL, pos, false, fmt, args);
	va_end(args);
}

static struct config_parser *parser_new(struct config_errors **errors)
{
	struct config_parser *r = calloc(1, sizeof(*r));

	*errors = NULL;
	if (r != NULL)
		r->c = calloc(1, sizeof(*r->c));
	if (r == NULL || r->c == NULL) {
		static const struct text_pos nowhere;

		config_error_add(errors, NULL, &nowhere, "no memory to read the config");
		free(r);
		return NULL;
	}
	r->c->host.tcp = tcp_default_config;
	r->nft.rules = &r->c->rules;
	r->nft.p.sources = &r->c->sources;
	r->nft.p.words_of = &nft_words;
	r->nft.p.errors = errors;
	return r;
}

struct config *config_read_file(const char *path, struct config_errors **errors)
{
	static const struct text_pos nowhere;
	struct config_parser *r = parser_new(errors);
	struct config *c = NULL;

	if (r == NULL)
		return NULL;
	r->nft.p.may_include = true;
	if (config_add_file(&r->nft.p, path, &nowhere) != 0)
		c = finish(&r->nft.p);
	else
		config_free(r->c);
	free(r);
	return c;
}

struct config *config_read_text(const char *name, const char *text, size_t len, struct config_errors **errors)
{
	static const struct text_pos nowhere;
	struct config_parser *r = parser_new(errors);
	struct config *c = NULL;
	char *copy;

	if (r == NULL)
		return NULL;
	copy = len > CONFIG_FILE_MAX ? NULL : malloc(len + 1);
	if (copy != NULL) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	if (copy != NULL && config_add_source(&r->c->sources, name, copy, len) != 0) {
		c = finish(&r->nft.p);
	} else {
		config_err(&r->nft.p, &nowhere,
			   len > CONFIG_FILE_MAX ? "the config is larger than 64 MB" : "no memory to read the config");
		config_free(r->c);
	}
	free(r);
	return c;
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->sources.n; i++) {
		free(c->sources.at[i].name);
		free(c->sources.at[i].text);
	}
	rule_ast_free(&c->rules);
	config_bgp_free(c->bgp);
	config_policy_free(c->policy);
	free(c->sources.at);
	free(c->interface);
	free(c->route);
	free(c->text);
	free(c);
}
