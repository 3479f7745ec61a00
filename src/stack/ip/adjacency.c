/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Adjacencies: one for each neighbour, under the neighbour's own number. Whatever
 * changes the neighbour or its device writes the adjacency again; whoever sends by
 * it reads one small line and asks nobody.
 *
 * What always holds: an adjacency is usable exactly when its neighbour is in use,
 * its address is known (any state but INCOMPLETE and FAILED), and its device is
 * there and up; and then the header is the one that ip_transmit would write.
 *
 * Next: src/stack/packet/device.h
 */
#include <string.h>

#include "stack/ip/stack_priv.h"

const struct ip_adjacency *ip_adjacency(const struct ip_stack *s, uint32_t index)
{
	return &s->neigh->adjacency[index];
}

uint32_t ip_n_adjacencies(const struct ip_stack *s)
{
	return s->neigh->pool.cap;
}

void adjacency_sync(struct ip_stack *s, const struct neigh *n)
{
	uint32_t index = neigh_index(s->neigh, n);
	struct ip_adjacency *a = &s->neigh->adjacency[index];
	const struct device *dev = s->interface[n->ifindex].dev;
	struct ip_adjacency now = { .ifindex = (uint8_t)n->ifindex,
				    .installed = a->installed,
				    .generation = a->generation };

	now.stale = n->state == NEIGH_STALE;
	if (n->state != NEIGH_INCOMPLETE && n->state != NEIGH_FAILED && dev != NULL) {
		struct ether_view eth = { .dst = n->mac, .src = dev->mac, .type = ETHERTYPE_IPV4 };

		ether_emit(now.header, &eth);
		now.usable = dev->up;
		now.caps = (uint8_t)dev->caps;
		now.mtu = (uint16_t)min_u32(ip_mtu(s, n->ifindex), UINT16_MAX);
	}
	if (memcmp(a, &now, sizeof(now)) == 0)
		return;
	*a = now;
	neigh_tell_changed(s->neigh, index, IP_ADJACENCY_CHANGED);
}

void adjacency_sync_interface(struct ip_stack *s, uint32_t ifindex)
{
	struct neigh_table *t = s->neigh;

	for (uint32_t i = 0; i < t->pool.n_fresh; i++) {
		if (neigh_at(t, i)->in_use && neigh_at(t, i)->ifindex == ifindex)
			adjacency_sync(s, neigh_at(t, i));
	}
}

void ip_adjacency_used(struct ip_stack *s, uint32_t index)
{
	struct neigh *n = neigh_at(s->neigh, index);

	if (n->in_use && n->state == NEIGH_STALE)
		neigh_use_stale(s, n);
}

void ip_adjacency_installed(struct ip_stack *s, uint32_t index)
{
	s->neigh->adjacency[index].installed = true;
}

void ip_adjacency_lost(struct ip_stack *s, uint32_t ifindex, uint32_t addr)
{
	const struct neigh *n = neigh_find(s->neigh, ifindex, addr);

	if (n != NULL)
		neigh_void(s->neigh, neigh_index(s->neigh, n));
}

bool ip_adjacency_leads(const struct ip_stack *s, uint32_t index, const struct fib_route *route,
			const struct ip_flow *f)
{
	const struct neigh *n = neigh_at(s->neigh, index);
	const struct fib_nexthop *nh = &route->nexthop;

	if (YG_UNLIKELY(route->paths != NULL))
		nh = fib_path(route, ip_flow_hash(f));
	return n->in_use && nh->kind == FIB_UNICAST && nh->ifindex == n->ifindex &&
	       (nh->gateway.v4 != 0 ? nh->gateway.v4 : f->dst) == n->addr;
}

void ip_adjacency_send(struct ip_stack *s, const struct ip_adjacency *a, struct packet *p)
{
	ip_queue_frame(s, a->ifindex, p);
}
