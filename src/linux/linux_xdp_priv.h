/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What linux_xdp.c (frames in and out) and linux_xdp_open.c (sockets and rings) share.
 */
#ifndef YG_LINUX_LINUX_XDP_PRIV_H
#define YG_LINUX_LINUX_XDP_PRIV_H

#include <linux/if_xdp.h>

#include "linux/linux_xdp.h"

#define N_FRAMES 4096u /* 16 MB */
#define QUEUES_MAX 32u

/* Who has a frame. */
enum { FRAME_FREE, FRAME_KERNELS, FRAME_STACKS };

/* One of the four, which the kernel shares: one side writes the producer's number, the other the consumer's. */
struct ring {
	uint32_t *producer, *consumer;
	const uint32_t *flags;
	void *entries; /* struct xdp_desc of receive and send, else uint64_t: where in the area */
	uint32_t mask;
	void *map;
	size_t map_len;
};

struct queue {
	int fd; /* -1: none */
	struct ring fill, completion, receive, send;
};

/* Of a send, the kernel's error: nobody sends until a call succeeds. */
enum { SEND_TAKES, SEND_IS_DOWN, SEND_IS_GONE };

struct linux_xdp {
	unsigned char *area;
	uint32_t n_free;
	uint32_t n_to_fill; /* frames that the kernel has to put packets into, or has put some into */
	uint32_t free[N_FRAMES];
	unsigned char owner[N_FRAMES];
	int map, program, link, all; /* descriptors; all: an epoll over the queues; -1: none */
	int is_generic;              /* the program is not in the driver */
	int send_state;              /* SEND_* */
	uint32_t n_queues, next_queue;
	uint64_t n_rx_lost, n_tx_lost; /* frames, of queues that were closed */
	struct queue queue[QUEUES_MAX];
};

/* linux_xdp.c */
uint32_t linux_xdp_n_used(const struct ring *r);
void linux_xdp_refill(struct linux_xdp *x, struct queue *q);

#endif
