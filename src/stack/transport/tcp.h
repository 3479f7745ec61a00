/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP (RFC 9293) of one stack, as sockets see it: connections, listeners, bytes in
 * and bytes out. No call blocks; whoever wants to wait is told of every change (struct
 * tcp_user_ops).
 *
 * A connection is a place in a pool. It belongs to its user from tcp_open or tcp_accept
 * to tcp_close; what is left to be done behind that (data on its way, the closing
 * handshake, TIME_WAIT) is TCP's own business. After tcp_close the pointer is not
 * valid.
 *
 * Results are 0 or a count, or -errno as Linux has it.
 */
#ifndef YG_STACK_TRANSPORT_TCP_H
#define YG_STACK_TRANSPORT_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/span.h"
#include "stack/ip/stack.h"
#include "stack/packet/env.h"
#include "stack/transport/tcp_reason.h"
#include "stack/wire/l4.h"

struct tcp_limits {
	uint32_t n_connections; /* 0: 16,384 */
	uint32_t n_listeners;   /* 0: 1,024 */
	uint32_t n_half_open;   /* of all listeners together; 0: 16,384 */
	uint32_t n_time_wait;   /* 0: 65,536 */
	uint32_t n_segments;    /* sent or waiting to be, and not acknowledged; 0: 65,536 */
	uint32_t n_cc_records;  /* connections by BBR, which keeps more of one; 0: as n_connections */
	uint32_t n_md5_keys;    /* of listeners, and of each signed connection its own; at most 65,000; 0: 4,096 */
};

/* What Linux keeps under net.ipv4.tcp_*. Times in ns, sizes in bytes. tcp_default_config has Linux's values. */
struct tcp_config {
	uint32_t sndbuf, sndbuf_max; /* at first; what it may grow to */
	uint32_t rcvbuf, rcvbuf_max;
	uint16_t port_first, port_last; /* local ports that connect draws from, both included */
	uint8_t syn_retries, synack_retries;
	uint8_t retries1, retries2; /* RFC 1122 section 4.2.3.5: R1, R2 */
	uint8_t orphan_retries;
	uint8_t keepalive_probes;
	uint64_t keepalive_time, keepalive_interval;
	uint64_t fin_timeout; /* FIN_WAIT_2 of a connection that nobody has any more */
	uint64_t time_wait;   /* 2 MSL */
	uint64_t rto_min, rto_max;
	uint32_t notsent_lowat; /* of sockets that do not say; 0: as much as the buffer takes */
	uint32_t init_cwnd;     /* segments (RFC 6928) */
	uint8_t growth_limit;   /* segments an acknowledgement in slow start (RFC 9406's L); 0: none, as Linux */
	uint8_t css_rounds;   /* of HyStart++ (RFC 9406 section 4.3); 0: slow start ends at once, as Linux's HyStart has
				 it */
	uint8_t min_tso_segs; /* segments that leave together at least, if there are so many and the windows allow it */
	bool mtu_probing;     /* a path that swallows large segments is found out (RFC 4821) */
	bool timestamps, window_scaling, sack, syncookies, slow_start_after_idle;
	bool acks_wait; /* what is acknowledged at once waits for its user's answer, which carries it if he has one
			 * before tcp_expire, then due at once; false: it leaves at the end of the batch, as Linux's
			 * does */
	uint8_t ecn;    /* 0: no, 1: asked for and answered, 2: answered */
	const char *congestion; /* name of the congestion control */
};
extern const struct tcp_config tcp_default_config;

struct tcp;
struct tcp_conn;
struct tcp_listener;

/* Slots of whoever has connections. Called in the middle of TCP's work: takes notes. */
enum tcp_change {
	TCP_CHANGED_IN = 1,    /* there is more to read */
	TCP_CHANGED_OUT = 2,   /* there is room, for which somebody waited */
	TCP_CHANGED_STATE = 4, /* anything */
	TCP_CHANGED_PRI = 8,   /* urgent data */
};
struct tcp_user_ops {
	/* What tcp_poll says of it may have changed. why: bits of enum tcp_change */
	void (*changed)(void *ctx, uint64_t user, uint32_t why);
	/* There is somebody to accept. */
	void (*acceptable)(void *ctx, uint64_t user);
};

/* cfg is copied. NULL without memory. TCP is the row of IPPROTO_TCP in ip from here on. */
struct tcp *tcp_create(struct env *env, struct ip_stack *ip, const struct tcp_limits *limits,
		       const struct tcp_config *cfg);
/* Nobody is told; every connection is gone, without a word to the other ends. */
void tcp_destroy(struct tcp *t);
void tcp_set_user(struct tcp *t, const struct tcp_user_ops *ops, void *ctx);
struct tcp_config *tcp_config(struct tcp *t);
struct captures;
/* They outlive t. NULL: none. */
void tcp_set_captures(struct tcp *t, struct captures *c);
void tcp_expire(struct tcp *t);
uint64_t tcp_next_deadline(const struct tcp *t);

/* An end. addr none: any. */
struct tcp_end {
	struct ip_addr addr;
	uint16_t port;
};

/* A connection in CLOSED. user: handed back to the slots. NULL: no room (ENOBUFS). */
struct tcp_conn *tcp_open(struct tcp *t, uint64_t user);
/* It ends by a reset, and what its user said of it goes over to the one that is returned, in CLOSED. NULL: no room, and
 * all is as before. */
struct tcp_conn *tcp_disconnect(struct tcp *t, struct tcp_conn *c);
void tcp_set_conn_user(struct tcp_conn *c, uint64_t user);
/* Sends the SYN: -EINPROGRESS. local: what bind left; port 0: drawn (RFC 6056). */
int tcp_connect(struct tcp *t, struct tcp_conn *c, uint16_t zone, const struct tcp_end *local,
		const struct tcp_end *remote);

/* A SYN, as it was held for tcp_answer. */
struct tcp_syn {
	struct tcp_end local, remote;
	uint16_t zone;
	uint32_t seq;
	uint32_t iss_least; /* with has_least: our sequence numbers begin there at the earliest */
	bool has_least;
	uint8_t flags;
	uint16_t window;
	struct tcp_options o;
};
/* Slot: a segment to an end at which nobody listens, and of no connection. True: it has been dealt with. syn: as it is
 * to be held, of a SYN alone; else NULL. */
typedef bool tcp_unknown_fn(void *ctx, const struct packet *p, const struct tcp_syn *syn);
void tcp_set_unknown(struct tcp *t, tcp_unknown_fn *fn, void *ctx);
/* The connection in CLOSED answers the SYN: -EINPROGRESS; -EADDRINUSE: by now there is one with these ends. */
int tcp_answer(struct tcp *t, struct tcp_conn *c, const struct tcp_syn *syn);
/* A reset in answer to it. */
void tcp_refuse(struct tcp *t, const struct tcp_syn *syn);

struct tcp_listen_options {
	uint32_t backlog; /* of connections to be accepted; and of half open ones */
	bool reuse_port;
	uint32_t ifindex;     /* hears by that interface alone; 0: any */
	uint8_t defer_accept; /* seconds that a connection waits for data before it is to be accepted; 0: it does not */
};
/* -EADDRINUSE. */
int tcp_listen(struct tcp *t, uint16_t zone, const struct tcp_end *local, const struct tcp_listen_options *o,
	       uint64_t user, struct tcp_listener **out);
void tcp_listen_change(struct tcp_listener *l, const struct tcp_listen_options *o);
/* So many that were accepted wait still, with the user who hands them on: for the backlog they are as if they had not
 * been. */
void tcp_listen_hold(struct tcp_listener *l, uint32_t n);
/* Those and the ones that can be accepted. */
uint32_t tcp_accept_waiting(const struct tcp_listener *l);
/* Those that nobody has accepted are reset. */
void tcp_unlisten(struct tcp *t, struct tcp_listener *l);
/* NULL: nobody (EAGAIN). */
struct tcp_conn *tcp_accept(struct tcp *t, struct tcp_listener *l, uint64_t user);
bool tcp_acceptable(const struct tcp_listener *l);

enum tcp_send_flags {
	TCP_SEND_MORE = 1,
	TCP_SEND_URGENT = 2,
	TCP_SEND_EOR = 4, /* what is written next begins a segment of its own */
};
/* As many bytes as there was room for. -EAGAIN, -EPIPE, -ENOTCONN or the connection's error. */
int64_t tcp_send(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, uint32_t flags);
enum tcp_recv_flags { TCP_RECV_PEEK = 1, TCP_RECV_TRUNC = 2, TCP_RECV_URGENT = 4 };
/* 0: the other end has closed and everything has been read. With TCP_RECV_TRUNC the bytes are thrown away. */
int64_t tcp_recv(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, uint32_t flags);
/* Where received bytes stand, without copying: the first up to n pieces. Valid until the next call for c. */
uint32_t tcp_peek(struct tcp *t, struct tcp_conn *c, struct span *out, uint32_t n);
void tcp_release(struct tcp *t, struct tcp_conn *c, uint32_t bytes);
/* The oldest ICMP error that ended an attempt to open it, and the bytes of our segment that it quotes. -EAGAIN. */
struct datagram_error;
int64_t tcp_recv_error(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, uint32_t flags,
		       struct datagram_error *out);
/* Room for at least one byte to be sent that stands in place: *out, of which tcp_commit sends the first bytes. */
int tcp_reserve(struct tcp *t, struct tcp_conn *c, struct span *out);
int tcp_commit(struct tcp *t, struct tcp_conn *c, uint32_t bytes, uint32_t flags);

#define TCP_SHUT_RD 1u
#define TCP_SHUT_WR 2u
int tcp_shutdown(struct tcp *t, struct tcp_conn *c, uint32_t how);
/* The user has it no more. With unread data, or linger of 0 seconds, it ends by RST (RFC 1122 section 4.2.2.13). */
void tcp_close(struct tcp *t, struct tcp_conn *c);
void tcp_abort(struct tcp *t, struct tcp_conn *c);

/* Bits: what a call would not wait for. */
enum tcp_poll {
	TCP_POLL_IN = 0x01,    /* bytes, or the end of them */
	TCP_POLL_OUT = 0x02,   /* room */
	TCP_POLL_PRI = 0x04,   /* urgent data */
	TCP_POLL_ERROR = 0x08, /* tcp_error has something */
	TCP_POLL_HUP = 0x10,   /* closed both ways */
	TCP_POLL_RDHUP = 0x20, /* the other end has closed */
};
uint32_t tcp_poll(const struct tcp *t, const struct tcp_conn *c);
/* Somebody waits for room: the slot is told when there is some. A call to send that had not enough says so itself. */
void tcp_want_room(struct tcp_conn *c);
/* The error of the connection as a positive errno, which is forgotten; 0: none. */
int tcp_take_error(struct tcp_conn *c);
void tcp_ends(const struct tcp_conn *c, struct tcp_end *local, struct tcp_end *remote);
/* Bytes that can be read in order; that were written and not acknowledged; of those, that were not sent. */
uint32_t tcp_unread(const struct tcp_conn *c);
uint32_t tcp_unacked(const struct tcp_conn *c);
uint32_t tcp_unsent(const struct tcp_conn *c);
/* What a timestamp that it sends now says; c NULL: of no connection. */
uint32_t tcp_timestamp(const struct tcp *t, const struct tcp_conn *c);
/* When the last of the first so many unread bytes came; there are that many. */
uint64_t tcp_arrival(const struct tcp_conn *c, uint32_t bytes);
/* What a read would give at most: no further than to an urgent byte. */
uint32_t tcp_readable(const struct tcp_conn *c);
/* The next byte to be read is an urgent one. */
bool tcp_at_mark(const struct tcp_conn *c);
/* A connection that somebody has, is about to close or waits in TIME_WAIT has the port. addr none: any. With
 * is_shared one that said SO_REUSEADDR does not count. Looks at each there is, unless nobody has the port. */
bool tcp_port_is_used(const struct tcp *t, uint16_t zone, const struct tcp_end *local, bool is_shared);
/* SO_REUSEADDR of its user, also behind its end. */
void tcp_set_reuse_addr(struct tcp_conn *c, bool reuse_addr);

/* --- what a connection is told, and one that a listener makes: times in ns, sizes in bytes; ranges are whoever sets it
 * has seen to --- */

enum tcp_option {
	TCP_OPTION_NODELAY,
	TCP_OPTION_CORK,
	TCP_OPTION_QUICKACK,
	TCP_OPTION_MAXSEG,
	TCP_OPTION_KEEPALIVE,
	TCP_OPTION_KEEPALIVE_TIME,
	TCP_OPTION_KEEPALIVE_INTERVAL,
	TCP_OPTION_KEEPALIVE_PROBES,
	TCP_OPTION_SYN_RETRIES,
	TCP_OPTION_LINGER2, /* TCP_LINGER2_NONE: does not wait in FIN_WAIT_2 */
	TCP_OPTION_WINDOW_CLAMP,
	TCP_OPTION_USER_TIMEOUT,
	TCP_OPTION_NOTSENT_LOWAT,
	TCP_OPTION_RCV_LOWAT,
	TCP_OPTION_SNDBUF,
	TCP_OPTION_RCVBUF,
	TCP_OPTION_LINGER,
	TCP_OPTION_LINGER_S,
	TCP_OPTION_OOB_INLINE,
	TCP_OPTION_TOS,
	TCP_OPTION_TTL,
	TCP_OPTION_MIN_TTL,
	/* Those that few set. */
	TCP_OPTION_MARK,
	TCP_OPTIONS_RARE = TCP_OPTION_MARK,
	TCP_OPTION_DEVICE,          /* number of an interface; 0: any */
	TCP_OPTION_RECV_ERROR,      /* ICMP errors end what is being opened, and are kept to be read; later they are its
				       error */
	TCP_OPTION_SAVE_SYN,        /* 1: from the IP header on, 2: all of the frame */
	TCP_OPTION_MAX_PACING_RATE, /* bytes a second; UINT64_MAX, or 0: none */
	TCP_OPTION_PMTU,            /* enum datagram_pmtu: whether segments may be cut, and the path's MTU is taken */
	N_TCP_OPTIONS
};
#define TCP_LINGER2_NONE 1u
void tcp_set_option(struct tcp *t, struct tcp_conn *c, enum tcp_option o, uint64_t value);
/* As it is: where nothing was set, the config's. */
uint64_t tcp_option(const struct tcp *t, const struct tcp_conn *c, enum tcp_option o);
void tcp_listener_set_option(struct tcp *t, struct tcp_listener *l, enum tcp_option o, uint64_t value);
uint64_t tcp_listener_option(const struct tcp *t, const struct tcp_listener *l, enum tcp_option o);
/* A key for segments from and to other ends of a prefix (RFC 2385); len 0: there is none any more. A connection that a
 * listener makes has its listener's of that time. -ENOENT: nothing to be taken away, -ENOMEM. */
#define TCP_MD5_KEY_MAX 80u
struct tcp_md5 {
	uint32_t addr;
	uint8_t prefix_len, len;
	const uint8_t *key;
};
int tcp_set_md5(struct tcp *t, struct tcp_conn *c, const struct tcp_md5 *m);
int tcp_listener_set_md5(struct tcp *t, struct tcp_listener *l, const struct tcp_md5 *m);
/* The SYN that opened it, if its listener was told to keep them (TCP_OPTION_SAVE_SYN); it is forgotten then. *len:
 * room, and what it takes, 0: there is none. -EINVAL: there is not enough room. */
int tcp_saved_syn(struct tcp *t, struct tcp_conn *c, uint8_t *out, uint32_t *len);
/* The congestion control by its name; -ENOENT: there is none, -ENOBUFS: no room for what it keeps. */
int tcp_set_congestion(struct tcp *t, struct tcp_conn *c, const char *name);
const char *tcp_congestion(const struct tcp_conn *c);
/* What it says of itself (cc.h); false: nothing, or the connection is not open. */
struct cc_bbr_info;
bool tcp_cc_info(const struct tcp *t, const struct tcp_conn *c, struct cc_bbr_info *out);
int tcp_listener_set_congestion(struct tcp_listener *l, const char *name);
const char *tcp_listener_congestion(const struct tcp_listener *l);
void tcp_listener_set_defer(struct tcp_listener *l, uint8_t seconds);
/* What a connection that is not open yet was told goes over to a listener. */
void tcp_listener_inherit(struct tcp *t, struct tcp_listener *l, struct tcp_conn *c);
/* And back again. */
void tcp_conn_inherit(struct tcp *t, struct tcp_conn *c, struct tcp_listener *l);

enum tcp_state {
	TCP_CLOSED,
	TCP_LISTEN,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
	N_TCP_STATES
};
extern const char *const tcp_state_names[N_TCP_STATES]; /* as ss prints them: "ESTAB" */
enum tcp_state tcp_state(const struct tcp_conn *c);

enum tcp_counter {
	TCP_COUNT_IN_SEGMENTS,
	TCP_COUNT_OUT_SEGMENTS,
	TCP_COUNT_RETRANSMITTED,
	TCP_COUNT_ACTIVE_OPENS,
	TCP_COUNT_PASSIVE_OPENS,
	TCP_COUNT_CHALLENGE_ACKS,
	TCP_COUNT_PAWS_DROPPED,
	TCP_COUNT_NO_TIMESTAMP,  /* taken without one, though they were agreed on */
	TCP_COUNT_OUT_OF_WINDOW, /* not in the window: answered by an acknowledgement, as its rate allows */
	TCP_COUNT_DUPLICATE_BYTES,
	TCP_COUNT_OUT_OF_ORDER,
	TCP_COUNT_OUT_OF_ORDER_FULL, /* no room among what is out of order */
	TCP_COUNT_RCV_PRUNED,        /* no room in the receive buffer */
	TCP_COUNT_RTOS,
	TCP_COUNT_TLPS,
	TCP_COUNT_RECOVERIES,
	TCP_COUNT_UNDONE,
	TCP_COUNT_DSACKS_IN,
	TCP_COUNT_DSACKS_OUT,
	TCP_COUNT_SACK_DISCARDED,
	TCP_COUNT_ZERO_WINDOW_PROBES,
	TCP_COUNT_KEEPALIVES,
	TCP_COUNT_COOKIES_SENT,
	TCP_COUNT_COOKIES_TAKEN,
	TCP_COUNT_COOKIES_REFUSED,
	TCP_COUNT_LISTEN_OVERFLOWED, /* the accept queue was full */
	TCP_COUNT_LISTEN_DROPPED,    /* the SYN queue was full, and no cookie may be sent */
	TCP_COUNT_TIME_WAIT_REUSED,
	TCP_COUNT_TIME_WAIT_EVICTED,
	TCP_COUNT_BLACK_HOLES,        /* what was sent became smaller, since it did not arrive */
	TCP_COUNT_CONGESTION_DEFAULT, /* connections that began with the default control, without room for the one
					 chosen */
	TCP_COUNT_NO_SEGMENT,         /* nothing could be queued or sent for want of memory */
	N_TCP_COUNTERS
};
extern const char *const tcp_counter_names[N_TCP_COUNTERS];
const uint64_t *tcp_counts(const struct tcp *t);
/* Resets that were sent, by enum tcp_reason; connections that ended, likewise; resets that came, by enum tcp_reset_in.
 */
const uint64_t *tcp_resets(const struct tcp *t);
const uint64_t *tcp_ends_by_reason(const struct tcp *t);
const uint64_t *tcp_resets_in(const struct tcp *t);

/* Connections that ended last, for whoever asks why they did. */
#define TCP_ENDED_MAX 256u
struct tcp_ended {
	uint64_t at; /* the clock's */
	uint32_t laddr, raddr;
	uint16_t lport, rport, zone;
	uint8_t state;  /* enum tcp_state, before */
	uint8_t reason; /* enum tcp_reason */
	uint8_t side;   /* enum tcp_side: who closed it first, or brought its end about */
	int error;      /* positive errno of its user, 0 */
	uint64_t bytes_acked, bytes_received;
};
/* The nth last, from 0; false: there are not so many. */
bool tcp_ended(const struct tcp *t, uint32_t nth, struct tcp_ended *out);

#endif
