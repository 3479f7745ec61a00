/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The way of a datagram that a socket sends: where it goes, from where, by which
 * interface, how large it may be; and the groups that a socket has joined.
 *
 * Whether a datagram may be cut: as Linux has it by IP_MTU_DISCOVER, with one
 * difference. Linux remembers the MTU of each path that it has heard of for all sockets;
 * here a connected socket remembers it of its own. So "want" (the default) forbids routers to
 * cut what a connected socket sends, and not what others do, who would never learn
 * that it does not arrive.
 *
 * Next: src/stack/ip/output.c
 */
#include <errno.h>

#include "base/pool.h"
#include "base/util.h"
#include "stack/ip/route.h"
#include "stack/transport/datagram.h"

const struct datagram_out datagram_out_default = { .ttl = -1, .tos = -1, .gso_size = -1 };

int64_t datagram_len(const struct span *span, int n)
{
	uint64_t len = 0;

	for (int i = 0; i < n; i++) {
		if (span[i].len > UINT16_MAX)
			return -EMSGSIZE;
		len += span[i].len;
	}
	return len > UINT16_MAX ? -EMSGSIZE : (int64_t)len;
}

void datagram_gather(uint8_t *to, const struct span *span, int n)
{
	for (int i = 0; i < n; i++) {
		if (span[i].len > 0)
			memcpy(to, span[i].bytes, span[i].len);
		to += span[i].len;
	}
}

/* --- ways --- */

static int no_way(enum fib_kind kind)
{
	switch (kind) {
	case FIB_UNREACHABLE:
		return -EHOSTUNREACH;
	case FIB_BLACKHOLE:
		return -EINVAL;
	case FIB_PROHIBIT:
		return -EACCES;
	default:
		return -ENETUNREACH;
	}
}

static bool leads_somewhere(enum fib_kind kind)
{
	return kind == FIB_UNICAST || kind == FIB_LOCAL || kind == FIB_BROADCAST;
}

static uint32_t source_by(const struct datagram_stack *d, uint32_t ifindex, uint32_t dst)
{
	return ifindex == IP_HERE ? IP4(127, 0, 0, 1) : ip_source_for(d->ip, ifindex, dst);
}

static int find_group_way(const struct datagram_stack *d, const struct datagram_socket *s, struct datagram_way *way)
{
	const struct fib_nexthop *nh = ip_route(d->ip, s->o.zone, way->dst);

	way->is_to_many = true;
	way->ifindex = way->by;
	if (way->ifindex == 0 && ip4_is_multicast(way->dst))
		way->ifindex = s->o.multicast_ifindex;
	/* As Linux: by the interface of the address that it is bound to. */
	if (way->ifindex == 0 && way->src != 0)
		way->ifindex = datagram_interface_of(d, way->src);
	if (way->ifindex == 0 && nh->kind == FIB_UNICAST)
		way->ifindex = nh->ifindex;
	if (way->ifindex == 0 || way->ifindex > IP_HERE)
		return -ENETUNREACH;
	if (way->src == 0 && ip4_is_multicast(way->dst))
		way->src = s->o.multicast_source;
	if (way->src == 0)
		way->src = source_by(d, way->ifindex, way->dst);
	way->mtu = way->ifindex == IP_HERE ? UINT16_MAX : ip_mtu(d->ip, way->ifindex);
	if (ip4_is_multicast(way->dst))
		way->ttl = s->o.multicast_ttl;
	return 0;
}

static int find_one_way(const struct datagram_stack *d, const struct datagram_socket *s, struct datagram_way *way)
{
	bool must_be_here = way->by == IP_HERE;
	struct fib_nexthop room;

	if (must_be_here)
		way->by = 0;
	/* IP_PKTINFO names any number. */
	if (way->by >= IP_INTERFACES_MAX)
		return -ENODEV;
	const struct fib_nexthop *nh = ip_route_by(d->ip, s->o.zone, way->dst, way->by, &room);

	if (ip4_is_loopback(way->dst) || nh->kind == FIB_LOCAL) {
		way->mtu = UINT16_MAX;
		if (way->src == 0)
			way->src = way->dst;
		return 0;
	}
	if (must_be_here)
		return -ENETUNREACH;
	if (!leads_somewhere((enum fib_kind)nh->kind))
		return no_way((enum fib_kind)nh->kind);
	way->mtu = ip_mtu(d->ip, nh->ifindex);
	way->is_to_many = nh->kind == FIB_BROADCAST;
	if (way->is_to_many)
		way->ifindex = nh->ifindex;
	return 0;
}

static int limit_size(const struct datagram_socket *s, uint32_t len, struct datagram_way *way)
{
	bool knows = s->o.pmtu == DATAGRAM_PMTU_WANT || s->o.pmtu == DATAGRAM_PMTU_DO;

	if (knows && s->path_mtu != 0 && s->is_connected && way->dst == s->raddr)
		way->mtu = min_u32(way->mtu, s->path_mtu);
	if (IPV4_HEADER_LEN + len > UINT16_MAX)
		return -EMSGSIZE;
	bool fits = IPV4_HEADER_LEN + len <= way->mtu;

	if (!fits && s->o.pmtu != DATAGRAM_PMTU_DONT && s->o.pmtu != DATAGRAM_PMTU_WANT &&
	    s->o.pmtu != DATAGRAM_PMTU_OMIT)
		return -EMSGSIZE;
	way->df = s->o.pmtu == DATAGRAM_PMTU_DO || s->o.pmtu == DATAGRAM_PMTU_PROBE ||
		  (s->o.pmtu == DATAGRAM_PMTU_WANT && fits && s->is_connected);
	return 0;
}

int datagram_find_way(const struct datagram_stack *d, struct datagram_socket *s, const struct datagram_out *out,
		      uint32_t len, struct datagram_way *way)
{
	bool is_given = !ip_addr_is_none(&out->to.addr);

	if (!is_given && !s->is_connected)
		return -EDESTADDRREQ;
	*way = (struct datagram_way){
		.dst = is_given ? out->to.addr.v4 : s->raddr,
		.dport = is_given ? out->to.port : s->rport,
		.src = ip_addr_is_none(&out->source) ? s->laddr : out->source.v4,
		.ttl = s->o.ttl,
		.tos = s->o.tos,
		.by = out->ifindex != 0 ? out->ifindex : s->o.ifindex,
	};
	/* As Linux: nowhere is here. */
	if (way->dst == 0)
		way->dst = IP4(127, 0, 0, 1);
	if (ip4_is_multicast(way->src) || ip4_is_limited_broadcast(way->src))
		way->src = 0;
	int rc = ip4_is_multicast(way->dst) || ip4_is_limited_broadcast(way->dst) ? find_group_way(d, s, way)
										  : find_one_way(d, s, way);

	if (way->ifindex != IP_HERE && ip_must_stay(d->ip, s->o.zone, way->src, way->dst))
		return -EINVAL;
	if (rc != 0)
		return rc;
	if (way->is_to_many && !ip4_is_multicast(way->dst) && !s->o.broadcast)
		return -EACCES;
	if (out->ttl >= 0)
		way->ttl = (uint8_t)out->ttl;
	if (out->tos >= 0)
		way->tos = (uint8_t)out->tos;
	return limit_size(s, len, way);
}

struct packet *datagram_new(const struct datagram_stack *d, const struct datagram_socket *s,
			    const struct datagram_way *way, uint8_t protocol, uint32_t len)
{
	struct packet *p = ip_packet_new(d->ip, way->src, way->dst, protocol, len);

	if (p == NULL)
		return NULL;
	if (way->ttl != 0 || (ip4_is_multicast(way->dst) && s->o.multicast_ttl == 0))
		p->ip.ttl = way->ttl;
	p->ip.tos = way->tos;
	p->ip.df = way->df;
	p->zone = s->o.zone;
	p->mark = s->o.mark;
	p->bound_ifindex = (uint8_t)(way->by != IP_HERE ? way->by : 0);
	if (way->is_to_many && way->ifindex != IP_HERE)
		p->out_ifindex = way->ifindex;
	ip_packet_finish(p);
	return p;
}

uint32_t datagram_source_for(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t dst, uint32_t by)
{
	struct fib_nexthop room;
	const struct fib_nexthop *nh = ip_route_by(d->ip, s->o.zone, dst, by, &room);

	if (ip4_is_loopback(dst) || nh->kind == FIB_LOCAL)
		return dst;
	if (ip4_is_multicast(dst)) {
		uint32_t ifindex = s->o.multicast_ifindex != 0 ? s->o.multicast_ifindex : nh->ifindex;

		return s->o.multicast_source != 0 ? s->o.multicast_source : source_by(d, ifindex, dst);
	}
	if (nh->kind != FIB_UNICAST && nh->kind != FIB_BROADCAST)
		return 0;
	return nh->source.v4 != 0 ? nh->source.v4
				  : ip_source_for(d->ip, nh->ifindex, nh->gateway.v4 != 0 ? nh->gateway.v4 : dst);
}

uint32_t datagram_mtu(const struct datagram_stack *d, const struct datagram_socket *s)
{
	struct fib_nexthop room;
	const struct fib_nexthop *nh = ip_route_by(d->ip, s->o.zone, s->raddr, s->o.ifindex, &room);
	uint32_t mtu = nh->kind == FIB_UNICAST || nh->kind == FIB_BROADCAST ? ip_mtu(d->ip, nh->ifindex) : UINT16_MAX;

	return s->path_mtu != 0 ? min_u32(mtu, s->path_mtu) : mtu;
}

int datagram_may_bind(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t addr)
{
	enum fib_kind kind = (enum fib_kind)ip_route(d->ip, s->o.zone, addr)->kind;

	if (addr == 0 || s->o.freebind || ip4_is_multicast(addr) || ip4_is_limited_broadcast(addr) ||
	    ip4_is_loopback(addr) || kind == FIB_LOCAL || kind == FIB_BROADCAST)
		return 0;
	return -EADDRNOTAVAIL;
}

/* --- groups --- */

uint32_t datagram_interface_of(const struct datagram_stack *d, uint32_t addr)
{
	const struct ip_config *cfg = ip_stack_config(d->ip);

	if (ip4_is_loopback(addr))
		return IP_HERE;
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		for (uint32_t k = 0; cfg->interface[i].name[0] != '\0' && k < cfg->interface[i].n_addresses; k++)
			if (cfg->interface[i].address[k].addr == addr)
				return i;
	return 0;
}

static uint32_t interface_for(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t group,
			      uint32_t ifindex, uint32_t addr)
{
	if (ifindex == IP_HERE)
		return ifindex;
	if (ifindex != 0)
		return ifindex < IP_INTERFACES_MAX && ip_stack_config(d->ip)->interface[ifindex].name[0] != '\0'
			       ? ifindex
			       : 0;
	if (addr != 0)
		return datagram_interface_of(d, addr);
	const struct fib_nexthop *nh = ip_route(d->ip, s->o.zone, group);

	return nh->kind == FIB_UNICAST ? nh->ifindex : 0;
}

/* Where a membership's number stands; *at is POOL_NONE: there is none. */
static uint32_t *find_group(const struct datagram_stack *d, struct datagram_socket *s, uint32_t group, uint32_t ifindex)
{
	uint32_t *at = &s->groups;

	while (*at != POOL_NONE) {
		struct datagram_group *g = pool_at(d->groups, *at);

		if (g->group == group && g->ifindex == ifindex)
			break;
		at = &g->next;
	}
	return at;
}

int datagram_join(const struct datagram_stack *d, struct datagram_socket *s, uint32_t group, uint32_t ifindex,
		  uint32_t addr)
{
	if (!ip4_is_multicast(group))
		return -EINVAL;
	ifindex = interface_for(d, s, group, ifindex, addr);
	if (ifindex == 0)
		return -ENODEV;
	if (*find_group(d, s, group, ifindex) != POOL_NONE)
		return -EADDRINUSE;
	uint32_t index = pool_alloc(d->groups);

	if (index == POOL_NONE || ip_group_join(d->ip, ifindex, group) != 0) {
		if (index != POOL_NONE)
			pool_free(d->groups, index);
		return -ENOBUFS;
	}
	*(struct datagram_group *)pool_at(d->groups, index) =
		(struct datagram_group){ .group = group, .ifindex = ifindex, .next = s->groups };
	s->groups = index;
	return 0;
}

int datagram_leave(const struct datagram_stack *d, struct datagram_socket *s, uint32_t group, uint32_t ifindex,
		   uint32_t addr)
{
	if (!ip4_is_multicast(group))
		return -EINVAL;
	/* An interface that is gone can be left all the same. */
	if (ifindex == 0)
		ifindex = interface_for(d, s, group, ifindex, addr);
	uint32_t *at = find_group(d, s, group, ifindex), index = *at;

	if (index == POOL_NONE)
		return -EADDRNOTAVAIL;
	*at = ((struct datagram_group *)pool_at(d->groups, index))->next;
	pool_free(d->groups, index);
	ip_group_leave(d->ip, ifindex, group);
	return 0;
}

bool datagram_hears(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t group, uint32_t ifindex)
{
	for (uint32_t i = s->groups; i != POOL_NONE;) {
		const struct datagram_group *g = pool_at(d->groups, i);

		/* What stays here came by no interface. */
		if (g->group == group && g->ifindex == (ifindex != 0 ? ifindex : IP_HERE))
			return true;
		i = g->next;
	}
	return s->o.multicast_all;
}
