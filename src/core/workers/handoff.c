/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets from one worker to another.
 *
 * A small frame is copied into its slot of the ring and freed at once: that costs
 * less than to send the descriptor back later. Its receiver judges it where it
 * stands, so the slot is the packet's buffer until the batch is dealt with. What
 * costs is lines that change processors: a plain frame travels with four bytes in
 * front and nothing behind, since its receiver can see all else in it, and the
 * slots to come are asked for before they are filled. Of a large one only the address
 * travels; whoever gets it has them as an external buffer (packet_set_external), and when it
 * releases that the descriptor comes back through a ring of its own, whose size bounds
 * how many of a worker's another may hold.
 *
 * In the ledger a packet that went is handed over: a copied one at once, one
 * that went by reference when its descriptor has come back (it is held until then). A packet that
 * came is taken over.
 *
 * A new connection for which NAT finds no port here (workers_elsewhere) goes to the
 * next worker as it came, TTL and all; so the first bytes of every packet that
 * begins a connection are kept for as long as its batch. Workers are asked in an
 * order that follows from the tuple, each once; `asked` has those that were. While
 * nobody has answered, a redirect leads what follows of the flow the same way.
 *
 * Next: src/core/workers/packets.c of the other worker
 */
#include <string.h>

#include "core/workers/workers_priv.h"
#include "stack/packet/stamp.h"

/* Lines and parts of them, with what stands around the frame as long as that is the buffer's too: a few loads and
 * stores of one size. The slot's head is written over it. */
#define PART 32u
#define HEAD offsetof(struct handoff_slot, bytes)

static inline void put_frame(struct handoff_slot *slot, const struct packet *p, uint8_t ifindex, uint8_t flags)
{
	const uint8_t *from = p->buf + p->off;
	uint32_t n = (p->len + (uint32_t)HEAD + PART - 1) / PART * PART;

	if (YG_UNLIKELY(n > HEAD + HANDOFF_FRAME_BYTES || p->off < HEAD || n - HEAD > p->buf_len - p->off))
		memcpy(slot->bytes, from, p->len);
	else
		for (uint32_t i = 0; i < n; i += PART)
			memcpy((uint8_t *)slot + i, from - HEAD + i, PART);
	slot->len = (uint16_t)p->len;
	slot->ifindex = ifindex;
	slot->flags = flags;
}

/* NULL: the ring is full. */
static inline struct handoff_slot *next_slot(struct workers_member *w, uint32_t to)
{
	struct ring *ring = &workers_pair(w->workers, w->id, to)->packets;
	struct handoff_slot *slot = ring_put(ring);

	if (YG_UNLIKELY(slot == NULL))
		return NULL;
	prefetch_write(ring_ahead(ring, HANDOFF_AHEAD));
	w->filled |= UINT64_C(1) << to;
	return slot;
}

/* It travels in the frame, as it came. True when there is one. */
static bool write_stamp(struct workers_member *w, uint32_t ifindex, struct packet *p)
{
	if (YG_LIKELY(!p->stamp.present))
		return false;
	stamp_put(ip_stack_device(gateway_ip(w->gw), ifindex), &p->stamp, packet_frame(p));
	return true;
}

void handoff_trace(const struct workers_member *w, enum trace_kind kind, uint32_t other, const struct packet *p,
		   uint32_t ifindex)
{
	struct trace_step step = { .kind = kind, .p = p };

	step.handoff.from = (uint8_t)(kind == TRACE_HANDED_OVER ? w->id : other);
	step.handoff.to = (uint8_t)(kind == TRACE_HANDED_OVER ? other : w->id);
	step.handoff.ifindex = ifindex;
	env_trace(w->env, &step);
}

bool handoff_packet(struct workers_member *w, uint32_t to, struct packet *p, const struct handoff_meta *way,
		    enum handoff_keep keep)
{
	bool small = p->len <= HANDOFF_FRAME_BYTES;
	struct handoff_slot *slot = NULL;

	if (small || w->n_external[to] < HANDOFF_RETURNS)
		slot = next_slot(w, to);
	if (slot == NULL) {
		if (keep == HANDOFF_FREE_COPIED)
			env_drop(w->env, p, DROP_HANDOFF_RING);
		return false;
	}
	slot->way = *way;
	slot->offload = p->offload;
	slot->external = small ? NULL : p;
	write_stamp(w, way->ifindex, p);
	if (env_traced(w->env))
		handoff_trace(w, TRACE_HANDED_OVER, to, p, way->ifindex);
	if (!small) {
		slot->flags = 0;
		w->n_external[to]++;
		return true;
	}
	put_frame(slot, p, 0, 0);
	w->env->ledger.n_handed_over++;
	if (keep == HANDOFF_FREE_COPIED)
		packet_free(w->env->pool, p);
	return true;
}

static void hand_with_way(struct workers_member *w, uint32_t to, struct packet *p, uint32_t ifindex, uint8_t flags)
{
	struct handoff_meta way = { .ifindex = (uint8_t)ifindex, .flags = flags };

	(void)owner_look_plain(&w->workers->owner, ifindex, packet_frame(p), p->len, &way.tuple);
	(void)handoff_packet(w, to, p, &way, HANDOFF_FREE_COPIED);
}

void handoff_inline(struct workers_member *w, uint32_t to, struct packet *p, uint32_t ifindex, uint8_t flags)
{
	if (p->len > HANDOFF_FRAME_BYTES || p->offload.csum_partial || p->offload.gso_type != GSO_NONE) {
		hand_with_way(w, to, p, ifindex, flags);
		return;
	}
	struct handoff_slot *slot = next_slot(w, to);

	if (YG_UNLIKELY(slot == NULL)) {
		env_drop(w->env, p, DROP_HANDOFF_RING);
		return;
	}
	flags |= HANDOFF_INLINE | (p->offload.csum_valid ? HANDOFF_CSUM_VALID : 0);
	flags |= write_stamp(w, ifindex, p) ? HANDOFF_STAMPED : 0;
	put_frame(slot, p, (uint8_t)ifindex, flags);
	if (env_traced(w->env))
		handoff_trace(w, TRACE_HANDED_OVER, to, p, ifindex);
	w->env->ledger.n_handed_over++;
	packet_free(w->env->pool, p);
}

void handoff_copies(struct workers_member *w, const struct packet *p, uint32_t ifindex)
{
	struct handoff_meta way = { .ifindex = (uint8_t)ifindex, .flags = HANDOFF_FINAL };

	for (uint32_t to = 0; to < w->workers->n; to++) {
		struct packet *copy = to == w->id ? NULL : packet_copy(w->env->pool, p);

		if (copy == NULL)
			continue;
		w->env->ledger.n_pieces_made++;
		(void)handoff_packet(w, to, copy, &way, HANDOFF_FREE_COPIED);
	}
}

void workers_begins(void *ctx, const struct packet *p)
{
	struct workers_member *w = ctx;
	struct workers_stash *s = &w->stash[w->n_stashed++ % WORKERS_STASH];

	s->p = p;
	s->len = min_u32(p->len, WORKERS_STASH_BYTES);
	s->tuple = conntrack_of(gateway_conntrack(w->gw), p)->half[CT_ORIGINAL].tuple;
	memcpy(s->bytes, p->buf + p->off, s->len);
}

static const struct workers_stash *stash_of(const struct workers_member *w, const struct packet *p)
{
	uint32_t n = min_u32(w->n_stashed, WORKERS_STASH);

	for (uint32_t i = 1; i <= n; i++) {
		const struct workers_stash *s = &w->stash[(w->n_stashed - i) % WORKERS_STASH];
		if (s->p == p)
			return s;
	}
	return NULL;
}

/* The next worker to ask; WORKERS_NOBODY when all have been. */
static uint32_t next_to_ask(const struct workers *c, const struct tuple *t, uint64_t asked)
{
	uint32_t start = (uint32_t)tuple_hash(&c->owner.key, t);

	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t to = (start + i) % c->n;
		if ((asked >> to & 1) == 0)
			return to;
	}
	return WORKERS_NOBODY;
}

/* p as it came goes to another worker, out of the middle of its batch. */
static bool send_back(struct workers_member *w, uint32_t to, struct packet *p, const struct workers_stash *s,
		      const struct handoff_meta *way)
{
	if (w->gone.n == BATCH_MAX)
		return false;
	memcpy(packet_frame(p), s->bytes, s->len);
	if (!handoff_packet(w, to, p, way, HANDOFF_KEEP_COPIED))
		return false;
	/* The connection goes now; the packet behind its batch, which still knows it. */
	conntrack_packet_put(gateway_conntrack(w->gw), p);
	p->conn_ref = CONN_NONE;
	if (p->len <= HANDOFF_FRAME_BYTES)
		batch_add(&w->gone, p);
	p->verdict = VERDICT_STOLEN;
	return true;
}

bool workers_elsewhere(void *ctx, struct packet *p)
{
	struct workers_member *w = ctx;
	const struct workers_stash *s = stash_of(w, p);
	bool is_asked = p == w->ask.p;
	uint64_t asked = (is_asked ? w->ask.asked : 0) | UINT64_C(1) << w->id;

	if (s == NULL)
		return false;
	struct handoff_meta way = {
		.tuple = s->tuple, .asked = asked, .ifindex = (uint8_t)p->in_ifindex, .flags = HANDOFF_FINAL
	};
	/* What the host sends goes by its answer, and is made again there. */
	if (p->in_ifindex == 0) {
		way.tuple = tuple_invert(&s->tuple);
		workers_host_note(&way, p);
	}
	uint32_t to = next_to_ask(w->workers, &way.tuple, asked);
	if (to == WORKERS_NOBODY || !send_back(w, to, p, s, &way))
		return false;
	w->n_asked++;
	workers_redirect_set(w, &way.tuple, way.ifindex, to);
	w->ask.settled |= is_asked;
	return true;
}

bool workers_lease(void *ctx, struct packet *p, const struct nat_lease *wanted)
{
	struct workers_member *w = ctx;
	const struct workers_stash *s = p == w->ask.p || p->in_ifindex == 0 ? NULL : stash_of(w, p);

	if (s == NULL)
		return false;
	struct tuple inside = workers_inside(&s->tuple);
	uint32_t to = owner_of_host(&w->workers->owner, inside.src);
	if (to == w->id)
		to = workers_redirected(w, &inside);
	if (to == w->id)
		return false;
	struct handoff_meta way = { .tuple = s->tuple,
				    .lease = *wanted,
				    .ifindex = (uint8_t)p->in_ifindex,
				    .flags = HANDOFF_FINAL | HANDOFF_LEASE_WANTED };
	way.lease.lessee = (uint8_t)w->id;
	return send_back(w, to, p, s, &way);
}

void workers_publish(struct workers_member *w)
{
	struct workers *c = w->workers;

	for (; w->filled != 0; w->filled &= w->filled - 1) {
		uint32_t to = (uint32_t)__builtin_ctzll(w->filled);

		ring_publish(&workers_pair(c, w->id, to)->packets);
		w->touched |= UINT64_C(1) << to;
	}
	for (; w->touched != 0; w->touched &= w->touched - 1)
		if (c->wake != NULL)
			c->wake(c->wake_ctx, (uint32_t)__builtin_ctzll(w->touched));
}
