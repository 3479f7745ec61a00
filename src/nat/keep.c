/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A TCP connection that begins anew on the same ORIGINAL tuple keeps the outside
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
 * Who begins anew is the tracker's choice: only a SYN on TIME_WAIT or CLOSE does.
 *
 * The rules are asked as for any new connection, and the mapping is kept only if it
 * is one that they may have chosen: the same pool, interface or range, an address
 * and a port in it, towards the same destination. A connection that was never
 * established is not followed: its port may be just the one that the peer refuses.
 *
 * What always holds: the port has a holder all along, the old connection (in limbo,
 * with CT_MAPPED), a struct nat_source, or the new one, so nobody else finds it
 * unused; its tuple is free between the old connection and the new one, so where
 * ports are shared another may have got it: then a port is chosen as always.
 */
#include "nat/nat_priv.h"

static bool wish_has(const struct nat_source *s, uint32_t addr)
{
	const struct nat_source_wish *w = &s->wish;

	/* Where the client's other connections of this config are. */
	if (w->paired)
		return addr == s->first;
	return w->pool != NULL ? nat_pool_has(w->pool, addr) : (uint32_t)(addr - w->range.first) < w->n_addresses;
}

static bool can_keep(const struct conn *before, const struct nat_source *s)
{
	const struct tuple *old = &before->tuple[CT_REPLY];
	struct tuple same = s->reply;

	same.dst = old->dst;
	nat_set_outside_port(&same, nat_outside_port(old));
	return (before->status & CT_ASSURED) && nat_ref_origin(before->nat_ref) == s->wish.origin &&
	       nat_ref_id(before->nat_ref) == s->wish.id && tuple_equal(&same, old) &&
	       port_set_has(s->wish.port.set, nat_outside_port(old)) && wish_has(s, old->dst);
}

struct conn *nat_keep_find(struct nat *n, uint32_t index, const struct nat_source *s)
{
	struct conn *before = conntrack_predecessor(n->ct, index);

	if (before == NULL || nat_ref_kind(before->nat_ref) != NAT_HOLD_PORT)
		return NULL;
	if (can_keep(before, s))
		return before;
	/* It may be the only port that is left. */
	before->status &= (uint16_t)~CT_MAPPED;
	nat_release(n, before, CONN_NONE);
	return NULL;
}

void nat_keep_hold(struct nat_source *s)
{
	s->before->status &= (uint16_t)~CT_MAPPED;
	s->address = nat_ref_index(s->before->nat_ref);
	s->reply = s->before->tuple[CT_REPLY];
}

void nat_keep_give_up(struct nat *n, struct nat_source *s)
{
	nat_release(n, s->before, CONN_NONE);
	s->before = NULL;
}
