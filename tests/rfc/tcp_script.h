/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One end of a TCP connection, in the hands of a scenario: it sends what it is
 * told to, with the right numbers, and knows what should arrive. It does nothing
 * by itself: no answer, no retransmission.
 */
#ifndef YG_TESTS_TCP_SCRIPT_H
#define YG_TESTS_TCP_SCRIPT_H

#include "rfc.h"

struct tcp_speaker {
	struct rfc *t;
	struct station *at;
	struct rfc_end own;  /* as this end knows itself */
	struct rfc_end peer; /* as this end sees the other; addr 0: whoever sends first */
	uint32_t snd_nxt, rcv_nxt;
	bool heard; /* rcv_nxt is known */
};

/* An end behind the lan router (addresses of 10.78.0.0/16) or behind the wan router (all others). */
struct tcp_speaker tcp_end_at(struct rfc *t, uint32_t addr, uint16_t port, struct rfc_end peer);

/* The segment that comes next: flags, and len bytes of data. */
void tcp_put(struct tcp_speaker *e, uint8_t flags, uint16_t len);
/* A segment with another sequence number; nothing is counted as sent. */
void tcp_send_at(struct tcp_speaker *e, uint32_t seq, uint8_t flags, uint16_t len);
/* Takes what arrived: fails the scenario unless it is a segment from the peer to this end with these flags and this
 * length, and continues what came before. An end without peer installs it. */
void tcp_hear(struct tcp_speaker *e, uint8_t flags, uint16_t len);

/* Sent, and taken by the other. */
void tcp_pass(struct tcp_speaker *from, struct tcp_speaker *to, uint8_t flags, uint16_t len);
/* Sent, and nothing arrives; it is as if it had not been sent. */
void tcp_lose(struct tcp_speaker *from, struct tcp_speaker *to, uint8_t flags, uint16_t len);
/* SYN, SYN-ACK, ACK. */
void tcp_handshake(struct tcp_speaker *client, struct tcp_speaker *server);
/* Data and an acknowledgement each way. */
void tcp_talk(struct tcp_speaker *a, struct tcp_speaker *b);
/* a's FIN and its ACK. */
void tcp_finish(struct tcp_speaker *a, struct tcp_speaker *b);
/* A client inside and a server outside. */
struct tcp_pair {
	struct tcp_speaker client, server;
};
/* HOST1's port 4000 and PEER1's port 5000; nothing is sent. */
struct tcp_pair tcp_pair_at(struct rfc *t);
/* Starts the scenario, and opens their connection. */
struct tcp_pair tcp_pair_open(struct rfc *t, const struct rfc_setup *s);
/* Starts the scenario, and returns HOST2's end as it can be reached from outside and from inside, where nobody has
 * asked for anything; `inside` is its port. With a mapping for one destination only it is a published one, port 80. */
struct rfc_end tcp_start_server(struct rfc *t, uint8_t proto, uint16_t inside);

/* Nothing waits at either router. */
void tcp_quiet(struct rfc *t);

#endif
