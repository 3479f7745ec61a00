/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The forwarding table: longest prefix match from destination to a group, and
 * what the group stands for. A 16-8-8 trie with the answer pushed down to the
 * leaves, so that a look-up is two accesses for prefixes up to /24, three beyond;
 * the first is to a table of 256 KB, which stays in the cache.
 *
 *   prefix -> group -> best exit or second best -> next hops with weights
 *
 * An exit is a way out as a route names it: one next hop, or several among which
 * flows are divided. A group is two of them: with n exits there are no more than
 * n^2 groups, however many prefixes, so an interface or a neighbour that is lost
 * is one write a group, and the prefixes have their second best at once.
 *
 * Only src/routing/rib fills it. One thread changes the table; any number of others may
 * look up meanwhile (fib_lookup, fib_lookup_batch, fib_lookup_by, fib_route). Each look-up has
 * the answer from before a change or from behind it, never a third one. What was
 * taken out is used again only after the readers' grace:
 *
 *   uint64_t g = fib_grace_begin(f);
 *   ... every reader has been outside of its look-ups and has let go of what
 *       fib_route gave it at least once since ...
 *   fib_reclaim(f, g);
 */
#ifndef YG_STACK_IP_FIB_H
#define YG_STACK_IP_FIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/ip4.h"

enum fib_kind {
	FIB_NONE,        /* no route: index 0 is always this */
	FIB_UNICAST,     /* via gateway, or on-link when there is none */
	FIB_LOCAL,       /* an address of ours */
	FIB_BROADCAST,   /* a broadcast address of an interface of ours */
	FIB_TRANSLATED,  /* an address that only NAT uses: without a mapping, dropped */
	FIB_BLACKHOLE,   /* dropped in silence */
	FIB_UNREACHABLE, /* ICMP 3/1 */
	FIB_PROHIBIT,    /* ICMP 3/13 */
};

struct fib_nexthop {
	uint8_t kind; /* enum fib_kind */
	uint8_t reserved[3];
	uint32_t ifindex;       /* FIB_UNICAST, FIB_LOCAL, FIB_BROADCAST */
	struct ip_addr gateway; /* FIB_UNICAST: the neighbour's address, none when the destination itself is one */
	struct ip_addr source;  /* preferred source address for packets made here */
};
_Static_assert(sizeof(struct fib_nexthop) == 48, "no bytes that nobody clears");

#define FIB_PATHS_MAX 16u
#define FIB_BUCKETS 256u

/* Several next hops, and which of them a flow's bucket goes by. */
struct fib_paths {
	uint32_t n;
	uint8_t bucket[FIB_BUCKETS]; /* below n */
	struct fib_nexthop nexthop[FIB_PATHS_MAX];
};

/* What a group stands for at a moment; unchanged while a reader may have it. */
struct fib_route {
	struct fib_nexthop nexthop; /* the only one in use, or one of several: kind is that of all */
	uint64_t from; /* bits, interfaces by which packets from there may come: of all routes to the prefix */
	const struct fib_paths *paths; /* NULL: there is but one next hop */
};
_Static_assert(sizeof(struct fib_route) == 64, "a cache line");

/* hash: of the flow, well mixed; asked for only with paths. */
static inline const struct fib_nexthop *fib_path(const struct fib_route *r, uint32_t hash)
{
	return &r->paths->nexthop[r->paths->bucket[hash % FIB_BUCKETS]];
}

#define FIB_NO_ROUTE 0u
#define FIB_GROUPS_MAX (1u << 20)
#define FIB_NO_EXIT UINT32_MAX

struct fib;

/* NULL without memory. */
struct fib *fib_create(void);
void fib_destroy(struct fib *f);

/* --- prefixes: the writer --- */

/* Adds or replaces. 0, -ENOMEM, or -ENOSPC: the table is full; then it is as before. */
int fib_insert(struct fib *f, struct ip4_prefix prefix, uint32_t group);
/* -ENOENT when it is not there. */
int fib_remove(struct fib *f, struct ip4_prefix prefix);
/* For whoever changes many at once: what a change of that prefix looks at first, and some prefixes later what that
 * leads to, is asked for into the cache. */
void fib_prefetch(const struct fib *f, struct ip4_prefix prefix);
void fib_prefetch_block(const struct fib *f, struct ip4_prefix prefix);
/* The group of exactly that prefix, FIB_NO_ROUTE when it is not there. */
uint32_t fib_group_of(const struct fib *f, struct ip4_prefix prefix);

/* --- exits and groups: the writer --- */

struct fib_exit_path {
	struct fib_nexthop nexthop;
	uint32_t weight; /* at least 1 */
};

enum fib_exit_kind {
	FIB_EXIT_PLAIN, /* without a next hop that is up, nothing leaves by it */
	FIB_EXIT_STAYS, /* it is in use even then, where there is no other: our own hosts are not looked for elsewhere
			 */
};

/* An exit without next hops, or FIB_NO_EXIT without memory. */
uint32_t fib_exit_new(struct fib *f, enum fib_exit_kind kind);
/* What it leads to from now on, for all groups that have it. n <= FIB_PATHS_MAX; next hops that were there before keep
 * their buckets. 0, or -ENOMEM and all is as before. */
int fib_exit_set(struct fib *f, uint32_t exit, const struct fib_exit_path *path, uint32_t n);
/* Its maker does not need it any more; it goes when no group has it. */
void fib_exit_put(struct fib *f, uint32_t exit);

/* The group of best and second best (or FIB_NO_EXIT), with the interfaces of still worse routes as bits of `from`;
 * equal ones share. 0 when there is no memory. It stays while a prefix uses it; one that no prefix uses is gone with
 * the next fib_reclaim. */
uint32_t fib_group_add(struct fib *f, uint32_t best, uint32_t second, uint64_t from);
/* The group of this next hop alone: equal ones share. */
uint32_t fib_nexthop_add(struct fib *f, const struct fib_nexthop *nh);

/* An interface, or a neighbour on one, is lost or back: one write for each group that has a next hop there. Returns how
 * many groups have changed. What has no memory stays as it is: of an interface some groups, which go by it still; of a
 * neighbour all, with -ENOMEM. */
uint32_t fib_link(struct fib *f, uint32_t ifindex, bool up);
int fib_neighbour(struct fib *f, uint32_t ifindex, const struct ip_addr *addr, bool up);
/* All memory that fib_neighbour may need there, either way: behind it the next change is that one, which does not fail,
 * or it is abandoned. 0 or -ENOMEM. */
int fib_neighbour_prepare(struct fib *f, uint32_t ifindex, const struct ip_addr *addr);
void fib_neighbour_abandon(struct fib *f);
/* The exit by which a group's packets go now; FIB_NO_EXIT: none. */
uint32_t fib_group_exit(const struct fib *f, uint32_t group);
/* Some group has it: what no prefix has used since the last grace is gone. */
bool fib_exit_is_used(const struct fib *f, uint32_t exit);
/* Some next hop of it is up (or it needs none). */
bool fib_exit_is_up(const struct fib *f, uint32_t exit);

/* Something was taken out that readers may still look at. */
bool fib_waits(const struct fib *f);
/* Ends a generation of changes and returns its number. */
uint64_t fib_grace_begin(struct fib *f);
/* No reader looks any more at what the generations up to this one took out. */
void fib_reclaim(struct fib *f, uint64_t generation);

/* --- look-ups: any thread --- */

uint32_t fib_lookup(const struct fib *f, uint32_t dst);
/* The same, and the prefix that gives the answer; without a route that is 0.0.0.0/0. */
uint32_t fib_lookup_prefix(const struct fib *f, uint32_t dst, struct ip4_prefix *prefix);
/* fib_lookup for n addresses, whose misses in the cache are in flight together. */
void fib_lookup_batch(const struct fib *f, const uint32_t *dst, uint32_t *group, uint32_t n);
/* By one interface alone (SO_BINDTODEVICE): the longest prefix that has a way there, and of several ways one by the
 * hash. What is down (the link, or the neighbour as a next hop) is taken when nothing else is met. Seen are the two
 * best routes to each prefix: of a third, while one of these is up, nothing is known here. What is no way out
 * (FIB_BLACKHOLE and the like) is the answer where it is met, an address of ours only by its own interface. NULL: there
 * is none. It costs a look at the set of prefixes for each length that there is. */
const struct fib_nexthop *fib_lookup_by(const struct fib *f, uint32_t dst, uint32_t ifindex, uint32_t hash);
/* Never NULL. */
const struct fib_route *fib_route(const struct fib *f, uint32_t group);

static inline const struct fib_nexthop *fib_nexthop(const struct fib *f, uint32_t group)
{
	return &fib_route(f, group)->nexthop;
}

/* --- for people: the writer --- */

size_t fib_n_prefixes(const struct fib *f);
uint32_t fib_n_groups(const struct fib *f);
/* Memory in use, in bytes: of all, and of that what look-ups read. */
size_t fib_bytes(const struct fib *f);
size_t fib_lookup_bytes(const struct fib *f);
/* Calls fn for each prefix in order of address, then length. */

#endif
