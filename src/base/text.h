/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text put together piece by piece in a buffer of the caller's. What does not
 * fit is left out and remembered, so that a writer adds straight through and
 * asks once, at the end, whether all of it is there.
 */
#ifndef YG_BASE_TEXT_H
#define YG_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct text {
	char *buf;  /* always ends with NUL */
	size_t cap; /* bytes, NUL included; at least 1 */
	size_t len; /* characters, without the NUL */
	bool cut;   /* something did not fit; nothing is added any more */
};

/* An empty text in buf. */
struct text text_of(char *buf, size_t cap);
/* Adds as printf does; what runs past the end is cut off. */
void text_add(struct text *t, const char *fmt, ...) YG_PRINTF(2, 3);

#endif
