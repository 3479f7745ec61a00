/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What holds for a neighbour whatever its filters say, asked in this order, and then its filter. docs/policy.md has the
 * table.
 */
#ifndef YG_ROUTING_POLICY_POLICY_RULES_H
#define YG_ROUTING_POLICY_POLICY_RULES_H

#include "routing/policy/policy.h"
#include "routing/policy/policy_prefixes.h"

/* RFC 8326, RFC 7999. */
#define POLICY_GRACEFUL_SHUTDOWN 0xffff0000u
#define POLICY_BLACKHOLE 0xffff029au

/* What is said of one direction. */
enum policy_kind {
	POLICY_NOT_SAID, /* nothing to or from another AS (RFC 8212), all within ours */
	POLICY_ALL,
	POLICY_NOTHING,
	POLICY_BY_FILTER
};

struct policy_choice {
	enum policy_kind kind;
	uint32_t filter; /* of POLICY_BY_FILTER */
};

struct policy_neighbor {
	enum bgp_kind kind;
	uint32_t local_as, peer_as;
	uint8_t role; /* ours, enum bgp_role (RFC 9234) */
	struct policy_choice import, export;
	const struct policy_prefixes *own; /* our prefixes, with all within them; NULL: none */
	bool may_be_own;                   /* what it announces may lie within them */
	bool ignores_shutdown;             /* GRACEFUL_SHUTDOWN means nothing (RFC 8326) */
	bool takes_blackholes;             /* BLACKHOLE is obeyed (RFC 7999) */
	bool transit;                      /* it is told what others have told us, also without a role that says so */
};

/* What becomes of a path that comes from it, or may go to it. program: NULL without filters. As policy_run. */
void policy_import(const struct policy *program, const struct policy_neighbor *n, const struct policy_path *path,
		   struct policy_attrs *a, struct policy_verdict *v);
void policy_export(const struct policy *program, const struct policy_neighbor *n, const struct policy_path *path,
		   struct policy_attrs *a, struct policy_verdict *v);
/* Whether POLICY_RULE_OWN_PREFIX says no. */
bool policy_is_own(const struct policy_neighbor *n, struct ip4_prefix prefix);

#endif
