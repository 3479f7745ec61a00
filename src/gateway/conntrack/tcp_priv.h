/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the TCP tracker's state machine and its window share.
 */
#ifndef YG_GATEWAY_CONNTRACK_TCP_PRIV_H
#define YG_GATEWAY_CONNTRACK_TCP_PRIV_H

#include "gateway/conntrack/conntrack_priv.h"

/* ct_half.flags of TCP, a set per direction: what the sender in this direction said or did. */
enum tcp_track_flag {
	TCP_TRACK_WSCALE = 0x01,  /* its SYN had the window scale option */
	TCP_TRACK_SACK = 0x02,    /* ... and SACK permitted */
	TCP_TRACK_LIBERAL = 0x04, /* windows are not known well enough to refuse anything */
	TCP_TRACK_ACKED = 0x08,   /* max_ack is known */
	TCP_TRACK_UNACKED = 0x10, /* it sent data that were not acknowledged yet */
	TCP_TRACK_CROSSED = 0x20, /* it answered a SYN that crossed its own */
};

enum tcp_class { TCP_CLASS_SYN, TCP_CLASS_SYNACK, TCP_CLASS_FIN, TCP_CLASS_ACK, TCP_CLASS_RST, N_TCP_CLASSES };

/* Beyond the states: what else a segment can mean. */
#define TCP_TRACK_INVALID CT_TCP_NONE /* a hole in the table: the segment is invalid, the state stays */
#define TCP_TRACK_IGNORE 0x40         /* passes, the state stays: the receiver's answer decides */
#define TCP_TRACK_REOPEN 0x41         /* the old connection is over, this begins the next one */

/* [direction][class][state] */
extern const uint8_t ct_tcp_next[N_CT_DIRS][N_TCP_CLASSES][N_CT_TCP_STATES];

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_after(uint32_t a, uint32_t b)
{
	return seq_before(b, a);
}

/* One past the segment's last sequence number. */
static inline uint32_t tcp_segment_end(const struct l4_view *v)
{
	return v->seq + v->payload_len + !!(v->flags & TCP_SYN) + !!(v->flags & TCP_FIN);
}

/* Nothing is known of either side. */
void ct_tcp_window_clear(struct conn *c);
/* The first segment of a connection: a SYN, or one from the middle. */
void ct_tcp_window_begin(struct conn *c, const struct packet *p);
/* What the windows say of a segment: it fits, and has moved them; it passes without a word, a late copy or a little
 * ahead; it cannot be of this connection. */
enum tcp_window_verdict { TCP_WINDOW_FITS, TCP_WINDOW_LATE, TCP_WINDOW_AHEAD, TCP_WINDOW_OUTSIDE };
/* Judges the segment against both windows and, when it fits, moves them. */
enum tcp_window_verdict ct_tcp_window_check(struct conn *c, enum ct_dir dir, const struct packet *p);
/* Both for a segment without SYN in an established connection, whose options are in header. */
bool ct_tcp_window_plain(struct conn *c, enum ct_dir dir, const struct l4_view *v, const uint8_t *header);
/* Moves the windows as segments would that were forwarded elsewhere. */
struct ct_deferred;
void ct_tcp_window_add_deferred(struct conn *c, enum ct_dir dir, const struct ct_deferred *credit);
/* Only judges; for a segment with an acknowledgement. */
bool ct_tcp_window_fits(const struct conn *c, enum ct_dir dir, const struct packet *p);
/* Of the row: see struct ct_protocol. */
void ct_tcp_first_fragment(const struct conn *c, enum ct_dir dir, const struct packet *p,
			   struct ct_fragment_first *first);
void ct_tcp_later_fragment(struct conn *c, enum ct_dir dir, const struct ipv4_view *ip,
			   const struct ct_fragment_first *first);
/* A quoted segment of direction dir with this sequence number may be on its way. */
bool ct_tcp_quote_fits(const struct conn *c, enum ct_dir dir, const struct l4_view *quoted);
/* Takes the sender's options from a SYN. */
void ct_tcp_take_options(struct conn *c, enum ct_dir dir, const struct packet *p);

enum tcp_rst_verdict {
	TCP_RST_CLOSES,
	TCP_RST_CHALLENGED, /* inside the window but not at its edge: the receiver will ask (RFC 5961 section 3.2) */
	TCP_RST_OUTSIDE,
};
enum tcp_rst_verdict ct_tcp_judge_rst(const struct conn *c, enum ct_dir dir, const struct l4_view *v);

#endif
