/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages about texts of the config language, collected in order of place, and the
 * texts that they are about.
 */
#ifndef YG_DAEMON_CONFIG_LANG_ERROR_H
#define YG_DAEMON_CONFIG_LANG_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text_pos.h"
#include "base/util.h"

#define CONFIG_FILE_MAX (64u << 20) /* bytes of one file: a million routes, a line each */
#define CONFIG_MESSAGE_MAX 240

struct config_source {
	char *name;
	char *text;
	size_t len;
	uint64_t dev, ino; /* 0: not a file */
	uint32_t n_before; /* lines of the file that are not in text: messages count them */
};

/* The texts that were read: text_pos.file is a number from 1 on. */
struct config_sources {
	size_t n;
	struct config_source *at;
};

struct config_errors;

/* One more message about a place. *errors may be NULL; without memory the message is lost, but config_n_errors still
 * counts it if *errors exists. sources NULL: about no place. */
void config_message(struct config_errors **errors, const struct config_sources *sources, const struct text_pos *pos,
		    bool is_note, const char *fmt, va_list args) YG_PRINTF(5, 0);

/* As nft prints them:
 *   yangguan.conf:12:17-23: Error: no pool is called "publik"
 *           snat to pool publik
 *                        ^^^^^^
 */
size_t config_n_errors(const struct config_errors *e); /* 0 for NULL */
/* What is worth saying and refuses nothing (a rule for IPv6 only that was left out) is printed with them in the same
 * form with "Note", and there also beside a config that was read. */
void config_errors_print(const struct config_errors *e, FILE *to);
/* As the table "messages" of a JSON object that is open. */
struct output;
void config_errors_output(const struct config_errors *e, struct output *o);
/* The same as one string, to be freed by the caller. */
char *config_errors_text(const struct config_errors *e);
void config_errors_free(struct config_errors *e);

#endif
