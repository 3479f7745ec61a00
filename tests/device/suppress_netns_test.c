/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's silence on our devices: from suppress_add to suppress_remove, and not a
 * moment longer than the process lives.
 */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/device/netlink.h"
#include "daemon/device/suppress.h"
#include "daemon/device/suppress_priv.h"
#include "stack/wire/icmp.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

#define SILENCE_MS 150 /* an answer that has not come by then is none: the kernel answers at once */

/* Sends an ARP-free ping from a to the gateway's kernel and looks whether a
 * reply comes. The kernel answers in the sender's own system call. */
static bool kernel_answers(struct netns_fixture *w, int wait_ms)
{
	uint8_t f[98] = { 0 };
	uint8_t in[2048];
	struct netlink_link r0, a0;
	char err[256];
	bool answered = false;
	int fd = netns_raw_socket(w, NETNS_A, "a0");

	assert_int_equal(netlink_link_get("r0", &r0, err, sizeof(err)), 0);
	netns_go(w, NETNS_A);
	assert_int_equal(netlink_link_get("a0", &a0, err, sizeof(err)), 0);
	netns_go(w, NETNS_GW);
	struct ether_view eth = { .dst = r0.mac, .src = a0.mac, .type = ETHERTYPE_IPV4 };
	struct ipv4_view ip = { .src = NETNS_ADDR_A, .dst = IP4(10, 0, 0, 9), .total_len = 84, .ttl = 64, .proto = 1 };
	ip.header_len = IPV4_HEADER_LEN;
	ether_emit(f, &eth);
	ipv4_emit(f + 14, &ip);
	icmp_emit(f + 34, 8, 0, 0x12340001);
	l4_checksum_set(&ip, f + 34, 64);
	assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
	uint64_t deadline = netns_now_ms() + (uint64_t)wait_ms;
	while (!answered && netns_now_ms() < deadline) {
		struct pollfd p = { fd, POLLIN, 0 };
		poll(&p, 1, 10);
		ssize_t n;
		while ((n = recv(fd, in, sizeof(in), 0)) > 0)
			answered |= n >= 42 && in[12] == 8 && in[13] == 0 && in[23] == 1 && in[34] == 0;
	}
	close(fd);
	/* Our device sees the request in any case. */
	struct packet *p = netns_receive(w, w->dev[0], 12, f + 12, 30);
	packet_free(w->pool, p);
	w->ledger.n_delivered++;
	return answered;
}

/* Until it does, for what is removed a moment after a process died. */
static bool kernel_answers_soon(struct netns_fixture *w)
{
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;

	while (netns_now_ms() < deadline)
		if (kernel_answers(w, SILENCE_MS))
			return true;
	return false;
}

static void give_address(struct netns_fixture *w)
{
	struct netlink_link a0;
	char err[256], mac[ETHER_TEXT_MAX];

	netns_go(w, NETNS_A);
	assert_int_equal(netlink_link_get("a0", &a0, err, sizeof(err)), 0);
	netns_go(w, NETNS_GW);
	/* A fixed neighbour: the reply to the kernel's own ARP would be dropped too. */
	assert_int_equal(netns_run("ip addr add 10.0.0.9/24 dev r0 && ip neigh replace 10.0.0.1 lladdr %s dev r0",
				   ether_format(&a0.mac, mac)),
			 0);
}

/* Not in a user namespace, and not before Linux 6.6. */
static bool has_tcx(void)
{
	int prog_fd, fd = suppress_tcx_add(if_nametoindex("r0"), &prog_fd);

	if (fd >= 0)
		suppress_tcx_remove(fd, prog_fd);
	return fd >= 0;
}

static struct suppress *suppress_it(enum suppress_method method, const char *ifname)
{
	struct suppress *q = NULL;
	char err[256];

	if (suppress_open(method, &q, err, sizeof(err)) < 0 || suppress_add(q, ifname, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	return q;
}

/* Would catch: a kernel that answers in our place, or that stays silent after
 * we are gone; by either method. */
static void test_suppress_on_and_off(void **state)
{
	struct netns_fixture *w = *state;
	static const enum suppress_method methods[] = { SUPPRESS_AUTO, SUPPRESS_NFT, SUPPRESS_TCX, SUPPRESS_TC };
	char err[256];

	give_address(w);
	assert_true(kernel_answers(w, NETNS_PATIENCE_MS));
	for (uint32_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (methods[i] == SUPPRESS_TCX && !has_tcx())
			continue;
		struct suppress *q = suppress_it(methods[i], "r0");
		assert_string_equal(suppress_method_name(q), methods[i] >= SUPPRESS_TCX ? "tc" : "nft");
		assert_false(kernel_answers(w, SILENCE_MS));
		assert_int_equal(suppress_add(q, "r0", err, sizeof(err)), 0);
		assert_false(kernel_answers(w, SILENCE_MS));
		assert_int_equal(suppress_remove(q, "r0", err, sizeof(err)), 0);
		assert_int_equal(suppress_remove(q, "r0", err, sizeof(err)), 0);
		assert_true(kernel_answers(w, NETNS_PATIENCE_MS));
		assert_int_equal(suppress_add(q, "r0", err, sizeof(err)), 0);
		assert_int_equal(suppress_add(q, "r1", err, sizeof(err)), 0);
		assert_false(kernel_answers(w, SILENCE_MS));
		assert_int_equal(suppress_add(q, "nosuch0", err, sizeof(err)), -ENODEV);
		suppress_close(q);
		assert_true(kernel_answers(w, NETNS_PATIENCE_MS));
		assert_int_equal(suppress_tc_remove(if_nametoindex("r0"), SUPPRESS_TC_KEEP), -ENOENT);
	}
	/* No trace: neither table nor qdisc. */
	assert_int_not_equal(netns_run("tc qdisc show dev r0 2>/dev/null | grep -q clsact"), 0);
	assert_int_not_equal(netns_run("nft list tables 2>/dev/null | grep -q yangguan"), 0);
}

/* A process that is quiet on r0 until it is killed. */
static pid_t start_suppress_child(enum suppress_method method)
{
	int ready[2];
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct suppress *q = NULL;
		char err[256];
		int ok = suppress_open(method, &q, err, sizeof(err)) == 0 &&
			 suppress_add(q, "r0", err, sizeof(err)) == 0;
		if (write(ready[1], ok ? "y" : "n", 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_int_equal(c, 'y');
	return pid;
}

static void kill_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Would catch: a table or a program that outlives its process, so that the machine
 * does not answer any more after a kill -9. */
static void test_suppress_ends_with_a_killed_process(void **state)
{
	struct netns_fixture *w = *state;

	static const enum suppress_method methods[] = { SUPPRESS_NFT, SUPPRESS_TCX };

	give_address(w);
	for (uint32_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (methods[i] == SUPPRESS_TCX && !has_tcx())
			continue;
		pid_t pid = start_suppress_child(methods[i]);
		assert_false(kernel_answers(w, SILENCE_MS));
		kill_child(pid);
		assert_true(kernel_answers_soon(w));
	}
}

/* Would catch: what a killed process could not take along, and the next start
 * does not take away; by both methods for the next start. */
static void test_next_start_removes_leftovers(void **state)
{
	struct netns_fixture *w = *state;
	static const enum suppress_method next[] = { SUPPRESS_TC, SUPPRESS_TCX, SUPPRESS_NFT };

	give_address(w);
	for (uint32_t i = 0; i < ARRAY_LEN(next); i++) {
		if (next[i] == SUPPRESS_TCX && !has_tcx())
			continue;
		kill_child(start_suppress_child(SUPPRESS_TC));
		assert_false(kernel_answers(w, SILENCE_MS));
		struct suppress *q = suppress_it(next[i], "r0");
		assert_false(kernel_answers(w, SILENCE_MS));
		suppress_close(q);
		assert_true(kernel_answers(w, NETNS_PATIENCE_MS));
		assert_int_not_equal(netns_run("tc qdisc show dev r0 2>/dev/null | grep -q clsact"), 0);
	}
}

/* Would catch: a table of a kernel without the owner flag left for ever, or
 * that of a living process taken away. */
static void test_table_without_owner(void **state)
{
	struct netns_fixture *w = *state;
	int dead = 0;

	if (netns_run("nft --version >/dev/null 2>&1") != 0) {
		printf("skipped: nft is missing: run tools/setup\n");
		skip();
	}
	give_address(w);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &dead, 0), pid);
	assert_int_equal(
		netns_run("nft 'table netdev yangguan_%d_1 { chain r0 { type filter hook ingress device r0 priority 0; "
			  "policy drop; }; }; table netdev yangguan_%d_1 {}; table netdev other {}'",
			  pid, getpid()),
		0);
	assert_false(kernel_answers(w, SILENCE_MS));
	struct suppress *q = suppress_it(SUPPRESS_NFT, "r1");
	assert_true(kernel_answers(w, NETNS_PATIENCE_MS));
	assert_int_equal(netns_run("nft list tables | grep -q 'yangguan_%d_1$'", getpid()), 0);
	assert_int_equal(netns_run("nft list tables | grep -q other"), 0);
	suppress_close(q);
}

/* Would catch: a device that came back and on which the kernel answers. */
static void test_suppress_on_a_device_that_came_back(void **state)
{
	struct netns_fixture *w = *state;
	static const enum suppress_method methods[] = { SUPPRESS_NFT, SUPPRESS_TCX, SUPPRESS_TC };
	char err[256];

	for (uint32_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (methods[i] == SUPPRESS_TCX && !has_tcx())
			continue;
		struct suppress *q = suppress_it(methods[i], "r0");
		assert_int_equal(
			netns_run("ip link del r0 && ip link add r0 type veth peer name a0 netns /proc/%d/fd/%d && "
				  "ip link set r0 up",
				  getpid(), w->ns[NETNS_A]),
			0);
		netns_go(w, NETNS_A);
		assert_int_equal(netns_run("ip addr add 10.0.0.1/24 dev a0 && ip link set a0 up"), 0);
		netns_go(w, NETNS_GW);
		assert_int_equal(device_rebind(w->dev[0], err, sizeof(err)), 0);
		give_address(w);
		assert_int_equal(suppress_add(q, "r0", err, sizeof(err)), 0);
		assert_false(kernel_answers(w, SILENCE_MS));
		suppress_close(q);
		assert_true(kernel_answers(w, NETNS_PATIENCE_MS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_suppress_on_and_off),
		NETNS_TEST(test_suppress_ends_with_a_killed_process),
		NETNS_TEST(test_next_start_removes_leftovers),
		NETNS_TEST(test_table_without_owner),
		NETNS_TEST(test_suppress_on_a_device_that_came_back),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
