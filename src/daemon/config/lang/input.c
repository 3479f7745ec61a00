/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stream of tokens that the parser reads: a stack of files (include) and of
 * token lists (what a `$name` stands for). Names are replaced here, before the
 * grammar sees anything, so a definition can stand wherever a value can; what
 * comes from one is reported at the place of its use. A definition made or replaced
 * inside braces ends with them, as in nft; so a closing brace counts when it is
 * read, not when the grammar comes to it.
 *
 * Everything is bounded: files by number, size and depth (file.c);
 * definitions by their length and by the number of tokens that all uses put in,
 * since definitions of definitions double quickly.
 *
 * On the side the text is copied together with each include replaced by what it
 * brought: a recording of the gateway needs one text.
 */
#include "daemon/config/lang/parse.h"

#include <stdlib.h>
#include <string.h>

void config_flat_add(struct parser *p, const char *text, size_t len)
{
	size_t cap = p->flat_cap == 0 ? 4096 : p->flat_cap;
	char *bigger;

	while (cap < p->flat_len + len + 1)
		cap *= 2;
	if (cap != p->flat_cap) {
		bigger = realloc(p->flat, cap);
		if (bigger == NULL) {
			p->no_memory = true;
			return;
		}
		p->flat = bigger;
		p->flat_cap = cap;
	}
	memcpy(p->flat + p->flat_len, text, len);
	p->flat_len += len;
	p->flat[p->flat_len] = '\0';
}

static struct config_input *push(struct parser *p, const struct text_pos *pos)
{
	if (p->n_inputs == CONFIG_INPUTS_MAX) {
		config_err(p, pos, "too many definitions or files within each other");
		return NULL;
	}
	p->input[p->n_inputs] = (struct config_input){ 0 };
	return &p->input[p->n_inputs++];
}

void config_push_file(struct parser *p, uint32_t source)
{
	static const struct text_pos nowhere;
	struct config_input *in = push(p, &nowhere);
	const struct config_source *s = &p->sources->at[source - 1];

	if (in == NULL)
		return;
	in->is_file = true;
	in->source = source - 1;
	in->brace_depth = p->brace_depth;
	lexer_init(&in->lx, s->text, s->len, source);
	in->lx.line += s->n_before;
}

static void pop(struct parser *p, const struct token *end)
{
	struct config_input *in = &p->input[p->n_inputs - 1];
	const struct config_source *s;

	if (in->is_file) {
		s = &p->sources->at[in->source];
		config_flat_add(p, s->text + in->copied, s->len - in->copied);
		if (s->len > 0 && s->text[s->len - 1] != '\n' && p->n_inputs > 1)
			config_flat_add(p, "\n", 1);
		if (end != NULL && p->n_inputs > 1 && p->brace_depth != in->brace_depth)
			config_err(p, &end->pos, "the included file %s in the middle of a block",
				   p->brace_depth > in->brace_depth ? "ends"
								    : "closes more blocks than it opens and ends");
	}
	free(in->owned);
	p->n_inputs--;
}

/* As an array that names are looked up in. */
static struct name_list define_list(const struct parser *p)
{
	return (struct name_list){ p->n_defines > 0 ? p->define->name : NULL, sizeof(*p->define), p->n_defines };
}

static struct config_define *find_define(const struct parser *p, const struct token *name)
{
	struct name_list l = define_list(p);
	uint32_t i = name_index_find(&p->define_names, &l, name->text, name->len);

	return i == NAME_INDEX_NONE ? NULL : &p->define[i];
}

/* What a name stands for here, or NULL. */
static const struct config_meaning *meaning_of(const struct parser *p, const struct token *name)
{
	const struct config_define *d = find_define(p, name);

	return d == NULL ? NULL : d->now;
}

/* Braces that are open behind all that was read, also what was only looked at. */
static uint32_t depth_read(const struct parser *p)
{
	uint32_t depth = p->brace_depth;

	for (uint32_t i = 0; i < p->n_ahead; i++) {
		if (p->ahead[i].kind == TOK_LBRACE)
			depth++;
		else if (p->ahead[i].kind == TOK_RBRACE && depth > 0)
			depth--;
	}
	return depth;
}

/* A closing brace was read: what was defined inside is forgotten. */
static void close_scope(struct parser *p)
{
	uint32_t depth = depth_read(p);

	while (p->n_scoped > 0 && p->scoped[p->n_scoped - 1].depth > depth) {
		const struct config_scoped *s = &p->scoped[--p->n_scoped];
		struct config_define *d = &p->define[s->define];

		if (d->now != NULL && d->now->depth == s->depth)
			d->now = d->now->outer;
	}
}

/* The next token without replacing names. */
static void fetch_plain(struct parser *p, struct token *t)
{
	struct config_input *in = &p->input[p->n_inputs - 1];

	if (in->is_file) {
		lexer_next(&in->lx, t);
		if (t->kind != TOK_END || p->n_inputs == 1)
			return;
		pop(p, t);
		t->kind = TOK_NEWLINE; /* an included file ends a statement */
		return;
	}
	if (in->at == in->n) {
		pop(p, NULL);
		fetch_plain(p, t);
		return;
	}
	*t = in->token[in->at++];
	if (in->use.line == 0)
		return;
	t->pos = in->use;
	t->src = in->use_src;
	t->src_len = in->use_src_len;
}

/* Puts what `$name` stands for in front of the input. */
static bool expand(struct parser *p, const struct token *dollar, struct token *name)
{
	const struct config_meaning *d;
	struct config_input *in;
	struct token whole = *dollar;

	whole.pos.length = name->pos.column + name->pos.length - dollar->pos.column;
	whole.src_len = (uint32_t)(name->src + name->src_len - dollar->src);
	if (name->kind != TOK_WORD) {
		config_err(p, &dollar->pos, "expected a name behind \"$\"");
		return false;
	}
	d = meaning_of(p, name);
	if (d == NULL) {
		config_err(p, &whole.pos, "nothing is defined as \"%.*s\"", (int)name->len, name->text);
		return false;
	}
	if (d->n > CONFIG_EXPANDED_MAX - p->n_expanded) {
		config_err(p, &whole.pos, "definitions put in more than %u words", CONFIG_EXPANDED_MAX);
		return false;
	}
	p->n_expanded += (uint32_t)d->n;
	in = push(p, &whole.pos);
	if (in == NULL)
		return false;
	in->token = d->token;
	in->n = d->n;
	in->use = whole.pos;
	in->use_src = whole.src;
	in->use_src_len = whole.src_len;
	return true;
}

static void fetch(struct parser *p, struct token *t)
{
	struct token name;

	for (;;) {
		fetch_plain(p, t);
		if (t->kind != TOK_DOLLAR)
			return;
		fetch_plain(p, &name);
		if (!expand(p, t, &name)) {
			t->kind = TOK_SILENT;
			if (name.kind == TOK_NEWLINE || name.kind == TOK_END)
				t->kind = name.kind;
			return;
		}
	}
}

const struct token *config_peek_at(struct parser *p, uint32_t i)
{
	while (p->n_ahead <= i) {
		fetch(p, &p->ahead[p->n_ahead++]);
		if (p->ahead[p->n_ahead - 1].kind == TOK_RBRACE)
			close_scope(p);
	}
	return &p->ahead[i];
}

const struct token *config_peek(struct parser *p)
{
	return config_peek_at(p, 0);
}

/* FNV-1a, with an end behind each word. */
static uint64_t add_word(uint64_t words, const struct token *t)
{
	static const uint64_t prime = UINT64_C(1099511628211);

	for (uint32_t i = 0; i < t->len; i++)
		words = (words ^ (uint8_t)t->text[i]) * prime;
	return (words ^ 0x100) * prime;
}

struct token config_next(struct parser *p)
{
	struct token t = *config_peek(p);

	p->n_ahead--;
	memmove(&p->ahead[0], &p->ahead[1], p->n_ahead * sizeof(p->ahead[0]));
	if (t.kind == TOK_LBRACE)
		p->brace_depth++;
	else if (t.kind == TOK_RBRACE && p->brace_depth > 0)
		p->brace_depth--;
	if (t.kind != TOK_NEWLINE && t.kind != TOK_END) {
		p->last = t;
		p->words = add_word(p->words, &t);
	}
	return t;
}

void config_unread(struct parser *p)
{
	struct config_input *in;

	if (p->n_ahead == 0)
		return;
	in = push(p, &p->ahead[0].pos);
	if (in == NULL)
		return;
	in->owned = calloc(p->n_ahead, sizeof(*in->owned));
	if (in->owned == NULL) {
		p->no_memory = true;
		p->n_inputs--;
		return;
	}
	memcpy(in->owned, p->ahead, p->n_ahead * sizeof(*in->owned));
	in->token = in->owned;
	in->n = p->n_ahead;
	p->n_ahead = 0;
}

void config_push_tokens(struct parser *p, struct token *token, size_t n)
{
	static const struct text_pos nowhere;
	struct config_input *in;

	config_unread(p);
	in = push(p, n > 0 ? &token->pos : &nowhere);
	if (in == NULL) {
		free(token);
		return;
	}
	in->owned = token;
	in->token = token;
	in->n = n;
}

/* Reads the tokens of a definition up to its line's end. */
static bool define_value(struct parser *p, struct config_meaning *d)
{
	uint32_t depth = p->brace_depth;
	struct token *bigger;

	for (;;) {
		const struct token *t = config_peek(p);

		if (p->brace_depth == depth && config_at_end(p))
			return d->n > 0 || config_expected(p, "a value");
		if (t->kind == TOK_END || t->kind == TOK_SILENT || t->kind == TOK_BAD)
			return t->kind == TOK_SILENT ? false : config_expected(p, "a value");
		if (t->kind == TOK_NEWLINE) {
			config_next(p);
			continue;
		}
		if (d->n == CONFIG_DEFINE_TOKENS_MAX) {
			config_err(p, &t->pos, "a definition of more than %d words", CONFIG_DEFINE_TOKENS_MAX);
			return false;
		}
		bigger = config_grow(p, d->token, d->n, sizeof(*d->token));
		if (bigger == NULL)
			return false;
		d->token = bigger;
		d->token[d->n++] = config_next(p);
	}
}

static bool remember_scoped(struct parser *p, uint32_t define, uint32_t depth)
{
	struct config_scoped *bigger = config_grow(p, p->scoped, p->n_scoped, sizeof(*bigger));

	if (bigger == NULL)
		return false;
	p->scoped = bigger;
	bigger[p->n_scoped++] = (struct config_scoped){ .define = define, .depth = depth };
	return true;
}

/* The place of the name, made if need be; NULL without memory. */
static struct config_define *define_place(struct parser *p, const struct token *name, const char *text)
{
	struct config_define *d = find_define(p, name);
	struct name_list all;

	if (d != NULL)
		return d;
	d = config_grow(p, p->define, p->n_defines, sizeof(*d));
	if (d == NULL)
		return NULL;
	p->define = d;
	d = &d[p->n_defines++];
	snprintf(d->name, sizeof(d->name), "%s", text);
	all = define_list(p);
	if (!name_index_add(&p->define_names, &all))
		p->no_memory = true;
	return p->no_memory ? NULL : d;
}

static bool put_meaning(struct parser *p, struct config_define *d, struct config_meaning *m)
{
	if (m->depth > depth_read(p)) /* its block is over: "}" stands on the same line */
		return true;
	if (d->now != NULL && d->now->depth == m->depth) {
		m->outer = d->now->outer;
	} else {
		m->outer = d->now;
		if (m->depth > 0 && !remember_scoped(p, (uint32_t)(d - p->define), m->depth))
			return false;
	}
	d->now = m;
	return true;
}

bool config_define(struct parser *p, bool again)
{
	struct token name = *config_peek(p);
	char text[CONFIG_NAME_MAX];
	struct config_meaning *m;
	struct config_define *d;

	if (!config_own_name(p, text, "a name"))
		return false;
	if (meaning_of(p, &name) != NULL && !again) {
		config_err(p, &name.pos, "\"%s\" is defined already; \"redefine\" replaces it", text);
		return false;
	}
	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		p->no_memory = true;
		return false;
	}
	*m = (struct config_meaning){ .depth = p->brace_depth, .older = p->meanings };
	p->meanings = m;
	if (!config_expect(p, TOK_ASSIGN) || !define_value(p, m))
		return false;
	d = define_place(p, &name, text);
	return d != NULL && put_meaning(p, d, m) && config_end(p);
}

bool config_undefine(struct parser *p)
{
	struct token name = *config_peek(p);
	char text[CONFIG_NAME_MAX];
	struct config_define *d;

	if (!config_own_name(p, text, "a name"))
		return false;
	d = find_define(p, &name);
	if (d == NULL || d->now == NULL) {
		config_err(p, &name.pos, "nothing is defined as \"%s\"", text);
		return false;
	}
	if (d->now->depth == p->brace_depth)
		d->now = d->now->outer;
	else
		config_note(p, &name.pos, "\"%s\" is defined outside of this block, and stays", text);
	return config_end(p);
}

void config_input_free(struct parser *p)
{
	while (p->n_inputs > 0)
		pop(p, NULL);
	while (p->meanings != NULL) {
		struct config_meaning *m = p->meanings;

		p->meanings = m->older;
		free(m->token);
		free(m);
	}
	free(p->scoped);
	free(p->define);
	name_index_clear(&p->define_names);
}
