/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A JSON object on standard output, for commands that work by themselves.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_PRINT_H
#define YG_DAEMON_CONTROL_TEXT_PRINT_H

#include "daemon/control/text/output.h"

/* output_end closes it. */
void print_json_begin(struct output *o);
void print_json_value(struct output *o, const char *key, enum output_type type, struct out_value v);

#endif
