/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All that there is of TCP, UDP and raw sockets, as plain values, whoever has it: also
 * connections that nobody has accepted or that their users have closed, entries of the SYN
 * queue and TIME_WAIT records. A listing goes in slices, so that packets do not wait for it.
 *
 * Times are ns, sizes bytes, ports and addresses host order.
 */
#ifndef YG_STACK_SOCKET_SOCKET_LIST_H
#define YG_STACK_SOCKET_SOCKET_LIST_H

#include "stack/socket/socket.h"
#include "stack/transport/tcp_list.h"

struct socket_entry {
	enum socket_kind kind;
	uint8_t protocol;
	int number;    /* -1: nobody has it */
	uint32_t mark; /* of those with a number */
	uint64_t id;   /* names it as long as it is there (capture_id) */
	/* Of UDP and raw ones state, ends, zone, queues, rcvbuf, rcv_memory and tos; a raw one's local port is its
	 * protocol. */
	struct tcp_entry t;
	/* Of UDP and raw ones alone. */
	uint32_t ifindex, n_waiting; /* 0: any; packets */
	uint64_t n_dropped;          /* for want of room */
};

/* What a capture of it asks for; false: it has no packets (an epoll). A listener's are those of all that it makes. */
bool socket_entry_filter(const struct socket_entry *e, struct capture_filter *out);

/* Where a listing is: zeroed at first. */
struct socket_cursor {
	uint8_t step;
	uint32_t index;
	struct tcp_cursor tcp;
};
static inline bool sockets_at_end(const struct socket_cursor *c)
{
	return c->step == 4;
}

/* The one with this id, at once; false: there is none, or it is an epoll or one of ping's. */
bool sockets_entry(const struct sockets *ss, uint64_t id, struct socket_entry *out);

#define SOCKETS_LIST_BUDGET 4096u
/* Up to max of the next ones, how many; less also because so much was looked at that others would wait for it. The end
 * is where sockets_at_end says so. Raw ones, UDP, TCP, epolls. */
uint32_t sockets_list(const struct sockets *ss, struct socket_cursor *c, struct socket_entry *out, uint32_t max);

#endif
