/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two stacks in one thread, joined by a device that hands a frame over where it stands, under a
 * clock of their own: whoever measures them measures nobody else's time.
 *
 * The second one can be a gateway's host instead, behind one worker with connection tracking,
 * source NAT and ten rules.
 */
#ifndef YG_BENCH_PAIR_H
#define YG_BENCH_PAIR_H

#include "test_gateway.h"
#include "stack/ip/fib.h"
#include "stack/ip/stack.h"
#include "stack/socket/socket.h"
#include "stack/transport/tcp.h"
#include "stack/transport/udp.h"

#define PAIR_QUEUE 8192u
#define PAIR_ADDRESSES 16u /* that each side has: PAIR_A, PAIR_B and the following ones */
#define PAIR_A IP4(10, 0, 0, 1)
#define PAIR_B IP4(10, 0, 1, 1)

enum pair_second { PAIR_STACK, PAIR_GATEWAY };

struct pair_config {
	uint32_t n_conns;
	uint32_t window; /* bytes that may be on their way, no more and no less; 0: it grows as by default */
	uint32_t mtu;    /* 0: 1,500 */
	enum pair_second second;
	bool acks_wait; /* for the user's turn (tcp_config); of a gateway's host they never do */
	bool sockets;   /* both have the library's sockets, not TCP and UDP alone; a gateway's host has them anyway */
};

struct side {
	struct device dev; /* its end of the wire */
	struct tcp *tcp;
	struct udp *udp;    /* of a stack without sockets */
	struct sockets *ss; /* NULL: none */
	uint64_t user;      /* for what is opened without one: a socket that nobody waits at, 0 without sockets */
	/* Of a stack by itself. */
	struct env env;
	struct ip_config cfg;
	struct fib *fib;
	struct ip_stack *ip;
	/* Of a gateway's host. */
	struct test_gateway *gateway;
	/* Frames of the other side that have not been received yet. */
	struct side *peer;
	struct packet *queue[PAIR_QUEUE];
	uint32_t head, n;
};

struct pair {
	uint64_t now;
	struct side a, b;
};

/* Ends the program if there is no memory. */
struct pair *pair_start(const struct pair_config *c);
void pair_end(struct pair *p);
/* The clock goes on; what is due, and what has come, at both. */
void pair_step(struct pair *p, uint64_t ns);
/* The same until nothing is on its way. */
void pair_settle(struct pair *p);
/* When something is due at either. */
uint64_t pair_next(const struct pair *p);
/* A stack by itself over any device: PAIR_ADDRESSES from addr on. */
void side_start_over(struct side *s, struct device *dev, uint32_t addr, uint8_t prefix_len, uint64_t now,
		     const struct pair_config *c);
/* What a call of the side's user has left to be sent leaves. */
void side_flush(struct side *s);

#endif
