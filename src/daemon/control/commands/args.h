/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words behind a command's name: options by a table, and the rest. The same
 * table prints the help, so the two cannot differ.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_ARGS_H
#define YG_DAEMON_CONTROL_COMMANDS_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARGS_GIVEN_MAX 64
#define ARGS_WORDS_MAX 128 /* a route with sixteen ways */

struct arg_option {
	char letter;       /* 0: none */
	const char *name;  /* long name, without dashes; NULL ends a table */
	const char *value; /* what --help calls its value; NULL: it takes none */
	const char *help;
};

struct args {
	const struct arg_option *options;
	size_t n_given;
	struct {
		const struct arg_option *option;
		const char *value;
	} given[ARGS_GIVEN_MAX];
	size_t n_words;
	const char *word[ARGS_WORDS_MAX]; /* what is no option, in order */
	bool help;                        /* -h or --help stood there */
};

/* argv[0] is the first word behind the command's name. Takes -x, -xy, -x VALUE,
 * -xVALUE, --name, --name VALUE, --name=VALUE; `--` ends the options. The texts are
 * not copied. 0, or -EINVAL and one sentence. */
int args_parse(struct args *a, const struct arg_option *options, int argc, const char *const *argv, char *err,
	       size_t err_len);
bool args_has(const struct args *a, const char *name);
/* The value given last; NULL when the option is not there. */
const char *args_value(const struct args *a, const char *name);
/* The n-th value (from 0) of an option that may be repeated; NULL behind the last. */
const char *args_nth(const struct args *a, const char *name, size_t n);
/* Reads a number from min to max; true and *out unchanged when the option is not there. False and a sentence
 * when the value is no such number. */
bool args_number(const struct args *a, const char *name, uint64_t min, uint64_t max, uint64_t *out, char *err,
		 size_t err_len);

/* What a command says of itself. */
struct command_info {
	const char *name;
	const char *synopsis;             /* behind the name, "" if nothing */
	const char *help;                 /* one line */
	const struct arg_option *options; /* NULL: none */
	const char *more;                 /* a paragraph, NULL if none */
	const char *example;              /* whole lines, without the newline at the end */
};

void command_info_print(const struct command_info *info, FILE *to);
/* The words of a command that works by itself, argv[0] being its name. False when they are wrong, which is told on
 * standard error; with --help, which leaves nothing else to be done, the help is printed. */
bool command_info_parse(const struct command_info *info, struct args *a, int argc, char **argv);

/* The name in names (count n) that is most like word, NULL when none is near. */
const char *args_nearest(const char *word, const char *const *names, size_t n);

#endif
