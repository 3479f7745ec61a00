/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One question to the kernel over netlink, for the files of this room.
 */
#ifndef YG_DAEMON_FASTPATH_NETLINK_PRIV_H
#define YG_DAEMON_FASTPATH_NETLINK_PRIV_H

#include <libmnl/libmnl.h>

/* Sends h on a socket of its own (bus: NETLINK_ROUTE, NETLINK_GENERIC) and feeds every answer to cb; without cb only
 * an acknowledgement is awaited, so h must ask for one. 0 or -errno. */
int fastpath_netlink(int bus, struct nlmsghdr *h, mnl_cb_t cb, void *ctx);

#endif
