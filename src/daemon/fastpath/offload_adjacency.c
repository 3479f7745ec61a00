/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ways out, as the kernel's program sees them: ip's adjacencies by their own
 * numbers, with the kernel's number of the device behind each.
 *
 * One that ip calls unusable, or whose interface is not served by a program, says
 * FP_EGRESS_UP: its packets take the way through user space, which asks ARP, or drops
 * by name. One whose interface takes no redirected frames is a way out for some
 * kinds of program alone (FP_EGRESS_SEND). Only adjacencies that a flow refers to are
 * written. `version` is odd while one is.
 *
 * Each carries the generation of the flows that may leave by it. It moves on when
 * the number is given to another neighbour; and in every adjacency of this core,
 * and in no other's, when all flows are invalid. It comes round after 65,536 times,
 * but no flow waits for that: about once a second each is looked at, and what is
 * void is taken out or kept void (offload_read.c).
 *
 * A neighbour that has not been heard of for a while is stale: it may be sent to,
 * and whoever does says so, upon which it is asked whether it is still there. The
 * program notes when it last used an adjacency; about once a second that is
 * looked at.
 */
#include <string.h>

#include "daemon/fastpath/offload_priv.h"

#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

static bool equal(const struct fp_adjacency *a, const struct fp_adjacency *b)
{
	return memcmp(a->header, b->header, sizeof(a->header)) == 0 && a->how == b->how && a->port == b->port &&
	       a->ifindex == b->ifindex && a->mtu == b->mtu && a->generation == b->generation;
}

static void write_adjacency(struct offload_map *m, uint32_t index)
{
	const struct ip_adjacency *a = ip_adjacency(m->ip, index);
	struct fp_adjacency *f = &m->maps.adjacency[index];
	struct fp_adjacency to = { .how = FP_EGRESS_UP,
				   .port = a->ifindex,
				   .generation = m->adjacency[index].generation };

	if (a->ifindex != 0 && a->usable) {
		to.how = m->port[a->ifindex].how;
		to.ifindex = m->port[a->ifindex].kernel_ifindex;
		to.mtu = a->mtu;
		memcpy(to.header, a->header, sizeof(to.header));
	}
	if (equal(f, &to))
		return;
	STORE(f->version, f->version + 1);
	for (uint32_t i = 0; i < sizeof(to.header); i++)
		STORE(f->header[i], to.header[i]);
	STORE(f->how, to.how);
	STORE(f->port, to.port);
	STORE(f->ifindex, to.ifindex);
	STORE(f->mtu, to.mtu);
	STORE(f->generation, to.generation);
	STORE(f->version, f->version + 1);
}

bool offload_adjacency_use(struct offload_map *m, uint32_t index)
{
	if (index >= m->maps.n_adjacencies || index >= ip_n_adjacencies(m->ip))
		return false;
	if (m->adjacency[index].known)
		return true;
	m->adjacency[index].known = true;
	m->adjacency[index].last_used = FLOW_LOAD(m->maps.adjacency[index].last_used);
	m->adjacency[index].generation = FLOW_LOAD(m->maps.adjacency[index].generation);
	m->n_adjacencies = max_u32(m->n_adjacencies, index + 1);
	write_adjacency(m, index);
	return true;
}

/* Sequentially consistent: counters that are read behind it miss nothing but what a program is just doing. */
static void move_on(struct offload_map *m, uint32_t index)
{
	m->adjacency[index].generation++;
	__atomic_store_n(&m->maps.adjacency[index].generation, m->adjacency[index].generation, __ATOMIC_SEQ_CST);
}

void offload_adjacency_changed(struct offload_map *m, uint32_t index, enum ip_adjacency_change change)
{
	if (index >= m->n_adjacencies || !m->adjacency[index].known)
		return;
	if (change == IP_ADJACENCY_GONE)
		move_on(m, index);
	write_adjacency(m, index);
}

void offload_adjacency_invalidate(struct offload_map *m)
{
	for (uint32_t i = 0; i < m->n_adjacencies; i++)
		if (m->adjacency[i].known)
			move_on(m, i);
}

bool offload_adjacency_invalidate_for(const struct offload_map *m, const struct fp_flow *f)
{
	return f->generation != m->adjacency[f->adjacency - m->first_adjacency].generation;
}

void offload_adjacency_keep_invalid(const struct offload_map *m, struct fp_flow *f)
{
	STORE(f->generation, (uint16_t)(m->adjacency[f->adjacency - m->first_adjacency].generation - 1));
}

void offload_map_set_port(struct offload_map *m, uint32_t ifindex, uint32_t kernel_ifindex, enum fp_egress how)
{
	m->port[ifindex].kernel_ifindex = kernel_ifindex;
	/* Nothing comes from there any more, and nobody waits for it. */
	if (kernel_ifindex == 0 && m->queues != NULL)
		offload_queues_leave(m->queues, m->core, ifindex);
	m->port[ifindex].how = (uint8_t)(kernel_ifindex == 0 ? FP_EGRESS_UP : how);
	for (uint32_t i = 0; i < m->n_adjacencies; i++)
		if (m->adjacency[i].known && ip_adjacency(m->ip, i)->ifindex == ifindex)
			write_adjacency(m, i);
}

void offload_map_set_kind(struct offload_map *m, uint32_t ifindex, enum fastpath_kind kind)
{
	m->port[ifindex].kind = (uint8_t)kind;
}

void offload_adjacency_read(struct offload_map *m)
{
	for (uint32_t i = 0; i < m->n_adjacencies; i++) {
		struct offload_adjacency *a = &m->adjacency[i];
		if (!a->known)
			continue;
		uint32_t last_used = FLOW_LOAD(m->maps.adjacency[i].last_used);
		if (last_used == a->last_used)
			continue;
		a->last_used = last_used;
		if (ip_adjacency(m->ip, i)->stale)
			ip_adjacency_used(m->ip, i);
	}
}
