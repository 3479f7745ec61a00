/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bbr`: congestion control over a path that is said on the command line, in virtual time.
 */
#ifndef YG_TOOLS_BBR_BBR_H
#define YG_TOOLS_BBR_BBR_H

#include "daemon/control/commands/args.h"

extern const struct command_info bbr_info;

/* argv[0] is the subcommand's own name. The exit status. */
int bbr_main(int argc, char **argv);

#endif
