/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The law of conservation: nothing vanishes. In every worker, counted in
 * packet buffers,
 *
 *   received + originated + pieces made + taken over
 *     = handed to a driver + delivered + consumed + held + pieces merged + dropped + handed over
 *
 * (taken over and handed over: from and to another worker, when there are several).
 *
 * `held` is not a counter: it is the number of buffers in use that the packet
 * pool itself knows, so the law is a check and not a definition.
 *
 * Whoever ends a packet's life adds to exactly one field on the right; whoever
 * begins one adds to exactly one on the left.
 */
#ifndef YG_BASE_LEDGER_H
#define YG_BASE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"

struct ledger {
	uint64_t n_received;    /* came from a device */
	uint64_t n_originated;  /* made here: ICMP, ARP, sockets */
	uint64_t n_pieces_made; /* fragments and segments beyond the first */
	uint64_t n_taken_over;  /* came from another worker */
	uint64_t n_handed_over; /* went to the worker that owns it */
	uint64_t n_handed;      /* a driver took it */
	uint64_t n_delivered;   /* reached a local protocol or socket */
	uint64_t n_consumed;    /* ARP and the like: used up by the gateway itself */
	uint64_t n_merged;      /* fragments beyond the first of a packet put together */
	uint64_t n_dropped[N_DROP_REASONS];
};

uint64_t ledger_dropped(const struct ledger *l);
/* What the law says is still held; compare with the pool's own number. */
int64_t ledger_expected_held(const struct ledger *l);

#endif
