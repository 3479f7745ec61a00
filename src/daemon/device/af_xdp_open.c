/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_XDP: how sockets and their rings are made on the queues of a device, by libxdp,
 * and given back. The kernel may hold a queue for a moment longer than its socket, and
 * read frames that are on their way out: both are waited for.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/device/af_xdp_priv.h"
#include "daemon/device/netlink.h"

#define RING_SIZE 2048u /* a power of two; the completion ring holds all that the send ring does */
#define RING_SIZE_MIN 64u
#define SEND_BUFFER_BYTES (8 << 20)
/* Linux 6.18: frames that one system call sends in copy mode. Newer than Debian 12's headers. */
#define XDP_MAX_TX_SKB_BUDGET_NR 9
#define TX_BUDGET 256
#define CLOSE_PATIENCE_MS 100u /* for frames on their way to the wire */
#define OPEN_PATIENCE_MS 500u  /* for a queue to be free */

static void queue_close(struct af_xdp *s, struct queue *q)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	if (q->socket) {
		/* The kernel may still read from frames that are on their way. */
		for (uint32_t i = 0; i < CLOSE_PATIENCE_MS && q->n_out > af_xdp_n_waiting(q); i++) {
			af_xdp_reap(s, q);
			if (q->n_out > af_xdp_n_waiting(q))
				nanosleep(&ms, NULL);
		}
		af_xdp_read_missed(s, q);
		xsk_socket__delete(q->socket);
	}
	if (q->umem)
		(void)xsk_umem__delete(q->umem);
	if (q->number)
		umem_queue_remove(s->umem, q->number);
	memset(q, 0, sizeof(*q));
}

static void close_queues(struct af_xdp *s)
{
	while (s->n_queues > 0)
		queue_close(s, &s->queue[--s->n_queues]);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	s->epoll_fd = -1;
}

void af_xdp_close(struct device *d)
{
	struct af_xdp *s = af_xdp_of(d);

	memberships_close(&s->groups);
	close_queues(s);
	free(s);
}

static int fail(const struct af_xdp *s, const char *what, int error, char *err, size_t err_len)
{
	const char *name = s->dev.name;

	if (error == EPERM || error == EACCES)
		snprintf(err, err_len,
			 "device %s: no right to use AF_XDP (%s): it takes root outside of user namespaces", name,
			 what);
	else if (error == EBUSY)
		snprintf(err, err_len, "device %s: another program has an AF_XDP socket on it; see: ss -x --xdp", name);
	else if (error == EAFNOSUPPORT)
		snprintf(err, err_len, "device %s: this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)", name);
	else if (error == ENOMEM || error == ENOBUFS)
		snprintf(err, err_len, "device %s: no memory for AF_XDP (%s)", name, what);
	else
		snprintf(err, err_len, "device %s: AF_XDP: %s: %s", name, what, strerror(error));
	return -error;
}

static void set_socket_options(int fd)
{
	int bytes = SEND_BUFFER_BYTES, budget = TX_BUDGET;

	/* Both make it faster and neither must be there. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET_NR, &budget, sizeof(budget));
}

static bool is_zero_copy(int fd)
{
	struct xdp_options o = { 0 };
	socklen_t len = sizeof(o);

	return getsockopt(fd, SOL_XDP, XDP_OPTIONS, &o, &len) == 0 && (o.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

static int queue_try(struct af_xdp *s, struct queue *q, uint32_t id, char *err, size_t err_len)
{
	struct xsk_umem_config umem_cfg = {
		.fill_size = s->ring_size,
		.comp_size = s->ring_size,
		.frame_size = UMEM_FRAME_BYTES,
	};
	struct xsk_socket_config cfg = {
		.rx_size = s->ring_size,
		.tx_size = s->ring_size,
		.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP | (s->opt.copy == AF_XDP_COPY ? XDP_COPY : 0)),
	};

	q->fd = -1;
	q->number = umem_queue_add(s->umem);
	if (q->number == 0)
		return fail(s, "queues", ENOMEM, err, err_len);
	int r = xsk_umem__create(&q->umem, umem_area(s->umem), umem_bytes(s->umem), &q->fill, &q->comp, &umem_cfg);
	if (r < 0) {
		q->umem = NULL;
		return fail(s, "memory", -r, err, err_len);
	}
	r = xsk_socket__create(&q->socket, s->dev.name, id, q->umem, &q->rx, &q->tx, &cfg);
	if (r < 0) {
		q->socket = NULL;
		return fail(s, "socket", -r, err, err_len);
	}
	q->fd = xsk_socket__fd(q->socket);
	set_socket_options(q->fd);
	s->zero_copy &= is_zero_copy(q->fd);
	af_xdp_refill(s, q);
	uint32_t key = s->opt.first_key + id;
	if (s->opt.map_fd >= 0 && bpf_map_update_elem(s->opt.map_fd, &key, &q->fd, BPF_ANY) < 0)
		return fail(s, "entering the socket in the program's map", errno, err, err_len);
	return 0;
}

/* The kernel takes the sockets that somebody has closed off a queue a moment later. */
static int queue_open(struct af_xdp *s, struct queue *q, uint32_t id, char *err, size_t err_len)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	int r = queue_try(s, q, id, err, err_len);

	for (uint32_t i = 0; i < OPEN_PATIENCE_MS && r == -EBUSY; i++) {
		queue_close(s, q);
		nanosleep(&ms, NULL);
		r = queue_try(s, q, id, err, err_len);
	}
	return r;
}

uint32_t af_xdp_count_queues(const char *ifname)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq r = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t n = 1;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &r) == 0)
		n = max_u32(1, channels.combined_count + channels.rx_count);
	if (fd >= 0)
		close(fd);
	return n;
}

/* Frames enough for all rings of all queues, and as many again for packets of ours. */
static uint32_t ring_size_for(struct umem *u, uint32_t n_queues)
{
	uint32_t size = RING_SIZE;

	while (size > RING_SIZE_MIN && (uint64_t)size * n_queues * 2 > umem_n_free(u) / 2)
		size /= 2;
	return size;
}

static int watch_queues(struct af_xdp *s, char *err, size_t err_len)
{
	if (s->n_queues == 1)
		return 0;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t i = 0; s->epoll_fd >= 0 && i < s->n_queues; i++) {
		struct epoll_event e = { .events = EPOLLIN };
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->queue[i].fd, &e) < 0)
			return fail(s, "epoll", errno, err, err_len);
	}
	return s->epoll_fd < 0 ? fail(s, "epoll", errno, err, err_len) : 0;
}

static int open_queues(struct af_xdp *s, char *err, size_t err_len)
{
	struct netlink_link link;
	int r = netlink_link_get(s->dev.name, &link, err, err_len);

	if (r < 0)
		return r;
	if (!link.is_ethernet) {
		snprintf(err, err_len, "device %s: not an Ethernet device; use one that is", s->dev.name);
		return -EPROTONOSUPPORT;
	}
	if (link.mtu > AF_XDP_MTU_MAX) {
		snprintf(err, err_len,
			 "device %s: its MTU of %u is more than AF_XDP's %u; lower it, or use the driver tc",
			 s->dev.name, link.mtu, (uint32_t)AF_XDP_MTU_MAX);
		return -ERANGE;
	}
	s->dev.mac = link.mac;
	s->dev.mtu = link.mtu;
	s->dev.up = link.running;
	s->asks_partial = link.kind[0] != '\0' || s->opt.copy == AF_XDP_COPY;
	uint32_t step = max_u32(s->opt.queue_step, 1), n = af_xdp_count_queues(s->dev.name);
	if (n > AF_XDP_QUEUES_MAX) {
		snprintf(err, err_len, "device %s: has %u queues, and %d are possible; run: ethtool -L %s combined %d",
			 s->dev.name, n, AF_XDP_QUEUES_MAX, s->dev.name, AF_XDP_QUEUES_MAX);
		return -ERANGE;
	}
	if (s->opt.first_queue >= n) {
		snprintf(err, err_len, "device %s: has no queue %u", s->dev.name, s->opt.first_queue);
		return -ERANGE;
	}
	s->ring_size = ring_size_for(s->umem, (n - s->opt.first_queue + step - 1) / step);
	s->zero_copy = true;
	s->stalled = false;
	for (uint32_t id = s->opt.first_queue; id < n; id += step) {
		s->n_queues++; /* so that closing finds it, however far it came */
		r = queue_open(s, &s->queue[s->n_queues - 1], id, err, err_len);
		if (r < 0)
			goto close;
	}
	r = watch_queues(s, err, err_len);
	if (r == 0)
		return 0;
close:
	close_queues(s);
	return r;
}

int af_xdp_open(const char *ifname, const struct af_xdp_options *opt, struct device **out, char *err, size_t err_len)
{
	struct af_xdp *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(err, err_len, "device %s: no memory", ifname);
		return -ENOMEM;
	}
	s->dev.ops = &af_xdp_ops;
	snprintf(s->dev.name, sizeof(s->dev.name), "%.*s", DEVICE_NAME_MAX - 1, ifname);
	s->opt = *opt;
	s->umem = opt->umem;
	s->epoll_fd = -1;
	int r = open_queues(s, err, err_len);
	if (r < 0) {
		free(s);
		return r;
	}
	*out = &s->dev;
	return 0;
}

int af_xdp_rebind(struct device *d, char *err, size_t err_len)
{
	struct af_xdp *s = af_xdp_of(d);

	close_queues(s);
	return open_queues(s, err, err_len);
}

void af_xdp_info(struct device *d, struct af_xdp_info *out)
{
	struct af_xdp *s = af_xdp_of(d);

	*out = (struct af_xdp_info){
		.n_queues = s->n_queues,
		.zero_copy = s->zero_copy && s->n_queues > 0,
		.n_copied = s->n_copied,
	};
}
