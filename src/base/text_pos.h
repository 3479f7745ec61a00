/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where something stands in a text that was read.
 */
#ifndef YG_BASE_TEXT_POS_H
#define YG_BASE_TEXT_POS_H

#include <stdint.h>

/* 1-based, 0 unknown; column and length in bytes. */
struct text_pos {
	uint32_t file; /* number of the file (includes) */
	uint32_t line, column, length;
};

#endif
