/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A wire between two TAPs of the kernel's, so that the kernel's own stack can be measured behind one (bench/preload).
 *
 *   relay TAP NAMESPACE OTHER-TAP        OTHER-TAP is made in NAMESPACE, a file of /proc/PID/ns/net; says "ready"
 *
 * It does what any program behind a TAP must and nothing else: a frame is read and written with its virtio_net_hdr, so
 * large segments and checksums that are not finished pass as they are. Each side is read until it is empty, at most a
 * batch, and whoever has been idle in both sleeps in poll.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BATCH 64
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN)

static char frame[10 + 14 + 65535];

static void must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench/relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	must(fd >= 0, "/dev/net/tun");
	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	must(ioctl(fd, TUNSETIFF, &r) == 0 && ioctl(fd, TUNSETOFFLOAD, OFFLOADS) == 0, name);
	return fd;
}

static int pass(int from, int to)
{
	int n = 0;

	for (ssize_t len; n < BATCH && (len = read(from, frame, sizeof(frame))) > 0; n++)
		(void)!write(to, frame, (size_t)len);
	return n;
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };

	if (argc != 4) {
		fprintf(stderr, "usage: relay TAP NAMESPACE OTHER-TAP\n");
		return 1;
	}
	p[0].fd = open_tap(argv[1]);
	must(setns(open(argv[2], O_RDONLY), CLONE_NEWNET) == 0, argv[2]);
	p[1].fd = open_tap(argv[3]);
	printf("ready\n");
	fflush(stdout);
	for (;;)
		if (pass(p[0].fd, p[1].fd) + pass(p[1].fd, p[0].fd) == 0)
			(void)poll(p, 2, -1);
}
