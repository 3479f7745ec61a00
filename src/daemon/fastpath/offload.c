/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which connections the kernel has, and their coming and going.
 *
 *   add -> live -> take_out -> grace (10 ms) -> free for another
 *
 * A connection that the kernel has stands in a slot of the flow map; the map may
 * have fewer slots than the connection table has entries, so an array leads from
 * the one to the other. Slots are given to those that ask first. When all are
 * taken, an asker is refused (n_full) and asks again after some packets; each
 * refusal looks at a few slots, and takes out one that was idle for ten seconds.
 * So the slots go to whoever sends.
 *
 * A flow that nobody answers is put in with the direction that is there alone; the
 * other one's half of the slot has protocol 0, and nobody finds it. The first answer
 * comes up and takes it out, and then both directions are put in as any.
 *
 * A slot waits before it is used again, because a program that found the flow just
 * before it was taken out may still be counting in it: what it adds after the last
 * credit belongs to nobody and is counted as late.
 *
 * When all flow cache entries are invalid, so are all flows: the generation moves on in this
 * core's ways out, and each flow sends its packets up until it is rewritten in
 * its place. One that nobody asks for again is taken out by the slices of reading
 * back. What such flows owe is credited when their next packet comes up, or by the
 * slices, not at once. When an adjacency's number is given to another neighbour,
 * the flows by it are void alike, and no others; a flow whose other direction goes
 * on stays in.
 *
 * Several cores share one flow map. Each has its own range of slots and of
 * adjacencies, numbered from 0 here; only what the program reads, references and
 * fp_flow.adjacency, has the numbers of the whole. So one core's comings, goings
 * and voids are nothing to another's flows.
 *
 * Where the rest is: what a flow looks like, offload_flow.c; no overtaking,
 * offload_order.c; what the program counted, offload_read.c; the ways out,
 * offload_adjacency.c; the memory itself, flow_map.c.
 */
#include "daemon/fastpath/offload.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "daemon/fastpath/offload_priv.h"
#include "stack/wire/icmp.h"

/* Connections that have ended and are still named by a batch have numbers beyond conntrack's capacity. */
#define CONNS_BEYOND 1024u

/* --- lists --- */

void offload_list_add(struct offload_map *m, enum offload_lists which, uint32_t slot)
{
	struct offload_list *l = &m->list[which];

	m->slot[slot].next[which] = OFFLOAD_NONE;
	m->slot[slot].since_ns[which] = m->env->now;
	if (l->first == OFFLOAD_NONE)
		l->first = slot;
	else
		m->slot[l->last].next[which] = slot;
	l->last = slot;
}

uint32_t offload_list_pop(struct offload_map *m, enum offload_lists which)
{
	struct offload_list *l = &m->list[which];
	uint32_t slot = l->first;

	if (slot == OFFLOAD_NONE || m->slot[slot].since_ns[which] + OFFLOAD_REST_NS > m->env->now)
		return OFFLOAD_NONE;
	l->first = m->slot[slot].next[which];
	return slot;
}

static uint32_t slot_alloc(struct offload_map *m)
{
	uint32_t slot = offload_list_pop(m, LIST_RESTING);

	if (slot == OFFLOAD_NONE && m->n_fresh < m->maps.n_connections)
		slot = m->n_fresh++;
	return slot;
}

static void slot_free(struct offload_map *m, uint32_t slot)
{
	m->slot[slot].state = SLOT_RESTING;
	offload_list_add(m, LIST_RESTING, slot);
}

/* --- in and out --- */

/* Nobody has answered yet. */
static bool is_one_way(const struct conn *c)
{
	return c->half[CT_ORIGINAL].tuple.proto == IPPROTO_UDP && (c->status & CT_SEEN_REPLY) == 0;
}

bool offload_plain(const struct offload_map *m, uint32_t conn)
{
	const struct conn *c = conntrack_conn(m->ct, conn);

	if ((c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED)
		return false;
	switch (c->half[CT_ORIGINAL].tuple.proto) {
	case IPPROTO_TCP:
		return c->tcp_state == CT_TCP_ESTABLISHED;
	case IPPROTO_UDP: {
		uint32_t slot = offload_slot_of(m, conn);
		/* One-way, and answered since. */
		return slot == OFFLOAD_NONE || offload_has_reply(m, slot) || is_one_way(c);
	}
	case IPPROTO_ICMP:
		return c->half[CT_ORIGINAL].tuple.dport == ICMP_ECHO_REQUEST << 8;
	default:
		return false;
	}
}

/* Packets of this direction meet a program and have a way out of it. */
static bool can_forward(const struct offload_map *m, const struct flowcache_view *v)
{
	uint32_t in = v->in_ifindex, out = ip_adjacency(m->ip, v->adjacency)->ifindex;
	enum fastpath_kind kind = m->port[in].kind;
	bool reaches = kind == FASTPATH_TC || m->port[out].kind != FASTPATH_TC;

	return reaches && m->port[in].kernel_ifindex != 0 && m->port[out].how != FP_EGRESS_UP &&
	       m->port[out].how <= fastpath_egress_max(kind);
}

/* Both directions as they are to be written; of a one-way flow the reply has protocol 0. */
static bool flows_of(struct offload_map *m, uint32_t conn, struct fp_flow half[N_CT_DIRS])
{
	bool any = false;

	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++) {
		struct flowcache_view v;
		if (dir == CT_REPLY && is_one_way(conntrack_conn(m->ct, conn))) {
			half[dir] = (struct fp_flow){ 0 };
			continue;
		}
		if (!flowcache_view(m->flowcache, conn, dir, &v) || v.in_ifindex >= IP_INTERFACES_MAX)
			return false;
		if (!offload_adjacency_use(m, v.adjacency)) {
			m->info.n_no_way++;
			return false;
		}
		any |= can_forward(m, &v);
		offload_flow_of(&v, conntrack_conn(m->ct, conn), dir, &half[dir]);
		half[dir].adjacency = (uint16_t)(m->first_adjacency + v.adjacency);
		half[dir].generation = m->adjacency[v.adjacency].generation;
	}
	return any;
}

static void begin(struct offload_map *m, uint32_t slot, struct fp_flow half[N_CT_DIRS])
{
	m->slot[slot].is_invalid = false;
	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++)
		offload_order_begin(m, slot, dir, &half[dir]);
}

/* Credits what went out by where the flow led until now. */
static void steer_elsewhere(struct offload_map *m, uint32_t slot, const struct fp_flow half[N_CT_DIRS])
{
	(void)offload_read_slot(m, slot);
	offload_read_ports(m, slot, half);
}

static bool put_in(struct offload_map *m, uint32_t conn, struct fp_flow half[N_CT_DIRS])
{
	uint32_t slot = slot_alloc(m);

	if (slot == OFFLOAD_NONE) {
		m->info.n_full++;
		offload_make_room(m);
		return false;
	}
	begin(m, slot, half);
	offload_read_begin(m, slot);
	offload_read_ports(m, slot, half);
	if (!flow_map_insert(m->flows, m->first_slot + slot, half)) {
		m->info.n_full++;
		slot_free(m, slot);
		return false;
	}
	m->slot[slot].state = SLOT_LIVE;
	m->slot[slot].conn = conn;
	m->slot_of[conn] = slot + 1;
	m->info.n_connections++;
	m->info.n_added++;
	offload_order_written(m, slot);
	offload_read_start(m);
	return true;
}

/* Takes a connection out and credits it. */
static void take_out(struct offload_map *m, uint32_t slot)
{
	flow_map_remove(m->flows, m->first_slot + slot);
	offload_read_slot(m, slot);
	m->slot_of[m->slot[slot].conn] = 0;
	slot_free(m, slot);
	m->info.n_connections--;
	m->info.n_removed++;
}

static bool add(void *ctx, uint32_t conn)
{
	struct offload_map *m = ctx;
	struct fp_flow half[N_CT_DIRS];
	uint32_t slot = offload_slot_of(m, conn);

	if (conn >= m->n_conns || !offload_plain(m, conn) || !flows_of(m, conn, half))
		return false;
	if (slot == OFFLOAD_NONE)
		return put_in(m, conn, half);
	if (!flow_map_same(m->flows, m->first_slot + slot, half)) {
		take_out(m, slot);
		return put_in(m, conn, half);
	}
	steer_elsewhere(m, slot, half);
	begin(m, slot, half);
	flow_map_rewrite(m->flows, m->first_slot + slot, half);
	offload_order_written(m, slot);
	return true;
}

void offload_leave(struct offload_map *m, uint32_t slot)
{
	uint32_t conn = m->slot[slot].conn;

	take_out(m, slot);
	if (m->left != NULL)
		m->left(m->left_ctx, conn);
}

/* --- slots of the flow cache --- */

static void remove_conn(void *ctx, uint32_t conn)
{
	struct offload_map *m = ctx;
	uint32_t slot = offload_slot_of(m, conn);

	if (slot != OFFLOAD_NONE)
		take_out(m, slot);
}

static bool read_back(void *ctx, uint32_t conn)
{
	struct offload_map *m = ctx;
	uint32_t slot = offload_slot_of(m, conn);

	return slot != OFFLOAD_NONE && offload_read_slot(m, slot);
}

static void came_up(void *ctx, uint32_t conn, enum ct_dir dir, const struct up_stamp *stamp)
{
	struct offload_map *m = ctx;
	uint32_t slot = offload_slot_of(m, conn);

	if (slot == OFFLOAD_NONE)
		return;
	if (offload_plain(m, conn))
		offload_order_came_up(m, slot, dir, stamp);
	else
		offload_leave(m, slot);
}

static void moved(void *ctx, uint32_t conn, enum ct_dir dir)
{
	struct offload_map *m = ctx;
	uint32_t slot = offload_slot_of(m, conn);

	if (slot != OFFLOAD_NONE)
		offload_order_renew_marks(m, slot, dir);
}

static void invalidate_all(void *ctx)
{
	/* Nothing is forwarded any more from here on. */
	offload_adjacency_invalidate(ctx);
}

static void read_back_all(void *ctx)
{
	offload_map_read_all(ctx);
}

static void adjacency_changed(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	offload_adjacency_changed(ctx, index, change);
}

/* --- the rest --- */

/* Where the range of a core begins; that of core n is the end of all. */
static uint32_t range_begin(uint32_t total, uint32_t core, uint32_t n_cores)
{
	return (uint32_t)((uint64_t)total * core / n_cores);
}

static void take_share(struct offload_map *m, const struct offload_share *share)
{
	const struct fastpath_maps *all = share->maps;
	uint32_t core = share->core, n = share->n_cores;

	m->flows = share->flows;
	m->core = core;
	m->queues = share->queues;
	m->first_slot = range_begin(all->n_connections, core, n);
	m->first_adjacency = range_begin(all->n_adjacencies, core, n);
	m->maps = *all;
	m->maps.flow = flow_map_flow(all, m->first_slot, 0);
	m->maps.n_connections = range_begin(all->n_connections, core + 1, n) - m->first_slot;
	m->maps.adjacency = &all->adjacency[m->first_adjacency];
	m->maps.n_adjacencies = range_begin(all->n_adjacencies, core + 1, n) - m->first_adjacency;
}

struct offload_map *offload_map_create(struct env *env, struct ip_stack *ip, struct conntrack *ct,
				       struct flowcache *flowcache, const struct offload_share *share)
{
	struct offload_map *m = calloc(1, sizeof(*m));

	assert(share->core < share->n_cores);

	if (m == NULL)
		return NULL;
	m->env = env;
	m->ip = ip;
	m->ct = ct;
	m->flowcache = flowcache;
	take_share(m, share);
	m->slots = (struct flowcache_offload){ .ctx = m,
					       .add = add,
					       .remove = remove_conn,
					       .read_back = read_back,
					       .came_up = came_up,
					       .invalidate_all = invalidate_all,
					       .read_back_all = read_back_all,
					       .adjacency_changed = adjacency_changed,
					       .moved = moved };
	for (int i = 0; i < N_OFFLOAD_LISTS; i++)
		m->list[i] = (struct offload_list){ OFFLOAD_NONE, OFFLOAD_NONE };
	m->next_slice_ns = m->next_adjacencies_ns = TIME_NEVER;
	m->n_conns = conntrack_capacity(ct) + CONNS_BEYOND;
	m->info.capacity = m->maps.n_connections;
	m->slot_of = calloc(m->n_conns, sizeof(*m->slot_of));
	m->slot = calloc(m->maps.n_connections + 1ul, sizeof(*m->slot));
	m->adjacency = calloc(m->maps.n_adjacencies + 1ul, sizeof(*m->adjacency));
	if (m->slot_of == NULL || m->slot == NULL || m->adjacency == NULL) {
		offload_map_destroy(m);
		return NULL;
	}
	return m;
}

void offload_map_destroy(struct offload_map *m)
{
	if (m == NULL)
		return;
	for (uint32_t slot = 0; slot < m->n_fresh; slot++)
		if (m->slot[slot].state == SLOT_LIVE)
			offload_leave(m, slot);
	for (uint32_t i = 0; i < IP_INTERFACES_MAX && m->queues != NULL; i++)
		offload_queues_leave(m->queues, m->core, i);
	free(m->adjacency);
	free(m->slot);
	free(m->slot_of);
	free(m);
}

const struct flowcache_offload *offload_map_slots(struct offload_map *m)
{
	return &m->slots;
}

void offload_map_set_clock(struct offload_map *m, int64_t monotonic_minus_now_ns)
{
	m->clock_offset_ns = monotonic_minus_now_ns;
}

void offload_map_set_left(struct offload_map *m, offload_left_fn *fn, void *ctx)
{
	m->left = fn;
	m->left_ctx = ctx;
}

void offload_map_expire(struct offload_map *m)
{
	offload_order_expire(m);
	offload_read_expire(m);
}

uint64_t offload_map_next_deadline(const struct offload_map *m)
{
	return min_u64(min_u64(m->next_slice_ns, m->next_adjacencies_ns), offload_order_next(m));
}

bool offload_map_has(const struct offload_map *m, uint32_t conn)
{
	return offload_slot_of(m, conn) != OFFLOAD_NONE;
}

void offload_map_info(const struct offload_map *m, struct offload_map_info *out)
{
	*out = m->info;
}
