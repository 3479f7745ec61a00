/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Nothing is copied until something changes: numbers are read once at the start, a list is looked at where it stands in
 * the set, and moves into room of its own when it becomes another; what is prepended stands beside the path. Each
 * change that is one goes into `edits`, a running hash of what was done: whoever has written the set of those edits
 * once need not write it again.
 *
 * Next: src/routing/policy/policy_run.c
 */
#include "routing/policy/policy_attrs.h"

#include <string.h>

#include "base/util.h"
#include "stack/wire/bytes.h"

#define HEADER_LEN_MAX 4u

static const uint8_t number_type[N_POLICY_NUMBERS] = {
	[POLICY_ORIGIN] = BGP_ORIGIN,         [POLICY_NEXT_HOP] = BGP_NEXT_HOP, [POLICY_MED] = BGP_MED,
	[POLICY_LOCAL_PREF] = BGP_LOCAL_PREF, [POLICY_OTC] = BGP_OTC,
};

static const struct {
	uint8_t type;
	uint8_t each; /* bytes of a community */
} lists[N_POLICY_LISTS] = {
	[POLICY_COMMUNITIES] = { BGP_COMMUNITIES, 4 },
	[POLICY_EXT_COMMUNITIES] = { BGP_EXT_COMMUNITIES, 8 },
	[POLICY_LARGE_COMMUNITIES] = { BGP_LARGE_COMMUNITIES, 12 },
};

static void note(struct policy_attrs *a, uint32_t what, uint32_t value)
{
	uint64_t x = (a->edits ^ ((uint64_t)what << 32 | value)) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 32;
	a->edits = x != 0 ? x : 1;
}

static void read_path(struct policy_attrs *a, const struct bgp_attr *at)
{
	struct bgp_path_facts facts;

	a->path = (struct bgp_path){ at->value, at->len, BGP_AS4 };
	(void)bgp_path_check(a->path, 0, &facts);
	a->n_hops = facts.n_hops;
}

static void read_attr(struct policy_attrs *a, const struct bgp_attr *at)
{
	switch (at->type) {
	case BGP_ORIGIN:
		a->number[POLICY_ORIGIN] = at->value[0];
		break;
	case BGP_AS_PATH:
		read_path(a, at);
		break;
	case BGP_NEXT_HOP:
		a->number[POLICY_NEXT_HOP] = bytes_get32(at->value);
		break;
	case BGP_MED:
		a->number[POLICY_MED] = bytes_get32(at->value);
		break;
	case BGP_LOCAL_PREF:
		a->number[POLICY_LOCAL_PREF] = bytes_get32(at->value);
		break;
	case BGP_OTC:
		a->number[POLICY_OTC] = bytes_get32(at->value);
		break;
	default:
		for (size_t i = 0; i < N_POLICY_LISTS; i++)
			if (lists[i].type == at->type) {
				a->list[i].p = at->value;
				a->list[i].len = at->len;
			}
	}
}

void policy_attrs_start(struct policy_attrs *a, struct bgp_nlri set)
{
	struct bgp_attr at;

	a->set = set;
	a->edits = 0;
	a->is_too_long = a->is_local_pref_held = false;
	a->is_changed = a->is_list_changed = 0;
	memset(a->number, 0, sizeof(a->number));
	a->number[POLICY_LOCAL_PREF] = BGP_LOCAL_PREF_DEFAULT;
	a->path = (struct bgp_path){ NULL, 0, BGP_AS4 };
	a->n_hops = a->n_prepended = 0;
	memset(a->list, 0, sizeof(a->list));
	while (bgp_set_next(&set, &at))
		read_attr(a, &at);
}

/* --- numbers --- */

static bool has(const struct policy_attrs *a, uint8_t type)
{
	struct bgp_nlri rest = a->set;
	struct bgp_attr at;

	while (bgp_set_next(&rest, &at))
		if (at.type == type)
			return true;
	return false;
}

void policy_attrs_set(struct policy_attrs *a, enum policy_number which, uint32_t value)
{
	if (which == POLICY_LOCAL_PREF && a->is_local_pref_held)
		return;
	/* One that says what it would be without it is all the same another set. */
	if (a->number[which] == value && ((a->is_changed >> which & 1) != 0 || has(a, number_type[which])))
		return;
	a->number[which] = value;
	a->is_changed |= (uint8_t)(1u << which);
	note(a, which, value);
}

/* --- the path --- */

void policy_attrs_prepend(struct policy_attrs *a, uint32_t as)
{
	if (as == 0)
		return; /* nobody's (RFC 7607) */
	if (a->n_prepended == POLICY_PREPENDS_MAX) {
		a->is_too_long = true;
		return;
	}
	a->prepended[a->n_prepended++] = as;
	note(a, N_POLICY_NUMBERS, as);
}

uint32_t policy_attrs_path_len(const struct policy_attrs *a)
{
	return a->n_hops + a->n_prepended;
}

static uint32_t as_at(const struct bgp_segment *s, uint32_t i)
{
	return bytes_get32(s->as + (size_t)i * BGP_AS4);
}

uint32_t policy_attrs_path_first(const struct policy_attrs *a)
{
	struct bgp_path rest = a->path;
	struct bgp_segment s;

	if (a->n_prepended > 0)
		return a->prepended[a->n_prepended - 1];
	return bgp_segment_next(&rest, &s) && s.type == BGP_AS_SEQUENCE ? as_at(&s, 0) : 0;
}

uint32_t policy_attrs_path_last(const struct policy_attrs *a)
{
	struct bgp_path rest = a->path;
	struct bgp_segment s;
	uint32_t last = a->n_prepended > 0 ? a->prepended[0] : 0;

	while (bgp_segment_next(&rest, &s))
		last = s.type == BGP_AS_SEQUENCE ? as_at(&s, s.n - 1u) : 0;
	return last;
}

bool policy_attrs_path_any(const struct policy_attrs *a, const struct policy_tuples *set)
{
	struct bgp_path rest = a->path;
	struct bgp_segment s;

	for (uint32_t i = 0; i < a->n_prepended; i++)
		if (policy_tuples_have(set, (struct policy_value){ { a->prepended[i] } }))
			return true;
	while (bgp_segment_next(&rest, &s))
		for (uint32_t i = 0; i < s.n; i++)
			if (policy_tuples_have(set, (struct policy_value){ { as_at(&s, i) } }))
				return true;
	return false;
}

/* A set of one value. */
#define ONLY(name, value) \
	struct policy_range name##_range = { (value), (value), true }; \
	const struct policy_tuples name = { .span = &name##_range, .n_spans = 1 }

bool policy_attrs_path_has(const struct policy_attrs *a, uint32_t as)
{
	const struct policy_value v = { { as } };
	ONLY(only, v);

	return policy_attrs_path_any(a, &only);
}

/* --- communities --- */

static struct policy_value community_at(enum policy_list which, const uint8_t *p)
{
	switch (which) {
	case POLICY_COMMUNITIES:
		return (struct policy_value){ { bytes_get16(p), bytes_get16(p + 2) } };
	case POLICY_EXT_COMMUNITIES:
		return (struct policy_value){ { bytes_get32(p), bytes_get32(p + 4) } };
	case POLICY_LARGE_COMMUNITIES:
		return (struct policy_value){ { bytes_get32(p), bytes_get32(p + 4), bytes_get32(p + 8) } };
	case N_POLICY_LISTS:
		break;
	}
	return (struct policy_value){ { 0 } };
}

static void put_community(enum policy_list which, uint8_t *p, struct policy_value v)
{
	if (which == POLICY_COMMUNITIES) {
		bytes_put16(p, (uint16_t)v.w[0]);
		bytes_put16(p + 2, (uint16_t)v.w[1]);
		return;
	}
	bytes_put32(p, v.w[0]);
	bytes_put32(p + 4, v.w[1]);
	if (which == POLICY_LARGE_COMMUNITIES)
		bytes_put32(p + 8, v.w[2]);
}

uint32_t policy_attrs_list_len(const struct policy_attrs *a, enum policy_list which)
{
	return (uint32_t)(a->list[which].len / lists[which].each);
}

struct policy_value policy_attrs_list_at(const struct policy_attrs *a, enum policy_list which, uint32_t i)
{
	return community_at(which, a->list[which].p + (size_t)i * lists[which].each);
}

/* Byte by byte, as it stands in the list. */
bool policy_attrs_list_has(const struct policy_attrs *a, enum policy_list which, struct policy_value v)
{
	const uint8_t *p = a->list[which].p;
	uint8_t wanted[12];

	if (which == POLICY_COMMUNITIES && (v.w[0] > UINT16_MAX || v.w[1] > UINT16_MAX))
		return false;
	put_community(which, wanted, v);
	for (size_t i = 0; i < a->list[which].len; i += lists[which].each)
		if (memcmp(p + i, wanted, 4) == 0 && memcmp(p + i, wanted, lists[which].each) == 0)
			return true;
	return false;
}

static void note_community(struct policy_attrs *a, uint32_t what, enum policy_list which, struct policy_value v)
{
	a->is_list_changed |= (uint8_t)(1u << which);
	for (uint32_t i = 0; i < 3; i++)
		note(a, what + which, v.w[i]);
}

#define ADDED (N_POLICY_NUMBERS + 1u)
#define DROPPED (ADDED + N_POLICY_LISTS)

void policy_attrs_list_add(struct policy_attrs *a, enum policy_list which, struct policy_value v)
{
	size_t len = a->list[which].len;

	if (policy_attrs_list_has(a, which, v))
		return;
	if (len + lists[which].each > POLICY_LIST_MAX) {
		a->is_too_long = true;
		return;
	}
	if (len > 0 && a->list[which].p != a->room[which])
		memcpy(a->room[which], a->list[which].p, len);
	put_community(which, a->room[which] + len, v);
	a->list[which].p = a->room[which];
	a->list[which].len = len + lists[which].each;
	note_community(a, ADDED, which, v);
}

void policy_attrs_list_filter(struct policy_attrs *a, enum policy_list which, const struct policy_tuples *s,
			      enum policy_keep keep)
{
	uint32_t n = policy_attrs_list_len(a, which);
	size_t each = lists[which].each, len = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = a->list[which].p + i * each;
		struct policy_value v = community_at(which, p);

		if (policy_tuples_have(s, v) == (keep == POLICY_KEEP)) {
			if (len + each > POLICY_LIST_MAX) {
				a->is_too_long = true;
				return;
			}
			memmove(a->room[which] + len, p, each);
			len += each;
		} else {
			note_community(a, DROPPED, which, v);
		}
	}
	if (len == a->list[which].len)
		return;
	a->list[which].p = a->room[which];
	a->list[which].len = len;
}

/* --- the new set --- */

void policy_attrs_check(struct policy_attrs *a)
{
	size_t len = a->set.len + (size_t)a->n_prepended * BGP_AS4 + 2 * (1 + a->n_prepended / BGP_SEGMENT_AS_MAX);

	if (a->edits == 0)
		return;
	/* As if each number and list were new, beside what there was. */
	len += N_POLICY_NUMBERS * (HEADER_LEN_MAX + sizeof(uint32_t)) + HEADER_LEN_MAX;
	for (size_t i = 0; i < N_POLICY_LISTS; i++)
		if ((a->is_list_changed >> i & 1) != 0)
			len += HEADER_LEN_MAX + a->list[i].len;
	if (len > BGP_SET_MAX || a->path.len + (size_t)a->n_prepended * (BGP_AS4 + 2) + 2 > BGP_PATH_MAX)
		a->is_too_long = true;
}

struct writer {
	uint8_t *out;
	size_t len;
};

static void put(struct writer *w, uint8_t type, uint8_t flags, const uint8_t *value, size_t len)
{
	const struct bgp_attr at = { value, (uint16_t)len, type, flags };

	w->len += bgp_set_put(w->out + w->len, BGP_SET_MAX - w->len, &at);
}

/* Each number in front of all that is there already. */
static void put_path(struct writer *w, const struct policy_attrs *a, uint8_t flags)
{
	uint8_t room[2][BGP_PATH_MAX];
	struct bgp_path path = a->path;

	for (uint32_t i = 0; i < a->n_prepended; i++) {
		path.len = bgp_path_emit(room[i % 2], path, a->prepended[i], BGP_AS4);
		path.p = room[i % 2];
	}
	put(w, BGP_AS_PATH, flags, path.p, path.len);
}

static void put_list(struct writer *w, const struct policy_attrs *a, enum policy_list which, uint8_t flags)
{
	if (a->list[which].len > 0)
		put(w, lists[which].type, flags, a->list[which].p, a->list[which].len);
}

static void put_number(struct writer *w, const struct policy_attrs *a, enum policy_number which, uint8_t flags)
{
	uint8_t value[4];

	if (which == POLICY_ORIGIN) {
		value[0] = (uint8_t)a->number[which];
		put(w, number_type[which], flags, value, 1);
		return;
	}
	bytes_put32(value, a->number[which]);
	put(w, number_type[which], flags, value, sizeof(value));
}

/* What may change, by type; flags when the set had none. */
static const struct {
	uint8_t type, flags;
	uint8_t number, list; /* those of which it is one; N_... else */
} changeable[] = {
	{ BGP_ORIGIN, BGP_TRANSITIVE, POLICY_ORIGIN, N_POLICY_LISTS },
	{ BGP_AS_PATH, BGP_TRANSITIVE, N_POLICY_NUMBERS, N_POLICY_LISTS },
	{ BGP_NEXT_HOP, BGP_TRANSITIVE, POLICY_NEXT_HOP, N_POLICY_LISTS },
	{ BGP_MED, BGP_OPTIONAL, POLICY_MED, N_POLICY_LISTS },
	{ BGP_LOCAL_PREF, BGP_TRANSITIVE, POLICY_LOCAL_PREF, N_POLICY_LISTS },
	{ BGP_COMMUNITIES, BGP_OPTIONAL | BGP_TRANSITIVE, N_POLICY_NUMBERS, POLICY_COMMUNITIES },
	{ BGP_EXT_COMMUNITIES, BGP_OPTIONAL | BGP_TRANSITIVE, N_POLICY_NUMBERS, POLICY_EXT_COMMUNITIES },
	{ BGP_LARGE_COMMUNITIES, BGP_OPTIONAL | BGP_TRANSITIVE, N_POLICY_NUMBERS, POLICY_LARGE_COMMUNITIES },
	{ BGP_OTC, BGP_OPTIONAL | BGP_TRANSITIVE, POLICY_OTC, N_POLICY_LISTS },
};

/* False: that one has not changed. */
static bool put_changed(struct writer *w, const struct policy_attrs *a, size_t row, uint8_t flags)
{
	uint8_t number = changeable[row].number, list = changeable[row].list;

	if (number != N_POLICY_NUMBERS) {
		if ((a->is_changed >> number & 1) == 0)
			return false;
		put_number(w, a, (enum policy_number)number, flags);
	} else if (list != N_POLICY_LISTS) {
		if ((a->is_list_changed >> list & 1) == 0)
			return false;
		put_list(w, a, (enum policy_list)list, flags);
	} else {
		if (a->n_prepended == 0)
			return false;
		put_path(w, a, flags);
	}
	return true;
}

size_t policy_attrs_write(const struct policy_attrs *a, uint8_t *out)
{
	struct writer w = { .out = out };
	struct bgp_nlri rest = a->set;
	struct bgp_attr at;
	size_t row = 0;

	while (bgp_set_next(&rest, &at)) {
		for (; row < ARRAY_LEN(changeable) && changeable[row].type < at.type; row++)
			(void)put_changed(&w, a, row, changeable[row].flags);
		bool is_same_type = row < ARRAY_LEN(changeable) && changeable[row].type == at.type;

		if (!is_same_type || !put_changed(&w, a, row, at.flags))
			put(&w, at.type, at.flags, at.value, at.len);
		row += is_same_type;
	}
	for (; row < ARRAY_LEN(changeable); row++)
		(void)put_changed(&w, a, row, changeable[row].flags);
	return w.len;
}
