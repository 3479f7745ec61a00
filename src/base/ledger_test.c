/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The law of conservation as arithmetic.
 */
#include "base/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Catches a field left out of the law, or on its wrong side. */
static void every_field_counts_on_its_side(void **state)
{
	struct ledger l = {
		.n_received = 1000000,
		.n_originated = 200000,
		.n_pieces_made = 30000,
		.n_taken_over = 5000000,
		.n_handed_over = 600000000,
		.n_handed = 4000,
		.n_delivered = 500,
		.n_consumed = 60,
		.n_merged = 7,
	};
	assert_int_equal(ledger_expected_held(&l), 6230000 - 600004567);
	l.n_dropped[0] = 3;
	l.n_dropped[DROP_NO_ROUTE] = 20;
	l.n_dropped[N_DROP_REASONS - 1] = 100;
	assert_int_equal(ledger_dropped(&l), 123);
	assert_int_equal(ledger_expected_held(&l), 6230000 - 600004567 - 123);
}

/* Catches a reason without the row that it is shown by, a drop that is counted at another link or twice, and a number
 * beyond the table. */
static void drops_have_a_place(void **state)
{
	struct ledger l = { .n_received = 0 };

	ledger_drop(&l, DROP_NEIGH_QUEUE, 3);
	ledger_drop(&l, DROP_NEIGH_QUEUE, 3);
	ledger_drop(&l, DROP_NAT_EXHAUSTED, 63);
	ledger_drop(&l, DROP_NAT_EXHAUSTED, 1000);
	ledger_drop(&l, DROP_NO_ROUTE, 3);
	assert_int_equal(ledger_dropped(&l), 5);
	assert_int_equal(l.n_dropped[DROP_NEIGH_QUEUE], 2);
	assert_int_equal(l.n_dropped_at[ledger_row_of(DROP_NEIGH_QUEUE)][3], 2);
	assert_int_equal(l.n_dropped_at[ledger_row_of(DROP_NAT_EXHAUSTED)][63], 1);
	assert_int_equal(l.n_dropped_at[ledger_row_of(DROP_NAT_EXHAUSTED)][0], 1);
	assert_int_equal(ledger_row_of(DROP_NO_ROUTE), N_LEDGER_ROWS);
}

/* Catches an unsigned result: ending more than was begun must show as negative. */
static void too_many_endings_are_negative(void **state)
{
	struct ledger l = { .n_received = 1, .n_handed = 2 };
	assert_true(ledger_expected_held(&l) == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_counts_on_its_side),
		cmocka_unit_test(drops_have_a_place),
		cmocka_unit_test(too_many_endings_are_negative),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
