/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Next hops that cost something else than before: which prefixes are to be decided again.
 *
 * Nothing says which sets have a next hop, nor which prefixes a set, so all prefixes are looked through, in slices, for
 * paths by next hops that have changed since the walk before this one began. What changes while it is on its way is
 * looked for by the next. Meanwhile nothing is forwarded wrongly: what a next hop leads to is the RIB's, and follows at
 * once.
 *
 * Next: src/routing/bgp/bgp_decide.c
 */
#include "routing/bgp/bgp_table_priv.h"

void bgp_table_set_resolver(struct bgp_table *t, const struct bgp_resolver *r)
{
	bgp_hops_ask(&t->sets.hops, r);
}

bool bgp_table_hop_cost(struct bgp_table *t, uint32_t hop, uint32_t cost)
{
	return bgp_hops_set_cost(&t->sets.hops, hop, cost);
}

static bool is_concerned(const struct bgp_table *t, const struct prefix *r)
{
	const struct path *p = paths_of(t, r);

	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t hop = bgp_sets_at(&t->sets, p[i].set)->hop;

		if (t->sets.hops.hop[hop].changed > t->redecide_from)
			return true;
	}
	return false;
}

static void redecide_batch(struct bgp_table *t, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++)
		if (record_at(t, i)->n > 0)
			prefetch_write(paths_of(t, record_at(t, i)));
	for (uint32_t i = from; i < from + n; i++) {
		const struct prefix *r = record_at(t, i);

		for (uint32_t k = 0; k < r->n; k++)
			prefetch_read(bgp_sets_at(&t->sets, paths_of(t, r)[k].set));
	}
	for (uint32_t i = from; i < from + n; i++) {
		const struct prefix *r = record_at(t, i);

		if (r->n == 0 || !is_concerned(t, r))
			continue;
		struct bgp_before before = bgp_table_before(t, r);

		bgp_table_settle(t, i, &before);
	}
}

bool bgp_table_redecide(struct bgp_table *t, uint32_t budget)
{
	if (t->redecide_from == t->redecide_to) {
		if (t->sets.hops.now == t->redecide_from)
			return false;
		t->redecide_to = t->sets.hops.now;
		t->redecide = 0;
	}
	while (budget > 0 && t->redecide < t->records.n_fresh) {
		uint32_t n = min_u32(min_u32(budget, BGP_TABLE_BATCH), t->records.n_fresh - t->redecide);

		redecide_batch(t, t->redecide, n);
		t->redecide += n;
		budget -= n;
	}
	if (t->redecide < t->records.n_fresh)
		return true;
	t->redecide_from = t->redecide_to;
	return t->sets.hops.now != t->redecide_from;
}
