/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: the kernel's TCP behind a TUN device, in a network namespace of this process's own, and packets that the
 * test makes and takes by hand.
 *
 *   the test 10.0.0.1 --- tun0 --- 10.0.0.2 kernel
 *
 * Behind what the test sends goes an echo request: when that is answered, so is the rest. Nothing waits for a time.
 */
#ifndef YG_TESTS_TRANSPORT_KERNEL_PEER_H
#define YG_TESTS_TRANSPORT_KERNEL_PEER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stack/wire/icmp.h"

#define EXIT_SKIP 77
#define PEER IP4(10, 0, 0, 1)
#define KERNEL IP4(10, 0, 0, 2)
#define LISTENED 7u
#define PATIENCE_MS 10000

struct lab {
	int tun, listener;
	uint16_t marker;
};

/* A setting of net.ipv4. */
static inline void lab_put(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	int fd = open(path, O_WRONLY);

	/* Not every kernel has each of them. */
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		print_message("%s: %s\n", path, strerror(errno));
	close(fd);
}

/* Without options of TCP, and with nothing that is answered at a rate. */
static inline void lab_start(struct lab *l)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun0" };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(LISTENED) };
	int one = 1;

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: no network namespace: %s\n", strerror(errno));
		exit(EXIT_SKIP);
	}
	l->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (l->tun < 0 || ioctl(l->tun, TUNSETIFF, &r) != 0) {
		printf("skipped: /dev/net/tun: %s\n", strerror(errno));
		exit(EXIT_SKIP);
	}
	if (system("ip addr add 10.0.0.2/24 dev tun0 && ip link set tun0 up && ip link set lo up") != 0)
		fail_msg("no address");
	lab_put("tcp_timestamps", "0");
	lab_put("tcp_sack", "0");
	lab_put("tcp_window_scaling", "0");
	lab_put("tcp_ecn", "0");
	lab_put("tcp_invalid_ratelimit", "0");
	lab_put("tcp_challenge_ack_limit", "1000000");
	lab_put("tcp_syncookies", "0");
	lab_put("tcp_max_syn_backlog", "4096");
	l->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(l->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(l->listener, 4096), 0);
}

static inline void lab_end(struct lab *l)
{
	close(l->listener);
	close(l->tun);
}

/* len bytes, of which the IP header is written here. */
static inline void lab_send(struct lab *l, uint8_t *l3, uint32_t len, uint8_t proto)
{
	struct ipv4_view ip = { .src = PEER,
				.dst = KERNEL,
				.total_len = (uint16_t)len,
				.header_len = IPV4_HEADER_LEN,
				.ttl = 64,
				.proto = proto,
				.df = true };

	ipv4_emit(l3, &ip);
	l4_checksum_set(&ip, l3 + IPV4_HEADER_LEN, len - IPV4_HEADER_LEN);
	assert_int_equal(write(l->tun, l3, len), len);
}

/* Takes all that the kernel has answered so far. */
static inline void lab_settle(struct lab *l, void (*take)(void *ctx, const uint8_t *l4, const struct l4_view *v),
			      void *ctx)
{
	uint8_t echo[IPV4_HEADER_LEN + ICMP_HEADER_LEN + 8] = { 0 }, b[4096];
	uint16_t marker = ++l->marker;

	icmp_emit(echo + IPV4_HEADER_LEN, ICMP_ECHO_REQUEST, 0, (uint32_t)0x5959 << 16 | marker);
	lab_send(l, echo, sizeof(echo), IPPROTO_ICMP);
	for (;;) {
		struct pollfd f = { .fd = l->tun, .events = POLLIN };
		struct ipv4_view ip;
		struct l4_view v;

		if (poll(&f, 1, PATIENCE_MS) != 1)
			fail_msg("the echo is not answered");
		ssize_t n = read(l->tun, b, sizeof(b));

		if (n <= 0 || b[0] >> 4 != 4 || ipv4_parse(b, (size_t)n, &ip) != IPV4_OK ||
		    l4_parse(&ip, b + ip.header_len, ip.total_len - ip.header_len, &v) != L4_OK)
			continue;
		if (v.kind == L4_TCP)
			take(ctx, b + ip.header_len, &v);
		else if (v.kind == L4_ICMP_QUERY && v.type == ICMP_ECHO_REPLY && v.icmp_seq == marker)
			return;
	}
}

#endif
