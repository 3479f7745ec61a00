/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A full dump wants the prefixes of one set side by side, so that one message has them all. They are collected in the
 * order of their numbers, spread in place over 2,048 buckets by the high bits of the set (each pair is swapped into the
 * bucket where it belongs until the one that belongs here turns up), then each bucket is sorted by the rest. So it
 * takes eight bytes a prefix and no more, and each phase can stop anywhere.
 */
#include "routing/bgp/bgp_pairs.h"

#include <stdlib.h>
#include <string.h>

#define COLLECT_SLICE 8192u
#define SPREAD_SLICE 16384u
#define SORT_SLICE 8192u
#define AHEAD 16u /* numbers whose memory is asked for before it is needed */

struct bgp_pairs *bgp_pairs_begin(const struct bgp_table *t)
{
	struct bgp_pairs *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->cap = bgp_table_n_numbers(t);
	p->pair = malloc((p->cap + (size_t)1) * sizeof(*p->pair));
	if (p->pair == NULL || !bgp_bits_init(&p->changed, bgp_table_limit(t))) {
		bgp_pairs_free(p);
		return NULL;
	}
	while (bgp_table_set_limit(t) >> p->shift > BGP_PAIRS_BUCKETS)
		p->shift++;
	return p;
}

void bgp_pairs_free(struct bgp_pairs *p)
{
	if (p == NULL)
		return;
	bgp_bits_fini(&p->changed);
	free(p->pair);
	free(p);
}

/* Sets that were made since it began may be beyond the last bucket. */
static uint32_t bucket_of(const struct bgp_pairs *p, bgp_pair pair)
{
	return min_u32(bgp_pair_set(pair) >> p->shift, BGP_PAIRS_BUCKETS - 1);
}

static void collect(struct bgp_pairs *p, const struct bgp_table *t)
{
	uint32_t end = min_u32(p->at + COLLECT_SLICE, p->cap);
	struct bgp_numbered at;

	for (; p->at < end; p->at++) {
		if (p->at + AHEAD < p->cap)
			bgp_table_prefetch(t, p->at + AHEAD);
		if (p->at + AHEAD / 2 < p->cap)
			bgp_table_prefetch_paths(t, p->at + AHEAD / 2);
		if (!bgp_table_at(t, p->at, &at) || at.best.set == BGP_SET_NONE)
			continue;
		p->pair[p->n] = bgp_pair_of(at.best.set, p->at);
		p->end[bucket_of(p, p->pair[p->n])]++;
		p->n++;
	}
	if (p->at < p->cap)
		return;
	for (uint32_t i = 0, n = 0; i < BGP_PAIRS_BUCKETS; i++) {
		p->head[i] = n;
		n += p->end[i];
		p->end[i] = n;
	}
	p->phase = BGP_PAIRS_SPREAD;
	p->at = 0;
}

static void spread(struct bgp_pairs *p)
{
	for (uint32_t budget = SPREAD_SLICE; p->at < BGP_PAIRS_BUCKETS; p->at++)
		for (; p->head[p->at] < p->end[p->at]; budget--) {
			if (budget == 0)
				return;
			bgp_pair *here = &p->pair[p->head[p->at]], pair = *here;
			uint32_t bucket = bucket_of(p, pair);

			if (bucket == p->at) {
				p->head[bucket]++;
				continue;
			}
			*here = p->pair[p->head[bucket]];
			p->pair[p->head[bucket]++] = pair;
		}
	p->phase = BGP_PAIRS_SORT;
	p->at = 0;
}

/* By nine bits of the set a pass, from the lowest on. */
#define DIGIT_BITS 9u
#define N_DIGITS (1u << DIGIT_BITS)

static void sort_by_digit(bgp_pair *out, const bgp_pair *in, uint32_t n, uint32_t shift)
{
	uint32_t at[N_DIGITS] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		at[in[i] >> shift & (N_DIGITS - 1)]++;
	for (uint32_t i = 0, sum = 0; i < N_DIGITS; i++) {
		uint32_t here = at[i];

		at[i] = sum;
		sum += here;
	}
	for (uint32_t i = 0; i < n; i++)
		out[at[in[i] >> shift & (N_DIGITS - 1)]++] = in[i];
}

void bgp_pairs_sort_batch(bgp_pair *p, uint32_t n, uint32_t bits, bgp_pair *spare)
{
	bgp_pair *from = p, *to = spare;

	for (uint32_t done = 0; n > 1 && done < bits; done += DIGIT_BITS) {
		bgp_pair *was = from;

		sort_by_digit(to, from, n, 32 + done);
		from = to;
		to = was;
	}
	if (from != p)
		memcpy(p, from, n * sizeof(*p));
}

static int by_value(const void *a, const void *b)
{
	bgp_pair x = *(const bgp_pair *)a, y = *(const bgp_pair *)b;

	return x < y ? -1 : x > y;
}

static bool is_one_set(const bgp_pair *p, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (bgp_pair_set(p[i]) != bgp_pair_set(p[0]))
			return false;
	return true;
}

/* Some hundred pairs in a table of a million, but for one with a set that very many have. */
static void sort_bucket(struct bgp_pairs *p, bgp_pair *first, uint32_t n)
{
	if (is_one_set(first, n))
		return;
	if (n <= BGP_BATCH_MAX && p->at < BGP_PAIRS_BUCKETS - 1)
		bgp_pairs_sort_batch(first, n, p->shift, p->spare);
	else
		qsort(first, n, sizeof(*first), by_value);
}

static void sort_buckets(struct bgp_pairs *p)
{
	for (uint32_t done = 0; p->at < BGP_PAIRS_BUCKETS && done < SORT_SLICE; p->at++) {
		uint32_t begin = p->at == 0 ? 0 : p->end[p->at - 1], n = p->end[p->at] - begin;

		sort_bucket(p, p->pair + begin, n);
		done += n;
	}
	if (p->at == BGP_PAIRS_BUCKETS)
		p->phase = BGP_PAIRS_READY;
}

bool bgp_pairs_work(struct bgp_pairs *p, const struct bgp_table *t)
{
	switch (p->phase) {
	case BGP_PAIRS_COLLECT:
		collect(p, t);
		break;
	case BGP_PAIRS_SPREAD:
		spread(p);
		break;
	case BGP_PAIRS_SORT:
		sort_buckets(p);
		break;
	case BGP_PAIRS_READY:
		break;
	}
	return p->phase == BGP_PAIRS_READY;
}
