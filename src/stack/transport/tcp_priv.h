/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of TCP share; the records are in tcp_conn.h.
 *
 *   tcp_table       who has a four-tuple: a connection, a half open one, a TIME_WAIT record
 *   tcp_secret      what nobody may guess: sequence numbers, timestamps, ports, cookies
 *   tcp_flight      what there is of a connection only while something is on its way
 *   tcp_queue       what was sent or waits to be: segments in order of their numbers
 *   tcp_receive     what came: in order, and out of it
 *   tcp_rtt, tcp_rate, tcp_sack, tcp_rack, tcp_recovery
 *                   what acknowledgements say of the path, and what is lost
 *   tcp_output      when what may be sent
 *   tcp_segment     a segment as a packet
 *   tcp_listen, tcp_time_wait
 *                   before and behind a connection
 *   tcp_ack, tcp_input
 *                   RFC 9293 section 3.10.7, a function a step
 *   tcp_timer, tcp_error, tcp
 *   tcp_rare, tcp_md5
 *                   what few connections have
 */
#ifndef YG_STACK_TRANSPORT_TCP_PRIV_H
#define YG_STACK_TRANSPORT_TCP_PRIV_H

#include <string.h>

#include "stack/transport/tcp_conn.h"

static inline struct tcp_conn *tcp_conn_at(const struct tcp *t, uint32_t index)
{
	return pool_at(&t->conns, index);
}

static inline uint8_t tcp_default_cc(const struct tcp *t)
{
	int cc = cc_find(t->cfg.congestion);

	return cc < 0 ? 0 : (uint8_t)cc;
}

static inline const struct cc_ops *tcp_cc(const struct tcp_conn *c)
{
	return cc_all[c->cc];
}

static inline struct tcp_segment *tcp_segment_at(const struct tcp *t, uint32_t index)
{
	return pool_at(&t->segments, index);
}

/* Sequence numbers that it takes. */
static inline uint32_t tcp_segment_size(const struct tcp_segment *s)
{
	return s->len + ((s->flags & SEGMENT_FIN) != 0);
}

/* The timestamp of what leaves at that time. */
static inline uint32_t tcp_ts_at(const struct tcp_conn *c, uint64_t at)
{
	return (uint32_t)(at / TCP_TS_NS) + c->ts_offset;
}

static inline uint32_t tcp_ts_now(const struct tcp *t, const struct tcp_conn *c)
{
	return tcp_ts_at(c, t->env->now);
}

/* Milliseconds of the clock, for coarse times that a connection keeps; never 0. */
static inline uint32_t tcp_now_ms(const struct tcp *t)
{
	return max_u32((uint32_t)(t->env->now / NS_PER_MS), 1);
}

static inline void tcp_changed(struct tcp *t, struct tcp_conn *c, enum tcp_change why)
{
	if (c->has_user && t->user.changed != NULL)
		t->user.changed(t->user_ctx, c->user, why);
}

/* Closed by its user: nobody has it any more, nor waits to. */
static inline bool tcp_is_orphan(const struct tcp_conn *c)
{
	return !c->has_user && !c->is_waiting;
}

static inline uint32_t tcp_inflight(const struct tcp_conn *c)
{
	const struct tcp_flight *f = c->flight;

	return c->snd_nxt - c->snd_una - f->sacked - f->lost + f->retransmitted;
}

/* tcp_table.c */

static inline bool tcp_same_tuple(const struct tcp_node *a, const struct tcp_node *b)
{
	return memcmp(a, b, offsetof(struct tcp_node, kind)) == 0;
}
_Static_assert(offsetof(struct tcp_node, kind) == 2 * sizeof(uint32_t) + 3 * sizeof(uint16_t), "no bytes between");
int tcp_table_init(struct tcp_table *table, uint32_t n);
void tcp_table_fini(struct tcp_table *table);
/* kind << 30 | index, POOL_NONE. n's hash is filled in. */
uint32_t tcp_find(struct tcp *t, struct tcp_node *n);
/* The same in three steps, for several at a time: each has what the next one reads fetched. */
void tcp_find_ahead(struct tcp *t, struct tcp_node *n);
void tcp_find_near(const struct tcp *t, const struct tcp_node *n);
uint32_t tcp_find_hashed(const struct tcp *t, const struct tcp_node *n);
#define TCP_CONN_HOT_LINES 8u
/* n has been looked for: its hash is there. */
void tcp_insert(struct tcp *t, struct tcp_node *n, enum tcp_kind kind, uint32_t index);
/* n has the tuple instead of old, and its port with it. */
void tcp_replace(struct tcp *t, struct tcp_node *old, struct tcp_node *n, enum tcp_kind kind, uint32_t index);
void tcp_remove(struct tcp *t, struct tcp_node *n);
static inline enum tcp_kind tcp_ref_kind(uint32_t ref)
{
	return (enum tcp_kind)(ref >> 30);
}
static inline uint32_t tcp_ref_index(uint32_t ref)
{
	return ref & 0x3fffffffu;
}
/* For what came by that interface. */
struct tcp_listener *tcp_listener_for(struct tcp *t, const struct tcp_node *n, uint32_t ifindex);

/* tcp_secret.c */

void tcp_secret_init(struct tcp *t);
uint32_t tcp_isn(const struct tcp *t, const struct tcp_node *n);
uint32_t tcp_ts_offset(const struct tcp *t, const struct tcp_node *n);
/* A local port for n's other fields, by which nobody has the tuple: 0 or -EADDRNOTAVAIL. What may be reused of
 * TIME_WAIT counts as free, and is *ref then (tcp_find). */
int tcp_choose_port(struct tcp *t, struct tcp_node *n, uint32_t *ref);
uint32_t tcp_cookie_make(struct tcp *t, const struct tcp_node *n, uint32_t irs, uint16_t mss);
/* The MSS, 0: it is none of ours, or too old. */
uint16_t tcp_cookie_check(struct tcp *t, const struct tcp_node *n, uint32_t irs, uint32_t cookie);

/* tcp_queue.c */

/* Of the segment at place i, in the pool. */
static inline uint32_t tcp_queue_number(const struct tcp_conn *c, uint32_t i)
{
	const struct tcp_queue *q = &c->flight->queue;

	return q->at[(q->head + i) & (q->cap - 1)];
}
static inline struct tcp_segment *tcp_queue_at(const struct tcp *t, const struct tcp_conn *c, uint32_t i)
{
	return tcp_segment_at(t, tcp_queue_number(c, i));
}
/* Copies what there is room for. Returns the bytes; *why is why it were not more. */
/* TCP_NOTSENT_LOWAT; 0: none. */
uint32_t tcp_notsent_lowat(const struct tcp *t, const struct tcp_conn *c);
int64_t tcp_queue_write(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, bool push);
bool tcp_queue_fin(struct tcp *t, struct tcp_conn *c);
/* The first one gives the bytes before seq away, or goes. */
void tcp_queue_drop_first(struct tcp *t, struct tcp_conn *c);
void tcp_queue_trim_first(struct tcp *t, struct tcp_conn *c, uint32_t bytes);
/* Segment i is cut: its first len bytes stay it, what is left is the next one. False without memory. */
bool tcp_queue_split(struct tcp *t, struct tcp_conn *c, uint32_t i, uint32_t len);
/* The first one that ends behind seq; n if there is none. */
uint32_t tcp_queue_find(const struct tcp *t, const struct tcp_conn *c, uint32_t seq);
void tcp_queue_free(struct tcp *t, struct tcp_conn *c);
/* Room at its end that was reserved and not committed goes. */
void tcp_queue_drop_empty(struct tcp *t, struct tcp_conn *c);
uint32_t tcp_queue_room(const struct tcp *t, const struct tcp_conn *c);
/* There is room that is worth telling of. */
bool tcp_is_writable(const struct tcp *t, const struct tcp_conn *c);
/* Whoever waited for it is told. */
void tcp_tell_room(struct tcp *t, struct tcp_conn *c);
int tcp_queue_reserve(struct tcp *t, struct tcp_conn *c, struct span *out);
void tcp_queue_commit(struct tcp *t, struct tcp_conn *c, uint32_t bytes, bool push);

/* tcp_flight.c */

/* Has it one? False without memory. */
bool tcp_flight_get(struct tcp *t, struct tcp_conn *c);
static inline void tcp_flight_none(struct tcp_conn *c)
{
	c->flight = (struct tcp_flight *)(uintptr_t)&tcp_no_flight;
}
/* Nothing has been sent yet, or the SYN alone, which has arrived. */
void tcp_flight_begin(struct tcp_conn *c);
/* What is left of it goes, when nothing is to be told of it any more. */
void tcp_flight_settle(struct tcp *t, struct tcp_conn *c);
void tcp_flight_free(struct tcp *t, struct tcp_conn *c);
/* Among those in flight, by s->sent; and out of them. */
void tcp_flight_add(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index);
void tcp_flight_remove(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index);

/* tcp_option.c */

/* Whoever had *at has o's instead; o is shared. */
void tcp_options_share(struct tcp *t, const struct tcp_user_options **at, const struct tcp_user_options *o);
/* What old was told is c's, and old has it no more. */
void tcp_conn_succeed(struct tcp *t, struct tcp_conn *c, struct tcp_conn *old);
/* c begins with what the listener was told, but for what few have (tcp_rare_inherit). */
void tcp_conn_share(struct tcp *t, struct tcp_conn *c, const struct tcp_listener *l);

/* tcp_receive.c */

/* The payload of p, with numbers from seq on, of which skip bytes are old: takes p. */
void tcp_receive_data(struct tcp *t, struct tcp_conn *c, struct packet *p, uint32_t seq, uint32_t len);
uint32_t tcp_receive_window(const struct tcp *t, const struct tcp_conn *c);
/* Whether a window that the user has made room in is worth telling (RFC 9293 section 3.8.6.2.2). */
bool tcp_window_update_due(const struct tcp *t, const struct tcp_conn *c);
/* SACK blocks as they stand in the option, newest first; how many. */
uint32_t tcp_receive_sacks(const struct tcp *t, const struct tcp_conn *c, uint32_t max, uint32_t (*block)[2]);
void tcp_receive_free(struct tcp *t, struct tcp_conn *c);
/* What came ahead of a gap. */
void tcp_receive_forget_ahead(struct tcp *t, struct tcp_conn *c);
/* The first so many bytes have been read. */
void tcp_take(struct tcp *t, struct tcp_conn *c, uint32_t bytes);
/* Of what is in order. */
uint8_t tcp_byte_at(const struct tcp_conn *c, uint32_t off);
void tcp_receive_rtt(struct tcp *t, struct tcp_conn *c);

/* tcp_rtt.c */

void tcp_rtt_init(struct tcp_conn *c);
void tcp_rtt_sample(struct tcp *t, struct tcp_conn *c, uint64_t rtt);
/* By a timestamp, which counts milliseconds: nothing that a minimum is made of. */
void tcp_rtt_sample_coarse(struct tcp *t, struct tcp_conn *c, uint64_t rtt);
/* Of one of its segments, without the doubling behind timeouts. */
uint64_t tcp_rto_once(const struct tcp *t, const struct tcp_conn *c);
/* With the timeouts in a row, within the bounds. */
uint64_t tcp_rto(const struct tcp *t, const struct tcp_conn *c);

/* tcp_rate.c */

void tcp_rate_sent(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s);
struct tcp_ack; /* tcp_ack.c */
/* The first bytes of s, or all. */
void tcp_rate_delivered(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s, uint32_t bytes,
			struct tcp_ack *a);
void tcp_rate_sample(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a);
void tcp_rate_app_limited(struct tcp *t, struct tcp_conn *c);

/* What one acknowledgement has brought, while it is dealt with. */
struct tcp_ack {
	struct cc_sample sample;
	uint32_t ack;
	uint32_t prior_una, prior_fack;
	const struct tcp_options *options; /* NULL: none that matter */
	uint32_t acked_new;                /* bytes by number */
	uint32_t sacked_new;               /* bytes by SACK */
	bool has_dsack, is_duplicate, window_changed, has_data, ece;
	bool rtx_acked;      /* something that was sent again is among what it acknowledged by number */
	bool original_acked; /* something that was taken to be lost and not sent again (F-RTO) */
	bool reordered;
	/* The newest by the time of sending of what it acknowledged. */
	uint64_t newest_sent, newest_delivered_at, newest_first_sent;
	uint32_t newest_delivered, newest_lost, newest_in_flight; /* as in the segment */
	uint32_t newest_end;
	bool has_newest, newest_retransmitted, newest_app_limited;
	bool has_rtt;
	uint64_t rtt;
	uint32_t lost_new;
};

/* It echoes a timestamp from before that one: of a segment that was sent twice the first copy has arrived (RFC 3522).
 */
static inline bool tcp_ack_echoes_before(const struct tcp_conn *c, const struct tcp_ack *a, uint32_t ts)
{
	return c->ts_ok && a->options != NULL && a->options->has_timestamp && seq_before(a->options->ts_ecr, ts);
}

/* tcp_sack.c */

/* Marks what the blocks cover. */
void tcp_sack_input(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a);
/* s is delivered; it was not before. */
void tcp_segment_delivered(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index, struct tcp_ack *a);
/* The first bytes of it are. */
void tcp_part_delivered(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s, uint32_t bytes,
			struct tcp_ack *a);
void tcp_mark_lost(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index);
/* The first one in flight, of a large one its first segment. */
void tcp_mark_first_lost(struct tcp *t, struct tcp_conn *c);

/* tcp_rack.c */

/* Behind tcp_sack_input: what is lost by time. Returns when to look again, 0: need not. */
uint64_t tcp_rack_detect(struct tcp *t, struct tcp_conn *c);
void tcp_rack_update(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a);
uint64_t tcp_rack_probe_timeout(const struct tcp *t, const struct tcp_conn *c);
void tcp_rack_probe(struct tcp *t, struct tcp_conn *c);
void tcp_rack_probe_answered(struct tcp *t, struct tcp_conn *c, const struct tcp_ack *a);

/* tcp_recovery.c */

void tcp_recovery_ack(struct tcp *t, struct tcp_conn *c, struct tcp_ack *a);
void tcp_recovery_timeout(struct tcp *t, struct tcp_conn *c);
/* Lowers the window once for a round, and tells the congestion control why: a mark (ECN), or a loss that a probe has
 * repaired. */
void tcp_recovery_marked(struct tcp *t, struct tcp_conn *c, enum cc_event e);

/* tcp_output.c */

/* Everything that may be sent now. */
void tcp_output(struct tcp *t, struct tcp_conn *c);
/* ... at the end of this batch or call. */
void tcp_pend(struct tcp *t, struct tcp_conn *c);
void tcp_send_pending(struct tcp *t);
/* Bytes of payload that may leave as one packet: a segment's, or with a device that cuts large ones many segments'. */
uint32_t tcp_piece(const struct tcp *t, const struct tcp_conn *c);

/* What is small waits as long as another small one is on its way (RFC 9293 section 3.7.4); urgent bytes do not. */
static inline bool tcp_nagle_holds(const struct tcp_conn *c)
{
	return !c->told.nodelay && c->flight->snd_up == c->snd_una && seq_after(c->flight->snd_small, c->snd_una);
}

/* In order, and nothing that the other end waits for: acknowledged at the end of this batch, or of the user's turn. */
void tcp_ack_soon(struct tcp *t, struct tcp_conn *c);
/* It has left, or will not. */
static inline void tcp_ack_waits_no_more(struct tcp *t, struct tcp_conn *c)
{
	if (!c->ack_waits)
		return;
	c->ack_waits = false;
	if (--t->n_acks_wait == 0)
		t->n_turn = 0;
}
/* The user has had his turn. */
void tcp_turn_end(struct tcp *t);

/* tcp_segment.c */

void tcp_send_syn(struct tcp *t, struct tcp_conn *c);
void tcp_send_ack(struct tcp *t, struct tcp_conn *c);
/* One that asks for an answer: a byte that was acknowledged. */
void tcp_send_probe(struct tcp *t, struct tcp_conn *c);
/* Limited (RFC 5961). */
void tcp_send_challenge(struct tcp *t, struct tcp_conn *c);
void tcp_reset(struct tcp *t, struct tcp_conn *c, enum tcp_reason why);
/* Segment i again, or for the first time; flags beside its own. False without memory. */
bool tcp_transmit(struct tcp *t, struct tcp_conn *c, uint32_t i, uint8_t flags);
/* The n segments from the first unsent one on, of len bytes together, as one. False without memory. */
bool tcp_transmit_together(struct tcp *t, struct tcp_conn *c, uint32_t n, uint32_t len);
void tcp_flush(struct tcp *t);
uint16_t tcp_own_mss(const struct tcp *t, const struct tcp_node *n, uint32_t rare);
/* The route to the other end, as it is now: what of a segment there is room for, and what is left to the device. */
void tcp_take_way(struct tcp *t, struct tcp_conn *c);
void tcp_set_mss(struct tcp *t, struct tcp_conn *c);
/* A segment without payload of no connection. */
struct tcp_bare {
	uint32_t seq, ack, ts_val, ts_ecr;
	uint16_t window, mss; /* mss 0: no such option; likewise wscale below 0 */
	int8_t wscale;
	uint8_t flags, tos, ttl;
	bool has_ts, sack_ok;
	uint16_t urgent;               /* pointer, with TCP_URG */
	uint16_t gso_size;             /* payload of each segment of a large one, 0: it is none */
	uint32_t rare;                 /* of whoever sends it; number, POOL_NONE */
	uint8_t ifindex;               /* it leaves by that alone, as by rare's; 0: by any */
	const struct tcp_md5_key *key; /* that signs it besides, NULL */
};
void tcp_send_bare(struct tcp *t, const struct tcp_node *n, struct tcp_bare *s);
uint8_t tcp_scale_for(uint32_t bytes);
/* The window of a SYN, which is never scaled (RFC 7323 section 2.2). */
static inline uint32_t tcp_syn_window(uint32_t rcvbuf, uint32_t clamp)
{
	uint32_t window = min_u32(rcvbuf / 2, UINT16_MAX);

	return clamp != 0 ? min_u32(window, clamp) : window;
}

/* tcp_listen.c */

/* Its port is not told to ip any more. */
void tcp_close_listening(struct tcp *t, const struct tcp_listener *l);
void tcp_listen_syn(struct tcp *t, struct tcp_listener *l, struct tcp_node *n, struct packet *p,
		    const struct tcp_options *o, uint32_t iss);
void tcp_half_open_input(struct tcp *t, struct tcp_half_open *h, struct packet *p, const struct tcp_options *o);
/* An ACK for which there is nobody: of a cookie? True: p has been dealt with. */
bool tcp_listen_cookie(struct tcp *t, struct tcp_listener *l, struct tcp_node *n, struct packet *p,
		       const struct tcp_options *o);
void tcp_half_open_expire(void *t, uint32_t index, uint64_t now);

/* tcp_time_wait.c */

void tcp_time_wait_begin(struct tcp *t, struct tcp_conn *c);
/* True: p is a SYN that begins a new connection, whose ISN is *iss; iss NULL: nobody listens. */
bool tcp_time_wait_input(struct tcp *t, uint32_t index, struct packet *p, const struct tcp_options *o, uint32_t *iss);
bool tcp_time_wait_may_reuse(const struct tcp *t, const struct tcp_time_wait *w);
void tcp_time_wait_free(struct tcp *t, uint32_t index);
void tcp_time_wait_expire(struct tcp *t);

/* tcp_ack.c */

/* RFC 9293's fifth step, from ESTABLISHED on. False: p is not to be looked at further. */
bool tcp_ack_input(struct tcp *t, struct tcp_conn *c, const struct packet *p, const struct tcp_options *o);
void tcp_acked_syn(struct tcp *t, struct tcp_conn *c, const struct packet *p, const struct tcp_options *o);

/* tcp_input.c */

void tcp_conn_input(struct tcp *t, struct tcp_conn *c, struct packet *p, const struct tcp_options *o);
/* What a SYN said, and where that leaves the connection. */
void tcp_take_syn(struct tcp *t, struct tcp_conn *c, uint32_t seq, const struct tcp_options *o);
/* Numbers that it takes. */
static inline uint32_t tcp_length_of(const struct packet *p)
{
	return p->l4.payload_len + ((p->l4.flags & TCP_SYN) != 0) + ((p->l4.flags & TCP_FIN) != 0);
}
/* p came by another interface than the socket's, from further away than it wants to hear (IP_MINTTL), or is not signed
 * as it must be: it is dropped, and the result is true. */
bool tcp_refuses(struct tcp *t, struct packet *p, const struct tcp_options *o, uint32_t rare, uint8_t min_ttl);
/* RFC 9293's table (section 3.10.7.4, first): something of it is in the window. */
bool tcp_in_window(uint32_t rcv_nxt, uint32_t right, uint32_t seq, uint32_t len);
/* rare: of whoever it came for. */
void tcp_answer_reset(struct tcp *t, const struct packet *p, enum tcp_reason why, uint32_t rare);

/* tcp_mtu.c */

/* A retransmission timeout: perhaps for its size. */
void tcp_mtu_timeout(struct tcp *t, struct tcp_conn *c);
/* Of connections with a tcp_rare. Some of what was not sent yet leaves as one segment that is larger than the path is
 * known to take: its bytes, or 0. */
uint32_t tcp_mtu_probe(struct tcp *t, struct tcp_conn *c);
/* An acknowledgement: perhaps of a probe. */
void tcp_mtu_ack(struct tcp *t, struct tcp_conn *c);
/* What is lost is a probe and nothing else: no sign of congestion (RFC 4821 section 7.6.2). */
bool tcp_mtu_probe_lost(struct tcp *t, struct tcp_conn *c);

/* tcp_urgent.c */

void tcp_urgent_input(struct tcp *t, struct tcp_conn *c, const struct packet *p);
/* A byte waits for whoever asks for it by itself. */
bool tcp_urgent_waits(const struct tcp *t, const struct tcp_conn *c);
/* With urgent_ready: bytes that a read may go to, behind *skip that it leaves out. */
uint32_t tcp_urgent_ahead(const struct tcp_conn *c, uint32_t *skip);
void tcp_urgent_passed(struct tcp_conn *c);
int64_t tcp_recv_urgent(struct tcp *t, struct tcp_conn *c, uint8_t *out, uint32_t room, bool peek);
/* A segment from seq on tells of what is urgent ahead. */
void tcp_urgent_mark(const struct tcp_conn *c, uint32_t seq, struct tcp_bare *h);

/* tcp_capture.c, with captures_any alone */

bool tcp_capture_keep(struct tcp *t, const struct packet *p);
void tcp_capture_came(struct tcp *t);
void tcp_capture_sent(struct tcp *t, const struct packet *p);
void tcp_capture_gone(struct tcp *t, const struct tcp_conn *c);
/* It listens no more; what it made may go on. */
void tcp_capture_closing(struct tcp *t, const struct tcp_listener *l);

/* tcp_timer.c */

void tcp_rearm(struct tcp *t, struct tcp_conn *c);
/* The retransmission timer, by what is in flight. */
void tcp_rearm_rtx(struct tcp *t, struct tcp_conn *c);
void tcp_delay_ack(struct tcp *t, struct tcp_conn *c);
void tcp_timer_fired(void *t, uint32_t index, uint64_t now);

/* tcp.c */

struct tcp_conn *tcp_conn_new(struct tcp *t);
/* Its end, behind what was sent about it: the user is told, and it goes when it has none. err: positive errno, 0. */
void tcp_conn_end(struct tcp *t, struct tcp_conn *c, enum tcp_reason why, int err);
void tcp_conn_free(struct tcp *t, struct tcp_conn *c);

#endif
