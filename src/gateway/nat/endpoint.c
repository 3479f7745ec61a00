/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections through endpoint-independent mappings: from outside into one, if its
 * filtering lets it in, and from inside by the one that the endpoint has or is given
 * now. A mapping has a port that nobody shares (mapping.c keeps them).
 *
 * RFC 4787 sections 4.1 and 5.
 */
#include "gateway/nat/source.h"

static bool lets_in(const struct nat *n, uint32_t mapping, const struct tuple *o)
{
	switch ((enum nat_filtering)n->cfg.pool[nat_mapping_at(n, mapping)->pool].filtering) {
	case NAT_FILTER_ENDPOINT_INDEPENDENT:
		return true;
	case NAT_FILTER_ADDRESS_DEPENDENT:
		return nat_pinhole_for(n, mapping, o->src, 0);
	case NAT_FILTER_ADDRESS_PORT_DEPENDENT:
		break;
	}
	return o->sport != 0 && nat_pinhole_for(n, mapping, o->src, o->sport);
}

/* Towards an endpoint-independent mapping from outside, if its filtering lets it in. */
void nat_enter_mapping(struct nat *n, uint32_t index, struct packet *p)
{
	struct conn *c = conntrack_conn(n->ct, index);
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;

	if (n->mappings.pool.n_used == 0)
		return;
	uint32_t i = nat_mapping_of_outside(n, o);

	if (i == NAT_NONE)
		return;
	const struct nat_eim *m = nat_mapping_at(n, i);
	if (!lets_in(n, i, o)) {
		if (p->in_ifindex != m->out_ifindex)
			nat_pending_open(n, o, m);
		return;
	}
	struct tuple want = *o;
	want.dst = m->in_addr;
	if (o->proto == IPPROTO_NR_ICMP)
		want.sport = m->in_port;
	else
		want.dport = m->in_port;
	c->half[CT_REPLY].tuple = tuple_invert(&want);
	nat_mark_sides(c);
	nat_mapping_join(n, i);
	conntrack_ext(n->ct, index)->zone = p->zone = m->in_zone;
	(void)nat_hold(n, index, nat_ref_of(NAT_HOLD_MAPPING_IN, NAT_ORIGIN_POOL, m->pool, i)); /* its first */
}

/* The connection uses a mapping as its inside; it may have come in by another one (a hairpin). */
static bool hold_mapping(struct nat *n, uint32_t index, uint32_t mapping, const struct tuple *reply)
{
	const struct nat_eim *m = nat_mapping_at(n, mapping);

	nat_mapping_join(n, mapping);
	nat_pinhole_join(n, mapping, reply->src, 0);
	return nat_hold(n, index, nat_ref_of(NAT_HOLD_MAPPING, NAT_ORIGIN_POOL, m->pool, mapping));
}

/* A new mapping on one address: an unused port, which nobody shares. */
static uint32_t make_mapping(struct nat *n, const struct tuple *o, const struct nat_source_request *w, uint16_t zone,
			     uint32_t addr, uint32_t out_ifindex)
{
	uint32_t address = nat_ports_address(n, addr, zone);
	enum port_proto proto = port_proto_of(o->proto);

	if (address == PORTS_NONE || proto == PORT_PROTO_NONE)
		return NAT_NONE;
	uint32_t port = ports_take(n->ports, address, proto, &w->port, NULL, NULL);

	if (port == PORT_NONE)
		return NAT_NONE;
	struct nat_eim like = {
		.in_addr = o->src,
		.out_addr = addr,
		.in_port = nat_inside_port(o),
		.out_port = (uint16_t)port,
		.in_zone = o->zone,
		.proto = o->proto,
		.pool = (uint8_t)w->id,
		.out_ifindex = (uint8_t)out_ifindex,
		.address = address,
	};
	struct tuple inside = { .src = o->src, .sport = like.in_port, .proto = o->proto, .zone = o->zone };
	uint32_t made = NAT_NONE;
	if (n->workers.mapping == NULL || n->workers.mapping(n->workers.ctx, &inside, NAT_MAPPING_MADE))
		made = nat_mapping_make(n, &like);
	if (made == NAT_NONE)
		ports_give_back(n->ports, address, proto, port);
	return made;
}

/* The mapping of an inside endpoint; NAT_NONE without a port or room. */
static uint32_t find_mapping(struct nat *n, const struct tuple *o, const struct nat_source_request *w, uint16_t zone,
			     uint32_t out_ifindex)
{
	uint32_t mapping = nat_mapping_of_inside(n, o, w->id);
	uint64_t start = nat_start_address(n, o, w->n_addresses);
	uint64_t n_tries = w->paired ? 1 : min_u64(w->n_addresses, ports_n_addresses_max(n->ports));

	for (uint64_t i = 0; mapping == NAT_NONE && i < n_tries; i++) {
		uint32_t addr = nat_request_address(w, nat_later_address(start, i, w->n_addresses));
		mapping = make_mapping(n, o, w, zone, addr, out_ifindex);
	}
	return mapping;
}

bool nat_take_mapping(struct nat *n, struct conn *c, uint32_t index, const struct nat_source_request *w,
		      struct tuple reply, struct packet *p)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;

	if (n->workers.lease != NULL && nat_mapping_of_inside(n, o, w->id) == NAT_NONE) {
		struct nat_lease wanted = { .pool = (uint8_t)w->id,
					    .zone = reply.zone,
					    .out_ifindex = (uint8_t)p->out_ifindex };
		if (n->workers.lease(n->workers.ctx, p, &wanted))
			return false;
	}
	uint32_t mapping = find_mapping(n, o, w, reply.zone, p->out_ifindex);
	if (mapping == NAT_NONE)
		return false;
	/* Held over the attempt, so that one made in vain goes away again. */
	nat_mapping_join(n, mapping);
	reply.dst = nat_mapping_at(n, mapping)->out_addr;
	nat_set_outside_port(&reply, nat_mapping_at(n, mapping)->out_port);
	bool done = conntrack_reserve_reply(n->ct, index, &reply) && hold_mapping(n, index, mapping, &reply);
	nat_mapping_leave(n, mapping);
	return done;
}

bool nat_lease_grant(struct nat *n, const struct tuple *inside, struct nat_lease *lease)
{
	struct nat_source_request w;

	nat_request_clear(&w);
	nat_request_pool(n, &w, lease->pool, inside);
	if (w.n_addresses == 0 || !w.endpoint_independent)
		return false;
	if (inside->proto == IPPROTO_NR_ICMP)
		w.port.set = &n->identifiers;
	else
		nat_request_stay_in_range(&w, nat_inside_port(inside));
	uint32_t mapping = find_mapping(n, inside, &w, lease->zone, lease->out_ifindex);
	if (mapping == NAT_NONE)
		return false;
	nat_mapping_join(n, mapping);
	n->mappings.n_for_workers++;
	lease->addr = nat_mapping_at(n, mapping)->out_addr;
	lease->port = nat_mapping_at(n, mapping)->out_port;
	return true;
}
