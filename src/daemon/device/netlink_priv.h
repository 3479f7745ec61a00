/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What netlink.c shares with its neighbours in this room.
 */
#ifndef YG_DAEMON_DEVICE_NETLINK_PRIV_H
#define YG_DAEMON_DEVICE_NETLINK_PRIV_H

#include <libmnl/libmnl.h>

/* Sends the rtnetlink message h on a socket of its own and feeds every answer
 * to cb (NULL: only an acknowledgement is awaited, so h must ask for one).
 * Returns 0 or -errno. */
int netlink_ask(struct nlmsghdr *h, mnl_cb_t cb, void *ctx);

#endif
