/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Policy (routing/policy) in the slots of the table and of the update groups: what a neighbour announces, and what it
 * is told, goes through its rules and its filters.
 */
#ifndef YG_ROUTING_BGP_BGP_POLICY_H
#define YG_ROUTING_BGP_BGP_POLICY_H

#include "routing/bgp/bgp_groups.h"
#include "routing/policy/policy_rules.h"

#define BGP_POLICY_JUDGED 8

enum bgp_policy_way { BGP_POLICY_IMPORT, BGP_POLICY_EXPORT, N_BGP_POLICY_WAYS };

/* Where attributes are while they are judged: one for all neighbours of a thread. Not small. Zeroed at first. */
struct bgp_policy_room {
	/* The judgements before, one of a neighbour and a way, or of some. */
	struct bgp_policy_judged {
		const struct bgp_policy *of; /* NULL: there is none */
		enum bgp_policy_way way;
		const char *proto;
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
	const char *name; /* `proto` of what it announces */
	const struct policy_roas *roas;
	/* The name of who announced a path, `proto` of what is to be told; constant while a source is the same. NULL:
	 * nobody has one. */
	const char *(*name_of)(void *user, const struct bgp_source *source);
	void *name_user;
	struct bgp_policy_room *room;
	uint32_t place[N_BGP_POLICY_WAYS]; /* in room->judged; set by what follows */
};

/* For bgp_table_set_import, and for struct bgp_group_terms; *p stays where it is. After any change of *p or of what it
 * points to the slots are to be made again by these, which forget what was judged by it (then bgp_table_set_import, and
 * bgp_groups_judge_again with p). */
struct bgp_import bgp_policy_import(struct bgp_policy *p);
struct bgp_export bgp_policy_export(struct bgp_policy *p);

/* Whether two neighbours are told the same by their policies: one struct bgp_policy, made into a slot once, then serves
 * both, and they are one group. */
bool bgp_policy_exports_alike(const struct bgp_policy *a, const struct bgp_policy *b);

/* What policy makes of a path that comes, or goes, with rule, line and text, and the attributes in *a. source: of one
 * that goes; else NULL. */
void bgp_policy_explain(const struct bgp_policy *p, enum bgp_policy_way way, struct ip4_prefix prefix,
			struct bgp_nlri set, const struct bgp_source *source, struct policy_attrs *a,
			struct policy_verdict *v);

#endif
