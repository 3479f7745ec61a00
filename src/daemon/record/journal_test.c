/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words of a journal's lines. Would catch a number out of its bounds, a sign, a
 * size that no config could have asked for, a name that leads to another directory.
 */
#include "daemon/record/journal.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void numbers(void **state)
{
	static const struct {
		const char *line;
		uint64_t min, max, value;
		bool good;
	} row[] = {
		{ "told 5", 0, 63, 5, true },
		{ "told 63", 0, 63, 63, true },
		{ "told 64", 0, 63, 0, false },
		{ "told 0", 1, 63, 1, false },
		{ "told -1", 0, 63, 0, false },
		{ "told +1", 0, 63, 0, false },
		{ "told 1x", 0, 63, 0, false },
		{ "told 0x1", 0, 63, 0, false },
		{ "told", 0, 63, 0, false },
		{ "told ", 0, 63, 0, false },
		{ "told  5", 0, 63, 0, false },
		{ "told\t5", 0, 63, 0, false },
		{ "told 18446744073709551615", 0, UINT64_MAX, UINT64_MAX, true },
		{ "told 18446744073709551616", 0, UINT64_MAX, 0, false },
		{ "told 99999999999999999999999", 0, UINT64_MAX, 0, false },
		{ "told 5 6", 0, 63, 5, false },
		{ "told 5 ", 0, 63, 5, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct journal_words w = journal_words_of(row[i].line);
		assert_true(journal_number(&w, row[i].min, row[i].max) == row[i].value);
		assert_int_equal(journal_words_end(&w), row[i].good);
	}
}

static void words(void **state)
{
	struct journal_words w = journal_words_of("attach 1 lan0 c6:69:bd:43:07:38 1500");
	char name[5], mac[18];

	assert_int_equal(journal_number(&w, 0, 9), 1);
	journal_word(&w, name, sizeof(name));
	journal_word(&w, mac, sizeof(mac));
	assert_int_equal(journal_number(&w, 0, 9999), 1500);
	assert_true(journal_words_end(&w));
	assert_string_equal(name, "lan0");
	assert_string_equal(mac, "c6:69:bd:43:07:38");

	w = journal_words_of("attach lan01 7");
	journal_word(&w, name, sizeof(name)); /* one byte too long */
	assert_string_equal(name, "");
	assert_int_equal(journal_number(&w, 3, 9), 3); /* bad from then on */
	assert_false(journal_words_end(&w));
}

static void names(void **state)
{
	static const char *const good[] = { "lan0", "eth0.100", "a-b", "...", "123456789012345" };
	static const char *const bad[] = {
		"", ".", "..", "../x", "a/b", "/x", "a:b", "a b", "a\nb", "1234567890123456"
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(journal_is_name(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(journal_is_name(bad[i]));
}

static void limits(void **state)
{
	struct gateway_limits l = { 0 };
	char err[160];

	assert_true(journal_limit_set(&l, "connections", 1000, err, sizeof(err)));
	assert_int_equal(l.conntrack.n_connections, 1000);
	assert_true(journal_limit_set(&l, "packets-small", 4096, err, sizeof(err)));
	assert_int_equal(l.packets.n_small, 4096);
	assert_false(journal_limit_set(&l, "connections", UINT32_MAX, err, sizeof(err)));
	assert_non_null(strstr(err, "limit connections is not from 16 to "));
	assert_false(journal_limit_set(&l, "connections", UINT64_C(1) << 32 | 1000, err, sizeof(err)));
	assert_false(journal_limit_set(&l, "reassembly", 0, err, sizeof(err)));
	assert_false(journal_limit_set(&l, "nat-mappings", 16, err, sizeof(err)));
	assert_false(journal_limit_set(&l, "elephants", 16, err, sizeof(err)));
	assert_non_null(strstr(err, "elephants"));
	assert_int_equal(l.conntrack.n_connections, 1000);
}

/* What the recorder writes, the replay takes: each limit at both ends of what a config allows. */
static void written_and_read(void **state)
{
	struct gateway_limits l = { .packets = { 256, 256, 1 << 16 },
				    .ip = { .n_neighbours = 16, .n_neigh_held = 1 << 16, .n_reassembly = 1 << 20 },
				    .conntrack = { .n_connections = 1 << 28, .n_fragments = 16 } };
	struct gateway_limits again = { 0 };
	char *text = NULL, err[160], name[64];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	journal_limits_write(&l, f);
	fclose(f);
	char *rest = text, *line;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		struct journal_words w = journal_words_of(line);
		journal_word(&w, name, sizeof(name));
		uint64_t value = journal_number(&w, 0, UINT64_MAX);
		assert_true(journal_words_end(&w));
		assert_true(journal_limit_set(&again, name, value, err, sizeof(err)));
	}
	free(text);
	assert_memory_equal(&l, &again, sizeof(l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(words),
		cmocka_unit_test(names),
		cmocka_unit_test(limits),
		cmocka_unit_test(written_and_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
