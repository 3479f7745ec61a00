/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A TCP connection that begins again on the same ORIGINAL tuple keeps the outside
 * address and port of the one before it.
 *
 * Hosts rely on that. The peer that closed first holds the tuple in TIME_WAIT, and
 * takes a new SYN on it when sequence number and timestamp have gone on since (RFC
 * 9293 section 3.6.1, RFC 6191), as they do when one client uses one tuple again,
 * and as they do not when a translator gives the SYN another port, which was some
 * other connection's a while ago: each client, and with many stacks each tuple, has
 * numbers of its own. Such a SYN is answered by an acknowledgement of the old
 * connection, and the client tries again a second later.
 *
 * It cannot help an old segment into the new connection: the ends see the tuple
 * used again, so what guards them without a translator (RFC 1337) guards them here.
 * Who begins again is the tracker's choice: only a SYN on TIME_WAIT or CLOSE does.
 *
 * The rules are asked as for any new connection, and the mapping is kept only if it
 * is one that they may have chosen: the same pool, interface or range, an address
 * and a port in it, towards the same destination. A connection that was never
 * established is not followed: its port may be just the one that the peer refuses.
 *
 * What always holds: the port has a holder all along, the old connection (on the dying list,
 * with CT_MAPPED), a struct nat_source, or the new one, so nobody else finds it
 * unused; its tuple is free between the old connection and the new one, so where
 * ports are shared another may have got it: then a port is chosen as always.
 */
#include "gateway/nat/source.h"

static bool request_has(const struct nat_source *s, uint32_t addr)
{
	const struct nat_source_request *w = &s->request;

	/* Where the client's other connections of this config are. */
	if (w->paired)
		return addr == s->first.v4;
	return w->pool != NULL ? nat_pool_has(w->pool, addr) : (uint32_t)(addr - w->range.first) < w->n_addresses;
}

static bool can_keep(const struct nat *n, uint32_t before, const struct nat_source *s)
{
	const struct conn *c = conntrack_conn(n->ct, before);
	const struct tuple *old = &c->half[CT_REPLY].tuple;
	uint32_t ref = conntrack_ext(n->ct, before)->nat_ref;
	struct tuple same = s->reply;

	same.dst = old->dst;
	nat_set_outside_port(&same, nat_outside_port(old));
	return (c->status & CT_ASSURED) && nat_ref_origin(ref) == s->request.origin &&
	       nat_ref_id(ref) == s->request.id && tuple_equal(&same, old) &&
	       port_set_has(s->request.port.set, nat_outside_port(old)) && request_has(s, old->dst);
}

/* What it holds is given back, or another's from now on. */
static struct conn *holds_nothing(struct nat *n, uint32_t index)
{
	nat_reclaim_queues_leave(n, index);
	conntrack_clear_mapped(n->ct, index);
	return conntrack_conn(n->ct, index);
}

uint32_t nat_tuple_reuse_find(struct nat *n, uint32_t index, const struct nat_source *s)
{
	uint32_t before = conntrack_predecessor(n->ct, index);

	if (before == CONN_NONE || nat_ref_kind(conntrack_ext(n->ct, before)->nat_ref) != NAT_HOLD_PORT)
		return CONN_NONE;
	if (can_keep(n, before, s))
		return before;
	/* It may be the only port that is left. */
	nat_release(n, holds_nothing(n, before), before);
	return CONN_NONE;
}

void nat_tuple_reuse_hold(struct nat *n, struct nat_source *s)
{
	s->reply = holds_nothing(n, s->before)->half[CT_REPLY].tuple;
	s->address = nat_ref_index(conntrack_ext(n->ct, s->before)->nat_ref);
}

void nat_tuple_reuse_give_up(struct nat *n, struct nat_source *s)
{
	nat_release(n, conntrack_conn(n->ct, s->before), s->before);
	s->before = CONN_NONE;
}
