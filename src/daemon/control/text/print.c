/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Output of commands that no gateway is asked for: to standard output, a value at a time.
 */
#include "daemon/control/text/print.h"

#include <stdio.h>

static void to_stdout(void *ctx, const char *text, size_t len)
{
	fwrite(text, 1, len, stdout);
}

void print_json_begin(struct output *o)
{
	output_begin(o, OUTPUT_JSON, OUTPUT_OBJECT, to_stdout, NULL);
}

void print_json_value(struct output *o, const char *key, enum output_type type, struct out_value v)
{
	output_value(o, &(struct out_column){ key, NULL, type }, v);
}
