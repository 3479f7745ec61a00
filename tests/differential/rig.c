/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What all rigs and tests have in common.
 */
#include "rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void rig_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "differential: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}
