/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flow cache entries: what the slow path decided about a flow, so that later packets of it
 * need not ask again.
 *
 * A direction of a confirmed connection has one when a plain packet of it has
 * gone the slow path, and everything that was asked there depends on the flow
 * alone: no limit, no look at length, TTL, flags or time. A later plain packet
 * then goes receive -> look-up -> window check -> rewrite -> send, in a batch
 * whose misses are all in flight at once. What is not plain (SYN, FIN, RST,
 * fragments, options, TTL 1, too large, out of window ...) falls out to the full
 * way, in order, and both ways give the same bytes, counters and states. So does what
 * ends at the host here, or begins there (local.c): it reaches its protocol without
 * PREROUTING, route and INPUT, and its neighbour without route, OUTPUT and POSTROUTING.
 *
 * A flow cache entry is 8 bytes in its direction's line of the connection (struct
 * ct_flowcache). It holds the number of the generation under which it was installed:
 * one increment makes all of them invalid, and each flow's next packet takes the full
 * way once. It also holds that of its adjacency: a neighbour's number that is
 * given away makes void those that held it, and no others.
 */
#ifndef YG_GATEWAY_FLOWCACHE_FLOWCACHE_H
#define YG_GATEWAY_FLOWCACHE_FLOWCACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gateway/conntrack/conntrack.h"
#include "stack/ip/adjacency.h"
#include "stack/ip/lost_hops.h"
#include "stack/ip/stack.h"
#include "gateway/nat/nat.h"
#include "gateway/rules/rules.h"

struct flowcache;

/* nat NULL: nothing is translated. */
struct flowcache *flowcache_create(struct env *env, struct ip_stack *ip, struct conntrack *ct, struct nat *nat,
				   struct rules *rules);
void flowcache_destroy(struct flowcache *s);

/* For the slots of ip, of conntrack and of rules. */
extern const struct ip_flowcache_ops flowcache_ip_ops;
extern const struct ct_flowcache_ops flowcache_ct_ops;
/* What was installed with another ct mark is invalid. */
void flowcache_mark_changed(void *ctx, uint32_t conn);
/* Behind ip_flush: what came in has been dealt with and handed to the devices. */
enum flowcache_flush {
	FLOWCACHE_FLUSHED_ALL,
	FLOWCACHE_FLUSHED_TAKEN, /* what was left is not dealt with, and will be shown again */
};
void flowcache_flushed(struct flowcache *s, enum flowcache_flush what);

/* All flow cache entries are invalid: the config has changed. What was forwarded in our stead is credited
 * later, connection by connection, to the rules by which it was forwarded. */
void flowcache_invalidate_all(struct flowcache *s);
/* The same, before a ruleset that was prepared is committed. */
void flowcache_rules_change(struct flowcache *s);
/* The number that moves on with each change of routes, at any time. When it has, flows that are led elsewhere, or whose
 * source may not come in any more where it does, are found by and by (flowcache_expire), and no others are touched. All
 * flows are taken to be in keeping with the number as it is now. lost: neighbours by which flows may have gone; those
 * ask again with their next packet. */
void flowcache_set_routes(struct flowcache *s, const _Atomic(uint64_t) *routes_version, const struct lost_hops *lost);
void flowcache_expire(struct flowcache *s);
uint64_t flowcache_next_deadline(const struct flowcache *s);
/* Off: every packet takes the slow path (for comparison and tests). On is the default. */
enum flowcache_mode { FLOWCACHE_ON, FLOWCACHE_OFF };
void flowcache_set_mode(struct flowcache *s, enum flowcache_mode mode);

enum flowcache_count {
	FLOWCACHE_SEEN,          /* frames that came in, and packets made here */
	FLOWCACHE_TAKEN,         /* ... and went by a flow cache entry */
	FLOWCACHE_INSTALLED,     /* directions */
	FLOWCACHE_INVALIDATED,   /* times that all became void */
	FLOWCACHE_LED_ELSEWHERE, /* directions whose routes have changed */
	N_FLOWCACHE_COUNTS
};
const uint64_t *flowcache_counts(const struct flowcache *s);

/* --- for whoever forwards in our stead (daemon/fastpath) --- */

/* A direction as it stands now. The packet's tuple is conntrack's tuple of this direction; what it becomes is the
 * inverse of the other direction's. False when there is no valid flow cache entry, or it is of the host here. */
struct flowcache_view {
	struct tuple in, out; /* as it comes, as it leaves; zones as in conntrack */
	uint32_t in_ifindex;
	uint32_t adjacency;
};
bool flowcache_view(const struct flowcache *s, uint32_t conn, enum ct_dir dir, struct flowcache_view *out);

/* What was forwarded for a direction since the last credit. */
struct flowcache_deferred {
	uint32_t packets;
	uint64_t bytes;   /* of IP packets */
	uint64_t last_ns; /* the core's clock */
	bool has_tcp;
	uint32_t tcp_end, tcp_ack, tcp_win; /* highest sequence number + 1, highest acknowledgement, largest window
					     * field as it stands in the header */
};
/* Counters of the connection and of the rules, its timer, its windows: as if the packets had come this way. */
void flowcache_flush_counters(struct flowcache *s, uint32_t conn, enum ct_dir dir,
			      const struct flowcache_deferred *deferred);

struct flowcache_offload {
	void *ctx;
	/* Both directions have a flow cache entry and have been used a few times, or the original one of UDP that
	 * nobody has answered (of the reply there is no view then). False: not now; asked again later. */
	bool (*add)(void *ctx, uint32_t conn);
	/* Take it back and credit its deferred counters: the connection ends, or a flow cache entry of it does not hold
	 * any more. */
	void (*remove)(void *ctx, uint32_t conn);
	/* Credit its deferred counters. True when there was something. */
	bool (*read_back)(void *ctx, uint32_t conn);
	/* A packet of an offloaded connection came up with a stamp and has been dealt with, on either way. */
	void (*came_up)(void *ctx, uint32_t conn, enum ct_dir dir, const struct up_stamp *stamp);
	/* All flow cache entries are invalid: nothing more is forwarded. Takes no longer for many connections than for
	 * few: deferred counters are credited later, and when it is asked for. */
	void (*invalidate_all)(void *ctx);
	/* Credit the deferred counters of all of them, however long that takes. */
	void (*read_back_all)(void *ctx);
	void (*adjacency_changed)(void *ctx, uint32_t index, enum ip_adjacency_change change);
	/* A packet that came up with a stamp has passed conntrack's windows, and is about to be sent. */
	void (*moved)(void *ctx, uint32_t conn, enum ct_dir dir);
};
/* NULL: nobody. o stays valid. */
void flowcache_set_offload(struct flowcache *s, const struct flowcache_offload *o);
/* o has taken a connection out by itself: add may be called again. */
void flowcache_left(void *ctx, uint32_t conn);

#endif
