/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/device/suppress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* Would catch: one sentence for all that goes wrong before the kernel knows which device is meant. */
static void test_no_device(void **state)
{
	static const char long_name[] = "longer-than-a-name-can-be";
	struct rlimit old, none;
	struct suppress *q;
	char err[256];

	assert_int_equal(suppress_open(SUPPRESS_TC, &q, err, sizeof(err)), 0);
	assert_int_equal(suppress_add(q, "no-such-dev", err, sizeof(err)), -ENODEV);
	assert_non_null(strstr(err, "device no-such-dev: there is no such device"));
	assert_int_equal(suppress_add(q, long_name, err, sizeof(err)), -ENODEV);
	assert_non_null(strstr(err, "there is no such device"));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int rc = suppress_add(q, "lo", err, sizeof(err));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rc, -EMFILE);
	assert_non_null(strstr(err, "Too many open files"));
	suppress_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_device) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
