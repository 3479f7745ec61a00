/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Transport headers to one kind of value, and back.
 *
 * l4_parse is where the lengths of a transport header are judged, once. Behind
 * it holds, for a packet that is no fragment:
 *   - header_len + payload_len <= the bytes of the packet behind its IP header;
 *     less only for UDP, whose own length may end before the packet does;
 *   - what the checksum of UDP-Lite or DCCP covers ends within the packet;
 *   - an ICMP error has a quoted IPv4 header and eight bytes (or all of a packet
 *     that was shorter).
 * In the first fragment of a fragmented packet the fixed header is there (RFC 1858:
 * 20 bytes of TCP, 8 of UDP, UDP-Lite and ICMP, 12 of DCCP and SCTP), options and quotes as far as they reach:
 * TCP's header_len may then run past the fragment, options_len never does, and
 * payload_len counts bytes of the fragment. Later fragments have no header: L4_NONE.
 *
 * The checksum of UDP covers what its length field says and may be absent (RFC
 * 768); TCP's (RFC 9293 section 3.1) and ICMP's (RFC 792) cover the packet, and
 * ICMP has no pseudo header. UDP-Lite's (RFC 3828 section 3.1) and DCCP's (RFC
 * 4340 section 9) cover what a field of theirs says, with a pseudo header that has
 * the whole length. SCTP has a CRC32c over the packet, without a pseudo header,
 * low byte first (RFC 9260 appendix A).
 *
 * Next: src/stack/ip/input.c
 */
#include "stack/wire/l4.h"

#include "base/util.h"

#include "stack/wire/checksum.h"
#include "stack/wire/crc32c.h"
#include "stack/wire/dccp.h"
#include "stack/wire/icmp.h"
#include "stack/wire/l4_priv.h"

static enum l4_error tcp_parse(const uint8_t *p, size_t len, bool first_fragment, struct l4_view *v)
{
	const struct tcp_header *h = (const struct tcp_header *)p;

	if (len < TCP_HEADER_LEN)
		return L4_TCP_HEADER;
	size_t header_len = (size_t)(h->data_offset >> 4) * 4;
	if (header_len < TCP_HEADER_LEN || (header_len > len && !first_fragment))
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

static enum l4_error udp_parse(const uint8_t *p, size_t len, bool first_fragment, struct l4_view *v)
{
	const struct udp_header *h = (const struct udp_header *)p;

	if (len < UDP_HEADER_LEN)
		return L4_UDP_HEADER;
	size_t udp_len = be16_get(h->len);
	if (udp_len < UDP_HEADER_LEN || (udp_len > len && !first_fragment))
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

/* Bytes that a checksum of UDP-Lite or DCCP covers, at most len; 0: the header lies. */
static size_t udplite_covered(const struct udplite_header *h, size_t len)
{
	size_t coverage = be16_get(h->coverage);

	if (coverage == 0)
		return len;
	return coverage < UDP_HEADER_LEN || coverage > len ? 0 : coverage;
}

static size_t dccp_covered(const struct dccp_header *h, size_t len)
{
	size_t header_len = (size_t)h->data_offset * 4, cscov = h->ccval_cscov & 15;

	if (header_len < DCCP_HEADER_LEN || header_len > len)
		return 0;
	if (cscov == 0)
		return len;
	size_t covered = header_len + (cscov - 1) * 4;
	return covered > len ? 0 : covered;
}

static enum l4_error udplite_parse(const uint8_t *p, size_t len, bool first_fragment, struct l4_view *v)
{
	const struct udplite_header *h = (const struct udplite_header *)p;

	/* A coverage that reaches into later fragments is theirs to judge who puts them together. */
	if (len < UDP_HEADER_LEN || (udplite_covered(h, first_fragment ? UINT16_MAX : len) == 0))
		return L4_UDPLITE_HEADER;
	v->kind = L4_UDPLITE;
	v->header_len = UDP_HEADER_LEN;
	v->payload_len = (uint16_t)(len - UDP_HEADER_LEN);
	v->sport = be16_get(h->sport);
	v->dport = be16_get(h->dport);
	v->check = be16_get(h->check);
	return L4_OK;
}

static enum l4_error dccp_parse(const uint8_t *p, size_t len, bool first_fragment, struct l4_view *v)
{
	const struct dccp_header *h = (const struct dccp_header *)p;

	if (len < DCCP_HEADER_LEN || dccp_covered(h, first_fragment ? UINT16_MAX : len) == 0)
		return L4_DCCP_HEADER;
	uint8_t type = h->type_x >> 1 & 15;
	size_t header_len = (size_t)h->data_offset * 4;
	if (header_len < dccp_header_min(type, h->type_x & 1))
		return L4_DCCP_HEADER;
	size_t present = header_len < len ? header_len : len;

	v->kind = L4_DCCP;
	v->header_len = (uint16_t)header_len;
	v->payload_len = (uint16_t)(len - present);
	v->sport = be16_get(h->sport);
	v->dport = be16_get(h->dport);
	v->check = be16_get(h->check);
	v->type = type;
	return L4_OK;
}

static enum l4_error sctp_parse(const uint8_t *p, size_t len, struct l4_view *v)
{
	const struct sctp_header *h = (const struct sctp_header *)p;

	if (len < SCTP_HEADER_LEN)
		return L4_SCTP_HEADER;
	v->kind = L4_SCTP;
	v->header_len = SCTP_HEADER_LEN;
	v->payload_len = (uint16_t)(len - SCTP_HEADER_LEN);
	v->sport = be16_get(h->sport);
	v->dport = be16_get(h->dport);
	v->info = be32_get(h->tag);
	return L4_OK;
}

static bool icmp_quote_present(const uint8_t *p, size_t len)
{
	struct ipv4_view quoted;

	if (ipv4_parse_quoted(p + ICMP_HEADER_LEN, len - ICMP_HEADER_LEN, &quoted) != IPV4_OK)
		return false;
	return len - ICMP_HEADER_LEN - quoted.header_len >= icmp_quote_need(&quoted);
}

static enum l4_error icmp_parse(const uint8_t *p, size_t len, bool first_fragment, struct l4_view *v)
{
	const struct icmp_header *h = (const struct icmp_header *)p;

	if (len < ICMP_HEADER_LEN)
		return L4_ICMP_HEADER;
	const struct icmp_trait *trait = icmp_trait_of(h->type);
	if (!first_fragment && len < trait->min_len)
		return L4_ICMP_HEADER;
	if (!first_fragment && trait->kind == L4_ICMP_ERROR && !icmp_quote_present(p, len))
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

#define GRE_HEADER_LEN 4
#define GRE_FLAGS_CHECKSUM_OR_ROUTING 0xc0 /* of the first byte: four more bytes (RFC 1701, RFC 2784) */
#define GRE_FLAGS_KEY 0x20
#define GRE_VERSION 0x07 /* of the second byte */
#define GRE_PROTO_PPP 0x880b
#define ESP_HEADER_LEN 8

static enum l4_id gre_id_of(const uint8_t *p, size_t len, uint32_t *id)
{
	size_t key_at = GRE_HEADER_LEN + ((p[0] & GRE_FLAGS_CHECKSUM_OR_ROUTING) != 0 ? 4 : 0);

	if ((p[0] & GRE_FLAGS_KEY) == 0 || len < key_at + sizeof(be32))
		return L4_ID_NONE;
	switch (p[1] & GRE_VERSION) {
	case 0:
		*id = be32_get(*(const be32 *)(p + key_at));
		return L4_ID_KEY;
	case 1:
		if (key_at != GRE_HEADER_LEN || be16_get(*(const be16 *)(p + 2)) != GRE_PROTO_PPP)
			return L4_ID_NONE;
		*id = be16_get(*(const be16 *)(p + GRE_CALL_AT));
		return L4_ID_CALL;
	default:
		return L4_ID_NONE;
	}
}

enum l4_id l4_id_of(uint8_t proto, const uint8_t *p, size_t len, uint32_t *id)
{
	*id = 0;
	if (proto == IPPROTO_NR_GRE && len >= GRE_HEADER_LEN)
		return gre_id_of(p, len, id);
	/* SPI 0 never travels (RFC 4303 section 2.1). */
	if (proto == IPPROTO_NR_ESP && len >= ESP_HEADER_LEN && (*id = be32_get(*(const be32 *)p)) != 0)
		return L4_ID_SPI;
	return L4_ID_NONE;
}

static enum l4_error id_parse(uint8_t proto, const uint8_t *p, size_t len, struct l4_view *v)
{
	v->type = (uint8_t)l4_id_of(proto, p, len, &v->info);
	if (proto == IPPROTO_NR_GRE)
		v->kind = L4_GRE;
	else if (v->type == L4_ID_SPI)
		v->kind = L4_ESP;
	return L4_OK;
}

enum l4_error l4_parse(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_view *v)
{
	bool first_fragment = ip->mf;

	*v = (struct l4_view){ .payload_len = (uint16_t)len };
	if (ip->frag_off != 0)
		return L4_OK;
	switch (ip->proto) {
	case IPPROTO_NR_TCP:
		return tcp_parse(p, len, first_fragment, v);
	case IPPROTO_NR_UDP:
		return udp_parse(p, len, first_fragment, v);
	case IPPROTO_NR_ICMP:
		return icmp_parse(p, len, first_fragment, v);
	case IPPROTO_NR_UDPLITE:
		return udplite_parse(p, len, first_fragment, v);
	case IPPROTO_NR_DCCP:
		return dccp_parse(p, len, first_fragment, v);
	case IPPROTO_NR_SCTP:
		return sctp_parse(p, len, v);
	case IPPROTO_NR_GRE:
	case IPPROTO_NR_ESP:
		return id_parse(ip->proto, p, len, v);
	default:
		return L4_OK;
	}
}

/* Of protocols that have ports; these stand first in all of them. */
static enum l4_kind kind_of_proto(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_NR_TCP:
		return L4_TCP;
	case IPPROTO_NR_UDP:
		return L4_UDP;
	case IPPROTO_NR_UDPLITE:
		return L4_UDPLITE;
	case IPPROTO_NR_DCCP:
		return L4_DCCP;
	case IPPROTO_NR_SCTP:
		return L4_SCTP;
	default:
		return L4_NONE;
	}
}

bool l4_parse_quoted(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_view *v)
{
	*v = (struct l4_view){ 0 };
	if (ip->frag_off != 0)
		return true;
	if (ip->proto == IPPROTO_NR_GRE || ip->proto == IPPROTO_NR_ESP)
		return id_parse(ip->proto, p, len, v) == L4_OK;
	if (!l4_needs_header(ip->proto))
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
	const struct udp_header *h = (const struct udp_header *)p;
	v->kind = kind_of_proto(ip->proto);
	v->sport = be16_get(h->sport);
	v->dport = be16_get(h->dport);
	if (v->kind == L4_TCP)
		v->seq = be32_get(((const struct tcp_header *)p)->seq);
	if (v->kind == L4_SCTP)
		v->info = be32_get(((const struct sctp_header *)p)->tag);
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
	case IPPROTO_NR_UDPLITE:
		c->check_at = offsetof(struct udplite_header, check);
		c->len = len < UDP_HEADER_LEN ? 0 : udplite_covered((const struct udplite_header *)p, len);
		c->initial = checksum_pseudo(ip->src, ip->dst, ip->proto, (uint32_t)len);
		return c->len != 0;
	case IPPROTO_NR_DCCP:
		c->check_at = offsetof(struct dccp_header, check);
		c->len = len < DCCP_HEADER_LEN ? 0 : dccp_covered((const struct dccp_header *)p, len);
		c->initial = checksum_pseudo(ip->src, ip->dst, ip->proto, (uint32_t)len);
		return c->len != 0;
	default:
		c->len = 0;
		return true;
	}
	c->initial = checksum_pseudo(ip->src, ip->dst, ip->proto, (uint32_t)c->len);
	return true;
}

/* As it stands in the header, its bytes taken as a number that is sent highest byte first. */
static uint32_t sctp_check(const uint8_t *p, size_t len)
{
	static const uint8_t zeros[sizeof(be32)];
	uint32_t state = crc32c_add(CRC32C_START, p, SCTP_CHECK_AT);

	state = crc32c_add(state, zeros, sizeof(zeros));
	state = crc32c_add(state, p + SCTP_HEADER_LEN, len - SCTP_HEADER_LEN);
	return __builtin_bswap32(~state);
}

bool l4_peek_ports(const uint8_t *p, size_t len, uint16_t *sport, uint16_t *dport)
{
	if (len < 4)
		return false;
	*sport = (uint16_t)(p[0] << 8 | p[1]);
	*dport = (uint16_t)(p[2] << 8 | p[3]);
	return true;
}

bool l4_checksum_ok(const struct ipv4_view *ip, const uint8_t *p, size_t len)
{
	struct l4_cover c;

	if (YG_LIKELY(ip->proto == IPPROTO_NR_TCP)) {
		uint32_t initial = checksum_pseudo(ip->src, ip->dst, ip->proto, (uint32_t)len);

		return len >= TCP_HEADER_LEN && checksum_fold(checksum_add(initial, p, len)) == 0xffff;
	}
	if (ip->proto == IPPROTO_NR_SCTP)
		return len >= SCTP_HEADER_LEN && be32_get(((const struct sctp_header *)p)->check) == sctp_check(p, len);
	if (!l4_cover_of(ip, p, len, &c))
		return false;
	if (c.len == 0)
		return true;
	/* UDP-Lite has no "no checksum" (RFC 3828 section 3.1). */
	if (ip->proto == IPPROTO_NR_UDPLITE && p[c.check_at] == 0 && p[c.check_at + 1] == 0)
		return false;
	if (ip->proto == IPPROTO_NR_UDP && p[c.check_at] == 0 && p[c.check_at + 1] == 0)
		return true;
	return checksum_fold(checksum_add(c.initial, p, c.len)) == 0xffff;
}

void l4_checksum_set(const struct ipv4_view *ip, uint8_t *p, size_t len)
{
	struct l4_cover c;

	if (ip->proto == IPPROTO_NR_SCTP) {
		if (len >= SCTP_HEADER_LEN)
			((struct sctp_header *)p)->check = be32_of(sctp_check(p, len));
		return;
	}
	if (!l4_cover_of(ip, p, len, &c) || c.len == 0)
		return;
	be16 *field = (be16 *)(p + c.check_at);
	*field = be16_of(0);
	uint16_t check = checksum_finish(checksum_add(c.initial, p, c.len));
	if (check == 0 && (ip->proto == IPPROTO_NR_UDP || ip->proto == IPPROTO_NR_UDPLITE))
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
