/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the two files of `yangguan route` share.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_CMD_ROUTE_H
#define YG_DAEMON_CONTROL_COMMANDS_CMD_ROUTE_H

#include "daemon/config/route_text.h"
#include "daemon/control/commands/cmd_priv.h"

struct route_state {
	/* the listing */
	struct rib_listing *list;
	bool is_ready; /* it has all prefixes, in order */
	size_t i;
	/* changes */
	struct route_text *text;
	uint32_t line; /* of the batch */
	uint32_t n_added, n_replaced, n_deleted, n_refused;
};

/* --- cmd_route_change.c --- */

int cmd_route_change(struct command_call *c);
int cmd_route_line(struct command_call *c, const char *line);

/* --- cmd_route.c --- */

/* Its row alone; none when it is not there. */
int cmd_route_show(struct command_call *c, const struct rib_route *route);

#endif
