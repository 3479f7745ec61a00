/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the program has counted comes back: packets, bytes, the time a flow was
 * last seen and its TCP marks are credited as if the packets had come this way, to
 * the connection, its rules, and the devices by which they came and went.
 *
 * Three occasions: somebody asks for a connection (conntrack before it lets it
 * expire, the flow cache before a packet that came up is judged); the connection is
 * taken out; and the slices, which pass every slot about once a second, and four
 * times as often while the slots are few. Slices keep counters that people read at
 * most that old, and keep differences of 32-bit counters and of TCP's numbers
 * unambiguous: 3 GB a second and flow are 26 Gbit/s, four times that while few.
 *
 * The counters of a flow only ever grow, also from one connection to the next in
 * the same slot; we remember what has been credited. Packets and bytes are one
 * number of 64 bits (layout.h), so their difference is exact however they wrap.
 *
 * Slices also find what nobody told: a flow that lost a packet on its way up, one
 * whose generation is void and which nobody asks for again, a TCP connection that
 * is closing, windows that have moved by what the program did not see.
 */
#include <netinet/in.h>

#include "daemon/fastpath/offload_priv.h"

/* A pass over all slots, in slices of this many. */
#define PASS_NS (900 * NS_PER_MS)
#define PASS_FEW_NS (PASS_NS / 4)
#define FEW_SLOTS 16384u
#define SLICE_MIN 64u
#define SLICE_MAX 4096u
#define SLICES 16u
/* A flow that was not used for so long may be taken out for another. */
#define IDLE_TICKS ((uint32_t)(10 * NS_PER_S >> FP_TICK_SHIFT))
/* Slots looked at for one asker that found no room. */
#define MAKE_ROOM_LOOKS 16u
/* So many slots ahead a connection and its flows are asked for from memory; and twice as many, the slot itself. */
#define AHEAD 8u

static uint64_t monotonic(const struct offload_map *m)
{
	return m->env->now + (uint64_t)m->clock_offset_ns;
}

/* The core's time of a tick that is not in the future; a tick of the program's just now may look so. */
static uint64_t tick_time(const struct offload_map *m, uint32_t tick)
{
	uint64_t now_tick = monotonic(m) >> FP_TICK_SHIFT;
	int32_t age = (int32_t)((uint32_t)now_tick - tick);

	if (age <= 0)
		return m->env->now;
	uint64_t age_ns = (uint64_t)age << FP_TICK_SHIFT;
	return m->env->now > age_ns ? m->env->now - age_ns : 0;
}

void offload_read_begin(struct offload_map *m, uint32_t slot)
{
	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++) {
		const struct fp_flow *f = offload_flow(m, slot, dir);
		struct offload_side *s = &m->slot[slot].side[dir];
		uint64_t counts = fp_flow_counts(f);
		if (m->slot[slot].state == SLOT_RESTING)
			m->info.n_late += (uint32_t)(counts - s->counts);
		s->counts = counts;
		/* Idle since now, if it is. */
		s->tick = fp_tick_of(monotonic(m));
	}
}

void offload_read_ports(struct offload_map *m, uint32_t slot, const struct fp_flow half[N_CT_DIRS])
{
	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++)
		m->slot[slot].side[dir].out_port =
			half[dir].proto == 0 ? 0
					     : ip_adjacency(m->ip, half[dir].adjacency - m->first_adjacency)->ifindex;
}

/* What a device has received and sent, it has, whoever forwarded it. (Bytes that fill up short frames are not known
 * here: fastpath_padding.) */
static void credit_devices(struct offload_map *m, uint8_t in_port, uint8_t out_port,
			   const struct flowcache_deferred *deferred)
{
	struct device *in = ip_stack_device(m->ip, in_port), *out = ip_stack_device(m->ip, out_port);
	uint64_t bytes = deferred->bytes + (uint64_t)deferred->packets * ETHER_HEADER_LEN;

	if (in != NULL) {
		in->n_rx_packets += deferred->packets;
		in->n_rx_bytes += bytes;
	}
	if (out != NULL) {
		out->n_tx_packets += deferred->packets;
		out->n_tx_bytes += bytes;
	}
}

static bool read_side(struct offload_map *m, uint32_t slot, enum ct_dir dir)
{
	const struct fp_flow *f = offload_flow(m, slot, dir);
	struct offload_side *s = &m->slot[slot].side[dir];
	uint64_t counts = fp_flow_counts(f), since = counts - s->counts;

	if (since == 0)
		return false;
	s->counts = counts;
	s->tick = FLOW_LOAD(f->last_seen);
	struct flowcache_deferred deferred = { .packets = (uint32_t)since,
					       .bytes = since >> 32,
					       .last_ns = tick_time(m, s->tick),
					       .has_tcp = f->proto == IPPROTO_TCP };
	if (deferred.has_tcp) {
		deferred.tcp_end = FLOW_LOAD(f->tcp_end);
		deferred.tcp_ack = FLOW_LOAD(f->tcp_ack);
		deferred.tcp_win = (uint16_t)FLOW_LOAD(f->tcp_win);
	}
	m->info.n_packets += deferred.packets;
	m->info.n_bytes += deferred.bytes;
	credit_devices(m, f->in_port, s->out_port, &deferred);
	flowcache_flush_counters(m->flowcache, m->slot[slot].conn, dir, &deferred);
	return true;
}

bool offload_read_slot(struct offload_map *m, uint32_t slot)
{
	bool original = read_side(m, slot, CT_ORIGINAL);
	bool reply = read_side(m, slot, CT_REPLY);

	return original || reply;
}

/* What a slice does for one slot. */
static void pass(struct offload_map *m, uint32_t slot)
{
	struct offload_slot *sl = &m->slot[slot];

	if (sl->state != SLOT_LIVE)
		return;
	(void)offload_read_slot(m, slot);
	/* By packets that the program does not see as the flow's. */
	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++)
		offload_order_renew_marks(m, slot, dir);
	if (!offload_plain(m, sl->conn)) {
		offload_leave(m, slot);
		return;
	}
	uint32_t n_invalid = 0;
	for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++) {
		struct fp_flow *f = offload_flow(m, slot, dir);
		bool is_there = f->proto != 0;
		if (is_there && !offload_adjacency_invalidate_for(m, f))
			continue;
		if (is_there)
			offload_adjacency_keep_invalid(m, f);
		n_invalid++;
	}
	if (n_invalid < N_CT_DIRS) {
		sl->is_invalid = false;
		offload_order_look(m, slot);
		return;
	}
	/* The connection's next packet may be on its way: once is not enough. */
	if (sl->is_invalid)
		offload_leave(m, slot);
	sl->is_invalid = true;
}

static uint64_t pass_ns(const struct offload_map *m)
{
	return m->n_fresh <= FEW_SLOTS ? PASS_FEW_NS : PASS_NS;
}

static uint32_t slice_size(const struct offload_map *m)
{
	return min_u32(max_u32(m->n_fresh / SLICES, SLICE_MIN), SLICE_MAX);
}

void offload_read_start(struct offload_map *m)
{
	if (m->next_slice_ns != TIME_NEVER)
		return;
	m->next_slice_ns = m->env->now + pass_ns(m) / SLICES;
	m->next_adjacencies_ns = m->env->now + PASS_NS;
}

static void ask_ahead(const struct offload_map *m, uint32_t slot)
{
	if (slot + AHEAD < m->n_fresh)
		prefetch_read(&m->slot[slot + AHEAD]);
	if (slot >= m->n_fresh || m->slot[slot].state != SLOT_LIVE)
		return;
	prefetch_read(conntrack_conn(m->ct, m->slot[slot].conn));
	prefetch_read(offload_flow(m, slot, CT_ORIGINAL));
	prefetch_read(offload_flow(m, slot, CT_REPLY));
}

static void slice(struct offload_map *m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (m->cursor >= m->n_fresh)
			m->cursor = 0;
		ask_ahead(m, m->cursor + AHEAD);
		pass(m, m->cursor++);
	}
}

void offload_read_expire(struct offload_map *m)
{
	uint64_t now = m->env->now;

	if (now >= m->next_adjacencies_ns) {
		offload_adjacency_read(m);
		m->next_adjacencies_ns = now + PASS_NS;
	}
	if (now < m->next_slice_ns)
		return;
	if (m->info.n_connections == 0) {
		m->next_slice_ns = m->next_adjacencies_ns = TIME_NEVER;
		return;
	}
	uint32_t n = slice_size(m);
	slice(m, min_u32(n, m->n_fresh));
	uint64_t gap = n >= m->n_fresh ? pass_ns(m) : pass_ns(m) * n / m->n_fresh;
	/* Late calls do not make the pass longer, as long as one slice a call is enough. */
	m->next_slice_ns = max_u64(m->next_slice_ns + gap, now + 1);
}

void offload_map_read_all(struct offload_map *m)
{
	for (uint32_t slot = 0; slot < m->n_fresh; slot++)
		if (m->slot[slot].state == SLOT_LIVE)
			offload_read_slot(m, slot);
}

void offload_make_room(struct offload_map *m)
{
	uint32_t now = fp_tick_of(monotonic(m));

	for (uint32_t i = 0; i < MAKE_ROOM_LOOKS && m->n_fresh > 0; i++) {
		m->hand = m->hand + 1 < m->n_fresh ? m->hand + 1 : 0;
		struct offload_slot *sl = &m->slot[m->hand];
		if (sl->state != SLOT_LIVE || (int32_t)(now - sl->side[CT_ORIGINAL].tick) < (int32_t)IDLE_TICKS ||
		    (int32_t)(now - sl->side[CT_REPLY].tick) < (int32_t)IDLE_TICKS)
			continue;
		/* As of the last slice; it may have been used since. */
		if (offload_read_slot(m, m->hand))
			continue;
		offload_leave(m, m->hand);
		return;
	}
}
