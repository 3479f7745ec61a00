/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who takes a packet to us: a row for each protocol, raw input hooks, groups; and a
 * host on a thread of its own, to which the workers hand what it wants.
 */
#ifndef YG_STACK_IP_LOCAL_H
#define YG_STACK_IP_LOCAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stack/ip/stack.h"
#include "stack/ports/own_ports.h"

/* --- local delivery: who takes a packet to us, by IP protocol --- */

/* What a packet that nobody took is answered by, and the name of its drop. */
enum ip_unreachable {
	IP_UNREACHABLE_PROTOCOL, /* ICMP 3/2 (RFC 1122 section 3.2.2.1): of a protocol that nobody here speaks */
	IP_UNREACHABLE_PORT,     /* ICMP 3/3 (section 4.1.3.1): of UDP, if no row says otherwise */
	IP_UNREACHABLE_RESET,    /* a reset (RFC 9293 section 3.10.7.1): of TCP, likewise */
	N_IP_UNREACHABLE
};

/* An ICMP error about a packet that we may have sent: to its source, which is an address of ours, about its first
 * fragment, and possible for what it quotes. Whether the protocol has sent such a packet, it says itself (TCP: the
 * quoted sequence number must be in flight, RFC 5927 section 4.1). */
struct ip_icmp_error {
	const struct packet
		*p; /* the error; p->l4 has its type, its code, and bytes 4 to 7: of 3/4 the next hop's MTU */
	const struct icmp_quote *quote; /* our packet, as we know it */
};

/* Takes packets: leaves a verdict in each (DELIVERED, STOLEN, DROP), or CONTINUE when nobody wants it: then the policy
 * answers. As in a hook, the place in b of a packet that was taken and may be freed already is set to NULL. */
typedef void ip_local_fn(void *ctx, struct batch *b);
typedef void ip_icmp_error_fn(void *ctx, const struct ip_icmp_error *e);

struct ip_protocol {
	void *ctx;
	ip_local_fn *input;           /* NULL: takes no packets */
	ip_icmp_error_fn *icmp_error; /* NULL: does not want to hear of it */
	enum ip_unreachable unreachable;
	bool by_port; /* of TCP and UDP: it wants none but to ports that were opened (below) */
};
/* NULL: nobody's, as at first. ICMP is built in: its row gets replies alone, one by
 * one, and takes them or not, but keeps and frees none. */
void ip_stack_set_protocol(struct ip_stack *s, uint8_t number, const struct ip_protocol *row);

/* --- ports that somebody here has (port_use.c) --- */

enum ip_port_use {
	IP_PORT_BOUND,     /* what comes to it is his */
	IP_PORT_LISTENING, /* he takes new connections too; of TCP, besides that it is bound */
};

/* Whether somebody here may have the port, which is his then until ip_port_leave. Asked before the port is opened by
 * who draws or binds it: he keeps it from those who share its addresses with this host (stack/ports). Counted. False:
 * one of them has it. */
bool ip_port_take(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port, enum ports_socket how);
void ip_port_leave(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port);

/* Counted: closed as often as it was opened. As long as it is open nobody who shares its addresses is given it. addr 0:
 * on each of our addresses. On a host's stack what nobody has is refused by the worker that received it, and leaves no
 * connection. 0, -EPROTONOSUPPORT (neither TCP nor UDP, or UDP that listens), -ENOMEM the first time. */
int ip_port_open(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port, enum ip_port_use use);
void ip_port_close(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port, enum ip_port_use use);
/* Somebody here has the port at one address or another (IP_PORT_BOUND). */
bool ip_port_is_open(const struct ip_stack *s, uint8_t protocol, uint16_t port);

/* A bit a port on any address, and a bit a port on one, by a hash of both. */
struct ip_port_bits {
	_Atomic uint64_t any[1024], one[1024];
};
enum ip_port_map { IP_PORTS_UDP, IP_PORTS_TCP, IP_PORTS_TCP_LISTENING, N_IP_PORT_MAPS };

/* Raw input hook: sees each packet to us of that protocol before the protocol does, in the order in which they were
 * added; must not change or keep it. True when somebody wanted it: then no policy answers it. 0, or -ENOSPC. */
typedef bool ip_raw_fn(void *ctx, const struct packet *p);
#define IP_RAW_MAX 16
int ip_stack_add_raw(struct ip_stack *s, uint8_t protocol, ip_raw_fn *fn, void *ctx);
void ip_stack_remove_raw(struct ip_stack *s, uint8_t protocol, ip_raw_fn *fn, void *ctx);

/* Packets to the group that come in by the interface are to us until it was left as often as it was joined; those to a
 * group that nobody joined are dropped by name. The device's filter is told. All hosts (224.0.0.1) is joined for good
 * (RFC 1112 section 7.2). Routers and switches are told by IGMP (igmp.c), but of groups of the link (224.0.0.0/24),
 * which pass everywhere. 0, -EINVAL when it is no group or the interface has no number of ours, -ENOSPC. */
#define IP_GROUPS_MAX 64
int ip_group_join(struct ip_stack *s, uint32_t ifindex, uint32_t group);
bool ip_group_is_joined(const struct ip_stack *s, uint32_t ifindex, uint32_t group);
void ip_group_leave(struct ip_stack *s, uint32_t ifindex, uint32_t group);

/* --- a host on a thread of its own (host.c) --- */

/* What it takes: IP_HOST_WANTS_* by protocol, and ports. Written by its stack, read by those of the workers. */
struct ip_host_wants {
	_Atomic uint8_t protocol[256];
	struct ip_port_bits ports[N_IP_PORT_MAPS];
};
#define IP_HOST_WANTS_INPUT 0x1u /* a row takes packets; of ICMP also: a row is told of errors */
#define IP_HOST_WANTS_RAW 0x2u   /* a raw input hook */
#define IP_HOST_WANTS_PORTS 0x4u /* the row takes packets to open ports alone */

/* Of a worker's stack: packets that have passed INPUT and that the host wants. True: p is not this stack's any more;
 * false: it is dropped, by the reason in it. hand_over NULL: the host is this stack itself. */
struct ip_host_slots {
	void *ctx;
	const struct ip_host_wants *wants;
	bool (*hand_over)(void *ctx, struct packet *p);
};
void ip_stack_set_host(struct ip_stack *s, const struct ip_host_slots *slots);

/* Of the host's stack, which has no hooks and sends nothing itself, before a port of it is opened. */
struct ip_carrier_slots {
	void *ctx;
	struct ip_host_wants *wants;
	/* Packets made here, with their source; empties b. */
	void (*carry)(void *ctx, struct batch *b);
	/* A group is the first time joined, or left for the last time: the workers have to know. */
	void (*group)(void *ctx, uint32_t ifindex, uint32_t group, bool joined);
};
void ip_stack_be_host(struct ip_stack *s, const struct ip_carrier_slots *slots);
/* Of the host's stack: frames that were handed over, with their in_ifindex, zone, is_broadcast, link_group and
 * held_since. */
void ip_host_input(struct ip_stack *s, struct batch *b);
/* When p, which somebody here is shown, was received: on a host's stack when it was handed over. */
uint64_t ip_received_at(const struct ip_stack *s, const struct packet *p);
/* On a host's stack: p, which was made here and is not on its way yet, shall be told of by the slot when a worker takes
 * it to send; cookie is not 0. */
void ip_ask_sent(struct packet *p, uint32_t cookie);
typedef void ip_sent_fn(void *ctx, uint32_t cookie, uint64_t at_ns);
void ip_stack_set_sent(struct ip_stack *s, ip_sent_fn *fn, void *ctx);
void ip_host_sent(struct ip_stack *s, uint32_t cookie, uint64_t at_ns);
/* Of a worker's: frames that the host made, with their zone, and out_ifindex if they are for many. */
void ip_host_output(struct ip_stack *s, struct batch *b);

#endif
