/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan ss --capture ID FILE`: a socket's packets as a capture file, which the client
 * writes. All in the control thread; what the host's does stands behind it.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_SS_CAPTURE_H
#define YG_DAEMON_CONTROL_COMMANDS_SS_CAPTURE_H

#include "daemon/control/commands/command.h"

struct ss_capture;

/* id: as ss -e shows it, with or without `sk:`. What a command's start returns; *out is the caller's, and NULL when
 * nothing has begun. */
int ss_capture_start(struct command_call *c, const char *id, struct ss_capture **out);
/* Packets may have come, or the client has read what there was. */
int ss_capture_more(struct command_call *c, struct ss_capture *s);
/* The gateway ends: what there is, and the end of the file. */
int ss_capture_shut(struct command_call *c, struct ss_capture *s);
/* NULL is allowed. */
void ss_capture_destroy(struct ss_capture *s);

#endif
