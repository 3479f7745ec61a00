/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UDP (RFC 768, RFC 1122 section 4.1) of one stack, as sockets see it. No call blocks.
 *
 * A socket is a place in a pool, from udp_open to udp_close. While there is none, the
 * stack answers what comes itself.
 */
#ifndef YG_STACK_TRANSPORT_UDP_H
#define YG_STACK_TRANSPORT_UDP_H

#include "base/pool.h"
#include "base/siphash.h"
#include "stack/transport/datagram.h"

struct udp_limits {
	uint32_t n_sockets; /* 0: 4,096 */
	uint32_t n_groups;  /* memberships; 0: 256 */
};

struct udp_socket {
	struct datagram_socket d;       /* first, for datagram_next */
	uint32_t next_port, next_tuple; /* in their buckets */
	bool in_port, in_tuple;         /* tables */
	uint32_t told_addr;             /* by which ip knows its port, with in_port */
	struct datagram_cork cork;
};

struct udp; /* all of them */

/* NULL without memory. changed, see struct datagram_stack. */
struct udp *udp_create(struct env *env, struct ip_stack *ip, const struct udp_limits *limits);
void udp_destroy(struct udp *u);
void udp_set_user(struct udp *u, void (*changed)(void *ctx, uint64_t user, uint32_t why), void *ctx);
/* Local ports that are drawn (RFC 6056), both included; 32,768 to 60,999 at first. */
void udp_set_ports(struct udp *u, uint16_t first, uint16_t last);
/* They outlive u. NULL: none. */
void udp_set_captures(struct udp *u, struct captures *c);
const struct datagram_stack *udp_stack(const struct udp *u);
/* The next open socket; *cursor begins at 0. *budget: how many places may be looked at, and what is left of that. NULL:
 * none, or with a budget of 0 not yet. */
const struct udp_socket *udp_next(const struct udp *u, uint32_t *cursor, uint32_t *budget);

/* NULL: no room (ENOBUFS). */
struct udp_socket *udp_open(struct udp *u, uint64_t user);
void udp_close(struct udp *u, struct udp_socket *s);
/* Slot: a datagram for nobody. True: it is the slot's, with VERDICT_STOLEN. While there is one UDP is the row of its
 * protocol, whether or not a socket is open. */
typedef bool udp_unknown_fn(void *ctx, struct packet *p);
void udp_set_unknown(struct udp *u, udp_unknown_fn *fn, void *ctx);
/* The socket, new, has both ends from here on; nobody is asked whether local is an address of ours, or has its port. It
 * is found by the tuple alone. */
void udp_answer(struct udp *u, struct udp_socket *s, uint16_t zone, const struct datagram_end *local,
		const struct datagram_end *remote);
/* A datagram that was held for it. True: p is somebody else's now; false: there is no room. */
bool udp_push(struct udp *u, struct udp_socket *s, struct packet *p);
/* Port 0: drawn. -EADDRINUSE, -EADDRNOTAVAIL; -EINVAL: it is bound. */
int udp_bind(struct udp *u, struct udp_socket *s, const struct datagram_end *local);
/* remote none: it is not connected any more. -ENETUNREACH, -EAGAIN without a port. */
int udp_connect(struct udp *u, struct udp_socket *s, const struct datagram_end *remote);
/* The bytes of one message; with a size of segments (UDP_SEGMENT), of many. */
int64_t udp_send(struct udp *u, struct udp_socket *s, const struct datagram_out *out, const struct span *span, int n);
int64_t udp_recv(struct udp *u, struct udp_socket *s, const struct span *span, int n, uint32_t flags,
		 struct datagram_info *info);

#endif
