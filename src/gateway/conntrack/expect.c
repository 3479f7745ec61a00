/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections that a packet of another one speaks of (a call of PPTP, src/gateway/nat/pptp.c):
 * both tuples are known before their first packet, so such a connection stands in the
 * table at once, confirmed, as if one had passed all hooks. It is counted with the source of
 * the one that spoke of it, by the limits per source; like any other it makes room when
 * the table is full, until it is assured.
 */
#include "gateway/conntrack/conntrack_priv.h"

/* Ends what has the tuple. False: later. */
static bool clear_tuple(struct conntrack *ct, const struct tuple *t)
{
	uint32_t ref = conntrack_find(ct, t);

	if (ref == CONN_NONE)
		return true;
	if (!conntrack_may_end(ct))
		return false;
	conntrack_end(ct, conn_index(ref), CT_END_REUSED);
	return true;
}

/* A new one beside p's, counted with the same source. */
static uint32_t create_beside(struct conntrack *ct, const struct packet *p, const struct tuple *orig)
{
	uint32_t beside = conn_index(p->conn_ref), index = POOL_NONE;
	bool limited = ct->cfg.max_per_source != 0 || ct->cfg.new_per_source_s != 0;
	uint32_t source = limited ? ct->side[beside].source : CT_SOURCE_NONE;
	struct ct_source_limit limit = ct_source_limit_of(ct);

	/* Made room for somebody in this batch: it is counted nowhere any more. */
	if (ct_conn(ct, beside)->status & CT_DYING)
		return POOL_NONE;
	if (ct_source_join(&ct->sources, source, &limit, ct->env->now) != CT_SOURCE_OK)
		return POOL_NONE;
	if (ct_make_room(ct))
		index = ct_create(ct, ct_place_of(ct, orig), orig);
	if (index == POOL_NONE)
		ct_source_leave(&ct->sources, source);
	else
		ct->side[index].source = source;
	return index;
}

uint32_t conntrack_expect(struct conntrack *ct, const struct packet *p, const struct tuple *orig,
			  const struct tuple *reply)
{
	if (!clear_tuple(ct, orig) || !clear_tuple(ct, reply))
		return CONN_NONE;
	uint32_t index = create_beside(ct, p, orig);
	if (index == POOL_NONE)
		return CONN_NONE;
	struct conn *c = ct_conn(ct, index);

	c->status |= CT_EXPECTED | CT_SNAT_DONE | CT_DNAT_DONE;
	c->status |= ct_conn(ct, conn_index(p->conn_ref))->status & CT_OUTSIDE;
	c->status |= reply->dst != orig->src ? CT_SNAT : 0;
	c->status |= reply->src != orig->dst ? CT_DNAT : 0;
	ct->side[index].notes.zone = c->status & CT_DNAT ? reply->zone : orig->zone;
	ct_begin(ct, index, ct_protocol_of(orig->proto), p);
	if (!conntrack_reserve_reply(ct, index, reply) || !ct_confirm_one(ct, index)) {
		ct_discard(ct, index);
		return CONN_NONE;
	}
	if (ct->workers.confirmed != NULL && !ct->workers.confirmed(ct->workers.ctx, index, p)) {
		conntrack_end(ct, index, CT_END_REFUSED);
		return CONN_NONE;
	}
	return index;
}
