/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan run`: a gateway in the foreground.
 */
#ifndef YG_DAEMON_RUN_RUN_H
#define YG_DAEMON_RUN_RUN_H

#include "daemon/control/commands/args.h"

extern const struct command_info run_info, check_info;

/* argv[0] is the subcommand's own name. The exit status. */
int run_main(int argc, char **argv);
/* `yangguan check FILE`: reads a config as `run` would. */
int check_main(int argc, char **argv);

#endif
