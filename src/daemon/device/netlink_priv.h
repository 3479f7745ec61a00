/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What netlink.c shares with its neighbours in this room.
 */
#ifndef YG_DAEMON_DEVICE_NETLINK_PRIV_H
#define YG_DAEMON_DEVICE_NETLINK_PRIV_H

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "daemon/device/netlink.h"

/* Sends the rtnetlink message h on a socket of its own and feeds every answer
 * to cb (NULL: only an acknowledgement is awaited, so h must ask for one).
 * Returns 0 or -errno; then cb may have had a part of the answer. -EINTR: the list
 * has changed while it was told, and has to be asked for again. */
int netlink_ask(struct nlmsghdr *h, mnl_cb_t cb, void *ctx);
/* The second half of it: reads the answer to the question with that number. */
int netlink_read_answer(struct mnl_socket *nl, uint32_t seq, mnl_cb_t cb, void *ctx);

/* What a message about a link says. */
void netlink_read_link(const struct nlmsghdr *h, struct netlink_link *out);

#endif
