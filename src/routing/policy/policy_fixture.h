/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What tests of policy share: sets of attributes written out of few words, and what became of them in words.
 */
#ifndef YG_ROUTING_POLICY_POLICY_FIXTURE_H
#define YG_ROUTING_POLICY_POLICY_FIXTURE_H

#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "routing/policy/policy.h"
#include "stack/wire/bytes.h"

#define POLICY_FIXTURE_MAX 8

/* A set; what is 0 or empty is not in it, but for origin, path and next hop. */
struct policy_fixture_set {
	uint8_t origin;
	uint32_t path[POLICY_FIXTURE_MAX];   /* up to the first 0 */
	uint32_t as_set[POLICY_FIXTURE_MAX]; /* behind it, an AS_SET */
	uint32_t next_hop;
	bool has_med;
	uint32_t med, local_pref, otc;
	uint32_t community[POLICY_FIXTURE_MAX];
	uint64_t ext[POLICY_FIXTURE_MAX];
	struct {
		uint32_t w[3];
	} large[POLICY_FIXTURE_MAX]; /* up to the first whose w[0] is 0 */
};

struct policy_fixture_writer {
	uint8_t *out;
	size_t len;
};

static inline void policy_fixture_put(struct policy_fixture_writer *w, uint8_t type, uint8_t flags,
				      const uint8_t *value, size_t len)
{
	const struct bgp_attr a = { value, (uint16_t)len, type, flags };

	w->len += bgp_set_put(w->out + w->len, BGP_SET_MAX - w->len, &a);
}

/* Words up to the first 0. */
static inline size_t policy_fixture_words(uint8_t *out, const uint32_t *words)
{
	size_t n = 0;

	for (; n < POLICY_FIXTURE_MAX && words[n] != 0; n++)
		bytes_put32(out + 4 * n, words[n]);
	return n;
}

static inline void policy_fixture_path(struct policy_fixture_writer *w, const struct policy_fixture_set *s)
{
	uint8_t v[4 + 2 * POLICY_FIXTURE_MAX * 4];
	size_t n = policy_fixture_words(v + 2, s->path), len = n > 0 ? 2 + 4 * n : 0;

	v[0] = BGP_AS_SEQUENCE;
	v[1] = (uint8_t)n;
	n = policy_fixture_words(v + len + 2, s->as_set);
	if (n > 0) {
		v[len] = BGP_AS_SET;
		v[len + 1] = (uint8_t)n;
		len += 2 + 4 * n;
	}
	policy_fixture_put(w, BGP_AS_PATH, BGP_TRANSITIVE, v, len);
}

static inline void policy_fixture_number(struct policy_fixture_writer *w, uint8_t type, uint8_t flags, uint32_t value)
{
	uint8_t v[4];

	bytes_put32(v, value);
	policy_fixture_put(w, type, flags, v, 4);
}

/* Writes it; out has BGP_SET_MAX bytes. */
static inline struct bgp_nlri policy_fixture_write(uint8_t *out, const struct policy_fixture_set *s)
{
	const uint8_t both = BGP_OPTIONAL | BGP_TRANSITIVE;
	struct policy_fixture_writer w = { .out = out };
	uint8_t v[12 * POLICY_FIXTURE_MAX];
	size_t n;

	policy_fixture_put(&w, BGP_ORIGIN, BGP_TRANSITIVE, &s->origin, 1);
	policy_fixture_path(&w, s);
	policy_fixture_number(&w, BGP_NEXT_HOP, BGP_TRANSITIVE, s->next_hop);
	if (s->has_med)
		policy_fixture_number(&w, BGP_MED, BGP_OPTIONAL, s->med);
	if (s->local_pref != 0)
		policy_fixture_number(&w, BGP_LOCAL_PREF, BGP_TRANSITIVE, s->local_pref);
	n = policy_fixture_words(v, s->community);
	if (n > 0)
		policy_fixture_put(&w, BGP_COMMUNITIES, both, v, 4 * n);
	for (n = 0; n < POLICY_FIXTURE_MAX && s->ext[n] != 0; n++) {
		bytes_put32(v + 8 * n, (uint32_t)(s->ext[n] >> 32));
		bytes_put32(v + 8 * n + 4, (uint32_t)s->ext[n]);
	}
	if (n > 0)
		policy_fixture_put(&w, BGP_EXT_COMMUNITIES, both, v, 8 * n);
	for (n = 0; n < POLICY_FIXTURE_MAX && s->large[n].w[0] != 0; n++)
		for (size_t i = 0; i < 3; i++)
			bytes_put32(v + 12 * n + 4 * i, s->large[n].w[i]);
	if (n > 0)
		policy_fixture_put(&w, BGP_LARGE_COMMUNITIES, both, v, 12 * n);
	if (s->otc != 0)
		policy_fixture_number(&w, BGP_OTC, both, s->otc);
	return (struct bgp_nlri){ out, w.len };
}

/* --- in words --- */

static inline bool policy_fixture_attr(struct bgp_nlri set, uint8_t type, struct bgp_attr *a)
{
	while (bgp_set_next(&set, a))
		if (a->type == type)
			return true;
	*a = (struct bgp_attr){ .type = type };
	return false;
}

/* As BIRD shows them. */
static inline void policy_fixture_ext(struct text *t, const uint8_t *p)
{
	uint32_t high = bytes_get32(p), low = bytes_get32(p + 4), kind = high >> 16 & 0xff;
	const char *name = kind == 2 ? "rt" : "ro";

	if ((high >> 24 & 0xbf) > 2 || (kind != 2 && kind != 3))
		text_add(t, "(generic,0x%x,0x%x)", high, low);
	else if (high >> 24 == 0)
		text_add(t, "(%s,%u,%u)", name, high & 0xffff, low);
	else if (high >> 24 == 2)
		text_add(t, "(%s,%u,%u)", name, high << 16 | low >> 16, low & 0xffff);
	else
		text_add(t, "(%s,%u.%u.%u.%u,%u)", name, high >> 8 & 0xff, high & 0xff, low >> 24, low >> 16 & 0xff,
			 low & 0xffff);
}

static inline void policy_fixture_value(struct text *t, const struct bgp_attr *a)
{
	static const char *const origins[] = { "IGP", "EGP", "Incomplete" };
	char addr[IP4_TEXT_MAX];

	if (a->value == NULL)
		return;
	if (a->type == BGP_ORIGIN)
		text_add(t, " %s", origins[a->value[0]]);
	else if (a->type == BGP_NEXT_HOP)
		text_add(t, " %s", ip4_format(bytes_get32(a->value), addr));
	else if (a->type == BGP_MED || a->type == BGP_LOCAL_PREF || a->type == BGP_OTC)
		text_add(t, " %u", bytes_get32(a->value));
	if (a->type == BGP_AS_PATH) {
		text_add(t, " ");
		bgp_path_format(t, (struct bgp_path){ a->value, a->len, BGP_AS4 });
	}
	for (size_t i = 0; a->type == BGP_COMMUNITIES && i < a->len; i += 4)
		text_add(t, " (%u,%u)", bytes_get16(a->value + i), bytes_get16(a->value + i + 2));
	for (size_t i = 0; a->type == BGP_EXT_COMMUNITIES && i < a->len; i += 8) {
		text_add(t, " ");
		policy_fixture_ext(t, a->value + i);
	}
	for (size_t i = 0; a->type == BGP_LARGE_COMMUNITIES && i < a->len; i += 12)
		text_add(t, " (%u,%u,%u)", bytes_get32(a->value + i), bytes_get32(a->value + i + 4),
			 bytes_get32(a->value + i + 8));
}

/* What differs: "med 10; local_pref 150", an attribute that is gone by its name alone, "=" when nothing does. */
static inline void policy_fixture_differences(struct text *t, struct bgp_nlri before, struct bgp_nlri after)
{
	static const struct {
		uint8_t type;
		const char *name;
	} attrs[] = {
		{ BGP_ORIGIN, "origin" },
		{ BGP_AS_PATH, "as_path" },
		{ BGP_NEXT_HOP, "next_hop" },
		{ BGP_MED, "med" },
		{ BGP_LOCAL_PREF, "local_pref" },
		{ BGP_COMMUNITIES, "community" },
		{ BGP_EXT_COMMUNITIES, "ext_community" },
		{ BGP_LARGE_COMMUNITIES, "large_community" },
		{ BGP_OTC, "otc" },
	};
	size_t begin = t->len;

	for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
		struct bgp_attr a, b;
		bool was = policy_fixture_attr(before, attrs[i].type, &a),
		     is = policy_fixture_attr(after, attrs[i].type, &b);

		if (was == is && a.len == b.len && (a.len == 0 || memcmp(a.value, b.value, a.len) == 0))
			continue;
		text_add(t, "%s%s", t->len > begin ? "; " : "", attrs[i].name);
		policy_fixture_value(t, &b);
	}
	if (t->len == begin)
		text_add(t, "=");
}

#endif
