/* SPDX-License-Identifier: BSD-2-Clause
 *
 * poll, which the kernel does. Of a pair that has hung up it cannot say that an error is pending; the slot does. And a
 * pair hangs up in two steps (end_hang_up), of which somebody may see the first alone.
 */
#include "preload/interpose.h"

#include <poll.h>
#include <stdlib.h>

#define REAL (*real_calls())

static int told(struct pollfd *fds, nfds_t n, int rc)
{
	for (nfds_t i = 0; rc > 0 && i < n; i++) {
		const struct preload_slot *s = fds[i].revents != 0 ? slot_of(fds[i].fd) : NULL;

		if (s == NULL || s->type != SOCK_STREAM)
			continue;
		if (atomic_load(&s->marks) & PRELOAD_SPENT)
			fds[i].revents |= POLLHUP;
		if (fds[i].revents & POLLHUP && atomic_load(&s->error) != 0)
			fds[i].revents |= POLLERR;
	}
	return rc;
}

DOOR int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return told(fds, n, REAL.poll(fds, n, timeout_ms));
}

DOOR int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *signals)
{
	return told(fds, n, REAL.ppoll(fds, n, timeout, signals));
}

/* What -D_FORTIFY_SOURCE calls instead: see interpose_io.c. */
DOOR int checked_poll(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room) __asm__("__poll_chk");

int checked_poll(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room)
{
	if (room / sizeof(*fds) < n)
		abort();
	return poll(fds, n, timeout_ms);
}
