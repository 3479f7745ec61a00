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

/* Interfaces that are told apart; number 0 is "none", and what lies beyond. */
#define LEDGER_PLACES 64
/* Reasons that an operator looks for on one link: of neighbours, of translation, of an output device. */
/* clang-format off */
#define LEDGER_PLACED(X) \
	X(NEIGH_QUEUE) X(NEIGH_UNREACHABLE) X(NEIGH_TABLE) X(NEIGH_SOURCE) \
	X(NAT_EXHAUSTED) X(NAT_NO_MAPPING) X(NAT_UNSOLICITED) X(NAT_ROUTE_CHANGED) X(TX_DOWN)
/* clang-format on */
enum ledger_row {
#define X(name) LEDGER_ROW_##name,
	LEDGER_PLACED(X)
#undef X
		N_LEDGER_ROWS
};

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
	uint64_t n_dropped_at[N_LEDGER_ROWS][LEDGER_PLACES]; /* of those, by interface */
};

/* The row of n_dropped_at for a reason; N_LEDGER_ROWS: it has none. */
enum ledger_row ledger_row_of(enum drop_reason reason);
/* Counts a drop, by the interface that it concerns. */
void ledger_drop(struct ledger *l, enum drop_reason reason, uint32_t ifindex);

uint64_t ledger_dropped(const struct ledger *l);
/* What the law says is still held; compare with the pool's own number. */
int64_t ledger_expected_held(const struct ledger *l);

#endif
