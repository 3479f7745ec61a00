/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between the flow cache entries and whoever forwards in our stead (daemon/fastpath, through
 * the slots of flowcache_set_offload).
 *
 * A connection is offered when both directions have a flow cache entry and lead through us, nothing but data
 * is to be expected of it, and it has been used for a while; or one direction, when
 * it has been used for long and never answered (flowcache.c); it is taken back
 * before it ends, before a flow cache entry of it becomes invalid, and when a TCP segment
 * with SYN, FIN or RST comes up, since from there on every segment may change its
 * state. Whenever a packet of it comes up, what was forwarded before is credited
 * first, so that conntrack judges by windows as they are. So are the deferred counters
 * of a connection when all flow cache entries have become invalid, which itself credits
 * nothing: with a million flows that would be a pause that people notice.
 */
#include "gateway/flowcache/flowcache_priv.h"

/* Packets in each direction before it is worth while. */
#define OFFER_AFTER 3
/* A refusal is not asked again at once. */
#define OFFER_EVERY 8
#define ONE_WAY_EVERY 4

static void set_offloaded(struct flowcache *s, uint32_t conn, bool offloaded)
{
	for (uint32_t d = 0; d < N_CT_DIRS; d++)
		flowcache_entry(s, conn << 1 | d)->offloaded = offloaded;
}

void flowcache_take_back(struct flowcache *s, uint32_t conn)
{
	if (!flowcache_has_deferred(s, conn << 1))
		return;
	/* Both credit through flowcache_flush_counters, so the entries still stand. When they are void nothing is
	 * forwarded any more, and the place may be written again. */
	if (s->offload != NULL && flowcache_present(s, conn << 1))
		s->offload->remove(s->offload->ctx, conn);
	else if (s->offload != NULL)
		(void)s->offload->read_back(s->offload->ctx, conn);
	set_offloaded(s, conn, false);
}

void flowcache_read_back_all(struct flowcache *s)
{
	if (s->offload != NULL)
		s->offload->read_back_all(s->offload->ctx);
}

void flowcache_offer(struct flowcache *s, uint32_t conn)
{
	const struct conn *c = &s->flows.conn[conn];
	uint64_t n_least = min_u64(c->half[CT_ORIGINAL].packets, c->half[CT_REPLY].packets);

	if (n_least < OFFER_AFTER || (c->half[CT_ORIGINAL].packets + c->half[CT_REPLY].packets) % OFFER_EVERY != 0)
		return;
	if (!flowcache_forwards(s, conn << 1 | CT_ORIGINAL) || !flowcache_forwards(s, conn << 1 | CT_REPLY))
		return;
	if (c->half[CT_ORIGINAL].tuple.proto == IPPROTO_NR_TCP && c->tcp_state != CT_TCP_ESTABLISHED)
		return;
	if (s->offload->add(s->offload->ctx, conn))
		set_offloaded(s, conn, true);
}

void flowcache_offer_one_way(struct flowcache *s, uint32_t conn, uint32_t in_ifindex)
{
	if (s->flows.conn[conn].half[CT_ORIGINAL].packets % ONE_WAY_EVERY != 0)
		return;
	s->one_way_ifindex = in_ifindex;
	if (s->offload->add(s->offload->ctx, conn))
		set_offloaded(s, conn, true);
	s->one_way_ifindex = 0;
}

void flowcache_punts(struct flowcache *s, uint32_t ref)
{
	if (s->offload != NULL)
		(void)s->offload->read_back(s->offload->ctx, conn_index(ref));
}

void flowcache_punted(struct flowcache *s, uint32_t ref, const struct up_stamp *stamp, bool taken)
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
 * the packet counts as dealt with when a later one is (or when no packet of the flow is under way). */
static bool still_waits(const struct flowcache *s, uint32_t ref)
{
	const struct device *d;

	if (!flowcache_valid(s, ref))
		return false;
	d = ip_stack_device(s->ip, s->adjacency[flowcache_entry(s, ref)->adjacency].ifindex);
	return d != NULL && d->tx_waits;
}

void flowcache_flushed(struct flowcache *s, enum flowcache_flush what)
{
	for (uint32_t i = 0; i < s->n_came_up && s->offload != NULL; i++) {
		uint32_t ref = s->came_up[i].ref;

		if ((s->came_up[i].taken || what == FLOWCACHE_FLUSHED_ALL) && !still_waits(s, ref))
			s->offload->came_up(s->offload->ctx, conn_index(ref), conn_dir(ref), &s->came_up[i].stamp);
	}
	s->n_came_up = 0;
}

bool flowcache_alive(void *ctx, uint32_t conn)
{
	struct flowcache *s = ctx;

	return s->offload != NULL && flowcache_has_deferred(s, conn << 1) &&
	       s->offload->read_back(s->offload->ctx, conn);
}

void flowcache_left(void *ctx, uint32_t conn)
{
	set_offloaded(ctx, conn, false);
}

void flowcache_flush_counters(struct flowcache *s, uint32_t conn, enum ct_dir dir,
			      const struct flowcache_deferred *deferred)
{
	uint32_t ref = conn << 1 | dir;
	const struct ct_flowcache *e = flowcache_entry(s, ref);
	struct ct_deferred credit = {
		.packets = deferred->packets,
		.bytes = deferred->bytes,
		.last_ns = min_u64(deferred->last_ns, s->env->now),
		.has_tcp = deferred->has_tcp,
		.tcp_end = deferred->tcp_end,
		.tcp_ack = deferred->tcp_ack,
		.tcp_win = deferred->tcp_win,
	};

	if (deferred->packets == 0)
		return;
	conntrack_add_deferred(s->ct, ref, &credit);
	if (!flowcache_path_holds(s, e))
		return;
	s->path[e->path].packets += deferred->packets;
	s->path[e->path].bytes += deferred->bytes;
	/* The number of a void one may be another neighbour's by now. */
	if (flowcache_valid(s, ref) && s->adjacency[e->adjacency].stale)
		ip_adjacency_used(s->ip, e->adjacency);
}

void flowcache_set_offload(struct flowcache *s, const struct flowcache_offload *o)
{
	/* Whoever was there has nothing of ours any more. */
	flowcache_invalidate_all(s);
	flowcache_read_back_all(s);
	s->n_came_up = 0;
	s->offload = o;
}
