/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text from elsewhere, made fit for a terminal. A device's name, a config's words, a
 * journal's line may hold anything; what would steer the terminal that shows it, or
 * show another text than there is, becomes `?`.
 */
#ifndef YG_BASE_PRINTABLE_H
#define YG_BASE_PRINTABLE_H

#include <stddef.h>

enum printable_form {
	PRINTABLE_WORD, /* neither tabs nor line ends */
	PRINTABLE_LINE, /* tabs stay */
	PRINTABLE_TEXT, /* tabs and line ends stay */
};

/* In place, the length stays: every byte of a character that is a control character (C0, DEL, C1), changes the
 * direction of writing, or is no UTF-8 becomes `?`. */
void printable(char *text, size_t len, enum printable_form form);
/* The same of a stream, a piece of it at a time. Returns how many of the last bytes (0 to 3) were left as they are,
 * since they begin a character whose rest has not come yet: they belong before the next piece. */
size_t printable_piece(char *text, size_t len, enum printable_form form);
/* Of a string; returns it. */
char *printable_string(char *text, enum printable_form form);

#endif
