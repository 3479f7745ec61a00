/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An event as one line of text or one JSON object, from one row of columns.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_EVENT_TEXT_H
#define YG_DAEMON_CONTROL_TEXT_EVENT_TEXT_H

#include "base/event.h"
#include "daemon/control/text/output.h"

/* "ready", "conn-new" and so on. */
extern const char *const event_kind_names[N_EVENT_KINDS];

/* The kind of that name, or -1. */
int event_kind_find(const char *name);

/* One line without newline. ifname: of e->ifindex. wall_offset_ns: added to the
 * event's time it gives UTC. */
void event_line(const struct yg_event *e, const char *ifname, uint64_t wall_offset_ns, char *buf, size_t len);
/* One object without newline, to be freed by the caller; NULL without memory. */
char *event_json(const struct yg_event *e, const char *ifname, uint64_t wall_offset_ns);

/* "2026-11-22T17:12:16.123456Z" into 32 bytes. */
void event_time_text(uint64_t wall_ns, char buf[32]);

#endif
