/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rules before a filter: what is refused here no filter can take, and what is marked here it finds marked. They are
 * cheap and hold for any neighbour, so nobody has to remember to write them.
 *
 * That an AS_SET, AS 0 or our own AS is in the path has been settled before (stack/wire/bgp_update.c).
 *
 * Next: src/routing/bgp/bgp_policy.c
 */
#include "routing/policy/policy_rules.h"

#include "base/util.h"

static const char *const texts[N_POLICY_RULES] = {
	[POLICY_RULE_NONE] = "no rule",
	[POLICY_RULE_NO_IMPORT] = "no import policy (RFC 8212)",
	[POLICY_RULE_LEAK] = "route leak: ONLY_TO_CUSTOMER (RFC 9234)",
	[POLICY_RULE_OWN_PREFIX] = "within our own prefixes",
	[POLICY_RULE_NO_EXPORT_POLICY] = "no export policy (RFC 8212)",
	[POLICY_RULE_NO_ADVERTISE] = "NO_ADVERTISE (RFC 1997)",
	[POLICY_RULE_NO_EXPORT] = "NO_EXPORT (RFC 1997)",
	[POLICY_RULE_ONLY_TO_CUSTOMER] = "ONLY_TO_CUSTOMER (RFC 9234)",
	[POLICY_RULE_NOT_OURS] = "not ours to tell: no transit",
};

static bool has_community(const struct policy_attrs *a, uint32_t community)
{
	return policy_attrs_list_has(a, POLICY_COMMUNITIES,
				     (struct policy_value){ { community >> 16, community & 0xffff } });
}

static void add_community(struct policy_attrs *a, uint32_t community)
{
	policy_attrs_list_add(a, POLICY_COMMUNITIES, (struct policy_value){ { community >> 16, community & 0xffff } });
}

static void refuse(struct policy_verdict *v, enum policy_rule rule)
{
	v->is_accepted = false;
	v->rule = rule;
	v->why = texts[rule];
}

static bool is_said(const struct policy_neighbor *n, const struct policy_choice *c)
{
	return c->kind != POLICY_NOT_SAID || n->kind == BGP_INTERNAL;
}

/* Behind the rules. */
static void by_choice(const struct policy *program, const struct policy_choice *c, const struct policy_path *path,
		      struct policy_attrs *a, struct policy_verdict *v)
{
	bool asked = v->asked_prefix;

	if (c->kind == POLICY_BY_FILTER) {
		policy_run(program, c->filter, path, a, v);
		v->asked_prefix |= asked;
	} else {
		v->is_accepted = c->kind != POLICY_NOTHING;
		policy_settle(a, v);
	}
}

/* --- what comes --- */

/* RFC 9234 section 5, ingress: false when the route is a leak. */
static bool mark_from(const struct policy_neighbor *n, struct policy_attrs *a)
{
	uint32_t otc = a->number[POLICY_OTC];

	switch (n->role) {
	case BGP_ROLE_PROVIDER: /* it is a customer */
	case BGP_ROLE_RS:       /* ... a route server's client */
		return otc == 0;
	case BGP_ROLE_PEER:
		if (otc != 0 && otc != n->peer_as)
			return false;
		break;
	case BGP_ROLE_CUSTOMER:  /* it is a provider */
	case BGP_ROLE_RS_CLIENT: /* ... a route server */
		break;
	default:
		return true;
	}
	if (otc == 0)
		policy_attrs_set(a, POLICY_OTC, n->peer_as);
	return true;
}

bool policy_is_own(const struct policy_neighbor *n, struct ip4_prefix prefix)
{
	return n->kind == BGP_EXTERNAL && n->own != NULL && !n->may_be_own && policy_prefixes_have(n->own, prefix);
}

void policy_import(const struct policy *program, const struct policy_neighbor *n, const struct policy_path *path,
		   struct policy_attrs *a, struct policy_verdict *v)
{
	*v = (struct policy_verdict){ .rule = POLICY_RULE_NONE };
	if (!is_said(n, &n->import)) {
		refuse(v, POLICY_RULE_NO_IMPORT);
		return;
	}
	if (n->kind == BGP_EXTERNAL) {
		if (!mark_from(n, a)) {
			refuse(v, POLICY_RULE_LEAK);
			return;
		}
		v->asked_prefix = n->own != NULL && !n->may_be_own;
		if (policy_is_own(n, path->prefix)) {
			refuse(v, POLICY_RULE_OWN_PREFIX);
			return;
		}
		if (!n->ignores_shutdown && has_community(a, POLICY_GRACEFUL_SHUTDOWN)) {
			policy_attrs_set(a, POLICY_LOCAL_PREF, 0);
			a->is_local_pref_held = true;
		}
	}
	if (n->takes_blackholes && has_community(a, POLICY_BLACKHOLE)) {
		v->is_blackhole = true;
		add_community(a, BGP_NO_ADVERTISE);
	}
	by_choice(program, &n->import, path, a, v);
}

/* --- what goes --- */

/* RFC 9234 section 5, egress: false when the route may not go there. */
static bool mark_to(const struct policy_neighbor *n, struct policy_attrs *a)
{
	uint32_t otc = a->number[POLICY_OTC];

	switch (n->role) {
	case BGP_ROLE_CUSTOMER:  /* it is a provider */
	case BGP_ROLE_RS_CLIENT: /* ... a route server */
		return otc == 0;
	case BGP_ROLE_PEER:
		if (otc != 0)
			return false;
		break;
	case BGP_ROLE_PROVIDER: /* it is a customer */
	case BGP_ROLE_RS:       /* ... a route server's client */
		break;
	default:
		return true;
	}
	if (otc == 0)
		policy_attrs_set(a, POLICY_OTC, n->local_as);
	return true;
}

/* RFC 1997. */
static enum policy_rule kept_by_community(const struct policy_neighbor *n, const struct policy_attrs *a)
{
	if (has_community(a, BGP_NO_ADVERTISE))
		return POLICY_RULE_NO_ADVERTISE;
	if (n->kind == BGP_EXTERNAL && (has_community(a, BGP_NO_EXPORT) || has_community(a, BGP_NO_EXPORT_SUBCONFED)))
		return POLICY_RULE_NO_EXPORT;
	return POLICY_RULE_NONE;
}

/* To a customer, and from a route server, goes what others have told us. */
static bool gets_transit(const struct policy_neighbor *n)
{
	return n->kind == BGP_INTERNAL || n->transit || n->role == BGP_ROLE_PROVIDER || n->role == BGP_ROLE_RS;
}

void policy_export(const struct policy *program, const struct policy_neighbor *n, const struct policy_path *path,
		   struct policy_attrs *a, struct policy_verdict *v)
{
	enum policy_rule kept = kept_by_community(n, a);

	*v = (struct policy_verdict){ .rule = POLICY_RULE_NONE };
	if (!is_said(n, &n->export)) {
		refuse(v, POLICY_RULE_NO_EXPORT_POLICY);
	} else if (kept != POLICY_RULE_NONE) {
		refuse(v, kept);
	} else if (n->kind == BGP_EXTERNAL && !mark_to(n, a)) {
		refuse(v, POLICY_RULE_ONLY_TO_CUSTOMER);
	} else if (!gets_transit(n) && a->path.len > 0) {
		refuse(v, POLICY_RULE_NOT_OURS);
	} else {
		by_choice(program, &n->export, path, a, v);
	}
}
