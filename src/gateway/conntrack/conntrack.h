/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connection tracking: which connection a packet belongs to, and in which state
 * that connection is.
 *
 * A connection is created, unconfirmed, when its first packet passes PREROUTING
 * or OUTPUT (priority -200). It becomes one of the table's when that packet passes
 * INPUT or POSTROUTING (last). Until then only packets of the same flow find it,
 * and share it; when the last of them is dropped, the connection goes with it and
 * leaves no trace.
 *
 * The table holds two references to each connection, one a direction: index << 1
 * | direction. So a look-up of the packet's own tuple yields connection and
 * direction at once, whatever NAT did to the other one.
 */
#ifndef YG_GATEWAY_CONNTRACK_CONNTRACK_H
#define YG_GATEWAY_CONNTRACK_CONNTRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/conntrack/fragment.h"
#include "gateway/conntrack/table.h"
#include "gateway/conntrack/tuple.h"
#include "stack/ip/stack.h"

enum ct_dir { CT_ORIGINAL, CT_REPLY, N_CT_DIRS };

/* conn.status, Linux's names (enum ip_conntrack_status). */
enum ct_status {
	CT_SEEN_REPLY = 0x001,
	CT_ASSURED = 0x002,
	CT_CONFIRMED = 0x004,
	CT_SNAT = 0x008,      /* the REPLY destination differs from the ORIGINAL source */
	CT_DNAT = 0x010,      /* the REPLY source differs from the ORIGINAL destination */
	CT_SNAT_DONE = 0x020, /* the nat hook has decided about the source */
	CT_DNAT_DONE = 0x040,
	CT_DYING = 0x080,
	CT_MAPPED = 0x100,         /* conn_ext.nat_ref holds something that NAT must give back (conntrack_set_mapped) */
	CT_PICKED_UP = 0x200,      /* TCP, first seen in the middle */
	CT_REPLY_RESERVED = 0x400, /* the REPLY tuple stands in the table; ORIGINAL does from the start */
	CT_SNAT_ASKED = 0x800,     /* the rules have been asked about the source, which is not decided yet */
	CT_HELD_DEAD = 0x1000,     /* dead, and its number kept for packets that still name it */
	CT_OUTSIDE = 0x2000,       /* confirmed; it began outside */
	CT_EXPECTED = 0x4000,      /* begun by another connection's packet (conntrack_expect) */
	CT_HELPED = 0x8000,        /* NAT reads what its packets say: none of them takes a flow cache entry */
};

/* Linux's states, in Linux's order. */
enum ct_tcp_state {
	CT_TCP_NONE,
	CT_TCP_SYN_SENT,
	CT_TCP_SYN_RECV,
	CT_TCP_ESTABLISHED,
	CT_TCP_FIN_WAIT,
	CT_TCP_CLOSE_WAIT,
	CT_TCP_LAST_ACK,
	CT_TCP_TIME_WAIT,
	CT_TCP_CLOSE,
	CT_TCP_SYN_SENT2, /* simultaneous open */
	N_CT_TCP_STATES
};

extern const char *const ct_tcp_state_names[N_CT_TCP_STATES]; /* "SYN_SENT" ... as conntrack -L prints */

enum ct_sctp_state {
	CT_SCTP_NONE,
	CT_SCTP_CLOSED,
	CT_SCTP_COOKIE_WAIT,
	CT_SCTP_COOKIE_ECHOED,
	CT_SCTP_ESTABLISHED,
	CT_SCTP_SHUTDOWN_SENT,
	CT_SCTP_SHUTDOWN_RECD,
	CT_SCTP_SHUTDOWN_ACK_SENT,
	CT_SCTP_HEARTBEAT_SENT,
	N_CT_SCTP_STATES
};

enum ct_dccp_state {
	CT_DCCP_NONE,
	CT_DCCP_REQUEST,
	CT_DCCP_RESPOND,
	CT_DCCP_PARTOPEN,
	CT_DCCP_OPEN,
	CT_DCCP_CLOSEREQ,
	CT_DCCP_CLOSING,
	CT_DCCP_TIMEWAIT,
	N_CT_DCCP_STATES
};

/* As conntrack -L prints it; NULL for protocols without states. state: conn.tcp_state. */
const char *ct_state_name(uint8_t proto, uint8_t state);

enum ct_end_reason {
	CT_END_TIMEOUT,
	CT_END_CLOSED, /* TCP, its close timer ran out */
	CT_END_RESET,
	CT_END_REUSED,    /* a new SYN on an old tuple */
	CT_END_EVICTED,   /* under pressure, unreplied */
	CT_END_FLUSHED,   /* by command */
	CT_END_CONFIG,    /* its translation left the config */
	CT_END_REFUSED,   /* nobody wanted it */
	CT_END_ROUTE,     /* masqueraded, and its route leads out of another interface now */
	CT_END_RECLAIMED, /* finished or idle, and a new one needed its port */
	N_CT_END_REASONS
};

extern const char *const ct_end_reason_names[N_CT_END_REASONS];

/* Per direction of TCP (Linux's struct ip_ct_tcp_state; van Rooij 2001). */
struct ct_tcp_window {
	uint32_t end;     /* highest sequence number sent, + 1 */
	uint32_t max_end; /* highest sequence number that the receiver allows */
	uint32_t max_win; /* largest window seen, scaled */
	uint32_t max_ack;
};

/* Of a connection that has no windows: what a packet of this direction becomes (an ICMP query has its identifier in
 * sport), and when the connection began. */
struct ct_datagram_half {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t first_tick;
};

/* SCTP: the verification tag that packets of this direction carry, 0: not known; and the one that a set-up which is not
 * finished has announced for them. */
struct ct_sctp_half {
	uint32_t tag, next_tag;
};

/* What gateway/flowcache keeps of a direction. */
struct ct_flowcache {
	uint16_t generation; /* 0: none */
	uint16_t adjacency;
	uint16_t path;      /* the rule counters that a packet of this flow adds to (rules.h) */
	uint8_t in_ifindex; /* learnt from a packet that came in here */
	uint8_t adjacency_generation : 7;
	uint8_t offloaded : 1; /* the kernel has the connection too */
};

/* One direction of a connection, in a cache line: all that a plain datagram of it reads and writes. A TCP segment is
 * judged by the windows of both. */
struct ct_half {
	struct tuple tuple;
	uint64_t packets, bytes;
	union {
		struct ct_tcp_window tcp;
		struct ct_sctp_half sctp;
		struct ct_datagram_half datagram; /* of all others */
	};
	struct ct_flowcache flowcache;
	uint32_t expires_tick; /* when the connection would end by the packets of this direction (conn_expires_tick) */
	uint8_t flags, scale;  /* conntrack's own: see tcp_priv.h and datagram.c */
	uint16_t of_both;      /* conn.status in one line, conn.tcp_state and conn.tcp_last in the other */
};
_Static_assert(sizeof(struct ct_half) == 64, "a cache line");

#define CT_HALF_OWN_BYTES offsetof(struct ct_half, of_both)

struct conn {
	union {
		struct ct_half half[N_CT_DIRS];
		struct {
			uint8_t original[CT_HALF_OWN_BYTES];
			uint16_t status; /* enum ct_status */
			uint8_t reply[CT_HALF_OWN_BYTES];
			uint8_t tcp_state; /* enum ct_tcp_state, ct_sctp_state or ct_dccp_state */
			uint8_t tcp_last;  /* of a segment that was passed on but ignored; see tcp.c and dccp.c */
		};
	};
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct conn) == 128, "two cache lines");

/* What others note of a connection, beside it. */
struct conn_ext {
	uint32_t mark;
	uint32_t nat_ref;         /* NAT's own, valid with CT_MAPPED */
	uint32_t nat_destination; /* NAT's own, of a port that is held: the number of its destination's counter */
	uint16_t zone; /* packets of the ORIGINAL direction are routed by its table: where the connection began, but
			* where a destination translation leads into another zone */
	uint16_t begun_high; /* conntrack's own (ct_begun_us): two bytes that nobody else needs */
};

/* Seconds; 0 takes the default. */
struct ct_timeouts {
	uint32_t tcp_syn_sent, tcp_syn_recv, tcp_established, tcp_fin_wait, tcp_close_wait, tcp_last_ack, tcp_time_wait,
		tcp_close, tcp_unacknowledged;
	uint32_t udp_new, udp_stream;
	uint32_t udp_well_known; /* to ports below 1024 (RFC 4787 REQ-5a); 0: as the others */
	uint32_t udp_answered;   /* ... that were answered and never became a stream; 0: as the others */
	uint32_t udplite_new, udplite_stream;
	uint32_t sctp_closed, sctp_cookie_wait, sctp_cookie_echoed, sctp_established, sctp_shutdown_sent,
		sctp_shutdown_recd, sctp_shutdown_ack_sent, sctp_heartbeat_sent;
	uint32_t dccp_request, dccp_respond, dccp_partopen, dccp_open, dccp_closereq, dccp_closing, dccp_timewait;
	uint32_t gre_new, gre_stream, esp_new, esp_stream;
	uint32_t icmp;
	uint32_t other;
};

/* The conntrack part of a snapshot. */
struct ct_config {
	struct ct_timeouts timeout;
	uint16_t zone[IP_INTERFACES_MAX]; /* by ifindex */
	uint64_t outside;                 /* a bit an interface that leads outside; 0: nobody knows */
	uint32_t max_per_source;          /* 0: no limit */
	uint32_t new_per_source_s;        /* new connections a second of one source; 0: no limit */
	uint32_t pick_up;                 /* 1: TCP connections seen in the middle are taken up, 0: INVALID */
	uint32_t drop_unknown;            /* 1: whose sender then hears nothing, 0: he is told by a reset */
};

struct ct_limits {
	uint32_t n_connections; /* 0: 262,144 */
	uint32_t n_fragments;   /* fragments of packets in transit that are held, and packets whose fragments are
				 * followed, 0: 1024 */
};

struct conntrack;

struct conntrack *conntrack_create(struct env *env, const struct ct_limits *limits);
void conntrack_destroy(struct conntrack *ct);
void conntrack_configure(struct conntrack *ct, const struct ct_config *cfg);

/* Hooks. */
void conntrack_defrag(void *ct, enum ip_hook hook, struct batch *b);  /* PREROUTING, OUTPUT, -400 */
void conntrack_in(void *ct, enum ip_hook hook, struct batch *b);      /* PREROUTING, OUTPUT, -200 */
void conntrack_confirm(void *ct, enum ip_hook hook, struct batch *b); /* INPUT, POSTROUTING, last */
/* For notrack: a packet with ct_info set to CT_INFO_UNTRACKED before -200 is left alone. */

/* For the slots of the packet pool (packet_conn_slots). The last packet of an unconfirmed connection that is freed
 * takes the connection with it. A packet that waits holds its connection's number, whatever becomes of the connection.
 */
void conntrack_packet_put(void *ct, struct packet *p);
void conntrack_packet_get(void *ct, struct packet *p);
void conntrack_packet_revalidate(void *ct, struct packet *p);

static inline uint32_t conn_index(uint32_t ref)
{
	return ref >> 1;
}

static inline enum ct_dir conn_dir(uint32_t ref)
{
	return (enum ct_dir)(ref & 1);
}

struct conn *conntrack_conn(struct conntrack *ct, uint32_t index);
struct conn_ext *conntrack_ext(const struct conntrack *ct, uint32_t index);
/* The connection of a packet, NULL when it has none. */
static inline struct conn *conntrack_of(struct conntrack *ct, const struct packet *p)
{
	return p->conn_ref == CONN_NONE ? NULL : conntrack_conn(ct, conn_index(p->conn_ref));
}

/* When it ends if nothing more comes, in ticks of conntrack's clock: the later of what its directions say. */
static inline uint32_t conn_expires_tick(const struct conn *c)
{
	uint32_t a = c->half[CT_ORIGINAL].expires_tick, b = c->half[CT_REPLY].expires_tick;

	return (int32_t)(a - b) < 0 ? b : a;
}

struct conn_counters {
	uint64_t packets[N_CT_DIRS], bytes[N_CT_DIRS];
};
void conn_counters(const struct conntrack *ct, uint32_t index, struct conn_counters *out);
/* Since its first packet: to the microsecond when that came. */
uint64_t conntrack_age_ns(const struct conntrack *ct, uint32_t index);
/* Whole seconds until it ends if nothing more comes. */
uint32_t conn_timeout_s(const struct conntrack *ct, uint32_t index);

/* Ends a connection now: NAT's slot is called, an event is sent. Whoever ends more than one for a packet asks
 * conntrack_may_end before each: packets of the batch may name what has ended, and it waits for them. */
void conntrack_end(struct conntrack *ct, uint32_t index, enum ct_end_reason reason);
bool conntrack_may_end(const struct conntrack *ct);

/* For NAT: is it needed any more (spare.c)? In rising order of how little. *quiet: since its last packet, in ticks. */
enum ct_spare { CT_NEEDED, CT_IDLE, CT_FINISHED };
enum ct_spare conntrack_spare(struct conntrack *ct, uint32_t index, uint32_t *quiet);
/* A quick look: false where conntrack_spare does not say CT_FINISHED, now or later without another packet. */
bool conntrack_may_be_finished(const struct conntrack *ct, uint32_t index);
/* Ends one that is not needed, also within a batch. False: later. */
bool conntrack_reclaim(struct conntrack *ct, uint32_t index);
/* The zone that answers to p will come in with: of its output interface; those of the gateway itself go back into the
 * zone that p is routed in. */
uint16_t conntrack_reply_zone(const struct conntrack *ct, enum ip_hook hook, const struct packet *p);
/* For NAT, before the connection is confirmed: makes `reply` its REPLY tuple and takes it in the table, so that nobody
 * else can have it from here on. False when another connection has it (or the table has no room); then nothing has
 * changed. */
bool conntrack_reserve_reply(struct conntrack *ct, uint32_t index, const struct tuple *reply);
/* The same in three steps, for several at a time: the tuple's place, whose line in the table is then fetched. */
ct_place conntrack_reply_place(const struct conntrack *ct, const struct tuple *reply);
void conntrack_reach_reply(const struct conntrack *ct, ct_place place);
bool conntrack_reserve_reply_at(struct conntrack *ct, uint32_t index, const struct tuple *reply, ct_place place);
/* Begins a connection whose both tuples are known, and what p, a packet of another one, says to go on with: as if it
 * had passed all hooks, on p's way. Its packets are RELATED until it is answered. It is counted with the source that
 * p's connection is of. Whatever has one of the tuples ends. The index, CONN_NONE when there is no room. */
uint32_t conntrack_expect(struct conntrack *ct, const struct packet *p, const struct tuple *orig,
			  const struct tuple *reply);
/* The connection that ended in this batch for this unconfirmed one to begin on its ORIGINAL tuple, while it still holds
 * something for NAT (CT_MAPPED, which whoever takes that over clears); CONN_NONE: none. */
uint32_t conntrack_predecessor(const struct conntrack *ct, uint32_t index);
/* The reference (index << 1 | direction) of the connection that uses this tuple, CONN_NONE if none. */
uint32_t conntrack_find(const struct conntrack *ct, const struct tuple *t);
/* p, of no connection, came in from inside, and its sender is to be told so. */
bool conntrack_answers_unknown(const struct conntrack *ct, const struct packet *p);
/* The zone of an interface. */
uint16_t conntrack_zone(const struct conntrack *ct, uint32_t ifindex);
/* The zone by whose routing table packets of this reference go. */
uint16_t conntrack_table_zone(const struct conntrack *ct, uint32_t ref);
/* The zone of p's tuple: of its interface, of a packet of ours the one that it is routed in. */
static inline uint16_t conntrack_zone_of(const struct conntrack *ct, const struct packet *p)
{
	return p->in_ifindex != 0 ? conntrack_zone(ct, p->in_ifindex) : p->zone;
}

/* For NAT: the identification with which all fragments of p's packet leave; *id is a fresh one, which the first
 * fragment to ask takes for all. False when they are not followed. */
bool conntrack_fragment_id(struct conntrack *ct, const struct packet *p, uint16_t *id);

/* For NAT: the connection holds something (CT_MAPPED) from here on, or nothing any more; and how many do, confirmed or
 * not. */
void conntrack_set_mapped(struct conntrack *ct, uint32_t index);
void conntrack_clear_mapped(struct conntrack *ct, uint32_t index);
uint32_t conntrack_n_mapped(const struct conntrack *ct);

/* For rules and NAT: what p is of the packet that it came in fragments of, and in *walk what was decided about the
 * first one, who comes through every hook before the others. */
enum ct_fragment_place {
	CT_FRAGMENT_NONE,  /* a whole packet, or one of a protocol whose fragments need no first */
	CT_FRAGMENT_FIRST, /* fills *walk */
	CT_FRAGMENT_LATER, /* goes by it */
	CT_FRAGMENT_LOST,  /* a later one; nobody knows any more */
};
enum ct_fragment_place conntrack_fragment_place(struct conntrack *ct, const struct packet *p,
						struct ct_fragment_walk **walk);

/* Slots of NAT. */
struct ct_nat_ops {
	/* Called once when a connection with CT_MAPPED ends or is discarded. */
	void (*release)(void *ctx, struct conn *c, uint32_t index);
	/* It will be called for this one: what that touches may be fetched. */
	void (*reach)(void *ctx, const struct conn *c, uint32_t index);
	/* conntrack_may_be_finished has become true. */
	void (*finished)(void *ctx, uint32_t index);
};
/* ops NULL: nobody, as at first. */
void conntrack_set_nat(struct conntrack *ct, const struct ct_nat_ops *ops, void *ctx);

/* Slots of the IP layer. */
struct ct_ip_ops {
	/* Fragments that were held until their first fragment came and found no room in its batch: takes them, in
	 * order, as if they came in now (ip_input), and leaves the batch empty. Without it they wait for the next
	 * batch. */
	void (*resume)(void *ctx, struct batch *b);
	/* A packet that came in, would have begun a connection and is dropped for want of room: too many of its source,
	 * too fast, or the table is full. Told before the packet is freed, so that its sender can be answered (RFC 5508
	 * REQ-8). */
	void (*refused)(void *ctx, const struct packet *p);
	/* True when the route to p's source leads back to where p came in. Asked only for limits per source: what may
	 * be forged is not put on the account of the address. Without it every source is believed. */
	bool (*leads_back)(void *ctx, const struct packet *p);
};
/* ops NULL: nobody, as at first. */
void conntrack_set_ip(struct conntrack *ct, const struct ct_ip_ops *ops, void *ctx);

/* Slots of the flow cache. */
struct ct_flowcache_ops {
	/* Called once when a confirmed connection is about to end, while everything of it still stands. */
	void (*ended)(void *ctx, uint32_t index);
	/* The time of a connection is up, or a packet will be judged by its windows. Whoever forwards packets of it
	 * elsewhere credits them now (conntrack_add_deferred). True when there were some. */
	bool (*alive)(void *ctx, uint32_t index);
};
/* ops NULL: nobody, as at first. */
void conntrack_set_flowcache(struct conntrack *ct, const struct ct_flowcache_ops *ops, void *ctx);

/* Slot for who keeps a record of connections: one is in the table, with both tuples; one ends, with all that passed
 * counted, while NAT still holds what it has. Empty: a branch. */
struct ct_log {
	void (*began)(void *ctx, uint32_t index);
	void (*ended)(void *ctx, uint32_t index, enum ct_end_reason reason);
	void *ctx;
};
void conntrack_set_log(struct conntrack *ct, const struct ct_log *log);

/* Slot for a group of workers (src/core/workers/workers.h). */
struct ct_workers {
	void *ctx;
	/* The connection was just confirmed by p. False: it cannot be, since another worker cannot be told of it. */
	bool (*confirmed)(void *ctx, uint32_t index, const struct packet *p);
	/* A confirmed connection is about to end. */
	void (*ended)(void *ctx, uint32_t index);
};
void conntrack_set_workers(struct conntrack *ct, const struct ct_workers *workers);

void conntrack_expire(struct conntrack *ct);
uint64_t conntrack_next_deadline(const struct conntrack *ct);

/* A TCP connection that was seen from the middle on, so that nothing of it is refused for its windows. */
bool conntrack_tcp_liberal(const struct conn *c);

/* All numbers are below this. */
uint32_t conntrack_n_numbers_max(const struct conntrack *ct);
/* Numbers from here on have never been a connection's. */
uint32_t conntrack_n_numbers(const struct conntrack *ct);
uint32_t conntrack_n_connections(const struct conntrack *ct);
uint32_t conntrack_capacity(const struct conntrack *ct);
/* For listing in slices: the next confirmed connection at or behind *cursor; false at the end. */
bool conntrack_next(const struct conntrack *ct, uint32_t *cursor, uint32_t *index);

enum ct_counter {
	CT_COUNT_CREATED,
	CT_COUNT_CONFIRMED,
	CT_COUNT_DISCARDED, /* unconfirmed, with its packet */
	CT_COUNT_ENDED,
	CT_COUNT_INVALID,
	CT_COUNT_RST_OUT_OF_WINDOW,
	CT_COUNT_ICMP_OUT_OF_WINDOW,
	CT_COUNT_CLASH_RESOLVED, /* packets whose connection another one of their batch has confirmed, or ended, before
				  */
	CT_COUNT_EVICTED,
	CT_COUNT_RECLAIMED,
	CT_COUNT_SOURCE_CROWDED, /* counted with their prefix, not by their source alone */
	N_CT_COUNTERS
};
extern const char *const ct_counter_names[N_CT_COUNTERS];
const uint64_t *conntrack_counts(const struct conntrack *ct);

#endif
