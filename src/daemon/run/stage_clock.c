/* SPDX-License-Identifier: BSD-2-Clause
 *
 * x86: the TSC, if CPUID says that it is invariant (leaf 0x80000007, EDX bit 8):
 * one that changes its rate with the processor's would measure nothing. ARM: the
 * virtual counter CNTVCT_EL0, which always runs evenly. Both are read without a
 * system call in some ten nanoseconds or less, and without waiting for the
 * instructions before: over a batch that does not matter.
 */
#include "daemon/run/stage_clock.h"

#include <stdbool.h>
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

static uint64_t read_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

#if defined(__x86_64__)

static uint64_t read_counter(void)
{
	return __rdtsc();
}

static bool counter_is_even(void)
{
	unsigned a, b, c, d = 0;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1u << 8) != 0;
}

static const char counter_name[] = "TSC";

#elif defined(__aarch64__)

static uint64_t read_counter(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
}

static bool counter_is_even(void)
{
	return true;
}

static const char counter_name[] = "CNTVCT";

#else

static uint64_t read_counter(void)
{
	return read_ns();
}

static bool counter_is_even(void)
{
	return false;
}

static const char counter_name[] = "ns";

#endif

void stage_clock_start(struct stage_clock *c)
{
	bool own = counter_is_even();

	*c = (struct stage_clock){ .read = own ? read_counter : read_ns, .name = own ? counter_name : "ns" };
	c->start_ns = read_ns();
	c->start = c->read();
}

uint64_t stage_clock_hz(const struct stage_clock *c)
{
	uint64_t passed, clocks;

	if (c->read == read_ns)
		return NS_PER_S;
	/* Two readings a moment apart say little. */
	do {
		passed = read_ns() - c->start_ns;
		clocks = c->read() - c->start;
	} while (passed < 10 * NS_PER_MS);
	return (uint64_t)((__uint128_t)clocks * NS_PER_S / passed);
}
