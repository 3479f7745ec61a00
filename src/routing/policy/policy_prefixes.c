/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whether a prefix is in the set depends on its first address and its length alone: a pattern of length l says yes for
 * the lengths from low to high to all that begins within it, and, where low is less than l, to each of the prefixes
 * that it lies in. The latter are 32 at most, so they are patterns of their own, and then every pattern is a range of
 * addresses and a bit for each length. Prefixes lie in each other or apart, so the ranges are cut where one begins or
 * ends, and each piece has the lengths of all patterns around it. To ask is to find the piece of an address: by its
 * first bits, of which there are about as many values as pieces, and from there by halving what is left.
 */
#include "routing/policy/policy_prefixes.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

#define FIRST_BITS_MAX 20

/* A pattern, or one of those that it lies in. */
struct around {
	uint32_t addr;
	uint8_t len;
	uint64_t lens;
};

static uint64_t lens_from_to(uint32_t low, uint32_t high)
{
	return ((UINT64_C(2) << high) - 1) & ~((UINT64_C(1) << low) - 1);
}

static uint32_t last_of(const struct around *a)
{
	return a->addr | ~ip4_mask(a->len);
}

/* The outer before the inner. */
static int by_place(const void *x, const void *y)
{
	const struct around *a = x, *b = y;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return (int)a->len - (int)b->len;
}

static size_t count_arounds(const struct policy_pattern *p, size_t n)
{
	size_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += 1 + (p[i].low < p[i].prefix.len ? (size_t)(p[i].prefix.len - p[i].low) : 0);
	return all;
}

/* Sorted, those of one place together. Returns how many. */
static size_t make_arounds(struct around *a, const struct policy_pattern *p, size_t n)
{
	size_t n_all = 0, n_kept = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t len = p[i].prefix.len;

		for (uint8_t k = p[i].low; k < len && k <= p[i].high; k++)
			a[n_all++] = (struct around){ p[i].prefix.addr & ip4_mask(k), k, UINT64_C(1) << k };
		if (p[i].high >= len)
			a[n_all++] = (struct around){ p[i].prefix.addr & ip4_mask(len), len,
						      lens_from_to(max_u32(p[i].low, len), p[i].high) };
	}
	if (n_all > 0)
		qsort(a, n_all, sizeof(*a), by_place);
	for (size_t i = 0; i < n_all; i++) {
		if (n_kept > 0 && by_place(&a[n_kept - 1], &a[i]) == 0)
			a[n_kept - 1].lens |= a[i].lens;
		else
			a[n_kept++] = a[i];
	}
	return n_kept;
}

/* From that address on it is these lengths. */
static void begin_piece(struct policy_prefixes *s, uint32_t start, uint64_t lens)
{
	if (s->n > 0 && s->start[s->n - 1] == start)
		s->n--;
	if (s->n > 0 && s->lens[s->n - 1] == lens)
		return;
	s->start[s->n] = start;
	s->lens[s->n++] = lens;
}

/* From the outer to the inner and back: who is open lies in the one before. */
static void cut(struct policy_prefixes *s, const struct around *a, size_t n)
{
	const struct around *open[34];
	uint64_t lens[34] = { 0 };
	uint32_t n_open = 0;

	begin_piece(s, 0, 0);
	for (size_t i = 0; i <= n; i++) {
		while (n_open > 0 && (i == n || last_of(open[n_open - 1]) < a[i].addr)) {
			uint32_t last = last_of(open[--n_open]);

			if (last != UINT32_MAX)
				begin_piece(s, last + 1, lens[n_open]);
		}
		if (i == n)
			break;
		open[n_open++] = &a[i];
		lens[n_open] = lens[n_open - 1] | a[i].lens;
		begin_piece(s, a[i].addr, lens[n_open]);
	}
}

static int index_first(struct policy_prefixes *s)
{
	uint32_t piece = 0;

	while (s->first_bits < FIRST_BITS_MAX && UINT32_C(1) << s->first_bits < s->n)
		s->first_bits++;
	s->first = calloc(((size_t)1 << s->first_bits) + 1, sizeof(*s->first));
	if (s->first == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < UINT64_C(1) << s->first_bits; i++) {
		uint32_t addr = (uint32_t)(i << (32 - s->first_bits));

		while (piece + 1 < s->n && s->start[piece + 1] <= addr)
			piece++;
		s->first[i] = piece;
	}
	s->first[(size_t)1 << s->first_bits] = s->n - 1;
	return 0;
}

int policy_prefixes_init(struct policy_prefixes *s, const struct policy_pattern *pattern, size_t n)
{
	size_t n_arounds = count_arounds(pattern, n);
	struct around *a = calloc(n_arounds + 1, sizeof(*a));
	int err = -ENOMEM;

	*s = (struct policy_prefixes){ 0 };
	if (a == NULL)
		return -ENOMEM;
	n_arounds = make_arounds(a, pattern, n);
	/* Each begins a piece and ends one. */
	s->start = calloc(2 * n_arounds + 1, sizeof(*s->start));
	s->lens = calloc(2 * n_arounds + 1, sizeof(*s->lens));
	if (s->start != NULL && s->lens != NULL) {
		cut(s, a, n_arounds);
		err = index_first(s);
	}
	free(a);
	if (err != 0)
		policy_prefixes_fini(s);
	return err;
}

void policy_prefixes_fini(struct policy_prefixes *s)
{
	free(s->start);
	free(s->lens);
	free(s->first);
	*s = (struct policy_prefixes){ 0 };
}

bool policy_prefixes_have(const struct policy_prefixes *s, struct ip4_prefix p)
{
	if (s->n == 0)
		return false;
	uint32_t bits = s->first_bits == 0 ? 0 : p.addr >> (32 - s->first_bits);
	uint32_t low = s->first[bits], high = s->first[bits + 1];

	while (low < high) {
		uint32_t middle = high - (high - low) / 2;

		if (s->start[middle] <= p.addr)
			low = middle;
		else
			high = middle - 1;
	}
	return (s->lens[low] >> p.len & 1) != 0;
}
