/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The paths that neighbours have announced: by prefix, the paths to one side by side, the best and the second best of
 * each chosen. Prefixes of IPv4.
 */
#ifndef YG_ROUTING_BGP_BGP_TABLE_H
#define YG_ROUTING_BGP_BGP_TABLE_H

#include "base/ip4.h"
#include "routing/bgp/bgp_decide.h"
#include "routing/bgp/bgp_import.h"
#include "stack/wire/bgp_update.h"

struct bgp_table;

#define BGP_SOURCES_MAX 1024
#define BGP_SOURCE_NONE UINT32_MAX

struct bgp_table_limits {
	uint32_t prefixes;  /* 0: 2,097,152; address space only until they are there */
	uint32_t paths;     /* 0: 8,388,608 */
	uint64_t set_bytes; /* 0: 1 GiB */
};

/* A path that was chosen. */
struct bgp_chosen {
	uint32_t set; /* as import policy left it: bgp_table_set; BGP_SET_NONE: there is no path */
	uint32_t source;
	bool is_blackhole; /* what goes there is to be dropped (RFC 7999) */
};

/* The best path to a prefix. */
struct bgp_path_view {
	struct ip4_prefix prefix;
	uint32_t set; /* as import policy left it; BGP_SET_NONE: there is none */
	uint32_t source;
	bool is_blackhole;
};

struct bgp_table_stats {
	uint32_t n_prefixes, n_paths, n_sets;
	uint32_t n_rejected; /* of n_paths, those that import policy rejects */
	uint32_t n_kept;     /* beside n_prefixes: without a path, and somebody still needs their numbers */
	uint64_t set_bytes;
	uint64_t n_no_room; /* paths that there was no room for: they are not there */
};

/* 0 or -ENOMEM. */
int bgp_table_create(struct bgp_table **out, const struct bgp_table_limits *limits, enum bgp_med_rule rule,
		     const struct siphash_key *key);
void bgp_table_destroy(struct bgp_table *t);

/* A neighbour that is up; BGP_SOURCE_NONE when there are too many. Its number is not another's before bgp_table_drop
 * has ended. */
uint32_t bgp_table_add_source(struct bgp_table *t, const struct bgp_source *source);
/* It is gone: takes its paths out, looking at `budget` prefixes at most. True when it has no more; else to be called
 * again, and nothing of that source may come between. */
bool bgp_table_drop(struct bgp_table *t, uint32_t source, uint32_t budget);

/* What it has announced so far is stale until it is announced once more (RFC 4724 section 4.2, RFC 7313 section 4);
 * nothing of it may be stale from before. */
void bgp_table_stale(struct bgp_table *t, uint32_t source);
/* Takes out what is still stale, looking at `budget` prefixes at most. True when there is no more; else to be called
 * again, between which it may announce and withdraw. */
bool bgp_table_drop_stale(struct bgp_table *t, uint32_t source, uint32_t budget);
/* How many paths it has in the table, those too that cannot be chosen. */
uint32_t bgp_table_n_of(const struct bgp_table *t, uint32_t source);

/* The import policy of a source, from now on: of what it has announced by bgp_table_rerun, of what it announces at
 * once. A new source has none. *import is copied. */
void bgp_table_set_import(struct bgp_table *t, uint32_t source, const struct bgp_import *import);
/* Judges what is held of those sources anew, in a walk that looks at `budget` prefixes at most. True when there is none
 * left; else to be called again. A source whose policy changes meanwhile begins it anew. */
bool bgp_table_rerun(struct bgp_table *t, uint32_t budget);

/* All that an UPDATE says, as bgp_update_parse has left it with that disposition, none of which may be BGP_RESET.
 * now_s: any clock. */
void bgp_table_update(struct bgp_table *t, uint32_t source, const struct bgp_update *u, enum bgp_disposition d,
		      uint32_t now_s);

/* --- next hops --- */

/* Who knows what it costs to get to them, and which neighbours are up; NULL: nobody, and all cost 0. It is asked now
 * about those that are there. */
void bgp_table_set_resolver(struct bgp_table *t, const struct bgp_resolver *r);
/* A next hop costs something else now, or nothing leads there (BGP_COST_NONE). True when it did not before: then
 * prefixes are to be decided again (bgp_table_redecide). */
bool bgp_table_hop_cost(struct bgp_table *t, uint32_t hop, uint32_t cost);
/* Decides again where a path goes by such a next hop; looks at `budget` prefixes at most. True: there is more. */
bool bgp_table_redecide(struct bgp_table *t, uint32_t budget);

/* --- asked --- */

/* The best path to a prefix; set BGP_SET_NONE: none. */
struct bgp_path_view bgp_table_best(const struct bgp_table *t, struct ip4_prefix prefix);

/* All of a prefix. */
struct bgp_prefix_view {
	uint32_t n;           /* paths */
	uint8_t best, second; /* BGP_NOBODY: none */
	uint8_t step;         /* enum bgp_step */
	struct {
		uint32_t set; /* as import policy left it: when it changed nothing, the very one as received */
		uint32_t received, source, since_s;
		bool is_loop, is_rejected; /* cannot be chosen: our AS is in it, import policy said no */
		bool is_blackhole;
		bool is_stale; /* bgp_table_stale */
	} path[BGP_PATHS_MAX];
};
void bgp_table_look(const struct bgp_table *t, struct ip4_prefix prefix, struct bgp_prefix_view *v);

/* Paths to a prefix that are as good as the best one (bgp_decide_equal): at most `max`, the best one first. Returns how
 * many; *behind: the best of the others, or none. */
uint32_t bgp_table_equal(const struct bgp_table *t, struct ip4_prefix prefix, enum bgp_multipath how,
			 struct bgp_chosen *out, uint32_t max, struct bgp_chosen *behind);

/* --- readers --- */

/* A prefix is known by a number for as long as it has a path, or is kept: one below bgp_table_limit, and as few as
 * there are prefixes, so that what a reader notes of them can be bits. */
struct bgp_change {
	uint32_t number;
	struct ip4_prefix prefix;
	struct bgp_chosen best, second;               /* as they are now */
	struct bgp_chosen best_before, second_before; /* their sets are there until the reader returns */
};

enum bgp_reads {
	BGP_READS_BEST,
	BGP_READS_SECOND, /* ... who wants to know of a change of the second best too */
	BGP_READS_ALL,    /* ... of any path to the prefix, though both may be the same as before */
};

struct bgp_reader {
	enum bgp_reads reads;
	/* May not change the table, nor ask it to keep something or not to. */
	void (*changed)(void *user, const struct bgp_change *c);
	/* Whether the prefix of a number that has no path any more must still be found by it. NULL: never. A reader
	 * that said so says later that it does not (bgp_table_done). */
	bool (*needs)(void *user, uint32_t number);
	void *user;
};

#define BGP_READERS_MAX 4

/* Readers are told in the order in which they came. *r is copied. False when there are BGP_READERS_MAX. */
bool bgp_table_add_reader(struct bgp_table *t, const struct bgp_reader *r);
/* The one with that user; nothing is asked of it from here on. What it alone needed must be done with before. */
void bgp_table_remove_reader(struct bgp_table *t, const void *user);

/* No number is as high; it does not change. */
uint32_t bgp_table_limit(const struct bgp_table *t);
/* No set's number is as high; it grows. */
uint32_t bgp_table_set_limit(const struct bgp_table *t);
/* No number that was ever given out is as high: who goes through all numbers below it, in slices of any size, sees each
 * prefix that is there meanwhile once, and what comes or goes meanwhile is told to readers. */
uint32_t bgp_table_n_numbers(const struct bgp_table *t);
struct bgp_numbered {
	struct ip4_prefix prefix;
	struct bgp_chosen best, second;
};
/* The same by the prefix; false when nobody has a path to it, and nobody keeps it. */
bool bgp_table_find(const struct bgp_table *t, struct ip4_prefix prefix, struct bgp_numbered *out);
/* False when nobody has that number; else best and second may be none. */
bool bgp_table_at(const struct bgp_table *t, uint32_t number, struct bgp_numbered *out);
/* For who will ask for it soon: the first asks for the memory of its record; the second, when that is there, for that
 * of its paths. */
void bgp_table_prefetch(const struct bgp_table *t, uint32_t number);
void bgp_table_prefetch_paths(const struct bgp_table *t, uint32_t number);

/* A number that is there stays its prefix's until it is let go of as often, at most BGP_KEPT_MAX times at once. */
#define BGP_KEPT_MAX UINT16_MAX
void bgp_table_keep(struct bgp_table *t, uint32_t number);
void bgp_table_let_go(struct bgp_table *t, uint32_t number);
/* A reader that may have needed the number (`needs`) does not any more. */
void bgp_table_done(struct bgp_table *t, uint32_t number);

enum bgp_med_rule bgp_table_rule(const struct bgp_table *t);
const struct bgp_source *bgp_table_source(const struct bgp_table *t, uint32_t source);
const struct bgp_set *bgp_table_set(const struct bgp_table *t, uint32_t set);
struct bgp_table_stats bgp_table_stats(const struct bgp_table *t);

#endif
