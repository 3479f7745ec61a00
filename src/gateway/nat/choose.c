/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A mapping for a new connection: once a side, the rules are asked what to do, and
 * the answer is written into the REPLY tuple.
 *
 * The destination comes first: it changes whom the REPLY comes from, and reserves
 * nothing; any number of connections may share one destination. The source comes
 * last, and with it the REPLY tuple is taken in the connection table. So it is
 * unique from here on, also where nothing is translated: a connection whose plain
 * REPLY tuple belongs to somebody else is given another source port.
 *
 * Sources of a batch go through steps (nat_src in src/gateway/nat/hooks.c): all are asked for,
 * and a port is drawn for each; then ports are held; the table's lines for their REPLY
 * tuples are fetched, together; then the tuples are taken,
 * in order. A connection whose port is not simply one of the unused waits for its
 * turn, and those behind it with it; one that finds its tuple taken has those
 * behind it let go what they hold. So what a connection gets does not depend on
 * which others were in its batch.
 *
 * Aside: what a rule wants, as a request (request.c); a source that is not simply the
 * port that was drawn (source_search.c); a connection from outside that enters an
 * endpoint-independent mapping (endpoint.c).
 *
 * A connection that begins on the ORIGINAL tuple of one that has just ended keeps
 * that one's mapping, if the rules still want it (tuple_reuse.c).
 *
 * Next: src/stack/ports/ports_take.c, which draws and takes the port
 */
#include "gateway/nat/overload.h"
#include "gateway/nat/source.h"
#include "stack/wire/pptp.h"
#include "stack/ip/route.h"

static uint32_t replace_prefix(uint32_t addr, uint32_t prefix, uint8_t len)
{
	return (prefix & ip4_mask(len)) | (addr & ~ip4_mask(len));
}

/* Destination. */

static void set_destination(struct conn *c, uint32_t addr, uint32_t port)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;
	struct tuple want = *o;

	want.dst = addr;
	if (l4_has_ports(o->proto))
		want.dport = (uint16_t)port;
	c->half[CT_REPLY].tuple = tuple_invert(&want);
	nat_mark_sides(c);
}

static uint32_t pick_in(struct nat *n, const struct nat_action *a, const struct tuple *orig, uint32_t first,
			uint32_t last)
{
	uint64_t size = (uint64_t)last - first + 1;

	if (size <= 1)
		return first;
	if (a->flags & NAT_FLAG_PERSISTENT)
		return (uint32_t)(first + nat_client_choice(n, orig, size));
	return size > UINT32_MAX ? rng_u32(&n->env->rng) : first + rng_below(&n->env->rng, (uint32_t)size);
}

static bool choose_dst(struct nat *n, enum ip_hook hook, struct packet *p, uint32_t index, struct nat_action *a)
{
	struct conn *c = conntrack_conn(n->ct, index);
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;
	uint32_t addr = o->dst, port = o->dport;

	if (n->rules != NULL && n->rules(n->rules_ctx, hook, p, a) == VERDICT_DROP) {
		p->verdict = VERDICT_DROP;
		return false;
	}
	switch ((enum nat_action_kind)a->kind) {
	case NAT_ACTION_RANGE:
		if (a->flags & NAT_FLAG_ADDRESS)
			addr = pick_in(n, a, o, a->range.first, a->range.last);
		break;
	case NAT_ACTION_PREFIX:
		addr = replace_prefix(addr, a->range.first, a->prefix_len);
		break;
	case NAT_ACTION_REDIRECT:
		addr = hook == HOOK_OUTPUT ? IP4(127, 0, 0, 1)
					   : ip_interface_address(n->stack, p->in_ifindex, p->ip.src);
		if (addr == 0) {
			packet_set_drop(p, DROP_NAT_NO_MAPPING);
			return false;
		}
		break;
	case NAT_ACTION_NONE:
	case NAT_ACTION_POOL:
	case NAT_ACTION_MASQUERADE:
		nat_enter_mapping(n, index, p);
		c->status |= CT_DNAT_DONE;
		return true;
	}
	c->status |= CT_DNAT_DONE;
	if (a->flags & NAT_FLAG_PORT)
		port = pick_in(n, a, o, a->ports.first, a->ports.last);
	set_destination(c, addr, port);
	return true;
}

bool nat_choose_dst(struct nat *n, enum ip_hook hook, struct packet *p, uint32_t index)
{
	struct nat_action a = { .kind = NAT_ACTION_NONE };
	bool done = choose_dst(n, hook, p, index, &a);

	if (env_traced(n->env) && p->verdict != VERDICT_STOLEN)
		nat_trace_choice(n, TRACE_DESTINATION, p, &a, done ? NAT_CHOICE_MADE : NAT_CHOICE_REFUSED);
	return done;
}

/* Source. */

/* From inside to the outside of a mapping: the client appears under its own outside address (RFC 4787 REQ-9). */
static bool is_hairpin(const struct nat *n, uint32_t index, const struct packet *p)
{
	const struct conn *c = conntrack_conn(n->ct, index);
	uint32_t ref = conntrack_ext(n->ct, index)->nat_ref;

	if (!(c->status & CT_MAPPED) || nat_ref_kind(ref) != NAT_HOLD_MAPPING_IN || p->in_ifindex == 0)
		return false;
	return nat_mapping_at(n, nat_ref_index(ref))->out_ifindex != p->in_ifindex;
}

static bool draw_port(struct nat *n, struct nat_source *s)
{
	return ports_draw(n->ports, &s->first, s->reply.zone, port_proto_of(s->reply.proto), &s->request.port,
			  &n->port_rng, &s->draw);
}

static bool take_drawn(struct nat *n, struct nat_source *s)
{
	uint32_t port = ports_take_drawn(n->ports, &s->first, s->reply.zone, &s->request.port, &s->draw);

	s->address = s->draw.address;
	if (port == PORT_NONE) {
		/* Other workers may have some. */
		s->none_unused =
			s->address != PORTS_NONE && !s->draw.is_sockets && ports_are_mine(n->ports, s->address);
		return false;
	}
	s->reply.dst = s->first.v4;
	nat_set_outside_port(&s->reply, port);
	return true;
}

void nat_source_ask(struct nat *n, enum ip_hook hook, struct packet *p, uint32_t index, struct nat_source *s)
{
	struct conn *c = conntrack_conn(n->ct, index);
	bool first = !(c->status & CT_SNAT_ASKED);

	c->status |= CT_SNAT_ASKED;
	s->action = (struct nat_action){ .kind = NAT_ACTION_NONE };
	s->state = NAT_SOURCE_ASKED;
	if (n->rules != NULL && n->rules(n->rules_ctx, hook, p, &s->action) == VERDICT_DROP) {
		p->verdict = VERDICT_DROP;
		s->state = NAT_SOURCE_DROPPED;
		return;
	}
	s->reply = c->half[CT_REPLY].tuple;
	s->reply.zone = conntrack_reply_zone(n->ct, hook, p);
	if (s->action.kind == NAT_ACTION_NONE && is_hairpin(n, index, p)) {
		s->action.kind = NAT_ACTION_POOL;
		s->action.pool = (uint16_t)nat_ref_id(conntrack_ext(n->ct, index)->nat_ref);
	}
	if (s->action.kind == NAT_ACTION_PREFIX)
		s->reply.dst = replace_prefix(s->reply.dst, s->action.range.first, s->action.prefix_len);
	s->drawn = s->none_unused = false;
	s->before = CONN_NONE;
	s->translates = nat_request_make(n, p, c, s);
	/* Drawn once a connection, in the order of connections. */
	if (!first || !s->translates || s->request.n_addresses == 0 || s->request.endpoint_independent)
		return;
	s->first = ip_addr_v4(nat_request_address(
		&s->request, nat_start_address(n, &c->half[CT_ORIGINAL].tuple, s->request.n_addresses)));
	s->drawn = s->first.v4 != 0 && draw_port(n, s);
	s->before = nat_tuple_reuse_find(n, index, s);
}

bool nat_source_hold(struct nat *n, struct nat_source *s)
{
	if (s->before != CONN_NONE) {
		nat_tuple_reuse_hold(n, s);
	} else if (s->translates) {
		if (!s->drawn)
			return false;
		s->drawn = false;
		if (!take_drawn(n, s))
			return false;
		s->destination_hash = nat_overload_reach(n, &s->reply, s->address);
	}
	s->place = conntrack_reply_place(n->ct, &s->reply);
	s->state = NAT_SOURCE_HELD;
	return true;
}

void nat_source_let_go(struct nat *n, struct nat_source *s)
{
	s->state = NAT_SOURCE_ASKED;
	/* What is kept may as well be held a little longer. */
	if (s->before != CONN_NONE)
		return;
	if (s->translates)
		ports_give_back(n->ports, s->address, port_proto_of(s->reply.proto), nat_outside_port(&s->reply));
	s->drawn = s->translates;
}

bool nat_source_take(struct nat *n, uint32_t index, struct nat_source *s)
{
	if (!conntrack_reserve_reply_at(n->ct, index, &s->reply, s->place)) {
		nat_source_let_go(n, s);
		if (s->before != CONN_NONE)
			nat_tuple_reuse_give_up(n, s);
		s->drawn = false;
		return false;
	}
	s->state = NAT_SOURCE_TAKEN;
	if (!s->translates)
		return true;
	/* What is kept was never released. */
	if (s->before == CONN_NONE)
		nat_overload_taken_at(n, index, &s->reply, s->address, s->request.port.set, s->destination_hash);
	else
		conntrack_ext(n->ct, index)->nat_destination = conntrack_ext(n->ct, s->before)->nat_destination;
	if (nat_hold(n, index, nat_ref_of(NAT_HOLD_PORT, s->request.origin, s->request.id, s->address)))
		return true;
	s->state = NAT_SOURCE_ASKED;
	s->before = CONN_NONE;
	s->drawn = false;
	return false;
}

static bool is_pptp(const struct tuple *orig)
{
	return orig->proto == IPPROTO_NR_TCP && orig->dport == PPTP_PORT;
}

/* Nothing is left. Not decided: the next packet of the flow in this batch shares the connection and is refused too. */
static void refuse(struct nat *n, struct packet *p, const struct nat_source *s)
{
	const struct nat_source_request *w = &s->request;

	if (env_traced(n->env))
		nat_trace_choice(n, TRACE_SOURCE, p, &s->action, NAT_CHOICE_REFUSED);
	nat_refuse(n, p, w->origin, w->id, w->n_addresses != 0 ? nat_request_address(w, 0) : 0);
}

bool nat_source_finish(struct nat *n, struct packet *p, uint32_t index, struct nat_source *s)
{
	struct conn *c = conntrack_conn(n->ct, index);

	if (s->state != NAT_SOURCE_TAKEN && !nat_source_search(n, p, index, s)) {
		if (p->verdict != VERDICT_STOLEN)
			refuse(n, p, s);
		return false;
	}
	c->status &= (uint16_t)~CT_SNAT_ASKED;
	c->status |= CT_SNAT_DONE;
	nat_mark_sides(c);
	if (YG_UNLIKELY(is_pptp(&c->half[CT_ORIGINAL].tuple)))
		c->status |= CT_HELPED;
	if (env_traced(n->env))
		nat_trace_choice(n, TRACE_SOURCE, p, &s->action, NAT_CHOICE_MADE);
	return true;
}
