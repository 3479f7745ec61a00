/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See netns_world.h.
 */
#include "netns_world.h"

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

struct world world;

const struct world_hook world_hooks[WORLD_HOOKS] = {
	{ FASTPATH_XDP_NATIVE, FASTPATH_TC_BEST },
	{ FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST },
	{ FASTPATH_TC, FASTPATH_TC_BEST },
	{ FASTPATH_TC, FASTPATH_TC_CLSACT },
};

int world_run(const char *fmt, ...)
{
	char cmd[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, args);
	va_end(args);
	return system(cmd);
}

void world_go(enum place p)
{
	assert_int_equal(setns(world.ns[p], CLONE_NEWNET), 0);
}

uint64_t world_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void world_offload(const char *dev, uint32_t what, uint32_t on)
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
		exit(WORLD_EXIT_SKIP);
	}
	return fd;
}

int world_set_up(void **state)
{
	for (int i = N_PLACES - 1; i >= 0; i--) {
		assert_int_equal(unshare(CLONE_NEWNET), 0);
		world.ns[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		assert_int_equal(world_run("ip link set lo up"), 0);
	}
	assert_int_equal(world_run("ip link add r0 address 02:00:00:00:00:10 type veth peer name c0 && "
				   "ip link set c0 netns /proc/%d/fd/%d && "
				   "ip link add r1 address 02:00:00:00:00:11 type veth peer name s0 && "
				   "ip link set s0 netns /proc/%d/fd/%d && ip link set r0 up && ip link set r1 up",
				   getpid(), world.ns[CLIENT_NS], getpid(), world.ns[SERVER_NS]),
			 0);
	world.tap = open_tap("up0");
	assert_int_equal(world_run("ip link set up0 up"), 0);
	world_go(CLIENT_NS);
	assert_int_equal(
		world_run("ip link set c0 up && ip addr add 10.0.0.1/24 dev c0 && ip route add default via 10.0.0.254 "
			  "&& ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:10 dev c0"),
		0);
	world_go(SERVER_NS);
	assert_int_equal(world_run("ip link set s0 address 02:00:00:00:00:22 up && ip addr add 10.1.0.2/24 dev s0 && "
				   "ip neigh add 10.1.0.77 lladdr 02:00:00:00:00:11 dev s0"),
			 0);
	world_go(ROUTER);
	world.r0 = if_nametoindex("r0");
	world.r1 = if_nametoindex("r1");
	world.up0 = if_nametoindex("up0");
	const struct fastpath_limits limits = { .n_connections = 64, .n_adjacencies = 8 };
	if (fastpath_open(&limits, &world.f, world.err, sizeof(world.err)) != 0)
		fail_msg("%s", world.err);
	return 0;
}

int world_tear_down(void **state)
{
	fastpath_close(world.f);
	close(world.tap);
	for (int i = 0; i < N_PLACES; i++)
		close(world.ns[i]);
	return 0;
}

struct fastpath_port world_port(uint32_t number, enum fastpath_kind kind)
{
	return (struct fastpath_port){
		.number = number, .ifindex = number == 1 ? world.r0 : world.r1, .kind = kind, .up_ifindex = world.up0
	};
}

void world_attach(uint32_t number, enum fastpath_kind kind, enum fastpath_tc tc)
{
	struct fastpath_port p = world_port(number, kind);

	if (fastpath_attach_egress(world.f, &p, tc, world.err, sizeof(world.err)) != 0)
		fail_msg("%s", world.err);
}

int world_foreign_program(enum bpf_prog_type type)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 2 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "somebody_else", "GPL", insns, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

bool world_tests_may_run(void)
{
	struct fastpath *f;

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: no network namespace of our own: %s\n", strerror(errno));
		return false;
	}
	int r = fastpath_open(NULL, &f, world.err, sizeof(world.err));
	if (r == -EPERM || r == -EACCES || r == -ENOSYS) {
		printf("skipped: %s\n", world.err);
		return false;
	}
	if (r == 0)
		fastpath_close(f);
	return true;
}
