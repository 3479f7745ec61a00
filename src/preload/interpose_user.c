/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The program's pointers. A system call says EFAULT of one that leads nowhere; the library would end the program with
 * it. So what calls that are rare are given is copied by the kernel, from this process to itself (process_vm_readv(2)),
 * which knows. Where bytes are in the way that would cost too much: there only what can be no pointer at all is
 * refused.
 *
 * A program that has forbidden itself system calls may not know of that one: its pointers are believed.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of user space there is nothing below the first page that may be mapped, nor above half of what a pointer can say. */
#define LOWEST 4096u
#define HIGHEST (UINTPTR_MAX >> 1)

bool is_nowhere(const void *p, size_t n)
{
	uintptr_t at = (uintptr_t)p;

	return n > 0 && (at < LOWEST || at > HIGHEST || n > HIGHEST - at);
}

/* False: EFAULT. */
static bool copy(ssize_t (*by)(pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long,
			       unsigned long),
		 const struct iovec *ours, const struct iovec *theirs)
{
	int was = errno;
	bool is_bad = by(getpid(), ours, 1, theirs, 1, 0) != (ssize_t)ours->iov_len && errno == EFAULT;

	errno = was;
	return !is_bad;
}

bool user_get(void *to, const void *from, size_t n)
{
	struct iovec ours = { to, n }, theirs = { (void *)(uintptr_t)from, n };

	if (is_nowhere(from, n))
		return false;
	if (n == 0)
		return true;
	if (!is_filtered() && !copy(process_vm_readv, &ours, &theirs))
		return false;
	memcpy(to, from, n);
	return true;
}

bool user_put(void *to, const void *from, size_t n)
{
	struct iovec ours = { (void *)(uintptr_t)from, n }, theirs = { to, n };

	if (is_nowhere(to, n))
		return false;
	if (n == 0)
		return true;
	if (!is_filtered() && !copy(process_vm_writev, &ours, &theirs))
		return false;
	memcpy(to, from, n);
	return true;
}
