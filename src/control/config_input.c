/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stream of tokens that the parser reads: a stack of files (include) and of
 * token lists (what a `$name` stands for). Names are replaced here, before the
 * grammar sees anything, so a definition can stand wherever a value can; what
 * comes from one is reported at the place of its use.
 *
 * Everything is bounded: files by number, size and depth, and a file that
 * includes itself is refused; definitions by their length and by the number of
 * tokens that all uses put in, since definitions of definitions double quickly.
 *
 * On the side the text is copied together with each include replaced by what it
 * brought: a recording of the gateway needs one text.
 */
#include "control/config_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void flat_add(struct parser *p, const char *text, size_t len)
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

static struct config_input *push(struct parser *p, const struct ast_pos *pos)
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
	static const struct ast_pos nowhere;
	struct config_input *in = push(p, &nowhere);
	const struct config_source *s = &p->c->source[source - 1];

	if (in == NULL)
		return;
	in->is_file = true;
	in->source = source - 1;
	in->brace_depth = p->brace_depth;
	lexer_init(&in->lx, s->text, s->len, source);
}

static void pop(struct parser *p, const struct token *end)
{
	struct config_input *in = &p->input[p->n_inputs - 1];
	const struct config_source *s;

	if (in->is_file) {
		s = &p->c->source[in->source];
		flat_add(p, s->text + in->copied, s->len - in->copied);
		if (s->len > 0 && s->text[s->len - 1] != '\n' && p->n_inputs > 1)
			flat_add(p, "\n", 1);
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
	const struct config_define *d;
	struct config_input *in;
	struct token whole = *dollar;

	whole.pos.length = name->pos.column + name->pos.length - dollar->pos.column;
	whole.src_len = (uint32_t)(name->src + name->src_len - dollar->src);
	if (name->kind != TOK_WORD) {
		config_err(p, &dollar->pos, "expected a name behind \"$\"");
		return false;
	}
	d = find_define(p, name);
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
	while (p->n_ahead <= i)
		fetch(p, &p->ahead[p->n_ahead++]);
	return &p->ahead[i];
}

const struct token *config_peek(struct parser *p)
{
	return config_peek_at(p, 0);
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
	if (t.kind != TOK_NEWLINE && t.kind != TOK_END)
		p->last = t;
	return t;
}

/* Tokens already looked at go under what is pushed next. */
static void unread(struct parser *p)
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

/* Reads the tokens of a definition up to its line's end. */
static bool define_value(struct parser *p, struct config_define *d)
{
	uint32_t depth = p->brace_depth;
	struct token *bigger;

	for (;;) {
		const struct token *t = config_peek(p);

		if (p->brace_depth == depth && config_at_end(p))
			return true;
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

bool config_define(struct parser *p, bool again)
{
	struct config_define d = { 0 }, *old, *bigger;
	struct name_list all;
	struct token name = *config_peek(p);

	if (!config_name(p, d.name, sizeof(d.name), "a name"))
		return false;
	old = find_define(p, &name);
	if (old != NULL && !again) {
		config_err(p, &name.pos, "\"%s\" is defined already; \"redefine\" replaces it", d.name);
		return false;
	}
	if (!config_expect(p, TOK_ASSIGN) || !define_value(p, &d))
		goto failed;
	if (d.n == 0) {
		config_expected(p, "a value");
		goto failed;
	}
	/* A use of the old value may still be on the stack of inputs: it stays until the end. */
	bigger = config_grow(p, p->define, p->n_defines, sizeof(*p->define));
	if (bigger == NULL)
		goto failed;
	p->define = bigger;
	old = find_define(p, &name); /* the array may have moved */
	if (old != NULL)
		old->name[0] = '\0';
	p->define[p->n_defines++] = d;
	all = define_list(p);
	if (!name_index_add(&p->define_names, &all))
		p->no_memory = true;
	return config_end(p);
failed:
	free(d.token);
	return false;
}

bool config_undefine(struct parser *p)
{
	struct token name = *config_peek(p);
	char text[AST_NAME_MAX];
	struct config_define *d;

	if (!config_name(p, text, sizeof(text), "a name"))
		return false;
	d = find_define(p, &name);
	if (d == NULL) {
		config_err(p, &name.pos, "nothing is defined as \"%s\"", text);
		return false;
	}
	d->name[0] = '\0';
	return config_end(p);
}

uint32_t config_add_source(struct config *c, const char *name, char *text, size_t len)
{
	struct config_source *s = realloc(c->source, (c->n_sources + 1) * sizeof(*s));

	if (s == NULL) {
		free(text);
		return 0;
	}
	c->source = s;
	s[c->n_sources] = (struct config_source){ .name = strdup(name), .text = text, .len = len };
	if (s[c->n_sources].name == NULL) {
		free(text);
		return 0;
	}
	return (uint32_t)++c->n_sources;
}

/* All of a descriptor, at most CONFIG_FILE_MAX bytes; errno on failure. */
static char *read_all(int fd, size_t *len)
{
	size_t cap = 4096;
	char *text = malloc(cap), *bigger;
	ssize_t n = 1;

	*len = 0;
	while (text != NULL && n > 0) {
		if (*len == cap) {
			cap *= 2;
			bigger = cap > CONFIG_FILE_MAX * 2 ? NULL : realloc(text, cap);
			if (bigger == NULL) {
				errno = cap > CONFIG_FILE_MAX * 2 ? EFBIG : ENOMEM;
				free(text);
				return NULL;
			}
			text = bigger;
		}
		n = read(fd, text + *len, cap - *len);
		*len += n > 0 ? (size_t)n : 0;
	}
	if (text != NULL && n == 0 && *len <= CONFIG_FILE_MAX)
		return text;
	errno = text != NULL && n == 0 ? EFBIG : errno;
	free(text);
	return NULL;
}

static const char *why(int error)
{
	return error == EFBIG ? "it is larger than 64 MB" : strerror(error);
}

uint32_t config_add_file(struct parser *p, const char *path, const struct ast_pos *pos)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct stat st = { 0 };
	uint32_t number = 0;
	char *text = NULL;
	size_t len;
	int fd;

	/* Opened without waiting, so that a device cannot hold us up; read with waiting, for a pipe from a shell. */
	fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || (!is_stdin && fcntl(fd, F_SETFL, 0) < 0)) {
		config_err(p, pos, "cannot read \"%s\": %s", path, strerror(errno));
	} else if (S_ISDIR(st.st_mode) || (!is_stdin && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))) {
		config_err(p, pos, "cannot read \"%s\": it is not a file", path);
	} else {
		text = read_all(fd, &len);
		if (text == NULL)
			config_err(p, pos, "cannot read \"%s\": %s", path, why(errno));
		else
			number = config_add_source(p->c, is_stdin ? "<stdin>" : path, text, len);
		if (text != NULL && number == 0)
			p->no_memory = true;
	}
	if (number != 0) {
		p->c->source[number - 1].dev = st.st_dev;
		p->c->source[number - 1].ino = st.st_ino;
	}
	if (fd >= 0 && !is_stdin)
		close(fd);
	return number;
}

/* The file that is being read: the one on top of the stack. */
static struct config_input *current_file(struct parser *p)
{
	for (uint32_t i = p->n_inputs; i > 0; i--)
		if (p->input[i - 1].is_file)
			return &p->input[i - 1];
	return NULL;
}

static bool is_open(const struct parser *p, const struct config_source *s)
{
	for (uint32_t i = 0; i < p->n_inputs; i++) {
		const struct config_source *o = &p->c->source[p->input[i].source];

		if (p->input[i].is_file && o->ino == s->ino && o->dev == s->dev)
			return true;
	}
	return false;
}

static void include_one(struct parser *p, const char *path, const struct token *name)
{
	uint32_t number, depth = 0;

	for (uint32_t i = 0; i < p->n_inputs; i++)
		depth += p->input[i].is_file;
	if (depth > CONFIG_INCLUDE_DEPTH_MAX || p->c->n_sources >= CONFIG_SOURCES_MAX) {
		config_err(p, &name->pos, "too many files include each other (%d deep, %d in all)",
			   CONFIG_INCLUDE_DEPTH_MAX, CONFIG_SOURCES_MAX);
		return;
	}
	number = config_add_file(p, path, &name->pos);
	if (number == 0)
		return;
	if (is_open(p, &p->c->source[number - 1])) {
		config_err(p, &name->pos, "a circle: \"%s\" is being read already", path);
		return;
	}
	config_push_file(p, number);
}

/* Where a relative name begins: the folder of the file that includes. Owned by the caller. */
static char *resolve(struct parser *p, const struct config_input *in, const struct token *name)
{
	char *from = strdup(p->c->source[in->source].name), *path = NULL;
	int n;

	if (from == NULL)
		return NULL;
	if (name->len > 0 && name->text[0] == '/')
		n = asprintf(&path, "%.*s", (int)name->len, name->text);
	else
		n = asprintf(&path, "%s/%.*s", dirname(from), (int)name->len, name->text);
	free(from);
	return n < 0 ? NULL : path;
}

/* Copies the text up to the statement, and leaves the statement out. What a definition brought may have
 * passed this place already. */
static void flat_cut(struct parser *p, struct config_input *in, const struct token *word, const struct token *name)
{
	const struct config_source *s = &p->c->source[in->source];
	const char *from = s->text + in->copied, *end = s->text + s->len;

	if (word->src < from || word->src > end || name->src < word->src || name->src + name->src_len > end)
		return;
	flat_add(p, from, (size_t)(word->src - from));
	in->copied = (size_t)(name->src + name->src_len - s->text);
}

void config_include(struct parser *p, const struct token *word, const struct token *name)
{
	struct config_input *in = current_file(p);
	char *path;
	glob_t g;

	if (!p->may_include) {
		config_err(p, &name->pos, "include works in a file only: this text has no folder");
		return;
	}
	path = resolve(p, in, name);
	if (path == NULL) {
		p->no_memory = true;
		return;
	}
	flat_cut(p, in, word, name);
	unread(p);
	if (strpbrk(path, "*?[") == NULL) {
		include_one(p, path, name);
	} else if (glob(path, 0, NULL, &g) == 0) { /* none that fits: nothing to include, as in nft */
		for (size_t i = g.gl_pathc; i > 0; i--)
			include_one(p, g.gl_pathv[i - 1], name);
		globfree(&g);
	}
	free(path);
}

void config_input_free(struct parser *p)
{
	while (p->n_inputs > 0)
		pop(p, NULL);
	for (size_t i = 0; i < p->n_defines; i++)
		free(p->define[i].token);
	free(p->define);
	name_index_clear(&p->define_names);
}
