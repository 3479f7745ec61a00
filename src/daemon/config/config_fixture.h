/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests of the config language: a text that is taken, refused or noted.
 */
#ifndef YG_DAEMON_CONFIG_CONFIG_FIXTURE_H
#define YG_DAEMON_CONFIG_CONFIG_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "daemon/config/config.h"

static inline struct config *load(const char *text)
{
	struct config_errors *errors;
	struct config *c = config_read_text("test", text, strlen(text), &errors);

	if (c == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(c);
	config_errors_free(errors);
	return c;
}

/* The first message of a text that must be refused. */
static inline void refused(const char *text, const char *want)
{
	struct config_errors *errors;
	struct config *c = config_read_text("test", text, strlen(text), &errors);
	char *got = config_errors_text(errors);

	assert_null(c);
	assert_true(config_n_errors(errors) > 0);
	assert_non_null(got);
	if (strstr(got, want) == NULL)
		fail_msg("\"%s\" says\n%snot \"%s\"", text, got, want);
	free(got);
	config_errors_free(errors);
}

/* The one note of a text that is taken; NULL: none. */
static inline void noted(const char *text, const char *where, const char *want)
{
	struct config_errors *errors = NULL;
	struct config *c = config_read_text("test", text, strlen(text), &errors);
	char *got = errors != NULL ? config_errors_text(errors) : NULL;

	assert_non_null(c);
	assert_int_equal(config_n_errors(errors), 0);
	if (want == NULL) {
		assert_null(got);
	} else {
		assert_non_null(got);
		assert_ptr_equal(strstr(got, where), got);
		assert_non_null(strstr(got, want));
	}
	free(got);
	config_errors_free(errors);
	config_free(c);
}

#endif
