/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a worker tells the control thread: events, log records, that a message for a
 * raw socket has come, word from the recorder.
 *
 * Each kind has a ring or a flag of its own, so none displaces another. The ring of
 * events has one producer (the thread that is in the core) and one consumer (the
 * control thread); both indexes only grow. That of log records is log_ring.c's. The
 * eventfd to the control thread is written at most once between two reads of it, at
 * the end of a round.
 */
#include "daemon/run/worker_priv.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* What people are told without asking. */
#define ALWAYS_WANTED \
	(~(EVENT_BIT(EVENT_CONN_NEW) | EVENT_BIT(EVENT_CONN_UPDATE) | EVENT_BIT(EVENT_CONN_END) | \
	   EVENT_BIT(EVENT_NEIGH_LEARNT) | EVENT_BIT(EVENT_NEIGH_FAILED)))

void worker_kick(int fd)
{
	uint64_t one = 1;

	/* It can only fail when the counter is full, and then the reader is awake anyway. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void worker_send_notify(struct worker *w)
{
	if (!w->notify_wanted)
		return;
	w->notify_wanted = false;
	if (!atomic_exchange(&w->notify_sent, true))
		worker_kick(w->notify_fd);
}

void worker_notify(void *ctx)
{
	struct worker *w = ctx;

	w->notify_wanted = true;
}

void worker_notify_clear(struct worker *w)
{
	uint64_t n;

	while (read(w->notify_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	/* From here on what is put in is announced again; what was put in before is read by the caller. */
	atomic_store(&w->notify_sent, false);
}

int worker_notify_fd(const struct worker *w)
{
	return w->notify_fd;
}

void worker_want_events(struct worker *w, uint32_t kinds)
{
	atomic_store(&w->wanted, kinds | ALWAYS_WANTED);
}

const _Atomic(uint32_t) *worker_wanted_events(const struct worker *w)
{
	return &w->wanted;
}

void worker_emit(void *ctx, const struct yg_event *e)
{
	struct worker *w = ctx;

	if ((atomic_load_explicit(&w->wanted, memory_order_relaxed) & EVENT_BIT(e->kind)) == 0)
		return;
	uint32_t head = atomic_load_explicit(&w->head, memory_order_relaxed);
	w->notify_wanted = true;
	if (head - atomic_load_explicit(&w->tail, memory_order_acquire) == RING_EVENTS) {
		atomic_fetch_add_explicit(&w->n_lost, 1, memory_order_relaxed);
		return;
	}
	w->ring[head % RING_EVENTS] = *e;
	atomic_store_explicit(&w->head, head + 1, memory_order_release);
}

bool worker_event_next(struct worker *w, struct yg_event *out)
{
	uint32_t tail = atomic_load_explicit(&w->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&w->head, memory_order_acquire))
		return false;
	*out = w->ring[tail % RING_EVENTS];
	atomic_store_explicit(&w->tail, tail + 1, memory_order_release);
	return true;
}

uint64_t worker_events_lost(struct worker *w)
{
	return atomic_exchange(&w->n_lost, 0);
}

void worker_set_log(struct worker *w, struct log_ring *log)
{
	w->log = log;
}

void worker_want_log(struct worker *w, bool wanted)
{
	atomic_store(&w->log_wanted, wanted);
	atomic_thread_fence(memory_order_seq_cst); /* before the ring is looked into; see worker_log */
}

void worker_log(void *ctx, const struct log_record *r)
{
	struct worker *w = ctx;

	log_ring_put(w->log, r);
	/* Of two fences one is first: who has just begun to read finds this one in the ring, or it is told of here. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&w->log_wanted, memory_order_relaxed))
		return;
	atomic_store(&w->log_arrived, true);
	w->notify_wanted = true;
}

bool worker_log_arrived(struct worker *w)
{
	return atomic_exchange(&w->log_arrived, false);
}

bool worker_raw_arrived(struct worker *w)
{
	return atomic_exchange(&w->raw_arrived, false);
}
