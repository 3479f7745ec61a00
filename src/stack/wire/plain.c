/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Plain frames rewritten in one go, and what is said of the others.
 *
 * One pass over the header mends the checksum once for everything that changes
 * (RFC 1624 equation 3). The result is that of rewrite.c and ipv4.c, which mend
 * it step by step: sums are added modulo 65,535, every change counts as at least
 * 0xffff (the zero that is not "nothing"), so the order and number of steps leave
 * no mark; and what changes nothing leaves the field alone. What nearly all frames
 * are is rewritten in the header (plain_translate_ports); here is the rest.
 *
 * Next: src/stack/packet/device.h
 */
#include "stack/wire/plain.h"

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"
#include "stack/wire/icmp.h"

uint64_t plain_mac(const struct ether_addr *mac)
{
	uint8_t bytes[8] = { 0 };
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint8_t *at = bytes + 2;
#else
	uint8_t *at = bytes;
#endif

	for (uint32_t i = 0; i < sizeof(mac->b); i++)
		at[i] = mac->b[i];
	return plain_load64(bytes);
}

void plain_parse_other(const uint8_t *frame, uint32_t len, struct plain *v)
{
	const uint8_t *l3 = frame + PLAIN_L3;
	struct ipv4_view ip;
	struct l4_view l4;

	v->kind = PLAIN_NOT;
	if (ipv4_parse(l3, len - PLAIN_L3, &ip) != IPV4_OK ||
	    l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4) != L4_OK)
		return;
	v->total_len = ip.total_len;
	if (ip.frag_off != 0) {
		v->kind = PLAIN_FRAGMENT;
	} else if (l4.kind == L4_TCP || l4.kind == L4_UDP) {
		v->kind = l4.flags & (TCP_SYN | TCP_FIN | TCP_RST) ? PLAIN_CONTROL : PLAIN_KEYED;
		v->sport = l4.sport;
		v->dport = l4.dport;
	} else if (l4.kind == L4_ICMP_QUERY) {
		v->kind = PLAIN_KEYED;
		v->sport = l4.id;
		v->dport = (uint16_t)(l4.type << 8 | l4.code);
	} else if (l4.kind == L4_ICMP_ERROR) {
		v->kind = PLAIN_ERROR;
	}
}

bool plain_quote(const uint8_t *frame, uint16_t total_len, struct icmp_quote *q)
{
	const uint8_t *l3 = frame + PLAIN_L3;
	size_t header_len = (size_t)(l3[0] & 0xf) * 4;

	return icmp_quote_parse(l3 + header_len, total_len - header_len, q);
}

bool plain_echo_sum_ok(const uint8_t *frame, uint16_t total_len)
{
	return checksum_fold(checksum_add(0, frame + PLAIN_L4, (size_t)total_len - IPV4_HEADER_LEN)) == 0xffff;
}

/* ~from + to. */
static inline uint32_t delta16(uint16_t from, uint16_t to)
{
	return (uint32_t)(uint16_t)~from + to;
}

static inline uint32_t delta32(uint32_t from, uint32_t to)
{
	return (~from >> 16) + (~from & 0xffff) + (to >> 16) + (to & 0xffff);
}

/* A packet has one hop less: the TTL is the high byte of its word. */
static inline uint32_t ttl_take(uint8_t *l3)
{
	uint8_t ttl = l3[8]--;

	return delta16((uint16_t)(ttl << 8), (uint16_t)((ttl - 1) << 8));
}

/* Mends the transport checksum; delta is not 0. */
static inline void l4_mend(uint8_t *l4, const struct plain *v, uint32_t delta)
{
	uint8_t *field = l4 + (v->kind == PLAIN_TCP   ? TCP_CHECK_AT
			       : v->kind == PLAIN_UDP ? UDP_CHECK_AT
						      : ICMP_CHECK_AT);
	uint16_t check = plain_get16(field);

	if (v->kind == PLAIN_UDP && check == 0)
		return;
	check = plain_mended(check, delta);
	bytes_put16(field, check);
	if (__builtin_expect(check != 0 || v->kind == PLAIN_TCP, 1))
		return;
	/* rewrite.c on the two zeros. */
	if (v->kind == PLAIN_UDP || checksum_add(0, l4, (size_t)v->total_len - IPV4_HEADER_LEN) == 0)
		bytes_put16(field, 0xffff);
}

/* Only the pseudo header is in there, not complemented. */
static inline void l4_mend_partial(uint8_t *l4, const struct plain *v, uint32_t delta)
{
	uint8_t *field = l4 + (v->kind == PLAIN_TCP ? TCP_CHECK_AT : UDP_CHECK_AT);

	bytes_put16(field, checksum_fold(plain_get16(field) + delta));
}

/* Ports or the identifier. */
static inline uint32_t ports_write(uint8_t *l4, const struct plain *v, const struct rewrite *to)
{
	uint32_t delta = 0;

	if (v->kind == PLAIN_ECHO) {
		if (v->sport == to->sport)
			return 0;
		bytes_put16(l4 + 4, to->sport);
		return delta16(v->sport, to->sport) + 0xffff;
	}
	if (v->sport != to->sport) {
		bytes_put16(l4, to->sport);
		delta += delta16(v->sport, to->sport) + 0xffff;
	}
	if (v->dport != to->dport) {
		bytes_put16(l4 + 2, to->dport);
		delta += delta16(v->dport, to->dport) + 0xffff;
	}
	return delta;
}

void plain_translate_other(uint8_t *frame, const struct plain *v, const struct rewrite *to, const uint16_t *id,
			   enum rewrite_check check)
{
	uint8_t *l3 = frame + PLAIN_L3, *l4 = frame + PLAIN_L4;
	uint32_t addr_delta = 0, delta = ttl_take(l3);

	if (v->src != to->src) {
		bytes_put32(l3 + 12, to->src);
		addr_delta += delta32(v->src, to->src) + 0xffff;
	}
	if (v->dst != to->dst) {
		bytes_put32(l3 + 16, to->dst);
		addr_delta += delta32(v->dst, to->dst) + 0xffff;
	}
	if (id != NULL) {
		delta += delta16(plain_get16(l3 + 4), *id);
		bytes_put16(l3 + 4, *id);
	}
	bytes_put16(l3 + 10, plain_mended(plain_get16(l3 + 10), delta + addr_delta));
	uint32_t port_delta = ports_write(l4, v, to);
	uint32_t l4_delta = v->kind == PLAIN_ECHO ? port_delta : addr_delta + port_delta;

	if (check == REWRITE_CHECK_PARTIAL) {
		if (addr_delta != 0)
			l4_mend_partial(l4, v, addr_delta);
	} else if (l4_delta != 0) {
		l4_mend(l4, v, l4_delta);
	}
}
