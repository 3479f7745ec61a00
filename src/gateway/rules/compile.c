/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From the syntax tree to a ruleset: one pass that appends instructions, sets,
 * maps and counters to growing arrays, then one that turns the chain numbers of
 * jumps into places. The tree is not needed afterwards: names and texts that
 * people will ask for are copied.
 *
 * Every comparison becomes a test of a range or of a set, so that the evaluator
 * knows few instructions. A ruleset is const once it leaves this file.
 */
#include "gateway/rules/rules_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define NO_COUNTER UINT32_MAX

struct compiler {
	const struct rule_ast *ast;
	const struct nat_config *pools;
	struct rules_report *rep;
	struct ruleset *rs;
	uint32_t *start; /* of each chain, over all tables */
	const struct rule_table *t;
	uint32_t first_chain; /* number of the table's first chain */
	bool no_memory;
};

/* Room for one more of array *items, which holds n: doubled when n is a power of two. */
static bool grow(struct compiler *c, void *items, uint32_t n, size_t size)
{
	void **array = items;
	void *bigger;

	if (c->no_memory)
		return false;
	if (n != 0 && (n & (n - 1)) != 0)
		return true;
	bigger = n > UINT32_MAX / 4 ? NULL : realloc(*array, (n == 0 ? 1 : (size_t)n * 2) * size);
	if (bigger == NULL) {
		c->no_memory = true;
		return false;
	}
	*array = bigger;
	return true;
}

/* Of a match or a map over in->key. */
static enum insn_varies key_varies(const struct insn *in)
{
	/* INSN_BITS has its bits in a, and no mask. */
	uint32_t bits = in->op == INSN_BITS ? in->a : in->mask;

	/* The numbers of a numgen or a hash are no key. */
	if (in->key >= N_RULE_KEYS ||
	    (rule_key_info[in->key].varying_bits != UINT32_MAX && (rule_key_info[in->key].varying_bits & bits) == 0))
		return INSN_SAME;
	return (enum insn_varies)rule_key_info[in->key].varies;
}

static enum insn_varies insn_varies(const struct insn *in)
{
	switch (in->op) {
	case INSN_RANGE:
	case INSN_BITS:
	case INSN_SET:
	case INSN_VMAP:
		return key_varies(in);
	case INSN_LIMIT:
	case INSN_SET_MSS: /* it stands behind `tcp flags syn`, or every segment's options are looked at */
		return INSN_VARIES;
	default:
		return INSN_SAME;
	}
}

static void emit(struct compiler *c, struct insn in)
{
	in.varies = (uint8_t)insn_varies(&in);
	if (grow(c, &c->rs->insn, c->rs->n_insns, sizeof(in)))
		c->rs->insn[c->rs->n_insns++] = in;
}

static const char *keep(struct compiler *c, const char *text)
{
	char *copy;

	if (!grow(c, &c->rs->string, c->rs->n_strings, sizeof(*c->rs->string)))
		return "";
	copy = strdup(text);
	if (copy == NULL) {
		c->no_memory = true;
		return "";
	}
	c->rs->string[c->rs->n_strings++] = copy;
	return copy;
}

static uint32_t add_set(struct compiler *c, const struct rule_range *range, size_t n, uint32_t key_max)
{
	if (!grow(c, &c->rs->set, c->rs->n_sets, sizeof(*c->rs->set)))
		return 0;
	if (!value_set_init(&c->rs->set[c->rs->n_sets], range, n, key_max)) {
		c->no_memory = true;
		return 0;
	}
	return c->rs->n_sets++;
}

static uint32_t add_names(struct compiler *c, const struct rule_name *name, size_t n)
{
	struct name_set *s;

	if (!grow(c, &c->rs->names, c->rs->n_names, sizeof(*c->rs->names)))
		return 0;
	s = &c->rs->names[c->rs->n_names];
	*s = (struct name_set){ .name = calloc(n > 0 ? n : 1, sizeof(*s->name)), .n = (uint32_t)n };
	if (s->name == NULL) {
		c->no_memory = true;
		return 0;
	}
	if (n > 0)
		memcpy(s->name, name, n * sizeof(*name));
	return c->rs->n_names++;
}

/* The values that `value op v` holds for; the bounds of an order are in range[0].lo. */
static struct rule_range range_of_op(enum rule_op op, uint32_t v, uint32_t max)
{
	switch (op) {
	case RULE_OP_LT:
		return v == 0 ? (struct rule_range){ 1, 0 } : (struct rule_range){ 0, v - 1 };
	case RULE_OP_LE:
		return (struct rule_range){ 0, v };
	case RULE_OP_GT:
		return v >= max ? (struct rule_range){ 1, 0 } : (struct rule_range){ v + 1, max };
	default:
		return (struct rule_range){ v, max };
	}
}

static void compile_bits(struct compiler *c, const struct rule_match *m, struct insn in)
{
	for (size_t i = 0; i < m->n_ranges; i++)
		in.a |= m->range[i].lo;
	in.op = INSN_BITS;
	emit(c, in);
}

static void compile_match(struct compiler *c, const struct rule_match *m)
{
	const struct rule_key_info *info = &rule_key_info[m->key];
	const struct rule_set *set = NULL;
	const struct rule_range *range = m->range;
	size_t n = m->n_ranges;
	struct rule_range one;
	struct insn in = { .key = (uint8_t)m->key, .negate = m->op == RULE_OP_NEQ };

	in.mask = m->has_mask ? m->mask : UINT32_MAX;
	if (m->set_name[0] != '\0') {
		set = &c->t->set[rules_find_set(c->t, m->set_name)];
		range = set->range;
		n = set->n_ranges;
	}
	if (info->type == RULE_TYPE_IFNAME) {
		in.op = INSN_IFACE;
		in.a = set != NULL ? add_names(c, set->ifname, set->n_names) : add_names(c, m->name, m->n_names);
		emit(c, in);
		return;
	}
	if (info->is_bits && !m->has_mask && set == NULL && (m->op == RULE_OP_EQ || m->op == RULE_OP_NEQ)) {
		compile_bits(c, m, in);
		return;
	}
	if (m->op != RULE_OP_EQ && m->op != RULE_OP_NEQ) {
		one = range_of_op(m->op, n > 0 ? range[0].lo : 0, rule_key_max(m->key));
		range = &one;
		n = 1;
	}
	if (n == 1) {
		in.op = INSN_RANGE;
		in.a = range->lo;
		in.b = range->hi;
	} else {
		in.op = INSN_SET;
		in.a = add_set(c, range, n, rule_key_max(m->key));
	}
	emit(c, in);
}

static const uint8_t verdict_ops[N_RULE_STMT_KINDS] = {
	[STMT_ACCEPT] = INSN_ACCEPT,     [STMT_DROP] = INSN_DROP, [STMT_RETURN] = INSN_RETURN,
	[STMT_CONTINUE] = INSN_CONTINUE, [STMT_JUMP] = INSN_JUMP, [STMT_GOTO] = INSN_GOTO,
};

static uint32_t chain_number(const struct compiler *c, enum rule_stmt_kind verdict, const char *name)
{
	if (verdict != STMT_JUMP && verdict != STMT_GOTO)
		return 0;
	return c->first_chain + rules_find_chain(c->t, name);
}

static int by_lo(const void *a, const void *b)
{
	const struct vmap_entry *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return 0;
}

static void compile_vmap(struct compiler *c, const struct rule_stmt *s)
{
	bool names = rule_key_info[s->match.key].type == RULE_TYPE_IFNAME;
	struct vmap_entry *entry;
	struct vmap *m;
	uint32_t n = 0;

	if (!grow(c, &c->rs->vmap, c->rs->n_vmaps, sizeof(*c->rs->vmap)))
		return;
	entry = calloc(s->n_vmap > 0 ? s->n_vmap : 1, sizeof(*entry));
	if (entry == NULL) {
		c->no_memory = true;
		return;
	}
	m = &c->rs->vmap[c->rs->n_vmaps];
	*m = (struct vmap){ .entry = entry };
	for (size_t i = 0; i < s->n_vmap; i++) {
		const struct rule_vmap_entry *e = &s->vmap[i];
		struct vmap_entry to = { .op = verdict_ops[e->verdict],
					 .target = chain_number(c, e->verdict, e->chain) };

		if (e->is_rest) {
			m->has_rest = true;
			m->rest = to;
			continue;
		}
		to.lo = names ? add_names(c, &e->name, 1) : e->range.lo;
		to.hi = e->range.hi;
		entry[m->n++] = to;
	}
	if (!names && m->n > 1) {
		qsort(entry, m->n, sizeof(*entry), by_lo);
		for (uint32_t k = 1; k < m->n; k++) /* the same twice is good, and check.c saw to the rest */
			if (entry[k].lo > entry[n].hi)
				entry[++n] = entry[k];
		m->n = n + 1;
	}
	emit(c, (struct insn){ .op = INSN_VMAP,
			       .key = (uint8_t)s->match.key,
			       .mask = s->match.has_mask ? s->match.mask : UINT32_MAX,
			       .a = c->rs->n_vmaps++ });
}

static uint32_t add_counter(struct compiler *c, const struct rule_stmt *s)
{
	if (!grow(c, &c->rs->counter, c->rs->n_counters, sizeof(*c->rs->counter)))
		return 0;
	c->rs->counter[c->rs->n_counters] = (struct counter){ s->packets, s->bytes };
	return c->rs->n_counters++;
}

static uint32_t add_limit(struct compiler *c, const struct rule_stmt *s)
{
	struct limit_config cfg = { .rate = s->limit_rate,
				    .unit_ns = s->limit_per_s * NS_PER_S,
				    .over = s->limit_over };

	cfg.max = s->limit_burst * cfg.unit_ns;
	if (!grow(c, &c->rs->limit, c->rs->n_limits, sizeof(cfg)))
		return 0;
	c->rs->limit[c->rs->n_limits] = cfg;
	return c->rs->n_limits++;
}

static uint32_t add_nat(struct compiler *c, const struct rule_stmt *s)
{
	struct nat_action a = s->nat;

	if (a.kind == NAT_ACTION_POOL)
		a.pool = (uint16_t)rules_find_pool(c->pools, s->pool);
	if (!grow(c, &c->rs->nat, c->rs->n_nats, sizeof(a)))
		return 0;
	c->rs->nat[c->rs->n_nats] = a;
	return c->rs->n_nats++;
}

static void compile_nat_map(struct compiler *c, const struct rule_stmt *s)
{
	const struct rule_map *src = rules_map_of(c->t, s->map);
	struct nat_map *m;

	if (!grow(c, &c->rs->nat_map, c->rs->n_nat_maps, sizeof(*c->rs->nat_map)))
		return;
	m = &c->rs->nat_map[c->rs->n_nat_maps];
	if (!nat_map_init(m, src)) {
		c->no_memory = true;
		return;
	}
	m->number = s->map->number;
	m->action = s->nat;
	for (uint32_t i = 0; m->is_names && i < m->n; i++)
		m->entry[i].lo = add_names(c, &src->entry[m->entry[i].lo].name, 1);
	emit(c, (struct insn){ .op = INSN_NAT_MAP, .a = c->rs->n_nat_maps++ });
}

static void compile_reject(struct compiler *c, const struct rule_stmt *s)
{
	/* An RST answers a TCP segment only; nft adds the same match. */
	if (s->reject_kind == REJECT_TCP_RESET)
		emit(c, (struct insn){ .op = INSN_RANGE,
				       .key = KEY_META_L4PROTO,
				       .mask = UINT32_MAX,
				       .a = IPPROTO_NR_TCP,
				       .b = IPPROTO_NR_TCP });
	emit(c, (struct insn){ .op = INSN_REJECT, .a = s->reject_kind, .b = s->reject_code });
}

/* The place where the rule behind begins is filled in afterwards. */
static void compile_stmt(struct compiler *c, const struct rule_stmt *s, uint32_t *counter)
{
	struct insn in = { .op = verdict_ops[s->kind] };

	switch (s->kind) {
	case STMT_MATCH:
		compile_match(c, &s->match);
		return;
	case STMT_VMAP:
		compile_vmap(c, s);
		return;
	case STMT_REJECT:
		compile_reject(c, s);
		return;
	case STMT_COUNTER:
		in.op = INSN_COUNTER;
		in.a = add_counter(c, s);
		*counter = *counter == NO_COUNTER ? in.a : *counter;
		break;
	case STMT_NAT:
		if (s->map != NULL) {
			compile_nat_map(c, s);
			return;
		}
		in.op = INSN_NAT;
		in.a = add_nat(c, s);
		break;
	case STMT_LIMIT:
		in.op = INSN_LIMIT;
		in.a = add_limit(c, s);
		break;
	case STMT_NOTRACK:
		in.op = INSN_NOTRACK;
		break;
	case STMT_SET_MARK:
	case STMT_SET_CT_MARK:
		in.op = s->kind == STMT_SET_MARK ? INSN_SET_MARK : INSN_SET_CT_MARK;
		in.a = s->value;
		in.b = s->value_source | (uint32_t)(s->value_shift < 0 ? 32 - s->value_shift : s->value_shift)
						 << INSN_SOURCE_BITS;
		in.mask = s->value_mask;
		break;
	case STMT_SET_MSS:
		in.op = INSN_SET_MSS;
		in.a = s->value;
		break;
	default: /* a verdict */
		in.a = chain_number(c, s->kind, s->chain);
		break;
	}
	emit(c, in);
}

static void add_row(struct compiler *c, const struct rule_chain *ch, const struct rule *r, uint32_t start,
		    uint32_t counter)
{
	struct rules_row row = {
		.inet = c->t->inet, .counter = counter, .start = start, .pos = r != NULL ? r->pos : ch->pos
	};

	if (!grow(c, &c->rs->row, c->rs->n_rows, sizeof(row)))
		return;
	row.table = keep(c, c->t->name);
	row.chain = keep(c, ch->name);
	if (r != NULL)
		row.text = keep(c, r->text != NULL ? r->text : "");
	c->rs->row[c->rs->n_rows++] = row;
}

/* By which the rule is known over a reload. */
static uint64_t rule_id(const struct compiler *c, const struct rule_chain *ch, const struct rule *r)
{
	static const struct siphash_key key; /* names are the operator's own */
	struct {
		char table[AST_NAME_MAX], chain[AST_NAME_MAX];
		uint64_t words, inet;
	} id = { .words = r->words, .inet = c->t->inet };

	memcpy(id.table, c->t->name, strlen(c->t->name));
	memcpy(id.chain, ch->name, strlen(ch->name));
	return siphash13(&key, &id, sizeof(id));
}

/* What was compiled since `from` has state to keep. */
static void add_state(struct compiler *c, const struct rule_state *from)
{
	struct rule_state s = *from;

	s.n_counters = c->rs->n_counters - s.counter;
	s.n_limits = c->rs->n_limits - s.limit;
	s.n_nat_maps = c->rs->n_nat_maps - s.nat_map;
	if (s.n_counters + s.n_limits + s.n_nat_maps > 0 && grow(c, &c->rs->state, c->rs->n_states, sizeof(s)))
		c->rs->state[c->rs->n_states++] = s;
}

static void compile_rule(struct compiler *c, const struct rule_chain *ch, const struct rule *r)
{
	uint32_t from = c->rs->n_insns, counter = NO_COUNTER;
	struct rule_state state = { .id = rule_id(c, ch, r),
				    .place = from,
				    .counter = c->rs->n_counters,
				    .limit = c->rs->n_limits,
				    .nat_map = c->rs->n_nat_maps };

	for (size_t i = 0; i < r->n_stmts; i++)
		compile_stmt(c, &r->stmt[i], &counter);
	for (uint32_t i = from; i < c->rs->n_insns; i++)
		c->rs->insn[i].next = c->rs->n_insns;
	add_state(c, &state);
	add_row(c, ch, r, from, counter);
}

static void compile_chain(struct compiler *c, const struct rule_chain *ch, uint32_t number)
{
	struct base_chain base = { .hook = ch->hook,
				   .type = ch->type,
				   .priority = ch->priority,
				   .order = ch->order,
				   .policy_drop = ch->policy_drop,
				   .start = c->rs->n_insns,
				   .row = c->rs->n_rows };

	c->start[number] = c->rs->n_insns;
	add_row(c, ch, NULL, c->rs->n_insns, NO_COUNTER);
	for (size_t i = 0; i < ch->n_rules; i++)
		compile_rule(c, ch, &ch->rule[i]);
	emit(c, (struct insn){ .op = INSN_END });
	if (ch->type == CHAIN_REGULAR || !grow(c, &c->rs->base, c->rs->n_base, sizeof(base)))
		return;
	snprintf(base.name, sizeof(base.name), "%s %s", c->t->name, ch->name);
	c->rs->base[c->rs->n_base++] = base;
}

static void link_entry(const struct compiler *c, struct vmap_entry *e)
{
	if (e->op == INSN_JUMP || e->op == INSN_GOTO)
		e->target = c->start[e->target];
}

static void link_jumps(struct compiler *c)
{
	struct ruleset *rs = c->rs;

	for (uint32_t i = 0; i < rs->n_insns; i++)
		if (rs->insn[i].op == INSN_JUMP || rs->insn[i].op == INSN_GOTO)
			rs->insn[i].a = c->start[rs->insn[i].a];
	for (uint32_t i = 0; i < rs->n_vmaps; i++) {
		for (uint32_t k = 0; k < rs->vmap[i].n; k++)
			link_entry(c, &rs->vmap[i].entry[k]);
		link_entry(c, &rs->vmap[i].rest);
	}
}

static bool comes_behind(const struct base_chain *a, const struct base_chain *b)
{
	if (a->hook != b->hook)
		return a->hook > b->hook;
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->order <= b->order;
}

/* By hook and priority; of equal ones the last of the file comes first, as in Linux. There are few. */
static void sort_base(struct ruleset *rs)
{
	for (uint32_t i = 1; i < rs->n_base; i++) {
		struct base_chain b = rs->base[i];
		uint32_t k = i;

		for (; k > 0 && comes_behind(&rs->base[k - 1], &b); k--)
			rs->base[k] = rs->base[k - 1];
		rs->base[k] = b;
	}
}

/* Chains younger than the first of type nat. */
static void mark_before_nat(struct ruleset *rs)
{
	uint32_t first = UINT32_MAX;

	for (uint32_t i = 0; i < rs->n_base; i++)
		if (rs->base[i].type == CHAIN_NAT)
			first = min_u32(first, rs->base[i].order);
	for (uint32_t i = 0; i < rs->n_base; i++)
		rs->base[i].before_nat = rs->base[i].order > first;
}

/* NAT asks those of its hook and need not look at others. */
static void link_nat(struct ruleset *rs)
{
	for (uint32_t h = 0; h < N_HOOKS; h++)
		rs->first_nat[h] = RULES_NO_PLACE;
	for (uint32_t i = rs->n_base; i-- > 0;) {
		if (rs->base[i].type != CHAIN_NAT)
			continue;
		rs->base[i].next_nat = rs->first_nat[rs->base[i].hook];
		rs->first_nat[rs->base[i].hook] = i;
	}
}

static void compile_tables(struct compiler *c)
{
	uint32_t number = 0;

	for (size_t i = 0; i < c->ast->n_tables; i++) {
		c->t = &c->ast->table[i];
		c->first_chain = number;
		for (size_t k = 0; k < c->t->n_chains; k++)
			compile_chain(c, &c->t->chain[k], number++);
	}
}

struct ruleset *rules_compile(const struct rule_ast *ast, const struct nat_config *pools, struct rules_error *errors,
			      size_t max_errors, size_t *n_errors)
{
	static const struct text_pos nowhere;
	struct rules_report rep = { .error = errors, .max = max_errors };
	struct compiler c = { .ast = ast, .pools = pools, .rep = &rep };
	size_t n_chains = 1;

	rules_check(ast, pools, &rep);
	if (rep.n > 0)
		goto refused;
	for (size_t i = 0; i < ast->n_tables; i++)
		n_chains += ast->table[i].n_chains;
	c.rs = calloc(1, sizeof(*c.rs));
	c.start = calloc(n_chains, sizeof(*c.start));
	c.no_memory = c.rs == NULL || c.start == NULL;
	if (!c.no_memory)
		compile_tables(&c);
	if (c.no_memory)
		rules_report(&rep, &nowhere, "no memory for the rules");
	if (rep.n > 0)
		goto refused;
	link_jumps(&c);
	sort_base(c.rs);
	mark_before_nat(c.rs);
	link_nat(c.rs);
	rule_states_sort(c.rs);
	free(c.start);
	*n_errors = 0;
	return c.rs;
refused:
	free(c.start);
	ruleset_destroy(c.rs);
	*n_errors = rep.n < max_errors ? rep.n : max_errors;
	return NULL;
}

void ruleset_destroy(struct ruleset *rs)
{
	if (rs == NULL)
		return;
	for (uint32_t i = 0; i < rs->n_sets; i++)
		value_set_fini(&rs->set[i]);
	for (uint32_t i = 0; i < rs->n_names; i++)
		free(rs->names[i].name);
	for (uint32_t i = 0; i < rs->n_vmaps; i++)
		free(rs->vmap[i].entry);
	for (uint32_t i = 0; i < rs->n_nat_maps; i++)
		free(rs->nat_map[i].entry);
	for (uint32_t i = 0; i < rs->n_strings; i++)
		free(rs->string[i]);
	free(rs->insn);
	free(rs->set);
	free(rs->names);
	free(rs->vmap);
	free(rs->nat);
	free(rs->nat_map);
	free(rs->counter);
	free(rs->limit);
	free(rs->base);
	free(rs->row);
	free(rs->state);
	free(rs->string);
	free(rs);
}
