/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan exec`: an unmodified program on our stack.
 */
#ifndef YG_TOOLS_EXEC_EXEC_H
#define YG_TOOLS_EXEC_EXEC_H

#include "daemon/control/commands/args.h"
#include "preload/service.h"

extern const struct command_info exec_info;

/* argv[0] is the subcommand's own name. The exit status; it does not return when the program begins. */
int exec_main(int argc, char **argv);

/* What the file says; the caller's to free. False: it has said why on stderr. */
bool exec_config_read(const char *path, struct service_config *out);
void exec_config_free(struct service_config *c);

/* Says on stderr, once, what keeps the preload library out of this program, if anything does. */
void exec_check_program(const char *path);

#endif
