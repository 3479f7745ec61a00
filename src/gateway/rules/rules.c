/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A worker's rules: the const ruleset that it shares with others, and what is
 * its own: counters, token buckets, and which interface numbers the names of
 * the rules mean. All of it is made when a ruleset is prepared, so that swapping
 * it in cannot fail; the packet path allocates nothing.
 *
 * What always holds: the arrays have the sizes that the ruleset says, and a
 * chain_ctx given out in a hook entry is good until the next swap.
 *
 * Next: src/gateway/rules/eval.c for each packet.
 */
#include "gateway/rules/rules_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rules *rules_create(struct env *env, struct ip_stack *stack, struct conntrack *ct)
{
	struct rules *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->env = env;
	r->stack = stack;
	r->ct = ct;
	r->hash_key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	r->paths = malloc(sizeof(*r->paths));
	r->own = calloc(1u << RULES_OWN_BITS, sizeof(*r->own));
	if (r->paths == NULL || r->own == NULL) {
		free(r->paths);
		free(r->own);
		free(r);
		return NULL;
	}
	counter_paths_clear(r->paths);
	return r;
}

void rules_set_hash_key(struct rules *r, struct siphash_key key)
{
	r->hash_key = key;
}

static void state_free(struct rules *r)
{
	free(r->counter);
	free(r->limit);
	free(r->turn);
	free(r->iface_mask);
	free(r->ctx);
}

void rules_destroy(struct rules *r)
{
	if (r == NULL)
		return;
	rules_abandon(r);
	state_free(r);
	free(r->paths);
	free(r->own);
	free(r);
}

static void next_free(struct rules *next)
{
	if (next == NULL)
		return;
	state_free(next);
	rules_plan_clear(&next->plan);
	free(next);
}

static bool state_alloc(struct rules *r, const struct ruleset *rs)
{
	r->rs = rs;
	if (rs == NULL)
		return true;
	r->counter = calloc(rs->n_counters + 1, sizeof(*r->counter));
	r->limit = calloc(rs->n_limits + 1, sizeof(*r->limit));
	r->turn = calloc(rs->n_nat_maps + 1, sizeof(*r->turn));
	r->iface_mask = calloc(rs->n_names + 1, sizeof(*r->iface_mask));
	r->ctx = calloc(rs->n_base + 1, sizeof(*r->ctx));
	return r->counter != NULL && r->limit != NULL && r->turn != NULL && r->iface_mask != NULL && r->ctx != NULL;
}

static void state_init(struct rules *next, uint64_t now)
{
	const struct ruleset *rs = next->rs;

	if (rs == NULL)
		return;
	if (rs->n_counters > 0)
		memcpy(next->counter, rs->counter, rs->n_counters * sizeof(*next->counter));
	for (uint32_t i = 0; i < rs->n_limits; i++)
		next->limit[i] = (struct limit_state){ .tokens = rs->limit[i].max, .last_ns = now };
}

int rules_prepare(struct rules *r, const struct ruleset *rs)
{
	rules_abandon(r);
	struct rules *next = calloc(1, sizeof(*next));

	if (next == NULL)
		return -ENOMEM;
	if (!state_alloc(next, rs) || !rules_plan_make(&next->plan, r->rs, rs)) {
		next_free(next);
		return -ENOMEM;
	}
	for (uint32_t i = 0; rs != NULL && i < rs->n_base; i++)
		next->ctx[i] = (struct chain_ctx){ .r = r, .chain = &rs->base[i] };
	r->next = next;
	return 0;
}

void rules_abandon(struct rules *r)
{
	next_free(r->next);
	r->next = NULL;
}

bool rules_counter_paths_crowded(const struct rules *r)
{
	return r->paths->n > RULES_COUNTER_PATHS_MAX / 2;
}

void rules_commit(struct rules *r)
{
	struct rules *next = r->next;

	if (next == NULL)
		return;
	counter_paths_flush(r->paths, r->counter);
	state_init(next, r->env->now);
	rules_plan_carry(&next->plan, r, next);
	if (rules_counter_paths_crowded(r))
		counter_paths_clear(r->paths);
	else
		counter_paths_renumber(r->paths, next->plan.counter_to);
	rules_plan_clear(&next->plan);
	state_free(r);
	r->rs = next->rs;
	r->counter = next->counter;
	r->limit = next->limit;
	r->turn = next->turn;
	r->iface_mask = next->iface_mask;
	r->ip = NULL;
	r->ctx = next->ctx;
	free(next);
	r->next = NULL;
	r->generation++;
}

_Static_assert(N_HOOKS *HOOK_LIST_MAX <= CT_FRAGMENT_CHAINS_MAX, "a bit a base chain");

/* A later fragment of a packet has no ports: it meets the verdict that the first one met, and goes nowhere where that
 * one never came. Its bytes are counted where the first was, so that a counter has what it would have of the whole
 * packet. */
static void as_first(struct rules *r, uint32_t chain, const struct ct_fragment_walk *walk, struct packet *p)
{
	if (walk->generation == 0 ||
	    (walk->generation == r->generation && (walk->walked[chain / 64] >> (chain % 64) & 1) == 0)) {
		packet_set_drop(p, DROP_FRAGMENT_ORPHAN);
		return;
	}
	if (walk->dropped) {
		packet_set_drop(p, (enum drop_reason)walk->reason);
		return;
	}
	p->mark = walk->mark;
	p->path = RULES_COUNTER_PATH_NONE;
	for (uint32_t i = 0; i < walk->n_hits && walk->generation == r->generation; i++)
		if (walk->hit[i].chain == chain)
			r->counter[walk->hit[i].counter].bytes += packet_l4_len(p);
}

static void walk_first(const struct chain_ctx *c, uint32_t chain, struct packet *p, struct ct_fragment_walk *walk)
{
	struct rules *r = c->r;
	uint32_t n = 0;

	if (walk->generation != r->generation)
		memset(walk->walked, 0, sizeof(walk->walked));
	walk->walked[chain / 64] |= UINT64_C(1) << (chain % 64);
	/* A repeated first fragment leaves its hits again. */
	for (uint32_t i = 0; i < walk->n_hits && walk->generation == r->generation; i++)
		if (walk->hit[i].chain != chain)
			walk->hit[n++] = walk->hit[i];
	walk->n_hits = n;
	walk->generation = r->generation;
	r->walk = walk;
	r->walk_chain = chain;
	rules_eval(r, c->chain, p, NULL);
	r->walk = NULL;
	walk->mark = p->mark;
	walk->dropped = p->verdict == VERDICT_DROP;
	walk->reason = p->reason;
}

static void eval_fragment(struct chain_ctx *c, struct packet *p)
{
	struct ct_fragment_walk *walk;
	struct rules *r = c->r;
	uint32_t chain = (uint32_t)(c->chain - r->rs->base);

	switch (conntrack_fragment_place(r->ct, p, &walk)) {
	case CT_FRAGMENT_NONE:
		rules_eval(r, c->chain, p, NULL);
		return;
	case CT_FRAGMENT_FIRST:
		walk_first(c, chain, p, walk);
		return;
	case CT_FRAGMENT_LATER:
		as_first(r, chain, walk, p);
		return;
	case CT_FRAGMENT_LOST:
		packet_set_drop(p, DROP_FRAGMENT_ORPHAN);
		return;
	}
}

static void rules_hook(void *ctx, enum ip_hook hook, struct batch *b)
{
	struct chain_ctx *c = ctx;

	rules_see_interfaces(c->r);
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->p[i]->verdict != VERDICT_CONTINUE)
			continue;
		if (YG_UNLIKELY(ipv4_is_fragment(&b->p[i]->ip)))
			eval_fragment(c, b->p[i]);
		else
			rules_eval(c->r, c->chain, b->p[i], NULL);
	}
}

bool rules_hook_entry(struct rules *r, enum ip_hook hook, uint32_t i, struct hook_entry *e)
{
	const struct rules *of = r->next != NULL ? r->next : r;

	for (uint32_t k = 0; of->rs != NULL && k < of->rs->n_base; k++) {
		const struct base_chain *b = &of->rs->base[k];

		if (b->hook != hook || b->type == CHAIN_NAT || i-- > 0)
			continue;
		*e = (struct hook_entry){
			.priority = b->priority, .name = b->name, .fn = rules_hook, .ctx = &of->ctx[k]
		};
		return true;
	}
	return false;
}

bool rules_hook_is_first(const struct hook_entry *e)
{
	return ((const struct chain_ctx *)e->ctx)->chain->before_nat;
}

bool rules_nat_any(void *rules, enum ip_hook hook)
{
	const struct rules *r = rules;

	return r->rs != NULL && r->rs->first_nat[hook] != RULES_NO_PLACE;
}

enum packet_verdict rules_nat(void *rules, enum ip_hook hook, struct packet *p, struct nat_action *out)
{
	struct rules *r = rules;

	*out = (struct nat_action){ .kind = NAT_ACTION_NONE };
	if (!rules_nat_any(rules, hook))
		return VERDICT_CONTINUE;
	rules_see_interfaces(r);
	for (uint32_t i = r->rs->first_nat[hook]; i != RULES_NO_PLACE; i = r->rs->base[i].next_nat) {
		enum packet_verdict v = rules_eval(r, &r->rs->base[i], p, out);

		if (v != VERDICT_CONTINUE || out->kind != NAT_ACTION_NONE)
			return v;
	}
	return VERDICT_CONTINUE;
}

struct rules_counter_path *rules_counter_paths(struct rules *r)
{
	return r->paths->count;
}

void rules_set_mark_changed(struct rules *r, rules_mark_changed_fn *fn, void *ctx)
{
	r->mark_changed = fn;
	r->mark_changed_ctx = ctx;
}

bool rules_line_at(const struct rules *r, uint32_t i, struct rules_line *out)
{
	const struct rules_row *row;

	if (r->rs == NULL || i >= r->rs->n_rows)
		return false;
	row = &r->rs->row[i];
	*out = (struct rules_line){
		.table = row->table,
		.chain = row->chain,
		.rule = row->text,
		.family = row->inet ? "inet" : "ip",
		.has_counter = row->counter != UINT32_MAX,
	};
	return true;
}

bool rules_next(const struct rules *r, uint32_t *cursor, struct rules_line *out)
{
	if (!rules_line_at(r, *cursor, out))
		return false;
	const struct rules_row *row = &r->rs->row[(*cursor)++];

	if (out->has_counter) {
		counter_paths_flush(r->paths, r->counter);
		out->packets = r->counter[row->counter].packets;
		out->bytes = r->counter[row->counter].bytes;
		out->start_packets = r->rs->counter[row->counter].packets;
		out->start_bytes = r->rs->counter[row->counter].bytes;
	}
	return true;
}
