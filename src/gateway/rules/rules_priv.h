/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The compiled form, shared by compile.c, which writes it, and eval.c, which
 * runs it.
 *
 * A ruleset is one array of instructions of one size. A rule is a run of
 * instructions; one that does not match goes to `next`, the first of the rule
 * behind. Each chain ends with INSN_END.
 */
#ifndef YG_GATEWAY_RULES_RULES_PRIV_H
#define YG_GATEWAY_RULES_RULES_PRIV_H

#include "base/siphash.h"
#include "gateway/rules/key.h"
#include "gateway/rules/rules.h"

/* A number that says that there is none. */
#define RULES_NO_PLACE UINT32_MAX

/* Jumps within jumps, as in Linux (NFT_JUMP_STACK_SIZE). */
#define RULES_JUMP_MAX 16

enum insn_op {
	INSN_END,     /* of a chain: return */
	INSN_RANGE,   /* (value & mask) in a .. b */
	INSN_BITS,    /* value & a is not 0 */
	INSN_SET,     /* value & mask in set a */
	INSN_IFACE,   /* interface in name set a */
	INSN_COUNTER, /* a: counter */
	INSN_ACCEPT,
	INSN_DROP,
	INSN_RETURN,
	INSN_CONTINUE, /* go on with the next statement */
	INSN_JUMP,     /* a: instruction */
	INSN_GOTO,     /* a: instruction */
	INSN_REJECT,   /* a: reject kind, b: code */
	INSN_NAT,      /* a: action */
	INSN_NAT_MAP,  /* a: map of addresses */
	INSN_NOTRACK,
	INSN_SET_MARK, /* a: value, b: source and insn_shift_of, mask */
	INSN_SET_CT_MARK,
	INSN_SET_MSS, /* a: at most so many bytes, 0: as the MTU says */
	INSN_VMAP,    /* a: map */
	INSN_LIMIT,   /* a: limit */
	N_INSN_OPS
};

/* Whether all packets of a flow get the same answer (rules.h on counter paths). */

struct insn {
	uint8_t op;  /* enum insn_op */
	uint8_t key; /* enum rule_key, of those that look at a value */
	bool negate;
	uint8_t varies; /* enum insn_varies */
	uint32_t next;  /* where the next rule begins */
	uint32_t mask;
	uint32_t a, b;
};
_Static_assert(sizeof(struct insn) == 20, "three instructions a cache line");

/* b of INSN_SET_MARK and INSN_SET_CT_MARK. */
#define INSN_SOURCE_BITS 8
static inline uint32_t insn_shift_of(uint32_t b)
{
	return b >> INSN_SOURCE_BITS; /* to the left; 32 + n: n to the right */
}

/* Ranges sorted and disjoint; a bitmap as well where values have 16 bits and the ranges are many. */
struct value_set {
	uint32_t n;
	struct rule_range *range;
	uint64_t *bitmap; /* of 65,536 bits, or NULL */
};

struct name_set {
	uint32_t n;
	struct rule_name *name;
};

struct vmap_entry {
	uint32_t lo, hi; /* of interface names: lo is the name set */
	uint8_t op;      /* INSN_ACCEPT ... INSN_GOTO */
	uint32_t target; /* INSN_JUMP, INSN_GOTO: chain while compiling, instruction afterwards */
};

struct vmap {
	uint32_t n;
	bool has_rest;
	struct vmap_entry rest;   /* "*" */
	struct vmap_entry *entry; /* sorted by lo, disjoint; in the order of the file for names */
};

struct nat_map_entry {
	uint32_t lo, hi; /* of interface names: lo is the name set */
	uint32_t addr;
	struct port_range ports;
};

/* A translation whose address is looked up. */
struct nat_map {
	struct rule_number number;
	struct nat_action action; /* all but what the entry says */
	bool is_names, has_ports;
	bool has_rest;
	struct nat_map_entry rest;
	uint32_t n;
	struct nat_map_entry *entry; /* sorted by lo, disjoint; in the order of the file for names */
};

/* A token bucket. A token is unit_ns; each nanosecond adds rate; so nothing is rounded. */
struct limit_config {
	uint64_t rate; /* packets a unit */
	uint64_t unit_ns;
	uint64_t max; /* burst * unit_ns */
	bool over;
};

struct base_chain {
	enum ip_hook hook;
	enum chain_type type;
	int32_t priority;
	uint32_t order; /* as in rule_chain */
	bool policy_drop;
	bool before_nat;   /* younger than the first chain of type nat, so it stands before NAT's own hooks of its
			      priority */
	uint32_t next_nat; /* of type nat: the one behind it at its hook, RULES_NO_PLACE: none */
	uint32_t start;    /* instruction */
	uint32_t row;      /* the chain's own */
	char name[2 * AST_NAME_MAX + 1]; /* "table chain" */
};

/* A row of `yangguan rules`. */
struct rules_row {
	const char *table, *chain, *text; /* text NULL: the chain's own line */
	bool inet;
	uint32_t counter; /* UINT32_MAX: none */
	uint32_t start;   /* instruction with which it begins */
	struct text_pos pos;
};

struct counter {
	uint64_t packets, bytes;
};

/* A rule that has something to keep over a reload (keep.c), and where. */
struct rule_state {
	uint64_t id;
	uint32_t place; /* of the rule among all */
	uint32_t counter, n_counters, limit, n_limits, nat_map, n_nat_maps;
};

struct ruleset {
	struct insn *insn;
	struct value_set *set;
	struct name_set *names;
	struct vmap *vmap;
	struct nat_action *nat;
	struct nat_map *nat_map;
	struct counter *counter; /* initial values */
	struct limit_config *limit;
	struct base_chain *base;     /* sorted by hook, then priority, then the last of the file first */
	uint32_t first_nat[N_HOOKS]; /* chain of type nat, RULES_NO_PLACE: none */
	struct rules_row *row;
	struct rule_state *state; /* sorted by id, then place */
	char **string;            /* what rows point to */
	uint32_t n_states;
	uint32_t n_insns, n_sets, n_names, n_vmaps, n_nats, n_nat_maps, n_counters, n_limits, n_base, n_rows, n_strings;
};

struct limit_state {
	uint64_t tokens;
	uint64_t last_ns;
};

/* Where each counter, limit and turn of a new ruleset begins: at the number it has in the old one, or RULES_NO_PLACE.
 */
struct rules_plan {
	uint32_t *counter_from, *limit_from, *turn_from;
	uint32_t *counter_to; /* of each counter of the old one: its number in the new one */
};

/* The last counter of a counter path; those before it are its parent's. Counter path 0 is the empty one. */
struct counter_path_node {
	uint32_t counter; /* RULES_NO_PLACE: of a rule that is gone */
	uint16_t parent;
};

#define COUNTER_PATH_SLOTS (2 * RULES_COUNTER_PATHS_MAX)

struct paths {
	uint32_t n;
	struct rules_counter_path count[RULES_COUNTER_PATHS_MAX];
	struct counter_path_node node[RULES_COUNTER_PATHS_MAX];
	uint16_t slot[COUNTER_PATH_SLOTS]; /* by parent and counter; 0: free */
};

struct rules {
	struct env *env;
	struct ip_stack *stack;
	struct conntrack *ct;
	const struct ruleset *rs; /* NULL: no rules */
	struct counter *counter;
	struct limit_state *limit;
	uint32_t *turn;              /* a map of addresses: what numgen inc says next, less its offset */
	struct siphash_key hash_key; /* of jhash without a seed; the same over reloads */
	uint64_t *iface_mask;        /* a name set: a bit for each interface number that is in it */
	const struct ip_config *ip;  /* that iface_mask was made for */
	struct chain_ctx *ctx;       /* one a base chain */
	struct rules *next;          /* prepared: rs and the arrays of the next ruleset; NULL: none */
	struct rules_plan plan;      /* of next: what it keeps of ours */
	struct paths *paths;
	uint32_t generation;           /* of rs: one more with each ruleset */
	struct ct_fragment_walk *walk; /* a first fragment walks: what it leaves for the others; else NULL */
	uint32_t walk_chain;           /* which base chain it walks */
	rules_mark_changed_fn *mark_changed;
	void *mark_changed_ctx;
	struct rules_own *own; /* 1 << RULES_OWN_BITS of them */
	uint32_t ended_at;     /* the instruction at which the last walk dropped */
};
#define RULES_OWN_BITS 8
_Static_assert(IP_INTERFACES_MAX <= 64, "a set of interfaces is one word");

/* What a hook entry points to. */
struct chain_ctx {
	struct rules *r;
	const struct base_chain *chain;
};

/* set.c: sorts and merges; takes a copy. False without memory. */
bool value_set_init(struct value_set *s, const struct rule_range *range, size_t n, uint32_t key_max);
void value_set_fini(struct value_set *s);
bool value_set_has(const struct value_set *s, uint32_t value);
bool rule_name_matches(const struct rule_name *pattern, const char *name);

/* own.c */
void rules_own_note(const struct rules *r, enum rules_own_kind kind, bool is_out, const struct packet *p, uint32_t row);

/* counter_path.c */
void counter_paths_clear(struct paths *t);
/* The counter path that is `from` and this counter; RULES_COUNTER_PATH_NONE behind RULES_COUNTER_PATH_NONE, and when
 * there is no room. */
uint16_t counter_path_step(struct paths *t, uint16_t from, uint32_t counter);
/* Pays what the counter paths owe into counter. */
void counter_paths_flush(struct paths *t, struct counter *counter);
/* The same counter paths over other counters: to[i] is counter i from now on. */
void counter_paths_renumber(struct paths *t, const uint32_t *to);

/* What the checks found. */
struct rules_report {
	struct rules_error *error;
	size_t max, n;
};

/* keep.c */
void rule_states_sort(struct ruleset *rs);
/* From old to new, each perhaps NULL. False without memory; then too it is to be cleared. */
bool rules_plan_make(struct rules_plan *plan, const struct ruleset *old, const struct ruleset *new);
void rules_plan_clear(struct rules_plan *plan);
void rules_plan_carry(const struct rules_plan *plan, const struct rules *old, struct rules *new);

/* overlap.c */
void rules_check_vmap(const struct rule_stmt *s, struct rules_report *rep);
void rules_check_map(const struct rule_map *m, struct rules_report *rep);
void rules_check_set(const struct rule_set *set, struct rules_report *rep);

/* map.c */
void rules_check_nat_map(const struct rule_table *t, const struct rule *r, const struct rule_stmt *s,
			 struct rules_report *rep);
/* A sorted copy of src without duplicates; the lo of names is left to the caller. False without memory. */
bool nat_map_init(struct nat_map *m, const struct rule_map *src);
const struct nat_map_entry *nat_map_find(const struct nat_map *m, uint32_t value);

/* check.c: what a rule may say in which chain. */
void rules_report(struct rules_report *rep, const struct text_pos *pos, const char *fmt, ...) YG_PRINTF(3, 4);
void rules_check(const struct rule_ast *ast, const struct nat_config *pools, struct rules_report *rep);
uint32_t rules_find_pool(const struct nat_config *pools, const char *name);

/* eval.c: walks one chain for one packet. With nat not NULL a translation ends the walk and stands there. */
enum packet_verdict rules_eval(struct rules *r, const struct base_chain *chain, struct packet *p,
			       struct nat_action *nat);
/* trace.c: for the trace slot, when somebody listens. op: what the rule said, INSN_*; ended: the base chain that ends
 * there, or NULL. */
uint32_t rules_row_of(const struct ruleset *rs, uint32_t insn);
void rules_trace_rule(const struct rules *r, const struct packet *p, const struct insn *in, uint8_t op);
void rules_trace_return(const struct rules *r, const struct packet *p, const struct insn *in,
			const struct base_chain *ended);
void rules_trace_map(const struct rules *r, const struct packet *p, const struct insn *in, uint8_t op,
		     const struct base_chain *ended);
/* fetch.c: what the key has for a value; false when the packet has none. */
bool rules_fetch(const struct rules *r, const struct packet *p, enum rule_key key, uint32_t *v);
static inline uint32_t rules_ct_state_bit(const struct packet *p)
{
	static const uint8_t bit[] = {
		[CT_INFO_NONE] = RULE_CT_STATE_INVALID, /* before conntrack has seen it, as in Linux */
		[CT_INFO_NEW] = RULE_CT_STATE_NEW,
		[CT_INFO_ESTABLISHED] = RULE_CT_STATE_ESTABLISHED,
		[CT_INFO_RELATED] = RULE_CT_STATE_RELATED,
		[CT_INFO_INVALID] = RULE_CT_STATE_INVALID,
		[CT_INFO_UNTRACKED] = RULE_CT_STATE_UNTRACKED,
	};

	return bit[p->ct_info];
}
/* act.c: a statement that changes something and lets the packet go on. False: the rule ends here. */
bool rules_act(struct rules *r, struct packet *p, const struct insn *in);
/* Tells the sender, and drops. */
void rules_reject(struct rules *r, struct packet *p, const struct insn *in);
/* Makes iface_mask again when the IP layer's config is another one. */
void rules_map_interfaces(struct rules *r, const struct ip_config *ip);
static inline void rules_see_interfaces(struct rules *r)
{
	const struct ip_config *ip = ip_stack_config(r->stack);

	if (YG_UNLIKELY(ip != r->ip))
		rules_map_interfaces(r, ip);
}

#endif
