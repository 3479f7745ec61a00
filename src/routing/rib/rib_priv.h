/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the RIB share: rib.c has routes and prefixes, rib_settle.c writes
 * the FIBs, rib_exit.c has the ways, rib_resolve.c what they lead to, rib_feed.c the source
 * that has its routes itself, rib_change.c compares a config with what is there, rib_show.c
 * and rib_list.c list.
 */
#ifndef YG_ROUTING_RIB_RIB_PRIV_H
#define YG_ROUTING_RIB_RIB_PRIV_H

#include "base/pool.h"
#include "routing/rib/rib.h"

#define RIB_NONE UINT32_MAX
#define RIB_DEPTH_MAX 8

/* A routing table. */
struct rib_table {
	uint16_t zone;
	struct fib *fib; /* NULL of a RIB that is only asked */
	uint32_t n_users;
	uint32_t n_prefixes;
	uint32_t n_of_len[33];
	uint64_t grace;
};

/* What routes name as their way, by value: most routes share it with others. */
struct rib_exit {
	struct rib_path *path; /* n of them, as they were given */
	uint32_t n;
	uint32_t hash_next;
	uint32_t n_routes;         /* that name it; 0: not in use */
	uint32_t fib_exit;         /* in its table's FIB; RIB_NONE: none yet */
	uint64_t interfaces;       /* bits: of what it is resolved to */
	struct fib_exit_path *way; /* what it is resolved to */
	uint32_t n_ways;
	uint16_t zone;
	bool stays; /* FIB_EXIT_STAYS */
	bool recursive, over_default;
	bool is_fresh; /* not resolved yet */
	bool is_stale; /* to be resolved again, whatever has moved */
	bool is_deep;  /* recursive ones were on the way */
	bool is_watched;
	struct rib_reach told; /* of one that is watched */
	uint32_t name;         /* the feed's, for that */
	uint32_t cost;
};

/* What an exit leads to. */
struct rib_ways {
	struct fib_exit_path way[FIB_PATHS_MAX];
	uint32_t n;
	uint32_t cost; /* of several ways the most */
	bool is_deep;
};

struct rib_prefix {
	uint64_t key;
	uint32_t first; /* its routes, the best first; RIB_NONE: none */
	uint32_t hash_next;
};

struct rib_record {
	uint32_t next;
	uint32_t exit;
	uint32_t prefix;
	uint32_t metric, instance;
	uint8_t source, distance;
	uint16_t seen; /* by rib_change_to */
};

struct rib_hash {
	uint32_t *bucket;
	uint32_t n_buckets;
};

/* A neighbour that nothing leaves by. */
struct rib_lost {
	uint32_t ifindex;
	struct ip_addr addr;
};

struct rib {
	enum rib_use use;
	uint32_t n_holders;
	_Atomic(uint64_t) version;
	struct rib_table *table;
	uint32_t n_tables;
	struct pool prefixes, records, exits;
	size_t n_of[N_RIB_SOURCES]; /* records */
	struct rib_hash by_prefix, by_exit;
	uint64_t down; /* bits: interfaces without a link */
	struct rib_lost *lost;
	size_t n_lost, lost_cap;
	/* Workers look at it with each batch, so it shares no line with what this thread writes. */
	uint8_t apart[64];
	struct lost_hops told;
	uint32_t *gateways; /* how many there are, by the upper 16 bits */
	uint32_t n_gateways;
	uint32_t *dirty; /* keys' numbers: prefixes whose routes have changed */
	size_t n_dirty, dirty_cap;
	uint64_t *is_dirty; /* bits by prefix number */
	size_t dirty_words;
	struct ip4_prefix moved[32]; /* prefixes with gateways in them whose routes have changed */
	uint16_t moved_zone[32];
	uint32_t n_moved; /* more than there is room for: all */
	bool exits_fresh;
	bool exits_short; /* one found no memory, and is to be resolved again */
	bool links_moved; /* an exit that is not recursive leads elsewhere since exits were last resolved */
	int shortage;     /* why the last prefix was not settled: -ENOMEM, -ENOSPC */
	const struct rib_feed *feed;
	void *feed_ctx;
	bool feed_behind; /* some prefix of it is not settled, and there was no memory to note which */
	bool feed_walks;  /* they are all looked through, from feed_at on */
	uint32_t feed_at;
	uint64_t owner_down[RIB_OWNERS_MAX / 64]; /* bits */
	uint32_t walk_left;                       /* prefixes below this number are still to be looked at */
	uint16_t seen;
};

/* zone, address, length from the top. */
static inline uint64_t rib_key(uint16_t zone, uint32_t addr, uint32_t len)
{
	return (uint64_t)zone << 40 | (uint64_t)addr << 8 | len;
}

static inline uint64_t rib_key_of(const struct rib_route *route)
{
	return rib_key(route->zone, route->prefix.addr.v4 & ip4_mask((uint8_t)route->prefix.len), route->prefix.len);
}

static inline struct ip4_prefix rib_key_prefix(uint64_t key)
{
	return (struct ip4_prefix){ (uint32_t)(key >> 8), (uint8_t)key };
}

static inline uint16_t rib_key_zone(uint64_t key)
{
	return (uint16_t)(key >> 40);
}

static inline struct rib_prefix *rib_prefix_at(const struct rib *r, uint32_t i)
{
	return pool_at(&r->prefixes, i);
}

static inline struct rib_record *rib_record_at(const struct rib *r, uint32_t i)
{
	return pool_at(&r->records, i);
}

static inline struct rib_exit *rib_exit_at(const struct rib *r, uint32_t i)
{
	return pool_at(&r->exits, i);
}

/* --- rib.c --- */

/* NULL: there is none. */
struct rib_table *rib_table_of(const struct rib *r, uint16_t zone);
/* RIB_NONE: it is not there. */
uint32_t rib_prefix_find(const struct rib *r, uint64_t key);
/* Made if need be, in a table that is there; RIB_NONE without memory. */
uint32_t rib_prefix_get(struct rib *r, uint64_t key);
/* It stands in the RIB as it is. */
bool rib_record_is_that(const struct rib *r, const struct rib_record *x, const struct rib_route *route);
/* Every address of its prefix is a neighbour. */
bool rib_is_of_link(const struct rib *r, const struct rib_record *x);

/* It has no routes and stands in no FIB. */
void rib_prefix_drop(struct rib *r, uint32_t prefix);

/* The routes of a prefix, the best first: those of the chain, and the feed's among them. */
struct rib_seq {
	const struct rib *r;
	uint32_t record; /* the next of the chain */
	const struct rib_fed *fed;
	uint32_t n_fed; /* that are taken */
};

/* fed may be NULL. */
struct rib_seq rib_seq_of(const struct rib *r, uint32_t first, const struct rib_fed *fed);
/* The next route's exit, and its record or NULL: the feed's. RIB_NONE: there are no more. */
uint32_t rib_seq_next(struct rib_seq *q, const struct rib_record **x);

/* --- rib_settle.c --- */

/* Room to note one prefix more. */
bool rib_note_reserve(struct rib *r);
bool rib_is_noted(const struct rib *r, uint32_t prefix);
/* Its routes have changed: the next rib_flush settles it. */
void rib_note(struct rib *r, uint32_t prefix);

/* A prefix that may have no record, with what the feed says of it: 0, -ENOMEM or -ENOSPC. */
int rib_settle_prefix(struct rib *r, uint64_t key, uint32_t first, const struct rib_fed *fed, bool *changed);
/* Something stands in a FIB that did not: whoever sees the number sees what was written. */
void rib_is_changed(struct rib *r);
/* A prefix without a record here found no room: it waits among those that are noted. */
void rib_keep_fed(struct rib *r, uint64_t key, int why);

/* --- rib_feed.c --- */

/* What the feed says of a prefix; false: there is no feed for it. */
bool rib_feed_look(const struct rib *r, uint64_t key, struct rib_fed *out);
bool rib_feed_look_all(const struct rib *r, uint64_t key, struct rib_fed *out);
/* Somebody has a route to a prefix of that length; may be true without. */
bool rib_has_len(const struct rib *r, const struct rib_table *t, uint32_t len);
/* Looks through so many prefixes of the feed at most, if that is to be done. True: there is more. */
bool rib_feed_walk(struct rib *r, uint32_t max, bool *changed);
/* Tells the feed which of its ways lead elsewhere now. */
void rib_feed_tell(struct rib *r);

static inline bool rib_owner_is_down(const struct rib *r, uint32_t owner)
{
	return (r->owner_down[owner / 64] >> owner % 64 & 1) != 0;
}

/* --- rib_resolve.c --- */

void rib_search(const struct rib *r, struct rib_exit *e, struct rib_ways *w);

/* --- rib_change.c --- */

/* The record of a route; NULL: it is not there. */
struct rib_record *rib_record_of(const struct rib *r, const struct rib_route *route);

/* --- rib_exit.c --- */

/* The exit that a route names, one route more; RIB_NONE without memory. */
uint32_t rib_exit_get(struct rib *r, const struct rib_route *route);
void rib_exit_put(struct rib *r, uint32_t exit);
bool rib_exit_is_that(const struct rib *r, uint32_t exit, const struct rib_route *route);
/* Which of two exits goes first, all else being equal. */
int rib_exit_compare(const struct rib_exit *a, const struct rib_exit *b);
/* Resolves those that are new, and those whose gateway lies where routes have changed; *changed is set when one of
 * these leads elsewhere. 0 or -ENOMEM. */
int rib_exits_resolve(struct rib *r, bool *changed);
/* One of them, now. 0, or -ENOMEM: rib_exits_resolve tries again. */
int rib_exit_resolve(struct rib *r, struct rib_exit *e, bool *changed);
/* The path leads by a gateway that is to be found. */
bool rib_has_gateway(const struct rib_path *p);
/* A gateway may be led elsewhere by this prefix. */
void rib_prefix_moved(struct rib *r, uint64_t key);

#endif
