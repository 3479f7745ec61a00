/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each reader has a counter: odd while it may hold something. A grace notes all
 * counters when it begins; it is over for a reader that was outside then (what it
 * enters afterwards finds what was taken out gone), or whose counter has moved since
 * (it passed a moment in which it held nothing).
 *
 * Why that is enough: a reader moves its counter by an atomic addition, before it
 * reads anything; the writer makes one itself between taking out and looking at the
 * counters. Of two such additions one is first. Either the writer sees the reader
 * inside, or the reader sees that what was taken out is gone.
 */
#include "base/grace.h"

void grace_begin(struct grace *g)
{
	(void)atomic_fetch_add(&g->n_begun, 1);
	for (uint32_t i = 0; i < GRACE_READERS_MAX; i++)
		g->reader[i].since = atomic_load(&g->reader[i].round);
}

bool grace_is_over(const struct grace *g)
{
	for (uint32_t i = 0; i < GRACE_READERS_MAX; i++) {
		const struct grace_reader *r = &g->reader[i];

		if (r->since % 2 != 0 && atomic_load_explicit(&r->round, memory_order_acquire) == r->since)
			return false;
	}
	return true;
}
