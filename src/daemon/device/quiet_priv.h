/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ways to keep the kernel quiet, as quiet.c uses them.
 */
#ifndef YG_DAEMON_DEVICE_QUIET_PRIV_H
#define YG_DAEMON_DEVICE_QUIET_PRIV_H

#include <stdbool.h>
#include <stdint.h>

/* --- nftables: one table of this process, a chain a device (quiet_nft.c) --- */

struct quiet_nft;

/* All return 0 or -errno. */
int quiet_nft_open(struct quiet_nft **out);
int quiet_nft_add(struct quiet_nft *n, const char *ifname);
int quiet_nft_remove(struct quiet_nft *n, const char *ifname);
void quiet_nft_close(struct quiet_nft *n);

/* --- traffic control: one program a device, by a link that ends with the process (quiet_tcx.c) --- */

#define QUIET_TCX_NAME "yangguan_quiet"

/* The link's descriptor, and the program's; or -errno: kernels before Linux 6.6, and users without the right to load
 * programs. */
int quiet_tcx_add(uint32_t ifindex, int *prog_fd);
void quiet_tcx_remove(int link_fd, int prog_fd);

/* --- traffic control: one filter a device, which stays when the process is killed (quiet_tc.c) --- */

/* *made_qdisc: the device had no clsact before. */
int quiet_tc_add(uint32_t ifindex, bool *made_qdisc);

enum quiet_tc_qdisc {
	QUIET_TC_KEEP,     /* clsact was there before us */
	QUIET_TC_IF_EMPTY, /* remove it too, unless it has other filters by now */
};
/* -ENOENT when there was no filter of ours. */
int quiet_tc_remove(uint32_t ifindex, enum quiet_tc_qdisc qdisc);

#endif
