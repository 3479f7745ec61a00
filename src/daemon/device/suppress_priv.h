/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ways to keep the kernel quiet, as suppress.c uses them.
 */
#ifndef YG_DAEMON_DEVICE_SUPPRESS_PRIV_H
#define YG_DAEMON_DEVICE_SUPPRESS_PRIV_H

#include <stdbool.h>
#include <stdint.h>

/* --- nftables: one table of this process, a chain a device (suppress_nft.c) --- */

struct suppress_nft;

/* All return 0 or -errno. */
int suppress_nft_open(struct suppress_nft **out);
int suppress_nft_add(struct suppress_nft *n, const char *ifname);
int suppress_nft_remove(struct suppress_nft *n, const char *ifname);
void suppress_nft_close(struct suppress_nft *n);

/* --- traffic control: one program a device, by a link that ends with the process (suppress_tcx.c) --- */

#define SUPPRESS_TCX_NAME "yangguan_quiet"

/* The link's descriptor, and the program's; or -errno: kernels before Linux 6.6, and users without the right to load
 * programs. */
int suppress_tcx_add(uint32_t ifindex, int *prog_fd);
void suppress_tcx_remove(int link_fd, int prog_fd);

/* --- traffic control: one filter a device, which stays when the process is killed (suppress_tc.c) --- */

/* *made_qdisc: the device had no clsact before. */
int suppress_tc_add(uint32_t ifindex, bool *made_qdisc);

enum suppress_tc_qdisc {
	SUPPRESS_TC_KEEP,     /* clsact was there before us */
	SUPPRESS_TC_IF_EMPTY, /* remove it too, unless it has other filters by now */
};
/* -ENOENT when there was no filter of ours. */
int suppress_tc_remove(uint32_t ifindex, enum suppress_tc_qdisc qdisc);

#endif
