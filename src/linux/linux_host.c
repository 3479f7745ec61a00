/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack over a device of the kernel's (linux_device.h), with its clock.
 *
 * The one descriptor is an epoll over three: the device; a timer that is set to the stack's next
 * deadline; and an eventfd that is readable while some epoll of the stack has something in its
 * list. The stack says when either changes, also in the middle of the program's
 * own calls (yg_changed_fn), so what a program does between two waits is never slept over, and
 * what it is not interested in does not wake it.
 *
 * A device that was deleted is readable for ever, so the epoll lets go of it (AF_XDP's says nothing, and is asked once
 * a second); an Ethernet device comes back when there is one of its name, for which the timer looks once a second. What
 * the device does not take of one frame is of that frame; what it takes of none ends the batch.
 *
 * errno is the program's: it changes in yg_host_open alone.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "linux/linux_device.h"

#define PACKETS_AT_ONCE 64
#define ROUNDS_AT_ONCE 16
#define NS_PER_S 1000000000u
#define LOOK_AGAIN_NS NS_PER_S
#define WALL_AGAIN_NS NS_PER_S
#define PUSH_AGAIN_NS (NS_PER_S / 1000)

struct yg_host {
	struct yg_stack *stack;
	struct linux_device device;
	int timer, event, all;
	uint64_t armed; /* the timer; YG_NEVER: it is not */
	int is_ready;
	int is_lost;         /* the device */
	uint64_t look_again; /* for one that may have taken its place, or whether it is lost; YG_NEVER */
	uint64_t push_again; /* what the device did not take at once; YG_NEVER */
	uint64_t push_pause; /* until then, ns; twice as long each time that it ends and nothing is taken still */
	uint64_t wall_again; /* when the system's clock is asked next */
	uint64_t n_tx_refused, n_rx_refused;
};

static uint64_t time_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
	return time_of(CLOCK_MONOTONIC);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- what the stack says --- */

/* The timer, to the stack's deadline or what the host itself has to do before. */
static void arm(struct yg_host *h, uint64_t deadline)
{
	struct itimerspec t = { { 0, 0 }, { 0, 0 } };

	deadline = min_u64(deadline, min_u64(h->look_again, h->push_again));
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

/* However often the stack sends meanwhile, a pause goes on. The stack may have nothing to say behind its output
 * (changed), so the timer is set here. */
static void push(struct yg_host *h)
{
	enum linux_push rc = h->is_lost ? LINUX_PUSH_DONE : linux_device_push(&h->device);

	/* Of most devices always: no time is asked for then. */
	if (rc == LINUX_PUSH_DONE) {
		h->push_again = YG_NEVER;
		h->push_pause = PUSH_AGAIN_NS;
		return;
	}
	uint64_t t = now();

	if (rc == LINUX_PUSH_NONE && h->push_again != YG_NEVER) {
		if (t < h->push_again)
			return;
		h->push_pause = min_u64(2 * h->push_pause, LOOK_AGAIN_NS);
	} else {
		h->push_pause = PUSH_AGAIN_NS;
	}
	h->push_again = t + h->push_pause;
	if (h->push_again < h->armed)
		arm(h, h->push_again);
}

/* What the device does not take is lost, as on any link that is full or down. */
static int output(void *ctx, struct yg_packet *const *packets, unsigned int n)
{
	struct yg_host *h = ctx;
	int was = errno;
	unsigned int i = 0;

	for (; i < n; i++) {
		int rc = linux_device_write(&h->device, h->stack, packets[i]);

		if (rc != 0 && !linux_device_is_of_frame(rc))
			break;
		h->n_tx_refused += rc != 0;
		yg_packet_free(h->stack, packets[i]);
	}
	push(h);
	errno = was;
	return (int)i;
}

static void changed(void *ctx, uint64_t deadline, int ready)
{
	struct yg_host *h = ctx;
	int was = errno;
	eventfd_t value;

	arm(h, deadline);
	if (ready != h->is_ready) {
		h->is_ready = ready;
		if (ready)
			(void)eventfd_write(h->event, 1);
		else
			(void)eventfd_read(h->event, &value);
	}
	errno = was;
}

/* --- the device goes and comes --- */

static int watch(struct yg_host *h, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data = { .fd = fd } };

	return fd < 0 ? -1 : epoll_ctl(h->all, EPOLL_CTL_ADD, fd, &e);
}

static void let_go_if_lost(struct yg_host *h)
{
	if (h->is_lost || !linux_device_is_lost(&h->device))
		return;
	h->is_lost = 1;
	(void)epoll_ctl(h->all, EPOLL_CTL_DEL, h->device.fd, NULL);
	h->look_again = linux_device_may_return(&h->device) ? now() + LOOK_AGAIN_NS : YG_NEVER;
	h->push_again = YG_NEVER;
}

/* A device that is lost without a word is asked once a second. */
static void look_in_silence(struct yg_host *h)
{
	h->look_again = linux_device_is_lost_in_silence(&h->device) ? now() + LOOK_AGAIN_NS : YG_NEVER;
}

static void look_again(struct yg_host *h)
{
	if (h->look_again == YG_NEVER || now() < h->look_again)
		return;
	h->look_again = now() + LOOK_AGAIN_NS;
	let_go_if_lost(h);
	if (!h->is_lost || linux_device_replace(&h->device) != 0 || watch(h, h->device.fd) != 0)
		return;
	h->is_lost = 0;
	look_in_silence(h);
}

/* --- what the kernel gives --- */

/* True: there may be more. */
static int take_some(struct yg_host *h)
{
	struct yg_packet *packets[PACKETS_AT_ONCE];
	unsigned int n = 0;
	int is_more = 1;

	for (unsigned int i = 0; i < PACKETS_AT_ONCE && is_more; i++) {
		struct yg_packet *p = NULL;
		int rc = linux_device_read(&h->device, h->stack, &p);

		if (p != NULL)
			packets[n++] = p;
		is_more = rc == 0 || linux_device_is_of_frame(rc);
		h->n_rx_refused += rc != 0 && is_more;
		if (!is_more && rc != -EAGAIN)
			let_go_if_lost(h);
	}
	if (n > 0)
		yg_input(h->stack, packets, n, now());
	return is_more;
}

/* Somebody may set the system's clock. */
static void follow_wall(struct yg_host *h, uint64_t t)
{
	yg_set_wall(h->stack, time_of(CLOCK_REALTIME) - t);
	h->wall_again = t + WALL_AGAIN_NS;
}

void yg_host_run(struct yg_host *h)
{
	int was = errno;
	uint64_t fired;

	look_again(h);
	if (h->push_again != YG_NEVER && now() >= h->push_again)
		push(h);
	/* Bounded, so that the program has its turn. */
	for (int i = 0; i < ROUNDS_AT_ONCE && take_some(h); i++)
		;
	if (read(h->timer, &fired, sizeof(fired)) == sizeof(fired))
		h->armed = YG_NEVER;
	uint64_t t = now();

	if (t >= h->wall_again)
		follow_wall(h, t);
	yg_run(h->stack, t);
	arm(h, yg_next_deadline(h->stack));
	errno = was;
}

/* Not on the one descriptor: that an epoll has something ends no wait for something else. */
int yg_host_wait(void *host, uint64_t deadline)
{
	struct yg_host *h = host;
	struct pollfd p[] = { { h->device.fd, POLLIN, 0 }, { h->timer, POLLIN, 0 } };
	int was = errno, rc = 0;

	if (h->is_lost && !linux_device_may_return(&h->device))
		return -ENETDOWN;
	arm(h, min_u64(deadline, yg_next_deadline(h->stack)));
	if (poll(p, sizeof(p) / sizeof(p[0]), -1) < 0)
		rc = -errno;
	else
		yg_host_run(h);
	errno = was;
	return rc;
}

/* --- life --- */

static int say(const char *what)
{
	fprintf(stderr, "yangguan: %s: %s\n", what, strerror(errno));
	return -1;
}

static int open_descriptors(struct yg_host *h, const struct yg_host_config *c)
{
	if (linux_device_open(&h->device, c) != 0)
		return -1;
	h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	h->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	h->all = epoll_create1(EPOLL_CLOEXEC);
	if (h->all < 0 || watch(h, h->device.fd) != 0 || watch(h, h->timer) != 0 || watch(h, h->event) != 0)
		return say("cannot wait for events");
	return 0;
}

struct yg_host *yg_host_open(const struct yg_host_config *config)
{
	struct yg_host_config c = { .size = 0 };
	struct yg_host *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	memcpy(&c, config, config->size < sizeof(c) ? config->size : sizeof(c));
	h->device.fd = h->device.groups = h->timer = h->event = h->all = -1;
	h->armed = h->look_again = h->push_again = YG_NEVER;
	h->push_pause = PUSH_AGAIN_NS;
	if (open_descriptors(h, &c) != 0) {
		yg_host_close(h);
		return NULL;
	}
	struct yg_stack_config s = { .size = sizeof(s),
				     .output = output,
				     .changed = changed,
				     .ctx = h,
				     .now = now(),
				     .flags = h->device.flags,
				     .mtu = c.mtu != 0 ? c.mtu : h->device.mtu,
				     .address = c.address,
				     .gateway = c.gateway,
				     .n_sockets = c.n_sockets };

	memcpy(s.mac, h->device.mac, sizeof(s.mac));
	if (getrandom(s.seed, sizeof(s.seed), 0) != sizeof(s.seed)) {
		yg_host_close(h);
		return NULL;
	}
	h->stack = yg_stack_create(&s);
	if (h->stack == NULL) {
		fprintf(stderr, "yangguan: no memory, or no address: %s\n", c.address != NULL ? c.address : "none");
		yg_host_close(h);
		return NULL;
	}
	follow_wall(h, s.now);
	look_in_silence(h);
	/* What has come already waits until the program has said what it wants (a listener, a forwarder). */
	arm(h, yg_next_deadline(h->stack));
	return h;
}

void yg_host_close(struct yg_host *h)
{
	const int fds[] = { h->timer, h->event, h->all };

	yg_stack_destroy(h->stack);
	linux_device_close(&h->device);
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

void yg_host_info(const struct yg_host *h, struct yg_host_info *out)
{
	struct yg_host_info info = { .size = out->size < sizeof(info) ? out->size : sizeof(info),
				     .is_lost = h->is_lost,
				     .tx_refused = h->n_tx_refused,
				     .rx_refused = h->n_rx_refused };

	linux_device_info(&h->device, &info);
	memcpy(out, &info, info.size);
}
