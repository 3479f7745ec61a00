/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway's own ping and traceroute.
 */
#ifndef YG_TOOLS_PING_TOOLS_H
#define YG_TOOLS_PING_TOOLS_H

#include "daemon/control/commands/args.h"

extern const struct command_info ping_info, traceroute_info;

/* argv[0] is the subcommand's own name. The exit status. */
int ping_main(int argc, char **argv);
int traceroute_main(int argc, char **argv);

/* A decimal number such as 0.2, in seconds, to nanoseconds; false when it is none or out of range. */
bool tools_seconds(const char *text, double min, double max, uint64_t *ns);

#endif
