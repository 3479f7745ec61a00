/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table's records, and what its files share.
 */
#ifndef YG_ROUTING_BGP_BGP_TABLE_PRIV_H
#define YG_ROUTING_BGP_BGP_TABLE_PRIV_H

#include "base/pool.h"
#include "routing/bgp/bgp_table.h"

/* PATH_EPOCH: its source's, when it was announced last; another than the source has now: it is stale. Those of
 * PATH_NOT_CHOSEN keep a path from being chosen. */
enum path_flag { PATH_LOOP = 1, PATH_EPOCH = 2, PATH_REJECTED = 4, PATH_BLACKHOLE = 8 };
#define PATH_NOT_CHOSEN (PATH_LOOP | PATH_REJECTED)

struct path {
	uint32_t received;
	uint32_t set; /* as import policy left it; the same number when it changed nothing, or rejected it */
	uint32_t since_s;
	uint16_t source;
	uint16_t flags; /* enum path_flag */
};
_Static_assert(sizeof(struct path) == 16, "side by side");

struct prefix {
	uint32_t addr;
	uint8_t len;
	uint8_t n; /* paths; 0: no prefix, or one that is kept */
	uint8_t block_class;
	uint8_t best, second; /* BGP_NOBODY: none */
	uint8_t step;         /* enum bgp_step */
	uint16_t n_keepers;   /* bgp_table_keep */
	uint32_t block;       /* in its class's pool */
};
_Static_assert(sizeof(struct prefix) == 16, "four to a line");

/* What policy made of a set that came from a source; held meanwhile. */
struct judged {
	uint32_t received; /* BGP_SET_NONE: nothing is here */
	uint32_t set;
	uint32_t source;
	struct bgp_verdict verdict;
};

#define BGP_TABLE_CLASSES 10
#define BGP_TABLE_JUDGED 256 /* a power of two */
#define BGP_TABLE_BATCH 64   /* prefixes that are taken together, their memory on its way at once */

struct bgp_table {
	struct siphash_key key;
	enum bgp_med_rule rule;
	struct bgp_reader reader[BGP_READERS_MAX];
	uint32_t n_readers;
	struct bgp_sets sets;
	struct bgp_index index; /* of records, by prefix; values are one more than their numbers */
	struct pool records;
	struct pool blocks[BGP_TABLE_CLASSES];
	uint32_t n_paths, paths_max, n_rejected;
	uint32_t n_prefixes; /* that have one; other records are kept */
	uint64_t n_no_room;
	uint32_t redecide;      /* records that bgp_table_redecide has looked at */
	uint32_t redecide_from; /* it looks for next hops that have changed since then: counts of bgp_hops.now */
	uint32_t redecide_to;   /* ... of which it was there when it began; equal: it is at rest */
	uint32_t n_up;          /* sources */
	uint32_t n_new_imports; /* ... whose has_new_import is set */
	uint32_t rerun;         /* records that bgp_table_rerun has looked at */
	struct judged judged[BGP_TABLE_JUDGED];
	struct source {
		struct bgp_source of;
		struct bgp_import import;
		bool is_used;
		bool has_new_import;         /* that what is held of it has not been judged by */
		uint16_t epoch;              /* 0 or PATH_EPOCH */
		uint32_t n_paths;            /* its own */
		uint32_t swept, swept_stale; /* records that bgp_table_drop and bgp_table_drop_stale have looked at */
	} source[BGP_SOURCES_MAX];
};

static inline struct prefix *record_at(const struct bgp_table *t, uint32_t record)
{
	return pool_at(&t->records, record);
}

static inline struct path *paths_of(const struct bgp_table *t, const struct prefix *p)
{
	return pool_at(&t->blocks[p->block_class], p->block);
}

static inline void hold_sets(struct bgp_table *t, uint32_t received, uint32_t set)
{
	bgp_sets_hold(&t->sets, received, 1);
	if (set != received)
		bgp_sets_hold(&t->sets, set, 1);
}

static inline void let_sets_go(struct bgp_table *t, uint32_t received, uint32_t set)
{
	bgp_sets_let_go(&t->sets, received, 1);
	if (set != received)
		bgp_sets_let_go(&t->sets, set, 1);
}

/* What was chosen before a change. */
struct bgp_before {
	struct bgp_chosen best, second;
};

/* bgp_table.c: what is chosen of a prefix; the decision after any change of its paths, while the sets of before are
 * still held; a path's flags. */
struct bgp_before bgp_table_before(const struct bgp_table *t, const struct prefix *r);
void bgp_table_settle(struct bgp_table *t, uint32_t record, const struct bgp_before *before);
void bgp_table_flag(struct bgp_table *t, struct path *p, uint16_t flags);

/* bgp_table_import.c: what policy makes of a path; *set is held by *j as long as that is, *flags is what it adds.
 * False: there is no room for what it made. *j: of any path before, or zero. */
bool bgp_table_judge(struct bgp_table *t, uint32_t source, struct ip4_prefix prefix, uint32_t received,
		     struct judged *j, uint32_t *set, uint16_t *flags);
void bgp_table_forget(struct bgp_table *t, struct judged *j);

#endif
