/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_XDP sockets at every receive queue of a device, by the kernel's own interface (linux/if_xdp.h) and no library.
 */
#ifndef YG_LINUX_LINUX_XDP_H
#define YG_LINUX_LINUX_XDP_H

#include <yangguan/stack.h>

struct linux_xdp;

/* What becomes of frames that were written and wait. */
enum linux_push { LINUX_PUSH_DONE, LINUX_PUSH_SOME, LINUX_PUSH_NONE };

#define LINUX_XDP_FRAME_BYTES 4096u
/* A frame has 256 bytes of the kernel's before its packet (XDP_PACKET_HEADROOM), and an Ethernet header in it. */
#define LINUX_XDP_MTU_MAX (LINUX_XDP_FRAME_BYTES - 256u - 14u)

/* Of a device that is up; NULL, and errno. A queue that somebody has is asked for again for half a second. */
struct linux_xdp *linux_xdp_open(int ifindex, const char *name);
/* The stack has let go of its packets. */
void linux_xdp_close(struct linux_xdp *x);
/* At another device, after its own was deleted; packets that the stack has stay good. -1, and errno: at none. Never
 * waits. */
int linux_xdp_reopen(struct linux_xdp *x, int ifindex, const char *name);
/* Readable when a frame has come. Another one after linux_xdp_reopen. */
int linux_xdp_fd(const struct linux_xdp *x);

/* As linux_device_read, linux_device_write and linux_device_push. */
int linux_xdp_read(struct linux_xdp *x, struct yg_stack *stack, struct yg_packet **out);
int linux_xdp_write(struct linux_xdp *x, struct yg_stack *stack, struct yg_packet *packet);
enum linux_push linux_xdp_push(struct linux_xdp *x);
int linux_xdp_is_lost(const struct linux_xdp *x);

/* The driver has no XDP, and the kernel's generic one takes its place. */
int linux_xdp_is_generic(const struct linux_xdp *x);
/* Frames so far: that came and the kernel could not hand over (too long, no free frame, no room in the ring); and that
 * were written and were still in the ring when the device was deleted. */
uint64_t linux_xdp_rx_lost(const struct linux_xdp *x);
uint64_t linux_xdp_tx_lost(const struct linux_xdp *x);

#endif
