/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between the shortcuts and whoever forwards in our stead (src/fastpath, through
 * the slots of shortcuts_set_offload).
 *
 * A connection is offered when both directions have a shortcut, nothing but data
 * is to be expected of it, and it has been used for a while; or one direction, when
 * it has been used for long and never answered (shortcut.c); it is taken back
 * before it ends, before a shortcut of it becomes void, and when a TCP segment
 * with SYN, FIN or RST comes up, since from there on every segment may change its
 * state. Whenever a packet of it comes up, what was forwarded before is credited
 * first, so that conntrack judges by windows as they are. So is what is still owed
 * for a connection when all shortcuts have become void, which itself credits
 * nothing: with a million flows that would be a pause that people notice.
 */
#include "gateway/flowcache/shortcut_priv.h"

/* Packets in each direction before it is worth while. */
#define OFFER_AFTER 3
/* A refusal is not asked again at once. */
#define OFFER_EVERY 8
#define ONE_WAY_EVERY 4

static void set_offloaded(struct shortcuts *s, uint32_t conn, bool offloaded)
{
	for (uint32_t d = 0; d < N_CT_DIRS; d++)
		shortcut_entry(s, conn << 1 | d)->offloaded = offloaded;
}

void shortcut_take_back(struct shortcuts *s, uint32_t conn)
{
	if (!shortcut_owed(s, conn << 1))
		return;
	/* Both credit through shortcuts_credit, so the entries still stand. When they are void nothing is forwarded any
	 * more, and the place may be written anew. */
	if (s->offload != NULL && shortcut_present(s, conn << 1))
		s->offload->remove(s->offload->ctx, conn);
	else if (s->offload != NULL)
		(void)s->offload->read_back(s->offload->ctx, conn);
	set_offloaded(s, conn, false);
}

void shortcut_read_back_all(struct shortcuts *s)
{
	if (s->offload != NULL)
		s->offload->read_back_all(s->offload->ctx);
}

void shortcut_offer(struct shortcuts *s, uint32_t conn)
{
	const struct conn *c = &s->flows.conn[conn];
	uint64_t n_least = min_u64(c->half[CT_ORIGINAL].packets, c->half[CT_REPLY].packets);

	if (n_least < OFFER_AFTER || (c->half[CT_ORIGINAL].packets + c->half[CT_REPLY].packets) % OFFER_EVERY != 0)
		return;
	if (!shortcut_valid(s, conn << 1 | CT_ORIGINAL) || !shortcut_valid(s, conn << 1 | CT_REPLY))
		return;
	if (c->half[CT_ORIGINAL].tuple.proto == IPPROTO_NR_TCP && c->tcp_state != CT_TCP_ESTABLISHED)
		return;
	if (s->offload->add(s->offload->ctx, conn))
		set_offloaded(s, conn, true);
}

void shortcut_offer_one_way(struct shortcuts *s, uint32_t conn, uint32_t in_ifindex)
{
	if (s->flows.conn[conn].half[CT_ORIGINAL].packets % ONE_WAY_EVERY != 0)
		return;
	s->one_way_ifindex = in_ifindex;
	if (s->offload->add(s->offload->ctx, conn))
		set_offloaded(s, conn, true);
	s->one_way_ifindex = 0;
}

void shortcut_comes_up(struct shortcuts *s, uint32_t ref)
{
	if (s->offload != NULL)
		(void)s->offload->read_back(s->offload->ctx, conn_index(ref));
}

void shortcut_came_up(struct shortcuts *s, uint32_t ref, const struct up_stamp *stamp, bool taken)
{
	if (taken && s->offload != NULL)
		s->offload->moved(s->offload->ctx, conn_index(ref), conn_dir(ref));
	if (s->n_came_up == BATCH_MAX)
		return;
	s->came_up[s->n_came_up].ref = ref;
	s->came_up[s->n_came_up].stamp = *stamp;
	s->came_up[s->n_came_up++].taken = taken;
}

/* What was sent by ref's way out may still be in front of the kernel, where what it forwards would overtake it. Then
 * the packet counts as dealt with when a later one is (or when the flow is at rest). */
static bool still_waits(const struct shortcuts *s, uint32_t ref)
{
	const struct device *d;

	if (!shortcut_valid(s, ref))
		return false;
	d = ip_stack_device(s->ip, s->adjacency[shortcut_entry(s, ref)->adjacency].ifindex);
	return d != NULL && d->tx_waits;
}

void shortcuts_flushed(struct shortcuts *s, enum shortcuts_flush what)
{
	for (uint32_t i = 0; i < s->n_came_up && s->offload != NULL; i++) {
		uint32_t ref = s->came_up[i].ref;

		if ((s->came_up[i].taken || what == SHORTCUTS_FLUSHED_ALL) && !still_waits(s, ref))
			s->offload->came_up(s->offload->ctx, conn_index(ref), conn_dir(ref), &s->came_up[i].stamp);
	}
	s->n_came_up = 0;
}

bool shortcuts_alive(void *ctx, uint32_t conn)
{
	struct shortcuts *s = ctx;

	return s->offload != NULL && shortcut_owed(s, conn << 1) && s->offload->read_back(s->offload->ctx, conn);
}

void shortcuts_left(void *ctx, uint32_t conn)
{
	set_offloaded(ctx, conn, false);
}

void shortcuts_credit(struct shortcuts *s, uint32_t conn, enum ct_dir dir, const struct shortcut_debt *debt)
{
	uint32_t ref = conn << 1 | dir;
	const struct ct_shortcut *e = shortcut_entry(s, ref);
	struct ct_credit credit = {
		.packets = debt->packets,
		.bytes = debt->bytes,
		.last_ns = min_u64(debt->last_ns, s->env->now),
		.has_tcp = debt->has_tcp,
		.tcp_end = debt->tcp_end,
		.tcp_ack = debt->tcp_ack,
		.tcp_win = debt->tcp_win,
	};

	if (debt->packets == 0)
		return;
	conntrack_credit(s->ct, ref, &credit);
	if (!shortcut_trail_holds(s, e))
		return;
	s->trail[e->trail].packets += debt->packets;
	s->trail[e->trail].bytes += debt->bytes;
	/* The number of a void one may be another neighbour's by now. */
	if (shortcut_valid(s, ref) && s->adjacency[e->adjacency].stale)
		ip_adjacency_used(s->ip, e->adjacency);
}

void shortcuts_set_offload(struct shortcuts *s, const struct shortcuts_offload *o)
{
	/* Whoever was there has nothing of ours any more. */
	shortcuts_void_all(s);
	shortcut_read_back_all(s);
	s->n_came_up = 0;
	s->offload = o;
}
