/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What both DUTs and all tests have in common.
 */
#include "dut.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void dut_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "differential: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}
