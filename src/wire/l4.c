/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP, UDP and ICMP headers to one kind of value, and back.
 *
 * l4_parse is where the lengths of a transport header are judged, once. Behind
 * it holds, for a packet that is no fragment:
 *   - header_len + payload_len <= the bytes of the packet behind its IP header;
 *     less only for UDP, whose own length may end before the packet does;
 *   - an ICMP error has a quoted IPv4 header and eight bytes (or all of a packet
 *     that was shorter).
 * In the first piece of a fragmented packet the fixed header is there (RFC 1858:
 * 20 bytes of TCP, 8 of UDP and ICMP), options and quotes as far as they reach:
 * TCP's header_len may then run past the piece, options_len never does, and
 * payload_len counts bytes of the piece. Later pieces have no header: L4_NONE.
 *
 * The checksum of UDP covers what its length field says and may be absent (RFC
 * 768); TCP's (RFC 9293 section 3.1) and ICMP's (RFC 792) cover the packet, and
 * ICMP has no pseudo header.
 *
 * Next: src/ip/input.c
 */
#include "wire/l4.h"

#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/l4_priv.h"

static enum l4_error tcp_parse(const uint8_t *p, size_t len, bool first_piece, struct l4_view *v)
{
	const struct tcp_header *h = (const struct tcp_header *)p;

	if (len < TCP_HEADER_LEN)
		return L4_TCP_HEADER;
	size_t header_len = (size_t)(h->data_offset >> 4) * 4;
	if (header_len < TCP_HEADER_LEN || (header_len > len && !first_piece))
		return L4_TCP_HEADER;
	size_t present = header_len < len ? header_len : len;

	v->kind = L4_TCP;
	v->header_len = (uint16_t)header_len;
	v->options_len = (uint8_t)(present - TCP_HEADER_LEN);
	v->payload_len = (uint16_t)(len - present);
	v->sport = be16_get(h->sport);
	v->dport = be16_get(h->dport);
	v->check = be16_get(h->check);
	v->seq = be32_get(h->seq);
	v->ack = be32_get(h->ack);
	v->window = be16_get(h->window);
	v->flags = h->flags;
	return L4_OK;
}

static enum l4_error udp_parse(const uint8_t *p, size_t len, bool first_piece, struct l4_view *v)
{
	const struct udp_header *h = (const struct udp_header *)p;

	if (len < UDP_HEADER_LEN)
		return L4_UDP_HEADER;
	size_t udp_len = be16_get(h->len);
	if (udp_len < UDP_HEADER_LEN || (udp_len > len && !first_piece))
		return L4_UDP_HEADER;
	size_t present = udp_len < len ? udp_len : len;

	v->kind = L4_UDP;
	v->header_len = UDP_HEADER_LEN;
	v->payload_len = (uint16_t)(present - UDP_HEADER_LEN);
	v->sport = be16_get(h->sport);
	v->dport = be16_get(h->dport);
	v->check = be16_get(h->check);
	return L4_OK;
}

static bool icmp_quote_present(const uint8_t *p, size_t len)
{
	struct ipv4_view quoted;

	if (ipv4_parse_quoted(p + ICMP_HEADER_LEN, len - ICMP_HEADER_LEN, &quoted) != IPV4_OK)
		return false;
	return len - ICMP_HEADER_LEN - quoted.header_len >= icmp_quote_need(&quoted);
}

static enum l4_error icmp_parse(const uint8_t *p, size_t len, bool first_piece, struct l4_view *v)
{
	const struct icmp_header *h = (const struct icmp_header *)p;

	if (len < ICMP_HEADER_LEN)
		return L4_ICMP_HEADER;
	const struct icmp_trait *trait = icmp_trait_of(h->type);
	if (!first_piece && len < trait->min_len)
		return L4_ICMP_HEADER;
	if (!first_piece && trait->kind == L4_ICMP_ERROR && !icmp_quote_present(p, len))
		return L4_ICMP_HEADER;

	v->kind = trait->kind;
	v->header_len = ICMP_HEADER_LEN;
	v->payload_len = (uint16_t)(len - ICMP_HEADER_LEN);
	v->check = be16_get(h->check);
	v->type = h->type;
	v->code = h->code;
	v->info = be32_get(h->info);
	if (trait->kind == L4_ICMP_QUERY) {
		v->id = be16_get(h->id);
		v->icmp_seq = be16_get(h->seq);
	}
	return L4_OK;
}

enum l4_error l4_parse(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_view *v)
{
	bool first_piece = ip->mf;

	*v = (struct l4_view){ .payload_len = (uint16_t)len };
	if (ip->frag_off != 0)
		return L4_OK;
	switch (ip->proto) {
	case IPPROTO_NR_TCP:
		return tcp_parse(p, len, first_piece, v);
	case IPPROTO_NR_UDP:
		return udp_parse(p, len, first_piece, v);
	case IPPROTO_NR_ICMP:
		return icmp_parse(p, len, first_piece, v);
	default:
		return L4_OK;
	}
}

bool l4_parse_quoted(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_view *v)
{
	*v = (struct l4_view){ 0 };
	if (ip->frag_off != 0)
		return true;
	if (ip->proto != IPPROTO_NR_TCP && ip->proto != IPPROTO_NR_UDP && ip->proto != IPPROTO_NR_ICMP)
		return true;
	if (len < 8)
		return false;
	if (ip->proto == IPPROTO_NR_ICMP) {
		const struct icmp_header *h = (const struct icmp_header *)p;

		v->kind = icmp_trait_of(h->type)->kind;
		v->type = h->type;
		v->code = h->code;
		if (v->kind == L4_ICMP_QUERY) {
			v->id = be16_get(h->id);
			v->icmp_seq = be16_get(h->seq);
		}
		return true;
	}
	/* Ports stand first in both. */
	const struct udp_header *h = (const struct udp_header *)p;
	v->kind = ip->proto == IPPROTO_NR_TCP ? L4_TCP : L4_UDP;
	v->sport = be16_get(h->sport);
	v->dport = be16_get(h->dport);
	if (v->kind == L4_TCP)
		v->seq = be32_get(((const struct tcp_header *)p)->seq);
	return true;
}

/* Where the checksum stands and what it covers. */
struct l4_cover {
	size_t check_at;  /* of the field, from the header's start */
	size_t len;       /* bytes covered; 0: no checksum that we know */
	uint32_t initial; /* the pseudo header's sum */
};

/* False when the header is not all there. */
static bool l4_cover_of(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_cover *c)
{
	*c = (struct l4_cover){ .len = len };
	switch (ip->proto) {
	case IPPROTO_NR_TCP:
		c->check_at = offsetof(struct tcp_header, check);
		if (len < TCP_HEADER_LEN)
			return false;
		break;
	case IPPROTO_NR_UDP:
		c->check_at = offsetof(struct udp_header, check);
		if (len < UDP_HEADER_LEN)
			return false;
		c->len = be16_get(((const struct udp_header *)p)->len);
		if (c->len < UDP_HEADER_LEN || c->len > len)
			return false;
		break;
	case IPPROTO_NR_ICMP:
		c->check_at = offsetof(struct icmp_header, check);
		return len >= ICMP_HEADER_LEN;
	default:
		c->len = 0;
		return true;
	}
	c->initial = checksum_pseudo(ip->src, ip->dst, ip->proto, (uint32_t)c->len);
	return true;
}

bool l4_checksum_ok(const struct ipv4_view *ip, const uint8_t *p, size_t len)
{
	struct l4_cover c;

	if (!l4_cover_of(ip, p, len, &c))
		return false;
	if (c.len == 0)
		return true;
	if (ip->proto == IPPROTO_NR_UDP && p[c.check_at] == 0 && p[c.check_at + 1] == 0)
		return true;
	return checksum_fold(checksum_add(c.initial, p, c.len)) == 0xffff;
}

void l4_checksum_set(const struct ipv4_view *ip, uint8_t *p, size_t len)
{
	struct l4_cover c;

	if (!l4_cover_of(ip, p, len, &c) || c.len == 0)
		return;
	be16 *field = (be16 *)(p + c.check_at);
	*field = be16_of(0);
	uint16_t check = checksum_finish(checksum_add(c.initial, p, c.len));
	if (check == 0 && ip->proto == IPPROTO_NR_UDP)
		check = 0xffff;
	*field = be16_of(check);
}

void udp_emit(uint8_t *p, uint16_t sport, uint16_t dport, uint16_t payload_len)
{
	*(struct udp_header *)p = (struct udp_header){
		.sport = be16_of(sport),
		.dport = be16_of(dport),
		.len = be16_of((uint16_t)(UDP_HEADER_LEN + payload_len)),
	};
}

void tcp_emit(uint8_t *p, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags, uint16_t window)
{
	*(struct tcp_header *)p = (struct tcp_header){
		.sport = be16_of(sport),
		.dport = be16_of(dport),
		.seq = be32_of(seq),
		.ack = be32_of(ack),
		.data_offset = TCP_HEADER_LEN / 4 << 4,
		.flags = flags,
		.window = be16_of(window),
	};
}

void icmp_emit(uint8_t *p, uint8_t type, uint8_t code, uint32_t info)
{
	*(struct icmp_header *)p = (struct icmp_header){ .type = type, .code = code, .info = be32_of(info) };
}
