/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See netns_fixture.h.
 */
#include "netns_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

struct netns_fixture fixture;

const struct fixture_hook fixture_hooks[FIXTURE_HOOKS] = {
	{ FASTPATH_XDP_NATIVE, FASTPATH_TC_BEST },
	{ FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST },
	{ FASTPATH_TC, FASTPATH_TC_BEST },
	{ FASTPATH_TC, FASTPATH_TC_CLSACT },
};

int fixture_run(const char *fmt, ...)
{
	char cmd[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, args);
	va_end(args);
	return system(cmd);
}

void fixture_go(enum place p)
{
	assert_int_equal(setns(fixture.ns[p], CLONE_NEWNET), 0);
}

uint64_t fixture_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void fixture_offload(const char *dev, uint32_t what, uint32_t on)
{
	struct ethtool_value v = { .cmd = what, .data = on };
	struct ifreq r = { .ifr_data = (void *)&v };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)strcpy(r.ifr_name, dev);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &r), 0);
	close(fd);
}

static int open_tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	(void)strcpy(r.ifr_name, name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0 || ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) != 0) {
		printf("skipped: no TAP device: %s\n", strerror(errno));
		exit(FIXTURE_EXIT_SKIP);
	}
	return fd;
}

int fixture_set_up(void **state)
{
	for (int i = N_PLACES - 1; i >= 0; i--) {
		assert_int_equal(unshare(CLONE_NEWNET), 0);
		fixture.ns[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		assert_int_equal(fixture_run("ip link set lo up"), 0);
	}
	assert_int_equal(fixture_run("ip link add r0 address 02:00:00:00:00:10 type veth peer name c0 && "
				     "ip link set c0 netns /proc/%d/fd/%d && "
				     "ip link add r1 address 02:00:00:00:00:11 type veth peer name s0 && "
				     "ip link set s0 netns /proc/%d/fd/%d && ip link set r0 up && ip link set r1 up",
				     getpid(), fixture.ns[CLIENT_NS], getpid(), fixture.ns[SERVER_NS]),
			 0);
	fixture.tap = open_tap("up0");
	assert_int_equal(fixture_run("ip link set up0 up"), 0);
	fixture_go(CLIENT_NS);
	assert_int_equal(
		fixture_run(
			"ip link set c0 up && ip addr add 10.0.0.1/24 dev c0 && ip route add default via 10.0.0.254 "
			"&& ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:10 dev c0"),
		0);
	fixture_go(SERVER_NS);
	assert_int_equal(fixture_run("ip link set s0 address 02:00:00:00:00:22 up && ip addr add 10.1.0.2/24 dev s0 && "
				     "ip neigh add 10.1.0.77 lladdr 02:00:00:00:00:11 dev s0"),
			 0);
	fixture_go(ROUTER);
	fixture.r0 = if_nametoindex("r0");
	fixture.r1 = if_nametoindex("r1");
	fixture.up0 = if_nametoindex("up0");
	const struct fastpath_limits limits = { .n_connections = 64, .n_adjacencies = 8 };
	if (fastpath_open(&limits, &fixture.f, fixture.err, sizeof(fixture.err)) != 0)
		fail_msg("%s", fixture.err);
	return 0;
}

int fixture_tear_down(void **state)
{
	fastpath_close(fixture.f);
	close(fixture.tap);
	for (int i = 0; i < N_PLACES; i++)
		close(fixture.ns[i]);
	return 0;
}

struct fastpath_port fixture_port(uint32_t number, enum fastpath_kind kind)
{
	return (struct fastpath_port){ .number = number,
				       .ifindex = number == 1 ? fixture.r0 : fixture.r1,
				       .kind = kind,
				       .up_ifindex = fixture.up0 };
}

void fixture_attach(uint32_t number, enum fastpath_kind kind, enum fastpath_tc tc)
{
	struct fastpath_port p = fixture_port(number, kind);

	if (fastpath_attach_egress(fixture.f, &p, tc, fixture.err, sizeof(fixture.err)) != 0)
		fail_msg("%s", fixture.err);
}

int fixture_foreign_program(enum bpf_prog_type type)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 2 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "somebody_else", "GPL", insns, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

bool fixture_tests_may_run(void)
{
	struct fastpath *f;

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: no network namespace of our own: %s\n", strerror(errno));
		return false;
	}
	int r = fastpath_open(NULL, &f, fixture.err, sizeof(fixture.err));
	if (r == -EPERM || r == -EACCES || r == -ENOSYS) {
		printf("skipped: %s\n", fixture.err);
		return false;
	}
	if (r == 0)
		fastpath_close(f);
	return true;
}
