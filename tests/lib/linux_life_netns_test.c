/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Devices of a host that go and come, frames that they do not take, and what is none of theirs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <yangguan/info.h>

#include "linux_fixture.h"

static char large[1472];

/* Would catch: a device that went down and came up again, and is silent from then on or has the loop spin. */
static void down_and_up(enum kind kind)
{
	struct lab l;

	lab_start(&l, kind);
	lab_carry(&l, "ip link set yg0 down; ip link set yg0 up");
	lab_finish(&l);
}

static void test_down_and_up(void **state)
{
	down_and_up(OVER_AF_PACKET);
}

static void test_down_and_up_xdp(void **state)
{
	down_and_up(OVER_XDP);
}

static void say_to(struct lab *l, int ours, const char *text)
{
	struct sockaddr_in them = lab_name("10.9.0.1", LAB_PORT);

	assert_int_equal(yg_sendto(l->s, ours, text, strlen(text), 0, (struct sockaddr *)&them, sizeof(them)),
			 strlen(text));
}

/* The device that was deleted, until the host has it. */
static void make_again(struct lab *l)
{
	lab_shell("ip link add yg0 type veth peer name peer0; ip addr add 10.9.0.1/24 dev peer0; ip link set peer0 up");
	while (lab_info(l).is_lost)
		lab_wait(l, -1, 0);
}

static long ms_since(const struct timespec *began)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (t.tv_sec - began->tv_sec) * 1000 + (t.tv_nsec - began->tv_nsec) / 1000000;
}

/* How often the host wanted to be run, until it was n times or ms have passed. */
static int count_wakes(struct lab *l, const struct timespec *began, int n, long ms)
{
	int n_woken = 0;

	while (n_woken < n && ms_since(began) < ms) {
		struct pollfd p = { yg_host_fd(l->h), POLLIN, 0 };

		n_woken += poll(&p, 1, 50);
		yg_host_run(l->h);
	}
	return n_woken;
}

/* Would catch: a host that asks a device that is down, and does not take its frames, a thousand times a second; one
 * whose pause grows with what the stack sends meanwhile; frames that grow old in the ring instead of being refused; the
 * one that was there first, forgotten when the device is up again. */
static void test_down_is_quiet_xdp(void **state)
{
	static const char *const texts[] = { "1", "2", "4" };
	enum { REFUSED = 20 };
	struct timespec began;
	struct lab l;

	lab_start(&l, OVER_XDP);
	int ours = lab_bound(&l), kernels = lab_bound_by_kernel();

	/* The neighbour is known, so nothing waits for it. */
	say_to(&l, ours, "1");
	lab_expect_at(&l, kernels, texts, 1);
	lab_shell("ip link set yg0 down");
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &began), 0);
	say_to(&l, ours, "2");
	for (int i = 0; i < REFUSED; i++)
		say_to(&l, ours, "3");
	assert_int_equal(lab_dropped(&l, "tx-refused"), REFUSED);
	/* After 1, 3, 7, 15 ms, where a pause for each frame would make it a second and more. */
	assert_int_equal(count_wakes(&l, &began, 4, 2000), 4);
	assert_true(ms_since(&began) < 1000);
	/* And what else there is. */
	assert_true(count_wakes(&l, &began, 26, 1000) < 26);
	lab_shell("ip link set yg0 up");
	say_to(&l, ours, "4");
	lab_expect_at(&l, kernels, texts + 1, 2);
	assert_int_equal(lab_info(&l).tx_refused, 0);
	close(kernels);
	lab_finish(&l);
}

/* Would catch: frames that were in the ring when the device was deleted, and are counted by nobody. */
static void test_deleted_when_down_xdp(void **state)
{
	static const char *const texts[] = { "1" };
	struct lab l;

	lab_start(&l, OVER_XDP);
	int ours = lab_bound(&l), kernels = lab_bound_by_kernel();

	say_to(&l, ours, "1");
	lab_expect_at(&l, kernels, texts, 1);
	lab_shell("ip link set yg0 down");
	say_to(&l, ours, "2");
	lab_shell("ip link del yg0");
	say_to(&l, ours, "3");
	assert_int_equal(lab_dropped(&l, "tx-refused"), 1);
	while (!lab_info(&l).is_lost)
		lab_wait(&l, -1, 0);
	make_again(&l);
	assert_int_equal(lab_info(&l).tx_refused, 1);
	close(kernels);
	lab_finish(&l);
}

/* Would catch: a first burst of which the kernel has room for a few frames only; frames that the kernel drops for want
 * of room, and that nobody counts. */
static void test_first_burst_xdp(void **state)
{
	enum { MANY = 3000, FEW = 128 };
	struct sockaddr_in us = lab_name("10.9.0.2", LAB_PORT);
	struct yg_law law = { .size = sizeof(law) };
	struct lab l;

	lab_start(&l, OVER_XDP);
	int kernels = lab_bound_by_kernel();

	/* It asks nothing first. */
	lab_shell("ip neigh replace 10.9.0.2 dev peer0 lladdr $(ip -br link show yg0 | awk '{print $3}')");
	for (int i = 0; i < MANY; i++)
		assert_int_equal(sendto(kernels, "a", 1, 0, (struct sockaddr *)&us, sizeof(us)), 1);
	lab_run_until_quiet(&l);
	yg_law(l.s, &law);
	assert_true(law.received > FEW);
	assert_int_equal(law.received + lab_info(&l).rx_refused, lab_stats("peer0").tx_packets);
	close(kernels);
	lab_finish(&l);
}

/* Would catch: a host that has generic XDP and does not say so; frames that do not pass there, or are too long for it
 * and are counted by nobody. */
static void test_generic_xdp(void **state)
{
	struct sockaddr_in us = lab_name("10.9.0.2", LAB_PORT);
	static char longer[5000];
	struct lab l;

	lab_start(&l, OVER_XDP_GENERIC);
	assert_true(lab_info(&l).xdp_is_generic);
	lab_turn_offloads_off(&l, "peer0");
	lab_carry(&l, NULL);
	assert_int_equal(lab_info(&l).rx_refused, 0);
	/* Longer than a frame, and whole. */
	lab_shell("ip link set port0 mtu 9000; ip link set peer0 mtu 9000");
	int ours = lab_bound(&l), kernels = lab_bound_by_kernel();

	assert_int_equal(sendto(kernels, longer, sizeof(longer), 0, (struct sockaddr *)&us, sizeof(us)),
			 sizeof(longer));
	assert_int_equal(sendto(kernels, "b", 1, 0, (struct sockaddr *)&us, sizeof(us)), 1);
	lab_expect(&l, ours, "b");
	assert_int_equal(lab_info(&l).rx_refused, 1);
	close(kernels);
	lab_finish(&l);
	lab_start(&l, OVER_XDP);
	assert_false(lab_info(&l).xdp_is_generic);
	lab_finish(&l);
}

/* Would catch: a frame that the device does not take, here for its length, with which those behind it in the batch are
 * lost; one that nobody counts; the kernel's error as the program's. */
static void test_a_bad_frame(void **state)
{
	static const char *const texts[] = { "1", "2", "3" };
	struct sockaddr_in them = lab_name("10.9.0.1", LAB_PORT);
	char one[] = "1", two[] = "2", three[] = "3";
	struct iovec v[4] = { { large, 1472 }, { one, 1 }, { two, 1 }, { three, 1 } };
	struct mmsghdr m[4] = { 0 };
	struct lab l;

	lab_start(&l, OVER_AF_PACKET);
	int ours = lab_bound(&l), kernels = lab_bound_by_kernel();

	for (int i = 0; i < 4; i++)
		m[i].msg_hdr = (struct msghdr){
			.msg_name = &them, .msg_namelen = sizeof(them), .msg_iov = &v[i], .msg_iovlen = 1
		};
	/* The neighbour is known, so nothing waits for it. */
	assert_int_equal(yg_sendmmsg(l.s, ours, m + 1, 1, 0), 1);
	lab_expect_at(&l, kernels, texts, 1);
	lab_shell("ip link set yg0 mtu 1400");
	errno = ENOTTY;
	assert_int_equal(yg_sendmmsg(l.s, ours, m, 4, 0), 4);
	assert_int_equal(errno, ENOTTY);
	lab_expect_at(&l, kernels, texts, 3);
	assert_int_equal(lab_info(&l).tx_refused, 1);
	close(kernels);
	lab_finish(&l);
}

/* Would catch: a call that waits over a host, succeeds, and has left the program the error of the last read. */
static void test_errno(void **state)
{
	struct sockaddr_in us = lab_name("10.9.0.2", LAB_PORT);
	char got[8];
	struct lab l;

	lab_start(&l, OVER_TUN);
	int ours = lab_bound(&l), kernels = lab_bound_by_kernel();

	yg_set_wait(l.s, yg_host_wait, l.h);
	assert_int_equal(sendto(kernels, "a", 1, 0, (struct sockaddr *)&us, sizeof(us)), 1);
	errno = ENOTTY;
	assert_int_equal(yg_recv(l.s, ours, got, sizeof(got), 0), 1);
	assert_int_equal(errno, ENOTTY);
	close(kernels);
	lab_finish(&l);
}

/* Would catch: a TUN or TAP that is deleted, after which the loop spins for ever, or a call waits for ever. */
static void delete_tap(enum kind kind)
{
	struct lab l;

	lab_start(&l, kind);
	int ours = lab_bound(&l);

	lab_run_until_quiet(&l);
	assert_false(lab_info(&l).is_lost);
	lab_shell("ip link del yg0");
	lab_run_until_quiet(&l);
	assert_true(lab_info(&l).is_lost);
	yg_set_wait(l.s, yg_host_wait, l.h);
	assert_int_equal(yg_recv(l.s, ours, large, sizeof(large), 0), -ENETDOWN);
	lab_finish(&l);
}

static void test_deleted_tap(void **state)
{
	delete_tap(OVER_TAP);
}

static void test_deleted_tun(void **state)
{
	delete_tap(OVER_TUN);
}

/* Would catch: a device that was deleted and made again, where the host hears and says nothing any more, or the loop
 * spins until then. */
static void made_again(enum kind kind)
{
	static const char *const texts[] = { "back" };
	struct sockaddr_in us = lab_name("10.9.0.2", LAB_PORT);
	struct lab l;

	lab_start(&l, kind);
	int ours = lab_bound(&l);

	lab_shell("ip link del yg0");
	lab_run_until_quiet(&l);
	/* AF_XDP's descriptor says nothing of it. */
	while (kind == OVER_XDP && !lab_info(&l).is_lost)
		lab_wait(&l, -1, 0);
	assert_true(lab_info(&l).is_lost);
	make_again(&l);
	int kernels = lab_bound_by_kernel();

	assert_int_equal(sendto(kernels, "again", 5, 0, (struct sockaddr *)&us, sizeof(us)), 5);
	lab_expect(&l, ours, "again");
	say_to(&l, ours, "back");
	lab_expect_at(&l, kernels, texts, 1);
	close(kernels);
	lab_finish(&l);
}

static void test_made_again(void **state)
{
	made_again(OVER_AF_PACKET);
}

static void test_made_again_xdp(void **state)
{
	made_again(OVER_XDP);
}

/* Would catch: frames that stay in the ring behind the first that a system call sends, or of which the kernel is never
 * told. */
static void test_many_xdp(void **state)
{
	enum { MANY = 900 };
	struct sockaddr_in them = lab_name("10.9.0.1", LAB_PORT);
	static struct mmsghdr m[MANY];
	struct iovec v = { large, 40 };
	int bytes = 8 << 20, n = 0;
	struct lab l;

	lab_start(&l, OVER_XDP);
	int ours = lab_bound(&l), kernels = lab_bound_by_kernel();

	assert_int_equal(setsockopt(kernels, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)), 0);
	for (int i = 0; i < MANY; i++)
		m[i].msg_hdr = (struct msghdr){
			.msg_name = &them, .msg_namelen = sizeof(them), .msg_iov = &v, .msg_iovlen = 1
		};
	/* The neighbour is known then. */
	assert_int_equal(yg_sendmmsg(l.s, ours, m, 1, 0), 1);
	while (recv(kernels, large, sizeof(large), 0) != 40)
		lab_wait(&l, kernels, POLLIN);
	assert_int_equal(yg_sendmmsg(l.s, ours, m, MANY, 0), MANY);
	for (; n < MANY; n++)
		while (recv(kernels, large, sizeof(large), 0) != 40)
			lab_wait(&l, kernels, POLLIN);
	assert_int_equal(lab_info(&l).tx_refused, 0);
	close(kernels);
	lab_finish(&l);
}

/* A UDP datagram of one byte behind a VLAN's tag, from a packet socket at the other end of the veth. */
static void say_tagged(const unsigned char mac[6], unsigned char vlan, char byte)
{
	/* 10.9.0.1 to 10.9.0.2, UDP without a checksum. */
	unsigned char f[18 + 29] = {
		[12] = 0x81, [15] = vlan, [16] = 8,  [18] = 0x45, [21] = 29, [26] = 64, [27] = 17,       [30] = 10,
		[31] = 9,    [33] = 1,    [34] = 10, [35] = 9,    [37] = 2,  [39] = 9,  [41] = LAB_PORT, [43] = 9
	};
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("peer0") };
	uint32_t sum = 0;
	int s = socket(AF_PACKET, SOCK_RAW, 0);

	memcpy(f, mac, 6);
	f[6] = 2;
	f[46] = (unsigned char)byte;
	for (int i = 18; i < 38; i += 2)
		sum += (uint32_t)f[i] << 8 | f[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[28] = (unsigned char)(sum >> 8);
	f[29] = (unsigned char)sum;
	assert_int_equal(sendto(s, f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(f));
	close(s);
}

/* Would catch: a VLAN's frame that comes in as one without a tag; one of VLAN 0 that does not. */
static void test_vlan(void **state)
{
	struct ifreq r = { .ifr_name = "yg0" };
	struct lab l;

	lab_start(&l, OVER_AF_PACKET);
	int ours = lab_bound(&l);

	assert_int_equal(ioctl(l.ctl, SIOCGIFHWADDR, &r), 0);
	say_tagged((unsigned char *)r.ifr_hwaddr.sa_data, 5, 'a');
	say_tagged((unsigned char *)r.ifr_hwaddr.sa_data, 0, 'b');
	lab_expect(&l, ours, "b");
	lab_finish(&l);
}

/* Would catch: a host that says it is there, or that leaves a descriptor, where there is no device. */
static void test_no_device(void **state)
{
	static const struct yg_host_config none[] = {
		{ .size = sizeof(none[0]), .address = "10.9.0.2/24" },
		{ .size = sizeof(none[0]), .address = "10.9.0.2/24", .af_packet = "nothing0" },
		{ .size = sizeof(none[0]), .address = "10.9.0.2/24", .af_packet = "lo" },
		{ .size = sizeof(none[0]), .address = "10.9.0.2/24", .xdp = "nothing0" },
		{ .size = sizeof(none[0]), .address = "10.9.0.2/24", .xdp = "lo" },
	};
	int before = dup(0);

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_null(yg_host_open(&none[i]));
	close(before);
	assert_int_equal(dup(0), before);
	close(before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_down_and_up),
		cmocka_unit_test(test_down_and_up_xdp),
		cmocka_unit_test(test_down_is_quiet_xdp),
		cmocka_unit_test(test_deleted_when_down_xdp),
		cmocka_unit_test(test_first_burst_xdp),
		cmocka_unit_test(test_generic_xdp),
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_no_device),
		cmocka_unit_test(test_a_bad_frame),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_deleted_tap),
		cmocka_unit_test(test_deleted_tun),
		cmocka_unit_test(test_made_again),
		cmocka_unit_test(test_made_again_xdp),
		cmocka_unit_test(test_many_xdp),
	};

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: a network namespace needs root (%s)\n", strerror(errno));
		return EXIT_SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
