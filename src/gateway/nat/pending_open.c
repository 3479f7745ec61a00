/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two hosts behind us that open a connection to each other by their outside ends
 * (RFC 4787 REQ-9, RFC 5382 REQ-8, RFC 5128 section 3.3).
 *
 * Each has a mapping, and strict filtering keeps the other out until its own host
 * has spoken to it. The packet that comes first is refused, as it should be; but
 * it is also the word of its sender, and so must open the sender's filter for the
 * answer, as it would have done on its way out. Since a refused packet leaves no
 * connection, what holds the pinhole is an attempt: it keeps the sender's mapping
 * and lets in whoever is inside the mapping that was tried.
 *
 * Attempts stand in a ring of fixed size and all last as long, so the oldest is
 * always the next to go. In a full ring an attempt opens nothing.
 *
 * With several workers the refused packet is at the worker that has the mapping
 * that was tried, and the answer will come to the one that has the sender's: that
 * one is told, and has the attempt.
 */
#include "gateway/nat/nat_priv.h"

#define LASTS_NS (240 * NS_PER_S) /* RFC 5382 REQ-5: a connection that is partly open */

static uint16_t pinhole_port(const struct nat *n, const struct nat_eim *m, uint16_t port)
{
	return n->cfg.pool[m->pool].filtering == NAT_FILTER_ADDRESS_PORT_DEPENDENT ? port : 0;
}

bool nat_pending_open_here(struct nat *n, const struct tuple *meet, uint32_t pool)
{
	struct nat_pending_opens *a = &n->pending_opens;
	uint32_t own = nat_mapping_of_inside(n, meet, pool);

	if (own == NAT_NONE || nat_mapping_at(n, own)->lessor != 0)
		return false;
	struct nat_pending_open pending_open = {
		.until = n->env->now + LASTS_NS,
		.mapping = own,
		.remote = meet->dst,
		.port = pinhole_port(n, nat_mapping_at(n, own), meet->dport),
	};
	if (a->n == NAT_PENDING_OPENS_MAX || nat_pinhole_for(n, own, pending_open.remote, pending_open.port))
		return true;
	nat_mapping_join(n, own);
	nat_pinhole_join(n, own, pending_open.remote, pending_open.port);
	a->pending_open[(a->head + a->n++) % NAT_PENDING_OPENS_MAX] = pending_open;
	return true;
}

void nat_pending_open(struct nat *n, const struct tuple *orig, const struct nat_eim *target)
{
	struct tuple meet = *orig;

	if (orig->proto == IPPROTO_NR_ICMP)
		return;
	meet.dst = target->in_addr;
	meet.dport = target->in_port;
	if (!nat_pending_open_here(n, &meet, target->pool) && n->workers.pending_open != NULL)
		n->workers.pending_open(n->workers.ctx, &meet, target->pool);
}

static void forget_first(struct nat *n)
{
	struct nat_pending_opens *a = &n->pending_opens;
	const struct nat_pending_open *first = &a->pending_open[a->head];

	nat_pinhole_leave(n, first->mapping, first->remote, first->port);
	nat_mapping_leave(n, first->mapping);
	a->head = (a->head + 1) % NAT_PENDING_OPENS_MAX;
	a->n--;
}

void nat_pending_opens_expire(struct nat *n)
{
	while (n->pending_opens.n > 0 && n->pending_opens.pending_open[n->pending_opens.head].until <= n->env->now)
		forget_first(n);
}

void nat_pending_opens_forget(struct nat *n)
{
	while (n->pending_opens.n > 0)
		forget_first(n);
}

uint64_t nat_pending_opens_deadline(const struct nat *n)
{
	return n->pending_opens.n > 0 ? n->pending_opens.pending_open[n->pending_opens.head].until : TIME_NEVER;
}
