/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Raw ICMP sockets on our own stack: what ping and traceroute need. A socket
 * has one identifier; it receives every ICMP message to us that answers what it
 * sent: replies with its identifier, and errors that quote a request of its.
 */
#ifndef YG_STACK_SOCKET_PING_SOCKET_H
#define YG_STACK_SOCKET_PING_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/ip/stack.h"

struct socket_entry; /* socket_list.h */

#define PING_SOCKETS_MAX 64
#define PING_SOCKET_QUEUE_MAX 64 /* messages not yet read, a socket */

struct ping_sockets; /* all of one worker */

struct ping_message {
	uint64_t received_ns;
	bool is_sent; /* no answer: the request of this seq itself, received_ns is when it went out */
	uint32_t from;
	uint8_t type, code, ttl;
	uint16_t seq;  /* of the request that it answers */
	uint16_t len;  /* ICMP bytes, header included */
	uint32_t info; /* bytes 4 to 7 */
};

struct ping_sockets *ping_sockets_create(struct ip_stack *s);
void ping_sockets_destroy(struct ping_sockets *r);
/* A socket number, or -EMFILE. Its identifier is drawn at random and unused. */
int ping_socket_open(struct ping_sockets *r);
void ping_socket_close(struct ping_sockets *r, int socket);
struct ping_request {
	uint32_t dst;
	uint32_t src; /* 0: by the route */
	uint16_t seq;
	uint16_t data_len; /* bytes behind the ICMP header, at most 65,507 */
	uint8_t ttl;       /* 0: the stack's */
	uint8_t tos;
	bool df;
	uint16_t zone; /* by whose routing table */
};
/* Sends an echo request. 0; -ENETUNREACH without a route, -ENOBUFS, -EMSGSIZE (df and larger than the MTU). */
int ping_socket_send(struct ping_sockets *r, int socket, const struct ping_request *rq);
/* The next message; false when none waits. */
bool ping_socket_receive(struct ping_sockets *r, int socket, struct ping_message *out);
/* Sockets with something to read: called once per message as it arrives. */
typedef void ping_socket_ready_fn(void *ctx, int socket);
void ping_sockets_set_ready(struct ping_sockets *r, ping_socket_ready_fn *fn, void *ctx);
/* As sockets_list: up to max of the next ones, of which the local port is the identifier. *cursor begins at 0; fewer
 * than max: these were the last. */
uint32_t ping_sockets_list(const struct ping_sockets *r, uint32_t *cursor, struct socket_entry *out, uint32_t max);
/* Messages that found a full queue. */
uint64_t ping_socket_n_overflowed(const struct ping_sockets *r);

#endif
