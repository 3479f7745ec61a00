/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The in-memory wire: for scenarios, simulations and fuzzing.
 *
 * Each direction is a lane with a pool of frames and a heap of those on the way,
 * ordered by time of arrival and, for equal times, by order of sending. Life of
 * a frame: end_tx copies it into a slot of the lane and frees the sender's packet
 * at once, as a driver does that has handed it to the kernel; end_rx of the other
 * end copies it into a packet of the receiver's pool when its time has come.
 *
 * Offload fields travel with the frame when the lane's caps claim them. To send
 * a frame with work that the caps do not claim is a mistake of the sender's.
 *
 * Next: src/core/gateway.c (gateway_input)
 */
#include "stack/packet/memwire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/util.h"
#include "stack/packet/stamp.h"

#define DEFAULT_QUEUE 1024
#define DEFAULT_MTU 1500
#define IPV4_MAX_LEN 65535
#define PPM 1000000

struct frame {
	uint64_t arrives_ns;
	uint64_t order; /* frames sent before it */
	struct offload offload;
	uint32_t len;
	uint8_t bytes[];
};

struct lane {
	struct memwire_config cfg;
	struct rng rng;
	struct pool frames;
	uint32_t frame_most; /* bytes that a slot of frames takes */
	uint32_t *heap;      /* indexes of frames; the earliest first */
	uint32_t n_heap;
	uint64_t busy_until_ns; /* the last frame is clocked out then */
	uint64_t n_sent;
	uint64_t n_lost, n_overflowed, n_duplicated;
};

struct end {
	struct device dev; /* first: a device is its end */
	struct memwire *wire;
	struct lane *out, *in;
};

struct memwire {
	uint64_t now;
	struct lane lane[2]; /* from end 0, from end 1 */
	struct end end[2];
};

static struct end *end_of(struct device *d)
{
	return container_of(d, struct end, dev);
}

static struct frame *frame_at(const struct lane *l, uint32_t index)
{
	return pool_at(&l->frames, index);
}

/* --- the heap --- */

static bool earlier(const struct lane *l, uint32_t a, uint32_t b)
{
	const struct frame *fa = frame_at(l, a), *fb = frame_at(l, b);
	return fa->arrives_ns != fb->arrives_ns ? fa->arrives_ns < fb->arrives_ns : fa->order < fb->order;
}

static void heap_push(struct lane *l, uint32_t index)
{
	uint32_t at = l->n_heap++;
	while (at > 0 && earlier(l, index, l->heap[(at - 1) / 2])) {
		l->heap[at] = l->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	l->heap[at] = index;
}

static uint32_t heap_pop(struct lane *l)
{
	uint32_t first = l->heap[0], last = l->heap[--l->n_heap], at = 0;
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= l->n_heap)
			break;
		if (child + 1 < l->n_heap && earlier(l, l->heap[child + 1], l->heap[child]))
			child++;
		if (!earlier(l, l->heap[child], last))
			break;
		l->heap[at] = l->heap[child];
		at = child;
	}
	l->heap[at] = last;
	return first;
}

static uint64_t lane_next(const struct lane *l)
{
	return l->n_heap == 0 ? TIME_NEVER : frame_at(l, l->heap[0])->arrives_ns;
}

/* --- sending --- */

static uint64_t add_time(uint64_t a, uint64_t b)
{
	uint64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? TIME_NEVER - 1 : sum;
}

static bool lane_carry(struct lane *l, const struct packet *p, uint64_t arrives_ns)
{
	uint32_t index = pool_alloc(&l->frames);
	if (index == POOL_NONE)
		return false;
	struct frame *f = frame_at(l, index);
	f->arrives_ns = arrives_ns;
	f->order = l->n_sent++;
	f->offload = p->offload;
	/* What the sender knows of the checksum, the receiver does not. */
	f->offload.csum_valid = false;
	f->len = p->len;
	memcpy(f->bytes, p->buf + p->off, p->len);
	heap_push(l, index);
	return true;
}

static void lane_send(struct lane *l, const struct packet *p, uint64_t now)
{
	bool lost = rng_below(&l->rng, PPM) < l->cfg.loss_ppm;
	bool duplicated = rng_below(&l->rng, PPM) < l->cfg.duplicate_ppm;
	bool reordered = rng_below(&l->rng, PPM) < l->cfg.reorder_ppm;
	if (l->frames.n_used == l->frames.cap) {
		l->n_overflowed++;
		return;
	}
	uint64_t sent_ns = now;
	if (l->cfg.rate_bps > 0) {
		uint64_t bits = (uint64_t)p->len * 8;
		uint64_t takes_ns = (bits * NS_PER_S + l->cfg.rate_bps - 1) / l->cfg.rate_bps;
		sent_ns = add_time(max_u64(now, l->busy_until_ns), takes_ns);
		l->busy_until_ns = sent_ns;
	}
	/* A lost frame has taken its time on the wire. */
	if (lost) {
		l->n_lost++;
		return;
	}
	uint64_t arrives_ns = add_time(sent_ns, l->cfg.delay_ns);
	if (reordered)
		arrives_ns = add_time(arrives_ns, l->cfg.reorder_delay_ns);
	lane_carry(l, p, arrives_ns);
	if (duplicated && lane_carry(l, p, arrives_ns))
		l->n_duplicated++;
}

static bool fits(const struct end *e, const struct packet *p)
{
	const uint32_t link_most = e->dev.mtu + ETHER_HEADER_LEN;
	uint32_t segment_len = p->len;
	if (p->offload.gso_type != GSO_NONE)
		segment_len = (uint32_t)p->l4_off + p->l4.header_len + p->offload.gso_size;
	return segment_len <= link_most && p->len <= e->out->frame_most;
}

static void end_tx(struct device *d, struct batch *b)
{
	struct end *e = end_of(d);
	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		assert(!p->offload.csum_partial || (d->caps & DEVICE_CAP_CSUM) != 0);
		assert(p->offload.gso_type == GSO_NONE || device_cuts(d->caps, p->offload.gso_type));
		if (!d->up) {
			packet_drop(d->pool, d->ledger, p, DROP_TX_DOWN);
			continue;
		}
		if (!fits(e, p)) {
			packet_drop(d->pool, d->ledger, p, DROP_TX_TOO_BIG);
			continue;
		}
		d->ledger->n_handed++;
		d->n_tx_packets++;
		d->n_tx_bytes += p->len;
		lane_send(e->out, p, e->wire->now);
		packet_free(d->pool, p);
	}
	b->n = 0;
}

/* --- receiving --- */

/* Appends the frame to b, or drops it for want of a buffer. */
static void receive(struct device *d, const struct frame *f, struct batch *b)
{
	d->ledger->n_received++;
	d->n_rx_packets++;
	d->n_rx_bytes += f->len;
	struct packet *p = packet_alloc(d->pool, f->len);
	if (p == NULL) {
		d->ledger->n_dropped[DROP_NO_BUFFER]++;
		return;
	}
	memcpy(packet_frame(p), f->bytes, f->len);
	p->offload = f->offload;
	if (f->len >= ETHER_HEADER_LEN)
		stamp_take(d, p);
	batch_add(b, p);
}

static uint32_t end_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct end *e = end_of(d);
	struct lane *l = e->in;
	uint32_t n_before = b->n;
	uint32_t n_most = n_before + min_u32(max, BATCH_MAX - n_before);
	while (b->n < n_most && lane_next(l) <= e->wire->now) {
		uint32_t index = heap_pop(l);
		if (d->up)
			receive(d, frame_at(l, index), b);
		else
			l->n_lost++;
		pool_free(&l->frames, index);
	}
	return b->n - n_before;
}

static int end_poll_fd(struct device *d)
{
	return -1;
}

static uint64_t end_next(struct device *d)
{
	return lane_next(end_of(d)->in);
}

static void end_close(struct device *d)
{
	d->up = false;
}

static const struct device_ops end_ops = {
	.driver = "memwire",
	.rx = end_rx,
	.tx = end_tx,
	.poll_fd = end_poll_fd,
	.next = end_next,
	.close = end_close,
};

/* --- life --- */

static bool lane_init(struct lane *l, const struct memwire_config *cfg, const uint8_t seed[RNG_SEED_BYTES], uint8_t nr)
{
	l->cfg = *cfg;
	if (l->cfg.queue_packets == 0)
		l->cfg.queue_packets = DEFAULT_QUEUE;
	if (l->cfg.mtu == 0)
		l->cfg.mtu = DEFAULT_MTU;
	uint8_t own_seed[RNG_SEED_BYTES];
	memcpy(own_seed, seed, sizeof(own_seed));
	own_seed[0] ^= nr;
	rng_init(&l->rng, own_seed);

	l->frame_most =
		(l->cfg.caps & (DEVICE_CAP_TSO | DEVICE_CAP_USO) ? IPV4_MAX_LEN : l->cfg.mtu) + ETHER_HEADER_LEN;
	if (pool_init(&l->frames, l->cfg.queue_packets, sizeof(struct frame) + l->frame_most, 8) != 0)
		return false;
	l->heap = calloc(l->cfg.queue_packets, sizeof(*l->heap));
	return l->heap != NULL;
}

static void end_init(struct memwire *w, uint32_t nr)
{
	struct end *e = &w->end[nr];
	e->wire = w;
	e->out = &w->lane[nr];
	e->in = &w->lane[1 - nr];
	e->dev = (struct device){
		.ops = &end_ops,
		.name = { 'w', 'i', 'r', 'e', (char)('0' + nr) },
		/* Locally administered. */
		.mac = { { 0x02, 0, 0, 0, 0, (uint8_t)(nr + 1) } },
		.mtu = e->out->cfg.mtu,
		.caps = e->out->cfg.caps,
		.up = true,
	};
}

struct memwire *memwire_create(const struct memwire_config *ab, const struct memwire_config *ba,
			       const uint8_t seed[RNG_SEED_BYTES])
{
	struct memwire *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	if (!lane_init(&w->lane[0], ab, seed, 0) || !lane_init(&w->lane[1], ba, seed, 1)) {
		memwire_destroy(w);
		return NULL;
	}
	end_init(w, 0);
	end_init(w, 1);
	return w;
}

void memwire_destroy(struct memwire *w)
{
	if (w == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		pool_fini(&w->lane[i].frames);
		free(w->lane[i].heap);
	}
	free(w);
}

struct device *memwire_end(struct memwire *w, uint32_t end)
{
	assert(end < 2);
	return &w->end[end].dev;
}

void memwire_set_time(struct memwire *w, uint64_t now)
{
	assert(now >= w->now && "time never goes back");
	w->now = now;
}

uint64_t memwire_next(const struct memwire *w)
{
	return min_u64(lane_next(&w->lane[0]), lane_next(&w->lane[1]));
}

uint32_t memwire_in_flight(const struct memwire *w)
{
	return w->lane[0].n_heap + w->lane[1].n_heap;
}

uint64_t memwire_lost(const struct memwire *w)
{
	return w->lane[0].n_lost + w->lane[1].n_lost;
}

uint64_t memwire_overflowed(const struct memwire *w)
{
	return w->lane[0].n_overflowed + w->lane[1].n_overflowed;
}

uint64_t memwire_duplicated(const struct memwire *w)
{
	return w->lane[0].n_duplicated + w->lane[1].n_duplicated;
}
