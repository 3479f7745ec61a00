/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading a command's options by its table, and printing its help from the same
 * table. Nothing is kept: struct args points into the caller's words and table.
 */
#include "daemon/control/commands/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/util.h"

static const struct arg_option *find_name(const struct arg_option *options, const char *name, size_t len)
{
	for (const struct arg_option *o = options; o != NULL && o->name != NULL; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static const struct arg_option *find_letter(const struct arg_option *options, char letter)
{
	for (const struct arg_option *o = options; o != NULL && o->name != NULL; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int give(struct args *a, const struct arg_option *o, const char *value, char *err, size_t err_len)
{
	if (a->n_given == ARGS_GIVEN_MAX) {
		snprintf(err, err_len, "too many options");
		return -EINVAL;
	}
	a->given[a->n_given].option = o;
	a->given[a->n_given].value = value;
	a->n_given++;
	return 0;
}

static int unknown_long(const struct arg_option *options, const char *word, size_t len, char *err, size_t err_len)
{
	char name[32];
	const char *names[64];
	size_t n = 0;

	snprintf(name, sizeof(name), "%.*s", (int)(len > 31 ? 31 : len), word);
	for (const struct arg_option *o = options; o != NULL && o->name != NULL && n < ARRAY_LEN(names); o++)
		names[n++] = o->name;
	const char *near = args_nearest(name, names, n);
	if (near != NULL)
		snprintf(err, err_len, "unknown option --%s; did you mean --%s?", name, near);
	else
		snprintf(err, err_len, "unknown option --%s", name);
	return -EINVAL;
}

/* One word that begins with two dashes; *i moves over a value of its own. */
static int parse_long(struct args *a, int argc, const char *const *argv, int *i, char *err, size_t err_len)
{
	const char *word = argv[*i] + 2;
	const char *equals = strchr(word, '=');
	size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);

	const struct arg_option *o = find_name(a->options, word, len);
	if (o == NULL) {
		if (len == 4 && memcmp(word, "help", 4) == 0) {
			a->help = true;
			return 0;
		}
		return unknown_long(a->options, word, len, err, err_len);
	}
	if (o->value == NULL) {
		if (equals != NULL) {
			snprintf(err, err_len, "option --%s takes no value", o->name);
			return -EINVAL;
		}
		return give(a, o, NULL, err, err_len);
	}
	if (equals != NULL)
		return give(a, o, equals + 1, err, err_len);
	if (*i + 1 >= argc) {
		snprintf(err, err_len, "option --%s needs a value (%s)", o->name, o->value);
		return -EINVAL;
	}
	return give(a, o, argv[++*i], err, err_len);
}

/* One word of letters behind a single dash. */
static int parse_letters(struct args *a, int argc, const char *const *argv, int *i, char *err, size_t err_len)
{
	const char *word = argv[*i] + 1;

	for (; *word != '\0'; word++) {
		const struct arg_option *o = find_letter(a->options, *word);
		if (o == NULL && *word == 'h') {
			a->help = true;
			continue;
		}
		if (o == NULL) {
			snprintf(err, err_len, "unknown option -%c", *word);
			return -EINVAL;
		}
		if (o->value == NULL) {
			int rc = give(a, o, NULL, err, err_len);
			if (rc != 0)
				return rc;
			continue;
		}
		if (word[1] != '\0')
			return give(a, o, word + 1, err, err_len);
		if (*i + 1 >= argc) {
			snprintf(err, err_len, "option -%c needs a value (%s)", o->letter, o->value);
			return -EINVAL;
		}
		return give(a, o, argv[++*i], err, err_len);
	}
	return 0;
}

static int parse_words(struct args *a, const struct arg_option *options, int argc, const char *const *argv, char *err,
		       size_t err_len)
{
	bool only_words = false;

	*a = (struct args){ .options = options };
	for (int i = 0; i < argc; i++) {
		const char *w = argv[i];
		int rc = 0;
		if (!only_words && strcmp(w, "--") == 0) {
			only_words = true;
		} else if (!only_words && w[0] == '-' && w[1] == '-') {
			rc = parse_long(a, argc, argv, &i, err, err_len);
		} else if (!only_words && w[0] == '-' && w[1] != '\0') {
			rc = parse_letters(a, argc, argv, &i, err, err_len);
		} else if (a->n_words == ARGS_WORDS_MAX) {
			snprintf(err, err_len, "too many words");
			rc = -EINVAL;
		} else {
			a->word[a->n_words++] = w;
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

int args_parse(struct args *a, const struct arg_option *options, int argc, const char *const *argv, char *err,
	       size_t err_len)
{
	int rc = parse_words(a, options, argc, argv, err, err_len);

	if (rc != 0)
		printable_string(err, PRINTABLE_LINE);
	return rc;
}

const char *args_nth(const struct args *a, const char *name, size_t n)
{
	for (size_t i = 0; i < a->n_given; i++)
		if (strcmp(a->given[i].option->name, name) == 0 && n-- == 0)
			return a->given[i].value;
	return NULL;
}

const char *args_value(const struct args *a, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < a->n_given; i++)
		if (strcmp(a->given[i].option->name, name) == 0)
			value = a->given[i].value;
	return value;
}

bool args_has(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->n_given; i++)
		if (strcmp(a->given[i].option->name, name) == 0)
			return true;
	return false;
}

bool args_number(const struct args *a, const char *name, uint64_t min, uint64_t max, uint64_t *out, char *err,
		 size_t err_len)
{
	const char *text = args_value(a, name);
	if (text == NULL)
		return true;

	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v < min || v > max) {
		snprintf(err, err_len, "--%s: \"%.40s\" is not a number from %llu to %llu", name, text,
			 (unsigned long long)min, (unsigned long long)max);
		return false;
	}
	*out = v;
	return true;
}

/* "  -p, --proto PROTO" and its help in a column of its own. */
static void print_option(const struct arg_option *o, FILE *to)
{
	char left[64];

	if (o->letter != 0)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", o->letter, o->name, o->value != NULL ? " " : "",
			 o->value != NULL ? o->value : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", o->name, o->value != NULL ? " " : "",
			 o->value != NULL ? o->value : "");
	fprintf(to, "  %-28s %s\n", left, o->help);
}

void command_info_print(const struct command_info *info, FILE *to)
{
	fprintf(to, "usage: yangguan %s%s%s\n\n%s\n", info->name, info->synopsis[0] != '\0' ? " " : "", info->synopsis,
		info->help);
	if (info->more != NULL)
		fprintf(to, "\n%s\n", info->more);
	fprintf(to, "\noptions:\n");
	for (const struct arg_option *o = info->options; o != NULL && o->name != NULL; o++)
		print_option(o, to);
	fprintf(to, "  %-28s %s\n", "-h, --help", "this text");
	if (info->example != NULL)
		fprintf(to, "\nexample:\n%s\n", info->example);
}

bool command_info_parse(const struct command_info *info, struct args *a, int argc, char **argv)
{
	char err[160];

	if (args_parse(a, info->options, argc - 1, (const char *const *)argv + 1, err, sizeof(err)) != 0) {
		fprintf(stderr, "yangguan %s: %s (see: yangguan %s --help)\n", info->name, err, info->name);
		return false;
	}
	if (a->help)
		command_info_print(info, stdout);
	return true;
}

/* Levenshtein's distance, for short words. */
static size_t distance(const char *a, const char *b)
{
	size_t row[33];
	size_t n = strlen(b);

	if (n > 32 || strlen(a) > 32)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

const char *args_nearest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t best_distance = 3;
	size_t len = strlen(word);

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, names[i]);
		/* A beginning of at least two letters counts as near. */
		if (len >= 2 && strncmp(word, names[i], len) == 0)
			d = 1;
		if (d < best_distance && d < strlen(names[i])) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}
