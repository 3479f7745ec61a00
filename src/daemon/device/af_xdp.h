/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A kernel device through AF_XDP sockets, one for each of its receive queues.
 * What comes in is what an XDP program on the device redirects into its XSKMAP:
 * without the program, nothing. Frames leave complete: no capabilities.
 *
 * The kernel's own stack sees what the program passes: see suppress.h.
 */
#ifndef YG_DAEMON_DEVICE_AF_XDP_H
#define YG_DAEMON_DEVICE_AF_XDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/device/umem.h"
#include "stack/packet/device.h"

#define AF_XDP_QUEUES_MAX 64
/* The largest IP packet that a frame holds, behind the kernel's 256 bytes. */
#define AF_XDP_MTU_MAX (UMEM_FRAME_BYTES - 256 - ETHER_HEADER_LEN)

enum af_xdp_copy {
	AF_XDP_COPY_IF_NEEDED, /* zero copy where the driver has it */
	AF_XDP_COPY,           /* with a generic program */
};

struct af_xdp_options {
	struct umem *umem; /* outlives the device */
	enum af_xdp_copy copy;
	int map_fd;         /* XSKMAP, or -1: the caller enters the sockets itself */
	uint32_t first_key; /* of queue 0 in it; the others follow */
	/* A handle of several has the queues first_queue, first_queue + queue_step and so on; 0: all. */
	uint32_t first_queue, queue_step;
};

/* 0 and a device that must be closed with ops->close; or -errno and a sentence:
 * -EBUSY when another program has an AF_XDP socket there, -ERANGE when the MTU is
 * more than a frame holds. */
int af_xdp_open(const char *ifname, const struct af_xdp_options *opt, struct device **out, char *err, size_t err_len);

/* The device of this name was gone and is back. Call it from the thread that calls rx and tx. */
int af_xdp_rebind(struct device *d, char *err, size_t err_len);

/* Receive queues that a device has now. */
uint32_t af_xdp_count_queues(const char *ifname);

struct af_xdp_info {
	uint32_t n_queues;
	bool zero_copy;    /* on all of them */
	uint64_t n_copied; /* sent packets that did not lie in the memory of AF_XDP */
};
void af_xdp_info(struct device *d, struct af_xdp_info *out);

#endif
