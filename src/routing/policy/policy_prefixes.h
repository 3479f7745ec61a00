/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A set of prefixes as BIRD writes them: 10.0.0.0/8, 10.0.0.0/8+, 10.0.0.0/24-, 10.0.0.0/8{16,24}. What it costs to ask
 * hardly depends on how many there are.
 */
#ifndef YG_ROUTING_POLICY_POLICY_PREFIXES_H
#define YG_ROUTING_POLICY_POLICY_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"

/* Prefixes of low to high bits that lie within `prefix`, or in which it lies. */
struct policy_pattern {
	struct ip4_prefix prefix;
	uint8_t low, high; /* low <= high <= 32 */
};

struct policy_prefixes {
	uint32_t n;      /* ranges of addresses; 0: the set is empty */
	uint32_t *start; /* of each, ascending; the first is 0 */
	uint64_t *lens;  /* a bit for each length that is in the set there */
	uint32_t *first; /* of the addresses that begin with such and such bits: the range of the lowest one */
	uint8_t first_bits;
};

/* 0 or -ENOMEM. The patterns may be in any order and overlap. */
int policy_prefixes_init(struct policy_prefixes *s, const struct policy_pattern *pattern, size_t n);
void policy_prefixes_fini(struct policy_prefixes *s);

bool policy_prefixes_have(const struct policy_prefixes *s, struct ip4_prefix p);

#endif
