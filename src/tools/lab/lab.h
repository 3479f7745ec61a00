/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan lab`: two clients, a gateway and a server in namespaces of their
 * own on this machine, real programs on all of them.
 */
#ifndef YG_TOOLS_LAB_LAB_H
#define YG_TOOLS_LAB_LAB_H

#include "daemon/control/commands/args.h"

extern const struct command_info lab_info;

/* argv[0] is the subcommand's own name. Returns the exit status: 0, 1 when a
 * check does not hold, 2 when the lab could not be made. */
int lab_main(int argc, char **argv);

#endif
