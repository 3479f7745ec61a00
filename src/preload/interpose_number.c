/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers: what makes, copies and closes them. The kernel does it; here the table follows.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL (*real_calls())

DOOR int close(int fd)
{
	if (is_reserved(fd))
		return result(-EBADF);
	number_set(fd, 0);
	return REAL.close(fd);
}

DOOR int fclose(FILE *f)
{
	if (f != NULL)
		number_set(fileno(f), 0);
	return REAL.fclose(f);
}

DOOR int dup(int fd)
{
	uint64_t entry = number_get(fd);
	int other = REAL.dup(fd);

	if (other >= 0)
		number_set(other, entry);
	return other;
}

DOOR int dup3(int fd, int other, int flags)
{
	if (is_reserved(other) && fd != other)
		move_reserved(other);
	int rc = REAL.dup3(fd, other, flags);

	if (rc >= 0)
		number_set(other, number_get(fd));
	return rc;
}

DOOR int dup2(int fd, int other)
{
	if (is_reserved(other) && fd != other)
		move_reserved(other);
	int rc = REAL.dup2(fd, other);

	if (rc >= 0)
		number_set(other, number_get(fd));
	return rc;
}

/* Ours within are left out. */
static int close_around(unsigned int first, unsigned int last, int flags)
{
	for (int fd; (fd = next_reserved(first, last)) >= 0; first = (unsigned int)fd + 1) {
		unsigned int ours = (unsigned int)fd;

		if (ours > first && REAL.close_range(first, ours - 1, flags) != 0)
			return -1;
		if (ours == last)
			return 0;
	}
	return REAL.close_range(first, last, flags);
}

DOOR int close_range(unsigned int first, unsigned int last, int flags)
{
	if (first > last)
		return result(-EINVAL);
	int rc = close_around(first, last, flags);

	if (rc == 0 && !(flags & CLOSE_RANGE_CLOEXEC))
		for (unsigned int fd = first; fd <= last && fd < NUMBERS; fd++)
			number_set((int)fd, 0);
	return rc;
}

DOOR void closefrom(int low)
{
	(void)close_range(low < 0 ? 0 : (unsigned int)low, UINT32_MAX, 0);
}

/* --- fcntl and ioctl --- */

static int do_fcntl(int fd, int command, void *arg)
{
	uint64_t entry = number_get(fd);

	if (is_reserved(fd))
		return result(-EBADF);
	int rc = REAL.fcntl64(fd, command, arg);

	if (rc >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
		number_set(rc, entry);
	return rc;
}

DOOR int fcntl(int fd, int command, ...)
{
	va_list args;

	va_start(args, command);
	void *arg = va_arg(args, void *);

	va_end(args);
	return do_fcntl(fd, command, arg);
}

DOOR int fcntl64(int fd, int command, ...)
{
	va_list args;

	va_start(args, command);
	void *arg = va_arg(args, void *);

	va_end(args);
	return do_fcntl(fd, command, arg);
}

static int ask_ioctl(int fd, unsigned long request, int *value)
{
	struct preload_request q = { .op = PRELOAD_IOCTL, .len = sizeof(uint64_t) };
	struct preload_reply r;
	uint64_t wide = request;

	memcpy(q.value, &wide, sizeof(wide));
	int rc = ask(fd, &q, &r, NULL);

	if (rc == 0)
		memcpy(value, r.value, sizeof(*value));
	return result(rc);
}

static bool is_about_stamp(unsigned long request)
{
	return request == SIOCGSTAMP_OLD || request == SIOCGSTAMP_NEW || request == SIOCGSTAMPNS_OLD ||
	       request == SIOCGSTAMPNS_NEW;
}

/* SIOCGSTAMP, a timeval, and SIOCGSTAMPNS, a timespec: two numbers each. */
static int tell_stamp(int fd, unsigned long request, void *out)
{
	bool is_us = request == SIOCGSTAMP_OLD || request == SIOCGSTAMP_NEW;
	uint64_t ns = stamp_get(fd), of_second = ns % 1000000000u;
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(is_us ? of_second / 1000 : of_second) };

	_Static_assert(sizeof(t) == sizeof(struct timeval), "both are of two longs");
	if (ns == 0)
		return result(-ENOENT);
	memcpy(out, &t, sizeof(t));
	return 0;
}

DOOR int ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	va_start(args, request);
	void *arg = va_arg(args, void *);

	va_end(args);
	const struct preload_slot *s = slot_of(fd);

	if (s != NULL && arg != NULL && (request == SIOCOUTQ || request == SIOCATMARK))
		return ask_ioctl(fd, request, arg);
	if (s != NULL && arg != NULL && is_about_stamp(request))
		return tell_stamp(fd, request, arg);
	if (s != NULL && arg != NULL && request == FIONREAD && s->type != SOCK_STREAM) {
		ssize_t n = datagram_next(fd);

		*(int *)arg = n < 0 ? 0 : (int)n;
		return 0;
	}
	return REAL.ioctl(fd, request, arg);
}

DOOR int sockatmark(int fd)
{
	int value;

	return ioctl(fd, SIOCATMARK, &value) != 0 ? -1 : value;
}
