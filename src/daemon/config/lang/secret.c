/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Passwords are not shown: neither in a line that a message quotes nor in the text of
 * the config that a recording keeps. What is hidden is found in the bare text, since a message may be
 * about a line that nobody could read. A password stands in quotes behind its word
 * (bgp_neighbor.c); in a line of a message, where anything may be wrong, whatever stands behind that word, or
 * one like it, up to the statement's end is taken for one.
 */
#include <stdbool.h>
#include <string.h>

#include "daemon/config/lang/parse.h"

static const char *const password = "password";

static bool in_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool is_blank(const char *text, size_t len, size_t i)
{
	if (i >= len)
		return false;
	return text[i] == ' ' || text[i] == '\t' || (i + 1 < len && text[i] == '\\' && text[i + 1] == '\n') ||
	       (i > 0 && text[i] == '\n' && text[i - 1] == '\\');
}

/* Stars up to `end`; a character of several bytes gets one each. */
static void cover(char *text, size_t from, size_t end)
{
	memset(text + from, '*', end - from);
}

/* Behind the quote at i. Returns where the text goes on. */
static size_t cover_quoted(char *text, size_t len, size_t i)
{
	const char *end = i + 1 < len ? memchr(text + i + 1, '"', len - i - 1) : NULL;
	const char *line = i + 1 < len ? memchr(text + i + 1, '\n', len - i - 1) : NULL;
	size_t to = end != NULL ? (size_t)(end - text) : len;

	/* No quoted text goes over a line's end. */
	if (line != NULL && (size_t)(line - text) < to)
		to = (size_t)(line - text);
	cover(text, i + 1, to > i + 1 ? to : i + 1);
	return to;
}

/* The next word that begins at or behind *at; false: there is none. */
static bool next_word(const char *text, size_t len, size_t *at, size_t *end)
{
	while (*at < len && !in_word(text[*at]))
		(*at)++;
	*end = *at;
	while (*end < len && in_word(text[*end]))
		(*end)++;
	return *at < len;
}

void config_hide_in_text(char *text, size_t len)
{
	for (size_t at = 0, end; next_word(text, len, &at, &end); at = end) {
		if (end - at != strlen(password) || memcmp(text + at, password, end - at) != 0)
			continue;
		while (is_blank(text, len, end))
			end++;
		if (end < len && text[end] == '"')
			end = cover_quoted(text, len, end);
	}
}

void config_hide_in_line(char *line, size_t len)
{
	for (size_t at = 0, end; next_word(line, len, &at, &end); at = end) {
		if (config_nearest(line + at, end - at, &password, 1) == NULL)
			continue;
		while (is_blank(line, len, end))
			end++;
		if (end < len && line[end] == '"')
			end = cover_quoted(line, len, end) + 1;
		size_t from = end < len ? end : len;

		for (end = from; end < len && line[end] != ';' && line[end] != '}'; end++)
			if (line[end] != ' ' && line[end] != '\t')
				line[end] = '*';
	}
}
