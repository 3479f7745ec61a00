/* SPDX-License-Identifier: BSD-2-Clause
 *
 * No packet overtakes another of its flow on the way through user space.
 *
 * The program numbers the packets of a flow that it sends up (`up`), and each
 * carries its number (stack/packet/stamp.h). We publish in `handled` the number of the
 * last one that was dealt with, and the program forwards only while both are equal.
 * Packets come up in the order in which they went, or not at all; so when number n
 * has been dealt with, nothing before it is on its way any more, whatever went up
 * before the flow was put in, and whatever was lost. No load and no time enters
 * into that, and a flow is open the moment that it has nothing on its way.
 *
 * What a number cannot tell: that nothing is on its way when the last packet that
 * went up was lost, or none has gone up since the flow was put in. Such a flow sends
 * its next packet up, which opens it. So that it need not, it is looked at meanwhile:
 * when `up` has not moved for a round of 10 ms, in which the queue in front of us
 * was seen empty, no packet of the flow is under way, and is opened. We may have stood still for
 * longer than that, so the time alone says nothing; while the queue stands no round
 * ends.
 *
 * A flow of datagrams that brings more than we take never has nothing on its way.
 * Where numbers show that it loses what it sends up (DRAIN_LOST of them since it was
 * open last), the program is asked to let what is on its way come out, and to drop
 * what comes meanwhile, which would mostly be lost as well; then it is open. TCP slows
 * down by itself, and loses nothing for that.
 *
 * A flow is looked at from when it is put in, with nothing forwarded before, and
 * from any moment at which a packet of it was dealt with and others are on their
 * way. One that lost its last packet is found by the slices of reading back, about
 * once a second.
 *
 * The list is in the order in which slots were put in, and each waits as long: its
 * first is always the next. No more than WATCH_BUDGET are looked at in a
 * millisecond, however many wait for a queue that stands.
 */
#include <netinet/in.h>

#include "daemon/fastpath/offload_priv.h"

#define WATCH_BUDGET 1024u
#define WATCH_PAUSE_NS NS_PER_MS
/* Two CPUs that send up at the same time may change the order of their packets, by so many at the most. */
#define ORDER_SLACK 64u
/* Numbers that did not come since the flow was put in, or was open last. */
#define DRAIN_LOST 8u

/* What the program compares. Sequentially consistent: `up` is looked at again behind it. */
static void publish(struct fp_flow *f, uint16_t handled)
{
	__atomic_store_n(&f->handled, handled, __ATOMIC_SEQ_CST);
}

/* Unless the program has written it meanwhile: then it is newer. */
static void raise_mark(uint32_t *mark, uint32_t from, uint32_t to)
{
	__atomic_compare_exchange_n(mark, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

void offload_order_renew_marks(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	const struct conn *c = conntrack_conn(m->ct, m->slot[slot].conn);
	struct fp_flow *f = offload_flow(m, slot, dir);

	if (c->half[CT_ORIGINAL].tuple.proto != IPPROTO_TCP)
		return;
	uint32_t end = FLOW_LOAD(f->tcp_end), ack = FLOW_LOAD(f->tcp_ack), win = FLOW_LOAD(f->tcp_win);
	uint32_t now = offload_tcp_win(c, dir);
	if ((int32_t)(c->half[dir].tcp.end - end) > 0)
		raise_mark(&f->tcp_end, end, c->half[dir].tcp.end);
	if ((int32_t)(c->half[dir].tcp.max_ack - ack) > 0)
		raise_mark(&f->tcp_ack, ack, c->half[dir].tcp.max_ack);
	if ((uint16_t)now > (uint16_t)win || (now ^ win) >> FP_TCP_SCALE_SHIFT != 0)
		raise_mark(&f->tcp_win, win, (now & ~0xffffu) | max_u32((uint16_t)now, (uint16_t)win));
}

static uint16_t up_now(const struct fp_flow *f)
{
	return __atomic_load_n(&f->up, __ATOMIC_SEQ_CST);
}

/* The program lets the flow's packets come out before it sends more up; or not any more. */
static void drain(struct offload_map *m, uint32_t slot, enum ct_dir dir, bool on)
{
	struct fp_flow *f = offload_flow(m, slot, dir);

	if (!on)
		m->slot[slot].side[dir].n_lost = 0;
	if (f->proto == IPPROTO_UDP && (FLOW_LOAD(f->tcp_win) & FP_DRAIN) != (on ? FP_DRAIN : 0))
		__atomic_store_n(&f->tcp_win, on ? FP_DRAIN : 0, __ATOMIC_RELEASE);
}

/* All up to this number have come out. True when that is all that went up. */
static bool open_at(struct offload_map *m, uint32_t slot, enum ct_dir dir, uint16_t number)
{
	struct fp_flow *f = offload_flow(m, slot, dir);

	offload_order_renew_marks(m, slot, dir);
	m->slot[slot].side[dir].handled = number;
	m->slot[slot].side[dir].is_new = false;
	publish(f, number);
	if (up_now(f) != number)
		return false;
	drain(m, slot, dir, false);
	return true;
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
}

void offload_order_begin(struct offload_map *m, uint32_t slot, enum ct_dir dir, struct fp_flow *half)
{
	struct offload_side *s = &m->slot[slot].side[dir];
	uint16_t up = up_now(offload_flow(m, slot, dir));

	if (half->proto == 0) {
		/* Nothing ever goes up of it. */
		s->handled = half->handled = up;
		s->is_new = false;
		return;
	}
	/* As if one had gone up that was not dealt with: it stands for all that went before. */
	s->handled = (uint16_t)(up - 1);
	s->is_new = true;
	s->n_lost = 0;
	begin_round(m, s, half, up);
	half->handled = s->handled;
}

static void watch(struct offload_map *m, uint32_t slot)
{
	m->slot[slot].watched = true;
	offload_list_add(m, LIST_WATCHED, slot);
}

void offload_order_written(struct offload_map *m, uint32_t slot)
{
	if (m->slot[slot].watched)
		m->slot[slot].rewritten = true;
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
		uint16_t up = up_now(offload_flow(m, slot, dir));
		begin_round(m, s, offload_flow(m, slot, dir), up);
		differ |= up != s->handled;
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

/* Numbers that never came, from when the flow was put in on; or one that came late after all. */
static void count_redirect_drop(struct offload_map *m, struct offload_side *s, uint16_t number)
{
	uint16_t step = (uint16_t)(number - s->handled);

	if ((uint16_t)-step < ORDER_SLACK) {
		m->info.n_lost -= m->info.n_lost > 0;
		return;
	}
	m->info.n_lost += step - 1u - s->is_new;
	s->n_lost = (uint8_t)min_u32(s->n_lost + step - 1u - s->is_new, UINT8_MAX);
}

void offload_order_came_up(struct offload_map *m, uint32_t slot, enum ct_dir dir, const struct up_stamp *stamp)
{
	struct offload_side *s = &m->slot[slot].side[dir];
	const struct fp_flow *f = offload_flow(m, slot, dir);
	uint16_t went_up = (uint16_t)(up_now(f) - s->handled), step = (uint16_t)(stamp->number - s->handled);

	/* Of a flow that was here before, or rewritten since. */
	if (stamp->version != FLOW_LOAD(f->version))
		return;
	if (step == 0 || step > went_up) {
		if (!s->is_new && step != 0 && (uint16_t)-step < ORDER_SLACK)
			count_redirect_drop(m, s, stamp->number);
		return;
	}
	count_redirect_drop(m, s, stamp->number);
	if (open_at(m, slot, dir, stamp->number))
		return;
	if (s->n_lost >= DRAIN_LOST)
		drain(m, slot, dir, true);
	offload_order_look(m, slot);
}

/* A round is over. True when the flow is open. */
static bool end_round(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	struct offload_side *s = &m->slot[slot].side[dir];
	struct fp_flow *f = offload_flow(m, slot, dir);
	uint16_t up = up_now(f);

	if (up == s->handled)
		return true;
	if (!seen_empty(m, s, f->in_port)) {
		/* What has gone up since waits for a look of its own; the one at what went before goes on. */
		if (up == s->mark)
			return false;
	} else if (up == s->mark) {
		count_redirect_drop(m, s, (uint16_t)(up + 1));
		if (open_at(m, slot, dir, up))
			return true;
		up = up_now(f);
	}
	begin_round(m, s, f, up);
	return false;
}

void offload_order_expire(struct offload_map *m)
{
	uint64_t now = m->env->now;

	if (now < m->next_watch_ns)
		return;
	for (uint32_t i = 0; i < WATCH_BUDGET; i++) {
		uint32_t slot = offload_list_pop(m, LIST_WATCHED);
		if (slot == OFFLOAD_NONE)
			return;
		struct offload_slot *sl = &m->slot[slot];
		bool rewritten = sl->rewritten;
		sl->watched = sl->rewritten = false;
		if (sl->state != SLOT_LIVE)
			continue;
		bool first = !rewritten && end_round(m, slot, CT_ORIGINAL);
		bool second = !rewritten && end_round(m, slot, CT_REPLY);
		if (!first || !second)
			watch(m, slot);
	}
	m->next_watch_ns = now + WATCH_PAUSE_NS;
}

uint64_t offload_order_next(const struct offload_map *m)
{
	uint32_t first = m->list[LIST_WATCHED].first;

	return first == OFFLOAD_NONE
		       ? TIME_NEVER
		       : max_u64(m->slot[first].since_ns[LIST_WATCHED] + OFFLOAD_REST_NS, m->next_watch_ns);
}
