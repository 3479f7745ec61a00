/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An UPDATE judged a second time, slowly: rule by rule as RFC 4271, 4760, 6793, 7606, 7607 and 9774 state them, each by
 * a walk of its own over the attributes. It shares nothing with src/stack/wire but numbers and names.
 */
#ifndef YG_FUZZ_BGP_REFERENCE_H
#define YG_FUZZ_BGP_REFERENCE_H

#include "stack/wire/bgp_update.h"
#include "wire_fuzz.h"

struct ref_attr {
	uint32_t flags, type, len;
	const uint8_t *value;
};

struct ref {
	const struct bgp_wire *w;
	bool internal;
	uint32_t n;
	struct ref_attr attr[BGP_MESSAGE_MAX]; /* all of them, repeated ones too */
	bool is_cut;                           /* something is left behind them */
	uint32_t cut_type;                     /* of that, 0 when it has none */
	const uint8_t *nlri;
	uint32_t nlri_len;
	/* AS_PATH as it comes out in the end: kinds of segments, and numbers with the segment that they are of. */
	uint32_t n_path;
	struct {
		uint32_t kind, segment, as;
	} path[2 * BGP_MESSAGE_MAX];
};

static inline uint32_t ref_number(const uint8_t *p, uint32_t n)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v = v * 256 + p[i];
	return v;
}

/* --- prefixes --- */

static inline bool ref_prefixes(const uint8_t *p, uint32_t len)
{
	uint32_t at = 0;

	while (at < len) {
		uint32_t bytes = 0;

		if (p[at] > 32)
			return false;
		while (bytes * 8 < p[at])
			bytes++;
		at += 1 + bytes;
	}
	return at == len;
}

/* --- attributes --- */

static inline void ref_collect(struct ref *r, const uint8_t *p, uint32_t len)
{
	uint32_t at = 0;

	while (at < len) {
		uint32_t header = 3, n;

		if (len - at >= 1 && p[at] / 16 % 2 == 1)
			header = 4;
		r->is_cut = true;
		r->cut_type = len - at >= 2 ? p[at + 1] : 0;
		if (len - at < header)
			return;
		n = ref_number(p + at + 2, header - 2);
		if (n > len - at - header)
			return;
		r->is_cut = false;
		r->attr[r->n++] = (struct ref_attr){ p[at], p[at + 1], n, p + at + header };
		at += header + n;
	}
}

static inline const struct ref_attr *ref_first(const struct ref *r, uint32_t type)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (r->attr[i].type == type)
			return &r->attr[i];
	return NULL;
}

static inline bool ref_is_first(const struct ref *r, const struct ref_attr *a)
{
	return ref_first(r, a->type) == a;
}

/* Those that are not even looked at from this peer. */
static inline bool ref_is_ignored(const struct ref *r, uint32_t type)
{
	switch (type) {
	case 5:  /* RFC 7606 7.5 */
	case 9:  /* 7.9 */
	case 10: /* 7.10 */
		return !r->internal;
	case 17: /* RFC 6793 4.1 */
	case 18:
		return r->w->as4;
	case 26: /* RFC 7311 3.3 */
		return true;
	default:
		return false;
	}
}

/* As they must be, or -1 when we know no such type. */
static inline int ref_flags(uint32_t type)
{
	switch (type) {
	case 1:
	case 2:
	case 3:
	case 5:
	case 6:
		return 0x40;
	case 4:
	case 9:
	case 10:
	case 14:
	case 15:
	case 26:
		return 0x80;
	case 7:
	case 8:
	case 16:
	case 17:
	case 18:
	case 32:
	case 35:
		return 0xc0;
	default:
		return -1;
	}
}

/* RFC 7606 3 c. */
static inline bool ref_flags_wrong(const struct ref_attr *a)
{
	return ref_flags(a->type) >= 0 && (a->flags & 0xc0) != (uint32_t)ref_flags(a->type);
}

/* RFC 7606 7.2, RFC 6793 6: width in bytes. */
static inline bool ref_path_wrong(const struct ref_attr *a, uint32_t width, bool confed_is_wrong)
{
	uint32_t at = 0;

	while (at < a->len) {
		if (a->len - at < 2)
			return true;
		uint32_t kind = a->value[at], n = a->value[at + 1];

		if (kind == 0 || kind > 4 || n == 0 || (confed_is_wrong && kind > 2))
			return true;
		at += 2;
		for (uint32_t i = 0; i < n; i++, at += width)
			if (at + width > a->len || ref_number(a->value + at, width) == 0)
				return true;
	}
	return false;
}

static inline bool ref_many_of(const struct ref_attr *a, uint32_t size)
{
	return a->len > 0 && a->len % size == 0;
}

static inline bool ref_is_ipv4(const struct ref *r, const struct ref_attr *a)
{
	return r->w->mp_ipv4 && ref_number(a->value, 2) == 1 && a->value[2] == 1;
}

/* RFC 7606 7.11, 7.12, 5.3. */
static inline bool ref_mp_wrong(const struct ref *r, const struct ref_attr *a)
{
	if (a->type == 15)
		return a->len < 3 || (ref_is_ipv4(r, a) && !ref_prefixes(a->value + 3, a->len - 3));
	if (a->len < 5 || a->len < 5u + a->value[3])
		return true;
	return ref_is_ipv4(r, a) && (a->value[3] != 4 || !ref_prefixes(a->value + 9, a->len - 9));
}

static inline bool ref_value_wrong(const struct ref *r, const struct ref_attr *a)
{
	uint32_t as_len = r->w->as4 ? 4 : 2;

	switch (a->type) {
	case 1:
		return a->len != 1 || a->value[0] > 2;
	case 2:
		return ref_path_wrong(a, as_len, true);
	case 3:
	case 4:
	case 5:
	case 9:
	case 35:
		return a->len != 4;
	case 6:
		return a->len != 0;
	case 7:
		return a->len != as_len + 4 || ref_number(a->value, as_len) == 0;
	case 8:
	case 10:
		return !ref_many_of(a, 4);
	case 14:
	case 15:
		return ref_mp_wrong(r, a);
	case 16:
		return !ref_many_of(a, 8);
	case 17:
		return a->len < 6 || ref_path_wrong(a, 4, false);
	case 18:
		return a->len != 8 || ref_number(a->value, 4) == 0;
	case 32:
		return !ref_many_of(a, 12);
	default:
		return false;
	}
}

static inline enum bgp_disposition ref_of_wrong_value(uint32_t type)
{
	return type == 14 || type == 15                             ? BGP_RESET
	       : type == 6 || type == 7 || type == 17 || type == 18 ? BGP_DISCARD
								    : BGP_WITHDRAW;
}

static inline bool ref_is_good(const struct ref *r, const struct ref_attr *a)
{
	return a != NULL && !ref_is_ignored(r, a->type) && !ref_flags_wrong(a) && !ref_value_wrong(r, a);
}

static inline enum bgp_disposition ref_stronger(enum bgp_disposition a, enum bgp_disposition b)
{
	return a > b ? a : b;
}

/* All that attributes are judged by one for one. */
static inline enum bgp_disposition ref_each(const struct ref *r)
{
	enum bgp_disposition d = BGP_ACCEPT;

	for (uint32_t i = 0; i < r->n; i++) {
		const struct ref_attr *a = &r->attr[i];

		if (!ref_is_first(r, a)) {
			if (a->type == 14 || a->type == 15)
				d = BGP_RESET;
			continue;
		}
		if (ref_is_ignored(r, a->type))
			continue;
		if (ref_flags(a->type) < 0 && (a->flags & 0x80) == 0)
			d = BGP_RESET;
		if (ref_flags_wrong(a))
			d = ref_stronger(d, BGP_WITHDRAW);
		if (ref_value_wrong(r, a))
			d = ref_stronger(d, ref_of_wrong_value(a->type));
	}
	if (r->is_cut)
		d = ref_stronger(d, r->cut_type == 14 || r->cut_type == 15 ? BGP_RESET : BGP_WITHDRAW);
	return d;
}

/* --- the path --- */

/* Hops, each with the kind and number of its segment; a set is one hop, whatever is in it. */
static inline uint32_t ref_count(const struct ref_attr *a, uint32_t width)
{
	uint32_t n = 0;

	for (uint32_t at = 0; at < a->len; at += 2 + a->value[at + 1] * width)
		n += a->value[at] == 2 ? a->value[at + 1] : a->value[at] == 1 ? 1 : 0;
	return n;
}

static inline void ref_append(struct ref *r, const struct ref_attr *a, uint32_t width, uint32_t hops, uint32_t *segment)
{
	for (uint32_t at = 0; at < a->len; at += 2 + a->value[at + 1] * width) {
		uint32_t kind = a->value[at];

		++*segment;
		if (kind > 2)
			continue;
		for (uint32_t i = 0; i < a->value[at + 1]; i++) {
			if (hops == 0)
				return;
			hops -= kind == 2;
			r->path[r->n_path].kind = kind;
			r->path[r->n_path].segment = kind == 1 ? *segment : 0;
			r->path[r->n_path++].as = ref_number(a->value + at + 2 + i * width, width);
		}
		hops -= kind == 1;
	}
}

/* RFC 6793 4.2.3. */
static inline void ref_make_path(struct ref *r)
{
	const struct ref_attr *path = ref_first(r, 2), *as4 = ref_first(r, 17), *agg = ref_first(r, 7),
			      *agg4 = ref_first(r, 18);
	uint32_t width = r->w->as4 ? 4 : 2, segment = 0;

	if (!ref_is_good(r, path))
		return;
	bool merges = ref_is_good(r, as4) && ref_count(path, width) >= ref_count(as4, 4);
	if (merges && ref_is_good(r, agg) && ref_is_good(r, agg4) && ref_number(agg->value, 2) != 23456)
		merges = false;
	ref_append(r, path, width, merges ? ref_count(path, width) - ref_count(as4, 4) : UINT32_MAX, &segment);
	if (merges)
		ref_append(r, as4, 4, UINT32_MAX, &segment);
}

static inline bool ref_path_refused(const struct ref *r)
{
	if (!ref_is_good(r, ref_first(r, 2)))
		return false;
	for (uint32_t i = 0; i < r->n_path && !r->w->takes_as_sets; i++)
		if (r->path[i].kind == 1)
			return true;
	if (r->internal)
		return false;
	return r->n_path == 0 || (!r->w->any_first_as && (r->path[0].kind != 2 || r->path[0].as != r->w->peer_as));
}

/* --- the whole --- */

static inline bool ref_next_hop_wrong(const struct ref *r, uint32_t addr)
{
	return addr == 0 || addr >> 24 == 127 || addr >> 28 == 14 || addr == 0xffffffff || addr == r->w->local_addr;
}

/* What is wrong though each attribute is right, in a message that announces something. */
static inline bool ref_announcement_wrong(const struct ref *r)
{
	const struct ref_attr *hop = ref_first(r, 3), *mp = ref_first(r, 14);

	if (ref_first(r, 1) == NULL || ref_first(r, 2) == NULL || (r->nlri_len > 0 && hop == NULL))
		return true;
	if (r->nlri_len > 0 && ref_is_good(r, hop) && ref_next_hop_wrong(r, ref_number(hop->value, 4)))
		return true;
	return mp != NULL && !ref_value_wrong(r, mp) && ref_is_ipv4(r, mp) && mp->len > 9 &&
	       ref_next_hop_wrong(r, ref_number(mp->value + 4, 4));
}

/* r: all of it is filled in. p, len: a whole UPDATE. */
static inline enum bgp_disposition ref_judge(struct ref *r, const struct bgp_wire *w, const uint8_t *p, uint32_t len)
{
	r->w = w;
	r->internal = w->local_as == w->peer_as;
	r->n = r->n_path = 0;
	r->is_cut = false;
	const uint8_t *body = p + 19;
	uint32_t body_len = len - 19, withdrawn_len = ref_number(body, 2);

	if (withdrawn_len + 4 > body_len)
		return BGP_RESET;
	uint32_t attrs_len = ref_number(body + 2 + withdrawn_len, 2);

	if (withdrawn_len + attrs_len + 4 > body_len)
		return BGP_RESET;
	r->nlri = body + 4 + withdrawn_len + attrs_len;
	r->nlri_len = body_len - 4 - withdrawn_len - attrs_len;
	if (!ref_prefixes(body + 2, withdrawn_len) || !ref_prefixes(r->nlri, r->nlri_len))
		return BGP_RESET;
	ref_collect(r, body + 4 + withdrawn_len, attrs_len);
	enum bgp_disposition d = ref_each(r);

	ref_make_path(r);
	if (r->nlri_len > 0 || ref_first(r, 14) != NULL)
		return ref_announcement_wrong(r) || ref_path_refused(r) ? ref_stronger(d, BGP_WITHDRAW) : d;
	/* RFC 7606 5.2. */
	bool any_other = r->is_cut;
	for (uint32_t i = 0; i < r->n; i++)
		any_other |= r->attr[i].type != 15;
	return d == BGP_WITHDRAW && any_other ? BGP_RESET : d;
}

#endif
