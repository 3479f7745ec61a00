/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a connection holds of NAT, as it is noted with it: conn_ext.nat_ref.
 */
#ifndef YG_GATEWAY_NAT_REF_H
#define YG_GATEWAY_NAT_REF_H

#include <stdbool.h>
#include <stdint.h>

struct nat;

/* Where a translation comes from: what decides whether a new config still allows it. */
enum nat_origin { NAT_ORIGIN_RULE, NAT_ORIGIN_POOL, NAT_ORIGIN_MASQUERADE };

enum nat_hold_kind {
	NAT_HOLD_PORT,       /* number of an address (stack/ports/ports.h); the port stands in the REPLY tuple */
	NAT_HOLD_MAPPING,    /* an endpoint-independent mapping, as its inside */
	NAT_HOLD_MAPPING_IN, /* ... as somebody who came in by it */
	NAT_HOLD_PAIR,       /* a mapping by which it came in, and one of the first two for its source */
};
#define NAT_INDEX_BITS 22
#define NAT_MAPPINGS_LIMIT (1u << NAT_INDEX_BITS)

static inline uint32_t nat_ref_of(enum nat_hold_kind kind, enum nat_origin origin, uint32_t id, uint32_t index)
{
	return (uint32_t)kind << 30 | (uint32_t)origin << 28 | (id & 63) << NAT_INDEX_BITS | index;
}

static inline enum nat_hold_kind nat_ref_kind(uint32_t ref)
{
	return (enum nat_hold_kind)(ref >> 30);
}

static inline enum nat_origin nat_ref_origin(uint32_t ref)
{
	return (enum nat_origin)(ref >> 28 & 3);
}

static inline uint32_t nat_ref_id(uint32_t ref)
{
	return ref >> NAT_INDEX_BITS & 63;
}

static inline uint32_t nat_ref_index(uint32_t ref)
{
	return ref & (NAT_MAPPINGS_LIMIT - 1);
}

/* What NAT_HOLD_PAIR names. */
struct nat_hairpin_pair {
	uint32_t entered, source; /* both as a nat_ref */
};

struct nat_hairpin_pair *nat_pair_at(const struct nat *n, uint32_t ref);
/* What it holds, none of them a pair; how many there are: 0 to 2. */
uint32_t nat_holds_of(const struct nat *n, uint32_t index, uint32_t ref[2]);
/* What it holds for its source: a port, or a mapping as its inside; false when that is nothing. */
bool nat_source_hold_of(const struct nat *n, uint32_t index, uint32_t *ref);

#endif
