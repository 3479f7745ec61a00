/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of path attributes, and how each is read.
 *
 * What is the same for all is done by whoever walks the attributes (bgp_update.c): flags, repetition, from whom an
 * attribute is taken at all, its length by the row. A reader is called with a value of a length that the row allows,
 * and says what is wrong with the rest; what comes of that is the row's again. Attributes without a row are unknown
 * ones.
 *
 * Some rows are ignored from everybody: AIGP, which is for sessions on which it was turned on (RFC 7311 section 3.3).
 *
 * Next: src/stack/wire/bgp_update.c
 */
#include "stack/wire/bgp_attr_priv.h"

#include <string.h>

#include "base/util.h"
#include "stack/wire/bytes.h"

static const struct bgp_fault fine = { 0 };

static struct bgp_fault read_origin(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	if (at->value[0] > BGP_ORIGIN_INCOMPLETE)
		return (struct bgp_fault){ BGP_BAD_ORIGIN, "ORIGIN beyond 2" };
	a->origin = at->value[0];
	return fine;
}

static struct bgp_fault read_as_path(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	struct bgp_path path = { at->value, at->len, w->as4 ? BGP_AS4 : BGP_AS2 };
	struct bgp_path_facts f;

	if (!bgp_path_check(path, w->local_as, &f))
		return (struct bgp_fault){ BGP_BAD_AS_PATH, "segments of an unknown type, empty or cut" };
	if (f.has_zero)
		return (struct bgp_fault){ BGP_BAD_AS_PATH, "AS 0 (RFC 7607)" };
	if (f.has_confed)
		return (struct bgp_fault){ BGP_BAD_AS_PATH, "confederation's segments (RFC 5065)" };
	return fine;
}

static struct bgp_fault read_next_hop(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	a->next_hop = bytes_get32(at->value);
	return fine;
}

static struct bgp_fault read_med(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	a->med = bytes_get32(at->value);
	return fine;
}

static struct bgp_fault read_local_pref(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	a->local_pref = bytes_get32(at->value);
	return fine;
}

static struct bgp_fault read_aggregator(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	size_t as_len = w->as4 ? BGP_AS4 : BGP_AS2;

	if (at->len != as_len + 4)
		return (struct bgp_fault){ BGP_BAD_ATTR_LENGTH, "length" };
	if ((w->as4 ? bytes_get32(at->value) : bytes_get16(at->value)) == 0)
		return (struct bgp_fault){ BGP_BAD_OPTIONAL, "AS 0 (RFC 7607)" };
	return fine;
}

static struct bgp_fault read_originator_id(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	a->originator_id = bytes_get32(at->value);
	return fine;
}

static struct bgp_fault read_cluster_list(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	uint32_t own = w->cluster_id != 0 ? w->cluster_id : w->local_id;

	a->n_clusters = at->len / 4;
	for (size_t i = 0; i < at->len; i += 4)
		a->is_own_cluster |= bytes_get32(at->value + i) == own;
	return fine;
}

/* RFC 6793 section 6; a confederation's segments are left out later. */
static struct bgp_fault read_as4_path(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	struct bgp_path path = { at->value, at->len, BGP_AS4 };
	struct bgp_path_facts f;

	if (!bgp_path_check(path, w->local_as, &f))
		return (struct bgp_fault){ BGP_BAD_OPTIONAL, "segments of an unknown type, empty or cut" };
	return f.has_zero ? (struct bgp_fault){ BGP_BAD_OPTIONAL, "AS 0 (RFC 7607)" } : fine;
}

static struct bgp_fault read_as4_aggregator(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	return bytes_get32(at->value) == 0 ? (struct bgp_fault){ BGP_BAD_OPTIONAL, "AS 0 (RFC 7607)" } : fine;
}

static struct bgp_fault read_otc(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	a->otc = bytes_get32(at->value);
	return fine;
}

/* --- RFC 4760 --- */

#define FAMILY_LEN 3 /* AFI and SAFI */
#define MP_REACH_MIN (FAMILY_LEN + 2)

static bool is_ours(const struct bgp_wire *w, const uint8_t *p)
{
	return w->mp_ipv4 && bytes_get16(p) == BGP_AFI_IPV4 && p[2] == BGP_SAFI_UNICAST;
}

/* All of them, or none. */
static struct bgp_fault read_prefixes(struct bgp_mp *mp, const uint8_t *p, size_t len)
{
	const struct bgp_nlri nlri = { p, len };

	if (!bgp_nlri_check(nlri))
		return (struct bgp_fault){ BGP_BAD_OPTIONAL, "prefixes cut, or too long" };
	mp->nlri = nlri;
	mp->is_ours = true;
	return fine;
}

/* Of a family that was not agreed to nothing is looked at but the frame (section 7: ignored). */
static struct bgp_fault read_mp_reach(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	size_t hop_len = at->value[FAMILY_LEN], head_len = MP_REACH_MIN + hop_len;

	if (head_len > at->len)
		return (struct bgp_fault){ BGP_BAD_OPTIONAL, "next hop beyond the attribute" };
	if (!is_ours(w, at->value))
		return fine;
	if (hop_len != sizeof(uint32_t))
		return (struct bgp_fault){ BGP_BAD_OPTIONAL, "next hop of another length" };
	a->reach.next_hop = bytes_get32(at->value + FAMILY_LEN + 1);
	return read_prefixes(&a->reach, at->value + head_len, at->len - head_len);
}

static struct bgp_fault read_mp_unreach(struct bgp_attrs *a, const struct bgp_wire *w, const struct bgp_attr *at)
{
	if (!is_ours(w, at->value))
		return fine;
	return read_prefixes(&a->unreach, at->value + FAMILY_LEN, at->len - (size_t)FAMILY_LEN);
}

/* --- the table --- */

#define WELL_KNOWN BGP_TRANSITIVE
#define OPTIONAL BGP_OPTIONAL
#define BOTH (BGP_OPTIONAL | BGP_TRANSITIVE)
#define LEN BGP_BAD_ATTR_LENGTH
#define ANYBODY (FROM_EXTERNAL | FROM_INTERNAL)

/* clang-format off */
static const struct bgp_attr_row rows[] = {
	/*                      name                 flags       ignored           kept   on error      length: subcode, least, each more */
	[BGP_ORIGIN]          = { "ORIGIN",          WELL_KNOWN, 0,                true,  BGP_WITHDRAW, LEN, 1, 0,
				  read_origin, NULL, bgp_format_origin },
	[BGP_AS_PATH]         = { "AS_PATH",         WELL_KNOWN, 0,                true,  BGP_WITHDRAW, BGP_BAD_AS_PATH, 0, 1,
				  read_as_path, bgp_emit_as_path, bgp_format_path },
	[BGP_NEXT_HOP]        = { "NEXT_HOP",        WELL_KNOWN, 0,                true,  BGP_WITHDRAW, LEN, 4, 0,
				  read_next_hop, bgp_emit_next_hop, bgp_format_addrs },
	[BGP_MED]             = { "MULTI_EXIT_DISC", OPTIONAL,   0,                true,  BGP_WITHDRAW, LEN, 4, 0,
				  read_med, bgp_emit_med, bgp_format_number },
	[BGP_LOCAL_PREF]      = { "LOCAL_PREF",      WELL_KNOWN, FROM_EXTERNAL,    true,  BGP_WITHDRAW, LEN, 4, 0,
				  read_local_pref, bgp_emit_internal, bgp_format_number },
	[BGP_ATOMIC_AGGREGATE] = { "ATOMIC_AGGREGATE", WELL_KNOWN, 0,              true,  BGP_DISCARD,  LEN, 0, 0,
				  NULL, NULL, bgp_format_none },
	[BGP_AGGREGATOR]      = { "AGGREGATOR",      BOTH,       0,                true,  BGP_DISCARD,  LEN, 6, 2,
				  read_aggregator, bgp_emit_aggregator, bgp_format_aggregator },
	[BGP_COMMUNITIES]     = { "COMMUNITIES",     BOTH,       0,                true,  BGP_WITHDRAW, LEN, 4, 4,
				  NULL, NULL, bgp_format_communities },
	[BGP_ORIGINATOR_ID]   = { "ORIGINATOR_ID",   OPTIONAL,   FROM_EXTERNAL,    true,  BGP_WITHDRAW, LEN, 4, 0,
				  read_originator_id, bgp_emit_internal, bgp_format_addrs },
	[BGP_CLUSTER_LIST]    = { "CLUSTER_LIST",    OPTIONAL,   FROM_EXTERNAL,    true,  BGP_WITHDRAW, LEN, 4, 4,
				  read_cluster_list, bgp_emit_internal, bgp_format_addrs },
	[BGP_MP_REACH]        = { "MP_REACH_NLRI",   OPTIONAL,   0,                false, BGP_RESET,    BGP_BAD_OPTIONAL, MP_REACH_MIN, 1,
				  read_mp_reach, NULL, NULL },
	[BGP_MP_UNREACH]      = { "MP_UNREACH_NLRI", OPTIONAL,   0,                false, BGP_RESET,    BGP_BAD_OPTIONAL, FAMILY_LEN, 1,
				  read_mp_unreach, NULL, NULL },
	[BGP_EXT_COMMUNITIES] = { "EXTENDED_COMMUNITIES", BOTH,  0,                true,  BGP_WITHDRAW, LEN, 8, 8,
				  NULL, bgp_emit_ext_communities, bgp_format_ext_communities },
	[BGP_AS4_PATH]        = { "AS4_PATH",        BOTH,       FROM_FOUR_OCTETS, true,  BGP_DISCARD,  LEN, 6, 2,
				  read_as4_path, NULL, bgp_format_path },
	[BGP_AS4_AGGREGATOR]  = { "AS4_AGGREGATOR",  BOTH,       FROM_FOUR_OCTETS, true,  BGP_DISCARD,  LEN, 8, 0,
				  read_as4_aggregator, NULL, bgp_format_aggregator },
	[BGP_AIGP]            = { "AIGP",            OPTIONAL,   ANYBODY,          false, BGP_DISCARD,  LEN, 0, 1,
				  NULL, NULL, NULL },
	[BGP_LARGE_COMMUNITIES] = { "LARGE_COMMUNITIES", BOTH,   0,                true,  BGP_WITHDRAW, LEN, 12, 12,
				  NULL, NULL, bgp_format_large_communities },
	[BGP_OTC]             = { "ONLY_TO_CUSTOMER", BOTH,      0,                true,  BGP_WITHDRAW, LEN, 4, 0,
				  read_otc, NULL, bgp_format_number },
};
/* clang-format on */

const struct bgp_attr_row *bgp_attr_row(uint8_t type)
{
	return type < ARRAY_LEN(rows) && rows[type].name != NULL ? &rows[type] : NULL;
}

const char *bgp_attr_name(uint8_t type)
{
	const struct bgp_attr_row *row = bgp_attr_row(type);

	return row != NULL ? row->name : "attribute";
}
