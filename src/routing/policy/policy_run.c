/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A filter at work: one function a kind of node, called by the node's number. Steps and depth were counted when the
 * program was made (policy_parse.c), so nothing is counted here, and nothing is allocated.
 *
 * Whether a verdict depends on the prefix is noted where the prefix is read: what was asked of it, as whole as it can
 * be asked without anything else of the path, and the answer. A prefix that gives the same answers would have gone the
 * same way, so it need not go it (policy_holds_for); and so would any when nothing was asked.
 *
 * Next: src/routing/policy/policy_rules.c
 */
#include "routing/policy/policy_priv.h"

#define PROTO UINT32_MAX /* instead of a text's number: the neighbour's name */

struct run {
	const struct policy *p;
	const struct policy_path *path;
	struct policy_attrs *a;
	struct policy_verdict *v;
	bool is_judged;    /* *v is the verdict: what is still computed is for nobody */
	bool is_of_prefix; /* what is computed is part of a question about the prefix, and no question of its own */
};

typedef struct policy_value value;

static value eval(struct run *r, uint32_t node, const value *args);

static const struct policy_node *node_at(const struct run *r, uint32_t node)
{
	return &r->p->node.at[node];
}

static value one(uint32_t word)
{
	return (value){ { word } };
}

static const char *text_of_value(const struct run *r, value v)
{
	return v.w[0] == PROTO ? r->path->proto : r->p->string.at[v.w[0]];
}

static struct ip4_prefix net_of(value v)
{
	return (struct ip4_prefix){ v.w[0], (uint8_t)v.w[1] };
}

static const struct policy_tuples *tuples_of(struct run *r, uint32_t node, const value *args)
{
	return &r->p->tuples.at[eval(r, node, args).w[0]];
}

/* --- values --- */

static value eval_const(struct run *r, const struct policy_node *n, const value *args)
{
	return (value){ { n->a, n->b, n->c } };
}

static value eval_arg(struct run *r, const struct policy_node *n, const value *args)
{
	return args[n->a];
}

static value eval_net(struct run *r, const struct policy_node *n, const value *args)
{
	return (value){ { r->path->prefix.addr, r->path->prefix.len } };
}

static value eval_net_len(struct run *r, const struct policy_node *n, const value *args)
{
	return one(eval(r, n->a, args).w[1]);
}

static value eval_net_ip(struct run *r, const struct policy_node *n, const value *args)
{
	return one(eval(r, n->a, args).w[0]);
}

static value eval_number(struct run *r, const struct policy_node *n, const value *args)
{
	return one(r->a->number[n->which]);
}

static value eval_path_len(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_attrs_path_len(r->a));
}

static value eval_path_first(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_attrs_path_first(r->a));
}

static value eval_path_last(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_attrs_path_last(r->a));
}

static value eval_list_len(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_attrs_list_len(r->a, (enum policy_list)n->which));
}

static value eval_source(struct run *r, const struct policy_node *n, const value *args)
{
	return one(r->path->source);
}

static value eval_proto(struct run *r, const struct policy_node *n, const value *args)
{
	return one(PROTO);
}

static value eval_roa(struct run *r, const struct policy_node *n, const value *args)
{
	const struct policy_roas *roas = r->path->roas;
	struct ip4_prefix net = net_of(eval(r, n->b, args));
	uint32_t as = eval(r, n->c, args).w[0];

	return one(roas != NULL ? roas->check(roas->user, n->a, net, as) : POLICY_ROA_UNKNOWN);
}

static void judge(struct run *r, bool is_accepted, const struct text_pos *pos, const char *why)
{
	if (r->is_judged)
		return;
	r->is_judged = true;
	r->v->is_accepted = is_accepted;
	r->v->pos = *pos;
	r->v->why = why;
}

static value eval_pair(struct run *r, const struct policy_node *n, const value *args)
{
	uint32_t a = eval(r, n->a, args).w[0], b = eval(r, n->b, args).w[0];

	if (a > UINT16_MAX || b > UINT16_MAX)
		judge(r, false, &r->p->place.at[n->c], "a part of a community is more than 65535");
	return (value){ { a, b } };
}

static value eval_lc(struct run *r, const struct policy_node *n, const value *args)
{
	return (value){ { eval(r, n->a, args).w[0], eval(r, n->b, args).w[0], eval(r, n->c, args).w[0] } };
}

static value eval_add(struct run *r, const struct policy_node *n, const value *args)
{
	return one(eval(r, n->a, args).w[0] + eval(r, n->b, args).w[0]);
}

static value eval_subtract(struct run *r, const struct policy_node *n, const value *args)
{
	return one(eval(r, n->a, args).w[0] - eval(r, n->b, args).w[0]);
}

static value eval_multiply(struct run *r, const struct policy_node *n, const value *args)
{
	return one(eval(r, n->a, args).w[0] * eval(r, n->b, args).w[0]);
}

/* --- truths --- */

static value eval_and(struct run *r, const struct policy_node *n, const value *args)
{
	for (uint32_t i = n->a; i != POLICY_NONE; i = node_at(r, i)->next)
		if (eval(r, i, args).w[0] == 0)
			return one(0);
	return one(1);
}

static value eval_or(struct run *r, const struct policy_node *n, const value *args)
{
	for (uint32_t i = n->a; i != POLICY_NONE; i = node_at(r, i)->next)
		if (eval(r, i, args).w[0] != 0)
			return one(1);
	return one(0);
}

static value eval_not(struct run *r, const struct policy_node *n, const value *args)
{
	return one(eval(r, n->a, args).w[0] == 0);
}

static value eval_equal(struct run *r, const struct policy_node *n, const value *args)
{
	value a = eval(r, n->a, args), b = eval(r, n->b, args);

	return one(policy_value_compare(a, b) == 0);
}

static value eval_less(struct run *r, const struct policy_node *n, const value *args)
{
	value a = eval(r, n->a, args), b = eval(r, n->b, args);

	return one(policy_value_compare(a, b) < 0);
}

static value eval_in_tuples(struct run *r, const struct policy_node *n, const value *args)
{
	value a = eval(r, n->a, args);

	return one(policy_tuples_have(tuples_of(r, n->b, args), a));
}

static struct ip4_prefix net_or_addr(struct run *r, const struct policy_node *n, const value *args)
{
	value a = eval(r, n->a, args);

	return n->which != 0 ? (struct ip4_prefix){ a.w[0], 32 } : net_of(a);
}

static value eval_in_prefixes(struct run *r, const struct policy_node *n, const value *args)
{
	struct ip4_prefix net = net_or_addr(r, n, args);

	return one(policy_prefixes_have(&r->p->prefixes.at[eval(r, n->b, args).w[0]], net));
}

static value eval_in_net(struct run *r, const struct policy_node *n, const value *args)
{
	struct ip4_prefix a = net_or_addr(r, n, args), b = net_of(eval(r, n->b, args));

	return one(a.len >= b.len && ip4_in(a.addr, b));
}

static value eval_string_equal(struct run *r, const struct policy_node *n, const value *args)
{
	const char *a = text_of_value(r, eval(r, n->a, args)), *b = text_of_value(r, eval(r, n->b, args));

	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return one(*a == *b);
}

static value eval_string_like(struct run *r, const struct policy_node *n, const value *args)
{
	const char *a = text_of_value(r, eval(r, n->a, args)), *b = text_of_value(r, eval(r, n->b, args));

	return one(policy_string_like(a, b));
}

static value eval_path_mask(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_mask_matches(r->p, &r->p->mask.at[eval(r, n->a, args).w[0]], r->a));
}

static value eval_path_has(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_attrs_path_has(r->a, eval(r, n->a, args).w[0]));
}

static value eval_path_any(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_attrs_path_any(r->a, tuples_of(r, n->a, args)));
}

static value eval_list_has(struct run *r, const struct policy_node *n, const value *args)
{
	return one(policy_attrs_list_has(r->a, (enum policy_list)n->which, eval(r, n->a, args)));
}

static value eval_list_any(struct run *r, const struct policy_node *n, const value *args)
{
	const struct policy_tuples *s = tuples_of(r, n->a, args);
	enum policy_list list = (enum policy_list)n->which;

	for (uint32_t i = 0; i < policy_attrs_list_len(r->a, list); i++)
		if (policy_tuples_have(s, policy_attrs_list_at(r->a, list, i)))
			return one(1);
	return one(0);
}

/* --- statements --- */

/* What comes of a statement. */
enum flow { GOES_ON, RETURNS, ENDS };

static enum flow run_chain(struct run *r, uint32_t first, const value *args, value *returned);

static value eval_call(struct run *r, const struct policy_node *n, const value *args)
{
	value given[POLICY_ARGS_MAX], returned = { { 0 } };
	uint32_t n_given = 0;

	for (uint32_t i = n->b; i != POLICY_NONE; i = node_at(r, i)->next)
		given[n_given++] = eval(r, i, args);
	if (!r->is_judged)
		(void)run_chain(r, r->p->function.at[n->a].first, given, &returned);
	return returned;
}

static enum flow run_if(struct run *r, const struct policy_node *n, const value *args, value *returned)
{
	for (;;) {
		bool is_so = eval(r, n->a, args).w[0] != 0;

		if (r->is_judged)
			return ENDS;
		if (is_so)
			return run_chain(r, n->b, args, returned);
		if (n->c == POLICY_NONE)
			return GOES_ON;
		if (node_at(r, n->c)->op != OP_IF || node_at(r, n->c)->next != POLICY_NONE)
			return run_chain(r, n->c, args, returned);
		n = node_at(r, n->c);
	}
}

/* What changes the attributes. */
static void run_change(struct run *r, const struct policy_node *n, const value *args)
{
	static const struct policy_tuples empty = { 0 };
	enum policy_list list = (enum policy_list)n->which;
	value v = n->op != OP_LIST_EMPTY ? eval(r, n->a, args) : one(0);
	struct policy_range only_range = { v, v, true };
	const struct policy_tuples only = { .span = &only_range, .n_spans = 1 };

	if (r->is_judged)
		return;
	switch (n->op) {
	case OP_SET:
		policy_attrs_set(r->a, (enum policy_number)n->which, v.w[0]);
		break;
	case OP_PREPEND:
		policy_attrs_prepend(r->a, v.w[0]);
		break;
	case OP_LIST_ADD:
		policy_attrs_list_add(r->a, list, v);
		break;
	case OP_LIST_DELETE:
		policy_attrs_list_filter(r->a, list, &only, POLICY_DROP);
		break;
	case OP_LIST_DROP:
		policy_attrs_list_filter(r->a, list, &r->p->tuples.at[v.w[0]], POLICY_DROP);
		break;
	case OP_LIST_KEEP:
		policy_attrs_list_filter(r->a, list, &r->p->tuples.at[v.w[0]], POLICY_KEEP);
		break;
	default:
		policy_attrs_list_filter(r->a, list, &empty, POLICY_KEEP);
		break;
	}
}

static enum flow run_one(struct run *r, const struct policy_node *n, const value *args, value *returned)
{
	switch (n->op) {
	case OP_IF:
		return run_if(r, n, args, returned);
	case OP_ACCEPT:
	case OP_REJECT:
		judge(r, n->op == OP_ACCEPT, &r->p->place.at[n->a], n->b != POLICY_NONE ? r->p->string.at[n->b] : NULL);
		break;
	case OP_RETURN:
		if (n->a != POLICY_NONE)
			*returned = eval(r, n->a, args);
		return r->is_judged ? ENDS : RETURNS;
	case OP_CALL:
		(void)eval_call(r, n, args);
		break;
	default:
		run_change(r, n, args);
		break;
	}
	return r->is_judged ? ENDS : GOES_ON;
}

static enum flow run_chain(struct run *r, uint32_t first, const value *args, value *returned)
{
	enum flow f = GOES_ON;

	for (uint32_t i = first; f == GOES_ON && i != POLICY_NONE; i = node_at(r, i)->next)
		f = run_one(r, node_at(r, i), args, returned);
	return f;
}

/* --- all together --- */

static value eval(struct run *r, uint32_t node, const value *args)
{
	static value (*const kinds[N_POLICY_OPS])(struct run * r, const struct policy_node *n, const value *args) = {
		[OP_CONST] = eval_const,
		[OP_ARG] = eval_arg,
		[OP_NET] = eval_net,
		[OP_NET_LEN] = eval_net_len,
		[OP_NET_IP] = eval_net_ip,
		[OP_NUMBER] = eval_number,
		[OP_PATH_LEN] = eval_path_len,
		[OP_PATH_FIRST] = eval_path_first,
		[OP_PATH_LAST] = eval_path_last,
		[OP_LIST_LEN] = eval_list_len,
		[OP_SOURCE] = eval_source,
		[OP_PROTO] = eval_proto,
		[OP_ROA] = eval_roa,
		[OP_PAIR] = eval_pair,
		[OP_LC] = eval_lc,
		[OP_CALL] = eval_call,
		[OP_AND] = eval_and,
		[OP_OR] = eval_or,
		[OP_NOT] = eval_not,
		[OP_EQUAL] = eval_equal,
		[OP_LESS] = eval_less,
		[OP_ADD] = eval_add,
		[OP_SUBTRACT] = eval_subtract,
		[OP_MULTIPLY] = eval_multiply,
		[OP_IN_TUPLES] = eval_in_tuples,
		[OP_IN_PREFIXES] = eval_in_prefixes,
		[OP_IN_NET] = eval_in_net,
		[OP_STRING_EQUAL] = eval_string_equal,
		[OP_STRING_LIKE] = eval_string_like,
		[OP_PATH_MASK] = eval_path_mask,
		[OP_PATH_HAS] = eval_path_has,
		[OP_PATH_ANY] = eval_path_any,
		[OP_LIST_HAS] = eval_list_has,
		[OP_LIST_ANY] = eval_list_any,
	};
	const struct policy_node *n = node_at(r, node);

	if (!n->is_of_prefix || r->is_of_prefix)
		return kinds[n->op](r, n, args);
	r->is_of_prefix = true;
	value v = kinds[n->op](r, n, args);

	r->is_of_prefix = false;
	if (r->v->n_asked < POLICY_ASKED_MAX) {
		r->v->asked[r->v->n_asked].node = node;
		r->v->asked[r->v->n_asked].answer = v;
	}
	r->v->n_asked++;
	return v;
}

bool policy_holds_for(const struct policy *p, const struct policy_verdict *v, struct ip4_prefix prefix)
{
	const struct policy_path path = { .prefix = prefix };
	struct run r = { .p = p, .path = &path, .is_of_prefix = true };

	if (v->n_asked > POLICY_ASKED_MAX)
		return false;
	for (uint32_t i = 0; i < v->n_asked; i++)
		if (policy_value_compare(eval(&r, v->asked[i].node, NULL), v->asked[i].answer) != 0)
			return false;
	return true;
}

void policy_run(const struct policy *p, uint32_t filter, const struct policy_path *path, struct policy_attrs *a,
		struct policy_verdict *v)
{
	struct run r = { .p = p, .path = path, .a = a, .v = v };
	const struct policy_filter *f = &p->filter.at[filter];
	value none;

	v->n_asked = 0;
	(void)run_chain(&r, f->first, NULL, &none);
	judge(&r, false, &f->end, "the filter ends without a verdict");
	v->asked_prefix = v->n_asked > 0;
	policy_settle(a, v);
}

void policy_settle(struct policy_attrs *a, struct policy_verdict *v)
{
	if (!v->is_accepted)
		return;
	policy_attrs_check(a);
	if (!a->is_too_long)
		return;
	v->is_accepted = false;
	v->why = "the attributes become too long for a message";
}
