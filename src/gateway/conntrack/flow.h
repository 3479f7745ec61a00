/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connection tracking for whoever forwards later packets of a flow without the
 * hooks (gateway/flowcache): the look-up in steps, so that a batch can have all its
 * misses in flight at once; the judgement of a packet that changes no state, by
 * the same code as in the hooks; and credit for what was forwarded elsewhere.
 */
#ifndef YG_GATEWAY_CONNTRACK_FLOW_H
#define YG_GATEWAY_CONNTRACK_FLOW_H

#include "gateway/conntrack/conntrack.h"
#include "gateway/conntrack/table.h"

/* Where things stand, good for conntrack's life. */
struct ct_flows {
	struct siphash_key key;
	const struct ct_table *table;
	struct conn *conn; /* by number */
	uint32_t n_conns;  /* numbers in all */
};

void conntrack_flows(struct conntrack *ct, struct ct_flows *out);

/* A tuple as the two words that are hashed and compared. */
struct ct_flow_key {
	uint64_t word[2];
};

static inline struct ct_flow_key ct_flow_key(uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint8_t proto,
					     uint16_t zone)
{
	struct ct_flow_key k;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	/* The same as below, without bytes written here and read as words at once, which stalls. */
	k.word[0] = (uint64_t)dst << 32 | src;
	k.word[1] = (uint64_t)zone << 48 | (uint64_t)proto << 32 | (uint32_t)dport << 16 | sport;
#else
	struct tuple t = { .src = src, .dst = dst, .sport = sport, .dport = dport, .proto = proto, .zone = zone };

	memcpy(k.word, &t, sizeof(k.word));
#endif
	return k;
}

static inline ct_place ct_flow_place(const struct ct_flows *f, const struct ct_flow_key *k)
{
	return ct_table_place(f->table, siphash13_16(&f->key, k->word[0], k->word[1]));
}

static inline struct ct_half *ct_flow_half(const struct ct_flows *f, uint32_t ref)
{
	/* The lines stand as references count: connection << 1 | direction. */
	return (struct ct_half *)f->conn + ref;
}

static inline const struct tuple *ct_flow_tuple(const struct ct_flows *f, uint32_t ref)
{
	return &ct_flow_half(f, ref)->tuple;
}

static inline bool ct_flow_is(const struct ct_flows *f, uint32_t ref, const struct ct_flow_key *k)
{
	uint64_t word[2];

	memcpy(word, ct_flow_tuple(f, ref), sizeof(word));
	return ((word[0] ^ k->word[0]) | (word[1] ^ k->word[1])) == 0;
}

/* The most likely reference, not compared yet: what to prefetch. CONN_NONE when there is none. */
static inline uint32_t ct_flow_guess(const struct ct_flows *f, ct_place place)
{
	const struct ct_bucket *b = ct_table_bucket(f->table, place);
	uint64_t m = ct_bucket_match(b, ct_place_tag(place));

	if (YG_LIKELY(m != 0))
		return b->ref[ct_slot(m)];
	/* What stands in an overflow bucket is found by ct_flow_find. */
	return CONN_NONE;
}

/* The reference with this tuple, CONN_NONE if none; guess: what ct_flow_guess said, since when the table has not
 * changed.
 */
static inline uint32_t ct_flow_find(const struct ct_flows *f, ct_place place, const struct ct_flow_key *k,
				    uint32_t guess)
{
	if (YG_LIKELY(guess != CONN_NONE && ct_flow_is(f, guess, k)))
		return guess;
	const struct ct_bucket *b = ct_table_bucket(f->table, place);
	uint16_t tag = ct_place_tag(place);

	/* Not in the first one. */
	if (guess == CONN_NONE)
		b = ct_table_next(f->table, b);
	for (; b != NULL; b = ct_table_next(f->table, b)) {
		for (uint64_t m = ct_bucket_match(b, tag); m != 0; m &= m - 1) {
			uint32_t ref = b->ref[ct_slot(m)];

			if (ct_flow_is(f, ref, k))
				return ref;
		}
	}
	return CONN_NONE;
}

/* UDP and ICMP by how long they live; in both lines of their connections (ct_half.scale). */
enum ct_datagram_class {
	CT_DATAGRAM_UDP,
	CT_DATAGRAM_WELL_KNOWN, /* UDP to a port below 1024 */
	CT_DATAGRAM_QUERY,      /* the same, when queries end soon and it is not known to be anything else */
	CT_DATAGRAM_ICMP,
	N_CT_PLAIN_CLASSES, /* those that a plain packet can be of (src/stack/wire/plain.h) */
	CT_DATAGRAM_OTHER = N_CT_PLAIN_CLASSES
};

/* ct_half.flags of a datagram's connection, in both lines. */
#define CT_DATAGRAM_SETTLED 0x01u /* it is assured, or never will be */
#define CT_DATAGRAM_STREAM_TICKS 20u

/* The time that a batch came in at, in conntrack's ticks; and when what is answered ends if nothing more comes. */
struct ct_moment {
	uint32_t tick;
	uint32_t expires_tick[N_CT_PLAIN_CLASSES];
};

/* The moment that it is. */
void conntrack_moment(const struct conntrack *ct, struct ct_moment *m);
/* Before the first packet of a batch is looked up. */
void conntrack_batch_begin(struct conntrack *ct, struct ct_moment *m);

/* Answered, and still talking so long after it began. */
static inline bool ct_datagram_may_settle(const struct ct_half *h, uint32_t tick)
{
	return (h->flags & CT_DATAGRAM_SETTLED) == 0 && tick - h->datagram.first_tick > CT_DATAGRAM_STREAM_TICKS;
}

/* A datagram of a confirmed connection that has been answered, and that would change nothing but counters and the time
 * of its end. Does what the hooks would do with it. False, and nothing is done, when it would change a state after
 * all. */
static inline bool conntrack_datagram_plain(struct ct_half *h, uint32_t total_len, const struct ct_moment *m)
{
	uint32_t then = m->expires_tick[h->scale];

	/* Sooner than by the packet before, when the config has changed: whoever comes the slow path sets both lines.
	 */
	if (YG_UNLIKELY(ct_datagram_may_settle(h, m->tick) || (int32_t)(then - h->expires_tick) < 0))
		return false;
	h->expires_tick = then;
	h->packets++;
	h->bytes += total_len;
	return true;
}

/* Likewise a TCP segment with ACK and perhaps PSH: header and its values; of v: seq, ack, window, flags, payload_len,
 * options_len. False also when it does not fit. */
bool conntrack_tcp_plain(struct conntrack *ct, uint32_t ref, uint32_t total_len, const struct l4_view *v,
			 const uint8_t *header);

/* What was forwarded elsewhere of one direction. */
struct ct_deferred {
	uint64_t packets, bytes;
	uint64_t last_ns; /* when the last of them came */
	bool has_tcp;
	uint32_t tcp_end, tcp_ack, tcp_win; /* highest seq + length, highest ack, largest window field */
};
void conntrack_add_deferred(struct conntrack *ct, uint32_t ref, const struct ct_deferred *credit);

#endif
