/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Policy (routing/policy) in the slots of the table: what a neighbour announces goes through its rules and its filter.
 */
#ifndef YG_ROUTING_BGP_BGP_POLICY_H
#define YG_ROUTING_BGP_BGP_POLICY_H

#include "routing/bgp/bgp_import.h"
#include "routing/policy/policy_rules.h"

#define BGP_POLICY_JUDGED 8

/* Where attributes are while they are judged: one for all neighbours of a thread. Not small. Zeroed at first. */
struct bgp_policy_room {
	/* The judgements before, one of a neighbour, or of some. */
	struct bgp_policy_judged {
		const struct bgp_policy *of; /* NULL: there is none */
		struct policy_attrs attrs;
		struct policy_verdict verdict;
		size_t set_len;
		uint8_t set[BGP_SET_MAX];
	} judged[BGP_POLICY_JUDGED];
	uint32_t n_places; /* that were given out */
};

/* A neighbour's. Everything that it points to outlives it. */
struct bgp_policy {
	const struct policy *program; /* NULL: no filters */
	struct policy_neighbor neighbor;
	const char *name; /* `proto` */
	const struct policy_roas *roas;
	struct bgp_policy_room *room;
	uint32_t place; /* in room->judged; bgp_policy_import sets it */
};

/* For bgp_table_set_import; *p stays where it is. After any change of *p or of what it points to the slot is to be set
 * again, through bgp_policy_import, which forgets what was judged by it. */
struct bgp_import bgp_policy_import(struct bgp_policy *p);

/* What import policy makes of a path, with rule, line and text, and the attributes in *a. */
void bgp_policy_explain(const struct bgp_policy *p, struct ip4_prefix prefix, struct bgp_nlri set,
			struct policy_attrs *a, struct policy_verdict *v);

#endif
