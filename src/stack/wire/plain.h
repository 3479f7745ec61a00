/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Plain frames: the ones that nearly all packets of established flows are. For
 * us, from one station, IPv4 without options, no fragment, TTL over 1, a right
 * header checksum and lengths that agree; TCP with ACK and perhaps PSH, UDP, or
 * ICMP echo. They are read and rewritten here with few loads and stores; what the
 * parser of a whole packet says of such a frame is the same (plain_test.c), so
 * nobody need ask it once more (plain_views).
 */
#ifndef YG_STACK_WIRE_PLAIN_H
#define YG_STACK_WIRE_PLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"
#include "stack/wire/icmp.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"
#include "stack/wire/rewrite.h"

enum plain_kind {
	PLAIN_NOT,         /* nothing that a flow of plain packets could have to do with */
	PLAIN_FRAGMENT,    /* a later fragment: only src and dst are known */
	PLAIN_ERROR,       /* an ICMP error: likewise */
	PLAIN_KEYED,       /* of a flow, but not plain */
	PLAIN_CONTROL,     /* likewise: TCP with SYN, FIN or RST */
	PLAIN_TCP_CONTROL, /* the same, and but for these flags it is plain */
	PLAIN_TCP,         /* from here on: plain */
	PLAIN_UDP,
	PLAIN_ECHO,
};

/* Numbers in host order; ICMP: sport is the identifier, dport type << 8 | code. */
struct plain {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint16_t total_len;
	uint8_t proto;
	uint8_t kind; /* enum plain_kind */
};

/* Fixed places in a plain frame. */
#define PLAIN_L3 ETHER_HEADER_LEN
#define PLAIN_L4 (ETHER_HEADER_LEN + IPV4_HEADER_LEN)
#define PLAIN_MIN (PLAIN_L4 + UDP_HEADER_LEN)

/* An Ethernet address as a number to compare with. */
uint64_t plain_mac(const struct ether_addr *mac);

/* What a PLAIN_ERROR frame quotes. False when it is not all there. */
bool plain_quote(const uint8_t *frame, uint16_t total_len, struct icmp_quote *q);

/* For a frame that is not plain; see plain_parse. */
void plain_parse_other(const uint8_t *frame, uint32_t len, struct plain *v);

static inline uint16_t plain_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t plain_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline uint64_t plain_load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline bool plain_addressed(const uint8_t *frame, uint64_t mac)
{
	uint64_t to = plain_load64(frame);

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	to <<= 16;
#else
	to &= ~UINT64_C(0xffff);
#endif
	return to == mac && (frame[6] & 1) == 0 && plain_get16(frame + 12) == ETHERTYPE_IPV4;
}

/* Transport header of a frame whose IP header is plain. False when it is not. */
static inline bool plain_parse_l4(const uint8_t *l4, uint32_t l4_len, struct plain *v)
{
	uint32_t n;

	switch (v->proto) {
	case IPPROTO_NR_UDP:
		n = plain_get16(l4 + 4);
		if (n < UDP_HEADER_LEN || n > l4_len)
			return false;
		v->kind = PLAIN_UDP;
		break;
	case IPPROTO_NR_TCP:
		if (l4_len < TCP_HEADER_LEN)
			return false;
		n = (uint32_t)(l4[12] >> 4) * 4;
		if (n < TCP_HEADER_LEN || n > l4_len)
			return false;
		if ((l4[13] & ~TCP_PSH) == TCP_ACK)
			v->kind = PLAIN_TCP;
		else if ((l4[13] & (TCP_SYN | TCP_FIN | TCP_RST)) != 0)
			v->kind = PLAIN_TCP_CONTROL;
		else
			return false;
		break;
	case IPPROTO_NR_ICMP:
		if (l4[0] != ICMP_ECHO_REQUEST && l4[0] != ICMP_ECHO_REPLY)
			return false;
		v->sport = plain_get16(l4 + 4);
		v->dport = plain_get16(l4);
		v->kind = PLAIN_ECHO;
		return true;
	default:
		return false;
	}
	v->sport = plain_get16(l4);
	v->dport = plain_get16(l4 + 2);
	return true;
}

/* What the frame is. mac: plain_mac of the interface's. The message checksum of ICMP is not looked at. */
static inline void plain_parse(const uint8_t *frame, uint32_t len, uint64_t mac, struct plain *v)
{
	const uint8_t *l3 = frame + PLAIN_L3;

	v->kind = PLAIN_NOT;
	if (__builtin_expect(len < PLAIN_MIN || !plain_addressed(frame, mac), 0))
		return;
	v->total_len = plain_get16(l3 + 2);
	v->proto = l3[9];
	v->src = plain_get32(l3 + 12);
	v->dst = plain_get32(l3 + 16);
	/* Version and length of the header; fragment but for DF and the reserved bit; TTL. */
	if (__builtin_expect(l3[0] == 0x45 && (plain_get16(l3 + 6) & 0x3fff) == 0 && l3[8] > 1 &&
				     v->total_len >= IPV4_HEADER_LEN + UDP_HEADER_LEN &&
				     v->total_len <= len - PLAIN_L3 && checksum_plain_header_ok(l3) &&
				     plain_parse_l4(l3 + IPV4_HEADER_LEN, v->total_len - IPV4_HEADER_LEN, v),
			     1))
		return;
	plain_parse_other(frame, len, v);
}

static inline bool plain_df(const uint8_t *frame)
{
	return (frame[PLAIN_L3 + 6] & 0x40) != 0;
}

/* Of a PLAIN_TCP or PLAIN_TCP_CONTROL frame, for whoever judges windows: seq, ack, window, flags, lengths; nothing else
 * is set. */
static inline void plain_tcp(const uint8_t *frame, uint16_t total_len, struct l4_view *v)
{
	const uint8_t *l4 = frame + PLAIN_L4;

	v->header_len = (uint16_t)((l4[12] >> 4) * 4);
	v->options_len = (uint8_t)(v->header_len - TCP_HEADER_LEN);
	v->payload_len = (uint16_t)(total_len - IPV4_HEADER_LEN - v->header_len);
	v->seq = plain_get32(l4 + 4);
	v->ack = plain_get32(l4 + 8);
	v->flags = l4[13];
	v->window = plain_get16(l4 + 14);
}

/* It is TCP or UDP, and all that the parser of a whole packet looks at has been looked at. */
static inline bool plain_has_views(const struct plain *v)
{
	return v->kind == PLAIN_UDP || v->kind == PLAIN_TCP || v->kind == PLAIN_TCP_CONTROL;
}

/* The views of such a frame, as ipv4_parse and l4_parse fill them. */
static inline void plain_views(const uint8_t *frame, const struct plain *v, struct ipv4_view *ip, struct l4_view *l4)
{
	const uint8_t *l3 = frame + PLAIN_L3, *header = frame + PLAIN_L4;

	*ip = (struct ipv4_view){
		.src = v->src,
		.dst = v->dst,
		.total_len = v->total_len,
		.id = plain_get16(l3 + 4),
		.header_len = IPV4_HEADER_LEN,
		.tos = l3[1],
		.ttl = l3[8],
		.proto = v->proto,
		.df = plain_df(frame),
	};
	*l4 = (struct l4_view){ .sport = v->sport, .dport = v->dport };
	if (v->kind == PLAIN_UDP) {
		l4->kind = L4_UDP;
		l4->header_len = UDP_HEADER_LEN;
		l4->payload_len = (uint16_t)(plain_get16(header + 4) - UDP_HEADER_LEN);
		l4->check = plain_get16(header + UDP_CHECK_AT);
		return;
	}
	l4->kind = L4_TCP;
	l4->check = plain_get16(header + TCP_CHECK_AT);
	plain_tcp(frame, v->total_len, l4);
}

/* Of a PLAIN_ECHO frame. */
bool plain_echo_sum_ok(const uint8_t *frame, uint16_t total_len);

/* For what is not in plain_translate itself. */
void plain_translate_other(uint8_t *frame, const struct plain *v, const struct rewrite *to, const uint16_t *id,
			   enum rewrite_check check);

/* A checksum under which words changed by delta, the sum of ~from + to; delta is not 0. */
static inline uint16_t plain_mended(uint16_t check, uint32_t delta)
{
	uint32_t sum = (uint32_t)(uint16_t)~check + delta;

	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

/* TCP and UDP with a whole checksum: everything is written, also what stays as it is, and nothing is asked but what the
 * result depends on. */
static inline void plain_translate_ports(uint8_t *frame, const struct plain *v, const struct rewrite *to)
{
	uint8_t *l3 = frame + PLAIN_L3, *l4 = frame + PLAIN_L4;
	uint8_t *field = l4 + (v->kind == PLAIN_TCP ? TCP_CHECK_AT : UDP_CHECK_AT);
	uint32_t ports_from = (uint32_t)v->sport << 16 | v->dport, ports = (uint32_t)to->sport << 16 | to->dport;
	uint64_t addr = (uint64_t)(uint32_t)~v->src + (uint32_t)~v->dst + to->src + to->dst;
	uint32_t delta = (uint32_t)(addr >> 16) + (uint32_t)(addr & 0xffff);
	uint16_t check = plain_get16(field);

	l3[8]--;
	/* The TTL is the high byte of its word: ~from + to is this whatever it was. */
	bytes_put16(l3 + 10, plain_mended(plain_get16(l3 + 10), delta + 0xfeff));
	bytes_put32(l3 + 12, to->src);
	bytes_put32(l3 + 16, to->dst);
	bytes_put32(l4, ports);
	if (((v->src ^ to->src) | (v->dst ^ to->dst) | (ports_from ^ ports)) == 0 ||
	    (v->kind == PLAIN_UDP && check == 0))
		return;
	addr = (uint64_t)delta + (uint32_t)~ports_from + ports;
	check = plain_mended(check, (uint32_t)(addr >> 16) + (uint32_t)(addr & 0xffff));
	bytes_put16(field, check == 0 && v->kind == PLAIN_UDP ? 0xffff : check);
}

/* TTL less one, and the addresses and ports (or the identifier, in sport) of `to`; id: NULL to keep it. */
static inline void plain_translate(uint8_t *frame, const struct plain *v, const struct rewrite *to, const uint16_t *id,
				   enum rewrite_check check)
{
	if (__builtin_expect(v->kind != PLAIN_ECHO && id == NULL && check == REWRITE_CHECK_FULL, 1))
		plain_translate_ports(frame, v, to);
	else
		plain_translate_other(frame, v, to, id, check);
}

#endif
