/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Import policy, for what comes and for what is held.
 *
 * Each path keeps the set as received beside the set as policy left it, and one that policy rejects stays, marked. So a
 * change of policy is a walk over what is there: nobody has to say anything once more, and what comes out as before is
 * no change to anybody. The walk is in slices, and all sources whose policy has changed are done in one: a prefix is
 * decided once.
 *
 * Policy is asked as seldom as it can be: when its verdict did not depend on the prefix, it holds for every prefix with
 * that set, and when it did, equal edits of one set are made once (struct judged). An UPDATE has one such memory, for
 * its one set; the walk has some, by the set's number.
 *
 * Next: src/routing/bgp/bgp_decide.c
 */
#include "routing/bgp/bgp_table_priv.h"

void bgp_table_forget(struct bgp_table *t, struct judged *j)
{
	if (j->received != BGP_SET_NONE)
		let_sets_go(t, j->received, j->set);
	j->received = BGP_SET_NONE;
}

/* The set that the verdict speaks of, held once more; BGP_SET_NONE: no room. */
static uint32_t changed_set(struct bgp_table *t, const struct bgp_import *import, uint32_t received)
{
	uint32_t set = bgp_sets_take_scratch(&t->sets, import->write(import->user, t->sets.scratch));

	if (set == received)
		bgp_sets_let_go(&t->sets, set, 1);
	return set;
}

static uint16_t flags_of(const struct bgp_verdict *v)
{
	return !v->is_accepted ? PATH_REJECTED : v->is_blackhole ? PATH_BLACKHOLE : 0;
}

bool bgp_table_judge(struct bgp_table *t, uint32_t source, struct ip4_prefix prefix, uint32_t received,
		     struct judged *j, uint32_t *set, uint16_t *flags)
{
	const struct bgp_import *import = &t->source[source].import;
	bool is_known = j->received == received && j->source == source;
	struct bgp_verdict v = { .is_accepted = true };

	*set = received;
	*flags = 0;
	if (import->judge == NULL)
		return true;
	if (is_known && !j->verdict.asked_prefix) {
		*set = j->set;
		*flags = flags_of(&j->verdict);
		return true;
	}
	import->judge(import->user, prefix, bgp_sets_at(&t->sets, received), &v);
	*flags = flags_of(&v);
	if (!v.is_accepted)
		v.edits = 0;
	if (v.edits == 0 && v.asked_prefix)
		return true; /* nothing to remember */
	if (is_known && v.edits == j->verdict.edits) {
		*set = j->set;
		return true;
	}
	if (v.edits != 0)
		*set = changed_set(t, import, received);
	if (*set == BGP_SET_NONE)
		return false;
	bgp_table_forget(t, j);
	*j = (struct judged){ .received = received, .set = *set, .source = source, .verdict = v };
	/* The changed one is held already. */
	bgp_sets_hold(&t->sets, received, 1);
	return true;
}

void bgp_table_set_import(struct bgp_table *t, uint32_t source, const struct bgp_import *import)
{
	struct source *s = &t->source[source];

	s->import = *import;
	if (!s->has_new_import)
		t->n_new_imports++;
	s->has_new_import = true;
	t->rerun = 0;
}

/* A path that has changed: what it named before, which is let go when all have been told. */
struct gone {
	uint32_t received, set;
};

/* All paths to one prefix of sources with a new policy. Returns how many have changed. */
static uint32_t judge_again(struct bgp_table *t, struct prefix *r, struct gone *gone)
{
	struct path *p = paths_of(t, r);
	uint32_t n = 0, set;
	uint16_t flags;

	for (uint32_t i = 0; i < r->n; i++) {
		if (!t->source[p[i].source].has_new_import)
			continue;
		struct judged *j = &t->judged[p[i].received % BGP_TABLE_JUDGED];

		if (!bgp_table_judge(t, p[i].source, (struct ip4_prefix){ r->addr, r->len }, p[i].received, j, &set,
				     &flags)) {
			/* No room for what it should be: it is held as received, and not chosen. */
			t->n_no_room++;
			set = p[i].received;
			flags = PATH_REJECTED;
		}
		flags |= p[i].flags & (PATH_LOOP | PATH_EPOCH);
		if (set == p[i].set && flags == p[i].flags)
			continue;
		gone[n++] = (struct gone){ p[i].received, p[i].set };
		hold_sets(t, p[i].received, set);
		p[i].set = set;
		bgp_table_flag(t, &p[i], flags);
	}
	return n;
}

static void rerun_batch(struct bgp_table *t, uint32_t from, uint32_t n)
{
	struct gone gone[BGP_PATHS_MAX];

	for (uint32_t i = from; i < from + n; i++)
		if (record_at(t, i)->n > 0)
			prefetch_write(paths_of(t, record_at(t, i)));
	for (uint32_t i = from; i < from + n; i++) {
		const struct prefix *r = record_at(t, i);

		for (uint32_t k = 0; k < r->n; k++) {
			const uint8_t *set = (const uint8_t *)bgp_sets_at(&t->sets, paths_of(t, r)[k].received);

			prefetch_read(set);
			prefetch_read(set + 64);
			prefetch_read(bgp_sets_at(&t->sets, paths_of(t, r)[k].set));
		}
	}
	for (uint32_t i = from; i < from + n; i++) {
		struct prefix *r = record_at(t, i);

		if (r->n == 0)
			continue;
		struct bgp_before before = bgp_table_before(t, r);
		uint32_t n_gone = judge_again(t, r, gone);

		if (n_gone > 0)
			bgp_table_settle(t, i, &before);
		for (uint32_t k = 0; k < n_gone; k++)
			let_sets_go(t, gone[k].received, gone[k].set);
	}
}

bool bgp_table_rerun(struct bgp_table *t, uint32_t budget)
{
	if (t->n_new_imports == 0)
		return true;
	while (budget > 0 && t->rerun < t->records.n_fresh) {
		uint32_t n = min_u32(min_u32(budget, BGP_TABLE_BATCH), t->records.n_fresh - t->rerun);

		rerun_batch(t, t->rerun, n);
		t->rerun += n;
		budget -= n;
	}
	for (uint32_t i = 0; i < BGP_TABLE_JUDGED; i++)
		bgp_table_forget(t, &t->judged[i]);
	if (t->rerun < t->records.n_fresh)
		return false;
	for (uint32_t i = 0; i < BGP_SOURCES_MAX; i++)
		t->source[i].has_new_import = false;
	t->n_new_imports = 0;
	return true;
}
