/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For Windows (docs/windows.md), where Debian has no cmocka: as much of its interface as the unit tests of the core use,
 * so that they run as they are. What fails says file and line; a test that fails leaves it by longjmp, and the program's
 * status is how many did. Nothing is mocked.
 */
#ifndef YG_PORT_WINDOWS_CMOCKA_H
#define YG_PORT_WINDOWS_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef int CMFixtureFunction(void **state);

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	CMFixtureFunction *setup, *teardown;
};

static jmp_buf cmocka_leave;

static __attribute__((noreturn, unused, format(gnu_printf, 3, 4))) void cmocka_fail(const char *file, int line,
										const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	longjmp(cmocka_leave, 1);
}

static inline int cmocka_run_one(const struct CMUnitTest *t, void **state)
{
	/* Changed behind setjmp. */
	volatile int failed = 1;

	printf("[ RUN      ] %s\n", t->name);
	fflush(stdout);
	if (setjmp(cmocka_leave) == 0) {
		if (t->setup != NULL && t->setup(state) != 0)
			cmocka_fail(__FILE__, __LINE__, "setup of %s", t->name);
		t->test(state);
		failed = 0;
	}
	if (setjmp(cmocka_leave) != 0 || (t->teardown != NULL && t->teardown(state) != 0))
		failed = 1;
	printf("[ %s ] %s\n", failed ? " FAILED " : "      OK", t->name);
	fflush(stdout);
	return failed;
}

static inline int cmocka_run_all(const struct CMUnitTest *t, size_t n, CMFixtureFunction *setup,
				 CMFixtureFunction *teardown)
{
	void *state = NULL;
	int n_failed = 0;

	if (setup != NULL && setup(&state) != 0)
		return 1;
	for (size_t i = 0; i < n; i++) {
		void *own = state;

		n_failed += cmocka_run_one(&t[i], &own);
	}
	if (teardown != NULL && teardown(&state) != 0)
		n_failed++;
	printf("[ %s ] %zu tests, %d failed\n", n_failed ? " FAILED " : " PASSED ", n, n_failed);
	return n_failed;
}

#define cmocka_unit_test(f) { #f, f, NULL, NULL }
#define cmocka_unit_test_setup_teardown(f, setup, teardown) { #f, f, setup, teardown }
#define cmocka_run_group_tests(tests, setup, teardown) \
	cmocka_run_all(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#define print_message(...) printf(__VA_ARGS__)
#define print_error(...) fprintf(stderr, __VA_ARGS__)
#define fail_msg(...) cmocka_fail(__FILE__, __LINE__, __VA_ARGS__)
#define fail() cmocka_fail(__FILE__, __LINE__, "fails")

/* Each operand is taken once, as there. */
#define cmocka_number(x) ((uintmax_t)(x))
#define assert_true(x) ((x) ? (void)0 : cmocka_fail(__FILE__, __LINE__, "%s is not true", #x))
#define assert_false(x) ((x) ? cmocka_fail(__FILE__, __LINE__, "%s is true", #x) : (void)0)
#define assert_non_null(x) assert_true((x) != NULL)
#define assert_null(x) assert_true((x) == NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))

static inline void cmocka_numbers(uintmax_t a, uintmax_t b, int equal, const char *text, const char *file, int line)
{
	if ((a == b) != equal)
		cmocka_fail(file, line, "%s: %#llx, %#llx", text, (unsigned long long)a, (unsigned long long)b);
}
#define assert_int_equal(a, b) \
	cmocka_numbers(cmocka_number(a), cmocka_number(b), 1, #a " is not " #b, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) \
	cmocka_numbers(cmocka_number(a), cmocka_number(b), 0, #a " is " #b, __FILE__, __LINE__)

static inline void cmocka_range(uintmax_t x, uintmax_t low, uintmax_t high, const char *text, const char *file, int line)
{
	if (x < low || x > high)
		cmocka_fail(file, line, "%s is %llu, not from %llu to %llu", text, (unsigned long long)x,
			    (unsigned long long)low, (unsigned long long)high);
}
#define assert_in_range(x, low, high) \
	cmocka_range(cmocka_number(x), cmocka_number(low), cmocka_number(high), #x, __FILE__, __LINE__)

static inline void cmocka_strings(const char *a, const char *b, int equal, const char *file, int line)
{
	if ((strcmp(a, b) == 0) != equal)
		cmocka_fail(file, line, "\"%s\" and \"%s\"", a, b);
}
#define assert_string_equal(a, b) cmocka_strings(a, b, 1, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) cmocka_strings(a, b, 0, __FILE__, __LINE__)

static inline void cmocka_memory(const void *a, const void *b, size_t n, int equal, const char *file, int line)
{
	if ((memcmp(a, b, n) == 0) != equal)
		cmocka_fail(file, line, "%zu bytes are %s", n, equal ? "not the same" : "the same");
}
#define assert_memory_equal(a, b, n) cmocka_memory(a, b, n, 1, __FILE__, __LINE__)
#define assert_memory_not_equal(a, b, n) cmocka_memory(a, b, n, 0, __FILE__, __LINE__)

#endif
