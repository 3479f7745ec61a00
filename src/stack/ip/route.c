/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is asked of the IP layer on a packet's way, and changes nothing: which route
 * leads there, by which of several next hops, from which address of ours, how large
 * a packet may be.
 *
 * A zone is a routing table. What has no route in its own is looked up in zone 0's.
 *
 * Next: src/stack/ip/fib.c
 */
#include "stack/ip/stack_priv.h"

static const struct fib_route no_route = { .nexthop = { .kind = FIB_NONE } };

uint32_t ip_mtu(const struct ip_stack *s, uint32_t ifindex)
{
	uint32_t configured = s->cfg->interface[ifindex].mtu;
	const struct device *d = s->interface[ifindex].dev;
	uint32_t mtu = d != NULL ? d->mtu : UINT16_MAX;

	if (configured != 0)
		mtu = min_u32(mtu, configured);
	return max_u32(mtu, IPV4_MIN_MTU);
}

uint32_t ip_offloads(const struct ip_stack *s, uint32_t ifindex)
{
	const struct device *d = s->interface[ifindex].dev;

	return d != NULL ? d->caps : 0;
}

/* NULL: the zone has no table of its own. */
static const struct fib *table_of(const struct ip_stack *s, uint16_t zone)
{
	uint32_t lo = 0, hi = s->cfg->n_zones;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (s->cfg->zone[mid].number == zone)
			return s->cfg->zone[mid].fib;
		if (s->cfg->zone[mid].number < zone)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static const struct fib_route *lookup(const struct fib *f, uint32_t dst)
{
	return f == NULL ? &no_route : fib_route(f, fib_lookup(f, dst));
}

const struct fib_route *ip_fib_route(const struct ip_stack *s, uint16_t zone, uint32_t dst)
{
	if (YG_UNLIKELY(zone != 0)) {
		const struct fib_route *r = lookup(table_of(s, zone), dst);

		if (r->nexthop.kind != FIB_NONE)
			return r;
	}
	return lookup(s->cfg->fib, dst);
}

uint32_t ip_route_prefix(const struct ip_stack *s, uint16_t zone, uint32_t dst, struct ip_prefix *prefix,
			 uint16_t *table)
{
	const struct fib *f = zone != 0 ? table_of(s, zone) : s->cfg->fib;
	bool is_own = zone == 0 || lookup(f, dst)->nexthop.kind != FIB_NONE;
	struct ip4_prefix found;

	*prefix = (struct ip_prefix){ 0 };
	*table = is_own ? zone : 0;
	if (!is_own)
		f = s->cfg->fib;
	uint32_t group = f != NULL ? fib_lookup_prefix(f, dst, &found) : FIB_NO_ROUTE;

	if (group != FIB_NO_ROUTE)
		*prefix = ip_prefix_v4(found.addr, found.len);
	return group;
}

const struct fib_nexthop *ip_route(const struct ip_stack *s, uint16_t zone, uint32_t dst)
{
	return &ip_fib_route(s, zone, dst)->nexthop;
}

uint32_t ip_flow_hash(const struct ip_flow *f)
{
	uint64_t x = ((uint64_t)f->src << 32 | f->dst) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 32 ^ ((uint64_t)f->proto << 32 | (uint32_t)f->sport << 16 | f->dport)) *
	    UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 29) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(x >> 32);
}

static uint32_t hash_of_packet(const struct packet *p)
{
	struct ip_flow f = { .src = p->in_ifindex != 0 ? p->ip.src : 0, .dst = p->ip.dst, .proto = p->ip.proto };

	if (!ipv4_is_fragment(&p->ip) && p->l4.kind == L4_ICMP_QUERY) {
		f.sport = p->l4.id;
	} else if (!ipv4_is_fragment(&p->ip) && l4_kind_has_ports((enum l4_kind)p->l4.kind)) {
		f.sport = p->l4.sport;
		f.dport = p->l4.dport;
	}
	return ip_flow_hash(&f);
}

const struct fib_nexthop *ip_choose_path_of(const struct fib_route *r, const struct packet *p)
{
	return fib_path(r, hash_of_packet(p));
}

/* --- by one interface alone --- */

static const struct fib_nexthop *route_by(const struct ip_stack *s, uint16_t zone, uint32_t dst, uint32_t ifindex,
					  uint32_t hash, struct fib_nexthop *room)
{
	const struct fib *own = zone != 0 ? table_of(s, zone) : NULL;
	const struct fib_nexthop *nh = own != NULL ? fib_lookup_by(own, dst, ifindex, hash) : NULL;

	if (nh == NULL && s->cfg->fib != NULL)
		nh = fib_lookup_by(s->cfg->fib, dst, ifindex, hash);
	if (nh != NULL)
		return nh;
	*room = (struct fib_nexthop){ .kind = ip_interface_known(s, ifindex) ? FIB_UNICAST : FIB_NONE,
				      .ifindex = ifindex };
	return room;
}

const struct fib_nexthop *ip_route_by(const struct ip_stack *s, uint16_t zone, uint32_t dst, uint32_t ifindex,
				      struct fib_nexthop *room)
{
	return ifindex == 0 ? ip_route(s, zone, dst) : route_by(s, zone, dst, ifindex, 0, room);
}

const struct fib_nexthop *ip_route_flow(const struct ip_stack *s, uint16_t zone, const struct ip_flow *f,
					uint32_t ifindex, struct fib_nexthop *room)
{
	if (ifindex != 0)
		return route_by(s, zone, f->dst, ifindex, ip_flow_hash(f), room);
	const struct fib_route *r = ip_fib_route(s, zone, f->dst);

	return r->paths != NULL ? fib_path(r, ip_flow_hash(f)) : &r->nexthop;
}

const struct fib_nexthop *ip_route_bound(const struct ip_stack *s, const struct packet *p, struct fib_nexthop *room)
{
	return route_by(s, p->zone, p->ip.dst, p->bound_ifindex, hash_of_packet(p), room);
}

void ip_fib_routes(const struct ip_stack *s, const uint32_t *addr, const struct fib_route **route, uint32_t n)
{
	const struct fib *f = s->cfg->fib;
	uint32_t group[BATCH_MAX];

	if (f != NULL)
		fib_lookup_batch(f, addr, group, n);
	for (uint32_t i = 0; i < n; i++)
		route[i] = f != NULL ? fib_route(f, group[i]) : &no_route;
}

bool ip_has_zones(const struct ip_stack *s)
{
	return s->cfg->n_zones > 0;
}

void ip_route_batch(const struct ip_stack *s, const struct batch *b, const uint32_t *addr,
		    const struct fib_route **route)
{
	ip_fib_routes(s, addr, route, b->n);
	for (uint32_t i = 0; i < b->n && s->cfg->n_zones > 0; i++) {
		if (b->p[i]->zone != 0)
			route[i] = ip_fib_route(s, b->p[i]->zone, addr[i]);
	}
}

uint16_t ip_zone_from(const struct ip_stack *s, const struct packet *p)
{
	return p->in_ifindex != 0 ? s->cfg->interface[p->in_ifindex].zone : p->zone;
}

/* Whatever address we have: an interface without one speaks by another's. */
static uint32_t borrowed_address(const struct ip_stack *s)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (ip_interface_known(s, i) && s->cfg->interface[i].n_addresses > 0)
			return s->cfg->interface[i].address[0].addr;
	}
	return 0;
}

uint32_t ip_interface_address(const struct ip_stack *s, uint32_t ifindex, uint32_t dst)
{
	if (!ip_interface_known(s, ifindex))
		return 0;
	const struct ip_interface_config *c = ip_interface_cfg(s, ifindex);

	for (uint32_t i = 0; i < c->n_addresses; i++) {
		if (((c->address[i].addr ^ dst) & ip4_mask(c->address[i].prefix_len)) == 0)
			return c->address[i].addr;
	}
	return c->n_addresses > 0 ? c->address[0].addr : 0;
}

uint32_t ip_source_for(const struct ip_stack *s, uint32_t ifindex, uint32_t dst)
{
	uint32_t addr = ip_interface_address(s, ifindex, dst);

	return addr != 0 ? addr : borrowed_address(s);
}

bool ip_leads_here(const struct fib_route *route, uint32_t dst)
{
	return route->nexthop.kind == FIB_LOCAL || ip4_is_loopback(dst);
}

bool ip_must_stay(const struct ip_stack *s, uint16_t zone, uint32_t src, uint32_t dst)
{
	return ip4_is_loopback(src) && !ip4_is_loopback(dst) && !ip_is_local(s, zone, dst);
}

bool ip_is_local(const struct ip_stack *s, uint16_t zone, uint32_t addr)
{
	return ip_route(s, zone, addr)->kind == FIB_LOCAL;
}
