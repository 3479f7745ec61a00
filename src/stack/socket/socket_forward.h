/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows to addresses that are not ours, for whoever stands in for them (tun2socks, a VPN, a proxy): the first packet
 * of each is held until its owner has said what shall become of it. Of TCP that is the SYN, which is neither answered
 * nor refused until then; of UDP the first datagrams.
 *
 * A held flow is known by a number, which is not given again. The owner hears of each twice at most: that it is there,
 * and, if it has not decided by then, that the other end gave up.
 */
#ifndef YG_STACK_SOCKET_SOCKET_FORWARD_H
#define YG_STACK_SOCKET_SOCKET_FORWARD_H

#include "stack/socket/socket.h"

struct socket_flow {
	uint64_t id;
	struct tcp_end local, remote; /* local: whom it is for */
	uint8_t protocol;
	bool is_gone; /* the other end gave up: a reset, or nothing more came */
};

/* n_flows: that can be held at a time; 0: 65,536. -ENOMEM. */
int sockets_forward(struct sockets *ss, uint32_t n_flows);
/* Those that are held are forgotten. */
void sockets_forward_end(struct sockets *ss);
/* What the owner has not heard yet, one after the other. */
bool socket_flow_next(struct sockets *ss, struct socket_flow *out);
/* A socket, connected or about to be: TCP's becomes writable when the handshake is done. -ENOENT: the other end has
 * given up; -EMFILE, -ENOBUFS: it is held on. */
int socket_flow_accept(struct sockets *ss, uint64_t id);
#define SOCKET_REFUSE_RESET (-1)  /* of UDP: port unreachable */
#define SOCKET_REFUSE_SILENT (-2) /* nobody hears of it; if more comes, it is another flow */
/* how: one of these, or a code of ICMP destination unreachable. -ENOENT; -EINVAL. */
int socket_flow_refuse(struct sockets *ss, uint64_t id, int how);

#endif
