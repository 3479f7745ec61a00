/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan lab`: see the gateway at work on one machine.
 *
 *      client1 10.77.0.10 --+
 *                           switch -- lan0 gateway wan0 -- server 203.0.113.254
 *      client2 10.77.0.20 --+    10.77.0.1   203.0.113.1          198.51.100.80
 *
 * Each is a network namespace; none has a name outside the lab. The process
 * that was called stays outside and only waits. Its child is the first process
 * of a new process namespace, builds the rest (lab_world.c), starts servers
 * (lab_hosts.c) and the gateway (lab_gateway.c), and then runs the checks
 * (lab_check.c) or waits for Ctrl-C. It is told by the kernel to die with its
 * parent, and with it dies everything in its namespaces: so nothing is left
 * behind, however the lab ends.
 */
#include "tools/lab/lab.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/lab/lab_priv.h"
#include "base/util.h"

/* How long the lab may take to put things down before it is killed. */
#define STOP_TIMEOUT_MS 10000

enum { EXIT_HOLDS = 0, EXIT_FAILS = 1, EXIT_TROUBLE = 2 };

static const char *const host_names[] = {
	[LAB_SWITCH] = "switch",   [LAB_CLIENT1] = "client1", [LAB_CLIENT2] = "client2",
	[LAB_GATEWAY] = "gateway", [LAB_SERVER] = "server",
};
_Static_assert(ARRAY_LEN(host_names) == LAB_N_HOSTS, "every host has a name");

static const struct arg_option lab_options[] = {
	{ 0, "check", NULL, "run every check, print what was seen, the connection table and the stats; end" },
	{ 0, "kernel", NULL, "the same lab with Linux and nft as the gateway, to compare" },
	{ 0, "driver", "DRIVER",
	  "the driver of the gateway's devices: auto, af_packet; with root also tc, xdp, xdp_generic" },
	{ 0, "record", "DIR", "make DIR and store there what the gateway does, for `yangguan replay --explain DIR`" },
	{ 0 },
};

const struct command_info lab_info = {
	.name = "lab",
	.synopsis = "[--check] [--kernel] [--driver DRIVER] [--record DIR] | sh HOST [COMMAND...]",
	.help = "see the gateway at work: clients and a server in namespaces of their own, real programs on them",
	.options = lab_options,
	.more = "Needs no root where the kernel lets ordinary users make namespaces, touches nothing outside them, "
		"and\n"
		"leaves nothing behind. Without --check it stays up until Ctrl-C. The checks are HTTP, a download, "
		"UDP,\n"
		"ping, traceroute, path MTU, a port forward and refused ports. `lab sh` opens a shell, or runs a\n"
		"command, on a host of the running lab: client1, client2, gateway, server or switch. Exit status with\n"
		"--check: 0 if all hold, 1 if one does not, 2 if the lab could not be made.",
	.example = "  yangguan lab --check\n"
		   "  yangguan lab --record /tmp/walk         then, when it has ended: yangguan replay --explain "
		   "/tmp/walk\n"
		   "  yangguan lab sh client1 curl http://server/",
};

/* Programs that the lab runs, and the packages that bring them. */
struct tool {
	const char *program, *package;
	bool kernel_only;
};

static const struct tool tools[] = {
	{ "ip", "iproute2", false },       { "nginx", "nginx", false },           { "curl", "curl", false },
	{ "ping", "iputils-ping", false }, { "traceroute", "traceroute", false }, { "sha256sum", "coreutils", false },
	{ "nft", "nftables", true },       { "conntrack", "conntrack", true },
};

const char *lab_host_name(enum lab_host host)
{
	return host_names[host];
}

enum lab_host lab_host_by_name(const char *name)
{
	enum lab_host host = LAB_SWITCH;

	while (host < LAB_N_HOSTS && strcmp(host_names[host], name) != 0)
		host++;
	return host;
}

/* The PATH of an ordinary user on Debian leaves the sbin directories out. */
static void extend_path(void)
{
	const char *path = getenv("PATH");
	char extended[4096];

	snprintf(extended, sizeof(extended), "%s:/usr/local/sbin:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
	setenv("PATH", extended, 1);
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	char file[4096];

	while (path && *path) {
		size_t len = strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", (int)len, path, program);
		if (access(file, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

/* What to type to run this program again: its name when it is installed, else where it lies. */
static const char *own_command(char *buf, size_t len)
{
	ssize_t n = in_path("yangguan") ? 0 : readlink("/proc/self/exe", buf, len - 1);

	if (n <= 0)
		return "yangguan";
	buf[n] = '\0';
	return buf;
}

static bool tools_are_there(const struct lab_options *options)
{
	char programs[256] = "", packages[256] = "";

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		if ((tools[i].kernel_only && options->forwarder != LAB_KERNEL) || in_path(tools[i].program))
			continue;
		snprintf(programs + strlen(programs), sizeof(programs) - strlen(programs), "%s%s",
			 programs[0] ? ", " : "", tools[i].program);
		snprintf(packages + strlen(packages), sizeof(packages) - strlen(packages), " %s", tools[i].package);
	}
	if (programs[0])
		fprintf(stderr, "yangguan lab: not found on this machine: %s. Install with: apt-get install%s\n",
			programs, packages);
	return !programs[0];
}

static void lab_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
	sigprocmask(SIG_BLOCK, set, NULL);
}

bool lab_stopping(struct lab *lab)
{
	struct signalfd_siginfo info;

	while (read(lab->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			lab->stopped_by = (int)info.ssi_signo;
	return lab->stopped_by != 0;
}

static void print_picture(const struct lab *lab)
{
	printf("    client1 10.77.0.10 --+\n"
	       "                         switch -- lan0 gateway wan0 -- server 203.0.113.254\n"
	       "    client2 10.77.0.20 --+    10.77.0.1   203.0.113.1          198.51.100.80\n\n");
	printf("The gateway is %s, with this config:\n\n",
	       lab->options.forwarder == LAB_KERNEL ? "Linux itself (nft)" : "`yangguan run`");
	lab_gateway_print_config(lab, stdout);
	printf("\n");
}

static void print_hints(const struct lab *lab)
{
	static const char *const any_forwarder[] = {
		"client1                                 # a shell on a host",
		"client1 curl http://server/",
		"client2 traceroute -n site",
		"client1 ping -M do -s 1472 server       # too big: the wan side's MTU is smaller",
		"server curl http://203.0.113.1:8080/    # a port forwarded to client1",
		"server tcpdump -Z root -ni eth0",
	};
	static const char *const yangguan[] = { "gateway yangguan conntrack -L", "gateway yangguan events",
						"gateway yangguan drops" };
	const char *program = lab->options.program;

	printf("The lab is up. In another terminal, try:\n");
	for (size_t i = 0; i < ARRAY_LEN(any_forwarder); i++)
		printf("    %s lab sh %s\n", program, any_forwarder[i]);
	if (lab->options.forwarder == LAB_KERNEL)
		printf("    %s lab sh gateway conntrack -L\n", program);
	for (size_t i = 0; i < ARRAY_LEN(yangguan) && lab->options.forwarder != LAB_KERNEL; i++)
		printf("    %s lab sh %s\n", program, yangguan[i]);
	if (lab->options.record)
		printf("What the gateway does is recorded: when the lab has ended, see each packet's walk with\n"
		       "    %s replay --explain %s\n",
		       program, lab->options.record);
	printf("Ctrl-C ends it and takes everything away%s.\n", lab->options.record ? ", but the recording" : "");
	fflush(stdout);
}

/* Waits for a signal, and looks after processes that lost their parent. */
static int stay(struct lab *lab)
{
	while (!lab_stopping(lab)) {
		struct pollfd fd = { .fd = lab->signal_fd, .events = POLLIN };
		int status;
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid != lab->gateway)
				continue;
			lab->gateway = 0;
			printf("The gateway ended by itself (status 0x%x), so the lab ends too.\n", status);
			return EXIT_FAILS;
		}
		poll(&fd, 1, -1);
	}
	return EXIT_HOLDS;
}

static int inside(struct lab *lab)
{
	int status = EXIT_HOLDS;

	if (lab_world_mounts(lab) != 0 || lab_world_hosts(lab) != 0 || lab_world_devices(lab) != 0)
		return EXIT_TROUBLE;
	print_picture(lab);
	fflush(stdout);
	if (lab_hosts_start(lab) != 0 || lab_gateway_start(lab) != 0)
		return lab->stopped_by ? 128 + lab->stopped_by : EXIT_TROUBLE;
	if (lab->options.mode == LAB_CHECK) {
		status = lab_check_all(lab) ? EXIT_FAILS : EXIT_HOLDS;
		if (lab->stopped_by)
			status = 128 + lab->stopped_by;
	} else {
		print_hints(lab);
		status = stay(lab);
		if (lab_gateway_stop(lab) != 0)
			status = EXIT_FAILS;
		printf("\nThe lab is gone.\n");
	}
	return status;
}

/* The first process of the lab. It never returns to its caller. */
static _Noreturn void init_main(const struct lab_options *options, const sigset_t *signals, int go)
{
	struct lab lab = { .options = *options };
	char byte;
	int status = EXIT_TROUBLE;

	/* In this order: a parent that dies before the byte leaves end of file. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(go, &byte, 1) == 1) {
		close(go);
		lab.signal_fd = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
		status = inside(&lab);
	}
	fflush(NULL);
	_exit(status);
}

/* Outside: pass signals on, and kill a lab that does not put things down. */
static int wait_for_lab(pid_t init, const sigset_t *signals)
{
	const struct timespec limit = { .tv_sec = STOP_TIMEOUT_MS / 1000 };
	bool asked = false, killed = false;

	for (;;) {
		int number = sigtimedwait(signals, NULL, asked ? &limit : NULL);
		int status;

		if (number < 0 && errno == EAGAIN && killed) {
			/* The kernel waits until a `lab sh` has seen its shell end. */
			fprintf(stderr, "yangguan lab: process %d is dying, but a `lab sh` does not let it go\n",
				(int)init);
			return EXIT_TROUBLE;
		}
		if (number < 0 && errno == EAGAIN) {
			fprintf(stderr, "yangguan lab: it does not end by itself, killing it\n");
			kill(init, SIGKILL);
			killed = true;
		} else if (number > 0 && number != SIGCHLD) {
			kill(init, number);
			asked = true;
		}
		if (waitpid(init, &status, WNOHANG) == init)
			return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_TROUBLE;
	}
}

static int run_lab(const struct lab_options *options)
{
	char state_path[256] = "";
	int go[2], state_fd, status = EXIT_TROUBLE;
	sigset_t signals, before;
	bool mapped;
	pid_t init;

	sigprocmask(SIG_BLOCK, NULL, &before);
	lab_signals(&signals);
	fflush(NULL);
	if (pipe(go) != 0) {
		perror("yangguan lab: pipe");
		return EXIT_TROUBLE;
	}
	init = lab_world_fork(&mapped);
	if (init == 0) {
		close(go[1]);
		init_main(options, &signals, go[0]);
	}
	close(go[0]);
	if (init < 0) {
		lab_world_explain(options, errno);
	} else if (mapped && lab_world_map_ids(init) != 0) {
		lab_world_explain(options, errno);
		kill(init, SIGKILL);
		waitpid(init, NULL, 0);
	} else {
		state_fd = lab_sh_publish(init, state_path, sizeof(state_path));
		if (write(go[1], "x", 1) != 1)
			kill(init, SIGKILL);
		status = wait_for_lab(init, &signals);
		if (state_fd >= 0) {
			unlink(state_path);
			close(state_fd);
		}
	}
	close(go[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

/* The whole path of what --record names, which the lab can reach. NULL after a sentence; the caller frees it. */
static char *record_path(const char *given)
{
	const char *slash = strrchr(given, '/');
	char *parent = slash == NULL   ? strdup(".")
		       : slash > given ? strndup(given, (size_t)(slash - given))
				       : strdup("/");
	char *whole = parent ? realpath(parent, NULL) : NULL, *path = NULL;

	if (!whole)
		fprintf(stderr, "yangguan lab: --record %s: %s\n", given, strerror(errno));
	else if (strcmp(whole, "/run") == 0 || strncmp(whole, "/run/", 5) == 0)
		fprintf(stderr, "yangguan lab: --record %s: the lab has a /run of its own; name another place\n",
			given);
	else if (asprintf(&path, "%s/%s", strcmp(whole, "/") == 0 ? "" : whole, slash ? slash + 1 : given) < 0)
		path = NULL;
	free(whole);
	free(parent);
	return path;
}

int lab_main(int argc, char **argv)
{
	struct lab_options options = { .mode = LAB_STAY, .forwarder = LAB_YANGGUAN };
	struct args args;
	char err[256], self[4096];

	options.program = own_command(self, sizeof(self));
	extend_path();
	if (argc > 1 && strcmp(argv[1], "sh") == 0)
		return lab_sh_main(argc - 1, argv + 1);
	if (args_parse(&args, lab_options, argc - 1, (const char *const *)(argv + 1), err, sizeof(err)) != 0) {
		fprintf(stderr, "yangguan lab: %s\n", err);
		return EXIT_TROUBLE;
	}
	if (args.help) {
		command_info_print(&lab_info, stdout);
		return EXIT_HOLDS;
	}
	if (args.n_words > 0) {
		fprintf(stderr, "yangguan lab: \"%s\" is not understood; see yangguan lab --help\n", args.word[0]);
		return EXIT_TROUBLE;
	}
	if (args_has(&args, "check"))
		options.mode = LAB_CHECK;
	if (args_has(&args, "kernel"))
		options.forwarder = LAB_KERNEL;
	options.ordinary_user = geteuid() != 0;
	options.driver = args_value(&args, "driver");
	if (args_value(&args, "record") && options.forwarder == LAB_KERNEL) {
		fprintf(stderr, "yangguan lab: --record is of our own gateway, and --kernel has Linux's\n");
		return EXIT_TROUBLE;
	}
	char *record = NULL;

	if (args_value(&args, "record") && !(record = record_path(args_value(&args, "record"))))
		return EXIT_TROUBLE;
	options.record = record;
	int status = tools_are_there(&options) ? run_lab(&options) : EXIT_TROUBLE;

	free(record);
	return status;
}
