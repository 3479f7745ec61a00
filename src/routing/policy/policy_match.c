/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Masks of paths, and patterns of texts.
 *
 * A mask is walked in all its readings at once: a bit says that the path so far fits all items before it. So a path
 * costs its length times the items of the mask, whatever stands in both. A set in a path is one place, at which any of
 * its numbers may fit.
 */
#include "routing/policy/policy_priv.h"
#include "stack/wire/bytes.h"

/* Behind an item that may be nothing, the next one may begin at once. */
static uint64_t skip_nothing(const struct policy_mask *m, uint64_t at)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->item[i].kind == MASK_ANY_NUMBER && (at >> i & 1) != 0)
			at |= UINT64_C(1) << (i + 1);
	return at;
}

static bool fits(const struct policy *p, const struct policy_mask_item *item, uint32_t as)
{
	switch (item->kind) {
	case MASK_RANGE:
		return as >= item->low && as <= item->high;
	case MASK_SET:
		return policy_tuples_have(&p->tuples.at[item->low], (struct policy_value){ { as } });
	case MASK_ANY_NUMBER:
	case MASK_ONE:
		break;
	}
	return true;
}

/* Where the readings are one place further. */
static uint64_t pass_one(const struct policy *p, const struct policy_mask *m, uint64_t at, uint32_t as)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		if ((at >> i & 1) == 0 || !fits(p, &m->item[i], as))
			continue;
		next |= UINT64_C(1) << (m->item[i].kind == MASK_ANY_NUMBER ? i : i + 1);
	}
	return next;
}

bool policy_mask_matches(const struct policy *p, const struct policy_mask *m, const struct policy_attrs *a)
{
	uint64_t at = skip_nothing(m, 1), next;
	struct bgp_path rest = a->path;
	struct bgp_segment s;

	for (uint32_t i = a->n_prepended; i-- > 0 && at != 0;)
		at = skip_nothing(m, pass_one(p, m, at, a->prepended[i]));
	while (at != 0 && bgp_segment_next(&rest, &s)) {
		next = 0;
		for (uint32_t i = 0; i < s.n; i++) {
			next |= pass_one(p, m, at, bytes_get32(s.as + (size_t)i * BGP_AS4));
			if (s.type == BGP_AS_SEQUENCE) {
				at = skip_nothing(m, next);
				next = 0;
			}
		}
		if (s.type != BGP_AS_SEQUENCE)
			at = skip_nothing(m, next);
	}
	return (at >> m->n & 1) != 0;
}

/* * is any number of characters, ? is one. */
bool policy_string_like(const char *text, const char *pattern)
{
	const char *star = NULL, *from = text;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			from = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
