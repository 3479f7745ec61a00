/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rules at work. A ruleset is compiled once, const, and shared; what changes
 * (counters, limits) belongs to a worker's struct rules.
 *
 * Base chains of type filter and route hang in the hook lists by their
 * priority. Chains of type nat do not: NAT's own hooks ask them, in order of
 * priority, once a connection and side (as in Linux).
 */
#ifndef YG_GATEWAY_RULES_RULES_H
#define YG_GATEWAY_RULES_RULES_H

#include "gateway/rules/ast.h"

struct ruleset;

/* One message of the compiler. */
struct rules_error {
	struct text_pos pos;
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
/* Another ruleset (NULL: none), in two steps, for who may find in between that something else does not fit. Until the
 * commit the old one is at work and counts; only the hook entries are the new one's already. A rule of the same table
 * and chain with the same words as before keeps its counters, the tokens of its limits and the turn of its numgen; of
 * the others counters start at what the file says, numgen inc at its first number. What jhash says stays. -ENOMEM:
 * nothing is prepared, the old one stays.
 * Names of interfaces mean what ip_stack_config says at the next packet: another config there is seen by its address,
 * so one that is changed in place needs a call of both. */
int rules_prepare(struct rules *r, const struct ruleset *rs);
/* What was prepared is at work from here on. Nothing prepared: nothing happens. */
void rules_commit(struct rules *r);
/* The next commit begins counter paths from scratch, for too many numbers are taken: deferred counts must be
 * flushed before it. */
bool rules_counter_paths_crowded(const struct rules *r);
void rules_abandon(struct rules *r);

/* What a jhash without a seed is keyed with, before the first ruleset: workers that act as one have one key. */
void rules_set_hash_key(struct rules *r, struct siphash_key key);

/* The base chains to hang into the hooks: fills e with priority, name, fn, ctx
 * for the i-th filter or route chain of a hook; false behind the last. Of the
 * ruleset that is prepared, if one is. */
bool rules_hook_entry(struct rules *r, enum ip_hook hook, uint32_t i, struct hook_entry *e);
/* Of such an entry: it is asked before what is built in at the same priority. As in Linux, where NAT is hung into the
 * hooks with the first chain of type nat, and what comes later stands before it. */
bool rules_hook_is_first(const struct hook_entry *e);
/* For NAT's slots. */
enum packet_verdict rules_nat(void *rules, enum ip_hook hook, struct packet *p, struct nat_action *out);
bool rules_nat_any(void *rules, enum ip_hook hook);

/* Counter paths: the counters that a walk through all chains has passed, in order, by one number (packet.path). So a
 * later packet of which it is known that it would walk the same way is counted by adding to one pair of numbers.
 * RULES_COUNTER_PATH_NONE: something on the walk does not depend on the flow alone (a length, a rate ...), or there are
 * too many counter paths; the next packet of the flow has to walk by itself.
 *
 * "The flow" here: a packet of a confirmed connection in state ESTABLISHED, of one direction, that came in by one
 * interface; TCP with ACK and perhaps PSH; no options, no fragment, not a broadcast. Its ct mark counts as constant:
 * whoever relies on a counter path listens to rules_set_mark_changed. */
#define RULES_COUNTER_PATHS_MAX 4096
#define RULES_COUNTER_PATH_NONE PACKET_PATH_NONE

struct rules_counter_path {
	uint64_t packets, bytes; /* deferred; bytes of IP packets */
};

/* RULES_COUNTER_PATHS_MAX of them, at the same place for good, with the same numbers over a commit unless
 * rules_counter_paths_crowded said otherwise. What is added there shows in rules_next. */
struct rules_counter_path *rules_counter_paths(struct rules *r);
/* Slot: a rule has given the ct mark of a connection another value. */
typedef void rules_mark_changed_fn(void *ctx, uint32_t conn);
void rules_set_mark_changed(struct rules *r, rules_mark_changed_fn *fn, void *ctx);

struct rules_line {
	const char *table, *chain, *rule;    /* rule: its text; NULL for the chain's policy line */
	const char *family;                  /* "ip" or "inet" */
	uint64_t packets, bytes;             /* of its first counter */
	uint64_t start_packets, start_bytes; /* what of them the file said */
	bool has_counter;
};
/* The names and the text of a row (of rules_next, or of a traced rule), without its counter. False behind the last. */
bool rules_line_at(const struct rules *r, uint32_t row, struct rules_line *out);
/* What a rule last did to a packet from or to a port of the gateway's own host: it is asked when something does not
 * come up. It costs packets that are dropped, and those made here of which a rule says notrack in time. What is older
 * than this is not why something does not work now. */
#define RULES_OWN_TOLD_NS (300 * NS_PER_S)
enum rules_own_kind { RULES_OWN_NONE, RULES_OWN_DROPPED, RULES_OWN_UNTRACKED };
struct rules_own {
	uint64_t at;            /* ns */
	uint32_t local, remote; /* as the rule saw them */
	uint16_t local_port, remote_port;
	uint8_t proto, kind; /* enum rules_own_kind */
	bool is_out;
	uint32_t row;        /* for rules_line_at, of the ruleset that is at work */
	uint32_t generation; /* of that */
};
/* False: nothing is known of it. */
bool rules_own_last(const struct rules *r, uint8_t proto, uint16_t port, bool is_out, struct rules_own *out);
/* For `yangguan rules`: every rule in order; false at the end. */
bool rules_next(const struct rules *r, uint32_t *cursor, struct rules_line *out);

#endif
