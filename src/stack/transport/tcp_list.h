/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All that TCP has, as plain values: listeners, connections, entries of the SYN queue and
 * TIME_WAIT records. For listings and tests; it changes nothing.
 *
 * Times are ns, sizes bytes, ports and addresses host order.
 */
#ifndef YG_STACK_TRANSPORT_TCP_LIST_H
#define YG_STACK_TRANSPORT_TCP_LIST_H

#include "stack/transport/cc.h"
#include "stack/transport/tcp.h"
#include "stack/transport/tcp_info.h"

/* Linux's first, in the order in which one of them is shown. */
enum tcp_timer_kind {
	TCP_TIMER_NONE,
	TCP_TIMER_ON, /* retransmission, loss probe, RACK's reordering */
	TCP_TIMER_PERSIST,
	TCP_TIMER_KEEPALIVE, /* also FIN_WAIT_2's of a connection that nobody has */
	TCP_TIMER_TIME_WAIT,
	TCP_TIMER_DELACK,
	TCP_TIMER_PACING, /* or more to be written (cork) */
	N_TCP_TIMER_KINDS
};
extern const char *const tcp_timer_names[N_TCP_TIMER_KINDS]; /* as ss prints them */

#define TCP_TIMERS_MAX 4u
struct tcp_timer {
	uint8_t kind; /* enum tcp_timer_kind */
	uint8_t n;    /* how often it has fired in a row */
	uint64_t left;
};

/* What keeps bytes back that the user has written, in the order in which it is looked at. */
enum tcp_hold {
	TCP_HOLD_NONE,    /* nothing is written and not sent */
	TCP_HOLD_OPENING, /* the connection does not stand yet */
	TCP_HOLD_LOST,    /* what was lost goes first */
	TCP_HOLD_MORE,    /* the user says that more comes (TCP_CORK, MSG_MORE) */
	TCP_HOLD_NAGLE,   /* a small segment, while another one is on its way */
	TCP_HOLD_WINDOW,  /* the other end's window */
	TCP_HOLD_CWND,    /* the path's */
	TCP_HOLD_PACING,
	TCP_HOLD_MEMORY, /* none of these: it is about to leave, or there was no memory */
	N_TCP_HOLDS
};

enum tcp_entry_kind { TCP_ENTRY_LISTENER, TCP_ENTRY_CONN, TCP_ENTRY_HALF_OPEN, TCP_ENTRY_TIME_WAIT, N_TCP_ENTRY_KINDS };

struct tcp_entry {
	enum tcp_entry_kind kind;
	enum tcp_state state;
	uint32_t index; /* of its kind; the kind and it are good for as long as it is there */
	struct tcp_end local, remote;
	uint16_t zone;
	uint32_t ifindex;          /* that it is bound to; 0: any */
	bool has_user, is_orphan;  /* is_orphan: a connection that its user has closed */
	uint64_t user;             /* with has_user */
	uint32_t recv_q, send_q;   /* not read, not acknowledged; of a listener: to be accepted, and the backlog */
	uint32_t n_half_open;      /* of a listener */
	bool is_deferred;          /* of a half open one: the handshake is done, and data is waited for */
	uint32_t snd_nxt, rcv_nxt; /* of all but listeners */
	uint32_t n_timers;
	struct tcp_timer timer[TCP_TIMERS_MAX];
	uint32_t rcvbuf, rcv_memory, sndbuf;
	uint8_t tos;
	enum tcp_hold hold; /* of connections */
	bool wants_room;    /* likewise: the user waits for room to write */
	uint16_t mss_low;   /* likewise: segments of more than that are swallowed on the way (tcp_mtu.c); 0: no such */
	uint16_t first_len; /* likewise: bytes of the first segment that is not acknowledged */
	enum tcp_side side; /* who closed first, or ended it; NONE: nobody has */
	enum tcp_reason reason; /* why it ended; NONE: it has not */
	int error, soft_error;  /* positive errno: for SO_ERROR; of ICMP, told if it times out */
	bool has_info;          /* all below: of listeners and connections */
	struct yg_tcp_info info;
	const char *congestion;
	uint32_t n_facts; /* the congestion control's own state */
	struct cc_fact fact[CC_FACTS_MAX];
};

/* Where a listing is: zeroed at first. */
struct tcp_cursor {
	enum tcp_entry_kind kind;
	uint32_t index;
};
/* The next one. *budget is how much may be looked at, places and segments, and what is left of that. False: there is
 * none, or the budget is used up and what is asked for comes with the next call. */
bool tcp_next(const struct tcp *t, struct tcp_cursor *cursor, uint32_t *budget, struct tcp_entry *out);
static inline bool tcp_at_end(const struct tcp_cursor *cursor)
{
	return cursor->kind == N_TCP_ENTRY_KINDS;
}

#endif
