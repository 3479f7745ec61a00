/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack over a TUN or TAP device of the kernel's.
 *
 * The one descriptor is an epoll over three: the device; a timer that is set to the stack's next
 * deadline; and an eventfd that is readable while some epoll of the stack has something in its
 * list. The stack says when either changes, also in the middle of the program's
 * own calls (yg_changed_fn), so what a program does between two waits is never slept over, and
 * what it is not interested in does not wake it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <yangguan/linux.h>

#define PACKETS_AT_ONCE 64
#define ROUNDS_AT_ONCE 16
#define PACKET_MAX 65536
#define NS_PER_S 1000000000u

struct yg_host {
	struct yg_stack *stack;
	int device, timer, event, all;
	uint64_t armed; /* the timer; YG_NEVER: it is not */
	int is_ready;
	unsigned char bytes[PACKET_MAX];
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* --- what the stack says --- */

static int output(void *ctx, struct yg_packet *const *packets, unsigned int n)
{
	struct yg_host *h = ctx;

	for (unsigned int i = 0; i < n; i++) {
		ssize_t done =
			write(h->device, yg_packet_data(packets[i], h->stack), yg_packet_len(packets[i], h->stack));

		/* The device is full: the rest is lost, as on any link. */
		if (done < 0 && (errno == EAGAIN || errno == ENOBUFS))
			return (int)i;
		yg_packet_free(h->stack, packets[i]);
	}
	return (int)n;
}

static void arm(struct yg_host *h, uint64_t deadline)
{
	struct itimerspec t = { { 0, 0 }, { 0, 0 } };

	if (deadline == h->armed)
		return;
	h->armed = deadline;
	if (deadline != YG_NEVER) {
		t.it_value.tv_sec = (time_t)(deadline / NS_PER_S);
		t.it_value.tv_nsec = (long)(deadline % NS_PER_S);
		/* All zero would disarm it. */
		if (t.it_value.tv_sec == 0 && t.it_value.tv_nsec == 0)
			t.it_value.tv_nsec = 1;
	}
	(void)timerfd_settime(h->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void changed(void *ctx, uint64_t deadline, int ready)
{
	struct yg_host *h = ctx;
	eventfd_t value;

	arm(h, deadline);
	if (ready == h->is_ready)
		return;
	h->is_ready = ready;
	if (ready)
		(void)eventfd_write(h->event, 1);
	else
		(void)eventfd_read(h->event, &value);
}

/* --- what the kernel gives --- */

/* True: there may be more. */
static int take_some(struct yg_host *h)
{
	struct yg_packet *packets[PACKETS_AT_ONCE];
	unsigned int n = 0;
	ssize_t len = 0;

	while (n < PACKETS_AT_ONCE && (len = read(h->device, h->bytes, sizeof(h->bytes))) > 0) {
		packets[n] = yg_packet_alloc(h->stack, (size_t)len);
		if (packets[n] == NULL)
			break;
		memcpy(yg_packet_data(packets[n++], h->stack), h->bytes, (size_t)len);
	}
	if (n > 0)
		yg_input(h->stack, packets, n, now());
	return len > 0;
}

void yg_host_run(struct yg_host *h)
{
	uint64_t fired;

	/* Bounded, so that the program has its turn. */
	for (int i = 0; i < ROUNDS_AT_ONCE && take_some(h); i++)
		;
	if (read(h->timer, &fired, sizeof(fired)) == sizeof(fired))
		h->armed = YG_NEVER;
	yg_run(h->stack, now());
	arm(h, yg_next_deadline(h->stack));
}

/* --- life --- */

static int say(const char *what, const char *name)
{
	fprintf(stderr, "yangguan: %s %s: %s\n", what, name, strerror(errno));
	return -1;
}

static int bring_up(const char *name)
{
	struct ifreq r;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (s < 0)
		return -1;
	memset(&r, 0, sizeof(r));
	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	rc = ioctl(s, SIOCGIFFLAGS, &r);
	if (rc == 0 && !(r.ifr_flags & IFF_UP)) {
		r.ifr_flags |= IFF_UP;
		rc = ioctl(s, SIOCSIFFLAGS, &r);
	}
	close(s);
	return rc;
}

static int open_device(const char *name, short kind)
{
	struct ifreq r;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return say("cannot open", "/dev/net/tun");
	memset(&r, 0, sizeof(r));
	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	r.ifr_flags = (short)(kind | IFF_NO_PI);
	if (ioctl(fd, TUNSETIFF, &r) != 0 || bring_up(name) != 0) {
		(void)say("cannot have the device", name);
		close(fd);
		return -1;
	}
	return fd;
}

static int watch(struct yg_host *h, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data = { .fd = fd } };

	return fd < 0 ? -1 : epoll_ctl(h->all, EPOLL_CTL_ADD, fd, &e);
}

static int open_descriptors(struct yg_host *h, const struct yg_host_config *c)
{
	h->device = c->tap != NULL ? open_device(c->tap, IFF_TAP) : c->tun != NULL ? open_device(c->tun, IFF_TUN) : -1;
	if (h->device < 0)
		return -1;
	h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	h->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	h->all = epoll_create1(EPOLL_CLOEXEC);
	if (h->all < 0 || watch(h, h->device) != 0 || watch(h, h->timer) != 0 || watch(h, h->event) != 0)
		return say("cannot wait", "for events");
	return 0;
}

struct yg_host *yg_host_open(const struct yg_host_config *config)
{
	struct yg_host_config c = { .size = 0 };
	struct yg_host *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	memcpy(&c, config, config->size < sizeof(c) ? config->size : sizeof(c));
	h->device = h->timer = h->event = h->all = -1;
	h->armed = YG_NEVER;
	struct yg_stack_config s = { .size = sizeof(s),
				     .output = output,
				     .changed = changed,
				     .ctx = h,
				     .now = now(),
				     .flags = c.tap != NULL ? YG_ETHERNET : 0,
				     .mtu = c.mtu,
				     .address = c.address,
				     .gateway = c.gateway,
				     .n_sockets = c.n_sockets };

	if (open_descriptors(h, &c) != 0 || getrandom(s.seed, sizeof(s.seed), 0) != sizeof(s.seed) ||
	    getrandom(s.mac, sizeof(s.mac), 0) != sizeof(s.mac)) {
		yg_host_close(h);
		return NULL;
	}
	/* Of one station, and of no maker. */
	s.mac[0] = (uint8_t)((s.mac[0] & 0xfc) | 2);
	h->stack = yg_stack_create(&s);
	if (h->stack == NULL) {
		fprintf(stderr, "yangguan: no memory, or no address: %s\n", c.address != NULL ? c.address : "none");
		yg_host_close(h);
		return NULL;
	}
	/* What has come already waits until the program has said what it wants (a listener, a forwarder). */
	arm(h, yg_next_deadline(h->stack));
	return h;
}

void yg_host_close(struct yg_host *h)
{
	const int fds[] = { h->device, h->timer, h->event, h->all };

	yg_stack_destroy(h->stack);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(h);
}

struct yg_stack *yg_host_stack(struct yg_host *h)
{
	return h->stack;
}

int yg_host_fd(const struct yg_host *h)
{
	return h->all;
}
