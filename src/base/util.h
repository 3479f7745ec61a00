/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Small things that every room uses.
 */
#ifndef YG_BASE_UTIL_H
#define YG_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

#define YG_LIKELY(x) __builtin_expect(!!(x), 1)
#define YG_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* A function of its own, also where it is called once: what happens seldom, so that whoever asks whether it does need
 * not make room for it. */
#define YG_SELDOM __attribute__((noinline))
#define YG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* "never": a deadline that no clock reaches. Times are nanoseconds of a
 * monotonic clock that the caller passes in, or of a simulator's clock. */
#define TIME_NEVER UINT64_MAX

/* The line of p is fetched while other work is done. A function that does this and nothing else has no effect as GCC
 * sees it, and where it is not inlined at once its calls are dropped: so there is a statement here that counts as one.
 */
static inline void prefetch_read(const void *p)
{
	__builtin_prefetch(p);
	__asm__ volatile("");
}

/* The same where p will be written; its line may stand in another processor's cache. */
static inline void prefetch_write(const void *p)
{
#if defined(__x86_64__)
	/* Without -mprfchw compilers ask for it to be read, and the first store waits again. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
	__asm__ volatile("");
#endif
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* For whoever looks through equals one by one: the n-th takes the place of the one before. Each is the last in the end
 * with a chance of one in n, and always the same one for the same hash. */
static inline bool hash_picks(uint32_t hash, uint32_t n)
{
	uint64_t x = (hash ^ (uint64_t)n << 32) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return (x >> 32) * n >> 32 == 0;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
