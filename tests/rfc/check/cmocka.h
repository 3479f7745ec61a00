/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The few checks of cmocka that tests/scenario/fixture.c and the scenarios use, on
 * top of rfc_fail. A failed one ends the scenario and not the program, which
 * cmocka can do only within a group of its own tests. This folder stands before
 * cmocka's in the include path.
 */
#ifndef YG_TESTS_RFC_CMOCKA_H
#define YG_TESTS_RFC_CMOCKA_H

#include <stdint.h>

_Noreturn void rfc_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define fail_msg(...) rfc_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(c) ((c) ? (void)0 : fail_msg("%s does not hold", #c))
#define assert_false(c) (!(c) ? (void)0 : fail_msg("%s holds", #c))
#define assert_non_null(p) ((p) != NULL ? (void)0 : fail_msg("%s is NULL", #p))
#define assert_null(p) ((p) == NULL ? (void)0 : fail_msg("%s is not NULL", #p))
#define assert_int_equal(a, b) rfc_equal(__FILE__, __LINE__, #a, #b, (int64_t)(a), (int64_t)(b))
#define assert_int_not_equal(a, b) \
	((int64_t)(a) != (int64_t)(b) ? (void)0 : fail_msg("%s is %s, %lld", #a, #b, (long long)(a)))

static inline void rfc_equal(const char *file, int line, const char *a, const char *b, int64_t x, int64_t y)
{
	if (x != y)
		rfc_fail(file, line, "%s is %lld, not %s (%lld)", a, (long long)x, b, (long long)y);
}

#endif
