/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The two kinds of replay, and what they share.
 */
#ifndef YG_TOOLS_REPLAY_REPLAY_PRIV_H
#define YG_TOOLS_REPLAY_REPLAY_PRIV_H

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "daemon/control/commands/args.h"

/* A recording made by `run --record`. The exit status. */
int replay_journal(const char *dir, const struct args *a);
/* Captures from elsewhere. */
int replay_capture(const struct args *a);

/* A config file and its snapshot; NULL after the errors were printed. limits may be NULL. */
struct snapshot *replay_read_config(const char *path, const struct snapshot *prev, struct gateway_limits *limits);
/* The same of a text, which may not include files: for a config that may come from a stranger. */
struct snapshot *replay_text_config(const char *name, const char *text, size_t len, const struct snapshot *prev);
/* With --log: prints the records that g makes from here on. */
void replay_log(struct gateway *g, const struct args *a);
/* A core's event slot that takes no notes. */
event_fn replay_no_event;

#endif
