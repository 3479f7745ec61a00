/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The records of TCP: a connection and what there is before and behind it, what it sends and
 * what came, and the whole of which there is one a stack.
 *
 * Sequence numbers are compared by their difference (RFC 9293 section 3.4).
 */
#ifndef YG_STACK_TRANSPORT_TCP_CONN_H
#define YG_STACK_TRANSPORT_TCP_CONN_H

#include "base/pool.h"
#include "base/siphash.h"
#include "base/timer.h"
#include "base/util.h"
#include "stack/transport/capture.h"
#include "stack/transport/cc.h"
#include "stack/transport/tcp.h"

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* a, at or behind first, is not behind last. */
static inline bool seq_between(uint32_t first, uint32_t a, uint32_t last)
{
	return a - first <= last - first;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_before(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_before(a, b) ? a : b;
}

#define TCP_TICK_NS (10 * NS_PER_US)
/* Timestamps count milliseconds (RFC 7323 section 5.4: 1 ms to 1 s). */
#define TCP_TS_NS NS_PER_MS
#define TCP_MSS_DEFAULT 536u /* RFC 9293 section 3.7.1 */
#define TCP_MSS_MIN 48u      /* of an other end; as Linux: less is an attack */
#define TCP_OPTIONS_MAX 40u
#define TCP_WSCALE_MAX 14u
#define TCP_QUICK_ACKS 16u /* at first each segment is acknowledged at once, as Linux does */
/* Payload of segments that wait stands behind room for every header there may be. */
#define TCP_HEADERS_MAX (ETHER_HEADER_LEN + IPV4_HEADER_LEN + TCP_HEADER_LEN + TCP_OPTIONS_MAX)
#define TCP_PAYLOAD_OFF 128u
/* Fewer bytes at once are not worth a large buffer. */
#define TCP_LARGE_LEAST 8192u
_Static_assert(TCP_PAYLOAD_OFF >= TCP_HEADERS_MAX + ETHER_TAG_LEN, "room for headers");

/* --- who has a four-tuple --- */

enum tcp_kind { TCP_KIND_CONN, TCP_KIND_HALF_OPEN, TCP_KIND_TIME_WAIT };

/* At the head of whatever the table knows. Host order; l is ours. */
struct tcp_node {
	uint32_t laddr, raddr;
	uint16_t lport, rport;
	uint16_t zone;
	uint8_t kind;  /* enum tcp_kind */
	uint8_t is_in; /* the table */
	uint32_t hash;
	uint32_t next; /* kind << 30 | index of the next in its bucket, POOL_NONE */
};

struct tcp_table {
	uint32_t *bucket;
	uint32_t mask;
	uint32_t n;
};

/* --- what is sent --- */

enum tcp_segment_flags {
	SEGMENT_SENT = 0x01,
	SEGMENT_SACKED = 0x02,
	SEGMENT_LOST = 0x04,          /* taken to be, and not sent again since */
	SEGMENT_RETRANSMITTED = 0x08, /* sent again, and not known to be lost since */
	SEGMENT_EVER_RETRANSMITTED = 0x10,
	SEGMENT_FIN = 0x20,  /* behind its bytes */
	SEGMENT_PUSH = 0x40, /* the user waits for nothing more to be written behind it */
	SEGMENT_APP_LIMITED = 0x80,
};

struct tcp_segment {
	uint32_t seq;
	uint32_t len;       /* of payload: as a rule a segment's; more leaves as a large one (tcp_piece) */
	uint32_t buffer;    /* number of the packet buffer, POOL_NONE: no payload */
	uint32_t sum;       /* of the payload, as checksum_add has it; meaningless with has_no_sum */
	uint32_t off : 17;  /* of the payload in the buffer */
	uint32_t large : 1; /* the buffer is */
	uint32_t has_no_sum : 1;
	uint32_t ends_record : 1; /* nothing is put behind its bytes (MSG_EOR) */
	uint8_t flags;            /* enum tcp_segment_flags */
	uint32_t older, newer;    /* those in flight, by when they were sent last (RFC 8985 section 6.1) */
	uint64_t sent;            /* last */
	/* The connection as it was then (tcp_rate.c): bytes, of counters the low half; times as TCP_RATE_NS before
	 * `sent`. */
	uint32_t delivered, lost, in_flight;
	uint32_t delivered_ago, first_sent_ago;
};
_Static_assert(sizeof(struct tcp_segment) <= 64, "a cache line");

#define TCP_QUEUE_FEW 8u

/* Numbers of segments in order, a ring that grows, in packet buffers. What was sent stands before what was not. */
struct tcp_queue {
	uint32_t *at; /* few or memory; NULL: nothing yet */
	uint32_t cap; /* a power of two */
	uint32_t head, n, n_sent;
	uint32_t few[TCP_QUEUE_FEW];
	struct packet_buffer memory; /* when there are more */
};

/* --- what came --- */

/* Bytes without a gap that are ahead of a gap. */
struct tcp_island {
	uint32_t left, right;
	struct packet *first, *last;
};

#define TCP_ISLANDS_MAX 64u

struct tcp_islands {
	uint32_t n;
	uint32_t newest;    /* which one grew last: the first in a SACK option (RFC 2018 section 4) */
	uint32_t recent[3]; /* left edges of those before, newest first */
	struct tcp_island island[TCP_ISLANDS_MAX]; /* by their numbers */
};

struct tcp_inbox {
	struct packet *first, *last; /* in order; the first one's payload counts from skip on */
	uint32_t skip;
	uint32_t bytes;   /* that nobody has read, in order */
	uint32_t memory;  /* bytes of buffers, here and among the islands */
	uint32_t islands; /* number in the pool, POOL_NONE */
};

/* --- a connection --- */

enum tcp_ca_state { /* Linux's names */
		    TCP_CA_OPEN,
		    TCP_CA_DISORDER,
		    TCP_CA_CWR, /* the window was lowered by a mark */
		    TCP_CA_RECOVERY,
		    TCP_CA_LOSS,
		    N_TCP_CA_STATES
};

/* What the one retransmission timer is armed for. */
enum tcp_rtx_kind { TCP_RTX_NONE, TCP_RTX_RTO, TCP_RTX_PROBE, TCP_RTX_PERSIST };

/* What the user has set, where it is looked at for each segment: ... */
struct tcp_told {
	bool nodelay : 1, cork : 1, no_quickack : 1, keepalive : 1, linger : 1, oob_inline : 1;
	bool sndbuf_set : 1, rcvbuf_set : 1;
	uint8_t tos, ttl;
};

/* ... and what is seldom set: a record of the pool, shared by a listener and what it makes until one of them is told
 * something else. 0: the config's. */
struct tcp_user_options {
	uint64_t keepalive_time, keepalive_interval, user_timeout, linger2;
	uint32_t notsent_lowat, window_clamp, rcv_lowat, linger_s;
	uint16_t user_mss;
	uint8_t keepalive_probes, syn_retries, min_ttl;
	uint32_t index;
	uint32_t n_users; /* who have it; the one that nothing was set in counts none */
};
extern const struct tcp_user_options tcp_no_options;

/* What there is of a connection only as long as something is to be sent or acknowledged, or what became of it is not
 * told yet. A connection that rests points to tcp_no_flight, in which nothing may be written (tcp_flight.c). */
struct tcp_flight {
	uint32_t index;
	uint8_t rtx_kind; /* enum tcp_rtx_kind */
	uint8_t n_dupacks;
	uint8_t n_probes;     /* of a closed window, in a row */
	uint8_t n_unanswered; /* of those */
	struct tcp_queue queue;
	uint64_t rtx_at, reorder_at, pace_timer_at;
	uint64_t rtx_sent;  /* last_sent when rtx_at was set */
	uint64_t rtx_since; /* when the oldest byte was sent first, for R2 and the user timeout; 0: nothing waits */

	/* In flight = snd_nxt - snd_una - sacked - lost + retransmitted, in bytes. */
	uint32_t sacked, lost, retransmitted;
	uint32_t lost_total;     /* all that was ever taken to be lost */
	uint32_t oldest, newest; /* of those in flight, by when they were sent: tcp_segment.older */
	uint32_t lost_from;      /* what is to be sent again stands from here on */
	uint32_t fack;           /* highest number that was acknowledged in any way */
	uint32_t snd_small;      /* behind the last small segment (Minshall) */

	/* SACK and RACK (RFC 8985 section 5.2). */
	uint64_t rack_sent, rack_rtt;
	uint32_t rack_end;
	uint32_t dsack_round;
	uint32_t tlp_end; /* of a loss probe that is not answered; valid with tlp_out */
	bool tlp_out, tlp_retransmitted, dsack_in_round;
	bool undo_valid, frto;
	bool frto_probes; /* new data are sent before anything is sent again (RFC 5682 step 2b) */
	struct {
		uint32_t left, right;
	} sack_seen[4]; /* blocks of the last acknowledgement */

	/* Recovery. */
	uint32_t high_seq; /* recovery ends when it is acknowledged */
	uint32_t prior_cwnd, prior_ssthresh;
	union cc_undo cc_undo;
	uint64_t prr_delivered, prr_out, prr_fs;
	uint32_t undo_marker;   /* valid with undo_valid: what was sent again since then, */
	int32_t undo_retrans;   /* in segments, and not known to have been for nothing */
	uint32_t retrans_stamp; /* timestamp of the first of them */

	/* Delivery rate. */
	uint64_t delivered_at, first_sent, app_limited; /* app_limited: until so much is delivered; 0: not */

	/* The window's use: the most that was on its way in this round, which ends when out_end is acknowledged. */
	uint32_t out_max, out_end;
	uint32_t snd_up; /* urgent pointer (tcp_urgent.c), with urgent bytes on their way */
	/* Since when there is something to send, and the other end's window keeps it back; 0: not now. */
	uint64_t busy_since, limited_since;

	uint64_t cork_until; /* 0: nothing waits */
#define TCP_CORK_PASSED 1u   /* the user wants what waits to leave all the same */
	uint64_t pace_at;

	uint64_t syn_first_at;
};
extern const struct tcp_flight tcp_no_flight;

/* A million of them wait most of the time: with its socket one has 512 bytes. In the order in which a segment touches
 * it. */
struct tcp_conn {
	struct tcp_node node;
	uint32_t index;
	uint8_t state;       /* enum tcp_state */
	uint8_t ca_state;    /* enum tcp_ca_state */
	uint8_t n_rtx;       /* timeouts in a row */
	uint8_t n_quick : 7; /* acknowledgements that are sent at once */
	bool ack_waits : 1;  /* one does, for the user's turn (tcp.turn) */

	/* Sending and receiving (RFC 9293 section 3.3.1). */
	uint32_t snd_una, snd_nxt, snd_wnd;
	uint32_t write_seq;        /* behind the last byte that the user has written */
	uint32_t rcv_nxt, rcv_adv; /* rcv_adv: right edge of the window as told */
	uint32_t ts_recent, ts_offset;

	/* What was agreed on, and where it stands. */
	bool is_used : 1, has_user : 1;
	bool is_waiting : 1; /* to be accepted: `waits` says where */
	bool wants_room : 1; /* the user waits for it */
	bool sack_ok : 1, ts_ok : 1, wscale_ok : 1, ecn_ok : 1;
	bool fin_queued : 1;   /* the user has closed the sending way */
	bool fin_received : 1; /* and the other end its own: rcv_nxt is behind it */
	bool fin_ahead : 1;    /* it has come, and what is before it has not: it stands at fin_at */
	bool rcv_closed : 1;   /* shut down: nobody reads */
	bool listed : 1;       /* in tcp.pending */
	bool ack_now : 1; /* an acknowledgement leaves with whatever comes next, at the end of this batch at the latest
			   */
	bool ece_pending : 1; /* ECE is set in what is sent until CWR comes (RFC 3168 section 6.1.3) */
	bool cwr_pending : 1;
	bool urgent_ready : 1, urgent_taken : 1;
	bool is_active : 1; /* we have opened it */
	bool more : 1;      /* the last call said that more comes */
	bool rtt_valid : 1, reordering_seen : 1;
	bool cwnd_limited : 1;    /* in this round trip the window kept something back */
	bool was_app_limited : 1; /* when its flight ended */
	struct tcp_told told;
	uint8_t reason; /* enum tcp_reason: why it ended */
	uint8_t cc;     /* the congestion control, in cc_all */
	struct tcp_flight *flight;
	const struct tcp_user_options *o;
	struct tcp_inbox inbox;

	uint16_t mss;     /* payload that a segment may have, without options of its own (timestamps are taken off) */
	uint16_t rcv_mss; /* size of the other end's segments, as seen */
	uint32_t unacked; /* bytes received since the last acknowledgement */
	uint32_t last_ack_sent; /* its number */
	uint32_t cwnd, ssthresh;
	uint32_t snd_wl1, snd_wl2, snd_wnd_max;
	uint32_t sndbuf; /* bytes that may wait or be on their way */
	uint32_t rcvbuf;
	uint64_t delack_at;
	uint64_t last_sent; /* something with data; in a handshake: the SYN, 0: it was sent more than once */
	uint64_t heard_at;  /* the last packet of the other end */
	uint64_t delivered;

	/* Round trip (RFC 6298). */
	uint64_t srtt, rttvar;
	uint32_t min_rtt;    /* no more than UINT32_MAX: that, or nothing is known */
	uint32_t round_end;  /* when this number is acknowledged a round trip has passed */
	uint32_t reordering; /* largest distance of a segment that came late, in bytes */
	uint8_t reo_wnd_mult, reo_wnd_persist;
	uint8_t snd_scale : 4, rcv_scale : 4;
	uint8_t side : 5;    /* enum tcp_side: who closed first, or ended it */
	bool reuse_addr : 1; /* its port may be bound by who says likewise (SO_REUSEADDR) */
	bool gso : 1;        /* the device on the way cuts large segments, */
	bool no_sum : 1;     /* and sums them (tcp_take_way) */
	union cc_state cc_state;
	uint64_t pacing_rate; /* bytes a second; 0: not paced */
	struct timer_node timer;
	uint32_t next_pending; /* tcp.pending */
	union {
		uint64_t user;
		struct {
			uint32_t listener, next_accept;
		} waits;
	};

	/* How large the buffer for what comes should be. */
	uint64_t rtt_probe_at, copied_since;
	uint32_t rtt_probe_seq;        /* receiver's round: when this number comes, one has passed */
	uint32_t rcv_rtt;              /* ns, no more than UINT32_MAX; 0: not known */
	uint32_t copied, copied_round; /* bytes that the user took since copied_since; most in a round trip */

	/* Seldom. */
	struct {
		uint32_t left, right;
	} dsack; /* to be told; left == right: none */
	uint64_t keep_at;
	uint64_t bytes_acked, bytes_received, bytes_retransmitted;
	uint32_t segs_in, segs_out, n_retransmitted;
	uint32_t rare;     /* number (tcp_rare.h), POOL_NONE */
	uint32_t iss, irs; /* initial numbers, ours and the other end's */
	uint32_t fin_at, rcv_up;
	uint32_t ts_recent_s; /* seconds of the clock when ts_recent came */
	uint32_t data_ms;     /* milliseconds of the clock, when data came last; 0: not yet */
	uint32_t busy_ms,
		limited_ms;   /* how long there was something to send, and the other end's window kept it back */
	uint16_t min_rtt_s;   /* seconds, when min_rtt was measured */
	uint16_t challenge_s; /* likewise, of the last acknowledgements of that kind, so many: */
	uint8_t n_challenges : 7;
	bool syn_lost : 1; /* it was sent more than once */
	uint8_t n_keepalive;
	uint8_t error;      /* errno, for SO_ERROR */
	uint8_t soft_error; /* of ICMP: told if it times out */
	uint32_t oow_ms;    /* milliseconds of the clock, at the last acknowledgement of something out of the window */
	uint16_t mss_peer, mss_own;
	uint16_t path_mtu;
};

/* --- before a connection --- */

struct tcp_listener {
	uint16_t port, zone;
	uint32_t addr;        /* 0: any */
	uint32_t index, next; /* of its port */
	bool open, reuse_port;
	uint8_t defer_accept;
	uint32_t backlog, n_accept, n_half_open;
	uint32_t n_held; /* were accepted, and wait still with whoever hands them on: the backlog counts them */
	uint32_t first_accept, last_accept;
	uint64_t user;
	struct tcp_told told; /* of connections that it makes */
	const struct tcp_user_options *o;
	uint32_t rare; /* likewise; number (tcp_rare.h), POOL_NONE */
	uint32_t sndbuf, rcvbuf;
	uint8_t cc;
};

struct tcp_half_open {
	struct tcp_node node;
	uint32_t iss, irs;
	uint32_t ts_recent;
	uint32_t listener;
	uint16_t mss;
	uint8_t snd_scale, rcv_scale;
	bool sack_ok : 1, ts_ok : 1, wscale_ok : 1, ecn_ok : 1;
	bool acked : 1; /* the handshake is done, and data is waited for (TCP_DEFER_ACCEPT) */
	uint8_t n_sent;
	uint64_t at; /* when the SYN came */
	uint32_t ts_offset;
	struct timer_node timer;
	uint32_t index;
	uint32_t saved_syn; /* number, POOL_NONE */
};

struct tcp_time_wait {
	struct tcp_node node;
	uint32_t snd_nxt, rcv_nxt, rcv_wnd;
	uint32_t ts_recent;
	uint32_t ts_recent_s; /* seconds of the clock when it was noted */
	uint8_t rcv_scale : 4;
	uint8_t side : 3;       /* enum tcp_side: who closed first */
	uint8_t reuse_addr : 1; /* as of the connection */
	uint8_t ts_ok : 1;
	uint8_t ifindex : 7; /* it hears and sends by that interface alone, 0: by any */
	uint16_t md5;        /* number of its key (tcp_md5.h), 0: none */
	uint32_t older, newer;
	uint64_t expires;
};
_Static_assert(sizeof(struct tcp_conn) <= 440, "with a socket and its place in the table 512 bytes");
_Static_assert(sizeof(struct tcp_half_open) <= 96, "an entry of the SYN queue");
_Static_assert(sizeof(struct tcp_time_wait) <= 64, "a TIME_WAIT record");

/* --- all --- */

#define TCP_PORT_BUCKETS 1024u
#define TCP_TURN_MAX 4096u

struct tcp {
	struct env *env;
	struct ip_stack *ip;
	struct tcp_config cfg;
	struct tcp_user_ops user;
	void *user_ctx;
	tcp_unknown_fn *unknown;
	void *unknown_ctx;
	struct siphash_key key_table, key_isn, key_ts, key_port, key_cookie;
	uint32_t port_counter[256]; /* RFC 6056 algorithm 4 */
	struct tcp_table table;
	struct pool conns, flights, options, half_open, time_wait, segments, islands, listeners;
	struct pool rares, saved_syns, md5_keys;
	struct pool cc_records; /* of connections whose congestion control keeps one */
	struct rng cc_rng;      /* of congestion controls alone, so that nothing else is drawn otherwise for them */
	uint32_t listener_of[TCP_PORT_BUCKETS];
	struct timer_wheel wheel, half_open_wheel;
	uint32_t time_wait_oldest, time_wait_newest;
	uint32_t pending_first, pending_last; /* connections that have something to send, through next_pending */
	struct batch out;
	/* Connections whose acknowledgement has begun to wait for their user's turn, which ends with tcp_expire; of
	 * some it has left since. */
	uint32_t turn[TCP_TURN_MAX];
	uint32_t n_turn, n_acks_wait; /* n_acks_wait: of how many it has not */
	uint64_t challenge_at;        /* all connections' acknowledgements of that kind (RFC 5961 section 7) */
	uint32_t n_challenges, challenge_limit;
	uint64_t cookie_since; /* since when cookies were sent last: only then are they believed */
	uint64_t counts[N_TCP_COUNTERS], resets[N_TCP_REASONS], ends[N_TCP_REASONS], resets_in[N_TCP_RESETS_IN];
	struct captures *captures; /* NULL: there are none */
	struct {
		uint64_t counts[N_TCP_COUNTERS], resets[N_TCP_REASONS], resets_in[N_TCP_RESETS_IN];
	} seen; /* of a packet that is kept for a capture: before it */
	uint64_t n_ended;
	struct tcp_ended ended[TCP_ENDED_MAX]; /* a ring */
};

#endif
