/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Most of what people write is a span of values as they are counted: (64500, *) is all from (64500, 0) to (64500,
 * 65535). Spans are sorted and joined, so that one look finds the only one that a value can be in. What is none, as (*,
 * 666), is a box, held against the value word by word.
 */
#include "routing/policy/policy_tuples.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

#define N_WORDS 3

int policy_value_compare(struct policy_value a, struct policy_value b)
{
	for (uint32_t i = 0; i < N_WORDS; i++)
		if (a.w[i] != b.w[i])
			return a.w[i] < b.w[i] ? -1 : 1;
	return 0;
}

static bool is_empty(const struct policy_range *r)
{
	if (r->is_span)
		return policy_value_compare(r->low, r->high) > 0;
	for (uint32_t i = 0; i < N_WORDS; i++)
		if (r->low.w[i] > r->high.w[i])
			return true;
	return false;
}

static int by_low(const void *x, const void *y)
{
	const struct policy_range *a = x, *b = y;

	return policy_value_compare(a->low, b->low);
}

static uint32_t join(struct policy_range *r, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (kept > 0 && policy_value_compare(r[kept - 1].high, r[i].low) >= 0) {
			if (policy_value_compare(r[kept - 1].high, r[i].high) < 0)
				r[kept - 1].high = r[i].high;
		} else {
			r[kept++] = r[i];
		}
	}
	return kept;
}

int policy_tuples_init(struct policy_tuples *s, const struct policy_range *range, size_t n)
{
	*s = (struct policy_tuples){ .span = calloc(n + 1, sizeof(*range)), .box = calloc(n + 1, sizeof(*range)) };
	if (s->span == NULL || s->box == NULL) {
		policy_tuples_fini(s);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_empty(&range[i]))
			continue;
		if (range[i].is_span)
			s->span[s->n_spans++] = range[i];
		else
			s->box[s->n_boxes++] = range[i];
	}
	qsort(s->span, s->n_spans, sizeof(*s->span), by_low);
	s->n_spans = join(s->span, s->n_spans);
	return 0;
}

void policy_tuples_fini(struct policy_tuples *s)
{
	free(s->span);
	free(s->box);
	*s = (struct policy_tuples){ 0 };
}

static bool is_in_box(const struct policy_range *r, struct policy_value v)
{
	for (uint32_t i = 0; i < N_WORDS; i++)
		if (v.w[i] < r->low.w[i] || v.w[i] > r->high.w[i])
			return false;
	return true;
}

bool policy_tuples_have(const struct policy_tuples *s, struct policy_value v)
{
	uint32_t low = 0, high = s->n_spans;

	/* The first that begins behind it; the one before is the only one that can have it. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (policy_value_compare(s->span[middle].low, v) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && policy_value_compare(v, s->span[low - 1].high) <= 0)
		return true;
	for (uint32_t i = 0; i < s->n_boxes; i++)
		if (is_in_box(&s->box[i], v))
			return true;
	return false;
}
