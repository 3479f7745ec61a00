/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What scenarios on our own TCP share, on top of stack/transport/tcp_script.h: beginnings, a
 * peer that goes on where it stands, and what is expected of the next segment.
 */
#ifndef YG_TESTS_RFC_HOST_SCRIPT_H
#define YG_TESTS_RFC_HOST_SCRIPT_H

#include "check/cmocka.h"
#include "stack/transport/tcp_script.h"

/* MSS 1460. */
static const uint8_t mss_options[4] = { 2, 4, 5, 180 };
/* ... and SACK permitted. */
static const uint8_t sack_options[8] = { 2, 4, 5, 180, 1, 1, 4, 2 };
/* ... and timestamps, of which the first is 1,000. */
static const uint8_t ts_options[20] = { 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 3, 232, 0, 0, 0, 0, 1, 1, 1, 0 };
/* ... and a window scale of 7. */
static const uint8_t all_options[20] = { 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 3, 232, 0, 0, 0, 0, 1, 3, 3, 7 };

/* A connection that the peer has opened. */
static inline void begin(struct script *s, const uint8_t *options, uint32_t len)
{
	script_start(s, NULL);
	s->ts_val = 1000;
	script_accept(s, options, len);
}

static inline void begin_with(struct script *s, const struct tcp_config *cfg, const uint8_t *options, uint32_t len)
{
	script_start(s, cfg);
	s->ts_val = 1000;
	script_accept(s, options, len);
}

/* Where the peer stands: its next number, and all that we have sent. */
static inline uint32_t peer_seq(const struct script *s)
{
	return s->c->rcv_nxt - PEER_ISN;
}

static inline uint32_t sent_to(const struct script *s)
{
	return s->c->snd_nxt - s->host_isn;
}

/* In order, acknowledging all. */
static inline void peer_sends(struct script *s, uint8_t flags, uint32_t len)
{
	script_in(s, &(struct in){ .flags = flags, .seq = peer_seq(s), .ack = sent_to(s), .len = len });
}

/* Without data: that far. */
static inline void peer_acks(struct script *s, uint32_t ack)
{
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = peer_seq(s), .ack = ack });
}

/* With one SACK block; without timestamps. */
static inline void peer_sacks(struct script *s, uint32_t ack, uint32_t left, uint32_t right)
{
	uint8_t o[12] = { 1, 1, 5, 10 };
	uint32_t edge[2] = { s->host_isn + left, s->host_isn + right };

	for (uint32_t i = 0; i < 8; i++)
		o[4 + i] = (uint8_t)(edge[i / 4] >> (24 - 8 * (i % 4)));
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = peer_seq(s), .ack = ack, .options = o, .options_len = 12 });
}

/* The user writes so many bytes; how many were taken. */
static inline int64_t user_writes(struct script *s, uint32_t len)
{
	static uint8_t bytes[1 << 20];

	assert_true(len <= sizeof(bytes));
	return host_send(&s->h, s->c, bytes, len);
}

static inline int64_t user_reads(struct script *s, uint32_t len)
{
	static uint8_t bytes[1 << 20];

	assert_true(len <= sizeof(bytes));
	return host_recv(&s->h, s->c, bytes, len);
}

static inline void user_shuts(struct script *s)
{
	assert_int_equal(tcp_shutdown(s->h.tcp, s->c, TCP_SHUT_WR), 0);
	ip_flush(s->h.ip);
}

static inline void user_closes(struct script *s)
{
	tcp_close(s->h.tcp, s->c);
	s->c = NULL;
	ip_flush(s->h.ip);
}

/* Without the bits that say nothing of a connection's life. */
static inline uint8_t plain(uint8_t flags)
{
	return flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
}

/* The next segment that came back is of this kind. */
static inline const struct seen *expect(struct script *s, uint8_t flags)
{
	const struct seen *o = script_out(s);

	assert_non_null(o);
	assert_int_equal(plain(o->flags), flags);
	return o;
}

static inline const struct seen *expect_ack(struct script *s, uint32_t ack)
{
	const struct seen *o = expect(s, TCP_ACK);

	assert_int_equal(o->ack, ack);
	return o;
}

static inline const struct seen *expect_data(struct script *s, uint32_t seq, uint32_t len)
{
	const struct seen *o = expect(s, TCP_ACK);

	assert_int_equal(o->seq, seq);
	assert_int_equal(o->len, len);
	return o;
}

static inline void expect_nothing(struct script *s)
{
	assert_null(script_out(s));
}

static inline void expect_state(const struct script *s, enum tcp_state state)
{
	assert_int_equal(tcp_state(s->c), state);
}

/* Bytes of payload in all that came back and was not looked at. */
static inline uint32_t bytes_out(struct script *s)
{
	uint32_t n = 0;

	for (const struct seen *o; (o = script_out(s)) != NULL;)
		n += o->len;
	return n;
}

/* To TIME-WAIT: we have closed first. */
static inline void to_time_wait(struct script *s, const uint8_t *options, uint32_t len)
{
	begin(s, options, len);
	user_closes(s);
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2 });
	script_in(s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 2 });
	assert_int_equal(s->h.tcp->time_wait.n_used, 1);
	script_forget(s);
}

#endif
