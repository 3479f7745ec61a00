/* SPDX-License-Identifier: BSD-2-Clause
 *
 * No packet overtakes another of its flow on the way through user space.
 *
 * The program counts in `up` what it sends up, we count in `handled` what has
 * been dealt with, and it forwards only while both are equal. Two things are not
 * in these counts: packets that went up before the flow was put in, and packets
 * that were lost on the way up. So the difference is not the truth, but the truth
 * plus a constant; and the truth is never negative, and zero whenever there was
 * nothing more to receive. Hence, while a flow is looked at:
 *
 *   - each time one of its packets has been dealt with, the least difference is
 *     noted;
 *   - after a round of 10 ms, in which the receive queue was seen empty, that least
 *     difference is taken for zero. We may have stood still for longer than that,
 *     so the time alone says nothing;
 *   - when nothing went up at all in such a round, nothing is on its way: the flow
 *     is at rest, and both are made equal;
 *   - when it has not come to rest in five such rounds, the queue in front of us
 *     stands and may be losing packets all the time. Then both are made equal
 *     once: what stands in the queue is overtaken, once, and the flow leaves the
 *     load that made the queue.
 *
 * A flow is looked at from when it is put in, with nothing forwarded in the first
 * round, and from any moment at which a packet of it was dealt with and the counts
 * still differ. A flow that lost a packet and got no other since is found by the
 * slices of reading back, about once a second.
 *
 * The list is in the order in which slots were put in, and each waits as long: its
 * first is always the next.
 */
#include <netinet/in.h>

#include "fastpath/offload_priv.h"

/* Rounds that a flow may be behind before it is let through. */
#define ROUNDS_MAX 5
/* Slots looked at in one call. */
#define WATCH_BUDGET 4096u
/* As far from equal as 16 bits allow. */
#define FAR_AWAY 0x8000u
#define TRIES_MAX 16

/* What the program compares. Sequentially consistent: `up` is looked at again behind it. */
static void publish(struct fp_flow *f, uint16_t handled)
{
	__atomic_store_n(&f->handled, handled, __ATOMIC_SEQ_CST);
}

/* A packet that went through user space has moved conntrack's window, and the other direction, which may be open, is
 * judged by these marks too. While the counts differ the program forwards nothing of this direction, and so does not
 * write them itself. */
static void renew_marks(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	const struct conn *c = conntrack_conn(m->ct, m->slot[slot].conn);
	struct fp_flow *f = offload_flow(m, slot, dir);

	if (c->half[CT_ORIGINAL].tuple.proto != IPPROTO_TCP)
		return;
	if ((int32_t)(c->half[dir].tcp.end - f->tcp_end) > 0)
		__atomic_store_n(&f->tcp_end, c->half[dir].tcp.end, __ATOMIC_RELAXED);
	if ((int32_t)(c->half[dir].tcp.max_ack - f->tcp_ack) > 0)
		__atomic_store_n(&f->tcp_ack, c->half[dir].tcp.max_ack, __ATOMIC_RELAXED);
	uint32_t win = offload_tcp_win(c, dir);
	if (win >> FP_TCP_FAR_SHIFT > f->tcp_win >> FP_TCP_FAR_SHIFT)
		__atomic_store_n(&f->tcp_win, win, __ATOMIC_RELAXED);
}

static uint16_t up_now(const struct fp_flow *f)
{
	return __atomic_load_n(&f->up, __ATOMIC_SEQ_CST);
}

/* The program may forward once `up` is side.handled. True when it is so now. */
static bool open_at(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	const struct offload_slot *sl = &m->slot[slot];
	struct fp_flow *f = offload_flow(m, slot, dir);
	uint16_t handled = sl->side[dir].handled;

	if (FLOW_LOAD(f->handled) != handled)
		renew_marks(m, slot, dir);
	publish(f, handled);
	return up_now(f) == handled;
}

/* Moves on when there was nothing more to receive from the port. */
static uint32_t n_empty(const struct offload_map *m, uint32_t port)
{
	return m->queues == NULL ? m->port[port].n_empty : offload_queues_epoch(m->queues, port);
}

/* What was on its way when the round began has been dealt with. */
static bool seen_empty(const struct offload_map *m, const struct offload_side *s, uint32_t port)
{
	return n_empty(m, port) - s->n_empty >= (m->queues == NULL ? 1 : OFFLOAD_EMPTY_STEPS);
}

static void begin_round(const struct offload_map *m, struct offload_side *s, const struct fp_flow *f, uint16_t up)
{
	s->n_empty = n_empty(m, f->in_port);
	s->mark = up;
	s->behind = (int16_t)(up - s->handled);
}

void offload_order_begin(struct offload_map *m, uint32_t slot, enum ct_dir dir, struct fp_flow *half)
{
	struct offload_side *s = &m->slot[slot].side[dir];
	uint16_t up = up_now(offload_flow(m, slot, dir));

	s->handled = up;
	s->held = true;
	s->rounds = 0;
	begin_round(m, s, half, up);
	half->handled = (uint16_t)(up ^ FAR_AWAY);
}

static void watch(struct offload_map *m, uint32_t slot)
{
	m->slot[slot].watched = true;
	offload_list_add(m, LIST_WATCHED, slot);
}

void offload_order_written(struct offload_map *m, uint32_t slot)
{
	if (m->slot[slot].watched)
		m->slot[slot].anew = true;
	else
		watch(m, slot);
}

void offload_order_look(struct offload_map *m, uint32_t slot)
{
	struct offload_slot *sl = &m->slot[slot];
	bool differ = false;

	if (sl->watched)
		return;
	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++) {
		struct offload_side *s = &sl->side[dir];
		s->rounds = 0;
		begin_round(m, s, offload_flow(m, slot, dir), up_now(offload_flow(m, slot, dir)));
		differ |= s->behind != 0;
	}
	if (differ)
		watch(m, slot);
}

void offload_map_seen_empty(struct offload_map *m, uint32_t ifindex)
{
	if (m->queues == NULL)
		m->port[ifindex].n_empty++;
	else
		offload_queues_empty(m->queues, m->core, ifindex);
}

void offload_order_came_up(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	struct offload_side *s = &m->slot[slot].side[dir];
	struct fp_flow *f = offload_flow(m, slot, dir);
	uint16_t up = up_now(f);

	s->handled++;
	int16_t behind = (int16_t)(up - s->handled);
	if (behind == -1 && !s->held) {
		/* The counts were equal, so this one was not counted. */
		s->handled = up;
		behind = 0;
	} else if (behind < 0 && !s->held) {
		/* More went up since the last one than 16 bits tell apart. */
		behind = INT16_MAX;
	}
	if (behind < s->behind)
		s->behind = behind;
	if (s->held) {
		renew_marks(m, slot, dir);
		publish(f, (uint16_t)(up ^ FAR_AWAY));
	} else {
		open_at(m, slot, dir);
	}
	if (behind != 0)
		offload_order_look(m, slot);
}

/* The counts are made equal while the program may go on counting: so until it stands still. */
static bool make_equal(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		m->slot[slot].side[dir].handled = up_now(offload_flow(m, slot, dir));
		if (open_at(m, slot, dir))
			return true;
	}
	return false;
}

/* A round is over. True when the flow is through. */
static bool end_round(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	struct offload_side *s = &m->slot[slot].side[dir];
	struct fp_flow *f = offload_flow(m, slot, dir);
	uint16_t up = up_now(f);
	int16_t behind = (int16_t)(up - s->handled);
	bool was_held = s->held;

	if (behind == 0 && !was_held)
		return true;
	if (!seen_empty(m, s, f->in_port) && ++s->rounds < ROUNDS_MAX)
		return false;
	s->held = false;
	if (up == s->mark) {
		/* What goes up from now on is not dealt with yet. */
		m->info.n_resynced += !was_held;
		s->handled = up;
		if (open_at(m, slot, dir))
			return true;
	} else if (++s->rounds >= ROUNDS_MAX) {
		m->info.n_resynced += !was_held;
		if (make_equal(m, slot, dir))
			return true;
	} else {
		int16_t least = s->behind < behind ? s->behind : behind;
		s->handled = (uint16_t)(s->handled + least);
		m->info.n_resynced += !was_held && least != 0;
		if (open_at(m, slot, dir))
			return true;
	}
	begin_round(m, s, f, up_now(f));
	return false;
}

void offload_order_expire(struct offload_map *m)
{
	for (uint32_t i = 0; i < WATCH_BUDGET; i++) {
		uint32_t slot = offload_list_pop(m, LIST_WATCHED);
		if (slot == OFFLOAD_NONE)
			return;
		struct offload_slot *sl = &m->slot[slot];
		bool anew = sl->anew;
		sl->watched = sl->anew = false;
		if (sl->state != SLOT_LIVE)
			continue;
		bool first = !anew && end_round(m, slot, CT_ORIGINAL);
		bool second = !anew && end_round(m, slot, CT_REPLY);
		if (!first || !second)
			watch(m, slot);
	}
}

uint64_t offload_order_next(const struct offload_map *m)
{
	uint32_t first = m->list[LIST_WATCHED].first;

	return first == OFFLOAD_NONE ? TIME_NEVER : m->slot[first].since_ns[LIST_WATCHED] + OFFLOAD_REST_NS;
}
