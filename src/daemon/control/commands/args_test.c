/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Options of commands, and the nearest word for a slip.
 */
#include "daemon/control/commands/args.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

#include "base/util.h"

static const struct arg_option options[] = {
	{ 'j', "json", NULL, "" },
	{ 'p', "proto", "P", "" },
	{ 'n', "count", "N", "" },
	{ 0, "until", "KIND", "" },
	{ 0 },
};

struct row {
	const char *argv[6];
	int rc;
	const char *json, *proto, *until; /* "" : given without a value, NULL: not there */
	size_t n_words;
	const char *err; /* part of it */
};

static const struct row rows[] = {
	{ { "-j" }, 0, "", NULL, NULL, 0, NULL },
	{ { "-jp", "tcp" }, 0, "", "tcp", NULL, 0, NULL },
	{ { "-ptcp", "x" }, 0, NULL, "tcp", NULL, 1, NULL },
	{ { "--proto=tcp" }, 0, NULL, "tcp", NULL, 0, NULL },
	{ { "--proto", "tcp", "--until", "-j" }, 0, NULL, "tcp", "-j", 0, NULL },
	{ { "--", "-j" }, 0, NULL, NULL, NULL, 1, NULL },
	{ { "-" }, 0, NULL, NULL, NULL, 1, NULL },
	{ { "-p", "udp", "-p", "tcp" }, 0, NULL, "tcp", NULL, 0, NULL },
	{ { "-p" }, -22, NULL, NULL, NULL, 0, "needs a value" },
	{ { "--until" }, -22, NULL, NULL, NULL, 0, "needs a value" },
	{ { "-x" }, -22, NULL, NULL, NULL, 0, "unknown option -x" },
	{ { "--jsn" }, -22, NULL, NULL, NULL, 0, "did you mean --json" },
	{ { "--json=1" }, -22, NULL, NULL, NULL, 0, "takes no value" },
};

static void check_option(const struct args *a, const char *name, const char *expected)
{
	assert_int_equal(args_has(a, name), expected != NULL);
	if (expected != NULL && expected[0] != '\0')
		assert_string_equal(args_value(a, name), expected);
}

/* Catches an option that takes the wrong word as its value, or a slip that passes in silence. */
static void test_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct args a;
		char err[160] = "";
		int argc = 0;
		while (argc < 6 && r->argv[argc] != NULL)
			argc++;
		assert_int_equal(args_parse(&a, options, argc, r->argv, err, sizeof(err)), r->rc);
		if (r->rc != 0) {
			assert_non_null(strstr(err, r->err));
			continue;
		}
		check_option(&a, "json", r->json);
		check_option(&a, "proto", r->proto);
		check_option(&a, "until", r->until);
		assert_int_equal(a.n_words, r->n_words);
	}
}

/* Catches numbers that are taken although they are none, or out of range. */
static void test_number(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} numbers[] = {
		{ "1", true },    { "99", true },  { "0", false },
		{ "100", false }, { "-1", false }, { "1x", false },
		{ "", false },    { " 1", false }, { "99999999999999999999999", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const char *argv[] = { "-n", numbers[i].text };
		struct args a;
		char err[160];
		uint64_t v = 7;
		assert_int_equal(args_parse(&a, options, 2, argv, err, sizeof(err)), 0);
		assert_int_equal(args_number(&a, "count", 1, 99, &v, err, sizeof(err)), numbers[i].ok);
		assert_int_equal(v != 7, numbers[i].ok);
	}
}

/* Catches more options or words than there is room for: an overflow under AddressSanitizer. */
static void test_too_many(void **state)
{
	const char *argv[ARGS_WORDS_MAX + 1];
	struct args a;
	char err[160];

	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		argv[i] = "-j";
	assert_int_equal(args_parse(&a, options, ARRAY_LEN(argv), argv, err, sizeof(err)), -22);
	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		argv[i] = "word";
	assert_int_equal(args_parse(&a, options, ARRAY_LEN(argv), argv, err, sizeof(err)), -22);
}

/* Catches a suggestion for a word that is like none, and none for an ordinary slip. */
static void test_nearest(void **state)
{
	static const char *const names[] = { "run", "reload", "conntrack", "drops", "stats" };
	static const struct {
		const char *word, *near;
	} near[] = {
		{ "relaod", "reload" },
		{ "contrack", "conntrack" },
		{ "drop", "drops" },
		{ "conn", "conntrack" },
		{ "xyzzy", NULL },
		{ "rn", "run" },
		{ "", NULL },
		{ "zzz", NULL },
		{ "a-very-long-word-that-is-longer-than-any-name-there-is", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(near); i++) {
		const char *found = args_nearest(near[i].word, names, ARRAY_LEN(names));
		if (near[i].near == NULL)
			assert_null(found);
		else
			assert_string_equal(found, near[i].near);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
