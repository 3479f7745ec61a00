/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log records between a worker, which makes them, and the control thread, which
 * gives them to whoever reads them: so many, in memory of a size that is fixed at the
 * start. They wait there while nobody reads. What finds no room is lost, by count,
 * and where it is missing a record says so (LOG_LOST).
 */
#ifndef YG_DAEMON_RUN_LOG_RING_H
#define YG_DAEMON_RUN_LOG_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log_record.h"

#define LOG_RING_DEFAULT 16384u

struct log_ring;

/* n_records: rounded up to a power of two; 0: LOG_RING_DEFAULT. `worker` stands in each record. NULL without memory. */
struct log_ring *log_ring_create(uint32_t n_records, uint8_t worker);
void log_ring_destroy(struct log_ring *r);

/* The worker, or whoever stands in for it while it is quiesced. */
void log_ring_put(struct log_ring *r, const struct log_record *record);
/* The control thread: the oldest, which stays until log_ring_take; NULL: there is none. */
const struct log_record *log_ring_first(struct log_ring *r);
void log_ring_take(struct log_ring *r);

/* Any thread. What was made is what was read, waits, or was lost; records of LOG_LOST are none of it. */
struct log_ring_counts {
	uint64_t n_made, n_read, n_waiting, n_lost;
};
void log_ring_counts(const struct log_ring *r, struct log_ring_counts *out);

#endif
