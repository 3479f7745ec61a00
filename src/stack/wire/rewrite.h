/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Address and port translation in a packet's bytes, checksums by increment
 * (RFC 1624, RFC 3022 section 4.2).
 */
#ifndef YG_STACK_WIRE_REWRITE_H
#define YG_STACK_WIRE_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/wire/icmp.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

/* How the transport checksum stands in the bytes. */
enum rewrite_check {
	REWRITE_CHECK_FULL,    /* complete */
	REWRITE_CHECK_PARTIAL, /* pseudo-header sum only: follows addresses, not ports */
	REWRITE_CHECK_NONE,    /* not there: a later fragment */
};

struct rewrite {
	uint32_t src, dst;     /* new addresses */
	uint16_t sport, dport; /* new ports; ICMP query: sport is the identifier; GRE of PPTP: dport is the call */
};

/* Makes the packet's addresses, and its ports or ICMP identifier, those of `to`,
 * in the bytes and in both views (v->check too). l3: the IPv4 header. Only what
 * differs is written. A UDP checksum of zero stays zero; one that becomes zero
 * is written as 0xffff (RFC 768). */
void rewrite_packet(uint8_t *l3, struct ipv4_view *ip, struct l4_view *l4, const struct rewrite *to,
		    enum rewrite_check check);

/* The same for the packet quoted in an ICMP error: icmp is the ICMP header, len
 * its length with the quote. Rewrites the quoted addresses and ports, the quoted
 * header checksum and, where the quote holds one, the quoted transport checksum;
 * then mends the ICMP checksum (RFC 5508 section 4.2). */
void rewrite_quote(uint8_t *icmp, size_t len, struct icmp_quote *q, const struct rewrite *to);

/* Mends a whole TCP checksum, in the bytes and in v, under which words at even offsets changed: delta is the sum of
 * ~old + new. */
void tcp_check_mend(uint8_t *p, struct l4_view *v, uint32_t delta);

/* Lowers the MSS option of a TCP header to mss, never raises it (RFC 9293
 * section 3.7.1), and mends the checksum in the bytes and in v. p: the header.
 * True when it changed. */
bool tcp_mss_clamp(uint8_t *p, struct l4_view *v, uint16_t mss, enum rewrite_check check);

#endif
