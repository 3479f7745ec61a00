/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of drop reasons: what operators and metrics read.
 */
#include "base/drop.h"

#include <ctype.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Catches a row without words, and a name that is no metric label. */
static void every_reason_has_words(void **state)
{
	for (unsigned i = 0; i < N_DROP_REASONS; i++) {
		const struct drop_info *d = &drop_info[i];
		assert_non_null(d->name);
		assert_true(strlen(d->name) > 0 && strlen(d->name) < 32);
		assert_true(strlen(d->text) > 0 && strlen(d->hint) > 0);
		for (const char *c = d->name; *c != '\0'; c++)
			assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '-');
	}
}

/* Catches two reasons under one name, whose counters nobody could tell apart. */
static void names_are_unique(void **state)
{
	for (unsigned i = 0; i < N_DROP_REASONS; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(drop_info[i].name, drop_info[j].name);
}

/* Catches a table that is out of step with the enum. */
static void names_match_the_enum(void **state)
{
	assert_string_equal(drop_info[DROP_FRAME_CUT].name, "frame-cut");
	assert_string_equal(drop_info[DROP_NO_ROUTE].name, "no-route");
	assert_string_equal(drop_info[DROP_TX_TOO_BIG].name, "tx-too-big");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_words),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(names_match_the_enum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
