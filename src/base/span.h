/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes of somebody else: where they stand, and how many.
 */
#ifndef YG_BASE_SPAN_H
#define YG_BASE_SPAN_H

#include <stddef.h>

/* Laid out as POSIX's struct iovec. */
struct span {
	void *bytes;
	size_t len;
};

#endif
