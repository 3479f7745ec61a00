/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files that read and write transport headers share: the headers as
 * they stand in a packet, and the table of ICMP types.
 */
#ifndef YG_STACK_WIRE_L4_PRIV_H
#define YG_STACK_WIRE_L4_PRIV_H

#include <stddef.h>

#include "base/be.h"
#include "stack/wire/l4.h"

struct tcp_header {
	be16 sport, dport;
	be32 seq, ack;
	uint8_t data_offset; /* in words, in the high half */
	uint8_t flags;
	be16 window, check, urgent;
};
_Static_assert(sizeof(struct tcp_header) == TCP_HEADER_LEN, "RFC 9293 section 3.1");

struct udp_header {
	be16 sport, dport, len, check;
};
_Static_assert(sizeof(struct udp_header) == UDP_HEADER_LEN, "RFC 768");

/* The length field of UDP has another meaning here (RFC 3828 section 3.1). */
struct udplite_header {
	be16 sport, dport, coverage, check;
};
_Static_assert(sizeof(struct udplite_header) == UDP_HEADER_LEN, "RFC 3828");

struct dccp_header {
	be16 sport, dport;
	uint8_t data_offset; /* in words */
	uint8_t ccval_cscov; /* coverage in the low half */
	be16 check;
	uint8_t type_x; /* three reserved bits, four of type, X: long sequence numbers */
	uint8_t seq_high_or_reserved;
	be16 seq;
};
_Static_assert(sizeof(struct dccp_header) == DCCP_HEADER_LEN, "RFC 4340 section 5.1");

struct sctp_header {
	be16 sport, dport;
	be32 tag, check;
};
_Static_assert(sizeof(struct sctp_header) == SCTP_HEADER_LEN, "RFC 9260 section 3.1");

/* In an enhanced GRE header (RFC 2637 section 4.1). */
#define GRE_CALL_AT 6

struct icmp_header {
	uint8_t type, code;
	be16 check;
	union {
		be32 info;
		struct {
			be16 id, seq;
		};
	};
};
_Static_assert(sizeof(struct icmp_header) == ICMP_HEADER_LEN, "RFC 792");

struct icmp_trait {
	enum l4_kind kind;
	uint8_t min_len; /* bytes of a whole message, header included; errors: without the quote */
	bool is_request;
	uint8_t opposite; /* queries */
};

/* For any type, also unknown ones. */
const struct icmp_trait *icmp_trait_of(uint8_t type);

/* Bytes that must stand behind a quoted IPv4 header: 8 (RFC 792), or all of a
 * quoted packet that was shorter. */
size_t icmp_quote_need(const struct ipv4_view *quoted);

#endif
