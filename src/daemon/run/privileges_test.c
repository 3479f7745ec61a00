/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is left after privileges_drop, asked of the kernel: each question in a process of
 * its own, since there is no way back. Would catch a capability too many, a system call
 * that an intruder would want, and one that a gateway needs and has no more.
 */
#include "daemon/run/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

enum { NOT_DROPPED = 99, GOOD = 0, BAD = 1 };

/* Runs fn in a process that has dropped what it may; its wait status. */
static int in_child(int (*fn)(void))
{
	char err[256];
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct sigaction by_default = { .sa_handler = SIG_DFL };
		sigaction(SIGSYS, &by_default, NULL);
		prctl(PR_SET_DUMPABLE, 0);
		_exit(privileges_drop(err, sizeof(err)) != 0 ? NOT_DROPPED : fn());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int starts_program(void)
{
	char *argv[] = { NULL };

	return execve("/bin/true", argv, argv);
}

static int mounts(void)
{
	return mount("x", "/tmp", "tmpfs", 0, NULL);
}

static int enters_namespace(void)
{
	return setns(-1, 0);
}

static int makes_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static int changes_identity(void)
{
	return setresuid(0, 0, 0);
}

static int loads_module(void)
{
	return (int)syscall(SYS_finit_module, -1, "", 0);
}

static int gives_away(void)
{
	return chown("/tmp/none", 0, 0);
}

static int sets_clock(void)
{
	return (int)syscall(SYS_clock_settime, 0, NULL);
}

static void an_intruders_calls_end_it(void **state)
{
	static int (*const call[])(void) = { starts_program,   mounts,       enters_namespace, makes_namespace,
					     changes_identity, loads_module, gives_away,       sets_clock };

	for (size_t i = 0; i < ARRAY_LEN(call); i++) {
		int status = in_child(call[i]);
		print_message("call %zu: %s\n", i, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "returned");
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	}
}

/* As on a kernel that does not have it. */
static int calls_what_is_not_listed(void)
{
	return syscall(SYS_vmsplice, -1, NULL, 0, 0) == -1 && errno == ENOSYS ? GOOD : BAD;
}

static void what_is_not_listed_is_not_there(void **state)
{
	assert_int_equal(in_child(calls_what_is_not_listed), 0);
}

static uint64_t status_field(const char *name)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	uint64_t value = UINT64_MAX;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoull(line + strlen(name), NULL, 16);
	if (f != NULL)
		fclose(f);
	return value;
}

/* CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_BPF */
#define KEPT (1ull << 10 | 1ull << 12 | 1ull << 13 | 1ull << 14 | 1ull << 2 | 1ull << 38 | 1ull << 39)

static int shows_capabilities(void)
{
	uint64_t left =
		status_field("CapEff:") | status_field("CapPrm:") | status_field("CapInh:") | status_field("CapAmb:");

	return (left & ~KEPT) == 0 && status_field("NoNewPrivs:") == 1 && status_field("Seccomp:") == 2 ? GOOD : BAD;
}

static void capabilities(void **state)
{
	assert_int_equal(in_child(shows_capabilities), 0);
}

static void *thread(void *arg)
{
	return arg;
}

static int works_on(void)
{
	char buf[16];
	pthread_t t;
	void *came = NULL;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC), s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	void *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return fd >= 0 && read(fd, buf, sizeof(buf)) > 0 && s >= 0 && m != MAP_FAILED &&
			       pthread_create(&t, NULL, thread, &fd) == 0 && pthread_join(t, &came) == 0 && came == &fd
		       ? GOOD
		       : BAD;
}

static void a_gateways_calls_work(void **state)
{
	assert_int_equal(in_child(works_on), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_intruders_calls_end_it),
		cmocka_unit_test(what_is_not_listed_is_not_there),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(a_gateways_calls_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
