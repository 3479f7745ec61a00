/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a connection holds of NAT, read from what is noted with it. Who holds what,
 * and when it is given back: hold.c.
 */
#include "gateway/nat/nat_priv.h"

struct nat_hairpin_pair *nat_pair_at(const struct nat *n, uint32_t ref)
{
	return pool_at(&n->mappings.pairs, nat_ref_index(ref));
}

uint32_t nat_holds_of(const struct nat *n, uint32_t index, uint32_t ref[2])
{
	const struct conn *c = conntrack_conn(n->ct, index);

	ref[0] = conntrack_ext(n->ct, index)->nat_ref;
	if (!(c->status & CT_MAPPED))
		return 0;
	if (nat_ref_kind(ref[0]) != NAT_HOLD_PAIR)
		return 1;
	const struct nat_hairpin_pair *pair = nat_pair_at(n, ref[0]);

	ref[0] = pair->entered;
	ref[1] = pair->source;
	return 2;
}

bool nat_source_hold_of(const struct nat *n, uint32_t index, uint32_t *ref)
{
	uint32_t held[2], n_held = nat_holds_of(n, index, held);

	if (n_held == 0)
		return false;
	*ref = held[n_held - 1];
	return nat_ref_kind(*ref) == NAT_HOLD_PORT || nat_ref_kind(*ref) == NAT_HOLD_MAPPING;
}
