/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which of several paths to one prefix is the best (RFC 4271 section 9.1.2.2, RFC 4456 section 9): values in, an answer
 * and the step that gave it out.
 */
#ifndef YG_ROUTING_BGP_BGP_DECIDE_H
#define YG_ROUTING_BGP_BGP_DECIDE_H

#include "routing/bgp/bgp_sets.h"

/* In this order. */
enum bgp_step {
	BGP_STEP_NONE,         /* there is no path that can be chosen */
	BGP_STEP_ONLY,         /* there is no other */
	BGP_STEP_LOCAL_PREF,   /* higher: RFC 4271 section 9.1.1 */
	BGP_STEP_PATH_LENGTH,  /* shorter AS_PATH: 9.1.2.2 a */
	BGP_STEP_ORIGIN,       /* lower: b */
	BGP_STEP_MED,          /* lower, among those of one neighbouring AS: c */
	BGP_STEP_EXTERNAL,     /* external before internal: d */
	BGP_STEP_IGP,          /* lower cost of the way to the next hop: e */
	BGP_STEP_IDENTIFIER,   /* lower identifier, or ORIGINATOR_ID in its place: f, RFC 4456 section 9 */
	BGP_STEP_CLUSTER_LIST, /* shorter CLUSTER_LIST: RFC 4456 section 9 */
	BGP_STEP_ADDRESS,      /* lower address of the neighbour: g; no two are equal */
	N_BGP_STEPS
};

/* Of a neighbour, what the decision reads. */
struct bgp_source {
	uint8_t kind; /* enum bgp_kind */
	uint32_t id;  /* its identifier */
	uint32_t addr;
	bool is_ours; /* no neighbour: paths of our own, which internal neighbours are told too */
};

struct bgp_candidate {
	const struct bgp_set *set;
	const struct bgp_source *from;
	uint32_t igp_cost;
};

enum bgp_med_rule { BGP_MED_SAME_AS, BGP_MED_ALWAYS };

#define BGP_PATHS_MAX 255 /* of a prefix */
#define BGP_NOBODY 255

struct bgp_choice {
	uint8_t best, second; /* BGP_NOBODY: none */
	uint8_t step;         /* enum bgp_step by which the best is before the second, of these two alone */
};

/* n: at most BGP_PATHS_MAX. The answer does not depend on the candidates' order. */
struct bgp_choice bgp_decide(enum bgp_med_rule rule, const struct bgp_candidate *c, uint32_t n);

/* Whether a path with the one set goes at a step before MED when one with the other is there. */
static inline bool bgp_is_behind(const struct bgp_set *set, const struct bgp_set *other)
{
	if (set->local_pref != other->local_pref)
		return set->local_pref < other->local_pref;
	if (set->n_hops != other->n_hops)
		return set->n_hops > other->n_hops;
	return set->origin > other->origin;
}

/* Who of several may share what goes there: */
enum bgp_multipath {
	BGP_MULTIPATH_SAME_AS, /* those whose path begins with the same AS */
	BGP_MULTIPATH_RELAX,   /* also others, of equal length */
};

/* The candidates that are as good as the best one in all steps up to the cost to the next hop: their numbers in *who,
 * the best one's first, then in ascending order; at most `max`, those with the lowest numbers. Returns how many. */
uint32_t bgp_decide_equal(enum bgp_med_rule rule, enum bgp_multipath how, const struct bgp_candidate *c, uint32_t n,
			  uint8_t *who, uint32_t max);

/* "LOCAL_PREF", "AS_PATH length" ...; constant. */
const char *bgp_step_name(enum bgp_step step);

#endif
