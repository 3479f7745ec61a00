/* SPDX-License-Identifier: BSD-2-Clause */
#include "callgrind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind word in line. */
static uint64_t number_behind(const char *line, const char *word, uint64_t otherwise)
{
	const char *at = strstr(line, word);

	return at != NULL ? strtoull(at + strlen(word), NULL, 10) : otherwise;
}

uint64_t callgrind_count(const char *self, const char *function, const char *row)
{
	char command[1024], line[512];
	uint64_t collected = 0, n_units = 1;

	snprintf(command, sizeof(command),
		 "valgrind --tool=callgrind --toggle-collect='%s*' --callgrind-out-file=/dev/null "
		 "'%s' --under-callgrind %s 2>&1",
		 function, self, row);
	FILE *f = popen(command, "r");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		collected = number_behind(line, "Collected : ", collected);
		n_units = number_behind(line, "done ", n_units);
	}
	return pclose(f) == 0 && n_units > 0 ? collected / n_units : 0;
}
