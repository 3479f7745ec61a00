/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A gateway reads packets of strangers and runs as root. Whoever finds a way in through
 * a packet should find little there. So once everything is open that the start opens,
 * three things go:
 *
 *  - capabilities, but for those below (libcap-ng), from the bounding set as well;
 *  - what an exec could give back (no_new_privs);
 *  - system calls that a gateway never makes (seccomp): programs cannot be started,
 *    memory cannot be made code, a process cannot be made (a thread can), nothing
 *    can be mounted, traced, loaded into the kernel (but BPF), no namespace entered,
 *    no identity changed, no clock set, no file given another owner or mode.
 *
 * What stays is what a gateway needs while it runs, whatever its drivers: a device comes
 * back or a reload brings one (AF_PACKET, AF_XDP, TAP, netlink, programs and maps),
 * the kernel is kept quiet on it (nftables, tc, tcx), the config is read again,
 * a recording gets another file, a command its answer.
 *
 * A system call that is not on the list gets ENOSYS, so that a C library falls back as it
 * does on an older kernel, and a mistake in the list is a command that fails, not the end
 * of a gateway. Those that nothing but an intruder would make end the process.
 *
 * It works in a user namespace as well: what root of one holds there is all that goes.
 */
#include "daemon/run/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/util.h"

/* Capabilities that are kept, of those that there are. */
static const unsigned kept[] = {
	CAP_NET_ADMIN,        /* devices, TAPs, netlink, attaching programs, large socket buffers */
	CAP_NET_RAW,          /* AF_PACKET and AF_XDP sockets */
	CAP_BPF,              /* programs and maps of the fast path, when a device comes back */
	CAP_PERFMON,          /* likewise: programs that look at tracepoints */
	CAP_IPC_LOCK,         /* memory of AF_XDP's rings, which the kernel counts against a limit else */
	CAP_DAC_READ_SEARCH,  /* the config at a reload, wherever it lies */
	CAP_NET_BIND_SERVICE, /* BGP's port of the kernel's, when a reload begins with it */
};

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* What a gateway, the C library and libevent, libbpf, libmnl, libpcap in it call while it runs. */
static const char *const allowed[] = {
	/* time, threads, signals, memory */
	"brk",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"exit",
	"exit_group",
	"futex",
	"get_robust_list",
	"getcpu",
	"getrandom",
	"gettimeofday",
	"madvise",
	"membarrier",
	"mremap",
	"msync",
	"munmap",
	"nanosleep",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"sched_getaffinity",
	"sched_setaffinity",
	"sched_yield",
	"set_robust_list",
	"set_tid_address",
	"sigaltstack",
	"time",
	"timer_create",
	"timer_delete",
	"timer_settime",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	"tgkill",
	"prctl",
	"arch_prctl",
	"getrlimit",
	"prlimit64",
	"sysinfo",
	"times",
	"uname",
	"getrusage",
	"mlock",
	"munlock",
	/* who we are */
	"getegid",
	"geteuid",
	"getgid",
	"getpid",
	"getppid",
	"gettid",
	"getuid",
	"getpgrp",
	"getsid",
	"capget",
	/* descriptors */
	"close",
	"close_range",
	"dup",
	"dup2",
	"dup3",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd",
	"eventfd2",
	"fcntl",
	"fcntl64",
	"ioctl",
	"pipe",
	"pipe2",
	"poll",
	"ppoll",
	"pselect6",
	"read",
	"readv",
	"pread64",
	"select",
	"write",
	"writev",
	"pwrite64",
	"lseek",
	"_llseek",
	"ftruncate",
	"fdatasync",
	"fsync",
	"fadvise64",
	"flock",
	/* files: the config, recordings, locks, the control socket */
	"access",
	"chdir",
	"faccessat",
	"faccessat2",
	"fstat",
	"fstat64",
	"fstatfs",
	"getcwd",
	"getdents",
	"getdents64",
	"lstat",
	"mkdir",
	"mkdirat",
	"newfstatat",
	"open",
	"openat",
	"openat2",
	"readlink",
	"readlinkat",
	"rename",
	"renameat",
	"stat",
	"statfs",
	"statx",
	"umask",
	"unlink",
	"unlinkat",
	/* sockets */
	"accept",
	"accept4",
	"bind",
	"connect",
	"getpeername",
	"getsockname",
	"getsockopt",
	"listen",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shutdown",
	"socket",
	"socketpair",
	/* the fast path */
	"bpf",
};

/* The end of whoever tries it: code that came in by a packet. */
static const char *const deadly[] = {
	"execve",
	"execveat",
	"fork",
	"vfork",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"setns",
	"unshare",
	"open_by_handle_at",
	"setuid",
	"setgid",
	"setresuid",
	"setresgid",
	"setgroups",
	"chown",
	"fchown",
	"lchown",
	"fchownat",
	"reboot",
	"swapon",
	"swapoff",
	"settimeofday",
	"clock_settime",
	"add_key",
	"request_key",
	"keyctl",
	"userfaultfd",
	"io_uring_setup",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsmount",
	"pidfd_getfd",
	"iopl",
	"ioperm",
};

/* The leak check at the end of a sanitizer's program stops the other threads by a process of its own, which traces
 * them. */
static const char *const for_sanitizers[] = { "clone", "ptrace", "wait4",    "kill",     "personality",
					      "fork",  "mmap",   "mprotect", "setrlimit" };

static int drop_capabilities(char *err, size_t err_len)
{
	if (capng_get_caps_process() != 0) {
		snprintf(err, err_len, "cannot see which capabilities there are");
		return -EPERM;
	}
	capng_select_t what =
		capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS;
	bool had[ARRAY_LEN(kept)];

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(what);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (had[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
	int rc = capng_apply(what);
	if (rc != 0)
		snprintf(err, err_len, "capabilities cannot be given up (libcap-ng: %d)", rc);
	return rc != 0 ? -EPERM : 0;
}

/* Names that this architecture or this libseccomp does not know are left out: they cannot be called by that name. */
static int add_rules(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);
		int rc = nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, nr, 0);
		/* -EEXIST: as the default already; -EDOM: not on this architecture. */
		if (rc != 0 && rc != -EEXIST && rc != -EDOM)
			return rc;
	}
	return 0;
}

/* Threads, but no processes (clone3 hides its flags behind a pointer: without it the C library takes clone), and memory
 * that is never code. */
static int add_careful_rules(scmp_filter_ctx filter)
{
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

static bool is_for_sanitizers(const char *name)
{
	for (size_t i = 0; SANITIZED && i < ARRAY_LEN(for_sanitizers); i++)
		if (strcmp(for_sanitizers[i], name) == 0)
			return true;
	return false;
}

static int filter_calls(char *err, size_t err_len)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int rc = filter == NULL ? -ENOMEM : 0;

	/* A gateway started with fewer rights than root may still filter: no_new_privs is what the kernel asks for. */
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
	/* A look-up takes the same however many there are. */
	if (rc == 0)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0)
		rc = add_rules(filter, SCMP_ACT_ALLOW, allowed, ARRAY_LEN(allowed));
	for (size_t i = 0; i < ARRAY_LEN(deadly) && rc == 0; i++)
		if (!is_for_sanitizers(deadly[i]))
			rc = add_rules(filter, SCMP_ACT_KILL_PROCESS, &deadly[i], 1);
	if (rc == 0 && !SANITIZED)
		rc = add_careful_rules(filter);
	if (rc == 0 && SANITIZED)
		rc = add_rules(filter, SCMP_ACT_ALLOW, for_sanitizers, ARRAY_LEN(for_sanitizers));
	if (rc == 0)
		rc = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	if (rc != 0)
		snprintf(err, err_len, "system calls cannot be filtered: %s", strerror(-rc));
	return rc;
}

int privileges_drop(char *err, size_t err_len)
{
	int rc = drop_capabilities(err, err_len);
	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		rc = -errno;
		snprintf(err, err_len, "no_new_privs cannot be set: %s", strerror(-rc));
	}
	return rc != 0 ? rc : filter_calls(err, err_len);
}
