/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What af_xdp.c (frames in and out) and af_xdp_open.c (sockets and rings) share.
 */
#ifndef YG_DAEMON_DEVICE_AF_XDP_PRIV_H
#define YG_DAEMON_DEVICE_AF_XDP_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <xdp/xsk.h>

#include "base/util.h"
#include "daemon/device/af_xdp.h"
#include "daemon/device/memberships.h"

struct queue {
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;
	uint16_t number; /* as the frames' owner, 0: closed */
	int fd;
	uint32_t n_out;        /* frames sent and not completed */
	uint32_t n_since_idle; /* frames since the ring was last seen empty */
	uint32_t n_idle;
	uint64_t n_missed; /* as the kernel last said */
};

struct af_xdp {
	struct device dev;
	struct memberships groups;
	struct af_xdp_options opt;
	struct umem *umem;
	bool asks_partial; /* frames may be unfinished */
	bool zero_copy;
	bool stalled; /* the last kick found the device down */
	int epoll_fd; /* -1: one queue, poll its socket */
	uint32_t ring_size;
	uint64_t n_copied; /* sent packets that lay elsewhere */
	uint32_t n_queues;
	uint32_t next_queue; /* the first to be asked in the next round */
	struct queue queue[AF_XDP_QUEUES_MAX];
};

static inline struct af_xdp *af_xdp_of(struct device *d)
{
	return container_of(d, struct af_xdp, dev);
}

/* Frames in the ring that the kernel has not taken yet. */
static inline uint32_t af_xdp_n_waiting(const struct queue *q)
{
	return *q->tx.producer - __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE);
}

/* --- af_xdp.c --- */

extern const struct device_ops af_xdp_ops;
/* Free frames for the kernel to fill. */
void af_xdp_refill(struct af_xdp *s, struct queue *q);
/* Takes back what the kernel has sent. */
void af_xdp_reap(struct af_xdp *s, struct queue *q);
/* Counts what it had no frame for. */
void af_xdp_read_missed(struct af_xdp *s, struct queue *q);

/* --- af_xdp_open.c --- */

void af_xdp_close(struct device *d);

#endif
