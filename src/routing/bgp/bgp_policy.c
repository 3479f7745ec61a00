/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A path and its set on one side, policy's values on the other.
 *
 * Most prefixes come beside others with the same set, and what a filter asks of them (is it too long, is it a bogon)
 * they answer alike. So the last judgement of a neighbour is kept, with a copy of the set: when the set is the same,
 * byte by byte, and the prefix gives the same answers, it is the judgement.
 *
 * Next: src/routing/bgp/bgp_table_import.c
 */
#include "routing/bgp/bgp_policy.h"

#include <string.h>

static struct bgp_policy_judged *place_of(const struct bgp_policy *p)
{
	return &p->room->judged[p->place];
}

void bgp_policy_explain(const struct bgp_policy *p, struct ip4_prefix prefix, struct bgp_nlri set,
			struct policy_attrs *a, struct policy_verdict *v)
{
	const struct policy_path path = {
		.prefix = prefix, .set = set, .source = POLICY_RTS_BGP, .proto = p->name, .roas = p->roas
	};

	policy_attrs_start(a, set);
	policy_import(p->program, &p->neighbor, &path, a, v);
}

static bool holds(const struct bgp_policy *p, const struct bgp_policy_judged *j, struct ip4_prefix prefix,
		  const struct bgp_set *set)
{
	return j->of == p && j->set_len == set->len && memcmp(j->set, set->bytes, set->len) == 0 &&
	       policy_is_own(&p->neighbor, prefix) == (j->verdict.rule == POLICY_RULE_OWN_PREFIX) &&
	       policy_holds_for(p->program, &j->verdict, prefix);
}

static void judge(void *user, struct ip4_prefix prefix, const struct bgp_set *set, struct bgp_verdict *out)
{
	const struct bgp_policy *p = user;
	struct bgp_policy_judged *j = place_of(p);

	if (!holds(p, j, prefix, set)) {
		/* The attributes point into the copy: the set may be gone when the same comes again. */
		memcpy(j->set, set->bytes, set->len);
		j->set_len = set->len;
		j->of = p;
		bgp_policy_explain(p, prefix, (struct bgp_nlri){ j->set, set->len }, &j->attrs, &j->verdict);
	}
	out->is_accepted = j->verdict.is_accepted;
	out->is_blackhole = j->verdict.is_blackhole;
	out->asked_prefix = j->verdict.asked_prefix;
	out->edits = j->attrs.edits;
}

static size_t write_set(void *user, uint8_t *out)
{
	const struct bgp_policy *p = user;

	return policy_attrs_write(&place_of(p)->attrs, out);
}

struct bgp_import bgp_policy_import(struct bgp_policy *p)
{
	p->place = p->room->n_places++ % BGP_POLICY_JUDGED;
	for (uint32_t i = 0; i < BGP_POLICY_JUDGED; i++)
		if (p->room->judged[i].of == p)
			p->room->judged[i].of = NULL;
	return (struct bgp_import){ judge, write_set, p };
}
