/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A packet's walk through the rules. Each base chain is a hook entry of its own
 * (or is asked by NAT): accept ends the chain and the packet goes on to the next
 * one of the hook, drop ends the packet.
 *
 * What a key has for a value in a packet is fetch.c, what a statement changes act.c.
 *
 * Of a packet that came in fragments the first one walks, and what came of it holds
 * for the others (rules.c), as in Linux, whose rules see the whole packet.
 *
 * On the way the packet's counter path is kept: which counters it passed, or that its
 * walk says nothing about the next packet of the flow (rules.h).
 *
 * A stack of return places is all the state of a walk; check.c has made sure
 * that no chain can need more of it than RULES_JUMP_MAX.
 *
 * Next: src/stack/ip/hook.c (the list that called), or src/gateway/nat/choose.c for a translation.
 */
#include "gateway/rules/rules_priv.h"

#include "base/util.h"

/* What one instruction says: go on behind it, go to the next rule, or end. */
struct walk {
	struct rules *r;
	struct packet *p;
	struct nat_action *nat;
	const struct insn *stack[RULES_JUMP_MAX];
	uint32_t depth;
};

static bool iface_in(const struct rules *r, uint32_t set, enum rule_key key, const struct packet *p)
{
	uint32_t ifindex = key == KEY_META_IIFNAME ? p->in_ifindex : p->out_ifindex;

	return ifindex < IP_INTERFACES_MAX && (r->iface_mask[set] >> ifindex & 1) != 0;
}

static bool matches(const struct walk *w, const struct insn *in)
{
	uint32_t v;

	if (!rules_fetch(w->r, w->p, in->key, &v))
		return false;
	switch (in->op) {
	case INSN_RANGE:
		v &= in->mask;
		return (in->a <= v && v <= in->b) != in->negate;
	case INSN_BITS:
		return ((v & in->a) != 0) != in->negate;
	default:
		return value_set_has(&w->r->rs->set[in->a], v & in->mask) != in->negate;
	}
}

static const struct vmap_entry *vmap_find(const struct walk *w, const struct insn *in)
{
	const struct vmap *m = &w->r->rs->vmap[in->a];
	uint32_t lo = 0, hi = m->n, v;

	if (rule_key_info[in->key].type == RULE_TYPE_IFNAME) {
		for (uint32_t i = 0; i < m->n; i++)
			if (iface_in(w->r, m->entry[i].lo, in->key, w->p))
				return &m->entry[i];
		return m->has_rest ? &m->rest : NULL;
	}
	if (!rules_fetch(w->r, w->p, in->key, &v))
		return NULL;
	v &= in->mask;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (v < m->entry[mid].lo)
			hi = mid;
		else if (v > m->entry[mid].hi)
			lo = mid + 1;
		else
			return &m->entry[mid];
	}
	return m->has_rest ? &m->rest : NULL;
}

/* One of mod numbers by a hash of the keys; false when the packet lacks one of them. */
static bool hash_number(const struct walk *w, const struct rule_number *number, uint32_t *v)
{
	struct siphash_key key = number->has_seed ? (struct siphash_key){ number->seed, 0 } : w->r->hash_key;
	uint32_t value[RULE_HASH_KEYS_MAX], hash;

	for (uint32_t i = 0; i < number->n_keys; i++)
		if (!rules_fetch(w->r, w->p, number->key[i], &value[i]))
			return false;
	hash = (uint32_t)siphash13(&key, value, number->n_keys * sizeof(value[0]));
	*v = (uint32_t)((uint64_t)hash * number->mod >> 32);
	return true;
}

static const struct nat_map_entry *nat_map_pick(const struct walk *w, const struct insn *in)
{
	const struct nat_map *m = &w->r->rs->nat_map[in->a];
	uint32_t *turn = &w->r->turn[in->a], v = 0;

	if (m->is_names) {
		for (uint32_t i = 0; i < m->n; i++)
			if (iface_in(w->r, m->entry[i].lo, m->number.key[0], w->p))
				return &m->entry[i];
		return m->has_rest ? &m->rest : NULL;
	}
	switch (m->number.kind) {
	case RULE_NUMBER_KEY:
		if (!rules_fetch(w->r, w->p, m->number.key[0], &v))
			return NULL;
		break;
	case RULE_NUMBER_RANDOM:
		v = rng_below(&w->r->env->rng, m->number.mod);
		break;
	case RULE_NUMBER_INC:
		v = *turn;
		*turn = *turn + 1 < m->number.mod ? *turn + 1 : 0;
		break;
	case RULE_NUMBER_HASH:
		if (!hash_number(w, &m->number, &v))
			return NULL;
		break;
	}
	return nat_map_find(m, v + m->number.offset);
}

/* False when the map has nothing to say: then the rule is over, as in Linux. */
static bool nat_by_map(const struct walk *w, const struct insn *in)
{
	const struct nat_map *m = &w->r->rs->nat_map[in->a];
	const struct nat_map_entry *e = w->nat == NULL ? NULL : nat_map_pick(w, in);

	if (e == NULL)
		return false;
	*w->nat = m->action;
	w->nat->range = (struct nat_address_range){ e->addr, e->addr };
	if (m->has_ports) {
		w->nat->flags |= NAT_FLAG_PORT;
		w->nat->ports = e->ports;
	}
	return true;
}

/* check.c refuses it outside nat chains. */
static bool translates(const struct walk *w, const struct insn *in)
{
	if (in->op == INSN_NAT_MAP)
		return nat_by_map(w, in);
	if (w->nat != NULL)
		*w->nat = w->r->rs->nat[in->a];
	return w->nat != NULL;
}

/* The walk asks for something that may be otherwise for the next packet of the flow. */
static void note_varies(const struct walk *w, const struct insn *in)
{
	const struct conn *c = conntrack_of(w->r->ct, w->p);

	/* ICMP never is. */
	if (in->varies == INSN_VARIES_UNTIL_ASSURED && c != NULL &&
	    ((c->status & CT_ASSURED) || c->half[CT_ORIGINAL].tuple.proto == IPPROTO_NR_ICMP))
		return;
	if (in->varies == INSN_VARIES_WITHOUT_PORTS && l4_kind_has_ports(w->p->l4.kind))
		return;
	w->p->path = RULES_COUNTER_PATH_NONE;
}

/* A verdict that ends the walk leaves VERDICT_CONTINUE or VERDICT_DROP in *out and returns true; the others move *in.
 */
static bool decide(struct walk *w, uint8_t op, uint32_t target, const struct insn **in, enum packet_verdict *out)
{
	const struct insn *insn = w->r->rs->insn;

	*out = VERDICT_CONTINUE;
	switch (op) {
	case INSN_ACCEPT:
		return true;
	case INSN_DROP:
		w->r->ended_at = (uint32_t)(*in - insn);
		packet_set_drop(w->p, DROP_RULE_DROP);
		*out = VERDICT_DROP;
		return true;
	case INSN_JUMP:
		if (YG_UNLIKELY(w->depth == RULES_JUMP_MAX)) { /* check.c refuses such a ruleset */
			packet_set_drop(w->p, DROP_RULE_DROP);
			*out = VERDICT_DROP;
			return true;
		}
		w->stack[w->depth++] = &insn[(*in)->next];
		*in = &insn[target];
		return false;
	case INSN_GOTO:
		*in = &insn[target];
		return false;
	case INSN_REJECT:
		w->r->ended_at = (uint32_t)(*in - insn);
		rules_reject(w->r, w->p, *in);
		*out = VERDICT_DROP;
		return true;
	default: /* INSN_CONTINUE: with the next statement */
		(*in)++;
		return false;
	}
}

static enum packet_verdict policy(const struct base_chain *chain, struct packet *p)
{
	if (!chain->policy_drop)
		return VERDICT_CONTINUE;
	packet_set_drop(p, DROP_POLICY_DROP);
	return VERDICT_DROP;
}

/* What follows from a map: as decide, and *in stands behind the rule where the map has nothing. */
static bool decide_map(struct walk *w, const struct vmap_entry *e, const struct insn **in,
		       const struct base_chain *chain, enum packet_verdict *out)
{
	if (e == NULL) {
		*in = &w->r->rs->insn[(*in)->next];
		return false;
	}
	if (e->op != INSN_RETURN)
		return decide(w, e->op, e->target, in, out);
	if (w->depth == 0) {
		*out = policy(chain, w->p);
		return true;
	}
	*in = w->stack[--w->depth];
	return false;
}

/* Whether the rule goes on behind this. What most rules ask for comes first, without further calls. */
static inline __attribute__((always_inline)) bool passes(const struct walk *w, const struct insn *in)
{
	switch (in->op) {
	case INSN_IFACE:
		return iface_in(w->r, in->a, in->key, w->p) != in->negate;
	case INSN_BITS:
		return in->key == KEY_CT_STATE ? ((rules_ct_state_bit(w->p) & in->a) != 0) != in->negate
					       : matches(w, in);
	case INSN_RANGE:
	case INSN_SET:
		return matches(w, in);
	default:
		return rules_act(w->r, w->p, in);
	}
}

/* The stack is written before it is read. */
static inline void walk_begin(struct walk *w, struct rules *r, struct packet *p, struct nat_action *nat)
{
	w->r = r;
	w->p = p;
	w->nat = nat;
	w->depth = 0;
}

/* One walk, compiled twice: `traced` is a constant, and costs nothing where it is false. */
static inline __attribute__((always_inline)) enum packet_verdict
walk_chain(struct rules *r, const struct base_chain *chain, struct packet *p, struct nat_action *nat, bool traced)
{
	struct walk w;
	const struct insn *insn = r->rs->insn, *in = &insn[chain->start];
	const struct vmap_entry *e;
	enum packet_verdict verdict;
	bool passed;

	walk_begin(&w, r, p, nat);
	for (;; in = passed ? in + 1 : &insn[in->next]) {
	again:
		if (YG_UNLIKELY(in->varies != INSN_SAME))
			note_varies(&w, in);
		switch (in->op) {
		case INSN_END:
		case INSN_RETURN:
			if (traced)
				rules_trace_return(r, p, in, w.depth == 0 ? chain : NULL);
			if (w.depth == 0)
				return policy(chain, p);
			in = w.stack[--w.depth];
			goto again;
		case INSN_ACCEPT:
		case INSN_DROP:
		case INSN_JUMP:
		case INSN_GOTO:
		case INSN_CONTINUE:
		case INSN_REJECT:
			if (traced)
				rules_trace_rule(r, p, in, in->op);
			if (decide(&w, in->op, in->a, &in, &verdict))
				return verdict;
			goto again;
		case INSN_VMAP:
			e = vmap_find(&w, in);
			if (traced && e != NULL)
				rules_trace_map(r, p, in, e->op, w.depth == 0 ? chain : NULL);
			if (decide_map(&w, e, &in, chain, &verdict))
				return verdict;
			goto again;
		case INSN_NAT:
		case INSN_NAT_MAP:
			passed = false;
			if (!translates(&w, in))
				break;
			if (traced)
				rules_trace_rule(r, p, in, in->op);
			return VERDICT_CONTINUE;
		default:
			passed = passes(&w, in);
			break;
		}
		if (traced && passed && in + 1 == &insn[in->next])
			rules_trace_rule(r, p, in, in->op);
	}
}

static __attribute__((noinline, cold)) enum packet_verdict walk_traced(struct rules *r, const struct base_chain *chain,
								       struct packet *p, struct nat_action *nat)
{
	return walk_chain(r, chain, p, nat, true);
}

/* From the gateway's own host, or to it. */
static __attribute__((noinline, cold)) void note_own(const struct rules *r, const struct base_chain *chain,
						     const struct packet *p)
{
	bool is_out = chain->hook == HOOK_OUTPUT || chain->hook == HOOK_POSTROUTING;

	rules_own_note(r, RULES_OWN_DROPPED, is_out, p,
		       p->reason == DROP_POLICY_DROP ? chain->row : rules_row_of(r->rs, r->ended_at));
}

enum packet_verdict rules_eval(struct rules *r, const struct base_chain *chain, struct packet *p,
			       struct nat_action *nat)
{
	enum packet_verdict verdict =
		env_traced(r->env) ? walk_traced(r, chain, p, nat) : walk_chain(r, chain, p, nat, false);

	if (YG_UNLIKELY(verdict == VERDICT_DROP && (p->to_us || p->in_ifindex == 0)))
		note_own(r, chain, p);
	return verdict;
}
