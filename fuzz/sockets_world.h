/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The world of the fuzz target of sockets: one or two stacks of libyangguan, by its public headers alone, and the link
 * between them.
 *
 *   [0] 10.0.0.1 --- a link that loses, doubles, delays, damages and refuses packets --- 10.0.0.2 [1]
 *
 * What the link does to a packet is drawn from numbers that the input begins and steers. Every packet is given to its
 * stack as a loan (yg_packet_wrap), so that a buffer that never comes back is seen.
 */
#ifndef YG_FUZZ_SOCKETS_WORLD_H
#define YG_FUZZ_SOCKETS_WORLD_H

#include <errno.h>
#include <time.h>

#include <yangguan/event.h>
#include <yangguan/forward.h>
#include <yangguan/info.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>
#include <yangguan/zerocopy.h>

#include "base/util.h"
#include "wire_fuzz.h"

#define N_STACKS 2u
#define N_SLOTS 24u
#define FLIGHTS_MAX 512u
#define HOARD_MAX 512u
#define FLOWS_MAX 16u
#define FIRES_MAX 200000u /* a timer that is due again at once would reach it */
#define WAITS_MAX 64u
#define OPS_MAX 64u
#define N_NUMBERS 256u /* of sockets, and more */

enum slot_kind { SLOT_NONE, SLOT_STREAM, SLOT_LISTENER, SLOT_DATAGRAM, SLOT_RAW, SLOT_EPOLL };

struct slot {
	int fd;
	enum slot_kind kind;
	bool is_watched; /* by the epoll that watches all */
};

struct world;

struct end {
	struct world *w;
	struct yg_stack *s;
	struct slot slot[N_SLOTS];
	struct yg_packet *hoard[HOARD_MAX]; /* taken out of its memory */
	uint32_t n_hoard;
	uint64_t flow[FLOWS_MAX]; /* held, and not decided; 0: none */
	uint32_t refuses;         /* the next so many packets */
	uint32_t n_lent, n_released;
	uint8_t *op[OPS_MAX]; /* the bytes of one that is not done, NULL: none */
	uint32_t n_ops, n_reaped;
	bool is_traced[N_NUMBERS];
	int all; /* an epoll that watches every slot, level-triggered */
	uint64_t deadline;
	int is_ready;
};

struct flight {
	uint64_t at;
	struct end *to;
	uint8_t *loan; /* YG_HEADROOM bytes, and the packet */
	size_t len;
	struct yg_offload offload;
};

struct world {
	struct end end[N_STACKS];
	uint32_t n_stacks;
	uint64_t now;
	struct flight flight[FLIGHTS_MAX];
	uint32_t n_flights;
	uint8_t loses, doubles, damages, delays; /* of 256 packets so many; ms at most */
	uint32_t drawn;
	uint32_t n_waits; /* left of this call */
	int closes;       /* this slot in the middle of the next wait, -1: none */
};

static inline uint32_t world_draw(struct world *w)
{
	w->drawn ^= w->drawn << 13;
	w->drawn ^= w->drawn >> 17;
	w->drawn ^= w->drawn << 5;
	return w->drawn;
}

static inline bool world_chance(struct world *w, uint32_t of_256)
{
	return (world_draw(w) >> 8 & 255) < of_256;
}

/* --- the link --- */

static inline void world_released(void *ctx, uint64_t cookie)
{
	((struct end *)ctx)->n_released++;
	free((void *)(uintptr_t)cookie);
}

static inline void world_send(struct world *w, struct end *to, const uint8_t *bytes, size_t len,
			      const struct yg_offload *o)
{
	struct flight *f = &w->flight[w->n_flights];

	if (w->n_flights == FLIGHTS_MAX)
		return;
	*f = (struct flight){ .at = w->now, .to = to, .len = len, .offload = *o };
	f->at += NS_PER_MS / 2 + (w->delays > 0 ? world_draw(w) % (w->delays * NS_PER_MS) : 0);
	f->loan = malloc(YG_HEADROOM + len);
	FUZZ_CHECK(f->loan != NULL);
	memcpy(f->loan + YG_HEADROOM, bytes, len);
	if (len > 0 && world_chance(w, w->damages))
		f->loan[YG_HEADROOM + world_draw(w) % len] ^= (uint8_t)(1u << (world_draw(w) & 7));
	w->n_flights++;
}

static inline int world_output(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	struct end *e = ctx;
	struct world *w = e->w;

	for (unsigned int i = 0; i < n; i++) {
		struct yg_offload o;

		if (e->refuses > 0) {
			e->refuses--;
			return (int)i;
		}
		yg_packet_offload(p[i], e->s, &o);
		for (int k = 0; k <= world_chance(w, w->doubles); k++)
			if (w->n_stacks == 2 && !world_chance(w, w->loses))
				world_send(w, &w->end[e == &w->end[0]], yg_packet_data(p[i], e->s),
					   yg_packet_len(p[i], e->s), &o);
		yg_packet_free(e->s, p[i]);
	}
	return (int)n;
}

static inline void world_changed(void *ctx, uint64_t deadline, int ready)
{
	struct end *e = ctx;

	e->deadline = deadline;
	e->is_ready = ready;
}

static inline void world_deliver(struct world *w, uint32_t i)
{
	struct flight f = w->flight[i];
	struct yg_packet *p = yg_packet_wrap(f.to->s, f.loan, YG_HEADROOM + f.len, YG_HEADROOM, f.len, world_released,
					     f.to, (uint64_t)(uintptr_t)f.loan);

	memmove(&w->flight[i], &w->flight[i + 1], (--w->n_flights - i) * sizeof(f));
	if (p == NULL) {
		free(f.loan);
		return;
	}
	f.to->n_lent++;
	yg_packet_set_offload(p, f.to->s, &f.offload);
	yg_input(f.to->s, &p, 1, w->now);
}

/* --- the clock --- */

static inline uint64_t world_next(const struct world *w)
{
	uint64_t next = YG_NEVER;

	for (uint32_t i = 0; i < w->n_stacks; i++)
		next = min_u64(next, yg_next_deadline(w->end[i].s));
	for (uint32_t i = 0; i < w->n_flights; i++)
		next = min_u64(next, w->flight[i].at);
	return next;
}

static inline void world_at(struct world *w, uint64_t now)
{
	w->now = max_u64(w->now, now);
	for (uint32_t i = 0; i < w->n_stacks; i++)
		yg_run(w->end[i].s, w->now);
	for (uint32_t i = 0; i < w->n_flights;)
		if (w->flight[i].at <= w->now)
			world_deliver(w, i);
		else
			i++;
}

static inline void world_run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	for (uint32_t n = 0; world_next(w) <= end; n++) {
		FUZZ_CHECK(n < FIRES_MAX);
		world_at(w, world_next(w));
	}
	world_at(w, end);
}

/* A call that blocks has the world go on, and is interrupted if that takes long. */
static inline int world_wait(void *ctx, uint64_t deadline)
{
	struct end *e = ctx;
	struct world *w = e->w;
	uint64_t next = min_u64(world_next(w), deadline);

	if (next == YG_NEVER || w->n_waits == 0)
		return -EINTR;
	w->n_waits--;
	world_at(w, next);
	if (w->closes >= 0) {
		struct slot *s = &e->slot[w->closes];

		w->closes = -1;
		if (s->kind != SLOT_NONE && yg_close(e->s, s->fd) == 0)
			e->is_traced[s->fd] = false;
		s->kind = SLOT_NONE;
	}
	return 0;
}

/* --- flows to others --- */

static inline void world_flow(void *ctx, const struct yg_flow *f)
{
	struct end *e = ctx;

	FUZZ_CHECK(f->size == sizeof(*f));
	for (uint32_t i = 0; i < FLOWS_MAX; i++) {
		if (e->flow[i] != (f->is_gone ? f->id : 0))
			continue;
		e->flow[i] = f->is_gone ? 0 : f->id;
		return;
	}
	/* It has not heard of it, or has no place left to note it. */
	if (!f->is_gone)
		FUZZ_CHECK(yg_flow_refuse(e->s, f->id, YG_REFUSE_SILENT) == 0);
}

/* --- life --- */

static inline void world_begin_end(struct world *w, uint32_t i, uint32_t how)
{
	struct end *e = &w->end[i];
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = world_output,
				     .changed = world_changed,
				     .ctx = e,
				     .seed = { (uint8_t)(i + 1) },
				     .now = w->now,
				     .flags = how >> 1 & (YG_ETHERNET | YG_OFFLOAD_CHECKSUM | YG_OFFLOAD_SEGMENTS),
				     .mac = { 2, 0, 0, 0, 0, (uint8_t)(i + 1) },
				     .address = i == 0 ? "10.0.0.1/24" : "10.0.0.2/24",
				     .gateway = i == 0 ? "10.0.0.2" : NULL,
				     .n_sockets = how & 16 ? 8 : 32,
				     .n_packets = how & 32 ? 48 : 1024,
				     .congestion = how & 64 ? "reno" : NULL,
				     .sndbuf = how & 128 ? 4608 : 0,
				     .rcvbuf = how & 128 ? 2304 : 0 };

	e->w = w;
	e->s = yg_stack_create(&c);
	FUZZ_CHECK(e->s != NULL);
	yg_set_wait(e->s, world_wait, e);
	e->deadline = YG_NEVER;
	e->all = yg_epoll_create(e->s);
	FUZZ_CHECK(e->all >= 3);
	/* It tells at the end of calls. */
	yg_run(e->s, w->now);
}

static inline void world_begin(struct world *w, uint32_t how, uint32_t seed)
{
	memset(w, 0, sizeof(*w));
	w->n_stacks = 1 + (how & 1);
	w->now = 1000 * NS_PER_MS;
	w->drawn = seed | 1;
	w->closes = -1;
	for (uint32_t i = 0; i < w->n_stacks; i++)
		world_begin_end(w, i, how);
}

static inline void world_let_go(struct end *e)
{
	while (e->n_hoard > 0)
		yg_packet_free(e->s, e->hoard[--e->n_hoard]);
}

static inline void world_end(struct world *w)
{
	while (w->n_flights > 0)
		free(w->flight[--w->n_flights].loan);
	for (uint32_t i = 0; i < w->n_stacks; i++) {
		struct end *e = &w->end[i];

		world_let_go(e);
		yg_stack_destroy(e->s);
		FUZZ_CHECK(e->n_lent == e->n_released);
	}
}

#endif
