/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes as hexadecimal digits, two each and nothing between them.
 */
#ifndef YG_BASE_HEX_H
#define YG_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lower case; out has 2 * n + 1 bytes. */
void hex_write(const uint8_t *bytes, size_t n, char *out);
/* Of either case. False, and out of no use, when text is anything but n bytes. */
bool hex_read(const char *text, uint8_t *out, size_t n);

#endif
