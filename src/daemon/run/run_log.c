/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log records between the workers and the one command that reads them
 * (`yangguan log`). Each worker has a ring (log_ring.h), apart from that of its events, so
 * neither displaces the other. Records stay in the rings while nobody reads, and
 * while the reader is slow.
 *
 * The order: what one worker told comes in the order in which it happened. Of what
 * waits in several rings at a moment the oldest comes first; but a worker may be late,
 * so between workers only the times in the records say what was first.
 */
#include "daemon/run/run_priv.h"

bool run_log_begin(struct run *r)
{
	for (uint32_t i = 0; i < r->n_cores; i++) {
		r->core[i].log = log_ring_create(r->snap->n_log_records, (uint8_t)i);
		if (r->core[i].log == NULL)
			return false;
		worker_set_log(r->core[i].worker, r->core[i].log);
	}
	return true;
}

void run_log_end(struct run *r)
{
	for (uint32_t i = 0; i < r->n_cores; i++)
		log_ring_destroy(r->core[i].log);
}

static void want(struct run *r, bool wanted)
{
	r->log_is_read = wanted;
	for (uint32_t i = 0; i < r->n_cores; i++)
		worker_want_log(r->core[i].worker, wanted);
}

bool run_log_open(void *ctx)
{
	struct run *r = ctx;

	if (r->log_is_read)
		return false;
	want(r, true);
	return true;
}

void run_log_close(void *ctx)
{
	want(ctx, false);
}

bool run_log_next(void *ctx, struct log_record *out)
{
	struct run *r = ctx;
	const struct log_record *oldest = NULL;
	uint32_t worker = 0;

	for (uint32_t i = 0; i < r->n_cores; i++) {
		const struct log_record *first = log_ring_first(r->core[i].log);

		if (first == NULL || (oldest != NULL && first->time_ns >= oldest->time_ns))
			continue;
		oldest = first;
		worker = i;
	}
	if (oldest == NULL)
		return false;
	*out = *oldest;
	log_ring_take(r->core[worker].log);
	return true;
}

void run_log_counts(void *ctx, struct control_log_counts *out)
{
	const struct run *r = ctx;

	*out = (struct control_log_counts){ 0 };
	for (uint32_t i = 0; i < r->n_cores; i++) {
		struct log_ring_counts c;

		log_ring_counts(r->core[i].log, &c);
		out->n_made += c.n_made;
		out->n_read += c.n_read;
		out->n_waiting += c.n_waiting;
		out->n_lost += c.n_lost;
	}
}
