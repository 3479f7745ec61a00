/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * What the bare fast path (bare.bpf.c) is told by its loader (bare.c).
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <linux/types.h>

#define BARE_FLOWS (1u << 20)

struct bare_side {
	__u8 src_mac[6], dst_mac[6];
	__u32 ifindex;
};

struct bare_config {
	struct bare_side side[2]; /* by which packets leave: outward, inward */
	__be32 outside;           /* the translation address */
	__u32 partial;            /* checksums of what comes in are left to the device */
};

#endif
