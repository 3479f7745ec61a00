/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The paths that neighbours have announced: by prefix, the paths to one side by side, the best and the second best of
 * each chosen. Prefixes of IPv4.
 */
#ifndef YG_ROUTING_BGP_BGP_TABLE_H
#define YG_ROUTING_BGP_BGP_TABLE_H

#include "base/ip4.h"
#include "routing/bgp/bgp_decide.h"
#include "stack/wire/bgp_update.h"

struct bgp_table;

#define BGP_SOURCES_MAX 1024
#define BGP_SOURCE_NONE UINT32_MAX

struct bgp_table_limits {
	uint32_t prefixes;  /* 0: 2,097,152; address space only until they are there */
	uint32_t paths;     /* 0: 8,388,608 */
	uint64_t set_bytes; /* 0: 1 GiB */
};

/* A path as others see it. */
struct bgp_path_view {
	struct ip4_prefix prefix;
	uint32_t set; /* bgp_table_set; BGP_SET_NONE: there is no path */
	uint32_t source;
};

struct bgp_table_stats {
	uint32_t n_prefixes, n_paths, n_sets;
	uint64_t set_bytes;
	uint64_t n_no_room; /* paths that there was no room for: they are not there */
};

/* Who learns of a new best path: the one before and the one now. May not change the table. */
typedef void bgp_changed_fn(void *user, const struct bgp_path_view *before, const struct bgp_path_view *now);

/* changed may be NULL. 0 or -ENOMEM. */
int bgp_table_create(struct bgp_table **out, const struct bgp_table_limits *limits, enum bgp_med_rule rule,
		     const struct siphash_key *key, bgp_changed_fn *changed, void *user);
void bgp_table_destroy(struct bgp_table *t);

/* A neighbour that is up; BGP_SOURCE_NONE when there are too many. Its number is not another's before bgp_table_drop
 * has ended. */
uint32_t bgp_table_add_source(struct bgp_table *t, const struct bgp_source *source);
/* It is gone: takes its paths out, looking at `budget` prefixes at most. True when it has no more; else to be called
 * again, and nothing of that source may come between. */
bool bgp_table_drop(struct bgp_table *t, uint32_t source, uint32_t budget);

/* All that an UPDATE says, as bgp_update_parse has left it with that disposition, none of which may be BGP_RESET.
 * now_s: any clock. */
void bgp_table_update(struct bgp_table *t, uint32_t source, const struct bgp_update *u, enum bgp_disposition d,
		      uint32_t now_s);

/* The best path to a prefix; set BGP_SET_NONE: none. */
struct bgp_path_view bgp_table_best(const struct bgp_table *t, struct ip4_prefix prefix);

/* All of a prefix. */
struct bgp_prefix_view {
	uint32_t n;           /* paths */
	uint8_t best, second; /* BGP_NOBODY: none */
	uint8_t step;         /* enum bgp_step */
	struct {
		uint32_t set, source, since_s;
		bool is_loop; /* cannot be chosen */
	} path[BGP_PATHS_MAX];
};
void bgp_table_look(const struct bgp_table *t, struct ip4_prefix prefix, struct bgp_prefix_view *v);

const struct bgp_set *bgp_table_set(const struct bgp_table *t, uint32_t set);
struct bgp_table_stats bgp_table_stats(const struct bgp_table *t);

#endif
