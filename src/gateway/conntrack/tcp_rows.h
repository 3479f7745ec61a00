/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Segments as rows, for tests of the TCP tracker. Sequence numbers in them are relative:
 * to the client's first (seq of '>' rows, ack of '<' rows) or the server's.
 */
#ifndef YG_GATEWAY_CONNTRACK_TCP_ROWS_H
#define YG_GATEWAY_CONNTRACK_TCP_ROWS_H

#include "gateway/conntrack/ct_fixture.h"

#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define R TCP_RST

enum { VALID = CT_INFO_NONE, INVALID = CT_INFO_INVALID };

struct row {
	uint32_t after_s; /* since the row before */
	char dir;         /* '>' from the client, '<' from the server */
	uint8_t flags;
	int64_t seq, ack;
	uint16_t win, len;
	int info;  /* VALID: any but INVALID */
	int state; /* behind it; -1: there is no connection */
	const uint8_t *options;
	uint8_t n_options;
};

/* Moved with the server's first number. */
static const uint8_t sack_2000_3000[] = { 1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0 };

#define OPEN \
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT }, \
		{ 0, '<', S | A, 0, 1, 2000, 0, CT_INFO_ESTABLISHED, CT_TCP_SYN_RECV }, \
	{ \
		0, '>', A, 1, 1, 1000, 0, CT_INFO_ESTABLISHED, CT_TCP_ESTABLISHED \
	}

/* The connection that rows are about; CONN_NONE. */
static inline uint32_t ref_now(const struct ct_fixture *b)
{
	struct tuple t = { .src = CLIENT, .dst = SERVER, .sport = 40000, .dport = 80, .proto = IPPROTO_NR_TCP };

	return conntrack_find(b->ct, &t);
}

static inline int state_now(const struct ct_fixture *b)
{
	uint32_t ref = ref_now(b);

	return ref == CONN_NONE ? -1 : ct_conn(b->ct, conn_index(ref))->tcp_state;
}

static inline struct packet_spec segment(const struct row *r, uint32_t client0, uint32_t server0, uint8_t *options)
{
	struct packet_spec m = { .in = LAN,
				 .out = WAN,
				 .src = CLIENT,
				 .dst = SERVER,
				 .proto = IPPROTO_NR_TCP,
				 .sport = 40000,
				 .dport = 80,
				 .seq = (uint32_t)r->seq + client0,
				 .ack = r->flags & A ? (uint32_t)r->ack + server0 : 0,
				 .window = r->win,
				 .flags = r->flags,
				 .payload_len = r->len,
				 .tcp_options = options,
				 .tcp_options_len = r->n_options };

	if (r->n_options != 0)
		memcpy(options, r->options, r->n_options);
	if (r->options == sack_2000_3000) {
		for (int i = 0; i < 4; i++) {
			options[4 + i] = (uint8_t)((server0 + 2000) >> (24 - 8 * i));
			options[8 + i] = (uint8_t)((server0 + 3000) >> (24 - 8 * i));
		}
	}
	if (r->dir == '<') {
		m = turned(m);
		m.seq = (uint32_t)r->seq + server0;
		m.ack = r->flags & A ? (uint32_t)r->ack + client0 : 0;
	}
	return m;
}

#endif
