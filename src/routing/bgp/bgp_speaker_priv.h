/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of a speaker share: bgp_speaker.c has neighbours, what comes in, and whose turn it is; bgp_command.c
 * what an owner asks for; bgp_peer.c when sessions are tried and what comes of their end; bgp_session.c what happens to
 * a connection; bgp_action.c does what the state machine says of it; bgp_link.c has its bytes; bgp_keep.c the paths of
 * a session that is over; bgp_speaker_show.c what is to be seen.
 */
#ifndef YG_ROUTING_BGP_BGP_SPEAKER_PRIV_H
#define YG_ROUTING_BGP_BGP_SPEAKER_PRIV_H

#include "base/timer.h"
#include "base/util.h"
#include "routing/bgp/bgp_fsm.h"
#include "routing/bgp/bgp_speaker.h"

#define BGP_BACK_OFF_MAX_S 60u
#define BGP_STEADY_NS (300 * NS_PER_S) /* up for so long: the back-off begins anew */

#define BGP_RX_LEN (4 * BGP_MESSAGE_MAX)
#define BGP_TX_DATA (4 * BGP_MESSAGE_MAX) /* what is asked for at once */
#define BGP_TX_LEN (BGP_TX_DATA + 256)    /* ... and End-of-RIB, marks, a KEEPALIVE behind it */

/* A connection with a neighbour, or the attempt at one. */
struct bgp_link {
	struct bgp_peer *peer;
	uint8_t state;    /* enum bgp_state */
	bool is_accepted; /* the neighbour has connected */
	bool is_open;     /* as a stream */
	bool is_readable, is_over;
	bool is_blocked; /* the stream has taken less than there was: writable will come */
	int over_error;  /* is_over: of the stream's closed */
	struct stream *s;
	uint8_t *rx, *tx;
	size_t rx_from, rx_to;
	size_t tx_from, tx_to;
	size_t tx_rest; /* bytes of the message at the front that are still to go; 0: none of it has gone */

	/* Times at which timers expire; TIME_NEVER: not running. */
	uint64_t retry_at, hold_at, keepalive_at, delay_at, send_hold_at;
	uint64_t n_taken, n_acked; /* bytes: by the stream; by the peer, when last looked at */
	uint64_t last_in, last_out;

	struct bgp_open ours, theirs;
	struct bgp_wire wire;
	uint16_t hold_s, keepalive_s; /* agreed; 0: none */
	struct bgp_down cause;        /* why it is being ended */
	struct bgp_error notify;      /* the NOTIFICATION for that; code 0: none */
	bool notify_hard;             /* as a hard reset (RFC 8538), where that is agreed */
	bool is_told;                 /* the peer was sent it */
};

struct bgp_peer {
	struct bgp_speaker *speaker;
	uint32_t number, of;
	struct bgp_neighbor_config config;
	bool is_range, is_removed, is_stopping;
	uint32_t n_dynamic;
	bool is_shut;  /* by a command */
	bool is_plain; /* the next OPEN has no capabilities (RFC 5492 section 3) */

	uint8_t idle; /* enum bgp_idle */
	uint64_t until, since;
	uint32_t back_off_s, retry_s;
	struct bgp_link link[2]; /* [0]: ours, or the neighbour's; [1]: the neighbour's */

	uint32_t source; /* in the table; BGP_SOURCE_NONE */
	uint32_t gone;   /* a source that is being taken out; BGP_SOURCE_NONE */
	struct bgp_source of_source;
	bool is_stale;    /* some of its paths are */
	bool is_sweeping; /* ... and are being taken out */
	bool marks_next;  /* behind that, what is left is stale */
	uint64_t stale_at;

	bool has_member, is_to_send, owes_eor, owes_mark;
	uint32_t member; /* in outbound */
	bool eor_in, eor_out;
	bool is_over_warning, is_over_limit;

	struct bgp_down last;
	struct bgp_counters count;

	bool is_ready; /* in the speaker's queue */
	struct bgp_peer *ready_next;
	uint64_t armed_at;
};

struct bgp_speaker {
	struct bgp_speaker_config config;
	struct rng rng;
	uint64_t now; /* of the last entry */
	struct stream_listener *listener;
	bool is_stopped, is_deferring;
	uint64_t created_at;
	uint32_t n_ranges;
	struct bgp_peer *peer[BGP_NEIGHBORS_MAX];
	struct timer_wheel wheel; /* by number */
	struct timer_node node[BGP_NEIGHBORS_MAX];
	struct bgp_peer *ready_first, *ready_last;
	struct bgp_message message; /* that is being read, and what it comes to */
	uint8_t disposition;        /* enum bgp_disposition */
};

/* --- bgp_speaker.c --- */

/* It has something to do. */
void bgp_ready(struct bgp_peer *p);
/* A timer of it may be earlier now. */
void bgp_arm(struct bgp_peer *p);
void bgp_event(struct bgp_peer *p, enum bgp_event_kind kind);
/* t, less up to a quarter (RFC 4271 section 10). */
uint64_t bgp_jitter(struct bgp_speaker *s, uint64_t t);

/* --- bgp_peer.c --- */

static inline struct bgp_link *bgp_other(struct bgp_link *l)
{
	return &l->peer->link[l == &l->peer->link[0]];
}

uint32_t bgp_local_as(const struct bgp_peer *p);
/* A session is tried, or waited for. */
void bgp_peer_start(struct bgp_peer *p);
/* What there is of connections is ended first. */
void bgp_peer_start_again(struct bgp_peer *p);
/* Nothing is tried; what there is of connections has ended. */
void bgp_peer_idle(struct bgp_peer *p, enum bgp_idle why, uint64_t until);
/* Both connections end: the NOTIFICATION (code 0: none), the reason, whether as a hard reset, an operator's words. */
void bgp_peer_stop(struct bgp_peer *p, const struct bgp_error *e, const struct bgp_command *c);
/* All of it is to go: its connections have ended. */
void bgp_peer_gone(struct bgp_peer *p);
/* The neighbour may connect, and we do later; one out of a prefix goes instead, unless routes of it are kept. */
void bgp_peer_resume(struct bgp_peer *p);
/* A connection has ended; l->cause. */
void bgp_peer_ended(struct bgp_peer *p, struct bgp_link *l);
/* The link for a connection that has come in; NULL: it is not wanted. */
struct bgp_link *bgp_peer_link_for(struct bgp_peer *p);
void bgp_peer_timers(struct bgp_peer *p);
uint64_t bgp_peer_next(const struct bgp_peer *p);
int bgp_peer_listen_key(struct bgp_peer *p, bool is_on);

/* --- bgp_action.c --- */

void bgp_link_event(struct bgp_link *l, enum bgp_fsm_event event);
/* The same, and why. */
void bgp_link_fails(struct bgp_link *l, enum bgp_fsm_event event, const struct bgp_error *e);
/* ... by an operator's command. */
void bgp_link_stop(struct bgp_link *l, const struct bgp_error *e, const struct bgp_command *c);
/* ... another connection stays: Cease/7. */
void bgp_link_collides(struct bgp_link *l);
/* It has a stream: what is known of its messages so far. */
void bgp_link_begin(struct bgp_link *l);
void bgp_link_keepalive(struct bgp_link *l);
void bgp_link_retry_later(struct bgp_link *l);
struct stream_ttl bgp_peer_ttl(const struct bgp_peer *p);
/* More prefixes than it may announce: a warning, or the end. */
void bgp_peer_check_limit(struct bgp_peer *p);

/* --- bgp_session.c --- */

/* One whole message. */
void bgp_link_message(struct bgp_link *l, const uint8_t *p, size_t len);
/* A connection of the neighbour's. False: it cannot be taken. */
bool bgp_link_accept(struct bgp_link *l, struct stream *s);
void bgp_link_timers(struct bgp_link *l);

/* --- bgp_link.c --- */

extern const struct stream_events bgp_link_events;

void bgp_link_init(struct bgp_link *l, struct bgp_peer *p);
/* 0 or -ENOMEM. */
int bgp_link_buffers(struct bgp_link *l);
/* The stream and the buffers are given back; what was written still goes out, or nothing does. */
enum bgp_close { BGP_CLOSE, BGP_ABORT };
void bgp_link_close(struct bgp_link *l, enum bgp_close how);
/* One whole message behind what is to be written. False: there is no room. */
bool bgp_link_send(struct bgp_link *l, const uint8_t *p, size_t len);
/* The same, but nothing that has not begun to go may be before it. True: all of it has been taken. */
bool bgp_link_send_last(struct bgp_link *l, const uint8_t *p, size_t len);
/* The peer has taken nothing of what there was since the SendHoldTimer began. */
bool bgp_link_is_stuck(const struct bgp_link *l);
/* What there is to write is handed to the stream. */
void bgp_link_flush(struct bgp_link *l);
/* Reads and uses messages, for so many units of work; see there. True: there is more. */
bool bgp_link_read(struct bgp_link *l, uint32_t budget);
/* Asks for what is to be said, and writes it. True: there is more, and room for it. */
bool bgp_link_write(struct bgp_link *l, uint32_t n_max);

/* --- bgp_keep.c --- */

/* It is up: its source in the table. False: there is no room. */
bool bgp_keep_up(struct bgp_peer *p, const struct bgp_link *l);
/* It is no more; keeps: its paths are stale for now (RFC 4724). */
void bgp_keep_down(struct bgp_peer *p, const struct bgp_link *l, bool keeps);
/* Whether the end of l, which was up, is one after which they are (RFC 4724 section 4.2, RFC 8538 section 4). */
bool bgp_keep_allowed(const struct bgp_link *l);
/* What it has announced is stale until it is announced again. */
void bgp_keep_mark(struct bgp_peer *p);
/* What is still stale goes. */
void bgp_keep_sweep(struct bgp_peer *p);
/* All goes, now that nothing is to come any more. */
void bgp_keep_nothing(struct bgp_peer *p);
/* Work on the table, for so many prefixes. True: there is more. */
bool bgp_keep_work(struct bgp_peer *p, uint32_t budget);
/* Nothing that it announces may be used before that work is done. */
static inline bool bgp_keep_blocks(const struct bgp_peer *p)
{
	return p->gone != BGP_SOURCE_NONE || p->marks_next;
}

#endif
