/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a process has of the machine's memory.
 */
#ifndef YG_BENCH_RESIDENT_H
#define YG_BENCH_RESIDENT_H

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* Bytes; 0: nobody says. */
static inline uint64_t resident_bytes(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

#endif
