/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Raw sockets of one stack: every packet to us of an IP protocol, with its IP header,
 * and packets of that protocol as their user writes them.
 */
#ifndef YG_STACK_TRANSPORT_RAW_H
#define YG_STACK_TRANSPORT_RAW_H

#include "base/pool.h"
#include "stack/transport/datagram.h"

/* Only sends, headers included. */
#define IPPROTO_NR_RAW 255

struct raw_limits {
	uint32_t n_sockets; /* 0: 256 */
	uint32_t n_groups;  /* memberships; 0: 256 */
};

struct raw_socket {
	struct datagram_socket d; /* first, for datagram_next; lport is the protocol */
	uint32_t next;            /* of its protocol */
	uint32_t icmp_filter;     /* bits: types of ICMP that it does not want (Linux's ICMP_FILTER) */
	bool header_included;     /* in what is written (IP_HDRINCL) */
};

struct raw; /* all of them */

struct raw *raw_create(struct env *env, struct ip_stack *ip, const struct raw_limits *limits);
void raw_destroy(struct raw *r);
void raw_set_user(struct raw *r, void (*changed)(void *ctx, uint64_t user, uint32_t why), void *ctx);
/* They outlive r. NULL: none. */
void raw_set_captures(struct raw *r, struct captures *c);
const struct datagram_stack *raw_stack(const struct raw *r);
/* As udp_next. */
const struct raw_socket *raw_next(const struct raw *r, uint32_t *cursor, uint32_t *budget);

/* -ENOBUFS: no room for another one, or for another protocol. */
int raw_open(struct raw *r, uint8_t protocol, uint64_t user, struct raw_socket **out);
void raw_close(struct raw *r, struct raw_socket *s);
/* addr none or 0.0.0.0: what is to any address of ours. -EADDRNOTAVAIL. */
int raw_bind(struct raw *r, struct raw_socket *s, const struct ip_addr *addr);
/* Only from there, and there; none: from anywhere. -ENETUNREACH. */
int raw_connect(struct raw *r, struct raw_socket *s, const struct ip_addr *addr);
/* What stands behind the IP header; with header_included all of the packet. -EINVAL: it does not hold together. */
int64_t raw_send(struct raw *r, struct raw_socket *s, const struct datagram_out *out, const struct span *span, int n);
/* From the IP header on. */
int64_t raw_recv(struct raw *r, struct raw_socket *s, const struct span *span, int n, uint32_t flags,
		 struct datagram_info *info);

#endif
