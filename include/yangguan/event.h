/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which sockets of a stack are ready: poll(2) and epoll(7), with the stack first; and what is done when it can be. Results
 * are a count or -errno. Timeouts are milliseconds of the stack's clock, -1: no end; whoever has
 * not called yg_set_wait does not wait.
 */
#ifndef YANGGUAN_EVENT_H
#define YANGGUAN_EVENT_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <yangguan/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_stack;

YG_API int yg_poll(struct yg_stack *stack, struct pollfd *fds, nfds_t n, int timeout_ms);
/* A number as that of a socket (yg_close). */
YG_API int yg_epoll_create(struct yg_stack *stack);
YG_API int yg_epoll_ctl(struct yg_stack *stack, int epoll, int op, int fd, const struct epoll_event *event);
YG_API int yg_epoll_wait(struct yg_stack *stack, int epoll, struct epoll_event *events, int max, int timeout_ms);

/* Or by completion: operations are submitted, and reaped when they are done. A socket may be watched by an epoll and have
 * operations too. Of one socket those that take something in (accept, receive) are done in the order in which they were
 * submitted, and so are those that give out (connect, send). */
enum yg_op_kind {
	YG_OP_ACCEPT,  /* the number of a new socket; flags: SOCK_NONBLOCK */
	YG_OP_CONNECT, /* 0 */
	YG_OP_SEND,    /* all of len, or as many as were taken before an error */
	YG_OP_RECV,    /* as many as there were, one at least; 0: the other end has closed */
	YG_OP_CLOSE    /* 0; what waits for that socket is done with -ECANCELED before, as by yg_close */
};
struct yg_op {
	int kind; /* enum yg_op_kind */
	int fd;
	void *bytes; /* the stack's until the operation is done */
	size_t len;
	int flags;                   /* MSG_* */
	const struct sockaddr *addr; /* of connect; copied */
	socklen_t addr_len;
	uint64_t user_data; /* comes back */
	uint64_t reserved[2];
};
struct yg_done {
	uint64_t user_data;
	int64_t result; /* or -errno */
	int kind, fd;
};
/* How many of them were taken; -EAGAIN: none, until some were reaped (there is room for four a socket, in all); -ENOMEM.
 * Nothing waits, also of sockets that block. */
YG_API int yg_submit(struct yg_stack *stack, const struct yg_op *ops, unsigned int n);
/* Those that are done, as many as there are and at most n. While there are more the stack is ready (yg_changed_fn). */
YG_API int yg_reap(struct yg_stack *stack, struct yg_done *done, unsigned int n);

#ifdef __cplusplus
}
#endif

#endif
