/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bounded text builder.
 */
#include "base/text.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Catches pieces that overwrite each other, and a length that is off. */
static void adds_in_order(void **state)
{
	char buf[32];
	struct text t = text_of(buf, sizeof(buf));
	assert_string_equal(buf, "");
	text_add(&t, "%s=%d", "a", 1);
	text_add(&t, " %s", "b");
	assert_string_equal(buf, "a=1 b");
	assert_int_equal(t.len, 5);
	assert_false(t.cut);
}

/* Catches a write past the end, a text that fits and is called cut, and a later
 * piece behind a cut one. */
static void cuts_at_the_end(void **state)
{
	char buf[8];
	memset(buf, '#', sizeof(buf));
	struct text t = text_of(buf, 6);
	text_add(&t, "12345");
	assert_false(t.cut);
	text_add(&t, "%s", "");
	assert_false(t.cut);
	t = text_of(buf, 6);
	text_add(&t, "123");
	text_add(&t, "456");
	assert_true(t.cut);
	assert_string_equal(buf, "12345");
	assert_int_equal(t.len, 5);
	text_add(&t, "%s", "");
	text_add(&t, "x");
	assert_string_equal(buf, "12345");
	assert_int_equal(buf[6], '#');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_in_order),
		cmocka_unit_test(cuts_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
