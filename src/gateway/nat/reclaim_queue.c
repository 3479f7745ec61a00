/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Queues of connections that may be finished: one for each busy destination of
 * those that became so, another of those that were before it was busy (overload.c),
 * and one for all endpoint-independent mappings. A connection stands in one at most.
 *
 * What always holds: a link's serial is that of its queue exactly as long as its
 * connection stands in it. A queue ends without a look at its links: it has serial 0
 * then, or that of the next queue in its place.
 */
#include "gateway/nat/nat_priv.h"

int nat_reclaim_init(struct nat_reclaim *r, uint32_t n_connections)
{
	*r = (struct nat_reclaim){ 0 };
	nat_reclaim_queue_begin(r, &r->mappings);
	return pool_init(&r->links, n_connections, sizeof(struct nat_reclaim_link), _Alignof(struct nat_reclaim_link));
}

void nat_reclaim_fini(struct nat_reclaim *r)
{
	pool_fini(&r->links);
}

void nat_reclaim_queue_begin(struct nat_reclaim *r, struct nat_reclaim_queue *q)
{
	*q = (struct nat_reclaim_queue){ .serial = ++r->next_serial };
}

void nat_reclaim_queue_end(struct nat_reclaim_queue *q)
{
	q->serial = 0;
}

static struct nat_reclaim_link *link_of(const struct nat *n, uint32_t index)
{
	return (struct nat_reclaim_link *)n->reclaim.links.mem + index;
}

static bool is_queued(const struct nat_reclaim_link *l)
{
	return l->serial != 0 && l->queue->serial == l->serial;
}

uint32_t nat_reclaim_queue_next(const struct nat *n, uint32_t index)
{
	return link_of(n, index)->next;
}

void nat_reclaim_queue_append(struct nat *n, struct nat_reclaim_queue *q, uint32_t index)
{
	struct nat_reclaim_link *l = link_of(n, index);

	if (is_queued(l))
		return;
	*l = (struct nat_reclaim_link){ .queue = q, .prev = q->last, .serial = q->serial };
	if (q->last == 0)
		q->first = index + 1;
	else
		link_of(n, q->last - 1)->next = index + 1;
	q->last = index + 1;
	n->reclaim.any = true;
}

void nat_reclaim_queue_remove(struct nat *n, struct nat_reclaim_queue *q, uint32_t index)
{
	struct nat_reclaim_link *l = link_of(n, index);

	if (l->prev == 0)
		q->first = l->next;
	else
		link_of(n, l->prev - 1)->next = l->next;
	if (l->next == 0)
		q->last = l->prev;
	else
		link_of(n, l->next - 1)->prev = l->prev;
	l->serial = 0;
}

void nat_reclaim_queues_leave(struct nat *n, uint32_t index)
{
	if (!n->reclaim.any)
		return;
	struct nat_reclaim_link *l = link_of(n, index);

	if (is_queued(l))
		nat_reclaim_queue_remove(n, l->queue, index);
	l->serial = 0;
}
