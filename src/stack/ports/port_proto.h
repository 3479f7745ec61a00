/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What has ports, or numbers that are as good as ports: each protocol has all
 * 65,535 of an address for itself.
 */
#ifndef YG_STACK_PORTS_PORT_PROTO_H
#define YG_STACK_PORTS_PORT_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/wire/ipv4.h"

enum port_proto {
	PORT_PROTO_TCP,
	PORT_PROTO_UDP,
	PORT_PROTO_ICMP, /* identifiers of queries */
	PORT_PROTO_SCTP,
	PORT_PROTO_DCCP,
	PORT_PROTO_UDPLITE,
	PORT_PROTO_CALL, /* PPTP's numbers of calls */
	N_PORT_PROTOS
};

/* False for all others, and for GRE: of its connections none holds a call. */
static inline bool port_proto_of(uint8_t ip_proto, enum port_proto *out)
{
	switch (ip_proto) {
	case IPPROTO_NR_TCP:
		*out = PORT_PROTO_TCP;
		return true;
	case IPPROTO_NR_UDP:
		*out = PORT_PROTO_UDP;
		return true;
	case IPPROTO_NR_ICMP:
		*out = PORT_PROTO_ICMP;
		return true;
	case IPPROTO_NR_SCTP:
		*out = PORT_PROTO_SCTP;
		return true;
	case IPPROTO_NR_DCCP:
		*out = PORT_PROTO_DCCP;
		return true;
	case IPPROTO_NR_UDPLITE:
		*out = PORT_PROTO_UDPLITE;
		return true;
	default:
		*out = N_PORT_PROTOS;
		return false;
	}
}

/* The map of a port that is held: also of a call, which is never 0. */
static inline bool port_proto_of_held(uint8_t ip_proto, uint32_t port, enum port_proto *out)
{
	if (port_proto_of(ip_proto, out))
		return true;
	*out = PORT_PROTO_CALL;
	return ip_proto == IPPROTO_NR_GRE && port != 0;
}

#endif
