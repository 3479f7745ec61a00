/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan check`: reads a config and builds its snapshot as `run` would, and
 * throws it away.
 */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

#include "daemon/run/run.h"
#include "daemon/run/run_priv.h"
#include "daemon/control/text/print.h"
#include "base/printable.h"
#include "daemon/control/commands/command.h"
#include "daemon/config/config.h"

static const struct arg_option check_options[] = { { 'j', "json", NULL, "JSON instead of text" }, { 0 } };

const struct command_info check_info = {
	.name = "check",
	.synopsis = "[-j] FILE",
	.help = "read a config as `run` would, and show its errors",
	.options = check_options,
	.more = "Needs no gateway and no rights. Exit status 1 if there is an error.",
	.example = "  yangguan check yangguan.conf",
};

static size_t n_interfaces(const struct snapshot *snap)
{
	size_t n = 0;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		n += snap->core.ip.interface[i].name[0] != '\0';
	return n;
}

static void show_json(const char *path, const struct snapshot *snap, const struct config_errors *errors)
{
	struct output o;

	print_json_begin(&o);
	print_json_value(&o, "file", OUT_TEXT, OUT_T(path));
	print_json_value(&o, "good", OUT_YES_NO, OUT_Y(snap != NULL));
	if (snap != NULL) {
		print_json_value(&o, "interfaces", OUT_U64, OUT_U(n_interfaces(snap)));
		print_json_value(&o, "routes", OUT_U64, OUT_U(snap->n_routes));
	}
	config_errors_output(errors, &o);
	output_end(&o);
}

static void show_text(const char *path, const struct snapshot *snap, const struct config_errors *errors)
{
	/* Beside a config that was read there may be notes. */
	config_errors_print(errors, stderr);
	char *shown = strdup(path);
	if (snap != NULL && shown != NULL)
		printf("%s: no errors; %zu interfaces, %zu routes\n", printable_string(shown, PRINTABLE_WORD),
		       n_interfaces(snap), snap->n_routes);
	free(shown);
}

int check_main(int argc, char **argv)
{
	struct config_errors *errors = NULL;
	struct gateway_limits limits;
	struct args a;

	if (!command_info_parse(&check_info, &a, argc, argv))
		return EXIT_USAGE;
	if (a.help)
		return EXIT_OK;
	if (a.n_words != 1) {
		fprintf(stderr, "yangguan: check needs one FILE (see: yangguan check --help)\n");
		return EXIT_USAGE;
	}
	struct snapshot *snap = run_snapshot(a.word[0], &limits, &errors);
	int status = snap != NULL ? EXIT_OK : EXIT_FAILED;

	(args_has(&a, "json") ? show_json : show_text)(a.word[0], snap, errors);
	config_errors_free(errors);
	if (snap != NULL)
		snapshot_destroy(snap);
	return status;
}
