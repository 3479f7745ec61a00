/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of connections that nobody needs any more: rather than that a new one is
 * refused, the longest finished one makes room (gateway/conntrack/spare.c says what is
 * finished; RFC 6888 REQ-8 a allows it for TCP, whose state is tracked). Established
 * and fresh ones never do. Each that does is counted, and its end is an event with
 * the reason `reclaimed`.
 *
 * Only a destination that is full towards needs this, and such a destination has a
 * map (overload.c). With it stands a queue of the connections that may be finished,
 * in the order in which they became so; and before that another of those that were
 * finished before there was a map, in any order. Whoever looks takes the first that
 * is indeed: a query may have gone on. Idle UDP is found by a hand that goes round
 * the ports, some of them with each that would be refused: which of those is idle
 * longest. So where few of many are idle, some are refused until the hand is there. A
 * set without a map is small enough to look at all of it.
 *
 * An endpoint-independent mapping makes room when its only connection is finished;
 * those stand in one queue for all pools. Whoever looks there puts what is of no use
 * to him behind the others.
 *
 * A pool whose ports are held down gains nothing, and is left alone.
 */
#include "gateway/nat/overload.h"
#include "gateway/nat/reclaim.h"
#include "gateway/nat/source.h"

/* Looks a time, at the queue and by the hand. */
#define LOOKS 4u
#define MAPPING_LOOKS 16u

void nat_reclaim_finished(void *ctx, uint32_t index)
{
	struct nat *n = ctx;
	uint32_t ref;

	if (n->overloads->n_used == 0 && n->mappings.pool.n_used == 0)
		return;
	if (!nat_source_hold_of(n, index, &ref))
		return;
	if (nat_ref_kind(ref) == NAT_HOLD_MAPPING) {
		nat_reclaim_queue_append(n, &n->reclaim.mappings, index);
		return;
	}
	struct overload *o =
		nat_overload_of(n, &conntrack_conn(n->ct, index)->half[CT_REPLY].tuple, nat_ref_index(ref), NULL);

	if (o != NULL)
		nat_reclaim_queue_append(n, &o->finished, index);
}

static void note(struct nat *n, const struct nat_source_request *w)
{
	nat_refusals_of(n, w->origin, w->id)->n_reused++;
}

/* The first of the queue that is finished and has a port of the request. */
static uint32_t first_finished(struct nat *n, struct nat_reclaim_queue *q, const struct port_set *set)
{
	uint32_t quiet, next = q->first;

	for (uint32_t i = 0; i < LOOKS && next != 0; i++) {
		uint32_t index = next - 1;

		next = nat_reclaim_queue_next(n, index);
		if (!conntrack_may_be_finished(n->ct, index)) {
			nat_reclaim_queue_remove(n, q, index);
			continue;
		}
		const struct tuple *reply = &conntrack_conn(n->ct, index)->half[CT_REPLY].tuple;

		if (port_set_has(set, nat_outside_port(reply)) && conntrack_spare(n->ct, index, &quiet) == CT_FINISHED)
			return index;
	}
	return CONN_NONE;
}

/* Of some connections the one that is needed least. */
struct least {
	uint32_t index, quiet;
	enum ct_spare spare;
};

static void consider(struct nat *n, struct least *least, uint32_t index)
{
	uint32_t quiet, ref;
	enum ct_spare spare = conntrack_spare(n->ct, index, &quiet);

	if (spare == CT_NEEDED || spare < least->spare || (spare == least->spare && quiet <= least->quiet))
		return;
	if (nat_source_hold_of(n, index, &ref) && nat_ref_kind(ref) == NAT_HOLD_PORT)
		*least = (struct least){ index, quiet, spare };
}

/* All ports of a set without a map. */
static bool free_one_of_few(struct nat *n, uint32_t address, struct tuple reply, const struct port_set *set)
{
	struct least least = { .index = CONN_NONE, .spare = CT_NEEDED };

	reply.dst = ports_addr(n->ports, address)->v4;
	for (uint32_t i = 0; i < set->n_ports; i++) {
		nat_set_outside_port(&reply, port_set_at(set, i));
		uint32_t ref = conntrack_find(n->ct, &reply);

		if (ref != CONN_NONE)
			consider(n, &least, conn_index(ref));
	}
	return least.index != CONN_NONE && conntrack_reclaim(n->ct, least.index);
}

/* Some ports from the hand on. A tuple that nobody has any more, and of whose end the map was not told since no port
 * was held for it, is free at once. */
static bool free_by_hand(struct nat *n, uint32_t address, struct overload *o, struct tuple reply,
			 const struct port_set *set)
{
	struct least least = { .index = CONN_NONE, .spare = CT_NEEDED };

	reply.dst = ports_addr(n->ports, address)->v4;
	for (uint32_t i = 0; i < LOOKS; i++) {
		uint32_t port = nat_overload_next_used(o, set);

		if (port == PORT_NONE)
			break;
		nat_set_outside_port(&reply, port);
		uint32_t ref = conntrack_find(n->ct, &reply);

		if (ref == CONN_NONE && nat_overload_owns(n, o, port)) {
			nat_overload_unmark(o, port);
			return true;
		}
		if (ref != CONN_NONE)
			consider(n, &least, conn_index(ref));
	}
	return least.index != CONN_NONE && conntrack_reclaim(n->ct, least.index);
}

bool nat_reclaim_port(struct nat *n, uint32_t address, const struct tuple *reply, const struct nat_source_request *w)
{
	const struct port_set *set = w->port.set;
	bool done;

	if (port_proto_of(reply->proto) == PORT_PROTO_NONE || (w->pool != NULL && w->pool->hold_down_s != 0))
		return false;
	if (set->n_ports <= OVERLOAD_TINY) {
		done = free_one_of_few(n, address, *reply, set);
	} else {
		struct overload *o = nat_overload_of(n, reply, address, set);

		if (o == NULL)
			return false;
		uint32_t index = first_finished(n, &o->before, set);

		if (index == CONN_NONE)
			index = first_finished(n, &o->finished, set);
		done = index != CONN_NONE ? conntrack_reclaim(n->ct, index) : free_by_hand(n, address, o, *reply, set);
	}
	if (done)
		note(n, w);
	return done;
}

bool nat_reclaim_mapping(struct nat *n, uint8_t ip_proto, const struct nat_source_request *w)
{
	uint32_t quiet, ref, next = n->reclaim.mappings.first;

	if (w->pool != NULL && w->pool->hold_down_s != 0)
		return false;
	for (uint32_t i = 0; i < MAPPING_LOOKS && next != 0; i++) {
		uint32_t index = next - 1;

		next = nat_reclaim_queue_next(n, index);
		if (!conntrack_may_be_finished(n->ct, index) || !nat_source_hold_of(n, index, &ref) ||
		    nat_ref_kind(ref) != NAT_HOLD_MAPPING) {
			nat_reclaim_queue_remove(n, &n->reclaim.mappings, index);
			continue;
		}
		const struct nat_eim *m = nat_mapping_at(n, nat_ref_index(ref));

		/* Behind all others, or a few of them would keep everybody from what stands there. */
		if (m->n_holders > 1 || m->lessor != 0 || m->pool != w->id || m->proto != ip_proto) {
			nat_reclaim_queue_remove(n, &n->reclaim.mappings, index);
			nat_reclaim_queue_append(n, &n->reclaim.mappings, index);
			continue;
		}
		if (conntrack_spare(n->ct, index, &quiet) != CT_FINISHED)
			continue;
		if (!conntrack_reclaim(n->ct, index))
			return false;
		note(n, w);
		return true;
	}
	return false;
}
