/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For Windows (docs/windows.md): of mmap(2) what the core has of it, memory of zeroes that costs nothing until it is
 * touched. Large pages are a right there that ordinary users have not, so nobody is advised.
 */
#ifndef YG_PORT_WINDOWS_SYS_MMAN_H
#define YG_PORT_WINDOWS_SYS_MMAN_H

#include <stddef.h>
#include <stdint.h>

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 0x20
#define MAP_NORESERVE 0x4000
#define MAP_FAILED ((void *)-1)
#define MADV_HUGEPAGE 14

/* Of kernel32. Its header, windows.h, gives thousands of names to whoever includes it. */
__declspec(dllimport) void *__stdcall VirtualAlloc(void *at, size_t len, unsigned long how, unsigned long protection);
__declspec(dllimport) int __stdcall VirtualFree(void *at, size_t len, unsigned long how);

static inline void *mmap(void *at, size_t len, int protection, int flags, int fd, int64_t offset)
{
	/* MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE */
	void *mem = len > 0 ? VirtualAlloc(NULL, len, 0x3000, 4) : NULL;

	return mem != NULL ? mem : MAP_FAILED;
}

static inline int munmap(void *at, size_t len)
{
	/* MEM_RELEASE: all of it, and so no length. */
	return VirtualFree(at, 0, 0x8000) ? 0 : -1;
}

static inline int madvise(void *at, size_t len, int advice)
{
	return 0;
}

#endif
