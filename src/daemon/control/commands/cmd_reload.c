/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan reload`: src/daemon/run does it; its report goes to the client as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/control/commands/cmd_priv.h"

static void put_json(struct command_call *c, bool ok, const char *report)
{
	static const struct out_column reloaded = { "reloaded", NULL, OUT_YES_NO }, text = { "report", NULL, OUT_TEXT };

	command_output(c, OUTPUT_OBJECT);
	output_value(&c->output, &reloaded, OUT_Y(ok));
	output_value(&c->output, &text, report != NULL ? OUT_T(report) : OUT_ABSENT);
	output_end(&c->output);
}

static int reload_start(struct command_call *c)
{
	char *report = NULL;

	if (cmd_no_words(c) != 0)
		return EXIT_USAGE;
	bool dry = args_has(&c->args, "dry-run");
	bool ok = (dry ? c->target->reload_foresee : c->target->reload)(c->target->ctx, &report);
	if (args_has(&c->args, "json"))
		put_json(c, ok && !dry, report);
	else if (report == NULL)
		command_error(c, "reload: no memory for the report\n");
	else
		c->write(c->carrier, ok ? PROTO_OUT : PROTO_ERR, report, strlen(report));
	free(report);
	return ok ? EXIT_OK : EXIT_FAILED;
}

static const struct arg_option reload_options[] = {
	{ 'n', "dry-run", NULL, "only say what would change, and which sessions of BGP would end" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_reload = {
	.info = {
		.name = "reload",
		.synopsis = "[-n] [-j]",
		.help = "read the config again; if it has an error nothing changes",
		.options = reload_options,
		.more = "SIGHUP to the gateway does the same.",
		.example = "  yangguan reload",
	},
	.start = reload_start,
};
