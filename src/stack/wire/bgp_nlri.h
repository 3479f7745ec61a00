/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Prefixes as BGP's messages carry them (RFC 4271 section 4.3): a length in bits, and as many bytes as that takes. All
 * of a list is checked once, to its end, before anything of it is used; then it is walked without checks. (With path
 * identifiers, RFC 7911, each would have four bytes more in front: check and walk would both be told.)
 */
#ifndef YG_STACK_WIRE_BGP_NLRI_H
#define YG_STACK_WIRE_BGP_NLRI_H

#include "base/ip4.h"
#include "stack/wire/bgp.h"

/* Bytes in a message that bgp_nlri_check has found to be prefixes. */
struct bgp_nlri {
	const uint8_t *p;
	size_t len;
};

#define BGP_PREFIX_LEN_MAX 5 /* bytes */

/* True when n is a list of whole prefixes of at most 32 bits each. */
bool bgp_nlri_check(struct bgp_nlri n);

static inline size_t bgp_prefix_len(uint8_t bits)
{
	return 1 + ((size_t)bits + 7) / 8;
}

/* Takes the next prefix off a checked list; false at its end. Bits behind the prefix's length are cleared: their value
 * is irrelevant. */
static inline bool bgp_nlri_next(struct bgp_nlri *rest, struct ip4_prefix *out)
{
	if (rest->len == 0)
		return false;
	uint8_t bits = rest->p[0];
	size_t len = bgp_prefix_len(bits);
	uint32_t addr = 0;

	for (size_t i = 1; i < len; i++)
		addr |= (uint32_t)rest->p[i] << (8 * (4 - i));
	*out = (struct ip4_prefix){ addr & ip4_mask(bits), bits };
	rest->p += len;
	rest->len -= len;
	return true;
}

/* A prefix that no unicast route can have: multicast. It is passed over, the others of its message are not (RFC 4271
 * section 6.3). */
static inline bool bgp_prefix_is_unicast(struct ip4_prefix p)
{
	return p.len < 4 || !ip4_is_multicast(p.addr);
}

/* Writes one, at most BGP_PREFIX_LEN_MAX bytes; returns how many. */
size_t bgp_prefix_emit(uint8_t *p, struct ip4_prefix prefix);

#endif
