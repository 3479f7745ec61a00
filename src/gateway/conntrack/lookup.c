/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whose a tuple is: the table (table.c) says which references may have it, their
 * connections say which one has. A tuple is of a zone, and so is an interface.
 */
#include "gateway/conntrack/conntrack_priv.h"

uint16_t conntrack_zone(const struct conntrack *ct, uint32_t ifindex)
{
	return ifindex < IP_INTERFACES_MAX ? ct->cfg.zone[ifindex] : 0;
}

uint32_t ct_find(const struct conntrack *ct, ct_place place, const struct tuple *t)
{
	uint16_t tag = ct_place_tag(place);

	for (const struct ct_bucket *b = ct_table_bucket(&ct->table, place); b != NULL;
	     b = ct_table_next(&ct->table, b)) {
		for (uint64_t m = ct_bucket_match(b, tag); m != 0; m &= m - 1) {
			uint32_t ref = b->ref[ct_slot(m)];
			if (YG_LIKELY(tuple_equal(&ct_conn(ct, conn_index(ref))->half[conn_dir(ref)].tuple, t)))
				return ref;
		}
	}
	return CONN_NONE;
}

uint32_t conntrack_find(const struct conntrack *ct, const struct tuple *t)
{
	return ct_find(ct, ct_place_of(ct, t), t);
}
