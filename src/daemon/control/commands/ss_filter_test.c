/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "daemon/control/commands/ss_filter.h"

/* 10.0.0.1:40000 to 203.0.113.80:80 */
static const struct socket_entry entry = { .t = { .state = TCP_ESTABLISHED,
						  .local = { { .family = 4, .v4 = IP4(10, 0, 0, 1) }, 40000 },
						  .remote = { { .family = 4, .v4 = IP4(203, 0, 113, 80) }, 80 } } };

/* Would catch: a term that is read otherwise than ss reads it, a wrong order of and, or and not, an end for the other.
 */
static void test_takes(void **state)
{
	static const struct {
		const char *text;
		bool takes;
	} rows[] = {
		{ "", true },
		{ "dst 203.0.113.80", true },
		{ "src 203.0.113.80", false },
		{ "dst = 203.0.113.0/24", true },
		{ "dst 203.0.114.0/24", false },
		{ "dst 203.0.113.80:80", true },
		{ "dst 203.0.113.80:81", false },
		{ "dst :80", true },
		{ "src 10.0.0.1:40000 dst :80", true },
		{ "sport = :40000", true },
		{ "sport 40000", true },
		{ "dport 40000", false },
		{ "sport >= :40001", false },
		{ "sport gt 39999", true },
		{ "dport!=80", false },
		{ "not dport 80", false },
		{ "! dport 81", true },
		{ "( sport = :22 or dport = :80 )", true },
		{ "sport 1 or sport 2 and dport 80", false },
		{ "dport 80 or sport 1 and sport 2", true },
		{ "(dport 80 or sport 1) and sport 2", false },
		{ "not (sport 1 or sport 2)", true },
		{ "state established", true },
		{ "state time-wait", false },
		{ "state time-wait state established dport 80", true },
		{ "exclude established", false },
		{ "state connected exclude established", false },
		{ "state synchronized dport < 80", false },
	};
	struct ss_filter f;
	char err[128];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(ss_filter_parse(&f, SS_STATES_CONNECTED, rows[i].text, err, sizeof(err)), 0);
		if (ss_filter_takes(&f, &entry) != rows[i].takes)
			fail_msg("%s", rows[i].text);
	}
}

/* Would catch: nonsense that is taken, or that runs over what there is room for. */
static void test_refused(void **state)
{
	static const char *const texts[] = {
		"state foo",     "dst",         "dst host",   "dst 10.0.0.0/33", "dport 65536",
		"sport http",    "dport",       "( dport 80", "dport )",         "and",
		"dport 80 and",  "dport 80 or", "not",        "10.0.0.1",        "dport 80 state established",
		"dst 10.0.0.1x",
	};
	char deep[2048] = "", err[128];
	struct ss_filter f;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (ss_filter_parse(&f, SS_STATES_ALL, texts[i], err, sizeof(err)) == 0)
			fail_msg("%s", texts[i]);
	for (size_t i = 0; i < 500; i++)
		strcat(deep, "! ");
	assert_int_not_equal(ss_filter_parse(&f, SS_STATES_ALL, deep, err, sizeof(err)), 0);
	deep[0] = '\0';
	for (size_t i = 0; i < 100; i++)
		strcat(deep, "dport 80 ");
	assert_int_not_equal(ss_filter_parse(&f, SS_STATES_ALL, deep, err, sizeof(err)), 0);
	memset(deep, '(', 200);
	deep[200] = '\0';
	assert_int_not_equal(ss_filter_parse(&f, SS_STATES_ALL, deep, err, sizeof(err)), 0);
}

/* Would catch: states that ss shows by default and we do not, or the other way round. */
static void test_states(void **state)
{
	assert_false(SS_STATES_CONNECTED & (SS_STATE(TCP_TIME_WAIT) | SS_STATE(TCP_LISTEN) | SS_STATE(TCP_CLOSED)));
	assert_true(SS_STATES_CONNECTED & SS_STATE(TCP_SYN_SENT));
	assert_true(SS_STATES_LISTENING & SS_STATE(TCP_LISTEN));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
