/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What sockets of datagrams have in common, those of UDP and raw ones: a queue of
 * packets that came, bounded, and one of errors; what is asked of packets that are
 * sent; groups.
 *
 * A packet in a queue is the pool's own, and counts as held until it was read.
 * Results are 0 or a count, or -errno as Linux has it.
 */
#ifndef YG_STACK_TRANSPORT_DATAGRAM_H
#define YG_STACK_TRANSPORT_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/span.h"
#include "stack/ip/local.h"
#include "stack/ip/stack.h"
#include "stack/packet/env.h"
#include "stack/transport/capture.h"

/* addr none, or 0.0.0.0: any. */
struct datagram_end {
	struct ip_addr addr;
	uint16_t port;
};

/* Linux's IP_PMTUDISC_*, numbers included. */
enum datagram_pmtu {
	DATAGRAM_PMTU_DONT,  /* may be cut anywhere */
	DATAGRAM_PMTU_WANT,  /* cut here if it must be; not on the way, if the path's MTU is known (connected) */
	DATAGRAM_PMTU_DO,    /* never cut: EMSGSIZE */
	DATAGRAM_PMTU_PROBE, /* likewise, by the interface's MTU, whatever was heard of the path */
	DATAGRAM_PMTU_INTERFACE,
	DATAGRAM_PMTU_OMIT,
	N_DATAGRAM_PMTU
};

struct datagram_options {
	uint32_t rcvbuf;                              /* bytes of memory that packets and errors may wait in */
	uint32_t sndbuf;                              /* kept alone: nothing waits to be sent */
	uint32_t linger_s;                            /* likewise; and linger */
	uint32_t ifindex;                             /* only by this interface; 0: any */
	uint32_t multicast_ifindex, multicast_source; /* 0: by the route */
	uint32_t mark;
	uint64_t max_pacing_rate; /* kept alone: it leaves at once, as in Linux without the queue discipline fq */
	uint16_t zone;
	uint16_t gso_size;     /* what is written is cut into datagrams of so many bytes (UDP_SEGMENT); 0: it is not */
	uint8_t tos, ttl;      /* ttl 0: the stack's */
	uint8_t multicast_ttl; /* 1 at first */
	uint8_t pmtu;          /* enum datagram_pmtu */
	bool multicast_loop;   /* what is sent to a group is heard here too; at first */
	bool multicast_all;    /* groups that others have joined are heard; at first */
	bool broadcast;        /* may be sent */
	bool recv_error;       /* errors are queued, with all that they say (IP_RECVERR) */
	bool freebind;         /* may be bound to an address that nobody has */
	bool reuse_addr, reuse_port;
	bool no_check; /* without a checksum (SO_NO_CHECK) */
	bool linger;
	bool gro; /* many datagrams of one sender come as one (UDP_GRO) */
};

/* Errors that nobody has read yet, oldest first: each a value in a packet's buffer, and behind it what it quotes. All
 * zero is an empty one. */
struct datagram_errors {
	struct packet *first, *last;
	uint32_t memory; /* bytes of buffers */
};

struct datagram_socket {
	uint32_t laddr, raddr; /* 0: any, none */
	uint16_t lport, rport; /* raw: lport is the protocol */
	bool is_open, is_connected;
	bool addr_is_bound; /* by bind, not by connect */
	bool port_is_bound;
	bool shut_read, shut_write;
	int error;         /* positive errno, for the next call */
	uint16_t path_mtu; /* as heard, of a connected one; 0: nothing */
	uint32_t index;
	uint32_t groups; /* first of its memberships, POOL_NONE */
	uint32_t memory; /* of what waits; errors have their own */
	uint32_t n_waiting;
	uint64_t n_dropped; /* for want of room */
	uint64_t last_read; /* its user's: when the one that was read last had come; 0: none was */
	struct packet *first, *last;
	struct datagram_errors errors;
	uint64_t user;
	struct datagram_options o;
};

/* A membership of a group. */
struct datagram_group {
	uint32_t group, ifindex;
	uint32_t next;
};

/* What the sockets of one protocol have of their stack. */
struct datagram_stack {
	struct env *env;
	struct ip_stack *ip;
	struct pool *groups; /* of struct datagram_group, shared by all */
	/* What may be read, written or asked of it has changed. Takes notes. why: bits of enum datagram_change */
	void (*changed)(void *ctx, uint64_t user, uint32_t why);
	void *changed_ctx;
	struct captures *captures; /* NULL: there are none */
};
enum datagram_change { DATAGRAM_CHANGED_IN = 1, DATAGRAM_CHANGED_ERROR = 2 };

#define DATAGRAM_RCVBUF_DEFAULT 212992u /* Linux's rmem_default */

void datagram_init(struct datagram_socket *s, uint32_t index, uint64_t user);
/* Of a pool of records that begin with one, the next that is open; as in udp_next. */
const struct datagram_socket *datagram_next(const struct pool *sockets, uint32_t *cursor, uint32_t *budget);
/* What waits is given back, groups are left. */
void datagram_fini(const struct datagram_stack *d, struct datagram_socket *s);

/* --- what came --- */

/* Takes p, of whose memory it is; false, and p as it was with the verdict of a full queue: no room. */
bool datagram_push(const struct datagram_stack *d, struct datagram_socket *s, struct packet *p);
/* A copy of p, likewise; false: it is lost, counted. */
bool datagram_push_copy(const struct datagram_stack *d, struct datagram_socket *s, const struct packet *p);
/* The socket's error as a positive errno, which is forgotten; 0: none. */
int datagram_take_error(struct datagram_socket *s);

/* What a packet says besides its bytes. */
struct datagram_info {
	struct datagram_end from, to;
	uint32_t ifindex; /* that it came in by; 0: from here */
	uint8_t ttl, tos;
	uint16_t gso_size; /* it is several of that size; 0: one */
	uint64_t received; /* the clock's */
	uint32_t len;      /* all of it, however much was copied */
	bool is_to_many;
};

enum datagram_recv_flags { DATAGRAM_RECV_PEEK = 1 };
/* Copies bytes out. -EAGAIN: nothing waits. The return value is what was copied. */
int64_t datagram_recv(const struct datagram_stack *d, struct datagram_socket *s, uint32_t skip, const struct span *span,
		      int n, uint32_t flags, struct datagram_info *info);
/* Bytes of memory that packets and errors wait in. */
static inline uint32_t datagram_memory(const struct datagram_socket *s)
{
	return s->memory + s->errors.memory;
}
/* Bytes from the network header on that recv leaves out of the first packet: 0 of raw sockets. */
uint32_t datagram_first_len(const struct datagram_socket *s, uint32_t skip);

/* --- errors --- */

enum datagram_origin { DATAGRAM_ORIGIN_LOCAL = 1, DATAGRAM_ORIGIN_ICMP = 2 }; /* Linux's SO_EE_ORIGIN_* */

/* What the error queue keeps; behind it in the packet, the payload of what was sent, as far as it was quoted. */
struct datagram_error {
	uint32_t err; /* positive errno */
	uint32_t info;
	uint8_t origin, type, code;
	uint32_t offender; /* who says so */
	uint32_t dst;      /* where it went */
	uint16_t dport;
	uint32_t ifindex;
	uint32_t payload_len;
};

/* What an ICMP error comes down to, as a positive errno (Linux's icmp_err_convert); 0: nothing. is_hard: it ends what
 * it is about (RFC 1122 section 4.2.3.9; Linux's "fatal"). */
int datagram_icmp_errno(const struct ip_icmp_error *e, bool *is_hard);
/* What its socket's error queue has of it, and in *payload where what it quotes begins, `skip` bytes behind the
 * transport's header. */
struct datagram_error datagram_error_of(const struct ip_icmp_error *e, int err, uint32_t skip, const uint8_t **payload);
/* Whether there is room is its owner's to know. False without memory. */
bool datagram_errors_add(struct env *env, struct datagram_errors *q, const struct datagram_error *e,
			 const uint8_t *payload);
/* As datagram_recv_error. *error, if one was taken: what its owner's error is now, as Linux has it: the next one's, or
 * none. */
int64_t datagram_errors_recv(struct env *env, struct datagram_errors *q, const struct span *span, int n, uint32_t flags,
			     struct datagram_error *out, int *error);
void datagram_errors_free(struct env *env, struct datagram_errors *q);
void datagram_icmp_error(const struct datagram_stack *d, struct datagram_socket *s, const struct ip_icmp_error *e,
			 uint32_t payload_skip);
/* -EAGAIN: none waits. The return value is how much payload was copied. */
int64_t datagram_recv_error(const struct datagram_stack *d, struct datagram_socket *s, const struct span *span, int n,
			    uint32_t flags, struct datagram_error *out);

/* --- sending --- */

/* One message: what it says itself goes before what the socket says. */
struct datagram_out {
	struct datagram_end to; /* none: where it is connected to */
	struct ip_addr source;  /* none: the socket's */
	uint32_t ifindex;       /* 0: the socket's */
	int16_t ttl, tos;       /* -1: the socket's */
	int32_t gso_size;       /* -1: the socket's */
	bool more;              /* of UDP: more bytes of the same datagram come by the next call (MSG_MORE) */
};
extern const struct datagram_out datagram_out_default;

/* A datagram that is written in several calls (datagram_cork.c): its bytes so far, and how it is to be sent. */
struct datagram_cork {
	struct packet *first, *last;
	uint32_t len;
	struct datagram_out out;
};
#define DATAGRAM_CORK_BYTES (PACKET_SMALL_BYTES - PACKET_HEADROOM)
#define DATAGRAM_CORK_PIECES (UINT16_MAX / DATAGRAM_CORK_BYTES + 2u)
/* -ENOBUFS: some of it may have been added. */
int datagram_cork_add(const struct datagram_stack *d, struct datagram_cork *c, const struct span *span, int n);
/* Where its bytes stand, if they are no more than 65,535; how many pieces. */
int datagram_cork_spans(const struct datagram_cork *c, struct span out[DATAGRAM_CORK_PIECES]);
void datagram_cork_free(const struct datagram_stack *d, struct datagram_cork *c);

/* Where and how it goes. */
struct datagram_way {
	uint32_t dst, src; /* src 0: by the route */
	uint16_t dport;
	uint32_t ifindex; /* of what goes to many; 0: by the route; IP_HERE: it stays here */
	uint32_t by;      /* the route by that interface alone (SO_BINDTODEVICE, IP_PKTINFO); 0: by any */
	uint32_t mtu;
	bool is_to_many, df;
	uint8_t ttl, tos;
};
/* len: of what stands behind the IP header. */
int datagram_find_way(const struct datagram_stack *d, struct datagram_socket *s, const struct datagram_out *out,
		      uint32_t len, struct datagram_way *way);
/* A packet for it with its header as the way says; NULL without memory. */
struct packet *datagram_new(const struct datagram_stack *d, const struct datagram_socket *s,
			    const struct datagram_way *way, uint8_t protocol, uint32_t len);
/* Where it would be sent from, by that interface (0: by any); 0: there is no way there. */
uint32_t datagram_source_for(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t dst,
			     uint32_t by);
uint32_t datagram_mtu(const struct datagram_stack *d, const struct datagram_socket *s);
/* It may be bound to that address: 0, or -EADDRNOTAVAIL. */
int datagram_may_bind(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t addr);
void datagram_gather(uint8_t *to, const struct span *span, int n);
/* -EMSGSIZE: more than a packet has. */
int64_t datagram_len(const struct span *span, int n);

/* --- groups --- */

/* ifindex 0: the interface of the address, or by the route to the group; IP_HERE. -EADDRINUSE, -ENODEV, -ENOBUFS,
 * -EINVAL. */
int datagram_join(const struct datagram_stack *d, struct datagram_socket *s, uint32_t group, uint32_t ifindex,
		  uint32_t addr);
int datagram_leave(const struct datagram_stack *d, struct datagram_socket *s, uint32_t group, uint32_t ifindex,
		   uint32_t addr);
/* s hears what came to that group by that interface. */
bool datagram_hears(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t group, uint32_t ifindex);
/* The interface with that address, IP_HERE of 127.0.0.0/8; 0: none. */
uint32_t datagram_interface_of(const struct datagram_stack *d, uint32_t addr);

#endif
