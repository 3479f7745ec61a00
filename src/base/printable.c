/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UTF-8 is decoded strictly (RFC 3629: no long forms, no surrogates, nothing behind
 * U+10FFFF), since what a decoder of another mind makes of bad bytes is not known:
 * 0x9b alone is "control sequence introducer" to a terminal that reads Latin-1. Of
 * the characters themselves those go that no text needs and that move, hide or turn
 * round what stands beside them.
 */
#include "base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CUT SIZE_MAX /* the character goes on behind the end */

/* Bytes of the character that starts at s; 0: none does. */
static size_t decode(const uint8_t *s, size_t left, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;

	*c = n < 2 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (i == left)
			return CUT;
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	if (n > 1 && (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff)))
		return 0;
	return n;
}

static bool is_shown(uint32_t c, enum printable_form form)
{
	if (c == '\t')
		return form != PRINTABLE_WORD;
	if (c == '\n')
		return form == PRINTABLE_TEXT;
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	/* Marks of direction, line and paragraph separators, embeddings, overrides, isolates. */
	return c != 0x061c && c != 0x200e && c != 0x200f && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2066 && c <= 0x2069);
}

size_t printable_piece(char *text, size_t len, enum printable_form form)
{
	uint8_t *s = (uint8_t *)text;
	size_t i = 0;

	while (i < len) {
		uint32_t c;
		size_t n = decode(s + i, len - i, &c);
		if (n == CUT)
			return len - i;
		if (n == 0 || !is_shown(c, form))
			memset(s + i, '?', n == 0 ? 1 : n);
		i += n == 0 ? 1 : n;
	}
	return 0;
}

void printable(char *text, size_t len, enum printable_form form)
{
	size_t rest = printable_piece(text, len, form);

	memset(text + len - rest, '?', rest);
}

char *printable_string(char *text, enum printable_form form)
{
	printable(text, strlen(text), form);
	return text;
}
