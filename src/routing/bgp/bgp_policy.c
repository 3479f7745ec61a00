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

static struct bgp_policy_judged *place_of(const struct bgp_policy *p, enum bgp_policy_way way)
{
	return &p->room->judged[p->place[way]];
}

static const char *proto_of(const struct bgp_policy *p, const struct bgp_source *source)
{
	if (source == NULL)
		return p->name;
	const char *name = p->name_of != NULL ? p->name_of(p->name_user, source) : NULL;

	return name != NULL ? name : "";
}

void bgp_policy_explain(const struct bgp_policy *p, enum bgp_policy_way way, struct ip4_prefix prefix,
			struct bgp_nlri set, const struct bgp_source *source, struct policy_attrs *a,
			struct policy_verdict *v)
{
	const struct policy_path path = {
		.prefix = prefix, .set = set, .source = POLICY_RTS_BGP, .proto = proto_of(p, source), .roas = p->roas
	};

	policy_attrs_start(a, set);
	if (way == BGP_POLICY_IMPORT)
		policy_import(p->program, &p->neighbor, &path, a, v);
	else
		policy_export(p->program, &p->neighbor, &path, a, v);
}

/* Whether prefixes are of one kind by POLICY_RULE_OWN_PREFIX. */
static bool is_alike(const struct bgp_policy *p, const struct bgp_policy_judged *j, struct ip4_prefix prefix)
{
	return j->way == BGP_POLICY_EXPORT ||
	       policy_is_own(&p->neighbor, prefix) == (j->verdict.rule == POLICY_RULE_OWN_PREFIX);
}

static bool holds(const struct bgp_policy *p, const struct bgp_policy_judged *j, struct ip4_prefix prefix,
		  const struct bgp_set *set)
{
	return j->set_len == set->len && memcmp(j->set, set->bytes, set->len) == 0 && is_alike(p, j, prefix) &&
	       policy_holds_for(p->program, &j->verdict, prefix);
}

static const struct bgp_policy_judged *judge(const struct bgp_policy *p, enum bgp_policy_way way,
					     struct ip4_prefix prefix, const struct bgp_set *set,
					     const struct bgp_source *source)
{
	struct bgp_policy_judged *j = place_of(p, way);
	const char *proto = proto_of(p, source);

	if (j->of == p && j->way == way && j->proto == proto && holds(p, j, prefix, set))
		return j;
	/* The attributes point into the copy: the set may be gone when the same comes again. */
	memcpy(j->set, set->bytes, set->len);
	j->set_len = set->len;
	j->of = p;
	j->way = way;
	j->proto = proto;
	bgp_policy_explain(p, way, prefix, (struct bgp_nlri){ j->set, set->len }, source, &j->attrs, &j->verdict);
	return j;
}

static void judge_import(void *user, struct ip4_prefix prefix, const struct bgp_set *set, struct bgp_verdict *out)
{
	const struct bgp_policy_judged *j = judge(user, BGP_POLICY_IMPORT, prefix, set, NULL);

	out->is_accepted = j->verdict.is_accepted;
	out->is_blackhole = j->verdict.is_blackhole;
	out->asked_prefix = j->verdict.asked_prefix;
	out->edits = j->attrs.edits;
}

static size_t write_import(void *user, uint8_t *out)
{
	return policy_attrs_write(&place_of(user, BGP_POLICY_IMPORT)->attrs, out);
}

/* MED and next hop that a filter has set are told as they stand. */
static void judge_export(void *user, struct ip4_prefix prefix, const struct bgp_set *set,
			 const struct bgp_source *source, struct bgp_export_verdict *out)
{
	const struct bgp_policy_judged *j = judge(user, BGP_POLICY_EXPORT, prefix, set, source);

	out->is_accepted = j->verdict.is_accepted;
	out->asked_prefix = j->verdict.asked_prefix;
	out->keeps_med = (j->attrs.is_changed >> POLICY_MED & 1) != 0;
	out->keeps_next_hop = (j->attrs.is_changed >> POLICY_NEXT_HOP & 1) != 0;
	out->edits = j->attrs.edits;
}

static size_t write_export(void *user, uint8_t *out)
{
	return policy_attrs_write(&place_of(user, BGP_POLICY_EXPORT)->attrs, out);
}

static void forget(struct bgp_policy *p, enum bgp_policy_way way)
{
	for (uint32_t i = 0; i < BGP_POLICY_JUDGED; i++)
		if (p->room->judged[i].of == p && p->room->judged[i].way == way)
			p->room->judged[i].of = NULL;
	p->place[way] = p->room->n_places++ % BGP_POLICY_JUDGED;
}

struct bgp_import bgp_policy_import(struct bgp_policy *p)
{
	forget(p, BGP_POLICY_IMPORT);
	return (struct bgp_import){ judge_import, write_import, p };
}

struct bgp_export bgp_policy_export(struct bgp_policy *p)
{
	forget(p, BGP_POLICY_EXPORT);
	return (struct bgp_export){ judge_export, write_export, p };
}

bool bgp_policy_exports_alike(const struct bgp_policy *a, const struct bgp_policy *b)
{
	const struct policy_neighbor *x = &a->neighbor, *y = &b->neighbor;

	return a->program == b->program && a->roas == b->roas && a->name_of == b->name_of &&
	       a->name_user == b->name_user && a->room == b->room && x->kind == y->kind && x->local_as == y->local_as &&
	       x->role == y->role && x->transit == y->transit && x->export.kind == y->export.kind &&
	       (x->export.kind != POLICY_BY_FILTER || x->export.filter == y->export.filter);
}
