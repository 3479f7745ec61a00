/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What has ports, or numbers that are as good as ports: each protocol has all
 * 65,535 of an address for itself.
 */
#ifndef YG_STACK_PORTS_PORT_PROTO_H
#define YG_STACK_PORTS_PORT_PROTO_H

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
	N_PORT_PROTOS,
	PORT_PROTO_NONE = N_PORT_PROTOS /* without ports */
};

/* PORT_PROTO_NONE of all others, and of GRE: of its connections none holds a call. */
static inline enum port_proto port_proto_of(uint8_t ip_proto)
{
	switch (ip_proto) {
	case IPPROTO_NR_TCP:
		return PORT_PROTO_TCP;
	case IPPROTO_NR_UDP:
		return PORT_PROTO_UDP;
	case IPPROTO_NR_ICMP:
		return PORT_PROTO_ICMP;
	case IPPROTO_NR_SCTP:
		return PORT_PROTO_SCTP;
	case IPPROTO_NR_DCCP:
		return PORT_PROTO_DCCP;
	case IPPROTO_NR_UDPLITE:
		return PORT_PROTO_UDPLITE;
	default:
		return PORT_PROTO_NONE;
	}
}

#endif
