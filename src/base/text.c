/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bounded text builder. buf[len] is NUL and len < cap at all times. Once a
 * piece was cut, later pieces are left out as well, so that a cut text is a
 * true beginning of the whole one.
 */
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct text text_of(char *buf, size_t cap)
{
	assert(cap > 0);
	buf[0] = '\0';
	return (struct text){ .buf = buf, .cap = cap };
}

void text_add(struct text *t, const char *fmt, ...)
{
	if (t->cut)
		return;
	size_t room = t->cap - t->len;
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(t->buf + t->len, room, fmt, args);
	va_end(args);
	if (n < 0) {
		t->buf[t->len] = '\0';
		t->cut = true;
	} else if ((size_t)n >= room) {
		t->len = t->cap - 1;
		t->cut = true;
	} else {
		t->len += (size_t)n;
	}
}
