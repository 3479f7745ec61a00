/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The forwarding table: longest prefix match from destination to next-hop
 * index. A 16-8-8 trie with the answer pushed down to the leaves, so that a
 * look-up is two accesses for prefixes up to /24, three beyond; the first is to
 * a table of 256 KB, which stays in the cache.
 *
 * Only src/route fills it. An index stands for an entry of a table of next hops,
 * so losing a neighbour is one write there.
 *
 * One thread changes the table (fib_nexthop_add, fib_insert, fib_remove,
 * fib_grace_begin, fib_reclaim and the functions that count and list); any number
 * of others may look up meanwhile (fib_lookup, fib_lookup_batch, fib_nexthop).
 * Each look-up has the answer from before a change or from behind it, never a
 * third one. What was taken out is used again only after the readers' grace:
 *
 *   uint64_t g = fib_grace_begin(f);
 *   ... every reader has been outside of its look-ups and has let go of what
 *       fib_nexthop gave it at least once since ...
 *   fib_reclaim(f, g);
 */
#ifndef YG_STACK_IP_FIB_H
#define YG_STACK_IP_FIB_H

#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"

enum fib_kind {
	FIB_NONE,        /* no route: index 0 is always this */
	FIB_UNICAST,     /* via gateway, or on-link when gateway is 0 */
	FIB_LOCAL,       /* an address of ours */
	FIB_BROADCAST,   /* a broadcast address of an interface of ours */
	FIB_TRANSLATED,  /* an address that only NAT uses: without a mapping, dropped */
	FIB_BLACKHOLE,   /* dropped in silence */
	FIB_UNREACHABLE, /* ICMP 3/1 */
	FIB_PROHIBIT,    /* ICMP 3/13 */
};

struct fib_nexthop {
	uint8_t kind;        /* enum fib_kind */
	uint32_t ifindex;    /* FIB_UNICAST, FIB_LOCAL, FIB_BROADCAST */
	uint32_t gateway;    /* FIB_UNICAST: neighbour's address, 0 when the destination itself is one */
	uint32_t source;     /* preferred source address for packets made here */
	uint64_t also_from;  /* FIB_UNICAST: bits, interfaces besides ifindex by which packets from there may come: other
			      * routes to the same prefix, which are worse, leave by them */
};

#define FIB_NO_ROUTE 0u
#define FIB_NEXTHOPS_MAX (1u << 20)

struct fib;

/* NULL without memory. */
struct fib *fib_create(void);
void fib_destroy(struct fib *f);
/* An index for nh (equal ones share), or 0 when there is no memory. It stays while a prefix uses it; one that no prefix
 * uses is gone with the next fib_reclaim. */
uint32_t fib_nexthop_add(struct fib *f, const struct fib_nexthop *nh);
/* Adds or replaces. 0 or -ENOMEM, after which the table is as before. */
int fib_insert(struct fib *f, struct ip4_prefix prefix, uint32_t nexthop);
/* -ENOENT when it is not there. */
int fib_remove(struct fib *f, struct ip4_prefix prefix);

/* Ends a generation of changes and returns its number. */
uint64_t fib_grace_begin(struct fib *f);
/* No reader looks any more at what the generations up to this one took out. */
void fib_reclaim(struct fib *f, uint64_t generation);

uint32_t fib_lookup(const struct fib *f, uint32_t dst);
/* The same for n addresses, whose misses in the cache are in flight together. */
void fib_lookup_batch(const struct fib *f, const uint32_t *dst, uint32_t *nexthop, uint32_t n);
const struct fib_nexthop *fib_nexthop(const struct fib *f, uint32_t index);

size_t fib_n_prefixes(const struct fib *f);
/* Memory in use, in bytes: of all, and of that what look-ups read. */
size_t fib_bytes(const struct fib *f);
size_t fib_lookup_bytes(const struct fib *f);
/* Calls fn for each prefix in order of address, then length. */
void fib_walk(const struct fib *f, void (*fn)(void *ctx, struct ip4_prefix p, const struct fib_nexthop *nh), void *ctx);

#endif
