/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan lab sh HOST`: from another terminal into the running lab.
 *
 * A running lab keeps a file in a folder that only its user can write to; in it
 * stands the process id of the lab's first process, as seen outside, and the
 * lab holds a lock on it for as long as it lives. So a file without a lock is
 * left from a lab that was killed, and is removed by whoever finds it. The
 * newest lab is the one that is entered.
 *
 * To enter means to join the namespaces of that process, user namespace first,
 * since from it come the rights to join the others, and then the host's network
 * and name, which stand as files in the lab's own mounts. A process namespace
 * is joined by children only, hence the fork. The shell dies with the lab.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tools/lab/lab_priv.h"
#include "base/util.h"

enum { EXIT_TROUBLE = 2 };

static const char usage[] = "usage: yangguan lab sh HOST [COMMAND...]\n"
			    "\n"
			    "A shell, or one command, on a host of the running lab: client1, client2, gateway,\n"
			    "server or switch. Works for the user who started the lab.\n";

/* A folder that is ours alone: not a link, our own, closed to others. */
static bool is_private(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

/* XDG_RUNTIME_DIR, /run/user/UID, /run for root, or a folder under /tmp. */
static int state_folder(char *path, size_t size)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char base[128];

	if (xdg && xdg[0] == '/' && strlen(xdg) < 100 && is_private(xdg)) {
		snprintf(base, sizeof(base), "%s", xdg);
	} else {
		snprintf(base, sizeof(base), "/run/user/%u", (unsigned)geteuid());
		if (!is_private(base))
			snprintf(base, sizeof(base), "%s", geteuid() == 0 ? "/run" : "");
	}
	if (base[0])
		snprintf(path, size, "%s/yangguan-lab", base);
	else
		snprintf(path, size, "/tmp/yg-lab-%u", (unsigned)geteuid());
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -1;
	errno = EPERM;
	return is_private(path) ? 0 : -1;
}

int lab_sh_publish(pid_t init, char *path, size_t size)
{
	char folder[160], text[32];
	int fd = -1;

	if (state_folder(folder, sizeof(folder)) == 0) {
		snprintf(path, size, "%s/%d", folder, (int)init);
		snprintf(text, sizeof(text), "%d\n", (int)init);
		fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0 &&
	    write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		return fd;
	fprintf(stderr, "yangguan lab: `lab sh` will not find this lab: %s: %s\n", folder, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The process id in a lab's file, or 0 if no lab holds it any more. */
static pid_t living(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[32] = "";
	pid_t pid = 0;

	if (fd < 0)
		return 0;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		unlink(path);
	else if (read(fd, text, sizeof(text) - 1) > 0)
		pid = (pid_t)strtol(text, NULL, 10);
	close(fd);
	return pid;
}

static pid_t find_lab(void)
{
	char folder[160], path[512];
	struct dirent *entry;
	struct stat st;
	struct timespec newest = { 0 };
	pid_t found = 0;
	DIR *dir;

	if (state_folder(folder, sizeof(folder)) != 0)
		return 0;
	dir = opendir(folder);
	while (dir && (entry = readdir(dir)) != NULL) {
		pid_t pid;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		pid = stat(path, &st) == 0 ? living(path) : 0;
		if (pid > 0 && (st.st_mtim.tv_sec > newest.tv_sec ||
				(st.st_mtim.tv_sec == newest.tv_sec && st.st_mtim.tv_nsec >= newest.tv_nsec))) {
			newest = st.st_mtim;
			found = pid;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Joins one namespace of a process, unless it is ours already. */
static int join(int process, const char *kind)
{
	char path[32], own[32];
	struct stat theirs, mine;
	int fd, status;

	snprintf(path, sizeof(path), "ns/%s", kind);
	snprintf(own, sizeof(own), "/proc/self/ns/%s", kind);
	fd = openat(process, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &theirs) != 0)
		return -1;
	if (stat(own, &mine) == 0 && mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev)
		status = 0;
	else
		status = setns(fd, 0);
	close(fd);
	return status;
}

static int join_file(const char *folder, const char *name)
{
	char path[128];
	int fd, status;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	status = setns(fd, 0);
	close(fd);
	return status;
}

static int enter_lab(pid_t init, const char *host)
{
	static const char *const kinds[] = { "user", "ipc", "pid", "mnt" };
	char path[32];
	int process;

	snprintf(path, sizeof(path), "/proc/%d", (int)init);
	process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (join(process, kinds[i]) != 0)
			return -1;
	close(process);
	return join_file(LAB_NETNS_DIR, host) == 0 ? join_file(LAB_DIR "/uts", host) : -1;
}

static _Noreturn void exec_there(char **command)
{
	const char *shell = getenv("SHELL");

	if (command[0]) {
		execvp(command[0], command);
		fprintf(stderr, "yangguan lab sh: %s: %s\n", command[0], strerror(errno));
	} else {
		if (shell && access(shell, X_OK) == 0)
			execl(shell, shell, (char *)NULL);
		execl("/bin/bash", "bash", (char *)NULL);
		execl("/bin/sh", "sh", (char *)NULL);
		perror("yangguan lab sh: /bin/sh");
	}
	_exit(127);
}

/* Waits for the shell; Ctrl-C is for the shell, not for us. Ends with _exit:
 * what a sanitizer does at exit needs a helper process that sees its parent,
 * and ours would be born into the lab. */
static _Noreturn void wait_for_shell(pid_t child)
{
	struct termios terminal;
	bool is_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	if (is_terminal) {
		/* A shell that was killed left the terminal as an editor wants it. */
		signal(SIGTTOU, SIG_IGN);
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	}
	if (WTERMSIG(status) == SIGKILL)
		fprintf(stderr, "yangguan lab sh: the lab has ended\n");
	_exit(128 + WTERMSIG(status));
}

int lab_sh_main(int argc, char **argv)
{
	char folder[4096];
	pid_t init, child;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2 || lab_host_by_name(argv[1]) == LAB_N_HOSTS) {
		if (argc > 1)
			fprintf(stderr, "yangguan lab sh: no host is called \"%s\"\n", argv[1]);
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	init = find_lab();
	if (init == 0) {
		fprintf(stderr, "yangguan lab sh: no lab of yours is running; start one with `yangguan lab`\n");
		return EXIT_TROUBLE;
	}
	if (!getcwd(folder, sizeof(folder)))
		snprintf(folder, sizeof(folder), "/");
	if (enter_lab(init, argv[1]) != 0) {
		fprintf(stderr, "yangguan lab sh: cannot enter the lab (process %d): %s\n", (int)init, strerror(errno));
		return EXIT_TROUBLE;
	}
	if (chdir(folder) != 0 && chdir("/") != 0)
		return EXIT_TROUBLE;
	lab_world_path();
	child = fork();
	if (child == 0)
		exec_there(argv + 2);
	if (child < 0) {
		perror("yangguan lab sh: fork");
		return EXIT_TROUBLE;
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	wait_for_shell(child);
}
