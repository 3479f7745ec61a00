/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The lab's world: namespaces, mounts, and the devices between the hosts.
 *
 * One user namespace (only where the caller is not root), one process and one
 * mount namespace for the whole lab; a network namespace and a host name for
 * each host. The lab mounts a tmpfs of its own over /run and keeps there what
 * it writes: the servers' files, logs, and the gateway's control socket, so
 * that a gateway of the machine itself is neither seen nor disturbed. The
 * hosts' network namespaces stand in /run/netns inside the lab only, where
 * `ip netns exec` finds them. All of it ends with the lab's last process.
 *
 * Devices are made by running `ip`, one batch a host.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/lab/lab_priv.h"
#include "base/util.h"

#define WORLD_FLAGS (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC)

pid_t lab_world_fork(bool *mapped)
{
	long pid = -1;

	/* Arguments but the flags are zero, so their order, which differs between
	 * architectures, does not matter. */
	*mapped = false;
	if (geteuid() == 0)
		pid = syscall(SYS_clone, (unsigned long)(WORLD_FLAGS | SIGCHLD), 0L, 0L, 0L, 0L);
	if (pid < 0) {
		*mapped = true;
		pid = syscall(SYS_clone, (unsigned long)(WORLD_FLAGS | CLONE_NEWUSER | SIGCHLD), 0L, 0L, 0L, 0L);
	}
	return (pid_t)pid;
}

int lab_world_map_ids(pid_t child)
{
	char path[64], text[64];

	/* Without this line the kernel refuses a group map from an ordinary user. */
	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)child);
	if (lab_write_file(path, "deny") != 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)child);
	snprintf(text, sizeof(text), "0 %u 1", (unsigned)geteuid());
	if (lab_write_file(path, text) != 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)child);
	snprintf(text, sizeof(text), "0 %u 1", (unsigned)getegid());
	return lab_write_file(path, text);
}

static int read_number(const char *path)
{
	int value = -1;
	FILE *file = fopen(path, "re");

	if (file) {
		if (fscanf(file, "%d", &value) != 1)
			value = -1;
		fclose(file);
	}
	return value;
}

/* Switches of kernels and distributions, and the value of each that says no. */
static const struct {
	const char *path, *name;
	int forbids, allows;
} switches[] = {
	{ "/proc/sys/user/max_user_namespaces", "user.max_user_namespaces", 0, 10000 },
	{ "/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", 0, 1 },
	{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "kernel.apparmor_restrict_unprivileged_userns", 1,
	  0 },
};

/* A root that is no mount: the kernel makes no mounts private below it, and no user namespace. */
static bool is_chroot(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, at[4];
	size_t room = 0;
	bool has_root = file == NULL; /* without /proc nobody can tell */

	while (!has_root && getline(&line, &room, file) >= 0)
		has_root = sscanf(line, "%*s %*s %*s %*s %3s ", at) == 1 && strcmp(at, "/") == 0;
	free(line);
	if (file != NULL)
		fclose(file);
	return !has_root;
}

void lab_world_explain(const struct lab_options *options, int error)
{
	const char *sudo = options->ordinary_user ? "sudo " : "";

	if (is_chroot()) {
		fprintf(stderr, "yangguan lab: this is a chroot, in which the kernel allows no mounts and no user "
				"namespaces of "
				"the lab's own: enter it by pivot_root instead, as `systemd-nspawn -D DIR` and "
				"`tools/fresh` do\n");
		return;
	}

	for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
		if (read_number(switches[i].path) != switches[i].forbids)
			continue;
		fprintf(stderr,
			"yangguan lab: this kernel does not allow the namespaces that it needs: %s is %d. Allow them "
			"until "
			"the next boot with: %ssysctl -w %s=%d\n",
			switches[i].name, switches[i].forbids, sudo, switches[i].name, switches[i].allows);
		return;
	}
	fprintf(stderr,
		"yangguan lab: making namespaces is not allowed here: %s. In a container: docker run --privileged; in "
		"a "
		"chroot: enter it by pivot_root%s\n",
		strerror(error), options->ordinary_user ? "; elsewhere: sudo yangguan lab" : "");
}

/* Ubuntu lets the user namespace come to be and then allows nothing inside, so
 * the first mount may be what fails. */
static int world_fault(const struct lab *lab, const char *what)
{
	int error = errno;

	/* Of a root that is no mount the kernel says only that the argument is invalid. */
	if (error == EINVAL && is_chroot()) {
		lab_world_explain(&lab->options, error);
		return -1;
	}
	fprintf(stderr, "yangguan lab: %s: %s\n", what, strerror(error));
	if (error == EPERM || error == EACCES)
		lab_world_explain(&lab->options, error);
	return -1;
}

/* Names for the hosts, over /etc/hosts: a convenience, so it may fail. */
static void mount_hosts_file(void)
{
	static const char text[] = "127.0.0.1 localhost\n" LAB_CLIENT1_ADDRESS " client1\n" LAB_CLIENT2_ADDRESS
				   " client2\n" LAB_GATEWAY_LAN_ADDRESS " gateway\n" LAB_SERVER_ADDRESS
				   " server\n" LAB_SITE_ADDRESS " site\n";

	if (lab_write_file(LAB_DIR "/hosts", text) != 0 ||
	    mount(LAB_DIR "/hosts", "/etc/hosts", NULL, MS_BIND, NULL) != 0)
		fprintf(stderr, "yangguan lab: the hosts can be reached by address only (/etc/hosts: %s)\n",
			strerror(errno));
}

void lab_world_path(void)
{
	const char *path = getenv("PATH");
	char extended[4096];

	snprintf(extended, sizeof(extended), LAB_DIR "/bin:%s", path ? path : "/usr/bin:/bin");
	setenv("PATH", extended, 1);
}

/* The program itself, where it has its name and is in PATH. (The kernel refuses
 * to mount /proc/self/exe from the mount namespace outside.) */
static int copy_self(const char *path)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ssize_t n = -1;

	if (from >= 0 && to >= 0)
		while ((n = sendfile(to, from, NULL, 1 << 20)) > 0)
			;
	if (from >= 0)
		close(from);
	if (to >= 0 && close(to) != 0)
		n = -1;
	return (int)n;
}

/* An empty file to mount over. */
static int touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	return fd < 0 ? -1 : close(fd);
}

int lab_world_mounts(struct lab *lab)
{
	static const char *const folders[] = { LAB_DIR, LAB_DIR "/bin", LAB_DIR "/log", LAB_DIR "/uts", LAB_NETNS_DIR };

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return world_fault(lab, "cannot make the mounts its own");
	if (mount("lab", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=512m") != 0)
		return world_fault(lab, "cannot mount a tmpfs over /run");
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (mkdir(folders[i], 0755) != 0)
			return world_fault(lab, folders[i]);
	if (copy_self(LAB_DIR "/bin/yangguan") != 0 || symlink("yangguan", LAB_DIR "/bin/yg") != 0)
		return world_fault(lab, LAB_DIR "/bin/yangguan");
	lab_world_path();
	/* In some containers parts of /proc are covered and a new one is refused;
	 * then `ps` in the lab shows the whole machine, and the rest works. */
	(void)!mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_hosts_file();
	return 0;
}

/* Gives the namespace of this process a name inside the lab, and opens it. */
static int keep_namespace(const char *kind, const char *folder, const char *host)
{
	char from[64], to[128];

	snprintf(from, sizeof(from), "/proc/self/ns/%s", kind);
	snprintf(to, sizeof(to), "%s/%s", folder, host);
	if (touch(to) != 0 || mount(from, to, NULL, MS_BIND, NULL) != 0)
		return -1;
	return open(to, O_RDONLY | O_CLOEXEC);
}

int lab_world_hosts(struct lab *lab)
{
	for (enum lab_host host = LAB_SWITCH; host < LAB_N_HOSTS; host++) {
		const char *name = lab_host_name(host);

		/* The switch has the network that the lab was born with. */
		if (host != LAB_SWITCH && unshare(CLONE_NEWNET | CLONE_NEWUTS) != 0)
			return world_fault(lab, "cannot make a network namespace");
		if (sethostname(name, strlen(name)) != 0)
			return world_fault(lab, "sethostname");
		lab->net_fd[host] = keep_namespace("net", LAB_NETNS_DIR, name);
		lab->uts_fd[host] = keep_namespace("uts", LAB_DIR "/uts", name);
		if (lab->net_fd[host] < 0 || lab->uts_fd[host] < 0)
			return world_fault(lab, name);
		/* IPv6 is not what this lab is about, and its own chatter would only
		 * stand in the way of who looks at packets. No IPv6: fine too. */
		(void)!lab_write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
		(void)!lab_write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	}
	return lab_enter(lab, LAB_SWITCH);
}

#define STRING_(x) #x
#define STRING(x) STRING_(x)

static const char *const device_batch[LAB_N_HOSTS] = {
	[LAB_SWITCH] = "link set lo up\n"
		       "link add br0 type bridge\n"
		       "link set br0 up\n"
		       "link add client1 type veth peer name eth0 netns client1\n"
		       "link add client2 type veth peer name eth0 netns client2\n"
		       "link add gateway type veth peer name lan0 netns gateway\n"
		       "link set client1 master br0 up\n"
		       "link set client2 master br0 up\n"
		       "link set gateway master br0 up\n",
	[LAB_GATEWAY] = "link set lo up\n"
			"link add wan0 type veth peer name eth0 netns server\n"
			"link set wan0 mtu " STRING(LAB_WAN_MTU) " up\n"
								 "link set lan0 up\n",
	[LAB_CLIENT1] = "link set lo up\n"
			"link set eth0 up\n"
			"addr add " LAB_CLIENT1_ADDRESS "/24 dev eth0\n"
			"route add default via " LAB_GATEWAY_LAN_ADDRESS "\n",
	[LAB_CLIENT2] = "link set lo up\n"
			"link set eth0 up\n"
			"addr add " LAB_CLIENT2_ADDRESS "/24 dev eth0\n"
			"route add default via " LAB_GATEWAY_LAN_ADDRESS "\n",
	/* No route to 10.77.0.0/24: an address that was not translated gets no answer. */
	[LAB_SERVER] = "link set lo up\n"
		       "link set eth0 mtu " STRING(LAB_WAN_MTU) " up\n"
								"addr add " LAB_SERVER_ADDRESS "/24 dev eth0\n"
								"addr add " LAB_SITE_ADDRESS "/32 dev lo\n",
};

/* Generic XDP takes no frame larger than the MTU: the other ends must not send any. */
static int cut_at_peers(struct lab *lab)
{
	static const struct {
		enum lab_host host;
		const char *device;
	} peers[] = { { LAB_SWITCH, "gateway" }, { LAB_SERVER, "eth0" } };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(peers) && rc == 0; i++) {
		struct ethtool_value off = { .cmd = ETHTOOL_STSO };
		struct ifreq request = { .ifr_data = (void *)&off };

		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", peers[i].device);
		rc = lab_enter(lab, peers[i].host);
		int fd = rc == 0 ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
		if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) != 0)
			rc = -1;
		if (fd >= 0)
			close(fd);
	}
	if (rc != 0)
		fprintf(stderr, "yangguan lab: large segments cannot be turned off: %s\n", strerror(errno));
	lab_enter(lab, LAB_SWITCH);
	return rc;
}

int lab_world_devices(struct lab *lab)
{
	static const enum lab_host order[] = { LAB_SWITCH, LAB_GATEWAY, LAB_CLIENT1, LAB_CLIENT2, LAB_SERVER };
	static const char *const ip[] = { "ip", "-batch", "-", NULL };

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		struct lab_job job;
		int status = lab_run_with(lab, &job, order[i], ip, device_batch[order[i]]);

		if (status != 0)
			fprintf(stderr, "yangguan lab: cannot make the devices of %s: %s\n", lab_host_name(order[i]),
				job.out);
		lab_job_free(&job);
		if (status != 0)
			return -1;
	}
	bool is_generic = lab->options.driver && strcmp(lab->options.driver, "xdp_generic") == 0;
	return is_generic ? cut_at_peers(lab) : 0;
}
