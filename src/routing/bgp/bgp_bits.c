/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bits by number with a summary. A word is 64 numbers, a word of the summary 4,096; a table of two million prefixes has
 * 512 of the latter, so a search that finds nothing looks at 4 KiB.
 */
#include "routing/bgp/bgp_bits.h"

#include <stdlib.h>
#include <string.h>

static uint32_t n_words(uint32_t n)
{
	return n / 64 + 1;
}

bool bgp_bits_init(struct bgp_bits *b, uint32_t n)
{
	*b = (struct bgp_bits){ .n = n };
	b->word = calloc(n_words(n), sizeof(*b->word));
	b->summary = calloc(n / 4096 + 1, sizeof(*b->summary));
	if (b->word != NULL && b->summary != NULL)
		return true;
	bgp_bits_fini(b);
	return false;
}

void bgp_bits_fini(struct bgp_bits *b)
{
	free(b->word);
	free(b->summary);
	*b = (struct bgp_bits){ 0 };
}

static void add_word(struct bgp_bits *b, uint32_t w, uint64_t bits)
{
	b->n_set += (uint32_t)__builtin_popcountll(bits & ~b->word[w]);
	b->word[w] |= bits;
	b->summary[w / 64] |= UINT64_C(1) << w % 64;
}

void bgp_bits_add(struct bgp_bits *b, const struct bgp_bits *other)
{
	for (uint32_t s = 0; s <= other->n / 4096; s++)
		for (uint64_t left = other->summary[s]; left != 0; left &= left - 1) {
			uint32_t w = s * 64 + (uint32_t)__builtin_ctzll(left);

			add_word(b, w, other->word[w]);
		}
}

void bgp_bits_fill(struct bgp_bits *b, uint32_t end)
{
	for (uint32_t w = 0; w < end / 64; w++)
		add_word(b, w, UINT64_MAX);
	if (end % 64 != 0)
		add_word(b, end / 64, (UINT64_C(1) << end % 64) - 1);
}

uint32_t bgp_bits_next(const struct bgp_bits *b, uint32_t from)
{
	if (from >= b->n)
		return BGP_BITS_END;
	uint32_t w = from / 64, s = w / 64;
	uint64_t bits = b->word[w] & UINT64_MAX << from % 64;

	if (bits != 0)
		return w * 64 + (uint32_t)__builtin_ctzll(bits);
	/* The words behind it of the same summary, then those of the next ones. */
	uint64_t left = w % 64 == 63 ? 0 : b->summary[s] & UINT64_MAX << (w % 64 + 1);

	while (left == 0)
		if (++s > b->n / 4096)
			return BGP_BITS_END;
		else
			left = b->summary[s];
	w = s * 64 + (uint32_t)__builtin_ctzll(left);
	return w * 64 + (uint32_t)__builtin_ctzll(b->word[w]);
}
