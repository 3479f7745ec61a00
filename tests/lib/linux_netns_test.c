/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What passes between the kernel and a host over each of its devices: large and whole segments, datagrams that are
 * several.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "linux_fixture.h"

#define ETHERNET_FRAME 1514u

/* Newer than Debian 12's kernel headers. */
#define OFFLOAD_USO4 0x20u
#define LOW_HALF_OF_ARG(n) \
	((unsigned int)offsetof(struct seccomp_data, args[n]) + (__BYTE_ORDER == __BIG_ENDIAN ? 4u : 0u))

static uint32_t mean(uint64_t bytes, uint64_t packets)
{
	assert_true(packets > 0);
	return (uint32_t)(packets > 0 ? bytes / packets : 0);
}

/* Would catch: partial checksums that are taken for whole ones or finished twice, by either side; large segments that
 * are refused, cut wrongly, or not asked for. */
static void carry_large(enum kind kind)
{
	struct lab l;

	lab_start(&l, kind);
	lab_carry(&l, NULL);
	struct rtnl_link_stats s = lab_stats(lab_kernels_end[kind]);

	/* With one ACK a few segments. */
	assert_true(mean(s.tx_bytes, s.tx_packets) > 2 * ETHERNET_FRAME);
	assert_true(mean(s.rx_bytes, s.rx_packets) > 2 * ETHERNET_FRAME);
	lab_finish(&l);
}

static void test_large_af_packet(void **state)
{
	carry_large(OVER_AF_PACKET);
}

static void test_large_tap(void **state)
{
	carry_large(OVER_TAP);
}

static void test_large_tun(void **state)
{
	carry_large(OVER_TUN);
}

/* Would catch: checksums that are wrong where somebody looks at them: over a veth without offloads the kernel finishes
 * ours by what we say of it, and looks at them at the other end; the stack looks at the kernel's. */
static void carry_whole(enum kind kind)
{
	struct lab l;

	lab_start(&l, kind);
	lab_turn_offloads_off(&l, lab_kernels_end[kind]);
	if (lab_is_veth(kind))
		lab_turn_offloads_off(&l, "yg0");
	lab_carry(&l, NULL);
	struct rtnl_link_stats s = lab_stats(lab_kernels_end[kind]);

	assert_true(mean(s.tx_bytes, s.tx_packets) <= ETHERNET_FRAME);
	if (lab_is_veth(kind))
		assert_true(mean(s.rx_bytes, s.rx_packets) <= ETHERNET_FRAME);
	lab_finish(&l);
}

static void test_whole_af_packet(void **state)
{
	carry_whole(OVER_AF_PACKET);
}

static void test_whole_xdp(void **state)
{
	carry_whole(OVER_XDP);
}

/* Would catch: checksums that the kernel at the other end left to the device, taken for wrong ones: AF_XDP does not say
 * which they are. */
static void test_untold_xdp(void **state)
{
	struct lab l;

	lab_start(&l, OVER_XDP);
	lab_carry(&l, NULL);
	lab_finish(&l);
}

static void test_whole_tap(void **state)
{
	carry_whole(OVER_TAP);
}

static void test_whole_tun(void **state)
{
	carry_whole(OVER_TUN);
}

static char large[10 * 1000];

static void fill_large(void)
{
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)('a' + i / 1000);
}

/* Ten datagrams that are sent as one, by the kernel and by us, between ports of the same number. */
static void datagrams(enum kind kind, int is_cut)
{
	struct sockaddr_in us = lab_name("10.9.0.2", LAB_PORT), them = lab_name("10.9.0.1", LAB_PORT);
	char text[1001] = { 0 }, got[2048];
	int size = 1000;
	struct lab l;

	lab_start(&l, kind);
	int ours = lab_bound(&l), kernels = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	fill_large();
	assert_int_equal(bind(kernels, (struct sockaddr *)&them, sizeof(them)), 0);
	assert_int_equal(setsockopt(kernels, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(sendto(kernels, large, sizeof(large), 0, (struct sockaddr *)&us, sizeof(us)), sizeof(large));
	for (int i = 0; i < 10; i++) {
		memset(text, 'a' + i, 1000);
		lab_expect(&l, ours, text);
	}
	struct rtnl_link_stats before = lab_stats(lab_kernels_end[kind]);

	assert_int_equal(yg_setsockopt(l.s, ours, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(yg_sendto(l.s, ours, large, sizeof(large), 0, (struct sockaddr *)&them, sizeof(them)),
			 sizeof(large));
	for (int i = 0; i < 10; i++) {
		while (recv(kernels, got, sizeof(got), 0) < 0)
			lab_wait(&l, kernels, POLLIN);
		assert_memory_equal(got, large + i * 1000, 1000);
	}
	struct rtnl_link_stats after = lab_stats(lab_kernels_end[kind]);

	/* With what else there may be to say. */
	assert_true(is_cut ? after.rx_packets - before.rx_packets >= 10 : after.rx_packets - before.rx_packets < 5);
	close(kernels);
	lab_finish(&l);
}

/* Would catch: datagrams that are left in one piece and not cut for a socket, or that are cut before they must be. */
static void test_datagrams_af_packet(void **state)
{
	datagrams(OVER_AF_PACKET, 0);
}

/* It says that it takes none in one piece. */
static void test_datagrams_xdp(void **state)
{
	datagrams(OVER_XDP, 1);
}

static void test_datagrams_tun(void **state)
{
	datagrams(OVER_TUN, 0);
}

/* Would catch: UDP segments that go whole to a packet socket of a kernel that says it is older than Linux 6.2. */
static void test_datagrams_old_af_packet(void **state)
{
	int was = personality(0xffffffff);

	assert_true(personality((unsigned long)was | UNAME26) >= 0);
	datagrams(OVER_AF_PACKET, 1);
	assert_true(personality((unsigned long)was) >= 0);
}

/* From here on this process's TUNs refuse to hand over UDP segments, as before Linux 6.2. */
static void refuse_uso(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_HALF_OF_ARG(1)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TUNSETOFFLOAD, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_HALF_OF_ARG(2)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, OFFLOAD_USO4, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

/* Would catch: UDP segments that go whole to a TUN that did not agree to them. Last of all tests: there is no way back.
 */
static void test_datagrams_old_tun(void **state)
{
	refuse_uso();
	datagrams(OVER_TUN, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large_af_packet),     cmocka_unit_test(test_large_tap),
		cmocka_unit_test(test_large_tun),           cmocka_unit_test(test_whole_af_packet),
		cmocka_unit_test(test_whole_xdp),           cmocka_unit_test(test_untold_xdp),
		cmocka_unit_test(test_whole_tap),           cmocka_unit_test(test_whole_tun),
		cmocka_unit_test(test_datagrams_af_packet), cmocka_unit_test(test_datagrams_xdp),
		cmocka_unit_test(test_datagrams_tun),       cmocka_unit_test(test_datagrams_old_af_packet),
		cmocka_unit_test(test_datagrams_old_tun),
	};

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: a network namespace needs root (%s)\n", strerror(errno));
		return EXIT_SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
