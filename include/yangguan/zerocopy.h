/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes of streams without a copy between the program and the stack. What a call gives is good
 * until the next call for that socket, or until the stack is entered otherwise (yg_input, yg_run). No call
 * waits. Results are 0 or a count, or -errno; -EOPNOTSUPP of sockets that are no streams.
 */
#ifndef YANGGUAN_ZEROCOPY_H
#define YANGGUAN_ZEROCOPY_H

#include <stddef.h>
#include <sys/uio.h>

#include <yangguan/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_stack;

/* Room that the program writes to, of which commit sends the first len bytes; what is not committed is room again. -EAGAIN:
 * there is none. flags: MSG_MORE. */
YG_API int yg_send_reserve(struct yg_stack *stack, int fd, struct iovec *room);
YG_API int yg_send_commit(struct yg_stack *stack, int fd, size_t len, int flags);
/* What came, where it stands, in at most n pieces: how many; 0: the other end has closed; -EAGAIN. Release is done with its
 * first len bytes. */
YG_API int yg_recv_peek(struct yg_stack *stack, int fd, struct iovec *pieces, int n);
YG_API int yg_recv_release(struct yg_stack *stack, int fd, size_t len);

#ifdef __cplusplus
}
#endif

#endif
