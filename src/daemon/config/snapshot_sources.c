/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The addresses that rules give as a source: of `snat to A-B`, of the entries of a
 * map that a source is taken from, and of a prefix. All rules are asked once for
 * their number and once for their ranges, which are then sorted and united.
 */
#include "daemon/config/snapshot_sources.h"

#include <stdlib.h>

#include "base/ip4.h"
#include "base/util.h"

struct ranges {
	struct nat_address_range *range; /* NULL: they are only counted */
	size_t n;
};

static void add(struct ranges *r, uint32_t first, uint32_t last)
{
	if (r->range != NULL)
		r->range[r->n] = (struct nat_address_range){ first, last };
	r->n++;
}

static void add_statement(struct ranges *r, const struct rule_table *t, const struct rule_stmt *s)
{
	const struct rule_map *m = s->map != NULL ? rules_map_of(t, s->map) : NULL;

	if (s->kind != STMT_NAT || !s->nat_is_source)
		return;
	for (size_t i = 0; m != NULL && i < m->n_entries; i++)
		add(r, m->entry[i].addr, m->entry[i].addr);
	if (s->map != NULL)
		return;
	if (s->nat.kind == NAT_ACTION_RANGE && (s->nat.flags & NAT_FLAG_ADDRESS))
		add(r, s->nat.range.first, s->nat.range.last);
	if (s->nat.kind == NAT_ACTION_PREFIX) {
		uint32_t mask = ip4_mask(s->nat.prefix_len);

		add(r, s->nat.range.first & mask, s->nat.range.first | ~mask);
	}
}

static void add_all(struct ranges *r, const struct config *cfg)
{
	for (size_t t = 0; t < cfg->rules.n_tables; t++) {
		const struct rule_table *table = &cfg->rules.table[t];

		for (size_t c = 0; c < table->n_chains; c++)
			for (size_t k = 0; k < table->chain[c].n_rules; k++)
				for (size_t i = 0; i < table->chain[c].rule[k].n_stmts; i++)
					add_statement(r, table, &table->chain[c].rule[k].stmt[i]);
	}
}

static int by_first(const void *a, const void *b)
{
	const struct nat_address_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Those that touch become one. */
static void unite(struct ranges *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct nat_address_range *x = &r->range[i];

		if (n > 0 && x->first <= (uint64_t)r->range[n - 1].last + 1)
			r->range[n - 1].last = max_u32(r->range[n - 1].last, x->last);
		else
			r->range[n++] = *x;
	}
	r->n = n;
}

bool snapshot_build_sources(struct snapshot *s, const struct config *cfg)
{
	struct ranges r = { 0 };

	add_all(&r, cfg);
	if (r.n == 0)
		return true;
	r.range = calloc(r.n, sizeof(*r.range));
	if (r.range == NULL)
		return false;
	r.n = 0;
	add_all(&r, cfg);
	qsort(r.range, r.n, sizeof(*r.range), by_first);
	unite(&r);
	s->nat_source = r.range;
	s->core.nat.source = r.range;
	s->core.nat.n_sources = (uint32_t)r.n;
	return true;
}
