/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames of memory that AF_XDP sockets and we hand to each other: one area for
 * all xdp devices of a worker, so that a frame received on one can be sent on
 * another where it lies.
 */
#ifndef YG_DAEMON_DEVICE_UMEM_H
#define YG_DAEMON_DEVICE_UMEM_H

#include <stddef.h>
#include <stdint.h>

#include "stack/packet/packet.h"

#define UMEM_FRAME_BYTES 4096u
#define UMEM_FRAMES 16384u /* default: 64 MB */

struct umem;

/* n_frames: 0 for the default. Several threads may use it, each a device of its own. 0, or -errno and one sentence. */
int umem_create(uint32_t n_frames, struct umem **out, char *err, size_t err_len);
/* Every device and every packet that uses it must be gone. */
void umem_destroy(struct umem *u);

uint8_t *umem_area(const struct umem *u);
uint64_t umem_bytes(const struct umem *u);
uint32_t umem_n_free(struct umem *u);

/* Who has a frame: nobody, we (a packet lies in it), or the kernel through a queue of this number. */
#define UMEM_QUEUES_MAX 1024
/* A number for a queue; 0: none left. */
uint16_t umem_queue_add(struct umem *u);
/* The kernel has let go of everything: what the queue still had is free. */
void umem_queue_remove(struct umem *u, uint16_t queue);

/* Up to n free frames for the kernel; how many there were. */
uint32_t umem_give(struct umem *u, uint16_t queue, uint32_t n, uint32_t *frame);
/* The kernel has sent it: free. */
void umem_sent(struct umem *u, uint16_t queue, uint32_t frame);
/* The kernel has filled it: a packet around len bytes at off, or NULL (no descriptor) and the frame is free. */
struct packet *umem_set_external(struct umem *u, struct packet_pool *pool, uint16_t queue, uint32_t frame, uint32_t off,
				 uint32_t len);
/* If p's bytes lie in a frame of this area, the frame goes to the kernel, p has no bytes of its own any more (free
 * it), and their place in the area is returned; else UINT64_MAX. */
uint64_t umem_take_over(struct umem *u, uint16_t queue, struct packet *p);

#endif
