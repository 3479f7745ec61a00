/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tuples: from a packet, from the packet that an ICMP error quotes, the other
 * direction, and the hash.
 *
 * A tuple is compared and hashed as 16 bytes, so every field is always set, also
 * `id` and the ports of protocols that have none.
 *
 * ICMP queries (RFC 5508 section 3.1): the identifier stands in sport in both
 * directions, for it is the asking host's in both; type and code stand in dport,
 * and the other direction has the opposite type.
 *
 * GRE and ESP: a key is the same both ways. A call of PPTP and an SPI are chosen by
 * whoever receives them, so the other direction has one that is not known yet.
 */
#include "gateway/conntrack/tuple.h"

static bool tuple_of_headers(const struct ipv4_view *ip, const struct l4_view *l4, uint16_t zone, struct tuple *t)
{
	*t = (struct tuple){ .src = ip->src, .dst = ip->dst, .proto = ip->proto, .zone = zone };
	if (l4_has_ports(ip->proto)) {
		if (!l4_kind_has_ports(l4->kind))
			return false;
		t->sport = l4->sport;
		t->dport = l4->dport;
	} else if (ip->proto == IPPROTO_NR_ICMP) {
		if (l4->kind != L4_ICMP_QUERY)
			return false;
		t->sport = l4->id;
		t->dport = (uint16_t)(l4->type << 8 | l4->code);
	} else if (ip->proto == IPPROTO_NR_GRE || ip->proto == IPPROTO_NR_ESP) {
		if (l4->kind != L4_GRE && l4->kind != L4_ESP)
			return false;
		t->id = l4->type;
		t->sport = (uint16_t)(l4->info >> 16);
		t->dport = (uint16_t)l4->info;
	}
	return true;
}

bool tuple_of_packet(const struct packet *p, uint16_t zone, struct tuple *t)
{
	return tuple_of_headers(&p->ip, &p->l4, zone, t);
}

bool tuple_of_quote(const struct icmp_quote *q, uint16_t zone, struct tuple *t)
{
	return tuple_of_headers(&q->ip, &q->l4, zone, t);
}

struct tuple tuple_invert_other(const struct tuple *t)
{
	struct tuple r = *t;

	r.src = t->dst;
	r.dst = t->src;
	if (t->proto == IPPROTO_NR_ICMP) {
		r.dport = (uint16_t)(icmp_opposite((uint8_t)(t->dport >> 8)) << 8 | (t->dport & 0xff));
	} else if (t->id != L4_ID_KEY) {
		r.id = TUPLE_ID_UNKNOWN;
		r.sport = r.dport = 0;
	}
	return r;
}

struct ip_tuple tuple_to_ip(const struct tuple *t)
{
	return (struct ip_tuple){ .src = ip_addr_v4(t->src),
				  .dst = ip_addr_v4(t->dst),
				  .sport = t->sport,
				  .dport = t->dport,
				  .zone = t->zone,
				  .proto = t->proto };
}

uint64_t tuple_hash(const struct siphash_key *key, const struct tuple *t)
{
	uint64_t m[2];

	memcpy(m, t, sizeof(m));
	return siphash13_16(key, m[0], m[1]);
}
