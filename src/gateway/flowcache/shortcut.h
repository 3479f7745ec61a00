/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shortcuts: what the full way decided about a flow, so that later packets of it
 * need not ask again.
 *
 * A direction of a confirmed connection has one when a plain packet of it has
 * gone the whole way, and everything that was asked there depends on the flow
 * alone: no limit, no look at length, TTL, flags or time. A later plain packet
 * then goes receive -> look-up -> window check -> rewrite -> send, in a batch
 * whose misses are all in flight at once. What is not plain (SYN, FIN, RST,
 * fragments, options, TTL 1, too large, out of window ...) falls out to the full
 * way, in order, and both ways give the same bytes, counters and states.
 *
 * A shortcut is 8 bytes in its direction's line of the connection (struct
 * ct_shortcut). It holds the number of the generation under which it was learnt:
 * one increment makes all of them void, and each flow's next packet takes the full
 * way once. It also holds that of its adjacency: a neighbour's number that is
 * given away makes void those that held it, and no others.
 */
#ifndef YG_GATEWAY_FLOWCACHE_SHORTCUT_H
#define YG_GATEWAY_FLOWCACHE_SHORTCUT_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/conntrack/conntrack.h"
#include "stack/ip/adjacency.h"
#include "stack/ip/stack.h"
#include "gateway/nat/nat.h"
#include "gateway/rules/rules.h"


struct shortcuts;

struct shortcuts *shortcuts_create(struct env *env, struct ip_stack *ip, struct conntrack *ct, struct nat *nat,
				   struct rules *rules);
void shortcuts_destroy(struct shortcuts *s);

/* Slot of ip: the frames just received on ifindex. Sends those that have a shortcut; the rest stays in b, in order. */
void shortcuts_input(void *s, uint32_t ifindex, struct batch *b);
/* Slot of ip: p has come the full way and leaves by this adjacency, whole. */
void shortcuts_learn(void *s, const struct packet *p, uint32_t adjacency);
/* Slot of conntrack: the connection has ended, or its number is about to be used again. */
void shortcuts_ended(void *s, uint32_t conn);
/* Slot of conntrack: its time is up. True when it has been used since conntrack last knew, which has been credited. */
bool shortcuts_alive(void *s, uint32_t conn);
/* Slot of ip. */
ip_adjacency_fn shortcuts_adjacency_changed;
/* Slot of rules: what was learnt with another ct mark is void. */
void shortcuts_mark_changed(void *s, uint32_t conn);
/* Behind ip_flush: what came in has been dealt with and handed to the devices. */
enum shortcuts_flush {
	SHORTCUTS_FLUSHED_ALL,
	SHORTCUTS_FLUSHED_TAKEN, /* what was left is not dealt with, and will be shown to shortcuts_input again */
};
void shortcuts_flushed(struct shortcuts *s, enum shortcuts_flush what);

/* All shortcuts are void: config, routes or devices changed. What was forwarded in our stead is credited later,
 * connection by connection: to the rules that it is owed to. */
void shortcuts_void_all(struct shortcuts *s);
/* The same, before a ruleset that was prepared is committed. */
void shortcuts_rules_change(struct shortcuts *s, const struct rules *rules);
/* Off: every packet takes the full way (for comparison and tests). On is the default. */
enum shortcuts_mode { SHORTCUTS_ON, SHORTCUTS_OFF };
void shortcuts_set_mode(struct shortcuts *s, enum shortcuts_mode mode);

enum shortcut_count {
	SHORTCUT_SEEN,   /* frames that came in */
	SHORTCUT_TAKEN,  /* ... and went by a shortcut */
	SHORTCUT_LEARNT, /* directions */
	SHORTCUT_VOIDED, /* times that all became void */
	N_SHORTCUT_COUNTS
};
const uint64_t *shortcuts_counts(const struct shortcuts *s);

/* --- for whoever forwards in our stead (src/fastpath) --- */

/* A direction as it stands now. The packet's tuple is conntrack's tuple of this direction; what it becomes is the
 * inverse of the other direction's. False when there is no valid shortcut. */
struct shortcut_view {
	struct tuple in, out; /* as it comes, as it leaves; zones as in conntrack */
	uint32_t in_ifindex;
	uint32_t adjacency;
};
bool shortcuts_view(const struct shortcuts *s, uint32_t conn, enum ct_dir dir, struct shortcut_view *out);

/* What was forwarded for a direction since the last credit. */
struct shortcut_debt {
	uint32_t packets;
	uint64_t bytes;   /* of IP packets */
	uint64_t last_ns; /* the core's clock */
	bool has_tcp;
	uint32_t tcp_end, tcp_ack, tcp_win; /* highest sequence number + 1, highest acknowledgement, largest window
					     * field as it stands in the header */
};
/* Counters of the connection and of the rules, its timer, its windows: as if the packets had come this way. */
void shortcuts_credit(struct shortcuts *s, uint32_t conn, enum ct_dir dir, const struct shortcut_debt *debt);

struct shortcuts_offload {
	void *ctx;
	/* Both directions have a shortcut and have been used a few times, or the original one of UDP that nobody has answered
	 * (of the reply there is no view then). False: not now; asked again later. */
	bool (*add)(void *ctx, uint32_t conn);
	/* Take it back and credit what is owed: the connection ends, or a shortcut of it does not hold any more. */
	void (*remove)(void *ctx, uint32_t conn);
	/* Credit what is owed. True when there was something. */
	bool (*read_back)(void *ctx, uint32_t conn);
	/* A packet of an offloaded connection came up with a stamp and has been dealt with, on either way. */
	void (*came_up)(void *ctx, uint32_t conn, enum ct_dir dir, const struct up_stamp *stamp);
	/* All shortcuts are void: nothing more is forwarded. Takes no longer for many connections than for few: what is
	 * owed is credited later, and when it is asked for. */
	void (*void_all)(void *ctx);
	/* Credit what is owed for all of them, however long that takes. */
	void (*read_back_all)(void *ctx);
	void (*adjacency_changed)(void *ctx, uint32_t index, enum ip_adjacency_change change);
	/* A packet that came up with a stamp has passed conntrack's windows, and is about to be sent. */
	void (*moved)(void *ctx, uint32_t conn, enum ct_dir dir);
};
/* NULL: nobody. o stays valid. */
void shortcuts_set_offload(struct shortcuts *s, const struct shortcuts_offload *o);
/* o has taken a connection out by itself: add may be called again. */
void shortcuts_left(void *s, uint32_t conn);

#endif
