/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The law of conservation as sums. All numbers only grow; 64 bits do not wrap
 * in the life of a machine.
 */
#include "base/ledger.h"

uint64_t ledger_dropped(const struct ledger *l)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < N_DROP_REASONS; i++)
		sum += l->n_dropped[i];
	return sum;
}

int64_t ledger_expected_held(const struct ledger *l)
{
	uint64_t begun = l->n_received + l->n_originated + l->n_pieces_made + l->n_taken_over;
	uint64_t ended =
		l->n_handed + l->n_delivered + l->n_consumed + l->n_merged + l->n_handed_over + ledger_dropped(l);
	return (int64_t)(begun - ended);
}

enum ledger_row ledger_row_of(enum drop_reason reason)
{
	switch (reason) {
#define X(name) \
	case DROP_##name: \
		return LEDGER_ROW_##name;
		LEDGER_PLACED(X)
#undef X
	default:
		return N_LEDGER_ROWS;
	}
}

void ledger_drop(struct ledger *l, enum drop_reason reason, uint32_t ifindex)
{
	enum ledger_row row = ledger_row_of(reason);

	l->n_dropped[reason]++;
	if (row != N_LEDGER_ROWS)
		l->n_dropped_at[row][ifindex < LEDGER_PLACES ? ifindex : 0]++;
}
