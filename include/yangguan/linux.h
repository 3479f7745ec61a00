/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack on Linux (libyangguan-linux): over a TUN or TAP device, with the system's clock and random
 * numbers, and one descriptor to wait on.
 *
 * The descriptor is readable when there is anything to be done, and as long as any epoll of the stack has an
 * event that nobody has taken. A program adds it to its own loop, calls yg_host_run when it is readable,
 * and then yg_epoll_wait(..., 0) until that gives 0.
 */
#ifndef YANGGUAN_LINUX_H
#define YANGGUAN_LINUX_H

#include <yangguan/stack.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_host;

struct yg_host_config {
	size_t size;         /* of this struct */
	const char *tap;     /* name of a TAP device, which is made if it is not there; or */
	const char *tun;     /* of a TUN device */
	const char *address; /* "10.9.0.2/24": the stack's, not the device's */
	const char *gateway; /* NULL: no default route */
	uint32_t mtu;        /* 0: 1,500 */
	uint32_t n_sockets;  /* 0: 16,384 */
};

/* NULL: it has said why on stderr. */
YG_API struct yg_host *yg_host_open(const struct yg_host_config *config);
YG_API void yg_host_close(struct yg_host *host);
YG_API struct yg_stack *yg_host_stack(struct yg_host *host);
YG_API int yg_host_fd(const struct yg_host *host);
/* Takes in what has come and does what is due. Never waits. */
YG_API void yg_host_run(struct yg_host *host);

#ifdef __cplusplus
}
#endif

#endif
