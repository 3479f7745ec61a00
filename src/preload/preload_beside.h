/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A descriptor that goes along with a message (SCM_RIGHTS, unix(7)). Both sides send and take it by these, each with a
 * sendmsg and a recvmsg of its own: the library's are the C library's, found behind it.
 */
#ifndef YG_PRELOAD_PRELOAD_BESIDE_H
#define YG_PRELOAD_PRELOAD_BESIDE_H

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For msg_control. */
struct preload_beside {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

/* m is to take fd along. The room is kept until it is sent. */
static inline void preload_pass(struct msghdr *m, struct preload_beside *room, int fd)
{
	*room = (struct preload_beside){ { 0 } };
	m->msg_control = room->bytes;
	m->msg_controllen = sizeof(room->bytes);
	struct cmsghdr *h = CMSG_FIRSTHDR(m);

	*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
}

/* Of the descriptors that came along with m the one of that number, from 0; -1: there are no more. */
static inline int preload_passed_at(struct msghdr *m, size_t number)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (number < n) {
			memcpy(&fd, CMSG_DATA(h) + number * sizeof(fd), sizeof(fd));
			return fd;
		}
		number -= n;
	}
	return -1;
}

/* The descriptor that came along with m; -1: none. Room for one has room for two (CMSG_ALIGN), and whoever sends may
 * send as many: more than one are closed. */
static inline int preload_passed(struct msghdr *m)
{
	int fd;

	for (size_t i = 1; (fd = preload_passed_at(m, i)) >= 0; i++)
		close(fd);
	return preload_passed_at(m, 0);
}

#endif
