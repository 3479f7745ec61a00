/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables, chains and rules in nft's terms, as the config language builds them
 * and rules_compile reads them. Plain values; strings and arrays are owned by
 * the struct that holds them (rule_ast_free).
 */
#ifndef YG_GATEWAY_RULES_AST_H
#define YG_GATEWAY_RULES_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/name_index.h"
#include "base/text_pos.h"
#include "stack/ip/hook.h"
#include "gateway/nat/nat.h"

#define AST_NAME_MAX 64

/* Bits of ct state and ct status, with Linux's numbers. */
#define RULE_CT_STATE_INVALID 0x01u
#define RULE_CT_STATE_ESTABLISHED 0x02u
#define RULE_CT_STATE_RELATED 0x04u
#define RULE_CT_STATE_NEW 0x08u
#define RULE_CT_STATE_UNTRACKED 0x40u
#define RULE_CT_STATUS_EXPECTED 0x001u
#define RULE_CT_STATUS_SEEN_REPLY 0x002u
#define RULE_CT_STATUS_ASSURED 0x004u
#define RULE_CT_STATUS_CONFIRMED 0x008u
#define RULE_CT_STATUS_SNAT 0x010u
#define RULE_CT_STATUS_DNAT 0x020u
#define RULE_CT_STATUS_DYING 0x200u

/* What a match looks at. Width and how values are written stand in the key table of gateway/rules/key.c. */
enum rule_key {
	KEY_META_IIFNAME,
	KEY_META_OIFNAME,
	KEY_META_L4PROTO,
	KEY_META_LENGTH,
	KEY_META_MARK,
	KEY_META_PKTTYPE,
	KEY_META_NFPROTO,
	KEY_IP_SADDR,
	KEY_IP_DADDR,
	KEY_IP_PROTOCOL,
	KEY_IP_TTL,
	KEY_IP_DSCP,
	KEY_IP_ID,
	KEY_IP_LENGTH,
	KEY_IP_FRAG_OFF,
	KEY_TCP_SPORT,
	KEY_TCP_DPORT,
	KEY_TCP_FLAGS,
	KEY_UDP_SPORT,
	KEY_UDP_DPORT,
	KEY_UDP_LENGTH,
	KEY_SCTP_SPORT,
	KEY_SCTP_DPORT,
	KEY_DCCP_SPORT,
	KEY_DCCP_DPORT,
	KEY_UDPLITE_SPORT,
	KEY_UDPLITE_DPORT,
	KEY_TH_SPORT,
	KEY_TH_DPORT,
	KEY_ICMP_TYPE,
	KEY_ICMP_CODE,
	KEY_ICMP_ID,
	KEY_CT_STATE,
	KEY_CT_STATUS,
	KEY_CT_MARK,
	KEY_CT_DIRECTION,
	KEY_CT_ZONE,
	KEY_CT_PROTOCOL,
	KEY_CT_ORIGINAL_SADDR,
	KEY_CT_ORIGINAL_DADDR,
	KEY_CT_ORIGINAL_PROTO_SRC,
	KEY_CT_ORIGINAL_PROTO_DST,
	N_RULE_KEYS
};

enum rule_op {
	RULE_OP_EQ, /* in the set; for bit keys without a mask: any bit in common (ct state established,related) */
	RULE_OP_NEQ,
	RULE_OP_LT,
	RULE_OP_GT,
	RULE_OP_LE,
	RULE_OP_GE,
};

struct rule_range {
	uint32_t lo, hi; /* both included */
};

/* Interface names: "wan0", or "wan*" as a prefix. */
struct rule_name {
	char name[DEVICE_NAME_MAX];
	bool wildcard;
};

/* `key op value`: the value is a set of ranges or of names. With has_mask the
 * left side is `key & mask` (tcp flags & (fin|syn) == syn). */
struct rule_match {
	enum rule_key key;
	enum rule_op op;
	bool has_mask;
	uint32_t mask;
	size_t n_ranges;
	struct rule_range *range;
	size_t n_names;
	struct rule_name *name;
	char set_name[AST_NAME_MAX]; /* for `@name`: a set of the table; then no ranges */
};

enum rule_stmt_kind {
	STMT_MATCH,
	STMT_COUNTER, /* counts packets and bytes that reach it */
	STMT_ACCEPT,
	STMT_DROP,
	STMT_RETURN,
	STMT_CONTINUE,
	STMT_JUMP,   /* chain */
	STMT_GOTO,   /* chain */
	STMT_REJECT, /* reject_* */
	STMT_NAT,    /* nat: snat, dnat, masquerade, redirect */
	STMT_NOTRACK,
	STMT_SET_MARK, /* meta mark set value */
	STMT_SET_CT_MARK,
	STMT_SET_MSS, /* tcp option maxseg size set value; 0: as the MTU says */
	STMT_VMAP,    /* key vmap { value : verdict, ... } */
	STMT_LIMIT,   /* limit rate [over] n/unit [burst n packets] */
	N_RULE_STMT_KINDS
};

enum rule_value_source { RULE_VALUE_CONSTANT, RULE_VALUE_META_MARK, RULE_VALUE_CT_MARK };

enum rule_reject_kind { REJECT_ICMP, REJECT_TCP_RESET };

struct rule_vmap_entry {
	struct text_pos pos;
	bool is_rest; /* "*": for all that no other entry holds */
	struct rule_range range;
	struct rule_name name;
	enum rule_stmt_kind verdict; /* ACCEPT, DROP, RETURN, CONTINUE, JUMP, GOTO */
	char chain[AST_NAME_MAX];
};

/* What is looked up in a map: a key of the packet, or a number of offset to offset + mod - 1. */
enum rule_number_kind {
	RULE_NUMBER_KEY,    /* key[0] */
	RULE_NUMBER_RANDOM, /* numgen random */
	RULE_NUMBER_INC,    /* numgen inc: one after the other */
	RULE_NUMBER_HASH,   /* jhash over all keys */
};
#define RULE_HASH_KEYS_MAX 8

struct rule_number {
	enum rule_number_kind kind;
	uint32_t n_keys;
	enum rule_key key[RULE_HASH_KEYS_MAX];
	uint32_t mod, offset;
	bool has_seed;
	uint32_t seed;
};

/* `VALUE : ADDRESS [. PORT[-PORT]]` */
struct rule_map_entry {
	struct text_pos pos;
	bool is_rest; /* "*": for all that no other entry holds */
	struct rule_range range;
	struct rule_name name;
	uint32_t addr;
	struct port_range ports;
};

struct rule_map {
	char name[AST_NAME_MAX]; /* empty: it stands in its rule */
	struct text_pos pos;
	enum rule_key key; /* as in rule_set; N_RULE_KEYS: numbers of a numgen or jhash */
	bool has_ports;    /* of every entry */
	bool is_interval;  /* as in rule_set; of a named one */
	uint32_t max_items;
	size_t n_entries;
	struct rule_map_entry *entry;
};

/* `snat to` or `dnat to NUMBER map { ... }`, or `map @NAME`. */
struct rule_nat_map {
	struct rule_number number;
	char name[AST_NAME_MAX]; /* of a map of the table; empty: own */
	struct rule_map own;
};

struct rule_stmt {
	enum rule_stmt_kind kind;
	struct text_pos pos;
	struct text_pos name_pos; /* of the chain, set, map or pool that it names */
	struct rule_match match;  /* STMT_MATCH; STMT_VMAP uses key and mask of it */
	char chain[AST_NAME_MAX]; /* STMT_JUMP, STMT_GOTO */
	uint64_t packets, bytes;  /* STMT_COUNTER: initial values */
	uint8_t reject_kind;      /* enum rule_reject_kind */
	uint8_t reject_code;      /* ICMP type 3 code, default 3 (port unreachable) */
	enum ip_hook nat_side;    /* unused; the chain says it */
	bool nat_is_source;       /* STMT_NAT: snat/masquerade or dnat/redirect */
	struct nat_action nat;
	char pool[NAT_POOL_NAME_MAX]; /* STMT_NAT with NAT_ACTION_POOL: resolved at compile */
	struct rule_nat_map *map;     /* STMT_NAT: where nat.range comes from, or NULL */
	uint8_t value_source;         /* STMT_SET_*: enum rule_value_source */
	int32_t value_shift;          /* STMT_SET_* from a mark: bits to the left, negative: to the right; -31 to 31 */
	uint32_t value_mask;          /* STMT_SET_* from a mark: (mark shifted & value_mask) ^ value */
	uint32_t value;               /* STMT_SET_* */
	size_t n_vmap;
	struct rule_vmap_entry *vmap;
	uint64_t limit_rate;  /* packets per limit_per_s */
	uint32_t limit_per_s; /* 1, 60, 3600, 86400, 604800 */
	uint32_t limit_burst;
	bool limit_over;
};

struct rule {
	struct text_pos pos;
	uint64_t words; /* a hash of them, definitions replaced: of two rules of a chain with the same the state is kept
			 */
	size_t n_stmts;
	struct rule_stmt *stmt;
	char *comment; /* or NULL */
	char *text;    /* as written, one line, for `yangguan rules` */
};

enum chain_type { CHAIN_REGULAR, CHAIN_FILTER, CHAIN_NAT, CHAIN_ROUTE };

struct rule_chain {
	char name[AST_NAME_MAX];
	struct text_pos pos;
	uint32_t order; /* of the file, over all tables: of base chains with one hook and priority the last is asked
			   first */
	enum chain_type type;
	enum ip_hook hook; /* base chains */
	int32_t priority;
	bool policy_drop;
	size_t n_rules;
	struct rule *rule;
};

struct rule_set {
	char name[AST_NAME_MAX];
	struct text_pos pos;
	enum rule_key key; /* a key of the set's type: KEY_IP_SADDR for ipv4_addr, KEY_TCP_DPORT for inet_service ... */
	bool is_interval;  /* holds prefixes, ranges, names with "*" */
	bool auto_merge;   /* and they may overlap */
	uint32_t max_items; /* `size`; 0: any number */
	size_t n_ranges;
	struct rule_range *range;
	size_t n_names;
	struct rule_name *ifname;
};

struct rule_table {
	char name[AST_NAME_MAX];
	bool inet; /* family inet; else ip */
	struct text_pos pos;
	size_t n_chains;
	struct rule_chain *chain;
	size_t n_sets;
	struct rule_set *set;
	size_t n_maps;
	struct rule_map *map;
	struct name_index chain_names, set_names, map_names; /* of rules_index_names; a tree does without as well */
};

struct rule_ast {
	size_t n_tables;
	struct rule_table *table;
};

/* Frees what one of them holds and leaves it empty: for a parser that gives one up. */
void rule_stmt_clear(struct rule_stmt *stmt);
void rule_clear(struct rule *rule);
void rule_set_clear(struct rule_set *set);
void rule_map_clear(struct rule_map *map);
void rule_table_clear(struct rule_table *table);
/* For those who look names up while a table grows: call it with each that is complete, since a set or map may be taken
 * off the end only before. False without memory; then look-ups are slow, and right. */
bool rules_index_names(struct rule_table *t);
/* Index of a chain, set or map of a table by name, UINT32_MAX when it has none. */
uint32_t rules_find_chain(const struct rule_table *t, const char *name);
uint32_t rules_find_set(const struct rule_table *t, const char *name);
uint32_t rules_find_map(const struct rule_table *t, const char *name);
/* The map that a translation looks into; NULL when its table has none of that name. */
const struct rule_map *rules_map_of(const struct rule_table *t, const struct rule_nat_map *m);
/* Whether a match of r before s, or a key of its map, makes sure of a protocol with ports. */
bool rules_know_ports(const struct rule *r, const struct rule_stmt *s);
void rule_ast_free(struct rule_ast *ast); /* what it holds, not the struct itself */

#endif
