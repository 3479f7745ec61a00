/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the FIB share: fib.c has the trie and the prefixes, fib_group.c
 * what a leaf's number stands for, fib_exit.c where that leads, fib_buckets.c who of several next hops has which
 * flows.
 */
#ifndef YG_STACK_IP_FIB_PRIV_H
#define YG_STACK_IP_FIB_PRIV_H

#include <stdatomic.h>

#include "base/pool.h"
#include "stack/ip/fib.h"
#include "stack/ip/prefix_set.h"

/* A next hop of an exit. */
struct fib_member {
	struct fib_nexthop nexthop;
	uint32_t weight;
	bool is_up;
};

#define FIB_NOBODY UINT8_MAX

/* Members by number. */
struct fib_shares {
	uint8_t owner[FIB_BUCKETS];  /* who has the bucket, FIB_NOBODY at first */
	uint8_t before[FIB_BUCKETS]; /* who had it and was lost, FIB_NOBODY: nobody */
};

struct fib_exit {
	struct fib_member *member; /* n of them */
	struct fib_shares *shares; /* with several members */
	struct fib_paths *paths;   /* what readers have, with several that are up */
	void *spare;               /* for paths, of a change that is prepared */
	uint32_t n, n_up;
	uint32_t groups;    /* that have it: a list of group << 1 | place, POOL_NONE ends */
	uint32_t n_holders; /* its maker, and those groups; 0: not in use */
	uint32_t hash_next; /* of those that fib_nexthop_add made */
	bool is_shared;     /* by fib_nexthop_add */
	bool is_prepared;   /* it and its groups may have spare memory */
	uint8_t kind;       /* enum fib_exit_kind */
};

struct fib_group {
	uint32_t exit[2]; /* FIB_NO_EXIT: none */
	uint64_t from;
	uint32_t next[2], previous[2]; /* in the lists of its exits */
	void *spare[2]; /* for what readers have, when one of them changes: of a change that is prepared */
	uint32_t n_prefixes;
	uint32_t hash_next;
	uint32_t queue_next;
	bool queued;
	uint64_t queued_in; /* generation in which it joined the queue */
	uint64_t unused_in; /* generation in which the last prefix left it */
};

/* Chains of numbers. */
struct fib_hash {
	uint32_t *bucket;   /* POOL_NONE: empty */
	uint32_t n_buckets; /* a power of two */
	uint32_t n;
};

/* What readers may still look at. */
struct fib_retired {
	void *memory;
	uint64_t generation;
};

struct fib_lost {
	uint32_t ifindex;
	struct ip_addr addr;
};

/* What readers have of a group. Behind the route, for fib_lookup_by, what is up of the second best while the best is in
 * use, and what is down of both. */
struct fib_full_route {
	struct fib_route route;
	uint32_t n_others, n_down; /* in this order */
	struct fib_nexthop other[];
};

typedef _Atomic(const struct fib_route *) fib_published;

struct fib_groups {
	struct pool exits;     /* struct fib_exit */
	struct pool groups;    /* struct fib_group */
	struct pool published; /* fib_published, by the numbers of groups */
	struct fib_hash shared_exits, by_value;
	uint32_t first_old, last_old; /* groups that no prefix uses, POOL_NONE: none */
	struct fib_retired *retired;  /* a queue */
	size_t retired_cap, retired_first, n_retired;
	uint64_t down;    /* bits, interfaces that are lost */
	bool is_prepared; /* a change of a neighbour */
	struct fib_lost *lost;
	uint32_t n_lost, lost_cap;
	uint64_t generation;
	size_t n_bytes; /* of members, shares, paths and routes */
};

typedef _Atomic uint32_t fib_entry;

struct fib {
	/* What readers read, in a line that nobody writes to. */
	fib_entry *root;
	fib_entry *block;         /* blocks.mem */
	fib_published *published; /* groups.published.mem */

	_Alignas(64) struct fib_groups groups;
	struct pool blocks; /* of 256 entries */
	struct pool infos;  /* what only the writer knows of them, by their numbers */
	struct prefix_set prefixes;
	uint32_t first_old, last_old; /* blocks that wait for the grace, POOL_NONE: none */
};

int fib_groups_init(struct fib_groups *g);
void fib_groups_fini(struct fib_groups *g);
/* Any thread: a next hop of a group that leaves by that interface, or what else is an answer; NULL: look further. */
const struct fib_nexthop *fib_route_by(const struct fib_route *route, uint32_t ifindex, uint32_t hash);
/* The same of those that are down; NULL: none. */
const struct fib_nexthop *fib_route_down_by(const struct fib_route *route, uint32_t ifindex, uint32_t hash);
/* A prefix begins or ceases to use it. */
void fib_group_get(struct fib_groups *g, uint32_t group);
void fib_group_put(struct fib_groups *g, uint32_t group);
void fib_groups_reclaim(struct fib_groups *g, uint64_t generation);
size_t fib_groups_bytes(const struct fib_groups *g);

/* --- fib_group.c, for fib_exit.c --- */

/* Room for n more in the queue of what readers may still look at; false without memory. */
bool fib_retire_reserve(struct fib_groups *g, size_t n);
/* Behind that: freed when the grace of this generation is over. */
void fib_retire(struct fib_groups *g, const void *memory);
/* An exit has changed: what readers have of its groups follows. How many there are. */
uint32_t fib_groups_publish(struct fib_groups *g, const struct fib_exit *e);
/* The memory for that, beforehand, when the exit is to have so many next hops more; how many places it may take in the
 * queue is added to *n. False without memory. */
bool fib_groups_spare(struct fib_groups *g, const struct fib_exit *e, uint32_t more, size_t *n);
/* What is left of it is given back. */
void fib_groups_unspare(struct fib_groups *g, const struct fib_exit *e);
/* One that fib_nexthop_add made is found by it no more. */
void fib_exit_unshare(struct fib_groups *g, uint32_t exit);

/* --- fib_exit.c --- */

uint32_t fib_exit_make(struct fib_groups *g, enum fib_exit_kind kind);
int fib_exit_lead(struct fib_groups *g, struct fib_exit *e, const struct fib_exit_path *path, uint32_t n);
/* One holder less. */
void fib_exit_drop(struct fib_groups *g, uint32_t index);

/* --- fib_buckets.c --- */

/* Divides the buckets among the members that are up, by weight; whoever has some already gives up none that another
 * does not need. */
void fib_buckets_divide(struct fib_shares *s, const struct fib_member *m, uint32_t n);
/* The members have other numbers: those of old number i have now[i], FIB_NOBODY: they are gone. */
void fib_buckets_renumber(struct fib_shares *s, const uint8_t now[FIB_PATHS_MAX]);

#endif
