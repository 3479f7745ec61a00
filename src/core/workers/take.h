/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Out of the rings: what a member of a worker group does with slots before it knows what
 * they hold. A frame is used where it stands, so a slot goes back when nobody needs
 * its bytes any more; a large one stays in its owner's memory and goes back by
 * its descriptor.
 */
#ifndef YG_CORE_WORKERS_TAKE_H
#define YG_CORE_WORKERS_TAKE_H

#include "core/workers/workers_priv.h"

/* A large packet is let go of: its descriptor goes back. */
static inline void give_back(void *ctx, uint64_t cookie)
{
	struct ring *returns = ctx;
	/* As many slots as packets that can be handed over by reference. */
	struct packet **slot = ring_put(returns);

	*slot = (struct packet *)(uintptr_t)cookie;
	ring_publish(returns);
}

static inline uint32_t take_returns(struct workers_member *w)
{
	uint32_t total = 0;

	for (uint32_t from = 0; from < w->workers->n_members; from++) {
		struct ring *ring = &workers_pair(w->workers, from, w->id)->returns;
		uint32_t n = from == w->id || w->n_external[from] == 0 ? 0 : ring_ready_now(ring);

		for (uint32_t i = 0; i < n; i++) {
			w->env->ledger.n_handed_over++;
			packet_free(w->env->pool, *(struct packet **)ring_at(ring, i));
		}
		if (n == 0)
			continue;
		ring_take(ring, n);
		w->n_external[from] -= n;
		total += n;
	}
	return total;
}

/* A packet out of a ring, and what came with it. */
struct arrival {
	struct packet *p;
	struct handoff_meta way;
};

/* The bytes in a slot are let go of. */
static inline void slot_done(void *ctx, uint64_t cookie)
{
	(void)cookie;
	((struct workers_pair *)ctx)->n_used--;
}

/* A packet around the frame, where it stands. NULL when there is no descriptor: dropped by name. */
static inline struct packet *take_over(struct workers_member *w, struct workers_pair *pair, struct handoff_slot *slot)
{
	struct packet *p =
		packet_set_external(w->env->pool, slot->bytes, HANDOFF_FRAME_BYTES, 0, slot->len, slot_done, pair, 0);

	if (YG_UNLIKELY(p == NULL)) {
		w->env->ledger.n_dropped[DROP_NO_BUFFER]++;
		return NULL;
	}
	pair->n_used++;
	return p;
}

/* The same for one whose bytes are somewhere else. */
static inline struct packet *take_over_external(struct workers_member *w, uint32_t from, const struct packet *o)
{
	struct ring *returns = &workers_pair(w->workers, w->id, from)->returns;
	struct packet *p = packet_set_external(w->env->pool, o->buf, o->buf_len, o->off, o->len, give_back, returns,
					       (uint64_t)(uintptr_t)o);

	if (p == NULL) {
		w->env->ledger.n_dropped[DROP_NO_BUFFER]++;
		give_back(returns, (uint64_t)(uintptr_t)o);
	}
	return p;
}

/* Packets of others that will be judged: at most a batch from all rings together, each looked at first in turn. */
struct takings {
	uint32_t n;
	uint8_t of[WORKERS_MAX + 1]; /* each */
};
_Static_assert(BATCH_MAX <= UINT8_MAX, "a batch of one of them");

static inline void see_packets(struct workers_member *w, struct takings *t)
{
	struct workers *c = w->workers;

	t->n = 0;
	w->turn++;
	for (uint32_t k = 0; k < c->n_members; k++) {
		uint32_t from = (w->turn + k) % c->n_members;
		struct workers_pair *pair = workers_pair(c, from, w->id);

		t->of[from] = 0;
		if (from == w->id || t->n == BATCH_MAX)
			continue;
		uint32_t n = min_u32(ring_ready_behind(&pair->packets, pair->n_open), BATCH_MAX - t->n);

		/* They stand in the other core's cache, and will be written. */
		for (uint32_t i = 0; i < n; i++)
			prefetch_write(ring_at(&pair->packets, pair->n_open + i));
		t->of[from] = (uint8_t)n;
		t->n += n;
	}
}

/* Whoever keeps a packet has bytes of its own by now (packet_copy_on_hold); while somebody does not, no slot goes back.
 */
static inline void give_slots_back(struct workers_member *w, const struct takings *t)
{
	bool all = true;

	if (t->n == 0 && !w->slots_open)
		return;
	for (uint32_t from = 0; from < w->workers->n_members; from++) {
		struct workers_pair *pair = workers_pair(w->workers, from, w->id);

		/* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): see_packets has filled it for each */
		pair->n_open += t->of[from];
		if (pair->n_open == 0)
			continue;
		if (pair->n_used > 0) {
			all = false;
			continue;
		}
		ring_take(&pair->packets, pair->n_open);
		pair->n_open = 0;
	}
	w->slots_open = !all;
}

#endif
