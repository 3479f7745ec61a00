/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a ruleset may say, beyond its grammar: names that exist, jumps that end,
 * verdicts where they have a meaning. Runs before anything is compiled and
 * reports as much as it finds; compile.c trusts it.
 *
 * Jumps form a graph a table. heights() walks it once, each chain at most once,
 * and refuses circles and nests deeper than the evaluator's stack, and base chains
 * from which one packet could make more than JUMPS_MAX jumps: eight chains that
 * each jump eight times to the next are a hundred million. allowed()
 * walks from each base chain over what it can reach and asks of each statement
 * whether that chain's type and hook know it: so a regular chain with a
 * masquerade in it is fine as long as only postrouting jumps to it.
 */
#include "gateway/rules/rules_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NAT's decision needs a connection (Linux refuses nat chains up to this priority as well). */
#define NAT_PRIORITY_MIN (HOOK_PRI_CONNTRACK + 1)
/* Leaves room in a hook's list for what is built in. */
#define BASE_CHAINS_MAX (HOOK_LIST_MAX - 10)
/* The walk over the jumps goes no deeper than this, whatever the file says. */
#define WALK_MAX 64

/* Jumps that one packet can make from a base chain (newer kernels bound them to as many). */
#define JUMPS_MAX 65536u

enum { UNSEEN, ON_PATH, DONE };

struct check {
	const struct rule_ast *ast;
	const struct nat_config *pools;
	struct rules_report *rep;
	const struct rule_table *t;
	uint8_t *color;   /* a chain of the table */
	uint32_t *height; /* longest way of jumps below it */
	uint32_t *jumps;  /* that a packet can make below it; JUMPS_MAX + 1 stands for all above */
	bool broken;      /* a circle or too deep: heights mean nothing */
};

void rules_report(struct rules_report *rep, const struct text_pos *pos, const char *fmt, ...)
{
	va_list args;

	if (rep->n < rep->max) {
		rep->error[rep->n].pos = *pos;
		va_start(args, fmt);
		vsnprintf(rep->error[rep->n].text, sizeof(rep->error[rep->n].text), fmt, args);
		va_end(args);
	}
	rep->n++;
}

uint32_t rules_find_pool(const struct nat_config *pools, const char *name)
{
	for (uint32_t i = 0; pools != NULL && i < pools->n_pools; i++)
		if (pools->pool[i].name[0] != '\0' && strcmp(pools->pool[i].name, name) == 0)
			return i;
	return UINT32_MAX;
}

static void check_target(struct check *c, const struct rule_stmt *s, const char *name)
{
	uint32_t i = rules_find_chain(c->t, name);

	if (i == UINT32_MAX)
		rules_report(c->rep, &s->name_pos, "table \"%s\" has no chain called \"%s\"", c->t->name, name);
	else if (c->t->chain[i].type != CHAIN_REGULAR)
		rules_report(c->rep, &s->name_pos, "\"%s\" is a base chain (it has a hook); nothing can jump to it",
			     name);
}

static void check_match(struct check *c, const struct rule_stmt *s)
{
	const struct rule_match *m = &s->match;
	uint32_t i;

	if (m->set_name[0] == '\0')
		return;
	i = rules_find_set(c->t, m->set_name);
	if (i == UINT32_MAX)
		rules_report(c->rep, &s->name_pos, "table \"%s\" has no set called \"%s\"", c->t->name, m->set_name);
	else if (rule_key_info[c->t->set[i].key].type != rule_key_info[m->key].type)
		rules_report(c->rep, &s->name_pos, "set \"%s\" holds values of another type than %s", m->set_name,
			     rule_key_info[m->key].name);
}

static void check_limit(struct check *c, const struct rule_stmt *s)
{
	if (s->limit_rate == 0 || s->limit_per_s == 0 || s->limit_burst == 0)
		rules_report(c->rep, &s->pos, "a limit needs a rate and a burst of at least 1");
	else if (s->limit_rate > NS_PER_S || s->limit_burst > UINT64_MAX / 2 / (s->limit_per_s * NS_PER_S))
		rules_report(c->rep, &s->pos, "this rate or burst is too large to be kept exactly");
}

static void check_stmt(struct check *c, const struct rule *r, const struct rule_stmt *s)
{
	switch (s->kind) {
	case STMT_MATCH:
		check_match(c, s);
		break;
	case STMT_JUMP:
	case STMT_GOTO:
		check_target(c, s, s->chain);
		break;
	case STMT_VMAP:
		rules_check_vmap(s, c->rep);
		for (size_t i = 0; i < s->n_vmap; i++)
			if (s->vmap[i].verdict == STMT_JUMP || s->vmap[i].verdict == STMT_GOTO)
				check_target(c, s, s->vmap[i].chain);
		break;
	case STMT_LIMIT:
		check_limit(c, s);
		break;
	case STMT_NAT:
		if (s->nat.kind == NAT_ACTION_POOL && rules_find_pool(c->pools, s->pool) == UINT32_MAX)
			rules_report(c->rep, &s->name_pos, "no pool is called \"%s\"", s->pool);
		if (s->map != NULL)
			rules_check_nat_map(c->t, r, s, c->rep);
		break;
	default:
		break;
	}
}

static void heights(struct check *c, uint32_t chain, uint32_t depth);

/* Returns the jumps that going there can cost. */
static uint32_t height_of_target(struct check *c, uint32_t from, const struct rule_stmt *s, const char *name,
				 uint32_t depth)
{
	uint32_t i = rules_find_chain(c->t, name);

	if (i == UINT32_MAX)
		return 0;
	if (c->color[i] == ON_PATH) {
		rules_report(c->rep, &s->name_pos, "a circle: chain \"%s\" comes back to chain \"%s\"",
			     c->t->chain[from].name, name);
		c->broken = true;
		return 0;
	}
	if (c->color[i] == UNSEEN)
		heights(c, i, depth + 1);
	if (c->height[from] < c->height[i] + 1)
		c->height[from] = c->height[i] + 1;
	return 1 + c->jumps[i];
}

/* The jumps that one statement can cost: of a verdict map, its dearest entry. */
static uint32_t jumps_of(struct check *c, uint32_t chain, const struct rule_stmt *s, uint32_t depth)
{
	uint32_t most = 0;

	if (s->kind == STMT_JUMP || s->kind == STMT_GOTO)
		return height_of_target(c, chain, s, s->chain, depth);
	for (size_t v = 0; s->kind == STMT_VMAP && v < s->n_vmap; v++)
		if (s->vmap[v].verdict == STMT_JUMP || s->vmap[v].verdict == STMT_GOTO)
			most = max_u32(most, height_of_target(c, chain, s, s->vmap[v].chain, depth));
	return most;
}

static void heights(struct check *c, uint32_t chain, uint32_t depth)
{
	const struct rule_chain *ch = &c->t->chain[chain];

	if (depth > WALK_MAX) {
		if (!c->broken)
			rules_report(c->rep, &ch->pos, "chain \"%s\": more than %d jumps within jumps", ch->name,
				     RULES_JUMP_MAX);
		c->broken = true;
		return;
	}
	c->color[chain] = ON_PATH;
	for (size_t i = 0; i < ch->n_rules; i++)
		for (size_t k = 0; k < ch->rule[i].n_stmts; k++)
			c->jumps[chain] = min_u32(c->jumps[chain] + jumps_of(c, chain, &ch->rule[i].stmt[k], depth),
						  JUMPS_MAX + 1);
	c->color[chain] = DONE;
}

static const char *const type_names[] = {
	[CHAIN_REGULAR] = "regular", [CHAIN_FILTER] = "filter", [CHAIN_NAT] = "nat", [CHAIN_ROUTE] = "route"
};

static void allowed_nat(struct check *c, const struct rule_chain *base, const struct rule_stmt *s, const char *chain)
{
	static const char *const words[2][2] = { { "dnat", "redirect" }, { "snat", "masquerade" } };
	bool own = s->nat.kind == NAT_ACTION_MASQUERADE || s->nat.kind == NAT_ACTION_REDIRECT;
	const char *word = words[s->nat_is_source][own];
	const char *hooks = !s->nat_is_source ? "prerouting or output" : own ? "postrouting" : "postrouting or input";
	bool ok = s->nat_is_source ? base->hook == HOOK_POSTROUTING || (base->hook == HOOK_INPUT && !own)
				   : base->hook == HOOK_PREROUTING || base->hook == HOOK_OUTPUT;

	if (base->type != CHAIN_NAT || !ok)
		rules_report(c->rep, &s->pos,
			     "%s works in chains of type nat with hook %s; chain \"%s\" is of type %s, hook %s", word,
			     hooks, chain, type_names[base->type], hook_names[base->hook]);
}

static void allowed_stmt(struct check *c, const struct rule_chain *base, const struct rule_stmt *s, const char *chain)
{
	if (s->kind == STMT_NAT)
		allowed_nat(c, base, s, chain);
	else if (s->kind == STMT_REJECT && (base->type == CHAIN_NAT || base->hook == HOOK_POSTROUTING))
		rules_report(c->rep, &s->pos,
			     "reject works in chains of type filter with hook prerouting, input, forward or output; "
			     "chain \"%s\" is of type %s, hook %s",
			     chain, type_names[base->type], hook_names[base->hook]);
	else if (s->kind == STMT_NOTRACK && (base->type == CHAIN_NAT || base->priority >= HOOK_PRI_CONNTRACK ||
					     (base->hook != HOOK_PREROUTING && base->hook != HOOK_OUTPUT)))
		rules_report(
			c->rep, &s->pos,
			"notrack has an effect only before connection tracking: in a chain with hook prerouting or "
			"output and a priority below -200, as \"priority raw\"");
}

/* Before routing nobody knows the MTU. */
static void allowed_mss(struct check *c, const struct rule_chain *base, const struct rule_stmt *s, const char *chain)
{
	if (s->value == 0 && (base->hook == HOOK_PREROUTING || base->hook == HOOK_INPUT))
		rules_report(c->rep, &s->pos,
			     "\"rt mtu\" works in chains with hook forward, output or postrouting; chain \"%s\" has "
			     "hook %s",
			     chain, hook_names[base->hook]);
}

/* Over everything that base can reach; c->color says what was seen. */
static void allowed(struct check *c, const struct rule_chain *base, uint32_t chain, uint32_t depth)
{
	const struct rule_chain *ch = &c->t->chain[chain];

	c->color[chain] = DONE;
	for (size_t i = 0; i < ch->n_rules; i++) {
		for (size_t k = 0; k < ch->rule[i].n_stmts; k++) {
			const struct rule_stmt *s = &ch->rule[i].stmt[k];
			uint32_t to;

			allowed_stmt(c, base, s, base->name);
			if (s->kind == STMT_SET_MSS)
				allowed_mss(c, base, s, base->name);
			for (size_t v = 0; v < (s->kind == STMT_VMAP ? s->n_vmap : 1); v++) {
				to = rules_find_chain(c->t, s->kind == STMT_VMAP ? s->vmap[v].chain : s->chain);
				if (to != UINT32_MAX && c->t->chain[to].type == CHAIN_REGULAR &&
				    c->color[to] == UNSEEN && depth < WALK_MAX)
					allowed(c, base, to, depth + 1);
			}
		}
	}
}

static void check_base(struct check *c, uint32_t chain)
{
	const struct rule_chain *ch = &c->t->chain[chain];

	if (ch->type == CHAIN_REGULAR)
		return;
	if (ch->type == CHAIN_NAT && ch->hook == HOOK_FORWARD)
		rules_report(c->rep, &ch->pos, "a chain of type nat cannot have hook forward");
	else if (ch->type == CHAIN_NAT && ch->priority < NAT_PRIORITY_MIN)
		rules_report(c->rep, &ch->pos,
			     "a chain of type nat needs a priority above -200: before that there is no connection");
	else if (ch->type == CHAIN_ROUTE && ch->hook != HOOK_OUTPUT)
		rules_report(c->rep, &ch->pos, "a chain of type route can only have hook output");
	if (!c->broken && c->height[chain] > RULES_JUMP_MAX)
		rules_report(c->rep, &ch->pos, "chain \"%s\": more than %d jumps within jumps", ch->name,
			     RULES_JUMP_MAX);
	if (!c->broken && c->jumps[chain] > JUMPS_MAX)
		rules_report(c->rep, &ch->pos, "chain \"%s\": one packet could make more than %u jumps from here",
			     ch->name, JUMPS_MAX);
	memset(c->color, UNSEEN, c->t->n_chains);
	allowed(c, ch, chain, 0);
}

static void check_table(struct check *c)
{
	const struct rule_table *t = c->t;

	c->color = calloc(t->n_chains + 1, sizeof(*c->color));
	c->height = calloc(t->n_chains + 1, sizeof(*c->height));
	c->jumps = calloc(t->n_chains + 1, sizeof(*c->jumps));
	c->broken = false;
	if (c->color == NULL || c->height == NULL || c->jumps == NULL) {
		rules_report(c->rep, &t->pos, "no memory to check table \"%s\"", t->name);
		goto out;
	}
	for (size_t i = 0; i < t->n_chains; i++)
		for (size_t k = 0; k < t->chain[i].n_rules; k++)
			for (size_t n = 0; n < t->chain[i].rule[k].n_stmts; n++)
				check_stmt(c, &t->chain[i].rule[k], &t->chain[i].rule[k].stmt[n]);
	for (size_t i = 0; i < t->n_sets; i++)
		rules_check_set(&t->set[i], c->rep);
	for (size_t i = 0; i < t->n_maps; i++)
		rules_check_map(&t->map[i], c->rep);
	for (size_t i = 0; i < t->n_chains; i++)
		if (c->color[i] == UNSEEN)
			heights(c, (uint32_t)i, 0);
	for (size_t i = 0; i < t->n_chains; i++)
		check_base(c, (uint32_t)i);
out:
	free(c->color);
	free(c->height);
	free(c->jumps);
}

/* False when there are too many: the walk from each of them would take long for nothing. */
static bool check_n_base(const struct rule_ast *ast, struct rules_report *rep)
{
	uint32_t n[N_HOOKS] = { 0 };
	size_t before = rep->n;

	for (size_t i = 0; i < ast->n_tables; i++) {
		for (size_t k = 0; k < ast->table[i].n_chains; k++) {
			const struct rule_chain *ch = &ast->table[i].chain[k];

			if (ch->type != CHAIN_REGULAR && ++n[ch->hook] == BASE_CHAINS_MAX + 1)
				rules_report(rep, &ch->pos, "more than %d base chains at hook %s", BASE_CHAINS_MAX,
					     hook_names[ch->hook]);
		}
	}
	return rep->n == before;
}

void rules_check(const struct rule_ast *ast, const struct nat_config *pools, struct rules_report *rep)
{
	struct check c = { .ast = ast, .pools = pools, .rep = rep };

	if (!check_n_base(ast, rep))
		return;
	for (size_t i = 0; i < ast->n_tables; i++) {
		c.t = &ast->table[i];
		check_table(&c);
	}
}
