/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: memory that is refused, by the place of the request. The functions stand in place of the C library's (the
 * linker's --wrap; wrapped_alloc in tests/meson.build).
 */
#ifndef YG_TESTS_REFUSED_MEMORY_H
#define YG_TESTS_REFUSED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
/* NOLINTEND(bugprone-reserved-identifier) */

static uint32_t n_asked;  /* since it was set to 0 */
static uint32_t fails_at; /* the request that fails, 1 the first; 0: none, and none is counted */
static bool stays_short;  /* and all behind it fail too */

static bool may_have(void)
{
	return fails_at == 0 || (++n_asked != fails_at && (n_asked < fails_at || !stays_short));
}

void *__wrap_malloc(size_t bytes)
{
	return may_have() ? __real_malloc(bytes) : NULL;
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return may_have() ? __real_calloc(n, bytes) : NULL;
}

void *__wrap_realloc(void *p, size_t bytes)
{
	return may_have() ? __real_realloc(p, bytes) : NULL;
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return may_have() ? __real_aligned_alloc(align, bytes) : NULL;
}

#endif
