/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The lab of linux_fixture.h.
 */
#include "linux_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <yangguan/event.h>
#include <yangguan/info.h>

#define PATIENCE_MS 60000 /* an event that does not come by then is a failure */
#define TOTAL (8u << 20)
#define CHUNK 16384

const char *const lab_kernels_end[] = { "peer0", "peer0", "peer0", "yg0", "yg0" };

/* --- the kernel's end --- */

void lab_shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* Of an offload. -1: the device does not take it. */
static int ethtool_value(const struct lab *l, const char *name, uint32_t command, uint32_t *value)
{
	struct ethtool_value v = { .cmd = command, .data = *value };
	struct ifreq r = { .ifr_data = (void *)&v };

	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	int rc = ioctl(l->ctl, SIOCETHTOOL, &r);

	*value = v.data;
	return rc;
}

void lab_turn_offloads_off(const struct lab *l, const char *name)
{
	static const uint32_t commands[][2] = { { ETHTOOL_GTSO, ETHTOOL_STSO },
						{ ETHTOOL_GGSO, ETHTOOL_SGSO },
						{ ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM } };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		uint32_t value = 0, off = 0;

		/* Beside an XDP program some are off for good. */
		assert_int_equal(ethtool_value(l, name, commands[i][0], &value), 0);
		if (value != 0)
			assert_int_equal(ethtool_value(l, name, commands[i][1], &off), 0);
	}
}

struct rtnl_link_stats lab_stats(const char *name)
{
	struct ifaddrs *all;
	struct rtnl_link_stats s = { 0 };

	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *a = all; a != NULL; a = a->ifa_next)
		/* The link's own entry. */
		if (strcmp(a->ifa_name, name) == 0 && a->ifa_data != NULL)
			memcpy(&s, a->ifa_data, sizeof(s));
	freeifaddrs(all);
	return s;
}

struct sockaddr_in lab_name(const char *addr, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, addr, &in.sin_addr), 1);
	return in;
}

/* --- both --- */

int lab_is_veth(enum kind kind)
{
	return kind == OVER_AF_PACKET || kind == OVER_XDP || kind == OVER_XDP_GENERIC;
}

void lab_start(struct lab *l, enum kind kind)
{
	struct yg_host_config c = { .size = sizeof(c), .address = "10.9.0.2/24" };
	const char **const device[] = { &c.af_packet, &c.xdp, &c.xdp, &c.tap, &c.tun };

	*l = (struct lab){ .kind = kind };
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	l->ctl = socket(AF_INET, SOCK_DGRAM, 0);
	if (kind == OVER_XDP_GENERIC)
		lab_shell("ip link add yg0 type bridge; ip link add port0 type veth peer name peer0; "
			  "ip link set port0 master yg0 up");
	else if (lab_is_veth(kind))
		lab_shell("ip link add yg0 type veth peer name peer0");
	alarm(10 * PATIENCE_MS / 1000);
	*device[kind] = "yg0";
	l->h = yg_host_open(&c);
	if (l->h == NULL && !lab_is_veth(kind) && access("/dev/net/tun", R_OK | W_OK) != 0)
		skip();
	assert_non_null(l->h);
	l->s = yg_host_stack(l->h);
	lab_shell(lab_is_veth(kind) ? "ip addr add 10.9.0.1/24 dev peer0; ip link set peer0 up"
				    : "ip addr add 10.9.0.1/24 dev yg0; ip link set yg0 up");
}

void lab_finish(struct lab *l)
{
	struct yg_law law = { .size = sizeof(law) };

	alarm(0);
	yg_law(l->s, &law);
	assert_true(law.holds);
	yg_host_close(l->h);
	close(l->ctl);
}

/* Until one of them has something: the stack, or the kernel's socket (-1: none). */
void lab_wait(struct lab *l, int fd, short events)
{
	struct pollfd p[] = { { yg_host_fd(l->h), POLLIN, 0 }, { fd, events, 0 } };

	if (poll(p, 2, PATIENCE_MS) == 0)
		fail_msg("nothing came of it in a minute");
	yg_host_run(l->h);
}

struct counted {
	const char *reason;
	uint64_t n;
};

static void count(void *ctx, const char *name, uint64_t n, const char *what, const char *hint)
{
	struct counted *c = ctx;

	if (strcmp(name, c->reason) == 0)
		c->n += n;
}

uint64_t lab_dropped(const struct lab *l, const char *reason)
{
	struct counted c = { .reason = reason };

	yg_drops(l->s, count, &c);
	return c.n;
}

struct yg_host_info lab_info(const struct lab *l)
{
	struct yg_host_info info = { .size = sizeof(info) };

	yg_host_info(l->h, &info);
	return info;
}

/* Until the descriptor is not readable any more. */
void lab_run_until_quiet(struct lab *l)
{
	struct pollfd p = { yg_host_fd(l->h), POLLIN, 0 };
	int i;

	for (i = 0; i < 100 && poll(&p, 1, 0) == 1; i++)
		yg_host_run(l->h);
	assert_true(i < 100);
}

/* --- a connection --- */

/* One way of a connection. */
struct way {
	uint32_t sent, got;
};

static char pattern(uint32_t at, int seed)
{
	return (char)(at * 7 + at / 251 + (uint32_t)seed);
}

static void make(char *bytes, uint32_t at, uint32_t n, int seed)
{
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = pattern(at + i, seed);
}

static void check(const char *bytes, uint32_t at, uint32_t n, int seed)
{
	for (uint32_t i = 0; i < n; i++)
		if (bytes[i] != pattern(at + i, seed))
			fail_msg("byte %u is another one", at + i);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What one end can do now; ours or the kernel's. */
static void turn(struct lab *l, int fd, struct way *out, struct way *in, int out_seed)
{
	static char bytes[CHUNK];
	int is_ours = out_seed == 1;
	ssize_t n = 1;

	while (n > 0 && out->sent < TOTAL) {
		uint32_t len = min_u32(CHUNK, TOTAL - out->sent);

		make(bytes, out->sent, len, out_seed);
		n = is_ours ? yg_send(l->s, fd, bytes, len, MSG_DONTWAIT) : send(fd, bytes, len, MSG_NOSIGNAL);
		out->sent += n > 0 ? (uint32_t)n : 0;
	}
	do {
		n = is_ours ? yg_recv(l->s, fd, bytes, CHUNK, MSG_DONTWAIT) : recv(fd, bytes, CHUNK, 0);
		if (n > 0)
			check(bytes, in->got, (uint32_t)n, 3 - out_seed);
		in->got += n > 0 ? (uint32_t)n : 0;
	} while (n > 0);
}

static void join(struct lab *l, int *kernels, int *ours)
{
	struct sockaddr_in any = lab_name("0.0.0.0", LAB_PORT), to = lab_name("10.9.0.2", LAB_PORT);
	int listener = yg_socket(l->s, AF_INET, SOCK_STREAM, 0), ep = yg_epoll_create(l->s);
	struct epoll_event e = { .events = EPOLLIN };

	assert_int_equal(yg_bind(l->s, listener, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(yg_listen(l->s, listener, 1), 0);
	assert_int_equal(yg_epoll_ctl(l->s, ep, EPOLL_CTL_ADD, listener, &e), 0);
	*kernels = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(*kernels, (struct sockaddr *)&to, sizeof(to)), -1);
	assert_int_equal(errno, EINPROGRESS);
	while ((*ours = yg_accept4(l->s, listener, NULL, NULL, SOCK_NONBLOCK)) < 0)
		lab_wait(l, -1, 0);
	assert_int_equal(yg_close(l->s, ep), 0);
	/* Our socket is the one that is waited for from here on. */
	ep = yg_epoll_create(l->s);
	e = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT | EPOLLET };
	assert_int_equal(yg_epoll_ctl(l->s, ep, EPOLL_CTL_ADD, *ours, &e), 0);
}

/* Bytes both ways at once; half way the kernel does something. */
void lab_carry(struct lab *l, const char *half_way)
{
	struct way up = { 0 }, down = { 0 };
	int kernels, ours;

	join(l, &kernels, &ours);
	while (up.got < TOTAL || down.got < TOTAL) {
		turn(l, kernels, &up, &down, 2);
		turn(l, ours, &down, &up, 1);
		if (half_way != NULL && up.got > TOTAL / 2) {
			lab_shell(half_way);
			half_way = NULL;
		}
		if (up.got < TOTAL || down.got < TOTAL)
			lab_wait(l, kernels, (short)(POLLIN | (up.sent < TOTAL ? POLLOUT : 0)));
	}
	close(kernels);
	assert_int_equal(yg_close(l->s, ours), 0);
}

/* --- datagrams --- */

/* The next datagram of our socket is this text. */
void lab_expect(struct lab *l, int ours, const char *text)
{
	char got[2048];
	ssize_t n;

	while ((n = yg_recv(l->s, ours, got, sizeof(got), MSG_DONTWAIT)) == -EAGAIN)
		lab_wait(l, -1, 0);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

int lab_bound(struct lab *l)
{
	struct sockaddr_in any = lab_name("0.0.0.0", LAB_PORT);
	int ours = yg_socket(l->s, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(yg_bind(l->s, ours, (struct sockaddr *)&any, sizeof(any)), 0);
	return ours;
}

/* The kernel's socket of that port, which has these datagrams next. */
void lab_expect_at(struct lab *l, int kernels, const char *const *texts, int n)
{
	char got[2048];

	for (int i = 0; i < n; i++) {
		ssize_t len;

		while ((len = recv(kernels, got, sizeof(got), 0)) < 0)
			lab_wait(l, kernels, POLLIN);
		assert_int_equal(len, strlen(texts[i]));
		assert_memory_equal(got, texts[i], (size_t)len);
	}
}

int lab_bound_by_kernel(void)
{
	struct sockaddr_in them = lab_name("10.9.0.1", LAB_PORT);
	int kernels = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(kernels, (struct sockaddr *)&them, sizeof(them)), 0);
	return kernels;
}
