/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a key has for a value in a packet, a function a range of keys (enum rule_key
 * stands in that order).
 *
 * A key that a packet does not have (a port in a later fragment, ct mark without a
 * connection) has none, so its match fails, also a negated one, as in Linux: the rule
 * does not speak of such a packet. An interface that is not there has the empty name, so
 * it is unequal to every name; names are compared once, when the config changes, and a
 * packet's interface is a bit.
 */
#include "gateway/rules/rules_priv.h"

#include "base/util.h"
#include "stack/wire/icmp.h"

#define NFPROTO_NR_IPV4 2

enum { PKTTYPE_HOST, PKTTYPE_BROADCAST, PKTTYPE_MULTICAST };

void rules_map_interfaces(struct rules *r, const struct ip_config *ip)
{
	r->ip = ip;
	if (r->rs == NULL)
		return;
	for (uint32_t i = 0; i < r->rs->n_names; i++) {
		const struct name_set *set = &r->rs->names[i];

		r->iface_mask[i] = 0;
		for (uint32_t k = 1; ip != NULL && k < IP_INTERFACES_MAX; k++)
			for (uint32_t n = 0; n < set->n && ip->interface[k].name[0] != '\0'; n++)
				if (rule_name_matches(&set->name[n], ip->interface[k].name))
					r->iface_mask[i] |= UINT64_C(1) << k;
	}
}

static uint32_t ct_status_bits(const struct conn *c)
{
	uint32_t bits = 0;

	bits |= c->status & CT_SEEN_REPLY ? RULE_CT_STATUS_SEEN_REPLY : 0;
	bits |= c->status & CT_ASSURED ? RULE_CT_STATUS_ASSURED : 0;
	bits |= c->status & CT_CONFIRMED ? RULE_CT_STATUS_CONFIRMED : 0;
	bits |= c->status & CT_SNAT ? RULE_CT_STATUS_SNAT : 0;
	bits |= c->status & CT_DNAT ? RULE_CT_STATUS_DNAT : 0;
	bits |= c->status & CT_DYING ? RULE_CT_STATUS_DYING : 0;
	return bits;
}

static bool fetch_ct(const struct rules *r, const struct packet *p, enum rule_key key, uint32_t *v)
{
	const struct conn *c;

	if (key == KEY_CT_STATE) {
		*v = rules_ct_state_bit(p);
		return true;
	}
	c = conntrack_of(r->ct, p);
	if (c == NULL)
		return false;
	switch (key) {
	case KEY_CT_STATUS:
		*v = ct_status_bits(c);
		return true;
	case KEY_CT_MARK:
		*v = conntrack_ext(r->ct, conn_index(p->conn_ref))->mark;
		return true;
	case KEY_CT_DIRECTION:
		*v = conn_dir(p->conn_ref);
		return true;
	case KEY_CT_ZONE:
		*v = c->half[CT_ORIGINAL].tuple.zone;
		return true;
	case KEY_CT_PROTOCOL:
		*v = c->half[CT_ORIGINAL].tuple.proto;
		return true;
	case KEY_CT_ORIGINAL_SADDR:
		*v = c->half[CT_ORIGINAL].tuple.src;
		return true;
	case KEY_CT_ORIGINAL_DADDR:
		*v = c->half[CT_ORIGINAL].tuple.dst;
		return true;
	case KEY_CT_ORIGINAL_PROTO_SRC:
		*v = c->half[CT_ORIGINAL].tuple.sport;
		return true;
	case KEY_CT_ORIGINAL_PROTO_DST:
		*v = c->half[CT_ORIGINAL].tuple.dport;
		return true;
	default:
		return false;
	}
}

/* The bytes where ports would stand, of any protocol, as in Linux. */
static bool fetch_th(const struct packet *p, enum rule_key key, uint32_t *v)
{
	uint16_t sport, dport;

	if (p->ip.frag_off != 0 || !l4_peek_ports(packet_l4_const(p), packet_l4_len(p), &sport, &dport))
		return false;
	*v = key == KEY_TH_SPORT ? sport : dport;
	return true;
}

static bool fetch_l4(const struct packet *p, enum rule_key key, uint32_t *v)
{
	const struct l4_view *l4 = &p->l4;
	bool tcp = l4->kind == L4_TCP, udp = l4->kind == L4_UDP;
	bool icmp = l4->kind == L4_ICMP_QUERY || l4->kind == L4_ICMP_ERROR || l4->kind == L4_ICMP_OTHER;

	switch (key) {
	case KEY_TCP_SPORT:
		*v = l4->sport;
		return tcp;
	case KEY_TCP_DPORT:
		*v = l4->dport;
		return tcp;
	case KEY_TCP_FLAGS:
		*v = l4->flags;
		return tcp;
	case KEY_UDP_SPORT:
		*v = l4->sport;
		return udp;
	case KEY_UDP_DPORT:
		*v = l4->dport;
		return udp;
	case KEY_UDP_LENGTH:
		*v = (uint32_t)l4->payload_len + UDP_HEADER_LEN;
		return udp;
	case KEY_SCTP_SPORT:
		*v = l4->sport;
		return l4->kind == L4_SCTP;
	case KEY_SCTP_DPORT:
		*v = l4->dport;
		return l4->kind == L4_SCTP;
	case KEY_DCCP_SPORT:
		*v = l4->sport;
		return l4->kind == L4_DCCP;
	case KEY_DCCP_DPORT:
		*v = l4->dport;
		return l4->kind == L4_DCCP;
	case KEY_UDPLITE_SPORT:
		*v = l4->sport;
		return l4->kind == L4_UDPLITE;
	case KEY_UDPLITE_DPORT:
		*v = l4->dport;
		return l4->kind == L4_UDPLITE;
	case KEY_TH_SPORT:
	case KEY_TH_DPORT:
		return fetch_th(p, key, v);
	case KEY_ICMP_TYPE:
		*v = l4->type;
		return icmp;
	case KEY_ICMP_CODE:
		*v = l4->code;
		return icmp;
	case KEY_ICMP_ID: /* nft asks for echo only */
		*v = l4->id;
		return icmp && (l4->type == ICMP_ECHO_REPLY || l4->type == ICMP_ECHO_REQUEST);
	default:
		return false;
	}
}

static uint32_t pkttype(const struct packet *p)
{
	if (!p->link_group)
		return PKTTYPE_HOST;
	return ip4_is_multicast(p->ip.dst) ? PKTTYPE_MULTICAST : PKTTYPE_BROADCAST;
}

static bool fetch_ip(const struct packet *p, enum rule_key key, uint32_t *v)
{
	switch (key) {
	case KEY_META_LENGTH: /* of a large segment too: as Linux sees it, before it is cut */
	case KEY_IP_LENGTH:
		*v = p->ip.total_len;
		return true;
	case KEY_META_MARK:
		*v = p->mark;
		return true;
	case KEY_META_PKTTYPE:
		*v = pkttype(p);
		return true;
	case KEY_META_NFPROTO:
		*v = NFPROTO_NR_IPV4;
		return true;
	case KEY_IP_SADDR:
		*v = p->ip.src;
		return true;
	case KEY_IP_DADDR:
		*v = p->ip.dst;
		return true;
	case KEY_META_L4PROTO:
	case KEY_IP_PROTOCOL:
		*v = p->ip.proto;
		return true;
	case KEY_IP_TTL:
		*v = p->ip.ttl;
		return true;
	case KEY_IP_DSCP:
		*v = p->ip.tos >> 2;
		return true;
	case KEY_IP_ID:
		*v = p->ip.id;
		return true;
	case KEY_IP_FRAG_OFF: /* the whole field: flags, and the offset in units of 8 bytes */
		*v = (p->ip.df ? 0x4000u : 0) | (p->ip.mf ? 0x2000u : 0) | p->ip.frag_off / 8u;
		return true;
	default:
		return false;
	}
}

bool rules_fetch(const struct rules *r, const struct packet *p, enum rule_key key, uint32_t *v)
{
	if (key >= KEY_CT_STATE)
		return fetch_ct(r, p, key, v);
	if (key >= KEY_TCP_SPORT)
		return fetch_l4(p, key, v);
	return fetch_ip(p, key, v);
}
