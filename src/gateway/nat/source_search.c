/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A source for a new connection that is not simply the port that was drawn for it:
 * its first address has no unused port, its tuple is somebody else's, it takes an
 * endpoint-independent mapping, or nothing is translated.
 *
 * Addresses of a pool are tried from one that follows from the source address
 * alone, so a client keeps its outside address as long as there is room (RFC 4787
 * REQ-2; strictly with `paired`), first for an unused port on any, then for a
 * shared one. When there is none, another worker may have one; when nobody has, one
 * of a connection that is finished makes room.
 *
 * Next: src/gateway/nat/port.c
 */
#include "gateway/nat/reclaim.h"
#include "gateway/nat/source.h"

#define NULL_BINDING_TRIES 64

static bool take_on(struct nat *n, uint32_t index, const struct nat_source_request *w, struct tuple reply,
		    uint32_t addr, enum nat_port_effort effort)
{
	uint32_t address = nat_ports_address(n, addr, reply.zone);

	if (address == PORTS_NONE)
		return false;
	reply.dst = addr;
	if (!nat_take_port(n, index, address, reply, &w->port, effort))
		return false;
	return nat_hold(n, index, nat_ref_of(NAT_HOLD_PORT, w->origin, w->id, address));
}

static bool take_any(struct nat *n, struct conn *c, uint32_t index, const struct nat_source *s)
{
	const struct nat_source_request *w = &s->request;
	bool all_used = w->n_addresses == 1 && s->none_unused;
	uint64_t start = nat_start_address(n, &c->half[CT_ORIGINAL].tuple, w->n_addresses);
	uint64_t n_tries = w->paired ? 1 : min_u64(w->n_addresses, ports_n_addresses_max(n->ports));

	for (int effort = all_used ? NAT_PORT_SHARED : NAT_PORT_UNUSED; effort <= NAT_PORT_SHARED; effort++)
		for (uint64_t i = 0; i < n_tries; i++) {
			uint32_t addr = nat_request_address(w, nat_later_address(start, i, w->n_addresses));
			if (take_on(n, index, w, s->reply, addr, (enum nat_port_effort)effort))
				return true;
		}
	return false;
}

/* On an address where one that is finished makes room. */
static bool take_reclaimed(struct nat *n, struct conn *c, uint32_t index, const struct nat_source_request *w,
			   struct tuple reply)
{
	uint64_t start = nat_start_address(n, &c->half[CT_ORIGINAL].tuple, w->n_addresses);
	uint64_t n_tries = w->paired ? 1 : min_u64(w->n_addresses, ports_n_addresses_max(n->ports));

	for (uint64_t i = 0; i < n_tries; i++) {
		uint32_t addr = nat_request_address(w, nat_later_address(start, i, w->n_addresses));
		uint32_t address = nat_ports_find(n, addr, reply.zone);

		if (address != PORTS_NONE && nat_reclaim_port(n, address, &reply, w) &&
		    (take_on(n, index, w, reply, addr, NAT_PORT_UNUSED) ||
		     take_on(n, index, w, reply, addr, NAT_PORT_SHARED)))
			return true;
	}
	return false;
}

/* Nothing to translate; but two connections must not have the same REPLY tuple. */
static bool null_binding(struct nat *n, uint32_t index, struct tuple reply)
{
	if (conntrack_reserve_reply(n->ct, index, &reply))
		return true;
	if (port_proto_of(reply.proto) == PORT_PROTO_NONE)
		return false;
	for (int i = 0; i < NULL_BINDING_TRIES; i++) {
		uint32_t port = port_set_at(&n->default_ports, rng_below(&n->env->rng, n->default_ports.n_ports));
		nat_set_outside_port(&reply, port);
		if (conntrack_reserve_reply(n->ct, index, &reply))
			return true;
	}
	return false;
}

static bool take_request(struct nat *n, struct conn *c, uint32_t index, const struct nat_source *s, struct packet *p)
{
	const struct nat_source_request *w = &s->request;

	if (w->n_addresses == 0 || nat_request_address(w, 0) == 0)
		return false;
	return w->endpoint_independent ? nat_take_mapping(n, c, index, w, s->reply, p) : take_any(n, c, index, s);
}

/* Rather one that is finished ends than that this one is refused. */
static bool take_from_finished(struct nat *n, struct conn *c, uint32_t index, const struct nat_source *s,
			       struct packet *p)
{
	const struct nat_source_request *w = &s->request;

	if (!s->translates || w->n_addresses == 0)
		return false;
	if (!w->endpoint_independent)
		return take_reclaimed(n, c, index, w, s->reply);
	return nat_reclaim_mapping(n, c->half[CT_ORIGINAL].tuple.proto, w) &&
	       nat_take_mapping(n, c, index, w, s->reply, p);
}

/* Another worker may have a port; of what has none all that goes to one host outside is at one worker. */
static bool takes_port(const struct tuple *reply)
{
	return port_proto_of(reply->proto) != PORT_PROTO_NONE;
}

bool nat_source_search(struct nat *n, struct packet *p, uint32_t index, const struct nat_source *s)
{
	struct conn *c = conntrack_conn(n->ct, index);

	if (s->translates ? take_request(n, c, index, s, p) : null_binding(n, index, s->reply))
		return true;
	if (p->verdict == VERDICT_STOLEN)
		return false;
	if (n->workers.elsewhere != NULL && s->request.n_addresses != 0 && takes_port(&s->reply) &&
	    n->workers.elsewhere(n->workers.ctx, p))
		return false;
	return take_from_finished(n, c, index, s, p);
}
