/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a stack knows about itself.
 */
#ifndef YANGGUAN_INFO_H
#define YANGGUAN_INFO_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <yangguan/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_stack;

/* A value that a congestion control keeps, by the name that ss shows. */
struct yg_socket_fact {
	const char *name;
	uint64_t value;
	const char *text; /* not NULL: what the value is called */
};

/* What there is of TCP, UDP and raw sockets: also connections that nobody has accepted yet or that have been closed,
 * entries of the SYN queue and TIME_WAIT records. Texts are as ss prints them, and stand for ever. */
struct yg_socket_info {
	size_t size; /* of this struct */
	int fd;      /* -1: nobody has it */
	int type;    /* SOCK_STREAM, SOCK_DGRAM, SOCK_RAW; 0: an epoll */
	int protocol;
	const char *state;                     /* "ESTAB", "LISTEN", "UNCONN" */
	struct sockaddr_storage local, remote; /* AF_INET; of a raw one the local port is the protocol */
	uint32_t recv_q, send_q;               /* bytes; of a listener: connections to be accepted, and the backlog */
	uint64_t id;                           /* as long as it is there nothing else has it */
	uint32_t rcvbuf, sndbuf;               /* bytes */
	uint64_t dropped;                      /* packets, for want of room */
	const char
		*timer; /* which one is next: "on" (retransmission), "keepalive", "persist", "timewait"; NULL: none */
	uint64_t timer_ns; /* until then */
	/* TCP: which end closed it first, or brought its end about ("local", "remote", "both", "network"; NULL: it has
	 * not ended), why ("closed", "reset", "timed-out", ...), and in a sentence. */
	const char *closed_by, *reason, *reason_text;
	int error;              /* positive errno that the next call is told, 0 */
	const char *congestion; /* TCP: the congestion control; NULL */
	const void *tcp_info;   /* Linux's struct tcp_info, good during the call; NULL: it has none */
	size_t tcp_info_len;
	const struct yg_socket_fact *facts; /* what its congestion control keeps, good during the call */
	size_t n_facts;
};
/* Calls fn for each; the struct is good during the call. fn calls nothing of the stack. */
YG_API void yg_sockets(const struct yg_stack *stack, void (*fn)(void *ctx, const struct yg_socket_info *info),
		       void *ctx);

/* Each reason for which a TCP connection ends or a reset is sent: how many connections ended by it, how many resets
 * were sent for it, and what it means; then each outcome of resets that came, with n_ended 0 and their number as
 * n_received. */
YG_API void yg_resets(const struct yg_stack *stack,
		      void (*fn)(void *ctx, const char *name, uint64_t n_ended, uint64_t n_sent, uint64_t n_received,
				 const char *what),
		      void *ctx);

/* A packet of a socket that came or is about to leave. */
struct yg_traced {
	size_t size; /* of this struct */
	uint64_t at; /* the stack's clock */
	int outgoing;
	const void *bytes; /* from the IP header on, good during the call; a checksum that the device finishes is not
			      finished */
	size_t len;
	const char *comment; /* what came of it, or why it is sent; NULL: nothing is to be said */
};
/* Calls fn for every packet of fd from now on, as long as fd is open; of a listening socket, those of its connections
 * too; fn NULL ends it. One at a time for each fd. fn calls nothing of the stack. -EBADF, -ENOMEM; -EOPNOTSUPP: it has
 * no packets, or no address yet. */
YG_API int yg_trace(struct yg_stack *stack, int fd, void (*fn)(void *ctx, const struct yg_traced *packet), void *ctx);

/* Each reason for which packets were dropped: how often, what it means, what to do. */
YG_API void yg_drops(const struct yg_stack *stack,
		     void (*fn)(void *ctx, const char *name, uint64_t n, const char *what, const char *hint),
		     void *ctx);

/* The law of conservation, in packets: received + originated + pieces = handed + delivered + consumed + merged +
 * dropped + held. */
struct yg_law {
	size_t size; /* of this struct; set by the caller */
	uint64_t received, originated, pieces;
	uint64_t handed, delivered, consumed, merged, dropped;
	uint64_t held; /* as the memory for packets has it */
	int holds;
};
YG_API void yg_law(const struct yg_stack *stack, struct yg_law *out);

#ifdef __cplusplus
}
#endif

#endif
