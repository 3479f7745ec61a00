/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan replay`: a core driven from files instead of devices.
 */
#ifndef YG_TOOLS_REPLAY_REPLAY_H
#define YG_TOOLS_REPLAY_REPLAY_H

#include <stdint.h>

#include "daemon/control/commands/args.h"

extern const struct command_info replay_info;

/* argv[0] is the subcommand's own name. The exit status. */
int replay_main(int argc, char **argv);

#endif
