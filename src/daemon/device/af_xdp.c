/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_XDP: four rings a queue, in memory that the kernel shares with us, and
 * frames in one area for all devices (umem.c). libxdp sets the rings up; the
 * program that fills them is daemon/fastpath's, which also attaches it.
 *
 * Receive. We put free frames into the fill ring; the kernel writes a packet into
 * each and puts it into the receive ring; rx makes it a packet's external buffer. When the
 * packet is freed its frame is free again, and the next rx gives it to the
 * kernel.
 *
 * Send. A packet that lies in a frame of the area is sent where it lies: the
 * frame becomes the kernel's, which names it in the completion ring when it is
 * done. Any other packet is copied into a free frame. In copy mode nothing leaves
 * before a system call says so, and one call sends 32 frames (256 where the
 * kernel has XDP_MAX_TX_SKB_BUDGET), so kick calls until the ring is empty. What
 * the kernel cannot take at that moment stays in the ring and is tried again in
 * the next round, which `next` asks for. While the device is down nothing more is
 * put into the ring.
 *
 * A device with several receive queues has a socket for each, since a program
 * cannot pass a packet to a socket of another queue. All that we send goes out by
 * the first, so that a flow keeps its order.
 *
 * Unfinished checksums. Frames from the other end of a veth, or from a bridge or
 * a TAP, may have been left to "the device" to finish, and AF_XDP does not say
 * which: they are told by their bytes (stack/wire/partial.c). So may frames from any
 * device with a generic program, which sees socket buffers: virtio_net lets those of
 * its host and its neighbours there through unfinished. With a native program a
 * device with hardware behind it gives finished ones only, and is not asked.
 *
 * Always: a frame that the kernel has belongs to the queue by which it got it,
 * n_out of them by way of the send ring.
 *
 * Next: src/core/gateway.c (gateway_input)
 */
#include "daemon/device/af_xdp.h"

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
#include <xdp/xsk.h>

#include "daemon/device/memberships.h"
#include "daemon/device/netlink.h"
#include "stack/packet/stamp.h"
#include "stack/wire/partial.h"

#define RING_SIZE 2048u /* a power of two; the completion ring holds all that the send ring does */
#define RING_SIZE_MIN 64u
#define SEND_BUFFER_BYTES (8 << 20)
/* Linux 6.18: frames that one system call sends in copy mode. Newer than Debian 12's headers. */
#define XDP_MAX_TX_SKB_BUDGET_NR 9
#define TX_BUDGET 256
#define IDLE_ROUNDS 64         /* rounds without a frame between two looks at the statistics */
#define CLOSE_PATIENCE_MS 100u /* for frames on their way to the wire */
#define OPEN_PATIENCE_MS 500u  /* for a queue to be free */

struct queue {
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;
	uint16_t number; /* as the frames' owner, 0: closed */
	int fd;
	uint32_t n_out;        /* frames sent and not completed */
	uint32_t n_since_idle; /* frames since the ring was last seen empty */
	uint32_t n_idle;
	uint64_t n_missed; /* as the kernel last said */
};

struct af_xdp {
	struct device dev;
	struct memberships groups;
	struct af_xdp_options opt;
	struct umem *umem;
	bool asks_partial; /* frames may be unfinished */
	bool zero_copy;
	bool stalled; /* the last kick found the device down */
	int epoll_fd; /* -1: one queue, poll its socket */
	uint32_t ring_size;
	uint64_t n_copied; /* sent packets that lay elsewhere */
	uint32_t n_queues;
	uint32_t next_queue; /* the first to be asked in the next round */
	struct queue queue[AF_XDP_QUEUES_MAX];
};

static struct af_xdp *of_device(struct device *d)
{
	return container_of(d, struct af_xdp, dev);
}

/* --- receive --- */

static void refill(struct af_xdp *s, struct queue *q)
{
	uint32_t frame[BATCH_MAX], n, room, at, n_given = 0;

	while ((room = xsk_prod_nb_free(&q->fill, 1)) > 0) {
		n = umem_give(s->umem, q->number, min_u32(room, BATCH_MAX), frame);
		if (n == 0 || xsk_ring_prod__reserve(&q->fill, n, &at) != n)
			break; /* (there was room) */
		for (uint32_t i = 0; i < n; i++)
			*xsk_ring_prod__fill_addr(&q->fill, at + i) = (uint64_t)frame[i] * UMEM_FRAME_BYTES;
		xsk_ring_prod__submit(&q->fill, n);
		n_given += n;
	}
	if (n_given == 0)
		return;
	if (s->zero_copy && xsk_ring_prod__needs_wakeup(&q->fill))
		(void)recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void take_frame(struct af_xdp *s, struct queue *q, const struct xdp_desc *desc, struct batch *b)
{
	uint32_t frame = (uint32_t)(desc->addr / UMEM_FRAME_BYTES), off = desc->addr % UMEM_FRAME_BYTES;
	struct offload offload = { 0 };

	s->dev.ledger->n_received++;
	s->dev.n_rx_packets++;
	s->dev.n_rx_bytes += desc->len;
	struct packet *p = umem_set_external(s->umem, s->dev.pool, q->number, frame, off, desc->len);
	if (!p) {
		s->dev.ledger->n_dropped[DROP_NO_BUFFER]++;
		return;
	}
	if (p->len < ETHER_HEADER_LEN) {
		packet_drop(s->dev.pool, s->dev.ledger, p, DROP_FRAME_SHORT);
		return;
	}
	stamp_take(&s->dev, p);
	if (s->asks_partial && partial_find(packet_frame(p), p->len, &offload.csum_start, &offload.csum_offset)) {
		offload.csum_partial = true;
		p->offload = offload;
	}
	batch_add(b, p);
}

static void read_missed(struct af_xdp *s, struct queue *q)
{
	struct xdp_statistics st = { 0 };
	socklen_t len = sizeof(st);

	if (getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &st, &len) < 0)
		return;
	/* The kernel counts a frame for which the fill ring had no room in rx_dropped as well. */
	uint64_t n = st.rx_dropped + st.rx_ring_full;
	s->dev.n_rx_missed += n - q->n_missed;
	q->n_missed = n;
}

static uint32_t queue_rx(struct af_xdp *s, struct queue *q, struct batch *b, uint32_t max)
{
	uint32_t at, n = xsk_ring_cons__peek(&q->rx, max, &at);

	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(umem_area(s->umem) + xsk_ring_cons__rx_desc(&q->rx, at + i)->addr);
	for (uint32_t i = 0; i < n; i++)
		take_frame(s, q, xsk_ring_cons__rx_desc(&q->rx, at + i), b);
	if (n > 0) {
		xsk_ring_cons__release(&q->rx, n);
		q->n_since_idle += n;
	} else {
		/* Frames are lost when the rings run full, and then there are many. */
		if (q->n_since_idle >= s->ring_size / 2 || q->n_idle++ % IDLE_ROUNDS == 0)
			read_missed(s, q);
		q->n_since_idle = 0;
	}
	refill(s, q);
	return n;
}

/* --- send --- */

/* Frames that the kernel is done with. */
static void reap(struct af_xdp *s, struct queue *q)
{
	uint32_t at, n = xsk_ring_cons__peek(&q->comp, q->comp.size, &at);

	for (uint32_t i = 0; i < n; i++)
		umem_sent(s->umem, q->number,
			  (uint32_t)(*xsk_ring_cons__comp_addr(&q->comp, at + i) / UMEM_FRAME_BYTES));
	if (n > 0)
		xsk_ring_cons__release(&q->comp, n);
	q->n_out -= n;
}

static uint32_t n_waiting(const struct queue *q)
{
	return *q->tx.producer - __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE);
}

static bool is_down(int error)
{
	return error == ENETDOWN || error == ENXIO || error == ENODEV || error == EBADF;
}

/* Tells the kernel to send what waits in the ring; as far as it takes it now. */
static void push_out(struct af_xdp *s, struct queue *q)
{
	while (n_waiting(q) > 0 && xsk_ring_prod__needs_wakeup(&q->tx)) {
		uint32_t before = n_waiting(q);
		ssize_t r = sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		int error = r < 0 ? errno : 0;

		s->stalled = is_down(error);
		reap(s, q);
		if (error == EINTR)
			continue;
		if (s->zero_copy || s->stalled || n_waiting(q) == before)
			return;
	}
}

static void kick(struct af_xdp *s, struct queue *q)
{
	push_out(s, q);
	/* With zero copy the ring is the device's own, in which order is kept. */
	s->dev.tx_waits = !s->zero_copy && n_waiting(q) > 0;
}

/* Where p's bytes lie in the area, as the kernel's from now on; UINT64_MAX when no frame is free for a copy. */
static uint64_t place(struct af_xdp *s, struct queue *q, struct packet *p)
{
	uint64_t addr = umem_take_over(s->umem, q->number, p);

	if (addr != UINT64_MAX)
		return addr;
	uint32_t frame;
	if (umem_give(s->umem, q->number, 1, &frame) == 0)
		return UINT64_MAX;
	addr = (uint64_t)frame * UMEM_FRAME_BYTES;
	s->n_copied++;
	memcpy(umem_area(s->umem) + addr, packet_frame(p), p->len);
	return addr;
}

/* DROP_* when it could not be put into the ring, else N_DROP_REASONS. */
static enum drop_reason put_frame(struct af_xdp *s, struct queue *q, struct packet *p)
{
	uint32_t at;

	if (s->stalled)
		return DROP_TX_DOWN;
	if (p->len > s->dev.mtu + ETHER_HEADER_LEN || p->len > UMEM_FRAME_BYTES)
		return DROP_TX_TOO_BIG;
	if (q->n_out >= q->comp.size || xsk_prod_nb_free(&q->tx, 1) == 0) {
		kick(s, q);
		if (q->n_out >= q->comp.size || xsk_prod_nb_free(&q->tx, 1) == 0)
			return DROP_TX_REFUSED;
	}
	uint64_t addr = place(s, q, p);
	if (addr == UINT64_MAX)
		return DROP_TX_REFUSED;
	if (xsk_ring_prod__reserve(&q->tx, 1, &at) != 1)
		abort(); /* there was room */
	*xsk_ring_prod__tx_desc(&q->tx, at) = (struct xdp_desc){ .addr = addr, .len = p->len };
	xsk_ring_prod__submit(&q->tx, 1);
	q->n_out++;
	return N_DROP_REASONS;
}

static void af_xdp_tx(struct device *d, struct batch *b)
{
	struct af_xdp *s = of_device(d);
	struct queue *q = &s->queue[0];

	if (s->n_queues > 0)
		reap(s, q);
	/* Whether it is still down shows only when it is asked. What waited may have left meanwhile: whoever polls the
	 * socket sends, too. */
	if (s->stalled && s->n_queues > 0) {
		s->stalled = false;
		kick(s, q);
	}
	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		uint32_t len = p->len;
		enum drop_reason reason = s->n_queues > 0 ? put_frame(s, q, p) : DROP_TX_DOWN;

		if (reason != N_DROP_REASONS) {
			packet_drop(d->pool, d->ledger, p, reason);
			continue;
		}
		d->ledger->n_handed++;
		d->n_tx_packets++;
		d->n_tx_bytes += len;
		packet_free(d->pool, p);
	}
	b->n = 0;
	if (s->n_queues > 0)
		kick(s, q);
}

static uint32_t af_xdp_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct af_xdp *s = of_device(d);
	uint32_t n = 0, room = min_u32(max, BATCH_MAX - b->n);

	if (s->n_queues == 0)
		return 0;
	if (s->queue[0].n_out > 0) {
		reap(s, &s->queue[0]);
		if (!s->stalled)
			kick(s, &s->queue[0]);
	}
	for (uint32_t i = 0; i < s->n_queues && n < room; i++)
		n += queue_rx(s, &s->queue[(s->next_queue + i) % s->n_queues], b, room - n);
	s->next_queue = s->next_queue + 1 < s->n_queues ? s->next_queue + 1 : 0;
	return n;
}

/* At once, when frames wait that the kernel had no room for. */
static uint64_t af_xdp_next(struct device *d)
{
	const struct af_xdp *s = of_device(d);

	return s->n_queues > 0 && !s->stalled && !s->zero_copy && n_waiting(&s->queue[0]) > 0 ? 0 : TIME_NEVER;
}

static int af_xdp_poll_fd(struct device *d)
{
	struct af_xdp *s = of_device(d);

	return s->epoll_fd >= 0 ? s->epoll_fd : s->n_queues > 0 ? s->queue[0].fd : -1;
}

/* --- open and close --- */

static void queue_close(struct af_xdp *s, struct queue *q)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	if (q->socket) {
		/* The kernel may still read from frames that are on their way. */
		for (uint32_t i = 0; i < CLOSE_PATIENCE_MS && q->n_out > n_waiting(q); i++) {
			reap(s, q);
			if (q->n_out > n_waiting(q))
				nanosleep(&ms, NULL);
		}
		read_missed(s, q);
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

static void af_xdp_set_groups(struct device *d, const struct ether_addr *mac, uint32_t n)
{
	/* What the kernel refuses is not heard; it comes again when the device comes up. */
	(void)memberships_set(&of_device(d)->groups, d->name, mac, n);
}

static void af_xdp_close(struct device *d)
{
	struct af_xdp *s = of_device(d);

	memberships_close(&s->groups);
	close_queues(s);
	free(s);
}

static const struct device_ops af_xdp_ops = {
	.driver = "xdp",
	.rx = af_xdp_rx,
	.tx = af_xdp_tx,
	.poll_fd = af_xdp_poll_fd,
	.next = af_xdp_next,
	.set_groups = af_xdp_set_groups,
	.close = af_xdp_close,
};

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
	refill(s, q);
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
	struct af_xdp *s = of_device(d);

	close_queues(s);
	return open_queues(s, err, err_len);
}

void af_xdp_info(struct device *d, struct af_xdp_info *out)
{
	struct af_xdp *s = of_device(d);

	*out = (struct af_xdp_info){
		.n_queues = s->n_queues,
		.zero_copy = s->zero_copy && s->n_queues > 0,
		.n_copied = s->n_copied,
	};
}
