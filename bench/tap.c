/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bulk between our TCP and the kernel's over a TAP with large segments, beside bulk of the kernel to itself
 * over veth, in turns.
 *
 *   tap            (root: it makes two network namespaces for itself)
 *
 *   kernel 10.0.0.1 --- tap0 --- 10.0.0.2 our stack
 *   kernel 10.1.0.1 --- v0 --- v1 --- 10.1.0.2 kernel, in the other namespace
 *
 * One thread on one processor does all of it: it writes and reads at both ends in turns, and what
 * the kernel does in between (softirq) is done in its system calls, so that the thread's processor
 * time is the time of both ends. What ksoftirqd of that processor takes over is added. CUBIC at
 * each end, buffers that grow.
 *
 * Prints a line of JSON a row: bits a second of processor time, and the kernel's own beside it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/device/tap.h"
#include "pair.h"
#include "stack/socket/abi.h"

#define CHUNK 65536u
#define PORT 7u
#define RUNS 9u
#define RUN_NS (100 * NS_PER_MS)
#define WARM_UP_NS (20 * NS_PER_MS)
#define PATIENCE_MS 1000
#define OURS IP4(10, 0, 0, 2)
#define BAR 0.8

enum path { PATH_TO_KERNEL, PATH_FROM_KERNEL, PATH_VETH, N_PATHS };

struct bench {
	struct side us;
	struct device *tap;
	int processor, softirq; /* of ksoftirqd: its schedstat */
	struct tcp_conn *ours[N_PATHS];
	int from[N_PATHS], to[N_PATHS]; /* the kernel's sockets; -1: ours */
};

static uint8_t bytes[CHUNK];

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench/tap: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* --- processor time --- */

static void stay_on_one_processor(struct bench *b)
{
	cpu_set_t set;
	char line[64];

	b->processor = sched_getcpu();
	CPU_ZERO(&set);
	CPU_SET(b->processor, &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "one processor");
	(void)snprintf(line, sizeof(line), "pgrep -x ksoftirqd/%d", b->processor);
	FILE *f = popen(line, "r");
	int pid = 0;

	must(f != NULL && fscanf(f, "%d", &pid) == 1, "ksoftirqd");
	pclose(f);
	(void)snprintf(line, sizeof(line), "/proc/%d/schedstat", pid);
	b->softirq = open(line, O_RDONLY | O_CLOEXEC);
	must(b->softirq >= 0, line);
}

static uint64_t cpu_ns(const struct bench *b)
{
	char text[64] = "";

	must(pread(b->softirq, text, sizeof(text) - 1, 0) > 0, "schedstat");
	return clock_ns(CLOCK_THREAD_CPUTIME_ID) + strtoull(text, NULL, 10);
}

/* --- our end --- */

static void turn(struct bench *b)
{
	struct side *s = &b->us;
	struct batch batch = { .n = 0 };

	s->env.now = max_u64(s->env.now, clock_ns(CLOCK_MONOTONIC));
	ip_expire(s->ip);
	if (tcp_next_deadline(s->tcp) <= s->env.now)
		tcp_expire(s->tcp);
	ip_flush(s->ip);
	while (b->tap->ops->rx(b->tap, &batch, BATCH_MAX) > 0) {
		ether_input(s->ip, 1, &batch);
		ip_flush(s->ip);
	}
}

static uint64_t our_send(struct bench *b, struct tcp_conn *c)
{
	struct span s = { bytes, CHUNK };
	uint64_t total = 0;

	for (int64_t n; (n = tcp_send(b->us.tcp, c, &s, 1, 0)) > 0;)
		total += (uint64_t)n;
	return total;
}

static uint64_t our_recv(struct bench *b, struct tcp_conn *c)
{
	struct span s = { bytes, CHUNK };
	uint64_t total = 0;

	for (int64_t n; (n = tcp_recv(b->us.tcp, c, &s, 1, 0)) > 0;)
		total += (uint64_t)n;
	return total;
}

/* --- the kernel's --- */

static int kernel_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	must(fd >= 0 && setsockopt(fd, IPPROTO_TCP, YG_TCP_CONGESTION, "cubic", 5) == 0, "a socket of the kernel's");
	return fd;
}

static struct sockaddr_in name_of(uint32_t addr)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(addr) };
}

static int kernel_listener(void)
{
	struct sockaddr_in any = name_of(0);
	int fd = kernel_socket();

	must(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0 && listen(fd, 8) == 0, "a listener of the kernel's");
	return fd;
}

static int kernel_connect(uint32_t addr)
{
	struct sockaddr_in to = name_of(addr);
	int fd = kernel_socket();

	must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS, "connect");
	return fd;
}

/* Until the listener has somebody, or there is something to do for us. */
static int kernel_accept(struct bench *b, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
		struct pollfd p[2] = { { .fd = listener, .events = POLLIN },
				       { .fd = b->tap->ops->poll_fd(b->tap), .events = POLLIN } };

		must(errno == EAGAIN && poll(p, 2, PATIENCE_MS) > 0, "nobody connects");
		turn(b);
	}
	return fd;
}

static uint64_t kernel_send(int fd)
{
	uint64_t total = 0;

	for (ssize_t n; (n = send(fd, bytes, CHUNK, MSG_NOSIGNAL)) > 0;)
		total += (uint64_t)n;
	return total;
}

static uint64_t kernel_recv(int fd)
{
	uint64_t total = 0;

	for (ssize_t n; (n = recv(fd, bytes, CHUNK, 0)) > 0;)
		total += (uint64_t)n;
	return total;
}

/* --- the lab --- */

static void shell(const char *command)
{
	must(system(command) == 0, command);
}

static int namespace(void)
{
	int fd;

	must(unshare(CLONE_NEWNET) == 0, "no namespace of our own");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "namespace");
	shell("ip link set lo up");
	return fd;
}

static void connect_all(struct bench *b, int here, int other)
{
	struct tcp_listen_options o = { .backlog = 8 };
	struct tcp_end local = { .port = PORT }, any = { 0 }, kernel = { ip_addr_v4(IP4(10, 0, 0, 1)), PORT };
	struct tcp_listener *l;
	int listener = kernel_listener(), far;

	must(tcp_listen(b->us.tcp, 0, &local, &o, 0, &l) == 0, "a listener of ours");
	b->ours[PATH_TO_KERNEL] = tcp_open(b->us.tcp, 0);
	must(tcp_connect(b->us.tcp, b->ours[PATH_TO_KERNEL], 0, &any, &kernel) == -EINPROGRESS, "our connect");
	ip_flush(b->us.ip);
	b->to[PATH_TO_KERNEL] = kernel_accept(b, listener);
	b->from[PATH_FROM_KERNEL] = kernel_connect(OURS);
	while (!tcp_acceptable(l)) {
		struct pollfd p = { .fd = b->tap->ops->poll_fd(b->tap), .events = POLLIN };

		must(poll(&p, 1, PATIENCE_MS) > 0, "the kernel does not connect");
		turn(b);
	}
	b->ours[PATH_FROM_KERNEL] = tcp_accept(b->us.tcp, l, 0);
	must(setns(other, CLONE_NEWNET) == 0, "the other namespace");
	far = kernel_listener();
	must(setns(here, CLONE_NEWNET) == 0, "namespace");
	b->from[PATH_VETH] = kernel_connect(IP4(10, 1, 0, 2));
	b->to[PATH_VETH] = kernel_accept(b, far);
}

static void lab_start(struct bench *b)
{
	struct pair_config c = { .n_conns = 64 };
	int other = namespace(), here;
	char err[256], command[512];

	shell("ip link add v1 type veth peer name v0; ip addr add 10.1.0.2/24 dev v1; ip link set v1 up");
	here = namespace();
	must(setns(other, CLONE_NEWNET) == 0, "the other namespace");
	(void)snprintf(command, sizeof(command), "ip link set v0 netns /proc/%d/fd/%d", getpid(), here);
	shell(command);
	must(setns(here, CLONE_NEWNET) == 0, "namespace");
	shell("ip addr add 10.1.0.1/24 dev v0; ip link set v0 up");
	if (tap_open("tap0", NULL, &b->tap, err, sizeof(err)) != 0) {
		fprintf(stderr, "bench/tap: %s\n", err);
		exit(1);
	}
	shell("ip addr add 10.0.0.1/24 dev tap0; ip link set tap0 up");
	side_start_over(&b->us, b->tap, OURS, 24, clock_ns(CLOCK_MONOTONIC), &c);
	connect_all(b, here, other);
}

/* --- rows --- */

/* Both ends once; what arrived. */
static uint64_t round_of(struct bench *b, enum path path)
{
	uint64_t sent, got;
	struct tcp_conn *c = b->ours[path];

	sent = b->from[path] >= 0 ? kernel_send(b->from[path]) : our_send(b, c);
	if (c != NULL)
		turn(b);
	got = b->to[path] >= 0 ? kernel_recv(b->to[path]) : our_recv(b, c);
	if (c != NULL)
		turn(b);
	if (sent + got == 0) {
		struct pollfd p[3] = { { .fd = b->tap->ops->poll_fd(b->tap), .events = POLLIN },
				       { .fd = b->to[path], .events = POLLIN },
				       { .fd = b->from[path], .events = POLLOUT } };

		/* A timer of ours comes when it comes. */
		(void)poll(p, 3, 1);
	}
	return got;
}

/* Bits a second of processor time. */
static double run(struct bench *b, enum path path)
{
	uint64_t start = cpu_ns(b), now, done = 0;

	do
		(void)round_of(b, path);
	while (cpu_ns(b) - start < WARM_UP_NS);
	start = cpu_ns(b);
	do {
		for (uint32_t i = 0; i < 8; i++)
			done += round_of(b, path);
		now = cpu_ns(b);
	} while (now - start < RUN_NS);
	/* What is still on its way is not the next one's. */
	while (round_of(b, path) > 0 && cpu_ns(b) - now < WARM_UP_NS)
		;
	return (double)done * 8e9 / (double)(now - start);
}

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

int main(void)
{
	static const char *const name[N_PATHS] = { "tap-to-kernel", "tap-from-kernel", "veth" };
	static struct bench b = { .from = { -1, -1, -1 }, .to = { -1, -1, -1 } };
	double rate[N_PATHS][RUNS];

	stay_on_one_processor(&b);
	lab_start(&b);
	for (int path = 0; path < N_PATHS; path++)
		(void)run(&b, (enum path)path);
	for (uint32_t i = 0; i < RUNS; i++)
		for (int path = 0; path < N_PATHS; path++)
			rate[path][i] = run(&b, (enum path)path);
	for (int path = 0; path < N_PATHS; path++)
		qsort(rate[path], RUNS, sizeof(rate[path][0]), descending);
	for (int path = 0; path < PATH_VETH; path++)
		printf("{\"row\": \"%s\", \"best\": %.0f, \"median\": %.0f, \"veth\": %.0f, \"ratio\": %.3f, \"bar\": "
		       "%.1f}\n",
		       name[path], rate[path][0], rate[path][RUNS / 2], rate[PATH_VETH][RUNS / 2],
		       rate[path][RUNS / 2] / rate[PATH_VETH][RUNS / 2], BAR);
	return 0;
}
