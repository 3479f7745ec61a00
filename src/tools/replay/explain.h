/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `replay --explain`: the walk of every packet, step by step, as text on standard
 * output.
 */
#ifndef YG_TOOLS_REPLAY_EXPLAIN_H
#define YG_TOOLS_REPLAY_EXPLAIN_H

#include "core/gateway.h"
#include "daemon/config/snapshot.h"

struct explain;

/* Listens to g until explain_stop. NULL without memory. */
struct explain *explain_start(struct gateway *g);
/* The core goes by this config from here on; it must outlive the walks that go by it. */
void explain_config(struct explain *x, const struct snapshot *snap);
/* Prints what has happened since the last call: to be called behind each entry into the core. x may be NULL. */
void explain_print(struct explain *x);
/* Prints the rest and lets go of g, which is still there. x may be NULL. */
void explain_stop(struct explain *x);

#endif
