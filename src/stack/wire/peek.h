/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A short look at a frame: whom it is between, and nothing else. For deciding
 * which worker a packet belongs to before anybody parses it. What does not hold
 * together gets some answer here and is refused by name later, by the parsers.
 */
#ifndef YG_STACK_WIRE_PEEK_H
#define YG_STACK_WIRE_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/wire/ether.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

enum peek_kind {
	PEEK_OTHER, /* neither of the below: no flow */
	PEEK_ARP,
	PEEK_FLOW,     /* addresses, and ports if the protocol has them */
	PEEK_FRAGMENT, /* the same of a fragment; ports only of a first one */
};

/* As in struct tuple (src/gateway/conntrack): host order; ICMP queries have the identifier in sport and type << 8 |
 * code in dport. An ICMP error stands for the packet that it quotes, turned round. */
struct peek {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto;
	uint8_t kind; /* enum peek_kind */
	uint8_t id;   /* enum l4_id; then the identifier stands in sport (high half) and dport */
	uint16_t frag_id;
	uint16_t frag_off;             /* bytes */
	uint32_t outer_src, outer_dst; /* of the frame itself: differ from src and dst in an ICMP error */
	uint8_t outer_proto;
};

/* The same for the frames that nearly all are: TCP or UDP over IPv4 without options, no fragment. False: any other,
 * nothing is filled in. Ports and addresses only. */
static inline bool peek_plain(const uint8_t *frame, size_t len, struct peek *out)
{
	const struct ipv4_header *h = (const void *)(frame + ETHER_HEADER_LEN);
	const uint8_t *l4 = frame + ETHER_HEADER_LEN + IPV4_HEADER_LEN;

	if (len < ETHER_HEADER_LEN + IPV4_HEADER_LEN + 8 || frame[12] != 0x08 || frame[13] != 0 ||
	    h->version_ihl != 0x45 || (be16_get(h->frag) & 0x3fff) != 0 ||
	    (h->proto != IPPROTO_NR_TCP && h->proto != IPPROTO_NR_UDP))
		return false;
	out->src = be32_get(h->src);
	out->dst = be32_get(h->dst);
	out->sport = (uint16_t)(l4[0] << 8 | l4[1]);
	out->dport = (uint16_t)(l4[2] << 8 | l4[3]);
	out->proto = h->proto;
	return true;
}

void peek_frame(const uint8_t *frame, size_t len, struct peek *out);

#endif
