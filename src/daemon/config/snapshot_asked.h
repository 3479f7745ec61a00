/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is known of a config by its routes alone.
 */
#ifndef YG_DAEMON_CONFIG_SNAPSHOT_ASKED_H
#define YG_DAEMON_CONFIG_SNAPSHOT_ASKED_H

#include "daemon/config/snapshot.h"

/* Fills in the addresses, ct.outside, interfaces' used_by and n_routes; interfaces and zones are there already. False
 * without memory. */
bool snapshot_ask_routes(struct snapshot *s, const struct rib_route *route, size_t n);

#endif
