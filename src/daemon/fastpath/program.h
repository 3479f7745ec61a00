/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * What the loader fixes in a program when it loads one for a device.
 */
#ifndef YG_DAEMON_FASTPATH_PROGRAM_H
#define YG_DAEMON_FASTPATH_PROGRAM_H

#include <linux/types.h>

struct fp_program {
	__u32 port;        /* gateway's interface number of the device */
	__u32 up_ifindex;  /* tc: where that goes which is not forwarded; 0: nobody takes it */
	__u32 alive_ticks; /* the program stands back when fp_config.alive is older than this; 0: it goes with the
			      process */
	__u32 how_max;     /* enum fp_egress: the last that this kind of program can take */
};

/* Names of our programs, as `bpftool prog` and `tc filter` show them. */
#define FP_NAME_XDP "yangguan_xdp"
#define FP_NAME_TC "yangguan_tc"

/* Frames lost after a redirect: of which devices (map `ours`), and how many (map `lost`, one number a CPU). */
struct fp_device {
	__u32 netns; /* inode number of the network namespace */
	__u32 ifindex;
};

#endif
