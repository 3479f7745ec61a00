/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A neighbour of BGP as plain values: what is configured of it, and what is to be seen of it.
 *
 * Zeros in a config are the usual. Times of a config are seconds; times of a view are nanoseconds of the clock that the
 * speaker is given. Addresses, identifiers and ports are in host order.
 */
#ifndef YG_ROUTING_BGP_BGP_NEIGHBOR_H
#define YG_ROUTING_BGP_BGP_NEIGHBOR_H

#include "routing/stream/stream.h"
#include "stack/wire/bgp_message.h"

#define BGP_PORT 179
#define BGP_NEIGHBORS_MAX 1024
#define BGP_NAME_MAX 32 /* bytes, NUL included */

#define BGP_HOLD_S 90u           /* RFC 4271 section 10 */
#define BGP_HOLD_NONE UINT16_MAX /* no hold timer, no KEEPALIVEs: 0 in OPEN */
#define BGP_HOLD_MIN_S 3u        /* RFC 4271 section 4.2 */
#define BGP_CONNECT_RETRY_S 120u /* RFC 4271 section 10 */
#define BGP_SEND_HOLD_MIN_S 480u /* RFC 9687 section 3.4 */
#define BGP_RESTART_S 120u       /* said in OPEN, RFC 4724 section 3 */
#define BGP_STALE_S 360u         /* End-of-RIB of a neighbour that is back has not come */
#define BGP_WARN_PERCENT 80u     /* of a limit */
#define BGP_DYNAMIC_MAX 100u     /* neighbours out of one prefix */

/* What a speaker does not say that it can, and so does not. */
enum bgp_without {
	BGP_WITHOUT_AS4 = 1,              /* RFC 6793 */
	BGP_WITHOUT_MP = 2,               /* RFC 4760 */
	BGP_WITHOUT_REFRESH = 4,          /* RFC 2918; 7313 falls with it */
	BGP_WITHOUT_ENHANCED_REFRESH = 8, /* RFC 7313 */
	BGP_WITHOUT_RESTART = 16,         /* RFC 4724, 8538 */
};

enum bgp_limit_action { BGP_LIMIT_ENDS, BGP_LIMIT_WARNS };

struct bgp_neighbor_config {
	char name[BGP_NAME_MAX]; /* for people; unique, or empty */
	/* Whose. Shorter than 32 bits: any host of it may come as a neighbour of its own, dynamic_max at a time; none
	 * is connected to. */
	struct ip4_prefix peers;
	uint32_t dynamic_max; /* 0: BGP_DYNAMIC_MAX */
	uint32_t tag;         /* the owner's own: whose policy, whose group; carried into views and bgp_outbound */

	uint32_t local_as;   /* 0: the speaker's */
	uint32_t peer_as;    /* 0: any but local_as; local_as: internal */
	uint32_t local_addr; /* 0: by the route */
	uint16_t port;       /* of the peer. 0: BGP_PORT */
	bool is_passive;     /* it is never connected to */

	/* Hops to it: 0: neighbours on a link (TTL 1) when external, any distance when internal. */
	uint8_t hops;
	bool ttl_security;     /* RFC 5082: TTL 255 is sent, and 256 - max(hops, 1) the least to be taken */
	struct stream_key key; /* TCP-MD5; len 0: none */

	uint16_t hold_s;          /* 0: BGP_HOLD_S; BGP_HOLD_NONE, else at least BGP_HOLD_MIN_S */
	uint16_t keepalive_s;     /* 0: a third of the hold time that is agreed; never more than that */
	uint16_t connect_retry_s; /* 0: BGP_CONNECT_RETRY_S */
	uint16_t delay_open_s;    /* 0: OPEN is sent at once */
	uint16_t send_hold_s;     /* 0: the greater of BGP_SEND_HOLD_MIN_S and twice the hold time */

	uint8_t without; /* enum bgp_without, or'd */
	bool has_role;
	uint8_t role;                /* ours, enum bgp_role (RFC 9234) */
	bool strict_role;            /* the peer must say one */
	uint16_t restart_s, stale_s; /* 0: BGP_RESTART_S, BGP_STALE_S */

	bool any_first_as, takes_as_sets; /* as in struct bgp_wire */
	uint32_t cluster_id;

	/* Prefixes that it may have announced, before policy; 0: any number. */
	uint32_t max_prefixes;
	uint8_t max_warn_percent;  /* 0: BGP_WARN_PERCENT */
	uint8_t max_action;        /* enum bgp_limit_action */
	uint32_t max_restart_s;    /* from then on another session may be; 0: not before a command */
	uint32_t max_prefixes_out; /* 0: any number; for bgp_outbound */

	bool is_shut;                              /* no session is wanted */
	char shut_text[BGP_SHUTDOWN_TEXT_MAX + 1]; /* RFC 9003: what the peer is told when it becomes so; UTF-8 */
};

/* NULL when it can be used, else what is wrong with it: a few words, constant. */
const char *bgp_neighbor_config_fault(const struct bgp_neighbor_config *c, uint32_t speaker_as);
/* The first thing in which they differ for which a session has to end: a few words, constant; NULL: a session goes on
 * through the change. */
const char *bgp_neighbor_config_resets(const struct bgp_neighbor_config *a, const struct bgp_neighbor_config *b);

/* RFC 4271 section 8.2.2. */
enum bgp_state {
	BGP_STATE_IDLE,
	BGP_STATE_CONNECT,
	BGP_STATE_ACTIVE,
	BGP_STATE_OPEN_SENT,
	BGP_STATE_OPEN_CONFIRM,
	BGP_STATE_ESTABLISHED,
	N_BGP_STATES
};
extern const char *const bgp_state_names[N_BGP_STATES]; /* "Idle", "OpenSent" ... */

/* Why nothing is tried in Idle. */
enum bgp_idle {
	BGP_IDLE_NOT,      /* it is not idle */
	BGP_IDLE_BACK_OFF, /* until `until` */
	BGP_IDLE_SHUT,     /* no session is wanted: config, or command */
	BGP_IDLE_LIMIT,    /* more prefixes than it may announce; until `until`, or a command */
	BGP_IDLE_SWEEP,    /* what it announced before is being taken out; for a moment */
	N_BGP_IDLES
};
extern const char *const bgp_idle_names[N_BGP_IDLES]; /* "back-off", "administratively shut down" ... */

enum bgp_side { BGP_SIDE_NONE, BGP_SIDE_LOCAL, BGP_SIDE_PEER, BGP_SIDE_TRANSPORT, N_BGP_SIDES };
extern const char *const bgp_side_names[N_BGP_SIDES];

/* How a session, or an attempt at one, has ended. */
struct bgp_down {
	uint64_t at;           /* ns; 0: none has */
	uint8_t side;          /* enum bgp_side: who said so */
	bool is_hard;          /* a hard reset (RFC 8538) */
	bool was_up;           /* it had been established */
	bool keeps;            /* routes stay for now (RFC 4724) */
	uint8_t code, subcode; /* of the NOTIFICATION; code 0: there was none */
	int error;             /* BGP_SIDE_TRANSPORT: an errno; 0: the peer closed the connection */
	const char *why;       /* a few words, constant; NULL: only the code is known */
	uint8_t text_len;
	uint8_t text[BGP_SHUTDOWN_TEXT_MAX]; /* RFC 9003, as it came or went: not fit for a terminal (base/printable.h)
					      */
};

enum bgp_direction { BGP_IN, BGP_OUT, N_BGP_DIRECTIONS };
#define N_BGP_TYPES (BGP_ROUTE_REFRESH + 1)

struct bgp_counters {
	uint64_t messages[N_BGP_DIRECTIONS][N_BGP_TYPES]; /* by enum bgp_type */
	uint64_t bytes[N_BGP_DIRECTIONS];
	uint64_t dispositions[BGP_RESET + 1]; /* UPDATEs that came, by enum bgp_disposition */
	uint32_t n_up;                        /* sessions that were established */
	uint32_t n_connects, n_accepts;       /* connections begun, and taken */
	uint32_t n_refused;                   /* ... that came and were not wanted */
	uint32_t n_collisions;                /* ... that lost (RFC 4271 section 6.8) */
	uint32_t n_limit;                     /* sessions that ended by max_prefixes */
	uint32_t n_no_memory;
};

#define BGP_NEIGHBOR_NONE UINT32_MAX

struct bgp_neighbor_view {
	uint32_t number;
	const struct bgp_neighbor_config *config; /* good until the speaker is entered again */
	uint32_t of;   /* the number of the prefix that it came out of; else BGP_NEIGHBOR_NONE */
	bool is_range; /* no neighbour, but a prefix out of which some may come: n_dynamic have */
	uint32_t n_dynamic;

	uint8_t state;                   /* enum bgp_state; of two connections the one that is further */
	uint8_t idle;                    /* enum bgp_idle */
	uint64_t until;                  /* TIME_NEVER: a command */
	uint64_t since;                  /* of being established, or of not being so */
	bool is_accepted;                /* the peer has connected, not we */
	struct stream_end local, remote; /* port 0: no connection */
	uint32_t source;                 /* in the table; BGP_SOURCE_NONE: none */

	/* In OpenConfirm and Established; of `ours` in OpenSent. */
	struct bgp_open ours, theirs;
	struct bgp_wire wire; /* what is agreed */
	uint16_t hold_s, keepalive_s;
	/* Times at which they expire; TIME_NEVER: not running. */
	uint64_t hold_at, keepalive_at, connect_retry_at, send_hold_at, stale_at;
	uint64_t last_in, last_out; /* of a message; 0: none */

	uint32_t n_prefixes; /* that it has announced, before policy */
	bool is_stale;       /* ... some of them before it was lost (RFC 4724) */
	bool is_over_warning;
	bool eor_in, eor_out; /* End-of-RIB has come, has gone */
	size_t unacked;       /* bytes */
	struct stream_digests digests;

	struct bgp_down last;
	struct bgp_counters count;
};

#endif
