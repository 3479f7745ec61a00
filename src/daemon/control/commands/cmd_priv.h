/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands, one constant each, for the table in command.c.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_CMD_PRIV_H
#define YG_DAEMON_CONTROL_COMMANDS_CMD_PRIV_H

#include "daemon/control/commands/command.h"

extern const struct command cmd_bgp, cmd_conntrack, cmd_drops, cmd_stats, cmd_events, cmd_log, cmd_interfaces,
	cmd_neigh, cmd_route, cmd_rules, cmd_pools, cmd_reload, cmd_ss, cmd_why, cmd_ping_socket, cmd_nc;

/* Refuses words behind the command. */
int cmd_no_words(struct command_call *c);

/* A document of one table. */
void cmd_table_start(struct command_call *c, const struct out_table *t);
int cmd_table_done(struct command_call *c);
/* -j and --socket. */
extern const struct arg_option cmd_plain_options[];

/* The table of interfaces, in the document that c->output has open. */
void cmd_put_interfaces(struct command_call *c);

/* In `stats`: what the kernel does by itself; nothing when there is no fast path. */
void cmd_put_kernel(struct command_call *c);
/* What the kernel dropped for this reason; false when it is not a reason of the kernel's, or there is no fast path.
 * *known false: nobody may know. */
struct kernel_drops {
	struct fastpath_counts counts;
	bool present;
};
void cmd_kernel_drops(const struct command_call *c, struct kernel_drops *out);
bool cmd_kernel_dropped(const struct kernel_drops *k, enum drop_reason reason, uint64_t *n, bool *known);

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
