/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP types and codes (RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 5.2.7)
 * and what an error quotes.
 */
#ifndef YG_STACK_WIRE_ICMP_H
#define YG_STACK_WIRE_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

enum icmp_type {
	ICMP_ECHO_REPLY = 0,
	ICMP_DEST_UNREACHABLE = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5,
	ICMP_ECHO_REQUEST = 8,
	ICMP_ROUTER_ADVERTISEMENT = 9,
	ICMP_ROUTER_SOLICITATION = 10,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12,
	ICMP_TIMESTAMP = 13,
	ICMP_TIMESTAMP_REPLY = 14,
	ICMP_INFORMATION = 15,
	ICMP_INFORMATION_REPLY = 16,
	ICMP_ADDRESS_MASK = 17,
	ICMP_ADDRESS_MASK_REPLY = 18,
};

enum icmp_unreachable_code {
	ICMP_NET_UNREACHABLE = 0,
	ICMP_HOST_UNREACHABLE = 1,
	ICMP_PROTOCOL_UNREACHABLE = 2,
	ICMP_PORT_UNREACHABLE = 3,
	ICMP_FRAGMENTATION_NEEDED = 4,
	ICMP_SOURCE_ROUTE_FAILED = 5,
	ICMP_NET_PROHIBITED = 9,
	ICMP_HOST_PROHIBITED = 10,
	ICMP_ADMIN_PROHIBITED = 13,
};

enum icmp_redirect_code {
	ICMP_REDIRECT_HOST = 1, /* the only one that RFC 1812 section 4.3.3.2 allows */
};

enum icmp_time_exceeded_code {
	ICMP_TTL_EXCEEDED = 0,
	ICMP_REASSEMBLY_TIMEOUT = 1,
};

/* An ICMP error is at most this long with its own IP header (RFC 1812 section
 * 4.3.2.3). */
#define ICMP_ERROR_MAX 576

/* The two sorts of RFC 1122 section 3.2.2. Unknown types count as errors there
 * (nothing is ever sent in answer), so exactly the known queries are queries. */
bool icmp_is_error(uint8_t type);
bool icmp_is_query(uint8_t type); /* request or reply, has an identifier */
bool icmp_is_request(uint8_t type);
/* The reply's type for a request's and the other way round. */
uint8_t icmp_opposite(uint8_t type);

/* The packet that an ICMP error quotes. */
struct icmp_quote {
	struct ipv4_view ip;
	struct l4_view l4;
	size_t ip_offset; /* of the quoted IP header, from the ICMP header */
	size_t l4_offset; /* of the quoted L4 header, likewise */
	size_t len;       /* quoted bytes from the IP header on, without padding and extensions (RFC 4884) */
};

/* p, len: the ICMP message. False when it quotes nothing by its type, when the
 * quote is no IPv4 packet with 8 bytes behind its header (RFC 792; less when the
 * quoted packet was shorter and is none of TCP, UDP, ICMP), or is a later
 * fragment. */
bool icmp_quote_parse(const uint8_t *p, size_t len, struct icmp_quote *q);

#endif
