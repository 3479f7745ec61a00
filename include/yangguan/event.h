/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which sockets of a stack are ready: poll(2) and epoll(7), with the stack first. Results
 * are a count or -errno. Timeouts are milliseconds of the stack's clock, -1: no end; whoever has
 * not called yg_set_wait does not wait.
 */
#ifndef YANGGUAN_EVENT_H
#define YANGGUAN_EVENT_H

#include <poll.h>
#include <sys/epoll.h>

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

#ifdef __cplusplus
}
#endif

#endif
