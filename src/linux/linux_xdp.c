/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames over AF_XDP: an area of memory that the kernel and the stack hand to each other, frame by frame, by four rings
 * a queue (Documentation/networking/af_xdp.rst). linux_xdp_open.c makes them.
 *
 * What comes is lent to the stack where it lies, and its frame is free when the stack lets go of it. What leaves is
 * copied into a free frame, since the stack may send it again, and goes out by the first queue, so that a flow keeps
 * its order. Half of the frames at most are for the kernel to fill, so that there is always one to send by.
 *
 * Where the kernel copies (every device without zero copy) a system call sends some frames of the ring at a time. It is
 * made until the ring is empty or nothing moves; then what is left waits, and whoever has the device tries again. Once
 * it has said that the device is down, no frame is taken before it says otherwise.
 *
 * Always: a frame is on the stack of free ones, the kernel's, or the stack's (owner).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "linux/linux_xdp_priv.h"

#define FILL_AT_ONCE 64u

/* --- rings: of a producer the entries are free, of a consumer there --- */

uint32_t linux_xdp_n_used(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

static int is_full(const struct ring *r)
{
	return linux_xdp_n_used(r) > r->mask;
}

static void produced(struct ring *r)
{
	__atomic_store_n(r->producer, *r->producer + 1, __ATOMIC_RELEASE);
}

static void consumed(struct ring *r)
{
	__atomic_store_n(r->consumer, *r->consumer + 1, __ATOMIC_RELEASE);
}

static uint64_t *address_at(const struct ring *r, uint32_t i)
{
	return (uint64_t *)r->entries + (i & r->mask);
}

static struct xdp_desc *frame_at(const struct ring *r, uint32_t i)
{
	return (struct xdp_desc *)r->entries + (i & r->mask);
}

static int wants_a_call(const struct ring *r)
{
	return (__atomic_load_n(r->flags, __ATOMIC_ACQUIRE) & XDP_RING_NEED_WAKEUP) != 0;
}

/* --- frames --- */

static void free_frame(struct linux_xdp *x, uint32_t frame)
{
	x->owner[frame] = FRAME_FREE;
	x->free[x->n_free++] = frame;
}

static uint32_t take_frame(struct linux_xdp *x, unsigned char owner)
{
	uint32_t frame = x->free[--x->n_free];

	x->owner[frame] = owner;
	return frame;
}

void linux_xdp_refill(struct linux_xdp *x, struct queue *q)
{
	uint32_t n = 0;

	for (; n < FILL_AT_ONCE && x->n_free > 0 && x->n_to_fill < N_FRAMES / 2 && !is_full(&q->fill); n++) {
		*address_at(&q->fill, *q->fill.producer) =
			(uint64_t)take_frame(x, FRAME_KERNELS) * LINUX_XDP_FRAME_BYTES;
		produced(&q->fill);
		x->n_to_fill++;
	}
	if (n > 0 && wants_a_call(&q->fill))
		(void)recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void release(void *ctx, uint64_t cookie)
{
	free_frame(ctx, (uint32_t)cookie);
}

/* --- in --- */

static void take_packet(struct linux_xdp *x, struct queue *q, struct yg_stack *s, struct yg_packet **out)
{
	const struct xdp_desc d = *frame_at(&q->receive, *q->receive.consumer);
	uint32_t frame = (uint32_t)(d.addr / LINUX_XDP_FRAME_BYTES);

	consumed(&q->receive);
	x->n_to_fill--;
	x->owner[frame] = FRAME_STACKS;
	*out = yg_packet_wrap(s, x->area + (size_t)frame * LINUX_XDP_FRAME_BYTES, LINUX_XDP_FRAME_BYTES,
			      d.addr % LINUX_XDP_FRAME_BYTES, d.len, release, x, frame);
	if (*out == NULL)
		free_frame(x, frame);
}

int linux_xdp_read(struct linux_xdp *x, struct yg_stack *s, struct yg_packet **out)
{
	for (uint32_t i = 0; i < x->n_queues; i++) {
		struct queue *q = &x->queue[x->next_queue];

		x->next_queue = (x->next_queue + 1) % x->n_queues;
		if (linux_xdp_n_used(&q->receive) > 0) {
			take_packet(x, q, s, out);
			linux_xdp_refill(x, q);
			return 0;
		}
		linux_xdp_refill(x, q);
	}
	return -EAGAIN;
}

/* --- out --- */

static void take_sent(struct linux_xdp *x, struct queue *q)
{
	for (uint32_t n = linux_xdp_n_used(&q->completion); n > 0; n--) {
		uint64_t at = *address_at(&q->completion, *q->completion.consumer);

		consumed(&q->completion);
		free_frame(x, (uint32_t)(at / LINUX_XDP_FRAME_BYTES));
	}
}

/* The kernel says at each call whether the device is up, and unbinds a socket whose device is deleted. */
static void call_kernel(struct linux_xdp *x)
{
	if (sendto(x->queue[0].fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 || (errno != ENETDOWN && errno != ENXIO))
		x->send_state = SEND_TAKES;
	else
		x->send_state = errno == ENETDOWN ? SEND_IS_DOWN : SEND_IS_GONE;
}

enum linux_push linux_xdp_push(struct linux_xdp *x)
{
	struct queue *q = &x->queue[0];
	int is_some = 0;

	if (x->n_queues == 0)
		return LINUX_PUSH_DONE;
	for (uint32_t before; (before = linux_xdp_n_used(&q->send)) > 0 && wants_a_call(&q->send);) {
		call_kernel(x);
		take_sent(x, q);
		if (linux_xdp_n_used(&q->send) == before)
			return is_some ? LINUX_PUSH_SOME : LINUX_PUSH_NONE;
		is_some = 1;
	}
	take_sent(x, q);
	return LINUX_PUSH_DONE;
}

/* A device that is down is asked again by each write, so that nothing grows old in the ring. */
static int refusal(struct linux_xdp *x)
{
	if (x->n_queues > 0 && x->send_state != SEND_TAKES)
		call_kernel(x);
	return x->n_queues == 0 || x->send_state == SEND_IS_GONE ? -ENXIO
	       : x->send_state == SEND_IS_DOWN                   ? -ENETDOWN
								 : 0;
}

int linux_xdp_write(struct linux_xdp *x, struct yg_stack *s, struct yg_packet *p)
{
	size_t len = yg_packet_len(p, s);
	struct queue *q = &x->queue[0];
	int rc = refusal(x);

	if (rc != 0)
		return rc;
	if (len > LINUX_XDP_FRAME_BYTES)
		return -EMSGSIZE;
	/* The completion ring is as long as the send ring, so what was sent always finds room there. */
	if (is_full(&q->send) || x->n_free == 0) {
		(void)linux_xdp_push(x);
		if (is_full(&q->send) || x->n_free == 0)
			return -ENOBUFS;
	}
	uint32_t frame = take_frame(x, FRAME_KERNELS);

	memcpy(x->area + (size_t)frame * LINUX_XDP_FRAME_BYTES, yg_packet_data(p, s), len);
	*frame_at(&q->send, *q->send.producer) =
		(struct xdp_desc){ .addr = (uint64_t)frame * LINUX_XDP_FRAME_BYTES, .len = (uint32_t)len };
	produced(&q->send);
	return 0;
}

int linux_xdp_is_lost(const struct linux_xdp *x)
{
	return x->n_queues == 0 || (sendto(x->queue[0].fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno == ENXIO);
}

/* --- what is told --- */

int linux_xdp_is_generic(const struct linux_xdp *x)
{
	return x->is_generic;
}

/* The kernel counts a frame for which there was no free one as dropped as well. */
static uint64_t rx_lost_at(const struct queue *q)
{
	struct xdp_statistics st = { 0 };
	socklen_t len = sizeof(st);

	return getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &st, &len) == 0 ? st.rx_dropped + st.rx_ring_full : 0;
}

uint64_t linux_xdp_rx_lost(const struct linux_xdp *x)
{
	uint64_t n = x->n_rx_lost;

	for (uint32_t i = 0; i < x->n_queues; i++)
		n += rx_lost_at(&x->queue[i]);
	return n;
}

uint64_t linux_xdp_tx_lost(const struct linux_xdp *x)
{
	return x->n_tx_lost;
}
