/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Raw ICMP sockets on our own stack: what ping and traceroute need. A socket
 * has one identifier; it receives every ICMP message to us that answers what it
 * sent: replies with its identifier, and errors that quote a request of its.
 */
#ifndef YG_STACK_SOCKET_RAW_H
#define YG_STACK_SOCKET_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/ip/stack.h"

#define RAW_SOCKETS_MAX 64
#define RAW_QUEUE_MAX 64 /* messages not yet read, a socket */

struct raw_sockets; /* all of one worker */

struct raw_message {
	uint64_t received_ns;
	uint32_t from;
	uint8_t type, code, ttl;
	uint16_t seq;      /* of the request that it answers */
	uint16_t len;      /* ICMP bytes, header included */
	uint32_t info;     /* bytes 4 to 7 */
};

struct raw_sockets *raw_create(struct ip_stack *s);
void raw_destroy(struct raw_sockets *r);
/* A socket number, or -EMFILE. Its identifier is drawn at random and unused. */
int raw_open(struct raw_sockets *r);
void raw_close(struct raw_sockets *r, int socket);
uint16_t raw_id(const struct raw_sockets *r, int socket);
struct raw_request {
	uint32_t dst;
	uint32_t src;      /* 0: by the route */
	uint16_t seq;
	uint16_t data_len; /* bytes behind the ICMP header, at most 65,507 */
	uint8_t ttl;       /* 0: the stack's */
	uint8_t tos;
	bool df;
	uint16_t zone;     /* by whose routing table */
};
/* Sends an echo request. 0; -ENETUNREACH without a route, -ENOBUFS, -EMSGSIZE (df and larger than the MTU). */
int raw_send_echo(struct raw_sockets *r, int socket, const struct raw_request *rq);
/* The next message; false when none waits. */
bool raw_receive(struct raw_sockets *r, int socket, struct raw_message *out);
/* Sockets with something to read: called once per message as it arrives. */
typedef void raw_ready_fn(void *ctx, int socket);
void raw_set_ready(struct raw_sockets *r, raw_ready_fn *fn, void *ctx);
/* Messages that found a full queue. */
uint64_t raw_n_overflowed(const struct raw_sockets *r);

#endif
