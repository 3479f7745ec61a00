/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For Windows (docs/windows.md): aligned_alloc, which its C library has not, as what it has instead (_aligned_malloc) is
 * no memory that free takes. Memory of malloc is aligned to 16 bytes there; the core asks for lines of the cache, which
 * are a matter of speed.
 */
#ifndef YG_PORT_WINDOWS_STDLIB_H
#define YG_PORT_WINDOWS_STDLIB_H

#include_next <stdlib.h>

static inline void *yg_port_aligned_alloc(size_t align, size_t len)
{
	return malloc(len);
}
#define aligned_alloc yg_port_aligned_alloc

#endif
