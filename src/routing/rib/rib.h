/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The routing information base: every route that somebody knows, and which of
 * them stands in a FIB. A zone is a routing table: it has a FIB of its own. For
 * one prefix of a zone the lowest distance wins, then the lowest metric, then the
 * lower gateway address, among those that lead somewhere. Of the same distance and
 * metric what a command said goes before what the config says.
 *
 * It lives for as long as the gateway and is changed route by route, by the
 * control thread alone; what differs then is written into the FIBs, which all
 * workers read meanwhile. A route is known by its prefix, zone, source and
 * instance: a second one of the same is the first one changed.
 *
 *   rib_set, rib_unset ...   any number of changes
 *   rib_flush                they are in force
 */
#ifndef YG_ROUTING_RIB_RIB_H
#define YG_ROUTING_RIB_RIB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "stack/ip/fib.h"
#include "stack/ip/lost_hops.h"

enum rib_source {
	RIB_LOCAL,                   /* our addresses and their broadcast addresses: distance 0 */
	RIB_CONNECTED,               /* prefixes of our interfaces: 0 */
	RIB_STATIC,                  /* configured: 1 */
	RIB_TRANSLATED,              /* addresses that only NAT uses: 5 */
	RIB_OF_CONFIG,               /* those before are the config's */
	RIB_RUNTIME = RIB_OF_CONFIG, /* of a command, until it is taken back or the gateway ends: 1 */
	RIB_KERNEL,                  /* of a table of the kernel's that is followed: 10 */
	RIB_OSPF,
	RIB_BGP,
	N_RIB_SOURCES
};

extern const char *const rib_source_names[N_RIB_SOURCES];

/* One of several ways of a route. */
struct rib_path {
	struct fib_nexthop nexthop; /* unicast */
	uint32_t weight;
	bool onlink;
	uint16_t owner; /* 0: nobody; else it leads nowhere while that one is down (rib_owner_changed) */
};

struct rib_route {
	struct ip_prefix prefix;
	uint16_t zone;
	uint8_t source; /* enum rib_source */
	uint8_t distance;
	uint32_t metric;
	uint32_t instance;          /* the source's own: which of its routes to the prefix */
	struct fib_nexthop nexthop; /* unicast with a gateway: ifindex 0 means "by the connected route" */
	bool onlink;                /* its gateway is a neighbour on nexthop.ifindex, whatever prefixes say */
	bool recursive;             /* its gateway need not be a neighbour: it is looked for by other routes */
	bool over_default;          /* ... and by default routes too */
	uint8_t n_paths;            /* 0: nexthop is all; else these are, and nexthop.kind is FIB_UNICAST */
	const struct rib_path *path;
};

struct rib;

/* With the FIBs to write to, or only to be asked what would stand in them. */
enum rib_use { RIB_FORWARDS, RIB_ASKED };
struct rib *rib_create(enum rib_use use);
/* Who has it counts: it ends with the last. */
struct rib *rib_hold(struct rib *r);
void rib_release(struct rib *r);

/* --- changes --- */

/* Adds the route, or changes the one with its prefix, zone, source and instance. The paths are copied. 0 or -ENOMEM,
 * and nothing is changed. */
int rib_set(struct rib *r, const struct rib_route *route);
/* -ENOENT when it is not there. Of the route only prefix, zone, source and instance count. */
int rib_unset(struct rib *r, const struct rib_route *route);
/* What was set and unset is in force. 0, or -ENOMEM: what found no memory is tried again by the next call. */
int rib_flush(struct rib *r);
/* Prefixes whose routes have changed and are not in force: behind rib_flush and rib_work, for want of memory, or since
 * the forwarding table is full. Not 0 either when there was no memory to note which, or to lead a way elsewhere. */
size_t rib_n_unsettled(const struct rib *r);
/* Why: "the forwarding table is full", "there is no memory"; of the last one. */
const char *rib_unsettled_why(const struct rib *r);

/* The link of an interface, or a neighbour as a next hop, came or went, and so it is until it changes again. A write
 * for each group of routes that is concerned, whatever the number of prefixes; prefixes that need a third way are seen
 * to by rib_work, the first thousand at once. True when a FIB has changed. A neighbour of which there is no memory, or
 * of more than RIB_LOST_MAX that are lost, stays as it was (rib_is_lost). */
#define RIB_LOST_MAX 1024u
bool rib_link_changed(struct rib *r, uint32_t ifindex, bool up);
bool rib_neighbour_changed(struct rib *r, uint32_t ifindex, const struct ip_addr *addr, bool up);
/* Goes on with what a change of a link or of a gateway has left, for so many prefixes. True when there is more. */
bool rib_work(struct rib *r, uint32_t max_prefixes);

/* --- a feed: a source that has its routes itself --- */

/* A full table of the Internet does not stand in the RIB a second time. Who has it says of each prefix by which ways it
 * goes, the best first, whenever that changes, and is asked when the RIB needs it again: for a prefix that somebody
 * else has a route to, or for what leads to a gateway. Such a prefix takes no memory here. There is one feed at most.
 */

#define RIB_NO_WAY UINT32_MAX
#define RIB_FED_MAX 8u

/* Ways of one prefix, the best first, of which the first two count where packets are forwarded. */
struct rib_fed {
	uint32_t n;
	uint32_t way[RIB_FED_MAX];
	uint8_t distance; /* of all of them: where they stand among other routes; behind others of the same */
};

/* What a way leads to. */
struct rib_reach {
	bool is_up;    /* somewhere, over a link and by a neighbour that are up */
	uint32_t cost; /* the sum of the metrics of the routes that lead there */
};

struct rib_feed {
	uint16_t zone;
	uint8_t source; /* enum rib_source */
	/* What it has said last of exactly that prefix; n is 0: nothing. */
	void (*look)(void *ctx, struct ip4_prefix prefix, struct rib_fed *out);
	/* All that it knows of that prefix, also what it does not use since it leads nowhere, in an order that does not
	 * depend on what leads where: else a gateway's way could depend on itself. */
	void (*look_all)(void *ctx, struct ip4_prefix prefix, struct rib_fed *out);
	/* Its prefixes have numbers: those from `*at` on, of which *at becomes the next. False: there are no more. A
	 * number may have none, then out->n is 0. */
	bool (*next)(void *ctx, uint32_t *at, struct ip4_prefix *prefix, struct rib_fed *out);
	/* A way that is watched leads elsewhere now. May change nothing in the RIB. */
	void (*reach_changed)(void *ctx, uint32_t name, struct rib_reach now);
};

/* NULL ends it, behind the withdrawal of all that it has said. The feed is the caller's and stays. 0 or -ENOMEM. */
int rib_feed_set(struct rib *r, const struct rib_feed *feed, void *ctx);

/* A way as rib_route has it, of which zone, recursive, over_default and the paths count (n_paths at least 1). It is
 * resolved when this returns, if there is memory. RIB_NO_WAY without memory. Equal ones are one; each is let go as
 * often as it was got, by when the feed names it no more. */
uint32_t rib_way_get(struct rib *r, const struct rib_route *way);
void rib_way_put(struct rib *r, uint32_t way);
struct rib_reach rib_way_reach(const struct rib *r, uint32_t way);
/* Packets may go by it, or did until the last grace. */
bool rib_way_is_used(const struct rib *r, uint32_t way);
/* reach_changed is called of it from now on, with that name; until rib_way_unwatch. */
void rib_way_watch(struct rib *r, uint32_t way, uint32_t name);
void rib_way_unwatch(struct rib *r, uint32_t way);

struct rib_fed_change {
	struct ip4_prefix prefix;
	uint32_t way[2]; /* the best and the second best, RIB_NO_WAY: none; both: the prefix goes */
	uint8_t distance;
};

/* In force when this returns, but for what found no room, which is tried again as with rib_flush (rib_n_unsettled). By
 * then the feed's look says the same. Quickest with some dozens at once. */
void rib_feed_apply(struct rib *r, const struct rib_fed_change *change, uint32_t n);

/* What look_all says of a prefix is another thing, though the first two ways are the same. True when a gateway lies
 * there: the next rib_feed_apply, also of none, or rib_flush looks for it again. */
bool rib_feed_moved(struct rib *r, struct ip4_prefix prefix);

#define RIB_OWNERS_MAX 2048u
/* All ways that are an owner's (1 to RIB_OWNERS_MAX - 1) lead nowhere, or lead somewhere again: a write for each group
 * in which they are, whatever the number of prefixes; flows by them look again at once. Returns how many ways that are.
 * What has no memory is tried again by rib_flush. */
uint32_t rib_owner_changed(struct rib *r, uint32_t owner, bool up);

/* --- the config's routes, as a whole --- */

/* What makes the routes of the config those that are given (n, any order; of repetitions the first). Computed aside,
 * while packets flow; NULL without memory. */
struct rib_change *rib_change_to(struct rib *r, const struct rib_route *route, size_t n);
/* In force. It costs what is different, and nothing the second time. 0 or -ENOMEM, as rib_flush. */
int rib_change_apply(struct rib *r, struct rib_change *c);
size_t rib_change_size(const struct rib_change *c);
void rib_change_free(struct rib_change *c);

/* --- readers --- */

/* The FIB of a zone, made if need be and kept for as long as somebody has it; NULL without memory. */
const struct fib *rib_fib_hold(struct rib *r, uint16_t zone);
void rib_fib_release(struct rib *r, uint16_t zone);
/* Moves on with each change that is in force. Any thread. */
const _Atomic(uint64_t) *rib_version(const struct rib *r);
/* The neighbours that were lost while routes went by them: flows need not wait for a look at all. Any thread. */
const struct lost_hops *rib_lost_hops(const struct rib *r);
/* All FIBs: begins a grace, one at a time; it is over. True: there is something to be reclaimed. */
bool rib_grace_begin(struct rib *r);
void rib_grace_over(struct rib *r);

/* --- for people --- */

struct rib_info {
	struct rib_route route;             /* with the gateway as it is resolved, of several paths the first */
	bool resolved;                      /* it leads somewhere */
	bool link_down;                     /* its interface has no link */
	bool dead;                          /* its neighbours are lost (rib_neighbour_changed) */
	bool active;                        /* packets go by it */
	uint64_t named;                     /* bits: interfaces that it names */
	uint32_t n_ways;                    /* several: */
	struct rib_path way[FIB_PATHS_MAX]; /* as they are resolved */
};

/* Of these the feed's are not counted: it does itself. */
size_t rib_n_routes(const struct rib *r);
size_t rib_n_of(const struct rib *r, enum rib_source source);
/* The route with its prefix, zone, source and instance is there. */
bool rib_has(const struct rib *r, const struct rib_route *route);
/* What a prefix of a zone is called. */
uint64_t rib_prefix_name(const struct rib_route *route);
/* The neighbour is lost as a next hop; how many are. */
bool rib_is_lost(const struct rib *r, uint32_t ifindex, const struct ip_addr *addr);
size_t rib_n_lost(const struct rib *r);
/* The i-th of the neighbours that are lost. False when there are no more. */
bool rib_lost(const struct rib *r, size_t i, uint32_t *ifindex, struct ip_addr *addr);
/* The prefixes of all routes but the feed's by zone, address and length, to be freed; then the routes of each, the best
 * first, as they are by then. NULL without memory. */
uint64_t *rib_prefixes(const struct rib *r, size_t *n);

/* The same with the feed's prefixes, in slices. */
struct rib_listing;
/* NULL without memory. */
struct rib_listing *rib_list_begin(void);
/* Goes on for some so many prefixes. 1: there is more to be done; 0: rib_list_prefixes has them all; -ENOMEM. */
int rib_list_work(struct rib_listing *l, const struct rib *r, uint32_t max_prefixes);
const uint64_t *rib_list_prefixes(const struct rib_listing *l, size_t *n);
void rib_list_end(struct rib_listing *l);
/* The route number i of a prefix, of a feed the first two. False when there are no more. */
bool rib_route_of(const struct rib *r, uint64_t prefix, uint32_t i, struct rib_info *out);
/* The next hop towards an address if every link were up; kind FIB_NONE: there is none. */
struct fib_nexthop rib_ask(const struct rib *r, uint16_t zone, uint32_t addr);
/* The same by the config's routes alone, and the longest prefix that holds all of this one. */
struct fib_nexthop rib_ask_config(const struct rib *r, uint16_t zone, const struct ip_prefix *prefix);

#endif
