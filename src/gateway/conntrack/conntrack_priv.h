/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of connection tracking share.
 *
 * They stand on each other in this order, and none calls one behind it:
 *
 *   tuple, table, source, fragment      what knows nothing of connections
 *   timeouts, lookup                    when a connection ends, who has a tuple
 *   tcp_window; tcp, datagram, sctp, dccp; protocol
 *                                       the trackers, a row of one table each: they judge
 *                                       and say what follows from it
 *   identity, life                      which do it
 *   spare, expect, icmp, flow, record   what others ask for
 *   conntrack                           the hooks
 *   expiry                              what the clock ends
 */
#ifndef YG_GATEWAY_CONNTRACK_CONNTRACK_PRIV_H
#define YG_GATEWAY_CONNTRACK_CONNTRACK_PRIV_H

#include "base/timer.h"
#include "gateway/conntrack/conntrack.h"
#include "gateway/conntrack/fragment.h"
#include "gateway/conntrack/source.h"
#include "gateway/conntrack/table.h"

/* Timeouts count in tenths of a second; 32 bits of them are 13 years. */
#define CT_TICK_NS (NS_PER_S / 10)
#define CT_TICKS_PER_S 10u

/* Connections beyond the configured number: those that have ended while packets of the present batch still name them.
 */
#define CT_DYING_MAX (4 * BATCH_MAX)
/* And room for those that end however many wait: one a packet and hook at most. */
#define CT_DYING_ROOM (CT_DYING_MAX + 2 * BATCH_MAX)
/* Connections beyond the configured number that are not confirmed: most packets that nobody takes need no more, and so
 * push nobody out. */
#define CT_UNCONFIRMED_SPARE 512
#define CT_BEYOND_MAX (CT_DYING_ROOM + CT_UNCONFIRMED_SPARE)

/* An ignored segment that is remembered; conn.tcp_last says whether there is one and which. */
struct ct_tcp_last {
	uint32_t number;
	uint16_t win;
	uint8_t flags, scale;
};

/* Where a connection began, as far as the unassured are told apart by it. */
enum ct_origin { CT_FROM_INSIDE, CT_FROM_OUTSIDE, N_CT_ORIGINS };

/* Beside each connection, by its index: what its later packets have no need of. */
struct ct_ext {
	struct timer_node timer; /* confirmed */
	uint32_t source;         /* the counter of its source address, see source.c */
	struct conn_ext notes;
	struct ct_tcp_last tcp_last;
	uint32_t begun_low;         /* ct_begun_us */
	uint32_t n_packets;         /* that hold it: conn_unconfirmed is set in them */
	uint32_t bucket[N_CT_DIRS]; /* of the table; REPLY's with CT_REPLY_RESERVED */
	union {
		struct {
			uint32_t next, prev; /* confirmed and not assured: its list of the unassured, oldest first */
		};
		uint32_t predecessor; /* unconfirmed: whose end it began with, POOL_NONE */
	};
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct ct_ext) == 64, "a cache line");

/* When it was created, by the core's clock in microseconds: 48 bits of them, which are nine years. */
#define CT_BEGUN_MASK ((UINT64_C(1) << 48) - 1)
static inline uint64_t ct_begun_us(const struct ct_ext *s)
{
	return (uint64_t)s->notes.begun_high << 32 | s->begun_low;
}

static inline void ct_set_begun(struct ct_ext *s, uint64_t us)
{
	s->begun_low = (uint32_t)us;
	s->notes.begun_high = (uint16_t)(us >> 32);
}

/* identity.c: the last connection between two addresses. */
#define CT_IDENTITIES 1024u
struct ct_identity {
	uint32_t conn_plus_1; /* 0: none */
	bool several;         /* hosts had connections at once */
};

struct conntrack {
	struct env *env;
	struct ct_config cfg; /* timeouts with the defaults filled in */
	struct siphash_key key;
	bool has_zones; /* other than 0 */
	struct ct_table table;
	struct pool conns;
	struct pool sides; /* used as an array */
	struct conn *conn; /* by number, as side */
	struct ct_ext *side;
	struct timer_wheel wheel;
	struct {
		uint32_t first, last, n;
	} unassured[N_CT_ORIGINS];
	uint32_t capacity;
	uint32_t n_confirmed, n_unconfirmed;
	uint32_t n_mapped; /* with CT_MAPPED */
	uint32_t dying[CT_DYING_ROOM];
	uint32_t n_dying;
	struct ct_fragments *fragments;
	struct ct_sources sources;
	struct ct_identity identity[CT_IDENTITIES];
	/* Slots; no functions: nobody. */
	struct ct_ip_ops ip;
	void *ip_ctx;
	struct ct_nat_ops nat;
	void *nat_ctx;
	struct ct_flowcache_ops flowcache;
	void *flowcache_ctx;
	struct ct_workers workers;
	struct ct_log log;
	uint64_t counts[N_CT_COUNTERS];
};

static inline struct conn *ct_conn(const struct conntrack *ct, uint32_t index)
{
	return &ct->conn[index];
}

/* Where a tuple stands in the table. */
static inline ct_place ct_place_of(const struct conntrack *ct, const struct tuple *t)
{
	return ct_table_place(&ct->table, tuple_hash(&ct->key, t));
}

/* lookup.c */

uint32_t ct_find(const struct conntrack *ct, ct_place place, const struct tuple *t);

/* life.c */

/* A new, unconfirmed connection with this ORIGINAL tuple, or POOL_NONE when the table is full. It has no packet yet. */
uint32_t ct_create(struct conntrack *ct, ct_place place, const struct tuple *orig);
/* p shares the unconfirmed connection and keeps it alive. */
void ct_hold(struct conntrack *ct, uint32_t index, struct packet *p);
/* The opposite. */
void ct_let_go(struct conntrack *ct, struct packet *p);
/* Makes room for one more that is to be confirmed, if need be by the end of an unassured one. */
bool ct_make_room(struct conntrack *ct);
/* An unconfirmed one that no packet holds leaves no trace. */
void ct_discard(struct conntrack *ct, uint32_t index);
/* False when the REPLY tuple belongs to another connection. */
bool ct_confirm_one(struct conntrack *ct, uint32_t index);
/* Gives back what ended before this batch. */
void ct_flush_dying(struct conntrack *ct);

/* timeouts.c */

void ct_timeouts_fill(struct ct_timeouts *t);
/* It ends then at the latest. */
void ct_shorten(struct conntrack *ct, uint32_t index, uint32_t seconds);
void ct_arm(struct conntrack *ct, uint32_t index);
static inline uint32_t ct_now_tick(const struct conntrack *ct)
{
	return (uint32_t)(ct->env->now / CT_TICK_NS);
}

static inline bool tick_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* So many seconds from now. One tick more, since the present one has begun. */
static inline uint32_t ct_expires_in(const struct conntrack *ct, uint32_t seconds)
{
	return ct_now_tick(ct) + seconds * CT_TICKS_PER_S + 1;
}

/* A packet of it has come: it ends so many seconds from now. */
static inline void ct_refresh(struct conntrack *ct, uint32_t index, uint32_t seconds)
{
	struct conn *c = ct_conn(ct, index);
	uint32_t before = conn_expires_tick(c);
	uint32_t then = ct_expires_in(ct, seconds);

	/* Nothing to write within one tick. */
	if (then == before)
		return;
	c->half[CT_ORIGINAL].expires_tick = c->half[CT_REPLY].expires_tick = then;
	if (YG_UNLIKELY(tick_before(then, before)) && (c->status & (CT_CONFIRMED | CT_DYING)) == CT_CONFIRMED)
		ct_arm(ct, index);
}

/* As if a packet of it had come at `then`, which has passed. */
void ct_refresh_at(struct conntrack *ct, uint32_t index, uint32_t seconds, uint64_t then);

/* What a tracker says of a packet of a connection, and of what others have forwarded: whether it belongs to it, and
 * what follows from that (ct_follow). */
enum ct_judgement {
	CT_JUDGE_INVALID = 0,
	CT_JUDGE_ACCEPT = 0x01,
	CT_JUDGE_REOPEN = 0x02,   /* the old connection is over: this packet begins a new one on the same tuple */
	CT_JUDGE_REFRESH = 0x04,  /* the connection ends so long from now as its row says */
	CT_JUDGE_SHORTEN = 0x08,  /* ... at the latest */
	CT_JUDGE_ASSURE = 0x10,   /* it is assured from here on */
	CT_JUDGE_CHANGED = 0x20,  /* its state is another one */
	CT_JUDGE_FINISHED = 0x40, /* conntrack_may_be_finished has become true */
};
typedef uint32_t ct_judgement; /* bits of it */

struct ct_deferred;
struct ct_record;

/* A row of the table of protocols (protocol.c): all that is particular to one. What is NULL does nothing, what is 0 is
 * never. None of the functions touches a timer, a list or a slot: they read packets and write the connection. */
struct ct_protocol {
	/* False when a connection cannot begin with this packet; NULL: with any. */
	bool (*can_begin)(const struct conntrack *ct, const struct packet *p);
	/* Returns how many seconds it lives without another packet. */
	uint32_t (*begin)(struct conntrack *ct, uint32_t index, const struct packet *p);
	/* Its checksum is asked for also when it is not the first of its direction. */
	bool (*changes_state)(const struct packet *p);
	/* A later packet, whose checksum was right if it was asked for. */
	ct_judgement (*packet)(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p);
	/* Both tuples are what they will be. */
	void (*confirmed)(struct conn *c);
	/* How long it lives without a packet, as it is now; in seconds. */
	uint32_t (*timeout)(const struct ct_timeouts *t, const struct conn *c);
	/* Its time is up: what for. */
	enum ct_end_reason (*end_reason)(const struct conn *c);
	/* What others have forwarded of it (flow.h); CT_JUDGE_REFRESH is then from the last of that on. */
	ct_judgement (*deferred)(struct conn *c, enum ct_dir dir, const struct ct_deferred *credit);

	/* It is over but for its port, once it was silent for so many ticks; and what was silent so long nobody may
	 * count on (spare.c). */
	bool (*finished)(const struct conn *c);
	uint32_t finished_ticks, idle_ticks;

	/* Of a packet that came in fragments: the first one was judged, what the later ones need to know of it; and one
	 * of those. */
	void (*first_fragment)(const struct conn *c, enum ct_dir dir, const struct packet *p,
			       struct ct_fragment_first *first);
	void (*later_fragment)(struct conn *c, enum ct_dir dir, const struct ipv4_view *ip,
			       const struct ct_fragment_first *first);
	/* A quoted packet of direction dir may be on its way; NULL: any. */
	bool (*quote_fits)(const struct conn *c, enum ct_dir dir, const struct l4_view *quoted);

	/* What a record of the connection (record.h) has besides what all have; written, and read behind that. */
	void (*save)(const struct conntrack *ct, uint32_t index, struct ct_record *out);
	void (*restore)(struct conntrack *ct, uint32_t index, const struct ct_record *r);

	const char *const *state_names;
	uint8_t n_states;
};
extern const struct ct_protocol ct_tcp, ct_udp, ct_udplite, ct_icmp, ct_sctp, ct_dccp, ct_gre, ct_esp, ct_other;
extern const struct ct_protocol *const ct_protocols[256];
static inline const struct ct_protocol *ct_protocol_of(uint8_t proto)
{
	return ct_protocols[proto] != NULL ? ct_protocols[proto] : &ct_other;
}

static inline const struct ct_protocol *ct_protocol_of_conn(const struct conn *c)
{
	return ct_protocol_of(c->half[CT_ORIGINAL].tuple.proto);
}

/* What follows from a judgement, in life.c: the rest of the house hears of it, and the end is put off. */
void ct_follow(struct conntrack *ct, uint32_t index, const struct ct_protocol *proto, ct_judgement j);
static inline void ct_begin(struct conntrack *ct, uint32_t index, const struct ct_protocol *proto,
			    const struct packet *p)
{
	uint32_t then = ct_expires_in(ct, proto->begin(ct, index, p));
	struct conn *c = ct_conn(ct, index);

	c->half[CT_ORIGINAL].expires_tick = c->half[CT_REPLY].expires_tick = then;
}

/* By the config. */
static inline struct ct_source_limit ct_source_limit_of(const struct conntrack *ct)
{
	return (struct ct_source_limit){ .max = ct->cfg.max_per_source, .new_per_s = ct->cfg.new_per_source_s };
}

/* A field of the timeouts by its offset. */
static inline uint32_t ct_timeout_at(const struct ct_timeouts *t, uint8_t offset)
{
	uint32_t seconds;

	memcpy(&seconds, (const uint8_t *)t + offset, sizeof(seconds));
	return seconds;
}

/* flow.c's part of two trackers: a later segment that changes no state, 0 when it does not fit or would, else how many
 * seconds its connection lives from here on; and by what later datagrams of this moment are judged. */
uint32_t ct_tcp_plain(const struct ct_timeouts *t, struct conn *c, enum ct_dir dir, const struct l4_view *v,
		      const uint8_t *header);
struct ct_moment;
void ct_moment_now(const struct conntrack *ct, struct ct_moment *m);

/* Finds the connection that an ICMP error is about: sets conn_ref and ct_info of p, or drops it. */
void ct_icmp_error(struct conntrack *ct, enum ip_hook hook, struct packet *p);

/* identity.c */

/* The connection whose answer a packet with this tuple is, though nobody has the tuple: its REPLY tuple is known from
 * here on, or is not known any more. CONN_NONE if there is none. */
uint32_t ct_identity_learn(struct conntrack *ct, const struct tuple *t, ct_place place);
/* The connection that a quoted packet belonged to, which left with this tuple; the reference has the error's direction.
 */
uint32_t ct_identity_quoted(struct conntrack *ct, const struct tuple *quoted);
/* Both tuples stand in the table. */
void ct_identity_confirmed(struct conntrack *ct, uint32_t index);

/* Hands on the held fragments that found no room in their batch. */
void ct_resume_ready(struct conntrack *ct);

/* True when the checksum is right, is left to the device, or was checked by it; not looked at in fragments. */
static inline bool ct_checksum_ok(struct packet *p)
{
	if (p->offload.csum_partial || p->offload.csum_valid || ipv4_is_fragment(&p->ip))
		return true;
	return l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p));
}

static inline void ct_set_invalid(struct conntrack *ct, struct packet *p)
{
	p->conn_ref = CONN_NONE;
	p->ct_info = CT_INFO_INVALID;
	ct->counts[CT_COUNT_INVALID]++;
}

/* trace.c: tells the trace slot, when somebody listens, what each packet of b belongs to. */
void ct_trace(struct conntrack *ct, const struct batch *b);

#endif
