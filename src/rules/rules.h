/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rules at work. A ruleset is compiled once, const, and shared; what changes
 * (counters, limits) belongs to a worker's struct rules.
 *
 * Base chains of type filter and route hang in the hook lists by their
 * priority. Chains of type nat do not: NAT's own hooks ask them, in order of
 * priority, once a connection and side (as in Linux).
 */
#ifndef YG_RULES_RULES_H
#define YG_RULES_RULES_H

#include "rules/ast.h"

struct ruleset;

/* One message of the compiler. */
struct rules_error {
	struct ast_pos pos;
	char text[200];
};

/* pools: to resolve `snat to pool NAME`. Returns NULL and up to max_errors
 * messages (*n_errors) when something does not fit: an unknown chain or set, a
 * loop of jumps, a verdict that the chain's type or hook does not allow. */
struct ruleset *rules_compile(const struct rule_ast *ast, const struct nat_config *pools, struct rules_error *errors,
			      size_t max_errors, size_t *n_errors);
void ruleset_destroy(struct ruleset *rs);

struct rules;

struct rules *rules_create(struct env *env, struct ip_stack *stack, struct conntrack *ct);
void rules_destroy(struct rules *r);
/* Swaps the ruleset (NULL: none); counters start at what the file says,
 * numgen inc at its first number; what jhash says stays. -ENOMEM leaves the old one.
 * Names of interfaces mean what ip_stack_config says at the next packet: another config there is seen
 * by its address, so one that is changed in place needs a call of this. */
int rules_configure(struct rules *r, const struct ruleset *rs);

/* The base chains to hang into the hooks: fills e with priority, name, fn, ctx
 * for the i-th filter or route chain of a hook; false behind the last. */
bool rules_hook_entry(struct rules *r, enum ip_hook hook, uint32_t i, struct hook_entry *e);
/* For NAT's slot. */
enum packet_verdict rules_nat(void *rules, enum ip_hook hook, struct packet *p, struct nat_action *out);

struct rules_line {
	const char *table, *chain, *rule; /* rule: its text; NULL for the chain's policy line */
	const char *family;               /* "ip" or "inet" */
	uint64_t packets, bytes;          /* of its first counter */
	bool has_counter;
};
/* For `yangguan rules`: every rule in order; false at the end. */
bool rules_next(const struct rules *r, uint32_t *cursor, struct rules_line *out);

#endif
