/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The small steps that the grammar is made of, and what happens after a
 * mistake. A statement ends with its line or a semicolon; inside braces that
 * belong to a value (a set), a line's end means nothing.
 *
 * config_recover finds the end of a broken statement: it skips to the first
 * line's end, ";" or "}" at the depth where the statement began. A set whose
 * closing brace is missing must not swallow the rest of the file, so a line's
 * end inside deeper braces ends the statement as well when the line neither
 * ends with a comma or an opening brace nor is followed by one that continues.
 */
#include "daemon/config/lang/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void config_err(struct parser *p, const struct text_pos *pos, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	config_message(p->errors, p->sources, pos, false, fmt, args);
	va_end(args);
}

void config_note(struct parser *p, const struct text_pos *pos, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	config_message(p->errors, p->sources, pos, true, fmt, args);
	va_end(args);
}

bool config_expected(struct parser *p, const char *what)
{
	const struct token *t = config_peek(p);

	switch (t->kind) {
	case TOK_SILENT:
		break;
	case TOK_WORD:
	case TOK_NUMBER:
	case TOK_QUANTITY:
	case TOK_ADDRESS:
	case TOK_ADDRESS6:
		config_err(p, &t->pos, "expected %s, found \"%.*s\"", what, (int)(t->len > 64 ? 64 : t->len), t->text);
		break;
	default:
		config_err(p, &t->pos, "expected %s, found %s", what, token_names[t->kind]);
		break;
	}
	return false;
}

bool config_is(struct parser *p, enum token_kind kind)
{
	return config_peek(p)->kind == kind;
}

bool config_is_word(struct parser *p, const char *word)
{
	return token_is(config_peek(p), word);
}

bool config_accept(struct parser *p, enum token_kind kind)
{
	if (!config_is(p, kind))
		return false;
	config_next(p);
	return true;
}

bool config_accept_word(struct parser *p, const char *word)
{
	if (!config_is_word(p, word))
		return false;
	config_next(p);
	return true;
}

bool config_expect(struct parser *p, enum token_kind kind)
{
	return config_accept(p, kind) || config_expected(p, token_names[kind]);
}

bool config_expect_word(struct parser *p, const char *word)
{
	char what[CONFIG_NAME_MAX];

	if (config_accept_word(p, word))
		return true;
	snprintf(what, sizeof(what), "\"%s\"", word);
	return config_expected(p, what);
}

void config_skip_newlines(struct parser *p)
{
	while (config_accept(p, TOK_NEWLINE))
		;
}

bool config_at_end(struct parser *p)
{
	enum token_kind kind = config_peek(p)->kind;

	return kind == TOK_NEWLINE || kind == TOK_SEMICOLON || kind == TOK_RBRACE || kind == TOK_END;
}

bool config_end(struct parser *p)
{
	if (!config_at_end(p))
		return config_expected(p, "the end of the statement");
	if (!config_is(p, TOK_RBRACE))
		config_next(p);
	return true;
}

/* True when the line goes on although it ends inside braces. */
static bool line_goes_on(struct parser *p)
{
	enum token_kind next;

	if (p->last.kind == TOK_COMMA || p->last.kind == TOK_LBRACE || p->last.kind == TOK_ASSIGN)
		return true;
	for (uint32_t i = 1; i < CONFIG_LOOKAHEAD; i++) {
		next = config_peek_at(p, i)->kind;
		if (next != TOK_NEWLINE)
			return next == TOK_RBRACE || next == TOK_COMMA;
	}
	return false;
}

void config_recover(struct parser *p, uint32_t depth)
{
	p->nesting = 0;
	for (;;) {
		enum token_kind kind = config_peek(p)->kind;

		if (kind == TOK_END)
			return;
		if (p->brace_depth > depth && kind == TOK_NEWLINE && !line_goes_on(p))
			p->brace_depth = depth;
		if (p->brace_depth <= depth) {
			if (kind == TOK_RBRACE)
				return;
			if (kind == TOK_NEWLINE || kind == TOK_SEMICOLON) {
				config_next(p);
				return;
			}
		}
		config_next(p);
		/* The end of a block is the end of its statement. */
		if (kind == TOK_RBRACE && p->brace_depth == depth && config_at_end(p))
			return;
	}
}

void config_skip_statement(struct parser *p)
{
	uint32_t depth = p->brace_depth;

	while (!config_is(p, TOK_END) && (p->brace_depth > depth || !config_at_end(p)))
		config_next(p);
}

struct text_pos config_span(const struct parser *p, const struct token *from)
{
	struct text_pos pos = from->pos;

	if (p->last.pos.file == pos.file && p->last.pos.line == pos.line &&
	    p->last.pos.column + p->last.pos.length > pos.column + pos.length)
		pos.length = p->last.pos.column + p->last.pos.length - pos.column;
	return pos;
}

bool config_block(struct parser *p, config_statement_fn *fn, void *ctx)
{
	struct token open = *config_peek(p);
	uint32_t depth;

	if (!config_expect(p, TOK_LBRACE))
		return false;
	depth = p->brace_depth;
	for (;;) {
		while (config_accept(p, TOK_NEWLINE) || config_accept(p, TOK_SEMICOLON))
			;
		if (config_accept(p, TOK_RBRACE))
			return true;
		if (config_is(p, TOK_END)) {
			config_err(p, &open.pos, "this block has no closing \"}\"");
			return true;
		}
		if (!fn(p, ctx))
			config_recover(p, depth);
		if (p->brace_depth < depth) /* a file or a definition closed more than it opened */
			return true;
	}
}

void config_once(struct parser *p, struct config_once *said, const void *what, const struct text_pos *pos)
{
	for (uint32_t i = 0; i < said->n; i++) {
		const struct text_pos *before = &said->at[i].pos;

		if (said->at[i].what != what)
			continue;
		p->n_harmless++;
		if (before->file == pos->file)
			config_err(p, pos, "this may be said once, and was in line %u", before->line);
		else
			config_err(p, pos, "this may be said once, and was in line %u of %s", before->line,
				   p->sources->at[before->file - 1].name);
		return;
	}
	assert(said->n < CONFIG_ONCE_MAX);
	said->at[said->n].what = what;
	said->at[said->n++].pos = *pos;
}

bool config_copy(struct parser *p, const struct token *t, char *out, size_t size, const char *what)
{
	if (t->len >= size) {
		config_err(p, &t->pos, "%s may have %zu characters at most", what, size - 1);
		return false;
	}
	memcpy(out, t->text, t->len);
	out[t->len] = '\0';
	if (strlen(out) != t->len) {
		config_err(p, &t->pos, "%s with a NUL byte in it", what);
		return false;
	}
	return true;
}

void *config_grow(struct parser *p, void *items, size_t n, size_t size)
{
	char *bigger = items;

	if (n == 0 || (n & (n - 1)) == 0)
		bigger = realloc(items, (n == 0 ? 1 : n * 2) * size);
	if (bigger == NULL) {
		p->no_memory = true;
		return NULL;
	}
	memset(bigger + n * size, 0, size);
	return bigger;
}
