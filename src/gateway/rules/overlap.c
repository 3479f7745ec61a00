/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Values that two elements of a set or map hold: sorted by where they begin, an
 * element can only overlap with one before it that reaches furthest. Names of
 * interfaces likewise: those that begin with "la" stand behind "la*". As nft, we
 * refuse what holds a value twice, unless it is the very same element again.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/rules/rules_priv.h"

/* An element of a set or map. */
struct element {
	struct rule_range range;
	const struct rule_name *name; /* NULL: range counts; all of a list alike */
	uint32_t index;               /* its place in the file */
};

/* By value; what stands first in the file comes first of equal ones. */
static int by_value(const void *a, const void *b)
{
	const struct element *x = a, *y = b;
	int order = 0;

	if (x->name != NULL) {
		order = strcmp(x->name->name, y->name->name);
		if (order == 0 && x->name->wildcard != y->name->wildcard)
			order = x->name->wildcard ? -1 : 1;
	} else if (x->range.lo != y->range.lo) {
		order = x->range.lo < y->range.lo ? -1 : 1;
	}
	if (order != 0)
		return order;
	return x->index < y->index ? -1 : x->index > y->index;
}

static bool same(const struct element *a, const struct element *b)
{
	if (a->name != NULL)
		return a->name->wildcard == b->name->wildcard && strcmp(a->name->name, b->name->name) == 0;
	return a->range.lo == b->range.lo && a->range.hi == b->range.hi;
}

/* b does not begin before a. */
static bool meet(const struct element *a, const struct element *b)
{
	return a->name != NULL ? rule_name_matches(a->name, b->name->name) : b->range.lo <= a->range.hi;
}

static bool reaches_further(const struct element *a, const struct element *b)
{
	return a->name != NULL ? !meet(b, a) : a->range.hi > b->range.hi;
}

/* Elements first and second (by index) hold a value in common; twice: they are the same. */
typedef void overlap_fn(void *ctx, uint32_t first, uint32_t second, bool twice);

/* Sorts item, tells of elements that overlap; returns how many different ones there are. */
static uint32_t overlaps(struct element *item, uint32_t n, overlap_fn *found, void *ctx)
{
	uint32_t last = 0, n_same = 0;

	if (n > 1)
		qsort(item, n, sizeof(*item), by_value);
	for (uint32_t i = 1; i < n; i++) {
		bool twice = same(&item[i - 1], &item[i]) || same(&item[last], &item[i]);

		n_same += twice;
		if (meet(&item[last], &item[i]))
			found(ctx, min_u32(item[last].index, item[i].index), max_u32(item[last].index, item[i].index),
			      twice);
		if (reaches_further(&item[i], &item[last]))
			last = i;
	}
	return n - n_same;
}

struct finding {
	struct rules_report *rep;
	const struct rule_stmt *stmt; /* a verdict map */
	const struct rule_set *set;
	const struct rule_map *map;
	bool reported; /* one message a set */
};

static void report_twice(struct rules_report *rep, const struct text_pos *first, const struct text_pos *second)
{
	rules_report(rep, second, "this value is in the map already, in line %u", first->line);
}

static void found_in_vmap(void *ctx, uint32_t first, uint32_t second, bool twice)
{
	const struct finding *f = ctx;
	const struct rule_vmap_entry *a = &f->stmt->vmap[first], *b = &f->stmt->vmap[second];

	if (!twice || a->verdict != b->verdict || strcmp(a->chain, b->chain) != 0)
		report_twice(f->rep, &a->pos, &b->pos);
}

static void found_in_map(void *ctx, uint32_t first, uint32_t second, bool twice)
{
	const struct finding *f = ctx;
	const struct rule_map_entry *a = &f->map->entry[first], *b = &f->map->entry[second];

	if (!twice || a->addr != b->addr || a->ports.first != b->ports.first || a->ports.last != b->ports.last)
		report_twice(f->rep, &a->pos, &b->pos);
}

static void found_in_set(void *ctx, uint32_t first, uint32_t second, bool twice)
{
	struct finding *f = ctx;

	if (twice || f->reported || f->set->auto_merge)
		return;
	f->reported = true;
	rules_report(f->rep, &f->set->pos,
		     "set \"%s\": elements %u and %u hold the same value; \"auto-merge\" makes one of them",
		     f->set->name, first + 1, second + 1);
}

static void too_many(struct rules_report *rep, const struct text_pos *pos, const char *name, uint32_t n, uint32_t max)
{
	if (max != 0 && n > max)
		rules_report(rep, pos, "\"%s\" has %u elements, and its size is %u", name, n, max);
}

static struct element *items(size_t n, const struct text_pos *pos, struct rules_report *rep)
{
	struct element *item = calloc(n + 1, sizeof(*item));

	if (item == NULL)
		rules_report(rep, pos, "no memory to check a set or map");
	return item;
}

void rules_check_vmap(const struct rule_stmt *s, struct rules_report *rep)
{
	struct finding f = { .rep = rep, .stmt = s };
	struct element *item = items(s->n_vmap, &s->pos, rep);
	bool names = rule_key_info[s->match.key].type == RULE_TYPE_IFNAME;
	uint32_t n = 0, rest = UINT32_MAX;

	for (size_t i = 0; item != NULL && i < s->n_vmap; i++) {
		const struct rule_vmap_entry *e = &s->vmap[i];

		if (!e->is_rest)
			item[n++] = (struct element){ e->range, names ? &e->name : NULL, (uint32_t)i };
		else if (rest == UINT32_MAX)
			rest = (uint32_t)i;
		else
			found_in_vmap(&f, rest, (uint32_t)i, true);
	}
	if (item != NULL)
		overlaps(item, n, found_in_vmap, &f);
	free(item);
}

void rules_check_map(const struct rule_map *m, struct rules_report *rep)
{
	struct finding f = { .rep = rep, .map = m };
	struct element *item = items(m->n_entries, &m->pos, rep);
	bool names = m->key < N_RULE_KEYS && rule_key_info[m->key].type == RULE_TYPE_IFNAME;
	uint32_t n = 0, rest = UINT32_MAX;

	for (size_t i = 0; item != NULL && i < m->n_entries; i++) {
		const struct rule_map_entry *e = &m->entry[i];

		if (!e->is_rest)
			item[n++] = (struct element){ e->range, names ? &e->name : NULL, (uint32_t)i };
		else if (rest == UINT32_MAX)
			rest = (uint32_t)i;
		else
			found_in_map(&f, rest, (uint32_t)i, true);
	}
	if (item != NULL)
		too_many(rep, &m->pos, m->name, overlaps(item, n, found_in_map, &f) + (rest != UINT32_MAX),
			 m->max_items);
	free(item);
}

/* Of a set that merges the elements that it has then. */
static uint32_t n_merged(const struct rule_set *set, uint32_t n)
{
	struct value_set merged;

	if (!set->auto_merge || set->n_ranges == 0 || !value_set_init(&merged, set->range, set->n_ranges, UINT32_MAX))
		return n;
	n = merged.n;
	value_set_fini(&merged);
	return n;
}

void rules_check_set(const struct rule_set *set, struct rules_report *rep)
{
	struct finding f = { .rep = rep, .set = set };
	struct element *item = items(set->n_ranges + set->n_names, &set->pos, rep);
	uint32_t n = 0;

	for (size_t i = 0; item != NULL && i < set->n_ranges; i++)
		item[n++] = (struct element){ set->range[i], NULL, (uint32_t)i };
	for (size_t i = 0; item != NULL && i < set->n_names; i++)
		item[n++] = (struct element){ { 0, 0 }, &set->ifname[i], (uint32_t)i };
	if (item != NULL)
		too_many(rep, &set->pos, set->name, n_merged(set, overlaps(item, n, found_in_set, &f)), set->max_items);
	free(item);
}
