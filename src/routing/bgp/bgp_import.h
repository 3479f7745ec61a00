/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How the table asks what import policy makes of a path. Who answers is a slot of each source (bgp_table_set_import).
 */
#ifndef YG_ROUTING_BGP_BGP_IMPORT_H
#define YG_ROUTING_BGP_BGP_IMPORT_H

#include "base/ip4.h"
#include "routing/bgp/bgp_sets.h"

struct bgp_verdict {
	bool is_accepted;  /* else the path is kept, and never chosen */
	bool asked_prefix; /* else it is the same for every prefix that comes from that neighbour with that set */
	bool is_blackhole; /* what goes there is to be dropped (RFC 7999) */
	/* What was done to the attributes: 0 nothing; equal numbers of one set are equal changes, made only once. */
	uint64_t edits;
};

struct bgp_import {
	/* NULL: all is accepted as it comes. set: as received. Does not change the table. */
	void (*judge)(void *user, struct ip4_prefix prefix, const struct bgp_set *set, struct bgp_verdict *v);
	/* Writes the set that the last verdict speaks of, one with edits, at most BGP_SET_MAX bytes in the form of
	 * bgp_set_write. Returns how many. */
	size_t (*write)(void *user, uint8_t *out);
	void *user;
};

#endif
