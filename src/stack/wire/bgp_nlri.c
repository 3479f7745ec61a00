/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Lists of prefixes, checked to the end (RFC 7606 section 5.3): one that lies about itself leaves all behind it
 * unknown, so there is no good part of a bad list.
 *
 * Next: src/stack/wire/bgp_update.c
 */
#include "stack/wire/bgp_nlri.h"

#define BITS_MAX 32

bool bgp_nlri_check(struct bgp_nlri n)
{
	while (n.len > 0) {
		size_t len = bgp_prefix_len(n.p[0]);

		if (n.p[0] > BITS_MAX || len > n.len)
			return false;
		n.p += len;
		n.len -= len;
	}
	return true;
}

size_t bgp_prefix_emit(uint8_t *p, struct ip4_prefix prefix)
{
	size_t len = bgp_prefix_len(prefix.len);

	p[0] = prefix.len;
	for (size_t i = 1; i < len; i++)
		p[i] = (uint8_t)(prefix.addr >> (8 * (4 - i)));
	return len;
}
