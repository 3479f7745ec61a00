/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The routes that follow from a config, and what is known by them alone: the tables of
 * its zones, addresses that are ours or NAT's, what ARP is answered for, and where
 * outside is.
 */
#ifndef YG_DAEMON_CONFIG_SNAPSHOT_ROUTES_H
#define YG_DAEMON_CONFIG_SNAPSHOT_ROUTES_H

#include "daemon/config/snapshot.h"

/* Fills them in; interfaces, pools and rules are there already. False without memory, or with an error in *errors. */
bool snapshot_build_routes(struct snapshot *s, const struct config *cfg, const struct snapshot *prev,
			   struct config_errors **errors);

#endif
