/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections that may be finished, the longest first, in the order in which they
 * make room (reclaim.c).
 */
#ifndef YG_GATEWAY_NAT_RECLAIM_QUEUE_H
#define YG_GATEWAY_NAT_RECLAIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"

struct nat;

struct nat_reclaim_queue {
	uint32_t first, last; /* number of a connection + 1 */
	uint32_t serial;      /* of the queue, 0: there is none; what has another one's is not in it */
	uint32_t reserved;
};

struct nat_reclaim_link {
	struct nat_reclaim_queue *queue;
	uint32_t next, prev; /* number + 1 */
	uint32_t serial;     /* 0: in no queue */
};

struct nat_reclaim {
	struct pool links; /* used as an array, by the numbers of connections */
	uint32_t next_serial;
	bool any; /* ever: while it is false, links are not looked at */
	struct nat_reclaim_queue mappings;
};

int nat_reclaim_init(struct nat_reclaim *r, uint32_t n_connections);
void nat_reclaim_fini(struct nat_reclaim *r);
/* Its memory stays what it is for as long as r is: another queue may begin there behind the end of this one. */
void nat_reclaim_queue_begin(struct nat_reclaim *r, struct nat_reclaim_queue *q);
void nat_reclaim_queue_end(struct nat_reclaim_queue *q);
/* Behind the others; one that is in a queue stays where it is. */
void nat_reclaim_queue_append(struct nat *n, struct nat_reclaim_queue *q, uint32_t index);
void nat_reclaim_queue_remove(struct nat *n, struct nat_reclaim_queue *q, uint32_t index);
/* Out of the queue in which it stands, if it stands in one: it gives back what it holds. */
void nat_reclaim_queues_leave(struct nat *n, uint32_t index);
/* Number + 1, 0 at the end. */
uint32_t nat_reclaim_queue_next(const struct nat *n, uint32_t index);

#endif
