/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where we differ from Linux, and why.
 */
#ifndef YG_TESTS_EXPLAINED_H
#define YG_TESTS_EXPLAINED_H

#include <stdint.h>

struct explained {
	const char *pattern; /* of fnmatch(3), against the line that describes a difference */
	const char *reason;
	const char *source; /* RFC or Linux */
};

extern const struct explained explained[];
extern const uint32_t n_explained;

#endif
