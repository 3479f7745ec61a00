/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Options: the stack's, but those that are about waiting, which are the descriptor's.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <string.h>

#define REAL (*real_calls())

/* Those that are about waiting are the descriptor's. */
static bool is_of_descriptor(int level, int name)
{
	if (level != SOL_SOCKET)
		return false;
	switch (name) {
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
	case SO_RCVLOWAT:
		return true;
	default:
		return false;
	}
}

/* SO_ERROR of the slot, or what the service says: 0 or -errno, and r has the value. */
static int ask_option(int fd, struct preload_slot *s, const int arg[3], struct preload_reply *r)
{
	struct preload_request q = { .op = PRELOAD_GETOPT, .arg = { arg[0], arg[1], arg[2] } };
	bool is_error = arg[0] == SOL_SOCKET && arg[1] == SO_ERROR && arg[2] >= (int)sizeof(int);
	int error = is_error ? take_error(s) : 0, rc = error != 0 ? 0 : ask(fd, &q, r, NULL);

	/* A connection that has ended has no error left, and nobody to ask. */
	if (error != 0 || (rc == -ENOTCONN && is_error)) {
		memcpy(r->value, &error, sizeof(error));
		r->len = sizeof(error);
		return 0;
	}
	return rc;
}

DOOR int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	struct preload_slot *s = slot_of(fd);
	struct preload_reply r;
	socklen_t room;

	if (s == NULL || is_of_descriptor(level, name))
		return REAL.getsockopt(fd, level, name, value, len);
	if (!user_get(&room, len, sizeof(room)))
		return result(-EFAULT);
	if ((int)room < 0)
		return result(-EINVAL);
	const int arg[] = { level, name, (int)(room < PRELOAD_VALUE_MAX ? room : PRELOAD_VALUE_MAX) };
	int rc = ask_option(fd, s, arg, &r);

	if (rc == 0 && (r.len > room || r.len > sizeof(r.value)))
		rc = -EINVAL;
	if (rc == 0 && (!user_put(value, r.value, r.len) || !user_put(len, &r.len, sizeof(r.len))))
		rc = -EFAULT;
	return result(rc);
}

DOOR int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct preload_request q = { .op = PRELOAD_SETOPT, .arg = { level, name }, .len = len };
	struct preload_reply r;
	const struct preload_slot *s = slot_of(fd);

	if (s == NULL || is_of_descriptor(level, name))
		return REAL.setsockopt(fd, level, name, value, len);
	if (len > sizeof(q.value))
		return result(-EINVAL);
	if (!user_get(q.value, value, len))
		return result(-EFAULT);
	int rc = ask(fd, &q, &r, NULL), on = 0;

	if (rc == 0 && level == SOL_SOCKET && (name == SO_TIMESTAMP || name == SO_TIMESTAMPNS) && len >= sizeof(on)) {
		memcpy(&on, q.value, sizeof(on));
		time_tell(fd, on != 0 ? name : 0);
	}
	/* On Linux they can be set still. */
	return result(rc == -ENOTCONN && atomic_load(&s->state) == PRELOAD_DEAD ? 0 : rc);
}
