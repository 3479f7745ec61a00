/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The addresses that rules give as a source, for NAT to know which of its
 * connections still have one that is ours after a reload.
 */
#ifndef YG_DAEMON_CONFIG_SNAPSHOT_SOURCES_H
#define YG_DAEMON_CONFIG_SNAPSHOT_SOURCES_H

#include "daemon/config/snapshot.h"

/* Fills in s->nat_source and what s->nat says of it. False without memory. */
bool snapshot_build_sources(struct snapshot *s, const struct config *cfg);

#endif
