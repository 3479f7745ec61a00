/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The short look. It reads only bytes that are there; no checksum, no version of
 * what is behind the first length that lies.
 *
 * The quoted packet of an ICMP error is turned round: its answer would come from
 * where the error comes from, so the error goes where that answer would go.
 */
#include "stack/wire/peek.h"

#include "stack/wire/ether.h"
#include "stack/wire/icmp.h"

/* Addresses and ports of an IPv4 header and what follows; returns the header's length, 0 when it is none. */
static size_t look(const uint8_t *p, size_t len, struct peek *out)
{
	const struct ipv4_header *h = (const void *)p;

	if (len < IPV4_HEADER_LEN || h->version_ihl >> 4 != 4)
		return 0;
	size_t header_len = (size_t)(h->version_ihl & 15) * 4;
	if (header_len < IPV4_HEADER_LEN || header_len > len)
		return 0;
	uint16_t frag = be16_get(h->frag);

	out->src = be32_get(h->src);
	out->dst = be32_get(h->dst);
	out->proto = h->proto;
	out->frag_id = be16_get(h->id);
	out->frag_off = (uint16_t)((frag & 0x1fff) * 8);
	out->kind = frag & 0x3fff ? PEEK_FRAGMENT : PEEK_FLOW;
	out->sport = out->dport = 0;
	out->id = L4_ID_NONE;
	if (out->frag_off != 0)
		return header_len;
	const uint8_t *l4 = p + header_len;
	if (h->proto == IPPROTO_NR_GRE || h->proto == IPPROTO_NR_ESP) {
		uint32_t id;

		out->id = (uint8_t)l4_id_of(h->proto, l4, len - header_len, &id);
		out->sport = (uint16_t)(id >> 16);
		out->dport = (uint16_t)id;
		return header_len;
	}
	if (len < header_len + 8)
		return header_len;
	if (l4_has_ports(h->proto)) {
		out->sport = (uint16_t)(l4[0] << 8 | l4[1]);
		out->dport = (uint16_t)(l4[2] << 8 | l4[3]);
	} else if (h->proto == IPPROTO_NR_ICMP && icmp_is_query(l4[0])) {
		out->sport = (uint16_t)(l4[4] << 8 | l4[5]);
		out->dport = (uint16_t)(l4[0] << 8 | l4[1]);
	}
	return header_len;
}

static void turn_round(struct peek *q)
{
	uint32_t addr = q->src;
	uint16_t port = q->sport;

	q->src = q->dst;
	q->dst = addr;
	if (q->proto == IPPROTO_NR_ICMP) {
		q->dport = (uint16_t)(icmp_opposite((uint8_t)(q->dport >> 8)) << 8 | (q->dport & 0xff));
		return;
	}
	/* The same key both ways; of the others nobody here knows the other direction's. */
	if (q->id == L4_ID_KEY)
		return;
	q->sport = q->dport;
	q->dport = port;
}

void peek_frame(const uint8_t *frame, size_t len, struct peek *out)
{
	struct ether_view eth;

	*out = (struct peek){ .kind = PEEK_OTHER };
	if (!ether_parse(frame, len, &eth))
		return;
	if (eth.type == ETHERTYPE_ARP)
		out->kind = PEEK_ARP;
	if (eth.type != ETHERTYPE_IPV4)
		return;
	const uint8_t *l3 = frame + ETHER_HEADER_LEN;
	size_t l3_len = len - ETHER_HEADER_LEN, header_len = look(l3, l3_len, out);

	if (header_len == 0) {
		out->kind = PEEK_OTHER;
		return;
	}
	out->outer_src = out->src;
	out->outer_dst = out->dst;
	out->outer_proto = out->proto;
	if (out->proto != IPPROTO_NR_ICMP || out->frag_off != 0 || l3_len < header_len + ICMP_HEADER_LEN ||
	    !icmp_is_error(l3[header_len]))
		return;
	struct peek quote = { .kind = PEEK_OTHER };
	size_t skip = header_len + ICMP_HEADER_LEN;
	if (look(l3 + skip, l3_len - skip, &quote) == 0)
		return;
	turn_round(&quote);
	out->src = quote.src;
	out->dst = quote.dst;
	out->sport = quote.sport;
	out->dport = quote.dport;
	out->proto = quote.proto;
	out->id = quote.id;
}
