/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway's own ping and traceroute.
 */
#ifndef YG_APP_TOOLS_H
#define YG_APP_TOOLS_H

#include "control/args.h"
#include "control/output.h"

extern const struct command_info ping_info, traceroute_info;

/* argv[0] is the subcommand's own name. The exit status. */
int ping_main(int argc, char **argv);
int traceroute_main(int argc, char **argv);

/* A decimal number such as 0.2, in seconds, to nanoseconds; false when it is none or out of range. */
bool tools_seconds(const char *text, double min, double max, uint64_t *ns);
/* A JSON object on standard output; output_end closes it. */
void tools_json_begin(struct output *o);
void tools_json_value(struct output *o, const char *key, enum output_type type, struct out_value v);

#endif
