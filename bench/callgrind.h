/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Instructions of a row, counted by callgrind in a second run of the same program.
 */
#ifndef YG_BENCH_CALLGRIND_H
#define YG_BENCH_CALLGRIND_H

#include <stdint.h>

/* Runs `self --under-callgrind row` (row: words), and counts what is called from the function of that name (and of
 * copies of it that the compiler has made). Per unit, if the program prints "done" and their number; 0: there is no
 * valgrind, or it failed. */
uint64_t callgrind_count(const char *self, const char *function, const char *row);

#endif
