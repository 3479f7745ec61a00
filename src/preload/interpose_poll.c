/* SPDX-License-Identifier: BSD-2-Clause
 *
 * poll, which the kernel does. Of a pair that has hung up it cannot say that an error is pending; the slot does. And a
 * pair hangs up in two steps (end_hang_up), of which somebody may see the first alone: the slot says that it has no
 * connection from before the first.
 */
#include "preload/interpose.h"

#include <poll.h>
#include <stdlib.h>

#define REAL (*real_calls())

/* Never connected: on Linux it is writable and hung up, and the pair says the former alone. */
static bool is_idle(const struct preload_slot *s)
{
	return s->type == SOCK_STREAM && atomic_load_explicit(&s->state, memory_order_relaxed) == PRELOAD_UNCONNECTED;
}

static bool any_idle(const struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++) {
		const struct preload_slot *s = slot_of(fds[i].fd);

		if (s != NULL && is_idle(s))
			return true;
	}
	return false;
}

static int told(struct pollfd *fds, nfds_t n, int rc)
{
	int sum = 0;

	for (nfds_t i = 0; rc >= 0 && i < n; i++) {
		const struct preload_slot *s = slot_of(fds[i].fd);

		if (s != NULL && is_idle(s))
			fds[i].revents |= POLLHUP;
		if (s != NULL && s->type == SOCK_STREAM && fds[i].revents & POLLHUP && atomic_load(&s->error) != 0)
			fds[i].revents |= POLLERR;
		sum += fds[i].revents != 0;
	}
	return rc >= 0 ? sum : rc;
}

DOOR int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	bool is_now = fds != NULL && interpose()->slots != NULL && any_idle(fds, n);

	return told(fds, n, REAL.poll(fds, n, is_now ? 0 : timeout_ms));
}

DOOR int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *signals)
{
	static const struct timespec now;
	bool is_now = fds != NULL && interpose()->slots != NULL && any_idle(fds, n);

	return told(fds, n, REAL.ppoll(fds, n, is_now ? &now : timeout, signals));
}

/* What -D_FORTIFY_SOURCE calls instead: see interpose_io.c. */
DOOR int checked_poll(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room) __asm__("__poll_chk");

int checked_poll(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room)
{
	if (room / sizeof(*fds) < n)
		abort();
	return poll(fds, n, timeout_ms);
}
