/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands, one constant each, for the table in command.c.
 */
#ifndef YG_CONTROL_CMD_PRIV_H
#define YG_CONTROL_CMD_PRIV_H

#include "control/command.h"

extern const struct command cmd_conntrack, cmd_drops, cmd_stats, cmd_events, cmd_interfaces, cmd_neigh, cmd_route,
	cmd_rules, cmd_pools, cmd_reload, cmd_raw;

/* The table of interfaces, in the document that c->output has open. */
void cmd_put_interfaces(struct command_call *c);

/* `stats --stages`. */
int cmd_stats_stages(struct command_call *c, bool reset);

#define OPTION_JSON \
	{ \
		'j', "json", NULL, "JSON instead of text" \
	}
#define OPTION_SOCKET \
	{ \
		0, "socket", "PATH", "the gateway's control socket (default: by network namespace)" \
	}

#endif
