/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan exec -c FILE -- PROGRAM ...`: joins the stack of the config's device, or starts it (preload/service.h), and
 * becomes the program, with the preload library before the C library. Process, exit status, signals and terminal are
 * the program's, as if it had been started itself.
 */
#include "tools/exec/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/control/commands/command.h"
#include "preload/preload_wire.h"

#define LIBRARY "libyangguan-preload.so"
/* Where select of programs that have few descriptors does not look. */
#define BROKER_FROM 1000
/* As a shell has it. */
#define EXIT_NOT_FOUND 127
#define EXIT_NOT_EXECUTABLE 126

static const struct arg_option exec_options[] = {
	{ 'c', "config", "FILE", "the stack: one interface with the driver tap or af_packet, its addresses, routes" },
	{ 0, "loopback", "WHOSE", "127.0.0.0/8 is `stack` (as at first) or `kernel`" },
	{ 0, "library", "FILE", "the preload library, if it is not where it was installed" },
	{ 0 }
};

const struct command_info exec_info = {
	.name = "exec",
	.synopsis = "-c FILE [--loopback stack|kernel] -- PROGRAM [ARGUMENT...]",
	.help = "run an unmodified program on a stack of its own",
	.options = exec_options,
	.more = "The program's IPv4 sockets are our stack's, those of its children too; all other descriptors are the\n"
		"kernel's. Programs that are started with the same FILE have one stack. docs/preload.md says what "
		"works.",
	.example = "  yangguan exec -c stack.conf -- curl http://10.9.0.1/\n"
		   "  yangguan exec -c stack.conf -- nginx",
};

/* Whether the word behind this one is its value. */
static bool takes_next(const char *word)
{
	for (const struct arg_option *o = exec_options; o->name != NULL; o++)
		if ((word[1] == o->letter && word[1] != '\0' && word[2] == '\0') ||
		    (word[1] == '-' && strcmp(word + 2, o->name) == 0))
			return o->value != NULL;
	return false;
}

/* The first word that is neither an option nor its value, behind `--` if that is there. */
static int program_at(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--") == 0)
			return i + 1;
		if (takes_next(argv[i]))
			i++;
	}
	return i;
}

/* In the build folder, or where `make install` puts it. */
static bool find_library(char out[PATH_MAX])
{
	static const char *const places[] = { "src/preload", "../lib", "../lib64", "../lib/*" };
	char self[PATH_MAX], pattern[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	bool is_found = false;

	if (n <= 0)
		return false;
	self[n] = '\0';
	char *slash = strrchr(self, '/');

	*(slash != NULL ? slash : self) = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places) && !is_found; i++) {
		glob_t g;

		snprintf(pattern, sizeof(pattern), "%s/%s/" LIBRARY, self, places[i]);
		if (glob(pattern, 0, NULL, &g) != 0)
			continue;
		is_found = realpath(g.gl_pathv[0], out) != NULL;
		globfree(&g);
	}
	return is_found;
}

/* Where execvp will find it; what it does not find it says itself. */
static void check_in_path(const char *program)
{
	const char *path = getenv("PATH");
	char at[PATH_MAX];

	if (strchr(program, '/') != NULL) {
		exec_check_program(program);
		return;
	}
	for (const char *dir = path; dir != NULL && *dir != '\0';) {
		size_t n = strcspn(dir, ":");

		snprintf(at, sizeof(at), "%.*s/%s", (int)n, dir, program);
		if (access(at, X_OK) == 0) {
			exec_check_program(at);
			return;
		}
		dir += n + (dir[n] == ':');
	}
}

static int set_environment(int broker, const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char number[16], *all = NULL;

	snprintf(number, sizeof(number), "%d", broker);
	if (asprintf(&all, "%s%s%s", library, others != NULL ? ":" : "", others != NULL ? others : "") < 0)
		return -1;
	int rc = setenv(PRELOAD_ENV, number, 1) != 0 || setenv("LD_PRELOAD", all, 1) != 0 ? -1 : 0;

	free(all);
	return rc;
}

static int become(const char *config, bool loopback_is_kernel, const char *library, char **program)
{
	struct service_config c;

	if (!exec_config_read(config, &c))
		return EXIT_FAILED;
	c.loopback_is_kernel = loopback_is_kernel;
	if (loopback_is_kernel)
		strncat(c.text, ", loopback kernel", sizeof(c.text) - strlen(c.text) - 1);
	int fd = service_join(&c);

	exec_config_free(&c);
	if (fd < 0)
		return EXIT_USAGE;
	int broker = fcntl(fd, F_DUPFD, BROKER_FROM);

	/* A low limit. */
	if (broker < 0)
		broker = dup(fd);
	close(fd);
	check_in_path(program[0]);
	if (broker < 0 || set_environment(broker, library) != 0) {
		fprintf(stderr, "yangguan exec: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	(void)execvp(program[0], program);
	int error = errno;

	fprintf(stderr, "yangguan exec: %s: %s\n", program[0], strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int usage(const char *what)
{
	fprintf(stderr, "yangguan exec: %s (see: yangguan exec --help)\n", what);
	return EXIT_USAGE;
}

int exec_main(int argc, char **argv)
{
	int at = program_at(argc, argv);
	char err[160], library[PATH_MAX];
	struct args a;

	if (args_parse(&a, exec_options, (at < argc ? at : argc) - 1, (const char *const *)argv + 1, err,
		       sizeof(err)) != 0)
		return usage(err);
	if (a.help) {
		command_info_print(&exec_info, stdout);
		return EXIT_OK;
	}
	const char *whose = args_value(&a, "loopback"), *given = args_value(&a, "library");

	if (whose != NULL && strcmp(whose, "stack") != 0 && strcmp(whose, "kernel") != 0)
		return usage("--loopback is `stack` or `kernel`");
	if (!args_has(&a, "config"))
		return usage("it needs -c FILE");
	if (at >= argc)
		return usage("it needs a program");
	if (given == NULL && !find_library(library))
		return usage(LIBRARY " is not where it was installed: --library FILE");
	if (given != NULL && (access(given, R_OK) != 0 || realpath(given, library) == NULL))
		return usage("there is no such library");
	return become(args_value(&a, "config"), whose != NULL && strcmp(whose, "kernel") == 0, library, argv + at);
}
