/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP of the gateway itself: answers to echo and timestamp requests, and the errors that
 * RFC 792, RFC 1122 and RFC 1812 ask for.
 */
#ifndef YG_STACK_IP_ICMP_H
#define YG_STACK_IP_ICMP_H

#include <stdint.h>

#include "stack/packet/packet.h"

struct ip_stack;

/* Why an error was not sent: RFC 1122 section 3.2.2, RFC 1812 section 4.3.2.7
 * and .8. Counted apart; the packet that caused it is dropped by its own name. */
enum icmp_silence {
	ICMP_SENT,
	ICMP_SILENT_ERROR,       /* the packet is an ICMP error (a query may cause one) */
	ICMP_SILENT_DESTINATION, /* its destination is broadcast or multicast */
	ICMP_SILENT_LINK,        /* it came as link-layer broadcast or multicast */
	ICMP_SILENT_FRAGMENT,    /* it is a fragment other than the first */
	ICMP_SILENT_SOURCE,      /* its source is not one host */
	ICMP_SILENT_OURS,        /* it is a reset of ours, or bears somebody else's name: he knows nothing of it */
	ICMP_SILENT_RATE,        /* too many in all, or to that destination */
	ICMP_SILENT_NO_BUFFER,
	N_ICMP_SILENCE
};

extern const char *const icmp_silence_names[N_ICMP_SILENCE];

/* Sends an error about p to p's source, quoting as much of p as 576 bytes allow.
 * p is not changed. info: bytes 4 to 7 of the message (next-hop MTU, pointer <<
 * 24). The error goes out through OUTPUT like any packet of ours, so NAT puts the
 * quoted packet into the words of whoever receives it. */
enum icmp_silence icmp_send_error(struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code,
				  uint32_t info);

/* An RST in answer to a TCP segment (RFC 9293 section 3.10.7.1); none for an RST. */
void tcp_send_reset(struct ip_stack *s, const struct packet *p);

/* The same for a segment of no connection, about which connection tracking is not to be asked. */
void tcp_send_unknown_reset(struct ip_stack *s, const struct packet *p);

/* Counts by enum icmp_silence since start. */
const uint64_t *icmp_counts(const struct ip_stack *s);

#endif
