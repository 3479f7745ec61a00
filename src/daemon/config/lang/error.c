/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages about a config: collected while it is read, each with a copy of its
 * line, so that they outlive the text; sorted by place; printed as nft prints
 * its own. Columns count bytes, as editors do in ASCII text; the carets are set
 * by characters, with the line's own tabs kept.
 */
#include "daemon/config/lang/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "daemon/config/lang/parse.h"
#include "daemon/control/text/output.h"

/* More than anybody mends in one go. */
#define ERRORS_MAX 50
#define NOTES_MAX 20
/* Of a source line that is shown. */
#define LINE_MAX_BYTES 160

struct message {
	struct text_pos pos;
	bool is_note;
	char text[CONFIG_MESSAGE_MAX];
	char *file;
	char *line;      /* the part that is shown, or NULL */
	uint32_t offset; /* of that part in its line */
};

struct config_errors {
	size_t n, n_errors, n_notes; /* n: kept */
	struct message m[ERRORS_MAX + NOTES_MAX];
};

/* The n-th line of a source; NULL when it has fewer. */
static const char *find_line(const struct config_source *s, uint32_t line, size_t *len)
{
	const char *p = s->text, *end = s->text + s->len, *nl;

	for (uint32_t i = 1; i < line && p != NULL; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p == NULL ? NULL : p + 1;
	}
	if (p == NULL)
		return NULL;
	nl = memchr(p, '\n', (size_t)(end - p));
	*len = (size_t)((nl == NULL ? end : nl) - p);
	return p;
}

static void keep_line(struct message *m, const struct config_source *s)
{
	size_t len, from = 0;
	const char *line = m->pos.line > s->n_before ? find_line(s, m->pos.line - s->n_before, &len) : NULL;

	if (line == NULL)
		return;
	if (len > LINE_MAX_BYTES && m->pos.column > LINE_MAX_BYTES / 2)
		from = m->pos.column - LINE_MAX_BYTES / 2;
	if (from > len)
		return;
	len = len - from > LINE_MAX_BYTES ? LINE_MAX_BYTES : len - from;
	/* What is hidden may begin before the part that is shown. */
	char *whole = strndup(line, from + len);

	if (whole == NULL)
		return;
	config_hide_in_line(whole, strlen(whole));
	m->line = strlen(whole) >= from ? strdup(whole + from) : NULL;
	free(whole);
	m->offset = (uint32_t)from;
	if (m->line != NULL)
		printable_string(m->line, PRINTABLE_LINE);
}

static bool before(const struct text_pos *a, const struct text_pos *b)
{
	if (a->file != b->file)
		return a->file < b->file;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

static bool said(const struct config_errors *e, const struct message *m)
{
	for (size_t i = 0; i < e->n; i++)
		if (memcmp(&e->m[i].pos, &m->pos, sizeof(m->pos)) == 0 && strcmp(e->m[i].text, m->text) == 0)
			return true;
	return false;
}

void config_message(struct config_errors **errors, const struct config_sources *sources, const struct text_pos *pos,
		    bool is_note, const char *fmt, va_list args)
{
	const struct config_source *s;
	struct config_errors *e;
	struct message m = { .pos = *pos, .is_note = is_note };
	size_t i;

	if (*errors == NULL)
		*errors = calloc(1, sizeof(**errors));
	e = *errors;
	if (e == NULL)
		return;
	vsnprintf(m.text, sizeof(m.text), fmt, args);
	/* What a file holds, and what it is called, must not steer the terminal that it is shown on. */
	printable_string(m.text, PRINTABLE_LINE);
	if (said(e, &m))
		return;
	if (is_note ? e->n_notes++ >= NOTES_MAX : e->n_errors++ >= ERRORS_MAX)
		return;
	if (sources != NULL && pos->file > 0 && pos->file <= sources->n) {
		s = &sources->at[pos->file - 1];
		m.file = strdup(s->name);
		keep_line(&m, s);
	}
	for (i = e->n++; i > 0 && before(&m.pos, &e->m[i - 1].pos); i--)
		e->m[i] = e->m[i - 1];
	e->m[i] = m;
}

size_t config_n_errors(const struct config_errors *e)
{
	return e == NULL ? 0 : e->n_errors;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static void print_carets(const struct message *m, FILE *to)
{
	size_t len = strlen(m->line), from = m->pos.column - 1 - m->offset, n = 0;

	for (size_t i = 0; i < from && i < len; i++)
		if (!is_continuation(m->line[i]))
			fputc(m->line[i] == '\t' ? '\t' : ' ', to);
	for (size_t i = from; i < len && i < from + m->pos.length; i++)
		n += !is_continuation(m->line[i]);
	for (n = n == 0 ? 1 : n; n > 0; n--)
		fputc('^', to);
	fputc('\n', to);
}

static uint32_t last_column(const struct message *m)
{
	return m->pos.column + (m->pos.length > 0 ? m->pos.length - 1 : 0);
}

static void print_one(const struct message *m, FILE *to)
{
	char *file = m->file != NULL ? strdup(m->file) : NULL;

	if (file != NULL)
		printable_string(file, PRINTABLE_WORD);
	if (file != NULL && m->pos.line != 0)
		fprintf(to, "%s:%u:%u-%u: ", file, m->pos.line, m->pos.column, last_column(m));
	else if (file != NULL)
		fprintf(to, "%s: ", file);
	free(file);
	fprintf(to, "%s: %s\n", m->is_note ? "Note" : "Error", m->text);
	if (m->line == NULL)
		return;
	fprintf(to, "%s\n", m->line);
	print_carets(m, to);
}

void config_errors_print(const struct config_errors *e, FILE *to)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->n; i++)
		print_one(&e->m[i], to);
	if (e->n_errors + e->n_notes > e->n)
		fprintf(to, "and %zu more\n", e->n_errors + e->n_notes - e->n);
}

void config_errors_output(const struct config_errors *e, struct output *o)
{
	static const struct out_column columns[] = {
		{ "file", NULL, OUT_TEXT },       { "line", NULL, OUT_U64 },      { "column", NULL, OUT_U64 },
		{ "last_column", NULL, OUT_U64 }, { "severity", NULL, OUT_TEXT }, { "text", NULL, OUT_TEXT },
	};
	static const struct out_table table = { "messages", columns, ARRAY_LEN(columns), NULL };

	output_table_begin(o, &table);
	for (size_t i = 0; e != NULL && i < e->n; i++) {
		const struct message *m = &e->m[i];
		bool placed = m->file != NULL && m->pos.line != 0;

		output_row(o, (struct out_value[]){
				      m->file != NULL ? OUT_T(m->file) : OUT_ABSENT,
				      placed ? OUT_U(m->pos.line) : OUT_ABSENT,
				      placed ? OUT_U(m->pos.column) : OUT_ABSENT,
				      placed ? OUT_U(last_column(m)) : OUT_ABSENT,
				      OUT_T(m->is_note ? "note" : "error"),
				      OUT_T(m->text),
			      });
	}
	output_table_end(o);
}

char *config_errors_text(const struct config_errors *e)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (to == NULL)
		return NULL;
	config_errors_print(e, to);
	if (fclose(to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void config_errors_free(struct config_errors *e)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->n; i++) {
		free(e->m[i].file);
		free(e->m[i].line);
	}
	free(e);
}
