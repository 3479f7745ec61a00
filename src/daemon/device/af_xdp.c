/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_XDP: four rings a queue, in memory that the kernel shares with us, and
 * frames in one area for all devices (umem.c). af_xdp_open.c sets the rings up; the
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
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemon/device/af_xdp_priv.h"
#include "stack/packet/stamp.h"
#include "stack/wire/partial.h"

#define IDLE_ROUNDS 64 /* rounds without a frame between two looks at the statistics */

/* --- receive --- */

void af_xdp_refill(struct af_xdp *s, struct queue *q)
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

void af_xdp_read_missed(struct af_xdp *s, struct queue *q)
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
		prefetch_read(umem_area(s->umem) + xsk_ring_cons__rx_desc(&q->rx, at + i)->addr);
	for (uint32_t i = 0; i < n; i++)
		take_frame(s, q, xsk_ring_cons__rx_desc(&q->rx, at + i), b);
	if (n > 0) {
		xsk_ring_cons__release(&q->rx, n);
		q->n_since_idle += n;
	} else {
		/* Frames are lost when the rings run full, and then there are many. */
		if (q->n_since_idle >= s->ring_size / 2 || q->n_idle++ % IDLE_ROUNDS == 0)
			af_xdp_read_missed(s, q);
		q->n_since_idle = 0;
	}
	af_xdp_refill(s, q);
	return n;
}

/* --- send --- */

/* Frames that the kernel is done with. */
void af_xdp_reap(struct af_xdp *s, struct queue *q)
{
	uint32_t at, n = xsk_ring_cons__peek(&q->comp, q->comp.size, &at);

	for (uint32_t i = 0; i < n; i++)
		umem_sent(s->umem, q->number,
			  (uint32_t)(*xsk_ring_cons__comp_addr(&q->comp, at + i) / UMEM_FRAME_BYTES));
	if (n > 0)
		xsk_ring_cons__release(&q->comp, n);
	q->n_out -= n;
}

static bool is_down(int error)
{
	return error == ENETDOWN || error == ENXIO || error == ENODEV || error == EBADF;
}

/* Tells the kernel to send what waits in the ring; as far as it takes it now. */
static void push_out(struct af_xdp *s, struct queue *q)
{
	while (af_xdp_n_waiting(q) > 0 && xsk_ring_prod__needs_wakeup(&q->tx)) {
		uint32_t before = af_xdp_n_waiting(q);
		ssize_t r = sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		int error = r < 0 ? errno : 0;

		s->stalled = is_down(error);
		af_xdp_reap(s, q);
		if (error == EINTR)
			continue;
		if (s->zero_copy || s->stalled || af_xdp_n_waiting(q) == before)
			return;
	}
}

static void kick(struct af_xdp *s, struct queue *q)
{
	push_out(s, q);
	/* With zero copy the ring is the device's own, in which order is kept. */
	s->dev.tx_waits = !s->zero_copy && af_xdp_n_waiting(q) > 0;
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
	struct af_xdp *s = af_xdp_of(d);
	struct queue *q = &s->queue[0];

	if (s->n_queues > 0)
		af_xdp_reap(s, q);
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
	struct af_xdp *s = af_xdp_of(d);
	uint32_t n = 0, room = min_u32(max, BATCH_MAX - b->n);

	if (s->n_queues == 0)
		return 0;
	if (s->queue[0].n_out > 0) {
		af_xdp_reap(s, &s->queue[0]);
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
	const struct af_xdp *s = af_xdp_of(d);

	return s->n_queues > 0 && !s->stalled && !s->zero_copy && af_xdp_n_waiting(&s->queue[0]) > 0 ? 0 : TIME_NEVER;
}

static int af_xdp_poll_fd(struct device *d)
{
	struct af_xdp *s = af_xdp_of(d);

	return s->epoll_fd >= 0 ? s->epoll_fd : s->n_queues > 0 ? s->queue[0].fd : -1;
}

static void af_xdp_set_groups(struct device *d, const struct ether_addr *mac, uint32_t n)
{
	/* What the kernel refuses is not heard; it comes again when the device comes up. */
	(void)memberships_set(&af_xdp_of(d)->groups, d->name, mac, n);
}

const struct device_ops af_xdp_ops = {
	.driver = "xdp",
	.rx = af_xdp_rx,
	.tx = af_xdp_tx,
	.poll_fd = af_xdp_poll_fd,
	.next = af_xdp_next,
	.set_groups = af_xdp_set_groups,
	.close = af_xdp_close,
};
