/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A direction of a connection as the kernel's program needs it: the packet's
 * tuple and what it becomes, both as they stand in the packet, and what that does
 * to the checksums (RFC 1624; the program adds, it does not look).
 *
 * A checksum field holds the complement of a sum. When a word under it changes
 * from a to b, the field grows by a + ~b. The IP header's changes by the two
 * addresses, a TCP or UDP checksum by the addresses (they are in its pseudo header)
 * and the ports, that of an ICMP echo by the identifier alone. The TTL is the
 * program's own business.
 */
#include <arpa/inet.h>

#include "daemon/fastpath/offload_priv.h"
#include "stack/wire/checksum.h"

#define WINDOW_FIELD_MAX 65535u

static uint32_t change16(uint16_t from, uint16_t to)
{
	return (uint32_t)from + (uint16_t)~to;
}

static uint32_t change32(uint32_t from, uint32_t to)
{
	return change16((uint16_t)(from >> 16), (uint16_t)(to >> 16)) + change16((uint16_t)from, (uint16_t)to);
}

/* What a checksum field grows by; 0 only when nothing under it changes. */
static uint16_t delta(uint32_t change, bool any)
{
	return any ? checksum_fold(change) : 0;
}

uint32_t offload_tcp_win(const struct conn *c, enum ct_dir dir)
{
	uint32_t field = min_u32(c->half[dir].tcp.max_win >> c->half[dir].scale, WINDOW_FIELD_MAX);
	uint32_t scale = c->half[dir].scale & FP_TCP_SCALE_MAX;

	return field | scale << FP_TCP_SCALE_SHIFT | (conntrack_tcp_liberal(c) ? FP_TCP_LIBERAL : 0);
}

void offload_flow_of(const struct flowcache_view *v, const struct conn *c, enum ct_dir dir, struct fp_flow *out)
{
	const struct tuple *in = &v->in, *to = &v->out;
	uint32_t addresses = change32(in->src, to->src) + change32(in->dst, to->dst);
	uint32_t ports = change16(in->sport, to->sport);

	bool moves = in->src != to->src || in->dst != to->dst;
	bool renumbers = in->sport != to->sport || (in->proto != IPPROTO_ICMP && in->dport != to->dport);

	if (in->proto != IPPROTO_ICMP)
		ports += change16(in->dport, to->dport);
	*out = (struct fp_flow){
		.src_be = htonl(in->src),
		.dst_be = htonl(in->dst),
		.sport_be = htons(in->sport),
		.dport_be = htons(in->dport),
		.proto = in->proto,
		.in_port = (uint8_t)v->in_ifindex,
		.new_src_be = htonl(to->src),
		.new_dst_be = htonl(to->dst),
		.new_sport_be = htons(to->sport),
		.new_dport_be = htons(to->dport),
		.ip_delta = delta(addresses, moves),
		.l4_delta = in->proto == IPPROTO_ICMP ? delta(ports, renumbers)
						      : delta(addresses + ports, moves || renumbers),
		.adjacency = (uint16_t)v->adjacency,
	};
	if (in->proto != IPPROTO_TCP)
		return;
	out->tcp_end = c->half[dir].tcp.end;
	out->tcp_ack = c->half[dir].tcp.max_ack;
	out->tcp_win = offload_tcp_win(c, dir);
}
