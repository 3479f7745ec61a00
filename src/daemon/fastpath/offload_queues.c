/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whether anything may still be on its way up, when several workers receive.
 *
 * A packet that the program sends up waits in the queue of some worker, and then in
 * a ring to its owner. The owner may not take it for lost while that worker stands
 * still, so it has to know that everybody who receives from the port has found
 * nothing more, and then that its own rings were empty.
 *
 * An epoch for each port. A worker that finds its queue and its rings empty marks
 * the port with the epoch of now; when the marks of all who receive there say so,
 * the epoch moves on. From a moment in epoch e:
 *   e + 1   begins later than that moment
 *   e + 2   everybody has marked since: what had come before is in a ring, or dealt with
 *   e + 3   everybody has marked since: it is dealt with
 * So three steps are enough (OFFLOAD_EMPTY_STEPS), and while workers are busy each
 * takes as long as the slowest of them goes round. One that sleeps marks nothing:
 * then a flow waits for the number of its own next packet (offload_order.c).
 *
 * A worker takes part in a port from its first mark until it leaves.
 */
#include <stdlib.h>

#include "daemon/fastpath/offload_priv.h"

struct offload_queues {
	uint32_t n_cores;
	uint32_t epoch[IP_INTERFACES_MAX]; /* never 0 */
	/* By core; written by that core alone. 0: does not take part. */
	struct {
		uint32_t mark[IP_INTERFACES_MAX];
	} * core;
};

struct offload_queues *offload_queues_create(uint32_t n_cores)
{
	struct offload_queues *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->n_cores = n_cores;
	q->core = calloc(n_cores, sizeof(*q->core));
	if (q->core == NULL) {
		free(q);
		return NULL;
	}
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		q->epoch[i] = 1;
	return q;
}

void offload_queues_destroy(struct offload_queues *q)
{
	if (q == NULL)
		return;
	free(q->core);
	free(q);
}

uint32_t offload_queues_epoch(const struct offload_queues *q, uint32_t port)
{
	return __atomic_load_n(&q->epoch[port], __ATOMIC_SEQ_CST);
}

/* If all who take part have marked it. */
static void move_on(struct offload_queues *q, uint32_t port, uint32_t epoch)
{
	uint32_t next = epoch + 1 != 0 ? epoch + 1 : 1;

	for (uint32_t i = 0; i < q->n_cores; i++) {
		uint32_t mark = __atomic_load_n(&q->core[i].mark[port], __ATOMIC_SEQ_CST);
		if (mark != 0 && mark != epoch)
			return;
	}
	/* Somebody else may have seen the same. */
	__atomic_compare_exchange_n(&q->epoch[port], &epoch, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void offload_queues_empty(struct offload_queues *q, uint32_t core, uint32_t port)
{
	uint32_t epoch = offload_queues_epoch(q, port);

	if (__atomic_load_n(&q->core[core].mark[port], __ATOMIC_RELAXED) == epoch)
		return;
	/* In one order for all: of two who mark at the same time, one sees the other's. */
	__atomic_store_n(&q->core[core].mark[port], epoch, __ATOMIC_SEQ_CST);
	move_on(q, port, epoch);
}

void offload_queues_leave(struct offload_queues *q, uint32_t core, uint32_t port)
{
	uint32_t epoch = offload_queues_epoch(q, port);

	__atomic_store_n(&q->core[core].mark[port], 0, __ATOMIC_SEQ_CST);
	/* Others may have waited for this one alone. */
	move_on(q, port, epoch);
}
