/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The trace slot: whoever fills it (env_set_trace) is told each step of each
 * packet's way, as numbers, in the order in which the core takes it. The core makes
 * no text of them; where a step names something by its number (an entry of a hook,
 * a rule, an interface), whoever listens asks the room that it belongs to.
 *
 * When the slot is empty a step costs one branch, where packets go in batches one a
 * batch. Listening changes nothing: the core does not read what the slot leaves.
 *
 * A packet is known by its descriptor's index from the step that begins its way
 * (TRACE_RECEIVED, TRACE_MADE, TRACE_PIECE) to the one that ends it (TRACE_SENT,
 * TRACE_DROPPED, TRACE_DELIVERED, TRACE_CONSUMED), or until the index begins
 * another: a fragment that became part of a whole packet has no end of its own.
 *
 * Each worker has a slot, and descriptors of its own. What is another worker's is told
 * as handed over, and its way ends here, but for the hook in which that happened
 * (TRACE_HOOK_DONE); most often nothing else is told of it, since nobody looks into it
 * before. There it begins with TRACE_TAKEN_OVER, and goes on as any other: often with
 * TRACE_RECEIVED.
 */
#ifndef YG_STACK_PACKET_TRACE_H
#define YG_STACK_PACKET_TRACE_H

#include <stdint.h>

#include "base/addr.h"
#include "stack/wire/ether.h"

struct packet;

enum trace_kind {
	TRACE_RECEIVED,   /* ifindex */
	TRACE_MADE,       /* here: a reply, an ICMP error, a reset, an ARP request, a socket's packet */
	TRACE_PIECE,      /* cut: a piece or segment of the packet `of`, which ends here unless it is that itself */
	TRACE_FLOWCACHE,  /* flow, route: by its flow cache entry, and so past everything else; headers are as they came
			   */
	TRACE_HOOK,       /* hook: its entry begins */
	TRACE_HOOK_DONE,  /* hook: its entry has left the packet with this verdict; headers as they are now */
	TRACE_RULE,       /* rule: its matches hold */
	TRACE_POLICY,     /* rule: the end of a chain, and what its policy says */
	TRACE_CONNECTION, /* conn: what connection tracking found */
	TRACE_DESTINATION, /* nat: asked for a new connection's destination */
	TRACE_SOURCE,      /* nat: ... and source */
	TRACE_ROUTE,       /* route */
	TRACE_NEIGHBOUR,   /* neigh */
	TRACE_REASSEMBLY,  /* a fragment to us goes to the others of its packet */
	TRACE_ANSWERED,    /* answer: an ICMP error about it was asked for */
	TRACE_RESET,       /* it is answered by a TCP reset */
	TRACE_SENT,        /* ifindex: the frame goes to the driver */
	TRACE_DROPPED,     /* reason */
	TRACE_DELIVERED,   /* a local protocol or socket has had it */
	TRACE_CONSUMED,    /* used up by the gateway itself: ARP */
	TRACE_HANDED_OVER, /* handoff: to another worker, or the host, in whose trace its way goes on */
	TRACE_TAKEN_OVER,  /* handoff: from there */
	N_TRACE_KINDS
};

enum trace_rule_verdict {
	TRACE_RULE_GOES_ON, /* no verdict: with the next rule */
	TRACE_RULE_ACCEPT,
	TRACE_RULE_DROP,
	TRACE_RULE_REJECT,
	TRACE_RULE_JUMP,
	TRACE_RULE_GOTO,
	TRACE_RULE_RETURN,
	TRACE_RULE_TRANSLATE, /* the step of the mapping follows */
	N_TRACE_RULE_VERDICTS
};

enum trace_neigh_state {
	TRACE_NEIGH_KNOWN,
	TRACE_NEIGH_STALE,   /* known, and used while it is asked again */
	TRACE_NEIGH_ASKED,   /* the packet is held until it answers */
	TRACE_NEIGH_FAILED,  /* it did not answer */
	TRACE_NEIGH_REFUSED, /* no room to ask: the drop's reason says which */
	N_TRACE_NEIGH_STATES
};

struct trace_step {
	enum trace_kind kind;
	const struct packet *p; /* good until the slot returns */
	union {
		uint32_t ifindex;
		uint32_t of;     /* index of a packet */
		uint32_t reason; /* enum drop_reason */
		struct {
			uint8_t hook;    /* enum ip_hook */
			uint8_t verdict; /* TRACE_HOOK_DONE: enum packet_verdict */
			uint32_t entry;  /* its place in the hook's list */
			int32_t priority;
		} hook;
		struct {
			uint32_t row;        /* of rules_next's cursor */
			uint32_t file, line; /* as in struct text_pos */
			uint8_t verdict;     /* enum trace_rule_verdict */
		} rule;
		struct {
			uint32_t index; /* CONN_NONE: none */
			uint8_t is_reply;
			uint8_t info;     /* enum ct_info */
			uint8_t is_quote; /* an ICMP error about it */
			struct ip_tuple original, reply;
		} conn;
		struct {
			uint8_t action;           /* enum nat_action_kind */
			uint8_t is_done;          /* 0: refused, or waits for another worker */
			uint16_t pool;            /* of the config, with the action that names one */
			struct ip_tuple was, now; /* of the packet: behind it is rewritten so */
		} nat;
		struct {
			struct ip_addr dst, next_hop; /* looked up; next_hop: none if there is no way */
			struct ip_prefix prefix;      /* that dst was found by; none without a route */
			uint32_t group;               /* that the prefix leads to, by its number in the table */
			uint32_t ifindex;             /* out; 0: to us, or nowhere */
			uint16_t zone;                /* in whose table it was looked for ... */
			uint16_t table;               /* ... and whose has it: that, or 0 */
			uint8_t kind;                 /* enum fib_kind */
			uint8_t n_ways;               /* of which one was chosen by the flow; 0: there is but one */
		} route;
		struct {
			struct ip_addr addr;
			struct ether_addr mac; /* zeros while it is not known */
			uint32_t ifindex;
			uint8_t state; /* enum trace_neigh_state */
		} neigh;
		struct {
			uint32_t conn; /* index */
			uint32_t ifindex;
			struct ether_addr mac;
			uint8_t is_reply;
			struct ip_tuple now; /* what the packet becomes */
		} flow;
		struct {
			uint8_t from, to; /* workers; the host has the number behind the last */
			uint32_t ifindex; /* by which it came in; 0: it was made here */
		} handoff;
		struct {
			uint8_t type, code;
			uint8_t silence; /* enum icmp_silence: why none is sent */
		} answer;
	};
};

typedef void trace_fn(void *ctx, const struct trace_step *step);

struct trace_slot {
	trace_fn *fn; /* NULL: nobody listens; then nothing below may be called */
	void *ctx;
};

struct batch;
/* The same step of each packet of b. */
void trace_batch(const struct trace_slot *t, const struct trace_step *like, const struct batch *b);
/* They were cut from the packet with this index. */
void trace_pieces(const struct trace_slot *t, uint32_t of, const struct batch *pieces);
/* A step that needs no more than the packet. */
void trace_end(const struct trace_slot *t, enum trace_kind kind, const struct packet *p);

#endif
