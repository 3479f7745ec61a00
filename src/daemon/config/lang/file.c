/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files: the config itself and what it includes. Bounded by number, size and
 * depth; a file that includes itself is refused, and so is whatever is no file:
 * reading a device can have effects, and a pipe may never end.
 */
#include "daemon/config/lang/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t config_add_source(struct config_sources *s, const char *name, char *text, size_t len)
{
	struct config_source *at = realloc(s->at, (s->n + 1) * sizeof(*at));

	if (at == NULL) {
		free(text);
		return 0;
	}
	s->at = at;
	at[s->n] = (struct config_source){ .name = strdup(name), .text = text, .len = len };
	if (at[s->n].name == NULL) {
		free(text);
		return 0;
	}
	return (uint32_t)++s->n;
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
	switch (error) {
	case EFBIG:
		return "it is larger than 64 MB";
	case EAGAIN: /* such as /proc/kmsg: it looks like one */
		return "it is not a file that has an end";
	default:
		return strerror(error);
	}
}

/* A device may do something when it is opened or read, and a pipe may never end: what a file includes is a file. The
 * config itself may be a pipe, from a shell. */
static bool may_read(const struct stat *st, bool included)
{
	return S_ISREG(st->st_mode) || (!included && S_ISFIFO(st->st_mode));
}

/* A descriptor; or -1 and the reason. */
static int open_file(const char *path, bool included, struct stat *st, const char **reason)
{
	static const char no_file[] = "it is not a file";
	int fd;

	*reason = NULL;
	/* Asked before it is opened, which some devices take for an order; and again, since a name can change hands. */
	if (stat(path, st) == 0 && !may_read(st, included)) {
		*reason = no_file;
		return -1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && fstat(fd, st) == 0 && may_read(st, included)) {
		if (included || fcntl(fd, F_SETFL, 0) == 0) /* the shell's pipe is waited for */
			return fd;
	} else if (fd >= 0) {
		*reason = no_file;
	}
	if (*reason == NULL)
		*reason = strerror(errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

uint32_t config_add_file(struct parser *p, const char *path, const struct text_pos *pos)
{
	bool is_stdin = strcmp(path, "-") == 0 && p->n_inputs == 0;
	const char *reason = NULL;
	struct stat st = { 0 };
	uint32_t number = 0;
	char *text = NULL;
	size_t len;
	int fd;

	fd = is_stdin ? STDIN_FILENO : open_file(path, p->n_inputs > 0, &st, &reason);
	if (fd >= 0) {
		text = read_all(fd, &len);
		reason = text == NULL ? why(errno) : NULL;
	}
	if (reason != NULL)
		config_err(p, pos, "cannot read \"%s\": %s", path, reason);
	if (text != NULL) {
		number = config_add_source(p->sources, is_stdin ? "<stdin>" : path, text, len);
		p->no_memory |= number == 0;
	}
	if (number != 0) {
		p->sources->at[number - 1].dev = st.st_dev;
		p->sources->at[number - 1].ino = st.st_ino;
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
		const struct config_source *o = &p->sources->at[p->input[i].source];

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
	if (depth > CONFIG_INCLUDE_DEPTH_MAX || p->sources->n >= CONFIG_SOURCES_MAX) {
		config_err(p, &name->pos, "too many files include each other (%d deep, %d in all)",
			   CONFIG_INCLUDE_DEPTH_MAX, CONFIG_SOURCES_MAX);
		return;
	}
	number = config_add_file(p, path, &name->pos);
	if (number == 0)
		return;
	if (is_open(p, &p->sources->at[number - 1])) {
		config_err(p, &name->pos, "a circle: \"%s\" is being read already", path);
		return;
	}
	config_push_file(p, number);
}

/* Where a relative name begins: the folder of the file that includes. Owned by the caller. */
static char *resolve(struct parser *p, const struct config_input *in, const struct token *name)
{
	char *from = strdup(p->sources->at[in->source].name), *path = NULL;
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
	const struct config_source *s = &p->sources->at[in->source];
	const char *from = s->text + in->copied, *end = s->text + s->len;

	if (word->src < from || word->src > end || name->src < word->src || name->src + name->src_len > end)
		return;
	config_flat_add(p, from, (size_t)(word->src - from));
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
	config_unread(p);
	if (strpbrk(path, "*?[") == NULL) {
		include_one(p, path, name);
	} else if (glob(path, 0, NULL, &g) == 0) { /* none that fits: nothing to include, as in nft */
		for (size_t i = g.gl_pathc; i > 0; i--)
			include_one(p, g.gl_pathv[i - 1], name);
		globfree(&g);
	}
	free(path);
}
