/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sets of values: ranges sorted by their start, merged where they touch, found
 * by binary search. A set of ports with many ranges also gets a bitmap, where a
 * look-up is one bit (8 KB a set). Built once when a ruleset is compiled, const
 * afterwards.
 */
#include "gateway/rules/rules_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* From so many ranges on a bitmap beats the search: three steps of it miss the branch predictor. */
#define BITMAP_FROM_RANGES 5
#define BITMAP_WORDS (65536 / 64)

static int by_start(const void *a, const void *b)
{
	const struct rule_range *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return 0;
}

static void merge(struct value_set *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		struct rule_range *last = n > 0 ? &s->range[n - 1] : NULL;

		if (last != NULL && (last->hi == UINT32_MAX || s->range[i].lo <= last->hi + 1))
			last->hi = max_u32(last->hi, s->range[i].hi);
		else
			s->range[n++] = s->range[i];
	}
	s->n = n;
}

bool value_set_init(struct value_set *s, const struct rule_range *range, size_t n, uint32_t key_max)
{
	*s = (struct value_set){ 0 };
	s->range = calloc(n > 0 ? n : 1, sizeof(*s->range));
	if (s->range == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		if (range[i].lo <= range[i].hi)
			s->range[s->n++] = range[i];
	if (s->n > 1)
		qsort(s->range, s->n, sizeof(*s->range), by_start);
	merge(s);
	if (key_max != UINT16_MAX || s->n < BITMAP_FROM_RANGES)
		return true;
	s->bitmap = calloc(BITMAP_WORDS, sizeof(*s->bitmap));
	if (s->bitmap == NULL) {
		value_set_fini(s);
		return false;
	}
	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t v = s->range[i].lo; v <= min_u32(s->range[i].hi, UINT16_MAX); v++)
			s->bitmap[v / 64] |= UINT64_C(1) << (v % 64);
	return true;
}

void value_set_fini(struct value_set *s)
{
	free(s->range);
	free(s->bitmap);
	*s = (struct value_set){ 0 };
}

bool value_set_has(const struct value_set *s, uint32_t value)
{
	uint32_t lo = 0, hi = s->n;

	if (s->bitmap != NULL && value <= UINT16_MAX)
		return s->bitmap[value / 64] >> (value % 64) & 1;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (value < s->range[mid].lo)
			hi = mid;
		else if (value > s->range[mid].hi)
			lo = mid + 1;
		else
			return true;
	}
	return false;
}

bool rule_name_matches(const struct rule_name *pattern, const char *name)
{
	if (pattern->wildcard)
		return strncmp(pattern->name, name, strlen(pattern->name)) == 0;
	return strcmp(pattern->name, name) == 0;
}
