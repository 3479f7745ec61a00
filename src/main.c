/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The program: one table of subcommands. Those that work by themselves stand
 * here with their function; those that ask a running gateway come from the
 * control room's table and are all carried by the same client.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/bbr/bbr.h"
#include "tools/bgp/bgp.h"
#include "tools/exec/exec.h"
#include "tools/lab/lab.h"
#include "tools/replay/replay.h"
#include "daemon/run/run.h"
#include "tools/ping/tools.h"
#include "base/util.h"
#include "base/printable.h"
#include "daemon/control/server/client.h"
#include "daemon/control/commands/command.h"

#define NAMES_MAX 64

static int help_main(int argc, char **argv);
static int version_main(int argc, char **argv);

static const struct command_info version_info = {
	.name = "version",
	.synopsis = "",
	.help = "the version",
	.example = "  yangguan version",
};

static const struct command_info help_info = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.help = "the list of commands, or one command's help",
	.example = "  yangguan help run",
};

static const struct local_command {
	const struct command_info *info;
	int (*run)(int argc, char **argv);
	const char *word; /* with this one behind the name; with others a running gateway is asked. NULL: always */
} local_commands[] = {
	{ &run_info, run_main },
	{ &check_info, check_main },
	{ &lab_info, lab_main },
	{ &ping_info, ping_main },
	{ &traceroute_info, traceroute_main },
	{ &exec_info, exec_main },
	{ &replay_info, replay_main },
	{ &bbr_info, bbr_main },
	{ &bgp_info, bgp_main, "replay" },
	{ &bgp_info, bgp_main, "mrt" },
	{ &bgp_info, bgp_main, "filter" },
	{ &version_info, version_main },
	{ &help_info, help_main },
};

/* word: what stands behind the name, NULL: nothing. */
static const struct local_command *find_local(const char *name, const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(local_commands); i++) {
		const struct local_command *l = &local_commands[i];

		if (strcmp(l->info->name, name) == 0 &&
		    (l->word == NULL || (word != NULL && strcmp(l->word, word) == 0)))
			return l;
	}
	return NULL;
}

static void list_commands(FILE *to)
{
	fprintf(to, "usage: yangguan COMMAND [OPTIONS]      (or short: yg)\n\n"
		    "A NAT gateway and router in one ordinary process.\n\n");
	for (size_t i = 0; i < ARRAY_LEN(local_commands); i++)
		if (local_commands[i].word == NULL)
			fprintf(to, "  %-12s %s\n", local_commands[i].info->name, local_commands[i].info->help);
	fprintf(to, "\nof a running gateway:\n");
	for (size_t i = 0; control_commands[i] != NULL; i++)
		if (!control_commands[i]->hidden)
			fprintf(to, "  %-12s %s\n", control_commands[i]->info.name, control_commands[i]->info.help);
	fprintf(to, "\nyangguan COMMAND --help says more. These find the gateway of the network namespace that they\n"
		    "run in, also through `ip netns exec`; --socket PATH names another.\n");
}

static int unknown(const char *name)
{
	const char *names[NAMES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(local_commands); i++)
		names[n++] = local_commands[i].info->name;
	for (size_t i = 0; control_commands[i] != NULL && n < NAMES_MAX; i++)
		if (!control_commands[i]->hidden)
			names[n++] = control_commands[i]->info.name;
	const char *near = args_nearest(name, names, n);
	char shown[41];
	snprintf(shown, sizeof(shown), "%s", name);
	fprintf(stderr, "yangguan: unknown command \"%s\"", printable_string(shown, PRINTABLE_WORD));
	if (near != NULL)
		fprintf(stderr, "; did you mean \"%s\"?", near);
	fprintf(stderr, "\n(yangguan help lists them)\n");
	return EXIT_USAGE;
}

static int version_main(int argc, char **argv)
{
	struct args a;

	if (!command_info_parse(&version_info, &a, argc, argv))
		return EXIT_USAGE;
	if (!a.help)
		printf("yangguan " YG_VERSION "\n");
	return EXIT_OK;
}

/* A command's help is asked of the command itself, so that each has one place for it. */
static int help_main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-') {
		list_commands(stdout);
		return EXIT_OK;
	}
	const struct local_command *local = find_local(argv[1], NULL);
	const struct command *remote = control_command_find(argv[1]);
	char help[] = "--help";
	char *words[] = { argv[1], help, NULL };
	if (local != NULL && local->run == lab_main)
		return lab_main(2, words);
	if (local == NULL && remote == NULL)
		return unknown(argv[1]);
	command_info_print(local != NULL ? local->info : &remote->info, stdout);
	return EXIT_OK;
}

/* The file of lines that the command takes: -1, and *good, when it takes none. */
static int open_lines(const struct command *command, const struct args *a, bool *good)
{
	const char *path = command->input_option != NULL ? args_value(a, command->input_option) : NULL;
	bool marked = command->marked_lines != NULL && !args_has(a, command->marked_lines);
	int fd = marked                   ? STDIN_FILENO
		 : path == NULL           ? -1
		 : strcmp(path, "-") == 0 ? STDIN_FILENO
					  : open(path, O_RDONLY | O_CLOEXEC);

	*good = path == NULL || fd >= 0;
	if (!*good) {
		char shown[256];
		int error = errno;

		snprintf(shown, sizeof(shown), "%s", path);
		fprintf(stderr, "yangguan %s: %s: %s\n", command->info.name, printable_string(shown, PRINTABLE_WORD),
			strerror(error));
	}
	return fd;
}

/* Words are checked here too, so that a slip needs no gateway to be told; then the gateway does the work. */
static int ask_gateway(const struct command *command, int argc, char **argv)
{
	const char *word[PROTO_WORDS_MAX];
	struct args a;
	char err[160];

	if (argc > PROTO_WORDS_MAX ||
	    args_parse(&a, command->info.options, argc - 1, (const char *const *)argv + 1, err, sizeof(err)) != 0) {
		fprintf(stderr, "yangguan %s: %s (see: yangguan %s --help)\n", argv[0],
			argc > PROTO_WORDS_MAX ? "too many words" : err, argv[0]);
		return EXIT_USAGE;
	}
	if (a.help) {
		command_info_print(&command->info, stdout);
		return EXIT_OK;
	}
	for (int i = 0; i < argc; i++)
		word[i] = argv[i];
	bool good, has_output = command->output_option != NULL && args_has(&a, command->output_option);
	const struct client_files files = {
		.lines_fd = open_lines(command, &a, &good),
		.how = command->marked_lines != NULL ? CLIENT_LINES_MARKED : CLIENT_LINES_PLAIN,
		.output = has_output && a.n_words == 1 ? a.word[0] : NULL,
	};

	return good ? control_client_run(args_value(&a, "socket"), (size_t)argc, word, &files) : EXIT_USAGE;
}

/* `yangguan --socket PATH COMMAND ...`: the option may stand in front too, and then goes behind the command. */
static void move_socket(int argc, char **argv, char *option)
{
	if (argc < 4 || (strcmp(argv[1], "--socket") != 0 && strcmp(argv[1], "-s") != 0))
		return;
	char *path = argv[2];
	argv[1] = argv[3];
	argv[2] = option;
	argv[3] = path;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		list_commands(stderr);
		return EXIT_USAGE;
	}
	char option[] = "--socket";
	move_socket(argc, argv, option);
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	const struct local_command *local = find_local(name, argc > 2 ? argv[2] : NULL);
	if (local != NULL)
		return local->run(argc - 1, argv + 1);
	const struct command *remote = control_command_find(name);
	if (remote != NULL && !remote->hidden)
		return ask_gateway(remote, argc - 1, argv + 1);
	return unknown(name);
}
