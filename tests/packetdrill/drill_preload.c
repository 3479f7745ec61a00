/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For what a script computes about a connection the tool asks libc's getsockopt, and at the end of a script it closes
 * by libc's close what is still open, both with numbers of ours. So this object is preloaded as well, and answers for
 * its own numbers.
 */
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drill.h"

struct drill *drill_only;

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	struct drill *d = drill_only;

	if (d == NULL || fd < DRILL_FD) {
		int (*next)(int, int, int, void *, socklen_t *);

		*(void **)&next = dlsym(RTLD_NEXT, "getsockopt");
		return next(fd, level, name, value, len);
	}
	if (level == IPPROTO_TCP && name == TCP_CC_INFO) {
		/* Neither CUBIC nor NewReno has something to say. */
		*len = 0;
		return 0;
	}
	socklen_t room = *len;
	int rc = drill_getsockopt(d, fd, level, name, value, len);

	/* The tool wants all that its own struct tcp_info has, of a later kernel than the one that ours is like. */
	if (rc == 0 && level == IPPROTO_TCP && name == TCP_INFO && *len < room) {
		memset((char *)value + *len, 0, room - *len);
		*len = room;
	}
	return rc;
}

int close(int fd)
{
	struct drill *d = drill_only;

	if (d != NULL && fd >= DRILL_FD)
		return drill_close(d, fd);
	return (int)syscall(SYS_close, fd);
}
